/*
 * jit/api/examples.c - strides of root parameters from example tensors.
 *
 * An example shows numbers where the compiler wants expressions.  The dims are looked at from the smallest stride up: a stride that is
 * the one before times its dim is that product as an expression, so a transposed or a batched tensor keeps its layout at every size;
 * any other (a row of a wider buffer) is a number that stays.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jit/api/examples.h"
#include "jit/api/pairs.h"

typedef struct example {
    const jc_graph *g;
    const jc_value *param;
    const DLTensor *t;
    jc_arena *arena;
    jc_error *err;
} example;

JC_PRINTF(2, 3) static jitc_status misfit(const example *e, const char *format, ...) {
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return jc_fail_at(e->err, JITC_E_INPUT, e->g->file, e->param->line, 0, e->param->name, "The example for '%s' %s.",
                      e->param->name, text);
}

static jitc_status check(const example *e) {
    const jc_type *type = &e->param->type;
    const jc_dtype_info *dtype = &jc_dtypes[type->dtype];
    const DLTensor *t = e->t;
    int64_t want;
    if (type->kind != JC_TENSOR)
        return misfit(e, "is a tensor, but the parameter is none");
    if (t->ndim != type->rank || (t->ndim > 0 && !t->shape))
        return misfit(e, "has %d dims where %d are needed", t->ndim, type->rank);
    if (t->dtype.code != dtype->dl_code || t->dtype.bits != dtype->dl_bits || t->dtype.lanes != 1)
        return misfit(e, "is of another dtype than %s", dtype->name);
    for (int d = 0; d < type->rank; d++) {
        if (t->shape[d] <= 0)
            return misfit(e, "has no elements, so its strides say nothing");
        if (jc_ex_is_const(type->dims[d], &want) && want != t->shape[d])
            return misfit(e, "has dim %d of %lld where %lld is needed", d, (long long)t->shape[d], (long long)want);
    }
    return JITC_OK;
}

/* Dims from the smallest stride up.  The stride of a dim of one element says nothing: it is taken to lie around the dim after it. */
static void order_of(const DLTensor *t, int *order) {
    int64_t strides[JC_MAX_RANK];
    for (int i = 0; i < t->ndim; i++) {
        int k = i, d = t->ndim - 1 - i;
        int64_t around = 1;
        if (i > 0 && __builtin_mul_overflow(strides[d + 1], t->shape[d + 1], &around))
            around = INT64_MAX;
        strides[d] = t->shape[d] > 1 ? t->strides[d] : around;
        for (; k > 0 && strides[d] < strides[order[k - 1]]; k--)
            order[k] = order[k - 1];
        order[k] = d;
    }
}

static const char *const *strides_of(const example *e) {
    jc_exprs *ex = e->g->exprs;
    const jc_type *type = &e->param->type;
    const char **out = JC_NEWN(e->arena, const char *, type->rank);
    int order[JC_MAX_RANK];
    const jc_expr *inner = jc_ex_int(ex, 1); /* the next stride without a gap, */
    int64_t next = 1;                        /* and its value in the example */
    order_of(e->t, order);
    for (int i = 0; i < type->rank; i++) {
        int d = order[i];
        int64_t stride = e->t->strides[d];
        const bool gap = stride != next && e->t->shape[d] > 1;
        if (gap)
            inner = jc_ex_int(ex, stride);
        out[d] = jc_ex_text(ex, inner, e->arena);
        if (stride == 0 && gap) { /* expanded: it takes no room */
            inner = jc_ex_int(ex, next);
            continue;
        }
        inner = jc_ex_mul(ex, inner, type->dims[d]);
        if (__builtin_mul_overflow(gap ? stride : next, e->t->shape[d], &next))
            next = 0; /* nothing lies around that */
    }
    return out;
}

jitc_status jc_example_strides(const jc_graph *g, const DLTensor *const *examples, jc_arena *arena, jc_stride_entry *out,
                               uint32_t *n, jc_error *err) {
    *n = 0;
    for (uint32_t i = 0; i < g->root->nparams; i++) {
        example e = { g, g->root->params[i], examples[i], arena, err };
        jc_pairs pairs;
        e.t = e.t && jc_as_pairs(e.t, &pairs) ? &pairs.tensor : e.t;
        if (!e.t)
            continue;
        JC_TRY(check(&e));
        if (e.t->strides && e.t->ndim > 0)
            out[(*n)++] = (jc_stride_entry){ e.param->name, e.param->type.rank, strides_of(&e) };
    }
    return JITC_OK;
}

jitc_status jc_examples_check(jitc_graph *const *graphs, uint32_t n, const jitc_model_options *o, jc_error *err) {
    uint32_t params = 0;
    if (!o->nexamples)
        return JITC_OK;
    for (uint32_t i = 0; i < n; i++)
        params += graphs[i]->g->root->nparams;
    if (!o->examples || o->nexamples != params)
        return jc_fail(err, JITC_E_USAGE, "%u examples are given%s; the graphs have %u parameters", o->nexamples,
                       o->examples ? "" : " by a NULL pointer", params);
    return JITC_OK;
}
