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

/* A row taken by an index without dims, which PyTorch makes a view of. */
static inline bool jc_is_row_view(const jc_node *n) {
    return n->op == JC_OP_take && n->args[4].kind == JC_ARG_BOOL;
}
/* Nothing of F is marked any more. */
void jc_clear_copies(jc_func *f);
/* Has F nodes that copy, and that PyTorch may make a view of? */
bool jc_may_copy(const jc_func *f);
/* Sets `apart` of F's reshapes and contiguouses that have to be copies (ir/copies.c). */
void jc_mark_copies(jc_func *f, const jc_outside *outside);

/* By value id of what owns its storage: does PyTorch lay it out in another order than ours (ir/unsure.c)?  OTHERWISE comes with what is
   known of parameters.  False: none of F's own. */
bool jc_find_otherwise(const jc_func *f, bool *otherwise);
/* Sets `apart` of F's nodes that are views and might have to be copies, OTHERWISE says where, and of rows that would have to be views.
   OTHERWISE NULL: nowhere. */
void jc_mark_unsure(jc_func *f, const bool *otherwise, const jc_outside *outside);

#endif
