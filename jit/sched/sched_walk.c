/*
 * jit/sched/sched_walk.c - what goes through a dimension in order, and what is written where indices say.
 *
 * A scan carries along its dim.  put_ takes the elements of its source for one place in their order: those lie along the dims that have
 * indices, so these make the steps, and the others, in which source and destination go together, the walkers.  No two walkers meet.  With
 * one step there is no order, and every point is for itself.  Sorts (sched_order.c) take their steps for bisections.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "jit/sched/sched_tape.h"

/* ---- spaces ---- */

static uint32_t dims_of(const jc_arg *list) {
    uint32_t mask = 0;
    for (uint32_t i = 0; i < list->list.n; i++)
        mask |= 1u << list->list.at[i].expr->value;
    return mask;
}

static uint32_t stepped_dims(const jc_node *n) {
    if (n->op == JC_OP_sort_runs || n->op == JC_OP_merge_runs)
        return 0;
    return n->op == JC_OP_put_ ? dims_of(&n->args[2]) : 1u << n->args[1].expr->value;
}

/* What N goes over. */
static const jc_type *walked(const jc_node *n) {
    return n->op == JC_OP_put_ ? &n->args[1].list.at[0].value->type : &n->args[0].value->type;
}

const jc_rows *jc_walk_space(jc_sched *s, const jc_node *n) {
    const jc_type *t = walked(n);
    const uint32_t stepped = stepped_dims(n);
    jc_rows *rows = JC_NEW(s->arena, jc_rows);
    rows->full[rows->rank++] = jc_ex_int(s->ex, 1);
    for (uint32_t d = 0; d < t->rank; d++)
        if (stepped >> d & 1)
            rows->full[0] = jc_ex_mul(s->ex, rows->full[0], t->dims[d]);
        else
            rows->full[rows->rank++] = t->dims[d];
    if (n->op == JC_OP_merge_runs) /* a bisection of a run, which may be whole */
        for (int64_t run = n->args[2].expr->value; run > 0; run /= 2)
            rows->full[0] = jc_ex_int(s->ex, rows->full[0]->value + (run > 1));
    if (rows->rank == 1)
        rows->full[rows->rank++] = jc_ex_int(s->ex, 1);
    return n->op == JC_OP_put_ && jc_ex_is(rows->full[0], 1) ? NULL : rows; /* where there may be none, a kernel of other things would put one */
}

/* Where in what N goes over the kernel is. */
static void find_point(jc_gen *g, const jc_node *n, bool walk, const jc_expr **at) {
    const jc_type *t = walked(n);
    const uint32_t stepped = walk ? stepped_dims(n) : 0;
    uint32_t loop = walk ? 1 : g->k->rank - g->item->rank;
    const jc_expr *step = g->loop[0];
    for (uint32_t d = 0; d < t->rank; d++)
        if (!(stepped >> d & 1))
            at[d] = g->loop[loop++];
    for (uint32_t d = t->rank; d-- > 0;) {
        if (!(stepped >> d & 1))
            continue;
        const jc_expr *extent = jc_gen_expr(g, t->dims[d]);
        const bool outermost = !(stepped & ((1u << d) - 1));
        at[d] = jc_ex_is(extent, 1) ? jc_ex_int(g->ex, 0) : outermost ? step : jc_ex_mod(g->ex, step, extent);
        step = jc_ex_fdiv(g->ex, step, extent);
    }
}

static const jc_expr *place_of(jc_gen *g, const jc_root *r, const jc_expr *const *at) {
    const jc_expr *e = jc_gen_expr(g, r->offset);
    for (uint32_t d = 0; d < r->rank; d++)
        if (!jc_ex_is(at[d], 0))
            e = jc_ex_add(g->ex, e, jc_ex_mul(g->ex, at[d], jc_gen_stride_of(g, r->store, r->strides[d])));
    return e;
}

static void store(jc_gen *g, const jc_root *r, const jc_expr *place, uint32_t x) {
    const uint16_t arg = jc_gen_pointer(g, r->store, r->dtype, true);
    jc_gen_push(g, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .arg = arg, .a = x, .index = place });
}

void jc_gen_store(jc_gen *g, const jc_root *r, const jc_expr *const *at, uint32_t x) {
    store(g, r, place_of(g, r, at), x);
}

const jc_expr *jc_gen_run(jc_gen *g, const jc_node *n) {
    const struct {
        const jc_node *n;
        const char *what;
    } key = { n, "run" };
    const jc_expr *known = jc_map_get(g->memo, &key, sizeof key);
    if (!known) {
        known = jc_gen_size(g, n->args[2].expr);
        jc_map_set(g->memo, jc_arena_memdup(g->s->arena, &key, sizeof key), sizeof key, (void *)known);
    }
    return known;
}

/* ---- scans ---- */

uint32_t jc_gen_carry(jc_gen *g, const jc_node *n, uint64_t which, uint32_t first) {
    const struct {
        const jc_node *n;
        uint64_t which;
    } key = { n, which };
    uintptr_t known = (uintptr_t)jc_map_get(g->memo, &key, sizeof key);
    int64_t number = 0;
    if (known)
        return (uint32_t)(known - 1);
    for (size_t i = 0; i < g->tape.n; i++)
        number += g->tape.at[i].op == JC_T_CARRY;
    const uint32_t made = jc_gen_push(g, (jc_instr){ .op = JC_T_CARRY, .ct = (uint8_t)ct(g, first), .a = first, .i = number });
    jc_map_set(g->memo, jc_arena_memdup(g->s->arena, &key, sizeof key), sizeof key, (void *)(uintptr_t)(made + 1));
    return made;
}

void jc_gen_next(jc_gen *g, uint32_t of, uint32_t x) {
    jc_gen_push(g, (jc_instr){ .op = JC_T_NEXT, .ct = JC_CT_NONE, .a = of, .b = x });
}

/* log(e^a + e^b): of equal infinities themselves. */
static uint32_t log_add_exp(jc_gen *g, uint32_t a, uint32_t b) {
    const jc_ct c = ct(g, a);
    const uint32_t lo = op2(g, JC_T_MINIMUM, a, b), hi = op2(g, JC_T_MAXIMUM, a, b);
    const uint32_t same = op2(g, JC_T_AND, op2(g, JC_T_EQ, lo, hi), op2(g, JC_T_EQ, op1(g, JC_T_ABS, lo), number(g, c, INFINITY)));
    const uint32_t off = op1(g, JC_T_EXP, op2(g, JC_T_SUB, lo, hi));
    return select(g, same, a, op2(g, JC_T_ADD, jc_gen_log1p(g, off), hi));
}

/* X and what went before, in what PyTorch adds up in. */
static uint32_t running(jc_gen *g, const jc_node *n, uint32_t x) {
    const jc_ct c = n->results[0]->type.dtype == JC_F32 ? JC_CT_F64 : jc_compute_type((jc_dtype)n->results[0]->type.dtype);
    const uint32_t so_far = jc_gen_carry(g, n, 0, number(g, c, n->op == JC_OP_cumsum ? 0 : n->op == JC_OP_cumprod ? 1 : -INFINITY));
    x = convert(g, x, c);
    x = n->op == JC_OP_cumsum    ? op2(g, JC_T_ADD, so_far, x)
        : n->op == JC_OP_cumprod ? op2(g, JC_T_MUL, so_far, x)
                                 : log_add_exp(g, so_far, x);
    jc_gen_next(g, so_far, x);
    return convert(g, x, jc_compute_type((jc_dtype)n->results[0]->type.dtype));
}

static uint32_t least(jc_gen *g, jc_ct c, bool most) {
    if (c == JC_CT_I64)
        return jc_gen_push(g, (jc_instr){ .op = JC_T_INT, .ct = JC_CT_I64, .i = most ? INT64_MAX : INT64_MIN });
    return number(g, c, most ? INFINITY : -INFINITY);
}

/* The largest or smallest so far, or where that is. */
static uint32_t extreme(jc_gen *g, const jc_node *n, uint32_t x, bool index) {
    const bool smallest = n->op == JC_OP_cummin;
    const jc_ct kept = jc_compute_type((jc_dtype)n->results[0]->type.dtype), c = kept == JC_CT_B1 ? JC_CT_I64 : kept;
    x = convert(g, jc_gen_kept(g, x, (jc_dtype)n->results[0]->type.dtype), c);
    const uint32_t best = jc_gen_carry(g, n, 0, least(g, c, smallest));
    uint32_t takes = smallest ? op2(g, JC_T_LE, x, best) : op2(g, JC_T_LE, best, x);
    if (c != JC_CT_I64)
        takes = op2(g, JC_T_OR, takes, op2(g, JC_T_NE, x, x));
    const uint32_t now = select(g, takes, x, best);
    jc_gen_next(g, best, now);
    if (!index)
        return convert(g, now, kept);
    const uint32_t place = jc_gen_carry(g, n, 1, number(g, JC_CT_I64, 0)), here = select(g, takes, integer(g, g->loop[0]), place);
    jc_gen_next(g, place, here);
    return here;
}

static void gen_scan(jc_gen *g, const jc_root *r, const jc_expr *const *at) {
    const jc_node *n = r->ordered;
    uint32_t x = jc_gen_value(g, n->args[0].value, at);
    if (g->failed)
        return;
    x = n->nresults == 1 ? running(g, n, x) : extreme(g, n, x, r->value == n->results[1]);
    store(g, r, place_of(g, r, at), x);
}

/* ---- put_ ---- */

static uint32_t combined(jc_gen *g, uint32_t was, uint32_t x, int64_t mode, jc_dtype dtype) {
    static const uint8_t tape[JC_PUT_COUNT] = {
        [JC_PUT_ADD] = JC_T_ADD, [JC_PUT_MUL] = JC_T_MUL, [JC_PUT_MIN] = JC_T_MINIMUM, [JC_PUT_MAX] = JC_T_MAXIMUM,
    };
    const jc_ct kept = jc_compute_type(dtype), c = kept == JC_CT_B1 ? JC_CT_I64 : kept;
    return convert(g, op2(g, (jc_tape_op)tape[mode], convert(g, was, c), convert(g, x, c)), kept);
}

static void gen_put(jc_gen *g, const jc_root *r, const jc_expr **at) {
    const jc_node *n = r->ordered;
    const jc_expr *from[JC_MAX_RANK];
    memcpy(from, at, sizeof from);
    for (uint32_t i = 0; i < n->args[1].list.n; i++) {
        const uint32_t d = (uint32_t)n->args[2].list.at[i].expr->value;
        const uint32_t index = convert(g, jc_gen_value(g, n->args[1].list.at[i].value, from), JC_CT_I64);
        if (g->failed)
            return;
        at[d] = jc_gen_place(g, index, jc_gen_expr(g, n->args[0].value->type.dims[d]), n->args[5].b);
    }
    const jc_expr *place = place_of(g, r, at);
    uint32_t x = n->args[3].kind == JC_ARG_VALUE ? jc_gen_value(g, n->args[3].value, from)
                                                 : jc_gen_argument(g, n, 3, jc_compute_type(r->dtype));
    if (g->failed)
        return;
    x = convert_for(g, x, r->dtype);
    if (n->args[4].expr->value != JC_PUT_SET) {
        const uint16_t arg = jc_gen_pointer(g, r->store, r->dtype, true);
        const jc_ct c = jc_compute_type(r->dtype);
        const uint32_t was = jc_gen_push(g, (jc_instr){ .op = JC_T_LOAD, .ct = (uint8_t)c, .arg = arg, .index = place });
        x = combined(g, was, jc_gen_kept(g, x, r->dtype), n->args[4].expr->value, r->dtype);
    }
    store(g, r, place, x);
}

bool jc_gen_ordered(jc_gen *g, const jc_root *r) {
    const jc_expr *at[JC_MAX_RANK] = { NULL };
    find_point(g, r->ordered, r->walk != NULL, at);
    switch (r->ordered->op) {
    case JC_OP_put_: gen_put(g, r, at); break;
    case JC_OP_sort_runs: jc_gen_sort_runs(g, r, at); break;
    case JC_OP_merge_runs: jc_gen_merge_runs(g, r, at); break;
    default: gen_scan(g, r, at);
    }
    return !g->failed && g->args.n <= JC_KERNEL_MAX_ARGS;
}
