/*
 * ir/fx/fx_build_linalg.c - torch.linalg: norms of vectors and matrices, products of several matrices, powers.
 *
 * What needs factors of a matrix is in fx_build_factor.c, what needs its singular values in fx_build_orthogonal.c.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- norms --- */

static jc_arg word(const char *text) {
    return (jc_arg){ .kind = JC_ARG_STR, .str = text };
}

/* linalg.norm's arguments with others for ord and dim, as a vector norm. */
static jc_value *vector_norm(fx_call *c, jc_value *x, jc_arg ord, jc_arg dim, bool keep) {
    fx_call one = *c;
    one.a[0] = fx_v(x);
    one.a[1] = ord;
    one.a[2] = dim;
    one.a[3] = jc_arg_bool(keep);
    const jc_arg y = c->r->status ? fx_nothing() : fx_h_norm(&one);
    return fx_is_tensor(y) ? y.value : NULL;
}

/* Sums over one of two DIMS, of which the largest or smallest over the other; dim numbers as they are without the first where it goes. */
static jc_value *extreme_sum(fx_call *c, jc_value *x, const int *dims, bool columns, bool most, bool keep) {
    fx_reader *r = c->r;
    const int over = dims[columns ? 0 : 1], other = dims[columns ? 1 : 0];
    jc_value *sums = vector_norm(c, x, fx_i(r, 1), fx_i(r, over), keep);
    const jc_arg left = fx_i(r, !keep && other > over ? other - 1 : other);
    return sums ? FX_OP(r, most ? JC_OP_amax : JC_OP_amin, fx_v(sums), jc_arg_list(r->graph, &left, 1), jc_arg_bool(keep)) : NULL;
}

/* O over the singular values of X's matrices in two DIMS. */
static jc_value *over_singular_values(fx_call *c, jc_value *x, jc_op o, const int *dims, bool keep) {
    fx_reader *r = c->r;
    int order[JC_MAX_RANK], n = 0;
    for (int d = 0; d < fx_rank(x); d++)
        if (d != dims[0] && d != dims[1])
            order[n++] = d;
    order[n++] = dims[0];
    order[n] = dims[1];
    jc_value *values = fx_singular_values(c, fx_permute(r, x, order));
    if (!values || r->status)
        return NULL;
    const jc_arg last = fx_i(r, fx_rank(values) - 1), args[] = { fx_v(values), jc_arg_list(r->graph, &last, 1), jc_arg_bool(false), fx_nothing() };
    jc_value *y = fx_op(r, o, args, jc_ops[o].nargs);
    for (int d = 0; keep && y && d < fx_rank(x); d++)
        y = d == dims[0] || d == dims[1] ? fx_unsqueeze(r, y, d) : y;
    return y;
}

static jc_arg matrix_norm(fx_call *c, jc_value *x, jc_arg ord, const int *dims, bool keep) {
    fx_reader *r = c->r;
    if (ord.kind == JC_ARG_STR && strcmp(ord.str, "fro") == 0)
        return fx_v(vector_norm(c, x, fx_i(r, 2), fx_list(r, (jc_arg[]){ fx_i(r, dims[0]), fx_i(r, dims[1]) }, 2), keep));
    const double p = ord.kind == JC_ARG_STR ? 2 : fx_float(c, 1, 2);
    if (ord.kind == JC_ARG_STR && strcmp(ord.str, "nuc") != 0)
        fx_bad_arg(c, 1, "'fro', 'nuc' or a number");
    else if (fabs(p) == 2)
        return fx_v(over_singular_values(c, x, ord.kind == JC_ARG_STR ? JC_OP_sum : p > 0 ? JC_OP_amax : JC_OP_amin, dims, keep));
    else if (fabs(p) != 1 && !isinf(p))
        fx_bad_arg(c, 1, "1, -1, 2, -2, inf or -inf");
    return r->status ? fx_nothing() : fx_v(extreme_sum(c, x, dims, fabs(p) == 1, p > 0, keep));
}

/* Two different dims of X: those given, or the last two. */
static bool two_dims(fx_call *c, const jc_value *x, int *dims) {
    if (!x || c->r->status)
        return false;
    dims[0] = fx_rank(x) - 2;
    dims[1] = fx_rank(x) - 1;
    if (fx_rank(x) < 2)
        fx_bad_arg(c, 0, "of at least two dimensions");
    else if (fx_given(c, 2) && (fx_which_dims(c, 2, fx_rank(x), dims) != 2 || dims[0] == dims[1]))
        fx_bad_arg(c, 2, "two different dimensions");
    return !c->r->status;
}

/* matrix_norm(A, ord, dim, keepdim, dtype) */
jc_arg fx_h_matrix_norm(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int dims[JC_MAX_RANK];
    if (!two_dims(c, x, dims))
        return fx_nothing();
    return matrix_norm(c, x, fx_given(c, 1) ? c->a[1] : word("fro"), dims, fx_bool(c, 3, false));
}

/* norm(A, ord, dim, keepdim, dtype): of a vector or of matrices, by how many dims are given or there */
jc_arg fx_h_linalg_norm(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    int dims[JC_MAX_RANK];
    if (!x)
        return fx_nothing();
    const bool keep = fx_bool(c, 3, false), ordered = fx_given(c, 1);
    const uint32_t n = fx_given(c, 2) ? fx_which_dims(c, 2, fx_rank(x), dims) : x->type.rank;
    if (c->r->status)
        return fx_nothing();
    if (ordered && n != 1 && n != 2)
        fx_bad_arg(c, fx_given(c, 2) ? 2 : 0, "one or two dimensions");
    if (ordered && n == 2)
        return two_dims(c, x, dims) ? matrix_norm(c, x, c->a[1], dims, keep) : fx_nothing();
    return fx_v(vector_norm(c, x, ordered ? c->a[1] : fx_i(c->r, 2), c->a[2], keep));
}

/* --- products --- */

enum { MOST_FACTORS = 32 };

typedef struct chain {
    jc_value *x[MOST_FACTORS];
    double size[MOST_FACTORS + 1]; /* rows of each, and the columns of the last; as good as 1 where a symbol says */
    uint8_t cut[MOST_FACTORS][MOST_FACTORS];
} chain;

/* Where it is cheapest to cut each part of the chain of N: by multiplications. */
static void find_cuts(chain *k, uint32_t n) {
    double cost[MOST_FACTORS][MOST_FACTORS] = { { 0 } };
    for (uint32_t length = 2; length <= n; length++)
        for (uint32_t i = 0; i + length <= n; i++) {
            const uint32_t j = i + length - 1;
            cost[i][j] = INFINITY;
            for (uint32_t m = i; m < j; m++) {
                const double all = cost[i][m] + cost[m + 1][j] + k->size[i] * k->size[m + 1] * k->size[j + 1];
                if (all < cost[i][j]) {
                    cost[i][j] = all;
                    k->cut[i][j] = (uint8_t)m;
                }
            }
        }
}

static jc_value *multiplied(fx_call *c, jc_value *a, jc_value *b) {
    fx_call one = *c;
    one.a[0] = fx_v(a);
    one.a[1] = fx_v(b);
    const jc_arg y = a && b && !c->r->status ? fx_matmul(&one) : fx_nothing();
    return fx_is_tensor(y) ? y.value : NULL;
}

static jc_value *part(fx_call *c, const chain *k, uint32_t i, uint32_t j) { /* at most as deep as there are factors */
    if (i == j)
        return k->x[i];
    jc_value *left = part(c, k, i, k->cut[i][j]);
    return multiplied(c, left, part(c, k, k->cut[i][j] + 1u, j));
}

static double as_number(const jc_expr *e) {
    int64_t n = 1;
    return jc_ex_is_const(e, &n) ? (double)n : 1;
}

/* multi_dot(tensors): the first may be a row, the last a column */
jc_arg fx_h_multi_dot(fx_call *c) {
    jc_value **parts;
    chain k;
    const uint32_t n = fx_tensors(c, 0, &parts);
    if (!n)
        return fx_nothing();
    if (n < 2 || n > MOST_FACTORS)
        fx_refuse_arg(c, 0, "2 to 32 matrices are");
    for (uint32_t i = 0; i < n && !c->r->status; i++) {
        const int rank = fx_rank(parts[i]);
        if (rank != 2 && !(rank == 1 && (i == 0 || i == n - 1)))
            fx_bad_arg(c, 0, "matrices, of which the first and the last may be vectors");
        k.x[i] = parts[i];
        if (c->r->status)
            break;
        k.size[i] = rank == 1 && i == 0 ? 1 : as_number(parts[i]->type.dims[0]);
        k.size[i + 1] = rank == 1 && i ? 1 : as_number(parts[i]->type.dims[rank - 1]);
    }
    if (c->r->status)
        return fx_nothing();
    find_cuts(&k, n);
    return fx_v(part(c, &k, 0, n - 1));
}

/* 1 on the diagonal of matrices like X. */
static jc_value *ones_on_diagonal(fx_reader *r, const jc_value *x) {
    jc_value *is = fx_band(r, x->type.dims + fx_rank(x) - 2, JC_OP_eq, jc_ex_int(fx_x(r), 0));
    jc_value *y = fx_cast(r, is, (jc_dtype)x->type.dtype);
    y = y ? FX_OP(r, JC_OP_expand, fx_v(y), fx_dims(r, x->type.dims, x->type.rank)) : NULL;
    return y ? FX_OP(r, JC_OP_clone, fx_v(y)) : NULL;
}

/* matrix_power(A, n) */
jc_arg fx_h_matrix_power(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *square = NULL, *y = NULL;
    int64_t n = fx_int(c, 1, 0);
    if (!x)
        return fx_nothing();
    if (fx_rank(x) < 2)
        fx_bad_arg(c, 0, "of at least two dimensions");
    if (n < 0) {
        x = c->r->status ? NULL : fx_inverse(c, x);
        n = n == INT64_MIN ? INT64_MAX : -n;
    }
    if (!x || c->r->status)
        return fx_nothing();
    if (n == 0)
        return fx_v(ones_on_diagonal(c->r, x));
    for (; n && !c->r->status; n /= 2) {
        square = square ? multiplied(c, square, square) : x;
        if (n % 2)
            y = y ? multiplied(c, y, square) : square;
    }
    return fx_v(y == x ? FX_OP(c->r, JC_OP_clone, fx_v(x)) : y);
}
