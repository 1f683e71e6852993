/*
 * examples/ops_tensor.c - tensors of any layout and dtype to arrays of doubles, and back.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops_tiny.h"

/* ---- scratch ---- */

struct tiny_block {
    tiny_block *next;
    double at[];
};

bool tiny_expect(tiny_scratch *s, bool ok, const char *sentence) {
    if (!ok && !s->failed) {
        s->failed = true;
        if (s->call->error && s->call->error_size)
            snprintf(s->call->error, s->call->error_size, "%s", sentence);
    }
    return !s->failed;
}

double *tiny_alloc(tiny_scratch *s, int64_t n) {
    tiny_block *block = NULL;
    if (n >= 0 && n < INT64_MAX / 16)
        block = calloc(1, sizeof *block + (size_t)n * sizeof(double));
    if (!tiny_expect(s, block != NULL, "There is not enough memory for the operator's copies.")) {
        free(block);
        return NULL;
    }
    block->next = s->blocks;
    s->blocks = block;
    return block->at;
}

int tiny_end(tiny_scratch *s) {
    while (s->blocks) {
        tiny_block *next = s->blocks->next;
        free(s->blocks);
        s->blocks = next;
    }
    return s->failed;
}

/* ---- elements ---- */

/* Exponent and mantissa bits of the small floats; e4m3fn has no infinity, its last pattern is NaN. */
typedef struct format {
    int exponent, mantissa;
    bool infinity;
} format;

static bool format_of(DLDataType t, format *f) {
    switch (t.code) {
    case kDLFloat: *f = (format){ 5, 10, true }; return t.bits == 16;
    case kDLBfloat: *f = (format){ 8, 7, true }; return t.bits == 16;
    case kDLFloat8_e4m3fn: *f = (format){ 4, 3, false }; return true;
    case kDLFloat8_e5m2: *f = (format){ 5, 2, true }; return true;
    default: return false;
    }
}

static double decode(format f, unsigned bits) {
    int bias = (1 << (f.exponent - 1)) - 1, top = (1 << f.exponent) - 1;
    int e = (int)(bits >> f.mantissa) & top, m = (int)(bits & ((1u << f.mantissa) - 1));
    double sign = bits >> (f.exponent + f.mantissa) & 1 ? -1 : 1;
    if (f.infinity && e == top)
        return m ? NAN : sign * INFINITY;
    if (!f.infinity && e == top && m == (1 << f.mantissa) - 1)
        return NAN;
    return sign * (e ? ldexp(m + (1 << f.mantissa), e - bias - f.mantissa) : ldexp(m, 1 - bias - f.mantissa));
}

/* Counts X in units of the last place at its exponent; rint() rounds to even. */
static unsigned encode(format f, double x) {
    int bias = (1 << (f.exponent - 1)) - 1, e = 0;
    unsigned sign = (unsigned)(signbit(x) != 0) << (f.exponent + f.mantissa);
    unsigned all = (1u << (f.exponent + f.mantissa)) - 1;
    unsigned limit = f.infinity ? all - (1u << f.mantissa) + 1 : all;
    if (isnan(x))
        return sign | (f.infinity ? limit | 1u << (f.mantissa - 1) : limit);
    if (isinf(x))
        return sign | limit;
    if (x == 0)
        return sign;
    frexp(x, &e);
    e = e - 1 < 1 - bias ? 1 - bias : e - 1;
    double units = rint(ldexp(fabs(x), f.mantissa - e)) + ldexp(e + bias - 1, f.mantissa);
    return sign | (units >= limit ? limit : (unsigned)units);
}

double tiny_round(DLDataType dtype, double x) {
    format f;
    if (dtype.code == kDLFloat && dtype.bits == 64)
        return x;
    return format_of(dtype, &f) ? decode(f, encode(f, x)) : (double)(float)x;
}

double tiny_largest(DLDataType dtype) {
    format f;
    if (!format_of(dtype, &f))
        return dtype.bits == 64 ? 0x1.fffffffffffffp1023 : 0x1.fffffep127;
    unsigned all = (1u << (f.exponent + f.mantissa)) - 1;
    return decode(f, f.infinity ? all - (1u << f.mantissa) : all - 1);
}

static bool known(DLDataType t) {
    format f;
    bool number = (t.code == kDLInt && t.bits <= 64) || (t.code == kDLUInt && t.bits == 8) || t.code == kDLBool;
    return t.lanes == 1 && (number || format_of(t, &f) || (t.code == kDLFloat && (t.bits == 32 || t.bits == 64)));
}

static double get(DLDataType t, const void *at) {
    union { float f; double d; int8_t i8; int16_t i16; int32_t i32; int64_t i64; uint8_t u8; uint16_t u16; } u = { 0 };
    format f;
    memcpy(&u, at, t.bits / 8);
    if (format_of(t, &f))
        return decode(f, t.bits == 8 ? u.u8 : u.u16);
    if (t.code == kDLFloat)
        return t.bits == 64 ? u.d : (double)u.f;
    if (t.code == kDLInt)
        return t.bits == 64 ? (double)u.i64 : t.bits == 32 ? u.i32 : t.bits == 16 ? u.i16 : u.i8;
    return u.u8;
}

static void put(DLDataType t, void *at, double x) {
    union { float f; double d; int64_t i64; uint16_t u16; } u = { 0 };
    format f;
    if (format_of(t, &f))
        u.u16 = (uint16_t)encode(f, x);
    else if (t.code == kDLFloat && t.bits == 64)
        u.d = x;
    else if (t.code == kDLFloat)
        u.f = (float)x;
    else
        u.i64 = (int64_t)x;
    memcpy(at, &u, t.bits / 8); /* little-endian */
}

/* ---- tensors ---- */

/* The place in memory of row-major element K. */
static char *place(const DLTensor *t, int64_t k) {
    int64_t at = 0, contiguous = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        at += k % t->shape[d] * (t->strides ? t->strides[d] : contiguous);
        k /= t->shape[d];
        contiguous *= t->shape[d];
    }
    return (char *)t->data + t->byte_offset + at * (t->dtype.bits / 8);
}

tiny_array tiny_shape(tiny_scratch *s, const DLTensor *t) {
    tiny_array a = { .n = 1 };
    if (!t || !tiny_expect(s, t->ndim <= TINY_MAX_RANK && known(t->dtype), "A tensor's dtype or rank is not supported."))
        return (tiny_array){ 0 };
    a.rank = t->ndim;
    for (int d = 0; d < a.rank; d++) {
        a.dims[d] = t->shape[d];
        a.n *= t->shape[d];
    }
    return a;
}

tiny_array tiny_load(tiny_scratch *s, const DLTensor *t) {
    tiny_array a = tiny_shape(s, t);
    if (!t || s->failed)
        return a;
    a.at = tiny_alloc(s, a.n);
    for (int64_t k = 0; a.at && k < a.n; k++)
        a.at[k] = get(t->dtype, place(t, k));
    return a;
}

void tiny_store(tiny_scratch *s, DLTensor *t, const double *from, int64_t n) {
    int64_t room = 1;
    if (!tiny_expect(s, t && known(t->dtype), "A result's dtype is not supported."))
        return;
    for (int d = 0; d < t->ndim; d++)
        room *= t->shape[d];
    if (!tiny_expect(s, n == room, "A result has another number of elements than the operator computes."))
        return;
    for (int64_t k = 0; k < n; k++)
        put(t->dtype, place(t, k), from[k]);
}

int64_t tiny_dim(const tiny_array *a, int from_end) {
    return from_end < a->rank ? a->dims[a->rank - 1 - from_end] : 1;
}

int64_t tiny_bytes(const DLTensor *t) {
    int64_t last = 0, contiguous = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] == 0)
            return 0;
        last += (t->shape[d] - 1) * (t->strides ? t->strides[d] : contiguous);
        contiguous *= t->shape[d];
    }
    return (last + 1) * (t->dtype.bits / 8);
}

/* ---- arithmetic ---- */

double tiny_sigmoid(double x) { return 1 / (1 + exp(-x)); }
double tiny_silu(double x) { return x / (1 + exp(-x)); }
double tiny_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

double tiny_dot(const double *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * (double)b[k];
    return sum;
}
