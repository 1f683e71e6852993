#!/usr/bin/env python3
"""Writes pointwise.txt: functions, activations and arithmetic of single elements.  Where torch is:

    python3 tests/data/numbers/pointwise.py > tests/data/numbers/pointwise.txt
"""
from math import inf, nan

from case import case

F = 'torch.nn.functional.'
SOME = [0.0, -0.0, 0.3, -0.3, 1.0, -1.0, 2.5, -2.5, 0.5, 30.0, -30.0, 1e-6, -1e-6, inf, -inf, nan]
SMALL = [0.0, -0.0, 0.25, -0.25, 0.999, -0.999, 1.0, -1.0, 1e-7, 2.0, nan]


def bodies(name, statements, inputs, near=0, **more):
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, **more)


for dt, near in (('f32', 2e-6), ('f64', 1e-13), ('bf16', 1.6e-2), ('f16', 2e-3)):
    x = {'x': (dt, SOME)}
    bodies(f'functions of {dt}', [f'torch.{n}(x)' for n in ('expm1', 'tan', 'atan', 'asinh', 'erfc', 'sinc', 'log2', 'log10', 'log1p')], x, near)
    bodies(f'functions of small {dt}', [f'torch.{n}(x)' for n in ('asin', 'acos', 'atanh', 'sinh', 'cosh', 'logit')] + ['torch.special.erfinv(x)', 'torch.special.entr(x)'],
           {'x': (dt, SMALL)}, near)
    bodies(f'arcs and large {dt}', ['torch.acosh(x)', 'torch.asinh(x)', 'torch.sinh(x)', 'torch.cosh(x)', 'torch.erfc(y)'],
           {'x': (dt, [1.0, 1.5, 40.0, 1000.0, 5e4, inf, 0.5]), 'y': (dt, [3.0, 5.0, 8.5, -3.0, 30.0, inf, -inf])}, near)
    bodies(f'steps of {dt}', ['torch.round(x)', 'torch.trunc(x)', 'x.fix()', 'torch.sign(x)', 'x.sgn()', 'torch.signbit(x)', 'torch.isfinite(x)', 'torch.isinf(x)', 'torch.isposinf(x)',
                              'torch.isneginf(x)', 'torch.frac(y)'], {'x': (dt, SOME + [1.5, -1.5, 3.5]), 'y': (dt, [2.25, -2.25, 0.5, -0.5, 3.0])})
    bodies(f'activations of {dt}', [F + n for n in ('hardtanh(x)', 'relu6(x)', 'elu(x)', 'celu(x, 2.0)', 'selu(x)', 'hardswish(x)', 'hardsigmoid(x)', 'leaky_relu(x, 0.2)',
                                                    'logsigmoid(x)', 'mish(x)', 'softsign(x)')], x, near)
    bodies(f'shrinking {dt}', [F + n for n in ('tanhshrink(x)', 'softshrink(x, 0.4)', 'hardshrink(x)', 'threshold(x, 0.4, 7.0)', 'elu(x, alpha = 0.5)', 'hardtanh(x, -2.0, 0.5)')] +
           ['torch.nan_to_num(x)', 'torch.nan_to_num(x, nan = 3.0, posinf = 4.0, neginf = -5.0)'], x, near, absolute=near / 8)
    y = {'x': (dt, [1.0, -1.0, 0.0, -0.0, 2.5, -2.5, nan, 1.0, 3.0, inf]), 'y': (dt, [2.0, 2.0, -1.0, 0.0, -0.5, -0.5, 1.0, nan, 0.0, 2.0])}
    bodies(f'two of {dt}', ['torch.atan2(x, y)', 'torch.hypot(x, y)', 'torch.copysign(x, y)', 'torch.fmod(x, y)', 'torch.fmin(x, y)', 'torch.fmax(x, y)', 'torch.heaviside(x, y)',
                            'torch.xlogy(x, y)', 'torch.logaddexp(x, y)', 'torch.logaddexp2(x, y)'], y, near)
    bodies(f'two of {dt} by steps', ["torch.div(x, y, rounding_mode = 'trunc')", "torch.div(x, 0.7, rounding_mode = 'trunc')", 'torch.copysign(x, -1.0)', 'torch.xlogy(2.0, x)',
                                     'torch.float_power(x, 2)', 'torch.logical_xor(x, y)', 'torch.logical_and(x, y)', 'torch.logical_not(x)'], y, near)
    bodies(f'three of {dt}', ['torch.lerp(x, y, 0.3)', 'torch.lerp(x, y, 0.75)', 'torch.lerp(x, y, y)', 'torch.addcmul(x, x, y, value = 0.5)', 'torch.addcdiv(x, x, y, value = 2)',
                              'torch.add(x, y, alpha = 2)', 'torch.sub(x, y, alpha = 0.5)', 'torch.rsub(x, y, alpha = 2)'], y, near)
case('names that a definition has too', 'scale = x * 2\nthis = x + 1\nalpha = x - 1\na = torch.nn.functional.elu(x)\nb = torch.nn.functional.celu(this)\n'
     'return (a, b, scale, this, alpha)', {'x': ('f32', [1.0, -1.0, 0.5])}, near=2e-6)
bodies('angles of infinities', ['torch.atan2(y, x)'], {'y': ('f32', [inf, inf, -inf, -inf, inf, 1.0]), 'x': ('f32', [inf, -inf, inf, -inf, 1.0, -inf])}, 1e-6)
bodies('parts of a gate', [F + 'glu(x)', F + 'glu(x, 0)', F + 'prelu(x, w)', F + 'prelu(x, v)', 'torch.prelu(y, w)'],
       {'x': ('f32', [[1., -2., 3., -4.], [0.5, -0.25, -1., 2.]]), 'w': ('f32', [0.25]), 'v': ('f32', [0.5, -1., 2., 3.]), 'y': ('f32', [[[1., -1.]]])}, 1e-6)
bodies('decimals', ['torch.round(x, decimals = 2)', 'torch.round(x, decimals = -1)', 'torch.round(y, decimals = 1)', 'x.round()'],
       {'x': ('f32', [1.2345, -1.2355, 15.0, 25.0, 126.7]), 'y': ('bf16', [1.2345, 7.77])}, 1e-6)
bodies('degrees', ['torch.deg2rad(x)', 'torch.rad2deg(x)', 'torch.deg2rad(i)', 'torch.square(x)', 'torch.positive(x)', 'torch.special.ndtr(x)', 'torch.special.expit(x)', 'torch.special.xlog1py(x, x)'],
       {'x': ('f32', [0.5, -2.0, 90.0]), 'i': ('i32', [90, 180, -45])}, 1e-6)
# --- integers and bools
i = {'a': ('i32', [7, -7, 7, -7, 0, -2147483648]), 'b': ('i32', [2, 2, -2, -2, 3, 3])}
bodies('integers', ["torch.div(a, b, rounding_mode = 'trunc')", "torch.div(a, b, rounding_mode = 'floor')", 'torch.fmod(a, b)', 'torch.remainder(a, b)', 'torch.fmod(a, 4)', 'torch.round(a)',
                    'torch.trunc(a)', 'torch.sign(a)', 'torch.signbit(a)', 'torch.isfinite(a)', 'torch.isinf(a)', 'torch.fmax(a, b)', 'torch.heaviside(b, a)',
                    'torch.addcmul(a, b, b, value = 3)'], i)
bodies('functions of integers', ['torch.expm1(b)', 'torch.atan2(a, b)', 'torch.log1p(c)', 'torch.sinc(b)', 'torch.xlogy(c, c)', 'torch.float_power(c, 3)', 'torch.copysign(c, b)',
                                 'torch.true_divide(a, b)', 'torch.erfc(b)', 'torch.acosh(c)'], {**i, 'c': ('u8', [1, 2, 3, 4, 0, 200])}, 1e-6)
bodies('small integers', ['torch.sign(c)', 'torch.sgn(d)', "torch.div(d, c, rounding_mode = 'trunc')", 'torch.fmod(d, c)', 'd << 2', 'd >> 1', 'torch.bitwise_left_shift(c, 7)', 'd ** 2', 'torch.signbit(c)',
                          'd.clamp(-3, 5)', F + 'hardtanh(d)', F + 'relu6(d)', 'torch.nan_to_num(d)', F + 'threshold(d, 2, 9)'],
       {'c': ('u8', [1, 2, 3, 250]), 'd': ('i8', [-128, -5, 5, 127])})
bodies('bools', ['a | b', 'torch.logical_xor(a, b)', 'a + b', 'a * b', 'torch.isfinite(a)', 'torch.sign(a)', 'a + 1', 'a * 2.5', 'torch.where(a, 1.0, 0.0)', 'torch.where(a, 2, b)', 'torch.where(a, i, 1.5)'],
       {'a': ('b8', [True, False, True, False]), 'b': ('b8', [True, True, False, False]), 'i': ('i64', [1, 2, 3, 4])})
bodies('numbers without dims', ['torch.atan2(x, k)', 'torch.fmod(x, k)', 'torch.copysign(x, f)', 'torch.logaddexp(x, f)', 'torch.hypot(x, f)', 'x.masked_fill(x > 0, k)', 'torch.clamp(x, f, k)',
                                'torch.lerp(x, x, h)', 'torch.fmin(x, f)', "torch.div(x, k, rounding_mode = 'trunc')", 'torch.xlogy(x, k)'],
       {'x': ('bf16', [0.5, 3.25, -2.0]), 'k': ('i64', 3), 'f': ('f32', -1.1), 'h': ('bf16', 0.25)}, 8e-3)
bodies('filling', ['torch.ops.aten.fill.Scalar(x, 2.5)', 'torch.ops.aten.fill.Tensor(x, k)', 'x.sinh_()', 'torch.ops.aten.hardtanh.default(y)', 'torch.ops.aten.div.Tensor_mode(y, x, rounding_mode = None)',
                   'y.copysign_(y - 2)', 'torch.ops.prims.expm1.default(y)'], {'x': ('f32', [1., 2.]), 'k': ('i64', 7), 'y': ('f32', [0.5, 3.])}, 1e-6)
case('a function into a tensor of its own', 'o = torch.empty_like(x)\np = torch.tan(x, out = o)\nreturn (p, o)', {'x': ('f32', [0.5, 1.0])}, near=1e-6)
case('names of a definition that the graph has too', 'r = x + 1\nm = r * 2\nself_ = torch.logaddexp(m, r)\ns = torch.fmod(m, r)\nreturn (r, m, self_, s)', {'x': ('f32', [0.5, 1.0])}, near=1e-6)
rows = [('copysign of what is no float', ['torch.copysign(b, c)', 'torch.copysign(u, f)', 'torch.copysign(u, b)', 'torch.copysign(s, f)', 'torch.copysign(b, f)', 'torch.copysign(f, u)', 'torch.copysign(s, -1.0)', 'u.copysign(-2)']),
        ('isclose of what is no float', ['torch.isclose(u, v)', 'torch.isclose(u, v, atol = 2)', 'torch.isclose(s, t, rtol = 0.5)', 'torch.isclose(b, c)', 'torch.isclose(b, c, atol = 1)', 'torch.isclose(s, t, atol = 300)'])]
for name, statements in rows:
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)',
         {'b': ('b8', [True, False, True, False]), 'c': ('b8', [True, True, False, False]), 'u': ('u8', [3, 5, 250, 0]), 'v': ('u8', [5, 3, 4, 1]), 's': ('i8', [-128, -3, 100, 7]), 't': ('i8', [127, -4, -100, 7]),
          'f': ('f32', [-1.0, 2.0, -0.0, nan])})
