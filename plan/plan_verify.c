/*
 * plan/plan_verify.c - what every plan fulfils, so that executing it touches only what it allocated and was given.
 *
 * Indices are checked against their tables, expressions against the plan's symbols.  Sizes that depend on symbols can
 * only be refuted here where they are wrong for every value; the executor checks the numbers of each shape.
 */
#include "plan/plan.h"

#include <string.h>
#include "jitc/value.h"
#include "plan/kernel.h"

#define BAD(...) jc_fail(err, JITC_E_COMPILE, __VA_ARGS__)

/* ---- expressions and types ------------------------------------------------------------------------------------- */

typedef struct scope {
    uint32_t nsyms, bad;
} scope;

static void see_symbol(void *user, uint32_t sym) {
    scope *s = user;
    if (sym >= s->nsyms && s->bad == UINT32_MAX)
        s->bad = sym;
}

static jitc_status check_expr(const jc_plan *p, const jc_expr *e, const char *what, uint32_t where, jc_error *err) {
    scope s = { p->nsyms, UINT32_MAX };
    if (!e)
        return BAD("The %s %u of a plan has no expression.", what, where);
    if (e->kind == JC_EX_POISON)
        return BAD("The %s %u of a plan overflows 64 bits.", what, where);
    jc_ex_symbols(e, see_symbol, &s);
    if (s.bad != UINT32_MAX)
        return BAD("The %s %u of a plan uses symbol %u of %u.", what, where, s.bad, p->nsyms);
    return JITC_OK;
}

/* Is E negative for all values of the symbols? */
static bool always_negative(const jc_plan *p, const jc_expr *e) {
    int64_t lo, hi;
    return jc_ex_range(p->ex, e, &lo, &hi) && hi < 0;
}

static jitc_status check_size(const jc_plan *p, const jc_expr *e, const char *what, uint32_t where, jc_error *err) {
    JC_TRY(check_expr(p, e, what, where, err));
    if (always_negative(p, e))
        return BAD("The %s %u of a plan is negative.", what, where);
    return JITC_OK;
}

static jitc_status check_type(const jc_plan *p, const jc_type *t, const char *what, uint32_t where, jc_error *err) {
    if (t->kind > JC_BOOL)
        return BAD("The %s %u of a plan is of unknown kind %u.", what, where, t->kind);
    if (t->kind == JC_SYMINT)
        return check_expr(p, t->expr, what, where, err);
    if (t->kind != JC_TENSOR)
        return JITC_OK;
    if (t->dtype >= JC_DTYPE_COUNT || t->rank > JC_MAX_RANK)
        return BAD("The %s %u of a plan has dtype number %u and rank %u, which do not exist.", what, where, t->dtype,
                   t->rank);
    for (unsigned d = 0; d < t->rank; d++) {
        JC_TRY(check_size(p, t->dims ? t->dims[d] : NULL, what, where, err));
        if (t->strides)
            JC_TRY(check_size(p, t->strides[d], what, where, err));
    }
    return JITC_OK;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static jitc_status check_buffers(const jc_plan *p, jc_error *err) {
    uint32_t escapes = 0;
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        const jc_plan_buffer *b = &p->buffers[i];
        bool slotted = b->slot != JC_PLAN_NONE, escapes_too = b->escape != JC_PLAN_NONE;
        JC_TRY(check_size(p, b->bytes, "size of buffer", i, err));
        if (slotted == escapes_too)
            return BAD("Buffer %u of a plan lies neither in a slot nor in an escaping block, or in both.", i);
        if (slotted ? b->slot >= p->nslots : b->escape >= p->nescapes)
            return BAD("Buffer %u of a plan lies in %s %u of %u.", i, slotted ? "slot" : "escaping block",
                       slotted ? b->slot : b->escape, slotted ? p->nslots : p->nescapes);
        escapes += escapes_too;
    }
    if (escapes != p->nescapes || p->nslots > p->nbuffers)
        return BAD("A plan says %u escapes and %u slots, which does not fit its %u buffers, %u of which escape.",
                   p->nescapes, p->nslots, p->nbuffers, escapes);
    return JITC_OK;
}

/* Elements from offset 0 to behind the last one of T at OFFSET; NULL where a dim is 0: then none is touched. */
static const jc_expr *reach(const jc_plan *p, const jc_type *t, const jc_expr *offset) {
    jc_exprs *ex = p->ex;
    const jc_expr *one = jc_ex_int(ex, 1), *end = jc_ex_add(ex, offset, one), *stride = one;
    for (unsigned d = t->rank; d-- > 0;) {
        if (jc_ex_is(t->dims[d], 0))
            return NULL;
        const jc_expr *steps = jc_ex_sub(ex, t->dims[d], one);
        end = jc_ex_add(ex, end, jc_ex_mul(ex, steps, t->strides ? t->strides[d] : stride));
        stride = jc_ex_mul(ex, stride, t->dims[d]);
    }
    return end;
}

static jitc_status check_tensor(const jc_plan *p, uint32_t i, jc_error *err) {
    const jc_plan_tensor *t = &p->tensors[i];
    bool input = t->home == JC_HOME_INPUT;
    if (t->home > JC_HOME_BUFFER || t->index >= (input ? p->ninputs : p->nbuffers))
        return BAD("Tensor %u of a plan lies in %s %u, which does not exist.", i, input ? "input" : "buffer", t->index);
    if (t->type.kind != JC_TENSOR || (input && p->inputs[t->index].type.kind != JC_TENSOR))
        return BAD("Tensor %u of a plan, or the input it lies in, is no tensor.", i);
    JC_TRY(check_type(p, &t->type, "tensor", i, err));
    JC_TRY(check_size(p, t->offset, "offset of tensor", i, err));
    jc_exprs *ex = p->ex;
    const jc_expr *end = reach(p, &t->type, t->offset), *room;
    if (!end)
        return JITC_OK;
    if (end->kind == JC_EX_POISON)
        return BAD("Tensor %u of a plan is larger than 64 bits can say.", i);
    if (input) {
        const jc_type *home = &p->inputs[t->index].type;
        room = reach(p, home, jc_ex_int(ex, 0));
        if (!room)
            room = jc_ex_int(ex, 0);
        room = jc_ex_mul(ex, room, jc_ex_int(ex, jc_dtypes[home->dtype].size));
    } else {
        room = p->buffers[t->index].bytes;
    }
    end = jc_ex_mul(ex, end, jc_ex_int(ex, jc_dtypes[t->type.dtype].size));
    if (always_negative(p, jc_ex_sub(ex, room, end)))
        return BAD("Tensor %u of a plan reaches beyond the end of %s %u.", i, input ? "input" : "buffer", t->index);
    return JITC_OK;
}

static jitc_status check_memory(const jc_plan *p, jc_error *err) {
    for (uint32_t i = 0; i < p->ninputs; i++) {
        JC_TRY(check_type(p, &p->inputs[i].type, "input", i, err));
        if (p->inputs[i].written && p->inputs[i].type.kind != JC_TENSOR)
            return BAD("Input %u of a plan is no tensor, so it cannot be written.", i);
        if (p->inputs[i].alias > p->ninputs || (p->inputs[i].alias && p->inputs[i].type.kind != JC_TENSOR))
            return BAD("Input %u of a plan is in alias group %u, which cannot be.", i, p->inputs[i].alias);
    }
    JC_TRY(check_buffers(p, err));
    for (uint32_t i = 0; i < p->ntensors; i++)
        JC_TRY(check_tensor(p, i, err));
    return JITC_OK;
}

/* ---- kernels and launches --------------------------------------------------------------------------------------- */

static jitc_status check_kernel(const jc_plan *p, uint32_t i, jc_error *err) {
    const jc_plan_kernel *k = &p->kernels[i];
    bool named = false;
    for (uint8_t f = 0; f < JC_FAMILY_COUNT && !named; f++) {
        char name[32];
        jc_plan_kernel_name(f, &k->key, name);
        named = strncmp(name, k->name, sizeof k->name) == 0;
    }
    if (!named)
        return BAD("Kernel %u of a plan is called '%.31s', which does not follow from its key.", i, k->name);
    if (k->threads < 1 || k->threads > 1024 || k->shared > JC_KERNEL_MAX_SHARED)
        return BAD("Kernel %u of a plan has %u threads and %u bytes of shared memory, more than any device.", i,
                   k->threads, k->shared);
    return JITC_OK;
}

static bool is_input_of(const jc_plan *p, uint32_t input, unsigned kinds) {
    return input < p->ninputs && (kinds >> p->inputs[input].type.kind & 1);
}

static jitc_status check_karg(const jc_plan *p, const jc_plan_karg *a, uint32_t step, uint32_t i, jc_error *err) {
    switch (a->kind) {
    case JC_KARG_PTR:
        if (a->tensor >= p->ntensors || !a->access || (a->nparts && !(a->access & JC_KARG_WRITES)))
            break;
        for (uint32_t k = 0; k < a->nparts; k++)
            if (a->parts[k] >= p->ntensors)
                return BAD("Step %u of a plan writes tensor %u of %u.", step, a->parts[k], p->ntensors);
        return JITC_OK;
    case JC_KARG_I64:
        if (a->input == JC_PLAN_NONE)
            return check_expr(p, a->expr, "argument of launch, step", step, err);
        if (is_input_of(p, a->input, 1u << JC_INT | 1u << JC_SYMINT | 1u << JC_BOOL))
            return JITC_OK;
        break;
    case JC_KARG_F64:
        if (a->input == JC_PLAN_NONE || is_input_of(p, a->input, 1u << JC_FLOAT))
            return JITC_OK;
        break;
    default:
        break;
    }
    return BAD("Step %u of a plan launches a kernel with argument %u, which does not exist or does not fit.", step, i);
}

static jitc_status check_launch(const jc_plan *p, uint32_t step, jc_error *err) {
    const jc_plan_step *s = &p->steps[step];
    if (s->kernel >= p->nkernels)
        return BAD("Step %u of a plan launches kernel %u of %u.", step, s->kernel, p->nkernels);
    JC_TRY(check_size(p, s->blocks, "number of blocks of step", step, err));
    if (s->guard) {
        JC_TRY(check_expr(p, s->guard, "guard of step", step, err));
        if (s->lo > s->hi)
            return BAD("Step %u of a plan can never run: its guard's range is empty.", step);
    }
    if (s->nkargs > JC_KERNEL_MAX_ARGS)
        return BAD("Step %u of a plan launches a kernel with %u arguments; %d is the most.", step, s->nkargs,
                   JC_KERNEL_MAX_ARGS);
    for (uint32_t i = 0; i < s->nkargs; i++)
        JC_TRY(check_karg(p, &s->kargs[i], step, i, err));
    return JITC_OK;
}

/* ---- calls of custom operators ----------------------------------------------------------------------------------- */

/* Walks the arguments of one call. */
typedef struct call {
    const jc_plan *p;
    uint32_t step;
    uint32_t tensors;   /* seen so far */
    uint64_t writes;
    jc_error *err;
} call;

static bool printable(const char *text, size_t most) {
    size_t n = text ? strnlen(text, most + 1) : 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return n > 0 && n <= most;
}

static jitc_status check_operand(call *c, uint32_t tensor) {
    jc_error *err = c->err;
    if (tensor >= c->p->ntensors)
        return BAD("Step %u of a plan passes tensor %u of %u.", c->step, tensor, c->p->ntensors);
    const jc_plan_tensor *t = &c->p->tensors[tensor];
    bool written = c->tensors < 64 ? c->writes >> c->tensors & 1 : c->writes == UINT64_MAX;
    if (written && t->home == JC_HOME_INPUT && !c->p->inputs[t->index].written)
        return BAD("Step %u of a plan writes input %u, which is not marked as written.", c->step, t->index);
    c->tensors++;
    return JITC_OK;
}

static jitc_status check_arg(call *c, const jc_plan_arg *a, unsigned depth) {
    static const uint8_t from_input[] = {
        [JITC_INT] = 1u << JC_INT | 1u << JC_SYMINT,
        [JITC_FLOAT] = 1u << JC_FLOAT,
        [JITC_BOOL] = 1u << JC_BOOL,
        [JITC_NAME] = 1u << JC_NAME,
    };
    jc_error *err = c->err;
    bool lifted = a->from_input || a->kind == JITC_NAME;
    if (a->kind > JITC_DICT || (lifted && a->kind > JITC_NAME))
        return BAD("Step %u of a plan passes an argument of unknown kind %u.", c->step, a->kind);
    if (a->key && !printable(a->key, 255))
        return BAD("Step %u of a plan passes an argument under a key that is no word.", c->step);
    if (lifted)
        return is_input_of(c->p, a->input, from_input[a->kind])
                   ? JITC_OK
                   : BAD("Step %u of a plan passes input %u, which does not exist or does not fit.", c->step,
                         a->input);
    if (a->kind == JITC_TENSOR)
        return check_operand(c, a->tensor);
    if (a->kind == JITC_INT)
        return check_expr(c->p, a->expr, "argument of a call, step", c->step, err);
    if (a->kind == JITC_STR && !a->str)
        return BAD("Step %u of a plan passes a string that is missing.", c->step);
    if (a->kind != JITC_LIST && a->kind != JITC_DICT)
        return JITC_OK;
    if (depth >= JC_PLAN_MAX_DEPTH)
        return BAD("Step %u of a plan passes lists within lists, more than %d deep.", c->step, JC_PLAN_MAX_DEPTH);
    for (uint32_t i = 0; i < a->list.n; i++) {
        if ((a->list.at[i].key != NULL) != (a->kind == JITC_DICT))
            return BAD("Step %u of a plan passes a list with keys, or a dict without.", c->step);
        JC_TRY(check_arg(c, &a->list.at[i], depth + 1));
    }
    return JITC_OK;
}

static jitc_status check_call(const jc_plan *p, uint32_t step, jc_error *err) {
    const jc_plan_step *s = &p->steps[step];
    call c = { .p = p, .step = step, .writes = s->writes, .err = err };
    if (!printable(s->op, 255) || !strstr(s->op, "::"))
        return BAD("Step %u of a plan calls an operator whose name is not of the form namespace::name.", step);
    for (uint32_t i = 0; i < s->nargs; i++)
        JC_TRY(check_arg(&c, &s->args[i], 0));
    if (c.tensors < 64 && s->writes >> c.tensors)
        return BAD("Step %u of a plan writes more tensors than the %u it passes.", step, c.tensors);
    for (uint32_t i = 0; i < s->nresults; i++)
        if (s->results[i] >= p->ntensors || p->tensors[s->results[i]].home != JC_HOME_BUFFER)
            return BAD("Step %u of a plan puts result %u into tensor %u, which does not exist or is an input.", step,
                       i, s->results[i]);
    return JITC_OK;
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static jitc_status check_steps(const jc_plan *p, jc_error *err) {
    for (uint32_t i = 0; i < p->nsteps; i++) {
        if (p->steps[i].kind == JC_STEP_CALL)
            JC_TRY(check_call(p, i, err));
        else if (p->steps[i].kind == JC_STEP_LAUNCH)
            JC_TRY(check_launch(p, i, err));
        else
            return BAD("Step %u of a plan is of unknown kind %u.", i, p->steps[i].kind);
    }
    return JITC_OK;
}

/* All launches of a kernel pass arguments alike.  FIRST[k]: the first step that launches kernel k. */
static jitc_status check_same_args(const jc_plan *p, uint32_t *first, jc_error *err) {
    for (uint32_t i = 0; i < p->nsteps; i++) {
        const jc_plan_step *s = &p->steps[i];
        if (s->kind != JC_STEP_LAUNCH)
            continue;
        if (first[s->kernel] == JC_PLAN_NONE)
            first[s->kernel] = i;
        const jc_plan_step *f = &p->steps[first[s->kernel]];
        bool same = f->nkargs == s->nkargs;
        for (uint32_t j = 0; same && j < s->nkargs; j++)
            same = f->kargs[j].kind == s->kargs[j].kind && f->kargs[j].access == s->kargs[j].access;
        if (!same)
            return BAD("Steps %u and %u of a plan launch kernel %u with arguments that differ in number or kind.",
                       first[s->kernel], i, s->kernel);
    }
    return JITC_OK;
}

/* No two buffers escape under one number; as there are as many as numbers, none is missing. */
static jitc_status check_escapes(const jc_plan *p, uint32_t *first, jc_error *err) {
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        uint32_t escape = p->buffers[i].escape;
        if (escape == JC_PLAN_NONE)
            continue;
        if (first[escape] != JC_PLAN_NONE)
            return BAD("Buffers %u and %u of a plan both escape as number %u.", first[escape], i, escape);
        first[escape] = i;
    }
    return JITC_OK;
}

/* The two checks that need room.  No expression is built here: running out of arena memory would lose the room. */
static jitc_status check_unique(const jc_plan *p, jc_error *err) {
    const jc_alloc *a = &jc_alloc_libc;
    size_t n = (size_t)p->nkernels + p->nescapes, size = (n + 1) * sizeof(uint32_t);
    uint32_t *first = a->alloc(a->user, size);
    if (!first)
        return jc_fail(err, JITC_E_NOMEM, "There is no memory to check a plan with %u kernels.", p->nkernels);
    memset(first, 0xff, size); /* JC_PLAN_NONE each */
    jitc_status status = check_same_args(p, first, err);
    if (status == JITC_OK)
        status = check_escapes(p, first + p->nkernels, err);
    a->free(a->user, first, size);
    return status;
}

static jitc_status check_output(const jc_plan *p, uint32_t i, jc_error *err) {
    const jc_plan_output *o = &p->outputs[i];
    if (o->undefined && o->kind != JC_OUT_TENSOR)
        return BAD("Output %u of a plan is no tensor, so it cannot be undefined.", i);
    switch (o->kind) {
    case JC_OUT_NONE:
        return JITC_OK;
    case JC_OUT_EXPR:
        return check_expr(p, o->expr, "output", i, err);
    case JC_OUT_INPUT:
        return o->index < p->ninputs ? JITC_OK
                                     : BAD("Output %u of a plan is input %u of %u.", i, o->index, p->ninputs);
    case JC_OUT_TENSOR:
        if (o->index >= p->ntensors)
            return BAD("Output %u of a plan is tensor %u of %u.", i, o->index, p->ntensors);
        if (p->tensors[o->index].home == JC_HOME_BUFFER &&
            p->buffers[p->tensors[o->index].index].escape == JC_PLAN_NONE)
            return BAD("Output %u of a plan lies in memory that is gone when the call ends.", i);
        return JITC_OK;
    default:
        return BAD("Output %u of a plan is of unknown kind %u.", i, o->kind);
    }
}

jitc_status jc_plan_verify(const jc_plan *p, jc_error *err) {
    if (p->nsyms > jc_sym_count(p->ex))
        return BAD("A plan lists %u symbols of %u.", p->nsyms, jc_sym_count(p->ex));
    JC_TRY(check_memory(p, err));
    for (uint32_t i = 0; i < p->nkernels; i++)
        JC_TRY(check_kernel(p, i, err));
    JC_TRY(check_steps(p, err));
    JC_TRY(check_unique(p, err));
    for (uint32_t i = 0; i < p->noutputs; i++)
        JC_TRY(check_output(p, i, err));
    for (uint32_t i = 0; i < p->nchecks; i++) {
        if (p->checks[i].rel >= JC_REL_COUNT)
            return BAD("Check %u of a plan is of unknown kind %u.", i, p->checks[i].rel);
        JC_TRY(check_expr(p, p->checks[i].a, "check", i, err));
        JC_TRY(check_expr(p, p->checks[i].b, "check", i, err));
    }
    return jc_plan_flow(p, err);
}
