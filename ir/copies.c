/*
 * ir/copies.c - reshapes that are copies here and views in PyTorch, for some values of the symbols.
 *
 * PyTorch decides by the sizes and strides of the run: `x.t().reshape(-1)` of f32[s0, 4] is a copy, and a view where s0 is 1, since
 * a dim of one element has no stride to speak of.  Inference decides once, and makes a copy of what is not a view for all sizes.  The
 * two are told apart only by a write: to one of the two storages, while the other is still to be read.  Where there is one, the
 * plan gets a condition (JC_REL_COPY) that holds where PyTorch copies as well, and a call with other sizes is refused.
 *
 * The condition is exact.  Dims of one element left aside, a reshape is a view if each two neighbouring dims of the operand
 * chain (stride[i] == stride[j] * dim[j]) or part where two of the new dims part.  So it copies if a product of these is
 * not 0 for some pair: both have several elements, those between have one, they do not chain, and the elements from j on are no
 * number of elements of the last new dims.  Of no elements nothing can be told.
 *
 * Which writes count is asked without regard to order where the order of a class does not tell: a write to what the reshape
 * made comes after it, and what reads the operand's storage elsewhere may come after that.  A reader of columns that the reshape does not
 * see is left out: queries made contiguous and rotated in place, beside keys and values, are what engines have.
 */
#include "ir/infer_priv.h"

/* ---- when does it copy? ---- */

/* Are A and B, which are not 0 at the same time, different for all values? */
static bool differ(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (jc_ex_equal(t, a, b) == JC_NO)
        return true;
    int64_t q;
    const jc_expr *over[] = { jc_ex_is(b, 0) ? NULL : jc_ex_quotient(t, a, b), jc_ex_is(a, 0) ? NULL : jc_ex_quotient(t, b, a) };
    for (int i = 0; i < 2; i++)
        if (over[i] && jc_ex_is_const(over[i], &q) && q != 1)
            return true;
    return false;
}

/* 1 where A and B differ, else 0.  Indicators are single atoms or numbers, so a product of them is one term. */
static const jc_expr *differing(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (jc_ex_equal(t, a, b) == JC_YES)
        return jc_ex_int(t, 0);
    const jc_expr *one = jc_ex_int(t, 1);
    return differ(t, a, b) ? one : jc_ex_min(t, one, jc_ex_max(t, jc_ex_sub(t, a, b), jc_ex_sub(t, b, a)));
}

/* Is a dim that is not 0 more than 1? */
static bool always_several(jc_exprs *t, const jc_expr *dim) {
    return jc_ex_le(t, jc_ex_int(t, 2), dim) == JC_YES || jc_ex_divisor(t, dim) > 1;
}

static const jc_expr *several(jc_exprs *t, const jc_expr *dim) {
    const jc_expr *zero = jc_ex_int(t, 0), *one = jc_ex_int(t, 1);
    return always_several(t, dim) ? one : jc_ex_min(t, one, jc_ex_max(t, zero, jc_ex_sub(t, dim, one)));
}

static const jc_expr *single(jc_exprs *t, const jc_expr *dim) {
    const jc_expr *zero = jc_ex_int(t, 0), *two = jc_ex_int(t, 2);
    return always_several(t, dim) ? zero : jc_ex_is(dim, 1) ? jc_ex_int(t, 1) : jc_ex_max(t, zero, jc_ex_sub(t, two, dim));
}

/* Above 0 where dims I and J of X, J > I, are neighbours that the new DIMS would have to see as one, and cannot. */
static const jc_expr *torn(jc_exprs *t, const jc_type *x, int i, int j, const jc_type *to) {
    const jc_expr *e = jc_ex_mul(t, several(t, x->dims[i]), several(t, x->dims[j]));
    for (int d = i + 1; d < j; d++)
        e = jc_ex_mul(t, e, single(t, x->dims[d]));
    e = jc_ex_mul(t, e, differing(t, x->strides[i], jc_ex_mul(t, x->strides[j], x->dims[j])));
    const jc_expr *inner = jc_ex_product(t, x->dims + j, (uint32_t)(x->rank - j));
    for (int k = 1; k < to->rank && !jc_ex_is(e, 0); k++)
        e = jc_ex_mul(t, e, differing(t, inner, jc_ex_product(t, to->dims + k, (uint32_t)(to->rank - k))));
    return e;
}

/* Above 0 where dim I of X has not the stride that a contiguous tensor has there. */
static const jc_expr *strayed(jc_exprs *t, const jc_type *x, int i) {
    const jc_expr *plain = jc_ex_product(t, x->dims + i + 1, (uint32_t)(x->rank - i - 1));
    return jc_ex_mul(t, several(t, x->dims[i]), differing(t, x->strides[i], plain));
}

/* Above 0, or not below 1 where elements are, where N copies in PyTorch too; NULL: wherever there are elements. */
static const jc_expr *copies_where(jc_exprs *t, const jc_node *n) {
    const jc_type *x = &n->args[0].value->type, *to = &n->results[0]->type;
    const jc_expr *sum = jc_ex_int(t, 0);
    for (int i = 0; i < x->rank; i++)
        for (int j = n->op == JC_OP_reshape ? i + 1 : x->rank - 1; j < x->rank; j++) {
            const jc_expr *e = n->op == JC_OP_reshape ? torn(t, x, i, j, to) : strayed(t, x, i);
            if (jc_ex_le(t, jc_ex_int(t, 1), e) == JC_YES)
                return NULL;
            sum = jc_ex_add(t, sum, e);
        }
    return sum;
}

/* ---- does it matter? ---- */

typedef struct copies {
    const jc_func *f;
    jc_exprs *t;
    bool *written; /* by value id: storages written here, also through what may be a view of one */
} copies;

static bool same_storage(const jc_value *a, const jc_value *b) {
    return a == b || (a->alias && a->alias == b->alias);
}

/* A copy that may be a view elsewhere. */
static bool may_be_view(const jc_node *n) {
    return (n->op == JC_OP_reshape || n->op == JC_OP_contiguous) && !n->results[0]->base && n->args[0].value->type.strides;
}

typedef struct search {
    const copies *c;
    const jc_node *node;
    const jc_value *storage, *apart; /* readers of columns beside those of APART do not count; may be NULL */
    bool *mark;
    uint32_t operand;
    bool found;
} search;

static void mark_written(void *user, jc_value *v) {
    search *s = user;
    if (v->type.kind == JC_TENSOR && jc_node_writes(s->node, s->operand++))
        s->mark[jc_storage(v)->id] = true;
}

static void see_write(void *user, jc_value *v) {
    search *s = user;
    s->found |= v->type.kind == JC_TENSOR && jc_node_writes(s->node, s->operand++) && same_storage(jc_storage(v), s->storage);
}

static bool proved_le(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    return jc_condition_proved(t, &(jc_condition){ .rel = JC_REL_LE, .a = a, .b = b });
}

/* Do A's columns, and B's, lie in rows that both have, A's before B's? */
static bool columns_before(jc_exprs *t, const jc_value *a, const jc_value *b) {
    const jc_expr *one = jc_ex_int(t, 1), *zero = jc_ex_int(t, 0), *end[2];
    const jc_value *v[2] = { a, b };
    for (int i = 0; i < 2; i++) {
        end[i] = jc_ex_add(t, v[i]->offset ? v[i]->offset : zero, one);
        for (int d = 1; d < v[i]->type.rank; d++)
            end[i] = jc_ex_add(t, end[i], jc_ex_mul(t, jc_ex_sub(t, v[i]->type.dims[d], one), v[i]->type.strides[d]));
    }
    return proved_le(t, end[0], b->offset ? b->offset : zero) && proved_le(t, end[1], a->type.strides[0]);
}

static bool columns_apart(jc_exprs *t, const jc_value *a, const jc_value *b) {
    if (!a->base || a->base != b->base || a->type.dtype != a->base->type.dtype || b->type.dtype != a->type.dtype ||
        !a->type.strides || !b->type.strides || !a->type.rank || !b->type.rank || a->type.strides[0] != b->type.strides[0])
        return false;
    return columns_before(t, a, b) || columns_before(t, b, a);
}

static void see_read(void *user, jc_value *v) {
    search *s = user;
    s->found |= v->type.kind == JC_TENSOR && same_storage(jc_storage(v), s->storage) && !columns_apart(s->c->t, v, s->apart);
}

static bool writes(const jc_node *n, const jc_value *storage) {
    search s = { .node = n, .storage = storage };
    if (jc_ops[n->op].traits & JC_EFFECT)
        jc_node_operands(n, see_write, &s);
    return s.found;
}

/* Is V, the operand of node number AT, read by anything else in this function, or after it? What writes it before is before. */
static bool read_elsewhere(const copies *c, size_t at, const jc_value *v) {
    search s = { .c = c, .storage = jc_storage((jc_value *)v), .apart = v };
    if (!s.storage->def)
        return true; /* the caller's */
    for (size_t i = 0; i < c->f->nodes.n && !s.found; i++) {
        const jc_node *n = c->f->nodes.at[i];
        bool view = n->nresults == 1 && n->results[0]->base;
        if (i != at && (!view || n->op == JC_OP_copy_) && !(i < at && writes(n, s.storage)))
            jc_node_operands(n, see_read, &s);
    }
    const jc_node out = { .op = JC_OP_call, .nargs = c->f->noutputs, .args = c->f->outputs };
    jc_node_operands(&out, see_read, &s);
    return s.found;
}

/* Is the storage of V written after node number AT? */
static bool written_after(const copies *c, size_t at, jc_value *v) {
    bool found = false;
    for (size_t i = at + 1; i < c->f->nodes.n && !found; i++)
        found = writes(c->f->nodes.at[i], jc_storage(v));
    return found;
}

static bool find_written(copies *c) {
    const jc_func *f = c->f;
    bool any = false, effects = false;
    for (size_t i = 0; i < f->nodes.n; i++) {
        any |= may_be_view(f->nodes.at[i]);
        effects |= (jc_ops[f->nodes.at[i]->op].traits & JC_EFFECT) != 0;
    }
    if (!any || !effects)
        return false;
    c->written = JC_NEWN(f->graph->arena, bool, f->nvalues);
    for (size_t i = f->nodes.n; i-- > 0;) { /* a write to what may be a view is one to what it may be a view of */
        search s = { .node = f->nodes.at[i], .mark = c->written };
        if (jc_ops[s.node->op].traits & JC_EFFECT)
            jc_node_operands(s.node, mark_written, &s);
        if (may_be_view(s.node) && c->written[s.node->results[0]->id])
            c->written[jc_storage(s.node->args[0].value)->id] = true;
    }
    return true;
}

void jc_conditions_of_copies(const jc_func *f, jc_conditions *out) {
    copies c = { .f = f, .t = f->graph->exprs };
    if (!find_written(&c))
        return;
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        if (!may_be_view(n))
            continue;
        jc_value *x = n->args[0].value;
        const jc_expr *where = copies_where(c.t, n);
        if (where && (written_after(&c, i, x) || (c.written[n->results[0]->id] && read_elsewhere(&c, i, x)))) {
            const jc_expr *elements = jc_ex_product(c.t, x->type.dims, x->type.rank);
            jc_conditions_add(c.t, f->graph->arena, out,
                              (jc_condition){ JC_REL_COPY, n->line, jc_ex_min(c.t, jc_ex_int(c.t, 1), elements), where });
        }
    }
}
