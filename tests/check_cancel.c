/*
 * tests/check_cancel.c - a build that its caller ends: at every place where it asks, beside others, and what is left of it.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/jitc.h"

#define ROUNDS 40

/* Two classes, with a kernel or two each. */
static const char text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\"):\n"
    "        submod_0 = self.submod_0(x, s0)\n"
    "        a: \"f32[s0, 4]\" = submod_0[0];  submod_0 = None\n"
    "        submod_1 = self.submod_1(a, s0)\n"
    "        b: \"f32[4]\" = submod_1[0];  submod_1 = None\n"
    "        return (a, b)\n"
    "\n"
    "    class submod_0(torch.nn.Module):\n"
    "        def forward(self, x: \"f32[s0, 4]\", s0: \"Sym(s0)\"):\n"
    "            y: \"f32[s0, 4]\" = torch.softmax(x, dim = -1)\n"
    "            z: \"f32[s0, 4]\" = y * 2.0\n"
    "            return (z,)\n"
    "\n"
    "    class submod_1(torch.nn.Module):\n"
    "        def forward(self, a: \"f32[s0, 4]\", s0: \"Sym(s0)\"):\n"
    "            r: \"f32[4]\" = a.sum(dim = 0)\n"
    "            t: \"f32[4]\" = r + 1.0\n"
    "            return (t,)\n";

/* When to say stop, and what was seen. */
typedef struct stop {
    int at;             /* number of the question that is answered with yes; -1: none */
    atomic_int asked;   /* so far */
    atomic_int after;   /* kernels finished since the yes */
    atomic_bool said;
    bool again;         /* asked after the yes */
} stop;

static bool ask(void *user) {
    stop *s = user;
    if (atomic_load(&s->said))
        s->again = true;
    if (atomic_fetch_add(&s->asked, 1) != s->at)
        return false;
    atomic_store(&s->said, true);
    return true;
}

static void told(void *user, unsigned done, unsigned total, const char *what) {
    stop *s = user;
    (void)done;
    (void)total;
    (void)what;
    if (atomic_load(&s->said))
        atomic_fetch_add(&s->after, 1);
}

static jitc_context *open_context(unsigned threads) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = threads };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    return ctx;
}

static jitc_status build(jitc_context *ctx, stop *s, jitc_model **out) {
    jitc_model_options o = { .struct_size = sizeof o, .progress = told, .progress_user = s, .cancel = ask, .cancel_user = s };
    jitc_graph *graph;
    jitc_status status = jitc_graph_read(ctx, "cancel.py", text, sizeof text - 1, &graph);
    if (status != JITC_OK)
        return status;
    status = jitc_model_build(ctx, &graph, 1, &o, out);
    if (status != JITC_OK)
        jitc_graph_free(graph);
    return status;
}

/* a = 2 softmax(x) is 0.5 everywhere for a constant x; b = its column sums + 1. */
static bool right(jitc_model *m) {
    float x[8] = { 3, 3, 3, 3, 3, 3, 3, 3 };
    int64_t shape[2] = { 2, 4 };
    DLTensor t = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value in[2] = { { .tag = JITC_INT, .i = 2 }, { .tag = JITC_TENSOR, .tensor = &t } }, out[2];
    if (jitc_model_run(m, 0, NULL, in, 2, out, 2) != JITC_OK)
        return false;
    const float *a = out[0].tensor->data, *b = out[1].tensor->data;
    return a[7] > 0.4999f && a[7] < 0.5001f && b[3] > 1.9999f && b[3] < 2.0001f;
}

/* Stops at question 0, 1, 2, ... until a build gets through. */
START_TEST(everywhere) {
    jitc_model *m = NULL;
    int at = 0;
    for (;; at++) {
        jitc_context *ctx = open_context(1); /* nothing is known from before */
        stop s = { .at = at };
        m = (jitc_model *)&s;
        jitc_status status = build(ctx, &s, &m);
        if (status == JITC_OK) {
            ck_assert_int_eq(s.asked, at);
            ck_assert(right(m));
            jitc_context_free(ctx);
            break;
        }
        ck_assert_int_eq(status, JITC_E_CANCELLED);
        ck_assert_str_eq(jitc_context_error(ctx), "The build was cancelled.");
        ck_assert_ptr_null(m);
        ck_assert(!s.again);
        ck_assert_int_eq(s.after, 0);
        stop none = { .at = -1 }; /* the same context builds it afterwards */
        ck_assert_int_eq(build(ctx, &none, &m), JITC_OK);
        ck_assert(right(m));
        jitc_context_free(ctx);
    }
    ck_assert_int_ge(at, 6); /* at least: start, twice the graph, two classes, a kernel */
    ck_assert_int_eq(jitc_status_text(JITC_E_CANCELLED)[0], 't');
}
END_TEST

typedef struct other {
    jitc_context *ctx;
    pthread_barrier_t *start;
    bool cancels;
    int round, wrong;
    char message[256];
} other;

static void *build_thread(void *arg) {
    other *o = arg;
    stop s = { .at = o->cancels ? o->round % 8 : -1 };
    jitc_model *m = NULL;
    pthread_barrier_wait(o->start);
    jitc_status status = build(o->ctx, &s, &m);
    bool cancelled = o->cancels && status == JITC_E_CANCELLED && !m;
    if (!cancelled && (status != JITC_OK || !right(m))) {
        o->wrong++;
        snprintf(o->message, sizeof o->message, "%s", jitc_context_error(o->ctx));
    }
    jitc_model_free(m);
    return NULL;
}

/* Builds of the same kernels, one of which is ended: the others do not notice. */
START_TEST(beside_others) {
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[3];
        pthread_barrier_t start;
        other o[3];
        jitc_context *ctx = open_context(2);
        pthread_barrier_init(&start, NULL, 3);
        for (int i = 0; i < 3; i++) {
            o[i] = (other){ .ctx = ctx, .start = &start, .cancels = i == 0, .round = round };
            ck_assert_int_eq(pthread_create(&threads[i], NULL, build_thread, &o[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            ck_assert_msg(o[i].wrong == 0, "round %d, thread %d: %s", round, i, o[i].message);
        }
        pthread_barrier_destroy(&start);
        jitc_context_free(ctx);
    }
}
END_TEST

/* A caller of before has no such field: what lies there is not looked at. */
START_TEST(older_options) {
    jitc_context *ctx = open_context(1);
    stop s = { .at = 0 };
    jitc_model_options o = { .struct_size = offsetof(jitc_model_options, cancel), .cancel = ask, .cancel_user = &s };
    jitc_graph *graph;
    jitc_model *m;
    ck_assert_int_eq(jitc_graph_read(ctx, "cancel.py", text, sizeof text - 1, &graph), JITC_OK);
    ck_assert_int_eq(jitc_model_build(ctx, &graph, 1, &o, &m), JITC_OK);
    ck_assert_int_eq(s.asked, 0);
    ck_assert(right(m));
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("cancel");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, everywhere);
    tcase_add_test(c, beside_others);
    tcase_add_test(c, older_options);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
