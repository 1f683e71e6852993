/*
 * ir/fx/fx_build_orthogonal.c - spellings that factor by orthogonal matrices: QR by Householder's reflections, as LAPACK does, and what has
 * singular values, by Jacobi's rotations.
 *
 * A reflection is I - tau v vT, v being 0 above a row, 1 at it, and below as it is stored.  Singular values follow from rotating columns
 * until they are orthogonal (Hestenes 1958), in f64: each round rotates half as many pairs as there are columns, all apart, and then seats
 * them anew (Brent and Luk 1985), so that all rounds are one piece of code.  Steps are written out, so matrices are small and of constant size.
 * Vectors of singular values have signs that no definition says: those are not given.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_factor.h"

enum { MOST_STEPS = 16, MOST_COLUMNS = 12, SWEEPS = 8 };

/* Over rows (-2) or columns (-1), kept as 1. */
static jc_value *over(fx_reader *r, jc_op o, jc_value *x, int dim) {
    const jc_arg at = fx_i(r, x ? fx_rank(x) + dim : 0), dims = jc_arg_list(r->graph, &at, 1);
    if (!x || r->status)
        return NULL;
    const jc_arg args[] = { fx_v(x), dims, jc_arg_bool(true), fx_nothing() };
    return fx_op(r, o, args, jc_ops[o].nargs);
}

/* Matrices of floats of a constant size: that of dim -2 and of dim -1. */
static bool sizes_of(fx_call *c, int i, const jc_value *x, int64_t *m, int64_t *n, int64_t most) {
    if (!x || c->r->status)
        return false;
    if (fx_rank(x) < 2 || fx_class_of(x) != 'f')
        fx_bad_arg(c, i, "matrices of floats");
    else if (!jc_ex_is_const(x->type.dims[fx_rank(x) - 2], m) || !jc_ex_is_const(x->type.dims[fx_rank(x) - 1], n) || (*m < *n ? *m : *n) > most)
        fx_refuse_arg(c, i, most == MOST_STEPS ? "only matrices of a constant size, of up to 16 rows or columns, are factored"
                                               : "only matrices of a constant size, of up to 12 rows or columns, are factored");
    return !c->r->status;
}

static jc_value *zero_of(fx_reader *r, const jc_value *x, const jc_expr *const *dims, uint32_t n) {
    return FX_OP(r, JC_OP_full, fx_dims(r, dims, n), fx_i(r, 0), jc_arg_dtype((jc_dtype)x->type.dtype));
}

/* The first K columns of the M by M unit matrix, one for each matrix of X. */
static jc_value *units(fx_reader *r, const jc_value *x, int64_t m, int64_t k) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x || r->status)
        return NULL;
    const int rank = fx_rank(x);
    memcpy(dims, x->type.dims, sizeof *dims * (size_t)rank);
    dims[rank - 2] = jc_ex_int(fx_x(r), m);
    dims[rank - 1] = jc_ex_int(fx_x(r), k);
    jc_value *is = fx_band(r, dims + rank - 2, JC_OP_eq, jc_ex_int(fx_x(r), 0));
    is = is ? fx_cast(r, is, (jc_dtype)x->type.dtype) : NULL;
    is = is ? FX_OP(r, JC_OP_expand, fx_v(is), fx_dims(r, dims, (uint32_t)rank)) : NULL;
    return is ? FX_OP(r, JC_OP_clone, fx_v(is)) : NULL;
}

/* X, of M rows, after the reflection by V and TAU. */
static jc_value *reflected(fx_reader *r, jc_value *x, jc_value *v, jc_value *tau) {
    jc_value *w = op(r, JC_OP_mul, tau, over(r, JC_OP_sum, op(r, JC_OP_mul, v, x), -2));
    return op(r, JC_OP_sub, x, op(r, JC_OP_mul, v, w));
}

/* Column K of X as a reflection's vector: 0 above row K, 1 at it. */
static jc_value *vector_of(fx_reader *r, jc_value *x, int64_t m, int64_t k) {
    jc_value *below = FX_OP(r, JC_OP_where, fx_v(places(r, m, JC_OP_gt, k, true)), fx_v(column(r, x, k)), fx_i(r, 0));
    return FX_OP(r, JC_OP_where, fx_v(places(r, m, JC_OP_eq, k, true)), fx_i(r, 1), fx_v(below));
}

typedef struct reflections {
    int64_t m, n, steps;
    jc_value *x;   /* above and on the diagonal R, below the vectors */
    jc_value *tau; /* [..., 1, steps] */
} reflections;

/* LAPACK's geqr2: a reflection takes what is below row K of column K to 0. */
static void reflect(fx_reader *r, reflections *f, int64_t k) {
    jc_value *here = column(r, f->x, k), *alpha = element(r, f->x, k), *under = places(r, f->m, JC_OP_gt, k, true);
    jc_value *rest = FX_OP(r, JC_OP_where, fx_v(under), fx_v(here), fx_i(r, 0)), *zero = number_op(r, JC_OP_mul, alpha, 0);
    jc_value *size = FX_OP(r, JC_OP_sqrt, fx_v(over(r, JC_OP_sum, op(r, JC_OP_mul, rest, rest), -2)));
    jc_value *none = FX_OP(r, JC_OP_eq, fx_v(size), fx_i(r, 0)), *length = op(r, JC_OP_hypot, alpha, size);
    jc_value *negative = FX_OP(r, JC_OP_signbit, fx_v(alpha)), *turned_round = FX_OP(r, JC_OP_neg, fx_v(length));
    jc_value *beta = chosen(r, none, alpha, chosen(r, negative, length, turned_round));
    jc_value *tau = chosen(r, none, zero, op(r, JC_OP_div, op(r, JC_OP_sub, beta, alpha), beta));
    jc_value *below = chosen(r, none, rest, op(r, JC_OP_div, rest, op(r, JC_OP_sub, alpha, beta)));
    jc_value *v = FX_OP(r, JC_OP_where, fx_v(places(r, f->m, JC_OP_eq, k, true)), fx_i(r, 1), fx_v(below));
    jc_value *stored = chosen(r, under, below, chosen(r, places(r, f->m, JC_OP_eq, k, true), beta, here));
    jc_value *right = chosen(r, places(r, f->n, JC_OP_gt, k, false), reflected(r, f->x, v, tau), f->x);
    f->x = chosen(r, places(r, f->n, JC_OP_eq, k, false), stored, right);
    f->tau = f->tau ? chosen(r, places(r, f->steps, JC_OP_eq, k, false), tau, f->tau)
                    : FX_OP(r, JC_OP_where, fx_v(places(r, f->steps, JC_OP_eq, k, false)), fx_v(tau), fx_i(r, 0));
}

static bool reflect_all(fx_call *c, jc_value *x, reflections *f) {
    *f = (reflections){ .x = x };
    if (!sizes_of(c, 0, x, &f->m, &f->n, MOST_STEPS))
        return false;
    f->steps = f->m < f->n ? f->m : f->n;
    for (int64_t k = 0; k < f->steps && !c->r->status; k++)
        reflect(c->r, f, k);
    return !c->r->status;
}

/* Y after STEPS reflections, whose vectors are X's columns; FORWARD: the first one first. */
static jc_value *through(fx_reader *r, jc_value *x, jc_value *tau, int64_t m, int64_t steps, jc_value *y, bool forward) {
    for (int64_t i = 0; i < steps && y && !r->status; i++) {
        const int64_t k = forward ? i : steps - 1 - i;
        y = reflected(r, y, vector_of(r, x, m, k), column(r, tau, k));
    }
    return y;
}

/* qr: 'reduced', 'complete', 'r'.  Aux 0: linalg.qr(A, mode), 1: torch.qr(self, some) */
jc_arg fx_h_qr(fx_call *c) {
    fx_reader *r = c->r;
    reflections f;
    const jc_arg mode = c->a[1];
    const bool word = !c->row->aux && fx_given(c, 1), r_alone = word && mode.kind == JC_ARG_STR && !strcmp(mode.str, "r");
    const bool complete = c->row->aux ? !fx_bool(c, 1, true) : word && mode.kind == JC_ARG_STR && !strcmp(mode.str, "complete");
    if (word && !r_alone && !complete && (mode.kind != JC_ARG_STR || strcmp(mode.str, "reduced") != 0))
        fx_bad_arg(c, 1, "'reduced', 'complete' or 'r'");
    jc_value *x = fx_tensor(c, 0);
    if (!x || r->status || !reflect_all(c, x, &f))
        return fx_nothing();
    const int64_t k = complete ? f.m : f.steps;
    jc_value *top = fx_slice(r, f.x, fx_rank(x) - 2, jc_ex_int(fx_x(r), 0), jc_ex_int(fx_x(r), k), 1);
    jc_value *kept = top ? fx_band(r, top->type.dims + fx_rank(x) - 2, JC_OP_ge, jc_ex_int(fx_x(r), 0)) : NULL;
    jc_value *upper = kept ? FX_OP(r, JC_OP_where, fx_v(kept), fx_v(top), fx_i(r, 0)) : NULL;
    const jc_expr *none = jc_ex_int(fx_x(r), 0);
    jc_value *q = r_alone ? zero_of(r, x, &none, 1) : through(r, f.x, f.tau, f.m, f.steps, units(r, x, f.m, k), false);
    return r->status ? fx_nothing() : fx_list(r, (jc_arg[]){ fx_v(q), fx_v(upper) }, 2);
}

/* geqrf(self): R and the vectors, and tau */
jc_arg fx_h_geqrf(fx_call *c) {
    fx_reader *r = c->r;
    reflections f;
    jc_value *x = fx_tensor(c, 0);
    if (!x || !reflect_all(c, x, &f))
        return fx_nothing();
    if (!f.tau) {
        fx_refuse_arg(c, 0, "a matrix without elements has no reflections");
        return fx_nothing();
    }
    jc_value *tau = fx_squeeze(r, f.tau, fx_rank(f.tau) - 2);
    return r->status ? fx_nothing() : fx_list(r, (jc_arg[]){ fx_v(f.x), fx_v(tau) }, 2);
}

/* Reflections as they are given: X, argument I, and the one behind it; how many there are. */
static jc_value *given_reflections(fx_call *c, int i, jc_value *x, int64_t *m, int64_t *steps) {
    jc_value *tau = fx_tensor(c, i + 1);
    int64_t n = 0;
    if (!sizes_of(c, i, x, m, &n, MOST_STEPS) || !tau)
        return NULL;
    if (!fx_rank(tau) || !jc_ex_is_const(tau->type.dims[fx_rank(tau) - 1], steps) || *steps > n || *steps > MOST_STEPS)
        fx_bad_arg(c, i + 1, "a constant number of factors, of up to 16, and no more than there are columns");
    return c->r->status ? NULL : fx_unsqueeze(c->r, tau, fx_rank(tau) - 1);
}

/* householder_product(input, tau): the first columns of the product of reflections */
jc_arg fx_h_householder_product(fx_call *c) {
    int64_t m = 0, n = 0, steps = 0;
    jc_value *x = fx_tensor(c, 0), *tau = given_reflections(c, 0, x, &m, &steps);
    if (!tau || c->r->status)
        return fx_nothing();
    jc_ex_is_const(x->type.dims[fx_rank(x) - 1], &n);
    return fx_v(through(c->r, x, tau, m, steps, units(c->r, x, m, n), false));
}

/* ormqr(self, input2, input3, left, transpose): the product of reflections by a matrix */
jc_arg fx_h_ormqr(fx_call *c) {
    int64_t m = 0, steps = 0;
    jc_value *x = fx_tensor(c, 0), *tau = given_reflections(c, 0, x, &m, &steps), *y = fx_tensor(c, 2);
    const bool left = fx_bool(c, 3, true), transposed = fx_bool(c, 4, false);
    if (!tau || !y || c->r->status)
        return fx_nothing();
    if (fx_rank(y) != fx_rank(x)) {
        fx_bad_arg(c, 2, "a matrix for each of the others");
        return fx_nothing();
    }
    y = through(c->r, x, tau, m, steps, left ? y : turned(c->r, y), left == transposed);
    return fx_v(left ? y : turned(c->r, y));
}

/* --- singular values --- */

typedef struct rotations {
    int64_t m, n;      /* n columns, the fewer ones */
    bool turned;       /* of the transposed matrices */
    jc_value *x, *v;   /* X V in x, whose columns are orthogonal in the end; v where asked for */
    jc_value *partner; /* of each column, as a matrix that moves it there */
    jc_value *seats;   /* a matrix that seats columns anew after a round */
} rotations;

/* f64[N, N]: 1 where ROWS says of column i that it becomes column ROWS[i]. */
static jc_value *moves(fx_reader *r, const int64_t *rows, int64_t n) {
    jc_arg at[MOST_COLUMNS + 1];
    for (int64_t i = 0; i < n; i++)
        at[i] = fx_i(r, rows[i]);
    jc_value *to = fx_unsqueeze(r, fx_list_tensor(r, fx_list(r, at, (uint32_t)n), r->stmt->at), 1), *count = fx_counted(r, jc_ex_int(fx_x(r), n));
    jc_value *is = FX_OP(r, JC_OP_eq, fx_v(to), fx_v(count));
    return is ? fx_cast(r, is, JC_F64) : NULL;
}

/* Columns sit in pairs, 2 i beside 2 i + 1; column 0 stays, all others move on by one seat around the table. */
static void seat(fx_reader *r, rotations *s) {
    int64_t partner[MOST_COLUMNS + 1], to[MOST_COLUMNS + 1];
    const int64_t n = s->n;
    for (int64_t i = 0; i < n; i++) {
        partner[i] = i ^ 1;
        to[i] = i == 0 ? 0 : i == 1 ? (n > 2 ? 2 : 1) : i % 2 ? i - 2 : i + 2 < n ? i + 2 : i + 1;
    }
    s->partner = moves(r, partner, n);
    s->seats = moves(r, to, n);
}

/* Each column's cosine, and tangent times cosine towards its partner, as rows. */
static void angles(fx_reader *r, const rotations *s, jc_value **cosine, jc_value **sine) {
    jc_value *other = times(r, s->x, s->partner), *mine = over(r, JC_OP_sum, op(r, JC_OP_mul, s->x, s->x), -2);
    jc_value *theirs = over(r, JC_OP_sum, op(r, JC_OP_mul, other, other), -2), *both = over(r, JC_OP_sum, op(r, JC_OP_mul, s->x, other), -2);
    jc_value *none = FX_OP(r, JC_OP_eq, fx_v(both), fx_i(r, 0)), *ratio = op(r, JC_OP_div, op(r, JC_OP_sub, theirs, mine), number_op(r, JC_OP_mul, both, 2));
    jc_value *even = FX_OP(r, JC_OP_eq, fx_v(FX_OP(r, JC_OP_remainder, fx_v(fx_counted(r, jc_ex_int(fx_x(r), s->n))), fx_i(r, 2))), fx_i(r, 0));
    jc_value *level = FX_OP(r, JC_OP_eq, fx_v(ratio), fx_i(r, 0)), *below = FX_OP(r, JC_OP_lt, fx_v(ratio), fx_i(r, 0));
    jc_value *sign = FX_OP(r, JC_OP_where, fx_v(chosen(r, level, FX_OP(r, JC_OP_bitwise_not, fx_v(even)), below)), jc_arg_float(-1), jc_arg_float(1));
    sign = sign ? fx_cast(r, sign, JC_F64) : NULL;
    jc_value *size = FX_OP(r, JC_OP_abs, fx_v(ratio)), *one = number_op(r, JC_OP_add, number_op(r, JC_OP_mul, size, 0), 1);
    jc_value *tangent = op(r, JC_OP_div, sign, op(r, JC_OP_add, size, op(r, JC_OP_hypot, size, one)));
    tangent = FX_OP(r, JC_OP_where, fx_v(none), jc_arg_float(0), fx_v(tangent));
    *cosine = FX_OP(r, JC_OP_rsqrt, fx_v(number_op(r, JC_OP_add, op(r, JC_OP_mul, tangent, tangent), 1)));
    *sine = op(r, JC_OP_mul, tangent, *cosine);
}

/* X's columns rotated with their partners, and seated anew. */
static jc_value *rotated(fx_reader *r, const rotations *s, jc_value *x, jc_value *cosine, jc_value *sine) {
    jc_value *other = times(r, x, s->partner);
    return times(r, op(r, JC_OP_sub, op(r, JC_OP_mul, x, cosine), op(r, JC_OP_mul, other, sine)), s->seats);
}

/* X as [..., m, n] of f64 with n <= m and n even: a column of zeros more where it is odd, in front, where it keeps its seat. */
static jc_value *prepared(fx_reader *r, rotations *s, jc_value *x) {
    const jc_expr *before[JC_MAX_RANK], *after[JC_MAX_RANK];
    x = fx_cast(r, x, JC_F64);
    x = s->turned ? turned(r, x) : x;
    if (!x || s->n % 2 == 0)
        return x;
    for (int d = 0; d < fx_rank(x); d++) {
        before[d] = jc_ex_int(fx_x(r), d == fx_rank(x) - 1);
        after[d] = jc_ex_int(fx_x(r), 0);
    }
    s->n++;
    return FX_OP(r, JC_OP_pad, fx_v(x), fx_dims(r, before, x->type.rank), fx_dims(r, after, x->type.rank), fx_i(r, 0));
}

static bool rotate_all(fx_call *c, jc_value *x, bool vectors, rotations *s) {
    fx_reader *r = c->r;
    *s = (rotations){ 0 };
    if (!sizes_of(c, 0, x, &s->m, &s->n, MOST_COLUMNS))
        return false;
    s->turned = s->m < s->n;
    const int64_t columns = s->turned ? s->m : s->n;
    s->m = s->turned ? s->n : s->m;
    s->n = columns;
    s->x = prepared(r, s, x);
    s->v = vectors ? units(r, s->x, s->n, s->n) : NULL;
    if (s->n)
        seat(r, s);
    for (int64_t k = 0; k < SWEEPS * (s->n - 1) && columns > 1 && !r->status; k++) {
        jc_value *cosine = NULL, *sine = NULL;
        angles(r, s, &cosine, &sine);
        s->x = rotated(r, s, s->x, cosine, sine);
        s->v = vectors ? rotated(r, s, s->v, cosine, sine) : NULL;
    }
    if (s->n != columns && s->x && !r->status) {
        s->x = fx_slice(r, s->x, fx_rank(s->x) - 1, jc_ex_int(fx_x(r), 1), jc_ex_int(fx_x(r), columns), 1);
        for (int d = 2; vectors && d > 0; d--)
            s->v = fx_slice(r, s->v, fx_rank(s->v) - d, jc_ex_int(fx_x(r), 1), jc_ex_int(fx_x(r), columns), 1);
    }
    s->n = columns;
    return !r->status;
}

/* f64[..., n], unsorted. */
static jc_value *lengths(fx_reader *r, const rotations *s) {
    jc_value *y = FX_OP(r, JC_OP_sqrt, fx_v(over(r, JC_OP_sum, op(r, JC_OP_mul, s->x, s->x), -2)));
    return y ? fx_squeeze(r, y, fx_rank(y) - 2) : NULL;
}

static jc_value *sorted(fx_reader *r, jc_value *x, bool descending) {
    const jc_arg y = x && !r->status ? fx_v(FX_OP(r, JC_OP_sort, fx_v(x), jc_arg_bool(descending))) : fx_nothing();
    return fx_is_tensor(y) ? y.value : NULL;
}

jc_value *fx_singular_values(fx_call *c, jc_value *x) {
    rotations s;
    if (!x || !rotate_all(c, x, false, &s))
        return NULL;
    jc_value *y = sorted(c->r, lengths(c->r, &s), true);
    return y ? fx_cast(c->r, y, (jc_dtype)x->type.dtype) : NULL;
}

/* Vectors have signs, and of equal values any basis, which are LAPACK's choice. */
static const char vectors[] = "vectors of a decomposition, whose signs no rule tells: its values are compiled alone";

/* svdvals(A, driver); aux 1: svd(A, ...), of which the vectors are not known */
jc_arg fx_h_svdvals(fx_call *c) {
    jc_value *y = fx_singular_values(c, fx_tensor(c, 0));
    const jc_arg unknown = fx_opaque(vectors);
    return c->row->aux && !c->r->status ? fx_list(c->r, (jc_arg[]){ unknown, fx_v(y), unknown }, 3) : fx_v(y);
}

/* X's triangle, mirrored. */
static jc_value *mirrored(fx_reader *r, jc_value *x, bool upper) {
    jc_value *kept = x && !r->status ? fx_band(r, x->type.dims + fx_rank(x) - 2, upper ? JC_OP_ge : JC_OP_le, jc_ex_int(fx_x(r), 0)) : NULL;
    return kept ? chosen(r, kept, x, turned(r, x)) : NULL;
}

/* eigvalsh(A, UPLO), aux 1: eigh(A, UPLO), of which the vectors are not known: those of A and a multiple of 1 that leaves none below 0, less that multiple */
jc_arg fx_h_eigvalsh(fx_call *c) {
    fx_reader *r = c->r;
    rotations s;
    int64_t m = 0, n = 0;
    jc_value *given = fx_tensor(c, 0);
    if (!sizes_of(c, 0, given, &m, &n, MOST_COLUMNS))
        return fx_nothing();
    if (m != n)
        fx_bad_arg(c, 0, "square matrices");
    const bool upper = fx_given(c, 1) && c->a[1].kind == JC_ARG_STR && (c->a[1].str[0] == 'U' || c->a[1].str[0] == 'u');
    jc_value *x = r->status ? NULL : mirrored(r, fx_cast(r, given, JC_F64), upper);
    jc_value *bound = over(r, JC_OP_sum, over(r, JC_OP_sum, FX_OP(r, JC_OP_abs, fx_v(x)), -1), -2);
    x = op(r, JC_OP_add, x, op(r, JC_OP_mul, units(r, x, n, n), bound));
    if (!x || !rotate_all(c, x, false, &s))
        return fx_nothing();
    jc_value *y = sorted(r, lengths(r, &s), false);
    y = y ? op(r, JC_OP_sub, y, fx_squeeze(r, bound, fx_rank(bound) - 1)) : NULL;
    y = y ? fx_cast(r, y, (jc_dtype)given->type.dtype) : NULL;
    return c->row->aux && !r->status ? fx_list(r, (jc_arg[]){ fx_v(y), fx_opaque(vectors) }, 2) : fx_v(y);
}

/* How small singular values count as 0: the larger of ATOL and RTOL times the largest of VALUES, [...]; OTHERWISE: RTOL where neither is given. */
typedef struct tolerance {
    jc_arg atol, rtol;
} tolerance;

static double epsilon(const jc_value *x) {
    return x->type.dtype == JC_F64 ? 0x1p-52 : 0x1p-23;
}

static jc_value *least_that_counts(fx_call *c, const tolerance *t, jc_value *values, const jc_value *x, const rotations *s) {
    fx_reader *r = c->r;
    const double otherwise = epsilon(x) * (double)s->m;
    jc_value *most = over(r, JC_OP_amax, values, -1), *by = NULL;
    const bool absolute = fx_is_tensor(t->atol) || fx_is_number(t->atol), relative = fx_is_tensor(t->rtol) || fx_is_number(t->rtol);
    /* Where an absolute one above 0 is given alone, there is no relative one. */
    jc_arg rtol = relative ? t->rtol : jc_arg_float(otherwise);
    if (fx_is_tensor(rtol))
        rtol = fx_v(fx_unsqueeze(r, fx_cast(r, rtol.value, JC_F64), fx_rank(rtol.value)));
    by = FX_OP(r, JC_OP_mul, fx_v(most), rtol);
    if (!absolute)
        return by;
    jc_arg atol = t->atol;
    if (fx_is_tensor(atol)) {
        atol = fx_v(fx_unsqueeze(r, fx_cast(r, atol.value, JC_F64), fx_rank(atol.value)));
        if (!relative) {
            jc_value *positive = FX_OP(r, JC_OP_gt, atol, fx_i(r, 0));
            by = FX_OP(r, JC_OP_where, fx_v(positive), jc_arg_float(0), fx_v(by));
        }
        return FX_OP(r, JC_OP_maximum, fx_v(by), atol);
    }
    const double number = atol.kind == JC_ARG_FLOAT ? atol.f : 1;
    if (!relative && number > 0)
        by = number_op(r, JC_OP_mul, most, 0);
    return FX_OP(r, JC_OP_maximum, fx_v(by), atol);
}

/* Which arguments are tolerances: NAME(A, one, hermitian, atol, rtol). */
static tolerance tolerance_of(fx_call *c) {
    tolerance t = { fx_nothing(), fx_nothing() };
    t.atol = fx_given(c, 3) ? c->a[3] : fx_nothing();
    t.rtol = fx_given(c, 4) ? c->a[4] : fx_given(c, 1) ? c->a[1] : fx_nothing();
    return t;
}

/* Argument 0, or what its lower triangle says of it where argument 2 is true. */
static jc_value *operand(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const bool hermitian = fx_bool(c, 2, false);
    return x && hermitian && fx_rank(x) >= 2 ? mirrored(c->r, x, false) : x;
}

/* matrix_rank(A, tol, hermitian, atol, rtol) */
jc_arg fx_h_matrix_rank(fx_call *c) {
    fx_reader *r = c->r;
    rotations s;
    jc_value *x = operand(c);
    if (!x || !rotate_all(c, x, false, &s))
        return fx_nothing();
    tolerance t = tolerance_of(c);
    if (fx_given(c, 1) && !fx_given(c, 3) && !fx_given(c, 4))
        t = (tolerance){ c->a[1], jc_arg_float(0) };
    jc_value *values = lengths(r, &s);
    if (!s.n || !s.m) {
        const jc_arg last = fx_i(r, values ? fx_rank(values) - 1 : 0);
        return values ? fx_v(FX_OP(r, JC_OP_sum, fx_v(FX_OP(r, JC_OP_ne, fx_v(values), fx_v(values))), jc_arg_list(r->graph, &last, 1), jc_arg_bool(false), fx_nothing())) : fx_nothing();
    }
    jc_value *count = over(r, JC_OP_sum, FX_OP(r, JC_OP_gt, fx_v(values), fx_v(least_that_counts(c, &t, values, x, &s))), -1);
    return fx_v(count ? fx_squeeze(r, count, fx_rank(count) - 1) : NULL);
}

/* The pseudo-inverse of X, whose singular values count from what T says on: V (X V divided by squares of lengths)T. */
static jc_value *pseudo_inverse(fx_call *c, jc_value *x, const tolerance *t) {
    fx_reader *r = c->r;
    rotations s;
    if (!x || !rotate_all(c, x, true, &s))
        return NULL;
    if (!s.n || !s.m)
        return turned(r, FX_OP(r, JC_OP_clone, fx_v(x)));
    jc_value *values = lengths(r, &s), *counts = FX_OP(r, JC_OP_gt, fx_v(values), fx_v(least_that_counts(c, t, values, x, &s)));
    jc_value *share = FX_OP(r, JC_OP_where, fx_v(counts), fx_v(FX_OP(r, JC_OP_reciprocal, fx_v(op(r, JC_OP_mul, values, values)))), jc_arg_float(0));
    share = share ? fx_unsqueeze(r, share, fx_rank(share) - 1) : NULL;
    jc_value *y = times(r, s.v, turned(r, op(r, JC_OP_mul, s.x, share)));
    y = s.turned ? turned(r, y) : y;
    return y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL;
}

/* pinv(A, rcond, hermitian, atol, rtol); aux 1: pinverse(self, rcond) */
jc_arg fx_h_pinv(fx_call *c) {
    const bool plain = c->row->aux;
    tolerance t = { fx_nothing(), plain && !fx_given(c, 1) ? jc_arg_float(1e-15) : c->a[1] };
    if (!plain)
        t = tolerance_of(c);
    jc_value *y = pseudo_inverse(c, plain ? fx_tensor(c, 0) : operand(c), &t);
    return fx_v(y ? FX_OP(c->r, JC_OP_contiguous, fx_v(y)) : NULL);
}

/* lstsq(A, B, rcond, driver): the solution alone; what else there is depends on the driver, and on values */
jc_arg fx_h_lstsq(fx_call *c) {
    fx_reader *r = c->r;
    const tolerance t = { fx_nothing(), fx_given(c, 2) ? c->a[2] : fx_nothing() };
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    if (!a || !b || r->status)
        return fx_nothing();
    const bool vector = fx_rank(b) == fx_rank(a) - 1;
    jc_value *x = times(r, pseudo_inverse(c, a, &t), vector ? fx_unsqueeze(r, b, fx_rank(b)) : b);
    if (vector && x)
        x = fx_squeeze(r, x, fx_rank(x) - 1);
    const jc_arg more = fx_opaque("what lstsq returns beside the solution, which is not supported");
    return r->status ? fx_nothing() : fx_list(r, (jc_arg[]){ fx_v(x), more, more, more }, 4);
}

/* cond(A, p): of singular values the largest by the least, or the other way round; by other norms that of A and of its inverse */
jc_arg fx_h_cond(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const bool word = fx_given(c, 1) && c->a[1].kind == JC_ARG_STR;
    const double p = !fx_given(c, 1) ? 2 : word ? 0 : fx_float(c, 1, 2);
    if (!x || r->status)
        return fx_nothing();
    if (fabs(p) != 2)
        return fx_defined_as(c, "cond_by_inverse");
    jc_value *values = fx_singular_values(c, x);
    jc_value *most = over(r, JC_OP_amax, values, -1), *least = over(r, JC_OP_amin, values, -1), *y = p > 0 ? op(r, JC_OP_div, most, least) : op(r, JC_OP_div, least, most);
    return fx_v(y ? fx_squeeze(r, y, fx_rank(y) - 1) : NULL);
}
