#!/usr/bin/env python3
"""Writes factors.txt: QR, singular values, Fourier transforms, divisors, covariances and their kin.  Where torch is:

    python3 tests/data/numbers/factors.py > tests/data/numbers/factors.txt
"""
import warnings

import torch
from math import inf, nan

from case import case

warnings.filterwarnings('ignore')
torch.manual_seed(0)
L, F, A = 'torch.linalg.', 'torch.fft.', 'torch.ops.aten.'


def several(name, forms, inputs, near=1e-6, absolute=0, **kinds):
    names = [f'r{i}' for i in range(len(forms))]
    case(name, '\n'.join(f'{n} = ({form}).contiguous()' for n, form in zip(names, forms)) + f'\nreturn ({", ".join(names)},)', inputs, near=near, absolute=absolute or near, **kinds)


X = {'f32': 1e-5, 'f64': 1e-10}
for dtype, near in X.items():
    wide, tall, square = torch.randn(2, 3, 5), torch.randn(5, 3), torch.randn(2, 4, 4)
    typed = {'w': (dtype, wide.tolist()), 't': (dtype, tall.tolist()), 's': (dtype, square.tolist()), 'b': (dtype, torch.randn(5, 2).tolist())}
    several(f'QR of {dtype}', [f'{L}qr({m}{how})[{k}]' for m in 'wts' for how in ('', ", mode = 'complete'", ", mode = 'r'") for k in (0, 1)] + ['torch.qr(t)[0]', 'torch.qr(t, some = False)[1]', 't.qr()[0]', 'torch._C._linalg.linalg_qr(t)[1]'], typed, near)
    several(f'reflections of {dtype}', ['torch.geqrf(t)[0]', 't.geqrf()[1]', f'{L}householder_product(torch.geqrf(t)[0], torch.geqrf(t)[1])', 'torch.orgqr(torch.geqrf(s)[0], torch.geqrf(s)[1])',
                                        'torch.ormqr(torch.geqrf(t)[0], torch.geqrf(t)[1], b)', 'torch.ormqr(torch.geqrf(t)[0], torch.geqrf(t)[1], b, True, True)', 'torch.ormqr(torch.geqrf(t)[0], torch.geqrf(t)[1], b.t(), left = False)',
                                        'torch.geqrf(torch.eye(3, dtype = t.dtype))[0]', f'{L}qr(t * 0)[0]'], typed, near)
    several(f'singular values of {dtype}', [f'{L}svdvals(w)', f'{L}svdvals(t)', f'{L}svdvals(s)', f'{L}svdvals(t[:, :1])', f'{L}svdvals(s * 0)', f'{L}eigvalsh(s)', f"{L}eigvalsh(s[0], UPLO = 'U')", f'{L}eigvalsh(torch.eye(3, dtype = t.dtype))', f'{L}eigvalsh(-s[:, :3, :3])',
                                            f"{L}matrix_norm(w, 'nuc')", f'{L}matrix_norm(w, 2)', f'{L}matrix_norm(w, -2, dim = (0, 2), keepdim = True)', f"{L}norm(t, 'nuc')", f'{L}norm(t, 2)', f'{L}cond(w)', f'{L}cond(t, -2)', f"{L}cond(s, 'fro')",
                                            f'{L}cond(s, 1)', f"{L}cond(s, float('inf'))", f"{L}cond(s, 'nuc')", f'{L}matrix_rank(w)', f'{L}matrix_rank(t @ t.t())', f'{L}matrix_rank(s, atol = 1.0)', f'{L}matrix_rank(s, 1.0)',
                                            f'{L}matrix_rank(s @ s.mT, hermitian = True)', f'{L}matrix_rank(s, rtol = 0.5)'], typed, 4 * near, 4 * near)
    several(f'pseudo-inverses of {dtype}', [f'{L}pinv(w)', f'{L}pinv(t)', f'{L}pinv(s)', f'{L}pinv(t @ t.t())', f'{L}pinv(s + s.mT, hermitian = True)', f'{L}pinv(s, rtol = 0.3)', f'{L}pinv(s, atol = 0.5)', 'torch.pinverse(t)', f'{L}lstsq(t, b)[0]', f'{L}lstsq(w, w[..., 0])[0]'],
            typed, 20 * near, 20 * near)
    several(f'exponentials of matrices of {dtype}', ['torch.matrix_exp(s)', f'{L}matrix_exp(s * 8)', '(s * 1e-4).matrix_exp()', 'torch.matrix_exp(s[0, :1, :1])', 'torch.matrix_exp(s * 0)'], typed, 40 * near)
    several(f'tensorsolve of {dtype}', [f'{L}tensorsolve(s.reshape(2, 4, 4)[0].reshape(2, 2, 4), s[1, :2, :2])', f'{L}tensorsolve(s[0].reshape(4, 2, 2), s[1, :2, :2], dims = (0,))'], typed, 10 * near)
    x = torch.randn(2, 5, 6)
    several(f'Fourier transforms to real numbers, {dtype}', [f'{F}irfft(x)', f'{F}irfft(x, n = 7)', f'{F}irfft(x, 4, 1)', f"{F}irfft(x, norm = 'ortho')", f"{F}irfft(x, norm = 'forward')", f'{F}hfft(x)', f'{F}hfft(x, n = 5, dim = 1)', f"{F}hfft(x, norm = 'ortho')",
                                                            f'{F}irfft2(x)', f'{F}irfft2(x, s = (4, 7))', f'{F}irfftn(x)', f'{F}irfftn(x, s = (3, 8), dim = (0, 1))', f'{F}hfft2(x)', f'{F}hfftn(x)', f"{F}hfftn(x, s = (4, 6), norm = 'ortho')", f'{F}hfft(x, n = 14)'],
            {'x': (dtype, x.tolist())}, near, 4 * near)
    several(f'Fourier transforms to complex numbers, {dtype}', [f'torch.view_as_real(({F}{call}).resolve_conj())' for call in (
        'fft(x)', 'fft(x, n = 4)', 'fft(x, 9, 1)', "fft(x, norm = 'ortho')", 'ifft(x)', 'fft2(x)', 'ifft2(x, s = (3, 4))', 'fftn(x)', 'ifftn(x, dim = (0, 2))', 'rfft(x)', "rfft(x, n = 5, norm = 'forward')", 'rfft2(x)', 'rfftn(x)', 'rfftn(x, s = (4, 5))', 'ihfft(x)', 'ihfft2(x)',
        'ihfftn(x, dim = (0, 1))', 'fft(torch.view_as_complex(x.reshape(2, 5, 3, 2)))', 'ifft(torch.view_as_complex(x.reshape(2, 5, 3, 2)), dim = 1)', 'fftn(torch.view_as_complex(x.reshape(2, 5, 3, 2)))')] +
        [f'{F}irfft({F}rfft(x))', f'{F}ifft({F}fft(x)).real', f'{F}hfft(torch.view_as_complex(x.reshape(2, 5, 3, 2)))', f'{F}irfft(torch.view_as_complex(x.reshape(2, 5, 3, 2)), n = 5)',
         f'torch.view_as_real({A}_fft_r2c.default(x, [1, 2], 0, True))', f'torch.view_as_real({A}_fft_r2c.default(x, [2], 1, False))'], {'x': (dtype, x.tolist())}, near, 4 * near)
    several(f'AOTAutograd\'s Fourier transforms, {dtype}', [f'torch.view_as_real({A}_fft_c2c.default(z, [0, 1], 2, False))', f'{A}_fft_c2r.default(z, [0, 1], 2, 5)'.replace('z', 'torch.view_as_complex(x)')] if False else
            [f'torch.view_as_real({A}_fft_c2c.default(torch.view_as_complex(x), [0, 1], 2, False))', f'{A}_fft_c2r.default(torch.view_as_complex(x), [0, 1], 2, 5)', f'{A}_fft_c2r.default(torch.view_as_complex(x), [1], 0, 4)'],
            {'x': (dtype, torch.randn(4, 3, 2).tolist())}, near, 4 * near)
    m = {'x': (dtype, torch.randn(3, 6).tolist()), 'f': ('i64', [1, 2, 1, 3, 1, 1]), 'a': (dtype, torch.rand(6).tolist())}
    several(f'covariances of {dtype}', ['torch.cov(x)', 'x.cov(correction = 0)', 'torch.cov(x[0])', 'torch.cov(x, fweights = f)', 'torch.cov(x, aweights = a)', 'torch.cov(x, correction = 2, fweights = f, aweights = a)', 'torch.corrcoef(x)', 'x[0].corrcoef()'], m, near)
    k = {'x': (dtype, torch.randn(3, 4).tolist()), 't': (dtype, torch.randn(3, 4).tolist()), 'v': (dtype, torch.rand(3, 4).tolist())}
    G = 'torch.nn.functional.gaussian_nll_loss(x, t, '
    several(f'losses of {dtype}', [G + 'v)', G + "v[:, 0], reduction = 'none')", G + "v[:, :1], full = True, reduction = 'sum')", 'torch.nn.functional.triplet_margin_with_distance_loss(x, t, v)',
                                   "torch.nn.functional.triplet_margin_with_distance_loss(x, t, v, margin = 0.5, swap = True, reduction = 'none')", 'torch.nn.functional.alpha_dropout(x)', 'torch.nn.functional.dropout2d(x[None], training = False)[0]'], k, near)
    edge = [0.0, 1e-3, 0.25, 1.0, 2.5, 10.0, 75.0, 1000.0, inf, -1.0, nan]
    grid = [(a, b) for a in edge for b in [*edge, 990.0, 0.9, 12.0]]
    g = {'a': (dtype, [a for a, _ in grid]), 'x': (dtype, [b for _, b in grid])}
    several(f'incomplete gamma functions of {dtype}', ['torch.igamma(a, x)', 'torch.igammac(a, x)', 'torch.special.gammainc(a, x)', 'torch.special.gammaincc(a, x)', 'a.igamma(x)'], g, 1e-5 if dtype == 'f32' else 1e-9, 1e-6 if dtype == 'f32' else 1e-10)
for dtype, most in (('i64', 9007199254740993), ('i32', 1836311903), ('i16', 28657), ('i8', 89), ('u8', 233)):
    few = {'i64': [7540113804746346429, 4660046610375530309], 'i32': [1836311903, 1134903170], 'i16': [28657, 17711], 'i8': [89, 55], 'u8': [233, 144]}[dtype]
    several(f'divisors of {dtype}', ['torch.gcd(x, y)', 'x.gcd(x[:1])', 'torch.lcm(x // 16, y // 16)', 'torch.gcd(x, x * 0)', 'torch.lcm(x, x * 0)'],
            {'x': (dtype, [few[0], 0, 12, 36, -48 if dtype != 'u8' else 48, 7]), 'y': (dtype, [few[1], 5, 0, 48, 36, 21])}, 0)
several('combinations', ['torch.combinations(x)', 'torch.combinations(x, 3)', 'torch.combinations(x, r = 2, with_replacement = True)', 'torch.combinations(x, 1)', 'torch.combinations(x, 5)'], {'x': ('f32', [1.0, 2.0, 3.0, 4.0])}, 0)
several('frequencies', [f'{F}fftfreq(5)', f'{F}fftfreq(6, d = 0.5)', f'{F}rfftfreq(5)', f'{F}rfftfreq(8, 2.0, dtype = torch.float64)'], {}, 1e-6)
case('too many steps', f'return ({L}svdvals(x),)', {'x': ('f32', torch.eye(13).tolist())}, refused='up to 12')
case('too many reflections', f'return ({L}qr(x)[0],)', {'x': ('f32', torch.eye(17).tolist())}, refused='up to 16')
torch.manual_seed(11)
for forms in ((f'{L}eigh(s)[0]', f"{L}eigh(s, UPLO = 'U')[0]", 'torch.ops.aten._linalg_eigh.default(s)[0]'),
              (f'{L}svd(s)[1]', f'{L}svd(s[:, :2], full_matrices = False)[1]', 'torch.svd(s)[1]', 's.svd()[1]', 'torch.ops.aten._linalg_svd.default(s)[1]')):
    several(f'values of {forms[0]}', forms, {'s': ('f32', torch.randn(2, 3, 3).tolist())}, 1e-5)
