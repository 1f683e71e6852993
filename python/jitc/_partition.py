"""Which nodes of a graph libjitc compiles and which torch runs, and what the two hand each other.

Nodes keep the order that the graph has them in: a *piece* is a run of nodes that libjitc takes, between nodes that it
does not.  So writes in place stay in order.

What leaves a piece is only ever memory of its own.  A view that is needed outside is made again there, by torch, from
the memory that it shows (a graph input, or a result); what wrote in place is what it wrote.  So aliases are what they
are in eager: real views, one storage. A node whose result is neither is left to torch.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import fx

from jitc import _facts as facts


@dataclass(eq=False)
class Piece:
    """Nodes that are compiled together; what they take and give."""

    nodes: list[fx.Node] = field(default_factory=list)
    inputs: list[fx.Node] = field(default_factory=list)
    results: list[fx.Node] = field(default_factory=list)

    @property
    def needed(self) -> bool:
        """False: whatever is used of it is views of what lies outside."""
        return bool(self.results) or any(facts.is_in_place(node) for node in self.nodes)


class _Refused(Exception):
    def __init__(self, node: fx.Node, reason: str) -> None:
        super().__init__(reason)
        self.node, self.reason = node, reason


class Plan:
    """How a graph is cut.  ``refused`` says which nodes torch runs, and why."""

    def __init__(self, graph: fx.Graph, refused: dict[fx.Node, str]) -> None:
        self.graph = graph
        self.refused = refused
        self.pieces: list[Piece] = []
        self.home: dict[fx.Node, Piece] = {}
        self.order = {node: i for i, node in enumerate(graph.nodes)}
        self.symbol_parameters = [
            node for node in graph.nodes if node.op == "placeholder" and isinstance(facts.value(node), torch.SymInt)
        ]
        self._cut()
        self._connect()

    def reasons(self) -> list[tuple[fx.Node, str]]:
        """What torch runs and why, without the parts of what it runs."""
        return [
            (node, reason) for node, reason in self.refused.items() if whole(node) is node or whole(node) not in self.refused
        ]

    # ---- cutting ----

    def _cut(self) -> None:
        piece: Piece | None = None
        for node in self.graph.nodes:
            if node.op not in ("call_function", "call_method", "call_module") or is_grad_mode(node):
                continue
            if whole(node) in self.refused:
                self.refused.setdefault(node, self.refused[whole(node)])
            if node in self.refused:
                piece = None
                continue
            if piece is None:
                piece = Piece()
                self.pieces.append(piece)
            piece.nodes.append(node)
            self.home[node] = piece

    def _connect(self) -> None:
        """Finds inputs and results.  Raises _Refused for a value that cannot leave its piece."""
        needed: set[fx.Node] = set()
        shown: dict[fx.Node, set[fx.Node]] = {}  # which values are seen of a result
        for node in self.graph.nodes:
            home = self.home.get(node)
            for arg in node.all_input_nodes:
                if home is None or self.home.get(arg) is not home:
                    bases = self.bases(arg)
                    needed.update(bases)
                    for base in bases:
                        shown.setdefault(base, set()).add(arg)
                    if home is not None:
                        self._take(home, node, bases)
        for base, args in shown.items():
            view = next(iter(args))
            if len(args) == 1 and self._shows_all(base, view):
                self._instead(base, view, needed, {other for other, seen in shown.items() if seen == args})
        returned = [node for item in self.graph.find_nodes(op="output") for node in item.all_input_nodes]
        for piece in self.pieces:
            piece.inputs.sort(key=self.order.__getitem__)
            # In the order in which the graph returns them: where it returns nothing else, the program's tuple is the graph's.
            piece.results = [node for node in returned if self.home.get(node) is piece and node in needed]
            piece.results += [node for node in piece.nodes if node in needed and node not in piece.results]
            if not piece.needed:
                continue
            if all(facts.is_number(node) for node in piece.results) and not any(facts.is_in_place(n) for n in piece.nodes):
                raise _Refused(piece.results[0], "a number alone is not worth a call")
            made = [node for node in piece.nodes if facts.is_allocation(node)]
            if made and not any(map(self._computes, piece.nodes)):
                raise _Refused(made[0], "memory alone is not worth a call")

    def _computes(self, node: fx.Node) -> bool:
        """Whether there is work in a node: it is more than memory, a view of some, or a size."""
        if facts.is_allocation(node) or facts.is_number(node) or facts.is_numbers(node):
            return False
        return not self._is_view(node)

    def _shows_all(self, base: fx.Node, view: fx.Node) -> bool:
        """Whether a result may as well leave its piece as the VIEW that is all that is seen of it: all of it, without gaps."""
        if view is base or base not in self.home or self.home.get(view) is not self.home[base] or self._source(view) is None:
            return False
        a, b = facts.value(base), facts.value(view)
        if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor) or a.dtype != b.dtype:
            return False
        return facts.memory_order(b) == tuple(range(b.dim())) and facts.elements(a) == facts.elements(b)

    def _instead(self, base: fx.Node, view: fx.Node, needed: set[fx.Node], only: set[fx.Node]) -> None:
        """Makes VIEW the result in place of BASE, and of ONLY, which nothing but it needs: the numbers of its shape."""
        needed -= only
        needed.add(view)
        for piece in self.pieces:
            inputs = [view if node is base else node for node in piece.inputs if node is base or node not in only]
            piece.inputs = inputs

    @staticmethod
    def _take(piece: Piece, node: fx.Node, bases: list[fx.Node]) -> None:
        """Makes BASES, which NODE needs, inputs of its piece."""
        for base in bases:
            if not facts.is_number(base) and not isinstance(facts.value(base), torch.Tensor):
                raise _Refused(node, f"{base.name} is a {type(facts.value(base)).__name__}")
            if base not in piece.inputs:
                piece.inputs.append(base)

    # ---- values outside their pieces ----

    def bases(self, node: fx.Node) -> list[fx.Node]:
        """The values that must leave pieces for NODE to be known outside."""
        if node not in self.home or facts.is_number(node):
            return [node]
        if facts.is_numbers(node):  # a torch.Size: made again where it is used
            return self._bases_of_arguments(node)
        source = self._source(node)
        if source is None:
            return [self._result(node)]
        if self._is_what_it_wrote(node, source):
            return self.bases(source)
        if not self._is_view(node):
            raise _Refused(node, "its result shares memory with an argument")
        return self._bases_of_arguments(node)

    def _bases_of_arguments(self, node: fx.Node) -> list[fx.Node]:
        return list(dict.fromkeys(base for arg in node.all_input_nodes for base in self.bases(arg)))

    def _result(self, node: fx.Node) -> fx.Node:
        """NODE, whose memory is its own, if it can be a result."""
        val = facts.value(node)
        if not isinstance(val, torch.Tensor):
            raise _Refused(node, f"a {type(val).__name__} is used as a whole")
        if facts.memory_order(val) is None:
            raise _Refused(node, f"the strides of its result {tuple(val.stride())} leave gaps")
        return node

    def _source(self, node: fx.Node) -> fx.Node | None:
        """The argument whose memory a node's tensors lie in; None: memory of its own."""
        own = {facts.storage(tensor) for tensor in facts.tensors(node)}
        for arg in node.all_input_nodes:
            if own.isdisjoint(facts.storage(tensor) for tensor in facts.tensors(arg)):
                continue
            if node.target is operator.getitem and isinstance(facts.value(arg), (tuple, list)) and self._source(arg) is None:
                return None  # one of several results
            return arg
        return None

    def _is_view(self, node: fx.Node) -> bool:
        """Whether all that a node gives lies in its arguments' memory, as it was: it can be computed again at no cost, whatever its name."""
        own = {facts.storage(tensor) for tensor in facts.tensors(node)}
        lent = {facts.storage(tensor) for arg in node.all_input_nodes for tensor in facts.tensors(arg)}
        return bool(own) and own <= lent and not facts.is_in_place(node)

    @staticmethod
    def _is_what_it_wrote(node: fx.Node, source: fx.Node) -> bool:
        """Whether a node hands SOURCE itself on.  A view that shows all of it is a tensor of its own."""
        if not facts.is_in_place(node):
            return False
        a, b = facts.value(node), facts.value(source)
        return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and facts.same_layout(a, b)

    def emit(self, node: fx.Node, graph: fx.Graph, env: dict[fx.Node, fx.Node]) -> fx.Node:
        """NODE's value in another graph, made from the bases that ENV has."""
        if node not in env:
            source = self._source(node)
            if source is not None and self._is_what_it_wrote(node, source):
                env[node] = self.emit(source, graph, env)
            else:
                env[node] = graph.node_copy(node, lambda arg: self.emit(arg, graph, env))
        return env[node]


def whole(node: fx.Node) -> fx.Node:
    """The node of several results that a node takes one of; itself, where it does not."""
    if node.target is operator.getitem and isinstance(node.args[0], fx.Node):
        parts = facts.value(node.args[0])
        if isinstance(parts, (tuple, list)) and not isinstance(parts, torch.Size):
            return node.args[0]
    return node


def is_grad_mode(node: fx.Node) -> bool:
    """Whether a node only switches gradients: in an inference graph it does nothing."""
    return node.target is torch._C._set_grad_enabled


def foreign(node: fx.Node, device: torch.device) -> str | None:
    """Why a node is torch's before libjitc is even asked; None: it is not."""
    target = node.target
    if node.op == "call_module":
        return "it calls a module"
    if isinstance(target, torch._ops.HigherOrderOperator):
        return "it is a higher-order operator"
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        namespace = (
            str(target).split(".")[0] if isinstance(target, torch._ops.OpOverload) else target._qualified_op_name.split("::")[0]
        )
        if namespace not in ("aten", "prims", "vllm_ir"):
            return "it is a custom operator"
    if facts.name_of(node) in ("_assert_async", "_assert_scalar"):
        return "it may fail, which libjitc's code does not"
    if facts.value(node) is None and not facts.is_in_place(node) and node.users:
        return "nothing is known of its result"
    for what, item in (("its result", facts.value(node)), *((f"{arg.name}", facts.value(arg)) for arg in node.all_input_nodes)):
        reason = facts.unfit_value(item, device)
        if reason:
            return f"{what}: {reason}"
    return None


def plan(graph: fx.Graph, device: torch.device, refused: Iterable[tuple[fx.Node, str]] = ()) -> Plan:
    """Cuts a graph; REFUSED are nodes that libjitc is known not to take."""
    reasons = dict(refused)
    for node in graph.nodes:
        if node.op in ("call_function", "call_method", "call_module") and node not in reasons:
            reason = foreign(node, device)
            if reason:
                reasons[node] = reason
    while True:
        try:
            return Plan(graph, reasons)
        except _Refused as refusal:
            reasons[refusal.node] = refusal.reason
