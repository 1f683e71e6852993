"""Things by their names: what generated code refers to, across processes."""

from __future__ import annotations

import importlib
import operator
import sys
import types
from collections.abc import Callable
from typing import Any

from torch.fx.node import _get_qualified_name


def address(thing: Any) -> tuple[str, str] | None:
    """Module and name of a global of the code; None: it has none."""
    if isinstance(thing, (float, type(None))):
        return "", repr(thing)
    if isinstance(thing, types.ModuleType):
        return thing.__name__, ""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    try:
        return (module, name) if thing_at((module, name)) is thing else None
    except (ImportError, AttributeError):
        return None


_LITERALS = {"inf": float("inf"), "nan": float("nan"), "-inf": float("-inf"), "None": None}


def thing_at(where: tuple[str, str]) -> Any:
    """What address() gave the address of."""
    module, name = where
    if not module:
        return _LITERALS[name]
    found = importlib.import_module(module)
    return operator.attrgetter(name)(found) if name else found


def function_name(function: Callable[..., Any]) -> str | None:
    """The name under which FX would write a function, if that is the function's alone: "torch.rsqrt"."""
    try:
        name = _get_qualified_name(function)
        root, _, path = name.partition(".")
        return name if operator.attrgetter(path)(sys.modules[root]) is function else None
    except (RuntimeError, AttributeError, KeyError, ValueError):
        return None
