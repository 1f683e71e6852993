/*
 * jit/llvm/llvm_module.c - contexts, target machines and the pass pipeline.
 *
 * LLVM ends the process when it meets what it cannot select, so modules are verified first and only forms are emitted that
 * the targets are known to have.  Diagnostics go to a handler of ours: without one LLVM would print, and exit on errors.
 */
#include "config.h"

#include "jit/llvm/llvm_module.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "jit/llvm/llvm_compat.h"

static void init_targets(void) {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
#if defined(__x86_64__)
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
#endif
}

static void keep_message(jc_llvm *l, const char *text) {
    if (!l->message[0])
        snprintf(l->message, sizeof l->message, "%s", text && *text ? text : "(no message)");
}

static void diagnose(LLVMDiagnosticInfoRef info, void *user) {
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
        return;
    char *text = LLVMGetDiagInfoDescription(info);
    keep_message(user, text);
    LLVMDisposeMessage(text);
}

static LLVMTargetMachineRef make_machine(jc_llvm *l, const jc_target *t) {
    const jc_target_facts *facts = jc_target_facts_of(t);
    bool gpu = jc_target_is_gpu(t);
    char cpu[32], features[64] = "", *message = NULL;
    LLVMTargetRef target = NULL;
    jc_target_cpu(t, cpu);
    if (facts->cpu)
        snprintf(cpu, sizeof cpu, "%s", facts->cpu);
    if (facts->ptx)
        snprintf(features, sizeof features, "+ptx%u", facts->ptx);
    else if (facts->features)
        snprintf(features, sizeof features, "%s", facts->features);
    if (LLVMGetTargetFromTriple(facts->triple, &target, &message)) {
        keep_message(l, message);
        LLVMDisposeMessage(message);
        return NULL;
    }
    return LLVMCreateTargetMachine(target, facts->triple, cpu, features, t->quick ? LLVMCodeGenLevelNone : LLVMCodeGenLevelDefault,
                                   gpu ? LLVMRelocDefault : LLVMRelocPIC,
                                   gpu ? LLVMCodeModelDefault : LLVMCodeModelSmall);
}

/*
 * Machines that nobody uses at the moment: what LLVM works out of a CPU, and keeps in its machine, took 13 % of compiling a kernel of
 * ten lines.  As many stay as compiled at the same time, the process long.
 */
#define KEPT 8
static struct kept {
    jc_target target;
    LLVMTargetMachineRef machine;
} kept[KEPT];
static pthread_mutex_t keeping = PTHREAD_MUTEX_INITIALIZER;

static LLVMTargetMachineRef take_machine(const jc_target *t) {
    LLVMTargetMachineRef found = NULL;
    pthread_mutex_lock(&keeping);
    for (int i = 0; i < KEPT && !found; i++)
        if (kept[i].machine && jc_target_same(&kept[i].target, t)) {
            found = kept[i].machine;
            kept[i].machine = NULL;
        }
    pthread_mutex_unlock(&keeping);
    return found;
}

static void give_machine(const jc_target *t, LLVMTargetMachineRef machine) {
    pthread_mutex_lock(&keeping);
    for (int i = 0; i < KEPT && machine; i++)
        if (!kept[i].machine) {
            kept[i] = (struct kept){ *t, machine };
            machine = NULL;
        }
    pthread_mutex_unlock(&keeping);
    if (machine)
        LLVMDisposeTargetMachine(machine);
}

jitc_status jc_llvm_open(jc_llvm *l, const jc_target *t, bool named, jc_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char text[64];
    jc_target_text(t, text);
    pthread_once(&once, init_targets);
    if (!jc_compat_generates(t))
        return jc_fail(err, JITC_E_UNSUPPORTED,
                       "The LLVM that libjitc was built with (%s) cannot generate code for %s, which needs LLVM %u.",
                       JC_LLVM_VERSION, text, jc_target_facts_of(t)->llvm);
    l->context = LLVMContextCreate();
    LLVMContextSetDiscardValueNames(l->context, !named);
    LLVMContextSetDiagnosticHandler(l->context, diagnose, l);
    l->module = LLVMModuleCreateWithNameInContext("kernel", l->context);
    l->builder = LLVMCreateBuilderInContext(l->context);
    l->target = *t;
    l->machine = take_machine(t);
    if (!l->machine)
        l->machine = make_machine(l, t);
    if (!l->machine)
        return jc_fail(err, JITC_E_UNSUPPORTED, "LLVM has no target machine for %s: %s", text, l->message);
    char *triple = LLVMGetTargetMachineTriple(l->machine);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(l->machine);
    LLVMSetTarget(l->module, triple);
    LLVMSetModuleDataLayout(l->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    return JITC_OK;
}

static bool run_passes(jc_llvm *l, const jc_target *t) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failure = LLVMRunPasses(l->module, jc_compat_passes(t), l->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!failure)
        return true;
    char *text = LLVMGetErrorMessage(failure);
    keep_message(l, text);
    LLVMDisposeErrorMessage(text);
    return false;
}

jitc_status jc_llvm_generate(jc_llvm *l, const jc_target *t, const char *name, jc_arena *names, jc_error *err) {
    char *message = NULL;
    if (LLVMVerifyModule(l->module, LLVMReturnStatusAction, &message)) {
        jc_fail(err, JITC_E_COMPILE, "The LLVM IR of kernel %s is malformed: %s", name, message);
        LLVMDisposeMessage(message);
        return JITC_E_COMPILE;
    }
    LLVMDisposeMessage(message);
    if (!run_passes(l, t))
        return jc_fail(err, JITC_E_COMPILE, "LLVM's passes failed on kernel %s: %s", name, l->message);
    if (names) {
        jc_name_rest(l->module, names); /* what the passes made */
        l->ir = LLVMPrintModuleToString(l->module);
    }
    message = NULL;
    LLVMCodeGenFileType kind = jc_target_is_gpu(t) ? LLVMAssemblyFile : LLVMObjectFile;
    if (LLVMTargetMachineEmitToMemoryBuffer(l->machine, l->module, kind, &message, &l->output)) {
        keep_message(l, message);
        LLVMDisposeMessage(message);
        l->output = NULL;
    }
    if (l->message[0] || !l->output)
        return jc_fail(err, JITC_E_COMPILE, "LLVM generated no code for kernel %s: %s", name, l->message);
    return JITC_OK;
}

void jc_llvm_close(jc_llvm *l) {
    if (l->output)
        LLVMDisposeMemoryBuffer(l->output);
    if (l->ir)
        LLVMDisposeMessage(l->ir);
    if (l->machine)
        give_machine(&l->target, l->machine);
    if (l->builder)
        LLVMDisposeBuilder(l->builder);
    if (l->module)
        LLVMDisposeModule(l->module);
    if (l->context)
        LLVMContextDispose(l->context);
    *l = (jc_llvm){ 0 };
}
