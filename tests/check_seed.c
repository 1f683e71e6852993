/*
 * tests/check_seed.c - the two pieces this library began with (vLLM issue 37919): the same computation for two layers, whose
 * names stand as strings in the text.
 *
 * One artifact serves both, and each gives its own layer's numbers: the plugin's gdn_in_proj makes its weights from the name it
 * is given.
 */
#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden_run.h"

#define LAYER10 TEST_SRCDIR "/examples/seed/qwen3_5_layer10.py"
#define LAYER13 TEST_SRCDIR "/examples/seed/qwen3_5_layer13.py"
#define NAME10 "language_model.model.layers.10.linear_attn"
#define NAME13 "language_model.model.layers.13.linear_attn"
#define UNDEFINED 6 /* empty_like, which nothing writes */

static golden_host host;

static void setup(void) {
    golden_open(&host, "host");
}

static void setup_sim(void) {
    golden_open(&host, "sim");
}

static void teardown(void) {
    golden_close(&host);
}

/* --- inputs --- */

static void input(jc_st_tensor *t, const char *name, int64_t rows, int64_t cols, uint64_t seed) {
    int64_t n = (rows ? rows : 1) * cols;
    float *data = JC_NEWN(host.arena, float, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        data[i] = (float)(int32_t)(seed >> 32) / 2147483648.0f;
    }
    *t = (jc_st_tensor){ name, JC_F32, rows ? 2 : 1, { rows ? rows : cols, rows ? cols : 0 }, data, (size_t)n * sizeof *data };
}

static jc_st_file inputs(int64_t tokens) {
    jc_st_tensor *t = JC_NEWN(host.arena, jc_st_tensor, 3);
    input(&t[0], "mul_5", tokens, 2048, 1);
    input(&t[1], "add_7", 0, 2048, 2);
    input(&t[2], "add_5", tokens, 2048, 3);
    return (jc_st_file){ t, 3 };
}

/* --- comparing --- */

static void same_numbers(const char *what, const golden_out *got, const jc_eval_out *want, uint32_t n) {
    for (uint32_t k = 0; k < n; k++) {
        ck_assert_msg(got[k].undefined == (k == UNDEFINED) && want[k].undefined == (k == UNDEFINED),
                      "%s: output %u is undefined, or is not", what, k);
        if (k == UNDEFINED)
            continue;
        if (want[k].kind == JC_SYMINT) {
            ck_assert_int_eq(*(const int64_t *)got[k].tensor.data, want[k].integer);
            continue;
        }
        jc_st_tensor reference = golden_exact(&want[k]);
        ck_assert_int_eq(got[k].tensor.dtype, want[k].dtype);
        double apart = golden_distance(what, &got[k].tensor, &reference);
        ck_assert_msg(apart <= (want[k].dtype == JC_F32 ? 1e-5 : 1e-2), "%s: output %u is off by %g", what, k, apart);
    }
}

static bool same_bits(const golden_out *a, const golden_out *b, uint32_t output) {
    return a[output].tensor.nbytes == b[output].tensor.nbytes &&
           memcmp(a[output].tensor.data, b[output].tensor.data, a[output].tensor.nbytes) == 0;
}

static void called_with(const char *name) {
    ck_assert_uint_eq(host.calls.n, 1);
    ck_assert_str_eq(host.calls.at[0].op, "vllm::gdn_in_proj");
    ck_assert_str_eq(host.calls.at[0].name, name);
}

/* Outputs that come of the projection. */
static const uint32_t projected[] = { 0, 1, 2, 4 };

static void same_layer(const golden_out *a, const golden_out *b, bool expected) {
    for (size_t k = 0; k < sizeof projected / sizeof *projected; k++)
        ck_assert_msg(same_bits(a, b, projected[k]) == expected, "output %u is %s", projected[k],
                      expected ? "another" : "that of the other layer");
}

/* --- classes --- */

static golden_model both(const jitc_model_options *o) {
    static const char *const paths[] = { LAYER10, LAYER13 };
    return golden_build_all(&host, paths, 2, o);
}

/* Unmodified text: two pieces, one class, one compilation; the second piece is a hit. */
START_TEST(one_class) {
    golden_model m = both(NULL);
    jitc_piece_info a = { .struct_size = sizeof a }, b = { .struct_size = sizeof b };
    ck_assert_uint_eq(m.stats.pieces, 2);
    ck_assert_uint_eq(m.stats.classes, 1);
    golden_expect(&m, 1, 0);
    ck_assert_int_eq(jitc_model_piece_info(m.m, 0, &a), JITC_OK);
    ck_assert_int_eq(jitc_model_piece_info(m.m, 1, &b), JITC_OK);
    ck_assert_str_eq(a.key, b.key);
    ck_assert(!a.hit && b.hit && a.cls == 0 && b.cls == 0);
    ck_assert(a.nlayer_names == 1 && b.nlayer_names == 1);
    ck_assert_str_eq(a.layer_names[0], NAME10);
    ck_assert_str_eq(b.layer_names[0], NAME13);
}
END_TEST

/* One after the other: the first is compiled, the second found. */
START_TEST(one_compilation) {
    golden_model a = golden_build(&host, LAYER10, NULL), b = golden_build(&host, LAYER13, NULL);
    golden_expect(&a, 1, 0);
    golden_expect(&b, 0, 1);
}
END_TEST

START_TEST(without_lifting) {
    jitc_model_options o = { .struct_size = sizeof o, .no_lift_names = true };
    golden_model m = both(&o);
    ck_assert_uint_eq(m.stats.pieces, 2);
    ck_assert_uint_eq(m.stats.classes, 2);
    golden_expect(&m, 2, 0);
}
END_TEST

/* --- numbers --- */

/* Layer 13 before layer 10 was ever called, twice in a row, then 10, then 13 again: names travel by value. */
START_TEST(names_travel_by_value) {
    static const int64_t tokens[] = { 5, 1, 17 };
    const int64_t t = tokens[_i];
    golden_model ten = golden_build(&host, LAYER10, NULL), thirteen = golden_build(&host, LAYER13, NULL);
    jc_st_file in = inputs(t);
    const jitc_value *values = golden_values(&host, ten.root, &in, NULL);
    const golden_out *first = golden_run(&host, &thirteen, values);
    called_with(NAME13);
    const golden_out *second = golden_run(&host, &thirteen, values);
    called_with(NAME13);
    const golden_out *other = golden_run(&host, &ten, values);
    called_with(NAME10);
    const golden_out *last = golden_run(&host, &thirteen, values);
    called_with(NAME13);
    same_layer(first, second, true);
    same_layer(first, last, true);
    same_layer(first, other, false);
    same_numbers("layer 13", first, golden_reference(&host, LAYER13, values), thirteen.root->noutputs);
    same_numbers("layer 10", other, golden_reference(&host, LAYER10, values), ten.root->noutputs);
}
END_TEST

/* Both as pieces of one model, one executable, run piece by piece. */
START_TEST(pieces_of_one_model) {
    golden_model m = both(NULL);
    jc_st_file in = inputs(3);
    const jitc_value *values = golden_values(&host, m.root, &in, NULL);
    const jitc_value *by_piece[] = { golden_values(&host, m.m->pieces[0].func, &in, NULL),
                                     golden_values(&host, m.m->pieces[1].func, &in, NULL) };
    const golden_out *thirteen = golden_run_piece(&host, &m, 1, by_piece[1]);
    called_with(NAME13);
    const golden_out *ten = golden_run_piece(&host, &m, 0, by_piece[0]);
    called_with(NAME10);
    same_layer(ten, thirteen, false);
    same_layer(thirteen, golden_run_piece(&host, &m, 1, by_piece[1]), true);
    same_numbers("layer 13", thirteen, golden_reference(&host, LAYER13, values), m.root->noutputs);
    same_numbers("layer 10", ten, golden_reference(&host, LAYER10, values), m.root->noutputs);
}
END_TEST

/* --- another text of the same piece --- */

static const char *const renames[][2] = {
    { "GraphModule", "submod_26" }, { "s18", "s72" }, { "mul_5", "arg0_1" }, { "add_7", "w" }, { "add_5", "residual" },
    { "mul_6", "mul" }, { "to_2", "to" }, { "empty_like", "core_attn_out" }, { "gdn_in_proj", "r" }, { "getitem_4", "mixed" },
    { "getitem_5", "ba" }, { "split", "parts" }, { "getitem_6", "qkv" }, { "getitem_7", "z" }, { "reshape_3", "z_1" },
    { "sym_size_int_21", "n" }, { "chunk", "halves" }, { "getitem_8", "b" }, { "getitem_9", "a" }, { "zeros", "out" },
};

static const char *renamed(const char *word, size_t length) {
    for (size_t k = 0; k < sizeof renames / sizeof *renames; k++)
        if (strlen(renames[k][0]) == length && memcmp(renames[k][0], word, length) == 0)
            return renames[k][1];
    return NULL;
}

/* The file with all its names changed, what follows a dot excepted. */
static const char *renamed_text(const char *path) {
    jc_bytes out = JC_BYTES(host.arena);
    char text[8192];
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    for (const char *at = text; *at;) {
        size_t n = 0;
        while (isalnum((unsigned char)at[n]) || at[n] == '_')
            n++;
        const char *other = n && (at == text || at[-1] != '.') ? renamed(at, n) : NULL;
        n = n ? n : 1;
        jc_put_text(&out, "%.*s", other ? (int)strlen(other) : (int)n, other ? other : at);
        at += n;
    }
    jc_put_u8(&out, 0);
    ck_assert(!strstr((const char *)out.at, "s18") && !strstr((const char *)out.at, "getitem"));
    return (const char *)out.at;
}

START_TEST(renamed_copy_hits) {
    golden_model a = golden_build(&host, LAYER13, NULL);
    golden_model b = golden_build_text(&host, "renamed", renamed_text(LAYER10), NULL);
    golden_expect(&a, 1, 0);
    golden_expect(&b, 0, 1);
    jc_st_file in = inputs(4);
    const jitc_value *values = golden_values(&host, a.root, &in, NULL); /* the parameters have kept their places */
    const golden_out *out = golden_run(&host, &b, values);
    called_with(NAME10);
    same_numbers("renamed layer 10", out, golden_reference(&host, LAYER10, values), b.root->noutputs);
}
END_TEST

int main(void) {
    Suite *s = suite_create("seed");
    TCase *t = tcase_create("host"), *sim = tcase_create("sim");
    tcase_set_timeout(t, 60);
    tcase_set_timeout(sim, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_checked_fixture(sim, setup_sim, teardown);
    tcase_add_test(t, one_class);
    tcase_add_test(t, one_compilation);
    tcase_add_test(t, without_lifting);
    tcase_add_loop_test(t, names_travel_by_value, 0, 3);
    tcase_add_test(t, pieces_of_one_model);
    tcase_add_test(t, renamed_copy_hits);
    tcase_add_loop_test(sim, names_travel_by_value, 0, 2);
    suite_add_tcase(s, t);
    suite_add_tcase(s, sim);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
