"""A model ahead of time: pip install the wheel (make wheel) beside torch, then: python torch_export.py

Exports a small model into model.jitc, loads it, and compares with eager at several lengths.
"""

import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Exports, loads, compares."""
    torch.manual_seed(0)
    model = nn.Sequential(*(Layer(256, 4) for _ in range(2))).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.jitc"
        jitc.export(model, (torch.randn(1, 24, 256),), path, ({1: torch.export.Dim.DYNAMIC},), targets=["host", "sm_90a"])
        start = time.perf_counter()
        loaded = jitc.load(path)
        print(f"{path.stat().st_size / 2**20:.1f} MiB, loaded in {1000 * (time.perf_counter() - start):.1f} ms: {loaded}")
        for length in (24, 7, 100):
            x = torch.randn(1, length, 256)
            with torch.no_grad():
                print(f"length {length}: largest difference from eager {(loaded(x) - model(x)).abs().max().item():.1e}")


if __name__ == "__main__":
    main()
