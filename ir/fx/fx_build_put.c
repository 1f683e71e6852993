/*
 * ir/fx/fx_build_put.c - spellings that write where indices say: x[i, j] = y, index_put, scatter and their kin.
 *
 * All become put_ (ir/ops.def): indices and source are shown in one shape of the destination's rank, by views.  What writes in place
 * writes only what it names; the other spellings do so into a copy.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

enum { IN_PLACE = 1 }; /* aux */

/* What is written into: X itself, or a copy.  A number is a row of one. */
static jc_value *target_of(fx_call *c, jc_value *x) {
    const jc_expr *one = jc_ex_int(fx_x(c->r), 1);
    if (!x || c->r->status)
        return NULL;
    if (!(c->row->aux & IN_PLACE))
        x = FX_OP(c->r, JC_OP_clone, fx_v(x));
    return x && !fx_rank(x) ? fx_reshape(c->r, x, &one, 1) : x;
}

/* Y, the target of X, with X's rank. */
static jc_arg as_given(fx_call *c, jc_value *y, const jc_value *x) {
    return fx_v(y && fx_rank(y) != fx_rank(x) ? fx_reshape(c->r, y, NULL, 0) : y);
}

static jc_value *at_least_1d(fx_reader *r, jc_value *x) {
    const jc_expr *one = jc_ex_int(fx_x(r), 1);
    return x && !fx_rank(x) ? fx_reshape(r, x, &one, 1) : x;
}

static jc_value *shown(fx_reader *r, jc_value *x, const jc_expr *const *dims, uint32_t n) {
    if (!x || r->status)
        return NULL;
    bool same = x->type.rank == n;
    for (uint32_t d = 0; same && d < n; d++)
        same = x->type.dims[d] == dims[d];
    return same ? x : FX_OP(r, JC_OP_expand, fx_v(x), fx_dims(r, dims, n));
}

static jc_value *put(fx_reader *r, jc_value *dst, jc_value *const *index, const int *dim, uint32_t n, jc_arg src, jc_put_mode mode, bool wrap) {
    jc_arg indices[JC_MAX_RANK], dims[JC_MAX_RANK];
    if (!dst || r->status)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (!index[i])
            return NULL;
        indices[i] = fx_v(index[i]);
        dims[i] = fx_i(r, dim[i]);
    }
    return FX_OP(r, JC_OP_put_, fx_v(dst), jc_arg_list(r->graph, indices, n), jc_arg_list(r->graph, dims, n), src, fx_i(r, mode),
                 jc_arg_bool(wrap));
}

/* --- scatter: index and source have the destination's rank --- */

/* The part of SRC that INDEX has places for. */
static jc_value *part_of(fx_reader *r, jc_value *src, const jc_value *index) {
    if (src && index && fx_rank(src) != fx_rank(index)) {
        fx_fail(r, JITC_E_INPUT, r->stmt->at, "The source of a scatter has %d dimensions, and its index %d.", fx_rank(src), fx_rank(index));
        return NULL;
    }
    for (int d = 0; src && index && d < fx_rank(index); d++)
        if (jc_ex_equal(fx_x(r), src->type.dims[d], index->type.dims[d]) != JC_YES)
            src = fx_slice(r, src, d, jc_ex_int(fx_x(r), 0), index->type.dims[d], 1);
    return src;
}

static bool narrow_float(const jc_value *x) { return x->type.dtype == JC_F16 || x->type.dtype == JC_BF16; }

static jc_arg number_as(fx_reader *r, const jc_value *x, double f) {
    return fx_class_of(x) == 'f' ? jc_arg_float(f) : fx_class_of(x) == 'b' ? jc_arg_bool(f != 0) : fx_i(r, (int64_t)f);
}

typedef struct scatter {
    jc_value *x, *index; /* as given; with one dim at least */
    int dim;
    jc_arg src;          /* in the index's shape, or a number */
} scatter;

static bool scatter_of(fx_call *c, scatter *s, jc_arg src) {
    s->x = fx_tensor(c, 0);
    s->index = at_least_1d(c->r, fx_tensor(c, 2));
    if (!s->x || !s->index)
        return false;
    s->dim = fx_dim(c, 1, fx_rank(s->x), 0);
    s->src = fx_is_tensor(src) ? fx_v(part_of(c->r, at_least_1d(c->r, src.value), s->index)) : src;
    return !c->r->status && (!fx_is_tensor(s->src) || s->src.value);
}

/* Adding f16 and bf16 goes on in f32, and is rounded once. */
static jc_arg scatter_by(fx_call *c, const scatter *s, jc_put_mode mode) {
    fx_reader *r = c->r;
    const bool wide = narrow_float(s->x) && (mode == JC_PUT_ADD || mode == JC_PUT_MUL);
    if (!wide)
        return as_given(c, put(r, target_of(c, s->x), &s->index, &s->dim, 1, s->src, mode, false), s->x);
    jc_value *sum = at_least_1d(r, fx_cast(r, s->x, JC_F32));
    jc_arg src = fx_is_tensor(s->src) ? fx_v(fx_cast(r, s->src.value, JC_F32)) : s->src;
    jc_value *y = put(r, sum, &s->index, &s->dim, 1, src, mode, false);
    if (!y)
        return fx_nothing();
    y = fx_cast(r, as_given(c, y, s->x).value, (jc_dtype)s->x->type.dtype);
    return c->row->aux & IN_PLACE ? fx_write(r, s->x, fx_v(y)) : fx_v(y);
}

jc_value *fx_scattered(fx_reader *r, jc_value *x, int dim, jc_value *index, jc_value *src) {
    return put(r, x, &index, &dim, 1, fx_v(src), JC_PUT_SET, false);
}

/* scatter(self, dim, index, src or value, reduce) */
jc_arg fx_h_scatter(fx_call *c) {
    scatter s;
    jc_put_mode mode = JC_PUT_SET;
    const jc_arg src = fx_given(c, 5) ? fx_number(c, 5) : fx_operand(c, 3);
    if (fx_given(c, 4)) {
        const char *how = c->a[4].kind == JC_ARG_STR ? c->a[4].str : "";
        if (strcmp(how, "add") != 0 && strcmp(how, "multiply") != 0)
            fx_bad_arg(c, 4, "'add' or 'multiply'");
        mode = strcmp(how, "add") ? JC_PUT_MUL : JC_PUT_ADD;
    }
    return c->r->status || !scatter_of(c, &s, src) ? fx_nothing() : scatter_by(c, &s, mode);
}

jc_arg fx_h_scatter_add(fx_call *c) {
    scatter s;
    return scatter_of(c, &s, fx_v(fx_tensor(c, 3))) ? scatter_by(c, &s, JC_PUT_ADD) : fx_nothing();
}

static const struct reduction {
    const char *name;
    uint8_t mode;
    double neutral;
} reductions[] = { { "sum", JC_PUT_ADD, 0 }, { "prod", JC_PUT_MUL, 1 }, { "mean", JC_PUT_ADD, 0 }, { "amax", JC_PUT_MAX, -INFINITY },
                   { "amin", JC_PUT_MIN, INFINITY } };

static const struct reduction *reduction_of(fx_call *c, int i) {
    for (size_t k = 0; c->a[i].kind == JC_ARG_STR && k < sizeof reductions / sizeof *reductions; k++)
        if (strcmp(c->a[i].str, reductions[k].name) == 0)
            return &reductions[k];
    fx_bad_arg(c, i, "'sum', 'prod', 'mean', 'amax' or 'amin'");
    return NULL;
}

/* The least or largest value of X's dtype, where NEUTRAL is infinite. */
static jc_arg neutral_of(fx_reader *r, const jc_value *x, double neutral) {
    if (!isinf(neutral) || fx_class_of(x) == 'f')
        return number_as(r, x, neutral);
    const int bits = 8 * jc_dtypes[x->type.dtype].size;
    if (fx_class_of(x) == 'b')
        return jc_arg_bool(neutral > 0);
    if (fx_class_of(x) == 'u')
        return fx_i(r, neutral > 0 ? (int64_t)((UINT64_C(1) << bits) - 1) : 0);
    const int64_t most = (int64_t)((UINT64_C(1) << (bits - 1)) - 1);
    return fx_i(r, neutral > 0 ? most : -most - 1);
}

jc_arg fx_extreme_of(fx_reader *r, const jc_value *x, bool most) {
    return neutral_of(r, x, most ? INFINITY : -INFINITY);
}

/* By how many elements each of S's results was added up. */
static jc_value *count_of(fx_call *c, const scatter *s, bool include_self) {
    fx_reader *r = c->r;
    const jc_arg dims = fx_dims(r, s->x->type.dims, s->x->type.rank);
    const jc_dtype dtype = narrow_float(s->x) ? JC_F32 : (jc_dtype)s->x->type.dtype;
    jc_value *count = FX_OP(r, JC_OP_full, dims, fx_i(r, include_self), jc_arg_dtype(dtype));
    count = put(r, at_least_1d(r, count), &s->index, &s->dim, 1, fx_i(r, 1), JC_PUT_ADD, false);
    count = FX_OP(r, JC_OP_clamp, fx_v(count), fx_i(r, 1), fx_nothing());
    return count ? fx_cast(r, as_given(c, count, s->x).value, (jc_dtype)s->x->type.dtype) : NULL;
}

/* What argument 4 says of what S puts together; argument 5: with what was there. */
static jc_arg reduced_by(fx_call *c, scatter s, const struct reduction *how) {
    fx_reader *r = c->r;
    const bool include_self = fx_bool(c, 5, true), mean = !strcmp(how->name, "mean");
    jc_value *x = s.x;
    if (!include_self) {
        jc_value *fresh = at_least_1d(r, FX_OP(r, JC_OP_clone, fx_v(x)));
        fresh = put(r, fresh, &s.index, &s.dim, 1, neutral_of(r, x, how->neutral), JC_PUT_SET, false);
        if (!fresh)
            return fx_nothing();
        s.x = as_given(c, fresh, x).value;
    }
    const bool in_place = c->row->aux & IN_PLACE;
    fx_spelling row = *c->row; /* what is made on the way is no one else's */
    fx_call copy = *c;
    row.aux = 0;
    copy.row = &row;
    jc_arg y = scatter_by(&copy, &s, (jc_put_mode)how->mode);
    if (mean && fx_is_tensor(y))
        y = fx_v(FX_OP(r, fx_class_of(x) == 'f' ? JC_OP_div : JC_OP_floordiv, y, fx_v(count_of(c, &s, include_self))));
    if (!fx_is_tensor(y))
        return fx_nothing();
    return in_place ? fx_write(r, x, y) : y;
}

/* scatter_reduce(self, dim, index, src, reduce, include_self) */
jc_arg fx_h_scatter_reduce(fx_call *c) {
    scatter s;
    const struct reduction *how = reduction_of(c, 4);
    return how && scatter_of(c, &s, fx_v(fx_tensor(c, 3))) ? reduced_by(c, s, how) : fx_nothing();
}

/* --- index_add and its kin: a vector of indices along one dim --- */

/* INDEX along DIM as it stands in every place of SHAPE. */
static jc_value *along(fx_reader *r, jc_value *index, int dim, const jc_expr *const *shape, int rank) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!index || r->status)
        return NULL;
    for (int d = 0; d < rank; d++)
        dims[d] = d == dim ? shape[d] : jc_ex_int(fx_x(r), 1);
    return shown(r, fx_reshape(r, index, dims, (uint32_t)rank), shape, (uint32_t)rank);
}

typedef struct slab {
    jc_value *x, *index; /* index: shown in the shape of what is put */
    int dim;
    const jc_expr *shape[JC_MAX_RANK];
    uint32_t rank;
} slab;

static bool slab_of(fx_call *c, slab *s) {
    s->x = fx_tensor(c, 0);
    jc_value *index = at_least_1d(c->r, fx_tensor(c, 2));
    if (!s->x || !index)
        return false;
    s->dim = fx_dim(c, 1, fx_rank(s->x), 0);
    if (fx_rank(index) != 1) {
        fx_bad_arg(c, 2, "a vector of indices");
        return false;
    }
    s->rank = fx_rank(s->x) ? (uint32_t)fx_rank(s->x) : 1;
    for (uint32_t d = 0; d < s->rank; d++)
        s->shape[d] = (int)d == s->dim ? index->type.dims[0] : s->x->type.dims[d];
    s->index = along(c->r, index, s->dim, s->shape, (int)s->rank);
    return s->index != NULL;
}

/* The source has the shape that it fills; a number is one of one row. */
static jc_value *slab_source(fx_call *c, const slab *s, int i) {
    jc_value *src = at_least_1d(c->r, fx_tensor(c, i));
    return src && (uint32_t)fx_rank(src) < s->rank ? shown(c->r, src, s->shape, s->rank) : src;
}

jc_arg fx_h_index_copy(fx_call *c) {
    slab s;
    if (!slab_of(c, &s))
        return fx_nothing();
    const jc_arg src = fx_v(slab_source(c, &s, 3));
    return as_given(c, put(c->r, target_of(c, s.x), &s.index, &s.dim, 1, src, JC_PUT_SET, false), s.x);
}

jc_arg fx_h_index_fill(fx_call *c) {
    slab s;
    jc_arg value = fx_operand(c, 3);
    if (!slab_of(c, &s) || c->r->status)
        return fx_nothing();
    if (fx_is_tensor(value))
        value = fx_v(shown(c->r, value.value, s.shape, s.rank));
    return as_given(c, put(c->r, target_of(c, s.x), &s.index, &s.dim, 1, value, JC_PUT_SET, true), s.x);
}

/* index_add(self, dim, index, source, alpha): of more than a vector and without a factor, f16 and bf16 go on in f32. */
jc_arg fx_h_index_add(fx_call *c) {
    slab s;
    if (!slab_of(c, &s))
        return fx_nothing();
    jc_value *src = slab_source(c, &s, 3);
    if (src && fx_given(c, 4))
        src = FX_OP(c->r, JC_OP_mul, fx_v(src), fx_number(c, 4));
    if (!src)
        return fx_nothing();
    const scatter as = { s.x, s.index, s.dim, fx_v(src) };
    if (fx_rank(s.x) > 1 && !fx_given(c, 4))
        return scatter_by(c, &as, JC_PUT_ADD);
    return as_given(c, put(c->r, target_of(c, s.x), &s.index, &s.dim, 1, as.src, JC_PUT_ADD, false), s.x);
}

/* index_reduce(self, dim, index, source, reduce, include_self) */
jc_arg fx_h_index_reduce(fx_call *c) {
    slab s;
    const struct reduction *how = reduction_of(c, 4);
    if (!how || !slab_of(c, &s))
        return fx_nothing();
    jc_value *src = slab_source(c, &s, 3);
    return src ? reduced_by(c, (scatter){ s.x, s.index, s.dim, fx_v(src) }, how) : fx_nothing();
}

/* put(self, index, source, accumulate): places are counted through all of it */
jc_arg fx_h_flat_put(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *index = fx_tensor(c, 1), *src = fx_tensor(c, 2);
    const int dim = 0;
    if (!x || !index || !src)
        return fx_nothing();
    const jc_expr *n = jc_ex_product(fx_x(r), x->type.dims, x->type.rank), *many = jc_ex_product(fx_x(r), index->type.dims, index->type.rank);
    jc_value *flat = FX_OP(r, JC_OP_clone, fx_v(x));
    flat = flat ? fx_reshape(r, flat, &n, 1) : NULL;
    index = fx_reshape(r, index, &many, 1);
    const jc_arg from = fx_v(fx_reshape(r, src, &many, 1));
    jc_value *y = put(r, flat, &index, &dim, 1, from, fx_bool(c, 3, false) ? JC_PUT_ADD : JC_PUT_SET, true);
    y = y ? fx_reshape(r, y, x->type.dims, x->type.rank) : NULL;
    return y && c->row->aux & IN_PLACE ? fx_write(r, x, fx_v(y)) : fx_v(y);
}

/* --- x[...] = y with tensors among the indices --- */

typedef struct writing {
    fx_reader *r;
    uint32_t at;
    jc_value *x;                   /* with what is no tensor applied */
    jc_value *index[JC_MAX_RANK];
    int dim[JC_MAX_RANK];          /* of x */
    uint32_t n;
    int lead;                      /* dims of x without an index that stand before the tensors' */
    const jc_expr *shape[JC_MAX_RANK]; /* that the tensors have in common */
    uint32_t rank;
} writing;

static bool is_index(jc_arg a) { return fx_is_tensor(a) || a.kind == JC_ARG_EXPR; }

/* Tensors and integers that stand together keep their place; apart, what they have in common comes first. */
static int lead_of(const jc_arg *parts, uint32_t n, int hidden) {
    int before = 0, lead = -1;
    bool ended = false;
    for (uint32_t i = 0; i < n; i++) {
        if (is_index(parts[i])) {
            if (ended)
                return 0;
            if (lead < 0)
                lead = before;
            continue;
        }
        ended |= lead >= 0;
        before += parts[i].kind == FX_ELLIPSIS ? hidden : 1;
    }
    return lead;
}

static void take_part(writing *w, jc_arg part, int *dim, int hidden) {
    fx_reader *r = w->r;
    const jc_expr *dims[JC_MAX_RANK + 1];
    uint32_t n = 0;
    if (part.kind == FX_ELLIPSIS) {
        *dim += hidden;
    } else if (part.kind == JC_ARG_NONE) {
        for (int d = 0; d <= fx_rank(w->x) && d <= JC_MAX_RANK; d++) {
            if (d == *dim)
                dims[n++] = jc_ex_int(fx_x(r), 1);
            if (d < fx_rank(w->x) && n <= JC_MAX_RANK)
                dims[n++] = w->x->type.dims[d];
        }
        w->x = fx_reshape(r, w->x, dims, n);
        ++*dim;
    } else if (fx_is_tensor(part)) {
        w->index[w->n] = part.value;
        w->dim[w->n++] = (*dim)++;
    } else if (part.kind == JC_ARG_EXPR) {
        w->x = fx_select(r, w->x, *dim, part.expr, w->at);
    } else if (part.kind == FX_SLICE) {
        w->x = fx_python_slice(r, w->x, *dim, part.list.at[0], part.list.at[1], part.list.at[2], w->at);
        ++*dim;
    } else {
        fx_fail(r, fx_blame(part), w->at, "A tensor cannot be indexed by %s.", fx_kind_text(part));
    }
}

static bool take_parts(writing *w, const jc_arg *parts, uint32_t n) {
    int dim = 0, used = 0, dots = 0;
    for (uint32_t i = 0; i < n; i++) {
        used += parts[i].kind != JC_ARG_NONE && parts[i].kind != FX_ELLIPSIS;
        dots += parts[i].kind == FX_ELLIPSIS;
        if (fx_is_tensor(parts[i]) && fx_class_of(parts[i].value) != 'i') {
            fx_fail(w->r, JITC_E_UNSUPPORTED, w->at, "Writing through an index of dtype %s is not supported here.",
                    jc_dtypes[parts[i].value->type.dtype].name);
            return false;
        }
    }
    if (used > fx_rank(w->x) || dots > 1) {
        fx_fail(w->r, JITC_E_INPUT, w->at, "%d indices and %d Ellipses for a tensor of %d dimensions.", used, dots, fx_rank(w->x));
        return false;
    }
    const int hidden = fx_rank(w->x) - used;
    w->lead = lead_of(parts, n, hidden);
    for (uint32_t i = 0; i < n && !w->r->status; i++)
        take_part(w, parts[i], &dim, hidden);
    return !w->r->status && w->x && w->n;
}

/* What the indices broadcast to. */
static bool find_shape(writing *w) {
    for (uint32_t i = 0; i < w->n; i++)
        w->rank = w->index[i]->type.rank > w->rank ? w->index[i]->type.rank : w->rank;
    for (uint32_t d = 0; d < w->rank; d++) {
        w->shape[d] = jc_ex_int(fx_x(w->r), 1);
        for (uint32_t i = 0; i < w->n; i++) {
            const jc_type *t = &w->index[i]->type;
            const jc_expr *dim = d + t->rank >= w->rank ? t->dims[d + t->rank - w->rank] : NULL;
            if (dim && !jc_ex_is(dim, 1))
                w->shape[d] = dim;
        }
    }
    const int plain = fx_rank(w->x) - (int)w->n;
    if (plain + (int)w->rank <= JC_MAX_RANK)
        return true;
    fx_fail(w->r, JITC_E_UNSUPPORTED, w->at, "A tensor may have at most %d dimensions.", JC_MAX_RANK);
    return false;
}

/* VALUE in the shape in which it is put: the indices' dims as one, where the last indexed dim stands, 1 in the other indexed ones. */
static jc_value *source_of(writing *w, jc_value *value, const jc_expr *count, const jc_expr *const *to) {
    const jc_expr *dims[JC_MAX_RANK];
    int order[JC_MAX_RANK];
    uint32_t n = 0, flat = 0;
    const uint32_t rank = (uint32_t)fx_rank(w->x);
    bool indexed[JC_MAX_RANK] = { false };
    const jc_expr *plain[JC_MAX_RANK];
    uint32_t nplain = 0;
    for (uint32_t i = 0; i < w->n; i++)
        indexed[w->dim[i]] = true;
    for (uint32_t d = 0; d < rank; d++)
        if (!indexed[d])
            plain[nplain++] = w->x->type.dims[d];
    for (uint32_t d = 0; d <= nplain; d++) { /* as PyTorch has it */
        if ((int)d == w->lead)
            for (uint32_t k = 0; k < w->rank; k++)
                dims[n++] = w->shape[k];
        if (d < nplain)
            dims[n++] = plain[d];
    }
    while (fx_rank(value) > (int)n && jc_ex_is(value->type.dims[0], 1)) { /* PyTorch drops leading ones */
        value = fx_reshape(w->r, value, value->type.dims + 1, value->type.rank - 1u);
        if (!value)
            return NULL;
    }
    value = shown(w->r, value, dims, n);
    for (uint32_t d = 0; d <= nplain; d++) {
        if ((int)d == w->lead)
            dims[flat++] = count;
        if (d < nplain)
            dims[flat++] = plain[d];
    }
    value = fx_reshape(w->r, value, dims, flat);
    for (uint32_t d = 0, from = 0, k = 0; d < rank; d++) {
        if (!indexed[d]) {
            order[k++] = (int)(from < (uint32_t)w->lead ? from : from + 1);
            from++;
        } else if ((int)d == w->dim[w->n - 1]) {
            order[k++] = w->lead;
        }
    }
    bool same = true;
    for (uint32_t k = 0; k < flat; k++)
        same &= order[k] == (int)k;
    if (!same && value)
        value = fx_permute(w->r, value, order);
    return fx_reshape(w->r, value, to, rank);
}

static jc_value *write_indexed(writing *w, jc_arg value, jc_put_mode mode) {
    fx_reader *r = w->r;
    const jc_expr *to[JC_MAX_RANK], *alone[JC_MAX_RANK];
    const uint32_t rank = (uint32_t)fx_rank(w->x);
    if (!find_shape(w))
        return NULL;
    const jc_expr *count = jc_ex_product(fx_x(r), w->shape, w->rank);
    for (uint32_t d = 0; d < rank; d++) {
        to[d] = w->x->type.dims[d];
        alone[d] = jc_ex_int(fx_x(r), 1);
    }
    for (uint32_t i = 0; i < w->n; i++)
        to[w->dim[i]] = jc_ex_int(fx_x(r), 1);
    to[w->dim[w->n - 1]] = alone[w->dim[w->n - 1]] = count;
    for (uint32_t i = 0; i < w->n; i++) {
        w->index[i] = shown(r, w->index[i], w->shape, w->rank);
        w->index[i] = shown(r, fx_reshape(r, w->index[i], alone, rank), to, rank);
    }
    if (fx_is_tensor(value))
        value = fx_v(source_of(w, value.value, count, to));
    return put(r, w->x, w->index, w->dim, w->n, value, mode, true);
}

/* X[mask] is what SRC has, one after the other. */
static jc_value *from_masked(fx_reader *r, jc_value *x, jc_value *mask, jc_value *src) {
    jc_exprs *t = fx_x(r);
    if (!x || !mask || !src || r->status)
        return NULL;
    const jc_expr *count = jc_ex_product(t, src->type.dims, src->type.rank), *n = jc_ex_product(t, x->type.dims, x->type.rank);
    mask = shown(r, mask, x->type.dims, x->type.rank);
    if (jc_ex_is(count, 0) || !mask)
        return x;
    jc_value *flat = fx_reshape(r, fx_cast(r, mask, JC_I64), &n, 1);
    jc_value *place = FX_OP(r, JC_OP_cumsum, fx_v(flat), fx_i(r, 0));
    place = FX_OP(r, JC_OP_maximum, fx_v(FX_OP(r, JC_OP_sub, fx_v(place), fx_i(r, 1))), fx_i(r, 0));
    place = fx_reshape(r, place, x->type.dims, x->type.rank);
    jc_value *taken = FX_OP(r, JC_OP_take, fx_v(fx_reshape(r, src, &count, 1)), fx_i(r, 0), fx_v(place), jc_arg_bool(false));
    return FX_OP(r, JC_OP_where, fx_v(mask), fx_v(taken), fx_v(x));
}

/* The mask alone that parts of an index are, with X's dims; else NULL. */
static jc_value *mask_of(fx_reader *r, const jc_value *x, const jc_arg *parts, uint32_t n) {
    const jc_expr *dims[JC_MAX_RANK];
    if (n < 1 || !fx_is_tensor(parts[0]) || fx_class_of(parts[0].value) != 'b' || fx_rank(parts[0].value) > fx_rank(x))
        return NULL;
    for (uint32_t i = 1; i < n; i++)
        if (parts[i].kind != FX_ELLIPSIS && !(parts[i].kind == FX_SLICE && parts[i].list.at[0].kind == JC_ARG_NONE &&
                                              parts[i].list.at[1].kind == JC_ARG_NONE && parts[i].list.at[2].kind == JC_ARG_NONE))
            return NULL;
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = d < fx_rank(parts[0].value) ? parts[0].value->type.dims[d] : jc_ex_int(fx_x(r), 1);
    return fx_reshape(r, parts[0].value, dims, (uint32_t)fx_rank(x));
}

/* Is VALUE one element? */
static bool is_one(jc_arg value) {
    bool one = true;
    for (int d = 0; fx_is_tensor(value) && d < fx_rank(value.value); d++)
        one &= jc_ex_is(value.value->type.dims[d], 1);
    return one;
}

/* What VALUE has for X, whose dims from FIRST on are masked by MASK: by broadcasting, or one after the other where the mask is true. */
static jc_value *for_masked(fx_reader *r, const jc_value *x, jc_value *mask, int first, jc_value *value) {
    const jc_expr *dims[2 * JC_MAX_RANK], *of_mask[JC_MAX_RANK];
    uint32_t n = 0;
    if (!mask || !value || r->status)
        return NULL;
    const int masked_dims = fx_rank(mask), behind = fx_rank(x) - first - masked_dims, along = fx_rank(value) - behind - 1;
    if (along < 0) /* no dim of its own: the same wherever the mask is true */
        return value;
    const bool each = !jc_ex_is(value->type.dims[along], 1);
    const jc_expr *all = jc_ex_product(fx_x(r), mask->type.dims, mask->type.rank);
    memcpy(of_mask, mask->type.dims, sizeof *of_mask * (size_t)masked_dims);
    for (int d = 0; d < fx_rank(value); d++) {
        for (int k = 0; d == along && k < masked_dims && n < JC_MAX_RANK; k++)
            dims[n++] = each ? of_mask[k] : jc_ex_int(fx_x(r), 1);
        if (d != along && n < JC_MAX_RANK)
            dims[n++] = value->type.dims[d];
    }
    if (each) {
        jc_value *place = FX_OP(r, JC_OP_cumsum, fx_v(fx_reshape(r, fx_cast(r, mask, JC_I64), &all, 1)), fx_i(r, 0));
        place = FX_OP(r, JC_OP_maximum, fx_v(FX_OP(r, JC_OP_sub, fx_v(place), fx_i(r, 1))), fx_i(r, 0));
        value = FX_OP(r, JC_OP_take, fx_v(value), fx_i(r, along), fx_v(place), jc_arg_bool(false));
    }
    return fx_reshape(r, value, dims, n);
}

/* x[mask] = value, in dims of X from FIRST on; SHOWN: the mask as it broadcasts with X. */
static jc_value *masked(fx_reader *r, jc_value *x, jc_value *mask, int first, jc_value *shown_mask, jc_arg value, jc_put_mode mode) {
    if (fx_is_tensor(value) && is_one(value))
        value = fx_v(fx_reshape(r, value.value, NULL, 0));
    else if (fx_is_tensor(value) && jc_ex_is(jc_ex_product(fx_x(r), value.value->type.dims, value.value->type.rank), 0))
        return x;
    else if (fx_is_tensor(value))
        value = fx_v(for_masked(r, x, mask, first, value.value));
    if (mode == JC_PUT_ADD)
        value = fx_v(FX_OP(r, JC_OP_add, fx_v(x), value));
    return FX_OP(r, JC_OP_where, fx_v(shown_mask), value, fx_v(x));
}

/* Where the one mask among PARTS stands, if no other tensor is there; else N. */
static uint32_t lone_mask(const jc_arg *parts, uint32_t n) {
    uint32_t at = n;
    for (uint32_t i = 0; i < n; i++) {
        if (!fx_is_tensor(parts[i]))
            continue;
        if (at < n || fx_class_of(parts[i].value) != 'b' || !fx_rank(parts[i].value))
            return n;
        at = i;
    }
    return at;
}

/* x[1:, mask] = value: into the view that the other parts make, where the mask says. */
static jc_value *put_masked(fx_reader *r, jc_value *x, const jc_arg *parts, uint32_t n, uint32_t k, jc_arg value, bool add, uint32_t at) {
    jc_value *mask = parts[k].value;
    const int rank = fx_rank(mask);
    const jc_arg everything = fx_list(r, (jc_arg[]){ fx_nothing(), fx_nothing(), fx_nothing() }, 3);
    jc_arg *all = fx_take(r, sizeof *all * (n + (uint32_t)rank));
    const jc_expr *dims[JC_MAX_RANK];
    uint32_t m = 0;
    int used = rank, before = 0, dots = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (int d = 0; i == k && d < rank; d++) {
            all[m] = everything;
            all[m++].kind = FX_SLICE;
        }
        if (i == k)
            continue;
        all[m++] = parts[i];
        used += parts[i].kind == JC_ARG_EXPR || parts[i].kind == FX_SLICE;
        dots += i < k && parts[i].kind == FX_ELLIPSIS;
        before += i < k && parts[i].kind != JC_ARG_EXPR && parts[i].kind != FX_ELLIPSIS;
    }
    before += dots ? fx_rank(x) - used : 0;
    jc_value *place = fx_index_view(r, x, (jc_arg){ .kind = JC_ARG_LIST, .list = { all, m } }, at);
    if (!place)
        return NULL;
    for (int d = 0; d < fx_rank(place); d++) {
        const bool masked_dim = d >= before && d < before + rank;
        dims[d] = masked_dim ? mask->type.dims[d - before] : jc_ex_int(fx_x(r), 1);
        if (masked_dim && jc_ex_equal(fx_x(r), dims[d], place->type.dims[d]) == JC_NO)
            fx_fail(r, JITC_E_INPUT, at, "A mask has another size than dim %d of what it is for.", d);
    }
    jc_value *wide = r->status ? NULL : fx_reshape(r, mask, dims, (uint32_t)fx_rank(place));
    fx_write(r, place, fx_v(wide ? masked(r, place, mask, before, wide, value, add ? JC_PUT_ADD : JC_PUT_SET) : NULL));
    return r->status ? NULL : x;
}

/* Writes VALUE into X at PARTS; the result is X after it. */
jc_value *fx_put(fx_reader *r, jc_value *x, const jc_arg *parts, uint32_t n, jc_arg value, bool add, uint32_t at) {
    if (!x || r->status)
        return NULL;
    if (!fx_is_tensor(value) && !fx_is_number(value)) {
        fx_fail(r, fx_blame(value), at, "Only a tensor or a number can be written into a tensor, not %s.", fx_kind_text(value));
        return NULL;
    }
    jc_value *mask = mask_of(r, x, parts, n);
    if (mask)
        return fx_write(r, x, fx_v(masked(r, x, parts[0].value, 0, mask, value, add ? JC_PUT_ADD : JC_PUT_SET))).value;
    const uint32_t lone = lone_mask(parts, n);
    if (lone < n)
        return put_masked(r, x, parts, n, lone, value, add, at);
    writing w = { .r = r, .at = at, .x = x };
    if (!take_parts(&w, parts, n))
        return NULL;
    return write_indexed(&w, value, add ? JC_PUT_ADD : JC_PUT_SET) ? x : NULL;
}

/* index_put(self, indices, values, accumulate); None is all of a dimension */
jc_arg fx_h_index_put(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    jc_arg value = fx_operand(c, 2);
    const bool add = fx_bool(c, 3, false);
    if (!x || r->status)
        return fx_nothing();
    if (c->a[1].kind != JC_ARG_LIST) {
        fx_bad_arg(c, 1, "a list of indices");
        return fx_nothing();
    }
    jc_arg parts = fx_list(r, c->a[1].list.at, c->a[1].list.n);
    for (uint32_t i = 0; i < parts.list.n; i++)
        if (parts.list.at[i].kind == JC_ARG_NONE) {
            parts.list.at[i] = fx_list(r, (jc_arg[]){ fx_nothing(), fx_nothing(), fx_nothing() }, 3);
            parts.list.at[i].kind = FX_SLICE;
        }
    if (!(c->row->aux & IN_PLACE))
        x = FX_OP(r, JC_OP_clone, fx_v(x));
    return fx_v(fx_put(r, x, parts.list.at, parts.list.n, value, add, c->at));
}

jc_arg fx_h_masked_scatter(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *mask = fx_tensor(c, 1), *src = fx_tensor(c, 2);
    if (!x || !mask)
        return fx_nothing();
    if (fx_rank(mask) > fx_rank(x)) /* self broadcasts too */
        x = shown(c->r, x, mask->type.dims, mask->type.rank);
    jc_value *y = from_masked(c->r, x, mask, src);
    return fx_v(y ? FX_OP(c->r, JC_OP_contiguous, fx_v(y)) : NULL); /* of a copy that is contiguous */
}

/* col2im(self, output_size, kernel_size, dilation, padding, stride): what windows of an image held is added up */
jc_arg fx_h_col2im(fx_call *c) {
    static const int8_t otherwise[] = { 0, 0, 0, 1, 0, 1 };
    fx_reader *r = c->r;
    jc_arg pairs[6][2];
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const bool lone = fx_rank(x) == 2;
    for (int i = 1; i < 6; i++) {
        const bool list = c->a[i].kind == JC_ARG_LIST;
        if (list && c->a[i].list.n != 1 && c->a[i].list.n != 2)
            fx_bad_arg(c, i, "one number, or two");
        for (uint32_t k = 0; k < 2 && !r->status; k++)
            pairs[i][k] = !fx_given(c, i) ? fx_i(r, otherwise[i]) : list ? c->a[i].list.at[c->a[i].list.n == 1 ? 0 : k] : c->a[i];
        c->a[i] = (jc_arg){ .kind = JC_ARG_LIST, .list = { pairs[i], 2 } };
    }
    if (fx_rank(x) != 3 && !lone)
        fx_bad_arg(c, 0, "windows of a stack of images, or of one");
    if (r->status)
        return fx_nothing();
    c->a[0] = fx_v(lone ? fx_unsqueeze(r, x, 0) : x);
    const jc_arg y = fx_defined_as(c, "col2im");
    return lone && fx_is_tensor(y) ? fx_v(fx_reshape(r, y.value, y.value->type.dims + 1, 3)) : y;
}
