/*
 * ir/unsure.c - views of ours that PyTorch may make a copy, since it lays out their operand otherwise.
 *
 * What a pointwise operator makes is row-major here, and in PyTorch in the order of its operands' strides (x.t() + 1 is column-major).  No
 * number depends on that but by a reshape or a contiguous of it, which is a view of what is row-major and a copy of what is not.
 * Nothing tells the two apart but a write to one side and a read of the other after it: there the node is marked (`apart`), and since no
 * choice of sizes would make it right, the scheduler refuses it.  Where nothing can be proved of strides they are taken as another order.
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

/* The two sides of a storage: what is seen through the node, and all else. */
typedef struct sides {
    const jc_value *storage;
    bool *through;  /* by value id */
    bool wrote[2], told;
} sides;

static void see_read(void *user, jc_value *v) {
    sides *s = user;
    s->told |= jc_storage(v) == s->storage && s->wrote[!s->through[v->id]];
}

static void see_write(void *user, jc_value *v) {
    sides *s = user;
    if (jc_storage(v) == s->storage)
        s->wrote[s->through[v->id]] = true;
}

static bool is_view(const jc_node *n) {
    return n->nresults == 1 && n->results[0]->base && n->op != JC_OP_copy_;
}

static bool told_apart(const jc_func *f, const jc_outside *outside, size_t at) {
    const jc_value *made = f->nodes.at[at]->results[0];
    sides s = { .storage = made->base, .through = JC_NEWN(f->graph->arena, bool, f->nvalues) };
    s.through[made->id] = true;
    for (size_t i = at + 1; i < f->nodes.n && !s.told; i++) {
        const jc_node *n = f->nodes.at[i];
        const bool follows = n->nresults == 1 && n->results[0]->base == s.storage && n->nargs && n->args[0].kind == JC_ARG_VALUE;
        if (follows)
            s.through[n->results[0]->id] = s.through[n->args[0].value->id];
        if (is_view(n))
            continue;
        jc_node_operands(n, see_read, &s);
        jc_node_written(n, see_write, &s);
    }
    if (outside->written[s.storage->id])
        s.wrote[0] = s.wrote[1] = true;
    jc_func_outputs(f, see_read, &s);
    return s.told || (outside->read[s.storage->id] && s.wrote[1]);
}

void jc_mark_unsure(jc_func *f, const bool *otherwise, const jc_outside *outside) {
    bool *settled = JC_NEWN(f->graph->arena, bool, f->nvalues); /* seen through a contiguous: row-major in PyTorch too */
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        if (!is_view(n) || !otherwise[n->results[0]->base->id])
            continue;
        const bool was = settled[n->args[0].value->id], contiguous = n->op == JC_OP_contiguous;
        settled[n->results[0]->id] = was || contiguous;
        if (!was && (contiguous || (n->op == JC_OP_reshape && !cuts_only(f->graph->exprs, n))) && told_apart(f, outside, i))
            n->args[n->nargs - 1] = jc_arg_bool(true);
    }
}
