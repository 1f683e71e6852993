/*
 * ir/canon/canon_graph.c - what a piece means, free of how its text says it.
 *
 * No-ops.  A cast to the dtype it has, a view that shows everything as it was, `contiguous` of what is contiguous:
 * PyTorch returns the operand itself, so they are forwarded, buffer and all.  The result of copy_ is its
 * destination.
 *
 * Storages and versions.  Effects are numbered in the order of the text.  A pure node that reads a storage which
 * some effect of the piece writes has a version: 1 + the number of the last effect before it that wrote any
 * storage it reads. Effect numbers only grow, so of two nodes with the same operands the versions are equal
 * exactly if nothing was written in between.
 *
 * Duplicates.  Two pure nodes with equal operator, arguments, operand classes and version are congruent (value
 * numbering, in order of the text).  Of a class one node, the primary, is emitted and read from.  Buffers that
 * leave the piece stay apart: somebody may write them later.  So the primary is the member that leaves first, if
 * any does, and any further member that leaves is emitted for the sake of its output alone.  Allocations, and
 * nodes whose own result is written in the piece, are in no class but their own.
 */
#include "ir/canon/canon_priv.h"

#include <string.h>

uint32_t cn_leader(const cn *c, uint32_t value) {
    const uint32_t v = c->v[value].fwd, node = c->v[v].node;
    return node == CN_NONE ? v : c->n[c->n[node].lead].n->results[c->v[v].v->index]->id;
}

uint32_t cn_target(const cn *c, uint32_t value, bool own) {
    const uint32_t v = c->v[value].fwd, node = c->v[v].node;
    if (node == CN_NONE)
        return v;
    const uint32_t prim = c->n[c->n[node].lead].prim;
    const uint32_t w = c->n[prim].n->results[c->v[v].v->index]->id;
    if (own) {
        const uint32_t esc = c->v[c->v[v].stor].esc;
        if (esc != CN_NONE && esc != c->v[c->v[w].stor].esc)
            return v;
    }
    return w;
}

/* ---- values, no-ops, storages -------------------------------------------------------------------------------- */

static bool same_dims(const jc_type *a, const jc_type *b) {
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

static bool is_noop(const jc_node *n) {
    if (n->nresults != 1 || !n->nargs || n->args[0].kind != JC_ARG_VALUE)
        return false;
    const jc_type *x = &n->args[0].value->type, *y = &n->results[0]->type;
    switch (n->op) {
    case JC_OP_cast:
    case JC_OP_bitcast:
        return x->dtype == y->dtype;
    case JC_OP_contiguous:
        return !x->strides && n->args[1].kind == JC_ARG_NONE; /* what is marked is to be refused */
    case JC_OP_reshape:
    case JC_OP_expand:
        return same_dims(x, y);
    case JC_OP_permute:
        for (uint32_t i = 0; i < n->args[1].list.n; i++)
            if (!jc_ex_is(n->args[1].list.at[i].expr, i))
                return false;
        return true;
    case JC_OP_slice:
        return jc_ex_is(n->args[2].expr, 0) && jc_ex_is(n->args[4].expr, 1) && same_dims(x, y);
    default:
        return false;
    }
}

static jitc_status enter_params(cn *c) {
    const jc_func *f = c->f;
    uint32_t *first = JC_NEWN(c->arena, uint32_t, f->nparams + 1);
    for (uint32_t i = 0; i < f->nparams; i++) {
        const jc_value *p = f->params[i];
        cn_value *v = &c->v[p->id];
        v->v = p;
        v->fwd = v->stor = p->id;
        v->node = v->esc = v->readers = v->number = CN_NONE;
        if (p->alias > f->nparams)
            return jc_fail_at(c->err, JITC_E_INPUT, f->graph->file, p->line, 0, p->name,
                              "Parameter '%s' of %s has alias number %u, but there are only %u parameters.", p->name,
                              f->name, p->alias, f->nparams);
        if (p->alias && first[p->alias])
            v->stor = first[p->alias] - 1;
        else if (p->alias)
            first[p->alias] = p->id + 1;
    }
    return JITC_OK;
}

/* Pushes the tensors among the arguments, as jc_node_operands counts them. */
static void push_operands(cn *c, const jc_arg *args, uint32_t nargs) {
    for (uint32_t i = 0; i < nargs; i++) {
        if (args[i].kind == JC_ARG_VALUE) {
            if (args[i].value->type.kind == JC_TENSOR)
                jc_push(c->arena, &c->ops, c->v[args[i].value->id].fwd);
        } else if (args[i].kind == JC_ARG_LIST || args[i].kind == JC_ARG_DICT) {
            push_operands(c, args[i].list.at, args[i].list.n);
        }
    }
}

static void enter_node(cn *c, uint32_t index) {
    const jc_node *n = c->f->nodes.at[index];
    cn_node *x = &c->n[index];
    *x = (cn_node){ .n = n, .lead = index, .prim = index, .esc = CN_NONE, .found = CN_NONE };
    x->first = (uint32_t)c->ops.n;
    push_operands(c, n->args, n->nargs);
    x->count = (uint32_t)c->ops.n - x->first;
    x->skip = is_noop(n);
    for (uint32_t i = 0; i < n->nresults; i++) {
        const jc_value *r = n->results[i];
        cn_value *v = &c->v[r->id];
        v->v = r;
        v->node = index;
        v->esc = v->readers = v->number = CN_NONE;
        v->fwd = v->stor = r->id;
        if (i == 0 && x->count && (x->skip || jc_ops[n->op].traits & JC_WRITES)) {
            v->fwd = c->ops.at[x->first];
            v->stor = c->v[v->fwd].stor;
        } else if (i == 0 && x->count && r->base) {
            x->view = true;
            v->stor = c->v[c->ops.at[x->first]].stor;
        }
    }
}

static void mark_written(cn *c, cn_node *x) {
    for (uint32_t k = 0; k < x->count; k++)
        if (jc_node_writes(x->n, k)) {
            c->v[c->v[c->ops.at[x->first + k]].stor].written = true;
            c->writes = true;
        }
}

static void mark_escaping(cn *c, const jc_arg *at, uint32_t n, uint32_t *position) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_LIST || at[i].kind == JC_ARG_DICT) {
            mark_escaping(c, at[i].list.at, at[i].list.n, position);
        } else if (at[i].kind == JC_ARG_VALUE && at[i].value->type.kind == JC_TENSOR) {
            cn_value *owner = &c->v[c->v[c->v[at[i].value->id].fwd].stor];
            if (owner->esc == CN_NONE)
                owner->esc = *position;
        }
        ++*position;
    }
}

/* ---- duplicates ---------------------------------------------------------------------------------------------- */

static uint64_t hash_arg(const cn *c, const jc_arg *a) {
    const uint64_t h = cn_mix(0, a->kind);
    switch (a->kind) {
    case JC_ARG_VALUE:
        return cn_mix(h, cn_leader(c, a->value->id));
    case JC_ARG_EXPR:
        return cn_mix(h, a->expr->hash);
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
        uint64_t sum = h;
        for (uint32_t i = 0; i < a->list.n; i++)
            sum = cn_mix(sum, hash_arg(c, &a->list.at[i]));
        return sum;
    }
    default:
        return h;
    }
}

static bool same_arg(const cn *c, const jc_arg *a, const jc_arg *b) {
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case JC_ARG_VALUE:
        return cn_leader(c, a->value->id) == cn_leader(c, b->value->id);
    case JC_ARG_EXPR:
        return a->expr == b->expr;
    case JC_ARG_FLOAT:
        return cn_bits(a->f) == cn_bits(b->f);
    case JC_ARG_BOOL:
        return a->b == b->b;
    case JC_ARG_DTYPE:
        return a->dtype == b->dtype;
    case JC_ARG_STR:
    case JC_ARG_DEVICE:
        return !strcmp(a->str, b->str);
    case JC_ARG_LIST:
    case JC_ARG_DICT:
        if (a->list.n != b->list.n)
            return false;
        for (uint32_t i = 0; i < a->list.n; i++)
            if (!same_arg(c, &a->list.at[i], &b->list.at[i]))
                return false;
        return true;
    default:
        return true;
    }
}

static uint64_t hash_node(const cn *c, const cn_node *x) {
    const jc_node *n = x->n;
    uint64_t h = cn_mix(cn_mix(0, n->op), x->version);
    uint32_t i = 0;
    if (jc_ops[n->op].traits & JC_COMMUTES) {
        h = cn_mix(h, hash_arg(c, &n->args[0]) + hash_arg(c, &n->args[1]));
        i = 2;
    }
    for (; i < n->nargs; i++)
        h = cn_mix(h, hash_arg(c, &n->args[i]));
    return h;
}

static bool same_types(const jc_node *a, const jc_node *b) {
    if (a->nresults != b->nresults)
        return false;
    for (uint32_t i = 0; i < a->nresults; i++)
        if (a->results[i]->type.dtype != b->results[i]->type.dtype ||
            !same_dims(&a->results[i]->type, &b->results[i]->type))
            return false;
    return true;
}

static bool same_node(const cn *c, const cn_node *x, const cn_node *y) {
    const jc_node *a = x->n, *b = y->n;
    if (a->op != b->op || x->version != y->version || a->nargs != b->nargs || !same_types(a, b))
        return false;
    uint32_t i = 0;
    if (jc_ops[a->op].traits & JC_COMMUTES) {
        if (!(same_arg(c, &a->args[0], &b->args[0]) && same_arg(c, &a->args[1], &b->args[1])) &&
            !(same_arg(c, &a->args[0], &b->args[1]) && same_arg(c, &a->args[1], &b->args[0])))
            return false;
        i = 2;
    }
    for (; i < a->nargs; i++)
        if (!same_arg(c, &a->args[i], &b->args[i]))
            return false;
    return true;
}

static void add_reader(cn *c, uint32_t owner, uint32_t node) {
    cn_value *o = &c->v[owner];
    const uint32_t at = (uint32_t)c->reads.n;
    if (o->readers != CN_NONE && c->reads.at[o->readers_end].node == node)
        return; /* reads it twice */
    jc_push(c->arena, &c->reads, ((cn_read){ .node = node, .next = CN_NONE }));
    if (o->readers == CN_NONE)
        o->readers = at;
    else
        c->reads.at[o->readers_end].next = at;
    o->readers_end = at;
}

/* The version of node INDEX; it becomes a reader of every written storage among its operands'. */
static void see_reads(cn *c, uint32_t index) {
    cn_node *x = &c->n[index];
    for (uint32_t k = 0; k < x->count; k++) {
        const uint32_t owner = c->v[c->ops.at[x->first + k]].stor;
        if (!c->v[owner].written)
            continue;
        if (c->v[owner].last > x->version)
            x->version = c->v[owner].last;
        add_reader(c, owner, index);
    }
}

static void see_writes(cn *c, const cn_node *x) {
    for (uint32_t k = 0; k < x->count; k++)
        if (jc_node_writes(x->n, k))
            c->v[c->v[c->ops.at[x->first + k]].stor].last = x->effect;
}

static bool mergeable(const cn *c, const cn_node *x) {
    if (jc_ops[x->n->op].traits & (JC_EFFECT | JC_ALLOCATES))
        return false;
    for (uint32_t i = 0; i < x->n->nresults; i++) {
        const uint32_t id = x->n->results[i]->id;
        if (c->v[id].stor == id && c->v[id].written)
            return false;
    }
    return true;
}

static void number_values(cn *c) {
    uint32_t size = 16, effects = 0;
    while (size < 2 * (uint64_t)c->nn && size < (1u << 30))
        size *= 2;
    uint32_t *table = JC_NEWN(c->arena, uint32_t, size);
    for (uint32_t i = 0; i < c->nn; i++) {
        cn_node *x = &c->n[i];
        if (x->skip)
            continue;
        for (uint32_t r = 0; r < x->n->nresults; r++) {
            const uint32_t esc = c->v[c->v[x->n->results[r]->id].stor].esc;
            if (esc < x->esc)
                x->esc = esc;
        }
        if (jc_ops[x->n->op].traits & JC_EFFECT) {
            x->effect = ++effects;
            if (c->writes)
                see_writes(c, x);
            continue;
        }
        if (c->writes && !x->view)
            see_reads(c, i);
        if (!mergeable(c, x))
            continue;
        uint32_t slot = (uint32_t)hash_node(c, x) & (size - 1);
        while (table[slot] && !same_node(c, &c->n[table[slot] - 1], x))
            slot = (slot + 1) & (size - 1);
        if (!table[slot]) {
            table[slot] = i + 1;
            continue;
        }
        cn_node *lead = &c->n[table[slot] - 1];
        x->lead = table[slot] - 1;
        if (x->esc < c->n[lead->prim].esc)
            lead->prim = i;
    }
}

jitc_status cn_analyse(cn *c) {
    c->v = JC_NEWN(c->arena, cn_value, c->nv);
    c->n = JC_NEWN(c->arena, cn_node, c->nn);
    JC_TRY(enter_params(c));
    for (uint32_t i = 0; i < c->nn; i++) {
        const jc_node *n = c->f->nodes.at[i];
        if (n->op == JC_OP_call)
            return jc_fail_at(c->err, JITC_E_INPUT, c->f->graph->file, n->line, 0, NULL,
                              "%s calls another piece; only pieces that call none have a canonical form. Give the "
                              "piece, or split the graph first.",
                              c->f->name);
        enter_node(c, i);
    }
    uint32_t position = 0;
    mark_escaping(c, c->f->outputs, c->f->noutputs, &position);
    for (uint32_t i = 0; i < c->nn; i++)
        if (jc_ops[c->n[i].n->op].traits & JC_EFFECT)
            mark_written(c, &c->n[i]);
    number_values(c);
    return JITC_OK;
}
