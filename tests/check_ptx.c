/*
 * tests/check_ptx.c - the PTX of kernels by the lines that matter, and that an assembler takes it.
 *
 * Without an assembler on the machine the second part says so and is left out.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/debug.h"
#include "jit/asm/assemble.h"
#include "jit/llvm/backend.h"
#include "jit/sched/schedule.h"
#include "tests/kernel_help.h"
#include "tests/passes_help.h"

#if defined __SANITIZE_ADDRESS__
/* NVIDIA's assembler keeps memory of its own; tests/lsan.supp names only LLVM. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libnvJitLink\n";
}
#endif

/* sm_100a where this LLVM can. */
static bool can_target(const char *target) {
    return strcmp(target, "sm_100a") != 0 || atoi(kernel_backend()->llvm_version) >= 20;
}

/* The one with warpgroups' tensor cores. */
#define HOPPER "sm_90a"
static const char *const archs[] = { "sm_80", "sm_90a", "sm_100a" };
enum { NARCHS = sizeof archs / sizeof *archs };

static double spent[JC_FAMILY_COUNT];
static unsigned assembled[JC_FAMILY_COUNT];

static void assembles(kb *b, const char *target, const char *ptx, size_t n) {
    jc_error err = JC_ERROR_INIT;
    jc_target t;
    jc_assembler a;
    const uint8_t *cubin;
    size_t size;
    if (jc_assembler_find(b->arena, &a, &err) != JITC_OK) {
        static bool said; /* once in a test */
        if (!said)
            fprintf(stderr, "SKIP: %s was not assembled: %s\n", target, err.message);
        said = true;
        return;
    }
    ck_assert_int_eq(jc_target_parse(target, &t, &err), JITC_OK);
    double start = jc_now_ms();
    ck_assert_msg(jc_assemble(ptx, n, &t, b->arena, &cubin, &size, &err) == JITC_OK, "%s", err.message);
    spent[b->k.family] += jc_now_ms() - start;
    assembled[b->k.family]++;
    ck_assert_mem_eq(cubin, "\177ELF", 4);
}

/* ---- kernels -------------------------------------------------------------------------------------------------- */

/* y[i, j] = x[i, j + shift] * 2 + 0.3, a run of `vec` elements a thread. */
static kb *copy_kernel(jc_dtype dtype, unsigned vec, int64_t shift) {
    kb *b = kb_new(JC_K_POINT, 2);
    const jc_expr *n = kb_int(b, 1, JC_SYM_MAX, 1);
    kb_extent_of(b, 0, n, JC_SYM_MAX);
    kb_extent(b, 1, 1024);
    unsigned x = kb_ptr(b, dtype, false), y = kb_ptr(b, dtype, true);
    const int64_t row[2] = { 1024, 1 };
    uint32_t v = kb_load(b, x, kb_add(b, kb_strided(b, row), kb_const(b, shift)));
    v = kb_op(b, JC_T_ADD, kb_op(b, JC_T_MUL, v, kb_f(b, 2), 0), kb_f(b, 0.3), 0);
    kb_store(b, y, kb_strided(b, row), v);
    b->k.threads = 256;
    b->k.vec = (uint16_t)vec;
    return b;
}

static kb *norm_kernel(void) {
    kb *b = kb_new(JC_K_ROW, 2);
    const jc_expr *n = kb_int(b, 1, JC_SYM_MAX, 1);
    kb_extent_of(b, 0, n, JC_SYM_MAX);
    kb_extent(b, 1, 4096);
    unsigned x = kb_ptr(b, JC_BF16, false), w = kb_ptr(b, JC_BF16, false), y = kb_ptr(b, JC_BF16, true);
    b->args.at[w].weight = true;
    const int64_t row[2] = { 4096, 1 };
    uint32_t v = kb_load(b, x, kb_strided(b, row));
    uint32_t sum = kb_op(b, JC_T_RED_SUM, kb_op(b, JC_T_PRODUCT, v, v, 0), 0, 0);
    uint32_t inv = kb_op(b, JC_T_RSQRT, sum, 0, 0);
    kb_store(b, y, kb_strided(b, row), kb_op(b, JC_T_MUL, kb_op(b, JC_T_MUL, v, inv, 0), kb_load(b, w, kb_loop(b, 1)), 0));
    b->k.threads = b->k.lanes = 256;
    b->k.vec = 8;
    b->k.steps = 2;
    return b;
}

static kb *product_kernel(uint8_t family, jc_dtype dtype) {
    kb *b = kb_new(family, 2);
    const jc_expr *m = kb_int(b, 1, JC_SYM_MAX, 1), *n = kb_int(b, 8, JC_SYM_MAX, 8), *k = kb_int(b, 8, JC_SYM_MAX, 8);
    kb_extent_of(b, 0, m, JC_SYM_MAX);
    kb_extent_of(b, 1, n, JC_SYM_MAX);
    b->k.k = k;
    unsigned a = kb_ptr(b, dtype, false), w = kb_ptr(b, dtype, false), c = kb_ptr(b, dtype, true);
    b->k.a = (jc_operand){ (uint16_t)a, kb_mul(b, kb_loop(b, 0), k), kb_const(b, 1) };
    b->k.b = (jc_operand){ (uint16_t)w, kb_mul(b, kb_loop(b, 1), k), kb_const(b, 1) };
    kb_store(b, c, kb_add(b, kb_mul(b, kb_loop(b, 0), n), kb_loop(b, 1)), kb_acc(b, JC_CT_F32));
    if (family == JC_K_DOT) {
        b->k.threads = 128;
        b->k.lanes = 32;
        b->k.unroll = 1;
        b->k.vec = 8;
        b->k.tile_m = 1;
        b->k.tile_n = 4;
    } else {
        b->k.threads = 128;
        b->k.tile_m = b->k.tile_n = 64;
        b->k.tile_k = 32;
        b->k.stages = 3;
        b->k.warps_m = b->k.warps_n = 2;
    }
    return b;
}

static kb *k_bf16(void) { return copy_kernel(JC_BF16, 8, 0); }
static kb *k_f16(void) { return copy_kernel(JC_F16, 8, 0); }
static kb *k_f32(void) { return copy_kernel(JC_F32, 4, 0); }
static kb *k_fp8(void) { return copy_kernel(JC_F8E4M3FN, 16, 0); }
static kb *k_half(void) { return copy_kernel(JC_BF16, 8, 4); }
static kb *k_odd(void) { return copy_kernel(JC_F32, 4, 1); }
static kb *k_norm(void) { return norm_kernel(); }
static kb *k_dot(void) { return product_kernel(JC_K_DOT, JC_BF16); }
static kb *k_mma(void) { return product_kernel(JC_K_MMA, JC_BF16); }
/* One of 64 columns, so that the text of its PTX is short. */
static kb *k_wgmma(void) {
    kb *b = product_kernel(JC_K_WGMMA, JC_BF16);
    b->k.tile_k = 64;
    b->k.warps_m = 4;
    b->k.warps_n = 1;
    return b;
}

static kb *k_mma_f16(void) { return product_kernel(JC_K_MMA, JC_F16); }

/* Causal attention of heads of 64, [heads, M, 64]: each two share keys. */
static kb *k_flash(void) {
    kb *b = kb_new(JC_K_FLASH, 3);
    const jc_expr *m = kb_int(b, 1, JC_SYM_MAX, 1), *s = kb_int(b, 1, JC_SYM_MAX, 1), *zero = kb_const(b, 0), *one = kb_const(b, 1);
    kb_extent(b, 0, 8);
    kb_extent_of(b, 1, m, JC_SYM_MAX);
    kb_extent(b, 2, 64);
    b->k.k = kb_const(b, 64);
    unsigned q = kb_ptr(b, JC_BF16, false), k = kb_ptr(b, JC_BF16, false), o = kb_ptr(b, JC_BF16, true);
    const jc_expr *row = kb_const(b, 64), *head = kb_mul(b, kb_loop(b, 0), kb_mul(b, m, row));
    b->k.attention = (jc_attention){ .q = { (uint16_t)q, head, row, one }, .k = { (uint16_t)k, zero, row, one }, .v = { (uint16_t)k, zero, row, one },
                                     .causal = true, .group = 2, .parts = 1, .scale = kb_f(b, 0.125), .keys = s };
    kb_store(b, o, kb_add(b, kb_add(b, head, kb_mul(b, kb_loop(b, 1), row)), kb_loop(b, 2)), kb_acc(b, JC_CT_F32));
    b->k.threads = 128;
    b->k.vec = 8;
    b->k.tile_m = b->k.tile_k = 64;
    b->k.warps_m = 4;
    return b;
}

/* y[i] = x[i * stride], of a stride up to MOST. */
static kb *strided_kernel(int64_t most) {
    kb *b = kb_new(JC_K_POINT, 1);
    const jc_expr *stride = kb_int(b, 1, most, 1);
    kb_extent(b, 0, 1024);
    unsigned x = kb_ptr(b, JC_F32, false), y = kb_ptr(b, JC_F32, true);
    kb_store(b, y, kb_loop(b, 0), kb_load(b, x, kb_mul(b, kb_loop(b, 0), stride)));
    b->k.threads = 256;
    return b;
}

/* y[i] = x[i] < 1 ? x[i] : z[i], 8 elements a thread: whatever the dtype, bits are moved. */
static kb *moving_kernel(jc_dtype dtype) {
    kb *b = kb_new(JC_K_POINT, 1);
    kb_extent(b, 0, 4096);
    unsigned x = kb_ptr(b, dtype, false), z = kb_ptr(b, dtype, false), y = kb_ptr(b, dtype, true);
    uint32_t v = kb_load(b, x, kb_loop(b, 0)), w = kb_load(b, z, kb_loop(b, 0));
    uint32_t small = kb_op(b, JC_T_LT, v, kb_f(b, 1), 0);
    kb_store(b, y, kb_loop(b, 0), kb_op(b, JC_T_SELECT, small, v, w));
    b->k.threads = 256;
    b->k.vec = 8;
    return b;
}

static kb *k_move_bf16(void) { return moving_kernel(JC_BF16); }
static kb *k_move_f16(void) { return moving_kernel(JC_F16); }
static kb *k_move_e5m2(void) { return moving_kernel(JC_F8E5M2); }
static kb *k_move_e4m3(void) { return moving_kernel(JC_F8E4M3FN); }
static kb *k_stride20(void) { return strided_kernel(1 << 20); }
static kb *k_stride64(void) { return strided_kernel(INT64_MAX); }

static kb *k_large(void) {
    kb *b = product_kernel(JC_K_MMA, JC_BF16);
    b->k.tile_m = b->k.tile_n = 128;
    b->k.tile_k = 64;
    return b;
}

/* What is to be in the PTX, or with a leading "!" not. */
static const struct row {
    const char *name;
    kb *(*make)(void);
    const char *lines[8];
} rows[] = {
    { "bf16", k_bf16, { "ld.global.v4.b32", "st.global.v4.b32", ".reqntid 256", ".visible .entry kernel", "cvt.rn.bf16" } },
    { "f16", k_f16, { "ld.global.v4.b32", "st.global.v4.b32" } },
    { "f32", k_f32, { "ld.global.v4.b32", "st.global.v4.b32" } },
    { "fp8", k_fp8, { "ld.global.v4.b32", "st.global.v4.b32" } },
    { "half aligned", k_half, { "!ld.global.v4.b32", "!ld.global.b16", "st.global.v4.b32" } },
    { "not aligned", k_odd, { "!ld.global.v", "st.global.v4.b32" } },
    { "norm", k_norm, { "ld.global.v4.b32", "ld.global.nc.v4.b32", "shfl.sync.bfly", "bar.sync", "rsqrt.approx.f32",
                        ".shared .align 128 .b8 shared_memory[64]", "fma.rn.f32" } },
    { "dot", k_dot, { "ld.global.v4.b32", "fma.rn.f32", "shfl.sync.bfly", "!ld.global.nc" } },
    { "mma", k_mma, { "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cp.async.cg.shared.global", "cp.async.wait_group",
                      "ldmatrix.sync.aligned.m8n8.x4.shared.b16", "st.global.v4.b32", "shared_memory[24576]" } },
    { "mma of f16", k_mma_f16, { "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32" } },
    { "mma with dynamic shared memory", k_large, { ".extern .shared" } },
    { "attention", k_flash, { "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16",
                              "cp.async.cg.shared.global", "ex2.approx.ftz.f32", "st.global.v4.b32", "shared_memory[24576]", "shfl.sync.bfly" } },
    { "moved bf16", k_move_bf16, { "selp.b16", "!cvt.rn.bf16" } },
    { "moved f16", k_move_f16, { "selp.b16", "!cvt.rn.f16" } },
    { "moved f8e5m2", k_move_e5m2, { "setp.lt.f32", "!add.rn.f32", "!add.f32" } }, /* the magic number of a subnormal's rounding */
    { "moved f8e4m3fn", k_move_e4m3, { "setp.lt.f32", "!add.rn.f32", "!add.f32" } },
    { "product of 30 bits", k_stride20, { "mul.lo.s32", "!mul.lo.s64", "!mad.lo.s64" } },
    { "stride of 64 bits", k_stride64, { "mul.lo.s64", "!ld.param.b32", "!ld.param.s32", "!ld.param.u32" } },
};
enum { NROWS = sizeof rows / sizeof *rows };

/* 16 bytes are spelt in several ways. */
static unsigned count_line(const char *ptx, const char *line) {
    static const char *const spellings[] = { "v4.b32", "v4.f32", "v4.u32", "v2.b64" };
    const char *at = strstr(line, "v4.b32");
    unsigned n = 0;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        char other[128];
        snprintf(other, sizeof other, "%.*s%s", (int)(at ? at - line : 0), line, spellings[i]);
        n += at ? count_text(ptx, other) : 0;
    }
    return at ? n : count_text(ptx, line);
}

START_TEST(test_lines) {
    const struct row *r = &rows[_i / NARCHS];
    const char *target = archs[_i % NARCHS];
    size_t n;
    if (!can_target(target))
        return;
    kb *b = r->make();
    const char *ptx = (const char *)kb_compile(b, target, &n, NULL);
    ck_assert_uint_eq(strlen(ptx), n);
    for (unsigned i = 0; i < 8 && r->lines[i]; i++) {
        bool absent = r->lines[i][0] == '!';
        ck_assert_msg((count_line(ptx, r->lines[i] + absent) == 0) == absent, "%s for %s: '%s' is %s the PTX:\n%.3000s", r->name, target,
                      r->lines[i] + absent, absent ? "in" : "not in", ptx);
    }
    ck_assert_msg(!strstr(ptx, ".local"), "%s for %s uses local memory:\n%.3000s", r->name, target, ptx);
    assembles(b, target, ptx, n);
    kb_free(b);
}
END_TEST

/* Products of a warpgroup: one group in flight, sums that stay where they are (an assembler's advisory about them is an error), and
   refused for a GPU that has none. */
START_TEST(test_warpgroups) {
    static const char *const lines[] = { "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16", "wgmma.fence.sync.aligned", "wgmma.wait_group.sync.aligned 1",
                                         "wgmma.wait_group.sync.aligned 0", "fence.proxy.async.shared::cta", "cp.async.cg.shared.global",
                                         ".align 1024", "st.global.v4.b32" };
    jc_error err = JC_ERROR_INIT;
    jc_target other;
    const uint8_t *code;
    size_t n;
    kb *b = k_wgmma();
    const char *ptx = (const char *)kb_compile(b, HOPPER, &n, NULL);
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(count_line(ptx, lines[i]) > 0, "'%s' is not in the PTX:\n%.3000s", lines[i], ptx);
    ck_assert_uint_eq(count_text(ptx, "wgmma.mma_async"), 4);
    assembles(b, HOPPER, ptx, n);
    jc_bytes bytes = JC_BYTES(b->arena);
    jc_kernel_encode(&b->k, &bytes);
    ck_assert_int_eq(jc_target_parse("sm_90", &other, &err), JITC_OK);
    ck_assert_int_eq(kernel_backend()->compile(bytes.at, bytes.n, "kernel", &other, b->arena, &code, &n, NULL, &err), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, "warpgroups share") != NULL, "%s", err.message);
    kb_free(b);
}
END_TEST

/* An instruction of every kind, in f32, f64 and i64, can be selected and assembled. */
START_TEST(test_all_instructions) {
    const char *target = archs[_i % NARCHS];
    jc_dtype dtype = _i / NARCHS == 0 ? JC_F32 : _i / NARCHS == 1 ? JC_F64 : JC_I64;
    size_t n;
    if (!can_target(target))
        return;
    kb *b = kb_new(JC_K_POINT, 1);
    kb_extent(b, 0, 1 << 20);
    unsigned x = kb_ptr(b, dtype, false), y = kb_ptr(b, dtype, false), z = kb_ptr(b, dtype, true);
    uint32_t p = kb_load(b, x, kb_loop(b, 0)), q = kb_load(b, y, kb_loop(b, 0)), v = p;
    for (jc_tape_op op = JC_T_NEG; op <= JC_T_MAXIMUM; op++) {
        bool bits = op == JC_T_NOT, real = (op >= JC_T_EXP && op <= JC_T_SIGNBIT) || (op >= JC_T_POW && op <= JC_T_HYPOT);
        real = real || op == JC_T_PRODUCT || op == JC_T_FMA;
        if (dtype == JC_I64 ? real : bits)
            continue;
        uint32_t w = kb_op(b, op, v, q, p);
        v = op == JC_T_SIGNBIT ? kb_op(b, JC_T_SELECT, w, q, v) : w;
    }
    for (jc_tape_op op = JC_T_AND; op <= JC_T_SHR && dtype == JC_I64; op++)
        v = kb_op(b, op, v, q, 0);
    for (jc_tape_op op = JC_T_EQ; op <= JC_T_LE; op++)
        v = kb_op(b, JC_T_SELECT, kb_op(b, op, v, p, 0), q, v);
    jc_ct other = dtype == JC_I64 ? JC_CT_F32 : JC_CT_I64, own = jc_compute_type(dtype);
    v = kb_op(b, JC_T_ADD, kb_convert(b, own, kb_convert(b, other, v)), kb_convert(b, own, kb_convert(b, JC_CT_B1, p)), 0);
    v = kb_round(b, dtype == JC_I64 ? JC_U8 : JC_F8E5M2, kb_round(b, dtype == JC_I64 ? JC_I16 : JC_F16, v));
    kb_store(b, z, kb_loop(b, 0), v);
    b->k.threads = 128;
    b->k.vec = 2;
    const char *ptx = (const char *)kb_compile(b, target, &n, NULL);
    assembles(b, target, ptx, n);
    kb_free(b);
}
END_TEST

/* An architecture that this LLVM lacks is refused in words. */
START_TEST(test_too_new) {
    jc_error err = JC_ERROR_INIT;
    jc_target t;
    const uint8_t *code;
    size_t n;
    if (can_target("sm_100a"))
        return; /* nothing is too new for this LLVM */
    kb *b = k_f32();
    jc_bytes bytes = JC_BYTES(b->arena);
    kb_finish(b, &bytes);
    ck_assert_int_eq(jc_target_parse("sm_100a", &t, &err), JITC_OK);
    ck_assert_int_eq(kernel_backend()->compile(bytes.at, bytes.n, "kernel", &t, b->arena, &code, &n, NULL, &err),
                     JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, "LLVM 20"), "%s", err.message);
    kb_free(b);
}
END_TEST

/* Damaged bytes are refused, whatever is damaged. */
START_TEST(test_damaged) {
    jc_target t;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_target_parse("sm_90a", &t, &err), JITC_OK);
    kb *b = norm_kernel();
    jc_bytes bytes = JC_BYTES(b->arena);
    kb_finish(b, &bytes);
    for (size_t n = 0; n < bytes.n; n += 7) {
        jc_error why = JC_ERROR_INIT;
        const uint8_t *code;
        size_t size;
        ck_assert_int_eq(kernel_backend()->compile(bytes.at, n, "kernel", &t, b->arena, &code, &size, NULL, &why), JITC_E_INPUT);
    }
    kb_free(b);
}
END_TEST

static void *alloc_until(void *user, size_t size) {
    int *left = user;
    return (*left)-- > 0 ? malloc(size) : NULL;
}

static void free_block(void *user, void *block, size_t size) {
    (void)user, (void)size;
    free(block);
}

/* Memory that runs out at each allocation in turn is an error, and nothing is left behind. */
START_TEST(test_out_of_memory) {
    jc_target t;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_target_parse(_i ? "host" : "sm_90a", &t, &err), JITC_OK);
    kb *b = _i ? k_f32() : k_mma();
    b->k.threads = _i ? 1 : b->k.threads;
    jc_bytes bytes = JC_BYTES(b->arena);
    kb_finish(b, &bytes);
    jitc_status status = JITC_E_NOMEM;
    int n;
    for (n = 1; n < 200 && status == JITC_E_NOMEM; n++) {
        int left = n;
        jc_alloc alloc = { alloc_until, free_block, &left };
        jc_error why = JC_ERROR_INIT;
        const uint8_t *code;
        char *ir;
        size_t size;
        jc_arena *arena = jc_arena_new(&alloc);
        if (!arena)
            continue;
        status = kernel_backend()->compile(bytes.at, bytes.n, "kernel", &t, arena, &code, &size, &ir, &why);
        ck_assert_msg(status == JITC_OK || status == JITC_E_NOMEM, "%s", why.message);
        ck_assert_int_eq(why.status, status);
        jc_arena_free(arena);
    }
    ck_assert_int_eq(status, JITC_OK);
    ck_assert_int_gt(n, 3);
    kb_free(b);
}
END_TEST

/* What the kernels of a Llama block cost in instructions, all of them and multiplications and divisions of 64 bits: sizes that are
   proven to fit stay in 32. */
enum { LLAMA_WIDE = 29, LLAMA_ALL = 1858, LLAMA_LLVM = 22 };

static void count_instructions(const char *ptx, unsigned *all, unsigned *wide) {
    static const char *const slow[] = { "mul.", "mad.", "div.", "rem." };
    for (const char *p = ptx, *end; *p; p = end + (*end == '\n')) {
        end = p + strcspn(p, "\n");
        p += strspn(p, " \t");
        if (*p == '@')
            p += strcspn(p, " \t"), p += strspn(p, " \t");
        if (end == p || end[-1] != ';' || !((*p >= 'a' && *p <= 'z') || *p == '%'))
            continue;
        ++*all;
        size_t word = strcspn(p, " \t");
        bool is_wide = word > 3 && (memcmp(p + word - 3, "s64", 3) == 0 || memcmp(p + word - 3, "u64", 3) == 0);
        for (size_t i = 0; i < 4; i++)
            *wide += is_wide && strncmp(p, slow[i], 4) == 0;
    }
}

START_TEST(test_llama_block) {
    jc_error err = JC_ERROR_INIT;
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g, *class_;
    jc_schedule_options o = { 0 };
    unsigned all = 0, wide = 0;
    if (!graphs_there("the Llama block"))
        return;
    g = cut_file(arena, "llama_block", "small.py");
    ck_assert_int_eq(jc_target_parse("sm_90a", &o.target, &err), JITC_OK);
    o.clamp = jc_target_is_gpu(&o.target);
    for (size_t i = 0; i < g->pieces.n; i++) {
        jc_canon canon;
        jc_schedule s;
        ck_assert_int_eq(jc_canonicalise(g->pieces.at[i], 0, arena, &canon, &err), JITC_OK);
        ck_assert_int_eq(jc_canon_decode(canon.bytes, canon.nbytes, arena, &class_, &err), JITC_OK);
        ck_assert_msg(jc_schedule_class(class_->root, &o, arena, &s, &err) == JITC_OK, "%s", err.message);
        for (uint32_t k = 0; k < s.nkernels; k++) {
            jc_bytes bytes = JC_BYTES(arena);
            const uint8_t *code;
            size_t size;
            jc_kernel_encode(s.kernels[k], &bytes);
            ck_assert_msg(kernel_backend()->compile(bytes.at, bytes.n, "kernel", &o.target, arena, &code, &size, NULL, &err) == JITC_OK,
                          "%s", err.message);
            count_instructions(jc_arena_strndup(arena, (const char *)code, size), &all, &wide);
        }
    }
    ck_assert_msg(wide <= LLAMA_WIDE, "%u multiplications and divisions of 64 bits; %d were enough", wide, LLAMA_WIDE);
    if (atoi(kernel_backend()->llvm_version) == LLAMA_LLVM)
        ck_assert_msg(all <= LLAMA_ALL, "%u instructions; %d were enough", all, LLAMA_ALL);
    ck_assert_uint_gt(all, LLAMA_ALL / 2);
    jc_arena_free(arena);
}
END_TEST

START_TEST(test_times) {
    kb_print_times();
    for (unsigned f = 0; f < JC_FAMILY_COUNT; f++)
        if (assembled[f])
            printf("assembler: %s: %u kernels, %.1f ms each\n", jc_families[f].name, assembled[f], spent[f] / assembled[f]);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("ptx");
    TCase *t = tcase_create("ptx");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_lines, 0, NROWS * NARCHS);
    tcase_add_test(t, test_warpgroups);
    tcase_add_loop_test(t, test_all_instructions, 0, 3 * NARCHS);
    tcase_add_test(t, test_too_new);
    tcase_add_test(t, test_damaged);
    tcase_add_loop_test(t, test_out_of_memory, 0, 2);
    tcase_add_test(t, test_llama_block);
    tcase_add_test(t, test_times);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
