/*
 * tools/run_rounding.c - which results depend on a value that was rounded to less than f32 on the way, or on what is rough (ir/graph.h).
 *
 * Two correct programs may round such a value to neighbours, so an f32 result that depends on one cannot be held to f32's own
 * accuracy.  Followed forwards, per storage: a node's results are rounded when one of its operands is, or when they are of a
 * narrow dtype themselves; what an operator writes takes on what its operands have.
 */
#include "tools/run.h"

typedef struct flow {
    jc_arena *arena;
    const jc_func *f;
    bool rough;    /* what is looked for */
    bool *rounded; /* by id of the value that owns the storage */
} flow;

typedef struct operands {
    const flow *at;
    bool rounded, spread; /* SPREAD: give it to all that are seen */
} operands;

/* Layer names and numbers have no storage; their entry stays false. */
static void see(void *user, jc_value *v) {
    operands *o = user;
    if (o->spread)
        o->at->rounded[jc_storage(v)->id] |= o->rounded;
    else
        o->rounded |= o->at->rounded[jc_storage(v)->id];
}

/* Does it begin at result V of N? */
static bool begins(const flow *at, const jc_node *n, const jc_value *v) {
    if (at->rough)
        return jc_ops[n->op].traits & JC_ROUGH && v->type.kind == JC_TENSOR && jc_dtypes[v->type.dtype].cls == 'f';
    return v->type.kind == JC_TENSOR && jc_dtypes[v->type.dtype].cls == 'f' && jc_dtypes[v->type.dtype].size < 4;
}

static bool *run_flow(jc_arena *arena, const jc_func *f, bool rough, bool *params);

static void call(const flow *at, const jc_node *n) {
    bool *params = JC_NEWN(at->arena, bool, n->nargs), *outputs;
    for (uint32_t i = 0; i < n->nargs; i++)
        params[i] = n->args[i].kind == JC_ARG_VALUE && at->rounded[jc_storage(n->args[i].value)->id];
    outputs = run_flow(at->arena, n->callee, at->rough, params);
    for (uint32_t i = 0; i < n->nargs; i++) /* a piece may write its arguments */
        if (n->args[i].kind == JC_ARG_VALUE)
            at->rounded[jc_storage(n->args[i].value)->id] |= params[i];
    for (uint32_t i = 0; i < n->nresults && i < n->callee->noutputs; i++)
        at->rounded[jc_storage(n->results[i])->id] |= outputs[i];
}

static void node(const flow *at, const jc_node *n) {
    operands o = { .at = at };
    if (n->op == JC_OP_call) {
        call(at, n);
        return;
    }
    jc_node_operands(n, see, &o);
    for (uint32_t i = 0; i < n->nresults; i++)
        at->rounded[jc_storage(n->results[i])->id] |= o.rounded || begins(at, n, n->results[i]);
    if (jc_ops[n->op].traits & JC_EFFECT) {
        o.spread = true;
        jc_node_operands(n, see, &o);
    }
}

/* Of F's outputs, then its parameters; PARAMS (in and out) says which parameters are. */
static bool *run_flow(jc_arena *arena, const jc_func *f, bool rough, bool *params) {
    flow at = { arena, f, rough, JC_NEWN(arena, bool, f->nvalues) };
    bool *outputs = JC_NEWN(arena, bool, f->noutputs + f->nparams);
    for (uint32_t i = 0; i < f->nparams; i++)
        at.rounded[f->params[i]->id] = params && params[i];
    for (size_t i = 0; i < f->nodes.n; i++)
        node(&at, f->nodes.at[i]);
    for (uint32_t i = 0; params && i < f->nparams; i++)
        params[i] = at.rounded[f->params[i]->id];
    for (uint32_t i = 0; i < f->noutputs; i++)
        if (f->outputs[i].kind == JC_ARG_VALUE)
            outputs[i] = at.rounded[jc_storage(f->outputs[i].value)->id];
    for (uint32_t i = 0; i < f->nparams; i++)
        outputs[f->noutputs + i] = at.rounded[f->params[i]->id];
    return outputs;
}

bool *run_rounding(jc_arena *arena, const jc_func *f, bool rough) {
    return run_flow(arena, f, rough, NULL);
}
