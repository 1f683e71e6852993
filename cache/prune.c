/*
 * cache/prune.c - see cache/prune.h.
 *
 * Goes down by descriptors, as lookups do, and removes by name what it saw under that name.  An entry that somebody replaces or uses meanwhile
 * is lost: a miss.  Directories of older formats ("v0") have none that will be used again: they go first.
 */
#define _GNU_SOURCE /* fdopendir, st_atim */
#include "cache/prune.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/vec.h"
#include "cache/lock.h"

#define HOUR 3600
#define PAUSE (10 * 60)
#define SHARDS 256u

typedef struct candidate {
    int64_t used;  /* seconds; 0: never will be again */
    uint64_t bytes;
    const char *format, *name;
    unsigned char shard;
} candidate;

typedef struct look {
    const jc_disk *d;
    const jc_prune *how;
    jc_arena *arena;
    int root;
    int64_t now;
    jc_pruned *out;
    uint64_t seen_bytes;
    JC_VEC(candidate) seen;
} look;

/* --- seeing --- */

/* NAME below AT, to go into. -1 where it is no directory of ours. */
static int down(const look *l, int at, const char *name) {
    struct stat st;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !jc_disk_is_owners(l->d, &st))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* A stamp from the future says nothing. */
static int64_t last_used(const look *l, const struct stat *st) {
    int64_t used = st->st_atim.tv_sec > st->st_mtim.tv_sec ? st->st_atim.tv_sec : st->st_mtim.tv_sec;
    return used > l->now + HOUR ? 1 : used;
}

static void see(look *l, int shard, const char *format, unsigned in, const char *name) {
    struct stat st;
    const bool temporary = strncmp(name, "tmp.", 4) == 0;
    if ((!temporary && !isxdigit((unsigned char)name[0])) || fstatat(shard, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return;
    if (temporary) {
        l->out->temporaries += (st.st_mtim.tv_sec < l->now - HOUR || st.st_mtim.tv_sec > l->now + HOUR) && unlinkat(shard, name, 0) == 0;
        return;
    }
    const bool current = strcmp(format, jc_disk_format()) == 0 && !strchr(name, '.');
    jc_push(l->arena, &l->seen, ((candidate){ .used = current ? last_used(l, &st) : 0, .bytes = (uint64_t)st.st_size, .format = format,
                                              .shard = (unsigned char)in, .name = jc_arena_strdup(l->arena, name) }));
    l->seen_bytes += (uint64_t)st.st_size;
}

/* The names in a shard, each kept in the arena: seeing may jump, so the directory is closed first. */
typedef JC_VEC(const char *) names;

static bool list(look *l, int fd, names *out) {
    jc_guard guard;
    DIR *dir = fdopendir(fd);
    volatile bool ok = false;
    if (!dir) {
        close(fd);
        return false;
    }
    if (JC_GUARD(l->arena, &guard) == 0) {
        for (struct dirent *e; (e = readdir(dir));)
            if (e->d_name[0] != '.')
                jc_push(l->arena, out, jc_arena_strdup(l->arena, e->d_name));
        ok = true;
    }
    jc_guard_end(l->arena, &guard);
    closedir(dir);
    return ok;
}

static const char *shard_name(unsigned shard, char name[4]) {
    snprintf(name, 4, "%02x", shard % SHARDS);
    return name;
}

static jitc_status see_shard(look *l, int format_fd, const char *format, unsigned shard) {
    names in = { 0 };
    char name[4];
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    int fd = down(l, format_fd, shard_name(shard, name)), again = fd >= 0 ? dup(fd) : -1;
    if (fd < 0)
        return JITC_OK;
    if (JC_GUARD(l->arena, &guard) == 0 && again >= 0 && list(l, again, &in)) {
        for (size_t i = 0; i < in.n; i++)
            see(l, fd, format, shard, in.at[i]);
        status = JITC_OK;
    }
    jc_guard_end(l->arena, &guard);
    close(fd);
    return status;
}

/* The shards of a format, from one by chance on; SEEN gets how many. */
static jitc_status see_format(look *l, const char *format, uint64_t sample, unsigned *seen) {
    const unsigned first = (unsigned)((uint64_t)l->now * 2654435761u >> 8) % SHARDS;
    jitc_status status = JITC_OK;
    int fd = down(l, l->root, format);
    *seen = 0;
    if (fd < 0)
        return JITC_OK;
    for (; status == JITC_OK && *seen < SHARDS && (!sample || l->seen.n < sample); ++*seen)
        status = see_shard(l, fd, format, (first + *seen) % SHARDS);
    close(fd);
    return status;
}

/* "v0" is older than "v1"; what is newer is another's business. */
static bool is_older(const char *name) {
    char *end;
    return name[0] == 'v' && isdigit((unsigned char)name[1]) && strtol(name + 1, &end, 10) < strtol(jc_disk_format() + 1, NULL, 10) && !*end;
}

static jitc_status see_older(look *l) {
    names in = { 0 };
    unsigned shards;
    int fd = openat(l->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !list(l, fd, &in))
        return fd < 0 ? JITC_OK : JITC_E_NOMEM;
    for (size_t i = 0; i < in.n; i++)
        if (is_older(in.at[i]))
            JC_TRY(see_format(l, in.at[i], 0, &shards));
    return JITC_OK;
}

/* --- removing --- */

static int by_use(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return (x->used > y->used) - (x->used < y->used);
}

static bool removes(const look *l, const candidate *c) {
    char in[4];
    int format = down(l, l->root, c->format), shard = format >= 0 ? down(l, format, shard_name(c->shard, in)) : -1;
    bool ok = shard >= 0 && unlinkat(shard, c->name, 0) == 0;
    if (shard >= 0)
        close(shard);
    if (format >= 0 && !c->used && !strchr(c->name, '.')) { /* an old format's last one takes its directories along */
        (void)unlinkat(format, in, AT_REMOVEDIR);
        (void)unlinkat(l->root, c->format, AT_REMOVEDIR);
    }
    if (format >= 0)
        close(format);
    return ok;
}

/* PART of what is allowed, of the SHARE of all shards that was seen. */
static uint64_t part_of(uint64_t bound, double part, double share) {
    double allowed = (double)bound * part * share;
    return bound == 0 || allowed > 1e18 ? UINT64_MAX : (uint64_t)allowed;
}

typedef struct bounds {
    uint64_t bytes, entries;
} bounds;

static bool is_over(const look *l, bounds b) {
    return l->seen_bytes - l->out->removed_bytes > b.bytes || l->seen.n - l->out->removed > b.entries;
}

static bounds bounds_of(const look *l, double part, double share) {
    return (bounds){ part_of(l->how->max_bytes, part, share), part_of(l->how->max_entries, part, share) };
}

static void shrink(look *l, double share) {
    const bool careful = !l->how->on_purpose;
    const bounds most = bounds_of(l, 1, share), aim = bounds_of(l, careful ? 0.8 : 1, share), young = bounds_of(l, careful ? 2 : 1, share);
    if (!is_over(l, most))
        return;
    qsort(l->seen.at, l->seen.n, sizeof *l->seen.at, by_use);
    for (size_t i = 0; i < l->seen.n; i++) {
        const candidate *c = &l->seen.at[i];
        if (!is_over(l, c->used > l->now - HOUR ? young : aim))
            return;
        if (!removes(l, c))
            continue;
        l->out->removed++;
        l->out->removed_bytes += c->bytes;
    }
}

/* --- all of it --- */

static jitc_status look_and_shrink(look *l) {
    unsigned shards;
    JC_TRY(see_format(l, jc_disk_format(), l->how->sample, &shards));
    if (shards == 0)
        shards = SHARDS;
    JC_TRY(see_older(l));
    const double share = (double)shards / SHARDS;
    l->out->entries = (uint64_t)((double)l->seen.n / share);
    l->out->bytes = (uint64_t)((double)l->seen_bytes / share);
    shrink(l, share);
    return JITC_OK;
}

static jitc_status prune(const jc_disk *d, const jc_prune *how, jc_arena *scratch, jc_pruned *out) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    look l = { .d = d, .how = how, .arena = scratch, .now = (int64_t)time(NULL), .out = out, .root = jc_disk_open_root(d, false) };
    if (l.root < 0)
        return errno == ENOENT ? JITC_OK : JITC_E_IO;
    if (JC_GUARD(scratch, &guard) == 0)
        status = look_and_shrink(&l);
    jc_guard_end(scratch, &guard);
    close(l.root);
    return status;
}

/* Whose turn it is to prune: a lock as if of an entry, whose key no entry has. */
static bool my_turn(const jc_disk *d, jc_lock *l) {
    jc_hash key;
    memset(&key, 0xff, sizeof key);
    return !jc_lock_open(d, &key, true, l) || jc_lock_take(l) != JC_LOCK_OTHERS;
}

jitc_status jc_prune_run(const jc_disk *d, const jc_prune *how, jc_arena *scratch, jc_pruned *out, jc_error *err) {
    jc_lock lock = JC_LOCK_INIT;
    jitc_status status = JITC_OK;
    *out = (jc_pruned){ 0 };
    out->busy = !my_turn(d, &lock);
    if (!out->busy)
        status = prune(d, how, scratch, out);
    jc_lock_close(&lock);
    return status == JITC_OK ? status
           : status == JITC_E_NOMEM ? jc_fail(err, status, "out of memory while pruning the cache %s", jc_disk_dir(d))
                                    : jc_fail(err, status, "the cache directory %s cannot be read: %s", jc_disk_dir(d), strerror(errno));
}

/* Is it time? Then it was, from now on. */
static bool is_time(const jc_disk *d) {
    struct stat st;
    int root = jc_disk_open_root(d, false), fd = -1;
    bool due = false;
    if (root < 0)
        return false;
    if (fstatat(root, "pruned", &st, AT_SYMLINK_NOFOLLOW) == 0) {
        int64_t ago = (int64_t)time(NULL) - st.st_mtim.tv_sec;
        due = (ago > PAUSE || ago < -PAUSE) && utimensat(root, "pruned", NULL, AT_SYMLINK_NOFOLLOW) == 0;
    } else {
        fd = openat(root, "pruned", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        due = fd >= 0;
    }
    if (fd >= 0)
        close(fd);
    close(root);
    return due;
}

void jc_prune_at_times(const jc_disk *d, const jc_prune *how, const jc_alloc *alloc) {
    jc_pruned out;
    if ((!how->max_bytes && !how->max_entries) || !is_time(d))
        return;
    jc_arena *scratch = jc_arena_new(alloc);
    if (scratch)
        (void)jc_prune_run(d, how, scratch, &out, NULL);
    jc_arena_free(scratch);
}
