/*
 * ir/fx/fx_build_index.c - x[...] and x[...] = y.
 *
 * Basic indexing (integers, slices, None, Ellipsis) is a chain of slices and at most one reshape, so it is a view.  Tensors of
 * integers among the indices are a gather along their dimensions: broadcast, their dims stand where these were if they were
 * neighbours, else first.  One without dims is an integer that is not known yet.  Tensors of bool are an operator that we do not
 * have: the node reads as an unknown one.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* 1 where E is negative, else 0. */
static const jc_expr *is_negative(jc_exprs *t, const jc_expr *e) {
    return jc_ex_max(t, jc_ex_int(t, 0), jc_ex_min(t, jc_ex_int(t, 1), jc_ex_neg(t, e)));
}

const jc_expr *fx_from_end(jc_exprs *t, const jc_expr *i, const jc_expr *size) {
    return jc_ex_add(t, i, jc_ex_mul(t, is_negative(t, i), size));
}

const jc_expr *fx_place(fx_reader *r, const jc_expr *i, const jc_expr *size, uint32_t at) {
    jc_exprs *t = fx_x(r);
    const bool constant = jc_ex_is_const(i, NULL);
    const jc_expr *place = fx_from_end(t, i, size);
    if (jc_ex_le(t, size, place) == JC_YES ||
        (constant && jc_ex_le(t, jc_ex_int(t, 0), place) == JC_NO && jc_ex_is_const(place, NULL)))
        fx_fail(r, JITC_E_INPUT, at, "The index %s is outside a dimension of size %s.",
                jc_ex_text(t, i, r->scratch), jc_ex_text(t, size, r->scratch));
    return place;
}

jc_value *fx_slice(fx_reader *r, jc_value *x, int dim, const jc_expr *start, const jc_expr *length, int64_t step) {
    if (!x || r->status)
        return NULL;
    if (step == 1 && jc_ex_is(start, 0) && length == x->type.dims[dim])
        return x;
    return FX_OP(r, JC_OP_slice, fx_v(x), fx_i(r, dim), fx_e(start), fx_e(length), fx_i(r, step));
}

/*
 * A bound as Python clips it into [0, SIZE]: Min(e, size), or from the end Max(0, size + e).  Where the sign is open, the sum of
 * both, each 0 where the other one counts.
 */
static const jc_expr *clip(jc_exprs *t, const jc_expr *e, const jc_expr *size) {
    const jc_expr *zero = jc_ex_int(t, 0), *negative = is_negative(t, e);
    if (jc_ex_is(negative, 0))
        return jc_ex_le(t, e, size) == JC_YES ? e : jc_ex_min(t, e, size);
    const jc_expr *from_end = jc_ex_max(t, zero, jc_ex_add(t, size, e));
    if (jc_ex_is(negative, 1))
        return from_end;
    return jc_ex_add(t, jc_ex_min(t, jc_ex_max(t, e, zero), size), jc_ex_mul(t, negative, from_end));
}

static bool left_out(jc_arg a) {
    return a.kind == JC_ARG_NONE || a.kind == FX_ABSENT;
}

jc_value *fx_python_slice(fx_reader *r, jc_value *x, int dim, jc_arg start, jc_arg end, jc_arg step, uint32_t at) {
    jc_exprs *t = fx_x(r);
    int64_t by = 1;
    if (!x || r->status)
        return NULL;
    if ((!left_out(start) && start.kind != JC_ARG_EXPR) || (!left_out(end) && end.kind != JC_ARG_EXPR) ||
        (!left_out(step) && step.kind != JC_ARG_EXPR)) {
        fx_fail(r, JITC_E_INPUT, at, "The bounds of a slice must be integers or None.");
        return NULL;
    }
    if (!left_out(step) && (!jc_ex_is_const(step.expr, &by) || by < 1)) {
        fx_fail(r, JITC_E_UNSUPPORTED, at, "The step of a slice must be a positive constant.");
        return NULL;
    }
    const jc_expr *size = x->type.dims[dim], *zero = jc_ex_int(t, 0);
    const jc_expr *from = left_out(start) ? zero : clip(t, start.expr, size);
    const jc_expr *to = left_out(end) ? size : clip(t, end.expr, size);
    const jc_expr *length = jc_ex_sub(t, to, from);
    if (jc_ex_le(t, zero, length) != JC_YES && (jc_ex_is_const(length, NULL) || from != zero))
        length = jc_ex_max(t, zero, length);
    return fx_slice(r, x, dim, from, jc_ex_cdiv(t, length, jc_ex_int(t, by)), by);
}

jc_value *fx_select(fx_reader *r, jc_value *x, int dim, const jc_expr *i, uint32_t at) {
    const jc_expr *dims[JC_MAX_RANK];
    uint32_t n = 0;
    if (!x || r->status)
        return NULL;
    const jc_expr *place = fx_place(r, i, x->type.dims[dim], at);
    x = fx_slice(r, x, dim, place, jc_ex_int(fx_x(r), 1), 1);
    if (!x)
        return NULL;
    for (int k = 0; k < fx_rank(x); k++)
        if (k != dim)
            dims[n++] = x->type.dims[k];
    return fx_reshape(r, x, dims, n);
}

/* --- tensors --- */

/* What is known while the parts of an index go by. */
typedef struct cursor {
    fx_reader *r;
    uint32_t at;
    jc_value *x;          /* with the slices so far */
    int dim;              /* of x: the next one to be indexed */
    bool drop[JC_MAX_RANK]; /* of x: selected by an integer */
    uint8_t fresh[JC_MAX_RANK + 1]; /* new dims before dim i of x */
    int ngather;          /* tensors among the parts */
    jc_value *gather[JC_MAX_RANK];
    int gather_dim[JC_MAX_RANK];
    bool taken;           /* one of them had no dims: X is no view any more */
    bool copies;          /* PyTorch makes a view of none */
    bool foreign;         /* something that we have no operator for */
    bool dots;            /* an Ellipsis went by */
} cursor;

static int consumed(const jc_arg *parts, uint32_t n) {
    int dims = 0;
    for (uint32_t i = 0; i < n; i++)
        dims += parts[i].kind != JC_ARG_NONE && parts[i].kind != FX_ELLIPSIS && parts[i].kind != JC_ARG_BOOL;
    return dims;
}

static void see_tensor(cursor *c, jc_value *index) {
    if (fx_class_of(index) == 'b' || fx_class_of(index) == 'f' || index->type.dtype == JC_U8) {
        c->foreign = true;
    } else if (!fx_rank(index)) {
        c->x = FX_OP(c->r, JC_OP_take, fx_v(c->x), fx_i(c->r, c->dim), fx_v(index), jc_arg_bool(true),
                     c->copies ? jc_arg_none() : jc_arg_bool(false));
        c->taken = true;
    } else {
        c->gather[c->ngather] = index;
        c->gather_dim[c->ngather++] = c->dim++;
    }
}

static void see_part(cursor *c, jc_arg part, int hidden) {
    fx_reader *r = c->r;
    if (part.kind == FX_ELLIPSIS) {
        if (c->dots)
            fx_fail(r, JITC_E_INPUT, c->at, "An index can hold one Ellipsis only.");
        else
            c->dim += hidden;
        c->dots = true;
        return;
    }
    if (part.kind == JC_ARG_LIST) {
        jc_value *index = fx_list_tensor(r, part, c->at);
        if (index)
            see_tensor(c, index);
        return;
    }
    if (part.kind == JC_ARG_NONE || (part.kind == JC_ARG_BOOL && part.b)) {
        c->fresh[c->dim] += c->fresh[c->dim] <= JC_MAX_RANK; /* more than that is refused when the index is settled */
        return;
    }
    if (fx_is_tensor(part)) {
        see_tensor(c, part.value);
        return;
    }
    if (part.kind == JC_ARG_EXPR) {
        const jc_expr *place = fx_place(r, part.expr, c->x->type.dims[c->dim], c->at);
        c->x = fx_slice(r, c->x, c->dim, place, jc_ex_int(fx_x(r), 1), 1);
        c->drop[c->dim++] = true;
    } else if (part.kind == FX_SLICE) {
        c->x = fx_python_slice(r, c->x, c->dim, part.list.at[0], part.list.at[1], part.list.at[2], c->at);
        c->dim++;
    } else {
        fx_fail(r, fx_blame(part), c->at, "A tensor cannot be indexed by %s.", fx_kind_text(part));
    }
}

/* Drops selected dims and adds new ones; the gather's dimensions move along. */
static void settle(cursor *c) {
    const jc_expr *dims[2 * JC_MAX_RANK + 2];
    uint32_t n = 0;
    int gather_dim[JC_MAX_RANK] = { 0 };
    bool same = true;
    for (int i = 0; i <= fx_rank(c->x); i++) {
        for (int k = 0; k < c->fresh[i] && n < JC_MAX_RANK + 1; k++)
            dims[n++] = jc_ex_int(fx_x(c->r), 1);
        same &= !c->fresh[i];
        for (int k = 0; k < c->ngather; k++)
            if (i == c->gather_dim[k])
                gather_dim[k] = (int)n;
        if (i == fx_rank(c->x))
            break;
        if (!c->drop[i] && n < JC_MAX_RANK + 1)
            dims[n++] = c->x->type.dims[i];
        same &= !c->drop[i];
    }
    if (n > JC_MAX_RANK) {
        fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "A tensor may have at most %d dimensions.", JC_MAX_RANK);
        return;
    }
    memcpy(c->gather_dim, gather_dim, sizeof gather_dim);
    if (!same)
        c->x = fx_reshape(c->r, c->x, dims, n);
}

/* Everything but the gather.  False where the index is foreign or wrong. */
static bool walk(cursor *c, jc_arg index) {
    const jc_arg *parts = index.kind == JC_ARG_LIST ? index.list.at : &index;
    const uint32_t n = index.kind == JC_ARG_LIST ? index.list.n : 1;
    const int rank = fx_rank(c->x), used = consumed(parts, n);
    if (used > rank) {
        fx_fail(c->r, JITC_E_INPUT, c->at, "%d indices for a tensor of %d dimensions.", used, rank);
        return false;
    }
    for (uint32_t i = 0; i < n && !c->foreign && !c->r->status; i++)
        see_part(c, parts[i], rank - used);
    if (c->foreign || c->r->status || !c->x)
        return false;
    settle(c);
    return c->x && !c->r->status;
}

/* Parts of an index as arguments: what has no place in a graph is spelled out. */
static jc_arg spelled(fx_reader *r, jc_arg part) {
    if (part.kind == FX_ELLIPSIS)
        return (jc_arg){ .kind = JC_ARG_STR, .str = "..." };
    if (part.kind != FX_SLICE && part.kind != JC_ARG_LIST)
        return part;
    const uint32_t tag = part.kind == FX_SLICE;
    jc_arg *at = fx_take(r, sizeof *at * (part.list.n + 1));
    at[0] = (jc_arg){ .kind = JC_ARG_STR, .str = "slice" };
    for (uint32_t i = 0; i < part.list.n; i++)
        at[i + tag] = spelled(r, part.list.at[i]);
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, part.list.n + tag } };
}

static jc_arg unknown_index(fx_reader *r, jc_value *x, jc_arg index, uint32_t at) {
    const jc_arg args[2] = { fx_v(x), fx_keep(r, spelled(r, index), at) };
    return r->status ? fx_nothing() : fx_custom_node(r, "?operator.getitem", args, 2, 0, at, UINT32_MAX);
}

jc_value *fx_pick(fx_reader *r, jc_value *x, const int *dims, jc_value *const *indices, int n, bool wrap) {
    jc_arg at[JC_MAX_RANK], by[JC_MAX_RANK];
    if (r->status)
        return NULL;
    for (int k = 0; k < n; k++) {
        at[k] = fx_i(r, dims[k]);
        by[k] = fx_v(indices[k]);
        if (!indices[k])
            return NULL;
    }
    return FX_OP(r, JC_OP_pick, fx_v(x), jc_arg_list(r->graph, at, (uint32_t)n), jc_arg_list(r->graph, by, (uint32_t)n), jc_arg_bool(wrap));
}

/* Several tensors; the dims that they have in common stand first in what `pick` gives. */
static jc_value *gathered(cursor *c) {
    fx_reader *r = c->r;
    const int n = c->ngather, first = c->gather_dim[0];
    jc_value *y = fx_pick(r, c->x, c->gather_dim, c->gather, n, true);
    if (!y || c->gather_dim[n - 1] - first != n - 1)
        return y;
    int order[JC_MAX_RANK];
    const int common = fx_rank(y) - (fx_rank(c->x) - n);
    for (int i = 0; i < fx_rank(y); i++)
        order[i] = i < first ? common + i : i < first + common ? i - first : i;
    return fx_permute(r, y, order);
}

static jc_arg index_tensor(fx_reader *r, jc_value *x, jc_arg index, bool copies, uint32_t at) {
    cursor c = { .r = r, .at = at, .x = x, .copies = copies };
    if (!walk(&c, index)) {
        if (c.foreign && !r->status)
            return unknown_index(r, x, index, at);
        return fx_nothing();
    }
    if (!c.ngather)
        return fx_v(c.x);
    if (c.ngather > 1)
        return fx_v(gathered(&c));
    return fx_v(FX_OP(r, JC_OP_take, fx_v(c.x), fx_i(r, c.gather_dim[0]), fx_v(c.gather[0]), jc_arg_bool(true)));
}

jc_arg fx_index_copy(fx_reader *r, jc_value *x, jc_arg index, uint32_t at) {
    return r->status ? fx_nothing() : index_tensor(r, x, index, true, at);
}

/* --- lists: results of split, x.size() and the like --- */

static jc_arg index_list(fx_reader *r, jc_arg list, jc_arg index, uint32_t at) {
    int64_t i, n = list.list.n, bounds[2] = { 0, n };
    if (index.kind == JC_ARG_BOOL) /* as Python has it: False is 0 */
        index = fx_i(r, index.b);
    if (index.kind == JC_ARG_EXPR && jc_ex_is_const(index.expr, &i)) {
        if (i >= -n && i < n)
            return list.list.at[i < 0 ? i + n : i];
        fx_fail(r, JITC_E_INPUT, at, "Element %lld is taken of a tuple of %lld.", (long long)i, (long long)n);
        return fx_nothing();
    }
    if (index.kind != FX_SLICE || !left_out(index.list.at[2])) {
        fx_fail(r, JITC_E_INPUT, at, "A tuple can be indexed by a constant or by a slice without a step, not by %s.",
                fx_kind_text(index));
        return fx_nothing();
    }
    for (int k = 0; k < 2; k++) {
        const jc_arg b = index.list.at[k];
        if (b.kind == JC_ARG_EXPR && jc_ex_is_const(b.expr, &i)) {
            i = i < 0 ? i + n : i;
            bounds[k] = i < 0 ? 0 : i > n ? n : i;
        }
    }
    return fx_list(r, list.list.at + bounds[0], (uint32_t)(bounds[1] > bounds[0] ? bounds[1] - bounds[0] : 0));
}

jc_arg fx_index(fx_reader *r, jc_arg base, jc_arg index, uint32_t at) {
    if (r->status)
        return fx_nothing();
    if (base.kind == JC_ARG_LIST)
        return index_list(r, base, index, at);
    if (base.kind == FX_COMPLEX) {
        const jc_arg re = fx_index(r, fx_pair_of(base)->re, index, at);
        return fx_complex(r, re, fx_index(r, fx_pair_of(base)->im, index, at));
    }
    if (fx_is_tensor(base))
        return index_tensor(r, base.value, index, false, at);
    if (base.kind == FX_VOID)
        return fx_opaque("an element of a tuple result that nothing annotates");
    fx_fail(r, fx_blame(base), at, "A tensor or a tuple can be indexed, but this is %s.", fx_kind_text(base));
    return fx_nothing();
}

/* --- writing --- */

jc_value *fx_index_view(fx_reader *r, jc_value *x, jc_arg index, uint32_t at) {
    cursor c = { .r = r, .at = at, .x = x };
    return x && !r->status && walk(&c, index) ? c.x : NULL;
}

static bool has_tensor(const jc_arg *parts, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (fx_is_tensor(parts[i]))
            return true;
    return false;
}

void fx_store(fx_reader *r, jc_value *base, jc_arg index, jc_arg value, uint32_t at) {
    const jc_arg *parts = index.kind == JC_ARG_LIST ? index.list.at : &index;
    const uint32_t n = index.kind == JC_ARG_LIST ? index.list.n : 1;
    if (r->status)
        return;
    if (has_tensor(parts, n)) {
        fx_put(r, base, parts, n, value, false, at);
        return;
    }
    jc_value *place = fx_index_view(r, base, index, at);
    if (place)
        fx_write(r, place, value);
}
