/*
 * ir/canon/canon_priv.h - what the files of the canonical form share.
 *
 *   canon_graph.c   what the piece means: no-ops forwarded, storages, writes and versions, duplicates
 *   canon_order.c   colours (hashes of what is computed, free of names) and the walk that orders nodes
 *   canon_encode.c  bytes, inputs, symbols, lifting
 *   canon_decode.c  and back
 *
 * All tables are indexed by value id or by the node's place in the text; nothing that decides about bytes ever
 * looks at a name, a line, an id or the order of the text, except for the order of effects.
 */
#ifndef JC_CANON_PRIV_H
#define JC_CANON_PRIV_H

#include "ir/canon/canon.h"

#define CN_NONE UINT32_MAX
#define CN_FORMAT 2u     /* first byte of the form */
#define CN_MAX_DEPTH 32  /* of lists in arguments and outputs */

/* How an argument is written; part of the format. */
typedef enum cn_tag {
    CN_T_NONE,
    CN_T_INPUT, /* number of an input */
    CN_T_LOCAL, /* number of a result */
    CN_T_EXPR,
    CN_T_FLOAT,
    CN_T_BOOL,
    CN_T_STR,
    CN_T_DTYPE,
    CN_T_LIST,
    CN_T_DICT,
    CN_T_DEVICE,
    CN_T_COUNT,
    CN_T_KEY = 0x40, /* a key comes first */
} cn_tag;

/* How an expression is written. */
typedef enum cn_ex_tag { CN_E_CONST, CN_E_SYM, CN_E_OTHER } cn_ex_tag;

typedef struct cn_value {
    const jc_value *v;
    uint32_t fwd;   /* the value that it is, no-ops and results of copy_ left out */
    uint32_t stor;  /* owner of the storage; of parameters that share one, the first */
    uint32_t node;  /* index of the defining node, CN_NONE: a parameter */
    uint32_t esc;   /* of an owner: first output that lies in the storage, CN_NONE: stays inside */
    uint32_t last;  /* of an owner, while walking the text: 1 + number of the last effect that wrote it */
    uint32_t readers; /* of an owner: index into cn.reads of the first reader, CN_NONE: none */
    uint32_t readers_end; /* the last of them */
    uint32_t number; /* canonical number of the input or result, CN_NONE: none yet */
    bool written;   /* of an owner: by some effect of this piece */
    uint32_t mark;
    uint64_t colour, context, fine; /* see canon_order.c */
} cn_value;

typedef struct cn_node {
    const jc_node *n;
    uint32_t first, count; /* its tensor operands, forwarded, in cn.ops */
    uint32_t effect;       /* 1 + number among the effects; 0: pure */
    uint32_t version;      /* largest `last` among the storages that it reads */
    uint32_t lead;         /* first node of the text that computes the same, or itself */
    uint32_t prim;         /* of a leader: the one of its class that is emitted and read from */
    uint32_t esc;          /* smallest `esc` of its results' storages */
    uint32_t found;        /* place in the preliminary walk, CN_NONE: dead */
    bool skip;             /* a no-op: stands for its operand */
    bool view;             /* result 0 lies in operand 0's storage */
    bool swap;             /* its first two operands are exchanged */
    bool decided;          /* `swap` is */
    bool done;
} cn_node;

typedef struct cn_sym {
    uint32_t sym;
    uint32_t number; /* CN_NONE until used */
    uint64_t colour;
} cn_sym;

/* A reader of a storage that is written in this piece; those of one storage are a list in order of the text. */
typedef struct cn_read {
    uint32_t node, next;
} cn_read;

typedef struct cn {
    const jc_func *f;
    jc_arena *arena;
    jc_exprs *exprs;
    unsigned flags;
    jc_error *err;
    uint32_t nv, nn;
    cn_value *v;
    cn_node *n;
    JC_VEC(uint32_t) ops;
    JC_VEC(cn_read) reads;
    bool writes; /* some storage is written */
    bool fine;   /* the fine colours are there */
    uint32_t marks;

    /* symbols met so far: a table with open addressing, and those numbered, in order */
    cn_sym *syms;
    uint32_t nsyms, sym_cap;
    JC_VEC(uint32_t) numbered;
    jc_exprs *renamed;            /* canonical symbols, for expressions that are more than one symbol */
    const jc_expr **renaming;     /* by symbol of the piece */
    uint32_t renaming_n, renamed_n;

    /* what comes out */
    JC_VEC(jc_bind) inputs;
    JC_VEC(const jc_node *) order;
    uint32_t nlocals;
    jc_bytes body;
    jitc_status status;
} cn;

/* --- canon_graph.c --- */
jitc_status cn_analyse(cn *c);
/* The value that an operand stands for: in the buffer that is emitted for its class, or, where OWN, in a buffer of
   its own if it leaves the piece in one (see the head of canon_graph.c). */
uint32_t cn_target(const cn *c, uint32_t value, bool own);
/* The first value of the text that is equal to it. */
uint32_t cn_leader(const cn *c, uint32_t value);

/* --- canon_order.c --- */
void cn_colour(cn *c);
/* Calls EMIT for every live node in canonical order. */
void cn_walk(cn *c, void (*emit)(cn *c, uint32_t node));
void cn_refine(cn *c);
cn_sym *cn_symbol(cn *c, uint32_t sym);

/* --- canon_encode.c --- */
void cn_encode_node(cn *c, uint32_t node);
void cn_encode_outputs(cn *c);
void cn_finish(cn *c, jc_canon *out);

/* Are N's literals data?  Those of a custom operator; of a call that nobody knows we cannot tell. */
static inline bool cn_lifts(const cn *c, const jc_node *n) {
    return n && n->op == JC_OP_custom && n->target[0] != JC_UNKNOWN_MARK && !(c->flags & JC_CANON_NO_LIFT);
}

/* What is lifted, and what it becomes. */
static inline bool cn_is_literal(const jc_arg *a) {
    return a->kind == JC_ARG_STR || a->kind == JC_ARG_FLOAT || a->kind == JC_ARG_BOOL ||
           (a->kind == JC_ARG_EXPR && a->expr->kind == JC_EX_CONST);
}

static inline jc_kind cn_literal_kind(const jc_arg *a) {
    return a->kind == JC_ARG_STR     ? JC_NAME
           : a->kind == JC_ARG_FLOAT ? JC_FLOAT
           : a->kind == JC_ARG_BOOL  ? JC_BOOL
                                     : JC_INT;
}

static inline uint64_t cn_mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
}

static inline uint64_t cn_bits(double f) {
    union {
        double f;
        uint64_t u;
    } x = { .f = f };
    return x.u;
}

#endif
