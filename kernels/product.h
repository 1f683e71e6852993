/*
 * kernels/product.h - what products share: where a block's tile lies, rows of operands, and on the host sums in memory.
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

/* What products are summed up in: F32, F64, or I64 for integers; and what ACC is. */
uint8_t jc_product_sum_type(const jc_kernel *k);
uint8_t jc_product_acc_type(const jc_kernel *k);
LLVMValueRef jc_product_add(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef jc_product_multiply_add(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);

/* Host: a block's sums in memory, row-major with LD columns: those of ROWS x COLUMNS (i64) outputs from m0, n0 on. */
typedef struct jc_product_sums {
    LLVMValueRef at, rows, columns;
    unsigned ld;
} jc_product_sums;
/* The lesser of LIMIT and what is left of SIZE from FIRST on; i64. */
LLVMValueRef jc_product_left(jc_emit *e, LLVMValueRef size, LLVMValueRef first, LLVMValueRef limit);
/* Places BLOCK, and says in S how many of its outputs there are. */
void jc_product_block(jc_emit *e, jc_product *p, jc_product_sums *s, LLVMValueRef block);
/* The epilogue, in vectors of W columns (a power of two) where so many are left. */
void jc_product_outputs(jc_product *p, const jc_product_sums *s, unsigned w);
/* Where operand O has ELEMENT. */
LLVMValueRef jc_product_element(jc_emit *e, const jc_operand *o, LLVMValueRef element);
/* Into the second cache: what is AT a place.  It need not exist. */
void jc_product_fetch(jc_emit *e, LLVMValueRef at);
/* COUNT sums, a multiple of W, become zero. */
void jc_product_zero(jc_emit *e, LLVMValueRef at, LLVMTypeRef type, LLVMValueRef count, unsigned w);

#endif
