"""``jitc.explain``: what of a model libjitc compiles, and what torch runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import fx

from jitc import _facts as facts
from jitc._backend import compile_with
from jitc._compile import Compiled, Result
from jitc._options import read


@dataclass(frozen=True)
class Fallback:
    """An operator that torch runs."""

    op: str
    node: str
    reason: str
    where: str  # "model.py:12", or "" where Dynamo does not know


@dataclass
class GraphReport:
    """One of the graphs that Dynamo cut a model into."""

    operators: int
    pieces: int = 0
    kernels: int = 0
    fallbacks: list[Fallback] = field(default_factory=list)
    declined: str = ""  # why torch runs the whole graph


@dataclass
class Explanation:
    """What explain() found out."""

    graphs: list[GraphReport] = field(default_factory=list)

    @property
    def fallbacks(self) -> list[Fallback]:
        """Of all graphs."""
        return [fallback for graph in self.graphs for fallback in graph.fallbacks]

    def counts(self) -> dict[str, int]:
        """How often each operator fell back, the most frequent first."""
        found: dict[str, int] = {}
        for fallback in self.fallbacks:
            found[fallback.op] = found.get(fallback.op, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def __str__(self) -> str:
        lines = []
        for i, graph in enumerate(self.graphs):
            if graph.declined:
                lines.append(f"graph {i}: {graph.operators} operators, all by torch: {graph.declined}")
                continue
            lines.append(
                f"graph {i}: {graph.operators} operators, {len(graph.fallbacks)} by torch; "
                f"{graph.pieces} piece{'' if graph.pieces == 1 else 's'}, {graph.kernels} kernels"
            )
            lines += [f"  {f.op:30} {f.where:24} {f.reason}" for f in graph.fallbacks]
        return "\n".join(lines)


def _where(node: fx.Node) -> str:
    """The line of the model that a node comes from: the innermost that is not torch's own."""
    frames = re.findall(r'File "(.*)", line (\d+)', node.meta.get("stack_trace") or "")
    inside = str(Path(torch.__file__).parent)
    frames = [frame for frame in frames if not frame[0].startswith(inside)] or frames
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""


def _report(module: fx.GraphModule, outcome: Result | str) -> GraphReport:
    operators = sum(node.op in ("call_function", "call_method", "call_module") for node in module.graph.nodes)
    if isinstance(outcome, str):
        return GraphReport(operators, declined=outcome)
    return GraphReport(
        operators,
        pieces=len(outcome.programs),
        kernels=sum(program.stats["kernels"] for program in outcome.programs.values()),
        fallbacks=[Fallback(facts.title_of(node), node.name, reason, _where(node)) for node, reason in outcome.plan.reasons()],
    )


def explain(
    model: Callable[..., Any], *args: Any, options: Mapping[str, Any] | None = None, dynamic: bool | None = None, **kwargs: Any
) -> Explanation:
    """Compiles a model and runs it once, without gradients: says of each graph which operators torch runs, and why.

    ARGS and KWARGS are the model's; OPTIONS are those of the back end, DYNAMIC is torch.compile's.
    """
    explanation, chosen = Explanation(), read(options)

    def observe(module: fx.GraphModule, outcome: Result | str) -> None:
        explanation.graphs.append(_report(module, outcome))

    def collecting(module: fx.GraphModule, inputs: list[Any]) -> Compiled:
        return compile_with(module, inputs, chosen, observe)

    with torch.no_grad():
        torch.compile(model, backend=collecting, dynamic=dynamic)(*args, **kwargs)
    return explanation
