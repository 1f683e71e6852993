/*
 * tests/check_planted.c - the simulator finds faults planted into generated kernels.
 *
 * The generated code calls the simulator for barriers and shuffles, so a fault is planted by loading it with another
 * function under that name; a tail mask is shortened by telling the kernel of more rows than the tensors have.  The kernel
 * is a softmax over rows that take several warps: it needs its barriers, its masks and its shuffles.
 */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plan/kernel.h"
#include "plan/plan.h"
#include "runtime/sim.h"
#include "tests/graph_run.h"

enum { ROWS = 3, COLUMNS = 1000 };

static const graph_case softmax = { "softmax", "x: \"f32[s0, 1000]\"",
                                    "y: \"f32[s0, 1000]\" = torch.nn.functional.softmax(x, dim = -1)", "y", 0, NULL };

static jc_arena *arena;
static jc_artifact artifact;
static jc_plan *plan;
static uint8_t *bytes;
static float x[ROWS * COLUMNS] __attribute__((aligned(256))), y[ROWS * COLUMNS] __attribute__((aligned(256)));

static void setup(void) {
    size_t n;
    char message[2048];
    jc_error err = JC_ERROR_INIT;
    arena = jc_arena_new(NULL);
    ck_assert_msg(graph_compile(&softmax, "sim", &bytes, &n, message, sizeof message) == JITC_OK, "%s", message);
    ck_assert_int_eq(jc_artifact_decode(bytes, n, arena, &artifact, &err), JITC_OK);
    ck_assert_int_eq(jc_plan_decode(artifact.plan, artifact.nplan, arena, &plan, &err), JITC_OK);
    ck_assert_uint_eq(plan->nsteps, 1);
    ck_assert_uint_gt(plan->kernels[0].threads, 32);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        x[i] = (float)(i * 7 % 13) / 4;
}

static void teardown(void) {
    free(bytes);
    jc_arena_free(arena);
}

/* Runs the kernel for so many rows with some calls replaced. */
static jitc_status run(int64_t rows, const char *name, void *instead, uint64_t seed, jc_error *err) {
    jc_loader_symbol *symbols = JC_NEWN(arena, jc_loader_symbol, jc_sim_nsymbols);
    jc_loaded *code;
    for (uint32_t i = 0; i < jc_sim_nsymbols; i++) {
        symbols[i] = jc_sim_symbols[i];
        if (name && strcmp(symbols[i].name, name) == 0)
            symbols[i].address = instead;
    }
    ck_assert_int_eq(jc_load_object(artifact.codes[0].bytes, artifact.codes[0].nbytes, symbols, jc_sim_nsymbols,
                                    &jc_alloc_libc, &code, err), JITC_OK);
    const jc_plan_step *step = &plan->steps[0];
    void **args = JC_NEWN(arena, void *, step->nkargs);
    int64_t *values = JC_NEWN(arena, int64_t, step->nkargs), blocks;
    for (uint32_t i = 0; i < step->nkargs; i++) {
        if (step->kargs[i].kind == JC_KARG_PTR) {
            void *at = plan->tensors[step->kargs[i].tensor].home == JC_HOME_INPUT ? x : y;
            memcpy(&values[i], &at, sizeof at);
        } else {
            ck_assert(jc_ex_eval(step->kargs[i].expr, &rows, 1, &values[i]));
        }
        args[i] = &values[i];
    }
    ck_assert(jc_ex_eval(step->blocks, &rows, 1, &blocks));
    jc_sim_range ranges[] = { { x, sizeof x, false }, { y, sizeof y, true } };
    memset(y, 0, sizeof y);
    jc_sim_launch launch = { .name = plan->kernels[0].name, .kernel = (jc_sim_kernel)jc_loaded_symbol(code, plan->kernels[0].name),
                             .args = args, .blocks = blocks, .threads = plan->kernels[0].threads,
                             .shared = plan->kernels[0].shared, .seed = seed, .ranges = ranges, .nranges = 2 };
    ck_assert_ptr_nonnull(launch.kernel);
    jitc_status status = jc_sim_run(&launch, err);
    jc_loaded_free(code);
    return status;
}

static double distance(void) {
    double difference = 0, norm = 0;
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int c = 0; c < COLUMNS; c++)
            sum += exp(x[r * COLUMNS + c]);
        for (int c = 0; c < COLUMNS; c++) {
            double want = exp(x[r * COLUMNS + c]) / sum, got = y[r * COLUMNS + c];
            difference += (want - got) * (want - got);
            norm += want * want;
        }
    }
    return sqrt(difference / norm);
}

START_TEST(as_generated) {
    jc_error err = JC_ERROR_INIT;
    for (uint64_t seed = 0; seed < 10; seed++) {
        ck_assert_msg(run(ROWS, NULL, NULL, seed, &err) == JITC_OK, "%s", err.message);
        ck_assert_double_lt(distance(), 1e-6);
    }
}
END_TEST

static void no_barrier(jc_sim_thread *self) {
    (void)self;
}

START_TEST(barrier_removed) {
    for (uint64_t seed = 0; seed < 10; seed++) {
        jc_error err = JC_ERROR_INIT;
        ck_assert_int_eq(run(ROWS, "jc_sim_barrier", (void *)no_barrier, seed, &err), JITC_E_DEVICE);
        ck_assert_msg(strstr(err.message, "barrier") || strstr(err.message, "initialised"), "%s", err.message);
        ck_assert_msg(strstr(err.message, plan->kernels[0].name) != NULL, "%s", err.message);
    }
}
END_TEST

START_TEST(tail_mask_shortened) {
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(run(ROWS + 1, NULL, NULL, 1, &err), JITC_E_DEVICE);
    ck_assert_msg(strstr(err.message, "out") && strstr(err.message, "bytes"), "%s", err.message);
}
END_TEST

/* One lane takes another partner. */
static uint32_t crossed(jc_sim_thread *self, uint32_t value, int32_t mask) {
    return jc_sim_shfl_xor(self, value, jc_sim_tid(self) % 32 == 5 ? mask ^ 3 : mask);
}

/* All lanes take a wrong partner: nothing is out of order, but the numbers are. */
static uint32_t wrong(jc_sim_thread *self, uint32_t value, int32_t mask) {
    return jc_sim_shfl_xor(self, value, mask == 1 ? 2 : mask);
}

START_TEST(shuffle_swapped) {
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(run(ROWS, "jc_sim_shfl_xor", (void *)crossed, 1, &err), JITC_E_DEVICE);
    ck_assert_msg(strstr(err.message, "shuffle") != NULL, "%s", err.message);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(run(ROWS, "jc_sim_shfl_xor", (void *)wrong, 1, &err), JITC_OK);
    ck_assert_double_gt(distance(), 1e-3);
}
END_TEST

/* Two blocks take one row. */
static int64_t same_block(jc_sim_thread *self) {
    return jc_sim_block(self) & ~INT64_C(1);
}

/* Thread 7 stores its result where thread 6 does. */
static void *beside(jc_sim_thread *self, void *address, uint32_t size, uint32_t align) {
    uintptr_t at = (uintptr_t)address;
    bool result = at >= (uintptr_t)y && at < (uintptr_t)y + sizeof y;
    return jc_sim_store(self, result && jc_sim_tid(self) == 7 ? (char *)address - size : address, size, align);
}

START_TEST(results_collide) {
    for (uint64_t seed = 0; seed < 10; seed++) {
        jc_error err = JC_ERROR_INIT;
        ck_assert_int_eq(run(ROWS, "jc_sim_block", (void *)same_block, seed, &err), JITC_E_DEVICE);
        ck_assert_msg(strstr(err.message, "race: writes byte ") && strstr(err.message, "blocks run in no order"), "%s",
                      err.message);
        err = (jc_error)JC_ERROR_INIT;
        ck_assert_int_eq(run(ROWS, "jc_sim_store", (void *)beside, seed, &err), JITC_E_DEVICE);
        ck_assert_msg(strstr(err.message, "race: writes byte ") && strstr(err.message, "of this block has written"), "%s",
                      err.message);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("planted");
    TCase *t = tcase_create("planted");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, as_generated);
    tcase_add_test(t, barrier_removed);
    tcase_add_test(t, tail_mask_shortened);
    tcase_add_test(t, shuffle_swapped);
    tcase_add_test(t, results_collide);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
