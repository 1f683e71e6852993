"""torch's side of the extension module, and the contexts of this process.

The extension module knows no torch: tensors cross by the DLPack exchange table that torch.Tensor carries, and by the
functions here where it carries none (before torch 2.10).
"""

from __future__ import annotations

import os
import threading
from typing import Any

import torch

from jitc import _jitc
from jitc._options import Options

# DLPack's code and bits of each dtype that libjitc knows.
DTYPES: dict[torch.dtype, tuple[int, int]] = {
    torch.float16: (2, 16),
    torch.float32: (2, 32),
    torch.float64: (2, 64),
    torch.bfloat16: (4, 16),
    torch.int8: (0, 8),
    torch.int16: (0, 16),
    torch.int32: (0, 32),
    torch.int64: (0, 64),
    torch.uint8: (1, 8),
    torch.bool: (6, 8),
    torch.float8_e4m3fn: (10, 8),
    torch.float8_e5m2: (12, 8),
}
_DTYPE_OF = {code: dtype for dtype, code in DTYPES.items()}
_CPU, _CUDA = 1, 2


def describe(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Address, device type and id, dtype code and bits, shape and strides of a tensor."""
    code, bits = DTYPES[tensor.dtype]
    kind = _CUDA if tensor.is_cuda else _CPU
    return (
        tensor.data_ptr(),
        kind,
        tensor.get_device() if tensor.is_cuda else 0,
        code,
        bits,
        tuple(tensor.shape),
        tensor.stride(),
    )


def empty(shape: tuple[int, ...], strides: tuple[int, ...], code: int, bits: int, kind: int, index: int) -> torch.Tensor:
    """A new tensor of torch's memory."""
    device = torch.device("cuda", index) if kind == _CUDA else torch.device("cpu")
    return torch.empty_strided(shape, strides, dtype=_DTYPE_OF[code, bits], device=device)


def stream(index: int) -> int:
    """The stream that work on a GPU goes to now."""
    return int(torch.cuda.current_stream(index).cuda_stream)


def adopt(exchange: bool = True) -> bool:
    """Hands torch's side over; answers whether tensors cross by the exchange table."""
    bump = torch.autograd.graph.increment_version
    tensors = [torch.empty(1, dtype=dtype) for dtype in DTYPES]
    samples = [(tensor, tensor._cdata, *DTYPES[tensor.dtype]) for tensor in tensors]
    return _jitc.adopt(torch.Tensor, torch.nn.Parameter, describe, empty, stream, bump, samples, exchange)


adopt()


def has_abi() -> bool:
    """Whether tensors are looked at by torch's C functions."""
    return _jitc.has_abi()


_contexts: dict[tuple[Any, ...], _jitc.Context] = {}
_contexts_lock = threading.Lock()


def context(device: torch.device, options: Options) -> _jitc.Context:
    """The context for a device and a cache: one for all graphs of this process, so that equal ones are compiled once."""
    index = (device.index or 0) if device.type == "cuda" else 0
    name = f"cuda:{index}" if device.type == "cuda" else "host"
    cache = options.bundle if options.bundle_write else options.cache_dir
    cache = os.path.abspath(cache) if cache else cache
    read = [options.bundle] if options.bundle and not options.bundle_write else []
    key = (name, cache, options.threads, options.trust_files, options.isolate, *read)
    with _contexts_lock:
        if key not in _contexts:
            kind = _CUDA if device.type == "cuda" else _CPU
            _contexts[key] = _jitc.Context(
                name,
                kind,
                index,
                cache,
                threads=options.threads,
                read_caches=read,
                trust_files=options.trust_files,
                isolate=options.isolate,
            )
        return _contexts[key]
