/*
 * base/file.c - see base/file.h.
 */
#define _GNU_SOURCE /* O_PATH */
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

bool jc_read_at(int fd, void *to, size_t n, off_t at) {
    for (char *into = to; n;) {
        ssize_t got = pread(fd, into, n, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ENODATA;
        if (got <= 0)
            return false;
        into += got;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

/* --- publishing --- */

/* The folder of PATH, to name files in; NAME gets the rest. */
static int open_folder(const char *path, const char **name) {
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    size_t n = slash ? (size_t)(slash - path) : 1;
    if (n >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, slash ? path : ".", n);
    folder[n] = 0;
    *name = slash ? slash + 1 : path;
    return open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

enum { TEMPORARY_SIZE = 96 };

/* A name nobody else in the world is writing to: the process, the thread's stack and the clock go in. */
static int open_temporary(int folder, char *name, unsigned mode) {
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(name, TEMPORARY_SIZE, "tmp.%ld.%lx.%lx.%u", (long)getpid(), (unsigned long)(uintptr_t)&now, (unsigned long)now.tv_nsec, attempt);
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Where a folder cannot be synchronised there is nothing to do about it. */
static void sync_folder(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

bool jc_file_publish_at(int folder, const char *name, const jc_span *parts, size_t nparts, jc_publish how) {
    char temporary[TEMPORARY_SIZE];
    struct stat st;
    if (fstatat(folder, name, &st, 0) == 0 && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return false;
    }
    int fd = open_temporary(folder, temporary, how.mode);
    if (fd < 0)
        return false;
    bool ok = write_parts(fd, parts, nparts, how.durable);
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && renameat(folder, temporary, folder, name) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok)
        unlinkat(folder, temporary, 0);
    else if (how.durable)
        sync_folder(folder);
    errno = why;
    return ok;
}

bool jc_file_publish(const char *path, const jc_span *parts, size_t nparts, jc_publish how) {
    const char *name;
    int folder = open_folder(path, &name);
    if (folder < 0)
        return false;
    bool ok = jc_file_publish_at(folder, name, parts, nparts, how);
    int why = errno;
    close(folder);
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
