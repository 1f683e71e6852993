/*
 * ir/eval/eval_reduce.c - the reference's reductions, and the composite operators by their definitions.
 *
 * The composite ones round where their definitions hold an explicit cast between dtypes (RMS norms to the weight's
 * dtype and to the operand's, silu_and_mul's activation), and nowhere else, as the reference does for plain operators.
 * They do not use jc_decompose(), which is tested against them.
 */
#include <math.h>
#include "ir/eval/eval_priv.h"

/* ---- sum, mean, prod, amax, amin ---- */

typedef struct reduction {
    jc_ev_tensor x, out;
    int nkept, ngone;
    int64_t kept[JC_MAX_RANK], kept_in[JC_MAX_RANK], kept_out[JC_MAX_RANK]; /* dims, strides */
    int64_t gone[JC_MAX_RANK], gone_in[JC_MAX_RANK];
} reduction;

/* Parts X's dims into kept and reduced ones; no dims at all means every dim. */
static jitc_status part(jc_ev *ev, const jc_node *n, reduction *r) {
    int count;
    int64_t dims[JC_MAX_RANK];
    unsigned mask = 0;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &r->x));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &r->out));
    JC_TRY(jc_ev_ints_arg(ev, n, &n->args[1], &count, dims));
    for (int k = 0; k < count; k++) {
        if (dims[k] < 0 || dims[k] >= r->x.rank)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "Dim %lld is not one of the operand's %d.", (long long)dims[k],
                              r->x.rank);
        mask |= 1u << dims[k];
    }
    if (count == 0)
        mask = (1u << r->x.rank) - 1;
    bool keep = n->args[2].kind == JC_ARG_BOOL && n->args[2].b;
    int to = 0;
    for (int d = 0; d < r->x.rank; d++) {
        if (mask >> d & 1) {
            r->gone[r->ngone] = r->x.dims[d];
            r->gone_in[r->ngone++] = r->x.strides[d];
            to += keep;
            continue;
        }
        if (to >= r->out.rank || r->out.dims[to] != r->x.dims[d])
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The result's dims are not what is left of the operand's.");
        r->kept[r->nkept] = r->x.dims[d];
        r->kept_in[r->nkept] = r->x.strides[d];
        r->kept_out[r->nkept++] = r->out.strides[to++];
    }
    return to == r->out.rank ? JITC_OK
                             : jc_ev_fail(ev, n, JITC_E_INPUT, "The result's dims are not what is left of the operand's.");
}

/* How elements fold into one, and what folding starts from. */
typedef struct fold {
    double (*f)(double, double);
    int64_t (*i)(int64_t, int64_t);
    double first_f;
    int64_t first_i;
    bool averages, extremum;
} fold;

static double f_sum(double a, double b) { return a + b; }
static double f_prod(double a, double b) { return a * b; }
static double f_max(double a, double b) { return a != a || b != b ? a + b : fmax(a, b); }
static double f_min(double a, double b) { return a != a || b != b ? a + b : fmin(a, b); }
static int64_t i_sum(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static int64_t i_prod(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static int64_t i_max(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t i_min(int64_t a, int64_t b) { return a > b ? b : a; }

/* One result element, from the elements of R's reduced dims at AT, each cast to dtype CAST first. */
static double reduce_f(jc_ev *ev, const fold *op, const reduction *r, int64_t at, uint8_t cast) {
    const double *f = jc_is_float(r->x.dtype) ? jc_ev_floats(ev, &r->x) : NULL;
    const int64_t *i = f ? NULL : jc_ev_ints(ev, &r->x);
    jc_ev_iter it = jc_ev_begin(r->ngone, r->gone);
    jc_ev_with(&it, r->gone_in, at);
    int64_t count = it.left;
    double total = op->first_f;
    for (; it.left > 0; jc_ev_next(&it))
        total = op->f(total, jc_ev_cast(r->x.dtype, cast, f ? f[it.at[0]] : (double)i[it.at[0]]));
    return op->averages ? total / (double)count : total;
}

static int64_t reduce_i(jc_ev *ev, const fold *op, const reduction *r, int64_t at) {
    const int64_t *i = jc_ev_ints(ev, &r->x);
    jc_ev_iter it = jc_ev_begin(r->ngone, r->gone);
    jc_ev_with(&it, r->gone_in, at);
    int64_t total = op->first_i;
    for (; it.left > 0; jc_ev_next(&it))
        total = op->i(total, i[it.at[0]]);
    return total;
}

static jitc_status reduce(jc_ev *ev, const jc_node *n, const fold *op) {
    reduction r = { 0 };
    JC_TRY(part(ev, n, &r));
    if (op->extremum && jc_ev_numel(&r.x) == 0 && jc_ev_numel(&r.out) != 0)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "No elements have no extremum.");
    bool floating = jc_is_float(r.out.dtype);
    if (!floating && (op->averages || jc_is_float(r.x.dtype)))
        return jc_ev_fail(ev, n, JITC_E_UNSUPPORTED, "An operand of dtype %s cannot be reduced to %s.",
                          jc_dtypes[r.x.dtype].name, jc_dtypes[r.out.dtype].name);
    double *f = floating ? jc_ev_floats_out(ev, &r.out) : NULL;
    int64_t *i = floating ? NULL : jc_ev_ints_out(ev, &r.out);
    jc_ev_iter it = jc_ev_begin(r.nkept, r.kept);
    jc_ev_with(&it, r.kept_in, r.x.offset);
    jc_ev_with(&it, r.kept_out, 0);
    for (; it.left > 0; jc_ev_next(&it)) {
        if (floating)
            f[it.at[1]] = reduce_f(ev, op, &r, it.at[0], r.out.dtype);
        else
            i[it.at[1]] = jc_ev_wrap(r.out.dtype, reduce_i(ev, op, &r, it.at[0]));
    }
    *jc_ev_result(ev, n, 0) = r.out;
    return JITC_OK;
}

#define REDUCE(name, ...)                                                                          \
    jitc_status jc_ev_##name(jc_ev *ev, const jc_node *n) {                                        \
        static const fold op = { __VA_ARGS__ };                                                    \
        return reduce(ev, n, &op);                                                                 \
    }
REDUCE(sum, f_sum, i_sum, 0, 0, .averages = false)
REDUCE(mean, f_sum, i_sum, 0, 0, .averages = true)
REDUCE(prod, f_prod, i_prod, 1, 1, .averages = false)
REDUCE(amax, f_max, i_max, -INFINITY, INT64_MIN, .extremum = true)
REDUCE(amin, f_min, i_min, INFINITY, INT64_MAX, .extremum = true)

/* ---- row by row ---- */

/* Operand 0 and a result of its dims, walked over all dims but DIM (or the last N dims, from FIRST on). */
typedef struct rows {
    jc_ev_tensor x, out;
    jc_ev_iter it; /* at[0] in x, at[1] in out */
    int64_t width;
    double *f, *row;
} rows;

static jitc_status rows_of(jc_ev *ev, const jc_node *n, uint32_t result, int64_t dim, rows *r) {
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &r->x));
    JC_TRY(jc_ev_new(ev, n, n->results[result], &r->out));
    int rank = r->x.rank;
    if (dim < 0 || dim >= rank)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "Dim %lld is not one of the operand's %d.", (long long)dim, rank);
    if (!jc_ev_broadcast(&r->out, rank, r->x.dims, &r->out) || !jc_is_float(r->out.dtype))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The result must be floating and have the operand's dims.");
    int64_t dims[JC_MAX_RANK];
    for (int d = 0; d < rank; d++)
        dims[d] = d == dim ? 1 : r->x.dims[d];
    r->width = r->x.dims[dim];
    r->it = jc_ev_begin(rank, dims);
    jc_ev_with(&r->it, r->x.strides, r->x.offset);
    jc_ev_with(&r->it, r->out.strides, 0);
    r->f = jc_ev_floats_out(ev, &r->out);
    r->row = jc_arena_array(ev->arena, (size_t)r->width, sizeof(double));
    return JITC_OK;
}

/* A weight or bias of N elements as doubles; NULL for None. */
static jitc_status weight_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, int64_t count, double **out, uint8_t *dtype) {
    jc_ev_tensor t;
    *out = NULL;
    if (a->kind == JC_ARG_NONE)
        return JITC_OK;
    JC_TRY(jc_ev_tensor_arg(ev, n, a, &t));
    if (jc_ev_numel(&t) != count)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "A weight has %lld elements where the normalised dims have %lld.",
                          (long long)jc_ev_numel(&t), (long long)count);
    jc_ev_tensor flat = jc_ev_like(ev, &t, JC_F64);
    jc_ev_copy(ev, &t, &flat);
    *out = jc_ev_floats(ev, &flat);
    *dtype = t.dtype;
    return JITC_OK;
}

jitc_status jc_ev_softmax(jc_ev *ev, const jc_node *n) {
    rows r;
    int64_t dim;
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    JC_TRY(rows_of(ev, n, 0, dim, &r));
    for (; r.it.left > 0; jc_ev_next(&r.it)) {
        double top = -INFINITY, total = 0;
        jc_ev_row(ev, &r.x, r.it.at[0], r.x.strides[dim], r.width, r.row);
        for (int64_t k = 0; k < r.width; k++) {
            r.row[k] = jc_ev_cast(r.x.dtype, r.out.dtype, r.row[k]);
            top = f_max(top, r.row[k]);
        }
        for (int64_t k = 0; k < r.width; k++)
            total += r.row[k] = exp(r.row[k] - top);
        for (int64_t k = 0; k < r.width; k++)
            r.f[r.it.at[1] + k * r.out.strides[dim]] = r.row[k] / total;
    }
    *jc_ev_result(ev, n, 0) = r.out;
    return JITC_OK;
}

/* Over the last NDIMS dims, taken as one: the operand is laid out row-major first. */
jitc_status jc_ev_layer_norm(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out;
    int64_t ndims, width = 1, i;
    double eps, *w, *b;
    uint8_t dtype;
    bool floating;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &ndims));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    if (ndims < 1 || ndims > x.rank || !jc_ev_broadcast(&x, out.rank, out.dims, &x) || !jc_is_float(out.dtype))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The operand's dims are not the result's, or fewer than %lld.",
                          (long long)ndims);
    for (int64_t d = x.rank - ndims; d < x.rank; d++)
        width *= x.dims[d];
    JC_TRY(weight_arg(ev, n, &n->args[2], width, &w, &dtype));
    JC_TRY(weight_arg(ev, n, &n->args[3], width, &b, &dtype));
    JC_TRY(jc_ev_number_arg(ev, n, &n->args[4], &eps, &i, &floating));
    jc_ev_tensor flat = jc_ev_like(ev, &x, JC_F64);
    jc_ev_copy(ev, &x, &flat);
    double *f = jc_ev_floats_out(ev, &flat);
    for (int64_t row = 0; width && row < jc_ev_numel(&x) / width; row++) {
        double *at = f + row * width, mean = 0, variance = 0;
        for (int64_t k = 0; k < width; k++)
            mean += at[k] / (double)width;
        for (int64_t k = 0; k < width; k++)
            variance += (at[k] - mean) * (at[k] - mean) / (double)width;
        for (int64_t k = 0; k < width; k++)
            at[k] = (at[k] - mean) / sqrt(variance + eps) * (w ? w[k] : 1) + (b ? b[k] : 0);
    }
    jc_ev_iter it = jc_ev_begin(out.rank, out.dims);
    jc_ev_with(&it, flat.strides, 0);
    jc_ev_with(&it, out.strides, 0);
    double *to = jc_ev_floats_out(ev, &out);
    for (; it.left > 0; jc_ev_next(&it))
        to[it.at[1]] = f[it.at[0]];
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

/* What both RMS norms share: the weight, epsilon and the width of the mean. */
typedef struct rms {
    double *w, eps;
    uint8_t dtype, w_dtype, wide; /* of x; of w; of the arithmetic */
    int64_t columns;
} rms;

static jitc_status rms_args(jc_ev *ev, const jc_node *n, const jc_arg *args, const rows *r, rms *out) {
    int64_t i;
    bool floating;
    out->dtype = r->x.dtype;
    out->wide = r->x.dtype == JC_F64 ? JC_F64 : JC_F32;
    out->columns = r->width;
    JC_TRY(weight_arg(ev, n, &args[0], r->width, &out->w, &out->w_dtype));
    JC_TRY(jc_ev_number_arg(ev, n, &args[1], &out->eps, &i, &floating));
    if (args[2].kind != JC_ARG_NONE)
        JC_TRY(jc_ev_int_arg(ev, n, &args[2], &out->columns));
    if (out->columns < 0 || out->columns > r->width)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The variance is over %lld of %lld columns.", (long long)out->columns,
                          (long long)r->width);
    return JITC_OK;
}

/* y = x * rsqrt(mean(x^2) + eps), to w's dtype, times w, to x's dtype.  ROW holds x and is overwritten. */
static void rms_row(const rms *p, double *row, int64_t width) {
    double mean = 0;
    for (int64_t k = 0; k < p->columns; k++)
        mean += row[k] * row[k] / (double)p->columns;
    double scale = 1 / sqrt(mean + p->eps);
    for (int64_t k = 0; k < width; k++) {
        double y = row[k] * scale;
        if (p->w)
            row[k] = jc_ev_cast(p->w_dtype, p->dtype, jc_ev_cast(p->wide, p->w_dtype, y) * p->w[k]);
        else
            row[k] = jc_ev_cast(p->wide, p->dtype, y);
    }
}

jitc_status jc_ev_rms_norm(jc_ev *ev, const jc_node *n) {
    rows r;
    rms p;
    JC_TRY(rows_of(ev, n, 0, n->results[0]->type.rank - 1, &r));
    JC_TRY(rms_args(ev, n, &n->args[1], &r, &p));
    int last = r.x.rank - 1;
    for (; r.it.left > 0; jc_ev_next(&r.it)) {
        jc_ev_row(ev, &r.x, r.it.at[0], r.x.strides[last], r.width, r.row);
        rms_row(&p, r.row, r.width);
        for (int64_t k = 0; k < r.width; k++)
            r.f[r.it.at[1] + k * r.out.strides[last]] = r.row[k];
    }
    *jc_ev_result(ev, n, 0) = r.out;
    return JITC_OK;
}

/* s = x + residual; the new residual is s in x's dtype, the norm is of the unrounded s. */
jitc_status jc_ev_fused_add_rms_norm(jc_ev *ev, const jc_node *n) {
    rows r;
    rms p;
    jc_ev_tensor residual, sum;
    JC_TRY(rows_of(ev, n, 0, n->results[0]->type.rank - 1, &r));
    JC_TRY(rms_args(ev, n, &n->args[2], &r, &p));
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[1], &residual));
    JC_TRY(jc_ev_new(ev, n, n->results[1], &sum));
    if (!jc_ev_broadcast(&residual, r.x.rank, r.x.dims, &residual) || !jc_ev_broadcast(&sum, r.x.rank, r.x.dims, &sum))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The residual has not the operand's dims.");
    int last = r.x.rank - 1;
    double *other = jc_arena_array(ev->arena, (size_t)r.width, sizeof(double));
    double *sums = jc_ev_floats_out(ev, &sum);
    jc_ev_with(&r.it, residual.strides, residual.offset);
    jc_ev_with(&r.it, sum.strides, 0);
    for (; r.it.left > 0; jc_ev_next(&r.it)) {
        jc_ev_row(ev, &r.x, r.it.at[0], r.x.strides[last], r.width, r.row);
        jc_ev_row(ev, &residual, r.it.at[2], residual.strides[last], r.width, other);
        for (int64_t k = 0; k < r.width; k++) {
            r.row[k] += other[k];
            sums[r.it.at[3] + k * sum.strides[last]] = jc_ev_cast(p.wide, sum.dtype, r.row[k]);
        }
        rms_row(&p, r.row, r.width);
        for (int64_t k = 0; k < r.width; k++)
            r.f[r.it.at[1] + k * r.out.strides[last]] = r.row[k];
    }
    *jc_ev_result(ev, n, 0) = r.out;
    *jc_ev_result(ev, n, 1) = sum;
    return JITC_OK;
}

/* silu of the first half, rounded to x's dtype, times the second. */
jitc_status jc_ev_silu_and_mul(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor x, out;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    int last = out.rank - 1;
    if (last < 0 || x.rank != out.rank || x.dims[last] != 2 * out.dims[last] || !jc_is_float(x.dtype) ||
        !jc_is_float(out.dtype))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The operand is not floating or not twice as wide as the result.");
    for (int d = 0; d < last; d++) {
        if (x.dims[d] != out.dims[d])
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The operand's dims are not the result's.");
    }
    uint8_t wide = x.dtype == JC_F64 ? JC_F64 : JC_F32;
    const double *f = jc_ev_floats(ev, &x);
    double *to = jc_ev_floats_out(ev, &out);
    jc_ev_iter it = jc_ev_begin(out.rank, out.dims);
    jc_ev_with(&it, x.strides, x.offset);
    jc_ev_with(&it, out.strides, 0);
    for (; it.left > 0; jc_ev_next(&it)) {
        double gate = f[it.at[0]], up = f[it.at[0] + out.dims[last] * x.strides[last]];
        to[it.at[1]] = jc_ev_cast(wide, x.dtype, gate / (1 + exp(-gate))) * up;
    }
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}
