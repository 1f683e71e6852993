#!/usr/bin/env python3
"""Writes reports.txt: what public reports say that other compilers get wrong, as one small graph each, and what torch.compile and engines hand over
(statements as Dynamo, AOTAutograd and torch.export print them, annotations and all).  Where torch is:

    python3 tests/data/numbers/reports.py > tests/data/numbers/reports.txt
"""
import torch
from math import inf, nan

from case import case

torch.manual_seed(0)


def ints(below, *shape):
    return torch.randint(0, below, shape).tolist()


def floats(*shape):
    return torch.randn(shape).tolist()


# --- numbers.  Where PyTorch on CUDA has others (`gpu`): a cast saturates, and NaN is 0; the scalar of an addition of bf16 is not rounded to bf16 first.
# A row of one element is its own mean, and normalises to 0: PyTorch's kernel of layer_norm leaves a residue (`given`).
case('addmm beta0 (pytorch#196596)', 'r: "f32[1, 2]" = torch.addmm(c, a, b, beta = 0)\nreturn (r,)',
     {'c': ('f32', [nan, inf]), 'a': ('f32', [[1.0, 2.0]]), 'b': ('f32', [[1.0, 0.0], [0.0, 1.0]])})
case('bool add (pytorch#126824)', 'r: "b8[3]" = a + b\nreturn (r,)',
     {'a': ('b8', [True, True, False]), 'b': ('b8', [True, False, False])})
case('bool mul max lt (pytorch#126824)', 'r: "b8[3]" = a * b\ns: "b8[3]" = torch.maximum(a, b)\nt: "b8[3]" = torch.lt(a, b)\nu: "b8[]" = a.amax()\nreturn (r, s, t, u)',
     {'a': ('b8', [True, True, False]), 'b': ('b8', [True, False, False])})
case('cast f32 i32 range (tensorflow#126212 triton#10658)', 'r: "i32[6]" = x.to(torch.int32)\nreturn (r,)',
     {'x': ('f32', [nan, inf, -inf, 3000000000.0, -3000000000.0, 2.9000000953674316])}, gpu={0: [0, 2**31 - 1, -2**31, 2**31 - 1, -2**31, 2]})
case('cat 1d empty (pytorch#107193)', 'c: "f32[2, 3]" = torch.cat([e, a], 0)\nreturn (c,)',
     {'e': ('f32', []), 'a': ('f32', [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])})
case('clamp nan bound (pytorch#195675)', 'r: "f32[3]" = torch.clamp(x, max = nan)\nreturn (r,)',
     {'x': ('f32', [1.0, nan, 3.0])})
case('floordiv float (pytorch#197895)', 'q: "f32[3]" = a // b\nreturn (q,)',
     {'a': ('f32', [1.0, 0.5, 6.0]), 'b': ('f32', [0.10000000149011612, 0.10000000149011612, 0.20000000298023224])})
case('gpu pad to constant (vllm#54797)', 'u: "f32[40, 3]" = torch.nn.functional.pad(y, (0, 0, 0, 40 - s0))\nreturn (u,)',
     {'y': ('f32', [[1.] * 3] * 5)}, symbols={'s0': 5})
case('gpu slice from symbol', 't: "f32[40 - s0, 3]" = x[(slice(s0, None, None))]\nu = t + 1\nreturn (u,)',
     {'y': ('f32', [[0.] * 3] * 5), 'x': ('f32', torch.arange(120.).view(40, 3).tolist())}, symbols={'s0': 5})
case('index by list (pytorch#174074)', 'a: "f32[2, 2]" = x[[0, 0]]\nreturn (a,)',
     {'x': ('f32', [[-0.8715999722480774, 0.11140000075101852]])})
case('index out of range (pytorch#183608 pytorch#151918 pytorch#169779 pytorch#121251)', 'e: "f32[4, 2]" = torch.nn.functional.embedding(i, w)\nreturn (e,)',
     {'i': ('i64', [-1, 0, 4, 1000000]), 'w': ('f32', [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])}, refused='take|index -1|out of range|4 rows')
case('int pow (pytorch#98149 pytorch#88938 pytorch#121926)', 'r: "i64[3]" = torch.pow(a, b)\ns: "i64[3]" = a ** 3\nreturn (r, s)',
     {'a': ('i64', [2, -2, 3]), 'b': ('i64', [5, 3, 0])})
case('minimum neg zero (pytorch#185610)', 'r: "bf16[2]" = torch.minimum(x, y)\nreturn (r,)',
     {'x': ('bf16', [-0.0, 0.0]), 'y': ('bf16', [0.0, -0.0])})
case('movedim tuple', 'y: "f32[3, 2]" = x.movedim((0, 1), (1, 0))\nreturn (y,)',
     {'x': ('f32', [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])})
case('relu neg zero (pytorch#185610)', 'r: "f32[2]" = torch.relu(x)\nreturn (r,)',
     {'x': ('f32', [-0.0, 0.0])})
case('remainder inf (pytorch#198057)', 'r: "f32[4]" = torch.remainder(x, inf)\nreturn (r,)',
     {'x': ('f32', [1.0, -1.0, 0.0, 5.5])})
case('remainder scalar bf16 (pytorch#186875 pytorch#183083)', 'r: "bf16[2]" = torch.remainder(x, 1.7)\nreturn (r,)',
     {'x': ('bf16', [1.703125, -1.703125])})
case('remainder tiny (pytorch#194345)', 'r: "f32[2]" = torch.remainder(a, b)\nreturn (r,)',
     {'a': ('f32', [10000000000.0, 65504.0]), 'b': ('f32', [9.999999682655225e-21, 5.99999978589949e-08])})
case('scalar add bf16 (pytorch#186818)', 'r: "bf16[2]" = x + 0.003907\nreturn (r,)',
     {'x': ('bf16', [1.0, 256.0])}, gpu={0: [1.0078125, 256.]})
case('scalar overflow (pytorch#195675)', 'c: "f32[2]" = torch.clamp(x, min = -3.4e+39)\nd: "f32[2]" = x + 1e+39\nreturn (c, d)',
     {'x': ('f32', [-3.3999999521443642e+38, 1.0])}, refused='expected a number that f32 holds|-3.4e+39|clamp')
case('softmax rank0', 's: "f32[]" = torch.softmax(a, 0)\nreturn (s,)',
     {'a': ('f32', 3.0)})
case('strict fma (pytorch#195640 pytorch#196792)', 'p: "f32[3]" = a * b\ns: "f32[3]" = p + c\nd: "f32[3]" = a * b\ne: "f32[3]" = d - c\nreturn (s, e)',
     {'a': ('f32', [1.0000001192092896, 3.0999999046325684, 0.10000000149011612]), 'b': ('f32', [1.0000001192092896, 0.699999988079071, 0.30000001192092896]), 'c': ('f32', [-1.000000238418579, -2.1700000762939453, -0.029999999329447746])}, strict=True)
case('u8 fill 300 (pytorch#195675)', 'd: "u8[2]" = torch.full_like(x, 300)\nreturn (d,)',
     {'x': ('u8', [1, 2])}, refused='expected a number that u8 holds|300')
case('u8 pow cos (pytorch#98149)', 't: "u8[2]" = x.pow(5)\nr: "f32[2]" = torch.cos(t)\nreturn (r,)',
     {'x': ('u8', [4, 3])}, near=2e-7)
case('argmax (tensorflow#118647 pytorch#183082)', 't: "f32[3, 2]" = x.t()\na: "i64[]" = torch.argmax(t)\nreturn (a,)',
     {'x': ('f32', [[1.0, 5.0, 2.0], [7.0, 0.0, 3.0]])})
case('aten fill (AOT prints fill_ and zero_ so)', 'y: "f32[2]" = torch.ops.aten.fill.Scalar(x, 7.0)\nreturn (y,)',
     {'x': ('f32', [1.0, 2.0])})
case('aten hardtanh (AOT prints relu6 so)', 'y: "f32[2]" = torch.ops.aten.hardtanh.default(x, 0.0, 6.0)\nreturn (y,)',
     {'x': ('f32', [1.0, 9.0])})
case('aten mv (AOT prints matrix @ vector so)', 'y: "f32[2]" = torch.ops.aten.mv.default(m, v)\nreturn (y,)',
     {'m': ('f32', [[1.0, 2.0], [3.0, 4.0]]), 'v': ('f32', [1.0, 1.0])})
case('cumsum (pytorch#193265)', 'c: "f32[3]" = torch.cumsum(x, 0)\nreturn (c,)',
     {'x': ('f32', [1.0, 2.0, 2.0])})
case('div trunc (pytorch#184408)', 'q: "f32[4]" = torch.div(a, b, rounding_mode = \'trunc\')\nreturn (q,)',
     {'a': ('f32', [14.999999046325684, 26.999998092651367, 148.0, 1073.0]), 'b': ('f32', [3.0, 3.0, 37.0, 37.0])})
case('dunder eq (pytorch#195214: Dynamo 2.11 prints == so)', 'e: "b8[2]" = x.__eq__(y)\nreturn (e,)',
     {'x': ('f32', [1.0, 2.0]), 'y': ('f32', [1.0, 3.0])})
case('functional split (Dynamo prints torch.split so)', 's = torch.functional.split(x, 2, 0)\na: "f32[2]" = s[0]\nb: "f32[1]" = s[1]\nreturn (a, b)',
     {'x': ('f32', [1.0, 2.0, 3.0])})
case('index add (pytorch#183986)', 'e: "f32[3, 4]" = z.expand(3, 4)\ny: "f32[3, 4]" = e.index_add(0, i, s)\nreturn (y,)',
     {'z': ('f32', [[0.0, 0.0, 0.0, 0.0]]), 'i': ('i64', [0, 0, 1]), 's': ('f32', [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])})
case('index put (pytorch#183986)', 'e: "f32[3, 4]" = z.expand(3, 4)\ny: "f32[3, 4]" = e.index_put((i,), s)\nreturn (y,)',
     {'z': ('f32', [[0.0, 0.0, 0.0, 0.0]]), 'i': ('i64', [0, 1]), 's': ('f32', [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])})
case('keepdim not last', 'm: "f32[1, 4]" = x.amax(0, keepdim = True)\nreturn (m,)',
     {'x': ('f32', [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0]])})
case('softmax not last', 's: "f32[3, 4]" = torch.softmax(x, 0)\nreturn (s,)',
     {'x': ('f32', [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0]])}, near=1e-6)
case('sort (pytorch#174459)', 's = torch.sort(x)\nv: "f32[4]" = s[0]\nreturn (v,)',
     {'x': ('f32', [3.0, 1.0, 3.0, 2.0])})
case('topk (pytorch#174459)', 's = torch.topk(x, 2)\nv: "f32[2]" = s[0]\nreturn (v,)',
     {'x': ('f32', [3.0, 1.0, 3.0, 2.0])})
case('var mean (pytorch#197108)', 'vm = torch.var_mean(x, -1)\nv: "f32[2]" = vm[0]\nm: "f32[2]" = vm[1]\nreturn (v, m)',
     {'x': ('f32', [[], []])})
case('write by index tensor (pytorch#174074)', 'a: "f32[2, 2]" = x[i]\nb: "f32[2, 2]" = a + a\nx[i] = b\nreturn (x,)',
     {'x': ('f32', [[1.0, 2.0], [3.0, 4.0]]), 'i': ('i64', [0, 0])})
case('used twice', 'r: "f32[8, 8, 1]" = torch.rsqrt(x.pow(2).mean(-1, keepdim = True) + 1e-06)\nv: "f32[8, 8, 8]" = x * r\nd: "f32[8, 8, 8]" = v - v\nn: "bf16[16, 1]" = torch.nn.functional.layer_norm(y, (1,))\nk: "f32[4, 3]" = torch.full_like(z, 3.0)\nm: "f32[4, 3]" = torch.nn.functional.layer_norm(k, (3,))\nreturn (d, n, m)',
     {'x': ('f32', torch.randn(8, 8, 8).tolist()), 'y': ('bf16', torch.randn(16, 1).tolist()), 'z': ('f32', [[0.] * 3] * 4)},
     given={1: [[0.]] * 16})
case('zero dim f64 bf16 (pytorch#185605)', 'r: "bf16[2]" = torch.add(x, t)\nreturn (r,)',
     {'x': ('bf16', [0.10009765625, 1.0]), 't': ('f64', -0.1)})

# --- text
@torch.library.custom_op('test::two', mutates_args=())
def two(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x * 2, x + 1


case('neither result of two', 'h = torch.ops.test.two.default(x);  h = None\ng: "f32[2, 3]" = x * 1\nreturn (g,)', {'x': ('f32', floats(2, 3))})
for which in 0, 1:
    case(f'result {which} of two', f'h = torch.ops.test.two.default(x)\ng: "f32[2, 3]" = h[{which}]\nreturn (g,)', {'x': ('f32', floats(2, 3))})
case('the class is a lambda', 'mul: "f32[3][1]cpu" = torch.ops.aten.mul.Tensor(arg0_1, 2)\nreturn (mul,)', {'arg0_1': ('f32', [1., 2., -3.], '3][1')}, kind='<lambda>')
case('_assert_tensor_metadata makes no node', 'a = torch.ops.aten._assert_tensor_metadata.default(x, dtype = torch.int64, device = device(type=\'cpu\'), layout = torch.strided);  a = None\n'
     'y: "i64[3][1]" = torch.ops.aten.add.Tensor(x, 1)\nreturn (y,)', {'x': ('i64', [4, -5, 6])})
case('aten.to.dtype', 'to: "f32[3][1]" = torch.ops.aten.to.dtype(x, torch.float32)\nreturn (to,)', {'x': ('i64', [4, -5, 6])})
case('a cache that was empty', 'keys: "f32[1, 2, 3, 4]" = torch.cat([e, x], dim = -2)\nreturn (keys,)', {'x': ('f32', floats(1, 2, 3, 4)), 'e': ('f32', [])})
case('x.__eq__(y) of integers', 'eq: "b8[3]" = x.__eq__(y)\nreturn (eq,)', {'x': ('i64', [1, 2, 3]), 'y': ('i64', [1, 0, 3])})
case('empty_permuted', 'e: "i64[24]" = torch.ops.aten.empty_permuted.default([24], [0], dtype = torch.int64, layout = torch.strided, device = device(type=\'cpu\'), pin_memory = False)\n'
     'y: "i64[24]" = torch.ops.aten.copy_.default(e, x)\nreturn (y,)', {'x': ('i64', ints(99, 24))})
case('a dim s0//8 where nothing gives s0', 'y: "f32[1, 2, (s0//8), (s0//8)]" = c + 1\nreturn (y,)', {'c': ('f32', floats(1, 2, 4, 4), '1, 2, (s0//8), (s0//8)')})
case('a constant of the module', '_tensor_constant0: "f32[3][1]" = self._tensor_constant0\nmul: "f32[3][1]" = torch.ops.aten.mul.Tensor(x, _tensor_constant0)\nreturn (mul,)',
     {'x': ('f32', [1., 2., 3.])}, constants={'_tensor_constant0': ('f32', [0.5, -1., 4.])})
case('an index that is a list', 'k: "f32[1, 3, 1, 4]" = x[(Ellipsis, [-2], slice(None, None, None))]\nreturn (k,)', {'x': ('f32', floats(1, 3, 6, 4))})
case('two tensors that index', 'r: "i64[2, 1, 12, 1]" = m[(b, q)]\nreturn (r,)',
     {'m': ('i64', ints(99, 2, 12)), 'b': ('i64', ints(2, 2, 1, 1, 1)), 'q': ('i64', ints(12, 12, 1))})
case('_log_api_usage_once makes no node', '_log_api_usage_once = torch._C._log_api_usage_once(\'python.nn_module\');  _log_api_usage_once = None\ny: "f32[3]" = x + 1\nreturn (y,)',
     {'x': ('f32', [1., 2., 3.])})
case('any over a dim', 'a: "b8[4, 1]" = torch.ops.aten.any.dim(x, -1, True)\nreturn (a,)',
     {'x': ('b8', [[False] * 12, [False] * 11 + [True], [True] * 12, [False, True] * 6])})
case('the token that ends a text', 'a: "i64[2]" = x.argmax(dim = -1)\nreturn (a,)', {'x': ('i32', [[3, 49407, 49407, 1], [5, 1, 2, 3]])})
case('patches of an image', 'c: "f32[1, 5, 2, 2]" = torch.conv2d(x, w, b, (4, 4), (0, 0), (1, 1), 1)\nreturn (c,)',
     {'x': ('f32', floats(1, 3, 8, 8)), 'w': ('f32', floats(5, 3, 4, 4)), 'b': ('f32', floats(5))}, near=1e-5, absolute=1e-5)
case('counted tokens', 'c: "i64[1, 12]" = x.cumsum(-1)\nreturn (c,)', {'x': ('b8', [[True, False, True] * 4])})
case('differences behind what is put before', 'd: "i64[1, 12]" = torch.diff(x, prepend = p, dim = -1)\nreturn (d,)', {'x': ('i64', ints(99, 1, 12)), 'p': ('i64', [[7]])})
case('token types by position', 'r: "i64[1, 12]" = torch.gather(x, dim = 1, index = idx)\nreturn (r,)', {'x': ('i64', ints(99, 1, 40)), 'idx': ('i64', ints(40, 1, 12))})
case('attention of transformers', 'o: "f32[1, 2, 5, 4]" = torch._C._nn.scaled_dot_product_attention(q, q, q, attn_mask = m, dropout_p = 0.0, scale = 0.25, is_causal = False)\nreturn (o,)',
     {'q': ('f32', floats(1, 2, 5, 4)), 'm': ('f32', floats(1, 1, 5, 5))}, near=1e-5, absolute=1e-6)
case('a router\'s choice', 'topk = torch.topk(p, 2, dim = -1)\nv: "f32[12, 2]" = topk[0]\ni: "i64[12, 2]" = topk[1]\nsort = torch.sort(e)\ns: "i64[24]" = sort[0]\nj: "i64[24]" = sort[1]\n'
     'return (v, i, s, j)', {'p': ('f32', floats(12, 4)), 'e': ('i64', torch.randperm(24).tolist())})
case('a permutation turned round', 'inv_perm: "i64[24]" = torch.empty_like(perm)\narange: "i64[24]" = torch.arange(24, device = device(type=\'cpu\'))\n'
     'inv_perm[perm] = arange;  setitem = inv_perm;  setitem = None\nreturn (inv_perm,)', {'perm': ('i64', torch.randperm(24).tolist())})
case('a float that is no literal', 'item: "Sym(zf14)" = f.item()\ny: "f32[3]" = x * item\nreturn (y,)', {'x': ('f32', [1., 2., 3.]), 'f': ('f64', 0.3)})
case('a float that was seen', 'item: "Sym(0.250000000000000)" = f.item()\ny: "f32[3]" = x * item\nreturn (y,)', {'x': ('f32', [1., 2., 3.]), 'f': ('f64', 0.25)})
case('a tensor of a list', 't: "f32[0]" = torch.tensor([], dtype = torch.float32, device = device(type=\'cpu\'))\nu = torch.tensor([1, 2])\nreturn (t, u, x)', {'x': ('f32', [1., 2., 3.])})

# --- bounds that symbols give
case('rows from an end that is a symbol', 'neg = -s0\ny: "f32[s0, 4]" = x[slice(neg, None, None)]\nz: "f32[s0, 4]" = y * 1.0\nreturn (z,)',
     {'x': ('f32', floats(5, 4), 's1, 4'), 'w': ('f32', floats(2, 4), 's0, 4')}, symbols={'s0': 2, 's1': 5})
case('the same beside what has as many', 'neg = -s0\ngetitem: "f32[s0, 4]" = x[(slice(neg, None, None), slice(None, None, None))]\nadd: "f32[s0, 4]" = getitem + w\nreturn (add,)',
     {'x': ('f32', floats(5, 4), 's1, 4'), 'w': ('f32', floats(2, 4), 's0, 4')}, symbols={'s0': 2, 's1': 5})
case('what a split leaves', 'split = x.split(4, dim = 0)\na: "f32[4, 4]" = split[0]\nb = split[1]\nc = b * 1.0\nreturn (c,)', {'x': ('f32', floats(7, 4), '(s0 % 4) + 5, 4')}, symbols={'s0': 2})
case('stacks of nothing', 'c: "b8[3, 1, 8]" = x > y\ne: "b8[3, 0, 8]" = c[(slice(None, None, None), slice(0, 0, None))]\nf: "i64[3, 0, 8]" = e + 1\n'
     'g: "i64[2, 3, 0, 8]" = torch.stack([e, f], dim = 0)\nreturn (e, g)', {'x': ('f32', floats(3, 1, 8)), 'y': ('f32', floats(8))})

# --- one value, used by a reduction and a product
case('columns of what a product takes', 'a: "f32[7, 8]" = torch.tanh(x)\ns: "f32[8]" = a.sum(dim = 0)\ny: "f32[7, 5]" = torch._C._nn.linear(a, w)\nreturn (s, y)',
     {'x': ('f32', floats(7, 8)), 'w': ('f32', floats(5, 8))}, near=1e-5, absolute=1e-6)
case('columns of what a product takes, wider', 'a: "bf16[3, 16]" = torch._C._nn.silu(x)\ny: "bf16[3, 8]" = torch._C._nn.linear(a, w)\ns: "f32[16]" = a.float().sum(dim = 0)\nreturn (s, y)',
     {'x': ('bf16', floats(3, 16), 's0, 16'), 'w': ('bf16', floats(8, 16))}, symbols={'s0': 3}, near=1e-2, absolute=2e-2)
case('rows of what a product takes', 's: "f16[1, 7]" = x.sum(dim = -1)\nr: "f16[1, 7]" = torch.relu(s)\nd: "f16[1, 7, 7]" = r - x\ny: "f16[1, 1]" = torch._C._nn.linear(s, s)\n'
     'return (r, d, y)', {'x': ('f16', floats(1, 7, 7))}, near=2e-3, absolute=4e-3)
