/*
 * jit/api/variants.c - ranges of symbols: the variants of a class, and which of them serves a call.
 *
 * The options list ranges by symbol; several for one symbol mean several variants, each compiled for its own range.  A
 * class may be shared by pieces whose symbols have other names, so each of its symbols collects what its members ask for; where
 * every member asks for one range that is one range over all of them.  Several symbols with several ranges make the product.
 * A range from 1 to more serves 0 as well, and the scheduler reads it so: what holds from 1 on only (Max(1, s0) is s0) is no fact
 * then.
 * At run time each symbol chooses for itself: its exact size first, then the first range that holds it.
 */
#include <stdio.h>
#include <string.h>

#include "jit/api/model.h"

/* --- what the options ask for --- */

jitc_status jc_ranges_check(const jitc_model *m, const jitc_model_options *o, jc_error *err) {
    for (uint32_t i = 0; i < o->nranges; i++) {
        const jitc_range *r = &o->ranges[i];
        bool known = r->symbol == NULL;
        if (r->lo < 0 || r->hi < r->lo || r->hi > JC_SYM_MAX)
            return jc_fail(err, JITC_E_USAGE, "the range %lld:%lld is empty or outside 0:%d", (long long)r->lo,
                           (long long)r->hi, JC_SYM_MAX);
        for (uint32_t g = 0; g < m->ngraphs && !known; g++)
            known = jc_sym_find(m->graphs[g]->g->exprs, r->symbol, strlen(r->symbol)) != UINT32_MAX;
        if (!known)
            return jc_fail(err, JITC_E_USAGE, "a range is given for %s, but no graph has a symbol of that name", r->symbol);
    }
    return JITC_OK;
}

static void add(jc_intervals *to, jc_interval x) {
    for (uint32_t i = 0; i < to->n; i++)
        if (to->at[i].lo == x.lo && to->at[i].hi == x.hi)
            return;
    to->at[to->n++] = x;
}

/* The ranges given for SYMBOL by name, else those given for all, else everything from 1 up. */
static jc_intervals asked_for(const jitc_model_options *o, const char *symbol, jc_arena *arena) {
    jc_intervals out = { 0, JC_NEWN(arena, jc_interval, o->nranges + 1) };
    for (int named = 1; named >= 0 && out.n == 0; named--)
        for (uint32_t i = 0; i < o->nranges; i++) {
            const jitc_range *r = &o->ranges[i];
            if (named ? r->symbol && strcmp(r->symbol, symbol) == 0 : !r->symbol)
                add(&out, (jc_interval){ r->lo, r->hi });
        }
    if (out.n == 0)
        add(&out, (jc_interval){ 1, JC_SYM_MAX });
    return out;
}

/* --- the variants of a class --- */

static const char *symbol_name(const jitc_model *m, const jc_piece *p, uint32_t i) {
    return jc_sym_at(m->graphs[p->graph]->g->exprs, p->canon.syms[i]->sym)->name;
}

static void join(jc_intervals *to, const jc_intervals *from, jc_arena *arena) {
    if (to->n == 1 && from->n == 1) {
        jc_interval *a = to->at;
        a->lo = from->at->lo < a->lo ? from->at->lo : a->lo;
        a->hi = from->at->hi > a->hi ? from->at->hi : a->hi;
        return;
    }
    jc_interval *all = JC_NEWN(arena, jc_interval, to->n + from->n);
    if (to->n)
        memcpy(all, to->at, to->n * sizeof *all);
    to->at = all;
    for (uint32_t i = 0; i < from->n; i++)
        add(to, from->at[i]);
}

void jc_class_join(jitc_model *m, jc_class *c, const jc_piece *p, const jitc_model_options *o) {
    if (!c->ranges)
        c->ranges = JC_NEWN(m->arena, jc_intervals, p->canon.nsyms);
    for (uint32_t i = 0; i < p->canon.nsyms; i++) {
        jc_intervals own = asked_for(o, symbol_name(m, p, i), m->arena);
        join(&c->ranges[i], &own, m->arena);
    }
}

/* The numbers of a variant, one per symbol, are its digits. */
static jc_interval digit(const jc_class *c, uint32_t nsyms, uint32_t variant, uint32_t sym) {
    for (uint32_t i = nsyms - 1; i > sym; i--)
        variant /= c->ranges[i].n;
    return c->ranges[sym].at[variant % c->ranges[sym].n];
}

jitc_status jc_class_variants(jitc_model *m, jc_class *c, uint32_t nsyms, jc_error *err) {
    uint32_t n = 1;
    for (uint32_t i = 0; i < nsyms; i++) {
        if (c->ranges[i].n > JC_MAX_VARIANTS / n)
            return jc_fail(err, JITC_E_USAGE, "the ranges of the symbols of %s make more than %d variants: give fewer",
                           m->pieces[c->first].func->name, JC_MAX_VARIANTS);
        n *= c->ranges[i].n;
    }
    c->variants = JC_NEWN(m->arena, jc_variant, n);
    c->nvariants = n; /* not before: what is counted is freed, also when memory runs out here */
    for (uint32_t v = 0; v < c->nvariants; v++) {
        int64_t *lo = JC_NEWN(m->arena, int64_t, nsyms), *hi = JC_NEWN(m->arena, int64_t, nsyms);
        for (uint32_t i = 0; i < nsyms; i++) {
            lo[i] = digit(c, nsyms, v, i).lo;
            hi[i] = digit(c, nsyms, v, i).hi;
        }
        c->variants[v].request = (jc_request){ .target = m->target, .lo = lo, .hi = hi };
    }
    return JITC_OK;
}

const jc_exec *jc_class_loaded(const jc_class *c) {
    for (uint32_t v = 0; v < c->nvariants; v++)
        if (c->variants[v].exec)
            return c->variants[v].exec;
    return NULL;
}

/* --- choosing --- */

static uint32_t choose(const jc_intervals *list, int64_t v) {
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i].lo == v && list->at[i].hi == v)
            return i;
    for (uint32_t i = 0; i < list->n; i++)
        if (jc_range_first(list->at[i].lo, list->at[i].hi) <= v && v <= list->at[i].hi)
            return i;
    return UINT32_MAX;
}

static void list_text(const jc_intervals *list, char *out, size_t size) {
    size_t n = 0;
    for (uint32_t i = 0; i < list->n && n < size; i++) {
        const jc_interval *r = &list->at[i];
        const char *comma = i == 0 ? "" : i + 1 < list->n ? ", " : " and ";
        int more = r->lo == r->hi ? snprintf(out + n, size - n, "%s%lld", comma, (long long)r->lo)
                                  : snprintf(out + n, size - n, "%s%lld to %lld", comma, (long long)r->lo, (long long)r->hi);
        n += more > 0 ? (size_t)more : 0;
    }
}

jitc_status jc_class_dispatch(const jitc_model *m, const jc_piece *p, const int64_t *syms, uint32_t *out, jc_error *err) {
    const jc_class *c = &m->classes[p->cls];
    *out = 0;
    for (uint32_t i = 0; i < p->canon.nsyms; i++) {
        uint32_t which = choose(&c->ranges[i], syms[i]);
        char text[400] = "";
        if (which == UINT32_MAX) {
            list_text(&c->ranges[i], text, sizeof text);
            return jc_fail(err, JITC_E_INPUT, "symbol %s is %lld, but %s was compiled for %s: %s", symbol_name(m, p, i), (long long)syms[i], p->func->name, text,
                           syms[i] < 0 ? "symbols start at 0, as sizes do" : "compile it for a range that holds that as well");
        }
        *out = *out * c->ranges[i].n + which;
    }
    return JITC_OK;
}
