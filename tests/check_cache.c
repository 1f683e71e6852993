/*
 * tests/check_cache.c - the cache returns what was stored or builds again; nothing else.
 */
#define _GNU_SOURCE /* nftw */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/cache.h"
#include "cache/disk.h"
#include "cache/tier.h"
#include "tests/scratch.h"

static char dir[] = "/tmp/jitc-check-cache-XXXXXX";
static jc_arena *arena;
static int builds;

static void setup(void) {
    strcpy(dir, "/tmp/jitc-check-cache-XXXXXX");
    umask(022);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    arena = jc_arena_new(NULL);
    builds = 0;
}

static void teardown(void) {
    jc_arena_free(arena);
    scratch_remove(dir);
}

static jc_key key_of(const char *text) {
    jc_bytes *b = JC_NEW(arena, jc_bytes);
    *b = JC_BYTES(arena);
    jc_key_add(b, JC_KEY_GRAPH, text, strlen(text));
    return jc_key_end(b);
}

static jitc_status build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)err;
    __atomic_add_fetch(&builds, 1, __ATOMIC_SEQ_CST);
    *n = strlen(user);
    *bytes = jc_arena_memdup(a, user, *n);
    return JITC_OK;
}

static jitc_status build_fails(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)a;
    (void)bytes;
    (void)n;
    __atomic_add_fetch(&builds, 1, __ATOMIC_SEQ_CST);
    return jc_fail(err, JITC_E_COMPILE, "no luck with %s", (const char *)user);
}

/* How a test makes an entry. */
#define BY(function, what) (&(jc_cache_builder){ .build = (function), .user = (void *)(uintptr_t)(what) })

static jc_cache *opened(void) {
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open(dir, NULL, NULL, &c, NULL), JITC_OK);
    ck_assert_msg(jc_cache_warning(c) == NULL, "%s", jc_cache_warning(c));
    return c;
}

static jc_cache_from get(jc_cache *c, const char *name, const char *content) {
    const uint8_t *out;
    size_t n;
    jc_cache_from from;
    jc_key key = key_of(name);
    ck_assert_int_eq(jc_cache_get(c, &key, BY(build, content), &out, &n, &from, NULL), JITC_OK);
    ck_assert_uint_eq(n, strlen(content));
    ck_assert_mem_eq(out, content, n);
    return from;
}

/* ---- directories that cannot be written to ---------------------------------------------------------------------- */

static char told[4096];

static void tell(void *user, const char *line) {
    (void)user;
    if (strncmp(line, "warning:", 8) == 0)
        snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", line);
}

static int lines(void) {
    int n = 0;
    for (const char *c = told; *c; c++)
        n += *c == '\n';
    return n;
}

static jc_cache_stats stats_of(jc_cache *c) {
    jc_cache_stats s;
    jc_cache_get_stats(c, &s);
    return s;
}

/* Told once; after some failures in a row nothing more is tried, which is told as well; what can be stored in between starts the count again. */
START_TEST(cannot_store) {
    const jc_log log = { tell, NULL, 0 };
    char file[128], aside[128];
    jc_cache *c;
    *told = 0;
    snprintf(file, sizeof file, "%s/v1", dir);
    snprintf(aside, sizeof aside, "%s/aside", dir);
    ck_assert_int_eq(jc_cache_open(dir, NULL, &log, &c, NULL), JITC_OK);
    const char *const names[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19" };
    close(open(file, O_WRONLY | O_CREAT, 0600)); /* where the entries' directory was to be */
    for (unsigned i = 0; i < JC_CACHE_GIVE_UP - 1; i++)
        ck_assert_int_eq(get(c, names[i], "x"), JC_FROM_BUILD);
    ck_assert_int_eq(lines(), 1);
    ck_assert_msg(strstr(told, dir) && strstr(told, strerror(ENOTDIR)), "%s", told);
    ck_assert_uint_eq(stats_of(c).not_stored, JC_CACHE_GIVE_UP - 1);
    rename(file, aside);
    ck_assert_int_eq(get(c, "fine", "x"), JC_FROM_BUILD);
    ck_assert_uint_eq(stats_of(c).stored, 1);
    scratch_remove(file);
    rename(aside, file);
    for (unsigned i = 0; i < JC_CACHE_GIVE_UP + 3; i++)
        ck_assert_int_eq(get(c, names[JC_CACHE_GIVE_UP + i], "x"), JC_FROM_BUILD);
    ck_assert_msg(lines() == 2 && strstr(told, "nothing more is stored"), "%s", told);
    ck_assert_uint_eq(stats_of(c).not_stored, 2 * JC_CACHE_GIVE_UP - 1);
    ck_assert(stats_of(c).gave_up);
    unlink(file);
    ck_assert_int_eq(get(c, "later", "x"), JC_FROM_BUILD);
    ck_assert_uint_eq(stats_of(c).stored, 1);
    jc_cache_close(c);
}
END_TEST

START_TEST(cannot_read) {
    const jc_log log = { tell, NULL, 0 };
    char shard[160];
    jc_cache *c = opened();
    jc_key key = key_of("a");
    get(c, "a", "x");
    jc_cache_close(c);
    *told = 0;
    snprintf(shard, sizeof shard, "%s/v1/%02x", dir, key.hash.b[0]);
    chmod(shard, 0777); /* others may write there: nothing in it is looked at */
    ck_assert_int_eq(jc_cache_open(dir, NULL, &log, &c, NULL), JITC_OK);
    ck_assert_int_eq(get(c, "a", "x"), JC_FROM_BUILD);
    ck_assert_msg(strstr(told, "cannot be read") && strstr(told, strerror(EPERM)), "%s", told);
    jc_cache_close(c);
}
END_TEST

START_TEST(tiers) {
    jc_cache *c = opened();
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_MEMORY);
    ck_assert_int_eq(get(c, "b", "beta"), JC_FROM_BUILD);
    jc_cache_close(c);
    c = opened();
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_DISK);
    ck_assert_int_eq(get(c, "b", "beta"), JC_FROM_DISK);
    ck_assert_int_eq(builds, 2);
    jc_cache_stats s;
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.from[JC_FROM_DISK], 2);
    ck_assert_uint_eq(s.from[JC_FROM_BUILD], 0);
    jc_cache_close(c);
}
END_TEST

START_TEST(memory_alone) {
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open("", NULL, NULL, &c, NULL), JITC_OK);
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_MEMORY);
    ck_assert_ptr_null(jc_cache_dir(c));
    jc_cache_close(c);
}
END_TEST

START_TEST(failures_are_not_cached) {
    jc_cache *c = opened();
    const uint8_t *out;
    size_t n;
    jc_error err = JC_ERROR_INIT;
    jc_key key = key_of("a");
    ck_assert_int_eq(jc_cache_get(c, &key, BY(build_fails, "it"), &out, &n, NULL, &err), JITC_E_COMPILE);
    ck_assert_str_eq(err.message, "no luck with it");
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    ck_assert_int_eq(builds, 2);
    jc_cache_close(c);
}
END_TEST

static bool entry_path(const char *name, char *path, size_t size) {
    char hex[65];
    jc_key key = key_of(name);
    jc_hash_hex(&key.hash, hex);
    snprintf(path, size, "%s/v1/%.2s/%s", dir, hex, hex);
    return access(path, F_OK) == 0;
}

static uint8_t *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    uint8_t *at = malloc(1 << 20);
    *n = fread(at, 1, 1 << 20, f);
    fclose(f);
    return at;
}

static void spit(const char *path, const uint8_t *at, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(at, 1, n, f), n);
    fclose(f);
}

static bool hits(jc_disk *d, const char *name) {
    const uint8_t *out;
    size_t n;
    jc_arena *a = jc_arena_new(NULL);
    jc_key key = key_of(name);
    bool hit = jc_disk_get(d, &key, a, &out, &n) == JC_TIER_HIT;
    jc_arena_free(a);
    return hit;
}

/* Every bit of a small entry, and every length. */
START_TEST(damage) {
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    jc_key key = key_of("k");
    char path[512];
    size_t n;
    ck_assert(jc_disk_put(d, &key, (const uint8_t *)"payload", 7));
    ck_assert(entry_path("k", path, sizeof path));
    ck_assert(hits(d, "k"));
    uint8_t *good = slurp(path, &n);
    for (size_t bit = 0; bit < n * 8; bit++) {
        good[bit / 8] ^= (uint8_t)(1 << bit % 8);
        spit(path, good, n);
        ck_assert_msg(!hits(d, "k"), "bit %zu flipped went unnoticed", bit);
        good[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < n; length++) {
        spit(path, good, length);
        ck_assert_msg(!hits(d, "k"), "%zu of %zu bytes were accepted", length, n);
    }
    spit(path, good, n);
    ck_assert(hits(d, "k"));
    free(good);
}
END_TEST

/* A valid entry under another key's name is no hit: neither the key nor the preimage fits. */
START_TEST(swapped) {
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    jc_key k1 = key_of("k1"), k2 = key_of("k2");
    char p1[512], p2[512];
    ck_assert(jc_disk_put(d, &k1, (const uint8_t *)"one", 3));
    ck_assert(jc_disk_put(d, &k2, (const uint8_t *)"two", 3));
    ck_assert(entry_path("k1", p1, sizeof p1) && entry_path("k2", p2, sizeof p2));
    ck_assert_int_eq(rename(p1, p2), 0);
    ck_assert(!hits(d, "k2"));
    ck_assert(!hits(d, "k1"));
}
END_TEST

START_TEST(damaged_entry_is_rebuilt) {
    jc_cache *c = opened();
    char path[512];
    get(c, "a", "alpha");
    jc_cache_close(c);
    ck_assert(entry_path("a", path, sizeof path));
    spit(path, (const uint8_t *)"rubbish", 7);
    c = opened();
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    jc_cache_stats s;
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.corrupt, 1);
    jc_cache_close(c);
    c = opened();
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_DISK);
    jc_cache_close(c);
}
END_TEST

static jc_cache *shared;

static jitc_status slow_build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    usleep(20000);
    return build(user, a, bytes, n, err);
}

static void *one_get(void *user) {
    const uint8_t *out;
    size_t n;
    jitc_status status = jc_cache_get(shared, user, BY(slow_build, "value"), &out, &n, NULL, NULL);
    return (void *)(intptr_t)(status == JITC_OK && n == 5 && memcmp(out, "value", 5) == 0);
}

START_TEST(single_flight) {
    pthread_t t[8];
    jc_key key = key_of("hot");
    shared = opened();
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, one_get, &key), 0);
    for (int i = 0; i < 8; i++) {
        void *ok;
        pthread_join(t[i], &ok);
        ck_assert(ok != NULL);
    }
    ck_assert_int_eq(builds, 1);
    jc_cache_close(shared);
}
END_TEST

/* --- looking, and waiting for others --- */

static jitc_status fails_at(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)a;
    (void)bytes;
    (void)n;
    return jc_fail(err, JITC_E_COMPILE, "thread %d fails", *(int *)user);
}

static bool look(jc_cache *c, const char *name) {
    const uint8_t *out;
    size_t n;
    jc_key key = key_of(name);
    return jc_cache_find(c, &key, &out, &n, NULL);
}

START_TEST(looking_does_nothing) {
    jc_cache *c = opened();
    jc_cache_stats s;
    ck_assert(!look(c, "a") && !look(c, "a"));
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    ck_assert(look(c, "a") && !look(c, "b"));
    jc_cache_close(c);
    c = opened();
    ck_assert(look(c, "a")); /* from the disk, and stays */
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_MEMORY);
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.from[JC_FROM_DISK], 1);
    ck_assert_uint_eq(s.from[JC_FROM_BUILD], 0);
    ck_assert_int_eq(builds, 1);
    jc_cache_close(c);
}
END_TEST

/* A build that ends only when `go` is set, and fails. */
static atomic_int started, go;

static jitc_status held_up(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    started = 1;
    while (!go)
        usleep(100);
    return fails_at(user, a, bytes, n, err);
}

static void *fail_slowly(void *user) {
    static int own = 1;
    const uint8_t *out;
    size_t n;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_cache_get(shared, user, BY(held_up, &own), &out, &n, NULL, &err);
    return (void *)(intptr_t)(status == JITC_E_COMPILE && strcmp(err.message, "thread 1 fails") == 0);
}

static void *fail_after(void *user) {
    static int own = 2;
    const uint8_t *out;
    size_t n;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_cache_get(shared, user, BY(fails_at, &own), &out, &n, NULL, &err);
    return (void *)(intptr_t)(status == JITC_E_COMPILE && strcmp(err.message, "thread 2 fails") == 0);
}

static uint64_t waiting(void) {
    jc_cache_stats s;
    jc_cache_get_stats(shared, &s);
    return s.waited;
}

/* While one thread's build is about to fail, a look comes back at once, and two others wait: one that will fail too, in its own
   words, and one that will not. */
START_TEST(failures_are_ones_own) {
    pthread_t t[3];
    void *ok;
    jc_key key = key_of("hot");
    shared = opened();
    started = go = 0;
    ck_assert_int_eq(pthread_create(&t[0], NULL, fail_slowly, &key), 0);
    while (!started)
        usleep(100);
    const uint8_t *out;
    size_t n;
    ck_assert(!jc_cache_find(shared, &key, &out, &n, NULL));
    ck_assert_int_eq(pthread_create(&t[1], NULL, fail_after, &key), 0);
    ck_assert_int_eq(pthread_create(&t[2], NULL, one_get, &key), 0);
    while (waiting() < 2)
        usleep(100);
    go = 1;
    pthread_join(t[0], &ok);
    ck_assert_msg(ok != NULL, "the thread that built has another failure than its own");
    pthread_join(t[2], &ok);
    ck_assert_msg(ok != NULL, "a thread that waited was given another's failure");
    pthread_join(t[1], &ok);
    /* It came before the one that succeeded, or found what that one built. */
    ck_assert_uint_le(builds, 1);
    jc_cache_close(shared);
}
END_TEST

#define ROUNDS 300
#define KEYS 4
static jc_key keys_of_round[KEYS];
static atomic_int arrived, wrong;

/* Thread I of 4 builds the keys in its own order (0 and 1), looks for them (2), or fails at them (3). */
static void *in_turmoil(void *user) {
    static int three = 3;
    int self = (int)(intptr_t)user;
    const uint8_t *out;
    size_t n;
    for (arrived++; arrived < 4;)
        sched_yield();
    for (int i = 0; i < 3 * KEYS; i++) {
        const jc_key *key = &keys_of_round[(i * (self + 1)) % KEYS];
        jc_error err = JC_ERROR_INIT;
        bool good = true;
        if (self < 2)
            good = jc_cache_get(shared, key, BY(build, "value"), &out, &n, NULL, &err) == JITC_OK && n == 5 &&
                   memcmp(out, "value", 5) == 0;
        else if (self == 2)
            good = !jc_cache_find(shared, key, &out, &n, NULL) || (n == 5 && memcmp(out, "value", 5) == 0);
        else if (jc_cache_get(shared, key, BY(fails_at, &three), &out, &n, NULL, &err) != JITC_OK)
            good = strcmp(err.message, "thread 3 fails") == 0;
        wrong += !good;
    }
    return NULL;
}

START_TEST(lookups_against_builds) {
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t t[4];
        char name[32];
        shared = NULL;
        ck_assert_int_eq(jc_cache_open(round % 8 ? "" : dir, NULL, NULL, &shared, NULL), JITC_OK);
        for (int i = 0; i < KEYS; i++) {
            snprintf(name, sizeof name, "key %d of %d", i, round);
            keys_of_round[i] = key_of(name);
        }
        arrived = 0;
        builds = 0;
        for (intptr_t i = 0; i < 4; i++)
            ck_assert_int_eq(pthread_create(&t[i], NULL, in_turmoil, (void *)i), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], NULL);
        ck_assert_msg(wrong == 0, "round %d: %d answers were wrong", round, wrong);
        ck_assert_msg(builds == KEYS, "round %d: %d builds of %d keys", round, builds, KEYS);
        jc_cache_close(shared);
    }
}
END_TEST

/* --- further tiers --- */

static jc_cache *with_tier(const char *own, jc_tier *tier) {
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open(own, NULL, NULL, &c, NULL), JITC_OK);
    ck_assert(jc_cache_add(c, tier));
    return c;
}

/* Every name below PATH, with its size and mtime. */
static void list_tree(const char *path, char *out, size_t size) {
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        char sub[1024];
        snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.' || lstat(sub, &st) != 0)
            continue;
        size_t n = strlen(out);
        snprintf(out + n, size - n, "%s %lld %lld.%ld\n", sub, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                 st.st_mtim.tv_nsec);
        if (S_ISDIR(st.st_mode))
            list_tree(sub, out, size);
    }
    if (d)
        closedir(d);
}

START_TEST(read_only_directory) {
    char before[8192] = "", after[8192] = "", path[512];
    const char *warning = NULL;
    jc_cache_stats s;
    jc_cache *c = opened();
    get(c, "a", "alpha");
    get(c, "b", "beta");
    jc_cache_close(c);
    ck_assert(entry_path("b", path, sizeof path));
    spit(path, (const uint8_t *)"rubbish", 7);
    list_tree(dir, before, sizeof before);
    jc_tier *t = jc_tier_disk(arena, dir, true, &warning);
    ck_assert_msg(t != NULL, "%s", warning);
    jc_key ka = key_of("a"), kb = key_of("b"), kc = key_of("c");
    ck_assert(jc_tier_probe(t, &ka) && jc_tier_probe(t, &kb) && !jc_tier_probe(t, &kc));
    c = with_tier("", t);
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_READ_ONLY);
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_MEMORY);
    ck_assert_int_eq(get(c, "b", "better"), JC_FROM_BUILD); /* damaged, and verified like any other */
    ck_assert_int_eq(get(c, "c", "gamma"), JC_FROM_BUILD);
    ck_assert(!jc_tier_put(t, &kc, (const uint8_t *)"x", 1));
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.from[JC_FROM_READ_ONLY], 1);
    ck_assert_uint_eq(s.corrupt, 1);
    ck_assert_uint_eq(s.stored, 0);
    jc_cache_close(c);
    list_tree(dir, after, sizeof after);
    ck_assert_str_eq(before, after); /* nothing was stored, set aside or touched */
}
END_TEST

START_TEST(read_only_refused) {
    const char *warning = NULL;
    char missing[600];
    snprintf(missing, sizeof missing, "%s/none", dir);
    ck_assert_ptr_null(jc_tier_disk(arena, missing, true, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "cannot be examined"));
    chmod(dir, 0777);
    ck_assert_ptr_null(jc_tier_disk(arena, dir, true, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "writable by others"));
    chmod(dir, 0700);
}
END_TEST

/* Entries that lie in memory; behind the disk, which keeps nothing of what was found there. */
START_TEST(table_tier) {
    char path[512];
    jc_arena *own = jc_arena_new(NULL);
    jc_tier *t = jc_tier_table(own, "bundle", "m.jitc", JC_FROM_READ_ONLY);
    jc_key key = key_of("a");
    ck_assert(jc_tier_put(t, &key, (const uint8_t *)"alpha", 5));
    t->read_only = true;
    jc_cache *c = with_tier(dir, t);
    ck_assert_ptr_eq(jc_cache_tier(c, 2), t);
    ck_assert_ptr_null(jc_cache_tier(c, 3));
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_READ_ONLY);
    ck_assert_int_eq(get(c, "b", "beta"), JC_FROM_BUILD);
    ck_assert(!entry_path("a", path, sizeof path) && entry_path("b", path, sizeof path));
    jc_cache_close(c);
    jc_arena_free(own);
}
END_TEST

/* Another process has stored the entry while this one built it, without waiting: it is not written again. */
static jitc_status overtaken(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    jc_cache *other = opened();
    jc_cache_set(other, &(jc_cache_settings){ .wait_ms = 0 });
    get(other, "a", user);
    jc_cache_close(other);
    return build(user, a, bytes, n, err);
}

START_TEST(stored_once) {
    jc_cache *c = opened();
    jc_key key = key_of("a");
    const uint8_t *out;
    size_t n;
    jc_cache_stats s;
    ck_assert_int_eq(jc_cache_get(c, &key, BY(overtaken, "alpha"), &out, &n, NULL, NULL), JITC_OK);
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.stored, 0);
    ck_assert_uint_eq(s.io_errors, 0);
    jc_cache_close(c);
    c = opened();
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_DISK);
    jc_cache_close(c);
}
END_TEST

/* --- trouble with the disk --- */

static int count_temporaries(const char *path) {
    int count = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char sub[1024];
        if (e->d_name[0] == '.')
            continue;
        snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
        count += strncmp(e->d_name, "tmp.", 4) == 0;
        count += count_temporaries(sub);
    }
    if (d)
        closedir(d);
    return count;
}

/* A directory that cannot be written to: results are right, nothing is left behind. */
START_TEST(unwritable) {
    char file[600], shard[640];
    jc_key key = key_of("a");
    char hex[2 * JC_HASH_SIZE + 1];
    jc_hash_hex(&key.hash, hex);
    snprintf(file, sizeof file, "%s/v1", dir);
    ck_assert_int_eq(mkdir(file, 0700), 0);
    snprintf(shard, sizeof shard, "%s/%.2s", file, hex); /* a file where the directory should be stops root too */
    spit(shard, (const uint8_t *)"x", 1);
    jc_cache *c = opened();
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_MEMORY);
    jc_cache_stats s;
    jc_cache_get_stats(c, &s);
    ck_assert_uint_ge(s.io_errors, 1);
    ck_assert_uint_eq(s.stored, 0);
    jc_cache_close(c);
}
END_TEST

/* Puts something into the place of entry "a", which lies at PATH. */
static void put_fifo(const char *path) {
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void put_directory(const char *path) {
    char inner[1100];
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(inner, sizeof inner, "%s/x", path);
    spit(inner, (const uint8_t *)"x", 1);
}

static void put_link(const char *path) {
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
}

static void put_sparse(const char *path) { /* of almost 2 GiB, of which nothing is to be read */
    spit(path, (const uint8_t *)"JITCENT\n", 8);
    ck_assert_int_eq(truncate(path, (1l << 31) - 1), 0);
}

static void put_writable(const char *path) {
    jc_key key = key_of("a");
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    ck_assert(jc_disk_put(d, &key, (const uint8_t *)"theirs", 6));
    ck_assert_int_eq(chmod(path, 0666), 0);
}

/* What is no entry, or might be anybody's, does not hang a lookup, is not read, and is out of the way the next time. */
START_TEST(in_an_entrys_place) {
    static void (*const put[])(const char *) = { put_fifo, put_directory, put_link, put_sparse, put_writable };
    char path[512];
    struct rusage before, after;
    for (size_t i = 0; i < sizeof put / sizeof *put; i++) {
        jc_cache *c = opened();
        get(c, "a", "alpha");
        jc_cache_close(c);
        ck_assert(entry_path("a", path, sizeof path));
        ck_assert_int_eq(unlink(path), 0);
        put[i](path);
        getrusage(RUSAGE_SELF, &before);
        c = opened();
        ck_assert_msg(get(c, "a", "alpha") == JC_FROM_BUILD, "case %zu was taken for an entry", i);
        jc_cache_close(c);
        getrusage(RUSAGE_SELF, &after);
        ck_assert_msg(after.ru_maxrss - before.ru_maxrss < 512 << 10, "case %zu was read whole", i);
        c = opened();
        ck_assert_msg(get(c, "a", "alpha") == JC_FROM_DISK, "case %zu is in the way for ever", i);
        jc_cache_close(c);
    }
}
END_TEST

/* From the root down: what somebody else may write to, and what leads elsewhere, is not gone through. */
START_TEST(refused_below) {
    const char *warning = NULL;
    char path[512], shard[600], v1[600], moved[600], slash[600];
    jc_cache *c = opened();
    get(c, "a", "alpha");
    jc_cache_close(c);
    ck_assert(entry_path("a", path, sizeof path));
    snprintf(shard, sizeof shard, "%.*s", (int)(strrchr(path, '/') - path), path);
    snprintf(v1, sizeof v1, "%s/v1", dir);
    snprintf(moved, sizeof moved, "%s/elsewhere", dir);
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    ck_assert(hits(d, "a"));
    ck_assert_int_eq(chmod(shard, 0770), 0);
    ck_assert_msg(!hits(d, "a"), "a shard that the group may write to is used");
    ck_assert_int_eq(chmod(shard, 0700), 0);
    ck_assert_int_eq(chmod(v1, 0777), 0);
    ck_assert_msg(!hits(d, "a"), "a v1 that all may write to is used");
    ck_assert_ptr_null(jc_disk_open(arena, dir, false, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "writable by others"));
    ck_assert_int_eq(chmod(v1, 0700), 0);
    ck_assert(hits(d, "a"));
    ck_assert_int_eq(rename(shard, moved), 0);
    ck_assert_int_eq(symlink(moved, shard), 0);
    ck_assert_msg(!hits(d, "a"), "a shard that is a link is followed");
    ck_assert_int_eq(unlink(shard), 0);
    ck_assert_int_eq(rename(moved, shard), 0);
    ck_assert_int_eq(rename(v1, moved), 0);
    ck_assert_int_eq(symlink(moved, v1), 0);
    ck_assert_msg(!hits(d, "a"), "a v1 that is a link is followed");
    ck_assert_ptr_null(jc_disk_open(arena, dir, false, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "not a directory"));
    ck_assert_int_eq(unlink(v1), 0);
    ck_assert_int_eq(rename(moved, v1), 0);
    ck_assert(hits(d, "a"));
    snprintf(slash, sizeof slash, "%s.link", dir);
    ck_assert_int_eq(symlink(dir, slash), 0);
    strcat(slash, "//");
    ck_assert_ptr_null(jc_disk_open(arena, slash, false, &warning)); /* the slashes would have it followed */
    ck_assert_ptr_nonnull(strstr(warning, "symbolic link"));
    slash[strlen(slash) - 2] = 0;
    unlink(slash);
}
END_TEST

START_TEST(full_disk) {
    pid_t child = fork();
    if (child == 0) { /* a file-size limit stands in for a full disk: writes fall short, then fail */
        struct rlimit limit = { 64, 64 };
        jc_cache *c;
        signal(SIGXFSZ, SIG_IGN);
        _exit(jc_cache_open(dir, NULL, NULL, &c, NULL) == JITC_OK && setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                      get(c, "a", "alpha") == JC_FROM_BUILD && count_temporaries(dir) == 0
                  ? 0
                  : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    char path[512];
    ck_assert(!entry_path("a", path, sizeof path));
}
END_TEST

START_TEST(refused_directories) {
    const char *warning = NULL;
    char link[600], file[600];
    ck_assert_int_eq(chmod(dir, 0777), 0);
    ck_assert_ptr_null(jc_disk_open(arena, dir, false, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "writable by others"));
    chmod(dir, 0700);
    snprintf(link, sizeof link, "%s.link", dir);
    ck_assert_int_eq(symlink(dir, link), 0);
    ck_assert_ptr_null(jc_disk_open(arena, link, false, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "symbolic link"));
    unlink(link);
    snprintf(file, sizeof file, "%s/file", dir);
    spit(file, (const uint8_t *)"x", 1);
    ck_assert_ptr_null(jc_disk_open(arena, file, false, &warning));
    ck_assert_ptr_nonnull(strstr(warning, "not a directory"));
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open(file, NULL, NULL, &c, NULL), JITC_OK); /* memory alone, and says so */
    ck_assert_ptr_nonnull(jc_cache_warning(c));
    ck_assert_int_eq(get(c, "a", "alpha"), JC_FROM_BUILD);
    jc_cache_close(c);
}
END_TEST

/* Fields are length-prefixed: moving a byte from one to the next changes the key. */
START_TEST(keys) {
    jc_bytes a = JC_BYTES(arena), b = JC_BYTES(arena), c = JC_BYTES(arena);
    jc_key_add(&a, JC_KEY_GRAPH, "ab", 2);
    jc_key_add(&a, JC_KEY_RANGES, "c", 1);
    jc_key_add(&b, JC_KEY_GRAPH, "a", 1);
    jc_key_add(&b, JC_KEY_RANGES, "bc", 2);
    jc_key_add(&c, JC_KEY_GRAPH, "ab", 2);
    jc_key_add(&c, JC_KEY_RANGES, "c", 1);
    jc_key ka = jc_key_end(&a), kb = jc_key_end(&b), kc = jc_key_end(&c);
    ck_assert_mem_ne(&ka.hash, &kb.hash, sizeof ka.hash);
    ck_assert_mem_eq(&ka.hash, &kc.hash, sizeof ka.hash);
}
END_TEST

int main(void) {
    Suite *s = suite_create("cache");
    TCase *t = tcase_create("cache"), *full = tcase_create("full disk"); /* which limits Check's own files too */
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_checked_fixture(full, setup, teardown);
    tcase_add_test(t, cannot_store);
    tcase_add_test(t, cannot_read);
    tcase_add_test(t, tiers);
    tcase_add_test(t, memory_alone);
    tcase_add_test(t, failures_are_not_cached);
    tcase_add_test(t, damage);
    tcase_add_test(t, swapped);
    tcase_add_test(t, damaged_entry_is_rebuilt);
    tcase_add_test(t, single_flight);
    tcase_add_test(t, looking_does_nothing);
    tcase_add_test(t, failures_are_ones_own);
    tcase_add_test(t, lookups_against_builds);
    tcase_add_test(t, read_only_directory);
    tcase_add_test(t, read_only_refused);
    tcase_add_test(t, table_tier);
    tcase_add_test(t, stored_once);
    tcase_add_test(t, unwritable);
    tcase_add_test(t, in_an_entrys_place);
    tcase_add_test(t, refused_below);
    tcase_add_test(full, full_disk);
    tcase_add_test(t, refused_directories);
    tcase_add_test(t, keys);
    suite_add_tcase(s, t);
    suite_add_tcase(s, full);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
