"""A decoding Llama on this GPU, a token a call in a CUDA graph: jitc against eager and torch.compile.

    python decode.py [--layers 32] [--hidden 4096] [--eager] [--device cuda|cpu] [--position 512] [--cache 1024]

Random bf16 weights, batch 1, a static cache.  Each in turn, over again: what a token takes, the time to the first token (with
Dynamo's own part, measured with a back end that does nothing), and the weights' bytes over the time, against what a read of
memory reaches.  Prints a table; exits 1 where logits are further from eager's than bf16 explains.  Needs transformers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, StaticCache


def model_of(a: argparse.Namespace) -> torch.nn.Module:
    config = LlamaConfig(
        vocab_size=a.vocab, hidden_size=a.hidden, intermediate_size=a.hidden * 7 // 2, num_hidden_layers=a.layers,
        num_attention_heads=a.hidden // 128, num_key_value_heads=max(a.hidden // 512, 1), head_dim=128,
        max_position_embeddings=8192, rope_theta=500000.0,
    )  # fmt: skip
    with torch.device(a.device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    for p in model.parameters():
        p.data.normal_(1.0 if p.ndim == 1 else 0.0, 0.02)
    return model


class Step:
    """One token at a position: what is called, and on CUDA its captured graph."""

    def __init__(self, model: torch.nn.Module, backend: str | None, a: argparse.Namespace) -> None:
        self.a = a
        self.cache = StaticCache(config=model.config, max_cache_len=a.cache)
        self.token = torch.full((1, 1), 7, device=a.device)
        self.position = torch.full((1, 1), a.position, device=a.device)
        torch.manual_seed(1)
        self.mask = torch.zeros(1, 1, 1, a.cache, device=a.device, dtype=torch.bfloat16)
        self.mask[..., a.position + 1 :] = float("-inf")

        def step(token: torch.Tensor, position: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return model(
                input_ids=token, position_ids=position, attention_mask=mask, past_key_values=self.cache,
                cache_position=position[0], use_cache=True,
            ).logits  # fmt: skip

        self.fill(model)
        torch._dynamo.reset()
        self.call = step if backend is None else torch.compile(step, backend=backend, dynamic=False)
        self.graph: torch.cuda.CUDAGraph | None = None

    def fill(self, model: torch.nn.Module) -> None:
        """Keys and values of the tokens before."""
        with torch.no_grad():
            tokens = torch.arange(4, device=self.a.device)[None]
            model(input_ids=tokens, past_key_values=self.cache, use_cache=True)
        torch.manual_seed(2)
        for layer in self.cache.layers:
            layer.keys.normal_(0, 1)
            layer.values.normal_(0, 1)
            length = getattr(layer, "cumulative_length", None)
            if isinstance(length, torch.Tensor):
                length.fill_(self.a.position)
            elif length is not None:
                layer.cumulative_length = self.a.position

    def __call__(self) -> torch.Tensor:
        if self.graph is not None:
            self.graph.replay()
            return self.out
        for layer in self.cache.layers:
            length = getattr(layer, "cumulative_length", None)
            if isinstance(length, torch.Tensor):
                length.fill_(self.a.position)
        with torch.no_grad():
            return self.call(self.token, self.position, self.mask)

    def capture(self) -> None:
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                self()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.out = self()
        self.graph = graph


def sync(a: argparse.Namespace) -> None:
    if a.device == "cuda":
        torch.cuda.synchronize()


def seconds(a: argparse.Namespace, call: Callable[[], object]) -> float:
    sync(a)
    start = time.perf_counter()
    call()
    sync(a)
    return time.perf_counter() - start


def nothing(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., object]:
    return graph.forward


def read_rate(a: argparse.Namespace) -> float:
    """Bytes a second of a sum over 4 GiB."""
    x = torch.empty((1 << 31) if a.device == "cuda" else (1 << 26), device=a.device, dtype=torch.bfloat16).zero_()
    times = [seconds(a, lambda: x.view(torch.int64).sum()) for _ in range(20)]
    return x.numel() * 2 / min(times)


def main() -> int:
    p = argparse.ArgumentParser()
    p.add_argument("--layers", type=int, default=32)
    p.add_argument("--hidden", type=int, default=4096)
    p.add_argument("--vocab", type=int, default=128256)
    p.add_argument("--position", type=int, default=512)
    p.add_argument("--cache", type=int, default=1024)
    p.add_argument("--repeat", type=int, default=200)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--backends", default="jitc,inductor")
    a = p.parse_args()
    model = model_of(a)
    size = sum(p.numel() * p.element_size() for p in model.parameters()) - model.get_input_embeddings().weight.numel() * 2
    eager = Step(model, None, a)
    want = eager()
    steps: dict[str, Step] = {"eager": eager}
    first: dict[str, float] = {"eager": 0.0}
    failed = 0
    torch._dynamo.reset()
    seconds(a, Step(model, nothing, a))  # type: ignore[arg-type]  # what Dynamo imports
    bare = Step(model, nothing, a)  # type: ignore[arg-type]
    dynamo = seconds(a, bare)
    for name in a.backends.split(","):
        steps[name] = Step(model, name, a)
        first[name] = seconds(a, steps[name])
        got = steps[name]()
        distance = ((got.float() - want.float()).norm() / want.float().norm()).item()
        print(
            f"{name}: first token {first[name]:.2f} s, of it Dynamo {dynamo:.2f} s; distance to eager {distance:.2e}",
            flush=True,
        )
        failed |= not distance < 1e-1
    if a.device == "cuda":
        for s in steps.values():
            s.capture()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(a.repeat):
        for name, s in steps.items():
            times[name].append(seconds(a, s))
    rate = read_rate(a)
    print(f"weights read {size / 1e9:.2f} GB a token; memory reads at {rate / 1e12:.2f} TB/s")
    for name, t in times.items():
        m = statistics.median(t)
        print(f"{name:10} {m * 1e3:8.3f} ms a token, {size / m / rate:.2f} of the read rate, first token {first[name]:.2f} s")
    if "jitc" in times and "inductor" in times:
        print(
            f"jitc / inductor: a token {statistics.median(times['jitc']) / statistics.median(times['inductor']):.3f}, "
            f"compile part {(first['jitc'] - dynamo) / (first['inductor'] - dynamo):.3f}"
        )
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
