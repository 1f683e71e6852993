/*
 * jit/llvm/backend.h - the door to libjitc-llvm, opened on the first miss.
 *
 * The back end library exports one symbol, jitc_llvm_backend(), which returns this table.  Everything crosses as bytes.
 */
#ifndef JC_BACKEND_H
#define JC_BACKEND_H

#include "base/arena.h"
#include "plan/target.h"

#define JC_BACKEND_ABI 1

typedef struct jc_backend {
    unsigned abi;             /* JC_BACKEND_ABI */
    const char *codegen_id;   /* JC_CODEGEN_ID of the build; must equal libjitc's */
    const char *llvm_version; /* "22.1.8": of the LLVM that runs */
    /*
     * Code of one kernel.  KERNEL: the bytes of jc_kernel_encode(); NAME: the symbol to define.  For host and sim: a relocatable
     * ELF object; for nvptx: PTX text, terminated.  The result lives in ARENA.  IR, if not NULL, gets the LLVM IR as text (for
     * dumps).  Thread-safe.
     */
    jitc_status (*compile)(const uint8_t *kernel, size_t nkernel, const char *name, const jc_target *target,
                           jc_arena *arena, const uint8_t **code, size_t *ncode, char **ir, jc_error *err);
} jc_backend;

typedef const jc_backend *(*jc_backend_entry)(void);
#define JC_BACKEND_ENTRY "jitc_llvm_backend"

/* Opens libjitc-llvm.so: JITC_LLVM_LIBRARY, or the one that was installed with us (base/library.h). What was tried is in the
   message. Thread-safe; stays open. */
jitc_status jc_backend_open(const jc_backend **out, jc_error *err);

#endif
