/*
 * examples/ops_norm.c - norms, the gated activation, and all_reduce in a world of one.
 *
 * libjitc compiles vllm_ir::* and may compile _C::* itself; as custom operators they serve programs that keep them out
 * of the compiled code.
 */
#include <math.h>
#include "ops_tiny.h"

/* Rows of X in place: x * rsqrt(mean(x^2) + eps), rounded to the weight's dtype and multiplied there. */
static void norm_rows(tiny_scratch *s, tiny_array *x, const DLTensor *weight, double eps, int64_t columns) {
    tiny_array w = tiny_load(s, weight);
    int64_t width = tiny_dim(x, 0);
    if (!tiny_expect(s, x->rank > 0 && (!weight || w.n == width) && columns >= 0 && columns <= width,
                     "The norm's weight is not as wide as its input, or its variance is over more."))
        return;
    for (int64_t r = 0; width && r < x->n / width; r++) {
        double *row = tiny_row(x, r, width), sum = 0;
        for (int64_t k = 0; k < columns; k++)
            sum += row[k] * row[k];
        double scale = 1 / sqrt(sum / (double)columns + eps);
        for (int64_t k = 0; k < width; k++) {
            row[k] *= scale;
            if (weight)
                row[k] = tiny_round(weight->dtype, tiny_round(weight->dtype, row[k]) * w.at[k]);
        }
    }
}

static int64_t columns_of(const jitc_value *variance_size, const tiny_array *x) {
    return variance_size && variance_size->tag == JITC_INT ? variance_size->i : tiny_dim(x, 0);
}

static int rms_norm(jitc_call *call, const DLTensor *x, const DLTensor *weight, double eps,
                    const jitc_value *variance_size, DLTensor *out) {
    tiny_scratch s = { .call = call };
    tiny_array a = tiny_load(&s, x);
    if (!s.failed)
        norm_rows(&s, &a, weight, eps, columns_of(variance_size, &a));
    if (!s.failed)
        tiny_store(&s, out, a.at, a.n);
    return tiny_end(&s);
}

static int fused_add_rms_norm(jitc_call *call, const DLTensor *x, const DLTensor *residual, const DLTensor *weight,
                              double eps, const jitc_value *variance_size, DLTensor *out, DLTensor *new_residual) {
    tiny_scratch s = { .call = call };
    tiny_array a = tiny_load(&s, x), r = tiny_load(&s, residual);
    if (!tiny_expect(&s, a.n == r.n, "The residual has not the input's shape."))
        return tiny_end(&s);
    for (int64_t k = 0; k < a.n; k++)
        a.at[k] += r.at[k];
    tiny_store(&s, new_residual, a.at, a.n); /* the norm goes on from the unrounded sum */
    norm_rows(&s, &a, weight, eps, columns_of(variance_size, &a));
    if (!s.failed)
        tiny_store(&s, out, a.at, a.n);
    return tiny_end(&s);
}

static int c_rms_norm(jitc_call *call, DLTensor *result, const DLTensor *input, const DLTensor *weight, double eps) {
    return rms_norm(call, input, weight, eps, NULL, result);
}

/* Here the norm is of the rounded sum. */
static int c_fused_add_rms_norm(jitc_call *call, DLTensor *input, DLTensor *residual, const DLTensor *weight, double eps) {
    tiny_scratch s = { .call = call };
    tiny_array a = tiny_load(&s, input), r = tiny_load(&s, residual);
    if (!tiny_expect(&s, a.n == r.n, "The residual has not the input's shape."))
        return tiny_end(&s);
    for (int64_t k = 0; k < a.n; k++)
        a.at[k] = tiny_round(residual->dtype, a.at[k] + r.at[k]);
    tiny_store(&s, residual, a.at, a.n);
    norm_rows(&s, &a, weight, eps, tiny_dim(&a, 0));
    if (!s.failed)
        tiny_store(&s, input, a.at, a.n);
    return tiny_end(&s);
}

static int silu_and_mul(jitc_call *call, DLTensor *result, const DLTensor *input) {
    tiny_scratch s = { .call = call };
    tiny_array x = tiny_load(&s, input);
    int64_t width = tiny_dim(&x, 0) / 2;
    double *y = tiny_alloc(&s, x.n / 2);
    if (tiny_expect(&s, x.rank > 0 && 2 * width == tiny_dim(&x, 0), "The input's last dim must be even.")) {
        for (int64_t k = 0; k < x.n / 2; k++) {
            const double *row = tiny_row(&x, k / width, 2 * width);
            y[k] = tiny_round(input->dtype, tiny_silu(row[k % width])) * row[width + k % width];
        }
        tiny_store(&s, result, y, x.n / 2);
    }
    return tiny_end(&s);
}

static int ir_silu_and_mul(jitc_call *call, const DLTensor *input, DLTensor *out) {
    return silu_and_mul(call, out, input);
}

static int all_reduce(jitc_call *call, const DLTensor *x, const jitc_layer_name *group, DLTensor *out) {
    tiny_scratch s = { .call = call };
    tiny_array a = tiny_load(&s, x);
    (void)group;
    if (!s.failed)
        tiny_store(&s, out, a.at, a.n);
    return tiny_end(&s);
}

static double number(const jitc_call *c, uint32_t i) {
    return i < c->nargs && c->args[i].tag == JITC_FLOAT ? c->args[i].f : (double)tiny_int(c, i);
}
static const jitc_value *value(const jitc_call *c, uint32_t i) { return i < c->nargs ? &c->args[i] : NULL; }

static int rms_norm_frame(jitc_call *c) {
    return rms_norm(c, tiny_tensor(c, 0), tiny_tensor(c, 1), number(c, 2), value(c, 3), c->results[0]);
}
static int fused_add_rms_norm_frame(jitc_call *c) {
    return fused_add_rms_norm(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), number(c, 3), value(c, 4),
                              c->results[0], c->results[1]);
}
static int c_rms_norm_frame(jitc_call *c) {
    return c_rms_norm(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), number(c, 3));
}
static int c_fused_add_rms_norm_frame(jitc_call *c) {
    return c_fused_add_rms_norm(c, tiny_tensor(c, 0), tiny_tensor(c, 1), tiny_tensor(c, 2), number(c, 3));
}
static int silu_and_mul_frame(jitc_call *c) { return silu_and_mul(c, tiny_tensor(c, 0), tiny_tensor(c, 1)); }
static int ir_silu_and_mul_frame(jitc_call *c) { return silu_and_mul(c, c->results[0], tiny_tensor(c, 0)); }
static int all_reduce_frame(jitc_call *c) { return all_reduce(c, tiny_tensor(c, 0), NULL, c->results[0]); }

const tiny_op tiny_norm_ops[] = {
    { "vllm_ir::rms_norm(Tensor x, Tensor? weight, float epsilon, SymInt? variance_size=None) -> Tensor",
      TINY_PLAIN(rms_norm), rms_norm_frame, 0 },
    { "vllm_ir::fused_add_rms_norm(Tensor x, Tensor x_residual, Tensor? weight, float epsilon, "
      "SymInt? variance_size=None) -> (Tensor, Tensor)",
      TINY_PLAIN(fused_add_rms_norm), fused_add_rms_norm_frame, 0 },
    { "vllm_ir::fused_add_rms_norm.maybe_inplace(Tensor(a!) x, Tensor(b!) x_residual, Tensor? weight, float epsilon, "
      "SymInt? variance_size=None) -> (Tensor, Tensor)",
      TINY_PLAIN(fused_add_rms_norm), fused_add_rms_norm_frame, 0 },
    { "vllm_ir::silu_and_mul(Tensor x) -> Tensor", TINY_PLAIN(ir_silu_and_mul), ir_silu_and_mul_frame, 0 },
    { "_C::rms_norm(Tensor(a0!) result, Tensor input, Tensor weight, float epsilon) -> ()", TINY_PLAIN(c_rms_norm),
      c_rms_norm_frame, 1 << 0 },
    { "_C::fused_add_rms_norm(Tensor(a0!) input, Tensor(a1!) residual, Tensor weight, float epsilon) -> ()",
      TINY_PLAIN(c_fused_add_rms_norm), c_fused_add_rms_norm_frame, 1 << 0 | 1 << 1 },
    { "_C::silu_and_mul(Tensor(a0!) result, Tensor input) -> ()", TINY_PLAIN(silu_and_mul), silu_and_mul_frame, 1 << 0 },
    { "vllm::all_reduce(Tensor tensor, str group_name) -> Tensor", TINY_PLAIN(all_reduce), all_reduce_frame, 0 },
    { 0 },
};
