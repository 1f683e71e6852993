/*
 * ir/solve.h - values of symbols from the arguments of a call.
 *
 * Every dim of every tensor parameter and every symbolic integer is an equation.  One with a single unknown symbol that occurs
 * linearly gives its value; this goes on until nothing changes.  Then the strides are asked, for what is still unknown, and the same goes on.
 * What is unknown after that is in no linear equation, as s0 in a graph of an f32[s0//8], or in a piece that gets columns of an
 * f32[4, (s0 + 1)//2] or of an f32[4, s0*s1]: any values do with which dims and then strides come out, and guards hold; small ones are looked for.
 * What nothing determines gets its fallback; and every dim and integer is checked.
 *
 * Strides count where there is a second element to be reached by them: not those of dims of one element, nor any of an empty tensor.
 *
 * A solver is what can be said of the equations before a call: which symbols each has, and their linear parts.  Making one adds
 * expressions to the table of its types; using it changes nothing, so threads may share it.
 */
#ifndef JC_SOLVE_H
#define JC_SOLVE_H

#include "ir/graph.h"
#include "jitc/value.h"

/* What is known of one argument, without its elements. */
typedef struct jc_solve_fact {
    bool known;
    int rank;
    const int64_t *dims, *strides; /* of a tensor; strides may be NULL: row-major */
    bool dims_alone;               /* nothing is known of its strides */
    int64_t integer;               /* of a symint */
} jc_solve_fact;

typedef void jc_solve_source(void *user, uint32_t param, jc_solve_fact *out);

typedef struct jc_solver jc_solver;
/* Of the parameters of F; lives in ARENA. */
jc_solver *jc_solver_new(const jc_func *f, jc_arena *arena);

typedef struct jc_solve_call {
    jc_solve_source *fact;
    void *user;
    const uint32_t *params; /* those to ask about; NULL: all */
    uint32_t nparams;
    const int64_t *fallbacks; /* for symbol s < NFALLBACKS, or NULL */
    const int64_t *bounds;    /* likewise, two each: where a value is looked for that nothing gives; NULL: anywhere */
    uint32_t nfallbacks;
    int64_t fallback;         /* for the others; below 0: they are not known, and guards that have them are not looked at */
    int64_t *syms;            /* out: one per symbol of the table */
    uint32_t *owner;          /* scratch: likewise */
} jc_solve_call;
/* A symbol solved to two values, or a dim that does not come out as annotated, is JITC_E_INPUT naming both parameters. */
jitc_status jc_solver_run(const jc_solver *s, const jc_solve_call *call, jc_error *err);
bool jc_solver_uses(const jc_solver *s, uint32_t param); /* are there symbols in its type? */

/* What a symbol is solved from in a call whose dims all have several elements. */
typedef struct jc_solve_origin {
    bool found;     /* false: from nothing */
    uint32_t param;
    int dim;        /* -1: from its value */
    bool stride;    /* from the stride of that dim rather */
} jc_solve_origin;
/* One per symbol of the table; in ARENA. */
const jc_solve_origin *jc_solver_origins(const jc_solver *s, jc_arena *arena);

/* "s0=17, s1=4": the symbols of the N expressions AT with their values, each once; SYMS as solving left them. In ARENA. */
const char *jc_symbols_text(const jc_graph *g, const jc_expr *const *at, uint32_t n, const int64_t *syms, jc_arena *arena);
/* JITC_E_INPUT for an expression of F that has no value under SYMS: with its text and the values of its symbols. Safe from any
   thread. */
jitc_status jc_no_value(const jc_func *f, const jc_expr *e, const int64_t *syms, int line, jc_error *err);

/* For those who call once: values of F's symbols from its arguments' shapes and integers.  SYMS has room for every symbol of the
   table.  One thread at a time per graph. */
jitc_status jc_solve(const jc_func *f, const jitc_value *in, int64_t fallback, int64_t *syms, jc_error *err);
jitc_status jc_solve_facts(const jc_func *f, jc_solve_source *fact, void *user, const int64_t *fallbacks,
                           uint32_t nfallbacks, int64_t fallback, int64_t *syms, jc_error *err);
/* What a call's value says of a parameter of type T. */
void jc_solve_value(const jc_type *t, const jitc_value *in, jc_solve_fact *out);

#endif
