/*
 * tests/check_alias.c - overlapping views handed to a piece that writes them: against the reference, on `host` and `sim`.
 *
 * Each seed makes a model of two pieces.  The first makes a buffer and returns views of it that overlap at random: rows, columns, every
 * second row, transposes, any run of elements.  The second reads and writes these, in place, by sums, products, and copies onto
 * themselves.  Everything is returned, the buffer and the views too, so a byte that is wrong anywhere shows.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/graph_run.h"

enum { SIDE = 8, VIEWS = 3, STATEMENTS = 6 };

typedef struct maker {
    uint64_t state;
    FILE *f;
    int next;       /* number of the next value of the second piece */
    char pool[32][8]; /* values of [SIDE, SIDE] that may be read */
    int npool;
} maker;

static unsigned pick(maker *m, unsigned n) {
    uint64_t z = (m->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ (z >> 31)) % n);
}

static void put(maker *m, const char *format, ...) JC_PRINTF(2, 3);
static void put(maker *m, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(m->f, format, args);
    va_end(args);
    fputc('\n', m->f);
}

/* A view of y, f32[3*SIDE, 2*SIDE], as v%d of [SIDE, SIDE]. */
static void make_view(maker *m, int i) {
    unsigned r = pick(m, SIDE), c = pick(m, SIDE), at = pick(m, 2 * SIDE * SIDE);
    switch (pick(m, 5)) {
    case 0: /* whole rows, folded */
        put(m, "            u%d = y[slice(%u, %u, None)]", i, r, r + SIDE / 2);
        put(m, "            v%d: \"f32[%d, %d]\" = u%d.view(%d, %d)", i, SIDE, SIDE, i, SIDE, SIDE);
        break;
    case 1: /* a block */
        put(m, "            v%d: \"f32[%d, %d]\" = y[(slice(%u, %u, None), slice(%u, %u, None))]", i, SIDE, SIDE, r, r + SIDE, c,
            c + SIDE);
        break;
    case 2: /* every second row */
        put(m, "            v%d: \"f32[%d, %d]\" = y[(slice(%u, %u, 2), slice(%u, %u, None))]", i, SIDE, SIDE, r, r + 2 * SIDE, c,
            c + SIDE);
        break;
    case 3: /* a block, transposed */
        put(m, "            u%d = y[(slice(%u, %u, None), slice(%u, %u, None))]", i, r, r + SIDE, c, c + SIDE);
        put(m, "            v%d: \"f32[%d, %d]\" = u%d.t()", i, SIDE, SIDE, i);
        break;
    default: /* a run of elements, which begins anywhere */
        put(m, "            w%d = y.view(%d)", i, 6 * SIDE * SIDE);
        put(m, "            u%d = w%d[slice(%u, %u, None)]", i, i, at, at + SIDE * SIDE);
        put(m, "            v%d: \"f32[%d, %d]\" = u%d.view(%d, %d)", i, SIDE, SIDE, i, SIDE, SIDE);
    }
}

static const char *any(maker *m) {
    return m->pool[pick(m, (unsigned)m->npool)];
}

static void into_pool(maker *m, const char *name) {
    if (m->npool < 32)
        snprintf(m->pool[m->npool++], sizeof m->pool[0], "%s", name);
}

/* Something of [SIDE, SIDE] computed from the pool, as t%d. */
static int make_value(maker *m) {
    int t = m->next++;
    switch (pick(m, 7)) {
    case 0:
        put(m, "            t%d = %s * 0.5", t, any(m));
        break;
    case 1:
        put(m, "            t%d = %s + %s", t, any(m), any(m));
        break;
    case 2:
        put(m, "            s%d = %s.mean(dim = %d, keepdim = True)", t, any(m), (int)pick(m, 2));
        put(m, "            t%d = %s + s%d", t, any(m), t);
        break;
    case 3:
        put(m, "            s%d = torch._C._nn.linear(%s, %s)", t, any(m), any(m));
        put(m, "            t%d = torch.tanh(s%d)", t, t);
        break;
    case 4:
        put(m, "            s%d = %s.t()", t, any(m));
        put(m, "            t%d = s%d + 1.0", t, t);
        break;
    case 5:
        put(m, "            s%d = torch.stack((%s, %s), dim = 0)", t, any(m), any(m));
        put(m, "            t%d = s%d.mean(dim = 0)", t, t);
        break;
    default:
        put(m, "            t%d = %s.clone()", t, any(m));
    }
    char name[8];
    snprintf(name, sizeof name, "t%d", t);
    into_pool(m, name);
    return t;
}

static void make_statement(maker *m) {
    unsigned v = pick(m, VIEWS);
    int t;
    switch (pick(m, 4)) {
    case 0:
        t = make_value(m);
        put(m, "            c%d = v%u.copy_(t%d)", t, v, t);
        break;
    case 1: /* onto itself, perhaps */
        t = m->next++;
        put(m, "            c%d = v%u.copy_(%s)", t, v, any(m));
        break;
    case 2:
        t = m->next++;
        put(m, "            v%u *= 0.75;  imul%d: \"f32[%d, %d]\" = v%u", v, t, SIDE, SIDE, v);
        break;
    default:
        make_value(m);
    }
}

static char *make_text(uint64_t seed) {
    char *text;
    size_t n;
    maker m = { .state = seed, .f = open_memstream(&text, &n) };
    put(&m, "class GraphModule(torch.nn.Module):");
    put(&m, "    def forward(self, x: \"f32[%d, %d]\"):", 3 * SIDE, 2 * SIDE);
    put(&m, "        submod_0 = self.submod_0(x)\n        y = submod_0[0]");
    for (int i = 0; i < VIEWS; i++)
        put(&m, "        v%d = submod_0[%d]", i, i + 1);
    put(&m, "        submod_1 = self.submod_1(v0, v1, v2)\n        a = submod_1[0]\n        b = submod_1[1]");
    put(&m, "        return (y, v0, v1, v2, a, b)\n    class submod_0(torch.nn.Module):");
    put(&m, "        def forward(self, x: \"f32[%d, %d]\"):", 3 * SIDE, 2 * SIDE);
    put(&m, "            y: \"f32[%d, %d]\" = x + 1.0", 3 * SIDE, 2 * SIDE);
    for (int i = 0; i < VIEWS; i++)
        make_view(&m, i);
    put(&m, "            return (y, v0, v1, v2)\n    class submod_1(torch.nn.Module):");
    put(&m, "        def forward(self, v0: \"f32[%d, %d]\", v1: \"f32[%d, %d]\", v2: \"f32[%d, %d]\"):", SIDE, SIDE, SIDE, SIDE,
        SIDE, SIDE);
    into_pool(&m, "v0");
    into_pool(&m, "v1");
    into_pool(&m, "v2");
    for (int i = 0; i < STATEMENTS; i++)
        make_statement(&m);
    int a = make_value(&m), b = make_value(&m);
    put(&m, "            return (t%d, t%d)", a, b);
    fclose(m.f);
    return text;
}

static void check_on(const char *device, int i) {
    for (int mode = 0; mode < 2; mode++) { /* an odd seed is strict */
        char *text = make_text((uint64_t)i);
        graph_case c = { text, NULL, text, NULL, 1e-4, NULL }; /* what fails is named in full */
        graph_check(&c, device, 0, (uint64_t)(2 * i + mode));
        free(text);
    }
}

START_TEST(on_host) {
    check_on("host", _i);
}
END_TEST

START_TEST(on_sim) {
    check_on("sim", _i);
}
END_TEST

/* Inputs that the plan takes as apart: x is written, and y lies N floats behind it. */
static jitc_status run_behind(int64_t n, char *message, size_t size) {
    static float memory[4 * SIDE * SIDE];
    jitc_context_options co = { .struct_size = sizeof co, .cache_dir = "", .device = "host", .threads = 1 };
    static const graph_case c = { "apart", "x: \"f32[8, 8]\", y: \"f32[8, 8]\"", "x *= 2.0;  imul: \"f32[8, 8]\" = x\nz = imul + y", "z", 0, NULL };
    jitc_model_options mo = { .struct_size = sizeof mo };
    int64_t dims[2] = { SIDE, SIDE }, strides[2] = { SIDE, 1 };
    DLTensor x = { .data = memory, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = dims, .strides = strides };
    DLTensor y = x;
    jitc_value in[2] = { { .tag = JITC_TENSOR, .tensor = &x }, { .tag = JITC_TENSOR, .tensor = &y } }, out;
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *model;
    char *text = graph_text(&c);
    y.byte_offset = (uint64_t)n * sizeof(float);
    ck_assert_int_eq(jitc_context_new(&co, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_graph_read(ctx, "apart", text, strlen(text), &g), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, &mo, &model), JITC_OK);
    jitc_status status = jitc_model_run(model, 0, NULL, in, 2, &out, 1);
    snprintf(message, size, "%s", status == JITC_OK ? "" : jitc_context_error(ctx));
    free(text);
    jitc_context_free(ctx);
    return status;
}

START_TEST(inputs_that_overlap_are_refused) {
    char message[512];
    static const int64_t overlapping[] = { 0, 1, SIDE, SIDE * SIDE - 1 }, apart[] = { SIDE * SIDE, SIDE * SIDE + 3 };
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(run_behind(overlapping[i], message, sizeof message), JITC_E_INPUT);
        ck_assert_msg(strstr(message, "Inputs 0 and 1 share memory, and input 0 is written") != NULL, "%s", message);
    }
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(run_behind(apart[i], message, sizeof message) == JITC_OK, "%s", message);
}
END_TEST

/* Two parameters of a piece lie in one storage: a row of one, which PyTorch makes a view, and a write to the other. */
START_TEST(a_row_beside_an_alias) {
    static const char text[] =
        "class M(torch.nn.Module):\n    def forward(self, x: \"f32[4, 2]\", i: \"i64[]\"):\n"
        "        submod_0 = self.submod_0(x)\n        v: \"f32[4, 2]\" = submod_0[0]\n"
        "        submod_1 = self.submod_1(x, v, i)\n        r: \"f32[2]\" = submod_1[0]\n        return (r,)\n"
        "    class submod_0(torch.nn.Module):\n        def forward(self, x: \"f32[4, 2]\"):\n"
        "            v: \"f32[4, 2]\" = x.sigmoid_()\n            return (v,)\n"
        "    class submod_1(torch.nn.Module):\n        def forward(self, x: \"f32[4, 2]\", v: \"f32[4, 2]\", i: \"i64[]\"):\n"
        "            r: \"f32[2]\" = v[i]\n            w = x.add_(1)\n            return (r,)\n";
    jitc_context_options co = { .struct_size = sizeof co, .cache_dir = "", .device = "host", .threads = 1 };
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *model;
    ck_assert_int_eq(jitc_context_new(&co, &ctx), JITC_OK);
    ck_assert_msg(jitc_graph_read(ctx, "row", text, strlen(text), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, NULL, &model), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(jitc_context_error(ctx), "is a view in PyTorch") != NULL, "%s", jitc_context_error(ctx));
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("alias");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    tcase_add_test(host, inputs_that_overlap_are_refused);
    tcase_add_test(host, a_row_beside_an_alias);
    tcase_add_loop_test(host, on_host, 0, 60);
    tcase_add_loop_test(sim, on_sim, 0, 40);
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
