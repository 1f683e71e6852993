/*
 * jit/api/frame_instance.c - what a frame keeps of one program, and binding parameters for good.
 *
 * An input whose value can be told once (a literal, what is bound) is put in place here and left alone by calls; the executor
 * looks at it again only under a shape that it has not seen since the last binding.
 */
#include <stdio.h>
#include <string.h>

#include "jit/api/frame_priv.h"

/* ---- making ----------------------------------------------------------------------------------------------------- */

/* Inputs that a call has to fill and look at: what comes from sites and expressions, parameters that are not bound, and tensors
   whose elements have to be copied each time. */
static bool is_fresh(const jc_instance *n, const jc_source *s) {
    if (s->kind != JC_SOURCE_PARAM)
        return s->kind != JC_SOURCE_CONST;
    const jitc_value *v = &n->bound[s->index].value;
    return v->tag == JITC_NONE || (v->tag == JITC_TENSOR && !jc_exec_aligned(v->tensor));
}

static void place_inputs(jc_instance *n, uint32_t site) {
    const jc_site *s = &n->p->sites[site];
    jc_call_site *c = &n->sites[site];
    c->nfresh = 0;
    for (uint32_t i = 0; i < s->nin; i++) {
        if (s->in[i].kind == JC_SOURCE_CONST)
            c->in[i] = s->in[i].value;
        else if (s->in[i].kind == JC_SOURCE_PARAM)
            c->in[i] = n->bound[s->in[i].index].value;
        if (is_fresh(n, &s->in[i]))
            c->fresh[c->nfresh++] = i;
    }
}

static void place_all(jc_instance *n) {
    n->nopen = 0;
    for (uint32_t i = 0; i < n->p->func->nparams; i++)
        if (n->bound[i].value.tag == JITC_NONE || jc_solver_uses(n->p->solver, i))
            n->open[n->nopen++] = i;
    for (uint32_t i = 0; i < n->p->nsites; i++)
        place_inputs(n, i);
    n->generation++;
}

static void make_site(jc_instance *n, uint32_t site) {
    const jc_site *s = &n->p->sites[site];
    jc_call_site *c = &n->sites[site];
    c->in = JC_NEWN(n->arena, jitc_value, s->nin);
    c->kept = (jc_kept){ .at = JC_NEWN(n->arena, uint8_t *, s->nin), .scalars = JC_NEWN(n->arena, jc_scalar, s->nin) };
    c->fresh = JC_NEWN(n->arena, uint32_t, s->nin);
    c->out = JC_NEWN(n->arena, jitc_value, s->nout);
    c->tensors = JC_NEWN(n->arena, DLTensor, s->nout);
    c->dims = jc_arena_array(n->arena, s->nout, sizeof *c->dims);
    for (uint32_t o = 0; o < s->nout; o++)
        n->outs[s->first_out + o] = &c->out[o];
}

static jc_instance *make(const jitc_frame *f, const jc_program *p, jc_arena *arena) {
    jc_instance *n = JC_NEW(arena, jc_instance);
    uint32_t most = 0;
    n->p = p;
    n->arena = arena;
    n->sites = JC_NEWN(arena, jc_call_site, p->nsites);
    n->outs = JC_NEWN(arena, jitc_value *, p->nouts);
    n->bound = JC_NEWN(arena, jc_bound, p->func->nparams);
    n->open = JC_NEWN(arena, uint32_t, p->func->nparams);
    n->syms = JC_NEWN(arena, int64_t, p->nsyms);
    n->owner = JC_NEWN(arena, uint32_t, p->nsyms);
    n->execs = JC_NEWN(arena, jc_exec *, p->ngroups);
    n->kinds = JC_NEWN(arena, uint32_t, p->ngroups);
    n->need = JC_NEWN(arena, const size_t *, p->ngroups);
    for (uint32_t i = 0; i < p->ngroups; i++)
        most = p->groups[i].piece->canon.nsyms > most ? p->groups[i].piece->canon.nsyms : most;
    n->class_syms = JC_NEWN(arena, int64_t, most);
    n->given = JC_NEWN(arena, jc_given, p->func->noutputs);
    n->shapes.most = f->o.shapes ? f->o.shapes : JC_FRAME_SHAPES;
    for (n->shapes.nbuckets = 16; n->shapes.nbuckets < 2 * n->shapes.most && n->shapes.nbuckets < 1u << 20;)
        n->shapes.nbuckets *= 2;
    n->shapes.buckets = JC_NEWN(arena, jc_planned *, n->shapes.nbuckets);
    for (uint32_t i = 0; i < p->nsites; i++)
        make_site(n, i);
    place_all(n);
    return n;
}

static jitc_status new_instance(jitc_frame *f, const jc_program *p, jc_instance **out, jc_error *err) {
    jc_arena *arena = jc_arena_new(&f->m->ctx->alloc);
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (arena && JC_GUARD(arena, &guard) == 0) {
        *out = make(f, p, arena);
        status = JITC_OK;
    }
    if (arena)
        jc_guard_end(arena, &guard);
    if (status != JITC_OK) {
        jc_arena_free(arena);
        jc_fail(err, JITC_E_NOMEM, "out of memory while preparing a call");
    }
    return status;
}

jitc_status jc_instance_get(jitc_frame *f, jc_program_kind kind, uint32_t index, jc_instance **out, jc_error *err) {
    const jc_program *p;
    jc_instance **at = &f->instances[kind][index];
    if (!*at) {
        JC_TRY(jc_program_get(f->m, kind, index, &p, err));
        JC_TRY(new_instance(f, p, at, err));
    }
    *out = *at;
    return JITC_OK;
}

void jc_instance_free(jitc_frame *f, jc_instance *n) {
    if (!n)
        return;
    jc_shapes_free(f, n);
    jc_arena_free(n->arena);
}

/* ---- binding ---------------------------------------------------------------------------------------------------- */

static jitc_status misfit(const jc_instance *n, uint32_t param, jc_error *err, const char *what) {
    const jc_value *p = n->p->func->params[param];
    return jc_fail_at(err, JITC_E_INPUT, n->p->func->graph->file, p->line, 0, p->name, "'%s' cannot be bound: %s.", p->name, what);
}

static jitc_status check_number(const jc_instance *n, uint32_t param, int d, const char *what, const jc_expr *e, int64_t given,
                                jc_error *err) {
    int64_t want;
    char text[160];
    if (!jc_ex_is_const(e, &want) || want == given)
        return JITC_OK;
    snprintf(text, sizeof text, "%s %d is %lld where %lld is needed", what, d, (long long)given, (long long)want);
    return misfit(n, param, err, text);
}

/* What can be told without a shape. */
static jitc_status check_tensor(const jitc_frame *f, const jc_instance *n, uint32_t param, const DLTensor *t, jc_error *err) {
    const jc_type *type = &n->p->func->params[param]->type;
    const jc_dtype_info *dtype = &jc_dtypes[type->dtype];
    int64_t row_major = 1, numel = 1;
    if (!jc_device_holds(f->d, t->device))
        return misfit(n, param, err, "it lies on another device");
    if (t->dtype.code != dtype->dl_code || t->dtype.bits != dtype->dl_bits || t->dtype.lanes != 1)
        return misfit(n, param, err, "it is of another dtype");
    if (t->ndim != type->rank || (t->ndim > 0 && !t->shape))
        return misfit(n, param, err, "it has another number of dims");
    for (int d = 0; d < type->rank; d++) {
        JC_TRY(check_number(n, param, d, "dim", type->dims[d], t->shape[d], err));
        if (t->shape[d] < 0)
            return misfit(n, param, err, "a dim is negative");
        numel = t->shape[d] ? numel : 0;
    }
    for (int d = type->rank; d-- > 0 && numel;) { /* the strides of an empty tensor say nothing */
        int64_t stride = t->strides ? t->strides[d] : row_major;
        if (t->shape[d] > 1 && type->strides)
            JC_TRY(check_number(n, param, d, "stride", type->strides[d], stride, err));
        if (t->shape[d] > 1 && !type->strides && stride != row_major)
            return misfit(n, param, err, "it is not row-major");
        row_major = (int64_t)((uint64_t)row_major * (uint64_t)t->shape[d]);
    }
    return numel && !t->data ? misfit(n, param, err, "it has no data") : JITC_OK;
}

static jitc_status check_bound(const jitc_frame *f, const jc_instance *n, uint32_t param, const jitc_value *v, jc_error *err) {
    static const struct {
        uint8_t tag;
        const char *what;
    } wants[] = {
        [JC_TENSOR] = { JITC_TENSOR, "a tensor is needed" }, [JC_SYMINT] = { JITC_INT, "an integer is needed" },
        [JC_NAME] = { JITC_NAME, "a layer name is needed" }, [JC_INT] = { JITC_INT, "an integer is needed" },
        [JC_FLOAT] = { JITC_FLOAT, "a float is needed" },    [JC_BOOL] = { JITC_BOOL, "a bool is needed" },
    };
    uint8_t kind = n->p->func->params[param]->type.kind;
    bool empty = (v->tag == JITC_TENSOR && !v->tensor) || (v->tag == JITC_NAME && !v->name);
    if (v->tag != wants[kind].tag || empty)
        return misfit(n, param, err, empty ? "a NULL pointer was given" : wants[kind].what);
    return kind == JC_TENSOR ? check_tensor(f, n, param, v->tensor, err) : JITC_OK;
}

static void copy_tensor(jc_bound *b, const DLTensor *t) {
    int64_t row_major = 1;
    b->tensor = *t;
    b->tensor.shape = b->dims;
    b->tensor.strides = b->dims + JC_MAX_RANK;
    for (int d = t->ndim; d-- > 0;) {
        b->dims[d] = t->shape[d];
        b->dims[JC_MAX_RANK + d] = t->strides ? t->strides[d] : row_major;
        row_major = (int64_t)((uint64_t)row_major * (uint64_t)t->shape[d]);
    }
    b->value = (jitc_value){ .tag = JITC_TENSOR, .tensor = &b->tensor };
}

jitc_status jc_instance_bind(jitc_frame *f, jc_instance *n, uint32_t param, const jitc_value *value, jc_error *err) {
    jc_bound *b = &n->bound[param];
    if (value->tag != JITC_NONE)
        JC_TRY(check_bound(f, n, param, value, err));
    if (value->tag == JITC_TENSOR)
        copy_tensor(b, value->tensor);
    else
        b->value = *value;
    place_all(n);
    return JITC_OK;
}
