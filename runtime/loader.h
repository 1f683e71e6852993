/*
 * runtime/loader.h - relocatable ELF objects into memory, without LLVM and without the dynamic linker.
 *
 * Takes what the code generator lets through: x86-64 ELF64 ET_REL with allocated PROGBITS/NOBITS sections and the relocations
 * R_X86_64_64, PC32, PLT32, 32, 32S (in range only), GOTPCREL and GOTPCRELX.  External symbols come from a fixed
 * table (memcpy, memset, memmove, and the float functions that LLVM may call).  The bytes may be hostile: every
 * offset is checked; anything else is JITC_E_INPUT.  Pages are never writable and executable at once.
 */
#ifndef JC_LOADER_H
#define JC_LOADER_H

#include "base/arena.h"

typedef struct jc_loaded jc_loaded;
typedef struct jc_loader_symbol {
    const char *name;
    void *address;
} jc_loader_symbol;

/* EXTRA: N more external symbols (the simulator's calls), sorted or not. */
jitc_status jc_load_object(const uint8_t *bytes, size_t n, const jc_loader_symbol *extra, uint32_t nextra,
                           const jc_alloc *alloc, jc_loaded **out, jc_error *err);
void *jc_loaded_symbol(const jc_loaded *l, const char *name); /* NULL when absent */
void jc_loaded_free(jc_loaded *l);

#endif
