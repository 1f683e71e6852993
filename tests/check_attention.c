/*
 * tests/check_attention.c - attention as one kernel, against the reference: dtypes, masks, layouts, groups of heads, sizes.
 *
 * A row runs on `host` at all of SIZES, fused, and once in strict mode, which decomposes it; in the simulator at some; and on a GPU, where there
 * is one.  What is one kernel and what is not is for tests/check_sched.c.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu_help.h"
#include "tests/graph_run.h"
#include "tests/many.h"

#define S "s0: \"Sym(s0)\", s1: \"Sym(s1)\", "
#define SDPA "torch.nn.functional.scaled_dot_product_attention"
#define QKV(t, b, h, g, e, v) \
    S "q: \"" t "[" b "," h ", s0, " e "]\", k: \"" t "[" b ", " g ", s1, " e "]\", v: \"" t "[" b ", " g ", s1, " v "]\""
#define PLAIN(t, e, v) { "attention of " t " with heads of " e " and " v, QKV(t, "2", "2", "2", e, v), "o = " SDPA "(q, k, v)", "o", 0, NULL }
#define CAUSAL(t, e, v) { "causal attention of " t " with heads of " e " and " v, QKV(t, "1", "3", "3", e, v), "o = " SDPA "(q, k, v, is_causal = True)", "o", 0, NULL }
#define MASKED(t, what, mask) \
    { "attention of " t " with a mask of " what, QKV(t, "2", "2", "2", "32", "32") ", m: \"" mask "\"", "o = " SDPA "(q, k, v, m)\np = " SDPA "(q, k, v, m, scale = 0.5)", "o, p", 0, NULL }
#define GROUPS(t, h, g) \
    { "attention of " t ", " h " heads and " g " of keys", QKV(t, "2", h, g, "32", "16"), \
      "o = " SDPA "(q, k, v, enable_gqa = True)\np = " SDPA "(q, k, v, is_causal = True, enable_gqa = True)", "o, p", 0, NULL }
/* As models have them: permuted, of one product, and given back so. */
#define LAYOUT(t) \
    { "attention of heads of " t " that lie beside each other", S "x: \"" t "[2, s0, 192]\"", \
      "a = x.view(2, s0, 3, 4, 16)\nq = a[(slice(None), slice(None), 0)].transpose(1, 2)\nk = a[(slice(None), slice(None), 1)].transpose(1, 2)\n" \
      "v = a[(slice(None), slice(None), 2)].transpose(1, 2)\no = " SDPA "(q, k, v, is_causal = True)\ny = o.transpose(1, 2).reshape(2, s0, 64)", "y", 0, NULL }
#define AFTERWARDS(t) \
    { "attention of " t " and what follows", QKV(t, "2", "2", "2", "16", "32") ", y: \"" t "[2, 2, s0, 32]\", w: \"f32[]\"", \
      "o = " SDPA "(q * 2, k, v)\np = torch.relu(o + y) * 0.5\nr = " SDPA "(q, k + 1, v, scale = 0.0)", "p, r", 0, NULL }
#define ODD(t) \
    { "attention of matrices and of one head of " t, S "q: \"" t "[s0, 16]\", k: \"" t "[s1, 16]\", v: \"" t "[s1, 32]\", r: \"" t "[3, 2, s0, 16]\"", \
      "o = " SDPA "(q, k, v)\np = " SDPA "(r, k.unsqueeze(0), v.unsqueeze(0))\nu = " SDPA "(r, k.unsqueeze(0), v.unsqueeze(0), scale = -0.7)", "o, p, u", 0, NULL }
/* Of few rows the keys are split. */
#define DECODE(t, l, h, g, s) \
    { "attention of " l " rows of " t ", " h " heads and " g " of keys", \
      S "q: \"" t "[1, " h ", " l ", 32]\", k: \"" t "[1, " g ", " s ", 32]\", v: \"" t "[1, " g ", " s ", 48]\", m: \"" t "[1, 1, " l ", " s "]\", n: \"b8[" s "]\", r: \"" t "[1, " h ", " l ", 48]\"", \
      "o = " SDPA "(q, k, v, enable_gqa = True)\np = " SDPA "(q, k, v, m, enable_gqa = True)\nu = " SDPA "(q, k, v, n, scale = -0.3, enable_gqa = True) + r", "o, p, u", 0, NULL }
#define FEW(t, l) \
    { "causal attention of " l " rows of " t, S "q: \"" t "[2, 2, " l ", 16]\", k: \"" t "[2, 2, s1, 16]\"", "o = " SDPA "(q, k, k, is_causal = True)", "o", 0, NULL }

/* Of each what is new to it: in the simulator, whose code for tensor cores takes seconds to compile, sizes of heads are few. */
#define ALL(t) PLAIN(t, "16", "48"), CAUSAL(t, "64", "64"), MASKED(t, "bools", "b8[s0, s1]"), MASKED(t, "bools of keys", "b8[2, 1, 1, s1]"), \
    MASKED(t, "floats", t "[2, 2, s0, s1]"), MASKED(t, "floats of rows", "f32[2, 1, s0, 1]"), GROUPS(t, "8", "2"), LAYOUT(t), AFTERWARDS(t), ODD(t)

static const graph_case cases[] = {
    ALL("bf16"), GROUPS("f16", "6", "2"), CAUSAL("f16", "16", "32"), MASKED("f16", "floats", "f16[s0, s1]"), PLAIN("bf16", "80", "16"), PLAIN("f16", "24", "8"),
    DECODE("bf16", "1", "8", "2", "s1"), DECODE("f16", "3", "2", "2", "320"), FEW("bf16", "5"),
    ALL("f32"), PLAIN("f64", "32", "16"), CAUSAL("f64", "8", "12"), MASKED("f64", "floats", "f64[2, 2, s0, s1]"), GROUPS("f32", "6", "2"),
    PLAIN("f32", "4", "8"), PLAIN("f32", "7", "5"), PLAIN("f32", "96", "112"),
};
#define NCASES (int)(sizeof cases / sizeof *cases)
/* These on the host alone. */
static const graph_case large[] = { PLAIN("f32", "256", "256"), CAUSAL("f16", "128", "256"), PLAIN("f64", "256", "128"), CAUSAL("bf16", "128", "128") };
#define NLARGE (int)(sizeof large / sizeof *large)

static const char *const sizes[] = { "s0=1 s1=1", "s0=5 s1=3", "s0=70 s1=130", "s0=0 s1=4", "s0=3 s1=0", "s0=129 s1=64", "s0=1 s1=200" };
#define NSIZES (int)(sizeof sizes / sizeof *sizes)

START_TEST(on_host) {
    for (int i = 0; i < NSIZES; i++)
        graph_check_at(&cases[_i], "host", sizes[i], 2 * (uint64_t)i);
    graph_check_at(&cases[_i], "host", sizes[2], 1);
}
END_TEST

START_TEST(large_on_host) {
    for (int i = 0; i < NSIZES; i++)
        graph_check_at(&large[_i], "host", sizes[i], 2 * (uint64_t)i);
}
END_TEST

/* Built for a few rows, and for many: code for tensor cores takes the simulator's compiler a second or more. */
START_TEST(on_sim) {
    graph_check_exact(&cases[_i], "sim", "s0=70 s1=130", 2);
    graph_check_exact(&cases[_i], "sim", "s0=5 s1=67", 4);
}
END_TEST

START_TEST(sizes_on_sim) {
    graph_check_at(&cases[1], "sim", sizes[_i], 2 * (uint64_t)_i);
}
END_TEST

START_TEST(on_cuda) {
    const int n = NCASES;
    for (int i = 0; i < NSIZES; i++)
        graph_check_at(_i < n ? &cases[_i] : &large[_i - n], "cuda", sizes[i], 2 * (uint64_t)i);
}
END_TEST

/* An empty tensor may lie anywhere: on an odd address, too. */
START_TEST(no_keys_anywhere) {
    static const char text[] = "def forward(self, q: \"f16[16, 16]\", k: \"f16[s0, 16]\", s0: \"Sym(s0)\"):\n"
                               "    y: \"f16[16, 16]\" = torch.nn.functional.scaled_dot_product_attention(q, k, k)\n    return (y,)\n";
    static _Alignas(16) uint16_t rows[16 * 16], keys[8];
    int64_t many[] = { 16, 16 }, none[] = { 0, 16 };
    DLTensor q = { .data = rows, .shape = many, .ndim = 2, .dtype = { kDLFloat, 16, 1 }, .device = { kDLCPU, 0 } }, k = q;
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = _i ? "sim" : "host", .threads = 1 };
    jitc_value in[] = { { .tag = JITC_TENSOR, .tensor = &q }, { .tag = JITC_TENSOR, .tensor = &k }, { .tag = JITC_INT } }, out[1];
    jitc_context *ctx;
    jitc_graph *g;
    jitc_model *m;
    k.shape = none;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_graph_read(ctx, "none", text, strlen(text), &g), JITC_OK);
    ck_assert_msg(jitc_model_build(ctx, &g, 1, NULL, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    for (int at = 0; at < 8; at++) {
        k.data = keys + at;
        ck_assert_msg(jitc_model_run(m, 0, NULL, in, 3, out, 1) == JITC_OK, "%d: %s", at, jitc_context_error(ctx));
    }
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attention");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    many_add(host, on_host, 0, NCASES);
    many_add(host, large_on_host, 0, NLARGE);
    many_add(sim, on_sim, 0, NCASES);
    many_add(sim, sizes_on_sim, 0, NSIZES);
    tcase_add_loop_test(host, no_keys_anywhere, 0, 2);
    tcase_set_timeout(host, 60);
    tcase_set_timeout(sim, 60);
    suite_add_tcase(s, host);
    suite_add_tcase(s, sim);
    many_prepare();
    SRunner *r = srunner_create(s);
    if (!no_gpu()) { /* CUDA does not survive a fork */
        TCase *cuda = tcase_create("cuda");
        many_add(cuda, on_cuda, 0, NCASES + NLARGE);
        suite_add_tcase(s, cuda);
        srunner_set_fork_status(r, CK_NOFORK);
    }
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
