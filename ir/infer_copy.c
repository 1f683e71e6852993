/*
 * ir/infer_copy.c - when a copy of ours is one in PyTorch too.
 *
 * PyTorch decides by the sizes and strides of the run: `x.t().reshape(-1)` of f32[s0, 4] is a copy, and a view where s0 is 1, since
 * a dim of one element has no stride to speak of.  Inference decides once, and makes a copy of what is not a view for all sizes.
 * Where a write would tell the two apart (ir/copies.c marks such nodes: `apart`), a copy leaves a condition open (JC_REL_COPY) that
 * holds where PyTorch copies as well, and a call with other sizes is refused.
 *
 * The condition is exact.  Dims of one element left aside, a reshape is a view if each two neighbouring dims of the operand
 * chain (stride[i] == stride[j] * dim[j]) or part where two of the new dims part.  So it copies if a product of these is
 * not 0 for some pair: both have several elements, those between have one, they do not chain, and the elements from j on are no
 * number of elements of the last new dims.  Of no elements nothing can be told.
 */
#include "ir/infer_priv.h"

/* Are A and B, which are not 0 at the same time, different for all values? */
static bool differ(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (jc_ex_equal(t, a, b) == JC_NO)
        return true;
    int64_t q;
    const jc_expr *over[] = { jc_ex_is(b, 0) ? NULL : jc_ex_quotient(t, a, b), jc_ex_is(a, 0) ? NULL : jc_ex_quotient(t, b, a) };
    for (int i = 0; i < 2; i++)
        if (over[i] && jc_ex_is_const(over[i], &q) && q != 1)
            return true;
    return false;
}

/* 1 where A and B differ, else 0.  Indicators are single atoms or numbers, so a product of them is one term. */
static const jc_expr *differing(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (jc_ex_equal(t, a, b) == JC_YES)
        return jc_ex_int(t, 0);
    const jc_expr *one = jc_ex_int(t, 1);
    return differ(t, a, b) ? one : jc_ex_min(t, one, jc_ex_max(t, jc_ex_sub(t, a, b), jc_ex_sub(t, b, a)));
}

/* Is a dim that is not 0 more than 1? */
static bool always_several(jc_exprs *t, const jc_expr *dim) {
    return jc_ex_le(t, jc_ex_int(t, 2), dim) == JC_YES || jc_ex_divisor(t, dim) > 1;
}

static const jc_expr *several(jc_exprs *t, const jc_expr *dim) {
    const jc_expr *zero = jc_ex_int(t, 0), *one = jc_ex_int(t, 1);
    return always_several(t, dim) ? one : jc_ex_min(t, one, jc_ex_max(t, zero, jc_ex_sub(t, dim, one)));
}

static const jc_expr *single(jc_exprs *t, const jc_expr *dim) {
    const jc_expr *zero = jc_ex_int(t, 0), *two = jc_ex_int(t, 2);
    return always_several(t, dim) ? zero : jc_ex_is(dim, 1) ? jc_ex_int(t, 1) : jc_ex_max(t, zero, jc_ex_sub(t, two, dim));
}

/* Above 0 where dims I and J of X, J > I, are neighbours that the new DIMS would have to see as one, and cannot. */
static const jc_expr *torn(jc_exprs *t, const jc_type *x, int i, int j, const jc_type *to) {
    const jc_expr *e = jc_ex_mul(t, several(t, x->dims[i]), several(t, x->dims[j]));
    for (int d = i + 1; d < j; d++)
        e = jc_ex_mul(t, e, single(t, x->dims[d]));
    e = jc_ex_mul(t, e, differing(t, x->strides[i], jc_ex_mul(t, x->strides[j], x->dims[j])));
    const jc_expr *inner = jc_ex_product(t, x->dims + j, (uint32_t)(x->rank - j));
    for (int k = 1; k < to->rank && !jc_ex_is(e, 0); k++)
        e = jc_ex_mul(t, e, differing(t, inner, jc_ex_product(t, to->dims + k, (uint32_t)(to->rank - k))));
    return e;
}

/* Above 0 where dim I of X has not the stride that a contiguous tensor has there. */
static const jc_expr *strayed(jc_exprs *t, const jc_type *x, int i) {
    const jc_expr *plain = jc_ex_product(t, x->dims + i + 1, (uint32_t)(x->rank - i - 1));
    return jc_ex_mul(t, several(t, x->dims[i]), differing(t, x->strides[i], plain));
}

/* Above 0 where N copies in PyTorch too; NULL: wherever there are elements. */
static const jc_expr *copies_where(jc_exprs *t, const jc_node *n) {
    const jc_type *x = &n->args[0].value->type, *to = &n->results[0]->type;
    const jc_expr *sum = jc_ex_int(t, 0);
    for (int i = 0; i < x->rank; i++)
        for (int j = n->op == JC_OP_reshape ? i + 1 : x->rank - 1; j < x->rank; j++) {
            const jc_expr *e = n->op == JC_OP_reshape ? torn(t, x, i, j, to) : strayed(t, x, i);
            if (jc_ex_le(t, jc_ex_int(t, 1), e) == JC_YES)
                return NULL;
            sum = jc_ex_add(t, sum, e);
        }
    return sum;
}

void jc_in_copies(jc_in *in) {
    const jc_node *n = in->n;
    if ((n->op != JC_OP_reshape && n->op != JC_OP_contiguous) || n->results[0]->base)
        return;
    const jc_arg *apart = &n->args[n->nargs - 1];
    if (apart->kind != JC_ARG_BOOL || !apart->b)
        return;
    const jc_type *x = jc_in_type(in, 0);
    const jc_expr *where = copies_where(in->t, n);
    if (where)
        jc_in_open(in, JC_REL_COPY, jc_ex_min(in->t, jc_ex_int(in->t, 1), jc_ex_product(in->t, x->dims, x->rank)), where);
}
