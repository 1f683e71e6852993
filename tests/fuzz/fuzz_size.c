/*
 * tests/fuzz/fuzz_size.c - sizes of dims as polynomials over a program's variables.
 *
 * A form of its own, poorer than the library's: equal forms are equal sizes, and nothing else is claimed.  What does not fit marks
 * the statement under construction as bad.
 */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <string.h>

fz_size fz_int(int64_t k) {
    fz_size s = { 0 };
    if (k)
        s.term[s.n++].by = k;
    return s;
}

static fz_size of_atom(int atom) {
    fz_size s = { .n = 1 };
    s.term[0] = (fz_term){ .by = 1, .n = 1 };
    s.term[0].atom[0] = (uint8_t)atom;
    return s;
}

static bool equal(const fz_size *a, const fz_size *b) {
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->term[i].by != b->term[i].by || a->term[i].n != b->term[i].n ||
            memcmp(a->term[i].atom, b->term[i].atom, a->term[i].n) != 0)
            return false;
    return true;
}

static fz_size atom(fz_prog *p, uint8_t kind, int var, fz_size a, fz_size b) {
    for (int i = 0; i < p->natoms; i++) {
        const fz_atom *t = &p->atoms[i];
        if (t->kind == kind && t->var == var && equal(&t->a, &a) && equal(&t->b, &b))
            return of_atom(i);
    }
    if (p->natoms == FZ_ATOMS) {
        p->bad = true;
        return fz_int(1);
    }
    p->atoms[p->natoms] = (fz_atom){ .kind = kind, .var = (uint8_t)var, .a = a, .b = b };
    return of_atom(p->natoms++);
}

fz_size fz_var_size(fz_prog *p, int var) {
    return atom(p, FZ_VAR, var, fz_int(0), fz_int(0));
}

static int order(const fz_term *a, const fz_term *b) {
    if (a->n != b->n)
        return a->n - b->n;
    return memcmp(a->atom, b->atom, a->n);
}

static void add_term(fz_prog *p, fz_size *s, fz_term t) {
    int i = 0;
    while (i < s->n && order(&s->term[i], &t) < 0)
        i++;
    if (i < s->n && order(&s->term[i], &t) == 0) {
        s->term[i].by += t.by;
        if (s->term[i].by == 0) {
            memmove(&s->term[i], &s->term[i + 1], sizeof t * (size_t)(s->n - i - 1));
            s->n--;
        }
        return;
    }
    if (t.by == 0)
        return;
    if (s->n == FZ_TERMS) {
        p->bad = true;
        return;
    }
    memmove(&s->term[i + 1], &s->term[i], sizeof t * (size_t)(s->n - i));
    s->term[i] = t;
    s->n++;
}

fz_size fz_add(fz_prog *p, fz_size a, fz_size b) {
    for (int i = 0; i < b.n; i++)
        add_term(p, &a, b.term[i]);
    return a;
}

fz_size fz_sub(fz_prog *p, fz_size a, fz_size b) {
    for (int i = 0; i < b.n; i++) {
        b.term[i].by = -b.term[i].by;
        add_term(p, &a, b.term[i]);
    }
    return a;
}

static fz_term times(fz_prog *p, const fz_term *a, const fz_term *b) {
    fz_term t = { .by = a->by * b->by };
    if (a->n + b->n > FZ_FACTORS) {
        p->bad = true;
        return t;
    }
    for (int i = 0, k = 0; i < a->n || k < b->n;)
        t.atom[t.n++] = k == b->n || (i < a->n && a->atom[i] <= b->atom[k]) ? a->atom[i++] : b->atom[k++];
    return t;
}

fz_size fz_mul(fz_prog *p, fz_size a, fz_size b) {
    fz_size s = { 0 };
    for (int i = 0; i < a.n; i++)
        for (int k = 0; k < b.n; k++)
            add_term(p, &s, times(p, &a.term[i], &b.term[k]));
    return s;
}

static bool number(const fz_size *a, int64_t *k) {
    *k = a->n ? a->term[0].by : 0;
    return a->n == 0 || (a->n == 1 && a->term[0].n == 0);
}

fz_size fz_min(fz_prog *p, fz_size a, fz_size b) {
    int64_t x, y;
    if (equal(&a, &b))
        return a;
    if (number(&a, &x) && number(&b, &y))
        return fz_int(x < y ? x : y);
    return atom(p, FZ_MIN, 0, a, b);
}

fz_size fz_max(fz_prog *p, fz_size a, fz_size b) {
    int64_t x, y;
    if (equal(&a, &b))
        return a;
    if (number(&a, &x) && number(&b, &y))
        return fz_int(x > y ? x : y);
    return atom(p, FZ_MAX, 0, a, b);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

bool fz_divides(const fz_prog *p, const fz_size *a, int64_t k, fz_size *quotient) {
    int64_t value;
    if (fz_is_const(p, a, &value)) {
        *quotient = fz_int(value / k);
        return value % k == 0;
    }
    *quotient = *a;
    for (int i = 0; i < a->n; i++) {
        if (a->term[i].by % k)
            return false;
        quotient->term[i].by /= k;
    }
    return true;
}

fz_size fz_fdiv(fz_prog *p, fz_size a, int64_t k) {
    fz_size q;
    int64_t x;
    if (number(&a, &x))
        return fz_int(floor_div(x, k));
    if (fz_divides(p, &a, k, &q))
        return q;
    return atom(p, FZ_FDIV, 0, a, fz_int(k));
}

fz_size fz_mod(fz_prog *p, fz_size a, int64_t k) {
    fz_size q;
    int64_t x;
    if (number(&a, &x))
        return fz_int(x - floor_div(x, k) * k);
    if (fz_divides(p, &a, k, &q))
        return fz_int(0);
    return atom(p, FZ_MOD, 0, a, fz_int(k));
}

/* --- values --- */

static int64_t atom_value(const fz_prog *p, const fz_atom *t, int run) {
    int64_t a, b;
    if (t->kind == FZ_VAR)
        return p->vars[t->var].value[run];
    a = fz_value_of(p, &t->a, run);
    b = fz_value_of(p, &t->b, run);
    switch (t->kind) {
    case FZ_FDIV: return floor_div(a, b);
    case FZ_MOD: return a - floor_div(a, b) * b;
    case FZ_MIN: return a < b ? a : b;
    default: return a > b ? a : b;
    }
}

int64_t fz_value_of(const fz_prog *p, const fz_size *a, int run) {
    int64_t sum = 0;
    for (int i = 0; i < a->n; i++) {
        int64_t t = a->term[i].by;
        for (int k = 0; k < a->term[i].n; k++)
            t *= atom_value(p, &p->atoms[a->term[i].atom[k]], run);
        sum += t;
    }
    return sum;
}

int64_t fz_least(const fz_prog *p, const fz_size *a) {
    int64_t least = fz_value_of(p, a, 0);
    for (int r = 1; r < p->nruns; r++) {
        const int64_t x = fz_value_of(p, a, r);
        least = x < least ? x : least;
    }
    return least;
}

int64_t fz_most(const fz_prog *p, const fz_size *a) {
    int64_t most = fz_value_of(p, a, 0);
    for (int r = 1; r < p->nruns; r++) {
        const int64_t x = fz_value_of(p, a, r);
        most = x > most ? x : most;
    }
    return most;
}

static void symbols_of_atom(const fz_prog *p, const fz_atom *t, unsigned *mask) {
    if (t->kind == FZ_VAR) {
        if (p->vars[t->var].symbol)
            *mask |= 1u << t->var;
        return;
    }
    fz_symbols_of(p, &t->a, mask);
    fz_symbols_of(p, &t->b, mask);
}

void fz_symbols_of(const fz_prog *p, const fz_size *a, unsigned *mask) {
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < a->term[i].n; k++)
            symbols_of_atom(p, &p->atoms[a->term[i].atom[k]], mask);
}

bool fz_is_const(const fz_prog *p, const fz_size *a, int64_t *k) {
    unsigned mask = 0;
    fz_symbols_of(p, a, &mask);
    if (mask == 0)
        *k = fz_value_of(p, a, 0);
    return mask == 0;
}

bool fz_is(const fz_prog *p, const fz_size *a, int64_t k) {
    int64_t x;
    return fz_is_const(p, a, &x) && x == k;
}

bool fz_same(const fz_prog *p, const fz_size *a, const fz_size *b) {
    int64_t x, y;
    return equal(a, b) || (fz_is_const(p, a, &x) && fz_is_const(p, b, &y) && x == y);
}

/* --- text --- */

/* In annotations sympy's functions, in statements torch's. */
static void print_atom(const fz_prog *p, const fz_atom *t, bool code, jc_bytes *out) {
    static const char *const before[2][5] = { { "s", "((", "((", "Min(", "Max(" },
                                              { "s", "((", "((", "torch.sym_min(", "torch.sym_max(" } };
    static const char *const between[] = { "", ")//(", ") % (", ", ", ", " }, *const after[] = { "", "))", "))", ")", ")" };
    jc_put_text(out, "%s", before[code][t->kind]);
    if (t->kind == FZ_VAR) {
        jc_put_text(out, "%d", t->var);
        return;
    }
    fz_print_size(p, &t->a, code, out);
    jc_put_text(out, "%s", between[t->kind]);
    fz_print_size(p, &t->b, code, out);
    jc_put_text(out, "%s", after[t->kind]);
}

/* What the text has as a constant is multiplied into BY. */
static bool constant_atom(const fz_prog *p, const fz_atom *t, int64_t *by) {
    unsigned mask = 0;
    symbols_of_atom(p, t, &mask);
    if (mask == 0)
        *by *= atom_value(p, t, 0);
    return mask == 0;
}

void fz_print_size(const fz_prog *p, const fz_size *a, bool code, jc_bytes *out) {
    int64_t constant = 0;
    bool first = true;
    for (int i = 0; i < a->n; i++) {
        const fz_term *t = &a->term[i];
        int64_t by = t->by;
        int left = 0;
        uint8_t atoms[FZ_FACTORS];
        for (int k = 0; k < t->n; k++)
            if (!constant_atom(p, &p->atoms[t->atom[k]], &by))
                atoms[left++] = t->atom[k];
        if (left == 0 || by == 0) {
            constant += by;
            continue;
        }
        jc_put_text(out, "%s", first ? (by < 0 ? "-" : "") : by < 0 ? " - " : " + ");
        first = false;
        by = by < 0 ? -by : by;
        if (by != 1)
            jc_put_text(out, "%" PRId64 "*", by);
        for (int k = 0; k < left; k++) {
            if (k)
                jc_put_text(out, "*");
            print_atom(p, &p->atoms[atoms[k]], code, out);
        }
    }
    if (first)
        jc_put_text(out, "%" PRId64, constant);
    else if (constant)
        jc_put_text(out, constant < 0 ? " - %" PRId64 : " + %" PRId64, constant < 0 ? -constant : constant);
}
