/*
 * ir/fx/fx_build_make.c - spellings that make tensors, change their dtype, copy them, or take rows of them.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- the same values --- */

jc_arg fx_h_same(fx_call *c) {
    return fx_v(fx_tensor(c, 0));
}

jc_arg fx_h_ignore(fx_call *c) {
    (void)c;
    return fx_nothing();
}

jc_arg fx_h_clone(fx_call *c) {
    return fx_v(FX_OP(c->r, JC_OP_clone, fx_v(fx_tensor(c, 0))));
}

jc_arg fx_h_contiguous(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *y = FX_OP(c->r, JC_OP_contiguous, fx_v(x));
    if (y && y->def && y != x)
        fx_lay_copied(c->r, x, y->def);
    return fx_v(y);
}

/* --- dtypes --- */

jc_value *fx_cast(fx_reader *r, jc_value *x, jc_dtype dtype) {
    if (!x || r->status)
        return NULL;
    return x->type.dtype == dtype ? x : FX_OP(r, JC_OP_cast, fx_v(x), jc_arg_dtype(dtype));
}

jc_arg fx_h_cast_fixed(fx_call *c) {
    return fx_v(fx_cast(c->r, fx_tensor(c, 0), (jc_dtype)c->row->aux));
}

jc_arg fx_h_to_dtype(fx_call *c) {
    jc_arg dtype = fx_dtype_or(c, 1, fx_absent());
    if (dtype.kind != JC_ARG_DTYPE) {
        fx_bad_arg(c, 1, "a dtype");
        return fx_nothing();
    }
    return fx_v(fx_cast(c->r, fx_tensor(c, 0), dtype.dtype));
}

jc_arg fx_h_type_as(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *like = fx_tensor(c, 1);
    return like ? fx_v(fx_cast(c->r, x, (jc_dtype)like->type.dtype)) : fx_nothing();
}

/* x.to(dtype), x.to(device, dtype), x.to(other), with non_blocking and copy after them or as keywords. */
jc_arg fx_h_to(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    int dtype = x->type.dtype, flags = 0;
    bool copy = fx_bool(c, 3, false);
    for (uint32_t i = 0; c->a[1].kind == JC_ARG_LIST && i < c->a[1].list.n; i++) {
        const jc_arg a = c->a[1].list.at[i];
        if (a.kind == JC_ARG_DTYPE)
            dtype = a.dtype;
        else if (fx_is_tensor(a))
            dtype = a.value->type.dtype;
        else if (a.kind == JC_ARG_BOOL)
            copy |= flags++ == 1 && a.b;
        else if (a.kind != JC_ARG_DEVICE && a.kind != JC_ARG_STR && a.kind != JC_ARG_NONE)
            fx_bad_arg(c, 1, "a dtype, a device or a tensor");
    }
    if (fx_given(c, 2))
        dtype = fx_dtype_or(c, 2, fx_nothing()).dtype;
    if (fx_given(c, 4))
        dtype = fx_tensor(c, 4) ? c->a[4].value->type.dtype : dtype;
    if (c->r->status)
        return fx_nothing();
    jc_value *y = fx_cast(c->r, x, (jc_dtype)dtype);
    return fx_v(copy && y == x ? FX_OP(c->r, JC_OP_clone, fx_v(x)) : y);
}

jc_arg fx_h_to_copy(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg dtype = fx_dtype_or(c, 1, jc_arg_dtype((jc_dtype)x->type.dtype));
    jc_value *y = fx_cast(c->r, x, dtype.dtype);
    return fx_v(y == x ? FX_OP(c->r, JC_OP_clone, fx_v(x)) : y);
}

/* --- writes --- */

jc_arg fx_h_copy_(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    jc_arg value = fx_operand(c, 1);
    return x ? fx_write(c->r, x, value) : fx_nothing();
}

jc_arg fx_h_zero_(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    return x ? fx_write(c->r, x, fx_i(c->r, 0)) : fx_nothing();
}

/* aten.copy: the values of src in the shape and dtype of self. */
jc_arg fx_h_copy(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *src = fx_tensor(c, 1);
    if (!x || !src)
        return fx_nothing();
    jc_value *fresh = FX_OP(c->r, JC_OP_empty, fx_dims(c->r, x->type.dims, x->type.rank),
                            jc_arg_dtype((jc_dtype)x->type.dtype));
    return fresh ? fx_write(c->r, fresh, fx_v(src)) : fx_nothing();
}

/* --- fresh tensors --- */

/* The size in argument I, as an operator's argument. */
static jc_arg size_of(fx_call *c, int i) {
    const jc_expr *dims[JC_MAX_RANK];
    if (c->a[i].kind == FX_ABSENT)
        fx_bad_arg(c, i, "a size");
    const uint32_t n = fx_exprs(c, i, dims, JC_MAX_RANK);
    if (n == UINT32_MAX)
        return fx_nothing();
    for (uint32_t k = 0; k < n; k++) {
        int64_t d;
        if (jc_ex_is_const(dims[k], &d) && d < 0)
            fx_bad_arg(c, i, "a list of sizes, none negative");
    }
    return fx_dims(c->r, dims, n);
}

static jc_arg like_size(fx_call *c, const jc_value *x) {
    return fx_dims(c->r, x->type.dims, x->type.rank);
}

static jc_arg make_full(fx_call *c, jc_arg size, jc_arg value, jc_arg dtype) {
    if (fx_has_scalar(&value, 1) && !c->r->status && dtype.kind == JC_ARG_DTYPE)
        return fx_v(fx_full_of(c->r, size, value, dtype.dtype));
    return fx_v(FX_OP(c->r, JC_OP_full, size, value, dtype));
}

static jc_arg f32(void) {
    return jc_arg_dtype(JC_F32);
}

jc_arg fx_h_empty(fx_call *c) {
    jc_arg size = size_of(c, 0), dtype = fx_dtype_or(c, 1, f32());
    return fx_v(FX_OP(c->r, JC_OP_empty, size, dtype));
}

jc_arg fx_h_empty_like(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg dtype = fx_dtype_or(c, 1, jc_arg_dtype((jc_dtype)x->type.dtype));
    return fx_v(FX_OP(c->r, JC_OP_empty, like_size(c, x), dtype));
}

jc_arg fx_h_new_empty(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg size = size_of(c, 1), dtype = fx_dtype_or(c, 2, jc_arg_dtype((jc_dtype)x->type.dtype));
    return fx_v(FX_OP(c->r, JC_OP_empty, size, dtype));
}

/* A buffer with strides in argument I + 1, without gaps. */
static jc_arg strided(fx_call *c, int i, jc_arg dtype) {
    const jc_expr *dims[JC_MAX_RANK], *strides[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, i, dims, JC_MAX_RANK), m = fx_exprs(c, i + 1, strides, JC_MAX_RANK);
    if (n == UINT32_MAX || m == UINT32_MAX)
        return fx_nothing();
    jc_value *y = FX_OP(c->r, JC_OP_empty, fx_dims(c->r, dims, n), dtype);
    if (y && (n != m || !fx_lay_dense(c->r, y, strides))) {
        fx_refuse_arg(c, i + 1, "only buffers without gaps can be made");
        return fx_nothing();
    }
    return fx_v(y);
}

jc_arg fx_h_empty_strided(fx_call *c) {
    return strided(c, 0, fx_dtype_or(c, 2, f32()));
}

jc_arg fx_h_new_empty_strided(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    return x ? strided(c, 1, fx_dtype_or(c, 3, jc_arg_dtype((jc_dtype)x->type.dtype))) : fx_nothing();
}

/* The dims from the slowest in memory on are the second argument. */
jc_arg fx_h_empty_permuted(fx_call *c) {
    jc_arg size = size_of(c, 0), dtype = fx_dtype_or(c, 2, f32());
    const jc_expr *at[JC_MAX_RANK], *strides[JC_MAX_RANK], *step = jc_ex_int(fx_x(c->r), 1);
    const uint32_t n = fx_exprs(c, 1, at, JC_MAX_RANK);
    jc_value *y = FX_OP(c->r, JC_OP_empty, size, dtype);
    unsigned seen = 0;
    if (!y || n == UINT32_MAX)
        return fx_nothing();
    for (uint32_t k = n; k-- > 0 && n == y->type.rank;) {
        int64_t d = -1;
        if (!jc_ex_is_const(at[k], &d) || d < 0 || d >= n)
            break;
        strides[d] = step;
        step = jc_ex_mul(fx_x(c->r), step, y->type.dims[d]);
        seen |= 1u << d;
    }
    if (n != y->type.rank || seen != (1u << n) - 1)
        fx_bad_arg(c, 1, "each dimension once");
    else
        fx_lay_dense(c->r, y, strides);
    return fx_v(y);
}

/* zeros and ones: aux is the value. */
jc_arg fx_h_filled(fx_call *c) {
    jc_arg size = size_of(c, 0), dtype = fx_dtype_or(c, 1, f32());
    return make_full(c, size, fx_i(c->r, c->row->aux), dtype);
}

jc_arg fx_h_filled_like(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg dtype = fx_dtype_or(c, 1, jc_arg_dtype((jc_dtype)x->type.dtype));
    return make_full(c, like_size(c, x), fx_i(c->r, c->row->aux), dtype);
}

jc_arg fx_h_new_filled(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg size = size_of(c, 1), dtype = fx_dtype_or(c, 2, jc_arg_dtype((jc_dtype)x->type.dtype));
    return make_full(c, size, fx_i(c->r, c->row->aux), dtype);
}

/* The dtype PyTorch gives a number. */
static jc_arg natural(jc_arg number) {
    return jc_arg_dtype(number.kind == JC_ARG_FLOAT || number.kind == FX_SYMFLOAT ? JC_F32 : number.kind == JC_ARG_BOOL ? JC_B8 : JC_I64);
}

jc_arg fx_h_full(fx_call *c) {
    jc_arg size = size_of(c, 0), value = fx_number(c, 1), dtype = fx_dtype_or(c, 2, natural(value));
    return make_full(c, size, value, dtype);
}

/* aten.fill(self, value): the functional form of fill_. */
jc_arg fx_h_fill(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const jc_arg dtype = jc_arg_dtype((jc_dtype)x->type.dtype);
    if (!fx_is_tensor(c->a[1]))
        return make_full(c, like_size(c, x), fx_number(c, 1), dtype);
    jc_value *v = FX_OP(c->r, JC_OP_expand, fx_v(fx_cast(c->r, fx_reshape(c->r, c->a[1].value, NULL, 0), dtype.dtype)), like_size(c, x));
    return fx_v(v ? FX_OP(c->r, JC_OP_clone, fx_v(v)) : NULL);
}

jc_arg fx_h_full_like(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg value = fx_number(c, 1), dtype = fx_dtype_or(c, 2, jc_arg_dtype((jc_dtype)x->type.dtype));
    return make_full(c, like_size(c, x), value, dtype);
}

jc_arg fx_h_new_full(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_arg size = size_of(c, 1), value = fx_number(c, 2);
    return make_full(c, size, value, fx_dtype_or(c, 3, jc_arg_dtype((jc_dtype)x->type.dtype)));
}

/* Of the default dtype, whatever the number's kind. */
jc_arg fx_h_scalar_tensor(fx_call *c) {
    jc_arg value = fx_number(c, 0), dtype = fx_dtype_or(c, 1, jc_arg_dtype(JC_F32));
    return make_full(c, fx_dims(c->r, NULL, 0), value, dtype);
}

/* arange(end), arange(start, end[, step]) */
jc_arg fx_h_arange(fx_call *c) {
    jc_exprs *t = fx_x(c->r);
    jc_arg start = c->a[0], end = c->a[1];
    if (!fx_given(c, 1)) {
        end = start;
        start = fx_i(c->r, 0);
    } else if (!fx_given(c, 0)) {
        start = fx_i(c->r, 0);
    }
    jc_arg step = fx_given(c, 2) ? c->a[2] : fx_i(c->r, 1);
    if (!fx_is_number(start) || !fx_is_number(end) || !fx_is_number(step)) {
        fx_bad_arg(c, 0, "a number, as must `end` and `step`");
        return fx_nothing();
    }
    const bool whole = start.kind == JC_ARG_EXPR && end.kind == JC_ARG_EXPR && step.kind == JC_ARG_EXPR;
    jc_arg dtype = fx_dtype_or(c, 3, jc_arg_dtype(whole ? JC_I64 : JC_F32));
    const jc_expr *length;
    if (whole) {
        if (jc_ex_is(step.expr, 0)) {
            fx_bad_arg(c, 2, "a number other than 0");
            return fx_nothing();
        }
        length = jc_ex_cdiv(t, jc_ex_sub(t, end.expr, start.expr), step.expr);
        if (jc_ex_le(t, jc_ex_int(t, 0), length) == JC_NO)
            length = jc_ex_int(t, 0);
    } else {
        fx_call copy = *c;
        copy.a[0] = start;
        copy.a[1] = end;
        copy.a[2] = step;
        const double n = ceil((fx_float(&copy, 1, 0) - fx_float(&copy, 0, 0)) / fx_float(&copy, 2, 1));
        if (c->r->status)
            return fx_nothing();
        if (!(n < 0x1p53)) {
            fx_bad_arg(c, 2, "a step that leads to the end");
            return fx_nothing();
        }
        length = jc_ex_int(t, n > 0 ? (int64_t)n : 0);
    }
    return fx_v(FX_OP(c->r, JC_OP_arange, start, step, fx_e(length), dtype));
}

jc_value *fx_counted(fx_reader *r, const jc_expr *n) {
    return FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_e(n), jc_arg_dtype(JC_I64));
}

jc_value *fx_band(fx_reader *r, const jc_expr *const *dims, jc_op op, const jc_expr *k) {
    jc_value *row = fx_unsqueeze(r, fx_counted(r, dims[0]), 1), *column = fx_counted(r, dims[1]);
    return FX_OP(r, op, fx_v(FX_OP(r, JC_OP_sub, fx_v(column), fx_v(row))), fx_e(k));
}

/* --- padding --- */

/* X without the elements that negative padding takes off both ends of dim D; leaves what is added in BEFORE and AFTER. */
static jc_value *cropped(fx_call *c, jc_value *x, int d, const jc_expr **before, const jc_expr **after) {
    jc_exprs *t = fx_x(c->r);
    const jc_expr *zero = jc_ex_int(t, 0);
    const jc_expr *first = jc_ex_max(t, zero, jc_ex_neg(t, *before)), *last = jc_ex_max(t, zero, jc_ex_neg(t, *after));
    if (!x || (jc_ex_is(first, 0) && jc_ex_is(last, 0)))
        return x;
    *before = jc_ex_max(t, zero, *before);
    *after = jc_ex_max(t, zero, *after);
    return fx_slice(c->r, x, d, first, jc_ex_sub(t, x->type.dims[d], jc_ex_add(t, first, last)), 1);
}

static jc_arg padded(fx_call *c, int i, jc_arg value) {
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *at[2 * JC_MAX_RANK], *before[JC_MAX_RANK], *after[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, i, at, 2 * JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    if (n % 2 || n / 2 > x->type.rank) {
        fx_bad_arg(c, i, "two numbers for each padded dimension");
        return fx_nothing();
    }
    for (int d = 0; x && d < fx_rank(x); d++) {
        const uint32_t k = 2 * (uint32_t)(fx_rank(x) - 1 - d); /* the last dimension comes first */
        before[d] = k < n ? at[k] : jc_ex_int(fx_x(c->r), 0);
        after[d] = k < n ? at[k + 1] : jc_ex_int(fx_x(c->r), 0);
        x = cropped(c, x, d, &before[d], &after[d]);
    }
    if (!x)
        return fx_nothing();
    return fx_v(FX_OP(c->r, JC_OP_pad, fx_v(x), fx_dims(c->r, before, x->type.rank),
                      fx_dims(c->r, after, x->type.rank), value));
}

jc_arg fx_h_pad(fx_call *c) {
    if (fx_given(c, 2) && !(c->a[2].kind == JC_ARG_STR && strcmp(c->a[2].str, "constant") == 0))
        return fx_pad_by(c, c->a[2].kind == JC_ARG_STR ? c->a[2].str : "");
    return padded(c, 1, fx_number_or(c, 3, fx_i(c->r, 0)));
}

jc_arg fx_h_pad_constant(fx_call *c) {
    return padded(c, 1, fx_number_or(c, 2, fx_i(c->r, 0)));
}

/* --- rows of a table --- */

static jc_arg take(fx_call *c, jc_value *table, int dim, jc_value *index, bool wrap) {
    if (!table || !index)
        return fx_nothing();
    return fx_v(FX_OP(c->r, JC_OP_take, fx_v(table), fx_i(c->r, dim), fx_v(index), jc_arg_bool(wrap)));
}

jc_arg fx_h_index_select(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *index = fx_tensor(c, 2);
    if (!x || !index)
        return fx_nothing();
    if (fx_rank(index) > 1) {
        fx_bad_arg(c, 2, "a vector of indices");
        return fx_nothing();
    }
    if (!fx_rank(x)) /* a number is a row of one, of which there is one element to take */
        return take(c, fx_flat(c->r, x), 0, fx_reshape(c->r, index, NULL, 0), false);
    if (!fx_rank(index)) { /* a scalar counts as a vector of one */
        const jc_expr *one = jc_ex_int(fx_x(c->r), 1);
        index = fx_reshape(c->r, index, &one, 1);
    }
    return take(c, x, fx_dim(c, 1, fx_rank(x), 0), index, false);
}

/* Aux 1: F.embedding(input, weight, ...), else the operator's own order. */
jc_arg fx_h_embedding(fx_call *c) {
    if (c->row->aux && fx_given(c, 3))
        fx_refuse_arg(c, 3, "it would renormalise the table in place");
    return take(c, fx_tensor(c, c->row->aux), 0, fx_tensor(c, !c->row->aux), false);
}

/* aten.index(x, [None, index]).  Here a tensor without dims is an index like others, which have its dims in common with it. */
jc_arg fx_h_index(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (c->a[1].kind != JC_ARG_LIST) {
        fx_bad_arg(c, 1, "a list of indices");
        return fx_nothing();
    }
    jc_arg parts = fx_list(c->r, c->a[1].list.at, c->a[1].list.n);
    bool ranked = false;
    for (uint32_t i = 0; i < parts.list.n; i++)
        ranked |= fx_is_tensor(parts.list.at[i]) && fx_rank(parts.list.at[i].value);
    for (uint32_t i = 0; i < parts.list.n; i++)
        if (ranked && fx_is_tensor(parts.list.at[i]) && !fx_rank(parts.list.at[i].value))
            parts.list.at[i] = fx_v(fx_unsqueeze(c->r, parts.list.at[i].value, 0));
    for (uint32_t i = 0; i < parts.list.n; i++)
        if (parts.list.at[i].kind == JC_ARG_NONE) { /* all of this dimension */
            parts.list.at[i] = fx_list(c->r, (jc_arg[]){ fx_nothing(), fx_nothing(), fx_nothing() }, 3);
            parts.list.at[i].kind = FX_SLICE;
        }
    return fx_index_copy(c->r, x, parts, c->at);
}
