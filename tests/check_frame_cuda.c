/*
 * tests/check_frame_cuda.c - frames on a real GPU: captured graphs stay valid, streams run side by side.
 *
 * Each test runs in a process of its own, which is the first in it to touch CUDA.  Without a driver or a GPU the program exits with
 * 77.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit/api/model.h"
#include "tests/cuda_help.h"
#include "tests/gpu_help.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define COLS 256
#define MOST 8192

static const char text[] =
    "class M(torch.nn.Module):\n    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 256]\", w: \"f32[256, 256]\"):\n"
    "        h: \"f32[s0, 256]\" = torch._C._nn.linear(x, w, None)\n"
    "        q: \"f32[s0, 256]\" = h.pow(2)\n"
    "        n: \"f32[s0, 1]\" = q.mean(dim = -1, keepdim = True)\n"
    "        e: \"f32[s0, 1]\" = n + 1e-05\n"
    "        r: \"f32[s0, 1]\" = torch.rsqrt(e)\n"
    "        y: \"f32[s0, 256]\" = h * r\n"
    "        p: \"f32[s0, 128]\" = y[(slice(None, None, None), slice(0, 128, None))]\n"
    "        z: \"f32[s0, 256]\" = torch._C._nn.linear(y, w, None)\n"
    "        u: \"f32[s0, 256]\" = z + x\n"
    "        return (u, p)\n";

static jitc_context *ctx;
static jc_device *device;
static jitc_model *model;
static cuda_help cuda;
static jc_error err;

static void setup(void) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "cuda" };
    jitc_model_options mo = { .struct_size = sizeof mo };
    jitc_graph *g;
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_msg(jc_context_device(ctx, &device, &err) == JITC_OK, "%s", err.message);
    ck_assert(cuda_help_open(&cuda) && cuda_help_current(&cuda));
    ck_assert_msg(jitc_graph_read(ctx, "t.py", text, sizeof text - 1, &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &mo, &model) == JITC_OK, "%s", jitc_context_error(ctx));
}

static void teardown(void) {
    jitc_context_free(ctx);
}

typedef struct args {
    void *x, *w, *stream;
    int64_t xshape[2], wshape[2];
    DLTensor xt, wt;
    jitc_value in[3];
} args;

static void *upload(size_t n, unsigned seed) {
    float *at = malloc(n * sizeof *at);
    void *block;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        at[i] = ((float)(seed >> 16 & 1023) - 512) / 512;
    }
    ck_assert_int_eq(device->ops->alloc(device, n * sizeof *at, &block, &err), JITC_OK);
    ck_assert_int_eq(device->ops->copy_in(device, block, at, n * sizeof *at, NULL, &err), JITC_OK);
    ck_assert_int_eq(device->ops->sync(device, NULL, &err), JITC_OK);
    free(at);
    return block;
}

static void args_new(args *a, unsigned seed) {
    *a = (args){ .x = upload(MOST * COLS, seed), .w = upload(COLS * COLS, 7) };
    ck_assert_int_eq(cuda.stream_create(&a->stream, 1 /* CU_STREAM_NON_BLOCKING */), 0);
    a->xshape[1] = a->wshape[0] = a->wshape[1] = COLS;
    a->xt = (DLTensor){ .data = a->x, .device = device->dl, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = a->xshape };
    a->wt = a->xt;
    a->wt.data = a->w;
    a->wt.shape = a->wshape;
    a->in[0].tag = JITC_INT;
    a->in[1] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &a->xt };
    a->in[2] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &a->wt };
}

static void run(jitc_frame *f, args *a, int64_t rows, jitc_value *out) {
    a->in[0].i = a->xshape[0] = rows;
    ck_assert_msg(jitc_frame_run(f, 0, a->stream, a->in, 3, out, 2) == JITC_OK, "%s", jitc_context_error(ctx));
}

static float *download(const args *a, const void *from, int64_t rows) {
    float *at = malloc((size_t)rows * COLS * sizeof *at);
    ck_assert_int_eq(device->ops->copy_out(device, at, from, (size_t)rows * COLS * sizeof *at, a->stream, &err), JITC_OK);
    ck_assert_int_eq(device->ops->sync(device, a->stream, &err), JITC_OK);
    return at;
}

/* Graphs captured at 1, 8 and 64 tokens give the same bits after a call at 8192; in a frame that was reserved, and in one that grew. */
START_TEST(captured_graphs) {
    static const int64_t sizes[] = { 1, 8, 64 };
    args a;
    jitc_frame *f;
    jitc_symbol limit = { NULL, MOST };
    void *graphs[COUNT(sizes)], *results[COUNT(sizes)];
    float *before[COUNT(sizes)];
    args_new(&a, 1);
    ck_assert_int_eq(jitc_frame_new(model, NULL, &f), JITC_OK);
    if (_i)
        ck_assert_msg(jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS, a.stream) == JITC_OK, "%s",
                      jitc_context_error(ctx));
    for (size_t i = 0; i < COUNT(sizes); i++) {
        jitc_value out[2] = { { 0 } };
        void *graph = NULL;
        if (!_i)
            run(f, &a, sizes[i], out); /* takes the memory */
        memset(out, 0, sizeof out);
        ck_assert_int_eq(cuda.capture_begin(a.stream, 0 /* global: the strictest mode */), 0);
        run(f, &a, sizes[i], out);
        ck_assert_int_eq(cuda.capture_end(a.stream, &graph), 0);
        ck_assert_int_eq(cuda.instantiate(&graphs[i], graph, 0), 0);
        results[i] = out[0].tensor->data;
        ck_assert_int_eq(cuda.launch(graphs[i], a.stream), 0);
        before[i] = download(&a, results[i], sizes[i]);
    }
    for (int64_t rows = MOST; rows > MOST - 3; rows--) {
        jitc_value out[2] = { { 0 } };
        run(f, &a, rows, out);
        float *large = download(&a, out[0].tensor->data, rows);
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (int64_t k = 0; k < sizes[i] * COLS; k++)
                ck_assert_msg(large[k] - before[i][k] < 0.05f && before[i][k] - large[k] < 0.05f, "row %lld", (long long)(k / COLS));
        free(large);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        device->ops->fill(device, results[i], 0xff, (size_t)sizes[i] * COLS * 4, a.stream, &err);
        ck_assert_int_eq(cuda.launch(graphs[i], a.stream), 0);
        float *after = download(&a, results[i], sizes[i]);
        ck_assert_msg(memcmp(after, before[i], (size_t)sizes[i] * COLS * 4) == 0, "%lld tokens: not the same bits", (long long)sizes[i]);
        free(after);
        free(before[i]);
    }
    jitc_frame_free(f);
}
END_TEST

/* Results in the caller's memory, one of them a view that is copied, within a capture. */
START_TEST(captured_into_tensors) {
    args a;
    jitc_frame *f;
    jitc_symbol limit = { NULL, 64 };
    void *graph = NULL, *ready = NULL, *u, *p;
    int64_t shape[2][2] = { { 64, COLS }, { 64, COLS / 2 } }, strides[2][2] = { { COLS, 1 }, { COLS, 1 } };
    args_new(&a, 1);
    ck_assert_int_eq(device->ops->alloc(device, 64 * COLS * 4, &u, &err), JITC_OK);
    ck_assert_int_eq(device->ops->alloc(device, 64 * COLS * 4, &p, &err), JITC_OK);
    DLTensor t[2];
    jitc_value out[2], own[2] = { { 0 } };
    for (int i = 0; i < 2; i++) {
        t[i] = (DLTensor){ .data = i ? p : u, .device = device->dl, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape[i],
                           .strides = strides[i] };
        out[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &t[i] };
    }
    ck_assert_int_eq(jitc_frame_new(model, NULL, &f), JITC_OK);
    ck_assert_int_eq(jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS, a.stream), JITC_OK);
    ck_assert_int_eq(cuda.capture_begin(a.stream, 0), 0);
    run(f, &a, 64, out);
    ck_assert_int_eq(cuda.capture_end(a.stream, &graph), 0);
    ck_assert_int_eq(cuda.instantiate(&ready, graph, 0), 0);
    device->ops->fill(device, u, 0xff, 64 * COLS * 4, a.stream, &err);
    device->ops->fill(device, p, 0xff, 64 * COLS * 4, a.stream, &err);
    ck_assert_int_eq(cuda.launch(ready, a.stream), 0);
    float *got = download(&a, u, 64), *half = download(&a, p, 64);
    run(f, &a, 64, own);
    float *want = download(&a, own[0].tensor->data, 64), *want_half = download(&a, own[1].tensor->data, 64);
    ck_assert(memcmp(got, want, 64 * COLS * 4) == 0);
    for (int i = 0; i < 64; i++)
        ck_assert(memcmp(half + i * COLS, want_half + i * own[1].tensor->strides[0], COLS / 2 * 4) == 0);
    free(got), free(half), free(want), free(want_half);
    jitc_frame_free(f);
}
END_TEST

/* ---- streams ------------------------------------------------------------------------------------------------------ */

typedef struct worker {
    pthread_t id;
    args a;
    float *expected;
    int wrong;
} worker;

#define ROWS 500

static void *work(void *user) {
    worker *w = user;
    jitc_frame *f = NULL;
    jc_error own = JC_ERROR_INIT;
    float *got = malloc(ROWS * COLS * 4);
    w->wrong += !cuda_help_current(&cuda) || jitc_frame_new(model, NULL, &f) != JITC_OK;
    for (int i = 0; i < 200 && !w->wrong; i++) {
        jitc_value out[2] = { { 0 } };
        int64_t rows = ROWS - i % 7;
        w->a.in[0].i = w->a.xshape[0] = rows;
        w->wrong += jitc_frame_run(f, 0, w->a.stream, w->a.in, 3, out, 2) != JITC_OK;
        if (i % 5 == 0 && !w->wrong) { /* the others are not waited for */
            w->wrong += device->ops->copy_out(device, got, out[0].tensor->data, (size_t)rows * COLS * 4, w->a.stream, &own) != JITC_OK;
            w->wrong += device->ops->sync(device, w->a.stream, &own) != JITC_OK;
            w->wrong += memcmp(got, w->expected, (size_t)rows * COLS * 4) != 0;
        }
    }
    device->ops->sync(device, w->a.stream, &own);
    jitc_frame_free(f);
    free(got);
    return NULL;
}

START_TEST(two_streams) {
    worker w[2] = { { .wrong = 0 }, { .wrong = 0 } };
    for (int i = 0; i < 2; i++) {
        jitc_frame *f;
        jitc_value out[2] = { { 0 } };
        args_new(&w[i].a, (unsigned)i + 3);
        ck_assert_int_eq(jitc_frame_new(model, NULL, &f), JITC_OK);
        run(f, &w[i].a, ROWS, out);
        w[i].expected = download(&w[i].a, out[0].tensor->data, ROWS);
        jitc_frame_free(f);
    }
    ck_assert(memcmp(w[0].expected, w[1].expected, COLS * 4) != 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&w[i].id, NULL, work, &w[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(w[i].id, NULL);
        ck_assert_int_eq(w[i].wrong, 0);
        free(w[i].expected);
    }
}
END_TEST

int main(void) {
    err = (jc_error)JC_ERROR_INIT;
    if (no_gpu())
        return 77;
    Suite *s = suite_create("frame_cuda");
    TCase *c = tcase_create("captures");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, captured_graphs, 0, 2);
    tcase_add_test(c, captured_into_tensors);
    tcase_add_test(c, two_streams);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
