/*
 * ir/graph.c - building graphs.
 *
 * A node with its arguments and results is one allocation.  Types and places of results come from inference, except
 * those of custom operators, which are the caller's.
 */
#include <string.h>
#include "ir/infer_priv.h"

jc_graph *jc_graph_new(jc_arena *arena, const char *file) {
    jc_graph *g = JC_NEW(arena, jc_graph);
    g->arena = arena;
    g->exprs = jc_exprs_new(arena);
    g->file = jc_arena_strdup(arena, file ? file : "");
    return g;
}

jc_func *jc_func_new(jc_graph *g, const char *name) {
    jc_func *f = JC_NEW(g->arena, jc_func);
    f->graph = g;
    f->name = jc_arena_strdup(g->arena, name);
    return f;
}

/* The array of parameters has room for a power of two of them. */
jc_value *jc_func_param(jc_func *f, const char *name, const jc_type *type) {
    jc_arena *arena = f->graph->arena;
    jc_value *v = JC_NEW(arena, jc_value);
    v->id = f->nvalues++;
    v->name = name ? jc_arena_strdup(arena, name) : NULL;
    v->type = *type;
    v->index = f->nparams;
    if ((f->nparams & (f->nparams - 1)) == 0) {
        jc_value **params = JC_NEWN(arena, jc_value *, f->nparams ? 2 * (size_t)f->nparams : 1);
        if (f->nparams)
            memcpy(params, f->params, f->nparams * sizeof *params);
        f->params = params;
    }
    f->params[f->nparams++] = v;
    return v;
}

/* ---- nodes ---- */

static jc_node *node_new(jc_func *f, jc_op op, const jc_arg *args, uint32_t nargs, uint32_t room, uint32_t nresults,
                         int line) {
    struct {
        jc_node node;
        _Alignas(16) char rest[];
    } *block;
    size_t args_size = room * sizeof(jc_arg), pointers = nresults * sizeof(jc_value *);
    pointers = (pointers + 15) & ~(size_t)15;
    block = jc_arena_alloc(f->graph->arena, sizeof *block + args_size + pointers + nresults * sizeof(jc_value));
    jc_node *n = &block->node;
    n->op = (uint16_t)op;
    n->line = line;
    n->nargs = room;
    n->nresults = nresults;
    n->args = (jc_arg *)block->rest;
    n->results = (jc_value **)(block->rest + args_size);
    jc_value *values = (jc_value *)(block->rest + args_size + pointers);
    if (nargs)
        memcpy(n->args, args, nargs * sizeof *args);
    for (uint32_t i = 0; i < nresults; i++) {
        n->results[i] = &values[i];
        values[i].def = n;
        values[i].index = i;
        values[i].line = line;
    }
    return n;
}

static void append(jc_func *f, jc_node *n) {
    for (uint32_t i = 0; i < n->nresults; i++)
        n->results[i]->id = f->nvalues++;
    jc_push(f->graph->arena, &f->nodes, n);
}

jitc_status jc_func_add(jc_func *f, jc_op op, const jc_arg *args, uint32_t nargs, int line, jc_node **out,
                        jc_error *err) {
    uint32_t room = jc_ops[op].nargs;
    if (nargs > room)
        return jc_fail_at(err, JITC_E_INPUT, f->graph->file, line, 0, NULL, "%s: expected %u arguments, got %u.",
                          jc_ops[op].name, room, nargs);
    jc_node *n = node_new(f, op, args, nargs, room, jc_ops[op].nresults, line);
    JC_TRY(jc_infer(f, n, err));
    append(f, n);
    if (out)
        *out = n;
    return JITC_OK;
}

jc_node *jc_func_add_custom(jc_func *f, const char *target, const jc_arg *args, uint32_t nargs, uint64_t writes,
                            const jc_type *results, uint32_t nresults, int line) {
    jc_node *n = node_new(f, JC_OP_custom, args, nargs, nargs, nresults, line);
    n->target = jc_arena_strdup(f->graph->arena, target);
    n->writes = writes;
    for (uint32_t i = 0; i < nresults; i++)
        n->results[i]->type = results[i];
    append(f, n);
    return n;
}

jc_node *jc_func_add_call(jc_func *f, jc_func *callee, const jc_arg *args, uint32_t nargs, int line) {
    jc_node *n = node_new(f, JC_OP_call, args, nargs, nargs, jc_func_leaves(callee, NULL), line);
    n->callee = callee;
    jc_infer(f, n, NULL); /* of a call it cannot fail */
    append(f, n);
    return n;
}

/* ---- arguments ---- */

jc_arg jc_arg_int(jc_graph *g, int64_t value) { return jc_arg_expr(jc_ex_int(g->exprs, value)); }

jc_arg jc_arg_list(jc_graph *g, const jc_arg *at, uint32_t n) {
    jc_arg a = { .kind = JC_ARG_LIST };
    a.list.n = n;
    a.list.at = jc_arena_memdup(g->arena, at, n * sizeof *at);
    return a;
}

jc_arg jc_arg_exprs(jc_graph *g, const jc_expr *const *at, uint32_t n) {
    jc_arg a = { .kind = JC_ARG_LIST };
    a.list.n = n;
    a.list.at = JC_NEWN(g->arena, jc_arg, n);
    for (uint32_t i = 0; i < n; i++)
        a.list.at[i] = jc_arg_expr(at[i]);
    return a;
}

static void see_arg(const jc_arg *a, void (*see)(void *user, jc_value *v), void *user) {
    if (a->kind == JC_ARG_VALUE) {
        see(user, a->value);
    } else if (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) {
        for (uint32_t i = 0; i < a->list.n; i++)
            see_arg(&a->list.at[i], see, user);
    }
}

void jc_node_operands(const jc_node *n, void (*see)(void *user, jc_value *v), void *user) {
    for (uint32_t i = 0; i < n->nargs; i++)
        see_arg(&n->args[i], see, user);
}

void jc_func_outputs(const jc_func *f, void (*see)(void *user, jc_value *v), void *user) {
    for (uint32_t i = 0; i < f->noutputs; i++)
        see_arg(&f->outputs[i], see, user);
}

/* ---- writes ---- */

typedef struct written {
    const jc_node *node;
    uint32_t operand;
    void (*see)(void *user, jc_value *v);
    void *user;
} written;

static void see_operand(void *user, jc_value *v) {
    written *w = user;
    if (v->type.kind == JC_TENSOR && jc_node_writes(w->node, w->operand++))
        w->see(w->user, v);
}

void jc_node_written(const jc_node *n, void (*see)(void *user, jc_value *v), void *user) {
    written w = { .node = n, .see = see, .user = user };
    if (jc_ops[n->op].traits & JC_EFFECT)
        jc_node_operands(n, see_operand, &w);
}

typedef struct sought {
    const jc_value *storage;
    bool found;
} sought;

static void see_written(void *user, jc_value *v) {
    sought *s = user;
    s->found |= jc_storage(v) == s->storage;
}

bool jc_func_writes(const jc_func *f, const jc_value *param) {
    sought s = { .storage = param };
    for (size_t i = 0; i < f->nodes.n && !s.found; i++)
        jc_node_written(f->nodes.at[i], see_written, &s);
    return s.found;
}

bool jc_node_writes(const jc_node *n, uint32_t operand) {
    if (jc_ops[n->op].traits & JC_WRITES)
        return operand == 0;
    if (n->op == JC_OP_custom)
        return operand < 64 ? n->writes >> operand & 1 : n->writes == UINT64_MAX;
    if (n->op != JC_OP_call)
        return false;
    for (uint32_t i = 0, tensors = 0; i < n->nargs && i < n->callee->nparams; i++) {
        if (jc_in_is_tensor(&n->args[i]) && tensors++ == operand)
            return jc_func_writes(n->callee, n->callee->params[i]);
    }
    return false;
}
