/*
 * examples/ops_gdn.c - the gated delta net: a recurrence over a [Dk, Dv] state per head, from an empty state.
 */
#include <math.h>
#include "ops_recurrent.h"

static void project(tiny_scratch *s, const tiny_array *x, const jitc_layer_name *layer, const char *tag, int64_t columns,
                    DLTensor *out) {
    int64_t width = tiny_dim(x, 0), rows = x->dims[0];
    const float *w = tiny_weight(s, layer, tag, columns * width, width);
    double *y = tiny_alloc(s, rows * columns);
    if (s->failed)
        return;
    for (int64_t k = 0; k < rows * columns; k++)
        y[k] = tiny_dot(tiny_row(x, k / columns, width), w + k % columns * width, width);
    tiny_store(s, out, y, rows * columns);
}

static int gdn_in_proj(jitc_call *call, const DLTensor *hidden, int64_t qkvz, int64_t ba, const jitc_layer_name *layer,
                       DLTensor *out_qkvz, DLTensor *out_ba) {
    tiny_scratch s = { .call = call };
    tiny_array x = tiny_load(&s, hidden);
    if (tiny_expect(&s, x.at && x.rank == 2 && qkvz >= 0 && ba >= 0, "gdn_in_proj takes [T, H] and two sizes.")) {
        project(&s, &x, layer, "in_proj_qkvz", qkvz, out_qkvz);
        project(&s, &x, layer, "in_proj_ba", ba, out_ba);
    }
    return tiny_end(&s);
}

static int gdn_in_proj_frame(jitc_call *c) {
    return gdn_in_proj(c, tiny_tensor(c, 0), tiny_int(c, 1), tiny_int(c, 2), tiny_name(c, 3), c->results[0], c->results[1]);
}

void tiny_conv_silu(const double *x, int64_t pitch, int64_t tokens, int64_t channels, const float *w, double *out) {
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t i = t < 3 ? 3 - t : 0; i < 4; i++)
                sum += (double)w[c * 4 + i] * x[(t - 3 + i) * pitch + c];
            out[t * channels + c] = tiny_silu(sum);
        }
    }
}

/* Divides by the length, then multiplies by SCALE. */
static void normalise(double *x, int64_t n, double scale) {
    double sum = 1e-6;
    for (int64_t k = 0; k < n; k++)
        sum += x[k] * x[k];
    for (int64_t k = 0; k < n; k++)
        x[k] *= scale / sqrt(sum);
}

/* One token of one head: S = g S; r = v - S^T k; S += k (beta r)^T; o = S^T q. */
static void step(double *state, int64_t width, const double *q, const double *k, const double *v, double g, double beta,
                 double *o) {
    for (int64_t j = 0; j < width; j++) {
        double seen = 0;
        for (int64_t i = 0; i < width; i++)
            seen += (state[i * width + j] *= g) * k[i];
        double r = beta * (v[j] - seen);
        o[j] = 0;
        for (int64_t i = 0; i < width; i++)
            o[j] += (state[i * width + j] += k[i] * r) * q[i];
    }
}

typedef struct gdn {
    int64_t tokens, channels, heads, key_heads, width;
    const double *a, *b;
    const float *a_log, *dt_bias;
} gdn;

static void scan(const gdn *g, double *u, double *states, double *out) {
    int64_t group = g->heads / g->key_heads, keys = g->key_heads * g->width;
    for (int64_t t = 0; t < g->tokens; t++) {
        double *q = u + t * g->channels, *k = q + keys, *v = k + keys;
        for (int64_t h = 0; h < g->key_heads; h++) {
            normalise(q + h * g->width, g->width, 1 / sqrt((double)g->width));
            normalise(k + h * g->width, g->width, 1);
        }
        for (int64_t h = 0; h < g->heads; h++) {
            int64_t at = t * g->heads + h;
            double decay = exp(-exp((double)g->a_log[h]) * tiny_softplus(g->a[at] + (double)g->dt_bias[h]));
            step(states + h * g->width * g->width, g->width, q + h / group * g->width, k + h / group * g->width,
                 v + h * g->width, decay, tiny_sigmoid(g->b[at]), out + at * g->width);
        }
    }
}

static int gdn_attention_core(jitc_call *call, const DLTensor *mixed_qkv, const DLTensor *tb, const DLTensor *ta,
                              DLTensor *core_attn_out, const jitc_layer_name *layer) {
    tiny_scratch s = { .call = call };
    tiny_array x = tiny_load(&s, mixed_qkv), b = tiny_load(&s, tb), a = tiny_load(&s, ta),
               out = tiny_shape(&s, core_attn_out);
    if (!tiny_expect(&s, x.rank == 2 && out.rank == 3 && a.n == out.dims[0] * out.dims[1] && b.n == a.n &&
                         x.dims[0] == out.dims[0] && out.dims[1] > 0 && out.dims[2] > 0,
                     "The delta net needs qkv [T, C], b and a [T, Hv] and an output [T, Hv, Dv]."))
        return tiny_end(&s);
    gdn g = { x.dims[0], x.dims[1], out.dims[1], (x.dims[1] - out.dims[1] * out.dims[2]) / (2 * out.dims[2]),
              out.dims[2], a.at, b.at, NULL, NULL };
    if (!tiny_expect(&s, g.key_heads > 0 && g.heads % g.key_heads == 0 &&
                         (2 * g.key_heads + g.heads) * g.width == g.channels,
                     "The delta net's channels do not split into q, k and v of whole heads."))
        return tiny_end(&s);
    const float *w = tiny_weight(&s, layer, "conv", g.channels * 4, 4);
    g.a_log = tiny_weight(&s, layer, "A_log", g.heads, 1);
    g.dt_bias = tiny_weight(&s, layer, "dt_bias", g.heads, 1);
    double *u = tiny_alloc(&s, x.n), *states = tiny_alloc(&s, g.heads * g.width * g.width), *y = tiny_alloc(&s, out.n);
    if (!s.failed) {
        tiny_conv_silu(x.at, g.channels, g.tokens, g.channels, w, u);
        scan(&g, u, states, y);
        tiny_store(&s, core_attn_out, y, out.n);
    }
    return tiny_end(&s);
}

static int gdn_attention_core_frame(jitc_call *c) {
    return gdn_attention_core(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), tiny_tensor(c, 3),
                              tiny_name(c, 4));
}

#define CORE "(Tensor mixed_qkv, Tensor b, Tensor a, Tensor(a3!) core_attn_out, LayerName layer_name) -> ()"

const tiny_op tiny_gdn_ops[] = {
    { "vllm::gdn_in_proj(Tensor hidden_states, SymInt qkvz_size, SymInt ba_size, LayerName layer_name) -> (Tensor, Tensor)",
      TINY_PLAIN(gdn_in_proj), gdn_in_proj_frame, 0 },
    { "vllm::gdn_attention_core" CORE, TINY_PLAIN(gdn_attention_core), gdn_attention_core_frame, 1 << 3 },
    { "vllm::qwen_gdn_attention_core" CORE, TINY_PLAIN(gdn_attention_core), gdn_attention_core_frame, 1 << 3 },
    { 0 },
};
