/*
 * jit/api/frame_result.c - results whose memory is the caller's.
 *
 * Before a call each such tensor is checked against what the result will be; one that can hold a block of the placing takes its
 * place, the others are filled by copies after the last site.  A result that is a view of an input may be given that view: then
 * there is nothing to do.
 */
#include <stdio.h>
#include <string.h>

#include "jit/api/frame_priv.h"

/* Bytes that a tensor touches; none when it is empty. */
typedef struct span {
    const uint8_t *from, *to;
} span;

static uint8_t *first_of(const DLTensor *t) {
    return t->data ? (uint8_t *)t->data + t->byte_offset : NULL;
}

static span span_of(const DLTensor *t) {
    uint8_t *first = first_of(t);
    int64_t lo = 0, hi = 1, size = t->dtype.bits / 8, row_major = 1;
    for (int d = 0; d < t->ndim; d++)
        if (t->shape[d] <= 0) /* its strides may be anything */
            return (span){ first, first };
    for (int d = t->ndim; d-- > 0;) {
        int64_t reach = (t->shape[d] - 1) * (t->strides ? t->strides[d] : row_major);
        *(reach < 0 ? &lo : &hi) += reach;
        row_major *= t->shape[d];
    }
    return (span){ first + lo * size, first + hi * size };
}

static bool overlap(span a, span b) {
    return a.from < b.to && b.from < a.to;
}

/* ---- what a result will be -------------------------------------------------------------------------------------- */

static const jitc_value *argument(const jc_instance *n, const jitc_value *values, uint32_t param) {
    return n->bound[param].value.tag == JITC_NONE ? &values[param] : &n->bound[param].value;
}

static const jc_site *site_of(const jc_program *p, uint32_t out) {
    return &p->sites[p->out_site[out]];
}

/* The descriptor that result I will have, without its data. False: it is no tensor. */
static bool expected(const jc_instance *n, const jc_planned *s, const jitc_value *values, uint32_t i, DLTensor *out) {
    const jc_source *source = &n->p->results[i];
    if (source->kind == JC_SOURCE_OUT) {
        const jc_site *site = site_of(n->p, source->index);
        const jc_planned_group *g = &s->groups[site->group];
        return jc_shape_output(g->exec, g->shape, source->index - site->first_out, out);
    }
    if (source->kind != JC_SOURCE_PARAM || argument(n, values, source->index)->tag != JITC_TENSOR)
        return false;
    *out = *argument(n, values, source->index)->tensor;
    return true;
}

/* Of a result that is a view of a parameter: where it starts. NULL: it is none. */
static const uint8_t *viewed(const jc_instance *n, const jc_planned *s, const jitc_value *values, const jc_source *source) {
    int64_t offset = 0;
    while (source->kind == JC_SOURCE_OUT) {
        const jc_site *site = site_of(n->p, source->index);
        const jc_planned_group *g = &s->groups[site->group];
        uint32_t input = jc_plan_viewed(jc_exec_plan(g->exec), source->index - site->first_out);
        if (input == JC_PLAN_NONE)
            return NULL;
        offset += jc_shape_output_offset(g->exec, g->shape, source->index - site->first_out);
        source = &site->in[input];
    }
    if (source->kind != JC_SOURCE_PARAM || argument(n, values, source->index)->tag != JITC_TENSOR)
        return NULL;
    const uint8_t *first = first_of(argument(n, values, source->index)->tensor);
    return first ? first + offset : NULL;
}

/* ---- checking --------------------------------------------------------------------------------------------------- */

static jitc_status wrong(uint32_t i, const DLTensor *got, const DLTensor *want, bool strides, jc_error *err) {
    char a[320], b[320];
    return jc_fail(err, JITC_E_INPUT, "Result %u goes into %s%s, but it is %s.", i, jc_run_describe(got, strides, a),
                   strides && !got->strides ? " (row-major)" : "", jc_run_describe(want, strides, b));
}

static jitc_status check_given(const jitc_frame *f, uint32_t i, const DLTensor *got, const DLTensor *want, jc_error *err) {
    int64_t row_major = 1, numel = 1;
    if (!jc_device_holds(f->d, got->device))
        return jc_fail(err, JITC_E_INPUT, "The tensor for result %u is on device %d:%d, but the frame runs on %s.", i,
                       (int)got->device.device_type, got->device.device_id, f->d->ops->name);
    if (got->ndim > 0 && !got->shape)
        return jc_fail(err, JITC_E_INPUT, "The tensor for result %u has no shape.", i);
    if (got->dtype.code != want->dtype.code || got->dtype.bits != want->dtype.bits || got->dtype.lanes != 1 ||
        got->ndim != want->ndim || (got->ndim && memcmp(got->shape, want->shape, (size_t)got->ndim * sizeof(int64_t))))
        return wrong(i, got, want, false, err);
    for (int d = 0; d < got->ndim; d++)
        numel *= got->shape[d] != 0;
    for (int d = got->ndim; d-- > 0 && numel;) {
        int64_t has = got->strides ? got->strides[d] : row_major, needs = want->strides ? want->strides[d] : row_major;
        row_major *= got->shape[d];
        if (got->shape[d] > 1 && has != needs)
            return wrong(i, got, want, true, err);
    }
    if (numel && !got->data)
        return jc_fail(err, JITC_E_INPUT, "The tensor for result %u has no data, though it has elements.", i);
    if (numel && !jc_exec_aligned(got))
        return jc_fail(err, JITC_E_INPUT, "The tensor for result %u starts at %p, which is not aligned to 16 bytes.", i,
                       (void *)first_of(got));
    return JITC_OK;
}

static jitc_status check_apart(const jc_instance *n, const jitc_value *values, uint32_t i, jc_error *err) {
    const jc_func *func = n->p->func;
    span own = span_of(n->given[i].to);
    for (uint32_t p = 0; p < func->nparams; p++) {
        const jitc_value *v = argument(n, values, p);
        if (v->tag == JITC_TENSOR && v->tensor && v->tensor->ndim == func->params[p]->type.rank && overlap(own, span_of(v->tensor)))
            return jc_fail_at(err, JITC_E_INPUT, func->graph->file, func->params[p]->line, 0, func->params[p]->name,
                              "The tensor for result %u shares memory with '%s', which is passed in.", i, func->params[p]->name);
    }
    return JITC_OK;
}

static jitc_status check_results_apart(const jc_instance *n, uint32_t i, jc_error *err) {
    span own = span_of(n->given[i].to);
    for (uint32_t k = 0; k < i; k++)
        if (n->given[k].to && overlap(own, span_of(n->given[k].to)))
            return jc_fail(err, JITC_E_INPUT, "The tensors for results %u and %u share memory.", k, i);
    return JITC_OK;
}

/* A descriptor that this frame made for result I in an earlier call says nothing about where the next one goes. */
static bool is_ours(const jc_instance *n, uint32_t i, const jitc_value *result) {
    const jc_source *source = &n->p->results[i];
    if (result->tag != JITC_TENSOR)
        return false;
    if (result->tensor == &n->given[i].own)
        return true;
    const jc_site *site = source->kind == JC_SOURCE_OUT ? site_of(n->p, source->index) : NULL;
    return site && result->tensor == &n->sites[site - n->p->sites].tensors[source->index - site->first_out];
}

/* ---- before a call ---------------------------------------------------------------------------------------------- */

static jitc_status ask(jitc_frame *f, jc_given *g, uint32_t i, const DLTensor *want, void *stream, jc_error *err) {
    bool empty = false;
    g->own = (DLTensor){ .device = f->d->dl, .ndim = want->ndim, .dtype = want->dtype, .shape = g->dims,
                         .strides = g->dims + JC_MAX_RANK };
    for (int d = 0; d < want->ndim; d++) {
        g->dims[d] = want->shape[d];
        g->dims[JC_MAX_RANK + d] = want->strides[d];
        empty |= want->shape[d] == 0;
    }
    f->o.result(f->o.user, i, &g->own, stream);
    if (!empty && !g->own.data)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory: the frame's `result` function gave none for result %u.", i);
    if (!empty && !jc_exec_aligned(&g->own))
        return jc_fail(err, JITC_E_USAGE, "The frame's `result` function gave %p for result %u, which is not aligned to 16 bytes.",
                       (void *)first_of(&g->own), i);
    g->to = &g->own;
    return JITC_OK;
}

static jitc_status take(jitc_frame *f, jc_instance *n, const jc_planned *s, void *stream, const jitc_value *values,
                        const jitc_value *result, uint32_t i, jc_error *err) {
    jc_given *g = &n->given[i];
    DLTensor want;
    bool callers = result && result->tag == JITC_TENSOR && !is_ours(n, i, result), tensor = expected(n, s, values, i, &want);
    *g = (jc_given){ .to = NULL };
    if (result && result->tag != JITC_TENSOR && result->tag != JITC_NONE)
        return jc_fail(err, JITC_E_USAGE, "Result %u has tag %u on entry: it takes JITC_NONE, or JITC_TENSOR and a tensor to fill.",
                       i, result->tag);
    if (callers && (!tensor || !result->tensor))
        return jc_fail(err, JITC_E_USAGE, "Result %u %s.", i, tensor ? "has no tensor" : "is no tensor: it takes JITC_NONE");
    if (!tensor || (!callers && !f->o.result))
        return JITC_OK;
    const uint8_t *view = viewed(n, s, values, &n->p->results[i]);
    if (!callers)
        return view || n->p->results[i].kind == JC_SOURCE_PARAM ? JITC_OK : ask(f, g, i, &want, stream, err);
    JC_TRY(check_given(f, i, result->tensor, &want, err));
    g->to = result->tensor;
    JC_TRY(check_results_apart(n, i, err));
    return view && view == first_of(g->to) ? JITC_OK : check_apart(n, values, i, err);
}

/* Those that fill a block of their own lie there from the start. */
static void place(jc_instance *n, const jc_planned *s, uint32_t i) {
    const jc_source *source = &n->p->results[i];
    const jc_placing *l = s->placing;
    if (!n->given[i].to || source->kind != JC_SOURCE_OUT || l->block[source->index] == JC_FRAME_NONE ||
        !l->blocks[l->block[source->index]].own)
        return;
    const jc_site *site = site_of(n->p, source->index);
    const jc_planned_group *g = &s->groups[site->group];
    if (!jc_shape_output_alone(g->exec, g->shape, source->index - site->first_out))
        return;
    n->elsewhere[l->block[source->index]] = first_of(n->given[i].to);
    n->given[i].direct = true;
}

jitc_status jc_results_take(jitc_frame *f, jc_instance *n, const jc_planned *s, void *stream, const jitc_value *values,
                            const jitc_value *results, bool given, bool *any, jc_error *err) {
    *any = f->o.result != NULL;
    for (uint32_t i = 0; i < n->p->func->noutputs && given && !*any; i++)
        *any = results[i].tag != JITC_NONE && !is_ours(n, i, &results[i]);
    if (!*any)
        return JITC_OK;
    for (uint32_t i = 0; i < n->p->func->noutputs; i++)
        JC_TRY(take(f, n, s, stream, values, given ? &results[i] : NULL, i, err));
    if (n->nelsewhere)
        memset(n->elsewhere, 0, n->nelsewhere * sizeof *n->elsewhere);
    for (uint32_t i = 0; i < n->p->func->noutputs; i++)
        place(n, s, i);
    return JITC_OK;
}

/* ---- after it --------------------------------------------------------------------------------------------------- */

static jitc_value value_of(const jc_instance *n, const jc_planned *s, const jitc_value *values, const jc_source *source) {
    if (source->kind == JC_SOURCE_PARAM)
        return *argument(n, values, source->index);
    if (source->kind == JC_SOURCE_EXPR)
        return (jitc_value){ .tag = JITC_INT, .i = s->ints[source->index] };
    if (source->kind == JC_SOURCE_CONST)
        return source->value;
    return *n->outs[source->index];
}

jitc_status jc_results_give(jitc_frame *f, jc_instance *n, const jc_planned *s, void *stream, const jitc_value *values,
                            jitc_value *results, bool any, jc_error *err) {
    for (uint32_t i = 0; i < n->p->func->noutputs; i++) {
        jitc_value v = value_of(n, s, values, &n->p->results[i]);
        const jc_given *g = any && n->given[i].to ? &n->given[i] : NULL;
        if (g && !g->direct && v.tag == JITC_TENSOR)
            JC_TRY(jc_device_copy_tensor(f->d, g->to, v.tensor, stream, err));
        results[i] = g ? (jitc_value){ .tag = JITC_TENSOR, .tensor = g->to } : v;
    }
    return JITC_OK;
}
