/*
 * tests/check_prune.c - a cache directory within bounds: what was used longest ago goes first, and nothing that is not the cache's.
 */
#define _GNU_SOURCE /* nftw */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/lock.h"
#include "cache/prune.h"
#include "tests/scratch.h"

#define HOUR 3600

static char dir[64];
static jc_arena *arena;
static jc_disk *disk;

static void setup(void) {
    strcpy(dir, "/tmp/jitc-check-prune-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    arena = jc_arena_new(NULL);
    disk = jc_disk_open(arena, dir, false, NULL);
    ck_assert_ptr_nonnull(disk);
}

static void teardown(void) {
    jc_arena_free(arena);
    scratch_remove(dir);
}

/* --- entries by number --- */

static jc_key key_of(int i) {
    jc_bytes *b = JC_NEW(arena, jc_bytes);
    *b = JC_BYTES(arena);
    jc_key_add(b, JC_KEY_GRAPH, &i, sizeof i);
    jc_key key = jc_key_end(b);
    key.light = true;
    return key;
}

static const char *path_of(int i) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_key key = key_of(i);
    jc_hash_hex(&key.hash, hex);
    return jc_arena_printf(arena, "%s/v1/%.2s/%s", dir, hex, hex);
}

static void used(const char *path, int64_t ago) {
    const struct timespec then = { .tv_sec = time(NULL) - ago };
    ck_assert_int_eq(utimensat(AT_FDCWD, path, (struct timespec[]){ then, then }, AT_SYMLINK_NOFOLLOW), 0);
}

/* Entries FIRST to LAST, each used so many hours ago as its number says. */
static void put(int first, int last, size_t bytes) {
    uint8_t *content = jc_arena_alloc(arena, bytes);
    memset(content, 'x', bytes);
    for (int i = first; i <= last; i++) {
        jc_key key = key_of(i);
        ck_assert(jc_disk_put(disk, &key, content, bytes));
        used(path_of(i), (int64_t)i * HOUR);
    }
}

/* As bits. */
static unsigned there(int first, int last) {
    unsigned bits = 0;
    for (int i = first; i <= last; i++)
        bits |= (unsigned)(access(path_of(i), F_OK) == 0) << i;
    return bits;
}

static jc_pruned prune(uint64_t max_bytes, uint64_t max_entries, bool on_purpose) {
    const jc_prune how = { .max_bytes = max_bytes, .max_entries = max_entries, .on_purpose = on_purpose };
    jc_pruned out;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_prune_run(disk, &how, arena, &out, &err) == JITC_OK, "%s", err.message);
    ck_assert(!out.busy);
    return out;
}

/* --- bounds --- */

START_TEST(by_entries) {
    put(0, 9, 100);
    jc_pruned p = prune(0, 4, true);
    ck_assert_uint_eq(p.entries, 10);
    ck_assert_uint_eq(p.removed, 6);
    ck_assert_uint_eq(there(0, 9), 0x0f);
    p = prune(0, 4, true);
    ck_assert_uint_eq(p.removed, 0);
    p = prune(0, 0, true);
    ck_assert_uint_eq(p.removed, 0);
}
END_TEST

START_TEST(by_bytes) {
    struct stat st;
    put(0, 9, 5000);
    ck_assert_int_eq(stat(path_of(0), &st), 0);
    jc_pruned p = prune(3 * (uint64_t)st.st_size + 10, 100, true);
    ck_assert_uint_eq(p.bytes, 10 * (uint64_t)st.st_size);
    ck_assert_uint_eq(p.removed_bytes, 7 * (uint64_t)st.st_size);
    ck_assert_uint_eq(there(0, 9), 0x07);
}
END_TEST

/* By itself: down to four fifths, and what was used within the hour stays up to twice the bound. */
START_TEST(young_ones) {
    put(0, 9, 100);
    ck_assert_uint_eq(prune(0, 10, false).removed, 0);
    ck_assert_uint_eq(prune(0, 9, false).removed, 3); /* to 7 = 9 * 4 / 5 */
    ck_assert_uint_eq(there(0, 9), 0x7f);
    for (int i = 0; i <= 6; i++)
        used(path_of(i), 60 * i);
    ck_assert_uint_eq(prune(0, 4, false).removed, 0);
    ck_assert_uint_eq(prune(0, 3, false).removed, 1);
    ck_assert_uint_eq(prune(0, 3, true).removed, 3);
    ck_assert_uint_eq(there(0, 9), 0x07);
}
END_TEST

/* A stamp from the future, after the clock was put back: not young for ever. */
START_TEST(from_the_future) {
    put(0, 3, 100);
    used(path_of(0), -1000 * HOUR);
    ck_assert_uint_eq(prune(0, 3, false).removed, 2);
    ck_assert_uint_eq(there(0, 3), 0x06);
}
END_TEST

/* --- what else lies there --- */

static void spit(const char *path) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs("some bytes", f);
    fclose(f);
}

START_TEST(temporaries) {
    put(0, 0, 100);
    const char *entry = path_of(0), *shard = jc_arena_strndup(arena, entry, (size_t)(strrchr(entry, '/') - entry));
    const char *fresh = jc_arena_printf(arena, "%s/tmp.1.2.3.4", shard), *stale = jc_arena_printf(arena, "%s/tmp.5.6.7.8", shard);
    const char *other = jc_arena_printf(arena, "%s/my notes", shard);
    spit(fresh);
    spit(stale);
    spit(other);
    used(stale, 2 * HOUR);
    used(other, 2 * HOUR);
    ck_assert_uint_eq(prune(0, 1, true).temporaries, 1);
    ck_assert_int_ne(access(stale, F_OK), 0);
    ck_assert_int_eq(access(fresh, F_OK), 0);
    ck_assert_int_eq(access(other, F_OK), 0);
    ck_assert_uint_eq(there(0, 0), 1);
}
END_TEST

/* Samples of damaged entries and older formats go before any entry; newer formats are others' business. */
START_TEST(useless_first) {
    put(0, 3, 100);
    const char *bad = jc_arena_printf(arena, "%s.bad", path_of(1)), *entry = path_of(2), *name = strrchr(entry, '/') + 1;
    const char *v0 = jc_arena_printf(arena, "%s/v0", dir), *v2 = jc_arena_printf(arena, "%s/v2", dir);
    const char *old = jc_arena_printf(arena, "%s/%.2s/%s", v0, name, name), *new = jc_arena_printf(arena, "%s/%.2s/%s", v2, name, name);
    spit(bad);
    ck_assert_int_eq(mkdir(v0, 0700), 0);
    ck_assert_int_eq(mkdir(jc_arena_printf(arena, "%s/%.2s", v0, name), 0700), 0);
    ck_assert_int_eq(mkdir(v2, 0700), 0);
    ck_assert_int_eq(mkdir(jc_arena_printf(arena, "%s/%.2s", v2, name), 0700), 0);
    spit(old);
    spit(new);
    jc_pruned p = prune(0, 4, true);
    ck_assert_uint_eq(p.entries, 6);
    ck_assert_uint_eq(p.removed, 2);
    ck_assert_uint_eq(there(0, 3), 0x0f);
    ck_assert_int_ne(access(bad, F_OK), 0);
    ck_assert_int_ne(access(v0, F_OK), 0);
    ck_assert_int_eq(access(new, F_OK), 0);
}
END_TEST

/* A shard that is a link leads elsewhere: nothing is removed there. */
START_TEST(links) {
    put(0, 1, 100);
    const char *entry = path_of(1), *shard = jc_arena_strndup(arena, entry, (size_t)(strrchr(entry, '/') - entry));
    const char *moved = jc_arena_printf(arena, "%s/elsewhere", dir);
    ck_assert_int_eq(rename(shard, moved), 0);
    ck_assert_int_eq(symlink(moved, shard), 0);
    ck_assert_uint_eq(prune(0, 1, true).entries, 1);
    ck_assert_uint_eq(prune(1, 0, true).removed, 1);
    ck_assert_int_eq(access(jc_arena_printf(arena, "%s/%s", moved, strrchr(entry, '/') + 1), F_OK), 0);
}
END_TEST

/* --- when it was used --- */

static int64_t accessed(int i) {
    struct stat st;
    ck_assert_int_eq(stat(path_of(i), &st), 0);
    ck_assert_int_le(st.st_mtime, time(NULL) - 20 * 60); /* which a hit leaves alone */
    return time(NULL) - st.st_atime;
}

START_TEST(hits_are_uses) {
    const uint8_t *out;
    size_t n;
    jc_key key = key_of(5);
    put(5, 5, 100);
    ck_assert_int_eq(jc_disk_get(disk, &key, arena, &out, &n), JC_TIER_HIT);
    ck_assert_int_lt(accessed(5), 120);
    ck_assert_uint_eq(prune(0, 1, false).removed, 0);
    used(path_of(5), 30 * 60);
    ck_assert_int_eq(jc_disk_get(disk, &key, arena, &out, &n), JC_TIER_HIT); /* hourly at most; the file system may do it */
    used(path_of(5), 5 * HOUR);
    jc_tier *reader = jc_tier_disk(arena, dir, true, NULL);
    ck_assert_int_eq(jc_tier_get(reader, &key, arena, &out, &n), JC_TIER_HIT);
    ck_assert_int_eq(jc_disk_get(disk, &key, arena, &out, &n), JC_TIER_HIT);
    ck_assert_int_lt(accessed(5), 120);
}
END_TEST

/* --- by itself --- */

static jitc_status build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)user;
    (void)err;
    *n = 100;
    *bytes = jc_arena_alloc(a, 100);
    memset((void *)(uintptr_t)*bytes, 'x', 100);
    return JITC_OK;
}

static void store(jc_cache *c, int i) {
    const uint8_t *out;
    size_t n;
    jc_key key = key_of(i);
    ck_assert_int_eq(jc_cache_get(c, &key, &(jc_cache_builder){ .build = build }, &out, &n, NULL, NULL), JITC_OK);
}

START_TEST(by_itself) {
    jc_cache *c;
    const jc_cache_settings s = { .max_entries = 5 };
    put(1, 9, 100);
    ck_assert_int_eq(jc_cache_open(dir, NULL, NULL, &c, NULL), JITC_OK);
    jc_cache_set(c, &s);
    store(c, 0);
    ck_assert_uint_eq(there(0, 9), 0x0f); /* four fifths of 5, with what is new */
    jc_cache_close(c);
    put(1, 9, 100);
    ck_assert_int_eq(jc_cache_open(dir, NULL, NULL, &c, NULL), JITC_OK);
    jc_cache_set(c, &s);
    store(c, 10);
    ck_assert_uint_eq(there(0, 9), 0x3ff); /* it has just been done */
    used(jc_arena_printf(arena, "%s/pruned", dir), HOUR);
    jc_cache_close(c);
    ck_assert_int_eq(jc_cache_open(dir, NULL, NULL, &c, NULL), JITC_OK);
    jc_cache_set(c, &s);
    store(c, 11);
    ck_assert_uint_eq(there(0, 9), 0x03);
    jc_cache_close(c);
}
END_TEST

START_TEST(one_at_a_time) {
    jc_lock lock;
    jc_hash key;
    jc_pruned out;
    const jc_prune how = { .max_entries = 1, .on_purpose = true };
    memset(&key, 0xff, sizeof key);
    put(0, 3, 100);
    ck_assert(jc_lock_open(disk, &key, true, &lock));
    ck_assert_int_eq(jc_lock_take(&lock), JC_LOCK_FREE);
    ck_assert_int_eq(jc_prune_run(disk, &how, arena, &out, NULL), JITC_OK);
    ck_assert(out.busy);
    ck_assert_uint_eq(there(0, 3), 0x0f);
    jc_lock_close(&lock);
    ck_assert_uint_eq(prune(0, 1, true).removed, 3);
}
END_TEST

#define MANY 2000

/* A sample of the shards stands for all. */
START_TEST(sampled) {
    const jc_prune how = { .max_entries = MANY / 2, .sample = MANY / 4 };
    jc_pruned p;
    put(2, MANY + 1, 10);
    ck_assert_int_eq(jc_prune_run(disk, &how, arena, &p, NULL), JITC_OK);
    ck_assert_msg(p.entries > MANY * 7 / 10 && p.entries < MANY * 13 / 10, "%llu of %d", (unsigned long long)p.entries, MANY);
    ck_assert_msg(p.removed > MANY / 4 * 4 / 10 && p.removed < MANY / 4 * 8 / 10, "%llu removed", (unsigned long long)p.removed);
}
END_TEST

int main(void) {
    Suite *s = suite_create("prune");
    TCase *t = tcase_create("prune");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, by_entries);
    tcase_add_test(t, by_bytes);
    tcase_add_test(t, young_ones);
    tcase_add_test(t, from_the_future);
    tcase_add_test(t, temporaries);
    tcase_add_test(t, useless_first);
    tcase_add_test(t, links);
    tcase_add_test(t, hits_are_uses);
    tcase_add_test(t, by_itself);
    tcase_add_test(t, one_at_a_time);
    tcase_add_test(t, sampled);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
