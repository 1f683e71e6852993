/*
 * jit/llvm/emit_math.h - what the files of mathematics share: a float type with its format, and builders that know it.
 */
#ifndef JC_EMIT_MATH_H
#define JC_EMIT_MATH_H

#include <math.h>

#include "jit/llvm/emit.h"

#include "jit/llvm/dialect.h"

/* A float type, the integer type of its size, and its format. */
typedef struct fmt {
    jc_emit *e;
    LLVMBuilderRef b;
    LLVMTypeRef f, i;
    bool wide;     /* f64 */
    int mantissa;  /* 23, 52 */
    int bias;
} fmt;

static inline fmt fmt_of(jc_emit *e, LLVMValueRef x) {
    unsigned w = jc_width_of(LLVMTypeOf(x));
    bool wide = jc_scalar_of(LLVMTypeOf(x)) == e->t.f64;
    return (fmt){ .e = e, .b = e->b, .f = LLVMTypeOf(x), .i = jc_vec_of(wide ? e->t.i64 : e->t.i32, w), .wide = wide,
                  .mantissa = wide ? 52 : 23, .bias = wide ? 1023 : 127 };
}

static inline LLVMValueRef real(const fmt *m, double x) { return jc_real_of(m->f, x); }
static inline LLVMValueRef whole(const fmt *m, int64_t x) { return jc_int_of(m->i, x); }
static inline LLVMValueRef bits_of(const fmt *m, LLVMValueRef x) { return LLVMBuildBitCast(m->b, x, m->i, ""); }
static inline LLVMValueRef float_of(const fmt *m, LLVMValueRef x) { return LLVMBuildBitCast(m->b, x, m->f, ""); }
static inline LLVMValueRef mul(const fmt *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(m->b, a, b, ""); }
static inline LLVMValueRef add(const fmt *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(m->b, a, b, ""); }
static inline LLVMValueRef sub(const fmt *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(m->b, a, b, ""); }
static inline LLVMValueRef less(const fmt *m, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFCmp(m->b, LLVMRealOLT, a, b, "");
}
static inline LLVMValueRef absolute(const fmt *m, LLVMValueRef x) { return jc_unary_intrinsic(m->e, "llvm.fabs", x); }

static inline LLVMValueRef quotient(const fmt *m, LLVMValueRef a, LLVMValueRef b) {
    return !m->wide && m->e->d->divide ? m->e->d->divide(m->e, a, b) : LLVMBuildFDiv(m->b, a, b, "");
}

/* NaN stays. */
static inline LLVMValueRef clamp(const fmt *m, LLVMValueRef x, double lo, double hi) {
    x = jc_select(m->e, less(m, x, real(m, lo)), real(m, lo), x);
    return jc_select(m->e, less(m, real(m, hi), x), real(m, hi), x);
}

static inline LLVMValueRef horner(const fmt *m, LLVMValueRef x, const double *c, unsigned n) {
    LLVMValueRef p = real(m, c[n - 1]);
    for (unsigned i = n - 1; i-- > 0;)
        p = jc_fused(m->e, p, x, real(m, c[i]));
    return p;
}
#define COUNT(a) (unsigned)(sizeof(a) / sizeof *(a))
#define POLY(m, x, name)                                                                           \
    ((m)->wide ? horner((m), (x), name##_64, COUNT(name##_64)) : horner((m), (x), name##_32, COUNT(name##_32)))

/* X rounded to a whole number, |x| < 2^(mantissa-2); N gets it as an integer, of which the low bits count. */
static inline LLVMValueRef nearest(const fmt *m, LLVMValueRef x, LLVMValueRef *n) {
    double magic = ldexp(1.5, m->mantissa);
    LLVMValueRef sum = add(m, x, real(m, magic));
    *n = LLVMBuildSub(m->b, bits_of(m, sum), bits_of(m, real(m, magic)), "");
    return sub(m, sum, real(m, magic));
}

static inline LLVMValueRef copy_sign(const fmt *m, LLVMValueRef magnitude, LLVMValueRef sign) {
    LLVMTypeRef type = m->f;
    LLVMValueRef args[2] = { magnitude, sign };
    return jc_call_intrinsic(m->e, "llvm.copysign", &type, 1, args, 2);
}

static inline LLVMValueRef extended(jc_emit *e, LLVMValueRef x) {
    return LLVMBuildFPExt(e->b, x, jc_vec_of(e->t.f64, jc_width_of(LLVMTypeOf(x))), "");
}

/* ---- from emit_math.c ---- */
/* P * 2^N for N within twice the exponents of the type. */
LLVMValueRef jc_math_scale(const fmt *m, LLVMValueRef p, LLVMValueRef n);
/* log m and n with x = m 2^n, for finite x > 0. */
LLVMValueRef jc_math_log_parts(const fmt *m, LLVMValueRef x, LLVMValueRef *n);
/* Sine, cosine of X less the nearest N times pi/2. */
void jc_math_circular(jc_emit *e, LLVMValueRef x, LLVMValueRef *n, LLVMValueRef *sine, LLVMValueRef *cosine);

#endif
