/*
 * ir/expr_div.c - bounds and divisors of expressions, comparison, and the normal form of `//` and `%`.
 *
 * A division by a constant c > 0 is brought to one form by these steps, each of which is an identity on integers:
 *
 *   multiples of c leave:            (c*q + r) // c           =  q + r//c
 *   one bucket only:                 r in [k*c, k*c + c - 1]  => r//c = k
 *   the first term is positive:      (-r) // c                =  -((r + c - 1)//c)
 *   common divisor g of r's terms:   (g*x + k) // (g*c)       =  (x + k//g) // c
 *   small rest e in [0, g-1]:        (g*x + e) // (g*c)       =  x//c, and in %:  g*(x%c) + e
 *   nested:                          (x//m + k) // c          =  (x + k*m) // (m*c)
 *
 * Known divisors of symbols count in the fourth where they cannot be divided out.  Remainders likewise; their terms have
 * coefficients in (-c/2, c/2].
 */
#include <string.h>
#include "ir/expr_priv.h"

/* ---- bounds ---- */

typedef struct bounds {
    int64_t lo, hi;
} bounds;

/* Where the symbols' ranges come from: the table, or two arrays. */
typedef struct ranges {
    const jc_exprs *t;
    const int64_t *lo, *hi;
    uint32_t n;
} ranges;

static bool symbol_bounds(const ranges *r, uint32_t sym, bounds *out) {
    if (!r->t && sym >= r->n)
        return false;
    *out = r->t ? (bounds){ r->t->syms.at[sym]->lo, r->t->syms.at[sym]->hi } : (bounds){ r->lo[sym], r->hi[sym] };
    return true;
}

static bool mul_bounds(bounds a, bounds b, bounds *out) {
    int64_t corner[4];
    if (__builtin_mul_overflow(a.lo, b.lo, &corner[0]) || __builtin_mul_overflow(a.lo, b.hi, &corner[1]) ||
        __builtin_mul_overflow(a.hi, b.lo, &corner[2]) || __builtin_mul_overflow(a.hi, b.hi, &corner[3]))
        return false;
    *out = (bounds){ corner[0], corner[0] };
    for (int i = 1; i < 4; i++) {
        out->lo = corner[i] < out->lo ? corner[i] : out->lo;
        out->hi = corner[i] > out->hi ? corner[i] : out->hi;
    }
    return true;
}

/* A divisor is never 0: where it were, the expression has no value. */
static bool nonzero(bounds *b) {
    b->lo += b->lo == 0;
    b->hi -= b->hi == 0;
    return b->lo <= b->hi && (b->lo > 0 || b->hi < 0);
}

static bool fdiv_bounds(bounds a, bounds b, bounds *out) {
    if (!nonzero(&b) || (a.lo == INT64_MIN && b.lo <= -1 && b.hi >= -1))
        return false;
    int64_t corner[4] = { jc_floordiv64(a.lo, b.lo), jc_floordiv64(a.lo, b.hi), jc_floordiv64(a.hi, b.lo),
                          jc_floordiv64(a.hi, b.hi) };
    *out = (bounds){ corner[0], corner[0] };
    for (int i = 1; i < 4; i++) {
        out->lo = corner[i] < out->lo ? corner[i] : out->lo;
        out->hi = corner[i] > out->hi ? corner[i] : out->hi;
    }
    return true;
}

static bool mod_bounds(bool have_a, bounds a, bounds b, bounds *out) {
    if (!nonzero(&b))
        return false;
    if (b.lo > 0)
        *out = (bounds){ 0, have_a && a.lo >= 0 && a.hi < b.hi - 1 ? a.hi : b.hi - 1 };
    else
        *out = (bounds){ b.lo + 1, 0 };
    return true;
}

static bool bounds_in(const ranges *t, const jc_expr *e, bounds *out) {
    bounds a, b;
    if (e->kind == JC_EX_CONST) {
        *out = (bounds){ e->value, e->value };
        return true;
    }
    if (e->kind == JC_EX_SYM)
        return symbol_bounds(t, e->sym, out);
    if (e->kind == JC_EX_POISON)
        return false;
    bool have = bounds_in(t, e->args[0], &a);
    if (e->kind == JC_EX_MOD)
        return bounds_in(t, e->args[1], &b) && mod_bounds(have, a, b, out);
    for (uint32_t i = 1; have && i < e->n; i++) {
        have = bounds_in(t, e->args[i], &b);
        if (!have)
            break;
        if (e->kind == JC_EX_ADD)
            have = !__builtin_add_overflow(a.lo, b.lo, &a.lo) && !__builtin_add_overflow(a.hi, b.hi, &a.hi);
        else if (e->kind == JC_EX_MUL)
            have = mul_bounds(a, b, &a);
        else if (e->kind == JC_EX_FDIV)
            have = fdiv_bounds(a, b, &a);
        else if (e->kind == JC_EX_MIN)
            a = (bounds){ a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi };
        else
            a = (bounds){ a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
    }
    *out = a;
    return have;
}

static bool bounds_of(const jc_exprs *t, const jc_expr *e, bounds *out) {
    return bounds_in(&(ranges){ .t = t }, e, out);
}

bool jc_ex_range(jc_exprs *t, const jc_expr *e, int64_t *lo, int64_t *hi) {
    bounds b;
    if (!bounds_of(t, e, &b))
        return false;
    *lo = b.lo;
    *hi = b.hi;
    return true;
}

bool jc_ex_range_within(const jc_expr *e, const int64_t *from, const int64_t *to, uint32_t n, int64_t *lo, int64_t *hi) {
    bounds b;
    if (!bounds_in(&(ranges){ .lo = from, .hi = to, .n = n }, e, &b))
        return false;
    *lo = b.lo;
    *hi = b.hi;
    return true;
}

int64_t jc_ex_divisor(jc_exprs *t, const jc_expr *e) {
    int64_t d = 1, more;
    switch (e->kind) {
    case JC_EX_CONST:
        return e->value == INT64_MIN ? 1 : e->value < 0 ? -e->value : e->value;
    case JC_EX_SYM:
        d = t->syms.at[e->sym]->divisor;
        return d > 0 ? d : 1;
    case JC_EX_MUL:
        for (uint32_t i = 0; i < e->n; i++)
            d = __builtin_mul_overflow(d, jc_ex_divisor(t, e->args[i]), &more) ? d : more;
        return d;
    case JC_EX_FDIV:
        if (e->args[1]->kind == JC_EX_CONST && e->args[1]->value > 0) {
            d = jc_ex_divisor(t, e->args[0]);
            return d % e->args[1]->value == 0 ? d / e->args[1]->value : 1;
        }
        return 1;
    case JC_EX_POISON:
        return 1;
    default: /* sums, remainders, Min, Max */
        d = jc_ex_divisor(t, e->args[0]);
        for (uint32_t i = 1; i < e->n && d != 1; i++)
            d = jc_gcd64(d, jc_ex_divisor(t, e->args[i]));
        return d;
    }
}

/* ---- comparison ---- */

/* E with each x % c among its terms written as x - c*(x//c). */
static const jc_expr *without_mod(jc_exprs *t, const jc_expr *e) {
    const jc_expr *sum = jc_ex_int(t, 0);
    const jc_expr *const *at = jc_ex_terms(&e);
    for (uint32_t i = 0; i < jc_ex_nterms(e); i++) {
        jc_term term = jc_term_of(&at[i]);
        const jc_expr *product = jc_ex_int(t, term.coef);
        for (uint32_t k = 0; k < term.n; k++) {
            const jc_expr *x = term.atoms[k];
            if (x->kind == JC_EX_MOD)
                x = jc_ex_sub(t, x->args[0], jc_ex_mul(t, x->args[1], jc_ex_fdiv(t, x->args[0], x->args[1])));
            product = jc_ex_mul(t, product, x);
        }
        sum = jc_ex_add(t, sum, product);
    }
    return sum;
}

static bool has_mod(const jc_expr *e) {
    if (e->kind == JC_EX_MOD)
        return true;
    for (uint32_t i = 0; (e->kind == JC_EX_ADD || e->kind == JC_EX_MUL) && i < e->n; i++) {
        if (has_mod(e->args[i]))
            return true;
    }
    return false;
}

/* Can D be 0?  By its bounds, and by a divisor of all its terms that does not divide the constant one. */
static jc_truth is_zero(jc_exprs *t, const jc_expr *d) {
    bounds b;
    if (d->kind == JC_EX_CONST)
        return d->value == 0 ? JC_YES : JC_NO;
    if (d->kind == JC_EX_POISON)
        return JC_MAYBE;
    if (bounds_of(t, d, &b)) {
        if (b.lo > 0 || b.hi < 0)
            return JC_NO;
        if (b.lo == 0 && b.hi == 0)
            return JC_YES;
    }
    if (d->kind != JC_EX_ADD || d->args[0]->kind != JC_EX_CONST)
        return JC_MAYBE;
    int64_t g = 0;
    for (uint32_t i = 1; i < d->n && g != 1; i++)
        g = jc_gcd64(g, jc_ex_divisor(t, d->args[i]));
    return g > 1 && d->args[0]->value % g != 0 ? JC_NO : JC_MAYBE;
}

jc_truth jc_ex_equal(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON)
        return JC_MAYBE;
    if (a == b)
        return JC_YES;
    if (a->kind == JC_EX_CONST && b->kind == JC_EX_CONST)
        return JC_NO;
    const jc_expr *d = jc_ex_sub(t, a, b);
    jc_truth zero = is_zero(t, d);
    return zero == JC_MAYBE && has_mod(d) ? is_zero(t, without_mod(t, d)) : zero;
}

jc_truth jc_ex_le(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    bounds d;
    if (a->kind == JC_EX_CONST && b->kind == JC_EX_CONST)
        return a->value <= b->value ? JC_YES : JC_NO;
    if (!bounds_of(t, jc_ex_sub(t, b, a), &d))
        return JC_MAYBE;
    return d.lo >= 0 ? JC_YES : d.hi < 0 ? JC_NO : JC_MAYBE;
}

/* ---- exact quotients ---- */

/* X / Y where that is a term again. */
static const jc_expr *term_quotient(jc_exprs *t, jc_term x, jc_term y) {
    const jc_expr *rest[JC_EX_LIMIT];
    uint32_t n = 0, used = 0;
    if (y.coef == 0 || (x.coef == INT64_MIN && y.coef == -1) || x.coef % y.coef != 0)
        return NULL;
    for (uint32_t i = 0; i < x.n; i++) {
        if (used < y.n && x.atoms[i] == y.atoms[used])
            used++;
        else
            rest[n++] = x.atoms[i];
    }
    return used == y.n ? jc_ex_term(t, x.coef / y.coef, rest, n) : NULL;
}

const jc_expr *jc_ex_quotient(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    const jc_expr *const *ta = jc_ex_terms(&a), *const *tb = jc_ex_terms(&b), *q;
    uint32_t na = jc_ex_nterms(a), nb = jc_ex_nterms(b);
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON)
        return NULL;
    if (jc_ex_is(a, 0))
        return jc_ex_is(b, 0) ? NULL : a;
    if (nb > 1) { /* a quotient of one term times the last term of B is a term of A */
        for (uint32_t i = 0; i < na && na == nb; i++) {
            q = term_quotient(t, jc_term_of(&ta[i]), jc_term_of(&tb[nb - 1]));
            if (q && jc_ex_mul(t, q, b) == a)
                return q;
        }
        return NULL;
    }
    const jc_expr *sum = jc_ex_int(t, 0);
    for (uint32_t i = 0; i < na; i++) {
        q = term_quotient(t, jc_term_of(&ta[i]), jc_term_of(tb));
        if (!q)
            return NULL;
        sum = jc_ex_add(t, sum, q);
    }
    return sum;
}

/* ---- division by a constant ---- */

/* A sum as constant + rest. */
static void take_constant(jc_exprs *t, const jc_expr *e, int64_t *k, const jc_expr **rest) {
    *k = 0;
    *rest = e;
    if (e->kind == JC_EX_ADD && e->args[0]->kind == JC_EX_CONST) {
        *k = e->args[0]->value;
        *rest = jc_ex_sum(t, e->args + 1, e->n - 1);
    } else if (e->kind == JC_EX_CONST) {
        *k = e->value;
        *rest = jc_ex_int(t, 0);
    }
}

/* Divides every term's coefficient by C: quotients to Q, remainders to R. BALANCED: remainders of terms in
   (-c/2, c/2], else those truncation gives; the constant's in [0, c). */
static void split_by(jc_exprs *t, const jc_expr *a, int64_t c, bool balanced, const jc_expr **q, const jc_expr **r) {
    uint32_t n = jc_ex_nterms(a), nq = 0, nr = 0;
    const jc_expr *const *at = jc_ex_terms(&a);
    const jc_expr *quotients[JC_EX_LIMIT], *rests[JC_EX_LIMIT];
    for (uint32_t i = 0; i < n; i++) {
        jc_term term = jc_term_of(&at[i]);
        bool floors = term.n == 0 || balanced;
        int64_t quotient = floors ? jc_floordiv64(term.coef, c) : term.coef / c;
        int64_t rest = floors ? jc_floormod64(term.coef, c) : term.coef % c;
        if (balanced && term.n && rest > c / 2) {
            rest -= c;
            quotient++;
        }
        if (quotient)
            quotients[nq++] = jc_ex_term(t, quotient, term.atoms, term.n);
        if (rest)
            rests[nr++] = jc_ex_term(t, rest, term.atoms, term.n);
    }
    *q = jc_ex_sum(t, quotients, nq);
    *r = jc_ex_sum(t, rests, nr);
}

/* The greatest common divisor of C and the coefficients of X's terms. */
static int64_t coefficients_gcd(const jc_expr *x, int64_t c) {
    const jc_expr *const *at = jc_ex_terms(&x);
    for (uint32_t i = 0; i < jc_ex_nterms(x) && c != 1; i++)
        c = jc_gcd64(c, jc_term_of(&at[i]).coef);
    return c;
}

static const jc_expr *divide_coefficients(jc_exprs *t, const jc_expr *x, int64_t g) {
    uint32_t n = jc_ex_nterms(x);
    const jc_expr *out[JC_EX_LIMIT], *const *at = jc_ex_terms(&x);
    for (uint32_t i = 0; i < n; i++) {
        jc_term term = jc_term_of(&at[i]);
        out[i] = jc_ex_term(t, term.coef / g, term.atoms, term.n);
    }
    return jc_ex_sum(t, out, n);
}

/*
 * R = G*X + E with 0 <= E < G, G a divisor of C and above 1, E not 0: gives X*G and E.  Candidates for G come
 * from the terms' coefficients and known divisors.
 */
static bool small_rest(jc_exprs *t, const jc_expr *r, int64_t c, int64_t *g, const jc_expr **multiple,
                       const jc_expr **rest) {
    uint32_t n = jc_ex_nterms(r);
    if (n < 2 || n > 16)
        return false;
    const jc_expr *const *at = jc_ex_terms(&r), *many[16], *few[16];
    int64_t divisor[16];
    bounds b;
    for (uint32_t i = 0; i < n; i++)
        divisor[i] = jc_gcd64(jc_ex_divisor(t, at[i]), c);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t nmany = 0, nfew = 0;
        if (divisor[i] == 1)
            continue;
        for (uint32_t k = 0; k < n; k++) {
            if (divisor[k] % divisor[i] == 0)
                many[nmany++] = at[k];
            else
                few[nfew++] = at[k];
        }
        *rest = jc_ex_sum(t, few, nfew);
        if (nfew && bounds_of(t, *rest, &b) && b.lo >= 0 && b.hi < divisor[i]) {
            *g = divisor[i];
            *multiple = jc_ex_sum(t, many, nmany);
            return true;
        }
    }
    return false;
}

/* Is E within one bucket [k*c, k*c + c - 1]? */
static bool one_bucket(jc_exprs *t, const jc_expr *e, int64_t c, int64_t *k) {
    bounds b;
    if (!bounds_of(t, e, &b))
        return false;
    *k = jc_floordiv64(b.lo, c);
    return *k == jc_floordiv64(b.hi, c);
}

static const jc_expr *fdiv_by(jc_exprs *t, const jc_expr *a, int64_t c);

/* R // C where R's coefficients are below C. */
static const jc_expr *fdiv_rest(jc_exprs *t, const jc_expr *r, int64_t c) {
    int64_t k, g;
    const jc_expr *x, *e;
    if (one_bucket(t, r, c, &k))
        return jc_ex_int(t, k);
    take_constant(t, r, &k, &x);
    const jc_expr *first = *jc_ex_terms(&x);
    if (jc_term_of(&first).coef < 0)
        return jc_ex_neg(t, fdiv_by(t, jc_ex_add(t, jc_ex_neg(t, r), jc_ex_int(t, c - 1)), c));
    g = coefficients_gcd(x, c);
    if (g > 1) {
        x = jc_ex_add(t, divide_coefficients(t, x, g), jc_ex_int(t, jc_floordiv64(k, g)));
        return fdiv_by(t, x, c / g);
    }
    if (small_rest(t, r, c, &g, &x, &e))
        return fdiv_by(t, x, c);
    take_constant(t, r, &k, &x);
    g = jc_gcd64(jc_ex_divisor(t, x), c);
    if (k % g != 0)
        return fdiv_by(t, jc_ex_add(t, x, jc_ex_int(t, k - k % g)), c);
    int64_t m, both, moved;
    if (x->kind == JC_EX_FDIV && jc_ex_is_const(x->args[1], &m) && m > 0 && !__builtin_mul_overflow(m, c, &both) &&
        !__builtin_mul_overflow(k, m, &moved))
        return fdiv_by(t, jc_ex_add(t, x->args[0], jc_ex_int(t, moved)), both);
    return jc_ex_intern(t, JC_EX_FDIV, (const jc_expr *[]){ r, jc_ex_int(t, c) }, 2);
}

static const jc_expr *fdiv_by(jc_exprs *t, const jc_expr *a, int64_t c) {
    const jc_expr *q, *r;
    if (a->kind == JC_EX_CONST)
        return jc_ex_int(t, jc_floordiv64(a->value, c));
    if (c == 1 || a->kind == JC_EX_POISON)
        return a;
    split_by(t, a, c, false, &q, &r);
    return jc_ex_is(r, 0) ? q : jc_ex_add(t, q, fdiv_rest(t, r, c));
}

static const jc_expr *mod_by(jc_exprs *t, const jc_expr *a, int64_t c);

/* coefficient * (x % m) becomes coefficient * x where c divides coefficient*m. */
static const jc_expr *inner_mod(jc_exprs *t, const jc_expr *r, int64_t c) {
    const jc_expr *const *at = jc_ex_terms(&r);
    int64_t m, span;
    for (uint32_t i = 0; i < jc_ex_nterms(r); i++) {
        jc_term term = jc_term_of(&at[i]);
        if (term.n != 1 || term.atoms[0]->kind != JC_EX_MOD || !jc_ex_is_const(term.atoms[0]->args[1], &m) ||
            __builtin_mul_overflow(m, term.coef, &span) || span % c != 0)
            continue;
        const jc_expr *x = jc_ex_mul(t, jc_ex_int(t, term.coef), term.atoms[0]->args[0]);
        return jc_ex_add(t, jc_ex_sub(t, r, at[i]), x);
    }
    return NULL;
}

/* R % C where R's coefficients are balanced. */
static const jc_expr *mod_rest(jc_exprs *t, const jc_expr *r, int64_t c) {
    int64_t k, g, shift;
    const jc_expr *x, *e;
    if (one_bucket(t, r, c, &k) && !__builtin_mul_overflow(k, -c, &shift))
        return jc_ex_add(t, r, jc_ex_int(t, shift));
    if ((x = inner_mod(t, r, c)))
        return mod_by(t, x, c);
    take_constant(t, r, &k, &x);
    g = coefficients_gcd(x, c);
    if (g > 1) {
        x = jc_ex_add(t, divide_coefficients(t, x, g), jc_ex_int(t, jc_floordiv64(k, g)));
        x = jc_ex_mul(t, jc_ex_int(t, g), mod_by(t, x, c / g));
        return jc_ex_add(t, x, jc_ex_int(t, jc_floormod64(k, g)));
    }
    if (small_rest(t, r, c, &g, &x, &e))
        return jc_ex_add(t, mod_by(t, x, c), e);
    take_constant(t, r, &k, &x);
    g = jc_gcd64(jc_ex_divisor(t, x), c);
    if (g == c)
        return jc_ex_int(t, k);
    if (k % g != 0)
        return jc_ex_add(t, mod_by(t, jc_ex_add(t, x, jc_ex_int(t, k - k % g)), c), jc_ex_int(t, k % g));
    return jc_ex_intern(t, JC_EX_MOD, (const jc_expr *[]){ r, jc_ex_int(t, c) }, 2);
}

static const jc_expr *mod_by(jc_exprs *t, const jc_expr *a, int64_t c) {
    const jc_expr *q, *r;
    if (c == 1)
        return jc_ex_int(t, 0);
    if (a->kind == JC_EX_CONST)
        return jc_ex_int(t, jc_floormod64(a->value, c));
    if (a->kind == JC_EX_POISON)
        return a;
    split_by(t, a, c, true, &q, &r);
    return jc_ex_is(r, 0) ? r : mod_rest(t, r, c);
}

/* ---- division by anything ---- */

/* Terms of A that are multiples of the term B, divided by it, to Q, the others to R. */
static void split_by_term(jc_exprs *t, const jc_expr *a, const jc_expr *b, const jc_expr **q, const jc_expr **r) {
    *q = *r = jc_ex_int(t, 0);
    if (b->kind == JC_EX_ADD) {
        *r = a;
        return;
    }
    const jc_expr *const *at = jc_ex_terms(&a);
    for (uint32_t i = 0; i < jc_ex_nterms(a); i++) {
        const jc_expr *quotient = term_quotient(t, jc_term_of(&at[i]), jc_term_of(&b));
        *(quotient ? q : r) = quotient ? jc_ex_add(t, *q, quotient) : jc_ex_add(t, *r, at[i]);
    }
}

/* Is 0 <= A < B wherever B is not 0? */
static bool below(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    bounds x, y;
    if (!bounds_of(t, a, &x) || !bounds_of(t, b, &y) || x.lo < 0 || y.lo < 0)
        return false;
    return x.hi < (y.lo ? y.lo : 1) || jc_ex_le(t, jc_ex_add(t, a, jc_ex_int(t, 1)), b) == JC_YES;
}

/* Divides the factor that all terms of A and B share out of both. */
static void cancel(jc_exprs *t, const jc_expr **a, const jc_expr **b) {
    const jc_expr *const *tb = jc_ex_terms(b), *const *ta = jc_ex_terms(a);
    uint32_t na = jc_ex_nterms(*a), nb = jc_ex_nterms(*b), n = 0;
    jc_term first = jc_term_of(&tb[0]);
    const jc_expr *common[JC_EX_LIMIT];
    int64_t g = coefficients_gcd(*b, coefficients_gcd(*a, 0));
    for (uint32_t i = 0; i < first.n; i++) {
        common[n] = first.atoms[i];
        const jc_term one = { 1, common, n + 1 };
        bool all = true;
        for (uint32_t k = 0; all && k < na; k++) {
            jc_term x = jc_term_of(&ta[k]);
            all = term_quotient(t, (jc_term){ 1, x.atoms, x.n }, one) != NULL;
        }
        for (uint32_t k = 0; all && k < nb; k++) {
            jc_term x = jc_term_of(&tb[k]);
            all = term_quotient(t, (jc_term){ 1, x.atoms, x.n }, one) != NULL;
        }
        n += all;
    }
    const jc_expr *factor = jc_ex_term(t, g > 0 ? g : 1, common, n);
    const jc_expr *qa = jc_ex_quotient(t, *a, factor), *qb = jc_ex_quotient(t, *b, factor);
    if (qa && qb) {
        *a = qa;
        *b = qb;
    }
}

const jc_expr *jc_ex_fdiv(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    const jc_expr *q, *r;
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON || jc_ex_is(b, 0) || jc_ex_is(b, INT64_MIN))
        return t->poison;
    if (b->kind == JC_EX_CONST && b->value > 0)
        return fdiv_by(t, a, b->value);
    if (b->kind == JC_EX_CONST)
        return (a = jc_ex_neg(t, a))->kind == JC_EX_POISON ? a : fdiv_by(t, a, -b->value);
    if ((q = jc_ex_quotient(t, a, b)))
        return q;
    split_by_term(t, a, b, &q, &r);
    if (below(t, r, b))
        return q;
    cancel(t, &r, &b);
    if (b->kind == JC_EX_CONST)
        return jc_ex_add(t, q, jc_ex_fdiv(t, r, b));
    return jc_ex_add(t, q, jc_ex_intern(t, JC_EX_FDIV, (const jc_expr *[]){ r, b }, 2));
}

const jc_expr *jc_ex_mod(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    const jc_expr *q, *r;
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON || jc_ex_is(b, 0) || jc_ex_is(b, INT64_MIN))
        return t->poison;
    if (b->kind == JC_EX_CONST && b->value > 0)
        return mod_by(t, a, b->value);
    if (b->kind == JC_EX_CONST)
        return (a = jc_ex_neg(t, a))->kind == JC_EX_POISON ? a : jc_ex_neg(t, mod_by(t, a, -b->value));
    if (jc_ex_quotient(t, a, b))
        return jc_ex_int(t, 0);
    split_by_term(t, a, b, &q, &r);
    if (below(t, r, b))
        return r;
    return jc_ex_intern(t, JC_EX_MOD, (const jc_expr *[]){ r, b }, 2);
}

const jc_expr *jc_ex_cdiv(jc_exprs *t, const jc_expr *a, const jc_expr *b) {
    return jc_ex_neg(t, jc_ex_fdiv(t, jc_ex_neg(t, a), b));
}
