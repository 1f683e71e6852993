/*
 * runtime/device_mem.h - the memory functions of the devices that live in host memory, `host` and `sim`.
 */
#ifndef JC_DEVICE_MEM_H
#define JC_DEVICE_MEM_H

#include "runtime/device.h"

#define JC_MEM_ALIGN 256u

jitc_status jc_mem_alloc(jc_device *d, size_t size, void **out, jc_error *err);
void jc_mem_free(jc_device *d, void *block);
jitc_status jc_mem_copy_in(jc_device *d, void *dst, const void *host, size_t size, void *stream, jc_error *err);
jitc_status jc_mem_copy_out(jc_device *d, void *host, const void *src, size_t size, void *stream, jc_error *err);
jitc_status jc_mem_copy(jc_device *d, void *dst, const void *src, size_t size, void *stream, jc_error *err);
jitc_status jc_mem_copy_rows(jc_device *d, void *dst, const void *src, size_t size, size_t pitch, size_t n, void *stream,
                             jc_error *err);
jitc_status jc_mem_fill(jc_device *d, void *dst, int byte, size_t size, void *stream, jc_error *err);
jitc_status jc_mem_sync(jc_device *d, void *stream, jc_error *err);

/* A zeroed object of SIZE bytes from the device's allocator; NULL when memory is out. */
void *jc_mem_object(const jc_alloc *alloc, size_t size);

#endif
