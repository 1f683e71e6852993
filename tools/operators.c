/*
 * tools/operators.c - the custom operators that a run will need.
 */
#include "jit/api/operators.h"
#include "tools/tool.h"

#include <string.h>

static void add_call(tool *t, const jitc_model *m, const jc_piece *p, const jc_node *n, DLDeviceType device,
                     tool_operators *out) {
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->at[i].name, n->target) == 0) {
            out->at[i].calls++;
            return;
        }
    tool_operator op = {
        .name = n->target,
        .schema = jc_node_schema(n, t->arena),
        .file = m->graphs[p->graph]->g->file,
        .line = n->line,
        .calls = 1,
        .registered = jc_ops_find(t->ctx->ops, n->target, device) != NULL,
    };
    jc_push(t->arena, out, op);
}

void tool_operators_of(tool *t, const jitc_model *m, DLDeviceType device, tool_operators *out) {
    *out = (tool_operators){ 0 };
    for (uint32_t i = 0; i < m->npieces; i++)
        for (size_t k = 0; k < m->pieces[i].func->nodes.n; k++) {
            const jc_node *n = m->pieces[i].func->nodes.at[k];
            if (n->op == JC_OP_custom && n->target[0] != JC_UNKNOWN_MARK)
                add_call(t, m, &m->pieces[i], n, device, out);
        }
}

json_t *tool_operators_json(const tool_operators *list) {
    json_t *out = json_array();
    for (size_t i = 0; i < list->n; i++) {
        const tool_operator *op = &list->at[i];
        json_t *o = json_object();
        tool_set(o, "op", tool_text(op->name));
        tool_set(o, "schema", tool_text(op->schema));
        tool_set(o, "calls", json_integer(op->calls));
        tool_set(o, "file", tool_text(op->file));
        tool_set(o, "line", json_integer(op->line));
        tool_set(o, "registered", json_boolean(op->registered));
        json_array_append_new(out, o);
    }
    return out;
}
