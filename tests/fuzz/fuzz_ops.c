/*
 * tests/fuzz/fuzz_ops.c - the operators that random graphs call: they move elements, whatever their dtype and strides.
 *
 *   fuzz::touch(x!)            x's elements in reverse order
 *   fuzz::mix(x, y)            x's elements at even places, y's at odd ones
 *   vllm::all_reduce(x, name)  x's elements, turned by the length of the name
 */
#include "tests/fuzz/fuzz_run.h"

#include <stdlib.h>
#include <string.h>

static int64_t count(const DLTensor *t) {
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++)
        n *= t->shape[d];
    return n;
}

static int64_t place(const DLTensor *t, int64_t i) {
    int64_t at = 0;
    for (int d = t->ndim; d-- > 0;) {
        at += i % t->shape[d] * t->strides[d];
        i /= t->shape[d];
    }
    return at;
}

static size_t span(const DLTensor *t) {
    int64_t last = 1;
    for (int d = 0; d < t->ndim; d++)
        last += (t->shape[d] - 1) * t->strides[d];
    return (size_t)last * (t->dtype.bits / 8);
}

static jc_device *device_of(const jitc_call *call) {
    return call->device.device_type == kDLCUDA ? *(jc_device **)call->user : NULL;
}

/* The bytes behind T in host memory; malloc'd on a device. */
static uint8_t *bytes_of(jitc_call *call, const DLTensor *t) {
    uint8_t *at = (uint8_t *)t->data + t->byte_offset;
    jc_device *d = device_of(call);
    jc_error err = JC_ERROR_INIT;
    if (!d)
        return at;
    uint8_t *own = malloc(span(t));
    if (own && (d->ops->copy_out(d, own, at, span(t), call->stream, &err) || d->ops->sync(d, call->stream, &err)))
        abort();
    return own;
}

static void give(jitc_call *call, const DLTensor *t, uint8_t *bytes, bool written) {
    jc_device *d = device_of(call);
    jc_error err = JC_ERROR_INIT;
    if (!d)
        return;
    if (written && (d->ops->copy_in(d, (uint8_t *)t->data + t->byte_offset, bytes, span(t), call->stream, &err) ||
                    d->ops->sync(d, call->stream, &err)))
        abort();
    free(bytes);
}

static uint8_t *element(uint8_t *bytes, const DLTensor *t, int64_t i) {
    return bytes + (size_t)place(t, i) * (t->dtype.bits / 8);
}

static int touch(jitc_call *call, DLTensor *x) {
    const int64_t n = count(x);
    const size_t size = x->dtype.bits / 8;
    uint8_t keep[8];
    if (n == 0)
        return 0;
    uint8_t *bytes = bytes_of(call, x);
    for (int64_t i = 0; i < n / 2; i++) {
        uint8_t *a = element(bytes, x, i), *b = element(bytes, x, n - 1 - i);
        memcpy(keep, a, size);
        memcpy(a, b, size);
        memcpy(b, keep, size);
    }
    give(call, x, bytes, true);
    return 0;
}

static int mix(jitc_call *call) {
    const DLTensor *x = call->args[0].tensor, *y = call->args[1].tensor, *out = call->results[0];
    const int64_t n = count(out);
    if (n == 0)
        return 0;
    uint8_t *from[2] = { bytes_of(call, x), bytes_of(call, y) }, *to = bytes_of(call, out);
    for (int64_t i = 0; i < n; i++)
        memcpy(element(to, out, i), element(from[i & 1], i & 1 ? y : x, i), out->dtype.bits / 8);
    give(call, x, from[0], false);
    give(call, y, from[1], false);
    give(call, out, to, true);
    return 0;
}

static int turn(jitc_call *call) {
    const DLTensor *x = call->args[0].tensor, *out = call->results[0];
    const int64_t n = count(out), by = (int64_t)strlen(jitc_layer_name_text(call->args[1].name));
    if (n == 0)
        return 0;
    uint8_t *from = bytes_of(call, x), *to = bytes_of(call, out);
    for (int64_t i = 0; i < n; i++)
        memcpy(element(to, out, i), element(from, x, (i + by) % n), out->dtype.bits / 8);
    give(call, x, from, false);
    give(call, out, to, true);
    return 0;
}

bool fz_register_ops(jitc_context *ctx, jc_device **device) {
    const jitc_op_options o = { .struct_size = sizeof o, .user = device };
    return jitc_op_register(ctx, "fuzz::touch(Tensor(a!) x) -> ()", (jitc_plain_function)touch, &o) == JITC_OK &&
           jitc_op_register_frame(ctx, "fuzz::mix(Tensor x, Tensor y) -> Tensor", mix, &o) == JITC_OK &&
           jitc_op_register_frame(ctx, "vllm::all_reduce(Tensor tensor, str group_name) -> Tensor", turn, &o) == JITC_OK;
}
