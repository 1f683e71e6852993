#!/usr/bin/env python3
"""Writes complex.txt: complex tensors, which are pairs here.  Where torch is:

    python3 tests/data/numbers/complex.py > tests/data/numbers/complex.txt
"""
import torch
from math import inf, nan

from case import case

torch.manual_seed(0)


def some(*dims):
    return ((torch.randn(*dims) * 8).round() / 8 + 0.0).tolist()


def pairs(*dims):
    return torch.view_as_complex(torch.tensor(some(*dims, 2))).tolist()


REAL = 'torch.view_as_real'
rope = '''a = torch.view_as_complex(q.float().reshape(2, 5, 3, 4, 2))
b = torch.view_as_complex(k.float().reshape(2, 5, 3, 4, 2))
c = f.view(1, 5, 1, 4)
return (torch.view_as_real(a * c).flatten(3).type_as(q), torch.view_as_real(b * c).flatten(3).type_as(k))'''
for dt, near in (('f32', 2e-6), ('bf16', 8e-3)):
    case(f'turned by an input, {dt}', rope, {'q': (dt, some(2, 5, 3, 8)), 'k': (dt, some(2, 5, 3, 8)), 'f': ('c64', pairs(5, 4))}, near=near, absolute=1e-6)
case('turned by an input of a symbolic length', 'a = torch.view_as_complex(q.unflatten(-1, (-1, 2)))\nreturn (torch.view_as_real(a * f.unsqueeze(1)).flatten(-2),)',
     {'q': ('f32', some(3, 2, 8), 's0, 2, 8'), 'f': ('c64', pairs(3, 4), 's0, 4')}, symbols={'s0': 3}, near=2e-6, absolute=1e-6)
case('turned by angles', 'f = 1.0 / 10000 ** (torch.arange(0, 8, 2, dtype = torch.float64) / 8)\ne = torch.outer(torch.arange(5, dtype = torch.float64), f)\nc = torch.polar(torch.ones_like(e), e)\n'
     'y = torch.view_as_complex(x.to(torch.float64).unflatten(3, (-1, 2)))\nreturn (torch.view_as_real(y * c.unsqueeze(1)).flatten(3).to(x.dtype),)', {'x': ('f32', some(2, 5, 3, 8))}, near=1e-6, absolute=1e-6)
case('from two lists of angles', 'a = torch.view_as_complex(x.double().unflatten(-1, (4, 2)))\nt = torch.cat([f[:2].view(1, 2, -1).expand(3, 2, -1), g[:3].view(3, 1, -1).expand(3, 2, -1)], dim = -1).reshape(6, 1, -1)\n'
     'return (torch.view_as_real(a * t).flatten(2).float(),)', {'x': ('f32', some(6, 2, 8)), 'f': ('c128', pairs(3, 2)), 'g': ('c128', pairs(3, 2))}, near=1e-6, absolute=1e-6)
case('arithmetic', 'z = torch.complex(x, y)\ns = z + c\nt = z - 2\nu = 3 - z\nv = z * c\nw = v / c\nn = -z\np = z * 2.5\no = 1.5 / (c + 2j)\nq = z ** 2\n'
     f'return ({", ".join(f"{REAL}({n})" for n in "stuvwnpoq")})', {'x': ('f32', some(3, 4)), 'y': ('f32', some(3, 4)), 'c': ('c64', [complex(1, 2), complex(-0.5, 3), complex(0, 1), complex(4, 0)])}, near=2e-6, absolute=1e-6)
case('powers of e', 'z = torch.exp(1j * x)\nw = z * (2+3j) / z.conj() - 1.5\nreturn (w.real, w.imag, torch.abs(w), w.angle(), torch.view_as_real(torch.exp(z)), torch.view_as_real(torch.log(w)), z.real, torch.imag(z))',
     {'x': ('f32', some(3, 4))}, near=4e-6, absolute=2e-6)
case('elements moved', 'z = torch.view_as_complex(x)\na = z.transpose(0, 1)\nb, c = z.chunk(2, dim = -1)\nd = torch.stack([b, c], dim = 0)[:, 1:]\ne = torch.cat([z, y], -1)\nf = z[:, None, ::2].expand(3, 2, 2)\n'
     'g = torch.where(y > 0, z, 1.0)\nh = z.index_select(0, i)\nk = z.sum(0)\nm = z.mean(dim = -1)\nn = z.unbind(0)[1]\np = z.reshape(-1)[2:7]\nq = z.repeat(1, 2)\nr = z.squeeze().unsqueeze(0).permute(2, 0, 1).contiguous()\n'
     f'return ({", ".join(f"{REAL}({n})" for n in "adefghkmnpqr")}, z.shape[0] + z.size(1) + z.numel())'.replace(', z.shape[0] + z.size(1) + z.numel()', ''),
     {'x': ('f32', some(3, 4, 2)), 'y': ('f32', some(3, 4)), 'i': ('i64', [2, 0])}, near=1e-6)
case('products, and dtypes', f'a = z @ w\nb = z.to(torch.complex128).real\nc = x.to(torch.complex64) * z\nd = z.abs().sum() + z.real.to(torch.float64)\ne = (z == z.clone()) & (z != 0)\nreturn ({REAL}(a), b, {REAL}(c), d, e)',
     {'z': ('c64', pairs(3, 4)), 'w': ('c64', pairs(4, 2)), 'x': ('bf16', some(3, 4))}, near=2e-6, absolute=1e-6)
case('infinities beside real numbers', f'a = z * x\nb = z * 2\nc = x * z\nreturn ({REAL}(a), {REAL}(b), {REAL}(c), z.abs(), z.angle())',
     {'z': ('c64', [complex(inf, 1), complex(1, -inf), complex(nan, 0), complex(-0.0, 0.0), complex(-1, -0.0)]), 'x': ('f32', [2.0, -1.0, inf, 3.0, 0.0])}, near=1e-6)
case('written in place', 'x = x.clone()\nv = torch.view_as_complex(x)\nv *= c\nv[0] = 1j\nv[1].mul_(2.0)\nv[2, 1:].copy_(c[1:])\nreturn (x,)', {'x': ('f32', some(3, 4, 2)), 'c': ('c64', pairs(4))}, near=1e-6, absolute=1e-6)
case('a complex result', 'return (z * 2,)', {'z': ('c64', pairs(4))}, refused='complex')
case('what has no pairs', 'return (torch.view_as_real(torch.sinh(z)),)', {'z': ('c64', pairs(4))}, refused='sinh')

torch.manual_seed(5)
signal = {'x': ('f32', torch.randn(2, 24).tolist()), 'w': ('f32', torch.hann_window(8).tolist())}
R = 'torch.view_as_real(torch.stft({}).contiguous())'
for k, arguments in enumerate(('x, 8, return_complex = True', 'x[0], 8, 3, window = w, return_complex = True', 'x, 8, 2, 6, w[:6], center = False, return_complex = True', "x, 8, 4, window = w, pad_mode = 'constant', normalized = True, return_complex = True",
                               'x, 8, 4, 8, w, onesided = False, return_complex = True', "x, 7, 2, window = w[:5], win_length = 5, pad_mode = 'replicate', return_complex = True")):
    case(f'stft {k}', f'a = {R.format(arguments)}\nreturn (a,)', signal, near=1e-4, absolute=1e-4)
case('stft as pairs', 'a = torch.stft(x, 8, 4, window = w, return_complex = True)\nb = a.abs() ** 2\nc = x.stft(8, 4, window = w, return_complex = True).real\nreturn (b, c)', signal, near=1e-4, absolute=1e-4)
for k, (there, back) in enumerate((('x, 8, 2, window = w, return_complex = True', '8, 2, window = w'), ('x[0], 8, 2, window = w, return_complex = True', '8, 2, window = w, length = 21'), ('x, 8, 2, window = w + 0.5, center = False, return_complex = True', '8, 2, 8, w + 0.5, False'),
                                   ('x, 8, 3, normalized = True, return_complex = True', '8, 3, normalized = True, length = 27'), ('x, 8, 2, window = w, onesided = False, return_complex = True', '8, 2, window = w, onesided = False'))):
    case(f'istft {k}', f'z = torch.stft({there})\na = torch.istft(z * 2, {back})\nreturn (a,)', signal, near=1e-4, absolute=1e-4)
