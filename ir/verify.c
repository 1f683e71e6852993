/*
 * ir/verify.c - the invariants of a function, checked after every pass.
 *
 * A failure is a fault of ours, not of the input: JITC_E_COMPILE.  What is checked: values have dense ids in order of
 * definition and know their node; operands are defined before they are used, and in this function; arguments fit the signature;
 * types are complete; a view's base owns its storage and exists; calls match their callee.
 */
#include "ir/infer_priv.h"

typedef struct checker {
    const jc_func *f;
    const jc_value **seen; /* by id */
    uint32_t n;
    const jc_node *node;
    jc_error *err;
    jitc_status status;
} checker;

static void fault(checker *c, const char *format, ...) JC_PRINTF(2, 3);
static void fault(checker *c, const char *format, ...) {
    va_list args;
    if (c->status)
        return;
    va_start(args, format);
    char *text = jc_arena_vprintf(c->f->graph->arena, format, args);
    va_end(args);
    c->status = jc_fail_at(c->err, JITC_E_COMPILE, c->f->graph->file, c->node ? c->node->line : 0, 0,
                           c->node ? jc_ops[c->node->op].name : NULL,
                           "The function %s is broken: %s. This is a fault of libjitc; please report it.", c->f->name,
                           text);
}

static void check_type(checker *c, const jc_value *v) {
    const jc_type *type = &v->type;
    if (type->kind > JC_BOOL)
        fault(c, "value %u has no kind", v->id);
    else if (type->kind == JC_SYMINT && !type->expr)
        fault(c, "integer %u has no expression", v->id);
    if (type->kind != JC_TENSOR)
        return;
    if (type->rank > JC_MAX_RANK || type->dtype >= JC_DTYPE_COUNT) {
        fault(c, "value %u has no tensor type", v->id);
        return;
    }
    for (int d = 0; d < type->rank; d++) {
        if (!type->dims || !type->dims[d] || type->dims[d]->kind == JC_EX_POISON)
            fault(c, "dim %d of value %u is missing", d, v->id);
        else if (type->strides && (!type->strides[d] || type->strides[d]->kind == JC_EX_POISON))
            fault(c, "stride %d of value %u is missing", d, v->id);
    }
}

static bool is_defined(const checker *c, const jc_value *v) {
    return v && v->id < c->n && c->seen[v->id] == v;
}

static void define(checker *c, const jc_value *v, const jc_node *def, uint32_t index) {
    if (!v) {
        fault(c, "a value is missing");
        return;
    }
    if (v->id != c->n)
        fault(c, "value %u should have number %u", v->id, c->n);
    if (v->def != def || v->index != index)
        fault(c, "value %u does not know where it comes from", v->id);
    if (v->id != c->n || c->n >= c->f->nvalues)
        return;
    c->seen[c->n++] = v;
    check_type(c, v);
}

static void check_place(checker *c, const jc_value *v) {
    if (!v->base)
        return;
    if (v->type.kind != JC_TENSOR)
        fault(c, "value %u is a view but no tensor", v->id);
    else if (!is_defined(c, v->base))
        fault(c, "the base of value %u is not defined before it", v->id);
    else if (v->base == v || v->base->base)
        fault(c, "the base of value %u is itself a view", v->id);
    else if (v->base->type.kind != JC_TENSOR)
        fault(c, "the base of value %u is no tensor", v->id);
    if (v->offset && v->offset->kind == JC_EX_POISON)
        fault(c, "the offset of value %u is missing", v->id);
}

static void check_arg(checker *c, const jc_arg *a) {
    if (a->kind == JC_ARG_VALUE && !is_defined(c, a->value))
        fault(c, "an operand is used before it is defined");
    else if (a->kind == JC_ARG_EXPR && (!a->expr || a->expr->kind == JC_EX_POISON))
        fault(c, "an integer argument is missing");
    else if (a->kind > JC_ARG_DEVICE)
        fault(c, "an argument has no kind");
    if (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) {
        for (uint32_t i = 0; i < a->list.n; i++)
            check_arg(c, &a->list.at[i]);
    }
}

static void check_arity(checker *c, const jc_node *n) {
    if (n->op == JC_OP_custom) {
        if (!n->target)
            fault(c, "a custom operator has no name");
    } else if (n->op == JC_OP_call) {
        if (!n->callee)
            fault(c, "a call has no callee");
        else if (n->nargs != n->callee->nparams || n->nresults != jc_func_leaves(n->callee, NULL))
            fault(c, "a call of %s has %u arguments and %u results", n->callee->name, n->nargs, n->nresults);
    } else if (n->nargs != jc_ops[n->op].nargs) {
        fault(c, "%u arguments were expected, not %u", jc_ops[n->op].nargs, n->nargs);
    } else if (n->nresults != jc_ops[n->op].nresults) {
        fault(c, "there are %u results", n->nresults);
    }
}

static void check_node(checker *c, const jc_node *n) {
    c->node = n;
    if (n->op >= JC_OP_COUNT) {
        c->node = NULL;
        fault(c, "a node has no operator");
        return;
    }
    check_arity(c, n);
    for (uint32_t i = 0; i < n->nargs; i++)
        check_arg(c, &n->args[i]);
    if (!c->status && jc_ops[n->op].nresults != JC_AS_CALLED && !jc_args_fit(n))
        fault(c, "the arguments do not fit the signature \"%s\"", jc_ops[n->op].sig);
    for (uint32_t i = 0; i < n->nresults; i++)
        define(c, n->results[i], n, i);
    for (uint32_t i = 0; i < n->nresults && !c->status; i++)
        check_place(c, n->results[i]);
}

jitc_status jc_verify(const jc_func *f, jc_error *err) {
    checker c = { .f = f, .err = err };
    c.seen = JC_NEWN(f->graph->arena, const jc_value *, f->nvalues);
    for (uint32_t i = 0; i < f->nparams; i++) {
        define(&c, f->params[i], NULL, i);
        if (!c.status && f->params[i]->base)
            fault(&c, "parameter %u is a view", i);
    }
    for (size_t i = 0; i < f->nodes.n && !c.status; i++)
        check_node(&c, f->nodes.at[i]);
    c.node = NULL;
    for (uint32_t i = 0; i < f->noutputs && !c.status; i++)
        check_arg(&c, &f->outputs[i]);
    if (c.n != f->nvalues)
        fault(&c, "it has %u values, not %u", c.n, f->nvalues);
    return c.status;
}
