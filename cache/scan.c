/*
 * cache/scan.c - the walk over DIR/v1/XX.
 */
#define _GNU_SOURCE /* scandir */
#include "cache/scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The key that NAME starts with. */
static bool key_of(const char *name, jc_hash *out) {
    for (size_t i = 0; i < JC_HASH_SIZE; i++) {
        int high = digit(name[2 * i]), low = high < 0 ? -1 : digit(name[2 * i + 1]);
        if (low < 0)
            return false;
        out->b[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static jc_scan_kind kind_of(const char *name, jc_hash *key) {
    if (strncmp(name, "tmp.", 4) == 0)
        return JC_SCAN_TEMPORARY;
    if (!key_of(name, key))
        return JC_SCAN_OTHER;
    const char *rest = name + 2 * JC_HASH_SIZE;
    return !*rest ? JC_SCAN_ENTRY : strcmp(rest, ".bad") == 0 ? JC_SCAN_BAD : JC_SCAN_OTHER;
}

/* Names in PATH, sorted; none where there is no such directory. */
static jitc_status names_in(const char *path, struct dirent ***out, int *n, jc_error *err) {
    *n = scandir(path, out, NULL, alphasort);
    if (*n >= 0)
        return JITC_OK;
    *n = 0;
    *out = NULL;
    if (errno == ENOENT || errno == ENOTDIR)
        return JITC_OK;
    return jc_fail_at(err, errno == ENOMEM ? JITC_E_NOMEM : JITC_E_IO, path, 0, 0, NULL, "the cache cannot be read: %s",
                      strerror(errno));
}

static void free_names(struct dirent **names, int n) {
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

typedef struct walk {
    jc_arena *arena;
    jitc_status (*see)(void *user, const jc_scan_file *file, jc_error *err);
    void *user;
    jc_error *err;
} walk;

static jitc_status see_file(const walk *w, const char *dir, const char *name) {
    struct stat st;
    jc_scan_file file = { .path = jc_arena_printf(w->arena, "%s/%s", dir, name) };
    const char *shard = strrchr(dir, '/') + 1;
    if (lstat(file.path, &st) != 0)
        return JITC_OK; /* gone */
    file.kind = kind_of(name, &file.key);
    if ((file.kind == JC_SCAN_ENTRY || file.kind == JC_SCAN_BAD) && strncmp(shard, name, 2) != 0)
        file.kind = JC_SCAN_OTHER; /* where no lookup comes */
    file.bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return w->see(w->user, &file, w->err);
}

/* Every name in DIR but . and .., each in the arena before the next is met: SEE may jump out of here when memory is out. */
static jitc_status each_name(const walk *w, const char *dir, jitc_status (*work)(const walk *, const char *, const char *)) {
    struct dirent **names;
    int n;
    JC_TRY(names_in(dir, &names, &n, w->err));
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(w->arena, &guard) == 0) {
        status = JITC_OK;
        for (int i = 0; i < n && status == JITC_OK; i++)
            if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
                status = work(w, dir, names[i]->d_name);
    }
    jc_guard_end(w->arena, &guard);
    free_names(names, n);
    return status;
}

static bool is_shard(const char *name) {
    return digit(name[0]) >= 0 && digit(name[1]) >= 0 && !name[2];
}

static jitc_status see_shard(const walk *w, const char *dir, const char *name) {
    struct stat st;
    const char *path = jc_arena_printf(w->arena, "%s/%s", dir, name);
    return is_shard(name) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? each_name(w, path, see_file) : JITC_OK;
}

jitc_status jc_disk_scan(const jc_disk *d, jc_arena *arena,
                         jitc_status (*see)(void *user, const jc_scan_file *file, jc_error *err), void *user,
                         jc_error *err) {
    walk w = { arena, see, user, err };
    return each_name(&w, jc_disk_entries(d), see_shard);
}

void jc_disk_prune(const jc_disk *d) {
    char path[4200];
    for (unsigned i = 0; i < 256; i++) {
        snprintf(path, sizeof path, "%s/%02x", jc_disk_entries(d), i);
        (void)rmdir(path); /* one that is not empty stays */
    }
    (void)rmdir(jc_disk_entries(d));
}
