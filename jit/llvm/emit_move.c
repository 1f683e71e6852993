/*
 * jit/llvm/emit_move.c - values that are only moved.
 *
 * Small floats are computed in f32, and a conversion there and back keeps every value, but not the bits of a NaN.  What is loaded and
 * stored again was computed with nowhere, and who looks at it as integers afterwards finds the bits that there were.  So
 * an instruction that a store of the dtype it was loaded from may end in has a second value, the first one's in that dtype's memory
 * form: of a LOAD what was loaded, of a ROUND to the dtype its operand's, of a SELECT the chosen operand's.  The store takes this one.
 *
 * All other dtypes need none: integers, f32 and f64 are computed in what keeps their bits, and a bool has two values.
 */
#include "jit/llvm/emit.h"

static bool needs_form(uint8_t dtype) {
    return jc_dtypes[dtype].cls == 'f' && jc_dtypes[dtype].size < 4;
}

/* The dtype that instruction I has been loaded from, on one way at least. */
static uint8_t form_of(const jc_kernel *k, const uint8_t *form, const jc_instr *in) {
    switch (in->op) {
    case JC_T_LOAD:
        return needs_form(k->args[in->arg].dtype) ? k->args[in->arg].dtype : JC_NOT_MOVED;
    case JC_T_ROUND:
        return form[in->a] == in->dtype ? in->dtype : JC_NOT_MOVED;
    case JC_T_SELECT:
        return form[in->b] == JC_NOT_MOVED ? form[in->c]
               : form[in->c] == JC_NOT_MOVED || form[in->c] == form[in->b] ? form[in->b] : JC_NOT_MOVED;
    default:
        return JC_NOT_MOVED;
    }
}

uint8_t *jc_find_moved(jc_emit *e) {
    const jc_kernel *k = e->k;
    uint8_t *form = jc_arena_alloc(e->arena, k->ninstrs);
    bool *need = JC_NEWN(e->arena, bool, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++)
        form[i] = form_of(k, form, &k->tape[i]);
    for (uint32_t i = k->ninstrs; i-- > 0;) {
        const jc_instr *in = &k->tape[i];
        if (in->op == JC_T_STORE)
            need[in->a] |= form[in->a] == k->args[in->arg].dtype;
        if (!need[i])
            continue;
        if (in->op == JC_T_ROUND)
            need[in->a] = true;
        if (in->op == JC_T_SELECT) {
            need[in->b] |= form[in->b] == form[i];
            need[in->c] |= form[in->c] == form[i];
        }
    }
    for (uint32_t i = 0; i < k->ninstrs; i++)
        form[i] = need[i] ? form[i] : JC_NOT_MOVED;
    return form;
}

LLVMValueRef jc_env_memory(jc_env *env, uint32_t i, jc_dtype dtype, bool wide) {
    if (env->tape->moved[i] != dtype)
        return jc_to_memory(env->e, dtype, jc_env_value(env, i, wide));
    for (const jc_env *at = env; at; at = at->up)
        if (at->memory && at->memory[i])
            return wide && env->tape->w > 1 ? jc_splat(env->e, at->memory[i], env->tape->w) : at->memory[i];
    jc_emit_fail(env->e, "Instruction %u of a kernel is moved before it has a value.", i);
    return jc_undef(jc_memory_type(env->e, dtype));
}

void jc_emit_moved(jc_env *env, uint32_t i) {
    const jc_instr *in = &env->e->k->tape[i];
    const jc_dtype dtype = (jc_dtype)env->tape->moved[i];
    const bool wide = env->tape->wide[i];
    if (env->tape->moved[i] == JC_NOT_MOVED || in->op == JC_T_LOAD)
        return;
    if (in->op == JC_T_ROUND) {
        env->memory[i] = jc_env_memory(env, in->a, dtype, false);
        return;
    }
    LLVMValueRef b = jc_env_memory(env, in->b, dtype, wide), c = jc_env_memory(env, in->c, dtype, wide);
    /* bits: where the CPU has no f16 arithmetic, LLVM may choose between halves by way of f32 */
    LLVMTypeRef type = LLVMTypeOf(b), bits = jc_vec_of(jc_dtypes[dtype].size == 1 ? env->e->t.i8 : env->e->t.i16, jc_width_of(type));
    LLVMValueRef v = jc_select(env->e, jc_env_value(env, in->a, false), LLVMBuildBitCast(env->e->b, b, bits, ""),
                               LLVMBuildBitCast(env->e->b, c, bits, ""));
    env->memory[i] = jc_name(env->e, LLVMBuildBitCast(env->e->b, v, type, ""), "v%u.memory", i);
}
