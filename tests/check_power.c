/*
 * tests/check_power.c - the power goes: whatever of the last writes, renames and removals has reached the disk, each entry is a miss or right.
 *
 * The program's own open, write, rename and so on stand before the C library's: they do what they are asked to and record it.  A recording is then cut after each
 * operation.  What had been synchronised by then is there; of the rest, names may have come or not (all, none, the first K, all but one), and bytes
 * too (all, none, half, zeros in their place).  Every state is laid out in a directory of its own and looked at as a cache.
 *
 * What is synchronised: the bytes of a file by fsync on it, the names in a directory by fsync on that.  File systems promise more.
 */
#define _GNU_SOURCE /* nftw, O_PATH */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/disk.h"
#include "cache/history.h"
#include "cache/prune.h"
#include "tests/scratch.h"

/* --- what is recorded --- */

typedef enum op_kind { MAKE_DIR, MAKE, WRITE, SYNC, SYNC_DIR, RENAME, REMOVE } op_kind;

typedef struct op {
    op_kind kind;
    char path[128], to[128]; /* below the recorded directory; of a name, and of the directory that is synchronised */
    ino_t file;
    size_t at, n;
    uint8_t *bytes;
} op;

#define MAX_OPS 512
static op ops[MAX_OPS];
static size_t nops;
static char recorded[96]; /* "": nothing is */

static op *record(op_kind kind) {
    ck_assert_uint_lt(nops, MAX_OPS);
    ops[nops] = (op){ .kind = kind };
    return &ops[nops++];
}

/* NAME in directory FD, below what is recorded: into OUT. */
static bool is_below(int fd, const char *name, char *out, size_t size) {
    char proc[64], whole[PATH_MAX];
    size_t n = 0;
    if (!*recorded)
        return false;
    if (*name != '/') {
        snprintf(proc, sizeof proc, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
        ssize_t got = readlink(proc, whole, sizeof whole - 1);
        n = got > 0 ? (size_t)got : 0;
    }
    snprintf(whole + n, sizeof whole - n, "%s%s", n && *name ? "/" : "", name);
    if (strncmp(whole, recorded, strlen(recorded)) != 0)
        return false;
    const char *rest = whole + strlen(recorded);
    rest += *rest == '/';
    snprintf(out, size, "%s", strcmp(rest, ".") == 0 ? "" : rest);
    n = strlen(out);
    if (n >= 2 && strcmp(out + n - 2, "/.") == 0)
        out[n - 2] = 0;
    return true;
}

/* --- the calls --- */

static int do_openat(int at, const char *name, int flags, mode_t mode) {
    struct stat st;
    char path[128];
    const bool ours = flags & O_CREAT && is_below(at, name, path, sizeof path);
    const bool there = ours && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int fd = (int)syscall(SYS_openat, at, name, flags, mode);
    if (fd >= 0 && ours && !there && fstat(fd, &st) == 0) {
        op *o = record(MAKE);
        snprintf(o->path, sizeof o->path, "%s", path);
        o->file = st.st_ino;
    }
    return fd;
}

#define OPENAT(name)                                                                                                                       \
    int name(int at, const char *path, int flags, ...) {                                                                                   \
        va_list more;                                                                                                                      \
        va_start(more, flags);                                                                                                             \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                                                          \
        va_end(more);                                                                                                                      \
        return do_openat(at, path, flags, mode);                                                                                           \
    }
#undef openat
OPENAT(openat)
OPENAT(openat64)

/* Is FD a file that is recorded? */
static bool is_file(int fd, struct stat *st) {
    char path[128];
    return *recorded && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && is_below(fd, "", path, sizeof path);
}

static void record_write(ino_t file, size_t at, const void *bytes, size_t n) {
    op *o = record(WRITE);
    o->file = file;
    o->at = at;
    o->n = n;
    o->bytes = malloc(n);
    memcpy(o->bytes, bytes, n);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    struct stat st;
    const bool ours = is_file(fd, &st);
    const off_t at = !ours ? 0 : fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t put = syscall(SYS_write, fd, bytes, n);
    if (ours && put > 0)
        record_write(st.st_ino, (size_t)at, bytes, (size_t)put);
    return put;
}

static ssize_t do_pwrite(int fd, const void *bytes, size_t n, off_t at) {
    struct stat st;
    const bool ours = is_file(fd, &st);
    ssize_t put = syscall(SYS_pwrite64, fd, bytes, n, at);
    if (ours && put > 0)
        record_write(st.st_ino, (size_t)at, bytes, (size_t)put);
    return put;
}

#undef pwrite
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    return do_pwrite(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at) {
    return do_pwrite(fd, bytes, n, at);
}

int fsync(int fd) {
    struct stat st;
    char path[128];
    if (*recorded && fstat(fd, &st) == 0 && is_below(fd, "", path, sizeof path)) {
        op *o = record(S_ISDIR(st.st_mode) ? SYNC_DIR : SYNC);
        snprintf(o->path, sizeof o->path, "%s", path);
        o->file = st.st_ino;
    }
    return 0; /* what it would wait for is what is played */
}

int renameat(int from, const char *name, int to, const char *new_name) {
    char path[128], new_path[128];
    int r = (int)syscall(SYS_renameat2, from, name, to, new_name, 0);
    if (r == 0 && is_below(from, name, path, sizeof path) && is_below(to, new_name, new_path, sizeof new_path)) {
        op *o = record(RENAME);
        snprintf(o->path, sizeof o->path, "%s", path);
        snprintf(o->to, sizeof o->to, "%s", new_path);
    }
    return r;
}

int unlinkat(int at, const char *name, int flags) {
    char path[128];
    int r = (int)syscall(SYS_unlinkat, at, name, flags);
    if (r == 0 && is_below(at, name, path, sizeof path))
        snprintf(record(REMOVE)->path, sizeof ops->path, "%s", path);
    return r;
}

int mkdirat(int at, const char *name, mode_t mode) {
    char path[128];
    int r = (int)syscall(SYS_mkdirat, at, name, mode);
    if (r == 0 && is_below(at, name, path, sizeof path))
        snprintf(record(MAKE_DIR)->path, sizeof ops->path, "%s", path);
    return r;
}

/* --- states of a disk --- */

typedef enum bytes_kept { ALL, NONE, HALF, ZEROS, BYTES_KEPT } bytes_kept;

typedef struct name {
    char path[128];
    ino_t file; /* 0: a directory */
} name;

typedef struct state {
    name names[MAX_OPS];
    size_t n;
} state;

static bool is_name_op(const op *o) {
    return o->kind == MAKE_DIR || o->kind == MAKE || o->kind == RENAME || o->kind == REMOVE;
}

static name *named(state *s, const char *path) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i].path, path) == 0)
            return &s->names[i];
    return NULL;
}

static void drop(state *s, const char *path) {
    name *old = named(s, path);
    if (old)
        *old = s->names[--s->n];
}

static void apply(state *s, const op *o) {
    name *from = named(s, o->path);
    if (o->kind == RENAME && from) {
        name moved = { .file = from->file };
        snprintf(moved.path, sizeof moved.path, "%s", o->to);
        drop(s, o->path);
        drop(s, o->to);
        s->names[s->n++] = moved;
    } else if (o->kind == REMOVE) {
        drop(s, o->path);
    } else if (o->kind != RENAME && !from) {
        name made = { .file = o->kind == MAKE ? o->file : 0 };
        snprintf(made.path, sizeof made.path, "%s", o->path);
        s->names[s->n++] = made;
    }
}

/* Is the directory that operation I of the first T was done in synchronised before T? */
static bool is_synced(size_t i, size_t t) {
    const char *slash = strrchr(ops[i].kind == RENAME ? ops[i].to : ops[i].path, '/');
    const char *path = ops[i].kind == RENAME ? ops[i].to : ops[i].path;
    const size_t n = slash ? (size_t)(slash - path) : 0;
    for (size_t k = i + 1; k < t; k++)
        if (ops[k].kind == SYNC_DIR && strlen(ops[k].path) == n && strncmp(ops[k].path, path, n) == 0)
            return true;
    return false;
}

/* The bytes of FILE after T operations; its length. */
static size_t content(ino_t file, size_t t, bytes_kept kept, uint8_t *out, size_t size) {
    size_t n = 0, synced = 0;
    memset(out, 0, size);
    for (size_t i = 0; i < t; i++)
        if (ops[i].kind == SYNC && ops[i].file == file)
            synced = i;
    for (size_t i = 0; i < t; i++) {
        const op *o = &ops[i];
        if (o->kind != WRITE || o->file != file || (i > synced && kept == NONE))
            continue;
        size_t count = i > synced && kept == HALF ? o->n / 2 : o->n;
        ck_assert_uint_le(o->at + o->n, size);
        if (i < synced || kept != ZEROS)
            memcpy(out + o->at, o->bytes, count);
        n = o->at + count > n ? o->at + count : n;
    }
    return n;
}

/* --- the scene --- */

static char base[64];
static jc_arena *arena;
static unsigned nstates, nhits;

#define KEYS 3
static const size_t sizes[KEYS] = { 10, 3000, 20000 };

static jc_key key_of(int i) {
    jc_bytes *b = JC_NEW(arena, jc_bytes);
    *b = JC_BYTES(arena);
    jc_key_add(b, JC_KEY_GRAPH, &i, sizeof i);
    jc_key key = jc_key_end(b);
    key.light = i == 1;
    return key;
}

static uint8_t byte_of(int i, size_t at) {
    return (uint8_t)(at * 7 + (size_t)i * 31 + 1); /* seldom 0 */
}

static jitc_status build(void *user, jc_arena *a, const uint8_t **bytes, size_t *n, jc_error *err) {
    const int i = *(int *)user;
    uint8_t *made = jc_arena_alloc(a, sizes[i]);
    (void)err;
    for (size_t k = 0; k < sizes[i]; k++)
        made[k] = byte_of(i, k);
    *bytes = made;
    *n = sizes[i];
    return JITC_OK;
}

static bool is_right(int i, const uint8_t *bytes, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (bytes[k] != byte_of(i, k))
            return false;
    return n == sizes[i];
}

static void get_all(const char *dir) {
    jc_cache *c;
    ck_assert_int_eq(jc_cache_open(dir, NULL, NULL, &c, NULL), JITC_OK);
    for (int i = 0; i < KEYS; i++) {
        const uint8_t *out;
        size_t n;
        jc_key key = key_of(i);
        ck_assert_int_eq(jc_cache_get(c, &key, &(jc_cache_builder){ .build = build, .user = &i }, &out, &n, NULL, NULL), JITC_OK);
        ck_assert_msg(is_right(i, out, n), "key %d", i);
    }
    jc_cache_close(c);
}

static const char *entry_of(int i) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_key key = key_of(i);
    jc_hash_hex(&key.hash, hex);
    return jc_arena_printf(arena, "%s/v1/%.2s/%s", recorded, hex, hex);
}

/* Three entries; one is damaged, set aside and stored again; one is stored over itself; one is pruned. */
static void play(void) {
    jc_pruned p;
    get_all(recorded);
    ck_assert_int_eq(truncate(entry_of(2), 100), 0); /* not recorded: damage of another kind */
    get_all(recorded);
    jc_disk *d = jc_disk_open(arena, recorded, false, NULL);
    jc_key key = key_of(0);
    const uint8_t *bytes;
    size_t n;
    int i = 0;
    ck_assert_int_eq(build(&i, arena, &bytes, &n, NULL), JITC_OK);
    ck_assert(jc_disk_put(d, &key, bytes, n));
    ck_assert_int_eq(jc_prune_run(d, &(jc_prune){ .max_entries = 2, .on_purpose = true }, arena, &p, NULL), JITC_OK);
    ck_assert_uint_ge(p.removed, 1);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const name *)a)->path, ((const name *)b)->path);
}

/* Directories before what is in them; what is in none is lost. */
static void lay_out(state *s, size_t t, bytes_kept kept, const char *dir) {
    static uint8_t bytes[1 << 16];
    char path[256];
    qsort(s->names, s->n, sizeof *s->names, by_path);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < s->n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, s->names[i].path);
        if (!s->names[i].file) {
            (void)mkdir(path, 0700);
            continue;
        }
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        size_t n = content(s->names[i].file, t, kept, bytes, sizeof bytes);
        if (fd < 0)
            continue;
        ck_assert_int_eq((int)syscall(SYS_write, fd, bytes, n), (int)n);
        close(fd);
    }
}

/* Every entry is right or is none; and the directory can be used on. */
static void look_at(const char *dir, size_t t, bytes_kept kept) {
    jc_arena *a = jc_arena_new(NULL);
    jc_disk *d = jc_disk_open(a, dir, false, NULL);
    jc_history_line *lines;
    size_t nlines, bad, n;
    const uint8_t *out;
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(jc_history_read(d, a, &lines, &nlines, &bad, NULL), JITC_OK);
    for (int i = 0; i < KEYS; i++) {
        jc_key key = key_of(i);
        const jc_tier_result r = jc_disk_get(d, &key, a, &out, &n);
        ck_assert_msg(r == JC_TIER_HIT || r == JC_TIER_MISS || (key.light && r == JC_TIER_CORRUPT),
                      "after %zu operations, bytes kept %d: key %d, which is synchronised before it has its name, is there and damaged", t, (int)kept, i);
        if (r != JC_TIER_HIT)
            continue;
        ck_assert_msg(is_right(i, out, n), "after %zu operations, bytes kept %d: key %d is wrong", t, (int)kept, i);
        nhits++;
    }
    if (nstates % 8 == 0)
        get_all(dir);
    jc_arena_free(a);
}

static uint64_t seen[1 << 16]; /* states that were looked at: many are the same */
static size_t nseen;

static bool is_new(const state *s, size_t t, bytes_kept kept) {
    static uint8_t bytes[1 << 16];
    uint64_t h = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t n = s->names[i].file ? content(s->names[i].file, t, kept, bytes, sizeof bytes) : 0;
        h += jc_hash64(s->names[i].path, strlen(s->names[i].path)) * 3 + jc_hash64(bytes, n) * (1 + 2 * strlen(s->names[i].path));
    }
    for (size_t i = 0; i < nseen; i++)
        if (seen[i] == h)
            return false;
    ck_assert_uint_lt(nseen, sizeof seen / sizeof *seen);
    seen[nseen++] = h;
    return true;
}

static void try_state(size_t t, const bool *lost) {
    static state s;
    char dir[96];
    for (bytes_kept kept = ALL; kept < BYTES_KEPT; kept++) {
        s.n = 0;
        for (size_t i = 0; i < t; i++)
            if (is_name_op(&ops[i]) && !lost[i])
                apply(&s, &ops[i]);
        if (!is_new(&s, t, kept))
            continue;
        snprintf(dir, sizeof dir, "%s/s%u", base, nstates++);
        lay_out(&s, t, kept, dir);
        look_at(dir, t, kept);
        scratch_remove(dir);
    }
}

/* What may be lost of the first T operations: the names that are not synchronised. */
static void cut_after(size_t t) {
    static size_t pending[MAX_OPS];
    bool lost[MAX_OPS] = { false };
    size_t n = 0;
    for (size_t i = 0; i < t; i++)
        if (is_name_op(&ops[i]) && !is_synced(i, t))
            pending[n++] = i;
    try_state(t, lost);
    for (size_t k = 0; k < n; k++) { /* all but one */
        lost[pending[k]] = true;
        try_state(t, lost);
        lost[pending[k]] = false;
    }
    for (size_t k = n; k-- > 0;) { /* the first K alone */
        lost[pending[k]] = true;
        try_state(t, lost);
    }
}

START_TEST(every_cut) {
    char template[] = "/tmp/jitc-check-power-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(template));
    snprintf(base, sizeof base, "%s", template);
    arena = jc_arena_new(NULL);
    char dir[sizeof recorded];
    snprintf(dir, sizeof dir, "%s/recorded", base);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    strcpy(recorded, dir);
    play();
    recorded[0] = 0;
    for (size_t t = 0; t <= nops; t++)
        cut_after(t);
    printf("%zu operations, %u states, %u entries found right\n", nops, nstates, nhits);
    for (op_kind k = MAKE_DIR; k <= REMOVE; k++) {
        size_t n = 0;
        for (size_t i = 0; i < nops; i++)
            n += ops[i].kind == k;
        ck_assert_msg(n > 0, "no operation of kind %d was recorded", (int)k);
    }
    ck_assert_uint_gt(nhits, nstates / 4); /* or nothing was looked at */
    for (size_t i = 0; i < nops; i++)
        free(ops[i].bytes);
    jc_arena_free(arena);
    scratch_remove(base);
}
END_TEST

int main(void) {
    Suite *s = suite_create("power");
    TCase *t = tcase_create("power");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_cut);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
