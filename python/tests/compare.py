"""Running something compiled and in eager, and comparing all that can be seen of it.

Not values alone: dtypes, shapes, strides, which results share memory with which arguments and with one another, what
became of the arguments, and the object itself where eager hands an argument back.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from jitc._backend import compile_with
from jitc._compile import Result
from jitc._options import read

TOLERANCE = {torch.float16: 4e-3, torch.bfloat16: 4e-2, torch.float64: 1e-10}


class Compiled:
    """A function or module compiled by jitc; knows the graphs that it was cut into."""

    def __init__(self, model: Callable[..., Any], dynamic: bool | None = None, fullgraph: bool = False, **options: Any) -> None:
        self.outcomes: list[Result | str] = []
        self.call = torch.compile(model, backend=self._backend, dynamic=dynamic, fullgraph=fullgraph)
        self.options = read(options)

    def _backend(self, module: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        return compile_with(module, inputs, self.options, lambda _, outcome: self.outcomes.append(outcome))

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)

    @property
    def results(self) -> list[Result]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Result)]

    @property
    def programs(self) -> list[Any]:
        return [program for result in self.results for program in result.programs.values()]

    @property
    def refused(self) -> list[str]:
        """Names of the nodes that torch runs."""
        return [node.name for result in self.results for node, _ in result.plan.reasons()]

    def calls(self) -> int:
        return sum(program.stats["calls"] for program in self.programs)

    def unfit(self) -> int:
        """Calls whose arguments did not fit."""
        return sum(program.stats["fallbacks"] for program in self.programs)


def leaves(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        item = list(item.values())
    if isinstance(item, (tuple, list)):
        for part in item:
            yield from leaves(part)
    else:
        yield item


def same(got: Any, want: Any, what: str) -> None:
    """Two values are alike in everything but memory."""
    assert type(got) is type(want), f"{what}: {type(got)} for {type(want)}"
    if not isinstance(want, torch.Tensor):
        assert got == want, what
        return
    assert got.dtype == want.dtype and got.shape == want.shape and got.device == want.device, what
    if want.numel():
        long = [d for d in range(want.dim()) if want.shape[d] > 1]
        strides = [got.stride(d) for d in long], [want.stride(d) for d in long]
        assert strides[0] == strides[1], f"{what}: strides {got.stride()} for {want.stride()}"
    tolerance = TOLERANCE.get(want.dtype, 2e-5)
    if not want.dtype.is_floating_point:
        assert torch.equal(got, want), what
        return
    torch.testing.assert_close(
        got.float(), want.float(), rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m: f"{what}: {m}"
    )


def _shared(args: Any, results: list[Any]) -> tuple[list[tuple[int, int]], list[bool]]:
    """Pairs of tensors among arguments and results that share memory; which results are arguments."""
    tensors = [item for item in [*leaves(args), *results] if isinstance(item, torch.Tensor)]
    pairs = itertools.combinations(range(len(tensors)), 2)
    meet = [(i, j) for i, j in pairs if spans_meet(tensors[i], tensors[j])]
    return meet, [isinstance(r, torch.Tensor) and any(r is arg for arg in leaves(args)) for r in results]


def _span(t: torch.Tensor) -> tuple[int, int]:
    if t.numel() == 0:
        return (0, 0)
    reach = sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
    return t.data_ptr(), t.data_ptr() + (reach + 1) * t.element_size()


def spans_meet(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether the memory from first to last element of two tensors overlaps."""
    (x, y), (u, v) = _span(a), _span(b)
    return x < v and u < y


def check(
    model: Callable[..., Any], *args: Any, dynamic: bool | None = None, times: int = 1, aliases: bool = True, **options: Any
) -> Compiled:
    """Compiles MODEL and compares TIMES calls with eager's, on arguments of their own; answers the compiled one."""
    eager = copy.deepcopy(model) if isinstance(model, torch.nn.Module) else model
    compiled = Compiled(model, dynamic=dynamic, **options)
    again(compiled, eager, *args, times=times, aliases=aliases)
    if isinstance(model, torch.nn.Module):
        for (name, got), want in zip(model.state_dict().items(), eager.state_dict().values(), strict=True):
            same(got, want, name)
    return compiled


def again(compiled: Compiled, eager: Callable[..., Any], *args: Any, times: int = 1, aliases: bool = True) -> None:
    """Compares further calls."""
    for _ in range(times):
        # deepcopy of all at once keeps what shares memory sharing it.
        ours, theirs = copy.deepcopy(args), copy.deepcopy(args)
        got, want = compiled(*ours), eager(*theirs)
        all_got, all_want = [*leaves(got)], [*leaves(want)]
        assert len(all_got) == len(all_want)
        for i, (a, b) in enumerate(zip(all_got, all_want, strict=True)):
            same(a, b, f"result {i}")
        for i, (a, b) in enumerate(zip(leaves(ours), leaves(theirs), strict=True)):
            same(a, b, f"argument {i} afterwards")
        if aliases:
            ours_shared, theirs_shared = (_shared(*pair) for pair in ((ours, all_got), (theirs, all_want)))
            assert ours_shared == theirs_shared, "what shares memory, and which results are arguments"
