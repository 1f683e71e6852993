#!/usr/bin/env python3
"""Writes reductions.txt: reductions over any dims, variance, norms, softmax's kin and losses.  Where torch is:

    python3 tests/data/numbers/reductions.py > tests/data/numbers/reductions.txt
"""
from math import inf, nan

import torch

from case import case

torch.manual_seed(0)
F = 'torch.nn.functional.'
x3, x2 = torch.randn(2, 3, 5).tolist(), torch.randn(4, 6).tolist()
holes = [[1.0, nan, 3.0], [nan, nan, nan], [0.0, -2.0, 4.0]]


def bodies(name, statements, inputs, near=0, **more):
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, **more)


for dt, v in (('f32', [[0., 0., 0.], [1., 0., nan], [-0.0, 2., 3.]]), ('i32', [[0, 0, 0], [1, 0, 2], [3, 2, 1]]), ('u8', [[0, 0, 0], [1, 0, 2], [3, 2, 1]]), ('b8', [[0, 0, 0], [1, 0, 1], [1, 1, 1]])):
    bodies(f'any and all of {dt}', ['x.any()', 'torch.any(x, 1)', 'torch.any(x, dim = 0, keepdim = True)', 'x.all()', 'torch.all(x, -1)', 'torch.all(x, dim = 1, keepdim = True)', 'torch.count_nonzero(x)',
                                    'torch.count_nonzero(x, 1)', 'torch.ops.aten.any.dim(x, -1, True)', 'torch.ops.aten.all.default(x)', 'torch.ops.aten.any.dims(x, [0, 1])'], {'x': (dt, v)})
case('any and all of nothing', 'a = x[:, :0].any(1)\nb = x[:, :0].all(1)\nc = torch.prod(x[:, :0], 1)\nreturn (a, b, c)', {'x': ('f32', [[1., 2.], [3., 4.]])})
case('any of a symbolic number of rows', 'a = x.any(0)\nb = x.all(0)\nreturn (a, b)', {'x': ('b8', [[1, 0], [1, 0]], 's0, 2')}, symbols={'s0': 2})
for dt, near in (('f32', 2e-6), ('f64', 1e-13), ('bf16', 1e-2)):
    bodies(f'products of {dt}', ['torch.prod(x)', 'torch.prod(x, 0)', 'x.prod(-1, keepdim = True)', 'torch.prod(x, 1, dtype = torch.float64)', 'torch.ops.aten.prod.default(x)'], {'x': (dt, x2)}, near)
    bodies(f'spread of {dt}', ['torch.std(x)', 'torch.std(x, 1)', 'x.std((0, 2), keepdim = True)', 'torch.std(x, 0, correction = 0)', 'torch.var_mean(x, 1)[0]', 'torch.var_mean(x, 1)[1]',
                               'torch.std_mean(x, (1, 2), correction = 2)[0]', 'torch.std_mean(x, 2, keepdim = True)[1]', 'x.var((0, 1))', 'torch.ops.aten.var_mean.correction(x, [2], correction = 0)[0]'],
           {'x': (dt, x3)}, near)
    bodies(f'norms of {dt}', ['torch.norm(x)', 'torch.norm(x, 1)', 'torch.norm(x, 2, 1)', 'x.norm(inf, 0)', 'x.norm(-inf, 1, True)', 'torch.norm(x, 3, 1)', 'torch.linalg.vector_norm(x, 0, 1)',
                              'torch.linalg.vector_norm(x, 2.5, (0, 1))', "torch.norm(x, p = 'fro', dim = -1)", 'torch.ops.aten.linalg_vector_norm.default(x, 2, [1], True)', F + 'normalize(x)',
                              F + 'normalize(x, 1.0, 0)', 'torch.dist(x, x * 0.5)', F + 'pairwise_distance(x, x * 0.5)', F + 'cosine_similarity(x, x + 1.0)'], {'x': (dt, x2)},
           near * (4 if dt == 'bf16' else 1), absolute=2e-6)
    bodies(f'sums of exponentials of {dt}', ['torch.logsumexp(x, 1)', 'x.logsumexp((0, 2), keepdim = True)', 'torch.log_softmax(x, 1)', F + 'log_softmax(x, dim = -1)', 'torch.softmax(x, 0)',
                                             F + 'softmin(x, dim = 1)', 'torch.ops.aten._log_softmax.default(x, 2, False)', F + 'log_softmax(x, 0, dtype = torch.float32)'], {'x': (dt, x3)}, near,
           absolute=1e-6)
bodies('distances', ['torch.cdist(x, x * 0.5)', 'torch.cdist(x, x[:2], 1.0)'], {'x': ('f32', x2)}, 2e-6)
bodies('rows of infinities', ['torch.logsumexp(x, 1)', 'torch.log_softmax(x, 1)', 'torch.log_softmax(y, 0)', 'torch.logsumexp(y, 0)'],
       {'x': ('f32', [[-inf, -inf], [inf, 1.], [-inf, 1.], [nan, 1.], [1000., 1000.]]), 'y': ('f32', 3.0)}, 1e-6)
bodies('reductions around NaN', ['torch.nansum(x)', 'torch.nansum(x, 1)', 'torch.nanmean(x, 1)', 'torch.nanmean(x)', 'x.nansum(0, keepdim = True)', 'torch.aminmax(x, dim = 1)[0]', 'torch.aminmax(x, dim = 1)[1]',
                                 'torch.aminmax(x)[1]'], {'x': ('f32', holes)}, 1e-6)
bodies('integers multiplied', ['torch.prod(x)', 'torch.prod(x, 1)', 'torch.prod(x, 1, dtype = torch.int32)', 'torch.prod(x, 1, dtype = torch.float32)', 'torch.sum(x, 1, dtype = torch.int8)'],
       {'x': ('i8', [[100, 100, 3], [-128, 127, 5]])})
# --- losses
classes, dense = torch.randn(5, 4).tolist(), torch.randn(2, 3, 2, 2).tolist()
target, wrong = [0, 3, 1, 2, 3], [0, -100, 1, -100, 3]
weights = ('f32', [0.5, 1.0, 2.0, 0.25])
for dt, near in (('f32', 2e-6), ('bf16', 2e-2)):
    bodies(f'cross entropy of {dt}', [F + 'cross_entropy(x, t)', F + "cross_entropy(x, t, reduction = 'none')", F + "cross_entropy(x, u, reduction = 'sum')", F + 'cross_entropy(x, u)',
                                      F + 'cross_entropy(x, t, label_smoothing = 0.1)', F + 'cross_entropy(x, u, ignore_index = 1)', F + 'cross_entropy(x, torch.softmax(x * 0.5, 1))',
                                      F + 'cross_entropy(x[0], t[0])'], {'x': (dt, classes), 't': ('i64', target), 'u': ('i64', target)}, near)
bodies('cross entropy by weights', [F + 'cross_entropy(x, t, w)', F + "cross_entropy(x, t, w, reduction = 'none')", F + 'cross_entropy(x, t, w, label_smoothing = 0.2)', F + 'nll_loss(torch.log_softmax(x, 1), t, w)',
                                    F + "nll_loss(torch.log_softmax(x, 1), t, reduction = 'none')", F + "nll_loss(torch.log_softmax(x, 1), t, reduction = 'sum')",
                                    'torch.ops.aten.nll_loss_forward.default(torch.log_softmax(x, 1), t, None, 1, -100)[0]', F + "cross_entropy(x, torch.softmax(x * 0.5, 1), w, reduction = 'sum')",
                                    F + 'cross_entropy(x, torch.softmax(x * 0.5, 1), label_smoothing = 0.3)'], {'x': ('f32', classes), 't': ('i64', wrong), 'w': weights}, 2e-6)
bodies('cross entropy over pixels', [F + 'cross_entropy(x, t)', F + "cross_entropy(x, t, w, reduction = 'none')", F + 'cross_entropy(x, t, w, label_smoothing = 0.1)', F + 'nll_loss(x, t, ignore_index = 2)'],
       {'x': ('f32', dense), 't': ('i64', [[[0, 1], [2, 2]], [[1, 0], [0, 1]]]), 'w': ('f32', [1.0, 0.5, 2.0])}, 2e-6)
a, b = torch.randn(3, 4).tolist(), torch.randn(3, 4).tolist()
p = torch.rand(3, 4).clamp(0.05, 0.95).tolist()
for dt, near in (('f32', 2e-6), ('bf16', 2e-2)):
    bodies(f'losses of {dt}', [F + 'mse_loss(x, y)', F + "mse_loss(x, y, reduction = 'none')", F + 'l1_loss(x, y)', F + "l1_loss(x, y, reduction = 'sum')", F + 'smooth_l1_loss(x, y)',
                               F + "smooth_l1_loss(x, y, reduction = 'none', beta = 0.5)", F + 'huber_loss(x, y, delta = 0.7)', F + "huber_loss(x, y, 'none')", F + 'binary_cross_entropy(p, q)',
                               F + "binary_cross_entropy(p, q, reduction = 'none')", F + 'binary_cross_entropy_with_logits(x, q)',
                               F + "binary_cross_entropy_with_logits(x, q, q, reduction = 'none', pos_weight = p)", F + "kl_div(x, q, reduction = 'batchmean')", F + "kl_div(x, q, reduction = 'sum')",
                               F + "kl_div(x, y, reduction = 'none', log_target = True)", 'torch.ops.aten.mse_loss.default(x, y, 2)'],
           {'x': (dt, a), 'y': (dt, b), 'p': (dt, p), 'q': (dt, p[::-1])}, near, absolute=2e-6)
for dt, near in (('f32', 4e-6), ('f64', 1e-12), ('i64', 4e-6)):
    values = [[3, -1, 4, 2], [5, 0, -2, 7], [1, 1, 2, -3]] if dt == 'i64' else [[3.0, -1.5, 4.0, 2.25], [5.0, 0.5, -2.0, 7.0], [1.0, 1.0, 2.0, -3.0]]
    statements = ['torch.cov(x)', 'torch.cov(x, correction = 0)', 'x.cov(fweights = n)', 'torch.cov(x, aweights = a)', 'torch.cov(x, correction = 0, fweights = n, aweights = a)', 'torch.cov(x[0])', 'torch.cov(x[:, :1])',
                  'torch.corrcoef(x)', 'x[1].corrcoef()']
    names = [f'r{i}' for i in range(len(statements))]
    case(f'covariances of {dt}', '\n'.join(f'{m} = {s}' for m, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)',
         {'x': (dt, values), 'n': ('i64', [1, 2, 3, 1]), 'a': ('f64' if dt == 'f64' else 'f32', [0.5, 1.0, 0.25, 2.0])}, near=near, absolute=1e-6)
for dt in ('i8', 'u8', 'i32', 'b8'):
    values = [[True, False, True], [True, True, False]] if dt == 'b8' else [[100, 7, 90], [90, 3, 100]]
    case(f'sums of {dt} to a size and by labels', "a = x.sum_to_size(1, 3)\nb = x.sum_to_size(2, 3)\nc = x.sum_to_size(())\nd = x[0, 0].sum_to_size(())\ne = torch.einsum('ij->j', x)\nf = torch.einsum('ij->ji', x).clone()\n"
         'g = torch.ops.aten.sum_to_size.default(x, [2, 1])\nreturn (a, b, c, d, e, f, g)', {'x': (dt, values)})
