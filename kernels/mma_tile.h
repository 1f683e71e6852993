/*
 * kernels/mma_tile.h - what the products on tensor cores share: tiles of both operands in a ring of stages, and the epilogue.
 *
 * Tiles of A (tile_m x tile_k) and B (tile_n x tile_k) travel by 16-byte asynchronous copies into a ring of `stages` buffers.  Rows past the
 * end and what tile_k leaves over of K are filled with zeros by the copy itself.
 *
 * The epilogue goes through shared memory, 16 rows of each warp at a time: fragments are put down and read back as runs
 * of a row, so that the tape exists once, in vectors, and global memory is accessed in full lines.
 */
#ifndef JC_MMA_TILE_H
#define JC_MMA_TILE_H

#include "kernels/fragment.h"
#include "kernels/product.h"

enum { JC_MMA_COPIES = 64, JC_MMA_FRAGMENTS = 32 };

/* One thread's part in copying one operand's tile: chunk `it*threads + tid`. */
typedef struct jc_mma_copies {
    unsigned n;
    LLVMValueRef from[JC_MMA_COPIES];  /* global address at k = 0 */
    LLVMValueRef to[JC_MMA_COPIES];    /* shared address in the first stage */
    LLVMValueRef valid[JC_MMA_COPIES]; /* the row exists; NULL: it does */
    LLVMValueRef column[JC_MMA_COPIES];/* first k of the chunk, i32 */
    LLVMValueRef inside;               /* of the last copy: the chunk exists; NULL: it does */
} jc_mma_copies;

typedef struct jc_mma {
    jc_emit *e;
    const jc_kernel *k;
    jc_product p;
    unsigned chunks;            /* of a row */
    unsigned stage_bytes, a_bytes;
    unsigned mi, ni;            /* fragments of a warp */
    bool bf16, k_whole;
    LLVMValueRef tid, lane, warp_m, warp_n;
    jc_mma_copies a, b;
    LLVMValueRef acc[JC_MMA_FRAGMENTS][JC_MMA_FRAGMENTS][4]; /* slots: of a warp's 16 x 8 fragments, what a lane has of each */
} jc_mma;

/* Finds the block's tile, the warp's part of it and the thread's copies, and sets the sums to zero.  NULL: it has failed. */
jc_mma *jc_mma_open(jc_emit *e);
/* How many rounds of tile_k there are; i32. */
LLVMValueRef jc_mma_rounds(jc_mma *g);
/* The stage behind STAGE in the ring; each is the byte of shared memory, i32, at which it starts.  Loops carry stages along: worked out of the round, by
   its remainder, their addresses cost LLVM and the assembler a third more time in each kernel. */
LLVMValueRef jc_mma_next_stage(jc_mma *g, LLVMValueRef stage);
/* The copies of round NEXT into STAGE, unless there is no such round; a group in any case. */
void jc_mma_start_round(jc_mma *g, LLVMValueRef next, LLVMValueRef rounds, LLVMValueRef stage);
/* The epilogue.  All reads of the stages are over. */
void jc_mma_outputs(jc_mma *g);

#endif
