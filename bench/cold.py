#!/usr/bin/env python3
"""cold.py [--assert R] [--arch host,sm_90a,...] [--write] BUILD [MODEL]... - instructions of cold starts, against those of bench/cold.txt.

Runs `jitc compile -j1 --no-cache` of BUILD, a build folder, for each captured model and arch under valgrind, which counts what the process
executes in user space, all of LLVM included: a busy machine does not change it by a thousandth.  Another assembler stands in, one that makes
nothing, so for GPUs it is PTX that is reached.  bench/cold.txt holds what the base took, by LLVM and by the CPU's level, which the host's code
depends on: what it has no line for is measured and not judged.  With --assert exits 1 where a start takes more than R times its base; with
--write prints lines for bench/cold.txt instead.  Exits 77 without valgrind.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GRAPHS = Path(os.environ.get("JITC_GRAPHS", HERE.parent.parent / "shared" / "graphs"))
STAND_IN = """#!/bin/sh
while [ $# -gt 1 ]; do
    if [ "$1" = -o ]; then printf none > "$2"; fi
    shift
done
"""


def base_lines() -> dict[tuple[str, str, str, str], int]:
    """(LLVM, CPU level, arch, model): instructions."""
    rows = (line.split() for line in (HERE / "cold.txt").read_text().splitlines() if line and line[0] != "#")
    return {(llvm, level, arch, model): int(n) for llvm, level, arch, model, n in rows}


def surroundings(jitc: Path) -> tuple[str, str]:
    said = subprocess.run([jitc, "doctor"], capture_output=True, text=True).stdout
    return re.search(r"LLVM +([\d.]+)", said)[1], re.search(r"host +host \((\S+)\)", said)[1]


def instructions(build: Path, arch: str, model: str, assembler: Path) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", build / "jitc", "compile", "-j1"]
    command += ["--no-cache", "-q", "--arch", arch, GRAPHS / "models" / model / "full.py"]
    env = dict(os.environ, JITC_ASSEMBLER=str(assembler), JITC_LLVM_LIBRARY=str(build / ".libs" / "libjitc-llvm.so"))
    run = subprocess.run(command, capture_output=True, text=True, env=env)
    found = re.search(r"I +refs: +([\d,]+)", run.stderr)
    if run.returncode or not found:
        sys.exit(f"{model} for {arch}: {run.stderr[-500:]}")
    return int(found[1].replace(",", ""))


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--assert", dest="limit", type=float)
    parser.add_argument("--arch", default="host,sm_90a")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("build", type=Path)
    parser.add_argument("models", nargs="*")
    o = parser.parse_args()
    if not shutil.which("valgrind"):
        print("SKIP: there is no valgrind", file=sys.stderr)
        return 77
    build, bases, slow = o.build.resolve(), base_lines(), 0
    llvm, level = surroundings(build / "jitc")
    models = o.models or sorted(p.parent.name for p in GRAPHS.glob("models/*/full.py"))
    with tempfile.TemporaryDirectory() as folder:
        assembler = Path(folder) / "ptxas"
        assembler.write_text(STAND_IN)
        assembler.chmod(0o755)
        for arch in o.arch.split(","):
            at = level if arch == "host" else "any"
            for model in models:
                n, base = instructions(build, arch, model, assembler), bases.get((llvm, at, arch, model))
                if o.write:
                    print(llvm, at, arch, model, n, flush=True)
                    continue
                late = bool(base and o.limit and n > o.limit * base)
                ratio = f"{n / base:5.2f}" if base else "no base"
                print(f"{model:26} {arch:8} {n / 1e6:7.0f} million instructions, {ratio}{' SLOW' if late else ''}", flush=True)
                slow += late
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
