/*
 * tests/check_history.c - the log of a cache directory: every build a line, whatever else lies in the file or in its place.
 */
#define _GNU_SOURCE /* nftw */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/history.h"
#include "tests/scratch.h"

static char dir[64], log_path[96];
static jc_arena *arena;

static void setup(void) {
    strcpy(dir, "/tmp/jitc-check-history-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    arena = jc_arena_new(NULL);
}

static void teardown(void) {
    jc_arena_free(arena);
    scratch_remove(dir);
}

static jc_key key_of(const char *graph, const char *target) {
    jc_bytes *b = JC_NEW(arena, jc_bytes);
    *b = JC_BYTES(arena);
    jc_key_add(b, JC_KEY_GRAPH, graph, strlen(graph));
    jc_key_add(b, JC_KEY_TARGET, target, strlen(target));
    return jc_key_end(b);
}

static jitc_status build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)err;
    *n = strlen(user);
    *bytes = jc_arena_memdup(a, user, *n);
    usleep(2000);
    return JITC_OK;
}

static void get(jc_cache *c, const char *graph, const char *target) {
    const uint8_t *out;
    size_t n;
    jc_key key = key_of(graph, target);
    ck_assert_int_eq(jc_cache_get(c, &key, &(jc_cache_builder){ .build = build, .user = (void *)(uintptr_t) "content" }, &out, &n, NULL, NULL), JITC_OK);
    ck_assert_uint_eq(n, 7);
}

static jc_cache *opened(void) {
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open(dir, NULL, NULL, &c, NULL), JITC_OK);
    return c;
}

static jc_history_line *lines;
static size_t nlines, nbad;

static void read_lines(void) {
    jc_error err = JC_ERROR_INIT;
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    ck_assert_msg(jc_history_read(d, arena, &lines, &nlines, &nbad, &err) == JITC_OK, "%s", err.message);
}

START_TEST(builds_and_uses) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_key key = key_of("a", "y");
    jc_hash_hex(&key.hash, hex);
    read_lines();
    ck_assert_uint_eq(nlines, 0);
    jc_cache_close(opened());
    read_lines();
    ck_assert_uint_eq(nlines, 0); /* who asked for nothing says nothing */
    jc_cache *c = opened();
    get(c, "a", "x");
    get(c, "a", "y");
    get(c, "a", "y");
    jc_cache_close(c);
    c = opened();
    get(c, "a", "x");
    jc_cache_close(c);
    read_lines();
    ck_assert_uint_eq(nbad, 0);
    ck_assert_uint_eq(nlines, 4);
    ck_assert(lines[0].built && lines[1].built && !lines[2].built && !lines[3].built);
    ck_assert_str_eq(lines[1].key, hex);
    ck_assert_uint_eq(lines[1].bytes, 7);
    ck_assert_double_ge(lines[1].ms, 2);
    ck_assert_int_eq(lines[1].pid, getpid());
    ck_assert_str_eq(lines[1].program, "check_history");
    ck_assert_int_le(llabs((long long)lines[1].time - (long long)time(NULL)), 60);
    ck_assert_uint_eq(lines[0].present, 1u << JC_KEY_GRAPH | 1u << JC_KEY_TARGET);
    ck_assert_uint_eq(lines[0].fields[JC_KEY_GRAPH], lines[1].fields[JC_KEY_GRAPH]);
    ck_assert_uint_ne(lines[0].fields[JC_KEY_TARGET], lines[1].fields[JC_KEY_TARGET]);
    ck_assert_uint_eq(lines[2].stats.from[JC_FROM_BUILD], 2);
    ck_assert_uint_eq(lines[2].stats.from[JC_FROM_MEMORY], 1);
    ck_assert_uint_eq(lines[3].stats.from[JC_FROM_DISK], 1);
}
END_TEST

static void append(const char *text, size_t n) {
    FILE *f = fopen(log_path, "ab");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fclose(f);
    chmod(log_path, 0600);
}

static void build_one(const char *graph) {
    jc_cache *c = opened();
    get(c, graph, "x");
    jc_cache_close(c);
}

/* What a power cut or an editor leaves in the middle costs its own lines. */
START_TEST(damage) {
    static const char rubbish[] = "built what\n\n\0\0\0\0\nbuilt 1 2 h p 00 1.0 5 2=0\nused 1 2 h p 1 2 3\n";
    char wide[3 * JC_HISTORY_LINE];
    memset(wide, 'x', sizeof wide);
    wide[sizeof wide - 1] = '\n';
    build_one("a");
    append(rubbish, sizeof rubbish - 1);
    append(wide, sizeof wide);
    build_one("b");
    append("built 17 4", 10); /* without an end: the next line is lost with it */
    build_one("c");
    read_lines();
    ck_assert_uint_eq(nlines, 5);
    ck_assert_uint_eq(nbad, 7);
    ck_assert(lines[2].built && !lines[4].built);
}
END_TEST

START_TEST(bounded) {
    static char filling[4096];
    char old[128];
    struct stat st;
    snprintf(old, sizeof old, "%s/log.old", dir);
    memset(filling, 'x', sizeof filling);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < JC_HISTORY_MAX / (int)sizeof filling; i++) {
            filling[sizeof filling - 1] = '\n';
            append(filling, sizeof filling);
        }
        build_one(round == 0 ? "a" : round == 1 ? "b" : "c"); /* cuts it */
        ck_assert_int_eq(stat(old, &st), 0);
        ck_assert_int_le(st.st_size, JC_HISTORY_MAX + JC_HISTORY_LINE);
        ck_assert_int_eq(stat(log_path, &st), 0);
        ck_assert_int_le(st.st_size, JC_HISTORY_LINE);
    }
    read_lines();
    ck_assert_uint_eq(nlines, 3); /* between the last two cuts a use and a build; then what was used */
    ck_assert(!lines[0].built && lines[1].built && !lines[2].built);
}
END_TEST

/* What lies in the log's place and is none of ours is neither written to nor waited for. */
START_TEST(in_its_place) {
    char target[128];
    struct stat st;
    snprintf(target, sizeof target, "%s/target", dir);
    if (_i == 0)
        ck_assert_int_eq(mkfifo(log_path, 0600), 0);
    else if (_i == 1)
        ck_assert_int_eq(symlink(target, log_path), 0);
    else if (_i == 2)
        ck_assert_int_eq(mkdir(log_path, 0700), 0);
    else {
        append("mine\n", 5);
        ck_assert_int_eq(chmod(log_path, 0666), 0);
    }
    build_one("a");
    ck_assert_int_ne(access(target, F_OK), 0);
    ck_assert(_i != 3 || (stat(log_path, &st) == 0 && st.st_size == 5));
}
END_TEST

#define PROCESSES 4
#define EACH 200

START_TEST(many_at_once) {
    pid_t children[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        if (children[p] == 0) {
            jc_disk *d = jc_disk_open(arena, dir, false, NULL);
            jc_key key = key_of("a", "x");
            for (int i = 0; i < EACH; i++)
                jc_history_built(d, &key, i, (size_t)i);
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++)
        waitpid(children[p], NULL, 0);
    read_lines();
    ck_assert_uint_eq(nlines, PROCESSES * EACH);
    ck_assert_uint_eq(nbad, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("history");
    TCase *t = tcase_create("history");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, builds_and_uses);
    tcase_add_test(t, damage);
    tcase_add_test(t, bounded);
    tcase_add_loop_test(t, in_its_place, 0, 4);
    tcase_add_test(t, many_at_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
