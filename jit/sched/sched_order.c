/*
 * jit/sched/sched_order.c - what has to do with the order of elements: the best of a row, sorted runs, runs that are merged.
 *
 * NaN is larger than any number, of either order; of equal elements the first goes first.  Elements are compared as their dtype holds them.
 *
 * A sort is rank counting in runs, each a row whose columns are the run, and then merges: an element's place in two runs together is
 * its place in its own and the number of the other's elements that go before it, which a walker finds by bisection.  So the places of two
 * elements never meet, and every element finds its own.  Sizes are arguments, so that all merges of all sorts of a dtype are one kernel.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "jit/sched/sched_tape.h"

/* Does A go before B for certain? */
static uint32_t goes_before(jc_gen *g, uint32_t a, uint32_t b, bool descending) {
    const uint32_t first = descending ? b : a, second = descending ? a : b;
    const uint32_t less = op2(g, JC_T_LT, first, second);
    if (ct(g, a) == JC_CT_I64)
        return less;
    return op2(g, JC_T_OR, less, op2(g, JC_T_AND, op2(g, JC_T_NE, second, second), op2(g, JC_T_EQ, first, first)));
}

/* X, of dtype D, as it is compared. */
static uint32_t compared(jc_gen *g, uint32_t x, jc_dtype d) {
    return g->failed ? 0 : convert(g, jc_gen_kept(g, x, d), d == JC_B8 ? JC_CT_I64 : jc_compute_type(d));
}

/* ---- the best of a row ---- */

static uint32_t worst(jc_gen *g, jc_ct c, bool largest) {
    if (c == JC_CT_I64)
        return jc_gen_push(g, (jc_instr){ .op = JC_T_INT, .ct = JC_CT_I64, .i = largest ? INT64_MIN : INT64_MAX });
    return number(g, c, largest ? -INFINITY : INFINITY);
}

typedef struct best {
    uint32_t value, place; /* the same in the whole row */
} best;

/* Of X where FREE holds (NO_MASK: everywhere), in column COLUMN of N. */
#define NO_MASK UINT32_MAX
static best largest_of(jc_gen *g, uint32_t x, uint32_t free, uint32_t column, uint32_t n) {
    const jc_ct c = ct(g, x);
    best b;
    b.value = op1(g, JC_T_RED_MAX, free == NO_MASK ? x : select(g, free, x, worst(g, c, true)));
    uint32_t hit = op2(g, JC_T_EQ, x, b.value);
    if (c != JC_CT_I64)
        hit = op2(g, JC_T_OR, hit, op2(g, JC_T_NE, x, x)); /* where one is left the largest is NaN, and equal to nothing */
    if (free != NO_MASK)
        hit = op2(g, JC_T_AND, hit, free);
    b.place = op1(g, JC_T_RED_MIN, select(g, hit, column, n));
    return b;
}

/* NaNs go last: they are looked for beyond all columns. */
static best smallest_of(jc_gen *g, uint32_t x, uint32_t free, uint32_t column, uint32_t n) {
    const jc_ct c = ct(g, x);
    best b;
    const uint32_t none = worst(g, c, false);
    uint32_t y = c == JC_CT_I64 ? x : select(g, op2(g, JC_T_EQ, x, x), x, none);
    b.value = op1(g, JC_T_RED_MIN, free == NO_MASK ? y : select(g, free, y, none));
    uint32_t hit = op2(g, JC_T_EQ, x, b.value);
    if (c == JC_CT_I64) {
        b.place = op1(g, JC_T_RED_MIN, select(g, free == NO_MASK ? hit : op2(g, JC_T_AND, hit, free), column, n));
        return b;
    }
    uint32_t where = select(g, hit, column, op2(g, JC_T_ADD, column, n));
    if (free != NO_MASK)
        where = select(g, free, where, op2(g, JC_T_ADD, n, n));
    const uint32_t found = op1(g, JC_T_RED_MIN, where), is_nan = op2(g, JC_T_LE, n, found);
    b.place = select(g, is_nan, op2(g, JC_T_SUB, found, n), found);
    b.value = select(g, is_nan, number(g, c, NAN), b.value);
    return b;
}

uint32_t jc_gen_nth(jc_gen *g, const jc_node *n, uint32_t x) {
    const jc_dtype dtype = (jc_dtype)n->args[0].value->type.dtype;
    const uint32_t last = g->k->rank - 1u;
    const bool largest = n->args[4].b;
    x = compared(g, x, dtype);
    const uint32_t column = integer(g, g->loop[last]), count = integer(g, g->k->extent[last]);
    uint32_t free = NO_MASK;
    best b = { 0, 0 };
    for (int64_t round = 0; round <= n->args[3].expr->value && !g->failed; round++) {
        if (round) {
            const uint32_t other = op2(g, JC_T_NE, column, b.place);
            free = free == NO_MASK ? other : op2(g, JC_T_AND, free, other);
        }
        b = largest ? largest_of(g, x, free, column, count) : smallest_of(g, x, free, column, count);
    }
    return n->args[5].b ? b.place : convert(g, b.value, jc_compute_type(dtype));
}

/* ---- sorted runs ---- */

/* X or its place I, as result R's dtype, to element PLACE of its row. */
static void store_at(jc_gen *g, const jc_root *r, const jc_expr **at, const jc_expr *place, uint32_t x, uint32_t i) {
    const bool index = r->value == r->ordered->results[1];
    at[r->rank - 1] = place;
    jc_gen_store(g, r, at, index ? i : convert(g, x, jc_compute_type(r->dtype)));
}

void jc_gen_sort_runs(jc_gen *g, const jc_root *r, const jc_expr **at) {
    const jc_node *n = r->ordered;
    jc_value *x = n->args[0].value;
    const jc_dtype dtype = (jc_dtype)x->type.dtype;
    const uint32_t last = x->type.rank - 1u;
    const jc_expr *size = jc_gen_expr(g, x->type.dims[last]), *run = jc_gen_expr(g, n->args[1].expr), *one = jc_ex_int(g->ex, 1);
    const jc_expr *i = at[last], *first = jc_ex_mul(g->ex, jc_ex_fdiv(g->ex, i, run), run);
    const jc_expr *j = jc_ex_add(g->ex, first, g->loop[g->k->rank - 1]);
    const bool ragged = jc_ex_divisor(g->s->ex, x->type.dims[last]) % n->args[1].expr->value != 0;
    const uint32_t own = compared(g, jc_gen_value(g, x, at), dtype);
    at[last] = ragged ? jc_ex_min(g->ex, j, jc_ex_sub(g->ex, size, one)) : j;
    const uint32_t other = compared(g, jc_gen_value(g, x, at), dtype);
    if (g->failed)
        return;
    const bool descending = n->args[2].b;
    const uint32_t tied = op1(g, JC_T_NOT, goes_before(g, own, other, descending));
    uint32_t before = op2(g, JC_T_AND, tied, op2(g, JC_T_LT, integer(g, j), integer(g, i)));
    before = op2(g, JC_T_OR, before, goes_before(g, other, own, descending));
    if (ragged)
        before = op2(g, JC_T_AND, before, op2(g, JC_T_LT, integer(g, j), integer(g, size)));
    const uint32_t rank = op1(g, JC_T_RED_SUM, convert(g, before, JC_CT_I64));
    const jc_expr *place = jc_gen_place(g, rank, run, false);
    store_at(g, r, at, jc_ex_add(g->ex, first, place), own, integer(g, i));
}

/* ---- merged runs ---- */

void jc_gen_merge_runs(jc_gen *g, const jc_root *r, const jc_expr **at) {
    const jc_node *n = r->ordered;
    jc_value *values = n->args[0].value;
    const jc_dtype dtype = (jc_dtype)values->type.dtype;
    const uint32_t last = values->type.rank - 1u;
    const bool descending = n->args[3].b;
    jc_exprs *ex = g->ex;
    const jc_expr *size = g->k->extent[g->k->rank - 1], *run = jc_gen_run(g, n), *zero = jc_ex_int(ex, 0), *one = jc_ex_int(ex, 1);
    const jc_expr *i = at[last], *number_ = jc_ex_fdiv(ex, i, run), *odd = jc_ex_mod(ex, number_, jc_ex_int(ex, 2));
    const jc_expr *sibling = jc_ex_sub(ex, jc_ex_add(ex, number_, one), jc_ex_add(ex, odd, odd)), *from = jc_ex_mul(ex, sibling, run);
    const jc_expr *length = jc_ex_max(ex, zero, jc_ex_min(ex, jc_ex_sub(ex, size, from), run));
    const uint32_t own = compared(g, jc_gen_value(g, values, at), dtype), index = jc_gen_value(g, n->args[1].value, at);
    if (g->failed)
        return;
    const uint32_t lo = jc_gen_carry(g, n, 0, number(g, JC_CT_I64, 0)), hi = jc_gen_carry(g, n, 1, integer(g, length));
    const uint32_t mid = op2(g, JC_T_SHR, op2(g, JC_T_ADD, lo, hi), number(g, JC_CT_I64, 1)), open = op2(g, JC_T_LT, lo, hi);
    at[last] = jc_gen_place(g, op2(g, JC_T_ADD, integer(g, from), mid), size, false);
    const uint32_t other = compared(g, jc_gen_value(g, values, at), dtype);
    const uint32_t is_right = op2(g, JC_T_EQ, integer(g, odd), number(g, JC_CT_I64, 0)); /* what is right of it: equal ones go after it */
    uint32_t before = select(g, is_right, goes_before(g, other, own, descending), op1(g, JC_T_NOT, goes_before(g, own, other, descending)));
    jc_gen_next(g, lo, select(g, op2(g, JC_T_AND, open, before), op2(g, JC_T_ADD, mid, number(g, JC_CT_I64, 1)), lo));
    jc_gen_next(g, hi, select(g, op2(g, JC_T_AND, open, op1(g, JC_T_NOT, before)), mid, hi));
    const uint32_t count = op1(g, JC_T_LAST, lo), base = integer(g, jc_ex_sub(ex, i, jc_ex_mul(ex, odd, run)));
    store_at(g, r, at, jc_gen_place(g, op2(g, JC_T_ADD, base, count), size, false), own, index);
}
