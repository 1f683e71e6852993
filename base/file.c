/*
 * base/file.c - see base/file.h.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool jc_write_all(int fd, const void *data, size_t n) {
    for (const char *at = data; n;) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        n -= (size_t)put;
    }
    return true;
}

/* --- publishing --- */

typedef struct place {
    char folder[PATH_MAX], temporary[PATH_MAX + 96]; /* the folder without its last slash; "." for a bare name */
} place;

static bool place_of(const char *path, place *p) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;
    if (n >= sizeof p->folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(p->folder, slash ? path : ".", n);
    p->folder[n] = 0; /* "" is the root */
    return true;
}

/* A name nobody else in the world is writing to: the process, the thread's stack and the clock go in. */
static int open_temporary(place *p, unsigned mode) {
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(p->temporary, sizeof p->temporary, "%s/tmp.%ld.%lx.%lx.%u", p->folder, (long)getpid(),
                 (unsigned long)(uintptr_t)&now, (unsigned long)now.tv_nsec, attempt);
        int fd = open(p->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Where a folder cannot be synchronised there is nothing to do about it. */
static void sync_folder(const char *folder) {
    int fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

static bool write_parts(int fd, const jc_span *parts, size_t nparts, bool durable) {
    for (size_t i = 0; i < nparts; i++)
        if (!jc_write_all(fd, parts[i].at, parts[i].n))
            return false;
    return !durable || fsync(fd) == 0;
}

bool jc_file_publish(const char *path, const jc_span *parts, size_t nparts, jc_publish how) {
    place p;
    struct stat st;
    if (!place_of(path, &p))
        return false;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return false;
    }
    int fd = open_temporary(&p, how.mode);
    if (fd < 0)
        return false;
    bool ok = write_parts(fd, parts, nparts, how.durable);
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(p.temporary, path) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok)
        unlink(p.temporary);
    else if (how.durable)
        sync_folder(p.folder);
    errno = why;
    return ok;
}

/* --- reading --- */

/* Does not jump. */
static uint8_t *try_alloc(jc_arena *arena, size_t n) {
    jc_guard guard;
    uint8_t *volatile at = NULL;
    if (JC_GUARD(arena, &guard) == 0)
        at = jc_arena_alloc(arena, n);
    jc_guard_end(arena, &guard);
    return at;
}

bool jc_file_read(int fd, size_t max, jc_arena *arena, jc_span *out) {
    struct stat st;
    size_t have = 0;
    if (fstat(fd, &st) != 0)
        return false;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
        errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
        return false;
    }
    uint8_t *at = try_alloc(arena, (size_t)st.st_size);
    if (!at) {
        errno = ENOMEM;
        return false;
    }
    while (have < (size_t)st.st_size) {
        ssize_t got = read(fd, at + have, (size_t)st.st_size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *out = (jc_span){ at, have };
    return true;
}
