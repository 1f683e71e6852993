/*
 * tests/fail_calls.c - preloaded, it makes system calls fail: call number $FAIL_AT (from 0) of the kind $FAIL_CALL, with $FAIL_FOREVER all
 * later ones as well, by $FAIL_ERRNO, or, without that, by doing half of a read or write.
 *
 * Only files of the test count: those named relative to a folder, and below /tmp.  The file $FAIL_REACHED is made when a call fails, and
 * says in the end how many descriptors of such files are still open.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))
enum { FILES = 4096 };

static atomic_long count;
static atomic_bool failed, ours[FILES];
static long fail_at = -1;
static int by;
static bool forever;
static const char *kind, *reached;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("FAIL_AT"), *error = getenv("FAIL_ERRNO");
    kind = getenv("FAIL_CALL");
    reached = getenv("FAIL_REACHED");
    forever = getenv("FAIL_FOREVER") != NULL;
    by = error ? atoi(error) : 0;
    fail_at = at ? atol(at) : -1;
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    int left = 0;
    kind = NULL;
    for (int fd = 3; fd < FILES; fd++)
        left += atomic_load(&ours[fd]) && fcntl(fd, F_GETFD) >= 0;
    FILE *f = reached && atomic_load(&failed) ? fopen(reached, "w") : NULL;
    if (f) {
        fprintf(f, "%d\n", left);
        fclose(f);
    }
}

static bool hits(const char *what) {
    if (!kind || strcmp(kind, what) != 0)
        return false;
    long n = atomic_fetch_add(&count, 1);
    bool hit = n == fail_at || (forever && n > fail_at);
    if (hit)
        atomic_store(&failed, true);
    return hit;
}

static bool of_test(int folder, const char *path) {
    return *path == '/' ? strncmp(path, "/tmp/", 5) == 0 : folder == AT_FDCWD || (folder >= 0 && folder < FILES && atomic_load(&ours[folder]));
}

static bool tracked(int fd) {
    return fd > 2 && fd < FILES && atomic_load(&ours[fd]);
}

/* False, with errno, where the call is to fail. */
static bool passes(bool mine, const char *what) {
    if (!mine || !hits(what))
        return true;
    errno = by;
    return false;
}

static int opened(int fd, bool mine) {
    if (fd >= 0 && fd < FILES)
        atomic_store(&ours[fd], mine);
    return fd;
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))
#define MODE(flags) ((flags) & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0)

#define OPENAT(name)                                                                               \
    SHOWN int name(int folder, const char *path, int flags, ...);                                  \
    int name(int folder, const char *path, int flags, ...) {                                       \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode_t mode = MODE(flags);                                                                 \
        va_end(list);                                                                              \
        bool mine = of_test(folder, path);                                                         \
        if (!passes(mine, "open"))                                                                 \
            return -1;                                                                             \
        return opened(REAL("openat", int (*)(int, const char *, int, ...))(folder, path, flags, mode), mine); \
    }
OPENAT(openat)
OPENAT(openat64)

#define OPEN(name)                                                                                 \
    SHOWN int name(const char *path, int flags, ...);                                              \
    int name(const char *path, int flags, ...) {                                                   \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode_t mode = MODE(flags);                                                                 \
        va_end(list);                                                                              \
        return openat(AT_FDCWD, path, flags, mode);                                                \
    }
OPEN(open)
OPEN(open64)

SHOWN ssize_t read(int fd, void *to, size_t n);
ssize_t read(int fd, void *to, size_t n) {
    if (tracked(fd) && hits("read")) {
        if (by)
            return errno = by, -1;
        n = n > 1 ? n / 2 : n;
    }
    return REAL("read", ssize_t (*)(int, void *, size_t))(fd, to, n);
}

SHOWN ssize_t pread(int fd, void *to, size_t n, off_t at);
ssize_t pread(int fd, void *to, size_t n, off_t at) {
    if (tracked(fd) && hits("read")) {
        if (by)
            return errno = by, -1;
        n = n > 1 ? n / 2 : n;
    }
    return REAL("pread", ssize_t (*)(int, void *, size_t, off_t))(fd, to, n, at);
}

SHOWN ssize_t write(int fd, const void *from, size_t n);
ssize_t write(int fd, const void *from, size_t n) {
    if (tracked(fd) && hits("write")) {
        if (by)
            return errno = by, -1;
        n = n > 1 ? n / 2 : n;
    }
    return REAL("write", ssize_t (*)(int, const void *, size_t))(fd, from, n);
}

SHOWN int fsync(int fd);
int fsync(int fd) {
    return passes(tracked(fd), "fsync") ? REAL("fsync", int (*)(int))(fd) : -1;
}

/* It is closed all the same. */
SHOWN int close(int fd);
int close(int fd) {
    bool fails = !passes(tracked(fd), "close");
    opened(fd, false);
    int answer = REAL("close", int (*)(int))(fd);
    if (!fails)
        return answer;
    errno = by;
    return -1;
}

SHOWN int renameat(int from, const char *a, int to, const char *b);
int renameat(int from, const char *a, int to, const char *b) {
    return passes(of_test(to, b), "rename") ? REAL("renameat", int (*)(int, const char *, int, const char *))(from, a, to, b) : -1;
}

SHOWN int rename(const char *a, const char *b);
int rename(const char *a, const char *b) {
    return renameat(AT_FDCWD, a, AT_FDCWD, b);
}

SHOWN int fstat(int fd, struct stat *st);
int fstat(int fd, struct stat *st) {
    return passes(tracked(fd), "stat") ? REAL("fstat", int (*)(int, struct stat *))(fd, st) : -1;
}

SHOWN int fstatat(int folder, const char *path, struct stat *st, int flags);
int fstatat(int folder, const char *path, struct stat *st, int flags) {
    return passes(of_test(folder, path), "stat") ? REAL("fstatat", int (*)(int, const char *, struct stat *, int))(folder, path, st, flags) : -1;
}

SHOWN int mkdirat(int folder, const char *path, mode_t mode);
int mkdirat(int folder, const char *path, mode_t mode) {
    return passes(of_test(folder, path), "mkdir") ? REAL("mkdirat", int (*)(int, const char *, mode_t))(folder, path, mode) : -1;
}

SHOWN int mkdir(const char *path, mode_t mode);
int mkdir(const char *path, mode_t mode) {
    return mkdirat(AT_FDCWD, path, mode);
}

static bool locks(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
}

#define FCNTL(name)                                                                                \
    SHOWN int name(int fd, int command, ...);                                                      \
    int name(int fd, int command, ...) {                                                           \
        va_list list;                                                                              \
        va_start(list, command);                                                                   \
        void *argument = va_arg(list, void *);                                                     \
        va_end(list);                                                                              \
        if (!passes(locks(command) && tracked(fd), "lock"))                                        \
            return -1;                                                                             \
        return REAL("fcntl", int (*)(int, int, ...))(fd, command, argument);                       \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
