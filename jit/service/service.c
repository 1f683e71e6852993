/*
 * jit/service/service.c - the compile service: lookup, then everything that is missing at once.
 *
 *   1. what this process knows is taken as it is (jit/service/known.h); the others get keys; equal ones are one
 *   2. each is looked up; what is missing is scheduled, which lists its kernels
 *   3. the kernels of all missing classes, equal ones once, are compiled on the pool, the longest first, each an entry of the
 *      cache (service_kernel.c); where another process is at them, one waits or takes what is left (choose)
 *   4. the thread that has the last kernel of a class makes its artifact, of its plan and its kernels' code
 *
 * The code generator is opened by whoever compiles the first kernel.  Keys name its LLVM, which is only known then: where they named
 * another, all is done again with other keys.
 *
 * What an artifact holds depends on its key alone, never on what the cache had.
 */
#include "jit/service/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "cache/lock.h"
#include "config.h"
#include "jit/sched/schedule.h"
#include "jit/service/service_priv.h"

typedef JC_VEC(jc_job *) job_list;

/* A class to compile. */
typedef struct jc_work {
    jc_getting *get;
    jc_request *request;
    jc_schedule schedule;
    jc_job **jobs;        /* in the order of the plan's kernels */
    uint32_t pending;     /* jobs that have not succeeded yet; under the service's lock */
    bool missing, built;  /* built: by us, rather than by another thread meanwhile */
    bool ours;            /* to be compiled now */
    jc_lock claim;        /* others wait for us */
    struct jc_work *same; /* an earlier request with the same key */
    jitc_status status;
    jc_error error;
} work;

/* --- making and freeing --- */

static jitc_status open_service(jc_arena *arena, jc_arena *known, jc_cache *cache, const jc_service_options *options,
                                jc_service **out) {
    jc_guard outer, inner;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(arena, &outer) == 0 && JC_GUARD(known, &inner) == 0) {
        jc_service *s = JC_NEW(arena, jc_service);
        s->options = *options;
        s->cache = cache;
        s->arena = arena;
        s->known_arena = known;
        s->known = jc_known_new(known);
        s->llvm = JC_LLVM_VERSION;
        pthread_mutex_init(&s->lock, NULL);
        *out = s;
        status = JITC_OK;
    }
    jc_guard_end(known, &inner);
    jc_guard_end(arena, &outer);
    return status;
}

jitc_status jc_service_new(jc_cache *cache, const jc_service_options *options, jc_service **out, jc_error *err) {
    jc_arena *arena = jc_arena_new(options->alloc), *known = jc_arena_new(options->alloc);
    *out = NULL;
    if (arena && known && open_service(arena, known, cache, options, out) == JITC_OK)
        return JITC_OK;
    jc_arena_free(arena);
    jc_arena_free(known);
    return jc_fail(err, JITC_E_NOMEM, "out of memory while starting the compile service");
}

void jc_service_free(jc_service *s) {
    if (!s)
        return;
    jc_known_close(s->known);
    pthread_mutex_destroy(&s->lock);
    jc_arena_free(s->known_arena);
    jc_arena_free(s->arena);
}

void jc_service_time(jc_getting *g, jc_phase phase, const char *what, double since) {
    static const char *const names[] = {
#define PHASE_NAME(id, name) name,
        JC_PHASE_LIST(PHASE_NAME)
#undef PHASE_NAME
    };
    if (g->progress)
        jc_trace_span(g->progress->spans, names[phase], what, since);
    double ms = jc_now_ms() - since;
    pthread_mutex_lock(&g->s->lock);
    g->stats.ms[phase] += ms;
    pthread_mutex_unlock(&g->s->lock);
}

/* --- cancelling --- */

jitc_status jc_cancelled(jc_error *err) {
    return jc_fail(err, JITC_E_CANCELLED, "The build was cancelled.");
}

jitc_status jc_service_go_on(jc_getting *g, jc_error *err) {
    const jc_progress *p = g->progress;
    if (p && p->cancel && !atomic_load(&g->cancelled) && p->cancel(p->cancel_user))
        atomic_store(&g->cancelled, true);
    return atomic_load(&g->cancelled) ? jc_cancelled(err) : JITC_OK;
}

/* --- lookup --- */

static void log_class(const jc_service *s, const jc_request *r, const char *what) {
    char class[2 * JC_HASH_SIZE + 1], key[2 * JC_HASH_SIZE + 1];
    if (!s->options.log || !(s->options.log->debug & JC_DEBUG_CACHE))
        return;
    jc_hash_hex(&r->canon->hash, class);
    jc_hash_hex(&r->key.hash, key);
    jc_log_line(s->options.log, "cache: class %.16s, key %.12s: %s", class, key, what);
}

/* Looks only: another thread that builds the same class does not notice. */
static void look_up(jc_service *s, work *w) {
    jc_request *r = w->request;
    jc_cache_from from;
    r->hit = jc_cache_find(s->cache, &r->key, &r->artifact, &r->nartifact, &from);
    w->missing = !r->hit;
    log_class(s, r, r->hit ? jc_cache_from_text(from) : "missing");
    if (r->hit)
        jc_known_add(s->known, r);
}

/* Requests whose key came earlier wait for that one. */
static jitc_status look_up_all(jc_service *s, work *w, uint32_t n, jc_arena *arena, jc_error *err) {
    jc_map *seen = NULL;
    for (uint32_t i = 0; i < n; i++) {
        jc_request *r = w[i].request;
        if ((r->hit = jc_known_find(s->known, r))) {
            log_class(s, r, "known");
            continue;
        }
        seen = seen ? seen : jc_map_new(arena);
        JC_TRY(jc_service_key(s, r, arena, &r->key, err));
        w[i].same = jc_map_get(seen, r->key.preimage, r->key.npreimage);
        if (w[i].same)
            continue;
        jc_map_set(seen, r->key.preimage, r->key.npreimage, &w[i]);
        look_up(s, &w[i]);
    }
    return JITC_OK;
}

/* --- scheduling --- */

/* How often F calls each custom operator, in order of first calls. */
static jc_map *count_custom(const jc_func *f, jc_arena *arena) {
    jc_map *calls = jc_map_new(arena);
    for (size_t i = 0; i < f->nodes.n; i++) {
        const char *name = f->nodes.at[i]->target;
        if (f->nodes.at[i]->op != JC_OP_custom)
            continue;
        uint32_t *count = jc_map_get(calls, name, strlen(name));
        if (!count)
            jc_map_set(calls, name, strlen(name), count = JC_NEW(arena, uint32_t));
        ++*count;
    }
    return calls;
}

static void put_count(jc_bytes *line, const char *name, size_t n, const char *who, uint32_t count) {
    jc_put_text(line, " %.*s=%s", (int)n, name, who);
    if (count > 1)
        jc_put_text(line, "*%u", count);
}

/* "rms_norm=native*3 view=layout*4 vllm::attention=host": who implements the operators of a class. */
static void log_operators(const jc_service *s, const jc_request *r, const jc_func *f, jc_arena *arena) {
    uint32_t counts[JC_OP_COUNT] = { 0 };
    jc_bytes line = JC_BYTES(arena);
    char hex[2 * JC_HASH_SIZE + 1];
    const void *name;
    size_t length;
    void *count;
    if (!s->options.log || !(s->options.log->debug & JC_DEBUG_LOWER))
        return;
    for (size_t i = 0; i < f->nodes.n; i++)
        counts[f->nodes.at[i]->op]++;
    for (int op = 0; op < JC_OP_COUNT; op++)
        if (counts[op] && op != JC_OP_custom)
            put_count(&line, jc_ops[op].name, strlen(jc_ops[op].name), jc_ops[op].traits & JC_VIEW ? "layout" : "native",
                      counts[op]);
    const jc_map *custom = count_custom(f, arena);
    for (size_t i = 0; jc_map_at(custom, i, &name, &length, &count); i++)
        put_count(&line, name, length, "host", *(uint32_t *)count);
    jc_hash_hex(&r->canon->hash, hex);
    jc_log_line(s->options.log, "lower: class %.16s:%.*s", hex, (int)line.n, (const char *)line.at);
}

static jitc_status schedule(work *w, jc_arena *arena, jc_error *err) {
    jc_service *s = w->get->s;
    const jc_request *r = w->request;
    jc_schedule_options o = { .target = r->target, .strict = r->strict, .clamp = r->clamp, .lo = r->lo, .hi = r->hi };
    char hex[2 * JC_HASH_SIZE + 1];
    double start = jc_now_ms();
    jc_graph *g;
    JC_TRY(jc_canon_decode(r->canon->bytes, r->canon->nbytes, arena, &g, err));
    log_operators(s, r, g->root, arena);
    jitc_status status = jc_schedule_class(g->root, &o, arena, &w->schedule, err);
    jc_canon_locate(r->canon, r->file, err);
    JC_TRY(status);
    jc_hash_hex(&r->canon->hash, hex);
    jc_service_time(w->get, JC_PHASE_SCHEDULE, hex, start);
    JC_LOG(s->options.log, JC_DEBUG_PASS,
           "pass: class %.16s: decode, decompose and schedule %.2f ms: %zu nodes, %u kernels, %u steps", hex,
           jc_now_ms() - start, g->root->nodes.n, w->schedule.nkernels, w->schedule.plan->nsteps);
    return JITC_OK;
}

static jitc_status add_jobs(work *w, jc_map *known, job_list *jobs, jc_arena *arena) {
    jc_getting *g = w->get;
    w->jobs = JC_NEWN(arena, jc_job *, w->schedule.nkernels);
    for (uint32_t i = 0; i < w->schedule.nkernels; i++) {
        jc_kernel *k = w->schedule.kernels[i];
        jc_key key;
        JC_TRY(jc_service_kernel_key(g->s, k, &w->request->target, arena, &key));
        jc_job *j = jc_map_get(known, key.preimage, key.npreimage);
        if (!j) {
            j = JC_NEW(arena, jc_job);
            *j = (jc_job){ .get = g, .target = &w->request->target, .kernel = k, .plan = &w->schedule.plan->kernels[i],
                           .key = key, .cost = jc_job_cost(k), .error = JC_ERROR_INIT };
            jc_map_set(known, key.preimage, key.npreimage, j);
            jc_push(arena, jobs, j);
        }
        w->jobs[i] = j;
        if (j->users.n == 0 || j->users.at[j->users.n - 1] != w) { /* a plan may list two equal kernels */
            jc_push(arena, &j->users, w);
            w->pending++;
        }
    }
    g->stats.kernels += w->schedule.nkernels;
    return JITC_OK;
}

/* --- artifacts --- */

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

/* Does not know of stopping: what is missing of a class once its kernels are there takes no time. */
static void finish(work *w) {
    jc_service *s = w->get->s;
    jc_request *r = w->request;
    jc_cache_from from;
    const jc_cache_builder builder = { .build = build_artifact, .user = w };
    w->status = jc_cache_get(s->cache, &r->key, &builder, &r->artifact, &r->nartifact, &from, &w->error);
    jc_lock_close(&w->claim);
    if (w->status != JITC_OK)
        return;
    w->built = from == JC_FROM_BUILD; /* another thread may have been first */
    r->hit = !w->built;
    jc_known_add(s->known, r);
}

/* --- the pool --- */

typedef struct list {
    job_list jobs;
    JC_VEC(work *) plain; /* classes without kernels: only calls and views */
    jc_job **later;       /* others are at them */
    atomic_size_t nlater;
} list;

static void run_job(jc_job *j) {
    jc_service *s = j->get->s;
    jc_job_run(j);
    for (size_t i = 0; i < j->users.n && j->status == JITC_OK; i++) {
        work *w = j->users.at[i];
        pthread_mutex_lock(&s->lock);
        bool last = --w->pending == 0;
        pthread_mutex_unlock(&s->lock);
        if (last)
            finish(w);
    }
}

/* A kernel that another process is at comes later: there are others to do. */
static void run_unless_others(void *user, size_t index) {
    list *l = user;
    if (index >= l->jobs.n)
        finish(l->plain.at[index - l->jobs.n]);
    else if (jc_cache_elsewhere(l->jobs.at[index]->get->s->cache, &l->jobs.at[index]->key))
        l->later[atomic_fetch_add(&l->nlater, 1)] = l->jobs.at[index];
    else
        run_job(l->jobs.at[index]);
}

static void run_later(void *user, size_t index) {
    run_job(((list *)user)->later[index]);
}

/* Longest first; among equal ones any order will do, if it is always the same. */
static int by_cost(const void *a, const void *b) {
    const jc_job *x = *(jc_job *const *)a, *y = *(jc_job *const *)b;
    if (x->cost != y->cost)
        return x->cost > y->cost ? -1 : 1;
    return memcmp(&x->key.hash, &y->key.hash, sizeof x->key.hash);
}

static jitc_status first_error(const job_list *jobs, const work *w, uint32_t n, jc_error *err) {
    const jc_error *found = NULL;
    jitc_status status = JITC_OK;
    for (size_t i = 0; i < jobs->n && status == JITC_OK; i++) {
        status = jobs->at[i]->status;
        found = &jobs->at[i]->error;
    }
    for (uint32_t i = 0; i < n && status == JITC_OK; i++) {
        status = w[i].status;
        found = &w[i].error;
    }
    if (status != JITC_OK && err && err->status == JITC_OK)
        *err = *found;
    return status;
}

/* --- turns --- */

/*
 * The ranks of an engine start together and want the same classes.  Whoever comes first claims what is missing; the others wait, and need neither
 * schedule anything nor open the code generator, which costs as much as two kernels.  Nobody waits while he has claims of his own (so no two wait for each
 * other), nor for longer than FOLLOW_MS: what takes longer is shared, kernel by kernel.
 */
#define FOLLOW_MS 5000

static bool stop(void *user) {
    return jc_service_go_on(user, NULL) != JITC_OK;
}

static void give_up(void *claim) {
    jc_lock_close(claim);
}

/* Whose turn it is to compile W. When it is ours, others wait for us from now on. */
static jc_cache_turn turn_of(jc_getting *g, work *w, bool may_wait, double until) {
    const jc_cache_builder builder = { .stop = stop, .user = g };
    const double now = jc_now_ms();
    jc_cache_turn turn;
    do
        turn = jc_cache_await(g->s->cache, &w->request->key, may_wait && now < until ? until - now : 0, &builder);
    while (turn == JC_TURN_OURS && !jc_cache_claim(g->s->cache, &w->request->key, &w->claim));
    return turn == JC_TURN_OTHERS && now >= until ? JC_TURN_OURS : turn;
}

/* What is ours to compile now, of what is missing; false where nothing is missing any more.  At least one is ours otherwise. */
static bool choose(jc_getting *g, work *const *sorted, uint32_t n, double until) {
    bool ours = false;
    for (uint32_t i = 0; i < n; i++) {
        work *w = sorted[i];
        w->ours = false;
        if (!w->missing)
            continue;
        jc_cache_turn turn = turn_of(g, w, !ours, until);
        if (turn == JC_TURN_THERE)
            look_up(g->s, w);
        w->ours = w->missing && (turn != JC_TURN_OTHERS || !ours);
        ours |= w->ours;
    }
    return ours;
}

static int by_key(const void *a, const void *b) {
    const work *x = *(work *const *)a, *y = *(work *const *)b;
    return memcmp(&x->request->key.hash, &y->request->key.hash, sizeof x->request->key.hash);
}

/* Those that are missing, in the order in which all processes go about it. */
static work **sort(work *w, uint32_t n, uint32_t *nmissing, jc_arena *arena) {
    work **sorted = JC_NEWN(arena, work *, n);
    *nmissing = 0;
    for (uint32_t i = 0; i < n; i++)
        if (w[i].missing) {
            jc_arena_defer(arena, give_up, &w[i].claim);
            sorted[(*nmissing)++] = &w[i];
        }
    if (*nmissing)
        qsort(sorted, *nmissing, sizeof *sorted, by_key);
    return sorted;
}

/* AGAIN: the code generator was opened and has another LLVM than the keys name. With keys that name it the kernels may be there. */
static jitc_status compile_all(jc_getting *g, work *w, uint32_t n, jc_arena *arena, bool *again, jc_error *err) {
    list l = { 0 };
    jc_map *known = jc_map_new(arena);
    for (uint32_t i = 0; i < n; i++)
        if (w[i].ours) {
            JC_TRY(jc_service_go_on(g, err));
            JC_TRY(schedule(&w[i], arena, err));
            JC_TRY(add_jobs(&w[i], known, &l.jobs, arena));
            if (w[i].schedule.nkernels == 0)
                jc_push(arena, &l.plain, &w[i]);
        }
    g->stats.kernels_unique += l.jobs.n;
    g->total += (unsigned)l.jobs.n;
    if (l.jobs.n)
        qsort(l.jobs.at, l.jobs.n, sizeof *l.jobs.at, by_cost);
    l.later = JC_NEWN(arena, jc_job *, l.jobs.n);
    jc_pool_run(g->s->options.threads, l.jobs.n + l.plain.n, run_unless_others, &l);
    jc_pool_run(g->s->options.threads, l.nlater, run_later, &l);
    *again = atomic_load(&g->other_llvm);
    return *again ? JITC_OK : first_error(&l.jobs, w, n, err);
}

/* In rounds: what is ours, and then what others have not finished meanwhile. */
static jitc_status compile_missing(jc_getting *g, work *w, uint32_t n, jc_arena *arena, bool *again, jc_error *err) {
    const double until = jc_now_ms() + FOLLOW_MS;
    jitc_status status = JITC_OK;
    uint32_t nmissing;
    work **sorted = sort(w, n, &nmissing, arena);
    while (status == JITC_OK && !*again && choose(g, sorted, nmissing, until)) {
        status = compile_all(g, w, n, arena, again, err);
        for (uint32_t i = 0; i < n; i++) {
            jc_lock_close(&w[i].claim);
            w[i].missing &= !w[i].ours;
        }
    }
    return status;
}

/* AGAIN: it is to be done with other keys, for these name another LLVM than the one that is there. */
static jitc_status get_once(jc_getting *g, jc_request *requests, uint32_t n, jc_arena *arena, bool *again, jc_error *err) {
    work *w = JC_NEWN(arena, work, n);
    double start = jc_now_ms();
    *again = false;
    for (uint32_t i = 0; i < n; i++)
        w[i] = (work){ .get = g, .request = &requests[i], .error = JC_ERROR_INIT, .claim = JC_LOCK_INIT };
    jitc_status status = look_up_all(g->s, w, n, arena, err);
    jc_service_time(g, JC_PHASE_LOOKUP, NULL, start);
    if (status == JITC_OK)
        status = compile_missing(g, w, n, arena, again, err);
    for (uint32_t i = 0; i < n && status == JITC_OK && !*again; i++) {
        if (w[i].same) {
            requests[i].artifact = w[i].same->request->artifact;
            requests[i].nartifact = w[i].same->request->nartifact;
            requests[i].hit = true;
        }
        g->stats.compiled += w[i].built;
        g->stats.hits += !w[i].built;
    }
    return status;
}

jitc_status jc_service_get(jc_service *s, jc_request *requests, uint32_t n, const jc_progress *progress,
                           jc_service_stats *stats, jc_arena *arena, jc_error *err) {
    jitc_status status;
    jc_getting g;
    bool again;
    do { /* twice at most: the LLVM of a process stays */
        g = (jc_getting){ .s = s, .progress = progress, .llvm = s->llvm, .telling = PTHREAD_MUTEX_INITIALIZER };
        status = get_once(&g, requests, n, arena, &again, err);
    } while (status == JITC_OK && again);
    if (stats)
        *stats = g.stats;
    return status;
}
