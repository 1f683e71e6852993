/*
 * tests/check_executable.c - classes in the public interface: what they say they take and give, and what members supply.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jitc/jitc.h"

/* submod_0 and submod_2 are one class: other names, other literals, other weights. */
static const char text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s7: \"Sym(s7)\", x: \"f32[s7, 8]\", w_a: \"f32[8, 8]\", w_b: \"f32[8, 8]\", cache: \"f32[16, 8]\", "
    "pair: \"f32[s7, 2, 8]\"):\n"
    "        submod_0 = self.submod_0(x, w_a, s7)\n"
    "        a: \"f32[s7, 8]\" = submod_0[0]\n"
    "        h: \"f32[s7, 4]\" = submod_0[1];  submod_0 = None\n"
    "        submod_1 = self.submod_1(cache, pair, s7)\n"
    "        p: \"f32[s7, 8]\" = submod_1[0]\n"
    "        e: \"f32[s7, 3]\" = submod_1[1];  submod_1 = None\n"
    "        submod_2 = self.submod_2(a, w_b, s7)\n"
    "        b: \"f32[s7, 8]\" = submod_2[0];  submod_2 = None\n"
    "        return (b, h, p, e)\n"
    "\n"
    "    class submod_0(torch.nn.Module):\n"
    "        def forward(self, x: \"f32[s7, 8]\", w_a: \"f32[8, 8]\", s7: \"Sym(s7)\"):\n"
    "            y: \"f32[s7, 8]\" = torch._C._nn.linear(x, w_a, None)\n"
    "            z: \"f32[s7, 8]\" = torch.ops.demo.scale(y, 'layers.0', 3, 0.5)\n"
    "            v: \"f32[s7, 4]\" = z[(slice(None, None, None), slice(0, 4, None))]\n"
    "            return (z, v)\n"
    "\n"
    "    class submod_1(torch.nn.Module):\n"
    "        def forward(self, cache: \"f32[16, 8]\", pair: \"f32[s7, 2, 8]\", s7: \"Sym(s7)\"):\n"
    "            c: \"f32[16, 8]\" = cache.add_(1.0)\n"
    "            p: \"f32[s7, 8]\" = pair[(slice(None, None, None), 1)]\n"
    "            e: \"f32[s7, 3]\" = torch.empty([s7, 3], dtype = torch.float32, device = device(type='cpu'))\n"
    "            return (p, e)\n"
    "\n"
    "    class submod_2(torch.nn.Module):\n"
    "        def forward(self, q: \"f32[s7, 8]\", w_b: \"f32[8, 8]\", s7: \"Sym(s7)\"):\n"
    "            r: \"f32[s7, 8]\" = torch._C._nn.linear(q, w_b, None)\n"
    "            t: \"f32[s7, 8]\" = torch.ops.demo.scale(r, 'layers.1', 4, 0.25)\n"
    "            u: \"f32[s7, 4]\" = t[(slice(None, None, None), slice(0, 4, None))]\n"
    "            return (t, u)\n";

static jitc_context *ctx;
static jitc_model *model;

static jitc_context *open_context(void) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    return ctx;
}

static jitc_model *build(const jitc_model_options *o) {
    jitc_graph *graph;
    ck_assert_msg(jitc_graph_read(ctx, "executable.py", text, sizeof text - 1, &graph) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &graph, 1, o, &model) == JITC_OK, "%s", jitc_context_error(ctx));
    return model;
}

static void setup(void) {
    static const char *const pair[] = { "20", "10", "1" };
    static const jitc_strides strides[] = { { "pair", 3, pair } };
    static const jitc_range ranges[] = { { "s7", 1, 1 }, { "s7", 2, 512 } };
    open_context();
    build(&(jitc_model_options){ .struct_size = sizeof(jitc_model_options), .arch = "host", .strides = strides, .nstrides = 1,
                                 .ranges = ranges, .nranges = 2 });
}

static void teardown(void) {
    jitc_context_free(ctx);
}

static const jitc_executable *class_of(jitc_model *m, uint32_t cls) {
    const jitc_executable *exe;
    ck_assert_msg(jitc_model_executable(m, cls, &exe) == JITC_OK, "%s", jitc_context_error(ctx));
    return exe;
}

/* "f32[s7, 8] strides 8 1 ..." */
static const char *describe(uint32_t tag, uint32_t rank, const char *type, const char *const *strides, const char *value) {
    static char out[256];
    int n = snprintf(out, sizeof out, "%s", type);
    for (uint32_t d = 0; tag == JITC_TENSOR && d < rank; d++)
        n += snprintf(out + n, sizeof out - (size_t)n, " %s", strides[d]);
    if (value)
        snprintf(out + n, sizeof out - (size_t)n, " = %s", value);
    return out;
}

START_TEST(infos) {
    jitc_executable_info a = { .struct_size = sizeof a }, b = a;
    jitc_piece_info piece = { .struct_size = sizeof piece };
    ck_assert_uint_eq(jitc_model_classes(model), 2);
    ck_assert_int_eq(jitc_executable_get_info(class_of(model, 0), &a), JITC_OK);
    ck_assert_int_eq(jitc_executable_get_info(class_of(model, 1), &b), JITC_OK);
    ck_assert_ptr_eq(class_of(model, 0), class_of(model, 0));
    ck_assert_str_eq(a.name, "submod_0");
    ck_assert_str_eq(b.name, "submod_1");
    ck_assert_uint_eq(a.members, 2);
    ck_assert_uint_eq(b.members, 1);
    ck_assert_uint_eq(b.piece, 1);
    ck_assert(a.compiled && !a.splitting);
    ck_assert_uint_eq(a.nparams, 5); /* x, w and three literals; s7 is no input of its own, since nothing uses it but x's dims */
    ck_assert_uint_eq(a.nresults, 2);
    ck_assert_uint_eq(a.nsymbols, 1);
    ck_assert_uint_eq(a.nvariants, 2);
    ck_assert_int_eq(jitc_model_piece_info(model, 2, &piece), JITC_OK);
    ck_assert_str_eq(a.key, piece.key);
    const jitc_executable *none = class_of(model, 0);
    ck_assert_int_eq(jitc_model_executable(model, 2, &none), JITC_E_USAGE);
    ck_assert_ptr_null(none);
    ck_assert_str_eq(jitc_context_error(ctx), "class 2 of a model with 2 classes");
}
END_TEST

typedef struct want_param {
    uint32_t cls;
    const char *name, *text;
    uint32_t tag, alignment;
    bool written, literal;
} want_param;

/* In the order of first use. */
static const want_param want_params[] = {
    { 0, "x", "f32[s7, 8] 8 1", JITC_TENSOR, 16, false, false },
    { 0, "w_a", "f32[8, 8] 8 1", JITC_TENSOR, 16, false, false },
    { 0, "", "LayerName", JITC_NAME, 0, false, true },
    { 0, "", "int", JITC_INT, 0, false, true },
    { 0, "", "float", JITC_FLOAT, 0, false, true },
    { 1, "cache", "f32[16, 8] 8 1", JITC_TENSOR, 16, true, false },
    { 1, "pair", "f32[s7, 2, 8][20, 10, 1] 20 10 1", JITC_TENSOR, 16, false, false },
};

START_TEST(params) {
    uint32_t at[2] = { 0, 0 };
    for (size_t i = 0; i < sizeof want_params / sizeof *want_params; i++) {
        const want_param *w = &want_params[i];
        jitc_executable_param p = { .struct_size = sizeof p };
        jitc_status status = jitc_executable_get_param(class_of(model, w->cls), at[w->cls]++, &p);
        ck_assert_msg(status == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_str_eq(p.name, w->name);
        ck_assert_str_eq(describe(p.tag, p.rank, p.type, p.strides, p.value), w->text);
        ck_assert_uint_eq(p.tag, w->tag);
        ck_assert_uint_eq(p.alignment, w->alignment);
        ck_assert(p.written == w->written && p.literal == w->literal);
        if (p.tag == JITC_TENSOR) {
            ck_assert_uint_eq(p.dtype.code, kDLFloat);
            ck_assert_uint_eq(p.dtype.bits, 32);
            ck_assert_uint_eq(p.dtype.lanes, 1);
            ck_assert_str_eq(p.dims[p.rank - 1], "8");
        }
    }
    for (uint32_t c = 0; c < 2; c++) {
        jitc_executable_info info = { .struct_size = sizeof info };
        jitc_executable_param p = { .struct_size = sizeof p };
        jitc_executable_get_info(class_of(model, c), &info);
        ck_assert_uint_eq(info.nparams, at[c]);
        ck_assert_int_eq(jitc_executable_get_param(class_of(model, c), at[c], &p), JITC_E_USAGE);
    }
}
END_TEST

START_TEST(results) {
    static const struct {
        uint32_t cls;
        const char *text;
        uint32_t tag, view_of, storage;
        bool undefined;
    } want[] = {
        { 0, "f32[s7, 8] 8 1", JITC_TENSOR, JITC_NO_PARAM, 0, false },
        { 0, "f32[s7, 4][8, 1] 8 1", JITC_TENSOR, JITC_NO_PARAM, 0, false },
        { 1, "f32[s7, 8][20, 1] 20 1", JITC_TENSOR, 1, 0, false },
        { 1, "f32[s7, 3] 3 1", JITC_TENSOR, JITC_NO_PARAM, 1, true },
    };
    uint32_t at[2] = { 0, 0 };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        jitc_executable_result r = { .struct_size = sizeof r };
        jitc_status status = jitc_executable_get_result(class_of(model, want[i].cls), at[want[i].cls]++, &r);
        ck_assert_msg(status == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_str_eq(describe(r.tag, r.rank, r.type, r.strides, r.value), want[i].text);
        ck_assert_uint_eq(r.tag, want[i].tag);
        ck_assert_uint_eq(r.view_of, want[i].view_of);
        ck_assert_uint_eq(r.storage, want[i].storage);
        ck_assert(r.undefined == want[i].undefined);
    }
}
END_TEST

START_TEST(symbols_and_variants) {
    jitc_executable_symbol s = { .struct_size = sizeof s };
    jitc_executable_variant one = { .struct_size = sizeof one }, many = one;
    const jitc_executable *exe = class_of(model, 0);
    ck_assert_int_eq(jitc_executable_get_symbol(exe, 0, &s), JITC_OK);
    ck_assert_str_eq(s.name, "s7");
    ck_assert_int_eq(s.lo, 1);
    ck_assert_int_eq(s.hi, 512);
    ck_assert_uint_eq(s.param, 0);
    ck_assert_int_eq(s.dim, 0);
    ck_assert(!s.stride);
    ck_assert_int_eq(jitc_executable_get_symbol(exe, 1, &s), JITC_E_USAGE);
    ck_assert_int_eq(jitc_executable_get_variant(exe, 0, &one), JITC_OK);
    ck_assert_int_eq(jitc_executable_get_variant(exe, 1, &many), JITC_OK);
    ck_assert_int_eq(one.lo[0], 1);
    ck_assert_int_eq(one.hi[0], 1);
    ck_assert_int_eq(many.lo[0], 2);
    ck_assert_int_eq(many.hi[0], 512);
    ck_assert_uint_ge(one.launches, 1);
    ck_assert_uint_ge(one.kernels, 1);
    ck_assert_uint_eq(one.calls, 1);
    ck_assert(!one.hit);
    ck_assert_uint_gt(one.bytes, 0);
}
END_TEST

/* What each member supplies, literals as values. */
START_TEST(inputs) {
    static const struct {
        uint32_t piece;
        const char *name;
        int64_t i;
        double f;
    } want[] = { { 0, "layers.0", 3, 0.5 }, { 2, "layers.1", 4, 0.25 } };
    jitc_piece_input in[5];
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(jitc_piece_inputs(model, want[i].piece, in, 5), JITC_OK);
        ck_assert_uint_eq(in[0].param, 0);
        ck_assert_uint_eq(in[1].param, 1);
        ck_assert_uint_eq(in[2].param, JITC_NO_PARAM);
        ck_assert_uint_eq(in[2].literal.tag, JITC_NAME);
        ck_assert_str_eq(jitc_layer_name_text(in[2].literal.name), want[i].name);
        ck_assert_ptr_eq(in[2].literal.name, jitc_layer_name_intern(ctx, want[i].name, NULL));
        ck_assert_uint_eq(in[3].literal.tag, JITC_INT);
        ck_assert_int_eq(in[3].literal.i, want[i].i);
        ck_assert_uint_eq(in[4].literal.tag, JITC_FLOAT);
        ck_assert(in[4].literal.f == want[i].f);
    }
    ck_assert_int_eq(jitc_piece_inputs(model, 0, in, 4), JITC_E_USAGE);
    ck_assert_str_eq(jitc_context_error(ctx), "the class of submod_0 has 5 parameters, there is room for 4");
    ck_assert_int_eq(jitc_piece_inputs(model, 3, in, 5), JITC_E_USAGE);
}
END_TEST

/* ---- running a class -------------------------------------------------------------------------------------------- */

static const jitc_layer_name *last_layer;

/* demo::scale(Tensor x, LayerName layer, int n, float f) -> Tensor: x * n * f */
static int scale(jitc_call *call, const DLTensor *x, const jitc_layer_name *layer, int64_t n, double f, DLTensor *out) {
    const float *from = x->data;
    float *to = out->data;
    (void)call;
    last_layer = layer;
    for (int64_t i = 0; i < x->shape[0] * x->shape[1]; i++)
        to[i] = from[i] * (float)n * (float)f;
    return 0;
}

/* A member's values in the order of the class: X and W are the piece's first two parameters. */
static void values_of(uint32_t piece, DLTensor *x, DLTensor *w, jitc_value values[5]) {
    const jitc_value own[2] = { { .tag = JITC_TENSOR, .tensor = x }, { .tag = JITC_TENSOR, .tensor = w } };
    jitc_piece_input in[5];
    ck_assert_int_eq(jitc_piece_inputs(model, piece, in, 5), JITC_OK);
    for (int i = 0; i < 5; i++)
        values[i] = in[i].param == JITC_NO_PARAM ? in[i].literal : own[in[i].param];
}

START_TEST(run_by_class) {
    static float x[16], w[64], mine[16];
    int64_t rows[2] = { 2, 8 }, square[2] = { 8, 8 };
    DLTensor xt = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = rows };
    DLTensor wt = xt, own = xt;
    jitc_value values[5], got[2] = { { .tag = JITC_NONE }, { .tag = JITC_NONE } };
    jitc_op_options op = { .struct_size = sizeof op };
    const jitc_executable *exe = class_of(model, 0);
    jitc_frame *frame;
    wt.data = w;
    wt.shape = square;
    own.data = mine;
    for (int i = 0; i < 16; i++)
        x[i] = (float)i;
    for (int i = 0; i < 8; i++)
        w[9 * i] = 2;
    ck_assert_int_eq(jitc_op_register(ctx, "demo::scale(Tensor x, LayerName layer, int n, float f) -> Tensor",
                                      (jitc_plain_function)scale, &op), JITC_OK);
    ck_assert_int_eq(jitc_frame_new(model, NULL, &frame), JITC_OK);
    values_of(0, &xt, &wt, values);
    ck_assert_msg(jitc_executable_run(exe, frame, NULL, values, 5, got, 2) == JITC_OK, "%s", jitc_context_error(ctx));
    for (int i = 0; i < 16; i++) /* 2 x, times 3 * 0.5 */
        ck_assert(((const float *)got[0].tensor->data)[i] == 3 * x[i]);
    ck_assert_str_eq(jitc_layer_name_text(last_layer), "layers.0");
    ck_assert_int_eq(got[1].tensor->shape[1], 4);
    ck_assert_ptr_eq(got[1].tensor->data, got[0].tensor->data);
    values_of(2, &xt, &wt, values);
    got[0] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &own }; /* into the caller's memory */
    got[1] = (jitc_value){ .tag = JITC_NONE };
    ck_assert_msg(jitc_executable_run(exe, frame, NULL, values, 5, got, 2) == JITC_OK, "%s", jitc_context_error(ctx));
    for (int i = 0; i < 16; i++) /* times 4 * 0.25 */
        ck_assert(mine[i] == 2 * x[i]);
    ck_assert_str_eq(jitc_layer_name_text(last_layer), "layers.1");
    ck_assert_int_eq(jitc_executable_run(exe, frame, NULL, values, 4, got, 2), JITC_E_USAGE);
    ck_assert_str_ne(jitc_context_error(ctx), "");
    jitc_model *old = model;
    build(NULL);
    ck_assert_int_eq(jitc_executable_run(class_of(model, 0), frame, NULL, values, 5, got, 2), JITC_E_USAGE);
    ck_assert_str_eq(jitc_context_error(ctx), "the frame is of another model than submod_0");
    jitc_frame_free(frame);
    jitc_model_free(old);
}
END_TEST

/* ---- memory ----------------------------------------------------------------------------------------------------- */

START_TEST(memory) {
    const jitc_symbol five = { "s7", 5 }, all = { NULL, 5 }, other = { "s8", 5 }, large = { "s7", 513 };
    jitc_memory m = { .struct_size = sizeof m };
    uint64_t bytes[2] = { 9, 9 };
    ck_assert_msg(jitc_executable_memory(class_of(model, 0), &five, 1, &m, bytes, 2) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_uint_eq(bytes[0], 5 * 8 * 4);
    ck_assert_uint_eq(bytes[1], 0); /* a part of the first */
    ck_assert_uint_eq(m.results, 160);
    ck_assert_uint_ge(m.scratch, 160); /* what demo::scale reads */
    ck_assert_uint_le(m.scratch, 512);
    ck_assert_uint_ge(m.copies, 160 + 256); /* x and w */
    ck_assert_uint_le(m.copies, 160 + 256 + 512);
    ck_assert_int_eq(jitc_executable_memory(class_of(model, 1), &all, 1, &m, bytes, 2), JITC_OK);
    ck_assert_uint_eq(bytes[0], 0); /* a view of an input */
    ck_assert_uint_eq(bytes[1], 5 * 3 * 4);
    ck_assert_uint_eq(m.scratch, 0);
    ck_assert_int_eq(jitc_executable_memory(class_of(model, 1), &all, 1, &m, NULL, 0), JITC_OK);
    ck_assert_int_eq(jitc_executable_memory(class_of(model, 0), NULL, 0, &m, NULL, 0), JITC_E_USAGE);
    ck_assert_str_eq(jitc_context_error(ctx), "there is no value for symbol s7 of submod_0");
    ck_assert_int_eq(jitc_executable_memory(class_of(model, 0), &other, 1, &m, NULL, 0), JITC_E_USAGE);
    ck_assert_int_eq(jitc_executable_memory(class_of(model, 0), &large, 1, &m, NULL, 0), JITC_E_INPUT);
    ck_assert_int_eq(jitc_executable_memory(class_of(model, 0), &five, 1, &m, bytes, 1), JITC_E_USAGE);
}
END_TEST

typedef struct meter {
    uint64_t bytes;
} meter;

static void *take(void *user, size_t size, void *stream) {
    meter *m = user;
    (void)stream;
    m->bytes += size;
    return aligned_alloc(256, (size + 255) / 256 * 256);
}

static void give(void *user, void *block, size_t size, void *stream) {
    (void)user;
    (void)size;
    (void)stream;
    free(block);
}

/* What is said is what a frame then takes. */
START_TEST(memory_of_model) {
    static const uint32_t flags[] = { JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS, JITC_RESERVE_PIECES | JITC_RESERVE_RESULTS,
                                      JITC_RESERVE_CLASSES | JITC_RESERVE_UNALIGNED };
    const jitc_symbol symbols = { "s7", 100 };
    jitc_op_options op = { .struct_size = sizeof op };
    ck_assert_int_eq(jitc_op_register(ctx, "demo::scale(Tensor x, LayerName layer, int n, float f) -> Tensor",
                                      (jitc_plain_function)scale, &op), JITC_OK);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        meter m = { 0 };
        jitc_frame_options o = { .struct_size = sizeof o, .alloc = take, .free = give, .user = &m };
        jitc_frame *frame;
        uint64_t bytes = 0;
        ck_assert_msg(jitc_model_memory(model, &symbols, 1, flags[i], &bytes) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_int_eq(jitc_frame_new(model, &o, &frame), JITC_OK);
        ck_assert_int_eq(jitc_frame_reserve(frame, &symbols, 1, flags[i], NULL), JITC_OK);
        ck_assert_uint_eq(bytes, m.bytes);
        ck_assert_uint_ge(bytes, 100 * 8 * 4);
        jitc_frame_free(frame);
    }
}
END_TEST

/* ---- strides from examples -------------------------------------------------------------------------------------- */

static const char strided_text[] =
    "class M(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", s1: \"Sym(s1)\", x: \"f32[s0, s1, 8]\"):\n"
    "        y: \"f32[s0, s1, 8]\" = x * 2\n"
    "        return (y,)\n";

typedef struct strided_row {
    const char *name;
    int64_t shape[3], strides[3];
    const char *want; /* strides of the parameter; NULL: refused */
} strided_row;

static const strided_row strided_rows[] = {
    { "contiguous", { 3, 5, 8 }, { 40, 8, 1 }, "8*s1 8 1" },
    { "the first two exchanged", { 3, 5, 8 }, { 8, 24, 1 }, "8 8*s0 1" },
    { "all turned round", { 3, 5, 8 }, { 1, 3, 15 }, "1 s0 s0*s1" },
    { "rows of a wider buffer", { 3, 5, 8 }, { 80, 16, 1 }, "16*s1 16 1" },
    { "room after each batch", { 3, 5, 8 }, { 64, 8, 1 }, "64 8 1" },
    { "every second element", { 3, 5, 8 }, { 80, 16, 2 }, "16*s1 16 2" },
    { "expanded", { 3, 5, 8 }, { 0, 8, 1 }, "0 8 1" },
    { "expanded within", { 3, 5, 8 }, { 8, 0, 1 }, "8 0 1" },
    { "one token, as frameworks stride it", { 1, 5, 8 }, { 40, 8, 1 }, "8*s1 8 1" },
    { "one token of anything", { 1, 5, 8 }, { 7, 8, 1 }, "8*s1 8 1" },
    { "one element, whose stride says nothing", { 3, 1, 8 }, { 8, 99, 1 }, "8*s1 8 1" },
    { "no token", { 0, 5, 8 }, { 40, 8, 1 }, NULL },
    { "another width", { 3, 5, 9 }, { 45, 9, 1 }, NULL },
};

START_TEST(examples) {
    const strided_row *row = &strided_rows[_i];
    int64_t shape[3], strides[3];
    DLTensor x = { .device = { kDLCPU, 0 }, .ndim = 3, .dtype = { kDLFloat, 32, 1 }, .shape = shape, .strides = strides };
    const DLTensor *list[3] = { NULL, NULL, &x };
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .split_only = true, .examples = list, .nexamples = 3 };
    jitc_graph *g;
    jitc_model *m;
    memcpy(shape, row->shape, sizeof shape);
    memcpy(strides, row->strides, sizeof strides);
    ck_assert_int_eq(jitc_graph_read(ctx, "strided.py", strided_text, sizeof strided_text - 1, &g), JITC_OK);
    jitc_status status = jitc_model_build(ctx, &g, 1, &o, &m);
    if (!row->want) {
        ck_assert_msg(status == JITC_E_INPUT && strstr(jitc_context_error(ctx), "'x'"), "%s: %s", row->name, jitc_context_error(ctx));
        return;
    }
    ck_assert_msg(status == JITC_OK, "%s: %s", row->name, jitc_context_error(ctx));
    jitc_executable_param p = { .struct_size = sizeof p };
    char got[96];
    ck_assert_int_eq(jitc_executable_get_param(class_of(m, 0), 0, &p), JITC_OK);
    snprintf(got, sizeof got, "%s %s %s", p.strides[0], p.strides[1], p.strides[2]);
    ck_assert_msg(strcmp(got, row->want) == 0, "%s: %s", row->name, got);
}
END_TEST

/* Runs with tensors of the layout at other sizes, and with no other layout; what `strides` says has the last word. */
START_TEST(examples_at_work) {
    static float data[4096];
    static const char *const said[] = { "8*s1", "8", "1" };
    static const jitc_strides entry = { "x", 3, said };
    int64_t shape[3] = { 3, 5, 8 }, strides[3] = { 8, 24, 1 };
    DLTensor x = { .data = data, .device = { kDLCPU, 0 }, .ndim = 3, .dtype = { kDLFloat, 32, 1 }, .shape = shape, .strides = strides };
    const DLTensor *list[3] = { NULL, NULL, &x };
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .examples = list, .nexamples = 3 };
    jitc_value in[3] = { { .tag = JITC_INT, .i = 7 }, { .tag = JITC_INT, .i = 4 }, { .tag = JITC_TENSOR, .tensor = &x } }, out;
    jitc_graph *g;
    jitc_model *m;
    for (int strict = 0; strict < 2; strict++) {
        ck_assert_int_eq(jitc_graph_read(ctx, "strided.py", strided_text, sizeof strided_text - 1, &g), JITC_OK);
        shape[0] = 3;
        shape[1] = 5;
        strides[1] = 24;
        o.strides = &entry;
        o.nstrides = (uint32_t)strict;
        ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
        shape[0] = 7;
        shape[1] = 4;
        strides[1] = 56;
        for (int i = 0; i < 4096; i++)
            data[i] = (float)i;
        jitc_status status = jitc_model_run(m, 0, NULL, in, 3, &out, 1);
        ck_assert_msg(status == (strict ? JITC_E_INPUT : JITC_OK), "%s", jitc_context_error(ctx));
        for (int i = 0; i < 7 && !strict; i++)
            for (int j = 0; j < 4; j++)
                ck_assert(((float *)out.tensor->data)[i * out.tensor->strides[0] + j * out.tensor->strides[1] + 5] ==
                          2 * (float)(i * 8 + j * 56 + 5));
    }
    ck_assert_int_eq(jitc_graph_read(ctx, "strided.py", strided_text, sizeof strided_text - 1, &g), JITC_OK);
    o.nexamples = 2;
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, &o, &m), JITC_E_USAGE);
    ck_assert_str_eq(jitc_context_error(ctx), "2 examples are given; the graphs have 3 parameters");
}
END_TEST

int main(void) {
    Suite *s = suite_create("executable");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, infos);
    tcase_add_test(c, params);
    tcase_add_test(c, results);
    tcase_add_test(c, symbols_and_variants);
    tcase_add_test(c, inputs);
    tcase_add_test(c, run_by_class);
    tcase_add_test(c, memory);
    tcase_add_test(c, memory_of_model);
    tcase_add_loop_test(c, examples, 0, sizeof strided_rows / sizeof *strided_rows);
    tcase_add_test(c, examples_at_work);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
