/*
 * ir/fx/fx_parse.c - tokens to the statements of one class.
 *
 *   file      = [ "ExportedProgram" ":" ] { import line } class { class } [ what an ExportedProgram says of its signature ]
 *   class     = "class" name [ "(" ... ")" ] ":" "def" "forward" "(" params ")" [ "->" ... ] ":" { statement }
 *   name      = NAME | "<" NAME ">"
 *   statement = simple { ";" simple } newline | "with" expr [ "as" NAME ] { "," expr [ "as" NAME ] } ":" newline
 *   simple    = NAME [ ":" ann ] "=" expr | NAME { "=" NAME } "=" "None" | target "=" expr | target OP"=" expr
 *             | NAME { "," NAME } [ "," ] "=" expr | NAME ":" ann
 *             | "return" [ expr { "," expr } ] | "del" names | "pass" | expr
 *
 * Expressions are Python's without its keywords, by precedence climbing.  A class ends where the next one begins, so
 * indentation matters only in that nested classes stand deeper than their parent (fx_build.c looks at the columns), and
 * for where a `with` ends.  An annotation alone is that of a parameter.
 *
 * The parser also notes, on a call whose result has no annotation, which elements of it later statements take and what
 * they are annotated with: that is all that is known of the results of a custom operator that returns a tuple.
 */
#include <string.h>
#include "ir/fx/fx_ast.h"

static fx_ast *parse_expr(fx_reader *r);

static void expected(fx_reader *r, const char *what) {
    char found[48];
    fx_fail(r, JITC_E_INPUT, r->token.at, "Expected %s, found %s.", what,
            fx_token_text(r, &r->token, found, sizeof found));
}

static bool is(const fx_reader *r, int kind) {
    return r->token.kind == kind;
}

static bool is_keyword(const fx_reader *r, fx_keyword keyword) {
    return r->token.kind == FX_T_NAME && r->token.name->keyword == keyword;
}

static bool skip(fx_reader *r, int kind) {
    if (r->token.kind != kind)
        return false;
    fx_next(r);
    return true;
}

static void want(fx_reader *r, int kind, const char *what) {
    if (!skip(r, kind))
        expected(r, what);
}

static void skip_newlines(fx_reader *r) {
    while (is(r, FX_T_NEWLINE))
        fx_next(r);
}

/* --- trees --- */

static fx_ast *ast_new(fx_reader *r, fx_ast_kind kind, uint32_t at) {
    fx_ast *a = fx_take(r, sizeof *a);
    a->kind = (uint8_t)kind;
    a->op = 0;
    a->height = 1;
    a->at = at;
    a->key = NULL;
    a->next = NULL;
    a->first = NULL;
    a->n = 0;
    return a;
}

/* Takes over the height of a child.  Bounding it bounds every recursion over trees. */
static void raise_to(fx_reader *r, fx_ast *a, const fx_ast *child) {
    if (child->height >= a->height)
        a->height = (uint16_t)(child->height + 1);
    if (a->height > FX_MAX_DEPTH)
        fx_fail(r, JITC_E_INPUT, a->at, "The expression is nested more than %d deep.", FX_MAX_DEPTH);
}

static fx_ast *parent(fx_reader *r, fx_ast_kind kind, uint32_t at, fx_ast *child) {
    fx_ast *a = ast_new(r, kind, at);
    a->first = child;
    raise_to(r, a, child);
    return a;
}

static bool enter(fx_reader *r) {
    if (++r->depth <= FX_MAX_DEPTH)
        return true;
    fx_fail(r, JITC_E_INPUT, r->token.at, "The expression is nested more than %d deep.", FX_MAX_DEPTH);
    return false;
}

/* --- expressions --- */

/* Elements up to CLOSE, which is consumed; a keyword argument where KEYED. */
static void parse_elements(fx_reader *r, fx_ast *to, fx_ast **tail, int close, bool keyed) {
    while (!is(r, close) && !r->status) {
        fx_ast *e = parse_expr(r);
        if (keyed && e->kind == FX_A_NAME && is(r, '=')) {
            fx_name *key = e->name;
            fx_next(r);
            e = parse_expr(r);
            e->key = key;
        }
        raise_to(r, to, e);
        *tail = e;
        tail = &e->next;
        to->n++;
        if (!skip(r, ',') && !is(r, close))
            expected(r, close == ')' ? "',' or ')'" : "',' or ']'");
    }
    want(r, close, "a closing bracket");
}

static fx_ast *parse_parens(fx_reader *r, uint32_t at) {
    fx_next(r);
    fx_ast *tuple = ast_new(r, FX_A_TUPLE, at);
    if (!is(r, ')')) {
        fx_ast *e = parse_expr(r);
        if (skip(r, ')'))
            return e;
        raise_to(r, tuple, e);
        tuple->first = e;
        tuple->n = 1;
        want(r, ',', "',' or ')'");
        parse_elements(r, tuple, &e->next, ')', false);
    } else {
        fx_next(r);
    }
    return tuple;
}

/* A dict's key: a string, or the text of whatever else stands there. */
static fx_name *parse_key(fx_reader *r) {
    const uint32_t from = r->token.at;
    fx_name *key = r->token.name;
    const bool string = is(r, FX_T_STR);
    const char *end = r->p;
    parse_expr(r);
    if (!is(r, ':'))
        expected(r, "':' after the key");
    if (string || r->status)
        return key;
    for (end = r->text + r->token.at; end > r->text + from + 1 && end[-1] == ' ';)
        end--;
    return fx_intern(r, r->text + from, (size_t)(end - r->text) - from);
}

static fx_ast *parse_dict(fx_reader *r, uint32_t at) {
    fx_next(r);
    fx_ast *dict = ast_new(r, FX_A_DICT, at), **tail = &dict->first;
    while (!is(r, '}') && !r->status) {
        fx_name *key = parse_key(r);
        if (r->status)
            break;
        want(r, ':', "':' after the key");
        fx_ast *e = parse_expr(r);
        e->key = key;
        raise_to(r, dict, e);
        *tail = e;
        tail = &e->next;
        dict->n++;
        if (!skip(r, ',') && !is(r, '}'))
            expected(r, "',' or '}'");
    }
    want(r, '}', "'}'");
    return dict;
}

static fx_ast *parse_word(fx_reader *r, uint32_t at) {
    static const uint8_t kinds[] = { [FX_KW_NIL] = FX_A_NONE, [FX_KW_TRUE] = FX_A_TRUE, [FX_KW_FALSE] = FX_A_FALSE };
    fx_name *name = r->token.name;
    if (name->keyword) {
        if (name->keyword < FX_KW_NIL || name->keyword > FX_KW_FALSE) {
            expected(r, "an expression");
            return ast_new(r, FX_A_NONE, at);
        }
        fx_next(r);
        return ast_new(r, kinds[name->keyword], at);
    }
    fx_ast *a = ast_new(r, FX_A_NAME, at);
    a->name = name;
    fx_next(r);
    return a;
}

static fx_ast *refused(fx_reader *r, uint32_t at, const char *why) {
    fx_ast *a = ast_new(r, FX_A_REFUSED, at);
    a->name = fx_intern(r, why, strlen(why));
    return a;
}

/* `<function f at 0x7f12>`, as Python prints objects that have no text. */
static fx_ast *parse_object(fx_reader *r, uint32_t at) {
    int depth = 1;
    const char *p = r->text + at + 1;
    for (; p < r->end && *p != '\n' && depth; p++)
        depth += *p == '<' ? 1 : *p == '>' ? -1 : 0;
    if (depth) {
        expected(r, "an expression");
        return ast_new(r, FX_A_NONE, at);
    }
    r->p = p;
    return refused(r, at, "An object of Python stands here, of which the text tells nothing.");
}

static fx_ast *parse_primary(fx_reader *r) {
    const uint32_t at = r->token.at;
    fx_ast *a;
    switch (r->token.kind) {
    case FX_T_COMPLEX:
        a = ast_new(r, FX_A_COMPLEX, at);
        a->number = r->token.number;
        break;
    case '<':
        a = parse_object(r, at);
        break;
    case FX_T_NAME:
        return parse_word(r, at);
    case FX_T_PATH:
    case FX_T_STR:
        a = ast_new(r, is(r, FX_T_PATH) ? FX_A_PATH : FX_A_STR, at);
        a->name = r->token.name;
        break;
    case FX_T_INT:
        a = ast_new(r, FX_A_INT, at);
        if (r->token.magnitude > INT64_MAX)
            fx_fail(r, JITC_E_INPUT, at, "The integer does not fit in 64 bits.");
        a->integer = (int64_t)r->token.magnitude;
        break;
    case FX_T_FLOAT:
        a = ast_new(r, FX_A_FLOAT, at);
        a->number = r->token.number;
        break;
    case FX_T_DOTS:
        a = ast_new(r, FX_A_DOTS, at);
        break;
    case '(':
        return parse_parens(r, at);
    case '[':
        fx_next(r);
        a = ast_new(r, FX_A_LIST, at);
        parse_elements(r, a, &a->first, ']', false);
        return a;
    case '{':
        return parse_dict(r, at);
    default:
        expected(r, "an expression");
        return ast_new(r, FX_A_NONE, at);
    }
    fx_next(r);
    return a;
}

/* One part of a subscript: an expression or a slice. */
static fx_ast *parse_subscript(fx_reader *r) {
    const uint32_t at = r->token.at;
    fx_ast *part = is(r, ':') ? NULL : parse_expr(r);
    if (!is(r, ':'))
        return part;
    fx_ast *slice = ast_new(r, FX_A_SLICE, at), **tail = &slice->first;
    for (int i = 0; i < 3; i++) {
        if (i && skip(r, ':') && !is(r, ':') && !is(r, ',') && !is(r, ']'))
            part = parse_expr(r);
        else if (i)
            part = NULL;
        fx_ast *e = part ? part : ast_new(r, FX_A_NONE, at);
        raise_to(r, slice, e);
        *tail = e;
        tail = &e->next;
    }
    slice->n = 3;
    return slice;
}

static fx_ast *parse_index(fx_reader *r, fx_ast *base) {
    fx_ast *a = parent(r, FX_A_INDEX, base->at, base);
    fx_next(r);
    fx_ast *index = parse_subscript(r);
    if (is(r, ',')) {
        fx_ast *tuple = parent(r, FX_A_TUPLE, index->at, index), *last = index;
        tuple->n = 1;
        while (skip(r, ',') && !is(r, ']') && !r->status) {
            last->next = parse_subscript(r);
            last = last->next;
            raise_to(r, tuple, last);
            tuple->n++;
        }
        index = tuple;
    }
    base->next = index;
    a->n = 1;
    raise_to(r, a, index);
    want(r, ']', "']'");
    return a;
}

/* The name after a '.', which is the token at hand; NULL with a failure. */
static fx_name *parse_member(fx_reader *r) {
    fx_next(r);
    fx_name *name = r->token.name;
    if (!is(r, FX_T_NAME)) {
        expected(r, "a name after '.'");
        return NULL;
    }
    fx_next(r);
    return name;
}

/* BASE and every `.name` that follows, blanks between them or not: one path, put together once. */
static fx_ast *parse_path(fx_reader *r, fx_ast *base) {
    jc_bytes path = JC_BYTES(r->scratch);
    jc_put(&path, base->name->text, base->name->length);
    while (is(r, '.')) {
        const fx_name *name = parse_member(r);
        if (!name)
            return base;
        jc_put_u8(&path, '.');
        jc_put(&path, name->text, name->length);
    }
    base->kind = FX_A_PATH;
    base->name = fx_intern(r, (const char *)path.at, path.n);
    return base;
}

/* `.name`: a longer path where the base is one, else an attribute. */
static fx_ast *parse_attribute(fx_reader *r, fx_ast *base) {
    const bool torch = base->kind == FX_A_NAME && base->name->length == 5 && !memcmp(base->name->text, "torch", 5);
    if (base->kind == FX_A_PATH || torch)
        return parse_path(r, base);
    fx_name *name = parse_member(r);
    if (!name)
        return base;
    fx_ast *a = parent(r, FX_A_ATTR, base->at, base);
    a->attribute = name;
    return a;
}

static fx_ast *parse_postfix(fx_reader *r, fx_ast *a) {
    while (!r->status) {
        if (is(r, '(')) {
            fx_ast *call = parent(r, FX_A_CALL, a->at, a);
            fx_next(r);
            parse_elements(r, call, &a->next, ')', true);
            a = call;
        } else if (is(r, '.')) {
            a = parse_attribute(r, a);
        } else if (is(r, '[')) {
            a = parse_index(r, a);
        } else {
            break;
        }
    }
    return a;
}

static fx_ast *parse_unary(fx_reader *r);

static fx_ast *parse_power(fx_reader *r, fx_ast *base) {
    if (!is(r, FX_T_POW))
        return base;
    fx_ast *a = parent(r, FX_A_BINARY, base->at, base);
    a->op = FX_T_POW;
    fx_next(r);
    base->next = parse_unary(r);
    a->n = 2;
    raise_to(r, a, base->next);
    return a;
}

static fx_ast *parse_unary(fx_reader *r) {
    const uint32_t at = r->token.at;
    const uint8_t op = r->token.kind;
    if (op != '-' && op != '+' && op != '~')
        return parse_power(r, parse_postfix(r, parse_primary(r)));
    fx_next(r);
    if (op == '-' && is(r, FX_T_INT) && r->token.magnitude == (uint64_t)INT64_MAX + 1) {
        fx_ast *a = ast_new(r, FX_A_INT, at);
        a->integer = INT64_MIN;
        fx_next(r);
        return a;
    }
    if (!enter(r))
        return ast_new(r, FX_A_NONE, at);
    fx_ast *x = parse_unary(r);
    r->depth--;
    if (op == '-' && x->kind == FX_A_INT && x->integer != INT64_MIN) {
        x->integer = -x->integer;
        return x;
    }
    if (op == '-' && x->kind == FX_A_FLOAT) {
        x->number = -x->number;
        return x;
    }
    fx_ast *a = parent(r, FX_A_UNARY, at, x);
    a->op = op;
    a->n = 1;
    return a;
}

/* How tightly an operator binds; 0: it is none. */
static int binding(uint8_t kind) {
    static const uint8_t power[128] = {
        [FX_T_EQ] = 1, [FX_T_NE] = 1, [FX_T_LE] = 1, [FX_T_GE] = 1, ['<'] = 1, ['>'] = 1, ['|'] = 2, ['^'] = 3,
        ['&'] = 4, [FX_T_SHL] = 5, [FX_T_SHR] = 5, ['+'] = 6, ['-'] = 6, ['*'] = 7, ['/'] = 7, ['%'] = 7,
        ['@'] = 7, [FX_T_FDIV] = 7,
    };
    return kind < 128 ? power[kind] : 0;
}

/* Goes on after LEFT with operators that bind at least as tightly as LEAST. */
static fx_ast *parse_binary(fx_reader *r, fx_ast *left, int least) {
    for (int power; (power = binding(r->token.kind)) >= least && power && !r->status;) {
        fx_ast *a = parent(r, FX_A_BINARY, left->at, left);
        a->op = r->token.kind;
        fx_next(r);
        if (!enter(r))
            break;
        fx_ast *right = parse_unary(r);
        if (binding(r->token.kind) > power)
            right = parse_binary(r, right, power + 1);
        r->depth--;
        left->next = right;
        a->n = 2;
        raise_to(r, a, right);
        left = a;
    }
    return left;
}

static fx_ast *parse_expr(fx_reader *r) {
    if (!enter(r))
        return ast_new(r, FX_A_NONE, r->token.at);
    fx_ast *a = parse_unary(r);
    if (binding(r->token.kind))
        a = parse_binary(r, a, 1);
    r->depth--;
    return a;
}

/* expr { "," expr }: a bare tuple is a tuple. */
static fx_ast *parse_tuple(fx_reader *r, fx_ast *first) {
    if (!is(r, ','))
        return first;
    fx_ast *tuple = parent(r, FX_A_TUPLE, first->at, first);
    tuple->n = 1;
    for (fx_ast *last = first; skip(r, ',') && !is(r, FX_T_NEWLINE) && !is(r, ';') && !is(r, FX_T_END);) {
        last->next = parse_expr(r);
        last = last->next;
        raise_to(r, tuple, last);
        tuple->n++;
    }
    return tuple;
}

/* --- annotations --- */

/* A string, or anything Python allows unquoted, taken as its text. */
static fx_name *parse_annotation(fx_reader *r) {
    fx_name *note = NULL;
    if (is(r, FX_T_STR) || is(r, FX_T_NAME) || is(r, FX_T_PATH)) {
        note = r->token.name;
        const bool quoted = is(r, FX_T_STR);
        const uint32_t from = r->token.at;
        const char *end = r->p;
        fx_next(r);
        for (int depth = 0; !quoted && !r->status; fx_next(r)) { /* a dotted name, with subscripts */
            if (is(r, '['))
                depth++;
            else if (is(r, ']') && depth)
                depth--;
            else if (!depth && !is(r, '.') && !(is(r, FX_T_NAME) && r->text[r->token.at - 1] == '.'))
                break;
            else if (is(r, FX_T_END) || is(r, FX_T_NEWLINE))
                break;
            end = r->p;
        }
        if (!quoted && end > r->text + from && (size_t)(end - r->text) - from != note->length)
            note = fx_intern(r, r->text + from, (size_t)(end - r->text) - from);
    } else {
        expected(r, "an annotation after ':'");
    }
    return note;
}

/* --- statements --- */

static fx_stmt *stmt_new(fx_reader *r, fx_stmt_kind kind, uint32_t at, int line) {
    fx_stmt *s = fx_take(r, sizeof *s);
    *s = (fx_stmt){ .kind = (uint8_t)kind, .at = at, .line = line };
    return s;
}

/* `x[3]` of a call's result: the call learns of it. */
static void note_element(fx_reader *r, fx_stmt *s) {
    const fx_ast *v = s->value;
    if (v->kind != FX_A_INDEX || v->first->kind != FX_A_NAME)
        return;
    fx_name *base = v->first->name;
    const fx_ast *index = v->first->next;
    if (base->made_scope != r->scope || !base->made || index->kind != FX_A_INT || index->integer < 0 ||
        index->integer > 4095)
        return;
    fx_element *e = fx_take(r, sizeof *e);
    *e = (fx_element){ .index = (uint32_t)index->integer, .note = s->note, .next = base->made->elements };
    base->made->elements = e;
}

static void remember(fx_reader *r, fx_stmt *s) {
    fx_name *name = s->target;
    name->made_scope = r->scope;
    name->made = s->value->kind == FX_A_CALL && !s->note ? s : NULL;
}

/* After `target [: note] =`; more targets may follow. */
static fx_stmt *parse_assigned(fx_reader *r, fx_ast *target, fx_name *note, int line) {
    fx_ast *value = parse_expr(r), *last = target;
    while (is(r, '=') && !r->status) { /* a = b = ... */
        if (value->kind != FX_A_NAME) {
            expected(r, "the end of the statement");
            break;
        }
        last->next = value;
        last = value;
        fx_next(r);
        value = parse_expr(r);
    }
    if (value->kind == FX_A_NONE && !note) {
        fx_stmt *s = stmt_new(r, FX_S_FREE, target->at, line);
        s->place = target;
        return s;
    }
    value = parse_tuple(r, value);
    fx_stmt *first = NULL, **tail = &first;
    for (fx_ast *t = target; t; t = t->next) {
        fx_stmt *s = stmt_new(r, FX_S_ASSIGN, t->at, line);
        s->target = t->name;
        s->note = note;
        s->value = value;
        if (t != target) { /* the others are other names for the first */
            s->value = ast_new(r, FX_A_NAME, t->at);
            s->value->name = target->name;
        }
        note_element(r, s);
        remember(r, s);
        *tail = s;
        tail = &s->next;
    }
    return first;
}

static fx_stmt *parse_return(fx_reader *r, uint32_t at, int line) {
    fx_next(r);
    fx_stmt *s = stmt_new(r, FX_S_RETURN, at, line);
    if (is(r, FX_T_NEWLINE) || is(r, FX_T_END) || is(r, ';'))
        s->value = ast_new(r, FX_A_NONE, at);
    else
        s->value = parse_tuple(r, parse_expr(r));
    return s;
}

static fx_stmt *parse_del(fx_reader *r, uint32_t at, int line) {
    fx_stmt *s = stmt_new(r, FX_S_FREE, at, line);
    fx_ast **tail = &s->place;
    do {
        fx_next(r);
        if (!is(r, FX_T_NAME) || r->token.name->keyword) {
            expected(r, "a name after 'del'");
            break;
        }
        fx_ast *a = parse_word(r, r->token.at);
        *tail = a;
        tail = &a->next;
    } while (is(r, ','));
    return s;
}

/* A statement that does not begin `NAME =` or `NAME :`, or what comes after such a beginning. */
static fx_stmt *parse_other(fx_reader *r, fx_ast *e, int line) {
    if (is(r, FX_T_AUG)) {
        fx_stmt *s = stmt_new(r, FX_S_AUG, e->at, line);
        s->op = r->token.op;
        s->place = e;
        fx_next(r);
        s->value = parse_expr(r);
        return s;
    }
    if (is(r, '=')) {
        if (e->kind != FX_A_INDEX) {
            fx_fail(r, JITC_E_INPUT, e->at, "Only a name or x[...] can be assigned to.");
            return NULL;
        }
        fx_stmt *s = stmt_new(r, FX_S_STORE, e->at, line);
        s->place = e;
        fx_next(r);
        s->value = parse_expr(r);
        return s;
    }
    fx_stmt *s = stmt_new(r, FX_S_EXPR, e->at, line);
    s->value = e;
    return s;
}

/* a, b, = value */
static fx_stmt *parse_unpack(fx_reader *r, fx_ast *first, int line) {
    fx_ast *last = first;
    while (skip(r, ',') && !is(r, '=') && !r->status) {
        if (!is(r, FX_T_NAME) || r->token.name->keyword) {
            expected(r, "a name to unpack into");
            return NULL;
        }
        last->next = parse_word(r, r->token.at);
        last = last->next;
    }
    want(r, '=', "'=' after the names to unpack into");
    fx_stmt *s = stmt_new(r, FX_S_UNPACK, first->at, line);
    s->place = first;
    s->value = parse_tuple(r, parse_expr(r));
    return s;
}

/* An annotation alone tells the type of the parameter NAME. */
static void declare(fx_class *c, const fx_name *name, fx_name *note) {
    for (fx_param *p = c->params; p; p = p->next)
        if (p->name == name && !p->note)
            p->note = note;
}

static fx_stmt *parse_with(fx_reader *r, uint32_t at, int line) {
    fx_stmt *first = NULL, **tail = &first;
    do {
        fx_next(r);
        fx_stmt *s = stmt_new(r, FX_S_WITH, at, line);
        s->value = parse_expr(r);
        if (is(r, FX_T_NAME) && r->token.name->length == 2 && memcmp(r->token.name->text, "as", 2) == 0) {
            fx_next(r);
            want(r, FX_T_NAME, "a name after 'as'");
        }
        *tail = s;
        tail = &s->next;
    } while (is(r, ',') && !r->status);
    if (!is(r, ':'))
        expected(r, "':' after the context");
    return first;
}

static fx_stmt *parse_simple(fx_reader *r, fx_class *c) {
    const uint32_t at = r->token.at;
    const int line = r->line;
    if (!is(r, FX_T_NAME))
        return parse_other(r, parse_expr(r), line);
    switch (r->token.name->keyword) {
    case FX_KW_RETURN:
        return parse_return(r, at, line);
    case FX_KW_DEL:
        return parse_del(r, at, line);
    case FX_KW_PASS:
        fx_next(r);
        return NULL;
    case FX_KW_WITH:
        return parse_with(r, at, line);
    case FX_KW_NONE:
        break;
    default:
        expected(r, "a statement");
        return NULL;
    }
    fx_ast *e = ast_new(r, FX_A_NAME, at);
    e->name = r->token.name;
    fx_next(r);
    fx_name *note = NULL;
    if (skip(r, ':')) {
        note = parse_annotation(r);
        if (is(r, ';') || is(r, FX_T_NEWLINE)) {
            declare(c, e->name, note);
            return NULL;
        }
        if (!is(r, '=')) {
            expected(r, "'=' after the annotation");
            return NULL;
        }
    }
    if (is(r, ','))
        return parse_unpack(r, e, line);
    if (skip(r, '='))
        return parse_assigned(r, e, note, line);
    e = parse_power(r, parse_postfix(r, e));
    if (binding(r->token.kind))
        e = parse_binary(r, e, 1);
    return parse_other(r, e, line);
}

/* What an ExportedProgram prints below its graph. */
static bool at_signature(const fx_reader *r) {
    static const char *const words[] = { "Graph signature:", "Range constraints:" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i]);
        if ((size_t)(r->end - r->text) - r->token.at >= n && memcmp(r->text + r->token.at, words[i], n) == 0)
            return true;
    }
    return false;
}

/* The columns of the `with` statements that the body is in. */
typedef struct withs {
    uint32_t at[FX_MAX_DEPTH], n;
} withs;

/* Ends those that the statement at hand is no longer in; the statements that say so. */
static fx_stmt *leave(fx_reader *r, withs *w) {
    fx_stmt *first = NULL, **tail = &first;
    const uint32_t column = (uint32_t)(r->text + r->token.at - r->line_start);
    for (; w->n && column <= w->at[w->n - 1]; w->n--) {
        *tail = stmt_new(r, FX_S_LEAVE, r->token.at, r->line);
        tail = &(*tail)->next;
    }
    return first;
}

static void enter_with(fx_reader *r, withs *w, uint32_t column) {
    if (w->n == FX_MAX_DEPTH)
        fx_fail(r, JITC_E_INPUT, r->token.at, "Contexts are nested more than %d deep.", FX_MAX_DEPTH);
    else
        w->at[w->n++] = column;
}

static void parse_body(fx_reader *r, fx_class *c) {
    fx_stmt **tail = &c->body;
    withs w = { .n = 0 };
    for (;;) {
        while (is(r, FX_T_NEWLINE) || is(r, ';'))
            fx_next(r);
        if (is(r, FX_T_END) || is_keyword(r, FX_KW_CLASS) || r->status)
            return;
        if (c->returned && at_signature(r)) {
            r->p = r->end;
            fx_next(r);
            return;
        }
        if (c->returned) {
            expected(r, "the end of the class after its return");
            return;
        }
        const uint32_t column = (uint32_t)(r->text + r->token.at - r->line_start);
        fx_stmt *s = leave(r, &w);
        for (*tail = s; s; s = s->next)
            tail = &s->next;
        s = parse_simple(r, c);
        if (s && s->kind == FX_S_WITH)
            fx_next(r);
        else if (!is(r, ';') && !is(r, FX_T_NEWLINE) && !is(r, FX_T_END))
            expected(r, "the end of the statement");
        for (*tail = s; s && !r->status; s = s->next) {
            c->returned |= s->kind == FX_S_RETURN;
            c->nstmts++;
            if (s->kind == FX_S_WITH)
                enter_with(r, &w, column);
            tail = &s->next;
        }
    }
}

fx_stmt *fx_parse_text(fx_reader *r, const char *text, size_t length) {
    const struct {
        const char *text, *p, *end, *line_start;
        int line;
        uint32_t brackets, depth;
        fx_token token;
    } was = { r->text, r->p, r->end, r->line_start, r->line, r->brackets, r->depth, r->token };
    fx_class c = { 0 };
    r->text = r->p = r->line_start = text;
    r->end = text + length;
    r->brackets = r->depth = 0;
    fx_next(r);
    parse_body(r, &c);
    r->text = was.text;
    r->p = was.p;
    r->end = was.end;
    r->line_start = was.line_start;
    r->line = was.line;
    r->brackets = was.brackets;
    r->depth = was.depth;
    r->token = was.token;
    return c.body;
}

/* --- classes --- */

static void parse_params(fx_reader *r, fx_class *c) {
    fx_param **tail = &c->params;
    bool first = true;
    while (!is(r, ')') && !r->status) {
        if (!is(r, FX_T_NAME) || r->token.name->keyword) {
            expected(r, "a parameter's name");
            return;
        }
        fx_param *p = fx_take(r, sizeof *p);
        *p = (fx_param){ .name = r->token.name, .at = r->token.at, .line = r->line };
        fx_next(r);
        if (skip(r, ':'))
            p->note = parse_annotation(r);
        if (skip(r, '='))
            parse_expr(r);
        if (!skip(r, ',') && !is(r, ')'))
            expected(r, "',' or ')' after the parameter");
        const bool self = first && p->name->length == 4 && memcmp(p->name->text, "self", 4) == 0;
        first = false;
        if (self)
            continue;
        *tail = p;
        tail = &p->next;
        c->nparams++;
    }
    want(r, ')', "')'");
}

static void parse_def(fx_reader *r, fx_class *c) {
    if (!is_keyword(r, FX_KW_DEF)) {
        expected(r, "'def forward(...)'");
        return;
    }
    fx_next(r);
    if (!is(r, FX_T_NAME)) {
        expected(r, "a function's name after 'def'");
        return;
    }
    fx_next(r);
    want(r, '(', "'('");
    parse_params(r, c);
    if (is(r, FX_T_ARROW)) {
        fx_next(r);
        parse_annotation(r);
    }
    want(r, ':', "':' after the parameters");
    parse_body(r, c);
    if (!c->returned)
        expected(r, "a return before the end of the class");
}

fx_class *fx_parse_class(fx_reader *r) {
    fx_class *c = fx_take(r, sizeof *c);
    *c = (fx_class){ .at = r->token.at, .line = r->line };
    c->column = (uint32_t)(r->text + r->token.at - r->line_start);
    r->scope = ++r->scopes;
    r->depth = 0;
    if (is_keyword(r, FX_KW_CLASS)) {
        fx_next(r);
        const uint32_t at = r->token.at;
        const bool bracketed = skip(r, '<'); /* <lambda> */
        if (!is(r, FX_T_NAME) || (r->token.name->keyword && !bracketed)) {
            expected(r, "the class's name");
            return c;
        }
        c->name = r->token.name;
        fx_next(r);
        if (bracketed) {
            c->name = fx_intern(r, r->text + at, (size_t)(r->token.at + 1 - at));
            want(r, '>', "'>' after the class's name");
        }
        if (is(r, '(')) {
            fx_ast *bases = ast_new(r, FX_A_TUPLE, r->token.at);
            fx_next(r);
            parse_elements(r, bases, &bases->first, ')', true);
        }
        want(r, ':', "':' after the class's name");
        skip_newlines(r);
    } else {
        c->name = fx_intern(r, "GraphModule", 11);
    }
    parse_def(r, c);
    return c;
}

/* The first line of what str() says of an ExportedProgram. */
static bool is_program(const fx_reader *r) {
    return is(r, FX_T_NAME) && r->token.name->length == 15 && memcmp(r->token.name->text, "ExportedProgram", 15) == 0;
}

void fx_parse_prologue(fx_reader *r) {
    fx_next(r);
    while (!r->status) {
        if (is(r, FX_T_NEWLINE))
            fx_next(r);
        else if (is_keyword(r, FX_KW_IMPORT) || is_keyword(r, FX_KW_FROM) || is_program(r))
            fx_skip_line(r);
        else
            break;
    }
    if (!is_keyword(r, FX_KW_CLASS) && !is_keyword(r, FX_KW_DEF))
        expected(r, "'class NAME(torch.nn.Module):'");
}
