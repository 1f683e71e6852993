/*
 * jit/llvm/emit_name.c - names of generated values, so that `jitc dump --stage=llvm` reads like the kernel.
 *
 * Whoever emits something that the kernel has a word for names it: arguments, loop variables and instructions of the tape as
 * kernel_print.c prints them (p0, n1, i0, v3.load), loops and branches, rows, lanes and sums as the families call them.  A value in
 * between is part of the next named one that uses it, and is called after it and after what it does: v3.exp.fmul.
 *
 * Names are for people.  Where nobody asked for the text the context drops them, and none is ever made; code is the same.
 */
#include "jit/llvm/emit.h"

#include <ctype.h>
#include <string.h>

LLVMValueRef jc_name(jc_emit *e, LLVMValueRef v, const char *format, ...) {
    char text[64];
    size_t n;
    va_list args;
    if (!e->names || (!LLVMIsAInstruction(v) && !LLVMIsAArgument(v)))
        return v;
    LLVMGetValueName2(v, &n);
    if (n > 0) /* what has passed through from elsewhere keeps its first name */
        return v;
    va_start(args, format);
    vsnprintf(text, 50, format, args);
    va_end(args);
    n = strlen(text);
    uintptr_t times = (uintptr_t)jc_map_get(e->names, text, n);
    jc_map_set(e->names, jc_arena_strdup(e->arena, text), n, (void *)(times + 1));
    if (times) /* LLVM would make i12 of a second i1 */
        snprintf(text + n, sizeof text - n, ".%u", (unsigned)times);
    LLVMSetValueName2(v, text, strlen(text));
    return v;
}

LLVMValueRef jc_name_arg(jc_emit *e, unsigned arg, LLVMValueRef v) {
    static const char letter[] = { [JC_KARG_PTR] = 'p', [JC_KARG_I64] = 'n', [JC_KARG_F64] = 'x' };
    return jc_name(e, v, "%c%u", letter[e->k->args[arg].kind], arg);
}

LLVMValueRef jc_name_instr(jc_emit *e, uint32_t i, LLVMValueRef v) {
    char op[16];
    const char *name = jc_tape_ops[e->k->tape[i].op].name;
    if (!e->names)
        return v;
    for (size_t c = 0; c < sizeof op; c++)
        op[c] = (char)tolower((unsigned char)name[c < strlen(name) ? c : strlen(name)]);
    op[sizeof op - 1] = 0;
    return jc_name(e, v, "v%u.%s", i, op);
}

/* ---- the rest ------------------------------------------------------------------------------------------------- */

static const struct {
    LLVMOpcode op;
    const char *word;
} words[] = {
    { LLVMAdd, "add" },     { LLVMFAdd, "fadd" },   { LLVMSub, "sub" },     { LLVMFSub, "fsub" },   { LLVMMul, "mul" },
    { LLVMFMul, "fmul" },   { LLVMUDiv, "div" },    { LLVMSDiv, "div" },    { LLVMFDiv, "fdiv" },   { LLVMURem, "rem" },
    { LLVMSRem, "rem" },    { LLVMShl, "shl" },     { LLVMLShr, "shr" },    { LLVMAShr, "shr" },    { LLVMAnd, "and" },
    { LLVMOr, "or" },       { LLVMXor, "xor" },     { LLVMFNeg, "neg" },    { LLVMICmp, "is" },     { LLVMFCmp, "is" },
    { LLVMLoad, "load" },   { LLVMAlloca, "slot" }, { LLVMGetElementPtr, "at" }, { LLVMTrunc, "narrow" },
    { LLVMFPTrunc, "narrow" }, { LLVMZExt, "wide" }, { LLVMSExt, "wide" },  { LLVMFPExt, "wide" },  { LLVMBitCast, "bits" },
    { LLVMSIToFP, "float" }, { LLVMUIToFP, "float" }, { LLVMFPToSI, "int" }, { LLVMSelect, "pick" }, { LLVMPHI, "phi" },
    { LLVMExtractElement, "lane" }, { LLVMInsertElement, "put" }, { LLVMShuffleVector, "lanes" },
    { LLVMExtractValue, "part" }, { LLVMCall, "call" }, { LLVMFreeze, "freeze" },
};

static const char *word_of(LLVMValueRef v) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].op == LLVMGetInstructionOpcode(v))
            return words[i].word;
    return "value";
}

/* What a value without a named user is for. */
static const char *use_of(LLVMValueRef user) {
    switch (LLVMGetInstructionOpcode(user)) {
    case LLVMStore:
        return "store";
    case LLVMBr:
        return "if";
    case LLVMCall:
        return "call";
    default:
        return "value";
    }
}

typedef struct namer {
    jc_arena *arena;
    jc_map *bases; /* value without a name -> what it is called after */
} namer;

static bool is_nameless(LLVMValueRef v) {
    size_t length;
    LLVMGetValueName2(v, &length);
    return length == 0 && LLVMGetTypeKind(LLVMTypeOf(v)) != LLVMVoidTypeKind;
}

static void find_base(namer *n, LLVMValueRef v) {
    const char *base = NULL, *use = "value";
    size_t length;
    for (LLVMUseRef u = LLVMGetFirstUse(v); u && !base; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        bool stored = LLVMIsAStoreInst(user) && LLVMGetOperand(user, 0) == v;
        const char *name = LLVMGetValueName2(stored ? LLVMGetOperand(user, 1) : user, &length);
        base = length ? jc_arena_strdup(n->arena, name) : jc_map_get(n->bases, &user, sizeof user);
        use = use_of(user);
    }
    jc_map_set(n->bases, jc_arena_memdup(n->arena, &v, sizeof v), sizeof v, (void *)(uintptr_t)(base ? base : use));
}

void jc_name_rest(LLVMModuleRef m, jc_arena *arena) {
    namer n = { arena, jc_map_new(arena) };
    for (LLVMValueRef fn = LLVMGetFirstFunction(m); fn; fn = LLVMGetNextFunction(fn)) {
        /* from the end, so that users come first; then forwards, so that numbers rise */
        for (LLVMBasicBlockRef b = LLVMGetLastBasicBlock(fn); b; b = LLVMGetPreviousBasicBlock(b))
            for (LLVMValueRef v = LLVMGetLastInstruction(b); v; v = LLVMGetPreviousInstruction(v))
                if (is_nameless(v))
                    find_base(&n, v);
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef v = LLVMGetFirstInstruction(b); v; v = LLVMGetNextInstruction(v)) {
                if (!is_nameless(v))
                    continue;
                const char *base = jc_map_get(n.bases, &v, sizeof v);
                const char *name = jc_arena_printf(arena, "%s.%s", base, word_of(v));
                LLVMSetValueName2(v, name, strlen(name));
            }
    }
}
