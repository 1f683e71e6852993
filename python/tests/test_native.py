"""The extension module: its two ways for tensors, its failures, its memory, threads."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from compare import Compiled, check
from torch import nn

import jitc
from jitc import _backend, _jitc, _torch

TEXT = """class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[s0, 4]", s0: "Sym(s0)"):
        y: "f32[s0, 4]" = x + s0
        return (y, s0)
"""
BAD = TEXT.replace("x + s0", "torch.cumsum(x, 0)")
NO_GRAPH = "this is no graph\n"


@pytest.fixture
def context():
    return _jitc.Context("host", 1, 0, "")


@pytest.fixture
def plain():
    """Tensors cross by Python's functions, as before torch 2.10."""
    assert not _torch.adopt(exchange=False)
    yield
    _torch.adopt()


def test_exchange_table_is_used():
    offered = hasattr(torch.Tensor, "__dlpack_c_exchange_api__")
    assert _torch.adopt() == offered


def test_program(context):
    program = context.build("g", TEXT)
    y, n = program.run(torch.ones(3, 4), 3)
    assert n == 3 and torch.equal(y, torch.full((3, 4), 4.0))
    assert [(name, written) for name, _, written in program.params] == [("x", False), ("s0", False)]
    assert program.stats["calls"] == 1 and context.device == "host"


def test_parameters_are_tensors_too(context):
    y, _ = context.build("g", TEXT).run(nn.Parameter(torch.ones(2, 4)), 2)
    assert torch.equal(y, torch.full((2, 4), 3.0))


def test_wrong_arguments(context):
    program = context.build("g", TEXT)
    with pytest.raises(TypeError, match="takes 2 arguments; 1 were given"):
        program.run(torch.ones(3, 4))
    with pytest.raises(TypeError, match="not a tensor"):
        program.run([1.0], 3)
    with pytest.raises(TypeError):
        program.run(torch.ones(3, 4), "three")
    with pytest.raises(jitc.Error, match=r"dim 1 of .x. is 5 where 4 is needed") as raised:
        program.run(torch.ones(3, 5), 3)
    assert raised.value.status == 3
    assert program.run(torch.ones(3, 4), 3)[1] == 3


def test_fallback_of_a_program(context):
    program = context.build("g", TEXT, fallback=lambda *args: ("instead", args))
    x = torch.ones(3, 5)
    assert program.run(x, 3) == ("instead", (x, 3)) and program.stats["fallbacks"] == 1
    with pytest.raises(TypeError):
        program.run(None, 3)


def test_failures_have_places(context):
    with pytest.raises(jitc.Error) as raised:
        context.build("g", BAD)
    assert raised.value.status == 4 and raised.value.line == 3
    assert issubclass(jitc.Error, RuntimeError)
    with pytest.raises(jitc.Error) as raised:
        context.refusals("g", NO_GRAPH)
    assert raised.value.status == 3 and raised.value.line == 1


def test_refusals(context):
    ((op, node, line, reason),) = context.refusals("g", BAD)
    assert "cumsum" in op and node == "y" and line == 3 and "jitc" in reason
    assert context.refusals("g", TEXT) == []


def test_bad_context():
    with pytest.raises(jitc.Error):
        _jitc.Context("no such device", 1, 0, "").build("g", TEXT)
    with pytest.raises(TypeError):
        _jitc.Program()


def test_options():
    for options in ({"mode": "fast"}, {"modes": "strict"}, {"threads": -1}):
        with pytest.raises(Exception, match="jitc: "):
            torch.compile(lambda x: x + 1, backend=_backend.backend, options=options)(torch.ones(2))
    with pytest.raises(TypeError, match="cache_dir"):
        jitc.Options(cache_dir=3)


def test_entry_point_and_cache_directory(tmp_path):
    with torch.no_grad():
        f = torch.compile(lambda x: x * 3 + 1, backend="jitc", options={"cache_dir": str(tmp_path), "mode": "strict"})
        assert torch.equal(f(torch.ones(4)), torch.full((4,), 4.0))
    assert any(path.is_file() for path in tmp_path.rglob("*"))


def test_plain_way(plain):
    with torch.no_grad():
        done = check(lambda x, w: (x @ w, x.t() + 1, x.add_(1)), torch.randn(4, 8), torch.randn(8, 3), times=2)
    assert done.calls() == 2


def test_plain_way_with_all_dtypes(plain, context):
    for dtype, (code, bits) in _torch.DTYPES.items():
        x = torch.zeros(3, dtype=dtype)
        assert _torch.describe(x)[3:] == (code, bits, (3,), (1,))
        assert _torch.empty((2, 3), (3, 1), code, bits, 1, 0).dtype == dtype


def test_scratch_from_torch():
    context = _jitc.Context("host", 1, 0, "", framework_memory=True)
    text = TEXT.replace("x + s0", "torch.softmax(x @ x.transpose(0, 1), -1) @ x")
    x = torch.randn(9, 4)
    program = context.build("g", text)
    for n in (9, 5, 700):
        x = torch.randn(n, 4)
        torch.testing.assert_close(program.run(x, n)[0], torch.softmax(x @ x.t(), -1) @ x, rtol=1e-4, atol=1e-4)
    del program
    gc.collect()


def test_threads():
    """One compiled model in several threads at once, each at sizes of its own."""
    model = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))
    with torch.no_grad():
        compiled = Compiled(model)  # not dynamic=True: torch patches its global configuration in each call then
        x = torch.randn(5, 16)
        torch._dynamo.mark_dynamic(x, 0)
        compiled(x)
    wrong: list[str] = []

    def work(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for i in range(300):
                x = torch.randn(2 + (seed + i) % 50, 16, generator=generator)
                if not torch.allclose(compiled(x), model(x), atol=1e-4):
                    wrong.append(f"thread {seed}, call {i}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(p.stats["frames"] for p in compiled.programs) <= 4 * len(compiled.programs)


def test_the_gil_is_given_up():
    """While a long call runs, another thread runs Python."""
    import time

    with torch.no_grad():
        x = torch.randn(1500, 1500)
        compiled = Compiled(lambda x: x @ x @ x)
        compiled(x)
        ticks: list[float] = []
        stop = threading.Event()

        def tick() -> None:
            while not stop.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.001)

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.perf_counter()
        compiled(x)
        end = time.perf_counter()
        stop.set()
        thread.join()
    during = [t for t in ticks if start <= t <= end]
    assert len(during) >= (end - start) / 0.001 / 10 or end - start < 0.01


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_is_flat_over_calls():
    def f(x, y):
        y.add_(1)
        return x * y, (x + 1).t(), x.sum()

    with torch.no_grad():
        compiled = Compiled(f)
        x, y = torch.randn(8, 8), torch.randn(8, 8)
        for _ in range(5000):
            compiled(x, y)
        gc.collect()
        before = _resident()
        for _ in range(100_000):
            compiled(x, y)
        gc.collect()
        assert _resident() - before < 1 << 20


def test_programs_are_freed(context):
    def build() -> None:
        for _ in range(50):
            context.build("g", TEXT).run(torch.ones(3, 4), 3)
        gc.collect()

    build()
    before = _resident()
    for _ in range(10):
        build()
    assert _resident() - before < 4 << 20


def test_import_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import jitc; print(jitc.__version__, 'explain' in dir(jitc))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [jitc.__version__, "True"]


def test_the_tool():
    tool = Path(sys.executable).parent / "jitc"
    if not (Path(jitc.__file__).parent / "bin" / "jitc").exists():
        pytest.skip("the wheel is not installed")
    done = subprocess.run([tool, "version"], capture_output=True, text=True, check=True)
    assert jitc.__version__ in done.stdout
