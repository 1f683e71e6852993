/*
 * ir/infer_pointwise.c - pointwise operators: broadcasting and PyTorch's type promotion.
 *
 * Promotion has three levels: tensors with dims, tensors without, numbers.  A lower level only counts if its kind
 * (bool < integer < float) is above what the higher ones give.
 */
#include "ir/infer_priv.h"

/* ---- broadcasting ---- */

/* D is 0 or 1, and OVER what it meets: of two such dims the smaller is the result's, whatever they are; else D is taken for a 1. */
static bool spread_dim(jc_in *in, const jc_expr *d, const jc_expr *over, const jc_expr **out) {
    if (!jc_at_most_one(in->t, d))
        return false;
    *out = over;
    if (jc_at_most_one(in->t, over))
        *out = jc_ex_min(in->t, d, over);
    else
        jc_in_open(in, JC_REL_SPREAD, d, over);
    return true;
}

/* One dim of each side; false where neither equality nor a 1 is possible. */
static bool broadcast_dim(jc_in *in, const jc_expr *a, const jc_expr *b, const jc_expr **out) {
    if (a == b || jc_ex_is(b, 1)) {
        *out = a;
        return true;
    }
    if (jc_ex_is(a, 1)) {
        *out = b;
        return true;
    }
    const jc_truth equal = jc_ex_equal(in->t, a, b);
    if (equal != JC_YES && (spread_dim(in, a, b, out) || spread_dim(in, b, a, out)))
        return true;
    jc_in_open(in, JC_REL_MEET, a, b); /* no code broadcasts a dim that is 1 for some values only */
    *out = jc_in_definite(a, b);
    if (equal != JC_NO)
        return true;
    const jc_expr *one = jc_ex_int(in->t, 1);
    if (jc_ex_equal(in->t, a, one) != JC_NO) {
        *out = b;
        return true;
    }
    *out = a;
    return jc_ex_equal(in->t, b, one) != JC_NO;
}

static jitc_status broadcast_error(jc_in *in, const jc_expr *const *dims, uint32_t rank, const jc_type *with) {
    jc_type other = { .kind = JC_TENSOR, .dtype = with->dtype, .rank = (uint8_t)rank, .dims = dims };
    jc_type plain = *with;
    plain.strides = NULL;
    return jc_in_fail(in, JITC_E_INPUT, "expected dims that broadcast, got %s and %s.",
                      jc_in_text(in, &other) + __builtin_strlen(jc_dtypes[with->dtype].name),
                      jc_in_text(in, &plain) + __builtin_strlen(jc_dtypes[with->dtype].name));
}

jitc_status jc_in_broadcast(jc_in *in, const jc_expr *const **dims, uint32_t *rank, const jc_type *with) {
    uint32_t ra = *rank, rb = with->rank, r = ra > rb ? ra : rb, same = 0;
    if (rb == 0 || (*dims == with->dims && ra == rb))
        return JITC_OK;
    if (ra == 0) {
        *dims = with->dims;
        *rank = rb;
        return JITC_OK;
    }
    for (; same < rb && ra == rb && (*dims)[same] == with->dims[same]; same++)
        ;
    if (ra == rb && same == rb)
        return JITC_OK;
    const jc_expr **out = JC_NEWN(in->arena, const jc_expr *, r);
    for (uint32_t d = 0; d < r; d++) {
        if (d < r - ra)
            out[d] = with->dims[d];
        else if (d < r - rb)
            out[d] = (*dims)[d];
        else if (!broadcast_dim(in, (*dims)[d - (r - ra)], with->dims[d - (r - rb)], &out[d]))
            return broadcast_error(in, *dims, ra, with);
    }
    *dims = out;
    *rank = r;
    return JITC_OK;
}

/* ---- promotion ---- */

typedef struct promotion {
    int level[3]; /* tensors with dims, tensors without, numbers: the dtype so far, or -1 */
} promotion;

static int meet(int a, int b) {
    return a < 0 ? b : b < 0 ? a : (int)jc_dtype_promote((jc_dtype)a, (jc_dtype)b);
}

static int number_dtype(const jc_arg *a) {
    if (a->kind == JC_ARG_VALUE)
        return a->value->type.kind == JC_FLOAT ? JC_F32 : a->value->type.kind == JC_BOOL ? JC_B8 : JC_I64;
    return a->kind == JC_ARG_FLOAT ? JC_F32 : a->kind == JC_ARG_BOOL ? JC_B8 : JC_I64;
}

static void promote_arg(promotion *p, const jc_arg *a) {
    bool tensor = jc_in_is_tensor(a);
    int level = !tensor ? 2 : a->value->type.rank == 0;
    p->level[level] = meet(p->level[level], tensor ? a->value->type.dtype : number_dtype(a));
}

static int combine(int higher, int lower) {
    if (higher >= 0 && jc_in_floating((uint8_t)higher))
        return higher;
    if (higher < 0 || higher == JC_B8 || (lower >= 0 && jc_in_floating((uint8_t)lower)))
        return meet(higher, lower);
    return higher;
}

static uint8_t promoted(const promotion *p) {
    return (uint8_t)combine(p->level[0], combine(p->level[1], p->level[2]));
}

/* ---- what each operator takes ---- */

enum {
    MAKES_FLOAT = 1, /* of integers and bools f32 */
    FLOATS = 2,      /* operands may be floats */
    INTS = 4,
    BOOLS = 8,
    COMPARES = 16,   /* the result is b8 */
    NUMBERS = FLOATS | INTS,
    ANY = FLOATS | INTS | BOOLS,
};

static const uint8_t takes[JC_OP_COUNT] = {
#define POINTWISE(id, sig, traits, dtypes, ...) [JC_OP_##id] = dtypes,
#define OP(...)
#include "ir/ops.def"
};

/* The dtype of the result, from the operands' common one. */
static jitc_status result_dtype(jc_in *in, uint8_t common, uint8_t *out) {
    uint8_t can = takes[in->n->op];
    uint8_t need = jc_in_floating(common) ? FLOATS : common == JC_B8 ? BOOLS : INTS;
    if (!(can & need) || jc_in_fp8(common))
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected operands of another dtype, got %s%s.",
                          jc_dtypes[common].name, jc_in_fp8(common) ? " (cast it first)" : "");
    *out = can & COMPARES ? JC_B8 : can & MAKES_FLOAT && need != FLOATS ? JC_F32 : common;
    return JITC_OK;
}

/* Arguments FIRST to LAST, each a tensor, a number or None. */
static jitc_status operands(jc_in *in, uint32_t first, uint32_t last, const jc_expr *const **dims, uint32_t *rank,
                            uint8_t *common) {
    promotion p = { { -1, -1, -1 } };
    for (uint32_t i = first; i <= last; i++) {
        const jc_arg *a = &in->n->args[i];
        if (a->kind == JC_ARG_NONE)
            continue;
        promote_arg(&p, a);
        if (!jc_in_is_tensor(a))
            continue;
        if (jc_in_fp8(a->value->type.dtype) && in->n->op != JC_OP_where)
            return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected operands of another dtype, got %s (cast it first).",
                              jc_dtypes[a->value->type.dtype].name);
        JC_TRY(jc_in_broadcast(in, dims, rank, &a->value->type));
    }
    *common = promoted(&p);
    return JITC_OK;
}

jc_dtype jc_promoted_dtype(const jc_arg *args, uint32_t n) {
    promotion p = { { -1, -1, -1 } };
    for (uint32_t i = 0; i < n; i++)
        promote_arg(&p, &args[i]);
    return (jc_dtype)promoted(&p);
}

jc_dtype jc_operand_dtype(const jc_node *n) {
    promotion p = { { -1, -1, -1 } };
    if (!(takes[n->op] & COMPARES))
        return (jc_dtype)n->results[0]->type.dtype;
    promote_arg(&p, &n->args[0]);
    if (n->nargs > 1)
        promote_arg(&p, &n->args[1]);
    return (jc_dtype)promoted(&p);
}

jitc_status jc_infer_pointwise(jc_in *in) {
    const jc_expr *const *dims = NULL;
    uint32_t rank = 0;
    uint8_t dtype;
    const uint32_t last = jc_ops[in->n->op].sig[1] == 'N' ? in->n->nargs - 1u : 0;
    bool tensors = false;
    for (uint32_t i = 0; i <= last; i++)
        tensors |= jc_in_is_tensor(&in->n->args[i]);
    if (!tensors)
        return jc_in_fail(in, JITC_E_INPUT, "expected a tensor among the operands, got numbers alone.");
    JC_TRY(operands(in, 0, last, &dims, &rank, &dtype));
    JC_TRY(result_dtype(in, dtype, &dtype));
    jc_in_result(in, 0, dtype, dims, rank);
    return JITC_OK;
}

/* Of an integer dtype, as a double: one more than the largest, the least. */
static bool whole_fits(uint8_t dtype, double x) {
    const bool is_signed = jc_dtypes[dtype].cls == 'i';
    const double beyond = __builtin_ldexp(1, jc_dtypes[dtype].size * 8 - is_signed);
    return x < beyond && (is_signed ? x >= -beyond : x > -beyond);
}

jitc_status jc_in_holds(jc_in *in, uint32_t i, uint8_t dtype) {
    const jc_arg *a = &in->n->args[i];
    int64_t known = 0;
    if (dtype == JC_B8 || (dtype == JC_I64 && a->kind == JC_ARG_EXPR) ||
        (a->kind != JC_ARG_FLOAT && (a->kind != JC_ARG_EXPR || !jc_ex_is_const(a->expr, &known))))
        return JITC_OK;
    const double x = a->kind == JC_ARG_FLOAT ? a->f : (double)known;
    const bool fits = jc_in_floating(dtype) ? x != x || __builtin_isinf(x) || __builtin_fabs(x) <= jc_dtype_largest((jc_dtype)dtype) : whole_fits(dtype, x);
    return fits ? JITC_OK
                : jc_in_fail(in, JITC_E_INPUT, "expected a number that %s holds, got %g.", jc_dtypes[dtype].name, x);
}

/* The same of arguments FIRST to LAST that are numbers. */
static jitc_status all_hold(jc_in *in, uint32_t first, uint32_t last, uint8_t dtype) {
    for (uint32_t i = first; i <= last; i++)
        JC_TRY(jc_in_holds(in, i, dtype));
    return JITC_OK;
}

jitc_status jc_infer_cast(jc_in *in) {
    const jc_type *x = jc_in_type(in, 0);
    jc_in_result(in, 0, (uint8_t)in->n->args[1].dtype, x->dims, x->rank);
    return JITC_OK;
}

jitc_status jc_infer_clamp(jc_in *in) {
    const jc_expr *const *dims = NULL;
    uint32_t rank = 0;
    uint8_t dtype;
    if (!jc_in_has(in, 1) && !jc_in_has(in, 2))
        return jc_in_fail(in, JITC_E_INPUT, "expected a lower or an upper bound, got neither.");
    JC_TRY(operands(in, 0, 2, &dims, &rank, &dtype));
    JC_TRY(result_dtype(in, dtype, &dtype));
    JC_TRY(all_hold(in, 1, 2, dtype));
    jc_in_result(in, 0, dtype, dims, rank);
    return JITC_OK;
}

jitc_status jc_infer_where(jc_in *in) {
    const jc_type *cond = jc_in_type(in, 0);
    const jc_expr *const *dims = cond->dims;
    uint32_t rank = cond->rank;
    uint8_t dtype;
    if (cond->dtype != JC_B8)
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected a condition of dtype b8, got %s.", jc_in_text(in, cond));
    JC_TRY(operands(in, 1, 2, &dims, &rank, &dtype));
    JC_TRY(all_hold(in, 1, 2, dtype));
    jc_in_result(in, 0, dtype, dims, rank);
    return JITC_OK;
}
