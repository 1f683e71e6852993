/*
 * tests/fuzz/fuzz_range.c - what is known of the elements of a value: an interval, and how exact they are.
 *
 * An exact float is a multiple of a power of two that its dtype holds however it was computed: in any order, fused or strict.  All
 * others carry a bound of their error, against a reference that computes in doubles and rounds at casts only.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>

typedef struct float_facts {
    double unit, largest, smallest; /* half a unit in the last place of 1; biggest magnitude made on purpose; least subnormal */
} float_facts;

static const float_facts facts[JC_DTYPE_COUNT] = {
    [JC_F16] = { 0x1p-11, 2000, 0x1p-24 },      [JC_BF16] = { 0x1p-8, 4000, 0x1p-133 },
    [JC_F32] = { 0x1p-24, 1e5, 0x1p-149 },      [JC_F64] = { 0x1p-53, 1e6, 0x1p-1000 },
    [JC_F8E4M3FN] = { 0x1p-4, 400, 0x1p-9 },    [JC_F8E5M2] = { 0x1p-3, 4000, 0x1p-16 },
};

double fz_unit(uint8_t dtype) {
    return facts[dtype].unit;
}

double fz_largest(uint8_t dtype) {
    return facts[dtype].largest;
}

double fz_magnitude(fz_range r) {
    return fmax(fabs(r.lo), fabs(r.hi));
}

fz_range fz_interval(double lo, double hi, double step) {
    return (fz_range){ .lo = lo, .hi = hi, .step = step };
}

static bool inexact(fz_range r) {
    return !r.opaque && (r.step == 0 || r.err > 0);
}

fz_range fz_join(fz_range a, fz_range b) {
    return (fz_range){ .lo = fmin(a.lo, b.lo),
                       .hi = fmax(a.hi, b.hi),
                       .step = a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0,
                       .err = fmax(a.err, b.err),
                       .opaque = a.opaque || b.opaque,
                       .mixed = a.mixed || b.mixed || (a.opaque && inexact(b)) || (b.opaque && inexact(a)),
                       .wild = a.wild || b.wild };
}

bool fz_full(uint8_t dtype, fz_range *r) {
    const jc_dtype_info *d = &jc_dtypes[dtype];
    if (d->cls == 'f')
        return false;
    const double half = ldexp(1, d->size * 8 - 1);
    *r = d->cls == 'b' ? fz_interval(0, 1, 1) : d->cls == 'u' ? fz_interval(0, 2 * half - 1, 1) : fz_interval(-half, half - 1, 1);
    return true;
}

/* Integers wrap. */
static bool settle_integer(fz_range *r, uint8_t dtype) {
    fz_range full;
    fz_full(dtype, &full);
    if (r->step < 1 || r->opaque)
        return false;
    r->err = 0;
    r->step = 1;
    if (!(r->lo >= full.lo && r->hi <= full.hi))
        *r = full;
    return true;
}

bool fz_settle(fz_range *r, uint8_t dtype) {
    const float_facts *f = &facts[dtype];
    if (jc_dtypes[dtype].cls != 'f')
        return settle_integer(r, dtype);
    const double m = fz_magnitude(*r);
    if (r->opaque)
        return true;
    if (!(m <= f->largest))
        return false;
    if (r->step >= f->smallest && m / r->step <= 1 / f->unit) {
        r->err = 0;
        return true;
    }
    const double inner = dtype == JC_F64 ? 0x1p-50 : 0x1p-21;
    r->err = r->err * (1 + 2 * f->unit) + 2 * m * f->unit + m * inner + 2 * f->smallest;
    r->step = 0;
    return r->err <= 0.1 * m && m >= 1e-3;
}
