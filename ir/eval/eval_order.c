/*
 * ir/eval/eval_order.c - the reference's scans, writes where indices say, and sorts: element by element, in order.
 *
 * Each result is rounded to its dtype, in either mode: what such an operator gives lies in memory.
 */
#include <math.h>
#include "ir/eval/eval_priv.h"
#include "ir/info.h"

/* X as a tensor of DTYPE keeps it. */
static double kept_f(uint8_t dtype, double x) { return dtype == JC_F64 ? x : jc_ev_rounded(dtype, x); }

/* ---- scans ---- */

/* Operand 0 and results of its dims, walked over all dims but one. */
typedef struct lines {
    jc_ev_tensor x, out[2];
    jc_ev_iter it; /* at[0] in x, at[1] and at[2] in the results */
    int64_t length, step, out_step;
} lines;

static jitc_status lines_of(jc_ev *ev, const jc_node *n, lines *l) {
    int64_t dim, dims[JC_MAX_RANK];
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &l->x));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    if (dim < 0 || dim >= l->x.rank)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "Dim %lld is not one of the operand's %d.", (long long)dim, l->x.rank);
    for (int d = 0; d < l->x.rank; d++)
        dims[d] = d == dim ? 1 : l->x.dims[d];
    l->length = l->x.dims[dim];
    l->step = l->x.strides[dim];
    l->it = jc_ev_begin(l->x.rank, dims);
    jc_ev_with(&l->it, l->x.strides, l->x.offset);
    for (uint32_t i = 0; i < n->nresults; i++) {
        l->out[i] = jc_ev_like(ev, &l->x, n->results[i]->type.dtype);
        l->out_step = l->out[i].strides[dim];
        jc_ev_with(&l->it, l->out[i].strides, 0);
        *jc_ev_result(ev, n, i) = l->out[i];
    }
    if (l->length == 0)
        l->it.left = 0;
    return JITC_OK;
}

static double log_add_exp(double a, double b) {
    double lo = fmin(a, b), hi = fmax(a, b);
    if (isnan(a) || isnan(b))
        return NAN;
    return isinf(lo) && lo == hi ? a : log1p(exp(lo - hi)) + hi;
}

static double f_add(double a, double b) { return a + b; }
static double f_mul(double a, double b) { return a * b; }
static uint64_t i_add(uint64_t a, uint64_t b) { return a + b; }
static uint64_t i_mul(uint64_t a, uint64_t b) { return a * b; }

static jitc_status run(jc_ev *ev, const jc_node *n, double (*f)(double, double), uint64_t (*i)(uint64_t, uint64_t), double first) {
    lines l = { 0 };
    JC_TRY(lines_of(ev, n, &l));
    const uint8_t dtype = l.x.dtype;
    for (; l.it.left > 0; jc_ev_next(&l.it)) {
        double total = first;
        uint64_t count = (uint64_t)first;
        for (int64_t k = 0; k < l.length && jc_is_float(dtype); k++) {
            total = f(total, jc_ev_floats(ev, &l.x)[l.it.at[0] + k * l.step]);
            total = dtype == JC_F16 || dtype == JC_BF16 ? (double)(float)total : total;
            jc_ev_floats_out(ev, &l.out[0])[l.it.at[1] + k * l.out_step] = kept_f(dtype, total);
        }
        for (int64_t k = 0; k < l.length && !jc_is_float(dtype); k++) {
            count = i(count, (uint64_t)jc_ev_ints(ev, &l.x)[l.it.at[0] + k * l.step]);
            jc_ev_ints_out(ev, &l.out[0])[l.it.at[1] + k * l.out_step] = jc_ev_wrap(dtype, (int64_t)count);
        }
    }
    return JITC_OK;
}

jitc_status jc_ev_cumsum(jc_ev *ev, const jc_node *n) { return run(ev, n, f_add, i_add, 0); }
jitc_status jc_ev_cumprod(jc_ev *ev, const jc_node *n) { return run(ev, n, f_mul, i_mul, 1); }
jitc_status jc_ev_logcumsumexp(jc_ev *ev, const jc_node *n) { return run(ev, n, log_add_exp, i_add, -INFINITY); }

/* SIGN: 1 for the largest so far, -1 for the smallest. */
static jitc_status run_best(jc_ev *ev, const jc_node *n, int sign) {
    lines l = { 0 };
    JC_TRY(lines_of(ev, n, &l));
    const uint8_t dtype = l.x.dtype;
    int64_t *places = jc_ev_ints_out(ev, &l.out[1]);
    for (; l.it.left > 0; jc_ev_next(&l.it)) {
        int64_t best = 0;
        for (int64_t k = 0; k < l.length; k++) {
            const int64_t now = l.it.at[0] + k * l.step, was = l.it.at[0] + best * l.step;
            if (jc_is_float(dtype)) {
                const double *f = jc_ev_floats(ev, &l.x), x = kept_f(dtype, f[now]), y = kept_f(dtype, f[was]);
                if (isnan(x) || (!isnan(y) && x * sign >= y * sign))
                    best = k;
                jc_ev_floats_out(ev, &l.out[0])[l.it.at[1] + k * l.out_step] = kept_f(dtype, f[l.it.at[0] + best * l.step]);
            } else {
                const int64_t *i = jc_ev_ints(ev, &l.x);
                if (sign > 0 ? i[now] >= i[was] : i[now] <= i[was])
                    best = k;
                jc_ev_ints_out(ev, &l.out[0])[l.it.at[1] + k * l.out_step] = i[l.it.at[0] + best * l.step];
            }
            places[l.it.at[2] + k * l.out_step] = best;
        }
    }
    return JITC_OK;
}

jitc_status jc_ev_cummax(jc_ev *ev, const jc_node *n) { return run_best(ev, n, 1); }
jitc_status jc_ev_cummin(jc_ev *ev, const jc_node *n) { return run_best(ev, n, -1); }

/* ---- put_ ---- */

typedef struct put {
    jc_ev_tensor dst, src; /* src: of dst's dtype, its own memory */
    int n, dims[JC_MAX_RANK];
    const int64_t *index[JC_MAX_RANK]; /* row-major */
    int64_t mode;
    bool wrap;
} put;

/* A copy of argument A, a tensor or a number, as DTYPE and with DIMS. */
static jitc_status own_copy(jc_ev *ev, const jc_node *n, const jc_arg *a, const jc_ev_tensor *shape, uint8_t dtype, jc_ev_tensor *out) {
    jc_ev_tensor t;
    *out = jc_ev_like(ev, shape, dtype);
    if (a->kind == JC_ARG_VALUE && a->value->type.kind == JC_TENSOR) {
        JC_TRY(jc_ev_tensor_arg(ev, n, a, &t));
        if (!jc_ev_broadcast(&t, out->rank, out->dims, &t))
            return jc_ev_fail(ev, n, JITC_E_INPUT, "Indices and source differ in shape.");
        jc_ev_copy(ev, &t, out);
        return JITC_OK;
    }
    double f;
    int64_t i;
    bool floating;
    JC_TRY(jc_ev_number_arg(ev, n, a, &f, &i, &floating));
    for (int64_t k = 0; k < jc_ev_numel(out); k++)
        if (jc_is_float(dtype))
            jc_ev_floats_out(ev, out)[k] = jc_round_to((jc_dtype)dtype, f);
        else
            jc_ev_ints_out(ev, out)[k] = floating ? jc_ev_trunc(JC_F64, dtype, f, false) : jc_ev_wrap(dtype, i);
    return JITC_OK;
}

static jitc_status put_args(jc_ev *ev, const jc_node *n, put *p) {
    jc_ev_tensor shape, index;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &p->dst));
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[1].list.at[0], &shape));
    p->n = (int)n->args[1].list.n;
    for (int k = 0; k < p->n; k++) {
        int64_t dim;
        JC_TRY(jc_ev_int_arg(ev, n, &n->args[2].list.at[k], &dim));
        if (dim < 0 || dim >= p->dst.rank || shape.rank != p->dst.rank)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "Dim %lld is not one of the destination's %d.", (long long)dim, p->dst.rank);
        JC_TRY(own_copy(ev, n, &n->args[1].list.at[k], &shape, JC_I64, &index));
        p->dims[k] = (int)dim;
        p->index[k] = jc_ev_ints(ev, &index);
    }
    JC_TRY(own_copy(ev, n, &n->args[3], &shape, p->dst.dtype, &p->src));
    p->wrap = n->args[5].b;
    return jc_ev_int_arg(ev, n, &n->args[4], &p->mode);
}

/* Where element K of the source, at AT, goes. */
static jitc_status place_of(jc_ev *ev, const jc_node *n, const put *p, int64_t k, const int64_t *at, int64_t *out) {
    int64_t to[JC_MAX_RANK];
    *out = p->dst.offset;
    for (int d = 0; d < p->dst.rank; d++)
        to[d] = at[d];
    for (int i = 0; i < p->n; i++) {
        const int64_t rows = p->dst.dims[p->dims[i]], x = p->index[i][k];
        to[p->dims[i]] = p->wrap && x < 0 ? x + rows : x;
        if (to[p->dims[i]] < 0 || to[p->dims[i]] >= rows)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The index %lld (element %lld of the indices) is out of range: dim %d has %lld rows.",
                              (long long)x, (long long)k, p->dims[i], (long long)rows);
    }
    for (int d = 0; d < p->dst.rank; d++) {
        if (to[d] >= p->dst.dims[d])
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The source reaches beyond dim %d of the destination.", d);
        *out += to[d] * p->dst.strides[d];
    }
    return JITC_OK;
}

static double combine_f(int64_t mode, double was, double x) {
    switch (mode) {
    case JC_PUT_ADD: return was + x;
    case JC_PUT_MUL: return was * x;
    case JC_PUT_MIN: return isnan(was) || isnan(x) ? NAN : x < was ? x : was;
    default: return isnan(was) || isnan(x) ? NAN : x > was ? x : was;
    }
}

static int64_t combine_i(int64_t mode, int64_t was, int64_t x) {
    switch (mode) {
    case JC_PUT_ADD: return (int64_t)((uint64_t)was + (uint64_t)x);
    case JC_PUT_MUL: return (int64_t)((uint64_t)was * (uint64_t)x);
    case JC_PUT_MIN: return x < was ? x : was;
    default: return x > was ? x : was;
    }
}

jitc_status jc_ev_put(jc_ev *ev, const jc_node *n) {
    put p = { 0 };
    int64_t to;
    JC_TRY(put_args(ev, n, &p));
    const bool floating = jc_is_float(p.dst.dtype);
    const double *f = floating ? jc_ev_floats(ev, &p.src) : NULL;
    const int64_t *i = floating ? NULL : jc_ev_ints(ev, &p.src);
    double *f_out = floating ? jc_ev_floats_out(ev, &p.dst) : NULL;
    int64_t *i_out = floating ? NULL : jc_ev_ints_out(ev, &p.dst), k = 0;
    for (jc_ev_iter it = jc_ev_begin(p.src.rank, p.src.dims); it.left > 0; jc_ev_next(&it), k++) {
        JC_TRY(place_of(ev, n, &p, k, it.index, &to));
        if (p.mode == JC_PUT_SET && floating)
            f_out[to] = f[k];
        else if (p.mode == JC_PUT_SET)
            i_out[to] = i[k];
        else if (floating)
            f_out[to] = kept_f(p.dst.dtype, combine_f(p.mode, kept_f(p.dst.dtype, f_out[to]), kept_f(p.dst.dtype, f[k])));
        else
            i_out[to] = jc_ev_wrap(p.dst.dtype, combine_i(p.mode, i_out[to], i[k]));
    }
    *jc_ev_result(ev, n, 0) = p.dst;
    return JITC_OK;
}

/* ---- numbers that have to be 0 ---- */

jitc_status jc_ev_check_info(jc_ev *ev, const jc_node *n) {
    jc_ev_tensor info;
    jc_error err = JC_ERROR_INIT;
    int64_t kind;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &info));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &kind));
    const int64_t *at = jc_ev_ints(ev, &info);
    for (int64_t k = 0; k < jc_ev_numel(&info) && !(ev->how & JC_EVAL_CLAMP); k++)
        if (at[k] != 0 && jc_info_fail(kind, info.rank ? k : -1, at[k], &err) != JITC_OK)
            return jc_ev_fail(ev, n, JITC_E_INPUT, "%s", err.message);
    return JITC_OK;
}

/* ---- order ---- */

/* A row as its dtype holds it; f for floats. */
typedef struct line {
    double *f;
    int64_t *i, n;
} line;

/* Does element A go before B for certain?  NaN is larger than any number. */
static bool goes_before(const line *l, int64_t a, int64_t b, bool descending) {
    if (!l->f)
        return descending ? l->i[a] > l->i[b] : l->i[a] < l->i[b];
    const double x = l->f[descending ? b : a], y = l->f[descending ? a : b];
    return x < y || (isnan(y) && !isnan(x));
}

static line line_new(jc_ev *ev, const jc_ev_tensor *x, int64_t n) {
    line l = { .n = n };
    if (jc_is_float(x->dtype))
        l.f = jc_arena_array(ev->arena, (size_t)n, sizeof *l.f);
    else
        l.i = jc_arena_array(ev->arena, (size_t)n, sizeof *l.i);
    return l;
}

static void line_load(jc_ev *ev, const jc_ev_tensor *x, int64_t at, int64_t step, line *l) {
    for (int64_t k = 0; k < l->n; k++)
        if (l->f)
            l->f[k] = kept_f(x->dtype, jc_ev_floats(ev, x)[at + k * step]);
        else
            l->i[k] = jc_ev_ints(ev, x)[at + k * step];
}

/* PLACES in order, from FIRST up to END, by insertion: equal ones stay as they are. */
static void sort_places(const line *l, int64_t *places, int64_t first, int64_t end, bool descending) {
    for (int64_t k = first; k < end; k++) {
        int64_t at = k, place = places[k];
        for (; at > first && goes_before(l, place, places[at - 1], descending); at--)
            places[at] = places[at - 1];
        places[at] = place;
    }
}

/* Operand 0 along its last dim, and up to two results of other lengths. */
typedef struct ordering {
    jc_ev_tensor x, out[2];
    jc_ev_iter it; /* at[0] in x, at[1] and at[2] in the results */
    int64_t step, kept;
    line l;
    int64_t *places;
} ordering;

static jitc_status ordering_of(jc_ev *ev, const jc_node *n, int64_t kept, ordering *o) {
    int64_t dims[JC_MAX_RANK];
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &o->x));
    const int last = o->x.rank - 1;
    if (last < 0)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "A number has no order.");
    for (int d = 0; d <= last; d++)
        dims[d] = d == last ? 1 : o->x.dims[d];
    o->kept = kept < 0 ? o->x.dims[last] : kept;
    if (o->kept > o->x.dims[last])
        return jc_ev_fail(ev, n, JITC_E_INPUT, "There are no %lld of %lld elements.", (long long)o->kept, (long long)o->x.dims[last]);
    o->step = o->x.strides[last];
    o->it = jc_ev_begin(o->x.rank, dims);
    jc_ev_with(&o->it, o->x.strides, o->x.offset);
    for (uint32_t i = 0; i < n->nresults; i++) {
        jc_ev_tensor shape = o->x;
        shape.dims[last] = o->kept;
        o->out[i] = jc_ev_like(ev, &shape, n->results[i]->type.dtype);
        jc_ev_with(&o->it, o->out[i].strides, 0);
        *jc_ev_result(ev, n, i) = o->out[i];
    }
    if (o->x.dims[last] == 0)
        o->it.left = 0;
    o->l = line_new(ev, &o->x, o->x.dims[last]);
    o->places = jc_arena_array(ev->arena, (size_t)o->l.n, sizeof *o->places);
    return JITC_OK;
}

static void take_line(jc_ev *ev, ordering *o) {
    line_load(ev, &o->x, o->it.at[0], o->step, &o->l);
    for (int64_t k = 0; k < o->l.n; k++)
        o->places[k] = k;
}

/* The elements at the first places, and where they were; INDEX: what stands for a place. */
static void give_line(jc_ev *ev, ordering *o, const int64_t *index) {
    for (int64_t k = 0; k < o->kept; k++) {
        if (o->l.f)
            jc_ev_floats_out(ev, &o->out[0])[o->it.at[1] + k] = o->l.f[o->places[k]];
        else
            jc_ev_ints_out(ev, &o->out[0])[o->it.at[1] + k] = o->l.i[o->places[k]];
        jc_ev_ints_out(ev, &o->out[1])[o->it.at[2] + k] = index ? index[o->places[k]] : o->places[k];
    }
}

/* In runs of RUN. */
static jitc_status sort_lines(jc_ev *ev, const jc_node *n, int64_t run, int64_t kept, bool descending) {
    ordering o = { 0 };
    JC_TRY(ordering_of(ev, n, kept, &o));
    for (; o.it.left > 0; jc_ev_next(&o.it)) {
        take_line(ev, &o);
        for (int64_t first = 0; first < o.l.n; first += run)
            sort_places(&o.l, o.places, first, o.l.n - first < run ? o.l.n : first + run, descending);
        give_line(ev, &o, NULL);
    }
    return JITC_OK;
}

jitc_status jc_ev_sort(jc_ev *ev, const jc_node *n) { return sort_lines(ev, n, INT64_MAX / 2, -1, n->args[1].b); }

jitc_status jc_ev_sort_runs(jc_ev *ev, const jc_node *n) {
    int64_t run;
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &run));
    return run < 1 ? jc_ev_fail(ev, n, JITC_E_INPUT, "A run has %lld elements.", (long long)run) : sort_lines(ev, n, run, -1, n->args[2].b);
}

jitc_status jc_ev_topk(jc_ev *ev, const jc_node *n) {
    int64_t k;
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &k));
    return sort_lines(ev, n, INT64_MAX / 2, k < 0 ? 0 : k, n->args[2].b);
}

/* Each two neighbouring runs, which are in order, become one. */
jitc_status jc_ev_merge_runs(jc_ev *ev, const jc_node *n) {
    ordering o = { 0 };
    jc_ev_tensor index;
    int64_t run;
    JC_TRY(ordering_of(ev, n, -1, &o));
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[1], &index));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[2], &run));
    if (!jc_ev_broadcast(&index, o.x.rank, o.x.dims, &index) || run < 1)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "Values and places differ in shape, or a run has no elements.");
    jc_ev_with(&o.it, index.strides, index.offset);
    line places = line_new(ev, &index, o.l.n);
    for (; o.it.left > 0; jc_ev_next(&o.it)) {
        take_line(ev, &o);
        line_load(ev, &index, o.it.at[3], index.strides[o.x.rank - 1], &places);
        for (int64_t first = 0; first < o.l.n; first += 2 * run)
            sort_places(&o.l, o.places, first, o.l.n - first < 2 * run ? o.l.n : first + 2 * run, n->args[3].b);
        give_line(ev, &o, places.i);
    }
    return JITC_OK;
}

/* Element RANK of each row in order, or its place. */
static jitc_status nth_of(jc_ev *ev, const jc_node *n, int64_t dim, int64_t rank, bool largest, bool index) {
    jc_ev_tensor x, out;
    int64_t dims[JC_MAX_RANK];
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    jc_ev_row_major(&out);
    if (dim < 0 || dim >= x.rank || rank < 0 || rank >= x.dims[dim])
        return jc_ev_fail(ev, n, JITC_E_INPUT, "There is no element %lld along dim %lld.", (long long)rank, (long long)dim);
    for (int d = 0; d < x.rank; d++)
        dims[d] = d == dim ? 1 : x.dims[d];
    jc_ev_iter it = jc_ev_begin(x.rank, dims);
    jc_ev_with(&it, x.strides, x.offset);
    line l = line_new(ev, &x, x.dims[dim]);
    int64_t *places = jc_arena_array(ev->arena, (size_t)l.n, sizeof *places);
    for (int64_t to = 0; it.left > 0; jc_ev_next(&it), to++) {
        line_load(ev, &x, it.at[0], x.strides[dim], &l);
        for (int64_t k = 0; k < l.n; k++)
            places[k] = k;
        for (int64_t k = 0; k <= rank; k++) /* the next one that none before it beats */
            for (int64_t j = l.n - 1; j > k; j--)
                if (goes_before(&l, places[j], places[j - 1], largest)) {
                    const int64_t swap = places[j];
                    places[j] = places[j - 1];
                    places[j - 1] = swap;
                }
        if (index)
            jc_ev_ints_out(ev, &out)[to] = places[rank];
        else if (l.f)
            jc_ev_floats_out(ev, &out)[to] = l.f[places[rank]];
        else
            jc_ev_ints_out(ev, &out)[to] = l.i[places[rank]];
    }
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_nth(jc_ev *ev, const jc_node *n) {
    int64_t dim, rank;
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1].list.at[0], &dim));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[3], &rank));
    return nth_of(ev, n, dim, rank, n->args[4].b, n->args[5].b);
}

/* The first of the largest, or the smallest; a NaN goes before all. */
static jitc_status arg_best(jc_ev *ev, const jc_node *n, int sign) {
    jc_ev_tensor x, out;
    int64_t dims[JC_MAX_RANK], dim;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[0], &x));
    JC_TRY(jc_ev_int_arg(ev, n, &n->args[1], &dim));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    jc_ev_row_major(&out);
    if (dim < 0 || dim >= x.rank || (x.dims[dim] == 0 && jc_ev_numel(&out)))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "No elements have no extremum.");
    for (int d = 0; d < x.rank; d++)
        dims[d] = d == dim ? 1 : x.dims[d];
    jc_ev_iter it = jc_ev_begin(x.rank, dims);
    jc_ev_with(&it, x.strides, x.offset);
    line l = line_new(ev, &x, x.dims[dim]);
    for (int64_t to = 0; it.left > 0 && l.n > 0; jc_ev_next(&it), to++) {
        int64_t best = 0;
        line_load(ev, &x, it.at[0], x.strides[dim], &l);
        for (int64_t k = 1; k < l.n; k++)
            if (l.f ? !isnan(l.f[best]) && (isnan(l.f[k]) || l.f[k] * sign > l.f[best] * sign)
                    : sign > 0 ? l.i[k] > l.i[best] : l.i[k] < l.i[best])
                best = k;
        jc_ev_ints_out(ev, &out)[to] = best;
    }
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_argmax(jc_ev *ev, const jc_node *n) { return arg_best(ev, n, 1); }
jitc_status jc_ev_argmin(jc_ev *ev, const jc_node *n) { return arg_best(ev, n, -1); }
