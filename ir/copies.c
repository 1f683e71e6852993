/*
 * ir/copies.c - which copies have to be copies.
 *
 * A reshape or a contiguous that is a copy here is a view in PyTorch for some values of the symbols (ir/infer_copy.c).  The two are told
 * apart only by a write: to one of the two storages, while the other is still to be read.  Where there may be one, in this piece or
 * in a later one, the node is marked.  The mark is an argument, hence part of the canonical form.
 *
 * Which writes count is asked without regard to order where the order of a class does not tell: a write to what the reshape
 * made comes after it, and what reads the operand's storage elsewhere may come after that.  A reader of columns that the reshape does not
 * see is left out: queries made contiguous and rotated in place, beside keys and values, are what engines have.
 *
 * Copies of copies: what is written to a copy is written to all that it may be a view of, and a copy that is given out gives
 * out what it was made of.  Each mark asks as if the other copies were what they are here; those that are not have marks.
 */
#include "ir/passes_priv.h"

typedef struct copies {
    jc_func *f;
    const jc_outside *outside;
    size_t *last;    /* by value id of an owner: 1 + number of the last node here that writes it */
    bool *written;   /* here or later, also through what may be a view of it */
    bool *given_out; /* it, or what may be a view of it */
} copies;

static bool same_storage(const copies *c, const jc_value *a, const jc_value *b) {
    return a == b || (c->outside->place[a->id] && c->outside->place[a->id] == c->outside->place[b->id]);
}

/* A copy that may be a view elsewhere. */
static bool may_be_view(const jc_node *n) {
    return (n->op == JC_OP_reshape || n->op == JC_OP_contiguous) && !n->results[0]->base && n->args[0].value->type.strides;
}

/* ---- facts ---- */

typedef struct marking {
    copies *c;
    size_t number; /* 1 + that of the node */
} marking;

static void mark_written(void *user, jc_value *v) {
    marking *m = user;
    const uint32_t id = jc_storage(v)->id;
    m->c->written[id] = true;
    if (m->c->last[id] < m->number)
        m->c->last[id] = m->number;
}

static void mark_given_out(void *user, jc_value *v) {
    copies *c = user;
    c->given_out[jc_storage(v)->id] = true;
}

static void collect(copies *c) {
    const jc_func *f = c->f;
    jc_arena *arena = f->graph->arena;
    c->last = JC_NEWN(arena, size_t, f->nvalues);
    c->written = JC_NEWN(arena, bool, f->nvalues);
    c->given_out = JC_NEWN(arena, bool, f->nvalues);
    for (uint32_t i = 0; i < f->nvalues; i++)
        c->written[i] = c->outside->written[i];
    jc_func_outputs(f, mark_given_out, c);
    for (size_t i = f->nodes.n; i-- > 0;) {
        const jc_node *n = f->nodes.at[i];
        marking m = { c, i + 1 };
        jc_node_written(n, mark_written, &m);
        if (!may_be_view(n))
            continue;
        const uint32_t from = jc_storage(n->args[0].value)->id, to = n->results[0]->id;
        c->written[from] |= c->written[to];
        c->given_out[from] |= c->given_out[to];
    }
}

/* ---- readers ---- */

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

typedef struct search {
    const copies *c;
    const jc_value *storage, *apart; /* readers of columns beside those of APART do not count */
    bool found;
} search;

static void see_write(void *user, jc_value *v) {
    search *s = user;
    s->found |= same_storage(s->c, jc_storage(v), s->storage);
}

static void see_read(void *user, jc_value *v) {
    search *s = user;
    s->found |= v->type.kind == JC_TENSOR && same_storage(s->c, jc_storage(v), s->storage) &&
                !columns_apart(s->c->f->graph->exprs, v, s->apart);
}

static bool writes(const copies *c, const jc_node *n, const jc_value *storage) {
    search s = { .c = c, .storage = storage };
    jc_node_written(n, see_write, &s);
    return s.found;
}

/* Is V, the operand of node number AT, read by anything else in this function, or after it? What writes it before is before. */
static bool read_elsewhere(const copies *c, size_t at, const jc_value *v) {
    search s = { .c = c, .storage = jc_storage((jc_value *)v), .apart = v };
    if (c->outside->read[s.storage->id])
        return true;
    for (size_t i = 0; i < c->f->nodes.n && !s.found; i++) {
        const jc_node *n = c->f->nodes.at[i];
        const bool view = n->nresults == 1 && n->results[0]->base;
        if (i != at && (!view || jc_ops[n->op].traits & JC_WRITES) && !(i < at && writes(c, n, s.storage)))
            jc_node_operands(n, see_read, &s);
    }
    jc_func_outputs(c->f, see_read, &s);
    return s.found;
}

/* Is the storage of V written after node number AT, while what the node MADE can still be read? */
static bool written_after(const copies *c, size_t at, jc_value *v, const jc_value *made) {
    const jc_value *storage = jc_storage(v);
    bool later = c->outside->written[storage->id] && c->given_out[made->id];
    for (uint32_t i = 0; i < c->f->nvalues && c->outside->place[storage->id] && !later; i++)
        later = c->last[i] > at + 1 && c->outside->place[i] == c->outside->place[storage->id];
    return later || c->last[storage->id] > at + 1;
}

/* ---- all ---- */

void jc_clear_copies(jc_func *f) {
    for (size_t i = 0; i < f->nodes.n; i++) {
        const jc_node *n = f->nodes.at[i];
        if (n->op == JC_OP_reshape || n->op == JC_OP_contiguous)
            n->args[n->nargs - 1] = jc_arg_none();
        else if (jc_is_row_view(n))
            n->args[n->nargs - 1] = jc_arg_bool(false);
    }
}

bool jc_may_copy(const jc_func *f) {
    for (size_t i = 0; i < f->nodes.n; i++)
        if (may_be_view(f->nodes.at[i]) || jc_is_row_view(f->nodes.at[i]))
            return true;
    return false;
}

void jc_mark_copies(jc_func *f, const jc_outside *outside) {
    copies c = { .f = f, .outside = outside };
    collect(&c);
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        if (!may_be_view(n))
            continue;
        jc_value *x = n->args[0].value;
        const jc_value *made = n->results[0];
        if (written_after(&c, i, x, made) || (c.written[made->id] && read_elsewhere(&c, i, x)))
            n->args[n->nargs - 1] = jc_arg_bool(true);
    }
}
