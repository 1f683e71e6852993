/*
 * ir/eval/eval_pointwise.c - the reference's pointwise operators.
 *
 * Operands are cast to the dtype that they have in common, as PyTorch does; a number beside narrow floats only where the operator
 * says so.  That dtype decides the arithmetic: doubles, never rounded, or 64-bit integers, wrapped to the result's dtype.
 */
#include <math.h>
#include <string.h>
#include "ir/eval/eval_priv.h"

/* ---- one operand ---- */

static double f_neg(double x) { return -x; }
static double f_rsqrt(double x) { return 1 / sqrt(x); }
static double f_reciprocal(double x) { return 1 / x; }
static double f_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double f_silu(double x) { return x / (1 + exp(-x)); }
static double f_relu(double x) { return x < 0 ? 0 : x; } /* NaN stays */

/* By bisection: erf grows, erfc falls, and each is good on its side. */
static double f_erfinv(double y) {
    const double a = fabs(y);
    double lo = 0, hi = 7;
    if (a >= 1 || a != a)
        return a == 1 ? copysign(INFINITY, y) : NAN;
    for (int i = 0; i < 200; i++) {
        const double x = (lo + hi) / 2;
        const bool below = a < 0.5 ? erf(x) < a : erfc(x) > 1 - a;
        *(below ? &lo : &hi) = x;
    }
    return copysign(a < 1e-8 ? a * 0.88622692545275801365 : lo, y);
}

static int64_t i_neg(int64_t x) { return (int64_t)(0 - (uint64_t)x); }
static int64_t i_abs(int64_t x) { return x < 0 ? i_neg(x) : x; }
static int64_t i_relu(int64_t x) { return x < 0 ? 0 : x; }
static int64_t i_same(int64_t x) { return x; }
static int64_t i_not(int64_t x) { return ~x; }
static int64_t b_not(int64_t x) { return !x; }

/* A result, N operands broadcast to it, and the walk over them: operand k at it.at[k], the result at it.at[n]. */
typedef struct pointwise {
    jc_ev_tensor *out;
    jc_ev_operand in[3];
    jc_ev_iter it;
    double *f; /* the result's elements: one of the two */
    int64_t *i;
} pointwise;

static jitc_status begin(jc_ev *ev, const jc_node *n, uint32_t count, pointwise *p) {
    const uint8_t common = (uint8_t)jc_operand_dtype(n);
    jc_ev_tensor out;
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    p->it = jc_ev_begin(out.rank, out.dims);
    for (uint32_t k = 0; k < count; k++) {
        JC_TRY(jc_ev_operand_arg(ev, n, &n->args[k], common, out.rank, out.dims, &p->in[k]));
        jc_ev_with(&p->it, p->in[k].strides, p->in[k].offset);
    }
    jc_ev_with(&p->it, out.strides, 0);
    p->f = jc_is_float(out.dtype) ? jc_ev_floats_out(ev, &out) : NULL;
    p->i = p->f ? NULL : jc_ev_ints_out(ev, &out);
    p->out = jc_ev_result(ev, n, 0);
    *p->out = out;
    return JITC_OK;
}

/* Operands are told from results by what they hold, so a float operand of an integer result has no place. */
static jitc_status only_integers(jc_ev *ev, const jc_node *n, const pointwise *p, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        if (!p->in[k].i)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "A floating operand cannot give a result of dtype %s.",
                              jc_dtypes[p->out->dtype].name);
    }
    return JITC_OK;
}

static jitc_status unsupported(jc_ev *ev, const jc_node *n, uint8_t dtype) {
    return jc_ev_fail(ev, n, JITC_E_UNSUPPORTED, "The operator has no meaning for dtype %s.", jc_dtypes[dtype].name);
}

/* F on floats, I on integers; NULL where the operator has no meaning for them. */
static jitc_status unary(jc_ev *ev, const jc_node *n, double (*f)(double), int64_t (*i)(int64_t)) {
    pointwise p;
    JC_TRY(begin(ev, n, 1, &p));
    if (p.f && f) {
        for (; p.it.left > 0; jc_ev_next(&p.it))
            p.f[p.it.at[1]] = f(jc_ev_f(&p.in[0], p.it.at[0]));
        return JITC_OK;
    }
    if (p.f || !i)
        return unsupported(ev, n, p.out->dtype);
    JC_TRY(only_integers(ev, n, &p, 1));
    for (; p.it.left > 0; jc_ev_next(&p.it))
        p.i[p.it.at[1]] = jc_ev_wrap(p.out->dtype, i(p.in[0].i[p.it.at[0]]));
    return JITC_OK;
}

#define UNARY(name, f, i)                                                                          \
    jitc_status jc_ev_##name(jc_ev *ev, const jc_node *n) { return unary(ev, n, f, i); }
UNARY(neg, f_neg, i_neg)
UNARY(abs, fabs, i_abs)
UNARY(exp, exp, NULL)
UNARY(exp2, exp2, NULL)
UNARY(log, log, NULL)
UNARY(sqrt, sqrt, NULL)
UNARY(rsqrt, f_rsqrt, NULL)
UNARY(reciprocal, f_reciprocal, NULL)
UNARY(sin, sin, NULL)
UNARY(cos, cos, NULL)
UNARY(tanh, tanh, NULL)
UNARY(erf, erf, NULL)
UNARY(expm1, expm1, NULL)
UNARY(log1p, log1p, NULL)
UNARY(log2, log2, NULL)
UNARY(log10, log10, NULL)
UNARY(tan, tan, NULL)
UNARY(asin, asin, NULL)
UNARY(acos, acos, NULL)
UNARY(atan, atan, NULL)
UNARY(sinh, sinh, NULL)
UNARY(cosh, cosh, NULL)
UNARY(asinh, asinh, NULL)
UNARY(acosh, acosh, NULL)
UNARY(atanh, atanh, NULL)
UNARY(erfc, erfc, NULL)
UNARY(erfinv, f_erfinv, NULL)
UNARY(sigmoid, f_sigmoid, NULL)
UNARY(silu, f_silu, NULL)
UNARY(relu, f_relu, i_relu)
UNARY(floor, floor, i_same)
UNARY(ceil, ceil, i_same)
UNARY(round, nearbyint, i_same)
UNARY(bitwise_not, NULL, n->results[0]->type.dtype == JC_B8 ? b_not : i_not) /* ~True is False, not -2 */

jitc_status jc_ev_signbit(jc_ev *ev, const jc_node *n) {
    pointwise p;
    JC_TRY(begin(ev, n, 1, &p));
    if (p.f)
        return unsupported(ev, n, p.out->dtype);
    const bool plain = ev->how & JC_EVAL_GPU && jc_operand_dtype(n) == JC_F16; /* a NaN has no sign */
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        const double x = jc_ev_f(&p.in[0], p.it.at[0]);
        p.i[p.it.at[1]] = p.in[0].i ? p.in[0].i[p.it.at[0]] < 0 : signbit(x) && !(plain && x != x);
    }
    return JITC_OK;
}

static double gelu_erf(double x) { return 0.5 * x * (1 + erf(x * 0.70710678118654752440)); }
static double gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

jitc_status jc_ev_gelu(jc_ev *ev, const jc_node *n) {
    pointwise p;
    JC_TRY(begin(ev, n, 1, &p));
    if (!p.f)
        return unsupported(ev, n, p.out->dtype);
    bool approximate = n->args[1].kind == JC_ARG_BOOL && n->args[1].b;
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        double x = jc_ev_f(&p.in[0], p.it.at[0]);
        p.f[p.it.at[1]] = approximate ? gelu_tanh(x) : gelu_erf(x);
    }
    return JITC_OK;
}

jitc_status jc_ev_softplus(jc_ev *ev, const jc_node *n) {
    pointwise p;
    double beta, threshold;
    int64_t i;
    bool floating;
    JC_TRY(begin(ev, n, 1, &p));
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[1], &beta, &i, &floating));
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[2], &threshold, &i, &floating));
    if (!p.f)
        return unsupported(ev, n, p.out->dtype);
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        double x = jc_ev_f(&p.in[0], p.it.at[0]);
        p.f[p.it.at[1]] = x * beta > threshold ? x : log1p(exp(x * beta)) / beta;
    }
    return JITC_OK;
}

jitc_status jc_ev_cast_op(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor from, out;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &from));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (!jc_ev_broadcast(&from, out.rank, out.dims, &from))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The operand's dims are not the result's.");
    jc_ev_copy(ev, &from, &out);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* ---- two operands ---- */

static double f_add(double a, double b) { return a + b; }
static double f_sub(double a, double b) { return a - b; }
static double f_mul(double a, double b) { return a * b; }
static double f_div(double a, double b) { return a / b; }
static double f_minimum(double a, double b) { return a != a || b != b ? a + b : b < a ? b : a; } /* of zeros the first */
static double f_maximum(double a, double b) { return a != a || b != b ? a + b : b > a ? b : a; }

/* The sign of the divisor, as in Python. */
static double f_remainder(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Not floor(a / b), whose quotient may round up to the next integer: the remainder is taken off first. */
static double f_floordiv(double a, double b) {
    if (b == 0)
        return a / b;
    double r = fmod(a, b), q = (a - r) / b;
    if (r != 0 && (r < 0) != (b < 0))
        q -= 1;
    return q == 0 ? copysign(0, a / b) : q - floor(q) > 0.5 ? floor(q) + 1 : floor(q);
}

#define WRAPPING(name, op)                                                                         \
    static int64_t name(int64_t a, int64_t b) { return (int64_t)((uint64_t)a op (uint64_t)b); }
WRAPPING(i_add, +)
WRAPPING(i_sub, -)
WRAPPING(i_mul, *)
WRAPPING(i_and, &)
WRAPPING(i_or, |)
WRAPPING(i_xor, ^)
static int64_t i_minimum(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t i_maximum(int64_t a, int64_t b) { return a > b ? a : b; }

/* B is not 0: the caller has looked. */
static int64_t i_floordiv(int64_t a, int64_t b) {
    if (b == -1)
        return i_neg(a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
static int64_t i_remainder(int64_t a, int64_t b) {
    if (b == -1)
        return 0;
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t i_pow(int64_t a, int64_t b) {
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    int64_t r = 1;
    for (; b > 0; b >>= 1, a = i_mul(a, a))
        r = b & 1 ? i_mul(r, a) : r;
    return r;
}

/* By the width or more everything is shifted out; the caller has masked U8 to its width. */
static int64_t i_shl(int64_t a, int64_t b) { return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b); }
static int64_t i_shr(int64_t a, int64_t b) { return a >> (b < 0 || b > 63 ? 63 : b); }

/* F on floats, I on integers; NULL where the operator has no meaning for them.  DIVIDES: not by an integer 0. */
static jitc_status binary(jc_ev *ev, const jc_node *n, double (*f)(double, double), int64_t (*i)(int64_t, int64_t),
                          bool divides) {
    pointwise p;
    JC_TRY(begin(ev, n, 2, &p));
    if (p.f && f) {
        for (; p.it.left > 0; jc_ev_next(&p.it))
            p.f[p.it.at[2]] = f(jc_ev_f(&p.in[0], p.it.at[0]), jc_ev_f(&p.in[1], p.it.at[1]));
        return JITC_OK;
    }
    if (p.f || !i)
        return unsupported(ev, n, p.out->dtype);
    JC_TRY(only_integers(ev, n, &p, 2));
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        int64_t a = p.in[0].i[p.it.at[0]], b = p.in[1].i[p.it.at[1]];
        if (divides && b == 0)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "An integer is divided by zero.");
        p.i[p.it.at[2]] = jc_ev_wrap(p.out->dtype, i(a, b));
    }
    return JITC_OK;
}

#define BINARY(name, f, i)                                                                         \
    jitc_status jc_ev_##name(jc_ev *ev, const jc_node *n) { return binary(ev, n, f, i, false); }
#define DIVISION(name, f, i)                                                                       \
    jitc_status jc_ev_##name(jc_ev *ev, const jc_node *n) { return binary(ev, n, f, i, true); }
BINARY(add, f_add, i_add)
BINARY(sub, f_sub, i_sub)
BINARY(mul, f_mul, i_mul)

/* CUDA's kernels multiply by the inverse of a number. */
static double f_times_inverse(double a, double b) { return a * (1 / b); }
static double f_times_inverse_single(double a, double b) { return a * (double)(1 / (float)b); }
jitc_status jc_ev_div(jc_ev *ev, const jc_node *n) {
    const bool inverts = ev->how & JC_EVAL_GPU && n->args[1].kind != JC_ARG_VALUE;
    const bool singles = ev->how & JC_EVAL_EAGER && n->results[0]->type.dtype != JC_F64;
    return binary(ev, n, !inverts ? f_div : singles ? f_times_inverse_single : f_times_inverse, NULL, false);
}

/* A / B in PyTorch's steps, each rounded: of a far quotient they are not exact.  INVERTS: a product by 1/b; STEPS, WHOLE: what keeps each step
   and the whole number. */
static double floordiv_steps(double a, double b, bool inverts, jc_dtype steps, jc_dtype whole) {
    const double inverse = jc_round_to(inverts ? steps : JC_F64, 1 / b), plain = inverts ? a * inverse : a / b;
    if (b == 0)
        return plain;
    const double r = fmod(a, b), left = jc_ev_rounded((uint8_t)steps, a - r);
    double q = jc_ev_rounded((uint8_t)steps, inverts ? left * inverse : left / b);
    if (r != 0 && (r < 0) != (b < 0))
        q = jc_ev_rounded((uint8_t)steps, q - 1);
    if (q == 0)
        return copysign(0, plain);
    const double down = jc_ev_rounded((uint8_t)whole, floor(q));
    return jc_ev_rounded((uint8_t)steps, q - down) > 0.5 ? jc_ev_rounded((uint8_t)whole, down + 1) : down;
}

/* Eager: steps are of f32 at least, but those of two tensors on a CPU.  GPUs keep the whole number in the operands' dtype, and multiply by the
   inverse of a number. */
jitc_status jc_ev_floordiv(jc_ev *ev, const jc_node *n) {
    const jc_dtype dtype = (jc_dtype)n->results[0]->type.dtype, wide = dtype == JC_F64 ? JC_F64 : JC_F32;
    const bool gpu = ev->how & JC_EVAL_GPU, inverts = gpu && n->args[1].kind != JC_ARG_VALUE;
    pointwise p;
    if (!(ev->how & JC_EVAL_EAGER) || !jc_is_float((uint8_t)dtype))
        return binary(ev, n, f_floordiv, i_floordiv, true);
    JC_TRY(begin(ev, n, 2, &p));
    bool number = true; /* or a tensor that is one */
    for (int d = 0; n->args[1].kind == JC_ARG_VALUE && d < n->args[1].value->type.rank; d++)
        number = number && jc_ex_is(n->args[1].value->type.dims[d], 1);
    const jc_dtype steps = gpu || number ? wide : dtype, whole = !gpu && number ? wide : dtype;
    for (; p.it.left > 0; jc_ev_next(&p.it))
        p.f[p.it.at[2]] = floordiv_steps(jc_ev_f(&p.in[0], p.it.at[0]), jc_ev_f(&p.in[1], p.it.at[1]), inverts, steps, whole);
    return JITC_OK;
}
DIVISION(remainder, f_remainder, i_remainder)
BINARY(pow, pow, i_pow)
BINARY(atan2, atan2, NULL)
BINARY(hypot, hypot, NULL)
BINARY(minimum, f_minimum, i_minimum)
BINARY(maximum, f_maximum, i_maximum)
BINARY(bitand, NULL, i_and)
BINARY(bitor, NULL, i_or)
BINARY(bitxor, NULL, i_xor)
BINARY(shl, NULL, i_shl)
BINARY(shr, NULL, i_shr)

static jitc_status compare(jc_ev *ev, const jc_node *n, bool (*f)(double, double), bool (*i)(int64_t, int64_t)) {
    pointwise p;
    JC_TRY(begin(ev, n, 2, &p));
    if (p.f)
        return unsupported(ev, n, p.out->dtype);
    bool ints = p.in[0].i && p.in[1].i;
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        int64_t a = p.it.at[0], b = p.it.at[1];
        p.i[p.it.at[2]] = ints ? i(p.in[0].i[a], p.in[1].i[b]) : f(jc_ev_f(&p.in[0], a), jc_ev_f(&p.in[1], b));
    }
    return JITC_OK;
}

#define COMPARE(name, op)                                                                          \
    static bool f_##name(double a, double b) { return a op b; }                                    \
    static bool i_##name(int64_t a, int64_t b) { return a op b; }                                  \
    jitc_status jc_ev_##name(jc_ev *ev, const jc_node *n) { return compare(ev, n, f_##name, i_##name); }
COMPARE(eq, ==)
COMPARE(ne, !=)
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)

/* ---- three ---- */

/* The bound as an operand; an absent one never binds. */
static jitc_status bound(jc_ev *ev, const jc_node *n, uint32_t arg, double f, int64_t i, double *f_out, int64_t *i_out) {
    bool floating;
    *f_out = f;
    *i_out = i;
    if (n->args[arg].kind == JC_ARG_NONE)
        return JITC_OK;
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[arg], f_out, i_out, &floating));
    *f_out = jc_round_to((jc_dtype)n->results[0]->type.dtype, *f_out);
    *i_out = jc_ev_wrap(n->results[0]->type.dtype, *i_out);
    return JITC_OK;
}

jitc_status jc_ev_clamp(jc_ev *ev, const jc_node *n) {
    pointwise p;
    double f_lo, f_hi;
    int64_t i_lo, i_hi;
    JC_TRY(begin(ev, n, 1, &p));
    JC_TRY(bound(ev, n, 1, -INFINITY, INT64_MIN, &f_lo, &i_lo));
    JC_TRY(bound(ev, n, 2, INFINITY, INT64_MAX, &f_hi, &i_hi));
    if (!p.f)
        JC_TRY(only_integers(ev, n, &p, 1));
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        if (p.f) {
            double x = jc_ev_f(&p.in[0], p.it.at[0]);
            p.f[p.it.at[1]] = f_minimum(f_maximum(x, f_lo), f_hi);
        } else {
            int64_t x = p.in[0].i[p.it.at[0]];
            p.i[p.it.at[1]] = jc_ev_wrap(p.out->dtype, i_minimum(i_maximum(x, i_lo), i_hi));
        }
    }
    return JITC_OK;
}

/* a*b + c of f32 as a double that is rounded once if it is rounded to f32: a sum that doubles do not hold gets an odd last place, which
   no tie of f32 has. */
static double f_fma_of_singles(double a, double b, double c) {
    const double p = a * b, sum = p + c, other = sum - p, lost = (p - (sum - other)) + (c - other);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (!isfinite(sum) || lost == 0 || bits & 1)
        return sum;
    return nextafter(sum, lost > 0 ? INFINITY : -INFINITY);
}

jitc_status jc_ev_fma(jc_ev *ev, const jc_node *n) {
    pointwise p;
    JC_TRY(begin(ev, n, 3, &p));
    if (!p.f)
        return unsupported(ev, n, p.out->dtype);
    const bool singles = ev->how & JC_EVAL_EAGER && p.out->dtype != JC_F64;
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        const double a = jc_ev_f(&p.in[0], p.it.at[0]), b = jc_ev_f(&p.in[1], p.it.at[1]), c = jc_ev_f(&p.in[2], p.it.at[2]);
        p.f[p.it.at[3]] = singles ? f_fma_of_singles(a, b, c) : fma(a, b, c);
    }
    return JITC_OK;
}

jitc_status jc_ev_where(jc_ev *ev, const jc_node *n) {
    pointwise p;
    JC_TRY(begin(ev, n, 3, &p));
    if (!p.in[0].i)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The condition is not of dtype bool.");
    for (; p.it.left > 0; jc_ev_next(&p.it)) {
        int which = p.in[0].i[p.it.at[0]] ? 1 : 2;
        const jc_ev_operand *o = &p.in[which];
        if (p.f)
            p.f[p.it.at[3]] = jc_ev_f(o, p.it.at[which]);
        else if (o->i)
            p.i[p.it.at[3]] = jc_ev_wrap(p.out->dtype, o->i[p.it.at[which]]);
        else
            return unsupported(ev, n, p.out->dtype);
    }
    return JITC_OK;
}
