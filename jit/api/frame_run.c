/*
 * jit/api/frame_run.c - a call: the sites of a program, one after the other.
 */
#include "jit/api/frame_priv.h"

static void fill_inputs(jc_instance *n, const jc_planned *s, uint32_t site, const jitc_value *values) {
    jc_call_site *c = &n->sites[site];
    for (uint32_t k = 0; k < c->nfresh; k++) {
        const jc_source *source = &n->p->sites[site].in[c->fresh[k]];
        jitc_value *in = &c->in[c->fresh[k]];
        if (source->kind == JC_SOURCE_PARAM) {
            if (n->bound[source->index].value.tag == JITC_NONE)
                *in = values[source->index];
        } else if (source->kind == JC_SOURCE_EXPR) {
            *in = (jitc_value){ .tag = JITC_INT, .i = s->ints[source->index] };
        } else {
            *in = *n->outs[source->index];
        }
    }
}

static void fill_escapes(const jitc_frame *f, jc_instance *n, const jc_placing *l, uint32_t site, bool any) {
    uint32_t g = n->p->sites[site].group, nescapes = l->first_cap[g + 1] - l->first_cap[g];
    for (uint32_t e = 0; e < nescapes; e++) {
        uint32_t b = l->first_block[site] + e;
        uint8_t *base = l->blocks[b].shared ? f->pool.at : n->region.at;
        n->sites[site].escapes[e] = any && n->elsewhere[b] ? n->elsewhere[b] : base ? base + l->blocks[b].offset : NULL;
    }
}

static jitc_status run_site(jitc_frame *f, jc_instance *n, const jc_planned *s, uint32_t site, void *stream,
                            const jitc_value *values, bool any, jc_error *err) {
    const jc_site *p = &n->p->sites[site];
    jc_call_site *c = &n->sites[site];
    jitc_context *ctx = f->m->ctx;
    fill_inputs(n, s, site, values);
    fill_escapes(f, n, s->placing, site, any);
    c->kept.fresh = s->checked == n->generation ? c->fresh : NULL;
    c->kept.nfresh = c->nfresh;
    jc_exec_call call = { .shape = s->groups[p->group].shape, .in = c->in, .kept = &c->kept, .escapes = c->escapes, .out = c->out,
                          .out_tensors = c->tensors, .out_dims = c->dims, .stream = stream, .ops = ctx->ops,
                          .trace = ctx->trace, .log = &ctx->log };
    jitc_status status = jc_exec_run(s->groups[p->group].exec, f->memory, &call, err);
    if (status != JITC_OK && !err->file[0])
        jc_canon_locate(&p->piece->canon, f->m->graphs[p->piece->graph]->g->file, err);
    return status;
}

/* Memory for the blocks: none for those that lie elsewhere, where all that can do. */
static jitc_status reserve(jitc_frame *f, jc_instance *n, jc_placing *l, void *stream, bool any, jc_error *err) {
    bool all = any;
    for (uint32_t b = 0; b < l->nblocks && all; b++)
        all = !l->blocks[b].own || n->elsewhere[b];
    JC_TRY(jc_frame_grow(f->memory, &f->pool, l->pool, stream, err));
    return jc_frame_grow(f->memory, &n->region, all ? l->region_least : l->region, stream, err);
}

/* Where there is no memory for sizes that have grown by half, there may be for what this call needs. */
static jitc_status back(jitc_frame *f, jc_instance *n, jc_planned **s, void *stream, const jitc_value *values, bool any,
                        jc_error *err) {
    jc_error first = JC_ERROR_INIT;
    jitc_status status = reserve(f, n, (*s)->placing, stream, any, &first);
    if (status != JITC_OK) {
        jc_placing_shrink(f, n, (*s)->placing);
        n->exact = true;
        status = jc_planned_get(f, n, values, s, err);
        n->exact = false;
        if (status == JITC_OK && (status = reserve(f, n, (*s)->placing, stream, any, err)) != JITC_OK)
            jc_placing_shrink(f, n, (*s)->placing);
    }
    return status;
}

/* The statistics of the largest run. */
static void count(jitc_model *m, const jc_instance *n, const jc_planned *s) {
    size_t scratch = 0, pool = s->placing->pool + s->placing->region;
    for (uint32_t i = 0; i < n->p->ngroups; i++)
        if (jc_shape_arena_bytes(s->groups[i].shape) > scratch)
            scratch = jc_shape_arena_bytes(s->groups[i].shape);
    pthread_mutex_lock(&m->lock);
    if (pool + scratch > m->stats.peak_bytes) {
        m->stats.peak_bytes = pool + scratch;
        m->stats.pool_bytes = pool;
        m->stats.value_bytes = s->placing->values;
    }
    pthread_mutex_unlock(&m->lock);
}

jitc_status jc_instance_run(jitc_frame *f, jc_instance *n, void *stream, const jitc_value *values, jitc_value *results,
                            bool given, jc_error *err) {
    jc_planned *s;
    bool any;
    JC_TRY(jc_planned_get(f, n, values, &s, err));
    JC_TRY(jc_results_take(f, n, s, stream, values, results, given, &any, err));
    JC_TRY(back(f, n, &s, stream, values, any, err));
    if (!s->checked) {
        if (n->region.bytes >= s->placing->region)
            jc_placing_backed(n, s->placing);
        count(f->m, n, s);
    }
    for (uint32_t i = 0; i < n->p->nsites; i++)
        JC_TRY(run_site(f, n, s, i, stream, values, any, err));
    s->checked = n->generation;
    return jc_results_give(f, n, s, stream, values, results, any, err);
}
