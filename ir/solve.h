/*
 * ir/solve.h - values of symbols from the arguments of a call.
 */
#ifndef JC_SOLVE_H
#define JC_SOLVE_H

#include "ir/graph.h"
#include "jitc/value.h"

/*
 * Values of F's symbols from its arguments' shapes and integers (and strides, where a symbol occurs only
 * there).  A symbol solved to two values, or a dim that does not come out as annotated, is JITC_E_INPUT naming both
 * parameters.  A symbol that nothing determines gets FALLBACK.  SYMS has room for every symbol of the table.
 */
jitc_status jc_solve(const jc_func *f, const jitc_value *in, int64_t fallback, int64_t *syms, jc_error *err);

/* "s0=17, s1=4": the symbols of the N expressions AT with their values, each once; SYMS as jc_solve() left them. */
const char *jc_symbols_text(const jc_graph *g, const jc_expr *const *at, uint32_t n, const int64_t *syms);
/* JITC_E_INPUT for an expression of F that has no value under SYMS: with its text and the values of its symbols. */
jitc_status jc_no_value(const jc_func *f, const jc_expr *e, const int64_t *syms, int line, jc_error *err);

/* What is known of one argument, without its elements. */
typedef struct jc_solve_fact {
    bool known;
    int rank;
    const int64_t *dims, *strides; /* of a tensor; strides may be NULL: row-major */
    int64_t integer;               /* of a symint */
} jc_solve_fact;
/* FACT(user, i, &fact) for each parameter.  FALLBACK for symbol s is FALLBACKS[s] where that is not NULL and s <
   NFALLBACKS, else FALLBACK. */
jitc_status jc_solve_facts(const jc_func *f, void (*fact)(void *user, uint32_t i, jc_solve_fact *out), void *user,
                           const int64_t *fallbacks, uint32_t nfallbacks, int64_t fallback, int64_t *syms,
                           jc_error *err);

#endif
