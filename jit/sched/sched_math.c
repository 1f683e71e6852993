/*
 * jit/sched/sched_math.c - functions of PyTorch in tape instructions, of operands that have their values.
 *
 * What a code generator has of its own (exp, erf, a remainder) is an instruction; what is put together from those is put together here.
 */
#include "jit/sched/sched_tape.h"

#include <math.h>

uint32_t jc_gen_sigmoid(jc_gen *g, uint32_t x) {
    uint32_t e = op1(g, JC_T_EXP, op1(g, JC_T_NEG, x));
    return op1(g, JC_T_RCP, op2(g, JC_T_ADD, number(g, ct(g, x), 1), e));
}

uint32_t jc_gen_silu(jc_gen *g, uint32_t x) {
    uint32_t e = op1(g, JC_T_EXP, op1(g, JC_T_NEG, x));
    return op2(g, JC_T_DIV, x, op2(g, JC_T_ADD, number(g, ct(g, x), 1), e));
}

uint32_t jc_gen_gelu(jc_gen *g, uint32_t x, bool tanh_form) {
    jc_ct c = ct(g, x);
    uint32_t inner;
    if (tanh_form) {
        uint32_t x3 = op2(g, JC_T_MUL, op2(g, JC_T_MUL, x, x), x);
        uint32_t sum = op2(g, JC_T_ADD, x, product(g, number(g, c, 0.044715), x3));
        inner = op1(g, JC_T_TANH, op2(g, JC_T_MUL, number(g, c, sqrt(2 / M_PI)), sum));
    } else {
        inner = op1(g, JC_T_ERF, op2(g, JC_T_MUL, x, number(g, c, sqrt(0.5))));
    }
    uint32_t half = op2(g, JC_T_MUL, x, number(g, c, 0.5));
    return op2(g, JC_T_MUL, half, op2(g, JC_T_ADD, number(g, c, 1), inner));
}

/* log(1 + y) without losing small y: log(u) * y/(u-1) with u = 1 + y (Kahan). */
uint32_t jc_gen_log1p(jc_gen *g, uint32_t y) {
    jc_ct c = ct(g, y);
    uint32_t one = number(g, c, 1), u = op2(g, JC_T_ADD, one, y);
    uint32_t scaled = op2(g, JC_T_MUL, op1(g, JC_T_LOG, u), op2(g, JC_T_DIV, y, op2(g, JC_T_SUB, u, one)));
    return select(g, op2(g, JC_T_EQ, u, one), y, scaled);
}

uint32_t jc_gen_softplus(jc_gen *g, uint32_t x, double beta, double threshold) {
    jc_ct c = ct(g, x);
    uint32_t z = op2(g, JC_T_MUL, x, number(g, c, beta));
    uint32_t e = op1(g, JC_T_EXP, op1(g, JC_T_NEG, op1(g, JC_T_ABS, z)));
    uint32_t sum = op2(g, JC_T_ADD, op2(g, JC_T_MAXIMUM, z, number(g, c, 0)), jc_gen_log1p(g, e));
    uint32_t soft = op2(g, JC_T_MUL, sum, number(g, c, 1 / beta));
    return select(g, op2(g, JC_T_LT, number(g, c, threshold), z), x, soft);
}

static uint32_t over(jc_gen *g, const jc_floor_quotient *f, uint32_t x) {
    return jc_gen_kept(g, f->inverts ? op2(g, JC_T_MUL, x, f->inverse) : op2(g, JC_T_DIV, x, f->b), f->steps);
}

/* Floats as PyTorch divides them, step by step: what fmod leaves is taken off first, for the quotient may round up to the next whole
   number; of a far quotient its steps round, and ours with them. */
uint32_t jc_gen_floor_quotient(jc_gen *g, jc_floor_quotient f) {
    const uint32_t a = f.a, b = f.b;
    const jc_ct c = ct(g, a);
    const uint32_t zero = number(g, c, 0), one = number(g, c, 1), a_below = op2(g, JC_T_LT, a, zero);
    const uint32_t rest = op2(g, JC_T_REM, op1(g, JC_T_ABS, a), op1(g, JC_T_ABS, b));
    const uint32_t mod = select(g, a_below, op1(g, JC_T_NEG, rest), rest), exact = over(g, &f, jc_gen_kept(g, op2(g, JC_T_SUB, a, mod), f.steps));
    const uint32_t apart = op2(g, JC_T_XOR, a_below, op2(g, JC_T_LT, b, zero));
    const uint32_t down = op2(g, JC_T_AND, apart, op2(g, JC_T_NE, rest, zero));
    const uint32_t quotient = select(g, down, jc_gen_kept(g, op2(g, JC_T_SUB, exact, one), f.steps), exact);
    uint32_t q = jc_gen_kept(g, op1(g, JC_T_FLOOR, quotient), f.whole);
    const uint32_t up = op2(g, JC_T_LT, number(g, c, 0.5), jc_gen_kept(g, op2(g, JC_T_SUB, quotient, q), f.steps));
    q = select(g, up, jc_gen_kept(g, op2(g, JC_T_ADD, q, one), f.whole), q);
    const uint32_t plain = over(g, &f, a); /* by 0; and the sign of a quotient of 0 */
    q = select(g, op2(g, JC_T_EQ, quotient, zero), op2(g, JC_T_MUL, plain, zero), q);
    return select(g, op2(g, JC_T_EQ, b, zero), plain, q);
}

/* Integers by squaring, one bit of the exponent after the other; a negative exponent leaves of 1 and -1 something alone. */
uint32_t jc_gen_integer_pow(jc_gen *g, uint32_t x, uint32_t exponent, int64_t known) {
    const uint32_t zero = number(g, JC_CT_I64, 0), one = number(g, JC_CT_I64, 1), base = x;
    uint32_t y = one;
    for (int bit = 0; bit < 63 && (known < 0 || known >> bit); bit++) {
        if (bit)
            x = op2(g, JC_T_MUL, x, x);
        if (known >= 0 && !(known >> bit & 1))
            continue;
        const uint32_t product = op2(g, JC_T_MUL, y, x);
        if (known >= 0) {
            y = product;
            continue;
        }
        const uint32_t rest = op2(g, JC_T_SHR, exponent, number(g, JC_CT_I64, bit));
        y = select(g, op2(g, JC_T_NE, op2(g, JC_T_AND, rest, one), zero), product, y);
    }
    if (known >= 0)
        return y;
    const uint32_t odd = op2(g, JC_T_NE, op2(g, JC_T_AND, exponent, one), zero), minus = number(g, JC_CT_I64, -1);
    const uint32_t of_minus = select(g, op2(g, JC_T_EQ, base, minus), select(g, odd, minus, one), zero);
    return select(g, op2(g, JC_T_LT, exponent, zero), select(g, op2(g, JC_T_EQ, base, one), one, of_minus), y);
}
