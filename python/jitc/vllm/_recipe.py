"""What of a piece makes it different from others: its key.

Two pieces with one key compute the same and are built once.  Names, of values and of symbols, are not in it, nor are
strings and opaque objects (layer names) that custom operators get: those are the piece's own and go into the call as
values.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Sequence
from typing import Any

import sympy
import torch
from torch import fx
from torch.fx._lazy_graph_module import _LazyGraphModule

from jitc import _facts as facts
from jitc._jitc import walk
from jitc.vllm._names import function_name

_PLAIN = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_OURS = ("aten", "prims", "vllm_ir", "higher_order")


class Declined(Exception):
    """A piece is not for libjitc; the message says why."""


def namespace(target: Any) -> str | None:
    """The namespace of an operator; None for what is not one of torch's dispatcher."""
    if isinstance(target, torch._ops.OpOverload):
        return target.namespace
    if isinstance(target, torch._ops.OpOverloadPacket):
        return str(target._qualified_op_name).split("::")[0]
    # What is an operator is asked first: higher-order ones are an abstract class, which is slow to say no.
    higher = isinstance(target, torch._ops.OperatorBase) and isinstance(target, torch._ops.HigherOrderOperator)
    return "higher_order" if higher else None


def is_custom(target: Any) -> bool:
    """Whether an operator is known to the dispatcher alone."""
    return namespace(target) not in (None, *_OURS)


# By the address of a target, which is kept alive: many targets hash slowly.
_titles: dict[int, tuple[str, bool, Any]] = {}


def _title(target: Any) -> tuple[str, bool, Any]:
    """A target's name, as unique as the target; whether it is a custom operator; the target."""
    space = namespace(target)
    if isinstance(target, str) or space is not None:
        title = str(target)
    else:
        title = function_name(target) or f"one of this process, {id(target)}"
    return f"{type(target).__name__} {title}", space not in (None, *_OURS), target


def _other(item: Any, custom: bool) -> str | None:
    """What there is of a walk besides numbers, texts and nodes; None: a literal."""
    if isinstance(item, _PLAIN):
        return repr(item)
    if custom and is_opaque(item):
        return None
    if isinstance(item, fx.Node):
        raise Declined(f"it calls the module {item.target}")
    raise Declined(f"an operator is given a {type(item).__name__}")


class Walk:
    """A graph's nodes without names, and what is each piece's own beside.

    The bytes are lines (``ext/walk.c``): ``p`` for a parameter, ``a`` and a number for a constant of the graph; for an
    operator its title, then its arguments, the named ones after ``=`` and the name: ``%`` and the number of the node, a
    value as Python prints it, ``$`` for a literal, and what is in brackets for what holds others.
    """

    def __init__(self, graph: fx.Graph) -> None:
        text, literals, attributes = walk(graph.nodes, fx.Node, _titles, _title, _other)
        self.literals: list[Any] = literals  # strings and layer names that custom operators get, in order of use
        self.attributes: list[str] = attributes  # paths of get_attr nodes, each once
        self.digest = hashlib.blake2b(text, digest_size=20).hexdigest()


def is_opaque(item: Any) -> bool:
    """Whether a value is a name that operators get as an object: vLLM's LayerName."""
    return type(item).__name__ == "LayerName" and isinstance(getattr(item, "value", None), str)


def lifted(graph: fx.Graph, module: torch.nn.Module, literals: Sequence[Any]) -> fx.GraphModule:
    """A copy of a graph in which LITERALS, those of its walk, are further parameters, after all others."""
    new, env = fx.Graph(), {}
    for node in graph.nodes:
        if node.op == "placeholder":
            env[node] = new.node_copy(node)
    names = []
    for i, literal in enumerate(literals):
        names.append(new.placeholder(f"literal_{i}"))
        names[-1].meta = {"example_value": literal}
    left = iter(names)

    def lift(arg: Any) -> Any:  # in the order in which a walk meets literals
        if isinstance(arg, (tuple, list)):
            return type(arg)(map(lift, arg))
        if isinstance(arg, slice):
            return slice(lift(arg.start), lift(arg.stop), lift(arg.step))
        if isinstance(arg, dict):
            return {name: lift(part) for name, part in arg.items()}
        return next(left) if isinstance(arg, str) or is_opaque(arg) else arg

    for node in graph.nodes:
        if node.op == "placeholder":
            continue
        env[node] = copy = new.node_copy(node, env.__getitem__)
        if literals and is_custom(node.target):
            copy.args = tuple(lift(arg) for arg in copy.args)
            copy.kwargs = {name: lift(arg) for name, arg in copy.kwargs.items()}
    drop_idle(new)
    narrow_splits(new)
    # Nothing runs it: no Python code is made of it.
    return _LazyGraphModule(module, new)


def drop_idle(graph: fx.Graph) -> None:
    """Views that show all of what they are views of, as it is, go: the pieces are full of them, and each costs a call."""
    for node in list(graph.nodes):
        source = node.args[0] if node.args else None
        if not facts.is_view(node) or not isinstance(source, fx.Node):
            continue
        value, of = facts.value(node), facts.value(source)
        if not isinstance(value, torch.Tensor) or not isinstance(of, torch.Tensor) or facts.storage(value) != facts.storage(of):
            continue
        if facts.same_layout(value, of):
            node.replace_all_uses_with(source)
            graph.erase_node(node)


def narrow_splits(graph: fx.Graph) -> None:
    """One part of a split is a narrow(), which costs a fifth of a split into parts that nobody looks at."""
    for node in list(graph.nodes):
        if node.op not in ("call_method", "call_function") or facts.name_of(node) not in ("split", "split_with_sizes"):
            continue
        sizes = node.args[1] if len(node.args) > 1 else None
        dim = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        if not isinstance(sizes, (list, tuple)) or not all(isinstance(n, int) for n in (*sizes, dim)):
            continue
        parts = list(node.users)
        if not all(part.target is operator.getitem and isinstance(part.args[1], int) for part in parts):
            continue
        for part in parts:
            i = part.args[1] % len(sizes)
            with graph.inserting_before(part):
                narrow = graph.call_method("narrow", (node.args[0], dim, sum(sizes[:i]), sizes[i]))
            narrow.meta = dict(part.meta)
            part.replace_all_uses_with(narrow)
            graph.erase_node(part)
        graph.erase_node(node)


class _Values:
    """Values of nodes as texts, symbols by the order in which they come."""

    def __init__(self) -> None:
        self.symbols: dict[sympy.Symbol, sympy.Symbol] = {}
        self._known: dict[sympy.Expr, str] = {}
        self._storages: dict[int, int] = {}

    def number(self, number: int | torch.SymInt) -> str:
        if not isinstance(number, torch.SymInt):
            return str(number)
        expr = number.node.expr
        text = self._known.get(expr)
        if text is None:
            for symbol in sorted(expr.free_symbols - self.symbols.keys(), key=str):
                self.symbols[symbol] = sympy.Symbol(f"s{len(self.symbols)}")
            text = self._known[expr] = str(expr.xreplace(self.symbols))
        return text

    def _tensor(self, tensor: torch.Tensor) -> str:
        numbers = [
            *map(self.number, tensor.shape),
            ":",
            *map(self.number, tensor.stride()),
            self.number(tensor.storage_offset()),
        ]
        memory = self._storages.setdefault(facts.storage(tensor), len(self._storages))
        return f"{tensor.dtype} {tensor.device} {' '.join(numbers)} @{memory}"

    def text(self, value: Any) -> str:
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, torch.SymInt):
            return self.number(value)
        if isinstance(value, (tuple, list)):
            return f"({','.join(map(self.text, value))})"
        return repr(value) if isinstance(value, (int, float, bool, type(None))) else type(value).__name__


class Recipe:
    """A piece, with the examples of its inputs and the range of sizes that it is compiled for."""

    def __init__(self, graph: fx.Graph, examples: Sequence[Any], lo: int, hi: int, identity: str) -> None:
        self.graph, self.lo, self.hi = graph, lo, hi
        self.walk = Walk(graph)
        self.placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        if len(examples) != len(self.placeholders):
            raise Declined(f"it has {len(self.placeholders)} parameters, but {len(examples)} examples came")
        for node, given in zip(self.placeholders, examples, strict=True):
            check_example(node, given, lo)
        self.ranges = self._ranges()
        values = _Values()
        told = [values.text(facts.value(node)) for node in graph.nodes if node.op != "output"]
        bounds = {str(values.symbols[s]): self.ranges[str(s)] for s in values.symbols if str(s) in self.ranges}
        text = "\n".join([identity, self.walk.digest, repr(sorted(bounds.items())), *told])
        self.key = hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def _ranges(self) -> dict[str, tuple[int, int]]:
        """vLLM's range is that of the first size among the parameters: the number of tokens."""
        for node in self.placeholders:
            value = facts.value(node)
            if isinstance(value, torch.SymInt) and value.node.expr.is_Symbol:
                return {str(value.node.expr): (self.lo, self.hi)}
        return {}


def _at(number: int | torch.SymInt, size: int) -> int:
    """A number of a graph where all sizes are SIZE: how vLLM makes the examples of a single size."""
    if not isinstance(number, torch.SymInt):
        return int(number)
    expr = number.node.expr
    return int(expr.xreplace({symbol: sympy.Integer(size) for symbol in expr.free_symbols}))


def _layout(tensor: torch.Tensor, number: Callable[[Any], Any]) -> tuple[Any, ...]:
    return (tensor.dtype, tensor.dim(), *map(number, tensor.shape), *map(number, tensor.stride()))


def check_example(node: fx.Node, given: Any, size: int) -> None:
    """Raises Declined where an example lies in memory otherwise than the graph says: strides are compiled in."""
    value = facts.value(node)
    if given is value or not isinstance(given, torch.Tensor) or not isinstance(value, torch.Tensor):
        return
    symbolic = any(isinstance(n, torch.SymInt) for n in (*given.shape, *given.stride()))
    number: Callable[[Any], Any] = facts.expression if symbolic else (lambda n: _at(n, size))
    if _layout(given, number) != _layout(value, number):
        raise Declined(f"the example of {node.name} is not what the graph says")
