"""Options: what was compiled elsewhere, cuts, captures, training."""

from __future__ import annotations

import warnings

import pytest
import torch
from compare import Compiled, check
from torch import nn

import jitc
from jitc._replay import static_arguments


def model():
    return nn.Sequential(nn.Linear(6, 7), nn.GELU(), nn.LayerNorm(7))


def compiled_counts(done):
    return sum(program.stats["compiled"] for program in done.programs), sum(program.stats["hits"] for program in done.programs)


def test_bundle_is_written_and_read(tmp_path):
    """A folder that one run wrote serves another, which compiles nothing; and is not changed by it."""
    folder, module, x = str(tmp_path / "shipped"), model(), torch.randn(3, 6)
    with torch.no_grad():
        first = check(module, x, bundle=folder, bundle_write=True)
        assert compiled_counts(first)[0] > 0
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "shipped").rglob("*") if path.is_file()}
        assert before
        torch._dynamo.reset()
        second = check(module, x, bundle=folder, cache_dir="")
        assert compiled_counts(second)[0] == 0 and compiled_counts(second)[1] > 0
        torch._dynamo.reset()
        other = check(lambda x: torch.softmax(x, 0) * 5, x, bundle=folder, cache_dir="")
        assert compiled_counts(other)[0] > 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "shipped").rglob("*") if path.is_file()} == before


def test_bundle_mistakes(tmp_path):
    missing = str(tmp_path / "none")
    for options, message in (
        ({"bundle": missing}, "there is no bundle"),
        ({"bundle_write": True}, "needs bundle"),
        ({"bundle": missing, "bundle_write": True, "cache_dir": "x"}, "cache_dir is given"),
        ({"bundle": __file__, "bundle_write": True}, "is a file"),
    ):
        with pytest.raises(ValueError, match=message):
            jitc.Options(**options)
    for options in ({"bundle": 3}, {"bundle_write": "yes"}, {"cuda_graphs": 1}, {"split_ops": "cumsum"}, {"split_ops": [1]}):
        with pytest.raises(TypeError, match="jitc: "):
            jitc.Options(**options)
    with pytest.raises(ValueError, match="training"):
        jitc.Options(training="never")


def test_a_file_that_is_no_bundle(tmp_path):
    """Whatever is wrong with it, what it lacks is compiled."""
    path = tmp_path / "model.jitc"
    path.write_bytes(b"nothing of the kind")
    with torch.no_grad():
        done = check(model(), torch.randn(3, 6), bundle=str(path), cache_dir="")
    assert compiled_counts(done)[0] > 0


@pytest.mark.parametrize(
    "name",
    [
        "gelu",
        "torch._C._nn.gelu",
        "torch.nn.functional.gelu",
        "aten::gelu",
        "aten.gelu",
        "torch.ops.aten.gelu",
        "torch.ops.aten.gelu.default",
    ],
)
def test_cut_at_an_operator(name):
    def f(x):
        return torch.ops.aten.gelu.default(x + 1) * 2 if name.endswith("default") else torch.nn.functional.gelu(x + 1) * 2

    with torch.no_grad():
        done = check(f, torch.randn(3), split_ops=[name])
    assert len(done.programs) == 2 and done.refused == ["gelu_default" if name.endswith("default") else "gelu"]


def test_cut_at_a_method_and_an_operator_of_several_results():
    with torch.no_grad():
        done = check(lambda x: (x + 1).chunk(2)[0] * 2 - x.sum().sqrt(), torch.randn(4), split_ops=["x.chunk", "aten::sqrt"])
    assert sorted(done.refused) == ["chunk", "sqrt"]


def test_cut_at_what_is_no_operator():
    with torch.no_grad():
        check(lambda x: x + 1, torch.randn(3), split_ops=["cumsum", "torch.sort", "aten::scaled_dot_product_attention"])
        for name in ("cumsumm", "aten::no_such", "torch.no_such", "torch.ops.aten.no_such.default", "Tensor.no_such", ""):
            torch._dynamo.reset()
            with pytest.raises(Exception, match="no operator is called that"):
                Compiled(lambda x: x + 1, split_ops=[name])(torch.randn(3))


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("attention", ["auto", "torch", "jitc"])
def test_whose_attention(attention, rows):
    def f(q, k):
        return torch.nn.functional.scaled_dot_product_attention(q * 2, k, k) + 1

    with torch.no_grad():
        q, k = torch.randn(2, 4, rows, 32), torch.randn(2, 4, 40, 32)
        done = check(f, q, k, dynamic=False, attention=attention)
    torchs = attention == "torch" or (attention == "auto" and q.is_cuda and rows == 40)
    assert bool(done.refused) == torchs


@pytest.mark.skipif(torch.tensor(0).device.type != "cpu", reason="the device is not the CPU")
def test_cuda_graphs_on_the_cpu():
    with torch.no_grad(), pytest.warns(UserWarning, match="cuda_graphs is for GPUs") as seen:
        check(lambda x: x + 1, torch.zeros(3, device="cpu"), cuda_graphs=True)
        check(lambda x: x + 2, torch.zeros(3, device="cpu"), cuda_graphs=True)
    assert len([w for w in seen if "cuda_graphs" in str(w.message)]) == 1


@pytest.mark.parametrize("who", ["eager", "inductor"])
def test_who_trains(who, monkeypatch):
    asked: list[str] = []

    def compile_fx(module, inputs):
        asked.append("inductor")
        return module.forward

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", compile_fx)
    layer = nn.Linear(3, 3)
    compiled = Compiled(layer, training=who)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled(torch.randn(2, 3)).sum().backward()
    assert layer.weight.grad is not None and asked == (["inductor"] if who == "inductor" else [])
    with torch.no_grad():
        compiled(torch.randn(2, 3))
    assert compiled.calls() == 1


def test_what_a_capture_is_for():
    """Weights, what is written, and what a result is a view of lie where they lie; the rest is copied."""
    layer = nn.Linear(3, 3)

    def f(cache, x, y, z):
        cache.add_(x)
        return layer(y * 2), z[1:], x + 1

    with torch.no_grad():
        done = check(f, *(torch.randn(3, 3) for _ in range(4)))
    (result,) = done.results
    names = [node.name for node in result.plan.graph.nodes if node.op == "placeholder"]
    static = [name for name, is_static in zip(names, static_arguments(result.plan.graph), strict=True) if is_static]
    assert sorted(set(names) - set(static)) == ["l_x_", "l_y_"] and {"l_cache_", "l_z_"} <= set(static)


def test_a_bundle_that_others_may_write_to(tmp_path):
    path = tmp_path / "loose.jitc"
    path.write_bytes(b"")
    path.chmod(0o664)
    with pytest.raises(PermissionError, match="chmod go-w"):
        jitc.Options(bundle=str(path))
    assert jitc.Options(bundle=str(path), trust_files=True).trust_files


def test_isolated(tmp_path):
    """In a process of its own, the compiler gives the same; what becomes of it there is an error here."""
    x = torch.randn(3, 6)
    with torch.no_grad():
        check(lambda x: torch.softmax(x, -1) * 3, x, cache_dir=str(tmp_path), isolate=True)
    assert list(tmp_path.glob("v1/*/*"))
