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

jitc_status jc_schedule_class(const jc_func *f, const jc_schedule_options *options, jc_arena *arena,
                              jc_schedule *out, jc_error *err) {
    jc_sched s = { .arena = arena, .options = options, .err = err };
    s.g = f->graph;
    s.ex = s.g->exprs;
    for (uint32_t i = 0; options->lo && i < jc_sym_count(s.ex); i++) {
        jc_sym_at(s.ex, i)->lo = jc_range_first(options->lo[i], options->hi[i]);
        jc_sym_at(s.ex, i)->hi = options->hi[i];
    }
    JC_TRY(jc_conditions_of(f, &s.conditions, err));
    JC_TRY(jc_decompose(f, NULL, NULL, &s.f, err));
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
