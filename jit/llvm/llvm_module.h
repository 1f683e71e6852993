/*
 * jit/llvm/llvm_module.h - the LLVM side of one compilation: context, module, target machine, passes, output.
 */
#ifndef JC_LLVM_MODULE_H
#define JC_LLVM_MODULE_H

#include "jit/llvm/emit.h"
#include <llvm-c/TargetMachine.h>

typedef struct jc_llvm {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine;
    jc_target target;    /* of the machine */
    LLVMMemoryBufferRef output;
    char *ir;            /* LLVM's */
    char message[512];   /* of the first error that LLVM reported, "" when there is none */
} jc_llvm;

/* Zero L first; close in any case.  NAMED: values keep their names. */
jitc_status jc_llvm_open(jc_llvm *l, const jc_target *target, bool named, jc_error *err);
/* Verifies, optimises and generates code into l->output.  NAMES is where names are made for the module's text, which is then kept in
   l->ir; NULL: nobody wants it. */
jitc_status jc_llvm_generate(jc_llvm *l, const jc_target *target, const char *name, jc_arena *names, jc_error *err);
void jc_llvm_close(jc_llvm *l);

#endif
