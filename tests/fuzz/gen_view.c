/*
 * tests/fuzz/gen_view.c - statements that name elements: shapes, permutations, slices, expansion, other bits.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static bool any(const fz_prog *p, int value, const void *user) {
    (void)user;
    return fz_at(p, value)->kind == JC_TENSOR;
}

static bool has_dims(const fz_prog *p, int value, const void *user) {
    return any(p, value, user) && fz_at(p, value)->rank > 0;
}

int fz_some_tensor(fz_prog *p) {
    int x = fz_choose(p, has_dims, NULL);
    if (x >= 0 && fz_chance(p, 90))
        return x;
    fz_size dims[4];
    const int rank = 1 + fz_below(p, 4);
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    const uint8_t dtype = fz_some_dtype(p);
    x = fz_param(p, dtype, rank, dims, fz_some_range(p, dtype));
    fz_make_wild(p, x, NULL);
    return x;
}

static void put_sizes(fz_prog *p, const fz_size *dims, int rank, int hole) {
    for (int d = 0; d < rank; d++) {
        if (d)
            fz_put(p, ", ");
        if (d == hole)
            fz_put(p, "-1");
        else
            fz_put(p, "%z", &dims[d]);
    }
}

/* --- shapes --- */

/* Two neighbours in one, or one in two. */
static bool reshape_dims(fz_prog *p, const fz_value *v, fz_size *dims, int *rank) {
    static const uint8_t factors[] = { 2, 2, 3, 4, 4, 8, 1 };
    memcpy(dims, v->dims, sizeof *dims * v->rank);
    *rank = v->rank;
    for (int times = 1 + fz_below(p, 2); times-- > 0;) {
        const int d = fz_below(p, *rank);
        fz_size q;
        if (d + 1 < *rank && fz_chance(p, 50)) {
            dims[d] = fz_mul(p, dims[d], dims[d + 1]);
            memmove(&dims[d + 1], &dims[d + 2], sizeof *dims * (size_t)(*rank - d - 2));
            --*rank;
            continue;
        }
        const int f = FZ_PICK(p, factors);
        if (*rank >= 6 || !fz_divides(p, &dims[d], f, &q))
            continue;
        memmove(&dims[d + 1], &dims[d], sizeof *dims * (size_t)(*rank - d));
        const bool first = fz_chance(p, 50);
        dims[d] = first ? fz_int(f) : q;
        dims[d + 1] = first ? q : fz_int(f);
        ++*rank;
    }
    return !p->bad;
}

static bool holds_zero(const fz_prog *p, const fz_size *dims, int rank, int but) {
    for (int d = 0; d < rank; d++)
        if (d != but && fz_least(p, &dims[d]) == 0)
            return true;
    return false;
}

static bool make_reshape(fz_prog *p) {
    const int x = fz_some_tensor(p);
    fz_size dims[JC_MAX_RANK + 2];
    int rank, hole = -1;
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    if (!reshape_dims(p, &v, dims, &rank))
        return false;
    const bool view = v.contiguous && fz_chance(p, 60);
    if (fz_chance(p, 50)) {
        hole = fz_below(p, rank);
        if (holds_zero(p, dims, rank, hole))
            hole = -1; /* 0 elements say nothing of a -1 */
    }
    fz_begin(p);
    const int form = fz_below(p, 4);
    const char *name = view ? "view" : "reshape";
    if (form < 3)
        fz_put(p, form == 0 ? "%v.%s(" : form == 1 ? "%v.%s((" : "%v.%s([", x, name);
    else
        fz_put(p, view ? "torch.ops.aten.%s.default(%v, [" : "torch.%s(%v, (", name, x);
    put_sizes(p, dims, rank, hole);
    fz_put(p, form == 0 ? ")" : form == 1 || (form == 3 && !view) ? (rank == 1 ? ",))" : "))") : "])");
    const int y = fz_view(p, x, v.dtype, rank, dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

static bool make_flatten(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int from = fz_below(p, v.rank), to = from + fz_below(p, v.rank - from);
    fz_size dims[JC_MAX_RANK], all = fz_int(1);
    int rank = 0;
    for (int d = 0; d < v.rank; d++) {
        if (d >= from && d <= to)
            all = fz_mul(p, all, v.dims[d]);
        if (d < from || d > to)
            dims[rank++] = v.dims[d];
        else if (d == to)
            dims[rank++] = all;
    }
    fz_begin(p);
    if (from == 0 && to == v.rank - 1 && fz_chance(p, 50))
        fz_call(p, "flatten", x, "");
    else if (to == v.rank - 1 && fz_chance(p, 50))
        fz_call(p, "flatten", x, "%d", from);
    else
        fz_call(p, "flatten", x, "%d, %d", from - v.rank, to);
    const int y = fz_view(p, x, v.dtype, rank, dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

static bool make_unflatten(fz_prog *p) {
    const int x = fz_some_tensor(p), f = 1 + fz_below(p, 4);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    fz_size dims[JC_MAX_RANK + 1], q;
    if (!fz_divides(p, &v.dims[d], f, &q) || v.rank >= 6)
        return false;
    memcpy(dims, v.dims, sizeof *dims * (size_t)d);
    dims[d] = fz_int(f);
    dims[d + 1] = q;
    memcpy(dims + d + 2, v.dims + d + 1, sizeof *dims * (size_t)(v.rank - d - 1));
    fz_begin(p);
    fz_call(p, "unflatten", x, "%d, (%d, %z)", d - v.rank, f, &q);
    const int y = fz_view(p, x, v.dtype, v.rank + 1, dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

static bool make_unsqueeze(fz_prog *p) {
    const int x = fz_chance(p, 80) ? fz_some_tensor(p) : fz_choose(p, any, NULL);
    if (x < 0 || fz_at(p, x)->rank >= 6)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank + 1);
    fz_size dims[JC_MAX_RANK + 1];
    memcpy(dims, v.dims, sizeof *dims * (size_t)d);
    dims[d] = fz_int(1);
    memcpy(dims + d + 1, v.dims + d, sizeof *dims * (size_t)(v.rank - d));
    fz_begin(p);
    if (d == 0 && fz_chance(p, 30))
        fz_put(p, "%v[None]", x);
    else
        fz_call(p, "unsqueeze", x, "%d", fz_chance(p, 50) ? d : d - v.rank - 1);
    const int y = fz_view(p, x, v.dtype, v.rank + 1, dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

static bool has_one(const fz_prog *p, int value, const void *user) {
    const fz_value *v = fz_at(p, value);
    for (int d = 0; any(p, value, user) && d < v->rank; d++)
        if (fz_is(p, &v->dims[d], 1))
            return true;
    return false;
}

static bool make_squeeze(fz_prog *p) {
    const int x = fz_choose(p, has_one, NULL);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_size dims[JC_MAX_RANK];
    int at = fz_below(p, v.rank), rank = 0;
    const bool whole = fz_chance(p, 30);
    while (!fz_is(p, &v.dims[at], 1))
        at = (at + 1) % v.rank;
    for (int d = 0; d < v.rank; d++)
        if (whole ? !fz_is(p, &v.dims[d], 1) : d != at)
            dims[rank++] = v.dims[d];
    for (int d = 0; whole && d < v.rank; d++) /* a symbol that is 1 is no 1 in the text, but in PyTorch */
        if (!fz_is(p, &v.dims[d], 1) && fz_least(p, &v.dims[d]) <= 1 && fz_most(p, &v.dims[d]) >= 1)
            return false;
    fz_begin(p)->noted = true; /* a size that is 1 in all runs need not be so by its text */
    if (whole)
        fz_call(p, "squeeze", x, "");
    else
        fz_call(p, "squeeze", x, "%d", at);
    const int y = fz_view(p, x, v.dtype, rank, dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

/* --- permutations --- */

static bool make_permute(fz_prog *p) {
    const int x = fz_some_tensor(p), form = fz_below(p, 5);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_size dims[JC_MAX_RANK];
    int order[JC_MAX_RANK], a = fz_below(p, v.rank), b = fz_below(p, v.rank);
    for (int d = 0; d < v.rank; d++)
        order[d] = d;
    fz_begin(p);
    if (form == 0) {
        for (int d = 0; d < v.rank; d++) {
            const int k = fz_below(p, v.rank), t = order[d];
            order[d] = order[k];
            order[k] = t;
        }
        fz_put(p, "%v.permute(", x);
        for (int d = 0; d < v.rank; d++)
            fz_put(p, d ? ", %d" : "%d", order[d]);
        fz_put(p, ")");
    } else if (form == 1 && v.rank == 2) {
        order[0] = 1;
        order[1] = 0;
        if (fz_chance(p, 50))
            fz_put(p, "%v.T", x);
        else
            fz_call(p, "t", x, "");
    } else if (form == 2) {
        for (int d = 0, k = 0; d < v.rank; d++) {
            k += k == a;
            order[d] = d == b ? a : k++;
        }
        fz_call(p, "movedim", x, "%d, %d", a, b - v.rank);
    } else {
        order[a] = b;
        order[b] = a;
        fz_call(p, form == 3 ? "transpose" : fz_chance(p, 50) ? "swapaxes" : "swapdims", x, "%d, %d", a - v.rank, b);
    }
    for (int d = 0; d < v.rank; d++)
        dims[d] = v.dims[order[d]];
    return fz_gives(p, fz_view(p, x, v.dtype, v.rank, dims));
}

/* --- slices --- */

/* A bound for a slice of SIZE: small numbers of either sign, sizes, and sizes less something. */
static bool some_bound(fz_prog *p, const fz_size *size, fz_size *out) {
    const int k = fz_below(p, 10);
    if (k < 4)
        *out = fz_int(fz_below(p, 8));
    else if (k < 6)
        *out = fz_int(-1 - fz_below(p, 5));
    else if (k == 6)
        *out = fz_sub(p, *size, fz_int(fz_below(p, 4)));
    else if (k == 7)
        *out = fz_var_size(p, fz_below(p, p->nvars));
    else if (k == 8)
        *out = fz_sub(p, fz_int(0), fz_var_size(p, fz_below(p, p->nvars)));
    else
        *out = fz_fdiv(p, *size, 2);
    return !p->bad;
}

/* Where a bound lies in [0, SIZE]: Python's rules, with sizes that may be anything. */
static fz_size clamped(fz_prog *p, fz_size bound, fz_size size) {
    if (fz_least(p, &bound) < 0) {
        if (fz_most(p, &bound) >= 0) {
            p->bad = true; /* from the front in one run, from the end in another */
            return bound;
        }
        return fz_max(p, fz_int(0), fz_add(p, size, bound));
    }
    fz_size rest = fz_sub(p, size, bound);
    int64_t k;
    if (fz_is_const(p, &rest, &k) && k >= 0)
        return bound;
    return fz_min(p, bound, size);
}

static const char *none = "None";

static void put_bound(fz_prog *p, bool given, const fz_size *b) {
    if (given)
        fz_put(p, "%z", b);
    else
        fz_put(p, none);
}

static bool make_slice(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank), step = fz_chance(p, 75) ? 1 : 2 + fz_below(p, 2);
    const bool start = fz_chance(p, 60), end = fz_chance(p, 60);
    fz_size from = fz_int(0), to = v.dims[d], a = fz_int(0), b = fz_int(0), dims[JC_MAX_RANK];
    if (start && some_bound(p, &v.dims[d], &a))
        from = clamped(p, a, v.dims[d]);
    if (end && some_bound(p, &v.dims[d], &b))
        to = clamped(p, b, v.dims[d]);
    fz_size length = fz_max(p, fz_int(0), fz_sub(p, to, from));
    if (p->bad)
        return false;
    fz_size plain = fz_sub(p, to, from);
    int64_t k;
    if (fz_is_const(p, &plain, &k) ? k >= 0 : !start)
        length = plain;
    if (step > 1)
        length = fz_fdiv(p, fz_add(p, length, fz_int(step - 1)), step);
    memcpy(dims, v.dims, sizeof dims);
    dims[d] = length;
    fz_begin(p);
    if (fz_chance(p, 25)) {
        fz_put(p, "torch.ops.aten.slice.Tensor(%v, %d, ", x, d);
        put_bound(p, start, &a);
        fz_put(p, ", ");
        put_bound(p, end, &b);
        fz_put(p, step > 1 ? ", %d)" : ")", step);
    } else {
        const bool dots = d == v.rank - 1 && d > 0;
        fz_put(p, "%v[(", x);
        for (int i = 0; i < d && !(dots && i); i++)
            fz_put(p, dots ? "Ellipsis, " : "slice(None, None, None), ");
        fz_put(p, "slice(");
        put_bound(p, start, &a);
        fz_put(p, ", ");
        put_bound(p, end, &b);
        fz_put(p, step > 1 ? ", %d)" : ", None)", step);
        fz_put(p, d == 0 ? ",)]" : ")]");
    }
    return fz_gives(p, fz_view(p, x, v.dtype, v.rank, dims));
}

static bool make_narrow(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank), least = (int)fz_least(p, &v.dims[d]);
    if (least < 1)
        return false;
    const int start = fz_below(p, least), length = 1 + fz_below(p, least - start);
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    dims[d] = fz_int(length);
    fz_begin(p);
    fz_call(p, "narrow", x, "%d, %d, %d", d, start, length);
    return fz_gives(p, fz_view(p, x, v.dtype, v.rank, dims));
}

static bool make_select(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_chance(p, 50) ? 0 : fz_below(p, v.rank), least = (int)fz_least(p, &v.dims[d]);
    fz_size dims[JC_MAX_RANK];
    if (least < 1)
        return false;
    memcpy(dims, v.dims, sizeof dims);
    memmove(&dims[d], &dims[d + 1], sizeof *dims * (size_t)(v.rank - d - 1));
    const int i = fz_chance(p, 70) ? fz_below(p, least) : -1 - fz_below(p, least);
    fz_begin(p);
    if (d == 0 && fz_chance(p, 50))
        fz_put(p, "%v[%d]", x, i);
    else if (d == v.rank - 1 && fz_chance(p, 50))
        fz_put(p, "%v[(Ellipsis, %d)]", x, i);
    else
        fz_call(p, "select", x, "%d, %d", d, i);
    return fz_gives(p, fz_view(p, x, v.dtype, v.rank - 1, dims));
}

/* Takes some of the parts of a cut along D; SIZES has N. */
static bool take_parts(fz_prog *p, int x, int d, const fz_size *sizes, int n, bool drop) {
    const fz_value v = *fz_at(p, x);
    fz_size dims[JC_MAX_RANK];
    int taken = 0;
    for (int i = 0; i < n; i++) {
        if (taken == FZ_RESULTS || (fz_chance(p, 25) && i + 1 < n))
            continue;
        memcpy(dims, v.dims, sizeof dims);
        dims[d] = sizes[i];
        if (drop)
            memmove(&dims[d], &dims[d + 1], sizeof *dims * (size_t)(v.rank - d - 1));
        const int y = fz_view(p, x, v.dtype, v.rank - drop, dims);
        fz_stmt *s = &p->stmts.at[p->stmts.n - 1];
        s->result[taken] = y;
        s->tuple[taken++] = i;
    }
    p->stmts.at[p->stmts.n - 1].nresults = taken;
    return taken > 0 && !p->bad;
}

static bool make_split(fz_prog *p) {
    const int x = fz_some_tensor(p), form = fz_below(p, 4);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    fz_size sizes[16];
    int64_t whole = 0;
    int n = 0;
    const bool constant = fz_is_const(p, &v.dims[d], &whole);
    fz_begin(p)->form = FZ_TUPLE;
    if (form == 0) { /* so many parts */
        fz_size q;
        n = 2 + fz_below(p, 3);
        if (!constant && !fz_divides(p, &v.dims[d], n, &q))
            return false;
        fz_call(p, "chunk", x, fz_chance(p, 50) ? "%d, dim = %d" : "%d, %d", n, d);
        if (constant) {
            const int64_t part = (whole + n - 1) / n;
            if (part == 0)
                return false; /* PyTorch gives n empty parts; so do we, but who asks */
            n = 0;
            for (int64_t at = 0; at < whole; at += part)
                sizes[n++] = fz_int(whole - at < part ? whole - at : part);
        } else {
            for (int i = 0; i < n; i++)
                sizes[i] = q;
        }
    } else if (form == 1) { /* parts of a size */
        const int64_t part = 1 + fz_below(p, 6);
        if (!constant || whole == 0 || (whole + part - 1) / part > 16)
            return false;
        for (int64_t at = 0; at < whole; at += part)
            sizes[n++] = fz_int(whole - at < part ? whole - at : part);
        fz_call(p, "split", x, "%d, dim = %d", (int)part, d - v.rank);
    } else if (form == 2) { /* these sizes */
        n = 2 + fz_below(p, 2);
        fz_size left = v.dims[d];
        for (int i = 0; i + 1 < n; i++) {
            sizes[i] = fz_chance(p, 70) ? fz_int(fz_below(p, 4)) : fz_fdiv(p, v.dims[d], 3);
            left = fz_sub(p, left, sizes[i]);
        }
        sizes[n - 1] = left;
        if (fz_least(p, &left) < 0)
            return false;
        if (n == 2)
            fz_call(p, "split", x, "[%z, %z], %d", &sizes[0], &sizes[1], d);
        else
            fz_call(p, "split_with_sizes", x, "[%z, %z, %z], dim = %d", &sizes[0], &sizes[1], &sizes[2], d);
    } else {
        if (!constant || whole < 1 || whole > 16)
            return false;
        n = (int)whole;
        fz_call(p, "unbind", x, "%d", d);
        return take_parts(p, x, d, sizes, n, true);
    }
    return take_parts(p, x, d, sizes, n, false);
}

/* --- expansion --- */

static bool make_expand(fz_prog *p) {
    const int x = fz_chance(p, 70) ? fz_choose(p, has_one, NULL) : fz_choose(p, any, NULL);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_size dims[JC_MAX_RANK];
    const int fresh = v.rank < 5 && fz_chance(p, 40) ? 1 : 0, form = fz_below(p, 4);
    bool grows = fresh > 0, keeps[JC_MAX_RANK] = { false };
    for (int d = 0; d < v.rank + fresh; d++) {
        const bool one = d >= fresh && fz_is(p, &v.dims[d - fresh], 1);
        keeps[d] = d >= fresh && !(one && fz_chance(p, 70));
        dims[d] = keeps[d] ? v.dims[d - fresh] : fz_some_size(p);
        grows |= !keeps[d];
    }
    if (!grows)
        return false;
    fz_begin(p);
    fz_put(p, form == 0 ? "torch.broadcast_to(%v, (" : form == 1 ? "%v.expand((" : "%v.expand(", x);
    for (int d = 0; d < v.rank + fresh; d++) {
        if (keeps[d] && d >= fresh && fz_chance(p, 50))
            fz_put(p, d ? ", -1" : "-1");
        else
            fz_put(p, d ? ", %z" : "%z", &dims[d]);
    }
    fz_put(p, form < 2 ? (v.rank + fresh == 1 ? ",))" : "))") : ")");
    const int y = fz_view(p, x, v.dtype, v.rank + fresh, dims);
    if (y >= 0)
        fz_at(p, y)->overlaps = true;
    return fz_gives(p, y);
}

/* --- diagonals and windows --- */

static bool make_diagonal(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0 || fz_at(p, x)->rank < 2)
        return false;
    const fz_value v = *fz_at(p, x);
    const int a = fz_below(p, v.rank), b = (a + 1 + fz_below(p, v.rank - 1)) % v.rank, offset = fz_below(p, 4) - 1;
    fz_size dims[JC_MAX_RANK], rows = v.dims[a], columns = v.dims[b];
    int rank = 0;
    if (offset < 0)
        rows = fz_sub(p, rows, fz_int(-offset));
    else
        columns = fz_sub(p, columns, fz_int(offset));
    if (fz_least(p, &rows) < 0 || fz_least(p, &columns) < 0)
        return false;
    for (int d = 0; d < v.rank; d++)
        if (d != a && d != b)
            dims[rank++] = v.dims[d];
    dims[rank++] = fz_min(p, rows, columns);
    fz_begin(p);
    fz_call(p, "diagonal", x, "%d, %d, %d", offset, a, b);
    const int y = fz_view(p, x, v.dtype, rank, dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = false;
    return fz_gives(p, y);
}

static bool make_unfold(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0 || fz_at(p, x)->rank > 5)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank), size = 1 + fz_below(p, 4), step = 1 + fz_below(p, 3);
    fz_size dims[JC_MAX_RANK];
    if (fz_least(p, &v.dims[d]) < size)
        return false;
    memcpy(dims, v.dims, sizeof dims);
    dims[d] = fz_add(p, fz_fdiv(p, fz_sub(p, v.dims[d], fz_int(size)), step), fz_int(1));
    dims[v.rank] = fz_int(size);
    fz_begin(p);
    fz_put(p, "%v.unfold(%d, %d, %d)", x, d, size, step);
    const int y = fz_view(p, x, v.dtype, v.rank + 1, dims);
    if (y >= 0) {
        fz_at(p, y)->overlaps |= size > step;
        fz_at(p, y)->contiguous = false;
    }
    return fz_gives(p, y);
}

/* --- other bits --- */

/* Are its bits certain? Not those of a NaN that was chosen or compared. */
static bool has_bits(const fz_prog *p, int value, const void *user) {
    const fz_range *r = fz_range_of(p, value);
    return has_dims(p, value, user) && fz_at(p, value)->dtype != JC_B8 && !r->wild && ((r->opaque && !r->mixed && p->bits) || (r->step > 0 && r->err == 0));
}

static bool bitcast(fz_prog *p, int x, uint8_t to) {
    const fz_value v = *fz_at(p, x);
    const int size = jc_dtypes[v.dtype].size, size_to = jc_dtypes[to].size, last = v.rank - 1;
    fz_size dims[JC_MAX_RANK], q;
    memcpy(dims, v.dims, sizeof dims);
    if (size_to > size) {
        if (p->shared) /* an input may begin at any element of another */
            return false;
        if (!v.contiguous || fz_least(p, &dims[last]) < 1 || !fz_divides(p, &dims[last], size_to / size, &q))
            return false;
        dims[last] = q;
    } else if (size_to < size) {
        if (!v.contiguous || fz_least(p, &dims[last]) < 1)
            return false;
        dims[last] = fz_mul(p, dims[last], fz_int(size / size_to));
    }
    fz_begin(p);
    fz_put(p, "%v.view(%t)", x, to);
    /* Its own range, which a later write into X would not show: neither is written any more. */
    fz_range full;
    if (!fz_full(to, &full))
        full = (fz_range){ .opaque = true };
    const int y = fz_view(p, x, to, v.rank, dims);
    if (y < 0)
        return false;
    const fz_storage s = { .range = full };
    jc_push(p->arena, &p->storages, s);
    fz_at(p, y)->storage = (int)p->storages.n - 1;
    fz_at(p, y)->contiguous = v.contiguous;
    fz_at(p, y)->overlaps = true;
    for (size_t i = 0; i < p->values.n; i++)
        if (p->values.at[i].kind == JC_TENSOR && p->values.at[i].storage == v.storage)
            p->values.at[i].overlaps = true;
    return fz_gives(p, y);
}

static bool make_bitcast(fz_prog *p) {
    const int x = fz_some_tensor(p);
    uint8_t to;
    if (x < 0 || !has_bits(p, x, NULL))
        return false;
    do
        to = fz_some_dtype(p);
    while (to == JC_B8 || to == fz_at(p, x)->dtype);
    return bitcast(p, x, to);
}

static bool is_opaque(const fz_prog *p, int value, const void *user) {
    return has_dims(p, value, user) && fz_range_of(p, value)->opaque && !fz_range_of(p, value)->mixed && fz_class(p, value) == 'f';
}

/* Integers with the bits of a dtype's NaNs, infinities and what is beside them. */
static bool floats_of_bits(fz_prog *p) {
    static const struct {
        uint8_t dtype, of;
        double from, to; /* with the sign: -1 and below */
        double below;
    } kinds[] = { { JC_BF16, JC_I16, 0x7f70, 0x7fff, -0x90 },      { JC_F16, JC_I16, 0x7be0, 0x7fff, -0x420 },
                  { JC_F8E5M2, JC_U8, 0, 255, 0 },                 { JC_F8E4M3FN, JC_U8, 0, 255, 0 },
                  { JC_F32, JC_I32, 0x7f7ffff0, 0x7fffffff, -0x800010 }, { JC_F64, JC_I64, 0, 0, -0x1p52 } };
    const int k = fz_below(p, 6), rank = 1 + fz_below(p, 3);
    const bool negative = kinds[k].to == 0 || (kinds[k].below < 0 && fz_chance(p, 40));
    fz_size dims[3];
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    const int x = fz_param(p, kinds[k].of, rank, dims, negative ? fz_interval(kinds[k].below, -1, 1) : fz_interval(kinds[k].from, kinds[k].to, 1));
    return x >= 0 && bitcast(p, x, kinds[k].dtype);
}

bool fz_make_bits(fz_prog *p) {
    static const uint8_t ints[] = { [1] = JC_U8, [2] = JC_I16, [4] = JC_I32, [8] = JC_I64 };
    const int x = fz_chance(p, 65) ? fz_choose(p, is_opaque, NULL) : -1;
    return x < 0 ? floats_of_bits(p) : bitcast(p, x, ints[jc_dtypes[fz_at(p, x)->dtype].size]);
}

static bool make_contiguous(fz_prog *p) {
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_begin(p);
    fz_call(p, "contiguous", x, "");
    /* A view where it is contiguous already. */
    const int y = fz_view(p, x, v.dtype, v.rank, v.dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = true;
    return fz_gives(p, y);
}

static bool make_same(fz_prog *p) {
    static const char *const names[] = { "detach", "alias", "lift_fresh" };
    const int x = fz_some_tensor(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_begin(p);
    fz_call(p, names[fz_below(p, 3)], x, "");
    const int y = fz_view(p, x, v.dtype, v.rank, v.dims);
    if (y >= 0)
        fz_at(p, y)->contiguous = v.contiguous;
    return fz_gives(p, y);
}

const fz_kind fz_view_kinds[] = {
    { "reshape", make_reshape, 8 },     { "flatten", make_flatten, 3 }, { "unflatten", make_unflatten, 2 },
    { "unsqueeze", make_unsqueeze, 3 }, { "squeeze", make_squeeze, 2 }, { "permute", make_permute, 8 },
    { "slice", make_slice, 12 },        { "narrow", make_narrow, 3 },   { "select", make_select, 5 },
    { "split", make_split, 8 },         { "expand", make_expand, 4 }, { "diagonal", make_diagonal, 2 }, { "unfold", make_unfold, 3 },   { "bitcast", make_bitcast, 2 },
    { "contiguous", make_contiguous, 2 }, { "same", make_same, 1 },     { 0 },
};
