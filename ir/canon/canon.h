/*
 * ir/canon/canon.h - the canonical form of a piece, its structural hash, and where two of them part.
 *
 * Pieces that compute the same thing, whatever their names, the order of their text, their symbols' names and the
 * literals of their custom operators, get equal canonical bytes; pieces that differ in anything that the compiled code could
 * depend on never do (DESIGN, "Canonical form").  The bytes are complete: the compiler works from
 * jc_canon_decode() of them and sees nothing else, so nothing else can leak into what is cached under their hash.
 */
#ifndef JC_CANON_H
#define JC_CANON_H

#include "base/hash.h"
#include "ir/graph.h"

typedef enum jc_bind_kind { JC_BIND_PARAM, JC_BIND_LITERAL } jc_bind_kind;

/* What a canonical input is in the piece. */
typedef struct jc_bind {
    uint8_t kind;
    uint32_t param; /* JC_BIND_PARAM: index of the piece's parameter */
    jc_arg literal; /* JC_BIND_LITERAL: STR (a layer name), EXPR (constant), FLOAT, BOOL */
} jc_bind;

typedef struct jc_canon {
    const uint8_t *bytes;
    size_t nbytes;
    jc_hash hash; /* of the bytes: the structural hash, which `jitc split` prints as key */
    uint32_t ninputs;
    jc_bind *inputs;          /* of canonical input i: tensors, names, lifted literals, in order of first use */
    uint32_t nsyms;
    const jc_expr **syms;     /* canonical symbol i as a symbol of the piece's table */
    uint32_t nnodes;
    const jc_node **nodes;    /* canonical node i as the piece's node (with its line) */
} jc_canon;

#define JC_CANON_NO_LIFT 1u /* leave literals of custom operators where they are: to show what lifting is worth */

/* Lives in ARENA and borrows from PIECE's graph. */
jitc_status jc_canonicalise(const jc_func *piece, unsigned flags, jc_arena *arena, jc_canon *out, jc_error *err);

/* A failure in a class names its node by number, counted from 1: gives it the line of the piece that C came from, and
   FILE (NULL: none).  The class's own name for the node says nothing to anybody and goes.  Other failures are left alone. */
void jc_canon_locate(const jc_canon *c, const char *file, jc_error *err);

/* Rebuilds the class as a function of a new graph in ARENA: parameters are the canonical inputs, symbols are "s0",
   "s1", ..., values "v0", ...  Bytes that do not decode are JITC_E_INPUT: they may come from a cache. */
jitc_status jc_canon_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_graph **out, jc_error *err);

typedef struct jc_difference {
    bool same;
    uint32_t node;       /* canonical index of the first node at which they part; UINT32_MAX: inputs or outputs */
    char *what;          /* "argument 3 of vllm::gdn_in_proj", "dtype of input 2", ... in ARENA */
    char *a, *b;         /* the two sides as text */
    int a_line, b_line;  /* 0 where unknown */
} jc_difference;

/* Compares two canonical forms node by node. PA and PB are the pieces they came from (for lines), and may be NULL. */
jitc_status jc_explain(const jc_canon *a, const jc_func *pa, const jc_canon *b, const jc_func *pb, jc_arena *arena,
                       jc_difference *out, jc_error *err);

#endif
