/*
 * kernels/dialect_host.c - the CPU.
 *
 *   void NAME(void *const *args, int64_t first, int64_t last)
 *
 * Arguments are loaded in the entry block.  They cannot be marked as noalias parameters, so accesses carry alias scopes:
 * one for each argument, outside of all others'; that no written argument overlaps another is the kernel's contract.
 */
#include <stdio.h>

#include "jit/llvm/dialect.h"

static LLVMValueRef load_arg(jc_emit *e, LLVMValueRef args, unsigned i) {
    LLVMTypeRef types[] = { [JC_KARG_PTR] = e->t.ptr, [JC_KARG_I64] = e->t.i64, [JC_KARG_F64] = e->t.f64 };
    LLVMValueRef at = jc_gep(e, e->t.ptr, args, jc_i64(e, i));
    at = LLVMBuildLoad2(e->b, e->t.ptr, at, "");
    return jc_name_arg(e, i, LLVMBuildLoad2(e->b, types[e->k->args[i].kind], at, ""));
}

static void make_scopes(jc_emit *e) {
    unsigned n = e->k->nargs, nothers;
    e->scope = JC_NEWN(e->arena, LLVMMetadataRef, n);
    e->others = JC_NEWN(e->arena, LLVMMetadataRef, n);
    LLVMMetadataRef *leaf = JC_NEWN(e->arena, LLVMMetadataRef, n), *rest = JC_NEWN(e->arena, LLVMMetadataRef, n);
    LLVMMetadataRef word = LLVMMDStringInContext2(e->c, "arguments", 9), domain = LLVMMDNodeInContext2(e->c, &word, 1);
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        int length = snprintf(name, sizeof name, "argument %u", i);
        LLVMMetadataRef parts[2] = { LLVMMDStringInContext2(e->c, name, (size_t)length), domain };
        leaf[i] = LLVMMDNodeInContext2(e->c, parts, 2);
    }
    for (unsigned i = 0; i < n; i++) {
        nothers = 0;
        for (unsigned j = 0; j < n; j++)
            if (j != i && e->k->args[j].kind == JC_KARG_PTR && (e->k->args[i].written || e->k->args[j].written))
                rest[nothers++] = leaf[j];
        e->scope[i] = LLVMMDNodeInContext2(e->c, &leaf[i], 1);
        e->others[i] = nothers ? LLVMMDNodeInContext2(e->c, rest, nothers) : NULL;
    }
}

static void declare(jc_emit *e) {
    LLVMTypeRef params[3] = { e->t.ptr, e->t.i64, e->t.i64 };
    e->fn = LLVMAddFunction(e->m, e->name, LLVMFunctionType(e->t.nothing, params, 3, false));
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, e->fn, "entry"));
    e->args = JC_NEWN(e->arena, LLVMValueRef, e->k->nargs);
    LLVMValueRef args = jc_name(e, LLVMGetParam(e->fn, 0), "args");
    for (unsigned i = 0; i < e->k->nargs; i++)
        e->args[i] = load_arg(e, args, i);
    e->first = jc_name(e, LLVMGetParam(e->fn, 1), "first");
    e->last = jc_name(e, LLVMGetParam(e->fn, 2), "last");
    make_scopes(e);
}

static void mark(jc_emit *e, unsigned arg, LLVMValueRef access) {
    static const char scope[] = "alias.scope", other[] = "noalias";
    if (arg == JC_SHARED)
        return;
    LLVMSetMetadata(access, LLVMGetMDKindIDInContext(e->c, scope, sizeof scope - 1),
                    LLVMMetadataAsValue(e->c, e->scope[arg]));
    if (e->others[arg])
        LLVMSetMetadata(access, LLVMGetMDKindIDInContext(e->c, other, sizeof other - 1),
                        LLVMMetadataAsValue(e->c, e->others[arg]));
}

static LLVMValueRef load(jc_emit *e, unsigned arg, LLVMTypeRef type, LLVMValueRef at, unsigned align) {
    LLVMValueRef v = LLVMBuildLoad2(e->b, type, at, "");
    LLVMSetAlignment(v, align);
    mark(e, arg, v);
    return v;
}

static void store(jc_emit *e, unsigned arg, LLVMValueRef v, LLVMValueRef at, unsigned align) {
    LLVMValueRef s = LLVMBuildStore(e->b, v, at);
    LLVMSetAlignment(s, align);
    mark(e, arg, s);
}

const jc_dialect_ops jc_dialect_host = {
    .name = "host",
    .native_f16 = true,
    .declare = declare,
    .load = load,
    .store = store,
};
