/*
 * jit/sched/sched_tape.h - writing a kernel's tape: an instruction of a type that follows from its operands, and functions made of several.
 *
 * Operands and results are numbers of instructions.
 */
#ifndef JC_SCHED_TAPE_H
#define JC_SCHED_TAPE_H

#include "jit/sched/sched.h"

/* Appends an instruction, or finds the same one (sched_gen.c). */
uint32_t jc_gen_push(jc_gen *g, jc_instr i);

/* Element INDEX of V: what computes it (sched_gen.c). */
uint32_t jc_gen_value(jc_gen *g, jc_value *v, const jc_expr *const *index);
/* X as it comes back from memory of dtype D. */
uint32_t jc_gen_kept(jc_gen *g, uint32_t x, jc_dtype d);
/* Integer I as an index of a dim of SIZE (of the kernel's): from the end where it is negative and WRAP, and within. */
const jc_expr *jc_gen_place(jc_gen *g, uint32_t i, const jc_expr *size, bool wrap);
uint32_t jc_gen_argument(jc_gen *g, const jc_node *n, uint32_t i, jc_ct want); /* N's argument I, a number */

static inline jc_ct ct(const jc_gen *g, uint32_t i) {
    return g->failed ? JC_CT_NONE : (jc_ct)g->tape.at[i].ct;
}

static inline uint32_t ins(jc_gen *g, jc_tape_op op, jc_ct c, uint32_t a, uint32_t b) {
    return jc_gen_push(g, (jc_instr){ .op = (uint8_t)op, .ct = (uint8_t)c, .a = a, .b = b });
}

static inline uint32_t number(jc_gen *g, jc_ct c, double x) {
    if (c == JC_CT_I64 || c == JC_CT_B1)
        return jc_gen_push(g, (jc_instr){ .op = JC_T_INT, .ct = (uint8_t)c, .i = (int64_t)x });
    return jc_gen_push(g, (jc_instr){ .op = JC_T_FLOAT, .ct = (uint8_t)c, .f = x });
}

static inline uint32_t integer(jc_gen *g, const jc_expr *e) {
    int64_t x;
    if (jc_ex_is_const(e, &x))
        return jc_gen_push(g, (jc_instr){ .op = JC_T_INT, .ct = JC_CT_I64, .i = x });
    return jc_gen_push(g, (jc_instr){ .op = JC_T_INDEX, .ct = JC_CT_I64, .index = e });
}

static inline uint32_t convert(jc_gen *g, uint32_t a, jc_ct c) {
    return ct(g, a) == c ? a : ins(g, JC_T_CONVERT, c, a, 0);
}

/* As a cast to D converts: whether the value is narrow enough for D is another question. */
static inline uint32_t convert_for(jc_gen *g, uint32_t a, jc_dtype d) {
    const bool in_32 = d == JC_I8 || d == JC_I16 || d == JC_I32;
    if (in_32 && (ct(g, a) == JC_CT_F32 || ct(g, a) == JC_CT_F64))
        return ins(g, JC_T_WHOLE, JC_CT_I64, a, 0);
    return convert(g, a, jc_compute_type(d));
}

static inline uint32_t op1(jc_gen *g, jc_tape_op op, uint32_t a) {
    return ins(g, op, ct(g, a), a, 0);
}

static inline uint32_t op2(jc_gen *g, jc_tape_op op, uint32_t a, uint32_t b) {
    return ins(g, op, op >= JC_T_EQ && op <= JC_T_LE ? JC_CT_B1 : ct(g, a), a, b);
}

static inline uint32_t op3(jc_gen *g, jc_tape_op op, uint32_t a, uint32_t b, uint32_t c) {
    return jc_gen_push(g, (jc_instr){ .op = (uint8_t)op, .ct = (uint8_t)ct(g, a), .a = a, .b = b, .c = c });
}

/* a*b for one ADD or SUB of the same operator. */
static inline uint32_t product(jc_gen *g, uint32_t a, uint32_t b) {
    return op2(g, g->s->options->strict ? JC_T_MUL : JC_T_PRODUCT, a, b);
}

static inline uint32_t select(jc_gen *g, uint32_t c, uint32_t a, uint32_t b) {
    return jc_gen_push(g, (jc_instr){ .op = JC_T_SELECT, .ct = (uint8_t)ct(g, a), .a = c, .b = a, .c = b });
}

static inline uint32_t round_to(jc_gen *g, uint32_t a, jc_dtype d) {
    return jc_gen_push(g, (jc_instr){ .op = JC_T_ROUND, .ct = (uint8_t)ct(g, a), .dtype = (uint8_t)d, .a = a });
}

/* ---- in order (sched_walk.c) ---- */
/* Carry WHICH of N, which starts with FIRST: the results of one node go by the same. */
uint32_t jc_gen_carry(jc_gen *g, const jc_node *n, uint64_t which, uint32_t first);
void jc_gen_next(jc_gen *g, uint32_t carry, uint32_t x);
/* X to where R has element AT. */
void jc_gen_store(jc_gen *g, const jc_root *r, const jc_expr *const *at, uint32_t x);
/* The length of the runs that N merges. */
const jc_expr *jc_gen_run(jc_gen *g, const jc_node *n);

/* ---- order (sched_order.c) ---- */
uint32_t jc_gen_nth(jc_gen *g, const jc_node *n, uint32_t x); /* X: the operand at the column */
void jc_gen_sort_runs(jc_gen *g, const jc_root *r, const jc_expr **at);
void jc_gen_merge_runs(jc_gen *g, const jc_root *r, const jc_expr **at);

/* ---- functions (sched_math.c); floats unless it says otherwise ---- */
uint32_t jc_gen_sigmoid(jc_gen *g, uint32_t x);
uint32_t jc_gen_silu(jc_gen *g, uint32_t x);
uint32_t jc_gen_gelu(jc_gen *g, uint32_t x, bool tanh_form);
uint32_t jc_gen_softplus(jc_gen *g, uint32_t x, double beta, double threshold);
uint32_t jc_gen_log1p(jc_gen *g, uint32_t x);
/* a // b, by the INVERSE of b or by division; STEPS and WHOLE: what dtypes keep of each step and of the whole number. */
typedef struct jc_floor_quotient {
    uint32_t a, b, inverse;
    bool inverts;
    jc_dtype steps, whole;
} jc_floor_quotient;
uint32_t jc_gen_floor_quotient(jc_gen *g, jc_floor_quotient q);
/* Of integers; KNOWN: the exponent where it is known and not negative, else -1. */
uint32_t jc_gen_integer_pow(jc_gen *g, uint32_t x, uint32_t exponent, int64_t known);

#endif
