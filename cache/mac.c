/*
 * cache/mac.c - the key of a shared cache directory: a file of 64 hex digits that its owner alone can read.
 */
#include "cache/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/seal.h"

/* What is wrong with the file FD, but for what is in it; NULL: nothing. */
static const char *refuse(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "it is no regular file";
    if (st.st_uid != geteuid())
        return "it belongs to another user";
    return st.st_mode & (S_IRWXG | S_IRWXO) ? "others can read it or write to it; chmod 600, and make a new one if somebody may have" : NULL;
}

jitc_status jc_mac_key_read(const char *path, jc_mac_key *out, jc_error *err) {
    char text[80];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return jc_fail(err, JITC_E_IO, "the key of the cache, %s, cannot be opened: %s", path, strerror(errno));
    const char *why = refuse(fd);
    ssize_t n = why ? 0 : read(fd, text, sizeof text);
    close(fd);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    if (!why && (n < 0 || !jc_key_parse(text, (size_t)n, out->b)))
        why = "it is not 64 hex digits, as openssl rand -hex 32 writes them";
    sodium_memzero(text, sizeof text);
    return why ? jc_fail(err, JITC_E_TRUST, "the key of the cache, %s, is not used: %s", path, why) : JITC_OK;
}
