/*
 * kernels/product.h - what DOT and MMA share: where a block's tile lies, and rows of operands.
 */
#ifndef JC_PRODUCT_H
#define JC_PRODUCT_H

#include "kernels/family.h"

typedef struct jc_product {
    jc_env base;             /* the batch */
    LLVMValueRef m0, n0;     /* the block's first output; i32 or i64 */
    LLVMValueRef m, n, k;    /* sizes */
} jc_product;

/* BLOCK: i32 or i64; TILE_N: columns of a whole block. */
void jc_product_place(jc_emit *e, jc_product *p, LLVMValueRef block, int64_t tile_m, int64_t tile_n);
/* A + B as i32 where A is one, else i64. */
LLVMValueRef jc_product_offset(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
/* a < b, of whatever integer types, neither negative.  Unsigned: a tile that hangs over the end of a dim of almost 2^31 has offsets
   beyond what a signed number holds. */
LLVMValueRef jc_product_below(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
/* The element (i64) at which row INDEX of an operand starts; SECOND: of B. */
LLVMValueRef jc_product_row(jc_product *p, bool second, LLVMValueRef index);
/* The largest power of two up to MOST that always divides X. */
unsigned jc_power_dividing(jc_emit *e, const jc_expr *x, unsigned most);

#endif
