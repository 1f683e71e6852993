/*
 * tests/check_eval_float.c - the reference's rounding: hand-picked ties and limits, the machine's own conversion, and
 * every pattern of the small formats.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/eval/eval.h"

static const struct { const char *name; jc_dtype dtype; double x, expected; } roundings[] = {
    { "f16 largest", JC_F16, 65504, 65504 },
    { "f16 below the tie", JC_F16, 65519.999, 65504 },
    { "f16 tie goes to infinity", JC_F16, 65520, INFINITY },
    { "f16 tie at the least subnormal", JC_F16, 0x1p-25, 0 },
    { "f16 past it", JC_F16, 0x1.0001p-25, 0x1p-24 },
    { "f16 subnormal tie to even", JC_F16, 0x1.8p-24, 0x1p-23 },
    { "f16 subnormal to normal", JC_F16, 0x1.ffcp-15, 0x1p-14 },
    { "f16 negative", JC_F16, -1.00048828125, -1 },
    { "bf16 tie to even", JC_BF16, 1 + 0x1p-8, 1 },
    { "bf16 tie to even, up", JC_BF16, 1 + 0x1.8p-7, 1 + 0x1p-6 },
    { "bf16 past the tie", JC_BF16, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-7 },
    { "bf16 carries into the exponent", JC_BF16, 1.999, 2 },
    { "bf16 overflow", JC_BF16, 3.4e38, INFINITY },
    { "bf16 subnormal", JC_BF16, 0x1p-133, 0x1p-133 },
    { "bf16 vanishes", JC_BF16, 0x1p-134, 0 },
    { "f32 tie to even", JC_F32, 1 + 0x1p-24, 1 },
    { "f32 overflow", JC_F32, 0x1.ffffffp127, INFINITY },
    { "f32 largest", JC_F32, 0x1.fffffefp127, 0x1.fffffep127 },
    { "f32 subnormal tie to even", JC_F32, 0x1.8p-149, 0x1p-148 },
    { "f32 vanishes", JC_F32, 0x1p-150, 0 },
    { "f32 of a double's subnormal", JC_F32, 0x1p-1060, 0 },
    { "f32 of a huge double", JC_F32, -1e300, -INFINITY },
    { "f64 stays", JC_F64, 0.1, 0.1 },
    { "e4m3 largest", JC_F8E4M3FN, 448, 448 },
    { "e4m3 tie to even stays finite", JC_F8E4M3FN, 464, 448 },
    { "e4m3 past the tie is NaN", JC_F8E4M3FN, 464.001, NAN },
    { "e4m3 infinity is NaN", JC_F8E4M3FN, -INFINITY, NAN },
    { "e4m3 least subnormal", JC_F8E4M3FN, 0x1p-9, 0x1p-9 },
    { "e4m3 tie to zero", JC_F8E4M3FN, 0x1p-10, 0 },
    { "e4m3 subnormal tie to even", JC_F8E4M3FN, 0x1.8p-9, 0x1p-8 },
    { "e4m3 tie to even", JC_F8E4M3FN, 17, 16 },
    { "e4m3 nearest", JC_F8E4M3FN, -19.1, -20 },
    { "e5m2 largest", JC_F8E5M2, 61439, 57344 },
    { "e5m2 tie goes to infinity", JC_F8E5M2, 61440, INFINITY },
    { "e5m2 tie to even", JC_F8E5M2, 2.25, 2 },
    { "e5m2 least subnormal", JC_F8E5M2, 0x1p-16, 0x1p-16 },
    { "NaN", JC_BF16, NAN, NAN },
};

START_TEST(rounding) {
    double x = jc_round_to(roundings[_i].dtype, roundings[_i].x), expected = roundings[_i].expected;
    ck_assert_msg(x == expected || (isnan(x) && isnan(expected)), "%s: %a instead of %a", roundings[_i].name, x, expected);
}
END_TEST

/* The machine's own conversion is independent of ours. */
START_TEST(rounding_as_the_machine) {
    uint64_t state = 1;
    for (int k = 0; k < 200000; k++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = (state & ~(UINT64_C(0x7ff) << 52)) | (1023 - 160 + (state >> 33) % 300) << 52;
        double x;
        memcpy(&x, &bits, sizeof x);
        ck_assert_msg(jc_round_to(JC_F32, x) == (double)(float)x, "%a", x);
    }
}
END_TEST

/* Value of a pattern from its fields, with ldexp. */
static double value_of(unsigned bits, int exponent, int mantissa, bool infinity) {
    int e = (int)(bits >> mantissa) & ((1 << exponent) - 1), m = (int)bits & ((1 << mantissa) - 1);
    int bias = (1 << (exponent - 1)) - 1, top = (1 << exponent) - 1;
    double x = e ? ldexp(1 + ldexp(m, -mantissa), e - bias) : ldexp(m, 1 - bias - mantissa);
    if (infinity && e == top)
        x = m ? NAN : INFINITY;
    if (!infinity && e == top && m == (1 << mantissa) - 1)
        x = NAN;
    return bits >> (exponent + mantissa) & 1 ? -x : x;
}

static const struct { jc_dtype dtype; int exponent, mantissa; bool infinity; } patterns[] = {
    { JC_F16, 5, 10, true }, { JC_BF16, 8, 7, true }, { JC_F8E4M3FN, 4, 3, false }, { JC_F8E5M2, 5, 2, true },
};

START_TEST(every_pattern) {
    jc_dtype dtype = patterns[_i].dtype;
    unsigned count = 1u << (8 * jc_dtypes[dtype].size);
    for (unsigned bits = 0; bits < count; bits++) {
        double x = jc_load_float(dtype, &bits);
        double expected = value_of(bits, patterns[_i].exponent, patterns[_i].mantissa, patterns[_i].infinity);
        unsigned back = 0;
        jc_store_float(dtype, &back, x);
        bool equal = isnan(expected) ? isnan(x) : x == expected && signbit(x) == signbit(expected);
        if (!equal || back != bits)
            ck_abort_msg("%s %x: %a, came back as %x", jc_dtypes[dtype].name, bits, x, back);
    }
}
END_TEST

/* Bits that are no number are moved all the same; rounding makes a plain NaN of them. */
START_TEST(bits_of_nan) {
    static const uint32_t bits[] = { 0x7f800001, 0x7fa00000, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc00000, 0xfffffffc };
    for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
        uint32_t back, rounded;
        double x = jc_load_float(JC_F32, &bits[k]);
        jc_store_float(JC_F32, &back, x);
        jc_store_float(JC_F32, &rounded, jc_round_to(JC_F32, x));
        ck_assert_msg(isnan(x) && back == bits[k], "%x came back as %x", bits[k], back);
        ck_assert_msg(rounded == (bits[k] & 0x80000000 ? 0xffc00000 : 0x7fc00000), "%x rounded to %x", bits[k], rounded);
    }
}
END_TEST

#define ROWS(table) (int)(sizeof table / sizeof *table)

int main(void) {
    Suite *s = suite_create("eval_float");
    TCase *t = tcase_create("rounding");
    tcase_add_loop_test(t, rounding, 0, ROWS(roundings));
    tcase_add_test(t, rounding_as_the_machine);
    tcase_add_loop_test(t, every_pattern, 0, ROWS(patterns));
    tcase_add_test(t, bits_of_nan);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
