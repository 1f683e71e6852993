/*
 * jit/sched/schedule.h - from a class to a plan and its kernels.  No LLVM here: what comes out is data.
 */
#ifndef JC_SCHEDULE_H
#define JC_SCHEDULE_H

#include "ir/graph.h"
#include "plan/kernel.h"
#include "plan/plan.h"

typedef struct jc_schedule_options {
    jc_target target;
    bool strict;            /* round after every operator, as eager PyTorch does */
    bool clamp;             /* an index out of range is the nearest row; else the plan has a step that looks (exec_check.c) */
    const int64_t *lo, *hi; /* range of each class symbol, as jc_range_first() reads it; NULL: [0, 2^31-1] */
    /* NULL: the first thing that is not supported is a failure.  Else it is told of every one, in order, and the scheduler goes on
       as if memory came from somewhere; there is no plan then.  The same code decides in both cases. */
    void (*refused)(void *user, const jc_error *why);
    void *refused_user;
} jc_schedule_options;

typedef struct jc_schedule {
    jc_plan *plan;         /* NULL: something was refused */
    uint32_t nkernels;
    jc_kernel **kernels;   /* in the order of plan->kernels */
    jc_func *decomposed;   /* for `jitc dump` */
} jc_schedule;

/* F is a class as jc_canon_decode() gives it. An operator without lowering is JITC_E_UNSUPPORTED. Lives in ARENA. */
jitc_status jc_schedule_class(const jc_func *f, const jc_schedule_options *options, jc_arena *arena,
                              jc_schedule *out, jc_error *err);

#endif
