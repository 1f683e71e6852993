/*
 * ir/passes.h - cutting a graph into pieces, and what the pieces know of each other.
 */
#ifndef JC_PASSES_H
#define JC_PASSES_H

#include "ir/graph.h"

/* Names as ir/split_names.c says; NULL: the default list of vLLM's splitting operators. */
typedef struct jc_split_options {
    const char *const *ops;
    uint32_t nops;
} jc_split_options;

/* Is this a call of a splitting operator? */
bool jc_is_splitting(const jc_node *n, const jc_split_options *options);
/* Does the piece hold a splitting operator? */
bool jc_piece_is_splitting(const jc_func *piece, const jc_split_options *options);
/* Does NAME mean what a text calls CALLED? */
bool jc_name_means(const char *name, const char *called);
/* JITC_E_USAGE, with what there is near it, for a name that means nothing in any of the graphs; ARENA is for the sentence. */
jitc_status jc_split_check(const jc_graph *const *graphs, uint32_t n, const jc_split_options *options, jc_arena *arena, jc_error *err);

/*
 * Cuts a flat graph at the splitting operators; leaves one that arrives cut as it is (after checking that its root
 * only calls).  Afterwards g->root holds `call` nodes alone and g->pieces what they call, in order.  A graph without a splitting
 * operator becomes one piece.  Rules of notes: a splitting operator and its getitems make a piece of their own,
 * consecutive splitting operators share one, allocations that only feed a later piece merge back into the piece
 * before, order of effects is kept; a piece's outputs are ordered by first later use.
 */
jitc_status jc_split(jc_graph *g, const jc_split_options *options, jc_error *err);

/* Strides of root parameters that are not contiguous. */
typedef struct jc_stride_entry {
    const char *param;
    uint32_t n;
    const char *const *strides; /* expressions as text: "s7", "1" */
} jc_stride_entry;

/*
 * Sets the strides of root parameters (entries may name parameters the graph lacks: JITC_E_INPUT), then follows layout
 * through the calls in order: every piece's parameters get the strides of what is passed, its nodes are inferred again, its
 * outputs give the layout of the results.  Parameters of a piece that may share storage get the same alias number where
 * that matters (one of them is written in this piece).  Run after jc_split, before jc_canonicalise.
 */
jitc_status jc_layout(jc_graph *g, const jc_stride_entry *entries, uint32_t n, jc_error *err);

#endif
