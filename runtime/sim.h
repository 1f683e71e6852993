/*
 * runtime/sim.h - the simulator: runs the nvptx schedule of a kernel on the CPU, thread by thread.
 *
 * The code generator's `sim` dialect emits, instead of NVVM intrinsics, calls to the functions below (a table of
 * external symbols for the loader).  Each GPU thread is a coroutine with a small stack; barrier, shuffle, tensor-core
 * product and copy waits switch to the next thread, in a seeded random order.  All memory accesses are checked
 * against the tensors and shared buffers that the launch knows; shared memory starts poisoned (0xff bytes, and a
 * shadow of "initialised" bits); asynchronous copies land only when they are waited for, at a random
 * moment before, so that a missing wait or barrier shows.  Races, in shared and in global memory: a read of what another
 * thread has written since the last barrier (both waited at), or the reverse, is reported; blocks are in no order, so
 * what one of them writes no other may touch within a launch.
 *
 * A fault ends the launch with JITC_E_DEVICE and says kernel, block, thread, what, and how far out of bounds.
 */
#ifndef JC_SIM_H
#define JC_SIM_H

#include "base/arena.h"
#include <stdbool.h>
#include "runtime/loader.h"

typedef struct jc_sim_thread jc_sim_thread;

/* What generated code calls (C ABI; vectors are passed through memory). SELF is the thread the code was started with. */
#define JC_SIM_CALLS(X)                                                                            \
    X(jc_sim_tid, int32_t, (jc_sim_thread *))                                                      \
    X(jc_sim_block, int64_t, (jc_sim_thread *))                                                    \
    X(jc_sim_shared, uint8_t *, (jc_sim_thread *)) /* the block's shared memory */                 \
    X(jc_sim_barrier, void, (jc_sim_thread *))     /* all threads of the block */                  \
    X(jc_sim_warp_sync, void, (jc_sim_thread *))                                                   \
    X(jc_sim_shfl_xor, uint32_t, (jc_sim_thread *, uint32_t value, int32_t mask))                  \
    /* call before each access; ADDRESS of SIZE bytes in global or shared memory; returns the address to use: on a fault a \
       scratch address, and the launch ends when the thread next waits or ends */                  \
    X(jc_sim_load, const void *, (jc_sim_thread *, const void *address, uint32_t size, uint32_t align)) \
    X(jc_sim_store, void *, (jc_sim_thread *, void *address, uint32_t size, uint32_t align))       \
    /* cp.async of SIZE (16, 8 or 4) bytes to shared memory, of which the first VALID are copied and the rest zeroed */ \
    X(jc_sim_cp_async, void, (jc_sim_thread *, void *shared, const void *global, uint32_t size, uint32_t valid)) \
    X(jc_sim_cp_commit, void, (jc_sim_thread *))                                                   \
    X(jc_sim_cp_wait, void, (jc_sim_thread *, int32_t pending)) /* at most PENDING newest groups left */ \
    /* ldmatrix.x4(.trans): ADDRESS is this lane's row of 16 bytes in shared memory; OUT gets 4 registers */ \
    X(jc_sim_ldmatrix_x4, void, (jc_sim_thread *, const void *address, uint32_t *out, int32_t trans)) \
    /* mma.m16n8k16.row.col f32 += A*B; bf16 when BF16 else f16; a: 4 registers, b: 2, c: 4 floats in and out */ \
    /* fence.proxy.async: what this thread has written to shared memory, wgmma may read after a barrier */ \
    X(jc_sim_fence_async, void, (jc_sim_thread *))                                                 \
    /* a group of wgmma.m64nNk16.f32 along k, which runs until it is waited for: A and B are 64 and N rows of 128 bytes in shared memory, \
       chunk c of row r at c ^ r%8; SUMS: this lane's N/2.  HOW: N, | steps << 16, | 1 << 24: bf16, else f16 */ \
    X(jc_sim_wgmma, void, (jc_sim_thread *, const void *a, const void *b, float *const *sums, int32_t how)) \
    X(jc_sim_wgmma_wait, void, (jc_sim_thread *, int32_t pending)) /* at most PENDING newest groups left */ \
    X(jc_sim_mma_16816, void, (jc_sim_thread *, const uint32_t *a, const uint32_t *b, float *c, int32_t bf16))

#define JC_SIM_DECLARE(name, ret, params) ret name params;
JC_SIM_CALLS(JC_SIM_DECLARE)
#undef JC_SIM_DECLARE
extern const jc_loader_symbol jc_sim_symbols[];
extern const uint32_t jc_sim_nsymbols;

typedef void (*jc_sim_kernel)(void *const *args, jc_sim_thread *self);

typedef struct jc_sim_range {
    const void *at;
    size_t size;
    bool written; /* the kernel may store here */
} jc_sim_range;

typedef struct jc_sim_launch {
    const char *name;      /* for messages */
    jc_sim_kernel kernel;
    void *const *args;
    int64_t blocks;
    uint32_t threads, shared;
    uint64_t seed;
    const jc_sim_range *ranges; /* global memory that may be touched */
    uint32_t nranges;
} jc_sim_launch;

/* Runs all blocks, one after the other in a seeded order. */
jitc_status jc_sim_run(const jc_sim_launch *l, jc_error *err);

#endif
