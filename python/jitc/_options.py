"""Options of the back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MODES = ("fused", "strict")


@dataclass(frozen=True)
class Options:
    """What ``torch.compile(..., backend="jitc", options={...})`` takes.

    mode: "fused" rounds what stays within a kernel once, as Inductor does; "strict" rounds after every operator, as eager does.
    cache_dir: where compiled classes are kept; None: $JITC_CACHE_DIR, else ~/.cache/jitc; "": in this process alone.
    threads: for compiling and for kernels on the CPU; 0: one per core.
    """

    mode: str = "fused"
    cache_dir: str | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"jitc: mode is {self.mode!r}, but must be one of {', '.join(map(repr, MODES))}")
        if self.cache_dir is not None and not isinstance(self.cache_dir, str):
            raise TypeError(f"jitc: cache_dir is {self.cache_dir!r}, but must be a string or None")
        if not isinstance(self.threads, int) or self.threads < 0:
            raise ValueError(f"jitc: threads is {self.threads!r}, but must be an integer, 0 or more")


def read(options: Mapping[str, Any] | None) -> Options:
    """Options from the dict that torch.compile hands over; an unknown name is refused."""
    known = {field.name for field in fields(Options)}
    unknown = sorted(set(options or {}) - known)
    if unknown:
        raise ValueError(f"jitc: unknown option {', '.join(map(repr, unknown))}; there are {', '.join(sorted(known))}")
    return Options(**dict(options or {}))
