/*
 * tools/operators.c - the custom operators that a run will need.
 */
#include "tools/tool.h"

#include <string.h>

#include "ir/fx/fx.h"

/* A value with the tag that the operator will get; nothing else of it is looked at. */
static jitc_value shape_of_arg(tool *t, const jc_arg *a) {
    static const uint8_t kinds[] = { [JC_TENSOR] = JITC_TENSOR, [JC_SYMINT] = JITC_INT, [JC_NAME] = JITC_NAME,
                                     [JC_INT] = JITC_INT, [JC_FLOAT] = JITC_FLOAT, [JC_BOOL] = JITC_BOOL };
    static const uint8_t tags[] = { [JC_ARG_NONE] = JITC_NONE, [JC_ARG_EXPR] = JITC_INT, [JC_ARG_FLOAT] = JITC_FLOAT,
                                    [JC_ARG_BOOL] = JITC_BOOL, [JC_ARG_STR] = JITC_NAME, [JC_ARG_DTYPE] = JITC_STR,
                                    [JC_ARG_DEVICE] = JITC_STR };
    jitc_value v = { .tag = JITC_NONE };
    if (a->kind == JC_ARG_VALUE) {
        v.tag = kinds[a->value->type.kind];
    } else if (a->kind == JC_ARG_LIST) {
        jitc_value *at = JC_NEWN(t->arena, jitc_value, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            at[i] = shape_of_arg(t, &a->list.at[i]);
        v = (jitc_value){ .tag = JITC_LIST, .n = a->list.n, .list = at };
    } else if (a->kind == JC_ARG_DICT) {
        jitc_entry *at = JC_NEWN(t->arena, jitc_entry, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            at[i] = (jitc_entry){ a->list.at[i].key, shape_of_arg(t, &a->list.at[i]) };
        v = (jitc_value){ .tag = JITC_DICT, .n = a->list.n, .dict = at };
    } else {
        v.tag = tags[a->kind];
    }
    return v;
}

static const char *schema_of(tool *t, const jc_node *n) {
    jitc_value *args = JC_NEWN(t->arena, jitc_value, n->nargs);
    const char **keys = JC_NEWN(t->arena, const char *, n->nargs);
    char text[1024];
    for (uint32_t i = 0; i < n->nargs; i++) {
        args[i] = shape_of_arg(t, &n->args[i]);
        keys[i] = n->args[i].key;
    }
    return jc_arena_strdup(t->arena, jc_op_infer(n->target, args, keys, n->nargs, n->nresults, n->writes, text,
                                                 sizeof text));
}

static void add_call(tool *t, const jitc_model *m, const jc_piece *p, const jc_node *n, DLDeviceType device,
                     tool_operators *out) {
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->at[i].name, n->target) == 0) {
            out->at[i].calls++;
            return;
        }
    tool_operator op = {
        .name = n->target,
        .schema = schema_of(t, n),
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
