/*
 * base/file.c - see base/file.h.
 */
#include "base/file.h"

#include <errno.h>
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
