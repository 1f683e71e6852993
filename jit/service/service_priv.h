/*
 * jit/service/service_priv.h - what the files of the compile service share.
 */
#ifndef JC_SERVICE_PRIV_H
#define JC_SERVICE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "jit/asm/assemble.h"
#include "jit/service/known.h"
#include "jit/service/service.h"
#include "plan/kernel.h"

struct jc_service {
    jc_service_options options;
    jc_cache *cache;
    jc_arena *arena;
    jc_arena *known_arena;
    jc_known *known;
    pthread_mutex_t lock;
    const jc_backend *backend;
    char worker_llvm[32];       /* what a worker says */
    _Atomic(const char *) llvm; /* its LLVM; until it is open, what this library was built for */
    bool assembler_known, have_assembler;
    jc_assembler assembler;
};

/* One call of jc_service_get(). */
typedef struct jc_getting {
    jc_service *s;
    const jc_progress *progress;
    const char *llvm;       /* that keys were made with */
    jc_service_stats stats; /* under the service's lock while the pool works */
    pthread_mutex_t telling; /* progress is told one at a time, and holds up nobody else's compilation */
    unsigned done, total;   /* kernels */
    atomic_bool cancelled;
    atomic_bool other_llvm; /* the code generator, once it was open, had another LLVM than the keys name */
} jc_getting;

/* JITC_E_CANCELLED once the caller has said so. */
jitc_status jc_service_go_on(jc_getting *g, jc_error *err);

struct jc_work;

/* A kernel to compile. */
typedef struct jc_job {
    jc_getting *get;
    const jc_target *target;
    jc_kernel *kernel;
    const jc_plan_kernel *plan;
    unsigned cost;       /* what it will take, in some unit */
    jc_key key;
    const uint8_t *code; /* entry: kind, then bytes */
    size_t ncode;
    jitc_status status;
    jc_error error;
    JC_VEC(struct jc_work *) users; /* who waits for it */
} jc_job;

/* service_kernel.c: opened on first use. What its LLVM is called is in the keys made from then on. */
jitc_status jc_service_backend(jc_service *s, const jc_backend **out, jc_error *err);

/* service_key.c */
jitc_status jc_service_kernel_key(jc_service *s, const jc_kernel *k, const jc_target *target, jc_arena *arena, jc_key *out);

/* service_kernel.c */
unsigned jc_job_cost(const jc_kernel *k);
/* Finds or compiles the kernel: status, code or error. */
void jc_job_run(jc_job *j);

/* Adds to a phase; WHAT it was spent on is for the trace, and may be NULL. */
void jc_service_time(jc_getting *g, jc_phase phase, const char *what, double since);

#endif
