/*
 * jit/asm/assemble.h - PTX to cubin: nvJitLink if present, else the driver's linker, else the `ptxas` program.
 */
#ifndef JC_ASSEMBLE_H
#define JC_ASSEMBLE_H

#include "base/arena.h"
#include "base/hash.h"
#include "plan/target.h"

/* The assembler that will be used, as "nvjitlink 13.0 (/usr/.../libnvJitLink.so.13)" and as identity for keys. */
typedef struct jc_assembler {
    const char *text;
    jc_hash id;
} jc_assembler;

/* Finds it without loading more than needed. JITC_E_DEVICE when there is none; the list of what was tried is in the message. */
jitc_status jc_assembler_find(jc_arena *arena, jc_assembler *out, jc_error *err);

/* Assembles one PTX text. JITC_E_COMPILE with the assembler's own words; a spill or serialisation warning that means wrong or
   slow code (C75xx, but for calls beside wgmma) is such an error. Thread-safe. */
jitc_status jc_assemble(const char *ptx, size_t n, const jc_target *target, jc_arena *arena,
                        const uint8_t **cubin, size_t *ncubin, jc_error *err);

#endif
