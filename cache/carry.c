/*
 * cache/carry.c - see cache/carry.h.
 */
#include "cache/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cache/entry.h"
#include "cache/scan.h"

typedef struct carrying {
    const jc_disk *from, *to; /* TO: NULL for a file */
    int fd;
    jc_carried *out;
} carrying;

static jitc_status cannot_write(jc_error *err, const char *where) {
    return jc_fail(err, JITC_E_IO, "an entry cannot be written to %s: %s", where, strerror(errno));
}

/* A whole entry into TO. */
static jitc_status put(const jc_disk *to, const jc_span *file, const jc_entry *e, jc_arena *scratch, jc_carried *out, jc_error *err) {
    jc_span there;
    jc_entry theirs;
    if (jc_disk_read_file(to, &e->key, scratch, &there, &theirs) == JC_TIER_HIT) {
        out->there++;
        return JITC_OK;
    }
    if (!jc_disk_install(to, &e->key, file))
        return cannot_write(err, jc_disk_dir(to));
    out->entries++;
    out->bytes += file->n;
    return JITC_OK;
}

/* --- out of a directory --- */

static jitc_status carry(carrying *c, const jc_scan_file *found, jc_arena *scratch, jc_error *err) {
    jc_span file;
    jc_entry e;
    jc_tier_result r = jc_disk_read_file(c->from, &found->key, scratch, &file, &e);
    if (r == JC_TIER_MISS)
        return JITC_OK; /* it has gone meanwhile */
    if (r != JC_TIER_HIT || (c->to && jc_disk_check(c->to, &file, &e) != JC_TIER_HIT)) {
        c->out->refused++;
        return JITC_OK;
    }
    if (c->to)
        return put(c->to, &file, &e, scratch, c->out, err);
    if (!jc_write_all(c->fd, file.at, file.n))
        return cannot_write(err, "the file");
    c->out->entries++;
    c->out->bytes += file.n;
    return JITC_OK;
}

static jitc_status see(void *user, const jc_scan_file *found, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (found->kind != JC_SCAN_ENTRY)
        return JITC_OK;
    jc_arena *scratch = jc_arena_new(NULL);
    if (scratch && JC_GUARD(scratch, &guard) == 0)
        status = carry(user, found, scratch, err);
    if (scratch)
        jc_guard_end(scratch, &guard);
    jc_arena_free(scratch);
    return status == JITC_E_NOMEM ? jc_fail(err, status, "out of memory while carrying %s", found->path) : status;
}

static jitc_status carry_all(carrying *c, jc_error *err) {
    jc_arena *names = jc_arena_new(NULL);
    *c->out = (jc_carried){ 0 };
    jitc_status status = names ? jc_disk_scan(c->from, names, see, c, err) : jc_fail(err, JITC_E_NOMEM, "out of memory while carrying entries");
    jc_arena_free(names);
    return status;
}

jitc_status jc_carry_between(const jc_disk *from, const jc_disk *to, jc_carried *out, jc_error *err) {
    carrying c = { .from = from, .to = to, .fd = -1, .out = out };
    return carry_all(&c, err);
}

jitc_status jc_carry_to_file(const jc_disk *d, const char *path, jc_carried *out, jc_error *err) {
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid()) >= sizeof temporary)
        return jc_fail(err, JITC_E_IO, "%s is too long a name", path);
    carrying c = { .from = d, .out = out, .fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644) };
    *out = (jc_carried){ 0 };
    if (c.fd < 0)
        return jc_fail(err, JITC_E_IO, "%s cannot be made: %s", temporary, strerror(errno));
    jitc_status status = carry_all(&c, err);
    if (status == JITC_OK && fsync(c.fd) != 0)
        status = cannot_write(err, temporary);
    if (close(c.fd) != 0 && status == JITC_OK)
        status = cannot_write(err, temporary);
    if (status == JITC_OK && rename(temporary, path) != 0)
        status = jc_fail(err, JITC_E_IO, "%s cannot be put in place: %s", path, strerror(errno));
    if (status != JITC_OK)
        unlink(temporary);
    return status;
}

/* --- out of a file --- */

/* The entry of N bytes at AT of FD; false when there are not as many or memory is out. */
static bool read_at(int fd, uint64_t at, size_t n, jc_arena *scratch, jc_span *file) {
    uint8_t *bytes = jc_arena_alloc(scratch, n);
    if (!jc_read_at(fd, bytes, n, (off_t)at))
        return false;
    *file = (jc_span){ bytes, n };
    return true;
}

static jitc_status take_in(const jc_disk *d, int fd, const char *path, uint64_t at, size_t n, jc_arena *scratch, jc_carried *out, jc_error *err) {
    jc_span file;
    jc_entry e;
    if (!read_at(fd, at, n, scratch, &file))
        return jc_fail(err, JITC_E_IO, "%s cannot be read at byte %llu: %s", path, (unsigned long long)at, strerror(errno));
    if (jc_disk_check(d, &file, &e) == JC_TIER_HIT)
        return put(d, &file, &e, scratch, out, err);
    out->refused++;
    return JITC_OK;
}

static jitc_status take(const jc_disk *d, int fd, const char *path, uint64_t at, size_t n, jc_carried *out, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    jc_arena *scratch = jc_arena_new(NULL);
    if (scratch && JC_GUARD(scratch, &guard) == 0)
        status = take_in(d, fd, path, at, n, scratch, out, err);
    if (scratch)
        jc_guard_end(scratch, &guard);
    jc_arena_free(scratch);
    return status == JITC_E_NOMEM ? jc_fail(err, status, "out of memory at byte %llu of %s", (unsigned long long)at, path) : status;
}

jitc_status jc_carry_from_file(const jc_disk *d, int fd, const char *path, jc_carried *out, jc_error *err) {
    struct stat st;
    uint8_t head[JC_ENTRY_HEADER];
    *out = (jc_carried){ 0 };
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return jc_fail(err, JITC_E_INPUT, "%s is no regular file", path);
    for (uint64_t at = 0, n; at < (uint64_t)st.st_size; at += n) {
        const uint64_t left = (uint64_t)st.st_size - at;
        n = jc_read_at(fd, head, sizeof head, (off_t)at) ? jc_entry_length(head) : 0;
        if (n == 0 || n > left)
            return jc_fail(err, JITC_E_INPUT, "%s has no whole entry at byte %llu of %lld: it is cut or damaged, or was not written by jitc cache export", path,
                           (unsigned long long)at, (long long)st.st_size);
        JC_TRY(take(d, fd, path, at, (size_t)n, out, err));
    }
    return JITC_OK;
}
