"""Packs the wheel: the Python files, the extension module, both libraries and the tool.  The standard library is all it needs.

The same files give the same bytes.  The platform in the name is found out, not claimed: a wheel that asks other
machines for nothing but the C library is manylinux, by the newest of its symbols' versions; any other is plain linux.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import platform
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path

# Of the build tree, and where they go.  The libraries lie as libjitc looks for its code generator: jitc/ below its own folder.
BINARIES = {
    "python/_jitc.abi3.so": "jitc/_jitc.abi3.so",
    ".libs/libjitc.so.0": "jitc/lib/libjitc.so.0",
    ".libs/libjitc-llvm.so": "jitc/lib/jitc/libjitc-llvm.so",
    "jitc-worker": "jitc/lib/jitc/jitc-worker",
    "jitc": "jitc/bin/jitc",
}
SYSTEM = re.compile(r"(libjitc|libc|libm|libdl|librt|libpthread|ld-linux[^ ]*)\.so\.\d+$")
ENTRY_POINTS = """\
[console_scripts]
jitc = jitc._tool:main

[torch_dynamo_backends]
jitc = jitc._backend:backend

[vllm.platform_plugins]
jitc = jitc.vllm:platform

[vllm.general_plugins]
jitc = jitc.vllm:install
"""


def readelf(*arguments: str | Path) -> str:
    """What readelf prints."""
    return subprocess.run(["readelf", "-W", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def foreign(binary: Path) -> list[str]:
    """The libraries that a binary needs and the wheel has not."""
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", binary))
    return [name for name in needed if not SYSTEM.match(name)]


def glibc(binary: Path) -> tuple[int, int]:
    """The C library that a binary asks for."""
    found = re.findall(r"GLIBC_(\d+)\.(\d+)", readelf("--version-info", binary))
    return max(((int(major), int(minor)) for major, minor in found), default=(2, 17))


def platform_tag(binaries: list[Path]) -> str:
    """manylinux_2_N_ARCH where that is true, else linux_ARCH."""
    machine = platform.machine()
    needs = sorted({name for binary in binaries for name in foreign(binary)})
    if needs:
        print(f"wheel: it needs {', '.join(needs)} of the machine it runs on")
        return f"linux_{machine}"
    major, minor = max(glibc(binary) for binary in binaries)
    return f"manylinux_{major}_{minor}_{machine}"


def metadata(package: Path, version: str) -> str:
    """METADATA: README.md is the description."""
    return (
        "Metadata-Version: 2.1\n"
        "Name: jitc\n"
        f"Version: {version}\n"
        "Summary: libjitc for Python: a back end for torch.compile\n"
        "Requires-Python: >=3.10\n"
        "Provides-Extra: torch\n"
        "Requires-Dist: torch>=2.6; extra == 'torch'\n"
        "Description-Content-Type: text/markdown\n\n" + (package / "README.md").read_text()
    )


class Wheel:
    """A wheel that is being written."""

    def __init__(self, path: Path, info: str) -> None:
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self.info = info
        self.records: list[str] = []

    def add(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """One file."""
        entry = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(entry, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.records.append(f"{name},sha256={digest},{len(data)}")

    def close(self) -> None:
        """Writes the record of all that was added."""
        name = f"{self.info}/RECORD"
        self.add(name, ("\n".join([*self.records, f"{name},,"]) + "\n").encode())
        self.zip.close()


def stripped(binary: Path, into: Path) -> bytes:
    """A binary without the debugger's symbols; those that others bind to stay."""
    subprocess.run(["strip", "--strip-unneeded", "-o", into, binary], check=True)
    return into.read_bytes()


def main() -> None:
    """Reads the command line and packs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True, help="the folder python/ of the source tree")
    parser.add_argument("--tree", type=Path, required=True, help="the build tree with the binaries")
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    binaries = {name: (args.tree / source).resolve() for source, name in BINARIES.items()}
    tag = f"cp310-abi3-{platform_tag(list(binaries.values()))}"
    for old in args.out.glob("jitc-*.whl"):
        old.unlink()
    info = f"jitc-{args.version}.dist-info"
    path = args.out / f"jitc-{args.version}-{tag}.whl"
    wheel = Wheel(path, info)
    for file in sorted(args.package.glob("jitc/**/*")):
        if file.suffix in (".py", ".pyi") or file.name == "py.typed":
            wheel.add(str(file.relative_to(args.package)), file.read_bytes())
    with tempfile.TemporaryDirectory() as scratch:
        for name, binary in binaries.items():
            wheel.add(name, stripped(binary, Path(scratch) / "stripped"), 0o755)
    wheel.add(f"{info}/METADATA", metadata(args.package, args.version).encode())
    wheel.add(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: jitc\nRoot-Is-Purelib: false\nTag: {tag}\n".encode())
    wheel.add(f"{info}/entry_points.txt", ENTRY_POINTS.encode())
    wheel.close()
    print(f"wheel: {path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
