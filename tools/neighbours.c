/*
 * tools/neighbours.c - for each class of a model the class nearest to it, and where the two part.
 *
 * Two classes are the nearer the more nodes they share, and with as many, the fewer others they have.  A node counts as shared by what
 * it is (operator, arguments that are no tensors, types of operands and results), not by its place, so that a piece with something
 * more in front still finds its like.  Each class becomes a sorted list of hashes once; only the nearest pair is then
 * compared node by node.
 */
#include "tools/tool.h"

#include <stdlib.h>
#include <string.h>

typedef struct form {
    uint64_t *hashes; /* of its nodes, sorted */
    uint32_t n;
} form;

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void put_arg(const jc_func *f, const jc_arg *a, jc_bytes *out) {
    jc_put_text(out, "%d %s ", a->kind, a->key ? a->key : "");
    switch (a->kind) {
    case JC_ARG_VALUE:
        jc_type_print(f->graph->exprs, &a->value->type, out);
        break;
    case JC_ARG_EXPR:
        jc_ex_print(f->graph->exprs, a->expr, out);
        break;
    case JC_ARG_FLOAT:
        jc_put_f64(out, a->f);
        break;
    case JC_ARG_BOOL:
        jc_put_u8(out, a->b);
        break;
    case JC_ARG_STR:
    case JC_ARG_DEVICE:
        jc_put_str(out, a->str);
        break;
    case JC_ARG_DTYPE:
        jc_put_u32(out, (uint32_t)a->dtype);
        break;
    case JC_ARG_LIST:
    case JC_ARG_DICT:
        jc_put_u32(out, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            put_arg(f, &a->list.at[i], out);
        break;
    default:
        break;
    }
}

static uint64_t hash_node(const jc_func *f, const jc_node *n, jc_bytes *scratch) {
    scratch->n = 0;
    jc_put_str(scratch, n->op == JC_OP_custom ? n->target : jc_ops[n->op].name);
    jc_put_u64(scratch, n->writes);
    for (uint32_t i = 0; i < n->nargs; i++)
        put_arg(f, &n->args[i], scratch);
    for (uint32_t i = 0; i < n->nresults; i++)
        jc_type_print(f->graph->exprs, &n->results[i]->type, scratch);
    return jc_hash64(scratch->at, scratch->n);
}

static jitc_status form_of(tool *t, const jc_canon *c, jc_bytes *scratch, form *out, jc_error *err) {
    jc_graph *g;
    JC_TRY(jc_canon_decode(c->bytes, c->nbytes, t->arena, &g, err));
    out->n = (uint32_t)g->root->nodes.n;
    out->hashes = JC_NEWN(t->arena, uint64_t, out->n);
    for (uint32_t i = 0; i < out->n; i++)
        out->hashes[i] = hash_node(g->root, g->root->nodes.at[i], scratch);
    qsort(out->hashes, out->n, sizeof *out->hashes, by_value);
    return JITC_OK;
}

static uint32_t common(const form *a, const form *b) {
    uint32_t n = 0;
    for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
        if (a->hashes[i] == b->hashes[k]) {
            n++;
            i++;
            k++;
        } else if (a->hashes[i] < b->hashes[k]) {
            i++;
        } else {
            k++;
        }
    }
    return n;
}

static const jc_piece *first_of(const jitc_model *m, uint32_t cls) {
    return &m->pieces[m->classes[cls].first];
}

static void find(const jitc_model *m, const form *forms, uint32_t cls, tool_neighbour *out) {
    uint32_t least = UINT32_MAX;
    *out = (tool_neighbour){ .cls = UINT32_MAX };
    for (uint32_t i = 0; i < m->nclasses; i++) {
        if (i == cls || first_of(m, i)->splitting != first_of(m, cls)->splitting)
            continue;
        uint32_t same = common(&forms[cls], &forms[i]), apart = forms[cls].n + forms[i].n - 2 * same;
        if (out->cls == UINT32_MAX || same > out->common || (same == out->common && apart < least)) {
            least = apart;
            out->cls = i;
            out->common = same;
        }
    }
}

jitc_status tool_neighbours(tool *t, const jitc_model *m, tool_neighbour **out, jc_error *err) {
    form *forms = JC_NEWN(t->arena, form, m->nclasses);
    jc_bytes scratch = JC_BYTES(t->arena);
    *out = JC_NEWN(t->arena, tool_neighbour, m->nclasses);
    for (uint32_t i = 0; i < m->nclasses; i++)
        JC_TRY(form_of(t, &first_of(m, i)->canon, &scratch, &forms[i], err));
    for (uint32_t i = 0; i < m->nclasses; i++) {
        tool_neighbour *n = &(*out)[i];
        const jc_piece *a = first_of(m, i), *b;
        find(m, forms, i, n);
        if (n->cls == UINT32_MAX)
            continue;
        b = first_of(m, n->cls);
        JC_TRY(jc_explain(&a->canon, a->func, &b->canon, b->func, t->arena, &n->difference, err));
    }
    return JITC_OK;
}

/* "type of input 9" speaks of an input by number: what the piece calls it. */
const char *tool_difference_input(const jc_piece *p, const jc_difference *d) {
    const char *word = d->what ? strstr(d->what, "input ") : NULL;
    unsigned long i = word ? strtoul(word + 6, NULL, 10) : 0;
    if (!word || strstr(d->what, "argument") || i >= p->canon.ninputs || p->canon.inputs[i].kind != JC_BIND_PARAM)
        return NULL;
    return p->func->params[p->canon.inputs[i].param]->name;
}
