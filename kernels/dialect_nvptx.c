/*
 * kernels/dialect_nvptx.c - NVIDIA GPUs: NVVM intrinsics, and assembler where a plain form has none.
 *
 * No argument is marked noalias (it would let loads move where another kernel still writes, and turns them into
 * ld.global.nc); weights, which nothing writes, are loaded as invariant.
 */
#include <stdio.h>
#include <string.h>

#include "jit/llvm/llvm_compat.h"
#include "jit/llvm/dialect.h"

enum { PTX_KERNEL = 71, STATIC_SHARED = 48 * 1024 };

/* ---- the function --------------------------------------------------------------------------------------------- */

static void add_text_attribute(jc_emit *e, const char *key, const char *value) {
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(e->c, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

static void declare(jc_emit *e) {
    LLVMTypeRef *params = JC_NEWN(e->arena, LLVMTypeRef, e->k->nargs);
    LLVMTypeRef types[] = { [JC_KARG_PTR] = e->t.gptr, [JC_KARG_I64] = e->t.i64, [JC_KARG_F64] = e->t.f64 };
    for (unsigned i = 0; i < e->k->nargs; i++)
        params[i] = types[e->k->args[i].kind];
    e->fn = LLVMAddFunction(e->m, e->name, LLVMFunctionType(e->t.nothing, params, e->k->nargs, false));
    LLVMSetFunctionCallConv(e->fn, PTX_KERNEL);
    e->args = JC_NEWN(e->arena, LLVMValueRef, e->k->nargs);
    LLVMAttributeRef align = jc_compat_attribute(e->c, "align", 16);
    for (unsigned i = 0; i < e->k->nargs; i++) {
        e->args[i] = jc_name_arg(e, i, LLVMGetParam(e->fn, i));
        if (e->k->args[i].kind == JC_KARG_PTR)
            LLVMAddAttributeAtIndex(e->fn, i + 1, align);
    }
    char threads[32];
    snprintf(threads, sizeof threads, "%u,1,1", e->k->threads);
    add_text_attribute(e, "nvvm.reqntid", threads);
    jc_compat_nvptx_kernel(e->m, e->fn, e->k->threads);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, e->fn, "entry"));
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

static LLVMValueRef block(jc_emit *e) {
    return jc_name(e, jc_call_intrinsic(e, "llvm.nvvm.read.ptx.sreg.ctaid.x", NULL, 0, NULL, 0), "block");
}

static LLVMValueRef thread(jc_emit *e) {
    return jc_name(e, jc_call_intrinsic(e, "llvm.nvvm.read.ptx.sreg.tid.x", NULL, 0, NULL, 0), "thread");
}

static void barrier(jc_emit *e) {
    unsigned id = jc_compat_intrinsic(jc_compat_barrier);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->c, id, NULL, 0);
    LLVMValueRef zero = jc_i32(e, 0);
    LLVMBuildCall2(e->b, type, LLVMGetIntrinsicDeclaration(e->m, id, NULL, 0), &zero, LLVMCountParamTypes(type), "");
}

static void warp_sync(jc_emit *e) {
    LLVMValueRef all = jc_i32(e, -1);
    jc_call_intrinsic(e, "llvm.nvvm.bar.warp.sync", NULL, 0, &all, 1);
}

static LLVMValueRef shuffle_xor(jc_emit *e, LLVMValueRef v, unsigned mask) {
    LLVMValueRef args[4] = { jc_i32(e, -1), v, jc_i32(e, mask), jc_i32(e, 31) };
    return jc_name(e, jc_call_intrinsic(e, "llvm.nvvm.shfl.sync.bfly.i32", NULL, 0, args, 4), "shuffled");
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* Above 48 KiB shared memory has to be dynamic: declared without a size, given at launch. */
static LLVMValueRef shared(jc_emit *e, uint32_t size) {
    bool dynamic = size > STATIC_SHARED;
    LLVMTypeRef type = LLVMArrayType2(e->t.i8, dynamic ? 0 : size);
    LLVMValueRef g = LLVMAddGlobalInAddressSpace(e->m, type, "shared_memory", e->d->shared_space);
    LLVMSetAlignment(g, e->k->family == JC_K_WGMMA ? 1024 : 128);
    if (dynamic) {
        LLVMSetLinkage(g, LLVMExternalLinkage);
    } else {
        LLVMSetLinkage(g, LLVMInternalLinkage);
        LLVMSetInitializer(g, LLVMGetUndef(type));
    }
    return g;
}

static LLVMValueRef load(jc_emit *e, unsigned arg, LLVMTypeRef type, LLVMValueRef at, unsigned align) {
    static const char invariant[] = "invariant.load";
    LLVMValueRef v = LLVMBuildLoad2(e->b, type, at, "");
    LLVMSetAlignment(v, align);
    if (arg != JC_SHARED && e->k->args[arg].weight)
        LLVMSetMetadata(v, LLVMGetMDKindIDInContext(e->c, invariant, sizeof invariant - 1),
                        LLVMMetadataAsValue(e->c, LLVMMDNodeInContext2(e->c, NULL, 0)));
    return v;
}

/* Four bytes to a word by shifts: a bitcast would be looked through. */
static LLVMValueRef pack_bytes(jc_emit *e, LLVMValueRef v) {
    unsigned n = jc_width_of(LLVMTypeOf(v)) / 4;
    LLVMValueRef words = jc_undef(jc_vec_of(e->t.i32, n)), word = NULL;
    for (unsigned i = 0; i < 4 * n; i++) {
        LLVMValueRef x = LLVMBuildZExt(e->b, jc_lane(e, v, i), e->t.i32, "");
        x = LLVMBuildShl(e->b, x, jc_i32(e, 8 * (i % 4)), "");
        word = i % 4 ? LLVMBuildOr(e->b, word, x, "") : x;
        words = i % 4 == 3 ? jc_set_lane(e, words, i / 4, word) : words;
    }
    return words;
}

static void store(jc_emit *e, unsigned arg, LLVMValueRef v, LLVMValueRef at, unsigned align) {
    (void)arg;
    if (jc_compat_splits_bytes && jc_scalar_of(LLVMTypeOf(v)) == e->t.i8 && jc_width_of(LLVMTypeOf(v)) % 4 == 0)
        v = pack_bytes(e, v);
    LLVMSetAlignment(LLVMBuildStore(e->b, v, at), align);
}

static void cp_async(jc_emit *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef valid) {
    LLVMValueRef args[3] = { to, from, valid };
    jc_call_intrinsic(e, "llvm.nvvm.cp.async.cg.shared.global.16.s", NULL, 0, args, 3);
}

static void cp_commit(jc_emit *e) {
    jc_call_intrinsic(e, "llvm.nvvm.cp.async.commit.group", NULL, 0, NULL, 0);
}

static void cp_wait(jc_emit *e, unsigned pending) {
    LLVMValueRef n = jc_i32(e, pending);
    jc_call_intrinsic(e, "llvm.nvvm.cp.async.wait.group", NULL, 0, &n, 1);
}

/* ---- tensor cores --------------------------------------------------------------------------------------------- */

static void ldmatrix_x4(jc_emit *e, LLVMValueRef at, bool transposed, LLVMValueRef out[4]) {
    LLVMTypeRef type = LLVMTypeOf(at);
    LLVMValueRef r = jc_call_intrinsic(e, transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"
                                                     : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16", &type, 1, &at, 1);
    for (unsigned i = 0; i < 4; i++)
        out[i] = LLVMBuildExtractValue(e->b, r, i, "");
}

static void mma_16816(jc_emit *e, bool bf16, LLVMValueRef const a[4], LLVMValueRef const b[2], LLVMValueRef c[4]) {
    LLVMTypeRef pair = LLVMVectorType(e->t.f16, 2);
    LLVMValueRef args[10];
    for (unsigned i = 0; i < 6; i++) {
        LLVMValueRef v = i < 4 ? a[i] : b[i - 4];
        args[i] = bf16 ? v : LLVMBuildBitCast(e->b, v, pair, "");
    }
    memcpy(args + 6, c, 4 * sizeof *c);
    LLVMValueRef r = jc_call_intrinsic(
        e, bf16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16" : "llvm.nvvm.mma.m16n8k16.row.col.f32.f32", NULL, 0, args, 10);
    for (unsigned i = 0; i < 4; i++)
        c[i] = LLVMBuildExtractValue(e->b, r, i, "");
}

/* ---- warpgroups ----------------------------------------------------------------------------------------------- */

enum { SUMS = 128, STEPS = 4 };

static void fence_async(jc_emit *e) {
    static const char text[] = "fence.proxy.async.shared::cta;", constraints[] = "~{memory}";
    LLVMTypeRef type = LLVMFunctionType(e->t.nothing, NULL, 0, false);
    LLVMValueRef fn = LLVMGetInlineAsm(type, text, sizeof text - 1, constraints, sizeof constraints - 1, true, false, LLVMInlineAsmDialectATT, false);
    LLVMBuildCall2(e->b, type, fn, NULL, 0, "");
}

/* TEXT with the sums as its first operands, each in and out of the same register, and NMORE operands of i64 behind them. */
static void with_sums(jc_emit *e, const jc_wgmma *w, const jc_bytes *text, LLVMValueRef const *more, unsigned nmore) {
    const unsigned n = w->n / 2;
    LLVMTypeRef floats[SUMS], params[SUMS + 2 * STEPS];
    LLVMValueRef args[SUMS + 2 * STEPS];
    jc_bytes constraints = JC_BYTES(e->arena);
    for (unsigned i = 0; i < n; i++) {
        floats[i] = params[i] = e->t.f32;
        args[i] = LLVMBuildLoad2(e->b, e->t.f32, w->sums[i], "");
        jc_put_text(&constraints, "=f,");
    }
    for (unsigned i = 0; i < n; i++)
        jc_put_text(&constraints, "%u,", i);
    for (unsigned i = 0; i < nmore; i++) {
        params[n + i] = e->t.i64;
        args[n + i] = more[i];
        jc_put_text(&constraints, "l,");
    }
    jc_put_text(&constraints, "~{memory}");
    LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(e->c, floats, n, false), params, n + nmore, false);
    LLVMValueRef fn = LLVMGetInlineAsm(type, (const char *)text->at, text->n, (const char *)constraints.at, constraints.n, true, false,
                                       LLVMInlineAsmDialectATT, false);
    LLVMValueRef r = LLVMBuildCall2(e->b, type, fn, args, n + nmore, "");
    LLVMAddCallSiteAttribute(r, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, jc_compat_attribute(e->c, "convergent", 0));
    for (unsigned i = 0; i < n; i++)
        LLVMBuildStore(e->b, LLVMBuildExtractValue(e->b, r, i, ""), w->sums[i]);
}

/* Shared memory as wgmma is told of it (PTX ISA, "Matrix descriptor"): rows of 128 bytes, eight of them a swizzled atom of 1024. */
static LLVMValueRef descriptor(jc_emit *e, LLVMValueRef at) {
    LLVMValueRef byte = LLVMBuildAnd(e->b, LLVMBuildPtrToInt(e->b, at, e->t.i64, ""), jc_i64(e, 0x3ffff), "");
    const int64_t layout = INT64_C(1) << 62 | INT64_C(64) << 32 | INT64_C(1) << 16;
    return LLVMBuildOr(e->b, LLVMBuildLShr(e->b, byte, jc_i64(e, 4), ""), jc_i64(e, layout), "");
}

/* One call for the whole group, so that nothing comes between the sums of its products. */
static void wgmma(jc_emit *e, const jc_wgmma *w) {
    const unsigned n = w->n / 2;
    const char *dtype = w->bf16 ? "bf16" : "f16";
    LLVMValueRef a = descriptor(e, w->a), b = descriptor(e, w->b), more[2 * STEPS];
    jc_bytes text = JC_BYTES(e->arena);
    jc_put_text(&text, "{\n.reg .pred adds;\nsetp.eq.b64 adds, $%u, $%u;\nwgmma.fence.sync.aligned;\n", 2 * n, 2 * n);
    for (unsigned s = 0; s < w->steps; s++) {
        more[2 * s] = LLVMBuildAdd(e->b, a, jc_i64(e, 2 * s), ""); /* 16 of k are 32 bytes */
        more[2 * s + 1] = LLVMBuildAdd(e->b, b, jc_i64(e, 2 * s), "");
        jc_put_text(&text, "wgmma.mma_async.sync.aligned.m64n%uk16.f32.%s.%s {", w->n, dtype, dtype);
        for (unsigned i = 0; i < n; i++)
            jc_put_text(&text, "%s$%u", i ? "," : "", i);
        jc_put_text(&text, "}, $%u, $%u, adds, 1, 1, 0, 0;\n", 2 * n + 2 * s, 2 * n + 2 * s + 1);
    }
    jc_put_text(&text, "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 1;\n}");
    with_sums(e, w, &text, more, 2 * w->steps);
}

static void wgmma_wait(jc_emit *e, const jc_wgmma *w) {
    jc_bytes text = JC_BYTES(e->arena);
    jc_put_text(&text, "wgmma.wait_group.sync.aligned 0;");
    with_sums(e, w, &text, NULL, 0);
}

/* ---- approximations of f32 ------------------------------------------------------------------------------------ */

/* One instruction without side effects. */
static LLVMValueRef instruction(jc_emit *e, const char *text, LLVMValueRef *args, unsigned n) {
    LLVMTypeRef params[2] = { e->t.f32, e->t.f32 }, type = LLVMFunctionType(e->t.f32, params, n, false);
    const char *constraints = n == 1 ? "=f,f" : "=f,f,f";
    LLVMValueRef fn = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), false, false,
                                       LLVMInlineAsmDialectATT, false);
    return LLVMBuildCall2(e->b, type, fn, args, n, "");
}

#define APPROXIMATE(name, n, text)                                                                 \
    static LLVMValueRef name##_lane(jc_emit *e, LLVMValueRef *args) { return instruction(e, text, args, n); }
APPROXIMATE(exp2, 1, "ex2.approx.f32 $0, $1;")
APPROXIMATE(exp2_normal, 1, "ex2.approx.ftz.f32 $0, $1;")
APPROXIMATE(reciprocal, 1, "rcp.approx.f32 $0, $1;")
APPROXIMATE(rsqrt, 1, "rsqrt.approx.f32 $0, $1;")
APPROXIMATE(sqrt, 1, "sqrt.approx.f32 $0, $1;")
APPROXIMATE(divide, 2, "div.full.f32 $0, $1, $2;")

static LLVMValueRef fast_exp2(jc_emit *e, LLVMValueRef x) { return jc_per_lane(e, exp2_lane, &x, 1); }
static LLVMValueRef fast_exp2_normal(jc_emit *e, LLVMValueRef x) { return jc_per_lane(e, exp2_normal_lane, &x, 1); }
static LLVMValueRef fast_reciprocal(jc_emit *e, LLVMValueRef x) { return jc_per_lane(e, reciprocal_lane, &x, 1); }
static LLVMValueRef fast_rsqrt(jc_emit *e, LLVMValueRef x) { return jc_per_lane(e, rsqrt_lane, &x, 1); }
static LLVMValueRef fast_sqrt(jc_emit *e, LLVMValueRef x) { return jc_per_lane(e, sqrt_lane, &x, 1); }
static LLVMValueRef fast_divide(jc_emit *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef args[2] = { a, b };
    return jc_per_lane(e, divide_lane, args, 2);
}

const jc_dialect_ops jc_dialect_nvptx = {
    .name = "nvptx",
    .global_space = 1,
    .shared_space = 3,
    .native_bf16 = true,
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
    .exp2 = fast_exp2,
    .exp2_normal = fast_exp2_normal,
    .divide = fast_divide,
    .reciprocal = fast_reciprocal,
    .rsqrt = fast_rsqrt,
    .sqrt = fast_sqrt,
};
