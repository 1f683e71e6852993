/*
 * ir/eval/eval_shape.c - the reference's views, copies, gathers and allocations.
 *
 * Views are computed here from the operands' own dims and strides, not taken from inference. So is whether a reshape is a view or
 * a copy, which matters once something is written: as in PyTorch it is a view wherever the sizes and strides of this run allow it.
 */
#include <string.h>
#include "ir/eval/eval_priv.h"

/* ---- views ---- */

/* X seen with OUT's dims, where its strides allow: dims that follow each other in memory form a run, and every run must
   be made of whole dims of the new shape. */
static bool view_as(const jc_ev_tensor *x, jc_ev_tensor *out) {
    out->st = x->st;
    out->offset = x->offset;
    jc_ev_row_major(out);
    if (jc_ev_numel(x) == 0 || x->rank == 0)
        return true;
    int to = out->rank - 1;
    for (int d = x->rank - 1; d >= 0;) {
        int64_t run = x->dims[d], step = x->strides[d], made = 1;
        while (x->dims[d] == 1 && d > 0) { /* a dim of one has no stride to speak of */
            d--;
            run = x->dims[d];
            step = x->strides[d];
        }
        for (; d > 0 && (x->dims[d - 1] == 1 || x->strides[d - 1] == run * step); d--)
            run *= x->dims[d - 1];
        d--;
        for (; to >= 0 && (made < run || out->dims[to] == 1); to--) {
            out->strides[to] = made * step;
            made *= out->dims[to];
        }
        if (made != run)
            return false;
    }
    return to < 0;
}

jitc_status jc_ev_reshape(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out, seen;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (jc_ev_numel(&x) != jc_ev_numel(&out))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "%lld elements cannot be given a shape of %lld.",
                          (long long)jc_ev_numel(&x), (long long)jc_ev_numel(&out));
    seen = out;
    if (view_as(&x, &seen)) {
        *jc_ev_result(ev, n, 0) = seen;
        return JITC_OK;
    }
    jc_ev_tensor flat = jc_ev_like(ev, &x, x.dtype), shaped = out;
    jc_ev_copy(ev, &x, &flat);
    shaped.st = flat.st;
    jc_ev_row_major(&shaped);
    jc_ev_copy(ev, &shaped, &out);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_permute(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out;
    int count;
    int64_t order[JC_MAX_RANK];
    unsigned seen = 0;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_ints_arg(ev, n, &n->args[1], &count, order));
    out = x;
    for (int d = 0; d < count && count == x.rank; d++) {
        if (order[d] < 0 || order[d] >= x.rank)
            break;
        seen |= 1u << order[d];
        out.dims[d] = x.dims[order[d]];
        out.strides[d] = x.strides[order[d]];
    }
    if (count != x.rank || seen != (1u << x.rank) - 1)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The order is not a permutation of the operand's %d dims.", x.rank);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_slice(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x;
    int64_t dim, start, length, step;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[2], &start));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[3], &length));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[4], &step));
    if (dim < 0 || dim >= x.rank)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "Dim %lld is not one of the operand's %d.", (long long)dim, x.rank);
    int64_t size = x.dims[dim];
    if (start < 0 || length < 0 || step < 1 || start > size || (length > 0 && (size - 1 - start) / step < length - 1) ||
        (length > 0 && start >= size))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "Elements %lld + i * %lld, i < %lld, are not all in a dim of %lld.",
                          (long long)start, (long long)step, (long long)length, (long long)size);
    x.offset += start * x.strides[dim];
    x.dims[dim] = length;
    x.strides[dim] *= step;
    *jc_ev_result(ev, n, 0) = x;
    return JITC_OK;
}

jitc_status jc_ev_expand(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out;
    int rank;
    int64_t dims[JC_MAX_RANK];
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_ints_arg(ev, n, &n->args[1], &rank, dims));
    if (!jc_ev_broadcast(&x, rank, dims, &out))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The operand's dims do not broadcast to the shape.");
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_diagonal(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out;
    int64_t a[5];
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    for (uint32_t k = 0; k < 5; k++)
        JC_TRY(jc_ev_int_arg(ev, n, &n->args[k + 1], &a[k]));
    for (uint32_t k = 0; k < 2; k++)
        if (a[k] < 0 || a[k] >= x.rank || a[2 + k] < 0 || a[4] < 0 || a[2 + k] + a[4] > x.dims[a[k]] || a[0] == a[1])
            return jc_ev_fail(ev, n, JITC_E_INPUT, "A diagonal of %lld elements does not lie in the operand.", (long long)a[4]);
    out = x;
    out.rank = 0;
    for (int d = 0; d < x.rank; d++) {
        if (d == a[0] || d == a[1])
            continue;
        out.dims[out.rank] = x.dims[d];
        out.strides[out.rank++] = x.strides[d];
    }
    out.offset += a[2] * x.strides[a[0]] + a[3] * x.strides[a[1]];
    out.dims[out.rank] = a[4];
    out.strides[out.rank++] = x.strides[a[0]] + x.strides[a[1]];
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_unfold(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x;
    int64_t dim, size, step;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[2], &size));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[3], &step));
    if (dim < 0 || dim >= x.rank || x.rank == JC_MAX_RANK || size < 0 || step < 1 || size > x.dims[dim])
        return jc_ev_fail(ev, n, JITC_E_INPUT, "There are no windows of %lld elements, %lld apart, in dim %lld.", (long long)size,
                          (long long)step, (long long)dim);
    x.dims[x.rank] = size;
    x.strides[x.rank++] = x.strides[dim];
    x.dims[dim] = (x.dims[dim] - size) / step + 1;
    x.strides[dim] *= step;
    *jc_ev_result(ev, n, 0) = x;
    return JITC_OK;
}

/* The same bytes.  Where the element sizes differ the last dim is scaled, and every other stride and the offset with it.  What has no
   elements lies in any way. */
jitc_status jc_ev_bitcast(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    int from = jc_dtypes[x.dtype].size, to = jc_dtypes[n->args[1].dtype].size, last = x.rank - 1;
    if (jc_ev_numel(&x) == 0)
        jc_ev_row_major(&x);
    bool fits = from == to || (last >= 0 && (x.strides[last] == 1 || x.dims[last] <= 1) &&
                               x.dims[last] * from % to == 0 && x.offset * from % to == 0);
    for (int d = 0; d < last && fits && from != to; d++) {
        fits = x.strides[d] * from % to == 0 || x.dims[d] <= 1;
        x.strides[d] = x.strides[d] * from / to;
    }
    if (!fits)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "A %s tensor of this layout cannot be seen as %s.",
                          jc_dtypes[x.dtype].name, jc_dtypes[n->args[1].dtype].name);
    if (from != to) {
        x.dims[last] = x.dims[last] * from / to;
        x.strides[last] = 1;
        x.offset = x.offset * from / to;
    }
    x.dtype = (uint8_t)n->args[1].dtype;
    *jc_ev_result(ev, n, 0) = x;
    return JITC_OK;
}

static jitc_status copied(jc_ev *ev, const jc_node *n, const jc_ev_tensor *x) {
    jc_ev_tensor out, from;
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (!jc_ev_broadcast(x, out.rank, out.dims, &from))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The operand's dims are not the result's.");
    if (x->st->written) /* a copy of what nothing wrote is as undefined as that */
        jc_ev_copy(ev, &from, &out);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_contiguous_op(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    if (!jc_ev_contiguous(&x))
        return copied(ev, n, &x);
    jc_ev_row_major(&x); /* where strides mean nothing they need not be that: in an empty tensor, or for a dim of one element */
    *jc_ev_result(ev, n, 0) = x;
    return JITC_OK;
}

/* ---- copies ---- */

jitc_status jc_ev_clone(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    return copied(ev, n, &x);
}

jitc_status jc_ev_by_device(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[ev->how & JC_EVAL_GPU ? 1 : 0], &x));
    return copied(ev, n, &x);
}

jitc_status jc_ev_cat(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor out, x;
    int64_t dim, at = 0;
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    if (n->args[0].kind != JC_ARG_LIST || dim < 0 || dim >= out.rank)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "A list of tensors and one of their dims are needed.");
    for (uint32_t k = 0; k < n->args[0].list.n; k++) {
        JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0].list.at[k], &x));
        if (x.rank == 1 && x.dims[0] == 0) /* PyTorch lets an empty 1-D tensor stand among any others */
            continue;
        jc_ev_tensor place = out;
        bool fits = x.rank == out.rank && x.dims[dim] <= out.dims[dim] - at;
        for (int d = 0; d < out.rank && fits; d++)
            fits = d == dim || x.dims[d] == out.dims[d];
        if (!fits)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The dims of operand %u do not fit the result's.", k);
        place.dims[dim] = x.dims[dim];
        place.offset += at * out.strides[dim];
        at += x.dims[dim];
        jc_ev_copy(ev, &x, &place);
    }
    if (at != out.dims[dim])
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The operands fill %lld of the result's %lld.", (long long)at,
                          (long long)out.dims[dim]);
    out.st->written = true;
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* A number into every element of T; it counts as of T's dtype already, so it is not rounded. */
static void fill(jc_ev *ev, const jc_ev_tensor *t, double f, int64_t i, bool floating) {
    jc_ev_iter it = jc_ev_begin(t->rank, t->dims);
    jc_ev_with(&it, t->strides, t->offset);
    double *to_f = jc_is_float(t->dtype) ? jc_ev_floats_out(ev, t) : NULL;
    int64_t *to_i = to_f ? NULL : jc_ev_ints_out(ev, t);
    for (; it.left > 0; jc_ev_next(&it)) {
        if (to_f)
            to_f[it.at[0]] = f;
        else
            to_i[it.at[0]] = floating ? jc_ev_trunc(JC_F64, t->dtype, f, ev->how & JC_EVAL_GPU) : jc_ev_wrap(t->dtype, i);
    }
}

jitc_status jc_ev_pad(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out;
    int nbefore, nafter;
    int64_t before[JC_MAX_RANK], after[JC_MAX_RANK], i;
    double f;
    bool floating;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_ints_arg(ev, n, &n->args[1], &nbefore, before));
    JC_TRY(jc_ev_ints_arg(ev, n, &n->args[2], &nafter, after));
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[3], &f, &i, &floating));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (nbefore != x.rank || nafter != x.rank || out.rank != x.rank)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "There is not one entry per dim.");
    fill(ev, &out, f, i, floating);
    jc_ev_tensor place = out;
    for (int d = 0; d < x.rank; d++) {
        if (out.dims[d] != before[d] + x.dims[d] + after[d])
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The result's dim %d is not the operand's and the padding.", d);
        int64_t cut_before = before[d] < 0 ? -before[d] : 0, cut_after = after[d] < 0 ? -after[d] : 0;
        x.offset += cut_before * x.strides[d];
        place.offset += (before[d] > 0 ? before[d] : 0) * place.strides[d];
        x.dims[d] -= cut_before + cut_after;
        if (x.dims[d] < 0)
            x.dims[d] = 0;
        place.dims[d] = x.dims[d];
    }
    jc_ev_copy(ev, &x, &place);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* Which row of SIZE an index names. */
static int64_t row_of(int64_t index, int64_t size, bool wrap) {
    if (wrap && index < 0)
        index += size;
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}

static jitc_status out_of_range(jc_ev *ev, const jc_node *n, int64_t index, int64_t dim, int64_t rows) {
    return jc_ev_fail(ev, n, JITC_E_INPUT, "The index %lld is out of range: dim %lld of the table has %lld rows.", (long long)index,
                      (long long)dim, (long long)rows);
}

/* The one row of TABLE at INDEX: a view. */
static jitc_status select_row(jc_ev *ev, const jc_node *n, const jc_ev_tensor *table, int64_t dim, int64_t index) {
    jc_ev_tensor *out = jc_ev_result(ev, n, 0);
    const int64_t rows = table->dims[dim];
    if (!(ev->how & JC_EVAL_CLAMP) && jc_ev_numel(table) > 0 && (index < -rows || index >= rows))
        return out_of_range(ev, n, index, dim, rows);
    *out = *table;
    out->rank--;
    out->offset += rows ? row_of(index, rows, true) * table->strides[dim] : 0;
    for (int d = (int)dim; d < out->rank; d++) {
        out->dims[d] = table->dims[d + 1];
        out->strides[d] = table->strides[d + 1];
    }
    return JITC_OK;
}

jitc_status jc_ev_take(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor table, index, out;
    int64_t dim;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &table));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[2], &index));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (dim < 0 || dim >= table.rank || out.rank != table.rank - 1 + index.rank || jc_is_float(index.dtype) ||
        out.dtype != table.dtype)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The index is not of integers, or the dims do not fit.");
    bool wrap = n->args[3].kind == JC_ARG_BOOL && n->args[3].b;
    if (table.dims[dim] == 0 && jc_ev_numel(&out) != 0)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "There is nothing to take from: dim %lld has no elements.", (long long)dim);
    if (n->args[4].kind == JC_ARG_BOOL)
        return select_row(ev, n, &table, dim, jc_ev_ints(ev, &index)[index.offset]);
    /* Both operands as they lie under the result's dims: the table with strides 0 along the index's, and vice versa. */
    int64_t in_table[JC_MAX_RANK] = { 0 }, in_index[JC_MAX_RANK] = { 0 };
    for (int d = 0; d < out.rank; d++) {
        bool indexed = d >= dim && d < dim + index.rank;
        int from = d < dim ? d : d - index.rank + 1;
        if (out.dims[d] != (indexed ? index.dims[d - dim] : table.dims[from]))
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The result's dim %d is neither the table's nor the index's.", d);
        if (indexed)
            in_index[d] = index.strides[d - dim];
        else
            in_table[d] = table.strides[from];
    }
    const int64_t *indices = jc_ev_ints(ev, &index);
    bool floating = jc_is_float(table.dtype);
    double *out_f = floating ? jc_ev_floats_out(ev, &out) : NULL;
    int64_t *out_i = floating ? NULL : jc_ev_ints_out(ev, &out);
    bool raw = table.st->raw && !table.st->valid; /* a large table is not widened for a few rows */
    const double *f = floating && !raw ? jc_ev_floats(ev, &table) : NULL;
    const int64_t *i = floating ? NULL : jc_ev_ints(ev, &table);
    jc_ev_iter it = jc_ev_begin(out.rank, out.dims);
    jc_ev_with(&it, in_table, table.offset);
    jc_ev_with(&it, in_index, index.offset);
    jc_ev_with(&it, out.strides, 0);
    for (; it.left > 0; jc_ev_next(&it)) {
        const int64_t rows = table.dims[dim], k = indices[it.at[1]];
        if (!(ev->how & JC_EVAL_CLAMP) && (k < (wrap ? -rows : 0) || k >= rows))
            return out_of_range(ev, n, k, dim, rows);
        int64_t at = it.at[0] + row_of(indices[it.at[1]], table.dims[dim], wrap) * table.strides[dim];
        if (i)
            out_i[it.at[2]] = i[at];
        else if (f)
            out_f[it.at[2]] = f[at];
        else
            jc_ev_row(ev, &table, at, 1, 1, &out_f[it.at[2]]);
    }
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* What index K of N, broadcast to the first dims of the result, says at IT: a row of dim D of the table. */
static jitc_status picked(jc_ev *ev, const jc_node *n, uint32_t k, const int64_t *indices, const jc_ev_iter *it, const jc_ev_tensor *index,
                          int64_t rows, int64_t *row) {
    int64_t at = index->offset;
    for (int d = 0; d < index->rank; d++)
        at += it->index[d] * index->strides[d];
    const int64_t i = indices[at];
    if (!(ev->how & JC_EVAL_CLAMP) && (i < (n->args[3].b ? -rows : 0) || i >= rows))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "Element %lld of index %u is out of range: the dim of the table has %lld rows.", (long long)i, k,
                          (long long)rows);
    *row = row_of(i, rows, n->args[3].b);
    return JITC_OK;
}

jitc_status jc_ev_pick(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor table, out, index[JC_MAX_RANK];
    const int64_t *indices[JC_MAX_RANK];
    int64_t dims[JC_MAX_RANK];
    int count;
    bool gone[JC_MAX_RANK] = { false };
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &table));
    JC_TRY(jc_ev_ints_arg(ev, n, &n->args[1], &count, dims));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    const int common = out.rank - table.rank + count;
    for (int k = 0; k < count; k++) {
        JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[2].list.at[k], &index[k]));
        if (dims[k] < 0 || dims[k] >= table.rank || jc_is_float(index[k].dtype) || !jc_ev_broadcast(&index[k], common, out.dims, &index[k]))
            return jc_ev_fail(ev, n, JITC_E_INPUT, "Index %d is not of integers, or the dims do not fit.", k);
        gone[dims[k]] = true;
        indices[k] = jc_ev_ints(ev, &index[k]);
    }
    jc_ev_tensor flat = jc_ev_like(ev, &table, table.dtype); /* as it lies now */
    jc_ev_copy(ev, &table, &flat);
    const bool floating = jc_is_float(table.dtype);
    const double *f = floating ? jc_ev_floats(ev, &flat) : NULL;
    const int64_t *i = floating ? NULL : jc_ev_ints(ev, &flat);
    double *out_f = floating ? jc_ev_floats_out(ev, &out) : NULL;
    int64_t *out_i = floating ? NULL : jc_ev_ints_out(ev, &out);
    jc_ev_iter it = jc_ev_begin(out.rank, out.dims);
    jc_ev_with(&it, out.strides, 0);
    for (; it.left > 0; jc_ev_next(&it)) {
        int64_t at = 0, row = 0;
        for (int d = 0, o = common; d < table.rank; d++)
            at += gone[d] ? 0 : it.index[o++] * flat.strides[d];
        for (int k = 0; k < count; k++) {
            JC_TRY(picked(ev, n, (uint32_t)k, indices[k], &it, &index[k], table.dims[dims[k]], &row));
            at += row * flat.strides[dims[k]];
        }
        if (floating)
            out_f[it.at[0]] = f[at];
        else
            out_i[it.at[0]] = i[at];
    }
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* ---- fresh buffers ---- */

jitc_status jc_ev_empty(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor out;
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_full(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor out;
    double f;
    int64_t i;
    bool floating;
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[1], &f, &i, &floating));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    fill(ev, &out, f, i, floating);
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_arange(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor out;
    double start, step;
    int64_t i_start, i_step;
    bool f_start, f_step;
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[0], &start, &i_start, &f_start));
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[1], &step, &i_step, &f_step));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (out.rank != 1)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The result has %d dims instead of one.", out.rank);
    for (int64_t k = 0; k < out.dims[0]; k++) {
        double x = start + (double)k * step;
        if (jc_is_float(out.dtype))
            jc_ev_floats_out(ev, &out)[k * out.strides[0]] = x;
        else
            jc_ev_ints_out(ev, &out)[k * out.strides[0]] =
                f_start || f_step ? jc_ev_trunc(JC_F64, out.dtype, x, ev->how & JC_EVAL_GPU)
                                  : jc_ev_wrap(out.dtype, (int64_t)((uint64_t)i_start + (uint64_t)k * (uint64_t)i_step));
    }
    out.st->written = true;
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* ---- writing ---- */

jitc_status jc_ev_copy_op(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor to, from;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &to));
    if (n->args[1].kind == JC_ARG_VALUE && n->args[1].value->type.kind == JC_TENSOR) {
        JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[1], &from));
        if (!jc_ev_broadcast(&from, to.rank, to.dims, &from))
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The source's dims do not broadcast to the destination's.");
        jc_ev_tensor apart = jc_ev_like(ev, &from, from.dtype); /* the two may share storage */
        jc_ev_copy(ev, &from, &apart);
        jc_ev_copy(ev, &apart, &to);
    } else {
        double f;
        int64_t i;
        bool floating;
        JC_TRY(jc_ev_number_arg(ev, n, &n->args[1], &f, &i, &floating));
        fill(ev, &to, f, i, floating);
    }
    *jc_ev_result(ev, n, 0) = to;
    return JITC_OK;
}
