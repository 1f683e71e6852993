/*
 * jit/api/operators.c - what a call of a custom operator says of its schema.
 */
#include "jit/api/operators.h"

#include "runtime/ops.h"

/* A value with the tag that the operator will get; nothing else of it is looked at. */
static jitc_value shape_of_arg(const jc_arg *a, jc_arena *arena) {
    static const uint8_t kinds[] = { [JC_TENSOR] = JITC_TENSOR, [JC_SYMINT] = JITC_INT, [JC_NAME] = JITC_NAME,
                                     [JC_INT] = JITC_INT, [JC_FLOAT] = JITC_FLOAT, [JC_BOOL] = JITC_BOOL };
    static const uint8_t tags[] = { [JC_ARG_NONE] = JITC_NONE, [JC_ARG_EXPR] = JITC_INT, [JC_ARG_FLOAT] = JITC_FLOAT,
                                    [JC_ARG_BOOL] = JITC_BOOL, [JC_ARG_STR] = JITC_NAME, [JC_ARG_DTYPE] = JITC_STR,
                                    [JC_ARG_DEVICE] = JITC_STR };
    jitc_value v = { .tag = JITC_NONE };
    if (a->kind == JC_ARG_VALUE) {
        v.tag = kinds[a->value->type.kind];
    } else if (a->kind == JC_ARG_LIST) {
        jitc_value *at = JC_NEWN(arena, jitc_value, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            at[i] = shape_of_arg(&a->list.at[i], arena);
        v = (jitc_value){ .tag = JITC_LIST, .n = a->list.n, .list = at };
    } else if (a->kind == JC_ARG_DICT) {
        jitc_entry *at = JC_NEWN(arena, jitc_entry, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            at[i] = (jitc_entry){ a->list.at[i].key, shape_of_arg(&a->list.at[i], arena) };
        v = (jitc_value){ .tag = JITC_DICT, .n = a->list.n, .dict = at };
    } else {
        v.tag = tags[a->kind];
    }
    return v;
}

const char *jc_node_schema(const jc_node *n, jc_arena *arena) {
    jitc_value *args = JC_NEWN(arena, jitc_value, n->nargs);
    const char **keys = JC_NEWN(arena, const char *, n->nargs);
    char text[1024];
    for (uint32_t i = 0; i < n->nargs; i++) {
        args[i] = shape_of_arg(&n->args[i], arena);
        keys[i] = n->args[i].key;
    }
    return jc_arena_strdup(arena, jc_op_infer(n->target, args, keys, n->nargs, n->nresults, n->writes, text,
                                                 sizeof text));
}
