"""The back end: what ``torch.compile(model, backend="jitc")`` calls with each graph that Dynamo captured."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import fx
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from jitc import _facts as facts
from jitc._compile import Compiled, Result, compile_graph, graph_device
from jitc._normal import normalise
from jitc._options import Options, read

log = logging.getLogger("jitc")
DEVICES = ("cpu", "cuda")

# What happened to a graph: called with each result, or with the reason why torch runs all of it.
Observer = Callable[[fx.GraphModule, "Result | str"], None]

_warned: set[str] = set()
_warned_lock = threading.Lock()


def warn_once(kind: str, message: str) -> None:
    """Warns, once per process and kind."""
    with _warned_lock:
        if kind in _warned:
            return
        _warned.add(kind)
    warnings.warn(message, stacklevel=2)


def _trains(graph: fx.Graph) -> bool:
    """Whether gradients flow through a graph: an operator made something that requires them.

    An operator that hands a parameter on as it is (`weight.float()`) made nothing.
    """
    given = {facts.storage(tensor) for node in graph.nodes if node.op == "placeholder" for tensor in facts.tensors(node)}
    return any(
        tensor.requires_grad and (not tensor.is_leaf or facts.storage(tensor) not in given)
        for node in graph.nodes
        if node.op in ("call_function", "call_method", "call_module")
        for tensor in facts.tensors(node)
    )


def _subclass(graph: fx.Graph) -> str | None:
    """The name of a tensor subclass among a graph's values."""
    for node in graph.nodes:
        for tensor in facts.tensors(node):
            if is_traceable_wrapper_subclass(tensor):
                return type(tensor).__name__
    return None


def _declined(graph: fx.Graph) -> tuple[str, str] | None:
    """Why torch runs all of a graph: a kind to warn once about, and a sentence."""
    if _trains(graph):
        return (
            "training",
            "jitc: a graph needs gradients; jitc is for inference (torch.no_grad()), "
            "so torch runs such graphs, in eager or by Inductor (option training)",
        )
    subclass = _subclass(graph)
    if subclass:
        return (
            "subclass " + subclass,
            f"jitc: a graph has tensors of the subclass {subclass}, which jitc does not know; torch runs it",
        )
    reshaping = next((node for node in graph.nodes if facts.reshapes_in_place(node)), None)
    if reshaping is not None:  # views that are made again would be made of something else
        title = facts.title_of(reshaping)
        return "reshaping " + title, f"jitc: a graph changes a tensor's shape or strides in place ({title}); torch runs it"
    device = graph_device(graph)
    if device.type not in DEVICES:
        return "device " + device.type, f"jitc: a graph runs on {device.type}, jitc on {' and '.join(DEVICES)}; torch runs it"
    return None


def _needs_aot(graph: fx.Graph) -> bool:
    """Whether Dynamo's graph does not say what is computed: under autocast, dtypes are not those of the operators."""
    autocast = (torch.amp.autocast_mode._enter_autocast, torch.amp.autocast_mode._exit_autocast)
    return any(node.target in autocast for node in graph.nodes) or torch.is_autocast_enabled(graph_device(graph).type)


def _through_aot(module: fx.GraphModule, inputs: Sequence[Any], options: Options, observe: Observer | None) -> Compiled:
    """Has AOTAutograd write a graph out in ATen's operators first."""
    from torch._dynamo.backends.common import aot_autograd

    def inner(aten: fx.GraphModule, _: Sequence[Any]) -> Compiled:
        return _inference(aten, options, observe)

    compile_ = aot_autograd(fw_compiler=inner, inference_compiler=inner, keep_inference_input_mutations=True)
    call: Compiled = compile_(module, list(inputs))
    return call


def _inference(module: fx.GraphModule, options: Options, observe: Observer | None) -> Compiled:
    normalise(module.graph)
    result = compile_graph(module, options)
    for node, reason in result.plan.reasons():
        log.info("torch runs %s: %s", facts.title_of(node), reason)
    if observe:
        observe(module, result)
    return result.call


def compile_with(module: fx.GraphModule, inputs: Sequence[Any], options: Options, observe: Observer | None = None) -> Compiled:
    """Compiles one graph; OBSERVE is told what became of it."""
    declined = _declined(module.graph)
    _check_device(module, options)
    if declined:
        warn_once(*declined)
        if observe:
            observe(module, declined[1])
        if declined[0] == "training" and options.training == "inductor":
            from torch._inductor.compile_fx import compile_fx

            return cast(Compiled, compile_fx(module, list(inputs)))
        forward: Compiled = module.forward
        return forward
    if _needs_aot(module.graph):
        return _through_aot(module, inputs, options, observe)
    return _inference(module, options, observe)


def _check_device(module: fx.GraphModule, options: Options) -> None:
    if options.cuda_graphs and graph_device(module.graph).type == "cpu":
        warn_once("cuda_graphs", "jitc: cuda_graphs is for GPUs; it does nothing for graphs on the CPU")


def backend(module: fx.GraphModule, inputs: Sequence[Any], *, options: Mapping[str, Any] | None = None) -> Compiled:
    """The entry point ``jitc`` of the group ``torch_dynamo_backends``."""
    return compile_with(module, inputs, read(options))
