/*
 * jit/api/program.c - from a root, a piece or a class to sites and sources.
 */
#include <string.h>

#include "jit/api/program.h"

typedef struct builder {
    jitc_model *m;
    jc_program *p;
    jc_map *by_func;         /* of a graph: its pieces */
    uint32_t *first_out;     /* by value id of the root: the output of its site, plus one; 0: none */
    const bool **none;       /* by class: which outputs are None and have no value in the root */
    JC_VEC(const jc_expr *) exprs;
    jc_error *err;
} builder;

/* ---- sources ---------------------------------------------------------------------------------------------------- */

static jc_source constant(jitc_value v) {
    return (jc_source){ .kind = JC_SOURCE_CONST, .value = v };
}

static jc_source expression(builder *b, const jc_expr *e) {
    int64_t i;
    if (jc_ex_is_const(e, &i))
        return constant((jitc_value){ .tag = JITC_INT, .i = i });
    for (uint32_t k = 0; k < b->exprs.n; k++)
        if (b->exprs.at[k] == e)
            return (jc_source){ .kind = JC_SOURCE_EXPR, .index = k };
    jc_push(b->m->arena, &b->exprs, e);
    return (jc_source){ .kind = JC_SOURCE_EXPR, .index = (uint32_t)b->exprs.n - 1 };
}

static jc_source value_source(const builder *b, const jc_value *v) {
    if (!v->def)
        return (jc_source){ .kind = JC_SOURCE_PARAM, .index = v->index };
    uint32_t out = b->first_out[v->id];
    return out ? (jc_source){ .kind = JC_SOURCE_OUT, .index = out - 1 } : constant((jitc_value){ .tag = JITC_NONE });
}

static jc_source root_source(builder *b, const jc_arg *a) {
    switch (a->kind) {
    case JC_ARG_VALUE:
        return value_source(b, a->value);
    case JC_ARG_EXPR:
        return expression(b, a->expr);
    case JC_ARG_FLOAT:
        return constant((jitc_value){ .tag = JITC_FLOAT, .f = a->f });
    case JC_ARG_BOOL:
        return constant((jitc_value){ .tag = JITC_BOOL, .i = a->b });
    default:
        return constant((jitc_value){ .tag = JITC_NONE });
    }
}

/* ---- sites ------------------------------------------------------------------------------------------------------ */

static uint32_t group_of(builder *b, uint32_t cls, const jc_piece *piece, const jc_expr *const *syms) {
    jc_program *p = b->p;
    for (uint32_t i = 0; i < p->ngroups; i++) /* expressions of one table: equal ones are the same pointer */
        if (p->groups[i].cls == cls && (!piece->canon.nsyms ||
                                        memcmp(p->groups[i].syms, syms, piece->canon.nsyms * sizeof *syms) == 0))
            return i;
    p->groups[p->ngroups] = (jc_group){ cls, piece, syms };
    return p->ngroups++;
}

static void add_site(builder *b, jc_site *s, const jc_piece *piece, const jc_node *node, const jc_expr *const *syms) {
    jc_program *p = b->p;
    *s = (jc_site){ .cls = piece->cls, .piece = piece, .node = node, .nin = piece->canon.ninputs,
                    .nout = piece->func->noutputs, .first_in = p->nins, .first_out = p->nouts };
    s->group = group_of(b, piece->cls, piece, syms);
    s->in = JC_NEWN(b->m->arena, jc_source, s->nin);
    p->nins += s->nin;
    p->nouts += s->nout;
}

static void make_room(builder *b, uint32_t nsites) {
    b->p->nsites = nsites;
    b->p->sites = JC_NEWN(b->m->arena, jc_site, nsites);
    b->p->groups = JC_NEWN(b->m->arena, jc_group, nsites);
}

/* A piece by itself gets its parameters; a class its inputs, literals among them. */
static jitc_status build_single(builder *b, const jc_piece *piece, bool as_class) {
    jc_program *p = b->p;
    const jc_expr *const *syms = piece->canon.syms;
    make_room(b, 1);
    if (as_class) {
        const jc_expr **own = JC_NEWN(b->m->arena, const jc_expr *, piece->canon.nsyms);
        for (uint32_t i = 0; i < piece->canon.nsyms; i++)
            own[i] = jc_ex_sym(p->func->graph->exprs, i);
        syms = own;
    }
    add_site(b, &p->sites[0], piece, NULL, syms);
    for (uint32_t i = 0; i < p->sites[0].nin; i++) {
        const jc_bind *bind = &piece->canon.inputs[i];
        p->sites[0].in[i] = as_class ? (jc_source){ .kind = JC_SOURCE_PARAM, .index = i }
                            : bind->kind == JC_BIND_LITERAL ? constant(jc_literal_value(piece, i))
                                                            : (jc_source){ .kind = JC_SOURCE_PARAM, .index = bind->param };
    }
    for (uint32_t i = 0; i < p->func->noutputs; i++)
        p->results[i] = (jc_source){ .kind = JC_SOURCE_OUT, .index = i };
    return JITC_OK;
}

/* Which outputs of a class are None.  A loaded model's pieces are stubs, so there the canonical form is asked. */
static jitc_status find_none(builder *b, const jc_piece *piece) {
    const jc_func *f = piece->func;
    jc_graph *form;
    if (b->none[piece->cls])
        return JITC_OK;
    if (b->m->codegen_id) {
        JC_TRY(jc_canon_decode(piece->canon.bytes, piece->canon.nbytes, b->m->arena, &form, b->err));
        f = form->root;
    }
    bool *none = JC_NEWN(b->m->arena, bool, piece->func->noutputs + 1);
    for (uint32_t i = 0; i < piece->func->noutputs && i < f->noutputs; i++)
        none[i] = f->outputs[i].kind == JC_ARG_NONE;
    b->none[piece->cls] = none;
    return JITC_OK;
}

static jitc_status build_site(builder *b, jc_site *s, const jc_node *node) {
    const jc_piece *piece = jc_map_get(b->by_func, &node->callee, sizeof(jc_func *));
    JC_TRY(find_none(b, piece));
    add_site(b, s, piece, node, piece->canon.syms);
    for (uint32_t i = 0; i < s->nin; i++) {
        const jc_bind *bind = &piece->canon.inputs[i];
        s->in[i] = bind->kind == JC_BIND_LITERAL ? constant(jc_literal_value(piece, i)) : root_source(b, &node->args[bind->param]);
    }
    for (uint32_t o = 0, v = 0; o < s->nout && v < node->nresults; o++)
        if (!b->none[piece->cls][o])
            b->first_out[node->results[v++]->id] = s->first_out + o + 1;
    return JITC_OK;
}

static jitc_status build_graph(builder *b) {
    jitc_model *m = b->m;
    const jc_func *root = b->p->func;
    b->first_out = JC_NEWN(m->arena, uint32_t, root->nvalues);
    b->none = JC_NEWN(m->arena, const bool *, m->nclasses);
    b->by_func = jc_map_new(m->arena);
    for (uint32_t i = 0; i < m->npieces; i++)
        jc_map_set(b->by_func, &m->pieces[i].func, sizeof(jc_func *), &m->pieces[i]);
    make_room(b, (uint32_t)root->nodes.n);
    for (uint32_t i = 0; i < b->p->nsites; i++)
        JC_TRY(build_site(b, &b->p->sites[i], root->nodes.at[i]));
    for (uint32_t i = 0; i < root->noutputs; i++)
        b->p->results[i] = root_source(b, &root->outputs[i]);
    return JITC_OK;
}

static void bound(jc_program *p, uint32_t sym, const jc_intervals *ranges) {
    int64_t lo = INT64_MAX, hi = 0, *at = &p->bounds[2 * sym];
    for (uint32_t r = 0; r < ranges->n; r++) {
        int64_t first = jc_range_first(ranges->at[r].lo, ranges->at[r].hi);
        lo = first < lo ? first : lo;
        hi = ranges->at[r].hi > hi ? ranges->at[r].hi : hi;
    }
    at[0] = lo > at[0] ? lo : at[0];
    at[1] = hi < at[1] ? hi : at[1];
    p->fallbacks[sym] = jc_range_first(ranges->at[0].lo, ranges->at[0].hi);
}

/* The first size that the symbol's first class was compiled for.  Nothing is read at what such a symbol says, so any size would do that
   a variant serves. */
static void find_fallbacks(builder *b) {
    jc_program *p = b->p;
    p->fallbacks = JC_NEWN(b->m->arena, int64_t, p->nsyms);
    p->bounds = JC_NEWN(b->m->arena, int64_t, 2 * (size_t)p->nsyms);
    for (uint32_t s = 0; s < p->nsyms; s++)
        p->bounds[2 * s + 1] = INT64_MAX;
    for (uint32_t g = p->ngroups; g-- > 0;)
        for (uint32_t i = 0; i < p->groups[g].piece->canon.nsyms; i++) {
            const jc_expr *e = p->groups[g].syms[i];
            if (e->kind == JC_EX_SYM && e->sym < p->nsyms)
                bound(p, e->sym, &b->m->classes[p->groups[g].cls].ranges[i]);
        }
}

static void number_outputs(builder *b) {
    jc_program *p = b->p;
    p->out_site = JC_NEWN(b->m->arena, uint32_t, p->nouts);
    for (uint32_t i = 0; i < p->nsites; i++)
        for (uint32_t o = 0; o < p->sites[i].nout; o++)
            p->out_site[p->sites[i].first_out + o] = i;
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

static jitc_status build(jitc_model *m, jc_program_kind kind, uint32_t index, jc_program **out, jc_error *err) {
    const jc_piece *piece = kind == JC_RUN_PIECE   ? &m->pieces[index]
                            : kind == JC_RUN_CLASS ? &m->pieces[m->classes[index].first]
                                                   : NULL;
    builder b = { .m = m, .p = JC_NEW(m->arena, jc_program), .err = err };
    jc_program *p = b.p;
    if (kind == JC_RUN_CLASS) {
        jc_graph *form;
        JC_TRY(jc_canon_decode(piece->canon.bytes, piece->canon.nbytes, m->arena, &form, err));
        if (form->root->nparams != piece->canon.ninputs || form->root->noutputs != piece->func->noutputs ||
            jc_sym_count(form->exprs) != piece->canon.nsyms)
            return jc_fail(err, JITC_E_INPUT, "the canonical form of %s is that of another piece", piece->func->name);
        p->func = form->root;
    } else {
        p->func = piece ? piece->func : m->graphs[index]->g->root;
    }
    p->nsyms = jc_sym_count(p->func->graph->exprs);
    p->results = JC_NEWN(m->arena, jc_source, p->func->noutputs);
    p->solver = jc_solver_new(p->func, m->arena);
    JC_TRY(piece ? build_single(&b, piece, kind == JC_RUN_CLASS) : build_graph(&b));
    find_fallbacks(&b);
    number_outputs(&b);
    p->exprs = b.exprs.at;
    p->nexprs = (uint32_t)b.exprs.n;
    *out = p;
    return JITC_OK;
}

/* Under the model's lock. Linear parts of sizes are added to the graph's table: nothing else touches it once a model is built. */
static jitc_status make(jitc_model *m, jc_program_kind kind, uint32_t index, jc_program **out, jc_error *err) {
    uint32_t graph = kind == JC_RUN_GRAPH ? index : kind == JC_RUN_PIECE ? m->pieces[index].graph : 0;
    jc_arena *arena = m->graphs[graph]->g->arena;
    jc_guard outer, inner;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(arena, &outer) == 0 && JC_GUARD(m->arena, &inner) == 0)
        status = build(m, kind, index, out, err);
    jc_guard_end(m->arena, &inner);
    jc_guard_end(arena, &outer);
    return status;
}

static jitc_status room(jitc_model *m, jc_program_kind kind, jc_error *err) {
    const uint32_t n[JC_RUN_KINDS] = { m->ngraphs, m->npieces, m->nclasses };
    jc_guard guard;
    if (m->programs[kind])
        return JITC_OK;
    jitc_status status = JC_GUARD(m->arena, &guard) ? jc_fail(err, JITC_E_NOMEM, "out of memory while preparing a call") : JITC_OK;
    if (status == JITC_OK)
        m->programs[kind] = JC_NEWN(m->arena, jc_program *, n[kind]);
    jc_guard_end(m->arena, &guard);
    return status;
}

jitc_status jc_program_get(jitc_model *m, jc_program_kind kind, uint32_t index, const jc_program **out, jc_error *err) {
    pthread_mutex_lock(&m->lock);
    jitc_status status = room(m, kind, err);
    if (status == JITC_OK && !m->programs[kind][index])
        status = make(m, kind, index, &m->programs[kind][index], err);
    if (status == JITC_OK)
        *out = m->programs[kind][index];
    pthread_mutex_unlock(&m->lock);
    return status;
}
