/*
 * tests/fail_malloc.c - preloaded, it makes memory run out: allocation number $FAIL_AT (from 0, since main() is near) of malloc and its
 * kin fails, with $FAIL_FOREVER all later ones as well.  The file $FAIL_REACHED is made when that happens.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

/* glibc's own, by its other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

SHOWN void *malloc(size_t size);
SHOWN void *calloc(size_t n, size_t size);
SHOWN void *realloc(void *block, size_t size);
SHOWN void *memalign(size_t alignment, size_t size);
SHOWN void *aligned_alloc(size_t alignment, size_t size);
SHOWN int posix_memalign(void **out, size_t alignment, size_t size);

static atomic_long count;
static long fail_at = -1;
static bool forever;
static const char *reached;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("FAIL_AT");
    reached = getenv("FAIL_REACHED");
    forever = getenv("FAIL_FOREVER") != NULL;
    atomic_store(&count, 0);
    fail_at = at ? atol(at) : -1;
    unsetenv("LD_PRELOAD"); /* what is started from here has memory */
}

static bool fails(void) {
    long n = fail_at < 0 ? -2 : atomic_fetch_add(&count, 1);
    if (n != fail_at && !(forever && n > fail_at))
        return false;
    if (n == fail_at && reached)
        close(open(reached, O_WRONLY | O_CREAT, 0600));
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t size) {
    return fails() ? NULL : __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (block)
        *out = block;
    return block ? 0 : ENOMEM;
}
