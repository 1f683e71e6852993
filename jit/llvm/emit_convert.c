/*
 * jit/llvm/emit_convert.c - dtypes in memory and what they are computed in.
 *
 * Where the target converts f16 and bf16 itself (dialect.h) LLVM's types are used; elsewhere, and for fp8 always, the
 * bits are moved: small floats have their exponent in the right place after a shift and become normal by a
 * multiplication with a power of two, which is exact and takes care of subnormals; f32 is rounded to nearest even by
 * adding half of the last place (normal results) or a magic number (subnormal ones).  As in PyTorch, f8e4m3fn, which has
 * no infinity, overflows to NaN, the others to infinity.
 */
#include "jit/llvm/emit.h"

#include "jit/llvm/dialect.h"

/* ---- types ---------------------------------------------------------------------------------------------------- */

LLVMTypeRef jc_ct_type(jc_emit *e, uint8_t ct) {
    switch (ct) {
    case JC_CT_F32:
        return e->t.f32;
    case JC_CT_F64:
        return e->t.f64;
    case JC_CT_I64:
        return e->t.i64;
    default:
        return e->t.i1;
    }
}

LLVMTypeRef jc_memory_type(jc_emit *e, jc_dtype dtype) {
    switch (dtype) {
    case JC_F16:
        return e->d->native_f16 && !e->soft_f16 ? e->t.f16 : e->t.i16;
    case JC_BF16:
        return e->d->native_bf16 ? e->t.bf16 : e->t.i16;
    case JC_F32:
        return e->t.f32;
    case JC_F64:
        return e->t.f64;
    default:
        return LLVMIntTypeInContext(e->c, jc_dtypes[dtype].size * 8u);
    }
}

static LLVMTypeRef like(LLVMTypeRef scalar, LLVMValueRef v) {
    return jc_vec_of(scalar, jc_width_of(LLVMTypeOf(v)));
}

/* ---- small floats by bits ------------------------------------------------------------------------------------- */

typedef struct small_float {
    unsigned bits, mantissa, bias;
    unsigned infinity;    /* the first magnitude that is not finite */
    unsigned nan;         /* what NaN becomes */
    bool has_infinity;
} small_float;

static const small_float small_f16 = { 16, 10, 15, 0x7c00, 0x7e00, true };
static const small_float small_e5m2 = { 8, 2, 15, 0x7c, 0x7f, true };
static const small_float small_e4m3 = { 8, 3, 7, 0x7f, 0x7f, false };

static const small_float *small_of(jc_dtype dtype) {
    return dtype == JC_F16 ? &small_f16 : dtype == JC_F8E5M2 ? &small_e5m2 : &small_e4m3;
}

static LLVMValueRef from_small(jc_emit *e, const small_float *s, LLVMValueRef v) {
    LLVMTypeRef i32 = like(e->t.i32, v), f32 = like(e->t.f32, v);
    LLVMValueRef x = LLVMBuildZExt(e->b, v, i32, "");
    LLVMValueRef sign = LLVMBuildShl(e->b, LLVMBuildAnd(e->b, x, jc_int_of(i32, 1 << (s->bits - 1)), ""),
                                     jc_int_of(i32, 32 - (int)s->bits), "");
    LLVMValueRef mag = LLVMBuildAnd(e->b, x, jc_int_of(i32, (1 << (s->bits - 1)) - 1), "");
    LLVMValueRef raw = LLVMBuildShl(e->b, mag, jc_int_of(i32, 23 - (int)s->mantissa), "");
    LLVMValueRef scaled = LLVMBuildFMul(e->b, LLVMBuildBitCast(e->b, raw, f32, ""),
                                        jc_real_of(f32, __builtin_ldexp(1, 127 - (int)s->bias)), "");
    /* not finite: exponent all ones, and the mantissa as it is, except that e4m3's NaN has a mantissa of ones */
    LLVMValueRef special = LLVMBuildOr(e->b, raw, jc_int_of(i32, 0x7f800000), "");
    LLVMValueRef bits = jc_select(e, LLVMBuildICmp(e->b, LLVMIntUGE, mag, jc_int_of(i32, s->infinity), ""), special,
                                  LLVMBuildBitCast(e->b, scaled, i32, ""));
    return LLVMBuildBitCast(e->b, LLVMBuildOr(e->b, bits, sign, ""), f32, "");
}

static LLVMValueRef to_small(jc_emit *e, const small_float *s, LLVMValueRef v) {
    LLVMTypeRef i32 = like(e->t.i32, v), f32 = like(e->t.f32, v);
    int shift = 23 - (int)s->mantissa;
    LLVMValueRef x = LLVMBuildBitCast(e->b, v, i32, "");
    LLVMValueRef sign = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, x, jc_int_of(i32, 32 - (int)s->bits), ""),
                                     jc_int_of(i32, 1 << (s->bits - 1)), "");
    LLVMValueRef mag = LLVMBuildAnd(e->b, x, jc_int_of(i32, 0x7fffffff), "");
    /* normal: half a last place less one, plus the bit that decides ties; then the exponent is moved */
    LLVMValueRef tie = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, mag, jc_int_of(i32, shift), ""), jc_int_of(i32, 1), "");
    LLVMValueRef up = LLVMBuildAdd(e->b, mag, jc_int_of(i32, (1 << (shift - 1)) - 1), "");
    LLVMValueRef normal = LLVMBuildSub(
        e->b, LLVMBuildLShr(e->b, LLVMBuildAdd(e->b, up, tie, ""), jc_int_of(i32, shift), ""),
        jc_int_of(i32, (int64_t)(127 - s->bias) << s->mantissa), "");
    /* subnormal: the magic number's last place is the smallest subnormal */
    double magic = __builtin_ldexp(1, 24 - (int)s->bias - (int)s->mantissa);
    LLVMValueRef sum = LLVMBuildFAdd(e->b, LLVMBuildBitCast(e->b, mag, f32, ""), jc_real_of(f32, magic), "");
    float magic_f = (float)magic;
    int32_t magic_bits;
    __builtin_memcpy(&magic_bits, &magic_f, sizeof magic_bits);
    LLVMValueRef tiny = LLVMBuildSub(e->b, LLVMBuildBitCast(e->b, sum, i32, ""), jc_int_of(i32, magic_bits), "");
    LLVMValueRef is_tiny = LLVMBuildICmp(e->b, LLVMIntULT, mag, jc_int_of(i32, (int64_t)(128 - s->bias) << 23), "");
    LLVMValueRef r = jc_select(e, is_tiny, tiny, normal);
    LLVMValueRef huge = LLVMBuildICmp(e->b, LLVMIntSGE, r, jc_int_of(i32, s->infinity), "");
    r = jc_select(e, huge, jc_int_of(i32, s->infinity), r);
    LLVMValueRef is_nan = LLVMBuildICmp(e->b, LLVMIntUGT, mag, jc_int_of(i32, 0x7f800000), "");
    r = jc_select(e, is_nan, jc_int_of(i32, s->nan), r);
    return LLVMBuildTrunc(e->b, LLVMBuildOr(e->b, r, sign, ""), like(s->bits == 8 ? e->t.i8 : e->t.i16, v), "");
}

/* f32 bits rounded to 16, in the upper half; the lower half is anything when not CLEAN. */
static LLVMValueRef bf16_bits(jc_emit *e, LLVMValueRef v, bool clean) {
    LLVMTypeRef i32 = like(e->t.i32, v);
    LLVMValueRef x = LLVMBuildBitCast(e->b, v, i32, "");
    LLVMValueRef tie = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, x, jc_int_of(i32, 16), ""), jc_int_of(i32, 1), "");
    LLVMValueRef r = LLVMBuildAdd(e->b, x, LLVMBuildAdd(e->b, tie, jc_int_of(i32, 0x7fff), ""), "");
    LLVMValueRef nan = LLVMBuildOr(e->b, x, jc_int_of(i32, 0x400000), "");
    r = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealUNO, v, v, ""), nan, r);
    return clean ? LLVMBuildAnd(e->b, r, jc_int_of(i32, -65536), "") : r;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

LLVMValueRef jc_from_memory(jc_emit *e, jc_dtype dtype, LLVMValueRef v) {
    LLVMTypeRef have = jc_scalar_of(LLVMTypeOf(v)), f32 = like(e->t.f32, v);
    switch (dtype) {
    case JC_F32:
    case JC_F64:
        return v;
    case JC_BF16:
        if (have == e->t.i16)
            return LLVMBuildBitCast(e->b,
                                    LLVMBuildShl(e->b, LLVMBuildZExt(e->b, v, like(e->t.i32, v), ""),
                                                 jc_int_of(like(e->t.i32, v), 16), ""),
                                    f32, "");
        return LLVMBuildFPExt(e->b, v, f32, "");
    case JC_F16:
        return have == e->t.i16 ? from_small(e, &small_f16, v) : LLVMBuildFPExt(e->b, v, f32, "");
    case JC_F8E4M3FN:
    case JC_F8E5M2:
        return from_small(e, small_of(dtype), v);
    case JC_B8:
        return LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    default:
        return LLVMBuildIntCast2(e->b, v, like(e->t.i64, v), jc_dtypes[dtype].cls == 'i', "");
    }
}

LLVMValueRef jc_to_memory(jc_emit *e, jc_dtype dtype, LLVMValueRef v) {
    LLVMTypeRef want = like(jc_memory_type(e, dtype), v);
    switch (dtype) {
    case JC_F32:
    case JC_F64:
        return v;
    case JC_BF16:
        if (e->flush_bf16)
            return LLVMBuildBitCast(e->b, LLVMBuildFPTrunc(e->b, v, like(e->t.bf16, v), ""), want, "");
        if (jc_scalar_of(want) == e->t.i16)
            return LLVMBuildTrunc(e->b,
                                  LLVMBuildLShr(e->b, bf16_bits(e, v, false), jc_int_of(like(e->t.i32, v), 16), ""),
                                  want, "");
        return LLVMBuildFPTrunc(e->b, v, want, "");
    case JC_F16:
        return jc_scalar_of(want) == e->t.i16 ? to_small(e, &small_f16, v) : LLVMBuildFPTrunc(e->b, v, want, "");
    case JC_F8E4M3FN:
    case JC_F8E5M2:
        return to_small(e, small_of(dtype), v);
    case JC_B8:
        return LLVMBuildZExt(e->b, v, want, "");
    default:
        return LLVMBuildIntCast2(e->b, v, want, true, "");
    }
}

/* ---- ROUND and CONVERT ---------------------------------------------------------------------------------------- */

LLVMValueRef jc_emit_round(jc_emit *e, jc_dtype dtype, LLVMValueRef v) {
    LLVMTypeRef type = LLVMTypeOf(v), scalar = jc_scalar_of(type);
    char cls = (char)jc_dtypes[dtype].cls;
    if (cls == 'i' || cls == 'u')
        return LLVMBuildIntCast2(e->b, LLVMBuildIntCast2(e->b, v, like(jc_memory_type(e, dtype), v), true, ""), type,
                                 cls == 'i', "");
    if (dtype == JC_F64 || (dtype == JC_F32 && scalar == e->t.f32))
        return v;
    if (scalar == e->t.f64) { /* by way of f32, as PyTorch's own conversion goes */
        v = jc_emit_round(e, dtype, LLVMBuildFPTrunc(e->b, v, like(e->t.f32, v), ""));
        return LLVMBuildFPExt(e->b, v, type, "");
    }
    if (dtype == JC_BF16 && !e->d->native_bf16)
        return LLVMBuildBitCast(e->b, bf16_bits(e, v, true), type, "");
    return jc_from_memory(e, dtype, jc_to_memory(e, dtype, v));
}

/* What does not fit is what PyTorch makes of it there: CUDA's instruction has the nearest; x86's the least integer, which LLVM has no word
   for.  NaN is the least on both, but on CUDA 0 where neither side has 64 bits (PTX ISA, cvt). */
LLVMValueRef jc_emit_whole(jc_emit *e, LLVMValueRef v, unsigned bits) {
    LLVMTypeRef type = LLVMTypeOf(v), whole = like(bits == 32 ? e->t.i32 : e->t.i64, v), overload[2] = { whole, type };
    const int64_t least = bits == 32 ? INT32_MIN : INT64_MIN;
    if (!jc_on_host(e)) {
        LLVMValueRef i = jc_call_intrinsic(e, "llvm.fptosi.sat", overload, 2, &v, 1);
        if (bits == 64 || jc_scalar_of(type) == e->t.f64)
            i = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealUNO, v, v, ""), jc_int_of(whole, least), i);
        return jc_widen_int(e, i, e->t.i64, true);
    }
    const double beyond = bits == 32 ? 0x1p31 : 0x1p63;
    LLVMValueRef magnitude = jc_unary_intrinsic(e, "llvm.fabs", v);
    LLVMValueRef fits = LLVMBuildFCmp(e->b, LLVMRealOLT, magnitude, jc_real_of(type, beyond), "");
    LLVMValueRef i = LLVMBuildFPToSI(e->b, jc_select(e, fits, v, LLVMConstNull(type)), whole, "");
    i = jc_select(e, fits, i, jc_int_of(whole, least));
    return jc_widen_int(e, i, e->t.i64, true);
}

LLVMValueRef jc_emit_convert(jc_emit *e, uint8_t to, uint8_t from, LLVMValueRef v) {
    bool from_float = from == JC_CT_F32 || from == JC_CT_F64, to_float = to == JC_CT_F32 || to == JC_CT_F64;
    LLVMTypeRef want = like(jc_ct_type(e, to), v);
    if (to == from)
        return v;
    if (to == JC_CT_B1)
        return from_float ? LLVMBuildFCmp(e->b, LLVMRealUNE, v, LLVMConstNull(LLVMTypeOf(v)), "")
                          : LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    if (from == JC_CT_B1)
        return to_float ? LLVMBuildUIToFP(e->b, v, want, "") : LLVMBuildZExt(e->b, v, want, "");
    if (from_float && to_float)
        return LLVMBuildFPCast(e->b, v, want, "");
    return to_float ? LLVMBuildSIToFP(e->b, v, want, "") : jc_emit_whole(e, v, 64);
}
