/*
 * kernels/row.c - ROW: reductions over the last dimension, and what is computed from them.
 *
 * The tape falls into phases: a reduction ends the phase of its operand, and what uses its result belongs to a later
 * one.  In each phase values that are the same in the whole row come first (scalars, one environment for the row), then
 * the columns are passed over for the phase's reductions and stores.  With steps > 0 a thread's columns are chunks
 * that stay in registers from phase to phase; a value is emitted in the first phase that needs it.  Otherwise each pass is
 * a loop which loads and computes again what it needs.
 *
 * Stores happen in the first phase that can, except to arguments that the kernel also loads: these wait for the last
 * phase, after which nothing is loaded again.  What is stored once a row is loaded by all of the row's lanes, so before
 * the first lane stores, they wait for each other (a shuffle orders no memory).
 *
 * A reduction goes over the thread's vector, then over the lanes of a row by shuffles, then over its warps by shared
 * memory.  Each reduction has shared memory of its own, so that one barrier is enough.
 *
 * On the host a row has one lane: passes are loops over vectors, several at a time, and then over single columns.
 */
#include "kernels/family.h"

#include <math.h>

enum { HOST_REGISTER_STEPS = 8, HOST_CHUNKS = 4, FEW_PHASES = 5 };

typedef struct row {
    jc_emit *e;
    const jc_kernel *k;
    jc_tape vector, single;    /* of width vec; of width 1 for the host's rest */
    unsigned w;
    bool registers, tail;
    unsigned *phase, phases;   /* when an instruction has its value, or is stored */
    bool *take;                /* of the current pass */
    jc_env base, env;          /* arguments; the row */
    LLVMValueRef columns, lane, warp; /* lane: in the row; warp: in the block */
    LLVMValueRef row_valid;    /* NULL: always */
    bool loaded;               /* the row's lanes have loaded what its first one stores, and not met since */
    /* register mode */
    jc_env *chunk;
    LLVMValueRef *valid;       /* per chunk, NULL: always */
    /* accumulators of the current pass, per instruction: slots (loops) or values (registers) */
    LLVMValueRef *acc, *acc_single;
    unsigned nacc;             /* slots per instruction */
} row;

/* ---- phases --------------------------------------------------------------------------------------------------- */

static void find_phases(row *r) {
    const jc_kernel *k = r->k;
    r->phase = JC_NEWN(r->e->arena, unsigned, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        const jc_deps *d = &r->vector.deps[i];
        for (size_t j = 0; j < d->n; j++)
            if (r->phase[d->at[j]] > r->phase[i])
                r->phase[i] = r->phase[d->at[j]];
        r->phase[i] += jc_is_reduction(k->tape[i].op);
        if (r->phase[i] >= r->phases)
            r->phases = r->phase[i] + 1;
    }
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (k->tape[i].op == JC_T_STORE && r->vector.stored[k->tape[i].arg])
            r->phase[i] = r->phases - 1;
}

/* What pass P over the columns evaluates. False when there is nothing. */
static bool find_pass(row *r, unsigned p) {
    const jc_kernel *k = r->k;
    bool any = false;
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        uint8_t op = k->tape[i].op;
        if (jc_is_reduction(op))
            r->take[i] = r->phase[k->tape[i].a] == p;
        else
            r->take[i] = op == JC_T_STORE && r->phase[i] == p && r->vector.column[i];
        any |= r->take[i];
    }
    /* Reductions of earlier passes have their values: only this one's operands are followed. */
    for (uint32_t i = k->ninstrs; i-- > 0;)
        if (r->take[i] && !(jc_is_reduction(k->tape[i].op) && r->phase[i] <= p))
            for (size_t j = 0; j < r->vector.deps[i].n; j++) {
                uint32_t d = r->vector.deps[i].at[j];
                r->take[d] |= !jc_is_reduction(k->tape[d].op);
            }
    return any;
}

static bool is_reduced_in(const row *r, uint32_t i, unsigned p) {
    return jc_is_reduction(r->k->tape[i].op) && r->phase[i] == p + 1 && r->take[i];
}

/* ---- reductions ----------------------------------------------------------------------------------------------- */

static LLVMValueRef combine(jc_emit *e, uint8_t op, uint8_t ct, LLVMValueRef a, LLVMValueRef b) {
    bool is_int = ct == JC_CT_I64;
    switch (op) {
    case JC_T_RED_SUM:
        return is_int ? LLVMBuildAdd(e->b, a, b, "") : LLVMBuildFAdd(e->b, a, b, "");
    case JC_T_RED_MAX:
        return is_int ? jc_select(e, LLVMBuildICmp(e->b, LLVMIntSGT, a, b, ""), a, b) : jc_math_max(e, a, b);
    case JC_T_RED_PROD:
        return is_int ? LLVMBuildMul(e->b, a, b, "") : LLVMBuildFMul(e->b, a, b, "");
    default:
        return is_int ? jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b) : jc_math_min(e, a, b);
    }
}

static LLVMValueRef neutral(uint8_t op, LLVMTypeRef type, bool is_int) {
    if (op == JC_T_RED_SUM)
        return LLVMConstNull(type);
    if (op == JC_T_RED_PROD)
        return is_int ? jc_int_of(type, 1) : jc_real_of(type, 1);
    if (is_int)
        return jc_int_of(type, op == JC_T_RED_MAX ? INT64_MIN : INT64_MAX);
    return jc_real_of(type, op == JC_T_RED_MAX ? -INFINITY : INFINITY);
}

static LLVMTypeRef acc_type(row *r, uint32_t i, unsigned w) {
    return jc_vec_of(jc_ct_type(r->e, r->k->tape[i].ct), w);
}

static LLVMValueRef neutral_of(row *r, uint32_t i, unsigned w) {
    const jc_instr *in = &r->k->tape[i];
    return neutral(in->op, acc_type(r, i, w), in->ct == JC_CT_I64);
}

static LLVMValueRef combine_of(row *r, uint32_t i, LLVMValueRef a, LLVMValueRef b) {
    return combine(r->e, r->k->tape[i].op, r->k->tape[i].ct, a, b);
}

/* SO_FAR and the points of ENV. */
static LLVMValueRef take_in(row *r, uint32_t i, jc_env *env, LLVMValueRef so_far) {
    const jc_instr *in = &r->k->tape[i];
    if (in->op == JC_T_RED_SUM && in->ct != JC_CT_I64)
        return jc_env_add_to(env, in->a, so_far);
    return combine_of(r, i, so_far, jc_env_value(env, in->a, true));
}

static LLVMValueRef across_vector(row *r, uint32_t i, LLVMValueRef v) {
    for (unsigned w = jc_width_of(LLVMTypeOf(v)); w > 1; w /= 2)
        v = combine_of(r, i, jc_slice(r->e, v, 0, w / 2), jc_slice(r->e, v, w / 2, w / 2));
    return v;
}

static LLVMValueRef across_lanes(row *r, uint32_t i, LLVMValueRef v, unsigned lanes) {
    for (unsigned mask = lanes / 2; mask > 0; mask /= 2)
        v = combine_of(r, i, v, jc_shuffle_xor(r->e, v, mask));
    return v;
}

/* Shared memory of reduction number N of the tape, warp WARP of the block. */
static LLVMValueRef slot_at(row *r, unsigned n, LLVMValueRef warp) {
    jc_emit *e = r->e;
    LLVMValueRef index = LLVMBuildNSWAdd(e->b, warp, jc_i32(e, (int64_t)n * (r->k->threads / 32)), "");
    return jc_gep(e, e->t.i64, e->shared_at, index);
}

static unsigned number_of(row *r, uint32_t i) {
    unsigned n = 0;
    for (uint32_t j = 0; j < i; j++)
        n += jc_is_reduction(r->k->tape[j].op);
    return n;
}

static void to_shared(row *r, uint32_t i, LLVMValueRef v) {
    jc_emit *e = r->e;
    LLVMValueRef first = LLVMBuildAnd(e->b, r->lane, jc_i32(e, 31), "");
    unsigned align = r->k->tape[i].ct == JC_CT_F32 ? 4 : 8;
    jc_if s = jc_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, first, jc_i32(e, 0), ""), "first_lane");
    e->d->store(e, JC_SHARED, v, slot_at(r, number_of(r, i), r->warp), align);
    jc_if_end(e, &s);
}

/* Few warps are read one by one; of many each lane takes one. */
static LLVMValueRef from_shared(row *r, uint32_t i) {
    jc_emit *e = r->e;
    unsigned warps = r->k->lanes / 32, align = r->k->tape[i].ct == JC_CT_F32 ? 4 : 8, n = number_of(r, i);
    LLVMTypeRef type = acc_type(r, i, 1);
    LLVMValueRef first = LLVMBuildSub(e->b, r->warp, LLVMBuildLShr(e->b, r->lane, jc_i32(e, 5), ""), "");
    if (warps <= 4) {
        LLVMValueRef v = NULL;
        for (unsigned w = 0; w < warps; w++) {
            LLVMValueRef at = slot_at(r, n, LLVMBuildNSWAdd(e->b, first, jc_i32(e, w), ""));
            LLVMValueRef x = e->d->load(e, JC_SHARED, type, at, align);
            v = v ? combine_of(r, i, v, x) : x;
        }
        return v;
    }
    unsigned group = 8;
    while (group < warps)
        group *= 2;
    LLVMValueRef mine = LLVMBuildAnd(e->b, r->lane, jc_i32(e, group - 1), "");
    LLVMValueRef has = LLVMBuildICmp(e->b, LLVMIntULT, mine, jc_i32(e, warps), "");
    mine = jc_select(e, has, mine, jc_i32(e, 0));
    LLVMValueRef v = e->d->load(e, JC_SHARED, type, slot_at(r, n, LLVMBuildNSWAdd(e->b, first, mine, "")), align);
    return across_lanes(r, i, jc_select(e, has, v, neutral_of(r, i, 1)), group);
}

/* "v4.row.sum" */
static LLVMValueRef name_result(row *r, uint32_t i, LLVMValueRef v) {
    static const char *const what[] = { "sum", "max", "min", "prod" };
    return jc_name(r->e, v, "v%u.row.%s", i, what[r->k->tape[i].op - JC_T_RED_SUM]);
}

/* The results of pass P, from each thread's partial values V[i], into the row's environment. */
static void finish_reductions(row *r, unsigned p, LLVMValueRef *v) {
    unsigned lanes = r->k->lanes;
    bool any = false;
    for (uint32_t i = 0; i < r->k->ninstrs; i++) {
        if (!is_reduced_in(r, i, p))
            continue;
        any = true;
        v[i] = across_lanes(r, i, across_vector(r, i, v[i]), lanes > 32 ? 32 : lanes);
        if (lanes > 32)
            to_shared(r, i, jc_name(r->e, v[i], "v%u.warp", i));
        else
            r->env.v[i] = name_result(r, i, v[i]);
    }
    if (!any || lanes <= 32)
        return;
    r->e->d->barrier(r->e);
    r->loaded = false;
    for (uint32_t i = 0; i < r->k->ninstrs; i++)
        if (is_reduced_in(r, i, p))
            r->env.v[i] = name_result(r, i, from_shared(r, i));
}

/* ---- passes in registers -------------------------------------------------------------------------------------- */

static void make_chunks(row *r) {
    jc_emit *e = r->e;
    const jc_kernel *k = r->k;
    int64_t width = (int64_t)k->lanes * k->vec, lo, hi;
    bool may_be_empty = !jc_ex_range(k->ex, k->extent[k->rank - 1], &lo, &hi) || lo < 1;
    LLVMValueRef at = LLVMBuildNSWMul(e->b, r->lane, jc_i32(e, k->vec), "");
    r->chunk = JC_NEWN(e->arena, jc_env, k->steps);
    r->valid = JC_NEWN(e->arena, LLVMValueRef, k->steps);
    for (unsigned s = 0; s < k->steps; s++) {
        jc_env *c = &r->chunk[s];
        jc_env_init(c, e, &r->vector, &r->env);
        LLVMValueRef column = LLVMBuildNSWAdd(e->b, at, jc_i32(e, s * width), "");
        if (jc_ex_le(k->ex, jc_ex_int(k->ex, (s + 1) * width), k->extent[k->rank - 1]) != JC_YES) {
            LLVMValueRef n = r->columns, x = column;
            jc_same_int(e, &x, &n);
            r->valid[s] = LLVMBuildICmp(e->b, LLVMIntSLT, x, n, "column.valid");
            column = jc_select(e, r->valid[s], column, jc_i32(e, 0));
            c->store_if = r->row_valid ? LLVMBuildAnd(e->b, r->valid[s], r->row_valid, "") : r->valid[s];
            c->load_if = may_be_empty ? r->valid[s] : NULL;
        }
        c->loop[k->rank - 1] = jc_on_host(e) ? jc_widen_int(e, column, e->t.i64, true) : column;
    }
}

static void register_pass(row *r, unsigned p) {
    jc_emit *e = r->e;
    LLVMValueRef *v = JC_NEWN(e->arena, LLVMValueRef, r->k->ninstrs);
    for (unsigned s = 0; s < r->k->steps; s++)
        jc_emit_loads(&r->chunk[s], r->take);
    for (unsigned s = 0; s < r->k->steps; s++) {
        jc_emit_rest(&r->chunk[s], r->take);
        for (uint32_t i = 0; i < r->k->ninstrs; i++) {
            if (!is_reduced_in(r, i, p))
                continue;
            LLVMValueRef before = v[i];
            v[i] = before ? take_in(r, i, &r->chunk[s], before) : jc_env_value(&r->chunk[s], r->k->tape[i].a, true);
            if (r->valid[s])
                v[i] = jc_select(e, r->valid[s], v[i], before ? before : neutral_of(r, i, r->w));
        }
    }
    finish_reductions(r, p, v);
}

/* ---- passes in loops ------------------------------------------------------------------------------------------ */

static void make_slots(row *r, unsigned p) {
    jc_emit *e = r->e;
    for (uint32_t i = 0; i < r->k->ninstrs; i++) {
        if (!is_reduced_in(r, i, p))
            continue;
        for (unsigned u = 0; u < r->nacc; u++) {
            LLVMValueRef slot = jc_alloca(e, acc_type(r, i, r->w), 1, 0, "row.acc");
            LLVMBuildStore(e->b, neutral_of(r, i, r->w), slot);
            r->acc[i * r->nacc + u] = slot;
        }
        if (r->tail) {
            r->acc_single[i] = jc_alloca(e, acc_type(r, i, 1), 1, 0, "row.acc.tail");
            LLVMBuildStore(e->b, neutral_of(r, i, 1), r->acc_single[i]);
        }
    }
}

static void accumulate(row *r, unsigned p, jc_env *env, LLVMValueRef *slots, unsigned stride) {
    for (uint32_t i = 0; i < r->k->ninstrs; i++) {
        if (!is_reduced_in(r, i, p))
            continue;
        LLVMValueRef slot = slots[i * stride];
        LLVMValueRef old = LLVMBuildLoad2(r->e->b, acc_type(r, i, env->tape->w), slot, "");
        LLVMBuildStore(r->e->b, take_in(r, i, env, old), slot);
    }
}

/* Columns from FROM, CHUNKS vectors of tape T at a time, while all of them are left. */
static void column_loop(row *r, unsigned p, jc_tape *t, unsigned chunks, LLVMValueRef *from) {
    jc_emit *e = r->e;
    LLVMTypeRef type = LLVMTypeOf(*from);
    int64_t width = (int64_t)r->k->lanes * t->w;
    LLVMValueRef n = jc_widen_int(e, r->columns, type, true);
    LLVMValueRef to = LLVMBuildNSWSub(e->b, n, jc_int_of(type, (chunks - 1) * width + t->w - 1), "");
    jc_for loop = jc_for_begin(e, *from, to, jc_int_of(type, chunks * width), t == &r->vector ? "column" : "tail");
    jc_env *env = JC_NEWN(e->arena, jc_env, chunks);
    for (unsigned u = 0; u < chunks; u++) {
        jc_env_init(&env[u], e, t, &r->env);
        env[u].loop[r->k->rank - 1] = LLVMBuildNSWAdd(e->b, loop.i, jc_int_of(type, u * width), "");
        jc_emit_loads(&env[u], r->take);
    }
    for (unsigned u = 0; u < chunks; u++) {
        jc_emit_rest(&env[u], r->take);
        if (t == &r->vector)
            accumulate(r, p, &env[u], r->acc + (u < r->nacc ? u : 0), r->nacc);
        else
            accumulate(r, p, &env[u], r->acc_single, 1);
    }
    jc_for_end(e, &loop);
    *from = loop.i;
}

static void loop_pass(row *r, unsigned p) {
    jc_emit *e = r->e;
    const jc_kernel *k = r->k;
    bool reduces = false;
    for (uint32_t i = 0; i < k->ninstrs; i++)
        reduces |= is_reduced_in(r, i, p);
    unsigned chunks = reduces ? r->nacc : 1;
    make_slots(r, p);
    jc_emit_bases(&r->env, r->take);
    LLVMValueRef from = LLVMBuildNSWMul(e->b, r->lane, jc_i32(e, r->w), "");
    if (LLVMTypeOf(r->columns) == e->t.i64)
        from = jc_widen_int(e, from, e->t.i64, true);
    if (chunks > 1)
        column_loop(r, p, &r->vector, chunks, &from);
    if (chunks == 1 || jc_ex_divisor(k->ex, k->extent[k->rank - 1]) % ((int64_t)chunks * k->lanes * r->w) != 0)
        column_loop(r, p, &r->vector, 1, &from);
    if (r->tail)
        column_loop(r, p, &r->single, 1, &from);
    LLVMValueRef *v = JC_NEWN(e->arena, LLVMValueRef, k->ninstrs);
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        if (!is_reduced_in(r, i, p))
            continue;
        for (unsigned u = 0; u < r->nacc; u++) {
            LLVMValueRef x = LLVMBuildLoad2(e->b, acc_type(r, i, r->w), r->acc[i * r->nacc + u], "");
            v[i] = v[i] ? combine_of(r, i, v[i], x) : x;
        }
        if (r->tail) {
            v[i] = across_vector(r, i, v[i]);
            v[i] = combine_of(r, i, v[i], LLVMBuildLoad2(e->b, acc_type(r, i, 1), r->acc_single[i], ""));
        }
    }
    finish_reductions(r, p, v);
}

/* ---- the row -------------------------------------------------------------------------------------------------- */

static bool is_row_level(const row *r, uint32_t i, unsigned p) {
    return !r->vector.column[i] && r->phase[i] == p && !jc_is_reduction(r->k->tape[i].op);
}

/* Values of phase P that are the same in all columns. */
static void row_values(row *r, unsigned p) {
    const jc_instr *tape = r->k->tape;
    for (uint32_t i = 0; i < r->k->ninstrs; i++)
        if (is_row_level(r, i, p) && tape[i].op != JC_T_STORE) {
            jc_emit_instr(&r->env, i);
            r->loaded |= tape[i].op == JC_T_LOAD && r->vector.stored[tape[i].arg];
        }
}

/* The lanes of each row have loaded what they load before anything is stored. */
static void meet(row *r) {
    if (!r->loaded || r->k->lanes == 1)
        return;
    if (r->k->lanes > 32)
        r->e->d->barrier(r->e);
    else
        r->e->d->warp_sync(r->e);
    r->loaded = false;
}

/* Stores of phase P that do not depend on the column: by the first lane. */
static void row_stores(row *r, unsigned p) {
    jc_emit *e = r->e;
    const jc_kernel *k = r->k;
    bool any = false;
    for (uint32_t i = 0; i < k->ninstrs; i++)
        any |= is_row_level(r, i, p) && k->tape[i].op == JC_T_STORE;
    if (!any)
        return;
    meet(r);
    jc_env one;
    jc_env_init(&one, e, &r->vector, &r->env);
    if (k->lanes > 1) {
        one.store_if = LLVMBuildICmp(e->b, LLVMIntEQ, r->lane, jc_i32(e, 0), "first_lane");
        if (r->row_valid)
            one.store_if = LLVMBuildAnd(e->b, one.store_if, r->row_valid, "");
    }
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (is_row_level(r, i, p) && k->tape[i].op == JC_T_STORE)
            jc_emit_store(&one, i);
}

static void emit_row(row *r, LLVMValueRef number) {
    jc_env_init(&r->env, r->e, &r->vector, &r->base);
    r->env.store_if = r->row_valid;
    if (r->k->rank > 1)
        jc_emit_split_index(&r->env, number, 0, r->k->rank - 1u);
    if (r->registers)
        make_chunks(r);
    for (unsigned p = 0; p < r->phases; p++) {
        row_values(r, p);
        if (find_pass(r, p)) {
            if (r->registers)
                register_pass(r, p);
            else
                loop_pass(r, p);
        }
        row_stores(r, p);
    }
}

/* In 32 bits only where a loop that steps over the end still fits them. */
static LLVMValueRef count_columns(row *r) {
    const jc_expr *columns = r->k->extent[r->k->rank - 1];
    int64_t lo, hi, step = (int64_t)r->k->lanes * r->w * (r->k->steps > 1 ? r->k->steps : 1);
    if (jc_ex_range(r->k->ex, columns, &lo, &hi) && hi <= INT32_MAX - step)
        return jc_emit_expr(&r->base, columns);
    return jc_emit_expr64(&r->base, columns);
}

static void init(row *r, jc_emit *e) {
    const jc_kernel *k = e->k;
    bool host = jc_on_host(e);
    *r = (row){ .e = e, .k = k, .phases = 1 };
    r->registers = k->steps > 0 && (!host || k->steps <= HOST_REGISTER_STEPS);
    r->w = host && !r->registers && k->vec == 1 ? e->host_width : k->vec;
    r->tail = r->w != k->vec;
    jc_tape_init(&r->vector, e, r->w);
    find_phases(r);
    r->nacc = host && !r->registers && r->phases <= FEW_PHASES ? HOST_CHUNKS : 1; /* a pass a phase: many are code enough */
    jc_tape_init(&r->single, e, 1);
    jc_env_init(&r->base, e, &r->vector, NULL);
    r->columns = jc_name(e, count_columns(r), "columns");
    r->take = JC_NEWN(e->arena, bool, k->ninstrs);
    r->acc = JC_NEWN(e->arena, LLVMValueRef, k->ninstrs * (size_t)r->nacc);
    r->acc_single = JC_NEWN(e->arena, LLVMValueRef, k->ninstrs);
}

static void host_row(row *r, const jc_expr *rows) {
    jc_emit *e = r->e;
    unsigned per_block = r->k->threads / r->k->lanes;
    LLVMValueRef n = jc_emit_expr64(&r->base, rows), from = e->first, to = e->last;
    if (per_block > 1) {
        from = LLVMBuildNSWMul(e->b, from, jc_i64(e, per_block), "");
        to = LLVMBuildNSWMul(e->b, to, jc_i64(e, per_block), "");
        to = jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, to, n, ""), to, n);
    }
    if (r->k->lanes != 1) {
        jc_emit_fail(e, "A row kernel for the host has %u lanes; one is possible.", r->k->lanes);
        return;
    }
    r->lane = jc_i32(e, 0);
    jc_for loop = jc_for_begin(e, from, to, jc_i64(e, 1), "row");
    emit_row(r, loop.i);
    jc_for_end(e, &loop);
}

static void gpu_row(row *r, const jc_expr *rows) {
    jc_emit *e = r->e;
    const jc_kernel *k = r->k;
    int64_t per_block = k->threads / k->lanes, lo, hi;
    LLVMValueRef number = e->d->block(e), tid = e->d->thread(e), of_block = tid;
    bool narrow = jc_ex_range(k->ex, rows, &lo, &hi) && hi + per_block < (int64_t)1 << 31;
    uint32_t size = jc_kernel_shared(k);
    if (size)
        e->shared_at = e->d->shared(e, size);
    if (!narrow)
        number = jc_widen_int(e, number, e->t.i64, false);
    r->warp = LLVMBuildLShr(e->b, tid, jc_i32(e, 5), "warp");
    r->lane = tid;
    if (per_block > 1) {
        jc_emit_divmod(e, tid, jc_i32(e, k->lanes), &of_block, &r->lane);
        jc_name(e, r->lane, "lane");
        LLVMTypeRef type = LLVMTypeOf(number);
        number = LLVMBuildNSWMul(e->b, number, jc_int_of(type, per_block), "");
        number = LLVMBuildNSWAdd(e->b, number, jc_widen_int(e, of_block, type, false), "row");
        if (jc_ex_divisor(k->ex, rows) % per_block != 0) {
            LLVMValueRef n = jc_widen_int(e, jc_emit_expr(&r->base, rows), type, true);
            r->row_valid = LLVMBuildICmp(e->b, LLVMIntSLT, number, n, "row.valid");
            number = jc_select(e, r->row_valid, number, LLVMConstNull(type));
        }
    }
    emit_row(r, number);
}

void jc_kernel_row(jc_emit *e) {
    row r;
    init(&r, e);
    const jc_expr *rows = jc_ex_product(e->k->ex, e->k->extent, e->k->rank - 1u);
    if (jc_on_host(e))
        host_row(&r, rows);
    else
        gpu_row(&r, rows);
}
