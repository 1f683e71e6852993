"""What a call costs from Python: of a compiled function by itself, and with what Dynamo puts around it.

python call.py [--plain] [--device cuda]: prints microseconds per call, the best of several runs.

On a GPU it is the host's time until a call returns: so few calls a run that the GPU's queue never is full, and no graphs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import jitc
from jitc import _region, _torch
from jitc._backend import backend

DEVICE = "cpu"
QUEUE = 128  # launches that a GPU takes without making the host wait: at most 1,024


def microseconds(function: Callable[..., Any], *args: Any, calls: int = 2_000, runs: int = 9) -> float:
    """The host's time of one call, in the best of RUNS."""
    best = float("inf")
    if DEVICE != "cpu":
        calls, runs = QUEUE // max(len(args), 1) + 1, 50 * runs  # eager launches up to a kernel per argument
    function(*args)
    for _ in range(runs):
        settle()
        start = time.perf_counter()
        for _ in range(calls):
            function(*args)
        best = min(best, (time.perf_counter() - start) / calls)
    settle()
    return best * 1e6


def settle() -> None:
    """Waits until the GPU has nothing to do."""
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def total(*xs: torch.Tensor) -> torch.Tensor:
    """One small kernel over all arguments."""
    y = xs[0]
    for x in xs[1:]:
        y = y + x
    return y


def each(*xs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A result for each argument."""
    return tuple(x + 1 for x in xs)


def measure(name: str, function: Callable[..., Any], *args: torch.Tensor) -> None:
    """Prints one line."""
    inner: list[Callable[..., Any]] = []

    def keeping(module: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        inner.append(backend(module, inputs))
        return inner[-1]

    torch._dynamo.reset()
    compiled = torch.compile(function, backend=keeping)
    compiled(*args)
    program, whole, eager = microseconds(inner[0], *args), microseconds(compiled, *args), microseconds(function, *args)
    torch._dynamo.reset()
    passing = torch.compile(function, backend="eager")
    passing(*args)
    print(
        f"{name:28} {program:7.2f} us a call; with Dynamo's guards and wrapper {whole:7.2f}; "
        f"eager {eager:7.2f}, its operators under Dynamo {microseconds(passing, *args):7.2f}"
    )


class Layer(nn.Module):
    """Small layers of twelve tensors, of which ten are weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(2))
        self.up, self.gate, self.down = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two results."""
        residual = self.norms[0](x) + residual
        y = self.norms[1](residual)
        return self.down(self.up(y) * torch.relu(self.gate(y))), residual


def measure_region() -> None:
    """What jitc.compile puts around a program."""
    layer = Layer().to(DEVICE)
    args = torch.randn(2, 8, device=DEVICE), torch.randn(2, 8, device=DEVICE)
    dynamo = torch.compile(layer.forward, backend="jitc")
    dynamo(*args)
    eager = microseconds(layer, *args)
    jitc.compile(layer)
    _region._seen.calls = calls = []
    layer.forward.jitc_region.compiled(layer, *args)
    _region._seen.calls = None
    (target, _, inputs, _), *_ = calls
    for _ in range(2):
        layer(*args)
    inner, region, outer = (microseconds(*call) for call in ((target, *inputs), (layer.forward, *args), (dynamo, *args)))
    print(
        f"layer of {len(inputs)} tensors: {inner:.2f} us, by jitc.compile {region:.2f}, "
        f"by torch.compile {outer:.2f}; eager {eager:.2f}"
    )


def measure_weights() -> None:
    """What weights cost that are the same in each call."""
    names = [f"x{i}" for i in range(100)]
    sums = "".join(f'        y{i}: "f32[8]" = {"x0" if i == 1 else f"y{i - 1}"} + x{i}\n' for i in range(1, 100))
    signature = ", ".join(f'{name}: "f32[8]"' for name in names)
    text = f"class GraphModule(torch.nn.Module):\n    def forward(self, {signature}):\n{sums}        return (y99,)\n"
    context = _torch.context(torch.device(DEVICE), jitc.Options(cache_dir=""))
    xs = [torch.randn(8, device=DEVICE) for _ in names]
    plain, bound = (context.build("graph", text, weights=weights).run for weights in ([], [*range(1, 100)]))
    print(f"100 tensors, none a weight: {microseconds(plain, *xs):.2f} us; 99 of them bound: {microseconds(bound, *xs):.2f}")


def product(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """What a call of torch's own costs: one operator, one kernel."""
    return x * w


def main() -> None:
    """All lines."""
    global DEVICE
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", action="store_true", help="tensors by Python functions")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    chosen = parser.parse_args()
    DEVICE = chosen.device
    exchange = _torch.adopt(not chosen.plain)
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else "the CPU"
    print(f"torch {torch.__version__}, tensors by {'the exchange table' if exchange else 'Python functions'}, on {where}")
    xs = [torch.randn(8, device=DEVICE) for _ in range(100)]
    with torch.no_grad():
        print(f"eager x * w: {microseconds(product, *xs[:2]):.2f} us")
        measure("2 tensors, 1 result", total, *xs[:2])
        measure("20 tensors, 1 result", total, *xs[:20])
        measure("100 tensors, 1 result", total, *xs)
        measure("10 tensors, 10 results", each, *xs[:10])
        measure_weights()
        measure_region()


if __name__ == "__main__":
    main()
