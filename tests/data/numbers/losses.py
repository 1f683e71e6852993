#!/usr/bin/env python3
"""Writes losses.txt: losses, norms whose statistics are results or are written, what goes back from windows, and resizing by more elements.
Where torch is:

    python3 tests/data/numbers/losses.py > tests/data/numbers/losses.txt
"""
import torch

from case import case

torch.manual_seed(0)
F = 'torch.nn.functional.'
ATEN = 'torch.ops.aten.'


def bodies(name, statements, inputs, near=0, **more):
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, **more)


def some(*dims):
    return ((torch.randn(*dims) * 8).round() / 8 + 0.0).tolist()


x, y, t, side = some(4, 5), some(4, 5), [0, 3, 4, 1], [1, -1, -1, 1]
for dt, near, absolute in (('f32', 4e-6, 1e-6), ('bf16', 1.6e-2, 2e-2)):
    pair = {'x': (dt, x), 'y': (dt, y)}
    ends = {'s': (dt, [float(v) for v in side])}
    bodies(f'losses of two of {dt}', [F + "cosine_embedding_loss(x, y, s, reduction = 'none')", F + 'cosine_embedding_loss(x, y, s, 0.25)', F + "cosine_embedding_loss(x, y, s, reduction = 'sum')",
                                      F + 'margin_ranking_loss(x[:, 0], y[:, 0], s)', F + "margin_ranking_loss(x[:, 0], y[:, 0], s, margin = 0.5, reduction = 'none')",
                                      F + 'soft_margin_loss(x[:, 0], s)', F + "soft_margin_loss(x[:, 1], s, reduction = 'none')", F + 'hinge_embedding_loss(x[:, 0], s)',
                                      F + "hinge_embedding_loss(x[:, 1], s, 0.5, reduction = 'none')", F + 'triplet_margin_loss(x, y, x + 1)', F + "triplet_margin_loss(x, y, x + 0.5, 2.0, p = 1.0, reduction = 'none')",
                                      F + "triplet_margin_loss(x, y, x + 0.5, 2.0, swap = True, reduction = 'none')", ATEN + 'triplet_margin_loss.default(x, y, x + 1)'], {**pair, **ends}, near, absolute=absolute)
    bodies(f'losses of counts of {dt}', [F + 'poisson_nll_loss(x, y.abs())', F + "poisson_nll_loss(x, y.abs() * 4, full = True, reduction = 'none')",
                                         F + "poisson_nll_loss(x.abs(), y.abs(), log_input = False, reduction = 'sum')", F + "poisson_nll_loss(x.abs(), y.abs(), log_input = False, full = True, eps = 1e-2)"],
           pair, near, absolute=absolute)
    if dt == 'f32':
        bodies(f'losses by margins of {dt}', [F + 'multi_margin_loss(x, t)', F + "multi_margin_loss(x, t, p = 2, margin = 0.5, weight = y[0], reduction = 'none')", F + 'multi_margin_loss(x[0], t[0])',
                                              F + 'multilabel_margin_loss(x, m)', F + "multilabel_margin_loss(x, m, reduction = 'none')", F + 'multilabel_margin_loss(x[1], m[1])', F + 'multilabel_soft_margin_loss(x, (y > 0).to(x.dtype))',
                                              F + "multilabel_soft_margin_loss(x, (y > 0).to(x.dtype), y[0], reduction = 'none')"],
               {**pair, 't': ('i64', t), 'm': ('i64', [[0, 3, -1, 2, 2], [-1, 0, 1, 2, 3], [4, 3, 2, 1, 0], [1, -1, -1, -1, -1]])}, near, absolute=absolute)
bodies('losses at their ends', [F + 'soft_margin_loss(x, s)', F + "soft_margin_loss(x, s, reduction = 'none')", F + "hinge_embedding_loss(x, s, reduction = 'none')", F + "margin_ranking_loss(x, x * 2, s, reduction = 'none')"],
       {'x': ('f32', [float('inf'), float('nan'), -200.0, -0.0]), 's': ('f32', [1.0, -1.0, 1.0, -1.0])}, 1e-6)
bodies('losses of integers', [F + "cosine_embedding_loss(a, b, s, reduction = 'none')", F + 'margin_ranking_loss(a[:, 0], b[:, 0], s)', F + "triplet_margin_loss(a, b, a * 2, reduction = 'none')",
                              F + "poisson_nll_loss(b, a, full = True, reduction = 'none')", 'torch.pairwise_distance(a, b)'],
       {'a': ('i64', [[1, 2, 3], [4, 0, 6]]), 'b': ('i64', [[3, -2, 1], [0, 5, 2]]), 's': ('i64', [1, -1])}, 2e-6)

image, row, volume, w, b = some(2, 4, 4, 5), some(2, 4, 9), some(1, 2, 3, 4, 4), some(4), some(4)
for dt, near, absolute in (('f32', 4e-6, 2e-6), ('bf16', 1.6e-2, 2e-2)):
    stats = {'x': (dt, image), 'm': (dt, some(4)), 'v': (dt, [0.5, 1.5, 2.0, 0.25]), 'w': (dt, w), 'b': (dt, b)}
    for name, call in (('batch_norm', F + 'batch_norm(x, m, v, w, b, True, 0.3, 1e-3)'), ('instance_norm', F + 'instance_norm(x, m, v, w, b, True, 0.3, 1e-3)')):
        case(f'{name} moves on what runs, of {dt}', f'm = m.clone()\nv = v.clone()\ny = {call}\nreturn (y, m, v)', stats, near=near, absolute=absolute)
    case(f'native_batch_norm of {dt}', f'm = m.clone()\nv = v.clone()\nt = torch.native_batch_norm(x, w, b, m, v, True, 0.1, 1e-3)\ne = torch.native_batch_norm(x, w, b, m, v, False, 0.1, 1e-3)\n'
         f'return (t[0], t[1], t[2], m, v, e[0], e[1])', stats, near=near, absolute=absolute)
    case(f'_native_batch_norm_legit_functional of {dt}', f't = {ATEN}_native_batch_norm_legit_functional.default(x, w, None, m, v, True, 0.1, 1e-3)\nu = {ATEN}_native_batch_norm_legit.no_stats(x, w, b, True, 0.1, 1e-3)\n'
         f'n = {ATEN}_batch_norm_with_update_functional.default(x, w, b, m, v, 0.25, 1e-3)\nreturn (t[0], t[1], t[2], t[3], t[4], m, u[0], u[1], u[2], n[0], n[1], n[2], n[4], n[5])', stats, near=near, absolute=absolute)
    case(f'statistics of rows and of groups of {dt}', f'l = torch.native_layer_norm(x, [5], None, None, 1e-3)\nk = {ATEN}native_layer_norm.default(x, [4, 5], None, None, 1e-5)\ng = {ATEN}native_group_norm.default(x, w, b, 2, 4, 20, 2, 1e-5)\n'
         'return (l[0], l[1], l[2], k[1], k[2], g[0], g[1], g[2])', stats, near=near, absolute=absolute)
    case(f'windows and back, of {dt}', '\n'.join([f'p = {F}max_pool2d(x, 2, 2, return_indices = True)', f's = {F}max_pool2d(x[..., :4], 2, 2, return_indices = True)', f'q = {F}max_pool1d(y, 3, return_indices = True)', f'o = {F}max_pool3d(z, 2, return_indices = True)',
                                                  f'i = torch.nn.functional.max_pool2d_with_indices(x, 3, 1, return_indices = True)',
                                                  f'r0 = {F}max_unpool2d(s[0], s[1], 2)', f'r1 = {F}max_unpool2d(p[0], p[1], 2, 2, 0, output_size = [2, 4, 4, 5])', f'r2 = {F}max_unpool1d(q[0], q[1], 3)',
                                                  f'r3 = {F}max_unpool3d(o[0], o[1], 2)', f'r4 = {ATEN}max_unpool2d.default(p[0], p[1], [4, 5])', 'return (r0, r1, r2, r3, r4, i[0], i[1])']),
         {'x': (dt, image), 'y': (dt, row), 'z': (dt, volume)})
    case(f'where the maxima of adaptive windows lie, of {dt}', '\n'.join([f'a = {F}adaptive_max_pool2d(x, (3, 2), return_indices = True)', f'b = {F}adaptive_max_pool1d(y, 4, True)', f'c = {F}adaptive_max_pool3d(z, (2, None, 1), True)',
                                                                            f'd = {ATEN}adaptive_max_pool2d.default(x, [1, 1])', 'return (a[0], a[1], b[1], c[0], c[1], d[0], d[1])']),
         {'x': (dt, image), 'y': (dt, row), 'z': (dt, volume)})
    bodies(f'resizing {dt} by more elements', [F + "interpolate(x, (7, 3), mode = 'bicubic')", F + "interpolate(x, (7, 3), mode = 'bicubic', align_corners = True)", F + "interpolate(x, scale_factor = (0.5, 1.5), mode = 'bicubic')",
                                               F + "interpolate(x, (3, 2), mode = 'area')", F + "interpolate(y, 4, mode = 'area')",
                                               ATEN + 'upsample_bicubic2d.default(x, [8, 8], False)',
                                               F + 'upsample_bilinear(x, scale_factor = 2)', F + 'upsample_nearest(x, (8, 10))', F + "upsample(y, 5, None, 'linear')"], {'x': (dt, image), 'y': (dt, row)}, near, absolute=absolute)
bodies('resizing against aliasing', [F + "interpolate(x, (2, 3), mode = 'bilinear', antialias = True)", F + "interpolate(x, (3, 9), mode = 'bicubic', antialias = True)", ATEN + '_upsample_bilinear2d_aa.default(x, [2, 2], True)'], {'x': ('f32', image)}, 4e-6, absolute=2e-6)
grid, places = some(2, 3, 3, 2), some(1, 2, 3, 2, 3)
bodies('elements at places that a tensor gives', [F + f"grid_sample(x, g, '{mode}', '{padding}', {corners})" for mode in ('bilinear', 'nearest', 'bicubic') for padding in ('zeros', 'border', 'reflection') for corners in (False, True)],
       {'x': ('f32', image), 'g': ('f32', grid)}, 4e-6, absolute=4e-6)
bodies('elements at places in three dimensions', [f'torch.grid_sampler_3d(x, g, {mode}, {padding}, {corners})' for mode in (0, 1) for padding in (0, 1, 2) for corners in (False, True)],
       {'x': ('f32', volume), 'g': ('f32', places)}, 4e-6, absolute=4e-6)
whole = lambda *dims: torch.randint(-4, 5, dims).tolist()
bodies('convolutions of integers', [F + 'conv1d(x, w, b)', F + 'conv1d(x, w, b, 2, 1, 2)', F + 'conv_transpose1d(x, w, None, 2)', F + 'conv1d(x, w[:, :1], b, groups = 2)', F + 'linear(x, w[:, 0, :1].expand(2, 7), b)'],
       {'x': ('i64', whole(2, 2, 7)), 'w': ('i64', whole(2, 2, 3)), 'b': ('i64', [1, -1])})
bodies('convolutions in three dimensions', [F + 'conv_transpose3d(x, w)', F + 'conv_transpose3d(x, w, None, 2, 1, 1)', F + 'conv3d(x, w, None, groups = 1)', F + 'conv3d(x, w[:, :1], None, padding = 1, groups = 2)',
                                            F + 'conv_transpose3d(x, w[:, :1], None, groups = 2)', 'torch.ops.aten.convolution.default(x, w, None, [1, 1, 1], [0, 0, 0], [1, 1, 1], True, [0, 0, 0], 1)'],
       {'x': ('f32', volume), 'w': ('f32', some(2, 2, 2, 2, 3))}, 4e-6, absolute=4e-6)
case('running means of a symbolic batch', f'm = m.clone()\nv = v.clone()\ny = {F}batch_norm(x, m, v, None, None, True)\nreturn (y, m, v)',
     {'x': ('f32', some(3, 4, 2), 's0, 4, 2'), 'm': ('f32', w), 'v': ('f32', [1.0, 2.0, 3.0, 4.0])}, symbols={'s0': 3}, near=4e-6)
bodies('bilinear as aten has it', ['torch.ops.aten._trilinear.default(x, w, y, [1, 3], [0], [1, 2], [2, 3])', F + 'bilinear(x, y, w)'], {'x': ('f32', some(3, 2)), 'w': ('f32', some(4, 2, 5)), 'y': ('f32', some(3, 5))}, 4e-6, absolute=2e-6)

torch.manual_seed(7)
P3 = torch.randn(6, 3, 5).log_softmax(2)
ctc = {'x': ('f32', P3.tolist()), 't': ('i64', [[1, 2, 2], [3, 1, 4], [4, 4, 4]]), 'n': ('i64', [6, 5, 4]), 'm': ('i64', [3, 2, 0])}
for reduction in ('none', 'mean', 'sum'):
    case(f'ctc_loss, {reduction}', f"a = torch.nn.functional.ctc_loss(x, t, n, m, reduction = '{reduction}')\nb = torch.nn.functional.ctc_loss(x, t, (6, 6, 6), (2, 3, 1), blank = 0, reduction = '{reduction}')\n"
         f"c = torch.nn.functional.ctc_loss(x, t.to(torch.int32), n, m, 2, '{reduction}', True)\nreturn (a, b, c)", ctc, near=1e-5, absolute=1e-5)
case('ctc_loss of one', "a = torch.nn.functional.ctc_loss(x[:, 0], t[0], n[0], m[0], reduction = 'none')\nb = torch.ctc_loss(x, t, n, m, 0, 2, False)\nc = torch.nn.functional.ctc_loss(x.double(), t, n, m)\nreturn (a, b, c)", ctc, near=1e-5, absolute=1e-5)
case('ctc_loss where nothing can be aligned', "a = torch.nn.functional.ctc_loss(x, t, n, m, reduction = 'none')\nb = torch.nn.functional.ctc_loss(x, t, n, m, reduction = 'none', zero_infinity = True)\nreturn (a, b)",
     {**ctc, 'n': ('i64', [3, 1, 0]), 'm': ('i64', [3, 3, 0])}, near=1e-5, absolute=1e-5)
case('ctc_loss of labels behind each other', "a = torch.nn.functional.ctc_loss(x, t.flatten(), n, m)\nreturn (a,)", ctc, refused='only their lengths say where each begins')
