"""Attention on a GPU: ours, a kernel that torch.compile(backend="jitc") makes of it, against torch's kernels.

    python attention.py [CASE...]

A case is BATCHxHEADSxKEY_HEADSxROWSxKEYSxHEAD, with `c` behind it for causal ones; without any a table of them.  Each in a
CUDA graph, ours, FlashAttention 2 and what torch chooses in turn, medians.  Prints microseconds and ratios; exits 1 where ours
is further from the result in float32 than twice what FlashAttention is.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from functools import partial

import torch
from graphs import captured, microseconds
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

CASES = [
    "1x32x32x4096x4096x128",
    "1x32x32x4096x4096x128c",
    "1x32x8x4096x4096x128c",
    "4x16x16x4096x4096x64c",
    "2x4x2x333x333x128c",
    "1x32x8x1x4096x128",
    "16x32x8x1x4096x128",
    "1x32x8x1x32768x128",
]
REPEAT, CALLS = 15, 10
Call = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def calls(causal: bool, groups: bool) -> tuple[Call, Call, Call]:
    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=groups)

    def flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
            return attention(q, k, v)

    return torch.compile(attention, backend="jitc", dynamic=False, options={"attention": "jitc"}), flash, attention


def main() -> int:
    failed = 0
    torch._dynamo.config.recompile_limit = 1000
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"{'case':>24} {'jitc':>9} {'flash':>9} {'torch':>9} {'flash/jitc':>10}")
    for case in sys.argv[1:] or CASES:
        batch, heads, key_heads, rows, keys, head = map(int, case.rstrip("c").split("x"))
        torch.manual_seed(0)
        sizes = (heads, rows), (key_heads, keys), (key_heads, keys)
        qkv = [torch.randn(batch, h, n, head, device="cuda", dtype=torch.bfloat16) for h, n in sizes]
        groups = heads != key_heads
        ours, flash, default = calls(case.endswith("c"), groups)
        want = default(*(x.float() for x in qkv))
        errors = [((y.float() - want).norm() / want.norm()).item() for y in (ours(*qkv), flash(*qkv))]
        graphs = [captured([partial(call, *qkv)] * CALLS) for call in (ours, flash, default)]
        times = [[microseconds(g) / CALLS for g in graphs] for _ in range(REPEAT)]
        a, b, c = (statistics.median(t) for t in zip(*times, strict=True))
        wrong = not errors[0] < 2 * errors[1]
        print(f"{case:>24} {a:9.2f} {b:9.2f} {c:9.2f} {b / a:10.2f}{f' WRONG: {errors[0]:.1e}' if wrong else ''}", flush=True)
        failed |= wrong
    return int(failed)


if __name__ == "__main__":
    with torch.no_grad():
        raise SystemExit(main())
