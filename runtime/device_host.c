/*
 * runtime/device_host.c - the CPU: kernels are functions over a range of blocks, loaded from relocatable objects.
 *
 * How long a block takes is not known beforehand, so a launch that may use threads first runs a small part of its
 * blocks and times it; only when what is left would take long compared with starting threads does it share the rest out.
 */
#include "runtime/device_mem.h"

#include "base/pool.h"
#include "runtime/loader.h"

#define THREADS_PAY_MS 0.25 /* work left that makes starting threads (some 20 us each) worth while */
#define FEW 4               /* blocks that are not worth looking at the clock for */
#define SHARES 4            /* per thread: evens out blocks of unequal length */

typedef void (*host_kernel)(void *const *args, int64_t first, int64_t last);

typedef struct host_device {
    jc_device d;
    unsigned threads;
} host_device;

struct jc_module {
    jc_loaded *code;
    host_kernel run;
};

static jitc_status module_load(jc_device *d, const jc_code *code, const jc_plan_kernel *kernel, jc_module **out,
                               jc_error *err) {
    *out = NULL;
    if (code->kind != JC_CODE_OBJECT)
        return jc_fail(err, JITC_E_UNSUPPORTED, "Kernel %s holds no object code, so it cannot run on the host.", kernel->name);
    jc_module *m = jc_mem_object(d->alloc, sizeof *m);
    if (!m)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while loading kernel %s.", kernel->name);
    jitc_status status = jc_load_object(code->bytes, code->nbytes, NULL, 0, d->alloc, &m->code, err);
    if (status == JITC_OK) {
        union {
            void *object;
            host_kernel function;
        } at = { jc_loaded_symbol(m->code, kernel->name) };
        m->run = at.function;
        if (!at.object)
            status = jc_fail(err, JITC_E_INPUT, "The object code of kernel %s has no such function.", kernel->name);
    }
    if (status != JITC_OK) {
        d->ops->module_free(d, m);
        return status;
    }
    *out = m;
    return JITC_OK;
}

static void module_free(jc_device *d, jc_module *m) {
    if (!m)
        return;
    jc_loaded_free(m->code);
    d->alloc->free(d->alloc->user, m, sizeof *m);
}

typedef struct rest {
    host_kernel run;
    void *const *args;
    int64_t first, blocks, share;
} rest;

static void run_share(void *user, size_t index) {
    const rest *r = user;
    int64_t from = r->first + (int64_t)index * r->share;
    int64_t to = r->blocks - from < r->share ? r->blocks : from + r->share;
    r->run(r->args, from, to);
}

static jitc_status launch(jc_device *d, jc_module *m, int64_t blocks, void *const *args, void *stream, jc_error *err) {
    (void)stream, (void)err;
    unsigned threads = ((host_device *)d)->threads;
    if (threads <= 1 || blocks < FEW) {
        m->run(args, 0, blocks);
        return JITC_OK;
    }
    int64_t done = 0, probe = (blocks + 63) / 64;
    double start = jc_now_ms(), spent = 0;
    do {
        int64_t to = done + probe < blocks ? done + probe : blocks;
        m->run(args, done, to);
        done = to;
        spent = jc_now_ms() - start;
        probe *= 2;
    } while (done < blocks && spent < THREADS_PAY_MS / 16);
    if (done == blocks)
        return JITC_OK;
    if (spent / (double)done * (double)(blocks - done) < THREADS_PAY_MS) {
        m->run(args, done, blocks);
        return JITC_OK;
    }
    rest r = { m->run, args, done, blocks, (blocks - done + threads * SHARES - 1) / (threads * SHARES) };
    jc_pool_run(threads, (size_t)((blocks - done + r.share - 1) / r.share), run_share, &r);
    return JITC_OK;
}

static void host_close(jc_device *d) {
    d->alloc->free(d->alloc->user, d, sizeof(host_device));
}

static const jc_device_ops host_ops = {
    .name = "host",
    .alloc = jc_mem_alloc,
    .free = jc_mem_free,
    .copy_in = jc_mem_copy_in,
    .copy_out = jc_mem_copy_out,
    .copy = jc_mem_copy,
    .copy_rows = jc_mem_copy_rows,
    .fill = jc_mem_fill,
    .sync = jc_mem_sync,
    .module_load = module_load,
    .module_free = module_free,
    .launch = launch,
    .close = host_close,
};

jitc_status jc_device_open_host(const jc_device_options *o, const jc_alloc *a, const jc_log *log, jc_device **out,
                                jc_error *err) {
    host_device *h = jc_mem_object(a, sizeof *h);
    if (!h)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while opening the host device.");
    h->d = (jc_device){ .ops = &host_ops, .dl = { kDLCPU, 0 }, .alloc = a, .log = log };
    h->threads = !o ? 1 : o->threads ? o->threads : jc_pool_cores();
    jitc_status status = jc_target_parse("host", &h->d.target, err);
    if (status != JITC_OK) {
        host_close(&h->d);
        return status;
    }
    *out = &h->d;
    return JITC_OK;
}
