"""Options of the back end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from jitc import _archive

MODES = ("fused", "strict")
TRAINING = ("eager", "inductor")
ATTENTION = ("auto", "torch", "jitc")


@dataclass(frozen=True)
class Options:
    """What ``torch.compile(..., backend="jitc", options={...})`` and ``jitc.compile(..., options={...})`` take.

    mode: "fused" rounds what stays within a kernel once, as Inductor does; "strict" rounds after every operator, as eager does.
    cache_dir: where compiled classes are kept; None: $JITC_CACHE_DIR, else ~/.cache/jitc; "": in this process alone.
    bundle: what was compiled elsewhere and is taken from there: a bundle's file, or a folder that another run wrote.
        It is only read, and trusted: what is in it runs in this process.
    trust_files: take a bundle's file all the same where its group or everybody may write to it.
    bundle_write: write the folder ``bundle`` instead, to be shipped: all that graphs need is in it afterwards.  The folder
        takes the place of ``cache_dir``.
    split_ops: operators at which graphs are cut and which torch runs, as "cumsum" (in any spelling), "torch.cumsum",
        "x.cumsum", "aten::cumsum", "mylib::op" or "torch.ops.mylib.op.default".  A name that no operator of torch has is
        refused.
    attention: who runs scaled_dot_product_attention: "torch", "jitc", or "auto": libjitc on the CPU, and on a GPU for at
        most 16 rows of queries; torch, whose kernels are quicker there, for more.
    cuda_graphs: on a GPU, each graph of the model is captured per shape and replayed.  Weights, buffers and what is written
        are used where they lie, and captured anew where that changes; other tensors are copied in, and results out.
        Graphs that cannot be captured run as without.  On the CPU it does nothing, with one warning.
    training: who runs graphs that need gradients: "eager" or "inductor".
    threads: for compiling and for kernels on the CPU; 0: one per core.
    isolate: compile each kernel in a process of its own, where a crash of the compiler is an error here.
    """

    mode: str = "fused"
    cache_dir: str | None = None
    bundle: str | None = None
    bundle_write: bool = False
    split_ops: tuple[str, ...] = ()
    attention: str = "auto"
    cuda_graphs: bool = False
    training: str = "eager"
    threads: int = 0
    trust_files: bool = False
    isolate: bool = False

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, MODES)
        _one_of("training", self.training, TRAINING)
        _one_of("attention", self.attention, ATTENTION)
        _is("cache_dir", self.cache_dir, (str, type(None)), "a string or None")
        _is("bundle_write", self.bundle_write, bool, "True or False")
        _is("isolate", self.isolate, bool, "True or False")
        _is("trust_files", self.trust_files, bool, "True or False")
        _is("cuda_graphs", self.cuda_graphs, bool, "True or False")
        if not isinstance(self.threads, int) or self.threads < 0:
            raise ValueError(f"jitc: threads is {self.threads!r}, but must be an integer, 0 or more")
        if isinstance(self.split_ops, str) or not all(isinstance(name, str) for name in self.split_ops):
            raise TypeError(f"jitc: split_ops is {self.split_ops!r}, but must be names of operators")
        object.__setattr__(self, "split_ops", tuple(self.split_ops))  # lists come as well; options are keys of dicts
        self._check_bundle()

    def _check_bundle(self) -> None:
        _is("bundle", self.bundle, (str, os.PathLike, type(None)), "a path or None")
        if self.bundle is None:
            if self.bundle_write:
                raise ValueError("jitc: bundle_write needs bundle, the folder to write")
            return
        object.__setattr__(self, "bundle", os.path.abspath(os.fspath(self.bundle)))
        if self.bundle_write and (self.cache_dir is not None or os.path.isfile(self.bundle)):
            why = "cache_dir is given as well" if self.cache_dir is not None else f"{self.bundle} is a file"
            raise ValueError(f"jitc: bundle_write writes the folder bundle instead of cache_dir, but {why}")
        if not self.bundle_write and not os.path.exists(self.bundle):
            raise ValueError(f"jitc: there is no bundle {self.bundle}")
        if os.path.isfile(self.bundle) and not self.trust_files:
            doubt = _archive.distrust(os.stat(self.bundle), any_owner=True)  # naming it trusts its owner
            if doubt:
                raise _archive.Untrusted(f"jitc: the bundle {self.bundle} {doubt}; trust_files takes it all the same")


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"jitc: {name} is {value!r}, but must be one of {', '.join(map(repr, choices))}")


def _is(name: str, value: Any, types: Any, what: str) -> None:
    if not isinstance(value, types):
        raise TypeError(f"jitc: {name} is {value!r}, but must be {what}")


def read(options: Mapping[str, Any] | None) -> Options:
    """Options from the dict that torch.compile hands over; an unknown name is refused."""
    known = {field.name for field in fields(Options)}
    unknown = sorted(set(options or {}) - known)
    if unknown:
        raise ValueError(f"jitc: unknown option {', '.join(map(repr, unknown))}; there are {', '.join(sorted(known))}")
    return Options(**dict(options or {}))
