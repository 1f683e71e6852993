/*
 * kernels/fragment.h - what families on tensor cores share: tiles of 16-bit elements in shared memory, and sums that went by way of it.
 *
 * The 16-byte chunks of a row are swizzled, chunk XOR row bits, so that the eight rows which ldmatrix reads at once lie in different
 * banks, for rows of any even number of chunks.
 */
#ifndef JC_FRAGMENT_H
#define JC_FRAGMENT_H

#include "kernels/family.h"

enum { JC_SHARED_PERIOD = 8 /* rows after which the swizzle repeats */ };

static inline LLVMValueRef jc_i32_add(jc_emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWAdd(e->b, a, b, ""); }
static inline LLVMValueRef jc_i32_mul(jc_emit *e, LLVMValueRef a, unsigned b) { return LLVMBuildNSWMul(e->b, a, jc_i32(e, b), ""); }
static inline LLVMValueRef jc_i32_and(jc_emit *e, LLVMValueRef a, unsigned b) { return LLVMBuildAnd(e->b, a, jc_i32(e, b), ""); }
static inline LLVMValueRef jc_i32_shr(jc_emit *e, LLVMValueRef a, unsigned b) { return LLVMBuildLShr(e->b, a, jc_i32(e, b), ""); }

static inline LLVMValueRef jc_shared_at(jc_emit *e, LLVMValueRef byte) { return jc_gep(e, e->t.i8, e->shared_at, byte); }
/* Byte of CHUNK of ROW in a tile whose rows have CHUNKS chunks. */
LLVMValueRef jc_shared_chunk(jc_emit *e, LLVMValueRef row, LLVMValueRef chunk, unsigned chunks);
/* W f32 (1, 2, 4 or 8) from AT in shared memory on. */
LLVMValueRef jc_shared_floats(jc_emit *e, LLVMValueRef at, unsigned w);

#endif
