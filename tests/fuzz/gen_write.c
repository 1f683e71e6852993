/*
 * tests/fuzz/gen_write.c - statements that write: copies into views, in-place arithmetic, operators of the host.
 *
 * What is written is never read by the same statement through another view, as PyTorch demands; everything else about overlapping is
 * allowed.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool target(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_writable(p, value) && fz_computable(p, value, NULL);
}

/* Views before what owns its storage. */
int fz_some_target(fz_prog *p) {
    int x = fz_choose(p, target, NULL);
    for (int tries = 0; tries < 3 && x >= 0 && !fz_at(p, x)->view; tries++)
        x = fz_choose(p, target, NULL);
    return x >= 0 ? x : fz_some(p, target, JC_DTYPE_COUNT);
}

/* SRC broadcasts to DST's dims and lies elsewhere. */
typedef struct source {
    int dst;
    bool arithmetic; /* no dtype above the destination's */
} source;

static bool is_source(const fz_prog *p, int value, const void *user) {
    const source *s = user;
    const fz_value *d = fz_at(p, s->dst), *v = fz_at(p, value);
    fz_size dims[JC_MAX_RANK];
    int rank;
    if (v->storage == d->storage || v->rank > d->rank || !fz_computable(p, value, NULL) || !fz_broadcast(p, d, v, &rank, dims))
        return false;
    for (int i = 0; i < rank; i++)
        if (!fz_same(p, &dims[i], &d->dims[i]))
            return false;
    return !s->arithmetic || v->dtype == d->dtype;
}

static int some_source(fz_prog *p, int dst, bool arithmetic) {
    const source s = { dst, arithmetic };
    int x = fz_chance(p, 75) ? fz_choose(p, is_source, &s) : -1;
    if (x >= 0)
        return x;
    const fz_value v = *fz_at(p, dst);
    fz_size dims[JC_MAX_RANK];
    const int skip = v.rank && fz_chance(p, 20) ? 1 : 0;
    for (int d = skip; d < v.rank; d++)
        dims[d - skip] = fz_chance(p, 10) ? fz_int(1) : v.dims[d];
    const uint8_t dtype = arithmetic || fz_chance(p, 80) ? v.dtype : fz_some_dtype(p);
    return fz_param(p, dtype, v.rank - skip, dims, fz_some_range(p, dtype));
}

/* A result that is DST itself. */
static bool gives_target(fz_prog *p, int dst) {
    const fz_value v = *fz_at(p, dst);
    const int y = fz_view(p, dst, v.dtype, v.rank, v.dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

static bool make_copy(fz_prog *p) {
    const int dst = fz_some_target(p);
    const int src = dst < 0 ? -1 : some_source(p, dst, false);
    if (src < 0)
        return false;
    fz_range r = *fz_range_of(p, src);
    if (!fz_cast_range(&r, fz_at(p, src)->dtype, fz_at(p, dst)->dtype) || !fz_wrote(p, dst, r))
        return false;
    const int form = fz_below(p, 4);
    fz_begin(p);
    if (form == 0 && fz_at(p, dst)->rank) {
        p->stmts.at[p->stmts.n - 1].form = FZ_EFFECT;
        fz_put(p, "%v[Ellipsis] = %v", dst, src);
        return true;
    }
    fz_call(p, "copy_", dst, "%v", src);
    return gives_target(p, dst);
}

/* x[a:b] = y without a name for the view. */
static bool make_setitem(fz_prog *p) {
    const int dst = fz_some_target(p);
    if (dst < 0 || fz_at(p, dst)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, dst);
    const int d = fz_below(p, v.rank), least = (int)fz_least(p, &v.dims[d]);
    if (least < 1)
        return false;
    const int start = fz_below(p, least), length = 1 + fz_below(p, least - start);
    const bool number = fz_chance(p, 30);
    const int k = fz_below(p, 4);
    fz_range r = fz_interval(k, k, 1);
    if (jc_dtypes[v.dtype].cls == 'b')
        r = fz_interval(0, 1, 1);
    int src = -1;
    if (!number) {
        fz_size dims[JC_MAX_RANK];
        memcpy(dims, v.dims, sizeof dims);
        dims[d] = fz_int(length);
        const size_t before = p->values.n;
        const int slice = fz_view(p, dst, v.dtype, v.rank, dims); /* to have something to broadcast to */
        src = slice < 0 ? -1 : some_source(p, slice, false);
        if (src < 0)
            return false;
        if ((size_t)src == before + 1) { /* a parameter took the place after the view's */
            p->values.at[before] = p->values.at[before + 1];
            snprintf(p->values.at[before].name, sizeof p->values.at[before].name, "p%u", (unsigned)before);
            src = (int)before;
        }
        p->values.n = (size_t)src == before ? before + 1 : before;
        r = *fz_range_of(p, src);
        if (!fz_cast_range(&r, fz_at(p, src)->dtype, v.dtype))
            return false;
    }
    if (!fz_wrote(p, dst, r))
        return false;
    fz_begin(p)->form = FZ_EFFECT;
    fz_put(p, "%v[(", dst);
    for (int i = 0; i < d; i++)
        fz_put(p, "slice(None, None, None), ");
    fz_put(p, d == 0 ? "slice(%d, %d, None),)] = " : "slice(%d, %d, None))] = ", start, start + length);
    if (number)
        fz_put(p, "%d", k);
    else
        fz_put(p, "%v", src);
    return true;
}

static bool make_fill(fz_prog *p) {
    const int dst = fz_some_target(p), k = fz_below(p, 3);
    if (dst < 0 || !fz_wrote(p, dst, fz_interval(k, k, 1)))
        return false;
    fz_begin(p);
    if (k)
        fz_call(p, "fill_", dst, "%d", jc_dtypes[fz_at(p, dst)->dtype].cls == 'b' ? 1 : k);
    else
        fz_call(p, "zero_", dst, "");
    return gives_target(p, dst);
}

/* x += y, x.mul_(y) */
static bool make_in_place(fz_prog *p) {
    const int dst = fz_some_target(p), k = fz_below(p, 5);
    const struct fz_binary *op = &fz_binaries[k < 2 ? k : k == 2 ? 3 : k == 3 ? 1 : 0];
    if (dst < 0 || fz_class(p, dst) == 'b')
        return false;
    const bool floating = fz_class(p, dst) == 'f', number = fz_chance(p, 35), self = !number && fz_chance(p, 10);
    const int src = number ? -1 : self ? dst : some_source(p, dst, true);
    if (!number && src < 0)
        return false;
    const double x = floating ? fz_pick_number(p, -2, 2, 0.5) : fz_pick_number(p, 0, 3, 1);
    fz_range r = { 0 };
    if (!op->arith(*fz_range_of(p, dst), number ? fz_interval(x, x, floating ? 0.5 : 1) : *fz_range_of(p, src), &r) ||
        !fz_wrote(p, dst, r))
        return false;
    const char *text = jc_arena_printf(p->arena, floating ? "%.1f" : "%.0f", x);
    fz_begin(p);
    if (fz_chance(p, 40)) {
        p->stmts.at[p->stmts.n - 1].form = FZ_EFFECT;
        if (number)
            fz_put(p, "%v %s= %s", dst, op->infix, text);
        else
            fz_put(p, "%v %s= %v", dst, op->infix, src);
        return true;
    }
    if (number)
        fz_call_in_place(p, op->name, dst, "%s", text);
    else
        fz_call_in_place(p, op->name, dst, "%v", src);
    return gives_target(p, dst);
}

static double f_sigmoid(double x) { return 1 / (1 + exp(-x)); }

static bool make_in_place_function(fz_prog *p) {
    static const struct {
        const char *name, *rest;
        double (*f)(double);
    } functions[] = { { "tanh", "", tanh }, { "sigmoid", "", f_sigmoid }, { "relu", "", NULL }, { "neg", "", NULL }, { "clamp", "-1, 1", NULL }, { "sin", "", sin } };
    const int dst = fz_some_target(p), k = fz_below(p, 6);
    if (dst < 0 || fz_class(p, dst) != 'f')
        return false;
    fz_range r = *fz_range_of(p, dst);
    if (functions[k].f ? !fz_apply(functions[k].f, -20, 20, &r) : false)
        return false;
    if (!functions[k].f) {
        const double m = fz_magnitude(r);
        r.lo = fmin(-m, -1);
        r.hi = fmax(m, 1);
        r.step = fmin(r.step, 1);
    }
    if (!fz_wrote(p, dst, r))
        return false;
    fz_begin(p);
    fz_call_in_place(p, functions[k].name, dst, "%s", functions[k].rest);
    return gives_target(p, dst);
}

/* --- operators of the host (fuzz_ops.c): they move elements, so that their dtype is nothing to them --- */

static bool make_touch(fz_prog *p) {
    const int x = fz_some_target(p);
    if (x < 0)
        return false;
    p->custom = true;
    p->storages.at[fz_at(p, x)->storage].written = true;
    fz_begin(p)->form = FZ_EFFECT;
    fz_put(p, "torch.ops.fuzz.touch(%v)", x);
    return true;
}

typedef struct like {
    const fz_value *v;
} like;

static bool is_like(const fz_prog *p, int value, const void *user) {
    const fz_value *v = ((const like *)user)->v, *w = fz_at(p, value);
    if (!target(p, value, NULL) || v->dtype != w->dtype || v->rank != w->rank)
        return false;
    for (int d = 0; d < v->rank; d++)
        if (!fz_same(p, &v->dims[d], &w->dims[d]))
            return false;
    return true;
}

/* Every other element of each. */
static bool make_mix(fz_prog *p) {
    const int x = fz_some_target(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const like l = { &v };
    const int y = fz_choose(p, is_like, &l);
    const fz_range r = fz_join(*fz_range_of(p, x), *fz_range_of(p, y));
    p->custom = true;
    p->storages.at[fz_at(p, x)->storage].written = p->storages.at[fz_at(p, y)->storage].written = true;
    fz_begin(p)->noted = true;
    fz_put(p, "torch.ops.fuzz.mix(%v, %v)", x, y);
    p->stmts.at[p->stmts.n - 1].noted = true;
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* An operator that is known to write nothing, with a literal that is lifted. */
static bool make_turn(fz_prog *p) {
    const int x = fz_some(p, fz_computable, JC_DTYPE_COUNT);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_range r = *fz_range_of(p, x);
    p->custom = true;
    fz_begin(p)->noted = true;
    fz_put(p, "torch.ops.vllm.all_reduce(%v, group_name = 'g%d')", x, fz_below(p, 3));
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

const fz_kind fz_write_kinds[] = {
    { "copy", make_copy, 8 },         { "setitem", make_setitem, 5 }, { "fill", make_fill, 3 },
    { "in_place", make_in_place, 9 }, { "in_place_function", make_in_place_function, 3 },
    { "touch", make_touch, 3 },       { "mix", make_mix, 2 },         { "turn", make_turn, 2 },
    { 0 },
};
