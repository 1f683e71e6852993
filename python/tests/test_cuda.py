"""What only a GPU shows: streams, captures, whose memory it is."""

from __future__ import annotations

import copy
import gc
import time
import warnings
import weakref

import pytest
import torch
from compare import Compiled, check
from torch import nn

import jitc
from jitc import _jitc

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


def released():
    """Whether graphs let go of all that programs left to them; the driver says so from a thread of its own."""
    for _ in range(500):
        if not _jitc.left_behind():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("region", [False, True])
def test_a_captured_graph_outlives_its_program(region):
    assert released()
    model = Layer()
    inputs = torch.randn(8, 64), torch.randn(8, 64)
    compiled = jitc.compile(copy.deepcopy(model)) if region else Compiled(model)
    for _ in range(3):
        compiled(*inputs)
    kept = [parameter.data for parameter in compiled.parameters()] if region else []  # their memory: a graph refers to it
    weight = weakref.ref(compiled.up.weight) if region else None
    torch.cuda.synchronize()
    graphs = [torch.cuda.CUDAGraph() for _ in range(2)]
    for graph in graphs:
        with torch.cuda.graph(graph):
            got = [compiled(*inputs) for _ in range(3)][-1]
    compiled = None
    torch._dynamo.reset()
    gc.collect()
    assert _jitc.left_behind() and (weight is None or weight() is None)
    other = Compiled(mlp())
    for n in (3, 5, 700):  # other programs, with memory of their own
        other(torch.randn(n, 256))
    del graphs[0], graph
    for _ in range(3):
        inputs[0].copy_(torch.randn(8, 64))
        graphs[-1].replay()
        close(got, model(*inputs))
    assert _jitc.left_behind()
    graphs.clear()
    del got, kept
    gc.collect()
    assert released()


def test_memory_is_torchs():
    compiled = Compiled(lambda x: torch.softmax(x @ x, -1) @ x)
    x = torch.randn(1024, 1024)
    empty = torch.cuda.memory_allocated()
    compiled(x)
    before = torch.cuda.memory_allocated()
    assert before >= empty + x.numel() * x.element_size()  # the product lies in scratch, which is kept
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


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(64), nn.Linear(64, 128), nn.Linear(128, 64)

    def forward(self, x, residual):
        residual = x + residual
        return self.down(torch.relu(self.up(self.norm(residual)))), residual


def close(got, want, tolerance=2e-3):
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_region_by_gates():
    layer = Layer()
    eager = copy.deepcopy(layer)
    jitc.compile(layer)
    for n in (3, 5, 5, 7, 64):
        args = torch.randn(n, 64), torch.randn(n, 64)
        close(layer(*args), eager(*args))
    region = layer.forward.jitc_region
    assert region.gates.stats["hits"] >= 3, region.reason
    weight = torch.randn(128, 64)
    for module in (layer, eager):
        module.up.weight.data = weight.clone()
    close(layer(*args), eager(*args))
    for module in (layer, eager):
        module.half()
    halves = [arg.half() for arg in args]
    for _ in range(3):
        close(layer(*halves), eager(*halves), 2e-2)


def test_region_in_a_capture():
    """Calls by gates are captured: they allocate by torch's allocator alone, and wait for nothing."""
    layers = [jitc.compile(Layer()) for _ in range(3)]
    x, residual = torch.randn(4, 64), torch.randn(4, 64)

    def run():
        y, r = x, residual
        for layer in layers:
            y, r = layer(y, r)
        return y, r

    for _ in range(4):
        run()
    gates = layers[0].forward.jitc_region.gates
    hits = gates.stats["hits"]
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = run()
    assert gates.stats["hits"] == hits + 3
    for _ in range(3):
        x.copy_(torch.randn(4, 64))
        graph.replay()
        close(got, run())


def test_weights_are_bound_on_the_gpu():
    model = mlp()
    compiled = Compiled(model)
    x = torch.randn(8, 256)
    for _ in range(3):
        compiled(x)
    bound = sum(program.stats["bound"] for program in compiled.programs)
    for _ in range(10):
        compiled(x)
    assert bound and bound == sum(program.stats["bound"] for program in compiled.programs)
    model[0].weight.data = torch.randn_like(model[0].weight)
    close([compiled(x)], [model(x)])
    model.cpu()
    model.cuda()
    close([compiled(x)], [model(x)])


def replays(compiled):
    return sum(result.run.replays for result in compiled.results)


def test_cuda_graphs_are_replayed():
    model = mlp()
    compiled = Compiled(model, cuda_graphs=True)
    kept = []
    for i in range(12):
        x = torch.randn((8, 33)[i % 2], 256)
        kept.append((compiled(x), model(x)))
    assert replays(compiled) >= 6
    for got, want in kept:  # a result that was kept is not the next call's
        close([got], [want])
    model[0].weight.mul_(2)
    x = torch.randn(8, 256)
    close([compiled(x)], [model(x)])
    model[0].weight.data = torch.randn_like(model[0].weight)
    for _ in range(3):
        close([compiled(x)], [model(x)])


def test_cuda_graphs_write_where_the_argument_lies():
    def f(cache, x):
        cache.add_(x)
        return cache[:2], (x * 2).view(-1), x + cache

    compiled = Compiled(f, cuda_graphs=True)
    ours, theirs = (torch.zeros(4, 8) for _ in range(2))
    for i in range(8):
        x = torch.randn(4, 8)
        if i == 4:
            ours, theirs = ours.clone(), theirs.clone()
        got, want = compiled(ours, x), f(theirs, x)
        close(got, want)
        torch.testing.assert_close(ours, theirs)
        assert got[0].untyped_storage().data_ptr() == ours.untyped_storage().data_ptr()
    assert replays(compiled) >= 4


def test_cuda_graphs_with_fallbacks():
    def f(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q * 2, k + 1, v, is_causal=True).geqrf()[0] - 1

    compiled = Compiled(f, cuda_graphs=True)
    for _ in range(6):
        args = [torch.randn(2, 4, 17, 32) for _ in range(3)]
        close([compiled(*args)], [f(*args)])
    assert replays(compiled) >= 3


def test_cuda_graphs_of_what_cannot_be_captured():
    def f(x):
        return x[torch.nonzero(x * 2 > 0).flatten()] + 1

    compiled = Compiled(f, cuda_graphs=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            x = torch.randn(16)
            close([compiled(x)], [f(x)])
    model = mlp()
    compiled = Compiled(model)
    x = torch.randn(8, 256)
    close([compiled(x)], [model(x)])
