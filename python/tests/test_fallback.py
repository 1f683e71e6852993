"""What torch runs, and where jitc stands aside."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from compare import Compiled, check
from torch import nn

import jitc


def test_unsupported_operator_between():
    with torch.no_grad():
        done = check(lambda x: (x * 2).geqrf()[0] + 1, torch.randn(17, 18), times=2)
    assert done.refused == ["geqrf"] and len(done.programs) == 2 and done.calls() == 4


def test_unsupported_only():
    with torch.no_grad():
        assert not check(lambda x: x.geqrf()[0], torch.randn(18, 17)).programs


def test_several_results_of_a_fallback():
    def f(x):
        packed, scales = torch.geqrf(x * 2)
        return packed + 1, scales, torch.geqrf(x)[1] + 1

    with torch.no_grad():
        check(f, torch.randn(17, 18))


def test_views_into_a_fallback():
    def f(x, w):
        q, k, v = ((x @ w).view(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)).unbind(0)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 6, 8) + 1

    with torch.no_grad():
        check(f, torch.randn(2, 6, 5), torch.randn(5, 24))


def test_fallback_writes_what_a_piece_reads():
    def f(x, at):
        y = x * 2
        y.index_reduce_(0, at, x[:2], "prod")
        return y + x

    with torch.no_grad():
        check(f, torch.randn(4, 3), torch.tensor([1, 3]))


def test_view_written_by_a_fallback():
    def f(x):
        y = x * 2
        y[1:].uniform_(2.0, 2.0)
        return y + 1, y

    with torch.no_grad():
        check(f, torch.randn(4, 3))


def test_random_numbers_stay_in_order():
    def f(x):
        a = torch.rand(3)
        b = x + a
        return b * torch.rand(3)

    with torch.no_grad():
        torch.manual_seed(7)
        want = f(torch.ones(3))
        torch.manual_seed(7)
        assert torch.allclose(Compiled(f)(torch.ones(3)), want)


def test_shapes_changed_in_place():
    def f(x):
        y = x * 2
        head = y[0]
        y.t_()
        return head, y, y[0] + 1

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not check(f, torch.randn(3, 4)).programs


def test_assertions_are_kept():
    def f(x):
        torch._assert_async(x.sum() > 0)
        return x * 2

    with torch.no_grad():
        done = check(f, torch.ones(3))
        with pytest.raises(RuntimeError, match="nonzero"):
            done(-torch.ones(3))


def test_custom_operator():
    @torch.library.custom_op("jitc_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @twice.register_fake
    def _(x):
        return torch.empty_like(x)

    with torch.no_grad():
        done = check(lambda x: torch.ops.jitc_tests.twice(x + 1) - 1, torch.randn(4))
    assert len(done.programs) == 2 and done.refused


def test_custom_operator_that_writes():
    @torch.library.custom_op("jitc_tests::fill", mutates_args=("out",))
    def fill(x: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(x + 5)

    def f(x):
        out = torch.empty_like(x)
        torch.ops.jitc_tests.fill(x * 2, out)
        return out.view(-1) + 1

    with torch.no_grad():
        check(f, torch.randn(2, 3))


def test_unknown_dtype():
    with torch.no_grad():
        check(lambda x, y: (x * 2 + 1j, y + 1), torch.randn(3, dtype=torch.complex64), torch.randn(3))


def test_control_flow():
    def f(x):
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x * 2,))

    with torch.no_grad():
        check(f, torch.ones(3), aliases=False)
        check(f, -torch.ones(3), aliases=False)


def test_graph_breaks():
    def f(x):
        y = x + 1
        print("", end="")
        if y.sum() > 0:
            y = y * 2
        return y - 1

    with torch.no_grad():
        done = check(f, torch.ones(4))
    assert len(done.results) >= 2


def test_training_runs_in_eager_with_one_warning():
    model = nn.Linear(3, 3)
    compiled = Compiled(model)
    with pytest.warns(UserWarning, match="needs gradients") as seen:
        for n in (2, 3, 4):
            compiled(torch.randn(n, 3)).sum().backward()
    assert len([w for w in seen if "jitc" in str(w.message)]) == 1
    assert model.weight.grad is not None and not compiled.programs


def test_training_and_inference_of_one_model():
    model = nn.Linear(3, 3)
    compiled = Compiled(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert compiled(torch.randn(2, 3)).requires_grad
    with torch.no_grad():
        assert not compiled(torch.randn(2, 3)).requires_grad
    assert compiled.calls() == 1


def test_no_grad_inside_a_function():
    model = nn.Linear(17, 17)

    def f(x):
        with torch.no_grad():
            return model(x).geqrf()[0] + 1

    done = check(f, torch.randn(18, 17))
    assert done.calls() and not done(torch.randn(18, 17)).requires_grad


def test_inference_mode():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def f(x):
        x.add_(1)
        return model(x), x[1:]

    with torch.inference_mode():
        done = check(f, torch.randn(3, 4), times=2)
        assert done(torch.randn(3, 4))[0].is_inference()
    assert done.calls()


@pytest.mark.parametrize("inside", [True, False])
def test_autocast(inside):
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4))

    def f(x):
        if inside:
            with torch.autocast("cpu", torch.bfloat16):
                return model(x), x * 2
        return model(x), x * 2

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=not inside):
        done = check(f, torch.randn(3, 8), times=2)
        assert done.calls()


def test_subclasses_are_refused_with_a_reason():
    from torch.testing._internal.two_tensor import TwoTensor

    x = TwoTensor(torch.randn(3), torch.randn(3))
    compiled = Compiled(lambda x: x * 2)
    with torch.no_grad(), pytest.warns(UserWarning, match="subclass TwoTensor"):
        got = compiled(x)
    assert torch.equal(got.a, x.a * 2) and torch.equal(got.b, x.b * 2) and not compiled.programs


def test_what_writes_through_an_index():
    def f(x, at):
        out = torch.empty_like(x)
        out[at] = x * 2
        return out + 1

    with torch.no_grad():
        done = check(f, torch.randn(4, 3), torch.tensor([2, 0, 3, 1]))
    assert done.refused == []


def test_sizes_across_a_fallback():
    def f(x):
        size = x.size()
        y = (x * 2).geqrf()[0].view(-1)
        return (y + 1).view(size), torch.zeros(size)

    with torch.no_grad():
        done = check(f, torch.randn(18, 17), dynamic=True)
    assert done.refused == ["geqrf"]


def test_parameters_that_are_handed_on_need_no_gradients():
    model = nn.Linear(3, 3)
    with torch.no_grad():
        done = check(lambda x: x @ model.weight.float().to(x.device) + model.bias.contiguous(), torch.randn(2, 3))
    assert done.calls()


def test_explain():
    def f(x):
        return (x * 2).geqrf()[0] + torch.geqrf(x)[0]

    told = jitc.explain(f, torch.randn(17, 17))
    assert [graph.declined for graph in told.graphs] == [""]
    assert told.counts() == {"torch.geqrf": 1, "x.geqrf": 1}
    assert all(fallback.reason and fallback.where.startswith("test_fallback.py:") for fallback in told.fallbacks)
    assert told.graphs[0].kernels > 0
    assert "x.geqrf" in str(told)
    assert all(fallback.us > 0 for fallback in told.fallbacks) and 0 < told.graphs[0].share < 1
    assert set(told.costs()) == {"torch.geqrf", "x.geqrf"} and sum(told.costs().values()) < told.graphs[0].us


def test_explain_finds_what_is_expensive():
    def f(x):
        return torch.linalg.svd(x + 1).S + (x * 2).geqrf()[0][0]

    told = jitc.explain(f, torch.randn(200, 200))
    assert next(iter(told.costs())).endswith("linalg_svd") and told.graphs[0].share > 0.5


def test_explain_writes_arguments_once():
    def f(x):
        return x.add_(1).geqrf()[0] * 2

    x = torch.zeros(18, 17)
    told = jitc.explain(f, x)
    assert torch.equal(x, torch.ones(18, 17)) and told.fallbacks[0].us > 0


def test_explain_of_what_is_supported():
    told = jitc.explain(nn.Linear(4, 4), torch.randn(2, 4))
    assert told.graphs and not told.fallbacks and told.graphs[0].pieces == 1
    assert told.graphs[0].us > 0 and told.graphs[0].share == 0


def test_explain_of_training():
    assert "gradients" in _declined_reason()


def _declined_reason() -> str:
    def f(x):
        with torch.enable_grad():
            return x * torch.ones(3, requires_grad=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return " ".join(graph.declined for graph in jitc.explain(f, torch.ones(3, requires_grad=True)).graphs)
