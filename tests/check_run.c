/*
 * tests/check_run.c - graphs from text to numbers on `host` and `sim`, against the reference; and to cubins or PTX.
 *
 * Each row is a small graph.  It runs for empty, single, ragged and larger numbers of rows.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu_help.h"
#include "tests/graph_run.h"
#include "tests/many.h"

#define S "s0: \"Sym(s0)\", "

/* An operator of the test: y = x * 2 + n, or in place. */
static int twice(jitc_call *call, const DLTensor *x, int64_t n, const jitc_layer_name *name, DLTensor *y) {
    int64_t count = 1;
    (void)name;
    for (int d = 0; d < x->ndim; d++)
        count *= x->shape[d];
    if (x->dtype.bits != 32)
        return snprintf(call->error, call->error_size, "twice wants f32"), 1;
    for (int64_t i = 0; i < count; i++) { /* rows may be strided */
        int64_t rest = i, at = 0;
        for (int d = x->ndim; d-- > 0;) {
            at += rest % x->shape[d] * x->strides[d];
            rest /= x->shape[d];
        }
        ((float *)((char *)y->data + y->byte_offset))[i] = 2 * ((const float *)((const char *)x->data + x->byte_offset))[at] + (float)n;
    }
    return 0;
}

static int negate(jitc_call *call, DLTensor *x) {
    (void)call;
    int64_t count = 1;
    for (int d = 0; d < x->ndim; d++)
        count *= x->shape[d];
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, at = 0;
        for (int d = x->ndim; d-- > 0;) {
            at += rest % x->shape[d] * x->strides[d];
            rest /= x->shape[d];
        }
        ((float *)((char *)x->data + x->byte_offset))[at] *= -1;
    }
    return 0;
}

static bool ops(jitc_context *ctx) {
    return jitc_op_register(ctx, "test::twice(Tensor x, int n, LayerName l) -> Tensor", (jitc_plain_function)twice, NULL) ==
               JITC_OK &&
           jitc_op_register(ctx, "test::negate(Tensor(a!) x) -> ()", (jitc_plain_function)negate, NULL) == JITC_OK;
}

/* Bits of NaN (signalling ones too) seen as floats of dtype D, torch.T, moved in every way there is, and looked at as integers I again.
   FROM: below x, which is 0 to 7. */
#define MOVES(d, t, i, it, from)                                                                                                        \
    { "bits that are no number, moved as " d, S "x: \"" i "[s0, 8]\", y: \"" i "[s0, 8]\", k: \"i64[5]\", u: \"f32[s0, 8]\"",                    \
      "g: \"" d "[s0, 8]\" = (x + " from ").view(torch." t ")\nh: \"" d "[s0, 8]\" = (y + " from ").view(torch." t ")\n"                   \
      "a: \"" i "[s0, 16]\" = torch.cat((g, h), -1).view(torch." it ")\nb: \"" i "[8, s0]\" = g.t().contiguous().view(torch." it ")\n"     \
      "c: \"" i "[s0, 2, 8]\" = torch.stack((h, g), 1).view(torch." it ")\ne: \"" i "[s0, 5]\" = g[(Ellipsis, k)].view(torch." it ")\n"    \
      "f: \"" i "[s0, 11]\" = torch.nn.functional.pad(g, (1, 2), 'constant', 3).view(torch." it ")\n"                                      \
      "l: \"" i "[s0, 3]\" = g[(Ellipsis, slice(1, 7, 2))].clone().view(torch." it ")\n"                                                  \
      "m: \"" i "[s0, 8]\" = torch.where(x > 3, g, h).view(torch." it ")\nn: \"" i "[s0, 8]\" = torch.where(y > 3, 0.5, h).view(torch." it ")\n" \
      "o: \"" i "[4, s0, 8]\" = h.expand(4, -1, -1).clone().view(torch." it ")\np: \"" i "[2, s0, 4]\" = g.reshape(-1, 2, 4).permute(1, 0, 2).clone().view(torch." it ")\n" \
      "q = torch.empty_like(g)\nr: \"" d "[s0, 8]\" = q.copy_(h)\ns: \"" i "[s0, 8]\" = q.view(torch." it ")\n"                          \
      "v: \"f32[s0, 1]\" = u.sum(-1, keepdim=True)\nw: \"" i "[s0, 8]\" = torch.where(v > 0.5, g, torch.where(u > v, h, g)).view(torch." it ")", \
      "a, b, c, e, f, l, m, n, o, p, s, w", 0, NULL }

static const graph_case cases[] = {
    /* pointwise */
    { "add", "x: \"f32[s0, 64]\", y: \"f32[s0, 64]\"", "z: \"f32[s0, 64]\" = x + y", "z", 0, NULL },
    { "add ragged", "x: \"f32[s0, 7]\", y: \"f32[s0, 7]\"", "z: \"f32[s0, 7]\" = x + y", "z", 0, NULL },
    { "add 1-d", "x: \"bf16[s0]\", y: \"bf16[s0]\"", "z: \"bf16[s0]\" = x + y", "z", 0, NULL },
    { "broadcast", "x: \"f32[s0, 16]\", y: \"f32[16]\", w: \"f32[s0, 1]\"", "z = x * y\nv: \"f32[s0, 16]\" = z - w", "v", 0, NULL },
    { "promotion", "x: \"bf16[s0, 16]\", y: \"f32[s0, 16]\"", "z: \"f32[s0, 16]\" = x * y", "z", 0, NULL },
    { "scalar", "x: \"bf16[s0, 24]\"", "z: \"bf16[s0, 24]\" = x * 0.5\nw: \"bf16[s0, 24]\" = 1.0 - z", "w", 0, NULL },
    { "silu mul", "x: \"bf16[s0, 128]\"",
      "c = x.chunk(2, dim = -1)\na: \"bf16[s0, 64]\" = c[0]\nb: \"bf16[s0, 64]\" = c[1]\n"
      "d: \"bf16[s0, 64]\" = torch.nn.functional.silu(a)\ne: \"bf16[s0, 64]\" = d * b", "e", 0, NULL },
    { "functions", "x: \"f32[s0, 32]\"",
      "a = torch.sigmoid(x)\nb = torch.tanh(a)\nc = torch.exp(b)\nd = torch.sqrt(c)\ne = torch.rsqrt(d)\nf = torch.abs(e)\n"
      "g = torch.log(f + 1.5)\nh = torch.sin(g)\ni: \"f32[s0, 32]\" = torch.cos(h)", "i", 0, NULL },
    { "relu", "x: \"f16[s0, 40]\"", "y: \"f16[s0, 40]\" = torch.nn.functional.relu(x, inplace = False)", "y", 0, NULL },
    { "gelu", "x: \"f32[s0, 32]\"", "y = torch._C._nn.gelu(x, approximate = 'tanh')\nz = torch._C._nn.gelu(x)", "y, z", 0, NULL },
    { "softplus", "x: \"f32[s0, 32]\"", "y: \"f32[s0, 32]\" = torch.nn.functional.softplus(x)", "y", 0, NULL },
    { "erf reciprocal", "x: \"f32[s0, 8]\"", "y = torch.erf(x)\nz = (x).reciprocal()\nw: \"f32[s0, 8]\" = y / z", "w", 0, NULL },
    { "compare", "x: \"i64[s0, 9]\", y: \"f32[s0, 9]\"",
      "a = x >= 2\nb = x < 6\nc = a & b\nd = ~c\ne: \"f32[s0, 9]\" = torch.where(d, y, 0.0)", "c, d, e", 0, NULL },
    { "integers", "x: \"i32[s0, 9]\", y: \"i64[s0, 9]\"", "a = x + y\nb = a * 3\nc: \"i64[s0, 9]\" = b - x\nd = c // 2\ne = c % 5", "c, d, e", 0, NULL },
    { "clamp", "x: \"f32[s0, 8]\"", "y = x.clamp(min = 1e-12)\nz: \"f32[s0, 8]\" = x.clamp(-0.5, 0.5)", "y, z", 0, NULL },
    { "rounding of integers", "x: \"i32[s0, 9]\", y: \"u8[s0, 9]\"", "a: \"i32[s0, 9]\" = torch.floor(x)\nb: \"u8[s0, 9]\" = y.ceil()\nc = a + b", "a, b, c", 0, NULL },
    { "remainders of floats", "x: \"f32[s0, 9]\", y: \"f32[s0, 9]\", i: \"i32[s0, 9]\"",
      "a = x % y\nb = (i * 1152921504606846976.0) % 0.375\nc = (i - 4) * 2.5\nd: \"f32[s0, 9]\" = c % -2.5\ne: \"i32[s0, 9]\" = d.view(torch.int32)\nf = c.to(torch.bfloat16)\ng: \"bf16[s0, 9]\" = f % 2.5\nh: \"i16[s0, 9]\" = g.view(torch.int16)\n"
      "u = torch.exp(x + 1000.0)\nv = (x % u) < 2.0", "a, b, e, h, v", 0, NULL },
    { "floats divided down", "x: \"f32[s0, 9]\", y: \"f32[s0, 9]\", i: \"i64[s0, 9]\"",
      "a = x // y\nb = i.to(torch.float64)\nc: \"f64[s0, 9]\" = (b / 10.0) // 0.1\nd: \"f64[s0, 9]\" = (b - 4) // -0.3\ne: \"i64[s0, 9]\" = d.view(torch.int64)\nf = (b - 4.0) * 0.0\n"
      "g: \"f64[s0, 9]\" = f // 3.0\nh: \"i64[s0, 9]\" = g.view(torch.int64)\nu = torch.exp(x + 1000.0)\nv = x // u", "a, c, e, h, v", 0, NULL },
    { "operands of other dtypes", "x: \"u8[s0, 9]\", y: \"f16[s0, 9]\", z: \"bf16[s0, 9]\", i: \"i32[s0, 9]\", k: \"i64[]\", f: \"f32[]\"",
      "m = (k + 1) * 77\na = torch.bitwise_xor(m * -1, x)\nb = x == m\nc = x < -1\nd = torch.maximum(x, m)\ne: \"u8[s0, 9]\" = x >> 257\ng = (i + 2049) - y\nh: \"f16[s0, 9]\" = (i * 11 + 2049) * y\n"
      "o = z == 3.14\np = z % 1.7\nq = z + f * 1.001\nr: \"b8[s0, 9]\" = (i * 16777217) == (y * 0 + m)\nt = torch.where(b, x, m)", "a, b, c, d, e, g, h, o, p, q, r, t", 0, NULL },
    { "powers of integers", "x: \"i64[s0, 9]\", y: \"i8[s0, 9]\"",
      "a = x ** 3\nb: \"i8[s0, 9]\" = y ** 5\nc: \"i64[s0, 9]\" = torch.pow(x, 0)\nd = x - 4\ne: \"i64[s0, 9]\" = torch.pow(d, y)\nf = y - 3\ng: \"i64[s0, 9]\" = torch.pow(d, f)", "a, b, c, e, g", 0, NULL },
    { "bools as numbers", "x: \"b8[s0, 9]\", y: \"b8[s0, 9]\"",
      "a = x < y\nb = x <= y\nc = x > y\nd = x >= y\ne: \"b8[s0, 9]\" = torch.minimum(x, y)\nf: \"b8[s0, 9]\" = torch.maximum(x, y)\n"
      "g: \"b8[s0, 9]\" = x + y\nh: \"b8[s0, 9]\" = x * y", "a, b, c, d, e, f, g, h", 0, NULL },
    { "extremes of bools", "x: \"b8[s0, 9]\"", "a: \"b8[s0]\" = x.amax(dim = -1)\nb: \"b8[s0, 1]\" = x.amin(dim = -1, keepdim = True)\nc = x > b", "a, b, c", 0, NULL },
    { "casts", "x: \"f32[s0, 16]\"",
      "a: \"bf16[s0, 16]\" = x.to(torch.bfloat16)\nb: \"f16[s0, 16]\" = x.to(torch.float16)\nc: \"i32[s0, 16]\" = x.to(torch.int32)\n"
      "d: \"i64[s0, 16]\" = x.long()\ne: \"b8[s0, 16]\" = x.to(torch.bool)\nf: \"f32[s0, 16]\" = a.float()", "a, b, c, d, e, f", 0, NULL },
    { "cast fp8", "x: \"f32[s0, 16]\"", "a: \"f8e4m3fn[s0, 16]\" = x.to(torch.float8_e4m3fn)\nb: \"f32[s0, 16]\" = a.to(torch.float32)", "a, b", 1e-6, NULL },
    { "f64", "x: \"f64[s0, 16]\", y: \"f64[s0, 16]\"", "a = x * y\nb: \"f64[s0, 16]\" = torch.exp(a)", "b", 0, NULL },
    { "rank 4", "x: \"f32[s0, 3, 2, 8]\", y: \"f32[3, 1, 8]\"", "z: \"f32[s0, 3, 2, 8]\" = x + y", "z", 0, NULL },
    /* views */
    { "transpose", "x: \"f32[s0, 6]\"", "y: \"f32[6, s0]\" = x.t()\nz: \"f32[6, s0]\" = y + 1.0", "z", 0, NULL },
    { "reshape split", S "x: \"bf16[s0, 64]\"", "y: \"bf16[s0, 4, 16]\" = x.view(s0, 4, 16)\nz: \"bf16[s0, 4, 16]\" = y * 2.0\nw: \"bf16[s0, 64]\" = z.flatten(-2)", "w", 0, NULL },
    { "slices", "x: \"f32[s0, 12]\"",
      "a: \"f32[s0, 6]\" = x[(Ellipsis, slice(None, None, 2))]\nb: \"f32[s0, 6]\" = x[(Ellipsis, slice(1, None, 2))]\nc: \"f32[s0, 6]\" = a - b", "c", 0, NULL },
    { "view output", "x: \"f32[s0, 12]\"", "y: \"f32[s0, 12]\" = x + 1.0\ns = y.split([8, 4], dim = -1)\na: \"f32[s0, 8]\" = s[0]\nb: \"f32[s0, 4]\" = s[1]", "a, b", 0, NULL },
    { "slices of other bits", S "x: \"bf16[s0, 12]\", y: \"f32[s0, 2]\"",
      "w: \"f32[s0, 6]\" = x.view(torch.float32)\na: \"f32[s0, 4]\" = w[(Ellipsis, slice(2, None, None))]\nb = a * 2.0\nc: \"i16[s0, 8]\" = a.view(torch.int16)\nd: \"i16[s0, 6]\" = c[(Ellipsis, slice(2, None, None))]\n"
      "e = d + 1\nf: \"f32[s0, 4]\" = y.view(torch.bfloat16).float()\ng: \"bf16[s0, 2]\" = y.view(torch.bfloat16)[(Ellipsis, slice(2, None, None))]\nh = g.float()", "c, d, e, f, g, h", 0, NULL },
    { "bits that are no number, moved", "x: \"i32[s0, 8]\"",
      "a = x - 8\nb: \"f32[s0, 8]\" = a.view(torch.float32)\nc: \"f32[s0, 16]\" = torch.cat((b, b), -1)\nd: \"i32[s0, 16]\" = c.view(torch.int32)\ne = ~a", "a, d, e", 0, NULL },
    MOVES("bf16", "bfloat16", "i16", "int16", "32640"),
    MOVES("f16", "float16", "i16", "int16", "31744"),
    MOVES("f8e5m2", "float8_e5m2", "u8", "uint8", "120"),
    MOVES("f8e4m3fn", "float8_e4m3fn", "u8", "uint8", "248"),
    MOVES("f32", "float32", "i32", "int32", "2139095037"),
    MOVES("f64", "float64", "i64", "int64", "9218868437227405309"),
    { "bits that are no number, moved beside products", S "x: \"i16[s0, 16]\", u: \"bf16[s0, 32]\", w: \"bf16[16, 32]\"",
      "g: \"bf16[s0, 16]\" = (x + 32640).view(torch.bfloat16)\np: \"bf16[s0, 16]\" = torch._C._nn.linear(u, w, None)\n"
      "q: \"i16[s0, 16]\" = torch.where(p > 1000.0, p, g).view(torch.int16)\nr: \"f32[s0, 16]\" = torch._C._nn.linear(u.float(), w.float(), None)\n"
      "t: \"i16[s0, 16]\" = torch.where(r > 1000.0, r.to(torch.bfloat16), g).view(torch.int16)", "q, t", 0, NULL },
    { "products and writes of other bits", "x: \"i32[s0, 8]\", y: \"f32[5, 4]\", z: \"f32[s0, 2]\"",
      "u = x * 4194304\nv: \"f32[s0, 8]\" = u.to(torch.float32)\nc: \"i32[s0, 8]\" = v.view(torch.int32)\na: \"i32[s0, 4]\" = c[(Ellipsis, slice(4, None, None))]\n"
      "b: \"f32[s0, 4]\" = a.view(torch.float32)\np: \"f32[s0, 5]\" = torch._C._nn.linear(b, y, None)\n"
      "h: \"i16[s0, 4]\" = b.view(torch.int16)[(Ellipsis, slice(4, None, None))]\nq: \"f32[s0, 2]\" = h.view(torch.float32)\nr: \"f32[s0, 2]\" = q.copy_(z)\nk = v * 1.0", "p, r, k", 0, NULL },
    { "pass through", S "x: \"f32[s0, 12]\"", "y: \"f32[s0, 12]\" = x + 1.0\nn: \"Sym(s0)\" = torch.ops.aten.sym_size.int(y, 0)", "x, y, n", 0, NULL },
    { "permute reshape", S "x: \"f32[s0, 4, 8]\"", "y: \"f32[4, s0, 8]\" = x.permute(1, 0, 2)\nz = y.reshape(4, -1)\nw = z + 0.5", "w", 0, NULL },
    { "expand", "x: \"f32[s0, 1, 8]\"", "y: \"f32[s0, 3, 8]\" = x.expand(-1, 3, -1)\nz = y * 2.0", "z", 0, NULL },
    { "repeat of a sum", "x: \"f32[8, 2, 5, s0 + 5]\", k: \"f32[]\"", "y = x / 0.25\nz = y.repeat(1, 1, 1, 2)\nw: \"f32[8, 2, 5, 2*s0 + 10]\" = z * k", "w", 0, NULL },
    { "repeat interleave", "x: \"f32[s0, 4]\"", "y: \"f32[s0, 12]\" = x.repeat_interleave(3, dim = -1)", "y", 0, NULL },
    { "contiguous", "x: \"bf16[s0, 16]\"", "c = x.chunk(2, dim = -1)\na: \"bf16[s0, 8]\" = c[0]\nb: \"bf16[s0, 8]\" = a.contiguous()", "b", 0, NULL },
    /* join */
    { "cat", "x: \"bf16[s0, 16]\", y: \"bf16[s0, 8]\"", "z: \"bf16[s0, 24]\" = torch.cat((x, y), dim = -1)", "z", 0, NULL },
    { "cat rows", "x: \"f32[s0, 8]\", y: \"f32[3, 8]\"", "z = torch.cat((x, y), dim = 0)\nw = z + 1.0", "w", 0, NULL },
    { "rotary", "x: \"bf16[s0, 4, 16]\", c: \"bf16[s0, 1, 8]\", s: \"bf16[s0, 1, 8]\"",
      "k = torch.chunk(x, 2, dim = -1)\na: \"bf16[s0, 4, 8]\" = k[0]\nb: \"bf16[s0, 4, 8]\" = k[1]\n"
      "p = a * c\nq = b * s\nu = p - q\nv = b * c\nw = a * s\ny = v + w\nz: \"bf16[s0, 4, 16]\" = torch.cat((u, y), dim = -1)", "z", 0, NULL },
    { "stack", "x: \"f32[s0, 8]\", y: \"f32[s0, 8]\"", "z: \"f32[s0, 8, 2]\" = torch.stack((x, y), dim = -1)\nw: \"f32[s0, 16]\" = z.flatten(-2)", "w", 0, NULL },
    { "pad", "x: \"f32[s0, 5]\"", "y: \"f32[s0, 8]\" = torch.nn.functional.pad(x, (1, 2), 'constant', 3.0)", "y", 0, NULL },
    /* gathers */
    { "embedding", "i: \"i32[s0]\", w: \"bf16[8, 32]\"", "l: \"i64[s0]\" = i.long()\ny: \"bf16[s0, 32]\" = torch.nn.functional.embedding(l, w)", "y", 0, NULL },
    { "index select", "w: \"f32[9, 8]\", i: \"i64[s0]\"", "y: \"f32[s0, 8]\" = w.index_select(0, i)\nc = y.chunk(2, dim = -1)\na: \"f32[s0, 4]\" = c[0]\nb: \"f32[s0, 4]\" = c[1]\nz = a * b", "z", 0, NULL },
    { "index rank 2", "w: \"f32[9, 4]\", i: \"i64[3, s0]\"", "y: \"f32[3, s0, 4]\" = w[i]", "y", 0, NULL },
    /* reductions */
    { "mean", "x: \"f32[s0, 64]\"", "y: \"f32[s0, 1]\" = x.mean(dim = -1, keepdim = True)", "y", 0, NULL },
    { "sum max min", "x: \"f32[s0, 33]\"", "a: \"f32[s0]\" = x.sum(dim = -1)\nb: \"f32[s0]\" = x.amax(dim = -1)\nc: \"f32[s0]\" = x.amin(dim = -1)", "a, b, c", 0, NULL },
    { "sum of all", "x: \"f32[s0, 8]\"", "a: \"f32[]\" = x.sum()", "a", 0, NULL },
    { "sum over rows", "x: \"f32[s0, 8]\"", "a: \"f32[8]\" = x.sum(dim = 0)", "a", 0, NULL },
    { "softmax", "x: \"bf16[s0, 96]\"", "y: \"bf16[s0, 96]\" = torch.nn.functional.softmax(x, dim = -1)", "y", 0, NULL },
    { "softmax long", "x: \"f32[s0, 1000]\"", "y: \"f32[s0, 1000]\" = torch.nn.functional.softmax(x, dim = -1)", "y", 0, NULL },
    { "rms norm", "x: \"bf16[s0, 128]\", w: \"bf16[128]\"",
      "f = x.to(torch.float32)\np = f.pow(2)\nm = p.mean(dim = -1, keepdim = True)\na = m + 1e-05\nr = torch.rsqrt(a)\nn = f * r\n"
      "b: \"bf16[s0, 128]\" = n.to(torch.bfloat16)\ny: \"bf16[s0, 128]\" = b * w", "y", 0, NULL },
    { "vllm norm", "x: \"bf16[s0, 256]\", r: \"bf16[s0, 256]\", w: \"bf16[256]\"",
      "n = torch.ops.vllm_ir.fused_add_rms_norm.default(x, r, w, 1e-06)\na: \"bf16[s0, 256]\" = n[0]\nb: \"bf16[s0, 256]\" = n[1]", "a, b", 0, NULL },
    { "head norm", "x: \"bf16[s0, 64]\", w: \"bf16[16]\"", "v: \"bf16[s0, 4, 16]\" = x.view(-1, 4, 16)\ny: \"bf16[s0, 4, 16]\" = torch.ops.vllm_ir.rms_norm.default(v, w, 1e-06)\nz: \"bf16[s0, 64]\" = y.view(-1, 64)", "z", 0, NULL },
    { "layer norm", "x: \"bf16[s0, 72]\", w: \"bf16[72]\", b: \"bf16[72]\"", "y: \"bf16[s0, 72]\" = torch.nn.functional.layer_norm(x, (72,), w, b, 1e-05)", "y", 0, NULL },
    { "norm twice", "x: \"f32[s0, 32]\", w: \"f32[32]\"", "y: \"f32[s0, 32]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06)\nz: \"f32[s0, 32]\" = torch.ops.vllm_ir.rms_norm.default(y, w, 1e-06)", "z", 0, NULL },
    { "norm then view", S "x: \"f32[s0, 32]\", w: \"f32[32]\"", "y: \"f32[s0, 32]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06)\nv: \"f32[s0, 4, 8]\" = y.view(s0, 4, 8)\nz = v * 2.0", "y, z", 0, NULL },
    { "long rows", "x: \"bf16[s0, 5120]\", w: \"bf16[5120]\"", "y: \"bf16[s0, 5120]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06)", "y", 0, NULL },
    { "symbolic columns", "x: \"f32[4, s0]\"", "m: \"f32[4, 1]\" = x.mean(dim = -1, keepdim = True)\ny = x - m", "y", 1e-4, NULL },
    /* products */
    { "linear", "x: \"bf16[s0, 64]\", w: \"bf16[48, 64]\"", "y: \"bf16[s0, 48]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL },
    { "linear bias", "x: \"bf16[s0, 72]\", w: \"bf16[33, 72]\", b: \"bf16[33]\"", "y: \"bf16[s0, 33]\" = torch._C._nn.linear(x, w, b)", "y", 0, NULL },
    { "linear f32", "x: \"f32[s0, 100]\", w: \"f32[17, 100]\", b: \"f32[17]\"", "y: \"f32[s0, 17]\" = torch._C._nn.linear(x, w, b)", "y", 0, NULL },
    { "linear odd", "x: \"bf16[s0, 37]\", w: \"bf16[5, 37]\"", "y: \"bf16[s0, 5]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL },
    { "epilogue", "x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\", r: \"bf16[s0, 80]\"", "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, None)\nz: \"bf16[s0, 80]\" = torch.nn.functional.silu(y)\nv: \"bf16[s0, 80]\" = z + r", "v", 0, NULL },
    { "gated mlp", "x: \"bf16[s0, 64]\", w: \"bf16[256, 64]\", d: \"bf16[64, 128]\"",
      "y: \"bf16[s0, 256]\" = torch._C._nn.linear(x, w, None)\nc = y.chunk(2, dim = -1)\na: \"bf16[s0, 128]\" = c[0]\nb: \"bf16[s0, 128]\" = c[1]\n"
      "s = torch.nn.functional.silu(a)\nm = s * b\nz: \"bf16[s0, 64]\" = torch._C._nn.linear(m, d, None)", "z", 0, NULL },
    { "mm", "a: \"bf16[s0, 32]\", b: \"bf16[32, 24]\"", "c: \"bf16[s0, 24]\" = torch.mm(a, b)", "c", 0, NULL },
    { "mm f32 out", "a: \"bf16[s0, 32]\", b: \"bf16[24, 32]\"", "t: \"bf16[32, 24]\" = b.t()\nc: \"f32[s0, 24]\" = torch.mm(a, t, out_dtype = torch.float32)", "c", 0, NULL },
    { "bmm", "a: \"f32[3, s0, 8]\", b: \"f32[3, 8, 5]\"", "c: \"f32[3, s0, 5]\" = torch.bmm(a, b)", "c", 0, NULL },
    { "linear rank 3", "a: \"f32[s0, 3, 16]\", w: \"f32[8, 16]\"", "c: \"f32[s0, 3, 8]\" = torch._C._nn.linear(a, w, None)", "c", 0, NULL },
    { "linear of view", "x: \"bf16[s0, 128]\", w: \"bf16[16, 64]\"", "c = x.chunk(2, dim = -1)\na: \"bf16[s0, 64]\" = c[1]\ny: \"bf16[s0, 16]\" = torch._C._nn.linear(a, w, None)", "y", 0, NULL },
    { "two products", "x: \"bf16[s0, 64]\", w: \"bf16[32, 64]\", u: \"bf16[32, 64]\"", "a: \"bf16[s0, 32]\" = torch._C._nn.linear(x, w, None)\nb: \"bf16[s0, 32]\" = torch._C._nn.linear(x, u, None)\nc: \"bf16[s0, 32]\" = a * b", "c", 0, NULL },
    /* memory */
    { "zeros", S "x: \"f32[s0, 4]\"", "z: \"f32[s0, 6]\" = torch.zeros((s0, 6), dtype = torch.float32, device = device(type='cuda', index=0))\ny = x + 1.0", "z, y", 0, NULL },
    { "setitem", "x: \"f32[s0, 8]\", y: \"f32[s0, 4]\"", "c: \"f32[s0, 8]\" = x.clone()\nc[(Ellipsis, slice(4, None, None))] = y;  setitem = c\nz = c * 2.0", "c, z", 0, NULL },
    { "setitem of itself", "x: \"f32[s0, 8]\"", "c: \"f32[s0, 8]\" = x.clone()\nh: \"f32[s0, 4]\" = c[(Ellipsis, slice(0, 4, None))]\nd = h + 1.0\nc[(Ellipsis, slice(2, 6, None))] = d;  setitem = c\ne = h - d", "c, e", 0, NULL },
    { "in place", "x: \"f32[s0, 8]\"", "y: \"f32[s0, 8]\" = x + 1.0\ny *= 2.5;  imul: \"f32[s0, 8]\" = y\nz = imul - 1.0", "z", 0, NULL },
    { "copies of what was written since", "x: \"i32[s0, 4]\", y: \"i32[4]\"",
      "a: \"i32[s0, 8]\" = x.repeat(1, 2)\na[(Ellipsis, slice(0, 4, None))] = y;  setitem = a\nb: \"i32[s0, 8]\" = a.clone()\nc: \"i32[s0, 4]\" = x.clone()\n"
      "c[(Ellipsis, slice(1, 3, None))] = 7;  setitem = c\nd: \"i32[4, s0]\" = c.t().contiguous()\ne: \"i32[4*s0]\" = c.t().reshape(-1)\nf = c.clone().clone()", "b, d, e, f", 0, NULL },
    { "copies of sums", "x: \"f32[s0, 4, 1]\"", "a = x.amax(dim = (1, 2), keepdim = True)\nb: \"f32[s0, 1, 1]\" = a.clone()\nc = x.sum(dim = 1, keepdim = True).clone()", "b, c", 0, NULL },
    { "read before write", "x: \"f32[s0, 8]\"", "y: \"f32[s0, 8]\" = x.clone()\nb = y + 1.0\ny *= 3.0;  imul: \"f32[s0, 8]\" = y\nz = b + imul", "z, b", 0, NULL },
    { "write input", "x: \"f32[s0, 8]\"", "a = x + 1.0\nx *= 3.0;  imul: \"f32[s0, 8]\" = x\nz = a + imul", "z", 0, NULL },
    { "one value a row in place", "x: \"f32[s0, 8]\", y: \"f32[s0]\"", "s: \"f32[s0]\" = x.sum(dim = -1)\ny *= s;  imul: \"f32[s0]\" = y\nz = s + 1.0\nv = x * 2.0", "imul, z, v", 0, NULL },
    { "one value a row in place, long rows", "x: \"f32[s0, 1000]\", y: \"f32[s0]\"", "s: \"f32[s0]\" = x.sum(dim = -1)\ny *= s;  imul: \"f32[s0]\" = y\nv = x * 2.0", "imul, v", 0, NULL },
    { "arange", S "x: \"f32[s0, 4]\"", "a = torch.arange(s0, dtype = torch.int64, device = device(type='cuda', index=0))\nb = a.to(torch.float32)\nc = b.unsqueeze(-1)\nz = x + c", "z", 0, NULL },
    { "masked fill", "x: \"f32[s0, 6]\", m: \"b8[s0, 6]\"", "y = x.masked_fill(m, 0)", "y", 0, NULL },
    /* order: what a kernel reads was written before */
    { "sum of what a product takes", "x: \"f32[s0, 8]\", w: \"f32[5, 8]\"", "a = torch.tanh(x)\ns: \"f32[8]\" = a.sum(dim = 0)\ny: \"f32[s0, 5]\" = torch._C._nn.linear(a, w)", "s, y", 0, NULL },
    { "cast and sum of what a product takes", "x: \"bf16[s0, 256]\", w: \"bf16[128, 256]\"",
      "a = torch._C._nn.silu(x)\ny: \"bf16[s0, 128]\" = torch._C._nn.linear(a, w)\nf = a.float()\ns: \"f32[256]\" = f.sum(dim = 0)", "s, y", 1e-2, NULL },
    { "sum of a cast, then a product", "x: \"f32[s0, 64]\", w: \"bf16[8, 64]\"",
      "a = torch.sigmoid(x)\nb = a.to(torch.bfloat16)\nf = b.float()\ns: \"f32[64]\" = f.sum(dim = 0)\ny: \"bf16[s0, 8]\" = torch._C._nn.linear(b, w)", "s, y", 0, NULL },
    { "product of a sum that others use", "x: \"f16[s0, 7, 7]\"",
      "s: \"f16[s0, 7]\" = x.sum(dim = -1)\nr = torch.relu(s)\nu = r.unsqueeze(1)\nd: \"f16[s0, 7, 7]\" = u - x\ny = torch._C._nn.linear(s, s)", "r, d, y", 0, NULL },
    { "product of a sum over rows", "x: \"f32[s0, 8]\", w: \"f32[5, 8]\"",
      "s: \"f32[1, 8]\" = x.sum(dim = 0, keepdim = True)\nr = torch.exp(s * 0.1)\nd = r - x\ny: \"f32[1, 5]\" = torch._C._nn.linear(s, w)\nm: \"f32[8]\" = d.mean(dim = 0)", "d, y, m", 0, NULL },
    { "stack of what a product takes", "x: \"f32[s0, 8]\", w: \"f32[5, 8]\"",
      "a = torch.tanh(x)\nb = a * 2.0\nt: \"f32[2, s0, 8]\" = torch.stack((a, b), dim = 0)\ns: \"f32[2, 8]\" = t.sum(dim = 1)\ny: \"f32[s0, 5]\" = torch._C._nn.linear(b, w)\nz = a - 1.0", "s, y, z", 0, NULL },
    { "cat of what a product takes", "x: \"bf16[s0, 16]\", w: \"bf16[24, 16]\"",
      "a = torch.tanh(x)\nt: \"bf16[s0, 32]\" = torch.cat((a, x), dim = -1)\nm: \"bf16[32]\" = t.sum(dim = 0)\ny: \"bf16[s0, 24]\" = torch._C._nn.linear(a, w)\n"
      "v: \"bf16[s0, 40]\" = torch.cat((y, a), dim = -1)", "m, v", 0, NULL },
    { "transposed sums and products", "x: \"f32[s0, 6]\", w: \"f32[4, 6]\"",
      "a = torch.exp(x)\nt: \"f32[6, s0]\" = a.t()\nb = t * 0.5\ns: \"f32[6]\" = b.sum(dim = -1)\ny: \"f32[s0, 4]\" = torch._C._nn.linear(a, w)\nr: \"f32[s0]\" = a.sum(dim = -1)\nz = a + y.sum(dim = -1, keepdim = True)", "s, y, r, z", 1e-4, NULL },
    { "clone between", "x: \"f32[s0, 8]\", w: \"f32[8, 8]\"",
      "a = torch.tanh(x)\nc = a.clone()\ns: \"f32[8]\" = a.sum(dim = 0)\nc *= 2.0;  imul: \"f32[s0, 8]\" = c\ny: \"f32[s0, 8]\" = torch._C._nn.linear(imul, w)\nz = a - y\nq: \"f32[8]\" = imul.sum(dim = 0)", "s, y, z, q", 0, NULL },
    { "call after a sum", "x: \"f32[s0, 8]\"",
      "a = torch.tanh(x)\ns: \"f32[8]\" = a.sum(dim = 0)\nb: \"f32[s0, 8]\" = torch.ops.test.twice(a, 3, 'layers.0')\nm: \"f32[s0, 1]\" = a.mean(dim = -1, keepdim = True)\nc: \"f32[s0, 8]\" = b * m", "s, c", 0, ops },
    { "bits of what is summed", "x: \"f32[s0, 8]\"", "a = torch.tanh(x)\ns: \"f32[8]\" = a.sum(dim = 0)\ni: \"i32[s0, 8]\" = a.view(torch.int32)\nj = i & -65536", "s, j", 0, NULL },
    { "chain of products and sums", "x: \"f32[s0, 8]\", w: \"f32[8, 8]\"",
      "a = torch.tanh(x)\ny: \"f32[s0, 8]\" = torch._C._nn.linear(a, w)\nb = torch.tanh(y)\ns: \"f32[8]\" = b.sum(dim = 0)\nz: \"f32[s0, 8]\" = torch._C._nn.linear(b, w)\n"
      "c = z + b\nm: \"f32[s0, 1]\" = c.mean(dim = -1, keepdim = True)\nd = c - m\nq: \"f32[8]\" = d.sum(dim = 0)\nv: \"f32[s0, 8]\" = torch._C._nn.linear(d, w)", "s, m, q, v", 1e-4, NULL },
    { "sums that keep their dims", "x: \"f32[s0, 4, 6]\"",
      "a: \"f32[1, 4, 6]\" = x.sum(dim = 0, keepdim = True)\nb: \"f32[s0, 1, 6]\" = x.mean(dim = 1, keepdim = True)\nc: \"f32[s0, 1, 1]\" = x.sum(dim = (1, 2), keepdim = True)\n"
      "d: \"f32[1, 4, 1]\" = x.sum(dim = (0, 2), keepdim = True)\ne = x - b\nf = e * c\ng = f + a\nh = g + d", "a, b, c, d, h", 1e-4, NULL },
    /* what is written narrower than it was computed is read back so */
    { "copy to a narrower dtype", "x: \"f32[s0, 8]\", y: \"bf16[s0, 8]\"", "c = y.clone()\nd: \"bf16[s0, 8]\" = c.copy_(x)\nz: \"f32[s0, 8]\" = d.to(torch.float32)\ne = z - x", "d, e", 1e-6, NULL },
    { "copy of large integers", "x: \"i64[s0, 8]\", y: \"i8[s0, 8]\"", "b = x * 100\nc = y.clone()\nd: \"i8[s0, 8]\" = c.copy_(b)\nz: \"i64[s0, 8]\" = d.to(torch.int64)\ne = z - b", "d, e", 0, NULL },
    { "product added in place", "x: \"f32[s0, 8]\", w: \"f32[6, 8]\", r: \"f32[s0, 6]\"", "c = r.clone()\ny: \"f32[s0, 6]\" = torch._C._nn.linear(x, w)\nz = c + y\nd: \"f32[s0, 6]\" = c.copy_(z)", "d", 0, NULL },
    /* custom operators */
    { "call", "x: \"f32[s0, 8]\"", "a: \"f32[s0, 8]\" = x + 1.0\nb: \"f32[s0, 8]\" = torch.ops.test.twice(a, 3, 'layers.0')\nc: \"f32[s0, 8]\" = b * 2.0", "c", 0, ops },
    { "call on a view", "x: \"f32[s0, 8]\"", "c = x.chunk(2, dim = -1)\na: \"f32[s0, 4]\" = c[1]\nb: \"f32[s0, 4]\" = torch.ops.test.twice(a, 3, 'layers.0')", "b", 0, ops },
    { "call in place", "x: \"f32[s0, 8]\"", "a: \"f32[s0, 8]\" = x + 1.0\nc = a.chunk(2, dim = -1)\nb: \"f32[s0, 4]\" = c[1]\nn = torch.ops.test.negate(b);  n = None\nd: \"f32[s0, 8]\" = a * 2.0", "d, a", 0, ops },
};
#define NCASES ((int)(sizeof cases / sizeof *cases))

static const int64_t rows[] = { 1, 3, 33, 0 };

START_TEST(on_host) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        graph_check(&cases[_i], "host", rows[i], 7 + i);
}
END_TEST

START_TEST(on_sim) {
    graph_check(&cases[_i], "sim", 3, 11);
    graph_check(&cases[_i], "sim", 17, 12);
}
END_TEST

/* Products as each level of this CPU multiplies them: odd and small K and N, weights either way, none consecutive, batches, epilogues, no rows. */
static const graph_case products[] = {
    { "rows", "x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\"", "y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL },
    { "columns", "x: \"bf16[s0, 64]\", w: \"bf16[64, 80]\"", "y: \"bf16[s0, 80]\" = x @ w", "y", 0, NULL },
    { "odd rows", "x: \"bf16[s0, 131]\", w: \"bf16[45, 131]\"", "y: \"bf16[s0, 45]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL },
    { "odd columns", "x: \"bf16[s0, 131]\", w: \"bf16[131, 45]\"", "y: \"bf16[s0, 45]\" = x @ w", "y", 0, NULL },
    { "one of each", "x: \"bf16[s0, 1]\", w: \"bf16[1, 1]\"", "y: \"bf16[s0, 1]\" = x @ w", "y", 0, NULL },
    { "no k", "x: \"bf16[s0, 0]\", w: \"bf16[5, 0]\"", "y: \"bf16[s0, 5]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL },
    { "several parts of k", "x: \"bf16[s0, 801]\", w: \"bf16[33, 801]\"", "y: \"bf16[s0, 33]\" = torch._C._nn.linear(x, w, None)", "y", 0, NULL },
    { "k and n unknown", S "s1: \"Sym(s1)\", x: \"bf16[7, s0]\", w: \"bf16[s0, s1]\"", "y: \"bf16[7, s1]\" = x @ w", "y", 0, NULL },
    { "a by columns", "x: \"bf16[70, s0]\", w: \"bf16[45, 70]\"", "u: \"bf16[s0, 70]\" = x.t()\ny: \"bf16[s0, 45]\" = torch._C._nn.linear(u, w, None)", "y", 0, NULL },
    { "every other", "x: \"bf16[s0, 100]\", w: \"bf16[45, 100]\"",
      "u: \"bf16[s0, 50]\" = x[(Ellipsis, slice(0, 100, 2))]\nv: \"bf16[45, 50]\" = w[(Ellipsis, slice(0, 100, 2))]\ny: \"bf16[s0, 45]\" = torch._C._nn.linear(u, v, None)", "y", 0, NULL },
    { "a part of the rows", "x: \"bf16[s0, 100]\", w: \"bf16[45, 100]\"",
      "u: \"bf16[s0, 37]\" = x[(Ellipsis, slice(3, 40, None))]\nv: \"bf16[45, 37]\" = w[(Ellipsis, slice(5, 42, None))]\ny: \"bf16[s0, 45]\" = torch._C._nn.linear(u, v, None)", "y", 0, NULL },
    { "batches", "q: \"bf16[3, s0, 40]\", k: \"bf16[3, 19, 40]\"",
      "s: \"bf16[3, s0, 19]\" = q @ k.transpose(-1, -2)\no: \"bf16[3, s0, 40]\" = s @ k", "o", 0, NULL },
    { "bias and activation", "x: \"bf16[s0, 72]\", w: \"bf16[33, 72]\", b: \"bf16[33]\", r: \"bf16[s0, 33]\"",
      "y: \"bf16[s0, 33]\" = torch._C._nn.linear(x, w, b)\nz: \"bf16[s0, 33]\" = torch.nn.functional.silu(y)\nv = z + r", "v", 0, NULL },
    { "nothing of what is added", "c: \"bf16[s0, 33]\", x: \"bf16[s0, 21]\", w: \"bf16[21, 33]\"", "n = c / 0.0\ny = torch.addmm(n, x, w, beta = 0)\nz = torch.addmm(c, x, w, beta = 0.5, alpha = 2)", "y, z", 0, NULL },
    { "sums kept in f32", "a: \"bf16[s0, 33]\", b: \"bf16[24, 33]\"", "t: \"bf16[33, 24]\" = b.t()\nc: \"f32[s0, 24]\" = torch.mm(a, t, out_dtype = torch.float32)", "c", 0, NULL },
    { "f32", "x: \"f32[s0, 131]\", w: \"f32[45, 131]\", u: \"f32[45, 17]\"", "y: \"f32[s0, 45]\" = torch._C._nn.linear(x, w, None)\nz = y @ u", "z", 0, NULL },
    { "f16", "x: \"f16[s0, 131]\", w: \"f16[45, 131]\", u: \"f16[45, 17]\"", "y: \"f16[s0, 45]\" = torch._C._nn.linear(x, w, None)\nz = y @ u", "z", 0, NULL },
};
enum { NPRODUCTS = sizeof products / sizeof *products };

START_TEST(at_each_level) {
    static const char *const levels[] = { "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "x86-64-v4-amx" };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        char device[32];
        jc_target host, code;
        ck_assert_int_eq(jc_target_parse("host", &host, NULL), JITC_OK);
        code = host;
        snprintf(code.cpu, sizeof code.cpu, "%s", levels[i]);
        snprintf(device, sizeof device, "host/%s", levels[i]);
        for (size_t r = 0; r < sizeof rows / sizeof *rows && jc_target_runs_on(&code, &host, false); r++)
            graph_check(&products[_i], device, rows[r], 7 + r);
        if (jc_target_runs_on(&code, &host, false))
            graph_check(&products[_i], device, 130, 8);
    }
}
END_TEST

static void compiles_for(int i, const char *arch) {
    char message[2048];
    ck_assert_msg(graph_compile(&cases[i], arch, NULL, NULL, message, sizeof message) == JITC_OK, "%s for %s: %s",
                  cases[i].name, arch, message);
}

/* Rows without custom operators: the test's own work on host memory. */
/* What runs under compute-sanitizer, where each graph takes a second or more. */
START_TEST(short_on_cuda) {
    if (!cases[_i].setup)
        graph_check(&cases[_i], "cuda", 33, 7);
}
END_TEST

START_TEST(on_cuda) {
    static const int64_t many[] = { 1, 3, 33, 0, 260 };
    for (size_t i = 0; i < sizeof many / sizeof *many && !cases[_i].setup; i++)
        graph_check(&cases[_i], "cuda", many[i], 7 + i);
}
END_TEST

START_TEST(for_gpus) {
    compiles_for(_i, "sm_80");
    compiles_for(_i, "sm_90a");
}
END_TEST

/* More tensors than a kernel has arguments. */
static const struct many {
    const char *name;
    int n;
    const char *each;   /* statement per tensor, with its number for %d and the one before for ^; v%d is what is joined */
    const char *joined; /* the statement, of which %s is the list */
} manies[] = {
    { "cat", 501, "v%d = x%d", "z = torch.cat((%s), dim = -1)" },
    { "cat in three", 1003, "v%d = x%d", "z = torch.cat((%s), dim = 0)" },
    { "stack", 501, "v%d = x%d", "z = torch.stack((%s), dim = 0)" },
    { "cat of what is computed", 501, "u%d = x%d * 0.5\nv%d = u%d + x0", "z = torch.cat((%s), dim = -1)" },
    { "cat of sums", 501, "v%d = x%d.sum(dim = -1, keepdim = True)", "z = torch.cat((%s), dim = -1)" },
    { "sum of all", 700, "v%d = v^ + x%d", "z = v699 * 2.0" },
};

static char *many_text(const struct many *m) {
    char *text, *list;
    size_t n;
    bool chain = strchr(m->each, '^') != NULL;
    FILE *f = open_memstream(&list, &n);
    for (int i = 0; i < m->n; i++)
        fprintf(f, "%sv%d", i ? ", " : "", i);
    fclose(f);
    f = open_memstream(&text, &n);
    fprintf(f, "class GraphModule(torch.nn.Module):\n    def forward(self");
    for (int i = 0; i < m->n; i++)
        fprintf(f, ", x%d: \"f32[s0, 2]\"", i);
    fprintf(f, "):\n");
    if (chain)
        fprintf(f, "        v0 = x0\n");
    for (int i = chain; i < m->n; i++) {
        fprintf(f, "        ");
        for (const char *p = m->each; *p; p++) {
            if (p[0] == '%')
                p++, fprintf(f, "%d", i);
            else if (p[0] == '^')
                fprintf(f, "%d", i - 1);
            else if (fputc(*p, f) == '\n')
                fprintf(f, "        ");
        }
        fprintf(f, "\n");
    }
    fprintf(f, "        ");
    for (const char *p = m->joined; *p; p++)
        if (p[0] == '%')
            p++, fprintf(f, "%s", list);
        else
            fputc(*p, f);
    fprintf(f, "\n        return (z,)\n");
    fclose(f);
    free(list);
    return text;
}

START_TEST(many_tensors) {
    char *text = many_text(&manies[_i]);
    graph_case c = { manies[_i].name, NULL, text, NULL, 0, NULL };
    graph_check(&c, "host", 3, 2);
    graph_check(&c, "sim", 2, 3);
    free(text);
}
END_TEST

/* The same graph gives the same bytes. */
START_TEST(deterministic) {
    uint8_t *a, *b;
    size_t na, nb;
    char message[2048];
    ck_assert_int_eq(graph_compile(&cases[_i], "host", &a, &na, message, sizeof message), JITC_OK);
    ck_assert_int_eq(graph_compile(&cases[_i], "host", &b, &nb, message, sizeof message), JITC_OK);
    ck_assert_uint_eq(na, nb);
    ck_assert_msg(memcmp(a, b, na) == 0, "%s: two compilations differ", cases[_i].name);
    free(a);
    free(b);
}
END_TEST

int main(void) {
    Suite *s = suite_create("run");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim"), *gpu = tcase_create("gpu"), *many = tcase_create("many");
    many_add(host, on_host, 0, NCASES);
    many_add(host, deterministic, 0, NCASES);
    many_add(host, at_each_level, 0, NPRODUCTS);
    many_add(sim, on_sim, 0, NCASES);
    many_add(many, many_tensors, 0, (int)(sizeof manies / sizeof *manies));
    tcase_set_timeout(many, 120);
    suite_add_tcase(s, many);
    many_add(gpu, for_gpus, 0, NCASES);
    tcase_set_timeout(host, 60);
    tcase_set_timeout(sim, 60);
    tcase_set_timeout(gpu, 60);
    suite_add_tcase(s, host);
    suite_add_tcase(s, sim);
    suite_add_tcase(s, gpu);
    many_prepare();
    SRunner *r = srunner_create(s);
    if (!no_gpu()) { /* CUDA does not survive a fork */
        TCase *cuda = tcase_create("cuda"), *brief = tcase_create("short");
        many_add(cuda, on_cuda, 0, NCASES);
        many_add(brief, short_on_cuda, 0, NCASES);
        tcase_set_timeout(cuda, 60);
        tcase_set_timeout(brief, 60);
        suite_add_tcase(s, brief);
        suite_add_tcase(s, cuda);
        srunner_set_fork_status(r, CK_NOFORK);
    }
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
