/*
 * jit/api/frame_place.c - where the results of a program's sites lie.
 *
 * Each site's escapes are blocks.  A block lives from its site to the last one that reads it or a view of it; those that hold
 * results live to the end.  Placing is first fit in order of sites, blocks that can be given elsewhere last, so that a call whose
 * results all are needs no room for them.  It is done for capacities, not for sizes: once for each time a larger shape comes.
 */
#include <string.h>

#include "jit/api/frame_priv.h"

#define ALIGN 256

static size_t round_up(size_t n) {
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- what lives how long ---------------------------------------------------------------------------------------- */

static void use(jc_placing *l, const jc_source *s, uint32_t at) {
    uint32_t b = s->kind == JC_SOURCE_OUT ? l->block[s->index] : JC_FRAME_NONE;
    if (b != JC_FRAME_NONE && l->blocks[b].dies < at)
        l->blocks[b].dies = at;
}

static void place_output(jc_placing *l, const jc_site *s, uint32_t site, const jc_plan *plan, uint32_t o) {
    uint32_t input = jc_plan_viewed(plan, o), *block = &l->block[s->first_out + o], *param = &l->param[s->first_out + o];
    *block = *param = JC_FRAME_NONE;
    if (input == JC_PLAN_NONE) {
        const jc_plan_output *out = &plan->outputs[o];
        if (out->kind == JC_OUT_TENSOR)
            *block = l->first_block[site] + plan->buffers[plan->tensors[out->index].index].escape;
    } else if (s->in[input].kind == JC_SOURCE_OUT) {
        *block = l->block[s->in[input].index];
        *param = l->param[s->in[input].index];
    } else if (s->in[input].kind == JC_SOURCE_PARAM) {
        *param = s->in[input].index;
    }
}

/* Blocks of one result alone, computed by the site that it comes from, can lie with whoever wants it. */
static void find_own(const jc_instance *n, jc_placing *l, jc_exec *const *execs, uint32_t *results_in) {
    const jc_program *p = n->p;
    for (uint32_t i = 0; i < p->func->noutputs; i++)
        if (p->results[i].kind == JC_SOURCE_OUT && l->block[p->results[i].index] != JC_FRAME_NONE)
            results_in[l->block[p->results[i].index]]++;
    for (uint32_t s = 0; s < p->nsites; s++) {
        const jc_plan *plan = jc_exec_plan(execs[p->sites[s].group]);
        for (uint32_t i = 0; i < p->func->noutputs; i++) {
            uint32_t o = p->results[i].index - p->sites[s].first_out;
            if (p->results[i].kind != JC_SOURCE_OUT || p->results[i].index < p->sites[s].first_out || o >= p->sites[s].nout)
                continue;
            uint32_t b = l->block[p->results[i].index];
            if (b != JC_FRAME_NONE && jc_plan_viewed(plan, o) == JC_PLAN_NONE)
                l->blocks[b].own = results_in[b] == 1;
        }
    }
}

static void find_lives(const jitc_frame *f, const jc_instance *n, jc_placing *l, jc_exec *const *execs) {
    const jc_program *p = n->p;
    for (uint32_t i = 0; i < p->nsites; i++) {
        const jc_site *s = &p->sites[i];
        const jc_plan *plan = jc_exec_plan(execs[s->group]);
        for (uint32_t e = 0; e < plan->nescapes; e++)
            l->blocks[l->first_block[i] + e].born = l->blocks[l->first_block[i] + e].dies = i;
        for (uint32_t a = 0; a < s->nin; a++)
            use(l, &s->in[a], i);
        for (uint32_t o = 0; o < s->nout; o++)
            place_output(l, s, i, plan, o);
    }
    for (uint32_t i = 0; i < p->func->noutputs; i++)
        use(l, &p->results[i], p->nsites);
    for (uint32_t b = 0; b < l->nblocks; b++)
        l->blocks[b].shared = f->m->ngraphs > 1 && l->blocks[b].dies < p->nsites;
    find_own(n, l, execs, JC_NEWN(n->arena, uint32_t, l->nblocks));
}

/* ---- placing ---------------------------------------------------------------------------------------------------- */

/* The lowest offset at which no block that lives at the same time is in the way. */
static void first_fit(jc_block *b, const jc_block *all, const uint32_t *placed, uint32_t nplaced) {
    b->offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t j = 0; j < nplaced; j++) {
            const jc_block *o = &all[placed[j]];
            if (o->shared == b->shared && o->dies >= b->born && b->dies >= o->born && b->offset < o->offset + o->bytes &&
                o->offset < b->offset + b->bytes) {
                b->offset = o->offset + o->bytes;
                moved = true;
            }
        }
    }
}

static void place(const jc_instance *n, jc_placing *l, uint32_t *placed) {
    const jc_program *p = n->p;
    uint32_t nplaced = 0;
    l->pool = l->region = l->values = 0;
    for (uint32_t i = 0; i < p->nsites; i++) {
        const size_t *caps = l->caps + l->first_cap[p->sites[i].group];
        uint32_t count = l->first_cap[p->sites[i].group + 1] - l->first_cap[p->sites[i].group];
        for (uint32_t e = 0; e < count; e++)
            l->blocks[l->first_block[i] + e].bytes = caps[e];
    }
    for (int own = 0; own <= 1; own++) {
        for (uint32_t i = 0; i < l->nblocks; i++) {
            jc_block *b = &l->blocks[i];
            if (b->own != own)
                continue;
            first_fit(b, l->blocks, placed, nplaced);
            placed[nplaced++] = i;
            l->values += b->bytes;
            size_t *end = b->shared ? &l->pool : &l->region;
            *end = *end > b->offset + b->bytes ? *end : b->offset + b->bytes;
        }
        if (!own)
            l->region_least = l->region;
    }
}

/* ---- making and growing ----------------------------------------------------------------------------------------- */

static bool fits(const jc_instance *n, const jc_placing *l, const size_t *const *need) {
    for (uint32_t g = 0; g < n->p->ngroups; g++)
        for (uint32_t e = l->first_cap[g]; e < l->first_cap[g + 1]; e++)
            if (need[g][e - l->first_cap[g]] > l->caps[e])
                return false;
    return true;
}

/* What is exceeded grows by half at least, so that sizes that come in order do not have it all placed again each time. */
static void grow(const jc_instance *n, jc_placing *l, const size_t *const *need) {
    for (uint32_t g = 0; g < n->p->ngroups; g++)
        for (uint32_t e = l->first_cap[g]; e < l->first_cap[g + 1]; e++) {
            size_t want = need[g][e - l->first_cap[g]], half = n->exact ? 0 : l->caps[e] + l->caps[e] / 2;
            if (want > l->caps[e])
                l->caps[e] = round_up(want > half ? want : half);
        }
}

static jc_placing *make(const jitc_frame *f, jc_instance *n, const uint32_t *kinds, jc_exec *const *execs) {
    const jc_program *p = n->p;
    jc_placing *l = JC_NEW(n->arena, jc_placing);
    l->kinds = jc_arena_memdup(n->arena, kinds, p->ngroups * sizeof *kinds);
    l->first_cap = JC_NEWN(n->arena, uint32_t, p->ngroups + 1);
    for (uint32_t g = 0; g < p->ngroups; g++)
        l->first_cap[g + 1] = l->first_cap[g] + jc_exec_plan(execs[g])->nescapes;
    l->caps = JC_NEWN(n->arena, size_t, l->first_cap[p->ngroups]);
    l->backed = JC_NEWN(n->arena, size_t, l->first_cap[p->ngroups]);
    l->first_block = JC_NEWN(n->arena, uint32_t, p->nsites);
    for (uint32_t i = 0; i < p->nsites; i++) {
        uint32_t g = p->sites[i].group, nescapes = l->first_cap[g + 1] - l->first_cap[g];
        l->first_block[i] = l->nblocks;
        l->nblocks += nescapes;
        if (nescapes > n->sites[i].nescapes) {
            n->sites[i].escapes = JC_NEWN(n->arena, void *, nescapes);
            n->sites[i].nescapes = nescapes;
        }
    }
    l->blocks = JC_NEWN(n->arena, jc_block, l->nblocks);
    l->order = JC_NEWN(n->arena, uint32_t, l->nblocks);
    l->block = JC_NEWN(n->arena, uint32_t, p->nouts);
    l->param = JC_NEWN(n->arena, uint32_t, p->nouts);
    if (l->nblocks > n->nelsewhere) {
        n->elsewhere = JC_NEWN(n->arena, void *, l->nblocks);
        n->nelsewhere = l->nblocks;
    }
    find_lives(f, n, l, execs);
    return l;
}

static jitc_status add(const jitc_frame *f, jc_instance *n, const uint32_t *kinds, jc_exec *const *execs, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(n->arena, &guard) == 0) {
        jc_placing *l = make(f, n, kinds, execs);
        l->next = n->placings;
        n->placings = l;
        status = JITC_OK;
    }
    jc_guard_end(n->arena, &guard);
    return status == JITC_OK ? JITC_OK : jc_fail(err, JITC_E_NOMEM, "out of memory while preparing a call");
}

static jc_placing *find(const jc_instance *n, const uint32_t *kinds) {
    jc_placing *l = n->placings;
    while (l && n->p->ngroups && memcmp(l->kinds, kinds, n->p->ngroups * sizeof *kinds) != 0)
        l = l->next;
    return l;
}

jitc_status jc_placing_get(jitc_frame *f, jc_instance *n, const uint32_t *kinds, jc_exec *const *execs,
                          const size_t *const *need, jc_placing **out, jc_error *err) {
    if (!find(n, kinds))
        JC_TRY(add(f, n, kinds, execs, err));
    *out = find(n, kinds);
    if (fits(n, *out, need))
        return JITC_OK;
    grow(n, *out, need);
    place(n, *out, (*out)->order);
    return JITC_OK;
}

void jc_placing_backed(const jc_instance *n, jc_placing *l) {
    for (uint32_t e = 0; e < l->first_cap[n->p->ngroups]; e++)
        l->backed[e] = l->caps[e];
}

void jc_placing_shrink(jitc_frame *f, jc_instance *n, jc_placing *l) {
    for (uint32_t e = 0; e < l->first_cap[n->p->ngroups]; e++)
        l->caps[e] = l->backed[e];
    place(n, l, l->order);
    jc_shapes_forget(f, n);
}
