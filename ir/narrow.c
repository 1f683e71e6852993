/*
 * ir/narrow.c - what narrower ranges of the symbols make of a function's expressions.
 *
 * Expressions are simplified where they are made, with the ranges that symbols have then.  A class is compiled for ranges that are
 * narrower: then Max(0, Min(2, s0) - Min(1, s0)) is 1, and whoever asks whether a dim is 1 has to be told.  So everything is made
 * again, and what can have one value only becomes that number.
 */
#include "ir/graph.h"

typedef struct narrow {
    jc_exprs *t;
    jc_arena *arena;
} narrow;

static const jc_expr *expr(const narrow *w, const jc_expr *e) {
    int64_t lo, hi;
    if (!e || e->kind == JC_EX_CONST)
        return e;
    const jc_expr *again = jc_ex_subst(w->t, e, NULL, 0);
    if (again->kind == JC_EX_POISON) /* it has no value: found out at the call, with a sentence */
        return e;
    return jc_ex_range(w->t, again, &lo, &hi) && lo == hi ? jc_ex_int(w->t, lo) : again;
}

static const jc_expr *const *exprs(const narrow *w, const jc_expr *const *at, uint32_t n) {
    if (!at)
        return NULL;
    const jc_expr **out = JC_NEWN(w->arena, const jc_expr *, n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = expr(w, at[i]);
    return out;
}

static void value(const narrow *w, jc_value *v) {
    jc_type *t = &v->type;
    if (t->kind == JC_TENSOR) {
        t->dims = exprs(w, t->dims, t->rank);
        t->strides = exprs(w, t->strides, t->rank);
    } else if (t->kind == JC_SYMINT) {
        t->expr = expr(w, t->expr);
    }
    v->offset = expr(w, v->offset);
}

static void args(const narrow *w, jc_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_EXPR)
            at[i].expr = expr(w, at[i].expr);
        else if (at[i].kind == JC_ARG_LIST || at[i].kind == JC_ARG_DICT)
            args(w, at[i].list.at, at[i].list.n);
    }
}

void jc_narrow(jc_func *f) {
    const narrow w = { f->graph->exprs, f->graph->arena };
    for (uint32_t i = 0; i < f->nparams; i++)
        value(&w, f->params[i]);
    for (size_t i = 0; i < f->nodes.n; i++) {
        const jc_node *n = f->nodes.at[i];
        args(&w, n->args, n->nargs);
        for (uint32_t k = 0; k < n->nresults; k++)
            value(&w, n->results[k]);
    }
    args(&w, f->outputs, f->noutputs);
}
