/*
 * kernels/fragment.c - tiles in shared memory.
 */
#include "kernels/fragment.h"

LLVMValueRef jc_shared_chunk(jc_emit *e, LLVMValueRef row, LLVMValueRef chunk, unsigned chunks) {
    const unsigned even = chunks & (~chunks + 1); /* the power of two in it */
    if (even > 1) {
        const unsigned shift = even >= 8 ? 0 : even == 4 ? 1 : 2, mask = even >= 8 ? 7 : even - 1;
        LLVMValueRef bits = jc_i32_and(e, shift ? jc_i32_shr(e, row, shift) : row, mask);
        chunk = LLVMBuildXor(e->b, chunk, bits, "");
    }
    return jc_i32_add(e, jc_i32_mul(e, row, chunks * 16), jc_i32_mul(e, chunk, 16));
}

LLVMValueRef jc_shared_floats(jc_emit *e, LLVMValueRef at, unsigned w) {
    LLVMValueRef parts[2], order[8];
    const unsigned part = w < 4 ? w : 4;
    for (unsigned h = 0; h < w / part; h++)
        parts[h] = e->d->load(e, JC_SHARED, jc_vec_of(e->t.f32, part), jc_gep(e, e->t.f32, at, jc_i32(e, h * part)), part * 4);
    if (w == part)
        return parts[0];
    for (unsigned l = 0; l < w; l++)
        order[l] = jc_i32(e, l);
    return LLVMBuildShuffleVector(e->b, parts[0], parts[1], LLVMConstVector(order, w), "");
}
