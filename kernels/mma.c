/*
 * kernels/mma.c - MMA: matrix products on tensor cores (mma.sync.m16n8k16).
 *
 * A round of the loop waits for its stage, passes one barrier (after which the stage that was read last is
 * free), starts the copy that goes there, and multiplies; the first stages-1 rounds only copy, so that the body exists
 * once.
 */
#include "kernels/mma_tile.h"

enum { MAX_KK = 16 };

/* Where a lane finds its part of the fragments, in the first stage. */
typedef struct fragments {
    LLVMValueRef at_a[MAX_KK], at_b[MAX_KK], at_b_last[MAX_KK]; /* by step of k */
} fragments;

static void find_fragments(const jc_mma *g, fragments *f) {
    jc_emit *e = g->e;
    LLVMValueRef row_a = jc_i32_and(g->e, g->lane, 15), half_a = jc_i32_shr(g->e, g->lane, 4);
    LLVMValueRef low = jc_i32_and(g->e, g->lane, 7), half_b = jc_i32_and(g->e, jc_i32_shr(g->e, g->lane, 3), 1);
    LLVMValueRef row_b = jc_i32_add(g->e, low, jc_i32_mul(g->e, half_a, 8));
    LLVMValueRef base_a = jc_i32_mul(g->e, g->warp_m, g->mi * 16), base_b = jc_i32_mul(g->e, g->warp_n, g->ni * 8);
    for (unsigned kk = 0; kk < g->k->tile_k / 16u; kk++) {
        LLVMValueRef step = jc_i32(e, 2 * kk), chunk = jc_i32_add(e, half_b, step), tile_b = jc_shared_at(e, jc_i32(e, g->a_bytes));
        LLVMValueRef at_a = jc_shared_chunk(e, jc_i32_add(e, base_a, row_a), jc_i32_add(e, half_a, step), g->chunks);
        LLVMValueRef at_b = jc_shared_chunk(e, jc_i32_add(e, base_b, row_b), chunk, g->chunks);
        f->at_a[kk] = jc_shared_at(e, at_a);
        f->at_b[kk] = jc_gep(e, e->t.i8, tile_b, at_b);
        if (g->ni % 2) /* of the last pair only the first half exists: both halves read it */
            f->at_b_last[kk] = jc_gep(e, e->t.i8, tile_b, jc_shared_chunk(e, jc_i32_add(e, base_b, low), chunk, g->chunks));
    }
}

static void multiply(jc_mma *g, const fragments *f, LLVMValueRef stage) {
    jc_emit *e = g->e;
    unsigned row_bytes = g->chunks * 16;
    LLVMValueRef a[JC_MMA_FRAGMENTS][4], b[JC_MMA_FRAGMENTS + 1][2], r[4], c[4];
    for (unsigned kk = 0; kk < g->k->tile_k / 16u; kk++) {
        for (unsigned i = 0; i < g->mi; i++) {
            LLVMValueRef at = jc_gep(e, e->t.i8, f->at_a[kk], stage);
            at = jc_name(e, jc_gep(e, e->t.i8, at, jc_i32(e, i * 16 * row_bytes)), "a.at");
            e->d->ldmatrix_x4(e, at, false, a[i]);
            for (unsigned h = 0; h < 4; h++)
                jc_name(e, a[i][h], "a");
        }
        for (unsigned j = 0; j < g->ni; j += 2) {
            LLVMValueRef at = jc_gep(e, e->t.i8, j + 1 < g->ni ? f->at_b[kk] : f->at_b_last[kk], stage);
            at = jc_name(e, jc_gep(e, e->t.i8, at, jc_i32(e, j * 8 * row_bytes)), "b.at");
            e->d->ldmatrix_x4(e, at, false, r);
            for (unsigned h = 0; h < 4; h++)
                b[j + h / 2][h % 2] = jc_name(e, r[h], "b");
        }
        for (unsigned i = 0; i < g->mi; i++)
            for (unsigned j = 0; j < g->ni; j++) {
                for (unsigned h = 0; h < 4; h++)
                    c[h] = LLVMBuildLoad2(e->b, e->t.f32, g->acc[i][j][h], "");
                e->d->mma_16816(e, g->bf16, a[i], b[j], c);
                for (unsigned h = 0; h < 4; h++)
                    LLVMBuildStore(e->b, jc_name(e, c[h], "sum"), g->acc[i][j][h]);
            }
    }
}

/* A round writes the stage before the one it reads. */
static void main_loop(jc_mma *g, const fragments *f) {
    jc_emit *e = g->e;
    const jc_kernel *k = g->k;
    LLVMValueRef rounds = jc_mma_rounds(g), slot = jc_alloca(e, e->t.i32, 1, 0, "stage");
    unsigned ahead = k->stages - 1u;
    LLVMBuildStore(e->b, jc_i32(e, 0), slot);
    jc_for loop = jc_for_begin(e, jc_i32(e, -(int64_t)ahead), rounds, jc_i32(e, 1), "round");
    LLVMValueRef written = LLVMBuildLoad2(e->b, e->t.i32, slot, "stage.written"), read = jc_mma_next_stage(g, written);
    LLVMBuildStore(e->b, read, slot);
    if (ahead)
        e->d->cp_wait(e, ahead - 1);
    e->d->barrier(e);
    jc_mma_start_round(g, jc_i32_add(e, loop.i, jc_i32(e, ahead)), rounds, written);
    if (!ahead) {
        e->d->cp_wait(e, 0);
        e->d->barrier(e);
    }
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSGE, loop.i, jc_i32(e, 0), ""), "multiply");
    multiply(g, f, read);
    jc_if_end(e, &s);
    jc_for_end(e, &loop);
    e->d->cp_wait(e, 0);
    e->d->barrier(e);
}

void jc_kernel_mma(jc_emit *e) {
    fragments f;
    if (e->k->tile_k > 16 * MAX_KK) {
        jc_emit_fail(e, "An mma kernel takes %u of k at a time; %u are the most.", e->k->tile_k, 16 * MAX_KK);
        return;
    }
    jc_mma *g = jc_mma_open(e);
    if (!g)
        return;
    find_fragments(g, &f);
    main_loop(g, &f);
    jc_mma_outputs(g);
}
