/*
 * ir/fx/fx_build_order.c - spellings that have to do with order: scans, differences, sorts, the best along a dim, looking up.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* OP along a dim; a number is a row of one.  Two results where OP has two. */
static jc_arg scanned(fx_call *c, jc_value *x) {
    fx_reader *r = c->r;
    const jc_expr *one = jc_ex_int(fx_x(r), 1);
    if (!x || r->status)
        return fx_nothing();
    const bool number = !fx_rank(x);
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    if (number)
        x = fx_reshape(r, x, &one, 1);
    jc_value *y = FX_OP(r, (jc_op)c->row->op, fx_v(x), fx_i(r, dim)), *all[2] = { y, NULL };
    if (!y)
        return fx_nothing();
    if (y->def->nresults == 2)
        all[1] = y->def->results[1];
    for (int i = 0; i < 2; i++)
        if (all[i] && number)
            all[i] = fx_reshape(r, all[i], NULL, 0);
    return all[1] ? fx_list(r, (jc_arg[]){ fx_v(all[0]), fx_v(all[1]) }, 2) : fx_v(all[0]);
}

/* cumsum(self, dim, dtype): integers and bools add up in i64. */
jc_arg fx_h_cumulate(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const jc_dtype own = fx_class_of(x) == 'f' ? (jc_dtype)x->type.dtype : JC_I64;
    const jc_arg dtype = fx_dtype_or(c, 2, jc_arg_dtype(own));
    return scanned(c, c->r->status ? NULL : fx_cast(c->r, x, dtype.dtype));
}

jc_arg fx_h_scan(fx_call *c) {
    return scanned(c, fx_tensor(c, 0));
}

/* diff(self, n, dim, prepend, append): differences of neighbours, of bools whether they differ. */
jc_arg fx_h_diff(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_dim(c, 2, fx_rank(x), fx_rank(x) - 1);
    const int64_t times = fx_int(c, 1, 1);
    jc_arg parts[3];
    uint32_t n = 0;
    if (fx_given(c, 3))
        parts[n++] = fx_v(fx_tensor(c, 3));
    parts[n++] = fx_v(x);
    if (fx_given(c, 4))
        parts[n++] = fx_v(fx_tensor(c, 4));
    if (n > 1 && !r->status)
        x = FX_OP(r, JC_OP_cat, jc_arg_list(r->graph, parts, n), fx_i(r, dim));
    if (times < 0 || times > 64)
        fx_bad_arg(c, 1, "a number of times from 0 to 64");
    for (int64_t i = 0; i < times && x && !r->status; i++) {
        const jc_expr *one = jc_ex_int(fx_x(r), 1), *zero = jc_ex_int(fx_x(r), 0), *left = jc_ex_sub(fx_x(r), x->type.dims[dim], one);
        left = jc_ex_le(fx_x(r), zero, left) == JC_YES ? left : jc_ex_max(fx_x(r), zero, left);
        if (jc_ex_is(left, 0)) /* nothing is left, whatever there was */
            return fx_v(fx_slice(r, x, dim, zero, zero, 1));
        jc_value *after = fx_slice(r, x, dim, one, left, 1), *before = fx_slice(r, x, dim, zero, left, 1);
        x = FX_OP(r, x->type.dtype == JC_B8 ? JC_OP_ne : JC_OP_sub, fx_v(after), fx_v(before));
    }
    return fx_v(x);
}

/* --- the best along a dim --- */

/* Y, one element of a tensor of RANK dims, with as many dims of 1. */
static jc_value *as_kept(fx_reader *r, jc_value *y, int rank) {
    const jc_expr *dims[JC_MAX_RANK];
    for (int d = 0; d < rank; d++)
        dims[d] = jc_ex_int(fx_x(r), 1);
    return fx_reshape(r, y, dims, (uint32_t)rank);
}

jc_value *fx_arg_extreme(fx_reader *r, jc_op op, jc_value *x, int dim, bool keep) {
    if (!x || r->status)
        return NULL;
    if (!fx_rank(x)) /* of a number it is 0 */
        return FX_OP(r, op, fx_v(fx_flat(r, x)), fx_i(r, 0), jc_arg_bool(false));
    return FX_OP(r, op, fx_v(x), fx_i(r, dim), jc_arg_bool(keep));
}

/* argmax(self, dim, keepdim): of all elements without a dim */
jc_arg fx_h_arg_extreme(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const bool keep = fx_bool(c, 2, false);
    if (fx_given(c, 1))
        return fx_v(fx_arg_extreme(r, (jc_op)c->row->op, x, fx_dim(c, 1, fx_rank(x), 0), keep));
    jc_value *y = fx_arg_extreme(r, (jc_op)c->row->op, fx_flat(r, x), 0, false);
    return fx_v(keep && y ? as_kept(r, y, fx_rank(x)) : y);
}

/* --- sorts: along the last dim, others turned there and back --- */

typedef struct turned {
    jc_value *x; /* the dim last; one at least */
    int dim, rank;
} turned;

static jc_value *swapped(fx_reader *r, jc_value *x, int dim) {
    int order[JC_MAX_RANK];
    if (!x || r->status || dim == fx_rank(x) - 1)
        return x;
    for (int d = 0; d < fx_rank(x); d++)
        order[d] = d;
    order[dim] = fx_rank(x) - 1;
    order[fx_rank(x) - 1] = dim;
    return fx_permute(r, x, order);
}

static turned turn(fx_reader *r, jc_value *x, int dim) {
    const turned t = { x && !fx_rank(x) ? fx_flat(r, x) : swapped(r, x, dim), dim, x ? fx_rank(x) : 0 };
    return t;
}

static jc_value *turn_back(fx_reader *r, const turned *t, jc_value *y) {
    if (!y || r->status)
        return NULL;
    if (!t->rank)
        return fx_reshape(r, y, NULL, 0);
    jc_value *z = swapped(r, y, t->dim);
    return z && z != y ? FX_OP(r, JC_OP_contiguous, fx_v(z)) : z;
}

/* Values and places, of a node with two results. */
static jc_arg pair(fx_reader *r, const turned *t, jc_value *y) {
    if (!y || r->status)
        return fx_nothing();
    jc_value *places = y->def->results[1];
    return fx_list(r, (jc_arg[]){ fx_v(turn_back(r, t, y)), fx_v(turn_back(r, t, places)) }, 2);
}

static jc_value *sorted(fx_reader *r, const turned *t, bool descending) {
    return t->x && !r->status ? FX_OP(r, JC_OP_sort, fx_v(t->x), jc_arg_bool(descending)) : NULL;
}

/* sort(self, dim, descending, stable): stable always */
jc_arg fx_h_sort(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const turned t = turn(c->r, x, fx_dim(c, 1, fx_rank(x), fx_rank(x) ? fx_rank(x) - 1 : 0));
    return pair(c->r, &t, sorted(c->r, &t, fx_bool(c, 2, false)));
}

jc_arg fx_h_argsort(fx_call *c) {
    jc_arg both = fx_h_sort(c);
    return both.kind == JC_ARG_LIST ? both.list.at[1] : fx_nothing();
}

jc_arg fx_h_msort(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const turned t = turn(c->r, x, 0);
    return fx_v(turn_back(c->r, &t, sorted(c->r, &t, false)));
}

/* topk(self, k, dim, largest, sorted): sorted always, of equal ones the first first */
jc_arg fx_h_topk(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *k = fx_expr(c, 1);
    if (!x || !k || c->r->status)
        return fx_nothing();
    const turned t = turn(c->r, x, fx_dim(c, 2, fx_rank(x), fx_rank(x) ? fx_rank(x) - 1 : 0));
    return t.x ? pair(c->r, &t, FX_OP(c->r, JC_OP_topk, fx_v(t.x), fx_e(k), jc_arg_bool(fx_bool(c, 3, true)))) : fx_nothing();
}

/* Element AT of each row of Y; KEEP: as a dim of 1. */
static jc_value *picked(fx_reader *r, const turned *t, jc_value *y, const jc_expr *at, bool keep) {
    if (!y || r->status)
        return NULL;
    y = fx_slice(r, y, fx_rank(y) - 1, at, jc_ex_int(fx_x(r), 1), 1);
    y = y && t->rank ? swapped(r, y, t->dim) : y;
    if (y && !t->rank)
        y = fx_reshape(r, y, NULL, 0);
    else if (y && !keep)
        y = fx_squeeze(r, y, t->dim);
    return y ? FX_OP(r, JC_OP_clone, fx_v(y)) : NULL;
}

/* kthvalue(self, k, dim, keepdim) */
jc_arg fx_h_kthvalue(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *k = fx_expr(c, 1);
    if (!x || !k || r->status)
        return fx_nothing();
    const turned t = turn(r, x, fx_dim(c, 2, fx_rank(x), fx_rank(x) ? fx_rank(x) - 1 : 0));
    jc_value *y = sorted(r, &t, false);
    const bool keep = fx_bool(c, 3, false);
    if (!y)
        return fx_nothing();
    const jc_expr *at = fx_place(r, jc_ex_sub(fx_x(r), k, jc_ex_int(fx_x(r), 1)), t.x->type.dims[fx_rank(t.x) - 1], c->at);
    jc_value *places = y->def->results[1];
    return fx_list(r, (jc_arg[]){ fx_v(picked(r, &t, y, at, keep)), fx_v(picked(r, &t, places, at, keep)) }, 2);
}

/* median(self, dim, keepdim): the lower one of two; NaN where there is one, and where the first of them is */
jc_arg fx_h_median(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const bool whole = !fx_given(c, 1), keep = fx_bool(c, 2, false);
    if (whole)
        x = fx_flat(r, x);
    const turned t = turn(r, x, whole || !x ? 0 : fx_dim(c, 1, fx_rank(x), 0));
    jc_value *y = sorted(r, &t, false);
    if (!y)
        return fx_nothing();
    jc_exprs *e = fx_x(r);
    const jc_expr *n = t.x->type.dims[fx_rank(t.x) - 1], *middle = jc_ex_fdiv(e, jc_ex_sub(e, n, jc_ex_int(e, 1)), jc_ex_int(e, 2));
    jc_value *both[2] = { picked(r, &t, y, middle, keep), picked(r, &t, y->def->results[1], middle, keep) };
    if (fx_class_of(t.x) == 'f') {
        jc_value *last = picked(r, &t, y, jc_ex_sub(e, n, jc_ex_int(e, 1)), keep);
        jc_value *first = fx_arg_extreme(r, JC_OP_argmax, t.rank ? x : t.x, t.rank ? t.dim : 0, t.rank && keep);
        jc_value *is_nan = FX_OP(r, JC_OP_ne, fx_v(last), fx_v(last));
        both[0] = FX_OP(r, JC_OP_where, fx_v(is_nan), fx_v(last), fx_v(both[0]));
        both[1] = FX_OP(r, JC_OP_where, fx_v(is_nan), fx_v(first), fx_v(both[1]));
    }
    return whole ? fx_v(both[0]) : fx_list(r, (jc_arg[]){ fx_v(both[0]), fx_v(both[1]) }, 2);
}

/* --- looking up --- */

/* Of the sorted rows SEQUENCE, how many elements go before each of VALUES: those below it, and with RIGHT those equal. */
static jc_value *count_below(fx_reader *r, jc_value *sequence, jc_arg values, bool right) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!sequence || r->status)
        return NULL;
    if (fx_is_tensor(values)) {
        jc_value *v = values.value;
        if (fx_rank(v) + 1 > JC_MAX_RANK || (fx_rank(sequence) != 1 && fx_rank(sequence) != fx_rank(v))) {
            fx_fail(r, JITC_E_INPUT, r->stmt->at, "A sorted sequence of %d dimensions cannot be searched for %d.", fx_rank(sequence), fx_rank(v));
            return NULL;
        }
        for (int d = 0; d < fx_rank(v); d++)
            dims[d] = v->type.dims[d];
        dims[fx_rank(v)] = jc_ex_int(fx_x(r), 1);
        values = fx_v(fx_reshape(r, v, dims, v->type.rank + 1u));
    }
    if (fx_rank(sequence) > 1) { /* [..., n] beside [..., m, 1] */
        const int rank = fx_rank(sequence);
        for (int d = 0; d < rank - 1; d++)
            dims[d] = sequence->type.dims[d];
        dims[rank - 1] = jc_ex_int(fx_x(r), 1);
        dims[rank] = sequence->type.dims[rank - 1];
        sequence = fx_reshape(r, sequence, dims, (uint32_t)rank + 1);
    }
    /* What NaN is compared with is not at least as large. */
    jc_value *after = FX_OP(r, right ? JC_OP_gt : JC_OP_ge, fx_v(sequence), values);
    jc_value *before = FX_OP(r, JC_OP_bitwise_not, fx_v(after));
    if (!before)
        return NULL;
    const jc_arg last = fx_i(r, fx_rank(before) - 1);
    return FX_OP(r, JC_OP_sum, fx_v(before), jc_arg_list(r->graph, &last, 1), jc_arg_bool(false), jc_arg_dtype(JC_I64));
}

static jc_arg as_index(fx_call *c, jc_value *y, bool narrow) {
    return fx_v(y && narrow ? fx_cast(c->r, y, JC_I32) : y);
}

/* searchsorted(sorted_sequence, self, out_int32, right, side, sorter) */
jc_arg fx_h_searchsorted(fx_call *c) {
    if (fx_given(c, 5)) /* the order that sorts it */
        c->a[0] = fx_defined_as(c, "sorted_by");
    jc_value *sequence = c->r->status ? NULL : fx_tensor(c, 0);
    const jc_arg values = fx_operand(c, 1);
    bool right = fx_bool(c, 3, false);
    if (fx_given(c, 4)) {
        const char *side = c->a[4].kind == JC_ARG_STR ? c->a[4].str : "";
        if (strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
            fx_bad_arg(c, 4, "'left' or 'right'");
        right |= !strcmp(side, "right");
    }
    return as_index(c, count_below(c->r, sequence, values, right), fx_bool(c, 2, false));
}

/* bucketize(self, boundaries, out_int32, right) */
jc_arg fx_h_bucketize(fx_call *c) {
    jc_value *boundaries = fx_tensor(c, 1);
    const jc_arg values = fx_operand(c, 0);
    return as_index(c, count_below(c->r, boundaries, values, fx_bool(c, 3, false)), fx_bool(c, 2, false));
}

/* isin(elements, test_elements, assume_unique, invert): either may be a number */
jc_arg fx_h_isin(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *dims[JC_MAX_RANK + 1];
    jc_arg x = fx_operand(c, 0), among = fx_operand(c, 1);
    const bool invert = fx_bool(c, 3, false);
    jc_value *y = NULL;
    if (r->status)
        return fx_nothing();
    if (fx_is_tensor(x) && fx_is_tensor(among)) {
        if (fx_rank(x.value) + 1 > JC_MAX_RANK) {
            fx_refuse_arg(c, 0, "it has too many dimensions");
            return fx_nothing();
        }
        for (int d = 0; d < fx_rank(x.value); d++)
            dims[d] = x.value->type.dims[d];
        dims[fx_rank(x.value)] = jc_ex_int(fx_x(r), 1);
        jc_value *wide = fx_reshape(r, x.value, dims, x.value->type.rank + 1u);
        jc_value *equal = FX_OP(r, JC_OP_eq, fx_v(wide), fx_v(fx_flat(r, among.value)));
        if (!equal)
            return fx_nothing();
        const jc_arg last = fx_i(r, fx_rank(equal) - 1);
        y = FX_OP(r, JC_OP_sum, fx_v(equal), jc_arg_list(r->graph, &last, 1), jc_arg_bool(false), jc_arg_dtype(JC_I64));
        y = FX_OP(r, JC_OP_gt, fx_v(y), fx_i(r, 0));
    } else {
        y = FX_OP(r, JC_OP_eq, x, among);
        if (y && !fx_is_tensor(x)) { /* a number among several */
            jc_value *all = fx_flat(r, y);
            const jc_arg dim = fx_i(r, 0);
            y = FX_OP(r, JC_OP_amax, fx_v(all), jc_arg_list(r->graph, &dim, 1), jc_arg_bool(false));
        }
    }
    return fx_v(invert && y ? FX_OP(r, JC_OP_bitwise_not, fx_v(y)) : y);
}

/* one_hot(self, num_classes) */
jc_arg fx_h_one_hot(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *dims[JC_MAX_RANK + 1];
    jc_value *x = fx_tensor(c, 0);
    const int64_t classes = fx_int(c, 1, -1);
    if (!x || r->status)
        return fx_nothing();
    if (classes < 1 || fx_rank(x) + 1 > JC_MAX_RANK) {
        fx_refuse_arg(c, 1, "only a number of classes that is given is");
        return fx_nothing();
    }
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = x->type.dims[d];
    dims[fx_rank(x)] = jc_ex_int(fx_x(r), 1);
    jc_value *wide = fx_reshape(r, x, dims, x->type.rank + 1u);
    jc_value *each = FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_i(r, classes), jc_arg_dtype(JC_I64));
    jc_value *hit = FX_OP(r, JC_OP_eq, fx_v(wide), fx_v(each));
    return hit ? fx_v(fx_cast(r, hit, JC_I64)) : fx_nothing();
}
