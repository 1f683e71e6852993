/*
 * jit/sched/schedule.c - the scheduler's entry: see jit/sched/sched.h for its parts.
 */
#include "jit/sched/schedule.h"

#include <stdarg.h>
#include <stdio.h>

#include "jit/sched/sched.h"

jitc_status jc_sched_refuse(jc_sched *s, int line, const char *node, const char *format, ...) {
    jc_error why = JC_ERROR_INIT;
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!s->options->refused)
        return jc_fail_at(s->err, JITC_E_UNSUPPORTED, s->g->file, line, 0, node, "%s", text);
    s->refused = true;
    jc_fail_at(&why, JITC_E_UNSUPPORTED, s->g->file, line, 0, node, "%s", text);
    s->options->refused(s->options->refused_user, &why);
    return JITC_OK;
}

/* Are they narrower than those that the class was read with? */
static bool set_ranges(jc_sched *s) {
    const jc_schedule_options *o = s->options;
    bool narrower = false;
    for (uint32_t i = 0; o->lo && i < jc_sym_count(s->ex); i++) {
        jc_sym *sym = jc_sym_at(s->ex, i);
        const int64_t lo = jc_range_first(o->lo[i], o->hi[i]);
        narrower |= lo > sym->lo || o->hi[i] < sym->hi;
        sym->lo = lo;
        sym->hi = o->hi[i];
    }
    return narrower;
}

jitc_status jc_schedule_class(const jc_func *f, const jc_schedule_options *options, jc_arena *arena,
                              jc_schedule *out, jc_error *err) {
    jc_sched s = { .arena = arena, .options = options, .err = err };
    s.g = f->graph;
    s.ex = s.g->exprs;
    const bool narrower = set_ranges(&s);
    JC_TRY(jc_conditions_of(f, &s.conditions, err));
    JC_TRY(jc_decompose(f, jc_gpu(&s), jc_sched_keeps, &s, &s.f, err));
    if (narrower)
        jc_narrow(s.f);
    JC_TRY(jc_sched_values(&s));
    JC_TRY(jc_sched_plan(&s));
    out->decomposed = s.f;
    if (s.refused)
        return JITC_OK;
    out->plan = s.plan;
    out->nkernels = s.plan->nkernels;
    out->kernels = s.kernels.at;
    return JITC_OK;
}
