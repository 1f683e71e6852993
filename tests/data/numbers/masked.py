#!/usr/bin/env python3
"""Writes masked.txt: torch.masked, where a mask says what counts.  Where torch is:

    python3 tests/data/numbers/masked.py > tests/data/numbers/masked.txt
"""
import warnings

import torch
from math import inf, nan

from case import case

warnings.filterwarnings('ignore')
torch.manual_seed(0)
F = torch.randn(3, 4, 2)
MASK = [[[True, False], [True, True], [False, True], [False, False]], [[False, False]] * 4, [[True, True]] * 4]
INPUTS = {'x': ('f32', F.tolist()), 'm': ('b8', MASK), 'k': ('b8', [[True], [False], [True], [True]]), 'i': ('i64', (F * 9).to(torch.int64).tolist()), 'u': ('u8', (F.abs() * 9).to(torch.int64).tolist())}
M = 'torch.masked.'


def several(name, forms, inputs=INPUTS, **kinds):
    """One result for each of FORMS."""
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = ({form}).contiguous()' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, **kinds)


for op in ('sum', 'prod', 'amax', 'amin'):
    several(f'masked {op}', [f'{M}{op}(x, mask = m)', f'{M}{op}(x, 1, mask = m)', f'{M}{op}(x, (0, 2), keepdim = True, mask = m)', f'{M}{op}(x, dim = -1, mask = k)', f'{M}{op}(x, 0)', f'{M}{op}(i, 1, mask = m)',
                             f'{M}{op}(u, 1, mask = m)', f'{M}{op}(x, 0, dtype = torch.float64, mask = m)', f'torch.masked._ops.{op}(x, (), mask = m)'], near=1e-6)
for op in ('argmax', 'argmin'):
    several(f'masked {op}', [f'{M}{op}(x, 1, mask = m)', f'{M}{op}(x, mask = m)', f'{M}{op}(i, 2, keepdim = True, mask = m)', f'{M}{op}(x, 0, mask = k, dtype = torch.int32)'])
several('masked means', [f'{M}mean(x, mask = m)', f'{M}mean(x, 1, mask = m)', f'{M}mean(x, (0, 1), keepdim = True, mask = k)', f'{M}mean(x, 2)', f'{M}mean(i, 1, dtype = torch.float32, mask = m)', f'{M}median(x, 1, mask = m)',
                         f'{M}median(x, mask = m, keepdim = True)', f'{M}median(x, 0)'], near=1e-6)
several('masked variances', [f'{M}{op}(x, {args})' for op in ('var', 'std') for args in ('1, mask = m', '(0, 1), unbiased = False, mask = m', '1, keepdim = True, mask = k', 'None', '0, correction = 2, mask = m', '1, True, mask = m')] +
        [f'{M}var(i, 1, mask = k)'], near=1e-5, absolute=1e-6)
several('masked norms', [f'{M}norm(x, {p}, 1, mask = m)' for p in ('2', '1', '0', "float('inf')", "float('-inf')", '3')] + [f'{M}norm(x, mask = m)', f'{M}normalize(x, 2.0, 1, mask = m)', f'{M}normalize(x, 1.0, dim = 0, mask = k)',
                                                                                                                  f'{M}normalize(x, 2.0, 2)'], near=1e-5, absolute=1e-6)
several('masked softmax', [f'{M}{op}(x, {args})' for op in ('softmax', 'log_softmax', 'softmin') for args in ('1, mask = m', '-1, mask = k', '0', '1, dtype = torch.float64, mask = m')], near=1e-5, absolute=1e-6)
several('masked logarithms', [f'{M}logsumexp(x, 1, mask = m)', f'{M}logsumexp(x, (0, 1), keepdim = True, mask = k)', f'{M}logsumexp(x, 2)', f'{M}logaddexp(x, y, input_mask = m, other_mask = k)', f'{M}logaddexp(x, y)',
                              f'{M}logaddexp(x, y, other_mask = m)'], {**INPUTS, 'y': ('f32', torch.randn(3, 4, 2).tolist())}, near=1e-5, absolute=1e-6)
several('masked scans', [f'{M}cumsum(x, 1, mask = m)', f'{M}cumprod(x, 0, mask = m)', f'{M}cumsum(i, 1, mask = k)', f'{M}cumprod(u, 2, mask = m)', f'{M}cumsum(x, -1, dtype = torch.float64, mask = m)'], near=1e-6)
several('masked NaN does not count', [f'{M}sum(x, 0, mask = m)', f'{M}amax(x, 0, mask = m)', f'{M}mean(x, 0, mask = m)', f'{M}var(x, 0, mask = m)', f'{M}softmax(x, 0, mask = m)', f'{M}norm(x, 2.0, 0, mask = m)'],
        {'x': ('f32', [[nan, 1.], [2., inf], [3., -5.]]), 'm': ('b8', [[False, True], [True, False], [True, True]])}, near=1e-6)
case('masks of a symbolic size', f'a = {M}sum(x, 0, mask = m)\nb = {M}mean(x, 1, mask = m)\nc = {M}softmax(x, 0, mask = m)\nreturn (a, b, c)',
     {'x': ('f32', [[1., 2.], [3., 4.], [5., 6.]], 's0, 2'), 'm': ('b8', [[True, False], [True, True], [True, True]], 's0, 2')}, symbols={'s0': 3}, near=1e-6)
