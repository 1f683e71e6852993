/*
 * ir/solve.c - equations from types, and solving them.
 */
#include <stdio.h>
#include <string.h>
#include "ir/solve.h"

/* A symbol of an equation, and the equation as COEFFICIENT * symbol + REST; NULL where it is not of that form. */
typedef struct part {
    uint32_t sym;
    const jc_expr *coefficient, *rest;
} part;

/* A dim or stride of a parameter, or its value. */
typedef struct equation {
    const jc_expr *e;
    int16_t dim;      /* -1: its value */
    bool stride;
    bool lone;        /* nothing but the symbol */
    uint32_t nparts;  /* different symbols; 0: a number */
    const part *parts;
} equation;

typedef struct parameter {
    const jc_value *value;
    uint32_t n;
    const equation *at; /* dims from the first, then strides from the last */
    bool symbols;
} parameter;

struct jc_solver {
    const jc_graph *graph;
    jc_conditions guards;
    uint32_t nparams, nsyms;
    parameter *params;
};

/* ---- before a call ---------------------------------------------------------------------------------------------- */

typedef struct collect {
    jc_arena *arena;
    JC_VEC(part) parts;
} collect;

static void see_symbol(void *user, uint32_t sym) {
    collect *c = user;
    for (size_t i = 0; i < c->parts.n; i++)
        if (c->parts.at[i].sym == sym)
            return;
    jc_push(c->arena, &c->parts, ((part){ .sym = sym }));
}

static equation equation_of(jc_exprs *exprs, const jc_expr *e, int dim, bool stride, jc_arena *arena) {
    collect c = { .arena = arena };
    jc_ex_symbols(e, see_symbol, &c);
    for (size_t i = 0; i < c.parts.n; i++) {
        part *p = &c.parts.at[i];
        if (!jc_ex_linear(exprs, e, p->sym, &p->coefficient, &p->rest))
            p->coefficient = p->rest = NULL;
    }
    return (equation){ .e = e, .dim = (int16_t)dim, .stride = stride, .lone = e->kind == JC_EX_SYM,
                       .nparts = (uint32_t)c.parts.n, .parts = c.parts.at };
}

static void add_param(jc_exprs *exprs, parameter *p, const jc_value *v, jc_arena *arena) {
    const jc_type *t = &v->type;
    JC_VEC(equation) all = { 0 };
    p->value = v;
    for (int d = 0; t->kind == JC_TENSOR && d < t->rank; d++)
        jc_push(arena, &all, equation_of(exprs, t->dims[d], d, false, arena));
    for (int d = t->rank - 1; t->kind == JC_TENSOR && t->strides && d >= 0; d--)
        jc_push(arena, &all, equation_of(exprs, t->strides[d], d, true, arena));
    if (t->kind == JC_SYMINT && t->expr)
        jc_push(arena, &all, equation_of(exprs, t->expr, -1, false, arena));
    p->n = (uint32_t)all.n;
    p->at = all.at;
    for (size_t i = 0; i < all.n; i++)
        p->symbols |= all.at[i].nparts > 0;
}

jc_solver *jc_solver_new(const jc_func *f, jc_arena *arena) {
    jc_solver *s = JC_NEW(arena, jc_solver);
    s->graph = f->graph;
    s->guards = f->guards;
    s->nparams = f->nparams;
    s->nsyms = jc_sym_count(f->graph->exprs);
    s->params = JC_NEWN(arena, parameter, f->nparams);
    for (uint32_t i = 0; i < f->nparams; i++)
        add_param(f->graph->exprs, &s->params[i], f->params[i], arena);
    return s;
}

bool jc_solver_uses(const jc_solver *s, uint32_t param) {
    return s->params[param].symbols;
}

/* ---- in a call -------------------------------------------------------------------------------------------------- */

typedef struct solving {
    const jc_solver *s;
    const jc_solve_call *call;
    uint32_t unknown; /* symbols */
    bool progress;
    jc_error *err;
} solving;

/* call->owner: 1 + the parameter that gave the symbol; 0: unknown. */
static void settle(solving *g, uint32_t sym, int64_t value, uint32_t param) {
    g->call->syms[sym] = value;
    g->call->owner[sym] = param + 1;
    g->unknown--;
    g->progress = true;
}

static void solve(solving *g, uint32_t param, const equation *q, int64_t value) {
    const part *open = NULL;
    int64_t c, r;
    for (uint32_t i = 0; i < q->nparts; i++) {
        if (q->parts[i].sym < g->s->nsyms && g->call->owner[q->parts[i].sym])
            continue;
        if (open)
            return;
        open = &q->parts[i];
    }
    if (!open || open->sym >= g->s->nsyms)
        return;
    if (q->lone) {
        settle(g, open->sym, value, param);
        return;
    }
    if (!open->coefficient || !jc_ex_eval(open->coefficient, g->call->syms, g->s->nsyms, &c) ||
        !jc_ex_eval(open->rest, g->call->syms, g->s->nsyms, &r))
        return;
    /* What has no whole solution is left to the check. */
    if (c == 0 || __builtin_sub_overflow(value, r, &value) || (c == -1 && value == INT64_MIN) || value % c != 0)
        return;
    settle(g, open->sym, value / c, param);
}

/* ---- what went wrong -------------------------------------------------------------------------------------------- */

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

const char *jc_symbols_text(const jc_graph *g, const jc_expr *const *at, uint32_t n, const int64_t *syms, jc_arena *arena) {
    listing l = { g, syms, JC_NEWN(arena, bool, jc_sym_count(g->exprs) + 1), JC_BYTES(arena) };
    for (uint32_t i = 0; i < n; i++)
        jc_ex_symbols(at[i], list_symbol, &l);
    jc_put_u8(&l.text, 0);
    return (const char *)l.text.at;
}

/* The text of E and, unless NULL, of the values of its symbols, without touching the graph's memory, which others may be using. */
typedef struct texts {
    char e[160], syms[160];
} texts;

static void texts_of(const jc_graph *g, const jc_expr *e, const int64_t *syms, texts *out) {
    jc_arena *arena = jc_arena_new(jc_arena_allocator(g->arena));
    jc_guard guard;
    snprintf(out->e, sizeof out->e, "another value");
    snprintf(out->syms, sizeof out->syms, "these symbols");
    if (!arena)
        return;
    if (JC_GUARD(arena, &guard) == 0) {
        snprintf(out->e, sizeof out->e, "%s", jc_ex_text(g->exprs, e, arena));
        if (syms)
            snprintf(out->syms, sizeof out->syms, "%s", jc_symbols_text(g, &e, 1, syms, arena));
    }
    jc_guard_end(arena, &guard);
    jc_arena_free(arena);
}

jitc_status jc_no_value(const jc_func *f, const jc_expr *e, const int64_t *syms, int line, jc_error *err) {
    texts t;
    texts_of(f->graph, e, syms, &t);
    return jc_fail_at(err, JITC_E_INPUT, f->graph->file, line, 0, NULL,
                      "The expression %s has no value with %s: it divides by zero or leaves 64 bits.", t.e, t.syms);
}

static jitc_status differs(const solving *g, uint32_t param, const equation *q, int64_t value) {
    const jc_value *p = g->s->params[param].value;
    uint32_t owner = 0;
    char what[32] = "value";
    texts text;
    for (uint32_t i = 0; i < q->nparts; i++)
        if (q->parts[i].sym < g->s->nsyms && g->call->owner[q->parts[i].sym])
            owner = g->call->owner[q->parts[i].sym];
    if (q->dim >= 0)
        snprintf(what, sizeof what, "dim %d", q->dim);
    texts_of(g->s->graph, q->e, NULL, &text);
    if (owner && owner != param + 1)
        return jc_fail_at(g->err, JITC_E_INPUT, g->s->graph->file, p->line, 0, p->name,
                          "The %s of '%s' is %lld where %s is needed, which does not fit what '%s' gave.", what, p->name,
                          (long long)value, text.e, g->s->params[owner - 1].value->name);
    return jc_fail_at(g->err, JITC_E_INPUT, g->s->graph->file, p->line, 0, p->name, "The %s of '%s' is %lld where %s is needed.",
                      what, p->name, (long long)value, text.e);
}

static jitc_status check(const solving *g, uint32_t param, const equation *q, int64_t value) {
    int64_t expected;
    bool right = q->lone && q->e->sym < g->s->nsyms ? g->call->syms[q->e->sym] == value
                 : q->nparts ? jc_ex_eval(q->e, g->call->syms, g->s->nsyms, &expected) && expected == value
                             : jc_ex_is(q->e, value);
    return right ? JITC_OK : differs(g, param, q, value);
}

static jitc_status wrong_rank(const solving *g, uint32_t param, int rank) {
    const jc_value *p = g->s->params[param].value;
    return jc_fail_at(g->err, JITC_E_INPUT, g->s->graph->file, p->line, 0, p->name, "'%s' has %d dims where %d are needed.",
                      p->name, rank, p->type.rank);
}

typedef enum stage { DIMS, STRIDES, CHECK } stage_kind;

static jitc_status visit(solving *g, uint32_t param, stage_kind stage) {
    const jc_solver *s = g->s;
    const parameter *p = &s->params[param];
    jc_solve_fact fact = { 0 };
    int64_t row_major = 1;
    if (p->n == 0 && p->value->type.kind != JC_TENSOR)
        return JITC_OK;
    if (stage != CHECK && !p->symbols && p->value->type.kind != JC_TENSOR)
        return JITC_OK;
    g->call->fact(g->call->user, param, &fact);
    if (!fact.known)
        return JITC_OK;
    if (p->value->type.kind == JC_TENSOR && fact.rank != p->value->type.rank)
        return wrong_rank(g, param, fact.rank);
    for (uint32_t i = 0; i < p->n; i++) {
        const equation *q = &p->at[i];
        int64_t value = q->dim < 0 ? fact.integer : fact.dims[q->dim];
        if (q->stride) {
            if (stage == STRIDES && value > 1) /* the stride of a single element says nothing */
                solve(g, param, q, fact.strides ? fact.strides[q->dim] : row_major);
            row_major = (int64_t)((uint64_t)row_major * (uint64_t)value);
        } else if (stage == CHECK) {
            JC_TRY(check(g, param, q, value));
        } else if (stage == DIMS && q->nparts) {
            solve(g, param, q, value);
        }
    }
    return JITC_OK;
}

static jitc_status each(solving *g, stage_kind stage) {
    const jc_solve_call *c = g->call;
    uint32_t n = c->params ? c->nparams : g->s->nparams;
    g->progress = false;
    for (uint32_t i = 0; i < n; i++)
        JC_TRY(visit(g, c->params ? c->params[i] : i, stage));
    return JITC_OK;
}

typedef struct given {
    const uint32_t *owner;
    bool all;
} given;

static void see_given(void *user, uint32_t sym) {
    given *g = user;
    g->all &= g->owner[sym] != 0;
}

static jitc_status check_guard(const solving *g, const jc_condition *c) {
    int64_t a, b;
    texts left, right;
    if (jc_condition_holds(c, g->call->syms, g->s->nsyms, &a, &b))
        return JITC_OK;
    /* A symbol that no argument gives is what a certain value beside it says, whatever it is. */
    given k = { g->call->owner, true };
    jc_ex_symbols(c->a, see_given, &k);
    jc_ex_symbols(c->b, see_given, &k);
    if (!k.all && (c->a->kind == JC_EX_CONST || c->b->kind == JC_EX_CONST))
        return JITC_OK;
    texts_of(g->s->graph, c->a, g->call->syms, &left);
    texts_of(g->s->graph, c->b, g->call->syms, &right);
    return jc_fail_at(g->err, JITC_E_INPUT, g->s->graph->file, c->line, 0, NULL,
                      "The text says that %s is %s, but they are %lld (%s) and %lld (%s).", left.e, right.e, (long long)a, left.syms,
                      (long long)b, right.syms);
}

jitc_status jc_solver_run(const jc_solver *s, const jc_solve_call *call, jc_error *err) {
    solving g = { .s = s, .call = call, .unknown = s->nsyms, .err = err };
    bool more = true;
    memset(call->owner, 0, s->nsyms * sizeof *call->owner);
    memset(call->syms, 0, s->nsyms * sizeof *call->syms);
    do { /* strides only for what the dims do not tell */
        JC_TRY(each(&g, DIMS));
        more = g.progress;
        if (g.unknown && !more) {
            JC_TRY(each(&g, STRIDES));
            more = g.progress;
        }
    } while (g.unknown && more);
    for (uint32_t k = 0; k < s->nsyms; k++)
        if (!call->owner[k])
            call->syms[k] = call->fallbacks && k < call->nfallbacks ? call->fallbacks[k] : call->fallback;
    JC_TRY(each(&g, CHECK));
    for (size_t i = 0; i < s->guards.n; i++)
        JC_TRY(check_guard(&g, &s->guards.at[i]));
    return JITC_OK;
}

/* ---- once ------------------------------------------------------------------------------------------------------- */

jitc_status jc_solve_facts(const jc_func *f, jc_solve_source *fact, void *user, const int64_t *fallbacks,
                           uint32_t nfallbacks, int64_t fallback, int64_t *syms, jc_error *err) {
    jc_arena *arena = jc_arena_new(jc_arena_allocator(f->graph->arena));
    jc_guard inner, outer; /* linear parts are added to the graph's table */
    volatile jitc_status status = JITC_E_NOMEM;
    if (!arena)
        return jc_fail(err, JITC_E_NOMEM, "Out of memory while the sizes of a call are solved.");
    if (JC_GUARD(f->graph->arena, &outer) == 0 && JC_GUARD(arena, &inner) == 0) {
        const jc_solver *s = jc_solver_new(f, arena);
        jc_solve_call call = { .fact = fact, .user = user, .fallbacks = fallbacks, .nfallbacks = nfallbacks,
                               .fallback = fallback, .syms = syms, .owner = JC_NEWN(arena, uint32_t, s->nsyms) };
        status = jc_solver_run(s, &call, err);
    }
    jc_guard_end(arena, &inner);
    jc_guard_end(f->graph->arena, &outer);
    jc_arena_free(arena);
    return status;
}

void jc_solve_value(const jc_type *t, const jitc_value *in, jc_solve_fact *out) {
    if (t->kind == JC_TENSOR && in->tag == JITC_TENSOR && in->tensor)
        *out = (jc_solve_fact){ .known = true, .rank = in->tensor->ndim, .dims = in->tensor->shape,
                                .strides = in->tensor->strides };
    else if (t->kind == JC_SYMINT && in->tag == JITC_INT)
        *out = (jc_solve_fact){ .known = true, .integer = in->i };
}

typedef struct values {
    const jc_func *f;
    const jitc_value *in;
} values;

static void value_fact(void *user, uint32_t i, jc_solve_fact *out) {
    const values *v = user;
    jc_solve_value(&v->f->params[i]->type, &v->in[i], out);
}

jitc_status jc_solve(const jc_func *f, const jitc_value *in, int64_t fallback, int64_t *syms, jc_error *err) {
    values v = { f, in };
    return jc_solve_facts(f, value_fact, &v, NULL, 0, fallback, syms, err);
}
