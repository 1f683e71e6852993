/*
 * tests/check_goldens.c - whole models: read, run by the reference with the example plugin, compared with what PyTorch
 * computed from the same text.
 *
 * `ref` is the graph in double without any rounding, `outputs` is PyTorch's own dtypes.  report.json holds the distance
 * between the two, the yardstick: the reference, which rounds at explicit casts alone, has to be nearer to `ref` than PyTorch is,
 * and about as far from `outputs` as `ref` is.
 */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/fx/fx.h"
#include "ir/solve.h"
#include "tests/tiny_host.h"
#include "tools/safetensors.h"

#define REF_GATE 1.1
#define OUTPUTS_GATE 1.4

static const struct row {
    const char *dir, *graph, *variant, *names, *report;
    int tokens[4];
} rows[] = {
#define MODEL(dir) \
    { "tiny/" dir, "full.py", "", "names.json", "report.json", { 1, 5, 8, 33 } }, \
    { "tiny/" dir, "split.py", "", "names.json", "report.json", { 8 } }, \
    { "tiny/" dir, "full_str.py", "", NULL, "report.json", { 5 } }, \
    { "tiny/" dir, "split_str.py", "", NULL, "report.json", { 33 } }
#define VARIANT(dir, v, ...) \
    { "tiny/" dir, "full_" v ".py", "-" v, "names_" v ".json", "report-" v ".json", { __VA_ARGS__ } }, \
    { "tiny/" dir, "split_" v ".py", "-" v, "names_" v ".json", "report-" v ".json", { 8 } }, \
    { "tiny/" dir, "full_" v "_str.py", "-" v, NULL, "report-" v ".json", { 8 } }, \
    { "tiny/" dir, "split_" v "_str.py", "-" v, NULL, "report-" v ".json", { 8 } }
    MODEL("llama"), MODEL("opt"), MODEL("qwen3_5"), MODEL("gpt_oss"), MODEL("deepseek"), MODEL("mamba2"),
    VARIANT("ernie", "all", 1, 5, 8, 33), VARIANT("ernie", "text", 1, 5, 8, 33),
    VARIANT("llama_tp", "rank0", 1, 8), VARIANT("llama_tp", "rank1", 1, 8),
    /* The norms as operators; inputs and outputs are the plain model's. */
    { "tiny/llama", "full_ir.py", "", "names_ir.json", "report.json", { 1, 5, 8, 33 } },
    { "tiny/llama", "split_ir.py", "", "names_ir.json", "report.json", { 8 } },
    { "tiny/llama", "full_ir_str.py", "", NULL, "report.json", { 8 } },
    { "llama_block", "small.py", "-small", NULL, "report-small.json", { 1, 8 } },
};

static const char *graphs;
static jc_arena *arena;
static tiny_host host;

static void set_up(void) {
    jc_error err = JC_ERROR_INIT;
    arena = jc_arena_new(NULL);
    ck_assert_msg(tiny_host_open(arena, &host, &err) == JITC_OK, "the plugin: %s", err.message);
}

static void tear_down(void) {
    jc_arena_free(arena);
}

/* ---- files ---- */

static const char *path_of(const struct row *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *name = jc_arena_vprintf(arena, format, args);
    va_end(args);
    return jc_arena_printf(arena, "%s/%s/%s", graphs, r->dir, name);
}

static void drop_json(void *handle) {
    json_decref(handle);
}

static json_t *json_of(const char *path) {
    json_error_t why;
    json_t *json = json_load_file(path, 0, &why);
    ck_assert_msg(json != NULL, "%s: %s", path, why.text);
    jc_arena_defer(arena, drop_json, json);
    return json;
}

static jc_func *graph_of(const char *path) {
    jc_graph *g = NULL;
    jc_error err = JC_ERROR_INIT;
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    char *text = jc_arena_alloc(arena, size);
    rewind(f);
    ck_assert(fread(text, 1, size, f) == size);
    fclose(f);
    ck_assert_msg(jc_fx_read(arena, path, text, size, &g, &err) == JITC_OK, "%s:%d: %s", path, err.line, err.message);
    return g->root;
}

static jc_st_file tensors_of(const char *path) {
    jc_st_file file;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_st_read(arena, path, &file, &err) == JITC_OK, "%s: %s", path, err.message);
    return file;
}

/* ---- running ---- */

static jitc_value tensor_value(const jc_st_tensor *t) {
    DLTensor *dl = JC_NEW(arena, DLTensor);
    *dl = (DLTensor){ .data = (void *)t->data, .ndim = t->rank, .device = { .device_type = kDLCPU },
                      .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
    dl->shape = jc_arena_memdup(arena, t->dims, sizeof t->dims);
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = dl };
}

/* Tensors by the parameters' names, strings by NAMES; symints are left to solving. */
static jitc_value *values_of(const jc_func *f, const jc_st_file *inputs, const json_t *names) {
    jitc_value *in = JC_NEWN(arena, jitc_value, f->nparams);
    for (uint32_t k = 0; k < f->nparams; k++) {
        const jc_value *p = f->params[k];
        if (p->type.kind == JC_TENSOR) {
            const jc_st_tensor *t = jc_st_find(inputs, p->name);
            ck_assert_msg(t != NULL, "no input for %s", p->name);
            in[k] = tensor_value(t);
        } else if (p->type.kind == JC_NAME) {
            const char *text = json_string_value(json_object_get(names, p->name));
            ck_assert_msg(text != NULL, "no name for %s", p->name);
            in[k] = (jitc_value){ .tag = JITC_NAME, .name = jc_name_intern(host.names, text, NULL) };
        }
    }
    return in;
}

static jc_eval_out *run(const jc_func *f, const jitc_value *in) {
    jc_error err = JC_ERROR_INIT;
    uint32_t nsyms = jc_sym_count(f->graph->exprs);
    int64_t *syms = JC_NEWN(arena, int64_t, nsyms);
    jc_eval_out *out = JC_NEWN(arena, jc_eval_out, f->noutputs);
    jc_eval_host call = { .call = tiny_host_call, .user = &host };
    ck_assert_msg(jc_solve(f, in, 8, syms, &err) == JITC_OK, "solving: %s", err.message);
    ck_assert_msg(jc_eval(f, 0, syms, nsyms, in, &call, arena, out, &err) == JITC_OK, "line %d: %s", err.line, err.message);
    return out;
}

/* ||a - b|| / ||b||; 0 where both are zero. */
static double distance(const jc_eval_out *a, const jc_st_tensor *b) {
    double apart = 0, size = 0;
    int64_t n = 1;
    ck_assert_int_eq(a->rank, b->rank);
    for (int d = 0; d < a->rank; d++) {
        ck_assert_int_eq(a->dims[d], b->dims[d]);
        n *= a->dims[d];
    }
    for (int64_t k = 0; k < n; k++) {
        double x = jc_load_float(b->dtype, (const char *)b->data + k * jc_dtypes[b->dtype].size);
        apart += (a->f[k] - x) * (a->f[k] - x);
        size += x * x;
    }
    return apart == 0 ? 0 : sqrt(apart / size);
}

static bool listed(const json_t *array, const char *text) {
    size_t k;
    json_t *item;
    json_array_foreach((json_t *)array, k, item) {
        if (!strcmp(json_string_value(item), text))
            return true;
    }
    return false;
}

/* What belongs to one number of tokens. */
typedef struct golden {
    jc_st_file inputs, outputs, ref;
    const json_t *report;
} golden;

static golden golden_of(const struct row *r, int tokens) {
    const char *v = r->variant;
    char text[16];
    snprintf(text, sizeof text, "%d", tokens);
    return (golden){
        tensors_of(path_of(r, "inputs%s-T%d.safetensors", v, tokens)),
        tensors_of(path_of(r, "outputs%s-T%d.safetensors", v, tokens)),
        tensors_of(path_of(r, "ref_outputs%s-T%d.safetensors", v, tokens)),
        json_object_get(json_object_get(json_of(path_of(r, "%s", r->report)), "tokens"), text),
    };
}

static void compare(const struct row *r, int tokens, const jc_func *f, const jc_eval_out *out, const golden *g) {
    uint32_t compared = 0;
    for (uint32_t k = 0; k < f->noutputs; k++) {
        const char *name = jc_arena_printf(arena, "out%u", k);
        bool undefined = listed(json_object_get(g->report, "undefined"), name);
        ck_assert_msg(out[k].undefined == undefined, "%s/%s T=%d %s: undefined or not", r->dir, r->graph, tokens, name);
        if (undefined)
            continue;
        double yardstick = json_number_value(json_object_get(json_object_get(g->report, "rel_l2_native_vs_f64"), name));
        const jc_st_tensor *ref = jc_st_find(&g->ref, name), *native = jc_st_find(&g->outputs, name);
        ck_assert_msg(ref && native, "%s is not stored", name);
        double to_ref = distance(&out[k], ref), to_native = distance(&out[k], native);
        if (getenv("JITC_GOLDEN_VERBOSE"))
            fprintf(stderr, "%-16s %-18s T=%-2d %s  ref %.2e (%.2f)  outputs %.2e (%.2f)\n", r->dir, r->graph, tokens, name,
                    to_ref, to_ref / yardstick, to_native, to_native / yardstick);
        ck_assert_msg(to_ref <= REF_GATE * yardstick, "%s/%s T=%d %s: %.2e from ref, the yardstick is %.2e", r->dir,
                      r->graph, tokens, name, to_ref, yardstick);
        ck_assert_msg(to_native <= OUTPUTS_GATE * yardstick, "%s/%s T=%d %s: %.2e from outputs, the yardstick is %.2e",
                      r->dir, r->graph, tokens, name, to_native, yardstick);
        compared++;
    }
    ck_assert_msg(compared == g->outputs.n, "%s/%s T=%d: %u outputs of %u compared", r->dir, r->graph, tokens, compared,
                  g->outputs.n);
}

START_TEST(models) {
    const struct row *r = &rows[_i];
    const jc_func *f = graph_of(path_of(r, "%s", r->graph));
    json_t *names = r->names ? json_of(path_of(r, "%s", r->names)) : NULL;
    for (int k = 0; k < 4 && r->tokens[k]; k++) {
        golden g = golden_of(r, r->tokens[k]);
        compare(r, r->tokens[k], f, run(f, values_of(f, &g.inputs, names)), &g);
    }
}
END_TEST

/* Two layers' names exchanged: far off, so the comparison would notice names taken in the wrong order. */
START_TEST(exchanged_names_are_noticed) {
    const struct row *r = NULL;
    for (size_t k = 0; k < sizeof rows / sizeof *rows && !r; k++)
        r = strcmp(rows[k].dir, "tiny/qwen3_5") ? NULL : &rows[k];
    ck_assert(r != NULL);
    const jc_func *f = graph_of(path_of(r, "%s", r->graph));
    golden g = golden_of(r, 8);
    jitc_value *in = values_of(f, &g.inputs, json_of(path_of(r, "%s", r->names))), *first = NULL, *second = NULL;
    for (uint32_t k = 0; k < f->nparams; k++) {
        if (in[k].tag == JITC_NAME && strstr(jc_name_text(in[k].name), "linear_attn"))
            *(first ? &second : &first) = &in[k];
    }
    ck_assert(first && second);
    jitc_value kept = *first;
    *first = *second;
    *second = kept;
    double yardstick =
        json_number_value(json_object_get(json_object_get(g.report, "rel_l2_native_vs_f64"), "out0"));
    ck_assert(distance(&run(f, in)[0], jc_st_find(&g.ref, "out0")) > 10 * yardstick);
}
END_TEST

int main(void) {
    graphs = getenv("JITC_GRAPHS");
    if (!graphs)
        graphs = TEST_SRCDIR "/../shared/graphs";
    FILE *f = fopen(jc_arena_printf(arena = jc_arena_new(NULL), "%s/tiny/README.md", graphs), "rb");
    jc_arena_free(arena);
    if (!f) {
        fprintf(stderr, "SKIP: there are no graphs in %s; set JITC_GRAPHS.\n", graphs);
        return 77;
    }
    fclose(f);
    Suite *s = suite_create("goldens");
    TCase *t = tcase_create("models");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, models, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(t, exchanged_names_are_noticed);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
