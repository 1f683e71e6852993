/*
 * tests/check_codegen.c - kernels of all families, on the host and in the simulator, against plain loops.
 *
 * Each case runs twice: by the host's schedule, and by a GPU's in the simulator, which checks accesses, barriers and
 * races on the way.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jit/llvm/backend.h"
#include "tests/kernel_help.h"
#include "tests/many.h"

static const char *const targets[] = { "host", "sim" };
enum { HOST, SIM, NTARGETS };

static void *room(kb *b, jc_dtype dtype, int64_t n) {
    size_t size = (size_t)n * jc_dtypes[dtype].size;
    uint8_t *at = jc_arena_alloc(b->arena, size + 64);
    return (void *)(((uintptr_t)at + 63) & ~(uintptr_t)63);
}

static size_t bytes(jc_dtype dtype, int64_t n) {
    return (size_t)n * jc_dtypes[dtype].size;
}

/* Relative to the largest of what is compared, as a sum's error is. */
static void close_to(double got, double want, double tolerance, double magnitude, const char *what, int64_t i) {
    if (isnan(want) || isinf(want)) {
        ck_assert_msg(isnan(want) ? isnan(got) : got == want, "%s, element %lld: %.9g instead of %.9g", what, (long long)i,
                      got, want);
        return;
    }
    ck_assert_msg(fabs(got - want) <= tolerance * (fabs(want) + magnitude), "%s, element %lld: %.9g instead of %.9g", what,
                  (long long)i, got, want);
}

static double tolerance_of(jc_dtype dtype) {
    switch (dtype) {
    case JC_BF16: return 0x1p-8;
    case JC_F16: return 0x1p-11;
    case JC_F64: return 1e-14;
    default: return 3e-6;
    }
}

/* ---- POINT ---------------------------------------------------------------------------------------------------- */

/* y = silu(a) * b + c over 1 to 4 dims: contiguous, broadcast, transposed. */
static const struct point_row {
    const char *name;
    unsigned rank;
    int64_t dims[4];
    int64_t a[4], b[4];  /* strides */
    jc_dtype dtype;
    unsigned vec, unroll, threads;
    int64_t shift;       /* a starts this many elements into its tensor */
} points[] = {
    { "one", 1, { 1 }, { 1 }, { 1 }, JC_F32, 1, 1, 32, 0 },
    { "ragged", 1, { 1003 }, { 1 }, { 1 }, JC_F32, 1, 2, 64, 0 },
    { "vector", 1, { 1024 }, { 1 }, { 1 }, JC_BF16, 8, 1, 64, 0 },
    { "vector tail", 1, { 1000 }, { 1 }, { 0 }, JC_BF16, 8, 2, 32, 0 },
    { "shifted", 1, { 1000 }, { 1 }, { 1 }, JC_F32, 4, 1, 32, 2 },
    { "odd shift", 1, { 1000 }, { 1 }, { 1 }, JC_F16, 8, 1, 32, 3 },
    { "rows", 2, { 13, 48 }, { 48, 1 }, { 0, 1 }, JC_F32, 4, 1, 32, 0 },
    { "columns", 2, { 13, 48 }, { 48, 1 }, { 1, 0 }, JC_F16, 8, 1, 32, 0 },
    { "transposed", 2, { 24, 40 }, { 1, 24 }, { 40, 1 }, JC_F32, 4, 1, 64, 0 },
    { "reversed", 2, { 5, 16 }, { 16, -1 }, { 16, 1 }, JC_F32, 8, 1, 32, 15 },
    { "three", 3, { 3, 5, 24 }, { 120, 24, 1 }, { 24, 0, 1 }, JC_BF16, 8, 1, 32, 0 },
    { "four", 4, { 2, 3, 4, 7 }, { 84, 28, 7, 1 }, { 1, 2, 6, 24 }, JC_F32, 1, 2, 32, 0 },
};

static void point_case(const struct point_row *r, int t) {
    kb *b = kb_new(JC_K_POINT, r->rank);
    int64_t n = 1, y_strides[4], at[4] = { 0 };
    for (unsigned d = r->rank; d-- > 0; n *= r->dims[d]) {
        kb_extent(b, d, r->dims[d]);
        y_strides[d] = n;
    }
    unsigned pa = kb_ptr(b, r->dtype, false), pb = kb_ptr(b, r->dtype, false), py = kb_ptr(b, r->dtype, true);
    unsigned c = kb_float(b);
    uint32_t x = kb_load(b, pa, kb_add(b, kb_strided(b, r->a), kb_const(b, r->shift)));
    uint32_t e = kb_op(b, JC_T_EXP, kb_op(b, JC_T_NEG, x, 0, 0), 0, 0);
    uint32_t s = kb_op(b, JC_T_DIV, x, kb_op(b, JC_T_ADD, e, kb_f(b, 1), 0), 0);
    uint32_t m = kb_op(b, JC_T_MUL, s, kb_load(b, pb, kb_strided(b, r->b)), 0);
    jc_instr scalar = { .op = JC_T_SCALAR, .ct = JC_CT_F32, .arg = (uint16_t)c };
    jc_push(b->arena, &b->tape, scalar);
    kb_store(b, py, kb_strided(b, y_strides), kb_op(b, JC_T_ADD, m, (uint32_t)b->tape.n - 1, 0));
    b->k.threads = t == HOST ? 1 : (uint16_t)r->threads;
    b->k.vec = (uint16_t)r->vec;
    b->k.unroll = (uint16_t)(t == HOST ? 16 * r->unroll : r->unroll);

    void *a = room(b, r->dtype, n + 32), *w = room(b, r->dtype, n + 32), *y = room(b, r->dtype, n);
    fill_random(r->dtype, a, n + 32, -4, 4, 1);
    fill_random(r->dtype, w, n + 32, -2, 2, 2);
    value args[4] = { { .p = a }, { .p = w }, { .p = y }, { .f = 0.375 } };
    size_t sizes[4] = { bytes(r->dtype, n + r->shift), bytes(r->dtype, n), bytes(r->dtype, n), 0 };
    kb_run(b, targets[t], args, sizes);
    for (int64_t i = 0; i < n; i++) {
        int64_t ia = r->shift, ib = 0;
        for (unsigned d = 0; d < r->rank; d++)
            ia += at[d] * r->a[d], ib += at[d] * r->b[d];
        double xv = dtype_get(r->dtype, a, ia), bv = dtype_get(r->dtype, w, ib);
        close_to(dtype_get(r->dtype, y, i), xv / (1 + exp(-xv)) * bv + 0.375, tolerance_of(r->dtype), 0.1, r->name, i);
        for (unsigned d = r->rank; d-- > 0;) {
            if (++at[d] < r->dims[d])
                break;
            at[d] = 0;
        }
    }
    kb_free(b);
}

START_TEST(test_point) {
    point_case(&points[_i / NTARGETS], _i % NTARGETS);
}
END_TEST

/* Sizes known at run time only, too many for 32 bits as far as the kernel knows. */
START_TEST(test_point_symbolic) {
    int t = _i;
    kb *b = kb_new(JC_K_POINT, 3);
    const jc_expr *n = kb_int(b, 1, JC_SYM_MAX, 1);
    kb_extent_of(b, 0, n, JC_SYM_MAX);
    kb_extent(b, 1, 6);
    kb_extent(b, 2, 40);
    unsigned x = kb_ptr(b, JC_BF16, false), y = kb_ptr(b, JC_BF16, true);
    const int64_t in[3] = { 40, 0, 1 }, out[3] = { 240, 40, 1 };
    uint32_t v = kb_load(b, x, kb_strided(b, in));
    uint32_t head = kb_convert(b, JC_CT_F32, kb_index(b, kb_loop(b, 1)));
    kb_store(b, y, kb_strided(b, out), kb_op(b, JC_T_MUL, v, head, 0));
    b->k.threads = t == HOST ? 1 : 64;
    b->k.vec = 8;
    b->k.unroll = 2;
    int64_t rows = 7;
    void *px = room(b, JC_BF16, rows * 40), *py = room(b, JC_BF16, rows * 240);
    fill_random(JC_BF16, px, rows * 40, -1, 1, 3);
    value args[3] = { { .i = rows }, { .p = px }, { .p = py } };
    size_t sizes[3] = { 0, bytes(JC_BF16, rows * 40), bytes(JC_BF16, rows * 240) };
    kb_run(b, targets[t], args, sizes);
    for (int64_t i = 0; i < rows * 240; i++)
        close_to(dtype_get(JC_BF16, py, i), dtype_get(JC_BF16, px, i / 240 * 40 + i % 40) * (double)(i / 40 % 6), 0x1p-8, 0,
                 "symbolic", i);
    kb_free(b);
}
END_TEST

/* y[i, j] = table[ids[i], j]: uniform index, a run; and z[i, j] = x[i, perm[j]]: an index per lane. */
START_TEST(test_point_gather) {
    int t = _i;
    kb *b = kb_new(JC_K_POINT, 2);
    kb_extent(b, 0, 9);
    kb_extent(b, 1, 32);
    unsigned table = kb_ptr(b, JC_F32, false), ids = kb_ptr(b, JC_I32, false), perm = kb_ptr(b, JC_I64, false);
    unsigned y = kb_ptr(b, JC_F32, true), z = kb_ptr(b, JC_F32, true);
    const int64_t row[2] = { 32, 1 };
    const jc_expr *id = kb_tape_sym(b, kb_load(b, ids, kb_loop(b, 0)), 0, 19);
    kb_store(b, y, kb_strided(b, row), kb_load(b, table, kb_add(b, kb_muli(b, id, 32), kb_loop(b, 1))));
    const jc_expr *p = kb_tape_sym(b, kb_load(b, perm, kb_loop(b, 1)), 0, 31);
    kb_store(b, z, kb_strided(b, row), kb_load(b, table, kb_add(b, kb_muli(b, kb_loop(b, 0), 32), p)));
    b->k.threads = t == HOST ? 1 : 32;
    b->k.vec = 4;
    b->k.unroll = t == HOST ? 20 : 1;
    float *pt = room(b, JC_F32, 640), *py = room(b, JC_F32, 288), *pz = room(b, JC_F32, 288);
    int32_t *pi = room(b, JC_I32, 9);
    int64_t *pp = room(b, JC_I64, 32);
    fill_random(JC_F32, pt, 640, -1, 1, 4);
    for (int i = 0; i < 9; i++)
        pi[i] = (i * 7 + 3) % 20;
    for (int i = 0; i < 32; i++)
        pp[i] = (i * 13 + 5) % 32;
    value args[5] = { { .p = pt }, { .p = pi }, { .p = pp }, { .p = py }, { .p = pz } };
    size_t sizes[5] = { 2560, 36, 256, 1152, 1152 };
    kb_run(b, targets[t], args, sizes);
    for (int i = 0; i < 288; i++) {
        ck_assert_float_eq(py[i], pt[pi[i / 32] * 32 + i % 32]);
        ck_assert_float_eq(pz[i], pt[i / 32 * 32 + pp[i % 32]]);
    }
    kb_free(b);
}
END_TEST

/* x[i, j] += x[i, j] * 2 in place, and heads: an index with // and % that end inside of the row. */
START_TEST(test_point_in_place) {
    int t = _i;
    kb *b = kb_new(JC_K_POINT, 2);
    kb_extent(b, 0, 5);
    kb_extent(b, 1, 64);
    unsigned x = kb_ptr(b, JC_F32, true), s = kb_ptr(b, JC_F32, false);
    const int64_t row[2] = { 64, 1 };
    jc_exprs *ex = b->k.ex;
    const jc_expr *head = jc_ex_fdiv(ex, kb_loop(b, 1), kb_const(b, 16));
    const jc_expr *swap = kb_add(b, kb_muli(b, head, 16), jc_ex_mod(ex, kb_add(b, kb_loop(b, 1), kb_const(b, 8)), kb_const(b, 16)));
    uint32_t v = kb_load(b, x, kb_strided(b, row));
    uint32_t scale = kb_load(b, s, kb_add(b, head, kb_muli(b, kb_loop(b, 0), 4)));
    uint32_t other = kb_load(b, s, swap);
    kb_store(b, x, kb_strided(b, row), kb_op(b, JC_T_ADD, kb_op(b, JC_T_MUL, v, scale, 0), other, 0));
    b->k.threads = t == HOST ? 1 : 32;
    b->k.vec = 8;
    b->k.unroll = 2;
    float *px = room(b, JC_F32, 320), *ps = room(b, JC_F32, 64), *old = room(b, JC_F32, 320);
    fill_random(JC_F32, old, 320, -1, 1, 5);
    fill_random(JC_F32, ps, 64, -1, 1, 6);
    value args[2] = { { .p = px }, { .p = ps } };
    size_t sizes[2] = { 1280, 256 };
    memcpy(px, old, 1280);
    setenv("JITC_TEST_ONE_SEED", "1", 1);
    kb_run(b, targets[t], args, sizes);
    unsetenv("JITC_TEST_ONE_SEED");
    for (int i = 0; i < 320; i++) {
        int j = i % 64;
        double want = (double)old[i] * (double)ps[j / 16 + i / 64 * 4] + (double)ps[j / 16 * 16 + (j + 8) % 16];
        close_to((double)px[i], want, 1e-6, 0.1, "in place", i);
    }
    kb_free(b);
}
END_TEST

/* ---- dtypes --------------------------------------------------------------------------------------------------- */

static double specials[] = { 0.0, -0.0, 1, -1, 0.5, 2.5, 3.5, -2.5, 0x1p-149, 0x1p-126, -0x1p-130, 448, 464, 465, 480, 1e6, -1e6, 57344,
                             61440, 65504, 65519, 65520, 65536, 3.3e38, 0x1p-9, 0x1p-10, 1.5 * 0x1p-10, 0x1p-24, 0x1p-25,
                             1.5 * 0x1p-25, 0x1p-16, 0x1p-17, 1.0 + 0x1p-8, 1.0 + 0x1.8p-7, 127, 128, 255, 256, -128, -129,
                             1.9, -1.9, 100.75, 0x1p51, 0x1.8p52, 0x1p60, -1e22, 1e30, 2.5e37, INFINITY, -INFINITY, NAN };
enum { NSPECIALS = sizeof specials / sizeof *specials };

/* From each dtype to each: load, convert between compute types, store. */
START_TEST(test_casts) {
    int t = _i % NTARGETS;
    jc_dtype from = (jc_dtype)(_i / NTARGETS);
    for (int to = 0; to < JC_DTYPE_COUNT; to++) {
        kb *b = kb_new(JC_K_POINT, 1);
        int64_t n = NSPECIALS + 2;
        kb_extent(b, 0, n);
        unsigned x = kb_ptr(b, from, false), y = kb_ptr(b, (jc_dtype)to, true);
        uint32_t v = kb_load(b, x, kb_loop(b, 0));
        bool in_32 = to == JC_I8 || to == JC_I16 || to == JC_I32;
        if (in_32 && jc_dtypes[from].cls == 'f')
            v = kb_whole(b, v);
        else if (b->tape.at[v].ct != jc_compute_type((jc_dtype)to))
            v = kb_convert(b, jc_compute_type((jc_dtype)to), v);
        kb_store(b, y, kb_loop(b, 0), v);
        b->k.threads = t == HOST ? 1 : 32;
        b->k.vec = 2;
        b->k.unroll = t == HOST ? 8 : 1;
        void *px = room(b, from, n), *py = room(b, (jc_dtype)to, n);
        for (int64_t i = 0; i < n; i++) {
            double s = i < NSPECIALS ? specials[i] : 3;
            if (jc_dtypes[from].cls != 'f' && !(fabs(s) < 1e9))
                s = 77;
            if (from == JC_U8 && s < 0)
                s = -s;
            dtype_set(from, px, i, s);
        }
        value args[2] = { { .p = px }, { .p = py } };
        size_t sizes[2] = { bytes(from, n), bytes((jc_dtype)to, n) };
        kb_run(b, targets[t], args, sizes);
        for (int64_t i = 0; i < n; i++) {
            double in = dtype_get(from, px, i), got = dtype_get((jc_dtype)to, py, i);
            uint64_t want_at[1] = { 0 };
            bool integer = jc_dtypes[to].cls == 'i' || jc_dtypes[to].cls == 'u';
            if (integer && !(fabs(in) < (in_32 ? 0x1p31 : 0x1p63))) { /* what holds it goes by the processor, then it wraps */
                int64_t least = in_32 ? INT32_MIN : INT64_MIN, most = in_32 ? INT32_MAX : INT64_MAX;
                *(int64_t *)want_at = t == HOST || in < 0 ? least : isnan(in) ? (in_32 && from != JC_F64 ? 0 : least) : most;
            } else
                dtype_set((jc_dtype)to, want_at, 0, in);
            double want = dtype_get((jc_dtype)to, want_at, 0);
            bool same = isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want);
            ck_assert_msg(same, "%s -> %s on %s: %.9g gives %.9g instead of %.9g", jc_dtypes[from].name, jc_dtypes[to].name,
                          targets[t], in, got, want);
        }
        kb_free(b);
    }
}
END_TEST

/* ---- every instruction ---------------------------------------------------------------------------------------- */

typedef double (*real_fn)(double, double);
static double f_neg(double a, double b) { (void)b; return -a; }
static double f_abs(double a, double b) { (void)b; return fabs(a); }
static double f_exp(double a, double b) { (void)b; return exp(a); }
static double f_exp2(double a, double b) { (void)b; return exp2(a); }
static double f_log(double a, double b) { (void)b; return log(a); }
static double f_sqrt(double a, double b) { (void)b; return sqrt(a); }
static double f_rsqrt(double a, double b) { (void)b; return 1 / sqrt(a); }
static double f_rcp(double a, double b) { (void)b; return 1 / a; }
static double f_sin(double a, double b) { (void)b; return sin(a); }
static double f_cos(double a, double b) { (void)b; return cos(a); }
static double f_tanh(double a, double b) { (void)b; return tanh(a); }
static double f_erf(double a, double b) { (void)b; return erf(a); }
static double f_expm1(double a, double b) { (void)b; return expm1(a); }
static double f_log1p(double a, double b) { (void)b; return log1p(a); }
static double f_log2(double a, double b) { (void)b; return log2(a); }
static double f_log10(double a, double b) { (void)b; return log10(a); }
static double f_tan(double a, double b) { (void)b; return tan(a); }
static double f_asin(double a, double b) { (void)b; return asin(a); }
static double f_acos(double a, double b) { (void)b; return acos(a); }
static double f_atan(double a, double b) { (void)b; return atan(a); }
static double f_sinh(double a, double b) { (void)b; return sinh(a); }
static double f_cosh(double a, double b) { (void)b; return cosh(a); }
static double f_asinh(double a, double b) { (void)b; return asinh(a); }
static double f_acosh(double a, double b) { (void)b; return acosh(a); }
static double f_atanh(double a, double b) { (void)b; return atanh(a); }
static double f_erfc(double a, double b) { (void)b; return erfc(a); }
static double f_rint(double a, double b) { (void)b; return nearbyint(a); }
static double f_atan2(double a, double b) { return atan2(a, b); }
static double f_hypot(double a, double b) { return hypot(a, b); }
static double f_floor(double a, double b) { (void)b; return floor(a); }
static double f_ceil(double a, double b) { (void)b; return ceil(a); }
static double f_add(double a, double b) { return a + b; }
static double f_sub(double a, double b) { return a - b; }
static double f_mul(double a, double b) { return a * b; }
static double f_div(double a, double b) { return a / b; }
static double f_pow(double a, double b) { return pow(a, b); }
static double f_min(double a, double b) { return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }
static double f_max(double a, double b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }

static const struct real_row {
    jc_tape_op op;
    real_fn want;
    double ulps;   /* of f32; f64 gets twice that */
    double limit;  /* |a| above this is left out; 0: none */
} reals[] = {
    { JC_T_NEG, f_neg, 0, 0 },      { JC_T_ABS, f_abs, 0, 0 },    { JC_T_EXP, f_exp, 2, 0 },
    { JC_T_EXP2, f_exp2, 2, 0 },    { JC_T_LOG, f_log, 2, 0 },    { JC_T_SQRT, f_sqrt, 0.51, 0 },
    { JC_T_RSQRT, f_rsqrt, 1.6, 0 }, { JC_T_RCP, f_rcp, 0.51, 0 }, { JC_T_SIN, f_sin, 2, 0 },
    { JC_T_COS, f_cos, 2, 0 },   { JC_T_TANH, f_tanh, 3, 0 },  { JC_T_ERF, f_erf, 3, 0 },
    { JC_T_EXPM1, f_expm1, 3, 0 }, { JC_T_LOG1P, f_log1p, 3, 0 }, { JC_T_LOG2, f_log2, 3, 0 },
    { JC_T_LOG10, f_log10, 3, 0 }, { JC_T_TAN, f_tan, 3, 0 }, { JC_T_ASIN, f_asin, 4, 0 },
    { JC_T_ACOS, f_acos, 4, 0 }, { JC_T_ATAN, f_atan, 4, 0 }, { JC_T_SINH, f_sinh, 4, 0 },
    { JC_T_COSH, f_cosh, 4, 0 }, { JC_T_ASINH, f_asinh, 4, 0 }, { JC_T_ACOSH, f_acosh, 4, 0 },
    { JC_T_ATANH, f_atanh, 4, 0 }, { JC_T_ERFC, f_erfc, 4, 0 }, { JC_T_RINT, f_rint, 0, 0 },
    { JC_T_ATAN2, f_atan2, 3, 0 }, { JC_T_HYPOT, f_hypot, 2, 0 },
    { JC_T_FLOOR, f_floor, 0, 0 },  { JC_T_CEIL, f_ceil, 0, 0 },  { JC_T_ADD, f_add, 0.51, 0 },
    { JC_T_SUB, f_sub, 0.51, 0 },   { JC_T_MUL, f_mul, 0.51, 0 }, { JC_T_DIV, f_div, 0.51, 0 },
    { JC_T_POW, f_pow, 2, 0 },      { JC_T_MINIMUM, f_min, 0, 0 }, { JC_T_MAXIMUM, f_max, 0, 0 },
};
enum { NREALS = sizeof reals / sizeof *reals };

static double ulp_of(jc_dtype dtype, double x) {
    int e = ilogb(fabs(x) > 1e-300 ? x : 1e-300), least = dtype == JC_F64 ? -1022 : -126;
    return ldexp(1, (e < least ? least : e) - (dtype == JC_F64 ? 52 : 23));
}

static void real_case(const struct real_row *r, jc_dtype dtype, int t) {
    kb *b = kb_new(JC_K_POINT, 1);
    int64_t n = NSPECIALS * NSPECIALS + 28 + 4096;
    kb_extent(b, 0, n);
    unsigned x = kb_ptr(b, dtype, false), y = kb_ptr(b, dtype, false), z = kb_ptr(b, dtype, true);
    uint32_t va = kb_load(b, x, kb_loop(b, 0)), vb = kb_load(b, y, kb_loop(b, 0));
    kb_store(b, z, kb_loop(b, 0), kb_op(b, r->op, va, vb, 0));
    b->k.threads = t == HOST ? 1 : 256;
    b->k.vec = 4;
    b->k.unroll = t == HOST ? 64 : 2;
    void *px = room(b, dtype, n), *py = room(b, dtype, n), *pz = room(b, dtype, n);
    fill_random(dtype, px, n, -12, 12, 7);
    fill_random(dtype, py, n, -5, 5, 8);
    for (int64_t i = 0; i < NSPECIALS * NSPECIALS; i++) {
        dtype_set(dtype, px, i, specials[i / NSPECIALS]);
        dtype_set(dtype, py, i, specials[i % NSPECIALS]);
    }
    value args[3] = { { .p = px }, { .p = py }, { .p = pz } };
    size_t sizes[3] = { bytes(dtype, n), bytes(dtype, n), bytes(dtype, n) };
    kb_run(b, targets[t], args, sizes);
    for (int64_t i = 0; i < n; i++) {
        double a = dtype_get(dtype, px, i), c = dtype_get(dtype, py, i), got = dtype_get(dtype, pz, i);
        double want = r->want(a, c), exact = want;
        if (r->limit != 0 && fabs(a) > r->limit && !isinf(a))
            continue;
        if (dtype == JC_F32)
            want = (float)want;
        double ulps = r->ulps * (dtype == JC_F64 ? 2 : 1), off = fabs(got - exact) / ulp_of(dtype, exact);
        if (dtype == JC_F64 && r->op == JC_T_POW)
            ulps = 2000; /* 1e-13: the product of exponent and logarithm costs digits */
        bool same = isnan(want) ? isnan(got) : got == want || off <= ulps;
        ck_assert_msg(same, "%s of %s on %s: (%.17g, %.17g) gives %.17g instead of %.17g, %.1f ulp", jc_tape_ops[r->op].name,
                      jc_dtypes[dtype].name, targets[t], a, c, got, want, off);
    }
    kb_free(b);
}

START_TEST(test_reals) {
    real_case(&reals[_i / 2], JC_F32, _i % 2);
    real_case(&reals[_i / 2], JC_F64, _i % 2);
}
END_TEST

static int64_t floor_div(int64_t a, int64_t b) {
    if (b == 0)
        return 0;
    if (b == -1)
        return (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
static int64_t whole_shl(int64_t a, int64_t b) { return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b); }
static int64_t whole_shr(int64_t a, int64_t b) { return b < 0 || b > 63 ? (a < 0 ? -1 : 0) : a >> b; }

static int64_t whole_op(jc_tape_op op, int64_t a, int64_t b) {
    uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    switch (op) {
    case JC_T_NEG: return (int64_t)(0 - ua);
    case JC_T_ABS: return a < 0 ? (int64_t)(0 - ua) : a;
    case JC_T_NOT: return ~a;
    case JC_T_ADD: return (int64_t)(ua + ub);
    case JC_T_SUB: return (int64_t)(ua - ub);
    case JC_T_MUL: return (int64_t)(ua * ub);
    case JC_T_DIV: return floor_div(a, b);
    case JC_T_REM: return b == 0 ? 0 : (int64_t)(ua - (uint64_t)floor_div(a, b) * ub);
    case JC_T_MINIMUM: return a < b ? a : b;
    case JC_T_MAXIMUM: return a > b ? a : b;
    case JC_T_AND: return a & b;
    case JC_T_OR: return a | b;
    case JC_T_XOR: return a ^ b;
    case JC_T_SHL: return whole_shl(a, b);
    case JC_T_SHR: return whole_shr(a, b);
    case JC_T_EQ: return a == b;
    case JC_T_NE: return a != b;
    case JC_T_LT: return a < b;
    default: return a <= b;
    }
}

static const jc_tape_op wholes[] = { JC_T_NEG, JC_T_ABS, JC_T_NOT, JC_T_ADD, JC_T_SUB, JC_T_MUL, JC_T_DIV,
                                     JC_T_REM, JC_T_MINIMUM, JC_T_MAXIMUM, JC_T_AND, JC_T_OR, JC_T_XOR, JC_T_SHL, JC_T_SHR,
                                     JC_T_EQ, JC_T_NE, JC_T_LT, JC_T_LE };
enum { NWHOLES = sizeof wholes / sizeof *wholes };

START_TEST(test_wholes) {
    static const int64_t edge[] = { 0, 1, -1, 2, -2, 3, 7, -7, 63, 64, 65, -64, 1000003, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
    enum { E = sizeof edge / sizeof *edge };
    jc_tape_op op = wholes[_i / 2];
    bool compares = op >= JC_T_EQ && op <= JC_T_LE;
    kb *b = kb_new(JC_K_POINT, 1);
    int64_t n = E * E + 3;
    kb_extent(b, 0, n);
    unsigned x = kb_ptr(b, JC_I64, false), y = kb_ptr(b, JC_I64, false), z = kb_ptr(b, compares ? JC_B8 : JC_I64, true);
    uint32_t va = kb_load(b, x, kb_loop(b, 0)), vb = kb_load(b, y, kb_loop(b, 0));
    kb_store(b, z, kb_loop(b, 0), kb_op(b, op, va, vb, 0));
    b->k.threads = _i % 2 ? 64 : 1;
    b->k.vec = 4;
    b->k.unroll = 4;
    int64_t *px = room(b, JC_I64, n), *py = room(b, JC_I64, n);
    void *pz = room(b, JC_I64, n);
    for (int64_t i = 0; i < n; i++)
        px[i] = edge[i / E % E], py[i] = edge[i % E];
    value args[3] = { { .p = px }, { .p = py }, { .p = pz } };
    size_t sizes[3] = { 8 * (size_t)n, 8 * (size_t)n, (compares ? 1 : 8) * (size_t)n };
    kb_run(b, targets[_i % 2], args, sizes);
    for (int64_t i = 0; i < n; i++) {
        int64_t got = compares ? ((uint8_t *)pz)[i] : ((int64_t *)pz)[i], want = whole_op(op, px[i], py[i]);
        ck_assert_msg(got == want, "%s(%lld, %lld) on %s gives %lld instead of %lld", jc_tape_ops[op].name, (long long)px[i],
                      (long long)py[i], targets[_i % 2], (long long)got, (long long)want);
    }
    kb_free(b);
}
END_TEST

/* Comparisons with NaN, select, float remainder, rounding of floats and integers, logical operations. */
START_TEST(test_mixed) {
    int t = _i;
    kb *b = kb_new(JC_K_POINT, 1);
    int64_t n = NSPECIALS * NSPECIALS;
    kb_extent(b, 0, n);
    const jc_expr *i = kb_loop(b, 0);
    unsigned x = kb_ptr(b, JC_F32, false), y = kb_ptr(b, JC_F32, false);
    unsigned lt = kb_ptr(b, JC_B8, true), ne = kb_ptr(b, JC_B8, true), pick = kb_ptr(b, JC_F32, true);
    unsigned rem = kb_ptr(b, JC_F32, true), r8 = kb_ptr(b, JC_F32, true), wrap = kb_ptr(b, JC_I64, true);
    uint32_t a = kb_load(b, x, i), c = kb_load(b, y, i);
    uint32_t less = kb_op(b, JC_T_LT, a, c, 0), other = kb_op(b, JC_T_NE, a, c, 0);
    kb_store(b, lt, i, kb_op(b, JC_T_NOT, kb_op(b, JC_T_NOT, less, 0, 0), 0, 0));
    kb_store(b, ne, i, kb_op(b, JC_T_XOR, other, less, 0));
    kb_store(b, pick, i, kb_op(b, JC_T_SELECT, less, a, c));
    kb_store(b, rem, i, kb_op(b, JC_T_REM, a, c, 0));
    kb_store(b, r8, i, kb_round(b, JC_F8E4M3FN, a));
    kb_store(b, wrap, i, kb_round(b, JC_I8, kb_op(b, JC_T_MUL, kb_index(b, i), kb_i(b, 37), 0)));
    b->k.threads = t == HOST ? 1 : 64;
    b->k.vec = 4;
    b->k.unroll = 2;
    float *px = room(b, JC_F32, n), *py = room(b, JC_F32, n), *out[4];
    for (int j = 0; j < 3; j++)
        out[j] = room(b, JC_F32, n);
    uint8_t *plt = room(b, JC_B8, n), *pne = room(b, JC_B8, n), e4[1];
    int64_t *pw = room(b, JC_I64, n);
    for (int64_t j = 0; j < n; j++)
        px[j] = (float)specials[j / NSPECIALS], py[j] = (float)specials[j % NSPECIALS];
    value args[8] = { { .p = px }, { .p = py }, { .p = plt }, { .p = pne }, { .p = out[0] }, { .p = out[1] }, { .p = out[2] }, { .p = pw } };
    size_t f = 4 * (size_t)n, sizes[8] = { f, f, (size_t)n, (size_t)n, f, f, f, 2 * f };
    kb_run(b, targets[t], args, sizes);
    for (int64_t j = 0; j < n; j++) {
        float p = px[j], q = py[j], rest = fmodf(p, q), want = rest != 0 && (rest < 0) != (q < 0) ? rest + q : rest;
        ck_assert_int_eq(plt[j], p < q);
        ck_assert_int_eq(pne[j], (p != q) != (p < q));
        ck_assert(memcmp(&out[0][j], p < q ? &p : &q, 4) == 0 || isnan(q));
        ck_assert_msg(isnan(want) ? isnan(out[1][j]) : memcmp(&out[1][j], &want, 4) == 0, "%g %% %g is %g instead of %g", (double)p, (double)q,
                      (double)out[1][j], (double)want);
        dtype_set(JC_F8E4M3FN, e4, 0, (double)p);
        double r = dtype_get(JC_F8E4M3FN, e4, 0);
        ck_assert_msg(isnan(r) ? isnan(out[2][j]) : (double)out[2][j] == r, "%g rounds to %g instead of %g", (double)p, (double)out[2][j], r);
        ck_assert_int_eq(pw[j], (int8_t)(j * 37));
    }
    kb_free(b);
}
END_TEST

/* ---- ROW ------------------------------------------------------------------------------------------------------ */

static const struct row_row {
    const char *name;
    int64_t rows, columns;
    unsigned lanes, threads, vec, steps;
    unsigned host_vec, host_steps;
} rows[] = {
    { "one lane", 5, 16, 1, 32, 4, 4, 4, 4 },
    { "one lane, loop", 37, 24, 1, 32, 8, 0, 8, 0 },
    { "a quarter warp", 9, 64, 8, 64, 8, 1, 16, 0 },
    { "a quarter warp, tail", 10, 72, 8, 32, 4, 3, 8, 0 },
    { "warp", 7, 512, 32, 128, 8, 2, 16, 0 },
    { "warp, tail", 3, 520, 32, 64, 8, 3, 8, 0 },
    { "warp, loop", 3, 1000, 32, 64, 8, 0, 8, 0 },
    { "warp, single elements", 3, 37, 32, 32, 1, 2, 1, 0 },
    { "two warps", 5, 1024, 64, 128, 8, 2, 16, 0 },
    { "two warps, loop, odd", 5, 333, 64, 128, 1, 0, 1, 0 },
    { "eight warps", 2, 4096, 256, 256, 8, 2, 16, 0 },
    { "eight warps, tail", 2, 4104, 256, 256, 8, 3, 8, 0 },
    { "eight warps, loop", 2, 5000, 256, 256, 8, 0, 8, 0 },
    { "three warps", 2, 700, 96, 96, 4, 2, 4, 0 },
    { "one column", 3, 1, 32, 32, 1, 1, 1, 1 },
};
enum { NROWS = sizeof rows / sizeof *rows };

static void shape_row(kb *b, const struct row_row *r, int t) {
    b->k.threads = t == HOST ? 1 : (uint16_t)r->threads;
    b->k.lanes = t == HOST ? 1 : (uint16_t)r->lanes;
    b->k.vec = (uint16_t)(t == HOST ? r->host_vec : r->vec);
    b->k.steps = (uint16_t)(t == HOST ? r->host_steps : r->steps);
}

/* residual += x, in place; y = rms_norm(residual) * w; two phases and a store in the first. */
START_TEST(test_rms_norm) {
    const struct row_row *r = &rows[_i / 2];
    int t = _i % 2;
    int64_t n = r->rows * r->columns;
    kb *b = kb_new(JC_K_ROW, 2);
    kb_extent(b, 0, r->rows);
    kb_extent(b, 1, r->columns);
    unsigned x = kb_ptr(b, JC_BF16, false), res = kb_ptr(b, JC_BF16, true), w = kb_ptr(b, JC_BF16, false);
    unsigned y = kb_ptr(b, JC_BF16, true), scale = kb_ptr(b, JC_F32, true);
    b->args.at[w].weight = true;
    const int64_t st[2] = { r->columns, 1 };
    uint32_t s = kb_op(b, JC_T_ADD, kb_load(b, x, kb_strided(b, st)), kb_load(b, res, kb_strided(b, st)), 0);
    kb_store(b, res, kb_strided(b, st), s);
    uint32_t sum = kb_op(b, JC_T_RED_SUM, kb_op(b, JC_T_MUL, s, s, 0), 0, 0);
    uint32_t mean = kb_op(b, JC_T_MUL, sum, kb_f(b, 1.0 / (double)r->columns), 0);
    uint32_t inv = kb_op(b, JC_T_RSQRT, kb_op(b, JC_T_ADD, mean, kb_f(b, 1e-6), 0), 0, 0);
    kb_store(b, scale, kb_loop(b, 0), inv);
    uint32_t v = kb_op(b, JC_T_MUL, kb_op(b, JC_T_MUL, s, inv, 0), kb_load(b, w, kb_loop(b, 1)), 0);
    kb_store(b, y, kb_strided(b, st), v);
    shape_row(b, r, t);
    void *px = room(b, JC_BF16, n), *pr = room(b, JC_BF16, n), *old = room(b, JC_BF16, n);
    void *pw = room(b, JC_BF16, r->columns), *py = room(b, JC_BF16, n);
    float *ps = room(b, JC_F32, r->rows);
    fill_random(JC_BF16, px, n, -2, 2, 11);
    fill_random(JC_BF16, old, n, -2, 2, 12);
    fill_random(JC_BF16, pw, r->columns, 0.5, 1.5, 13);
    memcpy(pr, old, bytes(JC_BF16, n));
    value args[5] = { { .p = px }, { .p = pr }, { .p = pw }, { .p = py }, { .p = ps } };
    size_t sizes[5] = { bytes(JC_BF16, n), bytes(JC_BF16, n), bytes(JC_BF16, r->columns), bytes(JC_BF16, n), 4 * (size_t)r->rows };
    setenv("JITC_TEST_ONE_SEED", "1", 1);
    kb_run(b, targets[t], args, sizes);
    unsetenv("JITC_TEST_ONE_SEED");
    for (int64_t i = 0; i < r->rows; i++) {
        double q = 0;
        for (int64_t j = i * r->columns; j < (i + 1) * r->columns; j++) {
            double a = dtype_get(JC_BF16, px, j) + dtype_get(JC_BF16, old, j);
            q += a * a;
        }
        double k = 1 / sqrt(q / (double)r->columns + 1e-6);
        close_to((double)ps[i], k, 3e-6, 0, r->name, i);
        for (int64_t j = i * r->columns; j < (i + 1) * r->columns; j++) {
            double a = dtype_get(JC_BF16, px, j) + dtype_get(JC_BF16, old, j);
            close_to(dtype_get(JC_BF16, pr, j), a, 0x1p-8, 0, r->name, j);
            close_to(dtype_get(JC_BF16, py, j), a * k * dtype_get(JC_BF16, pw, j % r->columns), 0x1p-8, 0, r->name, j);
        }
    }
    kb_free(b);
}
END_TEST

/* Softmax (three phases), with the row's minimum of indices as well; one row has a NaN. */
START_TEST(test_softmax) {
    const struct row_row *r = &rows[_i / 2];
    int t = _i % 2;
    int64_t n = r->rows * r->columns;
    kb *b = kb_new(JC_K_ROW, 2);
    kb_extent(b, 0, r->rows);
    kb_extent(b, 1, r->columns);
    unsigned x = kb_ptr(b, JC_F32, false), y = kb_ptr(b, JC_F32, true), where = kb_ptr(b, JC_I64, true);
    const int64_t st[2] = { r->columns, 1 };
    uint32_t v = kb_load(b, x, kb_strided(b, st));
    uint32_t max = kb_op(b, JC_T_RED_MAX, v, 0, 0);
    uint32_t far = kb_op(b, JC_T_SELECT, kb_op(b, JC_T_EQ, v, max, 0), kb_index(b, kb_loop(b, 1)), kb_i(b, 1 << 30));
    kb_store(b, where, kb_loop(b, 0), kb_op(b, JC_T_RED_MIN, far, 0, 0));
    uint32_t e = kb_op(b, JC_T_EXP, kb_op(b, JC_T_SUB, v, max, 0), 0, 0);
    kb_store(b, y, kb_strided(b, st), kb_op(b, JC_T_DIV, e, kb_op(b, JC_T_RED_SUM, e, 0, 0), 0));
    shape_row(b, r, t);
    float *px = room(b, JC_F32, n), *py = room(b, JC_F32, n);
    int64_t *pi = room(b, JC_I64, r->rows);
    fill_random(JC_F32, px, n, -9, 9, 14);
    px[r->columns + r->columns / 2] = NAN;
    value args[3] = { { .p = px }, { .p = py }, { .p = pi } };
    size_t sizes[3] = { 4 * (size_t)n, 4 * (size_t)n, 8 * (size_t)r->rows };
    kb_run(b, targets[t], args, sizes);
    for (int64_t i = 0; i < r->rows; i++) {
        const float *row = px + i * r->columns;
        double top = -INFINITY, sum = 0;
        int64_t at = 1 << 30;
        for (int64_t j = 0; j < r->columns; j++)
            top = isnan(row[j]) || isnan(top) ? NAN : fmax(top, (double)row[j]);
        for (int64_t j = r->columns; j-- > 0;)
            at = (double)row[j] == top ? j : at;
        for (int64_t j = 0; j < r->columns; j++)
            sum += exp((double)row[j] - top);
        ck_assert_msg(pi[i] == at, "%s, row %d: the maximum is at %d instead of %d", r->name, (int)i, (int)pi[i], (int)at);
        for (int64_t j = 0; j < r->columns; j++)
            close_to((double)py[i * r->columns + j], exp((double)row[j] - top) / sum, 5e-6, 1e-9, r->name, j);
    }
    kb_free(b);
}
END_TEST

/* A row of unknown length, in f64, over two outer dims; and rows that may be empty. */
START_TEST(test_row_symbolic) {
    int t = _i % 2;
    int64_t columns = _i / 2 == 0 ? 0 : _i / 2 == 1 ? 5 : 777, outer = 6;
    kb *b = kb_new(JC_K_ROW, 3);
    const jc_expr *n = kb_int(b, 0, JC_SYM_MAX, 1), *rows_n = kb_int(b, 1, JC_SYM_MAX, 1);
    kb_extent_of(b, 0, rows_n, JC_SYM_MAX);
    kb_extent(b, 1, 2);
    kb_extent_of(b, 2, n, JC_SYM_MAX);
    unsigned x = kb_ptr(b, JC_F64, false), y = kb_ptr(b, JC_F64, true);
    const jc_expr *row = kb_add(b, kb_muli(b, kb_loop(b, 0), 2), kb_loop(b, 1));
    uint32_t v = kb_load(b, x, kb_add(b, kb_mul(b, row, n), kb_loop(b, 2)));
    kb_store(b, y, row, kb_op(b, JC_T_RED_SUM, v, 0, 0));
    b->k.threads = t == HOST ? 1 : 128;
    b->k.lanes = t == HOST ? 1 : 64;
    double *px = room(b, JC_F64, outer * columns + 1), *py = room(b, JC_F64, outer);
    fill_random(JC_F64, px, outer * columns, -1, 1, 15);
    value args[4] = { { .i = columns }, { .i = outer / 2 }, { .p = px }, { .p = py } };
    size_t sizes[4] = { 0, 0, 8 * (size_t)(outer * columns), 8 * (size_t)outer };
    kb_run(b, targets[t], args, sizes);
    for (int64_t i = 0; i < outer; i++) {
        double sum = 0;
        for (int64_t j = 0; j < columns; j++)
            sum += px[i * columns + j];
        close_to(py[i], sum, 1e-13, 10, "symbolic row", i);
    }
    kb_free(b);
}
END_TEST

/* ---- products ------------------------------------------------------------------------------------------------- */

static const struct product_row {
    const char *name;
    int64_t batch, m, n, k;
    jc_dtype a, b;
    unsigned tile_m, tile_n, warps, vec;   /* GPU */
    unsigned host_m, host_n, host_vec;
    bool columns;                          /* B is [k, n] */
    unsigned share, unroll;                /* GPU: how many warps share k; steps at a time */
} products[] = {
    { "vector by matrix", 0, 1, 64, 512, JC_BF16, JC_BF16, 1, 2, 4, 8, 1, 4, 16, false, 1, 1 },
    { "ragged", 0, 5, 7, 37, JC_F32, JC_F32, 2, 2, 1, 1, 4, 4, 1, false, 1, 1 },
    { "vector rest", 0, 3, 5, 83, JC_F32, JC_F32, 2, 2, 2, 4, 2, 4, 8, false, 1, 1 },
    { "aligned", 0, 9, 33, 256, JC_BF16, JC_BF16, 4, 4, 2, 8, 4, 4, 16, false, 1, 1 },
    { "f16 with f32", 0, 4, 8, 64, JC_F16, JC_F32, 4, 2, 1, 4, 4, 2, 8, false, 1, 1 },
    { "batch", 3, 4, 6, 40, JC_F32, JC_F32, 2, 2, 1, 4, 4, 2, 8, false, 1, 1 },
    { "columns", 2, 5, 6, 19, JC_F32, JC_F32, 2, 2, 1, 1, 4, 4, 1, true, 1, 1 },
    { "f64", 0, 3, 4, 50, JC_F64, JC_F64, 2, 2, 1, 2, 2, 2, 8, false, 1, 1 },
    { "i32", 0, 3, 4, 50, JC_I32, JC_I32, 2, 2, 1, 2, 2, 2, 8, false, 1, 1 },
    { "large tile", 0, 16, 16, 64, JC_BF16, JC_BF16, 8, 8, 1, 8, 8, 8, 16, false, 1, 1 },
    { "one", 0, 1, 1, 1, JC_F32, JC_F32, 1, 1, 1, 1, 1, 1, 1, false, 1, 1 },
    { "warps that share k", 0, 1, 37, 5000, JC_BF16, JC_BF16, 1, 1, 4, 8, 1, 4, 8, false, 4, 2 },
    { "two groups that share k", 2, 3, 7, 1300, JC_F32, JC_F32, 2, 2, 4, 4, 1, 4, 8, false, 2, 4 },
    { "more warps than k", 0, 1, 5, 24, JC_BF16, JC_BF16, 1, 1, 8, 8, 1, 4, 8, false, 8, 4 },
    { "rest of a shared k", 0, 2, 3, 1031, JC_F64, JC_F64, 1, 2, 4, 2, 1, 4, 8, false, 4, 3 },
    { "integers that share k", 0, 1, 9, 700, JC_I32, JC_I32, 1, 1, 4, 4, 1, 4, 8, false, 4, 2 },
    { "steps of one warp", 0, 4, 6, 2100, JC_BF16, JC_BF16, 4, 2, 2, 8, 4, 2, 8, false, 1, 3 },
};
enum { NPRODUCTS = sizeof products / sizeof *products };

static jc_operand operand_of(kb *b, unsigned arg, const jc_expr *row, int64_t kstride) {
    return (jc_operand){ .arg = (uint16_t)arg, .row = row, .kstride = kb_const(b, kstride) };
}

START_TEST(test_dot) {
    const struct product_row *r = &products[_i / 2];
    int t = _i % 2;
    unsigned rank = r->batch ? 3 : 2;
    int64_t batch = r->batch ? r->batch : 1, na = batch * r->m * r->k, nb = batch * r->n * r->k, nc = batch * r->m * r->n;
    kb *b = kb_new(JC_K_DOT, rank);
    if (r->batch)
        kb_extent(b, 0, r->batch);
    const jc_expr *mm = kb_int(b, 1, 100000, 1); /* not a constant */
    kb_extent_of(b, rank - 2, mm, 100000);
    kb_extent(b, rank - 1, r->n);
    b->k.k = kb_const(b, r->k);
    jc_dtype out = r->a == JC_F64 ? JC_F64 : JC_F32;
    unsigned pa = kb_ptr(b, r->a, false), pb = kb_ptr(b, r->b, false), bias = kb_ptr(b, out, false), pc = kb_ptr(b, out, true);
    const jc_expr *i = kb_loop(b, 0), *m = kb_loop(b, rank - 2), *n = kb_loop(b, rank - 1), *zero = kb_const(b, 0);
    const jc_expr *ba = r->batch ? kb_muli(b, kb_mul(b, i, mm), r->k) : zero, *bb = r->batch ? kb_muli(b, i, r->n * r->k) : zero;
    b->k.a = operand_of(b, pa, kb_add(b, ba, kb_muli(b, m, r->k)), 1);
    b->k.b = operand_of(b, pb, kb_add(b, bb, kb_muli(b, n, r->columns ? 1 : r->k)), r->columns ? r->n : 1);
    const jc_expr *at = kb_add(b, kb_add(b, r->batch ? kb_muli(b, kb_mul(b, i, mm), r->n) : zero, kb_muli(b, m, r->n)), n);
    kb_store(b, pc, at, kb_op(b, JC_T_ADD, kb_acc(b, out == JC_F64 ? JC_CT_F64 : JC_CT_F32), kb_load(b, bias, n), 0));
    b->k.threads = (uint16_t)(t == HOST ? 1 : 32 * r->warps);
    b->k.lanes = (uint16_t)(t == HOST ? 1 : 32 * r->share);
    b->k.unroll = (uint16_t)(t == HOST ? 1 : r->unroll);
    b->k.vec = (uint16_t)(t == HOST ? r->host_vec : r->vec);
    b->k.tile_m = (uint16_t)(t == HOST ? r->host_m : r->tile_m);
    b->k.tile_n = (uint16_t)(t == HOST ? r->host_n : r->tile_n);
    void *va = room(b, r->a, na), *vb = room(b, r->b, nb), *vc = room(b, out, nc), *vbias = room(b, out, r->n);
    double span = jc_dtypes[r->a].cls == 'i' ? 50 : 1;
    fill_random(r->a, va, na, -span, span, 21);
    fill_random(r->b, vb, nb, -span, span, 22);
    fill_random(out, vbias, r->n, -1, 1, 23);
    value args[5] = { { .i = r->m }, { .p = va }, { .p = vb }, { .p = vbias }, { .p = vc } };
    size_t sizes[5] = { 0, bytes(r->a, na), bytes(r->b, nb), bytes(out, r->n), bytes(out, nc) };
    kb_run(b, targets[t], args, sizes);
    for (int64_t j = 0; j < nc; j++) {
        int64_t x = j / (r->m * r->n), mi = j / r->n % r->m, ni = j % r->n;
        double sum = 0;
        for (int64_t k = 0; k < r->k; k++) {
            int64_t ib = r->columns ? x * r->n * r->k + k * r->n + ni : (x * r->n + ni) * r->k + k;
            sum += dtype_get(r->a, va, (x * r->m + mi) * r->k + k) * dtype_get(r->b, vb, ib);
        }
        close_to(dtype_get(out, vc, j), sum + dtype_get(out, vbias, ni), tolerance_of(out), span * span, r->name, j);
    }
    kb_free(b);
}
END_TEST

/* ---- products on the host: what lies in memory of its own, up to its last byte --------------------------------- */

/* Memory whose last byte is followed by a page that cannot be touched. */
typedef struct fenced {
    uint8_t *map;
    size_t length;
    void *at;
} fenced;

static fenced fence(jc_dtype dtype, int64_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = bytes(dtype, n), whole = (size + page - 1) / page * page;
    fenced f = { .length = whole + page };
    f.map = mmap(NULL, f.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(f.map, MAP_FAILED);
    ck_assert_int_eq(mprotect(f.map + whole, page, PROT_NONE), 0);
    f.at = f.map + whole - size;
    return f;
}

typedef enum layout { ROWS, COLUMNS, APART } layout; /* [n, k], [k, n], neither consecutive */

static const struct host_row {
    const char *name;
    uint8_t family;
    int64_t batch, m, n, k;
    jc_dtype dtype;
    layout a, b;             /* A: ROWS is [m, k] */
    unsigned vec, tile_m, tile_n, tile_k, strip, vectors, unroll;
    const char *cpu;         /* NULL: all that this one runs */
    unsigned lanes;
} host_rows[] = {
    { "rows", JC_K_TILE, 0, 9, 33, 50, JC_F32, ROWS, ROWS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "columns", JC_K_TILE, 0, 9, 33, 50, JC_F32, ROWS, COLUMNS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "apart", JC_K_TILE, 0, 9, 33, 50, JC_F32, APART, APART, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "a by columns", JC_K_TILE, 0, 9, 33, 50, JC_F32, COLUMNS, COLUMNS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "whole", JC_K_TILE, 0, 16, 64, 64, JC_F32, ROWS, ROWS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "whole columns", JC_K_TILE, 0, 16, 64, 64, JC_F32, ROWS, COLUMNS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "less than a vector", JC_K_TILE, 0, 2, 3, 5, JC_F32, ROWS, ROWS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "less than a vector of columns", JC_K_TILE, 0, 2, 3, 5, JC_F32, ROWS, COLUMNS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "one", JC_K_TILE, 0, 1, 1, 1, JC_F32, ROWS, COLUMNS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "no k", JC_K_TILE, 0, 3, 5, 0, JC_F32, ROWS, ROWS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "batch", JC_K_TILE, 3, 5, 18, 37, JC_F32, ROWS, COLUMNS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "batch of rows", JC_K_TILE, 3, 5, 18, 37, JC_F32, ROWS, ROWS, 8, 8, 32, 16, 4, 2, 1, NULL, 1 },
    { "bf16", JC_K_TILE, 0, 7, 45, 131, JC_BF16, ROWS, ROWS, 8, 8, 32, 64, 4, 2, 1, NULL, 1 },
    { "bf16 columns", JC_K_TILE, 0, 7, 45, 131, JC_BF16, ROWS, COLUMNS, 8, 8, 32, 64, 4, 2, 1, NULL, 1 },
    { "f16", JC_K_TILE, 0, 7, 45, 131, JC_F16, ROWS, ROWS, 16, 12, 64, 64, 6, 1, 1, NULL, 1 },
    { "fp8", JC_K_TILE, 0, 7, 45, 131, JC_F8E4M3FN, ROWS, ROWS, 8, 8, 32, 64, 4, 2, 1, NULL, 1 },
    { "f64", JC_K_TILE, 0, 7, 21, 53, JC_F64, ROWS, ROWS, 4, 8, 16, 16, 4, 2, 1, NULL, 1 },
    { "f64 columns", JC_K_TILE, 0, 7, 21, 53, JC_F64, ROWS, COLUMNS, 4, 8, 16, 16, 4, 2, 1, NULL, 1 },
    { "i32", JC_K_TILE, 0, 7, 21, 53, JC_I32, ROWS, ROWS, 4, 8, 16, 16, 4, 2, 1, NULL, 1 },
    { "sse", JC_K_TILE, 0, 9, 33, 50, JC_F32, ROWS, ROWS, 4, 8, 32, 16, 4, 2, 1, "x86-64-v2", 1 },
    { "sse columns", JC_K_TILE, 0, 9, 33, 50, JC_F16, ROWS, COLUMNS, 4, 8, 32, 16, 4, 2, 1, "x86-64", 1 },
    { "sse f64", JC_K_TILE, 0, 9, 33, 50, JC_F64, ROWS, ROWS, 2, 8, 32, 16, 4, 2, 1, "x86-64-v2", 1 },
    { "as scheduled", JC_K_TILE, 0, 130, 131, 400, JC_F32, ROWS, ROWS, 8, 256, 128, 192, 4, 2, 1, NULL, 1 },
    { "as scheduled, columns", JC_K_TILE, 0, 130, 131, 400, JC_BF16, ROWS, COLUMNS, 16, 256, 128, 192, 4, 2, 1, NULL, 1 },
    { "as scheduled for AVX-512", JC_K_TILE, 0, 260, 131, 400, JC_F32, ROWS, ROWS, 16, 256, 128, 192, 8, 2, 1, NULL, 1 },
    { "as scheduled for AVX-512, columns", JC_K_TILE, 0, 37, 131, 400, JC_F32, ROWS, COLUMNS, 16, 256, 128, 192, 8, 2, 1, NULL, 1 },
    { "more lines ahead than calls", JC_K_TILE, 0, 3, 131, 700, JC_F64, ROWS, ROWS, 8, 128, 128, 96, 8, 2, 1, NULL, 1 },
    { "pairs", JC_K_TILE, 0, 9, 33, 50, JC_BF16, ROWS, ROWS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs of columns", JC_K_TILE, 0, 9, 33, 50, JC_BF16, ROWS, COLUMNS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs apart", JC_K_TILE, 0, 9, 33, 51, JC_BF16, APART, APART, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs, a by columns", JC_K_TILE, 0, 9, 33, 51, JC_BF16, COLUMNS, COLUMNS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "whole pairs", JC_K_TILE, 0, 16, 64, 64, JC_BF16, ROWS, ROWS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "whole pairs of columns", JC_K_TILE, 0, 16, 64, 64, JC_BF16, ROWS, COLUMNS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs and one", JC_K_TILE, 0, 7, 45, 131, JC_BF16, ROWS, ROWS, 16, 8, 32, 64, 4, 2, 1, NULL, 2 },
    { "pairs of columns and one", JC_K_TILE, 0, 7, 45, 131, JC_BF16, ROWS, COLUMNS, 16, 8, 32, 64, 4, 2, 1, NULL, 2 },
    { "one pair", JC_K_TILE, 0, 2, 3, 2, JC_BF16, ROWS, ROWS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "half a pair", JC_K_TILE, 0, 1, 1, 1, JC_BF16, ROWS, ROWS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "half a pair of columns", JC_K_TILE, 0, 2, 3, 1, JC_BF16, ROWS, COLUMNS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "no pairs", JC_K_TILE, 0, 3, 5, 0, JC_BF16, ROWS, COLUMNS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "batch of pairs", JC_K_TILE, 3, 5, 18, 37, JC_BF16, ROWS, COLUMNS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "batch of rows of pairs", JC_K_TILE, 3, 5, 18, 37, JC_BF16, ROWS, ROWS, 16, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs in half a vector", JC_K_TILE, 0, 9, 33, 50, JC_BF16, ROWS, COLUMNS, 8, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs in a quarter of a vector", JC_K_TILE, 0, 9, 33, 50, JC_BF16, ROWS, ROWS, 4, 8, 32, 32, 4, 2, 1, NULL, 2 },
    { "pairs as scheduled", JC_K_TILE, 0, 260, 131, 800, JC_BF16, ROWS, ROWS, 16, 256, 128, 384, 8, 2, 1, NULL, 2 },
    { "pairs as scheduled, columns", JC_K_TILE, 0, 130, 131, 801, JC_BF16, ROWS, COLUMNS, 16, 256, 128, 384, 8, 2, 1, NULL, 2 },
    { "more lines of pairs ahead than calls", JC_K_TILE, 0, 3, 131, 1400, JC_BF16, ROWS, COLUMNS, 16, 256, 128, 384, 8, 2, 1, NULL, 2 },
    { "runs that overlap", JC_K_TILE, 0, 9, 37, 53, JC_F32, ROWS, ROWS, 16, 8, 32, 64, 4, 2, 1, NULL, 1 },
    { "a run for each 16 bytes", JC_K_TILE, 0, 9, 37, 5, JC_F32, ROWS, ROWS, 16, 8, 32, 64, 4, 2, 1, NULL, 1 },
    { "runs of f64", JC_K_TILE, 0, 9, 37, 53, JC_F64, ROWS, ROWS, 8, 8, 32, 64, 4, 2, 1, NULL, 1 },
    { "runs in a last part", JC_K_TILE, 0, 9, 37, 71, JC_F32, ROWS, ROWS, 16, 8, 32, 32, 4, 2, 1, NULL, 1 },
    { "runs of pairs in a last part", JC_K_TILE, 0, 9, 37, 77, JC_BF16, ROWS, ROWS, 16, 8, 32, 64, 4, 2, 1, NULL, 2 },
    { "runs of pairs that overlap", JC_K_TILE, 0, 9, 37, 107, JC_BF16, ROWS, ROWS, 16, 8, 32, 128, 4, 2, 1, NULL, 2 },
    { "tiles", JC_K_TILE, 0, 40, 70, 100, JC_BF16, ROWS, ROWS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "tiles of columns", JC_K_TILE, 0, 40, 70, 100, JC_BF16, ROWS, COLUMNS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "tiles, apart", JC_K_TILE, 0, 40, 70, 101, JC_BF16, APART, APART, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "tiles, a by columns", JC_K_TILE, 0, 40, 70, 101, JC_BF16, COLUMNS, COLUMNS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "whole tiles", JC_K_TILE, 0, 64, 64, 128, JC_BF16, ROWS, ROWS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "whole tiles of columns", JC_K_TILE, 0, 64, 64, 128, JC_BF16, ROWS, COLUMNS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "one element in a tile", JC_K_TILE, 0, 1, 1, 1, JC_BF16, ROWS, COLUMNS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "a tile and one", JC_K_TILE, 0, 33, 33, 33, JC_BF16, ROWS, ROWS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "no tiles", JC_K_TILE, 0, 3, 5, 0, JC_BF16, ROWS, COLUMNS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "batch of tiles", JC_K_TILE, 3, 5, 18, 37, JC_BF16, ROWS, COLUMNS, 16, 32, 64, 64, 32, 2, 1, NULL, 32 },
    { "three rows of tiles", JC_K_TILE, 0, 50, 18, 37, JC_BF16, ROWS, ROWS, 16, 48, 64, 64, 48, 1, 1, NULL, 32 },
    { "tiles as scheduled", JC_K_TILE, 0, 260, 131, 800, JC_BF16, ROWS, ROWS, 16, 256, 128, 384, 32, 2, 1, NULL, 32 },
    { "tiles as scheduled, columns", JC_K_TILE, 0, 130, 131, 801, JC_BF16, ROWS, COLUMNS, 16, 256, 128, 384, 32, 2, 1, NULL, 32 },
    { "band", JC_K_BAND, 0, 1, 83, 50, JC_F32, ROWS, COLUMNS, 8, 1, 32, 0, 0, 0, 8, NULL, 1 },
    { "whole band", JC_K_BAND, 0, 1, 64, 48, JC_F32, ROWS, COLUMNS, 8, 1, 32, 0, 0, 0, 8, NULL, 1 },
    { "bands of a batch", JC_K_BAND, 3, 1, 18, 37, JC_F32, ROWS, COLUMNS, 8, 1, 32, 0, 0, 0, 8, NULL, 1 },
    { "band of bf16", JC_K_BAND, 0, 1, 45, 131, JC_BF16, APART, COLUMNS, 16, 1, 32, 0, 0, 0, 4, NULL, 1 },
    { "band of one row", JC_K_BAND, 0, 3, 45, 7, JC_F64, ROWS, COLUMNS, 4, 1, 32, 0, 0, 0, 8, NULL, 1 },
    { "band without k", JC_K_BAND, 0, 1, 45, 0, JC_F32, ROWS, COLUMNS, 8, 1, 32, 0, 0, 0, 8, NULL, 1 },
    { "band of integers", JC_K_BAND, 0, 1, 45, 21, JC_I32, ROWS, COLUMNS, 4, 1, 32, 0, 0, 0, 8, NULL, 1 },
};
enum { NHOST_ROWS = sizeof host_rows / sizeof *host_rows };

/* Elements between neighbours along k, and along the rows; of all of one of the batch. */
static void strides_of(layout l, int64_t count, int64_t k, int64_t *step, int64_t *row, int64_t *all) {
    *step = l == ROWS ? 1 : l == COLUMNS ? count : 2 * count;
    *row = l == ROWS ? k : l == COLUMNS ? 1 : 2;
    *all = l == APART ? 2 * count * k : count * k;
}

static jc_operand host_operand(kb *b, unsigned arg, unsigned loop, const int64_t at[3]) {
    const jc_expr *row = kb_muli(b, kb_loop(b, loop), at[1]);
    b->args.at[arg].loose = true;
    return operand_of(b, arg, b->k.rank > 2 ? kb_add(b, kb_muli(b, kb_loop(b, 0), at[2]), row) : row, at[0]);
}

/* Its arguments: A, B, what is added to each row, the result. */
static kb *host_kernel(const struct host_row *r, const char *cpu, jc_dtype out, const int64_t *sa, const int64_t *sb) {
    unsigned rank = r->batch ? 3 : 2;
    kb *b = kb_new(r->family, rank);
    b->cpu = cpu;
    if (r->batch)
        kb_extent(b, 0, r->batch);
    kb_extent(b, rank - 2, r->m);
    kb_extent(b, rank - 1, r->n);
    b->k.k = kb_const(b, r->k);
    unsigned pa = kb_ptr(b, r->dtype, false), pb = kb_ptr(b, r->dtype, false), bias = kb_ptr(b, out, false), pc = kb_ptr(b, out, true);
    b->k.a = host_operand(b, pa, rank - 2, sa);
    b->k.b = host_operand(b, pb, rank - 1, sb);
    b->args.at[bias].loose = b->args.at[pc].loose = true;
    const jc_expr *m = kb_loop(b, rank - 2), *n = kb_loop(b, rank - 1), *at = kb_add(b, kb_muli(b, m, r->n), n);
    if (r->batch)
        at = kb_add(b, kb_muli(b, kb_loop(b, 0), r->m * r->n), at);
    kb_store(b, pc, at, kb_op(b, JC_T_ADD, kb_acc(b, out == JC_F64 ? JC_CT_F64 : JC_CT_F32), kb_load(b, bias, n), 0));
    b->k.vec = (uint16_t)r->vec, b->k.unroll = (uint16_t)r->unroll, b->k.tile_m = (uint16_t)r->tile_m, b->k.tile_n = (uint16_t)r->tile_n;
    b->k.tile_k = (uint16_t)r->tile_k, b->k.warps_m = (uint16_t)r->strip, b->k.warps_n = (uint16_t)r->vectors;
    b->k.lanes = (uint16_t)r->lanes;
    return b;
}

static void host_product(const struct host_row *r, const char *cpu, bool run) {
    int64_t batch = r->batch ? r->batch : 1, nc = batch * r->m * r->n, sa[3], sb[3];
    jc_dtype out = r->dtype == JC_F64 ? JC_F64 : JC_F32;
    strides_of(r->a, r->m, r->k, &sa[0], &sa[1], &sa[2]);
    strides_of(r->b, r->n, r->k, &sb[0], &sb[1], &sb[2]);
    kb *b = host_kernel(r, cpu, out, sa, sb);
    if (!run) {
        size_t n;
        kb_compile(b, "host", &n, NULL);
        kb_free(b);
        return;
    }
    int64_t na = r->k ? batch * sa[2] - (r->a == APART) : 0, nb = r->k ? batch * sb[2] - (r->b == APART) : 0;
    fenced a = fence(r->dtype, na), w = fence(r->dtype, nb), c = fence(out, nc), p = fence(out, r->n);
    double span = jc_dtypes[r->dtype].cls == 'i' ? 50 : 1;
    fill_random(r->dtype, a.at, na, -span, span, 41);
    fill_random(r->dtype, w.at, nb, -span, span, 42);
    fill_random(out, p.at, r->n, -1, 1, 43);
    value args[4] = { { .p = a.at }, { .p = w.at }, { .p = p.at }, { .p = c.at } };
    size_t sizes[4] = { bytes(r->dtype, na), bytes(r->dtype, nb), bytes(out, r->n), bytes(out, nc) };
    kb_run(b, "host", args, sizes);
    for (int64_t j = 0; j < nc; j++) {
        int64_t x = j / (r->m * r->n), mi = j / r->n % r->m, ni = j % r->n;
        double sum = dtype_get(out, p.at, ni);
        for (int64_t k = 0; k < r->k; k++)
            sum += dtype_get(r->dtype, a.at, x * sa[2] + mi * sa[1] + k * sa[0]) * dtype_get(r->dtype, w.at, x * sb[2] + ni * sb[1] + k * sb[0]);
        close_to(dtype_get(out, c.at, j), sum, tolerance_of(out), span * span * (1 + sqrt((double)r->k)), r->name, j);
    }
    for (fenced *f = (fenced[]){ a, w, c, p, { 0 } }; f->map; f++)
        munmap(f->map, f->length);
    kb_free(b);
}

/* How many elements of k a CPU's instruction takes at most. */
static unsigned most_lanes(const char *cpu) {
    jc_target t;
    ck_assert_int_eq(jc_target_parse("host", &t, NULL), JITC_OK);
    snprintf(t.cpu, sizeof t.cpu, "%s", cpu);
    return jc_target_facts_of(&t)->tiles ? 32 : jc_target_facts_of(&t)->pairs ? 2 : 1;
}

static bool has_pairs(const char *cpu) {
    return most_lanes(cpu) > 1;
}

START_TEST(test_host_product) {
    const struct host_row *r = &host_rows[_i];
    const char *cpus[8];
    unsigned n = host_levels(cpus), done = 0;
    if (r->cpu)
        host_product(r, r->cpu, true);
    for (unsigned i = 0; i < n && !r->cpu; i++)
        if (r->lanes <= most_lanes(cpus[i])) {
            host_product(r, cpus[i], true);
            done++;
        }
    if (r->cpu || done)
        return;
    host_product(r, "x86-64-v4-amx", false);
    fprintf(stderr, "SKIP: %s: compiled and not run: this CPU does not multiply %u elements of k at once\n", r->name, r->lanes);
}
END_TEST

/*
 * Numbers that are not ordinary, alone in one of three products: row 0 of A has them, at K 0 (the first of a pair), 1, 2 (what is left of an odd K).
 * A pair is 0 where a factor is subnormal; other sums are as they are.
 */
static const struct special_row {
    const char *name;
    double a, b, want; /* want: of a*b + 2 * 1.5 */
} odd_factors[] = {
    { "NaN", NAN, 1, NAN }, { "NaN of the other", 1, NAN, NAN }, { "NaN by 0", NAN, 0, NAN }, { "infinity", INFINITY, 2, INFINITY },
    { "its negative", INFINITY, -2, -INFINITY }, { "infinity by 0", INFINITY, 0, NAN }, { "overflow", 0x1p100, 0x1p100, INFINITY },
    { "beyond", 0x1p127, -0x1p127, -INFINITY }, { "large", 0x1p60, 0x1p60, 0x1p120 }, { "-0", -0.0, 5, 3 }, { "subnormal", 0x1p-130, 1, 3 },
    { "between two of bf16", 0x1p-7, 1, 3 + 0x1p-7 }, { "between the next two", 0x3p-7, 1, 3 + 0x3p-7 },
    { "beyond the largest bf16", 0x7p60, 0x49p59, 0x1.FFp127 },
};
enum { NODD_FACTORS = sizeof odd_factors / sizeof *odd_factors };

static void special_product(const struct special_row *r, const char *cpu, int64_t at, bool columns, jc_dtype out) {
    enum { M = 3, N = 18, K = 3 };
    kb *b = kb_new(JC_K_TILE, 2);
    b->cpu = cpu;
    kb_extent(b, 0, M);
    kb_extent(b, 1, N);
    b->k.k = kb_const(b, K);
    unsigned pa = kb_ptr(b, JC_BF16, false), pb = kb_ptr(b, JC_BF16, false), pc = kb_ptr(b, out, true);
    b->k.a = operand_of(b, pa, kb_muli(b, kb_loop(b, 0), K), 1);
    b->k.b = operand_of(b, pb, kb_muli(b, kb_loop(b, 1), columns ? 1 : K), columns ? N : 1);
    kb_store(b, pc, kb_add(b, kb_muli(b, kb_loop(b, 0), N), kb_loop(b, 1)), kb_acc(b, JC_CT_F32));
    b->k.vec = 16, b->k.tile_m = 32, b->k.tile_n = 32, b->k.tile_k = 32, b->k.warps_n = 2;
    b->k.lanes = (uint16_t)most_lanes(cpu);
    b->k.warps_m = b->k.lanes > 2 ? 32 : 4;
    void *a = room(b, JC_BF16, M * K), *w = room(b, JC_BF16, N * K), *c = room(b, out, M * N);
    for (int64_t k = 0; k < K; k++) {
        for (int64_t m = 0; m < M; m++)
            dtype_set(JC_BF16, a, m * K + k, m == 1 && k == at ? r->a : 1.5);
        for (int64_t n = 0; n < N; n++)
            dtype_set(JC_BF16, w, columns ? k * N + n : n * K + k, k == at ? (n == 17 ? r->b : 0) : 1);
    }
    value args[3] = { { .p = a }, { .p = w }, { .p = c } };
    size_t sizes[3] = { bytes(JC_BF16, M * K), bytes(JC_BF16, N * K), bytes(out, M * N) };
    uint64_t rounded[1];
    kb_run(b, "host", args, sizes);
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            const double x = m == 1 ? r->a : 1.5, y = n == 17 ? r->b : 0;
            dtype_set(out, rounded, 0, m == 1 && n == 17 ? r->want : 3 + x * y);
            close_to(dtype_get(out, c, m * N + n), dtype_get(out, rounded, 0), out == JC_F32 ? 1e-6 : 0, 0, r->name, m * N + n);
        }
    kb_free(b);
}

START_TEST(test_host_special) {
    const char *cpus[8];
    for (unsigned n = host_levels(cpus), i = n > 3 ? n - 3 : 0; i < n; i++) /* with tiles and pairs, where there are, and without */
        for (int64_t at = 0; at < 3; at++)
            for (int columns = 0; columns < 2; columns++)
                for (int narrow = 0; narrow < 2; narrow++)
                    special_product(&odd_factors[_i], cpus[i], at, columns, narrow ? JC_BF16 : JC_F32);
}
END_TEST

/* Pairs are subnormal, or their sum is: what the instruction makes of it is 0.  Without it nothing is lost. */
START_TEST(test_host_subnormal) {
    const char *cpus[8];
    for (unsigned n = host_levels(cpus), i = 0; i < n; i++) {
        const struct special_row r = { "subnormal by a large one", 0x1p-130, 0x1p120, has_pairs(cpus[i]) ? 3 : 3 + 0x1p-10 };
        special_product(&r, cpus[i], 0, false, JC_F32);
        special_product(&r, cpus[i], 2, true, JC_F32);
    }
}
END_TEST

/* What the CPU has no instruction for is refused, not handed to LLVM, which would end the process. */
START_TEST(test_host_no_pairs) {
    static const struct {
        const char *cpu, *says;
        uint16_t lanes, rows;
    } lacks[] = { { "x86-64-v4", "pairs of bf16", 2, 4 }, { "x86-64-v4", "tiles of bf16", 32, 32 }, { "x86-64-v4-bf16", "tiles of bf16", 32, 32 } };
    kb *b = kb_new(JC_K_TILE, 2);
    jc_error err = JC_ERROR_INIT;
    jc_bytes kernel = JC_BYTES(b->arena);
    jc_target target;
    const uint8_t *code = NULL;
    size_t n;
    kb_extent(b, 0, 4);
    kb_extent(b, 1, 32);
    b->k.k = kb_const(b, 4);
    unsigned pa = kb_ptr(b, JC_BF16, false), pb = kb_ptr(b, JC_BF16, false), pc = kb_ptr(b, JC_F32, true);
    b->k.a = operand_of(b, pa, kb_muli(b, kb_loop(b, 0), 4), 1);
    b->k.b = operand_of(b, pb, kb_muli(b, kb_loop(b, 1), 4), 1);
    kb_store(b, pc, kb_add(b, kb_muli(b, kb_loop(b, 0), 32), kb_loop(b, 1)), kb_acc(b, JC_CT_F32));
    b->k.vec = 16, b->k.tile_m = 32, b->k.tile_n = 32, b->k.tile_k = 32, b->k.warps_m = lacks[_i].rows, b->k.warps_n = 2, b->k.lanes = lacks[_i].lanes;
    kb_finish(b, &kernel);
    ck_assert_int_eq(jc_target_parse("host", &target, NULL), JITC_OK);
    snprintf(target.cpu, sizeof target.cpu, "%s", lacks[_i].cpu);
    ck_assert_int_eq(kernel_backend()->compile(kernel.at, kernel.n, "kernel", &target, b->arena, &code, &n, NULL, &err), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, lacks[_i].says) != NULL, "%s", err.message);
    kb_free(b);
}
END_TEST

static const struct mma_row {
    const char *name;
    int64_t m, n, k;
    jc_dtype dtype;
    unsigned tile_m, tile_n, tile_k, stages, warps_m, warps_n;
    bool warpgroups;
} mmas[] = {
    { "one tile", 16, 16, 32, JC_BF16, 16, 16, 32, 2, 1, 1, false },
    { "warps", 64, 64, 128, JC_BF16, 64, 64, 32, 3, 2, 2, false },
    { "f16", 32, 64, 64, JC_F16, 32, 64, 64, 3, 1, 2, false },
    { "ragged m", 37, 64, 96, JC_BF16, 32, 32, 32, 3, 2, 1, false },
    { "ragged n", 32, 42, 64, JC_BF16, 32, 32, 32, 2, 1, 2, false },
    { "odd n", 20, 27, 64, JC_BF16, 16, 32, 32, 2, 1, 1, false },
    { "ragged k", 32, 32, 72, JC_BF16, 32, 32, 32, 3, 1, 1, false },
    { "k below a tile", 16, 16, 8, JC_F16, 16, 16, 64, 2, 1, 1, false },
    { "all ragged", 67, 85, 200, JC_F16, 64, 64, 64, 3, 2, 2, false },
    { "narrow rows", 32, 32, 64, JC_BF16, 32, 32, 16, 4, 1, 1, false },
    { "wide rows", 32, 32, 256, JC_BF16, 32, 32, 128, 2, 1, 1, false },
    { "no power of two", 32, 24, 96, JC_BF16, 32, 24, 48, 2, 1, 1, false },
    { "one stage", 32, 32, 64, JC_BF16, 32, 32, 64, 1, 1, 1, false },
    { "skinny", 3, 256, 256, JC_BF16, 16, 128, 64, 3, 1, 4, false },
    { "odd fragments", 48, 40, 64, JC_BF16, 48, 40, 32, 3, 1, 1, false },
    { "warpgroup", 64, 64, 128, JC_BF16, 64, 64, 64, 3, 4, 1, true },
    { "two warpgroups", 128, 256, 192, JC_BF16, 128, 256, 64, 4, 8, 1, true },
    { "many rounds", 64, 16, 832, JC_BF16, 64, 16, 64, 4, 4, 1, true },
    { "warpgroup of f16", 64, 128, 64, JC_F16, 64, 128, 64, 6, 4, 1, true },
    { "warpgroups, all ragged", 150, 85, 200, JC_F16, 128, 64, 64, 3, 8, 1, true },
    { "warpgroup, k below a tile", 64, 24, 8, JC_BF16, 64, 24, 64, 3, 4, 1, true },
    { "warpgroup, few rows", 3, 100, 264, JC_BF16, 64, 96, 64, 4, 4, 1, true },
};
enum { NMMAS = sizeof mmas / sizeof *mmas };

static void build_mma(kb *b, const struct mma_row *r) {
    const jc_expr *mm = kb_int(b, 1, 100000, 1), *m = kb_loop(b, 0), *n = kb_loop(b, 1);
    kb_extent_of(b, 0, mm, 100000);
    kb_extent(b, 1, r->n);
    b->k.k = kb_const(b, r->k);
    unsigned pa = kb_ptr(b, r->dtype, false), pb = kb_ptr(b, r->dtype, false), bias = kb_ptr(b, r->dtype, false);
    unsigned res = kb_ptr(b, r->dtype, false), pc = kb_ptr(b, r->dtype, true);
    b->args.at[pb].weight = true;
    b->k.a = operand_of(b, pa, kb_muli(b, m, r->k), 1);
    b->k.b = operand_of(b, pb, kb_muli(b, n, r->k), 1);
    const jc_expr *at = kb_add(b, kb_muli(b, m, r->n), n);
    uint32_t x = kb_op(b, JC_T_ADD, kb_acc(b, JC_CT_F32), kb_load(b, bias, n), 0);
    uint32_t e = kb_op(b, JC_T_EXP, kb_op(b, JC_T_NEG, x, 0, 0), 0, 0);
    uint32_t s = kb_op(b, JC_T_DIV, x, kb_op(b, JC_T_ADD, e, kb_f(b, 1), 0), 0);
    kb_store(b, pc, at, kb_op(b, JC_T_ADD, s, kb_load(b, res, at), 0));
    b->k.threads = (uint16_t)(32 * r->warps_m * r->warps_n);
    b->k.tile_m = (uint16_t)r->tile_m, b->k.tile_n = (uint16_t)r->tile_n, b->k.tile_k = (uint16_t)r->tile_k;
    b->k.stages = (uint16_t)r->stages, b->k.warps_m = (uint16_t)r->warps_m, b->k.warps_n = (uint16_t)r->warps_n;
}

START_TEST(test_mma) {
    const struct mma_row *r = &mmas[_i];
    kb *b = kb_new(r->warpgroups ? JC_K_WGMMA : JC_K_MMA, 2);
    build_mma(b, r);
    jc_dtype d = r->dtype;
    void *va = room(b, d, r->m * r->k), *vb = room(b, d, r->n * r->k), *bias = room(b, d, r->n);
    void *res = room(b, d, r->m * r->n), *vc = room(b, d, r->m * r->n);
    fill_random(d, va, r->m * r->k, -1, 1, 31);
    fill_random(d, vb, r->n * r->k, -1, 1, 32);
    fill_random(d, bias, r->n, -1, 1, 33);
    fill_random(d, res, r->m * r->n, -1, 1, 34);
    value args[6] = { { .i = r->m }, { .p = va }, { .p = vb }, { .p = bias }, { .p = res }, { .p = vc } };
    size_t sizes[6] = { 0, bytes(d, r->m * r->k), bytes(d, r->n * r->k), bytes(d, r->n), bytes(d, r->m * r->n), bytes(d, r->m * r->n) };
    kb_run(b, r->warpgroups ? "sim:sm_90a" : "sim", args, sizes);
    for (int64_t j = 0; j < r->m * r->n; j++) {
        double x = dtype_get(d, bias, j % r->n);
        for (int64_t k = 0; k < r->k; k++)
            x += dtype_get(d, va, j / r->n * r->k + k) * dtype_get(d, vb, j % r->n * r->k + k);
        close_to(dtype_get(d, vc, j), x / (1 + exp(-x)) + dtype_get(d, res, j), tolerance_of(d), 0.01, r->name, j);
    }
    kb_free(b);
}
END_TEST

/* ---- the same bytes twice ------------------------------------------------------------------------------------- */

START_TEST(test_deterministic) {
    static const char *const all[] = { "host", "sim", "sm_80", "sm_90a" };
    const uint8_t *code[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        kb *b = kb_new(JC_K_ROW, 2);
        kb_extent(b, 0, 64);
        kb_extent(b, 1, 512);
        unsigned x = kb_ptr(b, JC_BF16, false), y = kb_ptr(b, JC_BF16, true);
        const int64_t st[2] = { 512, 1 };
        uint32_t v = kb_load(b, x, kb_strided(b, st)), s = kb_op(b, JC_T_RED_SUM, v, 0, 0);
        kb_store(b, y, kb_strided(b, st), kb_op(b, JC_T_DIV, kb_op(b, JC_T_EXP, v, 0, 0), s, 0));
        bool host = _i == 0;
        b->k.threads = host ? 1 : 128, b->k.lanes = host ? 1 : 32, b->k.vec = 8, b->k.steps = host ? 0 : 2;
        const uint8_t *made = kb_compile(b, all[_i], &n[i], NULL);
        code[i] = memcpy(malloc(n[i]), made, n[i]);
        kb_free(b);
    }
    ck_assert_uint_eq(n[0], n[1]);
    ck_assert_mem_eq(code[0], code[1], n[0]);
    free((void *)code[0]);
    free((void *)code[1]);
}
END_TEST

START_TEST(test_times) {
    kb_print_times();
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("codegen");
    TCase *t = tcase_create("kernels");
    tcase_set_timeout(t, 60);
    many_add(t, test_point, 0, NTARGETS * (int)(sizeof points / sizeof *points));
    many_add(t, test_point_symbolic, 0, 2);
    many_add(t, test_point_gather, 0, 2);
    many_add(t, test_point_in_place, 0, 2);
    many_add(t, test_casts, 0, NTARGETS * JC_DTYPE_COUNT);
    many_add(t, test_reals, 0, 2 * NREALS);
    many_add(t, test_wholes, 0, 2 * NWHOLES);
    many_add(t, test_mixed, 0, 2);
    many_add(t, test_rms_norm, 0, 2 * NROWS);
    many_add(t, test_softmax, 0, 2 * NROWS);
    many_add(t, test_row_symbolic, 0, 6);
    many_add(t, test_dot, 0, 2 * NPRODUCTS);
    many_add(t, test_host_product, 0, NHOST_ROWS);
    many_add(t, test_host_special, 0, NODD_FACTORS);
    tcase_add_test(t, test_host_subnormal);
    tcase_add_loop_test(t, test_host_no_pairs, 0, 3);
    many_add(t, test_mma, 0, NMMAS);
    many_add(t, test_deterministic, 0, 4);
    tcase_add_test(t, test_times);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    many_prepare();
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
