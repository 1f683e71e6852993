/*
 * jitc/bundle.h - whole models as files.
 *
 * A bundle is native code, like a program or a plugin: a run of it can do all that this process can, and no check finds that out.  Open what
 * you trust: files of other users, and those that others may write to, are refused, and jitc_context_options.trust_keys asks for a signature
 * (SECURITY.md).
 *
 * A bundle holds a model as jitc_model_build made it (pieces, classes, bindings, plans, code) for one or several
 * targets, in one verified, relocatable file.  The same graphs give the same bytes, whatever their files were called and wherever
 * and on however many threads they were compiled.  Loading one parses no text, compiles nothing and opens no LLVM.
 */
#ifndef JITC_BUNDLE_H
#define JITC_BUNDLE_H

#include "jitc/executable.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes MODEL by a temporary file beside PATH and a rename: a failure leaves PATH as it was; others than its owner cannot write to it, whatever
   the umask.  JITC_E_USAGE: the model
   was built with split_only. JITC_E_IO: the file cannot be written; the message says why. */
JITC_API jitc_status jitc_model_save(jitc_model *model, const char *path);

/* The same for N models of the same graphs (each built from graphs of its own), one per target.  JITC_E_USAGE: models that
   differ in more than the target, or two for the same one. */
JITC_API jitc_status jitc_bundle_write(jitc_context *ctx, jitc_model *const *models, uint32_t n, const char *path);

/*
 * Loads a model to run; it belongs to CTX, and jitc_model_free gives it back. Its statistics say that every class was a hit.
 * ARCH: "host", "sm_90a", ...; NULL: that of the context's device, or, where the bundle holds one target alone, that one without opening
 * the device.  The code itself is loaded by the first run.
 * JITC_E_IO: no such file; JITC_E_TRUST: it is another user's or others may write to it, or it lacks the signature that the context asks for;
 * JITC_E_INPUT: not a bundle, of another version, or damaged; JITC_E_UNSUPPORTED: it holds nothing that
 * runs on ARCH: the message lists what it holds; JITC_E_USAGE: there is no such ARCH.
 */
JITC_API jitc_status jitc_bundle_load(jitc_context *ctx, const char *path, const char *arch, jitc_model **out);

/* The bytes that jitc_bundle_write() would write. SINK is called once with all of them, valid during the call; false makes it
   JITC_E_IO. */
typedef bool (*jitc_bundle_sink)(void *user, const void *bytes, size_t n);
JITC_API jitc_status jitc_bundle_write_bytes(jitc_context *ctx, jitc_model *const *models, uint32_t n, jitc_bundle_sink sink,
                                             void *user);

/*
 * An open bundle: what it holds, without a device and without loading code, and models of it.
 *
 * It belongs to CTX, which closes it at the latest; texts below are valid until it is closed.  What it says never changes, and
 * may be asked from any thread; closing is not concurrent with anything else on it.  Bytes are hostile until proven otherwise: opening checks
 * all but the code itself, which nobody can check: a bundle is as trusted as a plugin.
 */
typedef struct jitc_bundle jitc_bundle;
/* Failures as those of jitc_bundle_load(). */
JITC_API jitc_status jitc_bundle_open(jitc_context *ctx, const char *path, jitc_bundle **out);
/* The same of bytes in memory, which are copied; whose they are is the caller's business, but for signatures. NAME stands in messages; NULL: "bundle". */
JITC_API jitc_status jitc_bundle_open_bytes(jitc_context *ctx, const char *name, const void *bytes, size_t n, jitc_bundle **out);
/* Models that were made of it stay. NULL is allowed. */
JITC_API void jitc_bundle_close(jitc_bundle *bundle);
/* A model to run, as by jitc_bundle_load(): any number of them, which share the bundle's bytes. */
JITC_API jitc_status jitc_bundle_model(jitc_bundle *bundle, const char *arch, jitc_model **out);

typedef struct jitc_bundle_info {
    size_t struct_size;
    const char *name;        /* its path, or the name it was given */
    uint64_t bytes;
    uint32_t format;         /* that a reader must know; this library reads up to `reads` */
    uint32_t reads;
    const char *codegen_id, *llvm_version; /* of the library that compiled it */
    uint32_t ntargets, ngraphs, npieces, nclasses, noperators;
} jitc_bundle_info;
JITC_API jitc_status jitc_bundle_get_info(const jitc_bundle *bundle, jitc_bundle_info *out);

/* What there is code for, and what that code needs. */
typedef struct jitc_bundle_target {
    size_t struct_size;
    const char *arch;        /* as jitc_bundle_model() takes it: "sm_90a", "host", "sim:sm_80" */
    const char *device;      /* "cuda", "host", "sim" */
    const char *cpu;         /* level that the processor must have: "x86-64-v3", as the psABI has it, or "x86-64-v4-bf16", that and
                                AVX512_BF16, or "x86-64-v4-amx", these and AMX; "" on cuda */
    uint32_t variants;       /* classes times ranges */
    uint32_t kernels;        /* different ones */
    uint32_t objects, cubins, ptx; /* of these: relocatable objects of a CPU, code of a GPU, text that the driver assembles at load */
    uint32_t cuda_driver;    /* the lowest CUDA version, as cuDriverGetVersion() counts (12010), whose drivers take all of it; 0: no
                                cuda, or the code does not say */
    uint32_t cuda_toolkit;   /* of the assembler that made the cubins; 0 as above */
} jitc_bundle_target;
JITC_API jitc_status jitc_bundle_get_target(const jitc_bundle *bundle, uint32_t target, jitc_bundle_target *out);

/* A custom operator that a run needs registered. */
typedef struct jitc_bundle_operator {
    size_t struct_size;
    const char *name;        /* "vllm::gdn_in_proj" */
    const char *schema;      /* one that would take its first call */
    uint32_t calls;          /* in all pieces together */
    const char *piece;       /* of the first call */
    int line;                /* in the text that was compiled */
} jitc_bundle_operator;
JITC_API jitc_status jitc_bundle_get_operator(const jitc_bundle *bundle, uint32_t op, jitc_bundle_operator *out);

/* Class CLS as it was compiled for TARGET: parameters, results, symbols, ranges (jitc/executable.h). It belongs to the bundle and
   cannot be run. */
JITC_API jitc_status jitc_bundle_executable(jitc_bundle *bundle, uint32_t target, uint32_t cls, const jitc_executable **out);

/* 1 if the file starts as a bundle does, else 0 (also where it cannot be read).  For messages: what a file holds is no reason to run it. */
JITC_API int jitc_bundle_probe(const char *path);

#ifdef __cplusplus
}
#endif
#endif
