/*
 * jit/sched/sched_made.c - values that no node of the class makes.
 *
 * The border of a pad, the memory that an overlapping copy goes by, a reduction without the dims that it keeps: the scheduler
 * appends them to the function, lazy, with one use.  They are computed like any other value.
 */
#include "jit/sched/sched.h"

#include <string.h>

/* The value of a node of operator OP with room for NARGS arguments, of TYPE. */
static jc_value *made(jc_sched *s, jc_op op, uint32_t nargs, const jc_type *type, int line) {
    jc_node *n = JC_NEW(s->arena, jc_node);
    jc_value *v = JC_NEW(s->arena, jc_value);
    *n = (jc_node){ .op = (uint16_t)op, .nargs = nargs, .nresults = 1, .line = line };
    n->args = JC_NEWN(s->arena, jc_arg, nargs);
    n->results = JC_NEWN(s->arena, jc_value *, 1);
    n->results[0] = v;
    *v = (jc_value){ .id = s->f->nvalues++, .name = "made", .def = n, .line = line, .type = *type };
    v->type.strides = NULL;
    if (s->f->nvalues > s->room) { /* more than most_values() thought */
        jc_lazy *more = JC_NEWN(s->arena, jc_lazy, 2 * s->f->nvalues);
        memcpy(more, s->lazy, v->id * sizeof *more);
        s->lazy = more;
        s->room = 2 * s->f->nvalues;
    }
    s->lazy[v->id] = (jc_lazy){ .store = JC_NO_STORE, .uses = 1, .last_write = -1 };
    return v;
}

jc_value *jc_sched_constant(jc_sched *s, const jc_expr *const *dims, uint32_t rank, jc_arg number, jc_dtype dtype,
                            int line) {
    const jc_expr **copy = JC_NEWN(s->arena, const jc_expr *, rank);
    if (rank) /* a number has no dims, and DIMS may be NULL then */
        memcpy(copy, dims, rank * sizeof *copy);
    jc_type type = { .kind = JC_TENSOR, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .dims = copy };
    jc_value *v = made(s, JC_OP_full, 3, &type, line);
    v->def->args[0] = jc_arg_exprs(s->g, dims, rank);
    v->def->args[1] = number;
    v->def->args[2] = jc_arg_dtype(dtype);
    return v;
}

jc_node *jc_sched_index_check(jc_sched *s, jc_value *index, const jc_value *table, const jc_expr *dim, bool wrap, bool writes, int line) {
    int64_t d = 0;
    jc_node *n = JC_NEW(s->arena, jc_node);
    *n = (jc_node){ .op = JC_OP_custom, .target = JC_CHECK_INDEX, .nargs = 5, .line = line };
    jc_ex_is_const(dim, &d);
    n->args = JC_NEWN(s->arena, jc_arg, n->nargs);
    n->args[0] = jc_arg_value(index);
    n->args[1] = jc_arg_expr(table->type.dims[d]);
    n->args[2] = jc_arg_expr(dim);
    n->args[3] = jc_arg_bool(wrap);
    n->args[4] = jc_arg_bool(writes);
    return n;
}

jc_node *jc_sched_info_check(jc_sched *s, const jc_node *n) {
    jc_node *check = JC_NEW(s->arena, jc_node);
    *check = *n;
    check->op = JC_OP_custom;
    check->target = JC_CHECK_INFO;
    return check;
}

jc_value *jc_sched_clone(jc_sched *s, jc_value *v, int line) {
    jc_value *copy = made(s, JC_OP_clone, 1, &v->type, line);
    uint32_t store = s->lazy[jc_storage(v)->id].store;
    copy->def->args[0] = jc_arg_value(v);
    jc_set_join(s, &s->lazy[copy->id].reads, &s->lazy[store == JC_NO_STORE ? v->id : jc_storage(v)->id].reads);
    return copy;
}

jc_value *jc_sched_unkept(jc_sched *s, jc_value *v) {
    const jc_node *n = v->def;
    const jc_expr **dims = JC_NEWN(s->arena, const jc_expr *, JC_MAX_RANK);
    jc_type type = v->type;
    bool reduced[JC_MAX_RANK] = { false };
    uint32_t last = n->args[0].value->type.rank;
    if (!n->args[2].b || (n->args[1].list.n == 1 && jc_ex_is(n->args[1].list.at[0].expr, (int64_t)last - 1)))
        return v;
    for (uint32_t i = 0; i < n->args[1].list.n; i++) {
        int64_t d;
        if (jc_ex_is_const(n->args[1].list.at[i].expr, &d) && d >= 0 && d < v->type.rank)
            reduced[d] = true;
    }
    type.rank = 0;
    type.dims = dims;
    for (uint32_t d = 0; d < v->type.rank; d++)
        if (!reduced[d])
            dims[type.rank++] = v->type.dims[d];
    jc_value *twin = made(s, n->op, n->nargs, &type, n->line);
    memcpy(twin->def->args, n->args, n->nargs * sizeof *n->args);
    twin->def->args[2] = jc_arg_bool(false);
    s->lazy[twin->id].rows = s->lazy[v->id].rows;
    jc_set_join(s, &s->lazy[twin->id].reads, &s->lazy[v->id].reads);
    return twin;
}
