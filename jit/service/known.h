/*
 * jit/service/known.h - the variants of classes that this process has already had: a look-up without making a key.
 *
 * A key is made by hashing the canonical bytes again, with everything else that counts; here the structural hash, which the
 * canonicaliser has made, finds a row, and the row is compared in full: canonical bytes, ranges, target, options.  What else goes
 * into a key (code generator, assembler) is the same for the life of a service.
 */
#ifndef JC_KNOWN_H
#define JC_KNOWN_H

#include "jit/service/service.h"

typedef struct jc_known jc_known;

/* Lives in ARENA, which is the table's own from then on. */
jc_known *jc_known_new(jc_arena *arena);
void jc_known_close(jc_known *k);
/* Fills key.hash and artifact of R and is true when the variant is known.  Thread-safe. */
bool jc_known_find(jc_known *k, jc_request *r);
/* Remembers R, which has them; when memory is out it does not. Thread-safe. */
void jc_known_add(jc_known *k, const jc_request *r);

#endif
