"""What the scripts beside this share: PyTorch's dtypes by our names, and tensors in files of safetensors, as the tool reads and writes them."""
import json
import struct

import torch

DTYPES = {'f16': torch.float16, 'bf16': torch.bfloat16, 'f32': torch.float32, 'f64': torch.float64, 'i8': torch.int8, 'i16': torch.int16,
          'i32': torch.int32, 'i64': torch.int64, 'u8': torch.uint8, 'b8': torch.bool, 'f8e4m3fn': torch.float8_e4m3fn,
          'f8e5m2': torch.float8_e5m2}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
STORED = {torch.float32: 'F32', torch.float16: 'F16', torch.bfloat16: 'BF16', torch.float64: 'F64', torch.int64: 'I64', torch.int32: 'I32',
          torch.int16: 'I16', torch.int8: 'I8', torch.uint8: 'U8', torch.bool: 'BOOL'}


def bits(t):
    return t.view(WORDS[t.element_size()])


def save(path, tensors):
    head, raw = {}, b''
    for name, t in tensors.items():
        data = bits(t.detach().cpu().contiguous().reshape(-1)).numpy().tobytes()
        head[name] = {'dtype': STORED[t.dtype], 'shape': list(t.shape), 'data_offsets': [len(raw), len(raw) + len(data)]}
        raw += data
    text = json.dumps(head).encode()
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + raw)


def load(path):
    with open(path, 'rb') as f:
        head = json.loads(f.read(struct.unpack('<Q', f.read(8))[0]))
        raw = f.read()
    out = {}
    for name, v in head.items():
        if name == '__metadata__':
            continue
        dtype = next(d for d, s in STORED.items() if s == v['dtype'])
        a, b = v['data_offsets']
        word = WORDS[torch.empty(0, dtype=dtype).element_size()]
        out[name] = torch.frombuffer(bytearray(raw[a:b]), dtype=word).view(dtype).view(v['shape']) if b > a else torch.empty(v['shape'], dtype=dtype)
    return out
