"""Ahead of time: ``load`` runs what ``export`` wrote."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch.utils import _pytree as pytree

from jitc import _archive, _jitc
from jitc import _torch as ours
from jitc._options import Options


class LoadedModel:
    """A compiled model with its weights: called as the module was, from any thread.

    Results have the structure of the module's.  Buffers that the module writes are the model's own, and keep what was written.
    """

    def __init__(self, path: str, device: torch.device, *, trust_file: bool = False) -> None:
        archive = _archive.Archive(path, trust_file=trust_file)
        self._manifest = _archive.Manifest.parse(archive.read(_archive.MANIFEST))
        options = Options()
        arch = "host" if device.type == "cpu" else None  # that of the GPU
        self._model = _jitc.Loaded(ours.context(device, options), path, archive.read(_archive.BUNDLE), arch)
        self.device = device
        self.weights = _weights(archive, self._manifest, device)
        archive.close()
        for weight in self._manifest.weights:
            self._model.bind(weight.param, self.weights[weight.name])
        self._in_spec = pytree.treespec_loads(self._manifest.in_spec)
        self._out_spec = pytree.treespec_loads(self._manifest.out_spec)
        self._inputs = sorted((leaf["param"], i) for i, leaf in enumerate(self._manifest.inputs) if "param" in leaf)
        self._constants = [(i, leaf["constant"]) for i, leaf in enumerate(self._manifest.inputs) if "param" not in leaf]
        # Most models take tensors and give one or a tuple: trees need not be walked for those.
        args, kwargs = pytree.tree_unflatten(range(self._in_spec.num_leaves), self._in_spec)
        self._flat_in = None if kwargs or list(args) != list(range(len(args))) or self._constants else len(args)
        self._order = [i for _, i in self._inputs]
        results = pytree.tree_unflatten(range(self._out_spec.num_leaves), self._out_spec)
        given = [leaf.get("result") for leaf in self._manifest.outputs]
        flat = (results == 0 or (type(results) is tuple and list(results) == given)) and given == list(range(len(given)))
        self._flat_out = ("one" if results == 0 else "tuple") if flat else ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == self._flat_in and not kwargs:
            return self._results(self._model.run(*[args[i] for i in self._order]))
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if spec != self._in_spec:
            leaves = self._arranged(args, kwargs)
        for i, constant in self._constants:
            if type(leaves[i]) is not type(constant) or leaves[i] != constant:
                raise ValueError(f"The model was exported for {constant!r} as argument {i}, not for {leaves[i]!r}.")
        return self._results(self._model.run(*[leaves[i] for i in self._order]))

    def _results(self, results: tuple[Any, ...]) -> Any:
        if self._flat_out:
            return results[0] if self._flat_out == "one" else results
        outputs = [results[leaf["result"]] if "result" in leaf else leaf["constant"] for leaf in self._manifest.outputs]
        return pytree.tree_unflatten(outputs, self._out_spec)

    def _arranged(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The leaves of arguments that are passed another way than they were at the export: by name, or in another order."""
        names, positional = self._manifest.arguments, self._manifest.positional
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if len(args) + len(kwargs) == len(names) and set(given) == set(names):
            by_place, by_name = names[:positional], names[positional:]
            leaves, spec = pytree.tree_flatten((tuple(map(given.get, by_place)), {name: given[name] for name in by_name}))
            if spec == self._in_spec:
                return leaves
        raise TypeError(
            f"The model takes {self._in_spec}, with the names {', '.join(names)}; these arguments have another structure."
        )

    def __repr__(self) -> str:
        names = ", ".join(self._manifest.arguments)
        return f"<jitc model ({names}) on {self.device}, {len(self.weights)} weights, for {', '.join(self._manifest.targets)}>"


def _weights(archive: _archive.Archive, manifest: _archive.Manifest, device: torch.device) -> dict[str, torch.Tensor]:
    """The weights, on the CPU where the file is mapped, else copied from there: each shared storage once.

    The mapping is private: what is written stays in this process.
    """
    size = os.path.getsize(archive.path)
    mapped: Any = torch.UntypedStorage.from_file(archive.path, False, size)
    storages: dict[str, Any] = {}
    weights: dict[str, torch.Tensor] = {}
    for weight in manifest.weights:
        dtype = getattr(torch, weight.dtype)
        first, length = archive.place(weight.entry)
        reach = weight.offset + sum((n - 1) * s for n, s in zip(weight.shape, weight.strides, strict=True)) + 1
        numbers = [weight.offset, *weight.shape, *weight.strides]
        if min(numbers) < 0 or first + length > size or (0 not in weight.shape and reach * dtype.itemsize > length):
            raise _archive.ArchiveError(f"{archive.path}: the file is damaged: {weight.name} reaches beyond its bytes")
        if weight.entry not in storages:
            data = torch.empty(0, dtype=torch.uint8, device="cpu").set_(mapped, first, (length,), (1,))
            aligned = first % dtype.itemsize == 0 and device.type == "cpu"
            storages[weight.entry] = mapped if aligned else data.to(device, copy=True).untyped_storage()
        storage = storages[weight.entry]
        offset = weight.offset + (first // dtype.itemsize if storage is mapped else 0)
        empty = torch.empty(0, dtype=dtype, device=device)
        weights[weight.name] = empty.set_(storage, offset, tuple(weight.shape), tuple(weight.strides))
    return weights


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu", *, trust_file: bool = False) -> LoadedModel:
    """A model that ``jitc.export`` wrote, to be called on DEVICE: without Dynamo, and without the compiler.

    On the CPU the weights are mapped, not read.  Raises ``jitc.Error`` where the file holds no code for the device, and
    ``ValueError`` where it is damaged or nothing of ``jitc.export``'s.

    The file holds machine code: whoever wrote it can do all that this process can.  One that belongs to another user (neither
    this one nor root), or that its group or everybody may write to, raises ``PermissionError``, unless trust_file is True.
    """
    return LoadedModel(os.fspath(path), torch.device(device), trust_file=trust_file)
