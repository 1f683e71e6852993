/*
 * jit/api/frame_reserve.c - all that calls up to a size will need, beforehand.
 *
 * For each variant that serves sizes within the limits, its plan says how much it needs at most (runtime/exec_bounds.c); placings are
 * made for the most of all variants, so no later shape grows them.  First everything is worked out, then each region grows once.
 */
#include <string.h>

#include "jit/api/frame_priv.h"

#define MAX_PLACINGS 256u /* of one program: variants whose plans differ in what escapes are rare, and rarely more than two kinds */

typedef struct reserving {
    jitc_frame *f;
    jc_instance *n;
    const jitc_symbol *symbols;
    uint32_t nsymbols, flags;
    size_t arena_bytes, temp_bytes, pool_bytes;
    void *stream;
    jc_arena *arena; /* scratch */
    jc_error *err;
} reserving;

/* ---- limits ----------------------------------------------------------------------------------------------------- */

static bool symbol_of(const jitc_model *m, const char *name) {
    for (uint32_t g = 0; g < m->ngraphs; g++)
        if (jc_sym_find(m->graphs[g]->g->exprs, name, strlen(name)) != UINT32_MAX)
            return true;
    return false;
}

static jitc_status check_symbols(const reserving *r) {
    for (uint32_t i = 0; i < r->nsymbols; i++) {
        if (r->symbols[i].name && !symbol_of(r->f->m, r->symbols[i].name))
            return jc_fail(r->err, JITC_E_USAGE, "there is no symbol %s to reserve memory for", r->symbols[i].name);
        if (r->symbols[i].value < 0)
            return jc_fail(r->err, JITC_E_USAGE, "memory cannot be reserved for %lld of %s", (long long)r->symbols[i].value,
                           r->symbols[i].name ? r->symbols[i].name : "every symbol");
    }
    return JITC_OK;
}

/* The largest value that the caller has in mind for symbol I of group G's class; INT64_MAX: none is given. */
static int64_t limit_of(const reserving *r, const jc_group *g, uint32_t i) {
    const jc_piece *p = g->piece; /* of a class: its first member's names */
    const char *name = jc_sym_at(r->f->m->graphs[p->graph]->g->exprs, p->canon.syms[i]->sym)->name;
    int64_t limit = INT64_MAX;
    for (uint32_t k = 0; k < r->nsymbols; k++)
        if (!r->symbols[k].name || strcmp(r->symbols[k].name, name) == 0) {
            limit = r->symbols[k].value;
            if (r->symbols[k].name)
                return limit;
        }
    return limit;
}

/* The part of variant V's range that is within the limits. False: there is none. */
static bool clip(const reserving *r, const jc_group *g, const jc_variant *v, int64_t *lo, int64_t *hi) {
    for (uint32_t i = 0; i < g->piece->canon.nsyms; i++) {
        int64_t limit = limit_of(r, g, i);
        lo[i] = jc_range_first(v->request.lo[i], v->request.hi[i]);
        hi[i] = v->request.hi[i] < limit ? v->request.hi[i] : limit;
        if (lo[i] > hi[i])
            return false;
    }
    return true;
}

/* ---- a class ---------------------------------------------------------------------------------------------------- */

/* What group G needs at most, by kind of its variants. */
typedef struct demand {
    uint32_t nkinds;
    jc_exec **execs;     /* one of each kind; NULL: none within the limits */
    size_t **escapes;
    size_t shape_bytes;
} demand;

/* Inputs of the group's sites that are bound, and so are not copied unless they have to be. */
static bool *bound_inputs(const reserving *r, uint32_t group, uint32_t nin) {
    bool *skip = JC_NEWN(r->arena, bool, nin);
    for (uint32_t i = 0; i < nin; i++)
        skip[i] = true;
    for (uint32_t s = 0; s < r->n->p->nsites; s++) {
        if (r->n->p->sites[s].group != group)
            continue;
        const jc_call_site *c = &r->n->sites[s];
        for (uint32_t k = 0; k < c->nfresh; k++)
            skip[c->fresh[k]] = false;
    }
    return skip;
}

static void at_least(size_t *a, size_t b) {
    *a = *a < b ? b : *a;
}

static jitc_status add_variant(reserving *r, uint32_t group, uint32_t variant, demand *d) {
    const jc_group *g = &r->n->p->groups[group];
    jc_class *c = &r->f->m->classes[g->cls];
    uint32_t nsyms = g->piece->canon.nsyms;
    int64_t *lo = JC_NEWN(r->arena, int64_t, nsyms), *hi = JC_NEWN(r->arena, int64_t, nsyms);
    jc_exec *e;
    if (!clip(r, g, &c->variants[variant], lo, hi))
        return JITC_OK;
    JC_TRY(jc_model_exec(r->f->m, g->cls, variant, &e, r->err));
    const jc_plan *plan = jc_exec_plan(e);
    jc_exec_most most = { .escapes = JC_NEWN(r->arena, size_t, plan->nescapes) };
    JC_TRY(jc_exec_bounds(plan, lo, hi, bound_inputs(r, group, plan->ninputs), &most, r->err));
    JC_TRY(jc_frame_reserve_host(r->f->memory, e, r->err));
    at_least(&r->arena_bytes, most.arena);
    if (r->flags & JITC_RESERVE_UNALIGNED)
        at_least(&r->temp_bytes, most.temp);
    uint32_t kind = c->variants[variant].kind;
    if (!d->execs[kind])
        d->escapes[kind] = most.escapes;
    for (uint32_t i = 0; i < plan->nescapes; i++)
        if (most.escapes[i] > d->escapes[kind][i])
            d->escapes[kind][i] = most.escapes[i];
    d->execs[kind] = e;
    d->nkinds = kind >= d->nkinds ? kind + 1 : d->nkinds;
    d->shape_bytes = jc_exec_shape_bytes(e) > d->shape_bytes ? jc_exec_shape_bytes(e) : d->shape_bytes;
    return JITC_OK;
}

static jitc_status demand_of(reserving *r, uint32_t group, demand *d) {
    const jc_class *c = &r->f->m->classes[r->n->p->groups[group].cls];
    d->execs = JC_NEWN(r->arena, jc_exec *, c->nvariants);
    d->escapes = JC_NEWN(r->arena, size_t *, c->nvariants);
    for (uint32_t v = 0; v < c->nvariants; v++)
        JC_TRY(add_variant(r, group, v, d));
    return JITC_OK;
}

/* ---- a program -------------------------------------------------------------------------------------------------- */

/* The next combination of kinds that there are; false after the last. */
static bool next_kinds(const jc_program *p, const demand *d, uint32_t *kinds) {
    for (uint32_t g = 0; g < p->ngroups; g++) {
        while (++kinds[g] < d[g].nkinds)
            if (d[g].execs[kinds[g]])
                return true;
        for (kinds[g] = 0; !d[g].execs[kinds[g]];)
            kinds[g]++;
    }
    return false;
}

static jitc_status reserve_placing(reserving *r, const demand *d, const uint32_t *kinds) {
    jc_instance *n = r->n;
    jc_placing *l;
    for (uint32_t g = 0; g < n->p->ngroups; g++) {
        n->execs[g] = d[g].execs[kinds[g]];
        n->need[g] = d[g].escapes[kinds[g]];
    }
    JC_TRY(jc_placing_get(r->f, n, kinds, n->execs, n->need, &l, r->err));
    at_least(&r->pool_bytes, l->pool);
    at_least(&n->want, r->flags & JITC_RESERVE_RESULTS ? l->region : l->region_least);
    return JITC_OK;
}

static jitc_status reserve_program(reserving *r) {
    const jc_program *p = r->n->p;
    demand *d = JC_NEWN(r->arena, demand, p->ngroups);
    uint32_t *kinds = JC_NEWN(r->arena, uint32_t, p->ngroups), count = 0;
    size_t bytes = jc_planned_bytes(p);
    r->n->want = 0;
    for (uint32_t g = 0; g < p->ngroups; g++) {
        JC_TRY(demand_of(r, g, &d[g]));
        if (d[g].nkinds == 0)
            return JITC_OK; /* nothing within the limits can be run */
        for (kinds[g] = 0; !d[g].execs[kinds[g]];)
            kinds[g]++;
        bytes += (d[g].shape_bytes + 15) / 16 * 16;
    }
    do
        JC_TRY(reserve_placing(r, d, kinds));
    while (++count < MAX_PLACINGS && next_kinds(p, d, kinds));
    return jc_shapes_reserve(r->f, r->n, bytes, r->err);
}

static jitc_status reserve_kind(reserving *r, jc_program_kind kind, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        JC_TRY(jc_instance_get(r->f, kind, i, &r->n, r->err));
        JC_TRY(reserve_program(r));
    }
    return JITC_OK;
}

/* Calls DO for each instance that there is. */
static jitc_status each(reserving *r, jitc_status (*work)(reserving *r)) {
    const uint32_t n[JC_RUN_KINDS] = { r->f->m->ngraphs, r->f->m->npieces, r->f->m->nclasses };
    for (int k = 0; k < JC_RUN_KINDS; k++)
        for (uint32_t i = 0; i < n[k]; i++)
            if ((r->n = r->f->instances[k][i]))
                JC_TRY(work(r));
    return JITC_OK;
}

static jitc_status take_region(reserving *r) {
    size_t want = r->n->want;
    r->n->want = 0;
    JC_TRY(jc_frame_grow(r->f->memory, &r->n->region, want, r->stream, r->err));
    for (jc_placing *l = r->n->placings; l; l = l->next)
        if (r->n->region.bytes >= l->region)
            jc_placing_backed(r->n, l);
    return JITC_OK;
}

/* As it was when there last was memory. */
static jitc_status shrink(reserving *r) {
    r->n->want = 0;
    for (jc_placing *l = r->n->placings; l; l = l->next)
        jc_placing_shrink(r->f, r->n, l);
    return JITC_OK;
}

static jitc_status work_out(reserving *r) {
    jitc_model *m = r->f->m;
    JC_TRY(check_symbols(r));
    if (r->flags & JITC_RESERVE_GRAPHS)
        JC_TRY(reserve_kind(r, JC_RUN_GRAPH, m->ngraphs));
    if (r->flags & JITC_RESERVE_PIECES)
        JC_TRY(reserve_kind(r, JC_RUN_PIECE, m->npieces));
    if (r->flags & JITC_RESERVE_CLASSES)
        JC_TRY(reserve_kind(r, JC_RUN_CLASS, m->nclasses));
    return JITC_OK;
}

static jitc_status take_memory(reserving *r) {
    JC_TRY(jc_frame_reserve(r->f->memory, r->arena_bytes, r->temp_bytes, r->stream, r->err));
    JC_TRY(jc_frame_grow(r->f->memory, &r->f->pool, r->pool_bytes, r->stream, r->err));
    return each(r, take_region);
}

static jitc_status reserve(reserving *r) {
    jitc_status status = work_out(r);
    if (status == JITC_OK)
        status = take_memory(r);
    return status;
}

jitc_status jitc_frame_reserve(jitc_frame *f, const jitc_symbol *symbols, uint32_t n, uint32_t flags, void *stream) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    JC_NEED(NULL, f);
    if (n)
        JC_NEED(f->m->ctx, symbols);
    jc_arena *arena = jc_arena_new(&f->m->ctx->alloc);
    reserving r = { .f = f, .symbols = symbols, .nsymbols = n, .flags = flags, .stream = stream, .arena = arena, .err = &err };
    volatile jitc_status status = JITC_E_NOMEM;
    if (arena && JC_GUARD(arena, &guard) == 0)
        status = reserve(&r);
    if (arena)
        jc_guard_end(arena, &guard);
    if (status != JITC_OK)
        each(&r, shrink);
    jc_arena_free(arena);
    return jc_context_done(f->m->ctx, status, &err);
}
