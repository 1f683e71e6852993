/*
 * jit/llvm/emit_math.c - exp, log, sin ... of f32 and f64 as straight-line code, for scalars and vectors.
 *
 * One code for all dialects, written so that hardly any element goes a way of its own: a vector of any width goes through it at once.  Errors are
 * about 2 ulp (pow of f64: about 1e-13).  Polynomials are interpolations at Chebyshev points, computed with 60 digits; the
 * error beside each is that of the polynomial alone.  Reductions:
 *   exp x   n = round(x/ln 2), e^r 2^n with r = x - n ln 2 in two parts; 2^n in two factors, so that subnormal results and
 *           overflow come out by themselves
 *   log x   x = m 2^n with m in [sqrt(1/2), sqrt 2), log m = 2 artanh s, s = (m-1)/(m+1)
 *   sin x   r = x - n pi/2, in f64 also for f32: good up to |x| = 2^51; beyond, x times so many bits of 2/pi as it needs (Payne, Hanek)
 *   erf x   near 0 a polynomial; else 1 - e^(-x*x) erfcx(x), erfcx a polynomial in (x-2)/(x+2)
 *   pow     2^(y log2 x) in f64 also for f32
 * What is exact is the remainder, in f64 also for f32, by long division of the significands, in a loop.
 */
#include "jit/llvm/emit_math.h"

/* ---- coefficients, lowest first ------------------------------------------------------------------------------- */

/* clang-format off */
static const double exp_q_32[] = { /* error 6.5e-8 */
    5.0e-1, 1.6666576921985397953e-1, 4.1666554532615786475e-2, 8.3631903256151493193e-3,
    1.3926197669429921324e-3,
};
static const double exp_q_64[] = { /* error 1.4e-18 */
    5.0e-1, 1.6666666666666670999e-1, 4.166666666666666976e-2, 8.3333333333261242584e-3,
    1.3888888888883740544e-3, 1.9841269874858611788e-4, 2.4801587325574867791e-5,
    2.7557255352032672337e-6, 2.7557273608709006727e-7, 2.5105237050760299302e-8,
    2.0914701283103283894e-9,
};
static const double exp2_q_32[] = { /* error 3.1e-8 */
    2.4022650695910071233e-1, 5.5503809898822176694e-2, 9.6181032323247163755e-3,
    1.3381321668874588176e-3, 1.5444900518318273651e-4,
};
static const double exp2_q_64[] = { /* error 6.7e-19 */
    2.4022650695910071233e-1, 5.5504108664821594368e-2, 9.6181291076284778755e-3,
    1.3333558146416916877e-3, 1.5403530393375904204e-4, 1.5252733829867080582e-5,
    1.3215486802919256871e-6, 1.0178062426976923424e-7, 7.0548999470329008237e-9,
    4.4549643712692967894e-10, 2.5725099252888685698e-11,
};
static const double log_p_32[] = { /* error 1.2e-9 */
    6.6666666554300180159e-1, 4.0000122000816880822e-1, 2.8550802553276710125e-1,
    2.3330964051772040272e-1,
};
static const double log_p_64[] = { /* error 1.4e-20 */
    6.6666666666666666668e-1, 3.9999999999999992474e-1, 2.857142857143538007e-1,
    2.2222222219852462983e-1, 1.8181818594570470279e-1, 1.5384575060560597387e-1,
    1.3335641774000266863e-1, 1.1688054094268660697e-1, 1.1882627381096523646e-1,
};
static const double sin_p_32[] = { /* error 2.0e-8 */
    -1.666666466183097963e-1, 8.3327481766827598594e-3, -1.9587870583916141773e-4,
};
static const double sin_p_64[] = { /* error 1.2e-20 */
    -1.6666666666666666666e-1, 8.3333333333333314912e-3, -1.9841269841265063023e-4,
    2.755731921933767028e-6, -2.5052106231927856303e-8, 1.6058531536611834267e-10,
    -7.5866922620943442732e-13,
};
static const double cos_p_32[] = { /* error 2.0e-9 */
    4.1666664659017902634e-2, -1.3888302941757222209e-3, 2.4547921745795432618e-5,
};
static const double cos_p_64[] = { /* error 6.4e-22 */
    4.1666666666666666666e-2, -1.3888888888888887865e-3, 2.4801587301584645359e-5,
    -2.7557319221401992526e-7, 2.0876755790791470965e-9, -1.1470460841811525243e-11,
    4.7458692024108734831e-14,
};
static const double tanh_p_32[] = { /* error 4.3e-8 */
    -3.3333328924525093634e-1, 1.3332767760291208376e-1, -5.3850609108377685279e-2,
    2.0995753890295580867e-2, -6.0946413153564389986e-3,
};
static const double tanh_p_64[] = { /* error 5.4e-21 */
    -3.3333333333333333333e-1, 1.3333333333333332792e-1, -5.3968253968253065939e-2,
    2.1869488536095903486e-2, -8.8632355278649023942e-3, 3.592127994554754661e-3,
    -1.4558338241150835318e-3, 5.9002230314576707567e-4, -2.3909626817792311177e-4,
    9.676630637210770298e-5, -3.8797593516013256202e-5, 1.4830590818501295259e-5,
    -4.7686995042852721532e-6, 9.162820874885124287e-7,
};
static const double erf_p_32[] = { /* error 2.2e-8 */
    1.1283791445608000774, -3.7612458336325207302e-1, 1.1281431572300017345e-1,
    -2.6752357731211569025e-2, 4.9720158747008606324e-3, -5.8824956907164235726e-4,
};
static const double erf_p_64[] = { /* error 5.1e-22 */
    1.1283791670955125739, -3.7612638903183752441e-1, 1.1283791670955124117e-1,
    -2.68661706451307897e-2, 5.2239776254353161758e-3, -8.5483270228382748455e-4,
    1.2055332946381701588e-4, -1.4925648967632514124e-5, 1.646207623401159374e-6,
    -1.6365106322983380273e-7, 1.4797118160993448474e-8, -1.219544623522526212e-9,
    8.8267061192558981174e-11, -4.4290771184314699383e-12,
};
static const double erfcx_p_32[] = { /* error 3.6e-10 */
    2.5539567666720850732e-1, -4.2718584779629465271e-1, 2.4165811508372822908e-1,
    -7.8978522084735921567e-2, 3.7356597649399217972e-3, 6.994770354082523266e-3,
    -8.7876525118313489073e-4, -9.4265746680136855286e-4, 1.6164194173073059799e-4,
};
static const double erfcx_p_64[] = { /* error 8.6e-22 */
    2.5539567631050574387e-1, -4.2718584741395839376e-1, 2.4165819424246635791e-1,
    -7.8978581015733071661e-2, 3.7328924043445992202e-3, 6.9974617392887443812e-3,
    -8.4714325197723980645e-4, -9.819770300082615677e-4, 4.3555636157304056688e-5,
    1.7436122940214004775e-4, 2.7524860847204472498e-5, -2.7580400166798000631e-5,
    -1.3961480799841545248e-5, 1.3933127904615037472e-6, 3.7496695835716352134e-6,
    1.1954372876647565005e-6, -4.1342305377539940449e-7, -5.1226990263584746272e-7,
    -1.332636404719146607e-7, 8.9201677084725038618e-8, 5.8641027255852198873e-8,
};

/* clang-format on */

LLVMValueRef jc_math_scale(const fmt *m, LLVMValueRef p, LLVMValueRef n) {
    LLVMValueRef half = LLVMBuildAShr(m->b, n, whole(m, 1), "");
    LLVMValueRef other = LLVMBuildSub(m->b, n, half, "");
    LLVMValueRef shift = whole(m, m->mantissa), bias = whole(m, m->bias);
    half = float_of(m, LLVMBuildShl(m->b, LLVMBuildAdd(m->b, half, bias, ""), shift, ""));
    other = float_of(m, LLVMBuildShl(m->b, LLVMBuildAdd(m->b, other, bias, ""), shift, ""));
    return mul(m, mul(m, p, half), other);
}

/* ---- exponentials --------------------------------------------------------------------------------------------- */

LLVMValueRef jc_math_exp(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    if (!m.wide && e->d->exp2)
        return e->d->exp2(e, mul(&m, x, real(&m, M_LOG2E)));
    /* ln 2 in two parts, the first short enough that n times it is exact */
    double ln2_hi = m.wide ? 0x1.62e42fefp-1 : 0x1.62ep-1, ln2_lo = m.wide ? 0x1.473de6af278edp-34 : 0x1.0bfbe8p-15;
    LLVMValueRef n, k, r;
    x = m.wide ? clamp(&m, x, -746, 710) : clamp(&m, x, -104, 89);
    k = nearest(&m, mul(&m, x, real(&m, M_LOG2E)), &n);
    r = jc_fused(e, k, real(&m, -ln2_hi), x);
    r = jc_fused(e, k, real(&m, -ln2_lo), r);
    LLVMValueRef p = jc_fused(e, mul(&m, r, r), POLY(&m, r, exp_q), r);
    return jc_math_scale(&m, add(&m, p, real(&m, 1)), n);
}

/* e^x - 1 without losing small x: 2^n (e^r - 1) + (2^n - 1).  Where 2^n is too large for that, the 1 is nothing. */
LLVMValueRef jc_math_expm1(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    const double ln2_hi = m.wide ? 0x1.62e42fefp-1 : 0x1.62ep-1, ln2_lo = m.wide ? 0x1.473de6af278edp-34 : 0x1.0bfbe8p-15;
    const double most = m.wide ? 700 : 80;
    LLVMValueRef n, k, r, near = clamp(&m, x, m.wide ? -40 : -20, most);
    k = nearest(&m, mul(&m, near, real(&m, M_LOG2E)), &n);
    r = jc_fused(e, k, real(&m, -ln2_hi), near);
    r = jc_fused(e, k, real(&m, -ln2_lo), r);
    LLVMValueRef p = jc_fused(e, mul(&m, r, r), POLY(&m, r, exp_q), r), power = jc_math_scale(&m, real(&m, 1), n);
    LLVMValueRef v = jc_fused(e, p, power, sub(&m, power, real(&m, 1)));
    v = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealOEQ, x, real(&m, 0), ""), x, v); /* -0 */
    return jc_select(e, less(&m, real(&m, most), x), jc_math_exp(e, x), v);
}

LLVMValueRef jc_math_exp2(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    if (!m.wide && e->d->exp2)
        return e->d->exp2(e, x);
    LLVMValueRef n;
    x = m.wide ? clamp(&m, x, -1076, 1024) : clamp(&m, x, -151, 128);
    LLVMValueRef r = sub(&m, x, nearest(&m, x, &n));
    LLVMValueRef p = jc_fused(e, mul(&m, r, r), POLY(&m, r, exp2_q), mul(&m, r, real(&m, M_LN2)));
    return jc_math_scale(&m, add(&m, p, real(&m, 1)), n);
}

/* ---- logarithm ------------------------------------------------------------------------------------------------ */

LLVMValueRef jc_math_log_parts(const fmt *m, LLVMValueRef x, LLVMValueRef *n) {
    /* subnormals first get a mantissa */
    LLVMValueRef tiny = less(m, x, real(m, m->wide ? 0x1p-1022 : 0x1p-126));
    x = jc_select(m->e, tiny, mul(m, x, real(m, ldexp(1, m->mantissa + 1))), x);
    LLVMValueRef bits = bits_of(m, x);
    /* the bits of sqrt(1/2): subtracting them makes the exponent count from there */
    int64_t root = m->wide ? 0x3fe6a09e667f3bcdLL : 0x3f3504f3;
    LLVMValueRef above = LLVMBuildSub(m->b, bits, whole(m, root), "");
    LLVMValueRef k = LLVMBuildAShr(m->b, above, whole(m, m->mantissa), "");
    LLVMValueRef mant = float_of(
        m, LLVMBuildSub(m->b, bits, LLVMBuildShl(m->b, k, whole(m, m->mantissa), ""), ""));
    k = jc_select(m->e, tiny, LLVMBuildSub(m->b, k, whole(m, m->mantissa + 1), ""), k);
    *n = LLVMBuildSIToFP(m->b, k, m->f, "");
    LLVMValueRef f = sub(m, mant, real(m, 1));
    LLVMValueRef s = quotient(m, f, add(m, f, real(m, 2)));
    LLVMValueRef z = mul(m, s, s);
    /* 2s = f - s*f exactly as far as s is exact, which keeps the error of the division out of the leading term */
    LLVMValueRef tail = mul(m, mul(m, s, z), POLY(m, z, log_p));
    return sub(m, f, sub(m, mul(m, s, f), tail));
}

LLVMValueRef jc_math_log(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    double ln2_hi = m.wide ? 0x1.62e42fefp-1 : 0x1.62ep-1, ln2_lo = m.wide ? 0x1.473de6af278edp-34 : 0x1.0bfbe8p-15;
    LLVMValueRef n, l = jc_math_log_parts(&m, x, &n);
    LLVMValueRef r = jc_fused(e, n, real(&m, ln2_hi), jc_fused(e, n, real(&m, ln2_lo), l));
    LLVMValueRef zero = real(&m, 0), inf = real(&m, INFINITY);
    r = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealUEQ, x, inf, ""), x, r); /* infinity and NaN */
    r = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealOEQ, x, zero, ""), real(&m, -INFINITY), r);
    return jc_select(e, less(&m, x, zero), real(&m, NAN), r);
}

/* log(1 + x) without losing small x: what u = 1 + x has lost is given back by the quotient. */
LLVMValueRef jc_math_log1p(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    LLVMValueRef u = add(&m, x, real(&m, 1)), lost = sub(&m, x, sub(&m, u, real(&m, 1)));
    LLVMValueRef v = add(&m, jc_math_log(e, u), LLVMBuildFDiv(e->b, lost, u, ""));
    v = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealOEQ, u, real(&m, 1), ""), x, v);
    LLVMValueRef edge = LLVMBuildOr(e->b, LLVMBuildFCmp(e->b, LLVMRealOEQ, u, real(&m, INFINITY), ""),
                                    LLVMBuildFCmp(e->b, LLVMRealOEQ, u, real(&m, 0), ""), "");
    return jc_select(e, edge, jc_math_log(e, u), v);
}

/* Of base e^(1/SCALE): the whole powers are multiplied apart, in two parts. */
static LLVMValueRef log_of_base(jc_emit *e, LLVMValueRef x, double scale, double hi, double lo) {
    fmt m = fmt_of(e, x);
    LLVMValueRef n, l = jc_math_log_parts(&m, x, &n);
    LLVMValueRef r = jc_fused(e, n, real(&m, hi), jc_fused(e, l, real(&m, scale), mul(&m, n, real(&m, lo))));
    r = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealUEQ, x, real(&m, INFINITY), ""), x, r);
    r = jc_select(e, LLVMBuildFCmp(e->b, LLVMRealOEQ, x, real(&m, 0), ""), real(&m, -INFINITY), r);
    return jc_select(e, less(&m, x, real(&m, 0)), real(&m, NAN), r);
}

LLVMValueRef jc_math_log2(jc_emit *e, LLVMValueRef x) { return log_of_base(e, x, M_LOG2E, 1, 0); }
LLVMValueRef jc_math_log10(jc_emit *e, LLVMValueRef x) { return log_of_base(e, x, M_LOG10E, 0x1.34413p-2, 0x1.427de7fbcc47cp-24); }

/* ---- circular functions --------------------------------------------------------------------------------------- */

/* pi/2 in two parts; three give all bits of an f64 result */
#define PIO2_1 0x1.921fb54442d18p0
#define PIO2_2 0x1.1a62633145c07p-54
#define PIO2_3 (-0x1.f1976b7ed8fbcp-110)

/* 2/pi: 64 zeros, then its bits from 1/2 down. */
static const uint64_t two_over_pi[] = {
    0,
    0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u, 0xfe5163abdebbc561u,
    0xb7246e3a424dd2e0u, 0x06492eea09d1921cu, 0xfe1deb1cb129a73eu, 0xe88235f52ebb4484u,
    0xe99c7026b45f7e41u, 0x3991d639835339f4u, 0x9c845f8bbdf9283bu, 0x1ff897ffde05980fu,
    0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du, 0x7527bac7ebe5f17bu,
    0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu, 0xf0cfbc209af4361du,
};
enum { PI_WORDS = sizeof two_over_pi / sizeof *two_over_pi };

static LLVMValueRef pi_table(jc_emit *e) {
    static const char name[] = "two_over_pi";
    LLVMValueRef words[PI_WORDS], g = LLVMGetNamedGlobal(e->m, name);
    if (g)
        return g;
    for (unsigned i = 0; i < PI_WORDS; i++)
        words[i] = LLVMConstInt(e->t.i64, two_over_pi[i], false);
    g = LLVMAddGlobalInAddressSpace(e->m, LLVMArrayType2(e->t.i64, PI_WORDS), name, e->d->global_space);
    LLVMSetInitializer(g, LLVMConstArray2(e->t.i64, words, PI_WORDS));
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    return g;
}

/* Words I and I + 1 of the table, from bit SHIFT of the first on. */
static LLVMValueRef pi_bits(jc_emit *e, LLVMValueRef i, unsigned more, LLVMValueRef shift) {
    LLVMValueRef at = jc_gep(e, e->t.i64, pi_table(e), LLVMBuildAdd(e->b, i, jc_i64(e, more), ""));
    LLVMTypeRef type = e->t.i64;
    LLVMValueRef args[3] = { LLVMBuildLoad2(e->b, type, at, ""), LLVMBuildLoad2(e->b, type, jc_gep(e, type, at, jc_i64(e, 1)), ""), shift };
    return jc_call_intrinsic(e, "llvm.fshl", &type, 1, args, 3);
}

/*
 * For one finite X of f64, |X| >= 2^51: the nearest N, modulo 4, and R = X - N pi/2.  X is an integer of 53 bits times 2^E.  Of 2/pi times that,
 * bits of 4 and more are of no interest, so 192 bits of 2/pi from 2^(1-E) down give the rest: 2 bits before the point, and 126 after it.
 */
static void reduce_far(jc_emit *e, LLVMValueRef x, LLVMValueRef *n, LLVMValueRef *r) {
    LLVMBuilderRef b = e->b;
    fmt d = fmt_of(e, x);
    LLVMTypeRef i128 = LLVMIntTypeInContext(e->c, 128);
    LLVMValueRef bits = bits_of(&d, absolute(&d, x)), w[3];
    LLVMValueRef m = LLVMBuildOr(b, LLVMBuildAnd(b, bits, whole(&d, ((int64_t)1 << 52) - 1), ""), whole(&d, (int64_t)1 << 52), "");
    LLVMValueRef first = LLVMBuildSub(b, LLVMBuildLShr(b, bits, whole(&d, 52), ""), whole(&d, 1075 - 62), "");
    LLVMValueRef word = LLVMBuildLShr(b, first, whole(&d, 6), ""), shift = LLVMBuildAnd(b, first, whole(&d, 63), "");
    for (unsigned i = 0; i < 3; i++)
        w[i] = LLVMBuildZExt(b, pi_bits(e, word, i, shift), i128, "");
    LLVMValueRef wide = LLVMBuildZExt(b, m, i128, ""), half = LLVMConstInt(i128, 64, false);
    LLVMValueRef p = LLVMBuildAdd(b, LLVMBuildShl(b, LLVMBuildMul(b, wide, w[0], ""), half, ""), LLVMBuildMul(b, wide, w[1], ""), "");
    p = LLVMBuildAdd(b, p, LLVMBuildLShr(b, LLVMBuildMul(b, wide, w[2], ""), half, ""), "");
    LLVMValueRef high = LLVMBuildTrunc(b, LLVMBuildLShr(b, p, half, ""), e->t.i64, ""), low = LLVMBuildTrunc(b, p, e->t.i64, "");
    LLVMValueRef q = LLVMBuildLShr(b, LLVMBuildAdd(b, high, whole(&d, (int64_t)1 << 61), ""), whole(&d, 62), "");
    high = LLVMBuildSub(b, high, LLVMBuildShl(b, q, whole(&d, 62), ""), "");
    LLVMValueRef f = mul(&d, LLVMBuildSIToFP(b, high, d.f, ""), real(&d, 0x1p-62));
    f = add(&d, f, mul(&d, LLVMBuildUIToFP(b, low, d.f, ""), real(&d, 0x1p-126)));
    LLVMValueRef negative = less(&d, x, real(&d, 0));
    *r = copy_sign(&d, mul(&d, f, real(&d, PIO2_1)), f);
    *r = jc_select(e, negative, LLVMBuildFNeg(b, *r, ""), *r);
    *n = jc_select(e, negative, LLVMBuildNeg(b, q, ""), q);
}

/* Any of the truth values V? */
static LLVMValueRef any_lane(jc_emit *e, LLVMValueRef v) {
    for (unsigned w = jc_width_of(LLVMTypeOf(v)); w > 1; w /= 2)
        v = LLVMBuildOr(e->b, jc_slice(e, v, 0, w / 2), jc_slice(e, v, w / 2, w / 2), "");
    return v;
}

/* Finite, and too large for the reduction in f64. */
static LLVMValueRef is_far(const fmt *d, LLVMValueRef x) {
    LLVMValueRef size = absolute(d, x);
    return LLVMBuildAnd(d->b, LLVMBuildFCmp(d->b, LLVMRealOGE, size, real(d, 0x1p51), ""), less(d, size, real(d, INFINITY)), "");
}

static LLVMValueRef either(jc_emit *e, LLVMValueRef a, LLVMBasicBlockRef from_a, LLVMValueRef b, LLVMBasicBlockRef from_b) {
    LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(a), "");
    LLVMAddIncoming(phi, &a, &from_a, 1);
    LLVMAddIncoming(phi, &b, &from_b, 1);
    return phi;
}

/* N and R of the points of X that are far, one after the other: hardly any ever is. */
static void reduce_each(jc_emit *e, LLVMValueRef x, LLVMValueRef *n, LLVMValueRef *r) {
    unsigned w = jc_width_of(LLVMTypeOf(x));
    LLVMTypeRef f64 = e->t.f64, i64 = e->t.i64;
    LLVMValueRef xs = jc_alloca(e, f64, w + 1, 64, "far.x"), ns = jc_alloca(e, i64, w + 1, 64, "far.n"), rs = jc_alloca(e, f64, w + 1, 64, "far.r");
    LLVMSetAlignment(LLVMBuildStore(e->b, x, xs), 8);
    LLVMSetAlignment(LLVMBuildStore(e->b, *n, ns), 8);
    LLVMSetAlignment(LLVMBuildStore(e->b, *r, rs), 8);
    jc_for loop = jc_for_begin(e, jc_i64(e, 0), jc_i64(e, w), jc_i64(e, 1), "far");
    LLVMValueRef one = LLVMBuildLoad2(e->b, f64, jc_gep(e, f64, xs, loop.i), "");
    fmt d = fmt_of(e, one);
    jc_if far = jc_if_begin(e, is_far(&d, one), "far");
    LLVMValueRef one_n, one_r;
    reduce_far(e, one, &one_n, &one_r);
    LLVMBuildStore(e->b, one_n, jc_gep(e, i64, ns, loop.i));
    LLVMBuildStore(e->b, one_r, jc_gep(e, f64, rs, loop.i));
    jc_if_end(e, &far);
    jc_for_end(e, &loop);
    *n = LLVMBuildLoad2(e->b, LLVMTypeOf(*n), ns, "");
    *r = LLVMBuildLoad2(e->b, LLVMTypeOf(*r), rs, "");
    LLVMSetAlignment(*n, 8);
    LLVMSetAlignment(*r, 8);
}

static void look_far(const fmt *d, LLVMValueRef x, LLVMValueRef *n, LLVMValueRef *r) {
    jc_emit *e = d->e;
    LLVMValueRef far_n = *n, far_r = *r, any = any_lane(e, is_far(d, x));
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    jc_if far = jc_if_begin(e, any, "any_far");
    reduce_each(e, x, &far_n, &far_r);
    LLVMBasicBlockRef inside = LLVMGetInsertBlock(e->b);
    jc_if_end(e, &far);
    *n = either(e, *n, before, far_n, inside);
    *r = either(e, *r, before, far_r, inside);
}

void jc_math_circular(jc_emit *e, LLVMValueRef x, LLVMValueRef *n, LLVMValueRef *sine, LLVMValueRef *cosine) {
    fmt m = fmt_of(e, x);
    LLVMValueRef wide = m.wide ? x : extended(e, x);
    fmt d = fmt_of(e, wide);
    LLVMValueRef k = nearest(&d, mul(&d, wide, real(&d, M_2_PI)), n);
    LLVMValueRef r = jc_exact_fma(d.e, k, real(&d, -PIO2_1), wide);
    r = jc_exact_fma(d.e, k, real(&d, -PIO2_2), r);
    if (m.wide)
        r = jc_exact_fma(d.e, k, real(&d, -PIO2_3), r);
    look_far(&d, wide, n, &r);
    if (!m.wide)
        r = LLVMBuildFPTrunc(e->b, r, m.f, "");
    LLVMValueRef z = mul(&m, r, r);
    *sine = jc_fused(e, mul(&m, r, z), POLY(&m, z, sin_p), r);
    *cosine = jc_fused(e, mul(&m, z, z), POLY(&m, z, cos_p), jc_fused(e, z, real(&m, -0.5), real(&m, 1)));
}

/* sin(x + SHIFT*pi/2) */
static LLVMValueRef turned(jc_emit *e, LLVMValueRef x, int shift) {
    fmt m = fmt_of(e, x);
    LLVMValueRef n, sine, cosine;
    jc_math_circular(e, x, &n, &sine, &cosine);
    LLVMTypeRef type = LLVMTypeOf(n);
    LLVMValueRef q = LLVMBuildAdd(e->b, n, jc_int_of(type, shift), "");
    LLVMValueRef one = jc_int_of(type, 1), two = jc_int_of(type, 2), zero = jc_int_of(type, 0);
    LLVMValueRef odd = LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildAnd(e->b, q, one, ""), zero, "");
    LLVMValueRef minus = LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildAnd(e->b, q, two, ""), zero, "");
    LLVMValueRef v = jc_select(e, odd, cosine, sine);
    v = jc_select(e, minus, LLVMBuildFNeg(e->b, v, ""), v); /* of infinity NaN by itself (inf - inf) */
    return shift ? v : jc_select(e, LLVMBuildFCmp(e->b, LLVMRealOEQ, x, real(&m, 0), ""), x, v); /* -0 */
}

LLVMValueRef jc_math_sin(jc_emit *e, LLVMValueRef x) { return turned(e, x, 0); }
LLVMValueRef jc_math_cos(jc_emit *e, LLVMValueRef x) { return turned(e, x, 1); }

/* ---- tanh, erf ------------------------------------------------------------------------------------------------ */

LLVMValueRef jc_math_tanh(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    LLVMValueRef a = clamp(&m, absolute(&m, x), 0, 30), z = mul(&m, a, a);
    LLVMValueRef near = jc_fused(e, mul(&m, a, z), POLY(&m, z, tanh_p), a);
    LLVMValueRef t = add(&m, jc_math_exp(e, add(&m, a, a)), real(&m, 1));
    LLVMValueRef far = sub(&m, real(&m, 1), quotient(&m, real(&m, 2), t));
    return copy_sign(&m, jc_select(e, less(&m, a, real(&m, 0.625)), near, far), x);
}

LLVMValueRef jc_math_erf(jc_emit *e, LLVMValueRef x) {
    fmt m = fmt_of(e, x);
    LLVMValueRef a = clamp(&m, absolute(&m, x), 0, 6.05), z = mul(&m, a, a);
    LLVMValueRef near = mul(&m, a, POLY(&m, z, erf_p));
    LLVMValueRef u = quotient(&m, sub(&m, a, real(&m, 2)), add(&m, a, real(&m, 2)));
    LLVMValueRef tail = mul(&m, jc_math_exp(e, LLVMBuildFNeg(e->b, z, "")), POLY(&m, u, erfcx_p));
    LLVMValueRef far = sub(&m, real(&m, 1), tail);
    return copy_sign(&m, jc_select(e, less(&m, a, real(&m, 0.9486)), near, far), x);
}

/* ---- pow ------------------------------------------------------------------------------------------------------ */

/* |x|^y for finite x != 0, in f64. */
static LLVMValueRef pow_magnitude(jc_emit *e, LLVMValueRef ax, LLVMValueRef y) {
    fmt d = fmt_of(e, ax);
    LLVMValueRef n, l = jc_math_log_parts(&d, ax, &n);
    /* n and the fraction apart: their products with y are reduced separately, so n*y costs no digits */
    LLVMValueRef f = mul(&d, l, real(&d, M_LOG2E));
    LLVMValueRef f_lo = jc_exact_fma(d.e, l, real(&d, M_LOG2E), LLVMBuildFNeg(e->b, f, ""));
    f_lo = jc_fused(e, l, real(&d, 0x1.777d0ffda0d24p-56), f_lo);
    LLVMValueRef t = add(&d, mul(&d, n, y), mul(&d, f, y));
    LLVMValueRef p = mul(&d, n, y);
    LLVMValueRef rest = jc_exact_fma(d.e, n, y, LLVMBuildFNeg(e->b, p, "")); /* rounding error of n*y */
    LLVMValueRef whole_part, k;
    t = clamp(&d, t, -2200, 2200);
    k = nearest(&d, t, &whole_part);
    LLVMValueRef r = add(&d, jc_fused(e, f, y, sub(&d, p, k)), add(&d, rest, mul(&d, f_lo, y)));
    /* out of range: the sum above means nothing, but the scale decides */
    r = clamp(&d, r, -1, 1);
    LLVMValueRef poly = jc_fused(e, mul(&d, r, r), POLY(&d, r, exp2_q), mul(&d, r, real(&d, M_LN2)));
    LLVMValueRef too_large = LLVMBuildFCmp(e->b, LLVMRealOGE, t, real(&d, 1030), "");
    LLVMValueRef too_small = LLVMBuildFCmp(e->b, LLVMRealOLE, t, real(&d, -1090), "");
    fmt lim = d;
    LLVMValueRef capped = jc_select(e, too_large, whole(&lim, 1024), whole_part);
    capped = jc_select(e, too_small, whole(&lim, -1090), capped);
    LLVMValueRef v = jc_math_scale(&d, add(&d, poly, real(&d, 1)), capped);
    v = jc_select(e, too_large, real(&d, INFINITY), v);
    return jc_select(e, too_small, real(&d, 0), v);
}

LLVMValueRef jc_math_pow(jc_emit *e, LLVMValueRef x, LLVMValueRef y) {
    fmt m = fmt_of(e, x);
    LLVMValueRef dx = m.wide ? x : extended(e, x), dy = m.wide ? y : extended(e, y);
    fmt d = fmt_of(e, dx);
    LLVMBuilderRef b = e->b;
    LLVMValueRef zero = real(&d, 0), one = real(&d, 1), inf = real(&d, INFINITY);
    LLVMValueRef ax = absolute(&d, dx), ay = absolute(&d, dy);
    LLVMValueRef y_neg = less(&d, dy, zero), x_neg = LLVMBuildICmp(b, LLVMIntSLT, bits_of(&d, dx), whole(&d, 0), "");
    LLVMValueRef v = pow_magnitude(e, ax, dy);

    /* the magnitude where x is 0 or infinite, then where y is infinite */
    LLVMValueRef x_zero = LLVMBuildFCmp(b, LLVMRealOEQ, ax, zero, "");
    LLVMValueRef x_inf = LLVMBuildFCmp(b, LLVMRealOEQ, ax, inf, "");
    LLVMValueRef edge = jc_select(e, LLVMBuildXor(b, x_zero, y_neg, ""), zero, inf);
    v = jc_select(e, LLVMBuildOr(b, x_zero, x_inf, ""), edge, v);
    LLVMValueRef grows = LLVMBuildXor(b, LLVMBuildFCmp(b, LLVMRealOGT, ax, one, ""), y_neg, "");
    LLVMValueRef at_inf = jc_select(e, LLVMBuildFCmp(b, LLVMRealOEQ, ax, one, ""), one,
                                    jc_select(e, grows, inf, zero));
    LLVMValueRef y_inf = LLVMBuildFCmp(b, LLVMRealOEQ, ay, inf, "");
    v = jc_select(e, y_inf, at_inf, v);

    /* sign of x: kept for odd y, dropped for even y, and NaN for fractions (unless x is 0 or infinite) */
    LLVMValueRef fy = jc_unary_intrinsic(e, "llvm.floor", dy);
    LLVMValueRef half = mul(&d, dy, real(&d, 0.5));
    LLVMValueRef is_whole = LLVMBuildFCmp(b, LLVMRealOEQ, fy, dy, "");
    LLVMValueRef is_odd = LLVMBuildAnd(
        b, LLVMBuildAnd(b, is_whole, LLVMBuildFCmp(b, LLVMRealUNE, jc_unary_intrinsic(e, "llvm.floor", half), half, ""), ""),
        LLVMBuildNot(b, y_inf, ""), "");
    LLVMValueRef negate = LLVMBuildAnd(b, x_neg, is_odd, "");
    v = jc_select(e, negate, LLVMBuildFNeg(b, v, ""), v);
    LLVMValueRef bad = LLVMBuildAnd(b, less(&d, dx, zero), LLVMBuildNot(b, is_whole, ""), "");
    bad = LLVMBuildAnd(b, bad, LLVMBuildNot(b, x_inf, ""), "");
    v = jc_select(e, bad, real(&d, NAN), v);
    v = jc_select(e, LLVMBuildFCmp(b, LLVMRealUNO, dx, dy, ""), real(&d, NAN), v);
    LLVMValueRef is_one = LLVMBuildOr(b, LLVMBuildFCmp(b, LLVMRealOEQ, dx, one, ""),
                                      LLVMBuildFCmp(b, LLVMRealOEQ, dy, zero, ""), "");
    v = jc_select(e, is_one, one, v);
    return m.wide ? v : LLVMBuildFPTrunc(b, v, m.f, "");
}

/* ---- remainder ------------------------------------------------------------------------------------------------ */

enum { DIGIT = 11 }; /* bits of the quotient at a time: so many fit above a significand of f64 */

/* |x| of BITS as SIGNIFICAND * 2^(EXPONENT - 1075), subnormal or not. */
static void take_apart(const fmt *d, LLVMValueRef bits, LLVMValueRef *significand, LLVMValueRef *exponent) {
    LLVMValueRef field = LLVMBuildLShr(d->b, bits, whole(d, d->mantissa), "");
    LLVMValueRef normal = LLVMBuildICmp(d->b, LLVMIntNE, field, whole(d, 0), "");
    LLVMValueRef fraction = LLVMBuildAnd(d->b, bits, whole(d, ((int64_t)1 << d->mantissa) - 1), "");
    *significand = jc_select(d->e, normal, LLVMBuildOr(d->b, fraction, whole(d, (int64_t)1 << d->mantissa), ""), fraction);
    *exponent = jc_select(d->e, normal, field, whole(d, 1));
}

static LLVMValueRef largest_lane(jc_emit *e, LLVMValueRef v) {
    for (unsigned w = jc_width_of(LLVMTypeOf(v)); w > 1; w /= 2) {
        LLVMValueRef a = jc_slice(e, v, 0, w / 2), b = jc_slice(e, v, w / 2, w / 2);
        v = jc_select(e, LLVMBuildICmp(e->b, LLVMIntSGT, a, b, ""), a, b);
    }
    return v;
}

static LLVMValueRef smaller(const fmt *d, LLVMValueRef a, LLVMValueRef b) {
    return jc_select(d->e, LLVMBuildICmp(d->b, LLVMIntSLT, a, b, ""), a, b);
}

/* X * 2^SHIFT modulo Y, of integers 0 <= X, 0 < Y < 2^53; SHIFT may be negative: then 0 is meant. */
static LLVMValueRef long_division(const fmt *d, LLVMValueRef x, LLVMValueRef y, LLVMValueRef shift) {
    jc_emit *e = d->e;
    LLVMValueRef rest = jc_alloca(e, d->i, 1, 0, "rem.rest"), left = jc_alloca(e, d->i, 1, 0, "rem.left");
    shift = jc_select(e, LLVMBuildICmp(d->b, LLVMIntSLT, shift, whole(d, 0), ""), whole(d, 0), shift);
    LLVMBuildStore(d->b, LLVMBuildURem(d->b, x, y, ""), rest);
    LLVMBuildStore(d->b, shift, left);
    jc_for loop = jc_for_begin(e, jc_i64(e, 0), largest_lane(e, shift), jc_i64(e, DIGIT), "rem");
    LLVMValueRef n = LLVMBuildLoad2(d->b, d->i, left, ""), r = LLVMBuildLoad2(d->b, d->i, rest, "");
    LLVMValueRef digit = smaller(d, n, whole(d, DIGIT));
    LLVMBuildStore(d->b, LLVMBuildURem(d->b, LLVMBuildShl(d->b, r, digit, ""), y, ""), rest);
    LLVMBuildStore(d->b, LLVMBuildSub(d->b, n, digit, ""), left);
    jc_for_end(e, &loop);
    return LLVMBuildLoad2(d->b, d->i, rest, "");
}

/* fmod: X - Y * n for a whole n, of X's sign and smaller than Y. */
static LLVMValueRef truncated(const fmt *d, LLVMValueRef x, LLVMValueRef y) {
    LLVMValueRef ax = absolute(d, x), ay = absolute(d, y), mx, my, ex, ey;
    take_apart(d, bits_of(d, ax), &mx, &ex);
    take_apart(d, bits_of(d, ay), &my, &ey);
    LLVMValueRef bad = LLVMBuildOr(d->b, LLVMBuildFCmp(d->b, LLVMRealUEQ, ax, real(d, INFINITY), ""),
                                   LLVMBuildFCmp(d->b, LLVMRealUEQ, ay, real(d, 0), ""), "");
    my = jc_select(d->e, bad, whole(d, 1), my);
    LLVMValueRef shift = jc_select(d->e, bad, whole(d, 0), LLVMBuildSub(d->b, ex, ey, ""));
    LLVMValueRef rest = LLVMBuildSIToFP(d->b, long_division(d, mx, my, shift), d->f, "");
    LLVMValueRef v = jc_math_scale(d, rest, LLVMBuildSub(d->b, ey, whole(d, d->bias + d->mantissa), ""));
    v = jc_select(d->e, less(d, ax, ay), ax, v);
    return jc_select(d->e, bad, real(d, NAN), copy_sign(d, v, x));
}

LLVMValueRef jc_math_remainder(jc_emit *e, LLVMValueRef x, LLVMValueRef y) {
    fmt m = fmt_of(e, x);
    LLVMValueRef dx = m.wide ? x : extended(e, x), dy = m.wide ? y : extended(e, y);
    fmt d = fmt_of(e, dx);
    LLVMValueRef r = truncated(&d, dx, dy);
    r = m.wide ? r : LLVMBuildFPTrunc(e->b, r, m.f, "");
    LLVMValueRef other = LLVMBuildXor(e->b, less(&m, r, real(&m, 0)), less(&m, y, real(&m, 0)), "");
    other = LLVMBuildAnd(e->b, other, LLVMBuildFCmp(e->b, LLVMRealONE, r, real(&m, 0), ""), "");
    return jc_select(e, other, add(&m, r, y), r);
}

/* ---- extremes ------------------------------------------------------------------------------------------------- */

/* Of equal ones, zeros, the first, as PyTorch has it on a CPU; a GPU's instruction takes 0 for more than -0, and so does PyTorch there.
   On x86 compare and select are one maxps, which takes care of NaN in a; b is looked at separately. */
static LLVMValueRef extreme(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMRealPredicate pick, const char *gpu) {
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef args[2] = { a, b };
    if (jc_target_is_gpu(e->target))
        return jc_call_intrinsic(e, gpu, &type, 1, args, 2);
    LLVMValueRef best = jc_select(e, LLVMBuildFCmp(e->b, pick, b, a, ""), b, a);
    return jc_select(e, LLVMBuildFCmp(e->b, LLVMRealUNO, b, b, ""), b, best);
}

LLVMValueRef jc_math_max(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    return extreme(e, a, b, LLVMRealOGT, "llvm.maximum");
}

LLVMValueRef jc_math_min(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    return extreme(e, a, b, LLVMRealOLT, "llvm.minimum");
}
