/*
 * plan/target.h - what is compiled for.
 */
#ifndef JC_TARGET_H
#define JC_TARGET_H

#include "base/bytes.h"

typedef enum jc_dialect { JC_DIALECT_HOST, JC_DIALECT_NVPTX, JC_DIALECT_SIM } jc_dialect;

typedef struct jc_target {
    uint8_t dialect;
    uint16_t sm;        /* nvptx, sim: 80, 90, 100 ... */
    char suffix;        /* 'a', or 0 */
    char cpu[32];       /* host, sim: the psABI level: "x86-64-v4", "x86-64-v3", ...: LLVM's -mcpu */
} jc_target;

/* "sm_90a", "host", "sim" (sim follows the sm_80 schedules), "sim:sm_90a"; an unknown one is JITC_E_USAGE and says which
   exist.  The cpu of host and sim is this machine's level, by our own cpuid. */
jitc_status jc_target_parse(const char *text, jc_target *out, jc_error *err);
void jc_target_text(const jc_target *t, char out[64]); /* "host (x86-64-v4)" */
void jc_target_encode(const jc_target *t, jc_bytes *out); /* into keys: exact */
jitc_status jc_target_decode(jc_reader *r, jc_target *out);

#endif
