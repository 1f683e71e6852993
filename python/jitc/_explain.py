"""``jitc.explain``: what of a model libjitc compiles, and what torch runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import fx

from jitc import _facts as facts
from jitc._backend import compile_with
from jitc._compile import Assembly, Compiled, Result, graph_device
from jitc._options import read
from jitc._replay import written_by

_RUNS = 5


@dataclass(frozen=True)
class Fallback:
    """An operator that torch runs."""

    op: str
    node: str
    reason: str
    where: str  # "model.py:12", or "" where Dynamo does not know
    us: float = 0.0  # microseconds that it took in a call


@dataclass
class GraphReport:
    """One of the graphs that Dynamo cut a model into."""

    operators: int
    pieces: int = 0
    kernels: int = 0
    fallbacks: list[Fallback] = field(default_factory=list)
    declined: str = ""  # why torch runs the whole graph
    us: float = 0.0  # microseconds of a call, over all that it does one by one

    @property
    def share(self) -> float:
        """The part of that which fallbacks took."""
        return sum(fallback.us for fallback in self.fallbacks) / self.us if self.us else 0.0


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

    def costs(self) -> dict[str, float]:
        """Microseconds that each operator that fell back took, the most expensive first."""
        found: dict[str, float] = {}
        for fallback in self.fallbacks:
            found[fallback.op] = found.get(fallback.op, 0.0) + fallback.us
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def __str__(self) -> str:
        lines = []
        for i, graph in enumerate(self.graphs):
            if graph.declined:
                lines.append(f"graph {i}: {graph.operators} operators, all by torch: {graph.declined}")
                continue
            lines.append(
                f"graph {i}: {graph.operators} operators, {len(graph.fallbacks)} by torch; "
                f"{graph.pieces} piece{'' if graph.pieces == 1 else 's'}, {graph.kernels} kernels; "
                f"{graph.us:.1f} us a call, {graph.share:.0%} of it by torch"
            )
            lines += [f"  {f.op:30} {f.us:9.1f} us {f.where:24} {f.reason}" for f in graph.fallbacks]
        return "\n".join(lines)


def _where(node: fx.Node) -> str:
    """The line of the model that a node comes from: the innermost that is not torch's own."""
    frames = re.findall(r'File "(.*)", line (\d+)', node.meta.get("stack_trace") or "")
    inside = str(Path(torch.__file__).parent)
    frames = [frame for frame in frames if not frame[0].startswith(inside)] or frames
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""


class _Clock(fx.Interpreter):
    """Runs what was put together for a graph, node by node, and takes the time of each."""

    def __init__(self, assembly: Assembly, device: torch.device) -> None:
        super().__init__(torch.nn.Module(), graph=assembly.graph)
        self.assembly, self.device = assembly, device
        self.us: dict[fx.Node, float] = {}

    def fetch_attr(self, target: str) -> Any:
        return getattr(self.assembly.held, target)

    def run_node(self, n: fx.Node) -> Any:
        if n.op not in ("call_function", "call_method", "call_module"):
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        self._wait()
        start = time.perf_counter()
        result = getattr(self, n.op)(n.target, args, kwargs)
        self._wait()
        took = (time.perf_counter() - start) * 1e6
        self.us[n] = min(took, self.us.get(n, took))
        return result

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _timed(result: Result, report: GraphReport) -> Compiled:
    """Calls a graph and writes into REPORT what it took: the best of some runs, or the only one where it writes arguments."""
    graph, assembly = result.plan.graph, result.assembly
    device = graph_device(graph)
    runs = 1 if any(written_by(node) for node in graph.nodes) else _RUNS

    def call(*args: Any) -> Any:
        if assembly is None:
            took = []
            for _ in range(runs):
                start = time.perf_counter()
                out = result.run(*args)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                took.append((time.perf_counter() - start) * 1e6)
            report.us = min(took)
            return out
        clock = _Clock(assembly, device)
        for _ in range(runs):
            out = clock.run(*args)
        report.us = sum(clock.us.values())
        by_node = {assembly.emitted[node].name: us for node, us in clock.us.items() if node in assembly.emitted}
        report.fallbacks = [replace(f, us=by_node.get(f.node, 0.0)) for f in report.fallbacks]
        return out

    return call


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
    """Compiles a model and runs it, without gradients: which operators of each graph torch runs, why, and what they cost.

    Times are of one operator after the other, each with all that calling it takes; on a GPU it is waited for each.

    ARGS and KWARGS are the model's; OPTIONS are those of the back end, DYNAMIC is torch.compile's.
    """
    explanation, chosen = Explanation(), read(options)

    def observe(module: fx.GraphModule, outcome: Result | str) -> None:
        explanation.graphs.append(_report(module, outcome))
        if isinstance(outcome, Result):
            outcome.call = _timed(outcome, explanation.graphs[-1])

    def collecting(module: fx.GraphModule, inputs: list[Any]) -> Compiled:
        return compile_with(module, inputs, chosen, observe)

    with torch.no_grad():
        torch.compile(model, backend=collecting, dynamic=dynamic)(*args, **kwargs)
    return explanation
