/*
 * jit/llvm/emit_expr.c - integer expressions as code.
 *
 * On a GPU 32-bit arithmetic is far cheaper, above all in divisions, so a value whose range is known to fit is computed
 * in i32; the others in i64, the host's in i64 always (its addresses want that).  Sums and products may wrap in between
 * when their result fits, divisions are narrow only if both operands are.  Division rounds towards minus infinity; for
 * operands known to be non-negative that is the unsigned instruction.
 *
 * What an environment has computed is remembered by expression (they are hash-consed), and so is what its `up`
 * environments have, whose code dominates this.
 */
#include "jit/llvm/emit.h"

#include "jit/llvm/dialect.h"

/* ---- memo ----------------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const jc_memo *m, const jc_expr *x) {
    uint32_t i = (uint32_t)(((uintptr_t)x >> 4) * 2654435761u) & (m->cap - 1);
    while (m->at[i].e && m->at[i].e != x)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static LLVMValueRef memo_get(const jc_memo *m, const jc_expr *x) {
    return m->cap ? m->at[slot_of(m, x)].v : NULL;
}

static void memo_set(jc_arena *arena, jc_memo *m, const jc_expr *x, LLVMValueRef v) {
    if (2 * (m->n + 1) > m->cap) {
        jc_memo old = *m;
        m->cap = old.cap ? 2 * old.cap : 16;
        m->at = JC_NEWN(arena, struct jc_memo_row, m->cap);
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.at[i].e)
                m->at[slot_of(m, old.at[i].e)] = old.at[i];
    }
    uint32_t i = slot_of(m, x);
    m->n += !m->at[i].e;
    m->at[i] = (struct jc_memo_row){ x, v };
}

/* ---- ranges --------------------------------------------------------------------------------------------------- */

bool jc_fits_i32(jc_emit *e, const jc_expr *x) {
    int64_t lo, hi;
    return jc_ex_range(e->k->ex, x, &lo, &hi) && lo >= INT32_MIN && hi <= INT32_MAX;
}

static bool is_narrow(jc_emit *e, const jc_expr *x) {
    return !jc_on_host(e) && jc_fits_i32(e, x);
}

static bool above(jc_emit *e, const jc_expr *x, int64_t least) {
    int64_t lo, hi;
    return jc_ex_range(e->k->ex, x, &lo, &hi) && lo >= least;
}

/* ---- symbols -------------------------------------------------------------------------------------------------- */

static LLVMValueRef loop_value(jc_env *env, unsigned d) {
    jc_emit *e = env->e;
    jc_env *at = env;
    while (at && !at->loop[d])
        at = at->up;
    if (!at) {
        jc_emit_fail(e, "A kernel uses loop variable %u where it has no value.", d);
        return jc_i32(e, 0);
    }
    LLVMValueRef v = jc_name(e, at->loop[d], "i%u", d);
    if (d == e->k->rank - 1u && env->lane > 0) {
        v = LLVMBuildAdd(e->b, v, LLVMConstInt(LLVMTypeOf(v), (unsigned)env->lane, false), "");
        jc_name(e, v, "i%u.%d", d, env->lane);
    }
    return v;
}

static LLVMValueRef symbol_value(jc_env *env, uint32_t sym) {
    jc_emit *e = env->e;
    const jc_ksym *s = &e->k->syms[sym];
    switch (s->kind) {
    case JC_KSYM_LOOP:
        return loop_value(env, s->index);
    case JC_KSYM_ARG:
        return e->args[s->index];
    default: {
        LLVMValueRef v = jc_env_value(env, s->index, false);
        return jc_lane(e, v, env->lane > 0 ? (unsigned)env->lane : 0);
    }
    }
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

/* A sum or product: each operand in the result's type. */
static LLVMValueRef fold(jc_env *env, const jc_expr *x, LLVMTypeRef type) {
    LLVMBuilderRef b = env->e->b;
    LLVMValueRef sum = NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        LLVMValueRef v = jc_widen_int(env->e, jc_emit_expr(env, x->args[i]), type, true);
        if (!sum)
            sum = v;
        else
            sum = x->kind == JC_EX_ADD ? LLVMBuildAdd(b, sum, v, "") : LLVMBuildMul(b, sum, v, "");
    }
    return sum;
}

void jc_same_int(jc_emit *e, LLVMValueRef *a, LLVMValueRef *b) {
    if (LLVMTypeOf(*a) != LLVMTypeOf(*b)) {
        *a = jc_widen_int(e, *a, e->t.i64, true);
        *b = jc_widen_int(e, *b, e->t.i64, true);
    }
}

/* floor(a/b) or a - floor(a/b)*b, b not 0. */
static LLVMValueRef floor_op(jc_emit *e, LLVMValueRef a, LLVMValueRef b, bool mod) {
    LLVMBuilderRef l = e->b;
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = LLVMConstNull(type);
    LLVMValueRef q = LLVMBuildSDiv(l, a, b, ""), r = LLVMBuildSRem(l, a, b, "");
    LLVMValueRef off = LLVMBuildAnd(l, LLVMBuildICmp(l, LLVMIntNE, r, zero, ""),
                                    LLVMBuildICmp(l, LLVMIntSLT, LLVMBuildXor(l, r, b, ""), zero, ""), "");
    if (mod)
        return jc_select(e, off, LLVMBuildAdd(l, r, b, ""), r);
    return jc_select(e, off, LLVMBuildSub(l, q, jc_int_of(type, 1), ""), q);
}

static LLVMValueRef divide(jc_env *env, const jc_expr *x) {
    jc_emit *e = env->e;
    bool mod = x->kind == JC_EX_MOD;
    LLVMValueRef a = jc_emit_expr(env, x->args[0]), b = jc_emit_expr(env, x->args[1]);
    jc_same_int(e, &a, &b);
    if (above(e, x->args[0], 0) && above(e, x->args[1], 0)) /* where the divisor is 0 there is no element to compute */
        return mod ? LLVMBuildURem(e->b, a, b, "") : LLVMBuildUDiv(e->b, a, b, "");
    return floor_op(e, a, b, mod);
}

static LLVMValueRef extreme(jc_env *env, const jc_expr *x) {
    jc_emit *e = env->e;
    LLVMIntPredicate pick = x->kind == JC_EX_MIN ? LLVMIntSLT : LLVMIntSGT;
    LLVMValueRef best = jc_emit_expr(env, x->args[0]);
    for (uint32_t i = 1; i < x->n; i++) {
        LLVMValueRef v = jc_emit_expr(env, x->args[i]);
        jc_same_int(e, &best, &v);
        best = jc_select(e, LLVMBuildICmp(e->b, pick, best, v, ""), best, v);
    }
    return best;
}

static LLVMValueRef compute(jc_env *env, const jc_expr *x, LLVMTypeRef type) {
    jc_emit *e = env->e;
    switch (x->kind) {
    case JC_EX_CONST:
        return LLVMConstInt(type, (uint64_t)x->value, true);
    case JC_EX_SYM:
        return symbol_value(env, x->sym);
    case JC_EX_ADD:
    case JC_EX_MUL:
        return fold(env, x, type);
    case JC_EX_FDIV:
    case JC_EX_MOD:
        return divide(env, x);
    case JC_EX_MIN:
    case JC_EX_MAX:
        return extreme(env, x);
    default:
        jc_emit_fail(e, "An expression of a kernel overflows 64 bits.");
        return LLVMConstNull(type);
    }
}

LLVMValueRef jc_emit_expr(jc_env *env, const jc_expr *x) {
    jc_emit *e = env->e;
    LLVMValueRef v = memo_get(&env->memo, x);
    if (v)
        return v;
    if (env->lane <= 0)
        for (jc_env *up = env->up; up; up = up->up)
            if ((v = memo_get(&up->memo, x)))
                return v;
    LLVMTypeRef type = is_narrow(e, x) ? e->t.i32 : e->t.i64;
    v = jc_widen_int(e, compute(env, x, type), type, true);
    memo_set(e->arena, &env->memo, x, v);
    return v;
}

LLVMValueRef jc_emit_expr64(jc_env *env, const jc_expr *x) {
    return jc_widen_int(env->e, jc_emit_expr(env, x), env->e->t.i64, true);
}

void jc_emit_divmod(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef *q, LLVMValueRef *r) {
    *q = LLVMBuildUDiv(e->b, a, b, "");
    *r = LLVMBuildSub(e->b, a, LLVMBuildMul(e->b, *q, b, ""), "");
}

void jc_emit_split_index(jc_env *env, LLVMValueRef index, unsigned first, unsigned last) {
    jc_emit *e = env->e;
    for (unsigned d = last; d-- > first;) {
        LLVMValueRef n, rest = index;
        if (d == first) {
            env->loop[d] = index;
            return;
        }
        n = jc_emit_expr(env, e->k->extent[d]);
        jc_same_int(e, &rest, &n);
        jc_emit_divmod(e, rest, n, &index, &env->loop[d]);
    }
}
