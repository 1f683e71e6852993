/*
 * jit/llvm/emit_rare.c - functions of f32 and f64 that hardly any model calls: computed in f64 always, so that one code serves both.
 *
 * Of f32 the results are within half a place and a little; of f64 within a few places.  They stand on what emit_math.c has:
 *   tan           sine over cosine of the rest, or the other way round
 *   atan2 y x     the quotient of the smaller and the larger, or of difference and sum, below tan(pi/8): a polynomial; asin, acos by it
 *   sinh, asinh   by expm1 and log1p, which keep small x; large ones by half the exponent, and by the logarithm of 2x
 *   erfc x        1 - erf x near 0, else e^(-x*x) erfcx(x), the square in two parts; erfcx a polynomial in (x-2)/(x+2)
 *   erfinv y      Giles's polynomials, which have 6 digits, and two steps of Newton's
 */
#include "jit/llvm/emit_math.h"

/* clang-format off */
static const double atan_p_64[] = { /* error 1.2e-18 */
    -3.3333333333333333217e-1, 1.9999999999999804444e-1, -1.428571428565980691e-1, 1.1111111105153429367e-1,
    -9.0909087534004995957e-2, 7.6922963721299638171e-2, -6.6664248336135523586e-2,
    5.8789283985172323161e-2, -5.2304498567092406686e-2, 4.5515730866641905265e-2,
    -3.4570044186095536639e-2, 1.6285183029865667568e-2,
};
/* In u = (x - 2)/(x + 2): erfcx(x) (x + 2), 0.75 <= x <= 28, where erfcx alone falls too far for one polynomial to be near it everywhere. */
static const double erfcx_wide[] = { /* error 1.2e-18, relative */
    1.0215827052420229756, -0.6871606844138106043, 2.7947209255605472258e-1, -3.6442231506876093685e-2,
    -2.1510661889489067041e-2, 6.4791850675415531666e-3, 3.0906120594610045391e-3, -8.3729605603473407039e-4,
    -6.6307351449920230057e-4, 3.4371320046794505305e-5, 1.444709332782858813e-4, 3.4150100233816841878e-5,
    -2.1698569415380397964e-5, -1.6127871216700570923e-5, -1.1072217105162541321e-6, 3.6614745061884916618e-6,
    1.9194105262301995209e-6, 1.9313015915907899004e-8, -3.8686757455809713412e-7, -5.2183330583087065232e-7,
    -1.0307302427193937479e-7, 4.2029085262879303156e-7, -1.3140358218905567802e-7,
};
/* In w - 2.5 and sqrt(w) - 3, w = -log(1 - y*y): Giles, Approximating the erfinv function, 2010. */
static const double erfinv_near[] = {
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08,
};
static const double erfinv_far[] = {
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257,
};
/* clang-format on */

typedef LLVMValueRef rare(const fmt *d, LLVMValueRef x);

/* F of X, in f64. */
static LLVMValueRef in_f64(jc_emit *e, rare *f, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    LLVMValueRef wide = m.wide ? x : extended(e, x);
    fmt d = fmt_of(e, wide);
    LLVMValueRef v = f(&d, wide);
    return m.wide ? v : LLVMBuildFPTrunc(e->b, v, m.f, "");
}

static LLVMValueRef by(const fmt *d, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFDiv(d->b, a, b, ""); }
static LLVMValueRef root(const fmt *d, LLVMValueRef x) { return jc_unary_intrinsic(d->e, "llvm.sqrt", x); }
static LLVMValueRef minus(const fmt *d, LLVMValueRef x) { return LLVMBuildFNeg(d->b, x, ""); }
static LLVMValueRef equal(const fmt *d, LLVMValueRef a, double b) { return LLVMBuildFCmp(d->b, LLVMRealOEQ, a, real(d, b), ""); }

/* ---- circular functions and their inverses ---- */

static LLVMValueRef tan_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef n, sine, cosine;
    jc_math_circular(d->e, x, &n, &sine, &cosine);
    LLVMTypeRef type = LLVMTypeOf(n);
    LLVMValueRef odd = LLVMBuildICmp(d->b, LLVMIntNE, LLVMBuildAnd(d->b, n, jc_int_of(type, 1), ""), jc_int_of(type, 0), "");
    LLVMValueRef v = by(d, jc_select(d->e, odd, minus(d, cosine), sine), jc_select(d->e, odd, sine, cosine));
    return jc_select(d->e, equal(d, x, 0), x, v); /* -0 */
}

/* The angle of (X, Y), in four parts: |y| below |x| tan(pi/8), about as large, above; then by the signs. */
static LLVMValueRef angle(const fmt *d, LLVMValueRef y, LLVMValueRef x) {
    jc_emit *e = d->e;
    LLVMValueRef ax = absolute(d, x), ay = absolute(d, y);
    LLVMValueRef endless = LLVMBuildAnd(d->b, equal(d, ay, INFINITY), equal(d, ax, INFINITY), ""); /* as alike as 1 and 1 */
    ax = jc_select(e, endless, real(d, 1), ax);
    ay = jc_select(e, endless, real(d, 1), ay);
    LLVMValueRef large = LLVMBuildOr(d->b, less(d, real(d, 0x1p1000), ax), less(d, real(d, 0x1p1000), ay), "");
    LLVMValueRef unit = jc_select(e, large, real(d, 0x1p-4), real(d, 1)); /* so that their sum is finite */
    ax = mul(d, ax, unit);
    ay = mul(d, ay, unit);
    LLVMValueRef flat = LLVMBuildFCmp(d->b, LLVMRealOLE, ay, mul(d, ax, real(d, 0x1.a827999fcef32p-2)), "");
    LLVMValueRef middle = LLVMBuildFCmp(d->b, LLVMRealOLE, ay, mul(d, ax, real(d, 0x1.3504f333f9de6p1)), "");
    LLVMValueRef top = jc_select(e, flat, ay, jc_select(e, middle, sub(d, ay, ax), minus(d, ax)));
    LLVMValueRef t = by(d, top, jc_select(e, flat, ax, jc_select(e, middle, add(d, ay, ax), ay))), z = mul(d, t, t);
    /* 0/0 */
    t = jc_select(e, LLVMBuildAnd(d->b, equal(d, ay, 0), LLVMBuildOr(d->b, equal(d, ax, 0), equal(d, ax, INFINITY), ""), ""), real(d, 0), t);
    z = mul(d, t, t);
    LLVMValueRef near = jc_fused(e, mul(d, t, z), horner(d, z, atan_p_64, COUNT(atan_p_64)), t);
    LLVMValueRef high = jc_select(e, flat, real(d, 0), jc_select(e, middle, real(d, M_PI_4), real(d, M_PI_2)));
    LLVMValueRef low = jc_select(e, flat, real(d, 0), jc_select(e, middle, real(d, 0x1.1a62633145c07p-55), real(d, 0x1.1a62633145c07p-54)));
    LLVMValueRef v = add(d, high, add(d, near, low));
    LLVMValueRef left = LLVMBuildICmp(d->b, LLVMIntSLT, bits_of(d, x), whole(d, 0), "");
    LLVMValueRef other = add(d, sub(d, real(d, M_PI), v), real(d, 0x1.1a62633145c07p-53));
    other = jc_select(e, flat, add(d, sub(d, real(d, M_PI), near), real(d, 0x1.1a62633145c07p-53)), other);
    return copy_sign(d, jc_select(e, left, other, v), y);
}

/* sqrt(1 - x*x); NaN outside. */
static LLVMValueRef beside(const fmt *d, LLVMValueRef x) {
    return root(d, mul(d, sub(d, real(d, 1), x), add(d, real(d, 1), x)));
}

static LLVMValueRef atan_of(const fmt *d, LLVMValueRef x) { return angle(d, x, real(d, 1)); }
static LLVMValueRef asin_of(const fmt *d, LLVMValueRef x) { return angle(d, x, beside(d, x)); }
static LLVMValueRef acos_of(const fmt *d, LLVMValueRef x) { return angle(d, beside(d, x), x); }

/* ---- hyperbolic functions and their inverses ---- */

/* e^a / 2 where e^a itself may not be finite. */
static LLVMValueRef half_exp(const fmt *d, LLVMValueRef a) {
    LLVMValueRef w = jc_math_exp(d->e, mul(d, a, real(d, 0.5)));
    return mul(d, mul(d, w, real(d, 0.5)), w);
}

static LLVMValueRef sinh_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef a = absolute(d, x), t = jc_math_expm1(d->e, a);
    LLVMValueRef v = mul(d, add(d, t, by(d, t, add(d, t, real(d, 1)))), real(d, 0.5));
    return copy_sign(d, jc_select(d->e, less(d, real(d, 40), a), half_exp(d, a), v), x);
}

static LLVMValueRef cosh_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef a = absolute(d, x), w = jc_math_exp(d->e, a);
    LLVMValueRef v = add(d, mul(d, w, real(d, 0.5)), by(d, real(d, 0.5), w));
    return jc_select(d->e, less(d, real(d, 40), a), half_exp(d, a), v);
}

static LLVMValueRef log_of_double(const fmt *d, LLVMValueRef a) { return add(d, jc_math_log(d->e, a), real(d, M_LN2)); }

static LLVMValueRef asinh_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef a = absolute(d, x), square = mul(d, a, a), one = real(d, 1);
    LLVMValueRef v = jc_math_log1p(d->e, add(d, a, by(d, square, add(d, one, root(d, add(d, square, one))))));
    return copy_sign(d, jc_select(d->e, less(d, real(d, 0x1p30), a), log_of_double(d, a), v), x);
}

static LLVMValueRef acosh_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef t = sub(d, x, real(d, 1));
    LLVMValueRef v = jc_math_log1p(d->e, add(d, t, root(d, mul(d, t, add(d, t, real(d, 2))))));
    v = jc_select(d->e, less(d, real(d, 0x1p30), x), log_of_double(d, x), v);
    return jc_select(d->e, less(d, x, real(d, 1)), real(d, NAN), v);
}

static LLVMValueRef atanh_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef a = absolute(d, x);
    LLVMValueRef v = mul(d, jc_math_log1p(d->e, by(d, add(d, a, a), sub(d, real(d, 1), a))), real(d, 0.5));
    return copy_sign(d, v, x);
}

/* ---- error functions ---- */

static LLVMValueRef erfc_of(const fmt *d, LLVMValueRef x) {
    LLVMValueRef a = clamp(d, absolute(d, x), 0, 28), square = mul(d, a, a), two = real(d, 2);
    LLVMValueRef rest = jc_exact_fma(d->e, a, a, minus(d, square)); /* what the square has lost */
    LLVMValueRef more = add(d, a, two), u = by(d, sub(d, a, two), more), w = jc_math_exp(d->e, minus(d, square));
    w = sub(d, w, mul(d, w, rest));
    LLVMValueRef far = mul(d, w, by(d, horner(d, u, erfcx_wide, COUNT(erfcx_wide)), more));
    far = jc_select(d->e, less(d, x, real(d, 0)), sub(d, two, far), far);
    return jc_select(d->e, less(d, a, real(d, 0.75)), sub(d, real(d, 1), jc_math_erf(d->e, x)), far);
}

static LLVMValueRef erfinv_of(const fmt *d, LLVMValueRef y) {
    jc_emit *e = d->e;
    LLVMValueRef a = absolute(d, y), one = real(d, 1), left = sub(d, one, a);
    LLVMValueRef w = minus(d, jc_math_log(e, mul(d, left, add(d, one, a))));
    LLVMValueRef near = horner(d, sub(d, w, real(d, 2.5)), erfinv_near, COUNT(erfinv_near));
    LLVMValueRef far = horner(d, sub(d, root(d, w), real(d, 3)), erfinv_far, COUNT(erfinv_far));
    LLVMValueRef x = mul(d, a, jc_select(e, less(d, w, real(d, 5)), near, far));
    for (int step = 0; step < 2; step++) {
        LLVMValueRef slope = mul(d, jc_math_exp(e, minus(d, mul(d, x, x))), real(d, M_2_SQRTPI));
        LLVMValueRef off = jc_select(e, less(d, a, real(d, 0.5)), sub(d, jc_math_erf(e, x), a), sub(d, left, erfc_of(d, x)));
        x = sub(d, x, by(d, off, slope));
    }
    x = jc_select(e, equal(d, a, 1), real(d, INFINITY), x);
    return copy_sign(d, jc_select(e, less(d, one, a), real(d, NAN), x), y);
}

#define RARE(name)                                                                                 \
    LLVMValueRef jc_math_##name(jc_emit *e, LLVMValueRef x) { return in_f64(e, name##_of, x); }
RARE(tan)
RARE(asin)
RARE(acos)
RARE(atan)
RARE(sinh)
RARE(cosh)
RARE(asinh)
RARE(acosh)
RARE(atanh)
RARE(erfc)
RARE(erfinv)

/* ---- of two ---- */

/* The larger times sqrt(1 + q*q); infinite where one is, the other NaN or not. */
static LLVMValueRef hypot_of(const fmt *d, LLVMValueRef x, LLVMValueRef y) {
    LLVMValueRef ax = absolute(d, x), ay = absolute(d, y), swap = less(d, ax, ay);
    LLVMValueRef most = jc_select(d->e, swap, ay, ax), least = jc_select(d->e, swap, ax, ay), q = by(d, least, most);
    LLVMValueRef v = mul(d, most, root(d, jc_fused(d->e, q, q, real(d, 1))));
    v = jc_select(d->e, equal(d, most, 0), add(d, most, least), v);
    LLVMValueRef endless = LLVMBuildOr(d->b, equal(d, ax, INFINITY), equal(d, ay, INFINITY), "");
    return jc_select(d->e, endless, real(d, INFINITY), v);
}

/* Of f32 the squares are exact in f64. */
LLVMValueRef jc_math_hypot(jc_emit *e, LLVMValueRef x, LLVMValueRef y) {
    fmt m = fmt_of(e, x);
    if (m.wide)
        return hypot_of(&m, x, y);
    LLVMValueRef dx = extended(e, x), dy = extended(e, y);
    fmt d = fmt_of(e, dx);
    LLVMValueRef v = root(&d, add(&d, mul(&d, dx, dx), mul(&d, dy, dy)));
    LLVMValueRef endless = LLVMBuildOr(d.b, equal(&d, absolute(&d, dx), INFINITY), equal(&d, absolute(&d, dy), INFINITY), "");
    return LLVMBuildFPTrunc(e->b, jc_select(e, endless, real(&d, INFINITY), v), m.f, "");
}

LLVMValueRef jc_math_atan2(jc_emit *e, LLVMValueRef y, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    LLVMValueRef dx = m.wide ? x : extended(e, x), dy = m.wide ? y : extended(e, y);
    fmt d = fmt_of(e, dx);
    LLVMValueRef v = angle(&d, dy, dx);
    v = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealUNO, dx, dy, ""), real(&d, NAN), v);
    return m.wide ? v : LLVMBuildFPTrunc(e->b, v, m.f, "");
}
