/*
 * jit/asm/assemble_nvjitlink.c - PTX to cubin in process, by libnvJitLink.
 *
 * Searched in LD_LIBRARY_PATH, the toolkit's folders, the system's, and those of Python packages (where PyTorch brings
 * it along), version 13 before 12.  The library is opened for each call and stays in the process, as dlopen counts.
 */
#include "jit/asm/assemble_priv.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

static const char *const sonames[] = { "libnvJitLink.so.13", "libnvJitLink.so.12" };
static const char folders[] = "/usr/local/cuda/lib64:/usr/local/cuda/targets/x86_64-linux/lib:/opt/cuda/lib64:"
                              "/usr/lib/x86_64-linux-gnu:/usr/lib64:/usr/lib";

static char *in_packages(jc_arena *arena, const char *root, const char *soname) {
    static const char *const kinds[] = { "site", "dist" };
    char *found = NULL;
    for (size_t i = 0; root && *root == '/' && i < 2 && !found; i++) {
        glob_t g;
        const char *pattern = jc_arena_printf(arena, "%s/lib/python3*/%s-packages/nvidia/*/lib/%s", root, kinds[i], soname);
        if (glob(pattern, 0, NULL, &g) != 0)
            continue;
        for (size_t j = g.gl_pathc; j-- > 0 && !found;) /* sorted: the newest Python last */
            found = jc_library_file(arena, g.gl_pathv[j]);
        globfree(&g);
    }
    return found;
}

static char *find(jc_arena *arena, jc_bytes *tried) {
    const char *home = jc_library_env("HOME");
    const char *roots[] = { jc_library_env("VIRTUAL_ENV"), jc_library_env("CONDA_PREFIX"),
                            home ? jc_arena_printf(arena, "%s/.local", home) : NULL, "/usr/local", "/usr" };
    for (size_t i = 0; i < sizeof sonames / sizeof *sonames; i++) {
        char *found = jc_library_in_list(arena, jc_library_env("LD_LIBRARY_PATH"), sonames[i]);
        if (!found)
            found = jc_library_in_list(arena, folders, sonames[i]);
        for (size_t j = 0; j < sizeof roots / sizeof *roots && !found; j++)
            found = in_packages(arena, roots[j], sonames[i]);
        if (found)
            return found;
    }
    jc_put_text(tried, "libnvJitLink.so.13 and .12 in LD_LIBRARY_PATH, %s and Python's nvidia packages; ", folders);
    return NULL;
}

/* What is used of the library, by its unversioned names. Every function returns 0 when all is well. */
typedef struct api {
    int (*create)(void **handle, uint32_t n, const char **options);
    int (*destroy)(void **handle);
    int (*add)(void *handle, int type, const void *data, size_t size, const char *name);
    int (*complete)(void *handle);
    int (*cubin_size)(void *handle, size_t *size);
    int (*cubin)(void *handle, void *out);
    int (*error_size)(void *handle, size_t *size);
    int (*error)(void *handle, char *out);
    int (*info_size)(void *handle, size_t *size);
    int (*info)(void *handle, char *out);
} api;

enum { INPUT_PTX = 2 };

static bool load(const char *path, api *a, jc_bytes *log) {
    static const char *const names[] = {
        "nvJitLinkCreate", "nvJitLinkDestroy", "nvJitLinkAddData", "nvJitLinkComplete", "nvJitLinkGetLinkedCubinSize",
        "nvJitLinkGetLinkedCubin", "nvJitLinkGetErrorLogSize", "nvJitLinkGetErrorLog", "nvJitLinkGetInfoLogSize",
        "nvJitLinkGetInfoLog",
    };
    _Static_assert(sizeof(api) == sizeof names, "a name for each function");
    return jc_assembler_open(path, names, sizeof names / sizeof *names, a, log);
}

static void take_log(void *handle, int (*size_of)(void *, size_t *), int (*get)(void *, char *), jc_arena *arena,
                     jc_bytes *log) {
    size_t n = 0;
    if (size_of(handle, &n) != 0 || n <= 1)
        return;
    char *text = jc_arena_alloc(arena, n + 1);
    if (get(handle, text) == 0)
        jc_put(log, text, strlen(text));
}

static bool assemble(const char *path, const char *ptx, size_t n, const char *arch, jc_arena *arena,
                     const uint8_t **cubin, size_t *ncubin, jc_bytes *log) {
    api a;
    void **handle = jc_arena_alloc(arena, sizeof *handle); /* not a local: it is read after a jump */
    const char *options[] = { jc_arena_printf(arena, "-arch=%s", arch), "-O3" };
    if (!load(path, &a, log))
        return false;
    volatile bool good = false;
    jc_guard guard;
    if (JC_GUARD(arena, &guard)) {
        good = false;
        goto out;
    }
    if (a.create(handle, 2, options) != 0) {
        jc_put_text(log, "nvJitLink does not know %s", arch);
        goto out;
    }
    good = a.add(*handle, INPUT_PTX, ptx, n + 1, "kernel.ptx") == 0 && a.complete(*handle) == 0;
    take_log(*handle, a.error_size, a.error, arena, log);
    take_log(*handle, a.info_size, a.info, arena, log);
    size_t size = 0;
    good = good && a.cubin_size(*handle, &size) == 0 && size > 0;
    if (good) {
        uint8_t *out = jc_arena_alloc(arena, size);
        good = a.cubin(*handle, out) == 0;
        *cubin = out;
        *ncubin = size;
    }
out:
    if (*handle)
        a.destroy(handle);
    jc_guard_end(arena, &guard);
    return good;
}

const jc_assembler_kind jc_assembler_nvjitlink = { "nvjitlink", find, assemble };
