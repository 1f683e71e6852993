/*
 * jit/api/executable.c - executables: classes, what they take and give, and what their members supply.
 */
#include "jit/api/executable.h"

#include <string.h>

#include "ir/solve.h"

/* --- of a model --- */

jc_about *jc_about_model(jitc_model *m) {
    jc_guard guard;
    if (m->about)
        return m->about;
    jc_arena *arena = jc_arena_new(&m->ctx->alloc);
    if (!arena)
        return NULL;
    jc_about *volatile made = NULL;
    if (JC_GUARD(arena, &guard) == 0) {
        jc_about *a = JC_NEW(arena, jc_about);
        a->arena = arena;
        a->classes = JC_NEWN(arena, jitc_executable *, m->nclasses);
        a->types = JC_NEWN(arena, const char **, m->ngraphs);
        for (uint32_t i = 0; i < m->ngraphs; i++)
            a->types[i] = JC_NEWN(arena, const char *, m->graphs[i]->g->root->nparams);
        made = a;
    }
    jc_guard_end(arena, &guard);
    if (!made)
        jc_arena_free(arena);
    m->about = made;
    return made;
}

void jc_about_free(jitc_model *m) {
    if (m->about)
        jc_arena_free(m->about->arena);
    m->about = NULL;
}

const char *jc_model_param_type(jitc_model *m, uint32_t graph, uint32_t param) {
    const jc_graph *g = m->graphs[graph]->g;
    jc_guard guard;
    const char *volatile text = NULL;
    pthread_mutex_lock(&m->ctx->lock);
    jc_about *a = jc_about_model(m);
    if (a && JC_GUARD(a->arena, &guard) == 0) {
        if (!a->types[graph][param])
            a->types[graph][param] = jc_type_text(g->exprs, &g->root->params[param]->type, a->arena);
        text = a->types[graph][param];
    }
    if (a)
        jc_guard_end(a->arena, &guard);
    pthread_mutex_unlock(&m->ctx->lock);
    return text;
}

/* --- types --- */

static const uint32_t tags[] = { [JC_TENSOR] = JITC_TENSOR, [JC_SYMINT] = JITC_INT, [JC_NAME] = JITC_NAME,
                                 [JC_INT] = JITC_INT, [JC_FLOAT] = JITC_FLOAT, [JC_BOOL] = JITC_BOOL };

static const char *const *texts(const jc_graph *g, const jc_expr *const *e, uint32_t n) {
    const char **out = JC_NEWN(g->arena, const char *, n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = jc_ex_text(g->exprs, e[i], g->arena);
    return out;
}

static const char *const *strides_of(const jc_graph *g, const jc_type *t) {
    return texts(g, jc_type_strides(g->exprs, g->arena, t), t->rank);
}

static DLDataType dtype_of(const jc_type *t) {
    const jc_dtype_info *d = &jc_dtypes[t->dtype];
    return (DLDataType){ d->dl_code, d->dl_bits, 1 };
}

/* --- parameters --- */

static void fill_param(const jitc_executable *x, uint32_t i, jitc_executable_param *out) {
    const jc_graph *g = x->g;
    const jc_value *v = g->root->params[i];
    const jc_bind *b = &x->first->canon.inputs[i];
    *out = (jitc_executable_param){
        .struct_size = sizeof *out,
        .name = b->kind == JC_BIND_PARAM ? x->first->func->params[b->param]->name : "",
        .tag = tags[v->type.kind],
        .type = jc_type_text(g->exprs, &v->type, g->arena),
        .literal = b->kind == JC_BIND_LITERAL,
        .alias = v->alias,
    };
    if (v->type.kind == JC_SYMINT)
        out->value = jc_ex_text(g->exprs, v->type.expr, g->arena);
    if (v->type.kind != JC_TENSOR)
        return;
    out->dtype = dtype_of(&v->type);
    out->rank = v->type.rank;
    out->dims = texts(g, v->type.dims, v->type.rank);
    out->strides = strides_of(g, &v->type);
    out->alignment = v->alias ? jc_dtypes[v->type.dtype].size : JC_EXEC_VEC_ALIGN;
}

typedef struct write_scan {
    const jitc_executable *x;
    bool *filled; /* by value id: something writes its storage */
} write_scan;

static void see_written(void *user, jc_value *v) {
    write_scan *w = user;
    const jc_value *owner = jc_storage(v);
    w->filled[owner->id] = true;
    if (!owner->def)
        w->x->params[owner->index].written = true;
}

/* Marks written parameters; FILLED gets what else is written. */
static void scan_writes(const jitc_executable *x, bool *filled) {
    const jc_func *f = x->g->root;
    write_scan w = { x, filled };
    for (size_t i = 0; i < f->nodes.n; i++)
        jc_node_written(f->nodes.at[i], see_written, &w);
}

/* --- results --- */

static void fill_tensor(const jitc_executable *x, jc_value *v, const bool *filled, jitc_executable_result *out) {
    const jc_graph *g = x->g;
    const jc_value *owner = jc_storage(v);
    out->tag = JITC_TENSOR;
    out->dtype = dtype_of(&v->type);
    out->rank = v->type.rank;
    out->dims = texts(g, v->type.dims, v->type.rank);
    out->strides = strides_of(g, &v->type);
    out->type = jc_type_text(g->exprs, &v->type, g->arena);
    out->view_of = owner->def ? JITC_NO_PARAM : owner->index;
    out->undefined = owner->def && owner->def->op == JC_OP_empty && !filled[owner->id];
}

static void fill_result(const jitc_executable *x, uint32_t i, const bool *filled, jitc_executable_result *out) {
    const jc_graph *g = x->g;
    const jc_arg *a = &g->root->outputs[i];
    *out = (jitc_executable_result){ .struct_size = sizeof *out, .tag = JITC_NONE, .type = "None",
                                     .view_of = JITC_NO_PARAM, .storage = i };
    if (a->kind == JC_ARG_EXPR) {
        out->tag = JITC_INT;
        out->value = jc_ex_text(g->exprs, a->expr, g->arena);
        out->type = jc_arena_printf(g->arena, "Sym(%s)", out->value);
    }
    if (a->kind == JC_ARG_FLOAT || a->kind == JC_ARG_BOOL) {
        out->tag = a->kind == JC_ARG_FLOAT ? JITC_FLOAT : JITC_BOOL;
        out->type = a->kind == JC_ARG_FLOAT ? "float" : "bool";
        out->value = a->kind == JC_ARG_FLOAT ? jc_arena_printf(g->arena, "%.17g", a->f) : a->b ? "True" : "False";
    }
    if (a->kind != JC_ARG_VALUE)
        return;
    if (a->value->type.kind != JC_TENSOR) {
        out->tag = tags[a->value->type.kind];
        out->type = jc_type_text(g->exprs, &a->value->type, g->arena);
        out->view_of = a->value->def ? JITC_NO_PARAM : a->value->index;
        return;
    }
    fill_tensor(x, a->value, filled, out);
    for (uint32_t k = 0; k < i; k++) {
        const jc_arg *b = &g->root->outputs[k];
        if (b->kind == JC_ARG_VALUE && jc_storage(b->value) == jc_storage(a->value)) {
            out->storage = k;
            return;
        }
    }
}

/* --- symbols --- */

static void fill_symbol(const jitc_executable *x, uint32_t i, const jc_solve_origin *from, jitc_executable_symbol *out) {
    const jc_sym *s = jc_sym_at(x->g->exprs, i);
    *out = (jitc_executable_symbol){ .struct_size = sizeof *out, .name = s->name, .lo = INT64_MAX, .hi = 0,
                                     .param = from->found ? from->param : JITC_NO_PARAM,
                                     .dim = from->found ? from->dim : -1, .stride = from->stride };
    for (uint32_t r = 0; r < x->c->ranges[i].n; r++) {
        const jc_interval *at = &x->c->ranges[i].at[r];
        out->lo = at->lo < out->lo ? at->lo : out->lo;
        out->hi = at->hi > out->hi ? at->hi : out->hi;
    }
}

/* --- variants --- */

static jitc_status fill_variant(jitc_executable *x, uint32_t v, jc_error *err) {
    const jc_request *r = &x->c->variants[v].request;
    jitc_executable_variant *out = &x->variants[v];
    jc_artifact a;
    jc_plan *plan;
    JC_TRY(jc_artifact_decode(r->artifact, r->nartifact, x->g->arena, &a, err));
    JC_TRY(jc_plan_decode(a.plan, a.nplan, x->g->arena, &plan, err));
    if (!jc_plan_fits(x->first, plan))
        return jc_fail(err, JITC_E_INPUT, "the artifact of %s is that of another piece", x->first->func->name);
    x->plans[v] = plan;
    *out = (jitc_executable_variant){ .struct_size = sizeof *out, .lo = r->lo, .hi = r->hi, .hit = r->hit,
                                      .kernels = plan->nkernels, .bytes = r->nartifact };
    for (uint32_t i = 0; i < plan->nsteps; i++)
        if (plan->steps[i].kind == JC_STEP_LAUNCH)
            out->launches++;
        else
            out->calls += !jc_plan_is_check(plan->steps[i].op);
    return JITC_OK;
}

/* --- making one --- */

/* The class in the words of its first member. */
static jitc_status decode(jitc_executable *x, jc_arena *arena, jc_error *err) {
    const jc_piece *p = x->first;
    JC_TRY(jc_canon_decode(p->canon.bytes, p->canon.nbytes, arena, &x->g, err));
    const jc_func *f = x->g->root;
    if (f->nparams != p->canon.ninputs || jc_sym_count(x->g->exprs) != p->canon.nsyms || f->noutputs != p->func->noutputs)
        return jc_fail(err, JITC_E_INPUT, "the canonical form of %s is that of another piece", p->func->name);
    for (uint32_t i = 0; i < p->canon.nsyms; i++)
        jc_sym_at(x->g->exprs, i)->name = jc_sym_at(x->m->graphs[p->graph]->g->exprs, p->canon.syms[i]->sym)->name;
    return JITC_OK;
}

static void fill_info(jitc_executable *x, uint32_t cls) {
    const jc_func *f = x->g->root;
    x->info = (jitc_executable_info){
        .struct_size = sizeof x->info,
        .cls = cls,
        .piece = x->c->first,
        .name = x->first->func->name,
        .members = x->c->members,
        .splitting = x->first->splitting,
        .compiled = x->c->variants[0].request.artifact != NULL,
        .nparams = f->nparams,
        .nresults = f->noutputs,
        .nsymbols = x->first->canon.nsyms,
        .nvariants = x->c->nvariants,
    };
    jc_hash_hex(&x->first->canon.hash, x->info.key);
}

static jitc_status make(jitc_model *m, uint32_t cls, jc_arena *arena, jc_error *err) {
    jitc_executable *x = JC_NEW(arena, jitc_executable);
    x->m = m;
    x->c = &m->classes[cls];
    x->first = &m->pieces[x->c->first];
    JC_TRY(decode(x, arena, err));
    fill_info(x, cls);
    const jitc_executable_info *n = &x->info;
    x->params = JC_NEWN(arena, jitc_executable_param, n->nparams);
    x->results = JC_NEWN(arena, jitc_executable_result, n->nresults);
    x->symbols = JC_NEWN(arena, jitc_executable_symbol, n->nsymbols);
    bool *filled = JC_NEWN(arena, bool, x->g->root->nvalues);
    for (uint32_t i = 0; i < n->nparams; i++)
        fill_param(x, i, &x->params[i]);
    scan_writes(x, filled);
    for (uint32_t i = 0; i < n->nresults; i++)
        fill_result(x, i, filled, &x->results[i]);
    const jc_solve_origin *origins = jc_solver_origins(jc_solver_new(x->g->root, arena), arena);
    for (uint32_t i = 0; i < n->nsymbols; i++)
        fill_symbol(x, i, &origins[i], &x->symbols[i]);
    if (n->compiled) {
        x->variants = JC_NEWN(arena, jitc_executable_variant, n->nvariants);
        x->plans = JC_NEWN(arena, const jc_plan *, n->nvariants);
        for (uint32_t v = 0; v < n->nvariants; v++)
            JC_TRY(fill_variant(x, v, err));
    }
    m->about->classes[cls] = x;
    return JITC_OK;
}

static jitc_status find(jitc_model *m, uint32_t cls, const jitc_executable **out, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    pthread_mutex_lock(&m->ctx->lock);
    jc_about *a = jc_about_model(m);
    if (a && JC_GUARD(a->arena, &guard) == 0)
        status = a->classes[cls] ? JITC_OK : make(m, cls, a->arena, err);
    if (a)
        jc_guard_end(a->arena, &guard);
    *out = status == JITC_OK ? a->classes[cls] : NULL;
    pthread_mutex_unlock(&m->ctx->lock);
    return status;
}

/* --- the public calls --- */

uint32_t jitc_model_classes(const jitc_model *m) {
    return m ? m->nclasses : 0;
}

jitc_status jitc_model_executable(jitc_model *m, uint32_t cls, const jitc_executable **out) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, m);
    JC_NEED(m->ctx, out);
    *out = NULL;
    if (cls >= m->nclasses)
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "class %u of a model with %u classes", cls, m->nclasses),
                               &err);
    return jc_context_done(m->ctx, find(m, cls, out, &err), &err);
}

/* ROW, one of N such, into the caller's struct, whose size is its first field. */
static jitc_status give(const jitc_executable *x, const void *rows, size_t size, uint32_t row, uint32_t n, const char *what,
                        void *out) {
    jc_error err = JC_ERROR_INIT;
    if (row >= n)
        return jc_context_done(x->m->ctx, jc_fail(&err, JITC_E_USAGE, "%s %u of a class with %u", what, row, n), &err);
    jc_give_struct(out, (const char *)rows + row * size, size);
    return JITC_OK;
}

jitc_status jitc_executable_get_info(const jitc_executable *exe, jitc_executable_info *out) {
    JC_NEED(NULL, exe);
    JC_NEED(exe->m->ctx, out);
    return give(exe, &exe->info, sizeof exe->info, 0, 1, "info", out);
}

jitc_status jitc_executable_get_param(const jitc_executable *exe, uint32_t param, jitc_executable_param *out) {
    JC_NEED(NULL, exe);
    JC_NEED(exe->m->ctx, out);
    return give(exe, exe->params, sizeof *exe->params, param, exe->info.nparams, "parameter", out);
}

jitc_status jitc_executable_get_result(const jitc_executable *exe, uint32_t result, jitc_executable_result *out) {
    JC_NEED(NULL, exe);
    JC_NEED(exe->m->ctx, out);
    return give(exe, exe->results, sizeof *exe->results, result, exe->info.nresults, "result", out);
}

jitc_status jitc_executable_get_symbol(const jitc_executable *exe, uint32_t symbol, jitc_executable_symbol *out) {
    JC_NEED(NULL, exe);
    JC_NEED(exe->m->ctx, out);
    return give(exe, exe->symbols, sizeof *exe->symbols, symbol, exe->info.nsymbols, "symbol", out);
}

jitc_status jitc_executable_get_variant(const jitc_executable *exe, uint32_t variant, jitc_executable_variant *out) {
    JC_NEED(NULL, exe);
    JC_NEED(exe->m->ctx, out);
    return give(exe, exe->variants, sizeof *exe->variants, variant, exe->info.compiled ? exe->info.nvariants : 0,
                "compiled variant", out);
}

jitc_status jitc_piece_inputs(const jitc_model *m, uint32_t piece, jitc_piece_input *out, uint32_t n) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, m);
    if (n)
        JC_NEED(m->ctx, out);
    if (piece >= m->npieces)
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "piece %u of a model with %u pieces", piece, m->npieces),
                               &err);
    const jc_piece *p = &m->pieces[piece];
    if (n != p->canon.ninputs)
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "the class of %s has %u parameters, there is room for %u",
                                               p->func->name, p->canon.ninputs, n), &err);
    for (uint32_t i = 0; i < n; i++) {
        const jc_bind *b = &p->canon.inputs[i];
        out[i] = b->kind == JC_BIND_PARAM ? (jitc_piece_input){ .param = b->param }
                                          : (jitc_piece_input){ JITC_NO_PARAM, jc_literal_value(p, i) };
    }
    return JITC_OK;
}
