"""What the extension module offers; python/ext/ says how."""

from collections.abc import Callable, Iterable
from typing import Any

class Error(RuntimeError):
    status: int
    line: int
    node: str

class Program:
    params: tuple[tuple[str, str, bool], ...]
    stats: dict[str, Any]
    def run(self, *args: Any) -> tuple[Any, ...]: ...
    def save(self) -> bytes: ...

class Region:
    stats: dict[str, int]
    def __init__(self, slow: Callable[..., Any]) -> None: ...
    def run(self, *args: Any, **kwargs: Any) -> Any: ...
    def add(self, first: Any, gate: tuple[Any, ...]) -> None: ...
    def purge(self) -> None: ...
    def clear(self) -> None: ...

class Loaded:
    params: tuple[tuple[str, str, bool], ...]
    def __init__(self, context: Context, name: str, data: bytes, arch: str | None = None) -> None: ...
    def bind(self, param: int, tensor: Any) -> None: ...
    def run(self, *args: Any) -> tuple[Any, ...]: ...

class Context:
    device: str
    def __init__(
        self,
        device: str,
        device_type: int,
        device_id: int,
        cache_dir: str | None = None,
        *,
        threads: int = 0,
        framework_memory: bool = False,
        read_caches: list[str] = ...,
        trust_files: bool = ...,
        isolate: bool = ...,
    ) -> None: ...
    def build(
        self,
        name: str,
        text: str,
        *,
        strict: bool = False,
        ranges: list[tuple[str, int, int]] = ...,
        fallback: Callable[..., Any] | None = None,
        weights: list[int] = ...,
    ) -> Program: ...
    def load(self, name: str, data: bytes, *, fallback: Callable[..., Any] | None = None) -> Program: ...
    def refusals(
        self,
        name: str,
        text: str,
        *,
        strict: bool = False,
        ranges: list[tuple[str, int, int]] = ...,
    ) -> list[tuple[str, str, int, str]]: ...

def adopt(
    tensor_type: type,
    parameter_type: type,
    describe: Callable[..., Any],
    empty: Callable[..., Any],
    stream: Callable[..., Any],
    bump: Callable[..., Any],
    samples: list[tuple[Any, int, int, int]],
    exchange: bool = True,
) -> bool: ...
def has_abi() -> bool: ...
def build_id() -> str: ...
def left_behind() -> int: ...
def version() -> str: ...
def walk(
    nodes: Iterable[Any],
    node_type: type,
    titles: dict[int, tuple[str, bool, Any]],
    title: Callable[[Any], tuple[str, bool, Any]],
    other: Callable[[Any, bool], str | None],
) -> tuple[bytes, list[Any], list[str]]: ...
def archive_refusals(
    context: Context, path: str, archs: list[str], ranges: list[tuple[str, int, int]], *, strict: bool = False
) -> list[tuple[str, str, int, str]]: ...
def archive_compile(
    context: Context, path: str, archs: list[str], ranges: list[tuple[str, int, int]], *, strict: bool = False
) -> bytes: ...
