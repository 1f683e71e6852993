#!/usr/bin/env python3
"""Writes products.txt: matrix products, attention, convolution.  Where torch is:

    python3 tests/data/numbers/products.py > tests/data/numbers/products.txt
"""
import torch
from math import inf

from case import DTYPES, case

torch.manual_seed(0)


def some(dtype, *shape, scale=1.0):
    return (dtype, (torch.randn(*shape) * scale).to(DTYPES[dtype]).tolist())


# --- attention
SDPA = 'torch.nn.functional.scaled_dot_product_attention'
NEAR = {'f64': 1e-12, 'f32': 2e-5, 'bf16': 3e-2, 'f16': 4e-3}
for dtype, near in NEAR.items():
    qkv = {'q': some(dtype, 2, 4, 5, 8), 'k': some(dtype, 2, 4, 7, 8), 'v': some(dtype, 2, 4, 7, 6)}
    case(f'attention {dtype}', f'o = {SDPA}(q, k, v)\np = torch._C._nn.scaled_dot_product_attention(q, k, v, dropout_p = 0.0, is_causal = True, scale = 0.3)\nreturn (o, p)',
         qkv, near=near, absolute=near / 4)
seen = [[True, False, True, True, False], [False] * 5, [True] * 5]
qkv = {'q': some('f32', 1, 2, 3, 4), 'k': some('f32', 1, 2, 5, 4), 'v': some('f32', 1, 2, 5, 4)}
case('attention with a mask, rows of which see nothing', f'o = {SDPA}(q, k, v, attn_mask = m)\np = {SDPA}(q, k, v, f, scale = 2.0)\nr = {SDPA}(q, k, v, m, is_causal = True)\nreturn (o, p, r)',
     qkv | {'m': ('b8', seen), 'f': ('f32', [[[[0., -inf, 1., -2., 0.5]], [[-inf] * 5]]])}, near=2e-5, absolute=1e-6)
case('attention of groups of heads', f'o = {SDPA}(q, k, v, is_causal = True, enable_gqa = True)\np = {SDPA}(q.transpose(1, 2).contiguous().transpose(1, 2), k, v, m, enable_gqa = True)\nreturn (o, p)',
     {'q': some('f32', 2, 6, 3, 4), 'k': some('f32', 2, 2, 5, 4), 'v': some('f32', 2, 2, 5, 4), 'm': some('f32', 2, 1, 3, 5)}, near=2e-5, absolute=1e-6)
case('a part of the attention of groups of heads', f'o = {SDPA}(q, k, k, enable_gqa = True)\np = o[1:, 1:].permute(1, 0, 2)\nreturn ((p + 0).contiguous(), (o[4:].permute(1, 0, 2) * 2).contiguous())',
     {'q': some('f32', 4, 3, 2), 'k': some('f32', 2, 1, 2)}, near=2e-5, absolute=1e-6)
case('attention of matrices, one head of keys, more causal rows than keys',
     f'o = {SDPA}(q, k, v, is_causal = True)\np = {SDPA}(r, k.unsqueeze(0), v.unsqueeze(0))\nreturn (o, p)',
     {'q': some('f32', 4, 4), 'k': some('f32', 2, 4), 'v': some('f32', 2, 3), 'r': some('f32', 3, 2, 4)}, near=2e-5, absolute=1e-6)
case('attention of what symbols count', f'o = {SDPA}(q, k, k, attn_mask = m, scale = 0.25, is_causal = False)\nreturn (o,)',
     {'q': (*some('f32', 1, 2, 6, 4), '1, 2, s0, 4'), 'k': (*some('f32', 1, 2, 3, 4), '1, 2, s1, 4'), 'm': (*some('f32', 1, 1, 6, 3), '1, 1, s0, s1')},
     near=2e-5, absolute=1e-6, symbols={'s0': 6, 's1': 3})
case('attention and the logarithms of its sums',
     't = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default(q, k, v, 0.0, True, attn_mask = f)\no = t[0]\nl = t[1]\nreturn (o, l)',
     qkv | {'f': ('f32', [[0., -inf, 1., -2., 0.5], [-inf] * 5, [1.] * 5])}, near=2e-5, absolute=1e-6)
case('fewer heads of keys without a word', f'o = {SDPA}(q, k, k)\nreturn (o,)', {'q': some('f32', 1, 4, 2, 2), 'k': some('f32', 1, 2, 2, 2)}, refused='enable_gqa')
case('a mask that does not fit', f'o = {SDPA}(q, q, q, m)\nreturn (o,)', {'q': some('f32', 1, 4, 2, 2), 'm': some('f32', 3, 2)}, refused='sdpa|mask|broadcasts')
case('attention with dropout', f'o = {SDPA}(q, q, q, dropout_p = 0.5)\nreturn (o,)', {'q': some('f32', 1, 4, 2, 2)}, refused='scaled_dot_product_attention')


def several(name, forms, inputs, **kinds):
    """One result for each of FORMS."""
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = ({form}).contiguous()' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, **kinds)


# --- vectors and matrices
A, B, V, W = some('f32', 3, 4), some('f32', 4, 2), some('f32', 4), some('f32', 3)
several('products with vectors', ['torch.mv(a, v)', 'torch.ops.aten.mv.default(a, v)', 'torch.dot(v, v)', 'torch.vdot(v, v)', 'torch.inner(a, v)', 'torch.inner(a, b.t())', 'torch.outer(v, w)', 'torch.ger(w, v)',
                                  'torch.addmv(w, a, v)', 'torch.addmv(w, a, v, beta = 0.5, alpha = 2)', 'torch.addr(a, w, v, beta = 2, alpha = 0.5)', 'torch.nn.functional.linear(a, v)',
                                  'a @ v', 'v @ b', 'torch.chain_matmul(a, b, b.t())'], {'a': A, 'b': B, 'v': V, 'w': W}, near=1e-5, absolute=1e-6)
several('a matrix and a vector as AOT prints them', ['torch.ops.aten.mv.default(m, v)'], {'m': ('f32', [[1., 2.], [3., 4.]]), 'v': ('f32', [1., 1.])})
several('products that add', ['torch.addbmm(x, p, q)', 'torch.addbmm(x, p, q, beta = 0, alpha = 2)', 'torch.baddbmm(y, p, q, beta = 0)', 'torch.addmv(n, a, v, beta = 0)'],
        {'x': some('f32', 3, 2), 'y': ('f32', [[[float('nan')] * 2] * 3] * 2), 'p': some('f32', 2, 3, 4), 'q': some('f32', 2, 4, 2), 'n': ('f32', [float('nan')] * 3), 'a': A, 'v': V},
        near=1e-5, absolute=1e-6)
several('products of integers', ['a @ b', 'torch.mv(a, v)', 'torch.bmm(a.unsqueeze(0), b.unsqueeze(0))', 'torch.dot(v, v)', 'c @ c', 'torch.addmm(b, a[:, :2], b[:2] - 1)'],
        {'a': ('i64', [[1, -2, 3], [4, 5, 1 << 40], [7, 8, 9]]), 'b': ('i64', [[1, 2], [3, 4], [1 << 30, -6]]), 'v': ('i64', [1, 2, 3]),
         'c': ('i8', [[100, 27], [-128, 3]])})
several('products of small integers in wider ones', ['torch._int_mm(a, b)'], {'a': ('i8', torch.randint(-128, 128, (17, 16)).tolist()), 'b': ('i8', torch.randint(-128, 128, (16, 8)).tolist())})

# --- labels
EINSUM = ['ij,jk->ik', 'ij,jk', 'ij,kj->ki', 'ij->ji', 'ij->i', 'ij->', 'ij', 'ji', 'ij,ij->', 'ij,ij->ij', 'ij,kl->ijkl']
several('einsum of matrices', [f"torch.einsum('{e}', {'a, b' if 'jk' in e else 'a, a' if ',' in e else 'a'})" for e in EINSUM], {'a': A, 'b': B}, near=1e-5, absolute=1e-6)
several('einsum of more', ["torch.einsum('bhid,bhjd->bhij', q, q)", "torch.einsum('b h i j , b h j d -> b i h d', q, k)", "torch.einsum('...id,...jd->...ij', q, q)", "torch.einsum('ii->i', m)",
                           "torch.einsum('ii', m)", "torch.einsum('ii,i->', m, v)", "torch.einsum('ij,jk,k->i', m, m, v)", "torch.einsum('...ij,jk', q, m)", "torch.einsum('bhid,ij->bhj', q, m)",
                           "torch.einsum('i,j', v, v)", "torch.einsum('...,...->...', q, m)"],
        {'q': some('f32', 2, 3, 4, 4), 'k': some('f32', 2, 3, 4, 5), 'm': some('f32', 4, 4), 'v': V}, near=1e-5, absolute=1e-5)
several('tensordot, kron, bilinear', ['torch.tensordot(x, y, 2)', 'torch.tensordot(x, y, dims = ([1, 2], [0, 1]))', 'torch.tensordot(a, b, 1)', 'torch.tensordot(v, v, 0)',
                                      'torch.kron(a, b)', 'torch.kron(v, b)', 'torch.nn.functional.bilinear(a, a, w, c)'],
        {'x': some('f32', 2, 3, 4), 'y': some('f32', 3, 4, 2), 'a': A, 'b': B, 'v': V, 'w': some('f32', 2, 4, 4), 'c': some('f32', 2)}, near=1e-5, absolute=1e-5)
case('einsum of what symbols count', "r = torch.einsum('bij,bjk->bik', x, x)\nt = torch.einsum('bij->jb', x)\nreturn (r, t.contiguous())", {'x': (*some('f32', 2, 3, 3), '2, s0, s0')}, symbols={'s0': 3}, near=1e-5, absolute=1e-6)
case('einsum with a wrong text', "r = torch.einsum('ij,jk', x)\nreturn (r,)", {'x': A}, refused='einsum')

# --- convolution
F = 'torch.nn.functional'
several('convolution along a line', ['torch.conv1d(x, w, b, (1,), (1,), (1,), 1)', f'{F}.conv1d(x, w)', 'torch.conv1d(x, w, b, 2, 3, 2)', "torch.conv1d(x, w, None, 1, 'same', 3)",
                                     "torch.conv1d(x, w, padding = 'valid')", 'torch.conv1d(x[0], w, b)', 'torch.ops.aten.convolution.default(x, w, b, [2], [1], [1], False, [0], 1)',
                                     'torch.conv1d(x, g, b, 1, 1, 1, 2)', 'torch.conv1d(x, p, b)', 'torch.conv1d(x, p, b, 3)'],
        {'x': some('f32', 2, 4, 9), 'w': some('f32', 6, 4, 3), 'b': some('f32', 6), 'g': some('f32', 6, 2, 3), 'p': some('f32', 6, 4, 1)}, near=1e-5, absolute=1e-5)
several('depthwise convolution', ['torch.conv1d(x, w, b, 1, 3, 1, 4)[..., :9]', 'torch.conv1d(x, w, None, 2, 0, 2, 4)', 'torch.conv1d(x, d, None, 1, 2, 1, 4)', 'torch.conv2d(y, k, None, 1, 1, 1, 3)',
                                  'torch.conv2d(y, k, None, (2, 1), (0, 2), (1, 2), 3)'],
        {'x': some('f32', 2, 4, 9), 'w': some('f32', 4, 1, 4), 'b': some('f32', 4), 'd': some('f32', 8, 1, 3), 'y': some('f32', 1, 3, 6, 7), 'k': some('f32', 3, 1, 3, 3)}, near=1e-5, absolute=1e-5)
several('convolution of images', ['torch.conv2d(x, w, b, (4, 4), (0, 0), (1, 1), 1)', 'torch.conv2d(x, k, b, 1, 1)', 'torch.conv2d(x, k, b, (2, 3), (1, 0), (2, 1))', "torch.conv2d(x, k, None, 1, 'same')",
                                  'torch.conv2d(x, p, b)', f'{F}.conv2d(x[0], k)', 'torch.conv2d(y, g, None, 1, 1, 1, 2)',
                                  'torch.ops.aten._convolution.default(x, k, b, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False, True, True)'],
        {'x': some('f32', 2, 3, 8, 9), 'w': some('f32', 5, 3, 4, 4), 'k': some('f32', 5, 3, 3, 2), 'b': some('f32', 5), 'p': some('f32', 5, 3, 1, 1), 'y': some('f32', 1, 4, 5, 5), 'g': some('f32', 6, 2, 3, 3)},
        near=1e-5, absolute=1e-5)
several('convolution in space', ['torch.conv3d(x, w, b, 1, 1)', 'torch.conv3d(x, w, None, (1, 2, 2))'], {'x': some('f32', 1, 2, 4, 5, 6), 'w': some('f32', 3, 2, 2, 3, 3), 'b': some('f32', 3)}, near=1e-5, absolute=1e-5)
several('transposed convolution', ['torch.conv_transpose1d(x, w, b)', 'torch.conv_transpose1d(x, w, b, 2, 1, 1)', 'torch.conv_transpose1d(x, w, None, 3, 2, 0, 1, 2)', 'torch.conv_transpose1d(x, g, None, 2, 0, 0, 2)',
                                   'torch.conv_transpose2d(y, k, None, 2, 1, (1, 0))', 'torch.ops.aten.convolution.default(x, w, b, [2], [1], [1], True, [1], 1)', 'torch.conv_transpose1d(x, w, b, 1, 2)'],
        {'x': some('f32', 2, 4, 5), 'w': some('f32', 4, 3, 3), 'b': some('f32', 3), 'g': some('f32', 4, 3, 2), 'y': some('f32', 1, 2, 3, 4), 'k': some('f32', 2, 3, 3, 3)}, near=1e-5, absolute=1e-5)
for dtype, near in (('bf16', 2e-2), ('f16', 3e-3), ('f64', 1e-12)):
    several(f'convolution {dtype}', ['torch.conv1d(x, w, b, 1, 1)', 'torch.conv1d(x, d, b, 1, 1, 1, 4)'], {'x': some(dtype, 1, 4, 6), 'w': some(dtype, 4, 4, 3), 'd': some(dtype, 4, 1, 3), 'b': some(dtype, 4)},
            near=near, absolute=near)
case('convolution of what a symbol counts', 'r = torch.conv1d(x, w, None, 2, 1)\nd = torch.conv1d(x, k, None, 1, 2, 1, 2)\nreturn (r, d)', {'x': (*some('f32', 1, 2, 7), '1, 2, s0'), 'w': some('f32', 3, 2, 3), 'k': some('f32', 2, 1, 3)},
     symbols={'s0': 7}, near=1e-5, absolute=1e-6)
case('an image of other channels', 'r = torch.conv1d(x, w)\nreturn (r,)', {'x': some('f32', 1, 2, 7), 'w': some('f32', 3, 4, 3)}, refused='conv1d|does not go with a weight')
# --- whole heads, groups, windows
MHA = 'torch.nn.functional.multi_head_attention_forward'
several('attention of many heads', [f'{MHA}(q, q, q, 8, 2, w, b, None, None, False, 0.0, o, c, training = False, need_weights = False)[0]',
                                    f'{MHA}(q, k, k, 8, 4, w, b, None, None, False, 0.0, o, None, training = False, need_weights = False, attn_mask = m, key_padding_mask = p)[0]',
                                    f'{MHA}(q[:, 0], k[:, 0], k[:, 0], 8, 2, w, None, None, None, False, 0.1, o, c, training = False)[0]'],
        {'q': some('f32', 3, 2, 8), 'k': some('f32', 4, 2, 8), 'w': some('f32', 24, 8), 'b': some('f32', 24), 'o': some('f32', 8, 8), 'c': some('f32', 8),
         'm': ('b8', [[False, True, False, False]] * 3), 'p': ('b8', [[False] * 4, [False, False, False, True]])}, near=1e-5, absolute=1e-5)
for dtype, near in (('f32', 1e-5), ('bf16', 1e-2)):
    several(f'products of groups {dtype}', ['torch._grouped_mm(a, b, o)'], {'a': some(dtype, 6, 8), 'b': some(dtype, 3, 8, 16), 'o': ('i32', [2, 2, 6])}, near=near, absolute=near)
several('windows of images', [f'{F}.unfold(x, 2)', f'{F}.unfold(x, (2, 3), padding = 1, stride = 2)', f'{F}.unfold(x[0], (3, 2), dilation = 2)'], {'x': some('f32', 2, 3, 5, 6)})
# --- what is no ordinary number, in the pairs that CPUs multiply bf16 in: at an odd K's end too
X = [[1.5] * 7 for _ in range(5)]
X[1][3], X[2][6], X[3][0], X[3][1], X[4][6] = float('nan'), inf, inf, -inf, 1e38
Y = [[1.0, -2.0, 0.5, 4.0, 0.25, 1.0, 100.0], [0.0] * 7, [1.0] * 7]
several('bf16 that is no ordinary number', ['torch.nn.functional.linear(x, y)', 'x @ z'],
        {'x': ('bf16', X), 'y': ('bf16', Y), 'z': ('bf16', [list(c) for c in zip(*Y)])}, near=1e-2)

# --- factors
whole = {'x': ('i64', [[1, -2, 3], [4, 5, -6]]), 'a': ('i64', [[1, 2], [3, 4]]), 'b': ('i64', [[1, 0, -1], [2, 5, 7]]), 'v': ('i64', [3, -2])}
case('fractions of integers', 'p = torch.addmm(x, a, b, beta = 0.6, alpha = 2.7)\nq = torch.addbmm(x, a[None], b[None], beta = -1.9, alpha = 0.2)\nr = torch.addmv(v, a, v, alpha = 1.5)\ns = torch.baddbmm(x[None], a[None], b[None], beta = 0.2)\n'
     't = torch.addmm(x, a, b, beta = True)\nreturn (p, q, r, s, t)', whole)
case('what is added broadcasts', 'p = torch.addmm(u, a, b)\nq = torch.addmm(n, a, b)\nr = torch.addmm(w, a, b, beta = 2)\nx.addmm_(a, b)\ny.baddbmm_(a[None], b[None], alpha = 3)\nz.addmv_(a, u.expand(2))\nreturn (p, q, r, x, y, z)',
     {'u': ('f32', [5.]), 'n': ('f32', 7.), 'w': ('f32', [[1.], [2.]]), 'a': ('f32', [[1., 2.], [3., 4.]]), 'b': ('f32', [[1., 0., -1.], [2., 5., 7.]]), 'x': ('f32', [[1., -2., 3.], [4., 5., -6.]]),
      'y': ('f32', [[[1., -2., 3.], [4., 5., -6.]]]), 'z': ('f32', [1., 2.])})
case('a dim of 1 meets any', 'p = torch.tensordot(a, b, dims = ([0, 1], [2, 0]))\nq = torch.tensordot(c, d, dims = ([1], [0]))\nreturn (p, q)',
     {'a': ('f32', [[[3.]]]), 'b': ('f32', [[[1., 2.]], [[3., 4.]]]), 'c': ('i64', [[1, 2], [3, 4]]), 'd': ('i64', [[1, -1, 7]])})
several('products of groups of one size', ['torch._grouped_mm(a, b)', 'torch.nn.functional.grouped_mm(a, b)'], {'a': some('bf16', 2, 3, 8), 'b': some('bf16', 2, 8, 16)}, near=1e-2, absolute=1e-2)
for dt in ('i8', 'u8', 'i64'):
    case(f'bilinear forms and labels of {dt}', "a = torch.nn.functional.bilinear(x, y, w)\nb = torch.nn.functional.bilinear(x, y, w, c)\nd = torch.einsum('ij,ik->jk', x, y)\nreturn (a, b, d)",
         {'x': (dt, [[3, 100], [7, 2]]), 'y': (dt, [[5, 1, 2], [90, 4, 3]]), 'w': (dt, [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 0, 2]]]), 'c': (dt, [1, 2])})
