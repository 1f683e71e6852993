"""Products on this GPU, jitc against torch.nn.functional.linear: bf16, weights read from memory.

    python products.py [--rows 1,256,2048] [NxK...]

ROWS: how many tokens, default one.  Some 400 MB of weights in turn in a CUDA graph, both in turn, medians in µs.  Exits 1 where one is wrong, or
slower than torch.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import torch
from graphs import captured, microseconds
from torch.nn import functional

SHAPES = [
    "1024x4096",
    "4096x4096",
    "14336x4096",
    "4096x14336",
    "28672x4096",
    "128256x4096",
    "8192x8192",
    "57344x8192",
    "8192x28672",
]
REPEAT = 25


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--rows", default="1")
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    options = parser.parse_args()
    failed = 0
    torch._dynamo.config.recompile_limit = 1000
    product = torch.compile(lambda x, w: functional.linear(x, w), backend="jitc", dynamic=False)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"{'M':>6} {'N x K':>14} {'torch':>9} {'jitc':>9} {'ratio':>6} {'TFLOP/s':>7}")
    for m in map(int, options.rows.split(",")):
        for shape in options.shapes:
            n, k = map(int, shape.split("x"))
            weights = [
                torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
                for _ in range(max(2, 400_000_000 // (n * k * 2) + 1))
            ]
            x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
            want = (x.float() @ weights[0].float().t()).double()
            error = ((product(x, weights[0]).double() - want).norm() / want.norm()).item()
            graphs = [captured([partial(call, x, w) for w in weights]) for call in (functional.linear, product)]
            times = [[microseconds(g) / len(weights) for g in graphs] for _ in range(REPEAT)]
            theirs, ours = (statistics.median(t) for t in zip(*times, strict=True))
            rate = 2e-6 * m * n * k / ours
            wrong = "" if error < 5e-3 else f" WRONG: {error:.1e}"
            print(f"{m:6} {shape:>14} {theirs:9.2f} {ours:9.2f} {theirs / ours:6.2f} {rate:7.1f}{wrong}", flush=True)
            failed |= not error < 5e-3 or ours > theirs
            del weights, graphs
    return failed


if __name__ == "__main__":
    with torch.no_grad():
        raise SystemExit(main())
