/*
 * check_races.c - races in the simulator's global memory: what two accesses do to each other, row by row, and random ones
 * against their whole history.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sim.h"

#define SEEDS 20

typedef jc_sim_thread T;

enum { ALL = -1 };
enum { NOTHING, BARRIER, SYNC };

/* One access of some threads: SIZE bytes at AT of range ARG. */
typedef struct touch {
    int block, thread, arg, at, size;
    bool write;
} touch;

/* Two accesses and what all threads wait at between them; WORDS: NULL where nothing is wrong. */
typedef struct meeting {
    const char *name;
    touch first, second;
    int between;
    const char *words;
} meeting;

#define NO_ORDER "; blocks run in no order."
#define SINCE " since the last barrier."

/* Ranges 0 and 3 are written, 3 lies within 0; 1 and 2 are read: 1 apart from what is written, 2 over the rest of both. */
static _Alignas(256) uint8_t ground[2048];
static const jc_sim_range grounds[] = {
    { ground, 1024, true }, { ground + 1024, 512, false }, { ground + 512, 768, false }, { ground + 768, 64, true }
};

static const meeting meetings[] = {
    { "write, write", { 0, 3, 0, 8, 4, true }, { 1, 5, 0, 8, 4, true }, NOTHING,
      "writes byte 8 of range 0, which |has written" NO_ORDER },
    { "write, write, barrier", { 0, 3, 0, 8, 4, true }, { 1, 3, 0, 8, 4, true }, BARRIER, "has written" NO_ORDER },
    { "write, read", { 0, 3, 0, 8, 4, true }, { 2, 3, 0, 8, 4, false }, NOTHING, "byte 8 of range 0, which " },
    { "read, read", { 0, 3, 0, 8, 4, false }, { 2, 3, 0, 8, 4, false }, NOTHING, NULL },
    { "read by all", { ALL, ALL, 0, 8, 4, false }, { ALL, ALL, 0, 4, 16, false }, NOTHING, NULL },
    { "read by all, then written", { ALL, ALL, 0, 8, 4, false }, { 1, 40, 0, 8, 4, true }, BARRIER, "byte 8 of range 0, which " },
    { "one block, write, write", { 1, 3, 0, 8, 4, true }, { 1, 40, 0, 8, 4, true }, NOTHING,
      "writes byte 8 of range 0, which | of this block has written" SINCE },
    { "one block, write, read", { 1, 3, 0, 8, 4, true }, { 1, 40, 0, 8, 4, false }, NOTHING, "byte 8 of range 0, which |" SINCE },
    { "one block, barrier", { 1, 3, 0, 8, 4, true }, { 1, 40, 0, 8, 4, true }, BARRIER, NULL },
    { "one block, barrier, read", { 1, 3, 0, 8, 4, true }, { 1, 40, 0, 8, 4, false }, BARRIER, NULL },
    { "one block reads, barrier", { 1, ALL, 0, 8, 4, false }, { 1, 40, 0, 8, 4, true }, BARRIER, NULL },
    { "one block reads", { 1, ALL, 0, 8, 4, false }, { 1, 40, 0, 8, 4, true }, NOTHING, "byte 8 of range 0, which |" SINCE },
    { "one warp", { 1, 3, 0, 8, 4, true }, { 1, 9, 0, 8, 4, false }, NOTHING, "byte 8 of range 0, which |" SINCE },
    { "one warp, sync", { 1, 3, 0, 8, 4, true }, { 1, 9, 0, 8, 4, false }, SYNC, NULL },
    { "one warp reads, sync", { 1, 3, 0, 8, 4, false }, { 1, 9, 0, 8, 4, true }, SYNC, NULL },
    { "two warps, sync", { 1, 3, 0, 8, 4, true }, { 1, 40, 0, 8, 4, false }, SYNC, "byte 8 of range 0, which |" SINCE },
    { "one thread", { 1, 3, 0, 8, 4, true }, { 1, 3, 0, 8, 4, false }, NOTHING, NULL },
    { "one thread, write, write", { 1, 3, 0, 8, 16, true }, { 1, 3, 0, 10, 2, true }, NOTHING, NULL },
    { "one thread, read, write", { 1, 3, 0, 8, 4, false }, { 1, 3, 0, 8, 4, true }, NOTHING, NULL },
    { "neighbours", { 0, 3, 0, 8, 2, true }, { 1, 3, 0, 10, 2, true }, NOTHING, NULL },
    { "neighbours, bytes", { 0, 3, 0, 8, 3, true }, { 1, 3, 0, 11, 1, true }, NOTHING, NULL },
    { "neighbours, wide", { 0, 3, 0, 16, 16, true }, { 1, 3, 0, 32, 16, true }, NOTHING, NULL },
    { "the last byte", { 0, 3, 0, 8, 4, true }, { 1, 3, 0, 11, 1, true }, NOTHING, "writes byte 11 of range 0" },
    { "the first byte", { 0, 3, 0, 8, 4, true }, { 1, 3, 0, 5, 4, true }, NOTHING, "writes byte 8 of range 0" },
    { "a byte of 16", { 0, 3, 0, 16, 16, true }, { 1, 3, 0, 29, 1, false }, NOTHING, "byte 29 of range 0" },
    { "far inside", { 0, 3, 0, 248, 16, true }, { 1, 3, 0, 260, 4, true }, NOTHING, "writes byte 260 of range 0" },
    { "far outside", { 0, 3, 0, 248, 16, true }, { 1, 3, 0, 264, 4, true }, NOTHING, NULL },
    { "only read", { 0, 3, 1, 300, 4, false }, { 1, 3, 2, 300, 4, false }, NOTHING, NULL },
    { "read over what others write", { 0, 3, 0, 600, 4, true }, { 1, 3, 2, 92, 4, false }, NOTHING, NULL },
    { "through two arguments", { 0, 3, 0, 600, 4, true }, { 1, 3, 2, 88, 4, false }, NOTHING, "which |" NO_ORDER },
    { "through two arguments, both written", { 0, 3, 0, 770, 4, true }, { 1, 3, 3, 0, 4, true }, NOTHING,
      "writes byte |" NO_ORDER },
    { "through two arguments, one block", { 1, 3, 0, 600, 4, true }, { 1, 40, 2, 88, 4, false }, NOTHING, "which |" SINCE },
    { "through two arguments, barrier", { 1, 3, 0, 600, 4, true }, { 1, 40, 2, 88, 4, false }, BARRIER, NULL },
};

static void do_touch(T *t, const touch *h) {
    if ((h->block != ALL && h->block != jc_sim_block(t)) || (h->thread != ALL && h->thread != jc_sim_tid(t)))
        return;
    const uint8_t *at = (const uint8_t *)grounds[h->arg].at + h->at;
    if (h->write)
        memset(jc_sim_store(t, (void *)(uintptr_t)at, (uint32_t)h->size, 1), 7, (size_t)h->size);
    else
        jc_sim_load(t, at, (uint32_t)h->size, 1);
}

static void meet(void *const *args, T *t) {
    const meeting *m = args[0];
    do_touch(t, &m->first);
    if (m->between == BARRIER)
        jc_sim_barrier(t);
    else if (m->between == SYNC)
        jc_sim_warp_sync(t);
    do_touch(t, &m->second);
}

/* Says TEXT that one did it to the other? Where all threads do, any of them may be named. */
static bool names(const char *text, const touch *one, const touch *other) {
    char words[2][80];
    if (one->thread == ALL || other->thread == ALL)
        return true;
    snprintf(words[0], sizeof words[0], "Kernel meet: block %d, thread %d (", one->block, one->thread);
    if (one->block == other->block)
        snprintf(words[1], sizeof words[1], ", which thread %d of this block has ", other->thread);
    else
        snprintf(words[1], sizeof words[1], ", which thread %d of block %d has ", other->thread, other->block);
    return strstr(text, words[0]) && strstr(text, words[1]);
}

static bool has_all(const char *text, const char *words) {
    for (const char *bar; *words; words = *bar ? bar + 1 : bar) {
        char part[80];
        bar = strchr(words, '|') ? strchr(words, '|') : words + strlen(words);
        snprintf(part, sizeof part, "%.*s", (int)(bar - words), words);
        if (!strstr(text, part))
            return false;
    }
    return true;
}

START_TEST(test_meetings) {
    const meeting *m = &meetings[_i];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        void *args[] = { (void *)(uintptr_t)m };
        jc_sim_launch l = { .name = "meet", .kernel = meet, .args = args, .blocks = 3, .threads = 64, .seed = seed,
                            .ranges = grounds, .nranges = 4 };
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_sim_run(&l, &err);
        if (!m->words) {
            ck_assert_msg(status == JITC_OK, "%s, seed %d: %s", m->name, (int)seed, err.message);
            continue;
        }
        ck_assert_msg(status == JITC_E_DEVICE, "%s, seed %d: not found", m->name, (int)seed);
        ck_assert_msg(strstr(err.message, "race: ") && has_all(err.message, m->words), "%s, seed %d: %s", m->name, (int)seed,
                      err.message);
        ck_assert_msg(names(err.message, &m->first, &m->second) || names(err.message, &m->second, &m->first),
                      "%s, seed %d: %s", m->name, (int)seed, err.message);
    }
}
END_TEST

/* A range of 16 TiB costs what is touched of it. */
START_TEST(test_huge) {
    static const struct {
        int row;
        bool race;
    } rows[] = { { 0, true }, { 3, false }, { 19, false } };
    jc_sim_range range = { ground, (size_t)1 << 44, true };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *args[] = { (void *)(uintptr_t)&meetings[rows[i].row] };
        jc_sim_launch l = { .name = "meet", .kernel = meet, .args = args, .blocks = 3, .threads = 64, .ranges = &range,
                            .nranges = 1 };
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_sim_run(&l, &err);
        ck_assert_msg(rows[i].race ? strstr(err.message, "race: ") != NULL : status == JITC_OK, "%s: %s",
                      meetings[rows[i].row].name, err.message);
    }
}
END_TEST

/* The source of an asynchronous copy is read until the wait. */
static void copy_late(void *const *args, T *t) {
    int32_t late = *(const int32_t *)args[0], tid = jc_sim_tid(t);
    if (tid == 0)
        jc_sim_cp_async(t, jc_sim_shared(t), ground, 16, 16);
    jc_sim_cp_commit(t);
    if (!late)
        jc_sim_cp_wait(t, 0);
    jc_sim_barrier(t);
    if (tid == 40)
        *(uint8_t *)jc_sim_store(t, ground + 5, 1, 1) = 1;
    jc_sim_cp_wait(t, 0);
}

START_TEST(test_copy_late) {
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int32_t late = 0; late < 2; late++) {
            void *args[] = { &late };
            jc_sim_launch l = { .name = "late", .kernel = copy_late, .args = args, .blocks = 1, .threads = 64, .shared = 16,
                                .seed = seed, .ranges = grounds, .nranges = 4 };
            jc_error err = JC_ERROR_INIT;
            jitc_status status = jc_sim_run(&l, &err);
            ck_assert_msg(late ? status == JITC_E_DEVICE && strstr(err.message, "byte 5 of range 0") : status == JITC_OK,
                          "%s", err.message);
        }
}
END_TEST

/* Random accesses of all widths: found exactly when two in the whole history conflict. */
typedef struct event {
    int64_t block;
    int tid, barriers, syncs, at, size;
    bool write;
} event;

#define MOST_EVENTS 4096

typedef struct history {
    uint32_t seed, space, nblocks;
    int n, conflicts;
    event events[MOST_EVENTS];
} history;

static bool conflict(const event *a, const event *b) {
    if ((!a->write && !b->write) || a->at >= b->at + b->size || b->at >= a->at + a->size)
        return false;
    if (a->block != b->block)
        return true;
    return a->tid != b->tid && a->barriers == b->barriers && (a->tid / 32 != b->tid / 32 || a->syncs == b->syncs);
}

static uint32_t scramble(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

static void roam(void *const *args, T *t) {
    history *h = args[0];
    int tid = jc_sim_tid(t), barriers = 0, syncs = 0;
    for (uint32_t step = 0; step < 6; step++) {
        uint32_t r = scramble(h->seed * 97 + (uint32_t)jc_sim_block(t) * 4099 + (uint32_t)tid * 31 + step);
        int size = 1 << r % 5;
        int at = (int)((r >> 8) % (h->space - 16)) & (r >> 3 & 1 ? -1 : -size);
        bool write = (r >> 4) % 4 == 0;
        event e = { jc_sim_block(t), tid, barriers, syncs, at, size, write };
        for (int i = 0; i < h->n; i++)
            h->conflicts += conflict(&h->events[i], &e);
        h->events[h->n++] = e;
        if (write)
            jc_sim_store(t, ground + at, (uint32_t)size, 1);
        else
            jc_sim_load(t, ground + at, (uint32_t)size, 1);
        uint32_t wait = scramble(h->seed + step) % 3;
        if (wait == BARRIER) {
            jc_sim_barrier(t);
            barriers++;
        } else if (wait == SYNC) {
            jc_sim_warp_sync(t);
            syncs++;
        }
    }
}

START_TEST(test_history) {
    static history h;
    int found = 0, clean = 0;
    for (uint32_t seed = 0; seed < 600; seed++) {
        h = (history){ .seed = seed, .space = 32 + scramble(seed) % 2000, .nblocks = 1 + seed % 3 };
        void *args[] = { &h };
        jc_sim_range range = { ground, sizeof ground, true };
        jc_sim_launch l = { .name = "roam", .kernel = roam, .args = args, .blocks = h.nblocks,
                            .threads = seed % 5 ? 2 + seed % 3 : 34, .seed = seed, .ranges = &range, .nranges = 1 };
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_sim_run(&l, &err);
        ck_assert_msg((status != JITC_OK) == (h.conflicts > 0), "seed %u: %d conflicts, %s", seed, h.conflicts, err.message);
        found += status != JITC_OK;
        clean += status == JITC_OK;
    }
    ck_assert_int_gt(found, 50);
    ck_assert_int_gt(clean, 50);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("races");
    TCase *tc = tcase_create("races");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_meetings, 0, (int)(sizeof meetings / sizeof *meetings));
    tcase_add_test(tc, test_huge);
    tcase_add_test(tc, test_copy_late);
    tcase_add_test(tc, test_history);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
