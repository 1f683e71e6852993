/*
 * jit/sched/schedule.c - the scheduler's entry: see jit/sched/sched.h for its parts.
 */
#include "jit/sched/schedule.h"

#include "jit/sched/sched.h"

jitc_status jc_schedule_class(const jc_func *f, const jc_schedule_options *options, jc_arena *arena,
                              jc_schedule *out, jc_error *err) {
    jc_sched s = { .arena = arena, .options = options, .err = err };
    s.g = f->graph;
    s.ex = s.g->exprs;
    for (uint32_t i = 0; options->lo && i < jc_sym_count(s.ex); i++) {
        jc_sym_at(s.ex, i)->lo = options->lo[i];
        jc_sym_at(s.ex, i)->hi = options->hi[i];
    }
    JC_TRY(jc_decompose(f, NULL, NULL, &s.f, err));
    JC_TRY(jc_sched_values(&s));
    JC_TRY(jc_sched_plan(&s));
    out->plan = s.plan;
    out->nkernels = s.plan->nkernels;
    out->kernels = s.kernels.at;
    out->decomposed = s.f;
    return JITC_OK;
}
