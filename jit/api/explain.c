/*
 * jit/api/explain.c - everything that is not supported: what the reader passed over, and what the scheduler refuses.
 *
 * A model is prepared as for building, and each variant of each class is scheduled, with the scheduler told to go on after a refusal
 * (jit/sched/schedule.h).  It names nodes of the class by number; each member has a line and a name for that number.  A node that stands
 * for what the reader passed over is told of in the reader's words.
 */
#include "jit/api/explain.h"

#include <stdlib.h>
#include <string.h>

#include "ir/fx/fx.h"
#include "jit/sched/schedule.h"

typedef struct item {
    jitc_refusal what;
    uint32_t graph, order; /* ORDER: in which it was found */
} item;

typedef struct finder {
    jc_arena *arena;
    JC_VEC(item) items;
    bool **told; /* by graph: which of its refusals have been */
    /* the class at hand */
    JC_VEC(jc_error) refused; /* without those that another variant had */
} finder;

/* --- what a class is refused for --- */

static void on_refused(void *user, const jc_error *why) {
    finder *f = user;
    for (size_t i = 0; i < f->refused.n; i++)
        if (f->refused.at[i].line == why->line && strcmp(f->refused.at[i].message, why->message) == 0)
            return;
    jc_push(f->arena, &f->refused, *why);
}

static const char *operator_of(const jc_node *n) {
    if (!n)
        return "";
    if (n->op != JC_OP_custom)
        return jc_ops[n->op].name;
    return n->target + (n->target[0] == JC_UNKNOWN_MARK);
}

/* What the reader passed over, in PIECE. */
static void add_read(finder *f, const jc_graph *g, uint32_t graph, uint32_t number, const char *piece) {
    const jc_refusal *r = &g->refused.at[number];
    jitc_refusal what = { sizeof what, r->op, r->node, piece, g->file, r->line, r->column, r->reason };
    if (!f->told[graph][number])
        jc_push(f->arena, &f->items, ((item){ what, graph, (uint32_t)f->items.n }));
    f->told[graph][number] = true;
}

/* The refusal as it reads in a member: PIECE, canonical form C. */
static void add_for(finder *f, const jc_error *why, const jc_func *piece, const jc_canon *c, uint32_t graph) {
    const jc_node *n = why->line > 0 && (uint32_t)why->line <= c->nnodes ? c->nodes[why->line - 1] : NULL;
    if (n && n->op == JC_OP_custom && n->refusal) {
        if (n->refusal != JC_REFUSAL_FOLLOWS)
            add_read(f, piece->graph, graph, n->refusal - 1, piece->name);
        return;
    }
    jitc_refusal what = {
        .struct_size = sizeof what,
        .op = operator_of(n),
        .node = n && n->nresults && n->results[0]->name ? n->results[0]->name : "",
        .piece = piece->name,
        .file = piece->graph->file,
        .line = n ? n->line : piece->line,
        .reason = jc_arena_strdup(f->arena, why->message),
    };
    jc_push(f->arena, &f->items, ((item){ what, graph, (uint32_t)f->items.n }));
}

static jitc_status schedule(finder *f, const jc_canon *c, const jc_schedule_options *options, jc_error *err) {
    jc_schedule_options o = *options;
    jc_schedule ignored = { 0 };
    jc_graph *g;
    o.refused = on_refused;
    o.refused_user = f;
    JC_TRY(jc_canon_decode(c->bytes, c->nbytes, f->arena, &g, err));
    return jc_schedule_class(g->root, &o, f->arena, &ignored, err);
}

static jitc_status explain_class(finder *f, const jitc_model *m, uint32_t cls, jc_error *err) {
    const jc_class *c = &m->classes[cls];
    const jc_canon *canon = &m->pieces[c->first].canon;
    f->refused.n = 0;
    for (uint32_t v = 0; v < c->nvariants; v++) {
        const jc_request *r = &c->variants[v].request;
        jc_schedule_options o = { .target = r->target, .strict = r->strict, .clamp = r->clamp, .lo = r->lo, .hi = r->hi };
        jitc_status status = schedule(f, canon, &o, err);
        jc_canon_locate(canon, r->file, err);
        JC_TRY(status);
    }
    for (uint32_t i = 0; i < m->npieces && f->refused.n; i++)
        for (size_t k = 0; m->pieces[i].cls == cls && k < f->refused.n; k++)
            add_for(f, &f->refused.at[k], m->pieces[i].func, &m->pieces[i].canon, m->pieces[i].graph);
    return JITC_OK;
}

/* --- graphs that could not be read whole --- */

/* What no node stands for: parameters, results. */
static void add_rest(finder *f, const jitc_model *m) {
    for (uint32_t i = 0; i < m->ngraphs; i++)
        for (size_t k = 0; k < m->graphs[i]->g->refused.n; k++)
            add_read(f, m->graphs[i]->g, i, (uint32_t)k, m->graphs[i]->g->refused.at[k].piece);
}

static bool unread(jitc_graph *const *graphs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (graphs[i]->g->refused.n)
            return true;
    return false;
}

/* --- options that cut --- */

static uint64_t mix(uint64_t h, const char *text) {
    return (h ^ (text ? jc_hash64(text, strlen(text)) : 1)) * 0x9e3779b97f4a7c15ull;
}

/* Of what decides how graphs are cut and laid out; never 0. */
static uint64_t hash_of(const jitc_model_options *o) {
    uint64_t h = o->nsplit_ops + 2;
    for (uint32_t i = 0; i < o->nsplit_ops; i++)
        h = mix(h, o->split_ops[i]);
    for (uint32_t i = 0; i < o->nstrides; i++) {
        h = mix(h, o->strides[i].param);
        for (uint32_t d = 0; d < o->strides[i].n; d++)
            h = mix(h, o->strides[i].strides[d]);
    }
    for (uint32_t i = 0; i < o->nexamples && o->examples; i++) {
        const DLTensor *t = o->examples[i];
        h = mix(h, t ? "tensor" : NULL);
        for (int32_t d = 0; t && t->shape && t->strides && d < t->ndim; d++)
            h = (h ^ (uint64_t)t->shape[d] ^ (uint64_t)t->strides[d] << 32) * 0x9e3779b97f4a7c15ull;
    }
    return h | 1;
}

jitc_status jc_check_refused(jitc_graph *const *graphs, uint32_t n, jc_error *err) {
    for (uint32_t i = 0; i < n; i++) {
        const jc_graph *g = graphs[i]->g;
        if (g->refused.n)
            return jc_fail_at(err, JITC_E_UNSUPPORTED, g->file, g->refused.at[0].line, g->refused.at[0].column,
                              g->refused.at[0].node, "%s", g->refused.at[0].reason);
    }
    return JITC_OK;
}

jitc_status jc_check_explained(jitc_graph *const *graphs, uint32_t n, const jitc_model_options *o, jc_error *err) {
    for (uint32_t i = 0; i < n; i++) {
        if (graphs[i]->explained && graphs[i]->explained != hash_of(o))
            return jc_fail(err, JITC_E_USAGE, "graph %u was explained with other split_ops, strides or examples: read it again", i);
    }
    return JITC_OK;
}

/* --- the whole --- */

static int by_place(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->graph != y->graph)
        return x->graph < y->graph ? -1 : 1;
    if (x->what.line != y->what.line)
        return x->what.line < y->what.line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* A failure for want of support before there are classes is one more thing to tell. */
static jitc_status told_as_item(finder *f, jitc_status status, jc_error *err) {
    if (status != JITC_E_UNSUPPORTED)
        return status;
    jitc_refusal what = { sizeof what, "", jc_arena_strdup(f->arena, err->node), "", jc_arena_strdup(f->arena, err->file),
                          err->line, err->column, jc_arena_strdup(f->arena, err->message) };
    jc_push(f->arena, &f->items, ((item){ what, 0, 0 }));
    *err = (jc_error)JC_ERROR_INIT;
    return JITC_OK;
}

static jitc_status explain_classes(finder *f, jitc_model *m, const jitc_model_options *o, jc_error *err) {
    jitc_status status = jc_model_prepare(m, o, err);
    for (uint32_t i = 0; i < m->ngraphs; i++) {
        m->graphs[i]->used = status != JITC_OK; /* half cut, it serves nobody */
        m->graphs[i]->explained = hash_of(o);
    }
    if (status != JITC_OK)
        return told_as_item(f, status, err);
    for (uint32_t i = 0; i < m->nclasses; i++)
        JC_TRY(told_as_item(f, explain_class(f, m, i, err), err));
    return JITC_OK;
}

static jitc_status explain(finder *f, jitc_model *m, const jitc_model_options *o, jc_error *err) {
    f->told = JC_NEWN(f->arena, bool *, m->ngraphs);
    for (uint32_t i = 0; i < m->ngraphs; i++)
        f->told[i] = JC_NEWN(f->arena, bool, m->graphs[i]->g->refused.n);
    jitc_status status = explain_classes(f, m, o, err);
    if (status == JITC_E_INPUT && unread(m->graphs, m->ngraphs)) { /* it may come of what was passed over: it says nothing */
        *err = (jc_error)JC_ERROR_INIT;
        status = JITC_OK;
    }
    if (status == JITC_OK)
        add_rest(f, m);
    return status;
}

static jitc_status guarded(finder *f, jitc_model *m, const jitc_model_options *o, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(m->arena, &guard) == 0)
        status = explain(f, m, o, err);
    jc_guard_end(m->arena, &guard);
    return status;
}

jitc_status jitc_model_explain(jitc_context *ctx, jitc_graph *const *graphs, uint32_t n, const jitc_model_options *options,
                               jitc_refusal_function told, void *user) {
    jitc_model_options o = { 0 };
    jc_error err = JC_ERROR_INIT;
    JC_NEED(ctx, ctx);
    if (n)
        JC_NEED(ctx, graphs);
    if (!told)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "jitc_model_explain: `told` is NULL"), &err);
    JC_ENTRY(ctx, &err, jc_take_options(&o, sizeof o, options, "jitc_model_options", &err));
    JC_ENTRY(ctx, &err, jc_check_graphs(ctx, graphs, n, &err));
    JC_ENTRY(ctx, &err, jc_check_explained(graphs, n, &o, &err));
    jitc_model *m = jc_model_new(ctx);
    if (!m)
        return jc_context_done(ctx, JITC_E_NOMEM, &err);
    finder f = { .arena = m->arena };
    m->ngraphs = n;
    m->graphs = (jitc_graph **)graphs;
    jitc_status status = guarded(&f, m, &o, &err);
    if (status == JITC_OK && f.items.n)
        qsort(f.items.at, f.items.n, sizeof *f.items.at, by_place);
    for (size_t i = 0; i < f.items.n && status == JITC_OK; i++)
        told(user, &f.items.at[i].what);
    jitc_model_free(m);
    return jc_context_done(ctx, status, &err);
}
