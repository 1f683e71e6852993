/*
 * jit/api/model_run.c - running a model: the root's calls, one after the other, over one pool of memory.
 *
 * For one set of symbol values everything but the pointers is computed once (a run): which block each result of each call lies
 * in, when a block dies, and where in the pool it goes (first fit among blocks that are free, in order of calls).
 * A steady-state run then binds pointers and calls the executor.
 */
#include <string.h>

#include "ir/solve.h"
#include "jit/api/executable.h"

#define ALIGN 256
#define EXTERNAL UINT32_MAX
#define MAX_RUNS 64 /* remembered; the longest unused goes first */

typedef struct block {
    size_t bytes, offset;
    uint32_t born, dies; /* calls; dies == ncalls: a result of the root */
} block;

/* A value of the root: a parameter or a result of a call. */
typedef struct slot {
    jitc_value value;
    uint32_t block; /* EXTERNAL: a parameter's memory, or none */
} slot;

typedef struct call {
    jc_piece *piece;
    jc_exec *exec;
    const jc_shape *shape;
    const jc_node *node;
    uint32_t nescapes, nin, nout;
    uint32_t *escape_block;
    jitc_value *in;
    void **escapes;
    jitc_value *out;
    DLTensor *tensors;
    int64_t (*dims)[2 * JC_MAX_RANK];
} call;

/* One graph (or one piece) under one set of symbol values. */
typedef struct run {
    struct run *next;
    jc_arena *arena;
    uint32_t graph, piece; /* piece: UINT32_MAX for a whole graph */
    uint32_t nsyms;
    int64_t *syms;
    uint32_t ncalls, nslots, nblocks;
    call *calls;
    slot *slots;  /* by value id of the root */
    block *blocks;
    size_t pool;    /* for all blocks, as they were placed */
    size_t scratch; /* for what the largest call needs within itself */
    size_t values;  /* for all blocks, side by side */
} run;

struct jc_model_runs {
    run *first; /* the last used first */
    uint32_t n;
    void *pool;
    size_t pool_bytes;
};

/* --- looking at values --- */

static jc_func *root_of(jitc_model *m, uint32_t graph) {
    return m->graphs[graph]->g->root;
}

/* --- planning a run --- */

static jitc_status plan_call(jitc_model *m, run *r, call *c, jc_piece *p, jc_error *err) {
    const jc_plan *plan;
    uint32_t variant;
    int64_t *syms = JC_NEWN(r->arena, int64_t, p->canon.nsyms);
    c->piece = p;
    JC_TRY(jc_piece_symbols(p, r->syms, r->nsyms, syms, err));
    JC_TRY(jc_class_dispatch(m, p, syms, &variant, err));
    JC_TRY(jc_model_exec(m, p->cls, variant, &c->exec, err));
    JC_TRY(jc_exec_shape(c->exec, syms, &c->shape, err));
    if (jc_shape_arena_bytes(c->shape) > r->scratch)
        r->scratch = jc_shape_arena_bytes(c->shape);
    plan = jc_exec_plan(c->exec);
    c->nin = plan->ninputs;
    c->nout = plan->noutputs;
    c->nescapes = plan->nescapes;
    c->in = JC_NEWN(r->arena, jitc_value, c->nin);
    c->out = JC_NEWN(r->arena, jitc_value, c->nout);
    c->tensors = JC_NEWN(r->arena, DLTensor, c->nout);
    c->dims = jc_arena_array(r->arena, c->nout, sizeof *c->dims);
    c->escapes = JC_NEWN(r->arena, void *, c->nescapes);
    c->escape_block = JC_NEWN(r->arena, uint32_t, c->nescapes);
    return JITC_OK;
}

static uint32_t new_block(run *r, size_t bytes, uint32_t at, block **blocks, uint32_t *cap) {
    if (r->nblocks == *cap) {
        block *more = JC_NEWN(r->arena, block, *cap ? 2 * *cap : 64);
        if (r->nblocks)
            memcpy(more, *blocks, r->nblocks * sizeof *more);
        *blocks = more;
        *cap = *cap ? 2 * *cap : 64;
    }
    (*blocks)[r->nblocks] = (block){ .bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN, .born = at, .dies = at };
    return r->nblocks++;
}

/* The block that output I of a call lies in. */
static uint32_t block_of_output(const run *r, const call *c, uint32_t i) {
    const jc_plan *plan = jc_exec_plan(c->exec);
    const jc_plan_output *o = &plan->outputs[i];
    uint32_t input = JC_PLAN_NONE;
    if (o->kind == JC_OUT_TENSOR) {
        const jc_plan_tensor *t = &plan->tensors[o->index];
        if (t->home == JC_HOME_BUFFER)
            return c->escape_block[plan->buffers[t->index].escape];
        input = t->index;
    } else if (o->kind == JC_OUT_INPUT) {
        input = o->index;
    }
    if (input == JC_PLAN_NONE || !c->node)
        return EXTERNAL;
    const jc_bind *b = &c->piece->canon.inputs[input];
    if (b->kind != JC_BIND_PARAM || c->node->args[b->param].kind != JC_ARG_VALUE)
        return EXTERNAL;
    return r->slots[c->node->args[b->param].value->id].block;
}

static void extend(run *r, uint32_t b, uint32_t at) {
    if (b != EXTERNAL && r->blocks[b].dies < at)
        r->blocks[b].dies = at;
}

static void use(run *r, const jc_arg *a, uint32_t at) {
    if (a->kind == JC_ARG_VALUE)
        extend(r, r->slots[a->value->id].block, at);
    for (uint32_t i = 0; a->kind == JC_ARG_LIST && i < a->list.n; i++)
        use(r, &a->list.at[i], at);
}

/* First fit: the lowest offset at which no living block is in the way. */
static void place(run *r) {
    for (uint32_t i = 0; i < r->nblocks; i++) {
        block *b = &r->blocks[i];
        b->offset = 0;
        r->values += b->bytes;
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t j = 0; j < i; j++) {
                const block *o = &r->blocks[j];
                if (o->dies >= b->born && b->offset < o->offset + o->bytes && o->offset < b->offset + b->bytes) {
                    b->offset = o->offset + o->bytes;
                    moved = true;
                }
            }
        }
        if (b->offset + b->bytes > r->pool)
            r->pool = b->offset + b->bytes;
    }
}

static jitc_status plan_graph(jitc_model *m, run *r, jc_error *err) {
    const jc_func *root = root_of(m, r->graph);
    uint32_t cap = 0, piece = 0;
    r->ncalls = (uint32_t)root->nodes.n;
    r->nslots = root->nvalues;
    r->calls = JC_NEWN(r->arena, call, r->ncalls);
    r->slots = JC_NEWN(r->arena, slot, r->nslots);
    for (uint32_t i = 0; i < r->nslots; i++)
        r->slots[i].block = EXTERNAL;
    jc_map *by_func = jc_map_new(r->arena);
    for (piece = 0; piece < m->npieces; piece++)
        jc_map_set(by_func, &m->pieces[piece].func, sizeof(jc_func *), &m->pieces[piece]);
    for (uint32_t i = 0; i < r->ncalls; i++) {
        call *c = &r->calls[i];
        c->node = root->nodes.at[i];
        JC_TRY(plan_call(m, r, c, jc_map_get(by_func, &c->node->callee, sizeof(jc_func *)), err));
        for (uint32_t e = 0; e < c->nescapes; e++)
            c->escape_block[e] = new_block(r, jc_shape_escape_bytes(c->shape, e), i, &r->blocks, &cap);
        for (uint32_t a = 0; a < c->node->nargs; a++)
            use(r, &c->node->args[a], i);
        for (uint32_t o = 0, v = 0; o < c->nout && v < c->node->nresults; o++)
            if (jc_exec_plan(c->exec)->outputs[o].kind != JC_OUT_NONE) /* None has no value in the root */
                r->slots[c->node->results[v++]->id].block = block_of_output(r, c, o);
    }
    for (uint32_t i = 0; i < root->noutputs; i++)
        use(r, &root->outputs[i], r->ncalls);
    place(r);
    return JITC_OK;
}

static jitc_status plan_piece(jitc_model *m, run *r, jc_error *err) {
    uint32_t cap = 0;
    r->ncalls = 1;
    r->calls = JC_NEWN(r->arena, call, 1);
    JC_TRY(plan_call(m, r, r->calls, &m->pieces[r->piece], err));
    for (uint32_t e = 0; e < r->calls->nescapes; e++)
        r->calls->escape_block[e] = new_block(r, jc_shape_escape_bytes(r->calls->shape, e), 0, &r->blocks, &cap);
    place(r);
    return JITC_OK;
}

static void run_free(run *r) {
    for (uint32_t i = 0; r->calls && i < r->ncalls; i++)
        jc_shape_release(r->calls[i].shape);
    jc_arena_free(r->arena);
}

/* A run is let go of only when MAX_RUNS others were used since: what it gave back is not borrowed any more. */
static void remember(struct jc_model_runs *runs, run *r) {
    r->next = runs->first;
    runs->first = r;
    if (++runs->n <= MAX_RUNS)
        return;
    run **last = &runs->first;
    while ((*last)->next)
        last = &(*last)->next;
    run_free(*last);
    *last = NULL;
    runs->n--;
}

static run *recall(struct jc_model_runs *runs, uint32_t graph, uint32_t piece, const int64_t *syms, uint32_t nsyms) {
    for (run **p = &runs->first; *p; p = &(*p)->next) {
        run *r = *p;
        if (r->graph != graph || r->piece != piece || memcmp(r->syms, syms, nsyms * sizeof *syms) != 0)
            continue;
        *p = r->next;
        r->next = runs->first;
        runs->first = r;
        return r;
    }
    return NULL;
}

/* The run for these symbol values, planned if need be. */
static jitc_status find_run(jitc_model *m, uint32_t graph, uint32_t piece, const int64_t *syms, run **out, jc_error *err) {
    uint32_t nsyms = jc_sym_count(m->graphs[graph]->g->exprs);
    jc_guard guard;
    if (!m->runs)
        m->runs = JC_NEW(m->arena, struct jc_model_runs);
    if ((*out = recall(m->runs, graph, piece, syms, nsyms)))
        return JITC_OK;
    jc_arena *arena = jc_arena_new(&m->ctx->alloc);
    if (!arena)
        return JITC_E_NOMEM;
    volatile jitc_status status = JITC_E_NOMEM;
    run *volatile made = NULL;
    if (JC_GUARD(arena, &guard) == 0) {
        run *r = made = JC_NEW(arena, run);
        r->arena = arena;
        r->graph = graph;
        r->piece = piece;
        r->nsyms = nsyms;
        r->syms = jc_arena_memdup(arena, syms, nsyms * sizeof *syms);
        status = piece == UINT32_MAX ? plan_graph(m, r, err) : plan_piece(m, r, err);
    }
    jc_guard_end(arena, &guard);
    if (status == JITC_OK)
        remember(m->runs, *out = made);
    else if (made)
        run_free(made);
    else
        jc_arena_free(arena);
    return status;
}

/* --- running --- */

static void count_memory(jitc_model *m, const run *r) {
    jitc_model_stats *s = &m->stats;
    if (r->pool + r->scratch <= s->peak_bytes)
        return;
    s->peak_bytes = r->pool + r->scratch;
    s->pool_bytes = r->pool;
    s->value_bytes = r->values;
}

static jitc_status reserve(jitc_model *m, const run *r, jc_error *err) {
    struct jc_model_runs *runs = m->runs;
    jc_device *d;
    size_t bytes = r->pool;
    count_memory(m, r);
    JC_TRY(jc_context_device(m->ctx, &d, err));
    if (!m->frame)
        JC_TRY(jc_frame_new(d, &m->frame, err));
    if (bytes <= runs->pool_bytes)
        return JITC_OK;
    d->ops->free(d, runs->pool);
    runs->pool = NULL;
    runs->pool_bytes = 0;
    JC_TRY(d->ops->alloc(d, bytes, &runs->pool, err));
    runs->pool_bytes = bytes;
    return JITC_OK;
}

/* What A, an argument of a call or an output of ROOT, is in this run. */
static jitc_status root_arg(const jc_func *root, const run *r, const jc_arg *a, jitc_value *out, jc_error *err) {
    *out = (jitc_value){ .tag = JITC_NONE };
    switch (a->kind) {
    case JC_ARG_VALUE:
        *out = r->slots[a->value->id].value;
        return JITC_OK;
    case JC_ARG_EXPR:
        out->tag = JITC_INT;
        if (jc_ex_eval(a->expr, r->syms, r->nsyms, &out->i))
            return JITC_OK;
        return jc_no_value(root, a->expr, r->syms, root->line, err);
    case JC_ARG_FLOAT:
        *out = (jitc_value){ .tag = JITC_FLOAT, .f = a->f };
        return JITC_OK;
    case JC_ARG_BOOL:
        *out = (jitc_value){ .tag = JITC_BOOL, .i = a->b };
        return JITC_OK;
    default:
        return JITC_OK;
    }
}

static jitc_status do_call(jitc_model *m, run *r, call *c, const jitc_value *params, void *stream, jc_error *err) {
    for (uint32_t i = 0; i < c->nin; i++) {
        const jc_bind *b = &c->piece->canon.inputs[i];
        if (b->kind == JC_BIND_LITERAL)
            c->in[i] = jc_literal_value(c->piece, i);
        else if (params)
            c->in[i] = params[b->param];
        else
            JC_TRY(root_arg(root_of(m, r->graph), r, &c->node->args[b->param], &c->in[i], err));
    }
    for (uint32_t e = 0; e < c->nescapes; e++)
        c->escapes[e] = (char *)m->runs->pool + r->blocks[c->escape_block[e]].offset;
    jc_exec_call request = { c->shape, c->in, c->escapes, c->out, c->tensors, c->dims, stream, m->ctx->ops, m->ctx->trace,
                          &m->ctx->log };
    jitc_status status = jc_exec_run(c->exec, m->frame, &request, err);
    if (status != JITC_OK && !err->file[0])
        jc_canon_locate(&c->piece->canon, m->graphs[c->piece->graph]->g->file, err);
    return status;
}

static jitc_status run_graph(jitc_model *m, uint32_t graph, void *stream, const jitc_value *values, jitc_value *results,
                             jc_error *err) {
    const jc_func *root = root_of(m, graph);
    int64_t syms[jc_sym_count(root->graph->exprs) + 1];
    run *r;
    memset(syms, 0, sizeof syms);
    JC_TRY(jc_solve(root, values, 0, syms, err));
    JC_TRY(find_run(m, graph, UINT32_MAX, syms, &r, err));
    JC_TRY(reserve(m, r, err));
    for (uint32_t p = 0; p < root->nparams; p++)
        r->slots[root->params[p]->id].value = values[p];
    for (uint32_t i = 0; i < r->ncalls; i++) {
        call *c = &r->calls[i];
        JC_TRY(do_call(m, r, c, NULL, stream, err));
        for (uint32_t o = 0, v = 0; o < c->nout && v < c->node->nresults; o++)
            if (jc_exec_plan(c->exec)->outputs[o].kind != JC_OUT_NONE)
                r->slots[c->node->results[v++]->id].value = c->out[o];
    }
    for (uint32_t i = 0; i < root->noutputs; i++)
        JC_TRY(root_arg(root, r, &root->outputs[i], &results[i], err));
    return JITC_OK;
}

static jitc_status run_piece(jitc_model *m, uint32_t piece, void *stream, const jitc_value *values, jitc_value *results,
                             jc_error *err) {
    const jc_piece *p = &m->pieces[piece];
    int64_t syms[jc_sym_count(p->func->graph->exprs) + 1];
    run *r;
    memset(syms, 0, sizeof syms);
    JC_TRY(jc_solve(p->func, values, 0, syms, err));
    JC_TRY(find_run(m, p->graph, piece, syms, &r, err));
    JC_TRY(reserve(m, r, err));
    JC_TRY(do_call(m, r, r->calls, values, stream, err));
    memcpy(results, r->calls->out, r->calls->nout * sizeof *results);
    return JITC_OK;
}

/* --- the public calls --- */

static jitc_status check_counts(const char *what, const jc_func *f, uint32_t nvalues, uint32_t nresults, jc_error *err) {
    if (nvalues != f->nparams)
        return jc_fail(err, JITC_E_USAGE, "%s takes %u values, %u were given", what, f->nparams, nvalues);
    if (nresults != f->noutputs)
        return jc_fail(err, JITC_E_USAGE, "%s gives %u results, there is room for %u", what, f->noutputs, nresults);
    return JITC_OK;
}

/* What the symbols' values are solved from has to be there. */
static jitc_status check_values(const jc_func *f, const jitc_value *values, jc_error *err) {
    for (uint32_t i = 0; i < f->nparams; i++) {
        const jc_value *p = f->params[i];
        const DLTensor *t = values[i].tensor;
        if (p->type.kind != JC_TENSOR && p->type.kind != JC_SYMINT)
            continue;
        if (p->type.kind == JC_SYMINT ? values[i].tag != JITC_INT : values[i].tag != JITC_TENSOR || !t)
            return jc_fail_at(err, JITC_E_INPUT, f->graph->file, p->line, 0, p->name, "'%s' must be %s, but a %s with tag %u was given.",
                              p->name, p->type.kind == JC_SYMINT ? "an integer" : "a tensor",
                              values[i].tag == JITC_TENSOR && !t ? "NULL pointer" : "value", values[i].tag);
        if (p->type.kind == JC_TENSOR && t->ndim == p->type.rank && t->ndim > 0 && !t->shape)
            return jc_fail_at(err, JITC_E_INPUT, f->graph->file, p->line, 0, p->name, "The tensor for '%s' has no shape.",
                              p->name);
    }
    return JITC_OK;
}

static jitc_status checked(jitc_model *m, bool whole, uint32_t index, void *stream, const jitc_value *values,
                           uint32_t nvalues, jitc_value *results, uint32_t nresults, jc_error *err) {
    const jc_func *f = whole ? root_of(m, index) : m->pieces[index].func;
    JC_TRY(check_counts(f->name, f, nvalues, nresults, err));
    JC_TRY(check_values(f, values, err));
    return whole ? run_graph(m, index, stream, values, results, err) : run_piece(m, index, stream, values, results, err);
}

static jitc_status guarded(jitc_model *m, bool whole, uint32_t index, void *stream, const jitc_value *values,
                           uint32_t nvalues, jitc_value *results, uint32_t nresults) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard, inner; /* solving symbols allocates from the graph */
    volatile jitc_status status = JITC_E_NOMEM;
    JC_NEED(NULL, m);
    if (nvalues)
        JC_NEED(m->ctx, values);
    if (nresults)
        JC_NEED(m->ctx, results);
    if (index >= (whole ? m->ngraphs : m->npieces))
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "there is no %s %u", whole ? "graph" : "piece", index),
                               &err);
    jc_arena *arena = (whole ? root_of(m, index) : m->pieces[index].func)->graph->arena;
    if (JC_GUARD(m->arena, &guard) == 0 && JC_GUARD(arena, &inner) == 0)
        status = checked(m, whole, index, stream, values, nvalues, results, nresults, &err);
    jc_guard_end(arena, &inner);
    jc_guard_end(m->arena, &guard);
    return jc_context_done(m->ctx, status, &err);
}

jitc_status jitc_model_run(jitc_model *m, uint32_t graph, void *stream, const jitc_value *values, uint32_t nvalues,
                           jitc_value *results, uint32_t nresults) {
    return guarded(m, true, graph, stream, values, nvalues, results, nresults);
}

jitc_status jitc_piece_run(jitc_model *m, uint32_t piece, void *stream, const jitc_value *values, uint32_t nvalues,
                           jitc_value *results, uint32_t nresults) {
    return guarded(m, false, piece, stream, values, nvalues, results, nresults);
}

uint32_t jitc_model_params(const jitc_model *m, uint32_t graph) {
    return m && graph < m->ngraphs ? m->graphs[graph]->g->root->nparams : 0;
}

uint32_t jitc_model_outputs(const jitc_model *m, uint32_t graph) {
    return m && graph < m->ngraphs ? m->graphs[graph]->g->root->noutputs : 0;
}

jitc_status jitc_model_param_info(const jitc_model *m, uint32_t graph, uint32_t param, jitc_param_info *out) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, m);
    JC_NEED(m->ctx, out);
    if (param >= jitc_model_params(m, graph))
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "graph %u has no parameter %u", graph, param), &err);
    const jc_value *v = m->graphs[graph]->g->root->params[param];
    static const uint32_t tags[] = { [JC_TENSOR] = JITC_TENSOR, [JC_SYMINT] = JITC_INT, [JC_NAME] = JITC_NAME,
                                     [JC_INT] = JITC_INT, [JC_FLOAT] = JITC_FLOAT, [JC_BOOL] = JITC_BOOL };
    jitc_param_info info = { out->struct_size, v->name, tags[v->type.kind], NULL };
    info.type = jc_model_param_type((jitc_model *)m, graph, param);
    if (!info.type)
        return jc_context_done(m->ctx, JITC_E_NOMEM, &err);
    memcpy(out, &info, info.struct_size < sizeof info ? info.struct_size : sizeof info);
    return JITC_OK;
}

void jitc_model_free(jitc_model *m) {
    if (!m)
        return;
    jitc_context *ctx = m->ctx;
    pthread_mutex_lock(&ctx->lock);
    for (jitc_model **p = &ctx->models; *p; p = &(*p)->next)
        if (*p == m) {
            *p = m->next;
            break;
        }
    pthread_mutex_unlock(&ctx->lock);
    for (run *r = m->runs ? m->runs->first : NULL, *next; r; r = next) {
        next = r->next;
        run_free(r);
    }
    if (m->runs && m->runs->pool)
        ctx->device->ops->free(ctx->device, m->runs->pool);
    if (m->frame)
        jc_frame_free(m->frame);
    for (uint32_t i = 0; m->classes && i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++)
            if (m->classes[i].variants[v].exec)
                jc_exec_free(m->classes[i].variants[v].exec);
    jc_about_free(m);
    jc_arena_free(m->arena);
    ctx->alloc.free(ctx->alloc.user, m, sizeof *m);
}
