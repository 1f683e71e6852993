/*
 * tools/run_bounds.c - how large made-up indices may be.
 *
 * Every `take` says that its index operand is below the size of its table; where the indices come from is followed
 * backwards through views, arithmetic and calls of pieces to the parameters.  A value is followed once for each size that is
 * smaller than those before, and without recursion, however the graph shares its values and however long its chains are.
 */
#include "tools/run.h"

/* A function, and the call it is looked at through. */
typedef struct frame {
    const jc_func *f;
    const jc_node *call;
    const struct frame *caller;
    int64_t *least; /* by value: the smallest size it was followed for */
} frame;

typedef struct place {
    const frame *at;
    const jc_value *v;
} place;

typedef struct walk {
    jc_arena *arena;
    int64_t size, *bounds;
    const frame *at; /* of the operands at hand */
    JC_VEC(place) open;
} walk;

static const frame *frame_new(jc_arena *arena, const jc_func *f, const jc_node *call, const frame *caller) {
    frame *fr = JC_NEW(arena, frame);
    *fr = (frame){ f, call, caller, JC_NEWN(arena, int64_t, f->nvalues) };
    for (uint32_t i = 0; i < f->nvalues; i++)
        fr->least[i] = INT64_MAX;
    return fr;
}

static void follow(walk *w, const frame *at, const jc_value *v) {
    char cls = v->type.kind == JC_TENSOR ? (char)jc_dtypes[v->type.dtype].cls : 'f';
    if ((cls != 'i' && cls != 'u') || w->size >= at->least[v->id])
        return;
    at->least[v->id] = w->size;
    jc_push(w->arena, &w->open, ((place){ at, v }));
}

static void follow_operand(void *user, jc_value *v) {
    walk *w = user;
    follow(w, w->at, v);
}

static void follow_result(walk *w, const frame *at, const jc_value *v) {
    const frame *inner = frame_new(w->arena, v->def->callee, v->def, at);
    if (v->index < inner->f->noutputs && inner->f->outputs[v->index].kind == JC_ARG_VALUE)
        follow(w, inner, inner->f->outputs[v->index].value);
}

static void step(walk *w, const frame *at, const jc_value *v) {
    if (!v->def && !at->call) {
        if (w->size < w->bounds[v->index])
            w->bounds[v->index] = w->size;
    } else if (!v->def) {
        if (at->call->args[v->index].kind == JC_ARG_VALUE)
            follow(w, at->caller, at->call->args[v->index].value);
    } else if (v->def->op == JC_OP_call) {
        follow_result(w, at, v);
    } else if (v->def->op == JC_OP_take || v->def->op == JC_OP_pick) {
        follow(w, at, v->def->args[0].value); /* the numbers come from the table, not from its index */
    } else if (v->def->op != JC_OP_custom) {
        w->at = at;
        jc_node_operands(v->def, follow_operand, w);
    }
}

/* Elements of V are below SIZE. */
static void trace(walk *w, const frame *at, const jc_value *v, int64_t size) {
    w->size = size;
    follow(w, at, v);
    while (w->open.n) {
        const place p = w->open.at[--w->open.n];
        step(w, p.at, p.v);
    }
}

static void scan(walk *w, const frame *at, const int64_t *syms, uint32_t nsyms) {
    for (size_t i = 0; i < at->f->nodes.n; i++) {
        const jc_node *n = at->f->nodes.at[i];
        int64_t dim, size;
        if (n->op == JC_OP_call) {
            scan(w, frame_new(w->arena, n->callee, n, at), syms, nsyms);
        } else if (n->op == JC_OP_take && jc_ex_is_const(n->args[1].expr, &dim) &&
                   jc_ex_eval(n->args[0].value->type.dims[dim], syms, nsyms, &size)) {
            trace(w, at, n->args[2].value, size);
        } else if (n->op == JC_OP_pick) {
            for (uint32_t k = 0; k < n->args[2].list.n; k++)
                if (jc_ex_is_const(n->args[1].list.at[k].expr, &dim) && jc_ex_eval(n->args[0].value->type.dims[dim], syms, nsyms, &size))
                    trace(w, at, n->args[2].list.at[k].value, size);
        }
    }
}

void run_bounds(jc_arena *arena, const jc_func *f, const int64_t *syms, uint32_t nsyms, int64_t *bounds) {
    walk w = { .arena = arena, .bounds = bounds };
    for (uint32_t i = 0; i < f->nparams; i++)
        bounds[i] = INT64_MAX;
    scan(&w, frame_new(arena, f, NULL, NULL), syms, nsyms);
}
