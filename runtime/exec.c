/*
 * runtime/exec.c - loading an artifact and following its plan.
 *
 * An executable is shared by all pieces of a class and by all threads; what changes in a call lies in the caller's frame.
 * In a steady-state call (frame grown, operators known) nothing is allocated or locked: inputs are checked, homes of
 * buffers looked up, and the steps launched or called one after the other.
 * Numbers that follow from symbols: exec_shape.c.  Inputs and arguments: exec_args.c.  Memory: exec_frame.c.
 */
#include "runtime/exec_priv.h"

#include <string.h>

/* ---- loading --------------------------------------------------------------------------------------------------- */

static jitc_status check_artifact(const jc_exec *e, const jc_artifact *a, jc_error *err) {
    if (!jc_target_runs_on(&a->target, &e->d->target, jc_artifact_is_ptx(a))) {
        char made[64], here[64];
        jc_target_text(&a->target, made);
        jc_target_text(&e->d->target, here);
        return jc_fail(err, JITC_E_UNSUPPORTED, "The artifact was compiled for %s; it cannot run on %s, which is %s.", made,
                       e->d->ops->name, here);
    }
    if (a->ncodes != e->plan->nkernels)
        return jc_fail(err, JITC_E_INPUT, "The artifact holds code for %u kernels; its plan has %u.", a->ncodes,
                       e->plan->nkernels);
    for (uint32_t i = 0; i < a->ncodes; i++)
        if (memcmp(&a->codes[i].key, &e->plan->kernels[i].key, sizeof(jc_hash)) != 0)
            return jc_fail(err, JITC_E_INPUT, "The artifact's code number %u is not that of kernel %.31s.", i,
                           e->plan->kernels[i].name);
    return JITC_OK;
}

/* Allocates from the arena: under a guard. */
static jitc_status load(jc_exec *e, const uint8_t *bytes, size_t n, jc_error *err) {
    jc_artifact a;
    JC_TRY(jc_artifact_decode(bytes, n, e->arena, &a, err));
    JC_TRY(jc_plan_decode(a.plan, a.nplan, e->arena, &e->plan, err));
    JC_TRY(check_artifact(e, &a, err));
    e->steps = JC_NEWN(e->arena, jc_exec_step, e->plan->nsteps);
    e->checks = JC_NEWN(e->arena, const char *, e->plan->nchecks);
    for (uint32_t i = 0; i < e->plan->nchecks; i++) {
        e->checks[i] = jc_condition_text(e->plan->ex, &e->plan->checks[i], e->arena);
    }
    jc_exec_count(e);
    jc_exec_find_written(e);
    jc_run none;
    e->scratch = jc_run_carve(e, NULL, &none);
    jc_shape_count(e);
    e->modules = JC_NEWN(e->arena, jc_module *, e->plan->nkernels);
    for (uint32_t i = 0; i < e->plan->nkernels; i++)
        JC_TRY(e->d->ops->module_load(e->d, &a.codes[i], &e->plan->kernels[i], &e->modules[i], err));
    return JITC_OK;
}

jitc_status jc_exec_load(jc_device *device, const uint8_t *artifact, size_t n, jc_exec **out, jc_error *err) {
    *out = NULL;
    const jc_alloc *alloc = device->alloc;
    jc_arena *arena = jc_arena_new(alloc);
    jc_exec *e = arena ? alloc->alloc(alloc->user, sizeof *e) : NULL;
    if (!e) {
        jc_arena_free(arena);
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while loading an artifact.");
    }
    memset(e, 0, sizeof *e);
    e->arena = arena;
    e->d = device;
    pthread_mutex_init(&e->lock, NULL);
    volatile jitc_status status = JITC_OK;
    jc_guard guard;
    if (JC_GUARD(arena, &guard))
        status = jc_fail(err, JITC_E_NOMEM, "Out of memory while loading an artifact.");
    else
        status = load(e, artifact, n, err);
    jc_guard_end(arena, &guard);
    if (status != JITC_OK)
        jc_exec_free(e);
    else
        *out = e;
    return status;
}

void jc_exec_free(jc_exec *e) {
    if (!e)
        return;
    const jc_alloc *alloc = e->d->alloc;
    for (uint32_t i = 0; e->modules && i < e->plan->nkernels; i++)
        e->d->ops->module_free(e->d, e->modules[i]);
    for (jc_binding *b = atomic_load(&e->bindings), *next; b; b = next) {
        next = b->next;
        alloc->free(alloc->user, b, sizeof *b + e->plan->nsteps * sizeof b->steps[0]);
    }
    pthread_mutex_destroy(&e->lock);
    jc_arena_free(e->arena);
    alloc->free(alloc->user, e, sizeof *e);
}

const jc_plan *jc_exec_plan(const jc_exec *e) {
    return e->plan;
}

/* ---- operators ------------------------------------------------------------------------------------------------- */

static jitc_status bind_step(jc_run *r, uint32_t i, const jc_registry *ops, const jc_op_entry **out, jc_error *err) {
    const jc_plan_step *step = &r->e->plan->steps[i];
    if (step->kind != JC_STEP_CALL || jc_plan_is_check(step->op))
        return JITC_OK;
    jc_run_args(r, i);
    *out = ops ? jc_ops_find(ops, step->op, r->e->d->dl.device_type) : NULL;
    if (!*out) {
        char schema[600];
        jc_op_infer(step->op, r->values, r->keys, step->nargs, step->nresults, step->writes, schema, sizeof schema);
        jc_fail(err, JITC_E_UNSUPPORTED,
                "Operator %s, which is called here, is not registered for %s. Register it, or load a plugin that does, with a "
                "schema such as: %s", step->op, r->e->d->ops->name, schema);
        jc_error_place(err, NULL, step->line, 0, NULL);
        return JITC_E_UNSUPPORTED;
    }
    jitc_status status =
        jc_op_check(*out, r->values, r->keys, step->nargs, step->nresults, step->writes, err);
    if (status != JITC_OK)
        jc_error_place(err, NULL, step->line, 0, NULL);
    return status;
}

static jc_binding *find_binding(const jc_exec *e, const jc_registry *ops) {
    jc_binding *b = atomic_load_explicit(&e->bindings, memory_order_acquire);
    while (b && b->ops != ops)
        b = b->next;
    return b;
}

static jitc_status add_binding(jc_exec *e, const jc_registry *ops, jc_error *err) {
    const jc_alloc *alloc = e->d->alloc;
    size_t size = sizeof(jc_binding) + e->plan->nsteps * sizeof(const jc_op_entry *);
    jc_binding *b = alloc->alloc(alloc->user, size);
    size_t scratch_bytes = e->scratch ? e->scratch : 1;
    void *scratch = b ? alloc->alloc(alloc->user, scratch_bytes) : NULL;
    if (!scratch) {
        if (b)
            alloc->free(alloc->user, b, size);
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while looking up custom operators.");
    }
    memset(b, 0, size);
    b->ops = ops;
    jc_run r = { .e = e };
    jc_run_carve(e, scratch, &r);
    jitc_status status = JITC_OK;
    for (uint32_t i = 0; i < e->plan->nsteps && status == JITC_OK; i++)
        status = bind_step(&r, i, ops, &b->steps[i], err);
    alloc->free(alloc->user, scratch, scratch_bytes);
    if (status != JITC_OK) {
        alloc->free(alloc->user, b, size);
        return status;
    }
    b->next = atomic_load_explicit(&e->bindings, memory_order_relaxed);
    atomic_store_explicit(&e->bindings, b, memory_order_release);
    return JITC_OK;
}

jitc_status jc_exec_bind_ops(jc_exec *e, const jc_registry *ops, jc_error *err) {
    if (find_binding(e, ops))
        return JITC_OK;
    pthread_mutex_lock(&e->lock);
    jitc_status status = find_binding(e, ops) ? JITC_OK : add_binding(e, ops, err);
    pthread_mutex_unlock(&e->lock);
    return status;
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

static jc_device_range range_of(const jc_run *r, uint32_t tensor) {
    const jc_plan_tensor *t = &r->e->plan->tensors[tensor];
    const uint8_t *home = jc_run_home(r, tensor);
    if (t->home == JC_HOME_BUFFER)
        return (jc_device_range){ home, r->s->buffers[t->index], true };
    const jc_shaped *in = &r->s->inputs[t->index];
    return (jc_device_range){ home ? home + in->lo : NULL, (size_t)(in->hi - in->lo),
                              r->e->plan->inputs[t->index].written };
}

static jitc_status run_launch(jc_run *r, uint32_t i, jc_error *err) {
    const jc_plan_step *step = &r->e->plan->steps[i];
    jc_device *d = r->e->d;
    int64_t blocks = r->s->blocks[i];
    uint32_t nranges = 0;
    if (!blocks)
        return JITC_OK;
    for (uint32_t k = 0; k < step->nkargs; k++) {
        const jc_plan_karg *a = &step->kargs[k];
        if (a->kind == JC_KARG_PTR) {
            uint8_t *home = jc_run_home(r, a->tensor);
            r->pointers[k] = home ? home + r->s->tensors[a->tensor].offset : NULL;
            r->kargs[k] = &r->pointers[k];
            if (d->ops->launch_checked)
                r->ranges[nranges++] = range_of(r, a->tensor);
        } else if (a->input != JC_PLAN_NONE) {
            r->kargs[k] = &r->scalars[a->input];
        } else {
            r->kargs[k] = a->kind == JC_KARG_F64 ? (void *)&a->f : &r->s->ints[r->e->steps[i].first_int + k];
        }
    }
    JC_LOG(r->call->log, JC_DEBUG_RUN, "step %u: %.31s, %lld blocks", i, r->e->plan->kernels[step->kernel].name,
           (long long)blocks);
    jc_module *m = r->e->modules[step->kernel];
    if (d->ops->launch_checked)
        return d->ops->launch_checked(d, m, blocks, r->kargs, r->ranges, nranges, r->call->stream, err);
    return d->ops->launch(d, m, blocks, r->kargs, r->call->stream, err);
}

static const jitc_layer_name *first_name(const jitc_value *v, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const jitc_layer_name *name = v[i].tag == JITC_NAME ? v[i].name : NULL;
        if (v[i].tag == JITC_LIST)
            name = first_name(v[i].list, v[i].n);
        for (uint32_t k = 0; v[i].tag == JITC_DICT && k < v[i].n && !name; k++)
            name = first_name(&v[i].dict[k].value, 1);
        if (name)
            return name;
    }
    return NULL;
}

/* The results lie where the plan put them, so an operator that asks for other sizes cannot be served. */
static jitc_status check_results(const jc_run *r, const jc_plan_step *step, jc_error *err) {
    for (uint32_t i = 0; i < step->nresults; i++) {
        const DLTensor *got = &r->results[i];
        const jc_shaped *s = &r->s->tensors[step->results[i]];
        int32_t rank = r->e->plan->tensors[step->results[i]].type.rank;
        if (jc_run_same_shape(got, rank, s->dims))
            continue;
        char a[320], b[320];
        DLTensor want = *got;
        want.ndim = rank;
        want.shape = s->dims;
        return jc_fail(err, JITC_E_OP, "Operator %s: its shape function makes result %u %s, but the graph says %s.",
                       step->op, i, jc_run_describe(got, false, a), jc_run_describe(&want, false, b));
    }
    return JITC_OK;
}

static jitc_status call_operator(jc_run *r, uint32_t i, const jc_op_entry *op, jc_error *err) {
    const jc_plan_step *step = &r->e->plan->steps[i];
    DLDevice dl = r->e->d->dl;
    jc_run_args(r, i);
    for (uint32_t k = 0; k < step->nresults; k++) {
        jc_run_tensor(r, step->results[k], &r->results[k], r->result_dims[k]);
        r->result_at[k] = &r->results[k];
    }
    JC_TRY(jc_op_shape(op, dl, r->values, r->keys, step->nargs, r->result_at, step->nresults, err));
    JC_TRY(check_results(r, step, err));
    JC_LOG(r->call->log, JC_DEBUG_RUN, "step %u: %s", i, step->op);
    if (r->call->trace)
        r->call->trace->call(r->call->trace->user, step->op, first_name(r->values, step->nargs));
    return jc_op_call(op, dl, r->call->stream, r->values, r->keys, step->nargs, r->result_at, step->nresults, err);
}

static jitc_status run_step(jc_run *r, uint32_t i, const jc_binding *b, jc_error *err) {
    if (r->e->plan->steps[i].kind == JC_STEP_LAUNCH)
        return run_launch(r, i, err);
    jitc_status status = b->steps[i] ? call_operator(r, i, b->steps[i], err) : jc_run_check(r, i, err);
    if (status != JITC_OK)
        jc_error_place(err, NULL, r->e->plan->steps[i].line, 0, NULL);
    return status;
}

/* ---- a call ---------------------------------------------------------------------------------------------------- */

/* What a step reads though nothing wrote it is NaN then, or -1, and not what an earlier call left there. */
static jitc_status poison_buffers(jc_run *r, jc_error *err) {
    for (uint32_t i = 0; i < r->e->plan->nbuffers; i++)
        JC_TRY(r->e->d->ops->fill(r->e->d, r->buffers[i], 0xff, r->s->buffers[i], r->call->stream, err));
    return JITC_OK;
}

static jitc_status place_buffers(jc_run *r, jc_error *err) {
    const jc_plan *p = r->e->plan;
    JC_TRY(jc_frame_grow(r->f, &r->f->arena, r->s->arena, r->call->stream, err));
    for (uint32_t i = 0; i < p->nescapes; i++)
        if (r->s->escapes[i] && (!r->call->escapes[i] || (uintptr_t)r->call->escapes[i] % JC_EXEC_VEC_ALIGN))
            return jc_fail(err, JITC_E_USAGE, "Escaping block %u (%zu bytes) is missing or not aligned.", i,
                           r->s->escapes[i]);
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        const jc_plan_buffer *b = &p->buffers[i];
        r->buffers[i] = b->escape != JC_PLAN_NONE ? r->call->escapes[b->escape]
                        : r->f->arena.at          ? r->f->arena.at + r->s->slots[2 * b->slot + 1]
                                                  : NULL;
    }
    return r->call->log && r->call->log->debug & JC_DEBUG_POISON ? poison_buffers(r, err) : JITC_OK;
}

/* The caller's tensor, strides written out. */
static void pass_through(const jc_run *r, uint32_t input, DLTensor *out, int64_t *dims) {
    const DLTensor *t = r->call->in[input].tensor;
    const jc_shaped *s = &r->s->inputs[input];
    *out = *t;
    memcpy(dims, t->shape, (size_t)t->ndim * sizeof *dims);
    memcpy(dims + JC_MAX_RANK, t->strides ? t->strides : s->strides, (size_t)t->ndim * sizeof *dims);
    out->shape = dims;
    out->strides = dims + JC_MAX_RANK;
}

static void fill_tensor_output(jc_run *r, uint32_t i) {
    const jc_plan_tensor *t = &r->e->plan->tensors[r->e->plan->outputs[i].index];
    DLTensor *out = &r->call->out_tensors[i];
    jc_run_tensor(r, r->e->plan->outputs[i].index, out, r->call->out_dims[i]);
    if (t->home == JC_HOME_INPUT) { /* a view of the caller's memory, not of a copy */
        const DLTensor *in = r->call->in[t->index].tensor;
        const jc_shaped *s = &r->s->tensors[r->e->plan->outputs[i].index];
        out->data = in->data ? (uint8_t *)in->data + in->byte_offset + s->offset : NULL;
        out->device = in->device;
    }
    r->call->out[i] = (jitc_value){ .tag = JITC_TENSOR, .tensor = out };
}

static void fill_outputs(jc_run *r) {
    for (uint32_t i = 0; i < r->e->plan->noutputs; i++) {
        const jc_plan_output *o = &r->e->plan->outputs[i];
        jitc_value *out = &r->call->out[i];
        if (o->kind == JC_OUT_TENSOR) {
            fill_tensor_output(r, i);
        } else if (o->kind == JC_OUT_EXPR) {
            *out = (jitc_value){ .tag = JITC_INT, .i = r->s->outs[i] };
        } else if (o->kind == JC_OUT_NONE) {
            *out = (jitc_value){ .tag = JITC_NONE };
        } else {
            *out = r->call->in[o->index];
            if (out->tag == JITC_TENSOR) {
                pass_through(r, o->index, &r->call->out_tensors[i], r->call->out_dims[i]);
                out->tensor = &r->call->out_tensors[i];
            }
        }
    }
}

static jitc_status run_steps(jc_run *r, const jc_binding *b, jc_error *err) {
    JC_TRY(jc_run_inputs(r, err));
    JC_TRY(place_buffers(r, err));
    for (uint32_t i = 0; i < r->e->plan->nsteps; i++)
        JC_TRY(run_step(r, i, b, err));
    JC_TRY(jc_run_copy_back(r, err));
    fill_outputs(r);
    return JITC_OK;
}

jitc_status jc_exec_run(jc_exec *e, jc_frame *f, const jc_exec_call *call, jc_error *err) {
    JC_TRY(jc_exec_bind_ops(e, call->ops, err));
    const jc_binding *b = find_binding(e, call->ops);
    JC_TRY(jc_frame_scratch(f, e->scratch, err));
    jc_run r = { .e = e, .s = call->shape, .call = call, .f = f };
    jc_run_carve(e, f->scratch, &r);
    if (call->kept) {
        r.in = call->kept->at;
        r.scalars = call->kept->scalars;
    }
    bool pushed = false;
    if (e->d->ops->enter)
        JC_TRY(e->d->ops->enter(e->d, &pushed, err));
    jitc_status status = run_steps(&r, b, err);
    if (e->d->ops->leave)
        e->d->ops->leave(e->d, pushed);
    return status;
}
