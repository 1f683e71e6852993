/*
 * ir/passes_priv.h - what the files of the passes share.
 */
#ifndef JC_PASSES_PRIV_H
#define JC_PASSES_PRIV_H

#include "ir/passes.h"

/* What lies outside a piece, for the values of the piece that own storage; all by value id. */
typedef struct jc_outside {
    const uint32_t *place; /* number of the storage where it is known outside, else 0: two with one number share it */
    bool *written;         /* a later call writes the storage */
    bool *read;            /* of parameters: a later call, or the caller, may read it */
} jc_outside;

/* Nothing of F is marked any more. */
void jc_clear_copies(jc_func *f);
/* Has F reshapes or contiguouses that copy? */
bool jc_may_copy(const jc_func *f);
/* Sets `apart` of F's reshapes and contiguouses that have to be copies (ir/copies.c). */
void jc_mark_copies(jc_func *f, const jc_outside *outside);

/* By value id of what owns its storage: does PyTorch lay it out in another order than ours (ir/unsure.c)?  OTHERWISE comes with what is
   known of parameters.  False: none of F's own. */
bool jc_find_otherwise(const jc_func *f, bool *otherwise);
/* Sets `apart` of F's reshapes and contiguouses that are views and might have to be copies. */
void jc_mark_unsure(jc_func *f, const bool *otherwise, const jc_outside *outside);

#endif
