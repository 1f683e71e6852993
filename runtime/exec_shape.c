/*
 * runtime/exec_shape.c - everything about a call that follows from the symbols' values, computed once.
 *
 * A shape is one block of memory: sizes of buffers, offsets of slots in the arena (each slot as large as the
 * largest of its buffers, 256-byte aligned), dims, strides and offsets of tensors, block counts of launches (0 where the guard
 * skips them), integer arguments.  This is also where a plan is held to its promise: a tensor that would reach beyond its
 * buffer or input for these values fails here, so that running needs no checks.
 *
 * Whoever calls gives the memory and remembers what is worth it (jit/api/frame_shape.c).
 */
#include "runtime/exec_priv.h"

#include <stdio.h>
#include <string.h>

typedef struct builder {
    const jc_exec *e;
    const jc_plan *p;
    jc_shape *s;
    const int64_t *syms;
    int64_t *dims; /* what is left of the pool */
    jc_error *err;
} builder;

/* "s0=17, s1=4" */
static const char *symbols_text(const builder *b, char out[256]) {
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < b->p->nsyms && n < 200; i++) {
        const char *name = jc_sym_at(b->p->ex, i)->name;
        int length = snprintf(out + n, 256 - n, "%s%.24s=%lld", i ? ", " : "", name && *name ? name : "?",
                              (long long)b->syms[i]);
        n += length > 0 ? (size_t)length : 0;
    }
    return b->p->nsyms ? out : "no symbols";
}

static jitc_status too_large(const builder *b, const char *what, uint32_t which) {
    char text[256];
    return jc_fail(b->err, JITC_E_INPUT, "The %s %u is negative or too large for memory with %s.", what, which,
                   symbols_text(b, text));
}

static jitc_status eval(const builder *b, const jc_expr *e, const char *what, uint32_t which, int64_t *out) {
    if (jc_ex_eval(e, b->syms, b->p->nsyms, out))
        return JITC_OK;
    char text[256];
    return jc_fail(b->err, JITC_E_INPUT, "The %s %u cannot be computed with %s: it overflows 64 bits or divides by zero.",
                   what, which, symbols_text(b, text));
}

static jitc_status eval_size(const builder *b, const jc_expr *e, const char *what, uint32_t which, int64_t *out) {
    JC_TRY(eval(b, e, what, which, out));
    return *out < 0 ? too_large(b, what, which) : JITC_OK;
}

/* ---- symbols --------------------------------------------------------------------------------------------------- */

/* The code relies on the range it was compiled for. */
static jitc_status check_symbols(const builder *b) {
    for (uint32_t i = 0; i < b->p->nsyms; i++) {
        const jc_sym *sym = jc_sym_at(b->p->ex, i);
        int64_t v = b->syms[i];
        if (v < sym->lo || v > sym->hi)
            return jc_fail(b->err, JITC_E_INPUT,
                           "Symbol %s is %lld, which is outside the range %lld to %lld that this was compiled for.",
                           sym->name ? sym->name : "?", (long long)v, (long long)sym->lo, (long long)sym->hi);
        if (sym->divisor > 1 && v % sym->divisor)
            return jc_fail(b->err, JITC_E_INPUT, "Symbol %s is %lld, but this was compiled for multiples of %lld.",
                           sym->name ? sym->name : "?", (long long)v, (long long)sym->divisor);
    }
    return JITC_OK;
}

/* ---- conditions ------------------------------------------------------------------------------------------------ */

/* What the graph takes for granted and no proof could give: that two dims are one, that a slice lies within its operand. */
static jitc_status check_conditions(const builder *b) {
    for (uint32_t i = 0; i < b->p->nchecks; i++) {
        const jc_condition *c = &b->p->checks[i];
        int64_t left, right;
        char text[256];
        const char *why;
        if (jc_condition_holds(c, b->syms, b->p->nsyms, &left, &right))
            continue;
        if (c->rel == JC_REL_COPY)
            return jc_fail_at(b->err, JITC_E_UNSUPPORTED, NULL, c->line, 0, NULL,
                              "A tensor is given another shape here, for which it is copied; with %s PyTorch makes no copy but a view, "
                              "and what is written to one of the two is seen in the other. Clone it before, or call with "
                              "other sizes.", symbols_text(b, text));
        jitc_status status = jc_condition_refusal(c, left, right, &why);
        return jc_fail_at(b->err, status, NULL, c->line, 0, NULL,
                          "The sizes do not fit: %.300s is needed, but the two sides are %lld and %lld with %s%s.", b->e->checks[i],
                          (long long)left, (long long)right, symbols_text(b, text), why);
    }
    return JITC_OK;
}

/* ---- tensors --------------------------------------------------------------------------------------------------- */

/* Dims, strides and the bytes from the first element that the tensor touches. */
static jitc_status shape_type(builder *b, const jc_type *t, const char *what, uint32_t which, jc_shaped *out) {
    int64_t size = jc_dtypes[t->dtype].size, lo = 0, hi = 0, stride = 1, room = size, numel = 1;
    out->dims = b->dims;
    out->strides = b->dims + t->rank;
    b->dims += 2 * t->rank;
    for (int d = t->rank; d-- > 0;) {
        JC_TRY(eval_size(b, t->dims[d], what, which, &out->dims[d]));
        out->strides[d] = stride;
        if (t->strides)
            JC_TRY(eval(b, t->strides[d], what, which, &out->strides[d]));
        int64_t n = out->dims[d];
        numel = n ? numel : 0;
        /* Empty dims count as one here, so that a large dim beside them is still seen. */
        int64_t reach, most = n ? n : 1;
        if (__builtin_mul_overflow(most - 1, out->strides[d], &reach) ||
            __builtin_add_overflow(reach < 0 ? lo : hi, reach, reach < 0 ? &lo : &hi) ||
            __builtin_mul_overflow(stride, most, &stride) || __builtin_mul_overflow(stride, size, &room))
            return too_large(b, what, which);
    }
    if (__builtin_mul_overflow(lo, size, &lo) || __builtin_add_overflow(hi, 1, &hi) ||
        __builtin_mul_overflow(hi, size, &hi) || hi > PTRDIFF_MAX / 4 || lo < -(PTRDIFF_MAX / 4))
        return too_large(b, what, which);
    out->lo = numel ? lo : 0;
    out->hi = numel ? hi : 0;
    return JITC_OK;
}

static jitc_status shape_inputs(builder *b) {
    for (uint32_t i = 0; i < b->p->ninputs; i++) {
        const jc_type *t = &b->p->inputs[i].type;
        if (t->kind == JC_TENSOR)
            JC_TRY(shape_type(b, t, "size of input", i, &b->s->inputs[i]));
        else if (t->kind == JC_SYMINT)
            JC_TRY(eval(b, t->expr, "value of input", i, &b->s->inputs[i].value));
    }
    return JITC_OK;
}

static jitc_status shape_tensor(builder *b, uint32_t i) {
    const jc_plan_tensor *t = &b->p->tensors[i];
    jc_shaped *out = &b->s->tensors[i];
    int64_t from = 0, to, offset;
    JC_TRY(shape_type(b, &t->type, "size of tensor", i, out));
    JC_TRY(eval_size(b, t->offset, "offset of tensor", i, &offset));
    if (__builtin_mul_overflow(offset, (int64_t)jc_dtypes[t->type.dtype].size, &out->offset) ||
        out->offset > PTRDIFF_MAX / 4)
        return too_large(b, "offset of tensor", i);
    if (out->hi == 0) { /* empty: it must not even point beyond its home */
        out->offset = 0;
        return JITC_OK;
    }
    if (t->home == JC_HOME_INPUT) {
        from = b->s->inputs[t->index].lo;
        to = b->s->inputs[t->index].hi;
    } else {
        to = (int64_t)b->s->buffers[t->index];
    }
    if (out->offset + out->lo < from || out->offset + out->hi > to) {
        char text[256];
        return jc_fail(b->err, JITC_E_INPUT, "Tensor %u of the plan would reach beyond the %lld bytes of its memory with %s.",
                       i, (long long)(to - from), symbols_text(b, text));
    }
    return JITC_OK;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t n) {
    return (n + JC_EXEC_ALIGN - 1) / JC_EXEC_ALIGN * JC_EXEC_ALIGN;
}

static jitc_status shape_memory(builder *b) {
    const jc_plan *p = b->p;
    jc_shape *s = b->s;
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        const jc_plan_buffer *buffer = &p->buffers[i];
        int64_t bytes;
        JC_TRY(eval_size(b, buffer->bytes, "size of buffer", i, &bytes));
        if (bytes > PTRDIFF_MAX / 4)
            return too_large(b, "size of buffer", i);
        s->buffers[i] = (size_t)bytes;
        size_t *home = buffer->slot != JC_PLAN_NONE ? &s->slots[2 * buffer->slot] : &s->escapes[buffer->escape];
        if (*home < (size_t)bytes)
            *home = (size_t)bytes;
    }
    for (uint32_t i = 0; i < p->nslots; i++) {
        s->slots[2 * i + 1] = s->arena;
        s->arena += round_up(s->slots[2 * i]);
        if (s->arena > PTRDIFF_MAX / 2)
            return too_large(b, "arena up to slot", i);
    }
    return JITC_OK;
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

static jitc_status shape_launch(builder *b, uint32_t i) {
    const jc_plan_step *step = &b->p->steps[i];
    int64_t guard = step->lo, *ints = b->s->ints + b->e->steps[i].first_int;
    if (step->guard)
        JC_TRY(eval(b, step->guard, "guard of step", i, &guard));
    if (step->guard && (guard < step->lo || guard > step->hi))
        return JITC_OK;
    JC_TRY(eval_size(b, step->blocks, "number of blocks of step", i, &b->s->blocks[i]));
    for (uint32_t k = 0; k < step->nkargs && b->s->blocks[i]; k++)
        if (step->kargs[k].kind == JC_KARG_I64 && step->kargs[k].input == JC_PLAN_NONE)
            JC_TRY(eval(b, step->kargs[k].expr, "argument of step", i, &ints[k]));
    return JITC_OK;
}

/* In the order of jc_run_args. */
static jitc_status shape_args(builder *b, uint32_t step, const jc_plan_arg *args, uint32_t n, int64_t **ints) {
    for (uint32_t i = 0; i < n; i++) {
        const jc_plan_arg *a = &args[i];
        int64_t *at = (*ints)++;
        if (a->kind == JITC_INT && !a->from_input)
            JC_TRY(eval(b, a->expr, "argument of step", step, at));
        if (a->kind == JITC_LIST || a->kind == JITC_DICT)
            JC_TRY(shape_args(b, step, a->list.at, a->list.n, ints));
    }
    return JITC_OK;
}

static jitc_status shape_steps(builder *b) {
    for (uint32_t i = 0; i < b->p->nsteps; i++) {
        const jc_plan_step *step = &b->p->steps[i];
        int64_t *ints = b->s->ints + b->e->steps[i].first_int;
        if (step->kind == JC_STEP_LAUNCH)
            JC_TRY(shape_launch(b, i));
        else
            JC_TRY(shape_args(b, i, step->args, step->nargs, &ints));
    }
    return JITC_OK;
}

static jitc_status shape_outputs(builder *b) {
    for (uint32_t i = 0; i < b->p->noutputs; i++)
        if (b->p->outputs[i].kind == JC_OUT_EXPR)
            JC_TRY(eval(b, b->p->outputs[i].expr, "value of output", i, &b->s->outs[i]));
    return JITC_OK;
}

/* ---- building -------------------------------------------------------------------------------------------------- */

static void *carve(size_t *at, void *block, size_t n, size_t size) {
    void *result = block ? (uint8_t *)block + *at : NULL;
    *at += (n * size + 15) / 16 * 16;
    return result;
}

/* Sets the arrays within BLOCK; returns the bytes needed.  BLOCK NULL: only counts. */
static size_t lay_out(const jc_exec *e, const int64_t *syms, void *block, builder *b) {
    const jc_plan *p = e->plan;
    size_t at = 0;
    jc_shape none, *s = carve(&at, block, 1, sizeof *s);
    s = s ? s : &none;
    int64_t *copy = carve(&at, block, p->nsyms, sizeof *copy);
    s->buffers = carve(&at, block, p->nbuffers, sizeof *s->buffers);
    s->slots = carve(&at, block, 2 * (size_t)p->nslots, sizeof *s->slots);
    s->escapes = carve(&at, block, p->nescapes, sizeof *s->escapes);
    s->inputs = carve(&at, block, p->ninputs, sizeof *s->inputs);
    s->tensors = carve(&at, block, p->ntensors, sizeof *s->tensors);
    s->blocks = carve(&at, block, p->nsteps, sizeof *s->blocks);
    s->ints = carve(&at, block, e->nints, sizeof *s->ints);
    s->outs = carve(&at, block, p->noutputs, sizeof *s->outs);
    int64_t *dims = carve(&at, block, 2 * (size_t)e->dims, sizeof *dims);
    if (block) {
        memcpy(copy, syms, p->nsyms * sizeof *copy);
        s->syms = copy;
        b->s = s;
        b->dims = dims;
    }
    return at;
}

void jc_shape_count(jc_exec *e) {
    builder none = { .e = e };
    e->shape_bytes = lay_out(e, NULL, NULL, &none);
}

size_t jc_exec_shape_bytes(const jc_exec *e) {
    return e->shape_bytes;
}

jitc_status jc_exec_shape(const jc_exec *e, const int64_t *syms, void *at, const jc_shape **out, jc_error *err) {
    builder b = { .e = e, .p = e->plan, .syms = syms, .err = err };
    memset(at, 0, e->shape_bytes);
    lay_out(e, syms, at, &b);
    JC_TRY(check_symbols(&b));
    JC_TRY(check_conditions(&b));
    JC_TRY(shape_inputs(&b));
    JC_TRY(shape_memory(&b));
    for (uint32_t i = 0; i < e->plan->ntensors; i++)
        JC_TRY(shape_tensor(&b, i));
    JC_TRY(shape_steps(&b));
    JC_TRY(shape_outputs(&b));
    *out = b.s;
    return JITC_OK;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

size_t jc_shape_escape_bytes(const jc_shape *s, uint32_t escape) {
    return s->escapes[escape];
}

const size_t *jc_shape_escapes(const jc_shape *s) {
    return s->escapes;
}

size_t jc_shape_arena_bytes(const jc_shape *s) {
    return s->arena;
}

bool jc_shape_output(const jc_exec *e, const jc_shape *s, uint32_t i, DLTensor *out) {
    const jc_plan_output *o = &e->plan->outputs[i];
    bool input = o->kind == JC_OUT_INPUT && e->plan->inputs[o->index].type.kind == JC_TENSOR;
    if (o->kind != JC_OUT_TENSOR && !input)
        return false;
    const jc_type *t = input ? &e->plan->inputs[o->index].type : &e->plan->tensors[o->index].type;
    const jc_shaped *h = input ? &s->inputs[o->index] : &s->tensors[o->index];
    *out = (DLTensor){ .device = e->d->dl, .ndim = t->rank, .shape = h->dims, .strides = h->strides,
                       .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
    return true;
}

bool jc_shape_output_alone(const jc_exec *e, const jc_shape *s, uint32_t i) {
    const jc_plan_output *o = &e->plan->outputs[i];
    if (o->kind != JC_OUT_TENSOR || e->plan->tensors[o->index].home != JC_HOME_BUFFER)
        return false;
    const jc_plan_tensor *t = &e->plan->tensors[o->index];
    const jc_shaped *h = &s->tensors[o->index];
    int64_t bytes = jc_dtypes[t->type.dtype].size;
    for (int d = t->type.rank; d-- > 0; bytes *= h->dims[d]) /* cannot overflow: see shape_type */
        if (h->dims[d] > 1 && h->strides[d] * jc_dtypes[t->type.dtype].size != bytes)
            return false;
    return h->offset == 0 && (size_t)bytes == s->escapes[e->plan->buffers[t->index].escape];
}

int64_t jc_shape_output_offset(const jc_exec *e, const jc_shape *s, uint32_t i) {
    const jc_plan_output *o = &e->plan->outputs[i];
    return o->kind == JC_OUT_TENSOR ? s->tensors[o->index].offset : 0;
}
