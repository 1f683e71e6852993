/*
 * ir/infer_shape.c - reductions, norms, concatenation, gathers, allocation, matrix products, copies and calls.
 */
#include "ir/infer_priv.h"

static jitc_status need_floating(jc_in *in, uint32_t i) {
    const jc_type *x = jc_in_type(in, i);
    if (!jc_in_floating(x->dtype) || jc_in_fp8(x->dtype))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected f16, bf16, f32 or f64 as argument %u, got %s.", i,
                          jc_in_text(in, x));
    return JITC_OK;
}

static jitc_status need_rank(jc_in *in, uint32_t i, uint32_t least) {
    const jc_type *x = jc_in_type(in, i);
    if (x->rank < least)
        return jc_in_fail(in, JITC_E_INPUT, "expected at least %u dims in argument %u, got %s.", least, i,
                          jc_in_text(in, x));
    return JITC_OK;
}

/* Argument I, a tensor, has to have DIMS. */
static jitc_status need_dims(jc_in *in, uint32_t i, const jc_expr *const *dims, uint32_t rank) {
    const jc_type *x = jc_in_type(in, i);
    const jc_expr *same;
    bool ok = x->rank == rank;
    for (uint32_t d = 0; ok && d < rank; d++)
        ok = jc_in_same_dim(in, x->dims[d], dims[d], &same);
    if (ok)
        return JITC_OK;
    jc_type want = { .kind = JC_TENSOR, .dtype = x->dtype, .rank = (uint8_t)rank, .dims = dims };
    return jc_in_fail(in, JITC_E_INPUT, "expected %s as argument %u, got %s.", jc_in_text(in, &want), i,
                      jc_in_text(in, x));
}

/* ---- reductions ---- */

/* The reduced dims as a bit each; an empty list, which stands for all of them, is written out. */
static jitc_status reduced_dims(jc_in *in, uint32_t rank, uint32_t *mask) {
    jc_arg *list = &in->n->args[1];
    *mask = 0;
    if (list->list.n == 0) {
        const jc_expr *all[JC_MAX_RANK];
        for (uint32_t d = 0; d < rank; d++)
            all[d] = jc_ex_int(in->t, d);
        *list = jc_arg_exprs(in->f->graph, all, rank);
    }
    for (uint32_t i = 0; i < list->list.n; i++) {
        int64_t d;
        if (!jc_ex_is_const(list->list.at[i].expr, &d) || d < 0 || d >= rank || (*mask >> d & 1))
            return jc_in_fail(in, JITC_E_INPUT, "expected different dims below %u, got %s.", rank,
                              jc_in_expr_text(in, list->list.at[i].expr));
        *mask |= 1u << d;
    }
    return JITC_OK;
}

static jitc_status reduced_dtype(jc_in *in, const jc_type *x, uint8_t *dtype) {
    const jc_arg *given = in->n->nargs > 3 ? &in->n->args[3] : NULL;
    const bool computes = in->n->op == JC_OP_sum || in->n->op == JC_OP_prod || in->n->op == JC_OP_mean;
    *dtype = x->dtype;
    if (given && given->kind == JC_ARG_DTYPE)
        *dtype = (uint8_t)given->dtype;
    else if (in->n->op != JC_OP_mean && computes && !jc_in_floating(x->dtype))
        *dtype = JC_I64;
    if (jc_in_fp8(x->dtype) || jc_in_fp8(*dtype) || (in->n->op == JC_OP_mean && !jc_in_floating(*dtype)) ||
        (computes && jc_in_floating(x->dtype) && !jc_in_floating(*dtype)))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected an operand of another dtype, got %s (result %s).",
                          jc_in_text(in, x), jc_dtypes[*dtype].name);
    return JITC_OK;
}

/* Of no elements there is no largest. */
static jitc_status reduces_something(jc_in *in, const jc_type *x, uint32_t mask) {
    const jc_expr *one = jc_ex_int(in->t, 1);
    for (uint32_t d = 0; d < x->rank; d++) {
        if (!(mask >> d & 1))
            continue;
        if (jc_ex_le(in->t, one, x->dims[d]) == JC_NO)
            return jc_in_fail(in, JITC_E_INPUT, "expected at least one element in dim %u, got %s.", d, jc_in_text(in, x));
        jc_in_open(in, JC_REL_LE, one, x->dims[d]);
    }
    return JITC_OK;
}

jitc_status jc_infer_reduction(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    bool keep = in->n->args[2].b;
    uint32_t mask, rank = 0;
    uint8_t dtype;
    JC_TRY(reduced_dims(in, x->rank, &mask));
    JC_TRY(reduced_dtype(in, x, &dtype));
    if (in->n->op == JC_OP_amax || in->n->op == JC_OP_amin)
        JC_TRY(reduces_something(in, x, mask));
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, x->rank);
    for (uint32_t d = 0; d < x->rank; d++) {
        if (!(mask >> d & 1))
            dims[rank++] = x->dims[d];
        else if (keep)
            dims[rank++] = jc_ex_int(in->t, 1);
    }
    jc_in_result(in, 0, dtype, dims, rank);
    return JITC_OK;
}

jitc_status jc_infer_softmax(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    uint32_t dim;
    uint8_t dtype = in->n->args[2].kind == JC_ARG_DTYPE ? (uint8_t)in->n->args[2].dtype : x->dtype;
    JC_TRY(jc_in_dim(in, 1, x->rank, &dim));
    if (!jc_in_floating(dtype) || jc_in_fp8(dtype) || jc_in_fp8(x->dtype))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected f16, bf16, f32 or f64, got %s (result %s).",
                          jc_in_text(in, x), jc_dtypes[dtype].name);
    jc_in_result(in, 0, dtype, x->dims, x->rank);
    return JITC_OK;
}

/* ---- norms ---- */

jitc_status jc_infer_layer_norm(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    int64_t count;
    JC_TRY(need_floating(in, 0));
    if (!jc_ex_is_const(in->n->args[1].expr, &count) || count < 1 || count > x->rank)
        return jc_in_fail(in, JITC_E_INPUT, "expected between 1 and %u normalised dims, got %s.", x->rank,
                          jc_in_expr_text(in, in->n->args[1].expr));
    for (uint32_t i = 2; i <= 3; i++) {
        if (!jc_in_has(in, i))
            continue;
        JC_TRY(need_floating(in, i));
        JC_TRY(need_dims(in, i, x->dims + x->rank - count, (uint32_t)count));
    }
    jc_in_result(in, 0, x->dtype, x->dims, x->rank);
    return JITC_OK;
}

/* rms_norm(x, w?, eps, variance_size?) and, with r as second argument, fused_add_rms_norm. */
jitc_status jc_infer_rms_norm(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    uint32_t fused = in->n->op == JC_OP_fused_add_rms_norm, w = 1 + fused, variance = 3 + fused;
    JC_TRY(need_rank(in, 0, 1));
    JC_TRY(need_floating(in, 0));
    const jc_expr *columns = x->dims[x->rank - 1];
    if (fused) {
        JC_TRY(need_floating(in, 1));
        JC_TRY(need_dims(in, 1, x->dims, x->rank));
    }
    if (jc_in_has(in, w)) {
        JC_TRY(need_floating(in, w));
        JC_TRY(need_dims(in, w, &columns, 1));
    }
    if (jc_in_has(in, variance)) {
        const jc_expr *size = in->n->args[variance].expr;
        if (jc_ex_le(in->t, jc_ex_int(in->t, 1), size) == JC_NO || jc_ex_le(in->t, size, columns) == JC_NO)
            return jc_in_fail(in, JITC_E_INPUT, "expected a variance size within the %s columns of %s, got %s.",
                              jc_in_expr_text(in, columns), jc_in_text(in, x), jc_in_expr_text(in, size));
        jc_in_open(in, JC_REL_LE, jc_ex_int(in->t, 1), size);
        jc_in_open(in, JC_REL_LE, size, columns);
    }
    for (uint32_t i = 0; i <= fused; i++)
        jc_in_result(in, i, x->dtype, x->dims, x->rank);
    return JITC_OK;
}

jitc_status jc_infer_silu_and_mul(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    JC_TRY(need_rank(in, 0, 1));
    JC_TRY(need_floating(in, 0));
    const jc_expr *two = jc_ex_int(in->t, 2), *last = x->dims[x->rank - 1];
    if (jc_ex_equal(in->t, jc_ex_mod(in->t, last, two), jc_ex_int(in->t, 0)) == JC_NO)
        return jc_in_fail(in, JITC_E_INPUT, "expected an even last dim, got %s.", jc_in_text(in, x));
    jc_in_open(in, JC_REL_EQ, jc_ex_mod(in->t, last, two), jc_ex_int(in->t, 0));
    const jc_expr **dims = jc_arena_memdup(in->arena, x->dims, x->rank * sizeof *dims);
    dims[x->rank - 1] = jc_ex_fdiv(in->t, last, two);
    jc_in_result(in, 0, x->dtype, dims, x->rank);
    return JITC_OK;
}

/* ---- clone, cat, pad, take ---- */

jitc_status jc_infer_clone(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    jc_in_result(in, 0, x->dtype, x->dims, x->rank);
    return JITC_OK;
}

jitc_status jc_infer_by_device(jc_in *in) {
    const jc_type *a = jc_in_type(in, 0), *b = jc_in_type(in, 1);
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (uint32_t d = 0; same && d < a->rank; d++)
        same = jc_ex_equal(in->t, a->dims[d], b->dims[d]) == JC_YES;
    if (!same)
        return jc_in_fail(in, JITC_E_INPUT, "expected two tensors of one type, got %s and %s.", jc_in_text(in, a), jc_in_text(in, b));
    jc_in_result(in, 0, a->dtype, a->dims, a->rank);
    return JITC_OK;
}

jitc_status jc_infer_cat(jc_in *in) {
    const jc_arg *list = &in->n->args[0];
    uint32_t dim;
    if (list->list.n == 0)
        return jc_in_fail(in, JITC_E_INPUT, "expected at least one tensor, got an empty list.");
    const jc_type *first = &list->list.at[0].value->type;
    JC_TRY(jc_in_dim(in, 1, first->rank, &dim));
    const jc_expr **dims = jc_arena_memdup(in->arena, first->dims, first->rank * sizeof *dims);
    uint8_t dtype = first->dtype;
    for (uint32_t i = 1; i < list->list.n; i++) {
        const jc_type *x = &list->list.at[i].value->type;
        bool ok = x->rank == first->rank;
        for (uint32_t d = 0; ok && d < x->rank; d++) {
            if (d == dim)
                dims[d] = jc_ex_add(in->t, dims[d], x->dims[d]);
            else
                ok = jc_in_same_dim(in, dims[d], x->dims[d], &dims[d]);
        }
        if (!ok)
            return jc_in_fail(in, JITC_E_INPUT, "expected tensors that differ in dim %u only, got %s and %s.", dim,
                              jc_in_text(in, first), jc_in_text(in, x));
        if (dtype != x->dtype && (jc_in_fp8(dtype) || jc_in_fp8(x->dtype)))
            return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected tensors of one dtype, got %s and %s.",
                              jc_in_text(in, first), jc_in_text(in, x));
        dtype = (uint8_t)jc_dtype_promote((jc_dtype)dtype, (jc_dtype)x->dtype);
    }
    JC_TRY(jc_in_check_dims(in, dims, first->rank));
    jc_in_result(in, 0, dtype, dims, first->rank);
    return JITC_OK;
}

jitc_status jc_infer_pad(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    uint32_t nbefore, nafter;
    const jc_expr **before = jc_in_exprs(in, 1, &nbefore), **after = jc_in_exprs(in, 2, &nafter);
    if (nbefore != x->rank || nafter != x->rank)
        return jc_in_fail(in, JITC_E_INPUT, "expected an entry for each of the %u dims, got %u and %u.", x->rank,
                          nbefore, nafter);
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, x->rank), *zero = jc_ex_int(in->t, 0);
    for (uint32_t d = 0; d < x->rank; d++)
        dims[d] = jc_ex_add(in->t, jc_ex_add(in->t, x->dims[d], before[d]), after[d]);
    JC_TRY(jc_in_check_dims(in, dims, x->rank));
    for (uint32_t d = 0; d < x->rank; d++) {
        if (jc_ex_le(in->t, zero, before[d]) == JC_NO || jc_ex_le(in->t, zero, after[d]) == JC_NO)
            return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected padding of at least 0 in dim %u, got %s and %s.", d,
                              jc_in_expr_text(in, before[d]), jc_in_expr_text(in, after[d]));
        jc_in_open(in, JC_REL_LE, zero, before[d]);
        jc_in_open(in, JC_REL_LE, zero, after[d]);
    }
    JC_TRY(jc_in_holds(in, 3, x->dtype));
    jc_in_result(in, 0, x->dtype, dims, x->rank);
    return JITC_OK;
}

jitc_status jc_infer_take(jc_in *in) {
    const jc_type *table = jc_in_type(in, 0), *index = jc_in_type(in, 2);
    uint32_t dim, rank = 0;
    JC_TRY(jc_in_dim(in, 1, table->rank, &dim));
    if (!jc_in_integer(index->dtype))
        return jc_in_fail(in, index->dtype == JC_B8 ? JITC_E_UNSUPPORTED : JITC_E_INPUT,
                          "expected integers as index, got %s.", jc_in_text(in, index));
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, (size_t)table->rank + index->rank);
    for (uint32_t d = 0; d < dim; d++)
        dims[rank++] = table->dims[d];
    for (uint32_t d = 0; d < index->rank; d++)
        dims[rank++] = index->dims[d];
    for (uint32_t d = dim + 1; d < table->rank; d++)
        dims[rank++] = table->dims[d];
    JC_TRY(jc_in_check_dims(in, dims, rank));
    const jc_expr *one = jc_ex_int(in->t, 1), *indices = jc_ex_product(in->t, index->dims, index->rank);
    if (jc_ex_is(table->dims[dim], 0) && jc_ex_le(in->t, one, jc_ex_product(in->t, dims, rank)) == JC_YES)
        return jc_in_fail(in, JITC_E_INPUT, "expected something to take from in dim %u, got %s.", dim, jc_in_text(in, table));
    jc_in_open(in, JC_REL_LE, jc_ex_min(in->t, one, indices), table->dims[dim]);
    jc_in_result(in, 0, table->dtype, dims, rank);
    return JITC_OK;
}

/* The indices, broadcast, to *DIMS; each integers that have something to index. */
static jitc_status indices_of(jc_in *in, const jc_arg *list, const jc_expr *const **dims, uint32_t *rank) {
    *rank = 0;
    for (uint32_t k = 0; k < list->list.n; k++) {
        const jc_type *index = &list->list.at[k].value->type;
        if (!jc_in_integer(index->dtype))
            return jc_in_fail(in, index->dtype == JC_B8 ? JITC_E_UNSUPPORTED : JITC_E_INPUT, "expected integers as index %u, got %s.", k,
                              jc_in_text(in, index));
        JC_TRY(jc_in_broadcast(in, dims, rank, index));
    }
    return JITC_OK;
}

jitc_status jc_infer_pick(jc_in *in) {
    const jc_type *table = jc_in_type(in, 0);
    const jc_arg *list = &in->n->args[1];
    const jc_expr *const *common = NULL, *one = jc_ex_int(in->t, 1);
    uint32_t rank, seen = 0;
    JC_TRY(indices_of(in, &in->n->args[2], &common, &rank));
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, (size_t)rank + table->rank), *count = jc_ex_product(in->t, common, rank);
    for (uint32_t d = 0; d < rank; d++)
        dims[d] = common[d];
    for (uint32_t k = 0; k < list->list.n; k++) {
        int64_t d;
        if (!jc_ex_is_const(list->list.at[k].expr, &d) || d < 0 || d >= table->rank || (seen >> d & 1) || list->list.n != in->n->args[2].list.n)
            return jc_in_fail(in, JITC_E_INPUT, "expected different dims of %s, as many as the %u indices, got %s.", jc_in_text(in, table),
                              in->n->args[2].list.n, jc_in_expr_text(in, list->list.at[k].expr));
        seen |= 1u << d;
        if (jc_ex_is(table->dims[d], 0) && jc_ex_le(in->t, one, count) == JC_YES)
            return jc_in_fail(in, JITC_E_INPUT, "expected something to take from in dim %u, got %s.", (unsigned)d, jc_in_text(in, table));
        jc_in_open(in, JC_REL_LE, jc_ex_min(in->t, one, count), table->dims[d]);
    }
    for (uint32_t d = 0; d < table->rank; d++)
        if (!(seen >> d & 1))
            dims[rank++] = table->dims[d];
    JC_TRY(jc_in_check_dims(in, dims, rank));
    jc_in_result(in, 0, table->dtype, dims, rank);
    return JITC_OK;
}

/* ---- allocation ---- */

static jitc_status allocate(jc_in *in, jc_dtype dtype) {
    uint32_t rank;
    const jc_expr **dims = jc_in_exprs(in, 0, &rank);
    JC_TRY(jc_in_check_dims(in, dims, rank));
    jc_in_result(in, 0, (uint8_t)dtype, dims, rank);
    return JITC_OK;
}

jitc_status jc_infer_empty(jc_in *in) { return allocate(in, in->n->args[1].dtype); }
jitc_status jc_infer_full(jc_in *in) {
    JC_TRY(jc_in_holds(in, 1, (uint8_t)in->n->args[2].dtype));
    return allocate(in, in->n->args[2].dtype);
}

jitc_status jc_infer_arange(jc_in *in) {
    const jc_expr **dims = JC_NEW(in->arena, const jc_expr *);
    dims[0] = in->n->args[2].expr;
    JC_TRY(jc_in_check_dims(in, dims, 1));
    jc_in_result(in, 0, (uint8_t)in->n->args[3].dtype, dims, 1);
    return JITC_OK;
}

/* ---- matrix products ---- */

/* Arguments 0 and I have one floating dtype. */
static jitc_status need_one_dtype(jc_in *in, uint32_t i) {
    const jc_type *a = jc_in_type(in, 0), *b = jc_in_type(in, i);
    JC_TRY(need_floating(in, 0));
    if (a->dtype != b->dtype)
        return jc_in_fail(in, JITC_E_INPUT, "expected %s as dtype of argument %u, got %s.", jc_dtypes[a->dtype].name,
                          i, jc_in_text(in, b));
    return JITC_OK;
}

jitc_status jc_infer_linear(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0), *w = jc_in_type(in, 1);
    const jc_expr *k;
    JC_TRY(need_rank(in, 0, 1));
    JC_TRY(need_one_dtype(in, 1));
    if (w->rank != 2 || !jc_in_same_dim(in, x->dims[x->rank - 1], w->dims[1], &k))
        return jc_in_fail(in, JITC_E_INPUT, "expected a weight [N, %s], got %s.",
                          jc_in_expr_text(in, x->dims[x->rank - 1]), jc_in_text(in, w));
    if (jc_in_has(in, 2)) {
        JC_TRY(need_one_dtype(in, 2));
        JC_TRY(need_dims(in, 2, w->dims, 1));
    }
    const jc_expr **dims = jc_arena_memdup(in->arena, x->dims, x->rank * sizeof *dims);
    dims[x->rank - 1] = w->dims[0];
    JC_TRY(jc_in_check_dims(in, dims, x->rank));
    jc_in_result(in, 0, x->dtype, dims, x->rank);
    return JITC_OK;
}

jitc_status jc_infer_matmul(jc_in *in) {
    const jc_type *a = jc_in_type(in, 0), *b = jc_in_type(in, 1);
    const jc_expr *k;
    JC_TRY(need_rank(in, 0, 2));
    JC_TRY(need_rank(in, 1, 2));
    JC_TRY(need_one_dtype(in, 1));
    if (!jc_in_same_dim(in, a->dims[a->rank - 1], b->dims[b->rank - 2], &k))
        return jc_in_fail(in, JITC_E_INPUT, "expected inner dims that agree, got %s and %s.", jc_in_text(in, a),
                          jc_in_text(in, b));
    uint8_t dtype = in->n->args[2].kind == JC_ARG_DTYPE ? (uint8_t)in->n->args[2].dtype : a->dtype;
    if (!jc_in_floating(dtype) || jc_in_fp8(dtype))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected a result of f16, bf16, f32 or f64, got %s.",
                          jc_dtypes[dtype].name);
    const jc_expr *const *batch = a->dims;
    uint32_t rank = a->rank - 2u;
    jc_type other = *b;
    other.rank -= 2;
    JC_TRY(jc_in_broadcast(in, &batch, &rank, &other));
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, rank + 2);
    for (uint32_t d = 0; d < rank; d++)
        dims[d] = batch[d];
    dims[rank] = a->dims[a->rank - 2];
    dims[rank + 1] = b->dims[b->rank - 1];
    JC_TRY(jc_in_check_dims(in, dims, rank + 2));
    jc_in_result(in, 0, dtype, dims, rank + 2);
    return JITC_OK;
}

/* ---- copies ---- */

jitc_status jc_infer_copy(jc_in *in) {
    jc_value *dst = jc_in_value(in, 0), *out = in->n->results[0];
    const jc_type *src = jc_in_is_tensor(&in->n->args[1]) ? jc_in_type(in, 1) : NULL;
    bool ok = !src || src->rank <= dst->type.rank;
    for (uint32_t d = 0; src && ok && d < src->rank; d++) {
        bool spread = true;
        ok = jc_in_onto(in, src->dims[d], dst->type.dims[d + dst->type.rank - src->rank], &spread);
    }
    if (!ok)
        return jc_in_fail(in, JITC_E_INPUT, "expected a source that broadcasts to %s, got %s.",
                          jc_in_text(in, &dst->type), jc_in_text(in, src));
    JC_TRY(jc_in_holds(in, 1, dst->type.dtype));
    out->type = dst->type;
    out->base = jc_storage(dst);
    out->offset = dst->base && dst->offset ? dst->offset : jc_ex_int(in->t, 0);
    return JITC_OK;
}

/* ---- calls ---- */

static void leaves_of(const jc_arg *a, uint32_t n, const jc_arg **leaves, uint32_t *count) {
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].kind == JC_ARG_LIST) {
            leaves_of(a[i].list.at, a[i].list.n, leaves, count);
        } else if (a[i].kind != JC_ARG_NONE) {
            if (leaves)
                leaves[*count] = &a[i];
            ++*count;
        }
    }
}

uint32_t jc_func_leaves(const jc_func *f, const jc_arg **leaves) {
    uint32_t count = 0;
    leaves_of(f->outputs, f->noutputs, leaves, &count);
    return count;
}

/* What the callee's symbols are at this call: those that stand alone as a parameter. NULL: the same everywhere. */
const jc_expr **jc_call_symbols(jc_in *in) {
    const jc_func *callee = in->n->callee;
    const jc_expr **map = NULL;
    for (uint32_t i = 0; i < in->n->nargs && i < callee->nparams; i++) {
        const jc_type *p = &callee->params[i]->type;
        const jc_arg *a = &in->n->args[i];
        const jc_expr *given = a->kind == JC_ARG_EXPR ? a->expr
                               : a->kind == JC_ARG_VALUE && a->value->type.kind == JC_SYMINT ? a->value->type.expr
                                                                                             : NULL;
        if (p->kind != JC_SYMINT || !given || p->expr->kind != JC_EX_SYM || p->expr == given)
            continue;
        if (!map)
            map = JC_NEWN(in->arena, const jc_expr *, jc_sym_count(in->t));
        map[p->expr->sym] = given;
    }
    return map;
}

static const jc_expr *at_call(jc_in *in, const jc_expr **map, const jc_expr *e) {
    return map && e ? jc_ex_subst(in->t, e, map, jc_sym_count(in->t)) : e;
}

static const jc_expr *const *list_at_call(jc_in *in, const jc_expr **map, const jc_expr *const *at, uint32_t n) {
    if (!map || !at)
        return at;
    const jc_expr **out = JC_NEWN(in->arena, const jc_expr *, n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = at_call(in, map, at[i]);
    return out;
}

/*
 * Where result I, the callee's V, lies: in the storage of an argument, or in that of another result: the one that owns the
 * storage if it is returned, else the first of those that share it.
 */
static void call_place(jc_in *in, const jc_expr **map, const jc_arg *const *leaves, uint32_t i) {
    const jc_value *v = leaves[i]->value, *storage = v->base ? v->base : v;
    jc_value *out = in->n->results[i];
    const jc_expr *zero = jc_ex_int(in->t, 0), *offset = v->base && v->offset ? v->offset : zero;
    offset = at_call(in, map, offset);
    if (!storage->def) {
        const jc_arg *a = storage->index < in->n->nargs ? &in->n->args[storage->index] : NULL;
        if (!a || !jc_in_is_tensor(a))
            return;
        jc_value *x = a->value;
        out->base = jc_storage(x);
        out->offset = jc_ex_add(in->t, x->base && x->offset ? x->offset : zero, offset);
        if (v == storage)
            out->type.strides = x->type.strides;
        return;
    }
    if (v == storage)
        return;
    uint32_t owner = in->n->nresults;
    for (uint32_t k = in->n->nresults; k-- > 0;) {
        const jc_value *other = leaves[k]->kind == JC_ARG_VALUE ? leaves[k]->value : NULL;
        if (!other || other->type.kind != JC_TENSOR || (other->base ? other->base : other) != storage)
            continue;
        owner = k;
        if (other == storage)
            break;
    }
    const jc_value *first = leaves[owner]->value;
    if (owner == i || first == v)
        return;
    out->base = in->n->results[owner];
    out->offset = jc_ex_sub(in->t, offset, first->base && first->offset ? at_call(in, map, first->offset) : zero);
}

jitc_status jc_infer_call(jc_in *in) {
    uint32_t n = in->n->nresults;
    const jc_arg *few[JC_FEW_RESULTS], **leaves = n <= JC_FEW_RESULTS ? few : JC_NEWN(in->arena, const jc_arg *, n);
    jc_func_leaves(in->n->callee, leaves);
    const jc_expr **map = jc_call_symbols(in);
    for (uint32_t i = 0; i < n; i++) {
        jc_value *out = in->n->results[i];
        out->base = NULL;
        out->offset = NULL;
        if (leaves[i]->kind != JC_ARG_VALUE) {
            static const uint8_t kinds[] = { [JC_ARG_EXPR] = JC_SYMINT, [JC_ARG_FLOAT] = JC_FLOAT,
                                             [JC_ARG_BOOL] = JC_BOOL };
            uint8_t kind = leaves[i]->kind <= JC_ARG_BOOL ? kinds[leaves[i]->kind] : JC_NAME;
            out->type = (jc_type){ .kind = kind };
            out->type.expr = kind == JC_SYMINT ? at_call(in, map, leaves[i]->expr) : NULL;
            continue;
        }
        out->type = leaves[i]->value->type;
        out->type.expr = at_call(in, map, out->type.expr);
        out->type.dims = list_at_call(in, map, out->type.dims, out->type.rank);
        out->type.strides = list_at_call(in, map, out->type.strides, out->type.rank);
        if (out->type.kind == JC_TENSOR)
            call_place(in, map, leaves, i);
    }
    return JITC_OK;
}
