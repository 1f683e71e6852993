/*
 * runtime/cuda_api.c - finding the CUDA driver.
 */
#include "runtime/cuda_api.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/library.h"

static const struct {
    const char *symbol;
    bool needed;
    size_t at; /* within jc_cuda */
} functions[] = {
#define ROW(member, symbol, needed, params) { #symbol, needed, offsetof(jc_cuda, member) },
    JC_CU_FUNCTIONS(ROW)
#undef ROW
};

/* The first by the loader, as the driver was installed; containers and WSL put it where the loader does not look. */
static const char *const places[] = { "libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1" };

static jitc_status open_library(void **out, jc_error *err) {
    char first[512], why[512];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *out = jc_library_open(places[i], i == 0 ? first : why, sizeof first);
        if (*out)
            return JITC_OK;
    }
    return jc_fail(err, JITC_E_DEVICE,
                   "There is no CUDA driver here: %s, %s and %s were tried (%.300s). Install the NVIDIA driver, or use the "
                   "host device.", places[0], places[1], places[2], first);
}

jitc_status jc_cuda_load(jc_cuda *out, jc_error *err) {
    *out = (jc_cuda){ 0 };
    JC_TRY(open_library(&out->library, err));
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *at = jc_library_symbol(out->library, functions[i].symbol);
        memcpy((uint8_t *)out + functions[i].at, &at, sizeof at);
        if (at || !functions[i].needed)
            continue;
        jc_cuda_unload(out);
        return jc_fail(err, JITC_E_DEVICE, "The CUDA driver here is too old: it has no %s. Driver 470 or newer is needed.",
                       functions[i].symbol);
    }
    return JITC_OK;
}

void jc_cuda_unload(jc_cuda *c) {
    jc_library_close(c->library);
    *c = (jc_cuda){ 0 };
}
