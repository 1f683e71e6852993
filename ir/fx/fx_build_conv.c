/*
 * ir/fx/fx_build_conv.c - convolution as windows and a product.
 *
 * The windows of a padded image, x[N, C, out..., kernel...], are a view; laid out as rows of C*kernel they are one operand of a product,
 * the weight w[O, C/groups, kernel...] the other.  Where the kernel is one point there are no windows.  Where each channel is by
 * itself (depthwise) there is nothing to multiply matrices for: one product of numbers for each point of the kernel, added up in f32.
 * A transposed convolution is one of the image spread out by its strides, with the kernel turned round.
 * Integers are multiplied and added up in their own dtype.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

#define MAX_SPACE 3
#define MAX_TAPS 64 /* of a depthwise kernel that is written out */

typedef struct conv {
    fx_call *c;
    fx_reader *r;
    int space; /* 1, 2 or 3 dims */
    jc_value *x, *w, *bias;
    int64_t stride[MAX_SPACE], dilation[MAX_SPACE], extra[MAX_SPACE]; /* extra: output_padding */
    const jc_expr *kernel[MAX_SPACE], *before[MAX_SPACE], *after[MAX_SPACE];
    int64_t groups;
} conv;

static const jc_expr *number(conv *v, int64_t k) {
    return jc_ex_int(fx_x(v->r), k);
}

/* --- arguments --- */

/* Argument I: a number for each dim of the space, or one for all. */
static void numbers(conv *v, int i, int64_t otherwise, int64_t least, int64_t *out) {
    const jc_expr *at[MAX_SPACE];
    const uint32_t n = fx_given(v->c, i) ? fx_exprs(v->c, i, at, MAX_SPACE) : 0;
    for (int d = 0; d < v->space; d++)
        out[d] = otherwise;
    if (!n || n == UINT32_MAX)
        return;
    if (n != 1 && n != (uint32_t)v->space)
        fx_bad_arg(v->c, i, "a number for each dimension of the space");
    for (int d = 0; d < v->space && !v->r->status; d++) {
        if (!jc_ex_is_const(at[n == 1 ? 0 : d], &out[d]))
            fx_refuse_arg(v->c, i, "it has to be constants");
        else if (out[d] < least)
            fx_bad_arg(v->c, i, "no less than 0, and strides and dilations at least 1");
    }
}

/* 'valid', 'same', or numbers for both sides. */
static void paddings(conv *v, int i) {
    int64_t by[MAX_SPACE] = { 0 };
    const jc_arg a = v->c->a[i];
    const bool same = a.kind == JC_ARG_STR && strcmp(a.str, "same") == 0, valid = a.kind == JC_ARG_STR && strcmp(a.str, "valid") == 0;
    if (!same && !valid)
        numbers(v, i, 0, 0, by);
    for (int d = 0; d < v->space && !v->r->status; d++) {
        const jc_expr *total = jc_ex_mul(fx_x(v->r), jc_ex_sub(fx_x(v->r), v->kernel[d], number(v, 1)), number(v, v->dilation[d]));
        v->before[d] = same ? jc_ex_fdiv(fx_x(v->r), total, number(v, 2)) : number(v, by[d]);
        v->after[d] = same ? jc_ex_sub(fx_x(v->r), total, v->before[d]) : number(v, by[d]);
        if (same && v->stride[d] != 1)
            fx_bad_arg(v->c, i, "numbers, since 'same' goes with strides of 1");
    }
}

/* --- the image --- */

/* X with zeros around it, or without its edges where BEFORE or AFTER is negative. */
static jc_value *padded(conv *v, jc_value *x) {
    jc_exprs *t = fx_x(v->r);
    const jc_expr *before[JC_MAX_RANK], *after[JC_MAX_RANK], *zero = number(v, 0);
    bool none = true;
    for (int d = 0; x && d < fx_rank(x); d++) {
        const jc_expr *b = d < 2 ? zero : v->before[d - 2], *a = d < 2 ? zero : v->after[d - 2];
        before[d] = jc_ex_max(t, b, zero);
        after[d] = jc_ex_max(t, a, zero);
        const jc_expr *cut = jc_ex_max(t, jc_ex_neg(t, b), zero), *cut_after = jc_ex_max(t, jc_ex_neg(t, a), zero);
        none &= jc_ex_is(before[d], 0) && jc_ex_is(after[d], 0);
        x = fx_slice(v->r, x, d, cut, jc_ex_sub(t, x->type.dims[d], jc_ex_add(t, cut, cut_after)), 1);
    }
    if (!x || none)
        return x;
    return FX_OP(v->r, JC_OP_pad, fx_v(x), fx_dims(v->r, before, x->type.rank), fx_dims(v->r, after, x->type.rank), fx_i(v->r, 0));
}

/* X with STRIDE - 1 zeros between its elements along D. */
static jc_value *spread_out(conv *v, jc_value *x, int d, int64_t stride) {
    jc_exprs *t = fx_x(v->r);
    const jc_expr *before[JC_MAX_RANK], *after[JC_MAX_RANK], *dims[JC_MAX_RANK];
    if (!x || stride == 1)
        return x;
    const jc_expr *n = x->type.dims[d];
    for (int k = 0; k < fx_rank(x); k++)
        dims[k] = k == d ? jc_ex_mul(t, n, number(v, stride)) : x->type.dims[k];
    const uint32_t rank = x->type.rank;
    x = fx_unsqueeze(v->r, x, d + 1);
    for (uint32_t k = 0; k <= rank; k++) {
        before[k] = number(v, 0);
        after[k] = number(v, (int)k == d + 1 ? stride - 1 : 0);
    }
    x = FX_OP(v->r, JC_OP_pad, fx_v(x), fx_dims(v->r, before, rank + 1), fx_dims(v->r, after, rank + 1), fx_i(v->r, 0));
    x = fx_reshape(v->r, x, dims, rank);
    return fx_slice(v->r, x, d, number(v, 0), jc_ex_sub(t, dims[d], number(v, stride - 1)), 1);
}

/* --- the sums --- */

static jc_dtype wide_of(const jc_value *x) {
    return x->type.dtype == JC_F64 || fx_class_of(x) != 'f' ? (jc_dtype)x->type.dtype : JC_F32;
}

static jc_value *multiplied(conv *v, jc_value *w, jc_value *x) {
    return fx_product(v->c, w, x, fx_class_of(v->x) == 'f' ? jc_arg_dtype(wide_of(v->x)) : fx_nothing());
}

/* Y[N, (groups,) O/groups, P], in f32 or wider, with the bias and as the result's dims; P are the elements of SPACE. */
static jc_value *finished(conv *v, jc_value *y, const jc_expr *const *space) {
    const jc_expr *dims[JC_MAX_RANK], *of_bias[3];
    if (!y)
        return NULL;
    const int rank = fx_rank(y);
    if (v->bias) {
        for (int d = 1; d < rank; d++)
            of_bias[d - 1] = d + 1 == rank ? number(v, 1) : y->type.dims[d];
        jc_value *bias = fx_reshape(v->r, v->bias, of_bias, (uint32_t)rank - 1);
        y = FX_OP(v->r, JC_OP_add, fx_v(y), fx_v(bias ? fx_cast(v->r, bias, (jc_dtype)y->type.dtype) : NULL));
    }
    y = y ? fx_cast(v->r, y, (jc_dtype)v->x->type.dtype) : NULL;
    dims[0] = v->x->type.dims[0];
    dims[1] = v->w->type.dims[0];
    memcpy(dims + 2, space, sizeof *dims * (size_t)v->space);
    return y ? fx_reshape(v->r, y, dims, (uint32_t)v->space + 2) : NULL;
}

/* X[N, C, ...] or W[O, ...] with its dim D as [groups, the rest]; as it is where there is one group. */
static jc_value *in_groups(conv *v, jc_value *x, int d) {
    const jc_expr *dims[JC_MAX_RANK + 1];
    if (!x || v->groups == 1)
        return x;
    for (int k = 0, to = 0; k < fx_rank(x); k++) {
        if (k == d)
            dims[to++] = number(v, v->groups);
        dims[to++] = k == d ? jc_ex_fdiv(fx_x(v->r), x->type.dims[k], number(v, v->groups)) : x->type.dims[k];
    }
    return fx_reshape(v->r, x, dims, x->type.rank + 1u);
}

/* X's dims from D on in one. */
static jc_value *flat_from(conv *v, jc_value *x, int d) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x)
        return NULL;
    memcpy(dims, x->type.dims, sizeof *dims * (size_t)d);
    dims[d] = jc_ex_product(fx_x(v->r), x->type.dims + d, (uint32_t)(fx_rank(x) - d));
    return fx_reshape(v->r, x, dims, (uint32_t)d + 1);
}

/* A kernel of one point: X itself is the right operand. */
static jc_value *pointwise(conv *v, jc_value *x) {
    const int lead = v->groups > 1;
    jc_value *w = flat_from(v, in_groups(v, v->w, 0), lead + 1), *image = flat_from(v, in_groups(v, x, 1), lead + 2);
    return finished(v, multiplied(v, w, image), x->type.dims + 2);
}

/* The windows: [N, C, out..., kernel...]. */
static jc_value *windows(conv *v, jc_value *x) {
    jc_exprs *t = fx_x(v->r);
    for (int d = 0; d < v->space && x; d++) {
        const jc_expr *kernel = v->kernel[d];
        const jc_expr *reach = jc_ex_add(t, jc_ex_mul(t, jc_ex_sub(t, kernel, number(v, 1)), number(v, v->dilation[d])), number(v, 1));
        x = fx_windows(v->r, x, 2 + d, reach, number(v, v->stride[d]));
        if (v->dilation[d] != 1 && x)
            x = fx_slice(v->r, x, fx_rank(x) - 1, number(v, 0), kernel, v->dilation[d]);
    }
    return x;
}

static jc_value *general(conv *v, jc_value *x);

/* Group by group, where there are too many dims for all at once. */
static jc_value *each_group(conv *v, jc_value *x) {
    jc_exprs *t = fx_x(v->r);
    jc_value *parts[MAX_TAPS];
    if (v->groups > MAX_TAPS)
        fx_fail(v->r, JITC_E_UNSUPPORTED, v->c->at, "`%s` in three dimensions with more than %d groups is not supported.", v->c->row->name, MAX_TAPS);
    for (int64_t g = 0; g < v->groups && x && !v->r->status; g++) {
        conv one = *v;
        const jc_expr *rows = jc_ex_fdiv(t, v->w->type.dims[0], number(v, v->groups)), *channels = v->w->type.dims[1];
        const jc_expr *row = jc_ex_mul(t, rows, number(v, g));
        one.groups = 1;
        one.w = fx_slice(v->r, v->w, 0, row, rows, 1);
        one.bias = v->bias ? fx_slice(v->r, v->bias, 0, row, rows, 1) : NULL;
        parts[g] = one.w ? general(&one, fx_slice(v->r, x, 1, jc_ex_mul(t, channels, number(v, g)), channels, 1)) : NULL;
    }
    const jc_arg y = v->r->status || !x ? fx_nothing() : fx_join(v->c, parts, (uint32_t)v->groups, 1);
    return fx_is_tensor(y) ? y.value : NULL;
}

/* Rows [N, (groups,) out, C/groups * kernel] of the windows, against those of the weight. */
static jc_value *general(conv *v, jc_value *x) {
    const jc_expr *space[MAX_SPACE];
    int order[JC_MAX_RANK], n = 0;
    const int lead = v->groups > 1, s = v->space;
    if (2 * s + 2 + lead > JC_MAX_RANK)
        return each_group(v, x);
    x = v->r->status ? NULL : windows(v, x);
    if (!x)
        return NULL;
    memcpy(space, x->type.dims + 2, sizeof *space * (size_t)s);
    x = in_groups(v, x, 1);
    for (int d = 0; d <= lead; d++)
        order[n++] = d;
    for (int d = 0; d < s; d++)
        order[n++] = lead + 2 + d;
    order[n++] = lead + 1;
    for (int d = 0; d < s; d++)
        order[n++] = lead + 2 + s + d;
    x = fx_permute(v->r, x, order);
    if (!x)
        return NULL;
    const jc_expr *dims[4], *out = jc_ex_product(fx_x(v->r), space, (uint32_t)s);
    for (int d = 0; d <= lead; d++)
        dims[d] = x->type.dims[d];
    dims[lead + 1] = out;
    dims[lead + 2] = jc_ex_product(fx_x(v->r), x->type.dims + lead + 1 + s, (uint32_t)s + 1);
    x = fx_reshape(v->r, x, dims, (uint32_t)lead + 3);
    for (int d = 0; d < lead + 3; d++)
        order[d] = d < lead + 1 ? d : 2 * lead + 3 - d;
    jc_value *w = flat_from(v, in_groups(v, v->w, 0), lead + 1);
    return finished(v, multiplied(v, w, fx_permute(v->r, x, order)), space);
}

/* How many points the kernel has, if that is a constant. */
static int64_t taps_of(const conv *v) {
    int64_t n = 1;
    for (int d = 0; d < v->space; d++) {
        int64_t k;
        if (!jc_ex_is_const(v->kernel[d], &k) || k < 1 || k > MAX_TAPS)
            return 0;
        n *= k;
    }
    return n;
}

/* Element TAP of each kernel as [C, O/C, 1...], and what it meets as [N, C, 1, out...]. */
static jc_value *tap(conv *v, jc_value *x, int64_t tap, const jc_expr *const *space) {
    jc_exprs *t = fx_x(v->r);
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *w = v->w;
    for (int d = v->space; d-- > 0;) {
        int64_t k = 1;
        jc_ex_is_const(v->kernel[d], &k);
        const int64_t at = tap % k;
        tap /= k;
        w = fx_slice(v->r, w, 2 + d, number(v, at), number(v, 1), 1);
        x = fx_slice(v->r, x, 2 + d, number(v, at * v->dilation[d]), space[d], v->stride[d]);
    }
    dims[0] = number(v, v->groups);
    dims[1] = jc_ex_fdiv(t, v->w->type.dims[0], dims[0]);
    for (int d = 0; d < v->space; d++)
        dims[2 + d] = number(v, 1);
    w = fx_reshape(v->r, w, dims, (uint32_t)v->space + 2);
    x = x ? fx_unsqueeze(v->r, x, 2) : NULL;
    if (!x || !w)
        return NULL;
    x = fx_cast(v->r, x, wide_of(v->x));
    return FX_OP(v->r, JC_OP_mul, fx_v(x), fx_v(fx_cast(v->r, w, wide_of(v->x))));
}

static jc_value *depthwise(conv *v, jc_value *x, int64_t taps) {
    const jc_expr *space[MAX_SPACE], *dims[3];
    jc_exprs *t = fx_x(v->r);
    jc_value *sum = NULL;
    for (int d = 0; d < v->space; d++) {
        const jc_expr *reach = jc_ex_mul(t, jc_ex_sub(t, v->kernel[d], number(v, 1)), number(v, v->dilation[d]));
        const jc_expr *left = jc_ex_sub(t, jc_ex_sub(t, x->type.dims[2 + d], reach), number(v, 1));
        space[d] = jc_ex_add(t, jc_ex_fdiv(t, left, number(v, v->stride[d])), number(v, 1));
    }
    for (int64_t k = 0; k < taps && !v->r->status; k++) {
        jc_value *y = tap(v, x, k, space);
        sum = sum ? FX_OP(v->r, JC_OP_add, fx_v(sum), fx_v(y)) : y;
    }
    if (!sum || v->r->status)
        return NULL;
    dims[0] = x->type.dims[0];
    dims[1] = v->w->type.dims[0];
    dims[2] = jc_ex_product(t, space, (uint32_t)v->space);
    return finished(v, fx_reshape(v->r, sum, dims, 3), space);
}

static jc_value *convolved(conv *v) {
    jc_value *x = padded(v, v->x);
    int64_t channels, points = taps_of(v);
    if (!x || v->r->status)
        return NULL;
    bool unit = true;
    for (int d = 0; d < v->space; d++)
        unit &= v->stride[d] == 1;
    if (v->groups > 1 && points && points <= MAX_TAPS && jc_ex_is(v->w->type.dims[1], 1) && jc_ex_is_const(x->type.dims[1], &channels) && channels == v->groups)
        return depthwise(v, x, points);
    return points == 1 && unit ? pointwise(v, x) : general(v, x);
}

/* --- transposed --- */

/* The weight w[C, O/groups, kernel...] as w[O, C/groups, kernel...], turned round. */
static jc_value *turned(conv *v) {
    int order[JC_MAX_RANK] = { 0 };
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *w = in_groups(v, v->w, 0);
    const int lead = v->groups > 1;
    for (int d = 0; w && d < fx_rank(w); d++)
        order[d] = d == lead ? lead + 1 : d == lead + 1 ? lead : d;
    w = fx_permute(v->r, w, order);
    if (!w)
        return NULL;
    dims[0] = jc_ex_mul(fx_x(v->r), w->type.dims[lead], number(v, v->groups));
    for (int d = 1; d < v->space + 2; d++)
        dims[d] = w->type.dims[lead + d];
    w = fx_reshape(v->r, w, dims, (uint32_t)v->space + 2);
    for (int d = 0; d < v->space; d++)
        if (w && !jc_ex_is(w->type.dims[2 + d], 1))
            w = fx_flip(v->r, w, 2 + d);
    return w;
}

static jc_value *transposed(conv *v) {
    jc_exprs *t = fx_x(v->r);
    v->w = turned(v);
    for (int d = 0; d < v->space && v->w && !v->r->status; d++) {
        const jc_expr *reach = jc_ex_mul(t, jc_ex_sub(t, v->kernel[d], number(v, 1)), number(v, v->dilation[d]));
        v->x = spread_out(v, v->x, 2 + d, v->stride[d]);
        v->before[d] = jc_ex_sub(t, reach, v->before[d]);
        v->after[d] = jc_ex_add(t, jc_ex_sub(t, reach, v->after[d]), number(v, v->extra[d]));
        v->stride[d] = 1;
    }
    return v->w && v->x && !v->r->status ? convolved(v) : NULL;
}

/* --- the spellings --- */

/* Which argument says what: -1: none. */
typedef struct places {
    int8_t stride, padding, dilation, transposed, extra, groups;
} places;

static void check(conv *v, bool turned_round) {
    const jc_expr *channels = v->x->type.dims[1], *groups = number(v, v->groups);
    const jc_expr *of_w = turned_round ? v->w->type.dims[0] : jc_ex_mul(fx_x(v->r), v->w->type.dims[1], groups);
    if (jc_ex_equal(fx_x(v->r), channels, of_w) == JC_NO ||
        jc_ex_equal(fx_x(v->r), jc_ex_mod(fx_x(v->r), v->w->type.dims[0], groups), number(v, 0)) == JC_NO)
        fx_fail(v->r, JITC_E_INPUT, v->c->at, "The image of `%s` is %s, which does not go with a weight %s in %lld groups.", v->c->row->name,
                jc_type_text(fx_x(v->r), &v->x->type, v->r->scratch), jc_type_text(fx_x(v->r), &v->w->type, v->r->scratch), (long long)v->groups);
    else if (jc_ex_equal(fx_x(v->r), channels, of_w) != JC_YES)
        fx_guard(v->r, channels, of_w);
}

/* SPACE 0: as many dims as the weight has. */
static jc_arg by(fx_call *c, int space, places at, bool turned_round) {
    conv v = { .c = c, .r = c->r, .x = fx_tensor(c, 0), .w = fx_tensor(c, 1), .bias = fx_given(c, 2) ? fx_tensor(c, 2) : NULL };
    if (!v.x || !v.w)
        return fx_nothing();
    v.space = space ? space : fx_rank(v.w) - 2;
    v.groups = fx_given(c, at.groups) ? fx_int(c, at.groups, 1) : 1;
    if (v.space < 1 || v.space > MAX_SPACE || fx_rank(v.w) != v.space + 2)
        fx_bad_arg(c, 1, "a weight of two dimensions and those of the space");
    if (fx_rank(v.x) != v.space + 2 && fx_rank(v.x) != v.space + 1)
        fx_bad_arg(c, 0, "a stack of images, or one");
    if (v.groups < 1)
        fx_bad_arg(c, at.groups, "a positive number");
    if (fx_class_of(v.x) == 'b')
        fx_refuse_arg(c, 0, "only numbers are convolved");
    if (c->r->status)
        return fx_nothing();
    const bool lone = fx_rank(v.x) == v.space + 1;
    for (int d = 0; d < v.space; d++)
        v.kernel[d] = v.w->type.dims[2 + d];
    if (lone)
        v.x = fx_unsqueeze(c->r, v.x, 0);
    numbers(&v, at.stride, 1, 1, v.stride);
    numbers(&v, at.dilation, 1, 1, v.dilation);
    if (at.extra >= 0)
        numbers(&v, at.extra, 0, 0, v.extra);
    paddings(&v, at.padding);
    if (!c->r->status)
        check(&v, turned_round);
    jc_value *y = c->r->status ? NULL : turned_round ? transposed(&v) : convolved(&v);
    return fx_v(y && lone ? fx_select(c->r, y, 0, number(&v, 0), c->at) : y);
}

/* Aux: how many dims the space has. */
jc_arg fx_h_conv(fx_call *c) {
    return by(c, c->row->aux, (places){ 3, 4, 5, -1, -1, 6 }, false);
}

jc_arg fx_h_conv_transpose(fx_call *c) {
    return by(c, c->row->aux, (places){ 3, 4, 7, -1, 5, 6 }, true);
}

jc_arg fx_h_convolution(fx_call *c) {
    return by(c, 0, (places){ 3, 4, 5, 6, 7, 8 }, fx_bool(c, 6, false));
}

/* The windows themselves: [N, C * kernel, out]. */
jc_arg fx_h_im2col(fx_call *c) {
    static const int order[] = { 0, 1, 4, 5, 2, 3 };
    conv v = { .c = c, .r = c->r, .space = 2, .x = fx_tensor(c, 0), .groups = 1 };
    int64_t kernel[MAX_SPACE];
    if (!v.x)
        return fx_nothing();
    const bool lone = fx_rank(v.x) == 3;
    if (fx_rank(v.x) != 4 && !lone)
        fx_bad_arg(c, 0, "a stack of images, or one");
    v.x = lone ? fx_unsqueeze(c->r, v.x, 0) : v.x;
    numbers(&v, 1, 1, 1, kernel);
    numbers(&v, 2, 1, 1, v.dilation);
    numbers(&v, 4, 1, 1, v.stride);
    for (int d = 0; d < v.space; d++)
        v.kernel[d] = number(&v, kernel[d]);
    paddings(&v, 3);
    jc_value *x = c->r->status ? NULL : fx_permute(c->r, windows(&v, padded(&v, v.x)), order);
    if (!x)
        return fx_nothing();
    const jc_expr *dims[3] = { x->type.dims[0], jc_ex_product(fx_x(c->r), x->type.dims + 1, 3), jc_ex_product(fx_x(c->r), x->type.dims + 4, 2) };
    /* A copy, where the windows could be seen in place as well. */
    return fx_v(FX_OP(c->r, JC_OP_clone, fx_v(fx_reshape(c->r, x, dims + lone, 3u - lone))));
}
