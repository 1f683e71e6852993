/*
 * kernels/amx.c - instructions for tiles.
 *
 * By the intrinsics that name registers: those that leave them to LLVM spill and configure by passes of their own, for a loop that is as
 * simple as a table.
 */
#include "kernels/amx.h"

#include "jit/llvm/llvm_compat.h"

static LLVMValueRef number(jc_emit *e, unsigned tile) {
    return LLVMConstInt(e->t.i8, tile, false);
}

static void call(jc_emit *e, const char *name, LLVMValueRef *args, unsigned n) {
    jc_call_intrinsic(e, name, NULL, 0, args, n);
}

/* Palette 1; bytes of a row from byte 16 on, two each; rows from byte 48 on. */
void jc_amx_begin(jc_emit *e) {
    enum { BYTES = 64, PALETTE = 0, ROW_BYTES = 16, ROWS = 48 };
    LLVMValueRef byte[BYTES], config = jc_alloca(e, e->t.i8, BYTES, 64, "tiles");
    for (unsigned i = 0; i < BYTES; i++)
        byte[i] = number(e, 0);
    byte[PALETTE] = number(e, 1);
    for (unsigned t = 0; t < JC_AMX_TILES; t++) {
        byte[ROW_BYTES + 2 * t] = number(e, 4 * JC_AMX_WORDS);
        byte[ROWS + t] = number(e, JC_AMX_ROWS);
    }
    LLVMSetAlignment(LLVMBuildStore(e->b, LLVMConstVector(byte, BYTES), config), 64);
    call(e, "llvm.x86.ldtilecfg", &config, 1);
}

void jc_amx_end(jc_emit *e) {
    call(e, "llvm.x86.tilerelease", NULL, 0);
}

void jc_amx_zero(jc_emit *e, unsigned tile) {
    LLVMValueRef which = number(e, tile);
    call(e, "llvm.x86.tilezero", &which, 1);
}

void jc_amx_load(jc_emit *e, unsigned tile, LLVMValueRef at, LLVMValueRef stride) {
    LLVMValueRef args[] = { number(e, tile), at, stride };
    call(e, "llvm.x86.tileloadd64", args, 3);
}

void jc_amx_store(jc_emit *e, unsigned tile, LLVMValueRef at, LLVMValueRef stride) {
    LLVMValueRef args[] = { number(e, tile), at, stride };
    call(e, "llvm.x86.tilestored64", args, 3);
}

void jc_amx_multiply(jc_emit *e, unsigned sum, unsigned a, unsigned b) {
    LLVMValueRef args[] = { number(e, sum), number(e, a), number(e, b) };
    call(e, "llvm.x86.tdpbf16ps", args, 3);
}
