/*
 * ir/infer_view.c - operators that give another look at the same storage.
 *
 * A view has its storage's owner as base, an offset in elements of the base, and strides; strides that are provably
 * row-major are left out, so a contiguous value has one form.  The stride of a dim of size 1 means nothing and gets the value
 * that row-major would give it beside the dim to its right.
 *
 * Reshaping a strided tensor: neighbouring dims whose strides chain are one run of memory; the new dims have to fill each run
 * exactly.  With symbols every comparison is a proof, and what cannot be proved is a copy.  The outermost run needs none: both sides
 * have as many elements.
 */
#include "ir/infer_priv.h"

/* ---- places ---- */

/* Do STRIDES lie row-major for DIMS? */
static bool row_major(jc_in *in, const jc_expr *const *dims, uint32_t rank, const jc_expr *const *strides) {
    const jc_expr *expected = jc_ex_int(in->t, 1);
    for (uint32_t d = 0; d < rank; d++) {
        if (jc_ex_is(dims[d], 0))
            return true;
    }
    for (uint32_t d = rank; d-- > 0;) {
        if (jc_ex_is(dims[d], 1))
            continue;
        if (strides[d] != expected && jc_ex_equal(in->t, strides[d], expected) != JC_YES)
            return false;
        if (d > 0)
            expected = jc_ex_mul(in->t, expected, dims[d]);
    }
    return true;
}

void jc_in_view(jc_in *in, jc_value *x, uint8_t dtype, const jc_expr *const *dims, uint32_t rank,
                const jc_expr **strides, const jc_expr *offset) {
    jc_value *v = in->n->results[0];
    if (strides && row_major(in, dims, rank, strides))
        strides = NULL;
    for (uint32_t d = rank; strides && d-- > 0;) {
        if (jc_ex_is(dims[d], 1))
            strides[d] = d + 1 == rank ? jc_ex_int(in->t, 1) : jc_ex_mul(in->t, strides[d + 1], dims[d + 1]);
    }
    v->type = (jc_type){ .kind = JC_TENSOR, .dtype = dtype, .rank = (uint8_t)rank, .dims = dims, .strides = strides };
    v->base = jc_storage(x);
    v->offset = offset;
}

static const jc_expr *offset_of(jc_in *in, const jc_value *x) {
    return x->base && x->offset ? x->offset : jc_ex_int(in->t, 0);
}

/* The strides of X in an array that may be changed. */
static const jc_expr **strides_of(jc_in *in, const jc_type *x) {
    if (!x->strides)
        return jc_type_row_major(in->t, in->arena, x->dims, x->rank);
    return jc_arena_memdup(in->arena, x->strides, x->rank * sizeof *x->strides);
}

static void same_place(jc_in *in, jc_value *x) {
    const jc_type *type = &x->type;
    jc_in_view(in, x, type->dtype, type->dims, type->rank, type->strides ? strides_of(in, type) : NULL,
               offset_of(in, x));
}

/* ---- reshape ---- */

/* Are the products equal?  Equal dims at both ends are left out, constants multiplied without the table. */
static jc_truth same_count(jc_in *in, const jc_expr *const *a, uint32_t na, const jc_expr *const *b, uint32_t nb) {
    while (na && nb && a[0] == b[0] && !jc_ex_is(a[0], 0))
        a++, b++, na--, nb--;
    while (na && nb && a[na - 1] == b[nb - 1] && !jc_ex_is(a[na - 1], 0))
        na--, nb--;
    if (na == 0 && nb == 0)
        return JC_YES;
    return jc_ex_equal(in->t, jc_ex_product(in->t, a, na), jc_ex_product(in->t, b, nb));
}

/* The products have to be equal: of what both sides do not share. */
static void count_open(jc_in *in, const jc_expr *const *a, uint32_t na, const jc_expr *const *b, uint32_t nb) {
    if (in->open && same_count(in, a, na, b, nb) != JC_YES)
        jc_in_open(in, JC_REL_EQ, jc_ex_product(in->t, a, na), jc_ex_product(in->t, b, nb));
}

static bool same_dims(const jc_expr *const *a, uint32_t na, const jc_expr *const *b, uint32_t nb) {
    if (na != nb)
        return false;
    for (uint32_t d = 0; d < na; d++) {
        if (a[d] != b[d])
            return false;
    }
    return true;
}

/* Strides with which DIMS see what X holds; NULL where there are none, or none to be proved. */
static const jc_expr **reshaped_strides(jc_in *in, const jc_type *x, const jc_expr *const *dims, uint32_t rank) {
    const jc_expr **strides = JC_NEWN(in->arena, const jc_expr *, rank);
    const jc_expr *one = jc_ex_int(in->t, 1), *step = one, *run = one, *filled = one;
    uint32_t next = rank; /* new dims from here on have strides */
    for (uint32_t d = x->rank; d-- > 0;) {
        if (run == one && filled == one && !jc_ex_is(x->dims[d], 1))
            step = x->strides[d];
        run = jc_ex_mul(in->t, run, x->dims[d]);
        bool chained = d > 0 && (jc_ex_is(x->dims[d - 1], 1) || run == one ||
                                 jc_ex_equal(in->t, x->strides[d - 1], jc_ex_mul(in->t, run, step)) == JC_YES);
        if (chained)
            continue;
        while (next > 0 && (d == 0 || jc_ex_equal(in->t, filled, run) != JC_YES || jc_ex_is(dims[next - 1], 1))) {
            strides[--next] = jc_ex_mul(in->t, filled, step);
            filled = jc_ex_mul(in->t, filled, dims[next]);
        }
        if (d > 0 && jc_ex_equal(in->t, filled, run) != JC_YES)
            return NULL;
        run = filled = one;
    }
    return next == 0 ? strides : NULL;
}

jitc_status jc_infer_reshape(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    uint32_t rank;
    const jc_expr **dims = jc_in_exprs(in, 1, &rank);
    JC_TRY(jc_in_check_dims(in, dims, rank));
    if (same_count(in, x->type.dims, x->type.rank, dims, rank) == JC_NO) {
        jc_type shape = { .kind = JC_TENSOR, .dtype = x->type.dtype, .rank = (uint8_t)rank, .dims = dims };
        return jc_in_fail(in, JITC_E_INPUT, "expected as many elements as in %s, got %s.", jc_in_text(in, &x->type),
                          jc_in_text(in, &shape));
    }
    count_open(in, x->type.dims, x->type.rank, dims, rank);
    for (uint32_t d = 0; d < rank; d++) {
        if (jc_ex_is(dims[d], 0)) { /* no element, no matter where */
            jc_in_view(in, x, x->type.dtype, dims, rank, NULL, offset_of(in, x));
            return JITC_OK;
        }
    }
    if (!x->type.strides || same_dims(x->type.dims, x->type.rank, dims, rank)) {
        jc_in_view(in, x, x->type.dtype, dims, rank, x->type.strides ? strides_of(in, &x->type) : NULL,
                   offset_of(in, x));
        return JITC_OK;
    }
    const jc_expr **strides = reshaped_strides(in, &x->type, dims, rank);
    if (strides)
        jc_in_view(in, x, x->type.dtype, dims, rank, strides, offset_of(in, x));
    else
        jc_in_result(in, 0, x->type.dtype, dims, rank);
    return JITC_OK;
}

/* ---- permute, expand ---- */

jitc_status jc_infer_permute(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    const jc_arg *order = &in->n->args[1];
    uint32_t rank = x->type.rank, seen = 0;
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, rank), **strides = strides_of(in, &x->type);
    const jc_expr **out = JC_NEWN(in->arena, const jc_expr *, rank);
    for (uint32_t d = 0; d < order->list.n && d < rank; d++) {
        int64_t from;
        if (jc_ex_is_const(order->list.at[d].expr, &from) && from >= 0 && from < rank) {
            seen |= 1u << from;
            dims[d] = x->type.dims[from];
            out[d] = strides[from];
        }
    }
    if (order->list.n != rank || seen != (1u << rank) - 1)
        return jc_in_fail(in, JITC_E_INPUT, "expected each of the %u dims of %s once, got another list of %u.", rank,
                          jc_in_text(in, &x->type), order->list.n);
    jc_in_view(in, x, x->type.dtype, dims, rank, out, offset_of(in, x));
    return JITC_OK;
}

jitc_status jc_infer_expand(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    uint32_t rank, have = x->type.rank;
    const jc_expr **dims = jc_in_exprs(in, 1, &rank);
    JC_TRY(jc_in_check_dims(in, dims, rank));
    const jc_expr **from = strides_of(in, &x->type), **strides = JC_NEWN(in->arena, const jc_expr *, rank);
    /* What is asked of the sizes is what the strides that the result has rest on. */
    const jc_expr *const *before = in->open ? strides_of(in, &in->n->results[0]->type) : NULL;
    bool fits = rank >= have;
    for (uint32_t d = 0; fits && d < rank; d++) {
        bool spread = !before || (before[d] && jc_ex_is(before[d], 0));
        fits = d < rank - have || jc_in_onto(in, x->type.dims[d - (rank - have)], dims[d], &spread);
        strides[d] = d < rank - have || spread ? jc_ex_int(in->t, 0) : from[d - (rank - have)];
    }
    if (!fits) {
        jc_type shape = { .kind = JC_TENSOR, .dtype = x->type.dtype, .rank = (uint8_t)rank, .dims = dims };
        return jc_in_fail(in, JITC_E_INPUT, "expected dims that %s can be expanded to, got %s.",
                          jc_in_text(in, &x->type), jc_in_text(in, &shape));
    }
    jc_in_view(in, x, x->type.dtype, dims, rank, strides, offset_of(in, x));
    return JITC_OK;
}

/* ---- slice ---- */

/* DELTA elements of X as elements of the base's dtype, which may be another one; NULL where it is no whole number. */
static const jc_expr *in_base_elements(jc_in *in, const jc_value *x, const jc_expr *delta) {
    int64_t size = jc_dtypes[x->type.dtype].size, base = x->base ? jc_dtypes[x->base->type.dtype].size : size;
    if (size == base)
        return delta;
    const jc_expr *bytes = jc_ex_mul(in->t, delta, jc_ex_int(in->t, size));
    return jc_ex_divisor(in->t, bytes) % base == 0 ? jc_ex_fdiv(in->t, bytes, jc_ex_int(in->t, base)) : NULL;
}

/* Is elements start + i*step, i < length, within DIM?  Only what is provably not fails. */
static bool slice_fits(jc_in *in, const jc_expr *dim, const jc_expr *start, const jc_expr *length,
                       const jc_expr *step) {
    const jc_expr *zero = jc_ex_int(in->t, 0), *one = jc_ex_int(in->t, 1);
    if (jc_ex_le(in->t, zero, start) == JC_NO || jc_ex_le(in->t, one, step) == JC_NO)
        return false;
    const jc_expr *last = jc_ex_add(in->t, start, jc_ex_mul(in->t, jc_ex_sub(in->t, length, one), step));
    const jc_expr *end = jc_ex_add(in->t, last, one);
    jc_in_open(in, JC_REL_LE, zero, start);
    jc_in_open(in, JC_REL_LE, one, step);
    jc_in_open(in, JC_REL_LE, end, dim); /* of no elements this asks no more than that the start is not beyond the end */
    return jc_ex_le(in->t, one, length) != JC_YES || jc_ex_le(in->t, end, dim) != JC_NO;
}

jitc_status jc_infer_slice(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    const jc_type *type = &x->type;
    const jc_arg *args = in->n->args;
    const jc_expr *start = args[2].expr, *length = args[3].expr, *step = args[4].expr;
    uint32_t dim;
    JC_TRY(jc_in_dim(in, 1, type->rank, &dim));
    if (!slice_fits(in, type->dims[dim], start, length, step))
        return jc_in_fail(in, JITC_E_INPUT, "expected a range within dim %u of %s, got start %s, length %s, step %s.",
                          dim, jc_in_text(in, type), jc_in_expr_text(in, start), jc_in_expr_text(in, length),
                          jc_in_expr_text(in, step));
    const jc_expr **dims = jc_arena_memdup(in->arena, type->dims, type->rank * sizeof *dims);
    const jc_expr **strides = strides_of(in, type);
    const jc_expr *delta = in_base_elements(in, x, jc_ex_mul(in->t, start, strides[dim]));
    if (!delta)
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected a start on a whole element of the storage (%s), got %s.",
                          jc_in_text(in, &jc_storage(x)->type), jc_in_expr_text(in, start));
    dims[dim] = length;
    JC_TRY(jc_in_check_dims(in, dims, type->rank));
    strides[dim] = jc_ex_mul(in->t, strides[dim], step);
    jc_in_view(in, x, type->dtype, dims, type->rank, strides, jc_ex_add(in->t, offset_of(in, x), delta));
    return JITC_OK;
}

/* ---- diagonal, unfold ---- */

jitc_status jc_infer_diagonal(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    const jc_type *type = &x->type;
    const jc_arg *args = in->n->args;
    const jc_expr *one = jc_ex_int(in->t, 1), *length = args[5].expr;
    uint32_t dim[2], rank = 0;
    JC_TRY(jc_in_dim(in, 1, type->rank, &dim[0]));
    JC_TRY(jc_in_dim(in, 2, type->rank, &dim[1]));
    bool fits = dim[0] != dim[1];
    for (uint32_t k = 0; k < 2; k++)
        fits &= slice_fits(in, type->dims[dim[k]], args[3 + k].expr, length, one);
    if (!fits)
        return jc_in_fail(in, JITC_E_INPUT, "expected a diagonal within dims %u and %u of %s, got %s from %s, %s on.", dim[0], dim[1],
                          jc_in_text(in, type), jc_in_expr_text(in, length), jc_in_expr_text(in, args[3].expr), jc_in_expr_text(in, args[4].expr));
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, type->rank), **strides = JC_NEWN(in->arena, const jc_expr *, type->rank);
    const jc_expr **from = strides_of(in, type), *delta = jc_ex_int(in->t, 0);
    for (uint32_t k = 0; k < 2; k++)
        delta = jc_ex_add(in->t, delta, jc_ex_mul(in->t, args[3 + k].expr, from[dim[k]]));
    if (!(delta = in_base_elements(in, x, delta)))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected a start on a whole element of the storage, %s.",
                          jc_in_text(in, &jc_storage(x)->type));
    for (uint32_t d = 0; d < type->rank; d++) {
        if (d == dim[0] || d == dim[1])
            continue;
        dims[rank] = type->dims[d];
        strides[rank++] = from[d];
    }
    dims[rank] = length;
    strides[rank++] = jc_ex_add(in->t, from[dim[0]], from[dim[1]]);
    JC_TRY(jc_in_check_dims(in, dims, rank));
    jc_in_view(in, x, type->dtype, dims, rank, strides, jc_ex_add(in->t, offset_of(in, x), delta));
    return JITC_OK;
}

jitc_status jc_infer_unfold(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    const jc_type *type = &x->type;
    const jc_expr *one = jc_ex_int(in->t, 1), *size = in->n->args[2].expr, *step = in->n->args[3].expr;
    uint32_t dim, rank = type->rank;
    JC_TRY(jc_in_dim(in, 1, rank, &dim));
    if (jc_ex_le(in->t, size, type->dims[dim]) == JC_NO || jc_ex_le(in->t, jc_ex_int(in->t, 0), size) == JC_NO || jc_ex_le(in->t, one, step) == JC_NO)
        return jc_in_fail(in, JITC_E_INPUT, "expected windows within dim %u of %s, got a size of %s and a step of %s.", dim, jc_in_text(in, type),
                          jc_in_expr_text(in, size), jc_in_expr_text(in, step));
    jc_in_open(in, JC_REL_LE, size, type->dims[dim]);
    jc_in_open(in, JC_REL_LE, jc_ex_int(in->t, 0), size);
    jc_in_open(in, JC_REL_LE, one, step);
    const jc_expr **dims = JC_NEWN(in->arena, const jc_expr *, rank + 1), **strides = JC_NEWN(in->arena, const jc_expr *, rank + 1);
    const jc_expr **from = strides_of(in, type);
    for (uint32_t d = 0; d < rank; d++) {
        dims[d] = type->dims[d];
        strides[d] = from[d];
    }
    dims[dim] = jc_ex_add(in->t, jc_ex_fdiv(in->t, jc_ex_sub(in->t, type->dims[dim], size), step), one);
    strides[dim] = jc_ex_mul(in->t, from[dim], step);
    dims[rank] = size;
    strides[rank] = from[dim];
    JC_TRY(jc_in_check_dims(in, dims, rank + 1));
    jc_in_view(in, x, type->dtype, dims, rank + 1, strides, offset_of(in, x));
    return JITC_OK;
}

/* ---- bitcast ---- */

/* Every stride and the offset, in bytes, are multiples of the new element size? */
static bool aligned(jc_in *in, const jc_value *x, int64_t from, int64_t to) {
    const jc_type *base = x->base ? &x->base->type : &x->type;
    if (to <= from)
        return true;
    int64_t ratio = to / from, unit = jc_dtypes[base->dtype].size;
    if (jc_ex_divisor(in->t, offset_of(in, x)) * unit % to != 0)
        return false;
    for (int d = 0; d + 1 < x->type.rank && x->type.strides; d++) {
        if (jc_ex_divisor(in->t, x->type.strides[d]) % ratio != 0)
            return false;
    }
    return true;
}

jitc_status jc_infer_bitcast(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    uint8_t dtype = (uint8_t)in->n->args[1].dtype;
    int64_t from = jc_dtypes[x->type.dtype].size, to = jc_dtypes[dtype].size;
    uint32_t rank = x->type.rank, last = rank - 1;
    const jc_expr **strides = x->type.strides || from != to ? strides_of(in, &x->type) : NULL;
    if (from == to) {
        jc_in_view(in, x, dtype, x->type.dims, rank, strides, offset_of(in, x));
        return JITC_OK;
    }
    int64_t wide = from > to ? from / to : to / from;
    const jc_expr *ratio = jc_ex_int(in->t, wide);
    if (rank == 0 || !jc_ex_is(strides[last], 1) || !aligned(in, x, from, to) ||
        (to > from && jc_ex_equal(in->t, jc_ex_mod(in->t, x->type.dims[last], ratio), jc_ex_int(in->t, 0)) == JC_NO))
        return jc_in_fail(in, JITC_E_INPUT,
                          "expected a last dim that is contiguous and a whole number of elements of %s, got %s.",
                          jc_dtypes[dtype].name, jc_in_text(in, &x->type));
    if (to > from)
        jc_in_open(in, JC_REL_EQ, jc_ex_mod(in->t, x->type.dims[last], ratio), jc_ex_int(in->t, 0));
    const jc_expr **dims = jc_arena_memdup(in->arena, x->type.dims, rank * sizeof *dims);
    const jc_expr *(*resize)(jc_exprs *, const jc_expr *, const jc_expr *) = from > to ? jc_ex_mul : jc_ex_fdiv;
    dims[last] = resize(in->t, dims[last], ratio);
    for (uint32_t d = 0; d < last; d++)
        strides[d] = resize(in->t, strides[d], ratio);
    JC_TRY(jc_in_check_dims(in, dims, rank));
    jc_in_view(in, x, dtype, dims, rank, strides, offset_of(in, x));
    return JITC_OK;
}

/* ---- contiguous ---- */

jitc_status jc_infer_contiguous(jc_in *in) {
    jc_value *x = jc_in_value(in, 0);
    if (!x->type.strides)
        same_place(in, x);
    else
        jc_in_result(in, 0, x->type.dtype, x->type.dims, x->type.rank);
    return JITC_OK;
}
