/*
 * tests/fake_cuda.c - as much of libcuda.so.1 as the example plugin uses, for tests without a GPU.
 *
 * It is loaded under the driver's name before the plugin asks for it.  A device address is a host address plus a gap,
 * so that using one without copying faults.
 */
#include <stdint.h>
#include <string.h>

#define GAP (UINT64_C(1) << 60)
#define PUBLIC __attribute__((visibility("default")))

PUBLIC int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, void *stream);
PUBLIC int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, void *stream);
PUBLIC int cuStreamSynchronize(void *stream);

/* A stream of 1 refuses to wait, as one that is being captured does. */
int cuStreamSynchronize(void *stream) {
    return stream == (void *)1 ? 900 : 0;
}

int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, void *stream) {
    (void)stream;
    memcpy(to, (const void *)(uintptr_t)(from - GAP), bytes);
    return 0;
}

int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, void *stream) {
    (void)stream;
    memcpy((void *)(uintptr_t)(to - GAP), from, bytes);
    return 0;
}
