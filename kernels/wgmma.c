/*
 * kernels/wgmma.c - WGMMA: matrix products on the tensor cores of a warpgroup (sm_90a), which read both operands in shared memory.
 *
 * A round waits for its stage, makes it visible to the tensor cores, passes one barrier, starts the copy that goes into the stage that was
 * read last but one, and starts its products: those of the round before may still run, so the tensor cores never wait for the threads.
 * The sums lie where mma.sync has them: each warp has 16 rows.
 */
#include "kernels/mma_tile.h"

enum { STEP = 16, SLOTS = 128 };

static LLVMValueRef tile_at(jc_mma *g, LLVMValueRef stage, LLVMValueRef byte) {
    return jc_shared_at(g->e, jc_i32_add(g->e, stage, byte));
}

static void start_products(jc_mma *g, jc_wgmma *w, LLVMValueRef stage) {
    jc_emit *e = g->e;
    const unsigned rows_bytes = 64u * g->k->tile_k * 2u;
    LLVMValueRef group = jc_i32_shr(e, g->tid, 7);
    w->a = jc_name(e, tile_at(g, stage, jc_i32_mul(e, group, rows_bytes)), "a.at");
    w->b = jc_name(e, tile_at(g, stage, jc_i32(e, g->a_bytes)), "b.at");
    e->d->wgmma(e, w);
}

/* The stage in SLOT, which goes on to the next. */
static LLVMValueRef take_stage(jc_mma *g, LLVMValueRef slot) {
    LLVMValueRef stage = LLVMBuildLoad2(g->e->b, g->e->t.i32, slot, "stage");
    LLVMBuildStore(g->e->b, jc_mma_next_stage(g, stage), slot);
    return stage;
}

static LLVMValueRef first_stage(jc_emit *e, const char *name) {
    LLVMValueRef slot = jc_alloca(e, e->t.i32, 1, 0, name);
    LLVMBuildStore(e->b, jc_i32(e, 0), slot);
    return slot;
}

static void main_loop(jc_mma *g, jc_wgmma *w) {
    jc_emit *e = g->e;
    const unsigned ahead = g->k->stages - 2u;
    LLVMValueRef rounds = jc_mma_rounds(g), written = first_stage(e, "written"), read = first_stage(e, "read");
    jc_for first = jc_for_begin(e, jc_i32(e, 0), jc_i32(e, ahead), jc_i32(e, 1), "ahead");
    jc_mma_start_round(g, first.i, rounds, take_stage(g, written));
    jc_for_end(e, &first);
    jc_for loop = jc_for_begin(e, jc_i32(e, 0), rounds, jc_i32(e, 1), "round");
    e->d->cp_wait(e, ahead - 1);
    e->d->fence_async(e);
    e->d->barrier(e);
    jc_mma_start_round(g, jc_i32_add(e, loop.i, jc_i32(e, ahead)), rounds, take_stage(g, written));
    start_products(g, w, take_stage(g, read));
    jc_for_end(e, &loop);
    e->d->cp_wait(e, 0);
    e->d->wgmma_wait(e, w);
    e->d->barrier(e);
}

void jc_kernel_wgmma(jc_emit *e) {
    LLVMValueRef slots[SLOTS];
    if (!jc_target_schedule_facts(e->target)->warpgroups) {
        jc_emit_fail(e, "The GPU that a wgmma kernel is for has no tensor cores that warpgroups share.");
        return;
    }
    jc_mma *g = jc_mma_open(e);
    if (!g)
        return;
    for (unsigned i = 0; i < g->ni * 4; i++)
        slots[i] = g->acc[0][i / 4][i % 4];
    jc_wgmma w = { .bf16 = g->bf16, .n = g->k->tile_n, .steps = g->k->tile_k / STEP, .sums = slots };
    main_loop(g, &w);
    jc_mma_outputs(g);
}
