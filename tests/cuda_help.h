/*
 * tests/cuda_help.h - streams and captured graphs, for tests that run on a GPU: what the library itself has no use for.
 */
#ifndef JC_CUDA_HELP_H
#define JC_CUDA_HELP_H

#include <dlfcn.h>
#include <stdbool.h>

typedef struct cuda_help {
    void *library;
    int (*stream_create)(void **, unsigned);
    int (*stream_sync)(void *);
    int (*capture_begin)(void *, int);
    int (*capture_end)(void *, void **);
    int (*instantiate)(void **, void *, unsigned long long);
    int (*launch)(void *, void *);
    int (*mem_info)(size_t *, size_t *);
    int (*retain)(void **, int);
    int (*set_current)(void *);
} cuda_help;

/* False: there is no driver, or one without these functions. */
static inline bool cuda_help_open(cuda_help *h) {
    const struct {
        void *at;
        const char *name;
    } wants[] = {
        { &h->stream_create, "cuStreamCreate" },     { &h->stream_sync, "cuStreamSynchronize" },
        { &h->capture_begin, "cuStreamBeginCapture_v2" }, { &h->capture_end, "cuStreamEndCapture" },
        { &h->instantiate, "cuGraphInstantiateWithFlags" }, { &h->launch, "cuGraphLaunch" },
        { &h->mem_info, "cuMemGetInfo_v2" },         { &h->retain, "cuDevicePrimaryCtxRetain" },
        { &h->set_current, "cuCtxSetCurrent" },
    };
    h->library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; h->library && i < sizeof wants / sizeof *wants; i++) {
        *(void **)wants[i].at = dlsym(h->library, wants[i].name);
        if (!*(void **)wants[i].at)
            return false;
    }
    return h->library != NULL;
}

/* The primary context of GPU 0, which the library uses, is this thread's. */
static inline bool cuda_help_current(const cuda_help *h) {
    void *context = NULL;
    return h->retain(&context, 0) == 0 && h->set_current(context) == 0;
}

#endif
