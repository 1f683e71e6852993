/*
 * tools/cmd_run.c - `jitc run`: every file in turn, in one process, from inputs to numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/run.h"

typedef struct session {
    tool *t;
    jitc_model *model;
    jc_device *device;
    jc_st_file inputs;
    bool have_inputs;
    json_t *names;
    JC_VEC(run *) runs;
} session;

/* --- one run --- */

static void record_call(void *user, const char *op, const jitc_layer_name *name) {
    run *r = user;
    run_call c = { jc_arena_strdup(r->arena, op), name ? jc_name_text(name) : NULL };
    jc_push(r->arena, &r->calls, c);
}

static jitc_status execute(run *r, jitc_value *results) {
    return r->piece == UINT32_MAX
               ? jitc_model_run(r->model, r->graph, NULL, r->values, r->f->nparams, results, r->noutputs)
               : jitc_piece_run(r->model, r->piece, NULL, r->values, r->f->nparams, results, r->noutputs);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Further runs, each waited for. */
static int measure(run *r, jitc_value *results) {
    tool *t = r->t;
    jc_error err = JC_ERROR_INIT;
    size_t n = (size_t)(t->o.repeat ? t->o.repeat : t->o.time ? 20 : 0);
    double *us = JC_NEWN(r->arena, double, n);
    for (size_t i = 0; i < n; i++) {
        double start = jc_now_ms();
        if (execute(r, results) != JITC_OK)
            return tool_fail_library(t);
        TOOL_TRY(t, &err, r->device->ops->sync(r->device, NULL, &err));
        us[i] = (jc_now_ms() - start) * 1000;
    }
    if (n) {
        qsort(us, n, sizeof *us, compare_doubles);
        r->min_us = us[0];
        r->median_us = us[n / 2];
    }
    return 0;
}

static int run_and_fetch(run *r) {
    tool *t = r->t;
    jc_error err = JC_ERROR_INIT;
    jc_call_trace trace = { record_call, r };
    jitc_value *results = JC_NEWN(r->arena, jitc_value, r->noutputs);
    TOOL_TRY(t, &err, run_to_device(r, &err));
    double start = jc_now_ms();
    t->ctx->trace = &trace;
    jitc_status status = execute(r, results);
    t->ctx->trace = NULL;
    if (status != JITC_OK)
        return tool_fail_library(t);
    TOOL_TRY(t, &err, r->device->ops->sync(r->device, NULL, &err));
    r->first_ms = jc_now_ms() - start;
    TOOL_TRY(t, &err, run_outputs(r, results, &err));
    return measure(r, results);
}

static int do_run(session *s, run *r) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    jc_eval_out *reference = NULL;
    TOOL_TRY(t, &err, run_inputs(r, s->have_inputs ? &s->inputs : NULL, s->names, &err));
    if (r->made && !t->o.json)
        fprintf(stderr, "jitc: %s: %u input%s made up (seed %lld)\n", r->file, r->made, r->made == 1 ? "" : "s",
                (long long)t->o.seed);
    if (t->o.verify)
        TOOL_TRY(t, &err, run_reference(r, &reference, &err));
    int code = run_and_fetch(r);
    run_free_device(r);
    if (code == 0 && reference)
        run_compare(r, reference);
    return code;
}

static int start_run(session *s, uint32_t graph, uint32_t piece) {
    jc_guard guard;
    jc_arena *arena = jc_arena_new(NULL);
    volatile int code = 5;
    if (!arena || JC_GUARD(arena, &guard)) {
        fprintf(stderr, "jitc: out of memory for the tensors\n");
    } else {
        run *r = JC_NEW(arena, run);
        *r = (run){ .t = s->t, .arena = arena, .model = s->model, .graph = graph, .piece = piece, .device = s->device };
        r->f = piece == UINT32_MAX ? s->model->graphs[graph]->g->root : s->model->pieces[piece].func;
        r->file = s->model->graphs[graph]->g->file;
        r->noutputs = r->f->noutputs;
        jc_push(s->t->arena, &s->runs, r);
        code = do_run(s, r);
    }
    if (arena)
        jc_guard_end(arena, &guard);
    return code;
}

/* --- results --- */

static json_t *shape_json(const jc_st_tensor *t) {
    json_t *shape = json_array();
    for (int d = 0; d < t->rank; d++)
        json_array_append_new(shape, json_integer(t->dims[d]));
    return shape;
}

static json_t *output_json(const run *r, const run_output *o, const char *name) {
    json_t *out = json_object();
    tool_set(out, "name", tool_text(name));
    tool_set(out, "file", tool_text(r->file));
    tool_set(out, "dtype", tool_text(o->kind == JC_NAME ? "none" : jc_dtypes[o->tensor.dtype].name));
    tool_set(out, "shape", shape_json(&o->tensor));
    if (o->kind == JC_SYMINT)
        tool_set(out, "value", json_integer(o->integer));
    if (o->undefined)
        tool_set(out, "undefined", json_true());
    if (r->t->o.verify) {
        tool_set(out, "max_abs", tool_real(o->max_abs));
        tool_set(out, "rel_l2", tool_real(o->rel_l2));
        tool_set(out, "rtol", tool_real(o->rtol));
        tool_set(out, "ok", json_boolean(!o->differs));
    }
    return out;
}

static json_t *calls_json(const run *r, json_t *calls) {
    for (size_t i = 0; i < r->calls.n; i++) {
        json_t *c = json_object();
        tool_set(c, "op", tool_text(r->calls.at[i].op));
        tool_set(c, "layer_name", r->calls.at[i].layer_name ? tool_text(r->calls.at[i].layer_name) : json_null());
        tool_set(c, "file", tool_text(r->file));
        json_array_append_new(calls, c);
    }
    return calls;
}

static json_t *time_json(const run *r) {
    json_t *o = json_object();
    tool_set(o, "file", tool_text(r->file));
    tool_set(o, "first_ms", tool_real(r->first_ms));
    if (r->median_us > 0) {
        tool_set(o, "min_us", tool_real(r->min_us));
        tool_set(o, "median_us", tool_real(r->median_us));
    }
    return o;
}

static int print_json(const session *s, const jitc_model_stats *stats, int code) {
    json_t *out = tool_stats_json(stats), *outputs = json_array(), *calls = json_array(), *times = json_array();
    char target[64];
    uint32_t n = 0;
    jc_target_text(&s->model->target, target);
    tool_set(out, "memory", json_pack("{s:I,s:I,s:I}", "peak", (json_int_t)stats->peak_bytes, "pool",
                                      (json_int_t)stats->pool_bytes, "values", (json_int_t)stats->value_bytes));
    tool_set(out, "device", tool_text(s->device->ops->name));
    tool_set(out, "arch", tool_text(target));
    for (size_t i = 0; i < s->runs.n; i++) {
        const run *r = s->runs.at[i];
        for (uint32_t k = 0; k < r->noutputs; k++)
            json_array_append_new(outputs, output_json(r, &r->outputs[k], jc_arena_printf(s->t->arena, "out%u", n++)));
        calls_json(r, calls);
        json_array_append_new(times, time_json(r));
    }
    tool_set(out, "outputs", outputs);
    tool_set(out, "calls", calls);
    tool_set(out, "run", times);
    if (s->t->o.verify)
        tool_set(out, "verified", json_boolean(code == 0));
    return tool_json(s->t, out, code);
}

/* A few numbers of an output, enough to tell two apart. */
static void print_head(const run_output *o) {
    const jc_st_tensor *t = &o->tensor;
    size_t size = jc_dtypes[t->dtype].size, n = t->nbytes / size;
    for (size_t i = 0; i < n && i < 4; i++) {
        const char *at = (const char *)t->data + i * size;
        if (jc_dtypes[t->dtype].cls == 'f')
            printf(" %.5g", jc_load_float(t->dtype, at));
        else
            printf(" %lld", (long long)jc_load_int(t->dtype, at));
    }
    printf("%s", n > 4 ? " ..." : "");
}

static void print_output(const run *r, const run_output *o, const char *name) {
    char type[160];
    int n = snprintf(type, sizeof type, "%s[", o->kind == JC_NAME ? "none" : jc_dtypes[o->tensor.dtype].name);
    for (int d = 0; d < o->tensor.rank; d++)
        n += snprintf(type + n, sizeof type - (size_t)n, "%s%lld", d ? ", " : "", (long long)o->tensor.dims[d]);
    snprintf(type + n, sizeof type - (size_t)n, "]");
    printf("  %-6s %-22s", name, type);
    if (o->undefined) {
        printf(" undefined: nothing writes it\n");
        return;
    }
    if (r->t->o.verify)
        printf(" max_abs %-10.3g rel_l2 %-10.3g %-4s", o->max_abs, o->rel_l2, o->differs ? "BAD" : "ok");
    if (o->kind != JC_NAME)
        print_head(o);
    putchar('\n');
}

static int print_text(const session *s, const jitc_model_stats *stats, int code) {
    char target[64];
    uint32_t n = 0;
    jc_target_text(&s->model->target, target);
    printf("%u pieces, %u classes, %llu compiled, %llu hits, for %s; ready in %.1f ms\n", stats->pieces, stats->classes,
           (unsigned long long)stats->compiled, (unsigned long long)stats->hits, target, stats->ms_total);
    for (size_t i = 0; i < s->runs.n; i++) {
        const run *r = s->runs.at[i];
        printf("%s%s%s\n", r->file, r->piece == UINT32_MAX ? "" : " ", r->piece == UINT32_MAX ? "" : r->f->name);
        for (size_t k = 0; k < r->calls.n; k++)
            printf("  call   %s %s\n", r->calls.at[k].op, r->calls.at[k].layer_name ? r->calls.at[k].layer_name : "");
        for (uint32_t k = 0; k < r->noutputs; k++)
            print_output(r, &r->outputs[k], jc_arena_printf(s->t->arena, "out%u", n++));
        if (r->median_us > 0)
            printf("  time   min %.2f us, median %.2f us\n", r->min_us, r->median_us);
    }
    if (s->t->o.verify)
        printf("%s\n", code ? "the results DIFFER from the reference" : "all results agree with the reference");
    return code;
}

static jitc_status write_outputs(const session *s, jc_error *err) {
    jc_st_tensor *all;
    uint32_t n = 0, kept = 0;
    if (!s->t->o.outputs)
        return JITC_OK;
    for (size_t i = 0; i < s->runs.n; i++)
        n += s->runs.at[i]->noutputs;
    all = JC_NEWN(s->t->arena, jc_st_tensor, n);
    n = 0;
    for (size_t i = 0; i < s->runs.n; i++)
        for (uint32_t k = 0; k < s->runs.at[i]->noutputs; k++, n++) {
            const run_output *o = &s->runs.at[i]->outputs[k];
            if (o->undefined || o->kind == JC_NAME)
                continue;
            all[kept] = o->tensor;
            all[kept++].name = jc_arena_printf(s->t->arena, "out%u", n);
        }
    tool_hold_signals(true);
    jitc_status status = jc_st_write(s->t->arena, s->t->o.outputs, all, kept, err);
    tool_hold_signals(false);
    return status;
}

/* --- the whole session --- */

static bool func_has(const jc_func *f, const char *name, size_t n) {
    for (uint32_t i = 0; i < f->nparams; i++)
        if (strlen(f->params[i]->name) == n && memcmp(f->params[i]->name, name, n) == 0)
            return true;
    return false;
}

static bool has_param(jitc_graph *const *graphs, uint32_t ngraphs, const char *name, size_t n) {
    for (uint32_t g = 0; g < ngraphs; g++) {
        if (func_has(graphs[g]->g->root, name, n))
            return true;
        for (size_t p = 0; p < graphs[g]->g->pieces.n; p++)
            if (func_has(graphs[g]->g->pieces.at[p], name, n))
                return true;
    }
    return false;
}

static bool has_symbol(jitc_graph *const *graphs, uint32_t ngraphs, const char *name, size_t n) {
    for (uint32_t g = 0; g < ngraphs; g++)
        if (jc_sym_find(graphs[g]->g->exprs, name, n) != UINT32_MAX)
            return true;
    return false;
}

/* Symbols that --sym names must be there: before anything is compiled. */
static jitc_status check_symbols(const tool *t, jitc_graph *const *graphs, uint32_t ngraphs, jc_error *err) {
    const char *rest;
    size_t n;
    int64_t value;
    for (size_t i = 0; i < t->o.sym.n; i++) {
        const char *text = t->o.sym.at[i];
        if (!tool_pair(text, &n, &rest) || !tool_integer(rest, &value) || value < 0)
            return jc_fail(err, JITC_E_USAGE, "--sym takes SYMBOL=NUMBER, not '%s'", text);
        if (!has_symbol(graphs, ngraphs, text, n))
            return jc_fail(err, JITC_E_USAGE, "--sym: no graph has a symbol '%.*s'", (int)n, text);
    }
    return JITC_OK;
}

/* Likewise the parameters of --name.  Those of the pieces of a flat graph are known only when it has been cut. */
static jitc_status check_names(const tool *t, jitc_graph *const *graphs, uint32_t ngraphs, jc_error *err) {
    const char *rest;
    size_t n;
    for (size_t i = 0; i < t->o.name.n; i++) {
        const char *text = t->o.name.at[i];
        if (!tool_pair(text, &n, &rest))
            return jc_fail(err, JITC_E_USAGE, "--name takes PARAM=STRING, not '%s'", text);
        if (!has_param(graphs, ngraphs, text, n))
            return jc_fail(err, JITC_E_USAGE, "--name: no graph has a parameter '%.*s'", (int)n, text);
    }
    return JITC_OK;
}

static int run_all(session *s) {
    const char *wanted = s->t->o.piece;
    int code = 0;
    if (!wanted) {
        for (uint32_t g = 0; g < s->model->ngraphs && !code; g++)
            code = start_run(s, g, UINT32_MAX);
        return code;
    }
    for (uint32_t p = 0; p < s->model->npieces && !code; p++)
        if (strcmp(s->model->pieces[p].func->name, wanted) == 0)
            code = start_run(s, s->model->pieces[p].graph, p);
    if (!code && s->runs.n == 0) {
        jc_error err = JC_ERROR_INIT;
        jc_fail(&err, JITC_E_USAGE, "there is no piece '%s'; jitc split lists them", wanted);
        return tool_fail(s->t, &err);
    }
    return code;
}

static int report(session *s) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    jitc_model_stats stats = { .struct_size = sizeof stats };
    int code = 0;
    TOOL_TRY(t, &err, write_outputs(s, &err));
    for (size_t i = 0; i < s->runs.n; i++)
        for (uint32_t k = 0; k < s->runs.at[i]->noutputs; k++)
            code |= s->runs.at[i]->outputs[k].differs;
    jitc_model_get_stats(s->model, &stats);
    stats.kernels = stats.kernels_unique = 0;
    jc_map *unique = jc_map_new(t->arena);
    for (uint32_t i = 0; i < s->model->nclasses; i++)
        for (uint32_t v = 0; v < s->model->classes[i].nvariants; v++) {
            tool_kernels k;
            TOOL_TRY(t, &err, tool_class_kernels(t, &s->model->classes[i].variants[v], &k, &err));
            stats.kernels += k.n;
            for (uint32_t j = 0; j < k.n; j++)
                jc_map_set(unique, k.at[j].key.b, JC_HASH_SIZE, (void *)&k.at[j]);
        }
    stats.kernels_unique = jc_map_count(unique);
    return t->o.json ? print_json(s, &stats, code) : print_text(s, &stats, code);
}

/* What to compile for: NULL is what the device wants. */
static jitc_status run_arch(const session *s, const char **arch, jc_error *err) {
    const tool_options *o = &s->t->o;
    jc_target target;
    *arch = NULL;
    if (o->arch.n > 1)
        return jc_fail(err, JITC_E_USAGE, "--arch: a run takes one");
    if (o->arch.n == 0)
        return JITC_OK;
    JC_TRY(jc_target_parse(o->arch.at[0], &target, err));
    if (s->device->target.dialect == JC_DIALECT_SIM && target.dialect != JC_DIALECT_HOST)
        return JITC_OK; /* the device was opened for that arch */
    if (target.dialect != s->device->target.dialect)
        return jc_fail(err, JITC_E_USAGE, "--arch %s does not run on device %s", o->arch.at[0], s->device->ops->name);
    *arch = o->arch.at[0];
    return JITC_OK;
}

/* From text: read, compile or look up. */
static int prepare_text(session *s, const char *arch) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    jitc_graph **graphs;
    uint32_t n = (uint32_t)t->o.files.n;
    int code = tool_read(t, &graphs);
    if (code)
        return code;
    TOOL_TRY(t, &err, check_symbols(t, graphs, n, &err));
    if (!t->o.piece)
        TOOL_TRY(t, &err, check_names(t, graphs, n, &err));
    code = tool_model(t, graphs, n, &(tool_build){ .arch = arch }, &s->model);
    if (!code && t->o.piece)
        TOOL_TRY(t, &err, check_names(t, graphs, n, &err));
    return code;
}

static int prepare_bundle(session *s, const char *arch) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    if (jitc_bundle_load(t->ctx, t->o.files.at[0], arch, &s->model) != JITC_OK)
        return tool_fail_library(t);
    TOOL_TRY(t, &err, check_symbols(t, s->model->graphs, s->model->ngraphs, &err));
    TOOL_TRY(t, &err, check_names(t, s->model->graphs, s->model->ngraphs, &err));
    return 0;
}

/* Loading alone needs no device, so it can be done for any arch. */
static jitc_status open_device(session *s, const char **arch, jc_error *err) {
    const tool_options *o = &s->t->o;
    if (o->load_only && o->arch.n <= 1) {
        *arch = o->arch.n ? o->arch.at[0] : NULL;
        return JITC_OK;
    }
    JC_TRY(jc_context_device(s->t->ctx, &s->device, err));
    return run_arch(s, arch, err);
}

static int prepare(session *s) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    const char *arch;
    bool bundle;
    TOOL_TRY(t, &err, run_bundle_check(t, &bundle, &err));
    int code = tool_open(t, true);
    if (code)
        return code;
    TOOL_TRY(t, &err, open_device(s, &arch, &err));
    if (t->o.inputs)
        TOOL_TRY(t, &err, jc_st_read(t->arena, t->o.inputs, &s->inputs, &err));
    s->have_inputs = t->o.inputs != NULL;
    if (t->o.names)
        TOOL_TRY(t, &err, tool_load_json(t, t->o.names, &s->names, &err));
    return bundle ? prepare_bundle(s, arch) : prepare_text(s, arch);
}

int cmd_run(tool *t) {
    session s = { .t = t };
    int code = prepare(&s);
    if (!code && t->o.load_only) {
        code = run_load_only(t, s.model);
    } else {
        if (!code)
            code = run_all(&s);
        if (!code)
            code = report(&s);
    }
    for (size_t i = 0; i < s.runs.n; i++)
        jc_arena_free(s.runs.at[i]->arena);
    json_decref(s.names);
    return code;
}
