/*
 * ir/infer_attention.c - scaled_dot_product_attention: q[..., H, L, E], k[..., H, S, E], v[..., H, S, Ev]; whole, or for parts of the keys.
 *
 * Batch dims broadcast.  Where k and v have fewer heads (dim -3) than q, each of theirs serves as many of q's that follow each other.
 */
#include "ir/infer_priv.h"

int64_t jc_attention_groups(const jc_type *q, const jc_type *k) {
    int64_t of_q, of_k;
    if (q->rank < 3 || k->rank < 3 || !jc_ex_is_const(q->dims[q->rank - 3], &of_q) || !jc_ex_is_const(k->dims[k->rank - 3], &of_k))
        return 1;
    return of_k > 1 && of_q > of_k && of_q % of_k == 0 ? of_q / of_k : 1;
}

/* Broadcasts the batch dims of argument I into *DIMS, those of q. */
static jitc_status with_batch(jc_in *in, uint32_t i, const jc_expr *const **dims, uint32_t *rank) {
    const jc_type *q = jc_in_type(in, 0);
    jc_type x = *jc_in_type(in, i);
    if (jc_attention_groups(q, &x) > 1) {
        const jc_expr **copy = jc_arena_memdup(in->arena, x.dims, x.rank * sizeof *copy);
        copy[x.rank - 3] = q->dims[q->rank - 3];
        x.dims = copy;
    }
    x.rank -= 2;
    return jc_in_broadcast(in, dims, rank, &x);
}

static jitc_status check_operand(jc_in *in, uint32_t i) {
    const jc_type *q = jc_in_type(in, 0), *x = jc_in_type(in, i);
    if (!jc_in_floating(x->dtype) || jc_in_fp8(x->dtype))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected f16, bf16, f32 or f64 as argument %u, got %s.", i, jc_in_text(in, x));
    if (x->dtype != q->dtype || x->rank < 2)
        return jc_in_fail(in, JITC_E_INPUT, "expected at least 2 dims of %s as argument %u, got %s.", jc_dtypes[q->dtype].name, i,
                          jc_in_text(in, x));
    return JITC_OK;
}

/* The mask has to broadcast to the scores, whose DIMS these are. */
static jitc_status check_mask(jc_in *in, const jc_expr *const *dims, uint32_t rank) {
    const jc_type *mask = jc_in_type(in, 3);
    bool ok = mask->rank <= rank && (mask->dtype == JC_B8 || (jc_in_floating(mask->dtype) && !jc_in_fp8(mask->dtype)));
    for (uint32_t d = 0; ok && d < mask->rank; d++) {
        bool spread = true;
        ok = jc_in_onto(in, mask->dims[d], dims[rank - mask->rank + d], &spread);
    }
    const jc_type scores = { .kind = JC_TENSOR, .dtype = JC_B8, .rank = (uint8_t)rank, .dims = dims };
    return ok ? JITC_OK
              : jc_in_fail(in, JITC_E_INPUT, "expected a mask of b8 or of floats that broadcasts to %s, got %s.", jc_in_text(in, &scores),
                           jc_in_text(in, mask));
}

/* DIMS, with room for JC_MAX_RANK, become those of the result. */
static jitc_status result_dims(jc_in *in, const jc_expr **dims, uint32_t *all) {
    const jc_type *q = jc_in_type(in, 0), *k = jc_in_type(in, 1), *v = jc_in_type(in, 2);
    const jc_expr *same;
    for (uint32_t i = 0; i < 3; i++)
        JC_TRY(check_operand(in, i));
    if (!jc_in_same_dim(in, q->dims[q->rank - 1], k->dims[k->rank - 1], &same) ||
        !jc_in_same_dim(in, k->dims[k->rank - 2], v->dims[v->rank - 2], &same))
        return jc_in_fail(in, JITC_E_INPUT, "expected q[L, E], k[S, E] and v[S, Ev], got %s, %s and %s.", jc_in_text(in, q), jc_in_text(in, k),
                          jc_in_text(in, v));
    if (jc_attention_groups(q, k) != jc_attention_groups(q, v) || (jc_attention_groups(q, k) > 1 && q->rank == JC_MAX_RANK))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected keys and values of as many heads, got %s and %s.", jc_in_text(in, k),
                          jc_in_text(in, v));
    if (jc_in_is_tensor(&in->n->args[5]) && (jc_in_type(in, 5)->rank || jc_in_fp8(jc_in_type(in, 5)->dtype)))
        return jc_in_fail(in, JITC_E_INPUT, "expected a scale without dims, got %s.", jc_in_text(in, jc_in_type(in, 5)));
    const jc_expr *const *batch = q->dims;
    uint32_t rank = q->rank - 2u;
    JC_TRY(with_batch(in, 1, &batch, &rank));
    JC_TRY(with_batch(in, 2, &batch, &rank));
    if (rank + 2 > JC_MAX_RANK)
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected at most %d dims, got %u.", JC_MAX_RANK, rank + 2);
    for (uint32_t d = 0; d < rank; d++)
        dims[d] = batch[d];
    dims[rank] = q->dims[q->rank - 2];
    dims[rank + 1] = k->dims[k->rank - 2];
    JC_TRY(jc_in_check_dims(in, dims, rank + 2));
    if (jc_in_has(in, 3))
        JC_TRY(check_mask(in, dims, rank + 2));
    dims[rank + 1] = v->dims[v->rank - 1];
    *all = rank + 2;
    return jc_in_check_dims(in, dims, rank + 2);
}

jitc_status jc_infer_sdpa(jc_in *in) {
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, JC_MAX_RANK);
    uint32_t rank;
    JC_TRY(result_dims(in, dims, &rank));
    jc_in_result(in, 0, jc_in_type(in, 0)->dtype, dims, rank);
    return JITC_OK;
}

jitc_status jc_infer_sdpa_parts(jc_in *in) {
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, JC_MAX_RANK + 1);
    uint32_t rank;
    JC_TRY(result_dims(in, dims + 1, &rank));
    if (rank + 1 >= JC_MAX_RANK || jc_in_type(in, 0)->dtype == JC_F64)
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected at most %d dims, of no f64, got %s.", JC_MAX_RANK - 2, jc_in_text(in, jc_in_type(in, 0)));
    dims[0] = in->n->args[6].expr;
    dims[rank] = jc_ex_add(in->t, dims[rank], jc_ex_int(in->t, JC_PARTS_EXTRA));
    jc_in_result(in, 0, JC_F32, dims, rank + 1);
    return JITC_OK;
}
