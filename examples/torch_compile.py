"""A model under torch.compile with libjitc: pip install the wheel (make wheel) beside torch, then: python torch_compile.py

Prints the largest difference from eager, what torch had to run, and times.
"""

import time

import torch
from torch import nn

import jitc


class Layer(nn.Module):
    """A transformer's layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 8 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attention, then a gated MLP."""
        b, t, w = x.shape
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.qkv(self.before(x)).chunk(3, -1))
        a = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, w))
        gate, up = self.up(self.after(x)).chunk(2, -1)
        return x + self.down(nn.functional.silu(gate) * up)


def milliseconds(model: nn.Module, x: torch.Tensor) -> float:
    """The best of a few calls."""
    times = []
    for _ in range(10):
        start = time.perf_counter()
        model(x)
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def main() -> None:
    """Compiles, compares, explains."""
    torch.manual_seed(0)
    model = nn.Sequential(*(Layer(128, 4) for _ in range(4))).eval()
    x = torch.randn(1, 32, 128)
    compiled = torch.compile(model, backend="jitc")
    with torch.no_grad():
        start = time.perf_counter()
        got = compiled(x)
        first = time.perf_counter() - start
        print(f"largest difference from eager: {(got - model(x)).abs().max():.1e}")
        print(f"first call {first:.2f} s, then {milliseconds(compiled, x):.2f} ms; eager {milliseconds(model, x):.2f} ms")
    print(jitc.explain(model, x))


if __name__ == "__main__":
    main()
