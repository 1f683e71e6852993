/*
 * jit/service/backend.c - finds and opens libjitc-llvm.so.
 *
 * The module lies beside whatever holds this code (libjitc.so or a program) or where it was installed, and never on
 * the general library path: a different build's module would be refused, so looking for it is no use.  It stays open
 * for the life of the process, since LLVM cannot be unloaded safely.
 */
#define _GNU_SOURCE /* dladdr */
#include "jit/llvm/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codegen_id.h"

#define MODULE "libjitc-llvm.so"

/* Seen from the folder of the library or program: installed beside or below it, or in a build tree. */
static const char *const places[] = { "", ".libs/", "jitc/", "../lib/jitc/", "../lib/", "../.libs/", "../../.libs/" };

typedef struct search {
    char tried[640]; /* for the message */
    size_t n;
    bool wrong;      /* a module was there, but of another build */
} search;

static void note(search *s, const char *path, const char *why) {
    int n = snprintf(s->tried + s->n, sizeof s->tried - s->n, "%s%s (%s)", s->n ? "; " : "", path, why);
    s->n = n < 0 ? s->n : s->n + (size_t)n < sizeof s->tried ? s->n + (size_t)n : sizeof s->tried - 1;
}

static const jc_backend *open_one(search *s, const char *path) {
    if (access(path, R_OK) != 0)
        return NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        note(s, path, dlerror());
        return NULL;
    }
    void *at = dlsym(handle, JC_BACKEND_ENTRY);
    jc_backend_entry entry;
    memcpy(&entry, &at, sizeof entry); /* a data pointer that is a function's */
    const jc_backend *b = at ? entry() : NULL;
    if (b && b->abi == JC_BACKEND_ABI && strcmp(b->codegen_id, JC_CODEGEN_ID) == 0)
        return b;
    note(s, path, b ? "of another build" : "no module of libjitc");
    s->wrong |= b != NULL;
    return NULL; /* stays open: its constructors have run */
}

/* In the places around FILE, a path that need not be resolved. */
static const jc_backend *open_near(search *s, const char *file) {
    char real[4096], path[4200];
    if (!file || !realpath(file, real))
        return NULL;
    char *slash = strrchr(real, '/');
    if (!slash)
        return NULL;
    slash[1] = 0;
    const jc_backend *b = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places && !b; i++) {
        snprintf(path, sizeof path, "%s%s" MODULE, real, places[i]);
        b = open_one(s, path);
    }
    if (!b && !s->wrong)
        note(s, real, "and the library folders around it: not there");
    return b;
}

static const jc_backend *find(search *s) {
    const char *named = getenv("JITC_LLVM_LIBRARY");
    if (named && *named) {
        if (access(named, R_OK) != 0)
            note(s, named, "named by JITC_LLVM_LIBRARY, cannot be read");
        return open_one(s, named);
    }
    Dl_info self;
    const jc_backend *b = NULL;
    if (dladdr((void *)&places, &self))
        b = open_near(s, self.dli_fname);
    if (!b)
        b = open_near(s, "/proc/self/exe");
    if (b)
        return b;
    if (access(JC_LLVM_MODULE_DIR "/" MODULE, R_OK) != 0)
        note(s, JC_LLVM_MODULE_DIR, "not there");
    return open_one(s, JC_LLVM_MODULE_DIR "/" MODULE);
}

jitc_status jc_backend_open(const jc_backend **out, jc_error *err) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const jc_backend *open; /* one for the process, as LLVM is */
    search s = { .n = 0 };
    pthread_mutex_lock(&lock);
    if (!open)
        open = find(&s);
    *out = open;
    pthread_mutex_unlock(&lock);
    if (*out)
        return JITC_OK;
    return jc_fail(err, s.wrong ? JITC_E_ABI : JITC_E_COMPILE,
                   "The code generator " MODULE " could not be opened, so nothing can be compiled (what is cached still runs). "
                   "Tried: %s. Install it beside libjitc, or name it by JITC_LLVM_LIBRARY.", s.tried);
}
