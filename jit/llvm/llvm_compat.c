/*
 * jit/llvm/llvm_compat.c - tables of what differs between LLVM versions.
 */
#include "config.h"

#include "jit/llvm/llvm_compat.h"

#include <string.h>

unsigned jc_compat_intrinsic(const char *const *names) {
    for (; *names; names++) {
        unsigned id = LLVMLookupIntrinsicID(*names, strlen(*names));
        if (id)
            return id;
    }
    return 0;
}

/* Renamed in LLVM 21; the old name is no longer an intrinsic there, only upgraded when IR is read. */
const char *const jc_compat_barrier[] = { "llvm.nvvm.barrier.cta.sync.aligned.all", "llvm.nvvm.barrier0", NULL };

LLVMAttributeRef jc_compat_attribute(LLVMContextRef c, const char *kind, uint64_t value) {
    unsigned id = LLVMGetEnumAttributeKindForName(kind, strlen(kind));
    return id ? LLVMCreateEnumAttribute(c, id, value) : NULL;
}

const bool jc_compat_splits_bytes = JC_LLVM_MAJOR < 20;

void jc_compat_nvptx_kernel(LLVMModuleRef m, LLVMValueRef fn, unsigned threads) {
#if JC_LLVM_MAJOR < 21
    LLVMContextRef c = LLVMGetModuleContext(m);
    LLVMTypeRef i32 = LLVMInt32TypeInContext(c);
    static const char *const keys[] = { "kernel", "reqntidx", "reqntidy", "reqntidz" };
    const unsigned values[] = { 1, threads, 1, 1 };
    for (unsigned i = 0; i < 4; i++) {
        LLVMMetadataRef row[3] = { LLVMValueAsMetadata(fn), LLVMMDStringInContext2(c, keys[i], strlen(keys[i])),
                                   LLVMValueAsMetadata(LLVMConstInt(i32, values[i], false)) };
        LLVMAddNamedMetadataOperand(m, "nvvm.annotations", LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, row, 3)));
    }
#else
    (void)m, (void)fn, (void)threads;
#endif
}

bool jc_compat_generates(const jc_target *t) {
    return jc_target_facts_of(t)->llvm <= JC_LLVM_MAJOR;
}

/*
 * instcombine needs no-verify-fixpoint, or LLVM aborts where it is not done after one round.  On the GPU it is the one
 * pass that pays: codegen runs EarlyCSE, GVN and SLSR itself.  On the CPU nothing after it removes what the emission
 * repeats between unrolled parts, and loads of arguments have to leave the loops.
 */
const char *jc_compat_passes(const jc_target *t) {
    static const char gpu[] = "function(mem2reg,instcombine<no-verify-fixpoint>)";
    static const char cpu[] = "function(mem2reg,early-cse,instcombine<no-verify-fixpoint>,early-cse<memssa>,"
                              "loop-mssa(licm<allowspeculation>))";
    static const char quick[] = "function(mem2reg,early-cse)"; /* less to select, which is what takes long then */
    return jc_target_is_gpu(t) ? gpu : t->quick ? quick : cpu;
}
