"""Products on this CPU, jitc against eager PyTorch: one thread each, microseconds of CPU time.

    python host_products.py [--dtype f32,bf16] [--rows 1,32] [--sizes 1024x4096,...] [--heads 16x512x64,...] [--assert RATIO]

Weights stored [N, K] (linear) and [K, N] (matmul), and batched a @ v and q @ k of attention.  Both in turn, the least of all
rounds: others use the machine too.  Exits 1 where one is wrong, torch takes less than RATIO of our time, or a weight
stored [K, N] takes more than 1.3 times as long as one stored [N, K]; what seems so is measured three times as long.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

import jitc

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "f64": torch.float64}
SIZES = "1024x1024,1024x4096,1024x14336,4096x1024,4096x4096,4096x14336"
HEADS = "16x1x64,16x32x64,16x512x64,16x1x128,16x32x128,16x512x128"
CONTEXT = 512
LAYOUTS = 1.3

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def linear(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, w)


def matmul(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return x @ w


def transposed(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return q @ k.transpose(-1, -2)


def least(call: Product, x: torch.Tensor, w: torch.Tensor, budget: float) -> float:
    """The least microseconds of CPU of a call; short ones several at a time."""
    best, spent, several = float("inf"), 0.0, 1
    while spent < budget or best == float("inf"):
        start = time.thread_time()
        for _ in range(several):
            call(x, w)
        taken = time.thread_time() - start
        best, spent = min(best, taken / several), spent + taken
        several = min(100, max(1, int(2e-3 / max(best, 1e-7))))
    return best * 1e6


def cases(rows: list[int], sizes: str, heads: str) -> Iterator[tuple[str, str, Product, tuple[int, ...], tuple[int, ...]]]:
    """Name, layout, what is called, and the shapes of both operands."""
    for m in rows:
        for n, k in (map(int, s.split("x")) for s in sizes.split(",") if s):
            yield f"{m} x {n} x {k}", "[N,K]", linear, (m, k), (n, k)
            yield f"{m} x {n} x {k}", "[K,N]", matmul, (m, k), (k, n)
    for h, m, d in (map(int, s.split("x")) for s in heads.split(",") if s):
        yield f"{h} heads: {m} x {d} x {CONTEXT}", "a @ v", matmul, (h, m, CONTEXT), (h, CONTEXT, d)
        yield f"{h} heads: {m} x {CONTEXT} x {d}", "q @ k", transposed, (h, m, d), (h, CONTEXT, d)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dtype", default="f32,bf16")
    parser.add_argument("--rows", default="1,32,512")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--heads", default=HEADS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--assert", "--least", dest="least", type=float, default=0.0)
    options = parser.parse_args()
    rows = [int(m) for m in options.rows.split(",") if m]
    torch.set_num_threads(1)
    torch._dynamo.config.recompile_limit = 1000
    failed, before = 0, 0.0
    print(f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}")
    print(f"{'':43} {'torch':>10} {'jitc':>10} {'ratio':>6} {'GFLOP/s':>7}")
    for dtype in options.dtype.split(","):
        for name, layout, call, a, b in cases(rows, options.sizes, options.heads):
            x, w = torch.randn(a).to(TYPES[dtype]), torch.randn(b).to(TYPES[dtype])
            product = torch.compile(call, backend="jitc", dynamic=False, options={"threads": 1})
            with torch.no_grad():
                if jitc.explain(call, x, w).fallbacks:
                    raise RuntimeError(f"{dtype} {name} {layout} is not compiled")
                want, got = call(x.double(), w.double()), product(x, w).double()
                wrong = float((got - want).norm() / want.norm()) > (1e-5 if dtype in ("f32", "f64") else 1e-2)
                torchs = ours = float("inf")
                slow = cliff = False
                for done in range(3 * options.rounds):
                    if done >= options.rounds and not slow and not cliff:
                        break
                    torchs = min(torchs, least(call, x, w, 0.05))
                    ours = min(ours, least(product, x, w, 0.05))
                    slow = torchs < options.least * ours
                    cliff = layout == "[K,N]" and ours > LAYOUTS * before
            before = ours
            failed += wrong + slow + cliff
            remark = " WRONG" * wrong + " SLOW" * slow + " LAYOUT" * cliff
            gflops = 2e-3 * want.numel() * a[-1] / ours
            print(
                f"{dtype:>5} {name:>30} {layout} {torchs:10.1f} {ours:10.1f} {torchs / ours:6.2f} {gflops:7.1f}{remark}",
                flush=True,
            )
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
