/*
 * ir/pt2/pt2.h - reading what torch.export.save() wrote: a .pt2 archive, schema 8.
 *
 *   file --pt2_zip--> entries --jansson--> JSON --pt2_graph, pt2_arg, pt2_expr--> statements --ir/fx/fx_build*--> jc_graph
 *
 * README.md beside this says how, and why so.
 */
#ifndef JC_PT2_H
#define JC_PT2_H

#include "ir/graph.h"

/* Bytes by their place: of a file, or of memory.  READ fills all N or says false; what it has to say is not asked. */
typedef struct jc_source {
    bool (*read)(void *user, uint64_t at, void *to, size_t n);
    void *user;
    uint64_t size;
} jc_source;

/* Do these first N bytes of a file say that it is an archive? */
bool jc_pt2_is(const void *bytes, size_t n);

/*
 * Reads the graph, and where its weights lie: jc_graph.weights.  The bytes of the weights are not looked at.  FILE names it in messages, whose
 * lines are the numbers of nodes, from 1 up.  Everything belongs to ARENA.  TOLERANT: as jc_fx_read_tolerant().
 * JITC_E_INPUT: not such an archive, or damaged; JITC_E_UNSUPPORTED: another schema, pickled weights, compressed entries, or what
 * there is no code for; JITC_E_IO: SRC cannot be read.
 */
jitc_status jc_pt2_read(jc_arena *arena, const char *file, const jc_source *src, bool tolerant, jc_graph **out, jc_error *err);

#endif
