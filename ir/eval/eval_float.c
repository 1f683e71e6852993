/*
 * ir/eval/eval_float.c - rounding to and from the dtypes' bytes, by bit arithmetic.
 *
 * A floating format is exponent bits, mantissa bits and whether it has infinities.  Encoding takes the double's 53-bit
 * significand as an integer, shifts it to the format's quantum at that exponent (the subnormals' quantum below the
 * normal range) and rounds to nearest, ties to even; since the implicit bit adds one to the exponent field, a carry out of
 * the mantissa and the step from subnormal to normal need no cases of their own.  What runs past the largest finite
 * value is infinity where the format has one and NaN where it has none (float8_e4m3fn), which is what
 * PyTorch's casts do.
 *
 * Loading and storing move bits: a NaN's sign and mantissa become the top of the double's and come back, since what is a float here may
 * be looked at as integers there.  Rounding gives the format's plain NaN.
 */
#include <string.h>
#include "ir/eval/eval_priv.h"

typedef struct format {
    int exponent, mantissa; /* bits */
    bool infinity;
} format;

static const format formats[JC_DTYPE_COUNT] = {
    [JC_F16] = { 5, 10, true },     [JC_BF16] = { 8, 7, true },  [JC_F32] = { 8, 23, true },
    [JC_F8E4M3FN] = { 4, 3, false }, [JC_F8E5M2] = { 5, 2, true },
};

#define SIGN      (UINT64_C(1) << 63)
#define PLAIN_NAN (UINT64_C(0x7ff8) << 48)

static uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double double_of(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* 2^e for -1022 <= e <= 1023. */
static double power_of_two(int e) {
    return double_of((uint64_t)(e + 1023) << 52);
}

/* The largest finite pattern is one below this: infinity, or e4m3fn's only NaN. */
static uint32_t limit_of(const format *f) {
    uint32_t all = (1u << (f->exponent + f->mantissa)) - 1;
    return f->infinity ? all - ((1u << f->mantissa) - 1) : all;
}

static uint32_t nan_of(const format *f) {
    return f->infinity ? limit_of(f) | 1u << (f->mantissa - 1) : limit_of(f);
}

static uint32_t encode(const format *f, double x) {
    uint64_t u = bits_of(x);
    uint32_t sign = (uint32_t)(u >> 63) << (f->exponent + f->mantissa);
    int e = (int)(u >> 52 & 0x7ff) - 1023;
    uint64_t significand = (u & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    if (x != x) {
        uint32_t payload = (uint32_t)(u >> (52 - f->mantissa)) & ((1u << f->mantissa) - 1);
        return sign | (f->infinity && payload ? limit_of(f) | payload : nan_of(f));
    }
    if (e == 1024)
        return sign | limit_of(f);
    int least = 2 - (1 << (f->exponent - 1)); /* exponent of the least normal value */
    int top = e > least ? e : least;
    int shift = 52 - f->mantissa + (top - e);
    if (shift > 54 || e == -1023) /* below half the least subnormal; a double's own subnormals are */
        return sign;
    uint64_t whole = significand >> shift, rest = significand & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    whole += rest > half || (rest == half && (whole & 1));
    if (top - least > 1 << f->exponent)
        return sign | limit_of(f);
    uint64_t bits = ((uint64_t)(top - least) << f->mantissa) + whole;
    return sign | (bits >= limit_of(f) ? limit_of(f) : (uint32_t)bits);
}

static double decode(const format *f, uint32_t bits) {
    uint32_t sign = bits >> (f->exponent + f->mantissa) & 1;
    uint32_t magnitude = bits & ((1u << (f->exponent + f->mantissa)) - 1);
    uint32_t field = magnitude >> f->mantissa, mantissa = magnitude & ((1u << f->mantissa) - 1);
    int least = 2 - (1 << (f->exponent - 1));
    double x;
    if (magnitude > limit_of(f))
        x = double_of(UINT64_C(0x7ff0) << 48 | (uint64_t)mantissa << (52 - f->mantissa));
    else if (!f->infinity && magnitude == limit_of(f))
        x = double_of(PLAIN_NAN);
    else if (magnitude == limit_of(f))
        x = double_of(UINT64_C(0x7ff0) << 48);
    else if (field == 0)
        x = mantissa * power_of_two(least - f->mantissa);
    else
        x = (mantissa | 1u << f->mantissa) * power_of_two(least + (int)field - 1 - f->mantissa);
    return sign ? double_of(bits_of(x) | SIGN) : x;
}

double jc_round_to(jc_dtype dtype, double x) {
    if (x != x && formats[dtype].exponent)
        return double_of(PLAIN_NAN | (bits_of(x) & SIGN));
    return formats[dtype].exponent ? decode(&formats[dtype], encode(&formats[dtype], x)) : x;
}

double jc_load_float(jc_dtype dtype, const void *at) {
    uint32_t bits = 0;
    double x;
    if (dtype == JC_F64) {
        memcpy(&x, at, sizeof x);
        return x;
    }
    if (!formats[dtype].exponent)
        return (double)jc_load_int(dtype, at);
    memcpy(&bits, at, jc_dtypes[dtype].size); /* little-endian, as everything that libjitc reads and writes */
    return decode(&formats[dtype], bits);
}

void jc_store_float(jc_dtype dtype, void *at, double x) {
    if (dtype == JC_F64) {
        memcpy(at, &x, sizeof x);
    } else if (formats[dtype].exponent) {
        uint32_t bits = encode(&formats[dtype], x);
        memcpy(at, &bits, jc_dtypes[dtype].size);
    } else {
        jc_store_int(dtype, at, jc_ev_trunc(JC_F64, dtype, x, false));
    }
}

int64_t jc_load_int(jc_dtype dtype, const void *at) {
    uint64_t bits = 0;
    if (jc_is_float(dtype))
        return jc_ev_trunc(dtype, JC_I64, jc_load_float(dtype, at), false);
    memcpy(&bits, at, jc_dtypes[dtype].size);
    return jc_ev_wrap(dtype, (int64_t)bits);
}

void jc_store_int(jc_dtype dtype, void *at, int64_t x) {
    if (jc_is_float(dtype)) {
        jc_store_float(dtype, at, (double)x);
        return;
    }
    int64_t wrapped = jc_ev_wrap(dtype, x);
    memcpy(at, &wrapped, jc_dtypes[dtype].size);
}

int64_t jc_ev_wrap(uint8_t dtype, int64_t x) {
    switch (dtype) {
    case JC_B8: return x != 0;
    case JC_U8: return (uint8_t)x;
    case JC_I8: return (int8_t)(uint8_t)x;
    case JC_I16: return (int16_t)(uint16_t)x;
    case JC_I32: return (int32_t)(uint32_t)x;
    default: return x;
    }
}

int64_t jc_ev_trunc(uint8_t from, uint8_t to, double x, bool gpu) {
    const bool small = to == JC_I8 || to == JC_I16 || to == JC_I32;
    const double beyond = small ? 0x1p31 : 0x1p63;
    const int64_t least = small ? INT32_MIN : INT64_MIN, most = small ? INT32_MAX : INT64_MAX;
    if (to == JC_B8)
        return x != 0; /* true for NaN */
    if (x < beyond && x > -beyond)
        return jc_ev_wrap(to, (int64_t)x);
    if (x != x)
        return jc_ev_wrap(to, gpu && small && from != JC_F64 ? 0 : least);
    return jc_ev_wrap(to, !gpu || x <= -beyond ? least : most);
}

double jc_ev_rounded(uint8_t dtype, double x) {
    if (x != x || dtype == JC_F64) /* a NaN keeps its bits */
        return x;
    return jc_round_to((jc_dtype)dtype, jc_round_to(JC_F32, x));
}

/* Does TO hold every value of FROM? Both floating. */
static bool holds(uint8_t to, uint8_t from) {
    const format *t = &formats[to], *f = &formats[from];
    if (to == from || to == JC_F64)
        return true;
    return from != JC_F64 && t->exponent >= f->exponent && t->mantissa >= f->mantissa && (t->infinity || !f->infinity);
}

double jc_ev_cast(uint8_t from, uint8_t to, double x) {
    return jc_is_float(from) && holds(to, from) ? x : jc_round_to(to, x);
}
