"""libjitc for Python: a back end for ``torch.compile``.

``torch.compile(model, backend="jitc")`` compiles a model's graphs with libjitc, for inference.  The back end is found
by its entry point: nothing has to be imported.  ``compile(fn)`` compiles one function or layer, for engines that have no
graph of the whole.  ``explain(model, *args)`` tells what of a model libjitc compiles, and
which operators torch runs.

``export(model, args, "model.jitc")`` compiles a model ahead of time, and ``load("model.jitc")`` runs it.

Options, as ``torch.compile(model, backend="jitc", options={...})``: see ``jitc.Options``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitc._jitc import Error, version
from jitc._options import Options

if TYPE_CHECKING:
    from jitc._backend import backend
    from jitc._explain import Explanation, Fallback, GraphReport, explain
    from jitc._export import Unsupported, export
    from jitc._load import LoadedModel, load
    from jitc._region import compile

__version__ = version()
__all__ = ["Error", "Explanation", "Fallback", "GraphReport", "Options", "backend", "compile", "explain"]
__all__ += ["LoadedModel", "Unsupported", "export", "load"]

# What needs torch is imported when it is asked for: the tool and the version do without.
_LAZY = {
    "backend": "jitc._backend",
    "compile": "jitc._region",
    "export": "jitc._export",
    "Unsupported": "jitc._export",
    "load": "jitc._load",
    "LoadedModel": "jitc._load",
    "explain": "jitc._explain",
    "Explanation": "jitc._explain",
    "Fallback": "jitc._explain",
    "GraphReport": "jitc._explain",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jitc' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
