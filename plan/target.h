/*
 * plan/target.h - what is compiled for, and every fact about it: who runs what, what a block has, what LLVM calls it.
 *
 * plan/target.c is the one file that knows an architecture's number or a CPU level's name; tests/targets.sh holds others to it.
 */
#ifndef JC_TARGET_H
#define JC_TARGET_H

#include "base/bytes.h"

typedef enum jc_dialect { JC_DIALECT_HOST, JC_DIALECT_NVPTX, JC_DIALECT_SIM } jc_dialect;

typedef struct jc_target {
    uint8_t dialect;
    uint16_t sm;        /* nvptx, sim: 80, 90, 100 ... */
    char suffix;        /* 'a', or 0 */
    char cpu[32];       /* host, sim: the level: "x86-64-v4", "x86-64-v3", ... of the psABI, or "x86-64-v4-bf16", "x86-64-v4-amx" */
    bool quick;         /* host, sim: code is made in the least time, not to run in it: tests set it in a device's target */
} jc_target;

/* "sm_90a", "host", "sim" (sim follows the sm_80 schedules), "sim:sm_90a"; an unknown one is JITC_E_USAGE and says which
   exist.  The cpu of host and sim is this machine's level, by our own cpuid.  Where it has AMX, Linux is asked once for this process's leave to use it,
   without which it traps. */
jitc_status jc_target_parse(const char *text, jc_target *out, jc_error *err);
void jc_target_text(const jc_target *t, char out[64]); /* "host (x86-64-v4)" */
void jc_target_encode(const jc_target *t, jc_bytes *out); /* into keys: exact */
jitc_status jc_target_decode(jc_reader *r, jc_target *out);

bool jc_target_same(const jc_target *a, const jc_target *b);
/* As jc_target_parse() takes it: "host", "sim:sm_90a", "sm_90a". */
void jc_target_name(const jc_target *t, char out[32]);
/* The same without what runs it: "sm_90a", "x86-64-v4": what LLVM (facts may know better) and the assembler call it. */
void jc_target_cpu(const jc_target *t, char out[32]);

/* Compiled to PTX, and assembled: for a GPU. */
bool jc_target_is_gpu(const jc_target *t);
/* Scheduled in warps and blocks: for a GPU or the simulator. */
bool jc_target_is_simt(const jc_target *t);

/* What is the same for all code of a target. Sizes are of one block. */
typedef struct jc_target_facts {
    const char *triple;    /* the data layout is LLVM's own for it, which differs between its versions */
    unsigned llvm;         /* the first LLVM that generates for it */
    unsigned ptx;          /* the PTX version to write, 81 for 8.1: the oldest that has what is emitted, so that older assemblers take
                              it; 0: none */
    unsigned warp;         /* lanes */
    unsigned threads;      /* at most */
    unsigned shared;       /* bytes at most, by opting in */
    unsigned registers;    /* of a thread at most; of a CPU: vectors */
    bool tensor_cores;     /* f16 and bf16 tiles by mma */
    bool warpgroups;       /* and by wgmma, out of shared memory: sm_90a alone */
    unsigned vector;       /* f32 lanes of a CPU's registers, or of the widest access of a GPU's thread */
    bool f16;              /* converts f16 in hardware */
    bool pairs;            /* CPU: an instruction that adds the products of two pairs of bf16 to each f32 of a vector */
    bool tiles;            /* CPU: and one that multiplies 16 rows of 32 bf16 by 16 columns (AMX) */
    const char *cpu, *features; /* CPU: how LLVM is told, where not by the level's name alone; else NULL */
} jc_target_facts;
const jc_target_facts *jc_target_facts_of(const jc_target *t);
/* Those of what the schedule is for: the same, but for the simulator, which runs on this CPU, those of the architecture that it follows. */
const jc_target_facts *jc_target_schedule_facts(const jc_target *t);

/*
 * Does code for CODE run on DEVICE, and how well: 0 not at all, more the nearer; the very target has the most.  IS_PTX: the code
 * is PTX, which the driver assembles for any later architecture; machine code runs on later ones of the same major number.
 */
unsigned jc_target_suits(const jc_target *code, const jc_target *device, bool is_ptx);
static inline bool jc_target_runs_on(const jc_target *code, const jc_target *device, bool is_ptx) {
    return jc_target_suits(code, device, is_ptx) > 0;
}

/* What a GPU of this compute capability is compiled for by default: with what its own architecture alone has. False where it is too old:
   OLDEST, which may be NULL, gets the name of the oldest that will do. */
bool jc_target_of_gpu(int major, int minor, jc_target *out, const char **oldest);

#endif
