#!/usr/bin/env python3
"""Writes layouts.txt: in which order PyTorch lays out what a graph makes, seen by the strides of results and by views that are one or none.  Where
torch is:

    python3 tests/data/numbers/layouts.py > tests/data/numbers/layouts.txt
"""
import torch

from case import case

torch.manual_seed(0)
M = ('f32', torch.arange(12.).reshape(3, 4).tolist())
S = ('f32', torch.arange(12.).reshape(3, 4).tolist(), 's0, 4')
N = ('f32', torch.arange(48.).reshape(2, 2, 3, 4).tolist())  # NHWC: n.permute(0, 3, 1, 2) is channels-last
SYMBOL = {'s0': 3}


def laid(name, body, inputs, **kinds):
    case(name, body, inputs, strides=True, **kinds)


# --- made like another
for spelling in ('torch.zeros_like({})', 'torch.ones_like({})', 'torch.full_like({}, 2.5)', 'torch.empty_like({}).fill_(3)', '{}.clone()', 'torch.clone({})',
                 '{}.to(torch.float64)', '{}.double()', 'torch.ops.aten.clone.default({})', 'torch.ops.aten._to_copy.default({}, dtype = torch.float64)',
                 'torch.full_like({}, 2, dtype = torch.int32)', 'torch.ops.aten.zeros_like.default({}, pin_memory = False)', '{}.to(torch.bfloat16).float()'):
    laid(f'{spelling} keeps strides', f't = m.t()\nc = n.permute(0, 3, 1, 2)\na = {spelling.format("t")}\nb = {spelling.format("c")}\nd = {spelling.format("m")}\nreturn (a, b, d)',
         {'m': M, 'n': N})
    laid(f'{spelling} of a part closes gaps', f't = m.t()[1:]\nc = n[:, :, 1:].permute(0, 3, 1, 2)\ne = m[:, :1].expand(3, 4)\na = {spelling.format("t")}\nb = {spelling.format("c")}\n'
         f'd = {spelling.format("e")}\nreturn (a, b, d)', {'m': M, 'n': N})
for form in ('preserve_format', 'contiguous_format', 'channels_last'):
    for spelling in ('torch.zeros_like({}, memory_format = torch.{})', 'torch.full_like({}, 2, memory_format = torch.{})', '{}.clone(memory_format = torch.{})',
                     'torch.ops.aten.clone.default({}, memory_format = torch.{})', 'torch.ops.aten._to_copy.default({}, dtype = torch.float64, memory_format = torch.{})',
                     'torch.empty_like({}, memory_format = torch.{}).fill_(1)'):
        laid(spelling.format('x', form), f'c = n.permute(0, 3, 1, 2)\nw = n.permute(3, 2, 0, 1)\na = {spelling.format("c", form)}\nb = {spelling.format("n", form)}\nd = {spelling.format("w", form)}\n'
             'return (a, b, d)', {'n': N})
for form in ('contiguous_format', 'channels_last'):
    laid(f'contiguous in {form}', f'c = n.permute(0, 3, 1, 2)\na = (c + 1).contiguous(memory_format = torch.{form})\nb = (n + 1).contiguous(memory_format = torch.{form})\n'
         f'd = (n + 1).to(memory_format = torch.{form})\nreturn (a, b, d)', {'n': N})
    laid(f'what is contiguous in {form} is itself or a copy', f'p = n + 1\nc = n.permute(0, 3, 1, 2) * 2\na = p.contiguous(memory_format = torch.{form})\nb = c.contiguous(memory_format = torch.{form})\n'
         'd = a.add_(100)\ne = b.add_(100)\nreturn (p, c)', {'n': N})
V3 = ('f32', torch.arange(96.).reshape(2, 2, 2, 3, 4).tolist())
laid('channels_last_3d', 'c = v.permute(0, 4, 1, 2, 3)\na = c.clone()\nb = v.clone(memory_format = torch.channels_last_3d)\nd = torch.zeros_like(v, memory_format = torch.channels_last_3d)\n'
     'e = (c + 1).contiguous(memory_format = torch.channels_last_3d)\nreturn (a, b, d, e)', {'v': V3})
laid('clone of a stack', 'a = v.permute(4, 0, 2, 1, 3).clone()\nreturn (a,)', {'v': V3})

laid('made with strides', 'a = torch.empty_strided([2, 3, 4], [1, 8, 2]).fill_(1)\nb = torch.ops.aten.empty_permuted.default([2, 3, 4], [1, 2, 0]).copy_(n[0, :, :, :].reshape(2, 3, 4))\n'
     'c = m.new_empty_strided([3, 2], [1, 3]).fill_(2)\nd = c.t().view(6)\nreturn (a, b, c, d)', {'m': M, 'n': N})

laid('copies of views are row-major', 't = m.t()\na = torch.t_copy(m)\nb = torch.permute_copy(t, (0, 1))\nc = torch.detach_copy(t)\nd = torch.unsqueeze_copy(t, 0)\ne = torch.expand_copy(t, (2, 4, 3))\n'
     'return (a, b, c, d, e)', {'m': M})

# --- element by element
for spelling in ('{} + 1', '{} * {}', 'torch.relu({})', 'torch.nn.functional.gelu({})', '-{}', '{} > 3', 'torch.where({} > 3, {}, 0.5)', 'torch.clamp({}, 1, 5)', '{} ** 2',
                 'torch.maximum({}, {})', 'torch.addcmul({}, {}, {})', 'torch.lerp({}, {}, 0.5)', 'torch.nn.functional.hardswish({})', '{}.masked_fill({} > 3, 9.0)', 'torch.sigmoid({})',
                 'torch.nn.functional.leaky_relu({})', 'torch.atan2({}, {})', '{}.sub(1).mul(2)', '1 - {}', '1 / ({} + 1)', '{}.eq(4)', '~({} > 2)', 'torch.fmod({}, 3)', 'torch.floor_divide({}, 2)'):
    n = spelling.count('{}')
    laid(f'{spelling} keeps strides', f't = m.t()\nc = n.permute(0, 3, 1, 2)\na = {spelling.format(*["t"] * n)}\nb = {spelling.format(*["c"] * n)}\nd = {spelling.format(*["n"] * n)}\nreturn (a, b, d)',
         {'m': M, 'n': N}, near=1e-6)
Q = ('f32', torch.arange(12.).reshape(4, 3).tolist())
laid('the first operand decides', 't = m.t()\na = t + q\nb = q + t\nc = torch.where(q > 3, t, t)\nd = torch.where(t > 3, q, q)\nreturn (a, b, c, d)', {'m': M, 'q': Q})
laid('what is spread tells nothing', 't = m.t()\nr = q[0]\na = r + t\nb = q[:, :1] * t\nc = t + r\nd = q[:, :1] + q[0]\ne = t[:, :1] + t[:1]\nf = r.expand(4, 3) + t\nreturn (a, b, c, d, e, f)', {'m': M, 'q': Q})
laid('dims of one element', 't = m.t().unsqueeze(1)\na = t + 1\nb = a.squeeze(1) * 2\nc = t.expand(4, 5, 3) + 1\nreturn (a, b, c)', {'m': M})
laid('heads', 'h = x.view(2, 3, 2, 2).transpose(1, 2)\na = h * s\nb = torch.cat([-a[..., 1:], a[..., :1]], dim = -1)\nc = a + b\nd = c.transpose(1, 2).reshape(2, 3, 4)\nreturn (a, b, c, d)',
     {'x': ('f32', torch.randn(2, 3, 4).tolist()), 's': ('f32', torch.randn(3, 2).tolist())}, near=1e-6)
laid('symbolic sizes', 't = x.t()\na = t + 1\nb = a.t().view(-1)\nc = torch.zeros_like(t)\nd = t.clone() * t\nreturn (a, b, c, d)', {'x': S}, symbols=SYMBOL)
laid('written in place', 't = m.t()\na = t * 2\na.add_(1)\nb = torch.zeros_like(t)\nb[1] = 5\nc = b.copy_(a)\nreturn (a, b)', {'m': M})
laid('returned twice, and as a view', 'a = m.t() + 1\nb = a.t()\nc = a[1:]\nreturn (a, b, c, a)', {'m': M})
laid('products and sums are row-major', 't = m.t()\na = t @ m\nb = t.sum(1, keepdim = True)\nc = n.permute(0, 3, 1, 2).sum(0)\nd = n.permute(0, 3, 1, 2).amax(2)\nreturn (a, b, c, d)', {'m': M, 'n': N})

A = ('f32', (torch.eye(3) * 4 + torch.arange(9.).reshape(3, 3) / 8).tolist())
laid('what LAPACK makes lies by columns', 's = a @ a.t()\nb = torch.linalg.cholesky(s)\nc = torch.linalg.inv(a)\nd = torch.linalg.solve_triangular(a.tril(), a, upper = False)\n'
     'e = torch.linalg.inv(a).t().view(9)\nf = torch.linalg.cholesky_ex(s)[0]\nq = torch.linalg.lu(a)\np = q[0]\nl = q[1]\ng = torch.linalg.solve(a, s)\nh = torch.cholesky_solve(a, b)\ni = torch.linalg.solve(a, s[0])\nj = torch.triangular_solve(a, s)\nk = j[0]\nu = torch.linalg.lu_factor(a)\nv = u[0]\n'
     'return (b, c, d, e, f, p, l, g, h, i, k, v)', {'a': A}, near=1e-4, absolute=1e-5)

# --- views
laid('a view of what is laid out as its operand', 'a = (m.t() + 1).t().view(-1)\nb = torch.relu(n.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).view(-1, 4)\nc = m.t().clone().t().view(2, 6)\n'
     'd = torch.ones_like(m.t()).t().view(12)\nreturn (a, b, c, d)', {'m': M, 'n': N})
laid('a view that shows writes', 'a = m.t() + 1\nb = a.t().view(-1)\nc = b.add_(10)\nd = a[1]\ne = d.mul_(2)\nreturn (a, b)', {'m': M})
laid('a reshape that is a view', 'a = m.t() + 1\nb = a.t().reshape(-1)\nc = b.add_(10)\nreturn (a, b)', {'m': M})
laid('flatten is a view', 'a = n.permute(0, 3, 1, 2) * 2\nb = a.permute(0, 2, 3, 1).flatten()\nc = b.mul_(3)\nreturn (a,)', {'n': N})
laid('bits of what is laid out as its operand', 'a = (h.t() + 1).t().view(torch.int16)\nb = h.t().clone().t().view(torch.int32)\nreturn (a, b)', {'h': ('bf16', torch.arange(12.).reshape(3, 4).tolist())})
laid('a view of a view', 'a = n.permute(0, 3, 1, 2) + 1\nb = a.permute(0, 2, 3, 1)[1].view(6, 4)\nc = a.permute(0, 2, 3, 1).unflatten(1, (1, 2)).view(2, -1)\nreturn (b, c)', {'n': N})
laid('one that the text gives', 'a: "f32[4, 3][1, 4]" = m.t() + 1\nb: "f32[3, 4][4, 1]" = a.t()\nc: "f32[12][1]" = b.view(12)\nreturn (a, c)', {'m': M})

# --- copies there that would be views here, and views there that are copies here, where something is written and nothing of it is a result
laid('a reshape that is a view, and a sum', 'a = m.t() + 1\nb = a.t().reshape(-1)\nc = b.add_(10)\nd = a.sum()\nreturn (d,)', {'m': M})
laid('what LAPACK lays by columns, reshaped, then written', 'a = m[:, :3] + 3 * torch.eye(3)\nb = torch.linalg.inv(a)\nc = b.reshape(-1)\nb.add_(1)\nreturn (c,)', {'m': M}, near=1e-4, absolute=1e-5)
laid('what LAPACK lays by columns, reshaped and written', 'a = m[:, :3] + 3 * torch.eye(3)\nb = torch.linalg.qr(a)[1]\nc = b.reshape(-1)\nc.add_(1)\nd = b.sum()\nreturn (d,)', {'m': M}, near=1e-4, absolute=1e-5)
laid('what LAPACK lays by columns, made contiguous and written', 'a = m[:, :3] + 3 * torch.eye(3)\nb = torch.linalg.solve(a, m[:, 1:])\nc = b.contiguous()\nc.add_(1)\nd = b.clamp(max = 1.0)\nreturn (d.sum(0),)', {'m': M}, near=1e-4, absolute=1e-5)

# --- Fourier transforms: transformed dims are the fastest, and parts lie among those of the other
F2 = ('f32', torch.randn(3, 6).tolist())
F3 = ('f32', torch.randn(3, 4, 5).tolist())
for name in ('fft', 'ifft', 'rfft', 'ihfft'):
    laid(f'{name} along a dim', f'a = torch.fft.{name}(x).real\nb = torch.fft.{name}(y, dim = 0).imag\nc = torch.fft.{name}(y, dim = 1).real\nd = torch.fft.{name}(y.permute(2, 0, 1), dim = 1).real\nreturn (a, b, c, d)',
         {'x': F2, 'y': F3}, near=1e-4, absolute=1e-5)
for name in ('fft', 'ifft', 'rfft', 'ihfft'):
    laid(f'{name}n', f'a = torch.fft.{name}2(x).real\nb = torch.fft.{name}n(y).imag\nc = torch.fft.{name}n(y, dim = (0, 2)).real\nd = torch.fft.{name}n(y, dim = (1, 0)).real + 1\nreturn (a, b, c, d)',
         {'x': F2, 'y': F3}, near=1e-4, absolute=1e-5)
for name in ('irfft', 'hfft'):
    laid(f'{name}, {name}n', f'a = torch.fft.{name}(y, dim = 0)\nb = torch.fft.{name}2(x)\nc = torch.fft.{name}n(y)\nd = torch.fft.{name}n(y, dim = (0, 2))\ne = torch.fft.{name}n(y, dim = (2, 0))\nreturn (a, b, c, d, e)',
         {'x': F2, 'y': F3}, near=1e-4, absolute=1e-5)
laid('transforms of AOTAutograd', 'z = torch.view_as_complex(v)\na = torch.ops.aten._fft_c2c.default(z, [0], 0, True).real\nb = torch.ops.aten._fft_r2c.default(y, [0, 1], 0, True).imag\nc = torch.ops.aten._fft_c2r.default(z, [1, 0], 0, 4)\n'
     'd = torch.ops.aten._fft_c2c.default(z, [0, 1], 0, False).real\nreturn (a, b, c, d)', {'v': ('f32', torch.randn(3, 4, 2).tolist()), 'y': F3}, near=1e-4, absolute=1e-5)
laid('what is made contiguous of a part is a copy', 'a = torch.fft.fft(x).real\nb = a.contiguous()\nb[1] = 5\nc = torch.fft.fft(x).imag.view(-1)\nreturn (a, b, c)', {'x': F2}, near=1e-4, absolute=1e-5)
laid('a part reshaped and written', 'a = torch.fft.rfft(x).imag\nb = a.reshape(-1)\nb.mul_(0)\nreturn (a,)', {'x': F2}, near=1e-4, absolute=1e-5)

# --- channels last: where the operand is, the result is; else it is row-major, however the operand lies
C4 = ('f32', torch.randn(2, 6, 5, 4).tolist())     # NHWC
C5 = ('f32', torch.randn(2, 3, 4, 5, 2).tolist())  # NDHWC
W4, W5 = ('f32', torch.randn(2, 4, 2, 2).tolist()), ('f32', torch.randn(2, 2, 2, 2, 2).tolist())
V4 = ('f32', torch.rand(4).tolist())
K = 'torch.nn.functional.'
for name, form in (
        ('convolution', f'{K}conv2d({{}}, w)'), ('convolution by groups', f'{K}conv2d({{}}, w[:, :2], groups = 2)'), ('convolution of single points', f'{K}conv2d({{}}, w[:, :, :1, :1].contiguous())'),
        ('transposed convolution', f'{K}conv_transpose2d({{}}, w.transpose(0, 1))'), ('aten.convolution', 'torch.ops.aten.convolution.default({}, w, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)'),
        ('max_pool2d', f'{K}max_pool2d({{}}, 2)'), ('max_pool2d_with_indices', 'torch.ops.aten.max_pool2d_with_indices.default({}, [2, 2])[0]'), ('avg_pool2d', f'{K}avg_pool2d({{}}, 2)'),
        ('adaptive_avg_pool2d', f'{K}adaptive_avg_pool2d({{}}, (2, 3))'), ('_adaptive_avg_pool2d', 'torch.ops.aten._adaptive_avg_pool2d.default({}, [2, 3])'), ('adaptive_max_pool2d', f'{K}adaptive_max_pool2d({{}}, (2, 3))'),
        ('batch_norm', f'{K}batch_norm({{}}, v, v + 1, v, v)'), ('batch_norm of what it sees', f'{K}batch_norm({{}}, None, None, training = True)'),
        ('_native_batch_norm_legit_no_training', 'torch.ops.aten._native_batch_norm_legit_no_training.default({}, v, v, v, v + 1, 0.1, 1e-05)[0]'), ('group_norm', f'{K}group_norm({{}}, 2)'),
        ('instance_norm', f'{K}instance_norm({{}})'), ('local_response_norm', f'{K}local_response_norm({{}}, 2)'), ('pad', f'{K}pad({{}}, (1, 2, 1, 0))'), ('constant_pad_nd', 'torch.ops.aten.constant_pad_nd.default({}, [1, 1, 0, 0, 1, 0], 0.5)'),
        *((f'pad, {m}', f"{K}pad({{}}, (1, 1, 1, 1), mode = '{m}')") for m in ('reflect', 'replicate', 'circular')),
        *((f'interpolate, {m}', f"{K}interpolate({{}}, scale_factor = 2, mode = '{m}')") for m in ('nearest', 'bilinear', 'bicubic', 'area')),
        ('upsample_nearest2d', 'torch.ops.aten.upsample_nearest2d.default({}, [8, 9])'), ('cat', 'torch.cat([{}, {}], 1)'), ('cat with what is row-major', 'torch.cat([{}, {}.contiguous()], 1)'), ('channel_shuffle', f'{K}channel_shuffle({{}}, 2)'),
        ('pixel_shuffle', f'{K}pixel_shuffle({{}}, 2)'), ('softmax', f'{K}softmax({{}}, 1)'), ('roll', '{}.roll(1, 2)'), ('flip', '{}.flip(2)'), ('prelu', f'{K}prelu({{}}, v)'), ('normalize', f'{K}normalize({{}})'),
        ('sort', 'torch.sort({}, 1)[0]'), ('topk', 'torch.topk({}, 2, 1)[0]'), ('repeat', '{}.repeat(1, 2, 1, 1)'), ('repeat_interleave', '{}.repeat_interleave(2, 1)'),
        ('index_fill', '{}.index_fill(1, torch.tensor([0]), 0.5)'), ('sums along a dim', '{}.cumsum(1)')):
    taken = [f'{n} = ' + form.format(*[f'{n}x'] * form.count('{}')) for n in 'abcde']
    used = {'n': C4, **({'w': W4} if 'w' in form.replace('avg', '').replace('pow', '') and ' w' in form else {}), **({'v': V4} if '(v' in form or ' v' in form else {})}
    laid(f'channels last: {name}', 'ax = n.permute(0, 3, 1, 2)\nbx = ax[:, :, 1:]\ncx = n.permute(0, 3, 2, 1)\ndx = n.permute(0, 3, 1, 2).contiguous()\nex = n.permute(0, 3, 1, 2) + 1\n' + '\n'.join(taken) + '\nreturn (a, b, c, d, e)',
         used, near=1e-4, absolute=1e-5)
for name, form in (('convolution', f'{K}conv3d({{}}, u)'), ('max_pool3d', f'{K}max_pool3d({{}}, 2)'), ('avg_pool3d', f'{K}avg_pool3d({{}}, 2)'), ('adaptive_avg_pool3d', f'{K}adaptive_avg_pool3d({{}}, 2)'),
                   ('batch_norm', f'{K}batch_norm({{}}, v, v + 1)'), ('pad', f'{K}pad({{}}, (1, 1))'), ('interpolate, nearest', f'{K}interpolate({{}}, scale_factor = 2)')):
    laid(f'channels last in three dims: {name}', f'x = n.permute(0, 4, 1, 2, 3)\na = {form.format("x")}\nb = {form.format("x.contiguous()")}\nreturn (a, b)',
         {'n': C5, **({'u': W5} if ' u' in form else {}), **({'v': ('f32', torch.rand(2).tolist())} if ' v' in form else {})}, near=1e-4, absolute=1e-5)
laid('channels last: the weight tells, too', f'q = w.permute(0, 3, 1, 2)\na = {K}conv2d(x, q)\nb = a.permute(0, 2, 3, 1).view(-1, 3)\nc = {K}relu(a)\nd = {K}conv2d(x, q.contiguous())\nreturn (a, b, c, d)',
     {'x': ('f32', torch.randn(2, 2, 4, 5).tolist()), 'w': ('f32', torch.randn(3, 2, 2, 2).tolist())}, near=1e-4, absolute=1e-5)
laid('channels last: a block', f'x = n.contiguous(memory_format = torch.channels_last)\na = {K}conv2d(x, w, padding = 1)\nb = {K}batch_norm(a, v, v + 1)\nc = {K}relu(b) + x[:, :2, :1, :1]\nd = {K}max_pool2d(c, 2)\ne = {K}adaptive_avg_pool2d(d, 1)\nf = e.flatten(1)\n'
     'g = d.permute(0, 2, 3, 1).view(2, -1)\nreturn (d, f, g)', {'n': ('f32', torch.randn(2, 4, 6, 5).tolist()), 'w': W4, 'v': ('f32', torch.rand(2).tolist())}, near=1e-4, absolute=1e-5)
laid('channels last of symbolic sizes', f'x = n.permute(0, 3, 1, 2)\na = {K}conv2d(x, w)\nb = {K}max_pool2d(x, 2)\nc = {K}pad(x, (1, 1))\nreturn (a, b, c)', {'n': (*C4, 's0, 6, 5, 4'), 'w': W4}, symbols={'s0': 2}, near=1e-4, absolute=1e-5)

# --- of two operands in two orders
P = ('f32', (torch.arange(12.).reshape(3, 4) / 13 + 0.04).tolist())
Q2 = ('f32', (torch.arange(12.).reshape(4, 3) / 13 + 0.05).tolist())
NONE = "reduction = 'none')"
for form in (*(f'torch.ops.aten.{name}.default({{0}}, {{1}}{rest})' for name, rest in (
        ('softplus_backward', ', 1, 20'), ('silu_backward', ''), ('gelu_backward', ''), ('hardswish_backward', ''), ('hardsigmoid_backward', ''), ('leaky_relu_backward', ', 0.1, False'),
        ('hardtanh_backward', ', -1, 1'), ('threshold_backward', ', 0'), ('sigmoid_backward', ''), ('tanh_backward', ''), ('logit_backward', ''), ('mish_backward', ''), ('softshrink_backward', ', 0.5'),
        ('hardshrink_backward', ', 0.5'), ('mse_loss_backward', ', {1}, 0'), ('huber_loss_backward', ', {1}, 0, 1.0'), ('smooth_l1_loss_backward', ', {1}, 0, 1.0'),
        ('binary_cross_entropy_backward', ', {1}, None, 0'), ('_prelu_kernel', ''))),
             *(f'torch.{name}({{0}}, {{1}}{rest})' for name, rest in (
                 ('atan2', ''), ('lerp', ', 0.5'), ('xlogy', ''), ('hypot', ''), ('copysign', ''), ('logaddexp', ''), ('fmod', ''), ('addcmul', ', {1}'), ('addcdiv', ', {1}'), ('heaviside', ''),
                 ('rsub', ''), ('isclose', ''), ('float_power', ''), ('ldexp', ''), ('floor_divide', ''), ('clamp', ', {1}'), ('igamma', ''), ('pow', ''), ('nextafter', ''))),
             *(f'{K}{name}({{0}}, {{1}}, {rest}' for name, rest in (
                 ('kl_div', NONE), ('binary_cross_entropy_with_logits', NONE), ('smooth_l1_loss', NONE), ('poisson_nll_loss', NONE), ('gaussian_nll_loss', '{1}, ' + NONE), ('soft_margin_loss', NONE),
                 ('mse_loss', NONE), ('huber_loss', NONE)))):
    laid(f'two orders: {form.format("t", "q")}', f't = m.t()\na = {form.format("t", "q")}\nb = {form.format("q", "t")}\nc = {form.format("t", "t")}\nreturn (a, b, c)', {'m': P, 'q': Q2}, near=1e-4, absolute=1e-5)
