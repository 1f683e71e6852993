#!/usr/bin/env python3
"""Writes steps.txt: numbers in steps, and what differs from step to step.  Where torch is:

    python3 tests/data/numbers/steps.py > tests/data/numbers/steps.txt
"""
import warnings

import torch
from math import inf, nan

from case import case

warnings.filterwarnings('ignore')
torch.manual_seed(0)
F = torch.randn(3, 5, 4)
I = torch.randint(-9, 9, (3, 5))
V = ('f32', [1., 4., 2., 8., 5.])


def several(name, forms, inputs, **kinds):
    """One result for each of FORMS."""
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = ({form}).contiguous()' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, **kinds)


ends = {'a': ('f32', -1.5), 'b': ('i64', 7), 'v': V}
several('steps between tensors', ['torch.linspace(a, b, 5)', 'torch.linspace(a, 3, 4)', 'torch.linspace(2.5, b, 7)', 'torch.linspace(a, b, 1)', 'torch.linspace(a, b, 0)', 'torch.linspace(a, b, 6, dtype = torch.int64)',
                                  'torch.linspace(-2.7, 9.9, 6, dtype = torch.int32)', 'torch.linspace(0, 100, 3, dtype = torch.bfloat16)', 'torch.linspace(0, 1, 11, dtype = torch.float64)', 'v + 0'], ends, near=1e-6)
several('powers in steps', ['torch.logspace(0, 3, 4)', 'torch.logspace(-1, 1, 5)', 'torch.logspace(a, b, 3)', 'torch.logspace(0, 8, 5, base = 2)', 'torch.logspace(0, 8, 5, 2.5)', 'torch.logspace(0, 6, 4, 2.5, dtype = torch.int64)',
                            'torch.logspace(1, 2, 1)', 'torch.logspace(1, 2, 0)', 'torch.logspace(0, 2, 3, dtype = torch.float64)', 'v + 0'], ends, near=1e-5)
several('places of triangles', [f'torch.{t}_indices({args})' for t in ('tril', 'triu') for args in ('3, 3', '3, 5', '5, 3, 1', '4, 4, -2', '2, 3, 9', '2, 3, -9', '0, 3', '3, 3, 1, dtype = torch.int32')] + ['v + 0'], {'v': V})
several('trapezoids', [f'torch.{t}({args})' for t in ('trapezoid', 'cumulative_trapezoid', 'trapz')[:2] for args in ('v', 'v, dx = 0.5', 'v, p', 'x, dim = 1', 'x, w, dim = 1', 'x, x * x, dim = 0', 'i', 'i, dx = 3', 'x[..., 0], p')] +
        ['torch.trapz(v)', 'torch.trapz(v, p)', 'torch.trapezoid(e)', 'torch.ops.aten.trapezoid.dx(v)', 'torch.ops.aten.cumulative_trapezoid.x(v, p)'],
        {'v': V, 'p': ('f32', [0., 1., 3., 3.5, 7.]), 'x': ('f32', F.tolist()), 'w': ('f32', [0., 1., 3., 4., 9.]), 'i': ('i64', I.tolist()), 'e': ('f32', [])}, near=1e-5, absolute=1e-6)
several('trapezoids of integers that wrap', [f'torch.{t}(u, {x})' for t in ('trapezoid', 'cumulative_trapezoid') for x in ('w', 'dx = 3', 'w, dim = 0')], {'u': ('u8', [[5, 240, 200], [1, 2, 250]]), 'w': ('u8', [[13, 7, 250], [0, 9, 255]])},
        near=1e-6)
several('gradients', ['torch.gradient(v)[0]', 'torch.gradient(x)[0]', 'torch.gradient(x)[2]', 'torch.gradient(x, dim = 1)[0]', 'torch.gradient(x, spacing = 2.0, dim = (0, 2))[1]', 'torch.gradient(x, spacing = [1.0, 0.5], dim = (1, 2))[1]',
                      'torch.gradient(v, spacing = (p,))[0]', 'torch.gradient(x, spacing = (p, q), dim = (1, 2))[0]', 'torch.gradient(x, spacing = (p, q), dim = (1, 2), edge_order = 2)[1]', 'torch.gradient(v, edge_order = 2)[0]',
                      'torch.gradient(v, spacing = 0.5, edge_order = 2)[0]', 'torch.gradient(i, dim = 1)[0]', 'torch.gradient(v, spacing = (p,), edge_order = 2)[0]'],
        {'v': V, 'p': ('f32', [0., 1., 3., 3.5, 7.]), 'q': ('f32', [0., 1., 3., 4.]), 'x': ('f32', F.tolist()), 'i': ('i64', I.tolist())}, near=1e-5, absolute=1e-6)
holes = F.clone()
holes[0, 1, 2] = holes[1, :, 0] = nan
holes[2, 2, 2] = inf
for name in ('quantile', 'nanquantile'):
    several(f'{name}s', [f'torch.{name}(v, 0.3)', f'torch.{name}(x, 0.5)', f'torch.{name}(x, 0.75, dim = 1)', f'torch.{name}(x, q, 2)', f'torch.{name}(x, q, dim = 0, keepdim = True)', f'torch.{name}(v, q[1])', f'x.{name}(q, keepdim = True)',
                         f'torch.{name}(x, 0.1, -1, True)', f'torch.{name}(h, q, 1)', f'torch.{name}(h, 0.5, 2)', f'torch.{name}(v[0], 0.5)'] +
            [f"torch.{name}(h, q, 1, interpolation = '{how}')" for how in ('linear', 'lower', 'higher', 'nearest', 'midpoint')],
            {'v': V, 'x': ('f32', F.tolist()), 'h': ('f32', holes.tolist()), 'q': ('f32', [0., 0.25, 0.6, 1.])}, near=1e-6)
corners = [1., -2.5, 0., -0., inf, -inf, nan, 1e-40, 3.4e38, 1e-45, 0.75, 2., -1024.]
several('parts of floats', ['torch.frexp(x)[0]', 'torch.frexp(x)[1]', 'torch.frexp(y)[0]', 'torch.frexp(y)[1]', 'torch.frexp(h)[0]', 'torch.frexp(h)[1]', 'x.t().frexp()[1]', 'torch.frexp(b)[0]', 'torch.frexp(b)[1]'],
        {'x': ('f32', [corners[:4] + corners[7:]]), 'y': ('f64', [1., -3e-310, 1e300, 0., 5e-324]), 'h': ('f16', [1., -6e-8, 65504., 0.]), 'b': ('bf16', [1., -3., 1e-40, 0.])})
several('the next float', ['torch.nextafter(x, y)', 'torch.nextafter(y, x)', 'torch.nextafter(a, b)', 'torch.nextafter(x[0], y)', 'torch.nextafter(p, q)'],
        {'x': ('f32', corners), 'y': ('f32', [2., -3., 1., -1., 0., 0., 1., 0., inf, -1., 0.75, nan, -inf]), 'a': ('f64', [1., 0., -0., 1e308]), 'b': ('f64', [2., -1., 5., inf]), 'p': ('bf16', [1., 0., -3., 1e38]),
         'q': ('bf16', [2., -1., 0., inf])})
several('histograms', ['torch.histogram(x, 4)[0]', 'torch.histogram(x, 4)[1]', 'torch.histogram(x, 3, range = (-1.0, 1.0))[0]', 'torch.histogram(x, e)[0]', 'torch.histogram(x, e)[1]', 'torch.histogram(x, e, weight = w)[0]',
                       'torch.histogram(x, 4, density = True)[0]', 'x.histogram(e, density = True)[0]', 'torch.histogram(c, 2)[0]', 'torch.histogram(c, 2)[1]'],
        {'x': ('f32', F[0].tolist()), 'e': ('f32', [-2., -0.5, 0., 0.25, 3.]), 'w': ('f32', F[1].abs().tolist()), 'c': ('f32', [3., 3.])}, near=1e-6)
several('segments', [f"torch.segment_reduce(x, '{how}', {what})" for how in ('sum', 'mean', 'max', 'min', 'prod') for what in ('lengths = n', 'offsets = o', 'lengths = n, initial = 0.5')] + ["torch.segment_reduce(y, 'sum', lengths = k, axis = 1)"],
        {'x': ('f32', F[0].tolist()), 'n': ('i64', [2, 0, 3]), 'o': ('i64', [0, 1, 1, 5]), 'y': ('f32', F.tolist()), 'k': ('i64', [[2, 3], [5, 0], [1, 4]])}, near=1e-5, absolute=1e-6)
case('places by what is said of shapes', 'a = torch.functional.broadcast_shapes((1, 4), (3, 1), 4)\nb = x.expand(a).contiguous()\nreturn (b,)', {'x': ('f32', [1., 2., 3., 4.])})
for dtype, near in (('bf16', 2e-2), ('f16', 2e-3), ('f64', 1e-9)):
    several(f'renormalised {dtype}', ['torch.renorm(x, 2, 0, 1.0)', 'x.renorm(1, -1, 2.5)', 'torch.renorm(x, 3.0, 1, 0.5)'], {'x': (dtype, F.tolist())}, near=near, absolute=near)
several('renormalised', ['torch.renorm(x, 2, 0, 1.0)', 'x.renorm(1, -1, 2.5)', 'torch.ops.aten.renorm.default(x, 0.5, 1, 30)', 'x.clone().renorm_(2, 0, 1.0)'], {'x': ('f32', F.tolist())}, near=1e-5, absolute=1e-6)
