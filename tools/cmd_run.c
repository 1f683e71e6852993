/*
 * tools/cmd_run.c - `jitc run`: every file in turn, in one process, from inputs to numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/run.h"

/* --- one run --- */

static void record_call(void *user, const char *op, const jitc_layer_name *name) {
    run *r = user;
    run_call c = { jc_arena_strdup(r->arena, op), name ? jc_name_text(name) : NULL };
    jc_push(r->arena, &r->calls, c);
}

static jitc_status execute(run *r, jitc_value *results) {
    return r->piece == UINT32_MAX
               ? jitc_model_run(r->model, r->graph, NULL, r->values, r->f->nparams, results, r->f->noutputs)
               : jitc_piece_run(r->model, r->piece, NULL, r->values, r->f->nparams, results, r->f->noutputs);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Further runs, each waited for. */
static int measure(run *r, jitc_value *results) {
    tool *t = r->t;
    jc_error err = JC_ERROR_INIT;
    size_t n = t->o.repeat ? (size_t)t->o.repeat : r->default_repeat;
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
        r->max_us = us[n - 1];
        r->repeated = n;
    }
    return 0;
}

static int run_and_fetch(run *r) {
    tool *t = r->t;
    jc_error err = JC_ERROR_INIT;
    jc_call_trace trace = { record_call, r };
    jitc_value *results = JC_NEWN(r->arena, jitc_value, r->f->noutputs);
    TOOL_TRY(t, &err, run_to_device(r, &err));
    double start = jc_now_ms();
    t->ctx->trace = &trace;
    jitc_status status = execute(r, results);
    t->ctx->trace = NULL;
    if (status != JITC_OK)
        return tool_fail_library(t);
    TOOL_TRY(t, &err, r->device->ops->sync(r->device, NULL, &err));
    r->first_ms = jc_now_ms() - start;
    tool_span(t, "first run", r->piece == UINT32_MAX ? r->file : r->f->name, start);
    TOOL_TRY(t, &err, run_outputs(r, results, &err));
    return measure(r, results);
}

static int do_run(run_session *s, run *r) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    run_judge reference = { NULL, NULL };
    if (r->piece == UINT32_MAX)
        TOOL_TRY(t, &err, run_weights(t, r->graph, s->model->graphs[r->graph]->g, r->arena, &r->weights, &err));
    TOOL_TRY(t, &err, run_inputs(r, s->have_inputs ? &s->inputs : NULL, s->names, &err));
    if (r->made && !t->o.json && !t->o.quiet)
        fprintf(stderr, "jitc: %s: %u input%s made up (seed %lld)\n", r->file, r->made, r->made == 1 ? "" : "s",
                (long long)t->o.seed);
    if (t->o.verify)
        TOOL_TRY(t, &err, run_reference(r, &reference, &err));
    int code = run_and_fetch(r);
    run_free_device(r);
    if (code == 0 && reference.exact)
        run_compare(r, &reference);
    return code;
}

static int start_run(run_session *s, uint32_t graph, uint32_t piece) {
    jc_guard guard;
    jc_arena *arena = jc_arena_new(NULL);
    volatile int code = 5;
    if (!arena || JC_GUARD(arena, &guard)) {
        code = tool_no_memory(s->t);
    } else {
        run *r = JC_NEW(arena, run);
        *r = (run){ .t = s->t, .arena = arena, .model = s->model, .graph = graph, .piece = piece, .device = s->device };
        r->f = piece == UINT32_MAX ? s->model->graphs[graph]->g->root : s->model->pieces[piece].func;
        r->file = s->model->graphs[graph]->g->file;
        r->default_repeat = s->bench ? 100 : s->t->o.time ? 20 : 0;
        r->noutputs = r->f->noutputs;
        for (uint32_t i = 0; i < r->f->nparams; i++)
            r->noutputs += run_writes(r, i);
        jc_push(s->t->arena, &s->runs, r);
        code = do_run(s, r);
    }
    if (arena)
        jc_guard_end(arena, &guard);
    return code;
}

/* --- results --- */

static jitc_status write_outputs(const run_session *s, jc_error *err) {
    jc_st_tensor *all;
    uint32_t n = 0, kept = 0;
    if (!s->t->o.outputs)
        return JITC_OK;
    for (size_t i = 0; i < s->runs.n; i++)
        n += s->runs.at[i]->noutputs;
    all = JC_NEWN(s->t->arena, jc_st_tensor, n);
    n = 0;
    for (size_t i = 0; i < s->runs.n; i++)
        for (uint32_t k = 0; k < s->runs.at[i]->noutputs; k++) {
            const run_output *o = &s->runs.at[i]->outputs[k];
            const char *name = run_output_name(s, o, &n);
            if (o->undefined || o->kind == JC_NAME)
                continue;
            all[kept] = o->tensor;
            all[kept++].name = name;
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
        if (!tool_pair(text, &n, &rest) || !tool_integer(rest, &value))
            return jc_fail(err, JITC_E_USAGE, "--sym takes SYMBOL=NUMBER, not '%s'", text);
        if (value < 0)
            return jc_fail(err, JITC_E_UNSUPPORTED, "--sym %s: symbols start at 0, as sizes do, and what is compiled relies on it; an integer below 0 has to be a number in the text", text);
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

static int run_all(run_session *s) {
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

static int report(run_session *s) {
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
    if (t->o.json)
        return run_print_json(s, &stats, code);
    return s->bench ? run_print_bench(s) : run_print_text(s, &stats, code);
}

/* What to compile for: NULL is what the device wants. */
static jitc_status run_arch(const run_session *s, const char **arch, jc_error *err) {
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
static int prepare_text(run_session *s, const char *arch) {
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
    t->lists_refusals = true;
    code = tool_model(t, graphs, n, &(tool_build){ .arch = arch }, &s->model);
    t->lists_refusals = false;
    if (!code && t->o.piece)
        TOOL_TRY(t, &err, check_names(t, graphs, n, &err));
    return code;
}

static int prepare_bundle(run_session *s, const char *arch) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    if (jitc_bundle_load(t->ctx, t->o.files.at[0], arch, &s->model) != JITC_OK)
        return tool_fail_library(t);
    TOOL_TRY(t, &err, check_symbols(t, s->model->graphs, s->model->ngraphs, &err));
    TOOL_TRY(t, &err, check_names(t, s->model->graphs, s->model->ngraphs, &err));
    return 0;
}

/* Loading alone needs no device, so it can be done for any arch. */
static jitc_status open_device(run_session *s, const char **arch, jc_error *err) {
    const tool_options *o = &s->t->o;
    if (o->load_only && o->arch.n <= 1) {
        *arch = o->arch.n ? o->arch.at[0] : NULL;
        return JITC_OK;
    }
    JC_TRY(jc_context_device(s->t->ctx, &s->device, err));
    return run_arch(s, arch, err);
}

static int prepare(run_session *s) {
    tool *t = s->t;
    jc_error err = JC_ERROR_INIT;
    const char *arch;
    bool bundle;
    TOOL_TRY(t, &err, run_bundle_check(t, &bundle, &err));
    if (t->o.repeat < 0) {
        jc_fail(&err, JITC_E_USAGE, "--repeat takes a number from 0 up, not %lld", (long long)t->o.repeat);
        return tool_fail(t, &err);
    }
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

int run_files(tool *t, bool bench) {
    run_session s = { .t = t, .bench = bench };
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

int cmd_run(tool *t) {
    return run_files(t, false);
}
