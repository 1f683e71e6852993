#!/usr/bin/env python3
"""Writes backward.txt: gradients that are operators of their own.  Where torch is:

    python3 tests/data/numbers/backward.py > tests/data/numbers/backward.txt
"""
import warnings

import torch

from case import case

warnings.filterwarnings('ignore')
torch.manual_seed(0)
A = 'torch.ops.aten.'


def several(name, forms, inputs, near=1e-6, absolute=1e-6, **kinds):
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = {form}' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, absolute=absolute, **kinds)


def parts(name, call, count, inputs, near=1e-5, absolute=1e-5):
    """CALL gives COUNT results."""
    case(name, f'y = {call}\n' + '\n'.join(f'r{i} = y[{i}]' for i in range(count)) + f'\nreturn ({", ".join(f"r{i}" for i in range(count))},)', inputs, near=near, absolute=absolute)


EDGES = [-4.0, -3.0, -1.0, -0.5, -0.25, -0.0, 0.0, 0.25, 0.5, 1.0, 2.5, 3.0, 6.0, 25.0]
G = [1.0, -2.0, 0.5, 1.5, -1.0, 2.0, 0.25, 3.0, -0.75, 1.0, 1.25, -1.5, 2.0, 1.0]
for dtype, near in (('f32', 1e-6), ('bf16', 8e-3), ('f64', 1e-12)):
    g, x, t = (dtype, G), (dtype, EDGES), (dtype, torch.randn(14).tolist())
    several(f'functions of one, {dtype}', [f'{A}{call}' for call in (
        'gelu_backward.default(g, x)', "gelu_backward.default(g, x, approximate = 'tanh')", 'tanh_backward.default(g, x)', 'sigmoid_backward.default(g, x)', 'threshold_backward.default(g, x, 0)',
        'threshold_backward.default(g, x, 0.25)', 'hardtanh_backward.default(g, x, -1, 0.5)', 'hardsigmoid_backward.default(g, x)', 'hardswish_backward.default(g, x)', 'leaky_relu_backward.default(g, x, 0.01, False)',
        'elu_backward.default(g, 1.5, 2.0, 0.5, False, x)', 'elu_backward.default(g, 1.5, 2.0, 0.5, True, x)', 'softplus_backward.default(g, x, 2.0, 20.0)', 'silu_backward.default(g, x)', 'mish_backward.default(g, x)',
        'log_sigmoid_backward.default(g, x, x.abs().neg().exp())', 'hardshrink_backward.default(g, x, 0.5)', 'softshrink_backward.default(g, x, 0.5)')], {'g': g, 'x': x}, near, near)
    several(f'losses, {dtype}', [f'{A}{name}_backward.default({scale}, x, t, {reduction}{more})' for name, more in (('mse_loss', ''), ('smooth_l1_loss', ', 0.5'), ('huber_loss', ', 0.5'), ('soft_margin_loss', ''))
                                 for scale, reduction in (('g', 0), ('s', 1), ('s', 2))], {'g': g, 'x': (dtype, torch.randn(14).tolist()), 't': t, 's': (dtype, 1.5)}, near, near)
    p = (dtype, torch.rand(14).tolist())
    several(f'of probabilities, {dtype}', [f'{A}binary_cross_entropy_backward.default(g, p, u, None, 0)', f'{A}binary_cross_entropy_backward.default(s, p, u, w, 1)', f'{A}logit_backward.default(g, p)', f'{A}logit_backward.default(g, p, 0.25)'],
            {'g': g, 'p': p, 'u': (dtype, torch.rand(14).tolist()), 'w': (dtype, torch.rand(14).tolist()), 's': (dtype, 1.5)}, 2 * near, near)
    y = torch.randn(2, 3, 4)
    several(f'softmax and halves, {dtype}', [f'{A}_softmax_backward_data.default(g, y.softmax(1), 1, y.dtype)', f'{A}_softmax_backward_data.default(g, y.softmax(-1), -1, y.dtype)', f'{A}_log_softmax_backward_data.default(g, y.log_softmax(2), 2, y.dtype)',
                                             f'{A}glu_backward.default(g[:, :, :2], y, 2)', f'{A}_prelu_kernel_backward.default(g, y, g[:1, :, :1])[0]', f'{A}_prelu_kernel_backward.default(g, y, g[:1, :, :1])[1]'],
            {'g': (dtype, torch.randn(2, 3, 4).tolist()), 'y': (dtype, y.tolist())}, 2 * near, near)
    k = {'x': (dtype, torch.randn(4, 5).tolist()), 't': ('i64', [0, 4, 2, 2]), 'w': (dtype, [1.0, 0.5, 2.0, 1.5, 0.25]), 'g': (dtype, [1.0, -2.0, 0.5, 3.0]), 's': (dtype, 2.0), 'n': (dtype, 3.75)}
    several(f'nll_loss, {dtype}', [f'{A}nll_loss_backward.default(g, x, t, None, 0, -100, n)', f'{A}nll_loss_backward.default(s, x, t, w, 1, -100, n)', f'{A}nll_loss_backward.default(s, x, t, w, 2, 2, n)'], k, near, near)
    several(f'nll_loss2d, {dtype}', [f'{A}nll_loss2d_backward.default(g, x, t, None, 0, -100, n)', f'{A}nll_loss2d_backward.default(s, x, t, w, 1, 1, n)'],
            {'x': (dtype, torch.randn(2, 3, 2, 2).tolist()), 't': ('i64', [[[0, 1], [2, 2]], [[1, 0], [0, 2]]]), 'w': (dtype, [1.0, 0.5, 2.0]), 'g': (dtype, torch.randn(2, 2, 2).tolist()), 's': (dtype, 2.0), 'n': (dtype, 3.5)}, near, near)
    e = {'g': (dtype, torch.randn(2, 3, 2).tolist()), 'i': ('i64', [[0, 3, 3], [1, 0, 3]])}
    several(f'embedding, {dtype}', [f'{A}embedding_dense_backward.default(g, i, 5, -1, False)', f'{A}embedding_dense_backward.default(g, i, 5, 3, False)', f'{A}embedding_dense_backward.default(g, i, 4, -1, True)'], e, 2 * near, near)
    image = torch.randn(1, 2, 5, 6)
    pools = (([2, 2], [2, 2], [0, 0], False, True, None), ([3, 2], [1, 2], [1, 0], False, True, None), ([3, 3], [2, 2], [1, 1], True, False, None), ([3, 3], [2, 2], [1, 1], True, True, None),
             ([2, 3], [], [0, 1], False, False, 5))
    for kernel, stride, pad, ceil, count, over in pools if dtype == 'f32' else pools[2:3]:
        out = torch.nn.functional.avg_pool2d(image, kernel, stride or kernel, pad, ceil)
        several(f'avg_pool2d {kernel} {stride} {pad} {ceil} {count} {over}, {dtype}', [f'{A}avg_pool2d_backward.default(g, x, {kernel}, {stride}, {pad}, {ceil}, {count}, {over})'],
                {'g': (dtype, torch.randn(out.shape).tolist()), 'x': (dtype, image.tolist())}, 2 * near, near)
        out, index = torch.nn.functional.max_pool2d(image, kernel, stride or kernel, pad, ceil_mode=ceil, return_indices=True)
        several(f'max_pool2d {kernel} {stride} {pad} {ceil}, {dtype}', [f'{A}max_pool2d_with_indices_backward.default(g, x, {kernel}, {stride}, {pad}, [1, 1], {ceil}, i)'],
                {'g': (dtype, torch.randn(out.shape).tolist()), 'x': (dtype, image.tolist()), 'i': ('i64', index.tolist())}, 2 * near, 2 * near)
    for size in ((1, 1), (2, 3), (4, 4)):
        out, index = torch.nn.functional.adaptive_max_pool2d(image, size, return_indices=True)
        several(f'adaptive pools to {size}, {dtype}', [f'{A}_adaptive_avg_pool2d_backward.default(g, x)', f'{A}adaptive_max_pool2d_backward.default(g, x, i)'],
                {'g': (dtype, torch.randn(1, 2, *size).tolist()), 'x': (dtype, image.tolist()), 'i': ('i64', index.tolist())}, 2 * near, 2 * near)
volume = torch.randn(1, 2, 3, 4, 3)
out, index = torch.nn.functional.max_pool3d(volume, 2, 1, return_indices=True)
several('pools of volumes', [f'{A}avg_pool3d_backward.default(g, x, [2, 2, 2], [1, 1, 1], [0, 0, 0], False, True, None)', f'{A}max_pool3d_with_indices_backward.default(g, x, [2, 2, 2], [1, 1, 1], [0, 0, 0], [1, 1, 1], False, i)',
                             f'{A}_adaptive_avg_pool3d_backward.default(g, x)'], {'g': ('f32', torch.randn(out.shape).tolist()), 'x': ('f32', volume.tolist()), 'i': ('i64', index.tolist())})
out, index = torch.nn.functional.adaptive_max_pool3d(volume, 2, return_indices=True)
several('adaptive pools of volumes', [f'{A}adaptive_max_pool3d_backward.default(g, x, i)'], {'g': ('f32', torch.randn(out.shape).tolist()), 'x': ('f32', volume.tolist()), 'i': ('i64', index.tolist())})
several('places', [f'{A}select_backward.default(g[0], [2, 3, 4], 1, 2)', f'{A}slice_backward.default(g, [2, 5, 4], 1, 1, 4, 1)', f'{A}slice_backward.default(g, [2, 6, 4], 1, 0, 9223372036854775807, 2)',
                   f'{A}diagonal_backward.default(g[0], [3, 4, 5], 1, 1, 2)', f'{A}trace_backward.default(g[0, 0, 0], [3, 2])', f'{A}trace_backward.default(g[0, 0, 0], [7, 2])', f'{A}trace_backward.default(g[0, 0, 0], [2, 5])', f'{A}index_select_backward.default(g, [2, 5, 4], 1, i)',
                   f'{A}value_selecting_reduction_backward.default(g[:, 0], 1, j, [2, 3, 4], False)', f'{A}value_selecting_reduction_backward.default(g[:, :1], 1, j[:, None], [2, 3, 4], True)'] [1:],
        {'g': ('f32', torch.randn(2, 3, 4).tolist()), 'i': ('i64', [0, 4, 4]), 'j': ('i64', [[0, 2, 1, 1], [2, 0, 0, 1]])})
several('a place', [f'{A}select_backward.default(g, [2, 3, 4], 1, 2)', f'{A}select_backward.default(g, [2, 4, 2], -1, -1)'], {'g': ('f32', torch.randn(2, 4).tolist())})
for dtype, near in (('f32', 1e-5), ('bf16', 2e-2), ('f64', 1e-10)):
    x, w = torch.randn(2, 3, 4), torch.randn(3, 4)
    typed = {'g': (dtype, torch.randn(2, 3, 4).tolist()), 'x': (dtype, x.tolist()), 'w': (dtype, w.tolist())}
    stat = f'torch.ops.aten.native_layer_norm.default(x, %s, None, None, 1e-05)'
    for shape, weight in (([3, 4], 'w'), ([4], 'w[0]'), ([4], 'None')):
        parts(f'layer_norm of {shape}, {weight}, {dtype}', f'{A}native_layer_norm_backward.default(g, x, {shape}, {stat % shape}[1], {stat % shape}[2], {weight}, {weight}, [True, {weight != "None"}, {weight != "None"}])',
              3 if weight != 'None' else 1, typed, near, near)
    image = torch.randn(2, 4, 3)
    typed = {'g': (dtype, torch.randn(2, 4, 3).tolist()), 'x': (dtype, image.tolist()), 'w': (dtype, torch.randn(4).tolist())}
    stat = 'torch.ops.aten.native_group_norm.default(x, None, None, 2, 4, 3, 2, 1e-05)'
    parts(f'group_norm, {dtype}', f'{A}native_group_norm_backward.default(g, x, {stat}[1], {stat}[2], w, 2, 4, 3, 2, [True, True, True])', 3, typed, near, near)
    parts(f'group_norm without a weight, {dtype}', f'{A}native_group_norm_backward.default(g, x, {stat}[1], {stat}[2], None, 2, 4, 3, 2, [True, False, False])', 1, typed, near, near)
    typed = {**typed, 'm': (dtype, [0.5, -0.25, 0.0, 1.0]), 'v': (dtype, [1.5, 0.25, 1.0, 2.0])}
    for train in (False, True):
        if dtype != 'bf16':
            parts(f'batch_norm, {"trained" if train else "frozen"}, {dtype}', f'{A}native_batch_norm_backward.default(g, x, w, m, v, m, v, {train}, 1e-05, [True, True, True])', 3, typed, near, near)
    for groups, transposed, stride, pad, dilation, extra in ((1, False, 1, 0, 1, 0), (2, False, 2, 1, 1, 0), (4, False, 1, 1, 2, 0), (1, True, 2, 1, 1, 1), (2, True, 1, 0, 2, 0), (2, True, 3, 1, 1, 0)) if dtype == 'f32' else ((2, False, 2, 1, 1, 0),):
        x = torch.randn(2, 4, 6, 5)
        w = torch.randn(4, 6 // groups if groups < 4 else 2, 3, 2) if transposed else torch.randn(4 if groups == 4 else 6, 4 // groups, 3, 2)
        y = torch.ops.aten.convolution.default(x, w, None, [stride] * 2, [pad] * 2, [dilation] * 2, transposed, [extra] * 2, groups)
        parts(f'convolution of {groups} groups, transposed: {transposed}, {stride} {pad} {dilation} {extra}, {dtype}',
              f'{A}convolution_backward.default(g, x, w, [{y.shape[1]}], [{stride}, {stride}], [{pad}, {pad}], [{dilation}, {dilation}], {transposed}, [{extra}, {extra}], {groups}, [True, True, True])', 3,
              {'g': (dtype, torch.randn(y.shape).tolist()), 'x': (dtype, x.tolist()), 'w': (dtype, w.tolist())}, near, 4 * near)
x, w, y = torch.randn(2, 3, 9), torch.randn(2, 3, 2), torch.randn(2, 2, 4)
parts('convolution of a line, the weight alone', f'{A}convolution_backward.default(g, x, w, [0], [2], [0], [1], False, [0], 1, [False, True, False])[1:]', 1, {'g': ('f32', y.tolist()), 'x': ('f32', x.tolist()), 'w': ('f32', w.tolist())})
