"""``jitc.compile``: one function, method or layer behind guards that cost next to nothing.

Dynamo captures, as for ``torch.compile``: it knows what may be taken for granted, when sizes have to be symbols, and what
became of an object.  But Dynamo around a call costs more than a small layer does.  So after a call that went through it,
a gate (``_gate.py``) is made for the next ones, which then go from the caller to the compiled graph in C alone.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import logging
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

import torch
from torch import fx
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

from jitc import _jitc, _torch
from jitc._backend import compile_with
from jitc._gate import Call, Unwatchable, Way, gate
from jitc._options import Options, read

log = logging.getLogger("jitc")
F = TypeVar("F", bound=Callable[..., Any])

# Layers that differ in a number that Dynamo takes for a constant are captured each, and share a class in libjitc.
_CAPTURES = 1 << 16

_seen = threading.local()  # .calls: what compiled graphs were called with during a slow call

# Methods that Dynamo's code may call around the graph without doing more than reading.
_READERS = {"size", "stride", "storage_offset", "record_pregraph_bytecode_enter", "record_pregraph_bytecode_exit"}
_WRITERS = (
    "STORE_ATTR",
    "STORE_SUBSCR",
    "STORE_SLICE",
    "STORE_GLOBAL",
    "STORE_DEREF",
    "STORE_NAME",
    "DELETE_ATTR",
    "DELETE_SUBSCR",
)


def _is_plain(code: types.CodeType) -> bool:
    """Whether Dynamo's code for a call only calls the graph and puts a result together."""
    for one in dis.get_instructions(code):
        if one.opname in _WRITERS or one.opname.startswith(("YIELD", "IMPORT", "RAISE", "SETUP", "BEFORE")):
            return False
        method = one.opname == "LOAD_METHOD" or (one.opname == "LOAD_ATTR" and "NULL|self" in one.argrepr)
        if method and str(one.argval) not in _READERS:
            return False
        if one.opname == "LOAD_GLOBAL" and not str(one.argval).startswith(("__compiled_fn", "__import_torch_dot__dynamo")):
            return False
    return True


def _breaks(code: types.CodeType) -> bool:
    """Whether the function was cut: what comes behind the cut is to be compiled by Dynamo, which has to see it."""
    return any(name.startswith("__resume_at") for name in code.co_names)


@functools.cache
def _backend(options: Options) -> Callable[[fx.GraphModule, Sequence[Any]], Callable[..., Any]]:
    """The back end of all regions with the same options, so that Dynamo shares captures among them."""

    def backend(module: fx.GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
        placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
        target = compile_with(module, inputs, options)

        def call(*args: Any) -> Any:
            outs = target(*args)
            calls = getattr(_seen, "calls", None)
            if calls is not None:
                calls.append((target, placeholders, args, outs))
            return outs

        return call

    return backend


def _default_devices() -> tuple[torch.device, ...] | None:
    """What ``torch.set_default_device`` and ``with torch.device(...)`` say, the last one counts; None: another mode is active.

    Both are modes of torch that change what operators do.
    """
    modes = [torch._C._get_function_stack_at(i) for i in range(torch._C._len_torch_function_stack())]
    if any(type(mode) is not torch.utils._device.DeviceContext for mode in modes):
        return None
    return tuple(mode.device for mode in modes)


def _states() -> list[tuple[Any, Any]]:
    """Functions that tell of the process what results depend on, and what they have to say.

    What was captured under a default device has it in its graph, so it has to be the same.
    """
    devices = _default_devices()
    return [
        (torch._C._dynamo.guards.GlobalStateGuard().check, True),  # gradients, autocast, determinism, default dtype, threads
        (_default_devices, devices) if devices else (torch._C._len_torch_function_stack, 0),
        (torch._C._len_torch_dispatch_stack, 0),
        (torch._C._functorch.peek_interpreter_stack, None),
    ]


class _Region:
    """A function behind gates, for all objects that it is a method of."""

    def __init__(self, function: types.FunctionType, options: Options, dynamic: bool | None) -> None:
        self.function = function
        self.signature = inspect.signature(function, follow_wrapped=False)
        self.compiled = torch.compile(function, backend=_backend(options), dynamic=dynamic)
        self.gates = _jitc.Region(self.slow)
        self.misses: dict[int, int] = {}  # by first argument, since there was a gate
        self.reason = ""  # why there was no gate for the last call that could have had one

    def slow(self, *args: Any, **kwargs: Any) -> Any:
        """A call through Dynamo; makes a gate for the next."""
        outer, calls = getattr(_seen, "calls", None), list[Any]()
        _seen.calls = calls
        try:
            with _many_captures():
                result = self.compiled(*args, **kwargs)
        finally:
            _seen.calls = outer
        if len(calls) == 1 and _torch.has_abi() and not torch.is_grad_enabled() and self._is_time(args):
            try:
                self._add(args, kwargs, result, *calls[0])
                self.reason = ""
            except Unwatchable as error:
                self.reason = str(error)
                log.debug("%s stays with Dynamo's guards: %s", self.function.__qualname__, error)
        return result

    def _is_time(self, args: tuple[Any, ...]) -> bool:
        """Whether a gate is worth being made: often at first, ever more rarely where gates do not open."""
        key = id(args[0]) if args and not isinstance(args[0], torch.Tensor) else 0
        count = self.misses[key] = self.misses.get(key, 0) + 1
        return count <= 16 or count & (count - 1) == 0

    def _add(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        target: Any,
        placeholders: list[fx.Node],
        inputs: Any,
        outs: Any,
    ) -> None:
        if any(expected != function() for function, expected in _states()):
            raise Unwatchable("modes of torch are active")
        way = self._way(args, kwargs)
        entries = _debug_get_cache_entry_list(self.function.__code__)
        entry = next((entry for entry in entries if entry.guard_manager.check(way.variables)), None)
        if entry is None or _breaks(entry.code):
            raise Unwatchable("Dynamo cut it" if entry else "Dynamo did not capture it as a whole")
        bytecode = types.FunctionType(
            entry.code, self.function.__globals__, self.function.__name__, self.function.__defaults__, self.function.__closure__
        )
        bytecode.__kwdefaults__ = self.function.__kwdefaults__
        call = Call(args, kwargs, result, list(inputs), list(outs), placeholders, target, bytecode, _is_plain(entry.code))
        self.gates.add(args[0] if args else None, gate(call, way, entry.guard_manager.root))

    def _way(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Way:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        cells = dict(zip(self.function.__code__.co_freevars, self.function.__closure__ or (), strict=True))
        variables = {**bound.arguments, **{name: cell.cell_contents for name, cell in cells.items()}}
        scope = self.function.__globals__
        scope.setdefault("__builtins__", builtins)
        return Way(variables, scope, cells, self._sources(len(args), [*kwargs]), _states(), self._forget)

    def _forget(self, _: Any) -> None:
        """An object is gone that was an argument."""
        self.misses.clear()
        self.gates.purge()

    def _sources(self, positional: int, keywords: list[str]) -> list[str]:
        """Under which names guards know the arguments of a call."""
        parameters = self.signature.parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "")
        more = next((p.name for p in parameters if p.kind == p.VAR_KEYWORD), "")
        own = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        sources = [f"L[{names[i]!r}]" if i < len(names) else f"L[{rest!r}][{i - len(names)}]" for i in range(positional)]
        return sources + [f"L[{name!r}]" if name in own else f"L[{more!r}][{name!r}]" for name in keywords]


def _many_captures() -> Any:
    """Lets Dynamo keep a capture for each layer."""
    return torch._dynamo.config.patch(recompile_limit=_CAPTURES, accumulated_recompile_limit=_CAPTURES)


def _behind_gates(function: types.FunctionType, options: Options, dynamic: bool | None) -> types.FunctionType:
    """The function that calls FUNCTION's region: one for all that compile it with the same options."""
    made: dict[Any, types.FunctionType] = vars(function).setdefault("_jitc_regions", {})
    if (options, dynamic) not in made:
        made[options, dynamic] = _new(function, options, dynamic)
    return made[options, dynamic]


def _new(function: types.FunctionType, options: Options, dynamic: bool | None) -> types.FunctionType:
    region = _Region(function, options, dynamic)
    run = region.gates.run

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs)

    call.jitc_region = region  # type: ignore[attr-defined]
    call._torchdynamo_inline = function  # type: ignore[attr-defined]  # within torch.compile it is what it was
    return call  # type: ignore[return-value]


@overload
def compile(fn: F, *, options: Mapping[str, Any] | None = None, dynamic: bool | None = None) -> F: ...
@overload
def compile(*, options: Mapping[str, Any] | None = None, dynamic: bool | None = None) -> Callable[[F], F]: ...
def compile(fn: Any = None, *, options: Mapping[str, Any] | None = None, dynamic: bool | None = None) -> Any:
    """Compiles one function, method or layer, for engines that have no graph of the whole model.

    ``@jitc.compile`` before a function or method; ``jitc.compile(function)``; ``jitc.compile(module)``, which compiles the
    module's ``forward`` in place and answers the module.  OPTIONS are those of the back end, DYNAMIC is torch.compile's.

    All is as with ``torch.compile(fn, backend="jitc")``, but for the cost of a call under ``torch.no_grad()`` or
    ``torch.inference_mode()``.  Layers of one class share what was compiled.  After the second size of a dim one build
    serves all its sizes.  Weights may be replaced or written at any time, and what else the function reads (attributes,
    globals, closed-over variables, items of lists and dicts) is noticed when it changes.  Not noticed is new code:
    classes, functions and modules that are replaced after the first call; ``jitc.compile`` them anew.

    A call can be part of a CUDA graph's capture once the same shapes have run before.
    """
    if fn is None:
        return functools.partial(compile, options=options, dynamic=dynamic)
    chosen = read(options)
    if isinstance(fn, torch.nn.Module):
        fn.forward = compile(fn.forward, options=options, dynamic=dynamic)
        return fn
    if isinstance(fn, types.MethodType):
        return types.MethodType(_behind_gates(_function(fn.__func__), chosen, dynamic), fn.__self__)
    return _behind_gates(_function(fn), chosen, dynamic)


def _function(fn: Any) -> types.FunctionType:
    """The Python function that is to be compiled; a compiled one is what it was."""
    fn = getattr(fn, "_torchdynamo_inline", fn)
    if not isinstance(fn, types.FunctionType):
        raise TypeError(f"jitc.compile: {fn!r} is a {type(fn).__name__}, but must be a function, a method or a torch.nn.Module")
    return fn
