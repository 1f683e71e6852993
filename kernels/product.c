/*
 * kernels/product.c - tiles and rows of matrix products.
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
