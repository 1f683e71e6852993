#!/usr/bin/env python3
"""Writes order.txt: operators that go through a dimension in order, and writes where indices say.  Where torch is:

    python3 tests/data/numbers/order.py > tests/data/numbers/order.txt
"""
import torch
from math import inf, nan

from case import case

def pairs(body):
    """`a, b = f(x)` as text of graphs has it."""
    lines = []
    for text in body.split('\n'):
        names, equals, value = text.partition(' = ')
        if equals and ',' in names and names.replace(', ', '').isidentifier():
            whole = names.replace(', ', '_')
            lines += [f'{whole} = {value}'] + [f'{name} = {whole}[{k}]' for k, name in enumerate(names.split(', '))]
        else:
            lines.append(text)
    return '\n'.join(lines)


def ordered(name, body, *args, **keywords):
    case(name, pairs(body), *args, **keywords)


torch.manual_seed(0)
big, small = 2**63 - 1, -2**63
many = torch.randn(4, 33).tolist()
cube = torch.randn(3, 5, 4).tolist()
corners = [1., nan, -0., 0., inf, 2., -inf, 3., nan, -1.]
i64s = [big, 1, 1, small, -5, 7]

# --- scans
for dt in ('f32', 'f64', 'f16', 'bf16'):
    near = {'f32': 1e-6, 'f64': 1e-12, 'f16': 2e-3, 'bf16': 1e-2}[dt]
    ordered(f'scans of {dt}', 'a = torch.cumsum(x, -1)\nb = x.cumsum(0)\nc = torch.cumprod(x, 1)\nd = x.cumprod(dim = 0)\nreturn (a, b, c, d)', {'x': (dt, many)})
    ordered(f'scans of {dt} of three dims', 'a = torch.cumsum(x, 1)\nb = x.cumsum(0)\nc, i = torch.cummax(x, 1)\nd, j = x.cummin(-1)\nreturn (a, b, c, i, d, j)', {'x': (dt, cube)})
    ordered(f'logcumsumexp of {dt}', 'a = torch.logcumsumexp(x, 1)\nb = x.logcumsumexp(0)\nreturn (a, b)', {'x': (dt, many)}, near=near)
    ordered(f'scans of {dt}: corners', 'a = torch.cumsum(x, 0)\nb = torch.cumprod(x, 0)\nc, i = torch.cummax(x, 0)\nd, j = torch.cummin(x, 0)\nreturn (a, b, c, i, d, j)', {'x': (dt, corners)})
    ordered(f'logcumsumexp of {dt}: corners', 'a = torch.logcumsumexp(x, 0)\nb = torch.logcumsumexp(y, 0)\nc = torch.logcumsumexp(z, 0)\nreturn (a, b, c)',
         {'x': (dt, [-inf, -inf, 1., 0., inf, 2., inf]), 'y': (dt, [nan, 1.]), 'z': (dt, [-inf, -inf, 500., -3.])}, near=near)
for dt in ('i64', 'i32', 'i16', 'i8', 'u8'):
    values = i64s if dt == 'i64' else [100, 27, 1, 0, 5, 5] if dt == 'u8' else [100, 27, -128, 0, 5, 5]
    ordered(f'scans of {dt}', 'a = torch.cumsum(x, 0)\nb = torch.cumprod(x, 0)\nc, i = torch.cummax(x, 0)\nd, j = torch.cummin(x, 0)\nreturn (a, b, c, i, d, j)', {'x': (dt, values)})
    ordered(f'scans in {dt}', f'a = torch.cumsum(x, 0, dtype = torch.{"uint8" if dt == "u8" else dt.replace("i", "int")})\nreturn (a,)', {'x': ('i64', [100, 27, 1, 300, -5])})
ordered('scans of bools', 'a = torch.cumsum(x, 0)\nb = x.cumprod(0)\nc, i = torch.cummax(x, 0)\nd, j = torch.cummin(x, 0)\ne = x.cumsum(0, dtype = torch.float32)\nreturn (a, b, c, i, d, j, e)',
     {'x': ('b8', [False, True, False, True, True])})
ordered('scans with a dtype', 'a = torch.cumsum(x, 0, dtype = torch.float64)\nb = torch.cumsum(x, 0, dtype = torch.bfloat16)\nc = torch.cumsum(x, 0, dtype = torch.int64)\nd = torch.cumprod(i, 0, dtype = torch.float32)\nreturn (a, b, c, d)',
     {'x': ('f32', [1.7, 2.6, -3.5, 0.1]), 'i': ('i64', [3, 4, -2, 100])})
ordered('scans of a number', 'a = torch.cumsum(x, 0)\nb = x.cumprod(-1)\nc, i = torch.cummax(x, 0)\nd = torch.logcumsumexp(x, 0)\nreturn (a, b, c, i, d)', {'x': ('f32', 3.)})
ordered('scans of nothing', 'a = torch.cumsum(x, 0)\nb = x.cumprod(-1)\nc = torch.logcumsumexp(x, 0)\nreturn (a, b, c)', {'x': ('f32', [])})
ordered('scans in place', 'x.cumsum_(0)\ny.cumprod_(-1)\nreturn (x, y)', {'x': ('f32', many), 'y': ('f32', many)})
ordered('scans of what is computed', 'a = torch.cumsum(x * 2 + 1, 1)\nb = (torch.cumsum(x, 0) * x).cumsum(1)\nreturn (a, b)', {'x': ('f32', many)}, near=1e-6)
ordered('scans of a symbolic dim', 'a = torch.cumsum(x, 0)\nb = torch.cumsum(x, 1)\nreturn (a, b)', {'x': ('f32', [[1., 2.], [4., 8.], [9., 1.]], 's0, 2')}, symbols={'s0': 3})
ordered('scans of a view', 'a = torch.cumsum(x.t(), 0)\nb = torch.cumsum(x[:, ::3], 1)\nc = x.unsqueeze(1).expand(4, 2, 33).cumsum(1)\nreturn (a, b, c)', {'x': ('f32', many)})
ordered('differences', 'a = torch.diff(x)\nb = torch.diff(x, n = 2, dim = 0)\nc = x.diff(dim = 1, prepend = p)\nd = torch.diff(x, append = p, prepend = p)\ne = torch.diff(x, n = 9, dim = 0)\nf = torch.diff(x, n = 0)\nreturn (a, b, c, d, e, f)',
     {'x': ('f32', many), 'p': ('f32', [[1.], [2.], [3.], [4.]])})
ordered('differences of bools and integers', 'a = torch.diff(x)\nb = torch.diff(y)\nc = torch.diff(z)\nreturn (a, b, c)', {'x': ('b8', [True, False, False, True]), 'y': ('u8', [3, 5, 1]), 'z': ('i64', i64s)})

# --- writes where indices say
table = ('f32', [[0., 1., 2.], [3., 4., 5.], [6., 7., 8.], [9., 10., 11.]])
rows = ('f32', [[.5, .25, .125], [10., 20., 30.], [100., 200., 300.]])
ordered('scatter along rows', 'a = torch.scatter(x, 0, i, s)\nb = x.scatter(0, i, 7.5)\nc = torch.scatter_add(x, 0, i, s)\nd = x.scatter(0, i, s, reduce = "multiply")\ne = x.scatter(0, i, 2, reduce = "add")\nreturn (a, b, c, d, e)',
     {'x': table, 'i': ('i64', [[0, 1, 2], [0, 3, 2]]), 's': rows})
ordered('scatter along columns', 'a = torch.scatter(x, 1, i, s)\nb = x.scatter(-1, i, value = 7)\nc = x.scatter_add(1, i, s)\nreturn (a, b, c)', {'x': table, 'i': ('i64', [[0, 1, 0, 0], [2, 2, 1, 2]]), 's': ('f32', [[1., 2., 3., 4., 9.], [5., 6., 7., 8., 9.]])})
ordered('scatter in place', 'x.scatter_(0, i, s)\ny.scatter_add_(0, i, s)\nz.scatter_(1, i, 1)\nreturn (x, y, z)',
     {'x': table, 'y': table, 'z': ('i64', [[0, 0, 0], [0, 0, 0]]), 'i': ('i64', [[2, 1, 0], [2, 0, 1]]), 's': rows})
ordered('scatter of one', 'a = torch.scatter(x, 0, i, s)\nb = x.scatter_add(0, i, s)\nreturn (a, b)', {'x': ('f32', 3.), 'i': ('i64', 0), 's': ('f32', 4.)})
many_of_one = torch.rand(300).tolist()
for dt in ('f32', 'f64', 'f16', 'bf16'):
    ordered(f'many {dt} in one place', 'a = torch.scatter_add(x, 0, i, s)\nb = x.index_add(0, i, s)\nc = x.index_put((i,), s, accumulate = True)\nd = torch.scatter_reduce(x, 0, i, s, "sum")\ne = x.scatter_reduce(0, i, s, "mean")\n'
         'f = x.scatter_reduce(0, i, s, "amax", include_self = False)\ng = torch.scatter_reduce(x, 0, i, s, reduce = "prod")\nreturn (a, b, c, d, e, f, g)',
         {'x': (dt, [1., 2.]), 'i': ('i64', [k % 3 // 2 for k in range(300)]), 's': (dt, many_of_one)})
    ordered(f'many rows of {dt} in one place', 'a = torch.scatter_add(x, 0, i[:, None].expand(300, 2), s)\nb = x.index_add(0, i, s, alpha = 2)\nc = x.index_put((i,), s, accumulate = True)\nreturn (a, b, c)',
         {'x': (dt, [[1., 2.], [3., 4.]]), 'i': ('i64', [k % 3 // 2 for k in range(300)]), 's': (dt, [[v, -v] for v in many_of_one])})
for include in (True, False):
    for dt in ('f32', 'i32', 'i64', 'u8'):
        values = [[1, 2, 3], [4, 5, 6]] if dt != 'f32' else [[1., -2., nan], [4., inf, 6.]]
        x = [[7, 8, 9], [10, 11, 12], [13, 14, 15]] if dt != 'f32' else [[7., -0., 9.], [10., 11., nan], [-13., 14., 15.]]
        ordered(f'scatter_reduce of {dt}, {"with" if include else "without"} self',
             ''.join(f'{name} = x.scatter_reduce(0, i, s, "{how}", include_self = {include})\n' for name, how in zip('abcde', ('sum', 'prod', 'mean', 'amax', 'amin'))) + 'return (a, b, c, d, e)',
             {'x': (dt, x), 'i': ('i64', [[0, 1, 1], [0, 1, 2]]), 's': (dt, values)})
ordered('scatter_reduce in place', 'x.scatter_reduce_(0, i, s, "amax", include_self = False)\nreturn (x,)', {'x': table, 'i': ('i64', [[0, 1, 1], [0, 1, 2]]), 's': rows})

ordered('index_add and its kin', 'a = torch.index_add(x, 0, i, s)\nb = x.index_add(0, i, s, alpha = 0.5)\nc = torch.index_copy(x, 0, i, s)\nd = torch.index_fill(x, 0, i, 7)\ne = x.index_fill(1, j, v)\nreturn (a, b, c, d, e)',
     {'x': table, 'i': ('i64', [3, 0, 3]), 's': rows, 'j': ('i64', [-1, 0]), 'v': ('f32', 2.5)})
ordered('index_add and its kin, in place', 'x.index_add_(0, i, s)\ny.index_copy_(0, i, s)\nz.index_fill_(0, i, -1.5)\nreturn (x, y, z)', {'x': table, 'y': table, 'z': table, 'i': ('i64', [3, 0, 3]), 's': rows})
ordered('index_add along another dim', 'a = x.index_add(1, i, s)\nb = x.index_copy(-1, i, s)\nreturn (a, b)', {'x': table, 'i': ('i64', [2, 0]), 's': ('f32', [[1., 2.], [3., 4.], [5., 6.], [7., 8.]])})
ordered('index_add of integers and bools', 'a = x.index_add(0, i, x)\nb = y.index_add(0, i, y)\nc = y.index_fill(0, i, True)\nreturn (a, b, c)', {'x': ('i8', [100, 27, -128]), 'y': ('b8', [True, False, False]), 'i': ('i64', [0, 0, 2])})
ordered('index_add of a number', 'a = x.index_add(0, i, s)\nb = x.index_copy(0, i, s)\nreturn (a, b)', {'x': ('f32', 3.), 'i': ('i64', [0]), 's': ('f32', 4.)})
ordered('a cache that is written by position', 'k.index_copy_(2, p, n)\nv[:, :, p] = n\nreturn (k, v)', {'k': ('f32', [[[[0., 0.]] * 6] * 2]), 'v': ('f32', [[[[0., 0.]] * 6] * 2]), 'p': ('i64', [4]), 'n': ('f32', [[[[1., 2.]], [[3., 4.]]]])})

values = {'x': table, 'i': ('i64', [0, -1, 0]), 'j': ('i64', [2, 1, 2]), 's': ('f32', [.5, 10., 100.])}
ordered('index_put', 'a = torch.index_put(x, (i, j), s)\nb = x.index_put((i, j), s, accumulate = True)\nc = x.index_put([i], s)\nd = torch.ops.aten.index_put.default(x, [None, j], s.unsqueeze(0))\n'
     'e = torch.ops.aten._unsafe_index_put.default(x, [i, None], s, True)\nf = torch.ops.aten.index_put(x, [i[:, None], j], s)\nreturn (a, b, c, d, e, f)', values)
ordered('index_put in place', 'x.index_put_((i, j), s)\ntorch.ops.aten.index_put_.default(y, [i], s, True)\ntorch.ops.aten._index_put_impl_.default(z, [None, j], s, True)\nreturn (x, y, z)', {**values, 'y': table, 'z': table})
ordered('writes by indices', 'x[i, j] = s\ny[i] = s\ny[:, j] = 3\nz[1:, j] += 1.0\nz[..., 0] = 9\nreturn (x, y, z)', {**values, 'y': table, 'z': table})
ordered('writes by indices apart', 'x[i, :, j] = s\ny[i, :, 1] = 5\nz[:, i, j] = t\nw[0, i] = 7.\nw[i, None, 1] = -2.\nreturn (x, y, z, w)',
     {'i': ('i64', [0, -1, 0]), 'j': ('i64', [2, 1, 2]), 'x': ('f32', torch.zeros(3, 5, 4).tolist()), 'y': ('f32', torch.zeros(3, 5, 4).tolist()), 'z': ('f32', torch.zeros(3, 5, 4).tolist()),
      'w': ('f32', torch.zeros(3, 5, 4).tolist()), 's': ('f32', torch.randn(3, 5).tolist()), 't': ('f32', torch.randn(3, 3).tolist())})
ordered('writes by indices of two dims', 'x[p] = s\ny[p, q] = 1\nz[:, p] = t\nreturn (x, y, z)',
     {'p': ('i64', [[0, 1], [1, 2]]), 'q': ('i32', [3, 0]), 'x': ('f32', torch.zeros(3, 4).tolist()), 'y': ('f32', torch.zeros(3, 4).tolist()), 'z': ('f32', torch.zeros(2, 3, 4).tolist()), 's': ('f32', torch.randn(2, 2, 4).tolist()),
      't': ('f32', torch.randn(2, 2, 4).tolist())})
ordered('a permutation undone', 'y = torch.empty_like(p)\ny[p] = torch.arange(6)\nreturn (y,)', {'p': ('i64', [3, 0, 5, 1, 4, 2])})
ordered('writes of what is read', 'x[i] = x[j] + x[i]\ny[i] = y.index_select(0, j)\nreturn (x, y)', {'i': ('i64', [0, 1, 2]), 'j': ('i64', [1, 2, 3]), 'x': table, 'y': ('f32', [[1.], [2.], [3.], [4.]])})
mask = ('b8', [[True, False, True], [False, False, True], [True, True, False], [False, False, False]])
ordered('writes by masks', 'x[m] = 5.0\ny[m] = s\nz[r] = 1\na = w.masked_scatter(m, s)\nb = w.index_put((m,), v)\nc = w.index_put((m,), v, accumulate = True)\nd = torch.masked_scatter(v, m, s)\nreturn (x, y, z, a, b, c, d)',
     {'x': table, 'y': table, 'z': table, 'w': table, 'm': mask, 's': ('f32', [1., 2., 3., 4., 5.]), 'r': ('b8', [True, False, False, True]), 'v': ('f32', -7.)})
ordered('writes by masks beside other indices', 'x[:, c] = 5.0\ny[..., c] = v\nz[1:3, c] = v\nw[0, c] = -1.0\nq[:, m] = 2\np[None, 1:, c] = v\na = torch.ops.aten.index_put.default(t, [None, c], v)\n'
        'b = torch.ops.aten.index_put.default(t, [None, c], v, True)\nd = t.masked_fill(c, v)\ne = t.masked_fill(r[:, None], 3)\nk[r, None] = 7\nreturn (x, y, z, w, q, p, a, b, d, e, k)',
        {'x': table, 'y': table, 'z': table, 'w': table, 'p': table, 't': table, 'q': ('f32', torch.zeros(2, 4, 3).tolist()), 'k': ('i64', torch.zeros(4, 3).tolist()), 'm': mask,
         'c': ('b8', [True, False, True]), 'r': ('b8', [True, False, False, True]), 'v': ('f32', -7.)})
ordered('writes by masks of a symbolic size', 'x[:, c] = v\ny[r] = 1.0\nreturn (x, y)',
        {'x': ('f32', table[1], '4, s0'), 'y': ('f32', table[1], 's1, 3'), 'c': ('b8', [True, False, True], 's0'), 'r': ('b8', [True, False, False, True], 's1'), 'v': ('f32', -7.)},
        symbols={'s0': 3, 's1': 4})
ordered('a mask of another size', 'x[:, c] = 1.0\nreturn (x,)', {'x': table, 'c': ('b8', [True, False])}, refused='A mask has another size than dim 1')
ordered('several values by masks', 'x[:, c] = s\ny[:, c] = f\nz[r] = u\nw[r] = v\nk[r, :] = v[None]\na = t.index_put((r,), u, accumulate = True)\nb = torch.ops.aten.index_put.default(t, [None, c], v[:2])\nd = t.index_put((m,), g)\n'
        'e = t.index_put((m,), g, accumulate = True)\nq[:, r] = h\nreturn (x, y, z, w, k, a, b, d, e, q)',
        {'x': table, 'y': table, 'z': table, 'w': table, 'k': table, 't': table, 'm': mask, 'c': ('b8', [True, False, True]), 'r': ('b8', [True, False, False, True]), 's': ('f32', [[1.], [2.], [3.], [4.]]),
         'f': ('f32', [[1., 2.], [3., 4.], [5., 6.], [7., 8.]]), 'v': ('f32', [-1., -2., -3.]), 'u': ('f32', [[1., 2., 3.], [4., 5., 6.]]), 'g': ('f32', [float(i) for i in range(20, 20 + sum(map(sum, mask[1])))]), 'q': ('f32', torch.zeros(2, 4, 3).tolist()),
         'h': ('f32', torch.arange(12.).reshape(2, 2, 3).tolist())})
ordered('writes of another dtype', 'a = x.index_fill(0, i, 2)\nx[i] = 3\nb = y.scatter(0, i, 1.0)\nreturn (x, a, b)', {'x': ('bf16', [1., 2., 3.]), 'y': ('f16', [1., 2., 3.]), 'i': ('i64', [1, 1])})
ordered('writes of a symbolic size', 'a = x.index_add(0, i, s)\nb = torch.zeros_like(x).index_put((i,), s)\nreturn (a, b)', {'x': ('f32', [[1., 2.], [4., 8.], [9., 1.]], 's0, 2'), 'i': ('i64', [2, 0, 2, 2], 's1'),
     's': ('f32', [[1., 2.], [3., 4.], [5., 6.], [7., 8.]], 's1, 2')}, symbols={'s0': 3, 's1': 4})
for i, (text, index) in enumerate([('x.index_add(0, i, s)', [0, 4, 1]), ('x.index_copy(0, i, s)', [0, -1, 1]), ('x.index_put((i,), s)', [0, -5, 1]), ('x.scatter(0, i[:, None].expand(3, 3), s)', [0, 1, -1]),
                                   ('x.index_fill(0, i, 1.0)', [5, 0, 0])]):
    ordered(f'an index to write at out of range, {i}', f'y = {text}\nreturn (y,)', {'x': table, 'i': ('i64', index), 's': rows}, refused='put_|index|is out of range|dim 0')

# --- order
for dt in ('f32', 'f64', 'f16', 'bf16'):
    ordered(f'order of {dt}: corners', 'a, i = torch.sort(x)\nb, j = x.sort(descending = True)\nc = torch.argmax(x)\nd = torch.argmin(x)\ne, k = x.max(0)\nf, l = x.min(0)\nreturn (a, i, b, j, c, d, e, k, f, l)'.replace('torch.sort(x)', 'torch.sort(x, stable = True)').replace('descending = True', 'descending = True, stable = True'),
            {'x': (dt, corners)})
for dt in ('i64', 'i32', 'i8', 'u8', 'b8'):
    values = i64s if dt == 'i64' else [1, 0, 1, 1, 0] if dt == 'b8' else [100, 27, 1, 0, 5, 5, 100]
    ordered(f'order of {dt}', 'a, i = torch.sort(x, stable = True)\nb, j = x.sort(descending = True, stable = True)\nc = torch.argmax(x.to(torch.int64))\nd = torch.argmin(x.to(torch.int64))\ne, k = x.max(0)\nf, l = x.min(0)\nreturn (a, i, b, j, c, d, e, k, f, l)', {'x': (dt, values)})
ordered('sorts along dims', 'a, i = torch.sort(x, dim = 0)\nb, j = x.sort(1, descending = True)\nc = torch.argsort(x, -1)\nd = torch.msort(x)\ne = x.argsort(dim = 0, descending = True)\nreturn (a, i, b, j, c, d, e)', {'x': ('f32', cube)})
for n in (1, 2, 63, 64, 65, 128, 200, 517):
    ordered(f'a sort of {n}', 'a, i = torch.sort(x, stable = True)\nb, j = torch.sort(x, descending = True, stable = True)\nreturn (a, i, b, j)', {'x': ('f32', (torch.randn(2, n) * 20).round().tolist())})
for s in (1, 5, 64, 150):
    ordered(f'a sort of a symbolic size, {s}', 'a, i = torch.sort(x, stable = True)\nreturn (a, i)', {'x': ('f32', (torch.randn(s) * 20).round().tolist(), 's0')}, symbols={'s0': s})
ordered('sorts of a number and of nothing', 'a, i = torch.sort(x)\nb, j = torch.sort(y)\nc, k = torch.topk(x, 1)\nd, l = x.max(0)\ne = x.argmax()\nreturn (a, i, b, j, c, k, d, l, e)', {'x': ('f32', 3.), 'y': ('f32', [])})
ordered('the best of all', 'a = torch.argmax(x)\nb = x.argmin(keepdim = True)\nc = x.argmax(1, True)\nd = x.argmin(0)\ne, i = x.max(-1, keepdim = True)\nf, j = torch.min(x, 0)\ng, h = torch.aminmax(x)\nk, l = x.aminmax(dim = 0)\nreturn (a, b, c, d, e, i, f, j, g, h, k, l)'.replace('\ng, h = torch.aminmax(x)', '').replace(' g, h,', ''),
        {'x': ('f32', many)})
distinct = torch.randperm(3 * 128).reshape(3, 128).float()
for k in (1, 2, 8, 16, 17, 40):
    ordered(f'the best {k}', f'a, i = torch.topk(x, {k})\nb, j = x.topk({k}, largest = False)\nreturn (a, i, b, j)', {'x': ('f32', distinct.tolist())})
ordered('the best along another dim', 'a, i = torch.topk(x, 2, 1)\nb, j = x.topk(3, dim = 0, largest = False)\nreturn (a, i, b, j)', {'x': ('f32', cube)})
ordered('the best with NaN', 'a, i = torch.topk(x, 3)\nb, j = x.topk(6, largest = False)\nreturn (a, b, j)', {'x': ('f32', [3., nan, 1., -inf, 2., inf])})
ordered('the best of a softmax', 'p = torch.softmax(x, -1)\na, i = torch.topk(p, 4)\nw = a / a.sum(-1, keepdim = True)\nreturn (w, i)', {'x': ('f32', (distinct / 50).tolist())}, near=1e-6)
ordered('kthvalue and median', 'a, i = torch.kthvalue(x, 7)\nb, j = x.kthvalue(2, 0, True)\nc, k = torch.median(x, 1)\nd = x.median()\ne, l = x.median(dim = 0, keepdim = True)\nreturn (a, i, b, j, c, k, d, e, l)', {'x': ('f32', distinct[:, :31].tolist())})
ordered('median with NaN', 'a, i = torch.median(x, 1)\nb = x.median()\nreturn (a, i, b)', {'x': ('f32', [[3., nan, 1., nan], [1., 2., 4., 3.]])})

# --- looking up
look = {'b': ('f32', [1., 2., 2., 3.]), 'v': ('f32', [0., 1., 2., 2.5, 3., 4., nan, inf, -inf])}
ordered('looking up', 'a = torch.searchsorted(b, v)\nc = torch.searchsorted(b, v, right = True)\nd = torch.bucketize(v, b)\ne = torch.bucketize(v, b, right = True)\nf = torch.searchsorted(b, v, side = "right", out_int32 = True)\nreturn (a, c, d, e, f)', look)
ordered('looking up in rows', 'a = torch.searchsorted(b, v)\nreturn (a,)', {'b': ('f32', [[1., 2., 3.], [4., 4., 9.]]), 'v': ('f32', [[0., 2.], [4., 10.]])})
ordered('what is among others', 'a = torch.isin(x, y)\nb = torch.isin(x, 2)\nc = torch.isin(f, g)\nd = torch.isin(x, y, invert = True)\nreturn (a, b, c, d)', {'x': ('i64', [[1, 2], [3, 9]]), 'y': ('i64', [2, 9, 7]), 'f': ('f32', [1., nan]), 'g': ('f32', [nan, 1.])})
ordered('one_hot', 'a = torch.nn.functional.one_hot(x, 4)\nreturn (a,)', {'x': ('i64', [[1, 0], [3, 1]])})
