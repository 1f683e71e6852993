/*
 * tools/run_bounds.c - how large made-up indices may be.
 *
 * Every `take` says that its index operand is below the size of its table; where the indices come from is followed
 * backwards through views, arithmetic and calls of pieces to the parameters.
 */
#include "tools/run.h"

/* A function, and the call it is looked at through. */
typedef struct frame {
    const jc_func *f;
    const jc_node *call;
    const struct frame *caller;
} frame;

typedef struct walk {
    int64_t size, *bounds;
} walk;

static void trace(walk *w, const frame *at, const jc_value *v);

typedef struct operand_walk {
    walk *w;
    const frame *at;
} operand_walk;

static void trace_operand(void *user, jc_value *v) {
    const operand_walk *o = user;
    trace(o->w, o->at, v);
}

static void trace_result(walk *w, const frame *at, const jc_value *v) {
    frame inner = { v->def->callee, v->def, at };
    if (v->index < inner.f->noutputs && inner.f->outputs[v->index].kind == JC_ARG_VALUE)
        trace(w, &inner, inner.f->outputs[v->index].value);
}

static void trace(walk *w, const frame *at, const jc_value *v) {
    char cls = v->type.kind == JC_TENSOR ? (char)jc_dtypes[v->type.dtype].cls : 'f';
    operand_walk o = { w, at };
    if (cls != 'i' && cls != 'u')
        return;
    if (!v->def && !at->call) {
        if (w->size < w->bounds[v->index])
            w->bounds[v->index] = w->size;
    } else if (!v->def) {
        if (at->call->args[v->index].kind == JC_ARG_VALUE)
            trace(w, at->caller, at->call->args[v->index].value);
    } else if (v->def->op == JC_OP_call) {
        trace_result(w, at, v);
    } else if (v->def->op == JC_OP_take || v->def->op == JC_OP_pick) {
        trace(w, at, v->def->args[0].value); /* the numbers come from the table, not from its index */
    } else if (v->def->op != JC_OP_custom) {
        jc_node_operands(v->def, trace_operand, &o);
    }
}

static void scan(const frame *at, const int64_t *syms, uint32_t nsyms, int64_t *bounds) {
    for (size_t i = 0; i < at->f->nodes.n; i++) {
        const jc_node *n = at->f->nodes.at[i];
        walk w = { 0, bounds };
        int64_t dim;
        if (n->op == JC_OP_call) {
            frame inner = { n->callee, n, at };
            scan(&inner, syms, nsyms, bounds);
        } else if (n->op == JC_OP_take && jc_ex_is_const(n->args[1].expr, &dim) &&
                   jc_ex_eval(n->args[0].value->type.dims[dim], syms, nsyms, &w.size)) {
            trace(&w, at, n->args[2].value);
        } else if (n->op == JC_OP_pick) {
            for (uint32_t k = 0; k < n->args[2].list.n; k++)
                if (jc_ex_is_const(n->args[1].list.at[k].expr, &dim) &&
                    jc_ex_eval(n->args[0].value->type.dims[dim], syms, nsyms, &w.size))
                    trace(&w, at, n->args[2].list.at[k].value);
        }
    }
}

void run_bounds(const jc_func *f, const int64_t *syms, uint32_t nsyms, int64_t *bounds) {
    frame top = { f, NULL, NULL };
    for (uint32_t i = 0; i < f->nparams; i++)
        bounds[i] = INT64_MAX;
    scan(&top, syms, nsyms, bounds);
}
