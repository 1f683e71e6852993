/*
 * ir/fx/fx_build_number.c - numbers that are no integers of sizes: floats and truths known at run time only.
 *
 * With dynamic shapes PyTorch computes with floats outside of tensors: `f.item()`, `s0 / 2`, `torch._sym_sqrt(s0)`.  Such a float is
 * a tensor of f64 without dims here (FX_SYMFLOAT), and stays a *number*: beside a tensor it takes that one's dtype (fx_op), as
 * Python's float does.  A quotient of integers is remembered as one, so that its floor and ceiling are integers again.
 * A comparison of sizes that they leave open is 1 or 0 as an expression (FX_SYMBOOL).
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- making --- */

static jc_arg number_at(fx_reader *r, jc_value *v, const jc_expr *over, const jc_expr *under) {
    if (!v || r->status)
        return fx_nothing();
    fx_real *n = JC_NEW(r->scratch, fx_real);
    *n = (fx_real){ v, over, under };
    return (jc_arg){ .kind = FX_SYMFLOAT, .value = (jc_value *)(void *)n };
}

jc_arg fx_symfloat(fx_reader *r, jc_value *v) {
    return number_at(r, fx_cast(r, v, JC_F64), NULL, NULL);
}

static jc_value *wide(fx_reader *r, jc_arg a) {
    if (a.kind == FX_SYMFLOAT)
        return fx_real_of(a)->tensor;
    if (a.kind == FX_SYMBOOL)
        a = fx_e(a.expr);
    return FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), a, jc_arg_dtype(JC_F64));
}

bool fx_is_scalar(jc_arg a) {
    return fx_is_number(a) || a.kind == FX_SYMFLOAT || a.kind == FX_SYMBOOL;
}

/* A / B of integers. */
jc_arg fx_quotient(fx_reader *r, const jc_expr *a, const jc_expr *b) {
    jc_value *v = FX_OP(r, JC_OP_div, fx_v(wide(r, fx_e(a))), fx_v(wide(r, fx_e(b))));
    return number_at(r, v, a, b);
}

/* --- arithmetic --- */

/* What is negative: 1, else 0. */
static const jc_expr *below_zero(jc_exprs *t, const jc_expr *e) {
    return jc_ex_max(t, jc_ex_int(t, 0), jc_ex_min(t, jc_ex_int(t, 1), jc_ex_neg(t, e)));
}

static const jc_expr *not(jc_exprs *t, const jc_expr *e) {
    return jc_ex_sub(t, jc_ex_int(t, 1), e);
}

jc_arg fx_truth(fx_reader *r, int op, const jc_expr *a, const jc_expr *b) {
    jc_exprs *t = fx_x(r);
    const jc_expr *less = jc_ex_sub(t, a, b), *more = jc_ex_sub(t, b, a), *e;
    switch (op) {
    case '<': e = below_zero(t, less); break;
    case '>': e = below_zero(t, more); break;
    case FX_T_LE: e = not(t, below_zero(t, more)); break;
    case FX_T_GE: e = not(t, below_zero(t, less)); break;
    case FX_T_NE: e = jc_ex_max(t, below_zero(t, less), below_zero(t, more)); break;
    default: e = not(t, jc_ex_max(t, below_zero(t, less), below_zero(t, more))); break;
    }
    int64_t known;
    return jc_ex_is_const(e, &known) ? jc_arg_bool(known != 0) : (jc_arg){ .kind = FX_SYMBOOL, .expr = e };
}

/* A truth as the integer that Python counts it as. */
static jc_arg counted(fx_reader *r, jc_arg a) {
    return a.kind == FX_SYMBOOL ? fx_e(a.expr) : a.kind == JC_ARG_BOOL ? fx_i(r, a.b) : a;
}

static jc_arg both_truths(fx_reader *r, int op, jc_arg a, jc_arg b) {
    jc_exprs *t = fx_x(r);
    const jc_expr *x = counted(r, a).expr, *y = counted(r, b).expr;
    const jc_expr *e = op == '&' ? jc_ex_min(t, x, y) : op == '|' ? jc_ex_max(t, x, y) : NULL;
    return e ? (jc_arg){ .kind = FX_SYMBOOL, .expr = e } : fx_infix(r, op, fx_e(x), fx_e(y), r->stmt->at);
}

/* A OP B of numbers of which one is known at run time only; O: the operator that computes it. */
jc_arg fx_infix_scalars(fx_reader *r, int op, jc_op o, jc_arg a, jc_arg b) {
    if (a.kind != FX_SYMFLOAT && b.kind != FX_SYMFLOAT) {
        const bool floats = a.kind == JC_ARG_FLOAT || b.kind == JC_ARG_FLOAT, truths = !floats && a.kind != JC_ARG_EXPR && b.kind != JC_ARG_EXPR;
        if (truths && (op == '&' || op == '|'))
            return both_truths(r, op, a, b);
        if (!floats)
            return fx_infix(r, op, counted(r, a), counted(r, b), r->stmt->at);
    }
    if (op == '@' || op == '&' || op == '|' || op == '^' || op == FX_T_SHL || op == FX_T_SHR)
        return fx_opaque("an operation on floats that is not understood");
    if (strchr("<>", op) || op == FX_T_EQ || op == FX_T_NE || op == FX_T_LE || op == FX_T_GE)
        return fx_opaque("a comparison of floats that is known at run time only");
    return number_at(r, FX_OP(r, o, fx_v(wide(r, a)), fx_v(wide(r, b))), NULL, NULL);
}

jc_arg fx_negated(fx_reader *r, jc_arg a) {
    return number_at(r, FX_OP(r, JC_OP_neg, fx_v(wide(r, a))), NULL, NULL);
}

/* --- beside tensors --- */

/*
 * A as a tensor without dims that does not change what is computed from FLOATS, the tensor operand beside it: of its dtype where that
 * is a float.  Integers become f32 beside a float number.
 */
static jc_value *beside(fx_reader *r, jc_arg a, const jc_value *other, bool wide_number) {
    const jc_dtype dtype = other ? (jc_dtype)other->type.dtype : JC_F32;
    if (fx_class_of(other) != 'f')
        return fx_cast(r, wide(r, a), JC_F32);
    return fx_cast(r, wide(r, a), wide_number && jc_dtypes[dtype].size < 4 ? JC_F32 : dtype);
}

bool fx_has_scalar(const jc_arg *args, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (args[i].kind == FX_SYMFLOAT || args[i].kind == FX_SYMBOOL)
            return true;
    return false;
}

/* X / Y, by a number Y that is known at run time: CUDA's kernels multiply by its inverse. */
static jc_value *quotient(fx_reader *r, jc_arg x, jc_arg y) {
    jc_value *divided = FX_OP(r, JC_OP_div, x, y), *inverse = FX_OP(r, JC_OP_reciprocal, y);
    return FX_OP(r, JC_OP_by_device, fx_v(divided), fx_v(FX_OP(r, JC_OP_mul, x, fx_v(inverse))));
}

/* OP with numbers known at run time among its operands. */
jc_value *fx_op_scalars(fx_reader *r, jc_op op, const jc_arg *args, uint32_t n) {
    jc_arg at[FX_MAX_PARAMS];
    jc_value *other = NULL;
    const bool pointwise = jc_ops[op].traits & JC_POINTWISE, wide_number = jc_ops[op].traits & (JC_WIDE_NUMBER | JC_WIDE_ON_GPU);
    memcpy(at, args, sizeof *at * n);
    for (uint32_t i = op == JC_OP_where; i < n && !other; i++)
        other = fx_is_tensor(at[i]) ? at[i].value : NULL;
    if (!pointwise || op == JC_OP_clamp || op == JC_OP_gelu || op == JC_OP_softplus || !other) {
        fx_fail(r, JITC_E_UNSUPPORTED, r->stmt->at, "`%s` needs a number here that is known before it runs.", jc_ops[op].name);
        return NULL;
    }
    const jc_dtype dtype = (jc_dtype)other->type.dtype;
    const bool narrow = wide_number && fx_class_of(other) == 'f' && jc_dtypes[dtype].size < 4;
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].kind == FX_SYMFLOAT)
            at[i] = fx_v(beside(r, at[i], other, wide_number));
        else if (at[i].kind == FX_SYMBOOL)
            at[i] = fx_e(at[i].expr);
        else if (narrow && fx_is_tensor(at[i]))
            at[i] = fx_v(fx_cast(r, at[i].value, JC_F32));
    }
    jc_value *y = op == JC_OP_div && args[1].kind == FX_SYMFLOAT ? quotient(r, at[0], at[1]) : fx_op(r, op, at, n);
    return narrow && y && y->type.dtype == JC_F32 ? fx_cast(r, y, dtype) : y;
}

/* A tensor of DIMS that holds A everywhere. */
jc_value *fx_full_of(fx_reader *r, jc_arg dims, jc_arg a, jc_dtype dtype) {
    jc_value *v = fx_cast(r, wide(r, a), dtype);
    v = v ? FX_OP(r, JC_OP_expand, fx_v(v), dims) : NULL;
    return v ? FX_OP(r, JC_OP_clone, fx_v(v)) : NULL;
}

/* --- functions of numbers --- */

/* floor and ceiling of a quotient; what is cut off or rounded only where it is one of these. */
static jc_arg whole(fx_reader *r, jc_arg a, char how) {
    jc_exprs *t = fx_x(r);
    const fx_real *q = a.kind == FX_SYMFLOAT ? fx_real_of(a) : NULL;
    if (a.kind == JC_ARG_EXPR || a.kind == FX_SYMBOOL || a.kind == JC_ARG_BOOL)
        return counted(r, a);
    if (a.kind == JC_ARG_FLOAT) {
        const double f = how == 'c' ? ceil(a.f) : how == 'f' ? floor(a.f) : how == 't' ? trunc(a.f) : nearbyint(a.f);
        return f >= -0x1p62 && f <= 0x1p62 ? fx_i(r, (int64_t)f) : fx_opaque("a float that no integer holds");
    }
    int64_t under;
    if (!q || !q->over || !jc_ex_is_const(q->under, &under) || under < 1)
        return fx_opaque("an integer made of a float that is known at run time only");
    if (how == 'f' || (how == 't' && jc_ex_le(t, jc_ex_int(t, 0), q->over) == JC_YES))
        return fx_e(jc_ex_fdiv(t, q->over, q->under));
    return how == 'c' ? fx_e(jc_ex_cdiv(t, q->over, q->under)) : fx_opaque("a rounded quotient of sizes");
}

static jc_arg real(fx_reader *r, jc_arg a) {
    int64_t i;
    if (a.kind == JC_ARG_FLOAT || a.kind == FX_SYMFLOAT)
        return a;
    a = counted(r, a);
    if (jc_ex_is_const(a.expr, &i))
        return jc_arg_float((double)i);
    return number_at(r, wide(r, a), a.expr, jc_ex_int(fx_x(r), 1));
}

static jc_arg magnitude(fx_reader *r, jc_arg a) {
    jc_exprs *t = fx_x(r);
    if (a.kind == JC_ARG_FLOAT)
        return jc_arg_float(fabs(a.f));
    if (a.kind == FX_SYMFLOAT)
        return number_at(r, FX_OP(r, JC_OP_abs, fx_v(wide(r, a))), NULL, NULL);
    return fx_e(jc_ex_max(t, counted(r, a).expr, jc_ex_neg(t, counted(r, a).expr)));
}

/* The function of a float that OP computes. */
static jc_arg curve(fx_reader *r, jc_arg a, jc_op op) {
    return number_at(r, FX_OP(r, op, fx_v(wide(r, a))), NULL, NULL);
}

static jc_arg least(fx_reader *r, jc_arg a, jc_arg b, bool most) {
    if (a.kind == FX_SYMFLOAT || b.kind == FX_SYMFLOAT || a.kind == JC_ARG_FLOAT || b.kind == JC_ARG_FLOAT)
        return number_at(r, FX_OP(r, most ? JC_OP_maximum : JC_OP_minimum, fx_v(wide(r, a)), fx_v(wide(r, b))), NULL, NULL);
    return fx_e((most ? jc_ex_max : jc_ex_min)(fx_x(r), counted(r, a).expr, counted(r, b).expr));
}

static jc_arg choose(fx_reader *r, jc_arg condition, jc_arg a, jc_arg b) {
    jc_exprs *t = fx_x(r);
    if (condition.kind == JC_ARG_BOOL)
        return condition.b ? a : b;
    if (condition.kind != FX_SYMBOOL || !(a.kind == JC_ARG_EXPR && b.kind == JC_ARG_EXPR))
        return fx_opaque("a choice that is known at run time only");
    return fx_e(jc_ex_add(t, b.expr, jc_ex_mul(t, condition.expr, jc_ex_sub(t, a.expr, b.expr))));
}

static jc_arg sum_of(fx_reader *r, const jc_arg *at, uint32_t n) {
    jc_arg sum = fx_i(r, 0);
    for (uint32_t i = 0; i < n; i++)
        sum = fx_infix(r, '+', sum, at[i], r->stmt->at);
    return sum;
}

static jc_arg inverted(fx_reader *r, jc_arg a) {
    if (a.kind == JC_ARG_BOOL)
        return jc_arg_bool(!a.b);
    return a.kind == FX_SYMBOOL ? (jc_arg){ .kind = FX_SYMBOOL, .expr = not(fx_x(r), a.expr) } : fx_opaque("what is not true of a number");
}

/* A call's function by its last name: how it is computed, and of how many numbers; op: the operator, or of 'i' the infix one. */
static const struct function {
    const char *name;
    char how;
    uint8_t n;
    uint16_t op;
} functions[] = {
    { "ceil", 'c', 1, 0 },  { "floor", 'f', 1, 0 },      { "trunc", 't', 1, 0 },     { "round", 'r', 1, 0 },
    { "int", 't', 1, 0 },   { "sym_int", 't', 1, 0 },    { "float", 'd', 1, 0 },     { "sym_float", 'd', 1, 0 },
    { "abs", 'a', 1, 0 },   { "sym_not", '!', 1, 0 },    { "not_", '!', 1, 0 },      { "sqrt", 'o', 1, JC_OP_sqrt },
    { "exp", 'o', 1, JC_OP_exp }, { "log", 'o', 1, JC_OP_log }, { "sin", 'o', 1, JC_OP_sin }, { "cos", 'o', 1, JC_OP_cos },
    { "tanh", 'o', 1, JC_OP_tanh }, { "max", '>', 2, 0 }, { "sym_max", '>', 2, 0 },  { "min", '<', 2, 0 },
    { "sym_min", '<', 2, 0 }, { "sym_ite", '?', 3, 0 },  { "sym_sum", '+', 1, 0 },   { "pow", 'i', 2, FX_T_POW },
    { "truediv", 'i', 2, '/' }, { "floordiv", 'i', 2, FX_T_FDIV }, { "index", 't', 1, 0 },     { "neg", '-', 1, 0 },
    { "add", 'i', 2, '+' },  { "sub", 'i', 2, '-' },     { "mul", 'i', 2, '*' },      { "mod", 'i', 2, '%' },
};

static const struct function *function_named(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strlen(functions[i].name) == length && memcmp(functions[i].name, name, length) == 0)
            return &functions[i];
    return NULL;
}

static jc_arg apply(fx_reader *r, const struct function *f, const jc_arg *at) {
    const uint32_t here = r->stmt->at;
    switch (f->how) {
    case 'c':
    case 'f':
    case 't':
    case 'r': return whole(r, at[0], f->how);
    case 'd': return real(r, at[0]);
    case 'a': return magnitude(r, at[0]);
    case '!': return inverted(r, at[0]);
    case 'o': return curve(r, at[0], (jc_op)f->op);
    case '>':
    case '<': return least(r, at[0], at[1], f->how == '>');
    case '?': return choose(r, at[0], at[1], at[2]);
    case '-': return fx_infix(r, '-', fx_i(r, 0), at[0], here);
    default: return fx_infix(r, f->op, at[0], at[1], here);
    }
}

/* The word that a path or a global name of PyTorch's ends in: `math_floor`, `torch._sym_sqrt`, `_operator_abs`, `__round__`. */
static const char *plain_word(const char *word, size_t *length) {
    static const char *const prefixes[] = { "math_", "math.", "_operator_", "operator_", "_operator.", "operator.", "torch._sym_", "torch.", "__" };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t n = strlen(prefixes[i]);
        if (*length <= n || memcmp(word, prefixes[i], n) != 0)
            continue;
        word += n;
        *length -= n;
        break;
    }
    if (*length > 2 && word[*length - 1] == '_' && word[*length - 2] == '_')
        *length -= 2;
    return word;
}

bool fx_number_call(fx_reader *r, const char *name, size_t length, const jc_arg *at, uint32_t n, jc_arg *out) {
    const char *word = plain_word(name, &length);
    const struct function *f = function_named(word, length);
    if (!f || r->status)
        return false;
    if (f->how == '+' && n == 1 && at[0].kind == JC_ARG_LIST) {
        *out = sum_of(r, at[0].list.at, at[0].list.n);
        return true;
    }
    if (n > f->n && at[f->n].kind == JC_ARG_NONE) /* round(x, None) */
        n = f->n;
    if (n != f->n || f->how == '+')
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!fx_is_scalar(at[i]))
            return false;
    *out = fx_sound(r, apply(r, f, at), r->stmt->at);
    return true;
}
