/*
 * ir/fx/fx_build_attention.c - scaled_dot_product_attention, and the operators of ATen that it becomes.
 *
 * They differ in the order of their arguments and in what they give besides: the logarithm of each row's sum, or nothing that can be
 * used.  All compute the same.
 */
#include <math.h>
#include "ir/fx/fx_build.h"

/* Where a spelling has what, by the row's aux; -1: nowhere. */
static const struct {
    int8_t mask, dropout, causal, scale, groups;
    int8_t results; /* 0: the tensor alone; else how many there are: the tensor, the logarithms, and what cannot be used */
} layouts[] = {
    { 3, 4, 5, 6, 7, 0 },   /* scaled_dot_product_attention */
    { -1, 3, 4, 6, -1, 9 }, /* _scaled_dot_product_flash_attention */
    { 5, 3, 4, 6, -1, 2 },  /* ..._for_cpu */
    { 3, 5, 6, 7, -1, 4 },  /* _scaled_dot_product_efficient_attention */
    { 3, 5, 6, 8, -1, 9 },  /* _scaled_dot_product_cudnn_attention */
};

static jc_value *reduced_last(fx_reader *r, jc_op op, jc_value *x) {
    const jc_expr *dim = jc_ex_int(fx_x(r), x ? fx_rank(x) - 1 : 0);
    const jc_arg args[] = { fx_v(x), fx_dims(r, &dim, 1), jc_arg_bool(false), fx_nothing() };
    return fx_op(r, op, args, jc_ops[op].nargs);
}

/* log(sum(exp(scores))) of each row; 0 where nothing is seen, as PyTorch has it. */
static jc_value *log_of_sums(fx_call *c, jc_value *q, jc_value *k, jc_arg mask, bool causal, jc_arg scale) {
    fx_reader *r = c->r;
    const jc_dtype wide = q->type.dtype == JC_F64 ? JC_F64 : JC_F32;
    int order[JC_MAX_RANK];
    for (int d = 0; d < fx_rank(k); d++)
        order[d] = d < fx_rank(k) - 2 ? d : 2 * fx_rank(k) - 3 - d;
    jc_value *s = FX_OP(r, JC_OP_matmul, fx_v(q), fx_v(fx_permute(r, k, order)), jc_arg_dtype(wide));
    s = FX_OP(r, JC_OP_mul, fx_v(s), scale);
    if (causal && s)
        s = FX_OP(r, JC_OP_where, fx_v(fx_band(r, s->type.dims + fx_rank(s) - 2, JC_OP_le, jc_ex_int(fx_x(r), 0))), fx_v(s),
                  jc_arg_float(-INFINITY));
    if (fx_is_tensor(mask))
        s = mask.value->type.dtype == JC_B8 ? FX_OP(r, JC_OP_where, mask, fx_v(s), jc_arg_float(-INFINITY))
                                            : FX_OP(r, JC_OP_add, fx_v(s), fx_v(fx_cast(r, mask.value, wide)));
    jc_value *most = reduced_last(r, JC_OP_amax, s), *unseen = FX_OP(r, JC_OP_eq, fx_v(most), jc_arg_float(-INFINITY));
    most = FX_OP(r, JC_OP_where, fx_v(unseen), jc_arg_float(0), fx_v(most));
    jc_value *off = FX_OP(r, JC_OP_sub, fx_v(s), fx_v(fx_unsqueeze(r, most, most ? fx_rank(most) : 0)));
    jc_value *sum = reduced_last(r, JC_OP_sum, FX_OP(r, JC_OP_exp, fx_v(off)));
    sum = FX_OP(r, JC_OP_where, fx_v(unseen), jc_arg_float(1), fx_v(sum));
    return FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_log, fx_v(sum))), fx_v(most));
}

/* Fewer heads of k than of q are an error unless the call says that they serve groups. */
static void check_heads(fx_call *c, const jc_value *q, const jc_value *k, int groups) {
    if (jc_attention_groups(&q->type, &k->type) > 1 && !(groups >= 0 && fx_bool(c, groups, false)))
        fx_fail(c->r, JITC_E_INPUT, c->at, "`%s` has fewer heads of keys than of queries and no enable_gqa: %s and %s.", c->row->name,
                jc_type_text(fx_x(c->r), &q->type, c->r->scratch), jc_type_text(fx_x(c->r), &k->type, c->r->scratch));
}

static jc_arg default_scale(fx_call *c, const jc_value *q) {
    int64_t depth;
    if (!fx_rank(q) || !jc_ex_is_const(q->type.dims[fx_rank(q) - 1], &depth)) {
        fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "`%s` needs a `scale` where the size of a head is not a constant.", c->row->name);
        return fx_nothing();
    }
    return jc_arg_float(1 / sqrt((double)depth));
}

jc_arg fx_h_sdpa(fx_call *c) {
    jc_value *q = fx_tensor(c, 0), *k = fx_tensor(c, 1), *v = fx_tensor(c, 2);
    const typeof(layouts[0]) at = layouts[c->row->aux];
    if (!q || !k || !v)
        return fx_nothing();
    const jc_arg mask = at.mask < 0 ? fx_nothing() : fx_tensor_or_none(c, at.mask);
    if (fx_float(c, at.dropout, 0) != 0)
        fx_refuse_arg(c, at.dropout, "dropout is random");
    const bool causal = fx_bool(c, at.causal, false);
    const jc_arg scale = fx_given(c, at.scale) ? c->a[at.scale] : default_scale(c, q);
    check_heads(c, q, k, at.groups);
    if (c->r->status)
        return fx_nothing();
    jc_value *y = FX_OP(c->r, JC_OP_sdpa, fx_v(q), fx_v(k), fx_v(v), mask, jc_arg_bool(causal), scale);
    if (!at.results)
        return fx_v(y);
    jc_arg results[9] = { fx_v(y), fx_v(log_of_sums(c, q, k, mask, causal, scale)) };
    for (int i = 2; i < at.results; i++)
        results[i] = fx_opaque("what an attention kernel keeps for its gradient");
    return fx_list(c->r, results, (uint32_t)at.results);
}

/* --- torch.nn.functional.multi_head_attention_forward --- */

/* Its arguments, those that are used. */
enum { HEADS = 4, WEIGHTS, BIASES, BIAS_K, BIAS_V, ADD_ZERO, DROPOUT, OUT_WEIGHT, OUT_BIAS, TRAINING, PADDED, NEED_WEIGHTS, MASK, APART, WEIGHT_Q,
       STATIC_K = 21, STATIC_V };

/* X[L, N, E] by part PART of the three weights, as [N, heads, L, E / heads]. */
static jc_value *headed(fx_call *c, jc_value *x, int part, const jc_expr *heads) {
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    const bool apart = fx_bool(c, APART, false);
    jc_value *w = fx_tensor(c, apart ? WEIGHT_Q + part : WEIGHTS), *b = fx_given(c, BIASES) ? fx_tensor(c, BIASES) : NULL;
    if (!x || !w || r->status)
        return NULL;
    const jc_expr *width = apart ? w->type.dims[0] : jc_ex_fdiv(t, w->type.dims[0], jc_ex_int(t, 3)), *from = jc_ex_mul(t, width, jc_ex_int(t, part));
    w = apart ? w : fx_slice(r, w, 0, from, width, 1);
    const jc_arg bias = b ? fx_v(fx_slice(r, b, 0, from, width, 1)) : fx_nothing();
    x = FX_OP(r, JC_OP_linear, fx_v(x), fx_v(w), bias);
    if (!x)
        return NULL;
    const jc_expr *dims[4] = { x->type.dims[0], x->type.dims[1], heads, jc_ex_fdiv(t, width, heads) };
    return fx_permute(r, fx_reshape(r, x, dims, 4), (const int[]){ 1, 2, 0, 3 });
}

/* The mask in argument I as what is added to scores: here a bool that is true hides. */
static jc_value *hiding(fx_call *c, int i, jc_dtype dtype) {
    jc_value *mask = fx_tensor(c, i);
    if (!mask || mask->type.dtype != JC_B8)
        return mask;
    return FX_OP(c->r, JC_OP_cast, fx_v(FX_OP(c->r, JC_OP_where, fx_v(mask), jc_arg_float(-INFINITY), jc_arg_float(0))), jc_arg_dtype(dtype));
}

/* Both masks as one that broadcasts to [N, heads, L, S]; NONE. */
static jc_arg masks(fx_call *c, const jc_value *q) {
    fx_reader *r = c->r;
    const jc_expr *const *of_q = q->type.dims, *one = jc_ex_int(fx_x(r), 1);
    jc_value *mask = fx_given(c, MASK) ? hiding(c, MASK, (jc_dtype)q->type.dtype) : NULL;
    jc_value *padded = fx_given(c, PADDED) ? hiding(c, PADDED, (jc_dtype)q->type.dtype) : NULL;
    if (mask && fx_rank(mask) == 3) {
        const jc_expr *dims[4] = { of_q[0], of_q[1], mask->type.dims[1], mask->type.dims[2] };
        mask = fx_reshape(r, mask, dims, 4);
    }
    if (padded && fx_rank(padded) > 0) {
        const int rank = fx_rank(padded);
        const jc_expr *dims[4] = { rank == 2 ? padded->type.dims[0] : one, one, one, padded->type.dims[rank - 1] };
        padded = fx_reshape(r, padded, dims, 4);
    }
    if (mask && padded)
        mask = FX_OP(r, JC_OP_add, fx_v(mask), fx_v(padded));
    return mask || padded ? fx_v(mask ? mask : padded) : fx_nothing();
}

jc_arg fx_h_multi_head_attention(fx_call *c) {
    static const struct {
        uint8_t at;
        const char *why;
    } refused[] = { { BIAS_K, "no bias among the keys is" }, { BIAS_V, "no bias among the values is" },
                    { STATIC_K, "keys are made of `key`" },  { STATIC_V, "values are made of `value`" } };
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    jc_value *x[3] = { fx_tensor(c, 0), fx_tensor(c, 1), fx_tensor(c, 2) };
    const jc_expr *heads = fx_expr(c, HEADS);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (fx_given(c, refused[i].at))
            fx_refuse_arg(c, refused[i].at, refused[i].why);
    if (fx_bool(c, ADD_ZERO, false))
        fx_refuse_arg(c, ADD_ZERO, "no row of zeros is added");
    if (fx_float(c, DROPOUT, 0) != 0 && fx_bool(c, TRAINING, true))
        fx_refuse_arg(c, DROPOUT, "dropout is random");
    if (!x[0] || !x[1] || !x[2] || r->status)
        return fx_nothing();
    const bool lone = fx_rank(x[0]) == 2;
    for (int i = 0; i < 3; i++)
        x[i] = headed(c, lone ? fx_unsqueeze(r, x[i], 1) : x[i], i, heads);
    int64_t depth = 0;
    if (r->status || !x[0] || !jc_ex_is_const(x[0]->type.dims[3], &depth) || !depth) {
        fx_refuse_arg(c, HEADS, "the size of a head has to be a constant");
        return fx_nothing();
    }
    const jc_arg mask = masks(c, x[0]);
    jc_value *y = FX_OP(r, JC_OP_sdpa, fx_v(x[0]), fx_v(x[1]), fx_v(x[2]), mask, jc_arg_bool(false), jc_arg_float(1 / sqrt((double)depth)));
    y = fx_permute(r, y, (const int[]){ 2, 0, 1, 3 });
    if (!y)
        return fx_nothing();
    const jc_expr *dims[3] = { y->type.dims[0], y->type.dims[1], jc_ex_mul(t, y->type.dims[2], y->type.dims[3]) };
    y = FX_OP(r, JC_OP_linear, fx_v(fx_reshape(r, y, dims, 3)), fx_v(fx_tensor(c, OUT_WEIGHT)), fx_tensor_or_none(c, OUT_BIAS));
    if (lone && y)
        y = fx_select(r, y, 1, jc_ex_int(t, 0), c->at);
    const jc_arg weights = fx_bool(c, NEED_WEIGHTS, true) ? fx_opaque("the weights of an attention, which are not kept") : fx_nothing();
    return fx_list(r, (jc_arg[]){ fx_v(y), weights }, 2);
}
