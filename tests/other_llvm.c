/*
 * tests/other_llvm.c - a code generator over another LLVM than libjitc was built for, as far as its name goes: the module that
 * JITC_TEST_MODULE names, under another version.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "jit/llvm/backend.h"

__attribute__((visibility("default"))) const jc_backend *jitc_llvm_backend(void);

const jc_backend *jitc_llvm_backend(void) {
    static jc_backend table;
    const char *path = getenv("JITC_TEST_MODULE");
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL, *at = module ? dlsym(module, JC_BACKEND_ENTRY) : NULL;
    jc_backend_entry entry;
    if (!at)
        return NULL;
    memcpy(&entry, &at, sizeof entry);
    table = *entry();
    table.llvm_version = "99.9.9";
    return &table;
}
