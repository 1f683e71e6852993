/*
 * tests/check_frame.c - frames: who owns the memory of runs, and what a frame promises of it.
 *
 * Everything runs on `host`; the numbers are worked out by hand.  Two allocators count: the context's, for host memory, and the
 * frame's, for tensors.  This program has an arena in which every allocation asks the allocator (JC_ARENA_FIRST_BLOCK), so that
 * allocation failure is tried at each of them.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/jitc.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define HEAD "class GraphModule(torch.nn.Module):\n    def forward(self, "
#define MOST 600 /* rows */
#define COLS 16

/* ---- counting ---------------------------------------------------------------------------------------------------- */

typedef struct meter {
    atomic_long taken, live, bytes, wrong;
    atomic_long fail_at; /* allocation that gets nothing, counted from 1; 0: none */
} meter;

static meter host, tensors;

static void reset(meter *m) {
    ck_assert_int_eq(atomic_load(&m->wrong), 0);
    atomic_store(&m->taken, 0);
    atomic_store(&m->fail_at, 0);
}

static void *take(meter *m, size_t size, size_t head) {
    if (atomic_fetch_add(&m->taken, 1) + 1 == atomic_load(&m->fail_at))
        return NULL;
    char *block = aligned_alloc(256, (size + head + 255) / 256 * 256);
    ck_assert_ptr_nonnull(block);
    memcpy(block, &size, sizeof size);
    memset(block + head, 0xa5, size);
    atomic_fetch_add(&m->live, 1);
    atomic_fetch_add(&m->bytes, (long)size);
    return block + head;
}

static void give(meter *m, void *at, size_t size, size_t head) {
    size_t was;
    if (!at)
        return;
    memcpy(&was, (char *)at - head, sizeof was);
    atomic_fetch_add(&m->wrong, was != size);
    atomic_fetch_sub(&m->live, 1);
    atomic_fetch_sub(&m->bytes, (long)size);
    free((char *)at - head);
}

static void *host_take(void *user, size_t size) { return take(user, size, 16); }
static void host_give(void *user, void *at, size_t size) { give(user, at, size, 16); }

/* ---- the world --------------------------------------------------------------------------------------------------- */

static int stream_mark; /* its address is a stream */
static _Thread_local const void *cut_read[64], *cut_wrote[64]; /* what the operator was given, of this thread */
static _Thread_local unsigned ncuts;

static float *data(const DLTensor *t) {
    return (float *)((char *)t->data + t->byte_offset);
}

/* y = x + 100, for any strides. */
static int cut(jitc_call *call, const DLTensor *x, DLTensor *y) {
    (void)call;
    if (ncuts < COUNT(cut_read)) {
        cut_read[ncuts] = data(x);
        cut_wrote[ncuts++] = data(y);
    }
    for (int64_t i = 0; i < x->shape[0]; i++)
        for (int64_t k = 0; k < x->shape[1]; k++)
            data(y)[i * y->strides[0] + k * y->strides[1]] = data(x)[i * x->strides[0] + k * x->strides[1]] + 100;
    return 0;
}

/* Pieces: a = x * w with its halves; 100 added to the left half; c, the sum of both and of the row. */
static const char text[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 16]\", w: \"f32[16]\"):\n"
    "        a: \"f32[s0, 16]\" = x * w\n"
    "        p: \"f32[s0, 8]\" = a[(slice(None, None, None), slice(0, 8, None))]\n"
    "        q: \"f32[s0, 8]\" = a[(slice(None, None, None), slice(8, 16, None))]\n"
    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(p)\n"
    "        r: \"f32[s0, 1]\" = a.sum(dim = -1, keepdim = True)\n"
    "        d: \"f32[s0, 8]\" = b + q\n"
    "        c: \"f32[s0, 8]\" = d + r\n"
    "        return (c, p, q, x)\n";

static jitc_context *ctx;
static jitc_model *model;

static jitc_model *build(const char *graph, const jitc_range *ranges, uint32_t n) {
    static const char *const split[] = { "cut" };
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .split_ops = split, .nsplit_ops = 1, .ranges = ranges,
                             .nranges = n };
    jitc_graph *g = NULL;
    jitc_model *m = NULL;
    ck_assert_msg(jitc_graph_read(ctx, "t.py", graph, strlen(graph), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

static void setup(void) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1, .alloc = host_take,
                               .free = host_give, .alloc_user = &host };
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::cut(Tensor x) -> Tensor", (jitc_plain_function)cut, NULL), JITC_OK);
    model = build(text, NULL, 0);
    ncuts = 0;
}

static void teardown(void) {
    jitc_context_free(ctx);
    ck_assert_int_eq(atomic_load(&host.live), 0);
    ck_assert_int_eq(atomic_load(&tensors.live), 0);
    ck_assert_int_eq(atomic_load(&host.wrong) + atomic_load(&tensors.wrong), 0);
}

static void *tensor_take(void *user, size_t size, void *stream) {
    atomic_fetch_add(&tensors.wrong, user != &tensors || (stream && stream != &stream_mark));
    return take(user, size, 256);
}

static void tensor_give(void *user, void *at, size_t size, void *stream) {
    atomic_fetch_add(&tensors.wrong, user != &tensors || (stream && stream != &stream_mark));
    give(user, at, size, 256);
}

static jitc_frame *frame_with(jitc_model *m, uint32_t shapes) {
    jitc_frame_options o = { .struct_size = sizeof o, .alloc = tensor_take, .free = tensor_give, .user = &tensors, .shapes = shapes };
    jitc_frame *f = NULL;
    ck_assert_msg(jitc_frame_new(m, &o, &f) == JITC_OK, "%s", jitc_context_error(ctx));
    return f;
}

static jitc_frame_stats stats_of(const jitc_frame *f) {
    jitc_frame_stats s = { .struct_size = sizeof s };
    jitc_frame_get_stats(f, &s);
    return s;
}

/* x[i] = i % 97, w[k] = k + 1 */
typedef struct args {
    _Alignas(64) float x[MOST * COLS + 16], w[COLS + 4];
    int64_t xshape[2], wshape[1];
    DLTensor xt, wt;
    jitc_value in[3];
} args;

static args *args_of(int64_t rows) {
    args *a = aligned_alloc(64, (sizeof *a + 63) / 64 * 64);
    memset(a, 0, sizeof *a);
    for (int i = 0; i < MOST * COLS; i++)
        a->x[i] = (float)(i % 97);
    for (int k = 0; k < COLS; k++)
        a->w[k] = (float)(k + 1);
    a->xshape[0] = rows;
    a->xshape[1] = a->wshape[0] = COLS;
    a->xt = (DLTensor){ .data = a->x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = a->xshape };
    a->wt = (DLTensor){ .data = a->w, .device = { kDLCPU, 0 }, .ndim = 1, .dtype = { kDLFloat, 32, 1 }, .shape = a->wshape };
    a->in[0] = (jitc_value){ .tag = JITC_INT, .i = rows };
    a->in[1] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &a->xt };
    a->in[2] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &a->wt };
    return a;
}

static float product(const args *a, int64_t i, int k) {
    return a->x[i * COLS + k] * (float)(k + 1);
}

static int count_wrong(const args *a, const jitc_value *out) {
    int wrong = 0;
    for (int64_t i = 0; i < a->xshape[0]; i++) {
        float sum = 0;
        for (int k = 0; k < COLS; k++)
            sum += product(a, i, k);
        for (int k = 0; k < 8; k++) {
            const DLTensor *c = out[0].tensor, *p = out[1].tensor, *q = out[2].tensor, *x = out[3].tensor;
            float want = product(a, i, k) + 100 + product(a, i, k + 8) + sum;
            wrong += data(c)[i * c->strides[0] + k] != want;
            wrong += data(p)[i * p->strides[0] + k] != product(a, i, k);
            wrong += data(q)[i * q->strides[0] + k] != product(a, i, k + 8);
            wrong += data(x)[i * COLS + k] != a->x[i * COLS + k];
        }
    }
    return wrong;
}

static void run_right(jitc_frame *f, args *a, const char *what) {
    jitc_value out[4] = { { .tag = JITC_NONE } };
    jitc_status status = jitc_frame_run(f, 0, NULL, a->in, 3, out, 4);
    ck_assert_msg(status == JITC_OK, "%s, %lld rows: %s", what, (long long)a->xshape[0], jitc_context_error(ctx));
    ck_assert_msg(count_wrong(a, out) == 0, "%s, %lld rows: wrong numbers", what, (long long)a->xshape[0]);
}

static void size_to(args *a, int64_t rows) {
    a->xshape[0] = a->in[0].i = rows;
}

/* ---- pieces one after another (issue 7, row 2) ------------------------------------------------------------------- */

START_TEST(chained) {
    static const char chain[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 16]\"):\n"
        "        y: \"f32[s0, 16]\" = x + 1.0\n"
        "        z: \"f32[s0, 16]\" = torch.ops.test.cut(y)\n"
        "        u: \"f32[s0, 16]\" = z * 2.0\n"
        "        return (u,)\n";
    jitc_model *m = build(chain, NULL, 0);
    jitc_frame *f = frame_with(m, 0);
    args *a = args_of(5);
    for (int with_frame = 0; with_frame <= 1; with_frame++) {
        jitc_value out[3], in[2] = { a->in[1], a->in[0] };
        for (uint32_t p = 0; p < 3; p++) {
            jitc_piece_info info = { .struct_size = sizeof info };
            ck_assert_int_eq(jitc_model_piece_info(m, p, &info), JITC_OK);
            out[p].tag = with_frame ? JITC_NONE : 77; /* without, what is in there does not matter */
            jitc_status status = with_frame ? jitc_frame_run_piece(f, p, NULL, in, info.ninputs, &out[p], 1)
                                            : jitc_piece_run(m, p, NULL, in, info.ninputs, &out[p], 1);
            ck_assert_msg(status == JITC_OK, "%s", jitc_context_error(ctx));
            in[0] = out[p];
        }
        for (int i = 0; i < 5 * COLS; i++) { /* all three are still there */
            ck_assert(data(out[0].tensor)[i] == a->x[i] + 1);
            ck_assert(data(out[1].tensor)[i] == a->x[i] + 101);
            ck_assert(data(out[2].tensor)[i] == 2 * (a->x[i] + 101));
        }
    }
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* A piece whose symbol is only the stride of what it is given: that of a single row, or of none, says nothing, and any size that was
   compiled for does. */
START_TEST(stride_of_one_row) {
    static const char wide[] = HEAD "s0: \"Sym(s0)\", s1: \"Sym(s1)\", x: \"f32[s0, s1]\"):\n"
        "        p: \"f32[s0, 8]\" = torch.narrow(x, 1, 0, 8)\n"
        "        y: \"f32[s0, 8]\" = torch.ops.test.cut(p)\n"
        "        z: \"f32[s0, 8]\" = p * 2.0\n"
        "        return (y, z)\n";
    const jitc_range ranges[] = { { .symbol = "s1", .lo = 12, .hi = 16 }, { .symbol = "s1", .lo = 20, .hi = 20 } };
    for (uint32_t n = 1; n <= 2; n++) {
        jitc_model *m = build(wide, ranges, n);
        jitc_frame *f = frame_with(m, 0);
        for (int64_t rows = 0; rows < 3; rows++) {
            args *a = args_of(rows);
            int64_t shape[] = { rows, 8 }, strides[] = { COLS, 1 };
            jitc_value in = a->in[1], out = { .tag = JITC_NONE };
            a->xt.shape = shape;
            a->xt.strides = strides;
            jitc_status status = jitc_frame_run_piece(f, 2, NULL, &in, 1, &out, 1);
            ck_assert_msg(status == JITC_OK, "%lld rows: %s", (long long)rows, jitc_context_error(ctx));
            for (int i = 0; i < rows * 8; i++)
                ck_assert(data(out.tensor)[i] == 2 * a->x[i / 8 * COLS + i % 8]);
            free(a);
        }
        jitc_frame_free(f);
    }
}
END_TEST

/* A piece to which only the strides of what it is given tell of symbols, and not in a way that can be turned round: any sizes will do with
   which the strides come out. */
START_TEST(stride_of_no_symbol) {
    static const struct {
        const char *columns;
        jitc_range ranges[2];
    } rows_of[] = {
        { "((s1 + 1)//2)", { { 0 } } }, { "s1*s2", { { 0 } } }, { "Max(8, s1 - s2)", { { 0 } } }, { "(s1 % 32) + 8", { { 0 } } },
        { "(s1//3)*s2 + 1", { { 0 } } }, { "s1*s2", { { "s1", 2, 9 }, { "s2", 2, 7 } } }, { "s1*s2", { { "s1", 3, 5 }, { "s2", 4, 9 } } },
        { "((s1 + 1)//2)", { { "s1", 32, 40 }, { "s2", 1, 1 } } },
    };
    for (size_t k = 0; k < COUNT(rows_of); k++) {
        const char *columns = rows_of[k].columns;
        char graph[1024];
        snprintf(graph, sizeof graph, HEAD "s0: \"Sym(s0)\", s1: \"Sym(s1)\", s2: \"Sym(s2)\", x: \"f32[s0, %s]\"):\n"
                 "        p: \"f32[s0, 8]\" = torch.narrow(x, 1, 0, 8)\n"
                 "        y: \"f32[s0, 8]\" = torch.ops.test.cut(p)\n"
                 "        z: \"f32[s0, 8]\" = p * 2.0\n"
                 "        return (y, z)\n", columns);
        jitc_model *m = build(graph, rows_of[k].ranges, rows_of[k].ranges[0].symbol ? 2 : 0);
        jitc_frame *f = frame_with(m, 0);
        for (int64_t rows = 0; rows < 4; rows++) {
            args *a = args_of(rows);
            int64_t shape[] = { rows, 8 }, strides[] = { COLS, 1 };
            jitc_value in = a->in[1], out = { .tag = JITC_NONE };
            a->xt.shape = shape;
            a->xt.strides = strides;
            jitc_status status = jitc_frame_run_piece(f, 2, NULL, &in, 1, &out, 1);
            ck_assert_msg(status == JITC_OK, "row %zu: %s, %lld rows: %s", k, columns, (long long)rows, jitc_context_error(ctx));
            for (int i = 0; i < rows * 8; i++)
                ck_assert(data(out.tensor)[i] == 2 * a->x[i / 8 * COLS + i % 8]);
            free(a);
        }
        jitc_frame_free(f);
    }
}
END_TEST

/* Nothing lies at the strides of a tensor without elements. */
START_TEST(strides_of_nothing) {
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(0);
    int64_t strides[] = { -3, 7 };
    jitc_value out[4] = { { .tag = JITC_NONE } };
    a->xt.strides = strides;
    ck_assert_msg(jitc_frame_bind(f, 0, 1, a->in[1]) == JITC_OK, "%s", jitc_context_error(ctx));
    a->in[1] = (jitc_value){ .tag = JITC_NONE };
    ck_assert_msg(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4) == JITC_OK, "%s", jitc_context_error(ctx));
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* Several graphs share what pieces hand on, not their results. */
START_TEST(two_graphs) {
    jitc_graph *g[2];
    jitc_model *m;
    static const char *const split[] = { "cut" };
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .split_ops = split, .nsplit_ops = 1 };
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(jitc_graph_read(ctx, "t.py", text, sizeof text - 1, &g[i]), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, g, 2, &o, &m), JITC_OK);
    jitc_frame *f = frame_with(m, 0);
    args *a = args_of(7), *b = args_of(9);
    b->x[3] = 1000;
    jitc_value first[4] = { { 0 } }, second[4] = { { 0 } };
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, first, 4), JITC_OK);
    ck_assert_int_eq(jitc_frame_run(f, 1, NULL, b->in, 3, second, 4), JITC_OK);
    ck_assert_int_eq(count_wrong(a, first), 0);
    ck_assert_int_eq(count_wrong(b, second), 0);
    jitc_frame_free(f);
    free(a);
    free(b);
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef struct worker {
    pthread_t id;
    unsigned seed;
    int wrong, failed;
} worker;

static void *work(void *user) {
    worker *w = user;
    jitc_frame *f = NULL;
    args *a = args_of(1);
    w->failed += jitc_frame_new(model, NULL, &f) != JITC_OK;
    for (int i = 0; i < 400 && f; i++) {
        jitc_value out[4] = { { 0 } };
        w->seed = w->seed * 1103515245u + 12345u;
        size_to(a, w->seed / 65536 % MOST);
        a->x[5] = (float)(w->seed / 65536 % 1000); /* not what another thread has */
        if (jitc_frame_run(f, 0, NULL, a->in, 3, out, 4) != JITC_OK)
            w->failed++;
        else
            w->wrong += count_wrong(a, out);
        if (i % 50 == 49) { /* and a frame of a moment */
            jitc_frame *other = NULL;
            w->failed += jitc_frame_new(model, NULL, &other) != JITC_OK;
            memset(out, 0, sizeof out);
            w->failed += jitc_frame_run(other, 0, NULL, a->in, 3, out, 4) != JITC_OK;
            w->wrong += count_wrong(a, out);
            jitc_frame_free(other);
        }
    }
    jitc_frame_free(f);
    free(a);
    return NULL;
}

START_TEST(threads) {
    worker w[4] = { { .seed = 1 }, { .seed = 2 }, { .seed = 3 }, { .seed = 4 } };
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&w[i].id, NULL, work, &w[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(w[i].id, NULL);
        ck_assert_int_eq(w[i].failed, 0);
        ck_assert_int_eq(w[i].wrong, 0);
    }
}
END_TEST

/* An array of results as the call before left it, at other sizes: what the frame gave then is not taken for the caller's. */
START_TEST(passed_again) {
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(3);
    jitc_value out[4] = { { 0 } };
    for (int64_t rows = 3; rows < 90; rows += 17) {
        size_to(a, rows);
        ck_assert_msg(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_int_eq(out[0].tensor->shape[0], rows);
        ck_assert_int_eq(count_wrong(a, out), 0);
    }
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* ---- results by the caller --------------------------------------------------------------------------------------- */

typedef struct target {
    _Alignas(64) float at[MOST * COLS + 64];
    int64_t shape[3], strides[3];
    DLTensor t;
} target;

static jitc_value into(target *t, int64_t rows, int64_t cols, int64_t stride) {
    for (size_t i = 0; i < COUNT(t->at); i++)
        t->at[i] = -7;
    t->shape[0] = rows;
    t->shape[1] = cols;
    t->strides[0] = stride;
    t->strides[1] = 1;
    t->t = (DLTensor){ .data = t->at, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = t->shape,
                       .strides = t->strides };
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = &t->t };
}

START_TEST(into_tensors) {
    static target t[4];
    jitc_frame *f = frame_with(model, 0);
    for (int64_t rows = 0; rows < 40; rows += 13) {
        args *a = args_of(rows);
        jitc_value out[4] = { into(&t[0], rows, 8, 8), into(&t[1], rows, 8, 16), into(&t[2], rows, 8, 16), into(&t[3], rows, 16, 16) };
        for (int again = 0; again < 2; again++) {
            ck_assert_msg(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4) == JITC_OK, "%s", jitc_context_error(ctx));
            for (int i = 0; i < 4; i++)
                ck_assert(out[i].tag == JITC_TENSOR && out[i].tensor == &t[i].t && t[i].t.data == t[i].at);
            ck_assert_int_eq(count_wrong(a, out), 0);
        }
        for (int64_t i = 0; i < rows; i++) /* what lies between the elements stays */
            for (int k = 8; k < 16; k++)
                ck_assert(t[1].at[i * 16 + k] == -7);
        /* Some of them; the next run without does not touch what was given before. */
        jitc_value some[4] = { into(&t[0], rows, 8, 8) }, none[4] = { { 0 } };
        ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, some, 4), JITC_OK);
        ck_assert_int_eq(count_wrong(a, some), 0);
        a->x[0] += 1;
        ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, none, 4), JITC_OK);
        ck_assert_int_eq(count_wrong(a, none), 0);
        ck_assert(rows == 0 || data(none[0].tensor) != t[0].at);
        a->x[0] -= 1;
        some[1] = none[1]; /* of the run before: in the frame, but p is the same here as well */
        free(a);
    }
    jitc_frame_free(f);
}
END_TEST

/* A result that nobody shares is computed in place: no copy, and the frame needs no memory for it. */
START_TEST(in_place) {
    static const char line[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 16]\"):\n        y: \"f32[s0, 16]\" = x + 1.0\n        return (y,)\n";
    static target t;
    jitc_model *m = build(line, NULL, 0);
    jitc_frame *f = frame_with(m, 0);
    args *a = args_of(50);
    jitc_value in[2] = { a->in[0], a->in[1] }, out = into(&t, 50, 16, 16);
    ck_assert_msg(jitc_frame_run(f, 0, NULL, in, 2, &out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert(t.at[49 * 16] == a->x[49 * 16] + 1 && t.at[50 * 16] == -7);
    ck_assert_uint_eq(stats_of(f).device_bytes, 0);
    out.tag = JITC_NONE;
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, in, 2, &out, 1), JITC_OK);
    ck_assert_uint_gt(stats_of(f).device_bytes, 0);
    ck_assert_ptr_ne(data(out.tensor), t.at);
    jitc_frame_free(f);
    free(a);
}
END_TEST

typedef enum { DTYPE, RANK, DIM, STRIDE, ROW_MAJOR, DEVICE, UNALIGNED, NO_DATA, NO_SHAPE, ON_INPUT, ON_INPUT_END, ON_WEIGHT, ON_EACH_OTHER,
               VIEW_SHIFTED, TAG, NO_TENSOR } refusal;
static const struct {
    refusal what;
    jitc_status status;
    const char *word;
} refusals[] = {
    { DTYPE, JITC_E_INPUT, "Result 0 goes into f64[5, 8], but it is f32[5, 8]" },
    { RANK, JITC_E_INPUT, "f32[5]" },
    { DIM, JITC_E_INPUT, "f32[6, 8]" },
    { STRIDE, JITC_E_INPUT, "with strides [9, 1]" },
    { ROW_MAJOR, JITC_E_INPUT, "Result 1 goes into f32[5, 8] (row-major), but it is f32[5, 8] with strides [16, 1]" },
    { DEVICE, JITC_E_INPUT, "device 2:0" },
    { UNALIGNED, JITC_E_INPUT, "not aligned to 16 bytes" },
    { NO_DATA, JITC_E_INPUT, "result 0 has no data" },
    { NO_SHAPE, JITC_E_INPUT, "result 0 has no shape" },
    { ON_INPUT, JITC_E_INPUT, "result 0 shares memory with 'x'" },
    { ON_INPUT_END, JITC_E_INPUT, "result 0 shares memory with 'x'" },
    { ON_WEIGHT, JITC_E_INPUT, "result 0 shares memory with 'w'" },
    { ON_EACH_OTHER, JITC_E_INPUT, "results 0 and 3 share memory" },
    { VIEW_SHIFTED, JITC_E_INPUT, "result 3 shares memory with 'x'" },
    { TAG, JITC_E_USAGE, "Result 0 has tag 99" },
    { NO_TENSOR, JITC_E_USAGE, "Result 0 has no tensor" },
};

static void spoil(refusal what, args *a, target *t, jitc_value *out) {
    switch (what) {
    case DTYPE: t[0].t.dtype.bits = 64; break;
    case RANK: t[0].t.ndim = 1; break;
    case DIM: t[0].shape[0] = 6; break;
    case STRIDE: t[0].strides[0] = 9; break;
    case ROW_MAJOR: t[1].t.strides = NULL; out[1] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &t[1].t }; break;
    case DEVICE: t[0].t.device = (DLDevice){ kDLCUDA, 0 }; break;
    case UNALIGNED: t[0].t.data = t[0].at + 1; break;
    case NO_DATA: t[0].t.data = NULL; break;
    case NO_SHAPE: t[0].t.shape = NULL; break;
    case ON_INPUT: t[0].t.data = a->x; break;
    case ON_INPUT_END: t[0].t.data = a->x + 5 * COLS - 4; break;
    case ON_WEIGHT: t[0].t.data = a->w + 12; break;
    case ON_EACH_OTHER:
        out[3] = into(&t[3], 5, 16, 16);
        t[3].t.data = t[0].at + 36;
        break;
    case VIEW_SHIFTED:
        out[3] = into(&t[3], 5, 16, 16);
        t[3].t.data = a->x + 16;
        break;
    case TAG: out[0].tag = 99; break;
    case NO_TENSOR: out[0].tensor = NULL; break;
    }
}

START_TEST(refused) {
    static target t[4];
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(5);
    jitc_value out[4] = { into(&t[0], 5, 8, 8) };
    into(&t[1], 5, 8, 8);
    if (_i % 2)
        run_right(f, a, "before"); /* in a frame that has run, and in one that has not */
    ncuts = 0;
    spoil(refusals[_i].what, a, t, out);
    jitc_status status = jitc_frame_run(f, 0, NULL, a->in, 3, out, 4);
    ck_assert_msg(status == refusals[_i].status, "row %d: %d: %s", _i, status, jitc_context_error(ctx));
    ck_assert_msg(strstr(jitc_context_error(ctx), refusals[_i].word) != NULL, "row %d: %s", _i, jitc_context_error(ctx));
    ck_assert_uint_eq(ncuts, 0); /* nothing ran */
    out[0] = into(&t[0], 5, 8, 8);
    memset(&out[1], 0, 3 * sizeof *out);
    ck_assert_msg(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(count_wrong(a, out), 0);
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* Views of inputs: that very view may be given, and stays; any other memory gets a copy. */
START_TEST(views_of_inputs) {
    static const char views[] = HEAD "s0: \"Sym(s0)\", x: \"f32[s0, 16]\"):\n"
        "        h: \"f32[s0, 8]\" = x[(slice(None, None, None), slice(8, 16, None))]\n"
        "        y: \"f32[s0, 16]\" = x + 1.0\n"
        "        n: \"Sym(2*s0)\" = s0 * 2\n"
        "        return (y, h, n)\n";
    static target t[2];
    jitc_model *m = build(views, NULL, 0);
    jitc_frame *f = frame_with(m, 0);
    args *a = args_of(6);
    jitc_value in[2] = { a->in[0], a->in[1] }, out[3] = { { 0 } };
    ck_assert_msg(jitc_frame_run(f, 0, NULL, in, 2, out, 3) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_ptr_eq(data(out[1].tensor), a->x + 8);
    ck_assert(out[2].tag == JITC_INT && out[2].i == 12);
    out[0].tag = out[2].tag = JITC_NONE;
    out[1] = into(&t[0], 6, 8, 16);
    ck_assert_msg(jitc_frame_run(f, 0, NULL, in, 2, out, 3) == JITC_OK, "%s", jitc_context_error(ctx));
    for (int i = 0; i < 6 * 16; i++)
        ck_assert(t[0].at[i] == (i % 16 < 8 ? a->x[i + 8] : -7));
    out[0].tag = out[2].tag = JITC_NONE;
    t[0].t.data = a->x + 8;
    ck_assert_msg(jitc_frame_run(f, 0, NULL, in, 2, out, 3) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_ptr_eq(out[1].tensor, &t[0].t);
    out[0].tag = JITC_NONE;
    out[2] = into(&t[1], 6, 8, 8);
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, in, 2, out, 3), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "Result 2 is no tensor") != NULL, "%s", jitc_context_error(ctx));
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* ---- results by allocator ---------------------------------------------------------------------------------------- */

static struct {
    uint32_t asked[8], n;
    void *blocks[64];
    uint32_t nblocks;
    enum { GOOD, NOTHING, CROOKED } mood;
    int wrong;
} given;

static void result_for(void *user, uint32_t index, DLTensor *t, void *stream) {
    int64_t elements = 0;
    given.wrong += user != &tensors || stream != &stream_mark || t->ndim != 2 || t->dtype.bits != 32 || t->shape[1] != 8 ||
                   t->strides[0] != (index == 0 ? 8 : 16) || t->strides[1] != 1 || t->data || t->device.device_type != kDLCPU;
    for (int d = 0; d < t->ndim; d++)
        elements += t->shape[d] * t->strides[d];
    if (given.n < COUNT(given.asked))
        given.asked[given.n++] = index;
    if (given.mood == NOTHING)
        return;
    char *block = aligned_alloc(64, ((size_t)elements * 4 + 127) / 64 * 64);
    given.blocks[given.nblocks++] = block;
    t->data = block;
    t->byte_offset = given.mood == CROOKED ? 8 : 0;
}

static void forget_given(void) {
    while (given.nblocks)
        free(given.blocks[--given.nblocks]);
    given.n = 0;
}

START_TEST(from_allocator) {
    jitc_frame_options o = { .struct_size = sizeof o, .alloc = tensor_take, .free = tensor_give, .result = result_for, .user = &tensors };
    jitc_frame *f = NULL;
    static target t;
    memset(&given, 0, sizeof given);
    ck_assert_int_eq(jitc_frame_new(model, &o, &f), JITC_OK);
    for (int64_t rows = 30; rows >= 0; rows -= 15) {
        args *a = args_of(rows);
        jitc_value out[4] = { { 0 } };
        ck_assert_msg(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4) == JITC_OK, "%s", jitc_context_error(ctx));
        ck_assert_int_eq(given.wrong, 0);
        ck_assert(given.n == 3 && given.asked[0] == 0 && given.asked[1] == 1 && given.asked[2] == 2); /* not for x */
        ck_assert_int_eq(count_wrong(a, out), 0);
        for (int i = 0; i < 3; i++)
            ck_assert_ptr_eq(out[i].tensor->data, given.blocks[i]);
        ck_assert_ptr_eq(data(out[3].tensor), a->x);
        forget_given();
        out[0] = into(&t, rows, 8, 8); /* the caller goes first */
        out[1].tag = out[2].tag = out[3].tag = JITC_NONE;
        ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4), JITC_OK);
        ck_assert(given.n == 2 && given.asked[0] == 1 && out[0].tensor == &t.t);
        ck_assert_int_eq(count_wrong(a, out), 0);
        forget_given();
        free(a);
    }
    args *a = args_of(3);
    jitc_value out[4] = { { 0 } };
    given.mood = NOTHING;
    ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4), JITC_E_NOMEM);
    given.mood = CROOKED;
    ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "not aligned to 16") != NULL, "%s", jitc_context_error(ctx));
    given.mood = GOOD;
    forget_given();
    memset(out, 0, sizeof out);
    ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4), JITC_OK);
    ck_assert_int_eq(count_wrong(a, out), 0);
    forget_given();
    jitc_frame_free(f);
    free(a);
}
END_TEST

static void *crooked_take(void *user, size_t size, void *stream) {
    char *at = tensor_take(user, size + 256, stream);
    return at ? at + 16 : NULL;
}

static void crooked_give(void *user, void *at, size_t size, void *stream) {
    tensor_give(user, (char *)at - 16, size + 256, stream);
}

START_TEST(crooked_allocator) {
    jitc_frame_options o = { .struct_size = sizeof o, .alloc = crooked_take, .free = crooked_give, .user = &tensors };
    jitc_frame *f = NULL;
    args *a = args_of(3);
    jitc_value out[4] = { { 0 } };
    ck_assert_int_eq(jitc_frame_new(model, &o, &f), JITC_OK);
    ck_assert_int_eq(jitc_frame_run(f, 0, &stream_mark, a->in, 3, out, 4), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "not aligned to 256") != NULL, "%s", jitc_context_error(ctx));
    jitc_frame_free(f);
    o.free = NULL;
    ck_assert_int_eq(jitc_frame_new(model, &o, &f), JITC_E_USAGE);
    ck_assert_ptr_null(f);
    free(a);
}
END_TEST

/* ---- binding ----------------------------------------------------------------------------------------------------- */

START_TEST(binding) {
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(4), *b = args_of(4);
    jitc_value none = { .tag = JITC_NONE }, w = a->in[2];
    ck_assert_msg(jitc_frame_bind(f, 0, 2, w) == JITC_OK, "%s", jitc_context_error(ctx));
    a->wshape[0] = -5; /* the descriptor was copied */
    a->in[2] = none;
    for (int64_t rows = 0; rows < 6; rows++) {
        size_to(a, rows);
        run_right(f, a, "bound");
        run_right(f, a, "bound, again");
    }
    jitc_value out[4] = { { 0 } };
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, b->in, 3, out, 4), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "'w' is bound") != NULL, "%s", jitc_context_error(ctx));
    /* its elements are the caller's to change */
    a->w[3] = 50;
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4), JITC_OK);
    ck_assert(data(out[1].tensor)[3] == a->x[3] * 50);
    /* another, which is not aligned: copied each time */
    memmove(b->w + 1, b->w, COLS * sizeof(float));
    b->wt.data = b->w + 1;
    ck_assert_int_eq(jitc_frame_bind(f, 0, 2, b->in[2]), JITC_OK);
    run_right(f, a, "bound, not aligned");
    b->w[4] = 60;
    memset(out, 0, sizeof out);
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4), JITC_OK);
    ck_assert(data(out[1].tensor)[3] == a->x[3] * 60);
    /* a tensor of a symbolic size, and the symbol itself */
    b->w[4] = 4;
    ck_assert_int_eq(jitc_frame_bind(f, 0, 1, a->in[1]), JITC_OK);
    ck_assert_int_eq(jitc_frame_bind(f, 0, 0, a->in[0]), JITC_OK);
    jitc_value nothing[3] = { { 0 } };
    memset(out, 0, sizeof out);
    ck_assert_msg(jitc_frame_run(f, 0, NULL, nothing, 3, out, 4) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(count_wrong(a, out), 0);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(jitc_frame_bind(f, 0, i, none), JITC_OK);
    memset(out, 0, sizeof out);
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, nothing, 3, out, 4), JITC_E_INPUT);
    run_right(f, b, "nothing bound any more");
    jitc_frame_free(f);
    free(a);
    free(b);
}
END_TEST

static const struct {
    uint32_t graph, param;
    int what;
    jitc_status status;
    const char *word;
} misfits[] = {
    { 1, 0, 0, JITC_E_USAGE, "no graph 1" },
    { 0, 3, 0, JITC_E_USAGE, "no parameter 3" },
    { 0, 2, 1, JITC_E_INPUT, "a tensor is needed" },
    { 0, 2, 2, JITC_E_INPUT, "NULL pointer" },
    { 0, 2, 3, JITC_E_INPUT, "another dtype" },
    { 0, 2, 4, JITC_E_INPUT, "number of dims" },
    { 0, 2, 5, JITC_E_INPUT, "dim 0 is 15 where 16" },
    { 0, 2, 6, JITC_E_INPUT, "not row-major" },
    { 0, 2, 7, JITC_E_INPUT, "no data" },
    { 0, 2, 8, JITC_E_INPUT, "another device" },
    { 0, 0, 9, JITC_E_INPUT, "an integer is needed" },
};

/* A complex tensor is its memory: z = 2 (w · x) for w and x of pairs, given by its strides, bound, and as an example. */
START_TEST(complex_tensors) {
    static const char product[] = HEAD "s0: \"Sym(s0)\", x: \"c64[s0, 2]\", w: \"c64[2]\"):\n"
        "        y = x * w\n        z = torch.view_as_real(y)\n        u: \"f32[s0, 2, 2]\" = z * 2\n        return (u,)\n";
    static float x[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, w[] = { 1, -1, 0.5f, 2 };
    int64_t xshape[] = { 3, 2 }, turned[] = { 1, 3 }, wshape[] = { 2 };
    DLTensor xt = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLComplex, 64, 1 }, .shape = xshape, .strides = turned };
    DLTensor wt = { .data = w, .device = { kDLCPU, 0 }, .ndim = 1, .dtype = { kDLComplex, 64, 1 }, .shape = wshape };
    const DLTensor *examples[] = { NULL, &xt, &wt };
    jitc_model_options o = { .struct_size = sizeof o, .arch = "host", .examples = examples, .nexamples = 3 };
    jitc_graph *g = NULL;
    jitc_model *m = NULL;
    jitc_value in[] = { { .tag = JITC_INT, .i = 3 }, { .tag = JITC_TENSOR, .tensor = &xt }, { .tag = JITC_TENSOR, .tensor = &wt } }, out[1];
    ck_assert_msg(jitc_graph_read(ctx, "c.py", product, strlen(product), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    jitc_frame *f = frame_with(m, 0);
    for (int bound = 0; bound < 2; bound++) {
        if (bound)
            ck_assert_msg(jitc_frame_bind(f, 0, 2, in[2]) == JITC_OK, "%s", jitc_context_error(ctx));
        in[2].tag = bound ? JITC_NONE : JITC_TENSOR;
        out[0].tag = JITC_NONE;
        ck_assert_msg(jitc_frame_run(f, 0, NULL, in, 3, out, 1) == JITC_OK, "%s", jitc_context_error(ctx));
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 2; k++) {
                const float *a = x + 2 * (i + 3 * k), *b = w + 2 * k, *u = data(out[0].tensor) + 4 * i + 2 * k;
                ck_assert_float_eq(u[0], 2 * (a[0] * b[0] - a[1] * b[1]));
                ck_assert_float_eq(u[1], 2 * (a[0] * b[1] + a[1] * b[0]));
            }
    }
    xt.dtype.bits = 128; /* pairs of f64, where f32 are wanted */
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, in, 3, out, 1), JITC_E_INPUT);
    xt.dtype = (DLDataType){ kDLComplex, 32, 1 }; /* not known */
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, in, 3, out, 1), JITC_E_INPUT);
    jitc_frame_free(f);
    jitc_model_free(m);
}
END_TEST

START_TEST(binding_refused) {
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(4);
    int64_t two = 2;
    jitc_value v = a->in[2];
    switch (misfits[_i].what) {
    case 1: v = a->in[0]; break;
    case 2: v.tensor = NULL; break;
    case 3: a->wt.dtype.code = kDLInt; break;
    case 4: a->wt.ndim = 2; break;
    case 5: a->wshape[0] = 15; break;
    case 6: a->wt.strides = &two; break;
    case 7: a->wt.data = NULL; break;
    case 8: a->wt.device.device_type = kDLCUDA; break;
    case 9: v = a->in[1]; break;
    default: break;
    }
    ck_assert_int_eq(jitc_frame_bind(f, misfits[_i].graph, misfits[_i].param, v), misfits[_i].status);
    ck_assert_msg(strstr(jitc_context_error(ctx), misfits[_i].word) != NULL, "row %d: %s", _i, jitc_context_error(ctx));
    free(a);
    a = args_of(4);
    run_right(f, a, "not bound");
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* A bound tensor is checked under each shape: here its size is the symbol's. */
START_TEST(bound_size) {
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(4);
    jitc_value out[4] = { { 0 } };
    ck_assert_int_eq(jitc_frame_bind(f, 0, 1, a->in[1]), JITC_OK);
    a->in[1].tag = JITC_NONE;
    run_right(f, a, "as bound");
    a->in[0].i = 5;
    ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4), JITC_E_INPUT);
    a->in[0].i = 4;
    run_right(f, a, "as bound");
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The first piece by itself, which makes a. */
static void run_first_piece(jitc_frame *f, const args *a) {
    jitc_value out[8] = { { 0 } };
    jitc_piece_info info = { .struct_size = sizeof info };
    ck_assert_int_eq(jitc_model_piece_info(model, 0, &info), JITC_OK);
    jitc_value in[2] = { { .tag = JITC_TENSOR, .tensor = (DLTensor *)(uintptr_t)&a->xt }, { .tag = JITC_TENSOR, .tensor = (DLTensor *)(uintptr_t)&a->wt } };
    ck_assert_msg(jitc_frame_run_piece(f, 0, NULL, in, info.ninputs, out, info.noutputs) == JITC_OK, "%s", jitc_context_error(ctx));
    for (int64_t i = 0; i < a->xshape[0]; i += 17)
        ck_assert(data(out[0].tensor)[i * out[0].tensor->strides[0]] == product(a, i, 0));
}

static const jitc_range variants[] = { { NULL, 1, 1 }, { NULL, 8, 8 }, { NULL, 1, 100 }, { NULL, 1, 1 << 20 } };

/* After reserving, thousands of shapes, new ones included, take nothing from either allocator. */
START_TEST(reserved) {
    jitc_symbol limit = { NULL, MOST };
    args *a = args_of(MOST);
    model = _i ? build(text, variants, COUNT(variants)) : model;
    jitc_frame *f = frame_with(model, 16);
    ck_assert_int_eq(jitc_frame_bind(f, 0, 2, a->in[2]), JITC_OK);
    ck_assert_msg(jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_PIECES | JITC_RESERVE_RESULTS, &stream_mark) == JITC_OK,
                  "%s", jitc_context_error(ctx));
    a->in[2].tag = JITC_NONE;
    jitc_frame_stats before = stats_of(f);
    reset(&host);
    reset(&tensors);
    for (int n = 0; n < 3 * MOST; n++) {
        size_to(a, (n * 7919) % (MOST + 1));
        run_right(f, a, "reserved");
    }
    ck_assert_int_eq(atomic_load(&host.taken), 0);
    ck_assert_int_eq(atomic_load(&tensors.taken), 0);
    a->in[2].tag = JITC_TENSOR;
    a->in[2].tensor = &a->wt;
    for (int n = 1; n < MOST; n++) {
        size_to(a, n);
        run_first_piece(f, a);
    }
    ck_assert_int_eq(atomic_load(&host.taken), 0);
    ck_assert_int_eq(atomic_load(&tensors.taken), 0);
    ck_assert_uint_eq(stats_of(f).device_bytes, before.device_bytes);
    ck_assert_uint_eq(stats_of(f).host_bytes, before.host_bytes);
    ck_assert_uint_eq(stats_of(f).kept_bytes, 0);
    jitc_frame_free(f);
    free(a);
}
END_TEST

static void aligned_case(jitc_frame *f, args *a, bool crooked, const char *what) {
    a->xt.data = a->x;
    if (crooked) {
        memmove(a->x + 1, a->x, MOST * COLS * sizeof(float));
        a->xt.data = a->x + 1;
    }
    jitc_value out[4] = { { 0 } };
    ck_assert_msg(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4) == JITC_OK, "%s: %s", what, jitc_context_error(ctx));
    ck_assert(data(out[1].tensor)[2] == ((float *)a->xt.data)[2] * 3);
    if (crooked)
        memmove(a->x, a->x + 1, MOST * COLS * sizeof(float));
    a->xt.data = a->x;
}

/* Copies of inputs that are not aligned: room where it is asked for, else taken once and kept. */
START_TEST(unaligned) {
    jitc_symbol limit = { "s0", MOST };
    args *a = args_of(MOST);
    jitc_frame *f = frame_with(model, 0);
    ck_assert_int_eq(jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS | JITC_RESERVE_UNALIGNED, NULL), JITC_OK);
    reset(&tensors);
    for (int64_t rows = 1; rows < MOST; rows += 100) {
        size_to(a, rows);
        aligned_case(f, a, rows % 200 == 1, "reserved");
    }
    ck_assert_int_eq(atomic_load(&tensors.taken), 0);
    jitc_frame_free(f);
    f = frame_with(model, 0);
    ck_assert_int_eq(jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS, NULL), JITC_OK);
    reset(&tensors);
    aligned_case(f, a, true, "not reserved");
    ck_assert_int_eq(atomic_load(&tensors.taken), 1);
    aligned_case(f, a, true, "again");
    ck_assert_int_eq(atomic_load(&tensors.taken), 1);
    jitc_frame_free(f);
    free(a);
}
END_TEST

START_TEST(reserve_refused) {
    jitc_symbol unknown = { "s9", 5 }, huge = { NULL, (int64_t)1 << 60 }, negative = { "s0", -1 };
    jitc_frame *f = frame_with(model, 0);
    args *a = args_of(3);
    ck_assert_int_eq(jitc_frame_reserve(f, &unknown, 1, JITC_RESERVE_GRAPHS, NULL), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "no symbol s9") != NULL, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(jitc_frame_reserve(f, &negative, 1, JITC_RESERVE_GRAPHS, NULL), JITC_E_USAGE);
    /* up to what it was compiled for, which is more than there is */
    tensors.fail_at = 1;
    reset(&tensors);
    atomic_store(&tensors.fail_at, 1);
    ck_assert_int_eq(jitc_frame_reserve(f, &huge, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS, NULL), JITC_E_NOMEM);
    atomic_store(&tensors.fail_at, 0);
    run_right(f, a, "after a failed reserve");
    ck_assert_uint_lt(stats_of(f).device_bytes, 100000);
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* What a captured graph refers to: the addresses of an earlier run are still the frame's after larger shapes came, and an equal run
   after reserving uses the same ones. */
START_TEST(never_moves) {
    static const int64_t sizes[] = { 1, 8, 64, MOST };
    args *a = args_of(1);
    for (int with = 0; with <= 1; with++) {
        jitc_frame *f = frame_with(model, 0);
        jitc_symbol limit = { NULL, MOST };
        const void *read[COUNT(sizes)], *wrote[COUNT(sizes)];
        const float *result[COUNT(sizes)];
        if (with)
            ck_assert_int_eq(jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_RESULTS, NULL), JITC_OK);
        for (size_t i = 0; i < COUNT(sizes); i++) {
            jitc_value out[4] = { { 0 } };
            size_to(a, sizes[i]);
            ncuts = 0;
            ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4), JITC_OK);
            read[i] = cut_read[0];
            wrote[i] = cut_wrote[0];
            result[i] = data(out[0].tensor);
        }
        long live = atomic_load(&tensors.live);
        ck_assert_uint_eq((uint64_t)live, stats_of(f).device_blocks);
        for (int64_t n = 1; n < MOST; n += 7) {
            size_to(a, n);
            run_right(f, a, "between");
        }
        ck_assert_int_eq(atomic_load(&tensors.live), live); /* nothing came back */
        for (size_t i = 0; i < COUNT(sizes) && with; i++) {
            jitc_value out[4] = { { 0 } };
            size_to(a, sizes[i]);
            ncuts = 0;
            ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4), JITC_OK);
            ck_assert(read[i] == cut_read[0] && wrote[i] == cut_wrote[0] && result[i] == data(out[0].tensor));
        }
        memset((void *)(uintptr_t)result[0], 0, 4); /* still there to be written by a replay: valgrind and ASan look on */
        jitc_frame_stats s = stats_of(f);
        ck_assert(with ? s.kept_bytes == 0 : s.kept_bytes > 0 && s.kept_bytes <= 2 * (s.device_bytes - s.kept_bytes));
        jitc_frame_free(f);
        ck_assert_int_eq(atomic_load(&tensors.live), 0);
    }
    free(a);
}
END_TEST

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

/* Thousands of shapes: what is remembered is bounded, and the longest unused goes first. */
START_TEST(forgetting) {
    jitc_frame *f = frame_with(model, 8);
    args *a = args_of(MOST);
    run_right(f, a, "the largest");
    for (int64_t n = 1; n <= 8; n++) {
        size_to(a, n);
        run_right(f, a, "first");
    }
    uint64_t host_bytes = stats_of(f).host_bytes, planned = stats_of(f).planned;
    long live = atomic_load(&host.bytes);
    ck_assert_uint_eq(planned, 9);
    ck_assert_uint_eq(stats_of(f).remembered, 8);
    size_to(a, 1); /* 2 is the longest unused now */
    run_right(f, a, "known");
    ck_assert_uint_eq(stats_of(f).planned, planned);
    size_to(a, 100);
    run_right(f, a, "new");
    ck_assert_uint_eq(stats_of(f).planned, planned + 1);
    size_to(a, 1);
    run_right(f, a, "kept");
    ck_assert_uint_eq(stats_of(f).planned, planned + 1);
    size_to(a, 2);
    run_right(f, a, "forgotten");
    ck_assert_uint_eq(stats_of(f).planned, planned + 2);
    for (int n = 0; n < 5000; n++) {
        size_to(a, (n * 31) % MOST);
        run_right(f, a, "many");
    }
    ck_assert_uint_eq(stats_of(f).remembered, 8);
    ck_assert_uint_le(stats_of(f).host_bytes, host_bytes + host_bytes / 8);
    ck_assert_int_le(atomic_load(&host.bytes), live + live / 8);
    ck_assert_uint_eq(stats_of(f).calls, 5013);
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* A call that fails forgets nothing. */
START_TEST(failed_calls_forget_nothing) {
    static const jitc_range range = { NULL, 1, 50 };
    jitc_model *m = build(text, &range, 1);
    jitc_frame *f = frame_with(m, 2);
    args *a = args_of(3);
    jitc_value out[4] = { { 0 } };
    run_right(f, a, "3");
    size_to(a, 4);
    run_right(f, a, "4");
    for (int64_t n = 51; n < 60; n++) { /* not compiled for */
        size_to(a, n);
        ck_assert_int_eq(jitc_frame_run(f, 0, NULL, a->in, 3, out, 4), JITC_E_INPUT);
    }
    size_to(a, 3);
    run_right(f, a, "3");
    ck_assert_uint_eq(stats_of(f).planned, 2);
    jitc_frame_free(f);
    free(a);
}
END_TEST

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

static jitc_status life(bool *usable) {
    args *a = args_of(9), *b = args_of(9);
    jitc_frame_options o = { .struct_size = sizeof o, .alloc = tensor_take, .free = tensor_give, .user = &tensors, .shapes = 2 };
    jitc_frame *f = NULL;
    jitc_symbol limit = { NULL, 40 };
    jitc_value none = { .tag = JITC_NONE };
    static const int64_t sizes[] = { 9, 30, 80, 2 };
    jitc_status status = jitc_frame_new(model, &o, &f);
    if (status == JITC_OK)
        status = jitc_frame_bind(f, 0, 2, b->in[2]);
    if (status == JITC_OK)
        status = jitc_frame_reserve(f, &limit, 1, JITC_RESERVE_GRAPHS, NULL);
    a->in[2] = none;
    for (size_t i = 0; i < COUNT(sizes) && status == JITC_OK; i++) {
        jitc_value out[4] = { { 0 } };
        size_to(a, sizes[i]);
        status = jitc_frame_run(f, 0, NULL, a->in, 3, out, 4);
        if (status == JITC_OK)
            ck_assert_int_eq(count_wrong(a, out), 0);
    }
    if (f) { /* whatever happened */
        atomic_store(&host.fail_at, 0);
        atomic_store(&tensors.fail_at, 0);
        ck_assert_int_eq(jitc_frame_bind(f, 0, 2, none), JITC_OK);
        *usable = true;
        for (int64_t n = 100; n > 0; n -= 33) {
            size_to(b, n);
            run_right(f, b, "after a failure");
        }
    }
    jitc_frame_free(f);
    free(a);
    free(b);
    return status;
}

START_TEST(no_memory) {
    meter *m = _i ? &tensors : &host;
    bool usable = false;
    for (long at = 1;; at++) {
        model = build(text, NULL, 0); /* programs and executables are made anew */
        reset(m);
        atomic_store(&m->fail_at, at);
        jitc_status status = life(&usable);
        ck_assert_msg(status == JITC_OK || status == JITC_E_NOMEM, "allocation %ld: %d: %s", at, status, jitc_context_error(ctx));
        atomic_store(&m->fail_at, 0);
        jitc_model_free(model);
        ck_assert_int_lt(at, 5000);
        if (atomic_load(&m->taken) < at)
            break;
    }
    ck_assert(usable);
}
END_TEST

/* ---- ownership --------------------------------------------------------------------------------------------------- */

START_TEST(freed_with_the_model) {
    jitc_frame *f = frame_with(model, 0), *g = frame_with(model, 0);
    args *a = args_of(3);
    run_right(f, a, "first");
    run_right(g, a, "second");
    jitc_frame_free(g);
    ck_assert_int_gt(atomic_load(&tensors.live), 0);
    jitc_model_free(model);
    ck_assert_int_eq(atomic_load(&tensors.live), 0);
    free(a);
}
END_TEST

START_TEST(not_compiled) {
    jitc_graph *g;
    jitc_model *m;
    jitc_frame *f;
    jitc_model_options o = { .struct_size = sizeof o, .split_only = true };
    ck_assert_int_eq(jitc_graph_read(ctx, "t.py", text, sizeof text - 1, &g), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &g, 1, &o, &m), JITC_OK);
    ck_assert_int_eq(jitc_frame_new(m, NULL, &f), JITC_E_USAGE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "split_only") != NULL, "%s", jitc_context_error(ctx));
}
END_TEST

int main(void) {
    Suite *s = suite_create("frame");
    TCase *c = tcase_create("frames");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, chained);
    tcase_add_test(c, stride_of_one_row);
    tcase_add_test(c, stride_of_no_symbol);
    tcase_add_test(c, strides_of_nothing);
    tcase_add_test(c, two_graphs);
    tcase_add_test(c, threads);
    tcase_add_test(c, passed_again);
    tcase_add_test(c, into_tensors);
    tcase_add_test(c, in_place);
    tcase_add_loop_test(c, refused, 0, COUNT(refusals));
    tcase_add_test(c, views_of_inputs);
    tcase_add_test(c, from_allocator);
    tcase_add_test(c, crooked_allocator);
    tcase_add_test(c, binding);
    tcase_add_test(c, complex_tensors);
    tcase_add_loop_test(c, binding_refused, 0, COUNT(misfits));
    tcase_add_test(c, bound_size);
    tcase_add_loop_test(c, reserved, 0, 2);
    tcase_add_test(c, unaligned);
    tcase_add_test(c, reserve_refused);
    tcase_add_test(c, never_moves);
    tcase_add_test(c, forgetting);
    tcase_add_test(c, failed_calls_forget_nothing);
    tcase_add_loop_test(c, no_memory, 0, 2);
    tcase_add_test(c, freed_with_the_model);
    tcase_add_test(c, not_compiled);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
