#!/usr/bin/env python3
"""Writes cases.txt: pointwise operators, reductions, casts, and how numbers are kept.  Where torch is:

    python3 tests/data/numbers/cases.py > tests/data/numbers/cases.txt
"""
import math
import torch
from math import inf, nan

from case import bf16, case, f32

# --- one value, however often it is used
torch.manual_seed(0)
many = torch.randn(4, 33).tolist()
huge = (torch.randn(3, 40) * 1e20).tolist()
case('a product minus itself', 'v = x * r\nd = v - v\nreturn (d,)', {'x': ('f32', many), 'r': ('f32', many)})
case('a product and what it was stored as', 'v = x * r\nd = v - v.max()\ne = v.max() - v.max()\nm = (v - v.amax(-1, keepdim = True)).amax()\nreturn (e, m)',
     {'x': ('f32', many), 'r': ('f32', many)})
for dim in (-1, 0):
    case(f'softmax of large products over dim {dim}', f's = torch.softmax(x * 3.3, {dim})\nreturn (s,)', {'x': ('f32', huge)})
case('softmax of large products in bf16', 's = torch.softmax(x * 3.3, -1)\nreturn (s,)', {'x': ('bf16', huge)}, near=8e-3)
case('largest of a product that is seen turned', 'v = x * r\nm = v.t().amax(0)\nd = (v - m.unsqueeze(-1)).amax(-1)\nreturn (d,)',
     {'x': ('f32', many), 'r': ('f32', many)})
case('bf16 used twice is bf16', 'v = x * r\nd = v - (v * 1.0).amax(-1, keepdim = True)\nm = d.amax(-1)\nreturn (v, m)',
     {'x': ('bf16', many), 'r': ('bf16', many)})
case('equal elements have no variance', 'k = torch.full_like(z, 3.0)\nm = torch.nn.functional.layer_norm(k, (3,))\nn = torch.nn.functional.layer_norm(y, (1,))\nreturn (m, n)',
     {'z': ('f32', [[1., 2., 3.]] * 4), 'y': ('f32', [[1.7]] * 16)})
case('the mean divides', 'm = x.mean(-1)\nreturn (m,)', {'x': ('f32', [[3.] * 3, [7.] * 3, [1., 2., 4.]])})

# --- strict: one rounding for each operator
a, b, c = f32(1.0000001, 3.1, 0.1), f32(1.0000001, 0.7, 0.3), f32(-1.0000002, -2.17, -0.03)
case('a product is rounded before it is added', 'p = a * b\ns = p + c\nd = a * b\ne = d - c\nf = c - d\nreturn (s, e, f)', {'a': a, 'b': b, 'c': c}, strict=True)
case('bf16 is rounded after every operator', 'p = a * b\ns = p + c\nq = s * s - p\nreturn (q,)',
     {'a': ('bf16', many), 'b': ('bf16', many[::-1]), 'c': ('bf16', [[0.3] * 33] * 4)}, strict=True)

# --- zeros and NaN among the extremes
x, y = [-0.0, 0.0, nan, 1., -0.0, inf], [0.0, -0.0, 1., nan, -0.0, -inf]
for dt in ('f32', 'f64', 'bf16', 'f16'):
    case(f'extremes of {dt}', 'a = torch.maximum(x, y)\nb = torch.minimum(x, y)\nreturn (a, b)', {'x': (dt, x), 'y': (dt, y)})
    case(f'bounds of {dt}', 'a = torch.relu(x)\nb = torch.clamp(x, 0, 1)\nc = torch.clamp(x, min = 0)\nd = torch.clamp(x, max = 0)\n'
         'e = torch.clamp(x, max = -0.0)\nreturn (a, b, c, d, e)', {'x': (dt, x)})
case('a bound that is NaN', 'a = torch.clamp(x, max = nan)\nb = torch.clamp(x, min = nan)\nc = torch.clamp(x, nan, 1.0)\nd = torch.clamp(x, 0.0, nan)\n'
     'e = torch.clamp_min(x, nan)\nf = torch.clamp_max(x, nan)\ng = torch.clamp(x, 4, 2)\nreturn (a, b, c, d, e, f, g)', {'x': f32(1., nan, 3.)})

# --- casts of what does not fit: x86 here, CUDA by its instruction (the nearest, NaN the least but 0 from f32 through 32 bits; through 32 bits for i8, i16, i32)
odd = [nan, inf, -inf, 3e9, -3e9, 2.9, -2.9, 300., 70000., 1e19, -1e19, 2147483648., -2147483648., 255.5, -129.]
M, L = 2**31 - 1, -2**31
wrap = lambda v, bits: [(w + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1) for w in v]
through32 = [0, M, L, M, L, 2, -2, 300, 70000, M, L, M, L, 255, -129]
through64 = [-2**63, 2**63 - 1, -2**63, 3000000000, -3000000000, 2, -2, 300, 70000, 2**63 - 1, -2**63, 2**31, L, 255, -129]
for dt in ('f32', 'f64'):
    through32[0] = L if dt == 'f64' else 0
    case(f'casts of {dt} out of range', 'a = x.to(torch.int8)\nb = x.to(torch.uint8)\nc = x.to(torch.int16)\nd = x.to(torch.int32)\ne = x.to(torch.int64)\n'
         'f = x.to(torch.bool)\nreturn (a, b, c, d, e, f)', {'x': (dt, odd)},
         gpu={0: wrap(through32, 8), 1: [v % 256 for v in through64], 2: wrap(through32, 16), 3: through32,
              4: [through64[0]] + [2**63 - 1, -2**63] + through64[3:]})
case('casts of f16 out of range', 'd = x.to(torch.int32)\nb = x.to(torch.uint8)\nreturn (d, b)', {'x': ('f16', [nan, inf, -inf, 65504., -1.5])},
     gpu={0: [0, M, L, 65504, -1], 1: [0, 255, 0, 224, 255]})
case('a copy casts', 'y = torch.empty([5], dtype = torch.int32)\nz = y.copy_(x)\nreturn (z,)', {'x': f32(nan, inf, -inf, 3e9, -7.9)}, gpu={0: [0, M, L, M, -7]})

# --- what is computed of a transposed tensor is column-major: to reshape it copies
case('a copy of what lies otherwise', 'v = x.t() + 1\nz = v.reshape(-1)\nw = z + v.sum()\nreturn (v, w)', {'x': f32([1., 2., 3.], [4., 5., 6.])})
case('written after a copy', 'v = (x.t() + 1).contiguous()\nz = v.reshape(-1)\nz.add_(1)\nreturn (v, z)', {'x': f32([1., 2., 3.], [4., 5., 6.])})
case('written while nobody looks', 'v = x.t() + 1\nz = v.reshape(-1)\nz.add_(1)\nreturn (z,)', {'x': f32([1., 2., 3.], [4., 5., 6.])})
case('cut, not joined', 'v = x.t() + 1\nz = v.reshape(3, 1, 2)\nz.add_(1)\nreturn (v, z)', {'x': f32([1., 2., 3.], [4., 5., 6.])})
case('a copy, or a view, and a write', 'v = x.t() + 1\nz = v.reshape(-1)\nz.add_(1)\nreturn (v, z)', {'x': f32([1., 2., 3.], [4., 5., 6.])})
case('contiguous, and a write', 'v = x.t() * 2\nz = v.contiguous()\nv.add_(1)\nreturn (v, z)', {'x': f32([1., 2., 3.], [4., 5., 6.])})

case('a product of integers in a sum of floats', 'v = -3 * i\ny = v.add(x)\nreturn (y,)', {'i': ('i64', [1, -2, 2049]), 'x': ('f16', [.5, 1., 2.])})

# --- a row by an index without dims is a view
case('a row, read', 'r = x[i]\ny = r + 1\nreturn (y, r)', {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i64', 1)})
case('a row, written and let go', 'r = x[i]\nr.add_(1)\nreturn (r,)', {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i64', -1)},
     unbuilt='is a view in PyTorch')
case('a row of what is made here, written', 'v = x + 1\nr = v[i]\nr.add_(1)\nreturn (r,)', {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i64', -1)})
case('a row of a row, written', 'v = x + 1\nr = v[i][i]\nr.add_(1)\nreturn (r, v)', {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i32', 1)},
     unbuilt='is a view in PyTorch')
case('a row of what is written later', 'v = x + 1\nr = v[:, i]\nv.mul_(2)\nreturn (r, v)', {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i32', 1)},
     unbuilt='is a view in PyTorch')
case('a row of what is written by index later', 'v = x + 1\nr = v[i]\nv.index_fill_(0, at, 9.0)\nreturn (r, v)',
     {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i32', 1), 'at': ('i64', [1])}, unbuilt='is a view in PyTorch')
case('a copy, or a view, and a write by index', 'v = x.t() + 1\nz = v.reshape(-1)\nz.index_fill_(0, at, 9.0)\nreturn (v, z)',
     {'x': f32([1., 2., 3.], [4., 5., 6.]), 'at': ('i64', [1, 4])})
case('a row by aten.index, written', 'v = x + 1\nr = torch.ops.aten.index(v, [i])\nr.add_(1)\nreturn (r, v)', {'x': f32([1., 2., 3.], [4., 5., 6.]), 'i': ('i32', 1)})

# --- sine and cosine, however large
far = [1e5, 1e8, 1e15, 1e16, 3e20, -7e25, 1e30, 3.4e38, -3.4e38, 2.25e15, 4.5e15, 1e22, inf, nan, 0.5]
case('sin and cos of large f32', 's = torch.sin(x)\nc = torch.cos(x)\nreturn (s, c)', {'x': ('f32', far)}, near=3e-7)
case('sin and cos of large f64', 's = torch.sin(x)\nc = torch.cos(x)\nreturn (s, c)', {'x': ('f64', [1e17, -1e22, 1e100, -1e300, 1.7976931348623157e308])}, near=2e-15)

# --- what a factor of 0 stands before
rows2, eye, bad = ('f32', [[1., 2.]]), ('f32', [[1., 0.], [0., 1.]]), f32(nan, inf)
case('beta is 0', 'r = torch.addmm(c, a, b, beta = 0)\ns = torch.addmm(c, a, b, beta = 0, alpha = 2)\nt = torch.addmm(c, a, b, beta = 0.0)\nreturn (r, s, t)',
     {'c': bad, 'a': rows2, 'b': eye})
case('alpha is 0', 'r = torch.addmm(c, a, b, alpha = 0)\ns = torch.addmm(c, a, b, alpha = 0, beta = 2)\nt = torch.addmm(d, a, b, alpha = 0, beta = 0)\nreturn (r, s, t)',
     {'c': f32(3., 4.), 'd': bad, 'a': ('f32', [[nan, 2.]]), 'b': eye})
case('baddbmm with beta 0', 'r = torch.baddbmm(c, a, b, beta = 0)\nreturn (r,)', {'c': ('bf16', [[[nan, 1.]]]), 'a': ('bf16', [[[1., 2.]]]), 'b': ('bf16', [[[1., 0.], [0., 1.]]])})

# --- variance
case('variance with a correction of n and more', ''.join(f'v{i} = torch.var(x, -1, correction = {k})\n' for i, k in enumerate((0, 1, 2, 3, 1.5))) +
     's = torch.var(x, -1, correction = 5)\none = torch.var(y, -1)\nreturn (v0, v1, v2, v3, v4, s, one)', {'x': ('f32', [[1., 2.]]), 'y': ('f32', [[1.], [2.]])}, near=2e-7)
case('variance around a large mean', 'v = torch.var(x, -1)\ns = torch.var(x, -1, unbiased = False)\nw = x.var(0)\nreturn (v, s, w)',
     {'x': ('f32', [[1e8 + 8 * ((i * 7 + j) % 13) for i in range(31)] for j in range(3)])}, near=1e-6)
case('variance of a symbolic number of rows', 'v = torch.var(x, 0)\nw = torch.var(x, 0, correction = 9)\nreturn (v, w)',
     {'x': ('f32', [[1., 2.], [4., 8.], [9., 1.]], 's0, 2')}, symbols={'s0': 3}, near=2e-7)
case('chunks of a symbolic size', 'c = torch.chunk(x, 2, 0)\na = c[0]\nb = c[1]\na = a + 0\nb = b + 0\nreturn (a, b)', {'x': ('f32', [1., 2., 4., 8., 16.], 's0')}, symbols={'s0': 5})
case('softmax of a number', 's = torch.softmax(a, 0)\nt = torch.softmax(b, -1)\nreturn (s, t)', {'a': ('f32', 3.), 'b': ('bf16', nan)})

# --- numbers that a dtype does not hold: PyTorch raises where it fills with them, and computes with them otherwise
for i, (text, dt, dtype) in enumerate([
        ('torch.full_like(x, 300)', 'u8', 'u8'), ('torch.full_like(x, -256)', 'u8', 'u8'), ('torch.full([2], 1e39)', 'f32', 'f32'),
        ('torch.full([2], 65520.0, dtype = torch.float16)', 'f32', 'f16'), ('torch.full([2], nan, dtype = torch.int32)', 'f32', 'i32'),
        ('torch.clamp(x, min = -3.4e+39)', 'f32', 'f32'), ('torch.clamp(x, max = 300)', 'u8', 'u8'), ('torch.where(x > 0, x, 1e39)', 'f32', 'f32'),
        ('x.masked_fill(x > 0, 300)', 'u8', 'u8'), ('torch.nn.functional.pad(x, (1, 1), value = 1e39)', 'f32', 'f32'), ('x.fill_(300)', 'u8', 'u8')]):
    case(f'a number that {dtype} does not hold, {i}', f'd = {text}\nreturn (d,)', {'x': (dt, [1, 2])}, refused=f'a number that {dtype} holds')
case('numbers that a dtype holds', 'a = torch.full_like(x, -255)\nb = x + 300\nc = x == 300\nd = x < 300\ne = torch.full([2], 300, dtype = torch.bool)\nf = torch.full([2], 2.5, dtype = torch.int32)\n'
     'g = torch.full([2], inf)\nh = y + 1e39\ni = y < 1e39\nreturn (a, b, c, d, e, f, g, h, i)', {'x': ('u8', [1, 2]), 'y': f32(1., 2.)})

# --- indices out of range
table = ('f32', [[0., 1.], [2., 3.], [4., 5.], [6., 7.]])
for i, (text, index) in enumerate([('torch.nn.functional.embedding(i, w)', [-1, 0, 1]), ('torch.nn.functional.embedding(i, w)', [0, 3, 4]),
                                   ('torch.index_select(w, 0, i)', [0, -1]), ('w[i]', [3, -5]), ('w[i + 1]', [3, 0]), ('w[:, i]', [0, 2])]):
    for dt in ('i64', 'i32') if i == 1 else ('i64',):
        case(f'an index out of range, {i} {dt}', f'e = {text}\nreturn (e,)', {'i': (dt, index), 'w': table}, refused='take|index|is out of range|dim|table has')
case('indices in range', 'e = torch.nn.functional.embedding(i, w)\nf = w[i]\ng = w[j]\nreturn (e, f, g)',
     {'i': ('i64', [0, 3]), 'j': ('i32', [[-4, -1], [3, 0]]), 'w': table})

# --- a number beside bf16: a CPU rounds it first where it adds or subtracts, CUDA does not
case('numbers beside bf16', 'a = x + 0.003907\nb = x - 0.3\nc = 0.3 - x\nd = x * 0.3\ne = x / 0.3\nf = 0.3 / x\nreturn (a, b, c, d, e, f)', {'x': bf16(1., 256., 0.30078125)},
     gpu={0: [1.0078125, 256., 0.3046875], 1: [0.69921875, 256., 0.00078201293945], 2: [-0.69921875, -256., -0.00078201293945]}, near=4e-3)
case('signs of zero', 's = torch.sin(x)\nt = torch.tanh(x)\ne = torch.erf(x)\nn = -x\na = torch.abs(x)\nr = torch.sqrt(x)\nf = torch.floor(x)\nc = torch.ceil(x - 0.5)\nreturn (s, t, e, n, a, r, f, c)', {'x': f32(-0.0, 0.0)})

# --- division of floats towards minus infinity, as PyTorch's scalar steps have it
case('floor division', 'q = a // b\nr = a % b\nreturn (q, r)', {'a': f32(1.0504645031330054e19, 1., -1., 7., -7., 1e8, inf, 0., -0., 5.5, 45335.84375),
     'b': f32(-1699637100544.0, 0.1, 0.1, -2., 2., 0.7, 1., 3., 3., inf, 0.3)})

# --- attributes where arguments stand
case('attributes among arguments', 'a = torch.matmul(x, y.T)\nb = torch.add(x.mT, other = y.mT)\nc = torch.mul(x, y.shape[1])\nd = x.sum(dim = y.ndim - 1)\nreturn (a, b, c, d)',
     {'x': ('f32', [[1., 2., 3.], [4., 5., 6.]]), 'y': ('f32', [[0., 1., 0.], [1., 0., 2.]])})
