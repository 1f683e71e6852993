/*
 * runtime/schema.c - reading PyTorch operator schemas.
 *
 *     schema  = name ["." overload] "(" args ")" "->" results
 *     args    = "..." | [ arg { "," arg } ], where one "*" stands before the keyword-only ones
 *     arg     = type name [ "=" default ]
 *     type    = word [ "(" alias ")" ] { "?" | "[" [size] "]" }
 *     results = "()" | tensor | "(" tensor { "," tensor } ")" | "..."
 *
 * What an argument may be is reduced to the kinds that a call can tell apart (jc_schema_type); words that we do not
 * look into, and lists of anything but tensors, are JC_ST_ANY.  Results are tensors that we allocate, so lists of them,
 * results that alias an argument and scalars are refused.  Matching calls to a schema is ops_call.c's.
 */
#define _GNU_SOURCE
#include "runtime/ops.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

typedef struct parser {
    const char *text, *at;
    jc_arena *arena;
    jc_error *err;
    bool keyword_only;
} parser;

typedef struct type {
    uint8_t kind;
    bool optional, written, aliased;
} type;

static const struct {
    const char *word;
    uint8_t kind;
} words[] = {
    { "Tensor", JC_ST_TENSOR }, { "int", JC_ST_INT },         { "SymInt", JC_ST_INT },
    { "float", JC_ST_FLOAT },   { "SymFloat", JC_ST_FLOAT },  { "bool", JC_ST_BOOL },
    { "SymBool", JC_ST_BOOL },  { "str", JC_ST_NAME },        { "LayerName", JC_ST_NAME },
    { "Any", JC_ST_ANY },       { "Scalar", JC_ST_ANY },      { "ScalarType", JC_ST_ANY },
    { "Device", JC_ST_ANY },    { "Layout", JC_ST_ANY },      { "MemoryFormat", JC_ST_ANY },
    { "Dict", JC_ST_ANY },      { "Tuple", JC_ST_ANY },       { "Generator", JC_ST_ANY },
};
#define WORDS_TEXT "Tensor, int, SymInt, float, bool, str, LayerName, Any, Scalar, ScalarType, Device, Dict"

/* ---- characters ------------------------------------------------------------------------------------------------ */

static bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static void skip(parser *p) {
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
}

/* What stands at AT, short enough for a message. */
static const char *shown(const parser *p, const char *at) {
    if (!*at)
        return "the end";
    size_t length = strcspn(at, " \t\r\n");
    if (length > 24)
        length = 24;
    return jc_arena_printf(p->arena, "'%.*s'", (int)(length ? length : 1), at);
}

static jitc_status expected(const parser *p, const char *at, const char *what) {
    return jc_fail(p->err, JITC_E_USAGE, "Operator schema, column %d: expected %s, found %s, in \"%.300s\".",
                   (int)(at - p->text) + 1, what, shown(p, at), p->text);
}

static jitc_status refused(const parser *p, const char *at, const char *sentence) {
    return jc_fail(p->err, JITC_E_USAGE, "Operator schema, column %d: %s, in \"%.300s\".", (int)(at - p->text) + 1,
                   sentence, p->text);
}

/* TOKEN, after blanks. */
static bool take(parser *p, const char *token) {
    skip(p);
    size_t length = strlen(token);
    if (strncmp(p->at, token, length) != 0)
        return false;
    p->at += length;
    return true;
}

static jitc_status need(parser *p, const char *token) {
    if (take(p, token))
        return JITC_OK;
    return expected(p, p->at, jc_arena_printf(p->arena, "'%s'", token));
}

/* An identifier after blanks, or NULL. */
static const char *word(parser *p) {
    skip(p);
    const char *start = p->at;
    if (!is_alpha(*start))
        return NULL;
    while (is_alpha(*p->at) || is_digit(*p->at))
        p->at++;
    return jc_arena_strndup(p->arena, start, (size_t)(p->at - start));
}

/* ---- types ----------------------------------------------------------------------------------------------------- */

/* "(a!)", "(a3!)", "(a -> *)", "(a|b)" */
static jitc_status parse_alias(parser *p, type *t) {
    const char *start = p->at;
    for (; *p->at && *p->at != ')'; p->at++) {
        if (*p->at == '!')
            t->written = true;
        else if (!is_alpha(*p->at) && !is_digit(*p->at) && !strchr(" |*->", *p->at))
            return expected(p, p->at, "an alias set such as (a!)");
    }
    if (p->at == start)
        return expected(p, p->at, "an alias set such as (a!)");
    t->aliased = true;
    return need(p, ")");
}

/* "(str, Tensor)" of a Dict or Tuple, which nobody looks into. */
static jitc_status skip_parens(parser *p) {
    int depth = 1;
    for (; *p->at && depth > 0; p->at++)
        depth += (*p->at == '(') - (*p->at == ')');
    return depth == 0 ? JITC_OK : expected(p, p->at, "')'");
}

static jitc_status parse_type(parser *p, type *t) {
    skip(p);
    const char *start = p->at, *name = word(p);
    *t = (type){ .kind = UINT8_MAX };
    for (size_t i = 0; name && i < sizeof words / sizeof *words; i++)
        if (!strcmp(name, words[i].word))
            t->kind = words[i].kind;
    if (t->kind == UINT8_MAX)
        return expected(p, start, "a type (" WORDS_TEXT ")");
    if (*p->at == '(') {
        p->at++;
        JC_TRY(t->kind == JC_ST_TENSOR ? parse_alias(p, t) : skip_parens(p));
    }
    for (;;) {
        if (take(p, "?")) {
            t->optional = true;
        } else if (take(p, "[")) {
            while (is_digit(*p->at))
                p->at++;
            JC_TRY(need(p, "]"));
            t->kind = t->kind == JC_ST_TENSOR && !t->optional ? JC_ST_TENSORS : JC_ST_ANY;
            t->optional = false;
        } else {
            return JITC_OK;
        }
    }
}

/* ---- defaults -------------------------------------------------------------------------------------------------- */

static jitc_status parse_number(parser *p, jitc_value *out) {
    const char *start = p->at;
    char *end;
    bool real = false;
    for (const char *c = start; *c && !strchr(",)]= ", *c); c++)
        real |= *c == '.' || *c == 'e' || *c == 'E' || *c == 'n'; /* inf, nan */
    errno = 0;
    if (real) {
        locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (!plain)
            return jc_fail(p->err, JITC_E_NOMEM, "Out of memory while reading an operator schema.");
        *out = (jitc_value){ .tag = JITC_FLOAT, .f = strtod_l(start, &end, plain) };
        freelocale(plain);
        errno = 0; /* an underflow or overflow has the value that it has everywhere */
    } else {
        *out = (jitc_value){ .tag = JITC_INT, .i = strtoll(start, &end, 10) };
    }
    if (end == start || errno)
        return expected(p, start, "a number that fits");
    p->at = end;
    return JITC_OK;
}

static jitc_status parse_string(parser *p, jitc_value *out) {
    char quote = *p->at++;
    const char *start = p->at;
    while (*p->at && *p->at != quote)
        p->at++;
    if (!*p->at)
        return expected(p, p->at, "the closing quote");
    *out = (jitc_value){ .tag = JITC_STR, .str = jc_arena_strndup(p->arena, start, (size_t)(p->at - start)) };
    p->at++;
    return JITC_OK;
}

static jitc_status parse_value(parser *p, jitc_value *out, int depth);

static jitc_status parse_list(parser *p, jitc_value *out, int depth) {
    JC_VEC(jitc_value) items = { 0 };
    const char *start = p->at++;
    if (depth > 8)
        return refused(p, start, "the list is nested too deeply");
    if (!take(p, "]")) {
        do {
            jitc_value item;
            JC_TRY(parse_value(p, &item, depth + 1));
            jc_push(p->arena, &items, item);
        } while (take(p, ","));
        JC_TRY(need(p, "]"));
    }
    *out = (jitc_value){ .tag = JITC_LIST, .n = (uint32_t)items.n, .list = items.at };
    return JITC_OK;
}

static jitc_status parse_value(parser *p, jitc_value *out, int depth) {
    static const struct {
        const char *word;
        jitc_value value;
    } constants[] = {
        { "None", { .tag = JITC_NONE } },
        { "True", { .tag = JITC_BOOL, .i = 1 } },
        { "False", { .tag = JITC_BOOL, .i = 0 } },
    };
    skip(p);
    if (*p->at == '"' || *p->at == '\'')
        return parse_string(p, out);
    if (*p->at == '[')
        return parse_list(p, out, depth);
    if (is_alpha(*p->at) && strncmp(p->at, "inf", 3) != 0 && strncmp(p->at, "nan", 3) != 0) {
        const char *name = word(p);
        for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
            if (!strcmp(name, constants[i].word)) {
                *out = constants[i].value;
                return JITC_OK;
            }
        *out = (jitc_value){ .tag = JITC_STR, .str = name }; /* contiguous_format, float32 */
        return JITC_OK;
    }
    if (!*p->at || strchr(",)]", *p->at))
        return expected(p, p->at, "a default value");
    return parse_number(p, out);
}

/* Makes the default fit the type, or says that it does not. */
static jitc_status fit_default(parser *p, const char *at, jc_schema_arg *arg) {
    jitc_value *v = &arg->dflt;
    if (v->tag == JITC_NONE && (arg->optional || arg->type == JC_ST_ANY))
        return JITC_OK;
    if (v->tag == JITC_INT && arg->type == JC_ST_FLOAT)
        *v = (jitc_value){ .tag = JITC_FLOAT, .f = (double)v->i };
    static const struct {
        int tag;
        const char *what;
    } fits[] = {
        [JC_ST_TENSOR] = { JITC_NONE, "None, the only default of a tensor, and only of a Tensor?" },
        [JC_ST_INT] = { JITC_INT, "an integer" },
        [JC_ST_FLOAT] = { JITC_FLOAT, "a number" },
        [JC_ST_BOOL] = { JITC_BOOL, "True or False" },
        [JC_ST_NAME] = { JITC_STR, "a string" },
        [JC_ST_TENSORS] = { JITC_LIST, "[]" },
    };
    if (arg->type == JC_ST_ANY)
        return JITC_OK;
    if (arg->type == JC_ST_TENSOR || (int)v->tag != fits[arg->type].tag || (v->tag == JITC_LIST && v->n > 0))
        return expected(p, at, fits[arg->type].what);
    return JITC_OK;
}

/* ---- arguments and results ------------------------------------------------------------------------------------- */

static jitc_status parse_arg(parser *p, const jc_schema_arg *before, size_t nbefore, jc_schema_arg *out) {
    type t;
    JC_TRY(parse_type(p, &t));
    skip(p);
    const char *at = p->at;
    *out = (jc_schema_arg){ .name = word(p),
                            .type = t.kind,
                            .optional = t.optional,
                            .written = t.written,
                            .keyword_only = p->keyword_only };
    if (!out->name)
        return expected(p, at, "the argument's name");
    for (size_t i = 0; i < nbefore; i++)
        if (!strcmp(before[i].name, out->name))
            return refused(p, at, jc_arena_printf(p->arena, "there are two arguments '%s'", out->name));
    if (!take(p, "="))
        return JITC_OK;
    skip(p);
    at = p->at;
    out->has_default = true;
    JC_TRY(parse_value(p, &out->dflt, 0));
    return fit_default(p, at, out);
}

static jitc_status parse_args(parser *p, jc_schema *out) {
    JC_VEC(jc_schema_arg) args = { 0 };
    JC_TRY(need(p, "("));
    if (take(p, "...")) {
        out->any = true;
        return need(p, ")");
    }
    if (take(p, ")"))
        return JITC_OK;
    do {
        skip(p);
        if (*p->at == '*' && !p->keyword_only) {
            p->at++;
            p->keyword_only = true;
            continue;
        }
        if (args.n == JC_OP_MAX_ARGS)
            return refused(p, p->at, "an operator has at most 64 arguments");
        jc_schema_arg arg;
        JC_TRY(parse_arg(p, args.at, args.n, &arg));
        jc_push(p->arena, &args, arg);
    } while (take(p, ","));
    out->args = args.at;
    out->nargs = (uint32_t)args.n;
    return need(p, ")");
}

static jitc_status parse_result(parser *p, jc_schema *out) {
    skip(p);
    const char *at = p->at;
    type t;
    JC_TRY(parse_type(p, &t));
    if (t.kind != JC_ST_TENSOR || t.optional)
        return refused(p, at, t.kind == JC_ST_TENSORS
                                  ? "a list of tensors cannot be a result, since its length is not known when the graph "
                                    "is compiled; name each one: (Tensor, Tensor)"
                                  : "only tensors can be results");
    if (t.aliased)
        return refused(p, at, "a result cannot alias an argument, since results are allocated for the operator; write "
                              "to the argument and leave the result out");
    (void)word(p); /* results may have names */
    if (out->nresults == JC_OP_MAX_ARGS)
        return refused(p, at, "an operator has at most 64 results");
    out->nresults++;
    return JITC_OK;
}

static jitc_status parse_results(parser *p, jc_schema *out) {
    JC_TRY(need(p, "->"));
    if (take(p, "...")) {
        if (!out->any)
            return refused(p, p->at - 3, "the results can only be left open where the arguments are");
        out->nresults = JC_SCHEMA_ANY_RESULTS;
        return JITC_OK;
    }
    if (!take(p, "("))
        return parse_result(p, out);
    if (take(p, ")"))
        return JITC_OK;
    do
        JC_TRY(parse_result(p, out));
    while (take(p, ","));
    return need(p, ")");
}

static jitc_status parse_name(parser *p, jc_schema *out) {
    skip(p);
    const char *start = p->at;
    size_t parts = 0;
    do {
        if (!word(p))
            return expected(p, p->at, "the operator's name, such as vllm::gdn_in_proj");
        parts++;
    } while (!strncmp(p->at, "::", 2) && (p->at += 2));
    if (parts < 2)
        return expected(p, p->at, "'::' after the namespace");
    size_t length = (size_t)(p->at - start);
    if (*p->at == '.') {
        p->at++;
        const char *overload = word(p);
        if (!overload)
            return expected(p, p->at, "the overload's name");
        if (strcmp(overload, "default") != 0)
            length = (size_t)(p->at - start);
    }
    out->name = jc_arena_strndup(p->arena, start, length);
    return JITC_OK;
}

jitc_status jc_schema_parse(const char *text, jc_arena *arena, jc_schema *out, jc_error *err) {
    parser p = { .text = text, .at = text, .arena = arena, .err = err };
    *out = (jc_schema){ 0 };
    JC_TRY(parse_name(&p, out));
    JC_TRY(parse_args(&p, out));
    JC_TRY(parse_results(&p, out));
    skip(&p);
    return *p.at ? expected(&p, p.at, "the end of the schema") : JITC_OK;
}
