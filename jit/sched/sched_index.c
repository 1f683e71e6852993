/*
 * jit/sched/sched_index.c - indices that are counted: 0, 1, 2 ... or n - 1, n - 2 ..., known to lie within what they index.
 *
 * `arange`, seen through views, is an expression over the loops.  Where all of it provably lies in the dim there is nothing to check, to
 * clamp, or to load: a flip, or the other dims of a gather, are addresses like those of any view.
 */
#include "jit/sched/sched.h"

static bool whole(const jc_arg *a) {
    return a->kind == JC_ARG_EXPR;
}

const jc_node *jc_sched_counted(const jc_sched *s, const jc_value *v, const jc_expr *size) {
    for (; v->def && (jc_ops[v->def->op].traits & JC_VIEW || v->def->op == JC_OP_clone); v = v->def->args[0].value)
        if (v->def->op == JC_OP_bitcast || s->lazy[jc_storage((jc_value *)v)->id].last_write >= 0)
            return NULL;
    const jc_node *n = v->def;
    if (!n || n->op != JC_OP_arange || s->lazy[v->id].last_write >= 0 || !whole(&n->args[0]) || !whole(&n->args[1]) || n->args[3].dtype != JC_I64)
        return NULL;
    jc_exprs *t = s->ex;
    const jc_expr *zero = jc_ex_int(t, 0), *one = jc_ex_int(t, 1), *first = n->args[0].expr, *step = n->args[1].expr;
    const jc_expr *last = jc_ex_add(t, first, jc_ex_mul(t, step, jc_ex_sub(t, n->args[2].expr, one)));
    const bool up = jc_ex_le(t, zero, step) == JC_YES;
    if (!up && jc_ex_le(t, step, zero) != JC_YES)
        return NULL;
    /* Of no elements the last is before the first, and is not asked for. */
    return jc_ex_le(t, zero, up ? first : last) == JC_YES && jc_ex_le(t, jc_ex_add(t, up ? last : first, one), size) == JC_YES ? n : NULL;
}
