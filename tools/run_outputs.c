/*
 * tools/run_outputs.c - what a run gave, brought to host memory in row-major order.
 */
#include "tools/run.h"

#include <string.h>

static int dtype_of(DLDataType t) {
    for (int d = 0; d < JC_DTYPE_COUNT; d++)
        if (jc_dtypes[d].dl_code == t.code && jc_dtypes[d].dl_bits == t.bits)
            return d;
    return -1;
}

/* --- which outputs nothing wrote --- */

static const jc_plan *plan_of(const run *r, uint32_t piece) {
    const jc_exec *exec = jc_class_loaded(&r->model->classes[r->model->pieces[piece].cls]);
    return exec ? jc_exec_plan(exec) : NULL;
}

static uint32_t piece_of(const run *r, const jc_func *f) {
    for (uint32_t i = 0; i < r->model->npieces; i++)
        if (r->model->pieces[i].func == f)
            return i;
    return UINT32_MAX;
}

static bool plan_undefined(const jc_plan *plan, uint32_t output) {
    return plan && output < plan->noutputs && plan->outputs[output].kind == JC_OUT_TENSOR &&
           plan->outputs[output].undefined;
}

/* Does this call write what lies in OWNER's storage? */
static bool call_writes(const run *r, const jc_node *call, const jc_value *owner) {
    uint32_t piece = piece_of(r, call->callee);
    const jc_plan *plan = piece == UINT32_MAX ? NULL : plan_of(r, piece);
    const jc_canon *canon = plan ? &r->model->pieces[piece].canon : NULL;
    for (uint32_t i = 0; plan && i < plan->ninputs; i++) {
        const jc_bind *b = &canon->inputs[i];
        if (!plan->inputs[i].written || b->kind != JC_BIND_PARAM || call->args[b->param].kind != JC_ARG_VALUE)
            continue;
        if (jc_storage(call->args[b->param].value) == owner)
            return true;
    }
    return false;
}

static bool undefined(const run *r, uint32_t output) {
    if (r->piece != UINT32_MAX)
        return plan_undefined(plan_of(r, r->piece), output);
    const jc_arg *a = &r->f->outputs[output];
    if (a->kind != JC_ARG_VALUE || !a->value->def || a->value->def->op != JC_OP_call)
        return false;
    const jc_value *owner = jc_storage(a->value);
    if (!owner->def || owner->def->op != JC_OP_call)
        return false;
    uint32_t piece = piece_of(r, owner->def->callee);
    if (piece == UINT32_MAX || !plan_undefined(plan_of(r, piece), owner->index))
        return false;
    for (size_t i = 0; i < r->f->nodes.n; i++)
        if (r->f->nodes.at[i]->op == JC_OP_call && call_writes(r, r->f->nodes.at[i], owner))
            return false;
    return true;
}

/* --- the elements --- */

static void gather(const DLTensor *t, const char *from, char *to, size_t size) {
    int64_t index[JC_MAX_RANK] = { 0 }, offset = 0;
    for (;;) {
        memcpy(to, from + (size_t)offset * size, size);
        to += size;
        int d = t->ndim - 1;
        for (; d >= 0; d--) {
            offset += t->strides[d];
            if (++index[d] < t->shape[d])
                break;
            offset -= t->strides[d] * t->shape[d];
            index[d] = 0;
        }
        if (d < 0)
            return;
    }
}

static jitc_status fetch(run *r, const DLTensor *t, run_output *o, jc_error *err) {
    int dtype = dtype_of(t->dtype);
    int64_t count = 1, span = 1;
    if (dtype < 0 || t->ndim > JC_MAX_RANK)
        return jc_fail(err, JITC_E_DEVICE, "%s has a dtype or rank that cannot be printed", o->name);
    o->tensor.dtype = (jc_dtype)dtype;
    o->tensor.rank = t->ndim;
    for (int d = 0; d < t->ndim; d++) {
        o->tensor.dims[d] = t->shape[d];
        count *= t->shape[d];
        span += (t->shape[d] - 1) * t->strides[d];
    }
    size_t size = jc_dtypes[dtype].size;
    o->tensor.nbytes = (size_t)count * size;
    o->tensor.data = jc_arena_alloc(r->arena, o->tensor.nbytes);
    if (count == 0)
        return JITC_OK;
    char *raw = jc_arena_alloc(r->arena, (size_t)span * size);
    JC_TRY(r->device->ops->copy_out(r->device, raw, (char *)t->data + t->byte_offset, (size_t)span * size, NULL, err));
    JC_TRY(r->device->ops->sync(r->device, NULL, err));
    gather(t, raw, (char *)o->tensor.data, size);
    return JITC_OK;
}

/* A number that is no integer is shown as a tensor without dims. */
static void scalar_output(run *r, run_output *o, jc_dtype dtype, const void *value) {
    o->kind = JC_TENSOR;
    o->tensor.dtype = dtype;
    o->tensor.nbytes = jc_dtypes[dtype].size;
    o->tensor.data = jc_arena_memdup(r->arena, value, o->tensor.nbytes);
}

static void integer_output(run *r, run_output *o, int64_t value) {
    o->kind = JC_SYMINT;
    o->integer = value;
    o->tensor.dtype = JC_I64;
    o->tensor.nbytes = sizeof value;
    o->tensor.data = jc_arena_memdup(r->arena, &value, sizeof value);
}

jitc_status run_outputs(run *r, const jitc_value *results, jc_error *err) {
    r->outputs = JC_NEWN(r->arena, run_output, r->noutputs);
    for (uint32_t i = 0; i < r->f->noutputs; i++) {
        run_output *o = &r->outputs[i];
        o->name = o->tensor.name = jc_arena_printf(r->arena, "out%u", i);
        o->kind = JC_NAME;
        if (results[i].tag == JITC_TENSOR) {
            o->kind = JC_TENSOR;
            JC_TRY(fetch(r, results[i].tensor, o, err));
            o->undefined = o->tensor.nbytes && undefined(r, i);
        } else if (results[i].tag == JITC_INT) {
            integer_output(r, o, results[i].i);
        } else if (results[i].tag == JITC_BOOL) {
            const uint8_t truth = results[i].i != 0;
            scalar_output(r, o, JC_B8, &truth);
        } else if (results[i].tag == JITC_FLOAT) {
            scalar_output(r, o, JC_F64, &results[i].f);
        }
    }
    for (uint32_t i = 0, k = r->f->noutputs; i < r->f->nparams; i++)
        if (run_writes(r, i)) {
            run_output *o = &r->outputs[k++];
            o->name = o->tensor.name = jc_arena_printf(r->arena, "mut:%s", r->f->params[i]->name);
            o->kind = JC_TENSOR;
            o->written = true;
            JC_TRY(fetch(r, r->values[i].tensor, o, err));
        }
    return JITC_OK;
}
