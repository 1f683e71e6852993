/*
 * ir/fx/fx_build_called.c - what a statement calls, by the text's own name: for messages, and for those who cut graphs at operators.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

static const struct sign {
    uint8_t token;
    const char *text, *binary, *unary, *augmented;
} signs[] = {
    { '+', "+", "operator.add", "operator.pos", "operator.iadd" },         { '-', "-", "operator.sub", "operator.neg", "operator.isub" },
    { '*', "*", "operator.mul", NULL, "operator.imul" },                   { '/', "/", "operator.truediv", NULL, "operator.itruediv" },
    { FX_T_FDIV, "//", "operator.floordiv", NULL, "operator.ifloordiv" },  { '%', "%", "operator.mod", NULL, "operator.imod" },
    { FX_T_POW, "**", "operator.pow", NULL, "operator.ipow" },             { '@', "@", "operator.matmul", NULL, "operator.imatmul" },
    { '&', "&", "operator.and_", NULL, "operator.iand" },                  { '|', "|", "operator.or_", NULL, "operator.ior" },
    { '^', "^", "operator.xor", NULL, "operator.ixor" },                   { '~', "~", NULL, "operator.invert", NULL },
    { FX_T_SHL, "<<", "operator.lshift", NULL, "operator.ilshift" },       { FX_T_SHR, ">>", "operator.rshift", NULL, "operator.irshift" },
    { FX_T_EQ, "==", "operator.eq", NULL, NULL },                          { FX_T_NE, "!=", "operator.ne", NULL, NULL },
    { '<', "<", "operator.lt", NULL, NULL },                               { '>', ">", "operator.gt", NULL, NULL },
    { FX_T_LE, "<=", "operator.le", NULL, NULL },                          { FX_T_GE, ">=", "operator.ge", NULL, NULL },
};

static const struct sign *sign_of(int token) {
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (signs[i].token == token)
            return &signs[i];
    return NULL;
}

static bool is_self(const fx_ast *a) {
    return a->kind == FX_A_NAME && fx_name_is(a->name, "self");
}

const char *fx_callee(fx_reader *r, const fx_stmt *s) {
    const fx_ast *a = s->value;
    const struct sign *sign = sign_of(s->kind == FX_S_AUG ? s->op : a->op);
    if (s->kind == FX_S_STORE)
        return "operator.setitem";
    if (s->kind == FX_S_AUG)
        return sign ? jc_arena_printf(r->arena, "%s=", sign->text) : "";
    switch (a->kind) {
    case FX_A_INDEX:
        return "operator.getitem";
    case FX_A_BINARY:
    case FX_A_UNARY:
        return sign ? sign->text : "";
    case FX_A_CALL:
        a = a->first;
        if (a->kind == FX_A_ATTR)
            return jc_arena_printf(r->arena, "%s.%s", is_self(a->first) ? "self" : "Tensor", fx_copy(r, a->attribute));
        return a->kind == FX_A_PATH || a->kind == FX_A_NAME ? fx_copy(r, a->name) : "";
    default:
        return "";
    }
}

/* --- kept in the graph --- */

/* N, called as a function or as a METHOD: the graph's name for it. */
static const char *listed(fx_reader *r, fx_name *n, bool method) {
    if (!n->called[method]) {
        n->called[method] = method ? jc_arena_printf(r->arena, "Tensor.%s", fx_copy(r, n)) : fx_copy(r, n);
        jc_push(r->arena, &r->graph->called, n->called[method]);
    }
    return n->called[method];
}

/* What S calls; NULL: nothing, or a class of the text. */
static const char *called(fx_reader *r, const fx_stmt *s) {
    const fx_ast *a = s->value;
    const struct sign *sign = sign_of(s->kind == FX_S_AUG ? s->op : a->op);
    const char *name = NULL;
    if (s->kind == FX_S_STORE)
        name = "operator.setitem";
    else if (s->kind == FX_S_AUG)
        name = sign ? sign->augmented : NULL;
    else if (a->kind == FX_A_INDEX)
        name = "operator.getitem";
    else if (a->kind == FX_A_BINARY || a->kind == FX_A_UNARY)
        name = !sign ? NULL : a->kind == FX_A_BINARY ? sign->binary : sign->unary;
    if (name)
        return listed(r, fx_intern(r, name, strlen(name)), false);
    if (a->kind != FX_A_CALL)
        return NULL;
    a = a->first;
    if (a->kind == FX_A_ATTR && !is_self(a->first))
        return listed(r, a->attribute, true);
    return a->kind == FX_A_PATH || a->kind == FX_A_NAME ? listed(r, a->name, false) : NULL;
}

void fx_note_called(fx_reader *r, const fx_stmt *s, size_t from) {
    const bool calls = s->kind == FX_S_ASSIGN || s->kind == FX_S_EXPR || s->kind == FX_S_STORE || s->kind == FX_S_AUG || s->kind == FX_S_UNPACK;
    const char *name = calls && !r->status ? called(r, s) : NULL;
    for (size_t i = from; i < r->func->nodes.n && name; i++)
        if (!r->func->nodes.at[i]->called)
            r->func->nodes.at[i]->called = name;
}
