/*
 * ir/canon/canon_order.c - colours, and the walk that puts the nodes in order.
 *
 * The walk starts at the effects, in their order, and then at the outputs, in theirs, and emits operands before
 * the node that needs them.  Nothing else decides the order, so the order of the text has no say, but for two
 * places where the walk has a choice:
 *
 * Commutative operands are taken by colour: a hash of what they compute, bottom-up, free of names: parameters and
 * symbols of one type look alike.  Where two colours are equal, fine colours decide: they also know how a value is
 * used (contexts, collected from the outputs and effects backwards) and with that which parameter and which symbol
 * is meant.  If these are equal too, the operands look alike from everywhere, and it does not matter which comes
 * first, as long as all later choices agree: the one that is written first gets a mark, and the fine colours are
 * made again (the individualisation and refinement of graph isomorphism, without the search).
 *
 * Readers before a write.  A reader has to stay between the writes that it was between.  So before a node that
 * writes is emitted, all live readers of the storage that precede it in the text and are not emitted yet are, in
 * the order in which a preliminary walk, which does not know of writes, meets them.  Readers after the write
 * cannot be met too early, since only what comes later needs them.
 *
 * No recursion along operands: graphs are as deep as they are long.
 */
#include "ir/canon/canon_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- symbols ------------------------------------------------------------------------------------------------- */

static cn_sym *symbol_slot(cn_sym *at, uint32_t cap, uint32_t sym) {
    uint32_t i = (sym * 0x9e3779b1u) & (cap - 1);
    while (at[i].sym != CN_NONE && at[i].sym != sym)
        i = (i + 1) & (cap - 1);
    return &at[i];
}

cn_sym *cn_symbol(cn *c, uint32_t sym) {
    if (2 * (c->nsyms + 1) > c->sym_cap) {
        const uint32_t cap = c->sym_cap ? 2 * c->sym_cap : 8;
        cn_sym *at = JC_NEWN(c->arena, cn_sym, cap);
        for (uint32_t i = 0; i < cap; i++)
            at[i].sym = CN_NONE;
        for (uint32_t i = 0; i < c->sym_cap; i++)
            if (c->syms[i].sym != CN_NONE)
                *symbol_slot(at, cap, c->syms[i].sym) = c->syms[i];
        c->syms = at;
        c->sym_cap = cap;
    }
    cn_sym *s = symbol_slot(c->syms, c->sym_cap, sym);
    if (s->sym == CN_NONE) {
        *s = (cn_sym){ .sym = sym, .number = CN_NONE, .colour = 1 };
        c->nsyms++;
    }
    return s;
}

/* ---- colours ------------------------------------------------------------------------------------------------- */

static uint64_t colour_expr(cn *c, const jc_expr *e) {
    const uint64_t h = cn_mix(17, e->kind);
    switch (e->kind) {
    case JC_EX_CONST:
        return cn_mix(h, (uint64_t)e->value);
    case JC_EX_SYM:
        return cn_mix(h, c->fine ? cn_symbol(c, e->sym)->colour : 1);
    case JC_EX_FDIV:
    case JC_EX_MOD:
        return cn_mix(cn_mix(h, colour_expr(c, e->args[0])), colour_expr(c, e->args[1]));
    default: { /* the order of operands follows the symbols' numbers, so it must not count */
        uint64_t sum = 0;
        for (uint32_t i = 0; i < e->n; i++)
            sum += cn_mix(23, colour_expr(c, e->args[i]));
        return cn_mix(h, sum);
    }
    }
}

static uint64_t colour_type(cn *c, const jc_type *t) {
    uint64_t h = cn_mix(cn_mix(29, t->kind), t->dtype);
    if (t->kind != JC_TENSOR)
        return h;
    for (int i = 0; i < t->rank; i++)
        h = cn_mix(h, colour_expr(c, t->dims[i]));
    for (int i = 0; t->strides && i < t->rank; i++)
        h = cn_mix(h, colour_expr(c, t->strides[i]) + 1);
    return h;
}

static uint64_t value_colour(const cn *c, const jc_value *v) {
    const cn_value *x = &c->v[cn_leader(c, v->id)];
    return c->fine ? x->fine : x->colour;
}

static uint64_t colour_arg(cn *c, const jc_node *n, const jc_arg *a, bool top) {
    const uint64_t h = cn_mix(31, a->kind);
    jc_arg symint;
    if (a->kind == JC_ARG_VALUE && a->value->type.kind == JC_SYMINT) {
        symint = jc_arg_expr(a->value->type.expr);
        return colour_arg(c, n, &symint, top);
    }
    if (top && cn_lifts(c, n) && cn_is_literal(a))
        return cn_mix(30, cn_literal_kind(a));
    switch (a->kind) {
    case JC_ARG_VALUE:
        if (a->value->type.kind != JC_TENSOR)
            return cn_mix(30, a->value->type.kind);
        return cn_mix(h, value_colour(c, a->value));
    case JC_ARG_EXPR:
        return cn_mix(h, colour_expr(c, a->expr));
    case JC_ARG_FLOAT:
        return cn_mix(h, cn_bits(a->f));
    case JC_ARG_BOOL:
        return cn_mix(h, a->b);
    case JC_ARG_DTYPE:
        return cn_mix(h, (uint64_t)a->dtype);
    case JC_ARG_STR:
    case JC_ARG_DEVICE:
        return cn_mix(h, jc_hash64(a->str, strlen(a->str)));
    case JC_ARG_LIST:
    case JC_ARG_DICT: {
        uint64_t sum = cn_mix(h, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++) {
            if (a->list.at[i].key)
                sum = cn_mix(sum, jc_hash64(a->list.at[i].key, strlen(a->list.at[i].key)));
            sum = cn_mix(sum, colour_arg(c, n, &a->list.at[i], top && a->kind == JC_ARG_DICT));
        }
        return sum;
    }
    default:
        return h;
    }
}

static uint64_t colour_node(cn *c, const cn_node *x) {
    const jc_node *n = x->n;
    uint64_t h = cn_mix(cn_mix(cn_mix(37, n->op), x->effect), x->version);
    if (n->target)
        h = cn_mix(h, jc_hash64(n->target, strlen(n->target)));
    uint32_t i = 0;
    if (jc_ops[n->op].traits & JC_COMMUTES) {
        h = cn_mix(h, colour_arg(c, n, &n->args[0], true) + colour_arg(c, n, &n->args[1], true));
        i = 2;
    }
    for (; i < n->nargs; i++)
        h = cn_mix(h, colour_arg(c, n, &n->args[i], true));
    return h;
}

/* Colours of all leaders, in order of the text: operands' leaders come first. */
void cn_colour(cn *c) {
    for (uint32_t i = 0; i < c->f->nparams; i++) {
        cn_value *v = &c->v[c->f->params[i]->id];
        uint64_t h = colour_type(c, &v->v->type);
        if (c->fine)
            v->fine = cn_mix(cn_mix(cn_mix(h, v->fine), v->context), v->mark);
        else
            v->colour = v->fine = h;
    }
    for (uint32_t i = 0; i < c->nn; i++) {
        const cn_node *x = &c->n[i];
        if (x->skip || x->lead != i)
            continue;
        const uint64_t h = colour_node(c, x);
        for (uint32_t r = 0; r < x->n->nresults; r++) {
            cn_value *v = &c->v[x->n->results[r]->id];
            if (c->fine)
                v->fine = cn_mix(cn_mix(cn_mix(h, r), v->context), v->mark);
            else
                v->colour = v->fine = cn_mix(h, r);
        }
    }
}

/* ---- fine colours -------------------------------------------------------------------------------------------- */

static void context_outputs(cn *c, const jc_arg *at, uint32_t n, uint64_t *position) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_LIST || at[i].kind == JC_ARG_DICT)
            context_outputs(c, at[i].list.at, at[i].list.n, position);
        else if (at[i].kind == JC_ARG_VALUE)
            c->v[cn_leader(c, at[i].value->id)].context += cn_mix(41, *position);
        ++*position;
    }
}

/* 0: nothing uses the results of a leader (or, by accident, something does: then the colours know less). */
static uint64_t results_context(const cn *c, const cn_node *x) {
    uint64_t h = 0;
    for (uint32_t r = 0; r < x->n->nresults; r++)
        h += c->v[x->n->results[r]->id].context * (2 * (uint64_t)r + 1);
    return h;
}

static void context_operands(cn *c, const cn_node *x, uint64_t h) {
    const bool commutes = jc_ops[x->n->op].traits & JC_COMMUTES;
    for (uint32_t k = 0; k < x->count; k++)
        c->v[cn_leader(c, c->ops.at[x->first + k])].context += cn_mix(h, commutes && k < 2 ? 0 : k + 1);
}

static void colour_symbols(cn *c, const jc_type *t, uint64_t h) {
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i]->kind == JC_EX_SYM)
            cn_symbol(c, t->dims[i]->sym)->colour += cn_mix(h, (uint64_t)i + 1);
    for (int i = 0; t->strides && i < t->rank; i++)
        if (t->strides[i]->kind == JC_EX_SYM)
            cn_symbol(c, t->strides[i]->sym)->colour += cn_mix(h, (uint64_t)i + 64);
}

static void find_contexts(cn *c) {
    uint64_t position = 0;
    for (uint32_t i = 0; i < c->nv; i++)
        c->v[i].context = 0;
    context_outputs(c, c->f->outputs, c->f->noutputs, &position);
    for (uint32_t i = c->nn; i-- > 0;) {
        const cn_node *x = &c->n[i];
        if (x->skip || x->lead != i)
            continue;
        const uint64_t context = results_context(c, x);
        if (!context && !x->effect)
            continue;
        const uint64_t own = x->n->nresults ? c->v[x->n->results[0]->id].fine : x->effect;
        context_operands(c, x, cn_mix(cn_mix(cn_mix(43, own), context), x->effect));
    }
}

static void refine_symbols(cn *c) {
    for (uint32_t i = 0; i < c->nv; i++) {
        const cn_value *v = &c->v[i];
        if (v->v->type.kind == JC_TENSOR && v->context)
            colour_symbols(c, &v->v->type, cn_mix(v->fine, v->context));
    }
}

/* Two rounds: what a context tells of one value reaches its neighbours' contexts in the second. */
static void refine(cn *c) {
    for (int round = 0; round < 2; round++) {
        find_contexts(c);
        refine_symbols(c);
        c->fine = true;
        cn_colour(c);
    }
}

void cn_refine(cn *c) {
    if (!c->fine)
        refine(c);
}

/* ---- the walk ------------------------------------------------------------------------------------------------ */

/* Each mark costs a pass over the piece.  Beyond this many, ties are broken without telling: forms that could be equal
   may then differ, never the other way round. */
#define MAX_MARKS 32

/* Values before numbers; then by colour, fine colour; else as written. */
static void decide_swap(cn *c, cn_node *x) {
    x->decided = true;
    if (!(jc_ops[x->n->op].traits & JC_COMMUTES))
        return;
    const jc_arg *a = &x->n->args[0], *b = &x->n->args[1];
    const bool va = a->kind == JC_ARG_VALUE && a->value->type.kind == JC_TENSOR;
    const bool vb = b->kind == JC_ARG_VALUE && b->value->type.kind == JC_TENSOR;
    if (!va || !vb) {
        x->swap = !va && vb;
        return;
    }
    const uint32_t la = cn_leader(c, a->value->id), lb = cn_leader(c, b->value->id);
    if (la == lb)
        return;
    if (c->v[la].colour != c->v[lb].colour) {
        x->swap = c->v[la].colour > c->v[lb].colour;
    } else {
        cn_refine(c);
        x->swap = c->v[la].fine > c->v[lb].fine;
        if (c->v[la].fine == c->v[lb].fine && c->marks < MAX_MARKS) {
            c->v[la].mark = ++c->marks;
            refine(c);
        }
    }
    if (x->swap) {
        const uint32_t first = c->ops.at[x->first];
        c->ops.at[x->first] = c->ops.at[x->first + 1];
        c->ops.at[x->first + 1] = first;
    }
}

typedef struct frame {
    uint32_t node, next; /* operand to look at next */
} frame;

typedef struct walk {
    cn *c;
    void (*emit)(cn *c, uint32_t node); /* NULL: the preliminary walk */
    frame *stack;
    size_t n, cap;
    uint32_t found;
} walk;

static void enter(walk *w, uint32_t node) {
    cn_node *x = &w->c->n[node];
    if (x->done)
        return;
    x->done = true;
    if (!x->decided)
        decide_swap(w->c, x);
    w->stack = jc_vec_room(w->c->arena, w->stack, w->n, &w->cap, sizeof *w->stack);
    w->stack[w->n++] = (frame){ .node = node };
}

static void reach(walk *w, uint32_t value, bool own) {
    const uint32_t node = w->c->v[cn_target(w->c, value, own)].node;
    if (node != CN_NONE)
        enter(w, node);
}

static void leave(walk *w, uint32_t node) {
    if (w->emit)
        w->emit(w->c, node);
    else
        w->c->n[node].found = w->found++;
}

static void drain(walk *w) {
    while (w->n) {
        frame *top = &w->stack[w->n - 1];
        const cn_node *x = &w->c->n[top->node];
        if (top->next < x->count) {
            const uint32_t k = top->next++;
            reach(w, w->c->ops.at[x->first + k], x->view && k == 0);
        } else {
            w->n--;
            leave(w, top->node);
        }
    }
}

typedef struct pending {
    uint32_t found, node;
} pending;

static int by_found(const void *a, const void *b) {
    const pending *x = a, *y = b;
    return x->found < y->found ? -1 : x->found > y->found;
}

/* The readers of OWNER that precede node WRITER in the text. */
static void emit_readers(walk *w, uint32_t owner, uint32_t writer) {
    cn *c = w->c;
    JC_VEC(pending) all = { 0 };
    uint32_t at = c->v[owner].readers;
    for (; at != CN_NONE && c->reads.at[at].node < writer; at = c->reads.at[at].next) {
        const uint32_t node = c->reads.at[at].node;
        if (c->n[node].found != CN_NONE && !c->n[node].done)
            jc_push(c->arena, &all, ((pending){ .found = c->n[node].found, .node = node }));
    }
    c->v[owner].readers = at;
    if (all.n > 1)
        qsort(all.at, all.n, sizeof *all.at, by_found);
    for (size_t i = 0; i < all.n; i++) {
        enter(w, all.at[i].node);
        drain(w);
    }
}

static void walk_effect(walk *w, uint32_t node) {
    cn *c = w->c;
    const cn_node *x = &c->n[node];
    for (uint32_t k = 0; k < x->count; k++) {
        reach(w, c->ops.at[x->first + k], false);
        drain(w);
    }
    for (uint32_t k = 0; w->emit && c->writes && k < x->count; k++)
        if (jc_node_writes(x->n, k))
            emit_readers(w, c->v[c->ops.at[x->first + k]].stor, node);
    enter(w, node);
    drain(w);
}

static void walk_outputs(walk *w, const jc_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_LIST || at[i].kind == JC_ARG_DICT)
            walk_outputs(w, at[i].list.at, at[i].list.n);
        else if (at[i].kind == JC_ARG_VALUE && at[i].value->type.kind == JC_TENSOR)
            reach(w, at[i].value->id, true);
        drain(w);
    }
}

static void walk_all(walk *w) {
    for (uint32_t i = 0; i < w->c->nn; i++)
        if (w->c->n[i].effect)
            walk_effect(w, i);
    walk_outputs(w, w->c->f->outputs, w->c->f->noutputs);
}

void cn_walk(cn *c, void (*emit)(cn *c, uint32_t node)) {
    walk w = { .c = c };
    if (c->reads.n) {
        walk_all(&w);
        for (uint32_t i = 0; i < c->nn; i++)
            c->n[i].done = false;
    }
    w.emit = emit;
    walk_all(&w);
}
