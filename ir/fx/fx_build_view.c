/*
 * ir/fx/fx_build_view.c - spellings that only move or name elements: shapes, permutations, slices, joins, repeats.
 *
 * All of PyTorch's ways to change a shape become `reshape` with its -1 solved, all ways to exchange dimensions become
 * `permute`, all ways to cut become `slice`.  What changes nothing gives the value itself and no node.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

#define MAX_PARTS 4096    /* of a split: more is a mistake, and would be as many nodes */
#define FREE_PARTS 16384  /* of all splits of a text ... */
#define BYTES_A_PART 8    /* ... and one more for so many bytes of it: to name one takes more */

bool fx_may_part(fx_reader *r, uint64_t n, uint32_t at) {
    r->parts += n;
    if (r->parts <= FREE_PARTS + (uint64_t)(r->end - r->text) / BYTES_A_PART)
        return !r->status;
    fx_fail(r, JITC_E_UNSUPPORTED, at, "The splits and tuples of this text have more than %llu parts, most of which nothing takes.",
            (unsigned long long)r->parts - 1);
    return false;
}

/* --- shapes --- */

static bool same_dims(const jc_value *x, const jc_expr *const *dims, uint32_t n) {
    return n == x->type.rank && (!n || memcmp(x->type.dims, dims, sizeof *dims * n) == 0);
}

static bool rank_fits(fx_reader *r, uint32_t n) {
    if (n > JC_MAX_RANK)
        fx_fail(r, JITC_E_UNSUPPORTED, r->stmt->at, "A tensor may have at most %d dimensions.", JC_MAX_RANK);
    return n <= JC_MAX_RANK && !r->status;
}

jc_value *fx_reshape(fx_reader *r, jc_value *x, const jc_expr *const *dims, uint32_t n) {
    if (!x || r->status || !rank_fits(r, n))
        return NULL;
    if (same_dims(x, dims, n))
        return x;
    jc_value *y = FX_OP(r, JC_OP_reshape, fx_v(x), fx_dims(r, dims, n));
    if (y && y->def && y != x)
        fx_lay_copied(r, x, y->def);
    return y;
}

jc_value *fx_channels(fx_reader *r, jc_value *x, int rank) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x || rank < 3)
        return x;
    for (int d = 0; d < rank - 1; d++)
        dims[d] = d ? jc_ex_int(fx_x(r), 1) : x->type.dims[0];
    return fx_reshape(r, x, dims, (uint32_t)rank - 1);
}

/*
 * The size behind the -1 at DIMS[HOLE]: the old elements over the product of the other new dims.  Dims that occur on both
 * sides are struck out first, so that the quotient mostly is one of constants even where sizes are symbols.
 */
static const jc_expr *solve_hole(fx_call *c, const jc_value *x, const jc_expr *const *dims, uint32_t n, uint32_t hole) {
    jc_exprs *t = fx_x(c->r);
    const jc_expr *old[JC_MAX_RANK], *rest = jc_ex_int(t, 1);
    int left = fx_rank(x);
    memcpy(old, x->type.dims, sizeof *old * (size_t)left);
    for (uint32_t i = 0; i < n; i++) {
        int k = 0;
        if (i == hole)
            continue;
        while (k < left && old[k] != dims[i])
            k++;
        if (k < left)
            old[k] = old[--left];
        else
            rest = jc_ex_mul(t, rest, dims[i]);
    }
    const jc_expr *numel = jc_ex_product(t, old, (uint32_t)left);
    int64_t a, b;
    if (jc_ex_is(rest, 1))
        return numel;
    const bool constant = jc_ex_is_const(numel, &a) && jc_ex_is_const(rest, &b);
    if (jc_ex_is(rest, 0) || (constant && (b < 0 || a % b))) {
        fx_fail(c->r, JITC_E_INPUT, c->at, "No size fits -1 here: %s elements do not divide by %s.",
                jc_ex_text(t, numel, c->r->scratch), jc_ex_text(t, rest, c->r->scratch));
        return numel;
    }
    return jc_ex_fdiv(t, numel, rest);
}

static jc_value *reshape_to(fx_call *c, jc_value *x, const jc_expr **dims, uint32_t n) {
    uint32_t hole = UINT32_MAX;
    if (!x || c->r->status || !rank_fits(c->r, n))
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (!jc_ex_is(dims[i], -1))
            continue;
        if (hole != UINT32_MAX)
            fx_fail(c->r, JITC_E_INPUT, c->at, "Only one size of a shape can be -1.");
        hole = i;
    }
    if (hole != UINT32_MAX && !c->r->status)
        dims[hole] = solve_hole(c, x, dims, n, hole);
    return fx_reshape(c->r, x, dims, n);
}

jc_arg fx_h_reshape(fx_call *c) {
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *x = fx_tensor(c, 0);
    const uint32_t n = fx_exprs(c, 1, dims, JC_MAX_RANK);
    return n == UINT32_MAX ? fx_nothing() : fx_v(reshape_to(c, x, dims, n));
}

static bool all_const(fx_reader *r, const jc_value *x) {
    const jc_expr *const *strides = jc_type_strides(fx_x(r), r->scratch, &x->type);
    for (int i = 0; i < fx_rank(x); i++)
        if (!jc_ex_is_const(x->type.dims[i], NULL) || !jc_ex_is_const(strides[i], NULL))
            return false;
    return true;
}

/* Did inference make a copy Y of X? */
static bool is_copied(fx_call *c, const jc_value *x, const jc_value *y) {
    return y && y != x && !y->base && x->type.strides && !jc_ex_is(jc_type_numel(fx_x(c->r), &x->type), 0);
}

static void refuse_view(fx_call *c, const jc_value *x, bool open) {
    const char *type = jc_type_text(fx_x(c->r), &x->type, c->r->scratch);
    if (open)
        fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "%s cannot be viewed in this shape without a copy, if what it is a view of is contiguous: the text does not "
                "say how PyTorch laid that out. Print it with include_stride=True, or use reshape.", type);
    else
        fx_fail(c->r, JITC_E_INPUT, c->at, "%s cannot be viewed in this shape without a copy; PyTorch refuses it too. Use reshape.", type);
}

/* view(dtype).  Where the last dim is contiguous in PyTorch alone, what is read again has it. */
static jc_arg view_as_dtype(fx_call *c, jc_value *x, jc_arg dtype) {
    const fx_viewed viewed = x ? fx_bits_in_pytorch(c->r, x, dtype.dtype) : FX_VIEW_NONE;
    if (viewed == FX_VIEW_OPEN)
        refuse_view(c, x, true);
    if (viewed == FX_VIEW)
        x = FX_OP(c->r, JC_OP_contiguous, fx_v(x));
    return fx_v(FX_OP(c->r, JC_OP_bitcast, fx_v(x), dtype));
}

/* view(shape) or view(dtype).  A shape that needs a copy is an error in PyTorch. */
jc_arg fx_h_view(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (c->a[1].kind == JC_ARG_LIST && c->a[1].list.n == 1 && c->a[1].list.at[0].kind == JC_ARG_DTYPE)
        return view_as_dtype(c, x, c->a[1].list.at[0]);
    jc_arg y = fx_h_reshape(c);
    if (c->r->status || !is_copied(c, x, y.value))
        return y;
    const fx_viewed viewed = fx_view_in_pytorch(c->r, x, y.value->def);
    if (viewed != FX_VIEW && all_const(c->r, x))
        refuse_view(c, x, viewed == FX_VIEW_OPEN);
    return y;
}

jc_arg fx_h_reshape_as(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *like = fx_tensor(c, 1);
    return like ? fx_v(fx_reshape(c->r, x, like->type.dims, like->type.rank)) : fx_nothing();
}

jc_arg fx_h_flatten(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int rank = fx_rank(x), from = fx_dim(c, 1, rank, 0), to = fx_dim(c, 2, rank, -1);
    const jc_expr *dims[JC_MAX_RANK];
    uint32_t n = 0;
    if (to < from)
        fx_fail(c->r, JITC_E_INPUT, c->at, "flatten() ends at dimension %d, before its start %d.", to, from);
    if (c->r->status)
        return fx_nothing();
    for (int i = 0; i < from; i++)
        dims[n++] = x->type.dims[i];
    dims[n++] = rank ? jc_ex_product(fx_x(c->r), x->type.dims + from, (uint32_t)(to - from + 1))
                     : jc_ex_int(fx_x(c->r), 1);
    for (int i = to + 1; i < rank; i++)
        dims[n++] = x->type.dims[i];
    return fx_v(fx_reshape(c->r, x, dims, n));
}

jc_arg fx_h_unflatten(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *sizes[JC_MAX_RANK], *dims[2 * JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    const int rank = fx_rank(x), dim = fx_dim(c, 1, rank, 0);
    const uint32_t k = fx_exprs(c, 2, sizes, JC_MAX_RANK);
    uint32_t n = 0;
    if (k == UINT32_MAX || c->r->status || !rank_fits(c->r, (uint32_t)rank - 1 + k))
        return fx_nothing();
    for (int i = 0; i < dim; i++)
        dims[n++] = x->type.dims[i];
    for (uint32_t i = 0; i < k; i++)
        dims[n++] = sizes[i];
    for (int i = dim + 1; i < rank; i++)
        dims[n++] = x->type.dims[i];
    return fx_v(reshape_to(c, x, dims, n));
}

/* Whether X's dims in CHOSEN can go so that the result is what the statement is annotated with: DIMS get the rest. */
static bool squeeze_as_noted(fx_call *c, const jc_value *x, const bool *chosen, const jc_expr **dims, uint32_t *n) {
    fx_name *name = c->r->stmt ? c->r->stmt->note : NULL;
    const fx_note *note = name ? fx_note_of(c->r, name, c->at) : NULL;
    if (!note || !note->known || note->type.kind != JC_TENSOR)
        return false;
    const jc_expr *one = jc_ex_int(fx_x(c->r), 1);
    *n = 0;
    for (int i = 0; i < x->type.rank; i++) {
        const jc_expr *dim = x->type.dims[i];
        const bool kept = *n < note->type.rank && jc_ex_equal(fx_x(c->r), dim, note->type.dims[*n]) == JC_YES;
        if (kept || !chosen[i] || jc_ex_equal(fx_x(c->r), dim, one) == JC_NO)
            dims[(*n)++] = dim;
    }
    return *n == note->type.rank;
}

/* A dim that is 1 by its text goes.  One that may be 1 goes where the result has an annotation that lacks it: PyTorch saw it go, so
   it is 1 in every call (which the reshape leaves open). */
jc_arg fx_h_squeeze(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *at[JC_MAX_RANK], *dims[JC_MAX_RANK];
    bool chosen[JC_MAX_RANK + 1] = { false };
    uint32_t n = 0;
    if (!x)
        return fx_nothing();
    const uint32_t k = fx_given(c, 1) ? fx_exprs(c, 1, at, JC_MAX_RANK) : 0;
    for (uint32_t i = 0; i < k && k != UINT32_MAX; i++) {
        int64_t d;
        if (jc_ex_is_const(at[i], &d))
            chosen[fx_norm_dim(c->r, d, fx_rank(x), c->at)] = true;
        else
            fx_refuse_arg(c, 1, "it has to be a constant");
    }
    for (int i = 0; i < fx_rank(x); i++)
        chosen[i] |= !fx_given(c, 1);
    if (!squeeze_as_noted(c, x, chosen, dims, &n))
        for (int i = n = 0; i < fx_rank(x); i++)
            if (!chosen[i] || !jc_ex_is(x->type.dims[i], 1))
                dims[n++] = x->type.dims[i];
    return fx_v(fx_reshape(c->r, x, dims, n));
}

jc_value *fx_unsqueeze(fx_reader *r, jc_value *x, int dim) {
    const jc_expr *dims[JC_MAX_RANK + 1];
    if (!x || r->status)
        return NULL;
    for (int i = 0, k = 0; i <= fx_rank(x); i++)
        dims[i] = i == dim ? jc_ex_int(fx_x(r), 1) : x->type.dims[k++];
    return fx_reshape(r, x, dims, (uint32_t)fx_rank(x) + 1);
}

jc_value *fx_squeeze(fx_reader *r, jc_value *x, int dim) {
    const jc_expr *dims[JC_MAX_RANK];
    uint32_t n = 0;
    if (!x || r->status)
        return NULL;
    for (int d = 0; d < fx_rank(x); d++)
        if (d != dim)
            dims[n++] = x->type.dims[d];
    return fx_reshape(r, x, dims, n);
}

jc_value *fx_flat(fx_reader *r, jc_value *x) {
    if (!x || r->status)
        return NULL;
    const jc_expr *n = jc_ex_product(fx_x(r), x->type.dims, x->type.rank);
    return fx_reshape(r, x, &n, 1);
}

/* To PyTorch it is contiguous().view(-1): a view of what lies row by row alone, where flatten() finds others. */
jc_arg fx_h_ravel(fx_call *c) {
    return fx_v(fx_flat(c->r, FX_OP(c->r, JC_OP_contiguous, fx_v(fx_tensor(c, 0)))));
}

jc_arg fx_h_unsqueeze(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    return fx_v(fx_unsqueeze(c->r, x, fx_given_dim(c, 1, fx_rank(x) + 1)));
}

/* --- permutations --- */

jc_value *fx_permute(fx_reader *r, jc_value *x, const int *order) {
    jc_arg at[JC_MAX_RANK];
    bool same = true;
    if (!x || r->status)
        return NULL;
    for (int i = 0; i < fx_rank(x); i++) {
        same &= order[i] == i;
        at[i] = fx_i(r, order[i]);
    }
    return same ? x : FX_OP(r, JC_OP_permute, fx_v(x), jc_arg_list(r->graph, at, (uint32_t)fx_rank(x)));
}

jc_arg fx_h_permute(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const jc_expr *at[JC_MAX_RANK];
    int order[JC_MAX_RANK];
    unsigned seen = 0;
    const uint32_t n = fx_exprs(c, 1, at, JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    for (uint32_t i = 0; i < n && n == x->type.rank; i++) {
        int64_t d = 0;
        if (!jc_ex_is_const(at[i], &d))
            fx_refuse_arg(c, 1, "it has to be constants");
        order[i] = fx_norm_dim(c->r, d, fx_rank(x), c->at);
        seen |= 1u << order[i];
    }
    if (n != x->type.rank || seen != (1u << n) - 1)
        fx_bad_arg(c, 1, "each dimension once");
    return fx_v(fx_permute(c->r, x, order));
}

static jc_arg exchange(fx_call *c, jc_value *x, int a, int b) {
    int order[JC_MAX_RANK + 1];
    for (int i = 0; i < JC_MAX_RANK; i++)
        order[i] = i == a ? b : i == b ? a : i;
    return fx_v(fx_permute(c->r, x, order));
}

jc_arg fx_h_transpose(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (!fx_given(c, 1) || !fx_given(c, 2))
        fx_bad_arg(c, fx_given(c, 1) ? 2 : 1, "a dimension");
    return exchange(c, x, fx_dim(c, 1, fx_rank(x), 0), fx_dim(c, 2, fx_rank(x), 0));
}

jc_arg fx_h_t(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (x && fx_rank(x) > 2)
        fx_bad_arg(c, 0, "of at most two dimensions");
    return x && fx_rank(x) == 2 ? exchange(c, x, 0, 1) : fx_v(x);
}

jc_arg fx_h_reverse(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int order[JC_MAX_RANK];
    for (int i = 0; x && i < fx_rank(x); i++)
        order[i] = fx_rank(x) - 1 - i;
    return fx_v(fx_permute(c->r, x, order));
}

/* The dims in argument I, each once. */
static uint32_t distinct_dims(fx_call *c, int i, int rank, int *out) {
    const jc_expr *at[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, i, at, JC_MAX_RANK);
    unsigned seen = 0;
    for (uint32_t k = 0; n != UINT32_MAX && k < n; k++) {
        int64_t d = 0;
        if (!jc_ex_is_const(at[k], &d))
            fx_refuse_arg(c, i, "it has to be constants");
        out[k] = fx_norm_dim(c->r, d, rank, c->at);
        if (seen & 1u << out[k] && !c->r->status)
            fx_bad_arg(c, i, "dimensions, each once");
        seen |= 1u << out[k];
    }
    return n;
}

/* The dims of `source` go to the places in `destination`; the others fill what is left, in order. */
jc_arg fx_h_movedim(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int from[JC_MAX_RANK], to[JC_MAX_RANK], order[JC_MAX_RANK];
    bool moved[JC_MAX_RANK] = { false }, taken[JC_MAX_RANK] = { false };
    if (!x)
        return fx_nothing();
    const uint32_t n = distinct_dims(c, 1, fx_rank(x), from), m = distinct_dims(c, 2, fx_rank(x), to);
    if (c->r->status || !fx_rank(x))
        return fx_v(x);
    if (n != m) {
        fx_bad_arg(c, 2, "as many dimensions as `source`");
        return fx_nothing();
    }
    for (uint32_t i = 0; i < n; i++) {
        order[to[i]] = from[i];
        moved[from[i]] = taken[to[i]] = true;
    }
    for (int i = 0, k = 0; i < fx_rank(x); i++) {
        if (taken[i])
            continue;
        while (moved[k])
            k++;
        order[i] = k++;
    }
    return fx_v(fx_permute(c->r, x, order));
}

/* x.adjoint(): nothing is complex here. */
jc_arg fx_h_adjoint(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (x && fx_rank(x) < 2)
        fx_bad_arg(c, 0, "of at least two dimensions");
    return x && fx_rank(x) >= 2 ? exchange(c, x, fx_rank(x) - 2, fx_rank(x) - 1) : fx_nothing();
}

/* --- expansion --- */

static jc_value *expand_to(fx_call *c, jc_value *x, const jc_expr **dims, uint32_t n) {
    if (!x || c->r->status || !rank_fits(c->r, n))
        return NULL;
    const int fresh = (int)n - fx_rank(x);
    if (fresh < 0) {
        fx_fail(c->r, JITC_E_INPUT, c->at, "A tensor of %d dimensions cannot expand to %u.", fx_rank(x), n);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!jc_ex_is(dims[i], -1))
            continue;
        if ((int)i < fresh)
            fx_fail(c->r, JITC_E_INPUT, c->at, "-1 stands for a dimension that the tensor does not have.");
        else
            dims[i] = x->type.dims[(int)i - fresh];
    }
    return same_dims(x, dims, n) ? x : FX_OP(c->r, JC_OP_expand, fx_v(x), fx_dims(c->r, dims, n));
}

jc_arg fx_h_expand(fx_call *c) {
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *x = fx_tensor(c, 0);
    const uint32_t n = fx_exprs(c, 1, dims, JC_MAX_RANK);
    return n == UINT32_MAX ? fx_nothing() : fx_v(expand_to(c, x, dims, n));
}

jc_arg fx_h_expand_as(fx_call *c) {
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *x = fx_tensor(c, 0), *like = fx_tensor(c, 1);
    if (!like)
        return fx_nothing();
    memcpy(dims, like->type.dims, sizeof *dims * like->type.rank);
    return fx_v(expand_to(c, x, dims, like->type.rank));
}

/* X [.., d, ..] with dim DIM repeated N times as a block (x x x) or element by element: [n, d] or [d, n] merged again.
   Unless N is 1 the result never shares storage with X, whatever d and n are: merging alone would be a view where one of them is 1. */
static jc_value *repeat_dim(fx_call *c, jc_value *x, int dim, const jc_expr *n, bool each) {
    fx_reader *r = c->r;
    const jc_expr *dims[JC_MAX_RANK + 1];
    if (!x || r->status || jc_ex_is(n, 1))
        return x;
    x = fx_unsqueeze(r, x, each ? dim + 1 : dim);
    if (!x)
        return NULL;
    memcpy(dims, x->type.dims, sizeof *dims * x->type.rank);
    dims[each ? dim + 1 : dim] = n;
    x = FX_OP(r, JC_OP_expand, fx_v(x), fx_dims(r, dims, x->type.rank));
    x = x ? FX_OP(r, JC_OP_clone, fx_v(x)) : NULL;
    if (!x)
        return NULL;
    dims[dim] = jc_ex_mul(fx_x(r), dims[dim], dims[dim + 1]);
    for (int i = dim + 1; i + 1 < fx_rank(x); i++)
        dims[i] = x->type.dims[i + 1];
    return fx_reshape(r, x, dims, (uint32_t)fx_rank(x) - 1);
}

static jc_value *owned(fx_reader *r, jc_value *x, jc_value *from) {
    return x && !r->status && jc_storage(x) == jc_storage(from) ? FX_OP(r, JC_OP_clone, fx_v(x)) : x;
}

jc_arg fx_h_repeat(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *y;
    const jc_expr *times[JC_MAX_RANK], *dims[JC_MAX_RANK];
    const uint32_t n = fx_exprs(c, 1, times, JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    if (n < x->type.rank) {
        fx_bad_arg(c, 1, "one number for each dimension");
        return fx_nothing();
    }
    const uint32_t fresh = n - x->type.rank;
    for (uint32_t i = 0; i < n; i++)
        dims[i] = i < fresh ? jc_ex_int(fx_x(c->r), 1) : x->type.dims[i - fresh];
    y = fx_reshape(c->r, x, dims, n);
    for (uint32_t i = 0; i < n; i++)
        y = repeat_dim(c, y, (int)i, times[i], false);
    return fx_v(owned(c->r, y, x));
}

jc_arg fx_h_repeat_interleave(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *y = x;
    if (!x)
        return fx_nothing();
    if (!fx_given(c, 1)) /* the places alone, of a vector of repeats */
        return fx_v(fx_repeated(c, x, 1, 3));
    if (!fx_given(c, 2)) {
        const jc_expr *numel = jc_type_numel(fx_x(r), &x->type);
        y = fx_reshape(r, x, &numel, 1);
    }
    const int dim = fx_given(c, 2) ? fx_dim(c, 2, fx_rank(x), 0) : 0;
    if (fx_is_tensor(c->a[1]) && y) {
        jc_value *repeats = FX_OP(r, JC_OP_expand, c->a[1], fx_dims(r, &y->type.dims[dim], 1));
        return fx_v(FX_OP(r, JC_OP_take, fx_v(y), fx_i(r, dim), fx_v(fx_repeated(c, repeats, 1, 3)), jc_arg_bool(false)));
    }
    const jc_expr *n = fx_expr(c, 1);
    return fx_v(owned(r, repeat_dim(c, y, dim, n, true), x));
}

/* sum_to_size(self, *size): what was broadcast from it is added up */
jc_arg fx_h_sum_to_size(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *dims[JC_MAX_RANK];
    jc_arg over[JC_MAX_RANK];
    uint32_t many = 0;
    jc_value *x = fx_tensor(c, 0);
    const uint32_t n = fx_exprs(c, 1, dims, JC_MAX_RANK);
    if (!x || n == UINT32_MAX)
        return fx_nothing();
    const int more = fx_rank(x) - (int)n;
    if (more < 0)
        fx_bad_arg(c, 1, "a shape that broadcasts to the tensor's");
    for (int d = 0; d < fx_rank(x) && more >= 0; d++)
        if (d < more || (jc_ex_is(dims[d - more], 1) && !jc_ex_is(x->type.dims[d], 1)))
            over[many++] = fx_i(r, d);
    if (r->status || (!many && n)) /* to no dims there is always a sum: integers are i64 */
        return fx_v(x);
    jc_value *y = FX_OP(r, JC_OP_sum, fx_v(x), jc_arg_list(r->graph, over, many), jc_arg_bool(true), fx_nothing());
    return fx_v(y ? fx_reshape(r, y, dims, n) : NULL);
}

/* --- cutting --- */

jc_arg fx_h_select(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const jc_expr *i = fx_expr(c, 2);
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    if (!fx_rank(x))
        fx_bad_arg(c, 0, "of at least one dimension");
    return fx_v(fx_select(c->r, x, dim, i, c->at));
}

/* The start is a tensor: rows start, start + 1, ... */
static jc_arg narrow_at(fx_call *c, jc_value *x, int dim, jc_value *start, const jc_expr *length) {
    fx_reader *r = c->r;
    if (r->status || !fx_rank(x) || fx_class_of(start) == 'f' || fx_class_of(start) == 'b') {
        fx_bad_arg(c, 2, "an integer, or a tensor that holds one");
        return fx_nothing();
    }
    start = fx_cast(r, fx_reshape(r, start, NULL, 0), JC_I64);
    const jc_arg steps = fx_v(FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_e(length), jc_arg_dtype(JC_I64)));
    const jc_arg rows = fx_v(FX_OP(r, JC_OP_add, steps, fx_v(start)));
    return fx_v(FX_OP(r, JC_OP_take, fx_v(x), fx_i(r, dim), rows, jc_arg_bool(true)));
}

jc_arg fx_h_narrow(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    if (fx_is_tensor(c->a[2]))
        return narrow_at(c, x, dim, c->a[2].value, fx_expr(c, 3));
    const jc_expr *start = fx_expr(c, 2), *length = fx_expr(c, 3);
    if (c->r->status || !fx_rank(x))
        return fx_nothing();
    start = fx_from_end(fx_x(c->r), start, x->type.dims[dim]);
    x = fx_slice(c->r, x, dim, start, length, 1);
    return fx_v(c->row->aux && x ? FX_OP(c->r, JC_OP_clone, fx_v(x)) : x); /* aux 1: a copy */
}

jc_arg fx_h_slice(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    if (!fx_rank(x))
        fx_bad_arg(c, 0, "of at least one dimension");
    return fx_v(fx_python_slice(c->r, x, dim, c->a[2], c->a[3], c->a[4], c->at));
}

/* Consecutive parts of X along DIM. */
static jc_arg cut(fx_call *c, jc_value *x, int dim, const jc_expr *const *sizes, uint32_t n) {
    jc_exprs *t = fx_x(c->r);
    if (!fx_may_part(c->r, n, c->at))
        return fx_nothing();
    jc_arg *at = fx_take(c->r, sizeof *at * (n ? n : 1));
    const jc_expr *start = jc_ex_int(t, 0);
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        at[i] = fx_v(fx_slice(c->r, x, dim, start, sizes[i], 1));
        start = jc_ex_add(t, start, sizes[i]);
    }
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, n } };
}

/* Parts of SIZE each, the last with what is left. */
static jc_arg cut_evenly(fx_call *c, jc_value *x, int dim, const jc_expr *size) {
    jc_exprs *t = fx_x(c->r);
    const jc_expr *whole = x->type.dims[dim];
    int64_t part, count;
    if (jc_ex_is_const(size, &part) && part < 1 && !jc_ex_is(whole, 0)) {
        fx_bad_arg(c, 1, "a positive number");
        return fx_nothing();
    }
    if (!jc_ex_is_const(jc_ex_is(whole, 0) ? jc_ex_int(t, 1) : jc_ex_cdiv(t, whole, size), &count) ||
        count > MAX_PARTS || count < 0) {
        fx_refuse_arg(c, 1, "the number of parts must be a constant of at most 4096");
        return fx_nothing();
    }
    const jc_expr **sizes = fx_take(c->r, sizeof *sizes * (size_t)(count ? count : 1));
    for (int64_t i = 0; i < count; i++)
        sizes[i] = jc_ex_is(whole, 0) ? whole : size;
    if (count && !jc_ex_is(whole, 0))
        sizes[count - 1] = jc_ex_sub(t, whole, jc_ex_mul(t, size, jc_ex_int(t, count - 1)));
    return cut(c, x, dim, sizes, (uint32_t)count);
}

static bool cuttable(fx_call *c, const jc_value *x) {
    if (x && !fx_rank(x))
        fx_bad_arg(c, 0, "of at least one dimension");
    return x && !c->r->status;
}

jc_arg fx_h_split(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!cuttable(c, x))
        return fx_nothing();
    const int dim = fx_dim(c, 2, fx_rank(x), 0);
    if (c->a[1].kind != JC_ARG_LIST) {
        const jc_expr *size = fx_expr(c, 1);
        return c->r->status ? fx_nothing() : cut_evenly(c, x, dim, size);
    }
    const uint32_t n = c->a[1].list.n;
    const jc_expr **sizes = fx_take(c->r, sizeof *sizes * (n ? n : 1)), *sum = jc_ex_int(fx_x(c->r), 0);
    if (fx_exprs(c, 1, sizes, MAX_PARTS) == UINT32_MAX)
        return fx_nothing();
    for (uint32_t i = 0; i < n; i++)
        sum = jc_ex_add(fx_x(c->r), sum, sizes[i]);
    if (jc_ex_equal(fx_x(c->r), sum, x->type.dims[dim]) == JC_NO) {
        fx_fail(c->r, JITC_E_INPUT, c->at, "The sizes of the split add up to %s, but dimension %d has %s.",
                jc_ex_text(fx_x(c->r), sum, c->r->scratch), dim,
                jc_ex_text(fx_x(c->r), x->type.dims[dim], c->r->scratch));
        return fx_nothing();
    }
    fx_guard(c->r, sum, x->type.dims[dim]);
    return cut(c, x, dim, sizes, n);
}

jc_arg fx_h_chunk(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!cuttable(c, x))
        return fx_nothing();
    const int dim = fx_dim(c, 2, fx_rank(x), 0);
    const int64_t n = fx_int(c, 1, 0);
    if (n < 1 || n > MAX_PARTS)
        fx_bad_arg(c, 1, "a number of parts from 1 to 4096");
    if (c->r->status)
        return fx_nothing();
    jc_exprs *t = fx_x(c->r);
    const jc_expr *whole = x->type.dims[dim], *size = jc_ex_cdiv(t, whole, jc_ex_int(t, n));
    if (jc_ex_is_const(whole, NULL) && !jc_ex_is(whole, 0))
        return cut_evenly(c, x, dim, size);
    const jc_expr **sizes = fx_take(c->r, sizeof *sizes * (size_t)n);
    for (int64_t i = 0; i < n; i++) /* of a symbol: as many as are asked for, what sizes make fewer of is refused with them */
        sizes[i] = size;
    if (!jc_ex_is_const(whole, NULL))
        sizes[n - 1] = jc_ex_sub(t, whole, jc_ex_mul(t, size, jc_ex_int(t, n - 1)));
    return cut(c, x, dim, sizes, (uint32_t)n);
}

jc_arg fx_h_unbind(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int64_t n;
    if (!cuttable(c, x))
        return fx_nothing();
    const int dim = fx_dim(c, 1, fx_rank(x), 0);
    if (!jc_ex_is_const(x->type.dims[dim], &n) || n > MAX_PARTS) {
        fx_refuse_arg(c, 1, "the number of parts must be a constant of at most 4096");
        return fx_nothing();
    }
    if (!fx_may_part(c->r, (uint64_t)n, c->at))
        return fx_nothing();
    jc_arg *at = fx_take(c->r, sizeof *at * (size_t)(n ? n : 1));
    for (int64_t i = 0; i < n && !c->r->status; i++)
        at[i] = fx_v(fx_select(c->r, x, dim, jc_ex_int(fx_x(c->r), i), c->at));
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, (uint32_t)n } };
}

/* --- joining --- */

jc_arg fx_join(fx_call *c, jc_value *const *parts, uint32_t n, int dim) {
    jc_arg *at = fx_take(c->r, sizeof *at * n);
    for (uint32_t i = 0; i < n; i++)
        at[i] = fx_v(parts[i]);
    if (c->r->status)
        return fx_nothing();
    return fx_v(FX_OP(c->r, JC_OP_cat, jc_arg_list(c->r->graph, at, n), fx_i(c->r, dim)));
}

/* What PyTorch passes over in `cat`, whatever the others are, but for its dtype. */
static bool is_empty_vector(const jc_value *x) {
    return fx_rank(x) == 1 && jc_ex_is(x->type.dims[0], 0);
}

jc_arg fx_h_cat(fx_call *c) {
    jc_value **parts;
    const uint32_t n = fx_tensors(c, 0, &parts);
    uint32_t left = 0;
    bool others = false;
    for (uint32_t i = 0; i < n; i++)
        others |= !is_empty_vector(parts[i]);
    jc_dtype dtype = n ? (jc_dtype)parts[0]->type.dtype : JC_F32;
    for (uint32_t i = 0; i < n; i++) {
        dtype = jc_dtype_promote(dtype, (jc_dtype)parts[i]->type.dtype);
        if (!others || !is_empty_vector(parts[i]))
            parts[left++] = parts[i];
    }
    jc_arg y = left ? fx_join(c, parts, left, fx_dim(c, 1, fx_rank(parts[0]), 0)) : fx_nothing();
    return left < n && y.kind == JC_ARG_VALUE && y.value ? fx_v(fx_cast(c->r, y.value, dtype)) : y;
}

jc_arg fx_h_stack(fx_call *c) {
    jc_value **parts;
    const uint32_t n = fx_tensors(c, 0, &parts);
    if (!n)
        return fx_nothing();
    const int rank = fx_rank(parts[0]), dim = fx_dim(c, 1, rank + 1, 0);
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        if (fx_rank(parts[i]) != rank)
            fx_bad_arg(c, 0, "a list of tensors of one shape");
        parts[i] = fx_unsqueeze(c->r, parts[i], dim);
    }
    return fx_join(c, parts, n, dim);
}

/* --- sizes --- */

/* broadcast_shapes(*shapes): each a list of sizes, or one size */
jc_arg fx_h_broadcast_shapes(fx_call *c) {
    const jc_expr *one = jc_ex_int(fx_x(c->r), 1), *dims[JC_MAX_RANK], *own[JC_MAX_RANK];
    const jc_arg shapes = c->a[0];
    jc_arg at[JC_MAX_RANK];
    uint32_t rank = 0;
    if (shapes.kind != JC_ARG_LIST)
        fx_bad_arg(c, 0, "shapes");
    for (uint32_t i = 0; !c->r->status && i < shapes.list.n; i++) {
        c->a[0] = shapes.list.at[i];
        const uint32_t n = fx_exprs(c, 0, own, JC_MAX_RANK);
        for (; n != UINT32_MAX && rank < n; rank++) {
            memmove(dims + 1, dims, sizeof *dims * rank);
            dims[0] = one;
        }
        for (uint32_t d = 0; n != UINT32_MAX && d < n; d++)
            if (!jc_ex_is(own[d], 1))
                dims[rank - n + d] = own[d];
    }
    for (uint32_t d = 0; d < rank; d++)
        at[d] = fx_e(dims[d]);
    return c->r->status ? fx_nothing() : fx_list(c->r, at, rank);
}

jc_arg fx_h_size(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    jc_arg at[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    if (fx_given(c, 1)) {
        const int dim = fx_dim(c, 1, fx_rank(x), 0);
        return c->r->status || !fx_rank(x) ? fx_nothing() : fx_e(x->type.dims[dim]);
    }
    for (int i = 0; i < fx_rank(x); i++)
        at[i] = fx_e(x->type.dims[i]);
    return fx_list(c->r, at, (uint32_t)fx_rank(x));
}

jc_arg fx_h_stride(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    jc_arg at[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    const jc_expr *const *strides = jc_type_strides(fx_x(c->r), c->r->scratch, &x->type);
    if (fx_given(c, 1)) {
        const int dim = fx_dim(c, 1, fx_rank(x), 0);
        return c->r->status || !fx_rank(x) ? fx_nothing() : fx_e(strides[dim]);
    }
    for (int i = 0; i < fx_rank(x); i++)
        at[i] = fx_e(strides[i]);
    return fx_list(c->r, at, (uint32_t)fx_rank(x));
}

jc_arg fx_h_storage_offset(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x || !x->base || !x->offset)
        return x ? fx_i(c->r, 0) : fx_nothing();
    if (jc_storage(x)->type.dtype != x->type.dtype)
        fx_refuse_arg(c, 0, "its storage has another dtype");
    return fx_e(x->offset);
}

jc_arg fx_h_numel(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    return x ? fx_e(jc_type_numel(fx_x(c->r), &x->type)) : fx_nothing();
}

jc_arg fx_h_sym_minmax(fx_call *c) {
    const jc_expr *a = fx_expr(c, 0), *b = fx_expr(c, 1);
    return fx_e(c->row->aux ? jc_ex_max(fx_x(c->r), a, b) : jc_ex_min(fx_x(c->r), a, b));
}
