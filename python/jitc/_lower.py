"""A piece as text for libjitc, and as a graph that torch can run in its place."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import sympy
import torch
from torch import fx

from jitc import _facts as facts
from jitc._partition import Piece, Plan

_LARGEST = 2**31 - 1


@dataclass
class Lowered:
    """What libjitc builds from."""

    graph: fx.Graph
    text: str
    nodes: dict[str, fx.Node]  # by the names that the text has
    ranges: list[tuple[str, int, int]]
    weights: list[int]  # the parameters, by number, that are the same tensors in every call


def order_of(node: fx.Node) -> tuple[int, ...] | None:
    """The order of dims in which a result lies in memory, where that is not row-major."""
    val = facts.value(node)
    if not isinstance(val, torch.Tensor):
        return None
    order = facts.memory_order(val)
    return None if order is None or order == tuple(range(val.dim())) else order


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ORDER."""
    return tuple(order.index(d) for d in range(len(order)))


def _ranges(nodes: list[fx.Node]) -> list[tuple[str, int, int]]:
    """The values that each symbol among NODES can have, as Dynamo knows them."""
    found: dict[str, tuple[int, int]] = {}
    for node in nodes:
        for leaf in facts.leaves(facts.value(node)):
            for number in facts.numbers(leaf):
                if isinstance(number, torch.SymInt):
                    env = number.node.shape_env
                    for symbol in facts.expression(number).free_symbols:
                        bounds = env.var_to_range.get(symbol)
                        if bounds is not None:
                            found[str(symbol)] = (_bounded(bounds.lower, 0), _bounded(bounds.upper, _LARGEST))
    return [(name, lo, hi) for name, (lo, hi) in sorted(found.items())]


def _bounded(bound: sympy.Expr, otherwise: int) -> int:
    return min(max(int(bound), 0), _LARGEST) if bound.is_Integer else otherwise


def _placeholders(plan: Plan, piece: Piece) -> list[fx.Node]:
    """The piece's inputs, and the graph's parameters that tell its symbols."""
    wanted = set().union(*(facts.symbols(node) for node in [*piece.inputs, *piece.nodes]))
    tellers = [
        node for node in plan.symbol_parameters if node not in piece.inputs and facts.expression(facts.value(node)) in wanted
    ]
    return sorted([*piece.inputs, *tellers], key=plan.order.__getitem__)


def lower(plan: Plan, piece: Piece, ranges: Mapping[str, tuple[int, int]] | None = None) -> Lowered:
    """Writes a piece out.  Its inputs become those that the text has, symbols included.

    RANGES, of symbols by name, go before what Dynamo knows of them.
    """
    piece.inputs = _placeholders(plan, piece)
    graph = fx.Graph()
    env: dict[fx.Node, fx.Node] = {}
    for node in piece.inputs:
        env[node] = graph.placeholder(node.name)
        env[node].meta = {"val": facts.value(node)}
    for node in piece.nodes:
        for arg in node.all_input_nodes:
            plan.emit(arg, graph, env)
        env[node] = graph.node_copy(node, env.__getitem__)
    outputs = []
    for node in piece.results:
        order = order_of(node)
        result = env[node]
        if order is not None:  # as it lies in memory: row-major for libjitc, turned back outside
            result = graph.call_method("contiguous", (graph.call_method("permute", (result, *order)),))
        outputs.append(result)
    graph.output(tuple(outputs))
    names = {new.name: node for node, new in env.items()}
    for new in graph.nodes:
        new.meta = {"val": new.meta["val"] if "val" in new.meta else new.meta.get("example_value")}
    weights = [i for i, node in enumerate(piece.inputs) if facts.is_weight(node)]
    known = _ranges([*piece.inputs, *piece.nodes])
    told = [(name, *(ranges or {}).get(name, (lo, hi))) for name, lo, hi in known]
    return Lowered(graph, _text(graph), names, told, weights)


def _text(graph: fx.Graph) -> str:
    """What print_readable() would print of a module with this graph, without making the module."""
    code = graph.python_code("self", verbose=True, include_stride=True)
    return "class GraphModule(torch.nn.Module):\n" + textwrap.indent(code.src.lstrip("\n"), "    ")
