/*
 * tests/fuzz/gen_row_fact.c - what is known of the result of a row, from what is known of its operands.
 */
#include "tests/fuzz/gen_row.h"

#include <math.h>

static fz_range between(double lo, double hi, double err) {
    return (fz_range){ .lo = lo, .hi = hi, .err = err };
}

/* N of A one after the other, and 0; in f32 or better, rounded once. */
static fz_range sum_of(fz_range a, double n) {
    fz_range r = { .lo = fmin(a.lo * n, 0), .hi = fmax(a.hi * n, 0), .step = a.step, .err = a.err * n };
    if (r.step == 0 || fz_magnitude(r) / r.step > 0x1p24) {
        r.step = 0;
        r.err += fz_magnitude(r) * 0x1p-19;
    }
    return r;
}

static fz_range product_of(fz_range a, fz_range b) {
    const double x = fz_magnitude(a), y = fz_magnitude(b), m = x * y;
    fz_range r = { .lo = -m, .hi = m, .step = a.step * b.step, .err = x * b.err + y * a.err + a.err * b.err };
    if (a.lo >= 0 && b.lo >= 0)
        r.lo = 0;
    return r;
}

static fz_range plus(fz_range a, fz_range b) {
    return (fz_range){ .lo = a.lo + b.lo, .hi = a.hi + b.hi, .step = a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0, .err = a.err + b.err };
}

/* Rounded to its dtype midway, as strict mode does. */
static bool midway(fz_range *r, uint8_t dtype) {
    return fz_settle(r, dtype);
}

/* --- moved and chosen --- */

bool fz_moved(const fz_facts *f, fz_range *out) {
    *out = f->in[0];
    for (int i = 1; i < f->n; i++)
        *out = fz_join(*out, f->in[i]);
    return true;
}

bool fz_moved_or_k(const fz_facts *f, fz_range *out) {
    fz_moved(f, out);
    *out = fz_join(*out, fz_interval(f->k, f->k, 1));
    return true;
}

bool fz_moved_or_0(const fz_facts *f, fz_range *out) {
    fz_moved(f, out);
    *out = fz_join(*out, fz_interval(0, 0, 1));
    return true;
}

bool fz_moved_or_1(const fz_facts *f, fz_range *out) {
    fz_moved(f, out);
    *out = fz_join(*out, fz_interval(0, 1, 1));
    return true;
}

bool fz_second(const fz_facts *f, fz_range *out) {
    *out = f->in[1];
    return f->n == 2;
}

bool fz_first(const fz_facts *f, fz_range *out) {
    *out = f->in[0];
    return true;
}

/* Numbers from 0 to k that a row makes. */
bool fz_whole(const fz_facts *f, fz_range *out) {
    *out = fz_interval(0, f->k, 1);
    return true;
}

bool fz_places(const fz_facts *f, fz_range *out) {
    *out = fz_interval(-1, fmax(f->k, 0), 1);
    return true;
}

bool fz_plus_k(const fz_facts *f, fz_range *out) {
    *out = plus(f->in[0], fz_interval(f->k, f->k, 1));
    return true;
}

bool fz_difference(const fz_facts *f, fz_range *out) {
    const fz_range b = f->in[f->n - 1];
    *out = plus(f->in[0], (fz_range){ .lo = -b.hi, .hi = -b.lo, .step = b.step, .err = b.err });
    return true;
}

/* Between -k and k, and no more than k times as sensitive as any operand; in f32 or better. */
bool fz_within(const fz_facts *f, fz_range *out) {
    double err = f->k * 0x1p-17;
    for (int i = 0; i < f->n; i++)
        err += f->k * f->in[i].err;
    *out = between(-f->k, f->k, err);
    return true;
}

/* What is left of an integer division and truncation: of exact numbers. */
bool fz_fraction(const fz_facts *f, fz_range *out) {
    *out = fz_interval(f->in[0].lo < 0 ? -1 : 0, f->in[0].hi > 0 ? 1 : 0, fmin(f->in[0].step, 1));
    return f->in[0].step > 0;
}

/* Divided by whole numbers. */
bool fz_floored(const fz_facts *f, fz_range *out) {
    const fz_range b = f->in[1];
    const double c[4] = { f->in[0].lo / b.lo, f->in[0].lo / b.hi, f->in[0].hi / b.lo, f->in[0].hi / b.hi };
    *out = fz_interval(floor(fmin(fmin(c[0], c[1]), fmin(c[2], c[3]))), ceil(fmax(fmax(c[0], c[1]), fmax(c[2], c[3]))), 1);
    return f->in[0].step > 0 && b.step > 0 && fz_magnitude(f->in[0]) / f->in[0].step <= 1e4;
}

bool fz_truncated(const fz_facts *f, fz_range *out) {
    *out = fz_interval(trunc(f->in[0].lo), trunc(f->in[0].hi), 1);
    return f->in[0].step > 0;
}

bool fz_bits(const fz_facts *f, fz_range *out) {
    const double m = fmax(fz_magnitude(f->in[0]), fz_magnitude(f->in[1])), top = m < 1 ? 1 : exp2(floor(log2(m)) + 1);
    const bool negative = f->in[0].lo < 0 || f->in[1].lo < 0;
    *out = fz_interval(negative ? -top : 0, m <= 1 && !negative ? 1 : top - 1, 1);
    return true;
}

bool fz_shifted(const fz_facts *f, fz_range *out) {
    const double by = exp2(f->k * f->in[1].hi); /* k: 1 to the left, 0 to the right */
    *out = fz_interval(fmin(f->in[0].lo * by, f->in[0].lo), fmax(f->in[0].hi * by, f->in[0].hi), 1);
    if (f->k == 0)
        out->lo = fmin(out->lo, 0), out->hi = fmax(out->hi, 0);
    return f->in[1].lo >= 0 && f->in[1].hi <= 7;
}

/* --- sums and products --- */

bool fz_summed(const fz_facts *f, fz_range *out) {
    *out = sum_of(f->in[0], f->k);
    return true;
}

/* Of up to k, rounded at each. */
bool fz_summed_apart(const fz_facts *f, fz_range *out) {
    *out = sum_of(f->in[0], f->k);
    if (out->step == 0)
        out->err += f->k * 2 * fz_unit(f->dtype) * fz_magnitude(*out);
    return true;
}

/* A sum whose terms are rounded one by one: added to what is there. */
bool fz_put_sum(const fz_facts *f, fz_range *out) {
    *out = plus(f->in[0], sum_of(f->in[1], f->k));
    out->lo = fmin(out->lo, f->in[0].lo), out->hi = fmax(out->hi, f->in[0].hi);
    if (out->step == 0)
        out->err += (f->k + 1) * 2 * fz_unit(f->dtype) * fz_magnitude(*out);
    return true;
}

/* N terms of k at most, and what is there, whose sum is divided by their number: rounded at each. */
bool fz_put_mean(const fz_facts *f, fz_range *out) {
    fz_moved(f, out);
    out->err += (f->k + 3) * 2 * fz_unit(f->dtype) * fz_magnitude(*out);
    out->step = 0;
    return true;
}

/* A mean, or what lies between operands and 0: weighed, in f32. */
bool fz_meaned(const fz_facts *f, fz_range *out) {
    fz_moved(f, out);
    *out = between(fmin(out->lo, 0), fmax(out->hi, 0), out->err + fz_magnitude(*out) * 0x1p-19);
    return f->least >= 1;
}

/* Neighbours by shares that are computed from places of some hundreds in f32. */
bool fz_weighed(const fz_facts *f, fz_range *out) {
    if (!fz_meaned(f, out))
        return false;
    out->err += fz_magnitude(*out) * 0x1p-14;
    return true;
}

/* The sum, rounded, and then divided by how many there are. */
bool fz_meaned_apart(const fz_facts *f, fz_range *out) {
    if (!fz_meaned(f, out))
        return false;
    out->err += 2 * fz_unit(f->dtype) * fz_magnitude(*out);
    return true;
}

/* k products of the first two, times the others, in f32. */
bool fz_scaled_dot(const fz_facts *f, fz_range *out) {
    *out = product_of(product_of(sum_of(product_of(f->in[0], f->in[1]), f->k), f->in[2]), f->in[3]);
    out->err += fz_magnitude(*out) * 0x1p-18;
    return true;
}

bool fz_dotted(const fz_facts *f, fz_range *out) {
    *out = sum_of(product_of(f->in[0], f->in[1]), f->k);
    if (f->n > 2)
        *out = plus(*out, f->in[2]);
    return true;
}

/* Products that are rounded before they are summed. */
bool fz_dotted_apart(const fz_facts *f, fz_range *out) {
    fz_range each = product_of(f->in[0], f->in[1]);
    if (!midway(&each, f->dtype))
        return false;
    *out = sum_of(each, f->k);
    return true;
}

/* in[0] + sums of k products of in[1] and in[2], which are rounded. */
bool fz_added_dot(const fz_facts *f, fz_range *out) {
    fz_range sum = sum_of(product_of(f->in[1], f->in[2]), f->k);
    if (!midway(&sum, f->dtype))
        return false;
    *out = plus(f->in[0], sum);
    return true;
}

/* Two products less each other, each rounded. */
bool fz_crossed(const fz_facts *f, fz_range *out) {
    fz_range each = product_of(f->in[0], f->in[1]);
    if (!midway(&each, f->dtype))
        return false;
    const double m = fz_magnitude(each);
    each.lo = -m, each.hi = m;
    *out = plus(each, each);
    return true;
}

/* k of in[0] * in[1] * in[2], and in[3]. */
bool fz_bilinear(const fz_facts *f, fz_range *out) {
    fz_range first = sum_of(product_of(f->in[0], f->in[2]), f->k);
    if (!midway(&first, f->dtype))
        return false;
    fz_range all = sum_of(product_of(first, f->in[1]), f->k);
    if (!midway(&all, f->dtype))
        return false;
    *out = f->n > 3 ? plus(all, f->in[3]) : all;
    return true;
}

/* --- norms --- */

bool fz_norm_1(const fz_facts *f, fz_range *out) {
    const double most = fz_magnitude(f->in[0]) * f->k;
    *out = between(0, most, f->in[0].err * f->k + most * 0x1p-18);
    return true;
}

bool fz_norm_2(const fz_facts *f, fz_range *out) {
    const double most = fz_magnitude(f->in[0]) * sqrt(f->k);
    *out = between(0, most, f->in[0].err * sqrt(f->k) + most * 0x1p-18);
    return true;
}

bool fz_norm_inf(const fz_facts *f, fz_range *out) {
    *out = between(0, fz_magnitude(f->in[0]), f->in[0].err + fz_magnitude(f->in[0]) * 0x1p-18);
    return true;
}

/* Norms of differences, which are rounded: by the sum of k, or the root of k. */
static bool distance(const fz_facts *f, double n, fz_range *out) {
    const fz_range b = f->in[f->n - 1];
    const double each = fz_magnitude(f->in[0]) + fz_magnitude(b), off = f->in[0].err + b.err + each * 4 * fz_unit(f->dtype) + 2e-6;
    *out = between(0, each * n + 1e-3, off * n + each * n * 0x1p-18);
    return true;
}

bool fz_distance_1(const fz_facts *f, fz_range *out) {
    return distance(f, f->k, out);
}

bool fz_distance_2(const fz_facts *f, fz_range *out) {
    return distance(f, sqrt(f->k), out);
}

/* Over k elements, with an epsilon of 0.25, and weights and a bias within 1 where there are such. */
bool fz_normed(const fz_facts *f, fz_range *out) {
    const double m = fz_magnitude(f->in[0]), top = fmin(sqrt(f->k), 2 * m / 0.5) + (f->n > 2 ? 1 : 0);
    *out = between(-top, top, 8 * f->in[0].err + top * 0x1p-16 + (f->n > 2 ? 2 * f->in[1].err * top + f->in[2].err : 0));
    return f->least >= 1;
}

/* Rows of numbers of 0.5 at least, divided by their norm; or two such, multiplied and summed. */
bool fz_directed(const fz_facts *f, fz_range *out) {
    double off = 0;
    for (int i = 0; i < f->n; i++)
        off += 4 * f->in[i].err;
    *out = between(-1, 1, off + 0x1p-16 + 4 * fz_unit(f->dtype));
    return f->least >= 1;
}

/* No larger than the operand, and nearly as sensitive as it. */
bool fz_held(const fz_facts *f, fz_range *out) {
    const double m = fz_magnitude(f->in[0]);
    *out = between(-m, m, 2 * f->in[0].err + m * 0x1p-17);
    return true;
}

bool fz_variance(const fz_facts *f, fz_range *out) {
    const double m = fz_magnitude(f->in[0]);
    *out = between(0, 2 * m * m, 8 * m * f->in[0].err + m * m * 0x1p-17);
    return f->k >= 1;
}

/* The root of what is next to nothing is not next to nothing. */
bool fz_deviation(const fz_facts *f, fz_range *out) {
    const double m = fz_magnitude(f->in[0]);
    *out = between(0, 1.5 * m, 2 * f->in[0].err + m * 0x1p-8);
    return f->k >= 1;
}

bool fz_softmaxed(const fz_facts *f, fz_range *out) {
    *out = between(0, 1, 0.5 * f->in[0].err + 0x1p-17);
    return f->in[0].hi - f->in[0].lo <= 20;
}

/* Logarithms of softmax over k, and of what is taken from them with the sign changed. */
bool fz_log_softmaxed(const fz_facts *f, fz_range *out) {
    const double most = f->in[0].hi - f->in[0].lo + log(f->k + 1);
    *out = between(-most, most, 2 * f->in[0].err + (fz_magnitude(f->in[0]) + most) * 0x1p-17 + most * fz_unit(f->dtype));
    return most <= 40 && f->least >= 1;
}

/* The logarithm of a sum of k exponentials. */
bool fz_log_summed(const fz_facts *f, fz_range *out) {
    *out = between(f->in[0].lo, f->in[0].hi + log(fmax(f->k, 1)), f->in[0].err + (fz_magnitude(f->in[0]) + log(fmax(f->k, 1)) + 1) * 0x1p-17);
    return f->k >= 1;
}

/* sdpa over queries and keys of depth k, scaled by 1/8. */
bool fz_attended(const fz_facts *f, fz_range *out) {
    const double a = fz_magnitude(f->in[0]), b = fz_magnitude(f->in[1]), score = f->k * a * b / 8;
    const double off = f->k * (a * f->in[1].err + b * f->in[0].err) / 8 + score * 0x1p-19 + 0x1p-18;
    const fz_range v = f->in[2];
    *out = between(fmin(v.lo, 0), fmax(v.hi, 0), fz_magnitude(v) * (4 * off + 4 * fz_unit(f->dtype)) + v.err);
    return off <= 0.1;
}

/* F's multi-head attention of 16 features within 1, weights within 1/4, in f32. */
bool fz_many_headed(const fz_facts *f, fz_range *out) {
    (void)f;
    *out = between(-20, 20, 20 * 64 * 0x1p-17);
    return true;
}

/* Weighed neighbours at places that in[1] gives within dims of k together. */
bool fz_sampled(const fz_facts *f, fz_range *out) {
    const double m = fz_magnitude(f->in[0]);
    *out = between(fmin(f->in[0].lo, 0), fmax(f->in[0].hi, 0), f->in[0].err + 2 * m * f->k * (f->in[1].err + 0x1p-20));
    return f->k >= 1;
}

/* --- functions --- */

bool fz_apply_all(double (*f)(const double *), int n, const fz_range *in, fz_range *out) {
    static const int points[] = { 0, 200, 40, 14, 8, 6, 5 };
    double lo[FZ_OPERANDS], h[FZ_OPERANDS], slope[FZ_OPERANDS] = { 0 }, x[FZ_OPERANDS], least = INFINITY, most = -INFINITY;
    int at[FZ_OPERANDS] = { 0 };
    const int m = points[n];
    for (int i = 0; i < n; i++) {
        if (in[i].opaque || in[i].wild)
            return false;
        lo[i] = in[i].lo - in[i].err;
        h[i] = (in[i].hi + in[i].err - lo[i]) / m;
    }
    for (int k = 0; k < n;) {
        for (int i = 0; i < n; i++)
            x[i] = lo[i] + h[i] * at[i];
        const double y = f(x);
        if (!isfinite(y))
            return false;
        least = fmin(least, y);
        most = fmax(most, y);
        for (int i = 0; i < n; i++) {
            if (at[i] == m || h[i] == 0)
                continue;
            const double was = x[i];
            x[i] += h[i];
            slope[i] = fmax(slope[i], fabs(f(x) - y) / h[i]);
            x[i] = was;
        }
        for (k = 0; k < n && (h[k] == 0 || ++at[k] > m); k++)
            at[k] = 0;
    }
    double margin = 0, err = 0;
    for (int i = 0; i < n; i++) {
        margin += slope[i] * h[i];
        err += 1.5 * slope[i] * in[i].err;
    }
    *out = between(least - margin, most + margin, err);
    out->err += fz_magnitude(*out) * 0x1p-17;
    return true;
}

bool fz_computed(const fz_facts *f, fz_range *out) {
    if (!fz_apply_all(f->f, f->n, f->in, out))
        return false;
    if (f->dtype == JC_F64) /* what fz_apply_all has for f32 is all slack */
        out->err -= fz_magnitude(*out) * (0x1p-17 - 0x1p-40);
    return true;
}

/* F of an operand's parts. */
bool fz_computed_twice(const fz_facts *f, fz_range *out) {
    const fz_range both[2] = { f->in[0], f->in[0] };
    return fz_apply_all(f->f, 2, both, out);
}

/* The results of F, rounded, summed up. */
bool fz_computed_sum(const fz_facts *f, fz_range *out) {
    fz_range each;
    if (!fz_computed(f, &each))
        return false;
    each.err += fz_magnitude(each) * 2 * fz_unit(f->dtype);
    *out = sum_of(each, f->k);
    return f->least >= 1;
}

bool fz_computed_mean(const fz_facts *f, fz_range *out) {
    if (!fz_computed(f, out))
        return false;
    out->err += fz_magnitude(*out) * (2 * fz_unit(f->dtype) + 0x1p-19);
    return f->least >= 1;
}
