/*
 * ir/fx/fx_build_backward.c - gradients that are operators of their own: what definitions (definitions.def) cannot say of them.
 *
 * Gradients of norms are computed of the operands seen in few dims, in f32 at least, and rounded once.  Those of a convolution are
 * convolutions: the image's a transposed one, the weight's one whose channels are the batch.
 */
#include <string.h>
#include "ir/fx/fx_factor.h"

static const jc_expr *whole(fx_reader *r, int64_t i) {
    return jc_ex_int(fx_x(r), i);
}

/* gelu_backward(grad_output, self, approximate) */
jc_arg fx_h_gelu_backward(fx_call *c) {
    const bool tanh = fx_given(c, 2) && c->a[2].kind == JC_ARG_STR && !strcmp(c->a[2].str, "tanh");
    if (fx_given(c, 2) && !tanh && (c->a[2].kind != JC_ARG_STR || strcmp(c->a[2].str, "none") != 0))
        fx_bad_arg(c, 2, "'none' or 'tanh'");
    return c->r->status ? fx_nothing() : fx_defined_as(c, tanh ? "gelu_backward_tanh" : "gelu_backward");
}

/* --- several results, of which a mask says which are wanted --- */

/* Element I of argument AT, a list of truths. */
static bool wanted(fx_call *c, int at, uint32_t i) {
    const jc_arg mask = c->a[at];
    if (mask.kind == JC_ARG_LIST && i < mask.list.n && mask.list.at[i].kind == JC_ARG_BOOL)
        return mask.list.at[i].b;
    fx_bad_arg(c, at, "a truth for each result");
    return false;
}

/* Argument I in f32 at least and as DIMS, where it is given. */
static void see(fx_call *c, int i, const jc_expr *const *dims, uint32_t n) {
    jc_value *x = fx_given(c, i) ? fx_tensor(c, i) : NULL;
    if (x)
        c->a[i] = fx_v(fx_reshape(c->r, fx_cast(c->r, x, x->type.dtype == JC_F64 ? JC_F64 : JC_F32), dims, n));
}

/* Those of three gradients that argument MASK wants: of X, and of a weight and a bias as DIMS, of the dtype OF_WEIGHT. */
static jc_arg gradients(fx_call *c, jc_arg all, int mask, const jc_value *x, jc_dtype of_weight, const jc_expr *const *dims, uint32_t n) {
    jc_arg out[3];
    for (uint32_t i = 0; i < 3; i++) {
        const bool is_wanted = wanted(c, mask, i);
        if (c->r->status)
            return fx_nothing();
        jc_value *y = is_wanted ? fx_cast(c->r, all.list.at[i].value, i ? of_weight : (jc_dtype)x->type.dtype) : NULL;
        out[i] = !is_wanted ? fx_nothing() : fx_v(fx_reshape(c->r, y, i ? dims : x->type.dims, i ? n : x->type.rank));
    }
    return c->r->status ? fx_nothing() : fx_list(c->r, out, 3);
}

static jc_dtype dtype_of(const jc_arg weight, const jc_value *x) {
    return (jc_dtype)(fx_is_tensor(weight) ? weight.value : x)->type.dtype;
}

/* native_layer_norm_backward(grad_out, input, normalized_shape, mean, rstd, weight, bias, output_mask) */
jc_arg fx_h_layer_norm_backward(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 1);
    const jc_expr *shape[JC_MAX_RANK];
    const uint32_t n = x ? fx_exprs(c, 2, shape, JC_MAX_RANK) : UINT32_MAX;
    if (n == UINT32_MAX)
        return fx_nothing();
    if (n > x->type.rank) {
        fx_bad_arg(c, 2, "no more dimensions than the tensor has");
        return fx_nothing();
    }
    const uint32_t lead = x->type.rank - n;
    const jc_dtype of_weight = dtype_of(c->a[5], x);
    const jc_expr *one = fx_one(r), *rows = jc_ex_product(fx_x(r), x->type.dims, lead), *row = jc_ex_product(fx_x(r), x->type.dims + lead, n);
    const jc_expr *all[4] = { rows, one, row, one }, *each[4] = { rows, one, one, one }, *weight[4] = { one, one, row, one };
    see(c, 0, all, 4);
    see(c, 1, all, 4);
    see(c, 3, each, 4);
    see(c, 4, each, 4);
    see(c, 5, weight, 4);
    const jc_arg y = r->status ? fx_nothing() : fx_defined_as(c, "norm_backward");
    return r->status ? y : gradients(c, y, 7, x, of_weight, x->type.dims + lead, n);
}

/* native_group_norm_backward(grad_out, input, mean, rstd, weight, N, C, HxW, group, output_mask) */
jc_arg fx_h_group_norm_backward(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 1);
    const jc_expr *n = fx_expr(c, 5), *channels = fx_expr(c, 6), *points = fx_expr(c, 7), *groups = fx_expr(c, 8), *one = fx_one(r);
    if (!x || r->status)
        return fx_nothing();
    const jc_dtype of_weight = dtype_of(c->a[4], x);
    const jc_expr *each = jc_ex_fdiv(fx_x(r), channels, groups);
    const jc_expr *all[4] = { n, groups, each, points }, *group[4] = { n, groups, one, one }, *weight[4] = { one, groups, each, one };
    see(c, 0, all, 4);
    see(c, 1, all, 4);
    see(c, 2, group, 4);
    see(c, 3, group, 4);
    see(c, 4, weight, 4);
    const jc_arg y = r->status ? fx_nothing() : fx_defined_as(c, "norm_backward");
    return r->status ? y : gradients(c, y, 9, x, of_weight, &channels, 1);
}

/* native_batch_norm_backward(grad_out, input, weight, running_mean, running_var, save_mean, save_invstd, train, eps, output_mask) */
jc_arg fx_h_batch_norm_backward(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 1);
    const bool train = fx_bool(c, 7, false);
    if (!x || r->status)
        return fx_nothing();
    if (fx_rank(x) < 2) {
        fx_bad_arg(c, 1, "a batch of tensors of channels");
        return fx_nothing();
    }
    const jc_dtype of_weight = dtype_of(c->a[2], x);
    const jc_expr *channels = x->type.dims[1], *one = fx_one(r);
    const jc_expr *all[3] = { x->type.dims[0], channels, jc_ex_product(fx_x(r), x->type.dims + 2, x->type.rank - 2u) }, *each[3] = { one, channels, one };
    for (int i = 0; i < 7; i++)
        see(c, i, i < 2 ? all : each, 3);
    const jc_arg y = r->status ? fx_nothing() : fx_defined_as(c, train ? "batch_norm_backward_of_batch" : "batch_norm_backward_of_all");
    return r->status ? y : gradients(c, y, 9, x, of_weight, &channels, 1);
}

/* --- convolutions --- */

typedef struct conv {
    jc_value *g, *x, *w;
    jc_arg stride, padding, dilation, extra, groups; /* extra: what strides leave over, at most */
    int64_t ngroups;
} conv;

static jc_value *convolved(fx_call *c, jc_value *x, jc_value *w, const conv *v, jc_arg stride, jc_arg dilation, bool transposed) {
    fx_call one = *c;
    for (int i = 0; i < FX_MAX_PARAMS; i++)
        one.a[i] = fx_absent();
    one.a[0] = fx_v(x);
    one.a[1] = fx_v(w);
    one.a[3] = stride;
    one.a[4] = v->padding;
    one.a[5] = dilation;
    one.a[6] = jc_arg_bool(transposed);
    one.a[7] = transposed ? v->extra : fx_absent();
    one.a[8] = v->groups;
    const jc_arg y = x && w && !c->r->status ? fx_h_convolution(&one) : fx_nothing();
    return fx_is_tensor(y) ? y.value : NULL;
}

/* X without what is behind the last dims of LIKE, from the dim FIRST on. */
static jc_value *cut_to(fx_reader *r, jc_value *x, const jc_value *like, int first) {
    for (int d = first; x && !r->status && d < fx_rank(x); d++)
        x = fx_slice(r, x, d, whole(r, 0), like->type.dims[d], 1);
    return x;
}

/* X[A, B, ...] as [B, A, ...]; of GROUPS in B: [B / groups, groups * A, ...]. */
static jc_value *batch_as_channels(fx_reader *r, jc_value *x, int64_t groups) {
    const jc_expr *dims[JC_MAX_RANK];
    int order[JC_MAX_RANK];
    if (!x || r->status)
        return NULL;
    const int rank = fx_rank(x);
    dims[0] = x->type.dims[0];
    dims[1] = whole(r, groups);
    dims[2] = jc_ex_fdiv(fx_x(r), x->type.dims[1], dims[1]);
    for (int d = 2; d < rank; d++)
        dims[d + 1] = x->type.dims[d];
    x = fx_reshape(r, x, dims, (uint32_t)rank + 1);
    for (int d = 0; d <= rank; d++)
        order[d] = d < 3 ? (d == 0 ? 2 : d == 1 ? 1 : 0) : d;
    x = fx_permute(r, x, order);
    dims[1] = jc_ex_mul(fx_x(r), dims[0], dims[1]);
    dims[0] = dims[2];
    for (int d = 2; d < rank; d++)
        dims[d] = dims[d + 1];
    return fx_reshape(r, x, dims, (uint32_t)rank);
}

/* Of the weight w[O, C / groups, kernel...] that makes G of X. */
static jc_value *of_weight(fx_call *c, const conv *v, jc_value *x, jc_value *g) {
    fx_reader *r = c->r;
    jc_value *y = convolved(c, batch_as_channels(r, x, v->ngroups), batch_as_channels(r, g, 1), v, v->dilation, v->stride, false);
    y = batch_as_channels(r, y, 1);
    return cut_to(r, y, v->w, 2);
}

/* Strides less 1, as many as the space has dims. */
static jc_arg less_one(fx_call *c, int i, int space) {
    const jc_expr *at[JC_MAX_RANK];
    jc_arg out[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, i, at, JC_MAX_RANK);
    for (int d = 0; d < space && n != UINT32_MAX && n; d++)
        out[d] = fx_e(jc_ex_sub(fx_x(c->r), at[n == 1 ? 0 : (uint32_t)d < n ? (uint32_t)d : 0], fx_one(c->r)));
    return c->r->status ? fx_nothing() : fx_list(c->r, out, n ? (uint32_t)space : 0);
}

static jc_value *sum_over_images(fx_reader *r, jc_value *g) {
    jc_arg dims[JC_MAX_RANK];
    uint32_t n = 0;
    for (int d = 0; d < fx_rank(g); d++)
        if (d != 1)
            dims[n++] = fx_i(r, d);
    return FX_OP(r, JC_OP_sum, fx_v(g), jc_arg_list(r->graph, dims, n), jc_arg_bool(false), fx_nothing());
}

/* convolution_backward(grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, output_mask) */
jc_arg fx_h_convolution_backward(fx_call *c) {
    fx_reader *r = c->r;
    conv v = { .g = fx_tensor(c, 0), .x = fx_tensor(c, 1), .w = fx_tensor(c, 2), .stride = c->a[4], .padding = c->a[5], .dilation = c->a[6], .groups = c->a[9] };
    const bool transposed = fx_bool(c, 7, false), of_x = wanted(c, 10, 0), of_w = wanted(c, 10, 1), of_bias = wanted(c, 10, 2);
    v.ngroups = fx_int(c, 9, 1);
    if (!v.g || !v.x || !v.w || r->status)
        return fx_nothing();
    if (fx_rank(v.x) < 3 || fx_rank(v.g) != fx_rank(v.x) || fx_rank(v.w) != fx_rank(v.x) || v.ngroups < 1) {
        fx_bad_arg(c, 1, "a stack of images, as the gradient and the weight are");
        return fx_nothing();
    }
    v.extra = less_one(c, 4, fx_rank(v.x) - 2);
    jc_value *y[3] = { NULL };
    if (of_x)
        y[0] = cut_to(r, convolved(c, v.g, v.w, &v, v.stride, v.dilation, !transposed), v.x, 2);
    if (of_w)
        y[1] = transposed ? of_weight(c, &v, v.g, v.x) : of_weight(c, &v, v.x, v.g);
    if (of_bias)
        y[2] = sum_over_images(r, v.g);
    const bool is[3] = { of_x, of_w, of_bias };
    jc_arg out[3];
    for (int i = 0; i < 3; i++)
        out[i] = is[i] && y[i] ? fx_v(FX_OP(r, JC_OP_contiguous, fx_v(y[i]))) : fx_nothing();
    return r->status ? fx_nothing() : fx_list(r, out, 3);
}

/* --- means over windows --- */

/* How much of each of the OUT windows of a dim of SIZE an element gets: [size, out] of DTYPE, from where windows start and end, and how long they are. */
static jc_value *shares(fx_reader *r, jc_value *start, jc_value *end, jc_value *length, const jc_expr *size, jc_dtype dtype) {
    jc_value *i = fx_unsqueeze(r, fx_counted(r, size), 1), *after = FX_OP(r, JC_OP_ge, fx_v(i), fx_v(start)), *before = FX_OP(r, JC_OP_lt, fx_v(i), fx_v(end));
    jc_value *share = FX_OP(r, JC_OP_reciprocal, fx_v(length ? fx_cast(r, length, dtype) : NULL));
    return FX_OP(r, JC_OP_where, fx_v(FX_OP(r, JC_OP_bitand, fx_v(after), fx_v(before))), fx_v(share), fx_i(r, 0));
}

static jc_value *with(fx_reader *r, jc_op op, jc_value *x, jc_arg y) {
    return FX_OP(r, op, fx_v(x), y);
}

/* Windows as adaptive pooling has them. */
static jc_value *adaptive_shares(fx_reader *r, const jc_expr *size, const jc_expr *out, jc_dtype dtype) {
    jc_value *scaled = with(r, JC_OP_mul, fx_counted(r, out), fx_e(size)), *start = with(r, JC_OP_floordiv, scaled, fx_e(out));
    const jc_expr *more = jc_ex_sub(fx_x(r), jc_ex_add(fx_x(r), size, out), fx_one(r));
    jc_value *end = with(r, JC_OP_floordiv, with(r, JC_OP_add, scaled, fx_e(more)), fx_e(out));
    return shares(r, start, end, FX_OP(r, JC_OP_sub, fx_v(end), fx_v(start)), size, dtype);
}

typedef struct window {
    const jc_expr *size, *stride, *padding;
} window;

/* Windows of one size; PADDED: what they cover of the padding counts; ALONE: an element gets all. */
static jc_value *window_shares(fx_reader *r, const window *w, const jc_expr *size, const jc_expr *out, bool padded, bool alone, jc_dtype dtype) {
    jc_value *start = with(r, JC_OP_sub, with(r, JC_OP_mul, fx_counted(r, out), fx_e(w->stride)), fx_e(w->padding));
    jc_value *end = with(r, JC_OP_minimum, with(r, JC_OP_add, start, fx_e(w->size)), fx_e(jc_ex_add(fx_x(r), size, w->padding)));
    jc_value *first = with(r, JC_OP_maximum, start, fx_i(r, 0)), *last = with(r, JC_OP_minimum, end, fx_e(size));
    jc_value *length = padded ? FX_OP(r, JC_OP_sub, fx_v(end), fx_v(start)) : FX_OP(r, JC_OP_sub, fx_v(last), fx_v(first));
    if (alone)
        length = with(r, JC_OP_add, with(r, JC_OP_mul, start, fx_i(r, 0)), fx_i(r, 1));
    return shares(r, first, last, length, size, dtype);
}

/* Argument I for dim K of N; OTHERWISE where it is not there. */
static const jc_expr *number_for(fx_call *c, int i, int k, int n, const jc_expr *otherwise) {
    const jc_expr *at[JC_MAX_RANK];
    const uint32_t count = fx_given(c, i) ? fx_exprs(c, i, at, JC_MAX_RANK) : 0;
    if (!count || count == UINT32_MAX)
        return otherwise;
    if (count != 1 && count != (uint32_t)n) {
        fx_bad_arg(c, i, "one number, or one for each dimension");
        return otherwise;
    }
    return at[count == 1 ? 0 : k];
}

/* G with dim D multiplied by BY. */
static jc_value *spread(fx_reader *r, jc_value *g, int d, jc_value *by) {
    return to_last(r, times(r, to_last(r, g, d), turned(r, by)), d);
}

/* avg_poolNd_backward(grad_output, self, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override), and with 16
   _adaptive_avg_poolNd_backward(grad_output, self).  Aux: N. */
jc_arg fx_h_avg_pool_backward(fx_call *c) {
    fx_reader *r = c->r;
    const int n = c->row->aux & 15;
    const bool adaptive = c->row->aux & 16, alone = !adaptive && fx_given(c, 7), padded = !adaptive && fx_bool(c, 6, true);
    jc_value *g = fx_tensor(c, 0), *x = fx_tensor(c, 1);
    if (!g || !x || r->status)
        return fx_nothing();
    if (fx_rank(g) != fx_rank(x) || fx_rank(x) <= n) {
        fx_bad_arg(c, 1, "a tensor of channels, as the gradient is");
        return fx_nothing();
    }
    const jc_dtype dtype = x->type.dtype == JC_F64 ? JC_F64 : JC_F32;
    jc_value *y = fx_cast(r, g, dtype);
    for (int k = 0; k < n && y && !r->status; k++) {
        const int d = fx_rank(x) - n + k;
        window w = { adaptive ? NULL : number_for(c, 2, k, n, fx_one(r)), NULL, adaptive ? NULL : number_for(c, 4, k, n, whole(r, 0)) };
        w.stride = adaptive ? NULL : number_for(c, 3, k, n, w.size);
        jc_value *by = adaptive ? adaptive_shares(r, x->type.dims[d], g->type.dims[d], dtype)
                                : window_shares(r, &w, x->type.dims[d], g->type.dims[d], padded, alone, dtype);
        y = spread(r, y, d, by);
    }
    if (alone && y)
        y = FX_OP(r, JC_OP_div, fx_v(y), fx_number(c, 7));
    return fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
}
