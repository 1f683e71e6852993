/*
 * jit/api/executable_run.c - running a class, and the memory that it takes.
 */
#include <string.h>

#include "jit/api/executable.h"
#include "jit/api/frame_priv.h"

/* --- running --- */

jitc_status jitc_executable_run(const jitc_executable *exe, jitc_frame *frame, void *stream, const jitc_value *values,
                                uint32_t nvalues, jitc_value *results, uint32_t nresults) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, exe);
    jitc_context *ctx = exe->m->ctx;
    JC_NEED(ctx, frame);
    JC_NEED_ARRAYS(ctx, values, nvalues, results, nresults);
    if (frame->m != exe->m)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "the frame is of another model than %s", exe->info.name), &err);
    return jc_frame_call(frame, JC_RUN_CLASS, exe->info.cls, stream, values, nvalues, results, nresults, true);
}

/* --- the memory of a call --- */

/* The value given for a symbol by name, else for all. */
static bool value_of(const char *name, const jitc_symbol *symbols, uint32_t n, int64_t *out) {
    bool found = false;
    for (uint32_t i = 0; i < n; i++) {
        if (symbols[i].name && strcmp(symbols[i].name, name) != 0)
            continue;
        *out = symbols[i].value;
        found = true;
        if (symbols[i].name)
            return true;
    }
    return found;
}

static bool is_symbol(const jitc_executable *x, const char *name) {
    for (uint32_t i = 0; i < x->info.nsymbols; i++)
        if (strcmp(x->symbols[i].name, name) == 0)
            return true;
    return false;
}

static jitc_status symbol_values(const jitc_executable *x, const jitc_symbol *symbols, uint32_t n, int64_t *syms, jc_error *err) {
    for (uint32_t i = 0; i < n; i++)
        if (symbols[i].name && !is_symbol(x, symbols[i].name))
            return jc_fail(err, JITC_E_USAGE, "%s has no symbol %s", x->info.name, symbols[i].name);
    for (uint32_t i = 0; i < x->info.nsymbols; i++)
        if (!value_of(x->symbols[i].name, symbols, n, &syms[i]))
            return jc_fail(err, JITC_E_USAGE, "there is no value for symbol %s of %s", x->symbols[i].name, x->info.name);
    return JITC_OK;
}

/* Bytes by result, from those of the escapes: the first result in each. */
static void by_result(const jc_plan *plan, size_t *escapes, uint64_t *bytes) {
    for (uint32_t i = 0; i < plan->noutputs; i++) {
        const jc_plan_output *o = &plan->outputs[i];
        bytes[i] = 0;
        if (o->kind != JC_OUT_TENSOR || plan->tensors[o->index].home != JC_HOME_BUFFER)
            continue;
        uint32_t escape = plan->buffers[plan->tensors[o->index].index].escape;
        if (escape == JC_PLAN_NONE)
            continue;
        bytes[i] = escapes[escape];
        escapes[escape] = 0;
    }
}

static jitc_status measure(const jitc_executable *x, const jitc_symbol *symbols, uint32_t n, jc_arena *arena, jitc_memory *out,
                           uint64_t *bytes, jc_error *err) {
    int64_t *syms = JC_NEWN(arena, int64_t, x->info.nsymbols);
    uint32_t variant;
    JC_TRY(symbol_values(x, symbols, n, syms, err));
    JC_TRY(jc_class_dispatch(x->m, x->first, syms, &variant, err));
    const jc_plan *plan = x->plans[variant];
    jc_exec_most most = { .escapes = JC_NEWN(arena, size_t, plan->nescapes) };
    JC_TRY(jc_exec_bounds(plan, syms, syms, NULL, &most, err));
    *out = (jitc_memory){ .struct_size = out->struct_size, .scratch = most.arena, .copies = most.temp };
    for (uint32_t e = 0; e < plan->nescapes; e++)
        out->results += most.escapes[e];
    if (bytes)
        by_result(plan, most.escapes, bytes);
    return JITC_OK;
}

jitc_status jitc_executable_memory(const jitc_executable *exe, const jitc_symbol *symbols, uint32_t nsymbols, jitc_memory *out,
                                   uint64_t *bytes, uint32_t nresults) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    jitc_memory made;
    JC_NEED(NULL, exe);
    jitc_context *ctx = exe->m->ctx;
    JC_NEED(ctx, out);
    if (nsymbols)
        JC_NEED(ctx, symbols);
    if (!exe->info.compiled)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "the model was built with split_only: it has nothing to run"), &err);
    if (bytes && nresults != exe->info.nresults)
        return jc_context_done(ctx, jc_fail(&err, JITC_E_USAGE, "%s gives %u results, there is room for %u", exe->info.name,
                                            exe->info.nresults, nresults), &err);
    jc_arena *arena = jc_arena_new(&ctx->alloc);
    volatile jitc_status status = JITC_E_NOMEM;
    made.struct_size = out->struct_size;
    if (arena && JC_GUARD(arena, &guard) == 0)
        status = measure(exe, symbols, nsymbols, arena, &made, bytes, &err);
    if (arena)
        jc_guard_end(arena, &guard);
    jc_arena_free(arena);
    if (status == JITC_OK)
        memcpy(out, &made, made.struct_size < sizeof made ? made.struct_size : sizeof made);
    return jc_context_done(ctx, status, &err);
}

/* --- the memory of a frame --- */

/* Counts, and gives out an address that nobody looks at. */
static void *count(void *user, size_t size, void *stream) {
    uint64_t *sum = user;
    (void)stream;
    *sum += size;
    return (void *)(uintptr_t)256; /* aligned as a frame wants it */
}

static void uncount(void *user, void *block, size_t size, void *stream) {
    (void)user;
    (void)block;
    (void)size;
    (void)stream;
}

jitc_status jitc_model_memory(jitc_model *m, const jitc_symbol *symbols, uint32_t n, uint32_t flags, uint64_t *bytes) {
    uint64_t sum = 0;
    jitc_frame_options o = { .struct_size = sizeof o, .alloc = count, .free = uncount, .user = &sum };
    jitc_frame *frame;
    JC_NEED(NULL, m);
    JC_NEED(m->ctx, bytes);
    if (n)
        JC_NEED(m->ctx, symbols);
    JC_TRY(jitc_frame_new(m, &o, &frame));
    jitc_status status = jitc_frame_reserve(frame, symbols, n, flags, NULL);
    jitc_frame_free(frame);
    *bytes = sum;
    return status;
}
