"""jitc.export and jitc.load: what eager gives, from a file, without Dynamo and without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import DEVICE
from torch import nn
from torch.export import Dim

import jitc

F = nn.functional
DYNAMIC = Dim.DYNAMIC


class Block(nn.Module):
    """Weights of several kinds, a dict of results, a constant."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.embed = nn.Embedding(32, 16, dtype=dtype)
        self.norm = nn.LayerNorm(16, dtype=dtype)
        self.up = nn.Linear(16, 24, dtype=dtype)
        self.down = nn.Linear(24, 16, bias=False, dtype=dtype)
        self.head = nn.Linear(16, 32, bias=False, dtype=dtype)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 16).to(dtype), persistent=False)

    def forward(self, ids, factor=2.0, *, mask=None):
        x = self.embed(ids) * self.scale * factor
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        if mask is not None:
            x = x * mask
        return {"logits": self.head(x), "more": (x.sum(0), ids.shape[0], None, "always")}


def load(path):
    return jitc.load(path, DEVICE)


def close(got, want, rtol=1e-5):
    got_leaves, got_spec = torch.utils._pytree.tree_flatten(got)
    want_leaves, want_spec = torch.utils._pytree.tree_flatten(want)
    assert got_spec == want_spec
    for a, b in zip(got_leaves, want_leaves, strict=True):
        if isinstance(b, torch.Tensor):
            assert a.dtype == b.dtype and a.shape == b.shape and not a.requires_grad
            largest = b.abs().max().item() if b.numel() else 0.0
            torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * max(largest, 1.0))
        else:
            assert a == b


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.jitc"


def eager(model, *args, **kwargs):
    with torch.no_grad():
        return model(*args, **kwargs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_static(path, dtype):
    model = Block(dtype).eval()
    ids = torch.randint(0, 32, (5,))
    jitc.export(model, (ids,), path)
    close(load(path)(ids), eager(model, ids), 1e-5 if dtype == torch.float32 else 2**-6)


def test_dynamic(path):
    model = Block().eval()
    jitc.export(model, (torch.randint(0, 32, (5,)),), path, {"ids": {0: DYNAMIC}})
    loaded = load(path)
    for n in (5, 2, 1, 17, 0):
        ids = torch.randint(0, 32, (n,))
        close(loaded(ids), eager(model, ids))


def test_arguments_by_name_and_by_place(path):
    model = Block().eval()
    ids, mask = torch.randint(0, 32, (5,)), torch.rand(5, 16)
    jitc.export(model, (ids, 3.0), path, kwargs={"mask": mask})
    loaded = load(path)
    want = eager(model, ids, 3.0, mask=mask)
    close(loaded(ids, 3.0, mask=mask), want)
    close(loaded(mask=mask, factor=3.0, ids=ids), want)
    with pytest.raises(ValueError, match=r"exported for 3\.0 as argument 1, not for 4\.0"):
        loaded(ids, 4.0, mask=mask)
    with pytest.raises(TypeError, match="ids, factor, mask"):
        loaded(ids)
    with pytest.raises(ValueError, match="exported for"):
        loaded(ids, torch.rand(3), mask=mask)
    with pytest.raises(jitc.Error, match="f64"):
        loaded(ids, 3.0, mask=mask.double())


def test_structures(path):
    """Flat arguments and results take a shorter way than nested ones; both are as eager's."""

    class Nested(nn.Module):
        def forward(self, x, y):
            return [x["a"] + y[0], (y[1],)]

    class Flat(nn.Module):
        def forward(self, x, y):
            return x + y, y * 2

    x, y = torch.rand(3), torch.rand(3)
    for model, args in ((Nested(), ({"a": x}, [x, y])), (Flat(), (x, y)), (nn.Tanh(), (x,)), (nn.Identity(), (x,))):
        jitc.export(model, args, path)
        loaded = load(path)
        close(loaded(*args), model(*args))
        assert type(loaded(*args)) is type(model(*args))
        with pytest.raises(TypeError):
            loaded(*[[arg] for arg in args])


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(2, dtype=torch.int64))

    def forward(self, x, y):
        self.count.add_(1)
        y.mul_(2)
        return x + self.count, y, y[1:], x.t()


def test_writes_and_views(path):
    """Buffers are the loaded model's; written arguments are the caller's; what is a view of one is a view of it."""
    model = Counter()
    jitc.export(Counter(), (torch.ones(2, 2), torch.ones(3)), path)
    loaded, other = load(path), load(path)
    x, y, z = torch.rand(2, 2), torch.rand(3), torch.empty(3)
    z.copy_(y)
    for _ in range(2):
        close(loaded(x, y), eager(model, x, z))
        assert torch.equal(y, z)
    version = y._version
    results = loaded(x, y)
    assert results[1] is y and results[2].data_ptr() == y.data_ptr() + 4 and results[3].data_ptr() == x.data_ptr()
    assert results[3].stride() == (1, 2) and y._version > version
    assert torch.equal(loaded.weights["count"], torch.tensor([3, 3]))
    close(other(x, torch.ones(3))[0], x + 1)
    close(load(path)(x, torch.ones(3))[0], x + 1)  # nothing was written into the file


def test_functional_program(path):
    """What torch wrote in core operators, with the writes in the program's signature."""
    program = torch.export.export(Counter(), (torch.ones(2, 2), torch.ones(3))).run_decompositions()
    jitc.export(program, (), path)
    loaded, model = load(path), Counter()
    x, y, z = torch.rand(2, 2), torch.ones(3), torch.ones(3)
    for _ in range(2):
        close(loaded(x, y), eager(model, x, z))
    assert torch.equal(y, z)


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, q, k, v, mask=None):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **self.options)


@pytest.mark.parametrize("how", ["plain", "causal", "scale", "float_mask", "bool_mask", "gqa"])
def test_attention(path, how):
    """scaled_dot_product_attention is written in products and a softmax."""
    options = {"causal": {"is_causal": True}, "scale": {"scale": 0.3}, "gqa": {"enable_gqa": True}}.get(how, {})
    q, k, v = (
        torch.randn(2, 4, 6, 8),
        torch.randn(2, 2 if how == "gqa" else 4, 6, 8),
        torch.randn(2, 2 if how == "gqa" else 4, 6, 8),
    )
    mask = {"float_mask": torch.randn(6, 6), "bool_mask": torch.rand(2, 1, 6, 6) > 0.4}.get(how)
    if how == "bool_mask":
        mask[0, 0, 2] = False  # a row that sees nothing
    model = Attention(**options)
    jitc.export(model, (q, k, v, mask), path)
    close(load(path)(q, k, v, mask), model(q, k, v, mask))


class Refused(nn.Module):
    def forward(self, x):
        return torch.special.airy_ai(x) + torch.rand(3)


def test_all_refusals_at_once(path):
    with pytest.raises(jitc.Unsupported) as caught:
        jitc.export(Refused(), (torch.rand(3),), path)
    assert {op for op, *_ in caught.value.refusals} == {"torch.ops.aten.special_airy_ai.default", "torch.ops.aten.rand.default"}
    assert "airy_ai" in str(caught.value) and "rand" in str(caught.value)
    assert not path.exists() and not list(path.parent.iterdir())


def test_options(path):
    x = torch.rand(3)
    jitc.export(nn.Tanh(), (x,), path, options={"mode": "strict", "cache_dir": ""})
    close(load(path)(x), torch.tanh(x))
    with pytest.raises(ValueError, match="no option 'cuda_graphs'"):
        jitc.export(nn.Tanh(), (x,), path, options={"cuda_graphs": True})
    with pytest.raises(jitc.Error, match="sm_1"):
        jitc.export(nn.Tanh(), (x,), path, targets=["sm_1"])


@pytest.mark.skipif(DEVICE != "cpu", reason="it is about the CPU")
def test_targets(path):
    """For a GPU that is not here, and for this machine; the tool takes the file too."""
    model = Block().eval()
    ids = torch.randint(0, 32, (5,))
    jitc.export(model, (ids,), path, targets=["host", "sm_90a"])
    close(load(path)(ids), eager(model, ids))
    jitc.export(model, (ids,), path, targets=["sm_90a"])
    with pytest.raises(jitc.Error, match="sm_90a"):
        load(path)
    tool = [sys.executable, "-c", "import jitc._tool as t; t.main()", "run", str(path), "--device", "host", "--verify"]
    ran = subprocess.run(tool, capture_output=True, text=True)
    assert ran.returncode == 0 and "all results agree with the reference" in ran.stdout, ran.stderr


def test_guards(path):
    """A call that the program was not exported for is refused, as torch's own module refuses it."""

    class Branch(nn.Module):
        def forward(self, x):
            return x * 2 if x.shape[0] % 4 == 0 else x

    jitc.export(Branch(), (torch.rand(8, 2),), path, ({0: DYNAMIC(max=64)},))
    loaded = load(path)
    close(loaded(torch.ones(12, 2)), torch.full((12, 2), 2.0))
    for n in (6, 68):
        with pytest.raises(jitc.Error):
            loaded(torch.ones(n, 2))


@pytest.mark.skipif(DEVICE != "cpu", reason="it is about the CPU")
def test_weights_are_mapped_once(path):
    """On the CPU they are the file's own pages; tied ones share them."""

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(512, 512, bias=False)
            self.b = nn.Linear(512, 512, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    model = Wide()
    jitc.export(model, (torch.rand(2, 512),), path)
    assert os.path.getsize(path) < 2 * 512 * 512 * 4
    loaded = load(path)
    assert loaded.weights["a.weight"].data_ptr() == loaded.weights["b.weight"].data_ptr()
    maps = Path("/proc/self/maps").read_text()
    lines = [line for line in maps.splitlines() if line.endswith(str(path))]
    spans = [[int(x, 16) for x in line.split()[0].split("-")] for line in lines]
    assert any(lo <= loaded.weights["a.weight"].data_ptr() < hi for lo, hi in spans)
    assert not loaded.weights["a.weight"].requires_grad and torch.equal(loaded.weights["a.weight"], model.a.weight)


@pytest.mark.skipif(DEVICE != "cpu", reason="it is about the CPU")
def test_file_is_an_archive_of_torch(tmp_path):
    path, model, x = tmp_path / "model.pt2", nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.rand(2, 4)
    jitc.export(model, (x,), path)
    close(eager(torch.export.load(path).module(), x), eager(model, x))
    close(load(path)(x), eager(model, x))


@pytest.mark.skipif(DEVICE != "cpu", reason="it is about the CPU")
def test_needs_neither_dynamo_nor_compiler(path):
    jitc.export(Block().eval(), (torch.zeros(5, dtype=torch.int64),), path)
    code = f"""
import torch, jitc
result = jitc.load({str(path)!r})(torch.zeros(5, dtype=torch.int64))
import sys
assert "torch._dynamo" not in sys.modules and "torch._inductor" not in sys.modules, "Dynamo was imported"
assert "libjitc-llvm" not in open("/proc/self/maps").read(), "the compiler was opened"
print(result["logits"].shape)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0 and "[5, 32]" in ran.stdout, ran.stderr


def test_damage(path, tmp_path):
    jitc.export(Block().eval(), (torch.zeros(5, dtype=torch.int64),), path)
    data = path.read_bytes()
    bad = tmp_path / "bad.jitc"
    for name, change in {
        "short": lambda: data[: len(data) // 2],
        "text": lambda: b"no archive",
        "bundle": lambda: data.replace(b"JITCBND\n", b"JITCBND!"),
        "manifest": lambda: data.replace(b'{"format": 1', b'{"format": 9'),
    }.items():
        bad.write_bytes(change())
        with pytest.raises((ValueError, jitc.Error)):
            load(bad)
        assert name
    torch.export.save(torch.export.export(Counter(), (torch.ones(2, 2), torch.ones(3))), bad)
    with pytest.raises(ValueError, match=r"no file of jitc\.export"):
        load(bad)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bad, "w") as new:
        for info in old.infolist():
            text = old.read(info)
            new.writestr(info, text.replace(b'"offset": 0', b'"offset": 9999') if "manifest" in info.filename else text)
    with pytest.raises(ValueError, match="reaches beyond its bytes"):
        load(bad)


def test_threads(path):
    model = Block().eval()
    jitc.export(model, (torch.zeros(5, dtype=torch.int64),), path, {"ids": {0: DYNAMIC}})
    loaded = load(path)
    failed = []

    def work(seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(50):
            ids = torch.randint(0, 32, (seed + 3,), generator=generator, device="cpu").to(DEVICE)
            try:
                close(loaded(ids), eager(model, ids))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_files_that_others_may_write_to(tmp_path):
    path = tmp_path / "m.jitc"
    before = os.umask(0)
    try:
        jitc.export(nn.Linear(4, 4), (torch.randn(2, 4),), path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644  # so that it can be loaded
    x = torch.randn(2, 4)
    want = jitc.load(path)(x)
    for mode in (0o664, 0o646, 0o666):
        path.chmod(mode)
        with pytest.raises(PermissionError, match="chmod go-w"):
            jitc.load(path)
        assert torch.equal(jitc.load(path, trust_file=True)(x), want)
    path.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
        with pytest.raises(PermissionError, match="belongs to user 65534"):
            jitc.load(path)
        assert torch.equal(jitc.load(path, trust_file=True)(x), want)
