/*
 * runtime/device_mem.c - host memory as device memory: aligned blocks and plain copies.
 *
 * A block carries, just before its start, where its allocation began and how long it is, since the allocator wants to
 * hear the size back.
 */
#include "runtime/device_mem.h"

#include <string.h>

typedef struct head {
    void *start;
    size_t size;
} head;

jitc_status jc_mem_alloc(jc_device *d, size_t size, void **out, jc_error *err) {
    *out = NULL;
    size_t whole = size + JC_MEM_ALIGN + sizeof(head);
    uint8_t *start = size < PTRDIFF_MAX / 2 ? d->alloc->alloc(d->alloc->user, whole) : NULL;
    if (!start)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory: %zu bytes were wanted for tensors.", size);
    uintptr_t at = ((uintptr_t)start + sizeof(head) + JC_MEM_ALIGN - 1) & ~(uintptr_t)(JC_MEM_ALIGN - 1);
    uint8_t *block = start + (at - (uintptr_t)start);
    memcpy(block - sizeof(head), &(head){ start, whole }, sizeof(head));
    *out = block;
    return JITC_OK;
}

void jc_mem_free(jc_device *d, void *block) {
    if (!block)
        return;
    head h;
    memcpy(&h, (uint8_t *)block - sizeof h, sizeof h);
    d->alloc->free(d->alloc->user, h.start, h.size);
}

jitc_status jc_mem_copy(jc_device *d, void *dst, const void *src, size_t size, void *stream, jc_error *err) {
    (void)d, (void)stream, (void)err;
    if (size)
        memmove(dst, src, size);
    return JITC_OK;
}

jitc_status jc_mem_copy_in(jc_device *d, void *dst, const void *host, size_t size, void *stream, jc_error *err) {
    return jc_mem_copy(d, dst, host, size, stream, err);
}

jitc_status jc_mem_copy_out(jc_device *d, void *host, const void *src, size_t size, void *stream, jc_error *err) {
    return jc_mem_copy(d, host, src, size, stream, err);
}

jitc_status jc_mem_copy_rows(jc_device *d, void *dst, const void *src, size_t size, size_t pitch, size_t n, void *stream,
                             jc_error *err) {
    (void)d, (void)stream, (void)err;
    for (size_t i = 0; i < n; i++)
        memmove((uint8_t *)dst + i * pitch, (const uint8_t *)src + i * pitch, size);
    return JITC_OK;
}

jitc_status jc_mem_fill(jc_device *d, void *dst, int byte, size_t size, void *stream, jc_error *err) {
    (void)d, (void)stream, (void)err;
    if (size)
        memset(dst, byte, size);
    return JITC_OK;
}

jitc_status jc_mem_sync(jc_device *d, void *stream, jc_error *err) {
    (void)d, (void)stream, (void)err;
    return JITC_OK;
}

void *jc_mem_object(const jc_alloc *alloc, size_t size) {
    void *at = alloc->alloc(alloc->user, size);
    return at ? memset(at, 0, size) : NULL;
}
