/*
 * ir/expr.h - integer expressions over symbols: dims, strides, offsets, indices.
 *
 * Expressions are immutable, normalised and hash-consed in a table: within one table, equal expressions (as far as
 * normalisation can tell) are the same pointer.  Normal form: a sum of terms, each an integer coefficient times a
 * product of atoms (symbols, floor divisions, remainders, Min, Max); terms and factors are ordered by
 * jc_expr_order(), which looks at structure and symbol numbers, never at names, so that numbering symbols alike
 * gives equal expressions the same form.  Division rounds towards minus infinity, the remainder has the divisor's
 * sign, as in Python.
 *
 * Every symbol has a range and a known divisor, which the rules for `//` and `%` use: with j in [0, 127],
 * (128*i + j)//128 is i.  Arithmetic on constants that overflows 64 bits gives the poison expression, whose
 * evaluation fails; it never wraps.
 *
 * One thread at a time per table.
 */
#ifndef JC_EXPR_H
#define JC_EXPR_H

#include "base/bytes.h"
#include "base/vec.h"

typedef struct jc_expr jc_expr;
typedef struct jc_exprs jc_exprs; /* the table */

typedef enum jc_expr_kind {
    JC_EX_CONST, /* value */
    JC_EX_SYM,   /* sym */
    JC_EX_ADD,   /* n >= 2 terms, at most one constant, which comes first */
    JC_EX_MUL,   /* n >= 2 factors, at most one constant, which comes first; no sums inside (distributed) */
    JC_EX_FDIV,  /* args[0] // args[1] */
    JC_EX_MOD,   /* args[0] % args[1] */
    JC_EX_MIN,   /* of args[0] and args[1]; more operands nest to the right: Min(a, Min(b, c)), sorted */
    JC_EX_MAX,
    JC_EX_POISON,
} jc_expr_kind;

struct jc_expr {
    uint8_t kind;
    uint16_t weight; /* nodes, counted as a tree: at most 1024, beyond that an expression is poison */
    uint32_t sym;   /* JC_EX_SYM: number in the table */
    uint32_t n;
    int64_t value;  /* JC_EX_CONST */
    uint64_t hash;
    const jc_expr *args[];
};

typedef struct jc_sym {
    const char *name;  /* for people only */
    int64_t lo, hi;    /* inclusive */
    int64_t divisor;   /* always divides the value; 1 when nothing is known */
} jc_sym;

#define JC_SYM_MAX INT32_MAX /* default upper bound of a dim */

/* The least size that what is compiled for the range LO to HI serves: one that starts at 1 goes for no tokens as well, unless it is
   for one token alone. */
static inline int64_t jc_range_first(int64_t lo, int64_t hi) {
    return lo == 1 && hi > 1 ? 0 : lo;
}

jc_exprs *jc_exprs_new(jc_arena *arena);

/* A new symbol; numbers count up from 0. NAME is copied; range [0, JC_SYM_MAX], divisor 1. */
uint32_t jc_sym_add(jc_exprs *t, const char *name);
jc_sym *jc_sym_at(jc_exprs *t, uint32_t sym); /* set ranges before building expressions that rely on them */
uint32_t jc_sym_count(const jc_exprs *t);
/* The symbol of that name, or UINT32_MAX. */
uint32_t jc_sym_find(const jc_exprs *t, const char *name, size_t length);

const jc_expr *jc_ex_int(jc_exprs *t, int64_t value);
const jc_expr *jc_ex_sym(jc_exprs *t, uint32_t sym);
const jc_expr *jc_ex_add(jc_exprs *t, const jc_expr *a, const jc_expr *b);
const jc_expr *jc_ex_sub(jc_exprs *t, const jc_expr *a, const jc_expr *b);
const jc_expr *jc_ex_mul(jc_exprs *t, const jc_expr *a, const jc_expr *b);
const jc_expr *jc_ex_neg(jc_exprs *t, const jc_expr *a);
const jc_expr *jc_ex_fdiv(jc_exprs *t, const jc_expr *a, const jc_expr *b); /* by 0: poison */
const jc_expr *jc_ex_cdiv(jc_exprs *t, const jc_expr *a, const jc_expr *b); /* rounds up; -((-a)//b) */
const jc_expr *jc_ex_mod(jc_exprs *t, const jc_expr *a, const jc_expr *b);
/* Q with Q*b == a for all values, as when a `-1` among the dims of a view is found; NULL where there is none to be found. */
const jc_expr *jc_ex_quotient(jc_exprs *t, const jc_expr *a, const jc_expr *b);
const jc_expr *jc_ex_min(jc_exprs *t, const jc_expr *a, const jc_expr *b);
const jc_expr *jc_ex_max(jc_exprs *t, const jc_expr *a, const jc_expr *b);
const jc_expr *jc_ex_product(jc_exprs *t, const jc_expr *const *at, uint32_t n); /* 1 when n is 0 */

bool jc_ex_is_const(const jc_expr *e, int64_t *value); /* VALUE may be NULL */
static inline bool jc_ex_is(const jc_expr *e, int64_t value) {
    return e->kind == JC_EX_CONST && e->value == value;
}

/* Total order by structure: kind, constant, symbol number, operands. */
int jc_expr_order(const jc_expr *a, const jc_expr *b);

typedef enum jc_truth { JC_NO, JC_YES, JC_MAYBE } jc_truth;
/* Equal for every value of the symbols in their ranges?  JC_NO only where they differ for every value. */
jc_truth jc_ex_equal(jc_exprs *t, const jc_expr *a, const jc_expr *b);
/* a <= b for every value? */
jc_truth jc_ex_le(jc_exprs *t, const jc_expr *a, const jc_expr *b);
/* Bounds; false where none can be found within 64 bits. */
bool jc_ex_range(jc_exprs *t, const jc_expr *e, int64_t *lo, int64_t *hi);
/* The same for symbols between FROM[sym] and TO[sym]; false for a symbol >= N. Any number of threads. */
bool jc_ex_range_within(const jc_expr *e, const int64_t *from, const int64_t *to, uint32_t n, int64_t *lo, int64_t *hi);
/* The largest divisor known to divide E always (0 for the constant 0). */
int64_t jc_ex_divisor(jc_exprs *t, const jc_expr *e);

/* E as coefficient*S + rest, rest free of S; false when S occurs in any other way (inside //, a product with
   another symbol ...).  COEFF may hold symbols when SYMBOLIC is allowed to: coeff is an expression free of S. */
bool jc_ex_linear(jc_exprs *t, const jc_expr *e, uint32_t sym, const jc_expr **coeff, const jc_expr **rest);
bool jc_ex_uses(const jc_expr *e, uint32_t sym);
/* Calls SEE for each symbol in E, in order of the normal form, repeats included. */
void jc_ex_symbols(const jc_expr *e, void (*see)(void *user, uint32_t sym), void *user);

/* E with each symbol replaced: MAP[sym] (in table TO) or, where that is NULL or sym >= N, the symbol itself, which
   then must be valid in TO.  TO may be another table: this is how expressions move between tables. */
const jc_expr *jc_ex_subst(jc_exprs *to, const jc_expr *e, const jc_expr *const *map, uint32_t n);

/* Value under VALUES[sym]; false on overflow, division by zero, poison, or sym >= N. */
bool jc_ex_eval(const jc_expr *e, const int64_t *values, uint32_t n, int64_t *out);

/* Sympy text (`128*(((s18 + 127)//128))`, `Min(16384, ...)`).  Symbols not yet in the table are added.  FILE, LINE,
   COLUMN say where the text stands, for the error. */
jitc_status jc_ex_parse(jc_exprs *t, const char *text, size_t length, const char *file, int line, int column,
                        const jc_expr **out, jc_error *err);
/* As text, by the symbols' names, or by their numbers ("$0") when T is NULL. */
void jc_ex_print(const jc_exprs *t, const jc_expr *e, jc_bytes *out);
char *jc_ex_text(const jc_exprs *t, const jc_expr *e, jc_arena *arena);

/* Binary form, by symbol numbers; decoding rebuilds (and re-normalises) in T, symbols >= LIMIT are bad. */
void jc_ex_encode(const jc_expr *e, jc_bytes *out);
const jc_expr *jc_ex_decode(jc_exprs *t, jc_reader *r, uint32_t limit); /* sets r->bad; never NULL */

/* ---- conditions (ir/conditions.c) ---- */

/*
 * What has to hold of the symbols' values.  MEET, ONTO and SPREAD are of dims that meet, where PyTorch broadcasts one that is 1:
 *   EQ      a == b
 *   LE      a <= b
 *   COPY    a <= b; where it does not hold a copy of the graph's is a view in PyTorch, and a write tells (ir/infer_copy.c)
 *   MEET    a == b: of two operands
 *   ONTO    a == b: a source's and that of what it goes to
 *   SPREAD  a == 1 or a == b: A is 0 or 1, and the code takes it for a 1
 *   NE      a != b: what a program was exported for
 */
typedef enum jc_rel { JC_REL_EQ, JC_REL_LE, JC_REL_COPY, JC_REL_MEET, JC_REL_ONTO, JC_REL_SPREAD, JC_REL_NE, JC_REL_COUNT } jc_rel;

typedef struct jc_condition {
    uint8_t rel; /* jc_rel */
    int line;    /* of the node or the annotation that says so */
    const jc_expr *a, *b;
} jc_condition;
typedef JC_VEC(jc_condition) jc_conditions;

/* True for all values of the symbols?  Only what can be proved is. */
bool jc_condition_proved(jc_exprs *t, const jc_condition *c);
/* True for these?  A and B get both sides; not if one has no value. */
bool jc_condition_holds(const jc_condition *c, const int64_t *syms, uint32_t nsyms, int64_t *a, int64_t *b);
/* What it is that C does not hold for sides A and B: bad input, or where PyTorch would broadcast, not supported.  WHY gets what there is
   to add to the sentence, "" or from a semicolon on. */
jitc_status jc_condition_refusal(const jc_condition *c, int64_t a, int64_t b, const char **why);
char *jc_condition_text(const jc_exprs *t, const jc_condition *c, jc_arena *arena); /* "s0 == 1 or s0 == s1" */
/* Is dim D 0 or 1 for all values?  Only what can be proved is. */
bool jc_at_most_one(jc_exprs *t, const jc_expr *d);
/* Adds C to TO, unless it is proved or there already. */
void jc_conditions_add(jc_exprs *t, jc_arena *arena, jc_conditions *to, jc_condition c);

#endif
