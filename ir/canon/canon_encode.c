/*
 * ir/canon/canon_encode.c - the bytes.
 *
 * Format 1 (var: LEB128, svar: zigzag LEB128, blob: var length and bytes):
 *
 *   u8 format
 *   var symbols      each: u8 0 (range [0, JC_SYM_MAX], divisor 1) or u8 1, svar lo, svar hi, svar divisor
 *   var inputs       each: u8 kind; of a tensor: type, u8 strided, its strides if so, var alias group (0: none)
 *   var nodes        each: var op, then
 *                      custom:  blob target, var writes, var arguments, each: argument;
 *                               var results, each: type, u8 strided, its strides if so
 *                      others:  the arguments of ops.def; for each result u8 0: dtype and dims of the first
 *                               tensor operand, or u8 1 and its type
 *   u8 tuple, var outputs, each: argument
 *
 *   type             u8 dtype, u8 rank, its dims
 *   expression       u8 cn_ex_tag; svar value, var symbol, or jc_ex_encode()'s form
 *   argument         u8 cn_tag, with CN_T_KEY: blob key; then what the tag says
 *
 * Results and inputs are numbered from 0 in order; symbols are the canonical ones.  Symbols and inputs get their
 * numbers when they are first written.  Layouts of results and who views whom are not written: inference finds
 * them again.
 *
 * Lifting happens here: a string, integer, float or bool that is an argument of a custom operator, or an entry of a
 * dict that is one, becomes an input.  A parameter that is no tensor is an input of its own at every use.
 */
#include "ir/canon/canon_priv.h"

#include <string.h>

static void put_arg(cn *c, const jc_node *n, const jc_arg *a, bool top, bool own, int depth);

static void put8(jc_bytes *b, uint8_t x) {
    if (b->n < b->cap)
        b->at[b->n++] = x;
    else
        jc_put_u8(b, x);
}

static void put_var(jc_bytes *b, uint64_t x) {
    if (x < 0x80)
        put8(b, (uint8_t)x);
    else
        jc_put_var(b, x);
}

/* ---- expressions --------------------------------------------------------------------------------------------- */

typedef struct new_symbols {
    cn *c;
    JC_VEC(uint32_t) at;
} new_symbols;

static void see_symbol(void *user, uint32_t sym) {
    new_symbols *s = user;
    if (cn_symbol(s->c, sym)->number != CN_NONE)
        return;
    for (size_t i = 0; i < s->at.n; i++)
        if (s->at.at[i] == sym)
            return;
    jc_push(s->c->arena, &s->at, sym);
}

static void number_symbol(cn *c, uint32_t sym) {
    cn_sym *s = cn_symbol(c, sym);
    if (s->number != CN_NONE)
        return;
    s->number = (uint32_t)c->numbered.n;
    jc_push(c->arena, &c->numbered, sym);
}

/* Symbols that an expression brings up together are numbered by colour. */
static void number_symbols(cn *c, const jc_expr *e) {
    new_symbols s = { .c = c };
    jc_ex_symbols(e, see_symbol, &s);
    if (s.at.n > 1)
        cn_refine(c);
    for (size_t i = 1; i < s.at.n; i++)
        for (size_t k = i; k > 0 && cn_symbol(c, s.at.at[k])->colour < cn_symbol(c, s.at.at[k - 1])->colour; k--) {
            const uint32_t sym = s.at.at[k];
            s.at.at[k] = s.at.at[k - 1];
            s.at.at[k - 1] = sym;
        }
    for (size_t i = 0; i < s.at.n; i++)
        number_symbol(c, s.at.at[i]);
}

/* E over the canonical symbols, in their normal form. */
static const jc_expr *rename_expr(cn *c, const jc_expr *e) {
    if (!c->renamed)
        c->renamed = jc_exprs_new(c->arena);
    for (; c->renamed_n < c->numbered.n; c->renamed_n++) {
        const uint32_t sym = c->numbered.at[c->renamed_n];
        const jc_sym *from = jc_sym_at(c->exprs, sym);
        const uint32_t to = jc_sym_add(c->renamed, "");
        jc_sym *at = jc_sym_at(c->renamed, to);
        at->lo = from->lo;
        at->hi = from->hi;
        at->divisor = from->divisor;
        if (sym >= c->renaming_n) {
            const uint32_t n = sym + 1 > 2 * c->renaming_n ? sym + 1 : 2 * c->renaming_n;
            const jc_expr **map = JC_NEWN(c->arena, const jc_expr *, n);
            if (c->renaming_n)
                memcpy(map, c->renaming, c->renaming_n * sizeof *map);
            c->renaming = map;
            c->renaming_n = n;
        }
        c->renaming[sym] = jc_ex_sym(c->renamed, to);
    }
    return jc_ex_subst(c->renamed, e, c->renaming, c->renaming_n);
}

static void put_expr(cn *c, jc_bytes *b, const jc_expr *e) {
    switch (e->kind) {
    case JC_EX_CONST:
        put8(b, CN_E_CONST);
        jc_put_svar(b, e->value);
        break;
    case JC_EX_SYM:
        number_symbol(c, e->sym);
        put8(b, CN_E_SYM);
        put_var(b, cn_symbol(c, e->sym)->number);
        break;
    default:
        number_symbols(c, e);
        put8(b, CN_E_OTHER);
        jc_ex_encode(rename_expr(c, e), b);
        break;
    }
}

/* ---- types --------------------------------------------------------------------------------------------------- */

static void put_dims(cn *c, jc_bytes *b, const jc_type *t) {
    put8(b, t->dtype);
    put8(b, t->rank);
    for (int i = 0; i < t->rank; i++)
        put_expr(c, b, t->dims[i]);
}

static void put_strides(cn *c, jc_bytes *b, const jc_type *t) {
    put8(b, t->strides != NULL);
    for (int i = 0; t->strides && i < t->rank; i++)
        put_expr(c, b, t->strides[i]);
}

static void put_result(cn *c, const cn_node *x, const jc_value *v) {
    const jc_type *t = &v->type;
    if (x->count) {
        const jc_type *like = &c->v[c->ops.at[x->first]].v->type;
        bool same = like->dtype == t->dtype && like->rank == t->rank;
        for (int i = 0; same && i < t->rank; i++)
            same = like->dims[i] == t->dims[i];
        if (same) {
            put8(&c->body, 0);
            return;
        }
    }
    put8(&c->body, 1);
    put_dims(c, &c->body, t);
}

/* ---- inputs and arguments ------------------------------------------------------------------------------------ */

static void put_input(cn *c, uint32_t number) {
    put8(&c->body, CN_T_INPUT);
    put_var(&c->body, number);
}

static void number_type(cn *c, const jc_type *t) {
    for (int i = 0; i < t->rank; i++)
        number_symbols(c, t->dims[i]);
    for (int i = 0; t->strides && i < t->rank; i++)
        number_symbols(c, t->strides[i]);
}

static void put_param(cn *c, const jc_value *p) {
    cn_value *v = &c->v[p->id];
    const bool once = p->type.kind == JC_TENSOR || (c->flags & JC_CANON_NO_LIFT);
    if (v->number == CN_NONE || !once) {
        v->number = (uint32_t)c->inputs.n;
        jc_push(c->arena, &c->inputs, ((jc_bind){ .kind = JC_BIND_PARAM, .param = p->index }));
        if (p->type.kind == JC_TENSOR)
            number_type(c, &p->type);
    }
    put_input(c, v->number);
}

static void put_value(cn *c, const jc_value *value, bool own) {
    const uint32_t id = cn_target(c, value->id, own);
    if (c->v[id].node == CN_NONE) {
        put_param(c, c->v[id].v);
        return;
    }
    put8(&c->body, CN_T_LOCAL);
    put_var(&c->body, c->v[id].number);
}

static void put_literal(cn *c, const jc_arg *a) {
    put_input(c, (uint32_t)c->inputs.n);
    jc_push(c->arena, &c->inputs, ((jc_bind){ .kind = JC_BIND_LITERAL, .literal = *a }));
}

static const uint8_t tag_of[] = {
    [JC_ARG_NONE] = CN_T_NONE, [JC_ARG_EXPR] = CN_T_EXPR, [JC_ARG_FLOAT] = CN_T_FLOAT, [JC_ARG_BOOL] = CN_T_BOOL,
    [JC_ARG_STR] = CN_T_STR, [JC_ARG_DTYPE] = CN_T_DTYPE, [JC_ARG_LIST] = CN_T_LIST, [JC_ARG_DICT] = CN_T_DICT,
    [JC_ARG_DEVICE] = CN_T_DEVICE,
};

static void put_plain(cn *c, const jc_node *n, const jc_arg *a, bool top, bool own, int depth) {
    jc_bytes *b = &c->body;
    put8(b, tag_of[a->kind]);
    switch (a->kind) {
    case JC_ARG_EXPR:
        put_expr(c, b, a->expr);
        break;
    case JC_ARG_FLOAT:
        jc_put_f64(b, a->f);
        break;
    case JC_ARG_BOOL:
        put8(b, a->b);
        break;
    case JC_ARG_STR:
    case JC_ARG_DEVICE:
        jc_put_str(b, a->str);
        break;
    case JC_ARG_DTYPE:
        put8(b, (uint8_t)a->dtype);
        break;
    case JC_ARG_LIST:
    case JC_ARG_DICT:
        put_var(b, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            put_arg(c, n, &a->list.at[i], top && a->kind == JC_ARG_DICT, own, depth + 1);
        break;
    default:
        break;
    }
}

/* N is NULL for outputs.  TOP: in a place where a custom operator's literals are lifted. */
static void put_arg(cn *c, const jc_node *n, const jc_arg *a, bool top, bool own, int depth) {
    if (depth > CN_MAX_DEPTH) {
        c->status = jc_fail_at(c->err, JITC_E_UNSUPPORTED, c->f->graph->file, n ? n->line : c->f->line, 0, NULL,
                               "Lists are nested more than %d deep.", CN_MAX_DEPTH);
        return;
    }
    const bool custom = n && n->op == JC_OP_custom;
    if (a->key && custom) {
        put8(&c->body, CN_T_KEY);
        jc_put_str(&c->body, a->key);
    }
    jc_arg symint;
    if (a->kind == JC_ARG_VALUE && a->value->type.kind == JC_SYMINT) {
        symint = jc_arg_expr(a->value->type.expr);
        a = &symint;
    }
    if (a->kind == JC_ARG_VALUE)
        put_value(c, a->value, own);
    else if (top && cn_lifts(c, n) && cn_is_literal(a))
        put_literal(c, a);
    else
        put_plain(c, n, a, top, own, depth);
}

/* ---- nodes and outputs --------------------------------------------------------------------------------------- */

static void put_custom(cn *c, const cn_node *x) {
    jc_bytes *b = &c->body;
    const jc_node *n = x->n;
    jc_put_str(b, n->target);
    put_var(b, x->count < 64 ? n->writes & (((uint64_t)1 << x->count) - 1) : n->writes);
    put_var(b, n->nargs);
    for (uint32_t i = 0; i < n->nargs; i++)
        put_arg(c, n, &n->args[i], true, false, 0);
    put_var(b, n->nresults);
    for (uint32_t i = 0; i < n->nresults; i++) {
        put_dims(c, b, &n->results[i]->type);
        put_strides(c, b, &n->results[i]->type);
    }
}

static void put_compiled(cn *c, const cn_node *x) {
    const jc_node *n = x->n;
    for (uint32_t i = 0; i < n->nargs; i++) {
        const uint32_t k = x->swap && i < 2 ? 1 - i : i;
        put_arg(c, n, &n->args[k], false, x->view && i == 0, 0);
    }
    for (uint32_t i = 0; i < n->nresults; i++)
        put_result(c, x, n->results[i]);
}

void cn_encode_node(cn *c, uint32_t node) {
    const cn_node *x = &c->n[node];
    put_var(&c->body, x->n->op);
    if (x->n->op == JC_OP_custom)
        put_custom(c, x);
    else
        put_compiled(c, x);
    for (uint32_t i = 0; i < x->n->nresults; i++)
        c->v[x->n->results[i]->id].number = c->nlocals++;
    jc_push(c->arena, &c->order, x->n);
}

void cn_encode_outputs(cn *c) {
    put8(&c->body, c->f->tuple);
    put_var(&c->body, c->f->noutputs);
    for (uint32_t i = 0; i < c->f->noutputs; i++)
        put_arg(c, NULL, &c->f->outputs[i], false, true, 0);
}

/* ---- all together -------------------------------------------------------------------------------------------- */

static void put_symbols(cn *c, jc_bytes *b) {
    put_var(b, c->numbered.n);
    for (size_t i = 0; i < c->numbered.n; i++) {
        const jc_sym *s = jc_sym_at(c->exprs, c->numbered.at[i]);
        const bool plain = s->lo == 0 && s->hi == JC_SYM_MAX && s->divisor == 1;
        put8(b, !plain);
        if (plain)
            continue;
        jc_put_svar(b, s->lo);
        jc_put_svar(b, s->hi);
        jc_put_svar(b, s->divisor);
    }
}

/* Canonical alias groups: numbered by their first input, if a second input is in them. */
static void put_inputs(cn *c, jc_bytes *b) {
    const jc_func *f = c->f;
    uint32_t *members = JC_NEWN(c->arena, uint32_t, f->nparams + 1);
    uint32_t *group = JC_NEWN(c->arena, uint32_t, f->nparams + 1);
    for (size_t i = 0; i < c->inputs.n; i++)
        if (c->inputs.at[i].kind == JC_BIND_PARAM)
            members[f->params[c->inputs.at[i].param]->alias]++;
    uint32_t groups = 0;
    put_var(b, c->inputs.n);
    for (size_t i = 0; i < c->inputs.n; i++) {
        const jc_bind *in = &c->inputs.at[i];
        if (in->kind == JC_BIND_LITERAL) {
            put8(b, (uint8_t)cn_literal_kind(&in->literal));
            continue;
        }
        const jc_value *p = f->params[in->param];
        put8(b, p->type.kind);
        if (p->type.kind != JC_TENSOR)
            continue;
        put_dims(c, b, &p->type);
        put_strides(c, b, &p->type);
        const bool aliased = p->alias && members[p->alias] > 1;
        if (aliased && !group[p->alias])
            group[p->alias] = ++groups;
        put_var(b, aliased ? group[p->alias] : 0);
    }
}

void cn_finish(cn *c, jc_canon *out) {
    jc_bytes b = JC_BYTES(c->arena);
    put8(&b, CN_FORMAT);
    put_symbols(c, &b);
    put_inputs(c, &b);
    put_var(&b, c->order.n);
    jc_put(&b, c->body.at, c->body.n);
    const jc_expr **syms = JC_NEWN(c->arena, const jc_expr *, c->numbered.n);
    for (size_t i = 0; i < c->numbered.n; i++)
        syms[i] = jc_ex_sym(c->exprs, c->numbered.at[i]);
    *out = (jc_canon){ .bytes = b.at,
                       .nbytes = b.n,
                       .hash = jc_hash_of(b.at, b.n),
                       .ninputs = (uint32_t)c->inputs.n,
                       .inputs = c->inputs.at,
                       .nsyms = (uint32_t)c->numbered.n,
                       .syms = syms,
                       .nnodes = (uint32_t)c->order.n,
                       .nodes = c->order.at };
}
