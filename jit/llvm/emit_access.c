/*
 * jit/llvm/emit_access.c - loads, stores and indices of the tape.
 *
 * On GPUs a run of elements is accessed in the largest parts that are aligned and have at most 16 bytes (what
 * ld.global.v4 takes); the host takes any run at once.  Addresses have two parts where the index allows it, so that
 * the one that is free of the column can be evaluated outside of a loop over columns.
 */
#include "jit/llvm/emit.h"

#include "jit/llvm/dialect.h"

/* ---- addresses ------------------------------------------------------------------------------------------------ */

static LLVMValueRef address(jc_env *env, uint32_t i) {
    jc_emit *e = env->e;
    const jc_instr *in = &e->k->tape[i];
    const jc_access *a = &env->tape->access[i];
    LLVMTypeRef element = jc_memory_type(e, e->k->args[in->arg].dtype);
    LLVMValueRef at = e->args[in->arg];
    if (!a->rest || env->lane >= 0)
        return jc_name(e, jc_gep(e, element, at, jc_emit_expr(env, in->index)), "p%u.at", in->arg);
    if (!jc_ex_is(a->rest, 0))
        at = jc_name(e, jc_gep(e, element, at, jc_emit_expr(env, a->rest)), "p%u.base", in->arg);
    return jc_ex_is(a->move, 0) ? at
                                : jc_name(e, jc_gep(e, element, at, jc_emit_expr(env, a->move)), "p%u.at", in->arg);
}

void jc_emit_bases(jc_env *env, const bool *take) {
    const jc_kernel *k = env->e->k;
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        const jc_access *a = &env->tape->access[i];
        bool ready = take[i] && a->rest && env->tape->column[i];
        /* The index may use the tape, of which nothing depends on the column, but a value may come later. */
        for (size_t j = k->tape[i].op == JC_T_STORE; ready && j < env->tape->deps[i].n; j++) {
            bool found = false;
            for (const jc_env *at = env; at && !found; at = at->up)
                found = at->v && at->v[env->tape->deps[i].at[j]];
            ready = found;
        }
        if (ready)
            jc_emit_expr(env, a->rest);
    }
}

/* Addresses of all points of a vector. */
static void lane_addresses(jc_env *env, uint32_t i, LLVMValueRef *at) {
    jc_emit *e = env->e;
    const jc_instr *in = &e->k->tape[i];
    const jc_access *a = &env->tape->access[i];
    LLVMTypeRef element = jc_memory_type(e, e->k->args[in->arg].dtype);
    if (a->kind == JC_ACCESS_STRIDE) {
        LLVMValueRef step = jc_emit_expr64(env, a->lane_step);
        at[0] = address(env, i);
        for (unsigned l = 1; l < env->tape->w; l++)
            at[l] = jc_gep(e, element, at[0], LLVMBuildMul(e->b, step, jc_i64(e, l), ""));
        return;
    }
    for (unsigned l = 0; l < env->tape->w; l++) {
        jc_env one = { .e = e, .tape = env->tape, .up = env, .lane = (int)l };
        at[l] = address(&one, i);
    }
}

/* ---- runs ----------------------------------------------------------------------------------------------------- */

static unsigned part_of(jc_emit *e, unsigned n, unsigned align, unsigned size) {
    unsigned part = n;
    if (jc_on_host(e))
        return n;
    while (part > 1 && (part > align || part * size > 16))
        part /= 2;
    return part;
}

/* Of a part in memory: arguments are aligned to 16 bytes and no more. */
static unsigned alignment(unsigned part, unsigned align, unsigned size) {
    unsigned bytes = (part < align ? part : align) * size;
    return bytes > 16 ? 16 : bytes;
}

static LLVMValueRef concat(jc_emit *e, LLVMValueRef *parts, unsigned n) {
    LLVMValueRef order[1024];
    for (unsigned w = jc_width_of(LLVMTypeOf(parts[0])); n > 1; n /= 2, w *= 2)
        for (unsigned i = 0; i < n / 2; i++) {
            if (w == 1) {
                LLVMValueRef v = jc_undef(jc_vec_of(LLVMTypeOf(parts[2 * i]), 2));
                v = jc_set_lane(e, v, 0, parts[2 * i]);
                parts[i] = jc_set_lane(e, v, 1, parts[2 * i + 1]);
                continue;
            }
            for (unsigned j = 0; j < 2 * w; j++)
                order[j] = jc_i32(e, j);
            parts[i] = LLVMBuildShuffleVector(e->b, parts[2 * i], parts[2 * i + 1], LLVMConstVector(order, 2 * w), "");
        }
    return parts[0];
}

static LLVMValueRef load_run(jc_emit *e, unsigned arg, LLVMValueRef at, unsigned n, unsigned align) {
    jc_dtype dtype = e->k->args[arg].dtype;
    align = e->k->args[arg].loose ? 1 : align;
    unsigned size = jc_dtypes[dtype].size, part = part_of(e, n, align, size);
    LLVMTypeRef element = jc_memory_type(e, dtype), type = jc_vec_of(element, part);
    LLVMValueRef parts[1024] = { NULL };
    unsigned bytes = alignment(part, align, size);
    for (unsigned i = 0; i < n; i += part)
        parts[i / part] = e->d->load(e, arg, type, i ? jc_gep(e, element, at, jc_i64(e, i)) : at, bytes);
    return concat(e, parts, n / part);
}

LLVMValueRef jc_load_memory(jc_emit *e, unsigned arg, LLVMValueRef index, unsigned n, unsigned align) {
    return load_run(e, arg, jc_gep(e, jc_memory_type(e, e->k->args[arg].dtype), e->args[arg], index), n, align);
}

LLVMValueRef jc_load_run(jc_emit *e, unsigned arg, LLVMValueRef index, unsigned n, unsigned align) {
    return jc_from_memory(e, e->k->args[arg].dtype, jc_load_memory(e, arg, index, n, align));
}

static void store_run(jc_emit *e, unsigned arg, LLVMValueRef v, LLVMValueRef at, unsigned align) {
    jc_dtype dtype = e->k->args[arg].dtype;
    align = e->k->args[arg].loose ? 1 : align;
    unsigned n = jc_width_of(LLVMTypeOf(v)), size = jc_dtypes[dtype].size, part = part_of(e, n, align, size);
    LLVMTypeRef element = jc_memory_type(e, dtype);
    unsigned bytes = alignment(part, align, size);
    for (unsigned i = 0; i < n; i += part)
        e->d->store(e, arg, jc_slice(e, v, i, part), i ? jc_gep(e, element, at, jc_i64(e, i)) : at, bytes);
}

/* ---- LOAD, STORE, INDEX --------------------------------------------------------------------------------------- */

static LLVMValueRef load_now(jc_env *env, uint32_t i, LLVMValueRef *at) {
    jc_emit *e = env->e;
    unsigned arg = e->k->tape[i].arg, w = env->tape->w;
    const jc_access *a = &env->tape->access[i];
    if (a->kind == JC_ACCESS_SAME)
        return load_run(e, arg, at[0], 1, 1);
    if (a->kind == JC_ACCESS_RUN)
        return load_run(e, arg, at[0], w, a->align);
    LLVMValueRef v = jc_undef(jc_vec_of(jc_memory_type(e, e->k->args[arg].dtype), w));
    for (unsigned l = 0; l < w; l++)
        v = jc_set_lane(e, v, l, load_run(e, arg, at[l], 1, 1));
    return v;
}

static LLVMValueRef condition(jc_env *env, bool store) {
    for (; env; env = env->up)
        if (store ? env->store_if : env->load_if)
            return store ? env->store_if : env->load_if;
    return NULL;
}

/* Where a load through ARG is done; NULL: everywhere.  A thread beyond the end reads the first point's elements, and drops them;
   if the kernel writes ARG another thread may be storing there, so it must not. */
static LLVMValueRef load_condition(jc_env *env, unsigned arg) {
    LLVMValueRef load = condition(env, false), store = env->e->k->args[arg].written ? condition(env, true) : NULL;
    if (load && store)
        return LLVMBuildAnd(env->e->b, load, store, "");
    return load ? load : store;
}

static void all_addresses(jc_env *env, uint32_t i, LLVMValueRef *at) {
    uint8_t kind = env->tape->access[i].kind;
    if (kind == JC_ACCESS_SAME || kind == JC_ACCESS_RUN)
        at[0] = address(env, i);
    else
        lane_addresses(env, i, at);
}

void jc_emit_load(jc_env *env, uint32_t i) {
    jc_emit *e = env->e;
    const jc_instr *in = &e->k->tape[i];
    LLVMValueRef at[1024], v, cond = load_condition(env, in->arg);
    all_addresses(env, i, at);
    if (cond) {
        LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
        jc_if s = jc_if_begin(e, cond, "load");
        v = load_now(env, i, at);
        LLVMBasicBlockRef after = LLVMGetInsertBlock(e->b);
        jc_if_end(e, &s);
        LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(v), ""), zero = LLVMConstNull(LLVMTypeOf(v));
        LLVMAddIncoming(phi, &v, &after, 1);
        LLVMAddIncoming(phi, &zero, &before, 1);
        v = phi;
    } else
        v = load_now(env, i, at);
    env->v[i] = jc_name_instr(e, i, jc_from_memory(e, e->k->args[in->arg].dtype, v));
    env->memory[i] = jc_name(e, v, "v%u.memory", i);
}

void jc_emit_store(jc_env *env, uint32_t i) {
    jc_emit *e = env->e;
    const jc_instr *in = &e->k->tape[i];
    const jc_access *a = &env->tape->access[i];
    unsigned w = env->tape->w;
    LLVMValueRef at[1024], cond = condition(env, true);
    LLVMValueRef v = jc_env_memory(env, in->a, (jc_dtype)e->k->args[in->arg].dtype, a->kind != JC_ACCESS_SAME);
    jc_name(e, v, "p%u.value", in->arg);
    all_addresses(env, i, at);
    jc_if s;
    if (cond)
        s = jc_if_begin(e, cond, "store");
    if (a->kind == JC_ACCESS_SAME)
        store_run(e, in->arg, jc_lane(e, v, w - 1), at[0], 1);
    else if (a->kind == JC_ACCESS_RUN)
        store_run(e, in->arg, v, at[0], a->align);
    else
        for (unsigned l = 0; l < w; l++)
            store_run(e, in->arg, jc_lane(e, v, l), at[l], 1);
    if (cond)
        jc_if_end(e, &s);
}

void jc_emit_index(jc_env *env, uint32_t i) {
    jc_emit *e = env->e;
    const jc_expr *index = e->k->tape[i].index;
    const jc_access *a = &env->tape->access[i];
    unsigned w = env->tape->w;
    LLVMValueRef v;
    if (a->kind == JC_ACCESS_SAME) {
        v = jc_emit_expr64(env, index);
    } else if (a->kind == JC_ACCESS_LANES) {
        v = jc_undef(jc_vec_of(e->t.i64, w));
        for (unsigned l = 0; l < w; l++) {
            jc_env one = { .e = e, .tape = env->tape, .up = env, .lane = (int)l };
            v = jc_set_lane(e, v, l, jc_emit_expr64(&one, index));
        }
    } else {
        LLVMValueRef lanes[1024];
        for (unsigned l = 0; l < w; l++)
            lanes[l] = jc_i64(e, l);
        LLVMValueRef step = jc_splat(e, jc_emit_expr64(env, a->lane_step), w);
        v = LLVMBuildAdd(e->b, jc_splat(e, jc_emit_expr64(env, index), w),
                         LLVMBuildMul(e->b, LLVMConstVector(lanes, w), step, ""), "");
    }
    env->v[i] = v;
}
