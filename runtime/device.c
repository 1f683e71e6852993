/*
 * runtime/device.c - from a device's name to the device.
 */
#include "runtime/device.h"

#include <stdlib.h>
#include <string.h>

/* "cuda" or "cuda:N": N, or -1. */
static int cuda_ordinal(const char *name) {
    if (strncmp(name, "cuda", 4) != 0)
        return -1;
    if (!name[4])
        return 0;
    if (name[4] != ':' || name[5] < '0' || name[5] > '9' || strlen(name + 5) > 4)
        return -1;
    char *end;
    long n = strtol(name + 5, &end, 10);
    return *end ? -1 : (int)n;
}

jitc_status jc_device_open(const char *name, const jc_device_options *options, const jc_alloc *alloc, const jc_log *log,
                           jc_device **out, jc_error *err) {
    *out = NULL;
    if (!alloc)
        alloc = &jc_alloc_libc;
    if (!strcmp(name, "host"))
        return jc_device_open_host(options, alloc, log, out, err);
    if (!strcmp(name, "sim"))
        return jc_device_open_sim(options, alloc, log, out, err);
    int ordinal = cuda_ordinal(name);
    if (ordinal >= 0)
        return jc_device_open_cuda(ordinal, alloc, log, out, err);
    return jc_fail(err, JITC_E_DEVICE, "There is no device '%s': there are host, sim, cuda and cuda:N.", name);
}

void jc_device_close(jc_device *d) {
    if (d)
        d->ops->close(d);
}
