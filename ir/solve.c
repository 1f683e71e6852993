/*
 * ir/solve.c - the symbols' values from the arguments of a call.
 *
 * Every dim of every tensor parameter and every symbolic integer is an equation.  One with a single unknown symbol that
 * occurs linearly is solved; this goes on until nothing changes.  Then the strides are asked, for what is still
 * unknown; then what is unknown gets its fallback, and every dim and integer is checked.
 */
#include <stdio.h>
#include <string.h>
#include "ir/solve.h"

typedef struct solver {
    const jc_func *f;
    jc_exprs *exprs;
    int64_t *syms;
    uint32_t nsyms;
    uint32_t *owner; /* 1 + the parameter that gave the symbol; 0: unknown */
    jc_error *err;
    bool progress;
} solver;

/* DIM: of the parameter; -1: its value; with STRIDE the dim's stride. */
typedef jitc_status visit(solver *s, uint32_t param, const jc_expr *e, int64_t value, int dim, bool stride);

typedef struct unknowns {
    const solver *s;
    uint32_t sym, owner; /* an unknown symbol; who gave a known one */
    int n;
} unknowns;

static void count_unknown(void *user, uint32_t sym) {
    unknowns *u = user;
    if (sym < u->s->nsyms && u->s->owner[sym]) {
        u->owner = u->s->owner[sym];
    } else if (u->n == 0 || u->sym != sym) {
        u->sym = sym;
        u->n++;
    }
}

static unknowns unknown_in(const solver *s, const jc_expr *e) {
    unknowns u = { .s = s };
    jc_ex_symbols(e, count_unknown, &u);
    return u;
}

static jitc_status solve(solver *s, uint32_t param, const jc_expr *e, int64_t value, int dim, bool stride) {
    unknowns u = unknown_in(s, e);
    const jc_expr *coefficient, *rest;
    int64_t c, r;
    (void)dim;
    (void)stride;
    if (u.n != 1 || u.sym >= s->nsyms || !jc_ex_linear(s->exprs, e, u.sym, &coefficient, &rest) ||
        !jc_ex_eval(coefficient, s->syms, s->nsyms, &c) || !jc_ex_eval(rest, s->syms, s->nsyms, &r))
        return JITC_OK;
    /* What has no whole solution is left to the check. */
    if (c == 0 || __builtin_sub_overflow(value, r, &value) || (c == -1 && value == INT64_MIN) || value % c != 0)
        return JITC_OK;
    s->syms[u.sym] = value / c;
    s->owner[u.sym] = param + 1;
    s->progress = true;
    return JITC_OK;
}

static jitc_status check(solver *s, uint32_t param, const jc_expr *e, int64_t value, int dim, bool stride) {
    int64_t expected;
    (void)stride;
    if (jc_ex_eval(e, s->syms, s->nsyms, &expected) && expected == value)
        return JITC_OK;
    const jc_value *p = s->f->params[param];
    unknowns u = unknown_in(s, e);
    const char *text = jc_ex_text(s->exprs, e, s->f->graph->arena);
    char what[32] = "value";
    if (dim >= 0)
        snprintf(what, sizeof what, "dim %d", dim);
    if (u.owner && u.owner != param + 1)
        return jc_fail_at(s->err, JITC_E_INPUT, s->f->graph->file, p->line, 0, p->name,
                          "The %s of '%s' is %lld where %s is needed, which does not fit what '%s' gave.", what, p->name,
                          (long long)value, text, s->f->params[u.owner - 1]->name);
    return jc_fail_at(s->err, JITC_E_INPUT, s->f->graph->file, p->line, 0, p->name,
                      "The %s of '%s' is %lld where %s is needed.", what, p->name, (long long)value, text);
}

static jitc_status tensor_facts(solver *s, uint32_t i, const jc_solve_fact *fact, visit *to, bool strides) {
    const jc_type *type = &s->f->params[i]->type;
    int64_t row_major = 1;
    if (fact->rank != type->rank)
        return jc_fail_at(s->err, JITC_E_INPUT, s->f->graph->file, s->f->params[i]->line, 0, s->f->params[i]->name,
                          "'%s' has %d dims where %d are needed.", s->f->params[i]->name, fact->rank, type->rank);
    for (int d = 0; d < type->rank && !strides; d++)
        JC_TRY(to(s, i, type->dims[d], fact->dims[d], d, false));
    for (int d = type->rank - 1; d >= 0 && strides && type->strides; d--) {
        if (fact->dims[d] > 1) /* the stride of a single element says nothing */
            JC_TRY(to(s, i, type->strides[d], fact->strides ? fact->strides[d] : row_major, d, true));
        row_major *= fact->dims[d];
    }
    return JITC_OK;
}

typedef void fact_function(void *user, uint32_t i, jc_solve_fact *out);

static jitc_status each(solver *s, fact_function *fact, void *user, visit *to, bool strides) {
    for (uint32_t i = 0; i < s->f->nparams; i++) {
        const jc_type *type = &s->f->params[i]->type;
        jc_solve_fact what = { 0 };
        fact(user, i, &what);
        if (!what.known)
            continue;
        if (type->kind == JC_TENSOR)
            JC_TRY(tensor_facts(s, i, &what, to, strides));
        else if (type->kind == JC_SYMINT && type->expr && !strides)
            JC_TRY(to(s, i, type->expr, what.integer, -1, false));
    }
    return JITC_OK;
}

jitc_status jc_solve_facts(const jc_func *f, fact_function *fact, void *user, const int64_t *fallbacks,
                           uint32_t nfallbacks, int64_t fallback, int64_t *syms, jc_error *err) {
    uint32_t nsyms = jc_sym_count(f->graph->exprs);
    uint32_t owner[nsyms + 1]; /* on the stack: calls are many, and the graph's arena lives long */
    solver s = { .f = f, .exprs = f->graph->exprs, .syms = syms, .nsyms = nsyms, .err = err, .owner = owner };
    memset(owner, 0, sizeof owner);
    for (uint32_t k = 0; k < nsyms; k++)
        syms[k] = 0;
    for (int strides = 0; strides < 2; strides++) {
        do {
            s.progress = false;
            JC_TRY(each(&s, fact, user, solve, false));
            if (strides)
                JC_TRY(each(&s, fact, user, solve, true));
        } while (s.progress);
    }
    for (uint32_t k = 0; k < nsyms; k++) {
        if (!s.owner[k])
            syms[k] = fallbacks && k < nfallbacks ? fallbacks[k] : fallback;
    }
    return each(&s, fact, user, check, false);
}

/* ---- what went wrong ---- */

typedef struct listing {
    const jc_graph *g;
    const int64_t *syms;
    bool *seen;
    jc_bytes text;
} listing;

static void list_symbol(void *user, uint32_t sym) {
    listing *l = user;
    if (l->seen[sym])
        return;
    l->seen[sym] = true;
    jc_put_text(&l->text, "%s%s=%lld", l->text.n ? ", " : "", jc_sym_at(l->g->exprs, sym)->name, (long long)l->syms[sym]);
}

const char *jc_symbols_text(const jc_graph *g, const jc_expr *const *at, uint32_t n, const int64_t *syms) {
    listing l = { g, syms, JC_NEWN(g->arena, bool, jc_sym_count(g->exprs) + 1), JC_BYTES(g->arena) };
    for (uint32_t i = 0; i < n; i++)
        jc_ex_symbols(at[i], list_symbol, &l);
    jc_put_u8(&l.text, 0);
    return (const char *)l.text.at;
}

jitc_status jc_no_value(const jc_func *f, const jc_expr *e, const int64_t *syms, int line, jc_error *err) {
    return jc_fail_at(err, JITC_E_INPUT, f->graph->file, line, 0, NULL,
                      "The expression %s has no value with %s: it divides by zero or leaves 64 bits.",
                      jc_ex_text(f->graph->exprs, e, f->graph->arena), jc_symbols_text(f->graph, &e, 1, syms));
}

/* ---- from the values of a call ---- */

typedef struct values {
    const jc_func *f;
    const jitc_value *in;
} values;

static void value_fact(void *user, uint32_t i, jc_solve_fact *out) {
    const values *v = user;
    const jitc_value *in = &v->in[i];
    uint8_t kind = v->f->params[i]->type.kind;
    if (kind == JC_TENSOR && in->tag == JITC_TENSOR && in->tensor)
        *out = (jc_solve_fact){ .known = true, .rank = in->tensor->ndim, .dims = in->tensor->shape,
                                .strides = in->tensor->strides };
    else if (kind == JC_SYMINT && in->tag == JITC_INT)
        *out = (jc_solve_fact){ .known = true, .integer = in->i };
}

jitc_status jc_solve(const jc_func *f, const jitc_value *in, int64_t fallback, int64_t *syms, jc_error *err) {
    values v = { f, in };
    return jc_solve_facts(f, value_fact, &v, NULL, 0, fallback, syms, err);
}
