/*
 * tests/check_bad.c - bad input, bad calls and bad surroundings, through the public interface alone.
 *
 * Rows say what is wrong, at which stage it has to be noticed, with which status, and what the sentence must name.
 * Expected numbers are small integers worked out by hand, so they are compared exactly.
 * What concerns calls is below "calls", the surroundings (files, libraries, options) come last.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jitc/jitc.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* ---- a context that keeps what it was told ---------------------------------------------------------------------- */

typedef struct world {
    jitc_context *ctx;
    char log[16384];
    size_t nlog;
    size_t most; /* larger allocations fail */
} world;

static void keep_line(void *user, const char *line) {
    world *w = user;
    int n = snprintf(w->log + w->nlog, sizeof w->log - w->nlog, "%s\n", line);
    w->nlog = n < 0 || (size_t)n >= sizeof w->log - w->nlog ? sizeof w->log - 1 : w->nlog + (size_t)n;
}

static void *take(void *user, size_t size) {
    return size > ((world *)user)->most ? NULL : malloc(size);
}

static void give(void *user, void *block, size_t size) {
    (void)user, (void)size;
    free(block);
}

static jitc_status open_world(world *w, const char *cache_dir, const char *device) {
    memset(w, 0, sizeof *w);
    w->most = (size_t)256 << 20;
    jitc_context_options o = { .struct_size = sizeof o, .alloc = take, .free = give, .alloc_user = w, .log = keep_line,
                               .log_user = w, .debug = "cache", .cache_dir = cache_dir, .device = device, .threads = 1 };
    return jitc_context_new(&o, &w->ctx);
}

static void host_world(world *w) {
    ck_assert_int_eq(open_world(w, "", "host"), JITC_OK);
}

/* Every fragment is in TEXT. */
static void has_all(const char *name, const char *text, const char *const fragments[4]) {
    for (int i = 0; i < 4 && fragments[i]; i++)
        ck_assert_msg(strstr(text, fragments[i]) != NULL, "%s: \"%s\" does not say \"%s\"", name, text, fragments[i]);
}

/* The failure, its sentence and its place. LINE 0: none is asked for. */
static void fails(world *w, const char *name, jitc_status got, jitc_status want, int line,
                  const char *const fragments[4]) {
    jitc_error_info info = { .struct_size = sizeof info };
    ck_assert_msg(got == want, "%s: status %d (%s), expected %d", name, got, got ? jitc_context_error(w->ctx) : "ok", want);
    jitc_context_error_info(w->ctx, &info);
    ck_assert_msg(info.status == want, "%s: the record says %d", name, info.status);
    ck_assert_msg(info.message[0] != 0, "%s: no sentence", name);
    ck_assert_msg(!line || info.line == line, "%s: line %d, expected %d: %s", name, info.line, line,
                  jitc_context_error(w->ctx));
    ck_assert_msg(!line || strcmp(info.file, "bad.py") == 0, "%s: file \"%s\"", name, info.file);
    has_all(name, jitc_context_error(w->ctx), fragments);
}

/* The statements of BODY stand from line 3 on. */
static char *text_of(const char *params, const char *body, const char *result) {
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    fprintf(f, "class GraphModule(torch.nn.Module):\n    def forward(self, %s):\n", params);
    for (const char *p = body; *p;) {
        size_t line = strcspn(p, "\n");
        fprintf(f, "        %.*s\n", (int)line, p);
        p += line + (p[line] == '\n');
    }
    fprintf(f, "        return (%s,)\n", result);
    fclose(f);
    return out;
}

static jitc_status read_text(world *w, const char *text, jitc_graph **out) {
    return jitc_graph_read(w->ctx, "bad.py", text, strlen(text), out);
}

static jitc_status build(world *w, const char *params, const char *body, const char *result,
                         const jitc_model_options *o, jitc_model **out) {
    jitc_graph *graph;
    char *text = text_of(params, body, result);
    jitc_status status = read_text(w, text, &graph);
    free(text);
    *out = NULL;
    return status == JITC_OK ? jitc_model_build(w->ctx, &graph, 1, o, out) : status;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

typedef enum stage { READ, COMPILE } stage; /* what compiles has been split and hashed before */

typedef struct text_row {
    const char *name, *params, *body, *result;
    stage stage;
    jitc_status status;
    int line;
    const char *fragments[4];
} text_row;

#define X8 "x: \"f32[s0, 8]\""
static const text_row texts[] = {
    /* dtypes */
    { "unknown dtype", "x: \"f33[s0, 8]\"", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "f33", "bf16 or f32" } },
    { "complex halves", "x: \"c32[s0, 8]\"", "y = x + 1", "y", COMPILE, JITC_E_UNSUPPORTED, 2, { "c32" } },
    { "complex result", "x: \"c64[s0, 8]\"", "y = x + 1", "y", COMPILE, JITC_E_UNSUPPORTED, 4, { "complex" } },
    { "fp8 arithmetic", "x: \"f8e4m3fn[s0, 8]\"", "y = x + 1", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "add", "f8e4m3fn" } },
    { "mixed product", X8 ", w: \"bf16[16, 8]\"", "y = torch.nn.functional.linear(x, w)", "y", READ, JITC_E_INPUT, 3,
      { "linear", "f32", "bf16[16, 8]" } },
    { "float as index", X8 ", i: \"f32[4]\"", "y = x.index_select(0, i)", "y", READ, JITC_E_INPUT, 3, { "integers", "f32[4]" } },
    { "float to embedding", "x: \"f32[16, 8]\", i: \"f32[s0]\"", "y = torch.nn.functional.embedding(i, x)", "y", READ,
      JITC_E_INPUT, 3, { "integers", "f32[s0]" } },
    { "bits of floats", X8, "y = x & x", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "bitand", "f32" } },
    { "softmax of integers", "x: \"i64[s0, 8]\"", "y = torch.softmax(x, dim = -1)", "y", COMPILE, JITC_E_UNSUPPORTED, 3,
      { "softmax", "i64[s0, 8]" } },
    { "condition that is no bool", X8, "y = torch.where(x, x, 0.0)", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "where", "b8" } },
    /* ranks and dims */
    { "symbolic dims", X8 ", y: \"f32[s0, 16]\"", "z = x + y", "z", READ, JITC_E_INPUT, 3, { "[s0, 8]", "[s0, 16]", "(node z)" } },
    { "constant dims", "x: \"f32[3, 8]\", y: \"f32[4, 8]\"", "z = x + y", "z", READ, JITC_E_INPUT, 3, { "[3, 8]", "[4, 8]" } },
    { "inner dims of linear", X8 ", w: \"f32[16, 9]\"", "y = torch.nn.functional.linear(x, w)", "y", READ, JITC_E_INPUT, 3,
      { "[N, 8]", "f32[16, 9]" } },
    { "bias", X8 ", w: \"f32[16, 8]\", b: \"f32[15]\"", "y = torch.nn.functional.linear(x, w, b)", "y", READ, JITC_E_INPUT, 3,
      { "f32[16]", "f32[15]" } },
    { "inner dims of a product", X8 ", w: \"f32[9, 8]\"", "y = x @ w", "y", READ, JITC_E_INPUT, 3, { "inner", "f32[9, 8]" } },
    { "rank of a weight", X8 ", w: \"f32[2, 16, 8]\"", "y = torch.nn.functional.linear(x, w)", "y", READ, JITC_E_INPUT, 3,
      { "f32[2, 16, 8]" } },
    { "rank in cat", X8 ", y: \"f32[s0, 8, 1]\"", "z = torch.cat([x, y], dim = 0)", "z", READ, JITC_E_INPUT, 3,
      { "cat", "f32[s0, 8, 1]" } },
    { "dims in cat", X8 ", y: \"f32[s0, 9]\"", "z = torch.cat([x, y], dim = 0)", "z", READ, JITC_E_INPUT, 3, { "f32[s0, 9]" } },
    { "cat of nothing", X8, "z = torch.cat([], dim = 0)", "z", READ, JITC_E_INPUT, 3, { "at least one" } },
    { "dim too large", X8, "y = x.sum(dim = 2)", "y", READ, JITC_E_INPUT, 3, { "2 is outside" } },
    { "dim too small", X8, "y = x.sum(dim = -3)", "y", READ, JITC_E_INPUT, 3, { "-3 is outside" } },
    { "dim twice", X8, "y = x.permute(0, 0)", "y", READ, JITC_E_INPUT, 3, { "permute" } },
    { "view", X8, "y = x.view(s0, 9)", "y", READ, JITC_E_INPUT, 3, { "f32[s0, 8]", "f32[s0, 9]" } },
    { "view that does not divide", "x: \"f32[4, 8]\"", "y = x.view(5, -1)", "y", READ, JITC_E_INPUT, 3, { "32", "5" } },
    { "two open sizes", X8, "y = x.view(-1, -1)", "y", READ, JITC_E_INPUT, 3, { "-1" } },
    { "expand", X8, "y = x.expand(s0, 9)", "y", READ, JITC_E_INPUT, 3, { "f32[s0, 9]" } },
    { "split sizes", X8, "a = x.split([3, 4], dim = -1)\nb = a[0]", "b", READ, JITC_E_INPUT, 3, { "7", "8" } },
    { "no parts", X8, "a = x.chunk(0, dim = -1)\nb = a[0]", "b", READ, JITC_E_INPUT, 3, { "chunk" } },
    { "part that is not there", X8, "a = x.chunk(2, dim = -1)\nb = a[2]", "b", READ, JITC_E_INPUT, 4, { "2", "(node b)" } },
    { "index", X8, "y = x[:, 9]", "y", READ, JITC_E_INPUT, 3, { "9", "8" } },
    { "step 0", X8, "y = x[:, 0:8:0]", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "step" } },
    { "index of an assignment", "x: \"f32[4, 8]\"", "x[5] = 1.0", "x", READ, JITC_E_INPUT, 3, { "5", "4" } },
    { "dims of an assignment", "x: \"f32[4, 8]\", y: \"f32[3]\"", "x[0] = y", "x", READ, JITC_E_INPUT, 3, { "f32[8]", "f32[3]" } },
    { "nine dims", "x: \"f32[1, 1, 1, 1, 1, 1, 1, 1, 1]\"", "y = x + 1", "y", COMPILE, JITC_E_UNSUPPORTED, 2, { "8" } },
    /* annotations */
    { "annotated dim", X8, "y: \"f32[s0, 16]\" = x + 1", "y", READ, JITC_E_INPUT, 3, { "f32[s0, 16]", "f32[s0, 8]" } },
    { "annotated dtype", X8, "y: \"bf16[s0, 8]\" = x + 1", "y", READ, JITC_E_INPUT, 3, { "bf16[s0, 8]", "f32[s0, 8]" } },
    { "annotated rank", X8, "y: \"f32[8]\" = x + 1", "y", READ, JITC_E_INPUT, 3, { "f32[8]", "f32[s0, 8]" } },
    { "annotated kind", X8, "y: \"Sym(s0)\" = x + 1", "y", READ, JITC_E_INPUT, 3, { "Sym(s0)", "tensor" } },
    /* sizes */
    { "dim beyond 64 bits", "x: \"f32[99999999999999999999, 8]\"", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "64 bits" } },
    { "negative dim", "x: \"f32[-1, 8]\"", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "-1", "negative" } },
    { "product beyond 64 bits", "x: \"f32[4294967296, 4294967296, 8]\"", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "64 bits" } },
    { "bytes beyond 64 bits", "x: \"f32[4611686018427387904]\"", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "64 bits" } },
    { "bytes times a symbol", "x: \"f32[s0, 4611686018427387904]\"", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "64 bits" } },
    { "expression beyond 64 bits", X8, "y = x.view(s0 * 9223372036854775807 * 9223372036854775807, 8)", "y", READ, JITC_E_INPUT,
      3, { "64 bits" } },
    { "expand beyond 64 bits", "x: \"f32[s0, 1]\"", "y = x.expand(s0, 9223372036854775807)\nz = y + 1", "z", READ, JITC_E_INPUT, 3,
      { "64 bits" } },
    { "zeros beyond 64 bits", X8, "y = torch.zeros([s0, 4611686018427387904], dtype = torch.float32)", "y", READ, JITC_E_INPUT, 3,
      { "64 bits" } },
    { "negative zeros", X8, "y = torch.zeros([s0, -4], dtype = torch.float32)", "y", READ, JITC_E_INPUT, 3, { "negative" } },
    { "division by 0", "s0: \"Sym(s0)\", " X8, "y = x.view(s0 // 0, 8)", "y", READ, JITC_E_INPUT, 3, { "divided by 0" } },
    /* operators */
    { "unknown function", X8, "y: \"f32[s0, 8]\" = x + 1\nz: \"f32[s0, 8]\" = torch.lobpcg(y, dim = 0)", "z", COMPILE,
      JITC_E_UNSUPPORTED, 4, { "torch.lobpcg", "bad.py" } },
    { "unknown method", X8, "y: \"f32[s0, 8]\" = x.frobnicate(3)", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "frobnicate" } },
    { "custom without annotation", X8, "y = torch.ops.test.twice(x, 3, 'l')\nz = y + 1", "z", COMPILE, JITC_E_UNSUPPORTED, 4, { "annotate" } },
    { "too many arguments", X8, "y = torch.nn.functional.silu(x, 1, 2, 3)", "y", READ, JITC_E_INPUT, 3, { "silu", "2" } },
    { "too few arguments", X8, "y = torch.nn.functional.linear(x)", "y", READ, JITC_E_INPUT, 3, { "linear", "weight" } },
    { "unknown keyword", X8, "y = torch.nn.functional.silu(x, frob = 3)", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "frob" } },
    { "unknown word", X8, "y = torch._C._nn.gelu(x, approximate = 'tan')", "y", READ, JITC_E_INPUT, 3, { "approximate", "'tanh'" } },
    { "unknown rounding", X8, "y = torch.div(x, 2, rounding_mode = 'front')", "y", COMPILE, JITC_E_UNSUPPORTED, 3, { "rounding_mode" } },
    /* names and form */
    { "undefined", X8, "y = x + q", "y", READ, JITC_E_INPUT, 3, { "'q'" } },
    { "undefined result", X8, "y = x + 1", "q", READ, JITC_E_INPUT, 4, { "'q'" } },
    { "freed", X8, "y = x + 1;  x = None\nz = x + 1", "z", READ, JITC_E_INPUT, 4, { "freed", "line 3" } },
    { "parameter twice", X8 ", " X8, "y = x + x", "y", READ, JITC_E_INPUT, 2, { "'x'" } },
    { "half an expression", X8, "y = x +", "y", READ, JITC_E_INPUT, 3, { "expression" } },
    { "open string", "x: \"f32[s0, 8]", "y = x + 1", "y", READ, JITC_E_INPUT, 2, { "string" } },
};

START_TEST(bad_text) {
    const text_row *row = &texts[_i];
    world w;
    jitc_graph *graph;
    jitc_model *model;
    char *text = text_of(row->params, row->body, row->result);
    host_world(&w);
    jitc_status status = read_text(&w, text, &graph);
    if (row->stage == READ) {
        ck_assert_ptr_null(graph);
    } else {
        jitc_model_options o = { .struct_size = sizeof o, .split_only = true };
        jitc_piece_info info = { .struct_size = sizeof info };
        ck_assert_msg(status == JITC_OK, "%s: %s", row->name, jitc_context_error(w.ctx));
        ck_assert_int_eq(jitc_model_build(w.ctx, &graph, 1, &o, &model), JITC_OK);
        ck_assert_int_eq(jitc_model_piece_info(model, 0, &info), JITC_OK);
        ck_assert_uint_eq(strspn(info.key, "0123456789abcdef"), 64);
        jitc_model_free(model);
        ck_assert_int_eq(read_text(&w, text, &graph), JITC_OK);
        status = jitc_model_build(w.ctx, &graph, 1, NULL, &model);
        ck_assert_ptr_null(model);
    }
    fails(&w, row->name, status, row->status, row->line, row->fragments);
    free(text);
    jitc_context_free(w.ctx);
}
END_TEST

/* Not made of statements. */
static const struct {
    const char *name, *text;
    size_t n;
    int line;
    const char *fragments[4];
} raw_texts[] = {
    { "nothing", "", 0, 1, { "class" } },
    { "an import", "import torch\n", 13, 2, { "class" } },
    { "no forward", "class GraphModule(torch.nn.Module):\n    pass\n", 45, 2, { "forward" } },
    { "a NUL byte", "class GraphModule(torch.nn.Module):\n    def forward(self, x: \"f32[4]\"):\n        y = x +\0 1\n", 91, 3, { "NUL" } },
    { "a byte that is no text", "class GraphModule(torch.nn.Module):\n    def forward(self, x: \"f32[4]\"):\n        y = \xff + 1\n", 90,
      3, { "0xff" } },
};

START_TEST(bad_raw_text) {
    world w;
    jitc_graph *graph;
    host_world(&w);
    jitc_status status = jitc_graph_read(w.ctx, "bad.py", raw_texts[_i].text, raw_texts[_i].n, &graph);
    ck_assert_ptr_null(graph);
    fails(&w, raw_texts[_i].name, status, JITC_E_INPUT, raw_texts[_i].line, raw_texts[_i].fragments);
    jitc_context_free(w.ctx);
}
END_TEST

static const char small_graph[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, L_x_: \"bf16[s72, 16]\", s72: \"Sym(s72)\", L_w_: \"bf16[32, 16]\"):\n"
    "        # No stacktrace found for following nodes\n"
    "        submod_0 = self.submod_0(L_x_, s72, L_w_);  L_x_ = L_w_ = None\n"
    "        getitem: \"bf16[s72, 32]\" = submod_0[0]\n"
    "        getitem_1: \"bf16[s72, 16]\" = submod_0[1];  submod_0 = None\n"
    "        submod_1 = self.submod_1(getitem, s72, getitem_1);  getitem = s72 = submod_1 = None\n"
    "        return (getitem_1,)\n"
    "        \n"
    "    class submod_0(torch.nn.Module):\n"
    "        def forward(self, x: \"bf16[s72, 16]\", s72: \"Sym(s72)\", w: \"bf16[32, 16]\"):\n"
    "            # File: /site-packages/model.py:12 in forward, code: a = self.proj(x)\n"
    "            linear: \"bf16[s72, 32]\" = torch._C._nn.linear(x, w, None);  w = None\n"
    "            chunk = linear.chunk(2, dim = -1)\n"
    "            a: \"bf16[s72, 16]\" = chunk[0];  chunk = None\n"
    "            mul: \"bf16[s72, 16]\" = a * 0.5;  a = None\n"
    "            zeros: \"bf16[s72, 16]\" = torch.zeros([s72, 16], dtype = torch.bfloat16, device = device(type='cuda', index=0))\n"
    "            zeros[(slice(None, None, None), slice(0, 8, 1))] = 1.0;  setitem = zeros; setitem = None\n"
    "            return (linear, mul)\n"
    "            \n"
    "    class submod_1(torch.nn.Module):\n"
    "        def forward(self, q: \"bf16[s72, 32]\", s72: \"Sym(s72)\", out: \"bf16[s72, 16]\"):\n"
    "            core = torch.ops.vllm.gdn_attention_core(q, q, q, out, 'model.layers.0.linear_attn');  q = out = core = None\n"
    "            return ()\n"
    "            \n";

/* Cut off anywhere: never a crash, and either a whole graph or a clear refusal. */
START_TEST(truncated) {
    size_t n = sizeof small_graph - 1, whole = 0;
    world w;
    host_world(&w);
    for (size_t i = 0; i <= n; i++) {
        jitc_model_options o = { .struct_size = sizeof o, .split_only = true };
        jitc_graph *graph;
        jitc_model *model = NULL;
        char *cut = malloc(i ? i : 1); /* to the byte, so that reading further is seen */
        memcpy(cut, small_graph, i);
        jitc_status status = jitc_graph_read(w.ctx, "cut.py", cut, i, &graph);
        free(cut);
        if (status == JITC_OK)
            status = jitc_model_build(w.ctx, &graph, 1, &o, &model);
        ck_assert_msg(status == JITC_OK || status == JITC_E_INPUT || status == JITC_E_UNSUPPORTED, "cut at %zu: %d: %s", i,
                      status, jitc_context_error(w.ctx));
        ck_assert_msg(status == JITC_OK || strlen(jitc_context_error(w.ctx)) > 10, "cut at %zu: no sentence", i);
        whole += status == JITC_OK;
        jitc_model_free(model);
        jitc_graph_free(graph);
    }
    ck_assert_uint_ge(whole, 1); /* the whole text */
    ck_assert_uint_le(whole, 64); /* and at most what lacks white space at its end */
    jitc_context_free(w.ctx);
}
END_TEST

/* ---- calls ------------------------------------------------------------------------------------------------------ */

#define ROWS 3
#define COLS 4

/* y = 2 x + w, for any number of rows. */
typedef struct sum {
    world w;
    jitc_model *model;
    float x[ROWS * COLS * 4], wt[ROWS * COLS * 4];
    int64_t xshape[8], wshape[8], xstrides[8], wstrides[8];
    DLTensor xt, wtt;
    jitc_value in[4], out[2];
    uint32_t nin, nout, graph;
} sum;

static void sum_inputs(sum *s, int64_t rows) {
    for (int i = 0; i < ROWS * COLS; i++) {
        s->x[i] = (float)i;
        s->wt[i] = 100;
    }
    s->xshape[0] = s->wshape[0] = rows;
    s->xshape[1] = s->wshape[1] = s->xstrides[0] = s->wstrides[0] = COLS;
    s->xstrides[1] = s->wstrides[1] = 1;
    DLTensor t = { .data = s->x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = s->xshape,
                   .strides = s->xstrides };
    s->xt = s->wtt = t;
    s->wtt.data = s->wt;
    s->wtt.shape = s->wshape;
    s->wtt.strides = s->wstrides;
    s->in[0] = (jitc_value){ .tag = JITC_INT, .i = rows };
    s->in[1] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &s->xt };
    s->in[2] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &s->wtt };
    s->nin = 3;
    s->nout = 1;
    s->graph = 0;
}

#define SUM_PARAMS "s0: \"Sym(s0)\", x: \"f32[s0, 4]\", w: \"f32[s0, 4]\""
#define SUM_BODY "a: \"f32[s0, 4]\" = x * 2.0\ny: \"f32[s0, 4]\" = a + w"

static void sum_open(sum *s, const jitc_model_options *o) {
    jitc_status status = build(&s->w, SUM_PARAMS, SUM_BODY, "y", o, &s->model);
    ck_assert_msg(status == JITC_OK, "%s", jitc_context_error(s->w.ctx));
    sum_inputs(s, ROWS);
}

static void sum_new(sum *s) {
    memset(s, 0, sizeof *s);
    host_world(&s->w);
    sum_open(s, NULL);
}

static jitc_status sum_run(sum *s) {
    return jitc_model_run(s->model, s->graph, NULL, s->in, s->nin, s->out, s->nout);
}

/* The right numbers come out. */
static void sum_right(sum *s, const char *name, int64_t rows) {
    jitc_status status = sum_run(s);
    ck_assert_msg(status == JITC_OK, "%s: %s", name, jitc_context_error(s->w.ctx));
    ck_assert_uint_eq(s->out[0].tag, JITC_TENSOR);
    const DLTensor *y = s->out[0].tensor;
    ck_assert_msg(y->ndim == 2 && y->shape[0] == rows && y->shape[1] == COLS, "%s: shape", name);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < COLS; c++) {
            float got = ((float *)((char *)y->data + y->byte_offset))[r * y->strides[0] + c * y->strides[1]];
            float want = 2 * (float)(r * COLS + c) + 100;
            ck_assert_msg(got == want, "%s: [%d, %d] is %g, expected %g", name, (int)r, (int)c, (double)got, (double)want);
        }
}

static void few_values(sum *s) { s->nin = 2; }
static void many_values(sum *s) { s->nin = 4; }
static void no_results(sum *s) { s->nout = 0; }
static void many_results(sum *s) { s->nout = 2; }
static void no_graph(sum *s) { s->graph = 1; }
static void no_tensor(sum *s) { s->in[1].tensor = NULL; }
static void int_for_tensor(sum *s) { s->in[1] = (jitc_value){ .tag = JITC_INT, .i = 3 }; }
static void tensor_for_int(sum *s) { s->in[0] = s->in[1]; }
static void unknown_tag(sum *s) { s->in[1].tag = 77; }
static void other_dtype(sum *s) { s->xt.dtype.code = kDLInt; }
static void other_bits(sum *s) { s->xt.dtype.bits = 16; }
static void lanes(sum *s) { s->xt.dtype.lanes = 2; }
static void rank1(sum *s) { s->xt.ndim = 1; }
static void rank3(sum *s) { s->xt.ndim = 3; }
static void rank_huge(sum *s) { s->xt.ndim = 1000000; }
static void rank_negative(sum *s) { s->xt.ndim = -1; }
static void other_dim(sum *s) { s->xshape[1] = 5; }
static void negative_dim(sum *s) { s->xshape[0] = s->wshape[0] = s->in[0].i = -3; }
static void negative_const_dim(sum *s) { s->xshape[1] = -4; }
static void two_values(sum *s) { s->wshape[0] = 2; }
static void int_differs(sum *s) { s->in[0].i = 7; }
static void other_device(sum *s) { s->xt.device.device_type = kDLCUDA; }
static void no_data(sum *s) { s->xt.data = NULL; }
static void no_shape(sum *s) { s->xt.shape = NULL; }
static void strided(sum *s) { s->xstrides[0] = 2 * COLS; }
static void transposed(sum *s) { s->xstrides[0] = 1, s->xstrides[1] = ROWS; }
static void zero_stride(sum *s) { s->xstrides[0] = 0; }
static void beyond_range(sum *s) { s->xshape[0] = s->wshape[0] = s->in[0].i = INT64_C(1) << 40; }
static void beyond_memory(sum *s) { s->xshape[0] = s->wshape[0] = s->in[0].i = INT32_MAX; }

static const struct {
    const char *name;
    void (*spoil)(sum *s);
    jitc_status status;
    const char *fragments[4];
} bad_calls[] = {
    { "too few values", few_values, JITC_E_USAGE, { "3", "2" } },
    { "too many values", many_values, JITC_E_USAGE, { "3", "4" } },
    { "room for no result", no_results, JITC_E_USAGE, { "1", "0" } },
    { "room for two results", many_results, JITC_E_USAGE, { "1", "2" } },
    { "no such graph", no_graph, JITC_E_USAGE, { "graph 1" } },
    { "no tensor", no_tensor, JITC_E_INPUT, { "a tensor" } },
    { "an integer for a tensor", int_for_tensor, JITC_E_INPUT, { "a tensor" } },
    { "a tensor for an integer", tensor_for_int, JITC_E_INPUT, { "an integer" } },
    { "an unknown tag", unknown_tag, JITC_E_INPUT, { "77" } },
    { "dtype", other_dtype, JITC_E_INPUT, { "f32[3, 4]", "i32[3, 4]" } },
    { "bits", other_bits, JITC_E_INPUT, { "f32[3, 4]", "f16[3, 4]" } },
    { "lanes", lanes, JITC_E_INPUT, { "f32[3, 4]" } },
    { "rank 1", rank1, JITC_E_INPUT, { "'x'", "1", "2" } },
    { "rank 3", rank3, JITC_E_INPUT, { "'x'", "3", "2" } },
    { "a huge rank", rank_huge, JITC_E_INPUT, { "'x'", "1000000" } },
    { "a negative rank", rank_negative, JITC_E_INPUT, { "'x'", "-1" } },
    { "another dim", other_dim, JITC_E_INPUT, { "dim 1", "'x'", "5", "4" } },
    { "a negative dim", negative_dim, JITC_E_INPUT, { "-3" } },
    { "a negative constant dim", negative_const_dim, JITC_E_INPUT, { "-4", "4" } },
    { "a symbol with two values", two_values, JITC_E_INPUT, { "'w'", "2", "s0", "'s0'" } },
    { "an integer that the dims contradict", int_differs, JITC_E_INPUT, { "3", "s0" } },
    { "another device", other_device, JITC_E_INPUT, { "device 2:0", "host" } },
    { "no data", no_data, JITC_E_INPUT, { "no data" } },
    { "no shape", no_shape, JITC_E_INPUT, { "shape" } },
    { "rows apart", strided, JITC_E_INPUT, { "strides [8, 1]", "strides [4, 1]" } },
    { "transposed", transposed, JITC_E_INPUT, { "strides [1, 3]", "strides [4, 1]" } },
    { "rows that are one", zero_stride, JITC_E_INPUT, { "strides [0, 1]" } },
    { "a symbol beyond its range", beyond_range, JITC_E_INPUT, { "s0", "1099511627776", "2147483647" } },
    { "more than memory", beyond_memory, JITC_E_NOMEM, { "emory" } },
};

/* Each is refused, and the model works as before. */
START_TEST(bad_call) {
    sum s;
    sum_new(&s);
    for (size_t i = 0; i < COUNT(bad_calls); i++) {
        sum_inputs(&s, ROWS);
        bad_calls[i].spoil(&s);
        fails(&s.w, bad_calls[i].name, sum_run(&s), bad_calls[i].status, 0, bad_calls[i].fragments);
        jitc_status piece = s.graph ? JITC_E_USAGE : jitc_piece_run(s.model, 0, NULL, s.in, s.nin, s.out, s.nout);
        ck_assert_msg(piece == bad_calls[i].status, "%s: as a piece: %d", bad_calls[i].name, piece);
        sum_inputs(&s, ROWS);
        sum_right(&s, bad_calls[i].name, ROWS);
    }
    jitc_context_free(s.w.ctx);
}
END_TEST

static void as_it_is(sum *s) { (void)s; }
static void null_strides(sum *s) { s->xt.strides = s->wtt.strides = NULL; }
static void byte_offset(sum *s) {
    memmove(s->x + COLS, s->x, ROWS * COLS * sizeof *s->x);
    memset(s->x, 0, COLS * sizeof *s->x);
    s->xt.byte_offset = COLS * sizeof *s->x;
}
static void unaligned(sum *s) {
    memmove((char *)s->x + 2, s->x, ROWS * COLS * sizeof *s->x);
    s->xt.data = (char *)s->x + 2;
}
static void unaligned_offset(sum *s) {
    memmove((char *)s->wt + 6, s->wt, ROWS * COLS * sizeof *s->wt);
    s->wtt.byte_offset = 6;
}
static void one_row(sum *s) {
    sum_inputs(s, 1);
    s->xstrides[0] = 999; /* says nothing: there is no second row */
}
static void no_rows(sum *s) { sum_inputs(s, 0); }
static void no_rows_no_data(sum *s) {
    sum_inputs(s, 0);
    s->xt.data = s->wtt.data = NULL;
}

static const struct {
    const char *name;
    void (*change)(sum *s);
    int64_t rows;
} good_calls[] = {
    { "plain", as_it_is, ROWS },        { "NULL strides", null_strides, ROWS },  { "byte_offset", byte_offset, ROWS },
    { "unaligned", unaligned, ROWS },   { "unaligned offset", unaligned_offset, ROWS }, { "one row", one_row, 1 },
    { "no rows", no_rows, 0 },          { "no rows, no data", no_rows_no_data, 0 },
};

START_TEST(good_call) {
    sum s;
    sum_new(&s);
    for (size_t i = 0; i < COUNT(good_calls); i++) {
        sum_inputs(&s, ROWS);
        good_calls[i].change(&s);
        sum_right(&s, good_calls[i].name, good_calls[i].rows);
        sum_right(&s, good_calls[i].name, good_calls[i].rows); /* the remembered shape */
    }
    jitc_context_free(s.w.ctx);
}
END_TEST

/* Strides that were asked for are served, and then contiguous tensors are not. */
START_TEST(stride_option) {
    static const char *const strides[] = { "8", "1" };
    const jitc_strides of_x = { "x", 2, strides };
    jitc_model_options o = { .struct_size = sizeof o, .strides = &of_x, .nstrides = 1 };
    sum s;
    memset(&s, 0, sizeof s);
    host_world(&s.w);
    sum_open(&s, &o);
    fails(&s.w, "contiguous", sum_run(&s), JITC_E_INPUT, 0, (const char *const[4]){ "strides [4, 1]", "strides [8, 1]" });
    for (int r = ROWS - 1; r >= 0; r--)
        for (int c = 0; c < COLS; c++) {
            s.x[r * 8 + c] = (float)(r * COLS + c);
            s.x[r * 8 + 4 + c] = -1;
        }
    strided(&s);
    sum_right(&s, "strided", ROWS);
    jitc_context_free(s.w.ctx);
}
END_TEST

START_TEST(range_option) {
    const jitc_range range = { "s0", 2, 8 };
    jitc_model_options o = { .struct_size = sizeof o, .ranges = &range, .nranges = 1 };
    static const struct {
        int64_t rows;
        bool good;
    } rows[] = { { 0, false }, { 1, false }, { 2, true }, { 3, true }, { 9, false } };
    sum s;
    memset(&s, 0, sizeof s);
    host_world(&s.w);
    sum_open(&s, &o);
    for (size_t i = 0; i < COUNT(rows); i++) {
        sum_inputs(&s, rows[i].rows);
        if (rows[i].good)
            sum_right(&s, "inside", rows[i].rows);
        else
            fails(&s.w, "outside", sum_run(&s), JITC_E_INPUT, 0, (const char *const[4]){ "s0", "2 to 8" });
    }
    jitc_context_free(s.w.ctx);
}
END_TEST

/* Sizes that only a call makes too large. */
static const struct {
    const char *name, *params, *body, *result;
    int64_t a, b;
    jitc_status status;
} sizes[] = {
    { "symbols times symbols", "x: \"f32[s0, s1]\"", "y = x + 1", "y", INT32_MAX, INT32_MAX, JITC_E_INPUT },
    { "outer product", "x: \"f32[s0, 1]\", w: \"f32[1, s1]\"", "y = x * w", "y", 1 << 20, 1 << 20, JITC_E_NOMEM },
    { "terabytes of zeros", "x: \"f32[s0, s1]\"", "y = torch.zeros([s0, 1099511627776], dtype = torch.float32)", "x, y", 1, 1,
      JITC_E_NOMEM },
    { "terabytes between", "x: \"f32[s0, s1]\"",
      "z = torch.zeros([s0, 1099511627776], dtype = torch.float32)\nz[0] = x[0, 0]\ny = z.sum(dim = 1)", "y", 1, 1, JITC_E_NOMEM },
    { "a view that turns negative", "x: \"f32[s0, s1]\"", "y = torch.zeros([s0 - 5, 4], dtype = torch.float32)", "x, y", 1, 1,
      JITC_E_INPUT },
};

START_TEST(too_large) {
    world w;
    jitc_model *model;
    int64_t shape[2] = { sizes[_i].a, sizes[_i].b }, wide[2] = { 1, sizes[_i].b }, tall[2] = { sizes[_i].a, 1 };
    float one[4] = { 1, 1, 1, 1 };
    bool two = strstr(sizes[_i].params, "w:") != NULL;
    host_world(&w);
    jitc_status status = build(&w, sizes[_i].params, sizes[_i].body, sizes[_i].result, NULL, &model);
    ck_assert_msg(status == JITC_OK, "%s: %s", sizes[_i].name, jitc_context_error(w.ctx));
    DLTensor x = { .data = one, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = two ? tall : shape };
    DLTensor y = x;
    y.shape = wide;
    jitc_value in[2] = { { .tag = JITC_TENSOR, .tensor = &x }, { .tag = JITC_TENSOR, .tensor = &y } }, out[2];
    status = jitc_model_run(model, 0, NULL, in, two ? 2 : 1, out, jitc_model_outputs(model, 0));
    fails(&w, sizes[_i].name, status, sizes[_i].status, 0, (const char *const[4]){ NULL });
    jitc_context_free(w.ctx);
}
END_TEST

/* ---- custom operators ------------------------------------------------------------------------------------------- */

/* y = 2 x + n, or an error when n is negative. */
static int twice(jitc_call *call, const DLTensor *x, int64_t n, const jitc_layer_name *name, DLTensor *y) {
    (void)name;
    if (n == -1)
        return snprintf(call->error, call->error_size, "the moon is in the wrong house"), 5;
    if (n < 0)
        return 6;
    for (int64_t i = 0; i < x->shape[0] * x->shape[1]; i++)
        ((float *)y->data)[i] = 2 * ((const float *)((const char *)x->data + x->byte_offset))[i] + (float)n;
    return 0;
}

static int one_row_more(jitc_call *call) {
    call->results[0]->shape[0]++;
    return 0;
}

static int any(jitc_call *call) {
    (void)call;
    return 0;
}

#define TWICE(n) "x: \"f32[s0, 4]\"", "a = x + 1\ny: \"f32[s0, 4]\" = torch.ops.test.twice(a, " n ", 'layers.0')", "y"
#define REDUCE "x: \"f32[s0, 4]\"", "a = x + 1\ny: \"f32[s0, 4]\" = torch.ops.vllm.all_reduce(a, 'tp:0')", "y"

static const struct {
    const char *name, *params, *body, *result;
    const char *schema; /* NULL: none is registered */
    bool frame, shape;
    jitc_status status;
    const char *fragments[4];
} operators[] = {
    { "not registered", TWICE("3"), NULL, false, false, JITC_E_UNSUPPORTED, { "test::twice", "test::twice(Tensor", "int a1", "-> Tensor" } },
    { "fewer arguments", TWICE("3"), "test::twice(Tensor x, int n) -> Tensor", true, false, JITC_E_UNSUPPORTED, { "test::twice", "fewer" } },
    { "more arguments", TWICE("3"), "test::twice(Tensor x, int n, LayerName l, int more) -> Tensor", true, false, JITC_E_UNSUPPORTED,
      { "test::twice", "'more'" } },
    { "another type", TWICE("3"), "test::twice(Tensor x, Tensor n, LayerName l) -> Tensor", true, false, JITC_E_UNSUPPORTED,
      { "'n'", "a tensor", "an integer" } },
    { "another number of results", TWICE("3"), "test::twice(Tensor x, int n, LayerName l) -> ()", true, false,
      JITC_E_UNSUPPORTED, { "0 results" } },
    { "writes what the graph keeps", REDUCE, "vllm::all_reduce(Tensor(a!) tensor, str group_name) -> Tensor", true, false,
      JITC_E_UNSUPPORTED, { "vllm::all_reduce", "writes", "'tensor'" } },
    { "reports an error", TWICE("-1"), "test::twice(Tensor x, int n, LayerName l) -> Tensor", false, false, JITC_E_OP,
      { "test::twice", "the moon is in the wrong house", "5" } },
    { "reports nothing", TWICE("-2"), "test::twice(Tensor x, int n, LayerName l) -> Tensor", false, false, JITC_E_OP,
      { "test::twice", "no reason", "6" } },
    { "another shape", TWICE("3"), "test::twice(Tensor x, int n, LayerName l) -> Tensor", false, true, JITC_E_OP,
      { "test::twice", "f32[4, 4]", "f32[3, 4]" } },
};

START_TEST(bad_operator) {
    world w;
    jitc_model *model;
    float data[ROWS * COLS] = { 0 };
    int64_t shape[2] = { ROWS, COLS };
    DLTensor x = { .data = data, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value in = { .tag = JITC_TENSOR, .tensor = &x }, out;
    jitc_op_options o = { .struct_size = sizeof o, .shape = operators[_i].shape ? one_row_more : NULL };
    host_world(&w);
    if (operators[_i].schema)
        ck_assert_msg((operators[_i].frame ? jitc_op_register_frame(w.ctx, operators[_i].schema, any, &o)
                                           : jitc_op_register(w.ctx, operators[_i].schema, (jitc_plain_function)twice, &o)) ==
                          JITC_OK, "%s", jitc_context_error(w.ctx));
    jitc_status status = build(&w, operators[_i].params, operators[_i].body, operators[_i].result, NULL, &model);
    ck_assert_msg(status == JITC_OK, "%s: compiling needs no operator: %s", operators[_i].name, jitc_context_error(w.ctx));
    for (int again = 0; again < 2; again++)
        fails(&w, operators[_i].name, jitc_model_run(model, 0, NULL, &in, 1, &out, 1), operators[_i].status, 4,
              operators[_i].fragments);
    jitc_context_free(w.ctx);
}
END_TEST

/* What was missing can be registered afterwards: 2 (x + 1) + 3. */
START_TEST(operator_comes_late) {
    world w;
    jitc_model *model;
    float data[ROWS * COLS] = { 7 };
    int64_t shape[2] = { ROWS, COLS };
    DLTensor x = { .data = data, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value in = { .tag = JITC_TENSOR, .tensor = &x }, out;
    host_world(&w);
    ck_assert_int_eq(build(&w, TWICE("3"), NULL, &model), JITC_OK);
    ck_assert_int_eq(jitc_model_run(model, 0, NULL, &in, 1, &out, 1), JITC_E_UNSUPPORTED);
    ck_assert_int_eq(jitc_op_register(w.ctx, "test::twice(Tensor x, int n, LayerName l) -> Tensor", (jitc_plain_function)twice, NULL),
                     JITC_OK);
    ck_assert_msg(jitc_model_run(model, 0, NULL, &in, 1, &out, 1) == JITC_OK, "%s", jitc_context_error(w.ctx));
    ck_assert(((float *)out.tensor->data)[0] == 19);
    ck_assert(((float *)out.tensor->data)[1] == 5);
    jitc_context_free(w.ctx);
}
END_TEST

static const struct {
    const char *schema;
    bool none; /* no function */
    size_t size;
    unsigned devices;
    const char *fragments[4];
} registrations[] = {
    { "", false, 0, 0, { NULL } },
    { "test", false, 0, 0, { NULL } },
    { "test::f(Tensor x", false, 0, 0, { NULL } },
    { "test::f(Frob x) -> Tensor", false, 0, 0, { "Frob" } },
    { "test::f(Tensor x, Tensor x) -> Tensor", false, 0, 0, { "x" } },
    { "test::f(Tensor x) -> int int", false, 0, 0, { NULL } },
    { "test::f(...) -> Tensor", false, 0, 0, { "jitc_op_register_frame" } },
    { "test::f(Tensor x) -> Tensor", true, 0, 0, { "function" } },
    { "test::f(Tensor x) -> Tensor", false, 1, 0, { "struct_size" } },
    { "test::f(Tensor x) -> Tensor", false, 0, 1u << 20, { "devices" } },
    { "test::there(Tensor y) -> Tensor", false, 0, 0, { "registered already" } },
    { NULL, false, 0, 0, { "schema" } },
};

START_TEST(bad_registration) {
    world w;
    host_world(&w);
    ck_assert_int_eq(jitc_op_register_frame(w.ctx, "test::there(Tensor x) -> Tensor", any, NULL), JITC_OK);
    for (size_t i = 0; i < COUNT(registrations); i++) {
        jitc_op_options o = { .struct_size = registrations[i].size ? registrations[i].size : sizeof o,
                              .devices = registrations[i].devices };
        jitc_status status = jitc_op_register(w.ctx, registrations[i].schema,
                                              registrations[i].none ? NULL : (jitc_plain_function)twice, &o);
        fails(&w, registrations[i].schema ? registrations[i].schema : "no schema", status, JITC_E_USAGE, 0,
              registrations[i].fragments);
    }
    jitc_context_free(w.ctx);
}
END_TEST

/* ---- options ---------------------------------------------------------------------------------------------------- */

static const jitc_range empty_range = { "s0", 5, 4 }, negative_range = { NULL, -1, 4 }, huge_range = { NULL, 1, INT64_C(1) << 40 },
                        unknown_range = { "s99", 1, 4 };
static const char *const one_one[] = { "1", "1" }, *const half[] = { "s0 +", "1" }, *const backwards[] = { "8", "-1" };
static const jitc_strides unknown_param = { "frob", 2, one_one }, wrong_count = { "x", 1, one_one }, no_expression = { "x", 2, half }, negative_stride = { "x", 2, backwards },
                          of_int = { "s0", 1, one_one };

static const struct {
    const char *name;
    jitc_model_options o;
    jitc_status status;
    const char *fragments[4];
} options[] = {
#define SIZE .struct_size = sizeof(jitc_model_options)
    { "no arch", { SIZE, .arch = "" }, JITC_E_USAGE, { "''", "host" } },
    { "unknown arch", { SIZE, .arch = "sm_12" }, JITC_E_USAGE, { "sm_12", "90a" } },
    { "unknown suffix", { SIZE, .arch = "sm_90b" }, JITC_E_USAGE, { "sm_90b" } },
    { "suffix of another", { SIZE, .arch = "sm_80a" }, JITC_E_USAGE, { "sm_80a" } },
    { "more than an arch", { SIZE, .arch = "host " }, JITC_E_USAGE, { "'host '" } },
    { "unknown sim", { SIZE, .arch = "sim:sm_1" }, JITC_E_USAGE, { "sim:sm_1" } },
    { "empty range", { SIZE, .ranges = &empty_range, .nranges = 1 }, JITC_E_USAGE, { "5:4" } },
    { "negative range", { SIZE, .ranges = &negative_range, .nranges = 1 }, JITC_E_USAGE, { "-1:4" } },
    { "huge range", { SIZE, .ranges = &huge_range, .nranges = 1 }, JITC_E_USAGE, { "1099511627776" } },
    { "range of no symbol", { SIZE, .ranges = &unknown_range, .nranges = 1 }, JITC_E_USAGE, { "s99" } },
    { "strides of no parameter", { SIZE, .strides = &unknown_param, .nstrides = 1 }, JITC_E_INPUT, { "frob" } },
    { "number of strides", { SIZE, .strides = &wrong_count, .nstrides = 1 }, JITC_E_INPUT, { "x", "1", "2" } },
    { "strides that are none", { SIZE, .strides = &no_expression, .nstrides = 1 }, JITC_E_INPUT, { "s0 +" } },
    { "a negative stride", { SIZE, .strides = &negative_stride, .nstrides = 1 }, JITC_E_INPUT, { "-1", "dim 1", "'x'", "negative" } },
    { "strides of an integer", { SIZE, .strides = &of_int, .nstrides = 1 }, JITC_E_INPUT, { "s0" } },
    { "no size", { .struct_size = 0 }, JITC_E_USAGE, { "jitc_model_options", "struct_size" } },
    { "senseless size", { .struct_size = (size_t)1 << 40 }, JITC_E_USAGE, { "struct_size" } },
};

START_TEST(bad_options) {
    world w;
    jitc_model *model;
    host_world(&w);
    jitc_status status = build(&w, SUM_PARAMS, SUM_BODY, "y", &options[_i].o, &model);
    ck_assert_ptr_null(model);
    fails(&w, options[_i].name, status, options[_i].status, 0, options[_i].fragments);
    jitc_context_free(w.ctx);
}
END_TEST

/* Callers built against an older header have shorter structs. */
START_TEST(older_structs) {
    jitc_context_options old = { .struct_size = offsetof(jitc_context_options, threads), .cache_dir = "", .device = "host",
                                 .threads = 12345, .seed = 9 };
    jitc_model_options old_model = { .struct_size = offsetof(jitc_model_options, no_lift_names), .arch = "host",
                                     .ranges = &empty_range, .nranges = 1 }; /* beyond its size: not looked at */
    jitc_model_stats stats;
    jitc_piece_info piece;
    jitc_error_info error;
    jitc_param_info param;
    world w = { 0 };
    jitc_model *model;
    ck_assert_int_eq(jitc_context_new(&old, &w.ctx), JITC_OK);
    ck_assert_msg(build(&w, SUM_PARAMS, SUM_BODY, "y", &old_model, &model) == JITC_OK, "%s", jitc_context_error(w.ctx));
    memset(&stats, 0x5a, sizeof stats);
    stats.struct_size = offsetof(jitc_model_stats, hits);
    jitc_model_get_stats(model, &stats);
    ck_assert_uint_eq(stats.struct_size, offsetof(jitc_model_stats, hits));
    ck_assert_uint_eq(stats.compiled, 1);
    ck_assert_uint_eq(stats.hits, UINT64_C(0x5a5a5a5a5a5a5a5a));
    memset(&piece, 0x5a, sizeof piece);
    piece.struct_size = offsetof(jitc_piece_info, splitting);
    ck_assert_int_eq(jitc_model_piece_info(model, 0, &piece), JITC_OK);
    ck_assert_uint_eq(strlen(piece.key), 64);
    ck_assert_uint_eq(piece.ninputs, 0x5a5a5a5a);
    memset(&param, 0x5a, sizeof param);
    param.struct_size = offsetof(jitc_param_info, type);
    ck_assert_int_eq(jitc_model_param_info(model, 0, 1, &param), JITC_OK);
    ck_assert_str_eq(param.name, "x");
    ck_assert_uint_eq((uintptr_t)param.type, (uintptr_t)UINT64_C(0x5a5a5a5a5a5a5a5a));
    ck_assert_int_eq(jitc_model_piece_info(model, 7, &piece), JITC_E_USAGE);
    ck_assert_int_eq(jitc_model_param_info(model, 0, 3, &param), JITC_E_USAGE);
    memset(&error, 0x5a, sizeof error);
    error.struct_size = offsetof(jitc_error_info, file);
    jitc_context_error_info(w.ctx, &error);
    ck_assert_int_eq(error.status, JITC_E_USAGE);
    ck_assert_int_eq(error.line, 0x5a5a5a5a);
    jitc_context_free(w.ctx);
}
END_TEST

START_TEST(no_options) {
    world w = { 0 };
    jitc_model *model;
    setenv("JITC_CACHE_DIR", "/proc/none/of/this", 1); /* not the user's */
    ck_assert_int_eq(jitc_context_new(NULL, &w.ctx), JITC_OK);
    ck_assert_str_eq(jitc_context_error(w.ctx), "");
    ck_assert_msg(build(&w, SUM_PARAMS, SUM_BODY, "y", &(jitc_model_options){ SIZE, .arch = "host" }, &model) == JITC_OK, "%s",
                  jitc_context_error(w.ctx));
    ck_assert_int_eq(jitc_op_register_frame(w.ctx, "test::f(Tensor x) -> Tensor", any, NULL), JITC_OK);
    jitc_context_free(w.ctx);
    jitc_context_free(NULL);
    jitc_model_free(NULL);
    jitc_graph_free(NULL);
}
END_TEST

static const struct {
    const char *name;
    jitc_context_options o;
    jitc_status status;
    const char *fragments[4];
} context_options[] = {
#define CSIZE .struct_size = sizeof(jitc_context_options), .cache_dir = ""
    { "unknown word", { CSIZE, .debug = "cache,frob" }, JITC_E_USAGE, { "frob", "cache" } },
    { "no size", { .struct_size = 0, .cache_dir = "" }, JITC_E_USAGE, { "jitc_context_options", "struct_size" } },
    { "half an allocator", { CSIZE, .alloc = take }, JITC_E_USAGE, { "alloc", "free" } },
};

START_TEST(bad_context_options) {
    world w = { 0 };
    jitc_status status = jitc_context_new(&context_options[_i].o, &w.ctx);
    ck_assert_ptr_nonnull(w.ctx); /* holds the sentence */
    fails(&w, context_options[_i].name, status, context_options[_i].status, 0, context_options[_i].fragments);
    jitc_context_free(w.ctx);
}
END_TEST

/* A graph serves one model of its own context. */
START_TEST(bad_graphs) {
    world w, other;
    jitc_graph *graphs[2], *foreign;
    jitc_model *model, *more;
    jitc_model_options o = { SIZE, .split_only = true };
    char *text = text_of(SUM_PARAMS, SUM_BODY, "y");
    host_world(&w);
    host_world(&other);
    ck_assert_int_eq(read_text(&w, text, &graphs[0]), JITC_OK);
    ck_assert_int_eq(read_text(&other, text, &foreign), JITC_OK);
    fails(&w, "foreign", jitc_model_build(w.ctx, &foreign, 1, &o, &model), JITC_E_USAGE, 0,
          (const char *const[4]){ "graph 0", "another context" });
    graphs[1] = NULL;
    fails(&w, "NULL", jitc_model_build(w.ctx, graphs, 2, &o, &model), JITC_E_USAGE, 0, (const char *const[4]){ "graph 1", "NULL" });
    graphs[1] = graphs[0];
    fails(&w, "the same twice", jitc_model_build(w.ctx, graphs, 2, &o, &model), JITC_E_USAGE, 0, (const char *const[4]){ "graph 1" });
    fails(&w, "none", jitc_model_build(w.ctx, graphs, 0, &o, &model), JITC_E_USAGE, 0, (const char *const[4]){ "graph" });
    ck_assert_int_eq(jitc_model_build(w.ctx, graphs, 1, &o, &model), JITC_OK);
    fails(&w, "used", jitc_model_build(w.ctx, graphs, 1, &o, &more), JITC_E_USAGE, 0, (const char *const[4]){ "graph 0", "read it again" });
    sum s;
    memset(&s, 0, sizeof s);
    sum_inputs(&s, ROWS);
    fails(&w, "nothing to run", jitc_model_run(model, 0, NULL, s.in, 3, s.out, 1), JITC_E_USAGE, 0, (const char *const[4]){ "split_only" });
    free(text);
    jitc_context_free(other.ctx);
    jitc_context_free(w.ctx);
}
END_TEST

static const struct {
    const char *path;
    bool twice;
    jitc_status status;
    const char *fragments[4];
} plugins[] = {
    { "/nonexistent/plugin.so", false, JITC_E_IO, { "/nonexistent/plugin.so" } },
    { "libc.so.6", false, JITC_E_IO, { "./libc.so.6" } }, /* never the library path */
    { "", false, JITC_E_IO, { NULL } },
    { TEST_SRCDIR, false, JITC_E_IO, { TEST_SRCDIR } },
    { TEST_SRCDIR "/tests/plugin_ok.c", false, JITC_E_IO, { "plugin_ok.c" } },
    { TEST_BUILDDIR "/tests/plugin_bare.so", false, JITC_E_INPUT, { "plugin_bare.so", "jitc_plugin_register" } },
    { TEST_BUILDDIR "/tests/plugin_ok.so", true, JITC_E_USAGE, { "plugin_ok.so", "test::add_one", "registered already" } },
    { TEST_BUILDDIR "/tests/plugin_old.so", false, JITC_E_ABI, { "plugin_old.so", "rebuild" } },
};

/* A binary distribution may lack what only the build tree has. */
static bool built(const char *path) {
    if (strncmp(path, TEST_BUILDDIR "/tests/", sizeof TEST_BUILDDIR "/tests/" - 1) != 0 || access(path, R_OK) == 0)
        return true;
    printf("SKIP: there is no %s\n", path);
    return false;
}

START_TEST(bad_plugin) {
    world w;
    if (!built(plugins[_i].path))
        return;
    host_world(&w);
    if (plugins[_i].twice)
        ck_assert_msg(jitc_plugin_load(w.ctx, plugins[_i].path) == JITC_OK, "%s", jitc_context_error(w.ctx));
    fails(&w, plugins[_i].path, jitc_plugin_load(w.ctx, plugins[_i].path), plugins[_i].status, 0, plugins[_i].fragments);
    jitc_context_free(w.ctx);
}
END_TEST

START_TEST(bad_file) {
    world w;
    jitc_graph *graph;
    host_world(&w);
    fails(&w, "missing", jitc_graph_read_file(w.ctx, "/nonexistent/graph.py", &graph), JITC_E_IO, 0,
          (const char *const[4]){ "/nonexistent/graph.py", "No such file" });
    ck_assert_ptr_null(graph);
    fails(&w, "a folder", jitc_graph_read_file(w.ctx, TEST_SRCDIR, &graph), JITC_E_IO, 0, (const char *const[4]){ TEST_SRCDIR });
    ck_assert_ptr_null(graph);
    jitc_context_free(w.ctx);
}
END_TEST

/* ---- the cache's directory -------------------------------------------------------------------------------------- */

static char *temp_dir(void) {
    static char path[64];
    strcpy(path, "/tmp/jitc-bad-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static void remove_tree(const char *path) {
    char command[128];
    ck_assert(strncmp(path, "/tmp/jitc-bad-", 14) == 0);
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    ck_assert_int_eq(system(command), 0);
}

typedef void on_entry(const char *path, void *user);

/* Every file of the cache below DIR. */
static void each_file(const char *dir, on_entry *f, void *user) {
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (const struct dirent *e; (e = readdir(d));) {
        char path[1024];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        ck_assert_int_eq(lstat(path, &st), 0);
        if (S_ISDIR(st.st_mode))
            each_file(path, f, user);
        else
            f(path, user);
    }
    closedir(d);
}

static void count_file(const char *path, void *user) {
    ++*(int *)user;
    ck_assert_msg(!strstr(path, "tmp."), "%s was left behind", path);
}

static int files_in(const char *dir) {
    char entries[192]; /* beside them lie locks and the history */
    int n = 0;
    snprintf(entries, sizeof entries, "%s/v1", dir);
    each_file(entries, count_file, &n);
    return n;
}

/* Builds and runs with cache DIR; the statistics in STATS. */
static void with_cache(sum *s, const char *name, const char *dir, jitc_model_stats *stats) {
    memset(s, 0, sizeof *s);
    ck_assert_int_eq(open_world(&s->w, dir, "host"), JITC_OK);
    sum_open(s, NULL);
    stats->struct_size = sizeof *stats;
    jitc_model_get_stats(s->model, stats);
    sum_right(s, name, ROWS);
}

/* DIR cannot be used: the log says LINE, everything else is as without a disk. */
static void without_disk(const char *name, const char *dir, const char *line) {
    sum s;
    jitc_model_stats stats;
    for (int again = 0; again < 2; again++) {
        with_cache(&s, name, dir, &stats);
        ck_assert_msg(stats.compiled == 1 && stats.hits == 0, "%s: %d compiled", name, (int)stats.compiled);
        ck_assert_msg(strstr(s.w.log, line) != NULL, "%s: the log does not say \"%s\":\n%s", name, line, s.w.log);
        jitc_context_free(s.w.ctx);
    }
}

START_TEST(unusable_cache) {
    char *dir = temp_dir(), path[128];
    snprintf(path, sizeof path, "%s/file", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    without_disk("a file", path, "not a directory");
    snprintf(path, sizeof path, "%s/file/below", dir);
    without_disk("below a file", path, "cannot be examined");
    without_disk("below /proc", "/proc/none/of/this", "could not be stored");
    snprintf(path, sizeof path, "%s/link", dir);
    ck_assert_int_eq(symlink("/tmp", path), 0);
    without_disk("a symbolic link", path, "symbolic link");
    snprintf(path, sizeof path, "%s/open", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(chmod(path, 0777), 0);
    without_disk("writable by others", path, "writable by others");
    snprintf(path, sizeof path, "%s/shut", dir);
    ck_assert_int_eq(mkdir(path, 0500), 0);
    if (geteuid() == 0)
        printf("SKIP: root may write everywhere, so a directory without write permission was not tested\n");
    else
        without_disk("not writable", path, "could not be stored");
    remove_tree(dir);
}
END_TEST

/* A file system without room refuses to write; so does a limit on the size of files. */
START_TEST(full_cache) {
    char *dir = temp_dir();
    struct rlimit before, tight;
    sum s;
    jitc_model_stats stats;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 100;
    memset(&s, 0, sizeof s);
    ck_assert_int_eq(open_world(&s.w, dir, "host"), JITC_OK);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    jitc_status status = build(&s.w, SUM_PARAMS, SUM_BODY, "y", NULL, &s.model);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_msg(status == JITC_OK, "%s", jitc_context_error(s.w.ctx));
    sum_inputs(&s, ROWS);
    sum_right(&s, "full", ROWS);
    ck_assert_msg(strstr(s.w.log, "could not be stored") != NULL, "%s", s.w.log);
    jitc_context_free(s.w.ctx);
    ck_assert_int_eq(files_in(dir), 0);
    with_cache(&s, "room again", dir, &stats);
    ck_assert_uint_eq(stats.compiled, 1);
    jitc_context_free(s.w.ctx);
    ck_assert_int_ge(files_in(dir), 2); /* the kernel and the artifact */
    remove_tree(dir);
}
END_TEST

static void flip_byte(const char *path, void *user) {
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    long at = *(int *)user == 0 ? 0 : *(int *)user == 1 ? ftell(f) / 2 : ftell(f) - 1;
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 0x10, f);
    fclose(f);
}

static void cut(const char *path, void *user) {
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(truncate(path, *(int *)user ? st.st_size / 2 : 0), 0);
}

static void grow(const char *path, void *user) {
    FILE *f = fopen(path, "ab");
    (void)user;
    ck_assert_ptr_nonnull(f);
    fputs("more", f);
    fclose(f);
}

static void other_text(const char *path, void *user) {
    FILE *f = fopen(path, "wb");
    (void)user;
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 500; i++)
        fputs("This is no entry of the cache. ", f);
    fclose(f);
}

static const struct {
    const char *name;
    on_entry *damage;
    int how;
} damages[] = {
    { "first byte", flip_byte, 0 }, { "a byte within", flip_byte, 1 }, { "last byte", flip_byte, 2 }, { "empty", cut, 0 },
    { "half", cut, 1 },             { "longer", grow, 0 },             { "something else", other_text, 0 },
};

START_TEST(damaged_entry) {
    char *dir = temp_dir();
    sum s;
    jitc_model_stats stats;
    int how = damages[_i].how;
    with_cache(&s, damages[_i].name, dir, &stats);
    ck_assert_uint_eq(stats.compiled, 1);
    jitc_context_free(s.w.ctx);
    int files = files_in(dir);
    ck_assert_int_ge(files, 2);
    with_cache(&s, "intact", dir, &stats);
    ck_assert_uint_eq(stats.hits, 1);
    jitc_context_free(s.w.ctx);
    each_file(dir, damages[_i].damage, &how);
    with_cache(&s, damages[_i].name, dir, &stats);
    ck_assert_msg(stats.compiled == 1 && stats.hits == 0, "%s: not built again", damages[_i].name);
    ck_assert_msg(strstr(s.w.log, "damaged in ") != NULL, "%s: %s", damages[_i].name, s.w.log);
    jitc_context_free(s.w.ctx);
    with_cache(&s, "mended", dir, &stats);
    ck_assert_msg(stats.compiled == 0 && stats.hits == 1, "%s: not stored again", damages[_i].name);
    jitc_context_free(s.w.ctx);
    ck_assert_int_le(files_in(dir), 2 * files); /* at most one sample of each kept */
    remove_tree(dir);
}
END_TEST

/* ---- devices, code generator, assembler ------------------------------------------------------------------------- */

START_TEST(no_gpu) {
    world w;
    jitc_model *model;
    ck_assert_int_eq(open_world(&w, "", "cuda"), JITC_OK); /* opened on first use */
    jitc_status status = build(&w, SUM_PARAMS, SUM_BODY, "y", NULL, &model);
    if (status == JITC_OK)
        printf("SKIP: there is a GPU here, so its absence was not tested\n");
    else
        fails(&w, "cuda", status, JITC_E_DEVICE, 0, (const char *const[4]){ "CUDA" });
    if (status != JITC_OK && access("/dev/nvidiactl", F_OK) != 0)
        has_all("cuda", jitc_context_error(w.ctx), (const char *const[4]){ "libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "host" });
    jitc_context_free(w.ctx);
}
END_TEST

START_TEST(unknown_device) {
    static const char *const names[] = { "", "gpu", "cuda:", "cuda:x", "cuda:-1", "host:0", "cuda:99999" };
    for (size_t i = 0; i < COUNT(names); i++) {
        world w;
        jitc_model *model;
        ck_assert_int_eq(open_world(&w, "", names[i]), JITC_OK);
        fails(&w, names[i], build(&w, SUM_PARAMS, SUM_BODY, "y", NULL, &model), JITC_E_DEVICE, 0,
              (const char *const[4]){ names[i], "host", "sim", "cuda:N" });
        jitc_context_free(w.ctx);
    }
}
END_TEST

/* In a process of its own: the code generator stays open in the one that used it. */
static void fill_cache(const char *dir) {
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        world w;
        jitc_model *model;
        bool good = open_world(&w, dir, "host") == JITC_OK && build(&w, SUM_PARAMS, SUM_BODY, "y", NULL, &model) == JITC_OK;
        jitc_context_free(w.ctx);
        _exit(good ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

static const struct {
    const char *name, *path;
    const char *fragments[4];
} libraries[] = {
    { "missing", "/nonexistent/libjitc-llvm.so", { "/nonexistent/libjitc-llvm.so", "cannot be read", "JITC_LLVM_LIBRARY" } },
    { "no library", TEST_SRCDIR "/tests/check_bad.c", { "check_bad.c" } },
    { "another library", TEST_BUILDDIR "/tests/plugin_bare.so", { "plugin_bare.so", "no module of libjitc" } },
};

START_TEST(no_code_generator) {
    char *dir = temp_dir();
    sum s;
    jitc_model_stats stats;
    jitc_model *model;
    if (!built(libraries[_i].path)) {
        remove_tree(dir);
        return;
    }
    fill_cache(dir);
    setenv("JITC_LLVM_LIBRARY", libraries[_i].path, 1);
    world w;
    host_world(&w);
    fails(&w, libraries[_i].name, build(&w, SUM_PARAMS, SUM_BODY, "y", NULL, &model), JITC_E_COMPILE, 0, libraries[_i].fragments);
    ck_assert_ptr_null(model);
    jitc_context_free(w.ctx);
    with_cache(&s, "from the cache", dir, &stats);
    ck_assert_uint_eq(stats.hits, 1);
    ck_assert_uint_eq(stats.compiled, 0);
    jitc_context_free(s.w.ctx);
    remove_tree(dir);
}
END_TEST

/* For a GPU that is not here: without an assembler PTX is kept, with a warning; a broken one is an error. */
START_TEST(no_assembler) {
    world w;
    jitc_model *model;
    jitc_model_options o = { SIZE, .arch = "sm_80" };
    setenv("JITC_ASSEMBLER", "/nonexistent/ptxas", 1);
    host_world(&w);
    ck_assert_msg(build(&w, SUM_PARAMS, SUM_BODY, "y", &o, &model) == JITC_OK, "%s", jitc_context_error(w.ctx));
    ck_assert_msg(strstr(w.log, "warning") && strstr(w.log, "/nonexistent/ptxas") && strstr(w.log, "PTX"), "%s", w.log);
    jitc_value in[3] = { { .tag = JITC_INT, .i = ROWS } }, out;
    sum s; /* it cannot run on the host, and says so */
    memset(&s, 0, sizeof s);
    sum_inputs(&s, ROWS);
    memcpy(in, s.in, sizeof in);
    fails(&w, "sm_80 on the host", jitc_model_run(model, 0, NULL, in, 3, &out, 1), JITC_E_UNSUPPORTED, 0,
          (const char *const[4]){ "sm_80", "host" });
    jitc_context_free(w.ctx);
    setenv("JITC_ASSEMBLER", "/bin/false", 1);
    host_world(&w);
    fails(&w, "broken", build(&w, SUM_PARAMS, SUM_BODY, "y", &o, &model), JITC_E_COMPILE, 0,
          (const char *const[4]){ "false", "sm_80" });
    jitc_context_free(w.ctx);
}
END_TEST

/* ---- the suite -------------------------------------------------------------------------------------------------- */

static void add(Suite *s, const char *name, const TTest *test, int rows) {
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, 20);
    _tcase_add_test(c, test, 0, 0, 0, rows);
    suite_add_tcase(s, c);
}

int main(void) {
    Suite *s = suite_create("bad");
    add(s, "texts", bad_text, COUNT(texts));
    add(s, "raw texts", bad_raw_text, COUNT(raw_texts));
    add(s, "truncated", truncated, 1);
    add(s, "bad calls", bad_call, 1);
    add(s, "good calls", good_call, 1);
    add(s, "strides", stride_option, 1);
    add(s, "ranges", range_option, 1);
    add(s, "sizes", too_large, COUNT(sizes));
    add(s, "operators", bad_operator, COUNT(operators));
    add(s, "late operator", operator_comes_late, 1);
    add(s, "registrations", bad_registration, 1);
    add(s, "options", bad_options, COUNT(options));
    add(s, "older structs", older_structs, 1);
    add(s, "no options", no_options, 1);
    add(s, "context options", bad_context_options, COUNT(context_options));
    add(s, "graphs", bad_graphs, 1);
    add(s, "plugins", bad_plugin, COUNT(plugins));
    add(s, "files", bad_file, 1);
    add(s, "unusable cache", unusable_cache, 1);
    add(s, "full cache", full_cache, 1);
    add(s, "damaged entries", damaged_entry, COUNT(damages));
    add(s, "no GPU", no_gpu, 1);
    add(s, "unknown device", unknown_device, 1);
    add(s, "no code generator", no_code_generator, COUNT(libraries));
    add(s, "no assembler", no_assembler, 1);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
