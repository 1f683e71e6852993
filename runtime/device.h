/*
 * runtime/device.h - where executables run: memory, modules, launches.
 *
 * One table of functions per kind of device; `host` and `sim` work in host memory, `cuda` by the driver API, which is
 * opened with dlopen on first use.  A device belongs to a context; calls are safe from several threads unless noted.
 */
#ifndef JC_DEVICE_H
#define JC_DEVICE_H

#include "base/arena.h"
#include "base/debug.h"
#include "jitc/dlpack.h"
#include "plan/plan.h"

typedef struct jc_device jc_device;
typedef struct jc_module jc_module; /* the loaded code of one kernel */

/* Memory that one launch may touch: the whole input or buffer behind each of its pointers. */
typedef struct jc_device_range {
    const void *at;
    size_t size;
    bool written; /* may be stored to */
} jc_device_range;

typedef struct jc_device_ops {
    const char *name; /* "host", "cuda", "sim" */
    jitc_status (*alloc)(jc_device *d, size_t size, void **out, jc_error *err); /* 256-byte aligned; size 0 is fine */
    void (*free)(jc_device *d, void *block);
    /* Asynchronous on STREAM where the device has streams. */
    jitc_status (*copy_in)(jc_device *d, void *dst, const void *host, size_t size, void *stream, jc_error *err);
    jitc_status (*copy_out)(jc_device *d, void *host, const void *src, size_t size, void *stream, jc_error *err);
    jitc_status (*copy)(jc_device *d, void *dst, const void *src, size_t size, void *stream, jc_error *err);
    /* N rows of SIZE bytes that begin every PITCH (>= SIZE) bytes, on both sides. */
    jitc_status (*copy_rows)(jc_device *d, void *dst, const void *src, size_t size, size_t pitch, size_t n, void *stream,
                             jc_error *err);
    jitc_status (*fill)(jc_device *d, void *dst, int byte, size_t size, void *stream, jc_error *err);
    jitc_status (*sync)(jc_device *d, void *stream, jc_error *err);
    /* Loads the code of one kernel; NAME is the symbol, SHARED the static shared memory, THREADS the block size. */
    jitc_status (*module_load)(jc_device *d, const jc_code *code, const jc_plan_kernel *kernel, jc_module **out,
                               jc_error *err);
    void (*module_free)(jc_device *d, jc_module *m);
    /* ARGS[i] points to the value of argument i. BLOCKS > 0. */
    jitc_status (*launch)(jc_device *d, jc_module *m, int64_t blocks, void *const *args, void *stream, jc_error *err);
    /* The same for a device that checks accesses; NULL: it does not.  Its launch() allows all that alloc() gave out. */
    jitc_status (*launch_checked)(jc_device *d, jc_module *m, int64_t blocks, void *const *args,
                                  const jc_device_range *ranges, uint32_t nranges, void *stream, jc_error *err);
    /* Optional: makes the device's context current around a run, so that custom operators find it; *PUSHED tells leave()
       whether to put the caller's back. */
    jitc_status (*enter)(jc_device *d, bool *pushed, jc_error *err);
    void (*leave)(jc_device *d, bool pushed);
    /* Optional: see jitc_frame_capture(). */
    jitc_status (*hold)(jc_device *d, void *stream, void (*release)(void *), void *user, uint64_t *capture, jc_error *err);
    void (*close)(jc_device *d);
} jc_device_ops;

struct jc_device {
    const jc_device_ops *ops;
    DLDevice dl;         /* kDLCPU for host and sim */
    jc_target target;    /* what to compile for by default */
    const jc_alloc *alloc;
    const jc_log *log;
    jitc_status lost;    /* cuda: latched after a sticky error */
};

/* "host", "sim", "cuda", "cuda:1".  JITC_E_DEVICE with what was tried when there is no such device.  THREADS: how many threads a host
   launch may use (0: one per core; no options at all: one). SIM_SEED: order of threads in `sim`. */
typedef struct jc_device_options {
    unsigned threads;
    uint64_t sim_seed;
    const char *sim_arch; /* NULL: "sm_80" */
} jc_device_options;
jitc_status jc_device_open(const char *name, const jc_device_options *options, const jc_alloc *alloc, const jc_log *log,
                           jc_device **out, jc_error *err);
void jc_device_close(jc_device *d); /* NULL is allowed */

/* One constructor per kind, used by jc_device_open. */
jitc_status jc_device_open_host(const jc_device_options *o, const jc_alloc *a, const jc_log *log, jc_device **out, jc_error *err);
jitc_status jc_device_open_sim(const jc_device_options *o, const jc_alloc *a, const jc_log *log, jc_device **out, jc_error *err);
jitc_status jc_device_open_cuda(int ordinal, const jc_alloc *a, const jc_log *log, jc_device **out, jc_error *err);

#endif
