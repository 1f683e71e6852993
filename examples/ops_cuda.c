/*
 * examples/ops_cuda.c - host operators for device tensors: copy in, compute, copy back.
 *
 * It is for checking numbers, not for speed: every call waits for its stream.  Operands that overlap in device memory, as
 * queries and keys cut from one buffer do, share one host image, so what is written to one is not lost when the other is
 * copied back.  The driver is opened when it is first needed; a run that is being captured into a CUDA graph cannot
 * wait, and is told so by the driver.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops_tiny.h"

/* ---- the driver ---- */

typedef int (*memcpy_to_host)(void *to, unsigned long long from, size_t bytes, void *stream);
typedef int (*memcpy_to_device)(unsigned long long to, const void *from, size_t bytes, void *stream);
typedef int (*synchronize)(void *stream);

static struct {
    pthread_once_t once;
    memcpy_to_host to_host;
    memcpy_to_device to_device;
    synchronize wait;
} driver = { .once = PTHREAD_ONCE_INIT };

static void open_driver(void) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL); /* stays: CUDA does not survive being closed */
    if (!library)
        return;
    driver.to_host = (memcpy_to_host)dlsym(library, "cuMemcpyDtoHAsync_v2");
    driver.to_device = (memcpy_to_device)dlsym(library, "cuMemcpyHtoDAsync_v2");
    driver.wait = (synchronize)dlsym(library, "cuStreamSynchronize");
}

/* ---- images of device memory ---- */

typedef struct image {
    uintptr_t lo, hi;
    char *host; /* of an image that others were merged into; NULL for those */
    bool written;
} image;

#define MAX_TENSORS 128

typedef struct transfer {
    tiny_scratch *s;
    void *stream;
    image images[MAX_TENSORS];
    uint32_t n;
} transfer;

/* Merges the tensor's bytes with the images that they overlap. */
static void add_range(transfer *t, const DLTensor *tensor, bool written) {
    uintptr_t lo = (uintptr_t)tensor->data + tensor->byte_offset;
    image all = { .lo = lo, .hi = lo + (uintptr_t)tiny_bytes(tensor), .written = written };
    uint32_t kept = 0;
    if (all.lo == all.hi)
        return;
    for (uint32_t k = 0; k < t->n; k++) {
        image *i = &t->images[k];
        if (i->lo < all.hi && all.lo < i->hi) {
            all.lo = i->lo < all.lo ? i->lo : all.lo;
            all.hi = i->hi > all.hi ? i->hi : all.hi;
            all.written |= i->written;
        } else {
            t->images[kept++] = *i;
        }
    }
    if (tiny_expect(t->s, kept < MAX_TENSORS, "The operator has too many tensors to copy from the device.")) {
        t->images[kept++] = all;
        t->n = kept;
    }
}

static void add_value(transfer *t, const jitc_value *v, bool written) {
    if (v->tag == JITC_TENSOR && v->tensor)
        add_range(t, v->tensor, written);
    for (uint32_t k = 0; k < v->n && v->tag == JITC_LIST; k++)
        add_value(t, &v->list[k], written);
    for (uint32_t k = 0; k < v->n && v->tag == JITC_DICT; k++)
        add_value(t, &v->dict[k].value, written);
}

static void driver_failed(transfer *t, const char *what, int code) {
    char text[128];
    snprintf(text, sizeof text, "%s the device failed with CUDA error %d.", what, code);
    tiny_expect(t->s, false, text);
}

static void copy_in(transfer *t) {
    for (uint32_t k = 0; k < t->n; k++) {
        image *i = &t->images[k];
        i->host = (char *)tiny_alloc(t->s, (int64_t)((i->hi - i->lo + 7) / 8));
        if (t->s->failed)
            return;
        int code = driver.to_host(i->host, i->lo, i->hi - i->lo, t->stream);
        if (code)
            driver_failed(t, "Copying from", code);
    }
    int code = driver.wait(t->stream);
    if (code)
        driver_failed(t, "Waiting for", code);
}

static void copy_out(transfer *t) {
    for (uint32_t k = 0; k < t->n; k++) {
        const image *i = &t->images[k];
        int code = i->written ? driver.to_device(i->lo, i->host, i->hi - i->lo, t->stream) : 0;
        if (code)
            driver_failed(t, "Copying to", code);
    }
    int code = driver.wait(t->stream); /* before the host memory goes */
    if (code)
        driver_failed(t, "Waiting for", code);
}

/* ---- the call on the host ---- */

static void *scratch(transfer *t, size_t bytes) {
    return tiny_alloc(t->s, (int64_t)((bytes + 7) / 8));
}

static DLTensor *host_tensor(transfer *t, const DLTensor *tensor) {
    DLTensor *out = scratch(t, sizeof *out);
    uintptr_t at = (uintptr_t)tensor->data + tensor->byte_offset;
    static char nothing[8];
    if (!out)
        return NULL;
    *out = *tensor;
    out->device = (DLDevice){ .device_type = kDLCPU };
    out->byte_offset = 0;
    out->data = nothing; /* of a tensor without elements */
    for (uint32_t k = 0; k < t->n; k++) {
        if (at >= t->images[k].lo && at < t->images[k].hi && tiny_bytes(tensor) > 0)
            out->data = t->images[k].host + (at - t->images[k].lo);
    }
    return out;
}

static jitc_value host_value(transfer *t, const jitc_value *v) {
    jitc_value out = *v;
    if (v->tag == JITC_TENSOR && v->tensor) {
        out.tensor = host_tensor(t, v->tensor);
    } else if (v->tag == JITC_LIST) {
        jitc_value *at = scratch(t, v->n * sizeof *at);
        for (uint32_t k = 0; at && k < v->n; k++)
            at[k] = host_value(t, &v->list[k]);
        out.list = at;
    } else if (v->tag == JITC_DICT) {
        jitc_entry *at = scratch(t, v->n * sizeof *at);
        for (uint32_t k = 0; at && k < v->n; k++)
            at[k] = (jitc_entry){ v->dict[k].key, host_value(t, &v->dict[k].value) };
        out.dict = at;
    }
    return out;
}

static void call_on_host(transfer *t, const jitc_call *call, const tiny_op *op) {
    jitc_call host = *call;
    jitc_value *args = scratch(t, call->nargs * sizeof *args);
    DLTensor **results = scratch(t, call->nresults * sizeof *results);
    for (uint32_t k = 0; k < call->nargs && !t->s->failed; k++)
        args[k] = host_value(t, &call->args[k]);
    for (uint32_t k = 0; k < call->nresults && !t->s->failed; k++)
        results[k] = host_tensor(t, call->results[k]);
    if (t->s->failed)
        return;
    host.args = args;
    host.results = results;
    host.device = (DLDevice){ .device_type = kDLCPU };
    host.stream = NULL;
    if (op->frame(&host) != 0)
        t->s->failed = true; /* the operator has written its sentence */
}

int tiny_on_device(jitc_call *call) {
    const tiny_op *op = call->user;
    tiny_scratch s = { .call = call };
    pthread_once(&driver.once, open_driver);
    if (!tiny_expect(&s, driver.to_host && driver.to_device && driver.wait, "libcuda.so.1 cannot be opened."))
        return tiny_end(&s);
    transfer *t = (transfer *)tiny_alloc(&s, (int64_t)((sizeof *t + 7) / 8));
    if (!t)
        return tiny_end(&s);
    t->s = &s;
    t->stream = call->stream;
    for (uint32_t k = 0; k < call->nargs; k++)
        add_value(t, &call->args[k], op->writes >> (k < 64 ? k : 63) & 1);
    for (uint32_t k = 0; k < call->nresults; k++)
        add_range(t, call->results[k], true);
    if (!s.failed)
        copy_in(t);
    if (!s.failed)
        call_on_host(t, call, op);
    if (!s.failed)
        copy_out(t);
    return tiny_end(&s);
}
