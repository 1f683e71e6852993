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
BAD = TEXT.replace("x + s0", "torch.lobpcg(x)")
NO_GRAPH = "this is no graph\n"


@pytest.fixture
def context():
    return _jitc.Context("host", 1, 0, "")


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


WEIGHT = """class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[s0, 4]", s0: "Sym(s0)", w: "f32[4, 4]"):
        y: "f32[s0, 4]" = x @ w
        return (y,)
"""
needs_abi = pytest.mark.skipif(not _torch.has_abi(), reason="this torch has no C functions for tensors")


@needs_abi
def test_weights_are_bound_once(context):
    program = context.build("g", WEIGHT, weights=[2])
    weight = nn.Parameter(torch.randn(4, 4))

    def check(bound: int) -> None:
        for n in (3, 5, 3):
            x = torch.randn(n, 4)
            torch.testing.assert_close(program.run(x, n, weight)[0], x @ weight.detach())
        assert program.stats["bound"] == bound

    check(1)
    with torch.no_grad():
        weight.mul_(2)
    check(1)
    weight.data = torch.randn(4, 4)
    check(2)
    weight = nn.Parameter(torch.randn(4, 4))
    check(3)
    old, weight.data = weight.data, weight.data.clone()  # the old memory stays where it was
    check(4)
    weight = weight.detach()  # another object of the same memory
    check(5)
    del old


@needs_abi
def test_weights_that_do_not_fit(context):
    program = context.build("g", WEIGHT, weights=[2])
    x, weight = torch.randn(3, 4), nn.Parameter(torch.eye(4))
    for _ in range(3):
        assert torch.equal(program.run(x, 3, weight)[0], x)
    weight.data = torch.eye(5)
    with pytest.raises(jitc.Error, match=r"dim 0 of .w. is 5 where 4 is needed"):
        program.run(x, 3, weight)
    weight.data = torch.eye(4, dtype=torch.float64)
    with pytest.raises(jitc.Error, match="f64"):
        program.run(x, 3, weight)
    square = torch.arange(16.0).view(4, 4)
    weight.data = square
    program.run(x, 3, weight)
    weight.data = square.t()  # the same memory and sizes, other strides
    with pytest.raises(jitc.Error, match="strides"):
        program.run(x, 3, weight)
    weight.data = torch.eye(4) * 2
    assert torch.equal(program.run(x, 3, weight)[0], x * 2)
    with pytest.raises(TypeError, match="not a tensor"):
        program.run(x, 3, None)
    with pytest.raises(ValueError, match="number 1"):
        context.build("g", WEIGHT, weights=[1])


@needs_abi
def test_weights_of_many_layers_are_passed_on(context):
    """Binding anew in each call would not pay: the program stops after a while, and stays right."""
    program = context.build("g", WEIGHT, weights=[2])
    weights = [torch.randn(4, 4) for _ in range(8)]
    for i in range(200):
        x = torch.randn(3, 4)
        torch.testing.assert_close(program.run(x, 3, weights[i % 8])[0], x @ weights[i % 8])
    assert program.stats["bound"] < 20


@needs_abi
def test_weights_by_threads(context):
    program = context.build("g", WEIGHT, weights=[2])
    weights = [torch.randn(4, 4) for _ in range(2)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for i in range(500):
            x, w = torch.full((3, 4), float(i)), weights[(seed + i // 50) % 2]
            if not torch.allclose(program.run(x, 3, w)[0], x @ w):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


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
    assert "lobpcg" in op and node == "y" and line == 3 and "jitc" in reason
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


def test_memory_is_flat_over_calls(resident):
    def f(x, y):
        y.add_(1)
        return x * y, (x + 1).t(), x.sum()

    with torch.no_grad():
        compiled = Compiled(f)
        x, y = torch.randn(8, 8), torch.randn(8, 8)
        for _ in range(5000):
            compiled(x, y)
        gc.collect()
        before = resident()
        for _ in range(100_000):
            compiled(x, y)
        gc.collect()
        assert resident() - before < 1 << 20


def test_programs_are_freed(context, resident):
    def build() -> None:
        for _ in range(50):
            context.build("g", TEXT).run(torch.ones(3, 4), 3)
        gc.collect()

    build()
    before = resident()
    for _ in range(10):
        build()
    assert resident() - before < 4 << 20


def test_import_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import jitc; print(jitc.__version__, 'explain' in dir(jitc))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [jitc.__version__, "True"]


def test_the_tool():
    package = Path(jitc.__file__).parent
    if not os.access(package / "bin" / "jitc", os.X_OK):
        pytest.skip("the wheel is not installed")
    # Beside this Python, or where `pip install --target` puts programs.
    scripts = [place / "jitc" for place in (Path(sys.executable).parent, package.parent / "bin")]
    commands = [[script] for script in scripts if script.exists()]
    for command in ([sys.executable, "-c", "from jitc._tool import main; main()"], *commands):
        done = subprocess.run([*command, "version"], capture_output=True, text=True, check=True)
        assert jitc.__version__ in done.stdout
    if not commands:
        pytest.skip(f"the wheel was unpacked, not installed: there is none of {', '.join(map(str, scripts))}")
