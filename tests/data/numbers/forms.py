"""Prints forms.txt: graphs as PyTorch itself writes them (Dynamo's, and ATen's after AOTAutograd, strides and devices in the annotations), with
inputs, and what eager PyTorch (CPU) gives.

    python forms.py > forms.txt          torch 2.11
"""
import math
import operator
import warnings

import torch
from torch._dynamo.backends.common import aot_autograd

from case import line

warnings.simplefilter('ignore')
torch._dynamo.config.capture_scalar_outputs = True
torch._inductor.config.enable_auto_functionalized_v2 = True


def leaves(item):
    if isinstance(item, (list, tuple)):
        for part in item:
            yield from leaves(part)
    elif isinstance(item, torch.Tensor):
        yield item


def text_of(module):
    text = module.print_readable(print_output=False, include_stride=True, include_device=True)
    return '\n'.join(l for l in text.split('\n') if l.strip() and not l.strip().startswith('#'))


def attributes_of(module):
    """Tensors that the graph takes of its module, in order."""
    found = {}
    for node in module.graph.nodes:
        if node.op == 'get_attr' and isinstance(getattr(module, node.target, None), torch.Tensor):
            found[node.target] = getattr(module, node.target)
    return found


def show(name, module, args, results, near):
    placeholders = [node for node in module.graph.nodes if node.op == 'placeholder']
    print('===', name)
    for node, value in zip(placeholders, args):
        print(line('in', value) if isinstance(value, torch.Tensor) else f'#int {value}')
    for value in attributes_of(module).values():
        print(line('in', value))
    for value in results:
        print(line('out', value))
    if near:
        print('#near', near)
    print(text_of(module) + '\n')


def case(name, f, *args, dynamic=None, forms=('dynamo', 'aten'), near=0):
    """F, captured and run; RESULTS are eager's."""
    wanted = [t.clone() for t in leaves(f(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args]))]

    def compiler(form):
        def compiled(module, examples):
            def call(*values):
                show(f'{name}, {form}', module, values, wanted, near)
                return module(*values)
            def boxed(values):
                return call(*values)
            boxed._boxed_call = True
            return call if form == 'dynamo' else boxed
        return compiled

    for form in forms:
        torch._dynamo.reset()
        backend = compiler('dynamo') if form == 'dynamo' else aot_autograd(fw_compiler=compiler('aten'))
        with torch.no_grad():
            torch.compile(f, backend=backend, dynamic=dynamic)(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args])


x = torch.tensor([[1.5, -2.25, 3.0], [0.5, 4.0, -1.0]])
y = torch.tensor([[2.0, -2.25, 0.5], [-0.5, 8.0, -1.0]])
w = torch.tensor([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.5], [0.0, 3.0, 1.0]])
i = torch.tensor([2, 0])
k = torch.tensor([[5, -3, 2], [0, 7, -1]])
b = torch.tensor([[True, False, True], [False, False, True]])


@torch.library.custom_op('test::scale_', mutates_args=('x',))
def scale_(x: torch.Tensor, f: float) -> None:
    x.mul_(f)


@torch.library.custom_op('test::both', mutates_args=('out', 'total'))
def both(out: torch.Tensor, x: torch.Tensor, total: torch.Tensor | None) -> torch.Tensor:
    out.copy_(x + 1)
    if total is not None:
        total.add_(x)
    return x * 2


@both.register_fake
def both_fake(out, x, total):
    return torch.empty_like(x)


@torch.library.custom_op('test::scale_all_', mutates_args=('xs',))
def scale_all_(xs: list[torch.Tensor], f: float) -> None:
    for n, x in enumerate(xs):
        x.mul_(f + n)


def dunders(x, y):
    return (x.__add__(y), x.__radd__(1), x.__rsub__(1), x.__mul__(2), x.__truediv__(y), x.__rtruediv__(2), x.__eq__(y), x.__ne__(y), x.__lt__(y),
            x.__ge__(2.0), x.__neg__())


def integers(k, b):
    return k.__and__(3), k.__or__(1), k.__xor__(k), k.__lshift__(1), k.__rshift__(1), k.__invert__(), b.__and__(~b), b.__or__(b), k.__mod__(4), k.__abs__()


def products(x, w):
    return x.__matmul__(w), x.__getitem__(1), x.__floordiv__(2), x.__pow__(2)


def constants(x):
    return x + torch.tensor([1.0, 2, 3]), torch.tensor([[1, 2], [3, 5], [8, 13]]), torch.tensor([]), torch.tensor([True, False]), torch.tensor(3) * x


def lists(x):
    return x[[1, 0]], x[..., [-2]], x[:, [0, 1, 2], None], x[True], x[None, [0, -1, 0], ..., None]


def caches(x, y):
    return torch.cat([torch.tensor([]), x], dim=-2), torch.cat([x, torch.tensor([]), y], dim=1)


def moves(x):
    z = x[None]
    parts = [*torch.functional.split(x, [1, 2], dim=-1), *x.unsafe_chunk(2)]
    return z.movedim((0, 1), (2, 0)), torch.moveaxis(z, 0, -1), *[p + 1 for p in parts], x.ravel(), x.adjoint() + 1


def casts(x):
    return (x.to(torch.float16), x.to('cpu', torch.float64), x.to(dtype=torch.bfloat16, copy=True), x.to(x.int()), x.type(torch.int64), x.cpu(),
            x.to(memory_format=torch.contiguous_format), x.to(device='cpu', dtype=torch.int8))


def floats(x, f):
    return x * f, f - x, x.to(torch.bfloat16) * f, (x * 2).int() * f, x.sum() * f, x * (f * 2 + 1), torch.full((2,), f), x.clamp(min=f), x / f


def sizes(x):
    s, t = x.shape
    return (x * math.sqrt(s), x * (t / 2), x + math.ceil(t / 2), x + math.floor(t / 2), x + int(t / 2), x * float(s), x + torch.sym_max(s, t),
            x + s ** 2, x + abs(s - 9), x * (s > t))


def choices(x):
    s = x.shape[0]
    return x + torch.sym_ite(s > 3, 5, 2), x + torch.sym_sum([s, x.shape[1], 3]), x * s ** -0.5, x + (s << 1)


def branches(x, p):
    return torch.cond(p, lambda x: x + 1, lambda x: (x - 1).abs(), (x,))


@torch.compiler.nested_compile_region
def region(x, w):
    return torch.relu(x @ w)


def regions(x, w):
    return region(region(x, w), w)


def autocast(x, w):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = x @ w
    return y * 2


def no_grad(x):
    with torch.no_grad():
        y = x * 2
    return y + 1


def writes(x, y):
    x = x.clone()
    x += y
    x.mul_(2)
    x[..., 0] = 2
    x[:, 1] -= 1
    torch.add(x, 1, out=x)
    return x, x.fill_(3).sub_(1)


def rows(x, i):
    return x.narrow(1, 1, 2) * 2, x.narrow(0, -1, 1) * 2, torch.empty_permuted((2, 3), (1, 0)).fill_(4.0), torch.ones(2, 2).fill_(2)


def written(x):
    y = x + 1
    scale_(y, 2.0)
    return y - x, x + y


def written_besides(x, y):
    out, total = torch.empty_like(x), y * 2
    z = both(out, x, total)
    return out, z + total, both(out, y, None) - out


def written_lists(x, y):
    a, b = x + 1, y.clone()
    scale_all_([a, b, a[0]], 3.0)
    return a - b, a, b


def written_slices(x):
    a, b = x + 1, x * 3
    scale_(a[:1], 2.0)
    scale_(b[:, 1:], 2.0)
    return a, b * 1


def written_parts(k):
    a, b, c, d = k + 1, k + 2, k + 3, k + 4
    scale_all_([a[:, 1], b[:, ::2], c.t(), d.view(3, 2)[1], d.view(-1)[-1:]], 2.0)
    return a, b * 1, c, d - a


case('dunders', dunders, x, y)
case('dunders of integers', integers, k, b)
case('dunders of products', products, x, w)
case('constants', constants, x)
case('lists as indices', lists, x)
case('cat with what is nothing', caches, x, y)
case('dims moved', moves, x)
case('casts', casts, x)
case('floats known at run time', floats, x, 0.375, dynamic=True, forms=('dynamo',))
case('floats of sizes', sizes, x, dynamic=True, forms=('dynamo',), near=1e-6)
case('choices between sizes', choices, x, dynamic=True, forms=('dynamo',), near=1e-6)
case('branches taken', branches, x, torch.tensor(True))
case('branches not taken', branches, x, torch.tensor(False))
case('regions', regions, x, w)
case('autocast', autocast, x, w, forms=('dynamo', 'aten'))
case('no_grad', no_grad, x)
case('writes', writes, x, y, forms=('dynamo',))
case('rows', rows, x, i)
case('an operator that writes', written, x, forms=('aten',))
case('an operator that writes, of any size', written, x, dynamic=True, forms=('aten',))
case('an operator that writes beside what it gives', written_besides, x, y, forms=('aten',))
case('an operator that writes a list', written_lists, x, y, forms=('aten',))
case('an operator that writes slices', written_slices, x, forms=('aten',))
case('an operator that writes slices, of any size', written_slices, x, dynamic=True, forms=('aten',))
case('an operator that writes parts', written_parts, x.clone(), forms=('aten',))
case('an operator that writes parts, of any size', written_parts, x.clone(), dynamic=True, forms=('aten',))
