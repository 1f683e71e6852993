/*
 * ir/split.c - cutting a flat graph into pieces at the splitting operators.
 *
 * The rules are those of vLLM and of PyTorch's splitter, so that a model cut here and there has the same pieces
 * (notes, "Features"):
 *
 *   - A splitting operator starts a piece of its own; those that follow it at once share it; the next operator
 *     starts a piece that does not split.
 *   - What takes a part of an earlier result (`x[...]`, a getitem in PyTorch's graph) belongs to the piece of
 *     that result.  Here that is a slice, or the reshape that completes an index, which stands alone on its line;
 *     slices that share operand and line come from `split` or `chunk`, which are calls like others.  The
 *     destination of a setitem stays.
 *   - A piece of `empty` allocations alone joins the last piece before it that does not split.
 *   - Order of the text is kept within a piece, so effects keep theirs.
 *   - The outputs of a piece are ordered by their first use in a later piece, going through the text, operands in
 *     their order; what the root returns comes last.  Its parameters are ordered by first use.
 *
 * Symbolic integers are expressions and need no parameters.  For the same reason a graph that arrives cut loses
 * the symbolic integers that its pieces return for other pieces' sake: the flat text of the same model has none of
 * them.
 */
#include "ir/passes.h"

#include <string.h>

#define NO_PART UINT32_MAX

/* ---- a graph that arrives cut -------------------------------------------------------------------------------- */

typedef struct known {
    const bool *sym;
    bool all;
} known;

static void see_known(void *user, uint32_t sym) {
    known *k = user;
    k->all = k->all && k->sym[sym];
}

static void see_mark(void *user, uint32_t sym) {
    ((bool *)user)[sym] = true;
}

/* The symbols that the root's parameters determine, or at least mention. */
static bool *root_symbols(const jc_graph *g) {
    bool *sym = JC_NEWN(g->arena, bool, jc_sym_count(g->exprs));
    for (uint32_t i = 0; i < g->root->nparams; i++) {
        const jc_type *t = &g->root->params[i]->type;
        if (t->kind == JC_SYMINT)
            jc_ex_symbols(t->expr, see_mark, sym);
        for (int d = 0; t->kind == JC_TENSOR && d < t->rank; d++)
            jc_ex_symbols(t->dims[d], see_mark, sym);
    }
    return sym;
}

static const jc_expr *symint_of(const jc_arg *a) {
    if (a->kind == JC_ARG_EXPR)
        return a->expr;
    return a->kind == JC_ARG_VALUE && a->value->type.kind == JC_SYMINT ? a->value->type.expr : NULL;
}

/* Can output A go, because everybody knows it anyway? */
static bool known_symint(const jc_arg *a, const bool *sym) {
    const jc_expr *e = symint_of(a);
    if (!e)
        return false;
    known k = { .sym = sym, .all = true };
    jc_ex_symbols(e, see_known, &k);
    return k.all;
}

/* Only plain tuples lose outputs: a nested one has a shape that callers may rely on. */
static bool may_drop(const jc_func *f) {
    for (uint32_t i = 0; i < f->noutputs; i++)
        if (f->outputs[i].kind == JC_ARG_LIST)
            return false;
    return f->tuple;
}

/* Of a call, the results that stand for outputs that go. */
static void drop_results(jc_node *call, const bool *sym) {
    const jc_func *f = call->callee;
    uint32_t from = 0, to = 0;
    for (uint32_t i = 0; i < f->noutputs; i++) {
        if (f->outputs[i].kind == JC_ARG_NONE)
            continue;
        jc_value *v = call->results[from++];
        if (known_symint(&f->outputs[i], sym))
            continue;
        v->index = to;
        call->results[to++] = v;
    }
    call->nresults = to;
}

static void drop_outputs(jc_func *f, const bool *sym) {
    uint32_t to = 0;
    for (uint32_t i = 0; i < f->noutputs; i++)
        if (!known_symint(&f->outputs[i], sym))
            f->outputs[to++] = f->outputs[i];
    f->noutputs = to;
}

/* Symbolic results as expressions, wherever the root mentions them. */
static void inline_symints(jc_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const jc_expr *e = at[i].kind == JC_ARG_VALUE && at[i].value->def ? symint_of(&at[i]) : NULL;
        if (e)
            at[i] = jc_arg_expr(e);
        else if (at[i].kind == JC_ARG_LIST)
            inline_symints(at[i].list.at, at[i].list.n);
    }
}

static void renumber(jc_func *f) {
    f->nvalues = f->nparams;
    for (size_t i = 0; i < f->nodes.n; i++)
        for (uint32_t k = 0; k < f->nodes.at[i]->nresults; k++)
            f->nodes.at[i]->results[k]->id = f->nvalues++;
}

static jitc_status accept_cut(jc_graph *g, jc_error *err) {
    jc_func *root = g->root;
    for (size_t i = 0; i < root->nodes.n; i++) {
        const jc_node *n = root->nodes.at[i];
        if (n->op != JC_OP_call)
            return jc_fail_at(err, JITC_E_INPUT, g->file, n->line, 0, n->nresults ? n->results[0]->name : NULL,
                              "%s both calls pieces and computes (%s). Give a flat graph, or one whose root only "
                              "calls.",
                              root->name, n->target ? n->target : jc_ops[n->op].name);
        inline_symints(n->args, n->nargs);
        jc_guards_of_call(root, n);
    }
    inline_symints(root->outputs, root->noutputs);
    const bool *sym = root_symbols(g);
    for (size_t i = 0; i < root->nodes.n; i++)
        if (may_drop(root->nodes.at[i]->callee))
            drop_results(root->nodes.at[i], sym);
    for (size_t i = 0; i < g->pieces.n; i++)
        if (may_drop(g->pieces.at[i]))
            drop_outputs(g->pieces.at[i], sym);
    renumber(root);
    return JITC_OK;
}

/* ---- a graph that stays whole -------------------------------------------------------------------------------- */

static jc_arg results_as(jc_graph *g, const jc_arg *output, const jc_node *call, uint32_t *next) {
    if (output->kind == JC_ARG_LIST) {
        jc_arg *at = JC_NEWN(g->arena, jc_arg, output->list.n);
        for (uint32_t i = 0; i < output->list.n; i++)
            at[i] = results_as(g, &output->list.at[i], call, next);
        return jc_arg_list(g, at, output->list.n);
    }
    if (output->kind == JC_ARG_NONE)
        return *output;
    jc_value *v = call->results[(*next)++];
    return v->type.kind == JC_SYMINT ? jc_arg_expr(v->type.expr) : jc_arg_value(v);
}

static jc_func *root_like(jc_graph *g, const jc_func *old) {
    jc_func *root = jc_func_new(g, old->name);
    root->line = old->line;
    root->tuple = old->tuple;
    for (uint32_t i = 0; i < old->nparams; i++) {
        jc_value *p = jc_func_param(root, old->params[i]->name, &old->params[i]->type);
        p->line = old->params[i]->line;
        p->alias = old->params[i]->alias;
    }
    root->guards = old->guards;
    root->noutputs = old->noutputs;
    root->outputs = JC_NEWN(g->arena, jc_arg, old->noutputs);
    return root;
}

/* A float or a truth that is always the same is the root's to give; no piece has to. */
static bool is_literal(const jc_arg *a) {
    return a->kind == JC_ARG_FLOAT || a->kind == JC_ARG_BOOL;
}

static void drop_literals(jc_graph *g, jc_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_LIST) {
            at[i].list.at = jc_arena_memdup(g->arena, at[i].list.at, sizeof *at * at[i].list.n);
            drop_literals(g, at[i].list.at, at[i].list.n);
        } else if (is_literal(&at[i])) {
            at[i] = jc_arg_none();
        }
    }
}

/* NOW with the literals of WAS, which has the same form. */
static void take_literals(jc_arg *now, const jc_arg *was, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (was[i].kind == JC_ARG_LIST)
            take_literals(now[i].list.at, was[i].list.at, was[i].list.n);
        else if (is_literal(&was[i]))
            now[i] = was[i];
    }
}

/* The old root becomes the piece, as it is. */
static void make_whole(jc_graph *g) {
    const jc_arg *was = g->root->outputs;
    g->root->outputs = jc_arena_memdup(g->arena, was, sizeof *was * g->root->noutputs);
    drop_literals(g, g->root->outputs, g->root->noutputs);
    jc_func *piece = g->root, *root = root_like(g, piece);
    jc_arg *args = JC_NEWN(g->arena, jc_arg, piece->nparams);
    for (uint32_t i = 0; i < piece->nparams; i++)
        args[i] = jc_arg_value(root->params[i]);
    piece->name = jc_arena_strdup(g->arena, "submod_0");
    const jc_node *call = jc_func_add_call(root, piece, args, piece->nparams, piece->line);
    uint32_t next = 0;
    for (uint32_t i = 0; i < piece->noutputs; i++)
        root->outputs[i] = results_as(g, &piece->outputs[i], call, &next);
    take_literals(root->outputs, was, piece->noutputs);
    jc_push(g->arena, &g->pieces, piece);
    g->root = root;
}

/* ---- which piece a node belongs to --------------------------------------------------------------------------- */

typedef struct part {
    bool splitting, only_empty;
    jc_func *f;
    JC_VEC(jc_node *) nodes;
    JC_VEC(jc_value *) inputs, outputs; /* of the flat graph */
} part;

typedef struct cut {
    jc_graph *g;
    const jc_func *flat;
    const jc_split_options *options;
    JC_VEC(part) parts;
    JC_VEC(uint32_t) where; /* part of each node */
    uint32_t at;            /* the part at work; NO_PART: the root */
    /* by value id of the flat graph: */
    uint32_t *part_of;   /* where it is defined; NO_PART: a parameter */
    bool *leaves;        /* is an output already */
    jc_value **in_piece; /* its copy in the piece at work ... */
    uint32_t *copied_in; /* ... which is this one, + 1 */
    jc_value **in_root;  /* its copy in the new root */
} cut;

static part *part_at(cut *c, uint32_t i) {
    while (c->parts.n <= i)
        jc_push(c->g->arena, &c->parts, ((part){ .only_empty = true }));
    return &c->parts.at[i];
}

static bool same_line(const jc_node *a, const jc_node *b) {
    return a->line == b->line && a->line;
}

/* Node I is a slice with a sibling of the same operand on its line: part of a split or a chunk. */
static bool has_sibling(const jc_func *f, size_t i) {
    const jc_node *n = f->nodes.at[i];
    for (size_t k = i; k-- > 0 && same_line(f->nodes.at[k], n);)
        if (f->nodes.at[k]->op == JC_OP_slice && f->nodes.at[k]->args[0].value == n->args[0].value)
            return true;
    for (size_t k = i + 1; k < f->nodes.n && same_line(f->nodes.at[k], n); k++)
        if (f->nodes.at[k]->op == JC_OP_slice && f->nodes.at[k]->args[0].value == n->args[0].value)
            return true;
    return false;
}

/* Node I makes the destination of a setitem on its line. */
static bool is_destination(const jc_func *f, size_t i) {
    const jc_node *n = f->nodes.at[i];
    for (size_t k = i + 1; k < f->nodes.n && same_line(f->nodes.at[k], n); k++)
        if (jc_ops[f->nodes.at[k]->op].traits & JC_WRITES && jc_storage(f->nodes.at[k]->args[0].value) == jc_storage(n->results[0]))
            return true;
    return false;
}

/* The part that node I, which shows part of an earlier result, goes back to; else NOW. */
static uint32_t producers_part(const cut *c, size_t i, uint32_t now) {
    const jc_node *n = c->flat->nodes.at[i];
    if ((n->op != JC_OP_slice && n->op != JC_OP_reshape) || jc_is_splitting(n, c->options))
        return now;
    const jc_value *x = n->args[0].value;
    const uint32_t producer = c->part_of[x->id];
    if (producer == NO_PART || producer >= now || !n->results[0]->base)
        return now;
    if (n->op == JC_OP_reshape) /* completes x[..., 0] */
        return x->def->op == JC_OP_slice && same_line(x->def, n) ? producer : now;
    return has_sibling(c->flat, i) || is_destination(c->flat, i) ? now : producer;
}

static uint32_t next_part(cut *c, const jc_node *n, uint32_t now, bool *after) {
    const bool splits = jc_is_splitting(n, c->options);
    now += splits ? !*after : *after;
    *after = splits;
    part *p = part_at(c, now);
    p->splitting |= splits;
    p->only_empty &= n->op == JC_OP_empty;
    return now;
}

static void assign(cut *c) {
    uint32_t now = 0;
    bool after = false; /* the node before was a splitting one */
    for (size_t i = 0; i < c->flat->nodes.n; i++) {
        const jc_node *n = c->flat->nodes.at[i];
        uint32_t at = producers_part(c, i, now + after);
        if (at == now + after) {
            at = now = next_part(c, n, now, &after);
        } else { /* what goes back still ends a row of splitting operators */
            now += after;
            after = false;
            c->parts.at[at].only_empty = false;
        }
        jc_push(c->g->arena, &c->where, at);
        for (uint32_t k = 0; k < n->nresults; k++)
            c->part_of[n->results[k]->id] = at;
    }
}

/* Allocations that stand between two splitting pieces go back to the last piece that is none. */
static void merge_empty(cut *c) {
    uint32_t *into = JC_NEWN(c->g->arena, uint32_t, c->parts.n), last = NO_PART;
    bool *used = JC_NEWN(c->g->arena, bool, c->parts.n);
    for (size_t i = 0; i < c->where.n; i++)
        used[c->where.at[i]] = true;
    for (uint32_t i = 0; i < c->parts.n; i++) {
        const part *p = &c->parts.at[i];
        into[i] = i;
        if (!used[i] || p->splitting)
            continue;
        if (p->only_empty && last != NO_PART)
            into[i] = last;
        else
            last = i;
    }
    for (size_t i = 0; i < c->where.n; i++) {
        const jc_node *n = c->flat->nodes.at[i];
        c->where.at[i] = into[c->where.at[i]];
        for (uint32_t k = 0; k < n->nresults; k++)
            c->part_of[n->results[k]->id] = c->where.at[i];
        jc_push(c->g->arena, &c->parts.at[c->where.at[i]].nodes, c->flat->nodes.at[i]);
    }
}

/* ---- inputs and outputs -------------------------------------------------------------------------------------- */

static void see_use(void *user, jc_value *v) {
    cut *c = user;
    const uint32_t from = c->part_of[v->id];
    if (from == NO_PART || from == c->at || c->leaves[v->id])
        return;
    c->leaves[v->id] = true;
    jc_push(c->g->arena, &c->parts.at[from].outputs, v);
}

static void see_outputs(cut *c, const jc_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == JC_ARG_LIST)
            see_outputs(c, at[i].list.at, at[i].list.n);
        else if (at[i].kind == JC_ARG_VALUE)
            see_use(c, at[i].value);
    }
}

static void find_outputs(cut *c) {
    for (size_t i = 0; i < c->where.n; i++) {
        c->at = c->where.at[i];
        jc_node_operands(c->flat->nodes.at[i], see_use, c);
    }
    c->at = NO_PART;
    see_outputs(c, c->flat->outputs, c->flat->noutputs);
}

/* Makes V a parameter of the piece at work, unless it is one or is defined there. */
static void see_input(void *user, jc_value *v) {
    cut *c = user;
    if (c->part_of[v->id] == c->at || c->copied_in[v->id] == c->at + 1 || v->type.kind == JC_SYMINT)
        return;
    part *p = &c->parts.at[c->at];
    jc_value *param = jc_func_param(p->f, v->name, &v->type);
    param->line = v->line;
    c->in_piece[v->id] = param;
    c->copied_in[v->id] = c->at + 1;
    jc_push(c->g->arena, &p->inputs, v);
}

/* ---- copying ------------------------------------------------------------------------------------------------- */

static jc_arg copy_arg(cut *c, const jc_arg *a) {
    jc_arg out = *a;
    if (a->kind == JC_ARG_VALUE && a->value->type.kind == JC_SYMINT) {
        out = jc_arg_expr(a->value->type.expr);
        out.key = a->key;
    } else if (a->kind == JC_ARG_VALUE) {
        out.value = c->in_piece[a->value->id];
    } else if (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) {
        out.list.at = JC_NEWN(c->g->arena, jc_arg, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            out.list.at[i] = copy_arg(c, &a->list.at[i]);
    }
    return out;
}

static const jc_expr *offset_of(jc_exprs *t, const jc_value *v) {
    return v->offset ? v->offset : jc_ex_int(t, 0);
}

/* Places COPY, of the view OLD of operand FROM: FROM's copy may be a parameter, and then it owns its storage. */
static void place_copy(cut *c, const jc_value *old, const jc_value *from, jc_value *copy) {
    jc_exprs *t = c->g->exprs;
    jc_value *from_copy = c->in_piece[from->id];
    const jc_expr *inside = jc_ex_sub(t, offset_of(t, old), offset_of(t, from));
    copy->base = jc_storage(from_copy);
    copy->offset = jc_ex_add(t, offset_of(t, from_copy), inside);
}

static void copy_node(cut *c, const jc_node *n) {
    jc_func *f = c->parts.at[c->at].f;
    jc_arena *arena = c->g->arena;
    jc_node *m = JC_NEW(arena, jc_node);
    *m = *n;
    m->args = JC_NEWN(arena, jc_arg, n->nargs);
    for (uint32_t i = 0; i < n->nargs; i++)
        m->args[i] = copy_arg(c, &n->args[i]);
    m->results = JC_NEWN(arena, jc_value *, n->nresults);
    for (uint32_t i = 0; i < n->nresults; i++) {
        const jc_value *old = n->results[i];
        jc_value *v = JC_NEW(arena, jc_value);
        *v = *old;
        v->id = f->nvalues++;
        v->def = m;
        if (old->base)
            place_copy(c, old, n->args[0].value, v);
        m->results[i] = v;
        c->in_piece[old->id] = v;
    }
    jc_push(arena, &f->nodes, m);
}

static void make_piece(cut *c, uint32_t at) {
    part *p = &c->parts.at[at];
    jc_arena *arena = c->g->arena;
    c->at = at;
    p->f = jc_func_new(c->g, jc_arena_printf(arena, "submod_%u", at));
    p->f->line = p->nodes.at[0]->line;
    p->f->tuple = true;
    for (size_t i = 0; i < p->nodes.n; i++)
        jc_node_operands(p->nodes.at[i], see_input, c);
    for (size_t i = 0; i < p->nodes.n; i++)
        copy_node(c, p->nodes.at[i]);
    p->f->noutputs = (uint32_t)p->outputs.n;
    p->f->outputs = JC_NEWN(arena, jc_arg, p->outputs.n);
    for (size_t i = 0; i < p->outputs.n; i++)
        p->f->outputs[i] = jc_arg_value(c->in_piece[p->outputs.at[i]->id]);
    jc_push(arena, &c->g->pieces, p->f);
}

static void call_piece(cut *c, const part *p, jc_func *root) {
    jc_arg *args = JC_NEWN(c->g->arena, jc_arg, p->inputs.n);
    for (size_t i = 0; i < p->inputs.n; i++)
        args[i] = jc_arg_value(c->in_root[p->inputs.at[i]->id]);
    const jc_node *call = jc_func_add_call(root, p->f, args, (uint32_t)p->inputs.n, p->f->line);
    for (size_t i = 0; i < p->outputs.n; i++) {
        call->results[i]->name = p->outputs.at[i]->name;
        c->in_root[p->outputs.at[i]->id] = call->results[i];
    }
}

static jc_arg root_output(cut *c, const jc_arg *a) {
    if (a->kind == JC_ARG_LIST) {
        jc_arg *at = JC_NEWN(c->g->arena, jc_arg, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            at[i] = root_output(c, &a->list.at[i]);
        return jc_arg_list(c->g, at, a->list.n);
    }
    if (a->kind != JC_ARG_VALUE)
        return *a;
    if (a->value->type.kind == JC_SYMINT)
        return jc_arg_expr(a->value->type.expr);
    return jc_arg_value(c->in_root[a->value->id]);
}

static void make_cut(jc_graph *g, const jc_split_options *options) {
    jc_func *flat = g->root, *root = root_like(g, flat);
    const uint32_t n = flat->nvalues;
    cut c = { .g = g,
              .flat = flat,
              .options = options,
              .part_of = JC_NEWN(g->arena, uint32_t, n),
              .leaves = JC_NEWN(g->arena, bool, n),
              .in_piece = JC_NEWN(g->arena, jc_value *, n),
              .copied_in = JC_NEWN(g->arena, uint32_t, n),
              .in_root = JC_NEWN(g->arena, jc_value *, n) };
    for (uint32_t i = 0; i < flat->nparams; i++) {
        c.part_of[flat->params[i]->id] = NO_PART;
        c.in_root[flat->params[i]->id] = root->params[i];
    }
    assign(&c);
    merge_empty(&c);
    find_outputs(&c);
    for (uint32_t i = 0; i < c.parts.n; i++) {
        if (!c.parts.at[i].nodes.n)
            continue;
        make_piece(&c, i);
        call_piece(&c, &c.parts.at[i], root);
    }
    for (uint32_t i = 0; i < flat->noutputs; i++)
        root->outputs[i] = root_output(&c, &flat->outputs[i]);
    g->root = root;
}

jitc_status jc_split(jc_graph *g, const jc_split_options *options, jc_error *err) {
    if (g->pieces.n)
        return accept_cut(g, err);
    if (jc_piece_is_splitting(g->root, options))
        make_cut(g, options);
    else
        make_whole(g);
    return JITC_OK;
}
