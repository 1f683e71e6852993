/*
 * ir/eval/eval_matmul.c - the reference's products: a dot product of doubles per result element.
 *
 * The right operand is laid out so that its K elements are contiguous before they are used: linear's weight row by row
 * as it comes, so that a large weight is never widened as a whole; matmul's as a transposed copy per batch.
 */
#include "ir/eval/eval_priv.h"

static double dot(const double *a, const double *b, int64_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) {
        s0 += a[k] * b[k];
        s1 += a[k + 1] * b[k + 1];
        s2 += a[k + 2] * b[k + 2];
        s3 += a[k + 3] * b[k + 3];
    }
    for (; k < n; k++)
        s0 += a[k] * b[k];
    return (s0 + s1) + (s2 + s3);
}

/* T's elements row-major as doubles. */
static double *flat_copy(jc_ev *ev, const jc_ev_tensor *t) {
    jc_ev_tensor flat = jc_ev_like(ev, t, JC_F64);
    jc_ev_copy(ev, t, &flat);
    return jc_ev_floats(ev, &flat);
}

/* The row-major doubles FROM into T. */
static void unflatten(jc_ev *ev, const double *from, const jc_ev_tensor *t) {
    jc_ev_tensor row_major = *t;
    jc_ev_row_major(&row_major);
    double *f = jc_ev_floats_out(ev, t);
    jc_ev_iter it = jc_ev_begin(t->rank, t->dims);
    jc_ev_with(&it, row_major.strides, 0);
    jc_ev_with(&it, t->strides, t->offset);
    for (; it.left > 0; jc_ev_next(&it))
        f[it.at[1]] = from[it.at[0]];
}

jitc_status jc_ev_linear(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, w, bias, out;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[1], &w));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (w.rank != 2 || x.rank < 1 || out.rank != x.rank || x.dims[x.rank - 1] != w.dims[1] ||
        out.dims[out.rank - 1] != w.dims[0] || !jc_is_float(out.dtype))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "x[..., K] and w[N, K] do not fit together.");
    int64_t columns = w.dims[0], depth = w.dims[1], count = 1;
    for (int d = 0; d < x.rank - 1; d++) {
        if (x.dims[d] != out.dims[d])
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The result's dims are not the operand's.");
        count *= x.dims[d];
    }
    double *b = jc_arena_array(ev->arena, (size_t)columns, sizeof(double));
    if (n->args[2].kind != JC_ARG_NONE) {
        JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[2], &bias));
        if (bias.rank != 1 || bias.dims[0] != columns)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The bias has not the result's %lld columns.", (long long)columns);
        jc_ev_row(ev, &bias, bias.offset, bias.strides[0], columns, b);
    }
    double *rows = flat_copy(ev, &x), *row = jc_arena_array(ev->arena, (size_t)depth, sizeof(double));
    double *result = jc_arena_array(ev->arena, (size_t)jc_ev_numel(&out), sizeof(double));
    for (int64_t j = 0; j < columns; j++) {
        jc_ev_row(ev, &w, w.offset + j * w.strides[0], w.strides[1], depth, row);
        for (int64_t i = 0; i < count; i++)
            result[i * columns + j] = dot(rows + i * depth, row, depth) + b[j];
    }
    unflatten(ev, result, &out);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* OPERAND, with its batch dims broadcast to the result's. */
static jitc_status batched(jc_ev *ev, const jc_node *n, const jc_ev_tensor *operand, const jc_ev_tensor *out,
                           jc_ev_tensor *to) {
    int64_t dims[JC_MAX_RANK];
    for (int d = 0; d < out->rank; d++)
        dims[d] = d < out->rank - 2 ? out->dims[d] : operand->dims[operand->rank - out->rank + d];
    return jc_ev_broadcast(operand, out->rank, dims, to)
               ? JITC_OK
               : jc_ev_fail(ev, n, JITC_E_INPUT, "The batch dims do not broadcast to the result's.");
}

jitc_status jc_ev_matmul(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor a, b, out;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &a));
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[1], &b));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    int r = out.rank;
    if (a.rank < 2 || b.rank < 2 || r < a.rank || r < b.rank || a.dims[a.rank - 1] != b.dims[b.rank - 2] ||
        out.dims[r - 2] != a.dims[a.rank - 2] || out.dims[r - 1] != b.dims[b.rank - 1] || !jc_is_float(out.dtype))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "a[..., M, K] and b[..., K, N] do not fit together.");
    JC_TRY(batched(ev, n, &a, &out, &a));
    JC_TRY(batched(ev, n, &b, &out, &b));
    int64_t m = out.dims[r - 2], columns = out.dims[r - 1], depth = a.dims[r - 1];
    jc_ev_tensor transposed = b; /* so that the copy's rows are B's columns */
    transposed.dims[r - 2] = columns;
    transposed.dims[r - 1] = depth;
    transposed.strides[r - 2] = b.strides[r - 1];
    transposed.strides[r - 1] = b.strides[r - 2];
    double *left = flat_copy(ev, &a), *right = flat_copy(ev, &transposed);
    int64_t count = jc_ev_numel(&out);
    double *result = jc_arena_array(ev->arena, (size_t)count, sizeof(double));
    for (int64_t k = 0; k < count; k++) {
        int64_t batch = k / (m * columns), row = k / columns % m, column = k % columns;
        result[k] = dot(left + (batch * m + row) * depth, right + (batch * columns + column) * depth, depth);
    }
    unflatten(ev, result, &out);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}
