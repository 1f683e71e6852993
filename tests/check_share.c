/*
 * tests/check_share.c - cache directories that others write to, entries that are carried, and a cache that is not believed.
 */
#define _GNU_SOURCE /* nftw */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/carry.h"
#include "cache/entry.h"
#include "cache/history.h"
#include "tests/scratch.h"

static char base[64];
static jc_arena *arena;
static const jc_mac_key ours = { "0123456789abcdef0123456789abcde" }, theirs = { "another key, of thirty-two bytes" };
static int builds;
static char line[1024];

static void setup(void) {
    strcpy(base, "/tmp/jitc-check-share-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    arena = jc_arena_new(NULL);
    builds = 0;
    line[0] = 0;
}

static void teardown(void) {
    jc_arena_free(arena);
    scratch_remove(base);
}

static const char *in(const char *name) {
    return jc_arena_printf(arena, "%s/%s", base, name);
}

static jc_key key_of(const char *text) {
    jc_bytes *b = JC_NEW(arena, jc_bytes);
    *b = JC_BYTES(arena);
    jc_key_add(b, JC_KEY_GRAPH, text, strlen(text));
    return jc_key_end(b);
}

static const char *path_of(const char *dir, const char *name) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_key key = key_of(name);
    jc_hash_hex(&key.hash, hex);
    return jc_arena_printf(arena, "%s/v1/%.2s/%s", in(dir), hex, hex);
}

static jc_disk *disk(const char *dir, const jc_mac_key *mac) {
    const char *warning = NULL;
    jc_disk *d = jc_disk_open_keyed(arena, in(dir), false, mac, &warning);
    ck_assert_msg(d != NULL, "%s", warning);
    return d;
}

static void put(jc_disk *d, const char *name, const char *content) {
    jc_key key = key_of(name);
    ck_assert(jc_disk_put(d, &key, (const uint8_t *)content, strlen(content)));
}

static jc_tier_result get(jc_disk *d, const char *name) {
    const uint8_t *out;
    size_t n;
    jc_key key = key_of(name);
    return jc_disk_get(d, &key, arena, &out, &n);
}

static jitc_status build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)err;
    builds++;
    *n = strlen(user);
    *bytes = jc_arena_memdup(a, user, *n);
    return JITC_OK;
}

static void keep_line(void *user, const char *text) {
    (void)user;
    if (strstr(text, "PARANOID"))
        snprintf(line, sizeof line, "%s", text);
}

static jc_cache *opened(const char *dir, const jc_mac_key *mac) {
    static const jc_log log = { .line = keep_line };
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open_keyed(in(dir), mac, NULL, &log, &c, NULL), JITC_OK);
    return c;
}

/* The answer has to be CONTENT. */
static jc_cache_from ask(jc_cache *c, const char *name, const char *content) {
    const uint8_t *out;
    size_t n;
    jc_cache_from from;
    jc_key key = key_of(name);
    ck_assert_int_eq(jc_cache_get(c, &key, &(jc_cache_builder){ .build = build, .user = (void *)(uintptr_t)content }, &out, &n, &from, NULL), JITC_OK);
    ck_assert_uint_eq(n, strlen(content));
    ck_assert_mem_eq(out, content, n);
    return from;
}

/* --- the key's file --- */

static void write_file(const char *path, const void *bytes, size_t n, mode_t mode) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
    ck_assert_int_eq(chmod(path, mode), 0);
}

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct {
    const char *text;
    mode_t mode;
    jitc_status status;
    const char *says;
} key_files[] = {
    { DIGITS, 0600, JITC_OK, NULL },
    { DIGITS "\n", 0400, JITC_OK, NULL },
    { DIGITS, 0640, JITC_E_TRUST, "others can read it" },
    { DIGITS, 0602, JITC_E_TRUST, "others can read it" },
    { DIGITS "0", 0600, JITC_E_TRUST, "64 hex digits" },
    { DIGITS "\n" DIGITS "\n", 0600, JITC_E_TRUST, "64 hex digits" },
    { "", 0600, JITC_E_TRUST, "64 hex digits" },
    { NULL, 0600, JITC_E_TRUST, "no regular file" },
};

START_TEST(key_file) {
    jc_mac_key key;
    jc_error err = JC_ERROR_INIT;
    if (key_files[_i].text)
        write_file(in("key"), key_files[_i].text, strlen(key_files[_i].text), key_files[_i].mode);
    else
        ck_assert_int_eq(mkfifo(in("key"), 0600), 0);
    ck_assert_int_eq(jc_mac_key_read(in("key"), &key, &err), key_files[_i].status);
    if (key_files[_i].says)
        ck_assert_msg(strstr(err.message, key_files[_i].says) != NULL, "%s", err.message);
    else
        ck_assert(key.b[1] == 0x11 && key.b[31] == 0xff);
    ck_assert_int_eq(jc_mac_key_read(in("none"), &key, &(jc_error)JC_ERROR_INIT), JITC_E_IO);
}
END_TEST

/* --- MACs --- */

START_TEST(whose) {
    jc_disk *a = disk("d", &ours), *b = disk("d", &theirs), *plain = disk("d", NULL);
    put(a, "by us", "x");
    put(plain, "by anybody", "x");
    ck_assert_int_eq(get(a, "by us"), JC_TIER_HIT);
    ck_assert_int_eq(get(b, "by us"), JC_TIER_FOREIGN);
    ck_assert_int_eq(get(a, "by anybody"), JC_TIER_FOREIGN);
    ck_assert_int_eq(get(plain, "by us"), JC_TIER_HIT); /* who demands nothing gets what is whole */
    ck_assert_int_eq(get(plain, "by anybody"), JC_TIER_HIT);
    ck_assert_int_eq(get(a, "by nobody"), JC_TIER_MISS);
}
END_TEST

START_TEST(flipped) {
    jc_disk *d = disk("d", &ours);
    put(d, "k", "payload");
    const char *path = path_of("d", "k");
    uint8_t bytes[1024];
    int fd = open(path, O_RDWR);
    ssize_t n = read(fd, bytes, sizeof bytes);
    ck_assert_int_gt(n, 2 * JC_HASH_SIZE);
    close(fd);
    for (ssize_t bit = 0; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(path, bytes, (size_t)n, 0600);
        ck_assert_msg(get(d, "k") != JC_TIER_HIT, "bit %zd", bit);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    write_file(path, bytes, (size_t)n - JC_HASH_SIZE, 0600); /* without its MAC */
    ck_assert_int_ne(get(d, "k"), JC_TIER_HIT);
    write_file(path, bytes, (size_t)n, 0600);
    ck_assert_int_eq(get(d, "k"), JC_TIER_HIT);
}
END_TEST

/* Somebody without the key offers code of his: it is not used, counted, and ours takes its place. */
START_TEST(offered) {
    jc_cache_stats s;
    put(disk("d", NULL), "a", "evil");
    jc_cache *c = opened("d", &ours);
    ck_assert_int_eq(ask(c, "a", "good"), JC_FROM_BUILD);
    jc_cache_get_stats(c, &s);
    ck_assert_uint_ge(s.foreign, 1);
    ck_assert_uint_eq(s.corrupt, 0);
    jc_cache_close(c);
    c = opened("d", &ours);
    ck_assert_int_eq(ask(c, "a", "good"), JC_FROM_DISK);
    jc_cache_close(c);
    ck_assert_int_eq(builds, 1);
}
END_TEST

/* A directory that all may write to, with a key alone; what is made in it others may use. */
START_TEST(for_all) {
    const char *warning = NULL, *entry = path_of("d", "a");
    struct stat st;
    ck_assert_int_eq(mkdir(in("d"), 0700), 0);
    ck_assert_int_eq(chmod(in("d"), 01777), 0);
    umask(077);
    ck_assert_ptr_null(jc_disk_open(arena, in("d"), false, &warning));
    jc_cache *c = opened("d", &ours);
    ck_assert_ptr_null(jc_cache_warning(c));
    ck_assert_int_eq(ask(c, "a", "alpha"), JC_FROM_BUILD);
    jc_cache_close(c);
    ck_assert_int_eq(stat(entry, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0666);
    ck_assert_int_eq(stat(jc_arena_strndup(arena, entry, (size_t)(strrchr(entry, '/') - entry)), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 01777);
    c = opened("d", &ours);
    ck_assert_int_eq(ask(c, "a", "alpha"), JC_FROM_DISK);
    jc_cache_close(c);
}
END_TEST

/* There, what has a second name may be a file of ours: nothing is written into it.  And links lead nowhere still. */
START_TEST(second_names) {
    struct stat st;
    const char *entry = path_of("d", "a"), *shard = jc_arena_strndup(arena, entry, (size_t)(strrchr(entry, '/') - entry));
    write_file(in("mine"), "mine", 4, 0600);
    ck_assert_int_eq(mkdir(in("d"), 0777), 0);
    ck_assert_int_eq(link(in("mine"), in("d/log")), 0);
    ck_assert_int_eq(link(in("mine"), in("d/lock")), 0);
    jc_cache *c = opened("d", &ours);
    ck_assert_int_eq(ask(c, "a", "alpha"), JC_FROM_BUILD);
    jc_cache_close(c);
    ck_assert_int_eq(stat(in("mine"), &st), 0);
    ck_assert_int_eq(st.st_size, 4);
    ck_assert_int_eq(rename(shard, in("elsewhere")), 0);
    ck_assert_int_eq(symlink(in("elsewhere"), shard), 0);
    ck_assert_int_ne(get(disk("d", &ours), "a"), JC_TIER_HIT);
}
END_TEST

/* --- a cache that is not believed --- */

START_TEST(paranoid) {
    jc_cache_stats s;
    jc_disk *d = disk("d", NULL);
    jc_key key = key_of("bad");
    const uint8_t *out;
    size_t n;
    put(d, "good", "good");
    put(d, "bad", "baD");
    jc_cache *c = opened("d", NULL);
    jc_cache_set(c, &(jc_cache_settings){ .paranoid = true });
    ck_assert(!jc_cache_find(c, &key, &out, &n, NULL));
    ck_assert_int_eq(ask(c, "good", "good"), JC_FROM_BUILD);
    ck_assert_str_eq(line, "");
    ck_assert_int_eq(ask(c, "bad", "bad"), JC_FROM_BUILD); /* what was built is what counts */
    ck_assert_msg(strstr(line, "first difference at byte 2") != NULL, "%s", line);
    ck_assert_int_eq(ask(c, "bad", "bad"), JC_FROM_MEMORY);
    ck_assert(jc_cache_find(c, &key, &out, &n, NULL));
    jc_cache_get_stats(c, &s);
    ck_assert_uint_eq(s.differing, 1);
    ck_assert_int_eq(builds, 2);
    jc_cache_close(c);
}
END_TEST

/* --- carrying --- */

static void fill(jc_disk *d, int n) {
    for (int i = 0; i < n; i++)
        put(d, jc_arena_printf(arena, "entry %d", i), jc_arena_printf(arena, "content %d", i));
}

static int hits(jc_disk *d, int n) {
    int hit = 0;
    for (int i = 0; i < n; i++)
        hit += get(d, jc_arena_printf(arena, "entry %d", i)) == JC_TIER_HIT;
    return hit;
}

static jc_carried take(jc_disk *d, const char *path, jitc_status status) {
    jc_carried c;
    jc_error err = JC_ERROR_INIT;
    int fd = open(path, O_RDONLY);
    ck_assert_msg(jc_carry_from_file(d, fd, path, &c, &err) == status, "%s", err.message);
    close(fd);
    return c;
}

START_TEST(by_file) {
    jc_carried c;
    jc_disk *a = disk("a", NULL), *b = disk("b", NULL);
    fill(a, 10);
    ck_assert_int_eq(jc_carry_to_file(a, in("f"), &c, NULL), JITC_OK);
    ck_assert_uint_eq(c.entries, 10);
    put(b, "entry 3", "content 3");
    c = take(b, in("f"), JITC_OK);
    ck_assert_uint_eq(c.entries, 9);
    ck_assert_uint_eq(c.there, 1);
    ck_assert_int_eq(hits(b, 10), 10);
    ck_assert_int_eq(jc_carry_to_file(a, in("none/f"), &c, NULL), JITC_E_IO);
    ck_assert_int_eq(jc_carry_to_file(disk("empty", NULL), in("g"), &c, NULL), JITC_OK);
    ck_assert_uint_eq(take(b, in("g"), JITC_OK).entries, 0);
}
END_TEST

/* Any damage costs the entry that it is in, or what comes behind; nothing damaged is taken in. */
START_TEST(damaged_file) {
    static uint8_t bytes[1 << 16];
    jc_carried c;
    jc_disk *a = disk("a", NULL);
    fill(a, 3);
    ck_assert_int_eq(jc_carry_to_file(a, in("f"), &c, NULL), JITC_OK);
    int fd = open(in("f"), O_RDONLY);
    const ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    for (ssize_t at = 0; at < n; at++) {
        jc_error err = JC_ERROR_INIT;
        const char *dir = jc_arena_printf(arena, "b%zd", at);
        bytes[at] ^= 0x10;
        write_file(in("f"), bytes, (size_t)n, 0600);
        bytes[at] ^= 0x10;
        jc_disk *b = disk(dir, NULL);
        fd = open(in("f"), O_RDONLY);
        jitc_status status = jc_carry_from_file(b, fd, "f", &c, &err);
        close(fd);
        ck_assert_msg(c.entries < 3 && hits(b, 3) == (int)c.entries && (status == JITC_E_INPUT || c.refused == 1), "byte %zd: %llu entries, status %d", at,
                      (unsigned long long)c.entries, status);
        scratch_remove(in(dir));
    }
    write_file(in("f"), bytes, (size_t)n - 1, 0600);
    ck_assert_uint_eq(take(disk("c", NULL), in("f"), JITC_E_INPUT).entries, 2);
    ck_assert_int_eq(hits(disk("c", NULL), 3), 2);
}
END_TEST

/* With a key, what is carried in has to be by who has it. */
START_TEST(with_keys) {
    jc_carried c;
    jc_disk *a = disk("a", &ours), *plain = disk("plain", NULL);
    fill(a, 4);
    fill(plain, 4);
    ck_assert_int_eq(jc_carry_to_file(a, in("f"), &c, NULL), JITC_OK);
    ck_assert_int_eq(jc_carry_to_file(plain, in("g"), &c, NULL), JITC_OK);
    ck_assert_uint_eq(take(disk("b", &ours), in("f"), JITC_OK).entries, 4);
    ck_assert_int_eq(hits(disk("b", &ours), 4), 4);
    ck_assert_uint_eq(take(disk("c", &theirs), in("f"), JITC_OK).refused, 4);
    ck_assert_uint_eq(take(disk("d", &ours), in("g"), JITC_OK).refused, 4);
    ck_assert_int_eq(jc_carry_between(plain, disk("e", &ours), &c, NULL), JITC_OK);
    ck_assert_uint_eq(c.refused, 4);
}
END_TEST

/* A directory of entries is read where it lies, and where it is moved to, beneath a private one. */
START_TEST(movable_layer) {
    jc_carried c;
    jc_disk *a = disk("a", NULL);
    fill(a, 5);
    ck_assert_int_eq(jc_carry_between(a, disk("layer", NULL), &c, NULL), JITC_OK);
    ck_assert_uint_eq(c.entries, 5);
    ck_assert_int_eq(mkdir(in("far"), 0700), 0);
    ck_assert_int_eq(rename(in("layer"), in("far/away")), 0);
    jc_cache *private = opened("private", NULL);
    ck_assert(jc_cache_add(private, jc_tier_disk(arena, in("far/away"), true, NULL)));
    ck_assert_int_eq(ask(private, "entry 2", "content 2"), JC_FROM_READ_ONLY);
    ck_assert_int_eq(ask(private, "more", "more"), JC_FROM_BUILD);
    ck_assert_int_eq(access(path_of("far/away", "more"), F_OK), -1);
    ck_assert_int_eq(access(path_of("private", "more"), F_OK), 0);
    jc_cache_close(private);
}
END_TEST

int main(void) {
    Suite *s = suite_create("share");
    TCase *t = tcase_create("share");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, key_file, 0, (int)(sizeof key_files / sizeof *key_files));
    tcase_add_test(t, whose);
    tcase_add_test(t, flipped);
    tcase_add_test(t, offered);
    tcase_add_test(t, for_all);
    tcase_add_test(t, second_names);
    tcase_add_test(t, paranoid);
    tcase_add_test(t, by_file);
    tcase_add_test(t, damaged_file);
    tcase_add_test(t, with_keys);
    tcase_add_test(t, movable_layer);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
