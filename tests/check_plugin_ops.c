/*
 * tests/check_plugin_ops.c - the example plugin's operators.
 *
 * Weights against the check values that came with the definitions; small cases worked out by hand; and for the operators
 * with weights, numbers from an independent program that follows the definitions in another language, on inputs
 * x[n] = ((7 n + 3 seed) mod 11 - 5) / 8.
 */
#include <check.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "examples/ops_tiny.h"
#include "tests/tiny_host.h"

#define LAYER "model.layers.0.mlp.experts"

static jc_arena *arena;
static tiny_host host;

/* For examples/ops_weights.c, which this program holds as well. */
const char *tiny_layer_text(const jitc_layer_name *layer) {
    return (const char *)layer;
}

static void set_up(void) {
    jc_error err = JC_ERROR_INIT;
    arena = jc_arena_new(NULL);
    ck_assert_msg(tiny_host_open(arena, &host, &err) == JITC_OK, "the plugin: %s", err.message);
}

static void tear_down(void) {
    jc_arena_free(arena);
}

/* ---- building calls ---- */

static DLTensor *new_tensor(jc_dtype dtype, int rank, const int64_t *dims) {
    DLTensor *t = JC_NEW(arena, DLTensor);
    int64_t n = 1;
    *t = (DLTensor){ .ndim = rank, .device = { .device_type = kDLCPU },
                     .dtype = { jc_dtypes[dtype].dl_code, jc_dtypes[dtype].dl_bits, 1 } };
    t->shape = jc_arena_memdup(arena, dims, (size_t)rank * sizeof *dims);
    t->strides = JC_NEWN(arena, int64_t, (size_t)rank);
    for (int d = rank - 1; d >= 0; d--) {
        t->strides[d] = n;
        n *= dims[d];
    }
    t->data = jc_arena_alloc(arena, (size_t)n * jc_dtypes[dtype].size);
    return t;
}

#define DIMS(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ }

static int64_t numel(const DLTensor *t) {
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++)
        n *= t->shape[d];
    return n;
}

/* The seeded inputs, in double. */
static jitc_value made(int seed, int rank, const int64_t *dims) {
    DLTensor *t = new_tensor(JC_F64, rank, dims);
    for (int64_t k = 0; k < numel(t); k++)
        ((double *)t->data)[k] = (double)((7 * k + 3 * seed) % 11 - 5) / 8;
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
}

/* Given elements, in row-major order. */
static jitc_value given(jc_dtype dtype, const double *at, int rank, const int64_t *dims) {
    DLTensor *t = new_tensor(dtype, rank, dims);
    for (int64_t k = 0; k < numel(t); k++)
        jc_store_float(dtype, (char *)t->data + k * jc_dtypes[dtype].size, at[k]);
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
}

static double element(const DLTensor *t, jc_dtype dtype, int64_t k) {
    return jc_load_float(dtype, (char *)t->data + k * jc_dtypes[dtype].size);
}

static jitc_value integer(int64_t i) {
    return (jitc_value){ .tag = JITC_INT, .i = i };
}

static jitc_value layer(void) {
    return (jitc_value){ .tag = JITC_STR, .str = LAYER };
}

static const jitc_value none = { .tag = JITC_NONE };

static jitc_status call_status(const char *op, const jitc_value *args, uint32_t nargs, DLTensor *const *results,
                               uint32_t nresults, jc_error *err) {
    const char *keys[16] = { 0 };
    return tiny_host_call(&host, op, args, keys, nargs, results, nresults, 0, err);
}

static void call(const char *op, const jitc_value *args, uint32_t nargs, DLTensor *const *results, uint32_t nresults) {
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(call_status(op, args, nargs, results, nresults, &err) == JITC_OK, "%s: %s", op, err.message);
}

#define CALL(op, results, nresults, ...)                                                           \
    call(op, (jitc_value[]){ __VA_ARGS__ }, sizeof((jitc_value[]){ __VA_ARGS__ }) / sizeof(jitc_value), results, nresults)

static void same(const char *what, const DLTensor *t, jc_dtype dtype, const double *expected, int64_t n, double within) {
    ck_assert_msg(numel(t) == n, "%s: %lld elements", what, (long long)numel(t));
    for (int64_t k = 0; k < n; k++)
        ck_assert_msg(fabs(element(t, dtype, k) - expected[k]) <= within, "%s[%lld]: %.15g instead of %.15g", what,
                      (long long)k, element(t, dtype, k), expected[k]);
}
#define SAME(what, t, dtype, expected, within)                                                     \
    same(what, t, dtype, expected, sizeof(expected) / sizeof(double), within)

/* ---- weights ---- */

START_TEST(weights_check_values) {
    static const float stream[] = { -0.4189373254776001f, 0.8198068141937256f, -0.713736891746521f, 0.3796961307525635f };
    static const float scaled[] = { -0.05236716568470001f, 0.1024758517742157f, -0.08921711146831512f,
                                    0.047462016344070435f };
    static const struct { int64_t fan_in; float scale; } scales[] = {
        { 1, 1 }, { 3, 1 }, { 4, 0.5f }, { 64, 0.125f }, { 96, 0.125f }, { 128, 0.125f }, { 255, 0.125f }, { 256, 0.0625f },
    };
    const jitc_layer_name *name = (const jitc_layer_name *)LAYER;
    jitc_call c = { 0 };
    tiny_scratch s = { .call = &c };
    ck_assert_uint_eq(tiny_fnv1a(LAYER, "experts.w1"), UINT64_C(0x70b8fad5276b272a));
    for (int k = 0; k < 4; k++) {
        ck_assert(tiny_weight(&s, name, "experts.w1", 4, 1)[k] == stream[k]);
        ck_assert(tiny_weight(&s, name, "experts.w1", 4, 64)[k] == scaled[k]);
    }
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++)
        ck_assert_msg(tiny_weight(&s, name, "experts.w1", 1, scales[k].fan_in)[0] == stream[0] * scales[k].scale,
                      "fan-in %lld", (long long)scales[k].fan_in);
    ck_assert(tiny_weight(&s, name, "experts.w1", 4, 64) == tiny_weight(&s, name, "experts.w1", 4, 64));
    ck_assert(tiny_weight(&s, NULL, "experts.w1", 4, 64) == NULL);
    ck_assert_int_ne(tiny_end(&s), 0);
}
END_TEST

/* ---- attention ---- */

/* Scores 0 and log 3 give weights 1/4 and 3/4: 4/4 + 3*8/4 = 7. Both query heads use the one key head. */
START_TEST(attention_by_hand) {
    double l3 = log(3), one[] = { 1, 1, 1, 1 }, keys[] = { 0, l3 }, values[] = { 4, 8 }, expected[] = { 4, 4, 7, 7 };
    jitc_value out = given(JC_BF16, (double[4]){ NAN, NAN, NAN, NAN }, DIMS(2, 2, 1));
    CALL("vllm::unified_attention_with_output", NULL, 0, given(JC_F32, one, DIMS(2, 2, 1)),
         given(JC_F32, keys, DIMS(2, 1, 1)), given(JC_F32, values, DIMS(2, 1, 1)), out, layer(), none, none, none);
    SAME("output", out.tensor, JC_BF16, expected, 0);
}
END_TEST

/* Divided by the scale, cut at 448, rounded to the nearest e4m3 value (26 stands between 26 and 28: 26.9 is 26). */
START_TEST(attention_to_fp8) {
    double one[] = { 1, 1 }, values[] = { 13.45, 1e5 }, expected[] = { 26, 448 };
    jitc_value out = given(JC_F8E4M3FN, (double[2]){ 0, 0 }, DIMS(2, 1));
    CALL("vllm::unified_attention_with_output", NULL, 0, given(JC_F32, one, DIMS(1, 2, 1)),
         given(JC_F32, one, DIMS(1, 2, 1)), given(JC_F32, values, DIMS(1, 2, 1)), out, layer(),
         given(JC_F32, (double[]){ 0.5 }, DIMS(1)), none, none);
    SAME("output", out.tensor, JC_F8E4M3FN, expected, 0);
}
END_TEST

/* Queries and keys cut from one buffer, as models pass them, give what contiguous ones give. */
START_TEST(attention_strided) {
    static const double expected[] = {
        0.5, 0, -0.5, 0.5, 0, -0.5, 0.443584186801625, -0.0564158131983752, -0.556415813198375, 0.443342268998077,
        -0.0566577310019233, -0.556657731001923, 0.375704394137089, -0.124295605862911, -0.132266212168557, 0.375, -0.125,
        -0.193631427388417,
    };
    jitc_value q = made(1, DIMS(3, 2, 4)), k = made(2, DIMS(3, 1, 4)), v = made(3, DIMS(3, 1, 3));
    jitc_value out = given(JC_F64, (double[18]){ 0 }, DIMS(3, 6));
    CALL("vllm::unified_attention_with_output", NULL, 0, q, k, v, out, layer());
    SAME("contiguous", out.tensor, JC_F64, expected, 1e-14);
    DLTensor *buffer = new_tensor(JC_F64, DIMS(3, 15)), qs = *q.tensor, ks = *k.tensor;
    for (int t = 0; t < 3; t++) {
        memcpy((double *)buffer->data + t * 15, (double *)q.tensor->data + t * 8, 8 * sizeof(double));
        memcpy((double *)buffer->data + t * 15 + 8, (double *)k.tensor->data + t * 4, 4 * sizeof(double));
    }
    qs.data = buffer->data;
    qs.strides = (int64_t[]){ 15, 4, 1 };
    ks.data = buffer->data;
    ks.byte_offset = 8 * sizeof(double);
    ks.strides = (int64_t[]){ 15, 4, 1 };
    q.tensor = &qs;
    k.tensor = &ks;
    memset(out.tensor->data, 0, 18 * sizeof(double));
    CALL("vllm::unified_attention_with_output", NULL, 0, q, k, v, out, layer());
    SAME("strided", out.tensor, JC_F64, expected, 1e-14);
}
END_TEST

START_TEST(latent_attention) {
    static const double expected[] = {
        0.353511847555637, -0.245222203433514, -0.0397948250174522, -0.00925735384225845, 0.0832402726447732,
        -0.0517656016983142, 0.0609977904009186, 0.0524775197637153,
    };
    jitc_value out = given(JC_F64, (double[8]){ 0 }, DIMS(2, 4));
    CALL("vllm::unified_mla_attention_with_output", NULL, 0, made(1, DIMS(2, 2, 4)), made(2, DIMS(2, 4)),
         made(3, DIMS(2, 1, 2)), out, layer());
    SAME("output", out.tensor, JC_F64, expected, 1e-14);
}
END_TEST

START_TEST(cache_updates) {
    DLTensor *order = new_tensor(JC_BF16, DIMS(0));
    CALL("vllm::unified_kv_cache_update", &order, 1, made(1, DIMS(2, 1, 4)), made(2, DIMS(2, 1, 4)), layer());
    CALL("vllm::unified_mla_kv_cache_update", &order, 1, made(1, DIMS(2, 4)), made(2, DIMS(2, 1, 2)), layer(),
         (jitc_value){ .tag = JITC_STR, .str = "auto" }, given(JC_F32, (double[]){ 1 }, DIMS(1)));
    ck_assert_int_eq(order->shape[0], 0);
}
END_TEST

/* A quarter turn (cos 0, sin 1): (a, b) becomes (-b, a); row 0 of the table turns nothing. */
START_TEST(rotary) {
    double table[] = { 1, 1, 0, 0, 0, 0, 1, 1 }, q[] = { 1, 2, 3, 4, 5, 1, 2, 3, 4, 5 };
    static const double neox[] = { 1, 2, 3, 4, 5, -3, -4, 1, 2, 5 }, pairs[] = { 1, 2, 3, 4, 5, -2, 1, -4, 3, 5 };
    for (int style = 0; style < 2; style++) {
        jitc_value query = given(JC_BF16, q, DIMS(2, 5)), key = given(JC_BF16, q, DIMS(2, 5));
        DLTensor *positions = new_tensor(JC_I64, DIMS(2));
        ((int64_t *)positions->data)[1] = 1;
        CALL("_C::rotary_embedding", NULL, 0, (jitc_value){ .tag = JITC_TENSOR, .tensor = positions }, query,
             style ? key : none, integer(5), given(JC_F32, table, DIMS(2, 4)),
             (jitc_value){ .tag = JITC_BOOL, .i = style == 0 });
        same("query", query.tensor, JC_BF16, style ? pairs : neox, 10, 0);
        if (style)
            SAME("key", key.tensor, JC_BF16, pairs, 0);
    }
}
END_TEST

/* ---- experts ---- */

static const double moe[] = { -0.00411388295859483, 0.0110460570908534, -0.0022462508446526, -0.0145719509788327,
                              -0.0418925078859298,  0.0174157491403384, -0.0316829617566286, -0.0501398207076614 };
static const double moe_cut[] = { -0.00411388295859483, 0.0110460570908534, -0.0022462508446526,
                                  -0.0418925078859298,  0.0174157491403384, -0.0316829617566286 };
static const double moe_shared[] = { 0.000169848965770528, 0.020827986603501,  0.0025070884316846, 0.0309925304606126,
                                     -0.0216479591927883,  0.0395818286842196, 0.0199025694042488, -0.0385641040858798 };

START_TEST(experts) {
    jitc_value x = made(1, DIMS(2, 4)), logits = made(2, DIMS(2, 3));
    DLTensor *y = new_tensor(JC_F64, DIMS(2, 4)), *shared = new_tensor(JC_F64, DIMS(2, 4));
    DLTensor *cut = new_tensor(JC_F64, DIMS(2, 3)), *both[] = { shared, y };
    CALL("vllm::moe_forward", &y, 1, x, logits, layer());
    SAME("three arguments", y, JC_F64, moe, 1e-14);
    memset(y->data, 0, 8 * sizeof(double));
    CALL("vllm::moe_forward", &y, 1, x, logits, none, none, layer(), integer(0));
    SAME("six arguments", y, JC_F64, moe, 1e-14);
    CALL("vllm::moe_forward", &cut, 1, x, logits, none, none, layer(), integer(3));
    SAME("cut", cut, JC_F64, moe_cut, 1e-14);
    memset(y->data, 0, 8 * sizeof(double));
    CALL("vllm::moe_forward_shared", both, 2, x, logits, none, none, layer(), integer(0));
    SAME("routed", y, JC_F64, moe, 1e-14);
    SAME("shared", shared, JC_F64, moe_shared, 1e-14);
    CALL("vllm::moe_forward_shared", both, 2, made(5, DIMS(2, 4)), logits, x, none, layer(), integer(0));
    SAME("shared input", shared, JC_F64, moe_shared, 1e-14);
}
END_TEST

/* One expert alone has weight 1, whatever its logit. */
START_TEST(experts_few) {
    jitc_value x = made(1, DIMS(1, 4));
    DLTensor *one = new_tensor(JC_F64, DIMS(1, 4)), *other = new_tensor(JC_F64, DIMS(1, 4));
    CALL("vllm::moe_forward", &one, 1, x, given(JC_F32, (double[]){ 3 }, DIMS(1, 1)), layer());
    CALL("vllm::moe_forward", &other, 1, x, given(JC_F32, (double[]){ -50 }, DIMS(1, 1)), layer());
    ck_assert(element(one, JC_F64, 0) != 0);
    same("any logit", other, JC_F64, one->data, 4, 0);
}
END_TEST

/* ---- recurrent layers ---- */

START_TEST(delta_net) {
    static const double qkvz[] = { -0.347660347819328, -0.219439506530762, 0.149327501654625,
                                   -0.308197185397148, -0.387955188751221, -0.032370314002037 };
    static const double ba[] = { -0.0877421498298645, 0.551926106214523, 0.114601776003838, 0.536221742630005 };
    static const double core[] = {
        0.0385649289065794, 0, -0.0291630183114346, -0.0200215410816557, -0.01545471526888, -0.00842991243555508,
        0.00714220385311424, 0.0106549137724611, 0.0565602000382117, -0.0154794592503877, 0.032172193082442,
        0.0400248893148727, 0.0185844970641439, -0.056439608826936, 0.0103897176409169, -0.0271135382720504,
        0.00531232811803986, 0.0717964264546051, -0.000969145675736321, -0.0232578091180182,
    };
    DLTensor *results[] = { new_tensor(JC_F64, DIMS(2, 3)), new_tensor(JC_F64, DIMS(2, 2)) };
    CALL("vllm::gdn_in_proj", results, 2, made(1, DIMS(2, 3)), integer(3), integer(2), layer());
    SAME("qkvz", results[0], JC_F64, qkvz, 1e-14);
    SAME("ba", results[1], JC_F64, ba, 1e-14);
    static const char *const names[] = { "vllm::gdn_attention_core", "vllm::qwen_gdn_attention_core" };
    for (int k = 0; k < 2; k++) {
        jitc_value out = given(JC_F64, (double[20]){ 0 }, DIMS(5, 2, 2));
        CALL(names[k], NULL, 0, made(1, DIMS(5, 8)), made(2, DIMS(5, 2)), made(3, DIMS(5, 2)), out, layer());
        SAME(names[k], out.tensor, JC_F64, core, 1e-14);
    }
}
END_TEST

START_TEST(mamba) {
    static const double head[] = { 0.0392320014145364, -0.12763393651969, 0.0313441768924303, 0.0068535507604336,
                                   -0.110428330672222, 0.087968055934989 };
    static const double tail[] = { 0.0635993953106476, -0.0101502822682564 };
    double zeros[5 * 64] = { 0 };
    jitc_value out = given(JC_F64, zeros, DIMS(5, 64));
    CALL("vllm::mamba_mixer2", NULL, 0, made(1, DIMS(5, 131)), out, layer());
    for (int k = 0; k < 6; k++)
        ck_assert(fabs(element(out.tensor, JC_F64, 4 * 64 + k) - head[k]) < 1e-14);
    for (int k = 0; k < 2; k++)
        ck_assert(fabs(element(out.tensor, JC_F64, 4 * 64 + 62 + k) - tail[k]) < 1e-14);
}
END_TEST

/* ---- norms and the rest ---- */

/* Mean of squares of (3, -4) is 12.5; (3, -4) / sqrt(12.5) = (0.848528, -1.131371), to bf16 (0.84765625, -1.1328125). */
START_TEST(norms) {
    double x[] = { 3, -4 }, w[] = { 2, 1 }, half[] = { 1.5, -2 };
    static const double plain[] = { 0.84765625, -1.1328125 }, weighted[] = { 1.6953125, -1.1328125 }, sum[] = { 3, -4 };
    static const double first[] = { 1, -1.3359375 }; /* over the first column alone: 3/3, -4/3 */
    DLTensor *y = new_tensor(JC_BF16, DIMS(1, 2)), *r = new_tensor(JC_BF16, DIMS(1, 2)), *both[] = { y, r };
    jitc_value in = given(JC_BF16, x, DIMS(1, 2)), weight = given(JC_BF16, w, DIMS(2));
    jitc_value eps = { .tag = JITC_FLOAT, .f = 0 }, h = given(JC_BF16, half, DIMS(1, 2));
    CALL("vllm_ir::rms_norm", &y, 1, in, none, eps);
    SAME("without a weight", y, JC_BF16, plain, 0);
    CALL("vllm_ir::rms_norm", &y, 1, in, weight, eps, none);
    SAME("with a weight", y, JC_BF16, weighted, 0);
    CALL("vllm_ir::rms_norm", &y, 1, in, none, eps, integer(1));
    SAME("over one column", y, JC_BF16, first, 0);
    CALL("vllm_ir::fused_add_rms_norm", both, 2, h, h, weight, eps, none);
    SAME("fused", y, JC_BF16, weighted, 0);
    SAME("residual", r, JC_BF16, sum, 0);
    memset(y->data, 0, 4);
    CALL("vllm_ir::fused_add_rms_norm.maybe_inplace", both, 2, h, h, weight, eps);
    SAME("fused, maybe in place", y, JC_BF16, weighted, 0);
    jitc_value out = given(JC_BF16, half, DIMS(1, 2)), residual = given(JC_BF16, half, DIMS(1, 2));
    CALL("_C::fused_add_rms_norm", NULL, 0, out, residual, weight, eps);
    SAME("_C fused", out.tensor, JC_BF16, weighted, 0);
    SAME("_C residual", residual.tensor, JC_BF16, sum, 0);
    CALL("_C::rms_norm", NULL, 0, out, in, weight, eps);
    SAME("_C", out.tensor, JC_BF16, weighted, 0);
}
END_TEST

/* The norm goes on from the unrounded sum in vllm_ir (256 + 1 is 257), from the rounded one in _C (256 in bf16). */
START_TEST(norm_of_which_sum) {
    double a[] = { 256, 0 }, b[] = { 1, 100 };
    double big = 257 / sqrt((257.0 * 257 + 100 * 100) / 2), rounded = 256 / sqrt((256.0 * 256 + 100 * 100) / 2);
    DLTensor *y = new_tensor(JC_BF16, DIMS(2)), *r = new_tensor(JC_BF16, DIMS(2)), *both[] = { y, r };
    jitc_value x = given(JC_BF16, a, DIMS(2)), residual = given(JC_BF16, b, DIMS(2));
    jitc_value eps = { .tag = JITC_FLOAT, .f = 0 }, ones = given(JC_F32, (double[]){ 1, 1 }, DIMS(2));
    jitc_value wide = given(JC_F32, a, DIMS(2));
    CALL("vllm_ir::fused_add_rms_norm", both, 2, x, residual, ones, eps);
    ck_assert(element(r, JC_BF16, 0) == 256);
    ck_assert(element(y, JC_BF16, 0) == jc_round_to(JC_BF16, big));
    CALL("_C::fused_add_rms_norm", NULL, 0, wide, residual, ones, eps);
    ck_assert(fabs(element(wide.tensor, JC_F32, 0) - rounded) < 1e-6);
}
END_TEST

/* silu(1) = 0.731059, in bf16 0.73046875; times 3 is 2.19140625, in bf16 2.1875. Unrounded: 2.193, 2.1875 too. */
START_TEST(activation_and_all_reduce) {
    double x[] = { 1, 0, 3, 7 };
    static const double expected[] = { 2.1875, 0 };
    jitc_value out = given(JC_BF16, x, DIMS(1, 2)), in = given(JC_BF16, x, DIMS(1, 4));
    DLTensor *result = new_tensor(JC_BF16, DIMS(1, 2)), *copy = new_tensor(JC_BF16, DIMS(1, 4));
    CALL("_C::silu_and_mul", NULL, 0, out, in);
    SAME("_C", out.tensor, JC_BF16, expected, 0);
    CALL("vllm_ir::silu_and_mul", &result, 1, in);
    SAME("vllm_ir", result, JC_BF16, expected, 0);
    CALL("vllm::all_reduce", &copy, 1, in, (jitc_value){ .tag = JITC_STR, .str = "tp:0" });
    SAME("all_reduce", copy, JC_BF16, x, 0);
}
END_TEST

static jitc_entry entry(const char *key, jitc_value v) {
    return (jitc_entry){ key, v };
}

/* Head (3, 4 | gate 7, 8) of one token at position 1, a quarter turn: norm (0.848528, 1.131371) to (-1.131371, 0.848528). */
START_TEST(triton) {
    double zeros[] = { 0, 0 }, table[] = { 1, 0, 0, 1 }, q[] = { 3, 4, 7, 8 };
    double a = 3 / sqrt(12.5 + 1e-6), b = 4 / sqrt(12.5 + 1e-6);
    const double turned[] = { -b, a }, gate[] = { 7, 8 };
    jitc_value q_out = given(JC_F64, zeros, DIMS(1, 2)), k_out = given(JC_F64, zeros, DIMS(1, 2)),
               gate_out = given(JC_F64, zeros, DIMS(1, 2)), w = given(JC_BF16, zeros, DIMS(2));
    DLTensor *positions = new_tensor(JC_I64, DIMS(3, 1));
    ((int64_t *)positions->data)[0] = 1;
    jitc_entry kwargs[] = {
        entry("q_gate_ptr", given(JC_F64, q, DIMS(1, 4))), entry("k_ptr", given(JC_F64, q, DIMS(1, 2))),
        entry("q_out_ptr", q_out), entry("k_out_ptr", k_out), entry("gate_out_ptr", gate_out), entry("q_weight_ptr", w),
        entry("k_weight_ptr", w), entry("cos_sin_cache_ptr", given(JC_F64, table, DIMS(2, 2))),
        entry("positions_ptr", (jitc_value){ .tag = JITC_TENSOR, .tensor = positions }),
        entry("positions_stride_m", integer(1)),
    };
    jitc_value args[] = { integer(1), { .tag = JITC_DICT, .n = 10, .dict = kwargs } };
    const char *keys[] = { "kernel_idx", "kwargs" };
    jc_error err = JC_ERROR_INIT;
    const char *op = "higher_order::triton_kernel_wrapper_mutation";
    ck_assert_msg(tiny_host_call(&host, op, args, keys, 2, NULL, 0, 0, &err) == JITC_OK, "%s", err.message);
    SAME("q", q_out.tensor, JC_F64, turned, 1e-14);
    SAME("k", k_out.tensor, JC_F64, turned, 1e-14);
    SAME("gate", gate_out.tensor, JC_F64, gate, 0);
    args[1].n = 9;
    ck_assert_int_eq(tiny_host_call(&host, op, args, keys, 2, NULL, 0, 0, &err), JITC_E_OP);
    ck_assert_msg(strstr(err.message, "q_gate_ptr") && !strstr(err.message, "positions_stride_m"), "%s", err.message);
}
END_TEST

/* ---- on a device ---- */

/* T as the fake driver's device memory. */
static jitc_value on_device(const DLTensor *t) {
    DLTensor *d = jc_arena_memdup(arena, t, sizeof *t);
    d->device.device_type = kDLCUDA;
    d->data = (char *)(uintptr_t)((uintptr_t)t->data + (UINT64_C(1) << 60));
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = d };
}

static jitc_status device_status(const char *op, const jitc_value *args, const char *const *keys, uint32_t nargs,
                                 DLTensor *const *results, uint32_t nresults, void *stream, jc_error *err) {
    const jc_op_entry *entry_of = jc_ops_find(host.ops, op, kDLCUDA);
    ck_assert_msg(entry_of != NULL, "%s is not there for cuda", op);
    ck_assert_msg(dlopen(TEST_BUILDDIR "/tests/fake_cuda.so", RTLD_NOW | RTLD_GLOBAL) != NULL, "%s", dlerror());
    return jc_op_call(entry_of, (DLDevice){ .device_type = kDLCUDA }, stream, args, keys, nargs, results, nresults, err);
}

/* Queries and keys are cut from one buffer and both written: neither overwrites the other, nor what lies between. */
START_TEST(device_overlapping) {
    double table[] = { 0, 1 }, rows[] = { 1, 2, 9, 3, 4, 5, 6, 9, 7, 8 };
    static const double expected[] = { -2, 1, 9, -4, 3, -6, 5, 9, -8, 7 };
    jitc_value buffer = given(JC_BF16, rows, DIMS(2, 5));
    DLTensor q = *buffer.tensor, k = *buffer.tensor, *positions = new_tensor(JC_I64, DIMS(2));
    int64_t dims[] = { 2, 2 }, strides[] = { 5, 1 };
    q.shape = k.shape = dims;
    q.strides = k.strides = strides;
    k.byte_offset = 3 * 2;
    jitc_value args[] = { on_device(positions), on_device(&q), on_device(&k), integer(2),
                          on_device(given(JC_F32, table, DIMS(1, 2)).tensor), { .tag = JITC_BOOL, .i = 1 } };
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(device_status("_C::rotary_embedding", args, NULL, 6, NULL, 0, NULL, &err) == JITC_OK, "%s", err.message);
    SAME("buffer", buffer.tensor, JC_BF16, expected, 0);
}
END_TEST

START_TEST(device_results) {
    jc_error err = JC_ERROR_INIT;
    DLTensor *shared = new_tensor(JC_F64, DIMS(2, 4)), *y = new_tensor(JC_F64, DIMS(2, 4));
    DLTensor *results[] = { on_device(shared).tensor, on_device(y).tensor };
    jitc_value args[] = { on_device(made(1, DIMS(2, 4)).tensor), on_device(made(2, DIMS(2, 3)).tensor), none, none,
                          { .tag = JITC_NAME, .name = jc_name_intern(host.names, LAYER, NULL) }, integer(0) };
    ck_assert_msg(device_status("vllm::moe_forward_shared", args, NULL, 6, results, 2, NULL, &err) == JITC_OK, "%s",
                  err.message);
    SAME("shared", shared, JC_F64, moe_shared, 1e-14);
    SAME("routed", y, JC_F64, moe, 1e-14);
    DLTensor *order = new_tensor(JC_BF16, DIMS(0));
    order = on_device(order).tensor;
    jitc_value update[] = { args[0], args[0], args[4] };
    ck_assert_msg(device_status("vllm::unified_kv_cache_update", update, NULL, 3, &order, 1, NULL, &err) == JITC_OK, "%s",
                  err.message);
}
END_TEST

/* Tensors inside a dict are copied too. */
START_TEST(device_dict) {
    double zeros[] = { 0, 0 }, table[] = { 1, 0 }, q[] = { 3, 4, 7, 8 };
    const double gate[] = { 7, 8 };
    DLTensor *out[3], *w = given(JC_BF16, zeros, DIMS(2)).tensor, *positions = new_tensor(JC_I64, DIMS(3, 1));
    for (int k = 0; k < 3; k++)
        out[k] = given(JC_F64, zeros, DIMS(1, 2)).tensor;
    jitc_entry kwargs[] = {
        entry("q_gate_ptr", on_device(given(JC_F64, q, DIMS(1, 4)).tensor)),
        entry("k_ptr", on_device(given(JC_F64, q, DIMS(1, 2)).tensor)), entry("q_out_ptr", on_device(out[0])),
        entry("k_out_ptr", on_device(out[1])), entry("gate_out_ptr", on_device(out[2])),
        entry("q_weight_ptr", on_device(w)), entry("k_weight_ptr", on_device(w)),
        entry("cos_sin_cache_ptr", on_device(given(JC_F64, table, DIMS(1, 2)).tensor)),
        entry("positions_ptr", on_device(positions)), entry("positions_stride_m", integer(1)),
    };
    jitc_value args[] = { integer(1), { .tag = JITC_DICT, .n = 10, .dict = kwargs } };
    const char *keys[] = { "kernel_idx", "kwargs" };
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(device_status("higher_order::triton_kernel_wrapper_mutation", args, keys, 2, NULL, 0, NULL, &err) ==
                      JITC_OK, "%s", err.message);
    SAME("gate", out[2], JC_F64, gate, 0);
    ck_assert(fabs(element(out[0], JC_F64, 0) - 3 / sqrt(12.5 + 1e-6)) < 1e-14);
}
END_TEST

/* A failing driver and a failing operator are both told. */
START_TEST(device_trouble) {
    jc_error err = JC_ERROR_INIT, other = JC_ERROR_INIT;
    DLTensor *y = on_device(new_tensor(JC_F64, DIMS(2, 4))).tensor;
    jitc_value x = on_device(made(1, DIMS(2, 4)).tensor), group = { .tag = JITC_NAME };
    group.name = jc_name_intern(host.names, "tp:0", NULL);
    jitc_value args[] = { x, group };
    ck_assert_int_eq(device_status("vllm::all_reduce", args, NULL, 2, &y, 1, (void *)1, &err), JITC_E_OP);
    ck_assert_msg(strstr(err.message, "900"), "%s", err.message);
    jitc_value few[] = { x, on_device(made(1, DIMS(1, 4)).tensor), group };
    ck_assert_int_eq(device_status("vllm::moe_forward", few, NULL, 3, &y, 1, NULL, &other), JITC_E_OP);
    ck_assert_msg(strstr(other.message, "a row per token"), "%s", other.message);
}
END_TEST

/* ---- trouble ---- */

static const struct { const char *name; int64_t q[3], k[3]; const char *says; } bad_shapes[] = {
    { "heads that do not divide", { 2, 3, 4 }, { 2, 2, 4 }, "Hk dividing H" },
    { "other token count", { 2, 2, 4 }, { 3, 2, 4 }, "query [T, H, D]" },
    { "other width", { 2, 2, 4 }, { 2, 2, 5 }, "query [T, H, D]" },
};

START_TEST(bad_operands) {
    jc_error err = JC_ERROR_INIT;
    jitc_value k = made(1, 3, bad_shapes[_i].k);
    jitc_value args[] = { made(1, 3, bad_shapes[_i].q), k, k, made(1, DIMS(2, 8)), layer() };
    ck_assert_int_eq(call_status("vllm::unified_attention_with_output", args, 5, NULL, 0, &err), JITC_E_OP);
    ck_assert_msg(strstr(err.message, bad_shapes[_i].says), "%s: %s", bad_shapes[_i].name, err.message);
}
END_TEST

/* Nothing breaks without tokens. */
START_TEST(no_tokens) {
    jitc_value out = given(JC_F64, NULL, DIMS(0, 8));
    DLTensor *y = new_tensor(JC_F64, DIMS(0, 4)), *two[] = { new_tensor(JC_F64, DIMS(0, 3)), new_tensor(JC_F64, DIMS(0, 2)) };
    CALL("vllm::unified_attention_with_output", NULL, 0, made(1, DIMS(0, 2, 4)), made(2, DIMS(0, 1, 4)),
         made(3, DIMS(0, 1, 4)), out, layer());
    CALL("vllm::unified_mla_attention_with_output", NULL, 0, made(1, DIMS(0, 2, 4)), made(2, DIMS(0, 4)),
         made(3, DIMS(0, 1, 2)), out, layer());
    CALL("vllm::moe_forward", &y, 1, made(1, DIMS(0, 4)), made(2, DIMS(0, 3)), layer());
    CALL("vllm::gdn_in_proj", two, 2, made(1, DIMS(0, 3)), integer(3), integer(2), layer());
    CALL("vllm::mamba_mixer2", NULL, 0, made(1, DIMS(0, 131)), given(JC_F64, NULL, DIMS(0, 64)), layer());
}
END_TEST

int main(void) {
    Suite *s = suite_create("plugin_ops");
    TCase *t = tcase_create("ops");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, weights_check_values);
    tcase_add_test(t, attention_by_hand);
    tcase_add_test(t, attention_to_fp8);
    tcase_add_test(t, attention_strided);
    tcase_add_test(t, latent_attention);
    tcase_add_test(t, cache_updates);
    tcase_add_test(t, rotary);
    tcase_add_test(t, experts);
    tcase_add_test(t, experts_few);
    tcase_add_test(t, delta_net);
    tcase_add_test(t, mamba);
    tcase_add_test(t, norms);
    tcase_add_test(t, norm_of_which_sum);
    tcase_add_test(t, activation_and_all_reduce);
    tcase_add_test(t, triton);
    tcase_add_test(t, device_overlapping);
    tcase_add_test(t, device_results);
    tcase_add_test(t, device_dict);
    tcase_add_test(t, device_trouble);
    tcase_add_loop_test(t, bad_operands, 0, sizeof bad_shapes / sizeof *bad_shapes);
    tcase_add_test(t, no_tokens);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
