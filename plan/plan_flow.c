/*
 * plan/plan_flow.c - what lies in memory when: no step reads what nothing wrote, and no kernel what it may be writing.
 *
 * Two checks.  The first is of each step by itself: what a kernel writes must be apart from all else that it takes, by the plan's alias
 * groups and slots, and where it reads what it writes it does so by one argument (whose indices kernel_verify.c looks at).
 *
 * The second follows the steps in order and keeps, of each buffer, the bytes that were written.  Sizes depend on symbols, and which variant
 * of a product runs on a guard, so this is done with numbers: for several values of the symbols, those on both sides of each guard's
 * bounds among them.  With numbers every comparison is decided, so a plan is refused only by an example, which the message gives, and
 * a wrong order is wrong for nearly all values.  Values that the plan's own checks refuse, or with which an input has a dim below 0, are
 * passed over.
 *
 * What was written is a list of regions: a run of bytes, repeated at strides.  Regions repeated alike whose runs touch are one, and runs as long
 * as their stride are longer runs, so that the parts of a `cat`, of a `stack` and of a `pad` grow together to the whole.
 *
 * A buffer marked `undefined` is one that the graph reads though it wrote it in part only, or not at all: it may.  What a custom operator reads
 * is the graph's own will too; what it writes counts as written in whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/value.h"
#include "plan/kernel.h"
#include "plan/plan.h"

#define BAD(...) jc_fail(err, JITC_E_COMPILE, __VA_ARGS__)
#define MOST_TRIALS 10

/* ---- which arguments may touch ------------------------------------------------------------------------------------ */

static bool may_touch(const jc_plan *p, uint32_t a, uint32_t b) {
    const jc_plan_tensor *t = &p->tensors[a], *u = &p->tensors[b];
    if (t->home != u->home)
        return false;
    if (t->index == u->index)
        return true;
    if (t->home == JC_HOME_INPUT)
        return p->inputs[t->index].alias && p->inputs[t->index].alias == p->inputs[u->index].alias;
    return p->buffers[t->index].slot != JC_PLAN_NONE && p->buffers[t->index].slot == p->buffers[u->index].slot;
}

static jitc_status check_launch(const jc_plan *p, uint32_t step, jc_error *err) {
    const jc_plan_step *s = &p->steps[step];
    for (uint32_t i = 0; i < s->nkargs; i++) {
        const jc_plan_karg *w = &s->kargs[i];
        if (w->kind != JC_KARG_PTR || !(w->access & JC_KARG_WRITES))
            continue;
        const jc_plan_tensor *t = &p->tensors[w->tensor];
        if (t->home == JC_HOME_INPUT && !p->inputs[t->index].written)
            return BAD("Step %u of a plan writes input %u, which is not marked as written.", step, t->index);
        for (uint32_t k = 0; k < s->nkargs; k++)
            if (k != i && s->kargs[k].kind == JC_KARG_PTR && may_touch(p, w->tensor, s->kargs[k].tensor))
                return BAD("Step %u of a plan launches a kernel that writes tensor %u and takes tensor %u, which may be the same "
                           "memory.", step, w->tensor, s->kargs[k].tensor);
        for (uint32_t k = 0; k < w->nparts; k++)
            if (p->tensors[w->parts[k]].home != t->home || p->tensors[w->parts[k]].index != t->index)
                return BAD("Step %u of a plan says that argument %u writes tensor %u, which lies elsewhere.", step, i, w->parts[k]);
    }
    return JITC_OK;
}

/* ---- regions ------------------------------------------------------------------------------------------------------ */

typedef struct region {
    uint32_t buffer;
    uint32_t n;                   /* levels, the widest stride first */
    int64_t at, length;           /* bytes: the first run */
    int64_t count[JC_MAX_RANK], stride[JC_MAX_RANK];
} region;

/* Runs as long as their stride, or longer, are one run. */
static void fold(region *r) {
    while (r->n && r->length >= r->stride[r->n - 1]) {
        r->n--;
        r->length += r->stride[r->n] * (r->count[r->n] - 1);
    }
}

static int64_t end_of(const region *r) {
    int64_t end = r->at + r->length;
    for (uint32_t i = 0; i < r->n; i++)
        end += r->stride[i] * (r->count[i] - 1);
    return end;
}

static void add_level(region *r, int64_t count, int64_t stride) {
    uint32_t i = r->n++;
    for (; i > 0 && r->stride[i - 1] < stride; i--) {
        r->stride[i] = r->stride[i - 1];
        r->count[i] = r->count[i - 1];
    }
    r->stride[i] = stride;
    r->count[i] = count;
}

static bool same_levels(const region *a, const region *b) {
    return a->n == b->n && memcmp(a->count, b->count, a->n * sizeof *a->count) == 0 &&
           memcmp(a->stride, b->stride, a->n * sizeof *a->stride) == 0;
}

static int by_place(const void *x, const void *y) {
    const region *a = x, *b = y;
    int order = a->n < b->n ? -1 : a->n > b->n;
    if (!order)
        order = memcmp(a->count, b->count, a->n * sizeof *a->count);
    if (!order)
        order = memcmp(a->stride, b->stride, a->n * sizeof *a->stride);
    return order ? order : a->at < b->at ? -1 : a->at > b->at;
}

/* As few regions as there can be. */
static size_t merge(region *at, size_t n) {
    for (size_t before = n + 1; n < before;) {
        before = n;
        qsort(at, n, sizeof *at, by_place);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            region *last = kept ? &at[kept - 1] : NULL;
            if (last && same_levels(last, &at[i]) && at[i].at <= last->at + last->length) {
                int64_t end = at[i].at + at[i].length;
                last->length = end > last->at + last->length ? end - last->at : last->length;
            } else {
                at[kept++] = at[i];
            }
        }
        n = kept;
        for (size_t i = 0; i < n; i++)
            fold(&at[i]);
    }
    return n;
}

static bool holds(const region *written, const region *read) {
    if (!written->n)
        return written->at <= read->at && end_of(read) <= written->at + written->length;
    return same_levels(written, read) && written->at <= read->at && read->at + read->length <= written->at + written->length;
}

/* ---- following the steps ------------------------------------------------------------------------------------------ */

typedef struct flow {
    const jc_plan *p;
    const int64_t *syms;
    uint32_t step;
    region *log, *tmp;   /* what was written and is still there; room to merge */
    size_t nlog;
    uint32_t *lies;      /* by slot: the buffer that was written there last, or none */
    jc_error *err;
} flow;

static bool value(const flow *f, const jc_expr *e, int64_t *out) {
    return jc_ex_eval(e, f->syms, f->p->nsyms, out);
}

/* The bytes of a tensor in its buffer; false when these values have no such tensor: then nothing runs with them. */
static bool region_of(const flow *f, uint32_t tensor, region *out) {
    const jc_plan_tensor *t = &f->p->tensors[tensor];
    int64_t size = jc_dtypes[t->type.dtype].size, contiguous = 1, limit = INT64_MAX >> 12;
    bool empty = false;
    memset(out, 0, sizeof *out);
    out->buffer = t->index;
    out->length = size;
    if (!value(f, t->offset, &out->at) || out->at < 0 || out->at > limit)
        return false;
    out->at *= size;
    for (uint32_t d = t->type.rank; d-- > 0;) {
        int64_t n, stride = contiguous;
        if (!value(f, t->type.dims[d], &n) || n < 0 || n > limit || (t->type.strides && !value(f, t->type.strides[d], &stride)) ||
            __builtin_mul_overflow(contiguous, n ? n : 1, &contiguous) || contiguous > limit || stride > limit || stride < -limit)
            return false;
        empty |= n == 0;
        if (n <= 1 || stride == 0)
            continue;
        int64_t reach;
        if (__builtin_mul_overflow(n, stride * size, &reach) || reach > limit || reach < -limit)
            return false;
        if (stride < 0)
            out->at += stride * size * (n - 1);
        add_level(out, n, (stride < 0 ? -stride : stride) * size);
    }
    if (empty)
        out->length = out->n = 0;
    fold(out);
    return true;
}

static void forget(flow *f, uint32_t buffer) {
    size_t kept = 0;
    for (size_t i = 0; i < f->nlog; i++)
        if (f->log[i].buffer != buffer)
            f->log[kept++] = f->log[i];
    f->nlog = kept;
}

static void writes(flow *f, uint32_t tensor) {
    const jc_plan_tensor *t = &f->p->tensors[tensor];
    region r;
    if (t->home != JC_HOME_BUFFER || !region_of(f, tensor, &r) || r.length == 0)
        return;
    uint32_t slot = f->p->buffers[t->index].slot;
    if (slot != JC_PLAN_NONE && f->lies[slot] != t->index) {
        if (f->lies[slot] != JC_PLAN_NONE)
            forget(f, f->lies[slot]);
        f->lies[slot] = t->index;
    }
    f->log[f->nlog++] = r;
}

/* Does all of a tensor lie there? */
static bool written(flow *f, uint32_t tensor) {
    const jc_plan_tensor *t = &f->p->tensors[tensor];
    region r;
    if (t->home != JC_HOME_BUFFER || f->p->buffers[t->index].undefined || !region_of(f, tensor, &r) || r.length == 0)
        return true;
    size_t n = 0;
    for (size_t i = 0; i < f->nlog; i++) {
        if (f->log[i].buffer != t->index)
            continue;
        if (holds(&f->log[i], &r))
            return true;
        f->tmp[n++] = f->log[i];
    }
    n = merge(f->tmp, n);
    forget(f, t->index);
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        found |= holds(&f->tmp[i], &r);
        f->log[f->nlog++] = f->tmp[i];
    }
    return found;
}

/* " with s0=2, s1=3" */
static const char *symbols_text(const flow *f, char out[160]) {
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < f->p->nsyms && n < 120; i++) {
        int length = snprintf(out + n, 160 - n, "%s s%u=%lld", i ? "," : " with", i, (long long)f->syms[i]);
        n += length > 0 ? (size_t)length : 0;
    }
    return out;
}

static bool skipped(const flow *f, const jc_plan_step *s) {
    int64_t guard, blocks;
    if (s->guard && (!value(f, s->guard, &guard) || guard < s->lo || guard > s->hi))
        return true;
    return !value(f, s->blocks, &blocks) || blocks <= 0;
}

static jitc_status follow_launch(flow *f, const jc_plan_step *s) {
    jc_error *err = f->err;
    char text[160];
    if (skipped(f, s))
        return JITC_OK;
    for (uint32_t i = 0; i < s->nkargs; i++)
        if (s->kargs[i].kind == JC_KARG_PTR && s->kargs[i].access & JC_KARG_READS && !written(f, s->kargs[i].tensor))
            return BAD("Step %u of a plan reads tensor %u in buffer %u, not all of which has been written by an earlier step%s.", f->step,
                       s->kargs[i].tensor, f->p->tensors[s->kargs[i].tensor].index, symbols_text(f, text));
    for (uint32_t i = 0; i < s->nkargs; i++)
        for (uint32_t k = 0; s->kargs[i].kind == JC_KARG_PTR && k < s->kargs[i].nparts; k++)
            writes(f, s->kargs[i].parts[k]);
    return JITC_OK;
}

static void follow_args(flow *f, const jc_plan_step *s, const jc_plan_arg *args, uint32_t n, uint32_t *operand) {
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].kind == JITC_LIST || args[i].kind == JITC_DICT) {
            follow_args(f, s, args[i].list.at, args[i].list.n, operand);
        } else if (args[i].kind == JITC_TENSOR) {
            uint32_t k = (*operand)++;
            if (k < 64 ? s->writes >> k & 1 : s->writes == UINT64_MAX)
                writes(f, args[i].tensor);
        }
    }
}

static jitc_status follow(flow *f) {
    const jc_plan *p = f->p;
    jc_error *err = f->err;
    char text[160];
    f->nlog = 0;
    memset(f->lies, 0xff, p->nslots * sizeof *f->lies);
    for (f->step = 0; f->step < p->nsteps; f->step++) {
        const jc_plan_step *s = &p->steps[f->step];
        uint32_t operand = 0;
        if (s->kind == JC_STEP_LAUNCH) {
            JC_TRY(follow_launch(f, s));
            continue;
        }
        follow_args(f, s, s->args, s->nargs, &operand);
        for (uint32_t i = 0; i < s->nresults; i++)
            writes(f, s->results[i]);
    }
    for (uint32_t i = 0; i < p->noutputs; i++)
        if (p->outputs[i].kind == JC_OUT_TENSOR && !p->outputs[i].undefined && !written(f, p->outputs[i].index))
            return BAD("Output %u of a plan is tensor %u, not all of which is written by its steps%s.", i, p->outputs[i].index,
                       symbols_text(f, text));
    return JITC_OK;
}

/* ---- trials ------------------------------------------------------------------------------------------------------- */

static uint32_t count_args(const jc_plan_arg *args, uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += args[i].kind == JITC_LIST || args[i].kind == JITC_DICT ? count_args(args[i].list.at, args[i].list.n) : 1;
    return sum;
}

static size_t count_writes(const jc_plan *p) {
    size_t n = 0;
    for (uint32_t i = 0; i < p->nsteps; i++) {
        const jc_plan_step *s = &p->steps[i];
        for (uint32_t k = 0; s->kind == JC_STEP_LAUNCH && k < s->nkargs; k++)
            n += s->kargs[k].kind == JC_KARG_PTR ? s->kargs[k].nparts : 0;
        if (s->kind == JC_STEP_CALL)
            n += count_args(s->args, s->nargs) + s->nresults;
    }
    return n;
}

static void add_trial(int64_t *trials, uint32_t *n, int64_t x) {
    for (uint32_t i = 0; i < *n; i++)
        if (trials[i] == x)
            return;
    if (*n < MOST_TRIALS && x >= 0 && x <= 1 << 20)
        trials[(*n)++] = x;
}

/* Values that a symbol may have, each near X; different ones for different symbols, as far as their ranges go. */
static void choose(const jc_plan *p, int64_t x, int64_t *syms) {
    for (uint32_t i = 0; i < p->nsyms; i++) {
        const jc_sym *sym = jc_sym_at(p->ex, i);
        int64_t v = x + (x == 3 ? i : 0), divisor = sym->divisor > 1 ? sym->divisor : 1;
        v = v < sym->lo ? sym->lo : v > sym->hi ? sym->hi : v;
        v = (v + divisor - 1) / divisor * divisor;
        syms[i] = v > sym->hi ? v - divisor : v;
    }
}

/* Has T no dim below 0, as f32[s0 - 5] has for small s0? */
static bool possible(const flow *f, const jc_type *t) {
    int64_t n;
    for (uint32_t d = 0; t->kind == JC_TENSOR && d < t->rank; d++)
        if (!value(f, t->dims[d], &n) || n < 0)
            return false;
    return true;
}

/* Can there be a call with these values? It gives tensors of the inputs' dims, and the plan's checks let it through. */
static bool allowed(const flow *f) {
    for (uint32_t i = 0; i < f->p->ninputs; i++)
        if (!possible(f, &f->p->inputs[i].type))
            return false;
    for (uint32_t i = 0; i < f->p->nchecks; i++) {
        int64_t a, b;
        if (!jc_condition_holds(&f->p->checks[i], f->syms, f->p->nsyms, &a, &b))
            return false;
    }
    return true;
}

static jitc_status follow_all(flow *f, int64_t *syms) {
    const jc_plan *p = f->p;
    static const int64_t usual[] = { 3, 16, 7, 32, 128, 1, 1024, 8192, 65536 }; /* the first that is allowed */
    int64_t trials[MOST_TRIALS];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof usual / sizeof *usual && n == 0; i++) {
        choose(p, usual[i], syms);
        if (allowed(f))
            add_trial(trials, &n, usual[i]);
    }
    for (uint32_t i = 0; i < p->nsteps && p->nsyms; i++)
        if (p->steps[i].kind == JC_STEP_LAUNCH && p->steps[i].guard) {
            add_trial(trials, &n, p->steps[i].lo);
            if (p->steps[i].hi < INT64_MAX) {
                add_trial(trials, &n, p->steps[i].hi);
                add_trial(trials, &n, p->steps[i].hi + 1);
            }
        }
    for (uint32_t i = 0; i < n; i++) {
        choose(p, trials[i], syms);
        if (allowed(f))
            JC_TRY(follow(f));
    }
    return JITC_OK;
}

jitc_status jc_plan_flow(const jc_plan *p, jc_error *err) {
    for (uint32_t i = 0; i < p->nsteps; i++)
        if (p->steps[i].kind == JC_STEP_LAUNCH)
            JC_TRY(check_launch(p, i, err));
    const jc_alloc *a = &jc_alloc_libc;
    size_t regions = count_writes(p) + 1, size = 2 * regions * sizeof(region) + (p->nsyms + 1) * sizeof(int64_t) +
                                                 (p->nslots + 1) * sizeof(uint32_t);
    region *room = a->alloc(a->user, size);
    if (!room)
        return jc_fail(err, JITC_E_NOMEM, "There is no memory to check a plan with %u steps.", p->nsteps);
    int64_t *syms = (int64_t *)(room + 2 * regions);
    flow f = { .p = p, .syms = syms, .log = room, .tmp = room + regions, .lies = (uint32_t *)(syms + p->nsyms + 1), .err = err };
    jitc_status status = follow_all(&f, syms);
    a->free(a->user, room, size);
    return status;
}
