/*
 * ir/expr_text.c - expressions as text (sympy's, as PyTorch prints it) and as bytes.
 *
 *   sum     = product { ("+" | "-") product }
 *   product = unary { ("*" | "//" | "%") unary }
 *   unary   = ["-" | "+"] unary | power
 *   power   = primary ["**" unary]           the exponent a constant
 *   primary = NUMBER | NAME | FUNCTION "(" sum { "," sum } ")" | "(" sum ")"
 *
 * Bytes: the kind; of a constant its value, of a symbol its number, of all else the number of operands and those.
 */
#include <string.h>
#include "ir/expr_priv.h"

#define MAX_DEPTH 100

/* ---- reading ---- */

typedef struct parser {
    jc_exprs *t;
    const char *start, *at, *end;
    const char *file;
    int line, column, depth;
    jc_error *err;
    bool failed;
} parser;

static const jc_expr *fail(parser *p, const char *what) {
    if (!p->failed) {
        int length = p->end - p->start > 80 ? 80 : (int)(p->end - p->start);
        p->failed = true;
        jc_fail_at(p->err, JITC_E_INPUT, p->file, p->line, p->column ? p->column + (int)(p->at - p->start) : 0, NULL,
                   "The expression \"%.*s\" cannot be read: %s.", length, p->start, what);
    }
    return p->t->poison;
}

static void skip(parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
}

static bool accept(parser *p, const char *token) {
    size_t length = strlen(token);
    skip(p);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, token, length) != 0)
        return false;
    if (length == 1 && p->end - p->at > 1 && p->at[1] == *token && (*token == '*' || *token == '/'))
        return false; /* the first half of ** or // */
    p->at += length;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static const jc_expr *parse_sum(parser *p);

static const jc_expr *parse_number(parser *p, bool negative) {
    uint64_t value = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; p->at < p->end && is_digit(*p->at); p->at++) {
        unsigned digit = (unsigned)(*p->at - '0');
        if (value > (limit - digit) / 10)
            return fail(p, "a number does not fit 64 bits");
        value = value * 10 + digit;
    }
    if (p->at < p->end && (is_word(*p->at) || *p->at == '.'))
        return fail(p, "expected a whole number");
    return jc_ex_int(p->t, (int64_t)(negative ? 0 - value : value));
}

static const struct {
    const char *name;
    const jc_expr *(*make)(jc_exprs *t, const jc_expr *a, const jc_expr *b);
    bool many; /* takes more than two arguments */
} functions[] = {
    { "Min", jc_ex_min, true },        { "Max", jc_ex_max, true },
    { "min", jc_ex_min, true },        { "max", jc_ex_max, true },
    { "Mod", jc_ex_mod, false },       { "PythonMod", jc_ex_mod, false },
    { "FloorDiv", jc_ex_fdiv, false }, { "CleanDiv", jc_ex_fdiv, false },
    { "CeilDiv", jc_ex_cdiv, false },
};

static const jc_expr *parse_call(parser *p, const char *name, size_t length) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strlen(functions[i].name) != length || memcmp(functions[i].name, name, length) != 0)
            continue;
        const jc_expr *out = parse_sum(p);
        int count = 1;
        for (; !p->failed && accept(p, ","); count++)
            out = functions[i].make(p->t, out, parse_sum(p));
        if (p->failed)
            return out;
        if (!functions[i].many && count != 2)
            return fail(p, "this function takes two arguments");
        return accept(p, ")") ? out : fail(p, "expected \")\"");
    }
    p->at = name;
    return fail(p, "the function is not known (Min, Max, Mod, FloorDiv and CeilDiv are)");
}

static const jc_expr *parse_name(parser *p) {
    const char *name = p->at;
    while (p->at < p->end && is_word(*p->at))
        p->at++;
    size_t length = (size_t)(p->at - name);
    if (accept(p, "("))
        return parse_call(p, name, length);
    uint32_t sym = jc_sym_find(p->t, name, length);
    if (sym == UINT32_MAX)
        sym = jc_sym_add(p->t, jc_arena_strndup(p->t->arena, name, length));
    return jc_ex_sym(p->t, sym);
}

static const jc_expr *parse_primary(parser *p) {
    skip(p);
    if (p->at == p->end)
        return fail(p, "it ends where a number or a symbol was expected");
    if (is_digit(*p->at))
        return parse_number(p, false);
    if (is_word(*p->at))
        return parse_name(p);
    if (!accept(p, "("))
        return fail(p, "expected a number, a symbol or \"(\"");
    const jc_expr *e = parse_sum(p);
    if (p->failed)
        return e;
    return accept(p, ")") ? e : fail(p, "expected \")\"");
}

static const jc_expr *parse_unary(parser *p) {
    if (p->failed)
        return p->t->poison;
    if (++p->depth > MAX_DEPTH)
        return fail(p, "it is nested too deeply");
    const jc_expr *e;
    if (accept(p, "-")) {
        skip(p);
        e = p->at < p->end && is_digit(*p->at) ? parse_number(p, true) : jc_ex_neg(p->t, parse_unary(p));
    } else if (accept(p, "+")) {
        e = parse_unary(p);
    } else {
        e = parse_primary(p);
    }
    if (!p->failed && accept(p, "**")) {
        int64_t power;
        const jc_expr *base = e;
        if (!jc_ex_is_const(parse_unary(p), &power) || power < 0 || power > 16)
            return fail(p, "expected a constant exponent from 0 to 16");
        for (e = jc_ex_int(p->t, 1); power > 0; power--)
            e = jc_ex_mul(p->t, e, base);
    }
    p->depth--;
    return e;
}

static const jc_expr *parse_product(parser *p) {
    const jc_expr *e = parse_unary(p);
    while (!p->failed) {
        if (accept(p, "*"))
            e = jc_ex_mul(p->t, e, parse_unary(p));
        else if (accept(p, "//"))
            e = jc_ex_fdiv(p->t, e, parse_unary(p));
        else if (accept(p, "%"))
            e = jc_ex_mod(p->t, e, parse_unary(p));
        else
            break;
    }
    return e;
}

static const jc_expr *parse_sum(parser *p) {
    const jc_expr *e = parse_product(p);
    while (!p->failed) {
        if (accept(p, "+"))
            e = jc_ex_add(p->t, e, parse_product(p));
        else if (accept(p, "-"))
            e = jc_ex_sub(p->t, e, parse_product(p));
        else
            break;
    }
    return e;
}

jitc_status jc_ex_parse(jc_exprs *t, const char *text, size_t length, const char *file, int line, int column,
                        const jc_expr **out, jc_error *err) {
    parser p = { .t = t, .start = text, .at = text, .end = text + length, .file = file, .line = line,
                 .column = column, .err = err };
    *out = parse_sum(&p);
    skip(&p);
    if (!p.failed && p.at < p.end)
        fail(&p, "there is something left over");
    if (!p.failed && (*out)->kind == JC_EX_POISON)
        fail(&p, "it divides by zero, is too large, or its value does not fit 64 bits");
    return p.failed ? JITC_E_INPUT : JITC_OK;
}

/* ---- printing ---- */

static void print(const jc_exprs *t, const jc_expr *e, jc_bytes *out);

/* As a factor or divisor: in brackets unless it is one word. */
static void print_factor(const jc_exprs *t, const jc_expr *e, jc_bytes *out) {
    bool word = e->kind == JC_EX_SYM || e->kind == JC_EX_MIN || e->kind == JC_EX_MAX ||
                (e->kind == JC_EX_CONST && e->value >= 0);
    if (!word)
        jc_put_text(out, "(");
    print(t, e, out);
    if (!word)
        jc_put_text(out, ")");
}

/* |coefficient| * atoms, or with the sign where that has no positive counterpart.  NEGATED: after a minus sign that binds more
   tightly than // does. */
static void print_term(const jc_exprs *t, jc_term term, bool negated, jc_bytes *out) {
    int64_t coef = term.coef < 0 && term.coef != INT64_MIN ? -term.coef : term.coef;
    if (term.n == 0 || coef != 1)
        jc_put_text(out, "%lld%s", (long long)coef, term.n ? "*" : "");
    if (term.n == 1 && coef == 1 && !negated) {
        print(t, term.atoms[0], out);
        return;
    }
    for (uint32_t i = 0; i < term.n; i++) {
        if (i)
            jc_put_text(out, "*");
        print_factor(t, term.atoms[i], out);
    }
}

/* The constant last, as people write it. */
static void print_sum(const jc_exprs *t, const jc_expr *e, jc_bytes *out) {
    uint32_t first = e->args[0]->kind == JC_EX_CONST;
    for (uint32_t i = first; i < e->n + first; i++) {
        jc_term term = jc_term_of(&e->args[i % e->n]);
        bool minus = term.coef < 0 && term.coef != INT64_MIN;
        jc_put_text(out, "%s", i == first ? (minus ? "-" : "") : minus ? " - " : " + ");
        print_term(t, term, minus && i == first, out);
    }
}

static void print(const jc_exprs *t, const jc_expr *e, jc_bytes *out) {
    bool minus;
    switch (e->kind) {
    case JC_EX_CONST:
        jc_put_text(out, "%lld", (long long)e->value);
        break;
    case JC_EX_SYM:
        if (t)
            jc_put_text(out, "%s", t->syms.at[e->sym]->name);
        else
            jc_put_text(out, "$%u", e->sym);
        break;
    case JC_EX_ADD:
        print_sum(t, e, out);
        break;
    case JC_EX_MUL:
        minus = jc_term_of(&e).coef < 0 && jc_term_of(&e).coef != INT64_MIN;
        jc_put_text(out, minus ? "-" : "");
        print_term(t, jc_term_of(&e), minus, out);
        break;
    case JC_EX_FDIV:
    case JC_EX_MOD:
        print_factor(t, e->args[0], out);
        jc_put_text(out, "%s", e->kind == JC_EX_FDIV ? "//" : " % ");
        print_factor(t, e->args[1], out);
        break;
    case JC_EX_MIN:
    case JC_EX_MAX:
        jc_put_text(out, e->kind == JC_EX_MIN ? "Min(" : "Max(");
        print(t, e->args[0], out);
        jc_put_text(out, ", ");
        print(t, e->args[1], out);
        jc_put_text(out, ")");
        break;
    default:
        jc_put_text(out, "?");
    }
}

void jc_ex_print(const jc_exprs *t, const jc_expr *e, jc_bytes *out) { print(t, e, out); }

char *jc_ex_text(const jc_exprs *t, const jc_expr *e, jc_arena *arena) {
    jc_bytes out = JC_BYTES(arena);
    print(t, e, &out);
    jc_put_u8(&out, 0);
    return (char *)out.at;
}

/* ---- bytes ---- */

void jc_ex_encode(const jc_expr *e, jc_bytes *out) {
    jc_put_u8(out, e->kind);
    if (e->kind == JC_EX_CONST) {
        jc_put_svar(out, e->value);
    } else if (e->kind == JC_EX_SYM) {
        jc_put_var(out, e->sym);
    } else {
        jc_put_var(out, e->n);
        for (uint32_t i = 0; i < e->n; i++)
            jc_ex_encode(e->args[i], out);
    }
}

static const jc_expr *bad(jc_exprs *t, jc_reader *r) {
    r->bad = true;
    return t->poison;
}

static const jc_expr *decode(jc_exprs *t, jc_reader *r, uint32_t limit, uint32_t *left) {
    static const jc_expr *(*const make[])(jc_exprs *, const jc_expr *, const jc_expr *) = {
        [JC_EX_ADD] = jc_ex_add, [JC_EX_MUL] = jc_ex_mul, [JC_EX_FDIV] = jc_ex_fdiv,
        [JC_EX_MOD] = jc_ex_mod, [JC_EX_MIN] = jc_ex_min, [JC_EX_MAX] = jc_ex_max,
    };
    uint8_t kind = jc_get_u8(r);
    if (r->bad || *left == 0)
        return bad(t, r);
    --*left;
    if (kind == JC_EX_CONST)
        return jc_ex_int(t, jc_get_svar(r));
    if (kind == JC_EX_SYM) {
        uint64_t sym = jc_get_var(r);
        return r->bad || sym >= limit || sym >= t->syms.n ? bad(t, r) : jc_ex_sym(t, (uint32_t)sym);
    }
    size_t n = jc_get_count(r, 1);
    bool two = kind >= JC_EX_FDIV && kind <= JC_EX_MAX;
    if (kind == JC_EX_POISON && n == 0 && !r->bad)
        return t->poison;
    if (r->bad || kind >= JC_EX_POISON || n < 2 || (two && n != 2))
        return bad(t, r);
    const jc_expr *e = decode(t, r, limit, left);
    for (size_t i = 1; i < n && !r->bad; i++)
        e = make[kind](t, e, decode(t, r, limit, left));
    return e;
}

const jc_expr *jc_ex_decode(jc_exprs *t, jc_reader *r, uint32_t limit) {
    uint32_t left = JC_EX_LIMIT;
    return decode(t, r, limit, &left);
}
