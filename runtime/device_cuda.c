/*
 * runtime/device_cuda.c - NVIDIA GPUs through the driver API.
 *
 * Works in the context that is current when the device is opened, if that is of the same GPU, else in the GPU's primary
 * context.  Each function makes that context current while it runs and leaves the caller's as it was.  A module's function
 * is fetched and loaded when the module is, since lazy loading inside a launch may wait for the GPU to be idle.
 * Launches and copies allocate and synchronise nothing, so they may be captured into a graph.
 *
 * Some errors mean that the context is dead (sticky errors).  The first one is kept in jc_device.lost and every later call
 * says so at once; the message names the kernel that was launched last, the likely but not certain culprit, since
 * launches are asynchronous.  The driver does not survive fork(): a child gets JITC_E_FORKED and touches nothing.
 */
#include "runtime/device.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cuda_api.h"

typedef struct cuda_device {
    jc_device d;
    jc_cuda cu;
    jc_cu_device handle;
    jc_cu_context context;
    bool started;          /* cuInit has run: the driver may have threads, so it stays mapped */
    bool retained;         /* the primary context, to be released */
    pid_t pid;
    int shared_most;       /* bytes of shared memory a block may have */
    size_t max_pitch;      /* of copies of rows */
    char name[128];
    pthread_mutex_t lock;  /* guards the module that `last` points to while its name is read */
    _Atomic(const jc_module *) last;
} cuda_device;

struct jc_module {
    jc_cu_module module;
    jc_cu_function function;
    unsigned threads, dynamic;
    char name[32];
};

static cuda_device *cuda_of(jc_device *d) {
    return (cuda_device *)d;
}

/* ---- errors ---------------------------------------------------------------------------------------------------- */

static bool is_sticky(jc_cu_result r) {
    static const int sticky[] = {
        JC_CU_DEINITIALIZED, JC_CU_ECC,   JC_CU_NVLINK,      JC_CU_ILLEGAL_ADDRESS, JC_CU_TIMEOUT,
        JC_CU_DESTROYED,     JC_CU_ASSERT, JC_CU_STACK,      JC_CU_INSTRUCTION,     JC_CU_MISALIGNED,
        JC_CU_SPACE,         JC_CU_PC,     JC_CU_LAUNCH_FAILED, JC_CU_UNKNOWN,
    };
    for (size_t i = 0; i < sizeof sticky / sizeof *sticky; i++)
        if ((int)r == sticky[i])
            return true;
    return false;
}

static const char *result_text(const jc_cuda *cu, jc_cu_result r, char out[160]) {
    const char *name = NULL, *text = NULL;
    cu->error_name(r, &name);
    cu->error_text(r, &text);
    snprintf(out, 160, "%.60s (%d): %.80s", name ? name : "unknown error", (int)r, text ? text : "no text");
    return out;
}

static jitc_status lose(cuda_device *c, jc_cu_result r, const char *doing, jc_error *err) {
    char text[160], kernel[32] = "none";
    pthread_mutex_lock(&c->lock);
    const jc_module *last = atomic_load(&c->last);
    if (last)
        memcpy(kernel, last->name, sizeof kernel);
    pthread_mutex_unlock(&c->lock);
    __atomic_store_n(&c->d.lost, JITC_E_DEVICE_LOST, __ATOMIC_RELAXED);
    return jc_fail(err, JITC_E_DEVICE_LOST,
                   "The CUDA context of %s is dead: %s failed with %s. The last kernel launched was %s; launches are "
                   "asynchronous, so an earlier one may be to blame. Restart the process.",
                   c->name, doing, result_text(&c->cu, r, text), kernel);
}

static jitc_status result(cuda_device *c, jc_cu_result r, const char *doing, jc_error *err) {
    char text[160];
    if ((int)r == JC_CU_SUCCESS)
        return JITC_OK;
    if (is_sticky(r))
        return lose(c, r, doing, err);
    return jc_fail(err, (int)r == JC_CU_OUT_OF_MEMORY ? JITC_E_NOMEM : JITC_E_DEVICE, "On %s, %s failed with %s.", c->name,
                   doing, result_text(&c->cu, r, text));
}

/* ---- entering and leaving the context -------------------------------------------------------------------------- */

/* *PUSHED: leave() has to pop. */
static jitc_status enter(cuda_device *c, bool *pushed, jc_error *err) {
    *pushed = false;
    if (getpid() != c->pid)
        return jc_fail(err, JITC_E_FORKED, "The CUDA device %s was opened before fork(), which CUDA does not survive: open it "
                       "in the child, before anything else uses CUDA, or start the child with exec.", c->name);
    if (__atomic_load_n(&c->d.lost, __ATOMIC_RELAXED) != JITC_OK)
        return jc_fail(err, JITC_E_DEVICE_LOST, "The CUDA context of %s died in an earlier call: restart the process.",
                       c->name);
    jc_cu_context current = NULL;
    if ((int)c->cu.ctx_current(&current) == JC_CU_SUCCESS && current == c->context)
        return JITC_OK;
    JC_TRY(result(c, c->cu.ctx_push(c->context), "making the context current", err));
    *pushed = true;
    return JITC_OK;
}

static void leave(const cuda_device *c, bool pushed) {
    jc_cu_context ours;
    if (pushed)
        c->cu.ctx_pop(&ours);
}

static jitc_status cuda_enter(jc_device *d, bool *pushed, jc_error *err) {
    return enter(cuda_of(d), pushed, err);
}

static void cuda_leave(jc_device *d, bool pushed) {
    leave(cuda_of(d), pushed);
}

/* One driver call within the context. */
#define WITHIN(c, err, doing, call)                                                                \
    do {                                                                                           \
        bool within_pushed;                                                                        \
        JC_TRY(enter((c), &within_pushed, (err)));                                                 \
        jitc_status within_status = result((c), (call), (doing), (err));                           \
        leave((c), within_pushed);                                                                 \
        return within_status;                                                                      \
    } while (0)

/*
 * Memory and modules, within the context.  While some thread captures a stream in the global mode (the default of frameworks), the driver
 * refuses to allocate or load in every thread that has not said that it knows, and what was captured is lost.  We do know: none of it
 * belongs to a capture, and what a captured run refers to is never freed before its frame.
 */
typedef struct beside {
    bool pushed;
    jc_cu_capture_mode mode;
} beside;

static jitc_status enter_beside(cuda_device *c, beside *b, jc_error *err) {
    JC_TRY(enter(c, &b->pushed, err));
    b->mode = (jc_cu_capture_mode)JC_CU_CAPTURE_RELAXED;
    c->cu.capture_mode(&b->mode); /* gives the thread's own back */
    return JITC_OK;
}

static void leave_beside(cuda_device *c, beside *b) {
    c->cu.capture_mode(&b->mode);
    leave(c, b->pushed);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static jc_cu_ptr address(const void *p) {
    return (jc_cu_ptr)(uintptr_t)p;
}

static jitc_status cuda_alloc(jc_device *d, size_t size, void **out, jc_error *err) {
    cuda_device *c = cuda_of(d);
    beside b;
    jc_cu_ptr at = 0;
    size_t left = 0, total = 0;
    *out = NULL;
    JC_TRY(enter_beside(c, &b, err));
    jc_cu_result r = c->cu.mem_alloc(&at, size ? size : 1); /* aligned to 256 */
    if ((int)r == JC_CU_OUT_OF_MEMORY)
        c->cu.mem_info(&left, &total);
    leave_beside(c, &b);
    if ((int)r == JC_CU_OUT_OF_MEMORY)
        return jc_fail(err, JITC_E_NOMEM, "Out of GPU memory: %zu bytes were wanted on %s, where %zu of %zu are free.", size,
                       c->name, left, total);
    JC_TRY(result(c, r, "allocating memory", err));
    *out = (void *)(uintptr_t)at;
    return JITC_OK;
}

static void cuda_free(jc_device *d, void *block) {
    cuda_device *c = cuda_of(d);
    jc_error ignored = JC_ERROR_INIT; /* nothing can be done, and what the context held is gone with it */
    beside b;
    if (!block || enter_beside(c, &b, &ignored) != JITC_OK)
        return;
    result(c, c->cu.mem_free(address(block)), "freeing memory", &ignored);
    leave_beside(c, &b);
}

static jitc_status cuda_copy_in(jc_device *d, void *dst, const void *host, size_t size, void *stream, jc_error *err) {
    if (!size)
        return JITC_OK;
    WITHIN(cuda_of(d), err, "copying to the GPU", cuda_of(d)->cu.copy_in(address(dst), host, size, stream));
}

static jitc_status cuda_copy_out(jc_device *d, void *host, const void *src, size_t size, void *stream, jc_error *err) {
    if (!size)
        return JITC_OK;
    WITHIN(cuda_of(d), err, "copying from the GPU", cuda_of(d)->cu.copy_out(host, address(src), size, stream));
}

static jitc_status cuda_copy(jc_device *d, void *dst, const void *src, size_t size, void *stream, jc_error *err) {
    if (!size)
        return JITC_OK;
    WITHIN(cuda_of(d), err, "copying", cuda_of(d)->cu.copy(address(dst), address(src), size, stream));
}

static jitc_status cuda_copy_rows(jc_device *d, void *dst, const void *src, size_t size, size_t pitch, size_t n, void *stream,
                                  jc_error *err) {
    cuda_device *c = cuda_of(d);
    jc_cu_copy_2d all = { .src_type = JC_CU_MEMORY_DEVICE, .src = address(src), .src_pitch = pitch, .dst_type = JC_CU_MEMORY_DEVICE,
                          .dst = address(dst), .dst_pitch = pitch, .width = size, .height = n };
    if (!size || !n)
        return JITC_OK;
    for (size_t i = 0; i < n && pitch > c->max_pitch; i++)
        JC_TRY(cuda_copy(d, (uint8_t *)dst + i * pitch, (const uint8_t *)src + i * pitch, size, stream, err));
    if (pitch > c->max_pitch)
        return JITC_OK;
    WITHIN(c, err, "copying rows", c->cu.copy_rows((const struct CUDA_MEMCPY2D_st *)(const void *)&all, stream));
}

static jitc_status cuda_fill(jc_device *d, void *dst, int byte, size_t size, void *stream, jc_error *err) {
    if (!size)
        return JITC_OK;
    WITHIN(cuda_of(d), err, "filling memory", cuda_of(d)->cu.fill(address(dst), (unsigned char)byte, size, stream));
}

static jitc_status cuda_sync(jc_device *d, void *stream, jc_error *err) {
    WITHIN(cuda_of(d), err, "waiting for the stream", cuda_of(d)->cu.stream_sync(stream));
}

/* ---- modules --------------------------------------------------------------------------------------------------- */

static jitc_status load_code(cuda_device *c, const jc_code *code, jc_module *m, jc_error *err) {
    char log[512] = "";
    jc_cu_jit_option options[] = { JC_CU_JIT_LOG, JC_CU_JIT_LOG_SIZE };
    void *values[] = { log, (void *)(uintptr_t)(sizeof log - 1) };
    jc_cu_result r = c->cu.module_load(&m->module, code->bytes, 2, options, values);
    if ((int)r == JC_CU_SUCCESS)
        return JITC_OK;
    if (is_sticky(r))
        return lose(c, r, "loading a kernel", err);
    char text[160];
    int version = 0;
    c->cu.driver_version(&version);
    return jc_fail(err, (int)r == JC_CU_OUT_OF_MEMORY ? JITC_E_NOMEM : JITC_E_DEVICE,
                   "Kernel %s could not be loaded on %s (sm_%u, driver for CUDA %d.%d): %s.%s%s", m->name, c->name,
                   c->d.target.sm, version / 1000, version % 1000 / 10, result_text(&c->cu, r, text),
                   log[0] ? " The driver says: " : "", log);
}

/* Fetches the function and has the driver load it now. */
static jitc_status prepare_function(cuda_device *c, jc_module *m, unsigned shared, jc_error *err) {
    int fixed = 0, most = 0;
    JC_TRY(result(c, c->cu.module_function(&m->function, m->module, m->name), "looking up a kernel", err));
    if (c->cu.func_load)
        JC_TRY(result(c, c->cu.func_load(m->function), "loading a kernel", err));
    JC_TRY(result(c, c->cu.func_get(&fixed, JC_CU_FUNC_SHARED, m->function), "asking for shared memory", err));
    JC_TRY(result(c, c->cu.func_get(&most, JC_CU_FUNC_MAX_THREADS, m->function), "asking for the block size", err));
    if (m->threads > (unsigned)most)
        return jc_fail(err, JITC_E_DEVICE, "Kernel %s needs blocks of %u threads; %s runs it with at most %d.", m->name,
                       m->threads, c->name, most);
    if (shared > (unsigned)c->shared_most)
        return jc_fail(err, JITC_E_DEVICE, "Kernel %s needs %u bytes of shared memory; %s has %d per block.", m->name, shared,
                       c->name, c->shared_most);
    /* What the code does not hold as static is given at launch; more than 48 KiB only exist that way. */
    m->dynamic = shared > (unsigned)fixed ? shared - (unsigned)fixed : 0;
    if (m->dynamic)
        JC_TRY(result(c, c->cu.func_set(m->function, JC_CU_FUNC_MAX_DYNAMIC, (int)m->dynamic), "reserving shared memory",
                      err));
    return JITC_OK;
}

static void cuda_module_free(jc_device *d, jc_module *m) {
    cuda_device *c = cuda_of(d);
    jc_error ignored = JC_ERROR_INIT;
    beside b;
    if (!m)
        return;
    pthread_mutex_lock(&c->lock);
    const jc_module *last = m;
    atomic_compare_exchange_strong(&c->last, &last, NULL);
    pthread_mutex_unlock(&c->lock);
    if (m->module && enter_beside(c, &b, &ignored) == JITC_OK) {
        result(c, c->cu.module_unload(m->module), "unloading a kernel", &ignored);
        leave_beside(c, &b);
    }
    d->alloc->free(d->alloc->user, m, sizeof *m);
}

static jitc_status cuda_module_load(jc_device *d, const jc_code *code, const jc_plan_kernel *kernel, jc_module **out,
                                    jc_error *err) {
    cuda_device *c = cuda_of(d);
    beside b;
    *out = NULL;
    if (code->kind != JC_CODE_CUBIN && code->kind != JC_CODE_PTX)
        return jc_fail(err, JITC_E_UNSUPPORTED, "Kernel %.31s holds no GPU code.", kernel->name);
    /* PTX is text for the driver: it must end somewhere. */
    if (code->kind == JC_CODE_PTX && (!code->nbytes || code->bytes[code->nbytes - 1]))
        return jc_fail(err, JITC_E_INPUT, "The PTX of kernel %.31s is not terminated.", kernel->name);
    JC_TRY(enter_beside(c, &b, err));
    jc_module *m = d->alloc->alloc(d->alloc->user, sizeof *m);
    jitc_status status = m ? JITC_OK : jc_fail(err, JITC_E_NOMEM, "Out of memory while loading kernel %.31s.", kernel->name);
    if (m) {
        *m = (jc_module){ .threads = kernel->threads };
        memcpy(m->name, kernel->name, sizeof m->name);
        m->name[sizeof m->name - 1] = '\0';
        status = load_code(c, code, m, err);
        if (status == JITC_OK)
            status = prepare_function(c, m, kernel->shared, err);
    }
    leave_beside(c, &b);
    if (status != JITC_OK)
        cuda_module_free(d, m);
    else
        *out = m;
    return status;
}

static jitc_status cuda_launch(jc_device *d, jc_module *m, int64_t blocks, void *const *args, void *stream, jc_error *err) {
    cuda_device *c = cuda_of(d);
    if (blocks > INT32_MAX)
        return jc_fail(err, JITC_E_INPUT, "Kernel %s would need %lld blocks; a grid has at most 2147483647.", m->name,
                       (long long)blocks);
    atomic_store_explicit(&c->last, m, memory_order_relaxed);
    WITHIN(c, err, "launching a kernel",
           c->cu.launch(m->function, (unsigned)blocks, 1, 1, m->threads, 1, 1, m->dynamic, stream, (void **)args, NULL));
}

/* ---- captures --------------------------------------------------------------------------------------------------- */

/* The graph under capture gets an object of its own, which the driver hands on to all that is made of the graph and destroys with the last. */
static jitc_status hold(cuda_device *c, jc_cu_stream stream, void (*release)(void *), void *user, uint64_t *capture, jc_error *err) {
    jc_cu_capture_status under = 0;
    jc_cu_graph graph = NULL;
    jc_cu_object object = NULL;
    uint64_t id = 0;
    /* What fails here is a stream that cannot be asked now, or a context that is dead: the run itself will say so. */
    const bool known = (int)c->cu.capture_info(stream, &under, &id, &graph, NULL, NULL) == JC_CU_SUCCESS;
    if (!known || (int)under != JC_CU_CAPTURE_ACTIVE)
        id = 0;
    if (id && id != *capture) {
        JC_TRY(result(c, c->cu.object_new(&object, user, release, 1, JC_CU_OBJECT_NO_SYNC), "making an object of a graph", err));
        JC_TRY(result(c, c->cu.graph_hold(graph, object, 1, JC_CU_OBJECT_MOVE), "handing an object to a graph", err));
    }
    *capture = id;
    return JITC_OK;
}

static jitc_status cuda_hold(jc_device *d, void *stream, void (*release)(void *), void *user, uint64_t *capture, jc_error *err) {
    cuda_device *c = cuda_of(d);
    bool pushed;
    if (!c->cu.capture_info || !c->cu.object_new || !c->cu.graph_hold) { /* a driver from before CUDA 11.3 */
        *capture = 0;
        return JITC_OK;
    }
    JC_TRY(enter(c, &pushed, err));
    jitc_status status = hold(c, stream, release, user, capture, err);
    leave(c, pushed);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static void cuda_close(jc_device *d) {
    cuda_device *c = cuda_of(d);
    if (c->retained && getpid() == c->pid)
        c->cu.primary_release(c->handle);
    if (!c->started)
        jc_cuda_unload(&c->cu);
    pthread_mutex_destroy(&c->lock);
    d->alloc->free(d->alloc->user, c, sizeof *c);
}

static const jc_device_ops cuda_ops = {
    .name = "cuda",
    .alloc = cuda_alloc,
    .free = cuda_free,
    .copy_in = cuda_copy_in,
    .copy_out = cuda_copy_out,
    .copy = cuda_copy,
    .copy_rows = cuda_copy_rows,
    .fill = cuda_fill,
    .sync = cuda_sync,
    .module_load = cuda_module_load,
    .module_free = cuda_module_free,
    .launch = cuda_launch,
    .enter = cuda_enter,
    .leave = cuda_leave,
    .hold = cuda_hold,
    .close = cuda_close,
};

static jitc_status find_device(cuda_device *c, int ordinal, jc_error *err) {
    int count = 0;
    char text[160];
    jc_cu_result r = c->cu.init(0);
    c->started = true;
    if ((int)r != JC_CU_SUCCESS && (int)r != JC_CU_NO_DEVICE)
        return jc_fail(err, JITC_E_DEVICE, "The CUDA driver does not start: %s.", result_text(&c->cu, r, text));
    if ((int)r == JC_CU_SUCCESS)
        JC_TRY(result(c, c->cu.device_count(&count), "counting devices", err));
    if (ordinal >= count)
        return jc_fail(err, JITC_E_DEVICE, "There is no device cuda:%d: the driver shows %d GPU%s%s.", ordinal, count,
                       count == 1 ? "" : "s", count ? ", counted from 0" : " (see CUDA_VISIBLE_DEVICES)");
    JC_TRY(result(c, c->cu.device_get(&c->handle, ordinal), "opening the device", err));
    char name[96] = "GPU";
    c->cu.device_name(name, sizeof name, c->handle);
    name[sizeof name - 1] = '\0';
    snprintf(c->name, sizeof c->name, "cuda:%d (%s)", ordinal, name);
    return JITC_OK;
}

static jitc_status read_target(cuda_device *c, jc_error *err) {
    int major = 0, minor = 0, pitch = 0;
    const char *oldest;
    JC_TRY(result(c, c->cu.device_attribute(&major, JC_CU_CC_MAJOR, c->handle), "asking for the architecture", err));
    JC_TRY(result(c, c->cu.device_attribute(&minor, JC_CU_CC_MINOR, c->handle), "asking for the architecture", err));
    JC_TRY(result(c, c->cu.device_attribute(&c->shared_most, JC_CU_SHARED_OPTIN, c->handle), "asking for shared memory",
                  err));
    JC_TRY(result(c, c->cu.device_attribute(&pitch, JC_CU_MAX_PITCH, c->handle), "asking for the largest pitch", err));
    c->max_pitch = pitch > 0 ? (size_t)pitch : 0;
    if (!jc_target_of_gpu(major, minor, &c->d.target, &oldest))
        return jc_fail(err, JITC_E_DEVICE, "%s is sm_%d%d; %s or newer is needed.", c->name, major, minor, oldest);
    return JITC_OK;
}

static jitc_status choose_context(cuda_device *c, jc_error *err) {
    jc_cu_context current = NULL;
    jc_cu_device device = 0;
    if ((int)c->cu.ctx_current(&current) == JC_CU_SUCCESS && current &&
        (int)c->cu.ctx_device(&device) == JC_CU_SUCCESS && device == c->handle) {
        c->context = current;
        return JITC_OK;
    }
    JC_TRY(result(c, c->cu.primary_retain(&c->context, c->handle), "opening the primary context", err));
    c->retained = true;
    return JITC_OK;
}

jitc_status jc_device_open_cuda(int ordinal, const jc_alloc *a, const jc_log *log, jc_device **out, jc_error *err) {
    cuda_device *c = a->alloc(a->user, sizeof *c);
    if (!c)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while opening cuda:%d.", ordinal);
    memset(c, 0, sizeof *c);
    c->d = (jc_device){ .ops = &cuda_ops, .dl = { kDLCUDA, ordinal }, .alloc = a, .log = log };
    c->pid = getpid();
    snprintf(c->name, sizeof c->name, "cuda:%d", ordinal);
    pthread_mutex_init(&c->lock, NULL);
    jitc_status status = jc_cuda_load(&c->cu, err);
    if (status == JITC_OK)
        status = find_device(c, ordinal, err);
    if (status == JITC_OK)
        status = read_target(c, err);
    if (status == JITC_OK)
        status = choose_context(c, err);
    if (status != JITC_OK) {
        cuda_close(&c->d);
        return status;
    }
    *out = &c->d;
    return JITC_OK;
}
