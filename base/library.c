/*
 * base/library.c - see base/library.h.
 */
#define _GNU_SOURCE /* dladdr1, secure_getenv */
#include "base/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- names from outside --- */

const char *jc_library_env(const char *name) {
    const char *value = secure_getenv(name);
    return value && *value ? value : NULL;
}

char *jc_library_file(jc_arena *arena, const char *path) {
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real) || stat(real, &st) != 0 || !S_ISREG(st.st_mode) || access(real, R_OK) != 0)
        return NULL;
    return jc_arena_strdup(arena, real);
}

char *jc_library_in_list(jc_arena *arena, const char *list, const char *file) {
    while (list && *list) {
        size_t n = strcspn(list, ":");
        char *found = *list == '/' ? jc_library_file(arena, jc_arena_printf(arena, "%.*s/%s", (int)n, list, file)) : NULL;
        if (found)
            return found;
        list += n + (list[n] == ':');
    }
    return NULL;
}

/* --- what was installed with us --- */

/* Its folder ends in a slash. */
typedef struct holder {
    char folder[PATH_MAX];
    bool program;
    uid_t owner;
} holder;

/*
 * What holds this code.  The loader knows a library by the path it was opened by: a relative one means nothing any more where the
 * current directory has changed, so it does not count.  A program's name is what its caller says, so the kernel is asked.
 */
static bool find_holder(holder *h) {
    struct link_map *map = NULL;
    struct stat st;
    Dl_info info;
    if (!dladdr1((void *)(uintptr_t)&jc_library_env, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
        return false;
    h->program = !map->l_name || !*map->l_name;
    const char *path = h->program ? "/proc/self/exe" : map->l_name;
    if (*path != '/' || !realpath(path, h->folder) || stat(h->folder, &st) != 0)
        return false;
    h->owner = st.st_uid;
    strrchr(h->folder, '/')[1] = 0;
    return true;
}

static bool in_build_tree(const holder *h) {
    char build[PATH_MAX];
    size_t n = realpath(JC_BUILD_DIR, build) ? strlen(build) : 0;
    return n && strncmp(h->folder, build, n) == 0 && h->folder[n] == '/';
}

/* Can only those write to PATH who could as well write to what holds this code? */
static bool trusted(const holder *h, const char *path, mode_t kind) {
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind && !(st.st_mode & S_IWOTH) &&
           (st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == h->owner);
}

static bool beside(const holder *h, const char *file, char *into, size_t size) {
    char folder[PATH_MAX + 16];
    snprintf(folder, sizeof folder, "%s%s", h->folder, h->program ? "../lib/jitc" : "jitc");
    return snprintf(into, size, "%s/%s", folder, file) < (int)size && trusted(h, folder, S_IFDIR) &&
           trusted(h, into, S_IFREG);
}

bool jc_library_module(const char *file, const char *installed, char *into, size_t size) {
    holder h;
    /* With borrowed rights only the installed place counts: a hard link makes a program's folder anybody's. */
    if (getauxval(AT_SECURE) == 0 && find_holder(&h)) {
        if (in_build_tree(&h)) {
            snprintf(into, size, "%s/.libs/%s", JC_BUILD_DIR, file);
            return access(into, R_OK) == 0;
        }
        if (beside(&h, file, into, size) && access(into, R_OK) == 0)
            return true;
    }
    return snprintf(into, size, "%s/%s", installed, file) < (int)size && access(into, R_OK) == 0;
}

/* --- opening --- */

void *jc_library_open(const char *path, char *why, size_t size) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *text = dlerror();
        snprintf(why, size, "%s", text ? text : "no reason given");
    }
    return handle;
}

void jc_library_close(void *handle) {
    if (handle)
        dlclose(handle);
}

void *jc_library_symbol(void *handle, const char *name) {
    return dlsym(handle, name);
}

const char *jc_library_symbols(void *handle, const char *const *names, size_t n, void *api) {
    for (size_t i = 0; i < n; i++) {
        void *at = dlsym(handle, names[i]);
        if (!at)
            return names[i];
        memcpy((char *)api + i * sizeof at, &at, sizeof at); /* a data pointer that is a function's */
    }
    return NULL;
}
