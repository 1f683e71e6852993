/*
 * tests/check_models.c - whole models from text to numbers: compiled, run piece by piece, compared with what PyTorch computed
 * from the same text.
 *
 * The gates are those of the data's README: `ref_outputs` (the graph in float64) at most 1.5 times as far as PyTorch's own
 * outputs are from it, and `outputs` at most 2 times that.  JITC_GOLDEN_VERBOSE=1 prints the distances.
 */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden_run.h"

#define REF_GATE 1.5
#define OUTPUTS_GATE 2.0
#define MAX_TOKENS 6

/* A folder of goldens: FILE is in the names of graphs ("full_rank0.py"), DATA in those of tensors ("inputs-rank0-T1"). */
typedef struct row {
    const char *dir, *file, *data, *names, *report;
    uint32_t pieces;
    int host[MAX_TOKENS]; /* numbers of tokens, in the order they are run in */
    int sim[MAX_TOKENS];
} row;

#define ANY_ORDER { 33, 1, 8, 5, 1 }
#define MODEL(dir, pieces, ...) { "tiny/" dir, "", "", "names.json", "report.json", pieces, ANY_ORDER, { __VA_ARGS__ } }
#define VARIANT(dir, v, pieces, order, ...) \
    { "tiny/" dir, "_" v, "-" v, "names_" v ".json", "report-" v ".json", pieces, order, { __VA_ARGS__ } }
#define TWO { 8, 1, 8 }
static const row rows[] = {
    MODEL("llama", 9, 5, 1, 8),
    { "tiny/llama", "_ir", "", "names_ir.json", "report.json", 9, ANY_ORDER, { 1, 5 } },
    MODEL("opt", 9, 1, 5),
    MODEL("qwen3_5", 17, 5, 1),
    MODEL("gpt_oss", 9, 1, 5),
    MODEL("deepseek", 11, 1, 5),
    MODEL("mamba2", 9, 1, 5),
    VARIANT("ernie", "all", 9, ANY_ORDER, 1, 5),
    VARIANT("ernie", "text", 9, ANY_ORDER, 1, 5),
    VARIANT("llama_tp", "rank0", 5, TWO, 8, 1),
    VARIANT("llama_tp", "rank1", 5, TWO, 1, 8),
};
#define NROWS ((int)(sizeof rows / sizeof *rows))
static const row block = { "llama_block", "", "-small", NULL, "report-small.json", 1, { 8, 1, 8 }, { 1, 8 } };

/* --- files --- */

static const char *path_of(golden_host *h, const row *r, const char *format, ...) JC_PRINTF(3, 4);
static const char *path_of(golden_host *h, const row *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *name = jc_arena_vprintf(h->arena, format, args);
    va_end(args);
    return jc_arena_printf(h->arena, "%s/%s/%s", golden_graphs(), r->dir, name);
}

static void drop_json(void *handle) {
    json_decref(handle);
}

static json_t *json_of(golden_host *h, const char *path) {
    json_error_t why;
    json_t *json = json_load_file(path, 0, &why);
    ck_assert_msg(json != NULL, "%s: %s", path, why.text);
    jc_arena_defer(h->arena, drop_json, json);
    return json;
}

static jc_st_file tensors_of(golden_host *h, const row *r, const char *what, int tokens) {
    jc_st_file file;
    jc_error err = JC_ERROR_INIT;
    const char *path = path_of(h, r, "%s%s-T%d.safetensors", what, r->data, tokens);
    ck_assert_msg(jc_st_read(h->arena, path, &file, &err) == JITC_OK, "%s: %s", path, err.message);
    return file;
}

/* What belongs to one number of tokens. */
typedef struct golden {
    int tokens;
    jc_st_file inputs, outputs, ref;
    const json_t *yardsticks, *undefined;
} golden;

static golden golden_of(golden_host *h, const row *r, const json_t *report, int tokens) {
    char text[16];
    snprintf(text, sizeof text, "%d", tokens);
    const json_t *t = json_object_get(json_object_get(report, "tokens"), text);
    ck_assert_msg(t != NULL, "%s: the report has nothing for %d tokens", r->dir, tokens);
    return (golden){ tokens, tensors_of(h, r, "inputs", tokens), tensors_of(h, r, "outputs", tokens),
                     tensors_of(h, r, "ref_outputs", tokens), json_object_get(t, "rel_l2_native_vs_f64"),
                     json_object_get(t, "undefined") };
}

/* --- comparing --- */

static bool listed(const json_t *array, const char *text) {
    for (size_t k = 0; k < json_array_size(array); k++)
        if (strcmp(json_string_value(json_array_get(array, k)), text) == 0)
            return true;
    return false;
}

static void compare_output(const char *what, const golden *g, const golden_out *o) {
    const char *name = o->tensor.name;
    const jc_st_tensor *ref = jc_st_find(&g->ref, name), *native = jc_st_find(&g->outputs, name);
    const json_t *yardstick = json_object_get(g->yardsticks, name);
    ck_assert_msg(ref && native && yardstick, "%s: %s is not stored", what, name);
    double y = json_number_value(yardstick);
    ck_assert_msg(o->tensor.dtype == native->dtype, "%s: %s has another dtype than PyTorch's", what, name);
    double to_ref = golden_distance(what, &o->tensor, ref), to_native = golden_distance(what, &o->tensor, native);
    if (getenv("JITC_GOLDEN_VERBOSE"))
        fprintf(stderr, "%-60s %s  ref %.2e (%.2f)  outputs %.2e (%.2f)\n", what, name, to_ref, y > 0 ? to_ref / y : 0, to_native,
                y > 0 ? to_native / y : 0);
    ck_assert_msg(to_ref <= REF_GATE * y, "%s: %s is %.2e from ref_outputs, the yardstick is %.2e", what, name, to_ref, y);
    ck_assert_msg(to_native <= OUTPUTS_GATE * y, "%s: %s is %.2e from outputs, the yardstick is %.2e", what, name, to_native,
                  y);
}

static void compare_outputs(const char *what, const golden *g, const golden_out *out, uint32_t n) {
    uint32_t compared = 0;
    for (uint32_t k = 0; k < n; k++) {
        bool undefined = listed(g->undefined, out[k].tensor.name);
        ck_assert_msg(out[k].undefined == undefined, "%s: %s %s undefined", what, out[k].tensor.name,
                      undefined ? "should be" : "is");
        if (undefined)
            continue;
        compare_output(what, g, &out[k]);
        compared++;
    }
    ck_assert_msg(compared == g->outputs.n, "%s: %u outputs of %u compared", what, compared, g->outputs.n);
}

/* The report lists the calls that carry a layer's name: a group's is none. */
static void compare_calls(const char *what, const golden_host *h, const json_t *calls) {
    size_t n = 0;
    for (size_t k = 0; k < h->calls.n; k++) {
        const golden_call *c = &h->calls.at[k];
        if (strcmp(c->op, "vllm::all_reduce") == 0)
            continue;
        const char *op = json_string_value(json_array_get(json_array_get(calls, n), 0));
        const char *name = json_string_value(json_array_get(json_array_get(calls, n), 1));
        ck_assert_msg(op && name && strcmp(c->op, op) == 0 && strcmp(c->name, name) == 0,
                      "%s: call %zu is %s of '%s', expected %s of '%s'", what, n, c->op, c->name, op ? op : "none",
                      name ? name : "");
        n++;
    }
    ck_assert_msg(n == json_array_size(calls), "%s: %zu calls, expected %zu", what, n, json_array_size(calls));
}

/* --- running --- */

/* A model beside its goldens. */
typedef struct subject {
    golden_host *h;
    const row *r;
    golden_model m;
    const json_t *names, *report;
} subject;

static subject subject_of(golden_host *h, const row *r, const char *graph) {
    subject s = { .h = h, .r = r, .m = golden_build(h, path_of(h, r, "%s", graph), NULL) };
    s.names = r->names ? json_of(h, path_of(h, r, "%s", r->names)) : NULL;
    s.report = json_of(h, path_of(h, r, "%s", r->report));
    ck_assert_msg(s.m.stats.pieces == r->pieces, "%s: %u pieces, expected %u", s.m.path, s.m.stats.pieces, r->pieces);
    return s;
}

static golden_out *run(const subject *s, int tokens) {
    golden g = golden_of(s->h, s->r, s->report, tokens);
    const char *what = jc_arena_printf(s->h->arena, "%s on %s, %d tokens", s->m.path + strlen(golden_graphs()) + 1,
                                       s->h->device->ops->name, tokens);
    golden_out *out = golden_run(s->h, &s->m, golden_values(s->h, s->m.root, &g.inputs, s->names));
    compare_outputs(what, &g, out, s->m.root->noutputs);
    compare_calls(what, s->h, json_object_get(s->report, "calls"));
    return out;
}

static void all_hits(const subject *s) {
    golden_expect(&s->m, 0, s->m.stats.classes);
}

/* Every capture of a model, one after the other in one process: the first compiles each class once, the others find them all,
   and the same code gives the same bits. */
START_TEST(on_host) {
    static const char *const captures[] = { "split%s.py", "full%s.py", "full%s_str.py", "split%s_str.py" };
    const row *r = &rows[_i];
    golden_host h;
    golden_out *first[MAX_TOKENS] = { NULL };
    golden_open(&h, "host");
    for (int c = 0; c < 4; c++) {
        char graph[64];
        snprintf(graph, sizeof graph, captures[c], r->file);
        subject s = subject_of(&h, r, graph);
        if (c == 0)
            golden_expect(&s.m, s.m.stats.classes, 0);
        else
            all_hits(&s);
        for (int k = 0; k < MAX_TOKENS && r->host[k]; k++) {
            golden_out *out = run(&s, r->host[k]);
            first[k] = c == 0 ? out : first[k];
            for (uint32_t i = 0; i < s.m.root->noutputs; i++)
                ck_assert_msg(out[i].tensor.nbytes == first[k][i].tensor.nbytes &&
                                  memcmp(out[i].tensor.data, first[k][i].tensor.data, out[i].tensor.nbytes) == 0,
                              "%s, %d tokens: other bits than split%s.py gave", s.m.path, r->host[k], r->file);
        }
    }
    golden_close(&h);
}
END_TEST

START_TEST(on_sim) {
    const row *r = &rows[_i];
    char graph[64];
    golden_host h;
    golden_open(&h, "sim");
    snprintf(graph, sizeof graph, "full%s.py", r->file);
    subject s = subject_of(&h, r, graph);
    for (int k = 0; k < MAX_TOKENS && r->sim[k]; k++)
        run(&s, r->sim[k]);
    golden_close(&h);
}
END_TEST

/* No tokens and one, whatever the symbol is called: every result against the reference, by the tool, which makes up the inputs. */
static void few_tokens(const row *r, const char *device) {
    char path[1024], line[4096], symbol[40] = "";
    snprintf(path, sizeof path, "%s/%s/full%s.py", golden_graphs(), r->dir, r->file);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s cannot be read", path);
    while (!symbol[0] && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "\"Sym(");
        if (at)
            snprintf(symbol, sizeof symbol, "%.*s", (int)strcspn(at + 5, ")"), at + 5);
    }
    fclose(f);
    for (int tokens = 0; tokens < 2; tokens++) {
        snprintf(line, sizeof line,
                 TEST_BUILDDIR "/jitc run --device %s --no-cache --plugin " TEST_BUILDDIR
                 "/examples/jitc_tiny_ops.so --sym %s=%d --verify '%s' > /dev/null 2>&1", device, symbol, tokens, path);
        ck_assert_msg(system(line) == 0, "fails: %s", line);
    }
}

START_TEST(few_on_host) {
    few_tokens(&rows[_i], "host");
}
END_TEST

START_TEST(few_on_sim) {
    few_tokens(&rows[_i], "sim");
}
END_TEST

START_TEST(llama_block) {
    const int *tokens = _i ? block.sim : block.host;
    golden_host h;
    golden_open(&h, _i ? "sim" : "host");
    subject s = subject_of(&h, &block, "small.py");
    ck_assert_uint_eq(s.m.stats.classes, 1);
    for (int k = 0; k < MAX_TOKENS && tokens[k]; k++)
        run(&s, tokens[k]);
    golden_close(&h);
}
END_TEST

static const row *row_of(const char *dir, const char *file) {
    for (int k = 0; k < NROWS; k++)
        if (strcmp(rows[k].dir, dir) == 0 && strcmp(rows[k].file, file) == 0)
            return &rows[k];
    ck_abort_msg("no row for %s%s", dir, file);
}

/* How many classes of B are classes of A as well. */
static uint64_t in_common(const subject *a, const subject *b) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < b->m.m->nclasses; i++)
        for (uint32_t k = 0; k < a->m.m->nclasses; k++) {
            const jc_piece *p = &a->m.m->pieces[a->m.m->classes[k].first], *q = &b->m.m->pieces[b->m.m->classes[i].first];
            n += memcmp(p->canon.hash.b, q->canon.hash.b, sizeof p->canon.hash.b) == 0;
        }
    return n;
}

/* Two passes of one model, one leaving layers out: they share artifacts, and each call gives its own pass's numbers, whichever
   was built first and whatever was run before. */
START_TEST(skipped_layers) {
    static const int order[] = { 0, 1, 0, 0, 1, 1, 0 };
    golden_host h;
    golden_open(&h, "host");
    subject s[2];
    for (int k = 0; k < 2; k++)
        s[k] = subject_of(&h, row_of("tiny/ernie", k == _i ? "_all" : "_text"), k == _i ? "full_all.py" : "full_text_str.py");
    golden_expect(&s[0].m, s[0].m.stats.classes, 0);
    uint64_t shared = in_common(&s[0], &s[1]);
    ck_assert_uint_ge(shared, 2);
    golden_expect(&s[1].m, s[1].m.stats.classes - shared, shared);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        run(&s[order[k]], k % 2 ? 8 : 5);
    golden_close(&h);
}
END_TEST

/* The second rank compiles nothing but the piece that holds the bounds of its vocabulary as constants of compiled operators. */
START_TEST(two_ranks) {
    golden_host h;
    golden_open(&h, "host");
    subject a = subject_of(&h, row_of("tiny/llama_tp", "_rank0"), "full_rank0.py");
    subject b = subject_of(&h, row_of("tiny/llama_tp", "_rank1"), "full_rank1.py");
    golden_expect(&a.m, a.m.stats.classes, 0);
    ck_assert_uint_eq(in_common(&a, &b), 3);
    golden_expect(&b.m, 1, 3);
    for (int k = 0; k < 2; k++) {
        run(&b, 8);
        run(&a, 8);
        run(&a, 1);
        run(&b, 1);
    }
    golden_close(&h);
}
END_TEST

/* Two layers' names exchanged: far off, so the comparison would notice names taken in the wrong order. */
START_TEST(exchanged_names_are_noticed) {
    const row *r = row_of("tiny/qwen3_5", "");
    golden_host h;
    golden_open(&h, "host");
    subject s = subject_of(&h, r, "full.py");
    golden g = golden_of(&h, r, s.report, 8);
    jitc_value *in = golden_values(&h, s.m.root, &g.inputs, s.names), *first = NULL, *second = NULL;
    for (uint32_t k = 0; k < s.m.root->nparams; k++)
        if (in[k].tag == JITC_NAME && strstr(jitc_layer_name_text(in[k].name), "linear_attn"))
            *(first ? &second : &first) = &in[k];
    ck_assert(first && second);
    jitc_value kept = *first;
    *first = *second;
    *second = kept;
    const golden_out *out = golden_run(&h, &s.m, in);
    ck_assert(golden_distance("exchanged", &out[0].tensor, jc_st_find(&g.ref, "out0")) >
              10 * json_number_value(json_object_get(g.yardsticks, "out0")));
    golden_close(&h);
}
END_TEST

int main(void) {
    if (!golden_there())
        return 77;
    Suite *s = suite_create("models");
    TCase *host = tcase_create("host"), *sim = tcase_create("sim");
    tcase_set_timeout(host, 60);
    tcase_set_timeout(sim, 60);
    tcase_add_loop_test(host, on_host, 0, NROWS);
    tcase_add_loop_test(host, llama_block, 0, 1);
    tcase_add_loop_test(host, skipped_layers, 0, 2);
    tcase_add_test(host, two_ranks);
    tcase_add_test(host, exchanged_names_are_noticed);
    tcase_add_loop_test(sim, on_sim, 0, NROWS);
    tcase_add_loop_test(sim, llama_block, 1, 2);
    tcase_add_loop_test(host, few_on_host, 0, NROWS);
    tcase_add_loop_test(sim, few_on_sim, 0, NROWS);
    suite_add_tcase(s, host);
    suite_add_tcase(s, sim);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
