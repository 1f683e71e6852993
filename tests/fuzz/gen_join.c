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

static int some_index(fz_prog *p, const indices *i) {
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
    const int i = some_index(p, &want);
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
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

const fz_kind fz_join_kinds[] = {
    { "repeat", make_repeat, 3 }, { "cat", make_cat, 9 }, { "pad", make_pad, 3 }, { "take", make_take, 7 }, { 0 },
};
