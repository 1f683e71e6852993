/*
 * jit/asm/assemble_driver.c - PTX to cubin by the linker in the NVIDIA driver.
 *
 * Only where a GPU is: the linker needs a context.  The caller's current one is used; without one, the primary context of
 * the first device is borrowed.
 */
#include "jit/asm/assemble_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *find(jc_arena *arena, jc_bytes *tried) {
    static const char folders[] = "/usr/lib/x86_64-linux-gnu:/usr/lib64:/usr/lib:/usr/lib/wsl/lib:/usr/local/nvidia/lib64";
    char *found = NULL;
    if (access("/dev/nvidiactl", F_OK) == 0 || access("/dev/dxg", F_OK) == 0) {
        found = jc_library_in_list(arena, jc_library_env("LD_LIBRARY_PATH"), "libcuda.so.1");
        if (!found)
            found = jc_library_in_list(arena, folders, "libcuda.so.1");
    }
    if (!found)
        jc_put_text(tried, "the driver's linker (needs a GPU and libcuda.so.1); ");
    return found;
}

/* Of cuda.h; every function returns 0 when all is well. */
typedef struct api {
    int (*init)(unsigned flags);
    int (*device_get)(int *device, int ordinal);
    int (*context_get)(void **context);
    int (*context_push)(void *context);
    int (*context_pop)(void **context);
    int (*primary_retain)(void **context, int device);
    int (*primary_release)(int device);
    int (*create)(unsigned n, int *options, void **values, void **state);
    int (*add)(void *state, int type, void *data, size_t size, const char *name, unsigned n, int *options, void **values);
    int (*complete)(void *state, void **cubin, size_t *size);
    int (*destroy)(void *state);
} api;

enum { LOG_SIZE = 8192 };
enum { INPUT_PTX = 1 };
enum { JIT_INFO_LOG = 3, JIT_INFO_LOG_SIZE, JIT_ERROR_LOG, JIT_ERROR_LOG_SIZE, JIT_LEVEL, JIT_TARGET = 9 };
enum { TARGET_ACCELERATED = 0x10000 };

static bool load(const char *path, api *a, jc_bytes *log) {
    static const char *const names[] = {
        "cuInit", "cuDeviceGet", "cuCtxGetCurrent", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRetain",
        "cuDevicePrimaryCtxRelease_v2", "cuLinkCreate_v2", "cuLinkAddData_v2", "cuLinkComplete", "cuLinkDestroy",
    };
    _Static_assert(sizeof(api) == sizeof names, "a name for each function");
    return jc_assembler_open(path, names, sizeof names / sizeof *names, a, log);
}

/* Links; the cubin is malloc()ed. */
static bool link_ptx(const api *a, const char *ptx, size_t n, const char *arch, char *info, char *error, uint8_t **cubin,
                     size_t *size) {
    char *end;
    long sm = strtol(arch + 3, &end, 10);
    uintptr_t target = (uintptr_t)sm | (*end == 'a' ? TARGET_ACCELERATED : 0);
    int options[] = { JIT_INFO_LOG, JIT_INFO_LOG_SIZE, JIT_ERROR_LOG, JIT_ERROR_LOG_SIZE, JIT_LEVEL, JIT_TARGET };
    void *values[] = { info, (void *)(uintptr_t)LOG_SIZE, error, (void *)(uintptr_t)LOG_SIZE, (void *)(uintptr_t)4,
                       (void *)target };
    void *state = NULL, *made = NULL;
    *cubin = NULL;
    if (a->create(6, options, values, &state) != 0)
        return false;
    if (a->add(state, INPUT_PTX, (void *)(uintptr_t)ptx, n + 1, "kernel.ptx", 0, NULL, NULL) == 0 &&
        a->complete(state, &made, size) == 0 && (*cubin = malloc(*size)))
        memcpy(*cubin, made, *size); /* the state owns what it made */
    a->destroy(state);
    return *cubin != NULL;
}

static bool assemble(const char *path, const char *ptx, size_t n, const char *arch, jc_arena *arena,
                     const uint8_t **cubin, size_t *ncubin, jc_bytes *log) {
    api a;
    void *context = NULL, *popped;
    int device = -1;
    char *info = jc_arena_alloc(arena, LOG_SIZE), *error = jc_arena_alloc(arena, LOG_SIZE);
    if (!load(path, &a, log))
        return false;
    if (a.init(0) != 0 || a.context_get(&context) != 0) {
        jc_put_text(log, "the driver cannot be initialised");
        return false;
    }
    if (!context) {
        if (a.device_get(&device, 0) != 0 || a.primary_retain(&context, device) != 0 || a.context_push(context) != 0) {
            jc_put_text(log, "there is no device whose context could be used");
            return false;
        }
    }
    uint8_t *made;
    bool good = link_ptx(&a, ptx, n, arch, info, error, &made, ncubin);
    if (device >= 0) {
        a.context_pop(&popped);
        a.primary_release(device);
    }
    if (good)
        jc_arena_defer(arena, free, made);
    jc_put_text(log, "%s%s", error, info);
    *cubin = made;
    return good;
}

const jc_assembler_kind jc_assembler_driver = { "driver", find, assemble };
