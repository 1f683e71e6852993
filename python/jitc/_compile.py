"""From one FX graph to something that is called like it.

plan (who runs what) -> ask libjitc, again until it takes every piece -> build the pieces -> a Python function that
calls them and what torch runs.
"""

from __future__ import annotations

import functools
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import fx

from jitc import _facts as facts
from jitc._jitc import Context, Error, Program
from jitc._lower import Lowered, inverse, lower, order_of
from jitc._options import Options
from jitc._partition import Piece, Plan, is_grad_mode, plan, whole
from jitc._replay import Replay, static_arguments
from jitc._torch import context

Compiled = Callable[..., Any]
Ranges = Mapping[str, tuple[int, int]]


class Result:
    """A compiled graph and what became of its nodes."""

    def __init__(
        self,
        call: Compiled,
        cut: Plan,
        programs: dict[Piece, Program],
        lowered: dict[Piece, Lowered],
        assembly: Assembly | None,
    ) -> None:
        self.call = self.run = call  # CALL is what Dynamo gets: an observer may replace it
        self.plan, self.programs, self.lowered = cut, programs, lowered
        self.assembly = assembly  # None: the graph is its program


def graph_device(graph: fx.Graph) -> torch.device:
    """Where a graph runs: on the first GPU that one of its tensors is on, else on the CPU."""
    devices = [tensor.device for node in graph.nodes for tensor in facts.tensors(node)]
    return next((device for device in devices if device.type != "cpu"), torch.device("cpu"))


# ---- what libjitc says -----------------------------------------------------------------------------------------------


def _culprits(lowered: Lowered, piece: Piece, name: str, line: int) -> list[fx.Node]:
    """The piece's nodes that a failure is about: the one of that NAME in the text, else that of its LINE, else all."""
    lines = lowered.text.splitlines()
    # "y: "f32[3]" = ...", "x[at] = y;  setitem = x;  y = None"
    told = re.findall(r"(?:^|;)\s*(\w+)(?::| = )", lines[line - 1]) if 0 < line <= len(lines) else []
    for candidate in (name, *told):
        node = lowered.nodes.get(candidate)
        if node is not None and node in piece.nodes:
            return [whole(node)]
    return list(piece.nodes)


def _refusals(ctx: Context, piece: Piece, lowered: Lowered, strict: bool) -> dict[fx.Node, str]:
    """The nodes of a piece that libjitc does not take, and why."""
    refused: dict[fx.Node, str] = {}
    try:
        told = ctx.refusals("graph", lowered.text, strict=strict, ranges=lowered.ranges)
    except Error as error:
        return dict.fromkeys(_culprits(lowered, piece, error.node, error.line), str(error))
    for _, name, line, reason in told:
        refused.update(dict.fromkeys(_culprits(lowered, piece, name, line), reason))
    return refused


# Namespaces that have many functions in common, of which a graph shows one.
_IN_COMMON = ("torch", "torch.functional", "torch.nn.functional", "torch._C._nn")


def _names(node: fx.Node) -> set[str]:
    """The names that `split_ops` may have for a node's operator, as ir/split_names.c has them."""
    name, title = facts.name_of(node), facts.title_of(node)  # "torch.cumsum", "x.cumsum", "aten.cumsum.dim", "mylib.op"
    aten = {f"{form}{name}" for form in ("aten::", "aten.", "torch.ops.aten.")}
    if isinstance(node.target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        space = title.split(".")[0]
        overload = getattr(node.target, "_overloadname", "default")
        forms = {f"{form}{name}" for form in (f"{space}::", f"{space}.", f"torch.ops.{space}.")}
        return {name, *forms, *(f"{form}.{overload}" for form in forms)}
    if node.op == "call_method":
        return {name, *aten, *(f"{form}{name}" for form in ("x.", "Tensor.", "torch.Tensor."))}
    module = title.rpartition(".")[0]
    return {name, title, *aten, *(f"{form}.{name}" for form in _IN_COMMON if module in _IN_COMMON)}


@functools.cache
def _operators() -> set[str]:
    """Names of all operators that torch knows, with and without namespace."""
    full = [name.split(".")[0] for name in torch._C._dispatch_get_all_op_names()]
    return {*full, *(name.split("::")[1] for name in full)}


def _without_overload(name: str) -> str:
    """ "aten::cumsum" of "torch.ops.aten.cumsum.dim" and of "aten.cumsum"."""
    parts = re.split(r"::|\.", name.removeprefix("torch.ops."))
    return "::".join(parts[:2])


def _splits(graph: fx.Graph, split_ops: tuple[str, ...]) -> dict[fx.Node, str]:
    """Where a graph is to be cut.  Raises ValueError for a name that is no operator's."""
    found: dict[fx.Node, str] = {}
    seen: set[str] = set()
    for node in graph.nodes:
        if node.op in ("call_function", "call_method"):
            matching = _names(node).intersection(split_ops)
            seen |= matching
            if matching:
                found[whole(node)] = f"graphs are cut at {min(matching)} (split_ops)"
    for name in split_ops:
        bare = re.split(r"::|\.", name)[-1]
        spaces = ("", "x.", "Tensor.", "torch.Tensor.", *(f"{form}." for form in _IN_COMMON))
        python = name in [space + bare for space in spaces] and (bare in _operators() or hasattr(torch.Tensor, bare))
        if not (bare and python) and name not in seen and _without_overload(name) not in _operators():
            raise ValueError(f"jitc: split_ops has {name!r}, but no operator is called that")
    return found


# Rows of queries up to which ours is the quicker kernel on a GPU: it reads keys and values at the speed of memory.
_FEW_ROWS = 16


def _left_to_torch(graph: fx.Graph, device: torch.device, attention: str) -> dict[fx.Node, str]:
    """Attention that is torch's by the option."""
    found: dict[fx.Node, str] = {}
    for node in graph.nodes:
        if node.op != "call_function" or "scaled_dot_product_" not in facts.name_of(node):
            continue
        query = facts.value(node.args[0] if node.args else node.kwargs["query"])
        rows = query.shape[-2]
        few = isinstance(rows, int) and rows <= _FEW_ROWS
        if attention == "torch" or (attention == "auto" and device.type == "cuda" and not few):
            found[whole(node)] = "attention is torch's here (option attention)"
    return found


def _settle(
    ctx: Context, graph: fx.Graph, device: torch.device, strict: bool, refused: dict[fx.Node, str], ranges: Ranges | None
) -> tuple[Plan, dict[Piece, Lowered]]:
    """A plan of which libjitc takes every piece that is needed, and these as text."""
    while True:
        cut = plan(graph, device, refused.items())
        text = {piece: lower(cut, piece, ranges) for piece in cut.pieces if piece.needed}
        more: dict[fx.Node, str] = {}
        for piece, lowered in text.items():
            more.update(_refusals(ctx, piece, lowered, strict))
        if not more:
            return cut, text
        refused = {**cut.refused, **more}


# ---- building --------------------------------------------------------------------------------------------------------


def _fallback(graph: fx.Graph) -> Compiled:
    """torch's way through a piece, for calls that do not fit what was built; says so once."""
    module: fx.GraphModule | None = None

    def run(*args: Any) -> Any:
        nonlocal module
        if module is None:
            module = fx.GraphModule(torch.nn.Module(), graph)
            warnings.warn(
                "jitc: tensors of a call do not fit what was compiled (strides or overlaps); torch runs it", stacklevel=2
            )
        return module.forward(*args)

    return run


def _build(ctx: Context, text: dict[Piece, Lowered], strict: bool) -> dict[Piece, Program]:
    """Builds pieces.  Raises _BuildError."""
    programs: dict[Piece, Program] = {}
    for piece, lowered in text.items():
        instead = _fallback(lowered.graph)
        try:
            programs[piece] = ctx.build(
                "graph", lowered.text, strict=strict, ranges=lowered.ranges, fallback=instead, weights=lowered.weights
            )
        except Error as error:
            raise _BuildError(_culprits(lowered, piece, error.node, error.line), error) from error
    return programs


class _BuildError(Exception):
    def __init__(self, nodes: list[fx.Node], error: Error) -> None:
        super().__init__(str(error))
        self.nodes, self.error = nodes, error


# ---- putting together --------------------------------------------------------------------------------------------------


class Assembly:
    """The graph that calls programs, and runs the rest as it is.

    What its code needs besides arguments is held by names, and ``origins`` says what each of them is: a "program" by
    its number, an "operator" by its name, an "attribute" or "submodule" of the module by its path.
    """

    def __init__(self, module: fx.GraphModule, cut: Plan, programs: dict[Piece, Program]) -> None:
        self.module, self.plan, self.programs = module, cut, programs
        self.graph = fx.Graph()
        self.env: dict[fx.Node, fx.Node] = {}
        self.emitted: dict[fx.Node, fx.Node] = {}  # what torch runs: the node that does, and the one that it is a copy of
        self.held = SimpleNamespace()
        self.origins: dict[str, tuple[str, int | str]] = {}
        self._emit()

    def _hold(self, thing: Any, kind: str, which: int | str) -> str:
        name = f"held_{len(self.origins)}"
        setattr(self.held, name, thing)
        self.origins[name] = (kind, which)
        return name

    def _call(self, piece: Piece) -> None:
        held = self._hold(self.programs[piece].run, "program", list(self.programs).index(piece))
        call = self.graph.call_module(held, tuple(self.env[node] for node in piece.inputs))
        for i, node in enumerate(piece.results):
            item = self.graph.call_function(operator.getitem, (call, i))
            order = order_of(node)
            self.env[node] = item if order is None else self.graph.call_method("permute", (item, *inverse(order)))

    def _outside(self, node: fx.Node) -> None:
        def known(arg: fx.Node) -> fx.Node:
            return self.plan.emit(arg, self.graph, self.env)

        if node.op == "placeholder":
            self.env[node] = self.graph.placeholder(node.name)
        elif node.op == "get_attr":
            path = str(node.target)
            self.env[node] = self.graph.get_attr(self._hold(operator.attrgetter(path)(self.module), "attribute", path))
        elif node.op == "output":
            self.graph.output(fx.map_arg(node.args[0], known))
        else:
            self.env[node] = self.graph.node_copy(node, known)
            self.emitted[self.env[node]] = node
            if node.op == "call_module":
                path = str(node.target)
                self.env[node].target = self._hold(self.module.get_submodule(path), "submodule", path)
            elif node.op == "call_function" and direct(node.target) is not None:
                self.env[node].op = "call_module"  # called without the way through torch.ops and its Python
                self.env[node].target = self._hold(direct(node.target), "operator", str(overload(node.target)))

    def _emit(self) -> None:
        last = {piece.nodes[-1]: piece for piece in self.programs}
        for node in self.plan.graph.nodes:
            if node in last:
                self._call(last[node])
            if node not in self.plan.home and not is_grad_mode(node):
                self._outside(node)

    def source(self) -> tuple[str, dict[str, Any]]:
        """Python code of a function ``forward(self, ...)``, where ``self`` holds, and the globals that it needs."""
        code = self.graph.python_code("self")
        return code.src, dict(code.globals)

    def function(self) -> Compiled:
        """The Python code as a function."""
        source, scope = self.source()
        exec(compile(source, "<jitc>", "exec"), scope)
        call: Compiled = scope["forward"].__get__(self.held)
        return call


def overload(target: Any) -> torch._ops.OpOverload | None:
    """The operator that a target always is; None where arguments decide, or it is none."""
    if isinstance(target, torch._ops.OpOverloadPacket):
        names = target.overloads()  # type: ignore[no-untyped-call]
        return getattr(target, names[0]) if len(names) == 1 else None
    return target if isinstance(target, torch._ops.OpOverload) else None


def direct(target: Any) -> Compiled | None:
    """What calls a custom operator without Python of torch's; None where only torch's own way is right."""
    op = overload(target)
    if op is None or type(op) is not torch._ops.OpOverload or op.namespace in ("aten", "prims"):
        return None
    call: Compiled = op._op
    return call


def _direct(cut: Plan, programs: dict[Piece, Program]) -> Compiled | None:
    """The program's own function where calling the graph is calling it."""
    if len(programs) != 1 or cut.refused:
        return None
    (piece, program), *_ = programs.items()
    placeholders = [node for node in cut.graph.nodes if node.op == "placeholder"]
    given = next(node for node in cut.graph.nodes if node.op == "output").args[0]
    straight = (
        piece.inputs == placeholders
        and isinstance(given, (tuple, list))
        and list(given) == piece.results
        and all(order_of(n) is None for n in piece.results)
    )
    return program.run if straight else None


def _without_grad(call: Compiled) -> Compiled:
    def run(*args: Any) -> Any:
        with torch.no_grad():
            return call(*args)

    return run


def compile_graph(module: fx.GraphModule, options: Options, ranges: Ranges | None = None) -> Result:
    """Compiles an inference graph.  What libjitc does not take is torch's to run.

    RANGES are of symbols by name, in place of those that Dynamo knows.
    """
    graph, strict = module.graph, options.mode == "strict"
    device = graph_device(graph)
    ctx = context(device, options)
    refused = _left_to_torch(graph, device, options.attention)
    if options.split_ops:
        refused |= _splits(graph, options.split_ops)
    while True:
        cut, text = _settle(ctx, graph, device, strict, refused, ranges)
        try:
            programs = _build(ctx, text, strict)
            break
        except _BuildError as failure:
            refused = {**cut.refused, **dict.fromkeys(failure.nodes, str(failure))}
    straight = _direct(cut, programs)
    assembly = None if straight else Assembly(module, cut, programs)
    call = assembly.function() if assembly else straight
    assert call is not None
    if any(is_grad_mode(node) for node in graph.nodes) and torch.is_grad_enabled():
        call = _without_grad(call)
    if options.cuda_graphs and device.type == "cuda":
        call = Replay(call, static_arguments(graph))
    return Result(call, cut, programs, text, assembly)
