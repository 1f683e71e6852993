/*
 * jit/api/program.h - what all calls of a graph, of a piece or of a class have in common.
 *
 * A program is a list of sites, each of which runs a class, and says where their inputs and its results come from: three things that
 * can be called, one form.  It is made on first use and belongs to the model; nothing in it depends on sizes, so all frames
 * share it.
 */
#ifndef JC_PROGRAM_H
#define JC_PROGRAM_H

#include "ir/solve.h"
#include "jit/api/model.h"

typedef enum jc_program_kind { JC_RUN_GRAPH, JC_RUN_PIECE, JC_RUN_CLASS, JC_RUN_KINDS } jc_program_kind;

typedef enum jc_source_kind {
    JC_SOURCE_CONST, /* value */
    JC_SOURCE_PARAM, /* a parameter of the program */
    JC_SOURCE_EXPR,  /* exprs[index] under the symbols */
    JC_SOURCE_OUT,   /* an output of a site, numbered through */
} jc_source_kind;

typedef struct jc_source {
    uint8_t kind;
    uint32_t index;
    jitc_value value;
} jc_source;

/* Sites of one class with the same symbols have the same shape. */
typedef struct jc_group {
    uint32_t cls;
    const jc_piece *piece;       /* one of them, for messages */
    const jc_expr *const *syms;  /* the class's, over the program's */
} jc_group;

typedef struct jc_site {
    uint32_t cls, group;
    const jc_piece *piece;  /* for messages */
    const jc_node *node;    /* the call; NULL: the program itself is the piece or class */
    uint32_t nin, nout;
    uint32_t first_in, first_out; /* among all of the program */
    jc_source *in;
} jc_site;

typedef struct jc_program {
    const jc_func *func;  /* parameters, results, names; of a class: its canonical form */
    jc_solver *solver;
    uint32_t nsyms, nsites, ngroups, nexprs, nins, nouts;
    jc_site *sites;
    jc_group *groups;
    const jc_expr **exprs;
    int64_t *fallbacks;   /* by symbol: what it is where no argument tells, as the stride of a single row: a size that was compiled for */
    int64_t *bounds;      /* likewise, two each: the least and the greatest size that all its classes were compiled for */
    uint32_t *out_site;   /* by output: the site that has it */
    jc_source *results;   /* func->noutputs */
} jc_program;

/* Made if need be; safe from any thread. INDEX is that of a graph, piece or class that there is. */
jitc_status jc_program_get(jitc_model *m, jc_program_kind kind, uint32_t index, const jc_program **out, jc_error *err);

#endif
