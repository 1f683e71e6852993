/*
 * jit/service/backend.c - finds and opens libjitc-llvm.so.
 *
 * JITC_LLVM_LIBRARY names it, or it is the one that was installed with us (jc_library_module): a module of another build would be
 * refused anyway.  It stays open for the life of the process, since LLVM cannot be unloaded safely.
 */
#include "jit/llvm/backend.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codegen_id.h"
#include "base/library.h"

#define MODULE "libjitc-llvm.so"

typedef struct search {
    const char *named;
    char path[PATH_MAX], why[512];
    bool wrong; /* there was a module, but of another build */
} search;

static const jc_backend *open_at(search *s) {
    void *handle = jc_library_open(s->path, s->why, sizeof s->why);
    if (!handle)
        return NULL;
    void *at = jc_library_symbol(handle, JC_BACKEND_ENTRY);
    jc_backend_entry entry;
    memcpy(&entry, &at, sizeof entry); /* a data pointer that is a function's */
    const jc_backend *b = at ? entry() : NULL;
    if (b && b->abi == JC_BACKEND_ABI && strcmp(b->codegen_id, JC_CODEGEN_ID) == 0)
        return b;
    s->wrong = b != NULL;
    snprintf(s->why, sizeof s->why, "%s", b ? "of another build" : "no module of libjitc");
    return NULL; /* stays open: its constructors have run */
}

static const jc_backend *find(search *s) {
    s->named = jc_library_env("JITC_LLVM_LIBRARY");
    bool there = s->named ? realpath(s->named, s->path) && access(s->path, R_OK) == 0
                          : jc_library_module(MODULE, JC_LLVM_MODULE_DIR, s->path, sizeof s->path);
    if (there)
        return open_at(s);
    if (s->named)
        snprintf(s->path, sizeof s->path, "%s", s->named);
    snprintf(s->why, sizeof s->why, "it cannot be read");
    return NULL;
}

jitc_status jc_backend_open(const jc_backend **out, jc_error *err) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const jc_backend *open; /* one for the process, as LLVM is */
    search s = { .named = NULL };
    pthread_mutex_lock(&lock);
    if (!open)
        open = find(&s);
    *out = open;
    pthread_mutex_unlock(&lock);
    if (*out)
        return JITC_OK;
    return jc_fail(err, s.wrong ? JITC_E_ABI : JITC_E_COMPILE,
                   "The code generator " MODULE " could not be opened, so nothing can be compiled (what is cached still runs). "
                   "Tried: %.600s%s (%.250s). Install it with libjitc, or name it by JITC_LLVM_LIBRARY.", s.path,
                   s.named ? ", named by JITC_LLVM_LIBRARY" : "", s.why);
}
