/*
 * ir/fx/fx_build_complex.c - complex tensors, as pairs of real ones: no value of a graph is complex.
 *
 * A pair (fx_pair) is an argument of the kind FX_COMPLEX.  Its parts are tensors, or numbers; a pair that lies in memory as PyTorch has
 * it, [..., 2], knows that tensor too, and its parts are views of it.  A parameter of the dtype c64 is its memory, f32[..., 2].
 * Operators that only move elements are built for each part; some have a rule of their own; all others are refused, as is a complex
 * result of the graph.  Real operands become complex ones whose imaginary part is 0, as in PyTorch, so that infinities and NaNs are the same.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

const char fx_complex64[] = "the dtype complex64, which tensors here cannot have";
const char fx_complex128[] = "the dtype complex128, which tensors here cannot have";

static jc_arg pair_of(fx_reader *r, jc_arg re, jc_arg im, jc_value *whole) {
    fx_pair *p = JC_NEW(r->scratch, fx_pair);
    *p = (fx_pair){ re, im, whole };
    return (jc_arg){ .kind = FX_COMPLEX, .value = (jc_value *)(void *)p };
}

jc_arg fx_complex(fx_reader *r, jc_arg re, jc_arg im) {
    return r->status ? fx_nothing() : pair_of(r, re, im, NULL);
}

jc_arg fx_complex_of_memory(fx_reader *r, jc_value *memory) {
    if (!memory || r->status)
        return fx_nothing();
    const int last = fx_rank(memory) - 1;
    jc_value *part[2];
    for (int k = 0; k < 2; k++)
        part[k] = fx_select(r, memory, last, jc_ex_int(fx_x(r), k), r->stmt->at);
    return r->status ? fx_nothing() : pair_of(r, fx_v(part[0]), fx_v(part[1]), memory);
}

/* Part K of A: 0 the real one; that of a real A is 0, of the same shape. */
static jc_arg part_of(jc_arg a, int k) {
    if (a.kind == FX_COMPLEX)
        return k ? fx_pair_of(a)->im : fx_pair_of(a)->re;
    return k ? jc_arg_float(0) : a;
}

static jc_arg infix(fx_reader *r, int op, jc_arg a, jc_arg b) {
    return fx_infix(r, op, a, b, r->stmt->at);
}

static jc_arg with_op(fx_reader *r, jc_op op, jc_arg a) {
    return fx_v(FX_OP(r, op, a));
}

/* --- memory --- */

/* A number as a tensor like OTHER. */
static jc_value *spread(fx_reader *r, jc_arg a, const jc_value *other) {
    if (fx_is_tensor(a))
        return a.value;
    return FX_OP(r, JC_OP_full, fx_dims(r, other->type.dims, other->type.rank), a, jc_arg_dtype((jc_dtype)other->type.dtype));
}

jc_value *fx_complex_memory(fx_reader *r, jc_arg a) {
    const fx_pair *p = fx_pair_of(a);
    if (p->whole || r->status)
        return p->whole;
    const jc_value *shape = fx_is_tensor(p->re) ? p->re.value : fx_is_tensor(p->im) ? p->im.value : NULL;
    if (!shape) {
        fx_fail(r, JITC_E_UNSUPPORTED, r->stmt->at, "A complex number is not a tensor here.");
        return NULL;
    }
    jc_value *parts[2] = { spread(r, p->re, shape), spread(r, p->im, shape) };
    for (int k = 0; k < 2; k++)
        parts[k] = parts[k] ? fx_unsqueeze(r, parts[k], fx_rank(shape)) : NULL;
    fx_call join = { .r = r, .row = &fx_spellings[0], .at = r->stmt->at };
    return r->status ? NULL : fx_join(&join, parts, 2, fx_rank(shape)).value;
}

/* DST, a pair, is SRC afterwards. */
jc_arg fx_complex_write(fx_reader *r, jc_arg dst, jc_arg src) {
    const fx_pair *p = fx_pair_of(dst);
    if (!r->status && (!fx_is_tensor(p->re) || !fx_is_tensor(p->im)))
        fx_fail(r, JITC_E_UNSUPPORTED, r->stmt->at, "A complex number cannot be written into.");
    if (r->status)
        return fx_nothing();
    const jc_arg re = fx_write(r, p->re.value, part_of(src, 0)), im = fx_write(r, p->im.value, part_of(src, 1));
    return fx_complex(r, re, im);
}

/* --- arithmetic --- */

/* (a + bi)(c + di) */
static jc_arg multiplied(fx_reader *r, jc_arg x, jc_arg y) {
    const jc_arg a = part_of(x, 0), b = part_of(x, 1), c = part_of(y, 0), d = part_of(y, 1);
    return fx_complex(r, infix(r, '-', infix(r, '*', a, c), infix(r, '*', b, d)), infix(r, '+', infix(r, '*', a, d), infix(r, '*', b, c)));
}

/* |x|, of a tensor or a number. */
static jc_arg magnitude(fx_reader *r, jc_arg x) {
    if (fx_is_tensor(x))
        return with_op(r, JC_OP_abs, x);
    const jc_arg is_negative = infix(r, '<', x, jc_arg_float(0));
    return is_negative.kind == JC_ARG_BOOL && is_negative.b ? infix(r, '*', x, jc_arg_float(-1)) : x;
}

static jc_arg larger(fx_reader *r, jc_arg a, jc_arg b) {
    if (fx_is_tensor(a) || fx_is_tensor(b))
        return fx_v(FX_OP(r, JC_OP_maximum, a, b));
    const jc_arg less = infix(r, '<', a, b);
    return less.kind == JC_ARG_BOOL && less.b ? b : a;
}

/* (a + bi) / (c + di), all of them by the larger of |c| and |d|. */
static jc_arg divided(fx_reader *r, jc_arg x, jc_arg y) {
    jc_arg c = part_of(y, 0), d = part_of(y, 1);
    const jc_arg scale = larger(r, magnitude(r, c), magnitude(r, d));
    const jc_arg a = infix(r, '/', part_of(x, 0), scale), b = infix(r, '/', part_of(x, 1), scale);
    c = infix(r, '/', c, scale);
    d = infix(r, '/', d, scale);
    const jc_arg norm = infix(r, '+', infix(r, '*', c, c), infix(r, '*', d, d));
    const jc_arg re = infix(r, '+', infix(r, '*', a, c), infix(r, '*', b, d)), im = infix(r, '-', infix(r, '*', b, c), infix(r, '*', a, d));
    return fx_complex(r, infix(r, '/', re, norm), infix(r, '/', im, norm));
}

static jc_arg matmul(fx_reader *r, jc_arg x, jc_arg y) {
    const jc_arg a = part_of(x, 0), b = part_of(x, 1), c = part_of(y, 0), d = part_of(y, 1);
    return fx_complex(r, infix(r, '-', infix(r, '@', a, c), infix(r, '@', b, d)), infix(r, '+', infix(r, '@', a, d), infix(r, '@', b, c)));
}

static jc_arg added(fx_reader *r, int op, jc_arg x, jc_arg y) {
    return fx_complex(r, infix(r, op, part_of(x, 0), part_of(y, 0)), infix(r, op, part_of(x, 1), part_of(y, 1)));
}

static jc_arg compared(fx_reader *r, int op, jc_arg x, jc_arg y) {
    const jc_arg re = infix(r, op, part_of(x, 0), part_of(y, 0)), im = infix(r, op, part_of(x, 1), part_of(y, 1));
    return infix(r, op == FX_T_EQ ? '&' : '|', re, im);
}

jc_arg fx_complex_infix(fx_reader *r, int op, jc_arg a, jc_arg b, uint32_t at) {
    if (r->status)
        return fx_nothing();
    const jc_arg other = a.kind == FX_COMPLEX ? b : a;
    if (other.kind != FX_COMPLEX && !fx_is_tensor(other) && !fx_is_scalar(other)) {
        fx_fail(r, fx_blame(other), at, "A complex tensor goes with tensors and numbers, but here is %s.", fx_kind_text(other));
        return fx_nothing();
    }
    switch (op) {
    case '+':
    case '-': return added(r, op, a, b);
    case '*': return multiplied(r, a, b);
    case '/': return divided(r, a, b);
    case '@':
        if (a.kind == b.kind)
            return matmul(r, a, b);
        break;
    case FX_T_EQ:
    case FX_T_NE: return compared(r, op, a, b);
    case FX_T_POW:
        if (a.kind == FX_COMPLEX && b.kind == JC_ARG_EXPR && jc_ex_is(b.expr, 2))
            return multiplied(r, a, a);
        break;
    default:
        break;
    }
    fx_fail(r, JITC_E_UNSUPPORTED, at, "This operation is not supported for complex numbers.");
    return fx_nothing();
}

jc_arg fx_complex_negated(fx_reader *r, jc_arg a) {
    return fx_complex(r, infix(r, '*', part_of(a, 0), fx_i(r, -1)), infix(r, '*', part_of(a, 1), fx_i(r, -1)));
}

/* --- functions --- */

typedef jc_arg rule(fx_call *c);

static jc_arg first(const fx_call *c, int k) {
    return part_of(c->a[0], k);
}

jc_arg fx_complex_part(fx_reader *r, jc_arg a, int k) {
    const jc_arg y = part_of(a, k);
    if (fx_is_tensor(y) && a.kind == FX_COMPLEX && !fx_pair_of(a)->whole)
        fx_lay_part(r, y.value);
    return y;
}

static jc_arg rule_same(fx_call *c) { return c->a[0]; }
static jc_arg rule_real(fx_call *c) { return fx_complex_part(c->r, c->a[0], 0); }
static jc_arg rule_imag(fx_call *c) { return fx_complex_part(c->r, c->a[0], 1); }
static jc_arg rule_memory(fx_call *c) { return fx_v(fx_complex_memory(c->r, c->a[0])); }
static jc_arg rule_neg(fx_call *c) { return fx_complex_negated(c->r, c->a[0]); }
static jc_arg rule_conj(fx_call *c) { return fx_complex(c->r, first(c, 0), infix(c->r, '*', first(c, 1), fx_i(c->r, -1))); }
static jc_arg rule_abs(fx_call *c) { return fx_v(FX_OP(c->r, JC_OP_hypot, first(c, 0), first(c, 1))); }
static jc_arg rule_angle(fx_call *c) { return fx_v(FX_OP(c->r, JC_OP_atan2, first(c, 1), first(c, 0))); }
static jc_arg rule_square(fx_call *c) { return multiplied(c->r, c->a[0], c->a[0]); }
static jc_arg rule_reciprocal(fx_call *c) { return divided(c->r, jc_arg_float(1), c->a[0]); }
static jc_arg rule_mul(fx_call *c) { return fx_complex_infix(c->r, '*', c->a[0], c->a[1], c->at); }
static jc_arg rule_matmul(fx_call *c) { return fx_complex_infix(c->r, '@', c->a[0], c->a[1], c->at); }
static jc_arg rule_pow(fx_call *c) { return fx_complex_infix(c->r, FX_T_POW, c->a[0], c->a[1], c->at); }
static jc_arg rule_eq(fx_call *c) { return fx_complex_infix(c->r, FX_T_EQ, c->a[0], c->a[1], c->at); }
static jc_arg rule_ne(fx_call *c) { return fx_complex_infix(c->r, FX_T_NE, c->a[0], c->a[1], c->at); }

static jc_arg rule_div(fx_call *c) {
    if (fx_given(c, 2))
        fx_refuse_arg(c, 2, "complex numbers are not rounded");
    return fx_complex_infix(c->r, '/', c->a[0], c->a[1], c->at);
}

static jc_arg scaled_other(fx_call *c) {
    return fx_given(c, 2) ? fx_complex_infix(c->r, '*', c->a[1], c->a[2], c->at) : c->a[1];
}

static jc_arg rule_add(fx_call *c) { return fx_complex_infix(c->r, '+', c->a[0], c->a[1].kind == FX_COMPLEX ? scaled_other(c) : c->a[1], c->at); }
static jc_arg rule_sub(fx_call *c) { return fx_complex_infix(c->r, '-', c->a[0], c->a[1].kind == FX_COMPLEX ? scaled_other(c) : c->a[1], c->at); }

/* e^a (cos b + i sin b) */
static jc_arg rule_exp(fx_call *c) {
    fx_reader *r = c->r;
    const jc_arg angle = first(c, 1);
    if (!fx_is_tensor(angle) || !fx_is_tensor(first(c, 0))) {
        fx_bad_arg(c, 0, "a tensor");
        return fx_nothing();
    }
    const jc_arg size = with_op(r, JC_OP_exp, first(c, 0));
    return fx_complex(r, infix(r, '*', size, with_op(r, JC_OP_cos, angle)), infix(r, '*', size, with_op(r, JC_OP_sin, angle)));
}

static jc_arg rule_log(fx_call *c) {
    const jc_arg size = rule_abs(c);
    return fx_complex(c->r, with_op(c->r, JC_OP_log, size), rule_angle(c));
}

/* Of the two that A and B are, one a pair. */
static jc_arg rule_where(fx_call *c) {
    fx_call part = *c;
    jc_arg y[2];
    for (int k = 0; k < 2 && !c->r->status; k++) {
        for (int i = 0; i < 3; i++)
            part.a[i] = i == (c->row->aux == 1) ? c->a[i] : part_of(c->a[i], k);
        y[k] = c->row->handler(&part);
    }
    return c->r->status ? fx_nothing() : fx_complex(c->r, y[0], y[1]);
}

/* --- one part after the other --- */

/* Part K of A, whose imaginary part is a tensor of zeros where it is a real tensor. */
static jc_arg tensor_part(fx_reader *r, jc_arg a, int k) {
    if (!k || !fx_is_tensor(a))
        return part_of(a, k);
    return fx_v(spread(r, fx_is_tensor(a) && fx_class_of(a.value) == 'f' ? jc_arg_float(0) : fx_i(r, 0), a.value));
}

static jc_arg list_of_parts(fx_reader *r, jc_arg list, int k) {
    const jc_arg *from = list.list.at;
    list.list.at = fx_take(r, sizeof *from * (list.list.n ? list.list.n : 1));
    for (uint32_t i = 0; i < list.list.n; i++)
        list.list.at[i] = tensor_part(r, from[i], k);
    return list;
}

/* What was made of the parts, as pairs; sizes are those of either. */
static jc_arg paired(fx_reader *r, jc_arg re, jc_arg im) {
    if (r->status)
        return fx_nothing();
    if (re.kind == JC_ARG_LIST && im.kind == JC_ARG_LIST && re.list.n == im.list.n) {
        jc_arg *at = fx_take(r, sizeof *at * (re.list.n ? re.list.n : 1));
        for (uint32_t i = 0; i < re.list.n; i++)
            at[i] = paired(r, re.list.at[i], im.list.at[i]);
        return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, re.list.n } };
    }
    return fx_is_tensor(re) && fx_is_tensor(im) ? fx_complex(r, re, im) : re;
}

static jc_arg rule_each(fx_call *c) {
    fx_reader *r = c->r;
    jc_arg y[2];
    for (int k = 0; k < 2 && !r->status; k++) {
        fx_call part = *c;
        for (uint32_t i = 0; i < c->n; i++) {
            if (c->a[i].kind == FX_COMPLEX)
                part.a[i] = part_of(c->a[i], k);
            else if (c->a[i].kind == JC_ARG_LIST && fx_has_complex(&c->a[i], 1))
                part.a[i] = list_of_parts(r, c->a[i], k);
        }
        y[k] = c->row->handler(&part);
    }
    return r->status ? fx_nothing() : paired(r, y[0], y[1]);
}

/* The handler takes pairs itself. */
static jc_arg rule_own(fx_call *c) { return c->row->handler(c); }

/* Of a tensor and what is put into it. */
static jc_arg rule_two(fx_call *c) {
    fx_call both = *c;
    jc_arg y[2];
    for (int k = 0; k < 2 && !c->r->status; k++) {
        for (int i = 0; i < 2; i++)
            both.a[i] = tensor_part(c->r, c->a[i], k);
        y[k] = c->row->handler(&both);
    }
    return c->r->status ? fx_nothing() : fx_complex(c->r, y[0], y[1]);
}

static jc_arg rule_write(fx_call *c) {
    if (c->a[0].kind == FX_COMPLEX)
        return fx_complex_write(c->r, c->a[0], c->a[1]);
    fx_bad_arg(c, 1, "real, as what it is written into");
    return fx_nothing();
}

static bool is_complex_dtype(jc_arg a) {
    return a.kind == FX_OPAQUE && (a.str == fx_complex64 || a.str == fx_complex128);
}

/* A cast: to a complex dtype, to a real one (which drops what is imaginary), or to none. */
static jc_arg rule_cast(fx_call *c) {
    fx_reader *r = c->r;
    for (uint32_t i = 1; i < c->n; i++) {
        const jc_arg a = c->a[i], *at = a.kind == JC_ARG_LIST ? a.list.at : &a;
        const uint32_t n = a.kind == JC_ARG_LIST ? a.list.n : 1;
        for (uint32_t k = 0; c->a[i].kind != FX_ABSENT && k < n; k++) {
            if (at[k].kind == JC_ARG_DTYPE)
                return fx_is_tensor(first(c, 0)) ? fx_v(fx_cast(r, first(c, 0).value, at[k].dtype)) : first(c, 0);
            if (!is_complex_dtype(at[k]))
                continue;
            const jc_dtype dtype = at[k].str == fx_complex64 ? JC_F32 : JC_F64;
            jc_arg part[2] = { first(c, 0), first(c, 1) };
            for (int p = 0; p < 2; p++)
                part[p] = fx_is_tensor(part[p]) ? fx_v(fx_cast(r, part[p].value, dtype)) : part[p];
            if (!fx_is_tensor(part[1]) && fx_is_tensor(part[0]))
                part[1] = fx_v(spread(r, part[1], part[0].value));
            return fx_complex(r, part[0], part[1]);
        }
    }
    return c->a[0];
}

static const struct complex_rule {
    const char *name;
    rule *rule;
} rules[] = {
    { "_fft_c2c", rule_own },     { "_fft_c2r", rule_own },     { "fft", rule_own },            { "fft2", rule_own },           { "fftn", rule_own },
    { "fftshift", rule_each },    { "hfft", rule_own },         { "hfft2", rule_own },          { "hfftn", rule_own },          { "ifft", rule_own },
    { "ifft2", rule_own },        { "ifftn", rule_own },        { "ifftshift", rule_each },     { "irfft", rule_own },          { "irfft2", rule_own },
    { "irfftn", rule_own },       { "rfft", rule_own },         { "rfft2", rule_own },          { "rfftn", rule_own },          { "ihfft", rule_own },
    { "_conj", rule_conj },       { "_to_copy", rule_cast },    { "abs", rule_abs },            { "absolute", rule_abs },
    { "add", rule_add },          { "alias", rule_same },       { "angle", rule_angle },      { "bmm", rule_matmul },         { "broadcast_to", rule_each },
    { "cat", rule_each },         { "chunk", rule_each },       { "clone", rule_each },       { "concat", rule_each },        { "conj", rule_conj },
    { "conj_physical", rule_conj }, { "contiguous", rule_same }, { "convert_element_type", rule_cast }, { "cumsum", rule_each }, { "detach", rule_same },
    { "div", rule_div },          { "eq", rule_eq },            { "exp", rule_exp },          { "expand", rule_each },        { "expand_as", rule_each },
    { "flatten", rule_each },     { "flip", rule_each },        { "gather", rule_each },      { "imag", rule_imag },          { "index", rule_each },
    { "index_select", rule_each }, { "istft", rule_own }, { "lift_fresh", rule_same }, { "log", rule_log },          { "matmul", rule_matmul },      { "mean", rule_each },
    { "mm", rule_matmul },        { "moveaxis", rule_each },    { "movedim", rule_each },     { "mul", rule_mul },            { "multiply", rule_mul },
    { "narrow", rule_each },      { "ne", rule_ne },            { "neg", rule_neg },          { "negative", rule_neg },       { "numel", rule_each },
    { "permute", rule_each },     { "positive", rule_same },    { "pow", rule_pow },          { "real", rule_real },          { "reciprocal", rule_reciprocal },
    { "repeat", rule_each },      { "repeat_interleave", rule_each }, { "reshape", rule_each }, { "resolve_conj", rule_same }, { "resolve_neg", rule_same },
    { "roll", rule_each },        { "select", rule_each },      { "size", rule_each },        { "slice", rule_each },         { "split", rule_each },
    { "split_with_sizes", rule_each }, { "square", rule_square }, { "squeeze", rule_each },   { "stack", rule_each },         { "sub", rule_sub },
    { "sum", rule_each },         { "swapaxes", rule_each },    { "swapdims", rule_each },    { "sym_size", rule_each },      { "t", rule_each },
    { "take_along_dim", rule_each }, { "tile", rule_each },     { "to", rule_cast },          { "transpose", rule_each },     { "true_divide", rule_div },
    { "type", rule_cast },        { "unbind", rule_each },      { "unflatten", rule_each },   { "unsqueeze", rule_each },     { "view", rule_each },
    { "view_as", rule_each },     { "view_as_real", rule_memory }, { "where", rule_where },   { "_unsafe_view", rule_each },
    { "copy", rule_two },         { "copy_", rule_write },      { "fill", rule_two },         { "fill_", rule_write },        { "lift_fresh_copy", rule_each },
    { "select_scatter", rule_two }, { "slice_scatter", rule_two }, { "zero_", rule_each },
};

bool fx_has_complex(const jc_arg *args, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (args[i].kind == FX_COMPLEX || is_complex_dtype(args[i]) || (args[i].kind == JC_ARG_LIST && fx_has_complex(args[i].list.at, args[i].list.n)))
            return true;
    return false;
}

/* The call C, which has pairs or a complex dtype among its arguments. */
jc_arg fx_complex_call(fx_call *c) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, c->row->name) == 0)
            return rules[i].rule(c);
    fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "`%s` is not supported for complex numbers.", c->row->name);
    return fx_nothing();
}

/* --- what makes pairs of real tensors --- */

jc_arg fx_h_view_as_complex(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (!fx_rank(x) || jc_ex_equal(fx_x(c->r), x->type.dims[fx_rank(x) - 1], jc_ex_int(fx_x(c->r), 2)) == JC_NO || fx_class_of(x) != 'f')
        fx_bad_arg(c, 0, "a tensor of floats whose last dimension is 2");
    else if (!jc_ex_is(x->type.dims[fx_rank(x) - 1], 2))
        fx_guard(c->r, x->type.dims[fx_rank(x) - 1], jc_ex_int(fx_x(c->r), 2));
    return fx_complex_of_memory(c->r, x);
}

/* The two operands, which have to be tensors of one dtype, in their common shape. */
static bool two_of(fx_call *c, jc_arg out[2]) {
    out[0] = fx_v(fx_tensor(c, 0));
    out[1] = fx_v(fx_tensor(c, 1));
    if (!c->r->status && (out[0].value->type.dtype != out[1].value->type.dtype || fx_class_of(out[0].value) != 'f'))
        fx_bad_arg(c, 1, "of the other one's dtype, which is one of floats");
    return !c->r->status;
}

jc_arg fx_h_complex(fx_call *c) {
    jc_arg part[2], both;
    if (!two_of(c, part))
        return fx_nothing();
    fx_call shown = { .r = c->r, .row = c->row, .at = c->at, .a = { fx_list(c->r, part, 2) } };
    both = fx_h_broadcast_tensors(&shown);
    return c->r->status ? fx_nothing() : fx_complex(c->r, both.list.at[0], both.list.at[1]);
}

jc_arg fx_h_polar(fx_call *c) {
    fx_reader *r = c->r;
    jc_arg part[2];
    if (!two_of(c, part))
        return fx_nothing();
    return fx_complex(r, infix(r, '*', part[0], with_op(r, JC_OP_cos, part[1])), infix(r, '*', part[0], with_op(r, JC_OP_sin, part[1])));
}

/* view_as_real and imag of what is not complex. */
jc_arg fx_h_of_complex(fx_call *c) {
    fx_bad_arg(c, 0, "a complex tensor");
    return fx_nothing();
}
