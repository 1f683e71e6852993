/*
 * ir/unsure.c - views of ours that PyTorch may make a copy, and rows that we copy and it makes a view of.
 *
 * A row x[i] by a tensor i without dims is a view in PyTorch; we take it, since no layout of ours starts where only a run tells.  What a pointwise operator makes is row-major here, and in PyTorch in the order of its operands' strides (x.t() + 1 is column-major).  No
 * number depends on that but by a reshape or a contiguous of it, which is a view of what is row-major and a copy of what is not.
 * In both cases nothing tells the two apart but a write to one side and a read of the other after it: there the node is marked (`apart`), and
 * since no choice of sizes would make it right, the scheduler refuses it.  Where nothing can be proved of strides they are taken as another order.
 */
#include "ir/passes_priv.h"

static bool ordered_pair(jc_exprs *t, const jc_expr *slow, const jc_expr *fast) {
    return jc_ex_is(slow, 0) || jc_ex_is(fast, 0) || jc_ex_le(t, fast, slow) == JC_YES || jc_ex_quotient(t, slow, fast) != NULL;
}

/* Do V's strides fall from the first dim to the last? */
static bool is_ordered(jc_exprs *t, const jc_value *v) {
    for (int i = 0; v->type.strides && i < v->type.rank; i++)
        for (int k = i + 1; k < v->type.rank; k++)
            if (!jc_ex_is(v->type.dims[i], 1) && !jc_ex_is(v->type.dims[k], 1) && !ordered_pair(t, v->type.strides[i], v->type.strides[k]))
                return false;
    return true;
}

typedef struct search {
    const jc_func *f;
    bool *otherwise;
    bool found;
} search;

static void see_operand(void *user, jc_value *v) {
    search *s = user;
    s->found |= v->type.kind == JC_TENSOR && v->type.rank > 1 && (s->otherwise[jc_storage(v)->id] || !is_ordered(s->f->graph->exprs, v));
}

bool jc_find_otherwise(const jc_func *f, bool *otherwise) {
    bool any = false;
    for (size_t i = 0; i < f->nodes.n; i++) {
        const jc_node *n = f->nodes.at[i];
        search s = { .f = f, .otherwise = otherwise };
        if (!jc_lays_out_as_operands(n) || n->results[0]->base || n->results[0]->type.rank < 2)
            continue;
        jc_node_operands(n, see_operand, &s);
        otherwise[n->results[0]->id] = s.found;
        any |= s.found;
    }
    return any;
}

/* ---- marking ---- */

/* Is each dim of N's operand kept, or cut into dims of its own?  Then it is a view whatever the strides are. */
static bool cuts_only(jc_exprs *t, const jc_node *n) {
    const jc_type *x = &n->args[0].value->type, *to = &n->results[0]->type;
    int k = 0;
    for (int d = 0; d < x->rank; d++) {
        const jc_expr *made = jc_ex_int(t, 1);
        if (jc_ex_is(x->dims[d], 1))
            continue;
        while (k < to->rank && made != x->dims[d])
            made = jc_ex_mul(t, made, to->dims[k++]);
        if (made != x->dims[d])
            return false;
    }
    return true;
}

/* The two sides of a node: what is seen through it, and all else that lies where its operand does. */
enum { NEITHER, THROUGH, BESIDE };

typedef struct sides {
    const jc_value *storage; /* the operand's */
    const uint32_t *place;   /* of storages that are known outside: parameters may share one */
    uint8_t *side;           /* by value id, where it does not follow from the storage */
    bool wrote[3], told;
} sides;

static uint8_t side_of(const sides *s, jc_value *v) {
    const jc_value *own = jc_storage(v);
    const bool beside = own == s->storage || (s->place[own->id] && s->place[own->id] == s->place[s->storage->id]);
    return s->side[v->id] ? s->side[v->id] : beside ? BESIDE : NEITHER;
}

static void see_read(void *user, jc_value *v) {
    sides *s = user;
    const uint8_t side = side_of(s, v);
    s->told |= side != NEITHER && s->wrote[THROUGH + BESIDE - side];
}

static void see_write(void *user, jc_value *v) {
    sides *s = user;
    s->wrote[side_of(s, v)] = true;
}

/* A view of ours, or of PyTorch's: nothing is read, and the result is on its operand's side. */
static bool is_view(const jc_node *n) {
    return jc_is_row_view(n) || (n->nresults == 1 && n->results[0]->base && n->nargs && n->args[0].kind == JC_ARG_VALUE && n->op != JC_OP_call);
}

static bool told_apart(const jc_func *f, const jc_outside *outside, size_t at) {
    const jc_node *node = f->nodes.at[at];
    sides s = { .storage = jc_storage(node->args[0].value), .place = outside->place, .side = JC_NEWN(f->graph->arena, uint8_t, f->nvalues) };
    s.side[node->results[0]->id] = THROUGH;
    for (size_t i = at + 1; i < f->nodes.n && !s.told; i++) {
        const jc_node *n = f->nodes.at[i];
        if (is_view(n))
            s.side[n->results[0]->id] = side_of(&s, n->args[0].value);
        if (is_view(n) && !(jc_ops[n->op].traits & JC_WRITES))
            continue;
        jc_node_operands(n, see_read, &s);
        jc_node_written(n, see_write, &s);
    }
    const uint32_t here = s.storage->id, there = jc_storage(node->results[0])->id;
    if (outside->written[here] || outside->written[there])
        s.wrote[THROUGH] = s.wrote[BESIDE] = true;
    jc_func_outputs(f, see_read, &s);
    return s.told || (outside->read[here] && s.wrote[THROUGH]);
}

void jc_mark_unsure(jc_func *f, const bool *otherwise, const jc_outside *outside) {
    bool *settled = JC_NEWN(f->graph->arena, bool, f->nvalues); /* seen through a contiguous: row-major in PyTorch too */
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        bool unsure = jc_is_row_view(n);
        if (!unsure && otherwise && is_view(n) && otherwise[n->results[0]->base->id]) {
            const bool was = settled[n->args[0].value->id], contiguous = n->op == JC_OP_contiguous;
            settled[n->results[0]->id] = was || contiguous;
            unsure = !was && (contiguous || (n->op == JC_OP_reshape && !cuts_only(f->graph->exprs, n)));
        }
        if (unsure && told_apart(f, outside, i))
            n->args[n->nargs - 1] = jc_arg_bool(true);
    }
}
