/*
 * ir/fx/fx_build_inline.c - what a class takes of its module: constants, and classes that operators of a higher order run.
 *
 * A constant (`self._tensor_constant0`, `self.layer.weight`) is one more parameter, behind the declared ones, named by its path;
 * a constant of a piece is the root's as well, and the call passes it on.
 *
 * `invoke_subgraph(self.f, ...)` and its like build the class's statements in place, with its parameters bound to the arguments; `cond`
 * builds the branch that is taken, or both where only the run tells, if they do nothing but compute.
 */
#include "ir/fx/fx_build.h"

/* --- constants --- */

jc_arg fx_constant(fx_reader *r, const char *path, const jc_type *type) {
    jc_func *f = r->func;
    for (uint32_t i = f->nparams - f->nconstants; i < f->nparams; i++)
        if (strcmp(f->params[i]->name, path) == 0)
            return fx_param_value(f->params[i]);
    jc_value *v = jc_func_param(f, jc_arena_strdup(r->arena, path), type);
    v->line = r->stmt->line;
    f->nconstants++;
    return fx_param_value(v);
}

/* "layer.0.weight" of `getattr(self.layer, "0").weight`; NULL where A is something else. */
static const char *path_of(fx_reader *r, const fx_ast *a) {
    const fx_name *last = a->kind == FX_A_ATTR ? a->attribute : NULL;
    const fx_ast *base = a->kind == FX_A_ATTR ? a->first : NULL;
    if (a->kind == FX_A_CALL && a->first->kind == FX_A_NAME && fx_name_is(a->first->name, "getattr")) {
        base = a->first->next;
        last = base && base->next && base->next->kind == FX_A_STR ? base->next->name : NULL;
    }
    if (!base || !last)
        return NULL;
    if (base->kind == FX_A_NAME && fx_name_is(base->name, "self"))
        return jc_arena_printf(r->scratch, "%s%.*s", r->prefix ? r->prefix : "", (int)last->length, last->text);
    const char *before = path_of(r, base);
    return before ? jc_arena_printf(r->scratch, "%s.%.*s", before, (int)last->length, last->text) : NULL;
}

jc_arg fx_attribute_of_self(fx_reader *r, const fx_ast *a) {
    const char *path = path_of(r, a);
    if (!path)
        return fx_absent();
    const fx_ast *base = a->first;
    fx_child *child = a->kind == FX_A_ATTR && base->kind == FX_A_NAME ? fx_child_of(r->cls, a->attribute) : NULL;
    if (child)
        return (jc_arg){ .kind = FX_MODULE, .value = (jc_value *)(void *)child };
    const fx_stmt *s = r->stmt;
    const fx_note *note = s->note && s->value == a ? fx_note_of(r, s->note, s->at) : NULL;
    if (r->status)
        return fx_nothing();
    if (note && note->known && note->type.kind != JC_NAME) {
        const jc_arg value = fx_constant(r, path, &note->type);
        return note->complex && fx_is_tensor(value) ? fx_complex_of_memory(r, value.value) : value;
    }
    return fx_opaque("a constant of the module whose type nothing tells");
}

/* --- classes in place --- */

static void uncover(fx_reader *r, size_t n) {
    while (r->hidden.n > n) {
        const fx_bound *b = &r->hidden.at[--r->hidden.n];
        b->name->scope = b->scope;
        b->name->state = b->state;
        b->name->at = b->at;
        b->name->value = b->value;
    }
}

static void bind_params(fx_reader *r, const fx_class *c, const jc_arg *args) {
    for (const fx_param *p = c->params; p && !r->status; p = p->next, args++)
        fx_bind(r, p->name, p->note ? fx_check(r, *args, p->note, p->at) : *args, p->at);
}

jc_arg fx_inline(fx_reader *r, const fx_child *child, const jc_arg *args, uint32_t n, uint32_t at) {
    const fx_class *c = child->tree, *cls = r->cls;
    const fx_stmt *stmt = r->stmt;
    const char *prefix = r->prefix;
    const uint32_t scope = r->scope;
    const size_t hidden = r->hidden.n;
    const bool tainted = r->tainted;
    if (n != c->nparams) {
        fx_fail(r, JITC_E_INPUT, at, "%s is called with %u arguments, but takes %u (line %d).", fx_copy(r, c->name), n, c->nparams, c->line);
        return fx_nothing();
    }
    if (r->inlined == FX_MAX_NESTING || !fx_may_part(r, c->nstmts, at))
        return fx_nothing();
    r->inlined++;
    r->scope = ++r->scopes;
    r->cls = c;
    r->prefix = jc_arena_printf(r->scratch, "%s%s.", prefix ? prefix : "", fx_copy(r, c->name));
    bind_params(r, c, args);
    fx_build_body(r, c);
    const jc_arg result = r->returned;
    uncover(r, hidden);
    r->inlined--;
    r->scope = scope;
    r->cls = cls;
    r->prefix = prefix;
    r->stmt = stmt;
    r->tainted |= tainted;
    return r->status ? fx_nothing() : result;
}

/* --- operators of a higher order --- */

/* Where the class stands among the arguments, and whether what it takes is one list or all that follows. */
static const struct higher {
    const char *name;
    uint8_t at;
    bool list;
} higher[] = {
    { "invoke_subgraph", 0, false },          { "wrap", 0, false },
    { "wrap_activation_checkpoint", 0, false }, { "tag_activation_checkpoint", 0, false },
    { "wrap_with_set_grad_enabled", 1, false }, { "wrap_with_autocast", 4, false },
    { "wrap_inductor_compiled_regions", 0, false }, { "strict_mode", 0, true },
    { "hints_wrapper", 0, true },             { "run_const_graph", 0, true },
    { "cond", 1, true },
};

static const struct higher *higher_named(const char *name) {
    for (size_t i = 0; i < sizeof higher / sizeof *higher; i++)
        if (strcmp(higher[i].name, name) == 0)
            return &higher[i];
    return NULL;
}

bool fx_is_higher(const char *name) {
    return higher_named(name) != NULL;
}

static const fx_child *class_in(fx_reader *r, const fx_target *t, jc_arg a, uint32_t at) {
    if (a.kind == FX_MODULE && ((const fx_child *)(const void *)a.value)->tree)
        return (const fx_child *)(const void *)a.value;
    fx_fail(r, JITC_E_UNSUPPORTED, at, "`%s` runs a class that the text does not hold.", t->name);
    return NULL;
}

/* The first of the nodes from FROM on that does not only compute, so that it could do harm to run it for nothing; NULL: there is none.  What is
   not known keeps the graph from running, and is told by itself. */
static const jc_node *more_than_computes(const fx_reader *r, size_t from) {
    for (size_t i = from; i < r->func->nodes.n; i++) {
        const jc_node *n = r->func->nodes.at[i];
        const unsigned traits = jc_ops[n->op].traits;
        if (n->op == JC_OP_custom && n->target[0] == JC_UNKNOWN_MARK && !n->writes)
            continue;
        if ((traits & JC_EFFECT) || (!(traits & (JC_POINTWISE | JC_REDUCTION | JC_VIEW | JC_COMPOSITE | JC_ALLOCATES)) && n->op != JC_OP_linear &&
                                     n->op != JC_OP_matmul && n->op != JC_OP_cat && n->op != JC_OP_pad && n->op != JC_OP_arange))
            return n;
    }
    return NULL;
}

/* Both branches are there: each result is chosen by the predicate. */
static jc_arg merged(fx_reader *r, jc_value *p, jc_arg a, jc_arg b, uint32_t at) {
    const bool lists = a.kind == JC_ARG_LIST && b.kind == JC_ARG_LIST && a.list.n == b.list.n;
    if (r->status)
        return fx_nothing();
    if (lists) {
        jc_arg *out = fx_take(r, sizeof *out * (a.list.n + 1));
        for (uint32_t i = 0; i < a.list.n; i++)
            out[i] = merged(r, p, a.list.at[i], b.list.at[i], at);
        return (jc_arg){ .kind = JC_ARG_LIST, .list = { out, a.list.n } };
    }
    if (fx_is_tensor(a) && fx_is_tensor(b) && a.value->type.dtype == b.value->type.dtype)
        return fx_v(FX_OP(r, JC_OP_where, fx_v(p), a, b));
    if (a.kind == JC_ARG_EXPR && b.kind == JC_ARG_EXPR && jc_ex_equal(fx_x(r), a.expr, b.expr) == JC_YES)
        return a;
    if (a.kind == JC_ARG_NONE && b.kind == JC_ARG_NONE)
        return a;
    fx_fail(r, JITC_E_UNSUPPORTED, at, "The branches of this `cond` give results that cannot be chosen between.");
    return fx_nothing();
}

static jc_arg both(fx_reader *r, jc_value *p, const fx_child *yes, const fx_child *no, const jc_arg *args, uint32_t n, uint32_t at) {
    const size_t from = r->func->nodes.n;
    const jc_arg a = fx_inline(r, yes, args, n, at), b = fx_inline(r, no, args, n, at);
    const jc_node *more = r->status ? NULL : more_than_computes(r, from);
    if (more)
        fx_fail(r, JITC_E_UNSUPPORTED, at, "A branch of this `cond` does more than compute, and only the run tells which is taken: `%s` (line %d).",
                more->called ? more->called : jc_ops[more->op].name, more->line);
    if (r->status)
        return fx_nothing();
    if (fx_rank(p)) {
        p = fx_reshape(r, p, NULL, 0);
    }
    return merged(r, p, a, b, at);
}

static jc_arg cond(fx_reader *r, const fx_target *t, const jc_arg *a, uint32_t n, uint32_t at) {
    const jc_arg p = a[0], list = n > 3 ? a[3] : fx_list(r, NULL, 0);
    const fx_child *yes = class_in(r, t, n > 1 ? a[1] : fx_nothing(), at), *no = class_in(r, t, n > 2 ? a[2] : fx_nothing(), at);
    if (r->status)
        return fx_nothing();
    if (list.kind == JC_ARG_LIST && p.kind == JC_ARG_BOOL)
        return fx_inline(r, p.b ? yes : no, list.list.at, list.list.n, at);
    if (list.kind == JC_ARG_LIST && fx_is_tensor(p) && p.value->type.dtype == JC_B8)
        return both(r, p.value, yes, no, list.list.at, list.list.n, at);
    fx_fail(r, JITC_E_UNSUPPORTED, at, "The predicate of this `cond` is %s; a truth or a tensor of bool is supported.", fx_kind_text(p));
    return fx_nothing();
}

/* How many arguments ARGS are by position; keywords only say how to run. */
static jc_arg *positional(fx_reader *r, const fx_ast *args, uint32_t *n) {
    uint32_t count = 0;
    for (const fx_ast *a = args; a; a = a->next)
        count++;
    jc_arg *at = fx_take(r, sizeof *at * (count + 1));
    *n = 0;
    for (; args && !r->status; args = args->next)
        if (!args->key)
            at[(*n)++] = fx_eval(r, args);
    return at;
}

jc_arg fx_higher(fx_reader *r, const fx_target *t, const fx_ast *args, uint32_t at) {
    const struct higher *h = higher_named(t->name);
    uint32_t n, skip = h->at + 1u;
    const jc_arg *a = positional(r, args, &n);
    if (r->status)
        return fx_nothing();
    if (strcmp(h->name, "cond") == 0)
        return cond(r, t, a, n, at);
    const jc_arg *a0 = a;
    const fx_child *child = class_in(r, t, n > h->at ? a[h->at] : fx_nothing(), at);
    const bool autocast = strcmp(h->name, "wrap_with_autocast") == 0 && n > 2 && a[2].kind == JC_ARG_BOOL && a[2].b;
    if (!child)
        return fx_nothing();
    if (skip < n && strcmp(h->name, "invoke_subgraph") == 0 && a[skip].kind == JC_ARG_STR) /* its name */
        skip++;
    if (h->list && skip < n && a[skip].kind == JC_ARG_LIST) {
        n = a[skip].list.n;
        a = a[skip].list.at;
        skip = 0;
    }
    r->autocast += autocast;
    if (autocast)
        fx_narrow_to(r, a0[0], a0[1]);
    const jc_arg result = fx_inline(r, child, a + skip, n > skip ? n - skip : 0, at);
    r->autocast -= autocast;
    return result;
}
