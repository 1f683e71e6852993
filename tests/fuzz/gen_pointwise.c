/*
 * tests/fuzz/gen_pointwise.c - pointwise statements: functions, arithmetic, comparisons, casts, choices.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

/* --- operands --- */

static bool fp8(uint8_t dtype) {
    return dtype == JC_F8E4M3FN || dtype == JC_F8E5M2;
}

bool fz_computable(const fz_prog *p, int value, const void *user) {
    (void)user;
    return !fp8(fz_at(p, value)->dtype) && !fz_range_of(p, value)->opaque && !fz_range_of(p, value)->wild;
}

bool fz_is_ordered(const fz_prog *p, int value, const void *user) {
    return fz_is_exact(p, value, user) || (fz_range_of(p, value)->wild && fz_range_of(p, value)->step > 0);
}

static bool is_chosen(const fz_prog *p, int value, const void *user) {
    return fz_computable(p, value, user) || fz_range_of(p, value)->wild || (p->bits && fz_range_of(p, value)->opaque);
}

static bool is_clamped(const fz_prog *p, int value, const void *user) {
    return fz_is_number(p, value, user) || fz_range_of(p, value)->wild;
}

bool fz_is_float(const fz_prog *p, int value, const void *user) {
    return fz_computable(p, value, user) && fz_class(p, value) == 'f';
}

bool fz_is_exact(const fz_prog *p, int value, const void *user) {
    return fz_computable(p, value, user) && fz_range_of(p, value)->step > 0;
}

bool fz_is_number(const fz_prog *p, int value, const void *user) {
    return fz_computable(p, value, user) && fz_class(p, value) != 'b';
}

static bool is_integer(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_class(p, value) == 'i' || fz_class(p, value) == 'u';
}

static bool is_whole(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_class(p, value) != 'f';
}

static bool is_bool(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_class(p, value) == 'b';
}

/* A tensor that WANT likes, or a fresh parameter, of DTYPE where it is not JC_DTYPE_COUNT. */
int fz_some(fz_prog *p, fz_want *want, uint8_t dtype) {
    int x = fz_chance(p, 85) ? fz_choose(p, want, NULL) : -1;
    if (x >= 0)
        return x;
    fz_size dims[4];
    static const uint8_t ranks[] = { 0, 1, 1, 2, 2, 2, 2, 3, 3, 4 };
    const int rank = FZ_PICK(p, ranks);
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    if (dtype == JC_DTYPE_COUNT)
        dtype = fz_some_dtype(p);
    x = fz_param(p, dtype, rank, dims, fz_some_range(p, dtype));
    fz_make_wild(p, x, want);
    return x;
}

static int some_that_is(fz_prog *p, fz_want *want) {
    uint8_t d;
    do
        d = fz_some_dtype(p);
    while (d == JC_B8);
    return fz_some(p, want, d);
}

int fz_some_number(fz_prog *p) {
    return some_that_is(p, fz_is_number);
}

int fz_some_float(fz_prog *p) {
    static const uint8_t floats[] = { JC_F32, JC_F32, JC_BF16, JC_F16, JC_F64 };
    return fz_some(p, fz_is_float, FZ_PICK(p, floats));
}

bool fz_broadcast(const fz_prog *p, const fz_value *a, const fz_value *b, int *rank, fz_size *dims) {
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int d = 0; d < *rank; d++) {
        const int i = d - (*rank - a->rank), k = d - (*rank - b->rank);
        if (i < 0 || (k >= 0 && fz_is(p, &a->dims[i], 1)))
            dims[d] = b->dims[k];
        else if (k < 0 || fz_is(p, &b->dims[k], 1) || fz_same(p, &a->dims[i], &b->dims[k]))
            dims[d] = a->dims[i];
        else
            return false;
    }
    return true;
}

typedef struct partner {
    int value;
    fz_want *want;
} partner;

static bool goes_with(const fz_prog *p, int value, const void *user) {
    const partner *with = user;
    fz_size dims[JC_MAX_RANK];
    int rank;
    return with->want(p, value, NULL) && fz_broadcast(p, fz_at(p, with->value), fz_at(p, value), &rank, dims);
}

int fz_partner(fz_prog *p, int value, fz_want *want) {
    const partner with = { value, want };
    int b = fz_chance(p, 70) ? fz_choose(p, goes_with, &with) : -1;
    if (b >= 0)
        return b;
    const fz_value v = *fz_at(p, value);
    uint8_t dtype = fz_chance(p, 75) ? v.dtype : fz_some_dtype(p);
    fz_size dims[JC_MAX_RANK];
    const int skip = fz_chance(p, 30) && v.rank ? fz_below(p, v.rank + 1) : 0;
    for (int d = skip; d < v.rank; d++)
        dims[d - skip] = fz_chance(p, 15) ? fz_int(1) : v.dims[d];
    for (int tries = 0; tries < 8; tries++, dtype = fz_some_dtype(p)) {
        const size_t values = p->values.n, storages = p->storages.n;
        b = fz_param(p, dtype, v.rank - skip, dims, fz_some_range(p, dtype));
        fz_make_wild(p, b, want);
        if (b < 0 || want(p, b, NULL))
            return b;
        p->values.n = values;
        p->storages.n = storages;
    }
    p->bad = true;
    return -1;
}

static uint8_t kind_of(uint8_t dtype) {
    static const uint8_t kind[128] = { ['b'] = 0, ['i'] = 1, ['u'] = 1, ['f'] = 2 };
    return kind[jc_dtypes[dtype].cls];
}

/* Tensors without dims count only where their kind is above that of all others. */
static uint8_t promotion_of(const fz_value *const *values, int n) {
    int common[2] = { -1, -1 }; /* of those without dims, and with */
    for (int i = 0; i < n; i++) {
        int *c = &common[values[i]->rank > 0];
        *c = *c < 0 ? values[i]->dtype : (int)jc_dtype_promote((jc_dtype)*c, (jc_dtype)values[i]->dtype);
    }
    if (common[0] < 0 || common[1] < 0)
        return (uint8_t)(common[0] < 0 ? common[1] : common[0]);
    return kind_of((uint8_t)common[0]) > kind_of((uint8_t)common[1]) ? (uint8_t)jc_dtype_promote((jc_dtype)common[1], (jc_dtype)common[0]) : (uint8_t)common[1];
}

uint8_t fz_promoted(const fz_prog *p, const int *operands, int n) {
    const fz_value *values[8];
    for (int i = 0; i < n; i++)
        values[i] = fz_at(p, operands[i]);
    return promotion_of(values, n);
}

static uint8_t promoted(const fz_value *a, const fz_value *b) {
    return promotion_of((const fz_value *[]){ a, b }, 2);
}

/* Is X, promoted to DTYPE, still what it was? */
bool fz_survives(const fz_prog *p, int x, uint8_t dtype) {
    const fz_range *r = fz_range_of(p, x);
    if (jc_dtypes[dtype].cls != 'f' || fz_at(p, x)->dtype == dtype)
        return true;
    const double m = fz_magnitude(*r);
    return m <= fz_largest(dtype) && (r->step == 0 ? fz_unit(dtype) <= fz_unit(fz_at(p, x)->dtype) : m / r->step <= 1 / fz_unit(dtype));
}

/* --- functions --- */

bool fz_apply(double (*f)(double), double lo, double hi, fz_range *r) {
    enum { POINTS = 200 };
    const double a = r->lo - r->err, b = r->hi + r->err, h = (b - a) / POINTS;
    if (a < lo || b > hi || r->opaque)
        return false;
    double least = INFINITY, most = -INFINITY, slope = 0, before = 0;
    for (int i = 0; i <= POINTS; i++) {
        const double y = f(a + h * i);
        if (!isfinite(y))
            return false;
        least = fmin(least, y);
        most = fmax(most, y);
        if (i && h > 0)
            slope = fmax(slope, fabs(y - before) / h);
        before = y;
    }
    const double margin = slope * h;
    r->lo = least - margin;
    r->hi = most + margin;
    r->err = 1.5 * slope * r->err + fz_magnitude(*r) * 0x1p-17;
    r->step = 0;
    return true;
}

static double f_rsqrt(double x) { return 1 / sqrt(x); }
static double f_reciprocal(double x) { return 1 / x; }
static double f_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double f_silu(double x) { return x * f_sigmoid(x); }
static double f_gelu(double x) { return 0.5 * x * (1 + erf(x / sqrt(2))); }
static double f_softplus(double x) { return log1p(exp(x)); }
static double f_square(double x) { return x * x; }
static double f_elu(double x) { return x > 0 ? x : expm1(x); }
static double f_selu(double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)); }
static double f_mish(double x) { return x * tanh(log1p(exp(x))); }
static double f_hardsigmoid(double x) { return fmin(fmax(x + 3, 0), 6) / 6; }
static double f_hardswish(double x) { return x * f_hardsigmoid(x); }
static double f_hardtanh(double x) { return fmin(fmax(x, -1), 1); }
static double f_leaky(double x) { return x > 0 ? x : 0.01 * x; }
static double f_logsigmoid(double x) { return fmin(x, 0) - log1p(exp(-fabs(x))); }
static double f_softsign(double x) { return x / (fabs(x) + 1); }
static double f_sinc(double x) { return x == 0 ? 1 : sin(3.14159265358979323846 * x) / (3.14159265358979323846 * x); }
static double f_logit(double x) { return log(x / (1 - x)); }
static double f_deg2rad(double x) { return x * 0.017453292519943295; }
static double f_ndtr(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static double f_entr(double x) { return -x * log(x); }
/* Nearly, which will do for its range. */
static double f_erfinv(double y) {
    const double l = log(1 - y * y), a = 2 / (3.14159265358979323846 * 0.147) + l / 2;
    return copysign(sqrt(sqrt(a * a - l / 0.147) - a), y);
}

static const struct {
    const char *name, *rest;
    double (*f)(double);
    double lo, hi;
    bool floats; /* it takes no integers */
} functions[] = {
    { "exp", "", exp, -20, 6, false },          { "exp2", "", exp2, -20, 8, false },
    { "log", "", log, 0.02, 1e6, false },       { "sqrt", "", sqrt, 0.02, 1e6, false },
    { "rsqrt", "", f_rsqrt, 0.02, 1e6, false }, { "reciprocal", "", f_reciprocal, 0.05, 1e6, false },
    { "reciprocal", "", f_reciprocal, -1e6, -0.05, false },
    { "sin", "", sin, -20, 20, false },         { "cos", "", cos, -20, 20, false },
    { "tanh", "", tanh, -50, 50, false },       { "erf", "", erf, -50, 50, false },
    { "sigmoid", "", f_sigmoid, -50, 50, false }, { "silu", "", f_silu, -50, 50, true },
    { "gelu", "", f_gelu, -50, 50, true },      { "gelu", "approximate = 'tanh'", f_gelu, -50, 50, true },
    { "softplus", "", f_softplus, -30, 19, true }, { "square", "", f_square, -100, 100, true },
    { "expm1", "", expm1, -20, 6, false }, { "log1p", "", log1p, -0.9, 1000000.0, false },
    { "log2", "", log2, 0.02, 1000000.0, false }, { "log10", "", log10, 0.02, 1000000.0, false },
    { "tan", "", tan, -1.3, 1.3, false }, { "asin", "", asin, -0.95, 0.95, false },
    { "acos", "", acos, -0.95, 0.95, false }, { "atan", "", atan, -50, 50, false },
    { "sinh", "", sinh, -6, 6, false }, { "cosh", "", cosh, -6, 6, false },
    { "asinh", "", asinh, -50, 50, false }, { "acosh", "", acosh, 1.1, 10000.0, false },
    { "atanh", "", atanh, -0.9, 0.9, false }, { "erfc", "", erfc, -5, 5, false },
    { "erfinv", "", f_erfinv, -0.9, 0.9, false }, { "arctan", "", atan, -50, 50, false },
    { "expit", "", f_sigmoid, -50, 50, false }, { "elu", "", f_elu, -20, 20, true },
    { "celu", "", f_elu, -20, 20, true }, { "selu", "", f_selu, -20, 20, true },
    { "mish", "", f_mish, -20, 20, true }, { "hardswish", "", f_hardswish, -50, 50, true },
    { "hardsigmoid", "", f_hardsigmoid, -50, 50, true }, { "leaky_relu", "", f_leaky, -50, 50, true },
    { "logsigmoid", "", f_logsigmoid, -30, 30, true }, { "softsign", "", f_softsign, -50, 50, true },
    { "sinc", "", f_sinc, -5, 5, true },
    { "logit", "", f_logit, 0.05, 0.95, true }, { "deg2rad", "", f_deg2rad, -10000.0, 10000.0, true },
    { "hardtanh", "", f_hardtanh, -50, 50, true }, { "ndtr", "", f_ndtr, -5, 5, true },
    { "entr", "", f_entr, 0.05, 50, true },
};

/* A parameter within the domain of function K. */
static int within_domain(fz_prog *p, int k) {
    static const uint8_t floats[] = { JC_F32, JC_F32, JC_BF16, JC_F64 };
    fz_size dims[3];
    const int rank = 1 + fz_below(p, 3);
    const double lo = ceil(fmax(functions[k].lo, -4) * 16) / 16, hi = floor(fmin(functions[k].hi, 4) * 16) / 16;
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    return fz_param(p, FZ_PICK(p, floats), rank, dims, fz_interval(lo, hi, 0.0625));
}

static bool make_function(fz_prog *p) {
    const int k = fz_below(p, (int)(sizeof functions / sizeof *functions));
    const bool floats = functions[k].floats || fz_chance(p, 80);
    const int x = fz_chance(p, 40) ? within_domain(p, k) : floats ? fz_some_float(p) : fz_some(p, fz_computable, JC_DTYPE_COUNT);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_range r = *fz_range_of(p, x);
    if (!fz_apply(functions[k].f, functions[k].lo, functions[k].hi, &r))
        return false;
    if (v.dtype == JC_F64) /* what fz_apply has for f32 is all slack */
        r.err -= fz_magnitude(r) * (0x1p-17 - 0x1p-40);
    fz_begin(p);
    fz_call(p, functions[k].name, x, functions[k].rest);
    return fz_gives(p, fz_result(p, jc_dtypes[v.dtype].cls == 'f' ? v.dtype : JC_F32, v.rank, v.dims, r));
}

/* Those that keep what is exact exact. */
static bool make_simple(fz_prog *p) {
    static const char *const names[] = { "neg", "negative", "abs", "absolute", "relu", "floor", "ceil", "round", "trunc" };
    const int k = fz_below(p, 9), x = some_that_is(p, k < 5 ? is_clamped : fz_is_number);
    if (x < 0 || (k >= 5 && fz_range_of(p, x)->step == 0))
        return false;
    const fz_value v = *fz_at(p, x);
    fz_range r = *fz_range_of(p, x), full;
    if (k < 4 && fz_full(v.dtype, &full) && (full.lo == r.lo || jc_dtypes[v.dtype].cls == 'u'))
        r = full; /* -(-128) wraps */
    else if (k < 2)
        r.lo = -fz_range_of(p, x)->hi, r.hi = -fz_range_of(p, x)->lo;
    else if (k < 4)
        r.hi = fz_magnitude(r), r.lo = fmin(0, r.hi);
    else if (k == 4)
        r.lo = fmax(r.lo, 0), r.hi = fmax(r.hi, 0);
    else if (jc_dtypes[v.dtype].cls == 'f')
        r.lo = floor(r.lo), r.hi = ceil(r.hi), r.step = 1;
    fz_begin(p);
    if (k == 0 && fz_chance(p, 50))
        fz_put(p, "-%v", x);
    else
        fz_call(p, names[k], x, "");
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* --- arithmetic --- */

static bool r_add(fz_range a, fz_range b, fz_range *r) {
    *r = (fz_range){ a.lo + b.lo, a.hi + b.hi, a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0, a.err + b.err, false, false, false };
    return true;
}

static bool r_sub(fz_range a, fz_range b, fz_range *r) {
    *r = (fz_range){ a.lo - b.hi, a.hi - b.lo, a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0, a.err + b.err, false, false, false };
    return true;
}

static void corners(fz_range a, fz_range b, double (*f)(double, double), fz_range *r) {
    const double c[4] = { f(a.lo, b.lo), f(a.lo, b.hi), f(a.hi, b.lo), f(a.hi, b.hi) };
    r->lo = fmin(fmin(c[0], c[1]), fmin(c[2], c[3]));
    r->hi = fmax(fmax(c[0], c[1]), fmax(c[2], c[3]));
}

static double product(double a, double b) { return a * b; }
static double quotient(double a, double b) { return a / b; }

static bool r_mul(fz_range a, fz_range b, fz_range *r) {
    corners(a, b, product, r);
    r->step = a.step * b.step;
    r->err = fz_magnitude(a) * b.err + fz_magnitude(b) * a.err + a.err * b.err;
    return true;
}

static bool nonzero(fz_range b) {
    return b.lo - b.err >= 0.1 || b.hi + b.err <= -0.1;
}

static bool r_div(fz_range a, fz_range b, fz_range *r) {
    if (!nonzero(b))
        return false;
    corners(a, b, quotient, r);
    const double least = fmin(fabs(b.lo), fabs(b.hi)) - b.err;
    r->err = a.err / least + fz_magnitude(a) * b.err / (least * least) + fz_magnitude(*r) * 0x1p-20;
    r->step = 0;
    return true;
}

static bool r_floordiv(fz_range a, fz_range b, fz_range *r) {
    if (!nonzero(b) || a.step == 0 || b.step == 0 || fz_magnitude(a) / a.step > 1e4 || fz_magnitude(b) / b.step > 1e4)
        return false;
    corners(a, b, quotient, r);
    *r = fz_interval(floor(r->lo) - 1, ceil(r->hi) + 1, 1);
    return true;
}

static bool r_remainder(fz_range a, fz_range b, fz_range *r) {
    if (!nonzero(b) || a.step == 0 || b.step == 0 || fz_magnitude(a) / a.step > 1e4 || fz_magnitude(b) / b.step > 1e4)
        return false;
    *r = fz_interval(fmin(b.lo, 0), fmax(b.hi, 0), fmin(a.step, b.step));
    return true;
}

static bool r_fmod(fz_range a, fz_range b, fz_range *r) {
    if (!r_remainder(a, b, r))
        return false;
    const double m = fz_magnitude(b);
    *r = fz_interval(a.lo < 0 ? -m : 0, a.hi > 0 ? m : 0, r->step);
    return true;
}

static bool r_min(fz_range a, fz_range b, fz_range *r) {
    *r = (fz_range){ fmin(a.lo, b.lo), fmin(a.hi, b.hi), a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0,
                     fmax(a.err, b.err), false, false, a.wild || b.wild };
    return true;
}

static bool r_max(fz_range a, fz_range b, fz_range *r) {
    *r = (fz_range){ fmax(a.lo, b.lo), fmax(a.hi, b.hi), a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0,
                     fmax(a.err, b.err), false, false, a.wild || b.wild };
    return true;
}

/* Of integers, anything within their bits. */
static bool r_bits(fz_range a, fz_range b, fz_range *r) {
    const double m = fmax(fz_magnitude(a), fz_magnitude(b));
    const double top = m < 1 ? 1 : exp2(floor(log2(m)) + 1);
    const bool negative = a.lo < 0 || b.lo < 0;
    *r = fz_interval(negative ? -top : 0, m <= 1 && !negative ? 1 : top - 1, 1);
    return true;
}

static bool r_shl(fz_range a, fz_range b, fz_range *r) {
    if (b.lo < 0 || b.hi > 7)
        return false;
    const double by = exp2(b.hi);
    *r = fz_interval(fmin(a.lo * by, a.lo), fmax(a.hi * by, a.hi), 1);
    return true;
}

static bool r_shr(fz_range a, fz_range b, fz_range *r) {
    if (b.lo < 0 || b.hi > 7)
        return false;
    *r = fz_interval(fmin(a.lo, 0), fmax(a.hi, 0), 1);
    return true;
}

const struct fz_binary fz_binaries[] = {
    { "add", "+", r_add, false, false, false, true },
    { "sub", "-", r_sub, false, false, false, false },
    { "subtract", NULL, r_sub, false, false, false, false },
    { "mul", "*", r_mul, false, false, false, true },
    { "multiply", NULL, r_mul, false, false, false, true },
    { "div", "/", r_div, false, false, true, true },
    { "true_divide", NULL, r_div, false, false, true, true },
    { "floor_divide", "//", r_floordiv, false, true, false, false },
    { "remainder", "%", r_remainder, false, true, false, false },
    { "fmod", NULL, r_fmod, false, true, false, false },
    { "minimum", NULL, r_min, false, false, false, true },
    { "maximum", NULL, r_max, false, false, false, true },
    { "bitwise_and", "&", r_bits, true, true, false, true },
    { "bitwise_or", "|", r_bits, true, true, false, true },
    { "bitwise_xor", "^", r_bits, true, true, false, true },
    { "bitwise_left_shift", "<<", r_shl, true, true, false, false },
    { "bitwise_right_shift", ">>", r_shr, true, true, false, false },
    { 0 },
};
#define NBINARIES ((int)(sizeof fz_binaries / sizeof *fz_binaries) - 1)

static int binary_operand(fz_prog *p, const struct fz_binary *b) {
    if (p->wild && (b->arith == r_min || b->arith == r_max))
        return some_that_is(p, fz_is_ordered);
    if (b->ints_only)
        return fz_some(p, b->bools ? is_whole : is_integer, fz_chance(p, 30) && b->bools ? JC_B8 : JC_I32);
    return b->bools && fz_chance(p, 20) ? fz_some(p, fz_computable, JC_DTYPE_COUNT) : fz_some_number(p);
}

static bool make_binary(fz_prog *p) {
    const struct fz_binary *op = &fz_binaries[fz_below(p, NBINARIES)];
    const int a = binary_operand(p, op);
    fz_want *want = op->ints_only ? (op->bools ? is_whole : is_integer) : p->wild && (op->arith == r_min || op->arith == r_max) ? fz_is_ordered : fz_computable;
    const int b = a < 0 ? -1 : fz_chance(p, 10) ? a : fz_partner(p, a, want);
    fz_size dims[JC_MAX_RANK];
    fz_range r = { 0 };
    int rank;
    if (a < 0 || b < 0 || !fz_broadcast(p, fz_at(p, a), fz_at(p, b), &rank, dims))
        return false;
    uint8_t dtype = promoted(fz_at(p, a), fz_at(p, b));
    const char cls = (char)jc_dtypes[dtype].cls;
    if ((cls == 'b' && !op->bools) || !fz_survives(p, a, dtype) || !fz_survives(p, b, dtype) ||
        !op->arith(*fz_range_of(p, a), *fz_range_of(p, b), &r))
        return false;
    if (op->divides && cls != 'f')
        dtype = JC_F32;
    else if (cls == 'b')
        r = fz_interval(0, 1, 1);
    const bool swap = fz_chance(p, 50);
    fz_begin(p);
    if (op->infix && fz_chance(p, 60))
        fz_put(p, "%v %s %v", a, op->infix, b);
    else if (strcmp(op->name, "sub") == 0 && swap)
        fz_call(p, "rsub", b, "%v", a);
    else
        fz_call(p, op->name, a, "%v", b);
    return fz_gives(p, fz_result(p, dtype, rank, dims, r));
}

/* A tensor and a number, on either side. */
static bool make_scalar(fz_prog *p) {
    const struct fz_binary *op = &fz_binaries[fz_below(p, 9)];
    const int x = fz_some_number(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool floating = jc_dtypes[v.dtype].cls == 'f', left = op->infix && fz_chance(p, 25);
    const double k = floating && fz_chance(p, 70) ? fz_pick_number(p, -3, 3, 0.25) : fz_pick_number(p, jc_dtypes[v.dtype].cls == 'u' ? 0 : -4, 5, 1);
    const bool whole = k == floor(k) && (!floating || fz_chance(p, 40));
    fz_range number = fz_interval(k, k, floating && !whole ? 0.25 : 1), r = { 0 };
    const fz_range mine = *fz_range_of(p, x);
    if (!op->arith(left ? number : mine, left ? mine : number, &r))
        return false;
    fz_begin(p);
    const char *text = whole ? jc_arena_printf(p->arena, "%d", (int)k) : jc_arena_printf(p->arena, "%.2f", k);
    if (left)
        fz_put(p, "%s %s %v", text, op->infix, x);
    else if (op->infix && fz_chance(p, 60))
        fz_put(p, "%v %s %s", x, op->infix, text);
    else
        fz_call(p, op->name, x, "%s", text);
    return fz_gives(p, fz_result(p, op->divides && !floating ? JC_F32 : v.dtype, v.rank, v.dims, r));
}

static double f_cube(double x) { return x * x * x; }
static double f_two_to(double x) { return exp2(x); }

static bool make_pow(fz_prog *p) {
    static const struct {
        const char *text;
        double (*f)(double);
        double lo, hi;
        bool ints;
    } powers[] = { { "2", f_square, -60, 60, true },        { "3", f_cube, -15, 15, true },  { "0.5", sqrt, 0.05, 1e4, false },
                   { "-1", f_reciprocal, 0.1, 1e4, false }, { "-0.5", f_rsqrt, 0.05, 1e4, false }, { "2.0", f_square, -60, 60, false } };
    const int k = fz_below(p, 7), x = k < 2 && fz_chance(p, 50) ? fz_some_number(p) : fz_some_float(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_range r = *fz_range_of(p, x);
    const double step = r.step;
    if (k == 6 ? !fz_apply(f_two_to, -8, 8, &r) : !fz_apply(powers[k].f, powers[k].lo, powers[k].hi, &r))
        return false;
    if (step > 0 && (k < 2 || k == 5)) {
        r.step = pow(step, k == 1 ? 3 : 2);
        r.err = 0;
        if (k == 1 && v.dtype == JC_F64) /* by way of a logarithm */
            r.step = 0, r.err = 1e-12 * fz_magnitude(r);
        if (r.step > 0)
            r.lo = floor(r.lo / r.step) * r.step, r.hi = ceil(r.hi / r.step) * r.step;
    }
    fz_begin(p);
    if (k == 6)
        fz_put(p, "2.0 ** %v", x);
    else if (fz_chance(p, 50))
        fz_put(p, "%v ** %s", x, powers[k].text);
    else
        fz_call(p, "pow", x, "%s", powers[k].text);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

static bool make_addcmul(fz_prog *p) {
    const int x = fz_some_float(p), a = x < 0 ? -1 : fz_partner(p, x, fz_is_float), b = a < 0 ? -1 : fz_partner(p, x, fz_is_float);
    fz_size dims[JC_MAX_RANK], all[JC_MAX_RANK];
    fz_range ab = { 0 }, r = { 0 };
    int rank, rank_all;
    if (b < 0 || !fz_broadcast(p, fz_at(p, a), fz_at(p, b), &rank, dims))
        return false;
    fz_value ab_like = *fz_at(p, a);
    ab_like.rank = (uint8_t)rank;
    memcpy(ab_like.dims, dims, sizeof dims);
    ab_like.dtype = promoted(fz_at(p, a), fz_at(p, b));
    const uint8_t inner = ab_like.dtype, dtype = promoted(fz_at(p, x), &ab_like);
    if (!fz_survives(p, a, inner) || !fz_survives(p, b, inner) || !fz_survives(p, x, dtype) ||
        !fz_broadcast(p, fz_at(p, x), &ab_like, &rank_all, all) || !r_mul(*fz_range_of(p, a), *fz_range_of(p, b), &ab) ||
        !fz_settle(&ab, inner) || fz_unit(dtype) > fz_unit(inner) || !r_add(*fz_range_of(p, x), ab, &r))
        return false;
    fz_begin(p);
    fz_call(p, "addcmul", x, "%v, %v", a, b);
    return fz_gives(p, fz_result(p, dtype, rank_all, all, r));
}

/* --- comparisons, bools --- */

static bool make_compare(fz_prog *p) {
    static const struct {
        const char *name, *infix;
    } ops[] = { { "eq", "==" },          { "ne", "!=" }, { "lt", "<" },    { "le", "<=" },        { "gt", ">" },
                { "ge", ">=" },          { "not_equal", NULL }, { "less", NULL }, { "less_equal", NULL }, { "greater", NULL },
                { "greater_equal", NULL } };
    const int k = fz_below(p, 11), a = fz_some(p, fz_is_ordered, JC_DTYPE_COUNT);
    if (a < 0)
        return false;
    const fz_value v = *fz_at(p, a);
    fz_size dims[JC_MAX_RANK];
    int rank = v.rank, b = -1;
    memcpy(dims, v.dims, sizeof dims);
    const bool number = jc_dtypes[v.dtype].cls != 'b' && fz_chance(p, 40);
    if (!number) {
        b = fz_partner(p, a, fz_is_ordered);
        if (b < 0 || !fz_broadcast(p, &v, fz_at(p, b), &rank, dims))
            return false;
        const uint8_t common = promoted(fz_at(p, a), fz_at(p, b));
        if (!fz_survives(p, a, common) || !fz_survives(p, b, common))
            return false;
        fz_range full;
        if (fz_full(common, &full) && (fz_range_of(p, a)->lo < full.lo || fz_range_of(p, b)->lo < full.lo))
            return false;
    }
    fz_begin(p);
    const char *text = jc_arena_printf(p->arena, jc_dtypes[v.dtype].cls == 'f' && fz_chance(p, 60) ? "%d.5" : "%d", fz_below(p, 4));
    if (number && ops[k].infix)
        fz_put(p, "%v %s %s", a, ops[k].infix, text);
    else if (number)
        fz_call(p, ops[k].name, a, "%s", text);
    else if (ops[k].infix && fz_chance(p, 60))
        fz_put(p, "%v %s %v", a, ops[k].infix, b);
    else
        fz_call(p, ops[k].name, a, "%v", b);
    return fz_gives(p, fz_result(p, JC_B8, rank, dims, fz_interval(0, 1, 1)));
}

/* Signs, and what is finite: of what is known exactly. */
static bool make_sign(fz_prog *p) {
    static const char *const names[] = { "sign", "sgn", "signbit", "isfinite", "isinf", "isposinf", "isneginf" };
    const int x = fz_some(p, fz_is_exact, JC_DTYPE_COUNT), k = fz_below(p, 7);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    if (k == 2 && (jc_dtypes[v.dtype].cls == 'f' || jc_dtypes[v.dtype].cls == 'b')) /* -0 */
        return false;
    fz_begin(p);
    fz_call(p, names[k], x, "");
    return fz_gives(p, k < 2 ? fz_result(p, v.dtype, v.rank, v.dims, fz_interval(-1, 1, 1)) : fz_result(p, JC_B8, v.rank, v.dims, fz_interval(0, 1, 1)));
}

/* atan2 and hypot of what is away from 0, and copysign by it. */
static bool make_polar(fz_prog *p) {
    static const char *const names[] = { "atan2", "hypot", "copysign" };
    const int a = fz_some_float(p), b = a < 0 ? -1 : fz_partner(p, a, fz_is_float), k = fz_below(p, 3);
    fz_size dims[JC_MAX_RANK];
    int rank;
    if (b < 0 || !fz_broadcast(p, fz_at(p, a), fz_at(p, b), &rank, dims) || !nonzero(*fz_range_of(p, b)))
        return false;
    const uint8_t dtype = promoted(fz_at(p, a), fz_at(p, b));
    const fz_range x = *fz_range_of(p, a), y = *fz_range_of(p, b);
    if (!fz_survives(p, a, dtype) || !fz_survives(p, b, dtype) || (k == 0 && x.lo - x.err <= 0.01))
        return false;
    const double least = fmin(fabs(y.lo), fabs(y.hi)) - y.err, m = k == 0 ? 3.2 : k == 1 ? hypot(fz_magnitude(x), fz_magnitude(y)) : fz_magnitude(x);
    fz_range r = { k == 1 ? 0 : -m, m, 0, k == 0 ? (x.err + y.err) / least : x.err + (k == 1 ? y.err : 0), false, false, false };
    r.err += m * 0x1p-18;
    fz_begin(p);
    fz_call(p, names[k], a, "%v", b);
    return fz_gives(p, fz_result(p, dtype, rank, dims, r));
}

static bool make_logical(fz_prog *p) {
    static const char *const names[] = { "logical_and", "logical_or", "logical_xor" };
    const int a = fz_some(p, fz_is_ordered, JC_DTYPE_COUNT), k = fz_below(p, 5);
    if (a < 0)
        return false;
    const fz_value v = *fz_at(p, a);
    const int b = k < 3 ? fz_partner(p, a, fz_is_ordered) : a;
    fz_size dims[JC_MAX_RANK];
    int rank;
    if (b < 0 || !fz_broadcast(p, &v, fz_at(p, b), &rank, dims))
        return false;
    fz_begin(p);
    if (k < 3)
        fz_call(p, names[k], a, "%v", b);
    else
        fz_call(p, k == 3 ? "logical_not" : "isnan", a, "");
    return fz_gives(p, fz_result(p, JC_B8, rank, dims, fz_interval(0, 1, 1)));
}

static bool make_not(fz_prog *p) {
    const int x = fz_some(p, is_whole, fz_chance(p, 50) ? JC_B8 : JC_I32);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_range r = *fz_range_of(p, x);
    if (jc_dtypes[v.dtype].cls != 'b') {
        const double lo = r.lo;
        r.lo = -1 - r.hi;
        r.hi = -1 - lo;
    }
    fz_begin(p);
    if (fz_chance(p, 50))
        fz_put(p, "~%v", x);
    else
        fz_call(p, "bitwise_not", x, "");
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* --- choices --- */

static bool make_clamp(fz_prog *p) {
    const int x = some_that_is(p, is_clamped), k = fz_below(p, 6);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool floating = jc_dtypes[v.dtype].cls == 'f';
    const double lo = fz_pick_number(p, jc_dtypes[v.dtype].cls == 'u' ? 0 : -3, 1, floating ? 0.5 : 1), hi = lo + fz_pick_number(p, 1, 4, floating ? 0.5 : 1);
    const char *tl = jc_arena_printf(p->arena, floating ? "%.1f" : "%.0f", lo), *th = jc_arena_printf(p->arena, floating ? "%.1f" : "%.0f", hi);
    fz_range r = *fz_range_of(p, x);
    if (r.step > 0 && floating)
        r.step = fmin(r.step, 0.5);
    if (k == 5) {
        r.lo = fmin(fmax(r.lo, 0), 6), r.hi = fmin(fmax(r.hi, 0), 6);
    } else {
        if (k != 1 && k != 3)
            r.lo = fmax(r.lo, lo), r.hi = fmax(r.hi, lo);
        if (k != 2 && k != 4)
            r.lo = fmin(r.lo, hi), r.hi = fmin(r.hi, hi);
    }
    fz_begin(p);
    switch (k) {
    case 0: fz_call(p, fz_chance(p, 50) ? "clamp" : "clip", x, "%s, %s", tl, th); break;
    case 1: fz_call(p, "clamp", x, "max = %s", th); break;
    case 2: fz_call(p, "clamp", x, "min = %s", tl); break;
    case 3: fz_call(p, "clamp_max", x, "%s", th); break;
    case 4: fz_call(p, "clamp_min", x, "%s", tl); break;
    default: fz_call(p, "relu6", x, ""); break;
    }
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

static bool make_where(fz_prog *p) {
    const int a = fz_some(p, is_chosen, JC_DTYPE_COUNT);
    const int c = a < 0 ? -1 : fz_partner(p, a, is_bool), b = c < 0 ? -1 : fz_partner(p, a, is_chosen);
    fz_size dims[JC_MAX_RANK];
    int rank;
    if (b < 0)
        return false;
    fz_value v = *fz_at(p, a);
    if (!fz_broadcast(p, &v, fz_at(p, b), &rank, dims))
        return false;
    if ((fz_range_of(p, a)->opaque || fz_range_of(p, b)->opaque || fp8(v.dtype)) && v.dtype != fz_at(p, b)->dtype)
        return false;
    const uint8_t dtype = promoted(&v, fz_at(p, b));
    if (!fz_survives(p, a, dtype) || !fz_survives(p, b, dtype))
        return false;
    v.rank = (uint8_t)rank;
    memcpy(v.dims, dims, sizeof dims);
    if (!fz_broadcast(p, &v, fz_at(p, c), &rank, dims))
        return false;
    const fz_range r = fz_join(*fz_range_of(p, a), *fz_range_of(p, b));
    fz_begin(p);
    if (fz_chance(p, 20))
        fz_put(p, "%v.where(%v, %v)", a, c, b);
    else
        fz_put(p, "torch.%s(%v, %v, %v)", fz_chance(p, 70) ? "where" : "ops.aten.where.self", c, a, b);
    return fz_gives(p, fz_result(p, dtype, rank, dims, r));
}

static bool make_masked_fill(fz_prog *p) {
    const int x = some_that_is(p, is_clamped), m = x < 0 ? -1 : fz_partner(p, x, is_bool);
    fz_size dims[JC_MAX_RANK];
    int rank;
    if (m < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    if (!fz_broadcast(p, &v, fz_at(p, m), &rank, dims))
        return false;
    const int k = fz_below(p, 5);
    const fz_range r = fz_join(*fz_range_of(p, x), fz_interval(k, k, 1));
    fz_begin(p);
    fz_call(p, "masked_fill", x, "%v, %d", m, k);
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

const fz_kind fz_pointwise_kinds[] = {
    { "function", make_function, 14 }, { "simple", make_simple, 5 },   { "binary", make_binary, 16 },
    { "scalar", make_scalar, 10 },     { "pow", make_pow, 3 },         { "addcmul", make_addcmul, 1 },
    { "compare", make_compare, 6 },    { "logical", make_logical, 2 }, { "sign", make_sign, 3 }, { "polar", make_polar, 8 }, { "not", make_not, 2 },
    { "clamp", make_clamp, 3 },        { "where", make_where, 4 },     { "masked_fill", make_masked_fill, 2 },
    { "cast", fz_make_cast, 8 },          { 0 },
};
