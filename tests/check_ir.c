/*
 * tests/check_ir.c - types, operators, inference in both directions, views, calls, the verifier, printing, decomposition.
 *
 * Rows are written in a small language: a step is "op ARG; ARG; ...", an argument a tensor type (a new parameter), "_" (the
 * result of the step before), a dtype, a number, True, False, None, {integers} or <tensors | ...>.
 */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/graph.h"

static jc_arena *arena;
static jc_graph *g;
static jc_func *f;
static jc_error err;

static void setup(void) {
    arena = jc_arena_new(NULL);
    g = jc_graph_new(arena, "test.py");
    f = jc_func_new(g, "f");
    err = (jc_error)JC_ERROR_INIT;
    jc_sym_add(g->exprs, "s0");
    jc_sym_add(g->exprs, "s1");
}

static void teardown(void) { jc_arena_free(arena); }

/* ---- the language of the rows ---- */

static const jc_expr *expr(const char *text, size_t n) {
    const jc_expr *e;
    jc_error why = JC_ERROR_INIT;
    if (jc_ex_parse(g->exprs, text, n, NULL, 0, 0, &e, &why))
        ck_abort_msg("%.*s: %s", (int)n, text, why.message);
    return e;
}

/* "a, b, c" up to CLOSE; returns what follows it. */
static const char *expr_list(const char *at, char close, const jc_expr ***out, uint32_t *n) {
    *out = jc_arena_array(arena, 16, sizeof **out);
    *n = 0;
    while (*at != close) {
        int depth = 0;
        const char *end = at;
        for (; depth || (*end != ',' && *end != close); end++)
            depth += (*end == '(') - (*end == ')');
        (*out)[(*n)++] = expr(at, (size_t)(end - at));
        at = end + (*end == ',');
        while (*at == ' ')
            at++;
    }
    return at + 1;
}

static jc_type type_of(const char *text) {
    const char *bracket = strchr(text, '[');
    jc_type type = { .kind = JC_TENSOR };
    const jc_expr **list;
    uint32_t n;
    int dtype = jc_dtype_find(text, (size_t)(bracket - text));
    ck_assert_msg(dtype >= 0, "%s", text);
    type.dtype = (uint8_t)dtype;
    const char *rest = expr_list(bracket + 1, ']', &list, &n);
    type.dims = list;
    type.rank = (uint8_t)n;
    if (*rest == '[') {
        expr_list(rest + 1, ']', &list, &n);
        ck_assert_uint_eq(n, type.rank);
        type.strides = list;
    }
    return type;
}

static jc_value *param(const char *text) {
    jc_type type = type_of(text);
    return jc_func_param(f, NULL, &type);
}

static char *trimmed(const char *from, const char *to) {
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    return jc_arena_strndup(arena, from, (size_t)(to - from));
}

static jc_arg arg_of(const char *text, jc_value *before);

static jc_arg tensors_of(const char *text, jc_value *before) {
    jc_arg at[8];
    uint32_t n = 0;
    for (const char *end; *text != '>'; text = end + (*end == '|')) {
        end = text + strcspn(text, "|>");
        if (end > text)
            at[n++] = arg_of(trimmed(text, end), before);
    }
    return jc_arg_list(g, at, n);
}

static jc_arg arg_of(const char *text, jc_value *before) {
    const jc_expr **list;
    uint32_t n;
    char *end;
    if (strcmp(text, "_") == 0)
        return jc_arg_value(before);
    if (strcmp(text, "None") == 0)
        return jc_arg_none();
    if (strcmp(text, "True") == 0 || strcmp(text, "False") == 0)
        return jc_arg_bool(*text == 'T');
    if (*text == '{') {
        expr_list(text + 1, '}', &list, &n);
        return jc_arg_exprs(g, list, n);
    }
    if (*text == '<')
        return tensors_of(text + 1, before);
    if (strchr(text, '['))
        return jc_arg_value(param(text));
    if (strcmp(text, "int") == 0 || strcmp(text, "float") == 0) {
        jc_type type = { .kind = *text == 'i' ? JC_INT : JC_FLOAT };
        return jc_arg_value(jc_func_param(f, NULL, &type));
    }
    if (jc_dtype_find(text, strlen(text)) >= 0)
        return jc_arg_dtype((jc_dtype)jc_dtype_find(text, strlen(text)));
    double x = strtod(text, &end);
    if (*end == 0 && strpbrk(text, ".e"))
        return jc_arg_float(x);
    return jc_arg_expr(expr(text, strlen(text)));
}

static jc_op op_of(const char *name, size_t n) {
    for (int op = 0; op < JC_OP_COUNT; op++) {
        if (strlen(jc_ops[op].name) == n && memcmp(jc_ops[op].name, name, n) == 0)
            return (jc_op)op;
    }
    ck_abort_msg("no operator %s", name);
}

static jitc_status step(const char *text, jc_value *before, jc_node **out) {
    jc_arg args[8];
    uint32_t n = 0;
    size_t name = strcspn(text, " ");
    for (const char *at = text + name; *at;) {
        const char *end = at + strcspn(at, ";");
        args[n++] = arg_of(trimmed(at, end), before);
        at = end + (*end == ';');
    }
    return jc_func_add(f, op_of(text, name), args, n, 42, out, &err);
}

static jc_value *must(const char *text, jc_value *before) {
    jc_node *n;
    if (step(text, before, &n))
        ck_abort_msg("%s: %s", text, err.message);
    return n->results[0];
}

/* "bf16[s0, 64][512, 1] @ %0 + 128" */
static const char *value_text(const jc_value *v) {
    jc_bytes out = JC_BYTES(arena);
    jc_type_print(g->exprs, &v->type, &out);
    if (v->base)
        jc_put_text(&out, " @ %%%u", v->base->id);
    if (v->base && !jc_ex_is(v->offset, 0))
        jc_put_text(&out, " + %s", jc_ex_text(g->exprs, v->offset, arena));
    jc_put_u8(&out, 0);
    return (char *)out.at;
}

/* ---- dtypes ---- */

static const struct {
    const char *a, *b, *both;
} promotions[] = {
    { "b8", "b8", "b8" },      { "b8", "u8", "u8" },     { "b8", "i64", "i64" },   { "b8", "bf16", "bf16" },
    { "u8", "i8", "i16" },     { "u8", "i16", "i16" },   { "u8", "i64", "i64" },   { "i8", "i32", "i32" },
    { "i64", "f16", "f16" },   { "i64", "f32", "f32" },  { "f16", "bf16", "f32" }, { "f16", "f32", "f32" },
    { "bf16", "f64", "f64" },  { "i32", "i64", "i64" },
};

START_TEST(promotion) {
    jc_dtype a = (jc_dtype)jc_dtype_find(promotions[_i].a, strlen(promotions[_i].a));
    jc_dtype b = (jc_dtype)jc_dtype_find(promotions[_i].b, strlen(promotions[_i].b));
    ck_assert_str_eq(jc_dtypes[jc_dtype_promote(a, b)].name, promotions[_i].both);
    ck_assert_str_eq(jc_dtypes[jc_dtype_promote(b, a)].name, promotions[_i].both);
}
END_TEST

START_TEST(dtype_names) {
    static const struct {
        const char *name;
        int dtype;
    } rows[] = {
        { "bf16", JC_BF16 }, { "bfloat16", JC_BF16 }, { "float", JC_F32 }, { "half", JC_F16 }, { "long", JC_I64 },
        { "bool", JC_B8 },   { "b8", JC_B8 }, { "f8e4m3fn", JC_F8E4M3FN }, { "float8_e4m3fn", JC_F8E4M3FN },
        { "uint8", JC_U8 },  { "double", JC_F64 }, { "int", JC_I32 }, { "", -1 }, { "f", -1 }, { "f320", -1 },
        { "float8_e4m3fnuz", -1 }, { "complex64", -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(jc_dtype_find(rows[i].name, strlen(rows[i].name)) == rows[i].dtype, "%s", rows[i].name);
    ck_assert_int_eq(jc_dtype_find("bf16[3]", 4), JC_BF16);
}
END_TEST

/* The number of arguments is counted by the preprocessor; count again. */
START_TEST(operator_table) {
    for (int op = 0; op < JC_OP_COUNT; op++) {
        char sig[32];
        unsigned n = 0;
        snprintf(sig, sizeof sig, "%s", jc_ops[op].sig);
        for (char *word = strtok(sig, " "); word; word = strtok(NULL, " "))
            n++;
        ck_assert_msg(jc_ops[op].nargs == n, "%s: %u, not %u", jc_ops[op].name, jc_ops[op].nargs, n);
        const bool two = op == JC_OP_fused_add_rms_norm || op == JC_OP_topk || op == JC_OP_sort || op == JC_OP_sort_runs || op == JC_OP_merge_runs || op == JC_OP_cummax || op == JC_OP_cummin;
        unsigned results = two ? 2 : op == JC_OP_custom || op == JC_OP_call ? JC_AS_CALLED : op != JC_OP_check_info;
        ck_assert_msg(jc_ops[op].nresults == results, "%s: %u results", jc_ops[op].name, jc_ops[op].nresults);
    }
}
END_TEST

/* ---- inference: what is accepted, and what comes out ---- */

static const struct {
    const char *step, *out;
} accepted[] = {
    /* pointwise */
    { "neg bf16[s0, 8]", "bf16[s0, 8]" },
    { "exp i64[3]", "f32[3]" },
    { "rsqrt f16[]", "f16[]" },
    { "expm1 u8[3]", "f32[3]" },
    { "round i32[s0]", "i32[s0]" },
    { "signbit bf16[s0, 8]", "b8[s0, 8]" },
    { "atan2 i32[4]; bf16[s0, 1]", "bf16[s0, 4]" },
    { "hypot f16[]; f32[]", "f32[]" },
    { "silu bf16[s0, 8][1, s0]", "bf16[s0, 8]" },
    { "gelu bf16[4]; True", "bf16[4]" },
    { "softplus f32[4]; 1; 20.0", "f32[4]" },
    { "relu i32[4]", "i32[4]" },
    { "bitwise_not b8[4]", "b8[4]" },
    { "cast f32[s0]; f8e4m3fn", "f8e4m3fn[s0]" },
    { "add bf16[s0, 8]; bf16[8]", "bf16[s0, 8]" },
    { "add bf16[8]; f32[s0, 1]", "f32[s0, 8]" },
    { "add bf16[s0, 1, 8]; bf16[7, 1]", "bf16[s0, 7, 8]" },
    { "add bf16[s0, 8]; f32[]", "bf16[s0, 8]" },
    { "add i64[s0, 8]; f32[]", "f32[s0, 8]" },
    { "add bf16[]; f32[]", "f32[]" },
    { "add bf16[8]; 1.5", "bf16[8]" },
    { "add i64[8]; 1.5", "f32[8]" },
    { "add i32[8]; 3", "i32[8]" },
    { "add b8[8]; 3", "i64[8]" },
    { "add 1.5; bf16[8]", "bf16[8]" },
    { "add bf16[8]; s0", "bf16[8]" },
    { "add bf16[8]; float", "bf16[8]" },
    { "add i32[8]; int", "i32[8]" },
    { "mul i32[s0]; i64[s0]", "i64[s0]" },
    { "mul f16[4]; bf16[4]", "f32[4]" },
    { "add bf16[s0]; bf16[s1]", "bf16[s0]" },
    { "add bf16[s1]; bf16[s0]", "bf16[s0]" },
    { "add bf16[s0]; bf16[8]", "bf16[8]" },
    { "add bf16[0]; bf16[1]", "bf16[0]" },
    { "add bf16[2*s0 + 1]; bf16[8]", "bf16[8]" },
    { "div i32[4]; i32[4]", "f32[4]" },
    { "div bf16[4]; 2", "bf16[4]" },
    { "floordiv i64[4]; 2", "i64[4]" },
    { "pow f32[4]; 2", "f32[4]" },
    { "bitand b8[4]; b8[4]", "b8[4]" },
    { "shl i64[4]; 3", "i64[4]" },
    { "ge i64[s0]; 128", "b8[s0]" },
    { "eq f32[s0, 1]; bf16[4]", "b8[s0, 4]" },
    { "clamp f32[4]; 1e-12; None", "f32[4]" },
    { "clamp f32[4]; None; 3", "f32[4]" },
    { "where b8[s0, 1]; bf16[8]; 0.0", "bf16[s0, 8]" },
    { "where b8[4]; i64[]; 0", "i64[4]" },
    /* reductions */
    { "mean f32[s0, 8]; {1}; True", "f32[s0, 1]" },
    { "mean bf16[s0, 8]; {0, 1}; False; f32", "f32[]" },
    { "sum i32[s0, 8]; {0}; False", "i64[8]" },
    { "sum b8[8]; {}; False", "i64[]" },
    { "sum bf16[2, 3, 4]; {2, 0}; False", "bf16[3]" },
    { "amax bf16[s0, 8]; {1}; True", "bf16[s0, 1]" },
    { "amin i64[4]; {0}; False", "i64[]" },
    { "softmax bf16[s0, 8]; 1; f32", "f32[s0, 8]" },
    { "softmax bf16[s0, 8]; 1", "bf16[s0, 8]" },
    /* norms */
    { "layer_norm bf16[s0, 8]; 1; bf16[8]; None; 1e-5", "bf16[s0, 8]" },
    { "layer_norm bf16[s0, 4, 8]; 2; f32[4, 8]; f32[4, 8]; 1e-5", "bf16[s0, 4, 8]" },
    { "rms_norm bf16[s0, 8]; bf16[8]; 1e-6", "bf16[s0, 8]" },
    { "rms_norm bf16[s0, 4, 8]; None; 1e-6; 4", "bf16[s0, 4, 8]" },
    { "fused_add_rms_norm bf16[s0, 8]; f32[s0, 8]; f32[8]; 1e-6; None", "bf16[s0, 8]" },
    { "silu_and_mul bf16[s0, 16]", "bf16[s0, 8]" },
    { "silu_and_mul bf16[2*s0]", "bf16[s0]" },
    /* attention */
    { "sdpa bf16[2, 4, s0, 8]; bf16[2, 4, s1, 8]; bf16[2, 4, s1, 16]; None; False; 0.5", "bf16[2, 4, s0, 16]" },
    { "sdpa f32[2, 8, s0, 8]; f32[2, 2, s0, 8]; f32[2, 2, s0, 8]; b8[s0, s0]; True; 0.5", "f32[2, 8, s0, 8]" },
    { "sdpa f32[3, 8]; f32[2, 1, 5, 8]; f32[2, 7, 5, 8]; f32[3, 1]; False; 0.5", "f32[2, 7, 3, 8]" },
    /* the rest */
    { "clone bf16[s0, 4][1, s0]", "bf16[s0, 4]" },
    { "cat <bf16[s0, 3] | bf16[s0, 5]>; 1", "bf16[s0, 8]" },
    { "cat <bf16[s0, 4] | f32[s1, 4]>; 0", "f32[s0 + s1, 4]" },
    { "cat <bf16[s0, 64, 0] | bf16[s0, 64, 8]>; 2", "bf16[s0, 64, 8]" },
    { "cat <f8e4m3fn[2] | f8e4m3fn[3]>; 0", "f8e4m3fn[5]" },
    { "pad bf16[s0, 2880]; {0, 0}; {0, 192}; 0.0", "bf16[s0, 3072]" },
    { "take bf16[1000, 64]; 0; i64[s0]; False", "bf16[s0, 64]" },
    { "take bf16[5, 1000, 64]; 1; i32[s0, 2]; True", "bf16[5, s0, 2, 64]" },
    { "take bf16[5]; 0; i64[]; True", "bf16[]" },
    { "pick bf16[5, 6, 7]; {0, 2}; <i64[s0, 1] | i32[3]>; True", "bf16[s0, 3, 6]" },
    { "diagonal bf16[5, s0, 7]; 0; 2; 1; 0; 3", "bf16[s0, 3][7, 7*s0 + 1] @ %0 + 7*s0" },
    { "unfold bf16[5, s0]; 0; 2; 1", "bf16[4, s0, 2][s0, 1, s0] @ %0" },
    { "unfold bf16[s0]; 0; 3; 2", "bf16[(s0 + 1)//2 - 1, 3][2, 1] @ %0" },
    { "empty {s0, 8192}; bf16", "bf16[s0, 8192]" },
    { "full {}; 1.5; f32", "f32[]" },
    { "arange 0; 1; s0; i64", "i64[s0]" },
    { "linear bf16[s0, 64]; bf16[128, 64]; None", "bf16[s0, 128]" },
    { "linear bf16[64]; bf16[128, 64]; bf16[128]", "bf16[128]" },
    { "linear bf16[2, s0, 64]; bf16[128, 64][1, 128]; None", "bf16[2, s0, 128]" },
    { "matmul bf16[s0, 64]; bf16[64, 8]; f32", "f32[s0, 8]" },
    { "matmul f32[5, 1, s0, 64]; f32[7, 64, 8]", "f32[5, 7, s0, 8]" },
    { "copy_ bf16[s0, 8]; f32[8]", "bf16[s0, 8] @ %0" },
    { "copy_ bf16[s0, 8]; 0", "bf16[s0, 8] @ %0" },
};

START_TEST(accepts) {
    const char *text = value_text(must(accepted[_i].step, NULL));
    ck_assert_msg(strcmp(text, accepted[_i].out) == 0, "%s: expected %s, got %s", accepted[_i].step,
                  accepted[_i].out, text);
    if (jc_verify(f, &err))
        ck_abort_msg("%s: %s", accepted[_i].step, err.message);
}
END_TEST

/* ---- inference: what is refused, and with what words ---- */

#define IN JITC_E_INPUT
#define UN JITC_E_UNSUPPORTED
static const struct {
    const char *step;
    jitc_status status;
    const char *message;
} refused[] = {
    { "neg", IN, "neg: expected a tensor as argument 0, got nothing." },
    { "neg 3", IN, "got an integer" },
    { "neg f32[1]; 2", IN, "expected 1 arguments, got 2" },
    { "neg b8[4]", UN, "got b8" },
    { "silu i64[4]", UN, "got i64" },
    { "gelu bf16[4]; 1", IN, "expected a bool as argument 1, got an integer." },
    { "exp f8e4m3fn[4]", UN, "cast it first" },
    { "bitwise_not f32[4]", UN, "got f32" },
    { "cast f32[4]; 3", IN, "expected a dtype" },
    { "add 1; 2", IN, "got numbers alone" },
    { "fma 1; 2; 3.5", IN, "got numbers alone" },
    { "fma i64[4]; 2; 3", UN, "got i64" },
    { "by_device f32[4]; bf16[4]", IN, "by_device: expected two tensors of one type, got f32[4] and bf16[4]." },
    { "add f32[3]; {1}", IN, "expected a tensor or a number as argument 1, got a list." },
    { "add bf16[s0, 8]; bf16[s0, 16]", IN, "add: expected dims that broadcast, got [s0, 8] and [s0, 16]." },
    { "add bf16[s0 + 2]; bf16[s0 + 4]", IN, "broadcast" },
    { "add bf16[2*s0]; bf16[3]", IN, "broadcast" },
    { "add f8e4m3fn[4]; f32[4]", UN, "f8e4m3fn" },
    { "add f32[4]; f8e5m2[4]", UN, "f8e5m2" },
    { "sub b8[4]; b8[4]", UN, "got b8" },
    { "bitand f32[4]; 1", UN, "got f32" },
    { "shl b8[4]; b8[4]", UN, "got b8" },
    { "clamp f32[4]", IN, "lower or an upper bound" },
    { "where f32[4]; f32[4]; 0.0", UN, "expected a condition of dtype b8, got f32[4]" },
    { "where b8[3]; f32[4]; 0.0", IN, "broadcast" },
    { "mean f32[s0, 8]; {2}; True", IN, "expected different dims below 2, got 2" },
    { "mean f32[s0, 8]; {1, 1}; True", IN, "different dims" },
    { "mean f32[s0, 8]; {-1}; True", IN, "different dims" },
    { "mean i64[8]; {0}; True", UN, "i64[8]" },
    { "sum f32[8]; {0}; True; i64", UN, "result i64" },
    { "sum f32[8]; 0; True", IN, "a list of integers" },
    { "sum f8e5m2[8]; {0}; True", UN, "f8e5m2" },
    { "softmax f32[8]; 1", IN, "expected a dim below 1" },
    { "softmax i64[8]; 0", UN, "i64[8]" },
    { "layer_norm bf16[s0, 8]; 0; None; None; 1e-5", IN, "between 1 and 2" },
    { "layer_norm bf16[s0, 8]; 1; bf16[9]; None; 1e-5", IN, "expected bf16[8] as argument 2, got bf16[9]" },
    { "rms_norm bf16[s0, 8]; bf16[16]; 1e-6", IN, "expected bf16[8] as argument 1, got bf16[16]." },
    { "rms_norm bf16[s0, 8]; bf16[1, 8]; 1e-6", IN, "got bf16[1, 8]" },
    { "rms_norm i32[s0, 8]; None; 1e-6", UN, "got i32[s0, 8]" },
    { "rms_norm bf16[s0, 8]; None; 1e-6; 9", IN, "variance size" },
    { "rms_norm bf16[]; None; 1e-6", IN, "at least 1 dims" },
    { "rms_norm bf16[s0, 8]; bf16[8]; None", IN, "expected a float as argument 2, got nothing." },
    { "fused_add_rms_norm bf16[s0, 8]; bf16[s0, 9]; None; 1e-6", IN, "argument 1, got bf16[s0, 9]" },
    { "silu_and_mul bf16[s0, 7]", IN, "even last dim" },
    { "silu_and_mul bf16[2*s0 + 1]", IN, "even last dim" },
    { "sdpa f32[3, 8]; f32[5, 9]; f32[5, 8]; None; False; 0.5", IN, "expected q[L, E], k[S, E] and v[S, Ev]" },
    { "sdpa f32[3, 8]; f32[5, 8]; f32[6, 8]; None; False; 0.5", IN, "expected q[L, E], k[S, E] and v[S, Ev]" },
    { "sdpa f32[3, 8]; bf16[5, 8]; f32[5, 8]; None; False; 0.5", IN, "of f32 as argument 1, got bf16[5, 8]" },
    { "sdpa i32[3, 8]; i32[5, 8]; i32[5, 8]; None; False; 0.5", UN, "expected f16, bf16, f32 or f64 as argument 0" },
    { "sdpa f32[3, 8]; f32[5, 8]; f32[5, 8]; b8[3, 4]; False; 0.5", IN, "a mask of b8 or of floats that broadcasts to" },
    { "sdpa f32[8, 3, 8]; f32[2, 5, 8]; f32[4, 5, 8]; None; False; 0.5", UN, "of as many heads" },
    { "cat <>; 0", IN, "empty list" },
    { "cat <bf16[2] | bf16[2, 3]>; 0", IN, "differ in dim 0 only, got bf16[2] and bf16[2, 3]" },
    { "cat <bf16[2, 3] | bf16[2, 4]>; 0", IN, "differ in dim 0 only" },
    { "cat <bf16[2] | f8e5m2[2]>; 0", UN, "one dtype" },
    { "cat <bf16[2] | 3>; 0", IN, "a list of tensors" },
    { "pad bf16[4]; {0, 0}; {0}; 0.0", IN, "an entry for each of the 1 dims" },
    { "pad bf16[4]; {-5}; {0}; 0.0", IN, "at least 0, got -1" },
    { "sort f32[]; False", IN, "at least 1 dim" },
    { "sort f8e5m2[4]; False", UN, "another dtype" },
    { "topk f32[4]; 5; True", IN, "at least 5 elements in dim 0" },
    { "argmax f32[0]; 0; False", IN, "at least 1 elements in dim 0" },
    { "argmin f32[4]; 1; False", IN, "dim below 1" },
    { "nth f32[4]; {0}; False; 4; True; False", IN, "at least 5 elements" },
    { "nth f32[4, 2]; {0}; False; 0; True; False", IN, "the last dim" },
    { "sort_runs f32[4]; 0; False", IN, "the length of a run" },
    { "merge_runs f32[4]; i64[3]; 2; False", IN, "of one shape" },
    { "merge_runs f32[4]; i32[4]; 2; False", IN, "places in i64" },
    { "cumsum b8[4]; 0", UN, "another dtype, got b8[4]" },
    { "cumsum f32[4]; 1", IN, "dim below 1" },
    { "cummax f8e5m2[4]; 0", UN, "another dtype" },
    { "logcumsumexp i64[4]; 0", UN, "another dtype, got i64[4]" },
    { "check_info f32[4]; 0", IN, "expected integers, got f32[4]" },
    { "check_info i32[4]; 99", IN, "dim below" },
    { "put_ f32[4]; <f32[2]>; {0}; 1.0; 0; True", IN, "expected integers as index, got f32[2]" },
    { "put_ f32[4]; <i64[2] | i64[2]>; {0}; 1.0; 0; True", IN, "a dim for each of at least one index, got 2 indices and 1 dims" },
    { "put_ f32[4]; <i64[2]>; {1}; 1.0; 0; True", IN, "different dims below 1" },
    { "put_ f32[4, 2]; <i64[2, 2] | i64[2, 2]>; {0, 0}; 1.0; 0; True", IN, "different dims below 2" },
    { "put_ f32[4, 2]; <i64[2]>; {0}; 1.0; 0; True", IN, "indices of 2 dims" },
    { "put_ f32[4]; <i64[2]>; {0}; f32[3]; 0; True", IN, "of one shape, got i64[2] and f32[3]" },
    { "put_ f32[4, 2]; <i64[2, 3]>; {0}; 1.0; 0; True", IN, "at least 3 elements in dim 1" },
    { "put_ f32[0]; <i64[2]>; {0}; 1.0; 0; True", IN, "at least 1 elements in dim 0" },
    { "put_ f32[4]; <i64[2]>; {0}; 1.0; 5; True", IN, "dim below 5" },
    { "put_ u8[4]; <i64[2]>; {0}; 300; 0; True", IN, "a number that u8 holds" },
    { "take bf16[4]; 0; f32[2]; True", IN, "expected integers as index, got f32[2]" },
    { "take bf16[4]; 0; b8[4]; True", UN, "b8[4]" },
    { "take bf16[4]; 1; i64[2]; True", IN, "dim below 1" },
    { "pick bf16[4, 5]; {0, 0}; <i64[2] | i64[2]>; True", IN, "expected different dims" },
    { "pick bf16[4, 5]; {0, 1}; <i64[2] | i64[3]>; True", IN, "pick" },
    { "pick bf16[4, 5]; {0, 1}; <i64[2] | f32[2]>; True", IN, "expected integers as index 1" },
    { "pick bf16[0, 5]; {0}; <i64[2]>; True", IN, "something to take from" },
    { "diagonal bf16[4, 5]; 0; 1; 0; 3; 3", IN, "expected a diagonal within dims 0 and 1" },
    { "diagonal bf16[4, 5]; 0; 0; 0; 0; 3", IN, "expected a diagonal within dims 0 and 0" },
    { "unfold bf16[4]; 0; 5; 1", IN, "expected windows within dim 0" },
    { "unfold bf16[4]; 0; 2; 0", IN, "expected windows within dim 0" },
    { "take bf16[1,1,1,1,1]; 0; i64[1,1,1,1,1]; True", UN, "at most 8 dims, got 9" },
    { "empty {-1}; bf16", IN, "at least 0, got -1" },
    { "empty {-1 - s0}; bf16", IN, "at least 0, got -s0 - 1" },
    { "empty {4294967296, 4294967296}; bf16", IN, "overflow" },
    { "empty {1,1,1,1,1,1,1,1,1}; bf16", UN, "at most 8 dims" },
    { "linear bf16[s0, 64]; bf16[128, 65]; None", IN, "expected a weight [N, 64], got bf16[128, 65]" },
    { "linear bf16[s0, 64]; f32[128, 64]; None", IN, "expected bf16 as dtype of argument 1, got f32[128, 64]" },
    { "linear bf16[s0, 64]; bf16[64]; None", IN, "weight" },
    { "linear bf16[s0, 64]; bf16[128, 64]; bf16[64]", IN, "expected bf16[128] as argument 2, got bf16[64]" },
    { "linear bf16[s0, 64]; bf16[128, 64]; f32[128]", IN, "dtype of argument 2" },
    { "linear i32[s0, 64]; i32[128, 64]; None", UN, "i32[s0, 64]" },
    { "linear f8e4m3fn[s0, 64]; f8e4m3fn[128, 64]; None", UN, "f8e4m3fn" },
    { "linear bf16[]; bf16[128, 64]; None", IN, "at least 1 dims" },
    { "matmul bf16[64]; bf16[64, 8]; None", IN, "at least 2 dims in argument 0" },
    { "matmul bf16[s0, 64]; bf16[65, 8]; None", IN, "inner dims" },
    { "matmul bf16[2, s0, 64]; bf16[3, 64, 8]; None", IN, "broadcast" },
    { "matmul bf16[s0, 64]; bf16[64, 8]; i64", UN, "got i64" },
    { "copy_ bf16[8]; bf16[s0, 8]", IN, "broadcasts to bf16[8], got bf16[s0, 8]" },
    { "copy_ bf16[8]; bf16[9]", IN, "got bf16[9]" },
    { "reshape bf16[s0, 8]; {s0, 9}", IN, "as many elements as in bf16[s0, 8], got bf16[s0, 9]" },
    { "reshape bf16[2, 3]; {7}", IN, "as many elements" },
    { "reshape bf16[2*s0]; {2*s0 + 1}", IN, "as many elements" },
    { "permute bf16[2, 3]; {0, 0}", IN, "each of the 2 dims" },
    { "permute bf16[2, 3]; {0}", IN, "each of the 2 dims" },
    { "permute bf16[2, 3]; {0, 2}", IN, "each of the 2 dims" },
    { "expand bf16[2, 3]; {4, 3}", IN, "bf16[2, 3] can be expanded to, got bf16[4, 3]" },
    { "expand bf16[2, 3]; {3}", IN, "expanded" },
    { "slice bf16[s0, 8]; 1; 4; 5; 1", IN, "start 4, length 5, step 1" },
    { "slice bf16[s0, 8]; 1; 0; 5; 2", IN, "length 5, step 2" },
    { "slice bf16[s0, 8]; 2; 0; 1; 1", IN, "a dim below 2" },
    { "slice bf16[s0, 8]; 1; -1; 1; 1", IN, "start -1" },
    { "slice bf16[s0, 8]; 1; 0; 1; 0", IN, "step 0" },
    { "slice bf16[s0]; 0; 1; s0 + 1; 1", IN, "start 1, length s0 + 1" },
    { "bitcast bf16[s0, 7]; f32", IN, "a whole number of elements of f32" },
    { "bitcast bf16[s0, 8][8, 2]; f32", IN, "contiguous" },
    { "bitcast bf16[s0, 8][9, 1]; f32", IN, "contiguous" },
    { "bitcast bf16[]; f32", IN, "contiguous" },
};

START_TEST(refuses) {
    jc_node *n;
    jitc_status status = step(refused[_i].step, NULL, &n);
    ck_assert_msg(status == refused[_i].status, "%s: status %d, \"%s\"", refused[_i].step, status, err.message);
    ck_assert_msg(strstr(err.message, refused[_i].message) != NULL, "%s: %s", refused[_i].step, err.message);
    ck_assert_str_eq(err.file, "test.py");
    ck_assert_int_eq(err.line, 42);
    ck_assert_uint_eq(f->nodes.n, 0);
}
END_TEST

/* ---- views ---- */

static const struct {
    const char *steps[6];
    const char *out;
} views[] = {
    /* slices */
    { { "slice bf16[s0, 512]; 1; 128; 64; 1" }, "bf16[s0, 64][512, 1] @ %0 + 128" },
    { { "slice bf16[s0, 512]; 0; 2; 3; 1" }, "bf16[3, 512] @ %0 + 1024" },
    { { "slice bf16[1, 512]; 1; 5; 7; 1" }, "bf16[1, 7] @ %0 + 5" },
    { { "slice bf16[s0, 8]; 1; 1; 4; 2" }, "bf16[s0, 4][8, 2] @ %0 + 1" },
    { { "slice bf16[s0, 8]; 1; 0; 8; 1" }, "bf16[s0, 8] @ %0" },
    { { "slice bf16[s0, 8]; 1; 8; 0; 1" }, "bf16[s0, 0] @ %0 + 8" },
    { { "slice bf16[s0, 8]; 1; 3; 1; 1" }, "bf16[s0, 1][8, 1] @ %0 + 3" },
    { { "slice bf16[s0, 8]; 0; s0 - 1; 1; 1" }, "bf16[1, 8] @ %0 + 8*s0 - 8" },
    { { "slice bf16[s0, 512]; 1; 128; 64; 1", "slice _; 1; 16; 8; 1" }, "bf16[s0, 8][512, 1] @ %0 + 144" },
    { { "slice bf16[3, s0][s1, 1]; 0; 1; 1; 1" }, "bf16[1, s0] @ %0 + s1" },
    { { "slice bf16[3, s0][s1, 1]; 0; 0; 2; 1" }, "bf16[2, s0][s1, 1] @ %0" },
    /* reshape: contiguous */
    { { "reshape bf16[s0, 512]; {s0, 8, 64}" }, "bf16[s0, 8, 64] @ %0" },
    { { "reshape bf16[s0, 8, 64]; {8*s0, 64}" }, "bf16[8*s0, 64] @ %0" },
    { { "reshape bf16[s0]; {s0, 1}" }, "bf16[s0, 1] @ %0" },
    { { "reshape bf16[1]; {}" }, "bf16[] @ %0" },
    { { "reshape bf16[0, 3]; {7, 0}" }, "bf16[7, 0] @ %0" },
    /* reshape: splitting a strided dim */
    { { "slice bf16[s0, 512]; 1; 128; 64; 1", "reshape _; {s0, 4, 16}" }, "bf16[s0, 4, 16][512, 16, 1] @ %0 + 128" },
    { { "slice bf16[s0, 512]; 1; 0; 64; 1", "reshape _; {s0, 1, 64}" }, "bf16[s0, 1, 64][512, 64, 1] @ %0" },
    { { "slice bf16[s0, 512]; 1; 0; 64; 1", "reshape _; {s0, 64, 1}" }, "bf16[s0, 64, 1][512, 1, 1] @ %0" },
    { { "slice bf16[s0, 512]; 1; 0; 64; 1", "reshape _; {1, s0, 64}" }, "bf16[1, s0, 64][512*s0, 512, 1] @ %0" },
    { { "slice bf16[2*s0, 512]; 1; 0; 64; 1", "reshape _; {s0, 2, 64}" }, "bf16[s0, 2, 64][1024, 512, 1] @ %0" },
    { { "slice bf16[s0, 512]; 1; 0; 64; 2", "reshape _; {s0, 4, 16}" }, "bf16[s0, 4, 16][512, 32, 2] @ %0" },
    { { "slice bf16[Max(s0, s1), 512]; 1; 0; 64; 1", "reshape _; {s2, 4, 16}" }, "bf16[s2, 4, 16][512, 16, 1] @ %0" },
    { { "slice bf16[Max(s0, s1), 512]; 1; 0; 64; 1", "reshape _; {s2, 2, 4, 16}" }, "bf16[s2, 2, 4, 16][1024, 512, 16, 1] @ %0" },
    /* reshape: merging what chains, and a copy of what does not */
    { { "slice bf16[s0, 512]; 1; 0; 64; 1", "reshape _; {s0, 4, 16}", "reshape _; {s0, 64}" },
      "bf16[s0, 64][512, 1] @ %0" },
    { { "slice bf16[s0, 512]; 1; 0; 64; 1", "reshape _; {64*s0}" }, "bf16[64*s0]" },
    { { "permute bf16[s0, 8]; {1, 0}", "reshape _; {8*s0}" }, "bf16[8*s0]" },
    { { "slice bf16[s0, 4, 8]; 0; 1; s0 - 1; 1", "reshape _; {4*s0 - 4, 8}" }, "bf16[4*s0 - 4, 8] @ %0 + 32" },
    { { "permute bf16[s0, 2, 8]; {1, 0, 2}", "reshape _; {2, 8*s0}" }, "bf16[2, 8*s0]" },
    { { "permute bf16[2, s0, 8]; {2, 0, 1}", "reshape _; {8, 2*s0}" }, "bf16[8, 2*s0][1, 8] @ %0" },
    { { "slice bf16[s0, 1, 512]; 2; 0; 64; 1", "reshape _; {s0, 64}" }, "bf16[s0, 64][512, 1] @ %0" },
    { { "slice bf16[s0, 512]; 1; 0; 1; 1", "reshape _; {s0}" }, "bf16[s0][512] @ %0" },
    { { "slice bf16[s0, 512]; 1; 0; 0; 1", "reshape _; {0, 5}" }, "bf16[0, 5] @ %0" },
    { { "reshape bf16[s0, 8][s1, 1]; {s0, 2, 4}" }, "bf16[s0, 2, 4][s1, 4, 1] @ %0" },
    { { "reshape bf16[s0, 8][s1, 1]; {8*s0}" }, "bf16[8*s0]" },
    /* permute */
    { { "permute bf16[s0, 8]; {0, 1}" }, "bf16[s0, 8] @ %0" },
    { { "permute bf16[s0, 8]; {1, 0}" }, "bf16[8, s0][1, 8] @ %0" },
    { { "permute bf16[s0, 8]; {1, 0}", "permute _; {1, 0}" }, "bf16[s0, 8] @ %0" },
    { { "permute bf16[s0, 1, 8]; {1, 0, 2}" }, "bf16[1, s0, 8] @ %0" },
    { { "permute bf16[1, s0]; {1, 0}" }, "bf16[s0, 1] @ %0" },
    { { "permute bf16[8192, 10240][1, 8192]; {1, 0}" }, "bf16[10240, 8192] @ %0" },
    { { "permute bf16[]; {}" }, "bf16[] @ %0" },
    /* expand */
    { { "expand bf16[s0, 1, 8]; {s0, 4, 8}" }, "bf16[s0, 4, 8][8, 0, 1] @ %0" },
    { { "expand bf16[8]; {s0, 8}" }, "bf16[s0, 8][0, 1] @ %0" },
    { { "expand bf16[8]; {1, 8}" }, "bf16[1, 8] @ %0" },
    { { "expand bf16[s0, 8]; {s0, 8}" }, "bf16[s0, 8] @ %0" },
    { { "expand bf16[1]; {1}" }, "bf16[1] @ %0" },
    { { "expand bf16[]; {s0}" }, "bf16[s0][0] @ %0" },
    { { "expand bf16[s0, 1, 8]; {s0, 4, 8}", "reshape _; {4*s0, 8}" }, "bf16[4*s0, 8]" },
    { { "expand bf16[s0, 1, 8]; {s0, 4, 8}", "reshape _; {s0, 2, 2, 8}" }, "bf16[s0, 2, 2, 8][8, 0, 0, 1] @ %0" },
    /* bitcast */
    { { "bitcast f16[s0, 8]; bf16" }, "bf16[s0, 8] @ %0" },
    { { "bitcast f32[s0, 8]; bf16" }, "bf16[s0, 16] @ %0" },
    { { "bitcast bf16[s0, 8]; f32" }, "f32[s0, 4] @ %0" },
    { { "slice bf16[s0, 512]; 1; 128; 64; 1", "bitcast _; f32" }, "f32[s0, 32][256, 1] @ %0 + 128" },
    { { "bitcast f32[s0, 8]; bf16", "slice _; 1; 4; 2; 1" }, "bf16[s0, 2][16, 1] @ %0 + 2" },
    { { "bitcast bf16[s0, 8]; f32", "slice _; 1; 1; 2; 1" }, "f32[s0, 2][4, 1] @ %0 + 2" },
    { { "permute f16[s0, 8]; {1, 0}", "bitcast _; bf16" }, "bf16[8, s0][1, 8] @ %0" },
    /* contiguous, copies, writes */
    { { "contiguous bf16[s0, 8]" }, "bf16[s0, 8] @ %0" },
    { { "permute bf16[s0, 8]; {1, 0}", "contiguous _" }, "bf16[8, s0]" },
    { { "slice bf16[s0, 512]; 1; 128; 64; 1", "clone _" }, "bf16[s0, 64]" },
    { { "slice bf16[s0, 512]; 1; 128; 64; 1", "copy_ _; 0.0" }, "bf16[s0, 64][512, 1] @ %0 + 128" },
    { { "slice bf16[s0, 512]; 1; 128; 64; 1", "neg _" }, "bf16[s0, 64]" },
};

START_TEST(view_rules) {
    jc_value *v = NULL;
    for (int i = 0; i < 6 && views[_i].steps[i]; i++)
        v = must(views[_i].steps[i], v);
    ck_assert_msg(strcmp(value_text(v), views[_i].out) == 0, "%s ...: expected %s, got %s", views[_i].steps[0],
                  views[_i].out, value_text(v));
    if (jc_verify(f, &err))
        ck_abort_msg("%s ...: %s", views[_i].steps[0], err.message);
}
END_TEST

START_TEST(slice_between_base_elements) {
    jc_node *n;
    jc_value *v = must("bitcast f32[s0, 8]; bf16", NULL);
    ck_assert_int_eq(step("slice _; 1; 1; 2; 1", v, &n), JITC_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "whole element"));
}
END_TEST

/* What a view says must hold for addresses: compare with a walk over real numbers, for random chains of views. */
static uint64_t state;
static uint32_t below(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

#define MOST 4096
typedef struct model { /* a tensor as the list of its elements' numbers in the first parameter */
    int rank;
    int64_t dims[JC_MAX_RANK];
    int n, at[MOST];
} model;

static int64_t known(const jc_expr *e) {
    int64_t values[2] = { 3, 5 }, out;
    ck_assert(jc_ex_eval(e, values, 2, &out));
    return out;
}

static void model_index(const model *m, int linear, int64_t *index) {
    for (int d = m->rank - 1; d >= 0; d--) {
        index[d] = linear % m->dims[d];
        linear /= (int)m->dims[d];
    }
}

static jc_value *random_slice(jc_value *v, model *m, jc_node **n) {
    model out = { .rank = m->rank };
    int dim = (int)below((uint32_t)m->rank);
    int64_t start = below((uint32_t)m->dims[dim]), step_ = 1 + below(2);
    int64_t length = 1 + below((uint32_t)((m->dims[dim] - start - 1) / step_ + 1));
    memcpy(out.dims, m->dims, sizeof out.dims);
    out.dims[dim] = length;
    for (int i = 0; i < m->n; i++) {
        int64_t index[JC_MAX_RANK];
        model_index(m, i, index);
        int64_t k = index[dim] - start;
        if (k >= 0 && k % step_ == 0 && k / step_ < length)
            out.at[out.n++] = m->at[i];
    }
    *m = out;
    jc_arg args[] = { jc_arg_value(v), jc_arg_int(g, dim), jc_arg_int(g, start), jc_arg_int(g, length),
                      jc_arg_int(g, step_) };
    ck_assert_msg(jc_func_add(f, JC_OP_slice, args, 5, 1, n, &err) == JITC_OK, "%s", err.message);
    return (*n)->results[0];
}

static jc_value *random_permute(jc_value *v, model *m, jc_node **n) {
    model out = { .rank = m->rank, .n = m->n };
    int a = (int)below((uint32_t)m->rank), b = (int)below((uint32_t)m->rank);
    int64_t order[JC_MAX_RANK];
    const jc_expr *list[JC_MAX_RANK];
    for (int d = 0; d < m->rank; d++)
        order[d] = d == a ? b : d == b ? a : d;
    for (int d = 0; d < m->rank; d++) {
        out.dims[d] = m->dims[order[d]];
        list[d] = jc_ex_int(g->exprs, order[d]);
    }
    for (int i = 0; i < m->n; i++) {
        int64_t index[JC_MAX_RANK];
        model_index(m, i, index);
        int64_t to = 0;
        for (int d = 0; d < m->rank; d++)
            to = to * out.dims[d] + index[order[d]];
        out.at[to] = m->at[i];
    }
    *m = out;
    jc_arg args[] = { jc_arg_value(v), jc_arg_exprs(g, list, (uint32_t)m->rank) };
    ck_assert_msg(jc_func_add(f, JC_OP_permute, args, 2, 1, n, &err) == JITC_OK, "%s", err.message);
    return (*n)->results[0];
}

/* Merges two neighbours, or splits a dim. */
static jc_value *random_reshape(jc_value *v, model *m, jc_node **n) {
    const jc_expr *list[JC_MAX_RANK + 1];
    int64_t dims[JC_MAX_RANK + 1];
    int rank = 0, dim = (int)below((uint32_t)m->rank);
    bool split = below(2) && m->rank < 5;
    for (int d = 0; d < m->rank; d++) {
        int64_t size = m->dims[d];
        if (d == dim && split) {
            int64_t inner = size % 2 == 0 ? 2 : size % 3 == 0 ? 3 : below(2) ? 1 : size;
            dims[rank++] = size / inner;
            dims[rank++] = inner;
        } else if (d == dim && d + 1 < m->rank) {
            dims[rank++] = size * m->dims[++d];
        } else {
            dims[rank++] = size;
        }
    }
    for (int d = 0; d < rank; d++) {
        m->dims[d] = dims[d];
        list[d] = jc_ex_int(g->exprs, dims[d]);
    }
    m->rank = rank;
    jc_arg args[] = { jc_arg_value(v), jc_arg_exprs(g, list, (uint32_t)rank) };
    ck_assert_msg(jc_func_add(f, JC_OP_reshape, args, 2, 1, n, &err) == JITC_OK, "%s", err.message);
    return (*n)->results[0];
}

START_TEST(random_views) {
    state = (uint64_t)_i * 7919 + 3;
    int copies = 0, seen = 0;
    for (int round = 0; round < 30; round++) {
        jc_value *v = param("f32[6, 4, 5, 8]");
        model m = { .rank = 4, .dims = { 6, 4, 5, 8 }, .n = 960 };
        for (int i = 0; i < m.n; i++)
            m.at[i] = i;
        for (int k = 0; k < 6; k++, seen++) {
            jc_node *n;
            v = (below(3) == 0 ? random_slice : below(2) ? random_permute : random_reshape)(v, &m, &n);
            if (!v->base) { /* a copy: its elements are numbered anew */
                copies++;
                for (int i = 0; i < m.n; i++)
                    m.at[i] = i;
            }
            jc_type type = v->type;
            type.strides = jc_type_strides(g->exprs, arena, &type);
            ck_assert_int_eq(type.rank, m.rank);
            int64_t offset = v->base ? known(v->offset) : 0, strides[JC_MAX_RANK];
            for (int d = 0; d < m.rank; d++)
                strides[d] = known(type.strides[d]);
            for (int i = 0; i < m.n; i++) {
                int64_t index[JC_MAX_RANK], at = offset;
                model_index(&m, i, index);
                for (int d = 0; d < m.rank; d++)
                    at += index[d] * strides[d];
                if (at != m.at[i]) /* an assertion that holds costs a system call, and there are millions */
                    ck_abort_msg("element %d of %s", i, value_text(v));
            }
        }
    }
    ck_assert_int_gt(seen - copies, copies);
    ck_assert_int_gt(copies, 0);
}
END_TEST

/* ---- annotations ---- */

static const struct {
    const char *step, *annotated, *out; /* out NULL: refused */
} annotations[] = {
    { "neg bf16[s0, 8]", "bf16[s0, 8]", "bf16[s0, 8]" },
    { "neg bf16[s0, 8]", "bf16[s0, 16]", NULL },
    { "neg bf16[s0, 8]", "f32[s0, 8]", NULL },
    { "neg bf16[s0, 8]", "bf16[8]", NULL },
    { "neg bf16[s0, 8]", "bf16[s0 + 1, 8]", NULL },
    { "neg bf16[s0, 8]", "bf16[s1, 8]", "bf16[s1, 8]" },
    { "neg bf16[s0, 8]", "bf16[7, 8]", "bf16[7, 8]" },
    { "neg bf16[7, 8]", "bf16[s0, 8]", "bf16[7, 8]" },
    { "neg bf16[s0, 8]", "bf16[s0, 8][8, 1]", "bf16[s0, 8]" },
    { "slice bf16[s0, 512]; 1; 0; 64; 1", "bf16[s1, 64]", "bf16[s1, 64][512, 1] @ %0" },
};

START_TEST(annotation_rules) {
    jc_value *v = must(annotations[_i].step, NULL);
    jc_type type = type_of(annotations[_i].annotated);
    jitc_status status = jc_check_annotation(f, v, &type, &err);
    if (!annotations[_i].out) {
        ck_assert_msg(status == JITC_E_INPUT, "%s as %s", annotations[_i].step, annotations[_i].annotated);
        ck_assert_msg(strstr(err.message, annotations[_i].annotated) && strstr(err.message, "bf16[s0, 8]") &&
                          strstr(err.message, "expected") && strstr(err.message, "got"), "%s", err.message);
        ck_assert_int_eq(err.line, 42);
        return;
    }
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_msg(strcmp(value_text(v), annotations[_i].out) == 0, "%s as %s: %s", annotations[_i].step,
                  annotations[_i].annotated, value_text(v));
}
END_TEST

START_TEST(symint_annotation) {
    jc_value v = { .type = { .kind = JC_SYMINT, .expr = expr("s0 + 1", 6) } };
    jc_type same = { .kind = JC_SYMINT, .expr = expr("1 + s0", 6) };
    jc_type other = { .kind = JC_SYMINT, .expr = expr("s0", 2) };
    jc_type name = { .kind = JC_NAME };
    ck_assert_int_eq(jc_check_annotation(f, &v, &same, &err), JITC_OK);
    ck_assert_int_eq(jc_check_annotation(f, &v, &other, &err), JITC_E_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "Sym(s0 + 1)"));
    ck_assert_int_eq(jc_check_annotation(f, &v, &name, NULL), JITC_E_INPUT);
}
END_TEST

/* After a parameter got strides, places follow, and what annotations settled stays. */
START_TEST(reinference) {
    jc_value *x = param("bf16[s0, 64]");
    jc_value *r = must("reshape _; {s0, 4, 16}", x), *y = must("reshape _; {64*s0}", x), *z = must("neg _", x);
    jc_type settled = type_of("bf16[s1, 64]");
    ck_assert_int_eq(jc_check_annotation(f, z, &settled, &err), JITC_OK);
    ck_assert_str_eq(value_text(y), "bf16[64*s0] @ %0");
    x->type.strides = type_of("bf16[s0, 64][512, 1]").strides;
    ck_assert_int_eq(jc_reinfer(f, &err), JITC_OK);
    ck_assert_str_eq(value_text(r), "bf16[s0, 4, 16][512, 16, 1] @ %0");
    ck_assert_str_eq(value_text(y), "bf16[64*s0]");
    ck_assert_str_eq(value_text(z), "bf16[s1, 64]");
    x->type.strides = NULL;
    ck_assert_int_eq(jc_reinfer(f, &err), JITC_OK);
    ck_assert_str_eq(value_text(y), "bf16[64*s0] @ %0");
}
END_TEST

/* An empty list of reduced dims is written out. */
START_TEST(reductions_over_all_dims) {
    jc_value *v = must("sum f32[2, 3]; {}; True", NULL);
    ck_assert_uint_eq(v->def->args[1].list.n, 2);
    ck_assert(jc_ex_is(v->def->args[1].list.at[1].expr, 1));
    ck_assert_int_eq(v->def->args[3].kind, JC_ARG_NONE);
    ck_assert_uint_eq(v->def->nargs, 4);
}
END_TEST

/* ---- calls, custom operators, writes ---- */

static jc_func *callee_with(jc_arg *outputs, uint32_t n) {
    jc_func *callee = f;
    callee->outputs = outputs;
    callee->noutputs = n;
    callee->tuple = true;
    f = jc_func_new(g, "root");
    return callee;
}

START_TEST(call_places) {
    /* callee: returns x, a view of x, a fresh y, a view of y, two views of a z that it keeps, s0 + 1, None, (y,) */
    jc_value *x = param("bf16[s0, 64]");
    jc_value *vx = must("slice _; 1; 32; 16; 1", x), *y = must("neg _", x), *vy = must("slice _; 1; 8; 8; 1", y);
    jc_value *z = must("exp _", x), *z1 = must("slice _; 1; 4; 8; 1", z), *z2 = must("slice _; 1; 20; 8; 1", z);
    jc_arg nested = jc_arg_list(g, (jc_arg[]){ jc_arg_value(y) }, 1);
    jc_arg outputs[] = { jc_arg_value(x),  jc_arg_value(vx), jc_arg_value(vy), jc_arg_value(z1),
                         jc_arg_value(z2), jc_arg_expr(expr("s0 + 1", 6)), jc_arg_none(), nested };
    jc_func *callee = callee_with(outputs, 8);
    jc_value *a = must("slice bf16[s0, 512]; 1; 100; 64; 1", NULL);
    jc_node *n = jc_func_add_call(f, callee, (jc_arg[]){ jc_arg_value(a) }, 1, 7);
    static const char *const want[] = {
        "bf16[s0, 64][512, 1] @ %0 + 100",
        "bf16[s0, 16][64, 1] @ %0 + 132", /* strides as in the callee until layouts are passed on */
        "bf16[s0, 8][64, 1] @ %8 + 8",
        "bf16[s0, 8][64, 1]",
        "bf16[s0, 8][64, 1] @ %5 + 16",
        "Sym(s0 + 1)",
        "bf16[s0, 64]",
    };
    ck_assert_uint_eq(n->nresults, 7);
    for (uint32_t i = 0; i < 7; i++)
        ck_assert_msg(strcmp(value_text(n->results[i]), want[i]) == 0, "%u: %s, not %s", i,
                      value_text(n->results[i]), want[i]);
    ck_assert_msg(jc_verify(callee, &err) == JITC_OK, "%s", err.message);
    ck_assert_msg(jc_verify(f, &err) == JITC_OK, "%s", err.message);
    ck_assert(!jc_node_writes(n, 0));
}
END_TEST

START_TEST(call_symbols) {
    jc_type sym = { .kind = JC_SYMINT, .expr = expr("s1", 2) };
    jc_func_param(f, "s1", &sym);
    jc_value *x = param("bf16[s1, 8]"), *y = must("reshape _; {8*s1}", x);
    jc_arg out = jc_arg_value(y);
    jc_func *callee = callee_with(&out, 1);
    jc_arg args[] = { jc_arg_expr(expr("48*s0", 5)), jc_arg_value(param("bf16[48*s0, 8]")) };
    jc_node *n = jc_func_add_call(f, callee, args, 2, 7);
    ck_assert_str_eq(value_text(n->results[0]), "bf16[384*s0] @ %0");
}
END_TEST

/* ---- what is left open ---- */

static const struct {
    const char *step, *open; /* conditions, one after the other */
    const char *annotation;  /* of the result; NULL: none */
} open_rows[] = {
    { "add f32[s0, 4]; f32[s0, 4]", "", NULL },
    { "add f32[s0, 4]; f32[s1, 4]", "s0 meets s1", NULL },
    { "add f32[s0, 4]; f32[1, 4]", "", NULL },
    { "add f32[s0, 4]; f32[3, 4]", "s0 meets 3", NULL },
    { "add f32[s0, 4]; f32[s0 + 3, 4]", "s0 meets s0 + 3", NULL },
    { "add f32[s0, 4]; f32[Min(1, s0), 4]", "Min(1, s0) spreads over s0", NULL },
    { "add f32[Min(1, s0), 4]; f32[s1, 4]", "Min(1, s0) spreads over s1", NULL },
    { "add f32[s0 - Max(0, s0 - 1), 4]; f32[s1, 4]", "s0 - Max(0, s0 - 1) spreads over s1", NULL },
    { "add f32[s0 % 2, 4]; f32[7, 4]", "s0 % 2 spreads over 7", NULL },
    { "add f32[s0 % 2, 4]; f32[0, 4]", "", NULL },
    { "add f32[s0 % 3, 4]; f32[s1, 4]", "s0 % 3 meets s1", NULL },
    { "add f32[Min(1, s0), 4]; f32[Min(1, s1), 4]", "", NULL },
    { "add f32[Min(1, s0), 4]; f32[Min(1, s0), 4]", "", NULL },
    { "neg f32[s0, 4]", "s1 == s0", "f32[s1, 4]" },
    { "neg f32[s0, 4]", "", "f32[s0, 4]" },
    { "reshape f32[s0, 4]; {s0*2, 2}", "", NULL },
    { "reshape f32[s0, 4]; {s1, 2}", "4*s0 == 2*s1", NULL },
    { "expand f32[s0, 1]; {s1, 7}", "s0 onto s1", NULL },
    { "expand f32[Min(1, s0), 4]; {3, s1, 4}", "s1 <= s1*Min(1, s0)", NULL },
    { "expand f32[Min(1, s0), 4]; {s0, 4}", "s0 <= s0*Min(1, s0)", NULL },
    { "expand f32[0, 1]; {0, 5}", "", NULL },
    { "slice f32[s0, 4]; 0; 0; s1; 1", "s1 <= s0", NULL },
    { "slice f32[s0, 4]; 0; 0; Min(s0, s1); 1", "", NULL },
    { "slice f32[s0, 4]; 0; Min(s0, s1); s0 - Min(s0, s1); 1", "", NULL },
    { "slice f32[s0, 4]; 0; s1; 1; 1", "s1 + 1 <= s0", NULL },
    { "slice f32[s0, 4]; 0; s0 - s1; s1; 1", "0 <= s0 - s1", NULL },
    { "slice f32[s0, 4]; 0; Max(0, s0 - s1); s0 - Max(0, s0 - s1); 1", "", NULL },
    { "slice f32[s0, 4]; 0; 0; s1; 2", "2*s1 - 1 <= s0", NULL },
    { "bitcast u8[3, s0]; f32", "s0 % 4 == 0", NULL },
    { "bitcast u8[3, 4*s0]; f32", "", NULL },
    { "linear f32[3, s0]; f32[5, s1]; f32[s0]", "s0 == s1, s0 == 5", NULL },
    { "matmul f32[s0, 3, 4]; f32[s1, 4, 5]; None", "s0 meets s1", NULL },
    { "matmul f32[Min(1, s0), 3, 4]; f32[s1, 4, 5]; None", "Min(1, s0) spreads over s1", NULL },
    { "cat <f32[s0, 4] | f32[3, s1]>; 0", "4 == s1", NULL },
    { "copy_ f32[s0, 4]; f32[s1, 1]", "s1 onto s0", NULL },
    { "copy_ f32[s0, 4]; f32[Min(1, s1), 1]", "s0 <= s0*Min(1, s1)", NULL },
    { "take f32[s0, 4]; 0; i64[s1]; True", "Min(1, s1) <= s0", NULL },
    { "take f32[7, 4]; 0; i64[s1]; True", "", NULL },
    { "pick f32[s0, 4]; {0, 1}; <i64[s1] | i64[]>; True", "Min(1, s1) <= s0", NULL },
    { "unfold f32[s0]; 0; 3; 1", "3 <= s0, 0 <= s0 - 2", NULL },
    { "amax f32[s0, 4]; {0}; False", "1 <= s0", NULL },
    { "sum f32[s0, 4]; {0}; False; None", "", NULL },
    { "pad f32[s0, 4]; {0, 0}; {s1 - s0, 0}; 0.0", "0 <= -s0 + s1", NULL },
    { "silu_and_mul f32[3, s0]", "s0 % 2 == 0", NULL },
    { "full {s0 - 4, 2}; 1; f32", "0 <= s0 - 4", NULL },
    { "rms_norm f32[3, s0]; None; 1e-5; s1", "1 <= s1, s1 <= s0", NULL },
};

START_TEST(left_open) {
    static const char *const words[JC_REL_COUNT] = { "==", "<=", "<= (to copy)", "meets", "onto", "spreads over", "!=" };
    jc_conditions open = { 0 };
    jc_bytes text = JC_BYTES(arena);
    jc_value *v = must(open_rows[_i].step, NULL);
    if (open_rows[_i].annotation) {
        jc_type type = type_of(open_rows[_i].annotation);
        ck_assert_int_eq(jc_check_annotation(f, v, &type, &err), JITC_OK);
    }
    const jc_value before = *v;
    ck_assert_msg(jc_conditions_of(f, &open, &err) == JITC_OK, "%s", err.message);
    for (size_t i = 0; i < open.n; i++)
        jc_put_text(&text, "%s%s %s %s", i ? ", " : "", jc_ex_text(g->exprs, open.at[i].a, arena),
                    words[open.at[i].rel], jc_ex_text(g->exprs, open.at[i].b, arena));
    jc_put_u8(&text, 0);
    ck_assert_msg(strcmp((char *)text.at, open_rows[_i].open) == 0, "%s: \"%s\", expected \"%s\"", open_rows[_i].step, text.at,
                  open_rows[_i].open);
    ck_assert_msg(before.type.rank == v->type.rank && before.type.dtype == v->type.dtype && before.type.dims == v->type.dims &&
                      before.type.strides == v->type.strides && before.base == v->base && before.offset == v->offset &&
                      before.def == v->def && before.id == v->id,
                  "%s: the value has changed", open_rows[_i].step);
}
END_TEST

START_TEST(writes) {
    jc_value *x = param("bf16[s0, 64]"), *y = param("bf16[s0, 16]");
    jc_value *v = must("slice _; 1; 32; 16; 1", x);
    jc_arg copy[] = { jc_arg_value(v), jc_arg_value(y) };
    jc_node *n;
    ck_assert_int_eq(jc_func_add(f, JC_OP_copy_, copy, 2, 3, &n, &err), JITC_OK);
    ck_assert(jc_node_writes(n, 0));
    ck_assert(!jc_node_writes(n, 1));
    jc_type name = { .kind = JC_NAME };
    jc_value *layer = jc_func_param(f, "layer", &name);
    jc_arg args[] = { jc_arg_value(layer), jc_arg_value(x),
                      jc_arg_list(g, (jc_arg[]){ jc_arg_value(y), jc_arg_value(x) }, 2) };
    jc_node *custom = jc_func_add_custom(f, "vllm::op", args, 3, 1u << 1, NULL, 0, 4);
    ck_assert(!jc_node_writes(custom, 0));
    ck_assert(jc_node_writes(custom, 1));
    ck_assert(!jc_node_writes(custom, 2));
    custom->writes = UINT64_MAX;
    ck_assert(jc_node_writes(custom, 2) && jc_node_writes(custom, 70));
    custom->writes = 1u << 1;
    jc_func *callee = callee_with(NULL, 0);
    jc_arg call[] = { jc_arg_value(param("bf16[s0, 64]")), jc_arg_value(param("bf16[s0, 16]")),
                      jc_arg_value(jc_func_param(f, NULL, &name)) };
    n = jc_func_add_call(f, callee, call, 3, 5);
    ck_assert(jc_node_writes(n, 0)); /* through a view */
    ck_assert(jc_node_writes(n, 1)); /* the list's first tensor, operand 1 of the custom operator */
}
END_TEST

static void collect(void *user, jc_value *v) {
    jc_bytes *out = user;
    jc_put_text(out, "%%%u ", v->id);
}

START_TEST(operands_in_order) {
    jc_value *x = param("f32[2]"), *y = param("f32[2]");
    jc_arg inner[] = { jc_arg_value(y), jc_arg_int(g, 3), jc_arg_value(x) };
    jc_arg args[] = { jc_arg_value(x), jc_arg_none(), jc_arg_list(g, inner, 3), jc_arg_value(y) };
    args[2].kind = JC_ARG_DICT;
    jc_type result = x->type;
    jc_node *n = jc_func_add_custom(f, "ns::op", args, 4, 0, &result, 1, 4);
    jc_bytes out = JC_BYTES(arena);
    jc_node_operands(n, collect, &out);
    jc_put_u8(&out, 0);
    ck_assert_str_eq((char *)out.at, "%0 %1 %0 %1 ");
    ck_assert_uint_eq(n->results[0]->id, 2);
    ck_assert_ptr_eq(n->results[0]->def, n);
}
END_TEST

/* ---- the verifier ---- */

/* A function with a bit of everything; NODES 0..4 are slice, add, cast, custom, call. */
static jc_func *broken; /* the callee for the row that calls another */
static void sample(void) {
    jc_value *p = param("f32[4]"), *q = must("neg _", p);
    jc_arg *outputs = jc_arena_memdup(arena, (jc_arg[]){ jc_arg_value(q) }, sizeof(jc_arg));
    broken = callee_with(outputs, 1);
    jc_value *x = param("f32[s0, 64]"), *v = must("slice _; 1; 0; 4; 1", x);
    must("add _; 1.0", v);
    jc_value *c = must("cast _; bf16", v);
    jc_func_add_custom(f, "ns::op", (jc_arg[]){ jc_arg_value(c) }, 1, 1, &x->type, 1, 4);
    jc_func_add_call(f, broken, (jc_arg[]){ jc_arg_value(param("f32[4]")) }, 1, 5);
    f->outputs = jc_arena_memdup(arena, (jc_arg[]){ jc_arg_value(c) }, sizeof(jc_arg));
    f->noutputs = 1;
}

#define NODE(i) (f->nodes.at[i])
#define RESULT(i) (f->nodes.at[i]->results[0])
static void break_order(void) { jc_node *n = NODE(0); NODE(0) = NODE(1); NODE(1) = n; }
static void break_id(void) { RESULT(1)->id = 77; }
static void break_count(void) { f->nvalues++; }
static void break_def(void) { RESULT(1)->def = NODE(0); }
static void break_index(void) { RESULT(1)->index = 3; }
static void break_operand(void) { NODE(1)->args[0].value = RESULT(3); }
static void break_foreign(void) { NODE(1)->args[0].value = broken->params[0]; }
static void break_null(void) { NODE(1)->args[0].value = NULL; }
static void break_arity(void) { NODE(1)->nargs = 1; }
static void break_kind(void) { NODE(2)->args[1] = jc_arg_int(g, 3); }
static void break_argument(void) { NODE(2)->args[1].kind = 99; }
static void break_op(void) { NODE(2)->op = JC_OP_COUNT; }
static void break_results(void) {
    jc_value *twice[] = { RESULT(2), RESULT(2) };
    NODE(2)->nresults = 2;
    NODE(2)->results = jc_arena_memdup(arena, twice, sizeof twice);
}
static void break_base(void) { RESULT(2)->base = RESULT(0); }
static void break_base_later(void) { RESULT(0)->base = RESULT(3); }
static void break_base_self(void) { RESULT(2)->base = RESULT(2); }
static void break_param_base(void) { f->params[0]->base = f->params[0]; }
static void break_rank(void) { RESULT(1)->type.rank = 9; }
static void break_dims(void) { RESULT(1)->type.dims = NULL; }
static void break_dtype(void) { RESULT(1)->type.dtype = JC_DTYPE_COUNT; }
static void break_poison(void) {
    const jc_expr **dims = jc_arena_memdup(arena, RESULT(1)->type.dims, 2 * sizeof *dims);
    dims[1] = jc_ex_fdiv(g->exprs, dims[0], jc_ex_int(g->exprs, 0));
    RESULT(1)->type.dims = dims;
}
static void break_symint(void) { RESULT(3)->type = (jc_type){ .kind = JC_SYMINT }; }
static void break_view_kind(void) { RESULT(3)->type = (jc_type){ .kind = JC_NAME }; RESULT(3)->base = f->params[0]; }
static void break_target(void) { NODE(3)->target = NULL; }
static void break_callee(void) { NODE(4)->callee = NULL; }
static void break_call(void) { NODE(4)->nargs = 0; }
static void break_call_results(void) { broken->noutputs = 0; }
static void break_output(void) { f->outputs[0].value = broken->params[0]; }

static const struct {
    void (*damage)(void);
    const char *message;
} damages[] = {
    { break_order, "used before it is defined" },
    { break_id, "should have number 3" },
    { break_count, "it has 7 values, not 8" },
    { break_def, "does not know where it comes from" },
    { break_index, "does not know where it comes from" },
    { break_operand, "used before it is defined" },
    { break_foreign, "used before it is defined" },
    { break_null, "used before it is defined" },
    { break_arity, "2 arguments were expected, not 1" },
    { break_kind, "do not fit the signature \"T D\"" },
    { break_argument, "an argument has no kind" },
    { break_op, "no operator" },
    { break_results, "there are 2 results" },
    { break_base, "is itself a view" },
    { break_base_later, "not defined before it" },
    { break_base_self, "is itself a view" },
    { break_param_base, "parameter 0 is a view" },
    { break_rank, "no tensor type" },
    { break_dims, "dim 0 of value 3 is missing" },
    { break_dtype, "no tensor type" },
    { break_poison, "dim 1 of value 3 is missing" },
    { break_symint, "has no expression" },
    { break_view_kind, "is a view but no tensor" },
    { break_target, "no name" },
    { break_callee, "no callee" },
    { break_call, "0 arguments and 1 results" },
    { break_call_results, "1 arguments and 1 results" },
    { break_output, "used before it is defined" },
};

START_TEST(verifier_finds) {
    sample();
    /* parameters come first in the numbering; the sample makes its second one late */
    f->params[1]->id = 1;
    for (uint32_t i = 0; i < 5; i++)
        RESULT(i)->id = i + 2;
    ck_assert_msg(jc_verify(f, &err) == JITC_OK, "%s", err.message);
    damages[_i].damage();
    ck_assert_msg(jc_verify(f, &err) == JITC_E_COMPILE, "row %d is not noticed", _i);
    ck_assert_msg(strstr(err.message, damages[_i].message) != NULL, "row %d: %s", _i, err.message);
}
END_TEST

/* ---- text ---- */

static const char *text_of(const jc_func *of) {
    jc_bytes out = JC_BYTES(arena);
    jc_func_print(of, &out);
    jc_put_u8(&out, 0);
    return (char *)out.at;
}

START_TEST(own_text_form) {
    jc_type name = { .kind = JC_NAME };
    jc_type x_type = type_of("bf16[s0, 256]");
    jc_value *x = jc_func_param(f, "x", &x_type), *layer = jc_func_param(f, NULL, &name);
    x->alias = 2;
    jc_value *v = must("slice _; 1; 128; 64; 1", x);
    jc_arg args[] = { jc_arg_value(v), jc_arg_int(g, 64), jc_arg_value(layer), jc_arg_float(1e-6), jc_arg_float(2) };
    args[2].key = "name";
    jc_func_add_custom(f, "vllm::op", args, 5, 1, (jc_type[]){ v->type, name }, 2, 3);
    jc_arg strange[] = { { .kind = JC_ARG_STR, .str = "a\"b\\\n" }, { .kind = JC_ARG_DEVICE, .str = "cuda" },
                         jc_arg_bool(true), jc_arg_dtype(JC_F32), jc_arg_none(),
                         jc_arg_list(g, (jc_arg[]){ jc_arg_int(g, 1), jc_arg_float(0.1) }, 2) };
    jc_func_add_custom(f, "ns::op", strange, 6, UINT64_MAX, NULL, 0, 4);
    f->outputs = (jc_arg[]){ jc_arg_value(v), jc_arg_expr(expr("2*s0", 4)) };
    f->noutputs = 2;
    ck_assert_str_eq(text_of(f),
                     "func f(%0 x: bf16[s0, 256] alias 2, %1: LayerName)\n"
                     "  %2 = slice(%0, 1, 128, 64, 1): bf16[s0, 64][256, 1] @ %0 + 128\n"
                     "  %3, %4 = custom vllm::op(%2, 64, name=%1, 1e-06, 2.0) writes 0: "
                     "bf16[s0, 64][256, 1], LayerName\n"
                     "  custom ns::op(\"a\\\"b\\\\\\x0a\", device \"cuda\", True, f32, None, [1, 0.1]) writes all\n"
                     "  return (%2, 2*s0)\n");
}
END_TEST

START_TEST(graph_text) {
    jc_sym_at(g->exprs, 0)->lo = 1;
    jc_sym_at(g->exprs, 0)->hi = 8192;
    jc_sym_at(g->exprs, 1)->divisor = 16;
    jc_value *y = must("neg f32[s0]", NULL);
    jc_arg out = jc_arg_value(y);
    jc_func *piece = callee_with(&out, 1);
    jc_push(arena, &g->pieces, piece);
    g->root = f;
    jc_node *n = jc_func_add_call(f, piece, (jc_arg[]){ jc_arg_value(param("f32[s0]")) }, 1, 1);
    f->outputs = (jc_arg[]){ jc_arg_value(n->results[0]) };
    f->noutputs = 1;
    jc_bytes text = JC_BYTES(arena);
    jc_graph_print(g, &text);
    jc_put_u8(&text, 0);
    ck_assert_str_eq((char *)text.at,
                     "symbol s0 from 1 to 8192\n"
                     "symbol s1 from 0 to 2147483647, a multiple of 16\n"
                     "func f(%0: f32[s0])\n"
                     "  %1 = neg(%0): f32[s0]\n"
                     "  return (%1,)\n\n"
                     "func root(%0: f32[s0])\n"
                     "  %1 = call f(%0): f32[s0]\n"
                     "  return %1\n");
}
END_TEST

/* ---- decomposition: a golden file ---- */

static const char *const composites[] = {
    "rms_norm bf16[s0, 256]; bf16[256]; 1e-6",
    "rms_norm bf16[s0, 256]; f32[256]; 1e-6",
    "rms_norm f32[s0, 256]; bf16[256]; 1e-6",
    "rms_norm f32[s0, 256]; None; 1e-6",
    "rms_norm f64[s0, 256]; f64[256]; 1e-6",
    "rms_norm bf16[s0, 8, 256]; bf16[256]; 1e-5; 128",
    "fused_add_rms_norm bf16[s0, 256]; bf16[s0, 256]; bf16[256]; 1e-6",
    "fused_add_rms_norm bf16[s0, 256]; f32[s0, 256]; None; 1e-6; 64",
    "fused_add_rms_norm f32[s0, 256]; f32[s0, 256]; f32[256]; 1e-6",
    "layer_norm bf16[s0, 256]; 1; bf16[256]; bf16[256]; 1e-5",
    "layer_norm f32[s0, 4, 8]; 2; None; f32[4, 8]; 1e-5",
    "softmax bf16[s0, 16]; 1",
    "softmax bf16[s0, 16]; 1; f32",
    "softmax f32[s0, 16]; 0; f16",
    "silu_and_mul bf16[s0, 512]",
    "silu_and_mul f32[s0, 512]",
    "silu_and_mul bf16[s0, 512][1024, 1]",
    "sdpa bf16[2, 4, s0, 64]; bf16[2, 4, s1, 64]; bf16[2, 4, s1, 64]; None; True; 0.125",
    "sdpa f32[1, 8, s0, 64]; f32[1, 2, s0, 64]; f32[1, 2, s0, 64]; b8[s0, s0]; False; 0.125",
};
#define NCOMPOSITES (sizeof composites / sizeof composites[0])

static void return_all(const jc_node *n) {
    f->noutputs = n->nresults;
    f->outputs = jc_arena_array(arena, n->nresults, sizeof *f->outputs);
    for (uint32_t i = 0; i < n->nresults; i++)
        f->outputs[i] = jc_arg_value(n->results[i]);
}

static char *slurp(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = jc_arena_alloc(arena, 1 << 16);
    text[fread(text, 1, (1 << 16) - 1, file)] = 0;
    fclose(file);
    return text;
}

START_TEST(decomposition) {
    const char *path = TEST_SRCDIR "/tests/golden/decompose.txt";
    jc_bytes out = JC_BYTES(arena);
    for (size_t i = 0; i < NCOMPOSITES; i++) {
        jc_node *n;
        jc_func *simple;
        f = jc_func_new(g, "f");
        ck_assert_msg(step(composites[i], NULL, &n) == JITC_OK, "%s: %s", composites[i], err.message);
        return_all(n);
        ck_assert_msg(jc_decompose(f, false, NULL, NULL, &simple, &err) == JITC_OK, "%s: %s", composites[i], err.message);
        ck_assert_msg(jc_verify(simple, &err) == JITC_OK, "%s: %s", composites[i], err.message);
        for (size_t k = 0; k < simple->nodes.n; k++)
            ck_assert(!(jc_ops[simple->nodes.at[k]->op].traits & JC_COMPOSITE));
        jc_put_text(&out, "# %s\n%s\n", composites[i], text_of(simple));
    }
    if (getenv("JITC_UPDATE_GOLDEN")) {
        FILE *file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        fwrite(out.at, 1, out.n, file);
        fclose(file);
    }
    jc_put_u8(&out, 0);
    const char *want = slurp(path);
    ck_assert_msg(want != NULL, "%s cannot be read", path);
    ck_assert_msg(strcmp(want, (char *)out.at) == 0, "%s differs; got:\n%s", path, (char *)out.at);
}
END_TEST

static uint32_t keep_softmax(void *user, const jc_node *n) {
    ++*(int *)user;
    return n->op == JC_OP_softmax;
}

/* Of two values one is left for each kind of device, and what the other was made of is gone; what has an effect stays. */
START_TEST(decomposition_by_device) {
    static const char *const want[2] = {
        "func f(%0: f32[4])\n"
        "  %1 = neg(%0): f32[4]\n"
        "  %2 = copy_(%0, 1.0): f32[4] @ %0\n"
        "  return %1\n",
        "func f(%0: f32[4])\n"
        "  %1 = exp(%0): f32[4]\n"
        "  %2 = abs(%1): f32[4]\n"
        "  %3 = copy_(%0, 1.0): f32[4] @ %0\n"
        "  return %2\n",
    };
    jc_value *x = param("f32[4]"), *host = must("neg _", x), *gpu = must("abs _", must("exp _", x));
    jc_node *choice;
    ck_assert_msg(jc_func_add(f, JC_OP_by_device, (jc_arg[]){ jc_arg_value(host), jc_arg_value(gpu) }, 2, 1, &choice, &err) == JITC_OK, "%s", err.message);
    jc_value *y = choice->results[0];
    must("copy_ _; 1.0", x);
    f->outputs = (jc_arg[]){ jc_arg_value(y) };
    f->noutputs = 1;
    for (int on_gpu = 0; on_gpu < 2; on_gpu++) {
        jc_func *simple;
        ck_assert_int_eq(jc_decompose(f, on_gpu, NULL, NULL, &simple, &err), JITC_OK);
        ck_assert_msg(jc_verify(simple, &err) == JITC_OK, "%s", err.message);
        ck_assert_str_eq(text_of(simple), want[on_gpu]);
    }
}
END_TEST

/* The rest is copied: views keep their bases, results their names and dims, parameters their alias and strides. */
START_TEST(decomposition_copies) {
    jc_value *x = param("bf16[s0, 512][1024, 1]");
    x->alias = 1;
    jc_value *v = must("slice _; 1; 0; 256; 1", x), *m = must("softmax _; 1", v);
    jc_value *norm = must("rms_norm _; None; 1e-6", m), *w = must("copy_ _; 0.0", v);
    norm->name = "norm";
    jc_type settled = type_of("bf16[s1, 256]");
    ck_assert_int_eq(jc_check_annotation(f, norm, &settled, &err), JITC_OK);
    jc_node *custom = jc_func_add_custom(f, "ns::op", (jc_arg[]){ jc_arg_value(w), jc_arg_value(norm) }, 2, 2,
                                         &norm->type, 1, 9);
    f->outputs = (jc_arg[]){ jc_arg_list(g, (jc_arg[]){ jc_arg_value(custom->results[0]), jc_arg_none() }, 2) };
    f->noutputs = 1;
    f->tuple = true;
    int asked = 0;
    jc_func *simple;
    ck_assert_int_eq(jc_decompose(f, false, keep_softmax, &asked, &simple, &err), JITC_OK);
    ck_assert_int_eq(asked, 2);
    ck_assert_msg(jc_verify(simple, &err) == JITC_OK, "%s", err.message);
    ck_assert_str_eq(text_of(simple),
                     "func f(%0: bf16[s0, 512][1024, 1] alias 1)\n"
                     "  %1 = slice(%0, 1, 0, 256, 1): bf16[s0, 256][1024, 1] @ %0\n"
                     "  %2 = softmax(%1, 1, None): bf16[s0, 256]\n"
                     "  %3 = cast(%2, f32): f32[s0, 256]\n"
                     "  %4 = mul(%3, %3): f32[s0, 256]\n"
                     "  %5 = mean(%4, [1], True, None): f32[s0, 1]\n"
                     "  %6 = add(%5, 1e-06): f32[s0, 1]\n"
                     "  %7 = rsqrt(%6): f32[s0, 1]\n"
                     "  %8 = mul(%3, %7): f32[s0, 256]\n"
                     "  %9 = cast(%8, bf16): bf16[s1, 256]\n"
                     "  %10 = copy_(%1, 0.0): bf16[s0, 256][1024, 1] @ %0\n"
                     "  %11 = custom ns::op(%10, %9) writes 1: bf16[s1, 256]\n"
                     "  return ([%11, None],)\n");
    ck_assert_str_eq(simple->nodes.at[8]->results[0]->name, "norm");
    ck_assert_int_eq(simple->nodes.at[4]->line, 42);
}
END_TEST

#define ROWS(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    Suite *suite = suite_create("ir");
    TCase *tcase = tcase_create("ir");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, promotion, 0, ROWS(promotions));
    tcase_add_test(tcase, dtype_names);
    tcase_add_test(tcase, operator_table);
    tcase_add_loop_test(tcase, accepts, 0, ROWS(accepted));
    tcase_add_loop_test(tcase, refuses, 0, ROWS(refused));
    tcase_add_loop_test(tcase, view_rules, 0, ROWS(views));
    tcase_add_test(tcase, slice_between_base_elements);
    tcase_add_loop_test(tcase, random_views, 0, 20);
    tcase_add_loop_test(tcase, annotation_rules, 0, ROWS(annotations));
    tcase_add_test(tcase, symint_annotation);
    tcase_add_test(tcase, reinference);
    tcase_add_test(tcase, reductions_over_all_dims);
    tcase_add_test(tcase, call_places);
    tcase_add_test(tcase, call_symbols);
    tcase_add_test(tcase, writes);
    tcase_add_test(tcase, operands_in_order);
    tcase_add_loop_test(tcase, verifier_finds, 0, ROWS(damages));
    tcase_add_loop_test(tcase, left_open, 0, ROWS(open_rows));
    tcase_add_test(tcase, own_text_form);
    tcase_add_test(tcase, graph_text);
    tcase_add_test(tcase, decomposition);
    tcase_add_test(tcase, decomposition_copies);
    tcase_add_test(tcase, decomposition_by_device);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
