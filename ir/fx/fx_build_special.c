/*
 * ir/fx/fx_build_special.c - special functions and windows: what their definitions (definitions.def) cannot say.
 *
 * Most are computed in f64 and rounded once, so their error is that of one rounding.  The smooth parts are Chebyshev series (series.def).
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- series --- */

static const struct series {
    const char *name;
    const double *at;
    uint32_t n;
} all_series[] = {
#define SERIES(name, ...) { #name, (const double[]){ __VA_ARGS__ }, sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double) },
#include "ir/fx/series.def"
#undef SERIES
};

/* Clenshaw's recurrence: c_n T_n(x) + ... + c_1 x + c_0, of the highest first. */
static jc_value *summed_up(fx_reader *r, const struct series *s, jc_value *x) {
    jc_value *twice = FX_OP(r, JC_OP_mul, fx_v(x), jc_arg_float(2)), *b = NULL, *before = NULL;
    for (uint32_t i = 0; i + 1 < s->n && !r->status; i++) {
        jc_value *y = b ? FX_OP(r, JC_OP_mul, fx_v(twice), fx_v(b)) : FX_OP(r, JC_OP_mul, fx_v(twice), jc_arg_float(0));
        y = before ? FX_OP(r, JC_OP_sub, fx_v(y), fx_v(before)) : y;
        before = b;
        b = FX_OP(r, JC_OP_add, fx_v(y), jc_arg_float(s->at[i]));
    }
    jc_value *y = FX_OP(r, JC_OP_mul, fx_v(x), fx_v(b));
    y = before ? FX_OP(r, JC_OP_sub, fx_v(y), fx_v(before)) : y;
    return FX_OP(r, JC_OP_add, fx_v(y), jc_arg_float(s->at[s->n - 1]));
}

jc_arg fx_series(fx_reader *r, jc_arg name, jc_arg x) {
    for (size_t i = 0; i < sizeof all_series / sizeof *all_series && !r->status; i++)
        if (name.kind == JC_ARG_STR && strcmp(name.str, all_series[i].name) == 0 && fx_is_tensor(x))
            return fx_v(summed_up(r, &all_series[i], x.value));
    return fx_nothing();
}

/* --- functions by other names, and with a number --- */

/* Aux: which. */
jc_arg fx_h_named(fx_call *c) {
    static const char *const names[] = { "i0", "i1", "digamma", "lgamma", "igamma", "igammac" };
    return fx_defined_as(c, names[c->row->aux]);
}

/* polygamma(n, x) and x.polygamma(n): (-1)^(n+1) n! zeta(n + 1, x), but for 0 and 1.  Aux: where n stands. */
jc_arg fx_h_polygamma(fx_call *c) {
    const int at = c->row->aux;
    const int64_t n = fx_given(c, at) ? fx_int(c, at, 0) : -1;
    if (!c->r->status && n < 0)
        fx_bad_arg(c, at, "0 or more");
    return c->r->status ? fx_nothing() : fx_defined_as(c, n > 1 ? "polygamma" : n ? "trigamma" : "digamma");
}

/* The logarithm of the multivariate gamma function of P dims, constant. */
jc_arg fx_h_mvlgamma(fx_call *c) {
    if (!c->r->status && fx_int(c, 1, 0) < 1)
        fx_bad_arg(c, 1, "1 or more");
    return c->r->status ? fx_nothing() : fx_defined_as(c, "mvlgamma");
}

/* --- divisors --- */

/* Euclid's steps for two numbers of DTYPE, at most: one for each of Fibonacci's numbers. */
static int steps_for(jc_dtype dtype) {
    return jc_dtypes[dtype].size == 1 ? 13 : jc_dtypes[dtype].size == 2 ? 23 : jc_dtypes[dtype].size == 4 ? 46 : 92;
}

/* gcd(self, other); aux 1: lcm */
jc_arg fx_h_gcd(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *given[2] = { fx_tensor(c, 0), fx_tensor(c, 1) };
    if (!given[0] || !given[1])
        return fx_nothing();
    const jc_dtype dtype = jc_promoted_dtype(c->a, 2);
    if (jc_dtypes[dtype].cls != 'i' && jc_dtypes[dtype].cls != 'u')
        fx_bad_arg(c, 0, "of integers");
    jc_arg shown = fx_list(r, c->a, 2);
    fx_call spread = { .r = r, .row = c->row, .at = c->at, .a = { shown } };
    if (!r->status)
        shown = fx_h_broadcast_tensors(&spread);
    if (r->status)
        return fx_nothing();
    jc_value *x = FX_OP(r, JC_OP_abs, fx_v(fx_cast(r, shown.list.at[0].value, dtype))), *y = FX_OP(r, JC_OP_abs, fx_v(fx_cast(r, shown.list.at[1].value, dtype)));
    jc_value *from = x, *other = y;
    for (int k = 0; k < steps_for(dtype) && !r->status; k++) {
        jc_value *done = FX_OP(r, JC_OP_eq, fx_v(y), fx_i(r, 0)), *by = FX_OP(r, JC_OP_where, fx_v(done), fx_i(r, 1), fx_v(y));
        jc_value *rest = FX_OP(r, JC_OP_remainder, fx_v(x), fx_v(by));
        x = FX_OP(r, JC_OP_where, fx_v(done), fx_v(x), fx_v(y));
        y = rest;
        y = FX_OP(r, JC_OP_where, fx_v(done), fx_i(r, 0), fx_v(y));
    }
    if (!c->row->aux)
        return fx_v(x);
    jc_value *none = FX_OP(r, JC_OP_eq, fx_v(x), fx_i(r, 0)), *part = FX_OP(r, JC_OP_floordiv, fx_v(from), fx_v(FX_OP(r, JC_OP_where, fx_v(none), fx_i(r, 1), fx_v(x))));
    return fx_v(FX_OP(r, JC_OP_abs, fx_v(FX_OP(r, JC_OP_mul, fx_v(part), fx_v(other)))));
}

/* --- orthogonal polynomials --- */

enum { CHEBYSHEV, HERMITE_H, HERMITE_HE, LAGUERRE, LEGENDRE };
enum { MAX_DEGREE = 64 };

/* The first degree is a x + b; the next ones follow by the family's recurrence. */
static const struct family {
    uint8_t kind;
    bool shifted; /* of 2 x - 1 */
    double a, b;
} families[] = { { CHEBYSHEV, false, 1, 0 },  { CHEBYSHEV, false, 2, 0 }, { CHEBYSHEV, false, 2, -1 }, { CHEBYSHEV, false, 2, 1 },
                 { CHEBYSHEV, true, 1, 0 },   { CHEBYSHEV, true, 2, 0 },  { CHEBYSHEV, true, 2, -1 },  { CHEBYSHEV, true, 2, 1 },
                 { HERMITE_H, false, 2, 0 },  { HERMITE_HE, false, 1, 0 }, { LAGUERRE, false, -1, 1 }, { LEGENDRE, false, 1, 0 } };

static jc_value *scaled(fx_reader *r, jc_value *x, double a) {
    return a == 1 ? x : FX_OP(r, JC_OP_mul, fx_v(x), jc_arg_float(a));
}

static jc_value *less(fx_reader *r, jc_value *a, jc_value *b) {
    return FX_OP(r, JC_OP_sub, fx_v(a), fx_v(b));
}

static jc_value *times(fx_reader *r, jc_value *a, jc_value *b) {
    return FX_OP(r, JC_OP_mul, fx_v(a), fx_v(b));
}

/* Degree K + 1 from K and K - 1. */
static jc_value *next_degree(fx_reader *r, const struct family *f, jc_value *x, jc_value *p, jc_value *before, double k) {
    switch (f->kind) {
    case HERMITE_H: return less(r, scaled(r, times(r, x, p), 2), scaled(r, before, 2 * k));
    case HERMITE_HE: return less(r, times(r, x, p), scaled(r, before, k));
    case LAGUERRE: {
        jc_value *from = FX_OP(r, JC_OP_sub, jc_arg_float(2 * k + 1), fx_v(x));
        return FX_OP(r, JC_OP_div, fx_v(less(r, times(r, from, p), scaled(r, before, k))), jc_arg_float(k + 1));
    }
    case LEGENDRE: return FX_OP(r, JC_OP_div, fx_v(less(r, scaled(r, times(r, x, p), 2 * k + 1), scaled(r, before, k))), jc_arg_float(k + 1));
    default: return less(r, scaled(r, times(r, x, p), 2), before);
    }
}

/* NAME(x, n), n a number that the text gives; 0 below degree 0.  Aux: the family. */
jc_arg fx_h_polynomial(fx_call *c) {
    fx_reader *r = c->r;
    const struct family *f = &families[c->row->aux];
    jc_value *given = fx_is_tensor(c->a[0]) ? c->a[0].value : NULL;
    if (!given || fx_is_tensor(c->a[1]))
        fx_refuse_arg(c, 1, "it takes as many steps as n says, which has to be a number that the text gives, and x a tensor");
    const double degree = r->status ? 0 : trunc(fx_float(c, 1, 0));
    if (degree > MAX_DEGREE)
        fx_refuse_arg(c, 1, "degrees up to 64 are");
    if (r->status)
        return fx_nothing();
    const jc_dtype dtype = fx_class_of(given) == 'f' ? (jc_dtype)given->type.dtype : JC_F32;
    jc_value *x = fx_cast(r, given, JC_F64), *before = FX_OP(r, JC_OP_full, fx_dims(r, given->type.dims, given->type.rank), jc_arg_float(degree >= 0), jc_arg_dtype(JC_F64));
    if (f->shifted)
        x = FX_OP(r, JC_OP_sub, fx_v(scaled(r, x, 2)), jc_arg_float(1));
    jc_value *p = FX_OP(r, JC_OP_add, fx_v(scaled(r, x, f->a)), jc_arg_float(f->b));
    for (double k = 1; k < degree && !r->status; k++) {
        jc_value *y = next_degree(r, f, x, p, before, k);
        before = p;
        p = y;
    }
    p = degree < 1 ? before : p;
    return fx_v(p ? fx_cast(r, p, dtype) : NULL);
}

/* --- windows --- */

/* Windows that are sums of cosines: their weights. */
static const struct cosines {
    const char *name;
    uint32_t n;
    double at[4];
} cosines[] = { { "hann", 2, { 0.5, 0.5 } }, { "hamming", 2, { 0.54, 0.46 } }, { "blackman", 3, { 0.42, 0.5, 0.08 } },
                { "nuttall", 4, { 0.3635819, 0.4891775, 0.1365995, 0.0106411 } } };

/* Which argument of C's row is called NAME; -1: none. */
static int param(const fx_call *c, const char *name) {
    const size_t n = strlen(name);
    int i = 0;
    for (const char *p = c->row->params; *p; i++) {
        const size_t length = strcspn(p, " ");
        if (length == n && memcmp(p, name, n) == 0)
            return i;
        p += length + (p[length] == ' ');
    }
    return -1;
}

/* The definition of C's window, whose weights and shares, if they belong to its name, are put in place. */
static const char *definition_of(fx_call *c) {
    const char *name = c->row->name;
    const int weights = param(c, "a"), alpha = param(c, "alpha");
    if (strcmp(name, "hann_window") == 0) {
        c->a[alpha] = c->a[param(c, "beta")] = jc_arg_float(0.5);
        return "hamming_window";
    }
    if (strcmp(name, "general_hamming") == 0) {
        const double share = fx_float(c, alpha, 0.54);
        c->a[weights] = fx_list(c->r, (jc_arg[]){ jc_arg_float(share), jc_arg_float(1 - share) }, 2);
        return "general_cosine";
    }
    for (size_t i = 0; i < sizeof cosines / sizeof *cosines; i++) {
        jc_arg at[4];
        if (strcmp(cosines[i].name, name) != 0)
            continue;
        for (uint32_t k = 0; k < cosines[i].n; k++)
            at[k] = jc_arg_float(cosines[i].at[k]);
        c->a[weights] = fx_list(c->r, at, cosines[i].n);
        return "general_cosine";
    }
    return strcmp(name, "exponential") == 0 ? "exponential_window" : name;
}

/* torch.signal.windows.NAME(M, ...), torch.NAME_window(length, periodic, ...): of no and of one element there is one of each. */
jc_arg fx_h_window(fx_call *c) {
    fx_reader *r = c->r;
    const jc_arg dtype = fx_dtype_or(c, param(c, "dtype"), jc_arg_dtype(JC_F32));
    const jc_expr *length = fx_expr(c, 0);
    int64_t n;
    if (r->status)
        return fx_nothing();
    if (!jc_ex_is_const(length, &n) || n < 0) {
        fx_refuse_arg(c, 0, "the length has to be a constant that is not negative");
        return fx_nothing();
    }
    if (n < 2)
        return fx_v(FX_OP(r, JC_OP_full, fx_dims(r, &length, 1), fx_i(r, 1), dtype));
    const char *name = definition_of(c);
    return r->status ? fx_nothing() : fx_defined_as(c, name);
}
