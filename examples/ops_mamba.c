/*
 * examples/ops_mamba.c - Mamba 2's mixer: one group, heads of 64, from an empty state.
 */
#include <math.h>
#include "ops_recurrent.h"

#define HEAD 64

typedef struct mixer {
    int64_t tokens, pitch, heads, n; /* n: the state's width */
    const float *a_log, *dt_bias, *skip;
} mixer;

/* S = f S + delta x B^T; out = S C + D x, for every token and head. */
static void scan(const mixer *m, const double *u, const double *dt, double *states, double *out) {
    int64_t inner = m->heads * HEAD, channels = inner + 2 * m->n;
    for (int64_t t = 0; t < m->tokens; t++) {
        const double *b = u + t * channels + inner, *c = b + m->n;
        for (int64_t h = 0; h < m->heads; h++) {
            double delta = tiny_softplus(dt[t * m->pitch + h] + (double)m->dt_bias[h]);
            double decay = exp(-exp((double)m->a_log[h]) * delta);
            for (int64_t p = 0; p < HEAD; p++) {
                double x = u[t * channels + h * HEAD + p], sum = (double)m->skip[h] * x;
                double *row = states + (h * HEAD + p) * m->n;
                for (int64_t k = 0; k < m->n; k++)
                    sum += (row[k] = decay * row[k] + delta * x * b[k]) * c[k];
                out[t * inner + h * HEAD + p] = sum;
            }
        }
    }
}

static int mamba_mixer2(jitc_call *call, const DLTensor *projected, DLTensor *output, const jitc_layer_name *layer) {
    tiny_scratch s = { .call = call };
    tiny_array proj = tiny_load(&s, projected), out = tiny_shape(&s, output);
    int64_t inner = tiny_dim(&out, 0), heads = inner / HEAD, n = (tiny_dim(&proj, 0) - 2 * inner - heads) / 2;
    if (!tiny_expect(&s, proj.rank == 2 && out.rank == 2 && out.dims[0] == proj.dims[0] && heads * HEAD == inner &&
                         n > 0 && heads > 0 && 2 * inner + heads + 2 * n == proj.dims[1],
                     "The mixer's projection does not split into gate, x, B, C and dt of heads of 64."))
        return tiny_end(&s);
    mixer m = { proj.dims[0], proj.dims[1], heads, n, NULL, NULL, NULL };
    int64_t channels = inner + 2 * n;
    const float *w = tiny_weight(&s, layer, "conv", channels * 4, 4);
    m.a_log = tiny_weight(&s, layer, "A_log", heads, 1);
    m.dt_bias = tiny_weight(&s, layer, "dt_bias", heads, 1);
    m.skip = tiny_weight(&s, layer, "D", heads, 1);
    double *u = tiny_alloc(&s, m.tokens * channels), *states = tiny_alloc(&s, inner * n), *y = tiny_alloc(&s, out.n);
    if (!s.failed) {
        tiny_conv_silu(proj.at + inner, m.pitch, m.tokens, channels, w, u);
        scan(&m, u, proj.at + inner + channels, states, y);
        tiny_store(&s, output, y, out.n);
    }
    return tiny_end(&s);
}

static int mamba_mixer2_frame(jitc_call *c) {
    return mamba_mixer2(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_name(c, 2));
}

const tiny_op tiny_mamba_ops[] = {
    { "vllm::mamba_mixer2(Tensor projected_states, Tensor(a1!) output, LayerName layer_name) -> ()",
      TINY_PLAIN(mamba_mixer2), mamba_mixer2_frame, 1 << 1 },
    { 0 },
};
