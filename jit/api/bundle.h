/*
 * jit/api/bundle.h - what the files of the bundle share: the numbers of the format, whose description heads jit/api/bundle.c.
 */
#ifndef JC_BUNDLE_H
#define JC_BUNDLE_H

#include "base/file.h"
#include "jit/api/model.h"
#include "jitc/bundle.h"

#define JC_BUNDLE_MAGIC "JITCBND\n"
#define JC_BUNDLE_VERSION 4
#define JC_BUNDLE_HEADER 32
#define JC_BUNDLE_ENTRY 24       /* of the section table */
#define JC_BUNDLE_ALIGN 16
#define JC_BUNDLE_MODE 0644      /* of its file: code that others may write to is not opened */
#define JC_BUNDLE_MAX (1ull << 32)
#define JC_BUNDLE_MAX_SECTIONS 64
#define JC_BUNDLE_MAX_SYMS 4096  /* of a graph */
#define JC_BUNDLE_MAX_DEPTH 32   /* of lists among the results of a graph */

/* Sections, in the order of the file. id, number, what */
#define JC_BUNDLE_SECTIONS(X)                                                                      \
    X(REQUIRES, 1, "requirements")                                                                 \
    X(STRINGS, 2, "strings")                                                                       \
    X(CLASSES, 3, "classes")                                                                       \
    X(GRAPHS, 4, "graphs")                                                                         \
    X(PROGRAMS, 5, "programs")                                                                     \
    X(CANON, 6, "canonical forms")                                                                 \
    X(ARTIFACTS, 7, "artifacts")
typedef enum jc_bundle_section {
#define JC_BUNDLE_ENUM(id, number, what) JC_SECTION_##id = number,
    JC_BUNDLE_SECTIONS(JC_BUNDLE_ENUM)
#undef JC_BUNDLE_ENUM
    JC_SECTION_COUNT
} jc_bundle_section;

/* An argument of a call, or a result of a graph. */
typedef enum jc_bundle_arg { JC_BA_NONE, JC_BA_VALUE, JC_BA_EXPR, JC_BA_FLOAT, JC_BA_BOOL, JC_BA_LIST } jc_bundle_arg;
/* What a canonical input is bound to. */
typedef enum jc_bundle_bind { JC_BB_PARAM, JC_BB_STR, JC_BB_INT, JC_BB_FLOAT, JC_BB_BOOL } jc_bundle_bind;

/* jit/api/bundle_encode.c: the whole file, for models of the same graphs. */
jitc_status jc_bundle_encode(jitc_model *const *models, uint32_t n, jc_bytes *out, jc_error *err);

/* jit/api/bundle.c: a file as bytes, without its seal, once both are trusted (jit/api/trust.h; NAMED and BY as there); the target of a bundle that suits ARCH best (NULL: the context's device). */
jitc_status jc_bundle_read(const jc_trust *trust, const char *path, bool named, jc_arena *arena, jc_span *out,
                           jc_public_key *by, jc_error *err);
struct jc_bundle_file;
jitc_status jc_bundle_choose(jitc_context *ctx, const struct jc_bundle_file *f, const char *arch, jc_arena *arena,
                             uint32_t *out, jc_error *err);

/* jit/api/bundle_decode.c: what the bytes ask for, checked as far as that section goes. */
typedef struct jc_bundle_requires {
    uint32_t min_version;
    uint32_t ntargets;
    jc_target *targets;
    const char *codegen_id, *llvm_version;
} jc_bundle_requires;
typedef struct jc_bundle_file {
    jc_span sections[JC_SECTION_COUNT];
    jc_bundle_requires needs;
} jc_bundle_file;
/* One that is open. */
struct jitc_bundle {
    jitc_context *ctx;
    jc_arena *arena;
    unsigned uses;              /* one while it is open, one by each model; under the context's lock */
    struct jitc_bundle *next;   /* of the context, while it is open */
    jc_span bytes;
    jc_bundle_file file;
    jitc_model **models;        /* by target: decoded for what they say, never run */
    jitc_bundle_info info;
    jitc_bundle_target *targets;
    jitc_bundle_operator *operators;
};
/* jit/api/bundle_info.c: fills the last three, of models that have been decoded. */
jitc_status jc_bundle_describe(jitc_bundle *b, jc_error *err);
/* jit/api/bundle_open.c: a model that used it is gone. */
void jc_bundle_release(jitc_bundle *b);

/* Verifies the frame and the hash.  JITC_E_INPUT; messages do not name the file. */
jitc_status jc_bundle_open(const uint8_t *bytes, size_t n, jc_arena *arena, jc_bundle_file *out, jc_error *err);
/* Fills the empty model M, whose arena BYTES must outlive, with the code of target TARGET. FILE stands in messages. */
jitc_status jc_bundle_decode(const jc_bundle_file *b, uint32_t target, const char *file, jitc_model *m, jc_error *err);

#endif
