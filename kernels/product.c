/*
 * kernels/product.c - tiles and rows of matrix products, and the host's sums in memory.
 */
#include "kernels/product.h"

void jc_product_place(jc_emit *e, jc_product *p, LLVMValueRef block, int64_t tile_m, int64_t tile_n) {
    const jc_kernel *k = e->k;
    jc_exprs *ex = k->ex;
    const jc_expr *m = k->extent[k->rank - 2], *n = k->extent[k->rank - 1];
    jc_env_init(&p->base, e, NULL, NULL);
    p->m = jc_emit_expr(&p->base, m);
    p->n = jc_emit_expr(&p->base, n);
    p->k = jc_emit_expr(&p->base, k->k);
    jc_name(e, p->m, "m.size");
    jc_name(e, p->n, "n.size");
    jc_name(e, p->k, "k.size");
    LLVMValueRef tiles_m = jc_emit_expr(&p->base, jc_ex_cdiv(ex, m, jc_ex_int(ex, tile_m)));
    LLVMValueRef tiles_n = jc_emit_expr(&p->base, jc_ex_cdiv(ex, n, jc_ex_int(ex, tile_n)));
    LLVMValueRef rest, bm, bn = block, batch;
    jc_same_int(e, &block, &tiles_m);
    jc_emit_divmod(e, block, tiles_m, &rest, &bm);
    if (k->rank > 2) {
        jc_same_int(e, &rest, &tiles_n);
        jc_emit_divmod(e, rest, tiles_n, &batch, &bn);
        jc_emit_split_index(&p->base, batch, 0, k->rank - 2u);
    } else
        bn = rest;
    /* Tiles start inside of the matrix, so their numbers fit where the sizes do. */
    bm = jc_widen_int(e, bm, LLVMTypeOf(p->m), true);
    bn = jc_widen_int(e, bn, LLVMTypeOf(p->n), true);
    p->m0 = LLVMBuildNSWMul(e->b, bm, jc_int_of(LLVMTypeOf(bm), tile_m), "m0");
    p->n0 = LLVMBuildNSWMul(e->b, bn, jc_int_of(LLVMTypeOf(bn), tile_n), "n0");
}

LLVMValueRef jc_product_offset(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildAdd(e->b, a, jc_widen_int(e, b, LLVMTypeOf(a), true), "");
}

LLVMValueRef jc_product_below(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    jc_same_int(e, &a, &b);
    return LLVMBuildICmp(e->b, LLVMIntULT, a, b, "");
}

LLVMValueRef jc_product_row(jc_product *p, bool second, LLVMValueRef index) {
    jc_emit *e = p->base.e;
    const jc_kernel *k = e->k;
    jc_env env;
    jc_env_init(&env, e, NULL, &p->base);
    env.loop[second ? k->rank - 1 : k->rank - 2] = index;
    return jc_name(e, jc_emit_expr64(&env, second ? k->b.row : k->a.row), second ? "b.row" : "a.row");
}

unsigned jc_power_dividing(jc_emit *e, const jc_expr *x, unsigned most) {
    int64_t d = jc_ex_divisor(e->k->ex, x);
    unsigned p = 1;
    while (p < most && d % (2 * (int64_t)p) == 0)
        p *= 2;
    return p;
}

uint8_t jc_product_sum_type(const jc_kernel *k) {
    jc_ct a = jc_compute_type(k->args[k->a.arg].dtype), b = jc_compute_type(k->args[k->b.arg].dtype);
    if (a == JC_CT_F64 || b == JC_CT_F64)
        return JC_CT_F64;
    return a == JC_CT_F32 || b == JC_CT_F32 ? JC_CT_F32 : JC_CT_I64;
}

uint8_t jc_product_acc_type(const jc_kernel *k) {
    return jc_product_sum_type(k) == JC_CT_F64 ? JC_CT_F64 : JC_CT_F32;
}

static bool integers(jc_emit *e, LLVMValueRef v) {
    return jc_scalar_of(LLVMTypeOf(v)) == e->t.i64;
}

LLVMValueRef jc_product_add(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    return integers(e, a) ? LLVMBuildAdd(e->b, a, b, "") : LLVMBuildFAdd(e->b, a, b, "");
}

LLVMValueRef jc_product_multiply_add(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    return integers(e, a) ? LLVMBuildAdd(e->b, c, LLVMBuildMul(e->b, a, b, ""), "") : jc_fused(e, a, b, c);
}

/* ---- the host's sums in memory --------------------------------------------------------------------------------- */

LLVMValueRef jc_product_left(jc_emit *e, LLVMValueRef size, LLVMValueRef first, LLVMValueRef limit) {
    LLVMValueRef left = LLVMBuildSub(e->b, size, first, "");
    return jc_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, left, limit, ""), left, limit);
}

void jc_product_block(jc_emit *e, jc_product *p, jc_product_sums *s, LLVMValueRef block) {
    const jc_kernel *k = e->k;
    jc_product_place(e, p, block, k->tile_m, k->tile_n);
    s->rows = jc_product_left(e, p->m, p->m0, jc_i64(e, k->tile_m));
    s->columns = jc_product_left(e, p->n, p->n0, jc_i64(e, k->tile_n));
}

void jc_product_zero(jc_emit *e, LLVMValueRef at, LLVMTypeRef type, LLVMValueRef count, unsigned w) {
    jc_for loop = jc_for_begin(e, jc_i64(e, 0), count, jc_i64(e, w), "zero");
    LLVMBuildStore(e->b, LLVMConstNull(jc_vec_of(type, w)), jc_gep(e, type, at, loop.i));
    jc_for_end(e, &loop);
}

LLVMValueRef jc_product_element(jc_emit *e, const jc_operand *o, LLVMValueRef element) {
    return jc_gep(e, jc_memory_type(e, e->k->args[o->arg].dtype), e->args[o->arg], element);
}

void jc_product_fetch(jc_emit *e, LLVMValueRef at) {
    LLVMTypeRef type = e->t.ptr;
    LLVMValueRef args[] = { at, jc_i32(e, 0), jc_i32(e, 2), jc_i32(e, 1) }; /* read, near, data */
    jc_call_intrinsic(e, "llvm.prefetch", &type, 1, args, 4);
}

/* The epilogue for the tape's number of columns from I, J of the block on. */
static void outputs(jc_product *p, const jc_product_sums *s, jc_tape *t, LLVMValueRef i, LLVMValueRef j) {
    jc_emit *e = p->base.e;
    const jc_kernel *k = e->k;
    uint8_t ct = jc_product_sum_type(k);
    LLVMTypeRef type = jc_ct_type(e, ct);
    jc_env env;
    jc_env_init(&env, e, t, &p->base);
    env.loop[k->rank - 2] = LLVMBuildAdd(e->b, p->m0, i, "");
    env.loop[k->rank - 1] = LLVMBuildAdd(e->b, p->n0, j, "");
    LLVMValueRef index = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, i, jc_i64(e, s->ld), ""), j, "");
    LLVMValueRef v = LLVMBuildLoad2(e->b, jc_vec_of(type, t->w), jc_gep(e, type, s->at, index), "");
    LLVMSetAlignment(v, ct == JC_CT_F32 ? 4 : 8);
    env.acc = jc_emit_convert(e, jc_product_acc_type(k), ct, v);
    jc_emit_loads(&env, NULL);
    jc_emit_rest(&env, NULL);
}

void jc_product_outputs(jc_product *p, const jc_product_sums *s, unsigned w) {
    jc_emit *e = p->base.e;
    jc_tape single, vector;
    jc_tape_init(&single, e, 1);
    jc_for rows = jc_for_begin(e, jc_i64(e, 0), s->rows, jc_i64(e, 1), "row");
    LLVMValueRef from = jc_i64(e, 0);
    if (w > 1) {
        jc_tape_init(&vector, e, w);
        jc_for whole = jc_for_begin(e, from, LLVMBuildSub(e->b, s->columns, jc_i64(e, w - 1), ""), jc_i64(e, w), "columns");
        outputs(p, s, &vector, rows.i, whole.i);
        jc_for_end(e, &whole);
        from = whole.i;
    }
    if (jc_ex_divisor(e->k->ex, e->k->extent[e->k->rank - 1]) % w || w == 1) {
        jc_for rest = jc_for_begin(e, from, s->columns, jc_i64(e, 1), "column");
        outputs(p, s, &single, rows.i, rest.i);
        jc_for_end(e, &rest);
    }
    jc_for_end(e, &rows);
}
