/*
 * kernels/family.h - the kernel families: each emits the body of one function, whose kernel is in the jc_emit.
 *
 * A family without a function here does not link: the table in backend_entry.c expands from JC_FAMILY_LIST.
 */
#ifndef JC_FAMILY_H
#define JC_FAMILY_H

#include "jit/llvm/dialect.h"
#include "plan/kernel.h"

#define JC_FAMILY_FUNCTION(id, name, sums) void jc_kernel_##name(jc_emit *e);
JC_FAMILY_LIST(JC_FAMILY_FUNCTION)
#undef JC_FAMILY_FUNCTION

#endif
