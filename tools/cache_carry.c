/*
 * tools/cache_carry.c - `jitc cache export PATH` and `import PATH`: entries out of the cache directory and into it.
 *
 * PATH is a directory, in the cache's own format, where it is one or ends with a slash; else a file (cache/carry.h).  What is imported is code of whoever
 * wrote it: it has to be this user's or root's, as a bundle has to, unless --trust-files says otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/trust.h"
#include "cache/carry.h"
#include "tools/cache.h"

static bool is_directory(const char *path) {
    struct stat st;
    return path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static int say(tool *t, jc_disk *disk, const char *path, const jc_carried *c, const char *verb) {
    if (!t->o.json) {
        printf("%llu entries %s, %llu bytes; %llu were there, %llu damaged, unreadable or by another key\n", (unsigned long long)c->entries, verb, (unsigned long long)c->bytes,
               (unsigned long long)c->there, (unsigned long long)c->refused);
        return c->refused ? 1 : 0;
    }
    json_t *out = tool_json_new();
    tool_set(out, "dir", tool_text(jc_disk_dir(disk)));
    tool_set(out, "path", tool_text(path));
    tool_set(out, verb, json_integer((json_int_t)c->entries));
    tool_set(out, "bytes", json_integer((json_int_t)c->bytes));
    tool_set(out, "there", json_integer((json_int_t)c->there));
    tool_set(out, "refused", json_integer((json_int_t)c->refused));
    return tool_json(t, out, c->refused ? 1 : 0);
}

static jitc_status open_other(tool *t, const char *path, bool read_only, jc_disk **out, jc_error *err) {
    const char *warning = NULL;
    *out = jc_disk_open_keyed(t->arena, path, read_only, jc_cache_mac(t->ctx->cache), &warning);
    return *out ? JITC_OK : jc_fail(err, JITC_E_IO, "%s", warning);
}

int cache_export(tool *t, jc_disk *disk) {
    const char *path = t->o.files.at[1];
    jc_error err = JC_ERROR_INIT;
    jc_carried c;
    jc_disk *to;
    if (!is_directory(path)) {
        TOOL_TRY(t, &err, jc_carry_to_file(disk, path, &c, &err));
    } else {
        TOOL_TRY(t, &err, open_other(t, path, false, &to, &err));
        TOOL_TRY(t, &err, jc_carry_between(disk, to, &c, &err));
    }
    return say(t, disk, path, &c, "exported");
}

/* Whose code is it? */
static jitc_status trust(const tool *t, int fd, const char *path, jc_error *err) {
    struct stat st;
    char why[128];
    if (fstat(fd, &st) != 0)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "it cannot be examined: %s", strerror(errno));
    const char *distrust = t->o.trust_files ? NULL : jc_distrust(&st, false, why, sizeof why);
    return distrust ? jc_fail_at(err, JITC_E_TRUST, path, 0, 0, NULL, "entries of a cache are code, and it %s; --trust-files takes them all the same", distrust) : JITC_OK;
}

static jitc_status import_from(tool *t, jc_disk *disk, int fd, const char *path, jc_carried *c, jc_error *err) {
    jc_disk *from;
    JC_TRY(trust(t, fd, path, err));
    if (!is_directory(path))
        return jc_carry_from_file(disk, fd, path, c, err);
    JC_TRY(open_other(t, path, true, &from, err));
    return jc_carry_between(from, disk, c, err);
}

int cache_import(tool *t, jc_disk *disk) {
    const char *path = t->o.files.at[1];
    jc_error err = JC_ERROR_INIT;
    jc_carried c = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        jc_fail_at(&err, JITC_E_IO, path, 0, 0, NULL, "it cannot be opened: %s", strerror(errno));
    TOOL_TRY(t, &err, err.status);
    jitc_status status = import_from(t, disk, fd, path, &c, &err);
    close(fd);
    TOOL_TRY(t, &err, status);
    return say(t, disk, path, &c, "imported");
}
