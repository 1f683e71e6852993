/*
 * tests/check_large.c - large graphs: kernels end at a size, and the work to make them grows as the graph does.
 *
 * The work is counted in tape instructions, not in seconds: of a graph of N nodes all kernels together have some times N, and none of them more
 * than LLVM and an assembler take in their stride.  What took minutes, or never ended, before kernels were cut: each kind of graph in `shapes`.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/graph_run.h"
#include "tests/large_graphs.h"

static jc_arena *arena;

static void setup(void) {
    arena = jc_arena_new(NULL);
}

static void teardown(void) {
    jc_arena_free(arena);
}

/* --- how much is made of them --- */

typedef struct shape {
    const char *name;
    int n;
    uint32_t instrs;    /* a node, at most */
    uint32_t longest;   /* tape, at most */
} shape;

static const shape shapes[] = {
    { "adds", 4000, 3, 1300 },
    { "functions", 1000, 6, 600 },
    { "reductions", 400, 8, 200 },
    { "norms", 200, 20, 300 },
    { "doubles", 300, 4, 1300 },
    { "wide", 2000, 5, 900 },
    { "parts", 2000, 5, 900 },
    { "views", 1000, 8, 900 },
    { "writes", 1000, 8, 900 },
    { "lookups", 1000, 20, 900 },
    { "operands", 1500, 5, 900 },
    { "sizes", 300, 6, 10 },
};
#define NSHAPES (sizeof shapes / sizeof *shapes)

static void check(const shape *sh, const char *arch) {
    char *text = large_text(sh->name, sh->n);
    const graph_case c = { sh->name, NULL, text, NULL, 0, NULL };
    const jc_schedule s = graph_schedule(&c, arch, arena);
    uint64_t all = 0;
    uint32_t longest = 0, args = 0;
    for (uint32_t i = 0; i < s.nkernels; i++) {
        const jc_kernel *k = s.kernels[i];
        all += k->ninstrs;
        longest = k->ninstrs > longest ? k->ninstrs : longest;
        args = k->nargs > args ? k->nargs : args;
    }
    ck_assert_msg(all > 0 && all <= (uint64_t)sh->instrs * (uint64_t)sh->n, "%s of %d for %s: %llu instructions in all, expected at most %u a node", sh->name,
                  sh->n, arch, (unsigned long long)all, sh->instrs);
    ck_assert_msg(longest <= sh->longest, "%s for %s: the longest kernel has %u instructions, expected at most %u", sh->name, arch, longest, sh->longest);
    ck_assert_msg(args <= JC_KERNEL_MAX_ARGS, "%s for %s: a kernel has %u arguments", sh->name, arch, args);
    free(text);
}

START_TEST(ends_at_a_size) {
    check(&shapes[_i], "host");
    check(&shapes[_i], "sm_90a");
}
END_TEST

/* Whose numbers are right all the same: smaller, but cut too. */
START_TEST(gives_numbers) {
    static const shape small[] = { { "adds", 1500, 0, 0 }, { "norms", 60, 0, 0 }, { "wide", 150, 0, 0 }, { "parts", 150, 0, 0 },
                                   { "views", 120, 0, 0 }, { "writes", 150, 0, 0 }, { "operands", 300, 0, 0 },
                                   { "sizes", 40, 0, 0 } };
    char *text = large_text(small[_i].name, small[_i].n);
    const graph_case c = { small[_i].name, NULL, text, NULL, 1e-4, NULL };
    graph_check(&c, "host", 3, 2);
    graph_check(&c, "sim", 3, 4);
    free(text);
}
END_TEST

/* The best of a row go on from each other: cut, each would begin anew. */
START_TEST(best_of_a_row_stay_together) {
    static const graph_case c = { "topk", "x: \"f32[s0, 1000]\"", "t = torch.topk(x, 8)\nv: \"f32[s0, 8]\" = t[0]\ni: \"i64[s0, 8]\" = t[1]", "v, i", 0, NULL };
    const jc_schedule s = graph_schedule(&c, "host", arena);
    ck_assert_uint_eq(s.plan->nsteps, 1);
}
END_TEST

/* Sums of more sizes than an expression holds are refused where they stand. */
START_TEST(sizes_without_end) {
    char *text = large_text("sizes", 500), message[2048];
    const graph_case c = { "sizes", NULL, text, NULL, 0, NULL };
    ck_assert_int_eq(graph_compile(&c, "host", NULL, NULL, message, sizeof message), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(message, "sizes:3") && strstr(message, "too large an expression"), "%s", message);
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("large");
    TCase *t = tcase_create("large");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, ends_at_a_size, 0, (int)NSHAPES);
    tcase_add_loop_test(t, gives_numbers, 0, 8);
    tcase_add_test(t, best_of_a_row_stay_together);
    tcase_add_test(t, sizes_without_end);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
