/*
 * tests/check_canon.c - the canonical form: what must be equal is, what must differ does, and nothing else matters.
 */
#include <math.h>

#include "ir/eval/eval.h"
#include "ir/passes_priv.h"
#include "passes_help.h"

#define P "x: \"bf16[s0, 8]\", y: \"bf16[s0, 8]\", w: \"bf16[8, 8]\", s0: \"Sym(s0)\""
#define Q(x, y, w, s)                                                                              \
    x ": \"bf16[" s ", 8]\", " y ": \"bf16[" s ", 8]\", " w ": \"bf16[8, 8]\", " s ": \"Sym(" s ")\""
#define B(...) MODULE(P, __VA_ARGS__)
#define RET(x) S("return (" x ",)")
#define CALL(x, ...) "torch.ops.ns.f(" x ", " __VA_ARGS__ ")"

typedef struct row {
    const char *name, *a, *b;
    bool equal;
} row;

/* Numbers are those of the fifteen traps in the notes; rows without one are DESIGN's rules. */
static const row rows[] = {
    /* names, everywhere */
    { "1 locals", B(S("a = x + y") RET("a")), B(S("sum_7 = x + y") RET("sum_7")), true },
    { "1 parameters and symbols", B(S("a = x * 2") RET("a")),
      MODULE(Q("p", "q", "r", "s91"), S("a = p * 2") RET("a")), true },
    { "1 order of parameters", B(S("a = x - y") RET("a")),
      MODULE("s0: \"Sym(s0)\", y: \"bf16[s0, 8]\", x: \"bf16[s0, 8]\"", S("a = x - y") RET("a")), true },
    { "1 comments and frees", B(S("a = x + y") RET("a")),
      B(S("# File: m.py:3 in f, code: a = x + y") S("a: \"bf16[s0, 8]\" = x + y;  x = y = None") RET("a")), true },
    { "1 a symbol's parameter has another name", B(S("a = torch.zeros((s0, 8), dtype = torch.bfloat16)") RET("a")),
      MODULE("x: \"bf16[s3, 8]\", s9: \"Sym(s3)\"", S("a = torch.zeros((s9, 8), dtype = torch.bfloat16)") RET("a")),
      true },
    { "1 one symbol or two", B(S("a = x.sum() + y.sum()") RET("a")),
      MODULE("x: \"bf16[s0, 8]\", y: \"bf16[s1, 8]\"", S("a = x.sum() + y.sum()") RET("a")), false },
    { "1 expressions of symbols", MODULE("x: \"bf16[2*s0, 8]\", y: \"bf16[s0, 8]\"", S("a = x.sum() + y.sum()") RET("a")),
      MODULE("x: \"bf16[2*s7, 8]\", y: \"bf16[s7, 8]\"", S("a = x.sum() + y.sum()") RET("a")), true },
    { "1 another expression", MODULE("x: \"bf16[2*s0, 8]\", y: \"bf16[s0, 8]\"", S("a = x.sum() + y.sum()") RET("a")),
      MODULE("x: \"bf16[3*s0, 8]\", y: \"bf16[s0, 8]\"", S("a = x.sum() + y.sum()") RET("a")), false },
    { "1 sums of symbols, numbered the other way",
      MODULE("p: \"f32[s1]\", q: \"f32[s2]\", x: \"bf16[s1 + s2, 8]\"", S("a = x.sum()") S("b = p * 2") S("return (a, b)")),
      MODULE("p: \"f32[s2]\", q: \"f32[s1]\", x: \"bf16[s1 + s2, 8]\"", S("a = x.sum()") S("b = p * 2") S("return (a, b)")),
      true },
    /* literals of compiled operators stay */
    { "2 an epsilon", B(S("a = torch.ops.vllm_ir.rms_norm.default(x, None, 1e-06)") RET("a")),
      B(S("a = torch.ops.vllm_ir.rms_norm.default(x, None, 1e-05)") RET("a")), false },
    { "2 sizes of a split", B(S("c = x.split([4, 4], dim = -1)") S("a = c[0]") RET("a")),
      B(S("c = x.split([3, 5], dim = -1)") S("a = c[0]") RET("a")), false },
    { "2 a dtype", B(S("a = x.to(torch.float32)") RET("a")), B(S("a = x.to(torch.float16)") RET("a")), false },
    { "2 a slice", B(S("a = x[(Ellipsis, slice(0, 4, None))]") RET("a")),
      B(S("a = x[(Ellipsis, slice(4, 8, None))]") RET("a")), false },
    { "2 a step", B(S("a = x[(Ellipsis, slice(0, None, 2))]") RET("a")),
      B(S("a = x[(Ellipsis, slice(1, None, 2))]") RET("a")), false },
    { "2 an overload", B(S("a: \"bf16[s0, 8]\" = torch.ops.ns.f.one(x)") RET("a")),
      B(S("a: \"bf16[s0, 8]\" = torch.ops.ns.f.two(x)") RET("a")), false },
    { "2 an option", B(S("a = torch._C._nn.gelu(x, approximate = 'tanh')") RET("a")),
      B(S("a = torch._C._nn.gelu(x)") RET("a")), false },
    { "2 a scalar", B(S("a = x * 2.0") RET("a")), B(S("a = x * 2.5") RET("a")), false },
    { "2 a keyword of a custom operator", B(S("a: \"bf16[8]\" = " CALL("x", "p = y")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "q = y")) RET("a")), false },
    { "2 None or a tensor", B(S("a = torch._C._nn.linear(x, w, None)") RET("a")),
      MODULE(P ", b: \"bf16[8]\"", S("a = torch._C._nn.linear(x, w, b)") RET("a")), false },
    /* metadata of inputs */
    { "3 a dtype", B(S("a = x.float()") RET("a")),
      MODULE("x: \"f16[s0, 8]\"", S("a = x.float()") RET("a")), false },
    { "3 a dim", MODULE("x: \"bf16[4, 8]\"", S("a = x + 1") RET("a")),
      MODULE("x: \"bf16[4, 9]\"", S("a = x + 1") RET("a")), false },
    { "3 a rank", MODULE("x: \"bf16[4, 8]\"", S("a = x + 1") RET("a")),
      MODULE("x: \"bf16[1, 4, 8]\"", S("a = x + 1") RET("a")), false },
    { "3 a result of a custom operator", B(S("a: \"bf16[s0, 8]\" = " CALL("x", "y")) RET("a")),
      B(S("a: \"bf16[s0, 9]\" = " CALL("x", "y")) RET("a")), false },
    { "3 symbol or number", MODULE("x: \"bf16[s0, 8]\"", S("a = x + 1") RET("a")),
      MODULE("x: \"bf16[16, 8]\"", S("a = x + 1") RET("a")), false },
    /* names are data; how often they are used is not */
    { "5 two strings", B(S("a: \"bf16[8]\" = " CALL("x", "'p'")) RET("a")), B(S("a: \"bf16[8]\" = " CALL("x", "'q'")) RET("a")),
      true },
    { "5 strings in another order",
      B(S("a: \"bf16[8]\" = " CALL("x", "'p'")) S("b: \"bf16[8]\" = " CALL("a", "'q'")) RET("b")),
      B(S("a: \"bf16[8]\" = " CALL("x", "'q'")) S("b: \"bf16[8]\" = " CALL("a", "'p'")) RET("b")), true },
    { "6 one name twice, two names",
      B(S("a: \"bf16[8]\" = " CALL("x", "'p'")) S("b: \"bf16[8]\" = " CALL("a", "'p'")) RET("b")),
      B(S("a: \"bf16[8]\" = " CALL("x", "'p'")) S("b: \"bf16[8]\" = " CALL("a", "'q'")) RET("b")), true },
    { "6 one LayerName twice, two LayerNames",
      MODULE(P ", l : LayerName", S("a: \"bf16[8]\" = " CALL("x", "l")) S("b: \"bf16[8]\" = " CALL("a", "l")) RET("b")),
      MODULE(P ", l : LayerName, m : LayerName",
             S("a: \"bf16[8]\" = " CALL("x", "l")) S("b: \"bf16[8]\" = " CALL("a", "m")) RET("b")), true },
    { "6 a string is a LayerName", B(S("a: \"bf16[8]\" = " CALL("x", "'p'")) RET("a")),
      MODULE(P ", l : vllm_utils_torch_utils_LayerName", S("a: \"bf16[8]\" = " CALL("x", "l")) RET("a")), true },
    { "6 a name or none", B(S("a: \"bf16[8]\" = " CALL("x", "'p'")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "None")) RET("a")), false },
    { "6 the kind of a literal", B(S("a: \"bf16[8]\" = " CALL("x", "3")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "3.0")) RET("a")), false },
    /* who shares storage */
    { "7 one tensor twice or two, nothing written", B(S("a = x * x") RET("a")), B(S("a = x * y") RET("a")), false },
    { "7 an output is an input", B(S("a = x - y") S("return (a, x)")), B(S("a = x - y") S("return (a, y)")), false },
    { "7 operands that may be exchanged may be exchanged", B(S("a = x + y") S("return (a, x)")),
      B(S("a = x + y") S("return (a, y)")), true },
    { "7 an output is a view or a copy", B(S("a = x.view(-1, 2, 4)") RET("a")),
      B(S("a = x.clone().view(-1, 2, 4)") RET("a")), false },
    { "7 two outputs in one buffer or two", B(S("a = x + y") S("b = x + y") S("return (a, b)")),
      B(S("a = x + y") S("return (a, a)")), false },
    /* writes and order */
    { "8 read before or after a write", B(S("a = x + 1") S("x[(slice(None, None, None), 0)] = 0;  setitem = x") RET("a")),
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("a = x + 1") RET("a")), false },
    { "8 a read between two writes",
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("a = x + 1")
            S("x[(slice(None, None, None), 1)] = 0;  setitem_1 = x") S("b = x + 2") S("return (a, b)")),
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x")
            S("x[(slice(None, None, None), 1)] = 0;  setitem_1 = x") S("a = x + 1") S("b = x + 2") S("return (a, b)")),
      false },
    { "8 reads between two writes, in any order",
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("a = x + 1") S("b = x + 2")
            S("x[(slice(None, None, None), 1)] = 0;  setitem_1 = x") S("return (a, b)")),
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("b = x + 2") S("a = x + 1")
            S("x[(slice(None, None, None), 1)] = 0;  setitem_1 = x") S("return (a, b)")),
      true },
    { "8 a read of something else goes where it likes",
      B(S("a = y + 1") S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("return (a, x)")),
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("a = y + 1") S("return (a, x)")), true },
    { "8 order of two calls",
      B(S("a: \"bf16[8]\" = torch.ops.ns.f(x)") S("b: \"bf16[8]\" = torch.ops.ns.g(y)") S("return (a, b)")),
      B(S("b: \"bf16[8]\" = torch.ops.ns.g(y)") S("a: \"bf16[8]\" = torch.ops.ns.f(x)") S("return (a, b)")), false },
    { "8 empty or zeros", B(S("a = torch.empty((s0, 8), dtype = torch.bfloat16)") RET("a")),
      B(S("a = torch.zeros((s0, 8), dtype = torch.bfloat16)") RET("a")), false },
    { "8 a dependency",
      B(S("d: \"bf16[0]\" = torch.ops.ns.g(y)") S("a: \"bf16[8]\" = " CALL("x", "dep = d")) RET("a")),
      B(S("d: \"bf16[0]\" = torch.ops.ns.g(y)") S("a: \"bf16[8]\" = " CALL("x", "dep = None")) RET("a")), false },
    { "8 a view of the destination reads what was written",
      B(S("v = x.view(-1, 2, 4)") S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("a = v + 1") RET("a")),
      B(S("x[(slice(None, None, None), 0)] = 0;  setitem = x") S("v = x.view(-1, 2, 4)") S("a = v + 1") RET("a")), true },
    { "8 in place or not", B(S("x *= 2.0;  imul = x") RET("imul")), B(S("a = x * 2.0") RET("a")), false },
    /* the dead */
    { "9 a dead pure node", B(S("a = x + y") RET("a")), B(S("b = x * 3") S("c = b.sum()") S("a = x + y") RET("a")), true },
    { "9 a dead allocation", B(S("a = x + y") RET("a")),
      B(S("b = torch.empty((s0, 8), dtype = torch.bfloat16)") S("a = x + y") RET("a")), true },
    { "9 a call with a dead result", B(S("a = x + y") RET("a")),
      B(S("b: \"bf16[8]\" = torch.ops.ns.f(x)") S("a = x + y") RET("a")), false },
    { "9 an unused parameter", MODULE("x: \"bf16[8]\"", S("a = x + 1") RET("a")),
      MODULE("z: \"f32[3]\", x: \"bf16[8]\", l : LayerName", S("a = x + 1") RET("a")), true },
    { "10 device index", B(S("a = torch.empty((s0, 8), dtype = torch.bfloat16, device = device(type='cuda', index=0))") RET("a")),
      B(S("a = torch.empty((s0, 8), dtype = torch.bfloat16, device = device(type='cuda', index=3))") RET("a")), true },
    { "10 device index of a custom operator", B(S("a: \"bf16[8]\" = " CALL("x", "device(type='cuda', index=0)")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "device(type='cuda', index=1)")) RET("a")), true },
    { "10 device type of a custom operator", B(S("a: \"bf16[8]\" = " CALL("x", "device(type='cuda', index=0)")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "device(type='cpu')")) RET("a")), false },
    { "11 rank constants of a custom operator", B(S("a: \"bf16[8]\" = " CALL("x", "0, 32064, g = 'tp:0'")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "32064, 64128, g = 'tp:1'")) RET("a")), true },
    { "11 rank constants of a compiled one", B(S("a = x + 32064") RET("a")), B(S("a = x + 64128") RET("a")), false },
    { "11 literals of a call that nobody knows", B(S("a: \"bf16[s0, 8]\" = torch.cummax_of(x, 0)") RET("a")),
      B(S("a: \"bf16[s0, 8]\" = torch.cummax_of(x, 1)") RET("a")), false },
    { "11 lists are structure", B(S("a: \"bf16[8]\" = " CALL("x", "[1, 2]")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "[1, 3]")) RET("a")), false },
    { "11 entries of a dict are lifted", B(S("a: \"bf16[8]\" = " CALL("x", "kwargs = {'p': 3, 'q': 'u'}")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "kwargs = {'p': 4, 'q': 'v'}")) RET("a")), true },
    { "11 keys of a dict are not", B(S("a: \"bf16[8]\" = " CALL("x", "kwargs = {'p': 3}")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "kwargs = {'q': 3}")) RET("a")), false },
    { "11 strings in tuples are not", B(S("a: \"bf16[8]\" = " CALL("x", "n = ('p', 'q')")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "n = ('p', 'r')")) RET("a")), false },
    { "11 a symbol or a number", B(S("a: \"bf16[8]\" = " CALL("x", "s0")) RET("a")),
      B(S("a: \"bf16[8]\" = " CALL("x", "8")) RET("a")), false },
    { "13 constants by value", B(S("a = torch.full((8,), 1.0, dtype = torch.float32)") RET("a")),
      B(S("a = torch.full((8,), 2.0, dtype = torch.float32)") RET("a")), false },
    { "14 output order", B(S("a = x + 1") S("b = x * 2") S("return (a, b)")),
      B(S("a = x + 1") S("b = x * 2") S("return (b, a)")), false },
    { "14 a tuple or not", B(S("a = x + y") S("return (a,)")), B(S("a = x + y") S("return a")), false },
    { "14 one output less", B(S("a = x + 1") S("b = x * 2") S("return (a, b)")),
      B(S("a = x + 1") S("b = x * 2") S("return (a,)")), false },
    { "14 a symbolic output", B(S("a = x + 1") S("n = torch.ops.aten.sym_size.int(x, 0)") S("return (a, n)")),
      B(S("a = x + 1") S("return (a,)")), false },
    { "14 no outputs", B(S("a: \"bf16[8]\" = torch.ops.ns.f(x)") S("return ()")),
      B(S("b: \"bf16[8]\" = torch.ops.ns.f(x)") S("return ()")), true },
    /* what changes nothing */
    { "a view as it was", B(S("a = x + y") RET("a")), B(S("v = x.view(-1, 8)") S("a = v + y") RET("a")), true },
    { "a cast to what it is", B(S("a = x + y") RET("a")), B(S("v = x.to(torch.bfloat16)") S("a = v + y") RET("a")), true },
    { "a slice of everything", B(S("a = x + y") RET("a")),
      B(S("v = x[(Ellipsis, slice(None, 8, None))]") S("a = v + y") RET("a")), true },
    { "contiguous of what is", B(S("a = x + y") RET("a")), B(S("v = x.contiguous()") S("a = v + y") RET("a")), true },
    { "contiguous of what is not", B(S("a = w.t() + w") RET("a")), B(S("v = w.t()") S("c = v.contiguous()") S("a = c + w") RET("a")),
      false },
    { "expand to what it is", B(S("a = x + y") RET("a")), B(S("v = x.expand(s0, 8)") S("a = v + y") RET("a")), true },
    { "transposed twice is transposed", B(S("a = w.t()") RET("a")), B(S("a = w") RET("a")), false },
    { "a zero added is something", B(S("a = x + 0.0") RET("a")), B(S("a = x * 1.0") RET("a")), false },
    { "the size of a known dim", B(S("a = torch.zeros((s0, 8), dtype = torch.bfloat16)") S("return (a, x)")),
      B(S("n = torch.ops.aten.sym_size.int(x, 0)") S("a = torch.zeros((n, 8), dtype = torch.bfloat16)") S("return (a, x)")),
      true },
    { "data of a weight", B(S("a = torch._C._nn.linear(x, w, None)") RET("a")),
      B(S("d = torch._C._autograd._get_data_attr(w)") S("a = torch._C._nn.linear(x, d, None)") RET("a")), true },
    { "maybe_inplace is default", B(S("f = torch.ops.vllm_ir.fused_add_rms_norm.default(x, y, None, 1e-06)") S("a = f[0]") RET("a")),
      B(S("f = torch.ops.vllm_ir.fused_add_rms_norm.maybe_inplace(x, y, None, 1e-06)") S("a = f[0]") RET("a")), true },
    /* duplicates */
    { "a duplicate", B(S("a = x.exp()") S("b = a * a") RET("b")), B(S("a = x.exp()") S("c = x.exp()") S("b = a * c") RET("b")),
      true },
    { "a duplicate of a duplicate", B(S("a = x.exp()") S("d = a.sin()") S("b = d * d") RET("b")),
      B(S("a = x.exp()") S("c = x.exp()") S("d = a.sin()") S("e = c.sin()") S("b = d * e") RET("b")), true },
    { "a duplicate of an output is read from it", B(S("a = x.exp()") S("b = a * 2") S("return (a, b)")),
      B(S("c = x.exp()") S("b = c * 2") S("a = x.exp()") S("return (a, b)")), true },
    { "duplicates with operands exchanged", B(S("a = x + y") S("b = a * a") RET("b")),
      B(S("a = x + y") S("c = y + x") S("b = a * c") RET("b")), true },
    { "two allocations are two", B(S("a = torch.zeros((8,), dtype = torch.float32)") S("b = torch.empty((8,), dtype = torch.float32)")
          S("c = torch.ops.ns.f(a, b)") S("return (b,)")),
      B(S("a = torch.zeros((8,), dtype = torch.float32)") S("c = torch.ops.ns.f(a, a)") S("return (a,)")), false },
    { "clones are never merged", B(S("a = x.clone()") S("b = x.clone()") S("c = torch.ops.ns.f(a, b)") S("return (a, b)")),
      B(S("a = x.clone()") S("c = torch.ops.ns.f(a, a)") S("return (a, a)")), false },
    { "what is written is not merged", B(S("a = x.exp()") S("b = x.exp()") S("a *= 2.0;  imul = a") S("c = imul + b") RET("c")),
      B(S("a = x.exp()") S("a *= 2.0;  imul = a") S("c = imul + a") RET("c")), false },
    { "reads of one version are", B(S("x *= 2.0;  imul = x") S("a = x.exp()") S("b = a * a") RET("b")),
      B(S("x *= 2.0;  imul = x") S("a = x.exp()") S("c = imul.exp()") S("b = a * c") RET("b")), true },
    { "reads of two versions are not", B(S("a = x.exp()") S("x *= 2.0;  imul = x") S("b = x.exp()") S("c = a * b") RET("c")),
      B(S("x *= 2.0;  imul = x") S("b = x.exp()") S("c = b * b") RET("c")), false },
    /* commutative operands */
    { "operands exchanged", B(S("a = x.exp() + y.sin()") RET("a")), B(S("a = y.sin() + x.exp()") RET("a")), true },
    { "operands exchanged where it matters", B(S("a = x.exp() - y.sin()") RET("a")),
      B(S("a = y.sin() - x.exp()") RET("a")), false },
    { "number first", B(S("a = x * 2.0") RET("a")), B(S("a = 2.0 * x") RET("a")), true },
    { "number first, where it matters", B(S("a = x - 2.0") RET("a")), B(S("a = 2.0 - x") RET("a")), false },
    { "alike, but used differently", B(S("s = x + y") S("a = s - x") RET("a")), B(S("s = y + x") S("a = s - x") RET("a")), true },
    { "alike, one operator deeper", B(S("p = x.exp()") S("q = y.exp()") S("s = p + q") S("a = s - p") RET("a")),
      B(S("p = x.exp()") S("q = y.exp()") S("s = q + p") S("a = s - p") RET("a")), true },
    { "a matmul is no product", B(S("a = torch.matmul(w, w.t())") RET("a")), B(S("a = torch.matmul(w.t(), w)") RET("a")), false },
    /* order of the text */
    { "statements exchanged", B(S("a = x.exp()") S("b = y.sin()") S("c = a - b") RET("c")),
      B(S("b = y.sin()") S("a = x.exp()") S("c = a - b") RET("c")), true },
    { "an allocation anywhere", B(S("o = torch.empty((s0, 8), dtype = torch.bfloat16)") S("a = x.exp()") S("return (a, o)")),
      B(S("a = x.exp()") S("o = torch.empty((s0, 8), dtype = torch.bfloat16)") S("return (a, o)")), true },
};

START_TEST(pairs) {
    const row *r = &rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_canon a = form_of(arena, r->name, r->a, 0), b = form_of(arena, r->name, r->b, 0);
    const bool equal = a.nbytes == b.nbytes && !memcmp(a.bytes, b.bytes, a.nbytes);
    ck_assert_msg(equal == r->equal, "%s: the forms are %s", r->name, equal ? "equal" : "different");
    ck_assert_msg(same_hash(&a.hash, &b.hash) == equal, "%s: the hashes say otherwise than the bytes", r->name);
    jc_arena_free(arena);
}
END_TEST

/* ---- strides and aliases, which the text does not show ------------------------------------------------------------- */

static jc_canon laid_out(jc_arena *arena, const char *text, const jc_stride_entry *entry) {
    jc_error err = JC_ERROR_INIT;
    jc_graph *g = read_text(arena, "strides", text, strlen(text));
    ck_assert_int_eq(jc_split(g, NULL, &err), JITC_OK);
    ck_assert_int_eq(jc_layout(g, entry, entry != NULL, &err), JITC_OK);
    return canon_of(arena, "strides", g->pieces.at[0], 0);
}

START_TEST(strides_count) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *text = MODULE(P ", s7: \"Sym(s7)\", s8: \"Sym(s8)\"", S("a = x + 1") RET("a"));
    static const char *const strides[][2] = { { "8", "1" }, { "16", "1" }, { "1", "8" }, { "s7", "1" }, { "s8", "1" },
                                              { "2*s7", "1" } };
    jc_canon c[6];
    const jc_canon plain = laid_out(arena, text, NULL);
    for (int i = 0; i < 6; i++) {
        const jc_stride_entry e = { "x", 2, strides[i] };
        c[i] = laid_out(arena, text, &e);
    }
    ck_assert(same_hash(&plain.hash, &c[0].hash)); /* contiguous, said in words */
    ck_assert(same_hash(&c[3].hash, &c[4].hash));  /* a symbol's name */
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            if (i != 4)
                ck_assert_msg(!same_hash(&c[i].hash, &c[k].hash), "strides %d and %d have one hash", i, k);
    jc_arena_free(arena);
}
END_TEST

/* A piece that writes one of two parameters which share storage is another than one where they do not; if it writes
   neither, sharing does not matter. */
START_TEST(shared_storage_counts) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *text = MODULE("p: \"bf16[8]\", q: \"bf16[8]\"", S("a = q.exp()") S("p *= 2.0;  imul = p") S("b = q.sin()")
                                                                  S("return (a, b)"));
    jc_graph *g = cut_text(arena, "alias", text);
    jc_func *f = g->pieces.at[0];
    const jc_canon apart = canon_of(arena, "apart", f, 0);
    f->params[0]->alias = 2; /* alone in its group */
    const jc_canon alone = canon_of(arena, "alone", f, 0);
    f->params[1]->alias = 2;
    const jc_canon together = canon_of(arena, "together", f, 0);
    f->params[0]->alias = f->params[1]->alias = 1;
    const jc_canon renumbered = canon_of(arena, "renumbered", f, 0);
    ck_assert(same_hash(&apart.hash, &alone.hash));
    ck_assert(!same_hash(&apart.hash, &together.hash));
    ck_assert(same_hash(&together.hash, &renumbered.hash));
    f->params[0]->alias = 3; /* more than there are parameters */
    jc_canon c;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_canonicalise(f, 0, arena, &c, &err), JITC_E_INPUT);
    jc_arena_free(arena);
}
END_TEST

/* With shared storage a read of q after the write of p must stay there. */
START_TEST(shared_storage_orders) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *texts[] = { MODULE("p: \"bf16[8]\", q: \"bf16[8]\"", S("a = q.exp()") S("p *= 2.0;  imul = p") RET("a")),
                            MODULE("p: \"bf16[8]\", q: \"bf16[8]\"", S("p *= 2.0;  imul = p") S("a = q.exp()") RET("a")) };
    jc_canon apart[2], shared[2];
    for (int i = 0; i < 2; i++) {
        const jc_graph *g = cut_text(arena, "alias", texts[i]);
        jc_func *f = g->pieces.at[0];
        apart[i] = canon_of(arena, "apart", f, 0);
        f->params[0]->alias = f->params[1]->alias = 1;
        shared[i] = canon_of(arena, "shared", f, 0);
    }
    ck_assert(same_hash(&apart[0].hash, &apart[1].hash));
    ck_assert(!same_hash(&shared[0].hash, &shared[1].hash));
    jc_arena_free(arena);
}
END_TEST

/* ---- lifting and bindings -------------------------------------------------------------------------------------------- */

START_TEST(binding_of_literals) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *text = MODULE("l : LayerName, s0: \"Sym(s0)\", unused: \"f32[2]\", x: \"bf16[s0, 8]\"",
                              S("a: \"bf16[s0, 8]\" = torch.ops.ns.f(x, 3, 'p', True, 0.5, l, None, [7], s0, n = 'p')")
                                  S("b: \"bf16[s0, 8]\" = torch.ops.ns.f(a, 3, 'q', True, 0.5, l, None, [7], s0, n = 'p')")
                                      RET("b"));
    const jc_canon c = form_of(arena, "binding", text, 0);
    static const uint8_t first[] = { JC_ARG_VALUE, JC_ARG_EXPR, JC_ARG_STR, JC_ARG_BOOL, JC_ARG_FLOAT, JC_ARG_VALUE,
                                     JC_ARG_STR };
    ck_assert_uint_eq(c.ninputs, 7 + 6);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(c.inputs[i].kind, first[i] == JC_ARG_VALUE ? JC_BIND_PARAM : JC_BIND_LITERAL);
        if (first[i] != JC_ARG_VALUE)
            ck_assert_int_eq(c.inputs[i].literal.kind, first[i]);
    }
    ck_assert_uint_eq(c.inputs[0].param, 3);
    ck_assert_uint_eq(c.inputs[5].param, 0);
    ck_assert(jc_ex_is(c.inputs[1].literal.expr, 3));
    ck_assert_str_eq(c.inputs[2].literal.str, "p");
    ck_assert(c.inputs[3].literal.b);
    ck_assert_double_eq(c.inputs[4].literal.f, 0.5);
    ck_assert_str_eq(c.inputs[6].literal.str, "p");
    ck_assert_str_eq(c.inputs[8].literal.str, "q"); /* the second call: its tensor is no input */
    ck_assert_uint_eq(c.inputs[11].param, 0);
    ck_assert_uint_eq(c.nsyms, 1);
    ck_assert_int_eq(c.syms[0]->kind, JC_EX_SYM);
    ck_assert_uint_eq(c.nnodes, 2);
    ck_assert_int_eq(c.nodes[1]->line, 6);
    jc_arena_free(arena);
}
END_TEST

START_TEST(without_lifting) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *a = B(S("a: \"bf16[8]\" = torch.ops.ns.f(x, 'p', 3)") RET("a")),
               *b = B(S("a: \"bf16[8]\" = torch.ops.ns.f(x, 'q', 3)") RET("a"));
    const jc_canon p = form_of(arena, "p", a, JC_CANON_NO_LIFT), q = form_of(arena, "q", b, JC_CANON_NO_LIFT);
    const jc_canon again = form_of(arena, "again", a, JC_CANON_NO_LIFT);
    ck_assert(!same_hash(&p.hash, &q.hash));
    ck_assert(same_hash(&p.hash, &again.hash));
    ck_assert_uint_eq(p.ninputs, 1);
    const char *l = MODULE(P ", l : LayerName", S("a: \"bf16[8]\" = torch.ops.ns.f(x, l, l)") RET("a"));
    ck_assert_uint_eq(form_of(arena, "l", l, JC_CANON_NO_LIFT).ninputs, 2);
    ck_assert_uint_eq(form_of(arena, "l", l, 0).ninputs, 3);
    jc_arena_free(arena);
}
END_TEST

/* ---- a thousand ways to write one piece ----------------------------------------------------------------------------- */

static uint32_t random_state;
static uint32_t any(uint32_t below) {
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)random_state * below) >> 32);
}

#define MAX_LINES 160
#define MAX_NAMES 400

/* A text of one function, taken apart: parameters, statements without what they free, what is returned. */
typedef struct module {
    jc_arena *arena;
    char *params[MAX_LINES], *lines[MAX_LINES], *back;
    uint32_t nparams, nlines;
    char *names[MAX_NAMES], *renamed[MAX_NAMES];
    uint32_t nnames;
    char *syms[16], *resyms[16];
    uint32_t nsyms;
} module;

static bool word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t word_length(const char *at) {
    size_t n = 0;
    while (word(at[n]))
        n++;
    return n;
}

static uint32_t find(char *const *at, uint32_t n, const char *text, size_t length) {
    for (uint32_t i = 0; i < n; i++)
        if (strlen(at[i]) == length && !memcmp(at[i], text, length))
            return i;
    return UINT32_MAX;
}

static void add_name(module *m, const char *text, size_t length) {
    if (find(m->names, m->nnames, text, length) == UINT32_MAX)
        m->names[m->nnames++] = jc_arena_strndup(m->arena, text, length);
}

static void take_params(module *m, const char *at) {
    at = strchr(at, ',') + 2; /* after self */
    while (*at && *at != ')') {
        const char *start = at;
        for (bool quoted = false; *at && (quoted || (*at != ',' && *at != ')')); at++)
            quoted ^= *at == '"';
        m->params[m->nparams++] = jc_arena_strndup(m->arena, start, (size_t)(at - start));
        add_name(m, start, word_length(start));
        at += strspn(at, ", ");
    }
}

static void take_statement(module *m, const char *at, size_t length) {
    const char *tail = strstr(at, ";  ");
    if (tail && tail < at + length && !strncmp(tail + 3 + word_length(tail + 3), " = ", 3))
        length = (size_t)(tail - at);
    if (!strncmp(at, "return", 6)) {
        m->back = jc_arena_strndup(m->arena, at, length);
        return;
    }
    m->lines[m->nlines++] = jc_arena_strndup(m->arena, at, length);
    add_name(m, at, word_length(at));
}

static void take_module(module *m, const char *text) {
    const char *at = strstr(text, "def forward");
    take_params(m, at);
    while ((at = strchr(at, '\n')) && at[1]) {
        at += 1 + strspn(at + 1, " ");
        const size_t n = strcspn(at, "\n");
        if (n && *at != '#')
            take_statement(m, at, n);
    }
    for (at = text; (at = strstr(at, "Sym(")); at++) { /* all symbols have a parameter in these texts */
        const size_t n = word_length(at + 4);
        if (find(m->syms, m->nsyms, at + 4, n) == UINT32_MAX)
            m->syms[m->nsyms++] = jc_arena_strndup(m->arena, at + 4, n);
    }
}

static void new_names(module *m, jc_arena *arena) {
    for (uint32_t i = 0; i < m->nnames; i++)
        m->renamed[i] = jc_arena_printf(arena, "%c%u_%u", "abtvxz"[any(6)], any(1000), i);
    const uint32_t shift = any(1000);
    for (uint32_t i = 0; i < m->nsyms; i++)
        m->resyms[i] = jc_arena_printf(arena, "s%u", shift + (any(2) ? i : m->nsyms - i + 40 * i));
}

static void put_renamed(const module *m, const char *at, jc_bytes *out) {
    char quote = 0, before = ' ';
    while (*at) {
        const size_t n = word_length(at);
        if (!n || quote == '\'') {
            if ((*at == '"' || *at == '\'') && (!quote || quote == *at))
                quote = quote ? 0 : *at;
            before = *at;
            jc_put(out, at++, 1);
            continue;
        }
        const uint32_t i = quote ? find(m->syms, m->nsyms, at, n) : find(m->names, m->nnames, at, n);
        const char *to = i == UINT32_MAX || before == '.' ? NULL : quote ? m->resyms[i] : m->renamed[i];
        jc_put(out, to ? to : at, to ? strlen(to) : n);
        at += n;
        before = 'a';
    }
}

/* "v: T = a + b" as "v: T = b + a", if it is that simple. */
static const char *exchanged(const char *line, jc_arena *arena) {
    const char *eq = strstr(line, "\" = ");
    if (!eq)
        return line;
    const char *a = eq + 4, *op = a + word_length(a), *b = op + 3;
    if (op == a || (strncmp(op, " + ", 3) && strncmp(op, " * ", 3)) || !word_length(b) || b[word_length(b)] ||
        (*b >= '0' && *b <= '9'))
        return line;
    return jc_arena_printf(arena, "%.*s%s%.3s%.*s", (int)(a - line), line, b, op, (int)(op - a), a);
}

static bool uses(const char *line, const char *name) {
    const size_t n = strlen(name);
    const char *at = strchr(line, '=');
    for (char before = ' '; *at;) {
        const size_t k = word_length(at);
        if (k == n && before != '.' && !memcmp(at, name, n))
            return true;
        before = *at;
        at += k ? k : 1;
        if (k)
            before = 'a';
    }
    return false;
}

/* A random order in which what is used comes first and effects keep theirs. */
static void shuffle_lines(const module *m, uint32_t *order) {
    bool after[MAX_LINES][MAX_LINES] = { { false } }, done[MAX_LINES] = { false };
    for (uint32_t i = 0; i < m->nlines; i++)
        for (uint32_t k = 0; k < m->nlines; k++) {
            char *name = jc_arena_strndup(m->arena, m->lines[k], word_length(m->lines[k]));
            const bool effects = i > k && strstr(m->lines[i], "torch.ops.vllm.") && strstr(m->lines[k], "torch.ops.vllm.");
            after[i][k] = i != k && (effects || uses(m->lines[i], name));
        }
    for (uint32_t n = 0; n < m->nlines; n++) {
        uint32_t ready[MAX_LINES], count = 0;
        for (uint32_t i = 0; i < m->nlines; i++) {
            bool free = !done[i];
            for (uint32_t k = 0; free && k < m->nlines; k++)
                free = !after[i][k] || done[k];
            if (free)
                ready[count++] = i;
        }
        ck_assert_uint_gt(count, 0);
        order[n] = ready[any(count)];
        done[order[n]] = true;
    }
}

static const char *rewritten(module *m, jc_arena *arena, size_t *length) {
    uint32_t order[MAX_LINES], params[MAX_LINES];
    jc_bytes out = JC_BYTES(arena);
    new_names(m, arena);
    shuffle_lines(m, order);
    for (uint32_t i = 0; i < m->nparams; i++) {
        const uint32_t k = any(i + 1);
        params[i] = params[k];
        params[k] = i;
    }
    jc_put_text(&out, HEAD "    def forward(self");
    for (uint32_t i = 0; i < m->nparams; i++) {
        jc_put_text(&out, ", ");
        put_renamed(m, m->params[params[i]], &out);
    }
    jc_put_text(&out, "):\n");
    for (uint32_t i = 0; i < m->nlines; i++) {
        const char *line = m->lines[order[i]];
        jc_put_text(&out, "        ");
        put_renamed(m, any(2) ? exchanged(line, arena) : line, &out);
        jc_put_text(&out, "\n");
    }
    jc_put_text(&out, "        ");
    put_renamed(m, m->back, &out);
    jc_put_text(&out, "\n");
    *length = out.n;
    return (const char *)out.at;
}

/* Two texts that are one piece, each written in COUNT ways: one hash. */
static void many_ways(const char *first, const char *second, uint32_t count) {
    if (!graphs_there(first))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_file(arena, ".", first);
    const jc_hash want = canon_of(arena, first, g->pieces.at[0], 0).hash;
    const char *const files[] = { first, second };
    for (int f = 0; f < 2 && files[f]; f++) {
        module *m = JC_NEW(arena, module);
        size_t length;
        m->arena = arena;
        take_module(m, file_text(arena, files[f], &length));
        for (uint32_t i = 0; i < count; i++) {
            random_state = 7919 * i + 17;
            jc_arena *inner = jc_arena_new(NULL);
            m->arena = inner;
            const char *text = rewritten(m, inner, &length);
            jc_graph *h = read_text(inner, "rewritten", text, length);
            jc_error err = JC_ERROR_INIT;
            ck_assert_int_eq(jc_split(h, NULL, &err), JITC_OK);
            ck_assert_int_eq(jc_layout(h, NULL, 0, &err), JITC_OK);
            const jc_canon c = canon_of(inner, "rewritten", h->pieces.at[0], 0);
            ck_assert_msg(same_hash(&c.hash, &want), "%s, written another way (%u), has another hash:\n%.*s", files[f], i,
                          (int)length, text);
            jc_arena_free(inner);
        }
    }
    jc_arena_free(arena);
}

START_TEST(a_thousand_ways_llama) { many_ways("llama_block/small.py", NULL, 1000); }
END_TEST
START_TEST(a_thousand_ways_seed) { many_ways("seed/qwen3_5_layer10.py", "seed/qwen3_5_layer13.py", 500); }
END_TEST

/* ---- a thousand edits ---------------------------------------------------------------------------------------------------- */

/* One change of one thing: OLD_SIZE bytes at AT become NEW. */
typedef struct edit {
    void *at;
    size_t size;
    uint8_t change[sizeof(jc_arg)];
} edit;

typedef struct edits {
    jc_arena *arena;
    jc_graph *g;
    JC_VEC(edit) at;
} edits;

static void add_edit(edits *e, void *at, const void *change, size_t size) {
    edit x = { .at = at, .size = size };
    memcpy(x.change, change, size);
    jc_push(e->arena, &e->at, x);
}

static void edit_expr(edits *e, const jc_expr **at) {
    static const int64_t by[] = { 1, 2, 5, 11, 64 };
    for (int i = 0; i < 5; i++) {
        const jc_expr *x = jc_ex_add(e->g->exprs, *at, jc_ex_int(e->g->exprs, by[i]));
        add_edit(e, at, &x, sizeof x);
    }
}

/* Values that are computed once and stay: replacing one by another is a change. */
typedef struct pool {
    const jc_canon *c;
    const jc_func *f;
} pool;

static bool in_pool(const pool *p, const jc_value *v) {
    if (!v->def)
        return v->type.kind == JC_TENSOR;
    for (uint32_t i = 0; i < p->c->nnodes; i++)
        if (p->c->nodes[i] == v->def)
            return true;
    return false;
}

/* By a new parameter of the same type.  Not by any other value: that can be an edit of the node before, said in another
   way.  And not of a parameter, which may be used here alone: then a new one is the same. */
static void edit_operand(edits *e, const pool *p, const jc_node *n, jc_arg *a) {
    if (a->value->type.kind != JC_TENSOR || !a->value->def || !in_pool(p, a->value))
        return;
    if (n->nargs > 1 && a == &n->args[1] && n->args[0].kind == JC_ARG_VALUE && n->args[0].value == a->value)
        return; /* x * x: the first operand is enough */
    jc_func *f = (jc_func *)p->f;
    jc_value *fresh = JC_NEW(e->arena, jc_value);
    *fresh = (jc_value){ .name = "fresh", .type = a->value->type, .id = f->nvalues++, .index = f->nparams };
    fresh->type.strides = NULL;
    jc_value **params = JC_NEWN(e->arena, jc_value *, f->nparams + 1);
    memcpy(params, f->params, f->nparams * sizeof *params);
    params[f->nparams++] = fresh;
    f->params = params;
    add_edit(e, &a->value, &fresh, sizeof fresh);
}

static void edit_arg(edits *e, const pool *p, const jc_node *n, jc_arg *a) {
    if (a->kind == JC_ARG_VALUE) {
        edit_operand(e, p, n, a);
    } else if (a->kind == JC_ARG_EXPR) {
        edit_expr(e, &a->expr);
    } else if (a->kind == JC_ARG_FLOAT) {
        for (int i = 1; i < 9; i++) {
            const double f = a->f * (1 + i);
            add_edit(e, &a->f, &f, sizeof f);
        }
    } else if (a->kind == JC_ARG_BOOL) {
        const bool b = !a->b;
        add_edit(e, &a->b, &b, sizeof b);
    } else if (a->kind == JC_ARG_DTYPE) {
        for (jc_dtype d = 0; d < JC_DTYPE_COUNT; d++)
            if (d != a->dtype)
                add_edit(e, &a->dtype, &d, sizeof d);
    } else if (a->kind == JC_ARG_LIST) {
        for (uint32_t i = 0; i < a->list.n; i++)
            edit_arg(e, p, n, &a->list.at[i]);
    }
}

static void edit_op(edits *e, jc_node *n) {
    const unsigned keep = JC_VIEW | JC_EFFECT | JC_ALLOCATES;
    for (uint16_t op = 0; op < JC_OP_custom; op++)
        if (op != n->op && !strcmp(jc_ops[op].sig, jc_ops[n->op].sig) &&
            !((jc_ops[op].traits | jc_ops[n->op].traits) & keep))
            add_edit(e, &n->op, &op, sizeof op);
}

/* A parameter that comes as what it is cast to is the same as a fresh one in place of the cast, which another edit puts there. */
static bool is_cast_to(const jc_func *f, const jc_value *v, jc_dtype d) {
    for (size_t i = 0; i < f->nodes.n; i++)
        if (f->nodes.at[i]->op == JC_OP_cast && f->nodes.at[i]->args[0].value == v && f->nodes.at[i]->args[1].dtype == d)
            return true;
    return false;
}

static void edit_params(edits *e, const pool *p) {
    for (uint32_t i = 0; i < p->c->ninputs; i++) {
        if (p->c->inputs[i].kind != JC_BIND_PARAM)
            continue;
        jc_value *v = p->f->params[p->c->inputs[i].param];
        if (v->type.kind != JC_TENSOR)
            continue;
        for (uint8_t d = 0; d < JC_DTYPE_COUNT; d++)
            if (d != v->type.dtype && !is_cast_to(p->f, v, (jc_dtype)d))
                add_edit(e, &v->type.dtype, &d, sizeof d);
        const jc_expr **dims = jc_arena_memdup(e->arena, v->type.dims, v->type.rank * sizeof *dims);
        v->type.dims = dims;
        for (int k = 0; k < v->type.rank; k++)
            edit_expr(e, &dims[k]);
    }
}

static void edit_outputs(edits *e, const pool *p) {
    jc_func *f = (jc_func *)p->f;
    for (uint32_t i = 0; i < f->noutputs; i++) {
        for (size_t k = 0; k < f->nodes.n; k++) {
            jc_value *v = f->nodes.at[k]->results[0];
            if (in_pool(p, v) && v != f->outputs[i].value)
                add_edit(e, &f->outputs[i].value, &v, sizeof v);
        }
    }
    const bool tuple = !f->tuple;
    add_edit(e, &f->tuple, &tuple, sizeof tuple);
    const uint32_t fewer = f->noutputs - 1;
    add_edit(e, &f->noutputs, &fewer, sizeof fewer);
}

static int by_hash(const void *a, const void *b) {
    return memcmp(a, b, sizeof(jc_hash));
}

/* Edits go straight into the graph, which is as it was after each. */
START_TEST(a_thousand_edits) {
    if (!graphs_there("llama_block"))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g = cut_file(arena, "llama_block", "small.py");
    jc_func *f = g->pieces.at[0];
    const jc_canon c = canon_of(arena, "small.py", f, 0);
    const pool p = { &c, f };
    edits e = { .arena = arena, .g = g };
    for (uint32_t i = 0; i < c.nnodes; i++) {
        jc_node *n = (jc_node *)c.nodes[i];
        edit_op(&e, n);
        for (uint32_t k = 0; k < n->nargs; k++)
            edit_arg(&e, &p, n, &n->args[k]);
    }
    edit_params(&e, &p);
    edit_outputs(&e, &p);
    ck_assert_uint_ge(e.at.n, 1000);
    random_state = 5;
    jc_hash hashes[1001];
    hashes[0] = c.hash;
    for (uint32_t n = 1; n <= 1000; n++) {
        const uint32_t i = any((uint32_t)e.at.n);
        const edit x = e.at.at[i];
        e.at.at[i] = e.at.at[--e.at.n];
        uint8_t before[sizeof x.change];
        memcpy(before, x.at, x.size);
        memcpy(x.at, x.change, x.size);
        jc_arena *inner = jc_arena_new(NULL);
        hashes[n] = canon_of(inner, "edited", f, 0).hash;
        jc_arena_free(inner);
        memcpy(x.at, before, x.size);
    }
    const jc_hash restored = canon_of(arena, "restored", f, 0).hash;
    ck_assert(same_hash(&c.hash, &restored));
    qsort(hashes, 1001, sizeof *hashes, by_hash);
    for (int i = 1; i <= 1000; i++)
        ck_assert_msg(!same_hash(&hashes[i - 1], &hashes[i]), "two edits have one hash");
    jc_arena_free(arena);
}
END_TEST

/* ---- and back --------------------------------------------------------------------------------------------------------- */

/* Decoding and canonicalising again gives the same bytes. */
static void goes_round(const char *name, const jc_func *piece, unsigned flags) {
    jc_arena *arena = jc_arena_new(NULL);
    const jc_canon c = canon_of(arena, name, piece, flags);
    jc_error err = JC_ERROR_INIT;
    char why[1600];
    jc_graph *g = NULL;
    ck_assert_msg(jc_canon_decode(c.bytes, c.nbytes, arena, &g, &err) == JITC_OK, "%s: %s", name,
                  jc_error_text(&err, why, sizeof why));
    ck_assert_msg(jc_verify(g->root, &err) == JITC_OK, "%s: %s", name, jc_error_text(&err, why, sizeof why));
    ck_assert_uint_eq(g->root->nparams, c.ninputs);
    ck_assert_uint_eq(g->root->nodes.n, c.nnodes);
    ck_assert_uint_eq(jc_sym_count(g->exprs), c.nsyms);
    const jc_canon d = canon_of(arena, name, g->root, flags);
    ck_assert_msg(c.nbytes == d.nbytes && !memcmp(c.bytes, d.bytes, c.nbytes), "%s: the form of the form differs", name);
    for (uint32_t i = 0; i < d.ninputs; i++)
        ck_assert_msg(d.inputs[i].kind == JC_BIND_PARAM && d.inputs[i].param == i, "%s: input %u moved", name, i);
    jc_arena_free(arena);
}

START_TEST(rows_go_round) {
    jc_arena *arena = jc_arena_new(NULL);
    const char *const texts[] = { rows[_i].a, rows[_i].b };
    for (int i = 0; i < 2; i++) {
        const jc_graph *g = cut_text(arena, rows[_i].name, texts[i]);
        for (size_t k = 0; k < g->pieces.n; k++) {
            goes_round(rows[_i].name, g->pieces.at[k], 0);
            goes_round(rows[_i].name, g->pieces.at[k], JC_CANON_NO_LIFT);
        }
    }
    jc_arena_free(arena);
}
END_TEST

static const char *const round_files[][2] = {
    { "models/opt-125m", "full.py" },         { "models/llama-3.3-70b-customops", "full.py" },
    { "models/llama-3.3-70b-fp8", "full.py" }, { "models/llama-3.3-70b-tp4-rank1", "split.py" },
    { "models/qwen3.5-35b-a3b", "full.py" },  { "models/qwen3.5-35b-a3b-strings", "split.py" },
    { "models/gpt-oss-120b", "full.py" },     { "models/ernie-4.5-21b-strings", "full.py" },
    { "tiny/llama", "full.py" },              { "tiny/qwen3_5", "full.py" },
    { "tiny/deepseek", "full.py" },           { "tiny/ernie", "full_all_str.py" },
    { "tiny/mamba2", "full.py" },             { "tiny/llama_tp", "full_rank1.py" },
    { "llama_block", "piece.py" },            { "seed", "qwen3_5_layer13.py" },
};

START_TEST(models_go_round) {
    const char *const *file = round_files[_i];
    if (!graphs_there(file[0]))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *g = cut_file(arena, file[0], file[1]);
    for (size_t k = 0; k < g->pieces.n; k++)
        goes_round(g->pieces.at[k]->name, g->pieces.at[k], 0);
    jc_arena_free(arena);
}
END_TEST

/* A text with every kind of thing that a form holds. */
static const char everything[] =
    MODULE(P ", l : LayerName, u0: \"Sym(u0)\", q: \"bf16[s0 + 2*u0, 8]\"",
           S("a: \"bf16[s0, 8]\" = torch.ops.ns.f(x, 3, 'p', True, 0.5, l, None, [7, (x, 'r')], s0 // 2, "
             "k = {'a': 1, 'b': torch.float32}, d = device(type='cuda', index=0))")
               S("b = q[(slice(0, 1, None),)] + 1.5") S("x[(slice(None, None, None), 0)] = 0;  setitem = x")
                   S("c = torch.ops.vllm_ir.rms_norm.default(a, None, 1e-06)") S("d = torch.cat([c, y], dim = 0)")
                       S("e = d.sum(dim = -1, keepdim = True, dtype = torch.float32)")
                           S("n = torch.ops.aten.sym_size.int(d, 0)") S("return (b, e, n, x, None)"));

/* Whatever is done to the bytes, decoding answers, and what it accepts has a form. */
static void survives(const uint8_t *bytes, size_t n) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_graph *g = NULL;
    uint8_t *exact = malloc(n + 1); /* so that a sanitizer sees the end */
    memcpy(exact, bytes, n);
    exact = realloc(exact, n ? n : 1);
    const jitc_status status = jc_canon_decode(exact, n, arena, &g, &err);
    ck_assert(status == JITC_OK || (status == JITC_E_INPUT && err.message[0] && err.status == JITC_E_INPUT));
    jc_canon c;
    if (status == JITC_OK)
        ck_assert_int_eq(jc_canonicalise(g->root, 0, arena, &c, &err), JITC_OK);
    free(exact);
    jc_arena_free(arena);
}

START_TEST(cut_short) {
    jc_arena *arena = jc_arena_new(NULL);
    const jc_canon c = form_of(arena, "everything", everything, JC_CANON_NO_LIFT);
    for (size_t n = 0; n < c.nbytes; n++) {
        jc_error err = JC_ERROR_INIT;
        jc_graph *g = NULL;
        ck_assert_msg(jc_canon_decode(c.bytes, n, arena, &g, &err) == JITC_E_INPUT, "%zu bytes of %zu decode", n, c.nbytes);
        survives(c.bytes, n);
    }
    jc_arena_free(arena);
}
END_TEST

START_TEST(mutated) {
    jc_arena *arena = jc_arena_new(NULL);
    const jc_canon c = form_of(arena, "everything", everything, _i ? JC_CANON_NO_LIFT : 0);
    uint8_t *bytes = jc_arena_memdup(arena, c.bytes, c.nbytes);
    static const uint8_t with[] = { 0, 1, 2, 3, 5, 7, 9, 0x0f, 0x20, 0x40, 0x7f, 0x80, 0xc0, 0xff };
    for (size_t i = 0; i < c.nbytes; i++) {
        for (size_t k = 0; k < sizeof with; k++) {
            bytes[i] = with[k];
            survives(bytes, c.nbytes);
            bytes[i] = (uint8_t)(c.bytes[i] + with[k]);
            survives(bytes, c.nbytes);
        }
        bytes[i] = c.bytes[i];
    }
    random_state = 99;
    for (int i = 0; i < 3000; i++) {
        memcpy(bytes, c.bytes, c.nbytes);
        for (uint32_t k = 0; k <= any(4); k++)
            bytes[any((uint32_t)c.nbytes)] = (uint8_t)any(256);
        survives(bytes, c.nbytes);
    }
    jc_arena_free(arena);
}
END_TEST

/* ---- programs ------------------------------------------------------------------------------------------------------- */

/* Random programs with views and writes on 4 x 4 floats: their forms, decoded, compute the same (by the reference), and
   any legal order of their nodes has the same form. */

static jc_value *add_node(jc_func *f, jc_op op, const jc_arg *args, uint32_t n) {
    jc_error err = JC_ERROR_INIT;
    jc_node *node = NULL;
    ck_assert_msg(jc_func_add(f, op, args, n, 0, &node, &err) == JITC_OK, "%s", err.message);
    return node->results[0];
}

static bool whole(const jc_value *v) {
    return jc_ex_is(v->type.dims[0], 4);
}

/* One more node; operands among the COUNT values AT. */
static jc_value *random_node(jc_func *f, jc_value *const *at, uint32_t count) {
    static const jc_op unary[] = { JC_OP_sin, JC_OP_neg, JC_OP_tanh, JC_OP_clone, JC_OP_contiguous };
    static const jc_op binary[] = { JC_OP_add, JC_OP_mul, JC_OP_sub, JC_OP_maximum };
    jc_graph *g = f->graph;
    jc_value *x = at[any(count)], *y = at[any(count)];
    for (int tries = 0; whole(x) != whole(y) && tries < 40; tries++)
        y = at[any(count)];
    if (whole(x) != whole(y))
        y = x;
    const jc_arg vx = jc_arg_value(x), vy = jc_arg_value(y);
    switch (any(10)) {
    case 0:
    case 1:
        return add_node(f, unary[any(5)], &vx, 1);
    case 2:
    case 3:
    case 4:
        return add_node(f, binary[any(4)], (jc_arg[]){ vx, vy }, 2);
    case 5:
        return add_node(f, binary[any(4)], (jc_arg[]){ vx, jc_arg_float(any(3)) }, 2);
    case 6:
        if (!whole(x))
            return add_node(f, JC_OP_reshape, (jc_arg[]){ vx, jc_arg_exprs(g, x->type.dims, 2) }, 2);
        return add_node(f, JC_OP_permute, (jc_arg[]){ vx, jc_arg_list(g, (jc_arg[]){ jc_arg_int(g, 1), jc_arg_int(g, 0) }, 2) },
                        2);
    case 7:
        if (!whole(x))
            return add_node(f, JC_OP_slice, (jc_arg[]){ vx, jc_arg_int(g, 0), jc_arg_int(g, 0), jc_arg_int(g, 2), jc_arg_int(g, 1) },
                            5);
        return add_node(f, JC_OP_slice,
                        (jc_arg[]){ vx, jc_arg_int(g, 0), jc_arg_int(g, any(2)), jc_arg_int(g, 2), jc_arg_int(g, 1 + any(2)) }, 5);
    default:
        return add_node(f, JC_OP_copy_, (jc_arg[]){ vx, any(3) ? vy : jc_arg_float(any(4)) }, 2);
    }
}

static jc_func *program(jc_arena *arena, uint32_t seed) {
    random_state = seed * 2654435761u + 1;
    jc_graph *g = jc_graph_new(arena, "program");
    jc_func *f = jc_func_new(g, "program");
    const jc_expr *dims[] = { jc_ex_int(g->exprs, 4), jc_ex_int(g->exprs, 4) };
    const jc_type t = { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 2, .dims = jc_arena_memdup(arena, dims, sizeof dims) };
    jc_value *at[40];
    uint32_t count = 0;
    while (count < 3)
        at[count++] = jc_func_param(f, "p", &t);
    for (const uint32_t n = 3 + 4 + any(25); count < n; count++)
        at[count] = random_node(f, at, count);
    f->noutputs = 1 + any(4);
    f->outputs = JC_NEWN(arena, jc_arg, f->noutputs);
    for (uint32_t i = 0; i < f->noutputs; i++)
        f->outputs[i] = jc_arg_value(at[count - 1 - any(count - 3 < 6 ? count - 3 : 6)]);
    f->tuple = true;
    return f;
}

/* Is there a contiguous that is a view of ours and a copy in PyTorch, and a write to its storage (ir/unsure.c)?  The reference copies where
   the node stands, and forms are free to put views elsewhere. */
static bool is_unsure(jc_arena *arena, const jc_func *f) {
    bool *otherwise = JC_NEWN(arena, bool, f->nvalues), *written = JC_NEWN(arena, bool, f->nvalues), unsure = false;
    if (!jc_find_otherwise(f, otherwise))
        return false;
    for (size_t i = 0; i < f->nodes.n; i++)
        if (f->nodes.at[i]->op == JC_OP_copy_)
            written[f->nodes.at[i]->results[0]->base->id] = true;
    for (size_t i = 0; i < f->nodes.n; i++) {
        const jc_value *v = f->nodes.at[i]->results[0];
        unsure |= f->nodes.at[i]->op == JC_OP_contiguous && v->base && otherwise[v->base->id] && written[v->base->id];
    }
    return unsure;
}

static const jc_eval_out *computed(jc_arena *arena, const char *name, const jc_func *f, const jc_canon *form, float (*data)[16]) {
    static int64_t shape[] = { 4, 4 };
    jc_error err = JC_ERROR_INIT;
    jitc_value *in = JC_NEWN(arena, jitc_value, f->nparams);
    for (uint32_t i = 0; i < f->nparams; i++) {
        DLTensor *t = JC_NEW(arena, DLTensor);
        *t = (DLTensor){ .data = data[form ? form->inputs[i].param : i], .device = { kDLCPU, 0 }, .ndim = 2,
                         .dtype = { 2, 32, 1 }, .shape = shape };
        in[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
    }
    jc_eval_out *out = JC_NEWN(arena, jc_eval_out, f->noutputs);
    char why[1600];
    ck_assert_msg(jc_eval(f, 0, NULL, 0, in, NULL, arena, out, &err) == JITC_OK, "%s: %s", name,
                  jc_error_text(&err, why, sizeof why));
    return out;
}

static void same_numbers(const char *name, const jc_func *f, const jc_eval_out *a, const jc_eval_out *b) {
    for (uint32_t i = 0; i < f->noutputs; i++) {
        const int64_t n = a[i].dims[0] * a[i].dims[1];
        ck_assert_int_eq(a[i].dims[0], b[i].dims[0]);
        for (int64_t k = 0; k < n; k++)
            ck_assert_msg(a[i].f[k] == b[i].f[k] || (isnan(a[i].f[k]) && isnan(b[i].f[k])), "%s: output %u differs", name, i);
    }
}

static const jc_value *storage_of(const jc_arg *a) {
    return a->kind == JC_ARG_VALUE ? jc_storage(a->value) : NULL;
}

/* Must node A of the text stay before node B? */
static bool ordered(const jc_node *a, const jc_node *b) {
    const bool wa = a->op == JC_OP_copy_, wb = b->op == JC_OP_copy_;
    if (wa && wb)
        return true;
    for (uint32_t i = 0; i < b->nargs; i++) {
        if (b->args[i].kind == JC_ARG_VALUE && b->args[i].value->def == a)
            return true;
        if (wa && !b->results[0]->base && storage_of(&b->args[i]) == storage_of(&a->args[0]))
            return true;
    }
    for (uint32_t i = 0; wb && i < a->nargs; i++)
        if (!a->results[0]->base && storage_of(&a->args[i]) == storage_of(&b->args[0]))
            return true;
    return false;
}

/* F with its nodes in another legal order. */
static jc_func *reordered(const jc_func *f) {
    jc_func *to = jc_func_new(f->graph, "reordered");
    jc_value *copy[64];
    bool done[64] = { false };
    for (uint32_t i = 0; i < f->nparams; i++)
        copy[f->params[i]->id] = jc_func_param(to, "q", &f->params[i]->type);
    for (size_t n = 0; n < f->nodes.n; n++) {
        uint32_t ready[64], count = 0;
        for (uint32_t i = 0; i < f->nodes.n; i++) {
            bool free = !done[i];
            for (uint32_t k = 0; free && k < i; k++)
                free = done[k] || !ordered(f->nodes.at[k], f->nodes.at[i]);
            if (free)
                ready[count++] = i;
        }
        const uint32_t next = ready[any(count)];
        const jc_node *node = f->nodes.at[next];
        jc_arg args[5];
        done[next] = true;
        for (uint32_t i = 0; i < node->nargs; i++) {
            args[i] = node->args[i];
            if (args[i].kind == JC_ARG_VALUE)
                args[i].value = copy[args[i].value->id];
        }
        if ((jc_ops[node->op].traits & JC_COMMUTES) && any(2)) {
            const jc_arg first = args[0];
            args[0] = args[1];
            args[1] = first;
        }
        copy[node->results[0]->id] = add_node(to, node->op, args, node->nargs);
    }
    to->noutputs = f->noutputs;
    to->tuple = f->tuple;
    to->outputs = JC_NEWN(f->graph->arena, jc_arg, f->noutputs);
    for (uint32_t i = 0; i < f->noutputs; i++)
        to->outputs[i] = jc_arg_value(copy[f->outputs[i].value->id]);
    return to;
}

START_TEST(programs) {
    float data[3][16];
    for (int i = 0; i < 48; i++)
        data[i / 16][i % 16] = (float)(i * 37 % 23) / 8 - 1;
    int unsure = 0;
    for (uint32_t seed = 100u * (uint32_t)_i; seed < 100u * (uint32_t)(_i + 1); seed++) {
        jc_arena *arena = jc_arena_new(NULL);
        char name[40];
        snprintf(name, sizeof name, "program %u", seed);
        jc_func *f = program(arena, seed);
        if (is_unsure(arena, f)) {
            unsure++;
            jc_arena_free(arena);
            continue;
        }
        const jc_canon c = canon_of(arena, name, f, 0);
        jc_error err = JC_ERROR_INIT;
        jc_graph *g = NULL;
        ck_assert_msg(jc_canon_decode(c.bytes, c.nbytes, arena, &g, &err) == JITC_OK, "%s: %s", name, err.message);
        ck_assert_int_eq(jc_verify(g->root, &err), JITC_OK);
        const jc_eval_out *a = computed(arena, name, f, NULL, data), *b = computed(arena, name, g->root, &c, data);
        same_numbers(name, f, a, b);
        goes_round(name, f, 0);
        for (int k = 0; k < 4; k++) {
            const jc_func *other = reordered(f);
            same_numbers(name, f, a, computed(arena, name, other, NULL, data));
            const jc_canon d = canon_of(arena, name, other, 0);
            ck_assert_msg(same_hash(&c.hash, &d.hash), "%s: another order has another form", name);
        }
        jc_arena_free(arena);
    }
    ck_assert_int_le(unsure, 25);
}
END_TEST

/* ---- explain ------------------------------------------------------------------------------------------------------------ */

typedef struct explain_row {
    const char *name, *a, *b;
    unsigned flags;
    uint32_t node;
    const char *what, *ta, *tb;
    int la, lb; /* -1: that of parameter 0 */
} explain_row;

static const explain_row explain_rows[] = {
    { "a string", B(S("a: \"bf16[8]\" = torch.ops.ns.f(x, 'p')") RET("a")),
      B(S("b = x + y") S("a: \"bf16[8]\" = torch.ops.ns.f(x, 'q')") RET("a")), JC_CANON_NO_LIFT, 0, "argument 2 of ns::f",
      "'p'", "'q'", 5, 6 },
    { "an operator", B(S("p = x.exp()") S("a = p.sin()") RET("a")), B(S("p = x.exp()") S("a = p.cos()") RET("a")), 0, 1,
      "operator of node 1", "sin(result 0) -> bf16[s0, 8]", "cos(result 0) -> bf16[s0, 8]", 6, 6 },
    { "a literal", B(S("a = x * 2.0") RET("a")), B(S("a = x * 2.5") RET("a")), 0, 0, "argument 2 of mul", "2", "2.5", 5, 5 },
    { "an operand", B(S("a = x - y") RET("a")), B(S("a = x - x") RET("a")), 0, 0, "argument 2 of sub", "input 1", "input 0", 5,
      5 },
    { "type of an input", MODULE("x: \"bf16[4]\"", S("a = x + 1") RET("a")), MODULE("x: \"f16[4]\"", S("a = x + 1") RET("a")),
      0, 0, "type of input 0", "bf16[4]", "f16[4]", -1, -1 },
    { "type of a result", B(S("a: \"bf16[8]\" = torch.ops.ns.f(x)") RET("a")), B(S("a: \"f32[8]\" = torch.ops.ns.f(x)") RET("a")),
      0, 0, "type of result 1 of ns::f", "bf16[8]", "f32[8]", 5, 5 },
    { "one node more", B(S("b: \"bf16[8]\" = torch.ops.ns.f(x)") S("return ()")),
      B(S("b: \"bf16[8]\" = torch.ops.ns.f(x)") S("c: \"bf16[8]\" = torch.ops.ns.g(x)") S("return ()")), 0, 1, "node 1",
      "no further node", "ns::g(input 0) -> bf16[8]", 3, 6 },
    { "an output", B(S("a = x + 1") S("b = x * 2") S("return (a, b)")), B(S("a = x + 1") S("b = x * 2") S("return (a, a)")), 0,
      1, "node 1", "mul(input 0, 2) -> bf16[s0, 8]", "no further node", 6, 3 },
    { "order of outputs", B(S("b: \"bf16[8]\" = torch.ops.ns.f(x)") S("c: \"bf16[8]\" = torch.ops.ns.g(x)") S("return (b, c)")),
      B(S("b: \"bf16[8]\" = torch.ops.ns.f(x)") S("c: \"bf16[8]\" = torch.ops.ns.g(x)") S("return (c, b)")), 0, UINT32_MAX,
      "output 1", "result 0", "result 1", 3, 3 },
    { "a tuple", B(S("a = x + y") S("return (a,)")), B(S("a = x + y") S("return a")), 0, UINT32_MAX, "outputs",
      "1 outputs in a tuple", "1 outputs", 3, 3 },
};

START_TEST(explains) {
    const explain_row *r = &explain_rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *ga = cut_text(arena, r->name, r->a), *gb = cut_text(arena, r->name, r->b);
    const jc_func *fa = ga->pieces.at[0], *fb = gb->pieces.at[0];
    const jc_canon a = canon_of(arena, r->name, fa, r->flags), b = canon_of(arena, r->name, fb, r->flags);
    jc_error err = JC_ERROR_INIT;
    jc_difference d;
    ck_assert_int_eq(jc_explain(&a, fa, &b, fb, arena, &d, &err), JITC_OK);
    ck_assert_msg(!d.same && d.node == r->node && !strcmp(d.what, r->what) && !strcmp(d.a, r->ta) && !strcmp(d.b, r->tb),
                  "%s: node %u, %s: %s and %s", r->name, d.node, d.what, d.a, d.b);
    const int la = r->la < 0 ? fa->params[0]->line : r->la, lb = r->lb < 0 ? fb->params[0]->line : r->lb;
    ck_assert_int_gt(la, 0);
    ck_assert_msg(d.a_line == la && d.b_line == lb, "%s: lines %d and %d", r->name, d.a_line, d.b_line);
    ck_assert_int_eq(jc_explain(&a, NULL, &b, NULL, arena, &d, &err), JITC_OK);
    ck_assert(!d.same && d.a_line == 0 && d.b_line == 0);
    ck_assert_int_eq(jc_explain(&a, fa, &a, fa, arena, &d, &err), JITC_OK);
    ck_assert(d.same);
    jc_arena_free(arena);
}
END_TEST

/* Every pair of rows that differs has a difference to tell, in node, text or lines. */
START_TEST(explains_every_row) {
    const row *r = &rows[_i];
    jc_arena *arena = jc_arena_new(NULL);
    const jc_canon a = form_of(arena, r->name, r->a, 0), b = form_of(arena, r->name, r->b, 0);
    jc_error err = JC_ERROR_INIT;
    jc_difference d;
    ck_assert_int_eq(jc_explain(&a, NULL, &b, NULL, arena, &d, &err), JITC_OK);
    ck_assert_int_eq(d.same, r->equal);
    if (!d.same)
        ck_assert_msg(strcmp(d.what, "bytes") && strcmp(d.a, d.b), "%s: %s: %s and %s", r->name, d.what, d.a, d.b);
    jc_arena_free(arena);
}
END_TEST

/* The two pieces of the seed: one class; without lifting, the layer's name in line 8 of both. */
START_TEST(seed) {
    if (!graphs_there("seed"))
        return;
    jc_arena *arena = jc_arena_new(NULL);
    const jc_graph *ga = cut_file(arena, "seed", "qwen3_5_layer10.py"), *gb = cut_file(arena, "seed", "qwen3_5_layer13.py");
    const jc_func *fa = ga->pieces.at[0], *fb = gb->pieces.at[0];
    jc_canon a = canon_of(arena, "10", fa, 0), b = canon_of(arena, "13", fb, 0);
    ck_assert(same_hash(&a.hash, &b.hash));
    a = canon_of(arena, "10", fa, JC_CANON_NO_LIFT);
    b = canon_of(arena, "13", fb, JC_CANON_NO_LIFT);
    ck_assert(!same_hash(&a.hash, &b.hash));
    jc_error err = JC_ERROR_INIT;
    jc_difference d;
    ck_assert_int_eq(jc_explain(&a, fa, &b, fb, arena, &d, &err), JITC_OK);
    ck_assert_str_eq(d.what, "argument 4 of vllm::gdn_in_proj");
    ck_assert_str_eq(d.a, "'language_model.model.layers.10.linear_attn'");
    ck_assert_str_eq(d.b, "'language_model.model.layers.13.linear_attn'");
    ck_assert_int_eq(d.a_line, 8);
    ck_assert_int_eq(d.b_line, 8);
    jc_arena_free(arena);
}
END_TEST

/* A chain as long as a model: no recursion along it, and time that grows with it. */
START_TEST(deep) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g = jc_graph_new(arena, "deep");
    jc_func *f = jc_func_new(g, "deep");
    const jc_expr *dims[] = { jc_ex_int(g->exprs, 8) };
    const jc_type t = { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = dims };
    jc_value *v = jc_func_param(f, "x", &t);
    jc_error err = JC_ERROR_INIT;
    for (int i = 0; i < 200000; i++) {
        const jc_arg args[] = { jc_arg_value(v), jc_arg_value(v) };
        jc_node *n;
        ck_assert_int_eq(jc_func_add(f, JC_OP_add, args, 2, i, &n, &err), JITC_OK);
        v = n->results[0];
    }
    jc_arg out = jc_arg_value(v);
    f->outputs = &out;
    f->noutputs = 1;
    const jc_canon c = canon_of(arena, "deep", f, 0);
    ck_assert_uint_eq(c.nnodes, 200000);
    jc_arena_free(arena);
}
END_TEST

#define COUNT(x) (int)(sizeof(x) / sizeof *(x))

static Suite *suite(void) {
    Suite *s = suite_create("canon");
    TCase *t = tcase_create("pairs");
    tcase_add_loop_test(t, pairs, 0, COUNT(rows));
    tcase_add_test(t, strides_count);
    tcase_add_test(t, shared_storage_counts);
    tcase_add_test(t, shared_storage_orders);
    tcase_add_test(t, binding_of_literals);
    tcase_add_test(t, without_lifting);
    suite_add_tcase(s, t);
    t = tcase_create("many");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_thousand_ways_llama);
    tcase_add_test(t, a_thousand_ways_seed);
    tcase_add_test(t, a_thousand_edits);
    tcase_add_test(t, deep);
    suite_add_tcase(s, t);
    t = tcase_create("decode");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, rows_go_round, 0, COUNT(rows));
    tcase_add_loop_test(t, models_go_round, 0, COUNT(round_files));
    tcase_add_test(t, cut_short);
    tcase_add_loop_test(t, mutated, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("programs");
    tcase_add_loop_test(t, programs, 0, 20);
    suite_add_tcase(s, t);
    t = tcase_create("explain");
    tcase_add_loop_test(t, explains, 0, COUNT(explain_rows));
    tcase_add_loop_test(t, explains_every_row, 0, COUNT(rows));
    tcase_add_test(t, seed);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_NORMAL);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
