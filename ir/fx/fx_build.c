/*
 * ir/fx/fx_build.c - the reading of a file: classes in order, statements to nodes.
 *
 * The root stands first in the text but calls what follows, so its tree waits while every piece is parsed, built and its
 * tree dropped; then the root is built.  Names are bound in place (fx_name), one scope a class.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- names --- */

void fx_bind(fx_reader *r, fx_name *n, jc_arg value, uint32_t at) {
    if (r->inlined && n->scope != r->scope)
        jc_push(r->scratch, &r->hidden, ((fx_bound){ n, n->scope, n->state, n->at, n->value }));
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
void fx_give_name(fx_reader *r, jc_arg value, fx_name *name) {
    if (value.kind == JC_ARG_VALUE && value.value && !value.value->name)
        value.value->name = fx_copy(r, name);
}

/* --- statements --- */

static void assign(fx_reader *r, const fx_stmt *s) {
    jc_arg value = fx_eval(r, s->value);
    if (r->status)
        return;
    fx_give_name(r, value, s->target);
    if (s->note)
        value = fx_check(r, value, s->note, s->at);
    fx_bind(r, s->target, value, s->at);
}

/* x[...] = value */
static void store(fx_reader *r, const fx_stmt *s) {
    jc_arg base = fx_eval(r, s->place->first), index = fx_index_of(r, s->place->first->next), value = fx_eval(r, s->value);
    if (r->status)
        return;
    if (fx_is_tensor(base))
        fx_store(r, base.value, index, value, s->at);
    else if (base.kind == FX_COMPLEX)
        fx_complex_write(r, fx_index(r, base, index, s->at), value);
    else
        fx_fail(r, JITC_E_INPUT, s->at, "Only an element of a tensor can be assigned to, not of %s.",
                fx_kind_text(base));
}

/* x += value: written into a tensor, a new binding for anything else. */
static void augment(fx_reader *r, const fx_stmt *s) {
    if (s->place->kind == FX_A_INDEX) {
        jc_arg base = fx_eval(r, s->place->first), index = fx_index_of(r, s->place->first->next);
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
    if (fx_is_tensor(old))
        value = fx_write(r, old.value, value);
    else if (old.kind == FX_COMPLEX)
        value = fx_complex_write(r, old, value);
    fx_bind(r, s->place->name, value, s->at);
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
    if (fx_is_tensor(a))
        fx_lay_output(r, a.value);
    if (a.kind != JC_ARG_VALUE && a.kind != JC_ARG_EXPR && a.kind != JC_ARG_FLOAT && a.kind != JC_ARG_BOOL && a.kind != JC_ARG_NONE)
        fx_fail(r, JITC_E_UNSUPPORTED, at, "A graph can return tensors, numbers and None, but this is %s.",
                fx_kind_text(a));
    return fx_sound(r, a, at);
}

/* A is what the class at hand returns. */
static void give(fx_reader *r, jc_arg a) {
    r->returned = a;
    if (r->inlined || r->status)
        return;
    r->func->tuple = a.kind == JC_ARG_LIST;
    r->func->outputs = r->func->tuple ? a.list.at : jc_arena_memdup(r->arena, &a, sizeof a);
    r->func->noutputs = r->func->tuple ? a.list.n : 1;
}

static void give_back(fx_reader *r, const fx_stmt *s) {
    const jc_arg a = fx_eval(r, s->value);
    give(r, r->inlined ? a : output_of(r, a, s->at));
}

/* a, b, = value */
static void unpack(fx_reader *r, const fx_stmt *s) {
    const jc_arg value = fx_eval(r, s->value);
    uint32_t n = 0;
    for (const fx_ast *a = s->place; a; a = a->next)
        n++;
    if (r->status)
        return;
    if (value.kind != JC_ARG_LIST || value.list.n != n) {
        fx_fail(r, fx_blame(value), s->at, "%u names take what is %s%s.", n, fx_kind_text(value),
                value.kind == JC_ARG_LIST ? " of another length" : "");
        return;
    }
    n = 0;
    for (const fx_ast *a = s->place; a; a = a->next)
        fx_bind(r, a->name, value.list.at[n++], a->at);
}

/* with value: */
static void enter(fx_reader *r, const fx_stmt *s) {
    const uint32_t before = r->autocast;
    fx_eval(r, s->value);
    jc_push(r->scratch, &r->contexts, r->autocast > before);
}

static void leave(fx_reader *r) {
    if (r->contexts.n && r->contexts.at[--r->contexts.n] && r->autocast)
        r->autocast--;
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
    case FX_S_UNPACK:
        unpack(r, s);
        break;
    case FX_S_WITH:
        enter(r, s);
        break;
    case FX_S_LEAVE:
        leave(r);
        break;
    }
    if (r->status)
        place_failure(r, s);
    if (r->status == JITC_E_INPUT && r->autocast) /* it changes more dtypes than we know of: the text may be right */
        r->status = r->err->status = JITC_E_UNSUPPORTED;
}

/* The outputs that there are; None for the others. */
void fx_give_back_some(fx_reader *r, const fx_stmt *s, const fx_mark *m) {
    const bool tuple = s->value->kind == FX_A_TUPLE || s->value->kind == FX_A_LIST;
    uint32_t n = tuple ? s->value->n : 1, i = 0;
    jc_arg *out = JC_NEWN(r->arena, jc_arg, n);
    for (const fx_ast *a = tuple ? s->value->first : s->value; a && i < n; a = a->next) {
        out[i++] = output_of(r, fx_eval(r, a), a->at);
        if (r->status) {
            fx_go_on(r, m);
            out[i - 1] = jc_arg_none();
        }
    }
    give(r, tuple ? (jc_arg){ .kind = JC_ARG_LIST, .list = { out, n } } : out[0]);
}

static void build_or_pass(fx_reader *r, const fx_stmt *s) {
    const fx_mark m = fx_mark_here(r);
    r->tainted = false;
    build_statement(r, s);
    if (r->status && fx_can_pass(r))
        fx_pass_over(r, s, &m);
    fx_note_called(r, s, m.nodes);
}

void fx_build_body(fx_reader *r, const fx_class *c) {
    for (const fx_stmt *s = c->body; s && !r->status; s = s->next)
        build_or_pass(r, s);
}

/* --- classes --- */

fx_child *fx_child_of(const fx_class *c, const fx_name *name) {
    fx_child *child = c ? c->children : NULL;
    while (child && child->name != name)
        child = child->next;
    return child;
}

/* What an unannotated parameter of the root is: what the first piece that gets it says. */
static const jc_type *type_by_use(const fx_class *c, const fx_name *param) {
    const fx_name *alias = param;
    for (const fx_stmt *s = c->body; s; s = s->next) {
        const fx_ast *v = s->value;
        if (s->kind == FX_S_ASSIGN && v->kind == FX_A_NAME && v->name == alias)
            alias = s->target;
        if (s->kind != FX_S_ASSIGN || v->kind != FX_A_CALL || v->first->kind != FX_A_ATTR)
            continue;
        const fx_child *child = fx_child_of(c, v->first->attribute);
        const jc_func *piece = child ? child->piece : NULL;
        uint32_t i = 0;
        for (const fx_ast *a = v->first->next; piece && a && i < piece->nparams; a = a->next, i++)
            if (a->kind == FX_A_NAME && (a->name == param || a->name == alias))
                return &piece->params[i]->type;
    }
    return NULL;
}

/* The type that P's annotation tells; NULL where it is not supported. */
static const fx_note *note_of(fx_reader *r, const fx_param *p) {
    static const fx_note nothing = { .known = false };
    const fx_mark m = fx_mark_here(r);
    const fx_note *note = p->note ? fx_note_of(r, p->note, p->at) : &nothing;
    if (!r->status || !fx_can_pass(r))
        return note;
    fx_refuse_param(r, fx_copy(r, p->name));
    fx_go_on(r, &m);
    return NULL;
}

static void build_params(fx_reader *r, const fx_class *c) {
    static const jc_type opaque = { .kind = JC_NAME };
    for (const fx_param *p = c->params; p && !r->status; p = p->next) {
        const fx_note *note = note_of(r, p);
        if (r->status)
            return;
        const jc_type *type = note && note->known ? &note->type : type_by_use(c, p->name);
        if (p->name->scope == r->scope && p->name->state == FX_BOUND) {
            fx_fail(r, JITC_E_INPUT, p->at, "Two parameters are called '%.*s'.", (int)p->name->length, p->name->text);
            return;
        }
        jc_value *v = jc_func_param(r->func, fx_copy(r, p->name), type ? type : &opaque);
        v->line = p->line;
        if (note && note->known)
            fx_lay_note(r, v, &note->type);
        fx_bind(r, p->name, note ? fx_param_value(v) : fx_opaque(fx_refused), p->at);
    }
}

/* Complex parameters are pairs from the first statement on: views of the memory that they are. */
static void part_params(fx_reader *r, const fx_class *c) {
    r->stmt = c->body;
    for (const fx_param *p = c->params; p && c->body && !r->status; p = p->next) {
        const jc_arg memory = p->name->value;
        if (p->note && p->note->note && p->note->note->complex && fx_is_tensor(memory))
            fx_bind(r, p->name, fx_complex_of_memory(r, memory.value), p->at);
    }
}

/* Constants became parameters while nodes were made: values are numbered in order of definition again. */
static void renumber(jc_func *f) {
    uint32_t id = 0;
    for (uint32_t i = 0; i < f->nparams; i++)
        f->params[i]->id = id++;
    for (size_t i = 0; i < f->nodes.n; i++)
        for (uint32_t k = 0; k < f->nodes.at[i]->nresults; k++)
            f->nodes.at[i]->results[k]->id = id++;
}

static jc_func *build_class(fx_reader *r, const fx_class *c) {
    r->func = jc_func_new(r->graph, fx_copy(r, c->name));
    r->func->line = c->line;
    r->scope = ++r->scopes; /* names of the parser's scope mean nothing here */
    r->cls = c;
    r->tainted = false;
    r->autocast = 0;
    r->contexts.n = r->modes.n = 0;
    build_params(r, c);
    part_params(r, c);
    fx_build_body(r, c);
    if (r->func->nconstants)
        renumber(r->func);
    return r->func;
}

void fx_use_pool(fx_reader *r, uint32_t depth) {
    if (r->pools[depth])
        fx_pool_reset(r->pools[depth]);
    else
        r->pools[depth] = JC_NEW(r->scratch, fx_pool);
    r->pool = r->pools[depth];
}

/* The names that C takes of itself as values: `self.NAME`. */
static void find_taken(fx_reader *r, fx_class *c) {
    for (const fx_stmt *s = c->body; s; s = s->next) {
        const fx_ast *v = s->kind == FX_S_ASSIGN ? s->value : NULL;
        if (!v || v->kind != FX_A_ATTR || v->first->kind != FX_A_NAME || !fx_name_is(v->first->name, "self"))
            continue;
        fx_taken *t = JC_NEW(r->scratch, fx_taken);
        *t = (fx_taken){ v->attribute, c->taken };
        c->taken = t;
    }
}

static bool is_taken(const fx_class *c, const fx_name *name) {
    for (const fx_taken *t = c->taken; t; t = t->next)
        if (t->name == name)
            return true;
    return false;
}

/* Reads the class at hand, DEPTH deep, and those nested in it.  What the root calls is a piece, a function of its own; all others wait
   as trees until they are used. */
static fx_class *read_class(fx_reader *r, uint32_t depth);

static jc_arg *without_literals(fx_reader *r, const jc_arg *from, uint32_t n) {
    jc_arg *at = JC_NEWN(r->arena, jc_arg, n);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = from[i];
        if (from[i].kind == JC_ARG_LIST)
            at[i].list.at = without_literals(r, from[i].list.at, from[i].list.n);
        else if (from[i].kind == JC_ARG_FLOAT || from[i].kind == JC_ARG_BOOL)
            at[i] = jc_arg_none();
    }
    return at;
}

static void add_child(fx_reader *r, fx_class *parent, fx_class *c, uint32_t depth) {
    fx_child *child = JC_NEW(r->scratch, fx_child);
    const fx_child *twin = fx_child_of(parent, c->name);
    if (twin) {
        fx_fail(r, JITC_E_INPUT, c->at, "There is a class %s already, on line %d.", fx_copy(r, c->name), twin->line);
        return;
    }
    *child = (fx_child){ .name = c->name, .tree = c, .line = c->line, .next = parent->children };
    parent->children = child;
    if (depth != 1 || is_taken(parent, c->name)) {
        r->pools[depth] = NULL; /* the tree stays */
        return;
    }
    child->tree = NULL;
    r->pool = r->pools[depth];
    child->piece = build_class(r, c);
    if (r->status)
        return;
    child->outputs = child->piece->outputs;
    child->piece->outputs = without_literals(r, child->outputs, child->piece->noutputs);
    jc_push(r->arena, &r->graph->pieces, child->piece);
}

static void read_children(fx_reader *r, fx_class *c, uint32_t depth) {
    if (r->token.kind == FX_T_END || r->status)
        return;
    find_taken(r, c);
    while (!r->status && r->token.kind != FX_T_END && (uint32_t)(r->text + r->token.at - r->line_start) > c->column) {
        fx_class *child = read_class(r, depth + 1);
        if (!r->status)
            add_child(r, c, child, depth + 1);
    }
}

static fx_class *read_class(fx_reader *r, uint32_t depth) {
    if (depth == FX_MAX_NESTING) {
        fx_fail(r, JITC_E_INPUT, r->token.at, "Classes are nested more than %d deep.", FX_MAX_NESTING - 1);
        return NULL;
    }
    fx_use_pool(r, depth);
    fx_class *c = fx_parse_class(r);
    if (!r->status)
        read_children(r, c, depth);
    return c;
}

static void read_file(fx_reader *r) {
    fx_parse_prologue(r);
    if (r->status)
        return;
    fx_class *root = read_class(r, 0);
    if (!r->status && r->token.kind != FX_T_END)
        fx_fail(r, JITC_E_INPUT, r->token.at, "A second graph starts here; a file holds one, with its pieces nested in it.");
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
        jc_map *relaid = NULL;
        fx_reader *r;
        bool again;
        do {
            r = JC_NEW(scratch, fx_reader);
            r->arena = arena;
            r->scratch = scratch;
            r->err = err ? err : &local;
            r->file = file ? file : "";
            r->tolerant = tolerant;
            r->relaid = relaid;
            r->graph = jc_graph_new(arena, r->file);
            fx_use_pool(r, 0);
            read(r, user);
            again = fx_lay_again(r);
            relaid = r->relaid;
        } while (again); /* each time it knows of one more statement at least */
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
    r->pool = r->pools[0];
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
