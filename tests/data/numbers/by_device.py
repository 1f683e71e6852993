#!/usr/bin/env python3
"""Prints by_device.txt: what CUDA's kernels of PyTorch round otherwise than those of a CPU, and what both compute by fma, in strict mode.

What PyTorch on CUDA has follows from the rules of tests/torch_strict.py, which compares them with a GPU's.  Of many values those are taken
for which the two differ; 64 of them, of which no vector of a CPU is left half full."""
import os
import sys

import torch
from case import NAMES, case

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
import torch_strict

COUNT = 64
ALSO = ('lerp', 'lerp tensor', 'floor_divide')  # the same on both, or nearly


def both(name, inputs):
    statement = {**torch_strict.UNARY, **torch_strict.BINARY}[name]
    eager = eval(statement, {'torch': torch, **inputs})
    return eager, torch_strict.rule(name, inputs, eager)


def bits(t):
    return t if t.dtype == torch.bool else torch_strict.bits(t)


def chosen(name, inputs):
    """As many of the values as a case has, those first for which devices differ."""
    eager, gpu = both(name, inputs)
    other = torch.where((bits(eager) != bits(gpu)) & ~(eager.isnan() & gpu.isnan()), 0, 1)
    first = torch.argsort(other, stable=True)[:COUNT]
    return {k: t[first] for k, t in inputs.items()}, bool((other == 0).any())


torch.set_num_threads(1)
for dtype in (torch.bfloat16, torch.float16, torch.float32):
    g = torch.Generator().manual_seed(3)
    x, y = (torch.randn(4096, generator=g) * torch.exp(torch.randn(4096, generator=g)) for _ in range(2))
    x[:2], y[:2] = torch.tensor([0.3, 1e30]), torch.tensor([-0.7, 1e-30])
    x[4], y[4] = 0.00921630859375, 1.5139579772949219e-05  # 608, and 607 if quotients were of f16
    inputs = {'x': x.to(dtype), 'y': y.to(dtype)}
    inputs['x'][2] = inputs['y'][3] = -float('nan')
    for name in dict.fromkeys([*torch_strict.RULES, *ALSO]):
        statement = {**torch_strict.UNARY, **torch_strict.BINARY}[name]
        these = {k: t for k, t in inputs.items() if k == 'x' or name in torch_strict.BINARY}
        if name == 'softshrink 0.3':  # which of two zeros goes by the length of a vector
            these = {'x': these['x'][these['x'].abs() > 0.29].clamp(0.3)}
        these, differ = chosen(name, these)
        if not differ and name not in ALSO:
            continue
        near = 2e-3 if name in torch_strict.WIDER else 0
        case(f'{name} of {NAMES[dtype]}', f'r = {statement}\nreturn (r,)', {k: (NAMES[dtype], t.tolist()) for k, t in these.items()},
             gpu={0: both(name, these)[1].tolist()}, near=near, strict=True)
