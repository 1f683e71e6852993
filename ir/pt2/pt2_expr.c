/*
 * ir/pt2/pt2_expr.c - sizes as the archive writes them: sympy's srepr.
 *
 *   expr = NAME "(" [ item { "," item } ] ")"
 *   item = expr | INTEGER | STRING | NAME "=" WORD
 *
 * `Add(Mul(Integer(2), Symbol('s77', positive=True, integer=True)), Integer(1))`.  What is assumed of a symbol is not looked at.
 */
#include <string.h>
#include "ir/pt2/pt2_priv.h"

#define MAX_DEPTH 64

typedef struct parser {
    pt2 *p;
    const char *text, *at;
    int depth;
} parser;

static const jc_expr *fail(parser *s, jitc_status status, const char *what) {
    fx_fail(s->p->r, status, s->p->at, "The size \"%.200s\" cannot be read: %s.", s->text, what);
    return NULL;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool accept(parser *s, char c) {
    while (*s->at == ' ')
        s->at++;
    if (*s->at != c)
        return false;
    s->at++;
    return true;
}

static size_t word(parser *s, const char **out) {
    while (*s->at == ' ')
        s->at++;
    *out = s->at;
    while (is_word(*s->at))
        s->at++;
    return (size_t)(s->at - *out);
}

/* Up to the closing bracket: `, positive=True`. */
static bool skip_assumptions(parser *s) {
    const char *w;
    while (accept(s, ','))
        if (!word(s, &w) || !accept(s, '=') || !word(s, &w))
            return false;
    return accept(s, ')');
}

static const jc_expr *symbol(parser *s) {
    const char *name;
    if (!accept(s, '\''))
        return fail(s, JITC_E_INPUT, "a symbol has a name in quotes");
    const size_t n = word(s, &name);
    if (!n || (*name >= '0' && *name <= '9') || *s->at++ != '\'' || !skip_assumptions(s))
        return fail(s, JITC_E_INPUT, "this is no symbol's name");
    jc_exprs *t = fx_x(s->p->r);
    uint32_t sym = jc_sym_find(t, name, n);
    if (sym == UINT32_MAX)
        sym = jc_sym_add(t, jc_arena_strndup(s->p->r->arena, name, n));
    return jc_ex_sym(t, sym);
}

static bool number(parser *s, int64_t *out) {
    const bool minus = accept(s, '-');
    const char *digits;
    const size_t n = word(s, &digits);
    *out = 0;
    for (size_t i = 0; i < n; i++)
        if (digits[i] < '0' || digits[i] > '9' || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_sub_overflow(*out, digits[i] - '0', out))
            return false;
    return n && (minus || !__builtin_sub_overflow(0, *out, out));
}

static const jc_expr *integer(parser *s) {
    int64_t value;
    if (!number(s, &value) || !accept(s, ')'))
        return fail(s, JITC_E_INPUT, "an integer of 64 bits is expected in Integer()");
    return jc_ex_int(fx_x(s->p->r), value);
}

/* --- functions --- */

static const jc_expr *power(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    int64_t n;
    if (!jc_ex_is_const(b, &n) || n < 0 || n > 64)
        return NULL;
    const jc_expr *e = jc_ex_int(t, 1);
    for (; n > 0; n--)
        e = jc_ex_mul(t, e, a);
    return e;
}

static const jc_expr *none(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    (void)t, (void)b;
    return a;
}

static const struct {
    const char *name;
    const jc_expr *(*make)(jc_exprs *t, const jc_expr *a, const jc_expr *b); /* of the first two; the result and the third, ... */
    unsigned least, most;
} functions[] = {
    { "Add", jc_ex_add, 1, UINT32_MAX }, { "Mul", jc_ex_mul, 1, UINT32_MAX }, { "Max", jc_ex_max, 1, UINT32_MAX },
    { "Min", jc_ex_min, 1, UINT32_MAX }, { "Mod", jc_ex_mod, 2, 2 },          { "PythonMod", jc_ex_mod, 2, 2 },
    { "FloorDiv", jc_ex_fdiv, 2, 2 },    { "CleanDiv", jc_ex_fdiv, 2, 2 },    { "CeilDiv", jc_ex_cdiv, 2, 2 },
    { "Pow", power, 2, 2 },              { "PowByNatural", power, 2, 2 },     { "Identity", none, 1, 1 },
};

static const jc_expr *parse(parser *s);

static const jc_expr *function(parser *s, size_t which) {
    const jc_expr *out = NULL;
    unsigned n = 0;
    do {
        const jc_expr *e = parse(s);
        if (!e)
            return NULL;
        out = n++ ? functions[which].make(fx_x(s->p->r), out, e) : e;
        if (!out)
            return fail(s, JITC_E_UNSUPPORTED, "only powers from 0 to 64 are known");
    } while (accept(s, ','));
    if (!accept(s, ')') || n < functions[which].least || n > functions[which].most)
        return fail(s, JITC_E_INPUT, "a function in it has another number of arguments");
    return out;
}

/* FloorToInt(IntTrueDiv(a, b)) and CeilToInt(...): a division of integers that is exact until it is rounded. */
static const jc_expr *rounded(parser *s, bool up) {
    const char *name;
    const size_t n = word(s, &name);
    if (n != 10 || memcmp(name, "IntTrueDiv", 10) != 0 || !accept(s, '('))
        return fail(s, JITC_E_UNSUPPORTED, "only quotients of integers are rounded");
    const jc_expr *a = parse(s), *b = a && accept(s, ',') ? parse(s) : NULL;
    if (s->p->r->status)
        return NULL;
    if (!b || !accept(s, ')') || !accept(s, ')'))
        return fail(s, JITC_E_INPUT, "a quotient has two sides");
    return (up ? jc_ex_cdiv : jc_ex_fdiv)(fx_x(s->p->r), a, b);
}

static const jc_expr *call(parser *s, const char *name, size_t n) {
    if (n == 6 && memcmp(name, "Symbol", 6) == 0)
        return symbol(s);
    if (n == 7 && memcmp(name, "Integer", 7) == 0)
        return integer(s);
    if (n == 9 && memcmp(name, "CeilToInt", 9) == 0)
        return rounded(s, true);
    if (n == 10 && memcmp(name, "FloorToInt", 10) == 0)
        return rounded(s, false);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strlen(functions[i].name) == n && memcmp(functions[i].name, name, n) == 0)
            return function(s, i);
    return fail(s, JITC_E_UNSUPPORTED, jc_arena_printf(s->p->r->scratch, "the function %.*s is not known", (int)(n < 60 ? n : 60), name));
}

static const jc_expr *parse(parser *s) {
    const char *name;
    const size_t n = word(s, &name);
    if (!n || !accept(s, '('))
        return fail(s, JITC_E_INPUT, "a function such as Integer(1) or Symbol('s0') is expected");
    if (++s->depth > MAX_DEPTH)
        return fail(s, JITC_E_INPUT, "it is nested too deeply");
    const jc_expr *e = call(s, name, n);
    s->depth--;
    return e;
}

const jc_expr *pt2_srepr(pt2 *p, const char *text) {
    parser s = { .p = p, .text = text, .at = text };
    const jc_expr *e = p->r->status ? NULL : parse(&s);
    if (e && *s.at)
        e = fail(&s, JITC_E_INPUT, "something follows it");
    if (e)
        fx_sound(p->r, fx_e(e), p->at);
    return p->r->status ? NULL : e;
}

const jc_expr *pt2_sym_int(pt2 *p, const json_t *value) {
    const json_t *v;
    const char *tag = pt2_union(p, value, &v);
    if (!tag)
        return NULL;
    if (strcmp(tag, "as_int") == 0 && json_is_integer(v))
        return jc_ex_int(fx_x(p->r), json_integer_value(v));
    if (strcmp(tag, "as_expr") == 0) {
        const char *text = pt2_string(p, v, "expr_str", "a size");
        return text ? pt2_srepr(p, text) : NULL;
    }
    fx_fail(p->r, JITC_E_INPUT, p->at, "A size is an integer or an expression, but this is \"%.40s\".", tag);
    return NULL;
}
