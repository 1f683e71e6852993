/*
 * jit/service/service_kernel.c - one kernel: from the cache, or by the code generator and the assembler.
 *
 * Runs on the pool.  Assembling several kernels by one call of nvJitLink was measured: 18 kernels of OPT-125m take 472 ms
 * of CPU one by one, 470 in pairs and 457 in sixes, and would lose their entries of their own.
 */
#include <string.h>

#include "config.h"
#include "jit/service/service_priv.h"

/* What compiling takes: milliseconds measured for sm_90a, of which nearly all grows with the instructions of the PTX, times 64. */
static unsigned cost_point(const jc_kernel *k) { return 8 * 64 + k->ninstrs * (1u + k->vec); }
static unsigned cost_row(const jc_kernel *k) { return 14 * 64 + k->ninstrs * (1u + k->vec); }
static unsigned cost_walk(const jc_kernel *k) { return 9 * 64 + k->ninstrs * (1u + k->vec); }
static unsigned cost_dot(const jc_kernel *k) { return 10 * 64 + k->ninstrs * (1u + (unsigned)k->tile_m * k->tile_n); }
static unsigned cost_mma(const jc_kernel *k) { return 30 * 64 + k->tile_m + k->ninstrs * 17u; }
static unsigned cost_wgmma(const jc_kernel *k) { return 40 * 64 + k->tile_m + k->ninstrs * 17u; }
static unsigned cost_tile(const jc_kernel *k) { return 15 * 64 + k->ninstrs * 2u * k->vec; }
static unsigned cost_band(const jc_kernel *k) { return 10 * 64 + k->ninstrs * 2u * k->vec; }
static unsigned cost_attn(const jc_kernel *k) { return 20 * 64 + k->ninstrs * 2u * k->vec; }
static unsigned cost_flash(const jc_kernel *k) { return 100 * 64 + k->ninstrs * 17u; }

unsigned jc_job_cost(const jc_kernel *k) {
    static unsigned (*const cost[JC_FAMILY_COUNT])(const jc_kernel *) = {
#define COST(id, name, sums) cost_##name,
        JC_FAMILY_LIST(COST)
#undef COST
    };
    return cost[k->family](k);
}

#define OTHER_LLVM                                                                                 \
    "warning: libjitc was built for LLVM " JC_LLVM_VERSION ", and the one that runs is %s; what it makes is found again only after opening it. " \
    "Rebuild libjitc for quick starts"

jitc_status jc_service_backend(jc_service *s, const jc_backend **out, jc_error *err) {
    jitc_status status = JITC_OK;
    const char *other = NULL;
    pthread_mutex_lock(&s->lock);
    if (!s->backend && (status = jc_backend_open(&s->backend, err)) == JITC_OK) {
        if (strcmp(s->backend->llvm_version, s->llvm) != 0)
            other = s->backend->llvm_version;
        s->llvm = s->backend->llvm_version;
    }
    *out = s->backend;
    pthread_mutex_unlock(&s->lock);
    if (other)
        jc_log_line(s->options.log, OTHER_LLVM, other);
    return status;
}

/* What a worker's LLVM is called is in the keys made from then on, too. */
static void learn_llvm(jc_job *j, const char *llvm) {
    jc_service *s = j->get->s;
    bool other = false;
    pthread_mutex_lock(&s->lock);
    if (strcmp(llvm, s->llvm) != 0 && strlen(llvm) < sizeof s->worker_llvm && !s->worker_llvm[0]) {
        strcpy(s->worker_llvm, llvm);
        s->llvm = s->worker_llvm;
        other = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (strcmp(j->get->llvm, llvm) != 0)
        atomic_store(&j->get->other_llvm, true);
    if (other)
        jc_log_line(s->options.log, OTHER_LLVM, llvm);
}

/* Not where all is about to be done again with other keys. */
static jitc_status go_on(jc_job *j, jc_error *err) {
    if (atomic_load(&j->get->other_llvm))
        return jc_fail(err, JITC_E_COMPILE, "the keys name LLVM %s, which is not the one that runs", j->get->llvm);
    return jc_service_go_on(j->get, err);
}

static jitc_status generate(jc_job *j, jc_arena *arena, const uint8_t **code, size_t *n, jc_error *err) {
    const jc_log *log = j->get->s->options.log;
    const jc_backend *b;
    jc_bytes kernel = JC_BYTES(arena);
    char *ir = NULL;
    JC_TRY(jc_service_backend(j->get->s, &b, err));
    if (strcmp(j->get->llvm, b->llvm_version) != 0)
        atomic_store(&j->get->other_llvm, true);
    JC_TRY(go_on(j, err));
    jc_kernel_encode(j->kernel, &kernel);
    double start = jc_now_ms();
    JC_TRY(b->compile(kernel.at, kernel.n, j->plan->name, j->target, arena, code, n,
                      log && log->debug & JC_DEBUG_LLVM ? &ir : NULL, err));
    jc_service_time(j->get, JC_PHASE_LLVM, j->plan->name, start);
    JC_LOG(log, JC_DEBUG_PASS, "pass: %s: LLVM %.1f ms, %zu bytes", j->plan->name, jc_now_ms() - start, *n);
    if (ir)
        jc_log_line(log, "%s", ir);
    return JITC_OK;
}

static jitc_status assemble(jc_job *j, jc_arena *arena, const uint8_t **code, size_t *n, jc_error *err) {
    double start = jc_now_ms();
    JC_TRY(jc_assemble((const char *)*code, *n, j->target, arena, code, n, err));
    jc_service_time(j->get, JC_PHASE_ASSEMBLE, j->plan->name, start);
    JC_LOG(j->get->s->options.log, JC_DEBUG_PASS, "pass: %s: assembler %.1f ms, %zu bytes", j->plan->name,
           jc_now_ms() - start, *n);
    return JITC_OK;
}

static jitc_status may_go_on(void *job, jc_error *err) {
    return go_on(job, err);
}

/* Both, in a process of its own.  Its time goes to the phases by what it says it took; starting it counts as LLVM's. */
static jitc_status isolated(jc_job *j, bool assembles, jc_arena *arena, const uint8_t **code, size_t *n, jc_error *err) {
    jc_isolate_answer answer = { .llvm = "" };
    jc_bytes kernel = JC_BYTES(arena);
    double start = jc_now_ms();
    jc_kernel_encode(j->kernel, &kernel);
    jc_isolate_request request = { j->plan->name, kernel.at, kernel.n, j->target, assembles };
    jitc_status status = jc_isolate_compile(&j->get->s->options.isolate, &request, may_go_on, j, arena, &answer, err);
    if (*answer.llvm)
        learn_llvm(j, answer.llvm);
    if (status != JITC_OK)
        return status;
    JC_TRY(go_on(j, err));
    if (assembles)
        jc_service_time(j->get, JC_PHASE_ASSEMBLE, j->plan->name, jc_now_ms() - answer.ms_assemble);
    jc_service_time(j->get, JC_PHASE_LLVM, j->plan->name, start + answer.ms_assemble);
    *code = answer.code;
    *n = answer.ncode;
    return JITC_OK;
}

/* What the cache calls when it has no such kernel. */
static jitc_status compile(void *user, jc_arena *arena, const uint8_t **bytes, size_t *n, jc_error *err) {
    jc_job *j = user;
    jc_service *s = j->get->s;
    jc_bytes entry = JC_BYTES(arena);
    const uint8_t *code;
    size_t ncode;
    bool gpu = jc_target_is_gpu(j->target);
    uint8_t kind = gpu ? JC_CODE_PTX : JC_CODE_OBJECT;
    JC_TRY(go_on(j, err)); /* there may have been a wait */
    bool assembles = gpu && s->have_assembler;
    if (s->options.isolate.on) {
        JC_TRY(isolated(j, assembles, arena, &code, &ncode, err));
    } else {
        JC_TRY(generate(j, arena, &code, &ncode, err));
        if (gpu)
            JC_LOG(s->options.log, JC_DEBUG_PTX, "%s", (const char *)code);
        if (assembles)
            JC_TRY(assemble(j, arena, &code, &ncode, err));
    }
    if (assembles)
        kind = JC_CODE_CUBIN;
    jc_put_u8(&entry, kind);
    jc_put(&entry, code, ncode);
    if (kind == JC_CODE_PTX) /* the driver wants it terminated */
        jc_put_u8(&entry, 0);
    *bytes = entry.at;
    *n = entry.n;
    return JITC_OK;
}

static bool stop(void *user) {
    return go_on(user, NULL) != JITC_OK;
}

void jc_job_run(jc_job *j) {
    jc_service *s = j->get->s;
    jc_cache_from from = JC_FROM_BUILD;
    const jc_cache_builder builder = { compile, stop, j };
    if ((j->status = go_on(j, &j->error)) != JITC_OK)
        return; /* before the cache knows of it: nobody waits for what will not come */
    j->status = jc_cache_get(s->cache, &j->key, &builder, &j->code, &j->ncode, &from, &j->error);
    if (j->status != JITC_OK && go_on(j, NULL) != JITC_OK)
        return; /* stopped while it waited for its turn: nothing was done that there is to tell of */
    if (j->status == JITC_OK)
        JC_LOG(s->options.log, JC_DEBUG_LOWER | JC_DEBUG_CACHE, "kernel %s: %s", j->plan->name,
               from == JC_FROM_BUILD ? "compiled" : jc_cache_from_text(from));
    pthread_mutex_lock(&s->lock);
    j->get->stats.kernels_compiled += j->status == JITC_OK && from == JC_FROM_BUILD;
    j->get->stats.kernels_hit += j->status == JITC_OK && from != JC_FROM_BUILD;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&j->get->telling);
    j->get->done++;
    if (j->get->progress && j->get->progress->done)
        j->get->progress->done(j->get->progress->user, j->get->done, j->get->total, j->plan->name);
    pthread_mutex_unlock(&j->get->telling);
}
