/*
 * tests/check_wide.c - sizes and strides around 2^31 and 2^32, on `host` and `sim`, over memory that is reserved and hardly touched.
 *
 * The first input is an array of which only some elements are ever read: rows of a few columns each, far apart.  They get
 * small numbers; what comes out is added up here, by hand.  A kernel that counts in 32 bits reads elsewhere: zeros, or
 * what the simulator refuses.  Where that much address space is not to be had the row says so.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/eval/eval.h"
#include "jit/api/model.h"
#include "tests/graph_run.h"

enum { MOST = 64 };

typedef enum work { TWICE, SUM, PRODUCT } work;

typedef struct row {
    const char *name, *params, *body; /* the result is y */
    jc_dtype dtype;                   /* of x and w, f32 or bf16 */
    int64_t s0;
    int64_t dims[3];                  /* of x, as they are at s0 */
    int64_t rows, cols;               /* that are touched: element i*stride + j*step + offset */
    int64_t stride, step, offset;
    work work;                        /* y = 2*x; the sum of each row; x w^T with w [5 or 8, cols] */
    int64_t n;                        /* rows of w; 0: none */
} row;

#define BIG INT64_C(2500000000)
#define EDGE INT64_C(2147483648)

static const row rows[] = {
    { "point", "x: \"f32[3, 2500000000]\"", "a = x[(slice(None, None, None), slice(2499999992, None, None))]\ny = a * 2.0", JC_F32, 0,
      { 3, BIG }, 3, 8, BIG, 1, BIG - 8, TWICE, 0 },
    { "point, odd stride", "x: \"f32[3, 2147483647]\"", "a = x[(slice(None, None, None), slice(2147483640, None, None))]\ny = a * 2.0",
      JC_F32, 0, { 3, EDGE - 1 }, 3, 7, EDGE - 1, 1, EDGE - 8, TWICE, 0 },
    { "point, 2^31", "x: \"f32[3, 2147483648]\"", "a = x[(slice(None, None, None), slice(2147483640, None, None))]\ny = a * 2.0", JC_F32,
      0, { 3, EDGE }, 3, 8, EDGE, 1, EDGE - 8, TWICE, 0 },
    { "point, 2^32", "x: \"bf16[2, 4294967297]\"", "a = x[(slice(None, None, None), slice(4294967290, None, None))]\ny = a * 2.0", JC_BF16,
      0, { 2, 2 * EDGE + 1 }, 2, 7, 2 * EDGE + 1, 1, 2 * EDGE - 6, TWICE, 0 },
    { "point, step", "x: \"f32[6000000000]\"", "a = x[slice(None, None, 1500000000)]\ny = a * 2.0", JC_F32, 0, { 6000000000 }, 1, 4, 0,
      1500000000, 0, TWICE, 0 },
    { "point, symbol", "x: \"f32[3, s0]\"", "a = x[(slice(None, None, None), slice(-8, None, None))]\ny = a * 2.0", JC_F32, EDGE - 1,
      { 3, EDGE - 1 }, 3, 8, EDGE - 1, 1, EDGE - 9, TWICE, 0 },
    { "point, symbol times a number", "x: \"f32[s0, 65536]\"",
      "f = x.view(-1)\na = f[slice(-24, None, None)]\nb = a.view(3, 8)\ny = b * 2.0", JC_F32, 40000, { 40000, 65536 }, 3, 8, 8, 1,
      INT64_C(40000) * 65536 - 24, TWICE, 0 },
    { "point, transposed", "x: \"f32[2, 3000000000]\"", "t = x.t()\na = t[slice(2999999996, None, None)]\ny = a * 2.0", JC_F32, 0,
      { 2, 3000000000 }, 4, 2, 1, 3000000000, 2999999996, TWICE, 0 },
    { "gather", "x: \"f32[s0, 65536]\", i: \"i64[4]\"", "f = x.view(-1)\na = f[i]\ny = a * 2.0", JC_F32, 40000, { 40000, 65536 }, 1, 4, 0,
      INT64_C(40000) * 20000, 7, TWICE, 0 },
    { "sum", "x: \"f32[3, 2500000000]\"", "a = x[(slice(None, None, None), slice(2499999992, None, None))]\ny = a.sum(dim = -1)", JC_F32,
      0, { 3, BIG }, 3, 8, BIG, 1, BIG - 8, SUM, 0 },
    { "sum, symbol", "x: \"f32[3, s0]\"", "a = x[(slice(None, None, None), slice(-8, None, None))]\ny = a.sum(dim = -1)", JC_F32, EDGE - 1,
      { 3, EDGE - 1 }, 3, 8, EDGE - 1, 1, EDGE - 9, SUM, 0 },
    { "sum down", "x: \"f32[8, 2500000000]\"", "a = x[(slice(None, None, None), slice(2499999997, None, None))]\ny = a.sum(dim = 0)",
      JC_F32, 0, { 8, BIG }, 3, 8, 1, BIG, BIG - 3, SUM, 0 },
    { "dot", "x: \"f32[3, 2500000000]\", w: \"f32[5, 64]\"",
      "a = x[(slice(None, None, None), slice(2499999936, None, None))]\ny = torch._C._nn.linear(a, w, None)", JC_F32, 0, { 3, BIG }, 3, 64,
      BIG, 1, BIG - 64, PRODUCT, 5 },
    { "dot, one row of 2^32", "x: \"f32[1, 4294967360]\", w: \"f32[5, 64]\"",
      "a = x[(slice(None, None, None), slice(4294967296, None, None))]\ny = torch._C._nn.linear(a, w, None)", JC_F32, 0,
      { 1, 2 * EDGE + 64 }, 1, 64, 0, 1, 2 * EDGE, PRODUCT, 5 },
    { "dot along a stride", "x: \"f32[8, 2500000000]\", w: \"f32[5, 8]\"",
      "a = x[(slice(None, None, None), slice(2499999997, None, None))]\nt = a.t()\ny = torch._C._nn.linear(t, w, None)", JC_F32, 0,
      { 8, BIG }, 3, 8, 1, BIG, BIG - 3, PRODUCT, 5 },
    { "mma", "x: \"bf16[5, 2500000000]\", w: \"bf16[8, 64]\"",
      "a = x[(slice(None, None, None), slice(2499999936, None, None))]\ny = torch._C._nn.linear(a, w, None)", JC_BF16, 0, { 5, BIG }, 5, 64,
      BIG, 1, BIG - 64, PRODUCT, 8 },
    { "mma, symbol", "x: \"bf16[5, 8*s0]\", w: \"bf16[8, 64]\"",
      "a = x[(slice(None, None, None), slice(-64, None, None))]\ny = torch._C._nn.linear(a, w, None)", JC_BF16, 400000000,
      { 5, 3200000000 }, 5, 64, 3200000000, 1, 3200000000 - 64, PRODUCT, 8 },
    { "mma, weight", "x: \"bf16[8, 2500000000]\", w: \"bf16[8, 64]\"",
      "a = x[(slice(None, None, None), slice(2499999936, None, None))]\nt = torch._C._nn.linear(w, a, None)\ny = t.t()", JC_BF16, 0,
      { 8, BIG }, 8, 64, BIG, 1, BIG - 64, PRODUCT, 8 },
    { "bmm", "x: \"f32[s0, 50000, 50000]\", w: \"f32[5, 16]\"",
      "a = x[(slice(None, None, None), slice(0, 1, None), slice(0, 16, None))]\nt = w.t()\nu = t.unsqueeze(0)\n"
      "v = u.expand(s0, 16, 5)\nb = torch.bmm(a, v)\ny = b.view(s0, 5)", JC_F32, 3, { 3, 50000, 50000 }, 3, 16, BIG, 1, 0, PRODUCT, 5 },
};
#define NROWS ((int)(sizeof rows / sizeof *rows))

static double x_at(int64_t i, int64_t j) { return (double)((3 * i + 5 * j) % 7 - 3); }
static double w_at(int64_t n, int64_t k) { return (double)((n + 2 * k) % 5 - 2); }

static double expected(const row *r, int64_t i, int64_t j) {
    double sum = 0;
    if (r->work == TWICE)
        return 2 * x_at(i, j);
    for (int64_t k = 0; k < r->cols; k++)
        sum += x_at(i, k) * (r->work == SUM ? 1 : w_at(j, k));
    return sum;
}

typedef struct input {
    DLTensor dl;
    int64_t dims[3];
} input;

static void set_input(input *in, jc_dtype dtype, int rank, const int64_t *dims, void *data) {
    memset(in, 0, sizeof *in);
    memcpy(in->dims, dims, (size_t)rank * sizeof *dims);
    in->dl = (DLTensor){ .data = data, .device = { kDLCPU, 0 }, .ndim = rank, .shape = in->dims,
                         .dtype = { jc_dtypes[dtype].dl_code, jc_dtypes[dtype].dl_bits, 1 } };
}

static void compare(const row *r, const char *device, const DLTensor *y) {
    int64_t columns = r->work == TWICE ? r->cols : r->work == SUM ? 1 : r->n, count = 1;
    for (int d = 0; d < y->ndim; d++)
        count *= y->shape[d];
    ck_assert_msg(count == r->rows * columns, "%s on %s: %lld elements", r->name, device, (long long)count);
    for (int64_t e = 0; e < count; e++) {
        int64_t rest = e, at = 0;
        for (int d = y->ndim; d-- > 0; rest /= y->shape[d])
            at += rest % y->shape[d] * y->strides[d];
        jc_dtype dtype = r->dtype;
        double got = jc_load_float(dtype, (uint8_t *)y->data + y->byte_offset + at * jc_dtypes[dtype].size);
        double want = expected(r, e / columns, e % columns);
        ck_assert_msg(got == want, "%s on %s: element %lld is %g, expected %g", r->name, device, (long long)e, got, want);
    }
}

static void run(const row *r, const char *device, uint8_t *x) {
    const graph_case c = { r->name, r->params, r->body, "y", 0, NULL };
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = device, .threads = 1, .seed = 3 };
    jitc_model_options m = { .struct_size = sizeof m };
    jitc_context *ctx;
    jitc_graph *graph;
    jitc_model *model;
    input in[2];
    int64_t index[4], rank = 0;
    uint8_t w[8 * MOST * 4];
    int size = jc_dtypes[r->dtype].size;
    while (rank < 3 && r->dims[rank])
        rank++;
    set_input(&in[0], r->dtype, (int)rank, r->dims, x);
    for (int64_t i = 0; i < r->rows; i++)
        for (int64_t j = 0; j < r->cols; j++)
            jc_store_float(r->dtype, x + (i * r->stride + j * r->step + r->offset) * size, x_at(i, j));
    for (int64_t k = 0; k < r->n * r->cols; k++)
        jc_store_float(r->dtype, w + k * size, w_at(k / r->cols, k % r->cols));
    for (int64_t j = 0; j < 4; j++)
        index[j] = j * r->step + r->offset;
    if (r->n)
        set_input(&in[1], r->dtype, 2, (const int64_t[]){ r->n, r->cols }, w);
    else
        set_input(&in[1], JC_I64, 1, (const int64_t[]){ 4 }, index);
    jitc_value values[2] = { { .tag = JITC_TENSOR, .tensor = &in[0].dl }, { .tag = JITC_TENSOR, .tensor = &in[1].dl } }, out;
    char *text = graph_text(&c);
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_msg(jitc_graph_read(ctx, r->name, text, strlen(text), &graph) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &graph, 1, &m, &model) == JITC_OK, "%s: %s", r->name, jitc_context_error(ctx));
    jitc_status status = jitc_model_run(model, 0, NULL, values, jitc_model_params(model, 0), &out, 1);
    ck_assert_msg(status == JITC_OK, "%s on %s: %s", r->name, device, jitc_context_error(ctx));
    compare(r, device, out.tensor);
    free(text);
    jitc_context_free(ctx);
}

static void on(const char *device, const row *r) {
    size_t bytes = jc_dtypes[r->dtype].size;
    for (int d = 0; d < 3 && r->dims[d]; d++)
        bytes *= (size_t)r->dims[d];
    void *x = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (x == MAP_FAILED) {
        fprintf(stderr, "SKIP: %s: no %zu bytes of address space\n", r->name, bytes);
        return;
    }
    run(r, device, x);
    munmap(x, bytes);
}

START_TEST(on_host) {
    on("host", &rows[_i]);
}
END_TEST

START_TEST(on_sim) {
    on("sim", &rows[_i]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("wide");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    tcase_add_loop_test(host, on_host, 0, NROWS);
    tcase_add_loop_test(sim, on_sim, 0, NROWS);
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
