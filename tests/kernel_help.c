/*
 * tests/kernel_help.c - see kernel_help.h.
 */
#include "tests/kernel_help.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/debug.h"
#include "jit/llvm/backend.h"
#include "runtime/loader.h"
#include "runtime/sim.h"

const jc_backend *kernel_backend(void) {
    static const jc_backend *backend;
    jc_error err = JC_ERROR_INIT;
    if (!backend)
        ck_assert_msg(jc_backend_open(&backend, &err) == JITC_OK, "%s", err.message);
    return backend;
}


#define ck_ok(call, err)                                                                           \
    do {                                                                                           \
        jitc_status ck_ok_status = (call);                                                         \
        ck_assert_msg(ck_ok_status == JITC_OK, "%s: %s", #call, (err).message);                    \
    } while (0)

/* ---- building ------------------------------------------------------------------------------------------------- */

static uint32_t add_sym(kb *b, jc_ksym_kind kind, uint32_t index) {
    uint32_t s = jc_sym_add(b->k.ex, "s");
    jc_ksym k = { .kind = (uint8_t)kind, .index = index };
    jc_push(b->arena, &b->syms, k);
    return s;
}

kb *kb_new(uint8_t family, unsigned rank) {
    jc_arena *arena = jc_arena_new(NULL);
    kb *b = JC_NEW(arena, kb);
    b->arena = arena;
    b->k = (jc_kernel){ .family = family, .rank = (uint8_t)rank, .threads = 1, .vec = 1, .unroll = 1, .lanes = 1,
                        .tile_m = 1, .tile_n = 1, .ex = jc_exprs_new(arena) };
    for (unsigned d = 0; d < rank; d++)
        add_sym(b, JC_KSYM_LOOP, d);
    return b;
}

void kb_free(kb *b) {
    jc_arena_free(b->arena);
}

void kb_extent(kb *b, unsigned d, int64_t n) {
    kb_extent_of(b, d, jc_ex_int(b->k.ex, n), n);
}

void kb_extent_of(kb *b, unsigned d, const jc_expr *e, int64_t most) {
    b->k.extent[d] = e;
    jc_sym_at(b->k.ex, d)->hi = most > 0 ? most - 1 : 0;
}

const jc_expr *kb_loop(kb *b, unsigned d) { return jc_ex_sym(b->k.ex, d); }
const jc_expr *kb_const(kb *b, int64_t x) { return jc_ex_int(b->k.ex, x); }
const jc_expr *kb_add(kb *b, const jc_expr *x, const jc_expr *y) { return jc_ex_add(b->k.ex, x, y); }
const jc_expr *kb_mul(kb *b, const jc_expr *x, const jc_expr *y) { return jc_ex_mul(b->k.ex, x, y); }
const jc_expr *kb_muli(kb *b, const jc_expr *x, int64_t y) { return kb_mul(b, x, kb_const(b, y)); }

const jc_expr *kb_strided(kb *b, const int64_t *strides) {
    const jc_expr *e = kb_const(b, 0);
    for (unsigned d = 0; d < b->k.rank; d++)
        e = kb_add(b, e, kb_muli(b, kb_loop(b, d), strides[d]));
    return e;
}

static unsigned add_arg(kb *b, jc_karg a) {
    jc_push(b->arena, &b->args, a);
    return (unsigned)b->args.n - 1;
}

const jc_expr *kb_int(kb *b, int64_t lo, int64_t hi, int64_t divisor) {
    uint32_t s = add_sym(b, JC_KSYM_ARG, (uint32_t)b->args.n);
    *jc_sym_at(b->k.ex, s) = (jc_sym){ .name = "n", .lo = lo, .hi = hi, .divisor = divisor };
    add_arg(b, (jc_karg){ .kind = JC_KARG_I64, .sym = s });
    return jc_ex_sym(b->k.ex, s);
}

unsigned kb_float(kb *b) {
    return add_arg(b, (jc_karg){ .kind = JC_KARG_F64 });
}

unsigned kb_ptr(kb *b, jc_dtype dtype, bool written) {
    return add_arg(b, (jc_karg){ .kind = JC_KARG_PTR, .dtype = (uint8_t)dtype, .written = written });
}

const jc_expr *kb_tape_sym(kb *b, uint32_t i, int64_t lo, int64_t hi) {
    uint32_t s = add_sym(b, JC_KSYM_TAPE, i);
    *jc_sym_at(b->k.ex, s) = (jc_sym){ .name = "v", .lo = lo, .hi = hi, .divisor = 1 };
    return jc_ex_sym(b->k.ex, s);
}

static uint32_t add_instr(kb *b, jc_instr in) {
    jc_push(b->arena, &b->tape, in);
    return (uint32_t)b->tape.n - 1;
}

uint32_t kb_load(kb *b, unsigned arg, const jc_expr *index) {
    jc_ct ct = jc_compute_type((jc_dtype)b->args.at[arg].dtype);
    return add_instr(b, (jc_instr){ .op = JC_T_LOAD, .ct = (uint8_t)ct, .arg = (uint16_t)arg, .index = index });
}

void kb_store(kb *b, unsigned arg, const jc_expr *index, uint32_t v) {
    add_instr(b, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .arg = (uint16_t)arg, .a = v, .index = index });
}

uint32_t kb_index(kb *b, const jc_expr *index) {
    return add_instr(b, (jc_instr){ .op = JC_T_INDEX, .ct = JC_CT_I64, .index = index });
}

uint32_t kb_f(kb *b, double f) { return add_instr(b, (jc_instr){ .op = JC_T_FLOAT, .ct = JC_CT_F32, .f = f }); }
uint32_t kb_i(kb *b, int64_t i) { return add_instr(b, (jc_instr){ .op = JC_T_INT, .ct = JC_CT_I64, .i = i }); }

uint32_t kb_op(kb *b, jc_tape_op op, uint32_t x, uint32_t y, uint32_t z) {
    uint8_t ct = b->tape.at[op == JC_T_SELECT ? y : x].ct;
    if (op == JC_T_SIGNBIT || op == JC_T_EQ || op == JC_T_NE || op == JC_T_LT || op == JC_T_LE)
        ct = JC_CT_B1;
    return add_instr(b, (jc_instr){ .op = (uint8_t)op, .ct = ct, .a = x, .b = y, .c = z });
}

uint32_t kb_convert(kb *b, jc_ct to, uint32_t a) {
    return add_instr(b, (jc_instr){ .op = JC_T_CONVERT, .ct = (uint8_t)to, .a = a });
}

uint32_t kb_whole(kb *b, uint32_t a) {
    return add_instr(b, (jc_instr){ .op = JC_T_WHOLE, .ct = JC_CT_I64, .a = a });
}

uint32_t kb_round(kb *b, jc_dtype dtype, uint32_t a) {
    return add_instr(b, (jc_instr){ .op = JC_T_ROUND, .ct = b->tape.at[a].ct, .dtype = (uint8_t)dtype, .a = a });
}

uint32_t kb_acc(kb *b, jc_ct ct) {
    return add_instr(b, (jc_instr){ .op = JC_T_ACC, .ct = (uint8_t)ct });
}

/* ---- running -------------------------------------------------------------------------------------------------- */

void kb_finish(kb *b, jc_bytes *out) {
    jc_error err = JC_ERROR_INIT;
    b->k.nsyms = (uint32_t)b->syms.n;
    b->k.syms = b->syms.at;
    b->k.nargs = (uint32_t)b->args.n;
    b->k.args = b->args.at;
    b->k.ninstrs = (uint32_t)b->tape.n;
    b->k.tape = b->tape.at;
    ck_ok(jc_kernel_verify(&b->k, &err), err);
    jc_kernel_encode(&b->k, out);
}

static double spent[JC_FAMILY_COUNT][3];
static unsigned compiled[JC_FAMILY_COUNT][3];

void kb_print_times(void) {
    static const char *const dialects[] = { "host", "nvptx", "sim" };
    for (unsigned f = 0; f < JC_FAMILY_COUNT; f++)
        for (unsigned d = 0; d < 3; d++)
            if (compiled[f][d])
                printf("LLVM: %s for %s: %u kernels, %.1f ms each\n", jc_families[f].name, dialects[d], compiled[f][d],
                       spent[f][d] / compiled[f][d]);
}

/* An unnamed value is %7, an unnamed block begins a line with its number. */
static void expect_named(const char *ir) {
    for (const char *at = ir; *at; at++) {
        bool number = at[0] == '%' && at[1] >= '0' && at[1] <= '9';
        bool block = at > ir && at[-1] == '\n' && *at >= '0' && *at <= '9';
        if (number || block)
            ck_abort_msg("something has no name: %.60s\n%s", at, ir);
    }
}

const uint8_t *kb_compile(kb *b, const char *name, size_t *n, char **ir) {
    jc_error err = JC_ERROR_INIT;
    jc_target target;
    const uint8_t *code = NULL;
    jc_bytes bytes = JC_BYTES(b->arena);
    ck_ok(jc_target_parse(name, &target, &err), err);
    if (b->cpu)
        snprintf(target.cpu, sizeof target.cpu, "%s", b->cpu);
    kb_finish(b, &bytes);
    double start = jc_now_ms();
    ck_ok(kernel_backend()->compile(bytes.at, bytes.n, "kernel", &target, b->arena, &code, n, ir, &err), err);
    spent[b->k.family][target.dialect] += jc_now_ms() - start;
    compiled[b->k.family][target.dialect]++;
    if (target.dialect != JC_DIALECT_NVPTX && bytes.n % 4 != 0) /* compiling twice takes time: of all kernels, every fourth */
        return code;
    /* The text has names, and asking for it changes no byte of the code. */
    char *text = NULL;
    const uint8_t *same = NULL;
    size_t nsame;
    ck_ok(kernel_backend()->compile(bytes.at, bytes.n, "kernel", &target, b->arena, &same, &nsame, &text, &err), err);
    expect_named(text);
    if (nsame != *n || memcmp(code, same, nsame) != 0)
        ck_abort_msg("the code for %s depends on whether its IR was asked for", name);
    return code;
}

static int64_t blocks_of(kb *b, const value *args) {
    int64_t values[256] = { 0 }, blocks;
    for (uint32_t s = 0; s < b->k.nsyms; s++)
        if (b->k.syms[s].kind == JC_KSYM_ARG)
            values[s] = args[b->k.syms[s].index].i;
    ck_assert(jc_ex_eval(jc_kernel_blocks(&b->k), values, b->k.nsyms, &blocks));
    return blocks;
}

static void run_sim(kb *b, void *entry, void *const *args, const value *values, const size_t *sizes, int64_t blocks) {
    jc_sim_range ranges[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->k.nargs; i++)
        if (b->k.args[i].kind == JC_KARG_PTR)
            ranges[n++] = (jc_sim_range){ values[i].p, sizes[i], b->k.args[i].written };
    for (uint64_t seed = 1; seed <= 2; seed++) {
        jc_error err = JC_ERROR_INIT;
        jc_sim_launch l = { .name = "kernel", .kernel = (jc_sim_kernel)entry, .args = args, .blocks = blocks,
                            .threads = b->k.threads, .shared = jc_kernel_shared(&b->k), .seed = seed, .ranges = ranges,
                            .nranges = n };
        ck_ok(jc_sim_run(&l, &err), err);
        if (getenv("JITC_TEST_ONE_SEED"))
            break;
    }
}

void kb_run(kb *b, const char *target, const value *values, const size_t *sizes) {
    jc_error err = JC_ERROR_INIT;
    size_t n;
    jc_loaded *l = NULL;
    void *args[64];
    bool sim = strncmp(target, "sim", 3) == 0;
    char *ir = NULL;
    const uint8_t *code = kb_compile(b, target, &n, getenv("JITC_TEST_IR") ? &ir : NULL);
    if (ir)
        fprintf(stderr, "%s\n", ir);
    for (uint32_t i = 0; i < b->k.nargs; i++)
        args[i] = (void *)&values[i];
    ck_ok(jc_load_object(code, n, sim ? jc_sim_symbols : NULL, sim ? jc_sim_nsymbols : 0, NULL, &l, &err), err);
    void *entry = jc_loaded_symbol(l, "kernel");
    ck_assert_ptr_nonnull(entry);
    int64_t blocks = blocks_of(b, values);
    if (sim) {
        run_sim(b, entry, args, values, sizes, blocks);
    } else {
        /* In two parts, as threads take them. */
        void (*run)(void *const *, int64_t, int64_t) = (void (*)(void *const *, int64_t, int64_t))entry;
        run(args, 0, blocks / 3);
        run(args, blocks / 3, blocks);
    }
    jc_loaded_free(l);
}

unsigned host_levels(const char *out[8]) {
    static const char *const all[] = { "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "x86-64-v4-amx" };
    unsigned n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        jc_target host, code;
        ck_assert_int_eq(jc_target_parse("host", &host, NULL), JITC_OK);
        code = host;
        snprintf(code.cpu, sizeof code.cpu, "%s", all[i]);
        if (jc_target_runs_on(&code, &host, false))
            out[n++] = all[i];
    }
    return n;
}

unsigned count_text(const char *text, const char *what) {
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

typedef struct small {
    int exponent_bits, mantissa_bits;
    bool finite_only; /* no infinity; all ones is NaN */
} small;

static small small_of(jc_dtype dtype) {
    return dtype == JC_F16    ? (small){ 5, 10, false }
           : dtype == JC_BF16 ? (small){ 8, 7, false }
           : dtype == JC_F8E5M2 ? (small){ 5, 2, false }
                                : (small){ 4, 3, true };
}

static double small_to_double(jc_dtype dtype, unsigned bits) {
    small s = small_of(dtype);
    int bias = (1 << (s.exponent_bits - 1)) - 1;
    unsigned m = bits & ((1u << s.mantissa_bits) - 1), e = bits >> s.mantissa_bits & ((1u << s.exponent_bits) - 1);
    double sign = bits >> (s.exponent_bits + s.mantissa_bits) & 1 ? -1 : 1, top = (1u << s.exponent_bits) - 1;
    if (e == top && (!s.finite_only || m == (1u << s.mantissa_bits) - 1))
        return m ? NAN : sign * INFINITY;
    if (e == 0)
        return sign * ldexp(m, 1 - bias - s.mantissa_bits);
    return sign * ldexp(m + (1u << s.mantissa_bits), (int)e - bias - s.mantissa_bits);
}

/* The nearest, by trying them all; ties to even. */
static unsigned double_to_small(jc_dtype dtype, double x) {
    small s = small_of(dtype);
    unsigned width = (unsigned)(s.exponent_bits + s.mantissa_bits), sign = signbit(x) ? 1u << width : 0;
    unsigned nan = s.finite_only ? (1u << width) - 1 : (1u << width) - (1u << (s.mantissa_bits - 1));
    if (isnan(x))
        return nan;
    x = fabs(x);
    unsigned lo = 0, hi = (1u << width) - 1; /* find the last magnitude <= x */
    while (hi && !(small_to_double(dtype, hi) <= 1e300))
        hi--;
    unsigned most = hi;
    while (lo < hi) {
        unsigned mid = (lo + hi + 1) / 2;
        if (small_to_double(dtype, mid) <= x)
            lo = mid;
        else
            hi = mid - 1;
    }
    double below = small_to_double(dtype, lo), above = lo == most ? below + (below - small_to_double(dtype, lo - 1))
                                                                  : small_to_double(dtype, lo + 1);
    double up = above - x, down = x - below;
    unsigned r = down < up || (down == up && !(lo & 1)) ? lo : lo + 1;
    return sign | r; /* one past the last finite: infinity, or NaN where there is none */
}

double dtype_get(jc_dtype dtype, const void *at, int64_t i) {
    switch (dtype) {
    case JC_F32: return ((const float *)at)[i];
    case JC_F64: return ((const double *)at)[i];
    case JC_I8: return ((const int8_t *)at)[i];
    case JC_I16: return ((const int16_t *)at)[i];
    case JC_I32: return ((const int32_t *)at)[i];
    case JC_I64: return (double)((const int64_t *)at)[i];
    case JC_U8: return ((const uint8_t *)at)[i];
    case JC_B8: return ((const uint8_t *)at)[i] != 0;
    case JC_F16:
    case JC_BF16: return small_to_double(dtype, ((const uint16_t *)at)[i]);
    default: return small_to_double(dtype, ((const uint8_t *)at)[i]);
    }
}

void dtype_set(jc_dtype dtype, void *at, int64_t i, double x) {
    switch (dtype) {
    case JC_F32: ((float *)at)[i] = (float)x; break;
    case JC_F64: ((double *)at)[i] = x; break;
    case JC_I8: ((int8_t *)at)[i] = (int8_t)(int64_t)x; break;
    case JC_I16: ((int16_t *)at)[i] = (int16_t)(int64_t)x; break;
    case JC_I32: ((int32_t *)at)[i] = (int32_t)(int64_t)x; break;
    case JC_I64: ((int64_t *)at)[i] = (int64_t)x; break;
    case JC_U8: ((uint8_t *)at)[i] = (uint8_t)(int64_t)x; break;
    case JC_B8: ((uint8_t *)at)[i] = x != 0; break;
    case JC_F16:
    case JC_BF16: ((uint16_t *)at)[i] = (uint16_t)double_to_small(dtype, (float)x); break;
    default: ((uint8_t *)at)[i] = (uint8_t)double_to_small(dtype, (float)x); break;
    }
}

void fill_random(jc_dtype dtype, void *at, int64_t n, double lo, double hi, uint64_t seed) {
    uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (int64_t i = 0; i < n; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        dtype_set(dtype, at, i, lo + (hi - lo) * (double)(state >> 11) * 0x1p-53);
    }
}
