/*
 * tests/check_classes.c - the models that vLLM captured: pieces and classes, and that everything in them compiles.
 *
 * What is shown is that every class of every model has a schedule for the host and for a GPU, and that the code generator takes it.
 * Numbers are for tests/check_captured.c.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/canon/canon.h"
#include "jit/sched/schedule.h"
#include "tests/golden_run.h"

static const char *const models[] = {
    "ernie-4.5-21b-strings",    "gpt-oss-120b",          "llama-3.3-70b",
    "llama-3.3-70b-customops",  "llama-3.3-70b-fp8",     "llama-3.3-70b-strings",
    "llama-3.3-70b-tp4-rank0",  "llama-3.3-70b-tp4-rank1", "opt-125m",
    "qwen3.5-35b-a3b",          "qwen3.5-35b-a3b-strings",
};
#define NMODELS ((int)(sizeof models / sizeof *models))

/* --- reading --- */

/* Qwen's capture with strings has no file of strides: its parameters are those of the other. */
static golden_model build(golden_host *h, const char *model, const char *file, const char *arch) {
    jitc_model_options o = { .struct_size = sizeof o, .arch = arch, .split_only = !arch };
    const char *plain = strncmp(model, "qwen", 4) == 0 ? "qwen3.5-35b-a3b" : model;
    golden_strides(h, jc_arena_printf(h->arena, "%s/models/%s/strides.json", golden_graphs(), plain), &o);
    return golden_build(h, jc_arena_printf(h->arena, "%s/models/%s/%s", golden_graphs(), model, file), &o);
}

/* --- pieces and classes --- */

/* Our cut of the flat graph and vLLM's own: as many pieces as it has, in the same classes, no more than renaming gives. */
START_TEST(as_expected) {
    golden_host h;
    golden_open(&h, "host");
    json_t *all = json_load_file(jc_arena_printf(h.arena, "%s/models/EXPECTED.json", golden_graphs()), 0, NULL);
    const json_t *want = json_object_get(all, models[_i]);
    ck_assert_msg(want != NULL, "EXPECTED.json has nothing for %s", models[_i]);
    uint32_t pieces = (uint32_t)json_integer_value(json_object_get(want, "pieces"));
    uint32_t classes = (uint32_t)json_integer_value(json_object_get(want, "classes"));
    golden_model full = build(&h, models[_i], "full.py", NULL), split = build(&h, models[_i], "split.py", NULL);
    ck_assert_msg(full.stats.pieces == pieces && split.stats.pieces == pieces, "%s: %u and %u pieces, expected %u",
                  models[_i], full.stats.pieces, split.stats.pieces, pieces);
    ck_assert_msg(full.stats.classes <= classes && split.stats.classes <= classes,
                  "%s: %u and %u classes, expected %u at most", models[_i], full.stats.classes, split.stats.classes, classes);
    for (uint32_t i = 0; i < pieces; i++) {
        jitc_piece_info a = { .struct_size = sizeof a }, b = { .struct_size = sizeof b };
        ck_assert_int_eq(jitc_model_piece_info(full.m, i, &a), JITC_OK);
        ck_assert_int_eq(jitc_model_piece_info(split.m, i, &b), JITC_OK);
        ck_assert_msg(strcmp(a.key, b.key) == 0 && a.cls == b.cls, "%s: piece %u has other keys", models[_i], i);
    }
    json_decref(all);
    golden_close(&h);
}
END_TEST

/* --- schedules --- */

static jc_schedule schedule(golden_host *h, const golden_model *m, uint32_t cls, const char *arch) {
    const jc_piece *p = &m->m->pieces[m->m->classes[cls].first];
    jc_error err = JC_ERROR_INIT;
    jc_schedule_options o = { 0 };
    jc_schedule s;
    jc_graph *g;
    ck_assert_int_eq(jc_target_parse(arch, &o.target, &err), JITC_OK);
    o.clamp = jc_target_is_gpu(&o.target);
    ck_assert_msg(jc_canon_decode(p->canon.bytes, p->canon.nbytes, h->arena, &g, &err) == JITC_OK, "%s: %s: %s", m->path,
                  p->func->name, err.message);
    ck_assert_msg(jc_schedule_class(g->root, &o, h->arena, &s, &err) == JITC_OK, "%s: %s for %s: %s (line %d)", m->path,
                  p->func->name, arch, err.message,
                  err.line > 0 && (uint32_t)err.line <= p->canon.nnodes ? p->canon.nodes[err.line - 1]->line : 0);
    return s;
}

START_TEST(schedules) {
    static const char *const archs[] = { "host", "sm_90a" };
    golden_host h;
    golden_open(&h, "host");
    golden_model m = build(&h, models[_i / 2], _i % 2 ? "full.py" : "split.py", NULL);
    for (int a = 0; a < 2; a++) {
        uint32_t kernels = 0, steps = 0, calls = 0, most = 0;
        for (uint32_t c = 0; c < m.m->nclasses; c++) {
            jc_schedule s = schedule(&h, &m, c, archs[a]);
            kernels += s.nkernels;
            steps += s.plan->nsteps;
            most = s.plan->nsteps > most ? s.plan->nsteps : most;
            for (uint32_t i = 0; i < s.plan->nsteps; i++)
                calls += s.plan->steps[i].kind == JC_STEP_CALL;
        }
        printf("%-24s %-8s %-6s: %u classes, %3u kernels, %3u steps (%u calls; %u in the longest class)\n", models[_i / 2],
               _i % 2 ? "full.py" : "split.py", archs[a], m.m->nclasses, kernels, steps, calls, most);
        ck_assert_uint_gt(kernels, 0);
    }
    golden_close(&h);
}
END_TEST

/* --- code --- */

/* Every capture in one process: classes that two of them share compile once. */
static void compile_all(const char *arch) {
    golden_host h;
    uint64_t classes = 0, compiled = 0;
    golden_open(&h, "host");
    for (int k = 0; k < NMODELS; k++) {
        golden_model m = build(&h, models[k], "full.py", arch);
        classes += m.stats.classes;
        compiled += m.stats.compiled;
        printf("%-24s %-6s: %llu classes compiled, %llu hits, %llu kernels, %llu of them compiled, %.0f ms\n", models[k], arch,
               (unsigned long long)m.stats.compiled, (unsigned long long)m.stats.hits, (unsigned long long)m.stats.kernels,
               (unsigned long long)m.stats.kernels_compiled, m.stats.ms_total);
        ck_assert_uint_eq(m.stats.compiled + m.stats.hits, m.stats.classes);
        if (strstr(models[k], "llama-3.3-70b-strings") || strstr(models[k], "rank1") || strstr(models[k], "a3b-strings"))
            golden_expect(&m, 0, m.stats.classes); /* the capture before it has the same classes */
    }
    ck_assert_uint_lt(compiled, classes);
    golden_close(&h);
}

START_TEST(compile_for_host) {
    compile_all("host");
}
END_TEST

START_TEST(compile_for_gpu) {
    compile_all("sm_90a");
}
END_TEST

int main(void) {
    if (!golden_there())
        return 77;
    setvbuf(stdout, NULL, _IOLBF, 0);
    Suite *s = suite_create("classes");
    TCase *t = tcase_create("classes"), *c = tcase_create("compile");
    tcase_set_timeout(t, 60);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(t, as_expected, 0, NMODELS);
    tcase_add_loop_test(t, schedules, 0, 2 * NMODELS);
    tcase_add_test(c, compile_for_host);
    tcase_add_test(c, compile_for_gpu);
    suite_add_tcase(s, t);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
