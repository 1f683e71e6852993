/*
 * kernels/dialect_sim.c - the simulator: what is an instruction on a GPU is a call of runtime/sim.h.
 *
 *   void NAME(void *const *args, struct jc_sim_thread *self)
 *
 * Every access asks for its address first, so that it can be checked.  Vectors go through memory.
 */
#include "jit/llvm/dialect.h"

static LLVMValueRef call(jc_emit *e, const char *name, LLVMTypeRef result, LLVMValueRef *args, unsigned n) {
    LLVMTypeRef params[6];
    LLVMValueRef all[6] = { e->self };
    params[0] = LLVMTypeOf(e->self);
    for (unsigned i = 0; i < n; i++) {
        all[i + 1] = args[i];
        params[i + 1] = LLVMTypeOf(args[i]);
    }
    LLVMTypeRef type = LLVMFunctionType(result, params, n + 1, false);
    LLVMValueRef fn = LLVMGetNamedFunction(e->m, name);
    if (!fn) {
        static const char nounwind[] = "nounwind";
        fn = LLVMAddFunction(e->m, name, type);
        LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(e->c, LLVMGetEnumAttributeKindForName(nounwind, sizeof nounwind - 1), 0));
    }
    return LLVMBuildCall2(e->b, type, fn, all, n + 1, "");
}

static LLVMValueRef load_arg(jc_emit *e, LLVMValueRef args, unsigned i) {
    LLVMTypeRef types[] = { [JC_KARG_PTR] = e->t.ptr, [JC_KARG_I64] = e->t.i64, [JC_KARG_F64] = e->t.f64 };
    LLVMValueRef at = LLVMBuildLoad2(e->b, e->t.ptr, jc_gep(e, e->t.ptr, args, jc_i64(e, i)), "");
    return jc_name_arg(e, i, LLVMBuildLoad2(e->b, types[e->k->args[i].kind], at, ""));
}

static void declare(jc_emit *e) {
    LLVMTypeRef params[2] = { e->t.ptr, e->t.ptr };
    e->fn = LLVMAddFunction(e->m, e->name, LLVMFunctionType(e->t.nothing, params, 2, false));
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, e->fn, "entry"));
    LLVMValueRef args = jc_name(e, LLVMGetParam(e->fn, 0), "args");
    e->self = jc_name(e, LLVMGetParam(e->fn, 1), "self");
    e->args = JC_NEWN(e->arena, LLVMValueRef, e->k->nargs);
    for (unsigned i = 0; i < e->k->nargs; i++)
        e->args[i] = load_arg(e, args, i);
}

static LLVMValueRef block(jc_emit *e) {
    return LLVMBuildTrunc(e->b, call(e, "jc_sim_block", e->t.i64, NULL, 0), e->t.i32, "block");
}

static LLVMValueRef thread(jc_emit *e) { return jc_name(e, call(e, "jc_sim_tid", e->t.i32, NULL, 0), "thread"); }
static void barrier(jc_emit *e) { call(e, "jc_sim_barrier", e->t.nothing, NULL, 0); }
static void warp_sync(jc_emit *e) { call(e, "jc_sim_warp_sync", e->t.nothing, NULL, 0); }

static LLVMValueRef shuffle_xor(jc_emit *e, LLVMValueRef v, unsigned mask) {
    LLVMValueRef args[2] = { v, jc_i32(e, mask) };
    return jc_name(e, call(e, "jc_sim_shfl_xor", e->t.i32, args, 2), "shuffled");
}

static LLVMValueRef shared(jc_emit *e, uint32_t size) {
    (void)size;
    return jc_name(e, call(e, "jc_sim_shared", e->t.ptr, NULL, 0), "shared_memory");
}

static unsigned bytes_of(LLVMTypeRef type) {
    LLVMTypeRef scalar = jc_scalar_of(type);
    LLVMTypeKind kind = LLVMGetTypeKind(scalar);
    unsigned size = kind == LLVMDoubleTypeKind ? 8 : kind == LLVMFloatTypeKind ? 4 : kind == LLVMHalfTypeKind ? 2
                    : LLVMGetIntTypeWidth(scalar) / 8;
    return size * jc_width_of(type);
}

static LLVMValueRef checked(jc_emit *e, const char *what, LLVMValueRef at, LLVMTypeRef type, unsigned align) {
    LLVMValueRef args[3] = { at, jc_i32(e, bytes_of(type)), jc_i32(e, align) };
    return jc_name(e, call(e, what, e->t.ptr, args, 3), "checked");
}

static LLVMValueRef load(jc_emit *e, unsigned arg, LLVMTypeRef type, LLVMValueRef at, unsigned align) {
    (void)arg;
    LLVMValueRef v = LLVMBuildLoad2(e->b, type, checked(e, "jc_sim_load", at, type, align), "");
    LLVMSetAlignment(v, 1);
    return v;
}

static void store(jc_emit *e, unsigned arg, LLVMValueRef v, LLVMValueRef at, unsigned align) {
    (void)arg;
    LLVMValueRef to = checked(e, "jc_sim_store", at, LLVMTypeOf(v), align);
    LLVMSetAlignment(LLVMBuildStore(e->b, v, to), 1);
}

static void cp_async(jc_emit *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef valid) {
    LLVMValueRef args[4] = { to, from, jc_i32(e, 16), valid };
    call(e, "jc_sim_cp_async", e->t.nothing, args, 4);
}

static void cp_commit(jc_emit *e) { call(e, "jc_sim_cp_commit", e->t.nothing, NULL, 0); }

static void cp_wait(jc_emit *e, unsigned pending) {
    LLVMValueRef n = jc_i32(e, pending);
    call(e, "jc_sim_cp_wait", e->t.nothing, &n, 1);
}

/* N values to a slot in memory, or back. */
static LLVMValueRef to_slot(jc_emit *e, LLVMTypeRef type, LLVMValueRef const *v, unsigned n) {
    LLVMValueRef slot = jc_alloca(e, type, n, 16, "fragment");
    for (unsigned i = 0; v && i < n; i++)
        LLVMBuildStore(e->b, v[i], jc_gep(e, type, slot, jc_i64(e, i)));
    return slot;
}

static void from_slot(jc_emit *e, LLVMTypeRef type, LLVMValueRef slot, LLVMValueRef *v, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        v[i] = LLVMBuildLoad2(e->b, type, jc_gep(e, type, slot, jc_i64(e, i)), "");
}

static void ldmatrix_x4(jc_emit *e, LLVMValueRef at, bool transposed, LLVMValueRef out[4]) {
    LLVMValueRef slot = to_slot(e, e->t.i32, NULL, 4);
    LLVMValueRef args[3] = { at, slot, jc_i32(e, transposed) };
    call(e, "jc_sim_ldmatrix_x4", e->t.nothing, args, 3);
    from_slot(e, e->t.i32, slot, out, 4);
}

static void mma_16816(jc_emit *e, bool bf16, LLVMValueRef const a[4], LLVMValueRef const b[2], LLVMValueRef c[4]) {
    LLVMValueRef sums = to_slot(e, e->t.f32, c, 4);
    LLVMValueRef args[4] = { to_slot(e, e->t.i32, a, 4), to_slot(e, e->t.i32, b, 2), sums, jc_i32(e, bf16) };
    call(e, "jc_sim_mma_16816", e->t.nothing, args, 4);
    from_slot(e, e->t.f32, sums, c, 4);
}

static void fence_async(jc_emit *e) { call(e, "jc_sim_fence_async", e->t.nothing, NULL, 0); }

static void wgmma_wait_for(jc_emit *e, unsigned pending) {
    LLVMValueRef n = jc_i32(e, pending);
    call(e, "jc_sim_wgmma_wait", e->t.nothing, &n, 1);
}

static void wgmma(jc_emit *e, const jc_wgmma *w) {
    LLVMValueRef slots = to_slot(e, e->t.ptr, w->sums, w->n / 2);
    LLVMValueRef args[4] = { w->a, w->b, slots, jc_i32(e, w->n | w->steps << 16 | (unsigned)w->bf16 << 24) };
    call(e, "jc_sim_wgmma", e->t.nothing, args, 4);
    wgmma_wait_for(e, 1);
}

static void wgmma_wait(jc_emit *e, const jc_wgmma *w) {
    (void)w;
    wgmma_wait_for(e, 0);
}

const jc_dialect_ops jc_dialect_sim = {
    .name = "sim",
    .native_f16 = true,
    .declare = declare,
    .block = block,
    .thread = thread,
    .barrier = barrier,
    .warp_sync = warp_sync,
    .shuffle_xor = shuffle_xor,
    .shared = shared,
    .load = load,
    .store = store,
    .cp_async = cp_async,
    .cp_commit = cp_commit,
    .cp_wait = cp_wait,
    .ldmatrix_x4 = ldmatrix_x4,
    .mma_16816 = mma_16816,
    .fence_async = fence_async,
    .wgmma = wgmma,
    .wgmma_wait = wgmma_wait,
};
