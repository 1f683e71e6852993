/*
 * ir/fx/fx_build_refuse.c - statements that are not supported: the reading goes on behind them.
 *
 * Such a statement becomes a custom node that nobody knows ("?torch.cumsum"), with what it takes and what its annotation says of its
 * result, so the graph is read whole, can be cut and hashed; the reason goes into the graph's list of refusals, to which the node
 * refers.  What fails only because it uses what such a statement was to give is passed over likewise, and not told.  A parameter
 * of a dtype that we do not have is in the list and has no node.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

const char fx_refused[] = "the result of something that is not supported";

fx_mark fx_mark_here(const fx_reader *r) {
    return (fx_mark){ r->p, r->token, r->func->nodes.n, r->func->nvalues, r->func->nparams };
}

void fx_go_on(fx_reader *r, const fx_mark *m) {
    r->p = m->p;
    r->token = m->token;
    r->status = JITC_OK;
    *r->err = (jc_error)JC_ERROR_INIT;
    r->func->nodes.n = m->nodes;
    r->func->nvalues = m->values;
    r->func->nparams = m->params;
}

bool fx_can_pass(const fx_reader *r) {
    const bool unsupported = r->status == JITC_E_UNSUPPORTED, follows = r->status == JITC_E_INPUT && r->tainted;
    return r->tolerant && (unsupported || follows);
}

/* --- what a statement takes --- */

/* A as an argument that a graph can hold: what has no place in one is spelled out. */
static jc_arg spelled(fx_reader *r, jc_arg a) {
    static const char *const words[] = { [FX_ELLIPSIS - FX_ABSENT] = "...", [FX_SLICE - FX_ABSENT] = "slice" };
    const char *key = a.key;
    if (a.kind == JC_ARG_LIST || a.kind == JC_ARG_DICT || a.kind == FX_SLICE) {
        const uint32_t tag = a.kind == FX_SLICE;
        jc_arg *at = JC_NEWN(r->arena, jc_arg, a.list.n + tag);
        if (tag)
            at[0] = (jc_arg){ .kind = JC_ARG_STR, .str = words[FX_SLICE - FX_ABSENT] };
        for (uint32_t i = 0; i < a.list.n; i++)
            at[i + tag] = spelled(r, a.list.at[i]);
        return (jc_arg){ .kind = tag ? JC_ARG_LIST : a.kind, .key = key, .list = { at, a.list.n + tag } };
    }
    if (a.kind == FX_SYMFLOAT)
        a = fx_v(fx_real_of(a)->tensor);
    else if (a.kind >= FX_ABSENT || (a.kind == JC_ARG_EXPR && a.expr->kind == JC_EX_POISON) || (a.kind == JC_ARG_VALUE && !a.value))
        a = (jc_arg){ .kind = JC_ARG_STR, .str = a.kind == FX_OPERATOR ? a.str : a.kind == FX_ELLIPSIS ? "..." : "?" };
    a.key = key;
    return a;
}

jc_arg fx_spelled(fx_reader *r, jc_arg a) {
    return spelled(r, a);
}

typedef struct operands {
    fx_reader *r;
    const fx_mark *m;
    jc_arg *at;
    uint32_t n;
} operands;

static void see(operands *o, const fx_ast *a) {
    jc_arg x = a->kind == FX_A_PATH ? fx_opaque(fx_copy(o->r, a->name)) : fx_eval(o->r, a);
    if (o->r->status) {
        fx_go_on(o->r, o->m);
        x = fx_opaque(fx_refused);
    }
    x = fx_spelled(o->r, x);
    x.key = a->key ? fx_copy(o->r, a->key) : NULL;
    o->at[o->n++] = x;
}

/* What S takes, as far as that can be had by itself. Nodes that this makes go again: they would be part of what is passed over. */
static void operands_of(operands *o, const fx_stmt *s) {
    const fx_ast *a = s->value, *place = s->kind == FX_S_STORE || s->kind == FX_S_AUG ? s->place : NULL;
    const bool simple = a->kind == FX_A_CALL || a->kind == FX_A_INDEX || a->kind == FX_A_BINARY || a->kind == FX_A_UNARY;
    uint32_t n = 4;
    for (const fx_ast *e = simple ? a->first : NULL; e; e = e->next)
        n++;
    o->at = fx_take(o->r, sizeof *o->at * n);
    if (place && place->kind == FX_A_INDEX) {
        see(o, place->first);
        see(o, place->first->next);
    } else if (place) {
        see(o, place);
    }
    if (place || !simple) {
        see(o, a);
        return;
    }
    const fx_ast *e = a->first;
    if (a->kind == FX_A_CALL && e->kind == FX_A_ATTR && !(e->first->kind == FX_A_NAME && fx_name_is(e->first->name, "self")))
        see(o, e->first);
    for (e = a->kind == FX_A_CALL ? e->next : e; e; e = e->next)
        see(o, e);
}

/* A value that exists only because an operand was computed cannot be passed once its node is gone. */
static bool lasts(const jc_arg *a, const fx_mark *m) {
    if (a->kind == JC_ARG_VALUE)
        return a->value->id < m->values;
    for (uint32_t i = 0; (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) && i < a->list.n; i++)
        if (!lasts(&a->list.at[i], m))
            return false;
    return true;
}

/* --- in its place --- */

/* What S would have given, as far as its annotations tell. */
static jc_arg stand_in(fx_reader *r, const fx_stmt *s, const char *name, const fx_mark *m, uint32_t refusal) {
    char *target = jc_arena_printf(r->arena, "%c%s", JC_UNKNOWN_MARK, name);
    operands o = { .r = r, .m = m };
    operands_of(&o, s);
    fx_go_on(r, m);
    for (uint32_t i = 0; i < o.n; i++)
        if (!lasts(&o.at[i], m))
            o.at[i] = (jc_arg){ .kind = JC_ARG_STR, .str = "?", .key = o.at[i].key };
    const uint64_t writes = s->kind == FX_S_STORE || s->kind == FX_S_AUG ? 1 : fx_unknown_writes(target, o.at, o.n);
    jc_arg value = fx_custom_node(r, target, o.at, o.n, writes, s->value->at, UINT32_MAX);
    if (r->status) { /* its annotation is what is not supported */
        fx_go_on(r, m);
        jc_func_add_custom(r->func, target, o.at, o.n, writes, NULL, 0, s->line);
        value = fx_opaque(fx_refused);
    }
    r->func->nodes.at[r->func->nodes.n - 1]->refusal = refusal;
    return value.kind == FX_VOID ? fx_opaque(fx_refused) : value;
}

/* Its number; what only follows from another is not told. */
static uint32_t refuse(fx_reader *r, const char *op, const char *node) {
    const jc_error *e = r->err;
    if (r->tainted)
        return JC_REFUSAL_FOLLOWS;
    jc_push(r->arena, &r->graph->refused,
            ((jc_refusal){ op, node, r->func->name, e->line, e->column, jc_arena_strdup(r->arena, e->message) }));
    return (uint32_t)r->graph->refused.n;
}

void fx_refuse_param(fx_reader *r, const char *name) {
    refuse(r, "", name);
}

void fx_pass_over(fx_reader *r, const fx_stmt *s, const fx_mark *m) {
    const bool names = s->kind == FX_S_ASSIGN && s->target, calls = s->kind != FX_S_RETURN && s->kind != FX_S_FREE && s->kind != FX_S_LEAVE;
    const char *op = calls ? fx_callee(r, s) : "";
    const uint32_t refusal = refuse(r, op, names ? fx_copy(r, s->target) : "");
    fx_go_on(r, m);
    if (s->kind == FX_S_RETURN)
        fx_give_back_some(r, s, m);
    if (!calls)
        return;
    const jc_arg value = stand_in(r, s, op, m, refusal);
    if (names) {
        fx_give_name(r, value, s->target);
        fx_bind(r, s->target, value, s->at);
    }
    for (const fx_ast *name = s->kind == FX_S_UNPACK ? s->place : NULL; name; name = name->next)
        fx_bind(r, name->name, fx_opaque(fx_refused), name->at);
}

/* What is known and not compiled.  Aux: why. */
jc_arg fx_h_refused(fx_call *c) {
    static const char *const why[] = {
#define REASON(text) text,
#include "ir/fx/reasons.def"
#undef REASON
    };
    fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "`%s` is not supported: it %s.", c->row->name, why[c->row->aux]);
    return fx_nothing();
}
