/*
 * ir/layout.c - where things lie: strides from root parameters through the pieces, and who shares storage.
 *
 * The text of a cut model says nothing of strides, and each piece was read on its own, its parameters contiguous.
 * Here the calls of the root are followed in order: a piece's parameters take the strides of what is passed, its
 * nodes are inferred again, and then the call is.  Every tensor of the root has a token, a number for the storage
 * it lies in: a result has the token of an argument if the output lies in a parameter, else a new one for each
 * storage that the piece makes.
 *
 * Parameters with the same token get a common alias number if the piece writes one of them: then the order of its
 * reads and writes matters in a way that the piece alone does not show.
 *
 * With that it is known which copies of a piece have to be copies, and which views may be copies in PyTorch: see copies.c, unsure.c.
 *
 * Symbols are the graph's, so expressions pass from root to piece as they are; where a piece was printed with
 * symbols of its own, they are translated by the dims of the arguments.
 */
#include "ir/passes_priv.h"

#include <string.h>

typedef struct lay {
    jc_graph *g;
    jc_error *err;
    uint32_t *token; /* by value id of the root */
    uint32_t tokens; /* handed out */
    jc_map *seen;    /* pieces that were called */
    size_t at;       /* number of the call */
    uint32_t **places; /* by call: tokens by value id of the piece, of what owns its storage */
    size_t *written; /* by token: 1 + the last call that writes it */
    size_t *used;    /* by token: 1 + the last call that it is given to, SIZE_MAX: it is the caller's */
    bool *otherwise; /* by token: PyTorch has another order of dims there (unsure.c) */
    bool **unsure;   /* by call: the same by value id of the piece; NULL: nothing */
} lay;

/* ---- root parameters ----------------------------------------------------------------------------------------- */

static bool is_tensor(const jc_value *v) {
    return v->type.kind == JC_TENSOR;
}

/* STRIDES, or NULL where they mean contiguous.  Those of dims of one element do not count, and are what row-major gives beside the dim
   to the right; those of an empty tensor say nothing. */
static const jc_expr *const *normal_strides(jc_graph *g, const jc_type *t, const jc_expr *const *strides) {
    if (!strides)
        return NULL;
    const jc_expr **plain = jc_type_row_major(g->exprs, g->arena, t->dims, t->rank);
    const jc_expr **out = jc_arena_memdup(g->arena, strides, t->rank * sizeof *strides);
    bool differs = false, empty = false;
    for (int i = t->rank; i-- > 0;) {
        if (jc_ex_is(t->dims[i], 1))
            out[i] = i + 1 == t->rank ? jc_ex_int(g->exprs, 1) : jc_ex_mul(g->exprs, out[i + 1], t->dims[i + 1]);
        else
            differs |= out[i] != plain[i];
        empty |= jc_ex_is(t->dims[i], 0);
    }
    return differs && !empty ? out : NULL;
}

/* Is the byte behind the last element further than 2^63, as far as constants tell? */
static bool too_far(jc_graph *g, const jc_type *t, const jc_expr *const *strides) {
    jc_exprs *ex = g->exprs;
    const jc_expr *end = jc_ex_int(ex, 1);
    for (uint32_t d = 0; d < t->rank; d++)
        end = jc_ex_add(ex, end, jc_ex_mul(ex, jc_ex_sub(ex, t->dims[d], jc_ex_int(ex, 1)), strides[d]));
    return jc_ex_mul(ex, end, jc_ex_int(ex, jc_dtypes[t->dtype].size))->kind == JC_EX_POISON;
}

static jitc_status set_entry(jc_graph *g, jc_value *p, const jc_stride_entry *e, jc_error *err) {
    if (!p || !is_tensor(p))
        return jc_fail_at(err, JITC_E_INPUT, g->file, g->root->line, 0, NULL,
                          "Strides are given for '%s', but the graph has no tensor parameter of that name.", e->param);
    if (e->n != p->type.rank)
        return jc_fail_at(err, JITC_E_INPUT, g->file, p->line, 0, p->name,
                          "%u strides are given for '%s', which has %u dims.", e->n, e->param, p->type.rank);
    const jc_expr **strides = JC_NEWN(g->arena, const jc_expr *, e->n);
    for (uint32_t i = 0; i < e->n; i++)
        JC_TRY(jc_ex_parse(g->exprs, e->strides[i], strlen(e->strides[i]), g->file, p->line, 0, &strides[i], err));
    for (uint32_t i = 0; i < e->n; i++)
        if (jc_ex_le(g->exprs, jc_ex_int(g->exprs, 0), strides[i]) == JC_NO)
            return jc_fail_at(err, JITC_E_INPUT, g->file, p->line, 0, p->name,
                              "The stride %s given for dim %u of '%s' is negative; expected 0 or more: tensors of PyTorch have no other.",
                              e->strides[i], i, e->param);
    if (too_far(g, &p->type, strides))
        return jc_fail_at(err, JITC_E_INPUT, g->file, p->line, 0, p->name,
                          "With the strides given for '%s' its elements would be further apart than 2^63 bytes.", e->param);
    p->type.strides = normal_strides(g, &p->type, strides);
    return JITC_OK;
}

static jitc_status set_entries(jc_graph *g, const jc_stride_entry *entries, uint32_t n, jc_error *err) {
    if (!n)
        return JITC_OK;
    jc_map *params = jc_map_new(g->arena);
    for (uint32_t i = 0; i < g->root->nparams; i++) {
        jc_value *p = g->root->params[i];
        if (p->name)
            jc_map_set(params, p->name, strlen(p->name), p);
    }
    for (uint32_t i = 0; i < n; i++) {
        jc_value *p = jc_map_get(params, entries[i].param, strlen(entries[i].param));
        JC_TRY(set_entry(g, p, &entries[i], err));
    }
    return JITC_OK;
}

/* ---- symbols of a piece of its own --------------------------------------------------------------------------- */

typedef struct translation {
    const jc_expr **map; /* NULL: nothing to translate */
    uint32_t n;
} translation;

static void translate_pair(lay *l, translation *t, const jc_expr *from, const jc_expr *to) {
    if (from == to || from->kind != JC_EX_SYM)
        return;
    if (!t->map) {
        t->n = jc_sym_count(l->g->exprs);
        t->map = JC_NEWN(l->g->arena, const jc_expr *, t->n);
    }
    if (!t->map[from->sym])
        t->map[from->sym] = to;
}

static void translate_type(lay *l, translation *t, const jc_type *from, const jc_type *to) {
    if (from->kind != to->kind || from->rank != to->rank)
        return;
    if (from->kind == JC_SYMINT)
        translate_pair(l, t, from->expr, to->expr);
    for (int d = 0; from->kind == JC_TENSOR && d < from->rank; d++)
        translate_pair(l, t, from->dims[d], to->dims[d]);
}

static const jc_expr *const *translated(lay *l, const translation *t, const jc_expr *const *at, int n) {
    if (!at || !t->map)
        return at;
    const jc_expr **out = JC_NEWN(l->g->arena, const jc_expr *, (size_t)n);
    for (int i = 0; i < n; i++)
        out[i] = jc_ex_subst(l->g->exprs, at[i], t->map, t->n);
    return out;
}

/* ---- one call ------------------------------------------------------------------------------------------------ */

static bool same_strides(const jc_type *t, const jc_expr *const *a, const jc_expr *const *b) {
    if (!a || !b)
        return a == b;
    for (int i = 0; i < t->rank; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static const jc_type *arg_type(const jc_arg *a, jc_type *room) {
    if (a->kind == JC_ARG_VALUE)
        return &a->value->type;
    *room = (jc_type){ .kind = JC_SYMINT, .expr = a->expr };
    return a->kind == JC_ARG_EXPR ? room : NULL;
}

static translation into_piece(lay *l, const jc_node *call) {
    translation t = { 0 };
    for (uint32_t i = 0; i < call->nargs; i++) {
        jc_type room;
        const jc_type *outside = arg_type(&call->args[i], &room);
        if (outside)
            translate_type(l, &t, outside, &call->callee->params[i]->type);
    }
    return t;
}

static jitc_status pass_strides(lay *l, const jc_node *call, bool again) {
    jc_func *f = call->callee;
    const translation t = into_piece(l, call);
    for (uint32_t i = 0; i < call->nargs; i++) {
        const jc_arg *a = &call->args[i];
        jc_value *p = f->params[i];
        if (a->kind != JC_ARG_VALUE || !is_tensor(a->value) || !is_tensor(p) || p->type.rank != a->value->type.rank)
            continue;
        const jc_expr *const *strides =
            normal_strides(l->g, &p->type, translated(l, &t, a->value->type.strides, p->type.rank));
        if (again && !same_strides(&p->type, p->type.strides, strides))
            return jc_fail_at(l->err, JITC_E_UNSUPPORTED, l->g->file, call->line, 0, a->value->name,
                              "%s is called twice, with different strides of '%s'. Call a copy of it.", f->name,
                              p->name);
        p->type.strides = strides;
    }
    return again ? JITC_OK : jc_reinfer(f, l->err);
}

static void see_write(void *user, jc_value *v) {
    bool *params = user;
    const jc_value *owner = jc_storage(v);
    if (!owner->def)
        params[owner->index] = true;
}

static uint32_t arg_token(const lay *l, const jc_node *call, uint32_t i) {
    const jc_arg *a = &call->args[i];
    return a->kind == JC_ARG_VALUE && is_tensor(a->value) ? l->token[a->value->id] : 0;
}

/* Which parameters does the piece write?  False: none. */
static bool written_params(const jc_func *f, bool *params) {
    bool any = false;
    for (size_t i = 0; i < f->nodes.n; i++)
        jc_node_written(f->nodes.at[i], see_write, params);
    for (uint32_t i = 0; i < f->nparams; i++)
        any |= params[i];
    return any;
}

/* ALIAS gets numbers for parameters whose storage is shared, if any that shares it is written. */
static void find_aliases(lay *l, const jc_node *call, uint32_t *alias) {
    jc_arena *arena = l->g->arena;
    const uint32_t n = call->nargs;
    bool *params = JC_NEWN(arena, bool, n);
    if (!written_params(call->callee, params))
        return;
    for (uint32_t i = 0; i < n; i++)
        if (params[i])
            l->written[arg_token(l, call, i)] = l->at + 1;
    jc_map *groups = jc_map_new(arena); /* token to the first parameter that lies there */
    struct {
        uint32_t token, first, members, number;
        bool touched;
    } *p = jc_arena_array(arena, n, sizeof *p); /* members ..., touched: of the first one */
    uint32_t next = 0;
    for (uint32_t i = 0; i < n; i++) {
        p[i].token = arg_token(l, call, i);
        p[i].first = i;
        if (!p[i].token)
            continue;
        const uint32_t *first = jc_map_get(groups, &p[i].token, sizeof p[i].token);
        if (first)
            p[i].first = *first;
        else
            jc_map_set(groups, &p[i].token, sizeof p[i].token, &p[i].first);
        p[p[i].first].members++;
        p[p[i].first].touched |= params[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t first = p[i].first;
        if (p[first].members < 2 || !p[first].touched)
            continue;
        if (!p[first].number)
            p[first].number = ++next;
        alias[i] = p[first].number;
    }
}

static jitc_status set_aliases(lay *l, const jc_node *call, bool again) {
    jc_func *f = call->callee;
    uint32_t *alias = JC_NEWN(l->g->arena, uint32_t, call->nargs);
    find_aliases(l, call, alias);
    for (uint32_t i = 0; i < f->nparams; i++) {
        if (again && f->params[i]->alias != alias[i])
            return jc_fail_at(l->err, JITC_E_UNSUPPORTED, l->g->file, call->line, 0, NULL,
                              "%s is called twice, and its arguments share storage in different ways. Call a copy of "
                              "it.",
                              f->name);
        f->params[i]->alias = alias[i];
    }
    return JITC_OK;
}

typedef struct results {
    lay *l;
    const jc_node *call;
    uint32_t next;  /* result */
    uint32_t *place; /* by value id of the piece: token of the storage that it owns */
} results;

static uint32_t output_token(results *r, jc_value *v) {
    const jc_value *owner = jc_storage(v);
    if (!r->place[owner->id] && owner->def)
        r->place[owner->id] = ++r->l->tokens;
    return r->place[owner->id];
}

static void take_results(results *r, const jc_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_LIST) {
            take_results(r, at[i].list.at, at[i].list.n);
        } else if (at[i].kind != JC_ARG_NONE) {
            jc_value *v = r->call->results[r->next++];
            if (at[i].kind != JC_ARG_VALUE || !is_tensor(v))
                continue;
            v->type.strides = normal_strides(r->l->g, &v->type, v->type.strides);
            r->l->token[v->id] = output_token(r, at[i].value);
        }
    }
}

static void find_otherwise(lay *l, const jc_node *call, const uint32_t *place) {
    const jc_func *f = call->callee;
    bool *otherwise = JC_NEWN(l->g->arena, bool, f->nvalues), any = false;
    for (uint32_t i = 0; i < call->nargs; i++)
        any |= otherwise[f->params[i]->id] = l->otherwise[arg_token(l, call, i)];
    if (!jc_find_otherwise(f, otherwise) && !any)
        return;
    l->unsure[l->at] = otherwise;
    for (uint32_t i = 0; i < f->nvalues; i++)
        l->otherwise[place[i]] |= place[i] && otherwise[i];
}

static jitc_status lay_call(lay *l, jc_node *call) {
    const bool again = jc_map_get(l->seen, &call->callee, sizeof call->callee) != NULL;
    if (!again) {
        jc_map_set(l->seen, &call->callee, sizeof call->callee, call->callee);
        jc_clear_copies(call->callee);
    }
    JC_TRY(pass_strides(l, call, again));
    JC_TRY(set_aliases(l, call, again));
    JC_TRY(jc_infer(l->g->root, call, l->err));
    results r = { .l = l, .call = call, .place = JC_NEWN(l->g->arena, uint32_t, call->callee->nvalues) };
    for (uint32_t i = 0; i < call->nargs; i++) {
        const uint32_t token = arg_token(l, call, i);
        r.place[call->callee->params[i]->id] = token;
        if (l->used[token] != SIZE_MAX)
            l->used[token] = l->at + 1;
    }
    take_results(&r, call->callee->outputs, call->callee->noutputs);
    l->places[l->at] = r.place;
    find_otherwise(l, call, r.place);
    return JITC_OK;
}

/* ---- copies ---- */

static void mark_copies(lay *l, size_t number) {
    jc_func *f = l->g->root->nodes.at[number]->callee;
    if (!jc_may_copy(f) && !l->unsure[number])
        return;
    jc_outside o = { l->places[number], JC_NEWN(l->g->arena, bool, f->nvalues), JC_NEWN(l->g->arena, bool, f->nvalues) };
    for (uint32_t i = 0; i < f->nvalues; i++)
        o.written[i] = o.place[i] && l->written[o.place[i]] > number + 1;
    for (uint32_t i = 0; i < f->nparams; i++) {
        const uint32_t id = f->params[i]->id;
        o.read[id] = o.place[id] && l->used[o.place[id]] > number + 1;
    }
    jc_mark_copies(f, &o);
    jc_mark_unsure(f, l->unsure[number], &o);
}

static void see_root_output(void *user, jc_value *v) {
    lay *l = user;
    l->used[l->token[v->id]] = SIZE_MAX;
}

jitc_status jc_layout(jc_graph *g, const jc_stride_entry *entries, uint32_t n, jc_error *err) {
    JC_TRY(set_entries(g, entries, n, err));
    jc_func *root = g->root;
    lay l = { .g = g,
              .err = err,
              .token = JC_NEWN(g->arena, uint32_t, root->nvalues),
              .seen = jc_map_new(g->arena),
              .places = JC_NEWN(g->arena, uint32_t *, root->nodes.n),
              .written = JC_NEWN(g->arena, size_t, root->nvalues + 1),
              .used = JC_NEWN(g->arena, size_t, root->nvalues + 1),
              .otherwise = JC_NEWN(g->arena, bool, root->nvalues + 1),
              .unsure = JC_NEWN(g->arena, bool *, root->nodes.n) };
    for (uint32_t i = 0; i < root->nparams; i++) {
        l.token[root->params[i]->id] = ++l.tokens;
        l.used[l.tokens] = SIZE_MAX;
    }
    for (; l.at < root->nodes.n; l.at++) {
        jc_node *call = root->nodes.at[l.at];
        if (call->op != JC_OP_call)
            return jc_fail_at(err, JITC_E_INPUT, g->file, call->line, 0, NULL,
                              "%s computes; split the graph before laying it out.", root->name);
        JC_TRY(lay_call(&l, call));
    }
    jc_func_outputs(root, see_root_output, &l);
    for (size_t i = 0; i < root->nodes.n; i++)
        mark_copies(&l, i);
    return JITC_OK;
}
