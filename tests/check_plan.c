/* check_plan.c - kernels, plans, artifacts and targets: bytes and back, text, what is refused, damaged bytes. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitc/value.h"
#include "plan/kernel.h"
#include "plan/plan.h"

static jc_arena *arena;

static void setup(void) {
    arena = jc_arena_new(NULL);
}

static void teardown(void) {
    jc_arena_free(arena);
}

/* ---- sample kernels --------------------------------------------------------------------------------------------- */

static uint32_t add_sym(jc_kernel *k, jc_ksym_kind kind, uint32_t index, int64_t lo, int64_t hi, int64_t divisor) {
    char name[16];
    snprintf(name, sizeof name, "any%u", k->nsyms); /* names must not matter */
    uint32_t s = jc_sym_add(k->ex, name);
    *jc_sym_at(k->ex, s) = (jc_sym){ jc_sym_at(k->ex, s)->name, lo, hi, divisor };
    k->syms[k->nsyms++] = (jc_ksym){ (uint8_t)kind, index };
    return s;
}

static jc_kernel *new_kernel(uint8_t family, uint8_t rank) {
    jc_kernel *k = JC_NEW(arena, jc_kernel);
    k->family = family;
    k->rank = rank;
    k->ex = jc_exprs_new(arena);
    k->syms = JC_NEWN(arena, jc_ksym, 16);
    k->args = JC_NEWN(arena, jc_karg, 16);
    k->tape = JC_NEWN(arena, jc_instr, 32);
    return k;
}

static uint32_t emit(jc_kernel *k, jc_instr in) {
    k->tape[k->ninstrs] = in;
    return k->ninstrs++;
}

#define INT(v) jc_ex_int(k->ex, v)
#define SYM(s) jc_ex_sym(k->ex, s)
#define ADD(a, b) jc_ex_add(k->ex, a, b)
#define MUL(a, b) jc_ex_mul(k->ex, a, b)
#define PTR(i, dtype_, ...) (k->args[i] = (jc_karg){ .kind = JC_KARG_PTR, .dtype = dtype_, __VA_ARGS__ }, k->nargs = i + 1)

/* A row of a table for each token, scaled: a gather. */
static jc_kernel *sample_point(void) {
    jc_kernel *k = new_kernel(JC_K_POINT, 2);
    PTR(0, JC_I64, .written = false);
    PTR(1, JC_BF16, .weight = true);
    PTR(2, JC_BF16, .written = true);
    uint32_t i0 = add_sym(k, JC_KSYM_LOOP, 0, 0, 4095, 1), i1 = add_sym(k, JC_KSYM_LOOP, 1, 0, 255, 1);
    uint32_t n3 = add_sym(k, JC_KSYM_ARG, 3, 8, 4096, 8), v0 = add_sym(k, JC_KSYM_TAPE, 0, 0, 31999, 1);
    k->args[3] = (jc_karg){ .kind = JC_KARG_I64, .sym = n3 };
    k->args[4] = (jc_karg){ .kind = JC_KARG_F64 };
    k->nargs = 5;
    k->extent[0] = SYM(n3);
    k->extent[1] = INT(256);
    emit(k, (jc_instr){ .op = JC_T_LOAD, .ct = JC_CT_I64, .arg = 0, .index = SYM(i0) });
    emit(k, (jc_instr){ .op = JC_T_LOAD, .ct = JC_CT_F32, .arg = 1, .index = ADD(MUL(INT(256), SYM(v0)), SYM(i1)) });
    emit(k, (jc_instr){ .op = JC_T_SCALAR, .ct = JC_CT_F32, .arg = 4 });
    emit(k, (jc_instr){ .op = JC_T_MUL, .ct = JC_CT_F32, .a = 1, .b = 2 });
    emit(k, (jc_instr){ .op = JC_T_ROUND, .ct = JC_CT_F32, .a = 3, .dtype = JC_BF16 });
    emit(k, (jc_instr){ .op = JC_T_INDEX, .ct = JC_CT_I64, .index = SYM(i1) });
    emit(k, (jc_instr){ .op = JC_T_INT, .ct = JC_CT_I64, .i = -7 });
    emit(k, (jc_instr){ .op = JC_T_LT, .ct = JC_CT_B1, .a = 6, .b = 5 });
    emit(k, (jc_instr){ .op = JC_T_FLOAT, .ct = JC_CT_F32, .f = -0.5 });
    emit(k, (jc_instr){ .op = JC_T_SELECT, .ct = JC_CT_F32, .a = 7, .b = 4, .c = 8 });
    emit(k, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .a = 9, .arg = 2,
                        .index = ADD(MUL(INT(256), SYM(i0)), SYM(i1)) });
    k->threads = 128;
    k->vec = 8;
    k->unroll = 2;
    return k;
}

/* x * rsqrt(mean(x^2) + eps), 1024 columns. */
static jc_kernel *sample_row(void) {
    jc_kernel *k = new_kernel(JC_K_ROW, 2);
    PTR(0, JC_F16, .written = false);
    PTR(1, JC_F16, .written = true);
    uint32_t i0 = add_sym(k, JC_KSYM_LOOP, 0, 0, 9999, 1), i1 = add_sym(k, JC_KSYM_LOOP, 1, 0, 1023, 1);
    uint32_t n2 = add_sym(k, JC_KSYM_ARG, 2, 0, 10000, 1);
    k->args[2] = (jc_karg){ .kind = JC_KARG_I64, .sym = n2 };
    k->nargs = 3;
    k->extent[0] = SYM(n2);
    k->extent[1] = INT(1024);
    const jc_expr *at = ADD(MUL(INT(1024), SYM(i0)), SYM(i1));
    emit(k, (jc_instr){ .op = JC_T_LOAD, .ct = JC_CT_F32, .arg = 0, .index = at });
    emit(k, (jc_instr){ .op = JC_T_MUL, .ct = JC_CT_F32, .a = 0, .b = 0 });
    emit(k, (jc_instr){ .op = JC_T_RED_SUM, .ct = JC_CT_F32, .a = 1 });
    emit(k, (jc_instr){ .op = JC_T_FLOAT, .ct = JC_CT_F32, .f = 0x1p-10 });
    emit(k, (jc_instr){ .op = JC_T_MUL, .ct = JC_CT_F32, .a = 2, .b = 3 });
    emit(k, (jc_instr){ .op = JC_T_RSQRT, .ct = JC_CT_F32, .a = 4 });
    emit(k, (jc_instr){ .op = JC_T_MUL, .ct = JC_CT_F32, .a = 0, .b = 5 });
    emit(k, (jc_instr){ .op = JC_T_RED_MAX, .ct = JC_CT_F32, .a = 6 });
    emit(k, (jc_instr){ .op = JC_T_SUB, .ct = JC_CT_F32, .a = 6, .b = 7 });
    emit(k, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .a = 8, .arg = 1, .index = at });
    k->threads = 256;
    k->lanes = 64;
    k->vec = 4;
    k->steps = 4;
    return k;
}

/* [2 batches, M, 512] = A[b, m, k] * B[b, n, k] */
static jc_kernel *sample_product(uint8_t family) {
    jc_kernel *k = new_kernel(family, 3);
    PTR(0, JC_BF16, .written = false);
    PTR(1, JC_BF16, .weight = true);
    PTR(2, JC_F32, .written = true);
    uint32_t b = add_sym(k, JC_KSYM_LOOP, 0, 0, 1, 1), m = add_sym(k, JC_KSYM_LOOP, 1, 0, 99, 1);
    uint32_t n = add_sym(k, JC_KSYM_LOOP, 2, 0, 511, 1), n3 = add_sym(k, JC_KSYM_ARG, 3, 1, 100, 1);
    k->args[3] = (jc_karg){ .kind = JC_KARG_I64, .sym = n3 };
    k->nargs = 4;
    k->extent[0] = INT(2);
    k->extent[1] = SYM(n3);
    k->extent[2] = INT(512);
    k->k = INT(64);
    k->a = (jc_operand){ 0, ADD(MUL(MUL(INT(64), SYM(n3)), SYM(b)), MUL(INT(64), SYM(m))), INT(1) };
    k->b = (jc_operand){ 1, ADD(MUL(INT(64 * 512), SYM(b)), MUL(INT(64), SYM(n))), INT(1) };
    emit(k, (jc_instr){ .op = JC_T_ACC, .ct = JC_CT_F32 });
    emit(k, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .a = 0, .arg = 2,
                        .index = ADD(ADD(MUL(MUL(INT(512), SYM(n3)), SYM(b)), MUL(INT(512), SYM(m))), SYM(n)) });
    if (family == JC_K_TILE || family == JC_K_BAND) {
        k->threads = k->unroll = k->lanes = 1;
        k->vec = 8;
        k->tile_m = 8;
        k->tile_n = 64;
        k->tile_k = 32;
        k->warps_m = 4;
        k->warps_n = 2;
    } else if (family == JC_K_WGMMA) {
        k->threads = 256;
        k->tile_m = 128;
        k->tile_n = 128;
        k->tile_k = 64;
        k->stages = 4;
        k->warps_m = 8;
        k->warps_n = 1;
    } else if (family == JC_K_MMA) {
        k->threads = 128;
        k->tile_m = 64;
        k->tile_n = 128;
        k->tile_k = 32;
        k->stages = 3;
        k->warps_m = k->warps_n = 2;
    } else {
        k->threads = 64;
        k->lanes = 32;
        k->unroll = 1;
        k->vec = 8;
        k->tile_m = 4;
        k->tile_n = 8;
    }
    return k;
}

static jc_kernel *sample_dot(void) {
    return sample_product(JC_K_DOT);
}

/* Four warps share k. */
static jc_kernel *sample_dot_group(void) {
    jc_kernel *k = sample_dot();
    k->threads = k->lanes = 128;
    k->unroll = 4;
    return k;
}

static jc_kernel *sample_mma(void) {
    return sample_product(JC_K_MMA);
}

static jc_kernel *sample_wgmma(void) {
    return sample_product(JC_K_WGMMA);
}

static jc_kernel *sample_tile(void) {
    return sample_product(JC_K_TILE);
}

static jc_kernel *sample_pairs(void) {
    jc_kernel *k = sample_product(JC_K_TILE);
    k->lanes = 2;
    return k;
}

/* B by columns. */
static jc_kernel *sample_band(void) {
    jc_kernel *k = sample_product(JC_K_BAND);
    k->b.row = ADD(MUL(INT(64 * 512), SYM(0)), SYM(2));
    k->b.kstride = INT(512);
    k->tile_k = k->warps_m = k->warps_n = 0;
    k->tile_m = 1;
    k->unroll = 8;
    return k;
}

/* [2 batches, 4 heads, M, 64] of bf16: each two heads share keys; a mask of bools, [M, 50]. */
static jc_kernel *sample_attention(uint8_t family) {
    jc_kernel *k = new_kernel(family, 4);
    PTR(0, JC_BF16, .written = false);
    PTR(1, JC_BF16, .written = false);
    PTR(2, JC_B8, .written = false);
    PTR(3, JC_BF16, .written = true);
    uint32_t b = add_sym(k, JC_KSYM_LOOP, 0, 0, 1, 1), h = add_sym(k, JC_KSYM_LOOP, 1, 0, 3, 1), m = add_sym(k, JC_KSYM_LOOP, 2, 0, 99, 1);
    uint32_t n = add_sym(k, JC_KSYM_LOOP, 3, 0, 63, 1), n4 = add_sym(k, JC_KSYM_ARG, 4, 1, 100, 1);
    k->args[4] = (jc_karg){ .kind = JC_KARG_I64, .sym = n4 };
    k->nargs = 5;
    k->extent[0] = INT(2);
    k->extent[1] = INT(4);
    k->extent[2] = SYM(n4);
    k->extent[3] = INT(64);
    k->k = INT(32);
    const jc_expr *keys = ADD(MUL(INT(3200), SYM(b)), MUL(INT(1600), jc_ex_fdiv(k->ex, SYM(h), INT(2))));
    jc_attention *t = &k->attention;
    t->q = (jc_matrix){ 0, ADD(MUL(MUL(INT(128), SYM(n4)), SYM(b)), MUL(INT(32), SYM(h))), INT(128), INT(1) };
    t->k = (jc_matrix){ 1, keys, INT(32), INT(1) };
    t->v = (jc_matrix){ 1, keys, INT(32), INT(1) };
    t->mask = (jc_matrix){ 2, INT(0), INT(50), INT(1) };
    t->masked = t->causal = true;
    t->group = 2;
    t->parts = 1;
    t->keys = INT(50);
    t->scale = emit(k, (jc_instr){ .op = JC_T_FLOAT, .ct = JC_CT_F32, .f = 0.5 });
    uint32_t acc = emit(k, (jc_instr){ .op = JC_T_ACC, .ct = JC_CT_F32 });
    emit(k, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .a = acc, .arg = 3,
                        .index = ADD(ADD(MUL(MUL(INT(256), SYM(n4)), SYM(b)), MUL(INT(256), SYM(m))), ADD(MUL(INT(64), SYM(h)), SYM(n))) });
    k->threads = family == JC_K_FLASH ? 128 : 1;
    k->vec = 8;
    k->tile_m = 64;
    k->tile_k = 32;
    k->warps_m = family == JC_K_FLASH ? 4 : 0;
    return k;
}

static jc_kernel *sample_attn(void) { return sample_attention(JC_K_ATTN); }
static jc_kernel *sample_flash(void) { return sample_attention(JC_K_FLASH); }

/* Both batches are one, and its keys two parts. */
static jc_kernel *sample_parts(void) {
    jc_kernel *k = sample_flash();
    k->attention.parts = 2;
    k->extent[3] = INT(72);
    return k;
}

/* Blocks and shared memory by hand, for the value of the integer argument. */
static const struct kernel_row {
    const char *name;
    jc_kernel *(*make)(void);
    uint32_t shared;
    int64_t value, blocks; /* of the only integer argument */
    const char *text;
} kernels[] = {
    { "point", sample_point, 0, 24, 3, /* ceil(24*256 / (128*8*2)) */
      "point [n3, 256] threads=128 vec=8 unroll=2\n"
      "  p0: i64*\n"
      "  p1: bf16* weight\n"
      "  p2: bf16* written\n"
      "  n3: i64 8..4096 by 8\n"
      "  x4: f64\n"
      "  v0 = load p0[i0] : i64\n"
      "  v1 = load p1[i1 + 256*v0] : f32\n"
      "  v2 = scalar x4 : f32\n"
      "  v3 = mul v1, v2 : f32\n"
      "  v4 = round v3 to bf16 : f32\n"
      "  v5 = index i1 : i64\n"
      "  v6 = int -7 : i64\n"
      "  v7 = lt v6, v5 : b1\n"
      "  v8 = float -0.5 : f32\n"
      "  v9 = select v7, v4, v8 : f32\n"
      "  store p2[256*i0 + i1], v9\n" },
    { "row", sample_row, 2 * 8 * 8, 9, 3, /* 2 reductions, 8 warps; ceil(9 / (256/64)) */
      "row [n2, 1024] threads=256 vec=4 lanes=64 steps=4\n"
      "  p0: f16*\n"
      "  p1: f16* written\n"
      "  n2: i64 0..10000\n"
      "  v0 = load p0[1024*i0 + i1] : f32\n"
      "  v1 = mul v0, v0 : f32\n"
      "  v2 = red_sum v1 : f32\n"
      "  v3 = float 0.0009765625 : f32\n"
      "  v4 = mul v2, v3 : f32\n"
      "  v5 = rsqrt v4 : f32\n"
      "  v6 = mul v0, v5 : f32\n"
      "  v7 = red_max v6 : f32\n"
      "  v8 = sub v6, v7 : f32\n"
      "  store p1[1024*i0 + i1], v8\n" },
    { "dot of groups", sample_dot_group, 4 * 4 * 8 * 8, 5, 2 * 2 * 64, NULL },
    { "dot", sample_dot, 0, 5, 2 * 2 * 32, /* 2 batches, ceil(5/4), ceil(512 / (8 * 2 warps)) */
      "dot [2, n3, 512] threads=64 vec=8 unroll=1 lanes=32 tile_m=4 tile_n=8\n"
      "  p0: bf16*\n"
      "  p1: bf16* weight\n"
      "  p2: f32* written\n"
      "  n3: i64 1..100\n"
      "  a = p0[64*i0*n3 + 64*i1 + k]\n"
      "  b = p1[32768*i0 + 64*i2 + k]\n"
      "  k < 64\n"
      "  v0 = acc : f32\n"
      "  store p2[512*i0*n3 + 512*i1 + i2], v0\n" },
    { "tile", sample_tile, 0, 17, 2 * 3 * 8, /* ceil(17/8), 512/64 */
      "tile [2, n3, 512] threads=1 vec=8 unroll=1 lanes=1 tile_m=8 tile_n=64 tile_k=32 warps_m=4 warps_n=2\n"
      "  p0: bf16*\n"
      "  p1: bf16* weight\n"
      "  p2: f32* written\n"
      "  n3: i64 1..100\n"
      "  a = p0[64*i0*n3 + 64*i1 + k]\n"
      "  b = p1[32768*i0 + 64*i2 + k]\n"
      "  k < 64\n"
      "  v0 = acc : f32\n"
      "  store p2[512*i0*n3 + 512*i1 + i2], v0\n" },
    { "band", sample_band, 0, 3, 2 * 3 * 8,
      "band [2, n3, 512] threads=1 vec=8 unroll=8 lanes=1 tile_m=1 tile_n=64\n"
      "  p0: bf16*\n"
      "  p1: bf16* weight\n"
      "  p2: f32* written\n"
      "  n3: i64 1..100\n"
      "  a = p0[64*i0*n3 + 64*i1 + k]\n"
      "  b = p1[32768*i0 + i2 + (512)*k]\n"
      "  k < 64\n"
      "  v0 = acc : f32\n"
      "  store p2[512*i0*n3 + 512*i1 + i2], v0\n" },
    { "attention", sample_attn, 0, 33, 2 * 2 * 2, /* 2 batches, 2 groups, ceil(33*2 / 64) */
      "attn [2, 4, n4, 64] threads=1 vec=8 tile_m=64 tile_k=32\n"
      "  p0: bf16*\n"
      "  p1: bf16*\n"
      "  p2: b8*\n"
      "  p3: bf16* written\n"
      "  n4: i64 1..100\n"
      "  q = p0[128*i0*n4 + 32*i1 + (128)*m + e]\n"
      "  k = p1[3200*i0 + 1600*(i1//2) + (32)*s + e]\n"
      "  v = p1[3200*i0 + 1600*(i1//2) + (32)*s + n]\n"
      "  mask = p2[0 + (50)*m + s]\n"
      "  scale = v0 causal group=2\n"
      "  s < 50, e < 32\n"
      "  v0 = float 0.5 : f32\n"
      "  v1 = acc : f32\n"
      "  store p3[256*i0*n4 + 64*i1 + 256*i2 + i3], v1\n" },
    { "flash", sample_flash, 16 * 4 * (64 + 8) * 4, 33, 2 * 2 * 2, NULL }, /* the results take more than (64*32 + 32*(32 + 64)) * 2 */
    { "flash in parts", sample_parts, 16 * 4 * (72 + 8) * 4, 33, 2 * 2 * 2, NULL },
    { "wgmma", sample_wgmma, 4 * (128 + 128) * 64 * 2, 65, 2 * 1 * 4, NULL },
    { "mma", sample_mma, 3 * (64 + 128) * 32 * 2, 65, 2 * 2 * 4,
      "mma [2, n3, 512] threads=128 tile_m=64 tile_n=128 tile_k=32 stages=3 warps_m=2 warps_n=2\n"
      "  p0: bf16*\n"
      "  p1: bf16* weight\n"
      "  p2: f32* written\n"
      "  n3: i64 1..100\n"
      "  a = p0[64*i0*n3 + 64*i1 + k]\n"
      "  b = p1[32768*i0 + 64*i2 + k]\n"
      "  k < 64\n"
      "  v0 = acc : f32\n"
      "  store p2[512*i0*n3 + 512*i1 + i2], v0\n" },
};
#define NKERNELS ((int)(sizeof kernels / sizeof *kernels))

static const char *kernel_text(const jc_kernel *k) {
    jc_bytes out = JC_BYTES(arena);
    jc_kernel_print(k, &out);
    jc_put_u8(&out, 0);
    return (const char *)out.at;
}

static jc_bytes kernel_bytes(const jc_kernel *k) {
    jc_bytes out = JC_BYTES(arena);
    jc_kernel_encode(k, &out);
    return out;
}

START_TEST(test_kernel) {
    const struct kernel_row *row = &kernels[_i];
    jc_kernel *k = row->make();
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_kernel_verify(k, &err) == JITC_OK, "%s: %s", row->name, err.message);
    if (row->text)
        ck_assert_str_eq(kernel_text(k), row->text);
    ck_assert_uint_eq(jc_kernel_shared(k), row->shared);
    int64_t values[8], blocks;
    for (int i = 0; i < 8; i++)
        values[i] = row->value;
    ck_assert(jc_ex_eval(jc_kernel_blocks(k), values, 8, &blocks));
    ck_assert_int_eq(blocks, row->blocks);

    jc_bytes bytes = kernel_bytes(k);
    jc_kernel *back = NULL;
    ck_assert_msg(jc_kernel_decode(bytes.at, bytes.n, arena, &back, &err) == JITC_OK, "%s: %s", row->name, err.message);
    ck_assert_str_eq(kernel_text(back), kernel_text(k));
    jc_bytes again = kernel_bytes(back);
    ck_assert_uint_eq(again.n, bytes.n);
    ck_assert_mem_eq(again.at, bytes.at, bytes.n);
    ck_assert_int_eq(back->threads, k->threads);
    ck_assert_int_eq(back->warps_n, k->warps_n);
    ck_assert_int_eq(jc_sym_at(back->ex, k->rank)->divisor, jc_sym_at(k->ex, k->rank)->divisor);
}
END_TEST

/* Symbols' names are no part of a kernel; every other field is. */
START_TEST(test_kernel_bytes_differ) {
    jc_bytes a = kernel_bytes(sample_point());
    jc_kernel *k = sample_point();
    jc_sym_at(k->ex, 0)->name = "other";
    jc_bytes b = kernel_bytes(k);
    ck_assert(a.n == b.n && memcmp(a.at, b.at, a.n) == 0);
    jc_sym_at(k->ex, 2)->divisor = 4;
    b = kernel_bytes(k);
    ck_assert(a.n != b.n || memcmp(a.at, b.at, a.n) != 0);
    k = sample_point();
    k->tape[8].f = 0.5;
    b = kernel_bytes(k);
    ck_assert(a.n != b.n || memcmp(a.at, b.at, a.n) != 0);
    k = sample_point();
    k->args[1].weight = false;
    b = kernel_bytes(k);
    ck_assert(a.n != b.n || memcmp(a.at, b.at, a.n) != 0);
}
END_TEST

/* ---- kernels that are refused -------------------------------------------------------------------------------------- */

#define BREAKAGE(name, ...) static void name(jc_kernel *k) { __VA_ARGS__ }
BREAKAGE(bad_family, k->family = JC_FAMILY_COUNT;)
BREAKAGE(bad_rank0, k->rank = 0;)
BREAKAGE(bad_rank9, k->rank = 9;)
BREAKAGE(bad_rank1, k->rank = 1;)
BREAKAGE(bad_nsyms, k->nsyms = 77;)
BREAKAGE(bad_loop_order, k->syms[0].index = 1;)
BREAKAGE(bad_late_loop, k->syms[2].kind = JC_KSYM_LOOP;)
BREAKAGE(bad_sym_arg, k->syms[2].index = 0;)
BREAKAGE(bad_sym_tape, k->syms[3].index = 1;)
BREAKAGE(bad_sym_range, jc_sym_at(k->ex, 2)->lo = 5000;)
BREAKAGE(bad_divisor, jc_sym_at(k->ex, 2)->divisor = 0;)
BREAKAGE(bad_arg_kind, k->args[4].kind = 3;)
BREAKAGE(bad_arg_dtype, k->args[0].dtype = JC_DTYPE_COUNT;)
BREAKAGE(bad_arg_sym, k->args[3].sym = 1;)
BREAKAGE(bad_weight, k->args[2].weight = true;)
BREAKAGE(bad_number_written, k->args[4].written = true;)
BREAKAGE(bad_extent_loop, k->extent[1] = SYM(0);)
BREAKAGE(bad_extent_none, k->extent[1] = NULL;)
BREAKAGE(bad_poison, k->extent[0] = MUL(INT(INT64_MAX), INT(2));)
BREAKAGE(bad_op, k->tape[3].op = JC_T_COUNT;)
BREAKAGE(bad_later, k->tape[3].b = 3;)
BREAKAGE(bad_of_store, emit(k, (jc_instr){ .op = JC_T_NEG, .ct = JC_CT_NONE, .a = 10 });)
BREAKAGE(bad_mix, k->tape[3].b = 0;)
BREAKAGE(bad_result, k->tape[3].ct = JC_CT_F64;)
BREAKAGE(bad_compare, k->tape[7].ct = JC_CT_I64;)
BREAKAGE(bad_domain, k->tape[3] = (jc_instr){ .op = JC_T_EXP, .ct = JC_CT_I64, .a = 0 };)
BREAKAGE(bad_select, k->tape[9].a = 4;)
BREAKAGE(bad_load_arg, k->tape[0].arg = 3;)
BREAKAGE(bad_load_type, k->tape[1].ct = JC_CT_F64;)
BREAKAGE(bad_store_arg, k->tape[10].arg = 0;)
BREAKAGE(bad_store_type, k->tape[10].a = 6;)
BREAKAGE(bad_store_result, k->tape[10].ct = JC_CT_F32;)
BREAKAGE(bad_index_later, k->tape[0].index = SYM(3);)
BREAKAGE(bad_round, k->tape[4].dtype = JC_I8;)
BREAKAGE(bad_round_bool, k->tape[4].dtype = JC_B8;)
BREAKAGE(bad_scalar, k->tape[2].arg = 3;)
BREAKAGE(bad_bool, k->tape[6] = (jc_instr){ .op = JC_T_INT, .ct = JC_CT_B1, .i = 2 }; k->tape[7].b = 6;)
BREAKAGE(bad_acc, k->tape[2] = (jc_instr){ .op = JC_T_ACC, .ct = JC_CT_F32 };)
BREAKAGE(bad_reduce, k->tape[4] = (jc_instr){ .op = JC_T_RED_SUM, .ct = JC_CT_F32, .a = 3 };)
BREAKAGE(bad_no_store, k->ninstrs = 10;)
BREAKAGE(bad_threads, k->threads = 1025;)
BREAKAGE(bad_vec, k->vec = 3;)
BREAKAGE(bad_vec_extent, k->extent[1] = INT(252);)
BREAKAGE(bad_unroll, k->unroll = 0;)
BREAKAGE(bad_lanes, k->lanes = 96;)
BREAKAGE(bad_lanes24, k->threads = 96; k->lanes = 24;)
BREAKAGE(bad_warps, k->threads = 16; k->lanes = 16;)
BREAKAGE(bad_steps, k->steps = 3;)
BREAKAGE(bad_a_arg, k->a.arg = 3;)
BREAKAGE(bad_a_loop, k->a.row = SYM(2);)
BREAKAGE(bad_b_loop, k->b.row = SYM(1);)
BREAKAGE(bad_kstride, k->a.kstride = INT(2);)
BREAKAGE(bad_kstride_loop, k->a.kstride = SYM(0);)
BREAKAGE(bad_align, k->b.row = MUL(INT(4), SYM(2));)
BREAKAGE(bad_k, k->k = INT(60);)
BREAKAGE(bad_k_none, k->k = NULL;)
BREAKAGE(bad_mma_dtype, k->args[1].dtype = JC_F16;)
BREAKAGE(bad_mma_f32, k->args[0].dtype = k->args[1].dtype = JC_F32;)
BREAKAGE(bad_mma_warps, k->warps_n = 4;)
BREAKAGE(bad_mma_tile, k->tile_m = 48;)
BREAKAGE(bad_mma_tile_k, k->tile_k = 8;)
BREAKAGE(bad_mma_stages, k->stages = 0;)
BREAKAGE(bad_mma_shared, k->stages = 60;)
BREAKAGE(bad_wgmma_stages, k->stages = 2;) /* the stage read last may still be */
BREAKAGE(bad_wgmma_group, k->tile_m = 96; k->warps_m = 6; k->threads = 192;)
BREAKAGE(bad_wgmma_rows, k->tile_m = 256;)
BREAKAGE(bad_wgmma_warps, k->warps_m = 4; k->warps_n = 2;)
BREAKAGE(bad_wgmma_k, k->tile_k = 32;)
BREAKAGE(bad_wgmma_columns, k->tile_n = 264;)
BREAKAGE(bad_wgmma_dtype, k->args[0].dtype = k->args[1].dtype = JC_F32;)
BREAKAGE(bad_acc_type, k->tape[0].ct = JC_CT_F64;)
BREAKAGE(bad_dot_tile, k->tile_n = 0;)
BREAKAGE(bad_dot_threads, k->threads = 48;)
BREAKAGE(bad_dot_lanes, k->lanes = 48; k->threads = 96;)
BREAKAGE(bad_dot_groups, k->lanes = 0;)
BREAKAGE(bad_dot_unroll, k->unroll = 0;)
BREAKAGE(bad_dot_shared, k->threads = k->lanes = 1024; k->tile_m = k->tile_n = 64;)
BREAKAGE(bad_tile_threads, k->threads = 32;)
BREAKAGE(bad_tile_columns, k->tile_n = 60;)
BREAKAGE(bad_tile_rows, k->tile_m = 6;)
BREAKAGE(bad_tile_part, k->tile_k = 12;)
BREAKAGE(bad_tile_stack, k->tile_k = 2048;)
BREAKAGE(bad_band_unroll, k->unroll = 0;)
BREAKAGE(bad_band_rows, k->tile_m = 2;)
BREAKAGE(bad_tile_vec, k->vec = 2;)
BREAKAGE(bad_tile_lanes, k->lanes = 0;)
BREAKAGE(bad_pairs_lanes, k->lanes = 4;)
BREAKAGE(bad_pairs_strict, k->exact = true;)
BREAKAGE(bad_pairs_dtype, k->args[1].dtype = JC_F16;)
BREAKAGE(bad_pairs_vec, k->vec = k->tile_n = k->tile_k = 64; k->warps_n = 1;)
BREAKAGE(bad_band_b, k->b.row = MUL(INT(64), SYM(2));)
BREAKAGE(bad_matrix_arg, k->attention.k.arg = 4;)
BREAKAGE(bad_matrix_written, k->attention.v.arg = 3;)
BREAKAGE(bad_matrix_loop, k->attention.q.base = SYM(2);)
BREAKAGE(bad_matrix_row, k->attention.q.row = SYM(1);)
BREAKAGE(bad_matrix_none, k->attention.mask.column = NULL;)
BREAKAGE(bad_keys, k->attention.keys = SYM(0);)
BREAKAGE(bad_matrix_dtype, k->attention.k.arg = 2;)
BREAKAGE(bad_mask_dtype, k->args[2].dtype = JC_I32;)
BREAKAGE(bad_head, k->k = SYM(4);)
BREAKAGE(bad_head_size, k->extent[3] = INT(512);)
BREAKAGE(bad_group, k->attention.group = 3;)
BREAKAGE(bad_no_group, k->attention.group = 0;)
BREAKAGE(bad_group_rank, k->extent[1] = SYM(4);)
BREAKAGE(bad_scale, k->attention.scale = 1;)
BREAKAGE(bad_scale_place, k->attention.scale = 77;)
BREAKAGE(bad_scale_loop, k->tape[0] = (jc_instr){ .op = JC_T_LOAD, .ct = JC_CT_F32, .arg = 0, .index = SYM(1) };)
BREAKAGE(bad_attn_threads, k->threads = 32;)
BREAKAGE(bad_attn_rows, k->tile_m = 6;)
BREAKAGE(bad_attn_vec, k->vec = 64;)
BREAKAGE(bad_attn_stack, k->tile_m = 1024;)
BREAKAGE(bad_attn_column, k->attention.q.column = INT(2);)
BREAKAGE(bad_parts, k->attention.parts = 3;)
BREAKAGE(bad_no_parts, k->attention.parts = 0;)
BREAKAGE(bad_parts_columns, k->extent[3] = INT(8);)
BREAKAGE(bad_parts_keys, k->tile_k = 48;)
BREAKAGE(bad_attn_parts, k->attention.parts = 2;)
BREAKAGE(bad_flash_column, k->attention.v.column = INT(2);)
BREAKAGE(bad_flash_align, k->attention.k.row = INT(36);)
BREAKAGE(bad_flash_loose, k->args[1].loose = true;)
BREAKAGE(bad_flash_dtype, k->args[0].dtype = k->args[1].dtype = JC_F32;)
BREAKAGE(bad_flash_warps, k->warps_m = 2;)
BREAKAGE(bad_flash_tile, k->tile_k = 24;)
BREAKAGE(bad_flash_head, k->k = INT(40);)
BREAKAGE(bad_flash_shared, k->tile_k = 2048;)

static const struct {
    void (*break_it)(jc_kernel *k);
    jc_kernel *(*make)(void);
    const char *word;
} kernel_breakages[] = {
    { bad_matrix_arg, sample_attn, "Matrix K" },
    { bad_matrix_written, sample_attn, "Matrix V" },
    { bad_matrix_loop, sample_attn, "uses symbol 2" },
    { bad_matrix_row, sample_attn, "uses symbol 1" },
    { bad_matrix_none, sample_attn, "no expression" },
    { bad_keys, sample_attn, "uses symbol 0" },
    { bad_matrix_dtype, sample_attn, "not of one dtype" },
    { bad_mask_dtype, sample_attn, "mask of i32" },
    { bad_head, sample_attn, "no constants" },
    { bad_head_size, sample_attn, "no constants" },
    { bad_group, sample_attn, "groups of 3" },
    { bad_no_group, sample_attn, "groups of 0" },
    { bad_group_rank, sample_attn, "groups of 2" },
    { bad_scale, sample_attn, "instruction 1" },
    { bad_scale_place, sample_flash, "instruction 77" },
    { bad_scale_loop, sample_flash, "all points share" },
    { bad_attn_threads, sample_attn, "32 threads" },
    { bad_attn_rows, sample_attn, "6 rows" },
    { bad_attn_vec, sample_attn, "vectors of 64" },
    { bad_attn_stack, sample_attn, "too large for a stack" },
    { bad_attn_column, sample_attn, "not consecutive" },
    { bad_parts, sample_parts, "3 parts" },
    { bad_no_parts, sample_flash, "0 parts" },
    { bad_parts_columns, sample_parts, "no constants" },
    { bad_parts_keys, sample_parts, "divide a part" },
    { bad_attn_parts, sample_attn, "one of 2 parts" },
    { bad_flash_column, sample_flash, "16-byte aligned" },
    { bad_flash_align, sample_flash, "16-byte aligned" },
    { bad_flash_loose, sample_flash, "16-byte aligned" },
    { bad_flash_dtype, sample_flash, "not f32" },
    { bad_flash_warps, sample_flash, "2 warps" },
    { bad_flash_tile, sample_flash, "by 24 keys" },
    { bad_flash_head, sample_flash, "heads of 40" },
    { bad_flash_shared, sample_flash, "shared memory" },
    { bad_family, sample_point, "unknown family" },
    { bad_rank0, sample_point, "rank 0" },
    { bad_rank9, sample_point, "rank 9" },
    { bad_rank1, sample_dot, "rank 1" },
    { bad_nsyms, sample_point, "lists 77 symbols" },
    { bad_loop_order, sample_point, "Symbol 0" },
    { bad_late_loop, sample_point, "Argument 3" },
    { bad_sym_arg, sample_point, "Argument 3" },
    { bad_sym_tape, sample_point, "gives no integer" },
    { bad_sym_range, sample_point, "no values" },
    { bad_divisor, sample_point, "no values" },
    { bad_arg_kind, sample_point, "unknown kind 3" },
    { bad_arg_dtype, sample_point, "unknown dtype" },
    { bad_arg_sym, sample_point, "Argument 3" },
    { bad_weight, sample_point, "cannot be a weight" },
    { bad_number_written, sample_point, "is a number" },
    { bad_extent_loop, sample_point, "extent 1 of a kernel uses symbol 0" },
    { bad_extent_none, sample_point, "no expression" },
    { bad_poison, sample_point, "overflows" },
    { bad_op, sample_point, "Instruction 3" },
    { bad_later, sample_point, "Operand 1 of instruction 3" },
    { bad_of_store, sample_point, "no earlier result" },
    { bad_mix, sample_point, "mixes f32 and i64" },
    { bad_result, sample_point, "marked as f64" },
    { bad_compare, sample_point, "marked as i64, but gives b1" },
    { bad_domain, sample_point, "EXP of i64" },
    { bad_select, sample_point, "SELECT of f32" },
    { bad_load_arg, sample_point, "no pointer" },
    { bad_load_type, sample_point, "loads as f64" },
    { bad_store_arg, sample_point, "not marked as written" },
    { bad_store_type, sample_point, "stores as i64" },
    { bad_store_result, sample_point, "no result" },
    { bad_index_later, sample_point, "uses symbol 3" },
    { bad_round, sample_point, "rounds f32 to i8" },
    { bad_round_bool, sample_point, "rounds f32 to b8" },
    { bad_scalar, sample_point, "does not fit" },
    { bad_bool, sample_point, "does not fit" },
    { bad_acc, sample_point, "does not fit" },
    { bad_reduce, sample_point, "no row kernel" },
    { bad_no_store, sample_point, "stores nothing" },
    { bad_threads, sample_point, "1025 threads" },
    { bad_vec, sample_point, "no power of two" },
    { bad_vec_extent, sample_point, "need not divide" },
    { bad_unroll, sample_point, "unroll" },
    { bad_lanes, sample_row, "do not divide" },
    { bad_lanes24, sample_row, "24 lanes" },
    { bad_warps, sample_row, "no whole warps" },
    { bad_steps, sample_row, "holds 768 columns" },
    { bad_a_arg, sample_mma, "Operand A" },
    { bad_a_loop, sample_mma, "uses symbol 2" },
    { bad_b_loop, sample_mma, "uses symbol 1" },
    { bad_kstride, sample_mma, "16-byte aligned" },
    { bad_kstride_loop, sample_dot, "uses symbol 0" },
    { bad_align, sample_mma, "16-byte aligned" },
    { bad_k, sample_mma, "multiple of 8" },
    { bad_k_none, sample_mma, "no expression" },
    { bad_mma_dtype, sample_mma, "multiplies f16 with f16" },
    { bad_mma_f32, sample_mma, "argument 0 is f32" },
    { bad_mma_warps, sample_mma, "2 x 4 warps" },
    { bad_mma_tile, sample_mma, "48 x 128 x 32" },
    { bad_mma_tile_k, sample_mma, "64 x 128 x 8" },
    { bad_mma_stages, sample_mma, "0 stages" },
    { bad_mma_shared, sample_mma, "shared memory" },
    { bad_wgmma_stages, sample_wgmma, "2 stages" },
    { bad_wgmma_group, sample_wgmma, "96 x 128 x 64" },
    { bad_wgmma_rows, sample_wgmma, "256 x 128 x 64" },
    { bad_wgmma_warps, sample_wgmma, "4 x 2 warps" },
    { bad_wgmma_k, sample_wgmma, "128 x 128 x 32" },
    { bad_wgmma_columns, sample_wgmma, "128 x 264 x 64" },
    { bad_wgmma_dtype, sample_wgmma, "family wgmma multiplies f16 with f16" },
    { bad_acc_type, sample_mma, "does not fit" },
    { bad_tile_threads, sample_tile, "is for the host" },
    { bad_tile_columns, sample_tile, "in vectors of 8" },
    { bad_tile_rows, sample_tile, "no whole number of 4 rows" },
    { bad_tile_part, sample_tile, "in parts of 12" },
    { bad_tile_stack, sample_tile, "too large for a stack" },
    { bad_band_unroll, sample_band, "0 of k at a time" },
    { bad_band_rows, sample_band, "2 rows by 64 columns" },
    { bad_tile_vec, sample_tile, "at least 16 bytes" },
    { bad_tile_lanes, sample_tile, "0 elements of k at once" },
    { bad_pairs_lanes, sample_pairs, "4 elements of k at once" },
    { bad_pairs_strict, sample_pairs, "but not in strict mode" },
    { bad_pairs_dtype, sample_pairs, "pairs of bf16" },
    { bad_pairs_vec, sample_pairs, "in vectors of 64" },
    { bad_band_b, sample_band, "not consecutive" },
    { bad_dot_tile, sample_dot, "tile of 4 x 0" },
    { bad_dot_threads, sample_dot, "48 threads" },
    { bad_dot_lanes, sample_dot, "96 threads in groups of 48" },
    { bad_dot_groups, sample_dot, "64 threads in groups of 0" },
    { bad_dot_unroll, sample_dot, "at least one" },
    { bad_dot_shared, sample_dot, "shared memory" },
};

START_TEST(test_kernel_breakage) {
    jc_kernel *k = kernel_breakages[_i].make();
    kernel_breakages[_i].break_it(k);
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_kernel_verify(k, &err) == JITC_E_COMPILE && strstr(err.message, kernel_breakages[_i].word),
                  "row %d (%s): '%s'", _i, kernel_breakages[_i].word, err.message);
}
END_TEST

/* ---- damaged bytes ---------------------------------------------------------------------------------------------- */

/* Decodes N bytes in an arena of their own and in a block that ends with them; what decodes must verify, print and
   encode. Returns the status. */
typedef jitc_status decode_fn(const uint8_t *bytes, size_t n, jc_arena *a, jc_error *err);

static jitc_status decode_kernel(const uint8_t *bytes, size_t n, jc_arena *a, jc_error *err) {
    jc_kernel *k;
    JC_TRY(jc_kernel_decode(bytes, n, a, &k, err));
    ck_assert_int_eq(jc_kernel_verify(k, err), JITC_OK);
    jc_bytes out = JC_BYTES(a);
    jc_kernel_print(k, &out);
    jc_kernel_blocks(k);
    jc_kernel_encode(k, &out);
    return JITC_OK;
}

static jitc_status decode_plan(const uint8_t *bytes, size_t n, jc_arena *a, jc_error *err) {
    jc_plan *p;
    JC_TRY(jc_plan_decode(bytes, n, a, &p, err));
    ck_assert_int_eq(jc_plan_verify(p, err), JITC_OK);
    jc_bytes out = JC_BYTES(a);
    jc_plan_print(p, &out);
    jc_plan_encode(p, &out);
    return JITC_OK;
}

static jitc_status decode_artifact(const uint8_t *bytes, size_t n, jc_arena *a, jc_error *err) {
    jc_artifact out;
    JC_TRY(jc_artifact_decode(bytes, n, a, &out, err));
    uint8_t sum = 0; /* all that it points to can be read */
    for (size_t i = 0; i < out.nplan; i++)
        sum ^= out.plan[i];
    for (uint32_t c = 0; c < out.ncodes; c++)
        for (size_t i = 0; i < out.codes[c].nbytes; i++)
            sum ^= out.codes[c].bytes[i];
    jc_put_u8(&(jc_bytes){ .arena = a }, sum);
    return JITC_OK;
}

static jitc_status try_bytes(decode_fn *decode, const uint8_t *bytes, size_t n, const char *what, size_t where) {
    uint8_t *exact = malloc(n + !n);
    memcpy(exact, bytes, n);
    jc_arena *a = jc_arena_new(NULL);
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (!JC_GUARD(a, &guard))
        status = decode(exact, n, a, &err);
    jc_guard_end(a, &guard);
    ck_assert_msg(status == JITC_OK || (status == JITC_E_INPUT && err.message[0]), "%s at byte %zu: status %d, '%s'",
                  what, where, status, err.message);
    jc_arena_free(a);
    free(exact);
    return status;
}

static void damage(decode_fn *decode, jc_bytes bytes, const char *what) {
    ck_assert_int_eq(try_bytes(decode, bytes.at, bytes.n, what, 0), JITC_OK);
    for (size_t n = 0; n < bytes.n; n++)
        ck_assert_msg(try_bytes(decode, bytes.at, n, what, n) != JITC_OK, "%s cut to %zu bytes decodes", what, n);
    for (size_t i = 0; i < bytes.n; i++)
        for (unsigned flip = 1; flip < 0x200; flip <<= 1) {
            bytes.at[i] ^= flip < 0x100 ? flip : 0xff;
            try_bytes(decode, bytes.at, bytes.n, what, i);
            bytes.at[i] ^= flip < 0x100 ? flip : 0xff;
        }
    jc_put_u8(&bytes, 0);
    ck_assert_msg(try_bytes(decode, bytes.at, bytes.n, what, bytes.n) != JITC_OK, "%s with a byte more decodes", what);
}

START_TEST(test_kernel_damage) {
    damage(decode_kernel, kernel_bytes(kernels[_i].make()), kernels[_i].name);
}
END_TEST

/* ---- a sample plan ------------------------------------------------------------------------------------------------ */

#define PINT(v) jc_ex_int(p->ex, v)
#define PMUL(a, b) jc_ex_mul(p->ex, a, b)

static jc_type tensor_type(uint8_t dtype, uint8_t rank, const jc_expr *d0, const jc_expr *d1) {
    const jc_expr **dims = JC_NEWN(arena, const jc_expr *, 2);
    dims[0] = d0;
    dims[1] = d1;
    return (jc_type){ .kind = JC_TENSOR, .dtype = dtype, .rank = rank, .dims = dims };
}

static void sample_memory(jc_plan *p, const jc_expr *s0) {
    static const uint8_t kinds[] = { JC_NAME, JC_INT, JC_FLOAT, JC_BOOL, JC_SYMINT };
    p->ninputs = 7;
    p->inputs = JC_NEWN(arena, jc_plan_input, 7);
    p->inputs[0].type = tensor_type(JC_BF16, 2, s0, PINT(256));
    p->inputs[0].written = true;
    p->inputs[1].type = tensor_type(JC_BF16, 2, PINT(512), PINT(256));
    for (int i = 0; i < 5; i++)
        p->inputs[2 + i].type.kind = kinds[i];
    p->inputs[6].type.expr = jc_ex_add(p->ex, s0, PINT(1));

    p->nslots = 1;
    p->nescapes = 2;
    p->nbuffers = 4;
    p->buffers = JC_NEWN(arena, jc_plan_buffer, 4);
    p->buffers[0] = (jc_plan_buffer){ PMUL(PINT(1024), s0), 0, JC_PLAN_NONE, false };
    p->buffers[1] = (jc_plan_buffer){ PMUL(PINT(1024), s0), JC_PLAN_NONE, 1, false };
    p->buffers[2] = (jc_plan_buffer){ PINT(64), 0, JC_PLAN_NONE, false };
    p->buffers[3] = (jc_plan_buffer){ PINT(40), JC_PLAN_NONE, 0, true };

    const jc_expr **strides = JC_NEWN(arena, const jc_expr *, 2);
    strides[0] = PINT(512);
    strides[1] = PINT(1);
    p->ntensors = 6;
    p->tensors = JC_NEWN(arena, jc_plan_tensor, 6);
    p->tensors[0] = (jc_plan_tensor){ JC_HOME_INPUT, 0, PINT(0), p->inputs[0].type };
    p->tensors[1] = (jc_plan_tensor){ JC_HOME_INPUT, 1, PINT(256 * 256), tensor_type(JC_BF16, 2, PINT(256), PINT(256)) };
    p->tensors[2] = (jc_plan_tensor){ JC_HOME_BUFFER, 0, PINT(0), tensor_type(JC_BF16, 2, s0, PINT(512)) };
    p->tensors[3] = (jc_plan_tensor){ JC_HOME_BUFFER, 1, PINT(256), tensor_type(JC_BF16, 2, s0, PINT(256)) };
    p->tensors[3].type.strides = strides;
    p->tensors[4] = (jc_plan_tensor){ JC_HOME_BUFFER, 2, PINT(0), tensor_type(JC_F64, 0, NULL, NULL) };
    p->tensors[5] = (jc_plan_tensor){ JC_HOME_BUFFER, 3, PINT(0), tensor_type(JC_I64, 1, PINT(5), NULL) };
}

static void sample_launches(jc_plan *p, const jc_expr *s0) {
    p->nkernels = 2;
    p->kernels = JC_NEWN(arena, jc_plan_kernel, 2);
    for (unsigned i = 0; i < 2; i++) {
        memset(p->kernels[i].key.b, 0x1a + (int)i, JC_HASH_SIZE);
        jc_plan_kernel_name(i ? JC_K_MMA : JC_K_POINT, &p->kernels[i].key, p->kernels[i].name);
        p->kernels[i].threads = 128;
        p->kernels[i].shared = i * 1024;
    }
    jc_plan_step *l = &p->steps[0], *g = &p->steps[1];
    *l = (jc_plan_step){ .kind = JC_STEP_LAUNCH, .line = 12, .kernel = 0, .blocks = s0, .nkargs = 6 };
    l->kargs = JC_NEWN(arena, jc_plan_karg, 6);
    static uint32_t part = 2;
    l->kargs[0] = (jc_plan_karg){ .kind = JC_KARG_PTR, .access = JC_KARG_READS, .tensor = 0, .input = JC_PLAN_NONE };
    l->kargs[1] = (jc_plan_karg){ .kind = JC_KARG_PTR, .access = JC_KARG_WRITES, .tensor = 2, .input = JC_PLAN_NONE,
                                  .nparts = 1, .parts = &part };
    l->kargs[2] = (jc_plan_karg){ .kind = JC_KARG_I64, .expr = s0, .input = JC_PLAN_NONE };
    l->kargs[3] = (jc_plan_karg){ .kind = JC_KARG_I64, .input = 3 };
    l->kargs[4] = (jc_plan_karg){ .kind = JC_KARG_F64, .f = 1e-5, .input = JC_PLAN_NONE };
    l->kargs[5] = (jc_plan_karg){ .kind = JC_KARG_F64, .input = 4 };
    *g = (jc_plan_step){ .kind = JC_STEP_LAUNCH, .kernel = 1, .blocks = jc_ex_cdiv(p->ex, s0, PINT(64)),
                         .guard = s0, .lo = 17, .hi = INT64_MAX, .nkargs = 1, .kargs = l->kargs };
}

/* vllm::op(t0, t2, in2, key=[t4, {'k': 7}], 'auto', None, in5, s0, 0.5, True, in3, in4) -> t3 */
static void sample_call(jc_plan *p, const jc_expr *s0) {
    jc_plan_step *c = &p->steps[2];
    *c = (jc_plan_step){ .kind = JC_STEP_CALL, .line = 30, .op = "vllm::op", .nargs = 12, .nresults = 1, .writes = 5 };
    jc_plan_arg *a = c->args = JC_NEWN(arena, jc_plan_arg, 12);
    jc_plan_arg *list = JC_NEWN(arena, jc_plan_arg, 2), *dict = JC_NEWN(arena, jc_plan_arg, 1);
    a[0] = (jc_plan_arg){ .kind = JITC_TENSOR, .tensor = 0 };
    a[1] = (jc_plan_arg){ .kind = JITC_TENSOR, .tensor = 2 };
    a[2] = (jc_plan_arg){ .kind = JITC_NAME, .input = 2, .from_input = true };
    a[3] = (jc_plan_arg){ .kind = JITC_LIST, .key = "key", .list = { list, 2 } };
    list[0] = (jc_plan_arg){ .kind = JITC_TENSOR, .tensor = 4 };
    list[1] = (jc_plan_arg){ .kind = JITC_DICT, .list = { dict, 1 } };
    dict[0] = (jc_plan_arg){ .kind = JITC_INT, .key = "k", .expr = PINT(7) };
    a[4] = (jc_plan_arg){ .kind = JITC_STR, .str = "auto" };
    a[5] = (jc_plan_arg){ .kind = JITC_NONE };
    a[6] = (jc_plan_arg){ .kind = JITC_BOOL, .input = 5, .from_input = true };
    a[7] = (jc_plan_arg){ .kind = JITC_INT, .expr = s0 };
    a[8] = (jc_plan_arg){ .kind = JITC_FLOAT, .f = 0.5 };
    a[9] = (jc_plan_arg){ .kind = JITC_BOOL, .b = true };
    a[10] = (jc_plan_arg){ .kind = JITC_INT, .input = 3, .from_input = true };
    a[11] = (jc_plan_arg){ .kind = JITC_FLOAT, .input = 4, .from_input = true };
    c->results = JC_NEWN(arena, uint32_t, 1);
    c->results[0] = 3;
}

static jc_plan *sample_plan(void) {
    jc_plan *p = JC_NEW(arena, jc_plan);
    p->ex = jc_exprs_new(arena);
    p->nsyms = 1;
    jc_sym_add(p->ex, "anything");
    *jc_sym_at(p->ex, 0) = (jc_sym){ "anything", 16, 8192, 16 };
    const jc_expr *s0 = jc_ex_sym(p->ex, 0);
    sample_memory(p, s0);
    p->nsteps = 3;
    p->steps = JC_NEWN(arena, jc_plan_step, 3);
    sample_launches(p, s0);
    sample_call(p, s0);
    p->noutputs = 5;
    p->outputs = JC_NEWN(arena, jc_plan_output, 5);
    p->outputs[0] = (jc_plan_output){ .kind = JC_OUT_TENSOR, .index = 3 };
    p->outputs[1] = (jc_plan_output){ .kind = JC_OUT_TENSOR, .index = 5, .undefined = true };
    p->outputs[2] = (jc_plan_output){ .kind = JC_OUT_INPUT, .index = 1 };
    p->outputs[3] = (jc_plan_output){ .kind = JC_OUT_EXPR, .expr = PMUL(PINT(2), s0) };
    p->outputs[4] = (jc_plan_output){ .kind = JC_OUT_NONE };
    p->nchecks = 2;
    p->checks = JC_NEWN(arena, jc_condition, 2);
    p->checks[0] = (jc_condition){ .rel = JC_REL_LE, .line = 30, .a = s0, .b = PINT(4096) };
    p->checks[1] = (jc_condition){ .rel = JC_REL_EQ, .a = PMUL(PINT(2), s0), .b = PINT(64) };
    return p;
}

static const char plan_text[] =
    "s0: 16..8192 by 16\n"
    "in0: bf16[s0, 256] written\n"
    "in1: bf16[512, 256]\n"
    "in2: LayerName\n"
    "in3: int\n"
    "in4: float\n"
    "in5: bool\n"
    "in6: Sym(s0 + 1)\n"
    "b0: 1024*s0 bytes in slot 0\n"
    "b1: 1024*s0 bytes in escape 1\n"
    "b2: 64 bytes in slot 0\n"
    "b3: 40 bytes in escape 0\n"
    "t0: bf16[s0, 256] at in0\n"
    "t1: bf16[256, 256] at in1 + 65536\n"
    "t2: bf16[s0, 512] at b0\n"
    "t3: bf16[s0, 256][512, 1] at b1 + 256\n"
    "t4: f64[] at b2\n"
    "t5: i64[5] at b3\n"
    "k0: point_1a1a1a1a1a1a threads=128\n"
    "k1: mma_1b1b1b1b1b1b threads=128 shared=1024\n"
    "check s0 <= 4096  # line 30\n"
    "check 2*s0 == 64\n"
    "launch k0 [s0](t0, t2, s0, in3, 1.0000000000000001e-05, in4)  # line 12\n"
    /* s0 + 48, not 63: s0 is a multiple of 16 */
    "launch k1 [(s0 + 48)//64](t0) if 17 <= s0 <= 9223372036854775807\n"
    "call vllm::op(t0, t2, in2, key=[t4, {k=7}], 'auto', None, in5, s0, 0.5, True, in3, in4) -> t3"
    " writes operand 0, 2  # line 30\n"
    "return (t3, undefined t5, in1, 2*s0, None)\n";

static const char *text_of_plan(const jc_plan *p) {
    jc_bytes out = JC_BYTES(arena);
    jc_plan_print(p, &out);
    jc_put_u8(&out, 0);
    return (const char *)out.at;
}

static jc_bytes plan_bytes(const jc_plan *p) {
    jc_bytes out = JC_BYTES(arena);
    jc_plan_encode(p, &out);
    return out;
}

START_TEST(test_plan) {
    jc_plan *p = sample_plan(), *back = NULL;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_plan_verify(p, &err) == JITC_OK, "%s", err.message);
    ck_assert_str_eq(text_of_plan(p), plan_text);
    jc_bytes bytes = plan_bytes(p);
    ck_assert_msg(jc_plan_decode(bytes.at, bytes.n, arena, &back, &err) == JITC_OK, "%s", err.message);
    ck_assert_str_eq(text_of_plan(back), plan_text);
    jc_bytes again = plan_bytes(back);
    ck_assert(again.n == bytes.n && memcmp(again.at, bytes.at, bytes.n) == 0);
    ck_assert_str_eq(back->kernels[1].name, "mma_1b1b1b1b1b1b");
    ck_assert_uint_eq(back->steps[0].kargs[0].input, JC_PLAN_NONE);
    ck_assert_int_eq(back->steps[1].hi, INT64_MAX);
    ck_assert_ptr_null(back->tensors[2].type.strides);
    ck_assert_int_eq(jc_sym_at(back->ex, 0)->divisor, 16);
}
END_TEST

START_TEST(test_plan_damage) {
    damage(decode_plan, plan_bytes(sample_plan()), "plan");
}
END_TEST

/* Lists within lists: JC_PLAN_MAX_DEPTH are allowed, and bytes cannot make the decoder recurse further. */
START_TEST(test_plan_depth) {
    for (int depth = 1; depth < 40; depth++) {
        jc_plan *p = sample_plan();
        jc_plan_arg *at = &p->steps[2].args[5];
        for (int i = 0; i < depth; i++) {
            *at = (jc_plan_arg){ .kind = JITC_LIST, .list = { JC_NEWN(arena, jc_plan_arg, 1), 1 } };
            at = at->list.at;
        }
        jc_error err = JC_ERROR_INIT;
        bool good = depth <= JC_PLAN_MAX_DEPTH;
        ck_assert_msg((jc_plan_verify(p, &err) == JITC_OK) == good, "depth %d", depth);
        jc_bytes bytes = plan_bytes(p);
        ck_assert_int_eq(try_bytes(decode_plan, bytes.at, bytes.n, "depth", 0), good ? JITC_OK : JITC_E_INPUT);
    }
}
END_TEST

/* ---- plans that are refused --------------------------------------------------------------------------------------- */

#define SPOIL(name, ...) static void name(jc_plan *p) { __VA_ARGS__ }
#define ARG(i) p->steps[2].args[i]
SPOIL(no_syms, p->nsyms = 2;)
SPOIL(type_rank, p->inputs[0].type.rank = 9;)
SPOIL(type_dtype, p->inputs[0].type.dtype = JC_DTYPE_COUNT;)
SPOIL(type_kind, p->inputs[2].type.kind = 99;)
SPOIL(type_symint, p->inputs[6].type.expr = NULL;)
SPOIL(type_negative, p->tensors[2].type.dims = tensor_type(0, 2, PINT(-1), PINT(1)).dims;)
SPOIL(name_written, p->inputs[2].written = true;)
SPOIL(buffer_both, p->buffers[0].escape = 0;)
SPOIL(buffer_neither, p->buffers[0].slot = JC_PLAN_NONE;)
SPOIL(buffer_slot, p->buffers[0].slot = 1;)
SPOIL(buffer_escape, p->buffers[1].escape = 2;)
SPOIL(escape_twice, p->buffers[1].escape = 0;)
SPOIL(escape_missing, p->nescapes = 3;)
SPOIL(too_many_slots, p->nslots = 5;)
SPOIL(buffer_negative, p->buffers[2].bytes = PINT(-64);)
SPOIL(buffer_symbol, jc_sym_add(p->ex, "more"); p->buffers[2].bytes = jc_ex_sym(p->ex, 1);)
SPOIL(buffer_poison, p->buffers[2].bytes = PMUL(PINT(INT64_MAX), PINT(2));)
SPOIL(tensor_index, p->tensors[2].index = 4;)
SPOIL(tensor_home, p->tensors[2].home = 2;)
SPOIL(tensor_of_name, p->tensors[0].index = 2;)
SPOIL(tensor_kind, p->tensors[2].type.kind = JC_INT;)
SPOIL(tensor_before, p->tensors[2].offset = PINT(-1);)
SPOIL(tensor_beyond, p->tensors[4].offset = PINT(8);)
SPOIL(tensor_beyond_symbolic, p->tensors[2].offset = PMUL(PINT(512), jc_ex_sym(p->ex, 0));)
SPOIL(tensor_beyond_input, p->tensors[1].offset = PINT(256 * 256 + 1);)
SPOIL(tensor_huge, p->tensors[2].type.dims = tensor_type(0, 2, PINT(INT64_MAX), PINT(INT64_MAX)).dims;)
SPOIL(kernel_name, p->kernels[0].name[7] ^= 1;)
SPOIL(kernel_prefix, memcpy(p->kernels[0].name, "paint", 5);)
SPOIL(kernel_threads, p->kernels[0].threads = 0;)
SPOIL(kernel_shared, p->kernels[0].shared = 1 << 20;)
SPOIL(step_kind, p->steps[0].kind = 2;)
SPOIL(step_kernel, p->steps[0].kernel = 2;)
SPOIL(step_blocks, p->steps[0].blocks = NULL;)
SPOIL(step_blocks_negative, p->steps[0].blocks = PINT(-1);)
SPOIL(step_guard, p->steps[1].lo = 1; p->steps[1].hi = 0;)
SPOIL(step_same_n, p->steps[1].kernel = 0;)
SPOIL(step_same_kind, p->steps[1] = p->steps[0];
      p->steps[1].kargs = jc_arena_memdup(arena, p->steps[0].kargs, 6 * sizeof(jc_plan_karg));
      p->steps[1].kargs[2] = p->steps[0].kargs[0];)
SPOIL(karg_kind, p->steps[0].kargs[0].kind = 3;)
SPOIL(karg_tensor, p->steps[0].kargs[0].tensor = 6;)
SPOIL(karg_expr, p->steps[0].kargs[2].expr = NULL;)
SPOIL(karg_input, p->steps[0].kargs[3].input = 7;)
SPOIL(karg_input_kind, p->steps[0].kargs[3].input = 4;)
SPOIL(karg_float_input, p->steps[0].kargs[5].input = 3;)
SPOIL(karg_access, p->steps[0].kargs[0].access = 0;)
SPOIL(karg_parts_unwritten, p->steps[0].kargs[1].access = JC_KARG_READS;)
SPOIL(karg_part, p->steps[0].kargs[1].parts = JC_NEWN(arena, uint32_t, 1); p->steps[0].kargs[1].parts[0] = 6;)
SPOIL(karg_part_elsewhere, p->steps[0].kargs[1].parts = JC_NEWN(arena, uint32_t, 1); p->steps[0].kargs[1].parts[0] = 3;)
SPOIL(input_alias, p->inputs[0].alias = 8;)
SPOIL(input_alias_of_name, p->inputs[2].alias = 1;)
SPOIL(reads_unwritten, p->steps[0].kargs[0].tensor = 3;)
SPOIL(reads_before, jc_plan_step first = p->steps[0]; /* a kernel reads what the next one writes */
      first.kargs = jc_arena_memdup(arena, first.kargs, 6 * sizeof(jc_plan_karg));
      first.kargs[0].tensor = 2; first.kargs[1].tensor = 3; first.kargs[1].parts = JC_NEWN(arena, uint32_t, 1); first.kargs[1].parts[0] = 3;
      p->steps[1] = p->steps[0]; p->steps[0] = first;)
SPOIL(writes_what_it_reads, p->steps[0].kargs[0].tensor = 2;)
SPOIL(writes_the_slot_it_reads, p->steps[0].kargs[0].tensor = 4;)
SPOIL(writes_unmarked_input, p->steps[0].kargs[1].tensor = 0; p->inputs[0].written = false; p->steps[2].writes = 4;
      p->steps[0].kargs[1].parts = JC_NEWN(arena, uint32_t, 1); p->steps[0].kargs[0].tensor = 1;)
SPOIL(writes_its_alias, p->inputs[0].alias = p->inputs[1].alias = 1; p->steps[0].kargs[0].tensor = 1; p->steps[0].kargs[1].tensor = 0;
      p->steps[0].kargs[1].parts = JC_NEWN(arena, uint32_t, 1);)
SPOIL(output_unwritten, p->buffers[3].undefined = false; p->outputs[0] = (jc_plan_output){ .kind = JC_OUT_TENSOR, .index = 5 };)
SPOIL(karg_many, p->steps[0].nkargs = JC_KERNEL_MAX_ARGS + 1;
      p->steps[0].kargs = JC_NEWN(arena, jc_plan_karg, JC_KERNEL_MAX_ARGS + 1);)
SPOIL(op_none, p->steps[2].op = NULL;)
SPOIL(op_empty, p->steps[2].op = "";)
SPOIL(op_form, p->steps[2].op = "vllm.op";)
SPOIL(op_control, p->steps[2].op = "vllm::o\np";)
SPOIL(arg_kind, ARG(5).kind = 9;)
SPOIL(arg_tensor, ARG(0).tensor = 6;)
SPOIL(arg_name, ARG(2).input = 3;)
SPOIL(arg_name_far, ARG(2).input = 99;)
SPOIL(arg_lifted_tensor, ARG(0).from_input = true; ARG(0).kind = JITC_LIST;)
SPOIL(arg_lifted_kind, ARG(6).input = 4;)
SPOIL(arg_expr, ARG(7).expr = NULL;)
SPOIL(arg_str, ARG(4).str = NULL;)
SPOIL(arg_key, ARG(3).key = "";)
SPOIL(list_key, ARG(3).list.at[0].key = "k";)
SPOIL(dict_no_key, ARG(3).list.at[1].list.at[0].key = NULL;)
SPOIL(writes_many, p->steps[2].writes = 8;)
SPOIL(writes_input, p->inputs[0].written = false;)
SPOIL(result_far, p->steps[2].results[0] = 6;)
SPOIL(result_input, p->steps[2].results[0] = 1;)
SPOIL(out_kind, p->outputs[0].kind = 4;)
SPOIL(out_tensor, p->outputs[0].index = 6;)
SPOIL(out_arena, p->outputs[0].index = 2;)
SPOIL(out_input, p->outputs[2].index = 7;)
SPOIL(out_expr, p->outputs[3].expr = NULL;)
SPOIL(out_undefined, p->outputs[3].undefined = true;)
SPOIL(check_kind, p->checks[1].rel = JC_REL_COUNT;)
SPOIL(check_side, p->checks[1].b = NULL;)

static const struct {
    void (*spoil)(jc_plan *p);
    const char *word;
} plan_breakages[] = {
    { no_syms, "lists 2 symbols" },
    { check_kind, "Check 1 of a plan is of unknown kind 7" },
    { check_side, "check 1" },
    { type_rank, "rank 9" },
    { type_dtype, "dtype number" },
    { type_kind, "unknown kind 99" },
    { type_symint, "input 6" },
    { type_negative, "tensor 2 of a plan is negative" },
    { name_written, "cannot be written" },
    { buffer_both, "or in both" },
    { buffer_neither, "neither" },
    { buffer_slot, "slot 1 of 1" },
    { buffer_escape, "block 2 of 2" },
    { escape_twice, "both escape as number 0" },
    { escape_missing, "3 escapes" },
    { too_many_slots, "5 slots" },
    { buffer_negative, "size of buffer 2 of a plan is negative" },
    { buffer_symbol, "uses symbol 1 of 1" },
    { buffer_poison, "overflows" },
    { tensor_index, "buffer 4" },
    { tensor_home, "Tensor 2" },
    { tensor_of_name, "is no tensor" },
    { tensor_kind, "is no tensor" },
    { tensor_before, "offset of tensor 2" },
    { tensor_beyond, "beyond the end of buffer 2" },
    { tensor_beyond_symbolic, "beyond the end of buffer 0" },
    { tensor_beyond_input, "beyond the end of input 1" },
    { tensor_huge, "64 bits" },
    { kernel_name, "does not follow from its key" },
    { kernel_prefix, "does not follow from its key" },
    { kernel_threads, "0 threads" },
    { kernel_shared, "shared memory" },
    { step_kind, "unknown kind 2" },
    { step_kernel, "kernel 2 of 2" },
    { step_blocks, "no expression" },
    { step_blocks_negative, "negative" },
    { step_guard, "never run" },
    { step_same_n, "differ in number or kind" },
    { step_same_kind, "differ in number or kind" },
    { karg_kind, "argument 0" },
    { karg_tensor, "argument 0" },
    { karg_expr, "no expression" },
    { karg_input, "argument 3" },
    { karg_input_kind, "argument 3" },
    { karg_float_input, "argument 5" },
    { karg_access, "does not exist or does not fit" },
    { karg_parts_unwritten, "does not exist or does not fit" },
    { karg_part, "writes tensor 6 of 6" },
    { karg_part_elsewhere, "which lies elsewhere" },
    { input_alias, "alias group 8" },
    { input_alias_of_name, "alias group 1" },
    { reads_unwritten, "Step 0 of a plan reads tensor 3 in buffer 1, not all of which has been written" },
    { reads_before, "Step 0 of a plan reads tensor 2 in buffer 0, not all of which has been written" },
    { writes_what_it_reads, "may be the same memory" },
    { writes_the_slot_it_reads, "may be the same memory" },
    { writes_unmarked_input, "Step 0 of a plan writes input 0, which is not marked as written" },
    { writes_its_alias, "may be the same memory" },
    { output_unwritten, "not all of which is written" },
    { karg_many, "arguments; 500" },
    { op_none, "namespace::name" },
    { op_empty, "namespace::name" },
    { op_form, "namespace::name" },
    { op_control, "namespace::name" },
    { arg_kind, "unknown kind 9" },
    { arg_tensor, "tensor 6 of 6" },
    { arg_name, "input 3" },
    { arg_name_far, "input 99" },
    { arg_lifted_tensor, "unknown kind 7" },
    { arg_lifted_kind, "input 4" },
    { arg_expr, "no expression" },
    { arg_str, "string that is missing" },
    { arg_key, "no word" },
    { list_key, "list with keys" },
    { dict_no_key, "dict without" },
    { writes_many, "writes more tensors" },
    { writes_input, "not marked as written" },
    { result_far, "tensor 6" },
    { result_input, "is an input" },
    { out_kind, "unknown kind 4" },
    { out_tensor, "tensor 6 of 6" },
    { out_arena, "gone when the call ends" },
    { out_input, "input 7 of 7" },
    { out_expr, "no expression" },
    { out_undefined, "cannot be undefined" },
};

START_TEST(test_plan_breakage) {
    jc_plan *p = sample_plan();
    plan_breakages[_i].spoil(p);
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_plan_verify(p, &err) == JITC_E_COMPILE && strstr(err.message, plan_breakages[_i].word),
                  "row %d (%s): '%s'", _i, plan_breakages[_i].word, err.message);
}
END_TEST

/* ---- artifacts and targets ------------------------------------------------------------------------------------------ */

static jc_bytes artifact_bytes(const char *target, uint8_t kind) {
    static const uint8_t code[2][5] = { { 1, 2, 3, 4, 5 }, { 9 } };
    jc_bytes plan = plan_bytes(sample_plan()), out = JC_BYTES(arena);
    jc_code codes[2] = { { .kind = kind, .bytes = code[0], .nbytes = 5 }, { .kind = kind, .bytes = code[1], .nbytes = 0 } };
    memset(codes[0].key.b, 0x11, JC_HASH_SIZE);
    memset(codes[1].key.b, 0x22, JC_HASH_SIZE);
    jc_artifact a = { .plan = plan.at, .nplan = plan.n, .ncodes = 2, .codes = codes };
    ck_assert_int_eq(jc_target_parse(target, &a.target, NULL), JITC_OK);
    jc_artifact_encode(&a, &out);
    return out;
}

START_TEST(test_artifact) {
    jc_bytes bytes = artifact_bytes("sm_90a", JC_CODE_CUBIN);
    jc_artifact a;
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_artifact_decode(bytes.at, bytes.n, arena, &a, &err) == JITC_OK, "%s", err.message);
    ck_assert_int_eq(a.target.sm, 90);
    ck_assert_int_eq(a.target.suffix, 'a');
    ck_assert_uint_eq(a.ncodes, 2);
    ck_assert_uint_eq(a.codes[0].nbytes, 5);
    ck_assert_mem_eq(a.codes[0].bytes, "\1\2\3\4\5", 5);
    ck_assert_int_eq(a.codes[1].key.b[31], 0x22);
    ck_assert(a.codes[0].bytes > bytes.at && a.codes[0].bytes < bytes.at + bytes.n); /* borrowed */
    jc_plan *p = NULL;
    ck_assert_int_eq(jc_plan_decode(a.plan, a.nplan, arena, &p, &err), JITC_OK);

    bytes = artifact_bytes("host", JC_CODE_CUBIN); /* a cubin cannot run there */
    ck_assert_int_eq(jc_artifact_decode(bytes.at, bytes.n, arena, &a, &err), JITC_E_INPUT);
    bytes = artifact_bytes("sim", JC_CODE_OBJECT);
    ck_assert_int_eq(jc_artifact_decode(bytes.at, bytes.n, arena, &a, NULL), JITC_OK);
    damage(decode_artifact, artifact_bytes("sm_80", JC_CODE_PTX), "artifact");
}
END_TEST

static const struct {
    const char *text;
    bool good;
    uint8_t dialect;
    uint16_t sm;
    char suffix;
    const char *shown; /* up to the cpu */
} targets[] = {
    { "host", true, JC_DIALECT_HOST, 0, 0, "host (" },
    { "sim", true, JC_DIALECT_SIM, 80, 0, "sim:sm_80 (" },
    { "sim:sm_90a", true, JC_DIALECT_SIM, 90, 'a', "sim:sm_90a (" },
    { "sm_80", true, JC_DIALECT_NVPTX, 80, 0, "sm_80" },
    { "sm_90a", true, JC_DIALECT_NVPTX, 90, 'a', "sm_90a" },
    { "sm_100a", true, JC_DIALECT_NVPTX, 100, 'a', "sm_100a" },
    { "sm_120", true, JC_DIALECT_NVPTX, 120, 0, "sm_120" },
    { "", false, 0, 0, 0, NULL },
    { "sm_", false, 0, 0, 0, NULL },
    { "sm_80a", false, 0, 0, 0, NULL },
    { "sm_90b", false, 0, 0, 0, NULL },
    { "sm_90aa", false, 0, 0, 0, NULL },
    { "sm_65616", false, 0, 0, 0, NULL }, /* 80 in 16 bits */
    { "sm_42949673040", false, 0, 0, 0, NULL },
    { "hosts", false, 0, 0, 0, NULL },
    { "sim:", false, 0, 0, 0, NULL },
    { "sim:host", false, 0, 0, 0, NULL },
    { "cuda", false, 0, 0, 0, NULL },
};

START_TEST(test_target) {
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        jc_target t;
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_target_parse(targets[i].text, &t, &err);
        if (!targets[i].good) {
            ck_assert_msg(status == JITC_E_USAGE && strstr(err.message, "90a"), "'%s'", targets[i].text);
            continue;
        }
        ck_assert_msg(status == JITC_OK, "'%s': %s", targets[i].text, err.message);
        ck_assert_int_eq(t.dialect, targets[i].dialect);
        ck_assert_int_eq(t.sm, targets[i].sm);
        ck_assert_int_eq(t.suffix, targets[i].suffix);
        char text[64];
        jc_target_text(&t, text);
        ck_assert_msg(strncmp(text, targets[i].shown, strlen(targets[i].shown)) == 0, "'%s'", text);
        ck_assert_int_eq(t.cpu[0] != 0, t.dialect != JC_DIALECT_NVPTX);

        jc_bytes bytes = JC_BYTES(arena), again = JC_BYTES(arena);
        jc_target_encode(&t, &bytes);
        jc_reader r = JC_READER(bytes.at, bytes.n);
        jc_target back;
        ck_assert_int_eq(jc_target_decode(&r, &back), JITC_OK);
        ck_assert(!r.bad && r.at == r.end);
        jc_target_encode(&back, &again);
        ck_assert(again.n == bytes.n && memcmp(again.at, bytes.at, bytes.n) == 0);
        ck_assert_str_eq(back.cpu, t.cpu);

        t.quick = true; /* another target, which only a CPU is */
        jc_bytes other = JC_BYTES(arena);
        jc_target_encode(&t, &other);
        ck_assert(!jc_target_same(&t, &back) && (other.n != bytes.n || memcmp(other.at, bytes.at, bytes.n) != 0));
        r = (jc_reader)JC_READER(other.at, other.n);
        ck_assert_int_eq(jc_target_decode(&r, &back), t.dialect == JC_DIALECT_NVPTX ? JITC_E_INPUT : JITC_OK);
        ck_assert(t.dialect == JC_DIALECT_NVPTX || jc_target_same(&t, &back));
    }
}
END_TEST

static jc_target target_of(const char *text) {
    const char *at = strchr(text, '/'); /* "host/x86-64-v3": on that CPU */
    char name[32];
    jc_target t;
    snprintf(name, sizeof name, "%.*s", (int)(at ? (size_t)(at - text) : strlen(text)), text);
    if (strcmp(name, "sm_121") == 0) { /* a device later than all we know */
        ck_assert(jc_target_of_gpu(12, 1, &t, NULL));
        return t;
    }
    ck_assert_int_eq(jc_target_parse(name, &t, NULL), JITC_OK);
    if (at)
        snprintf(t.cpu, sizeof t.cpu, "%s", at + 1);
    return t;
}

/* Who runs what: machine code within a major number from its own minor on, PTX on all that is later, what has a suffix on its own
   number alone; CPUs what is for their level or one below; a simulator the schedules of its architecture. */
static const struct {
    const char *code, *device;
    bool cubin, ptx;
} pairs[] = {
    { "sm_80", "sm_80", true, true },   { "sm_80", "sm_86", true, true },     { "sm_86", "sm_80", false, false },
    { "sm_80", "sm_90a", false, true }, { "sm_89", "sm_90a", false, true },   { "sm_90", "sm_90a", true, true },
    { "sm_90a", "sm_90a", true, true }, { "sm_90a", "sm_90", true, true },    { "sm_90a", "sm_100a", false, false },
    { "sm_100", "sm_103a", true, true }, { "sm_100a", "sm_103a", false, false }, { "sm_100", "sm_120", false, true },
    { "sm_120", "sm_121", true, true }, { "sm_120a", "sm_121", false, false }, { "sm_80", "host", false, false },
    { "host", "sm_80", false, false },
    { "host/x86-64-v3", "host/x86-64-v3", true, false }, { "host/x86-64-v3", "host/x86-64-v4", true, false },
    { "host/x86-64", "host/x86-64-v2", true, false },    { "host/x86-64-v4", "host/x86-64-v3", false, false },
    { "host/x86-64", "host/generic", false, false },     { "host/generic", "host/generic", true, false },
    { "host/x86-64-v10", "host/x86-64-v4", false, false },
    { "host/x86-64-v4", "host/x86-64-v4-bf16", true, false }, { "host/x86-64-v4-bf16", "host/x86-64-v4", false, false },
    { "host/x86-64-v4-bf16", "host/x86-64-v4-amx", true, false }, { "host/x86-64-v4-amx", "host/x86-64-v4-bf16", false, false },
    { "sim/x86-64-v3", "sim:sm_90a/x86-64-v3", false, false }, { "sim/x86-64-v4", "sim/x86-64-v3", false, false },
    { "sim", "host", false, false },
};

START_TEST(test_runs_on) {
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        jc_target code = target_of(pairs[i].code), device = target_of(pairs[i].device);
        ck_assert_msg(jc_target_runs_on(&code, &device, false) == pairs[i].cubin, "%s on %s", pairs[i].code, pairs[i].device);
        if (jc_target_is_gpu(&code))
            ck_assert_msg(jc_target_runs_on(&code, &device, true) == pairs[i].ptx, "PTX of %s on %s", pairs[i].code,
                          pairs[i].device);
    }
}
END_TEST

/* Each suits the last better than the one before. */
START_TEST(test_nearest) {
    static const char *const orders[][5] = {
        { "sm_80", "sm_86", "sm_90", "sm_90a" },
        { "host/x86-64", "host/x86-64-v2", "host/x86-64-v3", "host/x86-64-v4" },
        { "host/x86-64-v2", "host/x86-64-v3", "host/x86-64-v4", "host/x86-64-v4-bf16" },
        { "host/x86-64-v3", "host/x86-64-v4", "host/x86-64-v4-bf16", "host/x86-64-v4-amx" },
        { "sim/x86-64", "sim/x86-64-v2", "sim/x86-64-v3", "sim/x86-64-v4" },
    };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        jc_target device = target_of(orders[i][3]);
        unsigned before = 0;
        for (int k = 0; k < 4; k++) {
            jc_target code = target_of(orders[i][k]);
            unsigned now = jc_target_suits(&code, &device, true);
            ck_assert_msg(now > before, "%s suits %s no better than what comes before", orders[i][k], orders[i][3]);
            before = now;
        }
    }
}
END_TEST

static const struct {
    int major, minor;
    const char *name; /* NULL: too old */
    unsigned kib, ptx;
} gpus[] = { { 7, 5, NULL, 0, 0 },       { 8, 0, "sm_80", 163, 80 },   { 8, 6, "sm_86", 99, 80 },    { 8, 9, "sm_89", 99, 81 },
             { 9, 0, "sm_90a", 227, 81 }, { 10, 0, "sm_100a", 227, 86 }, { 10, 3, "sm_103a", 227, 88 }, { 12, 0, "sm_120", 99, 87 },
             { 12, 1, "sm_121", 99, 87 } };

START_TEST(test_facts) {
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++) {
        char name[32];
        const char *oldest;
        jc_target t;
        ck_assert_int_eq(jc_target_of_gpu(gpus[i].major, gpus[i].minor, &t, &oldest), gpus[i].name != NULL);
        ck_assert_str_eq(oldest, "sm_80");
        if (!gpus[i].name)
            continue;
        const jc_target_facts *f = jc_target_facts_of(&t);
        jc_target_name(&t, name);
        ck_assert_str_eq(name, gpus[i].name);
        ck_assert_uint_eq(f->shared, gpus[i].kib * 1024);
        ck_assert_uint_eq(f->ptx, gpus[i].ptx);
        ck_assert(f->warp == 32 && f->threads == 1024 && f->registers == 255 && f->tensor_cores);
    }
    jc_target host = target_of("host/x86-64-v3"), sim = target_of("sim/x86-64-v4");
    ck_assert(jc_target_facts_of(&host)->vector == 8 && jc_target_facts_of(&host)->f16 && jc_target_facts_of(&host)->warp == 1);
    ck_assert_uint_eq(jc_target_facts_of(&sim)->vector, 16); /* the code is this CPU's, the schedule a GPU's */
    ck_assert_uint_eq(jc_target_schedule_facts(&sim)->warp, 32);
    ck_assert(!jc_target_schedule_facts(&host)->tensor_cores);
    jc_target bf16 = target_of("host/x86-64-v4-bf16");
    ck_assert(jc_target_facts_of(&bf16)->pairs && jc_target_facts_of(&bf16)->vector == 16 && !jc_target_facts_of(&bf16)->tiles);
    jc_target amx = target_of("host/x86-64-v4-amx");
    ck_assert(jc_target_facts_of(&amx)->pairs && jc_target_facts_of(&amx)->tiles);
    ck_assert(!jc_target_facts_of(&host)->pairs && !jc_target_facts_of(&sim)->pairs);
}
END_TEST

#if defined(__x86_64__)
/* Our own cpuid against the compiler's. */
START_TEST(test_cpu) {
    jc_target t;
    ck_assert_int_eq(jc_target_parse("host", &t, NULL), JITC_OK);
    __builtin_cpu_init();
    bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
    bool bf16 = v4 && __builtin_cpu_supports("avx512bf16");
    /* A container may deny tiles to what the CPU has them for. */
    bool amx = bf16 && __builtin_cpu_supports("amx-bf16") && strcmp(t.cpu, "x86-64-v4-bf16") != 0;
    ck_assert_str_eq(t.cpu, amx ? "x86-64-v4-amx" : bf16 ? "x86-64-v4-bf16" : v4 ? "x86-64-v4" : v3 ? "x86-64-v3" : v2 ? "x86-64-v2" : "x86-64");
}
END_TEST
#endif

#define ROWS(table) ((int)(sizeof table / sizeof *table))

int main(void) {
    Suite *suite = suite_create("plan");
    TCase *tc = tcase_create("plan");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_kernel, 0, NKERNELS);
    tcase_add_test(tc, test_kernel_bytes_differ);
    tcase_add_loop_test(tc, test_kernel_breakage, 0, ROWS(kernel_breakages));
    tcase_add_loop_test(tc, test_kernel_damage, 0, NKERNELS);
    tcase_add_test(tc, test_plan);
    tcase_add_test(tc, test_plan_damage);
    tcase_add_test(tc, test_plan_depth);
    tcase_add_loop_test(tc, test_plan_breakage, 0, ROWS(plan_breakages));
    tcase_add_test(tc, test_artifact);
    tcase_add_test(tc, test_target);
    tcase_add_test(tc, test_runs_on);
    tcase_add_test(tc, test_nearest);
    tcase_add_test(tc, test_facts);
#if defined(__x86_64__)
    tcase_add_test(tc, test_cpu);
#endif
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
