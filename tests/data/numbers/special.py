#!/usr/bin/env python3
"""Writes special.txt: special functions and windows.  Where torch is:

    python3 tests/data/numbers/special.py > tests/data/numbers/special.txt

The values are those of f64, which PyTorch's own f32 kernels are up to 1e-5 away from; where PyTorch's f64 is off (Bessel's functions, by 2e-7) the
distances allowed say so.
"""
import torch
from math import inf, nan

from case import case

S = 'torch.special.'


def bodies(name, statements, inputs, near=0, **more):
    names = [f'r{i}' for i in range(len(statements))]
    case(name, '\n'.join(f'{n} = {s}' for n, s in zip(names, statements)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, **more)


wide = [-7.25, -3.0, -2.5, -1.0, -0.75, -0.0, 0.0, 1e-6, 0.125, 0.5, 0.9375, 1.0, 1.0625, 1.5, 2.0, 2.125, 3.0, 4.5, 7.9375, 8.0, 8.0625, 12.0, 20.0, 75.5, 1e4, inf, -inf, nan]
above = [v for v in wide if not v < 0]
ALL = ['torch.lgamma(x)', 'torch.digamma(x)', S + 'erfcx(x)', S + 'log_ndtr(x)', S + 'i0e(x)', S + 'i1e(x)', S + 'entr(x)', S + 'gammaln(x)', S + 'psi(x)', S + 'spherical_bessel_j0(x)']
ABOVE = ['torch.polygamma(2, x)', 'torch.polygamma(4, x)', S + 'zeta(x + 1.5, x + 1)', S + 'zeta(2.0, x)', S + 'modified_bessel_k0(x)', S + 'modified_bessel_k1(x)', S + 'scaled_modified_bessel_k0(x)', S + 'scaled_modified_bessel_k1(x)']
for dt, near in (('f64', 1e-12), ('f32', 2e-5)):
    bodies(f'special functions of {dt}', ALL, {'x': (dt, wide)}, near, absolute=2e-7 if dt == 'f32' else 1e-13)
    bodies(f'special functions of what is positive, {dt}', ABOVE, {'x': (dt, above)}, near, absolute=1e-12)
    bodies(f'growing functions of {dt}', ['torch.i0(x)', S + 'i1(x)', S + 'modified_bessel_i0(x)', S + 'modified_bessel_i1(x)'], {'x': (dt, [-20.0, -8.0, -1.5, -0.0, 0.0, 0.25, 3.0, 8.125, 50.0, inf, nan])}, near)
    bodies(f'Bessel functions of {dt}', [S + 'bessel_j0(x)', S + 'bessel_j1(x)', S + 'bessel_y0(x)', S + 'bessel_y1(x)'], {'x': (dt, [-9.0, -0.0, 0.0, 0.25, 1.0, 2.5, 5.0, 7.75, 8.5, 20.0, nan])}, near, absolute=5e-7)
    bodies(f'quantiles of {dt}', [S + 'ndtri(x)'], {'x': (dt, [0.0, 1e-30, 1e-5, 0.0625, 0.125, 0.25, 0.5, 0.625, 0.9375, 1.0, -0.5, 1.5, nan])}, near)
    bodies(f'zeta at negative numbers, {dt}', [S + 'zeta(s, x)'], {'s': (dt, [2.0, 3.0, 4.0, 3.0, 2.5, 2.0, 1.0, 0.5, 3.0]), 'x': (dt, [-0.5, -2.75, -5.25, -3.0, -0.5, 0.0, 2.0, 2.0, nan])}, near)
    for name, letters in (('chebyshev', 'tuvw'), ('shifted_chebyshev', 'tuvw'), ('hermite', ('h', 'he')), ('laguerre', 'l'), ('legendre', 'p')):
        bodies(f'{name} polynomials of {dt}', [S + f'{name}_polynomial_{letter}(x, {n})' for letter in letters for n in (0, 1, 2, 5)],
               {'x': (dt, [-1.25, -1.0, -0.5, 0.0, 0.75, 1.0, 1.5])}, near, absolute=1e-4 if dt == 'f32' else 1e-12)
bodies('polynomials below degree 0', [S + 'chebyshev_polynomial_t(x, -1)', S + 'legendre_polynomial_p(x, -2)'], {'x': ('f32', [0.5, 2.0])})
bodies('special functions of integers', ['torch.lgamma(x)', 'torch.digamma(x)', 'torch.i0(x)', 'torch.polygamma(1, x)', 'torch.mvlgamma(x, 2)', S + 'multigammaln(x, 3)', S + 'erfcx(x)', S + 'zeta(x, x)', S + 'entr(x > 2)'], {'x': ('i64', [2, 3, 7])}, 2e-6)
bodies('special functions of bf16', ['torch.lgamma(x)', 'torch.digamma(x)', 'torch.i0(x)', 'x.polygamma(1)', S + 'i1e(x)'], {'x': ('bf16', [0.25, 1.0, 2.0, 3.5, 6.0])}, 8e-3, absolute=1e-6)
W = 'torch.signal.windows.'
NAMES = ('bartlett', 'blackman', 'hamming', 'hann', 'kaiser')
for n in (0, 1, 2, 7, 8):
    for sym in (True, False):
        bodies(f'windows of {n}, {"symmetric" if sym else "periodic"}', [W + f'{name}({n}, sym = {sym})' for name in (*NAMES, 'cosine', 'nuttall', 'gaussian', 'exponential')], {}, 2e-6, absolute=5e-7)
        bodies(f'windows of {n} by functions of torch, {"periodic" if sym else "symmetric"}', [f'torch.{name}_window({n}, {sym})' for name in NAMES], {}, 2e-6, absolute=5e-7)
    bodies(f'windows of {n} with numbers', [W + f'gaussian({n}, std = 2.0)', W + f'exponential({n}, tau = 0.5)', W + f'general_hamming({n}, alpha = 0.6)', W + f'general_cosine({n}, a = [0.5, 0.3, 0.2])',
                                            W + f'kaiser({n}, beta = 5.0, dtype = torch.float64)'], {}, 2e-6, absolute=5e-7)
case('a degree that values say', 'return (torch.special.legendre_polynomial_p(x, n),)', {'x': ('f32', [0.5]), 'n': ('f32', [2.0])}, refused='as many steps')
