#!/usr/bin/env python3
"""A second judge: random graphs (tests/fuzz) run by eager PyTorch, against what the reference evaluator expects.

    tests/torch_diff.py BUILD [--seed N] [--count N] [--jobs N] [--device cpu|cuda]       needs torch

The generator knows what error a result may have whatever the order of computing, so eager PyTorch has to come as close as our
own code: dims and dtypes are the same, integers and exact floats equal, others within the bound.  Graphs are PyTorch's text, so they
run as they are; operators of ours are defined below.  A line for each graph that differs, the first few with their text; ends with
"N graphs, N differ" and exit status 1 where one does.  What PyTorch refuses although we take it is counted and listed by its message, and
what it leaves open is counted apart: which of equal elements comes first, and what is found among boundaries that are not sorted.
"""
import argparse
import collections
import concurrent.futures
import json
import math
import operator
import os
import re
import subprocess
import sys
import tempfile

import torch

from torch_tensors import DTYPES, bits


# ---- operators of ours ----

def wide(x):
    return x if x.dtype == torch.float64 else x.float()


def norm_of(x, dtype, weight, epsilon, variance_size):
    part = x if variance_size is None else x[..., :variance_size]
    x = x * torch.rsqrt(part.pow(2).mean(-1, keepdim = True) + epsilon)
    return x.to(dtype) if weight is None else (x.to(weight.dtype) * weight).to(dtype)


def rms_norm(x, weight, epsilon, variance_size = None):
    return norm_of(wide(x), x.dtype, weight, epsilon, variance_size)


def fused_add_rms_norm(x, residual, weight, epsilon, variance_size = None):
    total = wide(x) + wide(residual)
    return norm_of(total, x.dtype, weight, epsilon, variance_size), total.to(x.dtype)


def touch(x):
    x.copy_(x.clone().flatten().flip(0).view(x.shape))


def mix(x, y):
    at = torch.arange(x.numel(), device = x.device).view(x.shape)
    return torch.where(at % 2 == 0, x, y)


def turn(x, name):
    return x.flatten().roll(-len(name)).view(x.shape).contiguous()


def plain(function):
    """Results are contiguous, as ours are."""
    def call(*arguments, **named):
        out = function(*arguments, **named)
        return tuple(x.contiguous() for x in out) if isinstance(out, tuple) else out if out is None else out.contiguous()
    return call


def define():
    kept = []
    for space, schema, name, function in (
            ('fuzz', 'touch(Tensor(a!) x) -> ()', 'touch', touch), ('fuzz', 'mix(Tensor x, Tensor y) -> Tensor', 'mix', mix),
            ('vllm', 'all_reduce(Tensor tensor, str group_name) -> Tensor', 'all_reduce', turn),
            ('vllm_ir', 'rms_norm(Tensor x, Tensor? weight, float epsilon, int? variance_size=None) -> Tensor', 'rms_norm', rms_norm),
            ('vllm_ir', 'fused_add_rms_norm(Tensor x, Tensor residual, Tensor? weight, float epsilon, int? variance_size=None)'
             ' -> (Tensor, Tensor)', 'fused_add_rms_norm', fused_add_rms_norm),
            ('vllm_ir', 'fused_add_rms_norm.maybe_inplace(Tensor x, Tensor residual, Tensor? weight, float epsilon,'
             ' int? variance_size=None) -> (Tensor, Tensor)', 'fused_add_rms_norm.maybe_inplace', fused_add_rms_norm),
            ('vllm_ir', 'silu_and_mul(Tensor x) -> Tensor', 'silu_and_mul',
             lambda x: torch.nn.functional.silu(x[..., :x.shape[-1] // 2]) * x[..., x.shape[-1] // 2:])):
        own = torch.library.Library(space, 'FRAGMENT')
        own.define(schema)
        own.impl(name, plain(function), 'CompositeExplicitAutograd')
        kept.append(own)
    return kept


# ---- what fuzz_graph --show writes ----

class Case:
    def __init__(self, stream):
        head = stream.readline().split()
        if not head:
            raise EOFError
        self.seed, runs, size = (int(x) for x in head[1:])
        self.text = stream.read(size).decode()
        self.runs = [read_run(stream) for _ in range(runs)]


def read_run(stream):
    _, nparams, nresults = stream.readline().split()
    params = [read_param(stream) for _ in range(int(nparams))]
    return params, [read_result(stream) for _ in range(int(nresults))]


def read_param(stream):
    kind, name, *rest = stream.readline().decode().split()
    if kind == 'int':
        return kind, name, int(rest[0])
    dtype, rank = DTYPES[rest[0]], int(rest[1])
    numbers = [int(x) for x in rest[2:]]
    dims, strides, last = numbers[:rank], numbers[rank:2 * rank], numbers[2 * rank:]
    return (kind, name, dtype, dims, strides, *last, stream.read(last[0]) if kind == 'tensor' else None)


def read_result(stream):
    kind, *rest = stream.readline().decode().split()
    if kind in ('none', 'int'):
        return kind, *(int(x) for x in rest)
    dims = [int(x) for x in rest[3:-1]]
    data = stream.read(8 * int(rest[-1]))
    wide = torch.float64 if kind == 'floats' else torch.int64
    values = torch.frombuffer(bytearray(data), dtype = wide).view(dims) if data else torch.empty(dims, dtype = wide)
    return kind, DTYPES[rest[0]], float(rest[1]), values


# ---- running ----

def inputs(params, device):
    memory, out = {}, []
    for i, p in enumerate(params):
        if p[0] == 'tensor':
            memory[i] = torch.frombuffer(bytearray(p[-1] + bytes(16)), dtype = torch.uint8).to(device)
    for i, p in enumerate(params):
        if p[0] == 'int':
            out.append(p[2])
            continue
        owner, at = (i, 0) if p[0] == 'tensor' else (p[5], p[6])
        raw, size = memory[owner], torch.empty((), dtype = p[2]).element_size()
        words = raw[:raw.numel() // size * size].view(p[2])
        out.append(torch.as_strided(words, p[3], p[4], at // size))
    return out


def method(name):
    return lambda x, *rest, **named: getattr(x, name)(*rest, **named)


def module_of(text, device):
    names = {'torch': torch, 'operator': operator, 'math': math, 'inf': math.inf, 'nan': math.nan, 'device': torch.device}
    text = re.sub(r'(torch\.ops\.\w+\.\w+)\.default\(', r'\1(', text) # the generator knows no overloads: whichever takes the arguments
    text = text.replace("device(type='cuda', index=0)", repr(torch.device(device)))
    for name in re.findall(r'torch\.(\w+)\(', text): # spellings that are read, and that torch has as methods alone
        if not hasattr(torch, name):
            found = next((getattr(m, name) for m in (torch.special, torch.ops.aten) if hasattr(m, name)), None)
            setattr(torch, name, found or method(name))
    for path, otherwise in ((torch._C._nn, torch.nn.functional), (torch.ops.aten, torch)):
        prefix = 'torch._C._nn' if path is torch._C._nn else r'torch\.ops\.aten'
        for name in re.findall(prefix + r'\.(\w+)\(', text): # and such that it has elsewhere
            if not hasattr(path, name) and hasattr(otherwise, name) and 'adaptive_max' not in name:  # which gives one result there
                setattr(path, name, getattr(otherwise, name))
    for name in re.findall(r'\bv?\d*\.(\w+)\(', text):
        if not hasattr(torch.Tensor, name) and hasattr(torch, name) and callable(getattr(torch, name)):
            setattr(torch.Tensor, name, getattr(torch, name))
    exec(compile(text, 'graph', 'exec', dont_inherit = True), names)
    with torch.device(device):
        return names['GraphModule']()


def differs(got, want):
    """Nothing, or what is wrong."""
    if want[0] == 'none':
        return None
    if want[0] == 'int':
        return None if got == want[1] else f'is {got}, expected {want[1]}'
    kind, dtype, bound, values = want
    if not isinstance(got, torch.Tensor) or got.dtype != dtype or list(got.shape) != list(values.shape):
        return f'is {getattr(got, "dtype", type(got))} {list(getattr(got, "shape", []))}, expected {dtype} {list(values.shape)}'
    got = got.detach().cpu()
    if kind == 'integers':
        wrong = got.long() != values
    elif kind == 'bits':
        have = bits(got.contiguous())
        values_of = values.to(have.dtype)
        wrong = (have != values_of) & ~(got.isnan() & same_nan(have, values_of, got.dtype) if dtype.itemsize > 1 else torch.zeros_like(have, dtype = torch.bool))
    else:
        have = got.double()
        wrong = ~((have == values) | (have.isnan() & values.isnan()) | ((have - values).abs() <= bound))
    if not wrong.any():
        return None
    at = tuple(wrong.nonzero()[0].tolist())
    return f'{list(at)} is {got[at].item()!r}, expected {values[at].item()!r} within {bound:.3g}; {int(wrong.sum())} of {wrong.numel()}'


SORTED = re.compile(r'(bucketize|searchsorted)(?=(\.\w+)?\([^\n]*sort)|sort\(\w+\)\[0\]')  # among what is sorted in the same line
RAW = re.compile(r'norm_backward|_weight_norm_interface|max_pool3d_backward|max_pool3d_with_indices_backward')  # kernels that are called with what is contiguous
OPEN = re.compile(r'\b(topk|kthvalue|sort|argsort|median|nanmedian|mode|bucketize|searchsorted)(\.\w+)?\(')


def left_open(case):
    """What PyTorch promises nothing about: which of equal elements comes first, what is found among boundaries that are not sorted; weights of
    places that its CPU kernels round to 16 bits on the way; attention of no heads, by which some kernel divides; the bits of NaNs that are
    gathered, which go through f32; kernels that take what they are given for contiguous: flash attention, gradients of norms and of pools of
    volumes, and what weight_norm calls."""
    text = SORTED.sub('', case.text)
    none = any(0 in p[3] for params, _ in case.runs for p in params if p[0] != 'int')
    strided = any(p[4][-1:] not in ([], [1]) for params, _ in case.runs for p in params if p[0] != 'int')
    turned = any(list(p[4]) != sorted(p[4], reverse = True) for params, _ in case.runs for p in params if p[0] != 'int')
    seen = 'gather' in text and '.view(torch.' in text
    return OPEN.search(text) or seen or ('flash_attention_for_cpu' in text and strided) or (RAW.search(text) and (turned or strided)) or ('grid_sampl' in text and 'f16' in text) or (none and 'scaled_dot_product' in text)


def same_nan(have, values, dtype):
    """Copies may quieten a NaN."""
    quiet = {torch.float16: 0x200, torch.bfloat16: 0x40, torch.float32: 0x400000, torch.float64: 1 << 51}.get(dtype)
    return torch.zeros_like(have, dtype = torch.bool) if quiet is None else (have | quiet) == (values | quiet)


def check(case, device):
    if left_open(case):
        return 'open', ''
    try:
        module = module_of(case.text, device)
    except Exception as e:
        return 'refused', f'{type(e).__name__}: {e}'
    for params, results in case.runs:
        try:
            with torch.no_grad(), torch.device(device):
                out = module.forward(*inputs(params, device))
        except Exception as e:
            return 'refused', f'{type(e).__name__}: {e}'
        for i, (got, want) in enumerate(zip(out, results)):
            why = differs(got, want)
            if why:
                return 'differs', f'result {i} {why}'
    return 'ok', ''


def work(build, seed, count, device):
    """The work of a process of its own: PyTorch may crash.  A line of JSON before each graph, and one after a graph that is not as expected."""
    torch.set_num_threads(1)
    kept = define()
    with subprocess.Popen([os.path.join(build, 'tests', 'fuzz_graph'), '--show', '--seed', str(seed), '--count', str(count)],
                          stdout = subprocess.PIPE) as p:
        while True:
            try:
                case = Case(p.stdout)
            except EOFError:
                break
            print(json.dumps({'seed': case.seed}), flush = True)
            fate, why = check(case, device)
            if fate != 'ok':
                print(json.dumps({'fate': fate, 'seed': case.seed, 'why': why, 'text': case.text}), flush = True)
    del kept
    return p.returncode


def watch(o, seed, count):
    """Runs a worker; how many graphs it had, and those that are not as expected.  One that crashed is followed by another."""
    done, found, end = 0, [], seed + count
    while seed < end:
        arguments = [sys.executable, __file__, o.build, '--seed', str(seed), '--count', str(end - seed), '--device', o.device, '--worker']
        with tempfile.TemporaryFile() as said, subprocess.Popen(arguments, stdout = subprocess.PIPE, stderr = said) as p:
            for line in p.stdout:
                note = json.loads(line)
                if 'fate' in note:
                    found.append(note)
                else:
                    done, seed = done + 1, note['seed']
            p.wait()
            said.seek(0)
            last = said.read().decode(errors = 'replace').strip().splitlines()[-1:]
        if p.returncode == 0:
            break
        found.append({'fate': 'differs', 'seed': seed, 'why': f'the process that ran it ended with {p.returncode}: {last}', 'text': ''})
        seed += 1
    return done, found


def main():
    a = argparse.ArgumentParser(description = __doc__, formatter_class = argparse.RawDescriptionHelpFormatter)
    a.add_argument('build')
    a.add_argument('--seed', type = int, default = 1)
    a.add_argument('--count', type = int, default = 10000)
    a.add_argument('--jobs', type = int, default = os.cpu_count())
    a.add_argument('--device', default = 'cpu')
    a.add_argument('--texts', type = int, default = 3, help = 'how many texts of graphs that differ to print')
    a.add_argument('--worker', action = 'store_true', help = argparse.SUPPRESS)
    o = a.parse_args()
    if o.worker:
        return work(o.build, o.seed, o.count, o.device)
    step = max(1, min(2000, o.count // max(1, o.jobs)))
    done, different, left_open, refused = 0, 0, 0, collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for job in concurrent.futures.as_completed(pool.submit(watch, o, o.seed + i, min(step, o.count - i)) for i in range(0, o.count, step)):
            n, found = job.result()
            done += n
            print(f'{done} of {o.count}, {different} differ', file = sys.stderr)
            for f in found:
                if f['fate'] == 'open':
                    left_open += 1
                    continue
                if f['fate'] == 'refused':
                    refused[re.sub(r'\d+', 'N', f['why'].splitlines()[0])] += 1
                    continue
                different += 1
                print(f'seed {f["seed"]}: {f["why"]}')
                if different <= o.texts:
                    print(f['text'])
    for why, n in refused.most_common():
        print(f'{n:6} refused by PyTorch: {why}')
    print(f'{left_open} not compared, since PyTorch leaves them open; {sum(refused.values())} refused by it')
    print(f'{done} graphs, {different} differ')
    return different > 0


if __name__ == '__main__':
    sys.exit(main())
