/*
 * ir/fx/fx_build_move.c - spellings that move elements: reading by index, diagonals, windows, flips, joins of unequal tensors, padding
 * by what is at the edges, and writing a part of a copy.
 *
 * What is counted (0, 1, 2 ...) is an `arange`: the scheduler sees through it, so nothing here is slower than a view.
 */
#include <stdlib.h>
#include <string.h>
#include "ir/fx/fx_build.h"

#define MAX_TENSORS 64 /* of a call that makes something of each with each */

static const jc_expr *zero(fx_reader *r) {
    return jc_ex_int(fx_x(r), 0);
}

static jc_value *clone(fx_reader *r, jc_value *x) {
    return x && !r->status ? FX_OP(r, JC_OP_clone, fx_v(x)) : NULL;
}

/* Fresh, of X's dtype, full of 0. */
static jc_value *zeros(fx_reader *r, const jc_value *x, const jc_expr *const *dims, uint32_t n) {
    return FX_OP(r, JC_OP_full, fx_dims(r, dims, n), fx_i(r, 0), jc_arg_dtype((jc_dtype)x->type.dtype));
}

static jc_value *expanded(fx_reader *r, jc_value *x, const jc_expr *const *dims, uint32_t n) {
    return x && !r->status ? FX_OP(r, JC_OP_expand, fx_v(x), fx_dims(r, dims, n)) : NULL;
}

/* --- reading by index --- */

/* 0, 1, ... along dim D of RANK. */
static jc_value *counted_along(fx_reader *r, const jc_expr *n, int d, int rank) {
    const jc_expr *dims[JC_MAX_RANK];
    for (int k = 0; k < rank; k++)
        dims[k] = k == d ? n : fx_one(r);
    return fx_reshape(r, fx_counted(r, n), dims, (uint32_t)rank);
}

/* X at INDEX along DIM, at its own place in all others. */
static jc_value *gathered(fx_call *c, jc_value *x, int dim, jc_value *index, bool wrap) {
    fx_reader *r = c->r;
    int dims[JC_MAX_RANK];
    jc_value *by[JC_MAX_RANK];
    if (!x || !index || r->status)
        return NULL;
    const int rank = fx_rank(index);
    if (!fx_rank(x)) /* a number is a row of one element */
        return fx_reshape(r, gathered(c, fx_unsqueeze(r, x, 0), 0, rank ? index : fx_unsqueeze(r, index, 0), wrap), index->type.dims, (uint32_t)rank);
    if (rank != fx_rank(x)) {
        fx_bad_arg(c, 2, "of as many dimensions as the tensor");
        return NULL;
    }
    for (int d = 0; d < rank; d++) {
        dims[d] = d;
        by[d] = d == dim ? index : counted_along(r, index->type.dims[d], d, rank);
    }
    return fx_pick(r, x, dims, by, rank, wrap);
}

jc_arg fx_h_gather(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *index = fx_tensor(c, 2);
    return x && index ? fx_v(gathered(c, x, fx_dim(c, 1, fx_rank(x), 0), index, false)) : fx_nothing();
}

/* Of dims A and B of one tensor each, the one that both broadcast to. */
static const jc_expr *wider(const jc_expr *a, const jc_expr *b) {
    return jc_ex_is(a, 1) ? b : a;
}

jc_arg fx_h_take_along_dim(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *index = fx_tensor(c, 1);
    const jc_expr *of_x[JC_MAX_RANK], *of_index[JC_MAX_RANK];
    if (!x || !index)
        return fx_nothing();
    if (!fx_given(c, 2)) {
        x = fx_flat(c->r, x);
        return fx_v(gathered(c, x, 0, fx_flat(c->r, index), false));
    }
    const int rank = fx_rank(x), dim = fx_dim(c, 2, rank, 0);
    if (fx_rank(index) != rank) {
        fx_bad_arg(c, 1, "of as many dimensions as the tensor");
        return fx_nothing();
    }
    for (int d = 0; d < rank; d++) {
        of_x[d] = d == dim ? x->type.dims[d] : wider(x->type.dims[d], index->type.dims[d]);
        of_index[d] = d == dim ? index->type.dims[d] : of_x[d];
    }
    x = expanded(c->r, x, of_x, (uint32_t)rank);
    return fx_v(gathered(c, x, dim, expanded(c->r, index, of_index, (uint32_t)rank), true)); /* negative ones count from the end, as they do not in gather() */
}

jc_arg fx_h_flat_take(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *index = fx_tensor(c, 1);
    return fx_v(FX_OP(c->r, JC_OP_take, fx_v(fx_flat(c->r, x)), fx_i(c->r, 0), fx_v(index), jc_arg_bool(true)));
}

/* --- flips and rolls --- */

jc_value *fx_flip(fx_reader *r, jc_value *x, int dim) {
    if (!x || r->status)
        return NULL;
    const jc_expr *n = x->type.dims[dim];
    jc_value *back = FX_OP(r, JC_OP_arange, fx_e(jc_ex_sub(fx_x(r), n, fx_one(r))), fx_i(r, -1), fx_e(n), jc_arg_dtype(JC_I64));
    return FX_OP(r, JC_OP_take, fx_v(x), fx_i(r, dim), fx_v(back), jc_arg_bool(false));
}

/* Aux: 0: the dims that are given; else the one before AUX. */
jc_arg fx_h_flip(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *y = x;
    int dims[JC_MAX_RANK] = { c->row->aux - 1 };
    if (!x)
        return fx_nothing();
    if (c->row->aux > fx_rank(x))
        fx_bad_arg(c, 0, "of more dimensions");
    const uint32_t n = c->row->aux ? 1 : fx_which_dims(c, 1, fx_rank(x), dims);
    for (uint32_t k = 0; k < n && fx_rank(x); k++)
        y = fx_flip(c->r, y, dims[k]);
    return fx_v(y == x ? clone(c->r, x) : y);
}

jc_arg fx_h_rot90(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int dims[JC_MAX_RANK] = { 0, 1 }, order[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    const int64_t k = ((fx_int(c, 1, 1) % 4) + 4) % 4;
    if (fx_given(c, 2) && fx_which_dims(c, 2, fx_rank(x), dims) != 2)
        fx_bad_arg(c, 2, "two dimensions");
    if (fx_rank(x) < 2 || dims[0] == dims[1])
        fx_bad_arg(c, 0, "of two different dimensions at least");
    if (c->r->status)
        return fx_nothing();
    for (int d = 0; d < fx_rank(x); d++)
        order[d] = k % 2 == 0 ? d : d == dims[0] ? dims[1] : d == dims[1] ? dims[0] : d;
    jc_value *y = x;
    if (k == 1 || k == 2)
        y = fx_flip(c->r, y, dims[1]);
    if (k == 2 || k == 3)
        y = fx_flip(c->r, y, dims[0]);
    y = fx_permute(c->r, y, order);
    return fx_v(k == 0 ? clone(c->r, x) : y);
}

/* X's last elements along DIM before its first ones, as many as SHIFT says. */
static jc_value *rolled(fx_call *c, jc_value *x, int dim, const jc_expr *shift) {
    fx_reader *r = c->r;
    if (!x || r->status)
        return NULL;
    const jc_expr *n = x->type.dims[dim];
    if (jc_ex_is(n, 0))
        return clone(r, x);
    const jc_expr *last = jc_ex_mod(fx_x(r), shift, jc_ex_max(fx_x(r), fx_one(r), n)), *first = jc_ex_sub(fx_x(r), n, last);
    if (jc_ex_is(last, 0))
        return clone(r, x);
    jc_value *parts[2];
    parts[0] = fx_slice(r, x, dim, first, last, 1);
    parts[1] = fx_slice(r, x, dim, zero(r), first, 1);
    return fx_join(c, parts, 2, dim).value;
}

jc_arg fx_h_roll(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *y = x;
    const jc_expr *shifts[JC_MAX_RANK];
    int dims[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, 1, shifts, JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    const bool all = !fx_given(c, 2) || (c->a[2].kind == JC_ARG_LIST && !c->a[2].list.n);
    if ((all ? 1 : fx_which_dims(c, 2, fx_rank(x), dims)) != n)
        fx_bad_arg(c, 1, "one number for each dimension that is given");
    if (!fx_rank(x) || c->r->status)
        return fx_v(clone(c->r, x));
    if (all) {
        y = rolled(c, fx_flat(c->r, x), 0, shifts[0]);
        return y ? fx_v(fx_reshape(c->r, y, x->type.dims, x->type.rank)) : fx_nothing();
    }
    for (uint32_t k = 0; k < n; k++)
        y = rolled(c, y, dims[k], shifts[k]);
    return fx_v(y);
}

/* fftshift(self, dim): what is in the middle of each dim comes first, or (aux 1) the other way */
jc_arg fx_h_fftshift(fx_call *c) {
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    jc_value *x = fx_tensor(c, 0), *y = x;
    int dims[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    uint32_t n = (uint32_t)fx_rank(x);
    for (uint32_t d = 0; d < n; d++)
        dims[d] = (int)d;
    if (fx_given(c, 1))
        n = fx_which_dims(c, 1, fx_rank(x), dims);
    for (uint32_t k = 0; k < n && y && fx_rank(x) && !r->status; k++)
        y = rolled(c, y, dims[k], jc_ex_fdiv(t, jc_ex_add(t, x->type.dims[dims[k]], jc_ex_int(t, c->row->aux)), jc_ex_int(t, 2)));
    return fx_v(y == x ? clone(r, x) : y);
}

/* --- triangles and diagonals --- */

/* Aux 0: what is on the diagonal and below stays; 1: and above. */
jc_arg fx_h_band(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const jc_expr *k = fx_given(c, 1) ? fx_expr(c, 1) : zero(c->r);
    if (fx_rank(x) < 2)
        fx_bad_arg(c, 0, "of two dimensions at least");
    if (c->r->status)
        return fx_nothing();
    jc_value *kept = fx_band(c->r, x->type.dims + fx_rank(x) - 2, c->row->aux ? JC_OP_ge : JC_OP_le, k);
    return fx_v(FX_OP(c->r, JC_OP_where, fx_v(kept), fx_v(x), jc_arg_bool(false)));
}

/* The diagonal whose column is OFFSET beyond its row. */
static jc_value *diagonal(fx_reader *r, jc_value *x, const jc_expr *offset, int dim1, int dim2) {
    jc_exprs *t = fx_x(r);
    if (!x || r->status)
        return NULL;
    const jc_expr *n1 = x->type.dims[dim1], *n2 = x->type.dims[dim2];
    const jc_expr *row = jc_ex_min(t, n1, jc_ex_max(t, zero(r), jc_ex_neg(t, offset))), *column = jc_ex_min(t, n2, jc_ex_max(t, zero(r), offset));
    const jc_expr *length = jc_ex_max(t, zero(r), jc_ex_min(t, jc_ex_sub(t, n1, row), jc_ex_sub(t, n2, column)));
    return FX_OP(r, JC_OP_diagonal, fx_v(x), fx_i(r, dim1), fx_i(r, dim2), fx_e(row), fx_e(column), fx_e(length));
}

/* By the arguments from I on: an offset and two dims, FIRST and the next where they are left out. */
static jc_value *diagonal_of(fx_call *c, jc_value *x, int i, int first) {
    if (!x || c->r->status)
        return NULL;
    const int rank = fx_rank(x), dim1 = fx_dim(c, i + 1, rank, first), dim2 = fx_dim(c, i + 2, rank, first + 1);
    const jc_expr *offset = fx_given(c, i) ? fx_expr(c, i) : zero(c->r);
    if (dim1 == dim2)
        fx_bad_arg(c, i + 2, "another dimension");
    return diagonal(c->r, x, offset, dim1, dim2);
}

/* Aux 1: a copy of it; 2: of the last two dims where none are given. */
jc_arg fx_h_diagonal(fx_call *c) {
    jc_value *y = diagonal_of(c, fx_tensor(c, 0), 1, c->row->aux == 2 ? -2 : 0);
    return fx_v(c->row->aux == 1 ? clone(c->r, y) : y);
}

jc_arg fx_h_diagonal_scatter(fx_call *c) {
    jc_value *x = clone(c->r, fx_tensor(c, 0)), *src = fx_tensor(c, 1), *part = diagonal_of(c, x, 2, 0);
    if (part)
        fx_write(c->r, part, fx_v(src));
    return fx_v(x);
}

/* X's last dim as a diagonal of a square of zeros, in two new last dims. */
static jc_value *embedded(fx_reader *r, jc_value *x, const jc_expr *offset) {
    jc_exprs *t = fx_x(r);
    const jc_expr *dims[JC_MAX_RANK + 1];
    if (!x || r->status)
        return NULL;
    const int rank = fx_rank(x);
    memcpy(dims, x->type.dims, sizeof *dims * (size_t)rank);
    dims[rank - 1] = dims[rank] = jc_ex_add(t, x->type.dims[rank - 1], jc_ex_max(t, offset, jc_ex_neg(t, offset)));
    jc_value *y = zeros(r, x, dims, (uint32_t)rank + 1), *part = diagonal(r, y, offset, rank - 1, rank);
    if (part)
        fx_write(r, part, fx_v(x));
    return y;
}

jc_arg fx_h_diag_embed(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int order[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    if (!fx_rank(x) || fx_rank(x) == JC_MAX_RANK)
        fx_bad_arg(c, 0, "of one dimension at least, and one below the most");
    const int rank = fx_rank(x) + 1, dim1 = fx_dim(c, 2, rank, -2), dim2 = fx_dim(c, 3, rank, -1);
    jc_value *y = embedded(c->r, x, fx_given(c, 1) ? fx_expr(c, 1) : zero(c->r));
    for (int d = 0, k = 0; d < rank && rank <= JC_MAX_RANK; d++)
        order[d] = d == dim1 ? rank - 2 : d == dim2 ? rank - 1 : k++;
    return fx_v(fx_permute(c->r, y, order));
}

/* Of a vector the matrix that has it as diagonal; of a matrix a copy of its own. */
jc_arg fx_h_diag(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const jc_expr *offset = fx_given(c, 1) ? fx_expr(c, 1) : zero(c->r);
    if (fx_rank(x) < 1 || fx_rank(x) > 2)
        fx_bad_arg(c, 0, "a vector or a matrix");
    if (c->r->status)
        return fx_nothing();
    return fx_v(fx_rank(x) == 1 ? embedded(c->r, x, offset) : clone(c->r, diagonal(c->r, x, offset, 0, 1)));
}

jc_arg fx_h_eye(fx_call *c) {
    const jc_expr *dims[2] = { fx_expr(c, 0), fx_given(c, 1) ? fx_expr(c, 1) : fx_expr(c, 0) };
    const jc_arg dtype = fx_dtype_or(c, 2, jc_arg_dtype(JC_F32));
    jc_value *ones = c->r->status ? NULL : fx_band(c->r, dims, JC_OP_eq, zero(c->r));
    return fx_v(ones ? fx_cast(c->r, ones, dtype.dtype) : NULL);
}

jc_arg fx_h_block_diag(fx_call *c) {
    fx_reader *r = c->r;
    jc_value **parts;
    const uint32_t n = fx_tensors(c, 0, &parts);
    const jc_expr *size[2] = { zero(r), zero(r) }, *at[2] = { zero(r), zero(r) };
    for (uint32_t i = 0; i < n; i++) {
        const int rank = fx_rank(parts[i]);
        const jc_expr *dims[2] = { rank == 2 ? parts[i]->type.dims[0] : fx_one(r), rank ? parts[i]->type.dims[rank - 1] : fx_one(r) };
        if (rank > 2)
            fx_bad_arg(c, 0, "matrices, vectors and numbers");
        if (!(parts[i] = fx_reshape(r, parts[i], dims, 2)))
            return fx_nothing();
        for (int k = 0; k < 2; k++)
            size[k] = jc_ex_add(fx_x(r), size[k], dims[k]);
    }
    jc_value *y = n ? zeros(r, parts[0], size, 2) : NULL;
    for (uint32_t i = 0; i < n && y && !r->status; i++) {
        const jc_expr *const *dims = parts[i]->type.dims;
        jc_value *place = fx_slice(r, fx_slice(r, y, 0, at[0], dims[0], 1), 1, at[1], dims[1], 1);
        if (place)
            fx_write(r, place, fx_v(parts[i]));
        for (int k = 0; k < 2; k++)
            at[k] = jc_ex_add(fx_x(r), at[k], dims[k]);
    }
    return fx_v(y);
}

/* --- a part of a copy, written --- */

jc_arg fx_h_select_scatter(fx_call *c) {
    jc_value *x = clone(c->r, fx_tensor(c, 0)), *src = fx_tensor(c, 1);
    if (!x || !src)
        return fx_nothing();
    if (!fx_rank(x))
        fx_bad_arg(c, 0, "of at least one dimension");
    const jc_expr *i = fx_expr(c, 3);
    jc_value *part = fx_select(c->r, x, fx_dim(c, 2, fx_rank(x), 0), i, c->at);
    if (part)
        fx_write(c->r, part, fx_v(src));
    return fx_v(x);
}

jc_arg fx_h_slice_scatter(fx_call *c) {
    jc_value *x = clone(c->r, fx_tensor(c, 0)), *src = fx_tensor(c, 1);
    if (!x || !src)
        return fx_nothing();
    if (!fx_rank(x))
        fx_bad_arg(c, 0, "of at least one dimension");
    const int dim = fx_dim(c, 2, fx_rank(x), 0);
    jc_value *part = c->r->status ? NULL : fx_python_slice(c->r, x, dim, c->a[3], c->a[4], c->a[5], c->at);
    if (part == x)
        return fx_write(c->r, x, fx_v(src));
    if (part)
        fx_write(c->r, part, fx_v(src));
    return fx_v(x);
}

/* --- windows --- */

jc_value *fx_windows(fx_reader *r, jc_value *x, int dim, const jc_expr *size, const jc_expr *step) {
    return x && !r->status ? FX_OP(r, JC_OP_unfold, fx_v(x), fx_i(r, dim), fx_e(size), fx_e(step)) : NULL;
}

jc_arg fx_h_unfold(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    const jc_expr *size = fx_expr(c, 2), *step = fx_expr(c, 3);
    if (!fx_rank(x)) /* the one window of a number: itself, or nothing of it */
        return fx_v(fx_slice(c->r, fx_flat(c->r, x), 0, zero(c->r), size, 1));
    return fx_v(fx_windows(c->r, x, dim, size, step));
}

/* Elements that follow each other in memory, seen with these sizes and strides: windows of windows. */
static jc_value *strided(fx_reader *r, jc_value *x, const jc_expr *const *sizes, const jc_expr *const *strides, uint32_t n, const jc_expr *offset) {
    jc_exprs *t = fx_x(r);
    const jc_expr *span[JC_MAX_RANK + 1];
    span[n] = fx_one(r);
    for (uint32_t i = n; i-- > 0;)
        span[i] = jc_ex_add(t, span[i + 1], jc_ex_mul(t, jc_ex_sub(t, sizes[i], fx_one(r)), strides[i]));
    x = fx_slice(r, x, 0, offset, span[0], 1);
    for (uint32_t i = 0; i < n && x; i++) {
        if (!jc_ex_is(strides[i], 0)) {
            x = fx_windows(r, x, (int)i, span[i + 1], strides[i]);
            continue;
        }
        const jc_expr *dims[JC_MAX_RANK + 1];
        x = fx_unsqueeze(r, x, (int)i);
        for (uint32_t d = 0; x && d <= i + 1; d++)
            dims[d] = d == i ? sizes[i] : x->type.dims[d];
        x = expanded(r, x, dims, i + 2);
    }
    return fx_reshape(r, x, sizes, n);
}

jc_value *fx_strided(fx_reader *r, jc_value *storage, const jc_expr *const *sizes, const jc_expr *const *strides, uint32_t n, const jc_expr *offset) {
    jc_value *x = fx_flat(r, storage);
    for (uint32_t i = 0; i < n && x; i++)
        if (jc_ex_is(sizes[i], 0)) /* no element, no matter where */
            return fx_reshape(r, fx_slice(r, x, 0, zero(r), zero(r), 1), sizes, n);
    return r->status ? NULL : strided(r, x, sizes, strides, n, offset);
}

jc_arg fx_h_as_strided(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *sizes[JC_MAX_RANK], *strides[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, 1, sizes, JC_MAX_RANK - 1), m = fx_exprs(c, 2, strides, JC_MAX_RANK - 1);
    if (!x || n == UINT32_MAX || m == UINT32_MAX)
        return fx_nothing();
    jc_value *storage = jc_storage(x);
    const jc_expr *offset = fx_given(c, 3) ? fx_expr(c, 3) : x->base && x->offset ? x->offset : zero(c->r);
    if (n != m)
        fx_bad_arg(c, 2, "one number for each size");
    if (storage->type.strides || storage->type.dtype != x->type.dtype)
        fx_refuse_arg(c, 0, "only what lies in a contiguous tensor of the same dtype is");
    return c->r->status ? fx_nothing() : fx_v(fx_strided(c->r, storage, sizes, strides, n, offset));
}

/* --- several tensors --- */

/* A list, or all tensors of the call: *tensors. */
static uint32_t many(fx_call *c, jc_value ***out) {
    const uint32_t n = fx_tensors(c, 0, out);
    if (n > MAX_TENSORS)
        fx_refuse_arg(c, 0, "there are more than 64 tensors");
    return c->r->status ? 0 : n;
}

static jc_value *at_least(fx_reader *r, jc_value *x, int rank) {
    while (x && fx_rank(x) < rank) /* [n] is [1, n], and [1, n, 1] */
        x = fx_unsqueeze(r, x, fx_rank(x) < 2 ? 0 : fx_rank(x));
    return x;
}

static jc_arg as_list(fx_call *c, jc_value *const *parts, uint32_t n) {
    jc_arg *at = fx_take(c->r, sizeof *at * (n ? n : 1));
    for (uint32_t i = 0; i < n; i++)
        at[i] = fx_v(parts[i]);
    return c->r->status ? fx_nothing() : (jc_arg){ .kind = JC_ARG_LIST, .list = { at, n } };
}

jc_arg fx_h_atleast(fx_call *c) {
    jc_value **parts;
    const uint32_t n = many(c, &parts);
    for (uint32_t i = 0; i < n; i++)
        parts[i] = at_least(c->r, parts[i], c->row->aux);
    return n && c->lone ? fx_v(parts[0]) : as_list(c, parts, n);
}

/* Aux: 1 beside each other, 2 below, 3 behind, 4 as columns. */
jc_arg fx_h_stacked(fx_call *c) {
    jc_value **parts;
    const int how = c->row->aux;
    const uint32_t n = fx_tensors(c, 0, &parts);
    if (!n)
        return fx_nothing();
    const bool vectors = fx_rank(parts[0]) < 2;
    for (uint32_t i = 0; i < n; i++) {
        if (how == 4 && fx_rank(parts[i]) < 2) {
            parts[i] = at_least(c->r, parts[i], 1);
            parts[i] = parts[i] ? fx_unsqueeze(c->r, parts[i], 1) : NULL;
        } else {
            parts[i] = at_least(c->r, parts[i], how == 4 ? 2 : how);
        }
    }
    return fx_join(c, parts, n, how == 1 && vectors ? 0 : how == 2 ? 0 : how == 3 ? 2 : 1);
}

/* Parts [n0], [n1] ... each as [n0, n1, ...], its own dim counting. */
static void mesh(fx_call *c, jc_value **parts, uint32_t n) {
    const jc_expr *dims[JC_MAX_RANK], *own[JC_MAX_RANK];
    if (n > JC_MAX_RANK)
        fx_refuse_arg(c, 0, "a tensor may have at most 8 dimensions");
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        if (fx_rank(parts[i]) > 1)
            fx_bad_arg(c, 0, "vectors");
        dims[i] = fx_rank(parts[i]) ? parts[i]->type.dims[0] : fx_one(c->r);
    }
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        for (uint32_t d = 0; d < n; d++)
            own[d] = d == i ? dims[d] : fx_one(c->r);
        parts[i] = expanded(c->r, fx_reshape(c->r, parts[i], own, n), dims, n);
    }
}

jc_arg fx_h_meshgrid(fx_call *c) {
    jc_value **parts;
    const uint32_t n = many(c, &parts);
    const bool xy = c->a[1].kind == JC_ARG_STR && strcmp(c->a[1].str, "xy") == 0;
    int order[JC_MAX_RANK];
    mesh(c, parts, n);
    for (uint32_t d = 0; d < n && n <= JC_MAX_RANK; d++)
        order[d] = xy && n > 1 && d < 2 ? (int)!d : (int)d;
    for (uint32_t i = 0; i < n && !c->r->status; i++)
        parts[i] = fx_permute(c->r, parts[i], order);
    return as_list(c, parts, n);
}

jc_arg fx_h_cartesian_prod(fx_call *c) {
    jc_value **parts;
    const uint32_t n = many(c, &parts);
    if (n == 1)
        return fx_v(parts[0]);
    mesh(c, parts, n);
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        jc_value *x = fx_flat(c->r, parts[i]);
        parts[i] = x ? fx_unsqueeze(c->r, x, 1) : NULL;
    }
    return n ? fx_join(c, parts, n, 1) : fx_nothing();
}

jc_arg fx_h_broadcast_tensors(fx_call *c) {
    jc_value **parts;
    const uint32_t n = many(c, &parts);
    const jc_expr *dims[JC_MAX_RANK];
    int rank = 0;
    for (uint32_t i = 0; i < n; i++)
        rank = fx_rank(parts[i]) > rank ? fx_rank(parts[i]) : rank;
    for (int d = 0; d < rank; d++) {
        dims[d] = fx_one(c->r);
        for (uint32_t i = 0; i < n; i++)
            if (d >= rank - fx_rank(parts[i]))
                dims[d] = wider(dims[d], parts[i]->type.dims[d - rank + fx_rank(parts[i])]);
    }
    for (uint32_t i = 0; i < n; i++)
        parts[i] = expanded(c->r, parts[i], dims, (uint32_t)rank);
    return as_list(c, parts, n);
}

jc_arg fx_h_tile(fx_call *c) {
    const jc_expr *times[JC_MAX_RANK];
    jc_arg all[JC_MAX_RANK];
    const jc_value *x = fx_tensor(c, 0);
    const uint32_t n = fx_exprs(c, 1, times, JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    const uint32_t rank = n < x->type.rank ? x->type.rank : n;
    for (uint32_t i = 0; i < rank; i++)
        all[i] = i < rank - n ? fx_i(c->r, 1) : fx_e(times[i - (rank - n)]);
    c->a[1] = fx_list(c->r, all, rank);
    return fx_h_repeat(c);
}

/* --- cutting --- */

/* Aux: 0: along argument 2; else the dim before AUX, of a vector the only one.  By a list: where parts begin; by a number: how many. */
jc_arg fx_h_tensor_split(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    jc_exprs *t = fx_x(c->r);
    int64_t n, whole;
    if (!x || !fx_rank(x)) {
        fx_bad_arg(c, 0, "a tensor of at least one dimension");
        return fx_nothing();
    }
    const int dim = !c->row->aux ? fx_dim(c, 2, fx_rank(x), 0) : c->row->aux == 2 && fx_rank(x) == 1 ? 0 : c->row->aux - 1;
    if (dim >= fx_rank(x))
        fx_bad_arg(c, 0, "of more dimensions");
    if (fx_is_tensor(c->a[1])) {
        fx_refuse_arg(c, 1, "sizes would follow from values");
        return fx_nothing();
    }
    const bool list = c->a[1].kind == JC_ARG_LIST;
    n = list ? (int64_t)c->a[1].list.n + 1 : fx_int(c, 1, 0);
    if (n < 1 || n > 4096)
        fx_bad_arg(c, 1, "a number of parts from 1 to 4096");
    if (c->r->status || !fx_may_part(c->r, (uint64_t)n, c->at))
        return fx_nothing();
    const jc_expr *start = zero(c->r);
    if (!list && !jc_ex_is_const(x->type.dims[dim], &whole)) {
        fx_refuse_arg(c, 0, "what is split into a number of parts has to have a constant size");
        return fx_nothing();
    }
    jc_value **parts = fx_take(c->r, sizeof *parts * (size_t)n);
    for (int64_t i = 0; i < n && !c->r->status; i++) {
        if (list) {
            const jc_arg *at = c->a[1].list.at;
            parts[i] = fx_python_slice(c->r, x, dim, i ? at[i - 1] : fx_nothing(), i + 1 < n ? at[i] : fx_nothing(), fx_nothing(), c->at);
            continue;
        }
        const jc_expr *size = jc_ex_int(t, whole / n + (i < whole % n));
        parts[i] = fx_slice(c->r, x, dim, start, size, 1);
        start = jc_ex_add(t, start, size);
    }
    return c->r->status ? fx_nothing() : as_list(c, parts, (uint32_t)n);
}

/* --- padding by the edges --- */

/* The first N elements of X along DIM, as MODE repeats them beyond its beginning. */
static jc_value *edge(fx_reader *r, jc_value *x, int dim, const jc_expr *n, char mode, bool after) {
    jc_exprs *t = fx_x(r);
    if (!x || r->status)
        return NULL;
    const jc_expr *size = x->type.dims[dim], *dims[JC_MAX_RANK];
    if (mode == 'r') /* reflect: what comes after the first one, backwards */
        return fx_flip(r, fx_slice(r, x, dim, after ? jc_ex_sub(t, jc_ex_sub(t, size, n), fx_one(r)) : fx_one(r), n, 1), dim);
    if (mode == 'c') /* circular: the other end */
        return fx_slice(r, x, dim, after ? zero(r) : jc_ex_sub(t, size, n), n, 1);
    memcpy(dims, x->type.dims, sizeof *dims * (size_t)fx_rank(x));
    dims[dim] = n;
    return expanded(r, fx_slice(r, x, dim, after ? jc_ex_sub(t, size, fx_one(r)) : zero(r), fx_one(r), 1), dims, x->type.rank);
}

static jc_value *padded(fx_call *c, jc_value *x, int dim, const jc_expr *before, const jc_expr *after, char mode) {
    jc_exprs *t = fx_x(c->r);
    jc_value *parts[3];
    uint32_t n = 0;
    if (!x || c->r->status)
        return NULL;
    const jc_expr *cut = jc_ex_max(t, zero(c->r), jc_ex_neg(t, before)), *cut_after = jc_ex_max(t, zero(c->r), jc_ex_neg(t, after));
    const jc_expr *first = jc_ex_max(t, zero(c->r), before), *last = jc_ex_max(t, zero(c->r), after);
    jc_value *middle = fx_slice(c->r, x, dim, cut, jc_ex_sub(t, x->type.dims[dim], jc_ex_add(t, cut, cut_after)), 1);
    if (mode == 'c') /* what is cut off does not come round again */
        x = middle;
    if (!jc_ex_is(first, 0))
        parts[n++] = edge(c->r, x, dim, first, mode, false);
    parts[n++] = middle;
    if (!jc_ex_is(last, 0))
        parts[n++] = edge(c->r, x, dim, last, mode, true);
    return c->r->status ? NULL : n == 1 ? parts[0] : fx_join(c, parts, n, dim).value;
}

jc_arg fx_pad_by(fx_call *c, const char *mode) {
    static const struct {
        const char *mode;
        char how;
    } modes[] = { { "reflect", 'r' }, { "replicate", 'e' }, { "circular", 'c' } };
    jc_value *x = fx_tensor(c, 0), *y = x;
    const jc_expr *at[2 * JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, 1, at, 2 * JC_MAX_RANK);
    char how = 0;
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        how = strcmp(modes[i].mode, mode) == 0 ? modes[i].how : how;
    if (!how)
        fx_bad_arg(c, 2, "'constant', 'reflect', 'replicate' or 'circular'");
    if (n % 2 || n / 2 > x->type.rank)
        fx_bad_arg(c, 1, "two numbers for each padded dimension");
    for (uint32_t k = 0; k < n && !c->r->status; k += 2)
        y = padded(c, y, fx_rank(x) - 1 - (int)(k / 2), at[k], at[k + 1], how);
    return fx_v(y == x ? clone(c->r, x) : y);
}

jc_arg fx_h_pad_reflect(fx_call *c) {
    return fx_pad_by(c, "reflect");
}

jc_arg fx_h_pad_replicate(fx_call *c) {
    return fx_pad_by(c, "replicate");
}
