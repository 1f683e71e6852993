/*
 * ir/canon/canon.c - the canonical form of a piece: the way through canon_graph.c, canon_order.c, canon_encode.c.
 *
 * Linear in the size of the piece, but for the sorting of readers before a write.
 */
#include "ir/canon/canon_priv.h"

#include <stdio.h>

jitc_status jc_canonicalise(const jc_func *piece, unsigned flags, jc_arena *arena, jc_canon *out, jc_error *err) {
    cn c = { .f = piece,
             .arena = arena,
             .exprs = piece->graph->exprs,
             .flags = flags,
             .err = err,
             .nv = piece->nvalues,
             .nn = (uint32_t)piece->nodes.n,
             .body = JC_BYTES(arena) };
    JC_TRY(cn_analyse(&c));
    cn_colour(&c);
    cn_walk(&c, cn_encode_node);
    cn_encode_outputs(&c);
    if (c.status != JITC_OK)
        return c.status;
    cn_finish(&c, out);
    return JITC_OK;
}

void jc_canon_locate(const jc_canon *c, const char *file, jc_error *err) {
    if (!err || err->status == JITC_OK || err->line <= 0 || (uint32_t)err->line > c->nnodes)
        return;
    err->line = c->nodes[err->line - 1]->line;
    snprintf(err->file, sizeof err->file, "%s", file ? file : "");
    err->node[0] = 0;
}
