"""Engines for check.py: each in a process of its own, forked from one that has imported vLLM, which takes longest.

Reads jobs as JSON, one a line, from stdin: "model", a folder; "out", where the record of what happened goes, as JSON;
"log"; "env", for the environment; "options", see DEFAULTS.  Answers each with a line, the process's exit status.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

DEFAULTS: dict[str, Any] = {
    "eager": False,  # enforce_eager
    "compilation": {},  # compilation_config
    "dtype": "float32",
    "plain_linear": False,  # torch's linear in the graphs instead of oneDNN, behind which the weights are hidden
    "tokens": 16,
    "steady": 0,  # seconds of steady state to time, decode and prefill each
}
IMPORTED = (
    "torch._inductor.compile_fx",
    "vllm.compilation.backends",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.worker.cpu_worker",
    "jitc.vllm._compiler",
)
PROMPTS = [[1, 5, 9, 100, 7], list(range(3, 40)), [11], [(i * 37) % 251 for i in range(200)]]


def watch(record: dict[str, Any]) -> None:
    """Times what the compiler of the engine does: each call of compile() and load(), whichever compiler it is."""
    import vllm.compilation.backends as backends
    from torch import fx

    made = backends.make_compiler
    record.update(compiles=[], loads=[], piece_cpu_ms={"compile": [], "load": []}, compiler="", printed_by_load=0, pieces_s=0.0)
    printing = fx.Graph.python_code
    inside = [0]

    def python_code(*args: Any, **kwargs: Any) -> Any:
        record["printed_by_load"] += inside[0]
        return printing(*args, **kwargs)

    fx.Graph.python_code = python_code

    def clocked(call: Any) -> Any:
        def run(*args: Any) -> Any:
            start = time.thread_time()  # of the processor: other programs of the machine do not count
            result = call(*args)
            record["pieces_s"] += time.thread_time() - start
            return result

        return run

    def make_compiler(*args: Any, **kwargs: Any) -> Any:
        compiler = made(*args, **kwargs)
        record["compiler"] = compiler.name

        def timed(method: str, into: list[float]) -> None:
            original = getattr(compiler, method)

            def call(*args: Any, **kwargs: Any) -> Any:
                inside[0] = method == "load"
                start, cpu = time.perf_counter(), time.thread_time()
                try:
                    answer = original(*args, **kwargs)
                    if method == "compile":
                        return clocked(answer[0]), answer[1]
                    return answer and clocked(answer)
                finally:
                    into.append((time.perf_counter() - start) * 1e3)
                    record["piece_cpu_ms"][method].append((time.thread_time() - cpu) * 1e3)
                    inside[0] = 0

            setattr(compiler, method, call)

        timed("compile", record["compiles"])
        timed("load", record["loads"])
        return compiler

    backends.make_compiler = make_compiler


def watch_use() -> Callable[[], int]:
    """From now on nothing may be compiled: vLLM's monitor raises, and pieces that our compiler gets are counted.

    On a CPU vLLM itself does not start the monitor, which knows of Triton and its like.
    """
    from vllm.utils import jit_monitor

    jit_monitor.activate(mode="error")
    compiler = sys.modules.get("jitc.vllm._compiler")
    before = compiler.counters.pieces if compiler else 0
    return lambda: compiler.counters.pieces - before if compiler else 0


def plain_linear() -> None:
    """torch's own linear, so that the weights are in the graph."""
    import vllm.model_executor.layers.utils as utils
    from vllm import _custom_ops as ops

    ops._supports_onednn = False
    utils.check_cpu_sgl_kernel = lambda *_: False


def steady(llm: Any, params: Any, seconds: float, record: dict[str, Any]) -> None:
    """Milliseconds a step, whole and of processor time in the pieces: decode of 4 sequences, prefill of 200 tokens.

    The best third of many.
    """

    def measured(prompts: list[list[int]], tokens: int) -> tuple[float, float]:
        wanted = params(tokens)
        given = [{"prompt_token_ids": p} for p in prompts]
        times = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 6:
            before, start = record.get("pieces_s", 0.0), time.perf_counter()
            llm.generate(given, wanted, use_tqdm=False)
            times.append(((time.perf_counter() - start) * 1e3, (record.get("pieces_s", 0.0) - before) * 1e3))
        best = max(2, len(times) // 3)
        whole, pieces = (sum(sorted(column)[:best]) / best for column in zip(*times, strict=True))
        return whole, pieces

    short = [[i + 1] for i in range(4)]
    one, many = measured(short, 1), measured(short, 65)
    record["decode_ms"], record["decode_pieces_ms"] = ((m - o) / 64 for m, o in zip(many, one, strict=True))
    record["prefill_ms"], record["prefill_pieces_ms"] = measured([PROMPTS[3]], 1)


def live(job: dict[str, Any]) -> None:
    """One engine's life."""
    from vllm import LLM, SamplingParams

    options = {**DEFAULTS, **job["options"]}
    record: dict[str, Any] = {}
    if os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0":
        watch(record)
        if options["plain_linear"]:
            plain_linear()

    def params(tokens: int) -> Any:
        return SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False, logprobs=1)

    start = time.perf_counter()
    how: dict[str, Any] = {"enforce_eager": True} if options["eager"] else {"compilation_config": options["compilation"]}
    llm = LLM(
        model=job["model"],
        skip_tokenizer_init=True,
        dtype=options["dtype"],
        max_model_len=256,
        max_num_batched_tokens=256,
        max_num_seqs=8,
        jit_monitor_mode="error",
        seed=0,
        enable_prefix_caching=False,
        **how,
    )
    record["llm_s"] = time.perf_counter() - start
    pieces = watch_use()
    given = [{"prompt_token_ids": prompt} for prompt in PROMPTS]
    results = llm.generate(given, params(options["tokens"]), use_tqdm=False)
    again = llm.generate(given, params(options["tokens"]), use_tqdm=False)
    record["tokens"] = [list(r.outputs[0].token_ids) for r in results]
    record["same_again"] = record["tokens"] == [list(r.outputs[0].token_ids) for r in again]
    record["logprobs"] = [
        [chosen[token].logprob for chosen, token in zip(r.outputs[0].logprobs, r.outputs[0].token_ids, strict=True)]
        for r in results
    ]
    record["pieces_in_use"] = pieces()
    if options["steady"]:
        steady(llm, params, options["steady"], record)
    compiler = sys.modules.get("jitc.vllm._compiler")
    if compiler is not None:
        record["counters"] = vars(compiler.counters)
        record["calls_that_did_not_fit"] = sum(
            program.stats["fallbacks"] for entry, _ in compiler._entries.values() for program in entry.programs
        )
        record["entries"] = len(compiler._entries)
    with open(job["out"], "w") as file:
        json.dump(record, file)


def child(job: dict[str, Any]) -> None:
    """A job, in the forked process."""
    status = 1
    try:
        log = os.open(job["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(job["env"])
        live(job)
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM writes to stdout
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        _, status = os.waitpid(pid, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
