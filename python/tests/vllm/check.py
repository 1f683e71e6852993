"""What jitc.vllm promises, shown on real engines: each in a process of its own (engine.py), one after the other.

usage: check.py WORK_FOLDER [NAME...]: names of checks, default all.  Ends with "N passed, N failed, N skipped".
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models

HERE = Path(__file__).parent
THREADS = os.environ.get("JITC_VLLM_TEST_THREADS", "1")
SECONDS = float(os.environ.get("JITC_VLLM_TEST_SECONDS", "5"))


class Bench:
    """Runs engines and keeps what they wrote."""

    def __init__(self, work: Path) -> None:
        self.work, self.runs = work, 0
        self.known: dict[str, dict[str, Any]] = {}
        foreign = ("VLLM_", "JITC_", "TORCHINDUCTOR_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        env |= {"VLLM_PLUGINS": "jitc", "OMP_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1"}
        env |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        command = [sys.executable, str(HERE / "engine.py")]
        self.log = (work / "engines.log").open("w")
        self.engines = subprocess.Popen(
            command, env=env, cwd=work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )

    def run(
        self, model: str, cache: str, fresh: bool = False, env: dict[str, str] | None = None, **options: Any
    ) -> dict[str, Any]:
        """One engine; CACHE names the folder of all its caches, FRESH empties it first."""
        root = self.work / "cache" / cache
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
        self.runs += 1
        out, log = self.work / f"run_{self.runs}.json", self.work / f"run_{self.runs}.log"
        out.unlink(missing_ok=True)
        settings = {
            "VLLM_CACHE_ROOT": str(root / "vllm"),
            "TORCHINDUCTOR_CACHE_DIR": str(root / "inductor"),
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            **(env or {}),
        }
        folder = models.make(model, self.work / "models")
        job = {"model": str(folder), "out": str(out), "log": str(log), "env": settings, "options": options}
        assert self.engines.stdin and self.engines.stdout
        self.engines.stdin.write(json.dumps(job) + "\n")
        self.engines.stdin.flush()
        status = self.engines.stdout.readline().strip()
        assert status == "0" and out.exists(), f"the engine failed ({status}): see {log}\n" + log.read_text()[-2000:]
        record: dict[str, Any] = json.loads(out.read_text())
        record["log"] = log.read_text()
        return record

    def eager(self, model: str) -> dict[str, Any]:
        """The model without any compilation, run once."""
        if model not in self.known:
            self.known[model] = self.run(model, "eager", eager=True)
        return self.known[model]

    def entries(self, cache: str) -> list[Path]:
        """The files that hold entries."""
        return sorted((self.work / "cache" / cache / "vllm" / "torch_compile_cache").glob("*/rank_*/*/jitc/*"))


def same_tokens(record: dict[str, Any], eager: dict[str, Any]) -> None:
    assert record["same_again"], "the second time gave other tokens"
    pairs = [(a, b) for s, t in zip(record["tokens"], eager["tokens"], strict=True) for a, b in zip(s, t, strict=True)]
    equal = sum(a == b for a, b in pairs)
    worst = max(
        abs(a - b) for s, t in zip(record["logprobs"], eager["logprobs"], strict=True) for a, b in zip(s, t, strict=True)
    )
    print(f"  {equal} of {len(pairs)} tokens as eager, log-probabilities within {worst:.1e}")
    assert equal == len(pairs)


def all_ours(record: dict[str, Any], pieces: int) -> None:
    """Every piece went to libjitc, and every call ran what was built."""
    counters = record["counters"]
    print(f"  {counters}")
    assert record["compiler"] == "jitc"
    assert counters["pieces"] == pieces and counters["declined"] == 0 and record["calls_that_did_not_fit"] == 0
    assert record["pieces_in_use"] == 0  # all was compiled before the first request


# ---- checks ----------------------------------------------------------------------------------------------------------


def llama(bench: Bench) -> None:
    """Cold, warm, and with entries that are damaged, missing and another's."""
    cold = bench.run("llama", "llama", fresh=True)
    same_tokens(cold, bench.eager("llama"))
    all_ours(cold, 5)
    assert len(cold["compiles"]) == 5 and not cold["loads"]
    assert (
        cold["counters"]["built"] == cold["entries"] == len(bench.entries("llama")) == 3
    )  # the first, the middle ones, the last
    warm = bench.run("llama", "llama")
    same_tokens(warm, bench.eager("llama"))
    all_ours(warm, 5)
    assert len(warm["loads"]) == 5 and not warm["compiles"] and warm["printed_by_load"] == 0
    assert warm["counters"]["built"] == warm["counters"]["compiled"] == 0 and warm["counters"]["read"] == 3
    damaged(bench)


def damaged(bench: Bench) -> None:
    first, second, third = bench.entries("llama")
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    second.write_bytes(third.read_bytes())
    third.unlink()
    record = bench.run("llama", "llama")
    same_tokens(record, bench.eager("llama"))
    all_ours(record, 5)
    # The damaged one, and the one in another's place; all three were built again, and none compiled.
    assert record["counters"]["unfit"] == 2 and record["counters"]["built"] == 3 and record["counters"]["compiled"] == 0
    again = bench.run("llama", "llama")
    assert again["counters"]["read"] == 3 and again["counters"]["built"] == 0


def qwen3(bench: Bench) -> None:
    """Norms of queries and keys."""
    record = bench.run("qwen3", "qwen3", fresh=True)
    same_tokens(record, bench.eager("qwen3"))
    all_ours(record, 5)
    assert record["counters"]["built"] == 3


def moe(bench: Bench) -> None:
    """Experts: a custom operator in the pieces, with a layer's name."""
    record = bench.run("moe", "moe", fresh=True)
    same_tokens(record, bench.eager("moe"))
    all_ours(record, 5)
    assert record["counters"]["built"] == 4  # the second piece hands on a size that the later ones take
    warm = bench.run("moe", "moe")
    same_tokens(warm, bench.eager("moe"))
    assert warm["counters"]["read"] == 4 and warm["counters"]["built"] == 0 and warm["printed_by_load"] == 0


def plain(bench: Bench) -> None:
    """Graphs of torch's own operators alone."""
    form = {"custom_ops": ["none"], "ir_enable_torch_wrap": False}
    for model in ("llama", "qwen3"):
        record = bench.run(model, f"plain_{model}", fresh=True, compilation=form, plain_linear=True)
        same_tokens(record, bench.eager(model))
        all_ours(record, 5)
        assert record["counters"]["built"] == 3


def custom(bench: Bench) -> None:
    """Graphs of vLLM's custom operators."""
    for model in ("llama", "qwen3"):
        record = bench.run(model, f"custom_{model}", fresh=True, compilation={"custom_ops": ["all"]})
        same_tokens(record, bench.eager(model))
        all_ours(record, 5)
        assert record["counters"]["built"] == 3


def processes(bench: Bench) -> None:
    """An engine in processes of its own, as vllm serve runs it."""
    record = bench.run("llama", "processes", fresh=True, env={"VLLM_ENABLE_V1_MULTIPROCESSING": "1"})
    same_tokens(record, bench.eager("llama"))
    assert len(bench.entries("processes")) == 3 and "compiles pieces in its place" not in record["log"]
    again = bench.run("llama", "processes", env={"VLLM_ENABLE_V1_MULTIPROCESSING": "1"})
    same_tokens(again, bench.eager("llama"))


def layers80(bench: Bench) -> None:
    """80 layers: 81 pieces, three of which differ."""
    record = bench.run("llama80", "llama80", fresh=True, tokens=4)
    all_ours(record, 81)
    known = sum(sorted(record["compiles"])[:-3])
    print(f"  81 pieces in {sum(record['compiles']):.0f} ms, of which {known:.0f} for the 78 that were there")
    assert len(record["compiles"]) == 81 and record["counters"]["built"] <= 4
    assert len(record["tokens"]) == 4


def untouched(bench: Bench) -> None:
    """Where nobody asks for it, the installed package changes nothing."""
    code = (
        "import vllm.platforms as p; from vllm.plugins import load_general_plugins; load_general_plugins();"
        "import vllm.compilation.backends as b, os;"
        "assert type(p.current_platform).__module__ == 'vllm.platforms.cpu', type(p.current_platform);"
        "assert not hasattr(b.make_compiler, '_jitc');"
        "assert 'VLLM_USE_MEGA_AOT_ARTIFACT' not in os.environ; print('untouched')"
    )
    for plugins in (None, "lora_filesystem_resolver"):
        env = {name: value for name, value in os.environ.items() if name != "VLLM_PLUGINS"}
        if plugins is not None:
            env["VLLM_PLUGINS"] = plugins
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=bench.work, capture_output=True, text=True)
        assert done.returncode == 0 and "untouched" in done.stdout, done.stderr[-2000:]


def figures(bench: Bench) -> None:
    """Cold, warm and steady, against Inductor on the same pieces of the same engine: in turns, the best of three runs."""
    inductor = {"JITC_VLLM_COMPILER": "inductor"}
    ours = [bench.run("llama", "ours", fresh=True)]
    theirs = [bench.run("llama", "theirs", fresh=True, env=inductor)]
    for _ in range(3):
        ours.append(bench.run("llama", "ours", steady=SECONDS))
        theirs.append(bench.run("llama", "theirs", env=inductor, steady=SECONDS))
    assert {record["compiler"] for record in ours} == {"jitc"} and "jitc" not in {record["compiler"] for record in theirs}
    cold, cold_theirs = sum(ours[0]["compiles"]), sum(theirs[0]["compiles"])
    print(f"  cold: {cold:.0f} ms, Inductor {cold_theirs:.0f} ms: {cold_theirs / cold:.0f} times")
    # What Inductor does not find it compiles again: both is what a start takes.
    # Against each other by the clock, since Inductor also waits for processes of its own.
    passed = [min(sum(record["loads"]) + sum(record["compiles"]) for record in records[1:]) for records in (ours, theirs)]
    # By itself in processor time, since milliseconds of a busy machine say little.
    warm = min(sum(record["piece_cpu_ms"]["load"]) for record in ours[1:])
    each = min(statistics.median(record["piece_cpu_ms"]["load"]) for record in ours[1:])
    opened = min(record["counters"]["open_ms"] for record in ours[1:])
    print(f"  warm, 5 pieces: {passed[0]:.2f} ms, Inductor {passed[1]:.0f} ms: {passed[1] / passed[0]:.0f} times", end="; ")
    print(f"of the processor {warm:.2f} ms, {each:.3f} for the one in the middle, and {opened:.2f} to open the files before")
    ratios = {}
    for what in ("decode_pieces_ms", "decode_ms", "prefill_pieces_ms", "prefill_ms"):
        mine, other = (min(record[what] for record in records[1:]) for records in (ours, theirs))
        ratios[what] = other / mine
        print(f"  {what}: {mine:.3f}, Inductor {other:.3f}: {ratios[what]:.2f} times, {THREADS} threads")
    assert cold_theirs / cold >= 100 and passed[1] / passed[0] >= 100 and warm <= 2.0
    assert ratios["decode_pieces_ms"] >= 1.0 and ratios["prefill_pieces_ms"] >= 1.0


CHECKS: list[Callable[[Bench], None]] = [llama, qwen3, moe, plain, custom, processes, layers80, untouched, figures]


def main() -> None:
    work = Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(work)
    wanted = sys.argv[2:]
    failed = 0
    for check in CHECKS:
        if wanted and check.__name__ not in wanted:
            continue
        print(f"{check.__name__}: {check.__doc__}", flush=True)
        start = time.monotonic()
        try:
            check(bench)
            print(f"  passed, {time.monotonic() - start:.0f} s", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAIL: {check.__name__}: {error}\n{traceback.format_exc()[-600:]}", flush=True)
    ran = len(wanted) or len(CHECKS)
    print(f"{ran - failed} passed, {failed} failed, 0 skipped")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
