/*
 * ir/fx/fx_build_copy.c - spellings that copy: what NAME_copy makes of NAME, a copy that a part is written of, parts of several tensors
 * beside each other, and reading and adding by indices that a mask takes the edge off.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- NAME_copy --- */

static const struct {
    const char *name;
    fx_handler *view;
} views[] = {
    { "alias_copy", fx_h_same },       { "as_strided_copy", fx_h_as_strided }, { "detach_copy", fx_h_same },
    { "expand_copy", fx_h_expand },    { "lift_fresh_copy", fx_h_same },       { "permute_copy", fx_h_permute },
    { "select_copy", fx_h_select },    { "slice_copy", fx_h_slice },           { "split_copy", fx_h_split },
    { "split_with_sizes_copy", fx_h_split }, { "squeeze_copy", fx_h_squeeze }, { "t_copy", fx_h_t },
    { "transpose_copy", fx_h_transpose }, { "unbind_copy", fx_h_unbind },      { "unfold_copy", fx_h_unfold },
    { "unsqueeze_copy", fx_h_unsqueeze }, { "view_copy", fx_h_view },
};

/* Each tensor of A, which may be a list, copied. */
static jc_arg copied(fx_reader *r, jc_arg a) {
    for (uint32_t i = 0; a.kind == JC_ARG_LIST && i < a.list.n; i++)
        a.list.at[i] = copied(r, a.list.at[i]);
    return fx_is_tensor(a) && !r->status ? fx_v(FX_OP(r, JC_OP_clone, a)) : a;
}

jc_arg fx_h_view_copy(fx_call *c) {
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (strcmp(views[i].name, c->row->name) == 0)
            return copied(c->r, views[i].view(c));
    return fx_nothing();
}

/* --- a part of a copy, written --- */

/* as_strided_scatter(self, src, size, stride, storage_offset) */
jc_arg fx_h_as_strided_scatter(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *sizes[JC_MAX_RANK], *strides[JC_MAX_RANK];
    jc_value *x = fx_tensor(c, 0), *src = fx_tensor(c, 1);
    const uint32_t n = fx_exprs(c, 2, sizes, JC_MAX_RANK - 1), m = fx_exprs(c, 3, strides, JC_MAX_RANK - 1);
    if (!x || !src || n == UINT32_MAX || m == UINT32_MAX)
        return fx_nothing();
    if (n != m)
        fx_bad_arg(c, 3, "one number for each size");
    if (x->type.strides || x->base)
        fx_refuse_arg(c, 0, "only a contiguous tensor that is no view is");
    const jc_expr *offset = fx_given(c, 4) ? fx_expr(c, 4) : jc_ex_int(fx_x(r), 0);
    jc_value *y = r->status ? NULL : FX_OP(r, JC_OP_clone, fx_v(x));
    jc_value *part = y ? fx_strided(r, y, sizes, strides, n, offset) : NULL;
    if (part && !r->status && jc_storage(part) != jc_storage(y))
        fx_refuse_arg(c, 3, "strides that are no windows of windows cannot be written through");
    if (part)
        fx_write(r, part, fx_v(src));
    return r->status ? fx_nothing() : fx_v(y);
}

/* --- parts of several tensors --- */

/* X with dim DIM as [chunks, what is left], padded by 0. */
static jc_value *chunked(fx_call *c, jc_value *x, int dim, const jc_expr *chunks) {
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    const jc_expr *none[JC_MAX_RANK], *after[JC_MAX_RANK], *dims[JC_MAX_RANK];
    uint32_t n = 0;
    if (!x || r->status)
        return NULL;
    const jc_expr *size = x->type.dims[dim], *whole = jc_ex_mul(t, jc_ex_cdiv(t, size, chunks), chunks);
    for (int d = 0; d < fx_rank(x); d++) {
        none[d] = jc_ex_int(t, 0);
        after[d] = d == dim ? jc_ex_sub(t, whole, size) : none[d];
    }
    if (!jc_ex_is(after[dim], 0))
        x = FX_OP(r, JC_OP_pad, fx_v(x), fx_dims(r, none, x->type.rank), fx_dims(r, after, x->type.rank), fx_i(r, 0));
    if (!x)
        return NULL;
    for (int d = 0; d < dim; d++)
        dims[n++] = x->type.dims[d];
    dims[n++] = chunks;
    dims[n++] = jc_ex_fdiv(t, jc_ex_product(t, x->type.dims + dim, (uint32_t)(fx_rank(x) - dim)), chunks);
    return fx_reshape(r, x, dims, n);
}

/* _chunk_cat(tensors, dim, num_chunks) */
jc_arg fx_h_chunk_cat(fx_call *c) {
    jc_value **parts;
    const uint32_t n = fx_tensors(c, 0, &parts);
    const int64_t chunks = fx_int(c, 2, 0);
    if (!n)
        return fx_nothing();
    if (chunks < 1)
        fx_bad_arg(c, 2, "a number of parts from 1 up");
    const int dim = fx_dim(c, 1, fx_rank(parts[0]), 0);
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        if (fx_rank(parts[i]) <= dim) {
            fx_bad_arg(c, 0, "tensors that have the dimension");
            return fx_nothing();
        }
        parts[i] = chunked(c, parts[i], dim, jc_ex_int(fx_x(c->r), chunks));
    }
    return c->r->status ? fx_nothing() : fx_join(c, parts, n, dim + 1);
}

/* --- by indices that may lie outside where a mask is false --- */

/* The indices in argument 2 as the nearest that X has; what stands for all of a dim, as a slice. */
static jc_arg near_indices(fx_call *c, const jc_value *x) {
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    if (c->a[2].kind != JC_ARG_LIST || c->a[2].list.n > x->type.rank) {
        fx_bad_arg(c, 2, "a list of indices, not more than there are dimensions");
        return fx_nothing();
    }
    jc_arg parts = fx_list(r, c->a[2].list.at, c->a[2].list.n);
    for (uint32_t i = 0; i < parts.list.n && !r->status; i++) {
        const jc_expr *size = x->type.dims[i];
        if (fx_is_tensor(parts.list.at[i])) {
            parts.list.at[i] = fx_v(FX_OP(r, JC_OP_clamp, parts.list.at[i], fx_e(jc_ex_neg(t, size)), fx_e(jc_ex_sub(t, size, fx_one(r)))));
        } else {
            parts.list.at[i] = fx_list(r, (jc_arg[]){ fx_nothing(), fx_nothing(), fx_nothing() }, 3);
            parts.list.at[i].kind = FX_SLICE;
        }
    }
    return parts;
}

/* _unsafe_masked_index(self, mask, indices, fill) */
jc_arg fx_h_masked_index(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *mask = fx_tensor(c, 1);
    const jc_arg fill = fx_number(c, 3);
    if (!x || !mask || c->r->status)
        return fx_nothing();
    const jc_arg parts = near_indices(c, x), y = c->r->status ? fx_nothing() : fx_index_copy(c->r, x, parts, c->at);
    return fx_is_tensor(y) ? fx_v(fx_cast(c->r, FX_OP(c->r, JC_OP_where, fx_v(mask), y, fill), (jc_dtype)x->type.dtype)) : fx_nothing();
}

/* _unsafe_masked_index_put_accumulate(self, mask, indices, values) */
jc_arg fx_h_masked_index_add(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *mask = fx_tensor(c, 1), *values = fx_tensor(c, 3);
    if (!x || !mask || !values)
        return fx_nothing();
    const jc_arg parts = near_indices(c, x), added = fx_v(FX_OP(c->r, JC_OP_where, fx_v(mask), fx_v(values), fx_i(c->r, 0)));
    jc_value *y = FX_OP(c->r, JC_OP_clone, fx_v(x));
    return y && !c->r->status ? fx_v(fx_put(c->r, y, parts.list.at, parts.list.n, added, true, c->at)) : fx_nothing();
}
