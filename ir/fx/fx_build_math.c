/*
 * ir/fx/fx_build_math.c - spellings that compute: pointwise, reductions, normalisations, products.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/fx/fx_build.h"

static jc_arg number_of(double f) {
    return jc_arg_float(f);
}

/* --- pointwise --- */

jc_arg fx_h_unary(fx_call *c) {
    return fx_v(FX_OP(c->r, (jc_op)c->row->op, fx_v(fx_tensor(c, 0))));
}

static int token_of(jc_op op) {
    switch (op) {
    case JC_OP_add: return '+';
    case JC_OP_sub: return '-';
    case JC_OP_mul: return '*';
    case JC_OP_div: return '/';
    case JC_OP_floordiv: return FX_T_FDIV;
    case JC_OP_remainder: return '%';
    default: return 0;
    }
}

/* alpha * x, where there is an alpha. */
static jc_arg scaled(fx_call *c, jc_arg x, int alpha) {
    if (!fx_given(c, alpha) || (c->a[alpha].kind == JC_ARG_EXPR && jc_ex_is(c->a[alpha].expr, 1)))
        return x;
    return fx_infix(c->r, '*', x, fx_number(c, alpha), c->at);
}

static jc_arg two(fx_call *c, jc_op op, jc_arg a, jc_arg b) {
    if (c->r->status)
        return fx_nothing();
    if (!fx_is_tensor(a) && !fx_is_tensor(b) && token_of(op)) /* sizes: torch.add(s0, 1) */
        return fx_infix(c->r, token_of(op), a, b, c->at);
    return fx_v(FX_OP(c->r, op, a, b));
}

/* a + alpha * b, a - alpha * b and b - alpha * a: of floats rounded once. */
static jc_arg with_alpha(fx_call *c, const char *floats, jc_op op, jc_arg a, jc_arg b) {
    if (!fx_given(c, 2) || (c->a[2].kind == JC_ARG_EXPR && jc_ex_is(c->a[2].expr, 1)) || c->r->status)
        return two(c, op, a, b);
    if (jc_dtypes[jc_promoted_dtype((jc_arg[]){ a, b }, 2)].cls == 'f' && (fx_is_tensor(a) || fx_is_tensor(b)))
        return fx_defined_as(c, floats);
    return two(c, op, a, scaled(c, b, 2));
}

jc_arg fx_h_binary(fx_call *c) {
    jc_arg a = fx_operand(c, 0), b = fx_operand(c, 1);
    if (c->row->op == JC_OP_add)
        return with_alpha(c, "add_alpha", JC_OP_add, a, b);
    if (c->row->op == JC_OP_sub)
        return with_alpha(c, "sub_alpha", JC_OP_sub, a, b);
    return two(c, (jc_op)c->row->op, a, b);
}

jc_arg fx_h_rsub(fx_call *c) {
    return with_alpha(c, "rsub_alpha", JC_OP_sub, fx_operand(c, 1), fx_operand(c, 0));
}

jc_arg fx_h_div(fx_call *c) {
    jc_arg a = fx_operand(c, 0), b = fx_operand(c, 1);
    if (!fx_given(c, 2))
        return two(c, JC_OP_div, a, b);
    if (c->a[2].kind == JC_ARG_STR && !strcmp(c->a[2].str, "floor"))
        return two(c, JC_OP_floordiv, a, b);
    if (c->a[2].kind == JC_ARG_STR && !strcmp(c->a[2].str, "trunc"))
        return fx_defined_as(c, fx_is_tensor(b) || fx_class_of(a.value) != 'f' ? "div_trunc" : "div_trunc_number");
    fx_refuse_arg(c, 2, "only 'floor' and 'trunc' are");
    return fx_nothing();
}

/* prims.div of integers gives integers, and cuts. */
jc_arg fx_h_prims_div(fx_call *c) {
    const jc_arg a = fx_operand(c, 0), b = fx_operand(c, 1);
    const bool whole = fx_is_tensor(a) && strchr("iu", fx_class_of(a.value)) && (fx_is_tensor(b) ? fx_class_of(b.value) != 'f' : b.kind == JC_ARG_EXPR);
    return whole ? fx_defined_as(c, "div_trunc") : two(c, JC_OP_div, a, b);
}

jc_arg fx_h_pow(fx_call *c) {
    jc_arg x = fx_operand(c, 0), e = fx_operand(c, 1);
    return c->r->status ? fx_nothing() : fx_pow(c->r, x, e, c->at);
}

/* a * b + c, rounded once. */
jc_arg fx_h_fma(fx_call *c) {
    const jc_arg a = fx_operand(c, 0), b = fx_operand(c, 1), sum = fx_operand(c, 2);
    return c->r->status ? fx_nothing() : fx_v(FX_OP(c->r, JC_OP_fma, a, b, sum));
}

/* GPUs round otherwise where there is no factor. */
jc_arg fx_h_addcmul(fx_call *c) {
    const jc_arg v = c->a[3];
    const bool one = !fx_given(c, 3) || (v.kind == JC_ARG_EXPR && jc_ex_is(v.expr, 1)) || (v.kind == JC_ARG_FLOAT && v.f == 1);
    return fx_defined_as(c, one ? "addcmul_one" : "addcmul");
}

jc_arg fx_h_square(fx_call *c) {
    jc_arg x = fx_v(fx_tensor(c, 0));
    return fx_v(FX_OP(c->r, JC_OP_mul, x, x));
}

jc_arg fx_h_isnan(fx_call *c) {
    jc_arg x = fx_v(fx_tensor(c, 0));
    return fx_v(FX_OP(c->r, JC_OP_ne, x, x));
}

/* round(x), or of so many decimals; of tens, hundreds ... where they are negative. */
jc_arg fx_h_round(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const int64_t decimals = fx_int(c, 1, 0);
    if (!x || !decimals || fx_class_of(x) != 'f')
        return fx_v(FX_OP(c->r, JC_OP_round, fx_v(x)));
    return fx_defined_as(c, decimals > 0 ? "round_decimals" : "round_tens");
}

/* NaN, and what is beyond the largest number, as numbers: 0 and the largest of the dtype where none are given. */
jc_arg fx_h_nan_to_num(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x || fx_class_of(x) != 'f')
        return fx_v(x ? FX_OP(r, JC_OP_clone, fx_v(x)) : NULL);
    const double most = jc_dtype_largest((jc_dtype)x->type.dtype);
    const jc_arg v = fx_v(x), number[3] = { number_of(fx_float(c, 1, 0)), number_of(fx_float(c, 2, most)), number_of(fx_float(c, 3, -most)) };
    const jc_arg is[3] = { fx_v(FX_OP(r, JC_OP_ne, v, v)), fx_v(FX_OP(r, JC_OP_eq, v, number_of(INFINITY))),
                           fx_v(FX_OP(r, JC_OP_eq, v, number_of(-INFINITY))) };
    jc_arg y = v;
    for (int i = 3; i-- > 0;)
        y = fx_v(FX_OP(r, JC_OP_where, is[i], number[i], y));
    return y;
}

/* The weight is one number, or one a channel: dim 1.  Aux: it broadcasts as it is. */
jc_arg fx_h_prelu(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *w = fx_tensor(c, 1);
    if (!x || !w)
        return fx_nothing();
    if (!c->row->aux && fx_rank(w) == 1 && fx_rank(x) > 2)
        w = fx_channels(r, w, fx_rank(x));
    jc_arg v = fx_v(x), positive = fx_v(FX_OP(r, JC_OP_gt, v, fx_i(r, 0)));
    return fx_v(FX_OP(r, JC_OP_where, positive, v, fx_v(FX_OP(r, JC_OP_mul, fx_v(w), v))));
}

static jc_arg as_bool(fx_call *c, int i) {
    jc_value *x = fx_tensor(c, i);
    if (!x || x->type.dtype == JC_B8)
        return fx_v(x);
    return fx_v(FX_OP(c->r, JC_OP_ne, fx_v(x), fx_i(c->r, 0)));
}

jc_arg fx_h_logical(fx_call *c) {
    jc_arg a = as_bool(c, 0), b = as_bool(c, 1);
    return fx_v(FX_OP(c->r, (jc_op)c->row->op, a, b));
}

jc_arg fx_h_logical_not(fx_call *c) {
    return fx_v(FX_OP(c->r, JC_OP_bitwise_not, as_bool(c, 0)));
}

static jc_arg clamped(fx_call *c, jc_arg lo, jc_arg hi) {
    jc_arg x = fx_v(fx_tensor(c, 0));
    if (fx_is_tensor(lo) || fx_is_tensor(hi) || fx_has_scalar((const jc_arg[]){ lo, hi }, 2)) {
        if (lo.kind != JC_ARG_NONE)
            x = fx_v(FX_OP(c->r, JC_OP_maximum, x, lo));
        return hi.kind == JC_ARG_NONE ? x : fx_v(FX_OP(c->r, JC_OP_minimum, x, hi));
    }
    return fx_v(FX_OP(c->r, JC_OP_clamp, x, lo, hi));
}

/* clamp() heeds a NaN only where it has both bounds; clamp_min() and clamp_max() do. */
static jc_arg lone_bound(jc_arg bound, double none) {
    return bound.kind == JC_ARG_FLOAT && bound.f != bound.f ? number_of(none) : bound;
}

jc_arg fx_h_clamp(fx_call *c) {
    jc_arg lo = fx_given(c, 1) ? fx_operand(c, 1) : fx_nothing(), hi = fx_given(c, 2) ? fx_operand(c, 2) : fx_nothing();
    if (!fx_given(c, 1) && !fx_given(c, 2))
        fx_bad_arg(c, 1, "a bound, unless max is given");
    if (!fx_given(c, 2))
        lo = lone_bound(lo, -INFINITY);
    else if (!fx_given(c, 1))
        hi = lone_bound(hi, INFINITY);
    return clamped(c, lo, hi);
}

jc_arg fx_h_clamp_min(fx_call *c) {
    return clamped(c, fx_operand(c, 1), fx_nothing());
}

jc_arg fx_h_clamp_max(fx_call *c) {
    return clamped(c, fx_nothing(), fx_operand(c, 1));
}

jc_arg fx_h_relu6(fx_call *c) {
    return clamped(c, fx_i(c->r, 0), fx_i(c->r, 6));
}

jc_arg fx_h_gelu(fx_call *c) {
    bool tanh = false;
    if (fx_given(c, 1)) {
        tanh = c->a[1].kind == JC_ARG_STR && !strcmp(c->a[1].str, "tanh");
        if (!tanh && (c->a[1].kind != JC_ARG_STR || strcmp(c->a[1].str, "none") != 0))
            fx_bad_arg(c, 1, "'none' or 'tanh'");
    }
    return fx_v(FX_OP(c->r, JC_OP_gelu, fx_v(fx_tensor(c, 0)), jc_arg_bool(tanh)));
}

jc_arg fx_h_softplus(fx_call *c) {
    jc_arg x = fx_v(fx_tensor(c, 0)), beta = number_of(fx_float(c, 1, 1)), limit = number_of(fx_float(c, 2, 20));
    return fx_v(FX_OP(c->r, JC_OP_softplus, x, beta, limit));
}

/* Aux: where log_target stands. */
jc_arg fx_h_kl_div(fx_call *c) {
    return fx_defined_as(c, fx_bool(c, c->row->aux, false) ? "kl_div_log" : "kl_div");
}

/* Aux 1: not in training where nothing says so. */
jc_arg fx_h_dropout(fx_call *c) {
    if (fx_bool(c, 2, !c->row->aux) && fx_float(c, 1, 0.5) != 0)
        fx_refuse_arg(c, 2, "dropout in training is random");
    return fx_v(fx_tensor(c, 0));
}

/* native_dropout(self, p, train): with what was kept, which is all */
jc_arg fx_h_native_dropout(fx_call *c) {
    fx_reader *r = c->r;
    const jc_arg x = fx_h_dropout(c);
    if (!x.value || r->status)
        return fx_nothing();
    jc_value *all = FX_OP(r, JC_OP_full, fx_dims(r, x.value->type.dims, x.value->type.rank), jc_arg_bool(true), jc_arg_dtype(JC_B8));
    return fx_list(r, (jc_arg[]){ fx_v(FX_OP(r, JC_OP_clone, x)), fx_v(all) }, 2);
}

/* Parameters in the order of the text's form: aux 1 is x.where(condition, other). */
jc_arg fx_h_where(fx_call *c) {
    if (!fx_given(c, !c->row->aux) && !fx_given(c, 2)) { /* places of what is true: nobody knows how many */
        const jc_arg condition = fx_v(fx_tensor(c, c->row->aux));
        return c->r->status ? fx_nothing() : fx_custom_node(c->r, "?torch.where", &condition, 1, 0, c->at, UINT32_MAX);
    }
    jc_arg condition = fx_v(fx_tensor(c, c->row->aux)), a = fx_operand(c, !c->row->aux), b = fx_operand(c, 2);
    return fx_v(FX_OP(c->r, JC_OP_where, condition, a, b));
}

jc_arg fx_h_masked_fill(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *mask = fx_tensor(c, 1);
    jc_arg value = fx_operand(c, 2);
    if (!x || !mask)
        return fx_nothing();
    jc_value *y = FX_OP(c->r, JC_OP_where, fx_v(mask), value, fx_v(x));
    return y ? fx_v(fx_cast(c->r, y, (jc_dtype)x->type.dtype)) : fx_nothing();
}

/* --- reductions --- */

/* The dims of argument I, all where none are given, as an operator's argument. */
static jc_arg reduced_dims(fx_call *c, int i, const jc_value *x) {
    const jc_expr *at[JC_MAX_RANK];
    jc_arg dims[JC_MAX_RANK];
    uint32_t n = fx_given(c, i) ? fx_exprs(c, i, at, JC_MAX_RANK) : 0;
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    if (!n) {
        n = x->type.rank;
        for (uint32_t k = 0; k < n; k++)
            dims[k] = fx_i(c->r, k);
        return jc_arg_list(c->r->graph, dims, n);
    }
    for (uint32_t k = 0; k < n; k++) {
        int64_t d = 0;
        if (!jc_ex_is_const(at[k], &d))
            fx_refuse_arg(c, i, "it has to be constants");
        dims[k] = fx_i(c->r, fx_norm_dim(c->r, d, fx_rank(x), c->at));
    }
    return jc_arg_list(c->r->graph, dims, fx_rank(x) ? n : 0);
}

jc_arg fx_h_reduce(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg dtype = fx_dtype_or(c, 3, fx_nothing());
    if (c->row->op != JC_OP_mean && dtype.kind == JC_ARG_NONE && fx_class_of(x) != 'f')
        dtype = jc_arg_dtype(JC_I64);
    jc_arg dims = reduced_dims(c, 1, x), keep = jc_arg_bool(fx_bool(c, 2, false));
    return fx_v(FX_OP(c->r, (jc_op)c->row->op, fx_v(x), dims, keep, dtype));
}

jc_arg fx_h_extreme(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    jc_arg dims = reduced_dims(c, 1, x), keep = jc_arg_bool(fx_bool(c, 2, false));
    return fx_v(FX_OP(c->r, (jc_op)c->row->op, fx_v(x), dims, keep));
}

/* max(x), max(x, other), max(x, dim) -> (values, indices) */
jc_arg fx_h_minmax(fx_call *c) {
    if (c->a[1].kind == JC_ARG_VALUE)
        return fx_v(FX_OP(c->r, c->row->op == JC_OP_amax ? JC_OP_maximum : JC_OP_minimum, fx_v(fx_tensor(c, 0)),
                          c->a[1]));
    jc_arg values = fx_h_extreme(c);
    if (!fx_given(c, 1))
        return values;
    jc_value *x = fx_tensor(c, 0);
    const int dim = x ? fx_dim(c, 1, fx_rank(x), 0) : 0;
    const jc_op op = c->row->op == JC_OP_amax ? JC_OP_argmax : JC_OP_argmin;
    return fx_list(c->r, (jc_arg[]){ values, fx_v(fx_arg_extreme(c->r, op, x, dim, fx_bool(c, 2, false))) }, 2);
}

/* What the reduced dims hold together. */
static const jc_expr *count_of(fx_reader *r, const jc_value *x, jc_arg dims) {
    const jc_expr *n = jc_ex_int(fx_x(r), 1);
    for (uint32_t i = 0; i < dims.list.n; i++) {
        int64_t d = 0;
        jc_ex_is_const(dims.list.at[i].expr, &d);
        n = jc_ex_mul(fx_x(r), n, x->type.dims[d]);
    }
    return n;
}

/* max(n - correction, 0) */
static jc_arg var_divisor(fx_call *c, const jc_expr *n, double correction) {
    jc_exprs *t = fx_x(c->r);
    int64_t count = 0;
    if (correction == floor(correction))
        return fx_e(jc_ex_max(t, jc_ex_sub(t, n, jc_ex_int(t, (int64_t)correction)), jc_ex_int(t, 0)));
    if (!jc_ex_is_const(n, &count))
        fx_refuse_arg(c, 1, "the number of elements has to be a constant unless correction is whole");
    return number_of(fmax((double)count - correction, 0));
}

/* sum((x - mean(x))^2) / max(n - correction, 0), in f32 at least.  The mean is rounded: what the differences are off by is
   their sum, whose share is taken off (Chan, Golub, LeVeque).  Aux: 1 its root, 2 with the mean. */
jc_arg fx_h_var(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (c->a[1].kind == JC_ARG_BOOL) { /* var(x, unbiased) */
        c->a[2] = c->a[1];
        c->a[1] = fx_absent();
    }
    const jc_arg dims = reduced_dims(c, 1, x), yes = jc_arg_bool(true), keep = jc_arg_bool(fx_bool(c, 3, false));
    const double correction = fx_given(c, 4) ? fx_float(c, 4, 1) : fx_bool(c, 2, true);
    if (r->status)
        return fx_nothing();
    const jc_dtype dtype = (jc_dtype)x->type.dtype;
    const jc_expr *n = count_of(r, x, dims);
    const jc_arg divisor = var_divisor(c, n, correction), wide = fx_v(fx_cast(r, x, dtype == JC_F64 ? JC_F64 : JC_F32));
    const jc_arg mean = fx_v(FX_OP(r, JC_OP_mean, wide, dims, yes, fx_nothing()));
    const jc_arg off = fx_v(FX_OP(r, JC_OP_sub, wide, mean)), square = fx_v(FX_OP(r, JC_OP_mul, off, off));
    const jc_arg sum = fx_v(FX_OP(r, JC_OP_sum, square, dims, keep, fx_nothing())), rest = fx_v(FX_OP(r, JC_OP_sum, off, dims, keep, fx_nothing()));
    const jc_arg share = fx_v(FX_OP(r, JC_OP_mul, rest, fx_v(FX_OP(r, JC_OP_div, rest, fx_e(n)))));
    jc_value *y = FX_OP(r, JC_OP_div, fx_v(FX_OP(r, JC_OP_sub, sum, share)), divisor);
    if (c->row->aux & 1)
        y = FX_OP(r, JC_OP_sqrt, fx_v(y));
    y = y ? fx_cast(r, y, dtype) : NULL;
    if (!y || !(c->row->aux & 2))
        return fx_v(y);
    jc_value *m = fx_cast(r, mean.value, dtype);
    return fx_list(r, (jc_arg[]){ fx_v(y), fx_v(keep.b || !m ? m : fx_reshape(r, m, y->type.dims, y->type.rank)) }, 2);
}

/* The sum of |x|^p, to the 1/p; of infinite p the extreme, of 0 how many are not 0.  In f32 at least.  Aux: linalg's, whose p has no
   words. */
jc_arg fx_h_norm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (c->a[1].kind == JC_ARG_STR && !strcmp(c->a[1].str, "fro") && !c->row->aux)
        c->a[1] = fx_absent();
    if (c->a[1].kind == JC_ARG_STR && !strcmp(c->a[1].str, "nuc"))
        fx_refuse_arg(c, 1, "it is the sum of singular values");
    const double p = fx_float(c, 1, 2);
    const jc_arg dtype = fx_dtype_or(c, 4, jc_arg_dtype((jc_dtype)x->type.dtype)), dims = reduced_dims(c, 2, x), keep = jc_arg_bool(fx_bool(c, 3, false));
    if (r->status)
        return fx_nothing();
    const jc_arg wide = fx_v(fx_cast(r, x, dtype.dtype == JC_F64 ? JC_F64 : JC_F32)), zero = fx_i(r, 0);
    jc_arg each = p == 2 ? fx_v(FX_OP(r, JC_OP_mul, wide, wide)) : fx_v(FX_OP(r, JC_OP_abs, wide));
    if (p == 0)
        each = fx_v(fx_cast(r, FX_OP(r, JC_OP_ne, wide, zero), (jc_dtype)wide.value->type.dtype));
    else if (p != 1 && p != 2 && !isinf(p))
        each = fx_v(FX_OP(r, JC_OP_pow, each, number_of(p)));
    jc_value *y = isinf(p) ? FX_OP(r, p > 0 ? JC_OP_amax : JC_OP_amin, each, dims, keep) : FX_OP(r, JC_OP_sum, each, dims, keep, fx_nothing());
    if (p == 2)
        y = FX_OP(r, JC_OP_sqrt, fx_v(y));
    else if (p != 0 && p != 1 && !isinf(p))
        y = FX_OP(r, JC_OP_pow, fx_v(y), number_of(1 / p));
    return y ? fx_v(fx_cast(r, y, dtype.dtype)) : fx_nothing();
}

/* norm_except_dim(v, pow, dim): over all dims but one, or all of them for -1; they are kept. */
jc_arg fx_h_norm_except_dim(fx_call *c) {
    jc_value *v = fx_tensor(c, 0);
    const int rank = v ? fx_rank(v) : 0;
    const int64_t pow = fx_int(c, 1, 2), whole = fx_int(c, 2, 0);
    const int one = whole == -1 ? -1 : fx_norm_dim(c->r, whole, rank, c->at);
    jc_arg dims[JC_MAX_RANK];
    uint32_t n = 0;
    for (int d = 0; d < rank; d++)
        if (d != one)
            dims[n++] = fx_i(c->r, d);
    c->a[1] = fx_i(c->r, pow);
    c->a[2] = fx_list(c->r, dims, n);
    c->a[3] = jc_arg_bool(whole != -1);
    c->a[4] = fx_absent();
    if (c->r->status)
        return fx_nothing();
    return n ? fx_h_norm(c) : fx_v(FX_OP(c->r, JC_OP_abs, fx_v(v)));
}

/* _weight_norm(v, g, dim): V with the norms G.  Aux: 1: and the norms that it had. */
jc_arg fx_h_weight_norm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *v = fx_tensor(c, 0), *g = fx_tensor(c, 1);
    if (!v || !g)
        return fx_nothing();
    const jc_dtype wide = v->type.dtype == JC_F64 ? JC_F64 : JC_F32;
    c->a[0] = fx_v(fx_cast(r, v, wide));
    c->a[1] = fx_i(r, 2);
    const jc_arg norm = fx_h_norm_except_dim(c);
    const jc_arg scale = fx_v(FX_OP(r, JC_OP_div, fx_v(fx_cast(r, g, wide)), norm));
    jc_value *w = FX_OP(r, JC_OP_mul, fx_v(fx_cast(r, v, wide)), scale);
    if (r->status)
        return fx_nothing();
    const jc_arg weight = fx_v(fx_cast(r, w, (jc_dtype)v->type.dtype));
    return c->row->aux ? fx_list(r, (jc_arg[]){ weight, norm }, 2) : weight;
}

/* aminmax(self, dim, keepdim) */
jc_arg fx_h_aminmax(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    jc_arg dims = reduced_dims(c, 1, x), keep = jc_arg_bool(fx_bool(c, 2, false));
    return fx_list(c->r, (jc_arg[]){ fx_v(FX_OP(c->r, JC_OP_amin, fx_v(x), dims, keep)), fx_v(FX_OP(c->r, JC_OP_amax, fx_v(x), dims, keep)) }, 2);
}

/* --- normalisations --- */

/* A number is a row of one element. */
static jc_arg softmax_of(fx_reader *r, jc_value *x, int dim, jc_arg dtype) {
    const jc_expr *one = jc_ex_int(fx_x(r), 1);
    const bool number = !fx_rank(x);
    if (number)
        x = fx_reshape(r, x, &one, 1);
    jc_value *y = FX_OP(r, JC_OP_softmax, fx_v(x), fx_i(r, dim), dtype);
    return fx_v(number && y ? fx_reshape(r, y, NULL, 0) : y);
}

/* Aux: where the dtype stands. */
jc_arg fx_h_softmax(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_given_dim(c, 1, fx_rank(x));
    return softmax_of(c->r, x, dim, fx_dtype_or(c, c->row->aux, fx_nothing()));
}

jc_arg fx_h_softmax_half(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    return softmax_of(c->r, x, dim, fx_bool(c, 2, false) ? jc_arg_dtype(JC_F32) : fx_nothing());
}

/* How many trailing dims `normalized_shape` covers, checked against the tensor. */
static int64_t normalised_dims(fx_call *c, const jc_value *x) {
    const jc_expr *at[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, 1, at, JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return 0;
    if (n < 1 || n > x->type.rank) {
        fx_bad_arg(c, 1, "the sizes of trailing dimensions");
        return 0;
    }
    for (uint32_t i = 0; i < n; i++)
        if (jc_ex_equal(fx_x(c->r), at[i], x->type.dims[x->type.rank - n + i]) == JC_NO)
            fx_fail(c->r, JITC_E_INPUT, c->at, "`%s` normalises over size %s, but the tensor is %s.", c->row->name,
                    jc_ex_text(fx_x(c->r), at[i], c->r->scratch),
                    jc_type_text(fx_x(c->r), &x->type, c->r->scratch));
    return n;
}

/* layer_norm whose eps is known at run time only, written out as ir/README.md defines it. */
static jc_arg layer_norm_at(fx_call *c, jc_value *x, int64_t n) {
    fx_reader *r = c->r;
    jc_arg dims[JC_MAX_RANK];
    if (!x || r->status)
        return fx_nothing();
    const jc_dtype dtype = (jc_dtype)x->type.dtype, inner = dtype == JC_F64 ? JC_F64 : JC_F32;
    for (int64_t i = 0; i < n; i++)
        dims[i] = fx_i(r, fx_rank(x) - n + i);
    const jc_arg over = jc_arg_list(r->graph, dims, (uint32_t)n), keep = jc_arg_bool(true), wide = fx_v(fx_cast(r, x, inner));
    const jc_arg off = fx_v(FX_OP(r, JC_OP_sub, wide, fx_v(FX_OP(r, JC_OP_mean, wide, over, keep, fx_nothing()))));
    const jc_arg square = fx_v(FX_OP(r, JC_OP_mul, off, off)), variance = fx_v(FX_OP(r, JC_OP_mean, square, over, keep, fx_nothing()));
    jc_value *y = FX_OP(r, JC_OP_mul, off, fx_v(FX_OP(r, JC_OP_rsqrt, fx_v(FX_OP(r, JC_OP_add, variance, c->a[4])))));
    if (fx_given(c, 2))
        y = FX_OP(r, JC_OP_mul, fx_v(y), fx_v(fx_cast(r, fx_tensor(c, 2), inner)));
    if (fx_given(c, 3))
        y = FX_OP(r, JC_OP_add, fx_v(y), fx_v(fx_cast(r, fx_tensor(c, 3), inner)));
    return fx_v(fx_cast(r, y, dtype));
}

jc_arg fx_h_layer_norm(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const int64_t n = normalised_dims(c, x);
    if (fx_has_scalar(&c->a[4], 1))
        return layer_norm_at(c, x, n);
    return fx_v(FX_OP(c->r, JC_OP_layer_norm, fx_v(x), fx_i(c->r, n), fx_tensor_or_none(c, 2),
                      fx_tensor_or_none(c, 3), number_of(fx_float(c, 4, 1e-5))));
}

static double epsilon_of(jc_dtype dtype) {
    return dtype == JC_BF16 ? 0x1p-7 : dtype == JC_F16 ? 0x1p-10 : dtype == JC_F64 ? 0x1p-52 : 0x1p-23;
}

/* torch.nn.functional.rms_norm: everything in f32, the weight included, rounded once; vLLM's rms_norm rounds before it
   applies the weight, so the two differ. */
jc_arg fx_h_torch_rms_norm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const int64_t n = normalised_dims(c, x);
    jc_arg dims[JC_MAX_RANK];
    if (r->status)
        return fx_nothing();
    const jc_dtype dtype = (jc_dtype)x->type.dtype, inner = dtype == JC_F64 ? JC_F64 : JC_F32;
    for (int64_t i = 0; i < n; i++)
        dims[i] = fx_i(r, fx_rank(x) - n + i);
    jc_arg wide = fx_v(fx_cast(r, x, inner)), square = fx_v(FX_OP(r, JC_OP_mul, wide, wide));
    jc_arg over = jc_arg_list(r->graph, dims, (uint32_t)n);
    jc_arg mean = fx_v(FX_OP(r, JC_OP_mean, square, over, jc_arg_bool(true), fx_nothing()));
    jc_arg eps = number_of(fx_float(c, 3, epsilon_of(dtype)));
    jc_arg scale = fx_v(FX_OP(r, JC_OP_rsqrt, fx_v(FX_OP(r, JC_OP_add, mean, eps))));
    jc_value *y = FX_OP(r, JC_OP_mul, wide, scale);
    if (fx_given(c, 2)) {
        jc_value *w = fx_tensor(c, 2);
        y = FX_OP(r, JC_OP_mul, fx_v(y), fx_v(w ? fx_cast(r, w, inner) : NULL));
    }
    return y ? fx_v(fx_cast(r, y, dtype)) : fx_nothing();
}

jc_arg fx_h_fused_rms_norm(fx_call *c) {
    const jc_arg y = fx_h_torch_rms_norm(c);
    return c->r->status ? fx_nothing() : fx_list(c->r, (jc_arg[]){ y, fx_opaque("the scale of an rms_norm, which is not supported") }, 2);
}

static jc_arg size_or_none(fx_call *c, int i) {
    return fx_given(c, i) ? fx_e(fx_expr(c, i)) : fx_nothing();
}

jc_arg fx_h_rms_norm(fx_call *c) {
    jc_arg x = fx_v(fx_tensor(c, 0)), w = fx_tensor_or_none(c, 1), size = size_or_none(c, 3);
    if (!fx_given(c, 2))
        fx_bad_arg(c, 2, "a number");
    return fx_v(FX_OP(c->r, JC_OP_rms_norm, x, w, number_of(fx_float(c, 2, 0)), size));
}

jc_arg fx_h_fused_add_rms_norm(fx_call *c) {
    jc_arg x = fx_v(fx_tensor(c, 0)), residual = fx_v(fx_tensor(c, 1)), w = fx_tensor_or_none(c, 2);
    jc_arg size = size_or_none(c, 4);
    if (!fx_given(c, 3))
        fx_bad_arg(c, 3, "a number");
    jc_value *y = FX_OP(c->r, JC_OP_fused_add_rms_norm, x, residual, w, number_of(fx_float(c, 3, 0)), size);
    if (!y)
        return fx_nothing();
    return fx_list(c->r, (jc_arg[]){ fx_v(y->def->results[0]), fx_v(y->def->results[1]) }, 2);
}

jc_arg fx_h_silu_and_mul(fx_call *c) {
    return fx_v(FX_OP(c->r, JC_OP_silu_and_mul, fx_v(fx_tensor(c, 0))));
}
