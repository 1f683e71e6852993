/*
 * tests/check_index.c - who looks at indices before rows are taken by them, and at matrices for factors: the plans of each target, memory that is
 * not the host's, a GPU.
 *
 * What is found, and the sentence, is tested with the numbers (tests/data/numbers).  The device of these tests is the host's, posing as a
 * GPU whose memory has to be copied out; the last one wants a GPU.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "jit/api/model.h"
#include "tests/gpu_help.h"

static const char text[] = "class M(torch.nn.Module):\n    def forward(self, w: \"f32[5, 2]\", i: \"i32[3]\"):\n"
                           "        y: \"f32[3, 2]\" = w[i]\n        return (y,)\n";
static const char solve[] = "class M(torch.nn.Module):\n    def forward(self, w: \"f32[5, 2]\", i: \"i32[3]\"):\n"
                            "        y: \"f32[2, 2]\" = torch.linalg.inv(w[:4].view(2, 2, 2))[1]\n        return (y,)\n";
static float table[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static jitc_context *ctx;

static void open_context(const char *device) {
    const jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = device };
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
}

static void teardown(void) {
    jitc_context_free(ctx);
    ctx = NULL;
}

static jitc_model *build_of(const char *of, const char *arch, bool clamp, bool check) {
    const jitc_model_options o = { .struct_size = sizeof o, .arch = arch, .split_only = arch != NULL, .clamp_index = clamp, .check_index = check };
    jitc_graph *g;
    jitc_model *m;
    ck_assert_msg(jitc_graph_read(ctx, "t.py", of, strlen(of), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

static jitc_model *build(const char *arch, bool clamp, bool check) {
    return build_of(text, arch, clamp, check);
}

START_TEST(a_target_looks_or_clamps) {
    static const struct {
        const char *arch;
        bool clamp, check, clamps;
    } rows[] = {
        { "host", false, false, false }, { "host", true, false, true }, { "host", false, true, false }, { "host", true, true, true },
        { "sim:sm_90a", false, false, false }, { "sim:sm_90a", true, false, true }, { "sm_90a", false, false, true },
        { "sm_90a", false, true, false }, { "sm_90a", true, true, true },
    };
    open_context("host");
    const jitc_model *m = build(rows[_i].arch, rows[_i].clamp, rows[_i].check);
    ck_assert_int_eq(m->classes[0].variants[0].request.clamp, rows[_i].clamps);
}
END_TEST

/* --- a device that is not the host's --- */

static int copied, waited;
static void *refused_stream;
static const jc_device_ops *plain;

static jitc_status copy_out(jc_device *d, void *host, const void *src, size_t size, void *stream, jc_error *err) {
    copied++;
    return plain->copy_out(d, host, src, size, stream, err);
}

static jitc_status sync_with(jc_device *d, void *stream, jc_error *err) {
    waited++;
    return stream && stream == refused_stream ? jc_fail(err, JITC_E_DEVICE, "not while the stream is captured") : plain->sync(d, stream, err);
}

static void pose(void) {
    static jc_device_ops ops;
    jc_device *d;
    jc_error err = JC_ERROR_INIT;
    open_context("host");
    ck_assert_int_eq(jc_context_device(ctx, &d, &err), JITC_OK);
    plain = d->ops;
    ops = *plain;
    ops.copy_out = copy_out;
    ops.sync = sync_with;
    d->ops = &ops;
    d->dl = (DLDevice){ kDLCUDA, 0 };
    copied = waited = 0;
}

static jitc_status run(jitc_model *m, void *w, int32_t *i, int64_t stride, void *stream, jitc_value *out) {
    int64_t wdims[] = { 5, 2 }, idims[] = { 3 };
    DLTensor wt = { .data = w, .device = { kDLCUDA, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = wdims };
    DLTensor it = { .data = i, .device = { kDLCUDA, 0 }, .ndim = 1, .dtype = { kDLInt, 32, 1 }, .shape = idims, .strides = &stride };
    const jitc_value in[] = { { .tag = JITC_TENSOR, .tensor = &wt }, { .tag = JITC_TENSOR, .tensor = &it } };
    return jitc_model_run(m, 0, stream, in, 2, out, 1);
}

START_TEST(indices_are_copied_out) {
    _Alignas(16) static float w[10];
    _Alignas(16) static int32_t good[] = { 4, -5, 0 }, bad[] = { 1, 5, 0 };
    jitc_value out = { 0 };
    memcpy(w, table, sizeof w);
    pose();
    jitc_model *m = build(NULL, false, true);
    ck_assert_msg(run(m, w, good, 1, NULL, &out) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(copied, 1);
    ck_assert_int_eq(waited, 1);
    ck_assert(((float *)out.tensor->data)[0] == 8 && ((float *)out.tensor->data)[3] == 1);
    ck_assert_int_eq(run(m, w, bad, 1, NULL, &out), JITC_E_INPUT);
    ck_assert_msg(strstr(jitc_context_error(ctx), "the index 5 (element 1 of the indices) is out of range"), "%s", jitc_context_error(ctx));
    refused_stream = &refused_stream;
    ck_assert_int_eq(run(m, w, good, 1, refused_stream, &out), JITC_E_DEVICE);
    ck_assert_msg(strstr(jitc_context_error(ctx), "captured"), "%s", jitc_context_error(ctx));
}
END_TEST

START_TEST(info_is_copied_out) {
    _Alignas(16) static float w[] = { 1, 0, 0, 1, 2, 1, 4, 2, 0, 0 };
    _Alignas(16) static int32_t i[3];
    jitc_value out = { 0 };
    pose();
    ck_assert_int_eq(run(build_of(solve, NULL, false, true), w, i, 1, NULL, &out), JITC_E_INPUT);
    ck_assert_msg(strstr(jitc_context_error(ctx), "linalg.inv: (batch element 1) the inversion could not be completed, since the input matrix is singular: the diagonal element 2 is zero."),
                  "%s", jitc_context_error(ctx));
    ck_assert_int_eq(copied, 1);
    ck_assert_msg(run(build_of(solve, NULL, true, false), w, i, 1, NULL, &out) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(copied, 1);
}
END_TEST

START_TEST(with_clamping_nothing_is_copied) {
    _Alignas(16) static float w[10];
    _Alignas(16) static int32_t bad[] = { 1, 5, -9 };
    jitc_value out = { 0 };
    memcpy(w, table, sizeof w);
    pose();
    ck_assert_msg(run(build(NULL, true, false), w, bad, 1, NULL, &out) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(copied, 0);
    const float *y = out.tensor->data;
    ck_assert(y[0] == 2 && y[2] == 8 && y[4] == 0);
}
END_TEST

START_TEST(on_a_gpu) {
    int32_t indices[] = { 4, -5, 0 };
    jitc_value out = { 0 };
    jc_device *d;
    jc_error err = JC_ERROR_INIT;
    void *w, *i;
    open_context("cuda");
    ck_assert_int_eq(jc_context_device(ctx, &d, &err), JITC_OK);
    ck_assert(!d->ops->alloc(d, sizeof table, &w, &err) && !d->ops->alloc(d, sizeof indices, &i, &err));
    ck_assert(!d->ops->copy_in(d, w, table, sizeof table, NULL, &err));
    for (int wrong = 0; wrong < 2; wrong++) {
        indices[1] = wrong ? -6 : -5;
        ck_assert(!d->ops->copy_in(d, i, indices, sizeof indices, NULL, &err) && !d->ops->sync(d, NULL, &err));
        ck_assert_msg(run(build(NULL, false, true), w, i, 1, NULL, &out) == (wrong ? JITC_E_INPUT : JITC_OK), "%s", jitc_context_error(ctx));
        ck_assert_msg(run(build(NULL, false, false), w, i, 1, NULL, &out) == JITC_OK, "%s", jitc_context_error(ctx));
    }
    float singular[] = { 1, 0, 0, 1, 2, 1, 4, 2, 0, 0 };
    for (int wrong = 0; wrong < 2; wrong++) {
        singular[7] = wrong ? 2 : 3;
        ck_assert(!d->ops->copy_in(d, w, singular, sizeof singular, NULL, &err) && !d->ops->sync(d, NULL, &err));
        ck_assert_msg(run(build_of(solve, NULL, false, true), w, i, 1, NULL, &out) == (wrong ? JITC_E_INPUT : JITC_OK), "%s", jitc_context_error(ctx));
        ck_assert_msg(run(build_of(solve, NULL, false, false), w, i, 1, NULL, &out) == JITC_OK, "%s", jitc_context_error(ctx));
    }
    d->ops->free(d, w);
    d->ops->free(d, i);
}
END_TEST

int main(void) {
    Suite *s = suite_create("index");
    TCase *t = tcase_create("index");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_loop_test(t, a_target_looks_or_clamps, 0, 9);
    tcase_add_test(t, indices_are_copied_out);
    tcase_add_test(t, info_is_copied_out);
    tcase_add_test(t, with_clamping_nothing_is_copied);
    if (!no_gpu())
        tcase_add_test(t, on_a_gpu);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
