"""The program ``jitc``: the wheel carries it, this starts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Becomes the tool, with this process's arguments."""
    tool = Path(__file__).parent / "bin" / "jitc"
    os.execv(tool, [str(tool), *sys.argv[1:]])
