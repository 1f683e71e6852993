"""Floats of the model that Dynamo keeps as numbers known at run time.

With dynamic shapes, Dynamo makes a model's floats (a scale, an epsilon) inputs of the graph: an ``f64[]`` tensor and
its ``.item()``.  Where it found out since that a float never changes it says so, and the float is a literal.  Where it
may change, arithmetic takes the tensor itself: a tensor without dims is promoted as a number is, and no build depends
on its value.
"""

from __future__ import annotations

import operator

import sympy
import torch
from torch import fx

from jitc import _facts as facts

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
    if not isinstance(val, torch.SymFloat):
        return None
    expr = val.node.expr
    return float(expr) if isinstance(expr, (sympy.Float, sympy.Integer)) else None


def _takes_tensor(user: fx.Node, number: fx.Node) -> bool:
    """Whether a node may have the tensor for the number: its other operand decides the dtype."""
    if user.target not in _ARITHMETIC or len(user.args) != 2 or user.kwargs:
        return False
    others = [arg for arg in user.args if arg is not number]
    other = facts.value(others[0]) if len(others) == 1 and isinstance(others[0], fx.Node) else None
    return isinstance(other, torch.Tensor) and other.is_floating_point() and other.dim() > 0


def _write(user: fx.Node, number: fx.Node, literal: float) -> None:
    """Puts a literal where a node takes the number."""

    def chosen(arg: fx.Node) -> fx.Node | float:
        return literal if arg is number else arg

    user.args = fx.map_arg(user.args, chosen)
    user.kwargs = fx.map_arg(user.kwargs, chosen)


def settle(graph: fx.Graph) -> None:
    """Replaces floats that are known at run time only, as far as that changes nothing."""
    for node in list(graph.nodes):
        literal = _literal(node) if node.op in ("call_function", "call_method") else None
        if literal is not None:
            for user in list(node.users):
                _write(user, node, literal)
        elif node.op == "call_method" and node.target == "item" and isinstance(facts.value(node), torch.SymFloat):
            tensor = node.args[0]
            for user in list(node.users):
                if _takes_tensor(user, node):
                    user.replace_input_with(node, tensor)
        if node.op == "call_method" and node.target == "item" and not node.users:
            graph.erase_node(node)
