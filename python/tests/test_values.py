"""What everyday functions compute."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from compare import Compiled, again, check
from torch import nn


@pytest.fixture(autouse=True)
def inference():
    with torch.no_grad():
        yield


class Block(nn.Module):
    """Normalisation, attention's projections, gated MLP: what a layer has but attention itself."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.gate, self.down = nn.Linear(width, 64), nn.Linear(width, 64), nn.Linear(64, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, w = x.shape
        q, k, v = (p.view(b, t, self.heads, -1).transpose(1, 2) for p in self.qkv(self.norm(x)).chunk(3, -1))
        a = torch.softmax(q @ k.transpose(-1, -2) * (w // self.heads) ** -0.5, -1) @ v
        x = x + self.out(a.transpose(1, 2).reshape(b, t, w))
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


def test_pointwise():
    done = check(lambda x, y: torch.tanh(x) * y + 1, torch.randn(3, 5), torch.randn(5), times=2)
    assert done.calls() == 2 and not done.refused


def test_layer():
    done = check(Block(), torch.randn(2, 7, 32), times=2)
    assert len(done.programs) == 1 and not done.refused


def test_the_direct_way():
    """A graph that is one piece is called without Python between: the compiled function is the program's own."""
    done = check(lambda x, w: (x @ w, x + 1), torch.randn(4, 8), torch.randn(8, 3))
    assert done.results[0].call.__self__ is done.programs[0]


def test_several_results_of_several_dtypes():
    check(lambda x: (x > 0, x.to(torch.bfloat16), x.long(), x.double() * 2, x.sum()), torch.randn(4, 6) * 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes(dtype):
    check(lambda x, w: F.gelu(x @ w) + x.mean(-1, keepdim=True), torch.randn(6, 8, dtype=dtype), torch.randn(8, 8, dtype=dtype))


@pytest.mark.parametrize("mode", ["fused", "strict"])
def test_modes(mode):
    done = check(Block().bfloat16(), torch.randn(1, 5, 32, dtype=torch.bfloat16), mode=mode)
    assert done.calls() == 1


def test_strict_rounds_as_eager_does():
    def f(x, y):
        return ((x * 1.1 - y) * 1.7 + x) * 3.1 * y

    x, y = torch.randn(2, 4096, dtype=torch.bfloat16).unbind(0)
    assert torch.equal(Compiled(f, mode="strict")(x, y), f(x, y))


def test_nothing_to_compute():
    assert not check(lambda x: x, torch.randn(3)).programs


def test_empty_tensors():
    check(lambda x, y: (x + 1, torch.cat([x, y]), x.sum(0)), torch.randn(0, 4), torch.randn(2, 4))


def test_scalar_tensors():
    check(lambda x, s: (x * s, s + 1, s), torch.randn(3), torch.tensor(2.5))


def test_buffers_and_parameters():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU()).eval()
    check(model, torch.randn(5, 4))


def test_constants():
    """Tensors that are neither arguments nor parameters: globals and literals."""
    table = torch.arange(12.0).view(3, 4)
    check(lambda x: x + table[1] + torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.randn(2, 4), times=2)


def test_kept_results_stay():
    """A result is the caller's: the next call does not write into it."""
    done = Compiled(lambda x: x * 2)
    first = done(torch.ones(8))
    done(torch.full((8,), 5.0))
    assert torch.equal(first, torch.full((8,), 2.0))


def test_containers_and_none():
    check(lambda d: {"a": d["x"] + 1, "b": [d["y"] * 2, None, 3, "text"]}, {"x": torch.randn(2), "y": torch.randn(3)})


def test_several_models_at_once():
    small, large = Block(16, 2), Block(32, 4)
    a, b = check(small, torch.randn(1, 4, 16)), check(large, torch.randn(1, 4, 32))
    again(a, small, torch.randn(1, 4, 16))
    again(b, large, torch.randn(1, 4, 32))


def test_equal_layers_are_compiled_once():
    """Equal computations in different models are one class: the others are hits."""
    x = torch.randn(1, 6, 32)
    done = [check(nn.Sequential(Block()), x) for _ in range(3)]
    assert sum(program.stats["compiled"] for one in done for program in one.programs) <= 1
    assert sum(program.stats["hits"] for one in done for program in one.programs) >= 2


def test_names_that_libjitc_reads():
    def f(x, y):
        a, b = torch.split(x, [1, 3], dim=-1)
        return a + 1, b * 2, x.__eq__(y), x.__gt__(0)

    assert not check(f, torch.randn(2, 4), torch.randn(2, 4)).refused


def test_cache_that_starts_empty():
    """What transformers' caches do at first: cat of a tensor of shape (0,) with one of other dims."""

    def f(x):
        return torch.cat([torch.tensor([], dtype=x.dtype), x * 2], dim=-2)

    done = check(f, torch.randn(2, 3, 4))
    assert len(done.programs) == 1 and not done.refused


def test_literals_that_are_written_are_made_anew():
    def f(x):
        y = torch.tensor([1.0, 2.0, 3.0])
        z = torch.tensor([0.5, 0.5, 0.5])
        y.add_(x)
        return y * z, torch.tensor([7.0]), torch.tensor(5)

    done = check(f, torch.randn(3), times=3)
    assert done.refused == []
