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

# --- the commonest, the middle one, places
rows = [[3., 1., 1., 3., 2.], [nan, nan, 5., 4., inf], [0., -0., 1., 2., 3.], [nan] * 5]
for dt in ('f32', 'f64', 'bf16', 'f16'):
    case(f'mode and nanmedian of {dt}', 'p = torch.mode(x)\na = p[0]\nb = p[1]\nq = x.mode(0, True)\nc = q[0]\nd = q[1]\nr = torch.nanmedian(x, -1)\ne = r[0]\nf = r[1]\n'
         's = x.nanmedian(0, keepdim = True)\ng = s[0]\nh = torch.nanmedian(x)\nreturn (a, b, c, d, e, f, g, h)', {'x': (dt, [[3., 1., 1., 3., 2.], [7., 7., 5., 4., inf], [4., 6., 1., 2., 3.]])})
    case(f'nanmedian of {dt} with NaN', 'r = torch.nanmedian(x, -1)\ne = r[0]\nh = torch.nanmedian(x)\nk = torch.nanmedian(x[3])\nreturn (e, h, k)', {'x': (dt, rows)})
case('mode and nanmedian of integers', 'p = torch.mode(x, 1)\na = p[0]\nb = p[1]\nq = torch.ops.aten.mode.default(x, 0)\nc = q[0]\nd = torch.nanmedian(x)\nt = torch.mode(z, 0)\ne = t[0]\nf = t[1]\n'
     'g = torch.nanmedian(z)\nreturn (a, b, c, d, e, f, g)', {'x': ('i64', [[5, -1, 5, -1], [2, 2, 2, 9]]), 'z': ('i32', 4)})
sparse = [[0., 1., nan], [-0., 0., 2.]]
for size in (0, 2, 3, 6, 8):
    case(f'nonzero_static of {size}', f'a = torch.nonzero_static(x, size = {size})\nb = x.nonzero_static(size = {size}, fill_value = 7)\nc = torch.ops.aten.nonzero_static.default(m, size = {size})\nreturn (a, b, c)',
         {'x': ('f32', sparse), 'm': ('b8', [True, False, True])})
for size in (0, 3):
    case(f'nonzero_static of {size} of nothing', f'a = torch.nonzero_static(x, size = {size})\nb = y.nonzero_static(size = {size}, fill_value = 7)\nreturn (a, b)', {'x': ('f32', [[], []]), 'y': ('b8', [])})
for dt in ('f64', 'f16', 'bf16'):
    case(f'angles of {dt}', 'a = torch.angle(x)\nreturn (a,)', {'x': (dt, [1.5, -1.5, 0., -0., nan, inf, -inf])})
case('places as numbers', 'a = torch.unravel_index(i, (2, 3, 4))\nb = a[0]\nc = a[1]\nd = a[2]\nreturn (b, c, d)', {'i': ('i64', [[0, 5, 23], [12, 11, 7]])})
case('which of those that differ', 'p = torch.unique_consecutive(x, return_inverse = True)\na = p[1]\nq = torch.ops.aten.unique_consecutive.default(y, True, True)\nb = q[1]\nr = x.unique_consecutive(return_inverse = True, return_counts = True)\nc = r[1]\nreturn (a, b, c)',
     {'x': ('i64', [[1, 1, 2], [2, 2, 1]]), 'y': ('f32', [nan, nan, 1., 1., -0., 0.])})
case('what only the data says the size of', 'a: "i64[u0]" = torch.bincount(x)\nreturn (a,)', {'x': ('i64', [1, 2])}, refused='`bincount`|as many elements as values say')
case('a mask has as many elements as values say', 'a: "f32[u0]" = torch.masked_select(x, x > 0)\nreturn (a,)', {'x': ('f32', [1., 2.])}, refused='`masked_select`|as many elements as values say')
case('how many of each there are', 'p = torch.unique_consecutive(x, return_counts = True)\na = p[1] + 1\nreturn (a,)', {'x': ('i64', [1, 2])}, refused='as many elements as there are different ones')
case('random numbers', 'a = torch.rand_like(x)\nreturn (a,)', {'x': ('f32', [1., 2.])}, refused='`rand_like`|draws random numbers')

# --- as often as a tensor says; sums of groups
case('elements repeated by a tensor', 'a = torch.repeat_interleave(x, n, dim = 0, output_size = 6)\nb = x.repeat_interleave(m, 1, output_size = 5)\nc = torch.repeat_interleave(n, output_size = 6)\nd = torch.repeat_interleave(x, two, dim = 1, output_size = 4)\n'
     'e = torch.ops.aten.repeat_interleave.Tensor(n, output_size = 6)\nf = torch.repeat_interleave(y, k, output_size = 4)\nreturn (a, b, c, d, e, f)',
     {'x': ('f32', [[1., 2.], [3., 4.], [5., 6.]]), 'n': ('i64', [3, 0, 3]), 'm': ('i64', [1, 4]), 'two': ('i64', [2]), 'y': ('i32', [[7, 8], [9, 10]]), 'k': ('i64', [0, 1, 1, 2])})
case('elements repeated by a tensor, a size that nothing says', 'a = torch.repeat_interleave(x, n, dim = 0)\nreturn (a,)', {'x': ('f32', [1., 2.]), 'n': ('i64', [3, 0])}, refused='`output_size` has to say')
bags = {'i': ('i64', [1, 2, 0, 3, 3, 1]), 'o': ('i64', [0, 2, 2, 5]), 'm': ('i64', [[1, 2], [3, 3], [0, 2]]), 'e': ('i64', [0, 3, 6])}
for dt, near in (('f32', 1e-6), ('f64', 1e-12), ('bf16', 1e-2)):
    table = {'w': (dt, torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).tolist()), **bags}
    for mode in ('sum', 'mean', 'max'):
        case(f'{mode} of bags of {dt}', f'F = torch.nn.functional.embedding_bag(i, w, o, mode = "{mode}")\na = torch.nn.functional.embedding_bag(m, w, mode = "{mode}")\n'
             f'b = torch.nn.functional.embedding_bag(i, w, e, mode = "{mode}", include_last_offset = True)\nc = torch.nn.functional.embedding_bag(i, w, o, mode = "{mode}", padding_idx = 3)\n'
             f'd = torch.nn.functional.embedding_bag(m, w, mode = "{mode}", padding_idx = -1)\ng = torch.ops.aten._embedding_bag.default(w, i, o, False, {["sum", "mean", "max"].index(mode)})\nh = g[0]\nreturn (F, a, b, c, d, h)', table, near=near)
    case(f'bags of {dt}, weighed', 'F = torch.nn.functional.embedding_bag(i, w, o, mode = "sum", per_sample_weights = p)\nreturn (F,)', {**table, 'p': (dt, [0.5, 2., -1., 0.25, 3., 1.])}, near=near)
case('searched in a given order', 'a = torch.searchsorted(s, v, sorter = k)\nb = torch.searchsorted(s, v, right = True, sorter = k)\nreturn (a, b)',
     {'s': ('f32', [[5., 1., 3.], [0., 2., 1.]]), 'v': ('f32', [[1., 6., 0.], [1., 2., 3.]]), 'k': ('i64', [[1, 2, 0], [0, 2, 1]])})

# --- what is written where numbers say
for dt in ('f32', 'i64', 'bf16'):
    for how in ('prod', 'mean', 'amax', 'amin'):
        case(f'index_reduce {how} of {dt}', f'a = torch.index_reduce(x, 0, i, s, "{how}")\nb = x.index_reduce(0, i, s, "{how}", include_self = False)\nx.index_reduce_(0, i, s, "{how}")\nreturn (a, b, x)',
             {'x': (dt, [[1, 2], [3, 4], [5, 6]]), 'i': ('i64', [0, 2, 0, 0]), 's': (dt, [[2, 2], [4, -8], [6, 1], [4, 4]])}, near=1e-2 if dt == 'bf16' else 1e-6)
case('put counts through all', 'a = torch.put(x, i, s)\nb = x.put(i, s, True)\ny.put_(i, s)\nreturn (a, b, y)', {'x': ('f32', [[1., 2., 3.], [4., 5., 6.]]), 'y': ('f32', [[1., 2., 3.], [4., 5., 6.]]), 'i': ('i64', [[0, -1], [4, 2]]), 's': ('f32', [[9., 8.], [7., 6.]])})

# --- small ones
m3 = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(2)).tolist()
n3 = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3)).tolist()
case('products of vectors', 'a = torch.cross(x, y, dim = 1)\nb = torch.linalg.cross(x.mT, y.mT)\nc = torch.ops.aten.linalg_cross.default(x, y, dim = 1)\nd = torch.cross(x, y)\ne = torch.linalg.vecdot(x, y)\nf = torch.linalg.vecdot(x, y, dim = 1)\nreturn (a, b, c, d, e, f)',
     {'x': ('f32', m3), 'y': ('f32', n3)}, near=1e-5, absolute=1e-6)
case('traces, signs as angles, powers of two', 'a = torch.trace(x)\nb = torch.trace(i)\nc = torch.angle(v)\nd = torch.angle(i)\ne = torch.ldexp(v, k)\nf = v.conj()\ng = torch.real(v)\nh = v.resolve_conj()\nreturn (a, b, c, d, e, f, g, h)',
     {'x': ('f32', [[1., 2., 3.], [4., 5., 6.]]), 'i': ('i64', [[1, -2], [3, 4]]), 'v': ('f32', [0., -0., -1., nan, inf, -inf, 2.]), 'k': ('i64', [1, 2, -3, 4, 5, 6, 10])})
case('near ones', 'a = torch.isclose(x, y)\nb = torch.isclose(x, y, equal_nan = True)\nc = torch.isclose(x, y, rtol = 0.5, atol = 0.25)\nd = torch.isclose(i, j, atol = 1)\nreturn (a, b, c, d)',
     {'x': ('f32', [1., 1.000001, 1.1, nan, inf, -inf, 0., inf]), 'y': ('f32', [1., 1., 1., nan, inf, inf, 1e-9, 1.]), 'i': ('i64', [1, 2, 3]), 'j': ('i64', [1, 3, 5])})
case('distances of pairs', 'a = torch.pdist(x)\nb = torch.nn.functional.pdist(x, 1.0)\nc = torch.ops.aten._pdist_forward.default(x, 2.0)\nd = torch.ops.aten._cdist_forward.default(x, x[:2], 2.0, None)\ne = torch.pdist(x[:1])\nreturn (a, b, c, d, e)',
     {'x': ('f32', torch.randn(5, 3, generator=torch.Generator().manual_seed(4)).tolist())}, near=1e-5, absolute=1e-3)
case('softmax of rows without anything', 'a = torch.ops.aten._safe_softmax.default(x, -1)\nb = torch.ops.aten._safe_softmax.default(x, 0)\nreturn (a, b)', {'x': ('f32', [[-inf, -inf], [1., -inf], [nan, 1.]])}, near=1e-6)
case('what was broadcast added up', 'a = x.sum_to_size(3, 1)\nb = x.sum_to_size(4)\nc = x.sum_to_size([2, 3, 4])\nd = x.sum_to_size(1, 1)\nreturn (a, b, c, d)', {'x': ('f32', m3)}, near=1e-5, absolute=1e-6)
case('other names', 'a = torch.ops.aten.native_channel_shuffle.default(x, 3)\nb = torch.ops.aten._unsafe_index.Tensor(x, [i])\np = torch.ops.aten._fused_rms_norm.default(x, [4], w, 1e-5)\nc = p[0]\nq = torch.ops.aten.native_dropout.default(x, 0.5, False)\nd = q[0]\ne = q[1]\nreturn (a, b, c, d, e)',
     {'x': ('f32', m3), 'i': ('i64', [1, 0, 1]), 'w': ('f32', [1., 2., 3., 4.])}, near=1e-6)

# --- images
image = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(5)).tolist()
grid = (torch.rand(2, 3, 4, 2, generator=torch.Generator().manual_seed(6)) * 3 - 1.5).tolist()
for padding in ('zeros', 'border', 'reflection'):
    case(f'sampled by a grid, {padding}', ''.join(f'{n} = torch.nn.functional.grid_sample(x, g, mode = "{mode}", padding_mode = "{padding}", align_corners = {corners})\n'
         for n, mode, corners in (('a', 'bilinear', True), ('b', 'bilinear', False), ('c', 'nearest', True), ('d', 'nearest', False)))
         + f'e = torch.ops.aten.grid_sampler_2d.default(x, g, 0, {["zeros", "border", "reflection"].index(padding)}, False)\nreturn (a, b, c, d, e)', {'x': ('f32', image), 'g': ('f32', grid)}, near=1e-5, absolute=1e-5)
case('sampled far outside', 'a = torch.nn.functional.grid_sample(x, g)\nb = torch.nn.functional.grid_sample(x, g, padding_mode = "border")\nreturn (a, b)',
     {'x': ('f32', [[[[1., 2.], [3., 4.]]]]), 'g': ('f32', [[[[1e6, 0.], [0., -1e6], [-1., -1.], [1., 1.], [0.5, 3.]]]])}, near=1e-5)
case('windows added up', 'a = torch.nn.functional.fold(x, (4, 5), (2, 3))\nb = torch.nn.functional.fold(y, (4, 4), 2, stride = 2)\nc = torch.ops.aten.col2im.default(z, [3, 3], [2, 2], [1, 1], [1, 1], [2, 2])\nd = torch.nn.functional.fold(w, (5, 5), (2, 2), dilation = 2)\nreturn (a, b, c, d)',
     {'x': ('f32', torch.arange(2 * 12 * 9.).reshape(2, 12, 9).tolist()), 'y': ('f32', torch.arange(8 * 4.).reshape(8, 4).tolist()), 'z': ('f32', torch.arange(1 * 4 * 4.).reshape(1, 4, 4).tolist()), 'w': ('f32', torch.arange(1 * 4 * 9.).reshape(1, 4, 9).tolist())})
case('batches by their own statistics', 'p = torch.ops.aten._native_batch_norm_legit.no_stats(x, w, b, True, 0.1, 1e-5)\nc = p[0]\nd = torch.nn.functional.batch_norm(x, None, None, w, b, True)\nq = torch.ops.aten._native_batch_norm_legit.default(x, w, b, m, v, False, 0.1, 1e-5)\ne = q[0]\nreturn (c, d, e)',
     {'x': ('f32', image), 'w': ('f32', [1., 2., 0.5]), 'b': ('f32', [0., 1., -1.]), 'm': ('f32', [0.1, 0.2, 0.3]), 'v': ('f32', [1., 2., 3.])}, near=1e-5, absolute=1e-5)
flat = torch.randn(2, 3, 7, 6, generator=torch.Generator().manual_seed(7))
flat[0, 0, 2, 3] = flat[0, 0, 1, 1] = nan
flat[0, 1] = -inf
flat[1, 1] = 2.
for dt in ('f32', 'bf16'):
    case(f'where maxima of {dt} lie', 'p = torch.nn.functional.max_pool2d_with_indices(x, 2)\na = p[0]\nb = p[1]\nq = torch.ops.aten.max_pool2d_with_indices.default(x, [3, 2], [2, 1], [1, 1], [2, 1])\nc = q[0]\nd = q[1]\n'
         'r = torch.nn.functional.max_pool2d(x, (3, 3), stride = 2, padding = 1, ceil_mode = True, return_indices = True)\ne = r[1]\ns = torch.nn.functional.max_pool1d_with_indices(x[0], 3, 2, 1, 3)\nf = s[1]\nreturn (a, b, c, d, e, f)', {'x': (dt, flat.tolist())})
case('where maxima of integers lie', 'p = torch.nn.functional.max_pool2d(x, 2, return_indices = True)\na = p[0]\nb = p[1]\nreturn (a, b)', {'x': ('i64', [[[1, 5, 5, 5], [5, 1, 2, 9]]])})
case('where maxima lie in space', 'p = torch.ops.aten.max_pool3d_with_indices.default(x, [2, 2, 2], [1, 2, 2], [1, 0, 1])\na = p[0]\nb = p[1]\nreturn (a, b)', {'x': ('f32', torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(8)).tolist())})

# --- targets
for target in ([1, 3], [0, -1]):
    case(f'a class out of range, {target}', 'a = torch.nn.functional.cross_entropy(x, t)\nreturn (a,)', {'x': ('f32', [[1., 2., 3.], [3., 2., 1.]]), 't': ('i64', target)}, refused='take|index|is out of range')
    case(f'a class out of range of logarithms, {target}', "a = torch.nn.functional.nll_loss(x, t, reduction = 'none')\nreturn (a,)", {'x': ('f32', [[1., 2., 3.], [3., 2., 1.]]), 't': ('i64', target)}, refused='take|index|is out of range')
case('numbers as tensors', 'a = torch.scalar_tensor(2)\nb = torch.scalar_tensor(True)\nc = torch.ops.aten.scalar_tensor.default(3, dtype = torch.int64)\nreturn (a, b, c, x)', {'x': ('f32', 1.)})
case('logical operators in place', 'a = x.logical_and_(y)\nb = m.logical_or_(x)\nc = torch.ops.aten.logical_xor_.default(i, y)\nd = k.logical_not_()\nreturn (a, b, c, d)',
     {'x': ('f32', [0., 2., nan]), 'y': ('i32', [1, 0, 3]), 'm': ('b8', [True, False, False]), 'i': ('i64', [0, 0, 5]), 'k': ('u8', [0, 1, 2])})
case('x log y of several dtypes', 'a = torch.xlogy(x, h)\nb = torch.special.xlog1py(x, h)\nc = torch.xlogy(d, i)\ne = torch.xlogy(h, x)\nf = torch.special.xlog1py(x, w)\nreturn (a, b, c, e, f)',
     {'x': ('f32', [-2., 1., 0.5]), 'h': ('f16', [44., 0.1, 7.]), 'd': ('f64', [3., -1., 0.25]), 'i': ('i64', [3, 7, 11]), 'w': ('f64', 0.3)}, near=1e-6)
F = 'torch.nn.functional'
case('what moves channels about is a copy', f'a = {F}.channel_shuffle(x, 2)\nb = {F}.pixel_shuffle(y, 2)\nc = torch.pixel_unshuffle(z, 1)\nx.fill_(7)\ny.fill_(8)\nz.fill_(9)\nreturn (a, b, c)',
     {'x': ('f32', [[[1.], [2.]]]), 'y': ('f32', [[[[1.]], [[2.]], [[3.]], [[4.]]]]), 'z': ('f32', [[[1., 2.]]])})
case('prims.div of integers', 'a = torch.ops.prims.div.default(x, y)\nb = torch.ops.prims.div.default(f, g)\nreturn (a, b)',
     {'x': ('i64', [7, -7, 8]), 'y': ('i64', [2, 2, -3]), 'f': ('f32', [1., 3.]), 'g': ('f32', [2., 4.])})
case('a dropout that drops nothing is a copy, and masked_scatter lies in order', 'p = torch.native_dropout(x, 0.5, False)\na = p[0]\nx.fill_(7)\ny = m.t().masked_scatter(k, z)\nv = y.flatten()\nv.fill_(5)\nreturn (a, y)',
     {'x': ('f32', [1., 2.]), 'm': ('f32', [[1., 2., 3.], [4., 5., 6.]]), 'k': ('b8', [[True, False], [False, True], [True, True]]), 'z': ('f32', [[1., 2.], [3., 4.], [5., 6.]])})
