/*
 * jit/llvm/llvm_compat.h - what differs between LLVM 19 and 22.  With llvm_compat.c the only place that knows a version.
 */
#ifndef JC_LLVM_COMPAT_H
#define JC_LLVM_COMPAT_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <stdbool.h>

#include "plan/target.h"

/* The first of a NULL-terminated list of names that this LLVM knows as an intrinsic, or 0. */
unsigned jc_compat_intrinsic(const char *const *names);
extern const char *const jc_compat_barrier[]; /* bar.sync 0 */

/* Attribute KIND of this LLVM by name, with a value; NULL when it has none. */
LLVMAttributeRef jc_compat_attribute(LLVMContextRef c, const char *kind, uint64_t value);

/* Does this LLVM generate code for T? */
bool jc_compat_generates(const jc_target *t);

/* Marks FN as a kernel of THREADS threads where attributes do not say it all: before LLVM 21 by module metadata. */
void jc_compat_nvptx_kernel(LLVMModuleRef m, LLVMValueRef fn, unsigned threads);

/* Vectors of bytes are stored byte by byte. */
extern const bool jc_compat_splits_bytes;

/* The passes to run. */
const char *jc_compat_passes(const jc_target *t);

#endif
