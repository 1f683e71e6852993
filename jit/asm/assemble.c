/*
 * jit/asm/assemble.c - chooses an assembler and judges what it says.
 *
 * The choice depends on files alone, not on what the process happens to have loaded, so that the identity, which is part
 * of every key, is the same in each process.  JITC_ASSEMBLER names one instead: the path of a libnvJitLink, a
 * libcuda or a ptxas.
 */
#include "jit/asm/assemble_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const jc_assembler_kind *const kinds[] = { &jc_assembler_nvjitlink, &jc_assembler_driver, &jc_assembler_ptxas };
enum { NKINDS = sizeof kinds / sizeof *kinds };

bool jc_assembler_open(const char *path, const char *const *names, size_t n, void *api, jc_bytes *log) {
    char why[512];
    void *handle = jc_library_open(path, why, sizeof why);
    const char *missing = handle ? jc_library_symbols(handle, names, n, api) : NULL;
    if (!handle)
        jc_put_text(log, "%s", why);
    else if (missing)
        jc_put_text(log, "%s has no function %s", path, missing);
    return handle && !missing;
}

static const jc_assembler_kind *find(jc_arena *arena, char **path, jc_error *err) {
    jc_bytes tried = JC_BYTES(arena);
    const char *named = jc_library_env("JITC_ASSEMBLER");
    if (named) {
        *path = jc_library_file(arena, named);
        if (*path)
            return strstr(*path, "nvJitLink")  ? &jc_assembler_nvjitlink
                   : strstr(*path, "libcuda.") ? &jc_assembler_driver
                                               : &jc_assembler_ptxas;
        jc_fail(err, JITC_E_DEVICE, "There is no assembler at %s, which JITC_ASSEMBLER names.", named);
        return NULL;
    }
    for (size_t i = 0; i < NKINDS; i++)
        if ((*path = kinds[i]->find(arena, &tried)))
            return kinds[i];
    jc_put_u8(&tried, 0);
    jc_fail(err, JITC_E_DEVICE,
            "There is no assembler for PTX. Tried: %s. Install a CUDA toolkit or `pip install nvidia-nvjitlink`, or name a "
            "libnvJitLink, a libcuda or a ptxas by JITC_ASSEMBLER.", (const char *)tried.at);
    return NULL;
}

jitc_status jc_assembler_find(jc_arena *arena, jc_assembler *out, jc_error *err) {
    char *path = NULL;
    struct stat st;
    const jc_assembler_kind *kind = find(arena, &path, err);
    if (!kind)
        return JITC_E_DEVICE;
    if (stat(path, &st) != 0)
        return jc_fail(err, JITC_E_DEVICE, "The assembler %s is gone.", path);
    jc_bytes id = JC_BYTES(arena);
    jc_put_str(&id, kind->name);
    jc_put_str(&id, path);
    jc_put_u64(&id, (uint64_t)st.st_size);
    jc_put_u64(&id, (uint64_t)st.st_mtim.tv_sec);
    jc_put_u64(&id, (uint64_t)st.st_mtim.tv_nsec);
    out->id = jc_hash_of(id.at, id.n);
    out->text = jc_arena_printf(arena, "%s (%s)", kind->name, path);
    return JITC_OK;
}

/* Advisories C7500 to C7599: wgmma serialised or repaired, register targets missed.  C7509 says only that a call makes products run one
   after the other: right, and slow. */
static const char *find_advisory(const char *log) {
    for (const char *at = log; (at = strstr(at, "C75")); at++)
        if (at[3] >= '0' && at[3] <= '9' && at[4] >= '0' && at[4] <= '9' && memcmp(at, "C7509", 5) != 0)
            return at;
    return NULL;
}

jitc_status jc_assemble(const char *ptx, size_t n, const jc_target *target, jc_arena *arena, const uint8_t **cubin,
                        size_t *ncubin, jc_error *err) {
    char *path = NULL, arch[32];
    const jc_assembler_kind *kind = find(arena, &path, err);
    if (!kind)
        return JITC_E_DEVICE;
    char *text = jc_arena_strndup(arena, ptx, n);
    jc_target_cpu(target, arch);
    jc_bytes log = JC_BYTES(arena);
    bool good = kind->assemble(path, text, n, arch, arena, cubin, ncubin, &log);
    jc_put_u8(&log, 0);
    const char *words = (const char *)log.at + strspn((const char *)log.at, " \n\t");
    if (!good)
        return jc_fail(err, JITC_E_COMPILE, "%s (%s) did not assemble the kernel for %s: %.700s", kind->name, path, arch,
                       *words ? words : "it gave no reason");
    const char *advisory = find_advisory(words);
    if (advisory)
        return jc_fail(err, JITC_E_COMPILE, "%s (%s) assembled the kernel for %s, but not as it was meant: %.500s", kind->name,
                       path, arch, advisory);
    return JITC_OK;
}
