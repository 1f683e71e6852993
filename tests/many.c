/*
 * tests/many.c - a part of a program's cases, and LLVM loaded before Check forks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/jitc/jitc.h"
#include "tests/many.h"

static void need(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "%s\n", what);
    exit(EXIT_FAILURE);
}

void many_add(TCase *t, const TTest *test, int from, int to) {
    const char *part = getenv("JITC_TEST_PART");
    int first = 0, step = 1, end = 0;
    if (part)
        need(sscanf(part, "%d/%d%n", &first, &step, &end) == 2 && !part[end] && step > 0 && first >= 0 && first < step,
             "JITC_TEST_PART is \"K/N\": every Nth case, from the Kth (0 to N-1) on.");
    for (int i = from; i < to; i++)
        if ((i - from) % step == first)
            tcase_add_loop_test(t, test, i, i + 1);
}

void many_prepare(void) {
    static const char text[] = "def forward(self, x: \"f32[2]\"):\n    y: \"f32[2]\" = x + 1\n    return (y,)\n";
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *m;
    need(jitc_context_new(&o, &ctx) == JITC_OK && jitc_graph_read(ctx, "prepare", text, strlen(text), &g) == JITC_OK &&
             jitc_model_build(ctx, &g, 1, NULL, &m) == JITC_OK,
         "Nothing can be compiled for the host: are the libraries built?");
    jitc_context_free(ctx);
}
