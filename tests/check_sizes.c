/*
 * tests/check_sizes.c - sizes that are 0, 1, odd or not what an annotation says: right on every device, or refused.
 *
 * A row runs at several values of its symbols, on `host` and `sim`, against the reference, or is refused there by both.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/graph_run.h"

#define S0 "s0: \"Sym(s0)\", "
#define S1 "s1: \"Sym(s1)\", "
#define MODULE "class GraphModule(torch.nn.Module):\n"
#define FORWARD "    def forward(self, "
#define SUBMODULE "    class submod_0(torch.nn.Module):\n        def forward(self, "

typedef struct row {
    graph_case c;
    const char *good[8]; /* values of the symbols at which it runs */
    const char *bad[4];  /* ... at which it is refused ... */
    const char *says;    /* ... with a sentence that has these */
} row;

/* What a piece was given, expanded to s0 columns, in the next one: of no columns there is no element to load. */
#define EXPANDED(what)                                                                             \
    "class GraphModule(torch.nn.Module):\n"                                                        \
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[3, 1]\"):\n"                                  \
    "        submod_0 = self.submod_0(s0, x)\n        y = submod_0[0]\n"                            \
    "        submod_1 = self.submod_1(y, s0)\n        z = submod_1[0]\n        return (z,)\n"        \
    "    class submod_0(torch.nn.Module):\n"                                                       \
    "        def forward(self, s0: \"Sym(s0)\", x: \"f32[3, 1]\"):\n"                              \
    "            y = x.expand(-1, s0)\n            return (y,)\n"                                   \
    "    class submod_1(torch.nn.Module):\n"                                                       \
    "        def forward(self, y: \"f32[3, s0]\", s0: \"Sym(s0)\"):\n"                             \
    "            z = " what "\n            return (z,)\n"

static const row rows[] = {
    { { "the sum of an expanded input", NULL, EXPANDED("y.sum(dim = 1)"), NULL, 0, NULL }, { "s0=0", "s0=1", "s0=5", "s0=700" }, { 0 }, NULL },
    { { "the softmax of an expanded input", NULL, EXPANDED("torch.softmax(y, dim = 1)"), NULL, 0, NULL }, { "s0=0", "s0=1", "s0=33" }, { 0 }, NULL },
    { { "the sum of all of an expanded input", NULL, EXPANDED("y.sum()"), NULL, 0, NULL }, { "s0=0", "s0=1", "s0=33" }, { 0 }, NULL },
    /* expressions without a value */
    { { "quotient in the root", NULL,
        MODULE FORWARD S0 S1 "x: \"f32[s0, 4]\"):\n        a = self.submod_0(x)\n        y = a[0]\n"
        "        q: \"Sym(s0//s1)\" = s0 // s1\n        return (y, q)\n"
        SUBMODULE "x: \"f32[s0, 4]\"):\n            y: \"f32[s0, 4]\" = x + 1.0\n            return (y,)\n", NULL, 0, NULL },
      { "s0=8 s1=3", "s0=3 s1=7" }, { "s0=8 s1=0" }, "s0//s1|s0=8|s1=0" },
    { { "quotient of a product", S0 S1 "x: \"f32[s0, 4]\"", "y = x + 1.0\nq = (s0 * 3) % s1", "y, q", 0, NULL },
      { "s0=8 s1=5" }, { "s0=8 s1=0" }, "s0=8|s1=0" },
    { { "floor of a sum", S0 "x: \"f32[s0, 4]\"", "n = (s0 + 3) // 4\ny: \"f32[((s0 + 3)//4), 4]\" = torch.full((n, 4), 2.0)", "y", 0, NULL },
      { "s0=0", "s0=1", "s0=4", "s0=5" }, { 0 }, NULL },
    { { "at least one", S0 "x: \"f32[s0, 4]\"", "m = torch.sym_max(1, s0)\ny: \"f32[Max(1, s0), 4]\" = torch.full((m, 4), 2.0)", "y", 0, NULL },
      { "s0=0", "s0=1", "s0=7" }, { 0 }, NULL },
    { { "at most one", S0 "x: \"f32[s0, 4]\"", "m = torch.sym_min(1, s0)\ny = torch.full((m, 4), 2.0)\nz = x + 1.0", "y, z, m", 0, NULL },
      { "s0=0", "s0=1", "s0=7" }, { 0 }, NULL },
    { { "rounded up", S0 "x: \"f32[s0, 4]\"", "m = -((-s0) // 8) * 8\ny = torch.zeros((m, 2))\nn = (s0 - 1) // 3\nk = s0 % 5", "y, n, k", 0, NULL },
      { "s0=0", "s0=1", "s0=8", "s0=9" }, { 0 }, NULL },
    { { "padded to a multiple", S0 "x: \"f32[s0, 4]\"",
        "m = (4 - s0 % 4) % 4\ny = torch.nn.functional.pad(x, (0, 0, 0, m), 'constant', 1.0)\nz = y * 2.0", "y, z", 0, NULL },
      { "s0=0", "s0=1", "s0=3", "s0=4", "s0=7" }, { 0 }, NULL },
    { { "all but the first", S0 "x: \"f32[s0, 4]\"", "y = x[slice(1, None, None)]\nz = y + 1.0\nn = torch.ops.aten.sym_size.int(z, 0)", "z, n", 0, NULL },
      { "s0=0", "s0=1", "s0=2", "s0=9" }, { 0 }, NULL },
    { { "sum over tokens", "x: \"f32[4, s0]\"", "a = x.sum(dim = -1)\nb = x.mean(dim = -1)\nc = x + a.unsqueeze(-1)", "a, b, c", 0, NULL },
      { "s0=0", "s0=1", "s0=5" }, { 0 }, NULL },
    { { "sum down tokens", "x: \"f32[s0, 4]\"", "a = x.sum(dim = 0)\nb = a * 2.0", "a, b", 0, NULL }, { "s0=0", "s0=1", "s0=33" }, { 0 }, NULL },
    { { "product over tokens", "x: \"f32[3, s0]\", y: \"f32[s0, 5]\"", "a = torch.mm(x, y)\nb = a + 1.0", "a, b", 0, NULL },
      { "s0=0", "s0=1", "s0=17" }, { 0 }, NULL },
    { { "product over tokens in bf16", "x: \"bf16[3, 8*s0]\", y: \"bf16[16, 8*s0]\"", "a = torch._C._nn.linear(x, y, None)", "a", 0, NULL },
      { "s0=0", "s0=1", "s0=17" }, { 0 }, NULL },
    { { "largest of tokens", "x: \"f32[4, s0]\"", "a = x.amax(dim = -1)", "a", 0, NULL }, { "s0=1", "s0=5" }, { "s0=0" }, "1 <= s0|s0=0" },
    { { "softmax over tokens", "x: \"f32[4, s0]\"", "a = torch.nn.functional.softmax(x, dim = -1)", "a", 0, NULL }, { "s0=0", "s0=1", "s0=5" }, { 0 }, NULL },

    { { "an input that small sizes do not have", S0 "x: \"f32[s0 - 5, 4]\", y: \"f32[3, 4]\"", "z: \"f32[s0 - 2, 4]\" = torch.cat((x, y), dim = 0)", "z", 0, NULL },
      { "s0=7", "s0=5" }, { 0 }, NULL },
    { { "an input that most sizes do not have", S0 "x: \"f32[s0 - 500, 4]\", y: \"f32[3, 4]\"", "z: \"f32[s0 - 497, 4]\" = torch.cat((x, y), dim = 0)", "z", 0, NULL },
      { "s0=507" }, { 0 }, NULL },

    /* dims of 0 */
#define NONE "e = x[(slice(None, None, None), slice(0, 0, None))]\n"
    { { "compare nothing and stack", "x: \"f32[3, 1, 8]\", y: \"f32[8]\"",
        "c: \"b8[3, 1, 8]\" = x > y\ne: \"b8[3, 0, 8]\" = c[(slice(None, None, None), slice(0, 0, None))]\nf: \"i64[3, 0, 8]\" = e + 1\n"
        "g: \"i64[2, 3, 0, 8]\" = torch.stack([e, f], dim = 0)", "e, g", 0, NULL }, { "" }, { 0 }, NULL },
    { { "cat with nothing", "x: \"f32[s0, 4]\"", NONE "f = e + 1.0\ny = torch.cat((f, x, e), dim = -1)", "f, y", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "cat of nothing", "x: \"f32[s0, 4]\"", NONE "y = torch.cat((e, e), dim = -1)\nz = torch.cat((e, e), dim = 0)", "y, z", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "pad nothing", "x: \"f32[s0, 4]\"", NONE "y = torch.nn.functional.pad(e, (1, 2), 'constant', 3.0)", "y", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "sum of nothing", "x: \"f32[s0, 4]\"", NONE "a = e.sum(dim = -1)\nb = e.mean(dim = -1)\nc = a + 1.0\nd = e.sum(dim = 0)", "a, b, c, d", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "largest of nothing", "x: \"f32[s0, 4]\"", NONE "a = e.amax(dim = -1)", "a", 0, NULL }, { 0 }, { "s0=3" }, "at least one element" },
    { { "softmax of nothing", "x: \"f32[s0, 4]\"", NONE "a = torch.nn.functional.softmax(e, dim = -1)\nb = torch.nn.functional.softmax(e, dim = 0)", "a, b", 0, NULL }, { "s0=1", "s0=3" }, { 0 }, NULL },
    { { "linear of nothing", "x: \"f32[s0, 4]\", w: \"f32[5, 0]\", b: \"f32[5]\"", NONE "y = torch._C._nn.linear(e, w, b)\nz = torch._C._nn.linear(e, w, None)\nv = z * y", "y, z, v", 0, NULL }, { "s0=0", "s0=1", "s0=3" }, { 0 }, NULL },
    { { "linear of nothing in bf16", "x: \"bf16[s0, 4]\", w: \"bf16[8, 0]\", b: \"bf16[8]\"", NONE "y = torch._C._nn.linear(e, w, b)", "y", 0, NULL }, { "s0=0", "s0=1", "s0=3" }, { 0 }, NULL },
    { { "linear to nothing", "x: \"f32[s0, 4]\", w: \"f32[0, 4]\"", "y = torch._C._nn.linear(x, w, None)\nz = y + 1.0", "y, z", 0, NULL }, { "s0=0", "s0=1", "s0=3" }, { 0 }, NULL },
    { { "bmm of no batch", "x: \"f32[0, s0, 4]\", y: \"f32[0, 4, 3]\"", "z = torch.bmm(x, y)", "z", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "bmm of nothing", "x: \"f32[2, s0, 0]\", y: \"f32[2, 0, 3]\"", "z = torch.bmm(x, y)", "z", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "reshape nothing", S0 "x: \"f32[s0, 4]\"", NONE "y = e.view(s0, 7, 0)\nz = y + 1.0\nv = e.reshape(0)\nw = v * 2.0", "z, w", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "expand to nothing", "x: \"f32[s0, 4]\"", "u = x.unsqueeze(1)\ne = u.expand(-1, 0, -1)\ny = e + 1.0\nz = y.sum(dim = 1)", "y, z", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "take nothing", "w: \"f32[9, 4]\", i: \"i64[0]\", x: \"f32[s0, 4]\"", "a = w[i]\nb = torch.cat((a, x), dim = 0)", "a, b", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "take from nothing", "w: \"f32[0, 4]\", i: \"i64[s0]\"", "a = w[i]\nb = a + 1.0", "b", 0, NULL }, { "s0=0" }, { "s0=3" }, "s0=3" },
    { { "take from a table of tokens", "w: \"f32[s0, 4]\", i: \"i64[s1]\"", "a = w[i]\nb = a + 1.0", "b", 0, NULL }, { "s0=3 s1=2", "s0=9 s1=0", "s0=0 s1=0", "s0=1 s1=3" }, { "s0=0 s1=2" }, "s0=0|s1=2" },
    { { "write to nothing", "x: \"f32[s0, 4]\"", "c = x.clone()\nc[(slice(None, None, None), slice(2, 2, None))] = 5.0;  setitem = c\nz = c * 2.0", "c, z", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },
    { { "arange of nothing", "x: \"f32[s0, 4]\"", "a = torch.arange(0, dtype = torch.int64)\nb = a + 1\nc = x + 1.0", "b, c", 0, NULL }, { "s0=0", "s0=3" }, { 0 }, NULL },

    /* Python's clipping */
#define TAIL S0 S1 "x: \"f32[s1, 4]\", w: \"f32[s0, 4]\""
    { { "the last s0", TAIL, "n = -s0\ny: \"f32[s0, 4]\" = x[slice(n, None, None)]\nz: \"f32[s0, 4]\" = y * 1.0", "z", 0, NULL },
      { "s0=3 s1=8", "s0=8 s1=8", "s0=1 s1=1", "s0=0 s1=0" }, { "s0=9 s1=8", "s0=0 s1=5", "s0=64 s1=1" }, "s0|s1" },
    { { "the last s0, as it is", TAIL, "n = -s0\ny = x[slice(n, None, None)]\nz = y * 1.0\nk = torch.ops.aten.sym_size.int(y, 0)", "z, k", 0, NULL },
      { "s0=3 s1=8", "s0=8 s1=8", "s0=9 s1=8", "s0=0 s1=5", "s0=64 s1=1", "s0=2 s1=0" }, { 0 }, NULL },
    { { "the last s0 joined", TAIL, "n = -s0\ny = x[(slice(n, None, None), slice(None, None, None))]\nz: \"f32[s0, 4]\" = y + w", "z", 0, NULL },
      { "s0=3 s1=8", "s0=8 s1=8" }, { "s0=9 s1=8", "s0=0 s1=5" }, "s0|s1" },
    { { "all but the last s0", TAIL, "n = -s0\ny = x[slice(None, n, None)]\nz = y * 1.0", "z", 0, NULL },
      { "s0=3 s1=8", "s0=8 s1=8", "s0=9 s1=8", "s0=0 s1=5", "s0=1 s1=0" }, { 0 }, NULL },
    { { "the first s0", TAIL, "y = x[slice(None, s0, None)]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=8 s1=8", "s0=9 s1=8", "s0=0 s1=5" }, { 0 }, NULL },
    { { "the first s0, as annotated", TAIL, "y: \"f32[s0, 4]\" = x[slice(None, s0, None)]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=8 s1=8", "s0=0 s1=5" }, { "s0=9 s1=8" }, "s0|s1|9|8" },
    { { "from s0", TAIL, "y = x[slice(s0, None, None)]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=8 s1=8", "s0=9 s1=8", "s0=0 s1=5" }, { 0 }, NULL },
    { { "between symbols", TAIL, "d = s1 - s0\ny = x[slice(d, s0, None)]\nz = y * 1.0", "z", 0, NULL },
      { "s0=3 s1=8", "s0=8 s1=8", "s0=9 s1=8", "s0=20 s1=8", "s0=0 s1=5", "s0=7 s1=9", "s0=6 s1=4" }, { 0 }, NULL },
    { { "every second from s0", TAIL, "y = x[slice(s0, None, 2)]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=7 s1=8", "s0=9 s1=8", "s0=0 s1=5" }, { 0 }, NULL },
    { { "one of them", TAIL, "y = x[s0]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=7 s1=8", "s0=0 s1=1" }, { "s0=8 s1=8", "s0=0 s1=0", "s0=100 s1=8" }, "s0|s1" },
    { { "one from the end", TAIL, "n = -s0\ny = x[n]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=8 s1=8", "s0=0 s1=1" }, { "s0=9 s1=8", "s0=0 s1=0" }, "s0|s1" },
    { { "one by a difference", TAIL, "d = s0 - s1\ny = x[(d, slice(None, None, None))]\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=9 s1=8", "s0=0 s1=4" }, { "s0=16 s1=8" }, "s0|s1" },
    { { "select", TAIL, "y = torch.select(x, 0, s0)\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8" }, { "s0=8 s1=8" }, "s0|s1" },
    { { "narrow", TAIL, "y = x.narrow(0, s0, 2)\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=6 s1=8" }, { "s0=7 s1=8", "s0=0 s1=1" }, "s0|s1" },
    { { "narrow by a difference", TAIL, "d = s0 - s1\ny = x.narrow(0, d, 1)\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=8 s1=8" }, { "s0=16 s1=8" }, "s0|s1" },
    { { "narrow of s0", TAIL, "y = x.narrow(0, 1, s0)\nz = y * 1.0", "z", 0, NULL }, { "s0=3 s1=8", "s0=7 s1=8", "s0=0 s1=1" }, { "s0=8 s1=8" }, "s0|s1" },
    { { "an uneven split", S0 "x: \"f32[(s0 % 4) + 5, 4]\"", "c = x.split(4, dim = 0)\na: \"f32[4, 4]\" = c[0]\nb = c[1]\nd = b * 1.0\ne = a + 1.0", "d, e", 0, NULL },
      { "s0=0", "s0=1", "s0=2", "s0=3" }, { 0 }, NULL },
    { { "an uneven split by halves", S0 "x: \"f32[3*s0 + 2, 4]\"", "h = s0 + 1\nc = x.split([h, h, s0], dim = 0)\na = c[0]\nb = c[2]\nd = b * 1.0\ne = a + 1.0", "d, e", 0, NULL },
      { "s0=0", "s0=1", "s0=5" }, { 0 }, NULL },
    { { "a split that does not add up", TAIL, "c = x.split([s0, s0], dim = 0)\na = c[0]\nb = c[1]\nd = a + b", "d", 0, NULL },
      { "s0=2 s1=4", "s0=0 s1=0" }, { "s0=3 s1=4", "s0=1 s1=4" }, "s0|s1" },

    { { "padding by a difference", TAIL, "d = s1 - s0\ny = torch.nn.functional.pad(x, (0, 0, 0, d), 'constant', 1.0)\n"
        "z = torch.nn.functional.pad(x, (0, 0, d, 0), 'constant', 1.0)\nv = y + z", "v", 0, NULL },
      { "s0=3 s1=8", "s0=8 s1=8", "s0=0 s1=0", "s0=9 s1=8", "s0=0 s1=3" }, { "s0=8 s1=3", "s0=9 s1=4" }, "s0|s1" },
    { { "padding that crops", "x: \"f32[s0, 4]\"", "y = torch.nn.functional.pad(x, (-1, 2, 3, -1), 'constant', 1.0)", "y", 0, NULL },
      { "s0=3", "s0=1", "s0=9" }, { "s0=0" }, "s0" },

    /* what the text says and operators need */
    { { "a size by another name", S0 "s18: \"Sym(s18)\", x: \"f32[s0, 32]\"", "n: \"Sym(s18)\" = torch.ops.aten.sym_size.int(x, 1)\ny = x + 1.0", "y, n", 0, NULL },
      { "s0=3 s18=32" }, { "s0=3 s18=8" }, "s18|32|8" },
    { { "a size by another symbol", S0 S1 "x: \"f32[s0, 4]\"", "n: \"Sym(s1)\" = torch.ops.aten.sym_size.int(x, 0)\ny = torch.full((n, 2), 1.0)\nz = x + 1.0", "y, z, n", 0, NULL },
      { "s0=3 s1=3", "s0=0 s1=0" }, { "s0=3 s1=4" }, "s0|s1|3|4" },
    { { "a size in a piece", NULL,
        MODULE FORWARD S0 S1 "x: \"f32[s0, 4]\"):\n        a = self.submod_0(s1, x)\n        y = a[0]\n        return (y, s0)\n"
        SUBMODULE S1 "x: \"f32[s0, 4]\"):\n            n: \"Sym(s1)\" = torch.ops.aten.sym_size.int(x, 0)\n"
        "            y = torch.full((n, 2), 1.0)\n            return (y,)\n", NULL, 0, NULL },
      { "s0=3 s1=3", "s0=0 s1=0" }, { "s0=3 s1=4" }, "s0|s1|3|4" },
    { { "a result in the root", NULL,
        MODULE FORWARD S0 S1 "x: \"f32[s0, 4]\"):\n        a = self.submod_0(x)\n        y: \"f32[s1, 4]\" = a[0]\n"
        "        n = torch.ops.aten.sym_size.int(y, 0)\n        return (y, n)\n"
        SUBMODULE "x: \"f32[s0, 4]\"):\n            y = x + 1.0\n            return (y,)\n", NULL, 0, NULL },
      { "s0=3 s1=3" }, { "s0=3 s1=4" }, "s0|s1|3|4" },
    { { "a tensor by another symbol", S0 S1 "x: \"f32[s0, 4]\"", "y: \"f32[s1, 4]\" = x + 1.0\nz: \"f32[s1, 4]\" = y * 2.0", "z", 0, NULL },
      { "s0=3 s1=3", "s0=0 s1=0" }, { "s0=3 s1=4", "s0=4 s1=3" }, "s0|s1|3|4" },
    { { "rows that are equal", "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "z = x + y", "z", 0, NULL }, { "s0=3 s1=3", "s0=1 s1=1" }, { "s0=3 s1=4", "s0=4 s1=3" }, "s0 == s1" },
    { { "rows and a number", "x: \"f32[s0, 4]\", y: \"f32[3, 4]\"", "z = x + y", "z", 0, NULL }, { "s0=3" }, { "s0=2", "s0=4" }, "s0" },
    { { "inner dims", "x: \"f32[3, s0]\", y: \"f32[s1, 4]\"", "z = torch.mm(x, y)", "z", 0, NULL }, { "s0=3 s1=3" }, { "s0=3 s1=4", "s0=4 s1=3" }, "s0 == s1" },
    { { "a weight", "x: \"f32[3, s0]\", w: \"f32[5, s1]\", b: \"f32[s2]\"", "z = torch._C._nn.linear(x, w, b)", "z", 0, NULL }, { "s0=3 s1=3 s2=5" }, { "s0=3 s1=4 s2=5", "s0=3 s1=3 s2=4" }, "==" },
    { { "a view", S0 S1 "x: \"f32[s0, 4]\"", "y = x.view(s1, 2)\nz = y + 1.0", "z", 0, NULL }, { "s0=3 s1=6", "s0=0 s1=0" }, { "s0=3 s1=7", "s0=3 s1=5" }, "s0|s1" },
    { { "an expansion", S0 S1 "x: \"f32[s0, 4]\"", "y = x.expand(2, s1, 4)\nz = y + 1.0", "z", 0, NULL }, { "s0=3 s1=3" }, { "s0=3 s1=4" }, "s0|s1" },
    { { "columns to join", "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "z = torch.cat((x, y), dim = -1)", "z", 0, NULL }, { "s0=3 s1=3" }, { "s0=3 s1=4" }, "s0|s1" },
    { { "a copy", "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "c = x.clone()\nd = c.copy_(y)\ne = d + 1.0", "e", 0, NULL }, { "s0=3 s1=3" }, { "s0=3 s1=4", "s0=4 s1=3" }, "s0|s1" },
    { { "a copy of too much", "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "c = x.clone()\nd = c.copy_(y)\ne = d + 1.0", "e", 0, NULL }, { "s0=1 s1=1" }, { "s0=1 s1=4" }, "s1 == s0" },
    { { "too much to expand", S0 S1 "x: \"f32[s0, 4]\"", "y = x.expand(2, s1, 4)\nz = y + 1.0", "z", 0, NULL }, { 0 }, { "s0=4 s1=1" }, "s0 == s1" },

    /* dims that are 0 or 1, whatever the sizes */
#define FIRST S1 "x: \"f32[s0, 4]\", w: \"f32[s1, 4]\""
    { { "a last row to every row", S0 "x: \"f32[s0, 4]\", w: \"f32[s0, 4]\"", "y = x[slice(s0 - 1, None, None)]\nz: \"f32[s0, 4]\" = y + w\nv = w - y\nu = torch.where(y > w, y, w)", "z, v, u", 0, NULL },
      { "s0=0", "s0=1", "s0=2", "s0=7" }, { 0 }, NULL },
    { { "a first row to every row", FIRST, "y = x[slice(None, 1, None)]\nz = y * w\nv = z.sum(dim = -1)\nu = torch.where(w > y, y, z)", "z, v, u", 0, NULL },
      { "s0=3 s1=5", "s0=1 s1=1", "s0=0 s1=0", "s0=4 s1=0", "s0=9 s1=1" }, { "s0=0 s1=5" }, "Min(1, s0) == 1 or Min(1, s0) == s1|0 and 5" },
    { { "first rows of both", FIRST, "y = x[slice(None, 1, None)]\nu = w[slice(None, 1, None)]\nz = y * u\nv = z.sum(dim = -1)\nn = torch.ops.aten.sym_size.int(z, 0)", "z, v, n", 0, NULL },
      { "s0=3 s1=5", "s0=1 s1=1", "s0=0 s1=0", "s0=4 s1=0", "s0=0 s1=2" }, { 0 }, NULL },
    { { "a first row to as many as there are columns", "x: \"f32[s0, 4]\", w: \"f32[3, 4]\"", "y = x[slice(None, 1, None)]\nz: \"f32[3, 4]\" = w + y", "z", 0, NULL },
      { "s0=1", "s0=5" }, { "s0=0" }, "0 and 3" },
    { { "a first row expanded", FIRST, "y = x[slice(None, 1, None)].expand(2, s1, 4)\nz = y + w\nv = (x * 2.0)[slice(None, 1, None)].expand(s1, -1)\nu = v.clone()", "y, z, u", 0, NULL },
      { "s0=3 s1=5", "s0=1 s1=1", "s0=0 s1=0", "s0=4 s1=0" }, { "s0=0 s1=5", "s0=0 s1=1" }, "*Min(1, | and 0 with" },
    { { "a first row copied", FIRST, "c = w.clone()\ny = x[slice(None, 1, None)]\nd = c.copy_(y)\ne = d + w\nf = w.clone()\nv = y * 2.0\ng = f.copy_(v)", "c, e, f", 0, NULL },
      { "s0=3 s1=5", "s0=1 s1=1", "s0=0 s1=0", "s0=4 s1=0" }, { "s0=0 s1=5", "s0=0 s1=1" }, "*Min(1, | and 0 with" },
    { { "a first row written over its own", S0 "x: \"f32[s0, 4]\"", "c = x.clone()\ny = c[slice(None, 1, None)]\nd = c.add_(y)\ne = d * 2.0", "c, e", 0, NULL }, { "s0=0", "s0=1", "s0=5" }, { 0 }, NULL },
    { { "first rows and sums of rows", FIRST, "y = x[slice(None, 1, None)]\na = y.sum(dim = -1)\nb = w.sum(dim = -1)\nc = a + b\nd = torch.nn.functional.softmax(y, dim = -1)\ne = d * w\n"
        "f = y.amax(dim = -1, keepdim = True)\ng = w - f\nh = g.sum(dim = -1, keepdim = True)\ni = h * y", "a, c, e, g, i", 0, NULL },
      { "s0=3 s1=5", "s0=1 s1=1", "s0=0 s1=0", "s0=7 s1=1" }, { "s0=0 s1=5" }, "0 and 5" },
    { { "first matrices and products", S0 S1 "x: \"f32[s0, 3, 4]\", w: \"f32[s1, 4, 5]\", m: \"f32[5, 4]\", k: \"f32[s1, 3, 5]\"",
        "y = x[slice(None, 1, None)]\na = torch.matmul(y, w)\nb = torch._C._nn.linear(y, m, None)\nc = b + k\nd = torch.relu(torch.matmul(y, w[slice(None, 1, None)])) * k", "a, c, d", 0, NULL },
      { "s0=3 s1=5", "s0=1 s1=1", "s0=0 s1=0", "s0=4 s1=0" }, { "s0=0 s1=5" }, "0 and 5" },
    { { "words of bytes", "x: \"u8[2, s0]\"", "y = x.view(torch.float32)\nz = y.view(torch.int32)\nv = z + 1", "v", 0, NULL }, { "s0=8", "s0=4" }, { "s0=6" }, "s0" },
    { { "what is left of 40", S0 "x: \"f32[40, 4]\", y: \"f32[s0, 4]\"",
        "a = x[(slice(s0, None, None),)]\nb = a + 1.0\nc = torch.nn.functional.pad(y, (0, 0, 0, 40 - s0))\nd = b.sum(dim = -1)\ne = b.sum(dim = 0)\n"
        "w = torch.nn.functional.softmax(b, dim = -1)\nm = torch.matmul(b, y.t())", "b, c, d, e, w, m", 0, NULL }, { "s0=0", "s0=1", "s0=39", "s0=40" }, { 0 }, NULL },
    { { "a size that a range makes 1: a row's sum stored in a column", "x: \"f32[2, s0]\", y: \"f32[2, s0]\"",
        "m = torch.amax(x + 1.0, dim = 1, keepdim = True)\ny[(slice(None, None, None), slice(2, 3, None))] = m\nz = y * 2.0", "y, z", 0, NULL }, { "s0=3", "s0=4", "s0=65" }, { 0 }, NULL },
    { { "a vector's sum stored in an element", "x: \"f32[8]\", y: \"f32[s0]\"",
        "m = torch.sum(x, 0, keepdim = True)\nz = y.zero_()\ny[(slice(1, 2, None),)] = m", "y", 0, NULL }, { "s0=2", "s0=3", "s0=65" }, { 0 }, NULL },
    { { "in place, twice, in a last column", S0 "x: \"f32[s0, 4, s0]\"",
        "v = x[(Ellipsis, slice(s0 - 1, None, None))]\na: \"f32[s0, 4, 1]\" = torch.clamp_(v, -1, 1)\nb: \"f32[s0, 4, 1]\" = torch.tanh_(a)", "x", 0, NULL }, { "s0=1", "s0=3", "s0=17" }, { 0 }, NULL },
    { { "minima that a range settles", S0 "x: \"f32[2, s0]\"",
        "a = x.to(torch.bfloat16)\nb = a[(Ellipsis, slice(s0 - 1, 1, None))]\nc = b.repeat(1, 3)", "c", 0, NULL }, { "s0=1", "s0=3", "s0=0" }, { 0 }, NULL },
    { { "squeezed, as the annotation says", S0 "x: \"f64[s0, 2, s0]\"",
        "a = x[(slice(s0 - 1, None, 3),)]\nb: \"f64[2, s0]\" = a.squeeze()\nc: \"f64[2, s0]\" = torch.squeeze(a, 0)\nd = b + c", "d", 0, NULL },
      { "s0=1", "s0=2", "s0=5" }, { 0 }, NULL },
    { { "a negative size", S0 "x: \"f32[s0, 4]\"", "n = s0 - 4\ny = torch.full((n, 2), 1.0)\nz = x + 1.0", "y, z", 0, NULL }, { "s0=4", "s0=9" }, { "s0=3", "s0=0" }, "s0" },
};

#define NROWS ((int)(sizeof rows / sizeof *rows))

/* Copies that are views in PyTorch at `bad` sizes: refused there if a write tells the two apart, else right. */
#define TURNED "t = x.permute(1, 0, 2)\n"
/* A model of three pieces: the first gives out what it has and a copy of it, the second writes one of the two, the third reads. */
#define CUT_AT(written, dims)                                                                               \
    "class GraphModule(torch.nn.Module):\n"                                                        \
    "    def forward(self, x: \"f32[s0, 3, 4]\", s0: \"Sym(s0)\"):\n"                               \
    "        submod_0 = self.submod_0(x, s0)\n        c = submod_0[0]\n        y = submod_0[1]\n"  \
    "        submod_1 = self.submod_1(" written ", s0)\n"                                          \
    "        submod_2 = self.submod_2(c, y, s0)\n        u = submod_2[0]\n        v = submod_2[1]\n        return (u, v)\n" \
    "    class submod_0(torch.nn.Module):\n"                                                       \
    "        def forward(self, x: \"f32[s0, 3, 4]\", s0: \"Sym(s0)\"):\n"                           \
    "            c = x + 1.0\n            t = c.permute(1, 0, 2)\n            y = t.reshape(-1, 4)\n            return (c, y)\n" \
    "    class submod_1(torch.nn.Module):\n"                                                       \
    "        def forward(self, w: \"f32[" dims "]\", s0: \"Sym(s0)\"):\n"                           \
    "            a = w.add_(1.0)\n            return ()\n"                                          \
    "    class submod_2(torch.nn.Module):\n"                                                       \
    "        def forward(self, c: \"f32[s0, 3, 4]\", y: \"f32[3*s0, 4]\", s0: \"Sym(s0)\"):\n"      \
    "            u = c * 2.0\n            v = y * 3.0\n            return (u, v)\n"

static const row copies[] = {
    { { "the copy is written in a later piece", NULL, CUT_AT("y", "3*s0, 4"), NULL, 0, NULL }, { "s0=2", "s0=5", "s0=0" }, { "s0=1" }, "PyTorch|s0=1" },
    { { "what was copied is written in a later piece", NULL, CUT_AT("c", "s0, 3, 4"), NULL, 0, NULL }, { "s0=2", "s0=5", "s0=0" }, { "s0=1" }, "PyTorch|s0=1" },
    { { "the copy is written", "x: \"f32[s0, 3, 4]\"", TURNED "y = t.reshape(-1)\ny.add_(1.0)\nz = x * 2.0", "y, z", 0, NULL },
      { "s0=0", "s0=2", "s0=5" }, { "s0=1" }, "PyTorch|s0=1" },
    { { "what was copied is written", "x: \"f32[s0, s1, 4]\"", "c = x * 1.0\nt = c.permute(1, 0, 2)\ny = t.reshape(-1, 4)\nc.add_(1.0)\nz = y * 2.0",
        "z, c", 0, NULL }, { "s0=2 s1=3", "s0=0 s1=1", "s0=2 s1=0" }, { "s0=1 s1=3", "s0=3 s1=1", "s0=1 s1=1" }, "PyTorch" },
    { { "contiguous", "x: \"f32[5, s0]\"", "t = x.permute(1, 0)\ny = t.contiguous()\nx.mul_(2.0)\nz = y + 1.0", "z", 0, NULL },
      { "s0=0", "s0=2" }, { "s0=1" }, "PyTorch" },
    { { "a copy of what is copied", "x: \"f32[s0, 3, 4]\"", "c = x + 1.0\nt = c.permute(1, 0, 2)\ny = t.reshape(-1, 4)\nu = y.view(3, -1, 4).permute(1, 0, 2)\n"
        "v = u.reshape(-1)\nv.fill_(2.0)\nz = c + 1.0", "v, z", 0, NULL }, { "s0=2" }, { "s0=1" }, "PyTorch" },
    { { "never a view", "x: \"f32[s0, 3, 4]\"", "t = x.permute(0, 2, 1)\ny = t.reshape(-1, 12)\ny.add_(1.0)\nz = x * 2.0", "y, z", 0, NULL },
      { "s0=0", "s0=1", "s0=2" }, { 0 }, NULL },
    { { "nothing is written", "x: \"f32[s0, 3, 4]\"", TURNED "y = t.reshape(-1)\nz = y * 2.0", "y, z", 0, NULL }, { "s0=0", "s0=1", "s0=2" }, { 0 }, NULL },
    { { "written before", "x: \"f32[s0, 3, 4]\"", "c = x + 1.0\nc.add_(1.0)\nt = c.permute(1, 0, 2)\ny = t.reshape(-1)\nz = y + 1.0", "z, c", 0, NULL },
      { "s0=1", "s0=2" }, { 0 }, NULL },
    { { "nobody else reads it", "x: \"f32[s0, 3, 4]\"", "c = x + 1.0\nt = c.permute(1, 0, 2)\ny = t.reshape(-1)\ny.mul_(2.0)", "y", 0, NULL },
      { "s0=1", "s0=2" }, { 0 }, NULL },
    { { "queries beside keys", "x: \"f32[s0, 8]\"", "y = x + 1.0\nc = y.split([4, 4], dim = -1)\nq = c[0]\nk = c[1]\np = q.contiguous()\np.mul_(2.0)\nz = k + 1.0", "p, z", 0, NULL },
      { "s0=0", "s0=1", "s0=3" }, { 0 }, NULL },
    { { "repeated, which never is a view", "x: \"f32[1, s0]\", y: \"f32[3, s0]\"", "a = x.repeat_interleave(3, dim = 0)\nb = x.repeat(3, 1)\nz = x + 0.0\na.copy_(y)\nb.mul_(2.0)", "a, b, z, x", 0, NULL },
      { "s0=0", "s0=1", "s0=4" }, { 0 }, NULL },
    { { "repeated along a symbol", "x: \"f32[s0, s0]\"", "a = x.repeat_interleave(3, dim = 0)\nb = x.repeat(1, 2)\nx.fill_(1.0)\nz = b + 0.0", "a, z", 0, NULL },
      { "s0=0", "s0=1", "s0=4" }, { 0 }, NULL },
    { { "a view for all sizes", "x: \"f64[4, 3, 2]\"", "t = x.permute(0, 2, 1)\nu = t.permute(1, 0, 2)\ny = torch.reshape(u, (2, 12))\nx.add_(1.0)", "y", 0, NULL },
      { "" }, { 0 }, NULL },
};

/* Where PyTorch would broadcast a dim that happens to be 1: refused as not supported, and saying so. */
static const struct {
    graph_case c;
    const char *at[3];
    bool known; /* the reference broadcasts too: its dims of the result happen to be right */
} ones[] = {
#define SOME "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "z = x + y", "z", 0, NULL
    { { "one row and some", SOME }, { "s0=1 s1=4", "s0=1 s1=0" }, false },
    { { "some rows and one", SOME }, { "s0=4 s1=1" }, true },
    { { "one row and a number", "x: \"f32[s0, 4]\", y: \"f32[3, 4]\"", "z = x + y", "z", 0, NULL }, { "s0=1" }, true },
    { { "one row and one more", S0 "x: \"f32[s0, 4]\", y: \"f32[s0 + 1, 4]\"", "z = x + y", "z", 0, NULL }, { "s0=1" }, true },
    { { "no row and one more", S0 "x: \"f32[s0, 4]\", y: \"f32[s0 + 1, 4]\"", "z = x + y", "z", 0, NULL }, { "s0=0" }, false },
    { { "one matrix", "x: \"f32[s0, 3, 4]\", y: \"f32[s1, 4, 5]\"", "z = torch.matmul(x, y)", "z", 0, NULL }, { "s0=4 s1=1" }, true },
    { { "one choice", "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "z = torch.where(x > 0.0, 1.0, y)", "z", 0, NULL }, { "s0=4 s1=1" }, true },
    { { "one row expanded", S0 S1 "x: \"f32[s0, 4]\"", "y = x.expand(2, s1, 4)\nz = y + 1.0", "z", 0, NULL }, { "s0=1 s1=4", "s0=1 s1=0" }, true },
    { { "one row copied", "x: \"f32[s0, 4]\", y: \"f32[s1, 4]\"", "c = x.clone()\nd = c.copy_(y)\ne = d + 1.0", "e", 0, NULL }, { "s0=4 s1=1" }, true },
    { { "no first row and one", FIRST, "y = x[slice(None, 1, None)]\nz = y * w", "z", 0, NULL }, { "s0=0 s1=1" }, false },
};

#define NONES ((int)(sizeof ones / sizeof *ones))

static void all_of(const row *r, const char *device) {
    for (size_t i = 0; i < sizeof r->good / sizeof *r->good && r->good[i]; i++)
        graph_check_at(&r->c, device, r->good[i], 5 + i), graph_check_exact(&r->c, device, r->good[i], 6 + i);
    for (size_t i = 0; i < sizeof r->bad / sizeof *r->bad && r->bad[i]; i++)
        graph_fails_at(&r->c, device, r->bad[i], r->says);
}

static void copies_on(const row *r, const char *device) {
    for (size_t i = 0; i < sizeof r->good / sizeof *r->good && r->good[i]; i++)
        graph_check_at(&r->c, device, r->good[i], 5 + i), graph_check_exact(&r->c, device, r->good[i], 6 + i);
    for (size_t i = 0; i < sizeof r->bad / sizeof *r->bad && r->bad[i]; i++)
        graph_unsupported_at(&r->c, device, r->bad[i], r->says, true);
}

START_TEST(copies_on_host) {
    copies_on(&copies[_i], "host");
}
END_TEST

START_TEST(copies_on_sim) {
    copies_on(&copies[_i], "sim");
}
END_TEST

START_TEST(on_host) {
    all_of(&rows[_i], "host");
}
END_TEST

START_TEST(on_sim) {
    all_of(&rows[_i], "sim");
}
END_TEST

START_TEST(some_ones) {
    for (size_t i = 0; i < sizeof ones->at / sizeof *ones->at && ones[_i].at[i]; i++) {
        graph_unsupported_at(&ones[_i].c, "host", ones[_i].at[i], "is needed|PyTorch would broadcast the 1", ones[_i].known);
        graph_unsupported_at(&ones[_i].c, "sim", ones[_i].at[i], "is needed|PyTorch would broadcast the 1", ones[_i].known);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("sizes");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    tcase_add_loop_test(host, on_host, 0, NROWS);
    tcase_add_loop_test(sim, on_sim, 0, NROWS);
    tcase_add_loop_test(host, copies_on_host, 0, (int)(sizeof copies / sizeof *copies));
    tcase_add_loop_test(sim, copies_on_sim, 0, (int)(sizeof copies / sizeof *copies));
    tcase_add_loop_test(host, some_ones, 0, NONES);
    tcase_set_timeout(host, 60);
    tcase_set_timeout(sim, 60);
    suite_add_tcase(s, host);
    suite_add_tcase(s, sim);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
