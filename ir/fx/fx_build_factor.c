/*
 * ir/fx/fx_build_factor.c - spellings that factor matrices, or solve by factors: Cholesky's, triangular ones, LU with pivots, and what follows.
 *
 * The steps are written out, one for each column: a few pointwise operators on all of the matrix with masks for what a step leaves alone.
 * So matrices are small and of constant size; a stack of them is one tensor, and goes in the same steps.  Where PyTorch raises for a matrix that
 * has no such factors, the node check_info does.
 */
#include <string.h>
#include "ir/fx/fx_factor.h"
#include "ir/info.h"

enum { MOST_ROWS = 16 };

/* The size of X's dim DIM, -1 or -2; -1 after a failure. */
static int64_t size_of(fx_call *c, const jc_value *x, int dim) {
    int64_t n = -1;
    if (!x || c->r->status)
        return -1;
    if (fx_rank(x) < 2 || fx_class_of(x) != 'f')
        fx_bad_arg(c, 0, "matrices of floats");
    else if (!jc_ex_is_const(x->type.dims[fx_rank(x) + dim], &n) || n > MOST_ROWS)
        fx_refuse_arg(c, 0, "only matrices of a constant size of up to 16 are factored");
    return c->r->status ? -1 : n;
}

static int64_t square_size(fx_call *c, const jc_value *x) {
    const int64_t n = size_of(c, x, -2), m = size_of(c, x, -1);
    if (n != m && !c->r->status)
        fx_bad_arg(c, 0, "square matrices");
    return c->r->status ? -1 : n;
}

static jc_value *unit(fx_reader *r, const jc_value *x, int64_t n) {
    const jc_expr *dims[2] = { jc_ex_int(fx_x(r), n), jc_ex_int(fx_x(r), n) };
    jc_value *is = fx_band(r, dims, JC_OP_eq, jc_ex_int(fx_x(r), 0));
    return is ? fx_cast(r, is, (jc_dtype)x->type.dtype) : NULL;
}

/* What is on the diagonal and below, or (upper) above; STRICT: without the diagonal. */
static jc_value *triangle(fx_reader *r, jc_value *x, bool upper, bool strict) {
    jc_value *kept = x && !r->status ? fx_band(r, x->type.dims + fx_rank(x) - 2, upper ? JC_OP_ge : JC_OP_le, jc_ex_int(fx_x(r), strict ? (upper ? 1 : -1) : 0)) : NULL;
    return kept ? FX_OP(r, JC_OP_where, fx_v(kept), fx_v(x), fx_i(r, 0)) : NULL;
}

/* INFO, i32, is held to 0 in NAME's name. */
static void hold(fx_reader *r, jc_value *info, const char *name) {
    if (info && !r->status)
        FX_OP(r, JC_OP_check_info, fx_v(fx_cast(r, info, JC_I32)), fx_i(r, jc_info_kind(name)));
}

/* _linalg_check_errors(info, api_name, is_matrix) */
jc_arg fx_h_linalg_check_errors(fx_call *c) {
    jc_value *info = fx_tensor(c, 0);
    if (!c->r->status && (c->a[1].kind != JC_ARG_STR || jc_info_kind(c->a[1].str) < 0))
        fx_refuse_arg(c, 1, "only functions that are compiled here are known by their names");
    if (!c->r->status)
        hold(c->r, info, c->a[1].str);
    return (jc_arg){ .kind = FX_VOID, .str = "_linalg_check_errors" };
}

/* --- Cholesky --- */

/* The lower factor of X; INFO, which is 0, becomes the first step that had no positive pivot, from 1. */
static jc_value *cholesky(fx_call *c, jc_value *x, jc_value **info) {
    fx_reader *r = c->r;
    const int64_t n = square_size(c, x);
    jc_value *y = n >= 0 ? FX_OP(r, JC_OP_mul, fx_v(x), fx_i(r, 0)) : NULL;
    for (int64_t k = 0; k < n && x && !r->status; k++) {
        jc_value *pivot = element(r, x, k), *below = op(r, JC_OP_div, column(r, x, k), FX_OP(r, JC_OP_sqrt, fx_v(pivot)));
        below = FX_OP(r, JC_OP_where, fx_v(places(r, n, JC_OP_ge, k, true)), fx_v(below), fx_i(r, 0));
        y = chosen(r, places(r, n, JC_OP_eq, k, false), below, y);
        x = op(r, JC_OP_sub, x, op(r, JC_OP_mul, below, turned(r, below)));
        if (r->status)
            break;
        const jc_arg bad = fx_v(FX_OP(r, JC_OP_bitwise_not, fx_v(FX_OP(r, JC_OP_gt, fx_v(pivot), fx_i(r, 0)))));
        *info = FX_OP(r, JC_OP_where, fx_v(FX_OP(r, JC_OP_bitand, bad, fx_v(FX_OP(r, JC_OP_eq, fx_v(*info), fx_i(r, 0))))), fx_i(r, k + 1), fx_v(*info));
    }
    return y;
}

/* 0 for each of a stack of matrices like X, as i32[..., 1, 1] or without the last two dims. */
static jc_value *no_info(fx_reader *r, const jc_value *x, bool kept) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x || r->status)
        return NULL;
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = d < fx_rank(x) - 2 ? x->type.dims[d] : jc_ex_int(fx_x(r), 1);
    return FX_OP(r, JC_OP_full, fx_dims(r, dims, (uint32_t)(kept ? fx_rank(x) : fx_rank(x) - 2)), fx_i(r, 0), jc_arg_dtype(JC_I32));
}

static jc_value *without_last_two(fx_reader *r, jc_value *x) {
    return x && !r->status ? fx_reshape(r, x, x->type.dims, (uint32_t)fx_rank(x) - 2) : NULL;
}

/* cholesky(A, upper); aux 1: cholesky_ex(A, upper, check_errors), with info */
jc_arg fx_h_cholesky(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const bool upper = fx_bool(c, 1, false), ex = c->row->aux;
    if (square_size(c, x) < 0)
        return fx_nothing();
    jc_value *info = no_info(r, x, true);
    jc_value *y = cholesky(c, upper ? turned(r, x) : x, &info);
    y = upper ? turned(r, y) : y;
    info = info ? without_last_two(r, fx_cast(r, info, JC_I32)) : NULL;
    if (!ex || fx_bool(c, 2, false))
        hold(r, info, ex ? "linalg.cholesky_ex" : strcmp(c->row->forms, "l") == 0 ? "linalg.cholesky" : "cholesky");
    return ex ? fx_list(r, (jc_arg[]){ fx_v(y), fx_v(info) }, 2) : fx_v(y);
}

/* --- triangular systems --- */

typedef struct triangular {
    bool upper, unit;
} triangular;

/* X with a X = B; what of A is on the other side of its diagonal is not looked at. */
static jc_value *substituted(fx_reader *r, jc_value *a, jc_value *b, int64_t n, triangular t) {
    for (int64_t i = 0; i < n && a && b && !r->status; i++) {
        const int64_t k = t.upper ? n - 1 - i : i;
        jc_value *known = row(r, b, k);
        if (!t.unit)
            known = op(r, JC_OP_div, known, element(r, a, k));
        jc_value *rest = op(r, JC_OP_sub, b, op(r, JC_OP_mul, column(r, a, k), known));
        rest = chosen(r, places(r, n, t.upper ? JC_OP_lt : JC_OP_gt, k, true), rest, b);
        b = chosen(r, places(r, n, JC_OP_eq, k, true), known, rest);
    }
    return b;
}

/* Stacks broadcast: B with A's leading dims too. */
static jc_value *stacked_like(fx_reader *r, jc_value *b, const jc_value *a) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!a || !b || r->status)
        return NULL;
    const int rank = fx_rank(a) > fx_rank(b) ? fx_rank(a) : fx_rank(b);
    for (int d = 0; d < rank; d++) {
        const int i = d - (rank - fx_rank(a)), k = d - (rank - fx_rank(b));
        dims[d] = d >= rank - 2 || (k >= 0 && !jc_ex_is(b->type.dims[k], 1)) || i < 0 ? b->type.dims[k] : a->type.dims[i];
    }
    return FX_OP(r, JC_OP_expand, fx_v(b), fx_dims(r, dims, (uint32_t)rank));
}

/* Where each spelling has its arguments. */
static const struct solve_places {
    uint8_t a, b, upper, left, unit, transpose; /* 0: none, for those behind b */
} solve_places[] = { { 0, 1, 2, 3, 4, 0 }, { 1, 0, 2, 0, 4, 3 } };

/* Aux 0: solve_triangular(A, B, upper, left, unitriangular), 1: triangular_solve(self, A, upper, transpose, unitriangular), which returns A as well */
jc_arg fx_h_solve_triangular(fx_call *c) {
    fx_reader *r = c->r;
    const struct solve_places *at = &solve_places[c->row->aux];
    jc_value *a = fx_tensor(c, at->a), *b = fx_tensor(c, at->b), *given = a;
    triangular t = { fx_bool(c, at->upper, c->row->aux), fx_bool(c, at->unit, false) };
    const bool left = !at->left || fx_bool(c, at->left, true), over = at->transpose && fx_bool(c, at->transpose, false);
    const int64_t n = square_size(c, a);
    if (n < 0 || !b)
        return fx_nothing();
    if (fx_rank(b) < 2) {
        fx_bad_arg(c, at->b, "matrices");
        return fx_nothing();
    }
    if (!left || over) {
        a = turned(r, a);
        t.upper = !t.upper;
    }
    jc_value *x = stacked_like(r, left ? b : turned(r, b), a);
    x = substituted(r, a, x, n, t);
    x = left ? x : turned(r, x);
    return c->row->aux ? fx_list(r, (jc_arg[]){ fx_v(x), fx_v(r->status ? NULL : FX_OP(r, JC_OP_clone, fx_v(given))) }, 2) : fx_v(x);
}

/* X with l lT X = B. */
static jc_value *by_cholesky(fx_reader *r, jc_value *l, jc_value *b, int64_t n) {
    b = substituted(r, l, stacked_like(r, b, l), n, (triangular){ false, false });
    return substituted(r, turned(r, l), b, n, (triangular){ true, false });
}

/* Which element of X's diagonal is the first 0, from 1; 0: none is. */
static jc_value *first_zero(fx_reader *r, jc_value *x, int64_t n) {
    jc_value *info = no_info(r, x, true);
    for (int64_t k = n; k-- > 0 && !r->status;)
        info = FX_OP(r, JC_OP_where, fx_v(FX_OP(r, JC_OP_eq, fx_v(element(r, x, k)), fx_i(r, 0))), fx_i(r, k + 1), fx_v(info));
    return without_last_two(r, info);
}

/* cholesky_solve(self, L, upper); aux 1: cholesky_inverse(L, upper) */
jc_arg fx_h_cholesky_solve(fx_call *c) {
    fx_reader *r = c->r;
    const int of_l = c->row->aux ? 0 : 1;
    jc_value *l = fx_tensor(c, of_l);
    const int64_t n = square_size(c, l);
    if (n < 0)
        return fx_nothing();
    jc_value *b = c->row->aux ? unit(r, l, n) : fx_tensor(c, 0);
    if (fx_bool(c, of_l + 1, false))
        l = turned(r, l);
    if (c->row->aux)
        hold(r, first_zero(r, l, n), "cholesky_inverse");
    return fx_v(by_cholesky(r, l, b, n));
}

/* --- LU --- */

typedef struct lu {
    int64_t m, n, steps;
    jc_value *x;       /* both factors */
    jc_value *b;       /* what goes through the same exchanges; NULL: nothing */
    jc_value *pivots;  /* i32[..., 1, steps], from 1 */
    jc_value *odd;     /* b8[..., 1, 1]: an odd number of exchanges */
    jc_value *info;    /* i32[..., 1, 1]: the first step that found only 0, from 1 */
} lu;

/* X with row K and the row at P, i64[..., 1, 1], exchanged. */
static jc_value *exchanged(fx_reader *r, jc_value *x, int64_t m, int64_t k, jc_value *p) {
    if (!x || !p || r->status)
        return NULL;
    jc_value *i = fx_unsqueeze(r, fx_counted(r, jc_ex_int(fx_x(r), m)), 1), *is = op(r, JC_OP_eq, i, p);
    const jc_arg dim = fx_i(r, -2 + (fx_rank(x) > fx_rank(p) ? fx_rank(x) : fx_rank(p))), dims = jc_arg_list(r->graph, &dim, 1);
    jc_value *zero = FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), fx_i(r, 0), jc_arg_dtype((jc_dtype)x->type.dtype));
    jc_value *there = FX_OP(r, JC_OP_sum, fx_v(chosen(r, is, x, zero)), dims, jc_arg_bool(true), jc_arg_dtype((jc_dtype)x->type.dtype));
    jc_value *moved = chosen(r, is, row(r, x, k), x);
    return chosen(r, places(r, m, JC_OP_eq, k, true), there, moved);
}

static void take_step(fx_reader *r, lu *f, int64_t k, bool pivot) {
    const jc_arg low = fx_i(r, -1);
    if (pivot) {
        jc_value *size = FX_OP(r, JC_OP_where, fx_v(places(r, f->m, JC_OP_ge, k, true)), fx_v(FX_OP(r, JC_OP_abs, fx_v(column(r, f->x, k)))), low);
        jc_value *p = size ? FX_OP(r, JC_OP_argmax, fx_v(size), fx_i(r, fx_rank(size) - 2), jc_arg_bool(true)) : NULL;
        f->x = exchanged(r, f->x, f->m, k, p);
        f->b = f->b ? exchanged(r, f->b, f->m, k, p) : NULL;
        f->odd = op(r, JC_OP_bitxor, f->odd, FX_OP(r, JC_OP_ne, fx_v(p), fx_i(r, k)));
        jc_value *said = p ? fx_cast(r, FX_OP(r, JC_OP_add, fx_v(p), fx_i(r, 1)), JC_I32) : NULL;
        f->pivots = chosen(r, places(r, f->steps, JC_OP_eq, k, false), said, f->pivots);
    }
    jc_value *at = element(r, f->x, k), *from = column(r, f->x, k), *none = FX_OP(r, JC_OP_eq, fx_v(at), fx_i(r, 0));
    jc_value *below = chosen(r, none, from, op(r, JC_OP_div, from, at)), *rows = places(r, f->m, JC_OP_gt, k, true);
    jc_value *rest = op(r, JC_OP_sub, f->x, op(r, JC_OP_mul, below, row(r, f->x, k)));
    rest = chosen(r, op(r, JC_OP_bitand, rows, places(r, f->n, JC_OP_gt, k, false)), rest, f->x);
    f->x = chosen(r, op(r, JC_OP_bitand, rows, places(r, f->n, JC_OP_eq, k, false)), below, rest);
    const jc_arg first = fx_v(op(r, JC_OP_bitand, none, FX_OP(r, JC_OP_eq, fx_v(f->info), fx_i(r, 0))));
    f->info = FX_OP(r, JC_OP_where, first, fx_i(r, k + 1), fx_v(f->info));
}

/* The factors of X, whose exchanges B goes through as well. */
static bool factored(fx_call *c, jc_value *x, jc_value *b, bool pivot, lu *f) {
    fx_reader *r = c->r;
    *f = (lu){ .m = size_of(c, x, -2), .n = size_of(c, x, -1), .x = x, .b = b };
    if (f->m < 0 || f->n < 0)
        return false;
    f->steps = f->m < f->n ? f->m : f->n;
    f->info = no_info(r, x, true);
    f->odd = FX_OP(r, JC_OP_ne, fx_v(f->info), fx_v(f->info));
    jc_value *counted = FX_OP(r, JC_OP_arange, fx_i(r, 1), fx_i(r, 1), fx_i(r, f->steps), jc_arg_dtype(JC_I32));
    f->pivots = op(r, JC_OP_add, f->info, counted);
    for (int64_t k = 0; k < f->steps && !r->status; k++)
        take_step(r, f, k, pivot);
    return !r->status;
}

/* Where a right-hand side of A is one vector, not a matrix. */
static bool is_vector(const jc_value *a, const jc_value *b) {
    if (fx_rank(b) == 1)
        return true;
    bool same = fx_rank(a) == fx_rank(b) + 1;
    for (int d = 0; same && d < fx_rank(b); d++)
        same = a->type.dims[d] == b->type.dims[d];
    return same;
}

/* X with A X = B, or X A = B. */
static jc_value *solved(fx_call *c, jc_value *a, jc_value *b, bool vector, bool left, jc_value **info) {
    fx_reader *r = c->r;
    lu f;
    const int64_t n = square_size(c, a);
    if (n < 0 || !b)
        return NULL;
    b = vector ? fx_unsqueeze(r, b, fx_rank(b)) : b;
    if (!left) {
        a = turned(r, a);
        b = vector ? b : turned(r, b);
    }
    if (!factored(c, a, stacked_like(r, b, a), true, &f))
        return NULL;
    jc_value *x = substituted(r, f.x, f.b, n, (triangular){ false, true });
    x = substituted(r, f.x, x, n, (triangular){ true, false });
    *info = without_last_two(r, f.info ? fx_cast(r, f.info, JC_I32) : NULL);
    if (vector && x)
        return fx_squeeze(r, x, fx_rank(x) - 1);
    return left ? x : turned(r, x);
}

jc_value *fx_inverse(fx_call *c, jc_value *x) {
    const int64_t n = square_size(c, x);
    jc_value *info = NULL, *y = n < 0 ? NULL : solved(c, x, unit(c->r, x, n), false, true, &info);
    hold(c->r, info, "linalg.inv");
    return y;
}

/* solve(A, B, left); aux 1: solve_ex, with info */
jc_arg fx_h_solve(fx_call *c) {
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1), *info = NULL;
    if (!a || !b)
        return fx_nothing();
    jc_value *x = solved(c, a, b, is_vector(a, b), fx_bool(c, 2, true), &info);
    if (!c->row->aux || fx_bool(c, 3, false))
        hold(c->r, info, c->row->aux ? "torch.linalg.solve_ex" : "torch.linalg.solve");
    return c->row->aux && x ? fx_list(c->r, (jc_arg[]){ fx_v(x), fx_v(info) }, 2) : fx_v(x);
}

/* inv(A); aux 1: inv_ex(A, check_errors), with info */
jc_arg fx_h_inv(fx_call *c) {
    jc_value *a = fx_tensor(c, 0), *info = NULL;
    const int64_t n = square_size(c, a);
    jc_value *x = n < 0 ? NULL : solved(c, a, unit(c->r, a, n), false, true, &info);
    if (!c->row->aux || fx_bool(c, 1, false))
        hold(c->r, info, c->row->aux ? "linalg.inv_ex" : "linalg.inv");
    return c->row->aux && x ? fx_list(c->r, (jc_arg[]){ fx_v(x), fx_v(info) }, 2) : fx_v(x);
}

/* The diagonal of X, [..., n]. */
static jc_value *diagonal(fx_reader *r, jc_value *x, int64_t n) {
    return x && !r->status ? FX_OP(r, JC_OP_diagonal, fx_v(x), fx_i(r, fx_rank(x) - 2), fx_i(r, fx_rank(x) - 1), fx_i(r, 0), fx_i(r, 0), fx_i(r, n)) : NULL;
}

static jc_value *over_last(fx_reader *r, jc_op o, jc_value *x) {
    const jc_arg dim = fx_i(r, x ? fx_rank(x) - 1 : 0);
    return x && !r->status ? FX_OP(r, o, fx_v(x), jc_arg_list(r->graph, &dim, 1), jc_arg_bool(false), fx_nothing()) : NULL;
}

/* det(A); aux 1: slogdet(A), a sign and a logarithm; 2: logdet(A) */
jc_arg fx_h_det(fx_call *c) {
    fx_reader *r = c->r;
    lu f;
    jc_value *x = fx_tensor(c, 0);
    if (square_size(c, x) < 0 || !factored(c, x, NULL, true, &f))
        return fx_nothing();
    jc_value *d = diagonal(r, f.x, f.n), *sign = FX_OP(r, JC_OP_where, fx_v(without_last_two(r, f.odd)), jc_arg_float(-1), jc_arg_float(1));
    sign = sign ? fx_cast(r, sign, (jc_dtype)x->type.dtype) : NULL;
    if (!c->row->aux)
        return fx_v(op(r, JC_OP_mul, over_last(r, JC_OP_prod, d), sign));
    jc_value *above = FX_OP(r, JC_OP_gt, fx_v(d), fx_i(r, 0)), *below = FX_OP(r, JC_OP_lt, fx_v(d), fx_i(r, 0));
    const jc_arg negative = fx_v(FX_OP(r, JC_OP_where, fx_v(below), jc_arg_float(-1), fx_v(FX_OP(r, JC_OP_mul, fx_v(d), fx_i(r, 0)))));
    jc_value *each = FX_OP(r, JC_OP_where, fx_v(above), jc_arg_float(1), negative);
    sign = op(r, JC_OP_mul, over_last(r, JC_OP_prod, each), sign);
    jc_value *size = over_last(r, JC_OP_sum, FX_OP(r, JC_OP_log, fx_v(FX_OP(r, JC_OP_abs, fx_v(d)))));
    if (c->row->aux == 1)
        return fx_list(r, (jc_arg[]){ fx_v(sign), fx_v(size) }, 2);
    return fx_v(FX_OP(r, JC_OP_where, fx_v(FX_OP(r, JC_OP_lt, fx_v(sign), fx_i(r, 0))), jc_arg_float(__builtin_nan("")), fx_v(size)));
}

static jc_arg with_unknown(fx_call *c, jc_arg known, uint32_t more) {
    jc_arg all[6];
    uint32_t n = 0;
    for (; known.kind == JC_ARG_LIST && n < known.list.n; n++)
        all[n] = known.list.at[n];
    if (known.kind != JC_ARG_LIST)
        all[n++] = known;
    for (uint32_t k = 0; k < more; k++)
        all[n++] = fx_opaque("factors that are kept for training");
    return c->r->status ? fx_nothing() : fx_list(c->r, all, n);
}

/* aten._linalg_det(A), _linalg_slogdet: with LU and pivots */
jc_arg fx_h_linalg_det(fx_call *c) {
    return with_unknown(c, fx_h_det(c), 2);
}

/* aten._linalg_solve_ex(A, B, left, check_errors): result, LU, pivots, info */
jc_arg fx_h_linalg_solve_ex(fx_call *c) {
    const jc_arg y = fx_h_solve(c), kept = fx_opaque("factors that are kept for training");
    return c->r->status || y.kind != JC_ARG_LIST ? fx_nothing() : fx_list(c->r, (jc_arg[]){ y.list.at[0], kept, kept, y.list.at[1] }, 4);
}

/* PIVOTS, i32[..., 1, steps], without their dim of 1. */
static jc_value *as_vector(fx_reader *r, jc_value *pivots) {
    return pivots && !r->status ? fx_squeeze(r, fx_cast(r, pivots, JC_I32), fx_rank(pivots) - 2) : NULL;
}

/* lu_factor(A, pivot); aux 1: lu_factor_ex, with info */
jc_arg fx_h_lu_factor(fx_call *c) {
    fx_reader *r = c->r;
    lu f;
    if (!factored(c, fx_tensor(c, 0), NULL, fx_bool(c, 1, true), &f))
        return fx_nothing();
    const jc_arg info = fx_v(without_last_two(r, fx_cast(r, f.info, JC_I32)));
    if (!c->row->aux || fx_bool(c, 2, false))
        hold(r, info.value, c->row->aux ? "torch.linalg.lu_factor_ex" : "torch.linalg.lu_factor");
    return fx_list(r, (jc_arg[]){ fx_v(f.x), fx_v(as_vector(r, f.pivots)), info }, c->row->aux ? 3 : 2);
}

/* The lower factor, of ones on the diagonal, and the upper one. */
static void parts_of(fx_reader *r, jc_value *x, int64_t m, int64_t n, jc_value **l, jc_value **u) {
    const int64_t k = m < n ? m : n;
    jc_value *left = fx_slice(r, x, fx_rank(x) - 1, jc_ex_int(fx_x(r), 0), jc_ex_int(fx_x(r), k), 1);
    jc_value *top = fx_slice(r, x, fx_rank(x) - 2, jc_ex_int(fx_x(r), 0), jc_ex_int(fx_x(r), k), 1);
    const jc_expr *dims[2] = { jc_ex_int(fx_x(r), m), jc_ex_int(fx_x(r), k) };
    jc_value *on = fx_band(r, dims, JC_OP_eq, jc_ex_int(fx_x(r), 0));
    *l = FX_OP(r, JC_OP_where, fx_v(on), fx_i(r, 1), fx_v(triangle(r, left, false, true)));
    *u = triangle(r, top, true, false);
}

/* lu(A, pivot): the permutation as a matrix, and both factors */
jc_arg fx_h_lu(fx_call *c) {
    fx_reader *r = c->r;
    lu f;
    jc_value *x = fx_tensor(c, 0), *l = NULL, *u = NULL;
    const bool pivot = fx_bool(c, 1, true);
    const int64_t m = size_of(c, x, -2);
    if (m < 0 || !factored(c, x, pivot ? stacked_like(r, unit(r, x, m), x) : NULL, pivot, &f))
        return fx_nothing();
    parts_of(r, f.x, f.m, f.n, &l, &u);
    const jc_expr *none = jc_ex_int(fx_x(r), 0);
    const jc_arg p = pivot ? fx_v(turned(r, f.b)) : fx_v(FX_OP(r, JC_OP_full, fx_dims(r, &none, 1), fx_i(r, 0), jc_arg_dtype((jc_dtype)x->type.dtype)));
    return fx_list(r, (jc_arg[]){ p, fx_v(l), fx_v(u) }, 3);
}

/* B through the exchanges that PIVOTS, i32[..., steps], say; BACK: undone. */
static jc_value *through(fx_reader *r, jc_value *b, jc_value *pivots, int64_t m, int64_t steps, bool back) {
    jc_value *p = pivots ? fx_unsqueeze(r, fx_cast(r, pivots, JC_I64), fx_rank(pivots) - 1) : NULL;
    p = FX_OP(r, JC_OP_sub, fx_v(p), fx_i(r, 1));
    for (int64_t i = 0; i < steps && !r->status; i++) {
        const int64_t k = back ? steps - 1 - i : i;
        b = exchanged(r, b, m, k, column(r, p, k));
    }
    return b;
}

/* lu_unpack(LU_data, LU_pivots, unpack_data, unpack_pivots) */
jc_arg fx_h_lu_unpack(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *pivots = fx_tensor(c, 1), *l = NULL, *u = NULL;
    const int64_t m = size_of(c, x, -2), n = size_of(c, x, -1);
    if (m < 0 || n < 0 || !pivots)
        return fx_nothing();
    const jc_expr *none = jc_ex_int(fx_x(r), 0);
    jc_value *nothing = FX_OP(r, JC_OP_full, fx_dims(r, &none, 1), fx_i(r, 0), jc_arg_dtype((jc_dtype)x->type.dtype)), *p = nothing;
    if (fx_bool(c, 3, true))
        p = through(r, stacked_like(r, unit(r, x, m), x), pivots, m, m < n ? m : n, true);
    if (fx_bool(c, 2, true))
        parts_of(r, x, m, n, &l, &u);
    else
        l = u = nothing;
    return fx_list(r, (jc_arg[]){ fx_v(p), fx_v(l), fx_v(u) }, 3);
}

/* Aux 0: linalg.lu_solve(LU, pivots, B, left, adjoint), 1: torch.lu_solve(self, LU_data, LU_pivots) */
jc_arg fx_h_lu_solve(fx_call *c) {
    fx_reader *r = c->r;
    const bool old = c->row->aux;
    jc_value *x = fx_tensor(c, old ? 1 : 0), *pivots = fx_tensor(c, old ? 2 : 1), *b = fx_tensor(c, old ? 0 : 2);
    const bool left = old || fx_bool(c, 3, true), adjoint = !old && fx_bool(c, 4, false);
    const int64_t n = square_size(c, x);
    if (n < 0 || !pivots || !b)
        return fx_nothing();
    b = stacked_like(r, left ? b : turned(r, b), x);
    if (left != adjoint) {
        b = through(r, b, pivots, n, n, false);
        b = substituted(r, x, b, n, (triangular){ false, true });
        b = substituted(r, x, b, n, (triangular){ true, false });
    } else {
        jc_value *t = turned(r, x);
        b = substituted(r, t, b, n, (triangular){ false, false });
        b = substituted(r, t, b, n, (triangular){ true, true });
        b = through(r, b, pivots, n, n, true);
    }
    return fx_v(left ? b : turned(r, b));
}

/* tensorinv(A, ind): of A as a matrix of so many dims by the rest */
jc_arg fx_h_tensorinv(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *dims[JC_MAX_RANK], *two[2];
    jc_value *x = fx_tensor(c, 0);
    const int64_t ind = fx_int(c, 1, 2);
    if (!x)
        return fx_nothing();
    const int rank = fx_rank(x);
    if (ind < 1 || ind >= rank) {
        fx_bad_arg(c, 1, "a number of dimensions, less than there are");
        return fx_nothing();
    }
    two[0] = jc_ex_product(fx_x(r), x->type.dims, (uint32_t)ind);
    two[1] = jc_ex_product(fx_x(r), x->type.dims + ind, (uint32_t)(rank - ind));
    for (int d = 0; d < rank; d++)
        dims[d] = x->type.dims[(d + ind) % rank];
    jc_value *y = fx_inverse(c, fx_reshape(r, x, two, 2));
    return fx_v(y ? fx_reshape(r, y, dims, (uint32_t)rank) : NULL);
}

/* tensorsolve(A, B, dims): of A as a matrix of as many rows as B has elements; DIMS of A go behind the others before */
jc_arg fx_h_tensorsolve(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    int moved[JC_MAX_RANK], order[JC_MAX_RANK], n = 0;
    if (!a || !b)
        return fx_nothing();
    const uint32_t count = fx_given(c, 2) ? fx_which_dims(c, 2, fx_rank(a), moved) : 0;
    for (int d = 0; d < fx_rank(a); d++) {
        bool goes = false;
        for (uint32_t k = 0; k < count; k++)
            goes |= moved[k] == d;
        if (!goes)
            order[n++] = d;
    }
    if (!r->status && (n + (int)count != fx_rank(a) || fx_rank(b) >= fx_rank(a)))
        fx_bad_arg(c, 0, "of more dimensions than the other, of which different ones are moved");
    for (uint32_t k = 0; k < count && !r->status; k++)
        order[n++] = moved[k];
    a = r->status ? NULL : fx_permute(r, a, order);
    if (!a)
        return fx_nothing();
    const uint32_t lead = b->type.rank, rest = a->type.rank - lead;
    const jc_expr *rows = jc_ex_product(fx_x(r), b->type.dims, lead), *two[2] = { rows, jc_ex_product(fx_x(r), a->type.dims + lead, rest) };
    jc_value *info = NULL, *x = solved(c, fx_reshape(r, a, two, 2), fx_reshape(r, b, &rows, 1), true, true, &info);
    hold(r, info, "torch.linalg.solve");
    return fx_v(x ? fx_reshape(r, x, a->type.dims + lead, rest) : NULL);
}
