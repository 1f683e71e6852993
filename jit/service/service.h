/*
 * jit/service/service.h - from pieces to artifacts: keys, lookup, compilation.
 *
 *   class bytes + ranges + target + options --key--> cache --miss--> schedule --kernels--> backend, assembler --> artifact
 *
 * A hit opens neither LLVM nor an assembler.  Kernels have keys of their own: equal ones are compiled once per process and cache.
 * One service per context; thread-safe.
 */
#ifndef JC_SERVICE_H
#define JC_SERVICE_H

#include "base/trace.h"
#include "cache/cache.h"
#include "ir/canon/canon.h"
#include "jit/llvm/backend.h"
#include "jit/service/isolate.h"
#include "plan/plan.h"

#define JC_PHASE_LIST(X)                                                                           \
    X(LOOKUP, "lookup") X(SCHEDULE, "schedule") X(LLVM, "llvm") X(ASSEMBLE, "assemble")
typedef enum jc_phase {
#define JC_PHASE_ENUM(id, name) JC_PHASE_##id,
    JC_PHASE_LIST(JC_PHASE_ENUM)
#undef JC_PHASE_ENUM
    JC_PHASE_COUNT
} jc_phase;

/* Of one jc_service_get(). */
typedef struct jc_service_stats {
    uint64_t compiled, hits;   /* requests: classes times ranges */
    /* Kernels of the classes that were compiled: all; different ones; those of them that the cache, this process's or another's,
       had (lowering hits), and those that were compiled (misses). */
    uint64_t kernels, kernels_unique, kernels_hit, kernels_compiled;
    double ms[JC_PHASE_COUNT]; /* LLVM, ASSEMBLE: over all threads */
} jc_service_stats;

typedef struct jc_service jc_service;
typedef struct jc_service_options {
    unsigned threads;    /* compile pool; 0: one per core */
    const jc_alloc *alloc;
    const jc_log *log;
    jc_isolate isolate;
} jc_service_options;

/* CACHE is borrowed. */
jitc_status jc_service_new(jc_cache *cache, const jc_service_options *options, jc_service **out, jc_error *err);
void jc_service_free(jc_service *s);

typedef struct jc_request {
    const jc_canon *canon;
    const char *file;       /* of the piece, for messages; NULL: none */
    jc_target target;
    bool strict;            /* round after every operator */
    bool clamp;             /* an index out of range is the nearest row */
    const int64_t *lo, *hi; /* per class symbol; NULL: [0, 2^31-1] */
    /* out */
    jc_key key;             /* of a class that this process knew already only the hash */
    const uint8_t *artifact; /* borrowed from the cache */
    size_t nartifact;
    bool hit;
} jc_request;

typedef struct jc_progress {
    void (*done)(void *user, unsigned done, unsigned total, const char *what); /* NULL: nobody asks */
    void *user;
    const jc_trace *spans; /* may be NULL */
    bool (*cancel)(void *cancel_user); /* NULL: never; asked from the pool's threads */
    void *cancel_user;
} jc_progress;

/* JITC_E_CANCELLED, with its sentence. */
jitc_status jc_cancelled(jc_error *err);

/* Compiles or finds all requests; equal ones once, kernels on a pool.  The first error wins (others are let finish).  Once
   PROGRESS's cancel says true no kernel is begun: JITC_E_CANCELLED. PROGRESS and STATS may be NULL. */
jitc_status jc_service_get(jc_service *s, jc_request *requests, uint32_t n, const jc_progress *progress,
                           jc_service_stats *stats, jc_arena *arena, jc_error *err);

/* The LLVM that keys are made with: that which this library was built for, or, once the code generator is open, its own. */
const char *jc_service_llvm(jc_service *s);

/* The key of a request: preimage fields of cache.h.  Nothing but these can change what is compiled. */
jitc_status jc_service_key(jc_service *s, const jc_request *r, jc_arena *arena, jc_key *out, jc_error *err);

#endif
