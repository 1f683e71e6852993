"""Ahead of time: ``export`` compiles a model into a file that ``load`` runs."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from jitc import _archive, _jitc
from jitc import _torch as ours
from jitc._options import Options

_LARGEST = 2**31 - 1


class Unsupported(RuntimeError):
    """A model that cannot be compiled as a whole.

    refusals: tuples of operator, node, number of the node and reason, for everything that libjitc does not take.
    """

    def __init__(self, refusals: list[tuple[str, str, int, str]]) -> None:
        self.refusals = refusals
        lines = "".join(f"\n  {node or op or 'graph'} (node {line}): {reason}" for op, node, line, reason in refusals)
        super().__init__(f"The model cannot be compiled ahead of time: {len(refusals)} of its nodes are not supported.{lines}")


# ---- operators that are written in others ------------------------------------------------------------------------------


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """scaled_dot_product_attention as products and a softmax; rows that see nothing give 0, as torch's do."""
    if dropout_p:
        raise NotImplementedError("dropout is for training")
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal:
        rows = torch.arange(query.shape[-2], device=query.device).unsqueeze(-1)
        scores = scores.masked_fill(torch.arange(key.shape[-2], device=query.device) > rows, float("-inf"))
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, float("-inf")) if attn_mask.dtype == torch.bool else scores + attn_mask
    weights = torch.softmax(scores, -1)
    if attn_mask is not None:
        weights = weights.masked_fill(scores.amax(-1, keepdim=True) == float("-inf"), 0.0)
    return torch.matmul(weights, value)


_OURS: dict[Any, Callable[..., Any]] = {torch.ops.aten.scaled_dot_product_attention.default: _attention}


def _operators(program: ExportedProgram) -> set[Any]:
    modules = [module for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    return {node.target for module in modules for node in module.graph.nodes if node.op == "call_function"}


def _rewritten(program: ExportedProgram, refused: Iterable[str]) -> ExportedProgram | None:
    """The program with those of the REFUSED operators ("torch.ops.aten.x.y") written in others that can be; None: none can."""
    names = set(refused)
    wanted = {target for target in _operators(program) if f"torch.ops.{target}" in names}
    known = torch.export.default_decompositions()
    table = {target: _OURS.get(target) or known[target] for target in wanted if target in _OURS or target in known}
    return program.run_decompositions(table) if table else None


# ---- what the file says of the program ----------------------------------------------------------------------------------


def _in(spec: Any, params: Mapping[str, int]) -> dict[str, Any]:
    name = getattr(spec.arg, "name", None)
    return (
        {"param": params[name]} if isinstance(name, str) and name in params else {"constant": getattr(spec.arg, "value", None)}
    )


def _manifest(program: ExportedProgram, entries: Mapping[str, Any], targets: list[str]) -> _archive.Manifest:
    signature = program.graph_signature
    params: dict[str, int] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and isinstance(node.meta.get("val"), (torch.Tensor, torch.SymInt)):
            params[node.name] = len(params)
    inputs = [_in(spec, params) for spec in signature.input_specs if spec.kind == InputKind.USER_INPUT]
    outputs: list[dict[str, Any]] = []
    for result, spec in enumerate(s for s in signature.output_specs if s.kind == OutputKind.USER_OUTPUT):
        constant = not getattr(spec.arg, "name", None)
        outputs.append({"constant": getattr(spec.arg, "value", None)} if constant else {"result": result})
    weights = [
        _archive.Weight(param=params[str(spec.arg.name)], name=spec.target, **entries[spec.target])
        for spec in signature.input_specs
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR) and spec.target is not None
    ]
    entry = program.module_call_graph[0].signature
    if entry is None:
        raise ValueError("jitc.export: the program does not say what its arguments are")
    return _archive.Manifest(
        format=_archive.FORMAT,
        jitc=_jitc.version(),
        torch=torch.__version__,
        targets=targets,
        arguments=list(entry.forward_arg_names or []),
        positional=len(pytree.tree_unflatten([None] * entry.in_spec.num_leaves, entry.in_spec)[0]),
        in_spec=pytree.treespec_dumps(entry.in_spec),
        out_spec=pytree.treespec_dumps(entry.out_spec),
        inputs=inputs,
        outputs=outputs,
        weights=weights,
    )


# torch.export's numbers.
_DTYPES = dict(enumerate(["uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"], 1))
_DTYPES |= {12: "bool", 13: "bfloat16", 29: "float8_e4m3fn", 30: "float8_e5m2"}


def _entries(path: str) -> dict[str, Any]:
    """Where torch.export.save put each weight, by its name in the module."""
    found: dict[str, Any] = {}
    archive = _archive.Archive(path)
    for kind in ("weights", "constants"):
        for name, payload in json.loads(archive.read(f"data/{kind}/model_{kind}_config.json"))["config"].items():
            meta = payload["tensor_meta"]
            if payload["use_pickle"] or meta is None or meta["dtype"] not in _DTYPES:
                continue  # the graph's reader has refused what uses it
            found[name] = {
                "entry": f"data/{kind}/{payload['path_name']}",
                "dtype": _DTYPES[meta["dtype"]],
                "shape": [size["as_int"] for size in meta["sizes"]],
                "strides": [stride["as_int"] for stride in meta["strides"]],
                "offset": meta["storage_offset"]["as_int"],
            }
    archive.close()
    return found


def _ranges(program: ExportedProgram) -> list[tuple[str, int, int]]:
    """What the symbols of the program can be.  A lower bound of 2 only says that torch did not trace for 0 and 1."""
    ranges = []
    for symbol, bounds in program.range_constraints.items():
        lower = int(bounds.lower) if bounds.lower.is_Integer else 0
        upper = int(bounds.upper) if bounds.upper.is_Integer else _LARGEST
        if symbol.is_Symbol and any(str(symbol) == str(s) for s in _symbols(program)):
            ranges.append((str(symbol), 1 if lower <= 2 else lower, min(upper, _LARGEST)))
    return ranges


def _symbols(program: ExportedProgram) -> set[Any]:
    found: set[Any] = set()
    for node in program.graph.nodes:
        val = node.meta.get("val")
        if node.op == "placeholder" and isinstance(val, torch.Tensor):
            for size in (*val.shape, *val.stride()):
                found |= size.node.expr.free_symbols if isinstance(size, torch.SymInt) else set()
        elif node.op == "placeholder" and isinstance(val, torch.SymInt):
            found |= val.node.expr.free_symbols
    return found


# ---- the whole ----------------------------------------------------------------------------------------------------------


def _default_targets(program: ExportedProgram) -> list[str]:
    known = [*program.state_dict.values(), *program.constants.values(), *pytree.tree_leaves(program.example_inputs)]
    if not any(isinstance(value, torch.Tensor) and value.is_cuda for value in known):
        return ["host"]
    major, minor = torch.cuda.get_device_capability()
    return [f"sm_{major}{minor}" + ("a" if major >= 9 else "")]


def _save(program: ExportedProgram, path: str) -> None:
    """By torch, and as `model`, whatever the file is called."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    torch.export.save(program, path)


def _settled(program: ExportedProgram, path: str, refusals: Callable[[], list[tuple[str, str, int, str]]]) -> ExportedProgram:
    """The program as it is in the file at PATH, where all of it is taken; Unsupported otherwise."""
    first = _rewritten(program, (f"torch.ops.{target}" for target in _OURS))
    program = first or program
    for _ in range(8):
        _save(program, path)
        found = refusals()
        if not found:
            return program
        rewritten = _rewritten(program, (op.removeprefix("?") for op, *_ in found))
        if rewritten is None:
            raise Unsupported(found)
        program = rewritten
    raise Unsupported(found)


def _custom(program: ExportedProgram) -> list[tuple[str, str, int, str]]:
    """Operators whose bodies are elsewhere: nobody would run them where the file is loaded."""
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    return [
        (f"torch.ops.{node.target}", node.name, i + 1, "a custom operator: there is nobody to run it where the file is loaded")
        for i, node in enumerate(nodes)
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace not in ("aten", "prims")
    ]


def export(
    model: torch.nn.Module | ExportedProgram,
    args: tuple[Any, ...],
    path: str | os.PathLike[str],
    dynamic_shapes: Any = None,
    *,
    kwargs: dict[str, Any] | None = None,
    targets: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Compiles a model ahead of time into the file PATH, which ``jitc.load`` runs without Dynamo and without a compiler.

    model: a module, exported by torch.export with ARGS, KWARGS and DYNAMIC_SHAPES as that takes them; or what that gave.
    targets: what to compile for, "host" or GPUs such as "sm_90a", which need not be there; default: where weights and ARGS lie.
    options: "mode" and "threads" as ``jitc.Options`` has them, "cache_dir".

    The weights are written once, by torch, and compiled code beside them; nothing is written where that fails.  Raises
    ``Unsupported``, with all nodes that libjitc does not take: ahead of time there is nothing to fall back on.  Operators that
    torch can write in others that libjitc takes are written so.
    """
    unknown = sorted(set(options or {}) - {"mode", "cache_dir", "threads"})
    if unknown:
        raise ValueError(f"jitc: an export has no option {', '.join(map(repr, unknown))}; there are cache_dir, mode, threads")
    chosen = Options(**dict(options or {}))
    if isinstance(model, ExportedProgram):
        program = model
    else:
        with torch.no_grad():
            program = torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes)
    custom = _custom(program)
    if custom:
        raise Unsupported(custom)
    archs = list(targets) if targets is not None else _default_targets(program)
    context = ours.context(torch.device("cpu"), chosen)
    path = os.fspath(path)
    ranges, strict = _ranges(program), chosen.mode == "strict"
    with tempfile.TemporaryDirectory(prefix=".jitc-", dir=os.path.dirname(os.path.abspath(path))) as folder:
        temporary = os.path.join(folder, "model.pt2")

        def refusals() -> list[tuple[str, str, int, str]]:
            found = [_jitc.archive_refusals(context, temporary, [arch], ranges, strict=strict) for arch in archs]
            return list(dict.fromkeys(refusal for each in found for refusal in each))

        program = _settled(program, temporary, refusals)
        bundle = _jitc.archive_compile(context, temporary, archs, ranges, strict=strict)
        _archive.add(temporary, _manifest(program, _entries(temporary), archs), bundle)
        os.chmod(temporary, stat.S_IMODE(os.stat(temporary).st_mode) & ~0o022)  # code that others may write to is not loaded
        os.replace(temporary, path)
