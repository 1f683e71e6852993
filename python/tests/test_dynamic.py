"""Sizes that change."""

from __future__ import annotations

import operator

import pytest
import torch
from compare import Compiled, again, check
from conftest import DEVICE
from torch import fx, nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from jitc import _facts as facts
from jitc._normal import normalise


@pytest.fixture(autouse=True)
def inference():
    with torch.no_grad():
        yield


def test_one_build_serves_all_sizes():
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
    done = check(model, torch.randn(5, 8), dynamic=True)
    for n in (2, 3, 17, 64, 100):
        again(done, model, torch.randn(n, 8))
    assert len(done.programs) == 1 and done.calls() == 6 and not done.unfit()


def test_layouts_of_several_sizes():
    """A symbol is the same number in a stride as in a size: products of stacks were left to torch, as having gaps."""

    def f(x, w):
        y = x @ w
        return y, y.transpose(1, 2) + 1

    done = check(f, torch.randn(16, 32, 24), torch.randn(16, 24, 8), dynamic=True)
    again(done, f, torch.randn(16, 5, 24), torch.randn(16, 24, 7))
    assert len(done.programs) == 1 and done.calls() == 2 and not done.refused


def test_sizes_become_dynamic():
    def f(x):
        return torch.softmax(x, -1)

    done = check(f, torch.randn(3, 8))
    for n in (4, 5, 6):
        again(done, f, torch.randn(n, 8))
    assert len(done.programs) == 2


def test_zero_and_one():
    def f(x):
        return x.sum(-1), x * 2

    done = check(f, torch.randn(4, 8), dynamic=True)
    for n in (0, 1, 2, 9):
        again(done, f, torch.randn(n, 8))


def test_size_as_a_number():
    def f(x):
        return x * x.shape[0], x.shape[0] * 2, x.numel()

    done = check(f, torch.randn(4, 3), dynamic=True)
    again(done, f, torch.randn(7, 3))


def test_integer_argument():
    def f(x, n):
        return x[:n] + n

    done = check(f, torch.randn(9, 2), 4, dynamic=True)
    again(done, f, torch.randn(9, 2), 6)


def test_shapes_from_sizes():
    def f(x):
        b, t, w = x.shape
        return x.view(b * t, w).sum(0), torch.zeros(b, t), x.transpose(0, 1).reshape(t, b * w)

    done = check(f, torch.randn(2, 5, 4), dynamic=True)
    again(done, f, torch.randn(3, 6, 8))


def test_arange_and_mask():
    def f(x):
        at = torch.arange(x.shape[0])
        return x.masked_fill(at[:, None] < at[None, :], float("-inf"))

    done = check(f, torch.randn(5, 5), dynamic=True)
    again(done, f, torch.randn(8, 8))


def test_dynamic_strides_of_results():
    done = check(lambda x: x.t() + 1, torch.randn(3, 5), dynamic=True)
    again(done, lambda x: x.t() + 1, torch.randn(6, 4))


def test_views_of_dynamic_sizes():
    def f(x):
        y = x + 1
        return y.view(-1, 2), x[1:], y.chunk(2, 0)

    done = check(f, torch.randn(6, 4), dynamic=True)
    again(done, f, torch.randn(10, 4))


def test_sizes_known_only_at_run_time():
    def f(x):
        rows = x.nonzero()
        return rows + 1, x[x > 0] * 2

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        done = Compiled(f)
        for _ in range(3):
            again(done, f, torch.randn(12))
        again(done, f, -torch.ones(12))


def test_floats_of_the_model():
    """Dynamo makes them inputs: those that cannot change are literals, the others need no build of their own."""

    def f(x, scale, eps):
        return torch.nn.functional.layer_norm(x, (8,), eps=eps) + x * scale + scale

    done = check(f, torch.randn(3, 8), 0.5, 1e-5, dynamic=True)
    for scale in (0.25, 3.0, -1.5):
        again(done, f, torch.randn(4, 8), scale, 1e-5)
    # On a GPU the floats, which Dynamo hands over on the CPU, are filled in there, between what comes before and after.
    torchs = {node.target for result in done.results for node, _ in result.plan.reasons()}
    assert len(done.programs) == (1 if DEVICE == "cpu" else 2) and torchs <= (
        set() if DEVICE == "cpu" else {"item", torch.full}
    )


def test_floats_of_the_model_on_a_gpu():
    """Of each float that arithmetic takes there is one tensor on the GPU, and no arithmetic is left to torch."""
    graph = fx.Graph()
    mode = FakeTensorMode(shape_env=ShapeEnv())
    with mode:
        values = torch.empty(3, 8, device="cuda"), torch.empty((), dtype=torch.float64, device="cpu")
    x, scale = (graph.placeholder(name) for name in ("x", "scale"))
    item = graph.call_method("item", (scale,))
    product = graph.call_function(torch.mul, (x, item))
    graph.output((graph.call_function(operator.add, (product, item)),))
    assert mode.shape_env is not None
    for node, value in zip(
        (x, scale, item, product), (*values, mode.shape_env.create_unbacked_symfloat(), values[0]), strict=True
    ):
        node.meta["example_value"] = value
    normalise(graph)
    graph.lint()
    (full,) = (node for node in graph.nodes if node.target is torch.full)
    assert full.args == ((), item) and facts.value(full).device == values[0].device and facts.value(full).dtype == torch.float64
    assert len(full.users) == 2 and set(item.users) == {full}


def test_floats_made_of_sizes():
    def f(x):
        return x * x.shape[-1] ** -0.5

    done = check(f, torch.randn(3, 8), dynamic=True)
    again(done, f, torch.randn(3, 16))


def test_static_strides_that_change():
    """The same shape with other strides is another graph, and right."""

    def f(x):
        return x * 2

    done = check(f, torch.randn(4, 6))
    again(done, f, torch.randn(6, 4).t())
    again(done, f, torch.randn(4, 12)[:, ::2])
