/*
 * ir/fx/fx_build.c - the reading of a file: classes in order, statements to nodes.
 *
 * The root stands first in the text but calls what follows, so its tree waits while every piece is parsed, built and its
 * tree dropped; then the root is built.  Names are bound in place (fx_name), one scope a class.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- names --- */

static void bind_name(fx_reader *r, fx_name *n, jc_arg value, uint32_t at) {
    n->scope = r->scope;
    n->state = FX_BOUND;
    n->at = at;
    n->value = value;
    n->value.key = NULL;
}

static void free_names(fx_reader *r, const fx_ast *names) {
    for (; names; names = names->next) {
        fx_name *n = names->name;
        if (n->scope != r->scope || n->state == FX_UNBOUND) {
            fx_fail(r, JITC_E_INPUT, names->at, "'%.*s' is freed, but nothing has that name here.", (int)n->length,
                    n->text);
            return;
        }
        n->state = FX_FREED;
        n->at = names->at;
    }
}

/* A result takes the first name it gets. */
static void give_name(fx_reader *r, jc_arg value, fx_name *name) {
    if (value.kind == JC_ARG_VALUE && value.value && !value.value->name)
        value.value->name = fx_copy(r, name);
}

/* --- statements --- */

static void assign(fx_reader *r, const fx_stmt *s) {
    jc_arg value = fx_eval(r, s->value);
    if (r->status)
        return;
    give_name(r, value, s->target);
    if (s->note)
        value = fx_check(r, value, s->note, s->at);
    bind_name(r, s->target, value, s->at);
}

/* x[...] = value */
static void store(fx_reader *r, const fx_stmt *s) {
    jc_arg base = fx_eval(r, s->place->first), index = fx_eval(r, s->place->first->next), value = fx_eval(r, s->value);
    if (r->status)
        return;
    if (fx_is_tensor(base))
        fx_store(r, base.value, index, value, s->at);
    else
        fx_fail(r, JITC_E_INPUT, s->at, "Only an element of a tensor can be assigned to, not of %s.",
                fx_kind_text(base));
}

/* x += value: written into a tensor, a new binding for anything else. */
static void augment(fx_reader *r, const fx_stmt *s) {
    if (s->place->kind == FX_A_INDEX) {
        jc_arg base = fx_eval(r, s->place->first), index = fx_eval(r, s->place->first->next);
        jc_arg old = fx_index(r, base, index, s->at), value = fx_infix(r, s->op, old, fx_eval(r, s->value), s->at);
        if (!r->status && fx_is_tensor(base))
            fx_store(r, base.value, index, value, s->at);
        return;
    }
    if (s->place->kind != FX_A_NAME) {
        fx_fail(r, JITC_E_INPUT, s->at, "Only a name or x[...] can be changed in place.");
        return;
    }
    jc_arg old = fx_eval(r, s->place), value = fx_infix(r, s->op, old, fx_eval(r, s->value), s->at);
    if (r->status)
        return;
    bind_name(r, s->place->name, fx_is_tensor(old) ? fx_write(r, old.value, value) : value, s->at);
}

/* --- results --- */

static jc_arg output_of(fx_reader *r, jc_arg a, uint32_t at) {
    if (a.kind == JC_ARG_LIST) {
        const jc_arg *from = a.list.at;
        a.list.at = JC_NEWN(r->arena, jc_arg, a.list.n);
        for (uint32_t i = 0; i < a.list.n; i++) {
            a.list.at[i] = output_of(r, from[i], at);
            a.list.at[i].key = NULL;
        }
        return a;
    }
    if (a.kind != JC_ARG_VALUE && a.kind != JC_ARG_EXPR && a.kind != JC_ARG_NONE)
        fx_fail(r, JITC_E_UNSUPPORTED, at, "A graph can return tensors, integers and None, but this is %s.",
                fx_kind_text(a));
    return fx_sound(r, a, at);
}

static void give_back(fx_reader *r, const fx_stmt *s) {
    jc_arg a = output_of(r, fx_eval(r, s->value), s->at);
    if (r->status)
        return;
    r->func->tuple = a.kind == JC_ARG_LIST;
    if (r->func->tuple) {
        r->func->outputs = a.list.at;
        r->func->noutputs = a.list.n;
    } else {
        r->func->outputs = jc_arena_memdup(r->arena, &a, sizeof a);
        r->func->noutputs = 1;
    }
}

/* Inference knows of the line alone. */
static void place_failure(fx_reader *r, const fx_stmt *s) {
    jc_error_place(r->err, r->file, s->line, fx_column_of(r, s->at), s->target ? fx_copy(r, s->target) : NULL);
    if (r->err->line == s->line && !r->err->column)
        r->err->column = fx_column_of(r, s->at);
}

static void build_statement(fx_reader *r, const fx_stmt *s) {
    r->stmt = s;
    switch ((fx_stmt_kind)s->kind) {
    case FX_S_ASSIGN:
        assign(r, s);
        break;
    case FX_S_STORE:
        store(r, s);
        break;
    case FX_S_AUG:
        augment(r, s);
        break;
    case FX_S_FREE:
        free_names(r, s->place);
        break;
    case FX_S_EXPR:
        fx_eval(r, s->value);
        break;
    case FX_S_RETURN:
        give_back(r, s);
        break;
    }
    if (r->status)
        place_failure(r, s);
}

/* --- passing over what is not supported --- */

const char fx_refused[] = "the result of something that is not supported";

/* What a statement changes before it fails. */
typedef struct mark {
    const char *p;
    fx_token token;
    size_t nodes;
    uint32_t values;
} mark;

static mark mark_here(const fx_reader *r) {
    return (mark){ r->p, r->token, r->func->nodes.n, r->func->nvalues };
}

static void go_on(fx_reader *r, const mark *m) {
    r->p = m->p;
    r->token = m->token;
    r->status = JITC_OK;
    *r->err = (jc_error)JC_ERROR_INIT;
    r->func->nodes.n = m->nodes;
    r->func->nvalues = m->values;
}

static bool can_pass(const fx_reader *r) {
    return r->tolerant && (r->status == JITC_E_UNSUPPORTED || (r->status == JITC_E_INPUT && r->tainted));
}

/* "torch.cumsum" or "view": what the statement calls. */
static const char *callee(fx_reader *r, const fx_ast *a) {
    while (a && a->kind == FX_A_INDEX)
        a = a->first;
    if (a && (a->kind == FX_A_BINARY || a->kind == FX_A_UNARY) && a->op > ' ')
        return jc_arena_printf(r->arena, "%c", a->op);
    if (!a || a->kind != FX_A_CALL)
        return "";
    a = a->first;
    return a->kind == FX_A_ATTR ? fx_copy(r, a->key) : a->kind == FX_A_PATH || a->kind == FX_A_NAME ? fx_copy(r, a->name) : "";
}

/* Failures that only follow from another are not told. */
static void refuse(fx_reader *r, const char *op, const char *node) {
    const jc_error *e = r->err;
    if (!r->tainted)
        jc_push(r->arena, &r->graph->refused,
                ((jc_refusal){ op, node, r->func->name, e->line, e->column, jc_arena_strdup(r->arena, e->message) }));
}

/* What the statement would have given, as far as its annotations tell. */
static jc_arg stand_in(fx_reader *r, const fx_stmt *s, const mark *m) {
    static const char target[] = { JC_UNKNOWN_MARK, 0 };
    jc_arg value = fx_custom_node(r, target, NULL, 0, 0, s->value->at);
    if (r->status)
        go_on(r, m);
    else if (value.kind != FX_VOID)
        return value;
    return fx_opaque(fx_refused);
}

/* The outputs that there are; None for the others. */
static void give_back_some(fx_reader *r, const fx_stmt *s, const mark *m) {
    const bool tuple = s->value->kind == FX_A_TUPLE || s->value->kind == FX_A_LIST;
    uint32_t n = tuple ? s->value->n : 1, i = 0;
    r->func->tuple = tuple;
    r->func->outputs = JC_NEWN(r->arena, jc_arg, n);
    r->func->noutputs = n;
    for (const fx_ast *a = tuple ? s->value->first : s->value; a && i < n; a = a->next) {
        jc_arg *out = &r->func->outputs[i++];
        *out = output_of(r, fx_eval(r, a), a->at);
        if (r->status) {
            go_on(r, m);
            *out = jc_arg_none();
        }
    }
}

static void pass_over(fx_reader *r, const fx_stmt *s, const mark *m) {
    refuse(r, callee(r, s->value), s->target ? fx_copy(r, s->target) : "");
    go_on(r, m);
    if (s->kind == FX_S_RETURN)
        give_back_some(r, s, m);
    if (s->kind != FX_S_ASSIGN)
        return;
    jc_arg value = stand_in(r, s, m);
    give_name(r, value, s->target);
    bind_name(r, s->target, value, s->at);
}

/* A root that calls pieces is read last: whatever was passed over in them, it may only follow from that. */
static void build_or_pass(fx_reader *r, const fx_stmt *s) {
    const mark m = mark_here(r);
    r->tainted = r->graph->refused.n > 0 && r->graph->pieces.n > 0 && r->pool == &r->root_pool;
    build_statement(r, s);
    if (r->status && can_pass(r))
        pass_over(r, s, &m);
}

/* --- classes --- */

/* What an unannotated parameter of the root is: what the first piece that gets it says. */
static const jc_type *type_by_use(fx_class *c, const fx_name *param) {
    const fx_name *alias = param;
    for (const fx_stmt *s = c->body; s; s = s->next) {
        const fx_ast *v = s->value;
        if (s->kind == FX_S_ASSIGN && v->kind == FX_A_NAME && v->name == alias)
            alias = s->target;
        if (s->kind != FX_S_ASSIGN || v->kind != FX_A_CALL || v->first->kind != FX_A_ATTR || !v->first->key->piece)
            continue;
        const jc_func *piece = v->first->key->piece;
        uint32_t i = 0;
        for (const fx_ast *a = v->first->next; a && i < piece->nparams; a = a->next, i++)
            if (a->kind == FX_A_NAME && (a->name == param || a->name == alias))
                return &piece->params[i]->type;
    }
    return NULL;
}

static void build_params(fx_reader *r, fx_class *c) {
    static const jc_type opaque = { .kind = JC_NAME };
    for (const fx_param *p = c->params; p && !r->status; p = p->next) {
        const mark m = mark_here(r);
        const fx_note *note = p->note ? fx_note_of(r, p->note, p->at) : NULL;
        const bool passed = r->status && can_pass(r);
        if (r->status && !passed)
            return;
        if (passed) {
            refuse(r, "", fx_copy(r, p->name));
            go_on(r, &m);
            note = NULL;
        }
        const jc_type *type = note && note->known ? &note->type : type_by_use(c, p->name);
        if (p->name->scope == r->scope && p->name->state == FX_BOUND) {
            fx_fail(r, JITC_E_INPUT, p->at, "Two parameters are called '%.*s'.", (int)p->name->length, p->name->text);
            return;
        }
        jc_value *v = jc_func_param(r->func, fx_copy(r, p->name), type ? type : &opaque);
        v->line = p->line;
        bind_name(r, p->name, passed ? fx_opaque(fx_refused) : v->type.kind == JC_SYMINT ? fx_e(v->type.expr) : fx_v(v), p->at);
    }
}

static jc_func *build_class(fx_reader *r, fx_class *c) {
    r->func = jc_func_new(r->graph, fx_copy(r, c->name));
    r->func->line = c->line;
    r->scope++; /* names of the parser's scope mean nothing here */
    r->tainted = false;
    build_params(r, c);
    for (const fx_stmt *s = c->body; s && !r->status; s = s->next)
        build_or_pass(r, s);
    return r->func;
}

static void read_piece(fx_reader *r, const fx_class *root) {
    fx_pool_reset(&r->piece_pool);
    fx_class *c = fx_parse_class(r);
    if (r->status)
        return;
    if (c->column <= root->column) {
        fx_fail(r, JITC_E_INPUT, c->at, "A second graph starts here; a file holds one, with its pieces nested in it.");
        return;
    }
    if (c->name->piece) {
        fx_fail(r, JITC_E_INPUT, c->at, "There is a class %s already, on line %d.", fx_copy(r, c->name),
                c->name->piece->line);
        return;
    }
    jc_func *f = build_class(r, c);
    if (r->status)
        return;
    jc_push(r->arena, &r->graph->pieces, f);
    c->name->piece = f;
}

static void read_file(fx_reader *r) {
    r->pool = &r->root_pool;
    fx_parse_prologue(r);
    if (r->status)
        return;
    fx_class *root = fx_parse_class(r);
    r->pool = &r->piece_pool;
    while (!r->status && r->token.kind != FX_T_END)
        read_piece(r, root);
    r->pool = &r->root_pool;
    fx_build_root(r, root);
}

jitc_status fx_read(jc_arena *arena, const char *file, bool tolerant, void (*read)(fx_reader *r, void *user), void *user,
                    jc_graph **out, jc_error *err) {
    jc_error local = JC_ERROR_INIT;
    jc_arena *volatile scratch = jc_arena_new(jc_arena_allocator(arena));
    volatile jitc_status status = JITC_E_NOMEM;
    jc_guard guard, inner;
    if (JC_GUARD(arena, &guard))
        goto out;
    if (!scratch)
        goto out;
    if (!JC_GUARD(scratch, &inner)) {
        fx_reader *r = JC_NEW(scratch, fx_reader);
        r->arena = arena;
        r->scratch = scratch;
        r->err = err ? err : &local;
        r->file = file ? file : "";
        r->tolerant = tolerant;
        r->graph = jc_graph_new(arena, r->file);
        r->pool = &r->root_pool;
        read(r, user);
        status = r->status;
        *out = r->graph;
    }
    jc_guard_end(scratch, &inner);
out:
    jc_guard_end(arena, &guard);
    jc_arena_free(scratch);
    if (status == JITC_E_NOMEM)
        jc_fail(err, JITC_E_NOMEM, "There was not enough memory to read %s.", file ? file : "the graph");
    return status;
}

void fx_without_text(fx_reader *r) {
    r->numbered = true;
    fx_lex_start(r, "", 0);
}

void fx_build_root(fx_reader *r, fx_class *root) {
    if (!r->status)
        r->graph->root = build_class(r, root);
}

typedef struct fx_text {
    const char *at;
    size_t length;
} fx_text;

static void read_text(fx_reader *r, void *user) {
    const fx_text *t = user;
    fx_lex_start(r, t->at, t->length);
    read_file(r);
}

jitc_status jc_fx_read(jc_arena *arena, const char *file, const char *text, size_t length, jc_graph **out,
                       jc_error *err) {
    return fx_read(arena, file, false, read_text, &(fx_text){ text, length }, out, err);
}

jitc_status jc_fx_read_tolerant(jc_arena *arena, const char *file, const char *text, size_t length, jc_graph **out,
                                jc_error *err) {
    return fx_read(arena, file, true, read_text, &(fx_text){ text, length }, out, err);
}
