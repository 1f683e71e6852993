/*
 * tests/check_classes.c - the models that vLLM captured: pieces and classes, and that everything in them compiles.
 *
 * These graphs have no weights: what is shown is that every class of every model has a schedule for the host and for a GPU, and that
 * the code generator takes it.  Numbers are for tests/check_models.c.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/canon.h"
#include "jit/schedule.h"
#include "tests/golden_run.h"

static const char *const models[] = {
    "ernie-4.5-21b-strings",    "gpt-oss-120b",          "llama-3.3-70b",
    "llama-3.3-70b-customops",  "llama-3.3-70b-fp8",     "llama-3.3-70b-strings",
    "llama-3.3-70b-tp4-rank0",  "llama-3.3-70b-tp4-rank1", "opt-125m",
    "qwen3.5-35b-a3b",          "qwen3.5-35b-a3b-strings",
};
#define NMODELS ((int)(sizeof models / sizeof *models))

/* --- reading --- */

static jitc_strides one_entry(jc_arena *arena, const char *param, const json_t *list) {
    const char **text = JC_NEWN(arena, const char *, json_array_size(list));
    for (size_t d = 0; d < json_array_size(list); d++) {
        const json_t *e = json_array_get(list, d);
        text[d] = json_is_string(e) ? jc_arena_strdup(arena, json_string_value(e))
                                    : jc_arena_printf(arena, "%lld", (long long)json_integer_value(e));
    }
    return (jitc_strides){ jc_arena_strdup(arena, param), (uint32_t)json_array_size(list), text };
}

/* Of MODEL/strides.json; most models have none. */
static void set_strides(jc_arena *arena, const char *model, jitc_model_options *o) {
    const char *param;
    json_t *list, *file =
        json_load_file(jc_arena_printf(arena, "%s/models/%s/strides.json", golden_graphs(), model), 0, NULL);
    jitc_strides *out = JC_NEWN(arena, jitc_strides, json_object_size(file));
    json_object_foreach(file, param, list)
        out[o->nstrides++] = one_entry(arena, param, list);
    o->strides = out;
    json_decref(file);
}

/* The captures of one model with strings have the parameters of the other. */
static golden_model build(golden_host *h, const char *model, const char *file, const char *arch) {
    jitc_model_options o = { .struct_size = sizeof o, .arch = arch, .split_only = !arch };
    const char *strings = strstr(model, "-strings");
    set_strides(h->arena, model, &o);
    if (strings && !o.nstrides && strncmp(model, "qwen", 4) == 0)
        set_strides(h->arena, jc_arena_strndup(h->arena, model, (size_t)(strings - model)), &o);
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

/* --- numbers --- */

/* The reference makes doubles of the weights: classes with more elements than this are left to smaller models. */
#define MOST_ELEMENTS 48000000
#define TOKENS 3

typedef struct uses {
    bool *in_dims;
} uses;

static void mark(void *user, uint32_t sym) {
    ((uses *)user)->in_dims[sym] = true;
}

/* Every symbol is TOKENS; one that is a stride alone leaves a gap. */
static int64_t *symbols(golden_host *h, const jc_func *f, uint32_t *n) {
    *n = jc_sym_count(f->graph->exprs);
    uses u = { JC_NEWN(h->arena, bool, *n) };
    int64_t *syms = JC_NEWN(h->arena, int64_t, *n);
    for (uint32_t p = 0; p < f->nparams; p++) {
        const jc_type *t = &f->params[p]->type;
        for (int d = 0; t->kind == JC_TENSOR && d < t->rank; d++)
            jc_ex_symbols(t->dims[d], mark, &u);
        if (t->kind == JC_SYMINT)
            jc_ex_symbols(t->expr, mark, &u);
    }
    for (uint32_t s = 0; s < *n; s++)
        syms[s] = u.in_dims[s] ? TOKENS : TOKENS + 2;
    return syms;
}

/* Floats in [-1, 1), weights in [-1/4, 1/4), integers in [0, 4): they are positions and rows of tables. */
static void fill(const jc_type *t, char *at, int64_t n, uint64_t *state) {
    const jc_dtype_info *d = &jc_dtypes[t->dtype];
    for (int64_t i = 0; i < n; i++, at += d->size) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        if (d->cls == 'f')
            jc_store_float((jc_dtype)t->dtype, at, (double)(int32_t)(*state >> 32) / (n < 100000 ? 1u << 31 : 1ull << 33));
        else
            jc_store_int((jc_dtype)t->dtype, at, d->cls == 'b' ? (int64_t)(*state >> 63) : (int64_t)(*state >> 62));
    }
}

static jitc_value made_up(golden_host *h, const jc_type *t, const int64_t *syms, uint32_t nsyms, uint64_t *state,
                          int64_t *elements) {
    DLTensor *dl = JC_NEW(h->arena, DLTensor);
    int64_t *dims = JC_NEWN(h->arena, int64_t, JC_MAX_RANK), *strides = JC_NEWN(h->arena, int64_t, JC_MAX_RANK);
    int64_t step = 1, span = 1;
    jc_error err = JC_ERROR_INIT;
    *dl = (DLTensor){ .device = h->device->dl, .ndim = t->rank, .shape = dims, .strides = strides,
                      .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
    for (int d = t->rank; d-- > 0;) {
        ck_assert(jc_ex_eval(t->dims[d], syms, nsyms, &dims[d]));
        strides[d] = step;
        if (t->strides)
            ck_assert(jc_ex_eval(t->strides[d], syms, nsyms, &strides[d]));
        step *= dims[d];
        span += (dims[d] - 1) * strides[d];
    }
    *elements += span;
    if (*elements > MOST_ELEMENTS)
        return (jitc_value){ .tag = JITC_NONE };
    size_t bytes = (size_t)span * jc_dtypes[t->dtype].size;
    ck_assert_int_eq(h->device->ops->alloc(h->device, bytes, &dl->data, &err), JITC_OK);
    jc_push(h->arena, &h->blocks, dl->data);
    fill(t, dl->data, span, state);
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = dl };
}

/* NULL where the inputs are too large. */
static jitc_value *inputs(golden_host *h, const jc_func *f) {
    uint32_t nsyms;
    const int64_t *syms = symbols(h, f, &nsyms);
    jitc_value *in = JC_NEWN(h->arena, jitc_value, f->nparams);
    uint64_t state = 11;
    int64_t elements = 0;
    for (uint32_t p = 0; p < f->nparams; p++) {
        const jc_type *t = &f->params[p]->type;
        if (t->kind == JC_TENSOR) {
            in[p] = made_up(h, t, syms, nsyms, &state, &elements);
        } else if (t->kind == JC_SYMINT) {
            in[p].tag = JITC_INT;
            ck_assert(jc_ex_eval(t->expr, syms, nsyms, &in[p].i));
        } else {
            in[p] = (jitc_value){ .tag = JITC_NAME, .name = jitc_layer_name_intern(h->ctx, f->params[p]->name, NULL) };
        }
        if (elements > MOST_ELEMENTS)
            return NULL;
    }
    return in;
}

/* The operator of the piece that the example plugin lacks; NULL: it has them all. */
static const char *lacking(const golden_host *h, const jc_func *f) {
    for (size_t i = 0; i < f->nodes.n; i++) {
        const jc_node *n = f->nodes.at[i];
        if (n->op == JC_OP_custom && !jc_ops_find(h->ctx->ops, n->target, kDLCPU))
            return n->target;
    }
    return NULL;
}

static double compare(const char *what, const golden_out *got, const jc_eval_out *want, uint32_t n) {
    double worst = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (want[k].undefined || want[k].kind != JC_TENSOR)
            continue;
        if (!want[k].f) {
            for (size_t i = 0; i < got[k].tensor.nbytes / jc_dtypes[want[k].dtype].size; i++)
                ck_assert_int_eq(jc_load_int(want[k].dtype, (const char *)got[k].tensor.data + i * jc_dtypes[want[k].dtype].size),
                                 want[k].i[i]);
            continue;
        }
        jc_st_tensor exact = golden_exact(&want[k]);
        double apart = golden_distance(what, &got[k].tensor, &exact);
        ck_assert_msg(apart <= 2e-2, "%s: output %u is off by %g", what, k, apart);
        worst = apart > worst ? apart : worst;
    }
    return worst;
}

/* The classes of a model at full width, against the reference. */
START_TEST(numbers) {
    golden_host h;
    golden_open(&h, getenv("JITC_CLASS_DEVICE") ? getenv("JITC_CLASS_DEVICE") : "host");
    const char *arch = getenv("JITC_CLASS_DEVICE") ? getenv("JITC_CLASS_DEVICE") : "host";
    golden_model m = build(&h, models[_i], "split.py", arch);
    for (uint32_t c = 0; c < m.m->nclasses; c++) {
        uint32_t piece = m.m->classes[c].first;
        const jc_func *f = m.m->pieces[piece].func;
        const char *what = jc_arena_printf(h.arena, "%s, %s", models[_i], f->name), *missing = lacking(&h, f);
        const jitc_value *in = missing ? NULL : inputs(&h, f);
        if (missing || !in) {
            fprintf(stderr, "SKIP: %s: %s%s\n", what, missing ? "the plugin has no " : "too large", missing ? missing : "");
            continue;
        }
        const jc_eval_out *want = golden_evaluate(&h, what, f, in);
        double worst = compare(what, golden_run_piece(&h, &m, piece, in), want, f->noutputs);
        printf("%-40s %zu nodes, off by %.1e at most\n", what, f->nodes.n, worst);
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
    TCase *t = tcase_create("classes"), *c = tcase_create("compile"), *n = tcase_create("numbers");
    tcase_set_timeout(t, 60);
    tcase_set_timeout(c, 120);
    tcase_set_timeout(n, 120);
    tcase_add_loop_test(t, as_expected, 0, NMODELS);
    tcase_add_loop_test(t, schedules, 0, 2 * NMODELS);
    tcase_add_loop_test(n, numbers, 0, NMODELS);
    tcase_add_test(c, compile_for_host);
    tcase_add_test(c, compile_for_gpu);
    suite_add_tcase(s, t);
    suite_add_tcase(s, c);
    suite_add_tcase(s, n);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
