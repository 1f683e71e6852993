/*
 * ir/fx/fx_build_expr.c - what an expression of the text is worth.
 *
 * Names are looked up in their own record (fx_name), which holds a binding if its scope is the current one.  Integers
 * and symbols fold to expressions, tensors give nodes.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

const char *fx_kind_text(jc_arg a) {
    static const char *const texts[] = {
        [JC_ARG_NONE] = "None", [JC_ARG_VALUE] = "a value", [JC_ARG_EXPR] = "an integer", [JC_ARG_FLOAT] = "a float",
        [JC_ARG_BOOL] = "a bool", [JC_ARG_STR] = "a string", [JC_ARG_DTYPE] = "a dtype", [JC_ARG_LIST] = "a list",
        [JC_ARG_DICT] = "a dict", [JC_ARG_DEVICE] = "a device",
    };
    switch (a.kind) {
    case JC_ARG_VALUE:
        return !a.value                        ? "nothing"
               : a.value->type.kind == JC_TENSOR ? "a tensor"
               : a.value->type.kind == JC_NAME   ? "a layer name"
                                                 : "a number known at run time only";
    case FX_ABSENT:
        return "missing";
    case FX_ELLIPSIS:
        return "an ellipsis";
    case FX_SLICE:
        return "a slice";
    case FX_VOID:
        return "the result of a call, of unknown type since nothing annotates it";
    case FX_OPAQUE:
        return a.str;
    case FX_OPERATOR:
        return "an operator";
    case FX_SYMFLOAT:
        return "a float known at run time only";
    case FX_SYMBOOL:
        return "a truth known at run time only";
    case FX_MODULE:
        return "a class of the text";
    case FX_COMPLEX:
        return "a complex tensor";
    default:
        return texts[a.kind];
    }
}

jc_arg fx_list(fx_reader *r, const jc_arg *at, uint32_t n) {
    jc_arg *copy = fx_take(r, sizeof *copy * n);
    if (n)
        memcpy(copy, at, sizeof *copy * n);
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { copy, n } };
}

/* --- names and literals --- */

static jc_arg eval_name(fx_reader *r, const fx_ast *a) {
    const fx_name *n = a->name;
    if (n->scope == r->scope && n->state == FX_BOUND) {
        r->tainted |= n->value.kind == FX_OPAQUE && n->value.str == fx_refused;
        return n->value;
    }
    const uint32_t sym = jc_sym_find(fx_x(r), n->text, n->length);
    if (sym != UINT32_MAX)
        return fx_e(jc_ex_sym(fx_x(r), sym));
    if (n->scope == r->scope && n->state == FX_FREED) {
        fx_fail(r, JITC_E_INPUT, a->at, "'%.*s' was freed on line %d, before this use.", (int)n->length, n->text,
                fx_line_of(r, n->at));
        return fx_nothing();
    }
    if (fx_name_is(n, "inf"))
        return jc_arg_float((double)INFINITY);
    if (fx_name_is(n, "nan"))
        return jc_arg_float((double)NAN);
    if (fx_name_is(n, "Ellipsis"))
        return (jc_arg){ .kind = FX_ELLIPSIS };
    fx_fail(r, JITC_E_INPUT, a->at, "'%.*s' is not defined here: no parameter and no earlier statement has that name.",
            (int)n->length, n->text);
    return fx_nothing();
}

static jc_arg eval_path(fx_reader *r, const fx_ast *a) {
    fx_name *n = a->name;
    const char *word = n->text + 6; /* "torch." */
    const size_t length = n->length - 6;
    if (length > 4 && memcmp(word, "ops.", 4) == 0)
        return (jc_arg){ .kind = FX_OPERATOR, .str = fx_copy(r, n) };
    const int dtype = jc_dtype_find(word, length);
    if (dtype >= 0)
        return jc_arg_dtype((jc_dtype)dtype);
    if (fx_name_is(n, "torch.complex64") || fx_name_is(n, "torch.cfloat"))
        return fx_opaque(fx_complex64);
    if (fx_name_is(n, "torch.complex128") || fx_name_is(n, "torch.cdouble"))
        return fx_opaque(fx_complex128);
    if (fx_name_is(n, "torch.inf"))
        return jc_arg_float((double)INFINITY);
    if (fx_name_is(n, "torch.nan"))
        return jc_arg_float((double)NAN);
    return fx_opaque("a constant of torch that is not understood");
}

static jc_arg eval_list(fx_reader *r, const fx_ast *a) {
    jc_arg *at = fx_take(r, sizeof *at * a->n);
    uint32_t n = 0;
    for (const fx_ast *e = a->first; e && n < a->n; e = e->next) {
        at[n] = fx_eval(r, e);
        at[n++].key = a->kind == FX_A_DICT ? fx_copy(r, e->key) : NULL;
    }
    return (jc_arg){ .kind = a->kind == FX_A_DICT ? JC_ARG_DICT : a->kind == FX_A_SLICE ? FX_SLICE : JC_ARG_LIST,
                     .list = { at, n } };
}

/* --- attributes --- */

static jc_arg shape_of(fx_reader *r, const jc_value *x) {
    jc_arg at[JC_MAX_RANK];
    for (int i = 0; i < fx_rank(x); i++)
        at[i] = fx_e(x->type.dims[i]);
    return fx_list(r, at, (uint32_t)fx_rank(x));
}

static jc_arg reversed(fx_reader *r, jc_value *x, bool last_two) {
    int order[JC_MAX_RANK], rank = fx_rank(x);
    for (int i = 0; i < rank; i++)
        order[i] = last_two ? i : rank - 1 - i;
    if (last_two && rank >= 2) {
        order[rank - 2] = rank - 1;
        order[rank - 1] = rank - 2;
    }
    return fx_v(fx_permute(r, x, order));
}

static jc_arg tensor_attribute(fx_reader *r, jc_value *x, const fx_name *n, uint32_t at) {
    if (fx_name_is(n, "shape"))
        return shape_of(r, x);
    if (fx_name_is(n, "dtype"))
        return jc_arg_dtype((jc_dtype)x->type.dtype);
    if (fx_name_is(n, "device"))
        return (jc_arg){ .kind = JC_ARG_DEVICE, .str = "cuda" };
    if (fx_name_is(n, "data"))
        return fx_v(x);
    if (fx_name_is(n, "ndim"))
        return fx_i(r, fx_rank(x));
    if (fx_name_is(n, "T") || fx_name_is(n, "mT") || fx_name_is(n, "H") || fx_name_is(n, "mH"))
        return reversed(r, x, !fx_name_is(n, "T"));
    if (fx_name_is(n, "real"))
        return fx_v(x);
    if (fx_name_is(n, "requires_grad") || fx_name_is(n, "is_cuda") || fx_name_is(n, "is_cpu") || fx_name_is(n, "layout"))
        return fx_opaque("an attribute that says nothing about values");
    fx_fail(r, JITC_E_UNSUPPORTED, at, "The attribute '%.*s' of a tensor is not supported.", (int)n->length,
            n->text);
    return fx_nothing();
}

static jc_arg complex_attribute(fx_reader *r, jc_arg x, const fx_name *n, uint32_t at) {
    const fx_pair *p = fx_pair_of(x);
    if (fx_name_is(n, "real") || fx_name_is(n, "imag"))
        return fx_complex_part(r, x, fx_name_is(n, "imag"));
    if (fx_name_is(n, "data"))
        return x;
    if (!fx_is_tensor(p->re) || !fx_is_tensor(p->im)) {
        fx_fail(r, JITC_E_UNSUPPORTED, at, "The attribute '%.*s' of a complex number is not supported.", (int)n->length, n->text);
        return fx_nothing();
    }
    if (fx_name_is(n, "dtype"))
        return fx_opaque(p->re.value->type.dtype == JC_F64 ? fx_complex128 : fx_complex64);
    const jc_arg re = tensor_attribute(r, p->re.value, n, at), im = fx_name_is(n, "T") || fx_name_is(n, "mT") ? tensor_attribute(r, p->im.value, n, at) : re;
    if (fx_name_is(n, "H") || fx_name_is(n, "mH"))
        fx_fail(r, JITC_E_UNSUPPORTED, at, "The attribute '%.*s' of a complex tensor is not supported.", (int)n->length, n->text);
    return fx_is_tensor(re) ? fx_complex(r, re, im) : re;
}

jc_arg fx_getattr(fx_reader *r, const fx_ast *base, const fx_name *name, uint32_t at) {
    jc_arg x = fx_eval(r, base);
    if (r->status)
        return fx_nothing();
    if (x.kind == FX_COMPLEX)
        return complex_attribute(r, x, name, at);
    if (fx_is_tensor(x))
        return tensor_attribute(r, x.value, name, at);
    fx_fail(r, fx_blame(x), at, "'.%.*s' is taken of %s; attributes are known of tensors only.", (int)name->length, name->text,
            fx_kind_text(x));
    return fx_nothing();
}

static jc_arg eval_attribute(fx_reader *r, const fx_ast *a) {
    const jc_arg own = fx_attribute_of_self(r, a);
    return own.kind == FX_ABSENT ? fx_getattr(r, a->first, a->attribute, a->at) : own;
}
/* --- arithmetic --- */

jc_arg fx_sound(fx_reader *r, jc_arg a, uint32_t at) {
    if (a.kind == JC_ARG_EXPR && a.expr->kind == JC_EX_POISON)
        fx_fail(r, JITC_E_INPUT, at, "The integer here does not fit in 64 bits, or is divided by 0.");
    else if (a.kind == JC_ARG_LIST)
        for (uint32_t i = 0; i < a.list.n; i++)
            fx_sound(r, a.list.at[i], at);
    return a;
}

typedef struct operation {
    uint8_t token;
    uint16_t op;
    const char *text;
} operation;

static const operation operations[] = {
    { '+', JC_OP_add, "+" },        { '-', JC_OP_sub, "-" },      { '*', JC_OP_mul, "*" },
    { '/', JC_OP_div, "/" },        { '%', JC_OP_remainder, "%" }, { '&', JC_OP_bitand, "&" },
    { '|', JC_OP_bitor, "|" },      { '^', JC_OP_bitxor, "^" },   { '<', JC_OP_lt, "<" },
    { '>', JC_OP_gt, ">" },         { FX_T_FDIV, JC_OP_floordiv, "//" }, { FX_T_SHL, JC_OP_shl, "<<" },
    { FX_T_SHR, JC_OP_shr, ">>" },  { FX_T_EQ, JC_OP_eq, "==" },  { FX_T_NE, JC_OP_ne, "!=" },
    { FX_T_LE, JC_OP_le, "<=" },    { FX_T_GE, JC_OP_ge, ">=" },  { '@', JC_OP_matmul, "@" },
    { FX_T_POW, JC_OP_pow, "**" },
};

static const operation *operation_of(int token) {
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].token == token)
            return &operations[i];
    return NULL;
}

static jc_arg truth(fx_reader *r, int op, const jc_expr *a, const jc_expr *b, jc_truth t, bool flip) {
    return t == JC_MAYBE ? fx_truth(r, op, a, b) : jc_arg_bool((t == JC_YES) != flip);
}

static jc_arg divide(fx_reader *r, const jc_expr *a, const jc_expr *b) {
    int64_t n;
    if (jc_ex_is_const(b, &n) && n && jc_ex_divisor(fx_x(r), a) % n == 0)
        return fx_e(jc_ex_fdiv(fx_x(r), a, b));
    return jc_ex_is(b, 0) ? fx_opaque("a quotient by 0") : fx_quotient(r, a, b);
}

static jc_arg raise_expr(fx_reader *r, const jc_expr *a, const jc_expr *b) {
    int64_t n;
    int64_t base;
    if (jc_ex_is_const(b, &n) && n < 0 && jc_ex_is_const(a, &base) && base)
        return jc_arg_float(pow((double)base, (double)n));
    if (!jc_ex_is_const(b, &n) || n < 0 || n > 64)
        return fx_opaque("a power of sizes that is not supported");
    const jc_expr *e = jc_ex_int(fx_x(r), 1);
    for (; n > 0; n--)
        e = jc_ex_mul(fx_x(r), e, a);
    return fx_e(e);
}

static jc_arg bits(fx_reader *r, int op, const jc_expr *a, const jc_expr *b) {
    int64_t x, y;
    if (op == '@')
        return fx_opaque("a matrix product of sizes");
    if ((op == FX_T_SHL || op == FX_T_SHR) && jc_ex_is_const(b, &y) && y >= 0 && y < 62 && !jc_ex_is_const(a, NULL)) {
        const jc_expr *by = jc_ex_int(fx_x(r), (int64_t)1 << y);
        return fx_e(op == FX_T_SHL ? jc_ex_mul(fx_x(r), a, by) : jc_ex_fdiv(fx_x(r), a, by));
    }
    if (!jc_ex_is_const(a, &x) || !jc_ex_is_const(b, &y) ||
        ((op == FX_T_SHL || op == FX_T_SHR) && (y < 0 || y > 62)))
        return fx_opaque("a bit operation on sizes");
    return fx_i(r, op == '&'         ? x & y
                   : op == '|'       ? x | y
                   : op == '^'       ? x ^ y
                   : op == FX_T_SHR  ? x >> y
                                     : (int64_t)((uint64_t)x << y));
}

static jc_arg fold_exprs(fx_reader *r, int op, const jc_expr *a, const jc_expr *b) {
    jc_exprs *t = fx_x(r);
    switch (op) {
    case '+': return fx_e(jc_ex_add(t, a, b));
    case '-': return fx_e(jc_ex_sub(t, a, b));
    case '*': return fx_e(jc_ex_mul(t, a, b));
    case '%': return fx_e(jc_ex_mod(t, a, b));
    case FX_T_FDIV: return fx_e(jc_ex_fdiv(t, a, b));
    case '/': return divide(r, a, b);
    case FX_T_POW: return raise_expr(r, a, b);
    case FX_T_EQ: return truth(r, op, a, b, jc_ex_equal(t, a, b), false);
    case FX_T_NE: return truth(r, op, a, b, jc_ex_equal(t, a, b), true);
    case FX_T_LE: return truth(r, op, a, b, jc_ex_le(t, a, b), false);
    case '>': return truth(r, op, a, b, jc_ex_le(t, a, b), true);
    case FX_T_GE: return truth(r, op, a, b, jc_ex_le(t, b, a), false);
    case '<': return truth(r, op, a, b, jc_ex_le(t, b, a), true);
    default: return bits(r, op, a, b);
    }
}

static bool as_double(jc_arg a, double *out) {
    int64_t i;
    if (a.kind == JC_ARG_FLOAT)
        *out = a.f;
    else if (a.kind == JC_ARG_BOOL)
        *out = a.b;
    else if (a.kind == JC_ARG_EXPR && jc_ex_is_const(a.expr, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

static jc_arg fold_floats(fx_reader *r, const operation *o, jc_arg a, jc_arg b) {
    const int op = o->token;
    double x, y;
    if (!as_double(a, &x) || !as_double(b, &y))
        return fx_infix_scalars(r, op, (jc_op)o->op, a, b);
    switch (op) {
    case '+': return jc_arg_float(x + y);
    case '-': return jc_arg_float(x - y);
    case '*': return jc_arg_float(x * y);
    case '/': return jc_arg_float(x / y);
    case FX_T_FDIV: return jc_arg_float(floor(x / y));
    case FX_T_POW: return jc_arg_float(pow(x, y));
    case '<': return jc_arg_bool(x < y);
    case '>': return jc_arg_bool(x > y);
    case FX_T_LE: return jc_arg_bool(x <= y);
    case FX_T_GE: return jc_arg_bool(x >= y);
    case FX_T_EQ: return jc_arg_bool(x == y);
    case FX_T_NE: return jc_arg_bool(x != y);
    default: return fx_opaque("an operation on floats that is not understood");
    }
}

/* x * x * x and 1 / (x * x), each rounded; of f16 in f32 and rounded once, but on GPUs. */
static jc_arg small_power(fx_reader *r, jc_value *x, double e) {
    jc_value *square = FX_OP(r, JC_OP_mul, fx_v(x), fx_v(x));
    jc_value *y = e == 3 ? FX_OP(r, JC_OP_mul, fx_v(square), fx_v(x)) : FX_OP(r, JC_OP_reciprocal, fx_v(square));
    if (r->status || x->type.dtype != JC_F16)
        return fx_v(y);
    const jc_arg wide = small_power(r, fx_cast(r, x, JC_F32), e);
    return fx_v(FX_OP(r, JC_OP_by_device, fx_v(fx_cast(r, wide.value, JC_F16)), fx_v(y)));
}

jc_arg fx_pow(fx_reader *r, jc_arg x, jc_arg exponent, uint32_t at) {
    double e;
    (void)at;
    if (fx_is_tensor(x) && as_double(exponent, &e)) {
        const bool whole = exponent.kind == JC_ARG_EXPR, floats = fx_class_of(x.value) == 'f';
        if (e == 2 && (whole || floats))
            return fx_v(FX_OP(r, JC_OP_mul, x, x));
        if (e == 0.5)
            return fx_v(FX_OP(r, JC_OP_sqrt, x));
        if (e == -0.5)
            return fx_v(FX_OP(r, JC_OP_rsqrt, x));
        if (e == -1 && floats)
            return fx_v(FX_OP(r, JC_OP_reciprocal, x));
        if ((e == 3 || e == -2) && floats)
            return small_power(r, x.value, e);
    }
    return fx_v(FX_OP(r, JC_OP_pow, x, exponent));
}

/* To Python it is x.reciprocal() * A. */
static jc_arg number_over(fx_reader *r, jc_arg a, jc_arg x) {
    const jc_arg inverse = fx_v(FX_OP(r, JC_OP_reciprocal, x));
    double known;
    return as_double(a, &known) && known == 1 ? inverse : fx_v(FX_OP(r, JC_OP_mul, inverse, a));
}

static jc_arg matmul(fx_reader *r, jc_arg a, jc_arg b, uint32_t at) {
    fx_call c = { .r = r, .row = &fx_spellings[0], .at = at, .a = { a, b, fx_absent() } };
    return fx_h_matmul(&c);
}

static jc_arg infix(fx_reader *r, int op, jc_arg a, jc_arg b, uint32_t at) {
    const operation *o = operation_of(op);
    if (r->status)
        return fx_nothing();
    if (a.kind == FX_COMPLEX || b.kind == FX_COMPLEX)
        return fx_complex_infix(r, op, a, b, at);
    if (a.kind == JC_ARG_EXPR && b.kind == JC_ARG_EXPR)
        return fx_sound(r, fold_exprs(r, op, a.expr, b.expr), at);
    if (fx_is_number(a) && fx_is_number(b))
        return fold_floats(r, o, a, b);
    if (fx_is_scalar(a) && fx_is_scalar(b))
        return fx_sound(r, fx_infix_scalars(r, op, (jc_op)o->op, a, b), at);
    const bool left = a.kind == JC_ARG_VALUE, right = b.kind == JC_ARG_VALUE;
    if (!(left || fx_is_scalar(a)) || !(right || fx_is_scalar(b)) || !(fx_is_tensor(a) || fx_is_tensor(b))) {
        const jc_arg bad = left || fx_is_scalar(a) ? b : a;
        fx_fail(r, fx_blame(bad), at, "'%s' needs tensors or numbers, but one side is %s.", o->text,
                fx_kind_text(bad));
        return fx_nothing();
    }
    if (op == '@')
        return matmul(r, a, b, at);
    if (op == FX_T_POW)
        return fx_pow(r, a, b, at);
    if (op == '/' && !fx_is_tensor(a))
        return number_over(r, a, b);
    return fx_v(FX_OP(r, (jc_op)o->op, a, b));
}

jc_arg fx_infix(fx_reader *r, int op, jc_arg a, jc_arg b, uint32_t at) {
    const jc_arg y = infix(r, op, a, b, at);
    if (fx_is_tensor(y) && op != '@')
        fx_lay_pointwise(r, y.value, (jc_arg[]){ a, b }, 2);
    return y;
}

static jc_arg eval_unary(fx_reader *r, const fx_ast *a) {
    jc_arg x = fx_eval(r, a->first);
    if (r->status)
        return fx_nothing();
    if (a->op == '+')
        return x;
    if (x.kind == JC_ARG_EXPR) {
        const jc_expr *minus = jc_ex_neg(fx_x(r), x.expr);
        return fx_sound(r, fx_e(a->op == '-' ? minus : jc_ex_add(fx_x(r), minus, jc_ex_int(fx_x(r), -1))), a->at);
    }
    if (x.kind == JC_ARG_FLOAT && a->op == '-')
        return jc_arg_float(-x.f);
    if (x.kind == FX_SYMFLOAT && a->op == '-')
        return fx_negated(r, x);
    if (x.kind == FX_COMPLEX && a->op == '-')
        return fx_complex_negated(r, x);
    if (x.kind == JC_ARG_BOOL || x.kind == FX_SYMBOOL)
        return fx_infix(r, '-', fx_i(r, a->op == '-' ? 0 : -1), x, a->at);
    if (fx_is_tensor(x)) {
        jc_value *y = FX_OP(r, a->op == '-' ? JC_OP_neg : JC_OP_bitwise_not, x);
        fx_lay_pointwise(r, y, &x, 1);
        return fx_v(y);
    }
    fx_fail(r, fx_blame(x), a->at, "'%c' needs a tensor or a number, but has %s.", a->op, fx_kind_text(x));
    return fx_nothing();
}

/* --- writing --- */

jc_arg fx_write(fx_reader *r, jc_value *dst, jc_arg src) {
    if (src.kind == FX_SYMFLOAT)
        src = fx_v(fx_real_of(src)->tensor);
    else if (src.kind == FX_SYMBOOL)
        src = fx_e(src.expr);
    if (!fx_is_tensor(src) && !fx_is_number(src) && !r->status) {
        fx_fail(r, fx_blame(src), r->stmt->at, "Only a tensor or a number can be written into a tensor, not %s.",
                fx_kind_text(src));
        return fx_nothing();
    }
    return fx_v(FX_OP(r, JC_OP_copy_, fx_v(dst), src));
}

/* --- the whole --- */

/* x[[0, 2]] is one index, x[0, 2] is two. */
jc_arg fx_index_of(fx_reader *r, const fx_ast *a) {
    const jc_arg index = fx_eval(r, a);
    return a->kind == FX_A_LIST ? fx_list(r, &index, 1) : index;
}

static jc_arg evaluated(fx_reader *r, const fx_ast *a) {
    jc_arg x, y;
    if (r->status)
        return fx_nothing();
    switch ((fx_ast_kind)a->kind) {
    case FX_A_NAME: return eval_name(r, a);
    case FX_A_PATH: return eval_path(r, a);
    case FX_A_INT: return fx_i(r, a->integer);
    case FX_A_FLOAT: return jc_arg_float(a->number);
    case FX_A_COMPLEX: return fx_complex(r, jc_arg_float(0), jc_arg_float(a->number));
    case FX_A_STR: return (jc_arg){ .kind = JC_ARG_STR, .str = fx_copy(r, a->name) };
    case FX_A_NONE: return fx_nothing();
    case FX_A_TRUE: return jc_arg_bool(true);
    case FX_A_FALSE: return jc_arg_bool(false);
    case FX_A_DOTS: return (jc_arg){ .kind = FX_ELLIPSIS };
    case FX_A_LIST:
    case FX_A_TUPLE:
    case FX_A_DICT:
    case FX_A_SLICE: return eval_list(r, a);
    case FX_A_CALL: return fx_call_ast(r, a);
    case FX_A_REFUSED:
        fx_fail(r, JITC_E_UNSUPPORTED, a->at, "%.*s", (int)a->name->length, a->name->text);
        return fx_nothing();
    case FX_A_ATTR: return eval_attribute(r, a);
    case FX_A_UNARY: return eval_unary(r, a);
    case FX_A_INDEX:
        x = fx_eval(r, a->first);
        return fx_index(r, x, fx_index_of(r, a->first->next), a->at);
    case FX_A_BINARY:
        x = fx_eval(r, a->first);
        y = fx_eval(r, a->first->next);
        return fx_infix(r, a->op, x, y, a->at);
    }
    return fx_nothing();
}

jc_arg fx_eval(fx_reader *r, const fx_ast *a) {
    const bool makes = a->kind == FX_A_CALL || a->kind == FX_A_BINARY || a->kind == FX_A_UNARY || a->kind == FX_A_INDEX;
    if (!makes)
        return evaluated(r, a);
    const uint32_t before = r->func->nvalues, number = r->expressions++;
    return fx_lay_made(r, number, evaluated(r, a), before);
}
