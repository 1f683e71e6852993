"""What only a GPU shows: streams, captures, whose memory it is."""

from __future__ import annotations

import pytest
import torch
from compare import Compiled, check
from torch import nn

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(autouse=True)
def on_gpu():
    with torch.no_grad(), torch.device("cuda"):
        yield


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.LayerNorm(512), nn.Linear(512, 256))


def test_values_and_where_results_lie():
    done = check(mlp(), torch.randn(33, 256), times=2)
    assert done(torch.randn(33, 256)).device == torch.device("cuda", 0) and not done.refused


def test_host_tensors_among_them():
    """A number in a tensor on the CPU, as PyTorch allows."""
    check(lambda x, s: x * s + 1, torch.randn(5), torch.tensor(2.5, device="cpu"))


def test_work_goes_to_the_current_stream():
    """A long kernel on a side stream writes what the program reads; nothing else orders the two."""
    model = mlp()
    compiled = Compiled(model)
    x = torch.randn(512, 256)
    want = model(x * 3)
    compiled(x)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        got = compiled(x * 3)
    side.synchronize()
    torch.testing.assert_close(got, want, rtol=2e-3, atol=2e-3)


def test_capture():
    """A call is captured once and replayed with other values; what it allocates is the capture's pool."""
    model = mlp()
    compiled = Compiled(model)
    x = torch.randn(8, 256)
    for _ in range(3):
        compiled(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = compiled(x)
    for _ in range(3):
        x.copy_(torch.randn(8, 256))
        graph.replay()
        torch.testing.assert_close(got, model(x), rtol=2e-3, atol=2e-3)


def test_capture_survives_larger_calls():
    model = mlp()
    compiled = Compiled(model, dynamic=True)
    x = torch.randn(8, 256)
    for _ in range(3):
        compiled(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = compiled(x)
    graph.replay()
    first = got.clone()
    compiled(torch.randn(4096, 256))
    graph.replay()
    assert torch.equal(got, first)


def test_memory_is_torchs():
    compiled = Compiled(lambda x: torch.softmax(x @ x, -1) @ x)
    x = torch.randn(1024, 1024)
    compiled(x)
    before = torch.cuda.memory_allocated()
    got = compiled(x)
    assert torch.cuda.memory_allocated() >= before + got.numel() * got.element_size()
    del got
    assert torch.cuda.memory_allocated() == before


def test_memory_is_flat():
    compiled = Compiled(lambda x, y: (x * y, x.sum(-1)))
    x, y = torch.randn(64, 64), torch.randn(64, 64)
    compiled(x, y)
    before = torch.cuda.memory_allocated()
    for _ in range(10_000):
        compiled(x, y)
    assert torch.cuda.memory_allocated() == before
