#!/usr/bin/env python3
"""Strict mode against eager PyTorch on the CPU, bit by bit: every pointwise operator and cast, over all 65,536 values of each 16-bit
dtype and over 10^6 of f32 (special values, ties, subnormals, random bits).

    tests/torch_strict.py BUILD [--device host|sim|cuda] [--count N]       needs torch; on cuda, PyTorch is CUDA's

For sim, which computes as a GPU does, the CPU's PyTorch follows the rules of CUDA's kernels (RULES).

One operator of two operands gets all values beside themselves in another order, and beside a few that matter.  A line for each operator
says how many elements differ and by how many places of the dtype at most.  The exit status is 1 where an operator differs that ought not
to, or one of the VENDORS list by more places than it says there: what the vendors' libraries compute is not ours to repeat.  Three
things are theirs alone: gelu of what is near infinity, which overflows there; which of two zeros is the larger, which goes by the length of
a vector; fmod of far quotients, where ours is held to the definition instead.
"""
import argparse
import math
import os
import re
import subprocess
import sys
import tempfile

import torch

from torch_tensors import DTYPES, NAMES, bits, load, save

# Functions of vendors' libraries (SLEEF, MKL), and what PyTorch puts together from them.  In places.
VENDORS = {'exp': 1, 'exp2': 1, 'log': 1, 'sin': 1, 'cos': 1, 'tanh': 1, 'erf': 1, 'pow': 1, 'sqrt': 1, 'rsqrt': 1, 'sigmoid': 3, 'silu': 3,
           'softplus': 3, 'gelu': 4, 'gelu_tanh': 4,
           'acosh': 2, 'asinh': 2, 'selu': 2, 'elu': 2, 'elu 2': 2, 'celu': 2, 'sinc': 2, 'logsigmoid': 2, 'entr': 2, 'xlogy': 2, 'xlog1py': 2, 'glu': 6,
           **{n: 1 for n in ('expm1', 'log1p', 'log2', 'log10', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'atanh', 'erfc', 'erfinv', 'logit',
                             'logit eps', 'atan2', 'hypot', 'float_power', 'x ** 4', 'x ** 1.7')}}
# What CUDA's own functions, which are by up to two places off, make more.
ON_CUDA = {'exp': 2, 'exp2': 2, 'tanh': 2, 'rsqrt': 2, 'sigmoid': 4, 'silu': 4, 'glu': 8,
           'log10': 2, 'tan': 4, 'sinh': 3, 'cosh': 2, 'asinh': 3, 'acosh': 4, 'atanh': 3, 'erfc': 4, 'erfinv': 2, 'atan2': 3}
# Functions whose f32 results have to be within a place of the true value, which f64 gives, whatever the vendor's are.
TRUE = ('exp', 'exp2', 'log', 'sin', 'cos', 'tanh', 'erf', 'expm1', 'log1p', 'log2', 'log10', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'asinh', 'acosh',
        'atanh', 'erfc', 'erfinv', 'atan2', 'hypot', 'pow')
# Beside 0 they are off by more places than that, but by no more than this.
ABSOLUTE = {'erf': 5e-7, 'gelu': 2e-6, 'gelu_tanh': 2e-6}
# Differences of about equal numbers: so many places of the largest operand, or of 1.
TERMS = {'logaddexp': 2, 'logaddexp2': 2, 'tanhshrink': 1, 'mish': 2, 'ndtr': 1}
UNARY = {'neg': 'torch.neg(x)', 'abs': 'torch.abs(x)', 'sqrt': 'torch.sqrt(x)', 'rsqrt': 'torch.rsqrt(x)', 'reciprocal': 'torch.reciprocal(x)',
         'relu': 'torch.relu(x)', 'floor': 'torch.floor(x)', 'ceil': 'torch.ceil(x)', 'square': 'x * x', 'clamp': 'torch.clamp(x, -1.5, 2.25)',
         'number': 'x * 1.1', 'plus number': 'x - 0.3', 'isnan': 'x != x', 'exp': 'torch.exp(x)', 'exp2': 'torch.exp2(x)', 'log': 'torch.log(x)',
         'sin': 'torch.sin(x)', 'cos': 'torch.cos(x)', 'tanh': 'torch.tanh(x)', 'erf': 'torch.erf(x)', 'sigmoid': 'torch.sigmoid(x)',
         'silu': 'torch.nn.functional.silu(x)', 'gelu': 'torch.nn.functional.gelu(x)',
         'gelu_tanh': "torch.nn.functional.gelu(x, approximate = 'tanh')", 'softplus': 'torch.nn.functional.softplus(x)',
         **{n: f'torch.{n}(x)' for n in ('expm1', 'log1p', 'log2', 'log10', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'asinh', 'acosh', 'atanh', 'erfc',
                                         'erfinv', 'round', 'trunc', 'sign', 'signbit', 'frac', 'isfinite', 'isinf', 'isposinf', 'isneginf', 'selu', 'celu',
                                         'logit', 'sinc', 'deg2rad', 'rad2deg', 'nan_to_num')},
         **{n: f'torch.nn.functional.{n}(x)' for n in ('relu6', 'elu', 'mish', 'hardswish', 'hardsigmoid', 'hardtanh', 'leaky_relu', 'logsigmoid', 'softsign',
                                                       'tanhshrink', 'softshrink', 'hardshrink')},
         'threshold': 'torch.nn.functional.threshold(x, 0.3, 2.5)', 'round 2': 'torch.round(x, decimals = 2)', 'round -2': 'torch.round(x, decimals = -2)',
         'logit eps': 'torch.logit(x, 0.01)', 'entr': 'torch.special.entr(x)', 'ndtr': 'torch.special.ndtr(x)', 'elu 2': 'torch.nn.functional.elu(x, 1.7)',
         **{n: n for n in ('x / 0.7', '2.3 / x', 'x // 0.7', 'x % 0.75', 'x ** 3', 'x ** -2', 'x ** -1', 'x ** 4', 'x ** 1.7', 'x <= 0.3', 'x == 0.1', '1.1 - x')},
         'add alpha number': 'torch.add(x, 1.3, alpha = 0.7)', 'softshrink 0.3': 'torch.nn.functional.softshrink(x, 0.3)',
         'hardshrink 0.3': 'torch.nn.functional.hardshrink(x, 0.3)', 'leaky_relu 0.3': 'torch.nn.functional.leaky_relu(x, 0.3)',
         'float_power': 'torch.float_power(x, 1.5).to(x.dtype)', 'div trunc number': "torch.div(x, 0.7, rounding_mode = 'trunc')", 'heaviside': 'torch.heaviside(x, x)',
         'x / number of a run': 'x / torch.full((), 0.7, dtype = torch.float64).item()'}
BINARY = {'add': 'x + y', 'sub': 'x - y', 'mul': 'x * y', 'div': 'x / y', 'maximum': 'torch.maximum(x, y)', 'minimum': 'torch.minimum(x, y)',
          'eq': 'x == y', 'lt': 'x < y', 'le': 'x <= y', 'where': 'torch.where(x < y, x, y)', 'remainder': 'torch.remainder(x, y)',
          'floor_divide': 'x // y', 'pow': 'torch.pow(x, y)', 'muladd': 'x * y + x',
          **{n: f'torch.{n}(x, y)' for n in ('atan2', 'hypot', 'copysign', 'fmod', 'fmin', 'fmax', 'xlogy', 'logaddexp', 'logaddexp2')},
          'xlog1py': 'torch.special.xlog1py(x, y)', 'div trunc': "torch.div(x, y, rounding_mode = 'trunc')", 'lerp': 'torch.lerp(x, y, 0.3)', 'lerp tensor': 'torch.lerp(x, y, x)',
          'addcmul': 'torch.addcmul(x, x, y, value = 0.7)', 'addcmul 1': 'torch.addcmul(x, x, y)', 'addcdiv': 'torch.addcdiv(x, x, y, value = 0.7)',
          'add alpha': 'torch.add(x, y, alpha = 0.7)', 'sub alpha': 'torch.sub(x, y, alpha = 0.7)', 'glu': 'torch.nn.functional.glu(torch.stack([x, y]), 0)',
          'prelu': 'torch.nn.functional.prelu(x, y[3:4])', 'logical_xor': 'torch.logical_xor(x, y)', 'rsub': 'torch.rsub(x, y, alpha = 0.7)'}
# How CUDA's kernels round where those of the CPU do not, written for the CPU: X, Y in f32 (T: the dtype, W: rounded to it), and the result
# rounded once by whoever calls.  What is not here is the same on both.
WIDER = ('xlogy', 'xlog1py', 'entr', 'logit', 'logit eps')
RULES = {'plus number': 'X - 0.3', '1.1 - x': 'rsub(X, 1.1)', 'hardswish': 'X * (X + 3).clamp(0, 6) * single(1 / 6)', 'hardsigmoid': '(X + 3).clamp(0, 6) * single(1 / 6)',
         'threshold': 'torch.where(x <= W(0.3), torch.tensor(2.5, dtype = T), x)', 'round 2': '(x * W(100.)).round() / W(100.)', 'round -2': '(x / W(100.)).round() * W(100.)',
         'signbit': 'torch.signbit(x) & ~(x.isnan() & (T == torch.float16))', 'copysign': 'torch.copysign(x, y.nan_to_num(nan = 1.) if T == torch.float16 else y)',
         'addcmul': 'fma(0.7, X * Y, X)', 'addcmul 1': 'fma(X, Y, X)', 'addcdiv': 'fma(0.7, X / Y, X)', 'add alpha': 'fma(0.7, Y, X)', 'sub alpha': 'fma(-0.7, Y, X)',
         'add alpha number': 'fma(0.7, torch.full_like(X, 1.3), X)', 'rsub': 'fma(-0.7, X, Y)', 'div trunc number': '(X * inverse(0.7)).trunc()', 'x / 0.7': 'X * inverse(0.7)', 'x / number of a run': 'X * inverse(0.7)',
         'softshrink 0.3': 'torch.where(x > W(0.3), x - W(0.3), torch.where(x < -W(0.3), x + W(0.3), x * 0))', 'x ** 3': 'x * x * x', 'x ** -2': '1 / (x * x)',
         'x // 0.7': 'floor_by(X, 0.7, T)', 'floor_divide': 'floor_steps(X, Y, T)', '2.3 / x': 'x.reciprocal().float() * 2.3',
         **{n: re.sub(r'\bx\b', 'X', re.sub(r'\by\b', 'Y', {**UNARY, **BINARY}[n])) for n in WIDER}}
CASTS = ['bfloat16', 'float16', 'float32', 'float64', 'int8', 'uint8', 'int16', 'int32', 'int64', 'bool']


def values(dtype, count):
    if dtype != torch.float32:
        return torch.arange(65536, dtype=torch.int32).to(torch.int16).view(dtype)
    g = torch.Generator().manual_seed(1)
    any_bits = torch.randint(-2**31, 2**31, (count // 2,), generator=g, dtype=torch.int64).to(torch.int32).view(torch.float32)
    usual = torch.randn(count // 4, generator=g) * torch.exp(torch.randn(count // 4, generator=g) * 3)
    ties = (torch.randint(-2**23, 2**23, (count // 8,), generator=g).float() + 0.5) / 4
    sparse = torch.randint(-2**15, 2**15, (count // 16,), generator=g, dtype=torch.int64).to(torch.int32) << 16
    halves = (sparse | 0x8000).view(torch.float32)  # ties of bf16
    small = torch.randint(0, 2**23, (count // 16,), generator=g, dtype=torch.int64).to(torch.int32).view(torch.float32)
    special = torch.tensor([0., -0., math.inf, -math.inf, math.nan, 1., -1., 65504., 65520., 3.4e38, 2.**31, -2.**31, 2.**63, 1e-45])
    some = torch.cat([special, any_bits, usual, ties, halves, small])
    return some[:some.numel() // 64 * 64]  # the CPU's last elements, which no vector is full of, may be computed otherwise


def places(a, b):
    """How far apart in places of the dtype; NaN equals NaN."""
    ia, ib = bits(a).to(torch.int64), bits(b).to(torch.int64)
    least = {2: -2**15, 4: -2**31, 8: -2**63}[a.element_size()]
    ia, ib = torch.where(ia < 0, least - ia, ia), torch.where(ib < 0, least - ib, ib)
    off = (ia - ib).abs()
    zeros = (a == 0) & (b == 0) & (bits(a) != bits(b))
    off = torch.where(zeros, torch.ones_like(off), off)
    both = torch.isnan(a) & torch.isnan(b)
    return torch.where(both, torch.zeros_like(off), torch.where(torch.isnan(a) | torch.isnan(b), torch.full_like(off, 2**40), off))


def single(x):
    """Rounded to f32."""
    return float(torch.tensor(x, dtype=torch.float64).to(torch.float32))


def remainder(a, b):
    """PyTorch's scalar definition, with an fmod that is exact; SLEEF's gives up where the quotient is large."""
    if b == 0 or math.isinf(a) or math.isnan(a) or math.isnan(b):
        return math.nan
    r = math.fmod(a, b)
    return single(r + b) if r and (r < 0) != (b < 0) else r


def floor_divide(a, b):
    if b == 0 or not (math.isfinite(a) and math.isfinite(b)):
        return None
    r = math.fmod(a, b)
    q = single(single(a - r) / b)
    if r and (r < 0) != (b < 0):
        q = single(q - 1)
    if not q:
        return math.copysign(0, a / b)
    return q if math.isinf(q) else math.floor(q) + (q - math.floor(q) > 0.5)


def fmod(a, b):
    return math.nan if b == 0 or math.isinf(a) or math.isnan(a) or math.isnan(b) else math.fmod(a, b)


# NaN is left out, signalling ones as well, for which std::fmax does not.
def least(a, b):
    return b if math.isnan(a) else a if math.isnan(b) else min(a, b)


def most(a, b):
    return b if math.isnan(a) else a if math.isnan(b) else max(a, b)


DEFINED = {'remainder': remainder, 'x % 0.75': lambda a: remainder(a, 0.75), 'floor_divide': floor_divide, 'fmod': fmod, 'fmin': least, 'fmax': most}


def by_definition(name, off, got, inputs):
    """Takes out of OFF what is as the operator is defined, PyTorch's vectors notwithstanding."""
    for k in torch.nonzero(off).flatten().tolist():
        want = DEFINED[name](*(float(t[k]) for t in inputs.values()))
        if want is not None and places(got[k:k + 1], torch.tensor([want], dtype=torch.float64).to(torch.float32).to(got.dtype)).item() <= 0:
            off[k] = 0
    return off


def inverse(b):
    """1/b in f32."""
    return (1 / torch.tensor(b, dtype=torch.float32)).item()


def fma(a, b, c):
    """a*b + c of f32, rounded once: the product is exact in f64, and the sum gets an odd last place where f64 does not hold it."""
    a = torch.full_like(c, a) if isinstance(a, float) else a
    p, c = a.double() * b.double(), c.double()
    total = p + c
    other = total - p
    lost = (p - (total - other)) + (c - other)
    even = total.view(torch.int64) & 1 == 0
    away = torch.where((lost > 0) == (total > 0), 1, -1)
    inexact = (lost != 0) & torch.isfinite(lost) & torch.isfinite(total)
    return torch.where(inexact & even, total.view(torch.int64) + away, total.view(torch.int64)).view(torch.float64).float()


def whole(q, sign, dtype):
    """The nearest whole number below q, as CUDA finds it."""
    down = q.floor().to(dtype)
    down = torch.where((q - down) > 0.5, down + 1, down)
    return torch.where(q != 0, down, torch.copysign(torch.zeros_like(down), sign.to(dtype)))


def floor_by(x, b, dtype):
    """x // b, b a number: times its inverse, in f32 up to the whole number."""
    b = single(b)
    rest = torch.tensor([fmod(v, b) for v in x.tolist()], dtype=torch.float32)
    q = (x - rest) * inverse(b)
    q = torch.where((rest != 0) & (rest < 0), q - 1, q)
    return whole(q, x * inverse(b), dtype)


def floor_steps(x, y, dtype):
    """x // y, in f32 up to the whole number."""
    rest = torch.tensor([fmod(v, w) for v, w in zip(x.tolist(), y.tolist())], dtype=torch.float32)
    q = (x - rest) / y
    q = torch.where((rest != 0) & ((y < 0) != (rest < 0)), q - 1, q)
    return torch.where(y == 0, x / y, whole(q, x / y, dtype))


def to_integer(x, dtype):
    """The nearest number of 64 bits, or of 32, then the low bits; of NaN the least, or 0."""
    bits32 = dtype in (torch.int8, torch.int16, torch.int32)
    top = 2.**31 if bits32 else 2.**63
    most, least, d = (2**31 - 1 if bits32 else 2**63 - 1), -int(top), x.double()
    inside = torch.where((d < top) & (d >= -top), d, torch.zeros_like(d)).to(torch.int64)
    inside = torch.where(d >= top, most, torch.where(d < -top, least, inside))
    return torch.where(x.isnan(), 0 if bits32 else least, inside).to(dtype)


def rule(name, inputs, want):
    """What CUDA gives, by its rule."""
    if name.startswith('to ') and not want.dtype.is_floating_point and want.dtype != torch.bool:
        return to_integer(inputs['x'], want.dtype)
    if name not in RULES:
        return want
    t = inputs['x'].dtype
    scope = {'torch': torch, 'T': t, 'W': lambda v: torch.tensor(v, dtype=t), 'single': single, 'fma': fma, 'inverse': inverse, 'rsub': torch.rsub,
             'floor_by': floor_by, 'floor_steps': floor_steps, **inputs, **{k.upper(): v.float() for k, v in inputs.items()}}
    return eval(RULES[name], scope).to(want.dtype)


def run(args, where, statements, inputs):
    params = ', '.join(f'{k}: "{NAMES[t.dtype]}[{t.numel()}]"' for k, t in inputs.items())
    names = [f'r{i}' for i in range(len(statements))]
    body = ''.join(f'        {n} = {s}\n' for n, s in zip(names, statements))
    text = f'class GraphModule(torch.nn.Module):\n    def forward(self, {params}):\n{body}        return ({", ".join(names)},)\n'
    graph, ins, outs = (os.path.join(where, n) for n in ('strict.py', 'in.safetensors', 'out.safetensors'))
    with open(graph, 'w') as f:
        f.write(text)
    save(ins, inputs)
    library = os.path.join(args.build, '.libs/libjitc-llvm.so')
    env = dict(os.environ, **({'JITC_LLVM_LIBRARY': library} if os.path.exists(library) else {}))
    p = subprocess.run([os.path.join(args.build, 'jitc'), 'run', graph, '--device', args.device, '--mode', 'strict', '--no-cache', '--quiet',
                        '--inputs', ins, '--outputs', outs], capture_output=True, text=True, env=env)
    if p.returncode:
        raise SystemExit(f'{text}\n{p.stderr}')
    where = 'cuda' if args.device == 'cuda' else 'cpu'
    scope = {'torch': torch, **{name: t.to(where) for name, t in inputs.items()}}
    got = load(outs)
    return [(got[f'out{i}'], eval(s, scope).cpu()) for i, s in enumerate(statements)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--device', default='host')
    parser.add_argument('--count', type=int, default=10**6)
    parser.add_argument('--dtype', choices=('bf16', 'f16', 'f32'))
    args = parser.parse_args()
    failed = 0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as where:
        for dtype in ([torch.bfloat16, torch.float16, torch.float32] if not args.dtype else [DTYPES[args.dtype]]):
            x = values(dtype, args.count)
            g = torch.Generator().manual_seed(2)
            y = x[torch.randperm(x.numel(), generator=g)]
            table = [(n, s, {'x': x}) for n, s in UNARY.items()] + [(n, s, {'x': x, 'y': y}) for n, s in BINARY.items()] + \
                    [(f'to {d}', f'x.to(torch.{d})', {'x': x}) for d in CASTS]
            for name, statement, inputs in table:
                (got, want), = run(args, where, [statement], inputs)
                want = rule(name, inputs, want) if args.device == 'sim' else want
                if got.dtype != want.dtype or got.shape != want.shape:
                    raise SystemExit(f'{name}: {got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}')
                off = places(got, want) if want.dtype.is_floating_point else (got != want).to(torch.int64) * 2**40
                # of zeros the largest depends on how long a vector PyTorch takes
                if name in ('maximum', 'minimum', 'softshrink', 'softshrink 0.3'):
                    off = torch.where((got == 0) & (want == 0), torch.zeros_like(off), off)
                if name in ABSOLUTE:
                    close = (got.double() - want.double()).abs() <= ABSOLUTE[name]
                    off = torch.where((close & (off > VENDORS[name])) | (inputs['x'].double().abs() > 1e38), torch.zeros_like(off), off)
                if name in TERMS:
                    size = torch.stack([t.double().abs() for t in inputs.values()]).amax(0).clamp(min=1)
                    close = (got.double() - want.double()).abs() <= TERMS[name] * torch.finfo(dtype).eps * size
                    off = torch.where(close | (size > 1e37), torch.zeros_like(off), off)
                # SLEEF's are infinite from there on
                if name in ('sinh', 'cosh'):
                    off = torch.where((inputs['x'].double().abs() > 88.7), torch.zeros_like(off), off)
                exact = name == 'floor_divide' and dtype != torch.float32  # an fmod of f32 is exact for them
                if name in DEFINED and not exact and args.device != 'cuda' and name not in (RULES if args.device == 'sim' else ()):
                    off = by_definition(name, off, got, inputs)
                if name in TRUE and dtype == torch.float32:
                    true = eval(statement, {'torch': torch, **{k: t.double() for k, t in inputs.items()}}).to(dtype)
                    far = int(places(got, true).max())
                    failed += far > 1
                    if far > 1:
                        k = int(places(got, true).argmax())
                        print(f'BAD {NAMES[dtype]:5} {name:14} up to {far} places from the true value: {got[k].item()!r}, which is {true[k].item()!r}')
                worst, differ = int(off.max()), int((off != 0).sum())
                allowed = (ON_CUDA if args.device == 'cuda' else {}).get(name, VENDORS.get(name, 0))
                bad = worst > allowed
                failed += bad
                if worst:
                    k = int(off.argmax())
                    at = ', '.join(f'{t[k % t.numel()].item()!r}' for t in inputs.values())
                    print(f'{"BAD " if bad else "    "}{NAMES[dtype]:5} {name:14} {differ} of {off.numel()} differ, by {worst} places at most: ({at}) gives {got.flatten()[k].item()!r}, PyTorch has {want.flatten()[k].item()!r}')
                else:
                    print(f'    {NAMES[dtype]:5} {name:14} equal')
    print(f'{failed} operators differ that should not')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
