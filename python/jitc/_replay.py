"""Option ``cuda_graphs``: a graph of the model is captured once per shape, and replayed.

What lies where counts in a capture, so an argument is one of two kinds.  *Static*: weights and buffers, what the graph
writes, and what a result is a view of; a capture is for their addresses.  *Others* are copied into tensors of the
capture's before each replay.  Results are copied out, so that what a caller keeps stays his.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from jitc import _facts as facts

log = logging.getLogger("jitc")

CAPTURES = 16  # of one graph: the one that was not used for longest goes


def written_by(node: fx.Node) -> list[fx.Node]:
    """The arguments that a node may write."""
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverloadPacket):  # a custom operator; which overload it is, is not known
        schemas = [getattr(target, name)._schema for name in target.overloads()]  # type: ignore[no-untyped-call]
        return list(node.all_input_nodes) if any(schema.is_mutable for schema in schemas) else []
    if not facts.is_in_place(node):
        return []
    if isinstance(node.target, torch._ops.OpOverload):
        schema = node.target._schema.arguments
        given = {**{arg.name: value for arg, value in zip(schema, node.args, strict=False)}, **node.kwargs}
        named = [given.get(arg.name) for arg in schema if arg.alias_info is not None and arg.alias_info.is_write]
        return [item for item in facts.leaves(named) if isinstance(item, fx.Node)]
    if node.kwargs.get("out") is not None:
        return [item for item in facts.leaves(node.kwargs["out"]) if isinstance(item, fx.Node)]
    return [item for item in node.args[:1] if isinstance(item, fx.Node)]


def static_arguments(graph: fx.Graph) -> list[bool]:
    """Per parameter of a graph, whether a capture is for its address."""
    memory = {facts.storage(tensor) for node in graph.nodes for arg in written_by(node) for tensor in facts.tensors(arg)}
    for output in graph.find_nodes(op="output"):
        memory |= {facts.storage(tensor) for node in output.all_input_nodes for tensor in facts.tensors(node)}
    return [
        facts.is_weight(node) or any(facts.storage(tensor) in memory for tensor in facts.tensors(node))
        for node in graph.nodes
        if node.op == "placeholder"
    ]


@dataclass
class _Capture:
    graph: torch.cuda.CUDAGraph
    inputs: list[Any]
    outs: tuple[Any, ...]


class Replay:
    """Something that is called like CALL and replays captures of it."""

    def __init__(self, call: Callable[..., Any], static: list[bool]) -> None:
        self.call, self.static = call, static
        self.captures: OrderedDict[tuple[Any, ...], _Capture | None] = OrderedDict()
        self.lock = threading.Lock()
        self.off = False  # a capture failed
        self.replays = 0

    def _key(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            (arg.data_ptr() if static else 0, arg.shape, arg.stride(), arg.dtype, arg.device)
            if isinstance(arg, torch.Tensor)
            else arg
            for arg, static in zip(args, self.static, strict=True)
        )

    def __call__(self, *args: Any) -> Any:
        if self.off or torch.cuda.is_current_stream_capturing():
            return self.call(*args)
        with self.lock:
            key = self._key(args)
            if key not in self.captures:  # the first call of a shape allocates, which a capture may not
                self._keep(key, None)
                return self.call(*args)
            capture = self.captures[key] or self._capture(args)
            if capture is None:
                return self.call(*args)
            self._keep(key, capture)
            return self._replay(capture, args)

    def _keep(self, key: tuple[Any, ...], capture: _Capture | None) -> None:
        self.captures[key] = capture
        self.captures.move_to_end(key)
        if len(self.captures) > CAPTURES:
            self.captures.popitem(last=False)

    def _capture(self, args: tuple[Any, ...]) -> _Capture | None:
        inputs = [
            arg if static or not isinstance(arg, torch.Tensor) or not arg.is_cuda else _like(arg)
            for arg, static in zip(args, self.static, strict=True)
        ]
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                outs = self.call(*inputs)
        except RuntimeError as error:
            self.off = True
            self.captures.clear()
            warnings.warn(f"jitc: a graph cannot be captured and runs without cuda_graphs: {error}", stacklevel=4)
            return None
        return _Capture(graph, inputs, tuple(outs))

    def _replay(self, capture: _Capture, args: tuple[Any, ...]) -> tuple[Any, ...]:
        for ours, arg in zip(capture.inputs, args, strict=True):
            if ours is not arg and isinstance(arg, torch.Tensor) and arg.is_cuda and ours.data_ptr() != arg.data_ptr():
                ours.copy_(arg, non_blocking=True)
        capture.graph.replay()
        self.replays += 1
        return self._copied_out(capture, args)

    def _copied_out(self, capture: _Capture, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Results in memory of their own, where they have any: views of one memory stay that."""
        given = {arg.untyped_storage().data_ptr(): arg for arg in args if isinstance(arg, torch.Tensor)}
        copies: dict[int, torch.UntypedStorage] = {}
        results = []
        for out in capture.outs:
            if isinstance(out, torch.Tensor) and out.is_cuda:
                memory = out.untyped_storage()
                if memory.data_ptr() in given and memory.nbytes():
                    storage = given[memory.data_ptr()].untyped_storage()
                else:
                    if memory.data_ptr() not in copies:
                        copies[memory.data_ptr()] = memory.clone()  # type: ignore[no-untyped-call]
                    storage = copies[memory.data_ptr()]
                results.append(out.new_empty(0).set_(storage, out.storage_offset(), out.shape, out.stride()))
            else:
                results.append(out)
        return tuple(results)


def _like(tensor: torch.Tensor) -> torch.Tensor:
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor)
