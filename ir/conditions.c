/*
 * ir/conditions.c - what inference leaves open: conditions that hold for some values of the symbols only.
 *
 * Inference refuses what is wrong for every value and goes on where symbols leave a question open: that `x[s0, 4] + y[s1, 4]`
 * has one number of rows, that a slice lies within its operand, that a result has the dims of its annotation.  Code is
 * generated as if all of it held, so all of it has to be looked at when the values are known.  These are the questions:
 * each rule of inference records what it takes for granted (jc_in_open), and jc_conditions() collects it over a
 * function.  What can be proved for all values is left out; mostly nothing is left over.
 *
 * The proofs go beyond jc_ex_le(), which normal forms rest on and which therefore has to stay as it is: a difference with a
 * Min or Max among its terms is taken apart.  Each step is a proof, and there are few.
 */
#include <string.h>
#include "ir/expr_priv.h"
#include "ir/infer_priv.h"

/* ---- proofs ---- */

#define MAX_SPLITS 6

/* A term of D that is a Min or Max with coefficient 1 or -1, and D without it. */
static const jc_expr *extremum_of(jc_exprs *t, const jc_expr *d, int64_t *coef, const jc_expr **rest) {
    const jc_expr *const *at = jc_ex_terms(&d);
    for (uint32_t i = 0; i < jc_ex_nterms(d); i++) {
        jc_term term = jc_term_of(&at[i]);
        if (term.n != 1 || (term.coef != 1 && term.coef != -1) ||
            (term.atoms[0]->kind != JC_EX_MIN && term.atoms[0]->kind != JC_EX_MAX))
            continue;
        *coef = term.coef;
        *rest = jc_ex_sub(t, d, at[i]);
        return term.atoms[0];
    }
    return NULL;
}

/* Is D >= 0 for all values? */
static bool never_negative(jc_exprs *t, const jc_expr *d, int splits) {
    int64_t coef;
    const jc_expr *rest;
    if (d->kind == JC_EX_POISON)
        return false;
    if (jc_ex_le(t, jc_ex_int(t, 0), d) == JC_YES)
        return true;
    const jc_expr *e = splits > 0 ? extremum_of(t, d, &coef, &rest) : NULL;
    if (!e)
        return false;
    const jc_expr *side[2];
    for (int i = 0; i < 2; i++)
        side[i] = coef > 0 ? jc_ex_add(t, rest, e->args[i]) : jc_ex_sub(t, rest, e->args[i]);
    bool both = (e->kind == JC_EX_MIN) == (coef > 0);
    bool first = never_negative(t, side[0], splits - 1);
    return first == both ? never_negative(t, side[1], splits - 1) : first;
}

static bool is_order(const jc_condition *c) {
    return c->rel == JC_REL_LE || c->rel == JC_REL_COPY;
}

static bool differ(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    const jc_expr *up = jc_ex_sub(t, jc_ex_sub(t, b, a), jc_ex_int(t, 1)), *down = jc_ex_sub(t, jc_ex_sub(t, a, b), jc_ex_int(t, 1));
    return jc_ex_equal(t, a, b) == JC_NO || never_negative(t, up, MAX_SPLITS) || never_negative(t, down, MAX_SPLITS);
}

bool jc_condition_proved(jc_exprs *t, const jc_condition *c) {
    if (c->rel == JC_REL_NE)
        return differ(t, c->a, c->b);
    if (c->a == c->b && c->a->kind != JC_EX_POISON)
        return true;
    if (!is_order(c) && jc_ex_equal(t, c->a, c->b) == JC_YES)
        return true;
    if (c->rel == JC_REL_SPREAD && (jc_ex_is(c->b, 0) || jc_ex_equal(t, c->a, jc_ex_int(t, 1)) == JC_YES))
        return true;
    const jc_expr *up = jc_ex_sub(t, c->b, c->a);
    return never_negative(t, up, MAX_SPLITS) && (is_order(c) || never_negative(t, jc_ex_neg(t, up), MAX_SPLITS));
}

bool jc_at_most_one(jc_exprs *t, const jc_expr *d) {
    return d->kind != JC_EX_SYM ? never_negative(t, jc_ex_sub(t, jc_ex_int(t, 1), d), MAX_SPLITS) : jc_sym_at(t, d->sym)->hi <= 1;
}

bool jc_condition_holds(const jc_condition *c, const int64_t *syms, uint32_t nsyms, int64_t *a, int64_t *b) {
    *a = *b = 0;
    if (!jc_ex_eval(c->a, syms, nsyms, a) || !jc_ex_eval(c->b, syms, nsyms, b))
        return false;
    if (c->rel == JC_REL_NE)
        return *a != *b;
    return is_order(c) ? *a <= *b : *a == *b || (c->rel == JC_REL_SPREAD && *a == 1);
}

jitc_status jc_condition_refusal(const jc_condition *c, int64_t a, int64_t b, const char **why) {
    bool broadcasts = (a == 1 && (c->rel == JC_REL_MEET || c->rel == JC_REL_ONTO)) ||
                      (b == 1 && (c->rel == JC_REL_MEET || c->rel == JC_REL_SPREAD));
    *why = broadcasts ? "; PyTorch would broadcast the 1, but it is 1 at some sizes only, and there is no code for that" : "";
    return broadcasts ? JITC_E_UNSUPPORTED : JITC_E_INPUT;
}

char *jc_condition_text(const jc_exprs *t, const jc_condition *c, jc_arena *arena) {
    const char *a = jc_ex_text(t, c->a, arena), *b = jc_ex_text(t, c->b, arena);
    if (c->rel == JC_REL_SPREAD)
        return jc_arena_printf(arena, "%s == 1 or %s == %s", a, a, b);
    return jc_arena_printf(arena, "%s %s %s", a, is_order(c) ? "<=" : c->rel == JC_REL_NE ? "!=" : "==", b);
}

/* ---- collecting ---- */

void jc_conditions_add(jc_exprs *t, jc_arena *arena, jc_conditions *to, jc_condition c) {
    for (size_t i = 0; i < to->n; i++)
        if (to->at[i].rel == c.rel && to->at[i].a == c.a && to->at[i].b == c.b)
            return;
    if (!jc_condition_proved(t, &c))
        jc_push(arena, to, c);
}

void jc_in_open(jc_in *in, jc_rel rel, const jc_expr *a, const jc_expr *b) {
    if (in->open)
        jc_conditions_add(in->t, in->arena, in->open, (jc_condition){ (uint8_t)rel, in->n->line, a, b });
}

/* The dims that N's results have, against those that follow from its operands. */
static void results_open(jc_in *in, const jc_value *before) {
    for (uint32_t i = 0; i < in->n->nresults; i++) {
        const jc_type *have = &before[i].type, *found = &in->n->results[i]->type;
        for (int d = 0; have->kind == JC_TENSOR && d < have->rank && have->rank == found->rank; d++)
            jc_in_open(in, JC_REL_EQ, have->dims[d], found->dims[d]);
    }
}

jitc_status jc_conditions_of(const jc_func *f, jc_conditions *out, jc_error *err) {
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        if (n->op == JC_OP_custom || n->op == JC_OP_call)
            continue;
        jc_in in = { (jc_func *)f, f->graph->exprs, f->graph->arena, n, err, out };
        jc_value *before = JC_NEWN(f->graph->arena, jc_value, n->nresults);
        for (uint32_t k = 0; k < n->nresults; k++)
            before[k] = *n->results[k];
        JC_TRY(jc_infer_open(&in));
        results_open(&in, before);
        for (uint32_t k = 0; k < n->nresults; k++)
            *n->results[k] = before[k];
        jc_in_copies(&in);
    }
    return JITC_OK;
}

void jc_guards_of_call(jc_func *root, const jc_node *call) {
    jc_graph *g = root->graph;
    jc_in in = { root, g->exprs, g->arena, (jc_node *)call, NULL, NULL };
    const jc_conditions *guards = &call->callee->guards;
    const jc_expr **map = guards->n ? jc_call_symbols(&in) : NULL;
    for (size_t i = 0; i < guards->n; i++) {
        jc_condition c = guards->at[i];
        c.a = map ? jc_ex_subst(g->exprs, c.a, map, jc_sym_count(g->exprs)) : c.a;
        c.b = map ? jc_ex_subst(g->exprs, c.b, map, jc_sym_count(g->exprs)) : c.b;
        jc_conditions_add(g->exprs, g->arena, &root->guards, c);
    }
}
