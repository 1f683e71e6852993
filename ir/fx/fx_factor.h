/*
 * ir/fx/fx_factor.h - what the steps of factorings and transforms are written in: operators on matrices, their rows and columns, and masks.
 */
#ifndef JC_FX_FACTOR_H
#define JC_FX_FACTOR_H

#include "ir/fx/fx_build.h"

static inline jc_value *op(fx_reader *r, jc_op o, jc_value *a, jc_value *b) {
    return FX_OP(r, o, fx_v(a), fx_v(b));
}

static inline jc_value *number_op(fx_reader *r, jc_op o, jc_value *x, double k) {
    return FX_OP(r, o, fx_v(x), jc_arg_float(k));
}

static inline jc_value *times(fx_reader *r, jc_value *a, jc_value *b) {
    const jc_arg y = a && b && !r->status ? fx_infix(r, '@', fx_v(a), fx_v(b), r->stmt->at) : fx_nothing();
    return fx_is_tensor(y) ? y.value : NULL;
}

/* X with dim D in the place of the last one, and that in its. */
static inline jc_value *to_last(fx_reader *r, jc_value *x, int d) {
    int order[JC_MAX_RANK];
    if (!x || r->status)
        return NULL;
    const int last = fx_rank(x) - 1;
    for (int k = 0; k <= last; k++)
        order[k] = k == d ? last : k == last ? d : k;
    return fx_permute(r, x, order);
}

static inline jc_value *chosen(fx_reader *r, jc_value *is, jc_value *a, jc_value *b) {
    return FX_OP(r, JC_OP_where, fx_v(is), fx_v(a), fx_v(b));
}

static inline jc_value *turned(fx_reader *r, jc_value *x) {
    int order[JC_MAX_RANK];
    if (!x || r->status)
        return NULL;
    for (int d = 0; d < fx_rank(x); d++)
        order[d] = d < fx_rank(x) - 2 ? d : 2 * fx_rank(x) - 3 - d;
    return fx_permute(r, x, order);
}

/* Row (dim -2) or column (dim -1) K, kept as 1. */
static inline jc_value *strip(fx_reader *r, jc_value *x, int dim, int64_t k) {
    return x && !r->status ? fx_slice(r, x, fx_rank(x) + dim, jc_ex_int(fx_x(r), k), jc_ex_int(fx_x(r), 1), 1) : NULL;
}

static inline jc_value *row(fx_reader *r, jc_value *x, int64_t k) { return strip(r, x, -2, k); }
static inline jc_value *column(fx_reader *r, jc_value *x, int64_t k) { return strip(r, x, -1, k); }
static inline jc_value *element(fx_reader *r, jc_value *x, int64_t k) { return column(r, row(r, x, k), k); }

/* Which of N rows (as a column) or columns (as a row) compare with K so. */
static inline jc_value *places(fx_reader *r, int64_t n, jc_op o, int64_t k, bool rows) {
    jc_value *i = fx_counted(r, jc_ex_int(fx_x(r), n));
    i = i && rows ? fx_unsqueeze(r, i, 1) : i;
    return FX_OP(r, o, fx_v(i), fx_i(r, k));
}

#endif
