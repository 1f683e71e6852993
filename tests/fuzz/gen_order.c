/*
 * tests/fuzz/gen_order.c - what goes through a dimension in order, writes where indices say, sorts.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static double rounded(const fz_range *r, double n) {
    return r->step > 0 ? 0 : fz_magnitude(*r) * n * 0x1p-19;
}

/* --- scans --- */

/* X and one of its dims; false where it is none, or a number. */
static bool along(fz_prog *p, int x, fz_value *v, int *d) {
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    *v = *fz_at(p, x);
    *d = fz_below(p, v->rank);
    return true;
}

static bool make_cumsum(fz_prog *p) {
    const int x = fz_some(p, fz_computable, JC_DTYPE_COUNT);
    fz_value v;
    int d;
    if (!along(p, x, &v, &d))
        return false;
    const double n = (double)fz_most(p, &v.dims[d]);
    fz_range r = *fz_range_of(p, x);
    const bool floating = fz_class(p, x) == 'f';
    r = (fz_range){ fmin(r.lo * n, r.lo), fmax(r.hi * n, r.hi), r.step, r.err * n + rounded(&r, n), false, false, false };
    fz_begin(p);
    fz_call(p, "cumsum", x, "%d", fz_chance(p, 50) ? d : d - v.rank);
    return fz_gives(p, fz_result(p, floating ? v.dtype : JC_I64, v.rank, v.dims, r));
}

static bool is_small(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_computable(p, value, NULL) && fz_magnitude(*fz_range_of(p, value)) <= 1;
}

static bool make_cumprod(fz_prog *p) {
    const int x = fz_choose(p, is_small, NULL);
    fz_value v;
    int d;
    if (!along(p, x, &v, &d))
        return false;
    const double n = (double)fz_most(p, &v.dims[d]);
    const bool floating = fz_class(p, x) == 'f';
    const fz_range r = { -1, 1, floating ? 0 : 1, floating ? n * (fz_range_of(p, x)->err + 0x1p-19) : 0, false, false, false };
    fz_begin(p);
    fz_call(p, "cumprod", x, "%d", d);
    return fz_gives(p, fz_result(p, floating ? v.dtype : JC_I64, v.rank, v.dims, r));
}

static bool make_logcumsumexp(fz_prog *p) {
    const int x = fz_some_float(p);
    fz_value v;
    int d;
    if (x < 0 || fz_magnitude(*fz_range_of(p, x)) > 40 || !along(p, x, &v, &d))
        return false;
    const fz_range a = *fz_range_of(p, x), r = { a.lo, a.hi + log(fmax(1, (double)fz_most(p, &v.dims[d]))), 0, a.err + 0x1p-16, false, false, false };
    fz_begin(p);
    fz_call(p, "logcumsumexp", x, "%d", d);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* Values, and of what is exact places. */
static bool make_cummax(fz_prog *p) {
    const int x = fz_some(p, fz_computable, JC_DTYPE_COUNT);
    fz_value v;
    int d;
    if (!along(p, x, &v, &d))
        return false;
    const fz_range r = *fz_range_of(p, x);
    fz_begin(p)->form = FZ_TUPLE;
    fz_call(p, fz_chance(p, 50) ? "cummax" : "cummin", x, "%d", d);
    const int y = fz_result(p, v.dtype, v.rank, v.dims, r);
    if (y < 0 || !fz_is_exact(p, x, NULL))
        return fz_gives(p, y);
    const int i = fz_result(p, JC_I64, v.rank, v.dims, fz_interval(0, fmax(0, (double)fz_most(p, &v.dims[d]) - 1), 1));
    fz_stmt *s = &p->stmts.at[p->stmts.n - 1];
    s->nresults = 2;
    s->result[0] = y;
    s->result[1] = i;
    s->tuple[1] = 1;
    return i >= 0;
}

/* --- writes where indices say --- */

typedef struct put {
    int x, d, index;
    bool in_place;
    fz_value v;
} put;

static bool has_places(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_computable(p, value, NULL) && fz_at(p, value)->rank > 0;
}

/* What is written into, along which dim, by which vector of indices. */
static bool begin_put(fz_prog *p, bool wrap, put *w) {
    w->in_place = fz_chance(p, 50);
    w->x = w->in_place ? fz_some_target(p) : fz_choose(p, has_places, NULL);
    if (!along(p, w->x, &w->v, &w->d))
        return false;
    if (fz_least(p, &w->v.dims[w->d]) < 1)
        return false;
    w->index = fz_some_index(p, fz_least(p, &w->v.dims[w->d]), wrap, true);
    return w->index >= 0;
}

/* A parameter of X's dtype in the shape that is put. */
static int some_source(fz_prog *p, const put *w, const fz_size *dims) {
    return fz_param(p, w->v.dtype, w->v.rank, dims, fz_some_range(p, w->v.dtype));
}

/* What is left of A with up to N times B added. */
static fz_range added(fz_range a, fz_range b, double n, uint8_t dtype) {
    fz_range r = { a.lo + fmin(0, n * b.lo), a.hi + fmax(0, n * b.hi), a.step > 0 && b.step > 0 ? fmin(a.step, b.step) : 0, 0, false, false, false };
    if (r.step == 0)
        r.err = a.err + n * b.err + (n + 1) * fz_magnitude(r) * fz_unit(dtype) * 2;
    return r;
}

static bool end_put(fz_prog *p, const put *w, fz_range r) {
    if (!w->in_place)
        return fz_gives(p, fz_result(p, w->v.dtype, w->v.rank, w->v.dims, r));
    p->stmts.at[p->stmts.n - 1].form = FZ_EFFECT;
    return true;
}

static bool make_index_put(fz_prog *p) {
    static const char *const names[] = { "index_copy", "index_fill", "index_add", "index_put" };
    const int form = fz_below(p, 4);
    put w;
    if (!begin_put(p, form == 1 || form == 3, &w) || (form == 2 && jc_dtypes[w.v.dtype].cls == 'b'))
        return false;
    if (form == 3)
        w.d = w.d > 1 ? 0 : w.d;
    const fz_size length = fz_at(p, w.index)->dims[0];
    if (fz_least(p, &w.v.dims[w.d]) <= fmax(fz_range_of(p, w.index)->hi, -1 - fz_range_of(p, w.index)->lo))
        return false;
    const bool add = form == 2 || (form == 3 && jc_dtypes[w.v.dtype].cls != 'b' && fz_chance(p, 40)), setitem = form == 3 && w.in_place && fz_chance(p, 60) && !add;
    const int k = fz_below(p, 2);
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, w.v.dims, sizeof dims);
    dims[w.d] = length;
    const int src = form == 1 ? -1 : some_source(p, &w, dims);
    if (form != 1 && (src < 0 || !fz_fits(p, w.v.rank, dims)))
        return false;
    const fz_range b = form == 1 ? fz_interval(k, k, 1) : *fz_range_of(p, src);
    const fz_range r = add ? added(*fz_range_of(p, w.x), b, (double)fz_most(p, &length), w.v.dtype) : fz_join(*fz_range_of(p, w.x), b);
    if (w.in_place && !fz_wrote(p, w.x, r))
        return false;
    fz_begin(p);
    if (setitem)
        fz_put(p, w.d ? "%v[(slice(None, None, None), %v)] = %v" : "%v[%v] = %v", w.x, w.index, src);
    else if (form == 3)
        fz_put(p, w.d ? "torch.ops.aten.index_put%s(%v, [None, %v], %v, %s)" : "torch.ops.aten.index_put%s(%v, [%v], %v, %s)", w.in_place ? "_" : "", w.x, w.index, src,
               add ? "True" : "False");
    else if (form == 1)
        fz_put(p, "%v.index_fill%s(%d, %v, %d)", w.x, w.in_place ? "_" : "", w.d, w.index, k);
    else
        fz_put(p, "%v.%s%s(%d, %v, %v)", w.x, names[form], w.in_place ? "_" : "", w.d, w.index, src);
    return end_put(p, &w, r);
}

/* Two vectors of indices: for each place one value, or what is left of the dims. */
static bool make_pairs(fz_prog *p) {
    put w;
    if (!begin_put(p, true, &w) || w.v.rank < 2 || fz_least(p, &w.v.dims[0]) < 1 || fz_least(p, &w.v.dims[1]) < 1)
        return false;
    fz_size dims[JC_MAX_RANK];
    const fz_size length = fz_int(1 + fz_below(p, 6));
    const int i = fz_param(p, JC_I64, 1, &length, fz_interval(0, (double)fz_least(p, &w.v.dims[0]) - 1, 1));
    const int j = fz_param(p, JC_I64, 1, &length, fz_interval(-1, (double)fz_least(p, &w.v.dims[1]) - 1, 1));
    dims[0] = length;
    memcpy(dims + 1, w.v.dims + 2, sizeof *dims * (size_t)(w.v.rank - 2));
    const int src = i < 0 || j < 0 ? -1 : fz_param(p, w.v.dtype, w.v.rank - 1, dims, fz_some_range(p, w.v.dtype));
    if (src < 0)
        return false;
    const fz_range r = fz_join(*fz_range_of(p, w.x), *fz_range_of(p, src));
    if (w.in_place && !fz_wrote(p, w.x, r))
        return false;
    fz_begin(p);
    fz_put(p, w.in_place ? "%v[(%v, %v)] = %v" : "torch.index_put(%v, (%v, %v), %v)", w.x, i, j, src);
    return end_put(p, &w, r);
}

static bool make_scatter(fz_prog *p) {
    static const char *const reduce[] = { "sum", "amax", "amin" };
    const int form = fz_below(p, 3), how = fz_below(p, 3);
    put w;
    if (!begin_put(p, false, &w) || (form && jc_dtypes[w.v.dtype].cls == 'b'))
        return false;
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, w.v.dims, sizeof dims);
    dims[w.d] = fz_some_size(p);
    if (!fz_fits(p, w.v.rank, dims))
        return false;
    const int index = fz_param(p, JC_I64, w.v.rank, dims, fz_interval(0, (double)fz_least(p, &w.v.dims[w.d]) - 1, 1));
    const int src = index < 0 ? -1 : some_source(p, &w, dims);
    if (src < 0)
        return false;
    const bool add = form == 1 || (form == 2 && how == 0);
    const fz_range r = add ? added(*fz_range_of(p, w.x), *fz_range_of(p, src), (double)fz_most(p, &dims[w.d]), w.v.dtype) : fz_join(*fz_range_of(p, w.x), *fz_range_of(p, src));
    if (w.in_place && !fz_wrote(p, w.x, r))
        return false;
    fz_begin(p);
    if (form == 2)
        fz_put(p, "%v.scatter_reduce%s(%d, %v, %v, '%s')", w.x, w.in_place ? "_" : "", w.d, index, src, reduce[how]);
    else
        fz_put(p, "%v.%s%s(%d, %v, %v)", w.x, form ? "scatter_add" : "scatter", w.in_place ? "_" : "", w.d, index, src);
    return end_put(p, &w, r);
}

static bool make_masked_scatter(fz_prog *p) {
    const int x = fz_choose(p, has_places, NULL);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int mask = fz_param(p, JC_B8, v.rank, v.dims, fz_interval(0, 1, 1)), src = fz_param(p, v.dtype, v.rank, v.dims, fz_some_range(p, v.dtype));
    if (mask < 0 || src < 0)
        return false;
    const fz_range r = fz_join(*fz_range_of(p, x), *fz_range_of(p, src));
    fz_begin(p);
    fz_put(p, "%v.masked_scatter(%v, %v)", x, mask, src);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* --- order: of what is exact, or wild, places are certain --- */

/* Values and places of a call that stands open. */
static bool gives_places(fz_prog *p, uint8_t dtype, int rank, const fz_size *dims, fz_range r, double most) {
    const int y = fz_result(p, dtype, rank, dims, r), i = y < 0 ? -1 : fz_result(p, JC_I64, rank, dims, fz_interval(0, fmax(0, most - 1), 1));
    fz_stmt *s = &p->stmts.at[p->stmts.n - 1];
    s->nresults = 2;
    s->result[0] = y;
    s->result[1] = i;
    s->tuple[1] = 1;
    return i >= 0;
}

static bool has_order(const fz_prog *p, int value, const void *user) {
    return fz_is_ordered(p, value, user) && fz_at(p, value)->rank > 0;
}

static bool make_sort(fz_prog *p) {
    const int x = fz_choose(p, has_order, NULL), form = fz_below(p, 3);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_chance(p, 60) ? v.rank - 1 : fz_below(p, v.rank);
    const double most = (double)fz_most(p, &v.dims[d]);
    const fz_range r = *fz_range_of(p, x);
    const char *descending = fz_chance(p, 50) ? "True" : "False";
    if (v.rank >= JC_MAX_RANK)
        return false;
    fz_begin(p)->form = form ? FZ_TUPLE : FZ_ASSIGN;
    if (form == 0) {
        fz_call(p, "argsort", x, "%d, %s", d, descending);
        return fz_gives(p, fz_result(p, JC_I64, v.rank, v.dims, fz_interval(0, fmax(0, most - 1), 1)));
    }
    fz_call(p, "sort", x, "dim = %d, descending = %s", d - v.rank, descending);
    return gives_places(p, v.dtype, v.rank, v.dims, r, most);
}

static bool make_topk(fz_prog *p) {
    const int x = fz_choose(p, has_order, NULL);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_chance(p, 70) ? v.rank - 1 : fz_below(p, v.rank), least = (int)fz_least(p, &v.dims[d]);
    const int k = least < 1 ? 0 : 1 + fz_below(p, least > 20 ? 20 : least);
    const fz_range r = *fz_range_of(p, x);
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    dims[d] = fz_int(k);
    if (k == 0 || v.rank >= JC_MAX_RANK)
        return false;
    const bool kth = fz_chance(p, 20);
    const double most = (double)fz_most(p, &v.dims[d]);
    fz_begin(p)->form = FZ_TUPLE;
    if (!kth) {
        fz_call(p, "topk", x, fz_chance(p, 50) ? "%d, %d" : "%d, %d, False", k, d);
        return gives_places(p, v.dtype, v.rank, dims, r, most);
    }
    fz_call(p, "kthvalue", x, "%d, %d", k, d);
    memmove(&dims[d], &dims[d + 1], sizeof *dims * (size_t)(v.rank - 1 - d));
    return gives_places(p, v.dtype, v.rank - 1, dims, r, most);
}

static bool make_arg_extreme(fz_prog *p) {
    const int x = fz_choose(p, has_order, NULL), form = fz_below(p, 4);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_chance(p, 60) ? v.rank - 1 : fz_below(p, v.rank);
    const double most = (double)fz_most(p, &v.dims[d]);
    fz_size dims[JC_MAX_RANK];
    int rank = 0;
    const bool keep = fz_chance(p, 40);
    for (int k = 0; k < v.rank; k++)
        if (k != d || keep)
            dims[rank++] = k == d ? fz_int(1) : v.dims[k];
    if (fz_least(p, &v.dims[d]) < 1)
        return false;
    const fz_range r = *fz_range_of(p, x);
    fz_begin(p)->form = form < 2 ? FZ_ASSIGN : FZ_TUPLE;
    fz_call(p, form == 0 ? "argmax" : form == 1 ? "argmin" : form == 2 ? "max" : "min", x, keep ? "%d, True" : "%d", d);
    return form < 2 ? fz_gives(p, fz_result(p, JC_I64, rank, dims, fz_interval(0, most - 1, 1))) : gives_places(p, v.dtype, rank, dims, r, most);
}

static bool make_search(fz_prog *p) {
    const int x = fz_choose(p, has_places, NULL);
    if (x < 0 || !fz_is_exact(p, x, NULL) || fz_at(p, x)->rank >= JC_MAX_RANK || fz_class(p, x) == 'b')
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_size n = fz_int(1 + fz_below(p, 9));
    int table = fz_param(p, v.dtype, 1, &n, *fz_range_of(p, x));
    const bool among = fz_chance(p, 40);
    if (table < 0)
        return false;
    fz_begin(p);
    if (among)
        fz_put(p, "torch.isin(%v, %v)", x, table);
    else
        fz_put(p, fz_chance(p, 50) ? "torch.bucketize(%v, %v)" : "torch.bucketize(%v, %v, right = True)", x, table);
    return fz_gives(p, fz_result(p, among ? JC_B8 : JC_I64, v.rank, v.dims, among ? fz_interval(0, 1, 1) : fz_interval(0, 9, 1)));
}

const fz_kind fz_order_kinds[] = {
    { "cumsum", make_cumsum, 4 },       { "cumprod", make_cumprod, 2 }, { "logcumsumexp", make_logcumsumexp, 1 }, { "cummax", make_cummax, 2 },
    { "index_put", make_index_put, 6 }, { "pairs", make_pairs, 2 },     { "scatter", make_scatter, 4 },           { "masked_scatter", make_masked_scatter, 1 },
    { "sort", make_sort, 3 },           { "topk", make_topk, 3 },       { "arg_extreme", make_arg_extreme, 3 },   { "search", make_search, 1 },
    { 0 },
};
