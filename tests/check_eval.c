/*
 * tests/check_eval.c - the reference evaluator: every operator on small cases worked out by hand, views and writes,
 * custom operators and calls.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/eval/eval.h"
#include "ir/solve.h"

static jc_arena *arena;
static jc_graph *graph;
static jc_func *func;

static void set_up(void) {
    arena = jc_arena_new(NULL);
    graph = jc_graph_new(arena, "test");
    func = jc_func_new(graph, "f");
    graph->root = func;
}

static void tear_down(void) {
    jc_arena_free(arena);
}

/* ---- building ---- */

#define DIMS(...) (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ }

static jc_type type_of(jc_dtype dtype, int rank, const int64_t *dims) {
    const jc_expr **at = JC_NEWN(arena, const jc_expr *, (size_t)rank);
    for (int d = 0; d < rank; d++)
        at[d] = jc_ex_int(graph->exprs, dims[d]);
    return (jc_type){ .kind = JC_TENSOR, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .dims = at };
}

static DLTensor *new_tensor(jc_dtype dtype, int rank, const int64_t *dims) {
    DLTensor *t = JC_NEW(arena, DLTensor);
    int64_t n = 1;
    *t = (DLTensor){ .ndim = rank, .device = { .device_type = kDLCPU },
                     .dtype = { jc_dtypes[dtype].dl_code, jc_dtypes[dtype].dl_bits, 1 } };
    t->shape = jc_arena_memdup(arena, dims, (size_t)rank * sizeof *dims);
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    t->data = jc_arena_alloc(arena, (size_t)n * jc_dtypes[dtype].size);
    return t;
}

static void put(jc_dtype dtype, void *data, int64_t k, double x) {
    void *at = (char *)data + k * jc_dtypes[dtype].size;
    if (jc_dtypes[dtype].cls == 'f')
        jc_store_float(dtype, at, x);
    else
        jc_store_int(dtype, at, (int64_t)x);
}

static jitc_value inputs[16];

/* A parameter with its argument. */
static jc_arg param(jc_dtype dtype, const double *at, int rank, const int64_t *dims) {
    jc_type type = type_of(dtype, rank, dims);
    DLTensor *t = new_tensor(dtype, rank, dims);
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    for (int64_t k = 0; k < n; k++)
        put(dtype, t->data, k, at[k]);
    jc_value *v = jc_func_param(func, "p", &type);
    inputs[v->index] = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
    return jc_arg_value(v);
}

static jc_arg number(int64_t i) {
    return jc_arg_int(graph, i);
}

static jc_arg ints(int n, const int64_t *at) {
    jc_arg list[8];
    for (int k = 0; k < n; k++)
        list[k] = number(at[k]);
    return jc_arg_list(graph, list, (uint32_t)n);
}

static jc_node *add_n(jc_op op, const jc_arg *args, uint32_t n) {
    jc_error err = JC_ERROR_INIT;
    jc_node *node = NULL;
    ck_assert_msg(jc_func_add(func, op, args, n, 1, &node, &err) == JITC_OK, "%s: %s", jc_ops[op].name, err.message);
    return node;
}

#define ADD(op, ...)                                                                               \
    jc_arg_value(add_n(op, (jc_arg[]){ __VA_ARGS__ }, sizeof((jc_arg[]){ __VA_ARGS__ }) / sizeof(jc_arg))->results[0])

static jitc_status eval_status(const jc_arg *outputs, uint32_t n, const jc_eval_host *host, jc_eval_out *out, jc_error *err) {
    func->outputs = jc_arena_memdup(arena, outputs, n * sizeof *outputs);
    func->noutputs = n;
    return jc_eval(func, JC_EVAL_CLAMP, NULL, 0, inputs, host, arena, out, err);
}

static void eval(const jc_arg *outputs, uint32_t n, const jc_eval_host *host, jc_eval_out *out) {
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(eval_status(outputs, n, host, out, &err) == JITC_OK, "%s", err.message);
}

static int64_t numel(const jc_eval_out *out) {
    int64_t n = 1;
    for (int d = 0; d < out->rank; d++)
        n *= out->dims[d];
    return n;
}

/* Equal to the last few bits of a double. */
static void same(const char *name, const jc_eval_out *out, const double *expected, int64_t n) {
    ck_assert_msg(!out->undefined, "%s: undefined", name);
    ck_assert_msg(numel(out) == n, "%s: %lld elements instead of %lld", name, (long long)numel(out), (long long)n);
    for (int64_t k = 0; k < n; k++) {
        double x = out->f ? out->f[k] : (double)out->i[k];
        bool equal = isnan(expected[k]) ? isnan(x)
                     : isinf(expected[k]) ? x == expected[k]
                                          : fabs(x - expected[k]) <= 1e-14 * (1 + fabs(expected[k]));
        ck_assert_msg(equal, "%s[%lld]: %.17g instead of %.17g", name, (long long)k, x, expected[k]);
    }
}

static void gives_n(const char *name, jc_arg value, const double *expected, int64_t n) {
    jc_eval_out out;
    eval(&value, 1, NULL, &out);
    same(name, &out, expected, n);
}
#define GIVES(name, value, ...)                                                                    \
    gives_n(name, value, (double[]){ __VA_ARGS__ }, sizeof((double[]){ __VA_ARGS__ }) / sizeof(double))

/* ---- one operand ---- */

#define UP_TO 6
typedef struct unary_row {
    const char *name;
    jc_op op;
    jc_dtype dtype, out;
    int n;
    double x[UP_TO], expected[UP_TO];
} unary_row;

static const unary_row unary_rows[] = {
    { "neg", JC_OP_neg, JC_F32, JC_F32, 2, { 1.5, -2 }, { -1.5, 2 } },
    { "neg i8 wraps", JC_OP_neg, JC_I8, JC_I8, 2, { -128, 5 }, { -128, -5 } },
    { "neg u8 wraps", JC_OP_neg, JC_U8, JC_U8, 2, { 1, 0 }, { 255, 0 } },
    { "abs", JC_OP_abs, JC_BF16, JC_BF16, 2, { -2, 3 }, { 2, 3 } },
    { "abs i16 wraps", JC_OP_abs, JC_I16, JC_I16, 2, { -32768, -7 }, { -32768, 7 } },
    { "exp", JC_OP_exp, JC_F32, JC_F32, 2, { 0, 1 }, { 1, 2.718281828459045 } },
    { "exp of integers", JC_OP_exp, JC_I32, JC_F32, 2, { 0, 2 }, { 1, 7.38905609893065 } },
    { "exp2", JC_OP_exp2, JC_F32, JC_F32, 2, { 10, -1 }, { 1024, 0.5 } },
    { "log", JC_OP_log, JC_F64, JC_F64, 3, { 1, 0, -1 }, { 0, -INFINITY, NAN } },
    { "sqrt", JC_OP_sqrt, JC_F32, JC_F32, 2, { 9, 2 }, { 3, 1.4142135623730951 } },
    { "rsqrt", JC_OP_rsqrt, JC_F32, JC_F32, 3, { 4, 0, 2 }, { 0.5, INFINITY, 0.7071067811865476 } },
    { "reciprocal is not rounded", JC_OP_reciprocal, JC_BF16, JC_BF16, 2, { 3, -4 }, { 1.0 / 3, -0.25 } },
    { "sin", JC_OP_sin, JC_F32, JC_F32, 2, { 0, 1 }, { 0, 0.8414709848078965 } },
    { "cos", JC_OP_cos, JC_F32, JC_F32, 2, { 0, 1 }, { 1, 0.5403023058681398 } },
    { "tanh", JC_OP_tanh, JC_F32, JC_F32, 2, { 0, 1 }, { 0, 0.7615941559557649 } },
    { "erf", JC_OP_erf, JC_F32, JC_F32, 2, { 0, 1 }, { 0, 0.8427007929497149 } },
    { "sigmoid", JC_OP_sigmoid, JC_F32, JC_F32, 3, { 0, 1, -1000 }, { 0.5, 0.7310585786300049, 0 } },
    { "silu", JC_OP_silu, JC_F32, JC_F32, 2, { 1, -1 }, { 0.7310585786300049, -0.2689414213699951 } },
    { "relu", JC_OP_relu, JC_F32, JC_F32, 3, { -1, 2, NAN }, { 0, 2, NAN } },
    { "relu of integers", JC_OP_relu, JC_I32, JC_I32, 2, { -1, 2 }, { 0, 2 } },
    { "floor", JC_OP_floor, JC_F32, JC_F32, 2, { -1.5, 2.5 }, { -2, 2 } },
    { "ceil", JC_OP_ceil, JC_F32, JC_F32, 2, { -1.5, 2.5 }, { -1, 3 } },
    { "expm1", JC_OP_expm1, JC_F64, JC_F64, 2, { 1e-10, 1 }, { 1.00000000005e-10, 1.7182818284590452 } },
    { "log1p", JC_OP_log1p, JC_F64, JC_F64, 2, { 1e-10, 1 }, { 9.9999999995000004e-11, 0.69314718055994531 } },
    { "log2", JC_OP_log2, JC_F64, JC_F64, 2, { 8, 10 }, { 3.0, 3.3219280948873623 } },
    { "log10", JC_OP_log10, JC_F64, JC_F64, 2, { 1000, 2 }, { 3.0, 0.3010299956639812 } },
    { "tan", JC_OP_tan, JC_F64, JC_F64, 2, { 1, -0.5 }, { 1.5574077246549022, -0.54630248984379051 } },
    { "asin", JC_OP_asin, JC_F64, JC_F64, 2, { 0.5, -1 }, { 0.52359877559829887, -1.5707963267948966 } },
    { "acos", JC_OP_acos, JC_F64, JC_F64, 2, { 0.5, -1 }, { 1.0471975511965977, 3.1415926535897932 } },
    { "atan", JC_OP_atan, JC_F64, JC_F64, 2, { 1, -20 }, { 0.78539816339744831, -1.5208379310729539 } },
    { "sinh", JC_OP_sinh, JC_F64, JC_F64, 2, { 1, -0.001 }, { 1.1752011936438015, -0.001000000166666675 } },
    { "cosh", JC_OP_cosh, JC_F64, JC_F64, 2, { 1, -2 }, { 1.5430806348152438, 3.7621956910836315 } },
    { "asinh", JC_OP_asinh, JC_F64, JC_F64, 2, { 1, -20 }, { 0.88137358701954303, -3.6895038689889056 } },
    { "acosh", JC_OP_acosh, JC_F64, JC_F64, 2, { 2, 1 }, { 1.3169578969248167, 0.0 } },
    { "atanh", JC_OP_atanh, JC_F64, JC_F64, 2, { 0.5, -0.001 }, { 0.54930614433405485, -0.0010000003333335334 } },
    { "erfc", JC_OP_erfc, JC_F64, JC_F64, 3, { 1, -1, 5 }, { 0.15729920705028513, 1.8427007929497149, 1.5374597944280349e-12 } },
    { "erfinv", JC_OP_erfinv, JC_F64, JC_F64, 2, { 0.5, -0.25 }, { 0.47693627620446987, -0.2253120550121781 } },
    { "log1p of integers", JC_OP_log1p, JC_I32, JC_F32, 2, { 0, 1 }, { 0, 0.69314718055994531 } },
    { "erfinv outside", JC_OP_erfinv, JC_F32, JC_F32, 4, { 1, -1, 2, 0 }, { INFINITY, -INFINITY, NAN, 0 } },
    { "round to even", JC_OP_round, JC_F32, JC_F32, 5, { 0.5, 1.5, -2.5, 2.6, NAN }, { 0, 2, -2, 3, NAN } },
    { "round of integers", JC_OP_round, JC_I32, JC_I32, 2, { -3, 4 }, { -3, 4 } },
    { "signbit", JC_OP_signbit, JC_F32, JC_B8, 4, { 1, -1, -0.0, 0 }, { 0, 1, 1, 0 } },
    { "signbit of integers", JC_OP_signbit, JC_I8, JC_B8, 2, { -1, 1 }, { 1, 0 } },
    { "bitwise_not", JC_OP_bitwise_not, JC_I32, JC_I32, 2, { 0, 5 }, { -1, -6 } },
    { "bitwise_not u8", JC_OP_bitwise_not, JC_U8, JC_U8, 1, { 1 }, { 254 } },
    { "bitwise_not bool", JC_OP_bitwise_not, JC_B8, JC_B8, 2, { 0, 1 }, { 1, 0 } },
};

START_TEST(unary) {
    const unary_row *r = &unary_rows[_i];
    jc_arg y = ADD(r->op, param(r->dtype, r->x, DIMS(r->n)));
    jc_eval_out out;
    eval(&y, 1, NULL, &out);
    ck_assert_msg(out.dtype == r->out, "%s: dtype %s", r->name, jc_dtypes[out.dtype].name);
    same(r->name, &out, r->expected, r->n);
}
END_TEST

START_TEST(unary_with_options) {
    jc_arg x = param(JC_F32, (double[]){ -1, 0, 1 }, DIMS(3));
    GIVES("gelu", ADD(JC_OP_gelu, x, jc_arg_bool(false)), -0.15865525393145707, 0, 0.8413447460685429);
    GIVES("gelu tanh", ADD(JC_OP_gelu, x, jc_arg_bool(true)), -0.15880800939172324, 0, 0.8411919906082768);
    GIVES("softplus", ADD(JC_OP_softplus, x, jc_arg_float(1), jc_arg_float(20)), 0.31326168751822286, 0.6931471805599453,
          1.3132616875182228);
    GIVES("softplus past the threshold", ADD(JC_OP_softplus, x, jc_arg_float(2), jc_arg_float(1)), 0.063464005521486247,
          0.34657359027997264, 1);
    GIVES("clamp", ADD(JC_OP_clamp, x, jc_arg_float(-0.5), jc_arg_none()), -0.5, 0, 1);
    GIVES("clamp both", ADD(JC_OP_clamp, x, jc_arg_float(0.25), jc_arg_float(0.5)), 0.25, 0.25, 0.5);
    jc_arg i = param(JC_I32, (double[]){ -5, 0, 9 }, DIMS(3));
    GIVES("clamp integers", ADD(JC_OP_clamp, i, number(-1), number(3)), -1, 0, 3);
}
END_TEST

static const struct { const char *name; jc_dtype from, to; int n; double x[UP_TO], expected[UP_TO]; } casts[] = {
    { "f32 to bf16 rounds", JC_F32, JC_BF16, 2, { 1.00390625, 0.1f }, { 1, 0.10009765625 } },
    { "f64 to f32 rounds", JC_F64, JC_F32, 1, { 0.1 }, { 0x1.99999ap-4 } },
    { "bf16 to f32", JC_BF16, JC_F32, 1, { 1.5 }, { 1.5 } },
    { "f16 to bf16 rounds", JC_F16, JC_BF16, 1, { 1.0009765625 }, { 1 } },
    { "bf16 to f16 overflows", JC_BF16, JC_F16, 1, { 131072 }, { INFINITY } },
    { "f32 to e4m3", JC_F32, JC_F8E4M3FN, 3, { 17, 448, 500 }, { 16, 448, NAN } },
    { "to integers, towards zero", JC_F32, JC_I32, 4, { 1.9, -1.9, NAN, 3e9 }, { 1, -1, INT32_MIN, INT32_MIN } },
    { "to i64, too large", JC_F32, JC_I64, 3, { 0x1p70, -0x1p70, NAN }, { -0x1p63, -0x1p63, -0x1p63 } },
    { "to i16 by way of i32", JC_F32, JC_I16, 3, { 70000, 3e9, NAN }, { 4464, 0, 0 } },
    { "to u8 by way of i64", JC_F32, JC_U8, 3, { 70000, 3e9, NAN }, { 112, 0, 0 } },
    { "to u8 wraps", JC_F32, JC_U8, 2, { 257, -1 }, { 1, 255 } },
    { "to bool", JC_F32, JC_B8, 4, { 0, -0.0, 0.25, NAN }, { 0, 0, 1, 1 } },
    { "i32 to i8 wraps", JC_I32, JC_I8, 2, { 200, -129 }, { -56, 127 } },
    { "i32 to bool", JC_I32, JC_B8, 2, { 256, 0 }, { 1, 0 } },
    { "i32 to bf16 rounds", JC_I32, JC_BF16, 2, { 257, 259 }, { 256, 260 } },
    { "bool to f32", JC_B8, JC_F32, 2, { 0, 1 }, { 0, 1 } },
};

START_TEST(cast) {
    jc_arg y = ADD(JC_OP_cast, param(casts[_i].from, casts[_i].x, DIMS(casts[_i].n)), jc_arg_dtype(casts[_i].to));
    gives_n(casts[_i].name, y, casts[_i].expected, casts[_i].n);
}
END_TEST

/* 1/3 of dtype bf16 stays a third until a cast to something narrower: to f32 and back it is only rounded to bf16. */
START_TEST(rounding_waits_for_casts) {
    jc_arg third = ADD(JC_OP_reciprocal, param(JC_BF16, (double[]){ 3 }, DIMS(1)));
    jc_arg wide = ADD(JC_OP_cast, third, jc_arg_dtype(JC_F32));
    GIVES("bf16 to f32", wide, 1.0 / 3);
    GIVES("and back", ADD(JC_OP_cast, wide, jc_arg_dtype(JC_BF16)), 0.333984375);
    jc_arg same_dtype = ADD(JC_OP_cast, third, jc_arg_dtype(JC_BF16));
    GIVES("bf16 to bf16", same_dtype, 1.0 / 3);
}
END_TEST

/* ---- two operands ---- */

typedef struct binary_row {
    const char *name;
    jc_op op;
    jc_dtype a_dtype, b_dtype, out;
    int n;
    double a[UP_TO], b[UP_TO], expected[UP_TO];
} binary_row;

#define BIG 9007199254740992.0 /* 2^53 */
static const binary_row binary_rows[] = {
    { "atan2", JC_OP_atan2, JC_F32, JC_F32, JC_F32, 3, { 1, 1, -0.0 }, { 1, -1, -1 }, { 0.78539816339744831, 2.3561944901923449, -3.1415926535897931 } },
    { "hypot", JC_OP_hypot, JC_F32, JC_F32, JC_F32, 2, { 3, INFINITY }, { -4, NAN }, { 5, INFINITY } },
    { "add", JC_OP_add, JC_BF16, JC_BF16, JC_BF16, 2, { 1, 256 }, { 2, 1 }, { 3, 257 } },
    { "add promotes", JC_OP_add, JC_BF16, JC_F32, JC_F32, 1, { 1 }, { 2.5 }, { 3.5 } },
    { "add int and float", JC_OP_add, JC_I32, JC_BF16, JC_BF16, 1, { 3 }, { 0.5 }, { 3.5 } },
    { "add i8 wraps", JC_OP_add, JC_I8, JC_I8, JC_I8, 2, { 127, -128 }, { 1, -1 }, { -128, 127 } },
    { "add i32 wraps", JC_OP_add, JC_I32, JC_I32, JC_I32, 1, { 2147483647 }, { 1 }, { -2147483648 } },
    { "add u8 and i8", JC_OP_add, JC_U8, JC_I8, JC_I16, 1, { 200 }, { 100 }, { 300 } },
    { "add bools", JC_OP_add, JC_B8, JC_B8, JC_B8, 3, { 0, 1, 1 }, { 0, 0, 1 }, { 0, 1, 1 } },
    { "sub", JC_OP_sub, JC_F32, JC_F32, JC_F32, 1, { 1 }, { 3 }, { -2 } },
    { "sub u8 wraps", JC_OP_sub, JC_U8, JC_U8, JC_U8, 1, { 1 }, { 3 }, { 254 } },
    { "mul", JC_OP_mul, JC_F32, JC_F32, JC_F32, 2, { 3, INFINITY }, { -2, 0 }, { -6, NAN } },
    { "mul i64 exact", JC_OP_mul, JC_I64, JC_I64, JC_I64, 1, { 3037000499 }, { 2 }, { 6074000998 } },
    { "mul i16 wraps", JC_OP_mul, JC_I16, JC_I16, JC_I16, 1, { 300 }, { 300 }, { 24464 } },
    { "div", JC_OP_div, JC_F32, JC_F32, JC_F32, 2, { 1, 1 }, { 4, 0 }, { 0.25, INFINITY } },
    { "div of integers", JC_OP_div, JC_I32, JC_I32, JC_F32, 2, { 7, -7 }, { 2, 2 }, { 3.5, -3.5 } },
    { "floordiv", JC_OP_floordiv, JC_I32, JC_I32, JC_I32, 4, { 7, -7, 7, -7 }, { 2, 2, -2, -2 }, { 3, -4, -4, 3 } },
    { "floordiv of floats", JC_OP_floordiv, JC_F32, JC_F32, JC_F32, 3, { 7.5, -7.5, 1 }, { 2, 2, 0 }, { 3, -4, INFINITY } },
    { "floordiv does not round up", JC_OP_floordiv, JC_F64, JC_F64, JC_F64, 1, { 1 }, { 0.1 }, { 9 } },
    { "floordiv i8 wraps", JC_OP_floordiv, JC_I8, JC_I8, JC_I8, 1, { -128 }, { -1 }, { -128 } },
    { "remainder", JC_OP_remainder, JC_I32, JC_I32, JC_I32, 4, { 7, -7, 7, -7 }, { 3, 3, -3, -3 }, { 1, 2, -2, -1 } },
    { "remainder of floats", JC_OP_remainder, JC_F32, JC_F32, JC_F32, 2, { -7.5, 7.5 }, { 2, -2 }, { 0.5, -0.5 } },
    { "pow", JC_OP_pow, JC_F32, JC_F32, JC_F32, 2, { 2, 4 }, { 10, 0.5 }, { 1024, 2 } },
    { "pow of integers", JC_OP_pow, JC_I32, JC_I32, JC_I32, 4, { 3, -2, 2, 1 }, { 4, 3, 31, 5 }, { 81, -8, -2147483648, 1 } },
    { "minimum", JC_OP_minimum, JC_F32, JC_F32, JC_F32, 3, { 1, NAN, 1 }, { 2, 1, NAN }, { 1, NAN, NAN } },
    { "maximum", JC_OP_maximum, JC_F32, JC_F32, JC_F32, 3, { 1, NAN, 1 }, { 2, 1, NAN }, { 2, NAN, NAN } },
    { "maximum of integers", JC_OP_maximum, JC_I32, JC_I32, JC_I32, 2, { -1, 5 }, { -2, 7 }, { -1, 7 } },
    { "minimum of large integers", JC_OP_minimum, JC_I64, JC_I64, JC_I64, 1, { BIG }, { BIG + 2 }, { BIG } },
    { "bitand", JC_OP_bitand, JC_I32, JC_I32, JC_I32, 2, { 12, -1 }, { 10, 7 }, { 8, 7 } },
    { "bitor", JC_OP_bitor, JC_I32, JC_I32, JC_I32, 1, { 12 }, { 3 }, { 15 } },
    { "bitxor of bools", JC_OP_bitxor, JC_B8, JC_B8, JC_B8, 2, { 1, 1 }, { 1, 0 }, { 0, 1 } },
    { "shl", JC_OP_shl, JC_I32, JC_I32, JC_I32, 3, { 1, 1, 1 }, { 4, 31, 32 }, { 16, -2147483648, 0 } },
    { "shr", JC_OP_shr, JC_I32, JC_I32, JC_I32, 3, { 16, -16, -1 }, { 2, 2, 40 }, { 4, -4, -1 } },
    { "shr u8", JC_OP_shr, JC_U8, JC_U8, JC_U8, 1, { 200 }, { 3 }, { 25 } },
    { "eq", JC_OP_eq, JC_F32, JC_F32, JC_B8, 3, { 1, 2, NAN }, { 1, 1, NAN }, { 1, 0, 0 } },
    { "ne", JC_OP_ne, JC_F32, JC_F32, JC_B8, 3, { 1, 2, NAN }, { 1, 1, NAN }, { 0, 1, 1 } },
    { "lt", JC_OP_lt, JC_I32, JC_I32, JC_B8, 3, { 1, 2, 3 }, { 2, 2, 2 }, { 1, 0, 0 } },
    { "le", JC_OP_le, JC_I32, JC_I32, JC_B8, 3, { 1, 2, 3 }, { 2, 2, 2 }, { 1, 1, 0 } },
    { "gt int against float", JC_OP_gt, JC_I32, JC_F32, JC_B8, 2, { 1, 2 }, { 1.5, 1.5 }, { 0, 1 } },
    { "ge", JC_OP_ge, JC_F32, JC_F32, JC_B8, 3, { 1, 2, NAN }, { 1, 3, 0 }, { 1, 0, 0 } },
};

START_TEST(binary) {
    const binary_row *r = &binary_rows[_i];
    jc_arg a = param(r->a_dtype, r->a, DIMS(r->n)), b = param(r->b_dtype, r->b, DIMS(r->n));
    jc_arg y = ADD(r->op, a, b);
    jc_eval_out out;
    eval(&y, 1, NULL, &out);
    ck_assert_msg(out.dtype == r->out, "%s: dtype %s", r->name, jc_dtypes[out.dtype].name);
    same(r->name, &out, r->expected, r->n);
}
END_TEST

/* Operands are cast to the dtype that they have in common first; values are PyTorch 2.11's, on the CPU. */
START_TEST(common_dtype) {
    jc_arg u = param(JC_U8, (double[]){ 249, 44, 255 }, DIMS(3)), h = param(JC_F16, (double[]){ 2048 }, DIMS(1));
    jc_arg b = param(JC_BF16, (double[]){ 3.140625 }, DIMS(1)), w = param(JC_I32, (double[]){ 5 }, DIMS(1));
    jc_arg k = param(JC_I64, (double[]){ 300 }, 0, NULL), minus = param(JC_I32, (double[]){ -7 }, 0, NULL);
    jc_arg odd = param(JC_I64, (double[]){ 2049 }, DIMS(1)), large = param(JC_I64, (double[]){ 1099511627782 }, 0, NULL);
    jc_arg pi = param(JC_F32, (double[]){ 3.14f }, 0, NULL), wide = param(JC_F32, (double[]){ 3.14f }, DIMS(1));
    GIVES("u8 == 300 in a tensor", ADD(JC_OP_eq, u, k), 0, 1, 0);
    GIVES("u8 == 300", ADD(JC_OP_eq, u, number(300)), 0, 1, 0);
    GIVES("u8 < -1", ADD(JC_OP_lt, u, number(-1)), 1, 1, 0);
    GIVES("maximum of u8", ADD(JC_OP_maximum, u, k), 249, 44, 255);
    GIVES("u8 // 300", ADD(JC_OP_floordiv, u, k), 5, 1, 5);
    GIVES("u8 % -7", ADD(JC_OP_remainder, u, number(-7)), 0, 44, 6);
    GIVES("u8 >> 257", ADD(JC_OP_shr, u, number(257)), 124, 22, 127);
    GIVES("u8 ^ -7", ADD(JC_OP_bitxor, minus, u), 0, 213, 6);
    GIVES("clamp of u8", ADD(JC_OP_clamp, u, number(-5), jc_arg_none()), 251, 251, 255);
    GIVES("maximum of i32", ADD(JC_OP_maximum, w, large), 6);
    GIVES("i32 < 2^40", ADD(JC_OP_lt, w, large), 1);
    GIVES("f16 - 2049", ADD(JC_OP_sub, h, odd), 0);
    GIVES("bf16 == 3.14", ADD(JC_OP_eq, b, jc_arg_float(3.14)), 1);
    GIVES("bf16 == 3.14 in a tensor", ADD(JC_OP_eq, b, pi), 1);
    GIVES("bf16 == 3.14 in f32", ADD(JC_OP_eq, b, wide), 0);
    GIVES("bf16 > 3.1415", ADD(JC_OP_gt, b, jc_arg_float(3.1415)), 0);
    GIVES("bf16 % 1.7", ADD(JC_OP_remainder, b, jc_arg_float(1.7)), 1.4375);
    GIVES("clamp of bf16", ADD(JC_OP_clamp, b, jc_arg_none(), jc_arg_float(3.15)), 3.140625);
    GIVES("a factor is as wide as it is", ADD(JC_OP_mul, b, jc_arg_float(0.333)), 3.140625 * 0.333f);
}
END_TEST

START_TEST(broadcast_and_numbers) {
    jc_arg a = param(JC_F32, (double[]){ 1, 2, 3, 4, 5, 6 }, DIMS(2, 3)), b = param(JC_F32, (double[]){ 10, 20 }, DIMS(2, 1));
    jc_arg i = param(JC_I32, (double[]){ 7, 8 }, DIMS(2)), scalar = param(JC_F32, (double[]){ 100 }, 0, NULL);
    GIVES("column", ADD(JC_OP_add, a, b), 11, 12, 13, 24, 25, 26);
    GIVES("0-d", ADD(JC_OP_add, scalar, b), 110, 120);
    GIVES("number second", ADD(JC_OP_mul, a, jc_arg_float(0.5)), 0.5, 1, 1.5, 2, 2.5, 3);
    GIVES("number first", ADD(JC_OP_sub, number(1), a), 0, -1, -2, -3, -4, -5);
    GIVES("integer number", ADD(JC_OP_add, i, number(2)), 9, 10);
    GIVES("float number makes floats", ADD(JC_OP_add, i, jc_arg_float(0.5)), 7.5, 8.5);
    jc_arg c = param(JC_B8, (double[]){ 1, 0 }, DIMS(2, 1));
    GIVES("where", ADD(JC_OP_where, c, a, jc_arg_float(-1)), 1, 2, 3, -1, -1, -1);
    GIVES("where of integers", ADD(JC_OP_where, c, number(3), i), 3, 3, 7, 8);
    jc_arg zero = ADD(JC_OP_floordiv, i, number(0));
    jc_error err = JC_ERROR_INIT;
    jc_eval_out out;
    ck_assert_int_eq(eval_status(&zero, 1, NULL, &out, &err), JITC_E_INPUT);
    ck_assert(strstr(err.message, "zero"));
}
END_TEST

/* ---- reductions ---- */

START_TEST(reductions) {
    jc_arg a = param(JC_F32, (double[]){ 1, 2, 3, 4, 5, 6 }, DIMS(2, 3));
    jc_arg i = param(JC_I8, (double[]){ 100, 100, 3, 4 }, DIMS(2, 2)), b = param(JC_B8, (double[]){ 1, 1, 0 }, DIMS(3));
    jc_arg none = jc_arg_none(), keep = jc_arg_bool(true), drop = jc_arg_bool(false);
    GIVES("sum last", ADD(JC_OP_sum, a, ints(DIMS(1)), drop, none), 6, 15);
    GIVES("sum first", ADD(JC_OP_sum, a, ints(DIMS(0)), keep, none), 5, 7, 9);
    GIVES("sum both", ADD(JC_OP_sum, a, ints(DIMS(0, 1)), drop, none), 21);
    GIVES("sum of integers is wide", ADD(JC_OP_sum, i, ints(DIMS(1)), drop, none), 200, 7);
    GIVES("sum of bools counts", ADD(JC_OP_sum, b, ints(DIMS(0)), drop, none), 2);
    GIVES("mean", ADD(JC_OP_mean, a, ints(DIMS(1)), keep, none), 2, 5);
    GIVES("prod", ADD(JC_OP_prod, a, ints(DIMS(1)), drop, none), 6, 120);
    GIVES("prod of integers is wide", ADD(JC_OP_prod, i, ints(DIMS(1)), drop, none), 10000, 12);
    GIVES("amax", ADD(JC_OP_amax, a, ints(DIMS(0)), drop), 4, 5, 6);
    GIVES("amin", ADD(JC_OP_amin, a, ints(DIMS(1)), drop), 1, 4);
    GIVES("amax of integers", ADD(JC_OP_amax, i, ints(DIMS(1)), drop), 100, 4);
    jc_arg odd = param(JC_F32, (double[]){ 1, NAN, 3 }, DIMS(3));
    GIVES("amin keeps NaN", ADD(JC_OP_amin, odd, ints(DIMS(0)), drop), NAN);
}
END_TEST

START_TEST(reductions_of_nothing) {
    jc_arg empty = param(JC_F32, NULL, DIMS(2, 0)), keep = jc_arg_bool(false), none = jc_arg_none();
    GIVES("sum", ADD(JC_OP_sum, empty, ints(DIMS(1)), keep, none), 0, 0);
    GIVES("prod", ADD(JC_OP_prod, empty, ints(DIMS(1)), keep, none), 1, 1);
    GIVES("mean", ADD(JC_OP_mean, empty, ints(DIMS(1)), keep, none), NAN, NAN);
}
END_TEST

START_TEST(composite_norms) {
    jc_arg none = jc_arg_none();
    jc_arg x = param(JC_BF16, (double[]){ 3, -4 }, DIMS(1, 2)), w = param(JC_BF16, (double[]){ 2, 1 }, DIMS(2));
    jc_arg w32 = param(JC_F32, (double[]){ 2, 1 }, DIMS(2)), b = param(JC_BF16, (double[]){ 1, -1 }, DIMS(2));
    jc_arg zero = jc_arg_float(0);
    /* 3/sqrt(12.5) = 0.848528, to bf16 0.84765625, times 2 in the weight's dtype; then no cast is left. */
    GIVES("rms_norm", ADD(JC_OP_rms_norm, x, w, zero, none), 1.6953125, -1.1328125);
    GIVES("rms_norm without a weight", ADD(JC_OP_rms_norm, x, none, zero, none), 0.84765625, -1.1328125);
    /* An f32 weight: 1.697056 and -1.131371 are rounded once, at the end, to bf16 (0.0078125 apart). */
    GIVES("rms_norm with an f32 weight", ADD(JC_OP_rms_norm, x, w32, zero, none), 1.6953125, -1.1328125);
    GIVES("rms_norm over one column", ADD(JC_OP_rms_norm, x, none, zero, number(1)), 1, -1.3359375);
    /* mean -0.5, variance 12.25: (3.5, -3.5) / 3.5 = (1, -1); times w plus b. */
    GIVES("layer_norm", ADD(JC_OP_layer_norm, x, number(1), w, b, zero), 3, -2);
    GIVES("layer_norm plain", ADD(JC_OP_layer_norm, x, number(1), none, none, zero), 1, -1);
    GIVES("layer_norm over all", ADD(JC_OP_layer_norm, x, number(2), none, none, zero), 1, -1);
}
END_TEST

/* 256 + 1 is 256 in bf16; the norm sees 257. */
START_TEST(composite_fused_add) {
    jc_arg x = param(JC_BF16, (double[]){ 256, 0 }, DIMS(1, 2)), r = param(JC_BF16, (double[]){ 1, 100 }, DIMS(1, 2));
    jc_node *n = add_n(JC_OP_fused_add_rms_norm, (jc_arg[]){ x, r, jc_arg_none(), jc_arg_float(0), jc_arg_none() }, 5);
    jc_arg outputs[] = { jc_arg_value(n->results[0]), jc_arg_value(n->results[1]) };
    jc_eval_out out[2];
    eval(outputs, 2, NULL, out);
    /* sqrt((257^2 + 100^2)/2) = 194.998718; 257/that = 1.317957, to bf16 1.3203125; 100/that = 0.512824 to 0.51171875 */
    same("norm", &out[0], (double[]){ 1.3203125, 0.51171875 }, 2);
    same("residual", &out[1], (double[]){ 256, 100 }, 2);
}
END_TEST

START_TEST(composite_others) {
    double l2 = 0.6931471805599453;
    jc_arg x = param(JC_F32, (double[]){ 0, 1000, 0, 1000 }, DIMS(2, 2));
    GIVES("softmax does not overflow", ADD(JC_OP_softmax, x, number(1), jc_arg_none()), 0, 1, 0, 1);
    GIVES("softmax over rows", ADD(JC_OP_softmax, x, number(0), jc_arg_none()), 0.5, 0.5, 0.5, 0.5);
    jc_arg y = param(JC_F64, (double[]){ 0, l2, 2 * l2 }, DIMS(3));
    GIVES("softmax", ADD(JC_OP_softmax, y, number(0), jc_arg_none()), 1.0 / 7, 2.0 / 7, 4.0 / 7);
    jc_arg z = param(JC_F32, (double[]){ 1, -1, 3, 5 }, DIMS(1, 4));
    GIVES("silu_and_mul", ADD(JC_OP_silu_and_mul, z), 3 * 0.7310585786300049, -5 * 0.2689414213699951);
    /* 0.731059 in bf16 is 0.73046875 */
    jc_arg b = param(JC_BF16, (double[]){ 1, 3 }, DIMS(2));
    jc_arg q = param(JC_F64, (double[]){ l2, 0, 0, 0 }, DIMS(2, 2)), k = param(JC_F64, (double[]){ 1, 0, 2, 5 }, DIMS(2, 2));
    jc_arg v = param(JC_F64, (double[]){ 3, 9 }, DIMS(2, 1)), none = jc_arg_none(), no = jc_arg_bool(false), one = jc_arg_float(1);
    jc_arg mask = param(JC_B8, (double[]){ 0, 0, 1, 0 }, DIMS(2, 2)), bias = param(JC_F64, (double[]){ 0, l2 }, DIMS(2));
    GIVES("sdpa", ADD(JC_OP_sdpa, q, k, v, none, no, one), 7, 6);
    GIVES("causal sdpa", ADD(JC_OP_sdpa, q, k, v, none, jc_arg_bool(true), one), 3, 6);
    GIVES("sdpa with a scale", ADD(JC_OP_sdpa, q, k, v, none, no, jc_arg_float(0)), 6, 6);
    GIVES("sdpa that sees nothing", ADD(JC_OP_sdpa, q, k, v, mask, no, one), 0, 3);
    GIVES("sdpa with a bias", ADD(JC_OP_sdpa, q, k, v, bias, no, one), 7.8, 7);
    jc_arg q4 = ADD(JC_OP_reshape, param(JC_F64, (double[]){ l2, 0, l2, 0 }, DIMS(4, 1)), ints(DIMS(4, 1, 1)), none);
    jc_arg k2 = ADD(JC_OP_reshape, k, ints(DIMS(2, 2, 1)), none), v2 = param(JC_F64, (double[]){ 3, 6, 1, 2 }, DIMS(2, 2, 1));
    GIVES("sdpa of groups of heads", ADD(JC_OP_sdpa, q4, k2, v2, none, no, one), 4, 4.5, 1 + 8.0 / 9, 1.5);
    jc_arg qf = param(JC_F32, (double[]){ 1, 0, 0, 0 }, DIMS(2, 2)), kf = param(JC_F32, (double[]){ 1, 0, 2, 5 }, DIMS(2, 2)), vf = param(JC_F32, (double[]){ 3, 9 }, DIMS(2, 1));
    jc_arg more = param(JC_F32, (double[]){ 0, 1 }, DIMS(2));
    GIVES("sdpa in parts, of which the second has no keys", ADD(JC_OP_sdpa_parts, qf, kf, vf, more, jc_arg_bool(true), jc_arg_float(0), number(2)),
          3, 0, 1, 0, 0, 0, 0, 0, 0, 9 + 3 * 0.36787944117144233, M_LOG2E, 1.3678794411714423, 0, 0, 0, 0, 0, 0, 0, -INFINITY, 0, 0, 0, 0, 0, 0, 0, 0,
          -INFINITY, 0, 0, 0, 0, 0, 0, 0);
    GIVES("silu_and_mul rounds between", ADD(JC_OP_silu_and_mul, b), 3 * 0.73046875);
}
END_TEST

/* The composite operators here and their decompositions share no code: in double they agree, in bf16 after rounding. */
static const struct { const char *name; jc_dtype dtype; double within; } as_decomposed_rows[] = {
    { "f64", JC_F64, 1e-13 }, { "bf16", JC_BF16, 0 }, { "f32", JC_F32, 0 },
};

START_TEST(composites_as_decomposed) {
    jc_dtype dtype = as_decomposed_rows[_i].dtype;
    double values[24], none_negative[6];
    for (int k = 0; k < 24; k++)
        values[k] = (k * 29 % 24 - 11) / 7.0;
    for (int k = 0; k < 6; k++)
        none_negative[k] = (k * 5 % 6 + 1) / 3.0;
    jc_arg x = param(dtype, values, DIMS(4, 6)), r = param(dtype, values + 1, DIMS(1, 6)), none = jc_arg_none();
    jc_arg w = param(dtype, none_negative, DIMS(6)), w32 = param(JC_F32, none_negative, DIMS(6)), eps = jc_arg_float(1e-5);
    jc_arg residual = ADD(JC_OP_mul, ADD(JC_OP_expand, r, ints(DIMS(4, 6))), x);
    jc_node *fused = add_n(JC_OP_fused_add_rms_norm, (jc_arg[]){ x, residual, w, eps, number(4) }, 5);
    jc_arg outputs[] = {
        ADD(JC_OP_rms_norm, x, w, eps, none), ADD(JC_OP_rms_norm, x, w32, eps, none),
        ADD(JC_OP_rms_norm, x, none, eps, number(3)), jc_arg_value(fused->results[0]), jc_arg_value(fused->results[1]),
        ADD(JC_OP_layer_norm, x, number(1), w, w, eps), ADD(JC_OP_layer_norm, x, number(2), none, none, eps),
        ADD(JC_OP_softmax, x, number(0), none), ADD(JC_OP_softmax, x, number(1), jc_arg_dtype(JC_F32)),
        ADD(JC_OP_silu_and_mul, x), ADD(JC_OP_sdpa, x, residual, x, none, jc_arg_bool(true), jc_arg_float(0.3)),
    };
    enum { COUNT = sizeof outputs / sizeof *outputs };
    jc_eval_out direct[COUNT], decomposed[COUNT];
    jc_error err = JC_ERROR_INIT;
    eval(outputs, COUNT, NULL, direct);
    ck_assert_msg(jc_decompose(func, false, NULL, NULL, &func, &err) == JITC_OK, "%s", err.message);
    ck_assert(func->nodes.n > 30);
    eval(func->outputs, COUNT, NULL, decomposed);
    for (int o = 0; o < COUNT; o++) {
        for (int64_t k = 0; k < numel(&direct[o]); k++) {
            double a = direct[o].f[k], b = decomposed[o].f[k];
            if (dtype != JC_F64) {
                a = jc_round_to(direct[o].dtype, a);
                b = jc_round_to(direct[o].dtype, b);
            }
            ck_assert_msg(fabs(a - b) <= as_decomposed_rows[_i].within, "%s: output %d [%lld]: %.17g and %.17g",
                          as_decomposed_rows[_i].name, o, (long long)k, a, b);
        }
    }
}
END_TEST

/* ---- products ---- */

START_TEST(products) {
    jc_arg a = param(JC_F32, (double[]){ 1, 2, 3, 4, 5, 6 }, DIMS(2, 3));
    jc_arg w = param(JC_F32, (double[]){ 1, 0, 1, 0, 2, 0 }, DIMS(2, 3)), bias = param(JC_F32, (double[]){ 10, 20 }, DIMS(2));
    GIVES("linear", ADD(JC_OP_linear, a, w, jc_arg_none()), 4, 4, 10, 10);
    GIVES("linear with bias", ADD(JC_OP_linear, a, w, bias), 14, 24, 20, 30);
    jc_arg t = ADD(JC_OP_permute, w, ints(DIMS(1, 0)));
    GIVES("matmul", ADD(JC_OP_matmul, a, t, jc_arg_none()), 4, 4, 10, 10);
    jc_arg back = ADD(JC_OP_permute, t, ints(DIMS(1, 0)));
    GIVES("linear of a view", ADD(JC_OP_linear, a, back, jc_arg_none()), 4, 4, 10, 10);
    jc_arg p = param(JC_BF16, (double[]){ 1, 2, 3, 4, 5, 6, 7, 8 }, DIMS(2, 2, 2));
    jc_arg q = param(JC_BF16, (double[]){ 1, 1, 0, 1 }, DIMS(1, 2, 2));
    jc_arg wide = ADD(JC_OP_matmul, p, q, jc_arg_dtype(JC_F32));
    ck_assert_int_eq(wide.value->type.dtype, JC_F32);
    GIVES("batched", wide, 1, 3, 3, 7, 5, 11, 7, 15);
    jc_arg none = param(JC_F32, NULL, DIMS(2, 0)), nothing = param(JC_F32, NULL, DIMS(0, 2));
    GIVES("over nothing", ADD(JC_OP_matmul, none, nothing, jc_arg_none()), 0, 0, 0, 0);
}
END_TEST

/* ---- shapes ---- */

START_TEST(views) {
    jc_arg a = param(JC_F32, (double[]){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, DIMS(3, 4));
    GIVES("slice", ADD(JC_OP_slice, a, number(1), number(1), number(2), number(2)), 1, 3, 5, 7, 9, 11);
    gives_n("empty slice", ADD(JC_OP_slice, a, number(1), number(4), number(0), number(1)), NULL, 0);
    jc_arg t = ADD(JC_OP_permute, a, ints(DIMS(1, 0)));
    GIVES("permute", t, 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
    GIVES("reshape of a permuted one", ADD(JC_OP_reshape, t, ints(DIMS(2, 6))), 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
    GIVES("contiguous", ADD(JC_OP_contiguous, t), 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
    jc_arg half = ADD(JC_OP_slice, a, number(1), number(2), number(2), number(1));
    jc_arg split = ADD(JC_OP_reshape, half, ints(DIMS(3, 2, 1)));
    GIVES("reshape of a slice", split, 2, 3, 6, 7, 10, 11);
    jc_arg row = ADD(JC_OP_slice, a, number(0), number(1), number(1), number(1));
    GIVES("expand", ADD(JC_OP_expand, row, ints(DIMS(2, 4))), 4, 5, 6, 7, 4, 5, 6, 7);
    GIVES("clone", ADD(JC_OP_clone, half), 2, 3, 6, 7, 10, 11);
    jc_arg square[] = { a, number(0), number(1), number(1), number(0), number(2) };
    GIVES("diagonal", jc_arg_value(add_n(JC_OP_diagonal, square, 6)->results[0]), 4, 9);
    GIVES("unfold", ADD(JC_OP_unfold, row, number(1), number(2), number(1)), 4, 5, 5, 6, 6, 7);
    GIVES("unfold of rows", ADD(JC_OP_unfold, half, number(0), number(2), number(1)), 2, 6, 3, 7, 6, 10, 7, 11);
}
END_TEST

START_TEST(bitcasts) {
    jc_arg f = param(JC_F32, (double[]){ 1, -2 }, DIMS(2)), i = param(JC_I32, (double[]){ 0x3f804000 }, DIMS(1, 1));
    jc_arg h = param(JC_BF16, (double[]){ 0, 1, 0, 2 }, DIMS(2, 2)), e = param(JC_U8, (double[]){ 0x7e, 0x81 }, DIMS(2));
    GIVES("f32 as i32", ADD(JC_OP_bitcast, f, jc_arg_dtype(JC_I32)), 0x3f800000, -1073741824);
    GIVES("i32 as bf16, low half first", ADD(JC_OP_bitcast, i, jc_arg_dtype(JC_BF16)), 2, 1);
    GIVES("bf16 as f32", ADD(JC_OP_bitcast, h, jc_arg_dtype(JC_F32)), 1, 2);
    GIVES("u8 as e4m3", ADD(JC_OP_bitcast, e, jc_arg_dtype(JC_F8E4M3FN)), 448, -0x1p-9);
}
END_TEST

/* What was looked at as floats, or as bools, is what it was: a small negative integer is the bits of a NaN. */
START_TEST(looks_change_nothing) {
    static const jc_dtype looks[] = { JC_F16, JC_BF16, JC_F32, JC_F64, JC_F8E4M3FN, JC_F8E5M2, JC_B8, JC_I8 };
    for (size_t k = 0; k < sizeof looks / sizeof *looks; k++) {
        jc_arg given = param(JC_I64, (double[]){ -4, 6, 0x7f800001 }, DIMS(3));
        jc_arg made = ADD(JC_OP_sub, given, number(0)), look[2];
        look[0] = ADD(JC_OP_clone, ADD(JC_OP_bitcast, given, jc_arg_dtype(looks[k])));
        look[1] = ADD(JC_OP_clone, ADD(JC_OP_bitcast, made, jc_arg_dtype(looks[k])));
        GIVES(jc_dtypes[looks[k]].name, given, -4, 6, 0x7f800001);
        GIVES(jc_dtypes[looks[k]].name, made, -4, 6, 0x7f800001);
        for (int i = 0; i < 2 && looks[k] != JC_B8; i++)
            GIVES("what was copied as", ADD(JC_OP_bitcast, look[i], jc_arg_dtype(JC_I64)), -4, 6, 0x7f800001);
        GIVES("not", ADD(JC_OP_bitwise_not, given), 3, -7, -0x7f800002);
    }
}
END_TEST

/* Strides that mean nothing are in nobody's way: those of an empty tensor, and of a dim of one element. */
START_TEST(bitcasts_of_any_layout) {
    static int64_t odd[] = { 1, 1, 0 }, row[] = { 3, 1 };
    jc_arg none = param(JC_F32, NULL, DIMS(1, 0, 2)), one = param(JC_F32, (double[]){ 1, -2 }, DIMS(1, 2));
    inputs[none.value->index].tensor->strides = odd;
    inputs[one.value->index].tensor->strides = row;
    gives_n("empty", ADD(JC_OP_bitcast, none, jc_arg_dtype(JC_BF16)), NULL, 0);
    gives_n("empty, wider", ADD(JC_OP_bitcast, none, jc_arg_dtype(JC_I64)), NULL, 0);
    gives_n("empty, contiguous", ADD(JC_OP_bitcast, ADD(JC_OP_contiguous, none), jc_arg_dtype(JC_BF16)), NULL, 0);
    GIVES("one row", ADD(JC_OP_bitcast, one, jc_arg_dtype(JC_I64)), -0x3fffffffc0800000);
}
END_TEST

START_TEST(joins) {
    jc_arg a = param(JC_F32, (double[]){ 1, 2, 3, 4 }, DIMS(2, 2)), b = param(JC_F32, (double[]){ 5, 6 }, DIMS(2, 1));
    jc_arg none = param(JC_F32, NULL, DIMS(2, 0));
    GIVES("cat", ADD(JC_OP_cat, jc_arg_list(graph, (jc_arg[]){ a, none, b }, 3), number(1)), 1, 2, 5, 3, 4, 6);
    GIVES("pad", ADD(JC_OP_pad, b, ints(DIMS(0, 1)), ints(DIMS(1, 1)), jc_arg_float(9)), 9, 5, 9, 9, 6, 9, 9, 9, 9);
    jc_arg index = param(JC_I64, (double[]){ 1, -1, 7 }, DIMS(3));
    GIVES("take rows", ADD(JC_OP_take, a, number(0), index, jc_arg_bool(true)), 3, 4, 3, 4, 3, 4);
    GIVES("take clamps", ADD(JC_OP_take, a, number(0), index, jc_arg_bool(false)), 3, 4, 1, 2, 3, 4);
    GIVES("take columns", ADD(JC_OP_take, a, number(1), index, jc_arg_bool(true)), 2, 2, 2, 4, 4, 4);
    jc_arg one = param(JC_I32, (double[]){ 1 }, 0, NULL), two = param(JC_I32, (double[]){ 0, 1, 1, 0 }, DIMS(2, 2));
    jc_arg along = ADD(JC_OP_reshape, ADD(JC_OP_arange, number(0), number(1), number(2), jc_arg_dtype(JC_I64)), ints(DIMS(2, 1)), jc_arg_none());
    jc_arg by = jc_arg_list(func->graph, (jc_arg[]){ along, two }, 2);
    GIVES("pick", ADD(JC_OP_pick, a, ints(DIMS(0, 1)), by, jc_arg_bool(true)), 1, 2, 4, 3);
    GIVES("pick in the other order", ADD(JC_OP_pick, a, ints(DIMS(1, 0)), by, jc_arg_bool(true)), 1, 3, 4, 2);
    GIVES("pick rows", ADD(JC_OP_pick, a, ints(DIMS(0)), jc_arg_list(func->graph, &two, 1), jc_arg_bool(true)), 1, 2, 3, 4, 3, 4, 1, 2);
    GIVES("take by a 0-d index", ADD(JC_OP_take, a, number(1), one, jc_arg_bool(true)), 2, 4);
    GIVES("take by a 2-d index", ADD(JC_OP_take, b, number(0), two, jc_arg_bool(true)), 5, 6, 6, 5);
}
END_TEST

START_TEST(scans) {
    jc_arg x = param(JC_F32, (double[]){ 3, 1, 4, 4, 2, 6 }, DIMS(2, 3)), i = param(JC_I8, (double[]){ 100, 27, 2 }, DIMS(3));
    jc_arg wild = param(JC_F32, (double[]){ 1, NAN, 7, NAN, INFINITY }, DIMS(5));
    GIVES("cumsum of columns", ADD(JC_OP_cumsum, x, number(0)), 3, 1, 4, 7, 3, 10);
    GIVES("cumsum of rows", ADD(JC_OP_cumsum, x, number(1)), 3, 4, 8, 4, 6, 12);
    GIVES("cumsum wraps", ADD(JC_OP_cumsum, i, number(0)), 100, 127, -127);
    GIVES("cumprod", ADD(JC_OP_cumprod, x, number(1)), 3, 3, 12, 4, 8, 48);
    GIVES("logcumsumexp", ADD(JC_OP_logcumsumexp, param(JC_F64, (double[]){ -INFINITY, 0, 0 }, DIMS(3)), number(0)), -INFINITY, 0, log(2));
    jc_arg most = ADD(JC_OP_cummax, x, number(1)), least = ADD(JC_OP_cummin, wild, number(0));
    GIVES("cummax", most, 3, 3, 4, 4, 4, 6);
    GIVES("where it is, of equal ones the last", jc_arg_value(most.value->def->results[1]), 0, 0, 2, 0, 0, 2);
    GIVES("cummin of NaNs", least, 1, NAN, NAN, NAN, NAN);
    GIVES("where it is, of NaNs the last", jc_arg_value(least.value->def->results[1]), 0, 1, 1, 3, 3);
}
END_TEST

START_TEST(writes_by_indices) {
    jc_arg index = param(JC_I64, (double[]){ 0, -1, 0 }, DIMS(3)), src = param(JC_F32, (double[]){ 1, 2, 4 }, DIMS(3));
    static const double first[] = { 10, 20, 30 };
    static const struct {
        jc_put_mode mode;
        double want[3];
    } rows_[] = { { JC_PUT_SET, { 4, 20, 2 } }, { JC_PUT_ADD, { 15, 20, 32 } }, { JC_PUT_MUL, { 40, 20, 60 } }, { JC_PUT_MIN, { 1, 20, 2 } }, { JC_PUT_MAX, { 10, 20, 30 } } };
    for (size_t k = 0; k < sizeof rows_ / sizeof *rows_; k++) {
        jc_arg dst = ADD(JC_OP_clone, param(JC_F32, first, DIMS(3)));
        jc_arg y = ADD(JC_OP_put_, dst, jc_arg_list(graph, &index, 1), ints(DIMS(0)), src, number(rows_[k].mode), jc_arg_bool(true));
        GIVES("put_", y, rows_[k].want[0], rows_[k].want[1], rows_[k].want[2]);
        GIVES("what it is a view of", dst, rows_[k].want[0], rows_[k].want[1], rows_[k].want[2]);
    }
    jc_arg dst = ADD(JC_OP_clone, param(JC_F32, first, DIMS(3))), out = ADD(JC_OP_put_, dst, jc_arg_list(graph, &index, 1), ints(DIMS(0)), src, number(0), jc_arg_bool(false));
    jc_error err = JC_ERROR_INIT;
    jc_eval_out unused;
    ck_assert_int_eq(eval_status(&out, 1, NULL, &unused, &err), JITC_E_INPUT);
    ck_assert_msg(strstr(err.message, "The index -1 (element 1 of the indices) is out of range: dim 0 has 3 rows") != NULL, "%s", err.message);
}
END_TEST

#define SECOND(arg) jc_arg_value((arg).value->def->results[1])

START_TEST(order) {
    jc_arg x = param(JC_F32, (double[]){ 3, NAN, 1, 3, -0.0, 0 }, DIMS(2, 3)), i = param(JC_I8, (double[]){ 5, -7, 5, 9, 1 }, DIMS(5));
    jc_arg up = ADD(JC_OP_sort, x, jc_arg_bool(false)), down = ADD(JC_OP_sort, x, jc_arg_bool(true));
    GIVES("sort", up, 1, 3, NAN, -0.0, 0, 3);
    GIVES("its places", SECOND(up), 2, 0, 1, 1, 2, 0);
    GIVES("sort down", down, NAN, 3, 1, 3, -0.0, 0);
    GIVES("its places", SECOND(down), 1, 0, 2, 0, 1, 2);
    jc_arg most = ADD(JC_OP_topk, i, number(3), jc_arg_bool(true)), least = ADD(JC_OP_topk, x, number(2), jc_arg_bool(false));
    GIVES("topk", most, 9, 5, 5);
    GIVES("its places", SECOND(most), 3, 0, 2);
    GIVES("the least", least, 1, 3, -0.0, 0);
    GIVES("the third", ADD(JC_OP_nth, i, ints(DIMS(0)), jc_arg_bool(true), number(2), jc_arg_bool(true), jc_arg_bool(false)), 5);
    GIVES("where the third least is", ADD(JC_OP_nth, i, ints(DIMS(0)), jc_arg_bool(false), number(2), jc_arg_bool(false), jc_arg_bool(true)), 0);
    GIVES("argmax", ADD(JC_OP_argmax, x, number(1), jc_arg_bool(false)), 1, 0);
    GIVES("argmin", ADD(JC_OP_argmin, x, number(0), jc_arg_bool(true)), 0, 0, 1);
    jc_arg runs = ADD(JC_OP_sort_runs, i, number(2), jc_arg_bool(false));
    GIVES("runs", runs, -7, 5, 5, 9, 1);
    GIVES("their places", SECOND(runs), 1, 0, 2, 3, 4);
    jc_arg merged = ADD(JC_OP_merge_runs, runs, SECOND(runs), number(2), jc_arg_bool(false));
    GIVES("merged", merged, -7, 5, 5, 9, 1);
    GIVES("merged places", SECOND(merged), 1, 0, 2, 3, 4);
    merged = ADD(JC_OP_merge_runs, merged, SECOND(merged), number(4), jc_arg_bool(false));
    GIVES("merged to the end", merged, -7, 1, 5, 5, 9);
    GIVES("and the places", SECOND(merged), 1, 4, 0, 2, 3);
}
END_TEST

START_TEST(fresh_buffers) {
    GIVES("full", ADD(JC_OP_full, ints(DIMS(2)), jc_arg_float(0.5), jc_arg_dtype(JC_BF16)), 0.5, 0.5);
    GIVES("full of bools", ADD(JC_OP_full, ints(DIMS(2)), number(3), jc_arg_dtype(JC_B8)), 1, 1);
    GIVES("arange", ADD(JC_OP_arange, number(2), number(3), number(3), jc_arg_dtype(JC_I64)), 2, 5, 8);
    GIVES("arange of floats", ADD(JC_OP_arange, jc_arg_float(1), jc_arg_float(-0.5), number(3), jc_arg_dtype(JC_F32)), 1,
          0.5, 0);
    jc_arg empty = ADD(JC_OP_empty, ints(DIMS(2)), jc_arg_dtype(JC_F32)), part;
    jc_eval_out out;
    eval(&empty, 1, NULL, &out);
    ck_assert(out.undefined && out.rank == 1 && out.dims[0] == 2);
    jc_arg copy = ADD(JC_OP_clone, empty);
    eval(&copy, 1, NULL, &out);
    ck_assert(out.undefined);
    part = ADD(JC_OP_slice, empty, number(0), number(0), number(1), number(1));
    ADD(JC_OP_copy_, part, jc_arg_float(4));
    GIVES("what was not written is NaN", empty, 4, NAN);
}
END_TEST

/* ---- writing ---- */

START_TEST(writes_are_seen_through_views) {
    jc_arg a = ADD(JC_OP_full, ints(DIMS(2, 3)), jc_arg_float(0), jc_arg_dtype(JC_F32));
    jc_arg flat = ADD(JC_OP_reshape, a, ints(DIMS(6))), t = ADD(JC_OP_permute, a, ints(DIMS(1, 0)));
    jc_arg column = ADD(JC_OP_slice, a, number(1), number(1), number(1), number(1));
    jc_arg copy = ADD(JC_OP_reshape, t, ints(DIMS(6)));
    jc_arg written = ADD(JC_OP_copy_, column, param(JC_F64, (double[]){ 5, 6 }, DIMS(2, 1)));
    GIVES("the base", a, 0, 5, 0, 0, 6, 0);
    GIVES("a reshaped view", flat, 0, 5, 0, 0, 6, 0);
    GIVES("a permuted view", t, 0, 0, 5, 6, 0, 0);
    GIVES("a copy made before", copy, 0, 0, 0, 0, 0, 0);
    GIVES("the result", written, 5, 6);
}
END_TEST

/* Whether a reshape is a view is a matter of the sizes and strides of the run, as in PyTorch, not of what could be proved before. */
START_TEST(reshapes_are_views_where_sizes_allow) {
    jc_arg a = ADD(JC_OP_full, ints(DIMS(3, 4)), jc_arg_float(0), jc_arg_dtype(JC_F32));
    jc_arg column = ADD(JC_OP_slice, a, number(1), number(1), number(1), number(1));
    jc_arg row = ADD(JC_OP_slice, a, number(0), number(0), number(1), number(1));
    jc_arg turned = ADD(JC_OP_permute, row, ints(DIMS(1, 0)));
    jc_arg flat = ADD(JC_OP_reshape, column, ints(DIMS(3))), line = ADD(JC_OP_reshape, turned, ints(DIMS(2, 2)));
    jc_arg same = ADD(JC_OP_contiguous, turned), copy = ADD(JC_OP_contiguous, column);
    jc_value *made[] = { flat.value, line.value, same.value, copy.value };
    for (int i = 0; i < 4; i++) /* as inference leaves it where dims are symbols */
        made[i]->base = NULL, made[i]->offset = NULL, made[i]->type.strides = NULL;
    ADD(JC_OP_copy_, column, param(JC_F32, (double[]){ 5, 6, 7 }, DIMS(3, 1)));
    GIVES("a column", flat, 5, 6, 7);
    GIVES("a row turned", line, 0, 5, 0, 0);
    GIVES("what is contiguous", same, 0, 5, 0, 0);
    GIVES("what is not", copy, 0, 0, 0);
}
END_TEST

START_TEST(writes_cast_and_broadcast) {
    jc_arg a = ADD(JC_OP_full, ints(DIMS(2, 2)), jc_arg_float(0), jc_arg_dtype(JC_BF16));
    ADD(JC_OP_copy_, a, param(JC_F32, (double[]){ 1.00390625, 3 }, DIMS(2)));
    GIVES("rounded to bf16", a, 1, 3, 1, 3);
    jc_arg i = ADD(JC_OP_full, ints(DIMS(2)), number(0), jc_arg_dtype(JC_I32));
    ADD(JC_OP_copy_, i, jc_arg_float(2.75));
    GIVES("a number to integers", i, 2, 2);
}
END_TEST

/* Source and destination overlap: the source is read as it was. */
START_TEST(writes_overlapping) {
    jc_arg a = ADD(JC_OP_arange, number(0), number(1), number(5), jc_arg_dtype(JC_I64));
    jc_arg from = ADD(JC_OP_slice, a, number(0), number(0), number(4), number(1));
    ADD(JC_OP_copy_, ADD(JC_OP_slice, a, number(0), number(1), number(4), number(1)), from);
    GIVES("shifted", a, 0, 0, 1, 2, 3);
}
END_TEST

START_TEST(writes_through_bitcasts) {
    jc_arg bytes = ADD(JC_OP_full, ints(DIMS(4)), number(0), jc_arg_dtype(JC_U8));
    jc_arg floats = ADD(JC_OP_bitcast, bytes, jc_arg_dtype(JC_BF16));
    ADD(JC_OP_copy_, ADD(JC_OP_slice, floats, number(0), number(1), number(1), number(1)), jc_arg_float(1));
    GIVES("bytes", bytes, 0, 0, 0x80, 0x3f);
    ADD(JC_OP_copy_, ADD(JC_OP_slice, bytes, number(0), number(3), number(1), number(1)), number(0x40));
    GIVES("floats", floats, 0, 4);
    jc_arg wide = param(JC_I32, (double[]){ -4, 6 }, DIMS(2)), seen = ADD(JC_OP_bitcast, wide, jc_arg_dtype(JC_F32));
    ADD(JC_OP_copy_, ADD(JC_OP_slice, seen, number(0), number(1), number(1), number(1)), jc_arg_float(1));
    GIVES("beside what was written", wide, -4, 0x3f800000);
}
END_TEST

START_TEST(inputs_are_not_written) {
    jc_arg x = param(JC_F32, (double[]){ 1, 2 }, DIMS(2)), half = param(JC_F32, (double[]){ 0 }, DIMS(1));
    inputs[1].tensor->data = (float *)inputs[0].tensor->data + 1; /* the second is the first's last element */
    ADD(JC_OP_copy_, x, jc_arg_float(7));
    GIVES("through the other input", half, 7);
    ck_assert(((float *)inputs[0].tensor->data)[0] == 1 && ((float *)inputs[0].tensor->data)[1] == 2);
}
END_TEST

START_TEST(inputs_with_strides) {
    jc_arg x = param(JC_I32, (double[]){ 0, 1, 2, 3, 4, 5 }, DIMS(2, 3));
    DLTensor *t = inputs[0].tensor;
    t->strides = (int64_t[]){ 1, 2 };
    GIVES("column-major", x, 0, 2, 4, 1, 3, 5);
    func->nvalues = func->nparams = 0;
    x = param(JC_I32, (double[]){ 0, 0 }, DIMS(2));
    t->shape[0] = 2;
    t->ndim = 1;
    t->strides = (int64_t[]){ 3 };
    t->byte_offset = 4;
    inputs[0].tensor = t;
    GIVES("pitched, with an offset", x, 1, 4);
}
END_TEST

/* ---- custom operators ---- */

typedef struct seen {
    int calls;
    const char *says; /* what was wrong, if anything */
} seen;

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return ((seen *)user)->says = #cond, JITC_E_OP;                                        \
    } while (0)

/* (view of bf16, out i64, 'name', 3, 0.5, [1, None], {'k': True}, dtype) -> f32[2]: negates the view's second element, leaves the
   first; the result is (first argument's two elements). */
static jitc_status host_call(void *user, const char *target, const jitc_value *args, const char *const *keys,
                             uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    (void)err;
    ((seen *)user)->calls++;
    EXPECT(!strcmp(target, "test::op") && nargs == 8 && nresults == 1 && line == 42);
    EXPECT(args[0].tag == JITC_TENSOR && args[1].tag == JITC_TENSOR);
    const DLTensor *x = args[0].tensor, *all = args[1].tensor;
    EXPECT(x->ndim == 1 && x->shape[0] == 2 && x->strides[0] == 2 && x->dtype.code == kDLBfloat && x->dtype.bits == 16);
    uint16_t *at = (uint16_t *)((char *)x->data + x->byte_offset);
    EXPECT(at == (uint16_t *)all->data + 1); /* one storage */
    EXPECT(at[0] == 0x3eab && at[2] == 0x3f80); /* a third, rounded; 1 */
    EXPECT(args[2].tag == JITC_STR && !strcmp(args[2].str, "name"));
    EXPECT(args[3].tag == JITC_INT && args[3].i == 3 && args[4].tag == JITC_FLOAT && args[4].f == 0.5);
    EXPECT(args[5].tag == JITC_LIST && args[5].n == 2 && args[5].list[0].i == 1 && args[5].list[1].tag == JITC_NONE);
    EXPECT(args[6].tag == JITC_DICT && args[6].n == 1 && !strcmp(args[6].dict[0].key, "k") && args[6].dict[0].value.i == 1);
    EXPECT(args[7].tag == JITC_STR && !strcmp(args[7].str, "bfloat16"));
    EXPECT(!keys[0] && keys[7] && !strcmp(keys[7], "dtype"));
    ((float *)results[0]->data)[0] = (float)jc_load_float(JC_BF16, &at[0]);
    ((float *)results[0]->data)[1] = (float)jc_load_float(JC_BF16, &at[2]);
    at[2] = 0xbf80;
    return JITC_OK;
}

START_TEST(custom_operators) {
    /* [1/5, 1/3, 1/5, 1]: none but the last is a bf16 value */
    jc_arg base = ADD(JC_OP_reciprocal, param(JC_BF16, (double[]){ 5, 3, 5, 1 }, DIMS(4)));
    jc_arg view = ADD(JC_OP_slice, base, number(0), number(1), number(2), number(2));
    jc_arg list[] = { number(1), jc_arg_none() }, dict = { .kind = JC_ARG_DICT }, entry = jc_arg_bool(true);
    entry.key = "k";
    dict.list.at = &entry;
    dict.list.n = 1;
    jc_arg name = { .kind = JC_ARG_STR, .str = "name" }, dtype = jc_arg_dtype(JC_BF16);
    dtype.key = "dtype";
    jc_arg args[] = { view, base, name, number(3), jc_arg_float(0.5), jc_arg_list(graph, list, 2), dict, dtype };
    jc_type result = type_of(JC_F32, DIMS(2));
    jc_node *n = jc_func_add_custom(func, "test::op", args, 8, 1, &result, 1, 42);
    jc_arg outputs[] = { jc_arg_value(n->results[0]), base, view };
    jc_eval_out out[3];
    jc_error err = JC_ERROR_INIT;
    seen user = { 0 };
    jc_eval_host host = { .call = host_call, .user = &user };
    jitc_status status = eval_status(outputs, 3, &host, out, &err);
    ck_assert_msg(status == JITC_OK, "%s %s", err.message, user.says ? user.says : "");
    ck_assert_int_eq(user.calls, 1);
    same("result", &out[0], (double[]){ 0.333984375, 1 }, 2);
    same("what it left alone is not rounded", &out[1], (double[]){ 0.2, 1.0 / 3, 0.2, -1 }, 4);
    same("view", &out[2], (double[]){ 1.0 / 3, -1 }, 2);
    ck_assert_int_eq(eval_status(outputs, 3, NULL, out, &err), JITC_E_UNSUPPORTED);
}
END_TEST

/* ---- calls ---- */

/* A piece f(s, x[s]) -> (x as [s, 1], s) called with the caller's symbol; writes through its result reach the caller. */
START_TEST(calls) {
    jc_func *piece = jc_func_new(graph, "piece");
    jc_func *root = func;
    const jc_expr *s = jc_ex_sym(graph->exprs, jc_sym_add(graph->exprs, "s0"));
    jc_type sym = { .kind = JC_SYMINT, .expr = s };
    jc_type row = { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = &s };
    jc_value *count = jc_func_param(piece, "s0", &sym), *x = jc_func_param(piece, "x", &row);
    func = piece;
    jc_arg shape = jc_arg_exprs(graph, (const jc_expr *[]){ s, jc_ex_int(graph->exprs, 1) }, 2);
    jc_arg outputs[] = { ADD(JC_OP_reshape, jc_arg_value(x), shape), jc_arg_value(count), jc_arg_none() };
    piece->outputs = outputs;
    piece->noutputs = 3;
    func = root;
    jc_value *outer = jc_func_param(root, "s0", &sym), *y = jc_func_param(root, "y", &row);
    DLTensor *t = new_tensor(JC_F32, DIMS(3));
    for (int k = 0; k < 3; k++)
        ((float *)t->data)[k] = (float)k;
    inputs[0] = (jitc_value){ .tag = JITC_INT, .i = 3 };
    inputs[1] = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
    jc_arg copy = ADD(JC_OP_clone, jc_arg_value(y));
    jc_node *call = jc_func_add_call(root, piece, (jc_arg[]){ jc_arg_value(outer), copy }, 2, 1);
    ADD(JC_OP_copy_, jc_arg_value(call->results[0]), jc_arg_float(8));
    root->outputs = (jc_arg[]){ copy, jc_arg_value(call->results[1]), jc_arg_value(y) };
    root->noutputs = 3;
    int64_t syms[1];
    jc_eval_out out[3];
    jc_error err = JC_ERROR_INIT;
    ck_assert_msg(jc_solve(root, inputs, 8, syms, &err) == JITC_OK, "%s", err.message);
    ck_assert_int_eq(syms[0], 3);
    ck_assert_msg(jc_eval(root, 0, syms, 1, inputs, NULL, arena, out, &err) == JITC_OK, "%s", err.message);
    same("written by way of the piece", &out[0], (double[]){ 8, 8, 8 }, 3);
    ck_assert(out[1].kind == JC_SYMINT && out[1].integer == 3);
    same("the input", &out[2], (double[]){ 0, 1, 2 }, 3);
}
END_TEST

/* ---- bad inputs ---- */

static const struct { const char *name; jitc_tag tag; DLDeviceType device; uint8_t code; int ndim; int64_t dim; const char *says; }
bad_inputs[] = {
    { "none", JITC_NONE, kDLCPU, 2, 1, 2, "missing" },
    { "an integer", JITC_INT, kDLCPU, 2, 1, 2, "missing" },
    { "device memory", JITC_TENSOR, kDLCUDA, 2, 1, 2, "device" },
    { "other dtype", JITC_TENSOR, kDLCPU, 0, 1, 2, "f32" },
    { "other rank", JITC_TENSOR, kDLCPU, 2, 0, 2, "dims" },
    { "other dim", JITC_TENSOR, kDLCPU, 2, 1, 3, "dim 0" },
};

START_TEST(bad_input) {
    jc_arg x = param(JC_F32, (double[]){ 1, 2 }, DIMS(2));
    inputs[0].tag = bad_inputs[_i].tag;
    inputs[0].tensor->device.device_type = bad_inputs[_i].device;
    inputs[0].tensor->dtype.code = bad_inputs[_i].code;
    inputs[0].tensor->ndim = bad_inputs[_i].ndim;
    inputs[0].tensor->shape[0] = bad_inputs[_i].dim;
    if (bad_inputs[_i].tag != JITC_TENSOR)
        inputs[0].i = 0;
    jc_error err = JC_ERROR_INIT;
    jc_eval_out out;
    ck_assert_int_eq(eval_status(&x, 1, NULL, &out, &err), JITC_E_INPUT);
    ck_assert_msg(strstr(err.message, "'p'") && strstr(err.message, bad_inputs[_i].says), "%s: %s", bad_inputs[_i].name,
                  err.message);
}
END_TEST

/* ---- by device ---- */

static double one_of(unsigned how, jc_arg value) {
    jc_error err = JC_ERROR_INIT;
    jc_eval_out out;
    func->outputs = jc_arena_memdup(arena, &value, sizeof value);
    func->noutputs = 1;
    ck_assert_msg(jc_eval(func, how, NULL, 0, inputs, NULL, arena, &out, &err) == JITC_OK, "%s", err.message);
    return out.f[0];
}

/* 4097 * 4097 has 25 bits.  64 (1 - 2^-46) on top of 2^30 + 128 lies below the middle of two floats by less than doubles hold. */
START_TEST(rounded_once) {
    jc_arg x = param(JC_F32, (double[]){ 4097 }, DIMS(1)), minus = jc_arg_float(-16785408);
    jc_arg a = param(JC_F32, (double[]){ 1 + 0x1p-23 }, DIMS(1)), b = param(JC_F32, (double[]){ 64 - 0x1p-17 }, DIMS(1));
    jc_arg c = param(JC_F32, (double[]){ 0x1p30 + 128 }, DIMS(1)), minus_c = ADD(JC_OP_neg, c), minus_a = ADD(JC_OP_neg, a);
    jc_arg twice = ADD(JC_OP_add, ADD(JC_OP_mul, x, x), minus), once = ADD(JC_OP_fma, x, x, minus);
    ck_assert_double_eq(one_of(0, once), 1);
    ck_assert_double_eq(one_of(JC_EVAL_EAGER, once), 1);
    ck_assert_double_eq(one_of(JC_EVAL_EAGER, twice), 0);
    ck_assert_double_eq(one_of(JC_EVAL_EAGER, ADD(JC_OP_fma, a, b, c)), 0x1p30 + 128);
    ck_assert_double_eq(one_of(JC_EVAL_EAGER, ADD(JC_OP_fma, minus_a, b, minus_c)), -0x1p30 - 128);
}
END_TEST

START_TEST(as_the_device_does) {
    jc_arg x = param(JC_F32, (double[]){ 3 }, DIMS(1)), y = ADD(JC_OP_by_device, ADD(JC_OP_neg, x), ADD(JC_OP_abs, x));
    jc_arg tenth = ADD(JC_OP_div, x, jc_arg_float(10));
    jc_arg down = ADD(JC_OP_floordiv, param(JC_BF16, (double[]){ 129.5 }, DIMS(1)), jc_arg_float(0.5)); /* 259 has 9 bits: 258 is too far off */
    jc_arg nan = param(JC_F16, (double[]){ -NAN }, DIMS(1)), sign = ADD(JC_OP_cast, ADD(JC_OP_signbit, nan), jc_arg_dtype(JC_F32));
    for (unsigned eager = 0; eager <= JC_EVAL_EAGER; eager++) {
        ck_assert_double_eq(one_of(eager, y), -3);
        ck_assert_double_eq(one_of(eager | JC_EVAL_GPU, y), 3);
        ck_assert_double_eq(one_of(eager, sign), 1);
        ck_assert_double_eq(one_of(eager | JC_EVAL_GPU, sign), 0);
    }
    ck_assert_double_eq(one_of(JC_EVAL_EAGER, tenth), (double)(3 / 10.0f));
    ck_assert_double_eq(one_of(JC_EVAL_EAGER | JC_EVAL_GPU, tenth), (double)(3 * (1 / 10.0f)));
    ck_assert_double_eq(one_of(JC_EVAL_EAGER, down), 260);
    ck_assert_double_eq(one_of(JC_EVAL_EAGER | JC_EVAL_GPU, down), 260);
}
END_TEST

START_TEST(what_has_no_factors) {
    static const struct {
        double info[3];
        const char *says;
    } rows_[] = { { { 0, 0, 0 }, NULL }, { { 0, 2, 1 }, "linalg.cholesky: (batch element 1) the factorization could not be completed, since the input is not positive-definite: its leading minor of order 2" } };
    for (size_t k = 0; k < sizeof rows_ / sizeof *rows_; k++) {
        jc_arg x = param(JC_F32, (double[]){ 1 }, DIMS(1)), out = ADD(JC_OP_neg, x), info = param(JC_I32, rows_[k].info, DIMS(3));
        jc_error err = JC_ERROR_INIT;
        jc_eval_out unused;
        jc_node *n;
        ck_assert_int_eq(jc_func_add(func, JC_OP_check_info, (jc_arg[]){ info, number(0) }, 2, 1, &n, &err), JITC_OK);
        ck_assert_uint_eq(n->nresults, 0);
        ck_assert_int_eq(eval_status(&out, 1, NULL, &unused, &err), JITC_OK); /* which does not ask */
        const jitc_status status = jc_eval(func, 0, NULL, 0, inputs, NULL, arena, &unused, &err);
        ck_assert_int_eq(status, rows_[k].says ? JITC_E_INPUT : JITC_OK);
        ck_assert_msg(!rows_[k].says || strstr(err.message, rows_[k].says), "%s", err.message);
        tear_down();
        set_up();
    }
}
END_TEST

/* ---- completeness ---- */

/* Operators that have a test of their own above rather than a row. */
static const jc_op others[] = {
    JC_OP_fma, JC_OP_by_device, JC_OP_gelu, JC_OP_softplus, JC_OP_cast, JC_OP_clamp, JC_OP_where, JC_OP_sum, JC_OP_mean, JC_OP_prod, JC_OP_amax, JC_OP_amin,
    JC_OP_softmax, JC_OP_layer_norm, JC_OP_rms_norm, JC_OP_fused_add_rms_norm, JC_OP_silu_and_mul, JC_OP_sdpa, JC_OP_sdpa_parts, JC_OP_reshape,
    JC_OP_permute, JC_OP_slice, JC_OP_expand, JC_OP_bitcast, JC_OP_contiguous, JC_OP_clone, JC_OP_cat, JC_OP_pad,
    JC_OP_take, JC_OP_pick, JC_OP_diagonal, JC_OP_unfold, JC_OP_empty, JC_OP_full, JC_OP_arange, JC_OP_linear, JC_OP_matmul, JC_OP_copy_, JC_OP_put_, JC_OP_check_info,
    JC_OP_cumsum, JC_OP_cumprod, JC_OP_logcumsumexp, JC_OP_cummax, JC_OP_cummin,
    JC_OP_argmax, JC_OP_argmin, JC_OP_topk, JC_OP_sort, JC_OP_nth, JC_OP_sort_runs, JC_OP_merge_runs, JC_OP_custom, JC_OP_call,
};

START_TEST(every_operator_is_tested) {
    bool tested[JC_OP_COUNT] = { 0 };
    for (size_t k = 0; k < sizeof unary_rows / sizeof *unary_rows; k++)
        tested[unary_rows[k].op] = true;
    for (size_t k = 0; k < sizeof binary_rows / sizeof *binary_rows; k++)
        tested[binary_rows[k].op] = true;
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        tested[others[k]] = true;
    for (int op = 0; op < JC_OP_COUNT; op++)
        ck_assert_msg(tested[op], "%s", jc_ops[op].name);
}
END_TEST

#define ROWS(table) (int)(sizeof table / sizeof *table)

int main(void) {
    Suite *s = suite_create("eval");
    TCase *t = tcase_create("eval");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, unary, 0, ROWS(unary_rows));
    tcase_add_test(t, unary_with_options);
    tcase_add_loop_test(t, cast, 0, ROWS(casts));
    tcase_add_test(t, rounding_waits_for_casts);
    tcase_add_loop_test(t, binary, 0, ROWS(binary_rows));
    tcase_add_test(t, common_dtype);
    tcase_add_test(t, broadcast_and_numbers);
    tcase_add_test(t, reductions);
    tcase_add_test(t, reductions_of_nothing);
    tcase_add_test(t, composite_norms);
    tcase_add_test(t, composite_fused_add);
    tcase_add_test(t, composite_others);
    tcase_add_loop_test(t, composites_as_decomposed, 0, ROWS(as_decomposed_rows));
    tcase_add_test(t, products);
    tcase_add_test(t, views);
    tcase_add_test(t, bitcasts);
    tcase_add_test(t, looks_change_nothing);
    tcase_add_test(t, bitcasts_of_any_layout);
    tcase_add_test(t, joins);
    tcase_add_test(t, scans);
    tcase_add_test(t, what_has_no_factors);
    tcase_add_test(t, writes_by_indices);
    tcase_add_test(t, order);
    tcase_add_test(t, fresh_buffers);
    tcase_add_test(t, writes_are_seen_through_views);
    tcase_add_test(t, reshapes_are_views_where_sizes_allow);
    tcase_add_test(t, writes_cast_and_broadcast);
    tcase_add_test(t, writes_overlapping);
    tcase_add_test(t, writes_through_bitcasts);
    tcase_add_test(t, inputs_are_not_written);
    tcase_add_test(t, inputs_with_strides);
    tcase_add_test(t, custom_operators);
    tcase_add_test(t, calls);
    tcase_add_loop_test(t, bad_input, 0, ROWS(bad_inputs));
    tcase_add_test(t, every_operator_is_tested);
    tcase_add_test(t, rounded_once);
    tcase_add_test(t, as_the_device_does);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
