/*
 * ir/infer_order.c - what goes through a dimension in order, writes where indices say, and the order of elements.
 */
#include "ir/infer_priv.h"
#include "ir/info.h"

/* ---- scans ---- */

jitc_status jc_infer_scan(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    const jc_op op = (jc_op)in->n->op;
    const bool chooses = op == JC_OP_cummax || op == JC_OP_cummin, floating = jc_in_floating(x->dtype);
    uint32_t dim;
    JC_TRY(jc_in_dim(in, 1, x->rank, &dim));
    if (jc_in_fp8(x->dtype) || (!floating && op == JC_OP_logcumsumexp) || (x->dtype == JC_B8 && !chooses))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected an operand of another dtype, got %s.", jc_in_text(in, x));
    jc_in_result(in, 0, x->dtype, x->dims, x->rank);
    if (chooses)
        jc_in_result(in, 1, JC_I64, x->dims, x->rank);
    return JITC_OK;
}

/* ---- put_ ---- */

/* The shape of what is put: that of the first index. */
static jitc_status same_shape(jc_in *in, const jc_type *shape, const jc_type *x) {
    const jc_expr *same;
    bool ok = x->rank == shape->rank;
    for (uint32_t d = 0; ok && d < x->rank; d++)
        ok = jc_in_same_dim(in, x->dims[d], shape->dims[d], &same);
    return ok ? JITC_OK
              : jc_in_fail(in, JITC_E_INPUT, "expected indices and a source of one shape, got %s and %s.", jc_in_text(in, shape),
                           jc_in_text(in, x));
}

static jitc_status check_indices(jc_in *in, const jc_type *shape, uint32_t *mask) {
    const jc_arg *indices = &in->n->args[1], *dims = &in->n->args[2];
    *mask = 0;
    if (!indices->list.n || indices->list.n != dims->list.n)
        return jc_in_fail(in, JITC_E_INPUT, "expected a dim for each of at least one index, got %u indices and %u dims.", indices->list.n,
                          dims->list.n);
    for (uint32_t i = 0; i < indices->list.n; i++) {
        const jc_type *index = &indices->list.at[i].value->type;
        int64_t d;
        if (!jc_in_integer(index->dtype))
            return jc_in_fail(in, JITC_E_INPUT, "expected integers as index, got %s.", jc_in_text(in, index));
        if (!jc_ex_is_const(dims->list.at[i].expr, &d) || d < 0 || d >= shape->rank || (*mask >> d & 1))
            return jc_in_fail(in, JITC_E_INPUT, "expected different dims below %u, got %s.", shape->rank,
                              jc_in_expr_text(in, dims->list.at[i].expr));
        JC_TRY(same_shape(in, shape, index));
        *mask |= 1u << d;
    }
    return JITC_OK;
}

/* Where there is something to put there has to be a place for it. */
static jitc_status check_reach(jc_in *in, const jc_type *dst, const jc_type *shape, uint32_t mask) {
    const jc_expr *least = jc_ex_min(in->t, jc_ex_int(in->t, 1), jc_ex_product(in->t, shape->dims, shape->rank));
    for (uint32_t d = 0; d < dst->rank; d++) {
        const jc_expr *need = mask >> d & 1 ? least : shape->dims[d];
        if (jc_ex_le(in->t, need, dst->dims[d]) == JC_NO)
            return jc_in_fail(in, JITC_E_INPUT, "expected a destination with at least %s elements in dim %u, got %s.",
                              jc_in_expr_text(in, need), d, jc_in_text(in, dst));
        jc_in_open(in, JC_REL_LE, need, dst->dims[d]);
        if (dst->strides && jc_ex_is(dst->strides[d], 0) && !jc_at_most_one(in->t, dst->dims[d]))
            return jc_in_fail(in, JITC_E_INPUT, "expected a destination whose elements lie apart, got %s.", jc_in_text(in, dst));
    }
    return JITC_OK;
}

jitc_status jc_infer_put(jc_in *in) {
    jc_value *dst = jc_in_value(in, 0), *out = in->n->results[0];
    const jc_type *shape = in->n->args[1].list.n ? &in->n->args[1].list.at[0].value->type : &dst->type;
    uint32_t mask, mode;
    JC_TRY(check_indices(in, shape, &mask));
    if (shape->rank != dst->type.rank)
        return jc_in_fail(in, JITC_E_INPUT, "expected indices of %u dims, got %s.", dst->type.rank, jc_in_text(in, shape));
    if (jc_in_is_tensor(&in->n->args[3]))
        JC_TRY(same_shape(in, shape, jc_in_type(in, 3)));
    else
        JC_TRY(jc_in_holds(in, 3, dst->type.dtype));
    JC_TRY(jc_in_dim(in, 4, JC_PUT_COUNT, &mode));
    JC_TRY(check_reach(in, &dst->type, shape, mask));
    if (mode != JC_PUT_SET && jc_in_fp8(dst->type.dtype))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected a destination that is computed in, got %s.", jc_in_text(in, &dst->type));
    out->type = dst->type;
    out->base = jc_storage(dst);
    out->offset = dst->base && dst->offset ? dst->offset : jc_ex_int(in->t, 0);
    return JITC_OK;
}

/* ---- numbers that have to be 0 ---- */

jitc_status jc_infer_check_info(jc_in *in) {
    const jc_type *info = jc_in_type(in, 0);
    uint32_t kind;
    if (jc_dtypes[info->dtype].cls != 'i')
        return jc_in_fail(in, JITC_E_INPUT, "expected integers, got %s.", jc_in_text(in, info));
    return jc_in_dim(in, 1, JC_INFO_COUNT, &kind);
}

/* ---- order ---- */

static jitc_status need_order(jc_in *in, const jc_type *x) {
    if (x->rank < 1)
        return jc_in_fail(in, JITC_E_INPUT, "expected at least 1 dim, got %s.", jc_in_text(in, x));
    if (jc_in_fp8(x->dtype))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected an operand of another dtype, got %s.", jc_in_text(in, x));
    return JITC_OK;
}

/* As many elements as X's, of its dtype, and where they were; of them the first COUNT of the last dim, where not NULL. */
static void ordered(jc_in *in, const jc_type *x, const jc_expr *count) {
    const jc_expr *const *dims = x->dims;
    if (count) {
        const jc_expr **own = jc_arena_memdup(in->arena, x->dims, x->rank * sizeof *own);
        own[x->rank - 1] = count;
        dims = own;
    }
    jc_in_result(in, 0, x->dtype, dims, x->rank);
    jc_in_result(in, 1, JC_I64, dims, x->rank);
}

static jitc_status need_run(jc_in *in, uint32_t i) {
    int64_t run;
    if (jc_ex_is_const(in->n->args[i].expr, &run) && run >= 1 && run <= (int64_t)1 << 40)
        return JITC_OK;
    return jc_in_fail(in, JITC_E_INPUT, "expected the length of a run as argument %u, got %s.", i, jc_in_expr_text(in, in->n->args[i].expr));
}

jitc_status jc_infer_sort(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    JC_TRY(need_order(in, x));
    ordered(in, x, NULL);
    return JITC_OK;
}

jitc_status jc_infer_sort_runs(jc_in *in) {
    JC_TRY(need_order(in, jc_in_type(in, 0)));
    JC_TRY(need_run(in, 1));
    ordered(in, jc_in_type(in, 0), NULL);
    return JITC_OK;
}

jitc_status jc_infer_merge_runs(jc_in *in) {
    JC_TRY(need_order(in, jc_in_type(in, 0)));
    JC_TRY(need_run(in, 2));
    JC_TRY(same_shape(in, jc_in_type(in, 0), jc_in_type(in, 1)));
    if (jc_in_type(in, 1)->dtype != JC_I64)
        return jc_in_fail(in, JITC_E_INPUT, "expected places in i64, got %s.", jc_in_text(in, jc_in_type(in, 1)));
    ordered(in, jc_in_type(in, 0), NULL);
    return JITC_OK;
}

/* Are there COUNT elements in dim D of X? */
static jitc_status need_elements(jc_in *in, const jc_type *x, uint32_t d, const jc_expr *count) {
    if (jc_ex_le(in->t, jc_ex_int(in->t, 0), count) == JC_NO || jc_ex_le(in->t, count, x->dims[d]) == JC_NO)
        return jc_in_fail(in, JITC_E_INPUT, "expected at least %s elements in dim %u, got %s.", jc_in_expr_text(in, count), d, jc_in_text(in, x));
    jc_in_open(in, JC_REL_LE, count, x->dims[d]);
    return JITC_OK;
}

jitc_status jc_infer_topk(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    JC_TRY(need_order(in, x));
    JC_TRY(need_elements(in, x, x->rank - 1u, in->n->args[1].expr));
    ordered(in, x, in->n->args[1].expr);
    return JITC_OK;
}

/* One element along dim DIM of X, of DTYPE. */
static void reduced(jc_in *in, const jc_type *x, uint32_t dim, bool keep, uint8_t dtype) {
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, x->rank);
    uint32_t rank = 0;
    for (uint32_t d = 0; d < x->rank; d++)
        if (d != dim)
            dims[rank++] = x->dims[d];
        else if (keep)
            dims[rank++] = jc_ex_int(in->t, 1);
    jc_in_result(in, 0, dtype, dims, rank);
}

jitc_status jc_infer_arg_extreme(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    uint32_t dim;
    JC_TRY(need_order(in, x));
    JC_TRY(jc_in_dim(in, 1, x->rank, &dim));
    JC_TRY(need_elements(in, x, dim, jc_ex_int(in->t, 1)));
    reduced(in, x, dim, in->n->args[2].b, JC_I64);
    return JITC_OK;
}

jitc_status jc_infer_nth(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    const jc_arg *dims = &in->n->args[1];
    int64_t rank;
    JC_TRY(need_order(in, x));
    if (dims->list.n != 1 || !jc_ex_is(dims->list.at[0].expr, x->rank - 1))
        return jc_in_fail(in, JITC_E_INPUT, "expected the last dim, got another.");
    if (!jc_ex_is_const(in->n->args[3].expr, &rank) || rank < 0 || rank > 63)
        return jc_in_fail(in, JITC_E_INPUT, "expected a number from 0 to 63 as argument 3, got %s.", jc_in_expr_text(in, in->n->args[3].expr));
    JC_TRY(need_elements(in, x, x->rank - 1u, jc_ex_int(in->t, rank + 1)));
    reduced(in, x, x->rank - 1u, in->n->args[2].b, in->n->args[5].b ? JC_I64 : x->dtype);
    return JITC_OK;
}
