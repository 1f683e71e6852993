/*
 * jit/llvm/emit_build.c - small builders over the C API: constants, vectors, loops.
 *
 * All of them work on scalars and vectors alike.
 */
#include "jit/llvm/emit.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

jitc_status jc_emit_fail(jc_emit *e, const char *format, ...) {
    if (e->status != JITC_OK)
        return e->status;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return e->status = jc_fail(e->err, JITC_E_UNSUPPORTED, "%s", text);
}

/* ---- types and constants -------------------------------------------------------------------------------------- */

LLVMTypeRef jc_vec_of(LLVMTypeRef scalar, unsigned w) {
    return w > 1 ? LLVMVectorType(scalar, w) : scalar;
}

unsigned jc_width_of(LLVMTypeRef type) {
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetVectorSize(type) : 1;
}

LLVMTypeRef jc_scalar_of(LLVMTypeRef type) {
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
}

static LLVMValueRef const_splat(LLVMValueRef scalar, unsigned w) {
    LLVMValueRef at[1024];
    if (w == 1)
        return scalar;
    for (unsigned i = 0; i < w; i++)
        at[i] = scalar;
    return LLVMConstVector(at, w);
}

LLVMValueRef jc_int_of(LLVMTypeRef type, int64_t x) {
    return const_splat(LLVMConstInt(jc_scalar_of(type), (uint64_t)x, true), jc_width_of(type));
}

LLVMValueRef jc_real_of(LLVMTypeRef type, double x) {
    return const_splat(LLVMConstReal(jc_scalar_of(type), x), jc_width_of(type));
}

LLVMValueRef jc_i32(jc_emit *e, int64_t x) { return LLVMConstInt(e->t.i32, (uint64_t)x, true); }
LLVMValueRef jc_i64(jc_emit *e, int64_t x) { return LLVMConstInt(e->t.i64, (uint64_t)x, true); }
LLVMValueRef jc_i1(jc_emit *e, bool x) { return LLVMConstInt(e->t.i1, x, false); }
LLVMValueRef jc_undef(LLVMTypeRef type) { return LLVMGetPoison(type); }

/* ---- vectors -------------------------------------------------------------------------------------------------- */

LLVMValueRef jc_splat(jc_emit *e, LLVMValueRef scalar, unsigned w) {
    if (w == 1 || jc_width_of(LLVMTypeOf(scalar)) > 1)
        return scalar;
    if (LLVMIsConstant(scalar))
        return const_splat(scalar, w);
    LLVMTypeRef vec = jc_vec_of(LLVMTypeOf(scalar), w);
    LLVMValueRef one = LLVMBuildInsertElement(e->b, jc_undef(vec), scalar, jc_i32(e, 0), "");
    return LLVMBuildShuffleVector(e->b, one, jc_undef(vec), LLVMConstNull(jc_vec_of(e->t.i32, w)), "");
}

LLVMValueRef jc_lane(jc_emit *e, LLVMValueRef v, unsigned i) {
    return jc_width_of(LLVMTypeOf(v)) == 1 ? v : LLVMBuildExtractElement(e->b, v, jc_i32(e, i), "");
}

LLVMValueRef jc_set_lane(jc_emit *e, LLVMValueRef v, unsigned i, LLVMValueRef x) {
    return jc_width_of(LLVMTypeOf(v)) == 1 ? x : LLVMBuildInsertElement(e->b, v, x, jc_i32(e, i), "");
}

LLVMValueRef jc_slice(jc_emit *e, LLVMValueRef v, unsigned first, unsigned n) {
    LLVMValueRef at[1024];
    if (n == jc_width_of(LLVMTypeOf(v)))
        return v;
    if (n == 1)
        return jc_lane(e, v, first);
    for (unsigned i = 0; i < n; i++)
        at[i] = jc_i32(e, first + i);
    return LLVMBuildShuffleVector(e->b, v, jc_undef(LLVMTypeOf(v)), LLVMConstVector(at, n), "");
}

/* ---- values --------------------------------------------------------------------------------------------------- */

LLVMValueRef jc_widen_int(jc_emit *e, LLVMValueRef v, LLVMTypeRef to, bool is_signed) {
    LLVMTypeRef type = jc_vec_of(to, jc_width_of(LLVMTypeOf(v)));
    return LLVMBuildIntCast2(e->b, v, type, is_signed, "");
}

LLVMValueRef jc_gep(jc_emit *e, LLVMTypeRef element, LLVMValueRef base, LLVMValueRef index) {
    index = jc_widen_int(e, index, e->t.i64, true);
    return LLVMBuildGEP2(e->b, element, base, &index, 1, "");
}

LLVMValueRef jc_alloca(jc_emit *e, LLVMTypeRef type, unsigned count, unsigned align, const char *name) {
    LLVMBuilderRef b = LLVMCreateBuilderInContext(e->c);
    LLVMValueRef at = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(e->fn));
    if (at)
        LLVMPositionBuilderBefore(b, at);
    else
        LLVMPositionBuilderAtEnd(b, LLVMGetEntryBasicBlock(e->fn));
    if (count > 1)
        type = LLVMArrayType2(type, count);
    LLVMValueRef slot = LLVMBuildAlloca(b, type, name);
    if (align)
        LLVMSetAlignment(slot, align);
    LLVMDisposeBuilder(b);
    return slot;
}

LLVMValueRef jc_call_intrinsic(jc_emit *e, const char *name, LLVMTypeRef *overload, unsigned noverload,
                               LLVMValueRef *args, unsigned nargs) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id) {
        jc_emit_fail(e, "This LLVM has no intrinsic %s.", name);
        return jc_undef(noverload ? overload[0] : e->t.i32);
    }
    LLVMTypeRef type = LLVMIntrinsicGetType(e->c, id, overload, noverload);
    LLVMValueRef fn = LLVMGetIntrinsicDeclaration(e->m, id, overload, noverload);
    return LLVMBuildCall2(e->b, type, fn, args, nargs, "");
}

LLVMValueRef jc_unary_intrinsic(jc_emit *e, const char *name, LLVMValueRef a) {
    LLVMTypeRef type = LLVMTypeOf(a);
    return jc_call_intrinsic(e, name, &type, 1, &a, 1);
}

LLVMValueRef jc_fused(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef args[3] = { a, b, c };
    return jc_call_intrinsic(e, "llvm.fmuladd", &type, 1, args, 3);
}

LLVMValueRef jc_exact_fma(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef args[3] = { a, b, c };
    return jc_call_intrinsic(e, "llvm.fma", &type, 1, args, 3);
}

LLVMValueRef jc_select(jc_emit *e, LLVMValueRef cond, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(e->b, cond, a, b, "");
}

/* ---- control flow --------------------------------------------------------------------------------------------- */

static LLVMBasicBlockRef block_of(jc_emit *e, const char *name, const char *part) {
    char text[64] = "";
    if (e->names)
        snprintf(text, sizeof text, "%s.%s", name, part);
    return LLVMAppendBasicBlockInContext(e->c, e->fn, text);
}

jc_if jc_if_begin(jc_emit *e, LLVMValueRef cond, const char *name) {
    jc_if s = { .then = block_of(e, name, "then"), .end = block_of(e, name, "end") };
    LLVMBuildCondBr(e->b, jc_name(e, cond, "%s.if", name), s.then, s.end);
    LLVMPositionBuilderAtEnd(e->b, s.then);
    return s;
}

void jc_if_end(jc_emit *e, jc_if *s) {
    LLVMBuildBr(e->b, s->end);
    LLVMMoveBasicBlockAfter(s->end, LLVMGetInsertBlock(e->b));
    LLVMPositionBuilderAtEnd(e->b, s->end);
}

jc_for jc_for_begin(jc_emit *e, LLVMValueRef from, LLVMValueRef to, LLVMValueRef step, const char *name) {
    jc_for s = { .head = block_of(e, name, "head"), .body = block_of(e, name, "body"), .end = block_of(e, name, "end"),
                 .step = step, .name = name };
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, s.head);
    LLVMPositionBuilderAtEnd(e->b, s.head);
    s.i = LLVMBuildPhi(e->b, LLVMTypeOf(from), name);
    LLVMAddIncoming(s.i, &from, &before, 1);
    jc_name(e, from, "%s.first", name);
    LLVMValueRef more = jc_name(e, LLVMBuildICmp(e->b, LLVMIntSLT, s.i, to, ""), "%s.more", name);
    LLVMBuildCondBr(e->b, more, s.body, s.end);
    LLVMPositionBuilderAtEnd(e->b, s.body);
    return s;
}

/* A loop's node refers to itself, so that it is this loop's alone. */
static void keep_rolled(jc_emit *e, LLVMValueRef back) {
    static const char option[] = "llvm.loop.unroll.disable", kind[] = "llvm.loop";
    LLVMMetadataRef name = LLVMMDStringInContext2(e->c, option, strlen(option)), self = LLVMTemporaryMDNode(e->c, NULL, 0);
    LLVMMetadataRef parts[] = { self, LLVMMDNodeInContext2(e->c, &name, 1) }, node = LLVMMDNodeInContext2(e->c, parts, 2);
    LLVMMetadataReplaceAllUsesWith(self, node);
    LLVMSetMetadata(back, LLVMGetMDKindIDInContext(e->c, kind, (unsigned)strlen(kind)), LLVMMetadataAsValue(e->c, node));
}

void jc_for_end(jc_emit *e, jc_for *s) {
    LLVMValueRef next = jc_name(e, LLVMBuildNSWAdd(e->b, s->i, s->step, ""), "%s.next", s->name);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    LLVMAddIncoming(s->i, &next, &from, 1);
    LLVMValueRef back = LLVMBuildBr(e->b, s->head);
    if (s->rolled)
        keep_rolled(e, back);
    LLVMMoveBasicBlockAfter(s->end, from);
    LLVMPositionBuilderAtEnd(e->b, s->end);
}
