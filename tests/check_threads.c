/*
 * tests/check_threads.c - several models that share a context: built, run in frames, asked, and freed from many threads at once.
 *
 * Each thread goes through the same few graphs in another order, so that the same kernels are compiled, found and waited for, classes are
 * described and models freed while others run.  One thread builds what cannot be built, and one cancels: nobody else notices.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/jitc.h"

#define THREADS 6
#define ROUNDS 15
#define GRAPHS 4

static jitc_context *ctx;
static jitc_model *shared; /* run by all, in frames of their own */
static pthread_barrier_t start;

/* x times k + 2 twice, in two pieces of one class. */
static int text_of(int k, char *out, size_t size) {
    return snprintf(out, size,
                    "class M(torch.nn.Module):\n"
                    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\"):\n"
                    "        submod_0 = self.submod_0(x, s0)\n"
                    "        a: \"f32[s0, 4]\" = submod_0[0];  submod_0 = None\n"
                    "        submod_1 = self.submod_1(a, s0)\n"
                    "        b: \"f32[s0, 4]\" = submod_1[0];  submod_1 = None\n"
                    "        return (b,)\n"
                    "    class submod_0(torch.nn.Module):\n"
                    "        def forward(self, x: \"f32[s0, 4]\", s0: \"Sym(s0)\"):\n"
                    "            y: \"f32[s0, 4]\" = x * %d.0\n"
                    "            return (y,)\n"
                    "    class submod_1(torch.nn.Module):\n"
                    "        def forward(self, p: \"f32[s0, 4]\", s0: \"Sym(s0)\"):\n"
                    "            q: \"f32[s0, 4]\" = p * %d.0\n"
                    "            return (q,)\n", k + 2, k + 2);
}

static jitc_status build(int k, const jitc_model_options *o, jitc_graph **graph, jitc_model **out) {
    char text[2048];
    int n = text_of(k, text, sizeof text);
    *out = NULL;
    jitc_status status = jitc_graph_read(ctx, "threads.py", text, (size_t)n, graph);
    return status == JITC_OK ? jitc_model_build(ctx, graph, 1, o, out) : status;
}

/* ROWS of ones, times (k + 2) twice. */
static bool right(jitc_frame *frame, int k, int64_t rows) {
    _Alignas(64) float x[64], y[64];
    int64_t shape[2] = { rows, 4 };
    DLTensor in = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape }, out = in;
    out.data = y;
    jitc_value values[2] = { { .tag = JITC_INT, .i = rows }, { .tag = JITC_TENSOR, .tensor = &in } };
    jitc_value result = { .tag = JITC_TENSOR, .tensor = &out };
    for (int i = 0; i < 4 * rows; i++)
        x[i] = 1;
    if (jitc_frame_run(frame, 0, NULL, values, 2, &result, 1) != JITC_OK)
        return false;
    for (int i = 0; i < 4 * rows; i++)
        if (y[i] != (float)((k + 2) * (k + 2)))
            return false;
    return true;
}

static bool described(jitc_model *m) {
    const jitc_executable *exe;
    jitc_executable_info info = { .struct_size = sizeof info };
    jitc_param_info param = { .struct_size = sizeof param };
    return jitc_model_classes(m) == 1 && jitc_model_executable(m, 0, &exe) == JITC_OK &&
           jitc_executable_get_info(exe, &info) == JITC_OK && info.members == 2 && info.nresults == 1 &&
           jitc_model_param_info(m, 0, 1, &param) == JITC_OK && strcmp(param.type, "f32[s0, 4]") == 0;
}

typedef struct worker {
    int index;
    const char *bad;
    char message[512];
} worker;

static bool wrong(worker *w, const char *what) {
    w->bad = what;
    snprintf(w->message, sizeof w->message, "%s", jitc_context_error(ctx));
    return false;
}

static bool round_trip(worker *w, jitc_frame *mine, int round) {
    int k = (w->index + round) % GRAPHS;
    jitc_graph *graph;
    jitc_model *m;
    jitc_frame *frame;
    if (build(k, NULL, &graph, &m) != JITC_OK)
        return wrong(w, "a build");
    if (!described(m) || !described(shared))
        return wrong(w, "what a model says");
    if (jitc_frame_new(m, NULL, &frame) != JITC_OK || !right(frame, k, 1 + round % 8))
        return wrong(w, "a run of its own model");
    if (!right(mine, 0, 1 + (w->index + round) % 8))
        return wrong(w, "a run of the shared model");
    jitc_frame_free(frame);
    jitc_model_free(m);
    jitc_graph_free(graph);
    return true;
}

static void *work(void *arg) {
    worker *w = arg;
    jitc_frame *mine;
    pthread_barrier_wait(&start);
    if (jitc_frame_new(shared, NULL, &mine) != JITC_OK) {
        wrong(w, "a frame");
        return NULL;
    }
    for (int round = 0; round < ROUNDS && round_trip(w, mine, round);)
        round++;
    jitc_frame_free(mine);
    return NULL;
}

static bool fourth(void *user) {
    return atomic_fetch_add((atomic_int *)user, 1) >= 3;
}

/* Fails in two ways, and sees its own failures alone. */
static void *failing(void *arg) {
    static const char bad[] = "class M(torch.nn.Module):\n    def forward(self, x):\n        return (nowhere,)\n";
    worker *w = arg;
    pthread_barrier_wait(&start);
    for (int round = 0; round < ROUNDS && !w->bad; round++) {
        atomic_int asked = 0;
        jitc_model_options o = { .struct_size = sizeof o, .cancel = fourth, .cancel_user = &asked };
        jitc_graph *graph = NULL;
        jitc_model *m;
        if (jitc_graph_read(ctx, "bad.py", bad, sizeof bad - 1, &graph) != JITC_E_INPUT || !strstr(jitc_context_error(ctx), "nowhere"))
            wrong(w, "a failure");
        jitc_status status = build(round % GRAPHS, &o, &graph, &m);
        if (status != JITC_OK && (status != JITC_E_CANCELLED || m || !strstr(jitc_context_error(ctx), "cancelled")))
            wrong(w, "a cancelled build");
        jitc_model_free(m);
        jitc_graph_free(graph);
    }
    return NULL;
}

START_TEST(many) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 2 };
    pthread_t threads[THREADS];
    worker w[THREADS];
    jitc_graph *graph;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(build(0, NULL, &graph, &shared), JITC_OK);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){ .index = i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i == THREADS - 1 ? failing : work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(!w[i].bad, "thread %d: %s: %s", i, w[i].bad, w[i].message);
    pthread_barrier_destroy(&start);
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("threads");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, many);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
