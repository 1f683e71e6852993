"""Where vLLM is told to use our compiler.

``vllm.compilation.backends.make_compiler`` makes the compiler of each model part; the name of the backend stays
"inductor", since vLLM refuses others for compilation in pieces, and derives defaults from it (plain operators instead
of custom ones).
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

_BACKENDS = "vllm.compilation.backends"
COMPILERS = ("jitc", "inductor")


def compiler_name() -> str:
    """What ``JITC_VLLM_COMPILER`` asks for."""
    name = os.environ.get("JITC_VLLM_COMPILER", "jitc")
    if name not in COMPILERS:
        raise ValueError(f"JITC_VLLM_COMPILER is {name!r}, but must be one of {', '.join(map(repr, COMPILERS))}")
    return name


def install() -> None:
    """Replaces ``make_compiler``, now or when its module is imported; any number of times."""
    compiler_name()
    if _BACKENDS in sys.modules:
        _replace(sys.modules[_BACKENDS])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # Importing it here would cost a second in processes that never compile.
        sys.meta_path.insert(0, _Finder())


def _replace(backends: ModuleType) -> None:
    original = backends.make_compiler
    if getattr(original, "_jitc", False):
        return

    from vllm import platforms

    @functools.wraps(original)
    def make_compiler(compilation_config: Any, *args: Any, **kwargs: Any) -> Any:  # vLLM 0.33: use_aot_compile
        instead = original(compilation_config, *args, **kwargs)
        if compilation_config.backend != "inductor":
            return instead
        if platforms.current_platform.is_cpu():
            complete_operators()
        if compiler_name() == "inductor":
            return instead
        from jitc.vllm._compiler import JitcCompiler

        return JitcCompiler(instead, compilation_config)

    make_compiler._jitc = True  # type: ignore[attr-defined]
    backends.make_compiler = make_compiler  # type: ignore[attr-defined]


def complete_operators() -> None:
    """Declares the operators that a pass over Inductor's graphs names, and vLLM on a CPU has not.

    The pass compares with them; it would fail at the first operator that writes an argument.
    """
    import inspect
    import re

    import torch
    from vllm.compilation.passes.utility import fix_functionalization

    named = set(re.findall(r"torch\.ops\._C\.(\w+)\.default", inspect.getsource(fix_functionalization)))
    missing = [name for name in sorted(named) if not hasattr(torch.ops._C, name)]
    if missing:
        library: Any = torch.library.Library("_C", "FRAGMENT")  # type: ignore[no-untyped-call]
        _libraries.append(library)
        for name in missing:
            library.define(f"{name}() -> ()")


_libraries: list[Any] = []


class _Finder(importlib.abc.MetaPathFinder):
    """Finds vLLM's module as the other finders do, and changes it once it is executed."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if name != _BACKENDS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _replace(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
