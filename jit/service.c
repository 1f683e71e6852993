/*
 * jit/service.c - the compile service: lookup, then everything that is missing at once.
 *
 *   1. keys of all requests; equal ones are one
 *   2. each is looked up; what is missing is scheduled, which lists its kernels
 *   3. the kernels of all missing classes, equal ones once, are compiled on the pool (each an entry of the cache)
 *   4. each missing class becomes an artifact of its plan and its kernels' code
 *
 * What an artifact holds depends on its key alone, never on what the cache had.
 */
#include "jit/service.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/codegen_id.h"
#include "base/pool.h"
#include "config.h"
#include "jit/assemble.h"
#include "jit/schedule.h"

#define FORMAT_VERSION 1

struct jc_service {
    jc_service_options options;
    jc_cache *cache;
    jc_arena *arena;
    pthread_mutex_t lock;
    jc_service_stats stats;
    const jc_backend *backend;
    bool assembler_known, have_assembler;
    jc_assembler assembler;
};

/* A kernel to compile. */
typedef struct job {
    jc_service *s;
    const jc_target *target;
    jc_kernel *kernel;
    const jc_plan_kernel *plan;
    jc_key key;
    const uint8_t *code; /* entry: kind, then bytes */
    size_t ncode;
    jitc_status status;
    jc_error error;
    unsigned *done;
    unsigned total;
} job;

typedef JC_VEC(job *) job_list;

/* A class to compile. */
typedef struct work {
    jc_request *request;
    jc_schedule schedule;
    job **jobs; /* in the order of the plan's kernels */
    bool missing;
    struct work *same; /* an earlier request with the same key */
} work;

jitc_status jc_service_new(jc_cache *cache, const jc_service_options *options, jc_service **out, jc_error *err) {
    jc_arena *arena = jc_arena_new(options->alloc);
    jc_guard guard;
    *out = NULL;
    if (!arena)
        return jc_fail(err, JITC_E_NOMEM, "out of memory while starting the compile service");
    if (JC_GUARD(arena, &guard)) {
        jc_guard_end(arena, &guard);
        jc_arena_free(arena);
        return jc_fail(err, JITC_E_NOMEM, "out of memory while starting the compile service");
    }
    jc_service *s = JC_NEW(arena, jc_service);
    jc_guard_end(arena, &guard);
    s->options = *options;
    s->cache = cache;
    s->arena = arena;
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return JITC_OK;
}

void jc_service_free(jc_service *s) {
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    jc_arena_free(s->arena);
}

void jc_service_get_stats(jc_service *s, jc_service_stats *out) {
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    pthread_mutex_unlock(&s->lock);
}

static void add_time(jc_service *s, jc_phase phase, double since) {
    double ms = jc_now_ms() - since;
    pthread_mutex_lock(&s->lock);
    s->stats.ms[phase] += ms;
    pthread_mutex_unlock(&s->lock);
}

/* --- keys --- */

/* The assembler's identity; one that there is not is an identity too: the entry then holds PTX. */
static jitc_status assembler(jc_service *s, jc_hash *id) {
    volatile jitc_status status = JITC_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->assembler_known) {
        jc_error err = JC_ERROR_INIT;
        jc_guard guard;
        if (JC_GUARD(s->arena, &guard)) {
            status = JITC_E_NOMEM;
        } else {
            s->have_assembler = jc_assembler_find(s->arena, &s->assembler, &err) == JITC_OK;
            s->assembler_known = true;
            if (!s->have_assembler)
                jc_log_line(s->options.log, "warning: %s; the driver will assemble PTX at load", err.message);
        }
        jc_guard_end(s->arena, &guard);
    }
    *id = s->have_assembler ? s->assembler.id : (jc_hash){ { 0 } };
    pthread_mutex_unlock(&s->lock);
    return status;
}

static jitc_status key_tail(jc_service *s, const jc_target *target, jc_bytes *b) {
    static const char compiler[] = JC_CODEGEN_ID " LLVM " JC_LLVM_VERSION;
    jc_hash id;
    jc_key_add(b, JC_KEY_COMPILER, compiler, sizeof compiler - 1);
    if (target->dialect == JC_DIALECT_NVPTX) {
        JC_TRY(assembler(s, &id));
        jc_key_add(b, JC_KEY_ASSEMBLER, id.b, sizeof id.b);
    }
    return JITC_OK;
}

static void key_head(jc_bytes *b) {
    static const uint8_t format[4] = { FORMAT_VERSION };
    jc_key_add(b, JC_KEY_FORMAT, format, sizeof format);
}

static void key_target(const jc_target *target, jc_arena *arena, jc_bytes *b) {
    jc_bytes t = JC_BYTES(arena);
    jc_target_encode(target, &t);
    jc_key_add(b, JC_KEY_TARGET, t.at, t.n);
}

jitc_status jc_service_key(jc_service *s, const jc_canon *canon, const jc_target *target, const int64_t *lo,
                           const int64_t *hi, jc_arena *arena, jc_key *out, jc_error *err) {
    jc_bytes b = JC_BYTES(arena), ranges = JC_BYTES(arena);
    uint8_t strict = s->options.strict;
    (void)err;
    key_head(&b);
    jc_key_add(&b, JC_KEY_GRAPH, canon->bytes, canon->nbytes);
    for (uint32_t i = 0; i < canon->nsyms; i++) {
        jc_put_u64(&ranges, (uint64_t)(lo ? lo[i] : 0));
        jc_put_u64(&ranges, (uint64_t)(hi ? hi[i] : JC_SYM_MAX));
    }
    jc_key_add(&b, JC_KEY_RANGES, ranges.at, ranges.n);
    key_target(target, arena, &b);
    jc_key_add(&b, JC_KEY_OPTIONS, &strict, 1);
    JC_TRY(key_tail(s, target, &b));
    *out = jc_key_end(&b);
    return JITC_OK;
}

static jitc_status kernel_key(jc_service *s, const jc_kernel *k, const jc_target *target, jc_arena *arena,
                              jc_key *out) {
    jc_bytes b = JC_BYTES(arena), kernel = JC_BYTES(arena);
    jc_kernel_encode(k, &kernel);
    key_head(&b);
    key_target(target, arena, &b);
    JC_TRY(key_tail(s, target, &b));
    jc_key_add(&b, JC_KEY_KERNEL, kernel.at, kernel.n);
    *out = jc_key_end(&b);
    return JITC_OK;
}

/* --- kernels --- */

static jitc_status backend(jc_service *s, const jc_backend **out, jc_error *err) {
    jitc_status status = JITC_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->backend)
        status = jc_backend_open(&s->backend, err);
    *out = s->backend;
    pthread_mutex_unlock(&s->lock);
    return status;
}

static jitc_status compile_kernel(void *user, jc_arena *arena, const uint8_t **bytes, size_t *n, jc_error *err) {
    job *j = user;
    const jc_backend *b;
    jc_bytes kernel = JC_BYTES(arena), entry = JC_BYTES(arena);
    const uint8_t *code;
    size_t ncode;
    char *ir = NULL;
    unsigned debug = j->s->options.log ? j->s->options.log->debug : 0;
    bool gpu = j->target->dialect == JC_DIALECT_NVPTX;
    JC_TRY(backend(j->s, &b, err));
    jc_kernel_encode(j->kernel, &kernel);
    double start = jc_now_ms();
    JC_TRY(b->compile(kernel.at, kernel.n, j->plan->name, j->target, arena, &code, &ncode,
                      debug & JC_DEBUG_LLVM ? &ir : NULL, err));
    add_time(j->s, JC_PHASE_LLVM, start);
    if (ir)
        jc_log_line(j->s->options.log, "%s", ir);
    if (gpu)
        JC_LOG(j->s->options.log, JC_DEBUG_PTX, "%s", (const char *)code);
    uint8_t kind = gpu ? JC_CODE_PTX : JC_CODE_OBJECT;
    if (gpu && j->s->have_assembler) {
        start = jc_now_ms();
        JC_TRY(jc_assemble((const char *)code, ncode, j->target, arena, &code, &ncode, err));
        add_time(j->s, JC_PHASE_ASSEMBLE, start);
        kind = JC_CODE_CUBIN;
    }
    jc_put_u8(&entry, kind);
    jc_put(&entry, code, ncode);
    if (kind == JC_CODE_PTX) /* the driver wants it terminated */
        jc_put_u8(&entry, 0);
    *bytes = entry.at;
    *n = entry.n;
    pthread_mutex_lock(&j->s->lock);
    j->s->stats.kernels_compiled++;
    pthread_mutex_unlock(&j->s->lock);
    return JITC_OK;
}

static void run_job(void *user, size_t index) {
    job *j = ((job **)user)[index];
    jc_service *s = j->s;
    j->status = jc_cache_get(s->cache, &j->key, compile_kernel, j, &j->code, &j->ncode, NULL, &j->error);
    pthread_mutex_lock(&s->lock);
    unsigned done = ++*j->done;
    if (s->options.progress)
        s->options.progress(s->options.progress_user, done, j->total, j->plan->name);
    pthread_mutex_unlock(&s->lock);
}

/* --- classes --- */

static jitc_status not_there(void *user, jc_arena *arena, const uint8_t **bytes, size_t *n, jc_error *err) {
    (void)user;
    (void)arena;
    (void)bytes;
    (void)n;
    (void)err;
    return JITC_E_IO;
}

static jitc_status look_up(jc_service *s, work *w) {
    jc_error ignored = JC_ERROR_INIT;
    jc_request *r = w->request;
    jitc_status status = jc_cache_get(s->cache, &r->key, not_there, NULL, &r->artifact, &r->nartifact, NULL, &ignored);
    r->hit = status == JITC_OK;
    w->missing = !r->hit;
    return status == JITC_OK || status == JITC_E_IO ? JITC_OK : status;
}

/* A failure in a class names its node by number: give it the file and line of the piece it came from. */
static jitc_status locate(const jc_request *r, jc_error *err, jitc_status status) {
    if (status == JITC_OK || !err || err->line <= 0 || (uint32_t)err->line > r->canon->nnodes)
        return status;
    err->line = r->canon->nodes[err->line - 1]->line;
    snprintf(err->file, sizeof err->file, "%s", r->file ? r->file : "");
    err->node[0] = 0; /* the class's name for it says nothing to the user */
    return status;
}

static jitc_status schedule(jc_service *s, work *w, jc_arena *arena, jc_error *err) {
    const jc_request *r = w->request;
    jc_schedule_options o = { .target = r->target, .strict = s->options.strict, .lo = r->lo, .hi = r->hi };
    jc_graph *g;
    JC_TRY(jc_canon_decode(r->canon->bytes, r->canon->nbytes, arena, &g, err));
    return locate(r, err, jc_schedule_class(g->root, &o, arena, &w->schedule, err));
}

static jitc_status add_jobs(jc_service *s, work *w, jc_map *known, job_list *jobs, jc_arena *arena) {
    w->jobs = JC_NEWN(arena, job *, w->schedule.nkernels);
    for (uint32_t i = 0; i < w->schedule.nkernels; i++) {
        jc_key key;
        JC_TRY(kernel_key(s, w->schedule.kernels[i], &w->request->target, arena, &key));
        job *j = jc_map_get(known, key.preimage, key.npreimage);
        if (!j) {
            j = JC_NEW(arena, job);
            *j = (job){ .s = s, .target = &w->request->target, .kernel = w->schedule.kernels[i],
                        .plan = &w->schedule.plan->kernels[i], .key = key, .error = JC_ERROR_INIT };
            jc_map_set(known, key.preimage, key.npreimage, j);
            jc_push(arena, jobs, j);
        }
        w->jobs[i] = j;
    }
    s->stats.kernels += w->schedule.nkernels;
    return JITC_OK;
}

static jitc_status build_artifact(void *user, jc_arena *arena, const uint8_t **bytes, size_t *n, jc_error *err) {
    const work *w = user;
    jc_bytes plan = JC_BYTES(arena), out = JC_BYTES(arena);
    jc_artifact a = { .target = w->request->target, .ncodes = w->schedule.nkernels };
    (void)err;
    jc_plan_encode(w->schedule.plan, &plan);
    a.plan = plan.at;
    a.nplan = plan.n;
    a.codes = JC_NEWN(arena, jc_code, a.ncodes);
    for (uint32_t i = 0; i < a.ncodes; i++)
        a.codes[i] = (jc_code){ .key = w->schedule.plan->kernels[i].key, .kind = w->jobs[i]->code[0],
                                .bytes = w->jobs[i]->code + 1, .nbytes = w->jobs[i]->ncode - 1 };
    jc_artifact_encode(&a, &out);
    *bytes = out.at;
    *n = out.n;
    return JITC_OK;
}

/* Requests whose key came earlier wait for that one. */
static jitc_status keys(jc_service *s, work *w, uint32_t n, jc_arena *arena, jc_error *err) {
    jc_map *seen = jc_map_new(arena);
    for (uint32_t i = 0; i < n; i++) {
        jc_request *r = w[i].request;
        JC_TRY(jc_service_key(s, r->canon, &r->target, r->lo, r->hi, arena, &r->key, err));
        w[i].same = jc_map_get(seen, r->key.preimage, r->key.npreimage);
        if (!w[i].same)
            jc_map_set(seen, r->key.preimage, r->key.npreimage, &w[i]);
    }
    return JITC_OK;
}

static jitc_status compile_all(jc_service *s, work *w, uint32_t n, jc_arena *arena, jc_error *err) {
    job_list jobs = { 0 };
    jc_map *known = jc_map_new(arena);
    unsigned done = 0;
    double start = jc_now_ms();
    for (uint32_t i = 0; i < n; i++)
        if (w[i].missing) {
            JC_TRY(schedule(s, &w[i], arena, err));
            JC_TRY(add_jobs(s, &w[i], known, &jobs, arena));
        }
    add_time(s, JC_PHASE_SCHEDULE, start);
    s->stats.kernels_unique += jobs.n;
    for (size_t i = 0; i < jobs.n; i++) {
        jobs.at[i]->done = &done;
        jobs.at[i]->total = (unsigned)jobs.n;
    }
    jc_pool_run(s->options.threads, jobs.n, run_job, jobs.at);
    for (size_t i = 0; i < jobs.n; i++)
        if (jobs.at[i]->status != JITC_OK) {
            if (err && err->status == JITC_OK)
                *err = jobs.at[i]->error;
            return jobs.at[i]->status;
        }
    for (uint32_t i = 0; i < n; i++)
        if (w[i].missing) {
            jc_request *r = w[i].request;
            jc_cache_from from;
            JC_TRY(jc_cache_get(s->cache, &r->key, build_artifact, &w[i], &r->artifact, &r->nartifact, &from, err));
            w[i].missing = from == JC_FROM_BUILD; /* another thread may have been first */
            r->hit = !w[i].missing;
        }
    return JITC_OK;
}

jitc_status jc_service_get(jc_service *s, jc_request *requests, uint32_t n, jc_arena *arena, jc_error *err) {
    work *w = JC_NEWN(arena, work, n);
    double start = jc_now_ms();
    for (uint32_t i = 0; i < n; i++)
        w[i].request = &requests[i];
    JC_TRY(keys(s, w, n, arena, err));
    for (uint32_t i = 0; i < n; i++)
        if (!w[i].same)
            JC_TRY(look_up(s, &w[i]));
    add_time(s, JC_PHASE_LOOKUP, start);
    JC_TRY(compile_all(s, w, n, arena, err));
    for (uint32_t i = 0; i < n; i++) {
        if (w[i].same) {
            requests[i].artifact = w[i].same->request->artifact;
            requests[i].nartifact = w[i].same->request->nartifact;
            requests[i].hit = true;
        }
        pthread_mutex_lock(&s->lock);
        s->stats.compiled += w[i].missing;
        s->stats.hits += !w[i].missing;
        pthread_mutex_unlock(&s->lock);
    }
    return JITC_OK;
}
