#!/usr/bin/env python3
"""Writes moves.txt: operators that move elements: reading by index, views, joins, padding.  Where torch is:

    python3 tests/data/numbers/moves.py > tests/data/numbers/moves.txt
"""
import torch

from case import case

X = ('f32', torch.arange(24.).reshape(2, 3, 4).tolist(), '2, 3, 4')
M = ('f32', torch.arange(12.).reshape(3, 4).tolist(), '3, 4')
S = ('f32', torch.arange(12.).reshape(3, 4).tolist(), 's0, 4')
V = ('f32', [1., 2., 3., 4., 5.])
H = ('bf16', torch.arange(12.).reshape(3, 4).tolist())
B = ('b8', [[True, False, True], [False, True, True]])
SYMBOL = {'s0': 3}


def several(name, forms, inputs, **kinds):
    """One result for each of FORMS."""
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = ({form}).contiguous()' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, **kinds)


# --- reading by index
i = ('i64', [0, -1, 1])
j = ('i64', [[2], [0]])
k = ('i32', [3, 1, -4])
several('indices, several', ['x[i, j, k]', 'x[i, j]', 'x[:, j, k]', 'x[i, :, k]', 'x[i, None, :, k]', 'x[..., j, k]', 'x[0, j, k]', 'x[i, 1, k]', 'x[None, i, :, k]'],
        {'x': X, 'i': ('i64', [0, -1, 1]), 'j': j, 'k': k})
several('indices of aten, and numbers among them', ['torch.ops.aten.index.Tensor(x, [i, None, k])', 'torch.ops.aten.index.Tensor(x, [None, n, k])',
                                                   'torch.ops.aten.index.Tensor(x, [n, None, k])', 'x[n]', 'x[:, n, 1:]'],
        {'x': X, 'i': i, 'k': k, 'n': ('i64', 1)})
case('indices into a mask', 'r = m[(b, q)]\nreturn (r,)', {'m': ('i64', torch.arange(24).reshape(2, 12).tolist()), 'b': ('i64', [[[[0]]], [[[1]]]]), 'q': ('i64', [[x] for x in range(11, -1, -1)])})
case('indices that symbols count', 'r = x[i, j]\nt = x[:, j]\nreturn (r, t)', {'x': S, 'i': ('i64', [2, 0, -3], 's0'), 'j': ('i64', [3, -2, 0], 's0')}, symbols=SYMBOL)
for text, index in [('x[i, j]', [0, 4]), ('x[j, i]', [0, -5])]:
    case(f'indices out of range, {text}', f'r = {text}\nreturn (r,)', {'x': M, 'i': ('i64', [0, 1]), 'j': ('i64', index)}, refused='is out of range')
several('gather', ['torch.gather(x, dim = 1, index = i)', 'x.gather(0, j)', 'torch.ops.aten.gather.default(h, 1, i)', 'torch.gather(x, -1, i, sparse_grad = False)', 'v.gather(0, n)'],
        {'x': M, 'h': H, 'i': ('i64', [[0, 3], [2, 2], [1, 0]]), 'j': ('i32', [[2, 1, 0, 2]]), 'v': V, 'n': ('i64', [4])})
case('gather of what symbols count', 'r = torch.gather(x, 1, i)\nq = x.transpose(0, 1).gather(0, i.t())\nreturn (r, q)', {'x': S, 'i': ('i64', [[3], [0], [1]], 's0, 1')}, symbols=SYMBOL)
case('gather out of range', 'r = torch.gather(x, 1, i)\nreturn (r,)', {'x': M, 'i': ('i64', [[0], [-1], [1]])}, refused='is out of range')
several('taking along a dim', ['torch.take_along_dim(x, i, 1)', 'torch.take_along_dim(x, j, dim = 0)', 'x.take_along_dim(f)', 'torch.take(x, t)', 'x.take(t)'],
        {'x': M, 'i': ('i64', [[1], [3], [0]]), 'j': ('i64', [[2]]), 'f': ('i64', [11, 0, 5]), 't': ('i64', [[0, -1], [11, 6]])})
several('taking along a dim, from the end', ['torch.take_along_dim(x, i, 1)', 'x.take_along_dim(j, dim = -2)'], {'x': M, 'i': ('i64', [[-1], [0], [-4]]), 'j': ('i64', [[-3, 1, -1, 2]])})
several('bags of embeddings', [f"torch.nn.functional.embedding_bag(i, x, mode = '{mode}')" for mode in ('sum', 'mean', 'max')] +
        ["torch.nn.functional.embedding_bag(i, x, per_sample_weights = w, mode = 'sum')"],
        {'x': M, 'i': ('i64', [[1, 2], [0, 0]]), 'w': ('f32', [[1., 2.], [0.5, -1.]])}, near=1e-6)

# --- views
several('diagonals', ['torch.diagonal(m)', 'torch.diagonal(m, 1)', 'm.diagonal(-2)', 'torch.diagonal(x, offset = 1, dim1 = 0, dim2 = 2)', 'torch.diagonal(m, 9)',
                      'torch.diag(m)', 'torch.diag(v, -1)', 'torch.diag_embed(m, 1)', 'torch.diag_embed(m, dim1 = 0, dim2 = 1)', 'torch.ops.aten.diagonal_copy.default(m)'],
        {'x': X, 'm': M, 'v': V})
case('what lies two apart is flattened as a view, but not by ravel', 'm = x.clone()\nv = m[:, ::2]\nf = v.ravel()\nf.mul_(10)\ng = v.flatten()\ng.add_(1)\nw = m.ravel()\nw.add_(100)\nreturn (m, f)', {'x': M})
case('windows that are written', 'y = x.clone()\nw = torch.nn.functional.unfold(y, (2, 1), stride = (1, 2))\nw += 100\nreturn (y, w)',
     {'x': ('f32', torch.arange(12.).reshape(1, 1, 3, 4).tolist())})
case('nothing is put beside sums of nothing', 'a = x.index_fill(0, i, 7)\nb = i.count_nonzero(0)\nc = v.scatter_reduce(1, j, u, "amax")\nd = j.sum(1, keepdim = True)\nreturn (a, b, c, d)',
     {'x': ('f32', [1., 2.]), 'i': ('i64', [], '0'), 'v': ('i32', [[-1], [2]]), 'j': ('i64', [[], []], '2, 0'), 'u': ('i32', [[], []], '2, 0')})
case('a diagonal that is written', 'm = x.clone()\nd = m.diagonal()\nd.mul_(10)\nd2 = torch.diagonal(m, -1)\nd2.fill_(7.0)\nreturn (m,)', {'x': M})
several('diagonals that symbols count', ['torch.diagonal(x)', 'torch.diagonal(x, 2)', 'torch.tril(x)', 'torch.triu(x, 1)', 'torch.flip(x, (0,))', 'x.unfold(0, 2, 1)', 'torch.roll(x, 1, 0)'],
        {'x': S}, symbols=SYMBOL)
several('windows', ['v.unfold(0, 3, 1)', 'v.unfold(0, 2, 2)', 'x.unfold(1, 2, 1)', 'x.unfold(-1, 3, 1).sum(-1)', 'v.unfold(0, 5, 3)', 'x.transpose(0, 2).unfold(0, 2, 2)'], {'v': V, 'x': X})
several('strides', ['torch.as_strided(x, (2, 2), (1, 4))', 'x.as_strided([3, 2], [4, 2], 1)', 'torch.ops.aten.as_strided.default(x, [4, 3], [1, 4], 12)', 'v.as_strided((3, 3), (1, 1))',
                    'v.as_strided((2, 3), (0, 1), 1)', 'x.as_strided((2, 0), (1, 1))', '(x + 1).as_strided((2, 3), (3, 5), 2)'], {'x': X, 'v': V})

# --- moved
several('flips and rolls', ['torch.flip(x, [0])', 'x.flip(1, 2)', 'torch.fliplr(m)', 'torch.flipud(m)', 'torch.rot90(m)', 'torch.rot90(m, 2)', 'torch.rot90(m, -1, (1, 0))', 'torch.rot90(m, 4)',
                            'torch.roll(v, 2)', 'torch.roll(m, 5)', 'torch.roll(m, (1, -1), (0, 1))', 'm.roll(7, 1)', 'torch.flip(b, (1,))', 'torch.flip(x, ())'],
        {'x': X, 'm': M, 'v': V, 'b': B})
several('triangles', ['torch.tril(m)', 'torch.triu(m)', 'm.tril(1)', 'torch.triu(x, diagonal = -1)', 'torch.tril(b)', 'torch.ops.aten.triu.default(m, 2)', 'torch.tril(n)'],
        {'x': X, 'm': M, 'b': B, 'n': ('f32', [[1., float('nan')], [float('inf'), 2.]])})
several('parts of copies', ['torch.select_scatter(m, v, 0, -1)', 'torch.slice_scatter(m, n, 1, 1, 4, 2)', 'torch.diagonal_scatter(m, w)', 'torch.slice_scatter(m, m + 1)',
                            'torch.ops.aten.slice_scatter.default(m, n, 1, 2, 9223372036854775807)'],
        {'m': M, 'v': ('f32', [-1., -2., -3., -4.]), 'n': ('f32', [[-1., -2.], [-3., -4.], [-5., -6.]]), 'w': ('f32', [7., 8., 9.])})

# --- joined, cut, made
several('stacks', ['torch.hstack((v, v))', 'torch.hstack((m, n))', 'torch.vstack((v, v))', 'torch.vstack((m, m))', 'torch.dstack((m, m))', 'torch.dstack((v, v))', 'torch.column_stack((v, v))',
                   'torch.row_stack((v, v))', 'torch.block_diag(m, v, n)', 'torch.cartesian_prod(v, n.flatten())', 'torch.tile(m, (2,))', 'm.tile(2, 1, 2)'],
        {'m': M, 'v': V, 'n': ('f32', [[-1.], [-3.], [-5.]])})
several('tensors of tensors', [f'torch.meshgrid(v, n, indexing = "{how}")[{i}]' for how in ('ij', 'xy') for i in (0, 1)] +
        ['torch.broadcast_tensors(v, c)[0]', 'torch.broadcast_tensors(v, c)[1]', 'torch.atleast_2d(v)', 'torch.atleast_3d(v)', 'torch.atleast_1d(s)', 'torch.atleast_3d(c)'],
        {'v': V, 'n': ('f32', [7., 8.]), 'c': ('f32', [[1.], [2.]]), 's': ('f32', 3.)})
several('splits', [f'torch.tensor_split(v, 3)[{i}]' for i in range(3)] + [f'torch.tensor_split(m, (1, 3), dim = 1)[{i}]' for i in range(3)] +
        ['torch.hsplit(m, 2)[1]', 'torch.vsplit(m, [2])[1]', 'torch.dsplit(x, 2)[0]', 'torch.ops.aten.unsafe_split.Tensor(v, 2)[2]', 'torch.narrow_copy(v, 0, 1, 2)'],
        {'m': M, 'v': V, 'x': X})
several('numbers in steps', ['torch.linspace(0, 1, 5)', 'torch.linspace(-1.5, 7.25, steps = 8)', 'torch.linspace(3, 1, 4)', 'torch.linspace(2, 9, 1)', 'torch.linspace(0, 10, 4, dtype = torch.float64)',
                             'torch.eye(3)', 'torch.eye(2, 4, dtype = torch.int64)', 'v + 0'], {'v': V}, near=1e-6)

# --- padded
PAD = 'torch.nn.functional.pad'
several('padding by edges', [f"{PAD}(m, (2, 1), mode = 'reflect')", f"{PAD}(m, (2, 1), mode = 'replicate')", f"{PAD}(m, (2, 4), mode = 'circular')", f"{PAD}(y, (1, 2, 2, 0), 'reflect')",
                             f"{PAD}(y, (1, 2, 3, 0), 'replicate')", f"{PAD}(y, (1, -1, -1, 1), 'replicate')", f"{PAD}(y, (-1, 1, 0, 1), 'circular')", f"{PAD}(m, (-1, 2), mode = 'reflect')",
                             'torch.ops.aten.reflection_pad2d.default(y, [1, 1, 1, 1])', 'torch.ops.aten.replication_pad1d.default(m, [1, 3])'],
        {'m': M, 'y': ('f32', torch.arange(24.).reshape(1, 2, 3, 4).tolist())})
case('joining empty vectors', 'a = torch.cat([e, m], 0)\nb = torch.cat([e, x], dim = -2)\nc = torch.cat([m, e, m], 1)\nreturn (a, b, c)', {'e': ('f32', []), 'm': M, 'x': X})

# --- copies
several('copies of views', ['torch.alias_copy(m)', 'torch.as_strided_copy(x, (2, 2), (1, 4))', 'torch.detach_copy(m)', 'torch.expand_copy(v, (2, 5))', 'torch.permute_copy(x, (2, 0, 1))', 'torch.select_copy(x, 1, -1)',
                            'torch.slice_copy(x, 1, 1, 3)', 'torch.split_copy(m, 2)[1]', 'torch.split_with_sizes_copy(m, [1, 3], 1)[1]', 'torch.squeeze_copy(x[:1])', 'torch.t_copy(m)',
                            'torch.transpose_copy(x, 0, -1)', 'torch.unbind_copy(x, 1)[2]', 'torch.unfold_copy(v, 0, 3, 2)', 'torch.unsqueeze_copy(v, 1)', 'torch.view_copy(m, (4, 3))',
                            'torch.ops.aten.view_copy.default(m, [2, 6])', 'torch.ops.aten.unbind_copy.int(m)[1]', 'torch.ops.aten.lift_fresh_copy.default(v)'], {'x': X, 'm': M, 'v': V})
case('what is written into a copy stays there', 'a = torch.alias_copy(x)\na.mul_(2)\nb = torch.squeeze_copy(x)\nb.add_(1)\nc = torch.split_copy(x, 1)[0]\nc.fill_(9.0)\nreturn (x, a, b, c)', {'x': M})
several('strides of a copy, written', ['torch.as_strided_scatter(m, n, (2, 2), (4, 1))', 'm.as_strided_scatter(n, (2, 2), (4, 2), 1)', 'torch.as_strided_scatter(m, n[0], (2,), (5,), 2)',
                                       'torch.ops.aten.as_strided_scatter.default(m, n, [2, 2], [4, 1])'], {'m': M, 'n': ('f32', [[-1., -2.], [-3., -4.]])})
several('halves exchanged', ['torch.fft.fftshift(v)', 'torch.fft.ifftshift(v)', 'torch.fft.fftshift(m)', 'torch.fft.fftshift(x, dim = (0, 2))', 'torch.fft.ifftshift(x, 1)',
                             'torch.ops.aten.fft_fftshift.default(m, [1])', 'torch.ops.aten.fft_ifftshift.default(v)'], {'x': X, 'm': M, 'v': V})
case('halves exchanged of a symbolic size', 'a = torch.fft.fftshift(x)\nb = torch.fft.ifftshift(x, 0)\nreturn (a, b)', {'x': S}, symbols=SYMBOL)
several('chunks beside each other', ['torch._chunk_cat([m, n], 0, 2)', 'torch._chunk_cat([m, k], 1, 3)', 'torch._chunk_cat([v, v], 0, 2)', 'torch.ops.aten._chunk_cat.default([m, n], 0, 4)'],
        {'m': M, 'n': ('f32', [[-1.], [-3.], [-5.]]), 'k': ('f32', [[1., 2., 3.]] * 3), 'v': V})
several('indices with a mask', ['torch._unsafe_masked_index(m, k, [i, j], 9)', 'torch.ops.aten._unsafe_masked_index.default(m, k, [i, j], -1.5)', 'torch._unsafe_masked_index(m, b, [i], 0)',
                                'torch._unsafe_masked_index_put_accumulate(m, k, [i, j], v)', 'torch.ops.aten._unsafe_masked_index_put_accumulate.default(m, k, [i, j], v)'],
        {'m': M, 'k': ('b8', [True, False, True]), 'b': ('b8', [[True], [False], [False]]), 'i': ('i64', [0, 7, -1]), 'j': ('i64', [3, -9, 0]), 'v': ('f32', [1., 2., 3.])})
several('filled', ['torch.fill(m, 3)', 'torch.fill(n, 2)', 'torch.fill(m, v[1])', 'torch.fill_(m.clone(), 7)', 'torch.zero_(m.clone())', 'torch.ops.aten.zero.default(m)', 'torch.diagflat(m[0])', 'torch.diagflat(n, 1)',
                   'm[:2].diagflat(-2)', 'torch.isreal(m)', 'torch.isreal(n)', 'v.short()', 's.unfold(0, 1, 1)', 's.unfold(0, 0, 1)', 'torch.nonzero_static(s, size = 3)', 'torch.index_select(s, 0, i)',
                   'torch.index_select(s, 0, i[0])', 'torch.nn.functional.one_hot(n, 5)'], {'m': M, 'v': ('f32', [1., -2.9, 300.5]), 'n': ('i64', [2, 0, 4]), 's': ('f32', 3.), 'i': ('i64', [0])})
A = 'torch.ops.aten.'
two = {'x': ('f32', [[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]]), 'y': ('f32', [[0.5, 4.0, -0.5], [2.0, -3.0, 8.0]])}
def named(name, statements, inputs, near=0):
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)', inputs, near=near)
named('other names of ATen', [A + 'absolute.default(x)', A + 'negative.default(x)', A + 'subtract.Tensor(x, y, alpha = 2)', A + 'multiply.Tensor(x, y)', A + 'divide.Tensor_mode(x, y, rounding_mode = "floor")',
                              A + 'divide.Tensor(x, y)', A + 'true_divide.Tensor(x, y)', A + 'greater.Tensor(x, y)', A + 'less_equal.Scalar(x, 0.5)', A + 'not_equal.Tensor(x, y)', A + 'fix.default(x)', A + 'concat.default([x, y], 1)',
                              A + 'concatenate.default([x, y])', A + 'swapaxes.default(x, 0, 1) * 1', A + 'swapdims.default(x, 0, -1) * 1', A + 'moveaxis.int(x, 0, 1) * 1', A + 'adjoint.default(x) * 1', A + 'broadcast_to.default(x, [2, 2, 3]) * 1',
                              A + 'reshape_as.default(x, y)', A + 'view_as.default(x, y)', A + 'sum_to_size.default(x, [1, 3])', A + 'diff.default(x)', A + 'take_along_dim.default(x, y.long().clamp(0, 1), 0)',
                              A + 'pad.default(x, [1, 0], "constant", 2.0)', A + '_stack.default([x, y], -1)', A + '_aminmax.default(x)[0]', A + '_aminmax.dim(x, 1)[1]', A + 'lift.default(x)', A + '_lazy_clone.default(x)',
                              A + 'ger.default(x[0], y[1])', A + 'rrelu.default(x)'], two, 1e-6)
named('products by other names of ATen', [A + 'chain_matmul.default([x, y.t()])', A + 'tensordot.default(x, y, [1], [1])', A + 'tensordot.default(x, y, [0, 1], [0, 1])', A + 'matrix_power.default(x @ y.t(), 2)', A + '_logcumsumexp.default(x, 1)',
                                          A + 'arctan2.default(x, y)', A + 'arcsinh.default(x)', A + 'arctan.default(x)'], two, 2e-6)
named('at least so many dims', ['torch.atleast_1d(x)', 'torch.atleast_1d([x])[0]', 'torch.atleast_2d(x, y)[1]', A + 'atleast_1d.default(x)', A + 'atleast_1d.Sequence([x])[0]', A + 'atleast_2d.default(x)', A + 'atleast_3d.Sequence([x, y])[1]'],
      {'x': ('f32', [1.0, 2.0]), 'y': ('f32', 3.0)})
named('combinations and powers of a vector', ['torch.combinations(x)', 'torch.combinations(x, 3)', 'torch.combinations(x, 1)', 'torch.combinations(x, 5)', 'torch.combinations(x, 2, True)', 'torch.combinations(x[:0], 2, True)',
                                              'torch.combinations(x, r = 3, with_replacement = True)', 'torch.vander(x)', 'torch.vander(x, 2)', 'torch.vander(x, 5, True)', 'torch.vander(x, increasing = True)'], {'x': ('i64', [5, -2, 3, 7])})
case('too many combinations', 'return (torch.combinations(x, 4),)', {'x': ('i64', list(range(30)))}, refused='up to 4096 indices are')
