/*
 * plan/plan.c - plans as bytes.
 *
 * What a plan must fulfil is in plan_verify.c, its text in plan_print.c.
 *
 * The bytes:
 *   "JCP2"
 *   nsyms, then per symbol     lo, hi, divisor
 *   nslots, nescapes
 *   ninputs, then per input    written (byte), alias, type
 *   nbuffers, ...              undefined (byte), slot + 1 or 0, escape + 1 or 0, bytes
 *   ntensors, ...              home (byte), index, offset, type
 *   nkernels, ...              key, family (byte), threads, shared
 *   nsteps, ...                kind (byte), line, and a launch or a call
 *   noutputs, ...              kind, undefined (bytes), index, expression of EXPR
 *   nchecks, ...               relation (byte), line, both sides
 * Numbers are LEB128 (signed ones zigzag); an expression that may be missing has a byte in front.  Kernels' names are not
 * stored: they follow from family and key.  Symbols are called s0, s1, ... on reading.
 */
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>
#include "jitc/value.h"
#include "plan/kernel.h"

static const uint8_t magic[4] = { 'J', 'C', 'P', '2' };

void jc_plan_kernel_name(uint8_t family, const jc_hash *key, char out[32]) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_hash_hex(key, hex);
    snprintf(out, 32, "%s_%.12s", jc_families[family].name, hex);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void put_opt_expr(const jc_expr *e, jc_bytes *out) {
    jc_put_u8(out, e != NULL);
    if (e)
        jc_ex_encode(e, out);
}

static void put_type(const jc_type *t, jc_bytes *out) {
    jc_put_u8(out, t->kind);
    if (t->kind == JC_SYMINT)
        jc_ex_encode(t->expr, out);
    if (t->kind != JC_TENSOR)
        return;
    jc_put_u8(out, t->dtype);
    jc_put_u8(out, t->rank);
    jc_put_u8(out, t->strides != NULL);
    for (unsigned d = 0; d < t->rank; d++)
        jc_ex_encode(t->dims[d], out);
    for (unsigned d = 0; t->strides && d < t->rank; d++)
        jc_ex_encode(t->strides[d], out);
}

/* A number that may be JC_PLAN_NONE. */
static void put_opt(uint32_t x, jc_bytes *out) {
    jc_put_var(out, x == JC_PLAN_NONE ? 0 : (uint64_t)x + 1);
}

static uint8_t family_of(const jc_plan_kernel *k) {
    for (uint8_t f = 0; f < JC_FAMILY_COUNT; f++) {
        size_t n = strlen(jc_families[f].name);
        if (strncmp(k->name, jc_families[f].name, n) == 0 && k->name[n] == '_')
            return f;
    }
    return JC_FAMILY_COUNT;
}

static void put_karg(const jc_plan_karg *a, jc_bytes *out) {
    jc_put_u8(out, a->kind);
    if (a->kind == JC_KARG_PTR) {
        jc_put_u8(out, a->access);
        jc_put_var(out, a->tensor);
        jc_put_var(out, a->nparts);
        for (uint32_t i = 0; i < a->nparts; i++)
            jc_put_var(out, a->parts[i]);
        return;
    }
    put_opt(a->input, out);
    if (a->input != JC_PLAN_NONE)
        return;
    if (a->kind == JC_KARG_I64)
        jc_ex_encode(a->expr, out);
    else
        jc_put_f64(out, a->f);
}

static void put_launch(const jc_plan_step *s, jc_bytes *out) {
    jc_put_var(out, s->kernel);
    jc_ex_encode(s->blocks, out);
    put_opt_expr(s->guard, out);
    if (s->guard) {
        jc_put_svar(out, s->lo);
        jc_put_svar(out, s->hi);
    }
    jc_put_var(out, s->nkargs);
    for (uint32_t i = 0; i < s->nkargs; i++)
        put_karg(&s->kargs[i], out);
}

static void put_args(const jc_plan_arg *at, uint32_t n, jc_bytes *out) {
    jc_put_var(out, n);
    for (uint32_t i = 0; i < n; i++) {
        const jc_plan_arg *a = &at[i];
        jc_put_u8(out, a->kind);
        jc_put_u8(out, a->from_input);
        jc_put_u8(out, a->key != NULL);
        if (a->key)
            jc_put_str(out, a->key);
        if (a->from_input || a->kind == JITC_NAME)
            jc_put_var(out, a->input);
        else if (a->kind == JITC_TENSOR)
            jc_put_var(out, a->tensor);
        else if (a->kind == JITC_INT)
            jc_ex_encode(a->expr, out);
        else if (a->kind == JITC_FLOAT)
            jc_put_f64(out, a->f);
        else if (a->kind == JITC_BOOL)
            jc_put_u8(out, a->b);
        else if (a->kind == JITC_STR)
            jc_put_str(out, a->str);
        else if (a->kind == JITC_LIST || a->kind == JITC_DICT)
            put_args(a->list.at, a->list.n, out);
    }
}

static void put_step(const jc_plan_step *s, jc_bytes *out) {
    jc_put_u8(out, s->kind);
    jc_put_var(out, (uint64_t)s->line);
    if (s->kind == JC_STEP_LAUNCH) {
        put_launch(s, out);
        return;
    }
    jc_put_str(out, s->op);
    put_args(s->args, s->nargs, out);
    jc_put_var(out, s->nresults);
    for (uint32_t i = 0; i < s->nresults; i++)
        jc_put_var(out, s->results[i]);
    jc_put_var(out, s->writes);
}

static void put_syms(const jc_plan *p, jc_bytes *out) {
    jc_put_var(out, p->nsyms);
    for (uint32_t s = 0; s < p->nsyms; s++) {
        const jc_sym *facts = jc_sym_at(p->ex, s);
        jc_put_svar(out, facts->lo);
        jc_put_svar(out, facts->hi);
        jc_put_svar(out, facts->divisor);
    }
}

static void put_memory(const jc_plan *p, jc_bytes *out) {
    jc_put_var(out, p->nslots);
    jc_put_var(out, p->nescapes);
    jc_put_var(out, p->ninputs);
    for (uint32_t i = 0; i < p->ninputs; i++) {
        jc_put_u8(out, p->inputs[i].written);
        jc_put_var(out, p->inputs[i].alias);
        put_type(&p->inputs[i].type, out);
    }
    jc_put_var(out, p->nbuffers);
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        jc_put_u8(out, p->buffers[i].undefined);
        put_opt(p->buffers[i].slot, out);
        put_opt(p->buffers[i].escape, out);
        jc_ex_encode(p->buffers[i].bytes, out);
    }
    jc_put_var(out, p->ntensors);
    for (uint32_t i = 0; i < p->ntensors; i++) {
        jc_put_u8(out, p->tensors[i].home);
        jc_put_var(out, p->tensors[i].index);
        jc_ex_encode(p->tensors[i].offset, out);
        put_type(&p->tensors[i].type, out);
    }
}

static void put_checks(const jc_plan *p, jc_bytes *out) {
    jc_put_var(out, p->nchecks);
    for (uint32_t i = 0; i < p->nchecks; i++) {
        jc_put_u8(out, p->checks[i].rel);
        jc_put_var(out, (uint64_t)p->checks[i].line);
        jc_ex_encode(p->checks[i].a, out);
        jc_ex_encode(p->checks[i].b, out);
    }
}

void jc_plan_encode(const jc_plan *p, jc_bytes *out) {
    jc_put(out, magic, sizeof magic);
    put_syms(p, out);
    put_memory(p, out);
    jc_put_var(out, p->nkernels);
    for (uint32_t i = 0; i < p->nkernels; i++) {
        jc_put(out, p->kernels[i].key.b, JC_HASH_SIZE);
        jc_put_u8(out, family_of(&p->kernels[i]));
        jc_put_var(out, p->kernels[i].threads);
        jc_put_var(out, p->kernels[i].shared);
    }
    jc_put_var(out, p->nsteps);
    for (uint32_t i = 0; i < p->nsteps; i++)
        put_step(&p->steps[i], out);
    jc_put_var(out, p->noutputs);
    for (uint32_t i = 0; i < p->noutputs; i++) {
        const jc_plan_output *o = &p->outputs[i];
        jc_put_u8(out, o->kind);
        jc_put_u8(out, o->undefined);
        jc_put_var(out, o->kind == JC_OUT_TENSOR || o->kind == JC_OUT_INPUT ? o->index : 0);
        if (o->kind == JC_OUT_EXPR)
            jc_ex_encode(o->expr, out);
    }
    put_checks(p, out);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* What a reading function needs at hand. */
typedef struct source {
    jc_reader r;
    jc_arena *arena;
    jc_plan *p;
} source;

static uint32_t get_upto(source *s, uint32_t max) {
    uint64_t x = jc_get_var(&s->r);
    if (x > max) {
        s->r.bad = true;
        return 0;
    }
    return (uint32_t)x;
}

static uint8_t get_byte_below(source *s, unsigned limit) {
    uint8_t x = jc_get_u8(&s->r);
    if (x >= limit) {
        s->r.bad = true;
        return 0;
    }
    return x;
}

static uint32_t get_n(source *s, size_t min) {
    return (uint32_t)jc_get_count(&s->r, min);
}

static uint32_t get_opt(source *s) {
    uint64_t x = jc_get_var(&s->r);
    s->r.bad |= x > UINT32_MAX;
    return x == 0 || s->r.bad ? JC_PLAN_NONE : (uint32_t)(x - 1);
}

static const jc_expr *get_expr(source *s) {
    return jc_ex_decode(s->p->ex, &s->r, s->p->nsyms);
}

static const jc_expr *const *get_exprs(source *s, unsigned n) {
    const jc_expr **at = JC_NEWN(s->arena, const jc_expr *, n);
    for (unsigned d = 0; d < n; d++)
        at[d] = get_expr(s);
    return at;
}

static void get_type(source *s, jc_type *t) {
    t->kind = get_byte_below(s, JC_BOOL + 1);
    if (t->kind == JC_SYMINT)
        t->expr = get_expr(s);
    if (t->kind != JC_TENSOR)
        return;
    t->dtype = get_byte_below(s, JC_DTYPE_COUNT);
    t->rank = get_byte_below(s, JC_MAX_RANK + 1);
    bool strided = get_byte_below(s, 2);
    t->dims = get_exprs(s, t->rank);
    if (strided)
        t->strides = get_exprs(s, t->rank);
}

static void get_syms(source *s) {
    s->p->nsyms = get_n(s, 3);
    for (uint32_t i = 0; i < s->p->nsyms && !s->r.bad; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i);
        int64_t lo = jc_get_svar(&s->r), hi = jc_get_svar(&s->r), divisor = jc_get_svar(&s->r);
        if (lo > hi || divisor < 1) {
            s->r.bad = true;
            return;
        }
        jc_sym *facts = jc_sym_at(s->p->ex, jc_sym_add(s->p->ex, name));
        facts->lo = lo;
        facts->hi = hi;
        facts->divisor = divisor;
    }
}

static void get_memory(source *s) {
    jc_plan *p = s->p;
    p->nslots = get_upto(s, UINT32_MAX);
    p->nescapes = get_upto(s, UINT32_MAX);
    p->ninputs = get_n(s, 3);
    p->inputs = JC_NEWN(s->arena, jc_plan_input, p->ninputs);
    for (uint32_t i = 0; i < p->ninputs && !s->r.bad; i++) {
        p->inputs[i].written = get_byte_below(s, 2);
        p->inputs[i].alias = get_upto(s, UINT32_MAX);
        get_type(s, &p->inputs[i].type);
    }
    p->nbuffers = get_n(s, 4);
    p->buffers = JC_NEWN(s->arena, jc_plan_buffer, p->nbuffers);
    for (uint32_t i = 0; i < p->nbuffers && !s->r.bad; i++) {
        p->buffers[i].undefined = get_byte_below(s, 2);
        p->buffers[i].slot = get_opt(s);
        p->buffers[i].escape = get_opt(s);
        p->buffers[i].bytes = get_expr(s);
    }
    p->ntensors = get_n(s, 4);
    p->tensors = JC_NEWN(s->arena, jc_plan_tensor, p->ntensors);
    for (uint32_t i = 0; i < p->ntensors && !s->r.bad; i++) {
        p->tensors[i].home = get_byte_below(s, JC_HOME_BUFFER + 1);
        p->tensors[i].index = get_upto(s, UINT32_MAX);
        p->tensors[i].offset = get_expr(s);
        get_type(s, &p->tensors[i].type);
    }
}

static void get_kernels(source *s) {
    jc_plan *p = s->p;
    p->nkernels = get_n(s, JC_HASH_SIZE + 3);
    p->kernels = JC_NEWN(s->arena, jc_plan_kernel, p->nkernels);
    for (uint32_t i = 0; i < p->nkernels && !s->r.bad; i++) {
        jc_plan_kernel *k = &p->kernels[i];
        const uint8_t *key = jc_get(&s->r, JC_HASH_SIZE);
        if (key)
            memcpy(k->key.b, key, JC_HASH_SIZE);
        jc_plan_kernel_name(get_byte_below(s, JC_FAMILY_COUNT), &k->key, k->name);
        k->threads = get_upto(s, UINT32_MAX);
        k->shared = get_upto(s, UINT32_MAX);
    }
}

static void get_karg(source *s, jc_plan_karg *a) {
    a->input = JC_PLAN_NONE;
    a->kind = get_byte_below(s, JC_KARG_F64 + 1);
    if (a->kind == JC_KARG_PTR) {
        a->access = get_byte_below(s, 4);
        a->tensor = get_upto(s, UINT32_MAX);
        a->nparts = get_n(s, 1);
        a->parts = JC_NEWN(s->arena, uint32_t, a->nparts);
        for (uint32_t i = 0; i < a->nparts && !s->r.bad; i++)
            a->parts[i] = get_upto(s, UINT32_MAX);
        return;
    }
    a->input = get_opt(s);
    if (a->input != JC_PLAN_NONE)
        return;
    if (a->kind == JC_KARG_I64)
        a->expr = get_expr(s);
    else
        a->f = jc_get_f64(&s->r);
}

static void get_launch(source *s, jc_plan_step *st) {
    st->kernel = get_upto(s, UINT32_MAX);
    st->blocks = get_expr(s);
    if (get_byte_below(s, 2)) {
        st->guard = get_expr(s);
        st->lo = jc_get_svar(&s->r);
        st->hi = jc_get_svar(&s->r);
    }
    st->nkargs = get_n(s, 2);
    st->kargs = JC_NEWN(s->arena, jc_plan_karg, st->nkargs);
    for (uint32_t i = 0; i < st->nkargs && !s->r.bad; i++)
        get_karg(s, &st->kargs[i]);
}

static jc_plan_arg *get_args(source *s, unsigned depth, uint32_t *n);

static void get_arg(source *s, unsigned depth, jc_plan_arg *a) {
    a->kind = get_byte_below(s, JITC_DICT + 1);
    a->from_input = get_byte_below(s, 2);
    if (get_byte_below(s, 2))
        a->key = jc_get_str(&s->r, s->arena);
    if (a->from_input || a->kind == JITC_NAME)
        a->input = get_upto(s, UINT32_MAX);
    else if (a->kind == JITC_TENSOR)
        a->tensor = get_upto(s, UINT32_MAX);
    else if (a->kind == JITC_INT)
        a->expr = get_expr(s);
    else if (a->kind == JITC_FLOAT)
        a->f = jc_get_f64(&s->r);
    else if (a->kind == JITC_BOOL)
        a->b = get_byte_below(s, 2);
    else if (a->kind == JITC_STR)
        a->str = jc_get_str(&s->r, s->arena);
    else if (a->kind == JITC_LIST || a->kind == JITC_DICT)
        a->list.at = get_args(s, depth + 1, &a->list.n);
}

static jc_plan_arg *get_args(source *s, unsigned depth, uint32_t *n) {
    *n = 0;
    if (depth > JC_PLAN_MAX_DEPTH)
        s->r.bad = true;
    uint32_t count = get_n(s, 3);
    jc_plan_arg *at = JC_NEWN(s->arena, jc_plan_arg, count);
    for (uint32_t i = 0; i < count && !s->r.bad; i++)
        get_arg(s, depth, &at[i]);
    *n = count;
    return at;
}

static void get_call(source *s, jc_plan_step *st) {
    st->op = jc_get_str(&s->r, s->arena);
    st->args = get_args(s, 0, &st->nargs);
    st->nresults = get_n(s, 1);
    st->results = JC_NEWN(s->arena, uint32_t, st->nresults);
    for (uint32_t i = 0; i < st->nresults && !s->r.bad; i++)
        st->results[i] = get_upto(s, UINT32_MAX);
    st->writes = jc_get_var(&s->r);
}

static void get_steps(source *s) {
    jc_plan *p = s->p;
    p->nsteps = get_n(s, 5);
    p->steps = JC_NEWN(s->arena, jc_plan_step, p->nsteps);
    for (uint32_t i = 0; i < p->nsteps && !s->r.bad; i++) {
        p->steps[i].kind = get_byte_below(s, JC_STEP_CALL + 1);
        p->steps[i].line = (int)get_upto(s, INT32_MAX);
        if (p->steps[i].kind == JC_STEP_LAUNCH)
            get_launch(s, &p->steps[i]);
        else
            get_call(s, &p->steps[i]);
    }
}

static void get_outputs(source *s) {
    jc_plan *p = s->p;
    p->noutputs = get_n(s, 3);
    p->outputs = JC_NEWN(s->arena, jc_plan_output, p->noutputs);
    for (uint32_t i = 0; i < p->noutputs && !s->r.bad; i++) {
        p->outputs[i].kind = get_byte_below(s, JC_OUT_NONE + 1);
        p->outputs[i].undefined = get_byte_below(s, 2);
        p->outputs[i].index = get_upto(s, UINT32_MAX);
        if (p->outputs[i].kind == JC_OUT_EXPR)
            p->outputs[i].expr = get_expr(s);
    }
}

static void get_checks(source *s) {
    jc_plan *p = s->p;
    p->nchecks = get_n(s, 4);
    p->checks = JC_NEWN(s->arena, jc_condition, p->nchecks);
    for (uint32_t i = 0; i < p->nchecks && !s->r.bad; i++) {
        p->checks[i].rel = get_byte_below(s, JC_REL_COUNT);
        p->checks[i].line = (int)get_upto(s, INT32_MAX);
        p->checks[i].a = get_expr(s);
        p->checks[i].b = get_expr(s);
    }
}

jitc_status jc_plan_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_plan **out, jc_error *err) {
    source s = { .r = JC_READER(bytes, n), .arena = arena, .p = JC_NEW(arena, jc_plan) };
    const uint8_t *head = jc_get(&s.r, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return jc_fail(err, JITC_E_INPUT, "These %zu bytes are no plan of this version of libjitc.", n);
    s.p->ex = jc_exprs_new(arena);
    get_syms(&s);
    get_memory(&s);
    get_kernels(&s);
    get_steps(&s);
    get_outputs(&s);
    get_checks(&s);
    if (s.r.bad || s.r.at != s.r.end)
        return jc_fail(err, JITC_E_INPUT, "The plan's %zu bytes are damaged or cut short.", n);
    jc_error why = JC_ERROR_INIT;
    if (jc_plan_verify(s.p, &why) != JITC_OK)
        return jc_fail(err, JITC_E_INPUT, "The plan's bytes are damaged: %s", why.message);
    *out = s.p;
    return JITC_OK;
}

uint32_t jc_plan_viewed(const jc_plan *p, uint32_t i) {
    const jc_plan_output *o = &p->outputs[i];
    if (o->kind == JC_OUT_TENSOR && p->tensors[o->index].home == JC_HOME_INPUT)
        return p->tensors[o->index].index;
    return o->kind == JC_OUT_INPUT ? o->index : JC_PLAN_NONE;
}
