#!/usr/bin/env python3
"""Writes layers.txt: normalisation over channels, pooling and resizing.  Where torch is:

    python3 tests/data/numbers/layers.py > tests/data/numbers/layers.txt
"""
import torch

from case import case

torch.manual_seed(0)
F = 'torch.nn.functional.'


def bodies(name, statements, inputs, near=0, **more):
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, **more)


def some(*dims):
    return [round(v, 3) for v in torch.randn(*dims).flatten().tolist()] if len(dims) == 1 else ((torch.randn(*dims) * 8).round() / 8 + 0.0).tolist()


image, row, volume = some(2, 4, 4, 5), some(2, 4, 9), some(1, 2, 3, 4, 4)
m, v, w, b = some(4), [0.5, 1.5, 2.0, 0.25], some(4), some(4)
for dt, near in (('f32', 4e-6), ('bf16', 1.6e-2)):
    stats = {'x': (dt, image), 'm': (dt, m), 'v': (dt, v), 'w': (dt, w), 'b': (dt, b)}
    bodies(f'batch_norm of {dt}', [F + 'batch_norm(x, m, v, w, b, False, 0.1, 1e-05)', F + 'batch_norm(x, m, v)', 'torch.batch_norm(x, w, None, m, v, False, 0.1, 1e-3, True)',
                                   'torch.ops.aten._native_batch_norm_legit_no_training.default(x, w, b, m, v, 0.1, 1e-05)[0]', F + 'batch_norm(x[:, :, 0, 0], m, v, w, b)'], stats, near, absolute=1e-6 if dt != 'bf16' else 4e-3)
    bodies(f'group_norm of {dt}', [F + 'group_norm(x, 2, w, b)', F + 'group_norm(x, 4)', F + 'group_norm(x, 1, w, None, 1e-3)', 'torch.ops.aten.native_group_norm.default(x, w, b, 2, 4, 20, 2, 1e-05)[0]',
                                   F + 'instance_norm(x)', F + 'instance_norm(x, None, None, w, b)', F + 'instance_norm(x, m, v, w, b, use_input_stats = False)'], stats, near, absolute=4e-6 if dt != 'bf16' else 2e-2)
    bodies(f'largest of windows of {dt}', [F + 'max_pool2d(x, 2)', F + 'max_pool2d(x, 3, 2, 1)', F + 'max_pool2d(x, (2, 3), (1, 2), (1, 1), 1, True)', F + 'max_pool2d(x, 2, 1, 0, 2)', F + 'max_pool1d(y, 3)',
                                           F + 'max_pool1d(y, 4, 2, 2, ceil_mode = True)', F + 'max_pool3d(z, 2)', 'torch.ops.aten.max_pool2d_with_indices.default(x, [3, 3], [2, 2], [1, 1])[0]',
                                           F + 'adaptive_max_pool2d(x, (2, 3))', F + 'adaptive_max_pool1d(y, 3)', 'torch.max_pool2d(x[0], 2)'], {'x': (dt, image), 'y': (dt, row), 'z': (dt, volume)})
    bodies(f'means of windows of {dt}', [F + 'avg_pool2d(x, 2)', F + 'avg_pool2d(x, 3, 2, 1)', F + 'avg_pool2d(x, 3, 2, 1, count_include_pad = False)', F + 'avg_pool2d(x, 3, 2, 1, True)',
                                         F + 'avg_pool2d(x, 3, 2, 1, True, False)', F + 'avg_pool2d(x, 2, divisor_override = 3)', F + 'avg_pool1d(y, 2)', F + 'avg_pool1d(y, 4, 3, 2, True)',
                                         F + 'adaptive_avg_pool2d(x, 1)', F + 'adaptive_avg_pool2d(x, (2, 3))', F + 'adaptive_avg_pool2d(x, (None, 5))',
                                         F + 'adaptive_avg_pool1d(y, 3)', F + 'adaptive_avg_pool1d(y, 4)', 'torch.ops.aten._adaptive_avg_pool2d.default(x, [5, 2])'],
           {'x': (dt, image), 'y': (dt, row)}, near, absolute=1e-6)
    bodies(f'resizing {dt}', [F + 'interpolate(x, scale_factor = 2)', F + "interpolate(x, (3, 10), mode = 'nearest')", F + "interpolate(x, size = [8, 3], mode = 'nearest-exact')",
                              F + "interpolate(x, scale_factor = 2.0, mode = 'bilinear')", F + "interpolate(x, (3, 9), mode = 'bilinear', align_corners = True)",
                              F + "interpolate(x, scale_factor = (1.5, 0.5), mode = 'bilinear', align_corners = False)", F + "interpolate(y, 5, mode = 'linear')", F + 'interpolate(y, 20)',
                              'torch.ops.aten.upsample_nearest2d.vec(x, None, [2.0, 3.0])', 'torch.ops.aten.upsample_bilinear2d.vec(x, [4, 4], False, None)',
                              'torch.ops.aten.upsample_nearest1d.default(y, [12])', F + "interpolate(z, 4, mode = 'trilinear')"], {'x': (dt, image), 'y': (dt, row), 'z': (dt, volume)}, near, absolute=2e-6 if dt != 'bf16' else 2e-2)
bodies('elements between channels and places', [F + 'pixel_shuffle(x, 2)', F + 'pixel_unshuffle(y, 2)', F + 'channel_shuffle(x, 2)'], {'x': ('f32', image), 'y': ('f32', some(1, 2, 4, 6))})
bodies('means of windows in three dimensions', [F + 'avg_pool3d(x, 2)', F + 'avg_pool3d(x, (2, 3, 2), 1, (0, 1, 1))', F + 'adaptive_avg_pool3d(x, (3, 2, 2))'],
       {'x': ('f32', volume)}, 1e-6)
bodies('channels beside each other', [F + 'local_response_norm(x, 3)', F + 'local_response_norm(x, 2, alpha = 0.5, beta = 0.5, k = 2.0)'], {'x': ('f32', image)}, 2e-6)
bodies('pools of integers', [F + 'max_pool2d(x, 2)', F + 'max_pool2d(x, 3, 2, 1)'], {'x': ('i64', [[[-5, -6, -7, -8], [-1, -2, -3, -4], [-9, -8, -7, -6]]])})
case('pools of a symbolic size', 'a = torch.nn.functional.max_pool1d(x, 3, 2, 1)\nb = torch.nn.functional.avg_pool1d(x, 2)\nc = torch.nn.functional.adaptive_avg_pool1d(x, 1)\nreturn (a, b, c)',
     {'x': ('f32', [[[1., 5., 2., 4., 3., 9., 0.]]], '1, 1, s0')}, symbols={'s0': 7}, near=1e-6)
case('normalisation of a symbolic batch', 'a = torch.nn.functional.batch_norm(x, m, v)\nb = torch.nn.functional.group_norm(x, 2)\nreturn (a, b)',
     {'x': ('f32', some(3, 4, 2), 's0, 4, 2'), 'm': ('f32', m), 'v': ('f32', v)}, symbols={'s0': 3}, near=4e-6)
cell = {'x': ('f32', some(2, 3)), 'h': ('f32', some(2, 4)), 'c': ('f32', some(2, 4)), 'b': ('f32', some(16)), 'g': ('f32', some(12))}
for gates, name in ((4, 'lstm_cell'), (3, 'gru_cell'), (1, 'rnn_tanh_cell'), (1, 'rnn_relu_cell')):
    cell[f'i{gates}'], cell[f'h{gates}'] = ('f32', some(4 * gates, 3)), ('f32', some(4 * gates, 4))
bodies('one step of recurrent layers', ['torch.lstm_cell(x, (h, c), i4, h4, b, b)[0]', 'torch.lstm_cell(x, [h, c], i4, h4)[1]', 'torch.gru_cell(x, h, i3, h3, g, g)', 'torch.gru_cell(x, h, i3, h3)',
                                        'torch.rnn_tanh_cell(x, h, i1, h1)', 'torch.rnn_relu_cell(x, h, i1, h1, b[:4], b[4:8])'], cell, 2e-6, absolute=1e-6)
for dt, near in (('f32', 2e-6), ('bf16', 1.6e-2)):
    bodies(f'weights with norms of their own, {dt}', ['torch._weight_norm(v, g)', 'torch._weight_norm(v, h, 2)', 'torch.ops.aten._weight_norm_interface.default(v, g, 0)[0]', 'torch.norm_except_dim(v, 2, 0)',
                                                      'torch.norm_except_dim(v, 1, 2)', 'torch.norm_except_dim(v, 2, -1)', 'torch.norm_except_dim(g[:, 0, 0])'],
           {'v': (dt, some(2, 3, 4)), 'g': (dt, [[[1.5]], [[-0.5]]]), 'h': (dt, [[[0.5, 1.0, -2.0, 3.0]]])}, near)
for dt, near in (('f32', 2e-6), ('f64', 1e-13)):
    bodies(f'grids of affine maps, {dt}', [F + 'affine_grid(t, (2, 3, 2, 5))', F + 'affine_grid(t, (2, 1, 1, 4), align_corners = True)', F + 'affine_grid(t, [2, 1, 3, 1], False)',
                                           'torch.ops.aten.affine_grid_generator.default(u, [1, 2, 2, 3, 2], True)', 'torch.affine_grid_generator(u, [1, 2, 1, 2, 3], False)'],
           {'t': (dt, some(2, 2, 3)), 'u': (dt, some(1, 3, 4))}, near, absolute=1e-6)
bodies('dropout that drops nothing', [F + f'{name}(x, 0.5, False)' for name in ('alpha_dropout', 'dropout2d', 'dropout3d', 'feature_alpha_dropout')] + [F + 'dropout1d(x[0], 0.5, False)'] +
       [F + 'alpha_dropout(x)', F + 'feature_alpha_dropout(x)', F + 'dropout2d(x, training = False)', 'torch.alpha_dropout(x, 0.5, False)', 'torch.ops.aten.feature_dropout.default(x, 0.5, False)',
        'torch.feature_alpha_dropout(x, 0.5, False)'], {'x': ('f32', some(1, 2, 3, 2))})
case('dropout that drops', 'return (torch.nn.functional.dropout2d(x),)', {'x': ('f32', some(1, 2, 3, 2))}, refused='dropout in training is random')
bodies('a convolution of time, batch and channels', ['torch.conv_tbc(x, w, b, 1)', 'torch.ops.aten.conv_tbc.default(x, w, b)'], {'x': ('f32', some(5, 2, 3)), 'w': ('f32', some(2, 3, 4)), 'b': ('f32', some(4))}, 2e-6)
bodies('resizing f64', [F + f"interpolate(x, (7, 3), mode = '{mode}'{more})" for mode in ('bilinear', 'bicubic') for more in ('', ', align_corners = True', ', antialias = True')] +
       [F + "interpolate(x, scale_factor = (1.3, 0.7), mode = 'bilinear')", F + "interpolate(y, 11, mode = 'linear')", F + 'interpolate(y, 11)'], {'x': ('f64', image), 'y': ('f64', row)}, 1e-12, absolute=1e-14)
case('resizing bytes', "return (torch.nn.functional.interpolate(x, 3, mode = 'bilinear'),)", {'x': ('u8', [[[[1, 200], [3, 4]]]])}, refused="fixed-point arithmetic of PyTorch's own")
