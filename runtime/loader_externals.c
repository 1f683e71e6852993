/*
 * runtime/loader_externals.c - the functions that generated code for the host may call.
 *
 * LLVM turns intrinsics into calls of these where the processor has no instruction for them.  Anything that is not in the
 * list does not load, so that an object cannot reach into the process by naming a symbol.
 */
#define _GNU_SOURCE /* sincos */
#include "runtime/loader_priv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint64_t bits_of_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/*
 * The bits of X rounded to a float of 16 bits with MAN mantissa bits, to nearest, ties to even.  Works on integers: the
 * mantissa is shifted to the target's last place and rounded there; a carry runs into the exponent, which is right.
 */
static uint32_t narrow(double x, int man) {
    uint64_t bits = bits_of_double(x);
    uint32_t sign = (uint32_t)(bits >> 63) << 15, inf = 0x7fff >> man << man;
    int field = (int)(bits >> 52 & 0x7ff), bias = (1 << (14 - man)) - 1;
    uint64_t fraction = bits & 0xfffffffffffffull;
    if (field == 0x7ff) /* the top of a NaN's payload stays, and it is quiet */
        return sign | inf | (fraction ? 1u << (man - 1) | (uint32_t)(fraction >> (52 - man)) : 0);
    int e = field - 1023 + bias; /* the target's exponent field; below 1: subnormal */
    int shift = 52 - man + (e < 1 ? 1 - e : 0);
    if (field == 0 || shift > 54)
        return sign; /* less than half of the smallest */
    uint64_t mantissa = fraction | 1ull << 52, half = 1ull << (shift - 1);
    uint64_t kept = mantissa >> shift, rest = mantissa & ((half << 1) - 1);
    kept += rest > half || (rest == half && (kept & 1));
    uint64_t out = e < 1 ? kept : ((uint64_t)(e - 1) << man) + kept; /* KEPT's leading 1 adds one to the exponent */
    return sign | (out > inf ? inf : (uint32_t)out);
}

float jc_helper_extendhfsf2(float half) {
    uint32_t bits;
    memcpy(&bits, &half, sizeof bits);
    uint32_t sign = (bits & 0x8000) << 16, field = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
    if (field == 0x1f)
        return float_of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (field)
        return float_of_bits(sign | (field + 112) << 23 | fraction << 13);
    float x = (float)fraction * 0x1p-24f;
    return sign ? -x : x;
}

float jc_helper_truncdfhf2(double x) {
    return float_of_bits(narrow(x, 10));
}

float jc_helper_truncsfhf2(float x) {
    return jc_helper_truncdfhf2(x); /* widening is exact, so there is one rounding */
}

float jc_helper_truncdfbf2(double x) {
    return float_of_bits(narrow(x, 7));
}

float jc_helper_truncsfbf2(float x) {
    return jc_helper_truncdfbf2(x);
}

#define PLAIN(X) \
    X(memcpy) X(memset) X(memmove) X(memcmp) X(bcmp) \
    X(exp) X(expf) X(exp2) X(exp2f) X(log) X(logf) X(log2) X(log2f) X(pow) X(powf) \
    X(sin) X(sinf) X(cos) X(cosf) X(sincos) X(sincosf) X(tanh) X(tanhf) X(erf) X(erff) \
    X(fmod) X(fmodf) X(fma) X(fmaf) X(fmax) X(fmaxf) X(fmin) X(fminf) X(sqrt) X(sqrtf) \
    X(floor) X(floorf) X(ceil) X(ceilf) X(trunc) X(truncf) X(rint) X(rintf) X(nearbyint) X(nearbyintf) \
    X(round) X(roundf) X(roundeven) X(roundevenf)

const jc_loader_symbol jc_loader_externals[] = {
#define ROW(name) { #name, (void *)name },
    PLAIN(ROW)
#undef ROW
    { "__extendhfsf2", (void *)jc_helper_extendhfsf2 },
    { "__truncsfhf2", (void *)jc_helper_truncsfhf2 },
    { "__truncdfhf2", (void *)jc_helper_truncdfhf2 },
    { "__truncsfbf2", (void *)jc_helper_truncsfbf2 },
    { "__truncdfbf2", (void *)jc_helper_truncdfbf2 },
};
const uint32_t jc_loader_nexternals = sizeof jc_loader_externals / sizeof *jc_loader_externals;
