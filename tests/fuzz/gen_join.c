/*
 * tests/fuzz/gen_join.c - statements that move elements: repeats, joins, padding, gathers.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

/* x.repeat, repeat_interleave: copies. */
static bool make_repeat(fz_prog *p) {
    const int x = fz_some_tensor(p), n = 1 + fz_below(p, 3);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    const fz_range r = *fz_range_of(p, x);
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    dims[d] = fz_mul(p, dims[d], fz_int(n));
    fz_begin(p);
    if (fz_chance(p, 50)) {
        fz_call(p, "repeat_interleave", x, "%d, dim = %d", n, d);
    } else {
        fz_put(p, "%v.repeat(", x);
        for (int i = 0; i < v.rank; i++)
            fz_put(p, i ? ", %d" : "%d", i == d ? n : 1);
        fz_put(p, ")");
    }
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, r));
}

/* --- joins --- */

typedef struct joinable {
    const fz_value *v;
    int dim; /* may differ; -1: none */
} joinable;

static bool joins(const fz_prog *p, int value, const void *user) {
    const joinable *j = user;
    const fz_value *v = fz_at(p, value);
    if (v->dtype != j->v->dtype || v->rank != j->v->rank)
        return false;
    for (int d = 0; d < v->rank; d++)
        if (d != j->dim && !fz_same(p, &v->dims[d], &j->v->dims[d]))
            return false;
    return true;
}

static bool make_cat(fz_prog *p) {
    static const char *const names[] = { "torch.cat", "torch.cat", "torch.concat", "torch.ops.aten.cat.default" };
    const int x = fz_some_tensor(p), n = fz_chance(p, 95) ? 1 + fz_below(p, 4) : 5 + fz_below(p, 16);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool stack = fz_chance(p, 35);
    const joinable j = { &v, stack ? -1 : fz_below(p, v.rank) };
    fz_range r = *fz_range_of(p, x);
    fz_size dims[JC_MAX_RANK + 1], sum = v.dims[stack ? 0 : j.dim];
    int parts[32];
    parts[0] = x;
    for (int i = 1; i < n; i++) {
        parts[i] = fz_choose(p, joins, &j);
        r = fz_join(r, *fz_range_of(p, parts[i]));
        if (!stack)
            sum = fz_add(p, sum, fz_at(p, parts[i])->dims[j.dim]);
    }
    const int at = stack ? fz_below(p, v.rank + 1) : j.dim, named = fz_chance(p, 60), list = fz_chance(p, 50);
    fz_begin(p);
    fz_put(p, "%s(%s", stack ? (fz_chance(p, 80) ? "torch.stack" : "torch.ops.aten.stack.default") : FZ_PICK(p, names), list ? "[" : "(");
    for (int i = 0; i < n; i++)
        fz_put(p, n == 1 && !list ? "%v, " : i ? ", %v" : "%v", parts[i]);
    fz_put(p, named ? "%s, dim = %d)" : "%s, %d)", list ? "]" : ")", at - (fz_chance(p, 50) ? v.rank + stack : 0));
    memcpy(dims, v.dims, sizeof *dims * (size_t)at);
    dims[at] = stack ? fz_int(n) : sum;
    memcpy(&dims[at + 1], &v.dims[at + !stack], sizeof *dims * (size_t)(v.rank - at - !stack));
    return fz_gives(p, fz_result(p, v.dtype, v.rank + stack, dims, r));
}

static bool make_pad(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int n = 1 + fz_below(p, v.rank), k = fz_below(p, 4);
    if (jc_dtypes[v.dtype].size == 1 && jc_dtypes[v.dtype].cls == 'f')
        return false;
    fz_range r = fz_join(*fz_range_of(p, x), fz_interval(k, k, 1));
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    if (jc_dtypes[v.dtype].cls == 'b')
        r = fz_interval(0, 1, 1);
    fz_begin(p);
    const bool functional = fz_chance(p, 60);
    fz_put(p, functional ? "torch.nn.functional.pad(%v, (" : "torch.constant_pad_nd(%v, [", x);
    for (int i = 0; i < n; i++) {
        const int before = fz_below(p, 4), after = fz_below(p, 4);
        dims[v.rank - 1 - i] = fz_add(p, dims[v.rank - 1 - i], fz_int(before + after));
        fz_put(p, i ? ", %d, %d" : "%d, %d", before, after);
    }
    fz_put(p, functional ? "), 'constant', %d)" : "], %d)", k);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, r));
}

/* --- gathers --- */

typedef struct indices {
    int64_t size;
    bool wrap, vector;
} indices;

static bool is_index(const fz_prog *p, int value, const void *user) {
    const indices *i = user;
    const fz_value *v = fz_at(p, value);
    const fz_range *r = fz_range_of(p, value);
    return (v->dtype == JC_I32 || v->dtype == JC_I64) && r->lo >= (i->wrap ? -(double)i->size : 0) && r->hi < (double)i->size &&
           (!i->vector || v->rank == 1);
}

int fz_some_index(fz_prog *p, int64_t size, bool wrap, bool vector) {
    const indices all = { size, wrap, vector }, *i = &all;
    int x = fz_chance(p, 70) ? fz_choose(p, is_index, i) : -1;
    if (x >= 0)
        return x;
    fz_size dims[2];
    const int rank = i->vector || fz_chance(p, 70) ? 1 : fz_below(p, 3);
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    return fz_param(p, fz_chance(p, 50) ? JC_I64 : JC_I32, rank, dims,
                    fz_interval(i->wrap && fz_chance(p, 40) ? -(double)i->size : 0, (double)i->size - 1, 1));
}

static bool make_take(fz_prog *p) {
    const int x = fz_some_tensor(p), form = fz_below(p, 5);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool embedding = form == 0, select = form == 1 || form == 2;
    const int d = embedding ? 0 : select ? fz_below(p, v.rank) : fz_below(p, v.rank < 2 ? 1 : 2);
    const indices want = { fz_least(p, &v.dims[d]), !embedding && !select, select };
    if (want.size < 1 || (embedding && v.rank != 2))
        return false;
    const int i = fz_some_index(p, want.size, want.wrap, want.vector);
    if (i < 0)
        return false;
    const fz_value iv = *fz_at(p, i);
    const fz_range r = *fz_range_of(p, x);
    fz_size dims[3 * JC_MAX_RANK];
    int rank = 0;
    for (int k = 0; k < v.rank; k++) {
        if (k != d)
            dims[rank++] = v.dims[k];
        for (int q = 0; k == d && q < iv.rank; q++)
            dims[rank++] = iv.dims[q];
    }
    fz_begin(p);
    if (embedding && fz_chance(p, 60))
        fz_put(p, "torch.nn.functional.embedding(%v, %v)", i, x);
    else if (embedding)
        fz_put(p, "torch.ops.aten.embedding.default(%v, %v)", x, i);
    else if (select)
        fz_call(p, "index_select", x, "%d, %v", d, i);
    else if (form == 3)
        fz_put(p, d ? "torch.ops.aten.index.Tensor(%v, [None, %v])" : "torch.ops.aten.index.Tensor(%v, [%v])", x, i);
    else
        fz_put(p, d ? "%v[(slice(None, None, None), %v)]" : "%v[%v]", x, i);
    const bool view = !embedding && !select && form != 3 && iv.rank == 0; /* a row, as by a number */
    return fz_gives(p, view ? fz_view(p, x, v.dtype, rank, dims) : fz_result(p, v.dtype, rank, dims, r));
}

/* Indices that broadcast to DIMS. */
static int index_onto(fz_prog *p, int rank, const fz_size *dims, int64_t size, bool wrap) {
    fz_size own[JC_MAX_RANK];
    const int left = fz_chance(p, 30) ? fz_below(p, rank + 1) : rank;
    for (int d = 0; d < left; d++)
        own[d] = fz_chance(p, 15) ? fz_int(1) : dims[rank - left + d];
    return fz_param(p, fz_chance(p, 70) ? JC_I64 : JC_I32, left, own, fz_interval(wrap && fz_chance(p, 40) ? -(double)size : 0, (double)size - 1, 1));
}

/* Several indices: neighbours, or with a slice between them. */
static bool make_pick(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0 || fz_at(p, x)->rank < 2)
        return false;
    const fz_value v = *fz_at(p, x);
    const int common = fz_below(p, 3), gap = v.rank > 2 && fz_chance(p, 40), first = fz_below(p, v.rank - 1 - gap), second = first + 1 + gap;
    fz_size dims[2 * JC_MAX_RANK], own[2];
    int at[2], rank = 0;
    if (fz_least(p, &v.dims[first]) < 1 || fz_least(p, &v.dims[second]) < 1)
        return false;
    for (int d = 0; d < common; d++)
        own[d] = fz_some_size(p);
    at[0] = fz_param(p, JC_I64, common, own, fz_interval(-(double)fz_least(p, &v.dims[first]), (double)fz_least(p, &v.dims[first]) - 1, 1));
    at[1] = index_onto(p, common, own, fz_least(p, &v.dims[second]), true);
    if (at[0] < 0 || at[1] < 0 || (common && !fz_at(p, at[1])->rank && gap)) /* an integer: it comes first, and the others stay */
        return false;
    for (int d = 0; d < common && gap; d++)
        dims[rank++] = own[d];
    for (int d = 0; d < v.rank; d++) {
        for (int q = 0; d == first && !gap && q < common; q++)
            dims[rank++] = own[q];
        if (d != first && d != second)
            dims[rank++] = v.dims[d];
    }
    fz_begin(p);
    fz_put(p, "%v[(", x);
    for (int d = 0; d < first; d++)
        fz_put(p, "slice(None, None, None), ");
    fz_put(p, gap ? "%v, slice(None, None, None), %v)]" : "%v, %v)]", at[0], at[1]);
    return fz_gives(p, common ? fz_result(p, v.dtype, rank, dims, *fz_range_of(p, x)) : fz_view(p, x, v.dtype, rank, dims));
}

static bool make_gather(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    fz_size dims[JC_MAX_RANK];
    if (fz_least(p, &v.dims[d]) < 1)
        return false;
    for (int k = 0; k < v.rank; k++)
        dims[k] = k == d ? fz_some_size(p) : fz_chance(p, 20) && fz_least(p, &v.dims[k]) >= 1 ? fz_int(1) : v.dims[k];
    const int i = fz_param(p, JC_I64, v.rank, dims, fz_interval(0, (double)fz_least(p, &v.dims[d]) - 1, 1));
    if (i < 0)
        return false;
    fz_begin(p);
    fz_call(p, "gather", x, "%d, %v", d, i);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, *fz_range_of(p, x)));
}

static bool make_turn(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    fz_begin(p);
    if (fz_chance(p, 50))
        fz_put(p, "torch.flip(%v, [%d])", x, d);
    else
        fz_call(p, "roll", x, "%d, %d", fz_below(p, 9) - 4, d);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, *fz_range_of(p, x)));
}

static bool make_triangle(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0 || fz_at(p, x)->rank < 2 || (jc_dtypes[fz_at(p, x)->dtype].size == 1 && fz_class(p, x) == 'f'))
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_range r = fz_join(*fz_range_of(p, x), fz_interval(0, 0, 1));
    fz_begin(p);
    fz_call(p, fz_chance(p, 50) ? "tril" : "triu", x, "%d", fz_below(p, 5) - 2);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* By what is at the edges: of two dims at most, within what there is. */
static bool make_pad_edges(fz_prog *p) {
    static const char *const modes[] = { "reflect", "replicate", "circular" };
    const int x = fz_some_tensor(p), mode = fz_below(p, 3);
    if (x < 0 || fz_at(p, x)->rank < 2)
        return false;
    const fz_value v = *fz_at(p, x);
    const int n = v.rank > 2 && fz_chance(p, 40) ? 2 : 1;
    fz_size dims[JC_MAX_RANK];
    int by[4];
    memcpy(dims, v.dims, sizeof dims);
    for (int k = 0; k < n; k++) {
        fz_size *d = &dims[v.rank - 1 - k];
        const int64_t most = mode == 0 ? fz_least(p, d) - 1 : mode == 1 ? 3 : fz_least(p, d);
        if (fz_least(p, d) < 2)
            return false;
        for (int s = 0; s < 2; s++)
            by[2 * k + s] = fz_below(p, most > 3 ? 4 : (int)most + 1);
        *d = fz_add(p, *d, fz_int(by[2 * k] + by[2 * k + 1]));
    }
    fz_begin(p);
    if (n == 2)
        fz_put(p, "torch.nn.functional.pad(%v, (%d, %d, %d, %d), mode = '%s')", x, by[0], by[1], by[2], by[3], modes[mode]);
    else
        fz_put(p, "torch.nn.functional.pad(%v, (%d, %d), '%s')", x, by[0], by[1], modes[mode]);
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, *fz_range_of(p, x)));
}

const fz_kind fz_join_kinds[] = {
    { "repeat", make_repeat, 3 }, { "cat", make_cat, 9 }, { "pad", make_pad, 3 }, { "take", make_take, 7 }, { "pick", make_pick, 4 }, { "gather", make_gather, 3 },
    { "turn", make_turn, 3 }, { "triangle", make_triangle, 2 }, { "pad_edges", make_pad_edges, 2 }, { 0 },
};
