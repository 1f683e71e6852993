/*
 * ir/fx/fx_build_step.c - spellings that make numbers in steps, and what is summed or differs from step to step: linspace, logspace,
 * the places of a triangle, trapezoids, gradients, quantiles.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- from one end to the other --- */

/* What an end is: a number, or a tensor that holds one; as PyTorch has it in the result's dtype, then in WIDE. */
static jc_arg end_of(fx_call *c, int i, jc_dtype dtype, jc_dtype wide) {
    fx_reader *r = c->r;
    const bool whole = jc_dtypes[dtype].cls != 'f';
    if (fx_is_tensor(c->a[i]))
        return fx_v(fx_cast(r, fx_cast(r, fx_reshape(r, c->a[i].value, NULL, 0), dtype), wide));
    const double f = fx_float(c, i, 0);
    return jc_arg_float(whole ? trunc(f) : f);
}

static jc_arg two(fx_reader *r, jc_op op, jc_arg a, jc_arg b) {
    if (a.kind != JC_ARG_FLOAT || b.kind != JC_ARG_FLOAT)
        return fx_v(FX_OP(r, op, a, b));
    return jc_arg_float(op == JC_OP_sub ? a.f - b.f : a.f / b.f);
}

/* N numbers from both ends, arguments 0 and 1, towards the middle, as PyTorch does; in WIDE. */
static jc_value *stepped(fx_call *c, int64_t n, jc_dtype dtype, jc_dtype wide) {
    fx_reader *r = c->r;
    const jc_arg start = end_of(c, 0, dtype, wide), end = end_of(c, 1, dtype, wide);
    if (r->status)
        return NULL;
    const jc_arg step = n > 1 ? two(r, JC_OP_div, two(r, JC_OP_sub, end, start), jc_arg_float((double)(n - 1))) : jc_arg_float(0);
    jc_value *i = fx_counted(r, jc_ex_int(fx_x(r), n)), *f = i ? FX_OP(r, JC_OP_cast, fx_v(i), jc_arg_dtype(wide)) : NULL;
    jc_value *up = FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_mul, fx_v(f), step)), start);
    jc_value *left = FX_OP(r, JC_OP_sub, jc_arg_float((double)(n - 1)), fx_v(f));
    jc_value *down = FX_OP(r, JC_OP_sub, n > 1 ? end : start, fx_v(FX_OP(r, JC_OP_mul, fx_v(left), step)));
    return FX_OP(r, JC_OP_where, fx_v(FX_OP(r, JC_OP_lt, fx_v(i), fx_i(r, n / 2))), fx_v(up), fx_v(down));
}

static int64_t steps_of(fx_call *c) {
    const int64_t n = fx_int(c, 2, 0);
    if (n < 0 || !fx_given(c, 2))
        fx_bad_arg(c, 2, "a number of steps, not negative");
    return n;
}

/* linspace(start, end, steps, dtype): of integers in f64 */
jc_arg fx_h_linspace(fx_call *c) {
    const int64_t n = steps_of(c);
    const jc_arg dtype = fx_dtype_or(c, 3, jc_arg_dtype(JC_F32));
    if (c->r->status)
        return fx_nothing();
    const jc_dtype wide = jc_dtypes[dtype.dtype].cls == 'f' && dtype.dtype != JC_F64 ? JC_F32 : JC_F64;
    jc_value *y = stepped(c, n, dtype.dtype, wide);
    return fx_v(y ? fx_cast(c->r, y, dtype.dtype) : NULL);
}

/* logspace(start, end, steps, base, dtype): powers of the base */
jc_arg fx_h_logspace(fx_call *c) {
    const int64_t n = steps_of(c);
    const double base = fx_float(c, 3, 10);
    const jc_arg dtype = fx_dtype_or(c, 4, jc_arg_dtype(JC_F32));
    if (c->r->status)
        return fx_nothing();
    jc_value *y = stepped(c, n, dtype.dtype, JC_F64);
    y = FX_OP(c->r, JC_OP_pow, jc_arg_float(base), fx_v(y));
    return fx_v(y ? fx_cast(c->r, y, dtype.dtype) : NULL);
}

/* --- the places of a triangle --- */

static int64_t bounded(int64_t x, int64_t most) {
    return x < 0 ? 0 : x > most ? most : x;
}

/* 0, 1, ... + BY, between 0 and MOST. */
static jc_arg counted_within(fx_reader *r, int64_t n, int64_t by, int64_t most) {
    const jc_arg i = fx_v(FX_OP(r, JC_OP_arange, fx_i(r, by), fx_i(r, 1), fx_i(r, n), jc_arg_dtype(JC_I64)));
    return fx_v(FX_OP(r, JC_OP_clamp, i, fx_i(r, 0), fx_i(r, most)));
}

/* tril_indices(row, col, offset, dtype); aux 1: triu_indices.  The definition gets how many there are in each row, where they begin, how many in all. */
jc_arg fx_h_triangle_indices(fx_call *c) {
    fx_reader *r = c->r;
    const int64_t rows = fx_int(c, 0, 0), columns = fx_int(c, 1, 0), offset = fx_int(c, 2, 0);
    const jc_arg dtype = fx_dtype_or(c, 3, jc_arg_dtype(JC_I64));
    int64_t n = 0;
    if (rows < 0 || columns < 0 || rows > INT32_MAX || columns > INT32_MAX)
        fx_bad_arg(c, 0, "a number of rows, not negative, as must that of columns");
    if (r->status)
        return fx_nothing();
    for (int64_t i = 0; i < rows; i++)
        n += c->row->aux ? columns - bounded(i + offset, columns) : bounded(i + offset + 1, columns);
    const jc_arg first = counted_within(r, rows, offset, columns);
    c->a[0] = c->row->aux ? fx_v(FX_OP(r, JC_OP_sub, fx_i(r, columns), first)) : counted_within(r, rows, offset + 1, columns);
    c->a[1] = c->row->aux ? first : fx_v(FX_OP(r, JC_OP_mul, first, fx_i(r, 0)));
    c->a[2] = fx_i(r, n);
    c->a[3] = dtype;
    return r->status ? fx_nothing() : fx_defined_as(c, "triangle_indices");
}

/* --- trapezoids and gradients --- */

/* X, a vector along DIM of tensors of RANK dims; of more dims, with 1 before them. */
static jc_value *laid_along(fx_reader *r, jc_value *x, int dim, int rank) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x || fx_rank(x) > rank || rank < 1)
        return x;
    for (int d = 0; d < rank; d++) {
        const int own = fx_rank(x) == 1 ? (d == dim ? 0 : -1) : d - (rank - fx_rank(x));
        dims[d] = own < 0 ? jc_ex_int(fx_x(r), 1) : x->type.dims[own];
    }
    return fx_reshape(r, x, dims, (uint32_t)rank);
}

/* trapezoid(y, x, dx, dim); aux 1: cumulative */
jc_arg fx_h_trapezoid(fx_call *c) {
    static const char *const names[2][2] = { { "trapezoid", "trapezoid_at" }, { "cumulative_trapezoid", "cumulative_trapezoid_at" } };
    jc_value *y = fx_tensor(c, 0);
    if (!y)
        return fx_nothing();
    const int dim = fx_dim(c, 3, fx_rank(y), -1);
    if (!fx_rank(y)) {
        fx_bad_arg(c, 0, "a tensor of at least one dimension");
        return fx_nothing();
    }
    c->a[3] = fx_i(c->r, dim);
    const bool at = fx_is_tensor(c->a[1]);
    if (at)
        c->a[1] = fx_v(laid_along(c->r, c->a[1].value, dim, fx_rank(y)));
    else if (fx_given(c, 1)) /* trapz(y, dx) by place */
        c->a[2] = fx_number(c, 1);
    if (c->r->status)
        return fx_nothing();
    return fx_defined_as(c, !c->row->aux && jc_ex_is(y->type.dims[dim], 0) ? "trapezoid_of_nothing" : names[c->row->aux][at]);
}

/* gradient(self, spacing, dim, edge_order): a tensor for each dim; spacing is one number, one for each, or where each element stands. */
jc_arg fx_h_gradient(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *given[JC_MAX_RANK];
    jc_arg results[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    const jc_arg spacing = c->a[1];
    const bool many = spacing.kind == JC_ARG_LIST;
    const int64_t order = fx_int(c, 3, 1);
    uint32_t n = fx_given(c, 2) ? fx_exprs(c, 2, given, JC_MAX_RANK) : (uint32_t)fx_rank(x);
    if (order != 1 && order != 2)
        fx_bad_arg(c, 3, "1 or 2");
    if (many && spacing.list.n != n)
        fx_bad_arg(c, 1, "one spacing, or one for each dimension");
    for (uint32_t k = 0; k < n && !r->status; k++) {
        int64_t d = k;
        if (fx_given(c, 2) && !jc_ex_is_const(given[k], &d))
            fx_refuse_arg(c, 2, "it has to be constants");
        const int dim = fx_norm_dim(r, d, fx_rank(x), c->at);
        fx_call one = *c;
        one.a[1] = many ? spacing.list.at[k] : fx_given(c, 1) ? spacing : jc_arg_float(1);
        const bool at = fx_is_tensor(one.a[1]);
        if (at)
            one.a[1] = fx_v(laid_along(r, one.a[1].value, dim, fx_rank(x)));
        one.a[2] = fx_i(r, dim);
        results[k] = r->status ? fx_nothing() : fx_defined_as(&one, at ? (order == 1 ? "gradient_at" : "gradient_at_2") : (order == 1 ? "gradient" : "gradient_2"));
    }
    return r->status ? fx_nothing() : fx_list(r, results, n);
}

/* --- quantiles --- */

/* X with DIM last. */
static jc_value *with_last(fx_reader *r, jc_value *x, int dim) {
    int order[JC_MAX_RANK];
    for (int d = 0, k = 0; x && d < fx_rank(x); d++)
        order[d == fx_rank(x) - 1 ? d : k++] = d == fx_rank(x) - 1 ? dim : d < dim ? d : d + 1;
    return fx_permute(r, x, order);
}

/* Y [..., quantiles] as PyTorch has it: the quantiles first, if there is a dim of them; the dim that was looked through kept as 1. */
static jc_value *quantiles_first(fx_reader *r, jc_value *y, const jc_value *x, int dim, bool lone, bool keep) {
    const jc_expr *dims[JC_MAX_RANK + 1];
    int order[JC_MAX_RANK];
    uint32_t n = 0;
    if (!y || r->status)
        return NULL;
    order[0] = fx_rank(y) - 1;
    for (int d = 1; d < fx_rank(y); d++)
        order[d] = d - 1;
    y = fx_permute(r, y, order);
    if (!lone && y)
        dims[n++] = y->type.dims[0];
    for (int d = 0; d < fx_rank(x); d++)
        if (keep || (dim >= 0 && d != dim))
            dims[n++] = dim < 0 || d == dim ? jc_ex_int(fx_x(r), 1) : x->type.dims[d];
    return fx_reshape(r, y, dims, n);
}

/* quantile(self, q, dim, keepdim, interpolation); aux 1: NaNs are passed over */
jc_arg fx_h_quantile(fx_call *c) {
    static const char *const words[] = { "linear", "lower", "higher", "nearest", "midpoint" };
    static const char *const names[2][5] = { { "quantile", "quantile_lower", "quantile_higher", "quantile_nearest", "quantile_midpoint" },
                                             { "nanquantile", "nanquantile_lower", "nanquantile_higher", "nanquantile_nearest", "nanquantile_midpoint" } };
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    size_t how = 0;
    if (!x)
        return fx_nothing();
    for (; fx_given(c, 4) && how < 5 && (c->a[4].kind != JC_ARG_STR || strcmp(c->a[4].str, words[how]) != 0); how++) {
    }
    if (how == 5)
        fx_bad_arg(c, 4, "'linear', 'lower', 'higher', 'nearest' or 'midpoint'");
    const int dim = fx_given(c, 2) && fx_rank(x) ? fx_dim(c, 2, fx_rank(x), 0) : -1;
    const bool keep = fx_bool(c, 3, false), lone = !fx_is_tensor(c->a[1]) || !fx_rank(c->a[1].value);
    const jc_expr *one = jc_ex_int(fx_x(r), 1);
    jc_value *q = fx_is_tensor(c->a[1]) ? c->a[1].value : FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), fx_number(c, 1), jc_arg_dtype((jc_dtype)x->type.dtype));
    if (lone)
        q = fx_reshape(r, q, &one, 1);
    if (!q || r->status || fx_rank(q) != 1) {
        fx_bad_arg(c, 1, "a number or a vector");
        return fx_nothing();
    }
    c->a[0] = fx_v(dim < 0 ? fx_flat(r, x) : with_last(r, x, dim));
    c->a[1] = fx_v(q);
    const jc_arg y = r->status ? fx_nothing() : fx_defined_as(c, names[c->row->aux][how]);
    return fx_is_tensor(y) ? fx_v(quantiles_first(r, y.value, x, dim, lone, keep)) : y;
}
