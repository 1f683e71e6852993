/*
 * tests/fuzz/gen_reduce.c - reductions, softmax, norms.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static double counted(const fz_prog *p, const fz_value *v, unsigned mask, bool least) {
    double n = 1;
    for (int d = 0; d < v->rank; d++)
        if (mask >> d & 1)
            n *= (double)(least ? fz_least(p, &v->dims[d]) : fz_most(p, &v->dims[d]));
    return n;
}

/* Dims of the result. */
static int reduced(const fz_value *v, unsigned mask, bool keep, fz_size *dims) {
    int rank = 0;
    for (int d = 0; d < v->rank; d++) {
        if (!(mask >> d & 1))
            dims[rank++] = v->dims[d];
        else if (keep)
            dims[rank++] = fz_int(1);
    }
    return rank;
}

/* ", dim = ..., keepdim = ..." in one of its ways; all dims may be left out. */
static const char *dims_text(fz_prog *p, const fz_value *v, unsigned mask, bool keep) {
    const unsigned all = (1u << v->rank) - 1;
    jc_bytes b = JC_BYTES(p->arena);
    int n = 0;
    for (int d = 0; d < v->rank; d++)
        n += mask >> d & 1;
    if (mask == all && !keep && fz_chance(p, 50))
        return "";
    const bool list = n != 1 || fz_chance(p, 30), named = fz_chance(p, 60);
    jc_put_text(&b, "%s%s", named ? "dim = " : "", list ? "[" : "");
    for (int d = 0, k = 0; d < v->rank; d++)
        if (mask >> d & 1)
            jc_put_text(&b, "%s%d", k++ ? ", " : "", fz_chance(p, 50) ? d : d - v->rank);
    jc_put_text(&b, "%s", list ? "]" : "");
    if (keep || fz_chance(p, 20))
        jc_put_text(&b, ", keepdim = %s", keep ? "True" : "False");
    jc_put_u8(&b, 0);
    return (const char *)b.at;
}

static unsigned some_mask(fz_prog *p, const fz_value *v) {
    if (v->rank == 0)
        return 0;
    if (fz_chance(p, 60))
        return 1u << (fz_chance(p, 60) ? v->rank - 1 : fz_below(p, v->rank));
    const unsigned mask = (unsigned)fz_below(p, 1 << v->rank);
    return mask ? mask : (1u << v->rank) - 1;
}

static bool make_sum(fz_prog *p) {
    const bool mean = fz_chance(p, 35);
    const int x = mean ? fz_some_float(p) : fz_some(p, fz_computable, JC_DTYPE_COUNT);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const unsigned mask = some_mask(p, &v);
    const bool keep = fz_chance(p, 50), floating = jc_dtypes[v.dtype].cls == 'f';
    const double n = counted(p, &v, mask, false);
    fz_size dims[JC_MAX_RANK];
    fz_range r = *fz_range_of(p, x);
    const int rank = reduced(&v, mask, keep, dims);
    uint8_t dtype = floating ? v.dtype : JC_I64;
    const char *text = dims_text(p, &v, mask, keep), *typed = "";
    if (mean && counted(p, &v, mask, true) < 1)
        return false;
    if (floating && fz_chance(p, 10)) {
        dtype = JC_F32;
        typed = *text ? ", dtype = torch.float32" : "dtype = torch.float32";
    }
    if (fz_unit(dtype) > fz_unit(v.dtype) && floating)
        return false;
    if (mean) {
        r.err += fz_magnitude(r) * 0x1p-20;
        r.step = 0;
    } else {
        r = (fz_range){ fmin(r.lo * n, 0), fmax(r.hi * n, 0), r.step, r.err * n + (r.step > 0 ? 0 : fz_magnitude(r) * n * 0x1p-19), false, false, false };
        if (n > 1 && r.step > 0 && floating && fz_magnitude(r) / r.step > 0x1p24) /* f32 adds them up */
            r.step = 0, r.err += fz_magnitude(r) * 0x1p-19;
    }
    fz_begin(p);
    fz_call(p, mean ? "mean" : "sum", x, "%s%s", text, typed);
    return fz_gives(p, fz_result(p, dtype, rank, dims, r));
}

/* Of what is at most 1, so that the product is. */
static bool make_prod(fz_prog *p) {
    const int x = fz_some(p, fz_computable, JC_DTYPE_COUNT);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool one = v.rank && fz_chance(p, 70), keep = one && fz_chance(p, 50), floating = jc_dtypes[v.dtype].cls == 'f';
    const int d = one ? fz_below(p, v.rank) : 0;
    const unsigned mask = one ? 1u << d : (1u << v.rank) - 1;
    const double n = counted(p, &v, mask, false);
    fz_size dims[JC_MAX_RANK];
    fz_range r = *fz_range_of(p, x);
    if (fz_magnitude(r) > 1 || r.err * n > 0.1)
        return false;
    const int rank = reduced(&v, mask, keep, dims);
    r = (fz_range){ -1, 1, floating ? 0 : 1, floating ? 1.2 * r.err * n + n * 0x1p-20 : 0, false, false, false };
    fz_begin(p);
    fz_call(p, "prod", x, !one ? "" : keep ? "%d, True" : "%d", d);
    return fz_gives(p, fz_result(p, floating ? v.dtype : JC_I64, rank, dims, r));
}

static bool make_any(fz_prog *p) {
    static const char *const names[] = { "any", "all", "count_nonzero" };
    const int x = fz_some(p, fz_is_exact, JC_DTYPE_COUNT), k = fz_below(p, 3);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool one = v.rank && fz_chance(p, 70), keep = one && k < 2 && fz_chance(p, 50);
    const int d = one ? fz_below(p, v.rank) : 0;
    const unsigned mask = one ? 1u << d : (1u << v.rank) - 1;
    fz_size dims[JC_MAX_RANK];
    const int rank = reduced(&v, mask, keep, dims);
    fz_begin(p);
    fz_call(p, names[k], x, !one ? "" : keep ? "%d, True" : "%d", d);
    const uint8_t dtype = k == 2 ? JC_I64 : v.dtype == JC_U8 ? JC_U8 : JC_B8;
    return fz_gives(p, fz_result(p, dtype, rank, dims, fz_interval(0, k == 2 ? counted(p, &v, mask, false) : 1, 1)));
}

/* A norm is at most the sum, and changes by no more than its operand. */
static bool make_norm(fz_prog *p) {
    static const char *const powers[] = { "1", "2", "inf" };
    const int x = fz_some_float(p), k = fz_below(p, 3);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    const double n = counted(p, &v, 1u << d, false);
    fz_size dims[JC_MAX_RANK];
    fz_range r = *fz_range_of(p, x);
    if (counted(p, &v, 1u << d, true) < 1)
        return false;
    const bool keep = fz_chance(p, 50);
    const int rank = reduced(&v, 1u << d, keep, dims);
    const double most = fz_magnitude(r) * (k == 0 ? n : k == 1 ? sqrt(n) : 1);
    r = (fz_range){ 0, most, 0, r.err * (k == 2 ? 1 : n) + most * 0x1p-18, false, false, false };
    fz_begin(p);
    fz_call(p, "norm", x, keep ? "%s, %d, True" : "%s, %d", powers[k], d);
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

static bool make_logs(fz_prog *p) {
    const int x = fz_some_float(p);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    const bool sum = fz_chance(p, 50), keep = sum && fz_chance(p, 50);
    const fz_range a = *fz_range_of(p, x);
    const double n = counted(p, &v, 1u << d, false), most = a.hi - a.lo + log(n + 1);
    fz_size dims[JC_MAX_RANK];
    if (counted(p, &v, 1u << d, true) < 1 || most > 40)
        return false;
    const int rank = sum ? reduced(&v, 1u << d, keep, dims) : v.rank;
    fz_range r = { sum ? a.lo : -most, sum ? a.hi + log(n + 1) : 0, 0, 2 * a.err, false, false, false };
    r.err += (fz_magnitude(a) + most) * 0x1p-18;
    fz_begin(p);
    fz_call(p, sum ? "logsumexp" : "log_softmax", x, keep ? "%d, True" : "%d", d);
    return fz_gives(p, fz_result(p, v.dtype, rank, sum ? dims : v.dims, r));
}

static bool make_extreme(fz_prog *p) {
    static const char *const names[] = { "amax", "amin", "max", "min" };
    const int x = fz_some(p, p->wild ? fz_is_ordered : fz_computable, JC_DTYPE_COUNT), k = fz_below(p, 4);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const unsigned mask = k < 2 ? some_mask(p, &v) : (1u << v.rank) - 1;
    const bool keep = k < 2 && fz_chance(p, 50);
    fz_size dims[JC_MAX_RANK];
    if (counted(p, &v, mask, true) < 1)
        return false;
    const int rank = reduced(&v, mask, keep, dims);
    const fz_range r = *fz_range_of(p, x);
    fz_begin(p);
    fz_call(p, names[k], x, "%s", k < 2 ? dims_text(p, &v, mask, keep) : "");
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

/* max(x, dim)[0] */
static bool make_extreme_dim(fz_prog *p) {
    const int x = fz_some(p, p->wild ? fz_is_ordered : fz_computable, JC_DTYPE_COUNT);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    fz_size dims[JC_MAX_RANK];
    if (fz_least(p, &v.dims[d]) < 1)
        return false;
    const bool keep = fz_chance(p, 30);
    const int rank = reduced(&v, 1u << d, keep, dims);
    const fz_range r = *fz_range_of(p, x);
    fz_begin(p)->form = FZ_TUPLE;
    fz_call(p, fz_chance(p, 50) ? "max" : "min", x, keep ? "%d, keepdim = True" : "%d", d);
    p->stmts.at[p->stmts.n - 1].tuple[0] = 0;
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

static bool make_var(fz_prog *p) {
    const int x = fz_some_float(p);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = v.rank - 1;
    const bool keep = fz_chance(p, 50);
    fz_size dims[JC_MAX_RANK];
    if (fz_least(p, &v.dims[d]) < 1)
        return false;
    const int rank = reduced(&v, 1u << d, keep, dims);
    const fz_range a = *fz_range_of(p, x);
    const double m = fz_magnitude(a);
    fz_range r = { 0, m * m, 0, 4 * m * a.err + m * m * 0x1p-18, false, false, false };
    fz_begin(p);
    fz_call(p, "var", x, keep ? "%d, correction = 0, keepdim = True" : "%d, correction = 0", d - v.rank);
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

static bool make_softmax(fz_prog *p) {
    const int x = fz_some_float(p);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_range a = *fz_range_of(p, x);
    const int d = fz_chance(p, 70) ? v.rank - 1 : fz_below(p, v.rank), form = fz_below(p, 3);
    if (a.hi - a.lo > 20)
        return false;
    const bool wide = form == 1 && (v.dtype == JC_BF16 || v.dtype == JC_F16) && fz_chance(p, 50);
    /* p (1 - p) of the exponent's error */
    fz_range r = { 0, 1, 0, 0.5 * a.err + 0x1p-17, false, false, false };
    fz_begin(p);
    if (form == 0)
        fz_put(p, "torch.ops.aten._softmax.default(%v, %d, False)", x, d);
    else if (form == 1)
        fz_put(p, wide ? "torch.nn.functional.softmax(%v, dim = %d, dtype = torch.float32)" : "torch.nn.functional.softmax(%v, dim = %d)", x, d - v.rank);
    else
        fz_put(p, "%v.softmax(%d)", x, d);
    return fz_gives(p, fz_result(p, wide ? JC_F32 : v.dtype, v.rank, v.dims, r));
}

/* --- norms: of values that vary or not, with an epsilon that keeps the slope small --- */

/* A parameter of these dims, mostly; computable floats of V's kind. */
static int weight(fz_prog *p, const fz_value *v, int ndims) {
    const fz_range r = fz_interval(-1, 1, 0.5);
    return fz_param(p, v->dtype, ndims, v->dims + v->rank - ndims, r);
}

static fz_range normed(const fz_range *a, double n, double eps, double w, double bias) {
    const double m = fz_magnitude(*a), top = fmin(sqrt(n), 2 * m / sqrt(eps)) * w + bias;
    return (fz_range){ -top, top, 0, 4 * w * a->err / sqrt(eps) + top * 0x1p-16, false, false, false };
}

static bool make_layer_norm(fz_prog *p) {
    const int x = fz_some_float(p);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_range a = *fz_range_of(p, x);
    const int nd = v.rank > 1 && fz_chance(p, 25) ? 2 : 1, form = fz_below(p, 3);
    const bool w = fz_chance(p, 60), b = w && fz_chance(p, 50);
    const unsigned mask = ((1u << nd) - 1) << (v.rank - nd);
    if (counted(p, &v, mask, true) < 1)
        return false;
    const int wv = w ? weight(p, &v, nd) : -1, bv = b ? weight(p, &v, nd) : -1;
    fz_begin(p)->form = form == 2 ? FZ_TUPLE : FZ_ASSIGN;
    fz_put(p, form == 0 ? "torch.nn.functional.layer_norm(%v, (" : form == 1 ? "torch.layer_norm(%v, [" : "torch.ops.aten.native_layer_norm.default(%v, [", x);
    for (int i = 0; i < nd; i++)
        fz_put(p, form == 0 ? "%z, " : i ? ", %z" : "%z", &v.dims[v.rank - nd + i]);
    fz_put(p, form == 0 ? "), " : "], ");
    if (w)
        fz_put(p, "%v, ", wv);
    else
        fz_put(p, "None, ");
    if (b)
        fz_put(p, "%v, ", bv);
    else
        fz_put(p, "None, ");
    fz_put(p, "0.25)");
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, normed(&a, counted(p, &v, mask, false), 0.25, 1, 1)));
}

static bool make_rms_norm(fz_prog *p) {
    const int x = fz_some_float(p), form = fz_below(p, 3);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_range a = *fz_range_of(p, x);
    if (fz_least(p, &v.dims[v.rank - 1]) < 1)
        return false;
    const int w = fz_chance(p, 70) ? weight(p, &v, 1) : -1;
    fz_begin(p);
    fz_put(p, form == 0 ? "torch.nn.functional.rms_norm(%v, (%z,), " : "torch.ops.vllm_ir.rms_norm.default(%v, ", x, &v.dims[v.rank - 1]);
    if (w >= 0)
        fz_put(p, "%v, ", w);
    else
        fz_put(p, "None, ");
    fz_put(p, form == 2 ? "0.25, None)" : "0.25)");
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, normed(&a, (double)fz_most(p, &v.dims[v.rank - 1]), 0.25, 1, 0)));
}

static bool make_fused_norm(fz_prog *p) {
    const int x = fz_some_float(p);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    if (fz_least(p, &v.dims[v.rank - 1]) < 1)
        return false;
    const int r = fz_param(p, v.dtype, v.rank, v.dims, fz_some_range(p, v.dtype)), w = fz_chance(p, 70) ? weight(p, &v, 1) : -1;
    if (r < 0)
        return false;
    fz_range a = *fz_range_of(p, x), b = *fz_range_of(p, r);
    fz_range sum = { a.lo + b.lo, a.hi + b.hi, a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0, a.err + b.err, false, false, false };
    fz_begin(p)->form = FZ_TUPLE;
    fz_put(p, "torch.ops.vllm_ir.fused_add_rms_norm.%s(%v, %v, ", fz_chance(p, 50) ? "default" : "maybe_inplace", x, r);
    if (w >= 0)
        fz_put(p, "%v, 0.25, None)", w);
    else
        fz_put(p, "None, 0.25)");
    const int y = fz_result(p, v.dtype, v.rank, v.dims, normed(&sum, (double)fz_most(p, &v.dims[v.rank - 1]), 0.25, 1, 0));
    const int s = fz_result(p, v.dtype, v.rank, v.dims, sum);
    fz_stmt *t = &p->stmts.at[p->stmts.n - 1];
    t->nresults = 2;
    t->result[0] = y;
    t->result[1] = s;
    t->tuple[1] = 1;
    return y >= 0 && s >= 0;
}

static bool make_silu_and_mul(fz_prog *p) {
    const int x = fz_some_float(p);
    fz_size half;
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    if (!fz_divides(p, &v.dims[v.rank - 1], 2, &half))
        return false;
    const fz_range a = *fz_range_of(p, x);
    const double m = fz_magnitude(a);
    if (m > 30)
        return false;
    fz_range r = { -m * m, m * m, 0, 2.2 * m * a.err + m * m * (0x1p-17 + 2 * fz_unit(v.dtype)), false, false, false };
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    dims[v.rank - 1] = half;
    fz_begin(p);
    fz_put(p, "torch.ops.vllm_ir.silu_and_mul.default(%v)", x);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, r));
}

const fz_kind fz_reduce_kinds[] = {
    { "sum", make_sum, 12 },           { "extreme", make_extreme, 6 },       { "extreme_dim", make_extreme_dim, 2 },
    { "prod", make_prod, 3 }, { "any", make_any, 3 }, { "norm", make_norm, 2 }, { "logs", make_logs, 2 },
    { "var", make_var, 1 },            { "softmax", make_softmax, 4 },       { "layer_norm", make_layer_norm, 2 },
    { "rms_norm", make_rms_norm, 3 },  { "fused_norm", make_fused_norm, 2 }, { "silu_and_mul", make_silu_and_mul, 2 },
    { 0 },
};
