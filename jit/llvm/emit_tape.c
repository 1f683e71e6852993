/*
 * jit/llvm/emit_tape.c - the tape as code, for one point or a vector of points.
 *
 * A tape is prepared for a width W: points of a vector are neighbours along the last loop variable.  A value that cannot
 * differ between them stays scalar and is widened where a wide instruction needs it.  What an access looks like is found
 * once, symbolically: the index with the column written as W*q + t, t in 0..W-1, is normalised, and if t remains with
 * coefficient 1, 0 or c, the access is a run, a single element, or a stride.  So divisions that end inside a vector
 * (heads, pages) melt away.
 */
#include "jit/llvm/emit.h"

#include "jit/llvm/dialect.h"

bool jc_is_reduction(uint8_t op) {
    return op >= JC_T_RED_SUM;
}

static bool has_index(uint8_t op) {
    return op == JC_T_LOAD || op == JC_T_STORE || op == JC_T_INDEX;
}

/* ---- dependencies --------------------------------------------------------------------------------------------- */

typedef struct seen {
    const jc_tape *t;
    jc_arena *arena;
    jc_deps *out;
} seen;

static void see_symbol(void *user, uint32_t sym) {
    seen *s = user;
    const jc_ksym *k = &s->t->e->k->syms[sym];
    if (sym >= s->t->e->k->nsyms || k->kind != JC_KSYM_TAPE)
        return;
    jc_push(s->arena, s->out, k->index);
}

static void find_deps(jc_tape *t, uint32_t i) {
    const jc_instr *in = &t->e->k->tape[i];
    const uint32_t operand[3] = { in->a, in->b, in->c };
    for (unsigned j = 0; j < jc_tape_ops[in->op].operands; j++)
        jc_push(t->e->arena, &t->deps[i], operand[j]);
    if (has_index(in->op)) {
        seen s = { t, t->e->arena, &t->deps[i] };
        jc_ex_symbols(in->index, see_symbol, &s);
    }
}

void jc_tape_close(const jc_tape *t, bool *need) {
    for (uint32_t i = t->e->k->ninstrs; i-- > 0;)
        if (need[i])
            for (size_t j = 0; j < t->deps[i].n; j++)
                need[t->deps[i].at[j]] = true;
}

/* ---- accesses ------------------------------------------------------------------------------------------------- */

static uint32_t power_dividing(int64_t x, uint32_t most) {
    uint32_t p = 1;
    while (p < most && x % (2 * (int64_t)p) == 0)
        p *= 2;
    return p;
}

/* How the index changes within a vector. */
static void classify(jc_tape *t, const jc_expr *index, jc_access *a) {
    jc_exprs *ex = t->e->k->ex;
    uint32_t column = t->e->k->rank - 1u;
    const jc_expr *map[JC_KERNEL_MAX_RANK] = { NULL }, *step, *rest;
    a->kind = JC_ACCESS_LANES;
    map[column] = jc_ex_add(ex, jc_ex_mul(ex, jc_ex_int(ex, t->w), jc_ex_sym(ex, t->sym_q)), jc_ex_sym(ex, t->sym_t));
    const jc_expr *split = jc_ex_subst(ex, index, map, column + 1);
    if (!jc_ex_linear(ex, split, t->sym_t, &step, &rest) || jc_ex_uses(step, t->sym_q))
        return;
    a->lane_step = step;
    a->align = power_dividing(jc_ex_divisor(ex, rest), t->w);
    a->kind = jc_ex_is(step, 0) ? JC_ACCESS_SAME : jc_ex_is(step, 1) ? JC_ACCESS_RUN : JC_ACCESS_STRIDE;
}

static void find_access(jc_tape *t, uint32_t i) {
    jc_emit *e = t->e;
    jc_exprs *ex = e->k->ex;
    const jc_expr *index = e->k->tape[i].index, *step;
    jc_access *a = &t->access[i];
    uint32_t column = e->k->rank - 1u;
    bool wide = false, moved = false;
    for (size_t j = 0; j < t->deps[i].n; j++) {
        wide |= t->wide[t->deps[i].at[j]];
        moved |= t->column[t->deps[i].at[j]];
    }
    bool is_store = e->k->tape[i].op == JC_T_STORE;
    if (is_store) { /* the first dependency is the value stored */
        wide = moved = false;
        for (size_t j = 1; j < t->deps[i].n; j++) {
            wide |= t->wide[t->deps[i].at[j]];
            moved |= t->column[t->deps[i].at[j]];
        }
    }
    a->align = 1;
    if (t->w == 1)
        a->kind = JC_ACCESS_SAME;
    else if (wide)
        a->kind = JC_ACCESS_LANES;
    else
        classify(t, index, a);
    if (!moved && jc_ex_linear(ex, index, column, &step, &a->rest))
        a->move = jc_ex_mul(ex, step, jc_ex_sym(ex, column));
    else
        a->rest = NULL;
    t->wide[i] = a->kind != JC_ACCESS_SAME;
    t->column[i] = moved || jc_ex_uses(index, column);
}

/* Approximate quotients must not meet a step function; and where none may be. */
static void need_exact(jc_tape *t, uint32_t i) {
    const jc_instr *in = &t->e->k->tape[i];
    if (t->exact[i])
        return;
    t->exact[i] = true;
    if (in->op == JC_T_ADD || in->op == JC_T_SUB)
        need_exact(t, in->a);
    if (in->op == JC_T_ADD || in->op == JC_T_SUB || in->op == JC_T_SELECT)
        need_exact(t, in->b);
    if (in->op == JC_T_SELECT)
        need_exact(t, in->c);
}

static void find_exact(jc_tape *t, uint32_t i) {
    const jc_instr *in = &t->e->k->tape[i];
    if (in->op == JC_T_FLOOR || in->op == JC_T_CEIL || in->op == JC_T_RINT || in->op == JC_T_WHOLE || (in->op == JC_T_CONVERT && in->ct == JC_CT_I64))
        need_exact(t, in->a);
    if (in->op == JC_T_DIV && t->e->k->tape[in->a].op == JC_T_RED_SUM) /* the mean of equal elements is such an element */
        t->exact[i] = true;
    t->exact[i] |= t->e->k->exact;
}

static void find_order(jc_tape *t) {
    const jc_kernel *k = t->e->k;
    bool *loaded = JC_NEWN(t->e->arena, bool, k->nargs), *written = JC_NEWN(t->e->arena, bool, k->nargs);
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        const jc_instr *in = &k->tape[i];
        if (in->op == JC_T_LOAD) {
            t->late[i] = written[in->arg];
            loaded[in->arg] = true;
        } else if (in->op == JC_T_STORE)
            written[in->arg] = true;
    }
    for (uint32_t i = 0; i < k->nargs; i++)
        t->stored[i] = loaded[i] && written[i];
}

void jc_tape_init(jc_tape *t, jc_emit *e, unsigned w) {
    const jc_kernel *k = e->k;
    uint32_t n = k->ninstrs;
    *t = (jc_tape){ .e = e, .w = w };
    t->wide = JC_NEWN(e->arena, bool, n);
    t->column = JC_NEWN(e->arena, bool, n);
    t->exact = JC_NEWN(e->arena, bool, n);
    t->late = JC_NEWN(e->arena, bool, n);
    t->moved = jc_find_moved(e);
    t->stored = JC_NEWN(e->arena, bool, k->nargs);
    t->access = JC_NEWN(e->arena, jc_access, n);
    t->deps = JC_NEWN(e->arena, jc_deps, n);
    t->sym_q = jc_sym_add(k->ex, "q");
    t->sym_t = jc_sym_add(k->ex, "t");
    jc_sym_at(k->ex, t->sym_q)->hi = jc_sym_at(k->ex, k->rank - 1u)->hi / w;
    jc_sym_at(k->ex, t->sym_t)->hi = (int64_t)w - 1;
    find_order(t);
    for (uint32_t i = 0; i < n; i++) {
        const jc_instr *in = &k->tape[i];
        find_deps(t, i);
        find_exact(t, i);
        if (has_index(in->op)) {
            find_access(t, i);
        } else if (in->op == JC_T_ACC || in->op == JC_T_CARRY) {
            t->wide[i] = w > 1;
            t->column[i] = true;
        } else if (!jc_is_reduction(in->op)) {
            for (size_t j = 0; j < t->deps[i].n; j++) {
                t->wide[i] |= t->wide[t->deps[i].at[j]];
                t->column[i] |= t->column[t->deps[i].at[j]];
            }
        }
        if (in->op == JC_T_STORE)
            t->column[i] |= t->column[in->a];
    }
}

/* ---- environments --------------------------------------------------------------------------------------------- */

void jc_env_init(jc_env *env, jc_emit *e, jc_tape *t, jc_env *up) {
    *env = (jc_env){ .e = e, .tape = t, .up = up, .lane = -1 };
    if (t) {
        env->v = JC_NEWN(e->arena, LLVMValueRef, e->k->ninstrs);
        env->memory = JC_NEWN(e->arena, LLVMValueRef, e->k->ninstrs);
    }
}

static LLVMValueRef find_value(const jc_env *env, uint32_t i) {
    for (; env; env = env->up)
        if (env->v && env->v[i])
            return env->v[i];
    return NULL;
}

LLVMValueRef jc_env_value(jc_env *env, uint32_t i, bool wide) {
    LLVMValueRef v = find_value(env, i);
    if (!v) {
        jc_emit_fail(env->e, "Instruction %u of a kernel is used before it has a value.", i);
        return jc_undef(jc_ct_type(env->e, env->e->k->tape[i].ct));
    }
    return wide && env->tape->w > 1 ? jc_splat(env->e, v, env->tape->w) : v;
}

/* ---- instructions --------------------------------------------------------------------------------------------- */

/* Operands come in one width; T says their compute type. */
typedef LLVMValueRef (*op_fn)(jc_emit *e, const jc_instr *in, uint8_t ct, LLVMValueRef *a, bool exact);

#define OP(name) \
    static LLVMValueRef name(jc_emit *e, const jc_instr *in, uint8_t ct, LLVMValueRef *a, bool exact)
#define UNUSED (void)in, (void)ct, (void)exact

static bool is_float(uint8_t ct) {
    return ct == JC_CT_F32 || ct == JC_CT_F64;
}

OP(op_neg) {
    UNUSED;
    return is_float(ct) ? LLVMBuildFNeg(e->b, a[0], "") : LLVMBuildNeg(e->b, a[0], "");
}

OP(op_abs) {
    UNUSED;
    if (is_float(ct))
        return jc_unary_intrinsic(e, "llvm.fabs", a[0]);
    LLVMValueRef negative = LLVMBuildICmp(e->b, LLVMIntSLT, a[0], LLVMConstNull(LLVMTypeOf(a[0])), "");
    return jc_select(e, negative, LLVMBuildNeg(e->b, a[0], ""), a[0]);
}

/* In f64 where results have to be exact: rounded to f32 they are within half a place and a little. */
static LLVMValueRef function(jc_emit *e, LLVMValueRef (*fn)(jc_emit *, LLVMValueRef), LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x), wide = jc_vec_of(e->t.f64, jc_width_of(type));
    if (!e->k->exact || type == wide)
        return fn(e, x);
    return LLVMBuildFPTrunc(e->b, fn(e, LLVMBuildFPExt(e->b, x, wide, "")), type, "");
}

#define MATH(name, fn)                                                                             \
    OP(name)                                                                                       \
    {                                                                                              \
        UNUSED;                                                                                    \
        return function(e, fn, a[0]);                                                              \
    }
MATH(op_exp, jc_math_exp)
MATH(op_exp2, jc_math_exp2)
MATH(op_log, jc_math_log)
MATH(op_sin, jc_math_sin)
MATH(op_cos, jc_math_cos)
MATH(op_tanh, jc_math_tanh)
MATH(op_erf, jc_math_erf)
MATH(op_expm1, jc_math_expm1)
MATH(op_log1p, jc_math_log1p)
MATH(op_log2, jc_math_log2)
MATH(op_log10, jc_math_log10)
MATH(op_tan, jc_math_tan)
MATH(op_asin, jc_math_asin)
MATH(op_acos, jc_math_acos)
MATH(op_atan, jc_math_atan)
MATH(op_sinh, jc_math_sinh)
MATH(op_cosh, jc_math_cosh)
MATH(op_asinh, jc_math_asinh)
MATH(op_acosh, jc_math_acosh)
MATH(op_atanh, jc_math_atanh)
MATH(op_erfc, jc_math_erfc)
MATH(op_erfinv, jc_math_erfinv)

OP(op_pow) { UNUSED; return jc_math_pow(e, a[0], a[1]); }
OP(op_atan2) { UNUSED; return jc_math_atan2(e, a[0], a[1]); }
OP(op_hypot) { UNUSED; return jc_math_hypot(e, a[0], a[1]); }
OP(op_floor) { UNUSED; return jc_unary_intrinsic(e, "llvm.floor", a[0]); }
OP(op_ceil) { UNUSED; return jc_unary_intrinsic(e, "llvm.ceil", a[0]); }

OP(op_rint) { UNUSED; return jc_unary_intrinsic(e, "llvm.rint", a[0]); }

OP(op_signbit) {
    UNUSED;
    LLVMTypeRef type = jc_vec_of(ct == JC_CT_F64 ? e->t.i64 : e->t.i32, jc_width_of(LLVMTypeOf(a[0])));
    return LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildBitCast(e->b, a[0], type, ""), LLVMConstNull(type), "");
}

OP(op_sqrt) {
    UNUSED;
    return ct == JC_CT_F32 && e->d->sqrt && !exact ? e->d->sqrt(e, a[0]) : jc_unary_intrinsic(e, "llvm.sqrt", a[0]);
}

OP(op_rcp) {
    UNUSED;
    return ct == JC_CT_F32 && e->d->reciprocal && !exact
               ? e->d->reciprocal(e, a[0])
               : LLVMBuildFDiv(e->b, jc_real_of(LLVMTypeOf(a[0]), 1), a[0], "");
}

OP(op_rsqrt) {
    UNUSED;
    if (ct == JC_CT_F32 && e->d->rsqrt && !exact)
        return e->d->rsqrt(e, a[0]);
    return LLVMBuildFDiv(e->b, jc_real_of(LLVMTypeOf(a[0]), 1), jc_unary_intrinsic(e, "llvm.sqrt", a[0]), "");
}

OP(op_not) { UNUSED; return LLVMBuildNot(e->b, a[0], ""); }
OP(op_and) { UNUSED; return LLVMBuildAnd(e->b, a[0], a[1], ""); }
OP(op_or) { UNUSED; return LLVMBuildOr(e->b, a[0], a[1], ""); }
OP(op_xor) { UNUSED; return LLVMBuildXor(e->b, a[0], a[1], ""); }

OP(op_add) { UNUSED; return is_float(ct) ? LLVMBuildFAdd(e->b, a[0], a[1], "") : LLVMBuildAdd(e->b, a[0], a[1], ""); }
OP(op_sub) { UNUSED; return is_float(ct) ? LLVMBuildFSub(e->b, a[0], a[1], "") : LLVMBuildSub(e->b, a[0], a[1], ""); }
OP(op_mul) { UNUSED; return is_float(ct) ? LLVMBuildFMul(e->b, a[0], a[1], "") : LLVMBuildMul(e->b, a[0], a[1], ""); }

OP(op_fma) { UNUSED; return jc_exact_fma(e, a[0], a[1], a[2]); }

/* Floor division and remainder of integers; division by 0 gives 0, by -1 the negative, which may wrap. */
static LLVMValueRef int_divide(jc_emit *e, LLVMValueRef a, LLVMValueRef b, bool mod) {
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = LLVMConstNull(type), one = jc_int_of(type, 1);
    LLVMValueRef by_zero = LLVMBuildICmp(e->b, LLVMIntEQ, b, zero, "");
    LLVMValueRef by_minus = LLVMBuildICmp(e->b, LLVMIntEQ, b, jc_int_of(type, -1), "");
    LLVMValueRef safe = jc_select(e, LLVMBuildOr(e->b, by_zero, by_minus, ""), one, b);
    LLVMValueRef q = LLVMBuildSDiv(e->b, a, safe, ""), r = LLVMBuildSRem(e->b, a, safe, "");
    LLVMValueRef off = LLVMBuildAnd(e->b, LLVMBuildICmp(e->b, LLVMIntNE, r, zero, ""),
                                    LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, r, safe, ""), zero, ""), "");
    if (mod) /* by 1 instead of 0 and -1: 0, as it should be */
        return jc_select(e, off, LLVMBuildAdd(e->b, r, safe, ""), r);
    q = jc_select(e, off, LLVMBuildSub(e->b, q, one, ""), q);
    return jc_select(e, by_zero, zero, jc_select(e, by_minus, LLVMBuildNeg(e->b, a, ""), q));
}

OP(op_div) {
    UNUSED;
    if (!is_float(ct))
        return int_divide(e, a[0], a[1], false);
    return ct == JC_CT_F32 && e->d->divide && !exact ? e->d->divide(e, a[0], a[1])
                                                     : LLVMBuildFDiv(e->b, a[0], a[1], "");
}

OP(op_rem) {
    UNUSED;
    return is_float(ct) ? jc_math_remainder(e, a[0], a[1]) : int_divide(e, a[0], a[1], true);
}

OP(op_minimum) {
    UNUSED;
    if (is_float(ct))
        return jc_math_min(e, a[0], a[1]);
    return jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, a[0], a[1], ""), a[0], a[1]);
}

OP(op_maximum) {
    UNUSED;
    if (is_float(ct))
        return jc_math_max(e, a[0], a[1]);
    return jc_select(e, LLVMBuildICmp(e->b, LLVMIntSGT, a[0], a[1], ""), a[0], a[1]);
}

static LLVMValueRef in_range(jc_emit *e, LLVMValueRef shift) {
    return LLVMBuildICmp(e->b, LLVMIntULT, shift, jc_int_of(LLVMTypeOf(shift), 64), "");
}

OP(op_shl) {
    UNUSED;
    LLVMTypeRef type = LLVMTypeOf(a[0]);
    LLVMValueRef by = LLVMBuildAnd(e->b, a[1], jc_int_of(type, 63), "");
    return jc_select(e, in_range(e, a[1]), LLVMBuildShl(e->b, a[0], by, ""), LLVMConstNull(type));
}

OP(op_shr) {
    UNUSED;
    LLVMValueRef by = jc_select(e, in_range(e, a[1]), a[1], jc_int_of(LLVMTypeOf(a[1]), 63));
    return LLVMBuildAShr(e->b, a[0], by, "");
}

static LLVMValueRef compare(jc_emit *e, uint8_t ct, LLVMValueRef *a, LLVMRealPredicate f, LLVMIntPredicate i) {
    return is_float(ct) ? LLVMBuildFCmp(e->b, f, a[0], a[1], "") : LLVMBuildICmp(e->b, i, a[0], a[1], "");
}

OP(op_eq) { UNUSED; return compare(e, ct, a, LLVMRealOEQ, LLVMIntEQ); }
OP(op_ne) { UNUSED; return compare(e, ct, a, LLVMRealUNE, LLVMIntNE); }
OP(op_lt) { UNUSED; return compare(e, ct, a, LLVMRealOLT, LLVMIntSLT); }
OP(op_le) { UNUSED; return compare(e, ct, a, LLVMRealOLE, LLVMIntSLE); }
OP(op_select) { UNUSED; return jc_select(e, a[0], a[1], a[2]); }
OP(op_convert) { UNUSED; return jc_emit_convert(e, in->ct, ct, a[0]); }
OP(op_whole) { UNUSED; return jc_emit_whole(e, a[0], 32); }
OP(op_round) { UNUSED; return jc_emit_round(e, in->dtype, a[0]); }

static const op_fn ops[JC_T_COUNT] = {
    [JC_T_NEG] = op_neg,       [JC_T_ABS] = op_abs,         [JC_T_EXP] = op_exp,     [JC_T_EXP2] = op_exp2,
    [JC_T_LOG] = op_log,       [JC_T_SQRT] = op_sqrt,       [JC_T_RSQRT] = op_rsqrt, [JC_T_RCP] = op_rcp,
    [JC_T_SIN] = op_sin,       [JC_T_COS] = op_cos,         [JC_T_TANH] = op_tanh,   [JC_T_ERF] = op_erf,
    [JC_T_EXPM1] = op_expm1, [JC_T_LOG1P] = op_log1p, [JC_T_LOG2] = op_log2, [JC_T_LOG10] = op_log10, [JC_T_TAN] = op_tan,
    [JC_T_ASIN] = op_asin, [JC_T_ACOS] = op_acos, [JC_T_ATAN] = op_atan, [JC_T_SINH] = op_sinh, [JC_T_COSH] = op_cosh,
    [JC_T_ASINH] = op_asinh, [JC_T_ACOSH] = op_acosh, [JC_T_ATANH] = op_atanh, [JC_T_ERFC] = op_erfc, [JC_T_ERFINV] = op_erfinv,
    [JC_T_RINT] = op_rint,     [JC_T_SIGNBIT] = op_signbit, [JC_T_ATAN2] = op_atan2, [JC_T_HYPOT] = op_hypot,
    [JC_T_FLOOR] = op_floor,   [JC_T_CEIL] = op_ceil,       [JC_T_NOT] = op_not,     [JC_T_ADD] = op_add,
    [JC_T_SUB] = op_sub,       [JC_T_MUL] = op_mul,         [JC_T_PRODUCT] = op_mul, [JC_T_DIV] = op_div,     [JC_T_REM] = op_rem,
    [JC_T_FMA] = op_fma,
    [JC_T_POW] = op_pow,       [JC_T_MINIMUM] = op_minimum, [JC_T_MAXIMUM] = op_maximum,
    [JC_T_AND] = op_and,       [JC_T_OR] = op_or,           [JC_T_XOR] = op_xor,     [JC_T_SHL] = op_shl,
    [JC_T_SHR] = op_shr,       [JC_T_EQ] = op_eq,           [JC_T_NE] = op_ne,       [JC_T_LT] = op_lt,
    [JC_T_LE] = op_le,         [JC_T_SELECT] = op_select,   [JC_T_CONVERT] = op_convert,
    [JC_T_WHOLE] = op_whole,   [JC_T_ROUND] = op_round,
};

/* a*b + c of PRODUCT I, or c - a*b: rounded once where the processor can. */
static LLVMValueRef contracted(jc_env *env, uint32_t i, LLVMValueRef c, bool negative, bool wide) {
    jc_emit *e = env->e;
    const jc_instr *in = &e->k->tape[i];
    LLVMValueRef a = jc_env_value(env, in->a, wide), b = jc_env_value(env, in->b, wide);
    return jc_fused(e, negative ? LLVMBuildFNeg(e->b, a, "") : a, b, c);
}

static bool is_product(const jc_env *env, uint32_t i) {
    return env->e->k->tape[i].op == JC_T_PRODUCT;
}

/* ADD and SUB of a product; NULL where it is none. */
static LLVMValueRef with_product(jc_env *env, const jc_instr *in, bool wide) {
    const bool sub = in->op == JC_T_SUB;
    if (in->op != JC_T_ADD && !sub)
        return NULL;
    if (is_product(env, in->a)) {
        LLVMValueRef c = jc_env_value(env, in->b, wide);
        return contracted(env, in->a, sub ? LLVMBuildFNeg(env->e->b, c, "") : c, false, wide);
    }
    return is_product(env, in->b) ? contracted(env, in->b, jc_env_value(env, in->a, wide), sub, wide) : NULL;
}

LLVMValueRef jc_env_add_to(jc_env *env, uint32_t i, LLVMValueRef sum) {
    return is_product(env, i) ? contracted(env, i, sum, false, true)
                              : LLVMBuildFAdd(env->e->b, sum, jc_env_value(env, i, true), "");
}

static LLVMValueRef leaf(jc_env *env, const jc_instr *in) {
    jc_emit *e = env->e;
    LLVMTypeRef type = jc_ct_type(e, in->ct);
    switch (in->op) {
    case JC_T_FLOAT:
        return LLVMConstReal(type, in->f);
    case JC_T_INT:
        return LLVMConstInt(type, (uint64_t)in->i, true);
    case JC_T_SCALAR:
        return LLVMBuildFPCast(e->b, e->args[in->arg], type, "");
    default: /* ACC */
        for (const jc_env *at = env; at; at = at->up)
            if (at->acc)
                return at->acc;
        jc_emit_fail(e, "A kernel uses its sum where there is none.");
        return jc_undef(type);
    }
}

void jc_emit_instr(jc_env *env, uint32_t i) {
    jc_emit *e = env->e;
    const jc_instr *in = &e->k->tape[i];
    if (in->op == JC_T_STORE) {
        jc_emit_store(env, i);
        return;
    }
    if (find_value(env, i))
        return;
    if (in->op == JC_T_LOAD) {
        jc_emit_load(env, i);
    } else if (in->op == JC_T_INDEX) {
        jc_emit_index(env, i);
    } else if (!ops[in->op]) {
        env->v[i] = leaf(env, in);
    } else {
        bool wide = env->tape->wide[i];
        LLVMValueRef a[3] = { NULL };
        const uint32_t operand[3] = { in->a, in->b, in->c };
        env->v[i] = with_product(env, in, wide);
        for (unsigned j = 0; !env->v[i] && j < jc_tape_ops[in->op].operands; j++) {
            bool scalar_will_do = in->op == JC_T_SELECT && j == 0;
            a[j] = jc_env_value(env, operand[j], wide && !scalar_will_do);
        }
        if (!env->v[i])
            env->v[i] = ops[in->op](e, in, e->k->tape[in->a].ct, a, env->tape->exact[i]);
    }
    jc_name_instr(e, i, env->v[i]);
    jc_emit_moved(env, i);
}

void jc_emit_loads(jc_env *env, const bool *take) {
    const jc_kernel *k = env->e->k;
    bool *need = JC_NEWN(env->e->arena, bool, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++)
        need[i] = k->tape[i].op == JC_T_LOAD && !env->tape->late[i] && (!take || take[i]);
    /* An index computed from a load that must wait, waits too. */
    bool *waits = JC_NEWN(env->e->arena, bool, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        waits[i] = env->tape->late[i] || jc_is_reduction(k->tape[i].op);
        for (size_t j = 0; j < env->tape->deps[i].n; j++)
            waits[i] |= waits[env->tape->deps[i].at[j]] && !find_value(env, env->tape->deps[i].at[j]);
        need[i] &= !waits[i];
    }
    jc_tape_close(env->tape, need);
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (need[i])
            jc_emit_instr(env, i);
}

void jc_emit_rest(jc_env *env, const bool *take) {
    for (uint32_t i = 0; i < env->e->k->ninstrs; i++)
        if ((!take || take[i]) && !jc_is_reduction(env->e->k->tape[i].op))
            jc_emit_instr(env, i);
}
