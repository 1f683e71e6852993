/*
 * ir/eval/eval_attention.c - the reference's scaled_dot_product_attention: a row of scores at a time, in doubles.
 *
 * The weights of a row are rounded to q's dtype, as the definition says (ir/README.md); a row that nothing is seen of is 0.
 */
#include <math.h>
#include "ir/eval/eval_priv.h"

typedef struct side {
    jc_ev_tensor t;
    const double *f; /* floats, or a mask of bools as 0 and 1 */
} side;

static jitc_status side_arg(jc_ev *ev, const jc_node *n, uint32_t i, side *s) {
    jc_ev_tensor t;
    JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[i], &t));
    s->t = jc_ev_like(ev, &t, JC_F64);
    jc_ev_copy(ev, &t, &s->t);
    s->f = jc_ev_floats(ev, &s->t);
    return JITC_OK;
}

/* Where the matrix of S lies that belongs to batch AT of OUT. */
static const double *matrix(const side *s, const jc_ev_tensor *out, const int64_t *at) {
    int64_t place = 0;
    for (int d = 0; d < s->t.rank - 2; d++) {
        const int to = d + out->rank - s->t.rank;
        if (s->t.dims[d] != 1)
            place += (s->t.dims[d] == out->dims[to] ? at[to] : at[to] / (out->dims[to] / s->t.dims[d])) * s->t.strides[d];
    }
    return s->f + place;
}

static double masked(const side *mask, uint8_t dtype, const jc_ev_tensor *out, const int64_t *at, int64_t i, int64_t j, double score) {
    const int r = mask->t.rank;
    const double *m = matrix(mask, out, at);
    if (r > 0 && mask->t.dims[r - 1] != 1)
        m += j * mask->t.strides[r - 1];
    if (r > 1 && mask->t.dims[r - 2] != 1)
        m += i * mask->t.strides[r - 2];
    return dtype == JC_B8 ? (*m != 0 ? score : -INFINITY) : score + *m;
}

/* Scores to weights. */
static void weigh(double *w, int64_t count, uint8_t dtype) {
    double top = -INFINITY, total = 0;
    for (int64_t j = 0; j < count; j++)
        top = w[j] != w[j] || top != top ? NAN : fmax(top, w[j]);
    for (int64_t j = 0; j < count; j++)
        total += w[j] = exp(w[j] - (top == -INFINITY ? 0 : top));
    for (int64_t j = 0; j < count; j++)
        w[j] = jc_ev_cast(dtype == JC_F64 ? JC_F64 : JC_F32, dtype, total == 0 ? 0 : w[j] / total);
}

/* W, scores of a part's keys, to what `sdpa_parts` has of row OUT. */
static void sum_part(double *out, double *w, int64_t first, int64_t end, const double *v, int64_t width) {
    double top = -INFINITY, total = 0;
    for (int64_t j = first; j < end; j++)
        top = w[j] != w[j] || top != top ? NAN : fmax(top, w[j]);
    for (int64_t j = first; j < end; j++)
        total += w[j] = exp(w[j] - (top == -INFINITY ? 0 : top));
    for (int64_t x = 0; x < width; x++) {
        out[x] = 0;
        for (int64_t j = first; j < end; j++)
            out[x] += w[j] * v[j * width + x];
    }
    out[width] = top * M_LOG2E;
    out[width + 1] = total;
    for (int x = 2; x < JC_PARTS_EXTRA; x++)
        out[width + x] = 0;
}

/* PARTS: 0 for the whole. */
static jitc_status attend(jc_ev *ev, const jc_node *n, int64_t parts) {
    side q, k, v, mask = { 0 };
    jc_ev_tensor out;
    JC_TRY(side_arg(ev, n, 0, &q));
    JC_TRY(side_arg(ev, n, 1, &k));
    JC_TRY(side_arg(ev, n, 2, &v));
    const bool has_mask = n->args[3].kind != JC_ARG_NONE;
    if (has_mask)
        JC_TRY(side_arg(ev, n, 3, &mask));
    JC_TRY(jc_ev_new(ev, n, n->results[0], &out));
    const int64_t rows = q.t.dims[q.t.rank - 2], depth = q.t.dims[q.t.rank - 1], keys = k.t.dims[k.t.rank - 2], width = v.t.dims[v.t.rank - 1];
    if (k.t.dims[k.t.rank - 1] != depth || v.t.dims[v.t.rank - 2] != keys || out.dims[out.rank - 2] != rows ||
        out.dims[out.rank - 1] != width + (parts ? JC_PARTS_EXTRA : 0))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "q[L, E], k[S, E] and v[S, Ev] do not fit together.");
    jc_ev_operand scale;
    JC_TRY(jc_ev_operand_arg(ev, n, &n->args[5], out.dtype == JC_F64 ? JC_F64 : JC_F32, 0, NULL, &scale));
    double *w = jc_arena_array(ev->arena, (size_t)keys + 1, sizeof *w), *f = jc_ev_floats_out(ev, &out);
    jc_ev_iter it = jc_ev_begin(out.rank - 1, out.dims);
    jc_ev_with(&it, out.strides, 0);
    for (; it.left > 0; jc_ev_next(&it)) {
        const int64_t i = it.index[out.rank - 2];
        const double *a = matrix(&q, &out, it.index) + i * depth, *b = matrix(&k, &out, it.index), *c = matrix(&v, &out, it.index);
        for (int64_t j = 0; j < keys; j++) {
            double sum = 0;
            for (int64_t e = 0; e < depth; e++)
                sum += a[e] * b[j * depth + e];
            w[j] = n->args[4].b && j > i ? -INFINITY : sum * jc_ev_f(&scale, scale.offset);
            if (has_mask)
                w[j] = masked(&mask, n->args[3].value->type.dtype, &out, it.index, i, j, w[j]);
        }
        if (parts) {
            const int64_t tiles = (keys + JC_KEYS_AT_ONCE - 1) / JC_KEYS_AT_ONCE, each = (tiles + parts - 1) / parts * JC_KEYS_AT_ONCE;
            const int64_t first = it.index[0] * each < keys ? it.index[0] * each : keys, end = first + each < keys ? first + each : keys;
            sum_part(f + it.at[0], w, first, end, c, width);
            continue;
        }
        weigh(w, keys, out.dtype);
        for (int64_t x = 0; x < width; x++) {
            double sum = 0;
            for (int64_t j = 0; j < keys; j++)
                sum += w[j] * c[j * width + x];
            f[it.at[0] + x] = sum;
        }
    }
    *jc_ev_result(ev, n, 0) = out;
    return JITC_OK;
}

jitc_status jc_ev_sdpa(jc_ev *ev, const jc_node *n) {
    return attend(ev, n, 0);
}

jitc_status jc_ev_sdpa_parts(jc_ev *ev, const jc_node *n) {
    int64_t parts = 0;
    JC_TRY(jc_ev_expr(ev, n, n->args[6].expr, &parts));
    return attend(ev, n, parts > 0 ? parts : 1);
}
