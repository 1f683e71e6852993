/*
 * runtime/device_sim.c - the simulated GPU: the nvptx schedule in host memory, with every access checked.
 *
 * Blocks that alloc() gave out are remembered; a launch without ranges may touch all of them, one with ranges (the
 * executor's) only what it names.  The simulator itself is sim.c.
 */
#include "runtime/device_mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/sim.h"

typedef struct block {
    void *at;
    size_t size;
    struct block *next;
} block;

typedef struct sim_device {
    jc_device d;
    uint64_t seed;
    pthread_mutex_t lock;
    block *blocks; /* live ones */
    uint32_t nblocks;
} sim_device;

struct jc_module {
    jc_loaded *code;
    jc_sim_kernel run;
    jc_plan_kernel kernel;
};

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static jitc_status sim_alloc(jc_device *d, size_t size, void **out, jc_error *err) {
    sim_device *s = (sim_device *)d;
    JC_TRY(jc_mem_alloc(d, size, out, err));
    block *b = jc_mem_object(d->alloc, sizeof *b);
    if (!b) {
        jc_mem_free(d, *out);
        *out = NULL;
        return jc_fail(err, JITC_E_NOMEM, "Out of memory: %zu bytes were wanted for tensors.", size);
    }
    pthread_mutex_lock(&s->lock);
    *b = (block){ *out, size, s->blocks };
    s->blocks = b;
    s->nblocks++;
    pthread_mutex_unlock(&s->lock);
    return JITC_OK;
}

static void sim_free(jc_device *d, void *at) {
    sim_device *s = (sim_device *)d;
    block *found = NULL;
    pthread_mutex_lock(&s->lock);
    for (block **b = &s->blocks; *b && !found; b = found ? b : &(*b)->next)
        if ((*b)->at == at) {
            found = *b;
            *b = found->next;
            s->nblocks--;
        }
    pthread_mutex_unlock(&s->lock);
    if (found)
        d->alloc->free(d->alloc->user, found, sizeof *found);
    jc_mem_free(d, at);
}

/* ---- modules --------------------------------------------------------------------------------------------------- */

static void module_free(jc_device *d, jc_module *m) {
    if (!m)
        return;
    jc_loaded_free(m->code);
    d->alloc->free(d->alloc->user, m, sizeof *m);
}

static jitc_status module_load(jc_device *d, const jc_code *code, const jc_plan_kernel *kernel, jc_module **out,
                               jc_error *err) {
    *out = NULL;
    if (code->kind != JC_CODE_OBJECT)
        return jc_fail(err, JITC_E_UNSUPPORTED, "Kernel %s holds no object code, so it cannot run on sim.", kernel->name);
    jc_module *m = jc_mem_object(d->alloc, sizeof *m);
    if (!m)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while loading kernel %s.", kernel->name);
    m->kernel = *kernel;
    jitc_status status =
        jc_load_object(code->bytes, code->nbytes, jc_sim_symbols, jc_sim_nsymbols, d->alloc, &m->code, err);
    if (status == JITC_OK) {
        union {
            void *object;
            jc_sim_kernel function;
        } at = { jc_loaded_symbol(m->code, kernel->name) };
        m->run = at.function;
        if (!at.object)
            status = jc_fail(err, JITC_E_INPUT, "The object code of kernel %s has no such function.", kernel->name);
    }
    if (status != JITC_OK) {
        module_free(d, m);
        return status;
    }
    *out = m;
    return JITC_OK;
}

/* ---- launches -------------------------------------------------------------------------------------------------- */

static jitc_status run(const sim_device *s, const jc_module *m, int64_t blocks, void *const *args,
                       const jc_sim_range *ranges, uint32_t nranges, jc_error *err) {
    jc_sim_launch l = { .name = m->kernel.name, .kernel = m->run, .args = args, .blocks = blocks,
                        .threads = m->kernel.threads, .shared = m->kernel.shared, .seed = s->seed, .ranges = ranges,
                        .nranges = nranges };
    return jc_sim_run(&l, err);
}

static jitc_status launch_checked(jc_device *d, jc_module *m, int64_t blocks, void *const *args,
                                  const jc_device_range *given, uint32_t n, void *stream, jc_error *err) {
    (void)stream;
    size_t size = (n ? n : 1) * sizeof(jc_sim_range);
    jc_sim_range *ranges = jc_mem_object(d->alloc, size);
    if (!ranges)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while launching kernel %s.", m->kernel.name);
    for (uint32_t i = 0; i < n; i++)
        ranges[i] = (jc_sim_range){ given[i].at, given[i].size, given[i].written };
    jitc_status status = run((sim_device *)d, m, blocks, args, ranges, n, err);
    d->alloc->free(d->alloc->user, ranges, size);
    return status;
}

static jitc_status launch(jc_device *d, jc_module *m, int64_t blocks, void *const *args, void *stream, jc_error *err) {
    (void)stream;
    sim_device *s = (sim_device *)d;
    pthread_mutex_lock(&s->lock);
    size_t size = (s->nblocks + 1) * sizeof(jc_sim_range);
    jc_sim_range *ranges = jc_mem_object(d->alloc, size);
    uint32_t n = 0;
    for (const block *b = s->blocks; ranges && b; b = b->next)
        ranges[n++] = (jc_sim_range){ b->at, b->size, true };
    pthread_mutex_unlock(&s->lock);
    if (!ranges)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while launching kernel %s.", m->kernel.name);
    jitc_status status = run(s, m, blocks, args, ranges, n, err);
    d->alloc->free(d->alloc->user, ranges, size);
    return status;
}

static void sim_close(jc_device *d) {
    sim_device *s = (sim_device *)d;
    while (s->blocks)
        sim_free(d, s->blocks->at);
    pthread_mutex_destroy(&s->lock);
    d->alloc->free(d->alloc->user, s, sizeof *s);
}

static const jc_device_ops sim_ops = {
    .name = "sim",
    .alloc = sim_alloc,
    .free = sim_free,
    .copy_in = jc_mem_copy_in,
    .copy_out = jc_mem_copy_out,
    .copy = jc_mem_copy,
    .copy_rows = jc_mem_copy_rows,
    .fill = jc_mem_fill,
    .sync = jc_mem_sync,
    .module_load = module_load,
    .module_free = module_free,
    .launch = launch,
    .launch_checked = launch_checked,
    .close = sim_close,
};

jitc_status jc_device_open_sim(const jc_device_options *o, const jc_alloc *a, const jc_log *log, jc_device **out,
                               jc_error *err) {
    char target[64] = "sim";
    if (o && o->sim_arch)
        snprintf(target, sizeof target, "sim:%s", o->sim_arch);
    sim_device *s = jc_mem_object(a, sizeof *s);
    if (!s)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while opening the simulator.");
    s->d = (jc_device){ .ops = &sim_ops, .dl = { kDLCPU, 0 }, .alloc = a, .log = log };
    s->seed = o ? o->sim_seed : 0;
    pthread_mutex_init(&s->lock, NULL);
    jitc_status status = jc_target_parse(target, &s->d.target, err);
    if (status != JITC_OK) {
        sim_close(&s->d);
        return status;
    }
    *out = &s->d;
    return JITC_OK;
}
