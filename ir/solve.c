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
    part *parts;      /* of a stride: first those that are in few strides */
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

/* Where all but one symbol of a stride are set to something small, it is the one that fewer others depend on. */
static void order_parts(jc_solver *s, jc_arena *arena) {
    uint32_t *uses = JC_NEWN(arena, uint32_t, s->nsyms + 1);
    for (int sort = 0; sort < 2; sort++)
        for (uint32_t i = 0; i < s->nparams; i++)
            for (uint32_t k = 0; k < s->params[i].n; k++) {
                const equation *q = &s->params[i].at[k];
                for (uint32_t n = 0; q->stride && n < q->nparts; n++) {
                    if (!sort)
                        uses[q->parts[n].sym]++;
                    for (uint32_t j = n; sort && j > 0 && uses[q->parts[j].sym] < uses[q->parts[j - 1].sym]; j--) {
                        part swap = q->parts[j];
                        q->parts[j] = q->parts[j - 1];
                        q->parts[j - 1] = swap;
                    }
                }
            }
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
    order_parts(s, arena);
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
    struct {
        uint32_t param, nopen; /* NOPEN of its symbols are unknown; 0: there is no such equation */
        const equation *q;
        int64_t value;
    } fewest;         /* OPEN: the dim with the fewest unknown symbols, or where no dim has any, the stride */
    bool agree;       /* AGREE: no dim or stride is refuted */
    jc_solve_origin *origins; /* NULL: in a call; else nothing has a value, and what would give one is noted */
    jc_error *err;
} solving;

/* call->owner: 1 + the parameter that gave the symbol; 0: unknown; or one of these. */
#define SOUGHT (UINT32_MAX - 1) /* any value would do that fits */
#define TRIED UINT32_MAX

static bool is_given(uint32_t owner) {
    return owner && owner < SOUGHT;
}

static bool is_known(const solving *g, uint32_t sym) {
    return g->call->owner[sym] != 0;
}

static void settle(solving *g, uint32_t sym, int64_t value, uint32_t param) {
    g->call->syms[sym] = value;
    g->call->owner[sym] = param + 1;
    g->unknown--;
    g->progress = true;
}

/* The only unknown symbol of Q; NULL: there is none, or another one. */
static const part *only_unknown(const solving *g, const equation *q) {
    const part *open = NULL;
    for (uint32_t i = 0; i < q->nparts; i++) {
        if (is_known(g, q->parts[i].sym))
            continue;
        if (open)
            return NULL;
        open = &q->parts[i];
    }
    return open;
}

/* What is not linear is none of its business: false, as where there is no whole solution. */
static bool whole_solution(const solving *g, const part *p, int64_t value, int64_t *out) {
    int64_t c, r;
    if (!p->coefficient || !jc_ex_eval(p->coefficient, g->call->syms, g->s->nsyms, &c) ||
        !jc_ex_eval(p->rest, g->call->syms, g->s->nsyms, &r))
        return false;
    if (c == 0 || __builtin_sub_overflow(value, r, &value) || (c == -1 && value == INT64_MIN) || value % c != 0)
        return false;
    *out = value / c;
    return true;
}

/* What has no solution is left to the check. */
static void solve(solving *g, uint32_t param, const equation *q, int64_t value) {
    const part *open = only_unknown(g, q);
    if (!open)
        return;
    if (g->origins) {
        if (!open->coefficient)
            return;
        g->origins[open->sym] = (jc_solve_origin){ true, param, q->dim, q->stride };
        settle(g, open->sym, value, param);
    } else if (q->lone || whole_solution(g, open, value, &value)) {
        settle(g, open->sym, value, param);
    }
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
        if (q->parts[i].sym < g->s->nsyms && is_given(g->call->owner[q->parts[i].sym]))
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

typedef enum stage { DIMS, STRIDES, OPEN, AGREE, CHECK } stage_kind;

/* Does Q come out as VALUE, or can it still? */
static bool comes_out(const solving *g, const equation *q, uint32_t nopen, int64_t value) {
    int64_t got;
    if (nopen == 0)
        return jc_ex_eval(q->e, g->call->syms, g->s->nsyms, &got) && got == value;
    const part *open = only_unknown(g, q);
    return !open || !open->coefficient || whole_solution(g, open, value, &got);
}

static void note_open(solving *g, uint32_t param, const equation *q, int64_t value, uint32_t nopen) {
    const bool first = !g->fewest.nopen, before = !first && !q->stride && g->fewest.q->stride;
    if (!first && !before && (q->stride != g->fewest.q->stride || nopen >= g->fewest.nopen))
        return;
    g->fewest.param = param;
    g->fewest.nopen = nopen;
    g->fewest.q = q;
    g->fewest.value = value;
}

/* Q has VALUE; strides are looked at from stage STRIDES on. */
static void on_equation(solving *g, uint32_t param, const equation *q, int64_t value, stage_kind stage) {
    uint32_t nopen = 0;
    for (uint32_t i = 0; i < q->nparts; i++)
        nopen += !is_known(g, q->parts[i].sym);
    if (stage == (q->stride ? STRIDES : DIMS))
        solve(g, param, q, value);
    else if (stage == OPEN && nopen)
        note_open(g, param, q, value, nopen);
    else if (stage == AGREE)
        g->agree &= comes_out(g, q, nopen, value);
}

static bool has_elements(const jc_solve_fact *t) {
    for (int d = 0; d < t->rank; d++)
        if (t->dims[d] <= 0)
            return false;
    return true;
}

static jitc_status visit(solving *g, uint32_t param, stage_kind stage) {
    const jc_solver *s = g->s;
    const parameter *p = &s->params[param];
    jc_solve_fact fact = { 0 };
    int64_t row_major = 1;
    bool laid;
    if (p->n == 0 && p->value->type.kind != JC_TENSOR)
        return JITC_OK;
    if (stage != CHECK && !p->symbols && p->value->type.kind != JC_TENSOR)
        return JITC_OK;
    g->call->fact(g->call->user, param, &fact);
    if (!fact.known)
        return JITC_OK;
    if (p->value->type.kind == JC_TENSOR && fact.rank != p->value->type.rank)
        return wrong_rank(g, param, fact.rank);
    laid = stage != DIMS && stage != CHECK && p->value->type.kind == JC_TENSOR && !fact.dims_alone && has_elements(&fact);
    for (uint32_t i = 0; i < p->n; i++) {
        const equation *q = &p->at[i];
        int64_t value = q->dim < 0 ? fact.integer : fact.dims[q->dim];
        if (q->stride) {
            if (laid && value > 1)
                on_equation(g, param, q, fact.strides ? fact.strides[q->dim] : row_major, stage);
            row_major = (int64_t)((uint64_t)row_major * (uint64_t)value);
        } else if (stage == CHECK) {
            JC_TRY(check(g, param, q, value));
        } else if (q->nparts) {
            on_equation(g, param, q, value, stage);
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

/* ---- what no linear equation gives ------------------------------------------------------------------------------ */

enum { MOST_SOLUTIONS = 64, MOST_STEPS = 256 };

/* A symbol's values: FIRST + STEP * i, 0 <= i <= LAST. */
typedef struct range {
    int64_t first, step, last;
} range;

static range range_of(const solving *g, uint32_t sym, int64_t least) {
    const jc_sym *s = jc_sym_at(g->s->graph->exprs, sym);
    const jc_solve_call *c = g->call;
    int64_t step = s->divisor > 1 ? s->divisor : 1, lo = s->lo > least ? s->lo : least, hi = s->hi;
    if (c->bounds && sym < c->nfallbacks) {
        lo = c->bounds[2 * sym] > lo ? c->bounds[2 * sym] : lo;
        hi = c->bounds[2 * sym + 1] < hi ? c->bounds[2 * sym + 1] : hi;
    }
    lo = (lo + step - 1) / step * step;
    return (range){ lo, step, lo > hi ? 0 : (hi - lo) / step };
}

/* Does the equation at hand come out with X for SYM? */
static bool fits(const solving *g, uint32_t sym, int64_t x) {
    int64_t value;
    g->call->syms[sym] = x;
    return jc_ex_eval(g->fewest.q->e, g->call->syms, g->s->nsyms, &value) && value == g->fewest.value;
}

/* Finds the least of SYM's values that fits, if the expression grows with it; else one of the first. */
static bool find_fit(const solving *g, uint32_t sym, const range *r, int64_t *i) {
    int64_t lo = 0, hi = r->last, value;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        g->call->syms[sym] = r->first + mid * r->step;
        if (!jc_ex_eval(g->fewest.q->e, g->call->syms, g->s->nsyms, &value) || value >= g->fewest.value) /* or leaves 64 bits */
            hi = mid;
        else
            lo = mid + 1;
    }
    *i = lo;
    for (int64_t k = 0; !fits(g, sym, r->first + *i * r->step); k++) {
        if (k > r->last || k >= MOST_STEPS)
            return false;
        *i = k;
    }
    return true;
}

typedef struct given {
    const uint32_t *owner;
    bool solved, known; /* all of them: by an argument; at all */
} given;

static void see_given(void *user, uint32_t sym) {
    given *g = user;
    g->solved &= is_given(g->owner[sym]);
    g->known &= g->owner[sym] != 0;
}

static given givens_of(const solving *g, const jc_condition *c) {
    given k = { g->call->owner, true, true };
    jc_ex_symbols(c->a, see_given, &k);
    jc_ex_symbols(c->b, see_given, &k);
    return k;
}

/* Is nothing refuted by the values so far? */
static bool agrees(solving *g) {
    int64_t a, b;
    for (size_t i = 0; i < g->s->guards.n; i++)
        if (givens_of(g, &g->s->guards.at[i]).known && !jc_condition_holds(&g->s->guards.at[i], g->call->syms, g->s->nsyms, &a, &b))
            return false;
    g->agree = true;
    return each(g, AGREE) == JITC_OK && g->agree;
}

static int64_t fallback_of(const jc_solve_call *c, uint32_t sym) {
    return c->fallbacks && sym < c->nfallbacks ? c->fallbacks[sym] : c->fallback;
}

/* A value of SYM with which the equation at hand comes out, all else being given; with PICKY one that refutes nothing. */
static bool settle_last(solving *g, uint32_t sym, bool picky) {
    range r = range_of(g, sym, 0);
    int64_t i;
    if (fits(g, sym, fallback_of(g->call, sym)) && (!picky || agrees(g)))
        return true;
    if (!find_fit(g, sym, &r, &i))
        return false;
    for (int64_t end = i + MOST_SOLUTIONS; i < end && i <= r.last && fits(g, sym, r.first + i * r.step); i++)
        if (!picky || agrees(g))
            return true;
    return false;
}

/* Gives the unknown symbols of the equation at hand values: small ones to all but the K-th, of the first of these one after the other.
   False, and they stay unknown: then that one has none. */
static bool settle_all(solving *g, uint32_t k, bool picky) {
    const equation *q = g->fewest.q;
    uint32_t *owner = g->call->owner, n = 0, other = k;
    for (uint32_t i = 0; i < q->nparts; i++)
        if (!owner[q->parts[i].sym]) {
            g->call->syms[q->parts[i].sym] = range_of(g, q->parts[i].sym, 1).first;
            owner[q->parts[i].sym] = TRIED;
            other = other == k ? i : other;
            n++;
        }
    range r = range_of(g, q->parts[other].sym, 1);
    bool found = g->origins != NULL;
    for (int64_t i = 0; !found && i <= (other == k ? 0 : r.last) && i < MOST_SOLUTIONS; i++) {
        g->call->syms[q->parts[other].sym] = r.first + i * r.step;
        found = settle_last(g, q->parts[k].sym, picky);
    }
    if (g->origins)
        g->origins[q->parts[k].sym] = (jc_solve_origin){ true, g->fewest.param, q->dim, q->stride };
    for (uint32_t i = 0; i < q->nparts; i++)
        if (owner[q->parts[i].sym] == TRIED)
            owner[q->parts[i].sym] = found ? SOUGHT : 0;
    g->unknown -= found ? n : 0;
    g->progress |= found;
    return found;
}

/* Looks for values with which one more dim or stride comes out. */
static jitc_status seek(solving *g) {
    g->fewest.nopen = 0;
    JC_TRY(each(g, OPEN));
    g->progress = false;
    for (int picky = 1; picky >= 0 && g->fewest.nopen; picky--)
        for (uint32_t k = 0; k < g->fewest.q->nparts; k++)
            if (!is_known(g, g->fewest.q->parts[k].sym) && settle_all(g, k, picky))
                return JITC_OK;
    return JITC_OK;
}

static jitc_status check_guard(const solving *g, const jc_condition *c) {
    int64_t a, b;
    texts left, right;
    if (jc_condition_holds(c, g->call->syms, g->s->nsyms, &a, &b))
        return JITC_OK;
    /* A symbol that no argument gives is what a certain value beside it says, whatever it is. */
    if (!givens_of(g, c).solved && (c->a->kind == JC_EX_CONST || c->b->kind == JC_EX_CONST || g->call->fallback < 0))
        return JITC_OK;
    texts_of(g->s->graph, c->a, g->call->syms, &left);
    texts_of(g->s->graph, c->b, g->call->syms, &right);
    if (c->rel != JC_REL_EQ)
        return jc_fail_at(g->err, JITC_E_INPUT, g->s->graph->file, c->line, 0, NULL,
                          "The graph was made for calls where %s %s %s, but they are %lld (%s) and %lld (%s).", left.e,
                          c->rel == JC_REL_NE ? "!=" : "<=", right.e, (long long)a, left.syms, (long long)b, right.syms);
    return jc_fail_at(g->err, JITC_E_INPUT, g->s->graph->file, c->line, 0, NULL,
                      "The text says that %s is %s, but they are %lld (%s) and %lld (%s).", left.e, right.e, (long long)a, left.syms,
                      (long long)b, right.syms);
}

/* Dims first, strides only for what they do not tell. */
static jitc_status settle_symbols(solving *g) {
    bool more;
    memset(g->call->owner, 0, g->s->nsyms * sizeof *g->call->owner);
    memset(g->call->syms, 0, g->s->nsyms * sizeof *g->call->syms);
    g->unknown = g->s->nsyms;
    do {
        JC_TRY(each(g, DIMS));
        more = g->progress;
        if (g->unknown && !more) {
            JC_TRY(each(g, STRIDES));
            more = g->progress;
        }
        if (g->unknown && !more) {
            JC_TRY(seek(g));
            more = g->progress;
        }
    } while (g->unknown && more);
    return JITC_OK;
}

jitc_status jc_solver_run(const jc_solver *s, const jc_solve_call *call, jc_error *err) {
    solving g = { .s = s, .call = call, .err = err };
    JC_TRY(settle_symbols(&g));
    for (uint32_t k = 0; k < s->nsyms; k++)
        if (!call->owner[k])
            call->syms[k] = fallback_of(call, k);
    JC_TRY(each(&g, CHECK));
    for (size_t i = 0; i < s->guards.n; i++)
        JC_TRY(check_guard(&g, &s->guards.at[i]));
    return JITC_OK;
}

/* ---- without a call ---------------------------------------------------------------------------------------------- */

/* Several elements in every dim. */
static void any_fact(void *user, uint32_t param, jc_solve_fact *out) {
    static const int64_t dims[JC_MAX_RANK] = { 2, 2, 2, 2, 2, 2, 2, 2 };
    const jc_solver *s = user;
    *out = (jc_solve_fact){ .known = true, .rank = s->params[param].value->type.rank, .dims = dims };
}

const jc_solve_origin *jc_solver_origins(const jc_solver *s, jc_arena *arena) {
    jc_error err = JC_ERROR_INIT;
    jc_solve_call call = { .fact = any_fact, .user = (void *)(uintptr_t)s, .syms = JC_NEWN(arena, int64_t, s->nsyms),
                           .owner = JC_NEWN(arena, uint32_t, s->nsyms) };
    solving g = { .s = s, .call = &call, .origins = JC_NEWN(arena, jc_solve_origin, s->nsyms), .err = &err };
    (void)settle_symbols(&g); /* only a wrong rank could fail */
    return g.origins;
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
