"""What has to hold for a region's call to be what an earlier one was: made of the guards that Dynamo had for that one.

Dynamo's guards form a tree of what was looked at: arguments, and from there and from globals on, attributes and items.
A gate remembers of each value that is not an argument where it was found, and that it is there still; values that could
change without being replaced (tensors, sizes of dicts and lists) are looked at themselves.  So as long as a gate opens,
the guards would hold, except for one thing: classes, functions and modules are taken as they were.

Where a guard is of a kind that is not known here there is no gate (``Unwatchable``), and Dynamo stays in charge.
"""

from __future__ import annotations

import ast
import enum
import types
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sympy
import torch
from torch import fx
from torch._dynamo import eval_frame

from jitc import _facts as facts
from jitc._torch import describe

_CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CodeType)
_NUMBERS = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis))
_PLAIN = (*_NUMBERS, torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size, enum.Enum)
_LARGEST = 2**63 - 1
_NOTHING = object()

# Leaf guards that hold as long as the value is the same object, or of the same value where it is immutable.
_OF_IDENTITY = {
    "TYPE_MATCH",
    "ID_MATCH",
    "NONE_MATCH",
    "TRUE_MATCH",
    "FALSE_MATCH",
    "TENSOR_MATCH",
    "NO_HASATTR",
    "NOT_NONE",
    "NO_TENSOR_ALIASING",
    "OBJECT_ALIASING",
    "DYNAMIC_INDICES",
    "WEAKREF_ALIVE",
    "DTYPE_MATCH",
}
_OF_VALUE = {"EQUALS_MATCH", "FLOAT_IS_NAN", "COMPLEX_IS_NAN"}
_OF_SIZE = {"DICT_CONTAINS", "DICT_LENGTH", "LENGTH_CHECK", "DICT_VERSION", "SET_CONTAINS"}
# Of the process's state, which `states` tells, and of sizes, which the arguments tell.
_OF_THE_ROOT = {"GLOBAL_STATE", "TORCH_FUNCTION_MODE_STACK", "DEFAULT_DEVICE", "LAMBDA_GUARD", "SYMBOLIC_SHAPE_GUARD"}


class Unwatchable(Exception):
    """Why there is no gate."""


@dataclass
class Watch:
    """A place where VALUE was found."""

    kind: str  # "item", "list"; "attr", or "generic", past the class's own __getattribute__; "size", "keys": those of HOLDER
    holder: Any
    key: Any
    index: int
    value: Any

    def spec(self, arguments: list[Any]) -> tuple[Any, ...]:
        """As the extension module takes it.  Arguments, which a gate does not keep alive, go by their number."""
        node = next((i for i, one in enumerate(arguments) if self._is_of(one)), -1)
        holder = self.holder if node < 0 else None
        return (self.kind, holder, self.key, self.value, self.index, isinstance(self.value, torch.Tensor), node)

    def _is_of(self, argument: Any) -> bool:
        return self.holder is argument or (
            self.kind not in ("attr", "generic") and self.holder is getattr(argument, "__dict__", argument)
        )


@dataclass
class Watches:
    """All of a gate's, each place once."""

    list: list[Watch] = field(default_factory=list)
    places: set[tuple[Any, ...]] = field(default_factory=set)

    def add(self, kind: str, holder: Any, key: Any, value: Any, index: int = 0) -> None:
        place = (kind, id(holder), key, index)
        if place not in self.places:
            self.places.add(place)
            self.list.append(Watch(kind, holder, key, index, value))

    def index_of(self, tensor: torch.Tensor) -> int | None:
        """The number of the place that TENSOR was found at."""
        return next((i for i, watch in enumerate(self.list) if watch.value is tensor), None)


# ---- what the guards looked at ---------------------------------------------------------------------------------------


class _Walk:
    """Goes through a tree of guards and collects watches."""

    def __init__(self, root: Any, way: Way) -> None:
        self.way = way
        self.scope = {"L": way.variables, "G": way.scope}
        self.watches = Watches()
        self.texts: list[str] = []  # of all that guards are about
        for leaf in root.get_leaf_guards():
            if type(leaf).__name__ not in _OF_THE_ROOT:
                raise Unwatchable(f"a guard {type(leaf).__name__}")
        for leaf in root.get_epilogue_lambda_guards():
            for part in leaf.verbose_code_parts():
                self._relation(part.split("  #")[0])
        self._children(root)

    def _relation(self, text: str) -> None:
        """A guard on several values: of sizes, which the arguments tell, or that they are one object."""
        self.texts.append(text)
        try:
            relation = ast.parse(text.strip(), mode="eval").body
            one = isinstance(relation, ast.Compare) and any(isinstance(op, (ast.Is, ast.IsNot)) for op in relation.ops)
            if one and not isinstance(self._value(relation.left), _CODE):  # type: ignore[attr-defined]
                raise Unwatchable("two values are one")
        except (SyntaxError, NameError) as error:
            raise Unwatchable(f"a guard {text}") from error

    def _children(self, manager: Any) -> None:
        for child in manager.get_child_managers():
            self._node(child)
        if type(manager).__name__ == "DictGuardManager":  # of a dict whose order counts
            for _, value in manager.get_key_value_managers().values():
                if value is not None:
                    self._node(value)

    def _value(self, source: ast.expr) -> Any:
        return eval(compile(ast.Expression(source), "<guard>", "eval"), self.scope)

    def _node(self, manager: Any) -> None:
        text = manager.get_source()
        self.texts.append(text)
        try:
            source = ast.parse(text, mode="eval").body
            value = self._value(source)
        except Exception as error:
            raise Unwatchable(f"a guard on {text}") from error
        if not self._is_argument(source):
            self._hop(source, value)
            if type(manager).__name__ == "DictGuardManager":
                self.watches.add("keys", value, None, tuple(value))
            for leaf in manager.get_leaf_guards():
                self._leaf(type(leaf).__name__, text, value)
        self._children(manager)

    def _is_argument(self, source: ast.expr) -> bool:
        """Whether a value is an argument, or what tuples and lists among them hold, or a part of a tensor."""
        while isinstance(source, (ast.Subscript, ast.Attribute)):
            if isinstance(source, ast.Subscript) and isinstance(source.value, ast.Name):
                return source.value.id == "L" and self._key(source) not in self.way.cells
            if ast.unparse(source) in self.way.sources:
                return True
            if not isinstance(self._value(source.value), (tuple, list, torch.Tensor)):
                return False
            source = source.value
        return False

    @staticmethod
    def _key(source: ast.Subscript) -> Any:
        if not isinstance(source.slice, ast.Constant):
            raise Unwatchable(f"a guard on {ast.unparse(source)}")
        return source.slice.value

    def _hop(self, source: ast.expr, value: Any) -> None:
        """Watches the last step of the way to a value."""
        if isinstance(source, ast.Attribute):
            self._attribute(self._value(source.value), source.attr, value)
        elif isinstance(source, ast.Subscript) and isinstance(source.value, ast.Name):
            self._variable(source.value.id, self._key(source), value)
        elif isinstance(source, ast.Subscript):
            self._item(source, self._value(source.value), value)
        elif isinstance(source, ast.Call) and ast.unparse(source.func) == "object.__getattribute__" and len(source.args) == 2:
            self._attribute(self._value(source.args[0]), ast.literal_eval(source.args[1]), value, "generic")
        elif not isinstance(value, (type, dict)) and not (isinstance(source, ast.Name) and source.id in "LG"):
            raise Unwatchable(f"a guard on {ast.unparse(source)}")  # what calls give; of classes, it is taken as it was

    def _variable(self, space: str, name: str, value: Any) -> None:
        if space == "L":
            self.watches.add("attr", self.way.cells[name], "cell_contents", value)
        elif not isinstance(value, _CODE) and not name.startswith("__"):
            self.watches.add("item", self.way.scope, name, value)

    def _item(self, source: ast.Subscript, holder: Any, value: Any) -> None:
        key = self._key(source)
        if any(isinstance(part, ast.Call) for part in ast.walk(source)):
            return  # of a class's dict
        if isinstance(holder, dict):
            self.watches.add("item", holder, key, value)
        elif isinstance(holder, list) and isinstance(key, int):
            self.watches.add("list", holder, None, value, key)
        elif not isinstance(holder, tuple):
            raise Unwatchable(f"a guard on {ast.unparse(source)}")

    def _attribute(self, holder: Any, name: str, value: Any, kind: str = "attr") -> None:
        own: Any = getattr(holder, "__dict__", None)
        if name == "__dict__" or isinstance(holder, (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
            return
        if isinstance(holder, types.ModuleType) and isinstance(value, _CODE):
            return
        if isinstance(own, dict) and own.get(name, self) is value:
            self.watches.add("item", own, name, value)
            return
        for place in ("_parameters", "_buffers", "_modules") if isinstance(holder, torch.nn.Module) and own is not None else ():
            if name in own[place]:
                self.watches.add("item", own, place, own[place])
                self.watches.add("item", own[place], name, value)
                return
        if isinstance(value, _CODE):
            return
        again = getattr(holder, name) if kind == "attr" else object.__getattribute__(holder, name)
        if again is not value:
            raise Unwatchable(f"{type(holder).__name__}.{name} is another object each time")
        self.watches.add(kind, holder, name, value)

    def _leaf(self, kind: str, text: str, value: Any) -> None:
        if kind in _OF_IDENTITY:
            return
        if kind in _OF_SIZE:
            if isinstance(value, (dict, list, set)):
                if "(" not in text:  # else a copy of a class's dict
                    self.watches.add("size", value, None, None, len(value))
                return
            if isinstance(value, (tuple, *_PLAIN)):
                return
        if kind in _OF_VALUE and _is_immutable(value):
            return
        raise Unwatchable(f"a guard {kind} on {text}")


def _is_immutable(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(_is_immutable(item) for item in value)
    return isinstance(value, (*_PLAIN, *_CODE))


# ---- arguments -------------------------------------------------------------------------------------------------------


class _Sizes:
    """Which symbols a gate knows, and their ranges.  Exact: every size is a number."""

    def __init__(self, placeholders: list[fx.Node]) -> None:
        self.env: Any = None
        self.symbols: list[sympy.Symbol] = []
        for node in placeholders:
            for leaf in facts.leaves(facts.value(node)):
                for number in facts.numbers(leaf):
                    if isinstance(number, torch.SymInt):
                        self.env = number.node.shape_env
        self.exact = self.env is not None and not all(self._follows(guard.expr) for guard in self.env.guards)

    def _follows(self, guard: Any) -> bool:
        """Whether a guard on sizes holds within the symbols' ranges."""
        guard = self.env.replace(guard)
        if guard is sympy.true:
            return True
        free = sorted(guard.free_symbols, key=str)
        if len(free) != 1 or not isinstance(guard, sympy.core.relational.Relational):
            return False
        difference = guard.lhs - guard.rhs
        slope = difference.diff(free[0])
        lo, hi = self._range(free[0])
        if slope not in (1, -1):
            return False
        at = [difference.subs(free[0], bound) for bound in (lo, hi)]
        if isinstance(guard, sympy.Ne):
            return bool(at[0] * at[1] > 0)
        return all(bool(type(guard)(value, 0)) for value in at)

    def _range(self, symbol: sympy.Symbol) -> tuple[int, int]:
        bounds = self.env.var_to_range.get(symbol)
        if bounds is None:
            return (0, _LARGEST)
        lo, hi = (int(bound) if bound.is_Integer else None for bound in (bounds.lower, bounds.upper))
        return (0 if lo is None else lo, _LARGEST if hi is None else hi)

    def ranges(self) -> list[tuple[int, int]]:
        return [self._range(symbol) for symbol in self.symbols]

    def symbol(self, number: Any) -> int | None:
        """The symbol that a size is, by number; None: it is a number, or what cannot be told from one tensor alone."""
        if self.exact or not isinstance(number, torch.SymInt):
            return None
        return self._number(facts.expression(number))

    def _number(self, expr: Any) -> int | None:
        expr = self.env.replace(expr)
        if expr.is_Integer:
            return None
        if not isinstance(expr, sympy.Symbol):
            raise _Composite
        if expr not in self.symbols:
            self.symbols.append(expr)
        return self.symbols.index(expr)

    def has(self, source: str) -> bool:
        """Whether an argument, or a part of it, is a symbol, or was one before it turned out to be always the same."""
        return self.env is not None and any(str(name).startswith(source) for name in self.env.source_to_var)

    def of_source(self, name: str) -> int | None:
        """The symbol of an integer argument."""
        expr = None if self.exact or self.env is None else self.env.source_to_var.get(name)
        return None if expr is None else self._number(expr)


class _Composite(Exception):
    """A size is an expression: the gate is for these sizes alone."""


class _Arguments:
    """The nodes of a call's arguments."""

    def __init__(self, sizes: _Sizes, fakes: dict[int, Any], gone: Any, texts: list[str]) -> None:
        self.sizes, self.fakes, self.gone, self.texts = sizes, fakes, gone, texts
        self.nodes: list[tuple[str, Any]] = []
        self.leaves: list[Any] = []  # per node: the argument

    def add(self, item: Any, source: str) -> None:
        self.leaves.append(item)
        if id(item) not in self.fakes and not self.sizes.has(source) and not any(source in text for text in self.texts):
            self.nodes.append(("any", None))  # neither the graph takes it nor a guard asks for it
        elif type(item) in (tuple, list):
            self.nodes.append((type(item).__name__, len(item)))
            for i, part in enumerate(item):
                self.add(part, f"{source}[{i}]")
        elif isinstance(item, torch.Tensor):
            self.nodes.append(("tensor", self._tensor(item)))
        elif type(item) is int and (symbol := self.sizes.of_source(source)) is not None:
            self.nodes.append(("int", symbol))
        elif _is_immutable(item):
            self.nodes.append(("value", item))
        else:
            try:
                self.nodes.append(("object", weakref.ref(item, self.gone)))
            except TypeError as error:
                raise Unwatchable(f"an argument is a {type(item).__name__}") from error

    def objects(self) -> list[Any]:
        """Per node: the object that a gate refers to weakly; a place holder for what is a value."""
        return [leaf if kind == "object" else _NOTHING for leaf, (kind, _) in zip(self.leaves, self.nodes, strict=True)]

    def _tensor(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.is_neg() or tensor.is_conj():
            raise Unwatchable(f"an argument is a {type(tensor).__name__}")
        try:
            _, kind, index, code, bits, shape, strides = describe(tensor)
        except KeyError as error:
            raise Unwatchable(f"an argument is of {tensor.dtype}") from error
        fake = self.fakes.get(id(tensor))
        symbols = [None] * len(shape) if fake is None else [self.sizes.symbol(number) for number in fake.shape]
        dims = tuple(n if symbol is None else -1 - symbol for n, symbol in zip(shape, symbols, strict=True))
        row_major = strides == _row_major(shape)
        if not row_major and fake is not None and any(self.sizes.symbol(number) is not None for number in fake.stride()):
            raise _Composite
        return (code, bits, kind, index, row_major, dims, strides)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, reach = [], 1
    for size in reversed(shape):
        strides.append(reach)
        reach *= max(size, 1)
    return tuple(reversed(strides))


# ---- results ---------------------------------------------------------------------------------------------------------


def _gives(item: Any, outs: list[Any], leaves: list[Any], exact: bool) -> Iterator[tuple[str, int, Any]]:
    """How a result is put together, in postfix.  Raises Unwatchable for what cannot be told."""
    out = next((i for i, one in enumerate(outs) if one is item), None)
    leaf = next((i for i, one in enumerate(leaves) if one is item), None)
    if isinstance(item, torch.Tensor) and out is not None:
        yield ("o", out, None)
    elif isinstance(item, torch.Tensor) and leaf is not None:
        yield ("a", leaf, None)
    elif type(item) in (tuple, list):
        for part in item:
            yield from _gives(part, outs, leaves, exact)
        yield (type(item).__name__[0], len(item), None)
    elif item is None or isinstance(item, (bool, str)) or (exact and isinstance(item, (int, float))):
        yield ("c", 0, item)
    else:
        raise Unwatchable(f"a result is a {type(item).__name__}")


# ---- a gate ----------------------------------------------------------------------------------------------------------


@dataclass
class Call:
    """A call that went through Dynamo: of the region, and of the compiled graph within."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    inputs: list[Any]
    outs: list[Any]
    placeholders: list[fx.Node]
    target: Any  # the compiled graph
    bytecode: Any  # Dynamo's function around it, which takes the region's arguments
    plain: bool  # that only calls the target and puts the result together


def _sources(call: Call, arguments: _Arguments, watches: Watches) -> list[tuple[str, int, Any]]:
    """Where each of the target's arguments comes from."""
    found: list[tuple[str, int, Any]] = []
    for node, item in zip(call.placeholders, call.inputs, strict=True):
        leaf = next((i for i, one in enumerate(arguments.leaves) if one is item), None)
        if isinstance(item, torch.Tensor):
            watch = watches.index_of(item)
            if leaf is not None:
                found.append(("a", leaf, None))
            elif watch is not None:
                found.append(("w", watch, None))
            else:
                raise Unwatchable(f"the input {node.name} comes from nowhere")
        elif type(item) is int:
            symbol = arguments.sizes.symbol(facts.value(node))
            found.append(("c", 0, item) if symbol is None else ("s", symbol, None))
        else:
            raise Unwatchable(f"the input {node.name} is a {type(item).__name__}")
    return found


def _direct(call: Call, arguments: _Arguments, watches: Watches, fixed: bool) -> tuple[Any, bool, list[Any], list[Any]]:
    """What the gate calls, whether by its own arguments, and how; by Dynamo's function where that has to do more."""
    if call.plain:
        try:
            sources = _sources(call, arguments, watches)
            return call.target, True, sources, [*_gives(call.result, call.outs, arguments.leaves, fixed)]
        except Unwatchable:
            pass
    return call.bytecode, False, [], []


def _spec(call: Call, way: Way, watches: Watches, texts: list[str], exact: bool) -> tuple[Any, ...]:
    sizes = _Sizes(call.placeholders)
    sizes.exact = sizes.exact or exact
    pairs = zip(call.inputs, call.placeholders, strict=True)
    fakes = {id(item): facts.value(node) for item, node in pairs if isinstance(item, torch.Tensor)}
    arguments = _Arguments(sizes, fakes, way.gone, texts)
    for source, item in zip(way.sources, (*call.args, *call.kwargs.values()), strict=True):
        arguments.add(item, source)
    apart = [leaf for leaf in arguments.leaves if isinstance(leaf, (torch.Tensor, list))]
    if len({id(leaf) for leaf in apart}) < len(apart) or any(watch.value is leaf for leaf in apart for watch in watches.list):
        raise Unwatchable("two arguments are one, or one is a weight")  # which the graph takes for granted
    told = {dim for kind, node in arguments.nodes if kind == "tensor" for dim in node[5] if dim < 0}
    told |= {-1 - node for kind, node in arguments.nodes if kind == "int"}
    target, direct, sources, gives = _direct(call, arguments, watches, sizes.exact or not sizes.symbols)
    if len(told) != len(sizes.symbols):
        raise _Composite
    watched = [watch.spec(arguments.objects()) for watch in watches.list]
    nodes, keywords = arguments.nodes, tuple(call.kwargs)
    return (len(call.args), keywords, nodes, watched, way.states, sizes.ranges(), target, direct, sources, gives)


@dataclass
class Way:
    """Where a call's values are for guards: what these names mean, and what is told of the process."""

    variables: dict[str, Any]  # local variables
    scope: dict[str, Any]  # global ones
    cells: dict[str, Any]  # of closed-over variables
    sources: list[str]  # per argument of the call, in its order: "L['x']"
    states: list[tuple[Any, Any]]  # functions, and what they have to answer
    gone: Any  # called when an object that was an argument is gone


def gate(call: Call, way: Way, root: Any) -> tuple[Any, ...]:
    """What ``Region.add`` takes, for calls like CALL, for which the guards of ROOT hold."""
    walk = _Walk(root, way)
    watches, texts = walk.watches, walk.texts
    watches.add("item", vars(eval_frame), "_stance", eval_frame._stance)
    try:
        return _spec(call, way, watches, texts, exact=False)
    except _Composite:
        return _spec(call, way, watches, texts, exact=True)
