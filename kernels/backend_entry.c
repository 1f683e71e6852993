/*
 * kernels/backend_entry.c - the one entry of libjitc-llvm: kernel bytes to code.
 *
 * A compilation has an arena and an LLVM context of its own; both are gone when it ends, however it ends.  Memory that
 * runs out, in our arena or the caller's, jumps to the guards below.
 */
#include "config.h"

#include "jit/llvm/llvm_module.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/codegen_id.h"
#include "jit/llvm/backend.h"
#include "jit/llvm/llvm_compat.h"
#include "kernels/family.h"

typedef struct job {
    const uint8_t *kernel;
    size_t nkernel;
    const char *name;
    const jc_target *target;
    jc_arena *arena, *scratch; /* for results; for this compilation */
    const uint8_t **code;
    size_t *ncode;
    char **ir;
    jc_error *err;
    jc_llvm l;
} job;

static void fill_types(jc_emit *e) {
    LLVMContextRef c = e->c;
    e->t = (jc_emit_types){
        .nothing = LLVMVoidTypeInContext(c), .i1 = LLVMInt1TypeInContext(c), .i8 = LLVMInt8TypeInContext(c),
        .i16 = LLVMInt16TypeInContext(c), .i32 = LLVMInt32TypeInContext(c), .i64 = LLVMInt64TypeInContext(c),
        .f16 = LLVMHalfTypeInContext(c), .bf16 = LLVMBFloatTypeInContext(c), .f32 = LLVMFloatTypeInContext(c),
        .f64 = LLVMDoubleTypeInContext(c), .ptr = LLVMPointerTypeInContext(c, 0),
        .gptr = LLVMPointerTypeInContext(c, e->d->global_space), .sptr = LLVMPointerTypeInContext(c, e->d->shared_space),
    };
}

static jitc_status emit(job *j, const jc_kernel *k) {
    static const jc_dialect_ops *const dialects[] = {
        [JC_DIALECT_HOST] = &jc_dialect_host, [JC_DIALECT_NVPTX] = &jc_dialect_nvptx, [JC_DIALECT_SIM] = &jc_dialect_sim,
    };
    static void (*const families[JC_FAMILY_COUNT])(jc_emit *) = {
#define FAMILY(id, name, sums) [JC_K_##id] = jc_kernel_##name,
        JC_FAMILY_LIST(FAMILY)
#undef FAMILY
    };
    jc_emit *e = JC_NEW(j->scratch, jc_emit);
    *e = (jc_emit){ .arena = j->scratch, .err = j->err, .k = k, .target = j->target, .name = j->name,
                    .d = dialects[j->target->dialect], .c = j->l.context, .m = j->l.module, .b = j->l.builder, .names = j->ir ? jc_map_new(j->scratch) : NULL };
    const jc_target_facts *facts = jc_target_facts_of(j->target);
    e->host_width = facts->vector;
    e->soft_f16 = !facts->f16;
    fill_types(e);
    e->d->declare(e);
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            jc_compat_attribute(e->c, "nounwind", 0));
    families[k->family](e);
    LLVMBuildRetVoid(e->b);
    if (e->names)
        jc_name_rest(e->m, e->arena);
    return e->status;
}

static jitc_status compile_guarded(job *j) {
    jc_kernel *k = NULL;
    JC_TRY(jc_kernel_decode(j->kernel, j->nkernel, j->scratch, &k, j->err));
    JC_TRY(jc_llvm_open(&j->l, j->target, j->ir != NULL, j->err));
    JC_TRY(emit(j, k));
    JC_TRY(jc_llvm_generate(&j->l, j->target, j->name, j->ir ? j->scratch : NULL, j->err));
    size_t n = LLVMGetBufferSize(j->l.output);
    uint8_t *code = jc_arena_alloc(j->arena, n + 1); /* zeroed: text is terminated */
    memcpy(code, LLVMGetBufferStart(j->l.output), n);
    if (j->ir)
        *j->ir = jc_arena_strdup(j->arena, j->l.ir);
    *j->code = code;
    *j->ncode = n;
    return JITC_OK;
}

static jitc_status compile(const uint8_t *kernel, size_t nkernel, const char *name, const jc_target *target,
                           jc_arena *arena, const uint8_t **code, size_t *ncode, char **ir, jc_error *err) {
    jc_arena *scratch = jc_arena_new(jc_arena_allocator(arena));
    if (!scratch)
        return jc_fail(err, JITC_E_NOMEM, "There is no memory for compiling kernel %s.", name);
    job *j = NULL;
    volatile jitc_status status = JITC_E_NOMEM;
    job *volatile made = NULL;
    jc_guard outer, inner;
    if (JC_GUARD(arena, &outer))
        goto out;
    if (JC_GUARD(scratch, &inner))
        goto out;
    j = JC_NEW(scratch, job);
    made = j;
    *j = (job){ .kernel = kernel, .nkernel = nkernel, .name = name, .target = target, .arena = arena, .scratch = scratch,
                .code = code, .ncode = ncode, .ir = ir, .err = err };
    status = compile_guarded(j);
out:
    if (status == JITC_E_NOMEM)
        jc_fail(err, JITC_E_NOMEM, "There is no memory for compiling kernel %s.", name);
    if (made)
        jc_llvm_close(&made->l);
    jc_guard_end(scratch, &inner);
    jc_guard_end(arena, &outer);
    jc_arena_free(scratch);
    return status;
}

JITC_API const jc_backend *jitc_llvm_backend(void);

/* The LLVM that is there, which need not be that of the headers where it is a shared library. */
static char llvm_version[32];

static void ask_llvm(void) {
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    snprintf(llvm_version, sizeof llvm_version, "%u.%u.%u", major, minor, patch);
}

const jc_backend *jitc_llvm_backend(void) {
    static const jc_backend table = {
        .abi = JC_BACKEND_ABI, .codegen_id = JC_CODEGEN_ID, .llvm_version = llvm_version, .compile = compile,
    };
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask_llvm);
    return &table;
}
