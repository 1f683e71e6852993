"""What the scripts beside it share: `case` prints a small graph, its inputs, and what eager PyTorch (CPU) makes of them.

What PyTorch on CUDA has instead is given by hand (`gpu`), as is what is refused, and what is right where PyTorch is not (`given`).  Values follow from the text alone: it is run as it
stands."""
import torch
from math import copysign, inf, nan
from types import SimpleNamespace

NAMES = {torch.float32: 'f32', torch.float64: 'f64', torch.float16: 'f16', torch.bfloat16: 'bf16', torch.int64: 'i64', torch.int32: 'i32',
         torch.int16: 'i16', torch.int8: 'i8', torch.uint8: 'u8', torch.bool: 'b8', torch.complex64: 'c64', torch.complex128: 'c128'}
DTYPES = {name: dtype for dtype, name in NAMES.items()}


def tensor(spec):
    """('f32', nested list) as a tensor."""
    return torch.tensor(spec[1], dtype=DTYPES[spec[0]])


def annotation(t):
    return f'{NAMES[t.dtype]}[{", ".join(map(str, t.shape))}]'


def number(x):
    return '-nan' if x != x and copysign(1, x) < 0 else repr(x)


def line(word, t):
    if t.is_complex():  # as it lies in memory
        t = torch.view_as_real(t)
    values = [number(float(x)) if t.dtype.is_floating_point else str(int(x)) for x in t.flatten().tolist()]
    return f'#{word} {NAMES[t.dtype]}[{",".join(map(str, t.shape))}] {" ".join(values)}'.rstrip()


def case(name, body, inputs, gpu={}, given={}, near=0, absolute=0, strict=False, refused=None, unbuilt=None, symbols={}, kind='GraphModule', constants={},
         strides=False):
    """BODY: statements, the last one `return (...)`.  CONSTANTS: what it takes of `self`, of the class KIND.  STRIDES: results have PyTorch's."""
    params, values = [], []
    print('===', name)
    for key, value in symbols.items():
        params.append(f'{key}: "Sym({key})"')
        values.append(value)
        print('#int', value)
    for key, spec in inputs.items():
        t = tensor(spec[:2])
        values.append(t)
        text = annotation(t) if len(spec) < 3 else f'{spec[0]}[{spec[2]}]'
        params.append(f'{key}: "{text}"')
        print(line('in', t))
    this = SimpleNamespace(**{key: tensor(spec) for key, spec in constants.items()})
    for t in vars(this).values():
        print(line('in', t))
    forward = f'def forward(self, {", ".join(params)}):\n' + ''.join(f'        {l}\n' for l in body.strip().split('\n'))
    if refused:
        print('#refused', refused)
    else:
        scope = {'torch': torch, 'inf': inf, 'nan': nan, 'device': torch.device}
        exec(forward, scope)
        for k, t in enumerate(scope['forward'](this, *values)):
            print(line('out', tensor((NAMES[t.dtype], given[k])) if k in given else t))
            if strides:
                print(f'#strides {",".join(map(str, t.stride()))}')
            if k in gpu:
                print(line('gpu', tensor((NAMES[t.dtype], gpu[k]))))
    if unbuilt:
        print('#refused', unbuilt)
    if near:
        print('#near', near, *([absolute] if absolute else []))
    if strict:
        print('#strict')
    print(f'class {kind}(torch.nn.Module):\n    {forward}')


f32 = lambda *x: ('f32', list(x))
bf16 = lambda *x: ('bf16', list(x))
