/*
 * jit/api/frame.c - frames: what jitc/frame.h shows.
 */
#include <string.h>

#include "jit/api/frame_priv.h"
#include "jit/api/pairs.h"

/* ---- making and freeing ----------------------------------------------------------------------------------------- */

static jitc_status check_options(const jitc_model *m, const jitc_frame_options *o, jc_error *err) {
    if (!o->alloc != !o->free)
        return jc_fail(err, JITC_E_USAGE, "jitc_frame_options has an alloc without a free, or the other way round");
    for (uint32_t i = 0; i < m->nclasses; i++)
        if (!m->classes[i].variants || !m->classes[i].variants[0].request.artifact)
            return jc_fail(err, JITC_E_USAGE, "the model was built with split_only: it has nothing to run");
    return JITC_OK;
}

static uint32_t count_of(const jitc_model *m, jc_program_kind kind) {
    const uint32_t n[JC_RUN_KINDS] = { m->ngraphs, m->npieces, m->nclasses };
    return n[kind];
}

static bool make_parts(jitc_frame *f, jc_error *err) {
    const jc_alloc *alloc = &f->m->ctx->alloc;
    jc_memory memory = { f->o.alloc, f->o.free, f->o.user };
    for (int k = 0; k < JC_RUN_KINDS; k++) {
        size_t bytes = (count_of(f->m, (jc_program_kind)k) + (size_t)1) * sizeof(jc_instance *);
        f->instances[k] = alloc->alloc(alloc->user, bytes);
        if (!f->instances[k])
            return false;
        memset(f->instances[k], 0, bytes);
    }
    return jc_frame_new(f->d, f->o.alloc ? &memory : NULL, &f->memory, err) == JITC_OK;
}

static void free_parts(jitc_frame *f) {
    const jc_alloc *alloc = &f->m->ctx->alloc;
    for (int k = 0; k < JC_RUN_KINDS && f->instances[k]; k++) {
        uint32_t n = count_of(f->m, (jc_program_kind)k);
        for (uint32_t i = 0; i < n; i++)
            jc_instance_free(f, f->instances[k][i]);
        alloc->free(alloc->user, f->instances[k], (n + (size_t)1) * sizeof(jc_instance *));
    }
    jc_frame_free(f->memory);
    alloc->free(alloc->user, f, sizeof *f);
}

static jitc_status new_frame(jitc_model *m, const jitc_frame_options *o, jitc_frame **out, jc_error *err) {
    const jc_alloc *alloc = &m->ctx->alloc;
    jc_device *device;
    JC_TRY(check_options(m, o, err));
    JC_TRY(jc_context_device(m->ctx, &device, err));
    jitc_frame *f = alloc->alloc(alloc->user, sizeof *f);
    if (!f)
        return jc_fail(err, JITC_E_NOMEM, "out of memory while a frame is made");
    memset(f, 0, sizeof *f);
    f->m = m;
    f->d = device;
    f->o = *o;
    if (!make_parts(f, err)) {
        free_parts(f);
        return jc_fail(err, JITC_E_NOMEM, "out of memory while a frame is made");
    }
    pthread_mutex_lock(&m->lock);
    f->next = m->frames;
    m->frames = f;
    pthread_mutex_unlock(&m->lock);
    *out = f;
    return JITC_OK;
}

jitc_status jitc_frame_new(jitc_model *m, const jitc_frame_options *options, jitc_frame **out) {
    jitc_frame_options o = { 0 };
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, m);
    JC_NEED(m->ctx, out);
    *out = NULL;
    JC_ENTRY(m->ctx, &err, jc_take_options(&o, sizeof o, options, "jitc_frame_options", &err));
    return jc_context_done(m->ctx, new_frame(m, &o, out, &err), &err);
}

jitc_status jc_frame_of_model(jitc_model *m, jitc_frame **out, jc_error *err) {
    const jitc_frame_options o = { .struct_size = sizeof o };
    if (!m->own)
        JC_TRY(new_frame(m, &o, &m->own, err));
    *out = m->own;
    return JITC_OK;
}

void jitc_frame_free(jitc_frame *f) {
    if (!f)
        return;
    jitc_model *m = f->m;
    pthread_mutex_lock(&m->lock);
    jitc_frame **at = &m->frames;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    m->own = m->own == f ? NULL : m->own;
    pthread_mutex_unlock(&m->lock);
    free_parts(f);
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static jitc_status check_index(const jitc_model *m, jc_program_kind kind, uint32_t index, jc_error *err) {
    static const char *const names[JC_RUN_KINDS] = { "graph", "piece", "class" };
    return index < count_of(m, kind) ? JITC_OK : jc_fail(err, JITC_E_USAGE, "there is no %s %u", names[kind], index);
}

static jitc_status check_counts(const jc_func *f, uint32_t nvalues, uint32_t nresults, jc_error *err) {
    if (nvalues != f->nparams)
        return jc_fail(err, JITC_E_USAGE, "%s takes %u values, %u were given", f->name, f->nparams, nvalues);
    if (nresults != f->noutputs)
        return jc_fail(err, JITC_E_USAGE, "%s gives %u results, there is room for %u", f->name, f->noutputs, nresults);
    return JITC_OK;
}

static jitc_status check_value(const jc_func *f, const jc_value *p, const jitc_value *v, jc_error *err) {
    const DLTensor *t = v->tensor;
    if (p->type.kind != JC_TENSOR && p->type.kind != JC_SYMINT)
        return JITC_OK;
    if (p->type.kind == JC_SYMINT ? v->tag != JITC_INT : v->tag != JITC_TENSOR || !t)
        return jc_fail_at(err, JITC_E_INPUT, f->graph->file, p->line, 0, p->name, "'%s' must be %s, but a %s with tag %u was given.",
                          p->name, p->type.kind == JC_SYMINT ? "an integer" : "a tensor",
                          v->tag == JITC_TENSOR && !t ? "NULL pointer" : "value", v->tag);
    if (p->type.kind == JC_TENSOR && t->ndim == p->type.rank && t->ndim > 0 && !t->shape)
        return jc_fail_at(err, JITC_E_INPUT, f->graph->file, p->line, 0, p->name, "The tensor for '%s' has no shape.", p->name);
    return JITC_OK;
}

/* What the symbols' values are solved from has to be there. */
static jitc_status check_values(const jc_instance *n, const jitc_value *values, jc_error *err) {
    const jc_func *f = n->p->func;
    for (uint32_t i = 0; i < f->nparams; i++) {
        if (n->bound[i].value.tag == JITC_NONE)
            JC_TRY(check_value(f, f->params[i], &values[i], err));
        else if (values[i].tag != JITC_NONE)
            return jc_fail_at(err, JITC_E_USAGE, f->graph->file, f->params[i]->line, 0, f->params[i]->name,
                              "'%s' is bound, so it takes JITC_NONE; a value with tag %u was given.", f->params[i]->name,
                              values[i].tag);
    }
    return JITC_OK;
}

static jitc_status call(jitc_frame *f, jc_program_kind kind, uint32_t index, void *stream, const jitc_value *values,
                        uint32_t nvalues, jitc_value *results, uint32_t nresults, bool given, jc_error *err) {
    jc_instance *n;
    JC_TRY(check_index(f->m, kind, index, err));
    JC_TRY(jc_instance_get(f, kind, index, &n, err));
    JC_TRY(check_counts(n->p->func, nvalues, nresults, err));
    JC_TRY(check_values(n, values, err));
    JC_TRY(jc_instance_run(f, n, stream, values, results, given, err));
    atomic_fetch_add_explicit(&f->calls, 1, memory_order_relaxed);
    return JITC_OK;
}

/* The same with complex tensors among the values. */
static jitc_status call_with_pairs(jitc_frame *f, jc_program_kind kind, uint32_t index, void *stream, const jitc_value *values,
                                   uint32_t nvalues, uint32_t ncomplex, jitc_value *results, uint32_t nresults, bool given, jc_error *err) {
    const jc_alloc *alloc = &f->m->ctx->alloc;
    const size_t bytes = nvalues * sizeof *values, all = bytes + ncomplex * sizeof(jc_pairs);
    jitc_value *plain = alloc->alloc(alloc->user, all);
    if (!plain)
        return jc_fail(err, JITC_E_NOMEM, "no memory for the %u complex tensors of a call", ncomplex);
    jc_values_as_pairs(values, nvalues, plain, (jc_pairs *)(void *)((uint8_t *)plain + bytes));
    const jitc_status status = call(f, kind, index, stream, plain, nvalues, results, nresults, given, err);
    alloc->free(alloc->user, plain, all);
    return status;
}

jitc_status jc_frame_call(jitc_frame *f, jc_program_kind kind, uint32_t index, void *stream, const jitc_value *values,
                          uint32_t nvalues, jitc_value *results, uint32_t nresults, bool given) {
    jc_error err = JC_ERROR_INIT;
    const uint32_t ncomplex = jc_count_complex(values, nvalues);
    if (ncomplex)
        return jc_context_done(f->m->ctx, call_with_pairs(f, kind, index, stream, values, nvalues, ncomplex, results, nresults, given, &err), &err);
    return jc_context_done(f->m->ctx, call(f, kind, index, stream, values, nvalues, results, nresults, given, &err), &err);
}

jitc_status jitc_frame_run(jitc_frame *f, uint32_t graph, void *stream, const jitc_value *values, uint32_t nvalues,
                           jitc_value *results, uint32_t nresults) {
    JC_NEED(NULL, f);
    JC_NEED_ARRAYS(f->m->ctx, values, nvalues, results, nresults);
    return jc_frame_call(f, JC_RUN_GRAPH, graph, stream, values, nvalues, results, nresults, true);
}

jitc_status jitc_frame_run_piece(jitc_frame *f, uint32_t piece, void *stream, const jitc_value *values, uint32_t nvalues,
                                 jitc_value *results, uint32_t nresults) {
    JC_NEED(NULL, f);
    JC_NEED_ARRAYS(f->m->ctx, values, nvalues, results, nresults);
    return jc_frame_call(f, JC_RUN_PIECE, piece, stream, values, nvalues, results, nresults, true);
}

/* ---- binding ---------------------------------------------------------------------------------------------------- */

static jitc_status bind(jitc_frame *f, jc_program_kind kind, uint32_t index, uint32_t param, const jitc_value *value,
                        jc_error *err) {
    jc_instance *n;
    jc_pairs pairs;
    jitc_value plain;
    JC_TRY(check_index(f->m, kind, index, err));
    JC_TRY(jc_instance_get(f, kind, index, &n, err));
    if (param >= n->p->func->nparams)
        return jc_fail(err, JITC_E_USAGE, "%s has no parameter %u", n->p->func->name, param);
    jc_values_as_pairs(value, 1, &plain, &pairs);
    return jc_instance_bind(f, n, param, &plain, err);
}

jitc_status jitc_frame_bind(jitc_frame *f, uint32_t graph, uint32_t param, jitc_value value) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, f);
    return jc_context_done(f->m->ctx, bind(f, JC_RUN_GRAPH, graph, param, &value, &err), &err);
}

jitc_status jitc_frame_bind_piece(jitc_frame *f, uint32_t piece, uint32_t param, jitc_value value) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, f);
    return jc_context_done(f->m->ctx, bind(f, JC_RUN_PIECE, piece, param, &value, &err), &err);
}

/* ---- captures --------------------------------------------------------------------------------------------------- */

jitc_status jitc_frame_capture(jitc_frame *f, void *stream, void (*release)(void *user), void *user, uint64_t *capture) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, f);
    JC_NEED(f->m->ctx, release);
    JC_NEED(f->m->ctx, capture);
    if (!f->d->ops->hold)
        *capture = 0;
    return f->d->ops->hold ? jc_context_done(f->m->ctx, f->d->ops->hold(f->d, stream, release, user, capture, &err), &err) : JITC_OK;
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */

void jitc_frame_get_stats(const jitc_frame *f, jitc_frame_stats *out) {
    jc_frame_memory memory = { 0 };
    if (!f || !out)
        return;
    size_t size = out->struct_size;
    jc_frame_count(f->memory, &memory);
    jitc_frame_stats s = { size, memory.bytes, memory.blocks, memory.kept,
                           atomic_load_explicit(&f->host_bytes, memory_order_relaxed),
                           atomic_load_explicit(&f->calls, memory_order_relaxed),
                           atomic_load_explicit(&f->planned, memory_order_relaxed),
                           atomic_load_explicit(&f->remembered, memory_order_relaxed) };
    memcpy(out, &s, size < sizeof s ? size : sizeof s);
}
