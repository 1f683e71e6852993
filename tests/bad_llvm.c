/*
 * tests/bad_llvm.c - a code generator that does what no code generator should, as $JITC_TEST_FAULT says; else what the one at $JITC_TEST_MODULE does.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codegen_id.h"
#include "jit/llvm/backend.h"

__attribute__((visibility("default"))) const jc_backend *jitc_llvm_backend(void);

static const jc_backend *real;

static void *volatile kept;

static void hunger(void) {
    for (;;) {
        char *block = malloc(1 << 20);
        if (!block) {
            fprintf(stderr, "LLVM ERROR: out of memory\n");
            abort();
        }
        memset(block, 1, 1 << 20);
        kept = block;
    }
}

static jitc_status compile(const uint8_t *kernel, size_t nkernel, const char *name, const jc_target *target, jc_arena *arena,
                           const uint8_t **code, size_t *ncode, char **ir, jc_error *err) {
    const char *fault = getenv("JITC_TEST_FAULT");
    fault = fault ? fault : "";
    if (strcmp(fault, "abort") == 0) {
        fprintf(stderr, "LLVM ERROR: Cannot select: t42\n");
        abort();
    }
    if (strcmp(fault, "segv") == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would answer for it */
        raise(SIGSEGV);
    }
    if (strcmp(fault, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(fault, "exit") == 0)
        _exit(0);
    if (strcmp(fault, "loop") == 0)
        for (;;)
            pause();
    if (strcmp(fault, "silence") == 0) {
        for (int fd = 0; fd < 256; fd++)
            close(fd);
        for (;;)
            pause();
    }
    if (strcmp(fault, "hunger") == 0)
        hunger();
    if (strcmp(fault, "chatter") == 0) /* none of it is the answer */
        for (int i = 0; i < 20000; i++)
            printf("JCANS 1\n") > 0 ? (void)fprintf(stderr, "line %d\n", i) : (void)0;
    fflush(stdout);
    return real->compile(kernel, nkernel, name, target, arena, code, ncode, ir, err);
}

const jc_backend *jitc_llvm_backend(void) {
    static jc_backend table;
    const char *path = getenv("JITC_TEST_MODULE"), *fault = getenv("JITC_TEST_FAULT");
    if (fault && strcmp(fault, "open") == 0)
        abort();
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL, *at = module ? dlsym(module, JC_BACKEND_ENTRY) : NULL;
    jc_backend_entry entry;
    if (!at)
        return NULL;
    memcpy(&entry, &at, sizeof entry);
    real = entry();
    table = *real;
    table.compile = compile;
    if (fault && strcmp(fault, "other") == 0)
        table.llvm_version = "99.9.9";
    return &table;
}
