/*
 * tests/check_expr.c - expressions: normal form, division, comparison, text, bytes.
 *
 * The property tests build a tree with a naive evaluator of their own beside each expression and compare values.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/expr.h"

static jc_arena *arena;
static jc_exprs *t;

/* Symbols of every test: name, range, divisor. */
static const struct {
    const char *name;
    int64_t lo, hi, divisor;
} symbols[] = {
    { "s0", 0, JC_SYM_MAX, 1 }, { "s1", 0, JC_SYM_MAX, 1 },  { "i", 0, 31, 1 },   { "j", 0, 127, 1 },
    { "h", 0, 7, 1 },           { "m", 16, 4096, 16 },       { "n", -50, 50, 1 }, { "p", 1, 1000, 1 },
};
#define NSYMS (sizeof symbols / sizeof symbols[0])

static void setup(void) {
    arena = jc_arena_new(NULL);
    t = jc_exprs_new(arena);
    for (size_t i = 0; i < NSYMS; i++) {
        uint32_t sym = jc_sym_add(t, symbols[i].name);
        jc_sym_at(t, sym)->lo = symbols[i].lo;
        jc_sym_at(t, sym)->hi = symbols[i].hi;
        jc_sym_at(t, sym)->divisor = symbols[i].divisor;
    }
}

static void teardown(void) { jc_arena_free(arena); }

static const jc_expr *parse(const char *text) {
    jc_error err = JC_ERROR_INIT;
    const jc_expr *e;
    if (jc_ex_parse(t, text, strlen(text), "test", 1, 1, &e, &err) != JITC_OK)
        ck_abort_msg("%s: %s", text, err.message);
    return e;
}

/* ---- normal form: text in, text out ---- */

static const struct {
    const char *in, *out;
} normal[] = {
    { "7", "7" },
    { "-7", "-7" },
    { "-9223372036854775808", "-9223372036854775808" },
    { "s0 + s0", "2*s0" },
    { "s0 - s0", "0" },
    { "s1 + s0 + 3 - 1", "s0 + s1 + 2" },
    { "2*(s0 + 3)*s1", "2*s0*s1 + 6*s1" },
    { "(s0 + 1)*(s0 - 1)", "s0*s0 - 1" },
    { "s0**3", "s0*s0*s0" },
    { "s0**0", "1" },
    { "-(s0 - s1)", "-s0 + s1" },
    { "0*s0", "0" },
    /* floor division by constants */
    { "7//2", "3" },
    { "-7//2", "-4" },
    { "7//(-2)", "-4" },
    { "s0//1", "s0" },
    { "s0//(-1)", "-s0" },
    { "(128*s0)//128", "s0" },
    { "(128*s0 + j)//128", "s0" },
    { "(128*s0 + j + 1)//128", "s0 + (j + 1)//128" },
    { "(128*s0 + j)//256", "s0//2" },
    { "(128*s0 + j)//64", "2*s0 + j//64" },
    { "(4096*s0 + 128*i + j)//128", "32*s0 + i" },
    { "(4096*s0 + 128*i + j)//4096", "s0" },
    { "i//32", "0" },
    { "(i + 32)//32", "1" },
    { "(i - 32)//32", "-1" },
    { "j//32", "j//32" },
    { "(s0 + 130)//128", "(s0 + 2)//128 + 1" },
    { "(130*s0)//128", "s0 + s0//64" },
    { "(2*s0 + 1)//4", "s0//2" },
    { "(2*s0 + 3)//4", "(s0 + 1)//2" },
    { "(s0//4)//8", "s0//32" },
    { "(s0//4 + 3)//8", "(s0 + 12)//32" },
    { "(m + 5)//32", "m//32" },
    { "(m + 15)//16", "m//16" },
    { "(-s0)//128", "-((s0 + 127)//128)" },
    { "-((-s0)//128)", "(s0 + 127)//128" },
    { "CeilDiv(s0, 128)", "(s0 + 127)//128" },
    { "128*(((s0 + 127)//128))", "128*((s0 + 127)//128)" },
    /* by symbols */
    { "(s0*s1)//s1", "s0" },
    { "s0//s0", "1" },
    { "(8*s0*s1)//(2*s1)", "4*s0" },
    { "(s0*s1 + s1)//(s0 + 1)", "s1" },
    { "(6*s0)//(4*s1)", "(3*s0)//(2*s1)" },
    { "(s0*s1 + s1)//(s1*p)", "(s0 + 1)//p" },
    { "(s0*p + h)//p", "s0 + h//p" },
    { "0//s0", "0" },
    /* remainders */
    { "7 % 3", "1" },
    { "-7 % 3", "2" },
    { "7 % (-3)", "-2" },
    { "s0 % 1", "0" },
    { "(128*s0) % 128", "0" },
    { "(128*s0 + j) % 128", "j" },
    { "(128*s0 + j) % 256", "j + 128*(s0 % 2)" },
    { "(s0 + 130) % 128", "(s0 + 2) % 128" },
    { "i % 32", "i" },
    { "(i + 64) % 32", "i" },
    { "(i - 32) % 32", "i" },
    { "(s0 % 64) % 8", "s0 % 8" },
    { "(4*(s0 % 6)) % 8", "4*(s0 % 2)" },
    { "(2*s0) % 4", "2*(s0 % 2)" },
    { "(2*s0 + 3) % 4", "2*((s0 + 1) % 2) + 1" },
    { "m % 16", "0" },
    { "(m + 3) % 16", "3" },
    { "(s0*s1) % s1", "0" },
    { "Mod(s0, 4)", "s0 % 4" },
    { "s0 % s1", "s0 % s1" },
    /* Min, Max */
    { "Min(3, 5)", "3" },
    { "Max(3, 5)", "5" },
    { "Min(s0, s0)", "s0" },
    { "Max(s0, 0)", "s0" },
    { "Max(1, s0)", "Max(1, s0)" },
    { "Min(s0, s0 + 1)", "s0" },
    { "Max(p, 1)", "p" },
    { "Min(16384, ((s0 + 1)//2))", "Min(16384, (s0 + 1)//2)" },
    { "Min(s1, Min(s0, 7))", "Min(7, Min(s0, s1))" },
    { "Min(7, s0, 9, s1)", "Min(7, Min(s0, s1))" },
    { "FloorDiv(s0, 2)", "s0//2" },
    { " ( s0 ) ", "s0" },
};

START_TEST(normal_form) {
    const jc_expr *e = parse(normal[_i].in);
    ck_assert_msg(strcmp(jc_ex_text(t, e, arena), normal[_i].out) == 0, "%s: expected %s, got %s", normal[_i].in,
                  normal[_i].out, jc_ex_text(t, e, arena));
    ck_assert_msg(parse(jc_ex_text(t, e, arena)) == e, "%s does not read back", normal[_i].out);
}
END_TEST

/* ---- what cannot be read ---- */

static const struct {
    const char *in, *message;
    int column;
} bad[] = {
    { "", "it ends", 11 },
    { "s0 +", "it ends", 15 },
    { "(s0", "expected \")\"", 14 },
    { "s0)", "left over", 13 },
    { "s0 s1", "left over", 14 },
    { "3.5", "whole number", 12 },
    { "3x", "whole number", 12 },
    { "9223372036854775808", "64 bits", 29 },
    { "9223372036854775807 + 1", "does not fit", 34 },
    { "4611686018427387904*2", "does not fit", 32 },
    { "s0//0", "divides by zero", 16 },
    { "s0 % 0", "divides by zero", 17 },
    { "floor(s0)", "not known", 11 },
    { "Mod(s0)", "two arguments", 17 },
    { "Mod(s0, 2, 3)", "two arguments", 23 },
    { "Min(s0, 2", "expected \")\"", 20 },
    { "s0**s1", "exponent", 17 },
    { "s0**99", "exponent", 17 },
    { "s0/2", "left over", 13 },
    { "$", "expected a number", 11 },
};

START_TEST(bad_text) {
    jc_error err = JC_ERROR_INIT;
    const jc_expr *e;
    jitc_status status = jc_ex_parse(t, bad[_i].in, strlen(bad[_i].in), "f.py", 7, 11, &e, &err);
    ck_assert_msg(status == JITC_E_INPUT, "\"%s\" was read", bad[_i].in);
    ck_assert_msg(strstr(err.message, bad[_i].message) != NULL, "\"%s\": %s", bad[_i].in, err.message);
    ck_assert_str_eq(err.file, "f.py");
    ck_assert_int_eq(err.line, 7);
    ck_assert_msg(err.column == bad[_i].column, "\"%s\": column %d, not %d", bad[_i].in, err.column, bad[_i].column);
}
END_TEST

START_TEST(deep_and_large_text) {
    char deep[4001];
    jc_error err = JC_ERROR_INIT;
    const jc_expr *e;
    memset(deep, '(', 4000);
    ck_assert_int_eq(jc_ex_parse(t, deep, 4000, NULL, 0, 0, &e, &err), JITC_E_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "nested too deeply"));
    memset(deep, '-', 4000);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ex_parse(t, deep, 4000, NULL, 0, 0, &e, &err), JITC_E_INPUT);
    /* every factor doubles the number of terms */
    jc_bytes wide = JC_BYTES(arena);
    for (int i = 0; i < 40; i++)
        jc_put_text(&wide, "%s(x%d + y%d)", i ? "*" : "", i, i);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_ex_parse(t, (char *)wide.at, wide.n, NULL, 0, 0, &e, &err), JITC_E_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "too large"));
}
END_TEST

/* A dag that is exponential as a tree stops at a bounded size instead of exploding. */
START_TEST(shared_growth_is_bounded) {
    const jc_expr *e = jc_ex_sym(t, 0);
    for (int i = 0; i < 200; i++)
        e = jc_ex_max(t, jc_ex_fdiv(t, e, jc_ex_int(t, 3)), jc_ex_mod(t, e, jc_ex_int(t, 1000003)));
    ck_assert_int_le(e->weight, 1024);
    int64_t values[NSYMS] = { 5 }, out;
    if (e->kind == JC_EX_POISON)
        ck_assert(!jc_ex_eval(e, values, NSYMS, &out));
}
END_TEST

/* ---- overflow, poison ---- */

/* The multiple below the smallest number does not fit; the remainder does.  2^63 is 2 modulo 3, and 1 modulo 7. */
START_TEST(remainder_of_the_smallest) {
    const jc_expr *min = jc_ex_int(t, INT64_MIN), *s = jc_ex_sym(t, 0), *three = jc_ex_int(t, 3), *x;
    int64_t value, at[] = { INT64_MIN, 7 };
    ck_assert(jc_ex_is(jc_ex_mod(t, min, three), 1));
    x = jc_ex_mod(t, jc_ex_sym(t, 0), jc_ex_sym(t, 1));
    ck_assert(jc_ex_eval(x, at, 2, &value));
    ck_assert_int_eq(value, 6);
    ck_assert(jc_ex_eval(jc_ex_mod(t, jc_ex_add(t, jc_ex_mul(t, three, s), min), jc_ex_int(t, 3)), (int64_t[]){ 5, 0 }, 2, &value));
    ck_assert_int_eq(value, 1);
    ck_assert(jc_ex_eval(jc_ex_fdiv(t, jc_ex_add(t, jc_ex_mul(t, three, s), min), three), (int64_t[]){ 5, 0 }, 2, &value));
    ck_assert_int_eq(value, 5 - 3074457345618258603);
}
END_TEST

START_TEST(overflow_is_poison) {
    const jc_expr *max = jc_ex_int(t, INT64_MAX), *min = jc_ex_int(t, INT64_MIN), *one = jc_ex_int(t, 1);
    const jc_expr *s = jc_ex_sym(t, 0), *big = jc_ex_mul(t, jc_ex_int(t, INT64_MAX / 2 + 1), s);
    const jc_expr *poison[] = {
        jc_ex_add(t, max, one),
        jc_ex_sub(t, min, one),
        jc_ex_neg(t, min),
        jc_ex_mul(t, max, jc_ex_int(t, 2)),
        jc_ex_add(t, big, big),
        jc_ex_mul(t, big, jc_ex_int(t, 2)),
        jc_ex_fdiv(t, s, jc_ex_int(t, 0)),
        jc_ex_mod(t, s, jc_ex_int(t, 0)),
        jc_ex_fdiv(t, min, jc_ex_int(t, -1)),
    };
    for (size_t i = 0; i < sizeof poison / sizeof poison[0]; i++) {
        int64_t out, values[NSYMS] = { 1 };
        ck_assert_msg(poison[i]->kind == JC_EX_POISON, "row %zu", i);
        ck_assert_msg(!jc_ex_eval(poison[i], values, NSYMS, &out), "row %zu", i);
        ck_assert_msg(jc_ex_add(t, poison[i], one)->kind == JC_EX_POISON, "row %zu", i);
        ck_assert_msg(jc_ex_mul(t, jc_ex_int(t, 0), poison[i])->kind == JC_EX_POISON, "row %zu", i);
        ck_assert_msg(jc_ex_min(t, one, poison[i])->kind == JC_EX_POISON, "row %zu", i);
        ck_assert_msg(jc_ex_equal(t, poison[i], poison[i]) == JC_MAYBE, "row %zu", i);
    }
    int64_t out, values[NSYMS] = { INT64_MAX };
    ck_assert(!jc_ex_eval(jc_ex_mul(t, jc_ex_int(t, 2), s), values, NSYMS, &out));
    ck_assert(!jc_ex_eval(jc_ex_sym(t, 3), values, 3, &out));
}
END_TEST

/* ---- questions ---- */

static const struct {
    const char *a, *b;
    jc_truth equal, le;
} truths[] = {
    { "s0", "s0", JC_YES, JC_YES },
    { "8", "16", JC_NO, JC_YES },
    { "16", "8", JC_NO, JC_NO },
    { "s0", "s1", JC_MAYBE, JC_MAYBE },
    { "s0", "8", JC_MAYBE, JC_MAYBE },
    { "s0", "s0 + 1", JC_NO, JC_YES },
    { "s0 + 1", "s0", JC_NO, JC_NO },
    { "2*s0", "2*s1 + 1", JC_NO, JC_MAYBE },
    { "16*s0 + 4", "8*s1", JC_NO, JC_MAYBE },
    { "m", "s0*16 + 5", JC_NO, JC_MAYBE },
    { "i", "32", JC_NO, JC_YES },
    { "i", "j", JC_MAYBE, JC_MAYBE },
    { "p", "0", JC_NO, JC_NO },
    { "n", "51", JC_NO, JC_YES },
    { "s0", "2*s0", JC_MAYBE, JC_YES },
    { "128*(s0//128) + s0 % 128", "s0", JC_YES, JC_MAYBE },
    { "s0 % 8", "8", JC_NO, JC_YES },
    { "s0 % p", "1000", JC_NO, JC_YES },
    { "Min(s0, 5)", "5", JC_MAYBE, JC_YES },
    { "Max(s0, 5)", "4", JC_NO, JC_NO },
    { "s0//128", "s0", JC_MAYBE, JC_MAYBE },
};

START_TEST(truth_table) {
    const jc_expr *a = parse(truths[_i].a), *b = parse(truths[_i].b);
    ck_assert_msg(jc_ex_equal(t, a, b) == truths[_i].equal, "%s == %s", truths[_i].a, truths[_i].b);
    ck_assert_msg(jc_ex_equal(t, b, a) == truths[_i].equal, "%s == %s", truths[_i].b, truths[_i].a);
    ck_assert_msg(jc_ex_le(t, a, b) == truths[_i].le, "%s <= %s", truths[_i].a, truths[_i].b);
}
END_TEST

static const struct {
    const char *in;
    bool have;
    int64_t lo, hi, divisor;
} ranges[] = {
    { "5", true, 5, 5, 5 },
    { "-6", true, -6, -6, 6 },
    { "i", true, 0, 31, 1 },
    { "3*i - j", true, -127, 93, 1 },
    { "i*n", true, -1550, 1550, 1 },
    { "m", true, 16, 4096, 16 },
    { "4*m + 32", true, 96, 16416, 32 },
    { "m//8", true, 2, 512, 2 },
    { "n//7", true, -8, 7, 1 },
    { "s0 % 8", true, 0, 7, 1 },
    { "h % 100", true, 0, 7, 1 },
    { "m % 48", true, 0, 47, 16 },
    { "Min(i, 10)", true, 0, 10, 1 },
    { "Max(i, 10)", true, 10, 31, 1 },
    { "100//p", true, 0, 100, 1 },
    { "s0*s0*s0*s0", false, 0, 0, 1 },
};

START_TEST(range_and_divisor) {
    const jc_expr *e = parse(ranges[_i].in);
    int64_t lo, hi;
    bool have = jc_ex_range(t, e, &lo, &hi);
    ck_assert_msg(have == ranges[_i].have, "%s", ranges[_i].in);
    if (have)
        ck_assert_msg(lo == ranges[_i].lo && hi == ranges[_i].hi, "%s: [%lld, %lld]", ranges[_i].in, (long long)lo,
                      (long long)hi);
    ck_assert_msg(jc_ex_divisor(t, e) == ranges[_i].divisor, "%s: %lld", ranges[_i].in,
                  (long long)jc_ex_divisor(t, e));
}
END_TEST

static const struct {
    const char *in, *coeff, *rest; /* of s0; coeff NULL: not linear */
} linear[] = {
    { "s0", "1", "0" },
    { "7", "0", "7" },
    { "3*s0 + s1 + 4", "3", "s1 + 4" },
    { "s0*s1 + 2*s0 + i//5", "s1 + 2", "i//5" },
    { "s0*s0", NULL, NULL },
    { "s0//2", NULL, NULL },
    { "s1*(s0//2)", NULL, NULL },
    { "Min(s0, 5)", NULL, NULL },
};

START_TEST(linear_form) {
    const jc_expr *coeff, *rest;
    bool is = jc_ex_linear(t, parse(linear[_i].in), 0, &coeff, &rest);
    ck_assert_msg(is == (linear[_i].coeff != NULL), "%s", linear[_i].in);
    if (is) {
        ck_assert_msg(coeff == parse(linear[_i].coeff), "%s: %s", linear[_i].in, jc_ex_text(t, coeff, arena));
        ck_assert_msg(rest == parse(linear[_i].rest), "%s: %s", linear[_i].in, jc_ex_text(t, rest, arena));
    }
}
END_TEST

static const struct {
    const char *a, *b, *q;
} quotients[] = {
    { "12", "4", "3" },           { "12", "5", NULL },          { "8192*s0", "8192", "s0" },
    { "8192*s0", "64*s0", "128" }, { "s0*s1 + s0", "s0", "s1 + 1" }, { "s0*s1 + s0", "s1 + 1", "s0" },
    { "0", "s0", "0" },           { "s0", "0", NULL },          { "0", "0", NULL },
    { "s0 + 1", "s0", NULL },     { "6*s0 + 6", "4", NULL },
};

START_TEST(exact_quotient) {
    const jc_expr *q = jc_ex_quotient(t, parse(quotients[_i].a), parse(quotients[_i].b));
    const jc_expr *want = quotients[_i].q ? parse(quotients[_i].q) : NULL;
    ck_assert_msg(q == want, "%s / %s: %s", quotients[_i].a, quotients[_i].b, q ? jc_ex_text(t, q, arena) : "none");
}
END_TEST

static void count_symbol(void *user, uint32_t sym) { ((int *)user)[sym]++; }

START_TEST(symbols_and_uses) {
    int seen[NSYMS] = { 0 };
    const jc_expr *e = parse("s1 + s1*i + (s1 + 3)//7");
    jc_ex_symbols(e, count_symbol, seen);
    ck_assert_int_eq(seen[1], 3);
    ck_assert_int_eq(seen[2], 1);
    ck_assert_int_eq(seen[0], 0);
    ck_assert(jc_ex_uses(e, 1));
    ck_assert(!jc_ex_uses(e, 0));
    ck_assert_uint_eq(jc_sym_find(t, "s1", 2), 1);
    ck_assert_uint_eq(jc_sym_find(t, "nobody", 6), UINT32_MAX);
    parse("fresh + 1");
    ck_assert_uint_eq(jc_sym_find(t, "fresh", 5), NSYMS);
    ck_assert_uint_eq(jc_sym_count(t), NSYMS + 1);
    ck_assert_str_eq(jc_ex_text(NULL, parse("s1 + 2*i"), arena), "$1 + 2*$2");
}
END_TEST

/* The same structure over symbols numbered alike has the same form and bytes, whatever the names. */
START_TEST(names_do_not_matter) {
    jc_exprs *other = jc_exprs_new(arena);
    jc_sym_add(other, "zz");
    jc_sym_add(other, "aa");
    const char *x = "(s1*s0 + 5*s1 - 3)//(s0 + 2) + Min(s0, s1)", *y = "(aa*zz + 5*aa - 3)//(zz + 2) + Min(aa, zz)";
    jc_error err = JC_ERROR_INIT;
    const jc_expr *a = parse(x), *b;
    ck_assert_int_eq(jc_ex_parse(other, y, strlen(y), NULL, 0, 0, &b, &err), JITC_OK);
    jc_bytes ba = JC_BYTES(arena), bb = JC_BYTES(arena);
    jc_ex_encode(a, &ba);
    jc_ex_encode(b, &bb);
    ck_assert_uint_eq(ba.n, bb.n);
    ck_assert(memcmp(ba.at, bb.at, ba.n) == 0);
    ck_assert(a->hash == b->hash);
}
END_TEST

START_TEST(bad_bytes) {
    static const struct {
        uint8_t at[8];
        size_t n;
    } rows[] = {
        { { 0 }, 0 },                                   /* nothing */
        { { 99 }, 1 },                                  /* no such kind */
        { { JC_EX_SYM, 77 }, 2 },                       /* no such symbol */
        { { JC_EX_ADD, 1, JC_EX_CONST, 2 }, 4 },        /* a sum of one */
        { { JC_EX_ADD, 200 }, 2 },                      /* more operands than bytes */
        { { JC_EX_FDIV, 3, 0, 2, 0, 2, 0, 2 }, 8 },     /* three operands */
        { { JC_EX_ADD, 2, JC_EX_CONST, 2 }, 4 },        /* cut short */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        jc_reader r = JC_READER(rows[i].at, rows[i].n);
        ck_assert_msg(jc_ex_decode(t, &r, NSYMS) != NULL, "row %zu", i);
        ck_assert_msg(r.bad, "row %zu", i);
    }
    uint8_t nested[4000];
    for (size_t i = 0; i < sizeof nested; i += 2)
        nested[i] = JC_EX_MOD, nested[i + 1] = 2;
    jc_reader r = JC_READER(nested, sizeof nested);
    jc_ex_decode(t, &r, NSYMS);
    ck_assert(r.bad);
}
END_TEST

/* ---- properties ---- */

typedef struct tree tree;
struct tree {
    char op; /* c s + * / % m M */
    int64_t value;
    const tree *a, *b;
};

static uint64_t state;
static uint32_t below(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static const tree *grow(int depth) {
    static const int64_t constants[] = { 0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 5, 7, 12, -1, -3, -8, 127, 130 };
    tree *x = jc_arena_alloc(arena, sizeof *x);
    if (depth == 0 || below(6) == 0) {
        x->op = below(2) ? 'c' : 's';
        x->value = x->op == 'c' ? constants[below(sizeof constants / sizeof constants[0])] : (int64_t)below(NSYMS);
        return x;
    }
    x->op = "++**//%%+mM"[below(11)];
    x->a = grow(depth - 1);
    x->b = grow(depth - 1);
    return x;
}

/* Python's integers, in 128 bits, which these trees do not leave. */
static bool naive(const tree *x, const int64_t *values, __int128 *out) {
    __int128 a, b;
    if (x->op == 'c' || x->op == 's') {
        *out = x->op == 'c' ? x->value : values[x->value];
        return true;
    }
    if (!naive(x->a, values, &a) || !naive(x->b, values, &b))
        return false;
    __int128 limit = (__int128)1 << 60;
    if (a > limit || a < -limit || b > limit || b < -limit)
        return false;
    if ((x->op == '/' || x->op == '%') && b == 0)
        return false;
    __int128 quotient = b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0));
    switch (x->op) {
    case '+': *out = a + b; break;
    case '*': *out = a * b; break;
    case '/': *out = quotient; break;
    case '%': *out = a - quotient * b; break;
    case 'm': *out = a < b ? a : b; break;
    default: *out = a > b ? a : b; break;
    }
    return true;
}

/* FLIP: operands of commutative operators the other way round. */
static const jc_expr *build(const tree *x, bool flip) {
    if (x->op == 'c')
        return jc_ex_int(t, x->value);
    if (x->op == 's')
        return jc_ex_sym(t, (uint32_t)x->value);
    const jc_expr *a = build(x->a, flip), *b = build(x->b, flip);
    bool swap = flip && x->op != '/' && x->op != '%';
    const jc_expr *l = swap ? b : a, *r = swap ? a : b;
    switch (x->op) {
    case '+': return jc_ex_add(t, l, r);
    case '*': return jc_ex_mul(t, l, r);
    case '/': return jc_ex_fdiv(t, l, r);
    case '%': return jc_ex_mod(t, l, r);
    case 'm': return jc_ex_min(t, l, r);
    default: return jc_ex_max(t, l, r);
    }
}

static int64_t random_value(size_t sym) {
    int64_t span = symbols[sym].hi - symbols[sym].lo;
    int64_t limit = below(3) == 0 ? 3 : below(2) ? 40 : 5000;
    int64_t v = symbols[sym].lo + (int64_t)below((uint32_t)(span < limit ? span : limit) + 1);
    return v - (v % symbols[sym].divisor);
}

static void check_round_trips(const jc_expr *e) {
    const char *text = jc_ex_text(t, e, arena);
    ck_assert_msg(parse(text) == e, "%s reads back as %s", text, jc_ex_text(t, parse(text), arena));
    jc_bytes bytes = JC_BYTES(arena);
    jc_ex_encode(e, &bytes);
    jc_reader r = JC_READER(bytes.at, bytes.n);
    ck_assert_msg(jc_ex_decode(t, &r, NSYMS) == e && !r.bad && r.at == r.end, "%s decodes differently", text);
    ck_assert_msg(jc_ex_subst(t, e, NULL, 0) == e, "%s rebuilds differently", text);
}

static void check_value(const tree *x, const jc_expr *e, const int64_t *values) {
    __int128 want;
    int64_t got, lo, hi;
    if (!naive(x, values, &want) || want > INT64_MAX || want < INT64_MIN)
        return;
    const char *text = jc_ex_text(t, e, arena);
    if (!jc_ex_eval(e, values, NSYMS, &got))
        return; /* distributed products may leave 64 bits on the way */
    ck_assert_msg(got == want, "%s: expected %lld, got %lld", text, (long long)want, (long long)got);
    if (jc_ex_range(t, e, &lo, &hi))
        ck_assert_msg(lo <= got && got <= hi, "%s: %lld is outside [%lld, %lld]", text, (long long)got, (long long)lo,
                      (long long)hi);
    int64_t d = jc_ex_divisor(t, e);
    ck_assert_msg(d ? got % d == 0 : got == 0, "%s: %lld is no multiple of %lld", text, (long long)got, (long long)d);
}

static void check_comparison(const jc_expr *a, const jc_expr *b, const int64_t *values) {
    int64_t x, y;
    if (!jc_ex_eval(a, values, NSYMS, &x) || !jc_ex_eval(b, values, NSYMS, &y))
        return;
    jc_truth equal = jc_ex_equal(t, a, b), le = jc_ex_le(t, a, b);
    ck_assert_msg(equal == JC_MAYBE || (equal == JC_YES) == (x == y), "%s == %s", jc_ex_text(t, a, arena),
                  jc_ex_text(t, b, arena));
    ck_assert_msg(le == JC_MAYBE || (le == JC_YES) == (x <= y), "%s <= %s", jc_ex_text(t, a, arena),
                  jc_ex_text(t, b, arena));
}

static bool has_extremum(const tree *x) {
    return x->op == 'm' || x->op == 'M' || (x->a && (has_extremum(x->a) || has_extremum(x->b)));
}

START_TEST(random_trees) {
    state = (uint64_t)_i * 0x9e3779b97f4a7c15u + 1;
    const jc_expr *last = jc_ex_int(t, 0);
    for (int round = 0; round < 400; round++) {
        const tree *x = grow(1 + (int)below(4));
        const jc_expr *e = build(x, false);
        if (e->kind == JC_EX_POISON)
            continue;
        if (!has_extremum(x))
            ck_assert_msg(build(x, true) == e, "%s depends on the order of operands: %s", jc_ex_text(t, e, arena),
                          jc_ex_text(t, build(x, true), arena));
        check_round_trips(e);
        for (int k = 0; k < 8; k++) {
            int64_t values[NSYMS];
            for (size_t s = 0; s < NSYMS; s++)
                values[s] = random_value(s);
            check_value(x, e, values);
            check_comparison(e, last, values);
        }
        last = e;
    }
}
END_TEST

/* Substitution, into another table too, commutes with evaluation. */
START_TEST(random_substitutions) {
    state = (uint64_t)_i + 99;
    jc_exprs *other = jc_exprs_new(arena);
    for (size_t s = 0; s < 3; s++)
        jc_sym_add(other, symbols[s].name);
    for (int round = 0; round < 200; round++) {
        const tree *x = grow(3);
        const jc_expr *e = build(x, false), *map[NSYMS];
        int64_t inner[3] = { below(20), below(20), below(20) }, values[NSYMS];
        for (size_t s = 0; s < NSYMS; s++) {
            const jc_expr *at = jc_ex_sym(other, below(3));
            map[s] = jc_ex_add(other, jc_ex_mul(other, jc_ex_int(other, symbols[s].divisor), at),
                               jc_ex_int(other, symbols[s].lo));
            jc_ex_eval(map[s], inner, 3, &values[s]);
            if (values[s] > symbols[s].hi)
                map[s] = jc_ex_int(other, values[s] = symbols[s].lo);
        }
        int64_t direct, mapped;
        __int128 want;
        if (e->kind == JC_EX_POISON || !naive(x, values, &want) || !jc_ex_eval(e, values, NSYMS, &direct))
            continue;
        const jc_expr *moved = jc_ex_subst(other, e, map, NSYMS);
        if (jc_ex_eval(moved, inner, 3, &mapped))
            ck_assert_msg(mapped == direct, "%s became %s", jc_ex_text(t, e, arena), jc_ex_text(other, moved, arena));
    }
}
END_TEST

#define ROWS(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    Suite *suite = suite_create("expr");
    TCase *tcase = tcase_create("expr");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, normal_form, 0, ROWS(normal));
    tcase_add_loop_test(tcase, bad_text, 0, ROWS(bad));
    tcase_add_test(tcase, deep_and_large_text);
    tcase_add_test(tcase, shared_growth_is_bounded);
    tcase_add_test(tcase, overflow_is_poison);
    tcase_add_test(tcase, remainder_of_the_smallest);
    tcase_add_loop_test(tcase, truth_table, 0, ROWS(truths));
    tcase_add_loop_test(tcase, range_and_divisor, 0, ROWS(ranges));
    tcase_add_loop_test(tcase, linear_form, 0, ROWS(linear));
    tcase_add_loop_test(tcase, exact_quotient, 0, ROWS(quotients));
    tcase_add_test(tcase, symbols_and_uses);
    tcase_add_test(tcase, names_do_not_matter);
    tcase_add_test(tcase, bad_bytes);
    tcase_add_loop_test(tcase, random_trees, 0, 25);
    tcase_add_loop_test(tcase, random_substitutions, 0, 10);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
