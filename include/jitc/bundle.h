/*
 * jitc/bundle.h - whole models as files.
 *
 * A bundle holds a model as jitc_model_build made it (pieces, classes, bindings, plans, code) for one or several
 * targets, in one verified, relocatable file.  The same graphs give the same bytes, whatever their files were called and wherever
 * and on however many threads they were compiled.  Loading one parses no text, compiles nothing and opens no LLVM.
 */
#ifndef JITC_BUNDLE_H
#define JITC_BUNDLE_H

#include "jitc/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes MODEL by a temporary file beside PATH and a rename: a failure leaves PATH as it was.  JITC_E_USAGE: the model
   was built with split_only. JITC_E_IO: the file cannot be written; the message says why. */
JITC_API jitc_status jitc_model_save(jitc_model *model, const char *path);

/* The same for N models of the same graphs (each built from graphs of its own), one per target.  JITC_E_USAGE: models that
   differ in more than the target, or two for the same one. */
JITC_API jitc_status jitc_bundle_write(jitc_context *ctx, jitc_model *const *models, uint32_t n, const char *path);

/*
 * Loads a model to run; it belongs to CTX, and jitc_model_free gives it back. Its statistics say that every class was a hit.
 * ARCH: "host", "sm_90a", ...; NULL: that of the context's device, or, where the bundle holds one target alone, that one without opening
 * the device.  The code itself is loaded by the first run.
 * JITC_E_IO: no such file; JITC_E_INPUT: not a bundle, of another version, or damaged; JITC_E_UNSUPPORTED: it holds nothing that
 * runs on ARCH: the message lists what it holds; JITC_E_USAGE: there is no such ARCH.
 */
JITC_API jitc_status jitc_bundle_load(jitc_context *ctx, const char *path, const char *arch, jitc_model **out);

/* 1 if the file starts as a bundle does, else 0 (also where it cannot be read). */
JITC_API int jitc_bundle_probe(const char *path);

#ifdef __cplusplus
}
#endif
#endif
