/*
 * jit/llvm/dialect.c - what dialects share: shuffles of any type, and operations lane by lane.
 */
#include "jit/llvm/dialect.h"

LLVMValueRef jc_shuffle_xor(jc_emit *e, LLVMValueRef v, unsigned mask) {
    LLVMTypeRef type = LLVMTypeOf(v);
    if (type == e->t.i32)
        return e->d->shuffle_xor(e, v, mask);
    if (type == e->t.f32)
        return LLVMBuildBitCast(e->b, e->d->shuffle_xor(e, LLVMBuildBitCast(e->b, v, e->t.i32, ""), mask), type, "");
    LLVMTypeRef pair = LLVMVectorType(e->t.i32, 2);
    LLVMValueRef halves = LLVMBuildBitCast(e->b, v, pair, ""), out = jc_undef(pair);
    for (unsigned i = 0; i < 2; i++)
        out = jc_set_lane(e, out, i, e->d->shuffle_xor(e, jc_lane(e, halves, i), mask));
    return LLVMBuildBitCast(e->b, out, type, "");
}

LLVMValueRef jc_per_lane(jc_emit *e, jc_lane_fn fn, LLVMValueRef *args, unsigned nargs) {
    unsigned w = jc_width_of(LLVMTypeOf(args[0]));
    LLVMValueRef one[4], out = NULL;
    if (w == 1)
        return fn(e, args);
    for (unsigned l = 0; l < w; l++) {
        for (unsigned i = 0; i < nargs; i++)
            one[i] = jc_lane(e, args[i], l);
        LLVMValueRef v = fn(e, one);
        out = jc_set_lane(e, out ? out : jc_undef(jc_vec_of(LLVMTypeOf(v), w)), l, v);
    }
    return out;
}
