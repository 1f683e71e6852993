"""Pieces as the plugin for vLLM sees them, without vLLM: keys, shared entries, entries as bytes."""

import hashlib
import operator
import sys
import time
import types

import pytest
import torch
from conftest import DEVICE

import jitc._jitc as native
from jitc._compile import compile_graph
from jitc._normal import normalise
from jitc._options import Options
from jitc._torch import context
from jitc.vllm import _entry, _hooks, _recipe, install, platform
from jitc.vllm._recipe import Declined, Recipe, Walk


@torch.library.custom_op("jitc_test::named", mutates_args=("out",))
def named(x: torch.Tensor, out: torch.Tensor, layer: str) -> None:
    out.copy_(x + len(layer))


@named.register_fake
def _(x, out, layer):
    return None


def captured(function, *args):
    """The graph that Dynamo makes of a function, the number of rows symbolic."""
    graphs = []

    def keep(module, examples):
        graphs.append((module, [node.meta["example_value"] for node in module.graph.find_nodes(op="placeholder")]))
        return module.forward

    torch._dynamo.reset()
    for arg in args:
        if arg.dim():
            torch._dynamo.mark_dynamic(arg, 0)
    with torch.no_grad():
        torch.compile(function, backend=keep, fullgraph=True)(*args)
    return graphs[0]


def recipe(function, *args, lo=1, hi=64):
    module, examples = captured(function, *args)
    return Recipe(module.graph, examples, lo, hi, "test"), module


def layer(name, eps=1e-5, width=8):
    def run(x, w):
        y = x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps)
        out = torch.empty_like(y)
        torch.ops.jitc_test.named(y, out, name)
        return (out.view(-1, 2, width // 2) * w,)

    return run


def arguments():
    return torch.randn(6, 8), torch.randn(6, 2, 4)


def test_names_are_not_in_the_key():
    (a, _), (b, _) = recipe(layer("layers.0"), *arguments()), recipe(layer("layers.11"), *arguments())
    assert a.key == b.key and a.walk.literals == ["layers.0"] and b.walk.literals == ["layers.11"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: recipe(layer("layers.0", eps=1e-6), *arguments()),
        lambda: recipe(layer("layers.0"), *arguments(), hi=63),
        lambda: recipe(layer("layers.0"), torch.randn(6, 8).double(), torch.randn(6, 2, 4)),
        lambda: recipe(layer("layers.0"), torch.randn(8, 6).t(), torch.randn(6, 2, 4)),
        lambda: recipe(lambda x, w: (*layer("layers.0")(x, w), x + 1), *arguments()),
    ],
)
def test_what_makes_a_difference_is(other):
    assert recipe(layer("layers.0"), *arguments())[0].key != other()[0].key


def test_examples_that_lie_otherwise_are_declined():
    module, examples = captured(layer("l"), *arguments())
    as_told = [7 if isinstance(item, torch.SymInt) else torch.empty([7, *item.shape[1:]]) for item in examples]
    assert Recipe(module.graph, as_told, 7, 7, "test").key
    other = [item if isinstance(item, int) else item.transpose(0, -1).contiguous().transpose(0, -1) for item in as_told]
    with pytest.raises(Declined, match="example"):
        Recipe(module.graph, other, 7, 7, "test")


def built(function, *args):
    made, module = recipe(function, *args)
    copy = _recipe.lifted(module.graph, module, made.walk.literals)
    normalise(copy.graph)
    result = compile_graph(copy, Options(cache_dir=""), made.ranges)
    return _entry.of_result(result, made.walk.attributes), made, module


def values(module, x, w):
    """The arguments of a piece: its placeholders in order."""
    sizes = [x.shape[0]] * 8
    return [
        sizes.pop()
        if isinstance(node.meta["example_value"], torch.SymInt)
        else (x if node.meta["example_value"].dim() == 2 else w)
        for node in module.graph.find_nodes(op="placeholder")
    ]


def test_an_entry_serves_all_of_a_class_and_comes_back_from_bytes():
    entry, made, module = built(layer("layers.0"), *arguments())
    other = recipe(layer("a longer name"), *arguments())[0]
    data = entry.save("me", made.key, made.walk.digest)
    ctx = context(torch.device(DEVICE), Options(cache_dir=""))
    again, digest = _entry.load(data, "me", made.key, ctx, lambda i: None)
    assert digest == made.walk.digest == Walk(module.graph).digest
    x, w = torch.randn(5, 8), torch.randn(5, 2, 4)
    for which in (entry, again):
        for walk, name in ((made.walk, "layers.0"), (other.walk, "a longer name")):
            (result,) = which.bind(module, walk.attributes, walk.literals)(*values(module, x, w))
            torch.testing.assert_close(result, layer(name)(x, w)[0])


def test_bytes_that_are_not_the_entry_are_told():
    entry, made, _ = built(layer("layers.0"), *arguments())
    data = entry.save("me", made.key, made.walk.digest)
    ctx = context(torch.device(DEVICE), Options(cache_dir=""))
    for i in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[i] ^= 0x10
        with pytest.raises(_entry.Unfit):
            _entry.load(bytes(damaged), "me", made.key, ctx, lambda i: None)
    for wrong in (data[:-1], b"", data[:60]):
        with pytest.raises(_entry.Unfit):
            _entry.load(wrong, "me", made.key, ctx, lambda i: None)
    with pytest.raises(_entry.Unfit, match="another version"):
        _entry.load(data, "you", made.key, ctx, lambda i: None)
    with pytest.raises(_entry.Unfit, match="another class"):
        _entry.load(data, "me", hashlib.sha256().hexdigest(), ctx, lambda i: None)


def test_nothing_happens_unasked(monkeypatch):
    for plugins in (None, "", "other", "jitcx"):
        monkeypatch.delenv("VLLM_PLUGINS", raising=False)
        if plugins is not None:
            monkeypatch.setenv("VLLM_PLUGINS", plugins)
        monkeypatch.setattr(_hooks, "install", lambda: pytest.fail("installed"))
        assert platform() is None and install() is None


def test_a_program_as_bytes():
    ctx = context(torch.device(DEVICE), Options(cache_dir=""))
    text = (
        'class M(torch.nn.Module):\n    def forward(self, x: "f32[4]"):\n        y: "f32[4]" = x * 2.0\n        return (y,)\n'
    )
    data = ctx.build("g", text).save()
    assert torch.equal(ctx.load("g", data).run(torch.ones(4))[0], torch.full((4,), 2.0))
    with pytest.raises(native.Error):
        ctx.load("g", data[:-1])
    assert native.build_id().startswith(native.version())


def test_splits_and_idle_views_go():
    def run(x):
        a, b = x.split([3, 5], dim=-1)
        return (a.contiguous().view(-1, 3) * 1, b.reshape(-1, 5))

    module, _ = captured(run, torch.randn(6, 8))
    copy = _recipe.lifted(module.graph, module, [])
    names = [str(node.target) for node in copy.graph.nodes if node.op.startswith("call_")]
    assert "split" not in names and names.count("narrow") == 2
    x = torch.randn(4, 8)
    args = [x if isinstance(n.meta["example_value"], torch.Tensor) else 4 for n in copy.graph.find_nodes(op="placeholder")]
    for mine, theirs in zip(copy.forward(*args), run(x), strict=True):
        assert torch.equal(mine, theirs)


def plain_walk(graph):
    """What a walk's bytes are, told anew: see Walk."""
    names, literals, attributes, lines = {}, [], [], []

    def value(arg, custom):
        if isinstance(arg, torch.fx.Node):
            lines.append(names[arg])
        elif custom and (isinstance(arg, str) or _recipe.is_opaque(arg)):
            literals.append(arg)
            lines.append("$")
        elif isinstance(arg, (tuple, list)):
            lines.append("(" if isinstance(arg, tuple) else "[")
            for part in arg:
                value(part, custom)
            lines.append(")")
        elif isinstance(arg, slice):
            lines.append(":")
            for part in (arg.start, arg.stop, arg.step):
                value(part, custom)
        elif isinstance(arg, dict):
            lines.append("{")
            for name, part in arg.items():
                lines.append(repr(name))
                value(part, custom)
            lines.append("}")
        else:
            lines.append(repr(arg))

    for i, node in enumerate(graph.nodes):
        names[node] = f"%{i}"
        if node.op == "placeholder":
            lines.append("p")
        elif node.op == "get_attr":
            if node.target not in attributes:
                attributes.append(node.target)
            lines.append(f"a{attributes.index(node.target)}")
        else:
            title, custom, _ = _recipe._title(node.target)
            lines.append(title)
            for arg in node.args:
                value(arg, custom)
            for name, arg in node.kwargs.items():
                lines.append(f"={name}")
                value(arg, custom)
    return "".join(line + "\n" for line in lines).encode(), literals, attributes


class LayerName:
    def __init__(self, value):
        self.value = value


def every_kind():
    """A graph of all kinds of nodes and values that a walk knows."""
    graph = torch.fx.Graph()
    x, y = graph.placeholder("x"), graph.placeholder("y")
    weights = [graph.get_attr(path) for path in ("a.b", "c", "a.b")]
    numbers = (1, -(2**70), 1.5, float("inf"), True, None, ..., "text\n'", torch.float32, torch.device("cpu"), torch.strided)
    graph.call_function(torch.add, (x, weights[0]), {"alpha": weights[2], "out": y})
    part = graph.call_function(operator.getitem, (x, (slice(1, y, None), ..., [y, (2, "s")])))
    graph.call_method("view", (part, *numbers), {"shape": {"k": x, "l": [1]}})
    graph.call_function(
        torch.ops.jitc_test.named.default, (x, y, "layers.0"), {"other": [LayerName("l"), "s", 2, torch.channels_last]}
    )
    graph.call_function(torch.ops.aten.add.Tensor, (x, weights[1]))
    graph.output((part, [x]))
    return graph


def test_a_walk_is_what_it_says():
    for graph in (every_kind(), captured(layer("layers.0"), *arguments())[0].graph, torch.fx.Graph()):
        for _ in range(2):  # the second time titles are known
            text, literals, attributes = native.walk(
                graph.nodes, torch.fx.Node, _recipe._titles, _recipe._title, _recipe._other
            )
            assert (text, literals, attributes) == plain_walk(graph)
    assert len(literals) == 0 and len(Walk(every_kind()).literals) == 3


def test_a_walk_of_what_is_not_for_us():
    graph = torch.fx.Graph()
    graph.call_module("layers.0", (graph.placeholder("x"),))
    with pytest.raises(Declined, match=r"the module layers\.0"):
        Walk(graph)
    for target, value in ((torch.ops.aten.neg.default, LayerName("l")), ("neg", 1j), (torch.ops.jitc_test.named.default, {1})):
        graph = torch.fx.Graph()
        (graph.call_method if isinstance(target, str) else graph.call_function)(
            target, (value if not isinstance(value, set) else 2j,)
        )
        with pytest.raises(Declined, match="is given a"):
            Walk(graph)
    foreign = torch.fx.Graph().placeholder("x")
    graph = torch.fx.Graph()
    graph.call_function(torch.neg, (1,)).args = (foreign,)
    with pytest.raises(ValueError, match="before it is there"):
        Walk(graph)


def test_a_walk_is_quick():
    """vLLM walks every piece at every start: by 20 times and more faster than the same in Python would be."""
    graph = captured(layer("layers.0"), *arguments())[0].graph
    graphs = [graph] * 20
    Walk(graph)

    def seconds(walk):
        def once():
            start = time.thread_time()
            for one in graphs:
                walk(one)
            return time.thread_time() - start

        return min(once() for _ in range(15))

    ours, plain = seconds(Walk), seconds(plain_walk)
    print(f"{ours / 20 * 1e6:.1f} us a graph of {len(graph.nodes)} nodes, {plain / ours:.1f} times as fast as in Python")
    assert plain / ours >= 2


def test_what_vllm_asks_of_make_compiler_is_passed_on(monkeypatch):
    """vLLM 0.32 gives the configuration alone, 0.33 also a keyword."""
    asked = []

    def make_compiler(compilation_config, **more):
        asked.append(more)
        return "theirs"

    platforms = types.SimpleNamespace(current_platform=types.SimpleNamespace(is_cpu=lambda: False))
    monkeypatch.setitem(sys.modules, "vllm", types.SimpleNamespace(platforms=platforms))
    backends = types.SimpleNamespace(make_compiler=make_compiler)
    _hooks._replace(backends)
    config = types.SimpleNamespace(backend="eager")
    assert backends.make_compiler(config) == backends.make_compiler(config, use_aot_compile=True) == "theirs"
    assert asked == [{}, {"use_aot_compile": True}] and backends.make_compiler._jitc
