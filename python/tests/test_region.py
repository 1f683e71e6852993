"""jitc.compile: what a gate lets through and what it does not, and what a call sees of what changed."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import threading
import weakref

import pytest
import torch
from compare import again, same
from conftest import DEVICE
from torch import nn

import jitc
from jitc import _torch


@pytest.fixture(autouse=True)
def inference():
    with torch.no_grad():
        yield


def gates(fn):
    return fn.jitc_region.gates.stats


def hits(fn, *args, **kwargs):
    """Whether a call goes by a gate; its result."""
    before = gates(fn)["hits"]
    result = fn(*args, **kwargs)
    return gates(fn)["hits"] > before, result


def expect(fn, eager, *args, hit, **kwargs):
    opened, got = hits(fn, *args, **kwargs)
    want = eager(*args, **kwargs)
    for a, b in zip(*(r if isinstance(r, (tuple, list)) else (r,) for r in (got, want)), strict=True):
        same(a, b, "result")
    assert opened == hit, fn.jitc_region.reason


needs_gates = pytest.mark.skipif(_torch.adopt() is False, reason="this torch has no exchange table")


class Layer(nn.Module):
    """What a layer of a model does: weights in submodules, numbers as attributes, what was added to the residual."""

    def __init__(self, width: int = 8, scale: float = 0.5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 16), nn.Linear(16, width, bias=False)
        self.register_buffer("shift", torch.randn(width))
        self.scale = scale

    def forward(self, x, residual, extra=None):
        residual = x + residual
        if extra is not None:
            residual = residual + extra
        y = self.down(torch.relu(self.up(self.norm(residual) + self.shift)))
        return y * self.scale, residual


def layer_and_eager(**kwargs):
    layer = Layer(**kwargs)
    eager = copy.deepcopy(layer)
    return jitc.compile(layer), eager


def both(*modules):
    """Runs the same change on the compiled layer and the other."""

    def change(function):
        for module in modules:
            torch.manual_seed(1)
            function(module)

    return change


@needs_gates
def test_second_call_goes_by_a_gate():
    layer, eager = layer_and_eager()
    args = torch.randn(3, 8), torch.randn(3, 8)
    expect(layer.forward, eager, *args, hit=False)
    for _ in range(3):
        expect(layer.forward, eager, *args, hit=True)


def test_the_module_stays_what_it_was():
    layer, eager = layer_and_eager()
    assert type(layer) is Layer and list(layer.state_dict()) == list(eager.state_dict())
    assert layer.forward.__name__ == "forward"


CHANGES = {
    "written in place": lambda m: m.up.weight.mul_(2),
    "replaced": lambda m: setattr(m.up, "weight", nn.Parameter(torch.randn(16, 8))),
    "data": lambda m: setattr(m.up.weight, "data", torch.randn(16, 8)),
    "data, transposed": lambda m: setattr(m.up.weight, "data", torch.randn(8, 16).t()),
    "data, the same memory transposed": lambda m: setattr(m.square, "data", m.square.data.t()),
    "assigned": lambda m: m.load_state_dict({k: torch.randn_like(v) for k, v in m.state_dict().items()}, assign=True),
    "loaded": lambda m: m.load_state_dict({k: torch.randn_like(v) for k, v in m.state_dict().items()}),
    "another dtype and back": lambda m: m.double().float(),
    "storage resized": lambda m: (m.shift.untyped_storage().resize_(4096), m.shift.normal_()),
    "buffer replaced": lambda m: setattr(m, "shift", torch.randn(8)),
    "submodule replaced": lambda m: setattr(m, "down", nn.Linear(16, 8, bias=False)),
    "bias removed": lambda m: setattr(m.up, "bias", None),
    "bias added": lambda m: setattr(m.down, "bias", nn.Parameter(torch.randn(8))),
    "number": lambda m: setattr(m, "scale", 3.0),
    "negative zero": lambda m: setattr(m, "scale", -0.0),
    "wider inside": lambda m: (setattr(m, "up", nn.Linear(8, 32)), setattr(m, "down", nn.Linear(32, 8))),
    "forward shadowed": lambda m: setattr(m.up, "forward", lambda x: x.repeat(1, 2) * 2),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_between_calls_is_seen(what):
    layer = Layer()
    layer.square = nn.Parameter(torch.randn(8, 8))
    Square = type("Square", (Layer,), {"forward": lambda self, x, r: Layer.forward(self, x @ self.square, r)})
    layer.__class__ = Square
    eager = copy.deepcopy(layer)
    jitc.compile(layer)
    args = torch.randn(3, 8), torch.randn(3, 8)
    for _ in range(3):
        expect(layer.forward, eager, *args, hit=gates(layer.forward)["gates"] > 0)
    both(layer, eager)(CHANGES[what])
    for _ in range(3):
        for a, b in zip(layer(*args), eager(*args), strict=True):
            same(a, b, what)


@needs_gates
def test_a_change_is_seen_by_the_way_of_weights_too():
    """A graph whose caller hands the same parameters over in each call: what is bound is told from what is not."""
    layer, eager = Layer(), None
    compiled = torch.compile(layer, backend="jitc")
    args = torch.randn(3, 8), torch.randn(3, 8)
    for what in ("written in place", "replaced", "data", "data, transposed", "assigned", "loaded", "storage resized"):
        for _ in range(3):
            compiled(*args)
        eager = copy.deepcopy(layer)
        both(layer, eager)(CHANGES[what])
        for a, b in zip(compiled(*args), eager(*args), strict=True):
            same(a, b, what)


@needs_gates
def test_layers_share_what_was_compiled():
    layers = [jitc.compile(Layer()) for _ in range(12)]
    eager = copy.deepcopy(layers)
    args = torch.randn(3, 8), torch.randn(3, 8)
    graphs: list[object] = []
    torch._dynamo.callback_handler.register_start_callback(lambda *_: graphs.append(None))
    try:
        for layer in layers:
            layer(*args)
    finally:
        torch._dynamo.callback_handler.clear()
    assert len(graphs) == 1
    for layer, other in zip(layers, eager, strict=True):
        expect(layer.forward, type(other).forward.__get__(other), *args, hit=True)


@needs_gates
def test_one_build_for_all_sizes_after_the_second():
    layer, eager = layer_and_eager()
    for n in (3, 5):
        layer(torch.randn(n, 8), torch.randn(n, 8))
    for n in (5, 7, 64, 2, 1000):
        expect(layer.forward, eager, torch.randn(n, 8), torch.randn(n, 8), hit=True)
    expect(layer.forward, eager, torch.randn(1, 8), torch.randn(1, 8), hit=False)
    expect(layer.forward, eager, torch.randn(7, 8), torch.randn(7, 8), hit=True)


def test_sizes_that_decide():
    """Python's way through the function depends on sizes: a gate must not go where the guards would not."""

    @jitc.compile
    def f(x, y):
        if x.shape[0] % 4 == 0:
            return x * 2
        return x + 1 if x.shape[0] > y.shape[0] else x - 1

    for n in (3, 5, 8, 12, 6, 7, 16, 3, 5, 8, 12, 6, 7, 16):
        for m in (5, 6, 7, 5, 6, 7):
            x, y = torch.randn(n, 2), torch.randn(m, 2)
            same(f(x, y), f.__wrapped__(x, y), f"{n}, {m}")


def test_unused_arguments_decide():
    @jitc.compile
    def f(x, y, flag):
        return x * (2 if y.dtype == torch.float32 and y.dim() == 2 else 3) if flag else x

    x = torch.randn(3)
    for y in (torch.randn(2, 2), torch.randn(2), torch.zeros(2, 2, dtype=torch.int64)) * 2:
        for flag in (True, False, 1, None, "", "a"):
            same(f(x, y, flag), f.__wrapped__(x, y, flag), "result")


def test_arguments_that_nobody_looks_at():
    @jitc.compile
    def f(x, n, y=None, *, pair=None, rest=()):
        return x * 2, y

    x = torch.randn(3)
    f(x, 1)
    for y in (torch.randn(2), torch.randn(5), torch.zeros(3, 4, dtype=torch.int64)):
        for n in (1, 2, 300, "a", None, object()):
            got = f(x, n, y, pair=(y, n), rest=[n])
            same(got[0], x * 2, "result")
            assert got[1] is y


class Strict:
    """An object whose class has a way of its own to attributes."""

    def __init__(self):
        self.kind, self.hidden = "a", 2.0

    def __getattribute__(self, name):
        return super().__getattribute__(name)

    @property
    def factor(self):
        return self.hidden


def test_objects_with_a_way_of_their_own_to_attributes():
    settings = Strict()

    @jitc.compile
    def f(x):
        return x * (settings.factor if settings.kind == "a" else 5.0)

    x = torch.randn(3)
    for _ in range(3):
        same(f(x), x * 2, "before")
    settings.hidden = 3.0
    for _ in range(3):
        same(f(x), x * 3, "property")
    settings.kind = "b"
    for _ in range(3):
        same(f(x), x * 5, "attribute")


def test_layouts_dtypes_and_kinds_of_arguments():
    @jitc.compile
    def f(x, n=2, *, s=1.5, pair=(None, None)):
        y = x * n + s
        return y if pair[0] is None else y + pair[0] * (2 if isinstance(pair, list) else 1)

    x, p = torch.randn(4, 4), torch.randn(4, 4)
    for _ in range(3):
        for args, kwargs in (
            ((x,), {}),
            ((x.t(),), {}),
            ((x.double(),), {}),
            ((x, 3), {}),
            ((x, True), {}),
            ((x, 3.0), {}),
            ((x,), {"s": 0.0}),
            ((x,), {"s": -0.0, "n": 0}),
            ((x,), {"n": 0, "s": -0.0}),
            ((x,), {"pair": (p, None)}),
            ((x,), {"pair": [p, None]}),
            ((nn.Parameter(x),), {}),
            ((x[:, :2],), {}),
        ):
            same(f(*args, **kwargs), f.__wrapped__(*args, **kwargs), f"{kwargs}")
    with pytest.raises(TypeError):
        f(x, m=3)


def test_variable_arguments():
    @jitc.compile
    def f(*xs, **named):
        y = xs[0]
        for x in xs[1:]:
            y = y + x
        return y * named["by"] if "by" in named else y

    a, b, c = (torch.randn(3) for _ in range(3))
    for _ in range(3):
        for args in ((a,), (a, b), (a, b, c), (a, a)):
            same(f(*args), f.__wrapped__(*args), "positional")
            same(f(*args, by=b), f.__wrapped__(*args, by=b), "named")
            same(f(*args, by=2.0), f.__wrapped__(*args, by=2.0), "a number")
            same(f(*args, by=3.0), f.__wrapped__(*args, by=3.0), "another number")


def test_arguments_that_are_one():
    """A graph that was captured for one tensor given twice is not for two."""
    weight = torch.randn(3)

    def twice(a, b):
        return a * 2 + b

    def with_weight(a):
        return a * 2 + weight

    f, g = jitc.compile(twice), jitc.compile(with_weight)
    a, b = torch.randn(3), torch.randn(3)
    for _ in range(3):
        same(f(a, a), twice(a, a), "one")
        same(f(a, b), twice(a, b), "two")
        same(g(weight), with_weight(weight), "the weight itself")
        same(g(a), with_weight(a), "not the weight")


def test_integers_of_any_value():
    @jitc.compile
    def f(x, n):
        return x + n

    for n in (2, 3, 4, 5, 4, 1, 0, 2**31, 2**40, -3):
        same(f(torch.ones(3, dtype=torch.int64), n), torch.ones(3, dtype=torch.int64) + n, str(n))


SCALE, TABLE = 2.0, {"by": torch.ones(3), "items": [1.0, 2.0]}


def test_globals_closures_lists_and_dicts():
    global SCALE
    bias, numbers, names = torch.ones(3), [1.0, 2.0], {"a": 1.0}

    @jitc.compile
    def f(x):
        y = x * SCALE + bias * TABLE["by"] + TABLE["items"][1]
        for number in numbers:
            y = y + number
        for name, number in names.items():
            y = y + number * len(name)
        return y

    def check():
        for _ in range(3):
            same(f(x), f.__wrapped__(x), "result")

    x = torch.randn(3)
    TABLE["by"] = torch.ones(3)  # on the device of the tests
    check()
    SCALE = 3.0
    check()
    bias = torch.full((3,), 7.0)
    check()
    bias.add_(1)
    check()
    numbers.append(5.0)
    check()
    numbers[0] = 9.0
    check()
    names["bb"] = 2.0
    check()
    names["a"] = 4.0
    check()
    del names["a"]
    check()
    TABLE["by"] = torch.randn(3)
    check()
    TABLE["items"][1] = 8.0
    check()
    SCALE = 2.0


def test_results_of_all_kinds():
    @jitc.compile
    def f(x, cache):
        y = x * 2
        cache.add_(y)
        return y, None, [x, y[0], (y.view(-1), x.t())], {"z": y + 1}, x.shape[0], "text", cache

    for n in (3, 4, 5, 4, 5):
        args, others = ([torch.ones(n, 4), torch.zeros(n, 4)] for _ in range(2))
        for _ in range(3):
            again(f, f.__wrapped__, *args)
            got, want = f(*args), f.__wrapped__(*others)
            same(args[1], others[1], "written")
            assert got[4:6] == want[4:6] and got[6] is args[1] and got[2][0] is args[0]


def test_side_effects_happen_each_time():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls, self.seen = 0, []
            self.register_buffer("total", torch.zeros(3))

        def forward(self, x):
            self.calls += 1
            self.total = self.total + x
            self.seen.append(self.calls)
            return self.total * 2

    layer = Counting()
    eager = copy.deepcopy(layer)
    jitc.compile(layer)
    for _ in range(5):
        x = torch.randn(3)
        same(layer(x), eager(x), "result")
    assert layer.calls == eager.calls == 5 and layer.seen == eager.seen
    same(layer.total, eager.total, "total")


def test_a_graph_break_stays_one():
    printed: list[int] = []

    @jitc.compile
    def f(x):
        y = x + 1
        torch._dynamo.graph_break()
        printed.append(1)
        return y * 2

    for _ in range(4):
        same(f(torch.ones(3)), torch.full((3,), 4.0), "result")
    assert len(printed) == 4


def test_methods_and_functions():
    class Model:
        def __init__(self, by):
            self.by = by

        @jitc.compile
        def go(self, x):
            return x * self.by

        @jitc.compile(options={"mode": "strict"}, dynamic=False)
        def twice(self, x):
            return x * 2

    two, three, x = Model(2.0), Model(torch.full((3,), 3.0)), torch.ones(3)
    for _ in range(3):
        same(two.go(x), x * 2, "two")
        same(three.go(x), x * 3, "three")
        same(Model.go(two, x), x * 2, "unbound")
        same(two.twice(x), x * 2, "twice")
    two.by = 5.0
    same(two.go(x), x * 5, "changed")
    with pytest.raises(TypeError, match="must be a function"):
        jitc.compile(torch.relu)
    with pytest.raises(ValueError, match="unknown option"):
        jitc.compile(lambda x: x, options={"modes": 1})


def test_copies_are_layers_of_their_own():
    layer, _ = layer_and_eager()
    args = torch.randn(3, 8), torch.randn(3, 8)
    want = layer(*args)
    other = copy.deepcopy(layer)
    other.scale = 0.0
    for _ in range(3):
        assert other(*args)[0].abs().sum() == 0
        same(layer(*args)[0], want[0], "the first")
    restored = pickle.loads(pickle.dumps(layer))
    same(restored(*args)[0], want[0], "restored")


def test_within_torch_compile():
    @jitc.compile
    def inner(x):
        return x * 3

    for _ in range(3):
        inner(torch.ones(4))
    outer = torch.compile(lambda x: inner(x + 1) + 1, backend="eager", fullgraph=True)
    same(outer(torch.ones(4)), torch.full((4,), 7.0), "outer")


def test_modes_of_torch():
    weight = nn.Parameter(torch.randn(4, 4))

    @jitc.compile
    def f(x):
        return x @ weight

    x = torch.randn(3, 4)
    for _ in range(3):
        f(x)
    with torch.enable_grad(), pytest.warns(UserWarning, match="needs gradients"):
        assert f(x).requires_grad
    with torch.autocast(DEVICE, torch.bfloat16):
        assert f(x).dtype == torch.bfloat16
    with torch.inference_mode():
        for _ in range(3):
            assert f(x).is_inference()
    batch = torch.randn(5, 3, 4)
    torch.testing.assert_close(torch.vmap(f)(batch), batch @ weight)
    same(f(x), x @ weight, "afterwards")


@needs_gates
@pytest.mark.skipif(DEVICE != "cpu", reason="on a GPU all tests run under a default device, which is one mode more")
def test_a_default_device():
    """torch.set_default_device() is a mode of torch that stays: gates open under the same device."""
    layer, eager = layer_and_eager()
    args = torch.randn(3, 8), torch.randn(3, 8)
    for _ in range(2):
        with torch.device(DEVICE):
            layer(*args)
            expect(layer.forward, eager, *args, hit=True)
    with torch.device(DEVICE):  # another mode, the same device
        expect(layer.forward, eager, *args, hit=True)
    torch.set_default_device(DEVICE)
    try:
        expect(layer.forward, eager, *args, hit=True)
        with torch.device("meta"):
            expect(layer.forward, eager, *args, hit=False)
            expect(layer.forward, eager, *args, hit=True)
            with Doubled():
                expect(layer.forward, eager, *args, hit=False)
        expect(layer.forward, eager, *args, hit=True)
    finally:
        torch.set_default_device(None)


class Doubled(torch.overrides.TorchFunctionMode):
    """A mode that is no default device, though it has one."""

    device = torch.device("cpu")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_a_device_for_what_is_made_inside():
    @jitc.compile
    def f(x):
        return x + 1, torch.ones(2)

    x = torch.ones(2)
    for device in ("cpu", "meta", "cpu", "meta"):
        for _ in range(3):
            with torch.device(device):
                assert f(x)[1].device.type == device
    assert f(x)[1].device.type == DEVICE


def test_negation_that_is_pending():
    @jitc.compile
    def f(x):
        return x * 2

    z = torch.randn(3, dtype=torch.complex64)
    f(torch.randn(3))
    f(torch.empty(6)[::2])
    for _ in range(3):
        f(torch.empty(6)[::2])
        same(f(z.conj().imag), z.conj().imag * 2, "negated")


@needs_gates
def test_what_is_gone_is_let_go():
    layer = jitc.compile(Layer())
    args = torch.randn(3, 8), torch.randn(3, 8)
    for _ in range(3):
        layer(*args)
    region = layer.forward.jitc_region
    assert region.gates.stats["gates"]
    seen = weakref.ref(layer), weakref.ref(layer.up.weight)
    del layer
    gc.collect()
    assert [ref() for ref in seen] == [None, None] and region.gates.stats["gates"] == 0


@needs_gates
def test_no_weight_of_old_is_kept():
    layer = jitc.compile(Layer())
    args = torch.randn(3, 8), torch.randn(3, 8)
    for _ in range(3):
        layer(*args)
    seen = weakref.ref(layer.up.weight)
    layer.up.weight = nn.Parameter(torch.randn(16, 8))
    gc.collect()
    assert seen() is None


def test_threads():
    layers = [jitc.compile(Layer(scale=float(i + 1))) for i in range(3)]
    eager = [copy.deepcopy(layer) for layer in layers]
    for other in eager:
        del other.__dict__["forward"]
    for n in (3, 5):
        for layer in layers:
            layer(torch.randn(n, 8), torch.randn(n, 8))
    wrong: list[str] = []

    def work(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for i in range(200):
                n = 2 + (seed * 7 + i) % 30
                args = [torch.randn(n, 8, generator=generator, device="cpu").to(DEVICE) for _ in range(2)]
                try:
                    got, want = (m[i % 3](*args)[0] for m in (layers, eager))
                    if not torch.allclose(got, want, atol=1e-4):
                        wrong.append(f"thread {seed}, call {i}")
                except Exception as error:
                    wrong.append(f"thread {seed}, call {i}: {error}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_old_torch(plain):
    """Without torch's C functions all calls go by Dynamo."""
    layer, eager = layer_and_eager()
    args = torch.randn(3, 8), torch.randn(3, 8)
    for _ in range(3):
        expect(layer.forward, eager, *args, hit=False)


@needs_gates
def test_memory_is_flat(resident):
    layer = jitc.compile(Layer())
    args = torch.randn(3, 8), torch.randn(3, 8)
    for _ in range(3000):
        layer(*args)
    gc.collect()
    before = resident()
    for _ in range(100_000):
        layer(*args)
    gc.collect()
    assert resident() - before < 1 << 20


@needs_gates
def test_a_weight_that_always_changes_costs_no_memory(resident):
    layer = jitc.compile(Layer())
    args = torch.randn(3, 8), torch.randn(3, 8)

    def calls(n):
        for _ in range(n):
            layer.shift = torch.randn(8)
            layer(*args)
        gc.collect()

    calls(300)
    before = resident()
    calls(3000)
    assert resident() - before < 4 << 20 and math.isfinite(layer(*args)[0].sum())
