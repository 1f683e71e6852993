/*
 * tools/run_print.c - what `jitc run` and `jitc bench` print of their runs.
 */
#include <stdio.h>
#include <string.h>

#include "tools/run.h"

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
    tool_set(o, "piece", r->piece == UINT32_MAX ? json_null() : tool_text(r->f->name));
    tool_set(o, "first_ms", tool_real(r->first_ms));
    if (r->median_us > 0) {
        tool_set(o, "min_us", tool_real(r->min_us));
        tool_set(o, "median_us", tool_real(r->median_us));
        tool_set(o, "max_us", tool_real(r->max_us));
        tool_set(o, "repeat", json_integer((json_int_t)r->repeated));
    }
    return o;
}

int run_print_json(const run_session *s, const jitc_model_stats *stats, int code) {
    json_t *out = tool_stats_json(stats), *outputs = json_array(), *calls = json_array(), *times = json_array();
    tool_set(out, "cache", tool_cache_json(s->t));
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
            json_array_append_new(outputs, output_json(r, &r->outputs[k], run_output_name(s, &r->outputs[k], &n)));
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

int run_print_text(const run_session *s, const jitc_model_stats *stats, int code) {
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
            print_output(r, &r->outputs[k], run_output_name(s, &r->outputs[k], &n));
        if (r->median_us > 0)
            printf("  time   min %.2f us, median %.2f us\n", r->min_us, r->median_us);
    }
    if (s->t->o.verify)
        printf("%s\n", code ? "the results DIFFER from the reference" : "all results agree with the reference");
    return code;
}

/* A row per run; what a run gives is not asked for. */
int run_print_bench(const run_session *s) {
    char target[64], device[64];
    jc_target_text(&s->model->target, target);
    snprintf(device, sizeof device, "%s", s->device->ops->name);
    printf("%-40s %7s %12s %12s %12s   us on %s, %s\n", "", "runs", "min", "median", "max", device, target);
    for (size_t i = 0; i < s->runs.n; i++) {
        const run *r = s->runs.at[i];
        bool piece = r->piece != UINT32_MAX;
        printf("%-40s %7zu %12.2f %12.2f %12.2f\n",
               piece ? jc_arena_printf(s->t->arena, "%s %s", r->file, r->f->name) : r->file, r->repeated, r->min_us,
               r->median_us, r->max_us);
    }
    return 0;
}
