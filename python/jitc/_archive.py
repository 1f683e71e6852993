"""What a .jitc file holds, and where.

It is the archive that ``torch.export.save`` writes, a zip file whose entries are stored, with two entries more:

    jitc/manifest.json   what follows from the program: see ``Manifest``
    jitc/bundle          the compiled model, for every target

So the weights are in it once, by name, raw, each at an address that can be mapped; the program is in it too, and can be
compiled for other targets (``jitc compile FILE.jitc``) or run by torch (``torch.export.load``).
"""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
MANIFEST, BUNDLE = "jitc/manifest.json", "jitc/bundle"
_LOCAL_HEADER = struct.Struct("<4s22xHH")


class ArchiveError(ValueError):
    """A file that is not what ``jitc.export`` writes, or is damaged."""


class Untrusted(PermissionError):
    """A file with code that others than this user and root may have written."""


def distrust(status: os.stat_result, *, any_owner: bool = False) -> str | None:
    """Why code in the file of ``status`` is not run, as libjitc has it; None: it is this user's or root's alone to write."""
    if not any_owner and status.st_uid not in (0, os.geteuid()):
        return f"belongs to user {status.st_uid}, not to this process ({os.geteuid()}) or root"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "may be written to by others (chmod go-w)"
    return None


@dataclass(frozen=True)
class Weight:
    """A parameter of the graph whose value the file holds."""

    param: int
    name: str  # as the module calls it: "layers.0.weight"
    entry: str  # the bytes, which several may share
    dtype: str  # "bfloat16"
    shape: list[int]
    strides: list[int]
    offset: int  # in elements of the entry


@dataclass(frozen=True)
class Manifest:
    """What loading needs to know besides the bundle.

    inputs and outputs are the leaves of the arguments' and the results' trees, in order: {"param": 7}, {"result": 0}, or
    {"constant": 3} for what the model was exported for and always gives.
    """

    format: int
    jitc: str
    torch: str
    targets: list[str]
    arguments: list[str]  # their names
    positional: int  # how many of them are passed by place, the others by name
    in_spec: str  # as torch.utils._pytree writes it
    out_spec: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    weights: list[Weight]

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: bytes) -> Manifest:
        """From JSON."""
        try:
            fields = json.loads(text)
            if fields["format"] != FORMAT:
                raise ArchiveError(f"its format is {fields['format']!r}, and {FORMAT} is read: export the model again")
            fields["weights"] = [Weight(**weight) for weight in fields["weights"]]
            return Manifest(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise error if isinstance(error, ArchiveError) else ArchiveError(f"its manifest cannot be read: {error}") from error


class Archive:
    """An open .jitc file: entries by their names below the folder that all of them lie in."""

    def __init__(self, path: str, *, trust_file: bool = True) -> None:
        self.path = path
        self._file = open(path, "rb")  # noqa: SIM115  # what was looked at is what is read
        try:
            why = None if trust_file else distrust(os.fstat(self._file.fileno()))
            if why:
                raise Untrusted(
                    f"{path}: the file {why}. It holds machine code, which can do all that this process can; "
                    "jitc.load(..., trust_file=True) takes it all the same"
                )
            self._zip = zipfile.ZipFile(self._file)
        except PermissionError:
            self._file.close()
            raise
        except zipfile.BadZipFile as error:
            self._file.close()
            raise ArchiveError(f"{path}: this is no file of jitc.export: {error}") from error
        self._entries = {info.filename.partition("/")[2]: info for info in self._zip.infolist()}

    def read(self, name: str) -> bytes:
        """The bytes of an entry, as their checksum says."""
        try:
            return self._zip.read(self._entries[name])
        except (KeyError, zipfile.BadZipFile) as error:
            raise ArchiveError(f"{self.path}: this is no file of jitc.export, or it is damaged: {error}") from error

    def place(self, name: str) -> tuple[int, int]:
        """Where the bytes of an entry lie: the first, and how many."""
        info = self._entries.get(name)
        if info is None or info.compress_type != zipfile.ZIP_STORED:
            raise ArchiveError(f"{self.path}: the file is damaged: it lacks {name}, or holds it compressed")
        with open(self.path, "rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER.size)
        if len(header) != _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
            raise ArchiveError(f"{self.path}: the file is damaged: {name} is not where its directory says")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        return info.header_offset + _LOCAL_HEADER.size + name_length + extra_length, info.file_size

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()
        self._file.close()


def add(path: str, manifest: Manifest, bundle: bytes) -> None:
    """Adds our entries to what torch.export.save wrote."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        for name, data in ((MANIFEST, manifest.dump().encode()), (BUNDLE, bundle)):
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}"), data)
