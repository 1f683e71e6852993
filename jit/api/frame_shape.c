/*
 * jit/api/frame_shape.c - shapes of a program: planned once, remembered, the longest unused forgotten.
 *
 * A hash table over the symbols' values and a list in order of use.  A shape is one block of host memory; a forgotten one's serves the
 * next, so that thousands of shapes take as much as are remembered, and nothing is allocated once the blocks are there.  A shape is
 * built in a block of its own before another is given up for it: a call that fails forgets nothing.
 */
#include <stdio.h>
#include <string.h>

#include "jit/api/frame_priv.h"

/* ---- symbols ---------------------------------------------------------------------------------------------------- */

typedef struct arguments {
    const jc_instance *n;
    const jitc_value *values;
} arguments;

static void fact(void *user, uint32_t i, jc_solve_fact *out) {
    const arguments *a = user;
    const jitc_value *bound = &a->n->bound[i].value;
    jc_solve_value(&a->n->p->func->params[i]->type, bound->tag == JITC_NONE ? &a->values[i] : bound, out);
}

static jitc_status solve(jc_instance *n, const jitc_value *values, jc_error *err) {
    arguments a = { n, values };
    jc_solve_call call = { .fact = fact, .user = &a, .params = n->open, .nparams = n->nopen,
                           .fallbacks = n->p->fallbacks, .bounds = n->p->bounds, .nfallbacks = n->p->nsyms,
                           .syms = n->syms, .owner = n->owner };
    return jc_solver_run(n->p->solver, &call, err);
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t n) {
    return (n + 15) / 16 * 16;
}

size_t jc_planned_bytes(const jc_program *p) {
    return round_up(sizeof(jc_planned)) + round_up((p->nsyms + (size_t)p->nexprs) * sizeof(int64_t)) +
           round_up(p->ngroups * sizeof(jc_planned_group));
}

static void *carve(uint8_t **at, size_t bytes) {
    void *out = *at;
    *at += round_up(bytes);
    return out;
}

static void give_back(jitc_frame *f, jc_planned *s) {
    const jc_alloc *alloc = &f->m->ctx->alloc;
    atomic_fetch_sub_explicit(&f->host_bytes, s->bytes, memory_order_relaxed);
    alloc->free(alloc->user, s, s->bytes);
}

static jc_planned *take_block(jitc_frame *f, size_t bytes) {
    const jc_alloc *alloc = &f->m->ctx->alloc;
    jc_planned *s = alloc->alloc(alloc->user, bytes);
    if (s) {
        s->bytes = bytes;
        atomic_fetch_add_explicit(&f->host_bytes, bytes, memory_order_relaxed);
    }
    return s;
}

static void put_unused(jc_shapes *t, jc_planned *s) {
    s->next = t->unused;
    t->unused = s;
}

/* An unused block of at least BYTES. */
static jc_planned *unused(jitc_frame *f, jc_shapes *t, size_t bytes) {
    jc_planned *s = t->unused;
    if (s)
        t->unused = s->next;
    if (s && s->bytes < bytes) {
        give_back(f, s);
        s = NULL;
    }
    t->bytes = bytes > t->bytes ? bytes : t->bytes;
    return s ? s : take_block(f, t->bytes);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void unlink_use(jc_shapes *t, jc_planned *s) {
    *(s->newer ? &s->newer->older : &t->newest) = s->older;
    *(s->older ? &s->older->newer : &t->oldest) = s->newer;
}

static void link_newest(jc_shapes *t, jc_planned *s) {
    s->newer = NULL;
    s->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = s;
    t->newest = s;
}

static jc_planned **bucket(const jc_shapes *t, uint64_t hash) {
    return &t->buckets[hash & (t->nbuckets - 1)];
}

static void forget_oldest(jitc_frame *f, jc_shapes *t) {
    jc_planned *s = t->oldest, **link = bucket(t, s->hash);
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    unlink_use(t, s);
    put_unused(t, s);
    t->n--;
    atomic_fetch_sub_explicit(&f->remembered, 1, memory_order_relaxed);
}

static void remember(jitc_frame *f, jc_shapes *t, jc_planned *s) {
    if (t->n == t->most)
        forget_oldest(f, t);
    s->next = *bucket(t, s->hash);
    *bucket(t, s->hash) = s;
    link_newest(t, s);
    t->n++;
    atomic_fetch_add_explicit(&f->remembered, 1, memory_order_relaxed);
}

static bool same(const jc_instance *n, const jc_planned *s) {
    return n->p->nsyms == 0 || memcmp(s->syms, n->syms, n->p->nsyms * sizeof *s->syms) == 0;
}

/* ---- planning --------------------------------------------------------------------------------------------------- */

static jitc_status choose(jitc_frame *f, jc_instance *n, uint32_t group, jc_error *err) {
    const jc_group *g = &n->p->groups[group];
    uint32_t variant;
    for (uint32_t i = 0; i < g->piece->canon.nsyms; i++)
        if (!jc_ex_eval(g->syms[i], n->syms, n->p->nsyms, &n->class_syms[i]))
            return jc_no_value(n->p->func, g->syms[i], n->syms, g->piece->func->line, err);
    JC_TRY(jc_class_dispatch(f->m, g->piece, n->class_syms, &variant, err));
    JC_TRY(jc_model_exec(f->m, g->cls, variant, &n->execs[group], err));
    n->kinds[group] = f->m->classes[g->cls].variants[variant].kind;
    return JITC_OK;
}

/* A failure in a class names its node by number; here it gets the line of the text. */
static jitc_status located(const jitc_frame *f, const jc_group *g, jitc_status status, jc_error *err) {
    if (status != JITC_OK && !err->file[0])
        jc_canon_locate(&g->piece->canon, f->m->graphs[g->piece->graph]->g->file, err);
    return status;
}

static jitc_status make_shapes(jitc_frame *f, jc_instance *n, jc_planned *s, uint8_t *at, jc_error *err) {
    for (uint32_t i = 0; i < n->p->ngroups; i++) {
        const jc_group *g = &n->p->groups[i];
        for (uint32_t k = 0; k < g->piece->canon.nsyms; k++)
            jc_ex_eval(g->syms[k], n->syms, n->p->nsyms, &n->class_syms[k]);
        s->groups[i].exec = n->execs[i];
        void *block = carve(&at, jc_exec_shape_bytes(n->execs[i]));
        JC_TRY(located(f, g, jc_exec_shape(n->execs[i], n->class_syms, block, &s->groups[i].shape, err), err));
        n->need[i] = jc_shape_escapes(s->groups[i].shape);
    }
    return JITC_OK;
}

static jitc_status make_ints(const jc_instance *n, jc_planned *s, jc_error *err) {
    for (uint32_t i = 0; i < n->p->nexprs; i++)
        if (!jc_ex_eval(n->p->exprs[i], n->syms, n->p->nsyms, &s->ints[i]))
            return jc_no_value(n->p->func, n->p->exprs[i], n->syms, n->p->func->line, err);
    return JITC_OK;
}

/* Into S, of enough bytes. */
static jitc_status fill(jitc_frame *f, jc_instance *n, jc_planned *s, jc_error *err) {
    const jc_program *p = n->p;
    size_t bytes = s->bytes;
    uint8_t *at = (uint8_t *)s;
    carve(&at, sizeof *s);
    *s = (jc_planned){ .bytes = bytes };
    s->syms = carve(&at, (p->nsyms + (size_t)p->nexprs) * sizeof(int64_t));
    s->ints = s->syms + p->nsyms;
    s->groups = carve(&at, p->ngroups * sizeof *s->groups);
    if (p->nsyms)
        memcpy(s->syms, n->syms, p->nsyms * sizeof *s->syms);
    JC_TRY(make_ints(n, s, err));
    JC_TRY(make_shapes(f, n, s, at, err));
    return jc_placing_get(f, n, n->kinds, n->execs, n->need, &s->placing, err);
}

static jitc_status plan(jitc_frame *f, jc_instance *n, uint64_t hash, jc_planned **out, jc_error *err) {
    size_t bytes = jc_planned_bytes(n->p);
    for (uint32_t i = 0; i < n->p->ngroups; i++) {
        JC_TRY(choose(f, n, i, err));
        bytes += round_up(jc_exec_shape_bytes(n->execs[i]));
    }
    jc_planned *s = unused(f, &n->shapes, bytes);
    if (!s)
        return jc_fail(err, JITC_E_NOMEM, "out of memory while preparing a call");
    jitc_status status = fill(f, n, s, err);
    if (status != JITC_OK) {
        put_unused(&n->shapes, s);
        return status;
    }
    s->hash = hash;
    remember(f, &n->shapes, s);
    atomic_fetch_add_explicit(&f->planned, 1, memory_order_relaxed);
    *out = s;
    return JITC_OK;
}

jitc_status jc_planned_get(jitc_frame *f, jc_instance *n, const jitc_value *values, jc_planned **out, jc_error *err) {
    jc_shapes *t = &n->shapes;
    JC_TRY(solve(n, values, err));
    *out = t->newest;
    if (t->newest && same(n, t->newest))
        return JITC_OK;
    uint64_t hash = n->p->nsyms ? jc_hash64(n->syms, n->p->nsyms * sizeof *n->syms) : 0;
    jc_planned *s = *bucket(t, hash);
    while (s && (s->hash != hash || !same(n, s)))
        s = s->next;
    if (!s)
        return plan(f, n, hash, out, err);
    unlink_use(t, s);
    link_newest(t, s);
    *out = s;
    return JITC_OK;
}

/* ---- beforehand and afterwards ---------------------------------------------------------------------------------- */

void jc_shapes_forget(jitc_frame *f, jc_instance *n) {
    while (n->shapes.n)
        forget_oldest(f, &n->shapes);
}

jitc_status jc_shapes_reserve(jitc_frame *f, jc_instance *n, size_t bytes, jc_error *err) {
    jc_shapes *t = &n->shapes;
    uint32_t have = 0;
    t->bytes = bytes > t->bytes ? bytes : t->bytes;
    jc_shapes_forget(f, n); /* smaller blocks would be replaced later */
    jc_planned **link = &t->unused;
    while (*link) {
        jc_planned *s = *link;
        if (s->bytes >= t->bytes && have <= t->most) {
            link = &s->next;
            have++;
            continue;
        }
        *link = s->next;
        give_back(f, s);
    }
    for (; have <= t->most; have++) { /* one more than are remembered: see above */
        jc_planned *s = take_block(f, t->bytes);
        if (!s)
            return jc_fail(err, JITC_E_NOMEM, "out of memory while shapes are reserved");
        put_unused(t, s);
    }
    return JITC_OK;
}

void jc_shapes_free(jitc_frame *f, jc_instance *n) {
    jc_shapes_forget(f, n);
    while (n->shapes.unused) {
        jc_planned *s = n->shapes.unused;
        n->shapes.unused = s->next;
        give_back(f, s);
    }
}
