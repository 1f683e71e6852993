/*
 * jit/asm/assemble_priv.h - the three assemblers behind jit/asm/assemble.h.
 */
#ifndef JC_ASSEMBLE_PRIV_H
#define JC_ASSEMBLE_PRIV_H

#include <stdbool.h>
#include "base/bytes.h"
#include "base/library.h"
#include "jit/asm/assemble.h"

typedef struct jc_assembler_kind {
    const char *name;
    /* Its path, or NULL; notes in TRIED where it looked. */
    char *(*find)(jc_arena *arena, jc_bytes *tried);
    /* PTX (terminated) to cubin; LOG gets what it says, also when all went well. False: it failed. */
    bool (*assemble)(const char *path, const char *ptx, size_t n, const char *arch, jc_arena *arena,
                     const uint8_t **cubin, size_t *ncubin, jc_bytes *log);
} jc_assembler_kind;

extern const jc_assembler_kind jc_assembler_nvjitlink, jc_assembler_driver, jc_assembler_ptxas;

/* Opens the library at PATH and fills the table at API, one pointer for each of N NAMES, in their order. False with the reason
   in LOG; what was opened stays open. */
bool jc_assembler_open(const char *path, const char *const *names, size_t n, void *api, jc_bytes *log);

#endif
