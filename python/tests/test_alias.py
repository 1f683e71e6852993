"""What shares memory with what, and what is written in place."""

from __future__ import annotations

import pytest
import torch
from compare import Compiled, again, check
from torch import nn


@pytest.fixture(autouse=True)
def inference():
    with torch.no_grad():
        yield


def test_argument_written():
    def f(x):
        x.add_(1)
        return x * 2

    done = check(f, torch.randn(4), times=2)
    assert done.calls() == 2 and not done.unfit()


def test_argument_written_and_returned():
    check(lambda x: x.mul_(3), torch.randn(4))


def test_part_of_an_argument_written():
    def f(x, y):
        x[1:3] = y
        x[:, 0] += 1
        return x.sum()

    check(f, torch.randn(4, 5), torch.randn(2, 5))


def test_buffer_written():
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(3))

        def forward(self, x):
            self.seen.add_(x.sum(0))
            return x + self.seen

    check(Counter(), torch.randn(2, 3), times=3)


def test_cache_written_at_a_position():
    def f(cache, k, at):
        cache.index_copy_(1, at, k)
        return cache[:, :3] * 2

    check(f, torch.zeros(2, 6, 4), torch.randn(2, 1, 4), torch.tensor([2]))


def test_only_a_write_and_no_result():
    def f(x, y):
        x.copy_(y * 2)

    check(f, torch.zeros(3), torch.randn(3))


def test_versions_are_bumped():
    x = torch.zeros(3)
    before = x._version
    Compiled(lambda x: x.add_(1).sum())(x)
    assert x._version > before


def test_view_of_an_argument():
    done = check(lambda x: (x.view(-1), x[1], x.t(), x + 1), torch.randn(3, 4))
    assert done.calls() == 1


def test_view_is_torchs_own():
    x = torch.randn(4, 4)
    view, _ = Compiled(lambda x: (x[1:], x * 2))(x)
    assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() and view.storage_offset() == 4
    view.zero_()
    assert x[1:].abs().sum() == 0


def test_only_views():
    assert not check(lambda x: (x.view(-1), x[0]), torch.randn(3, 4)).programs


def test_halves_of_a_result_share_it():
    def f(x, w):
        q, k = (x @ w).chunk(2, -1)
        return q, k, k.t()

    check(f, torch.randn(3, 4), torch.randn(4, 8))


def test_a_result_and_its_view():
    def f(x):
        y = x + 1
        return y, y[0], y.view(-1)

    check(f, torch.randn(3, 4))


def test_results_written_after_their_view_was_taken():
    def f(x):
        y = x + 1
        head = y[0]
        y.mul_(2)
        return head, y

    check(f, torch.randn(3, 4))


def test_view_written_in_another_graph():
    def f(x):
        y = x + 1
        head = y[:2]
        torch._dynamo.graph_break()
        head.add_(10)
        return y * 1, head

    check(f, torch.randn(4, 3))


def test_a_view_that_shows_all_is_a_tensor_of_its_own():
    def f(x):
        y = x * 2
        return x.squeeze(0), y, y.squeeze(0), y.view(3, 4), y.detach(), x.add_(1)

    check(f, torch.randn(3, 4))


def test_two_results_that_are_one():
    def f(x):
        y = x * 2
        return y, y

    got, want = Compiled(f)(torch.ones(2)), f(torch.ones(2))
    assert (got[0] is got[1]) == (want[0] is want[1])


def test_overlapping_arguments():
    """Views of one buffer: one is written, the other read."""
    base = torch.randn(10)

    def f(a, b):
        b.copy_(a * 2)
        return b + 1

    check(f, base[:8], base[2:])
    x = torch.arange(10.0)
    y = x.clone()
    again(Compiled(f), f, x[:8], x[2:])
    Compiled(f)(x[:8], x[2:])
    f(y[:8], y[2:])
    assert torch.equal(x, y)


def test_same_argument_twice():
    def f(a, b):
        a.add_(1)
        return a + b

    x = torch.randn(3)
    check(f, x, x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.t() + 1,
        lambda x: x.permute(2, 0, 1) * 2 if x.dim() == 3 else x.t() * 2,
        lambda x: torch.empty_like(x.t()).copy_(x.t()),
        lambda x: (x.t() + 1).contiguous(),
        lambda x: x.t().clone(),
        lambda x: x.t().reshape(-1),
        lambda x: (x * 2).t(),
        lambda x: x.expand(2, *x.shape) + 0,
        lambda x: (x + 1)[::2],
    ],
)
def test_strides(function):
    check(function, torch.randn(4, 6))


def test_strides_of_channels_last():
    check(lambda x: torch.relu(x) + 1, torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last))


def test_strided_arguments():
    x = torch.randn(6, 8)
    done = check(lambda a, b: a @ b, x[:, :4], x[:4].t()[:4])
    assert done.calls() == 1 and not done.unfit()


@pytest.mark.parametrize("function", [lambda x: torch.diff(x, n=0), lambda x: x.sum_to_size(4, 6), lambda x: torch.diff(x + 1, n=0)])
def test_operators_that_do_nothing(function):
    x = torch.randn(4, 6)
    assert torch.equal(torch.compile(function, backend="jitc")(x), function(x))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.unsafe_chunk(2),
        lambda x: x.resolve_conj(),
        lambda x: torch.einsum("ij->ji", x),
        lambda x: torch.nn.functional.alpha_dropout(x, training=False),
        lambda x: torch.positive(x),
    ],
)
def test_views_by_any_name(view):
    """A result that lies in an argument's memory does so, whatever made it: nothing is torch's for it."""
    done = check(lambda x: (view(x), x + 1), torch.randn(4, 6))
    assert done.calls() == 1 and not done.unfit()
