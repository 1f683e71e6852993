#!/usr/bin/env python3
"""Writes counts.txt: operators that count, and what follows from counts.  Where torch is:

    python3 tests/data/numbers/counts.py > tests/data/numbers/counts.txt
"""
import torch
from math import inf, nan

from case import case

torch.manual_seed(0)
many = torch.randn(4, 33).tolist()

# --- histc
edges = [0., 0.1, 0.25, 0.3, 0.5, 0.75, 0.9999999, 1., 1.0000001, -1e-9, nan, inf, -inf]
for dt in ('f32', 'f64'):
    case(f'histc of {dt}', 'a = torch.histc(x, bins = 4, min = 0, max = 1)\nb = x.histc(10, 0.1, 0.75)\nc = torch.ops.aten.histc.default(x, 3, -1, 1)\nreturn (a, b, c)', {'x': (dt, edges)})
    case(f'histc of {dt} between its extremes', 'a = torch.histc(x)\nb = torch.histc(x, 7)\nc = torch.histc(y, 5, 3, 3)\nd = torch.histc(z, 4, 2, 2)\nreturn (a, b, c, d)',
         {'x': (dt, many), 'y': (dt, [2., 2., 2.]), 'z': (dt, -1.5)})
for dt in ('f16', 'bf16'):
    case(f'histc of {dt}', 'a = torch.histc(x, 4, 0, 8)\nreturn (a,)', {'x': (dt, [0., 1., 2., 3.5, 4., 7.5, 8., 8.5, -1., nan])})
case('histc: experts of tokens', 'i = e.float()\nh = torch.histc(i, bins = 6, min = 0, max = 5)\no = torch.cumsum(h, 0, dtype = torch.int32)\nreturn (h, o)',
     {'e': ('i64', [[0, 3], [5, 1], [3, 3], [2, 0]])})
case('histc of a symbolic dim', 'a = torch.histc(x, bins = 3, min = 0, max = 2)\nreturn (a,)', {'x': ('f32', [0., 2., 1., 2., 0.5], 's0')}, symbols={'s0': 5})
case('histc of nothing', 'a = torch.histc(x, bins = 3)\nb = torch.histc(x, 2, 0, 1)\nreturn (a, b)', {'x': ('f32', [])})
