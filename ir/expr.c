/*
 * ir/expr.c - the table of expressions: interning, normal form of sums and products, Min and Max, substitution, values.
 *
 * Division and what it needs to know (bounds, divisors) are in expr_div.c, text and bytes in expr_text.c.
 *
 * A sum is a list of terms sorted by their atoms, a product a list of atoms sorted by jc_expr_order, so adding two
 * sums or multiplying two terms is a merge.  Every node is interned: normal forms that are equal are one pointer, and
 * comparing is free.  The hash is of structure (kinds, constants, symbol numbers), so it does not depend on the order in which
 * things were made.  Where an expression has no value at all for some symbols (a divisor that is 0), simplification may give it one.
 */
#include <string.h>
#include "ir/expr_priv.h"

/* ---- the table ---- */

#define FIRST_SLOTS 128u

static jc_expr *node_new(jc_exprs *t, jc_expr_kind kind, uint32_t n) {
    jc_expr *e = jc_arena_alloc(t->arena, sizeof *e + n * sizeof e->args[0]);
    e->kind = (uint8_t)kind;
    e->n = n;
    e->weight = 1;
    return e;
}

jc_exprs *jc_exprs_new(jc_arena *arena) {
    jc_exprs *t = JC_NEW(arena, jc_exprs);
    t->arena = arena;
    t->slots = JC_NEWN(arena, const jc_expr *, FIRST_SLOTS);
    t->mask = FIRST_SLOTS - 1;
    jc_expr *poison = node_new(t, JC_EX_POISON, 0);
    poison->hash = 0x6a09e667f3bcc909u;
    t->poison = poison;
    return t;
}

uint32_t jc_sym_add(jc_exprs *t, const char *name) {
    uint32_t sym = (uint32_t)t->syms.n;
    jc_sym *s = JC_NEW(t->arena, jc_sym);
    size_t length = strlen(name);
    *s = (jc_sym){ .name = jc_arena_strndup(t->arena, name, length), .lo = 0, .hi = JC_SYM_MAX, .divisor = 1 };
    jc_push(t->arena, &t->syms, s);
    jc_expr *e = node_new(t, JC_EX_SYM, 0);
    e->sym = sym;
    e->hash = (sym + 1) * 0x9e3779b97f4a7c15u;
    e->hash ^= e->hash >> 31;
    jc_push(t->arena, &t->sym_exprs, e);
    if (!t->names)
        t->names = jc_map_new(t->arena);
    if (!jc_map_get(t->names, s->name, length))
        jc_map_set(t->names, s->name, length, (void *)(uintptr_t)(sym + 1));
    return sym;
}

jc_sym *jc_sym_at(jc_exprs *t, uint32_t sym) { return t->syms.at[sym]; }
uint32_t jc_sym_count(const jc_exprs *t) { return (uint32_t)t->syms.n; }

uint32_t jc_sym_find(const jc_exprs *t, const char *name, size_t length) {
    if (!t->names)
        return UINT32_MAX;
    return (uint32_t)((uintptr_t)jc_map_get(t->names, name, length) - 1);
}

static uint64_t mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static void grow(jc_exprs *t) {
    uint32_t count = (t->mask + 1) * 2;
    const jc_expr **slots = JC_NEWN(t->arena, const jc_expr *, count);
    for (uint32_t i = 0; i <= t->mask; i++) {
        const jc_expr *e = t->slots[i];
        if (!e)
            continue;
        uint32_t at = (uint32_t)e->hash & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = e;
    }
    t->slots = slots;
    t->mask = count - 1;
}

static void enter(jc_exprs *t, uint32_t at, const jc_expr *e) {
    t->slots[at] = e;
    if (++t->count * 2 > t->mask)
        grow(t);
}

static const jc_expr *intern_int(jc_exprs *t, int64_t value) {
    uint64_t hash = mix(0x3c6ef372fe94f82bu, (uint64_t)value);
    uint32_t at = (uint32_t)hash & t->mask;
    for (const jc_expr *e; (e = t->slots[at]); at = (at + 1) & t->mask) {
        if (e->kind == JC_EX_CONST && e->value == value)
            return e;
    }
    jc_expr *e = node_new(t, JC_EX_CONST, 0);
    e->value = value;
    e->hash = hash;
    enter(t, at, e);
    return e;
}

const jc_expr *jc_ex_int(jc_exprs *t, int64_t value) {
    if (value < JC_EX_SMALL_LO || value >= JC_EX_SMALL_HI)
        return intern_int(t, value);
    const jc_expr **small = &t->small[value - JC_EX_SMALL_LO];
    return *small ? *small : (*small = intern_int(t, value));
}

const jc_expr *jc_ex_sym(jc_exprs *t, uint32_t sym) { return t->sym_exprs.at[sym]; }

const jc_expr *jc_ex_intern(jc_exprs *t, jc_expr_kind kind, const jc_expr *const *args, uint32_t n) {
    uint64_t hash = mix(0xa54ff53a5f1d36f1u, (uint64_t)kind << 32 | n);
    uint32_t weight = 1;
    for (uint32_t i = 0; i < n; i++) {
        if (args[i]->kind == JC_EX_POISON)
            return t->poison;
        hash = mix(hash, args[i]->hash);
        weight += args[i]->weight;
        if (weight > JC_EX_LIMIT)
            return t->poison;
    }
    uint32_t at = (uint32_t)hash & t->mask;
    for (const jc_expr *e; (e = t->slots[at]); at = (at + 1) & t->mask) {
        if (e->hash == hash && e->kind == kind && e->n == n && memcmp(e->args, args, n * sizeof *args) == 0)
            return e;
    }
    jc_expr *e = node_new(t, kind, n);
    e->weight = (uint16_t)weight;
    e->hash = hash;
    memcpy(e->args, args, n * sizeof *args);
    enter(t, at, e);
    return e;
}

/* ---- order ---- */

static int kind_rank(const jc_expr *e) {
    static const uint8_t rank[] = {
        [JC_EX_CONST] = 0, [JC_EX_SYM] = 1, [JC_EX_FDIV] = 2, [JC_EX_MOD] = 3,
        [JC_EX_MIN] = 4,   [JC_EX_MAX] = 5, [JC_EX_POISON] = 6, [JC_EX_MUL] = 7, [JC_EX_ADD] = 8,
    };
    return rank[e->kind];
}

static int list_order(const jc_expr *const *a, uint32_t na, const jc_expr *const *b, uint32_t nb) {
    for (uint32_t i = 0; i < na && i < nb; i++) {
        int order = jc_expr_order(a[i], b[i]);
        if (order)
            return order;
    }
    return (na > nb) - (na < nb);
}

static int atom_order(const jc_expr *a, const jc_expr *b) {
    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return kind_rank(a) - kind_rank(b);
    if (a->kind == JC_EX_SYM)
        return (a->sym > b->sym) - (a->sym < b->sym);
    return list_order(a->args, a->n, b->args, b->n);
}

int jc_atoms_order(const jc_expr *const *a, uint32_t na, const jc_expr *const *b, uint32_t nb) {
    for (uint32_t i = 0; i < na && i < nb; i++) {
        int order = atom_order(a[i], b[i]);
        if (order)
            return order;
    }
    return (na > nb) - (na < nb);
}

/* Terms by their atoms, then by coefficient; sums last. */
int jc_expr_order(const jc_expr *a, const jc_expr *b) {
    if (a == b)
        return 0;
    if (a->kind == JC_EX_ADD || b->kind == JC_EX_ADD) {
        if (a->kind != b->kind)
            return kind_rank(a) - kind_rank(b);
        return list_order(a->args, a->n, b->args, b->n);
    }
    jc_term x = jc_term_of(&a), y = jc_term_of(&b);
    int order = jc_atoms_order(x.atoms, x.n, y.atoms, y.n);
    return order ? order : (x.coef > y.coef) - (x.coef < y.coef);
}

/* ---- sums and products ---- */

const jc_expr *jc_ex_term(jc_exprs *t, int64_t coef, const jc_expr *const *atoms, uint32_t n) {
    if (n == 0 || coef == 0)
        return jc_ex_int(t, coef);
    if (coef == 1)
        return n == 1 ? atoms[0] : jc_ex_intern(t, JC_EX_MUL, atoms, n);
    if (n >= JC_EX_LIMIT)
        return t->poison;
    const jc_expr *args[JC_EX_LIMIT];
    args[0] = jc_ex_int(t, coef);
    memcpy(args + 1, atoms, n * sizeof *atoms);
    return jc_ex_intern(t, JC_EX_MUL, args, n + 1);
}

const jc_expr *jc_ex_sum(jc_exprs *t, const jc_expr *const *terms, uint32_t n) {
    return n == 0 ? jc_ex_int(t, 0) : n == 1 ? terms[0] : jc_ex_intern(t, JC_EX_ADD, terms, n);
}

/* Merges two sums. */
static const jc_expr *add_terms(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    uint32_t na = jc_ex_nterms(a), nb = jc_ex_nterms(b), n = 0;
    const jc_expr *const *ta = jc_ex_terms(&a), *const *tb = jc_ex_terms(&b);
    if (na + nb > JC_EX_LIMIT)
        return t->poison;
    const jc_expr *out[JC_EX_LIMIT];
    for (uint32_t i = 0, j = 0; i < na || j < nb;) {
        int order = i == na ? 1 : j == nb ? -1 : 0;
        if (order == 0) {
            jc_term x = jc_term_of(&ta[i]), y = jc_term_of(&tb[j]);
            int64_t coef;
            order = jc_atoms_order(x.atoms, x.n, y.atoms, y.n);
            if (order == 0) {
                if (__builtin_add_overflow(x.coef, y.coef, &coef))
                    return t->poison;
                if (coef != 0)
                    out[n++] = jc_ex_term(t, coef, x.atoms, x.n);
                i++, j++;
                continue;
            }
        }
        out[n++] = order < 0 ? ta[i++] : tb[j++];
    }
    return jc_ex_sum(t, out, n);
}

const jc_expr *jc_ex_add(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (a->kind == JC_EX_CONST && b->kind == JC_EX_CONST) {
        int64_t sum;
        return __builtin_add_overflow(a->value, b->value, &sum) ? t->poison : jc_ex_int(t, sum);
    }
    if (jc_ex_is(a, 0))
        return b;
    if (jc_ex_is(b, 0))
        return a;
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON)
        return t->poison;
    return add_terms(t, a, b);
}

/* Two terms, neither a sum. */
static const jc_expr *mul_terms(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    jc_term x = jc_term_of(&a), y = jc_term_of(&b);
    int64_t coef;
    if (__builtin_mul_overflow(x.coef, y.coef, &coef) || x.n + y.n > JC_EX_LIMIT)
        return t->poison;
    if (coef == 0)
        return jc_ex_int(t, 0);
    if (x.n == 0)
        return jc_ex_term(t, coef, y.atoms, y.n);
    if (y.n == 0)
        return jc_ex_term(t, coef, x.atoms, x.n);
    const jc_expr *atoms[JC_EX_LIMIT];
    uint32_t n = 0;
    for (uint32_t i = 0, j = 0; i < x.n || j < y.n;) {
        bool left = j == y.n || (i < x.n && atom_order(x.atoms[i], y.atoms[j]) <= 0);
        atoms[n++] = left ? x.atoms[i++] : y.atoms[j++];
    }
    return jc_ex_term(t, coef, atoms, n);
}

/* A constant times a sum: the order of terms stays. */
static const jc_expr *scale(jc_exprs *t, const jc_expr *a, const jc_expr *sum) {
    const jc_expr *out[JC_EX_LIMIT];
    for (uint32_t i = 0; i < sum->n; i++) {
        out[i] = mul_terms(t, a, sum->args[i]);
        if (out[i]->kind == JC_EX_POISON)
            return t->poison;
    }
    return jc_ex_intern(t, JC_EX_ADD, out, sum->n);
}

const jc_expr *jc_ex_mul(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (jc_ex_is(a, 1))
        return b;
    if (jc_ex_is(b, 1))
        return a;
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON)
        return t->poison;
    if (a->kind != JC_EX_ADD && b->kind != JC_EX_ADD)
        return mul_terms(t, a, b);
    if (jc_ex_is(a, 0) || jc_ex_is(b, 0))
        return jc_ex_int(t, 0);
    if (a->kind == JC_EX_CONST)
        return scale(t, a, b);
    if (b->kind == JC_EX_CONST)
        return scale(t, b, a);
    uint32_t na = jc_ex_nterms(a), nb = jc_ex_nterms(b);
    const jc_expr *const *ta = jc_ex_terms(&a), *const *tb = jc_ex_terms(&b);
    if (na * nb > JC_EX_LIMIT)
        return t->poison;
    const jc_expr *sum = jc_ex_int(t, 0);
    for (uint32_t i = 0; i < na; i++) {
        for (uint32_t j = 0; j < nb; j++)
            sum = jc_ex_add(t, sum, mul_terms(t, ta[i], tb[j]));
    }
    return sum;
}

const jc_expr *jc_ex_neg(jc_exprs *t, const jc_expr *a) { return jc_ex_mul(t, jc_ex_int(t, -1), a); }

const jc_expr *jc_ex_sub(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    int64_t difference;
    if (a->kind == JC_EX_CONST && b->kind == JC_EX_CONST)
        return __builtin_sub_overflow(a->value, b->value, &difference) ? t->poison : jc_ex_int(t, difference);
    if (a == b && a->kind != JC_EX_POISON)
        return jc_ex_int(t, 0);
    return jc_ex_add(t, a, jc_ex_neg(t, b));
}

const jc_expr *jc_ex_product(jc_exprs *t, const jc_expr *const *at, uint32_t n) {
    const jc_expr *product = n ? at[0] : jc_ex_int(t, 1);
    for (uint32_t i = 1; i < n; i++)
        product = jc_ex_mul(t, product, at[i]);
    return product;
}

/* ---- Min and Max ---- */

/* Appends E's operands (E itself if it is none) to the sorted list, dropping what another one makes irrelevant. */
static bool extremum_enter(jc_exprs *t, jc_expr_kind kind, const jc_expr *e, const jc_expr **list, uint32_t *n) {
    if (e->kind == kind)
        return extremum_enter(t, kind, e->args[0], list, n) && extremum_enter(t, kind, e->args[1], list, n);
    for (uint32_t i = 0; i < *n; i++) {
        jc_truth le = jc_ex_le(t, list[i], e), ge = jc_ex_le(t, e, list[i]);
        if (le == JC_YES ? kind == JC_EX_MIN : ge == JC_YES && kind == JC_EX_MAX)
            return true;
        if (le == JC_YES || ge == JC_YES)
            memmove(list + i, list + i + 1, (--*n - i) * sizeof *list), i--;
    }
    uint32_t at = *n;
    if (at == JC_EX_LIMIT)
        return false;
    for (; at > 0 && jc_expr_order(list[at - 1], e) > 0; at--)
        list[at] = list[at - 1];
    list[at] = e;
    ++*n;
    return true;
}

static const jc_expr *extremum(jc_exprs *t, jc_expr_kind kind, const jc_expr *a, const jc_expr *b) {
    if (a == b)
        return a;
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON)
        return t->poison;
    const jc_expr *list[JC_EX_LIMIT];
    uint32_t n = 0;
    if (!extremum_enter(t, kind, a, list, &n) || !extremum_enter(t, kind, b, list, &n))
        return t->poison;
    const jc_expr *out = list[n - 1];
    for (uint32_t i = n - 1; i-- > 0;)
        out = jc_ex_intern(t, kind, (const jc_expr *[]){ list[i], out }, 2);
    return out;
}

const jc_expr *jc_ex_min(jc_exprs *t, const jc_expr *a, const jc_expr *b) { return extremum(t, JC_EX_MIN, a, b); }
const jc_expr *jc_ex_max(jc_exprs *t, const jc_expr *a, const jc_expr *b) { return extremum(t, JC_EX_MAX, a, b); }

/* ---- looking inside ---- */

bool jc_ex_is_const(const jc_expr *e, int64_t *value) {
    if (e->kind != JC_EX_CONST)
        return false;
    if (value)
        *value = e->value;
    return true;
}

bool jc_ex_uses(const jc_expr *e, uint32_t sym) {
    if (e->kind == JC_EX_SYM)
        return e->sym == sym;
    for (uint32_t i = 0; i < e->n; i++) {
        if (jc_ex_uses(e->args[i], sym))
            return true;
    }
    return false;
}

void jc_ex_symbols(const jc_expr *e, void (*see)(void *user, uint32_t sym), void *user) {
    if (e->kind == JC_EX_SYM)
        see(user, e->sym);
    for (uint32_t i = 0; i < e->n; i++)
        jc_ex_symbols(e->args[i], see, user);
}

/* A term as coefficient * SYM; false where SYM occurs in any other way. */
static bool term_coefficient(jc_exprs *t, jc_term term, uint32_t sym, const jc_expr **coeff) {
    const jc_expr *rest[JC_EX_LIMIT];
    uint32_t n = 0, found = 0;
    for (uint32_t i = 0; i < term.n; i++) {
        const jc_expr *atom = term.atoms[i];
        if (atom->kind == JC_EX_SYM && atom->sym == sym)
            found++;
        else if (jc_ex_uses(atom, sym))
            return false;
        else
            rest[n++] = atom;
    }
    if (found != 1)
        return false;
    *coeff = jc_ex_term(t, term.coef, rest, n);
    return true;
}

bool jc_ex_linear(jc_exprs *t, const jc_expr *e, uint32_t sym, const jc_expr **coeff, const jc_expr **rest) {
    const jc_expr *c = jc_ex_int(t, 0), *r = c, *term;
    if (e->kind == JC_EX_POISON)
        return false;
    const jc_expr *const *at = jc_ex_terms(&e);
    for (uint32_t i = 0; i < jc_ex_nterms(e); i++) {
        if (!jc_ex_uses(at[i], sym)) {
            r = jc_ex_add(t, r, at[i]);
        } else if (term_coefficient(t, jc_term_of(&at[i]), sym, &term)) {
            c = jc_ex_add(t, c, term);
        } else {
            return false;
        }
    }
    *coeff = c;
    *rest = r;
    return true;
}

typedef const jc_expr *binary(jc_exprs *t, const jc_expr *a, const jc_expr *b);
static binary *const rebuild[] = {
    [JC_EX_ADD] = jc_ex_add, [JC_EX_MUL] = jc_ex_mul, [JC_EX_FDIV] = jc_ex_fdiv,
    [JC_EX_MOD] = jc_ex_mod, [JC_EX_MIN] = jc_ex_min, [JC_EX_MAX] = jc_ex_max,
};

const jc_expr *jc_ex_subst(jc_exprs *to, const jc_expr *e, const jc_expr *const *map, uint32_t n) {
    if (e->kind == JC_EX_CONST)
        return jc_ex_int(to, e->value);
    if (e->kind == JC_EX_SYM)
        return e->sym < n && map[e->sym] ? map[e->sym] : jc_ex_sym(to, e->sym);
    if (e->kind == JC_EX_POISON)
        return to->poison;
    const jc_expr *out = jc_ex_subst(to, e->args[0], map, n);
    for (uint32_t i = 1; i < e->n; i++)
        out = rebuild[e->kind](to, out, jc_ex_subst(to, e->args[i], map, n));
    return out;
}

/* ---- values ---- */

static bool apply(jc_expr_kind kind, int64_t a, int64_t b, int64_t *out) {
    switch (kind) {
    case JC_EX_ADD:
        return !__builtin_add_overflow(a, b, out);
    case JC_EX_MUL:
        return !__builtin_mul_overflow(a, b, out);
    case JC_EX_MIN:
        *out = a < b ? a : b;
        return true;
    case JC_EX_MAX:
        *out = a > b ? a : b;
        return true;
    case JC_EX_FDIV:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *out = jc_floordiv64(a, b);
        return true;
    case JC_EX_MOD:
        if (b == 0)
            return false;
        *out = jc_floormod64(a, b);
        return true;
    default:
        return false;
    }
}

bool jc_ex_eval(const jc_expr *e, const int64_t *values, uint32_t n, int64_t *out) {
    int64_t a, b;
    if (e->kind == JC_EX_CONST) {
        *out = e->value;
        return true;
    }
    if (e->kind == JC_EX_SYM) {
        if (e->sym >= n)
            return false;
        *out = values[e->sym];
        return true;
    }
    if (e->kind == JC_EX_POISON || !jc_ex_eval(e->args[0], values, n, &a))
        return false;
    for (uint32_t i = 1; i < e->n; i++) {
        if (!jc_ex_eval(e->args[i], values, n, &b) || !apply(e->kind, a, b, &a))
            return false;
    }
    *out = a;
    return true;
}
