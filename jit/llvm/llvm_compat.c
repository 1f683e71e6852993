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

/*
 * The oldest PTX that has what is emitted, so that older assemblers take it: 8.0 for sm_90a, 8.1 for the fp8
 * conversions; the later architectures exist from their own version on.
 */
static const struct row {
    uint16_t sm;
    uint8_t llvm; /* from this version on */
    const char *features;
} rows[] = {
    { 80, 19, "+ptx80" },  { 86, 19, "+ptx80" },  { 87, 19, "+ptx80" },  { 89, 19, "+ptx81" },
    { 90, 19, "+ptx81" },  { 100, 20, "+ptx86" }, { 103, 21, "+ptx88" }, { 120, 20, "+ptx87" },
};

const char *jc_compat_ptx(const jc_target *t) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].sm == t->sm && rows[i].llvm <= JC_LLVM_MAJOR)
            return rows[i].features;
    return NULL;
}

/*
 * instcombine needs no-verify-fixpoint, or LLVM aborts where it is not done after one round.  On the GPU it is the one
 * pass that pays: codegen runs EarlyCSE, GVN and SLSR itself.  On the CPU nothing after it removes what the emission
 * repeats between unrolled parts, and loads of arguments have to leave the loops.
 */
const char *jc_compat_passes(uint8_t dialect) {
    static const char gpu[] = "function(mem2reg,instcombine<no-verify-fixpoint>)";
    static const char cpu[] = "function(mem2reg,early-cse,instcombine<no-verify-fixpoint>,early-cse<memssa>,"
                              "loop-mssa(licm<allowspeculation>),instcombine<no-verify-fixpoint>)";
    return dialect == JC_DIALECT_NVPTX ? gpu : cpu;
}
