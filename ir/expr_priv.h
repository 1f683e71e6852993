/*
 * ir/expr_priv.h - what the files of the expressions share: the table, interning, and sums seen as terms.
 */
#ifndef JC_EXPR_PRIV_H
#define JC_EXPR_PRIV_H

#include "ir/expr.h"

/* Nodes of an expression, counted as a tree.  What would be larger is poison: this bounds every walk, however an input
   nests and shares subexpressions.  No node has as many operands, so arrays of this size hold those of any. */
#define JC_EX_LIMIT 1024

#define JC_EX_SMALL_LO (-8)
#define JC_EX_SMALL_HI 256

struct jc_exprs {
    jc_arena *arena;
    const jc_expr **slots; /* open addressing, linear steps, at most half full */
    uint32_t mask, count;
    JC_VEC(jc_sym *) syms;
    JC_VEC(const jc_expr *) sym_exprs;
    jc_map *names; /* name -> 1 + number */
    const jc_expr *poison;
    const jc_expr *small[JC_EX_SMALL_HI - JC_EX_SMALL_LO]; /* filled when first asked for */
};

/* A term of a sum: coefficient times a sorted product of atoms; no atoms: the constant term. */
typedef struct jc_term {
    int64_t coef;
    const jc_expr *const *atoms;
    uint32_t n;
} jc_term;

static inline uint32_t jc_ex_nterms(const jc_expr *e) { return e->kind == JC_EX_ADD ? e->n : 1; }
/* The terms of *E; borrowed from *E or from E itself, so E must stay. */
static inline const jc_expr *const *jc_ex_terms(const jc_expr *const *e) {
    return (*e)->kind == JC_EX_ADD ? (*e)->args : e;
}

static inline jc_term jc_term_of(const jc_expr *const *slot) {
    const jc_expr *e = *slot;
    if (e->kind == JC_EX_CONST)
        return (jc_term){ e->value, NULL, 0 };
    if (e->kind != JC_EX_MUL)
        return (jc_term){ 1, slot, 1 };
    if (e->args[0]->kind == JC_EX_CONST)
        return (jc_term){ e->args[0]->value, e->args + 1, e->n - 1 };
    return (jc_term){ 1, e->args, e->n };
}

/* The node of that kind and those operands, which are in normal form and order already; poison when too large. */
const jc_expr *jc_ex_intern(jc_exprs *t, jc_expr_kind kind, const jc_expr *const *args, uint32_t n);
/* coefficient * atoms, sorted. */
const jc_expr *jc_ex_term(jc_exprs *t, int64_t coef, const jc_expr *const *atoms, uint32_t n);
/* The sum of N terms that are sorted, different and not 0. */
const jc_expr *jc_ex_sum(jc_exprs *t, const jc_expr *const *terms, uint32_t n);
int jc_atoms_order(const jc_expr *const *a, uint32_t na, const jc_expr *const *b, uint32_t nb);

static inline int64_t jc_floordiv64(int64_t a, int64_t b) { /* b not 0, and not a == INT64_MIN with b == -1 */
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}
static inline int64_t jc_floormod64(int64_t a, int64_t b) { /* b not 0; of b's sign, and never beyond 64 bits */
    int64_t r = b == -1 ? 0 : a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t jc_gcd64(int64_t a, int64_t b) {
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    while (y) {
        uint64_t r = x % y;
        x = y;
        y = r;
    }
    return x > INT64_MAX ? 1 : (int64_t)x;
}

#endif
