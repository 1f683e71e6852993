"""Graphs put the way libjitc reads them, computing the same.

Each rule is a function of a graph and a node; ``normalise`` applies all.  Only what changes nothing belongs here: a rule
that would have to judge what is worth it belongs to the partition.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import sympy
import torch
from torch import fx

from jitc import _facts as facts

# ---- names -----------------------------------------------------------------------------------------------------------

_METHODS: dict[str, Callable[..., Any]] = {
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__add__": operator.add,
    "__sub__": operator.sub,
    "__mul__": operator.mul,
    "__truediv__": operator.truediv,
    "__and__": operator.and_,
    "__or__": operator.or_,
    "__invert__": operator.invert,
    "__neg__": operator.neg,
    "__getitem__": operator.getitem,
}


def _names(graph: fx.Graph, node: fx.Node) -> None:
    """Operators by their usual names."""
    if node.op == "call_method" and str(node.target) in _METHODS:
        node.op, node.target = "call_function", _METHODS[str(node.target)]
    elif node.target is torch.functional.split:
        node.op, node.target = "call_method", "split"


def _nothing(graph: fx.Graph, node: fx.Node) -> None:
    """What does nothing goes."""
    if node.target is torch._C._log_api_usage_once and not node.users:
        graph.erase_node(node)


# ---- floats ----------------------------------------------------------------------------------------------------------
#
# With dynamic shapes, Dynamo makes a model's floats (a scale, an epsilon) inputs of the graph: an `f64[]` tensor and its
# `.item()`.  Where it found out since that a float never changes it says so, and the float is a literal.  Where it may
# change, arithmetic takes the tensor itself: a tensor without dims is promoted as a number is, and no build depends on
# its value.  That tensor lies on the CPU; arithmetic on a GPU gets one there, which torch fills in each call: a small
# kernel, where the arithmetic itself would be torch's otherwise, and the graph cut at it.

_ARITHMETIC = {
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
    "add",
    "sub",
    "mul",
    "div",
}


def _literal(node: fx.Node) -> float | None:
    """The float that a node always is."""
    val = facts.value(node)
    if node.op not in ("call_function", "call_method") or not isinstance(val, torch.SymFloat):
        return None
    expr = val.node.expr
    return float(expr) if isinstance(expr, (sympy.Float, sympy.Integer)) else None


def _partner(user: fx.Node, number: fx.Node) -> torch.Tensor | None:
    """The operand beside a number, if a node may have a tensor for the number: the operand decides the dtype."""
    if user.target not in _ARITHMETIC or len(user.args) != 2 or user.kwargs:
        return None
    others = [arg for arg in user.args if arg is not number]
    other = facts.value(others[0]) if len(others) == 1 and isinstance(others[0], fx.Node) else None
    fits = isinstance(other, torch.Tensor) and other.is_floating_point() and other.dim() > 0
    return other if fits else None


def _tensor_of(graph: fx.Graph, item: fx.Node, partner: torch.Tensor) -> fx.Node:
    """The tensor that ITEM is the value of, on PARTNER's device."""
    source = item.args[0]
    assert isinstance(source, fx.Node)
    if facts.value(source).device == partner.device:
        return source
    for user in item.users:
        if user.target is torch.full and facts.value(user).device == partner.device:
            return user
    with graph.inserting_after(item):
        there = graph.call_function(torch.full, ((), item), {"dtype": torch.float64, "device": partner.device})
    there.meta = {"example_value": partner.new_empty((), dtype=torch.float64)}
    return there


def _write(user: fx.Node, number: fx.Node, literal: float) -> None:
    """Puts a literal where a node takes the number."""

    def chosen(arg: fx.Node) -> fx.Node | float:
        return literal if arg is number else arg

    user.args = fx.map_arg(user.args, chosen)
    user.kwargs = fx.map_arg(user.kwargs, chosen)


def _floats(graph: fx.Graph, node: fx.Node) -> None:
    """Floats as literals, or as the tensors that they are items of."""
    literal = _literal(node)
    item = node.op == "call_method" and node.target == "item" and isinstance(facts.value(node), torch.SymFloat)
    for user in list(node.users) if literal is not None or item else ():
        if literal is not None:
            _write(user, node, literal)
        elif isinstance(node.args[0], fx.Node) and (partner := _partner(user, node)) is not None:
            user.replace_input_with(node, _tensor_of(graph, node, partner))
    if item and not node.users:
        graph.erase_node(node)


# ---- tensors made of literals ----------------------------------------------------------------------------------------


def _empty_parts(graph: fx.Graph, node: fx.Node) -> None:
    """cat() passes over tensors of shape (0,), whatever the others' dims: a cache's first step has one."""
    if node.target is not torch.cat or not node.args or not isinstance(node.args[0], (list, tuple)):
        return
    parts = [part for part in node.args[0] if isinstance(part, fx.Node)]
    values = [facts.value(part) for part in parts]
    result = facts.value(node)
    if len(parts) != len(node.args[0]) or not all(isinstance(val, torch.Tensor) for val in values):
        return
    kept = [
        part for part, val in zip(parts, values, strict=True) if not (val.dim() == 1 and facts.expression(val.shape[0]) == 0)
    ]
    dtypes = {facts.value(part).dtype for part in kept}
    if kept and len(kept) < len(parts) and facts.value(kept[0]).dim() > 1 and dtypes == {result.dtype}:
        node.args = (kept, *node.args[1:])


def _constants(graph: fx.Graph, node: fx.Node) -> None:
    """torch.tensor() of literals is made once, where nobody can write it or have it."""
    if node.target is not torch.tensor:
        return
    if not node.users:
        graph.erase_node(node)
        return
    module = graph.owning_module
    own = {facts.storage(tensor) for tensor in facts.tensors(node)}
    if module is None or node.all_input_nodes or any(_keeps(other, own) for other in graph.nodes):
        return
    name = f"_jitc_literal_{node.name}"
    module.register_buffer(name, torch.tensor(*node.args, **node.kwargs), persistent=False)
    with graph.inserting_before(node):
        constant = graph.get_attr(name)
    constant.meta = dict(node.meta)
    node.replace_all_uses_with(constant)
    graph.erase_node(node)


def _keeps(node: fx.Node, memory: set[int]) -> bool:
    """Whether a node writes MEMORY or hands it out of the graph."""
    if node.op != "output" and not facts.is_in_place(node):
        return False
    return any(facts.storage(tensor) in memory for arg in node.all_input_nodes for tensor in facts.tensors(arg))


_RULES = (_names, _nothing, _floats, _empty_parts, _constants)


def normalise(graph: fx.Graph) -> None:
    """Applies the rules to each node, in order."""
    for node in list(graph.nodes):
        for rule in _RULES:
            if not node._erased:
                rule(graph, node)
