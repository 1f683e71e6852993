"""A class of pieces as it is built once: its programs and the code that joins them; and as bytes, for the next start.

Bytes are a head, a digest of what follows, and that: a marshalled tuple.  It holds Python code and machine code, so it
is as trusted as an installed package; the digest is against damage.
"""

from __future__ import annotations

import hashlib
import logging
import marshal
import operator
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from jitc._compile import Assembly, Compiled, Result
from jitc._jitc import Context, Program
from jitc.vllm._names import address, thing_at

log = logging.getLogger("vllm.jitc")
_HEAD = b"jitc vllm entry 1\n"
_DIGEST = 32


class Unfit(Exception):
    """Bytes are not those of an entry for this process; the message says why."""


class Entry:
    """Programs, code and what that code needs: shared by all pieces of a class."""

    def __init__(
        self,
        programs: Sequence[Program],
        code: types.CodeType | None,
        scope: dict[str, Any],
        origins: dict[str, tuple[str, int | str]],
    ) -> None:
        self.programs, self.code, self.origins = list(programs), code, origins
        used = set() if code is None else names_in(code)
        self._names = {name: address(thing) for name, thing in scope.items() if name in used}
        self._function = None if code is None else function_of(code, scope)

    def bind(self, module: fx.GraphModule, attributes: Sequence[str], literals: Sequence[Any]) -> Compiled:
        """The class with what is one piece's own: its constants, by path, and the literals of its custom operators.

        ATTRIBUTES are paths in the order of their nodes, which is the same in all pieces of the class.
        """
        if self._function is None:
            run: Compiled = self.programs[0].run
            return run
        held = types.SimpleNamespace()
        for name, (kind, which) in self.origins.items():
            setattr(held, name, self._held(kind, which, module, attributes))
        bound: Compiled = types.MethodType(self._function, held)
        return _with_literals(bound, tuple(literals)) if literals else bound

    def _held(self, kind: str, which: int | str, module: fx.GraphModule, attributes: Sequence[str]) -> Any:
        if kind == "program":
            return self.programs[int(which)].run
        if kind == "operator":
            return find_operator(str(which))
        return operator.attrgetter(attributes[int(which)])(module)

    # ---- bytes ----

    def save(self, identity: str, key: str, walk: str) -> bytes | None:
        """The entry as bytes; None: it needs something that has no name."""
        if None in self._names.values():
            return None
        bundles = [program.save() for program in self.programs]
        body = marshal.dumps((identity, key, walk, bundles, self.code, self._names, self.origins))
        return _HEAD + hashlib.blake2b(body, digest_size=_DIGEST).digest() + body


def load(data: bytes, identity: str, key: str, ctx: Context, fallback: Callable[[int], Compiled]) -> tuple[Entry, str]:
    """The entry that BYTES are and the digest of its pieces' walk.  FALLBACK gives what runs in place of a program.

    Raises Unfit, and jitc.Error where a program is not for this machine.
    """
    start = len(_HEAD) + _DIGEST
    if not data.startswith(_HEAD):
        raise Unfit("it is not an entry, or one of another version")
    body = memoryview(data)[start:]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != data[len(_HEAD) : start]:
        raise Unfit("it is damaged")
    found, own, walk, bundles, code, names, origins = marshal.loads(body)
    if found != identity:
        raise Unfit("it was made by another version, or for other options")
    if own != key:
        raise Unfit("it is another class's")
    programs = [ctx.load("entry", bundle, fallback=fallback(i)) for i, bundle in enumerate(bundles)]
    return Entry(programs, code, {name: thing_at(where) for name, where in names.items()}, origins), walk


def of_result(result: Result, attributes: Sequence[str]) -> Entry:
    """What compile_graph() made, as an entry.  ATTRIBUTES: the graph's constants."""
    programs = list(result.programs.values())
    assembly = result.assembly
    if assembly is None:
        return Entry(programs, None, {}, {})
    source, scope = assembly.source()
    log.debug("jitc: code that joins programs: %s", source)
    code = compile(source, "<jitc.vllm>", "exec")
    return Entry(programs, code, scope, {name: _origin(assembly, name, attributes) for name in assembly.origins})


def _origin(assembly: Assembly, name: str, attributes: Sequence[str]) -> tuple[str, int | str]:
    kind, which = assembly.origins[name]
    return (kind, attributes.index(str(which))) if kind == "attribute" else (kind, which)


def function_of(code: types.CodeType, scope: dict[str, Any]) -> types.FunctionType:
    """The function that a module's CODE defines."""
    exec(code, scope)
    made: types.FunctionType = scope["forward"]
    return made


def names_in(code: types.CodeType) -> set[str]:
    """The names that code, and the functions in it, looks up."""
    inner = [names_in(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*inner)


def _with_literals(call: Compiled, literals: tuple[Any, ...]) -> Compiled:
    def run(*args: Any) -> Any:
        return call(*args, *literals)

    return run


def find_operator(name: str) -> Compiled:
    """The function of the operator "namespace.name.overload"."""
    space, op, overload = name.split(".")
    call: Compiled = getattr(getattr(getattr(torch.ops, space), op), overload)._op
    return call
