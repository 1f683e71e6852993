#!/usr/bin/env python3
"""Writes moves.txt: operators that move elements: reading by index, views, joins, padding.  Where torch is:

    python3 tests/data/numbers/moves.py > tests/data/numbers/moves.txt
"""
import torch

from case import case

torch.manual_seed(0)
