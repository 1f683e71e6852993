/*
 * kernels/walk.c - WALK: points that go through a dimension in order.
 *
 * A thread takes a walker, or `vec` neighbours, and runs through the steps in a loop; what one step hands to the next lies in slots that
 * LLVM turns into registers.  Loads are not moved ahead of the step: what one loads may be what the step before has stored.
 *
 * Host: blocks are ranges of walkers; the loop goes row by row through a range, in vectors along the last dimension and then one by one,
 * and each of them runs through the steps by itself.
 */
#include "kernels/host_rows.h"

typedef struct walk {
    jc_emit *e;
    const jc_kernel *k;
    const uint8_t *phase;
    jc_env base; /* expressions of arguments alone */
    LLVMValueRef steps;
} walk;

static const jc_expr *walkers(const jc_kernel *k) {
    return jc_ex_product(k->ex, k->extent + 1, k->rank - 1u);
}

static LLVMTypeRef slot_type(walk *w, uint32_t i, const jc_tape *t) {
    return jc_vec_of(jc_ct_type(w->e, w->k->tape[i].ct), t->w);
}

/* What comes before the steps, and the slots of what they carry. */
static void begin(walk *w, jc_env *at, LLVMValueRef *slot) {
    jc_emit *e = w->e;
    for (uint32_t i = 0; i < w->k->ninstrs; i++)
        if (w->phase[i] == JC_WALK_BEFORE)
            jc_emit_instr(at, i);
    for (uint32_t i = 0; i < w->k->ninstrs; i++) {
        if (w->k->tape[i].op != JC_T_CARRY)
            continue;
        slot[i] = jc_alloca(e, slot_type(w, i, at->tape), 1, 0, "walk.carry");
        LLVMBuildStore(e->b, jc_env_value(at, w->k->tape[i].a, true), slot[i]);
    }
}

static void one_step(walk *w, jc_env *step, LLVMValueRef *slot) {
    jc_emit *e = w->e;
    const jc_kernel *k = w->k;
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (k->tape[i].op == JC_T_CARRY)
            step->v[i] = jc_name_instr(e, i, LLVMBuildLoad2(e->b, slot_type(w, i, step->tape), slot[i], ""));
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (w->phase[i] == JC_WALK_STEP && k->tape[i].op != JC_T_NEXT)
            jc_emit_instr(step, i);
    for (uint32_t i = 0; i < k->ninstrs; i++)
        if (k->tape[i].op == JC_T_NEXT)
            LLVMBuildStore(e->b, jc_env_value(step, k->tape[i].b, true), slot[k->tape[i].a]);
}

static void finish(walk *w, jc_env *at, LLVMValueRef *slot) {
    for (uint32_t i = 0; i < w->k->ninstrs; i++) {
        if (w->phase[i] != JC_WALK_AFTER)
            continue;
        const uint32_t carry = w->k->tape[i].a;
        if (w->k->tape[i].op == JC_T_LAST)
            at->v[i] = jc_name_instr(w->e, i, LLVMBuildLoad2(w->e->b, slot_type(w, carry, at->tape), slot[carry], ""));
        else
            jc_emit_instr(at, i);
    }
}

/* The walkers of AT, whose loop variables but the step have their values. */
static void emit_walk(walk *w, jc_env *at) {
    jc_emit *e = w->e;
    LLVMValueRef *slot = JC_NEWN(e->arena, LLVMValueRef, w->k->ninstrs);
    LLVMTypeRef type = LLVMTypeOf(w->steps);
    begin(w, at, slot);
    jc_for loop = jc_for_begin(e, jc_int_of(type, 0), w->steps, jc_int_of(type, 1), "step");
    jc_env step;
    jc_env_init(&step, e, at->tape, at);
    step.loop[0] = loop.i;
    one_step(w, &step, slot);
    loop.rolled = !jc_on_host(e);
    jc_for_end(e, &loop);
    finish(w, at, slot);
}

/* ---- GPU ------------------------------------------------------------------------------------------------------ */

static void gpu_walk(walk *w) {
    jc_emit *e = w->e;
    const jc_kernel *k = w->k;
    const int64_t per_block = (int64_t)k->threads * k->vec * k->unroll;
    const jc_expr *all = walkers(k);
    int64_t lo, hi;
    const bool narrow = jc_ex_range(k->ex, all, &lo, &hi) && lo >= 0 && hi < ((int64_t)1 << 31) - per_block;
    LLVMTypeRef type = narrow ? e->t.i32 : e->t.i64;
    jc_tape t;
    jc_env at;
    jc_tape_init(&t, e, k->vec);
    LLVMValueRef n = jc_widen_int(e, jc_emit_expr(&w->base, all), type, true);
    LLVMValueRef first = LLVMBuildNSWMul(e->b, jc_widen_int(e, e->d->block(e), type, false), jc_int_of(type, per_block), "block.start");
    LLVMValueRef own = LLVMBuildNSWMul(e->b, e->d->thread(e), jc_i32(e, k->vec), "");
    for (unsigned u = 0; u < k->unroll; u++) {
        LLVMValueRef local = LLVMBuildNSWAdd(e->b, own, jc_i32(e, (int64_t)u * k->threads * k->vec), "");
        LLVMValueRef number = LLVMBuildNSWAdd(e->b, first, jc_widen_int(e, local, type, false), "walker");
        jc_env_init(&at, e, &t, &w->base);
        at.store_if = LLVMBuildICmp(e->b, LLVMIntSLT, number, n, "walker.valid");
        jc_emit_split_index(&at, jc_select(e, at.store_if, number, LLVMConstNull(type)), 1, k->rank);
        emit_walk(w, &at);
    }
}

/* ---- host ----------------------------------------------------------------------------------------------------- */

static void columns(walk *w, jc_tape *t, jc_env *row, LLVMValueRef *from, LLVMValueRef to) {
    jc_emit *e = w->e;
    LLVMValueRef limit = LLVMBuildNSWSub(e->b, to, jc_i64(e, (int64_t)t->w - 1), "");
    jc_for loop = jc_for_begin(e, *from, limit, jc_i64(e, t->w), t->w > 1 ? "column" : "tail");
    jc_env at;
    jc_env_init(&at, e, t, row);
    at.loop[w->k->rank - 1] = loop.i;
    emit_walk(w, &at);
    jc_for_end(e, &loop);
    *from = loop.i;
}

static void host_walk(walk *w) {
    jc_emit *e = w->e;
    const jc_kernel *k = w->k;
    jc_tape vector, single;
    jc_env row;
    jc_tape_init(&vector, e, k->vec);
    jc_tape_init(&single, e, 1);
    LLVMValueRef all = jc_name(e, jc_emit_expr64(&w->base, walkers(k)), "walkers");
    LLVMValueRef n = jc_name(e, jc_emit_expr64(&w->base, k->extent[k->rank - 1]), "columns");

    jc_host_rows rows = jc_host_rows_begin(e, all, n, "walker");
    jc_env_init(&row, e, &single, &w->base);
    if (k->rank > 2)
        jc_emit_split_index(&row, rows.number, 1, k->rank - 1u);
    columns(w, k->vec > 1 ? &vector : &single, &row, &rows.from, rows.to);
    if (k->vec > 1)
        columns(w, &single, &row, &rows.from, rows.to);
    jc_host_rows_end(e, &rows);
}

void jc_kernel_walk(jc_emit *e) {
    const jc_kernel *k = e->k;
    uint8_t *phase = JC_NEWN(e->arena, uint8_t, k->ninstrs);
    jc_kernel_walk_phases(k, phase);
    walk w = { .e = e, .k = k, .phase = phase };
    jc_env_init(&w.base, e, NULL, NULL);
    w.steps = jc_name(e, jc_emit_expr(&w.base, k->extent[0]), "steps");
    if (jc_on_host(e))
        host_walk(&w);
    else
        gpu_walk(&w);
}
