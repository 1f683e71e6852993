/*
 * examples/ops_moe.c - experts: the two best of the router's, each a gated MLP with weights of the layer.
 *
 * The argument lists differ between versions (`x, logits, L` and `x, logits, shared_in, input_ids, L, unpadded`), so the
 * operators take whatever comes: tensors by their place, the layer's name wherever it stands.
 */
#include <math.h>
#include "ops_tiny.h"

#define INNER 32

typedef struct call_args {
    DLTensor *x, *logits, *shared_in;
    const jitc_layer_name *layer;
    int64_t unpadded;
} call_args;

static call_args args_of(const jitc_call *c) {
    call_args a = { tiny_tensor(c, 0), tiny_tensor(c, 1), NULL, NULL, 0 };
    for (uint32_t k = 2; k < c->nargs; k++) {
        if (c->args[k].tag == JITC_NAME)
            a.layer = c->args[k].name;
        else if (c->args[k].tag == JITC_TENSOR && k == 2)
            a.shared_in = c->args[k].tensor;
        else if (c->args[k].tag == JITC_INT)
            a.unpadded = c->args[k].i;
    }
    return a;
}

/* OUT += SCALE * (silu(x W1^T) * (x W3^T)) W2^T, X of WIDTH */
static void gated(const double *x, const float *w1, const float *w3, const float *w2, int64_t width, double scale,
                  double *out) {
    double inner[INNER];
    for (int64_t i = 0; i < INNER; i++)
        inner[i] = tiny_silu(tiny_dot(x, w1 + i * width, width)) * tiny_dot(x, w3 + i * width, width);
    for (int64_t k = 0; k < width; k++)
        out[k] += scale * tiny_dot(inner, w2 + k * INNER, INNER);
}

/* The place of the largest of N values; ties go to the first. */
static int64_t best(const double *at, int64_t n, int64_t except) {
    int64_t found = -1;
    for (int64_t k = 0; k < n; k++) {
        if (k != except && (found < 0 || at[k] > at[found]))
            found = k;
    }
    return found;
}

/* Y [T,H].  Of the softmax only the chosen ones matter, since they are normalised to one again. */
static void experts(tiny_scratch *s, const call_args *a, const tiny_array *x, double *y) {
    tiny_array logits = tiny_load(s, a->logits);
    int64_t width = tiny_dim(x, 0), tokens = x->dims[0], count = tiny_dim(&logits, 0);
    if (!tiny_expect(s, logits.rank == 2 && logits.dims[0] == tokens && count > 0,
                     "The router's logits must be [T, E], a row per token."))
        return;
    const float *w1 = tiny_weight(s, a->layer, "experts.w1", count * INNER * width, width);
    const float *w3 = tiny_weight(s, a->layer, "experts.w3", count * INNER * width, width);
    const float *w2 = tiny_weight(s, a->layer, "experts.w2", count * INNER * width, INNER);
    for (int64_t t = 0; t < tokens && !s->failed; t++) {
        const double *row = tiny_row(&logits, t, count);
        int64_t chosen[2] = { best(row, count, -1), -1 };
        chosen[1] = best(row, count, chosen[0]);
        double second = chosen[1] < 0 ? 0 : exp(row[chosen[1]] - row[chosen[0]]);
        for (int k = 0; k < 2 && chosen[k] >= 0; k++) {
            int64_t at = chosen[k] * INNER * width;
            gated(tiny_row(x, t, width), w1 + at, w3 + at, w2 + at, width, (k ? second : 1) / (1 + second),
                  y + t * width);
        }
    }
}

/* The routed part into OUT, cut to the unpadded width. */
static void routed(tiny_scratch *s, const call_args *a, DLTensor *out) {
    tiny_array x = tiny_load(s, a->x);
    if (!tiny_expect(s, x.at && x.rank == 2, "The experts' input must be [T, H]."))
        return;
    int64_t width = x.dims[1], keep = a->unpadded > 0 && a->unpadded < width ? a->unpadded : width;
    double *y = tiny_alloc(s, x.n), *cut = tiny_alloc(s, x.dims[0] * keep);
    if (!s->failed)
        experts(s, a, &x, y);
    if (s->failed)
        return;
    for (int64_t k = 0; k < x.dims[0] * keep; k++)
        cut[k] = y[k / keep * width + k % keep];
    tiny_store(s, out, cut, x.dims[0] * keep);
}

static int moe_forward(jitc_call *c) {
    tiny_scratch s = { .call = c };
    call_args a = args_of(c);
    if (tiny_expect(&s, a.x && a.logits && c->nresults == 1, "moe_forward takes an input and logits and gives one tensor."))
        routed(&s, &a, c->results[0]);
    return tiny_end(&s);
}

static void shared(tiny_scratch *s, const call_args *a, DLTensor *out) {
    tiny_array x = tiny_load(s, a->shared_in ? a->shared_in : a->x);
    int64_t width = tiny_dim(&x, 0);
    const float *v1 = tiny_weight(s, a->layer, "shared.w1", INNER * width, width);
    const float *v3 = tiny_weight(s, a->layer, "shared.w3", INNER * width, width);
    const float *v2 = tiny_weight(s, a->layer, "shared.w2", INNER * width, INNER);
    double *y = tiny_alloc(s, x.n);
    if (s->failed)
        return;
    for (int64_t t = 0; width && t < x.n / width; t++)
        gated(tiny_row(&x, t, width), v1, v3, v2, width, 1, y + t * width);
    tiny_store(s, out, y, x.n);
}

static int moe_forward_shared(jitc_call *c) {
    tiny_scratch s = { .call = c };
    call_args a = args_of(c);
    if (tiny_expect(&s, a.x && a.logits && c->nresults == 2,
                    "moe_forward_shared takes an input and logits and gives two tensors.")) {
        shared(&s, &a, c->results[0]);
        routed(&s, &a, c->results[1]);
    }
    return tiny_end(&s);
}

const tiny_op tiny_moe_ops[] = {
    { "vllm::moe_forward(...) -> ...", NULL, moe_forward, 0 },
    { "vllm::moe_forward_shared(...) -> ...", NULL, moe_forward_shared, 0 },
    { 0 },
};
