/*
 * jit/api/trust.h - whose code a context runs: what jitc_context_options.trust_files and trust_keys say, and bundles held to it.
 */
#ifndef JC_API_TRUST_H
#define JC_API_TRUST_H

#include <sys/stat.h>

#include "base/file.h"
#include "base/seal.h"
#include "base/vec.h"
#include "jitc/context.h"

typedef struct jc_trust {
    bool files;                  /* anybody's */
    JC_VEC(jc_public_key) keys;  /* some: a bundle needs a signature by one of them */
} jc_trust;

/* JITC_E_USAGE: neither a key nor a file; JITC_E_INPUT: a file without keys, or with something else; JITC_E_TRUST: others may write to it. */
jitc_status jc_trust_open(jc_arena *arena, const jitc_context_options *o, jc_trust *out, jc_error *err);

/* May a bundle in the file of ST be looked at?  Where signatures are asked for, these decide.  NAMED: whoever named it trusts its owner. */
jitc_status jc_trust_file(const jc_trust *t, const struct stat *st, bool named, jc_error *err);
/* Takes the seal off a bundle's bytes, and holds it to what the context asks for: before they are parsed.  BY: who signed; may be NULL.
   JITC_E_TRUST; JITC_E_INPUT: a seal that is not of these bytes, where none is asked for. */
jitc_status jc_trust_bytes(const jc_trust *t, jc_span *bytes, jc_public_key *by, jc_error *err);

#endif
