/*
 * tests/check_service.c - the compile service and dispatch: ranges, what is known and what is not, Triton launches, memory.
 *
 * Everything runs on `host`; the numbers are worked out by hand.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit/api/model.h"
#include "jitc/bundle.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define HEAD "class GraphModule(torch.nn.Module):\n    def forward(self, "
#define COLUMNS 8
#define MAX_ROWS 100

/* --- the world --- */

typedef struct seen {
    int64_t kernel, constants, grid[3], n;
    double eps;
    uint32_t ngrid, nlaunch;
    char launch[16];
} seen;
static seen launches[4];
static unsigned nlaunches;
static int64_t cut_strides[8][2];
static const float *cut_data[8];
static unsigned ncuts;

static float *data(const DLTensor *t) {
    return (float *)((char *)t->data + t->byte_offset);
}

static int64_t stride(const DLTensor *t, int d) {
    return t->strides ? t->strides[d] : d + 1 < t->ndim ? t->shape[d + 1] : 1;
}

/* y = x + 100 */
static int cut(jitc_call *call, const DLTensor *x, DLTensor *y) {
    (void)call;
    if (ncuts < COUNT(cut_data)) {
        cut_data[ncuts] = data(x);
        cut_strides[ncuts][0] = stride(x, 0);
        cut_strides[ncuts++][1] = stride(x, 1);
    }
    for (int64_t i = 0; i < x->shape[0]; i++)
        for (int64_t k = 0; k < x->shape[1]; k++)
            data(y)[i * y->shape[1] + k] = data(x)[i * stride(x, 0) + k * stride(x, 1)] + 100;
    return 0;
}

static const jitc_value *argument(const jitc_call *c, const char *key) {
    for (uint32_t i = 0; i < c->nargs; i++)
        if (c->keys && c->keys[i] && strcmp(c->keys[i], key) == 0)
            return &c->args[i];
    ck_abort_msg("the launch has no argument '%s'", key);
    return NULL;
}

static const jitc_value *parameter(const jitc_value *kwargs, const char *key) {
    ck_assert_uint_eq(kwargs->tag, JITC_DICT);
    for (uint32_t i = 0; i < kwargs->n; i++)
        if (strcmp(kwargs->dict[i].key, key) == 0)
            return &kwargs->dict[i].value;
    ck_abort_msg("the kernel has no parameter '%s'", key);
    return NULL;
}

/* out = x * w + kernel index + eps, by the names of the parameters. */
static int triton(jitc_call *c) {
    const jitc_value *kwargs = argument(c, "kwargs"), *grid = argument(c, "grid"), *launch = argument(c, "launch_kwargs");
    seen s = { .kernel = argument(c, "kernel_idx")->i, .constants = argument(c, "constant_args_idx")->i,
               .n = parameter(kwargs, "n")->i, .eps = parameter(kwargs, "eps")->f, .ngrid = grid->n, .nlaunch = launch->n };
    ck_assert_uint_eq(argument(c, "kernel_idx")->tag, JITC_INT);
    ck_assert_uint_eq(argument(c, "tma_descriptor_metadata")->tag, JITC_DICT);
    ck_assert_uint_eq(argument(c, "tma_descriptor_metadata")->n, 0);
    ck_assert(grid->tag == JITC_LIST && grid->n == 1 && grid->list[0].tag == JITC_LIST && grid->list[0].n == 3);
    for (int d = 0; d < 3; d++)
        s.grid[d] = grid->list[0].list[d].i;
    ck_assert(launch->tag == JITC_LIST && launch->n == 1);
    snprintf(s.launch, sizeof s.launch, "%s",
             launch->list[0].tag == JITC_STR ? launch->list[0].str : jitc_layer_name_text(launch->list[0].name));
    const DLTensor *x = parameter(kwargs, "x_ptr")->tensor, *w = parameter(kwargs, "w_ptr")->tensor;
    DLTensor *out = parameter(kwargs, "out_ptr")->tensor;
    for (int64_t i = 0; i < x->shape[0]; i++)
        for (int64_t k = 0; k < COLUMNS; k++)
            data(out)[i * COLUMNS + k] = data(x)[i * stride(x, 0) + k] * data(w)[k] + (float)s.kernel + (float)s.eps;
    if (nlaunches < COUNT(launches))
        launches[nlaunches++] = s;
    return 0;
}

static char lines[64][512];
static unsigned nlines;

static void keep_line(void *user, const char *line) {
    (void)user;
    if (nlines < COUNT(lines))
        snprintf(lines[nlines++], sizeof lines[0], "%s", line);
}

static bool said(const char *a, const char *b) {
    for (unsigned i = 0; i < nlines; i++)
        if (strstr(lines[i], a) && strstr(lines[i], b))
            return true;
    return false;
}

static jitc_context *context(const char *cache, const char *debug) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = cache, .device = "host", .threads = 2,
                               .log = keep_line, .debug = debug };
    jitc_context *ctx;
    nlaunches = ncuts = nlines = 0;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::cut(Tensor x) -> Tensor", (jitc_plain_function)cut, NULL), JITC_OK);
    ck_assert_int_eq(jitc_op_register_frame(ctx, "higher_order::triton_kernel_wrapper_mutation(...) -> ()", triton, NULL),
                     JITC_OK);
    return ctx;
}

static jitc_status try_build(jitc_context *ctx, const char *text, const jitc_range *ranges, uint32_t n, jitc_model **m) {
    static const char *const split[] = { "cut" };
    jitc_graph *g;
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .split_ops = split, .nsplit_ops = 1,
                             .ranges = ranges, .nranges = n };
    ck_assert_msg(jitc_graph_read(ctx, "t.py", text, strlen(text), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    return jitc_model_build(ctx, &g, 1, &o, m);
}

static jitc_model *build(jitc_context *ctx, const char *text, const jitc_range *ranges, uint32_t n) {
    jitc_model *m;
    ck_assert_msg(try_build(ctx, text, ranges, n, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

static jitc_model_stats stats_of(const jitc_model *m) {
    jitc_model_stats s = { .struct_size = sizeof s };
    jitc_model_get_stats(m, &s);
    return s;
}

/* x[i] = i, with ROWS rows. */
typedef struct input {
    _Alignas(64) float at[MAX_ROWS * 2 * COLUMNS];
    int64_t shape[2], strides[2];
    DLTensor tensor;
} input;

static jitc_value tensor(input *in, int64_t rows, int64_t columns) {
    for (size_t i = 0; i < COUNT(in->at); i++)
        in->at[i] = (float)i;
    in->shape[0] = rows;
    in->shape[1] = in->strides[0] = columns;
    in->strides[1] = 1;
    in->tensor = (DLTensor){ .data = in->at, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { 2, 32, 1 }, .shape = in->shape,
                             .strides = in->strides };
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = &in->tensor };
}

static jitc_value integer(int64_t i) {
    return (jitc_value){ .tag = JITC_INT, .i = i };
}

/* --- ranges --- */

static const char line_text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
                                     "        y: \"f32[s0, 8]\" = x * 2\n"
                                     "        z: \"f32[s0, 8]\" = y + 1\n"
                                     "        return (z,)\n";

static jitc_status run_line(jitc_model *m, int64_t rows) {
    static input in;
    jitc_value values[] = { integer(rows), tensor(&in, rows, COLUMNS) }, out;
    jitc_status status = jitc_model_run(m, 0, NULL, values, 2, &out, 1);
    for (int64_t i = 0; i < rows * COLUMNS && status == JITC_OK; i++)
        ck_assert_msg(data(out.tensor)[i] == 2 * (float)i + 1, "%lld rows: z[%lld] is %g", (long long)rows, (long long)i,
                      data(out.tensor)[i]);
    return status;
}

/* Bit v: variant v of the first class has been loaded, so it has run. */
static unsigned loaded(const jitc_model *m) {
    unsigned bits = 0;
    for (uint32_t v = 0; v < m->classes[0].nvariants; v++)
        bits |= (unsigned)(m->classes[0].variants[v].exec != NULL) << v;
    return bits;
}

/* The single size comes last, and serves first. */
static const jitc_range three[] = { { NULL, 1, 16 }, { NULL, 17, 64 }, { NULL, 1, 1 } };

static const struct {
    int64_t rows;
    unsigned variant;
} dispatches[] = { { 1, 2 }, { 2, 0 }, { 16, 0 }, { 17, 1 }, { 64, 1 }, { 0, 0 } };

static void check_dispatch(jitc_context *ctx, jitc_model *(*make)(jitc_context *)) {
    for (size_t i = 0; i < COUNT(dispatches); i++) {
        jitc_model *m = make(ctx);
        ck_assert_msg(run_line(m, dispatches[i].rows) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_msg(loaded(m) == 1u << dispatches[i].variant, "%lld rows loaded %x", (long long)dispatches[i].rows, loaded(m));
        ck_assert_int_eq(run_line(m, 65), JITC_E_INPUT);
        const char *said_ = jitc_context_error(ctx);
        ck_assert_msg(strstr(said_, "s0 is 65") && strstr(said_, "1 to 16, 17 to 64 and 1"), "%s", said_);
        ck_assert_int_eq(run_line(m, dispatches[i].rows), JITC_OK);
        jitc_model_free(m);
    }
}

static jitc_model *make_three(jitc_context *ctx) {
    return build(ctx, line_text, three, 3);
}

START_TEST(dispatch) {
    jitc_context *ctx = context("", NULL);
    jitc_model *m = make_three(ctx);
    jitc_model_stats s = stats_of(m);
    ck_assert_uint_eq(s.classes, 1);
    ck_assert_uint_eq(s.compiled, 3);
    ck_assert_uint_eq(s.hits, 0);
    const jc_variant *v = m->classes[0].variants;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < a; b++)
            ck_assert(memcmp(&v[a].request.key.hash, &v[b].request.key.hash, sizeof(jc_hash)) != 0);
    check_dispatch(ctx, make_three);
    /* all variants in one model, one after the other */
    for (size_t i = 0; i < COUNT(dispatches); i++)
        ck_assert_int_eq(run_line(m, dispatches[i].rows), JITC_OK);
    ck_assert_uint_eq(loaded(m), 7);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(counted) {
    jitc_context *ctx = context("", NULL);
    const jitc_range more[] = { three[0], three[1], three[2], { NULL, 65, 128 } }, wide = { NULL, 1, 1 << 20 };
    make_three(ctx);
    jitc_model_stats again = stats_of(make_three(ctx)), wider = stats_of(build(ctx, line_text, more, 4)),
                     other = stats_of(build(ctx, line_text, &wide, 1)), twice = stats_of(build(ctx, line_text, &wide, 1));
    ck_assert(again.compiled == 0 && again.hits == 3);
    ck_assert(wider.compiled == 1 && wider.hits == 3);
    ck_assert(other.compiled == 1 && other.hits == 0);
    ck_assert(twice.compiled == 0 && twice.hits == 1);
    jitc_context_free(ctx);
}
END_TEST

/* Sums over what is certainly empty, since its range says so: of a slice that starts behind the only column. */
START_TEST(sums_of_nothing) {
    static const char text[] = "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[2, 1]\"):\n"
                               "        v = x[(Ellipsis, slice(s0, None, None))]\n        u = v * 2.0\n        y: \"f32[2]\" = u.sum(dim = 1)\n"
                               "        z = v.sum(dim = [0, 1])\n        w = torch.reshape(u, (-1,)) + 1.0\n        return (y, z, w)\n";
    const jitc_range one = { "s0", 1, 1 };
    int64_t shape[] = { 2, 1 };
    float data[2] = { 3, 4 };
    DLTensor x = { .data = data, .device = { .device_type = kDLCPU }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value values[] = { integer(1), { .tag = JITC_TENSOR, .tensor = &x } }, out[3] = { 0 };
    jitc_context *ctx = context("", NULL);
    jitc_model *m = build(ctx, text, &one, 1);
    ck_assert_msg(jitc_model_run(m, 0, NULL, values, 2, out, 3) == JITC_OK, "%s", jitc_context_error(ctx));
    const float *y = out[0].tensor->data, *z = out[1].tensor->data;
    ck_assert(y[0] == 0 && y[1] == 0 && z[0] == 0);
    ck_assert_int_eq(out[2].tensor->shape[0], 0);
    jitc_context_free(ctx);
}
END_TEST

/* Compiled for nothing at all: what has a value then is built. */
START_TEST(only_nothing) {
    static const char text[] = "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0]\"):\n"
                               "        y: \"f32[s0]\" = torch.nn.functional.softmax(x, dim = -1)\n        return (y,)\n";
    const jitc_range none = { "s0", 0, 0 };
    int64_t shape[] = { 0 };
    DLTensor x = { .device = { .device_type = kDLCPU }, .ndim = 1, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value values[] = { integer(0), { .tag = JITC_TENSOR, .tensor = &x } }, out = { 0 };
    jitc_context *ctx = context("", NULL);
    jitc_model *m = build(ctx, text, &none, 1);
    ck_assert_msg(jitc_model_run(m, 0, NULL, values, 2, &out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(out.tensor->shape[0], 0);
    jitc_context_free(ctx);
}
END_TEST

/* A list with one entry twice, and one symbol's own ranges before those for all. */
START_TEST(which_ranges) {
    jitc_context *ctx = context("", NULL);
    const jitc_range own[] = { { NULL, 1, 4 }, { "s0", 1, 16 }, { NULL, 5, 8 }, { "s0", 1, 16 } };
    jitc_model *m = build(ctx, line_text, own, 4);
    ck_assert_uint_eq(m->classes[0].nvariants, 1);
    ck_assert_int_eq(m->classes[0].variants[0].request.lo[0], 1);
    ck_assert_int_eq(m->classes[0].variants[0].request.hi[0], 16);
    jitc_context_free(ctx);
}
END_TEST

static const char two_text[] = HEAD "s0: \"Sym(s0)\", s1: \"Sym(s1)\", x: \"f32[s0, s1]\"):\n"
                                    "        z: \"f32[s0, s1]\" = x + 1\n"
                                    "        return (z,)\n";

START_TEST(product) {
    jitc_context *ctx = context("", NULL);
    const jitc_range ranges[] = { { "s0", 1, 4 }, { "s0", 5, 9 }, { "s1", 1, 3 }, { "s1", 4, 8 }, { "s1", 2, 2 } };
    static const int64_t sizes[][2] = { { 3, 1 }, { 3, 5 }, { 4, 2 }, { 5, 3 }, { 9, 8 }, { 6, 2 } };
    jitc_model *m = build(ctx, two_text, ranges, 5);
    ck_assert_uint_eq(m->classes[0].nvariants, 6);
    for (unsigned i = 0; i < 6; i++) {
        input in;
        jitc_value values[] = { integer(sizes[i][0]), integer(sizes[i][1]), tensor(&in, sizes[i][0], sizes[i][1]) }, out;
        ck_assert_msg(jitc_model_run(m, 0, NULL, values, 3, &out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_msg(loaded(m) == (2u << i) - 1, "after %u: %x", i, loaded(m)); /* in the order of the table */
        for (int64_t k = 0; k < sizes[i][0] * sizes[i][1]; k++)
            ck_assert(data(out.tensor)[k] == (float)k + 1);
    }
    input in;
    jitc_value values[] = { integer(3), integer(9), tensor(&in, 3, 9) }, out;
    ck_assert_int_eq(jitc_model_run(m, 0, NULL, values, 3, &out, 1), JITC_E_INPUT);
    ck_assert_msg(strstr(jitc_context_error(ctx), "s1 is 9") && strstr(jitc_context_error(ctx), "1 to 3, 4 to 8 and 2"),
                  "%s", jitc_context_error(ctx));
    jitc_context_free(ctx);
}
END_TEST

START_TEST(too_many) {
    jitc_context *ctx = context("", NULL);
    jitc_range ranges[18];
    jitc_model *m;
    for (int i = 0; i < 9; i++) {
        ranges[i] = (jitc_range){ "s0", 1 + i, 1 + i };
        ranges[9 + i] = (jitc_range){ "s1", 1 + i, 1 + i };
    }
    ck_assert_int_eq(try_build(ctx, two_text, ranges, 18, &m), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "64"), "%s", jitc_context_error(ctx));
    ck_assert_uint_eq(build(ctx, two_text, ranges, 16)->classes[0].nvariants, 63);
    jitc_context_free(ctx);
}
END_TEST

/* Two members whose symbols have other names and other ranges: one range each makes one over both, several are all there. */
START_TEST(members) {
    static const char text[] = HEAD "s0: \"Sym(s0)\", s1: \"Sym(s1)\", x: \"f32[s0, 8]\", z: \"f32[s1, 8]\"):\n"
                                    "        a: \"f32[s0, 8]\" = x * 2\n"
                                    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(a)\n"
                                    "        c: \"f32[s1, 8]\" = z * 2\n"
                                    "        return (b, c)\n";
    const jitc_range one[] = { { "s0", 2, 8 }, { "s1", 1, 4 } }, several[] = { { "s0", 1, 8 }, { "s1", 1, 4 }, { "s1", 5, 9 } };
    jitc_context *ctx = context("", NULL);
    jitc_model *m = build(ctx, text, one, 2);
    ck_assert_uint_eq(m->pieces[0].cls, m->pieces[2].cls);
    ck_assert_uint_eq(m->classes[0].nvariants, 1);
    ck_assert(m->classes[0].ranges[0].at[0].lo == 1 && m->classes[0].ranges[0].at[0].hi == 8);
    m = build(ctx, text, several, 3);
    ck_assert_uint_eq(m->classes[0].nvariants, 3);
    jitc_context_free(ctx);
}
END_TEST

static char bundle[64];

static jitc_model *load_three(jitc_context *ctx) {
    jitc_model *m;
    ck_assert_msg(jitc_bundle_load(ctx, bundle, NULL, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

static size_t slurp(const char *path, uint8_t *out, size_t size) {
    FILE *f = fopen(path, "rb");
    ck_assert(f != NULL);
    size_t n = fread(out, 1, size, f);
    fclose(f);
    return n;
}

START_TEST(bundled) {
    static uint8_t a[1 << 17], b[1 << 17];
    jitc_context *ctx = context("", NULL);
    snprintf(bundle, sizeof bundle, "/tmp/check_service.XXXXXX");
    close(mkstemp(bundle));
    jitc_model *m = make_three(ctx);
    ck_assert_msg(jitc_model_save(m, bundle) == JITC_OK, "%s", jitc_context_error(ctx));
    size_t n = slurp(bundle, a, sizeof a);
    jitc_context_free(ctx);
    ctx = context("", NULL);
    m = load_three(ctx);
    jitc_model_stats s = stats_of(m);
    ck_assert(s.classes == 1 && s.hits == 3 && s.compiled == 0);
    check_dispatch(ctx, load_three);
    ck_assert_int_eq(jitc_model_save(m, bundle), JITC_OK);
    ck_assert_uint_eq(slurp(bundle, b, sizeof b), n);
    ck_assert(memcmp(a, b, n) == 0);
    unlink(bundle);
    jitc_context_free(ctx);
}
END_TEST

/* --- what is known --- */

static uint64_t asked(jitc_context *ctx) {
    jc_cache_stats s;
    jc_cache_get_stats(ctx->cache, &s);
    return s.from[JC_FROM_MEMORY] + s.from[JC_FROM_DISK] + s.from[JC_FROM_BUILD];
}

START_TEST(known) {
    jitc_context *ctx = context("", "cache");
    jitc_model *first = make_three(ctx);
    uint64_t before = asked(ctx);
    nlines = 0;
    jitc_model *second = make_three(ctx);
    ck_assert_uint_eq(asked(ctx), before); /* the cache was not even asked */
    ck_assert(said("cache: class", "known") && !said("cache:", "missing"));
    for (int v = 0; v < 3; v++) {
        const jc_request *a = &first->classes[0].variants[v].request, *b = &second->classes[0].variants[v].request;
        ck_assert(a->artifact == b->artifact && a->nartifact == b->nartifact && b->hit);
        ck_assert(memcmp(&a->key.hash, &b->key.hash, sizeof a->key.hash) == 0);
    }
    jitc_context_free(ctx);
}
END_TEST

/* Same structural hash, other bytes: the full comparison tells them apart. */
START_TEST(collision) {
    jitc_context *ctx = context("", NULL);
    jitc_model *a = build(ctx, line_text, NULL, 0), *b = build(ctx, two_text, NULL, 0);
    const jc_request *of_b = &b->classes[0].variants[0].request;
    jc_canon forged = b->pieces[0].canon;
    jc_request r = *of_b;
    jc_error err = JC_ERROR_INIT;
    forged.hash = a->pieces[0].canon.hash;
    r.canon = &forged;
    r.artifact = NULL;
    ck_assert_int_eq(jc_service_get(ctx->service, &r, 1, NULL, NULL, b->arena, &err), JITC_OK);
    ck_assert_ptr_eq(r.artifact, of_b->artifact); /* by its key, which is of the bytes */
    jitc_context_free(ctx);
}
END_TEST

/* Another class with an equal kernel: the class is compiled, the kernel is not. */
START_TEST(lowering_hits) {
    static const char a_text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
                                      "        y: \"f32[s0, 8]\" = torch.sin(x)\n"
                                      "        return (y,)\n";
    static const char b_text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
                                      "        y: \"f32[s0, 8]\" = torch.sin(x)\n"
                                      "        z: \"f32[s0, 8]\" = torch.ops.test.other(y)\n"
                                      "        return (y, z)\n";
    jitc_context *ctx = context("", "lower");
    jitc_model_stats a = stats_of(build(ctx, a_text, NULL, 0));
    ck_assert(a.compiled == 1 && a.kernels_unique == 1 && a.kernels_compiled == 1 && a.kernels_hit == 0);
    ck_assert(said("lower: class", "sin=native") && said("kernel point_", ": compiled"));
    nlines = 0;
    jitc_model_stats b = stats_of(build(ctx, b_text, NULL, 0));
    ck_assert(b.compiled == 1 && b.kernels_unique == 1 && b.kernels_compiled == 0 && b.kernels_hit == 1);
    ck_assert(said("lower: class", "test::other=host") && said("kernel point_", ": in memory"));
    ck_assert(said("lower: 1 classes compiled", "1 hits, 0 misses"));
    jitc_context_free(ctx);
}
END_TEST

static void remove_tree(const char *dir) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(debug_lines) {
    static const char text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 8]\", w: \"f32[8]\"):\n"
                                    "        a: \"f32[s0, 8]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06, None)\n"
                                    "        b: \"f32[s0, 8]\" = torch.ops.vllm_ir.rms_norm.default(a, w, 1e-06, None)\n"
                                    "        return (b,)\n";
    char dir[] = "/tmp/check_service.XXXXXX";
    ck_assert(mkdtemp(dir) != NULL);
    jitc_context *ctx = context(dir, "pass,lower,cache,time");
    build(ctx, text, NULL, 0);
    ck_assert(said("lower: class", " rms_norm=native*2"));
    ck_assert(said("pass: class", "decompose and schedule") && said("pass: read", "canonicalise"));
    ck_assert(said("pass: row_", "LLVM"));
    ck_assert(said("cache: class", "missing") && said("stored in /tmp/check_service.", "bytes"));
    ck_assert(said("time: lookup", "total"));
    jitc_context_free(ctx);
    ctx = context(dir, "cache");
    ck_assert_uint_eq(stats_of(build(ctx, text, NULL, 0)).hits, 1);
    ck_assert(said("cache: class", "on disk"));
    jitc_context_free(ctx);
    remove_tree(dir);
}
END_TEST

#define BUILDERS 4
static void *build_one(void *user) {
    jitc_context *ctx = user;
    uint64_t *compiled = malloc(sizeof *compiled);
    *compiled = stats_of(make_three(ctx)).compiled;
    return compiled;
}

START_TEST(threads) {
    jitc_context *ctx = context("", NULL);
    pthread_t ids[BUILDERS];
    uint64_t sum = 0;
    for (int i = 0; i < BUILDERS; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, build_one, ctx), 0);
    for (int i = 0; i < BUILDERS; i++) {
        void *compiled;
        pthread_join(ids[i], &compiled);
        sum += *(uint64_t *)compiled;
        free(compiled);
    }
    ck_assert_uint_eq(sum, 3); /* each variant once, whoever did it */
    jitc_context_free(ctx);
}
END_TEST

/* A model with a class that nobody can compile, and one that another thread compiles at the same time: again and again that class is
   looked for, and the failure is nobody else's. */
static atomic_int stop;

static void *look_and_fail(void *user) {
    static const char text[] = HEAD "x: \"f32[8, 16]\"):\n        s = self.submod_0(x)\n        t = self.submod_1(x)\n"
                               "        return (s, t)\n"
                               "    class submod_0(torch.nn.Module):\n        def forward(self, x: \"f32[8, 16]\"):\n"
                               "            y: \"f32[8, 16]\" = torch.tanh(x)\n            return (y,)\n"
                               "    class submod_1(torch.nn.Module):\n        def forward(self, x: \"f32[8, 16]\"):\n"
                               "            y: \"f32[8, 16]\" = torch.nosuch(x)\n            return (y,)\n";
    jitc_model *m;
    jitc_status status = JITC_E_UNSUPPORTED;
    while (!stop && status == JITC_E_UNSUPPORTED)
        status = try_build(user, text, NULL, 0, &m);
    return (void *)(intptr_t)(status != JITC_E_UNSUPPORTED);
}

START_TEST(lookups_and_builds) {
    static const char text[] = HEAD "x: \"f32[8, 16]\"):\n        y: \"f32[8, 16]\" = torch.tanh(x)\n        return (y,)\n";
    char dir[] = "/tmp/check_service.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int round = 0; round < 40; round++) {
        jitc_context *ctx = context(dir, NULL);
        pthread_t id;
        jitc_model *m;
        void *other;
        stop = 0;
        ck_assert_int_eq(pthread_create(&id, NULL, look_and_fail, ctx), 0);
        jitc_status status = try_build(ctx, text, NULL, 0, &m);
        stop = 1;
        ck_assert_int_eq(pthread_join(id, &other), 0);
        ck_assert_msg(status == JITC_OK, "round %d: %s", round, jitc_context_error(ctx));
        ck_assert_msg(!other, "round %d: the class that cannot be compiled has another failure", round);
        jitc_context_free(ctx);
        remove_tree(dir);
    }
}
END_TEST

/* --- the LLVM that runs --- */

static const char llvm_text[] = HEAD "x: \"f32[8, 16]\"):\n        y: \"f32[8, 16]\" = torch.tanh(x)\n        return (y,)\n";

/* In a process of its own, since the code generator stays open: compiled, hits, and whether there was a warning, as bits. */
static unsigned in_process(const char *dir, const char *module) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        setenv("JITC_LLVM_LIBRARY", module, 1);
        jitc_context *ctx = context(dir, NULL);
        jitc_model *m;
        if (try_build(ctx, llvm_text, NULL, 0, &m) != JITC_OK)
            _exit(64);
        jitc_model_stats s = stats_of(m);
        int bits = (int)(s.compiled | s.hits << 1 | (uint64_t)said("warning", "99.9.9") << 2);
        jitc_context_free(ctx);
        _exit(bits);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return (unsigned)WEXITSTATUS(status);
}

/* The cache keeps apart what two LLVMs made, and neither is opened where there is a hit of the one that libjitc was built for. */
START_TEST(other_llvm) {
    enum { COMPILED = 1, HIT = 2, WARNED = 4 };
    const char *module = getenv("JITC_LLVM_LIBRARY"), *other = TEST_BUILDDIR "/tests/other_llvm.so";
    char dir[] = "/tmp/check_service.XXXXXX";
    if (!module || access(other, R_OK) != 0) {
        fprintf(stderr, "SKIP: JITC_LLVM_LIBRARY is not set, or there is no %s\n", other);
        return;
    }
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("JITC_TEST_MODULE", module, 1);
    ck_assert_uint_eq(in_process(dir, other), COMPILED | WARNED);
    ck_assert_uint_eq(in_process(dir, module), COMPILED); /* what the other made is not for this one */
    ck_assert_uint_eq(in_process(dir, module), HIT);
    ck_assert_uint_eq(in_process(dir, other), HIT); /* made by the one that libjitc was built for: the other is not opened */
    remove_tree(dir);
    ck_assert_ptr_nonnull(mkdtemp(strcpy(dir, "/tmp/check_service.XXXXXX")));
    ck_assert_uint_eq(in_process(dir, other), COMPILED | WARNED);
    ck_assert_uint_eq(in_process(dir, other), HIT | WARNED); /* opened to learn its name, then found under it */
    remove_tree(dir);
}
END_TEST

/* --- Triton launches --- */

#define LAUNCH(name, kernel, constants, x, out, eps)                                                                    \
    "        " out ": \"f32[s0, 8]\" = torch.empty([s0, 8], dtype = torch.float32)\n"                                    \
    "        " name " = torch.ops.higher_order.triton_kernel_wrapper_mutation(kernel_idx = " kernel                     \
    ", constant_args_idx = " constants ", grid = [(s0, 18, 1)], tma_descriptor_metadata = {}, kwargs = {'x_ptr': " x    \
    ", 'w_ptr': w, 'out_ptr': " out ", 'n': s0, 'eps': " eps "}, launch_kwargs = ('BLOCK',));  " name " = None\n"

static const char triton_text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 8]\", w: \"f32[8]\"):\n"
    LAUNCH("t", "3", "5", "x", "a", "0.5")
    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(a)\n"
    LAUNCH("t_1", "8", "6", "b", "c", "0.25")
    "        return (c,)\n";

START_TEST(triton_launches) {
    enum { ROWS = 3 };
    jitc_context *ctx = context("", NULL);
    jitc_model *m = build(ctx, triton_text, NULL, 0);
    ck_assert_uint_eq(m->npieces, 3);
    ck_assert_uint_eq(m->nclasses, 2);
    ck_assert_uint_eq(m->pieces[0].cls, m->pieces[2].cls);
    static input in, weight;
    jitc_value values[] = { integer(ROWS), tensor(&in, ROWS, COLUMNS), tensor(&weight, 1, COLUMNS) }, out;
    weight.tensor.ndim = 1;
    weight.shape[0] = COLUMNS;
    weight.strides[0] = 1;
    for (int again = 0; again < 2; again++) {
        nlaunches = 0;
        ck_assert_msg(jitc_model_run(m, 0, NULL, values, 3, &out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_uint_eq(nlaunches, 2);
        static const seen expected[] = { { 3, 5, { ROWS, 18, 1 }, ROWS, 0.5, 1, 1, "BLOCK" },
                                         { 8, 6, { ROWS, 18, 1 }, ROWS, 0.25, 1, 1, "BLOCK" } };
        for (int l = 0; l < 2; l++) {
            const seen *s = &launches[l], *e = &expected[l];
            ck_assert(s->kernel == e->kernel && s->constants == e->constants && s->n == e->n && s->eps == e->eps);
            ck_assert(memcmp(s->grid, e->grid, sizeof s->grid) == 0 && strcmp(s->launch, e->launch) == 0);
        }
        for (int i = 0; i < ROWS * COLUMNS; i++) { /* a = x w + 3.5; b = a + 100; c = b w + 8.25 */
            float w = (float)(i % COLUMNS), c = ((float)i * w + 3.5f + 100) * w + 8.25f;
            ck_assert_msg(data(out.tensor)[i] == c, "c[%d] is %g, not %g", i, data(out.tensor)[i], c);
        }
    }
    jitc_context_free(ctx);
}
END_TEST

/* --- memory --- */

#define STEP(from, by, to)                                                                                              \
    "        " by ": \"f32[s0, 8]\" = " from " * 2\n        " to ": \"f32[s0, 8]\" = torch.ops.test.cut(" by ")\n"

static const char chain_text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
    STEP("x", "a", "b") STEP("b", "c", "d") STEP("d", "e", "f") STEP("f", "g", "h") STEP("h", "i", "j")
    "        return (j,)\n";

START_TEST(reuse) {
    enum { ROWS = 64, BLOCK = ROWS * COLUMNS * 4 };
    jitc_context *ctx = context("", NULL);
    jitc_model *m = build(ctx, chain_text, NULL, 0);
    static input in;
    jitc_value values[] = { integer(ROWS), tensor(&in, ROWS, COLUMNS) }, out;
    ck_assert_uint_eq(m->npieces, 10);
    ck_assert_uint_eq(stats_of(m).peak_bytes, 0);
    for (int again = 0; again < 2; again++) {
        ck_assert_msg(jitc_model_run(m, 0, NULL, values, 2, &out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
        for (int i = 0; i < ROWS * COLUMNS; i++) { /* five times 2x + 100 */
            float x = (float)i;
            for (int k = 0; k < 5; k++)
                x = 2 * x + 100;
            ck_assert(data(out.tensor)[i] == x);
        }
        jitc_model_stats s = stats_of(m);
        ck_assert_uint_eq(s.value_bytes, 10 * BLOCK);
        ck_assert_uint_eq(s.pool_bytes, 2 * BLOCK); /* what is read and what is written */
        ck_assert_uint_eq(s.peak_bytes, s.pool_bytes);
    }
    /* fewer rows need less: the peak stays */
    values[0] = integer(1);
    in.shape[0] = 1;
    ck_assert_int_eq(jitc_model_run(m, 0, NULL, values, 2, &out, 1), JITC_OK);
    ck_assert_uint_eq(stats_of(m).pool_bytes, 2 * BLOCK);
    jitc_context_free(ctx);
}
END_TEST

static size_t live;

static void *counted_alloc(void *user, size_t size) {
    (void)user;
    void *at = malloc(size);
    if (at)
        __atomic_add_fetch(&live, size, __ATOMIC_RELAXED);
    return at;
}

static void counted_free(void *user, void *at, size_t size) {
    (void)user;
    if (at)
        __atomic_sub_fetch(&live, size, __ATOMIC_RELAXED);
    free(at);
}

/* An engine sees thousands of token counts: what is remembered of each does not pile up, and what is forgotten comes back right. */
START_TEST(many_sizes) {
    enum { MOST = 700 };
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1,
                               .alloc = counted_alloc, .free = counted_free };
    jitc_context *ctx;
    static float rows[MOST * COLUMNS];
    int64_t shape[] = { MOST, COLUMNS };
    DLTensor in = { .data = rows, .device = { .device_type = kDLCPU }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value values[] = { integer(MOST), { .tag = JITC_TENSOR, .tensor = &in } }, out;
    size_t half = 0;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::cut(Tensor x) -> Tensor", (jitc_plain_function)cut, NULL), JITC_OK);
    jitc_model *m = build(ctx, chain_text, NULL, 0);
    for (int i = 0; i < MOST * COLUMNS; i++)
        rows[i] = (float)i;
    for (int n = 0; n < 2 * MOST; n++) { /* the largest first: memory for tensors grows no more */
        int64_t size = n < MOST ? MOST - n : n - MOST + 1;
        values[0] = integer(size);
        shape[0] = size;
        ck_assert_msg(jitc_model_run(m, 0, NULL, values, 2, &out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_int_eq(out.tensor->shape[0], size);
        ck_assert(data(out.tensor)[size * COLUMNS - 1] == 32 * (float)(size * COLUMNS - 1) + 3100);
        if (n == MOST / 2)
            half = live;
    }
    ck_assert_msg(live <= half + (64 << 10), "%zu bytes after %d sizes, %zu after %d", live, MOST, half, MOST / 2);
    jitc_context_free(ctx);
    ck_assert_uint_eq(live, 0);
}
END_TEST

/* Halves of one result go to two pieces: as views, of the block that the first piece filled. */
START_TEST(views_cross) {
    static const char text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 16]\"):\n"
                                    "        a: \"f32[s0, 16]\" = x * 2\n"
                                    "        p: \"f32[s0, 8]\" = a[(slice(None, None, None), slice(0, 8, None))]\n"
                                    "        q: \"f32[s0, 8]\" = a[(slice(None, None, None), slice(8, 16, None))]\n"
                                    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(p)\n"
                                    "        c: \"f32[s0, 8]\" = b + q\n"
                                    "        d: \"f32[s0, 8]\" = torch.ops.test.cut(q)\n"
                                    "        return (c, d)\n";
    enum { ROWS = 16, BLOCK = ROWS * COLUMNS * 4 };
    jitc_context *ctx = context("", NULL);
    jitc_model *m = build(ctx, text, NULL, 0);
    static input in;
    jitc_value values[] = { integer(ROWS), tensor(&in, ROWS, 2 * COLUMNS) }, out[2];
    ck_assert_msg(jitc_model_run(m, 0, NULL, values, 2, out, 2) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_uint_eq(ncuts, 2);
    for (int k = 0; k < 2; k++)
        ck_assert(cut_strides[k][0] == 16 && cut_strides[k][1] == 1);
    ck_assert_ptr_eq(cut_data[1], cut_data[0] + 8);
    ck_assert_uint_eq(stats_of(m).value_bytes, 5 * BLOCK); /* a is two blocks; b, c, d one each; p and q nothing */
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < COLUMNS; k++) {
            float p = 2 * (float)(16 * i + k), q = p + 16;
            ck_assert(data(out[0].tensor)[i * 8 + k] == p + 100 + q);
            ck_assert(data(out[1].tensor)[i * 8 + k] == q + 100);
        }
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("service");
    TCase *c = tcase_create("ranges");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, dispatch);
    tcase_add_test(c, counted);
    tcase_add_test(c, which_ranges);
    tcase_add_test(c, only_nothing);
    tcase_add_test(c, sums_of_nothing);
    tcase_add_test(c, product);
    tcase_add_test(c, too_many);
    tcase_add_test(c, members);
    tcase_add_test(c, bundled);
    suite_add_tcase(s, c);
    c = tcase_create("known");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, known);
    tcase_add_test(c, collision);
    tcase_add_test(c, lowering_hits);
    tcase_add_test(c, debug_lines);
    tcase_add_test(c, threads);
    tcase_add_test(c, lookups_and_builds);
    tcase_add_test(c, other_llvm);
    suite_add_tcase(s, c);
    c = tcase_create("running");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, triton_launches);
    tcase_add_test(c, reuse);
    tcase_add_test(c, many_sizes);
    tcase_add_test(c, views_cross);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
