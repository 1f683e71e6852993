/*
 * examples/ops_attention.c - causal attention over the tokens of one call, plain and with a latent key-value cache.
 * Nothing is kept between calls: the cache operators only order.
 */
#include <math.h>
#include "ops_tiny.h"

typedef struct attention {
    const double *q, *k, *v; /* [T,H,D], [T,Hk,D], [T,Hk,Dv] */
    int64_t tokens, heads, kv_heads, width, value_width;
} attention;

/* OUT [T,H,Dv].  WEIGHTS has room for one row of T. */
static void attend(const attention *a, double *weights, double *out) {
    for (int64_t i = 0; i < a->tokens; i++) {
        for (int64_t h = 0; h < a->heads; h++) {
            int64_t g = h / (a->heads / a->kv_heads);
            const double *q = a->q + (i * a->heads + h) * a->width;
            double *o = out + (i * a->heads + h) * a->value_width, top = -INFINITY, total = 0;
            for (int64_t j = 0; j <= i; j++) {
                const double *k = a->k + (j * a->kv_heads + g) * a->width;
                weights[j] = 0;
                for (int64_t d = 0; d < a->width; d++)
                    weights[j] += q[d] * k[d];
                weights[j] /= sqrt((double)a->width);
                top = fmax(top, weights[j]);
            }
            for (int64_t j = 0; j <= i; j++)
                total += weights[j] = exp(weights[j] - top);
            for (int64_t j = 0; j <= i; j++) {
                const double *v = a->v + (j * a->kv_heads + g) * a->value_width;
                for (int64_t d = 0; d < a->value_width; d++)
                    o[d] += weights[j] / total * v[d];
            }
        }
    }
}

/* Into an 8-bit output by its scale, without overflow. */
static void quantise(tiny_scratch *s, const DLTensor *output, const DLTensor *scale, double *at, int64_t n) {
    tiny_array by = tiny_load(s, scale);
    double largest = tiny_largest(output->dtype);
    if (!tiny_expect(s, by.at && by.n == 1, "output_scale must be one number."))
        return;
    for (int64_t k = 0; k < n; k++)
        at[k] = fmin(fmax(at[k] / by.at[0], -largest), largest);
}

static int unified_attention(jitc_call *call, const DLTensor *query, const DLTensor *key, const DLTensor *value,
                             DLTensor *output, const jitc_layer_name *layer, const DLTensor *output_scale,
                             DLTensor *output_block_scale, const DLTensor *dep) {
    tiny_scratch s = { .call = call };
    tiny_array q = tiny_load(&s, query), k = tiny_load(&s, key), v = tiny_load(&s, value);
    (void)layer; /* the name says whose cache it is, and there is none */
    (void)dep;
    if (!tiny_expect(&s, q.rank == 3 && k.rank == 3 && v.rank == 3 && k.dims[1] > 0 && v.dims[1] == k.dims[1] &&
                         q.dims[0] == k.dims[0] && k.dims[0] == v.dims[0] && q.dims[2] == k.dims[2] &&
                         q.dims[1] % k.dims[1] == 0 && q.dims[1] > 0,
                     "Attention needs query [T, H, D], key [T, Hk, D] and value [T, Hk, Dv], Hk dividing H.") ||
        !tiny_expect(&s, !output_block_scale, "output_block_scale must be None."))
        return tiny_end(&s);
    attention a = { q.at, k.at, v.at, q.dims[0], q.dims[1], k.dims[1], q.dims[2], v.dims[2] };
    int64_t n = a.tokens * a.heads * a.value_width;
    double *weights = tiny_alloc(&s, a.tokens), *out = tiny_alloc(&s, n);
    if (!s.failed) {
        attend(&a, weights, out);
        if (output_scale)
            quantise(&s, output, output_scale, out, n);
        tiny_store(&s, output, out, n);
    }
    return tiny_end(&s);
}

static int unified_attention_frame(jitc_call *c) {
    return unified_attention(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), tiny_tensor(c, 3), tiny_name(c, 4),
                             tiny_tensor(c, 5), tiny_tensor(c, 6), tiny_tensor(c, 7));
}

/* Keys and values are made from the latent ones by a weight of the layer; k_pe is shared by the heads. */
static void expand_latent(const tiny_array *kv, const tiny_array *pe, const float *w, const attention *a, int64_t rope,
                          double *k, double *v) {
    int64_t plain = a->width - rope, rank = tiny_dim(kv, 0), both = plain + a->value_width;
    for (int64_t t = 0; t < a->tokens; t++) {
        for (int64_t h = 0; h < a->heads; h++) {
            double *key = k + (t * a->heads + h) * a->width, *value = v + (t * a->heads + h) * a->value_width;
            for (int64_t d = 0; d < both; d++) {
                double u = tiny_dot(tiny_row(kv, t, rank), w + (h * both + d) * rank, rank);
                *(d < plain ? &key[d] : &value[d - plain]) = u;
            }
            for (int64_t d = 0; d < rope; d++)
                key[plain + d] = pe->at[t * rope + d];
        }
    }
}

static int unified_mla_attention(jitc_call *call, const DLTensor *query, const DLTensor *kv_c, const DLTensor *k_pe,
                                 DLTensor *output, const jitc_layer_name *layer, const DLTensor *output_scale,
                                 DLTensor *output_block_scale, const DLTensor *dep) {
    tiny_scratch s = { .call = call };
    tiny_array q = tiny_load(&s, query), kv = tiny_load(&s, kv_c), pe = tiny_load(&s, k_pe), out = tiny_shape(&s, output);
    int64_t rope = tiny_dim(&pe, 0);
    (void)output_scale;
    (void)output_block_scale;
    (void)dep;
    if (!tiny_expect(&s, q.rank == 3 && kv.rank == 2 && kv.dims[0] == q.dims[0] && pe.n == q.dims[0] * rope &&
                         q.dims[2] >= rope,
                     "Latent attention needs q [T, H, Dn + Dr], kv_c [T, R] and k_pe [T, 1, Dr]."))
        return tiny_end(&s);
    if (q.dims[0] == 0 || q.dims[1] == 0)
        return tiny_end(&s);
    attention a = { q.at, NULL, NULL, q.dims[0], q.dims[1], q.dims[1], q.dims[2], out.n / (q.dims[0] * q.dims[1]) };
    int64_t rows = a.heads * (a.width - rope + a.value_width), rank = tiny_dim(&kv, 0);
    const float *w = tiny_weight(&s, layer, "kv_b", rows * rank, rank);
    double *k = tiny_alloc(&s, a.tokens * a.heads * a.width), *v = tiny_alloc(&s, a.tokens * a.heads * a.value_width);
    double *weights = tiny_alloc(&s, a.tokens), *result = tiny_alloc(&s, a.tokens * a.heads * a.value_width);
    if (!s.failed) {
        expand_latent(&kv, &pe, w, &a, rope, k, v);
        a.k = k;
        a.v = v;
        attend(&a, weights, result);
        tiny_store(&s, output, result, a.tokens * a.heads * a.value_width);
    }
    return tiny_end(&s);
}

static int unified_mla_attention_frame(jitc_call *c) {
    return unified_mla_attention(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), tiny_tensor(c, 3),
                                 tiny_name(c, 4), tiny_tensor(c, 5), tiny_tensor(c, 6), tiny_tensor(c, 7));
}

/* The results have no elements: they order the calls. */
static int unified_kv_cache_update(jitc_call *call, const DLTensor *key, const DLTensor *value,
                                   const jitc_layer_name *layer, DLTensor *order) {
    (void)call, (void)key, (void)value, (void)layer, (void)order;
    return 0;
}

static int unified_mla_kv_cache_update(jitc_call *call, const DLTensor *kv_c, const DLTensor *k_pe,
                                       const jitc_layer_name *layer, const jitc_layer_name *dtype, const DLTensor *scale,
                                       DLTensor *order) {
    (void)call, (void)kv_c, (void)k_pe, (void)layer, (void)dtype, (void)scale, (void)order;
    return 0;
}

static int nothing_frame(jitc_call *c) {
    (void)c;
    return 0;
}

const tiny_op tiny_attention_ops[] = {
    { "vllm::unified_attention_with_output(Tensor query, Tensor key, Tensor value, Tensor(a3!) output, "
      "LayerName layer_name, Tensor? output_scale=None, Tensor(a6!)? output_block_scale=None, "
      "Tensor? kv_cache_dummy_dep=None) -> ()",
      TINY_PLAIN(unified_attention), unified_attention_frame, 1 << 3 },
    { "vllm::unified_kv_cache_update(Tensor key, Tensor value, LayerName layer_name) -> Tensor",
      TINY_PLAIN(unified_kv_cache_update), nothing_frame, 0 },
    { "vllm::unified_mla_attention_with_output(Tensor q, Tensor kv_c_normed, Tensor k_pe, Tensor(a3!) output, "
      "LayerName layer_name, Tensor? output_scale=None, Tensor(a6!)? output_block_scale=None, "
      "Tensor? kv_cache_dummy_dep=None) -> ()",
      TINY_PLAIN(unified_mla_attention), unified_mla_attention_frame, 1 << 3 },
    { "vllm::unified_mla_kv_cache_update(Tensor kv_c, Tensor k_pe, LayerName layer_name, str kv_cache_dtype, "
      "Tensor k_scale) -> Tensor",
      TINY_PLAIN(unified_mla_kv_cache_update), nothing_frame, 0 },
    { 0 },
};
