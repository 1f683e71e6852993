/*
 * kernels/amx.h - host: the tiles of CPUs that have AMX, of bf16.
 *
 * A tile has 16 rows of 64 bytes and is named by number, 0 to 7.  Multiplying adds, to f32 sums of 16 rows by 16 columns, 16 rows of 32 elements
 * of A by 16 columns of B, whose tile has pairs of neighbours along k as words: row r those of k 2r and 2r+1.  It takes what is subnormal for 0, and
 * leaves none.
 */
#ifndef JC_AMX_H
#define JC_AMX_H

#include "jit/llvm/dialect.h"

enum { JC_AMX_ROWS = 16, JC_AMX_WORDS = 16, JC_AMX_TILES = 8 };

/* Tiles have their shape and mean something from begin to end alone, and what is called in between must not use them. */
void jc_amx_begin(jc_emit *e);
void jc_amx_end(jc_emit *e);

void jc_amx_zero(jc_emit *e, unsigned tile);
/* Rows that lie STRIDE bytes (i64) apart in memory. */
void jc_amx_load(jc_emit *e, unsigned tile, LLVMValueRef at, LLVMValueRef stride);
void jc_amx_store(jc_emit *e, unsigned tile, LLVMValueRef at, LLVMValueRef stride);
/* SUM += A B */
void jc_amx_multiply(jc_emit *e, unsigned sum, unsigned a, unsigned b);

#endif
