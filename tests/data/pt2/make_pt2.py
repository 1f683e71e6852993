"""Makes the archives beside this, with what eager says they compute.

    python tests/data/pt2/make_pt2.py            # torch 2.11: all but v213.pt2
    python tests/data/pt2/make_pt2.py v213       # torch 2.13: that one

NAME.pt2 is what torch.export.save() wrote of a module, without traces of where the module stood.  NAME.safetensors holds a call:
"in.P" for each input P, "out0", "out1", ... as eager gave them (integers as I64 scalars), and "after.P" for each input and buffer that it
wrote.
"""

import copy
import json
import pathlib
import sys
import zipfile

import torch
from safetensors.torch import save_file
from torch import nn
from torch.export import Dim

HERE = pathlib.Path(__file__).parent
CORPUS = HERE.parent / "fuzz" / "pt2"
F = nn.functional


class Plain(nn.Module):
    """Tied weights, a constant, a buffer that is not kept, composites."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 12)
        self.down = nn.Linear(12, 8, bias=False)
        self.head = nn.Linear(8, 16, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 8), persistent=False)
        self.shift = torch.arange(8.0)

    def forward(self, ids):
        x = self.embed(ids) * self.scale + self.shift
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        return self.head(x).softmax(-1), {"x": x, "none": None, "pair": (ids + 1, torch.tensor([1.0, 2.0, 3.0]) * 2)}


class Sizes(nn.Module):
    """Arithmetic of sizes, bounds, a guard by an if."""

    def forward(self, x, y, n):
        rows = x.shape[0]
        if rows % 4 == 0:
            x = x * 2
        parts = (x + y[::2]).view(rows // 2, -1)
        tail = x[: (rows + 3) // 4].flatten()
        return parts.sum(-1), tail, x.new_zeros(max(rows, 6)) + 1, rows * rows, x.new_ones(rows % 3 + 1), x[:n].mean(0)


class Written(nn.Module):
    """A buffer and an input that are written."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("cache", torch.zeros(2, 3))

    def forward(self, x, y):
        self.count.add_(1)
        self.cache.copy_(x + self.cache)
        y.mul_(3)
        return self.cache.sum(0) + y, self.count * 2


class Dtypes(nn.Module):
    """A buffer of each dtype."""

    names = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
    names += ["float8_e4m3fn", "float8_e5m2"]

    def __init__(self):
        super().__init__()
        for name in self.names:
            values = torch.tensor([0.0, 1.0, 3.0, 1.0, 0.5, 2.0])
            self.register_buffer(f"of_{name}", values.to(getattr(torch, name)))

    def forward(self, x):
        return tuple(x + getattr(self, f"of_{name}").to(torch.float32) for name in self.names) + (
            x.to(torch.bfloat16) + self.of_bfloat16,
        )


class Layouts(nn.Module):
    """Weights that are parts of larger ones, or lie transposed."""

    def __init__(self):
        super().__init__()
        self.turned = nn.Parameter(torch.randn(8, 4).t())
        whole = torch.randn(10, 4)
        self.part = nn.Parameter(whole[3:7])
        self.column = nn.Parameter(whole[:, 1])
        self.scalar = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return F.linear(x, self.part) @ self.turned * self.scalar, x.T + self.column[:4, None]


class Forms(nn.Module):
    """Graphs within graphs, lists of results, arguments of many kinds."""

    def forward(self, x, i, k, flag, nothing=None):
        with torch.no_grad():
            a = x * k
            with torch.autocast("cpu", enabled=False):
                b = a + 1
        first, second = b.split([2, 4], dim=1)
        one, two = torch.chunk(first, 2, 0)
        low = x.masked_fill(x > 0, float("-inf")).amax(-1) if flag else x
        taken = x[:, i]
        cast = x.to("cpu", torch.float64).to(torch.int32).clamp(min=-1, max=2)
        full = torch.full((2, 3), 0.25, dtype=torch.float32, device=x.device)
        return one + two, second, low, taken, cast, full, torch.arange(3), k, 2.5


class Tiny(nn.Module):
    """For damage: as little as shows each entry."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.c = torch.tensor([3.0, 4.0])

    def forward(self, x):
        return x[: x.shape[0] // 2] * self.w + self.c


def bare(ep):
    """Without what tells where its source stood."""
    for module in ep.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn"):
                node.meta.pop(key, None)
    return ep


def leaves(result):
    return torch.utils._pytree.tree_flatten(result)[0]


def as_tensor(value):
    return value.contiguous().clone() if isinstance(value, torch.Tensor) else torch.tensor(value)


def make(name, module, args, dynamic_shapes=None, decompose=False, at=None):
    """NAME.pt2 of MODULE as it is called with ARGS; NAME.safetensors of a call with AT."""
    torch.manual_seed(0)
    module = module().eval()
    ep = torch.export.export(module, args, dynamic_shapes=dynamic_shapes)
    torch.export.save(bare(ep.run_decompositions() if decompose else ep), HERE / f"{name}.pt2")
    at = copy.deepcopy(at if at is not None else args)
    inputs = [spec.arg.name for spec in ep.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    before = dict(zip(inputs, at, strict=True))
    call = {f"in.{key}": as_tensor(value) for key, value in before.items() if isinstance(value, (torch.Tensor, int))}
    buffers = {spec.target: spec.arg.name for spec in ep.graph_signature.input_specs if spec.kind.name == "BUFFER"}
    kept = {key: value.clone() for key, value in dict(module.named_buffers()).items()}
    with torch.no_grad():
        results = leaves(module(*at))
    for i, value in enumerate(results):
        if isinstance(value, (torch.Tensor, int)):
            call[f"out{i}"] = as_tensor(value)
    for key, value in before.items():
        if isinstance(value, torch.Tensor) and not torch.equal(value, call[f"in.{key}"]):
            call[f"after.{key}"] = as_tensor(value)
    for key, value in dict(module.named_buffers()).items():
        if not torch.equal(value, kept[key]):
            call[f"after.{buffers[key]}"] = as_tensor(value)
    save_file(call, HERE / f"{name}.safetensors")


def make_small():
    """Archives that are not what they should be, and what the fuzzer starts from."""
    torch.manual_seed(0)
    ep = bare(torch.export.export(Tiny(), (torch.randn(4),), dynamic_shapes=({0: Dim.DYNAMIC},)))
    torch.export.save(ep, HERE / "tiny.pt2")
    with zipfile.ZipFile(HERE / "tiny.pt2") as tiny, zipfile.ZipFile(CORPUS / "good_tiny", "w") as small:
        for name in tiny.namelist():
            data = tiny.read(name)
            if name.endswith(".json"):
                data = json.dumps(json.loads(data), separators=(",", ":")).encode()
            if "sample_inputs" not in name and "/.data/" not in name:
                small.writestr(zipfile.ZipInfo(name.replace("tiny/", "t/")), data)
    with zipfile.ZipFile(HERE / "two.pt2", "w") as two:
        two.writestr("two/archive_format", "pt2")
        for name in ("a", "b"):
            two.writestr(f"two/models/{name}.json", "{}")
    with zipfile.ZipFile(HERE / "old.pt2", "w") as old:
        old.writestr("serialized_exported_program.json", "{}")
        old.writestr("serialized_state_dict.pt", "not looked at")
    with zipfile.ZipFile(HERE / "packed.pt2", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("packed/archive_format", "pt2" * 1000)


def main(which):
    ids = torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6]])
    if which == "v213":
        make("v213", Plain, (ids,))
        return
    make("plain", Plain, (ids,))
    make(
        "sizes",
        Sizes,
        (torch.randn(8, 2), torch.randn(16, 2), 3),
        ({0: Dim.DYNAMIC(min=4, max=64)}, {0: Dim.DYNAMIC}, Dim.DYNAMIC),
        at=(torch.randn(20, 2), torch.randn(40, 2), 5),
    )
    written = (torch.randn(2, 3), torch.randn(3))
    make("inplace", Written, written)
    make("functional", Written, written, decompose=True)
    make("dtypes", Dtypes, (torch.randn(6),))
    make("layouts", Layouts, (torch.randn(4, 4),))
    make("forms", Forms, (torch.randn(4, 6), torch.tensor([2, 0]), 3, True))
    make("forms_core", Forms, (torch.randn(4, 6), torch.tensor([2, 0]), 3, True), decompose=True)
    make_small()


main(*sys.argv[1:2] or [""])
