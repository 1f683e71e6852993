/*
 * tools/refusals.c - all that is not supported, where a subcommand would stop at the first.
 *
 * The files are read again, since a graph serves one model, and explained (jitc/explain.h).
 */
#include <stdio.h>
#include <string.h>

#include "jitc/explain.h"
#include "tools/tool.h"

typedef struct gathering {
    tool *t;
    tool_refusals *out;
} gathering;

static void told(void *user, const jitc_refusal *what) {
    const gathering *g = user;
    jc_arena *arena = g->t->arena;
    tool_refusal r = { jc_arena_strdup(arena, what->op), jc_arena_strdup(arena, what->node), jc_arena_strdup(arena, what->piece),
                       jc_arena_strdup(arena, what->file), jc_arena_strdup(arena, what->reason), what->line, what->column };
    jc_push(arena, g->out, r);
}

static jitc_status read_again(tool *t, jitc_graph **graphs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        jitc_status status =
            strcmp(t->o.files.at[i], "-") == 0
                ? jitc_graph_read(t->ctx, "<stdin>", t->texts[i], t->lengths[i], &graphs[i])
                : jitc_graph_read_file(t->ctx, t->o.files.at[i], &graphs[i]);
        if (status != JITC_OK)
            return status;
    }
    return JITC_OK;
}

void tool_refusals_of(tool *t, const char *arch, tool_refusals *out) {
    jc_error ignored = JC_ERROR_INIT;
    jitc_model_options o;
    uint32_t n = (uint32_t)t->o.files.n;
    jitc_graph **graphs = JC_NEWN(t->arena, jitc_graph *, n);
    gathering g = { t, out };
    const jc_trace *spans = t->ctx->spans;
    *out = (tool_refusals){ 0 };
    t->ctx->spans = NULL; /* the files have been read once, as far as a trace goes */
    if (read_again(t, graphs, n) == JITC_OK && tool_model_options(t, &(tool_build){ .arch = arch }, &o, &ignored) == JITC_OK)
        (void)jitc_model_explain(t->ctx, graphs, n, &o, told, &g); /* there is a failure to be reported already */
    for (uint32_t i = 0; i < n; i++)
        jitc_graph_free(graphs[i]);
    t->ctx->spans = spans;
}

void tool_place_refusal(tool *t, const char *arch, jc_error *err) {
    tool_refusals list;
    tool_refusals_of(t, arch, &list);
    if (!list.n)
        return;
    const tool_refusal *r = &list.at[0];
    *err = (jc_error)JC_ERROR_INIT;
    jc_fail_at(err, JITC_E_UNSUPPORTED, r->file, r->line, r->column, r->node, "%s", r->reason);
    t->arch = arch;
    t->lists_refusals = true;
}

const char *tool_refusal_text(const tool_refusal *r, char *out, size_t size) {
    jc_error e = JC_ERROR_INIT;
    jc_fail_at(&e, JITC_E_UNSUPPORTED, r->file, r->line, r->column, r->node, "%s", r->reason);
    return jc_error_text(&e, out, size);
}

json_t *tool_refusals_json(const tool_refusals *list) {
    json_t *out = json_array();
    for (size_t i = 0; i < list->n; i++) {
        const tool_refusal *r = &list->at[i];
        json_t *o = json_object();
        tool_set(o, "op", tool_text(r->op));
        tool_set(o, "node", tool_text(r->node));
        tool_set(o, "piece", tool_text(r->piece));
        tool_set(o, "file", tool_text(r->file));
        tool_set(o, "line", json_integer(r->line));
        tool_set(o, "column", json_integer(r->column));
        tool_set(o, "reason", tool_text(r->reason));
        json_array_append_new(out, o);
    }
    return out;
}
