#!/usr/bin/env python3
"""The Llama-70B middle piece on a GPU: jitc against PyTorch, numbers and times.

    gpu_llama.py --jitc build/jitc --graph llama_block/piece.py [--tokens 1,16,64,256,2048] [--repeat 50]

Needs PyTorch with CUDA.  For each number of tokens: random inputs, PyTorch's eager results in the graph's own dtypes and in
float32, then `jitc run` on the same inputs.  Prints a table: relative L2 distance of each output to float32 (jitc's
and PyTorch's) and the time of the whole piece (median; PyTorch eager, PyTorch under torch.compile where --compile, jitc).
Exits 1 when an output of jitc is further from float32 than 1.5 times PyTorch's distance, or than 1e-2 from PyTorch's.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
import os

import torch
from safetensors.torch import load_file, save_file

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32, "i64": torch.int64, "i32": torch.int32}


def params(text):
    """Name, annotation of each parameter of the root's forward."""
    signature = re.search(r"def forward\(self, (.*)\):", text).group(1)
    return re.findall(r'(\w+): "([^"]*)"', signature)


def make_inputs(text, tokens):
    torch.manual_seed(tokens)
    inputs, args = {}, []
    for name, annotation in params(text):
        if annotation.startswith("Sym("):
            args.append((name, tokens))
            continue
        dtype, dims = re.match(r"(\w+)\[(.*)\]", annotation).groups()
        shape = [tokens if not d.strip().isdigit() else int(d) for d in dims.split(",") if d.strip()]
        if dtype.startswith("i"):
            t = torch.arange(tokens, device="cuda").to(DTYPES[dtype])
        elif len(shape) == 1:
            t = 1 + 0.1 * torch.randn(shape, device="cuda")
        elif "cos_sin" in name:
            angle = torch.rand(shape[0], shape[1] // 2, device="cuda") * 6.28
            t = torch.cat((angle.cos(), angle.sin()), dim=-1)
        elif "weight" in name:
            t = torch.randn(shape, device="cuda") * shape[-1] ** -0.5
        else:
            t = torch.randn(shape, device="cuda")
        if not dtype.startswith("i"):
            t = t.to(DTYPES[dtype])
        inputs[name] = t
        args.append((name, t))
    return inputs, args


def module(text):
    space = {"torch": torch, "device": torch.device}
    exec(text, space)
    return space["GraphModule"]()


def run_torch(text, args, wide):
    """The graph's outputs; WIDE: every float in float32, no rounding at casts."""
    if wide:
        text = text.replace("torch.bfloat16", "torch.float32").replace("torch.float16", "torch.float32")
        args = [(n, a.float() if torch.is_tensor(a) and a.is_floating_point() else a) for n, a in args]
    with torch.no_grad():
        return module(text)(**dict(args))


def time_torch(f, repeat):
    for _ in range(5):
        f()
    times = []
    for _ in range(repeat):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        f()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b) * 1000)
    return sorted(times)[len(times) // 2]


def distance(a, b):
    a, b = a.double(), b.double()
    return float((a - b).norm() / b.norm().clamp_min(1e-300))


def find(tree, key):
    """The first value under KEY anywhere in a JSON tree."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        tree = list(tree.values())
    if isinstance(tree, list):
        for t in tree:
            x = find(t, key)
            if x == x:
                return x
    return float("nan")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--jitc", required=True)
    p.add_argument("--graph", required=True)
    p.add_argument("--tokens", default="1,16,64,256,2048")
    p.add_argument("--repeat", type=int, default=50)
    p.add_argument("--compile", action="store_true", help="time torch.compile too")
    p.add_argument("--scratch", default="/dev/shm")
    o = p.parse_args()
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    text = open(o.graph).read()
    failed = False
    print(f"device {torch.cuda.get_device_name()}, torch {torch.__version__}")
    print("| T | eager us | compiled us | jitc us | out | jitc-f32 | torch-f32 | jitc-torch |")
    print("|---|---|---|---|---|---|---|---|")
    for tokens in map(int, o.tokens.split(",")):
        inputs, args = make_inputs(text, tokens)
        narrow, wide = run_torch(text, args, False), run_torch(text, args, True)
        m = module(text)
        with torch.no_grad():
            eager = time_torch(lambda: m(**dict(args)), o.repeat)
            fast = float("nan")
            if o.compile:
                c = torch.compile(m, dynamic=False)
                fast = time_torch(lambda: c(**dict(args)), o.repeat)
        with tempfile.TemporaryDirectory(dir=o.scratch) as d:
            save_file({k: v.contiguous() for k, v in inputs.items()}, f"{d}/in.safetensors")
            done = subprocess.run([o.jitc, "run", o.graph, "--device", "cuda:0", "--inputs", f"{d}/in.safetensors",
                                   "--outputs", f"{d}/out.safetensors", "--repeat", str(o.repeat), "--json"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                sys.stdout.write(done.stdout[-2000:])
                sys.exit(f"jitc failed with {done.returncode}: {done.stderr[-2000:]}")
            report = json.loads(done.stdout)
            outputs = load_file(f"{d}/out.safetensors")
        us = find(report, "median_us")
        for i, (n, w) in enumerate(zip(narrow, wide)):
            got = outputs.get(f"out{i}")
            if got is None:
                continue
            ours, theirs, between = distance(got.cuda(), w), distance(n, w), distance(got.cuda(), n)
            bad = ours > max(1.5 * theirs, 1e-4) or between > 1e-2
            failed |= bad
            head = f"| {tokens} | {eager:.1f} | {fast:.1f} | {us:.1f} " if i == 0 else "| | | | "
            print(f"{head}| out{i} | {ours:.2e} | {theirs:.2e} | {between:.2e} |{' TOO FAR' if bad else ''}", flush=True)
        del inputs, args, narrow, wide
        torch.cuda.empty_cache()
    sys.exit(failed)


if __name__ == "__main__":
    main()
