"""The compiler that vLLM hands pieces to: ``vllm.compilation.compiler_interface.CompilerInterface``.

A piece that is like one that was built before, in this process or in an earlier one, is not built again: its key
(``_recipe``) names an entry (``_entry``), in memory or in a file beside vLLM's cache.  vLLM keeps two strings for a
piece, the entry's key and the digest of the piece's walk; with these ``load`` finds the entry without printing or
reading any text, and sees whether it is the piece's.  What is damaged, missing or another's is built again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx
from vllm import envs
from vllm.compilation.compiler_interface import CompilerInterface
from vllm.logger import init_logger

from jitc import _facts as facts
from jitc import _jitc
from jitc._backend import DEVICES
from jitc._compile import Compiled, Result, compile_graph
from jitc._normal import normalise
from jitc._options import Options
from jitc._partition import whole
from jitc._torch import context
from jitc.vllm._entry import Entry, Unfit, load, of_result
from jitc.vllm._recipe import Declined, Recipe, Walk, is_custom, lifted

log: logging.Logger = init_logger("vllm.jitc")


@dataclass
class Counters:
    """What became of the pieces of this process."""

    pieces: int = 0  # handed over, to compile or to load
    built: int = 0  # entries that were built from a graph
    compiled: int = 0  # classes that were compiled for them: not found in libjitc's cache
    shared: int = 0  # pieces whose entry was in memory
    read: int = 0  # entries of files that were used
    unfit: int = 0  # files that were not as they should be
    declined: int = 0  # pieces that Inductor got
    compile_ms: float = 0.0
    load_ms: float = 0.0
    open_ms: float = 0.0  # reading the files, before


counters = Counters()
# By cache, device and key: the entry, and the digest of its pieces' walk.
_entries: dict[tuple[str | None, str, str], tuple[Entry, str]] = {}
_lock = threading.RLock()
_INSTEAD = "instead "


def options() -> Options:
    """What the environment asks for."""
    cache = os.environ.get("JITC_CACHE_DIR", os.path.join(envs.VLLM_CACHE_ROOT, "jitc"))
    threads = int(os.environ.get("JITC_VLLM_THREADS", torch.get_num_threads()))
    return Options(mode=os.environ.get("JITC_VLLM_MODE", "fused"), cache_dir=cache, threads=threads)


def _target() -> str:
    """What code is for, as far as this process alone knows."""
    if torch.cuda.is_available():
        return f"cuda {torch.cuda.get_device_capability()}"
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def identity(chosen: Options) -> str:
    """All but the piece that an entry depends on."""
    python = f"{sys.implementation.cache_tag} {sys.hexversion:x}"
    return f"jitc {_jitc.build_id()}; torch {torch.__version__}; {python}; {_target()}; {chosen.mode}"


class JitcCompiler(CompilerInterface):
    """libjitc as vLLM's compiler; INSTEAD is the one for pieces that are not for libjitc."""

    name = "jitc"

    def __init__(self, instead: CompilerInterface, compilation_config: Any) -> None:
        self._instead, self._config = instead, compilation_config
        self._options = options()
        self._identity = identity(self._options)
        self._folder: Path | None = None
        self._device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
        self._opened: dict[str, tuple[Entry, str, _Again]] = {}
        self._reasons: set[str] = set()
        self._vllm_config: Any = None

    # ---- vLLM's interface ----

    def initialize_cache(self, cache_dir: str, disable_cache: bool = False, prefix: str = "") -> None:
        """Entries lie in a folder below CACHE_DIR; without a cache nothing is kept, not even in libjitc's own."""
        self._instead.initialize_cache(cache_dir, disable_cache, prefix)
        self._folder = None if disable_cache else Path(cache_dir, "jitc")
        if disable_cache:
            self._options = Options(mode=self._options.mode, cache_dir="", threads=self._options.threads)
        else:
            self._open()

    def _open(self) -> None:
        """Reads all entries that there are: load() finds them in memory."""
        start = time.perf_counter()
        try:
            keys = sorted(os.listdir(self._folder))
        except OSError:
            return
        for key in keys:
            found = self._read(key, self._device)
            if found is not None:
                self._opened[key] = found
        counters.open_ms += (time.perf_counter() - start) * 1e3

    def compute_hash(self, vllm_config: Any) -> str:
        """What vLLM's cache directory depends on, besides what vLLM knows itself."""
        self._vllm_config = vllm_config
        return hashlib.sha256(self._identity.encode()).hexdigest()[:10]

    def compile(
        self,
        graph: fx.GraphModule,
        example_inputs: list[Any],
        compiler_config: dict[str, Any],
        compile_range: Any,
        key: str | None = None,
    ) -> tuple[Compiled | None, Any | None]:
        """A callable for a piece, and the two strings that load() will get."""
        start = time.perf_counter()
        counters.pieces += 1
        try:
            entry, recipe = self._entry(graph, example_inputs, compile_range)
            call = entry.bind(graph, recipe.walk.attributes, recipe.walk.literals)
        except Declined as declined:
            return self._decline(str(declined), graph, example_inputs, compiler_config, compile_range, key)
        counters.compile_ms += (time.perf_counter() - start) * 1e3
        return call, (recipe.key, recipe.walk.digest)

    def load(
        self, handle: Any, graph: fx.GraphModule, example_inputs: list[Any], graph_index: int, compile_range: Any
    ) -> Compiled | None:
        """The callable of a piece that was compiled at an earlier start."""
        key, digest = handle
        if key.startswith(_INSTEAD):
            return self._load_instead(key[len(_INSTEAD) :], digest, graph, example_inputs, graph_index, compile_range)
        start = time.perf_counter()
        counters.pieces += 1
        walk = Walk(graph.graph)
        with _lock:
            entry = self._find(key, walk, graph, self._device_of(graph)) if walk.digest == digest else None
        if entry is None:
            try:
                entry, _ = self._entry(graph, example_inputs, compile_range)
            except Declined:
                return None  # vLLM compiles it
        call = entry.bind(graph, walk.attributes, walk.literals)
        counters.load_ms += (time.perf_counter() - start) * 1e3
        return call

    # ---- entries ----

    def _device_of(self, graph: fx.GraphModule) -> torch.device:
        """Where a piece that libjitc compiled runs: on a CPU there is no need to look."""
        return self._device if self._device.type == "cpu" else device_of(graph.graph)

    def _entry(self, graph: fx.GraphModule, examples: Sequence[Any], compile_range: Any) -> tuple[Entry, Recipe]:
        """The entry of a piece: found, or built.  Raises Declined."""
        device = device_of(graph.graph)
        if device.type not in DEVICES:
            raise Declined(f"it runs on {device.type}")
        if device.type == "cuda" and self._config.use_inductor_graph_partition:
            raise Declined("use_inductor_graph_partition leaves it to Inductor what CUDA graphs hold")
        recipe = Recipe(graph.graph, examples, compile_range.start, compile_range.end, self._identity)
        with _lock:  # equal pieces are built once, whoever comes first
            entry = self._find(recipe.key, recipe.walk, graph, device)
            if entry is None:
                entry = self._build(recipe, graph)
                _entries[self._options.cache_dir, str(device), recipe.key] = entry, recipe.walk.digest
                self._write(recipe, entry)
        return entry, recipe

    def _find(self, key: str, walk: Walk, graph: fx.GraphModule, device: torch.device) -> Entry | None:
        """The entry of that KEY, if it is one for pieces with that WALK."""
        place = self._options.cache_dir, str(device), key
        known = _entries.get(place)
        if known is not None:
            counters.shared += known[1] == walk.digest
            return known[0] if known[1] == walk.digest else None
        found = self._opened.get(key) if device == self._device else self._read(key, device)
        if found is None:
            return None
        entry, digest, again = found
        if digest != walk.digest:
            log.debug("jitc: %s/%s is another piece's", self._folder, key)
            return None
        again.bind(graph, walk)
        counters.read += 1
        _entries[place] = entry, digest
        return entry

    def _read(self, key: str, device: torch.device) -> tuple[Entry, str, _Again] | None:
        """An entry from its file, and the digest of its pieces' walk."""
        if self._folder is None:
            return None
        again = _Again(self._options)
        try:
            with open(f"{self._folder}/{key}", "rb") as file:
                data = file.read()
            return *load(data, self._identity, key, context(device, self._options), again.program), again
        except OSError:
            return None
        except (Unfit, _jitc.Error, ImportError, AttributeError) as reason:
            counters.unfit += 1
            log.debug("jitc: %s/%s is of no use: %s", self._folder, key, reason)
            return None

    def _build(self, recipe: Recipe, graph: fx.GraphModule) -> Entry:
        result = build(graph, recipe.walk, self._options, recipe.ranges)
        for node, reason in result.plan.reasons():
            if not _is_torchs(node):
                raise Declined(f"{facts.title_of(node)}: {reason}")
        counters.built += 1
        counters.compiled += sum(program.stats["compiled"] for program in result.programs.values())
        return of_result(result, recipe.walk.attributes)

    def _write(self, recipe: Recipe, entry: Entry) -> None:
        """Keeps an entry for the next start.  What cannot be written is built again then."""
        data = entry.save(self._identity, recipe.key, recipe.walk.digest) if self._folder else None
        if data is None or self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(data)
            os.replace(file.name, self._folder / recipe.key)
        except OSError as error:
            log.warning("jitc: %s cannot be written: %s", self._folder / recipe.key, error)

    # ---- pieces that are not for libjitc ----

    def _decline(
        self,
        reason: str,
        graph: fx.GraphModule,
        examples: list[Any],
        config: dict[str, Any],
        compile_range: Any,
        key: str | None,
    ) -> tuple[Compiled | None, Any | None]:
        counters.declined += 1
        if reason not in self._reasons:
            self._reasons.add(reason)
            log.info("jitc: %s compiles pieces in its place, %d so far: %s", self._instead.name, counters.declined, reason)
        call, handle = self._instead.compile(graph, examples, config, compile_range, key)
        if handle is not None:
            handle = (f"{_INSTEAD}{self._instead_hash()} {handle[0]}", handle[1])
        return call, handle

    def _load_instead(
        self, key: str, path: str, graph: fx.GraphModule, examples: list[Any], index: int, compile_range: Any
    ) -> Compiled | None:
        """None, and vLLM compiles, where the other compiler is not the one that it was."""
        made_by, key = key.split(" ", 1)
        if made_by != self._instead_hash():
            return None
        counters.declined += 1
        call: Compiled = self._instead.load((key, path), graph, examples, index, compile_range)
        return call

    def _instead_hash(self) -> str:
        return self._instead.compute_hash(self._vllm_config) or "-"


def device_of(graph: fx.Graph) -> torch.device:
    """Where a piece runs: on the GPU that one of its parameters is on, else on the CPU."""
    for node in graph.nodes:
        if node.op != "placeholder":
            break
        value = facts.value(node)
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            return value.device
    return torch.device("cpu")


# Operators for which Inductor has no code of its own either.
_CALLED = frozenset(["topk", "kthvalue", "mode", "nonzero", "bincount", "histc", "multinomial"])


def _is_torchs(node: fx.Node) -> bool:
    """Whether Inductor would call an operator just as torch does, so that nothing is lost."""
    return (
        is_custom(node.target)
        or facts.name_of(whole(node)) in _CALLED
        or facts.is_allocation(node)
        or facts.is_view(node)
        or facts.is_number(node)
    )


def build(graph: fx.GraphModule, walk: Walk, chosen: Options, ranges: dict[str, tuple[int, int]]) -> Result:
    """Compiles a copy of a piece; vLLM goes on using the graph itself, for other ranges."""
    copy = lifted(graph.graph, graph, walk.literals)
    normalise(copy.graph)
    return compile_graph(copy, chosen, ranges)


class _Again:
    """torch's way through a piece that was loaded, for calls that do not fit: the piece is cut again, when one comes."""

    def __init__(self, chosen: Options) -> None:
        self._options = chosen
        self._piece: tuple[fx.GraphModule, Walk] | None = None
        self._result: Result | None = None

    def bind(self, graph: fx.GraphModule, walk: Walk) -> None:
        """Says what the piece is: any of the class."""
        self._piece = graph, walk

    def program(self, index: int) -> Compiled:
        """What runs in place of program INDEX."""

        def run(*args: Any) -> Any:
            if self._result is None:
                assert self._piece is not None  # or nobody could call it
                log.warning("jitc: tensors of a call do not fit what was compiled (strides or overlaps); torch runs it")
                self._result = build(*self._piece, self._options, {})
            lowered = list(self._result.lowered.values())[index]
            return fx.Interpreter(fx.GraphModule(torch.nn.Module(), lowered.graph)).run(*args)

        return run
