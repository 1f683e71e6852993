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
case('attention with dropout', f'o = {SDPA}(q, q, q, dropout_p = 0.5)\nreturn (o,)', {'q': some('f32', 1, 4, 2, 2)}, refused='random')
