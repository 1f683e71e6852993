/* check_sim.c - kernels written by hand against the simulator: right ones agree, planted faults are found. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sim.h"

#define SEEDS 20

typedef jc_sim_thread T;

static float load_float(T *t, const float *at) {
    return *(const float *)jc_sim_load(t, at, 4, 4);
}

static void store_float(T *t, float *at, float x) {
    *(float *)jc_sim_store(t, at, 4, 4) = x;
}

static float shuffle(T *t, float x, int32_t mask) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = jc_sim_shfl_xor(t, bits, mask);
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* ---- a block reduction, and what can be wrong with it ------------------------------------------------------------- */

enum {
    RIGHT,
    NO_FILL,            /* shared memory is not zeroed first: right as well, it is not needed */
    NO_BARRIER,         /* between writing the warps' sums and reading them */
    NO_BARRIER_NO_FILL, /* the same without the zeros: what is read may be uninitialised */
    LONG_TAIL,          /* the last step of the loop is not masked */
    LONG_STORE,         /* every thread stores, and the output has room for one */
    READ_ONLY,          /* stores to the input */
    WRONG_SHUFFLE,      /* a mask is used twice, another one never */
    OTHER_SHUFFLE,      /* lane 3 of warp 1 uses other masks */
    MISSING_LANE,       /* lane 5 of warp 0 does not come to the shuffles */
    MISSING_THREADS,    /* the last warp does not come to the barrier */
    UNINITIALISED,      /* reads a slot that no warp writes */
    MISALIGNED,         /* 8 bytes at a time from an odd float */
    BEYOND_SHARED,
    TWO_WRITERS,        /* all lanes store their warp's sum */
};

#define THREADS 128
#define COLUMNS 301 /* 2 full steps and a tail of 45 */
#define BLOCKS 5

typedef struct reduction {
    const float *x; /* BLOCKS rows of COLUMNS */
    float *out;     /* BLOCKS */
    int32_t plant;
} reduction;

static float thread_sum(T *t, const reduction *r, const float *row) {
    float sum = 0;
    for (int32_t i = jc_sim_tid(t); i < (r->plant == LONG_TAIL ? 3 * THREADS : COLUMNS); i += THREADS)
        sum += load_float(t, row + i);
    return sum;
}

static float warp_sum(T *t, int32_t plant, float sum) {
    int32_t tid = jc_sim_tid(t);
    if (plant == MISSING_LANE && tid == 5)
        return sum;
    for (int32_t mask = 16; mask; mask /= 2) {
        int32_t m = plant == WRONG_SHUFFLE && mask == 8 ? 16 : plant == OTHER_SHUFFLE && tid == 35 ? 33 - mask : mask;
        sum += shuffle(t, sum, m);
    }
    return sum;
}

static void reduce(void *const *args, T *t) {
    const reduction *r = *(const reduction *const *)args[0];
    int32_t tid = jc_sim_tid(t), plant = r->plant;
    const float *row = r->x + jc_sim_block(t) * COLUMNS;
    float *slots = (float *)(void *)jc_sim_shared(t);
    bool fill = plant != NO_FILL && plant != NO_BARRIER_NO_FILL;
    if (fill && tid < THREADS / 32)
        store_float(t, slots + tid, 0);
    jc_sim_barrier(t);
    float sum = thread_sum(t, r, row);
    if (plant == MISALIGNED)
        jc_sim_load(t, row + 1 - jc_sim_block(t) % 2, 8, 8);
    sum = warp_sum(t, plant, sum);
    if (tid % 32 == 0 || plant == TWO_WRITERS)
        store_float(t, slots + tid / 32 + (plant == BEYOND_SHARED ? 2 : 0), sum);
    if (plant == MISSING_THREADS && tid >= 96)
        return;
    if (plant != NO_BARRIER && plant != NO_BARRIER_NO_FILL)
        jc_sim_barrier(t);
    float total = 0;
    for (int i = 0; i < THREADS / 32; i++)
        total += load_float(t, slots + i + (plant == UNINITIALISED ? 1 : 0));
    if (plant == READ_ONLY)
        store_float(t, (float *)(uintptr_t)row, total);
    if (tid == 0 || plant == LONG_STORE)
        store_float(t, r->out + jc_sim_block(t) + (plant == LONG_STORE ? tid : 0), total);
}

static jitc_status run_reduction(int32_t plant, uint64_t seed, float *out, jc_error *err) {
    static float x[BLOCKS * COLUMNS];
    for (int i = 0; i < BLOCKS * COLUMNS; i++)
        x[i] = (float)(i % 17 - 5); /* sums of small integers are exact */
    reduction r = { x, out, plant }, *at = &r;
    void *args[] = { &at };
    jc_sim_range ranges[] = { { out, BLOCKS * sizeof *out, true }, { x, sizeof x, false } };
    jc_sim_launch l = { .name = "reduce", .kernel = reduce, .args = args, .blocks = BLOCKS, .threads = THREADS,
                        .shared = plant == UNINITIALISED ? 20 : 16, .seed = seed, .ranges = ranges, .nranges = 2 };
    *err = (jc_error)JC_ERROR_INIT;
    return jc_sim_run(&l, err);
}

static float expected_sum(int block) {
    int sum = 0;
    for (int i = 0; i < COLUMNS; i++)
        sum += (block * COLUMNS + i) % 17 - 5;
    return (float)sum;
}

START_TEST(test_reduction) {
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int32_t plant = RIGHT; plant <= NO_FILL; plant++) {
            float out[BLOCKS] = { 0 };
            jc_error err;
            jitc_status status = run_reduction(plant, seed, out, &err);
            ck_assert_msg(status == JITC_OK, "seed %d: %s", (int)seed, err.message);
            for (int b = 0; b < BLOCKS; b++)
                ck_assert_float_eq(out[b], expected_sum(b));
        }
}
END_TEST

/* Every seed must report the fault, with these words. */
static const struct {
    int32_t plant;
    const char *words[3];
} planted[] = {
    { NO_BARRIER, { "Kernel reduce: block ", "race: ", "since the last barrier" } },
    { LONG_TAIL, { "out of bounds", "load of 4 bytes", "range 1, which has 6020 bytes" } },
    { LONG_STORE, { "out of bounds", "store of 4 bytes", "range 0, which has 20 bytes" } },
    { READ_ONLY, { "store of 4 bytes", "range 1", "read-only" } },
    { OTHER_SHUFFLE, { "deadlock", "waits at a shuffle", "waits at a different one" } },
    { MISSING_LANE, { "deadlock", "waits at a shuffle", "lane 5 of its warp waits at a barrier" } },
    { MISSING_THREADS, { "deadlock", "waits at a barrier with 96 of 128 threads", "has ended" } },
    { UNINITIALISED, { "reads byte 16 of shared memory", "uninitialised", "" } },
    { MISALIGNED, { "load of 8 bytes is misaligned", "multiple of 8", "but 4 more" } },
    { BEYOND_SHARED, { "store of 4 bytes out of bounds", "beyond the end of shared memory", "has 16 bytes" } },
    { TWO_WRITERS, { "race: writes byte", "has written since the last barrier", "" } },
};

START_TEST(test_planted) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        float out[BLOCKS];
        jc_error err;
        jitc_status status = run_reduction(planted[_i].plant, seed, out, &err);
        ck_assert_msg(status == JITC_E_DEVICE, "row %d, seed %d: not found", _i, (int)seed);
        for (int w = 0; w < 3; w++)
            ck_assert_msg(strstr(err.message, planted[_i].words[w]) != NULL, "row %d, seed %d, '%s' is not in: %s", _i,
                          (int)seed, planted[_i].words[w], err.message);
    }
}
END_TEST

/* Where the slots are not filled first, a missing barrier is a race or an uninitialised read, as the order has it. */
START_TEST(test_planted_no_fill) {
    int races = 0, uninitialised = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        float out[BLOCKS];
        jc_error err;
        ck_assert_int_eq(run_reduction(NO_BARRIER_NO_FILL, seed, out, &err), JITC_E_DEVICE);
        races += strstr(err.message, "race") != NULL;
        uninitialised += strstr(err.message, "uninitialised") != NULL;
    }
    ck_assert_int_eq(races + uninitialised, SEEDS);
    ck_assert_int_gt(uninitialised, 0);
}
END_TEST

/* A wrong shuffle breaks no rule: its numbers show it. */
START_TEST(test_planted_shuffle) {
    float out[BLOCKS];
    jc_error err;
    ck_assert_int_eq(run_reduction(WRONG_SHUFFLE, 1, out, &err), JITC_OK);
    int wrong = 0;
    for (int b = 0; b < BLOCKS; b++)
        wrong += out[b] != expected_sum(b);
    ck_assert_int_gt(wrong, 0);
}
END_TEST

/* How far out of bounds: the distance is told exactly. */
static void stray(void *const *args, T *t) {
    int64_t *how = args[1];
    const char *at = *(const char *const *)args[0] + how[0];
    if (how[2])
        jc_sim_store(t, (void *)(uintptr_t)at, (uint32_t)how[1], 1);
    else
        jc_sim_load(t, at, (uint32_t)how[1], 1);
    jc_sim_barrier(t);
    how[3] = 1; /* a fault ends the launch at the next wait */
}

static const struct {
    int64_t offset, size, store;
    const char *word; /* NULL: fine */
} strays[] = {
    { 0, 16, 0, NULL },
    { 84, 16, 1, NULL },
    { 85, 16, 0, "ends 1 bytes beyond the end of range 0, which has 100 bytes" },
    { 100, 4, 1, "ends 4 bytes beyond the end of range 0" },
    { 196, 4, 0, "ends 100 bytes beyond the end of range 0" },
    { -1, 4, 0, "starts 1 bytes before the start of range 0" },
    { -64, 4, 1, "starts 64 bytes before the start of range 0" },
    { 1020, 8, 0, "ends 4 bytes beyond the end of range 1, which has 24 bytes" },
};

START_TEST(test_distance) {
    static char memory[4096];
    char *at = memory + 1024;
    for (size_t i = 0; i < sizeof strays / sizeof *strays; i++) {
        int64_t how[4] = { strays[i].offset, strays[i].size, strays[i].store, 0 };
        void *args[] = { &at, how };
        jc_sim_range ranges[] = { { at, 100, true }, { at + 1000, 24, true }, { at + 50, 0, true } };
        jc_sim_launch l = { .name = "stray", .kernel = stray, .args = args, .blocks = 1, .threads = 1,
                            .ranges = ranges, .nranges = 3 };
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_sim_run(&l, &err);
        if (!strays[i].word) {
            ck_assert_msg(status == JITC_OK, "row %zu: %s", i, err.message);
            ck_assert_int_eq(how[3], 1);
            continue;
        }
        ck_assert_msg(status == JITC_E_DEVICE && strstr(err.message, strays[i].word), "row %zu: %s", i, err.message);
        ck_assert_int_eq(how[3], 0);
    }
}
END_TEST

/* Views of one buffer: written through one, read through a larger one. */
START_TEST(test_overlap) {
    static char memory[256];
    char *at = memory;
    jc_sim_range ranges[] = { { memory, 256, false }, { memory + 64, 32, true }, { memory, 8, true } };
    const struct {
        int64_t offset, size, store;
        bool good;
    } rows[] = { { 64, 32, 1, true }, { 60, 8, 1, false }, { 60, 40, 0, true }, { 0, 8, 1, true }, { 4, 8, 1, false },
                 { 240, 16, 0, true }, { 240, 16, 1, false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t how[4] = { rows[i].offset, rows[i].size, rows[i].store, 0 };
        void *args[] = { &at, how };
        jc_sim_launch l = { .name = "views", .kernel = stray, .args = args, .blocks = 1, .threads = 1,
                            .ranges = ranges, .nranges = 3 };
        jc_error err = JC_ERROR_INIT;
        ck_assert_msg((jc_sim_run(&l, &err) == JITC_OK) == rows[i].good, "row %zu: %s", i, err.message);
    }
}
END_TEST

/* ---- warp sync orders the lanes of a warp ------------------------------------------------------------------------- */

/* Each lane of a warp writes its slot and reads its neighbour's (in the next warp when WIDE), SYNC in between. */
static void neighbours(void *const *args, T *t) {
    const int32_t *how = args[1];
    float *slots = (float *)(void *)jc_sim_shared(t), *out = *(float *const *)args[0];
    int32_t tid = jc_sim_tid(t), other = how[1] ? (tid + 32) % 64 : tid ^ 1;
    store_float(t, slots + tid, -1);
    jc_sim_barrier(t);
    store_float(t, slots + tid, (float)tid);
    if (how[0])
        jc_sim_warp_sync(t);
    store_float(t, out + jc_sim_block(t) * 64 + tid, load_float(t, slots + other));
    if (how[0])
        jc_sim_warp_sync(t);
    store_float(t, slots + tid, 0);
}

START_TEST(test_warp_sync) {
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int row = 0; row < 3; row++) {
            float out[128], *at = out;
            int32_t how[2] = { row != 1, row == 2 }; /* right; no sync; a sync that does not reach the other warp */
            void *args[] = { &at, how };
            jc_sim_range range = { out, sizeof out, true };
            jc_sim_launch l = { .name = "neighbours", .kernel = neighbours, .args = args, .blocks = 2, .threads = 64,
                                .shared = 256, .seed = seed, .ranges = &range, .nranges = 1 };
            jc_error err = JC_ERROR_INIT;
            jitc_status status = jc_sim_run(&l, &err);
            if (row == 0) {
                ck_assert_msg(status == JITC_OK, "%s", err.message);
                for (int i = 0; i < 128; i++)
                    ck_assert_float_eq(out[i], (float)(i % 64 ^ 1));
            } else {
                ck_assert_msg(status == JITC_E_DEVICE && strstr(err.message, "race"), "row %d: %s", row, err.message);
            }
        }
}
END_TEST

/* ---- asynchronous copies ------------------------------------------------------------------------------------------- */

enum {
    CP_RIGHT,
    CP_NO_WAIT,      /* a barrier instead of wait and barrier */
    CP_WAIT_SHORT,   /* lets the newest group be under way */
    CP_NO_COMMIT,    /* waits for groups, but the copies are in none */
    CP_NO_BARRIER,   /* others read right after the wait */
    CP_NO_BARRIER_AFTER, /* the buffer is filled again while others may still read */
    CP_MISALIGNED,
    CP_BEYOND,       /* VALID is not shortened for the last row */
    CP_SIZE,
    CP_FROM_SHARED,
    CP_BEYOND_SHARED,
};

#define CP_THREADS 64
#define CP_FLOATS 1000 /* of 1024 in 4 steps of 64 threads of 4 floats: the last 6 threads copy nothing */

/* Doubles x in two buffers by turns; every thread uses what another one copied. */
static void pipeline(void *const *args, T *t) {
    const float *x = *(const float *const *)args[0];
    float *y = *(float *const *)args[1];
    int32_t plant = *(const int32_t *)args[2], tid = jc_sim_tid(t);
    uint8_t *shared = jc_sim_shared(t);
    for (int step = 0; step < 5; step++) {
        if (step < 4) {
            int at = (step * CP_THREADS + tid) * 4, left = CP_FLOATS - at;
            uint32_t valid = left >= 4 || plant == CP_BEYOND ? 16 : left <= 0 ? 0 : 4u * (uint32_t)left;
            const void *from = plant == CP_FROM_SHARED ? (const void *)shared : (const void *)(x + at);
            uint8_t *to = shared + (step % 2 * CP_THREADS + tid) * 16 + (plant == CP_BEYOND_SHARED ? 512 : 0);
            jc_sim_cp_async(t, to + (plant == CP_MISALIGNED ? 8 : 0), from, plant == CP_SIZE ? 12 : 16, valid);
        }
        if (plant != CP_NO_COMMIT)
            jc_sim_cp_commit(t);
        if (step == 0)
            continue;
        if (plant != CP_NO_WAIT)
            jc_sim_cp_wait(t, plant == CP_WAIT_SHORT ? 2 : 1); /* the group of the step before has landed */
        if (plant != CP_NO_BARRIER)
            jc_sim_barrier(t);
        int from = (tid + 1) % CP_THREADS; /* another thread's */
        const float *buffer = (const float *)(const void *)(shared + ((step - 1) % 2 * CP_THREADS + from) * 16);
        for (int i = 0; i < 4; i++)
            store_float(t, y + ((step - 1) * CP_THREADS + from) * 4 + i, 2 * load_float(t, buffer + i));
        if (plant != CP_NO_BARRIER_AFTER)
            jc_sim_barrier(t);
    }
}

static jitc_status run_pipeline(int32_t plant, uint64_t seed, float *y, jc_error *err) {
    static _Alignas(16) float x[CP_FLOATS];
    for (int i = 0; i < CP_FLOATS; i++)
        x[i] = (float)i;
    const float *xp = x;
    void *args[] = { &xp, &y, &plant };
    jc_sim_range ranges[] = { { x, sizeof x, false }, { y, 1024 * sizeof *y, true } };
    jc_sim_launch l = { .name = "pipeline", .kernel = pipeline, .args = args, .blocks = 1, .threads = CP_THREADS,
                        .shared = 2 * CP_THREADS * 16, .seed = seed, .ranges = ranges, .nranges = 2 };
    *err = (jc_error)JC_ERROR_INIT;
    return jc_sim_run(&l, err);
}

static const struct {
    int32_t plant;
    const char *word;
} cp_planted[] = {
    { CP_NO_WAIT, "asynchronous copy has not been waited for" },
    { CP_WAIT_SHORT, "asynchronous copy has not been waited for" },
    { CP_NO_COMMIT, "asynchronous copy has not been waited for" },
    { CP_NO_BARRIER, "of shared memory" }, /* a race, a copy under way, or uninitialised: as the order has it */
    { CP_NO_BARRIER_AFTER, "of shared memory" },
    { CP_MISALIGNED, "misaligned by 8 bytes" },
    { CP_BEYOND, "range 0, which has 4000 bytes" },
    { CP_SIZE, "of 12 does not exist" },
    { CP_FROM_SHARED, "reads shared memory" },
    { CP_BEYOND_SHARED, "beyond the end of shared memory" },
};

START_TEST(test_copies) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        _Alignas(16) float y[1024];
        jc_error err;
        jitc_status status = run_pipeline(CP_RIGHT, seed, y, &err);
        ck_assert_msg(status == JITC_OK, "%s", err.message);
        for (int i = 0; i < 1024; i++)
            ck_assert_msg(y[i] == (i < CP_FLOATS ? 2.0f * (float)i : 0), "%d: %g", i, (double)y[i]); /* zero-filled */
    }
}
END_TEST

START_TEST(test_copies_planted) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        _Alignas(16) float y[1024];
        jc_error err;
        ck_assert_msg(run_pipeline(cp_planted[_i].plant, seed, y, &err) == JITC_E_DEVICE, "row %d, seed %d", _i,
                      (int)seed);
        ck_assert_msg(strstr(err.message, cp_planted[_i].word) != NULL, "row %d: %s", _i, err.message);
    }
}
END_TEST

/* ---- tensor cores -------------------------------------------------------------------------------------------------- */

/* Narrow floats of small integers: exact, and written independently of the simulator. */
static uint16_t narrow(int x, bool bf16) {
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (bf16)
        return (uint16_t)(bits >> 16);
    if (x == 0)
        return 0;
    int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
    return (uint16_t)((bits >> 31) << 15 | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

typedef struct matrices {
    int a[16][16], b[16][8], c[16][8]; /* small integers: all sums are exact */
    float out[16][8];
    uint16_t a16[16][16], bt16[8][16], b16[16][8]; /* A and B row-major, and B by columns */
    bool bf16;
    int way; /* 0: fragments by hand; 1: ldmatrix; 2: ldmatrix, B by .trans */
} matrices;

static matrices make_matrices(bool bf16, int way) {
    matrices m = { .bf16 = bf16, .way = way };
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            m.a16[i][k] = narrow(m.a[i][k] = (i * 7 + k * 3) % 19 - 9, bf16);
    for (int k = 0; k < 16; k++)
        for (int j = 0; j < 8; j++)
            m.b16[k][j] = m.bt16[j][k] = narrow(m.b[k][j] = (k * 5 + j * 11) % 23 - 11, bf16);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            m.c[i][j] = i * 100 - j;
    return m;
}

static uint32_t pair(uint16_t low, uint16_t high) {
    return low | (uint32_t)high << 16;
}

/* The fragments element by element, as the PTX ISA numbers them. */
static void fragments(const matrices *m, int lane, uint32_t a[4], uint32_t b[2]) {
    int group = lane >> 2, in_group = lane % 4;
    uint16_t e[8];
    for (int i = 0; i < 8; i++) {
        int row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
        int column = in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0);
        e[i] = m->a16[row][column];
    }
    for (int i = 0; i < 4; i++)
        a[i] = pair(e[2 * i], e[2 * i + 1]);
    for (int i = 0; i < 4; i++)
        e[i] = m->b16[in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group];
    b[0] = pair(e[0], e[1]);
    b[1] = pair(e[2], e[3]);
}

/* Copies a matrix of N halves to shared memory, by all lanes. */
static void to_shared(T *t, uint16_t *to, const uint16_t *from, int n) {
    for (int i = jc_sim_tid(t); i < n; i += 32)
        *(uint16_t *)jc_sim_store(t, to + i, 2, 2) = *(const uint16_t *)jc_sim_load(t, from + i, 2, 2);
}

static void product(void *const *args, T *t) {
    matrices *m = *(matrices *const *)args[0];
    int lane = jc_sim_tid(t);
    uint32_t a[4], b[4];
    float c[4];
    if (m->way == 0) {
        fragments(m, lane, a, b);
    } else {
        uint16_t *sa = (uint16_t *)(void *)jc_sim_shared(t), *sb = sa + 256;
        to_shared(t, sa, m->a16[0], 256);
        to_shared(t, sb, m->way == 1 ? m->bt16[0] : m->b16[0], 128);
        jc_sim_barrier(t);
        jc_sim_ldmatrix_x4(t, sa + lane % 16 * 16 + lane / 16 * 8, a, 0);
        /* of B two matrices of 8 x 8; the other two are the same again */
        int row = lane % 8, half = lane / 8 % 2;
        jc_sim_ldmatrix_x4(t, m->way == 1 ? sb + row * 16 + half * 8 : sb + (half * 8 + row) * 8, b, m->way == 2);
    }
    for (int i = 0; i < 4; i++)
        c[i] = (float)m->c[lane / 4 + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)];
    jc_sim_mma_16816(t, a, b, c, m->bf16);
    for (int i = 0; i < 4; i++)
        store_float(t, &m->out[lane / 4 + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)], c[i]);
}

START_TEST(test_mma) {
    bool bf16 = _i % 2;
    int way = _i / 2;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        matrices m = make_matrices(bf16, way), *at = &m;
        void *args[] = { &at };
        jc_sim_range range = { &m, sizeof m, true };
        jc_sim_launch l = { .name = "product", .kernel = product, .args = args, .blocks = 1, .threads = 32,
                            .shared = 768, .seed = seed, .ranges = &range, .nranges = 1 };
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_sim_run(&l, &err);
        ck_assert_msg(status == JITC_OK, "%s", err.message);
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++) {
                int sum = m.c[i][j];
                for (int k = 0; k < 16; k++)
                    sum += m.a[i][k] * m.b[k][j];
                ck_assert_msg(m.out[i][j] == (float)sum, "way %d, [%d][%d]: %g, not %d", way, i, j, (double)m.out[i][j],
                              sum);
            }
    }
}
END_TEST

/* Which element of four marked matrices each lane gets: rows of the PTX ISA's table, by hand. */
static void load_marked(void *const *args, T *t) {
    uint32_t (*out)[4] = *(uint32_t(*const *)[4])args[0];
    int32_t trans = *(const int32_t *)args[1], lane = jc_sim_tid(t);
    uint16_t *shared = (uint16_t *)(void *)jc_sim_shared(t);
    for (int i = 0; i < 8; i++) /* matrix lane/8, row lane%8, column i is marked 0x(matrix)(row)(column) */
        *(uint16_t *)jc_sim_store(t, shared + lane * 8 + i, 2, 2) =
            (uint16_t)((lane / 8) << 8 | (lane % 8) << 4 | i);
    jc_sim_warp_sync(t);
    jc_sim_ldmatrix_x4(t, shared + lane * 8, out[lane], trans);
}

START_TEST(test_ldmatrix) {
    static const struct {
        int32_t trans;
        int lane, matrix;
        uint32_t value; /* the second element in the upper half */
    } rows[] = {
        { 0, 0, 0, 0x00010000 },  { 0, 1, 0, 0x00030002 },  { 0, 4, 0, 0x00110010 },  { 0, 31, 0, 0x00770076 },
        { 0, 0, 3, 0x03010300 },  { 0, 14, 2, 0x02350234 }, { 1, 0, 0, 0x00100000 },  { 1, 1, 0, 0x00300020 },
        { 1, 4, 0, 0x00110001 },  { 1, 31, 0, 0x00770067 }, { 1, 14, 2, 0x02530243 }, { 1, 2, 1, 0x01500140 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t out[32][4], (*at)[4] = out;
        int32_t trans = rows[i].trans;
        void *args[] = { &at, &trans };
        jc_sim_launch l = { .name = "marked", .kernel = load_marked, .args = args, .blocks = 1, .threads = 32,
                            .shared = 512, .seed = i };
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_sim_run(&l, &err);
        ck_assert_msg(status == JITC_OK, "%s", err.message);
        ck_assert_msg(out[rows[i].lane][rows[i].matrix] == rows[i].value, "row %zu: %08x", i,
                      out[rows[i].lane][rows[i].matrix]);
    }
}
END_TEST

/* ---- a warpgroup's product, and what can be wrong with it --------------------------------------------------------- */

enum {
    GROUP_RIGHT,
    GROUP_NO_FENCE,   /* what was written is not made visible to the tensor cores */
    GROUP_NO_BARRIER, /* ... nor to the other threads */
    GROUP_NO_WAIT,    /* the tiles are written anew while they are read */
    GROUP_EARLY,      /* sums are read before the wait: they are still zero */
    GROUP_ODD_TILE,   /* does not start where a swizzled one may */
    GROUP_BEYOND,
    GROUP_MANY,       /* more groups than can run */
    GROUP_PARTED,     /* a lane says another number of columns */
};
enum { GROUP_N = 16, GROUP_K = 64, GROUP_BYTES = (64 + GROUP_N) * 128 };

/* Element (ROW, K) of a tile: its byte. */
static uint32_t swizzled(uint32_t row, uint32_t k) {
    return row * 128 + ((k / 8) ^ row % 8) * 16 + k % 8 * 2;
}

/* A small whole number. */
static int element(uint32_t row, uint32_t k, uint32_t turn) {
    return (int)((row * 7 + k * 3 + turn) % 9) - 4;
}

static uint16_t to_bf16(int i) {
    const float x = (float)i;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* A, 64 rows, and behind it B. */
static void write_tiles(T *t, uint8_t *shared, uint32_t turn) {
    for (uint32_t row = (uint32_t)jc_sim_tid(t); row < 64 + GROUP_N; row += 128)
        for (uint32_t k = 0; k < GROUP_K; k++) {
            const uint32_t at = row < 64 ? swizzled(row, k) : 64 * 128 + swizzled(row - 64, k);
            *(uint16_t *)jc_sim_store(t, shared + at, 2, 2) = to_bf16(element(row, k, turn));
        }
}

/* out[64][GROUP_N] = A times B, all of k. */
static void group_kernel(void *const *args, T *t) {
    const int32_t plant = *(const int32_t *)args[1];
    uint8_t *shared = jc_sim_shared(t);
    const uint32_t tid = (uint32_t)jc_sim_tid(t), warp = tid / 32, lane = tid % 32;
    float sums[GROUP_N / 2] = { 0 }, *slots[GROUP_N / 2];
    int32_t how = GROUP_N | 4 << 16 | 1 << 24;
    for (uint32_t i = 0; i < GROUP_N / 2; i++)
        slots[i] = &sums[i];
    write_tiles(t, shared, 0);
    if (plant != GROUP_NO_FENCE)
        jc_sim_fence_async(t);
    if (plant != GROUP_NO_BARRIER)
        jc_sim_barrier(t);
    const uint8_t *a = shared + (plant == GROUP_ODD_TILE ? 512 : 0), *b = shared + (plant == GROUP_BEYOND ? GROUP_BYTES - 1024 : 64 * 128);
    if (plant == GROUP_PARTED && tid == 77)
        how = (GROUP_N - 8) | 4 << 16 | 1 << 24;
    for (int i = 0; i < (plant == GROUP_MANY ? 5 : 1); i++)
        jc_sim_wgmma(t, a, b, slots, how);
    if (plant == GROUP_NO_WAIT) {
        jc_sim_barrier(t);
        write_tiles(t, shared, 1);
        jc_sim_fence_async(t);
        jc_sim_barrier(t);
    }
    if (plant != GROUP_EARLY)
        jc_sim_wgmma_wait(t, 0);
    for (uint32_t i = 0; i < GROUP_N / 2; i++) {
        const uint32_t row = warp * 16 + lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        store_float(t, *(float *const *)args[0] + row * GROUP_N + column, sums[i]);
    }
}

static jitc_status run_group(int32_t plant, uint64_t seed, float *out, jc_error *err) {
    void *args[] = { &out, &plant };
    const jc_sim_range range = { out, 64 * GROUP_N * sizeof *out, true };
    const jc_sim_launch l = { .name = "group", .kernel = group_kernel, .args = args, .blocks = 1, .threads = 128, .shared = GROUP_BYTES, .seed = seed,
                              .ranges = &range, .nranges = 1 };
    *err = (jc_error)JC_ERROR_INIT;
    return jc_sim_run(&l, err);
}

static int wrong_sums(const float *out) {
    int wrong = 0;
    for (uint32_t m = 0; m < 64; m++)
        for (uint32_t n = 0; n < GROUP_N; n++) {
            int sum = 0;
            for (uint32_t k = 0; k < GROUP_K; k++)
                sum += element(m, k, 0) * element(64 + n, k, 0);
            wrong += out[m * GROUP_N + n] != (float)sum;
        }
    return wrong;
}

START_TEST(test_group) {
    float out[64 * GROUP_N];
    jc_error err;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ck_assert_msg(run_group(GROUP_RIGHT, seed, out, &err) == JITC_OK, "%s", err.message);
        ck_assert_int_eq(wrong_sums(out), 0);
        /* What is not waited for shows in the numbers. */
        ck_assert_int_eq(run_group(GROUP_NO_WAIT, seed, out, &err), JITC_OK);
        ck_assert_int_gt(wrong_sums(out), 64);
        ck_assert_int_eq(run_group(GROUP_EARLY, seed, out, &err), JITC_OK);
        ck_assert_int_gt(wrong_sums(out), 64);
    }
}
END_TEST

static const struct {
    int32_t plant;
    const char *word;
} group_faults[] = {
    { GROUP_NO_FENCE, "has written and not fenced" },
    { GROUP_NO_BARRIER, "reads byte" } /* not yet written, or since the last barrier */,
    { GROUP_ODD_TILE, "multiple of 1024" },
    { GROUP_BEYOND, "out of bounds of the 10240 bytes" },
    { GROUP_MANY, "4 groups are running" },
    { GROUP_PARTED, "deadlock" },
};

START_TEST(test_group_fault) {
    float out[64 * GROUP_N];
    jc_error err;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const jitc_status status = run_group(group_faults[_i].plant, seed, out, &err);
        ck_assert_msg(status == JITC_E_DEVICE && strstr(err.message, group_faults[_i].word), "row %d, seed %d: %s", _i, (int)seed, err.message);
    }
}
END_TEST

/* ---- single faults ------------------------------------------------------------------------------------------------- */

enum {
    ODD_MMA_WARP,       /* mma in a warp of 16 lanes */
    ODD_SHUFFLE_WARP,   /* shuffle from a lane that is not there */
    ODD_MMA_TYPES,      /* lanes disagree about the type */
    ODD_LDMATRIX_PLACE, /* ldmatrix from global memory */
    ODD_LDMATRIX_ALIGN,
    ODD_LDMATRIX_EMPTY, /* ... of uninitialised memory */
    ODD_ENDED,          /* some lanes end before the warp sync */
    ODD_NOTHING,        /* no memory at all */
    ODD_STACK,
};

static void odd_kernel(void *const *args, T *t) {
    int32_t odd = *(const int32_t *)args[0];
    uint32_t a[4] = { 0 }, b[2] = { 0 };
    float c[4] = { 0 };
    uint8_t *shared = jc_sim_shared(t);
    switch (odd) {
    case ODD_MMA_WARP:
        jc_sim_mma_16816(t, a, b, c, 0);
        break;
    case ODD_SHUFFLE_WARP:
        jc_sim_shfl_xor(t, 1, 16);
        break;
    case ODD_MMA_TYPES:
        jc_sim_mma_16816(t, a, b, c, jc_sim_tid(t) == 7);
        break;
    case ODD_LDMATRIX_PLACE:
        jc_sim_ldmatrix_x4(t, args[1], a, 0);
        break;
    case ODD_LDMATRIX_ALIGN:
        jc_sim_ldmatrix_x4(t, shared + 8, a, 0);
        break;
    case ODD_LDMATRIX_EMPTY:
        jc_sim_ldmatrix_x4(t, shared, a, 0);
        break;
    case ODD_ENDED:
        if (jc_sim_tid(t) != 9)
            jc_sim_warp_sync(t);
        break;
    case ODD_NOTHING:
        jc_sim_load(t, args[1], 4, 4);
        break;
    case ODD_STACK: {
        /* as an overflow would: stacks are 64 KiB at multiples of it */
        uintptr_t here = (uintptr_t)__builtin_frame_address(0);
        *(volatile uint8_t *)((here & ~(uintptr_t)0xffff) + 3) = 0;
        break;
    }
    default:
        break;
    }
}

static const struct {
    int32_t odd;
    uint32_t threads, shared;
    bool range;
    const char *word;
} odds[] = {
    { ODD_MMA_WARP, 48, 0, false, "mma in a warp of 16 lanes" },
    { ODD_SHUFFLE_WARP, 16, 0, false, "takes the value of lane" },
    { ODD_MMA_TYPES, 32, 0, false, "deadlock: it waits at an mma" },
    { ODD_LDMATRIX_PLACE, 32, 64, true, "out of bounds of the 64 bytes of shared memory" },
    { ODD_LDMATRIX_ALIGN, 32, 64, false, "misaligned" },
    { ODD_LDMATRIX_EMPTY, 32, 64, false, "uninitialised" },
    { ODD_ENDED, 32, 0, false, "waits at a warp sync, while lane 9 of its warp has ended" },
    { ODD_NOTHING, 1, 0, false, "may touch no memory at all" },
    { -1, 0, 0, false, "block of 0 threads" },
    { -1, 1025, 0, false, "block of 1025 threads" },
};

static jitc_status run_odd(int32_t odd, uint32_t threads, uint32_t shared, bool range, jc_error *err) {
    static _Alignas(16) char memory[64];
    void *args[] = { &odd, memory };
    jc_sim_range r = { memory, sizeof memory, true };
    jc_sim_launch l = { .name = "odd", .kernel = odd_kernel, .args = args, .blocks = 3, .threads = threads,
                        .shared = shared, .ranges = &r, .nranges = range };
    return jc_sim_run(&l, err);
}

START_TEST(test_odd) {
    jc_error err = JC_ERROR_INIT;
    jitc_status status = run_odd(odds[_i].odd, odds[_i].threads, odds[_i].shared, odds[_i].range, &err);
    ck_assert_msg(status == JITC_E_DEVICE && strstr(err.message, odds[_i].word), "row %d: %s", _i, err.message);
    ck_assert_msg(strncmp(err.message, "Kernel odd: ", 12) == 0, "%s", err.message);
}
END_TEST

#if defined(__x86_64__)
START_TEST(test_stack) {
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(run_odd(ODD_STACK, 40, 0, false, &err), JITC_E_DEVICE);
    ck_assert_msg(strstr(err.message, "stack of 65536 bytes has overflown") != NULL, "%s", err.message);
}
END_TEST
#endif

/* No blocks: nothing runs. An error of another call is left alone, and its own faults do not hide behind it. */
START_TEST(test_edges) {
    jc_sim_launch l = { .name = "none", .kernel = NULL, .blocks = 0, .threads = 32 };
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_sim_run(&l, &err), JITC_OK);
    jc_fail(&err, JITC_E_INPUT, "earlier");
    float out[BLOCKS];
    jc_error fresh;
    ck_assert_int_eq(run_reduction(NO_BARRIER, 3, out, &fresh), JITC_E_DEVICE);
    ck_assert_int_eq(run_odd(ODD_NOTHING, 1, 0, false, &err), JITC_E_DEVICE);
    ck_assert_str_eq(err.message, "earlier");
}
END_TEST

/* Each block runs once, and the order depends on the seed. */
static void note_block(void *const *args, T *t) {
    int32_t *seen = *(int32_t *const *)args[0];
    if (jc_sim_tid(t) == 0)
        seen[jc_sim_block(t) + 1] = ++seen[0];
}

START_TEST(test_blocks) {
    int different = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        int32_t seen[38] = { 0 }, *at = seen;
        void *args[] = { &at };
        jc_sim_launch l = { .name = "note", .kernel = note_block, .args = args, .blocks = 37, .threads = 3,
                            .seed = seed };
        ck_assert_int_eq(jc_sim_run(&l, NULL), JITC_OK);
        ck_assert_int_eq(seen[0], 37);
        for (int b = 1; b < 38; b++)
            ck_assert_int_ne(seen[b], 0);
        different += seen[1] != 1;
    }
    ck_assert_int_gt(different, SEEDS / 2);
}
END_TEST

/* Every call has its row in the loader's table. */
START_TEST(test_symbols) {
    ck_assert_uint_eq(jc_sim_nsymbols, 16);
    bool barrier = false;
    for (uint32_t i = 0; i < jc_sim_nsymbols; i++)
        barrier |= strcmp(jc_sim_symbols[i].name, "jc_sim_barrier") == 0 &&
                   jc_sim_symbols[i].address == (void *)jc_sim_barrier;
    ck_assert(barrier);
}
END_TEST

#define ROWS(table) ((int)(sizeof table / sizeof *table))

int main(void) {
    Suite *suite = suite_create("sim");
    TCase *tc = tcase_create("sim");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_reduction);
    tcase_add_loop_test(tc, test_planted, 0, ROWS(planted));
    tcase_add_test(tc, test_planted_no_fill);
    tcase_add_test(tc, test_planted_shuffle);
    tcase_add_test(tc, test_distance);
    tcase_add_test(tc, test_overlap);
    tcase_add_test(tc, test_warp_sync);
    tcase_add_test(tc, test_copies);
    tcase_add_loop_test(tc, test_copies_planted, 0, ROWS(cp_planted));
    tcase_add_loop_test(tc, test_mma, 0, 6);
    tcase_add_test(tc, test_ldmatrix);
    tcase_add_test(tc, test_group);
    tcase_add_loop_test(tc, test_group_fault, 0, ROWS(group_faults));
    tcase_add_loop_test(tc, test_odd, 0, ROWS(odds));
#if defined(__x86_64__)
    tcase_add_test(tc, test_stack);
#endif
    tcase_add_test(tc, test_edges);
    tcase_add_test(tc, test_blocks);
    tcase_add_test(tc, test_symbols);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
