/*
 * base/trust.c - see base/trust.h.
 */
#include "base/trust.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_ours(const struct stat *st) {
    return st->st_uid == 0 || st->st_uid == geteuid();
}

const char *jc_distrust(const struct stat *st, bool any_owner, char *out, size_t size) {
    if (!any_owner && !is_ours(st))
        snprintf(out, size, "belongs to user %u, not to this process (%u) or root", (unsigned)st->st_uid, (unsigned)geteuid());
    else if (st->st_mode & (S_IWGRP | S_IWOTH))
        snprintf(out, size, "may be written to by %s (chmod go-w)", st->st_mode & S_IWOTH ? "everybody" : "its group");
    else
        return NULL;
    return out;
}

bool jc_path_is_private(const char *path) {
    char folder[PATH_MAX];
    struct stat st;
    if (*path != '/' || strlen(path) >= sizeof folder)
        return false;
    strcpy(folder, path);
    for (char *slash; (slash = strrchr(folder, '/'));) {
        slash[slash == folder] = 0;
        if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode) || !is_ours(&st) ||
            ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX)))
            return false;
        if (slash == folder)
            return true;
    }
    return false;
}
