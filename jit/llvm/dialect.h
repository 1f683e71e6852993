/*
 * jit/llvm/dialect.h - what a GPU, a CPU and the simulator do differently.
 *
 * Families are written once, against this table.  `nvptx` emits intrinsics and a few lines of assembler, `sim` calls of
 * runtime/sim.h, `host` describes the CPU as a GPU with one lane, one warp and one thread a block: there shuffles and
 * barriers do not exist, and kernels that would need them take another path (jc_on_host).
 */
#ifndef JC_DIALECT_H
#define JC_DIALECT_H

#include "jit/llvm/emit.h"

/*
 * Products of a warpgroup, m64nNk16 by STEPS, started as one group: rows of 128 bytes in shared memory, swizzled as jc_shared_chunk() has them,
 * both tiles aligned to 1024 bytes.  They run beside the threads: SUMS are defined, and the tiles read, only after a wait; when a group is
 * started, all but this one have ended.  SUMS: slots of N/2 f32, four for each 8 columns, where mma_16816 has them.
 */
typedef struct jc_wgmma {
    bool bf16;
    unsigned n, steps;
    LLVMValueRef a, b; /* in shared memory: 64 rows, and N */
    LLVMValueRef *sums;
} jc_wgmma;

typedef struct jc_dialect_ops {
    const char *name;
    unsigned global_space, shared_space; /* address spaces */
    bool native_bf16, native_f16;        /* LLVM's bfloat and half are used in memory and converted */
    /* Declares the function, fills e->fn, e->args and what belongs to them; the builder stands in the entry block. */
    void (*declare)(jc_emit *e);
    LLVMValueRef (*block)(jc_emit *e);   /* i32 */
    LLVMValueRef (*thread)(jc_emit *e);  /* i32 */
    void (*barrier)(jc_emit *e);
    void (*warp_sync)(jc_emit *e);
    LLVMValueRef (*shuffle_xor)(jc_emit *e, LLVMValueRef v32, unsigned mask); /* an i32 */
    LLVMValueRef (*shared)(jc_emit *e, uint32_t size); /* called once */
    /* ARG: which argument AT points into; JC_SHARED for shared memory. ALIGN in bytes. */
    LLVMValueRef (*load)(jc_emit *e, unsigned arg, LLVMTypeRef type, LLVMValueRef at, unsigned align);
    void (*store)(jc_emit *e, unsigned arg, LLVMValueRef v, LLVMValueRef at, unsigned align);
    /* 16 bytes to shared memory, of which VALID (i32: 16 or 0) are copied and the rest zeroed. */
    void (*cp_async)(jc_emit *e, LLVMValueRef shared, LLVMValueRef global, LLVMValueRef valid);
    void (*cp_commit)(jc_emit *e);
    void (*cp_wait)(jc_emit *e, unsigned pending);
    void (*ldmatrix_x4)(jc_emit *e, LLVMValueRef at, bool transposed, LLVMValueRef out[4]); /* i32 each */
    /* sm_90a: what this thread wrote to shared memory, its copies too, is there for wgmma of any thread after the next barrier. */
    void (*fence_async)(jc_emit *e);
    void (*wgmma)(jc_emit *e, const jc_wgmma *w);
    void (*wgmma_wait)(jc_emit *e, const jc_wgmma *w); /* for all that were started */
    void (*mma_16816)(jc_emit *e, bool bf16, LLVMValueRef const a[4], LLVMValueRef const b[2], LLVMValueRef c[4]);
    /* f32 approximations within a few ulp; NULL: the generic code */
    LLVMValueRef (*exp2)(jc_emit *e, LLVMValueRef x);
    LLVMValueRef (*exp2_normal)(jc_emit *e, LLVMValueRef x); /* 0 where the result is subnormal, or the argument */
    LLVMValueRef (*divide)(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
    LLVMValueRef (*reciprocal)(jc_emit *e, LLVMValueRef x);
    LLVMValueRef (*rsqrt)(jc_emit *e, LLVMValueRef x);
    LLVMValueRef (*sqrt)(jc_emit *e, LLVMValueRef x);
} jc_dialect_ops;

#define JC_SHARED 0xffffu

extern const jc_dialect_ops jc_dialect_host, jc_dialect_nvptx, jc_dialect_sim;

static inline bool jc_on_host(const jc_emit *e) {
    return !jc_target_is_simt(e->target);
}

/* A shuffle of any scalar: i32, i64, f32, f64. */
LLVMValueRef jc_shuffle_xor(jc_emit *e, LLVMValueRef v, unsigned mask);
/* FN for each lane of the arguments, NARGS of them. */
typedef LLVMValueRef (*jc_lane_fn)(jc_emit *e, LLVMValueRef *args);
LLVMValueRef jc_per_lane(jc_emit *e, jc_lane_fn fn, LLVMValueRef *args, unsigned nargs);

#endif
