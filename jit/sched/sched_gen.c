/*
 * jit/sched/sched_gen.c - the tape of a kernel: code for lazy values at given indices.
 *
 * generate(v, index) appends what computes element `index` of v: a load where v lies in memory, else its node's
 * operation on its operands at the indices that follow (views only change the index).  Results are remembered by value and
 * index, so what two roots share is computed once.
 */
#include "jit/sched/sched_tape.h"

#include <string.h>

#define NO_INSTR UINT32_MAX

typedef struct at {
    const jc_expr *i[JC_MAX_RANK];
} at;

/* How an element of an operator's result is made: the `code` column of ops.def. */
typedef struct code {
    uint32_t (*make)(jc_gen *g, const jc_node *n, const at *out); /* NULL: it only ever lies in memory */
    uint8_t tape;                                                 /* the instruction, where one does it */
    void (*index)(jc_gen *g, const jc_node *n, const at *out, at *in); /* views: where in the operand */
} code;
static const code codes[JC_OP_COUNT];

static uint32_t generate(jc_gen *g, jc_value *v, const at *index);

static uint32_t fail(jc_gen *g) {
    g->failed = true;
    return 0;
}

/* Where V lies in memory for the root at hand, or JC_NO_STORE: what became real after it was placed is code to it. */
static uint32_t store_of(const jc_gen *g, jc_value *v) {
    uint32_t store = g->s->lazy[jc_storage(v)->id].store;
    return store < g->stores ? store : JC_NO_STORE;
}

/* --- instructions --- */

/* Beyond this weight a kernel takes no more roots.  Kernels of models weigh 250 at most; LLVM and assemblers take more than twice as long
   for what is twice as long, and registers run out. */
#define FULL 1024

/* What is more than an instruction or two. */
static const uint8_t weights[JC_T_COUNT] = {
    [JC_T_LOAD] = 4, [JC_T_STORE] = 4, [JC_T_DIV] = 4, [JC_T_REM] = 8, [JC_T_POW] = 32, [JC_T_ATAN2] = 32, [JC_T_HYPOT] = 8,
    [JC_T_EXP] = 12, [JC_T_EXP2] = 12, [JC_T_LOG] = 12, [JC_T_SIN] = 32, [JC_T_COS] = 32, [JC_T_TANH] = 16, [JC_T_ERF] = 16,
    [JC_T_EXPM1] = 16, [JC_T_LOG1P] = 16, [JC_T_LOG2] = 12, [JC_T_LOG10] = 12, [JC_T_TAN] = 32, [JC_T_ASIN] = 16, [JC_T_ACOS] = 16,
    [JC_T_ATAN] = 16, [JC_T_SINH] = 16, [JC_T_COSH] = 16, [JC_T_ASINH] = 16, [JC_T_ACOSH] = 16, [JC_T_ATANH] = 16, [JC_T_ERFC] = 32,
    [JC_T_ERFINV] = 32, [JC_T_RED_SUM] = 16, [JC_T_RED_MAX] = 16, [JC_T_RED_MIN] = 16, [JC_T_RED_PROD] = 16,
};

bool jc_gen_is_full(const jc_gen *g) {
    return g->weight > FULL;
}

/* Appends an instruction, or finds the same one.  Loads too: what a kernel loads is what lay there before it ran.  After a
   failure nothing is appended any more. */
uint32_t jc_gen_push(jc_gen *g, jc_instr i) {
    if (g->failed)
        return 0;
    struct {
        uint64_t head, operands[2], immediate;
    } key = { i.op | (uint64_t)i.ct << 8 | (uint64_t)i.dtype << 16 | (uint64_t)i.arg << 32,
              { i.a | (uint64_t)i.b << 32, i.c }, 0 };
    memcpy(&key.immediate, &i.i, sizeof key.immediate);
    uintptr_t known = i.op == JC_T_STORE ? 0 : (uintptr_t)jc_map_get(g->memo, &key, sizeof key);
    if (known)
        return (uint32_t)(known - 1);
    jc_push(g->s->arena, &g->tape, i);
    g->weight += weights[i.op] ? weights[i.op] : 1;
    jc_map_set(g->memo, jc_arena_memdup(g->s->arena, &key, sizeof key), sizeof key, (void *)(uintptr_t)g->tape.n);
    return (uint32_t)g->tape.n - 1;
}

/* The largest index of a dim of EXTENT; of one that is no constant at least what most dims allow, so that kernels do not differ by
   less. */
static int64_t last_index(jc_exprs *ex, const jc_expr *extent) {
    int64_t lo, hi;
    if (jc_ex_is_const(extent, &hi))
        return hi > 0 ? hi - 1 : 0;
    if (!jc_ex_range(ex, extent, &lo, &hi))
        return INT64_MAX;
    return hi - 1 > JC_SYM_MAX ? hi - 1 : JC_SYM_MAX;
}

/* --- memory --- */

/* A row without columns is there all the same, and its kernel loads first what no column tells apart.  Of a tensor that is empty
   with the columns, an expanded one, there is nothing to load: so its elements go by the column, although all are one. */
static const jc_expr *kept_column(jc_gen *g, const jc_expr *index, const jc_expr *dim) {
    const jc_expr *column = g->loop[g->k->rank - 1], *zero = jc_ex_int(g->ex, 0);
    if (!g->item->rows || column->kind != JC_EX_SYM || !jc_ex_uses(index, column->sym) ||
        jc_ex_le(g->s->ex, jc_ex_int(g->s->ex, 1), dim) == JC_YES)
        return zero;
    return jc_ex_fdiv(g->ex, index, jc_gen_expr(g, dim));
}

static const jc_expr *element(jc_gen *g, const jc_value *v, uint32_t store, const at *index) {
    const jc_expr *const *strides = jc_type_strides(g->s->ex, g->s->arena, &v->type);
    const jc_expr *e = jc_gen_expr(g, jc_sched_offset(g->s, v));
    for (uint32_t d = 0; d < v->type.rank; d++)
        if (jc_ex_is(strides[d], 0))
            e = jc_ex_add(g->ex, e, kept_column(g, index->i[d], v->type.dims[d]));
        else if (!jc_ex_is(index->i[d], 0))
            e = jc_ex_add(g->ex, e, jc_ex_mul(g->ex, index->i[d], jc_gen_stride_of(g, store, strides[d])));
    return e;
}

uint32_t jc_gen_kept(jc_gen *g, uint32_t x, jc_dtype d) {
    bool narrow_float = jc_dtypes[d].cls == 'f' && d != JC_F32 && d != JC_F64;
    bool narrow_int = jc_dtypes[d].cls != 'f' && jc_dtypes[d].cls != 'b' && jc_dtypes[d].size < 8;
    if (g->failed || (!narrow_float && !narrow_int))
        return x;
    const jc_instr *t = &g->tape.at[x];
    bool is_so = (t->op == JC_T_ROUND && t->dtype == d) || (t->op == JC_T_LOAD && g->args.at[t->arg].dtype == d);
    return is_so ? x : round_to(g, x, d);
}

/* The instruction whose value a root of this kernel stores to that very element. */
static uint32_t from_register(jc_gen *g, const jc_value *v, uint32_t store, const jc_expr *element) {
    for (size_t i = 0; i < g->tape.n; i++) {
        const jc_instr *t = &g->tape.at[i];
        if (t->op != JC_T_STORE || g->ptrs.n == 0)
            continue;
        for (size_t p = 0; p < g->ptrs.n; p++)
            if (g->ptrs.at[p].arg == t->arg && g->ptrs.at[p].store == store)
                return t->index == element && g->ptrs.at[p].dtype == v->type.dtype ? jc_gen_kept(g, t->a, g->ptrs.at[p].dtype) : fail(g);
    }
    return NO_INSTR;
}

static uint32_t load(jc_gen *g, const jc_value *v, uint32_t store, const at *index) {
    jc_dtype dtype = (jc_dtype)v->type.dtype;
    const jc_expr *e = element(g, v, store, index);
    uint32_t known = from_register(g, v, store, e);
    if (known != NO_INSTR)
        return known;
    uint16_t arg = jc_gen_pointer(g, store, dtype, false);
    return jc_gen_push(g, (jc_instr){ .op = JC_T_LOAD, .ct = (uint8_t)jc_compute_type(dtype), .arg = arg, .index = e });
}

/* --- views: where an element of the result lies in the operand --- */

/* Dims that both have on the outside, or then on the inside, keep their index; those between are counted through. */
static void at_reshape(jc_gen *g, const jc_node *n, const at *out, at *in) {
    const jc_type *to = &n->results[0]->type, *from = &n->args[0].value->type;
    jc_exprs *ex = g->ex;
    const jc_expr *linear = jc_ex_int(ex, 0), *size = jc_ex_int(ex, 1);
    uint32_t t = to->rank, f = from->rank, first = 0;
    for (; first < t && first < f && to->dims[first] == from->dims[first]; first++)
        in->i[first] = out->i[first];
    for (; t > first && f > first && to->dims[t - 1] == from->dims[f - 1]; t--, f--)
        in->i[f - 1] = out->i[t - 1];
    for (uint32_t d = t; d-- > first;) {
        linear = jc_ex_add(ex, linear, jc_ex_mul(ex, out->i[d], size));
        size = jc_ex_mul(ex, size, jc_gen_expr(g, to->dims[d]));
    }
    uint32_t outermost = first; /* that is not 1: needs no remainder */
    while (outermost < f && jc_ex_is(from->dims[outermost], 1))
        outermost++;
    size = jc_ex_int(ex, 1);
    for (uint32_t d = f; d-- > first;) {
        const jc_expr *extent = jc_gen_expr(g, from->dims[d]);
        const jc_expr *q = jc_ex_is(size, 1) ? linear : jc_ex_fdiv(ex, linear, size);
        in->i[d] = jc_ex_is(extent, 1) ? jc_ex_int(ex, 0) : d == outermost ? q : jc_ex_mod(ex, q, extent);
        size = jc_ex_mul(ex, size, extent);
    }
}

static void at_permute(jc_gen *g, const jc_node *n, const at *out, at *in) {
    (void)g;
    for (uint32_t d = 0; d < n->args[1].list.n; d++) {
        int64_t from = 0;
        jc_ex_is_const(n->args[1].list.at[d].expr, &from);
        in->i[from] = out->i[d];
    }
}

static void at_slice(jc_gen *g, const jc_node *n, const at *out, at *in) {
    int64_t dim = 0;
    jc_ex_is_const(n->args[1].expr, &dim);
    *in = *out;
    in->i[dim] = jc_ex_add(g->ex, jc_gen_expr(g, n->args[2].expr),
                           jc_ex_mul(g->ex, out->i[dim], jc_gen_expr(g, n->args[4].expr)));
}

/* Operand index under broadcasting to DIMS. */
static at broadcast(jc_gen *g, const jc_type *t, const jc_expr *const *dims, uint32_t rank, const at *out) {
    at in;
    for (uint32_t d = 0; d < t->rank; d++)
        in.i[d] = jc_sched_spreads(g->s, t->dims[d], dims[rank - t->rank + d]) ? jc_ex_int(g->ex, 0) : out->i[rank - t->rank + d];
    return in;
}

static void at_diagonal(jc_gen *g, const jc_node *n, const at *out, at *in) {
    const uint32_t rank = n->args[0].value->type.rank;
    int64_t dim[2] = { 0, 0 };
    for (uint32_t k = 0; k < 2; k++)
        jc_ex_is_const(n->args[1 + k].expr, &dim[k]);
    for (uint32_t d = 0, o = 0; d < rank; d++)
        if (d != dim[0] && d != dim[1])
            in->i[d] = out->i[o++];
    for (uint32_t k = 0; k < 2; k++)
        in->i[dim[k]] = jc_ex_add(g->ex, out->i[rank - 2], jc_gen_expr(g, n->args[3 + k].expr));
}

static void at_unfold(jc_gen *g, const jc_node *n, const at *out, at *in) {
    int64_t dim = 0;
    jc_ex_is_const(n->args[1].expr, &dim);
    *in = *out;
    in->i[dim] = jc_ex_add(g->ex, jc_ex_mul(g->ex, out->i[dim], jc_gen_expr(g, n->args[3].expr)), out->i[n->args[0].value->type.rank]);
}

static void at_expand(jc_gen *g, const jc_node *n, const at *out, at *in) {
    const jc_type *to = &n->results[0]->type;
    *in = broadcast(g, &n->args[0].value->type, to->dims, to->rank, out);
}

static void at_same(jc_gen *g, const jc_node *n, const at *out, at *in) {
    (void)g;
    (void)n;
    *in = *out;
}

static uint32_t view(jc_gen *g, const jc_node *n, const at *out) {
    at in;
    codes[n->op].index(g, n, out, &in);
    return generate(g, n->args[0].value, &in);
}

/* --- pointwise operators --- */

/* Is a cast of A to TO, after the one to what TO is computed in, none? */
static bool fits(const jc_arg *a, jc_dtype to) {
    const jc_dtype_info *t = &jc_dtypes[to];
    int64_t known;
    if (to == JC_B8 || to == JC_F64 || to == JC_F32 || to == JC_I64 || a->kind == JC_ARG_BOOL)
        return true;
    if (a->kind == JC_ARG_VALUE) {
        const jc_dtype_info *from = &jc_dtypes[a->value->type.dtype];
        if (t->cls == 'f' && from->cls != 'f')
            return from->cls == 'b' || (from->size == 1 && t->size == 2);
        return jc_dtype_promote((jc_dtype)a->value->type.dtype, to) == to;
    }
    return a->kind == JC_ARG_EXPR && jc_ex_is_const(a->expr, &known) && known >= 0 && known < (t->cls == 'f' ? 256 : 128);
}

/* Operand I of N, which is X, as an element of the dtype that N's operands have in common. */
static uint32_t as_common(jc_gen *g, const jc_node *n, uint32_t i, uint32_t x) {
    const unsigned traits = jc_ops[n->op].traits;
    const jc_dtype to = jc_operand_dtype(n);
    const unsigned keeps = JC_WIDE_NUMBER | (jc_gpu(g->s) ? JC_WIDE_ON_GPU : 0);
    const bool wide = n->args[i].kind != JC_ARG_VALUE && traits & keeps && jc_dtypes[to].cls == 'f';
    return g->failed || !(traits & JC_POINTWISE) || n->op == JC_OP_cast || wide || fits(&n->args[i], to) ? x : round_to(g, x, to);
}

static uint32_t operand_of(jc_gen *g, const jc_node *n, uint32_t i, const at *out, jc_ct want) {
    const jc_arg *a = &n->args[i];
    switch (a->kind) {
    case JC_ARG_VALUE: {
        const jc_type *to = &n->results[0]->type;
        at in = broadcast(g, &a->value->type, to->dims, to->rank, out);
        uint32_t x = generate(g, a->value, &in);
        return want == JC_CT_NONE || g->failed ? x : convert(g, x, want);
    }
    case JC_ARG_EXPR: {
        uint32_t x = integer(g, jc_gen_expr(g, a->expr));
        int64_t c;
        if (jc_ex_is_const(a->expr, &c) && (want == JC_CT_F32 || want == JC_CT_F64))
            return number(g, want, (double)c);
        return want == JC_CT_NONE ? x : convert(g, x, want);
    }
    case JC_ARG_FLOAT:
        return number(g, want == JC_CT_NONE ? JC_CT_F32 : want, a->f);
    case JC_ARG_BOOL:
        return number(g, want == JC_CT_NONE ? JC_CT_B1 : want, a->b);
    default:
        return fail(g);
    }
}

static uint32_t operand(jc_gen *g, const jc_node *n, uint32_t i, const at *out, jc_ct want) {
    return as_common(g, n, i, operand_of(g, n, i, out, want));
}

/* What N's operands are compared in. */
static jc_ct common(const jc_node *n) {
    return jc_compute_type(jc_operand_dtype(n));
}

/* What N is computed in. */
static jc_ct result_ct(const jc_node *n) {
    return jc_compute_type((jc_dtype)n->results[0]->type.dtype);
}

/* Bools add, multiply and have an order as the numbers 0 and 1. */
static jc_ct as_number(jc_ct c) {
    return c == JC_CT_B1 ? JC_CT_I64 : c;
}

static uint32_t by_cast(jc_gen *g, const jc_node *n, const at *out) {
    return convert_for(g, operand(g, n, 0, out, JC_CT_NONE), (jc_dtype)n->results[0]->type.dtype);
}

static uint32_t by_sigmoid(jc_gen *g, const jc_node *n, const at *out) {
    return jc_gen_sigmoid(g, operand(g, n, 0, out, result_ct(n)));
}

static uint32_t by_silu(jc_gen *g, const jc_node *n, const at *out) {
    return jc_gen_silu(g, operand(g, n, 0, out, result_ct(n)));
}

static uint32_t by_relu(jc_gen *g, const jc_node *n, const at *out) {
    uint32_t x = operand(g, n, 0, out, result_ct(n));
    return op2(g, JC_T_MAXIMUM, x, number(g, result_ct(n), 0));
}

static uint32_t by_signbit(jc_gen *g, const jc_node *n, const at *out) {
    const uint32_t x = operand(g, n, 0, out, as_number(common(n)));
    if (ct(g, x) == JC_CT_I64)
        return op2(g, JC_T_LT, x, number(g, JC_CT_I64, 0));
    const uint32_t sign = ins(g, JC_T_SIGNBIT, JC_CT_B1, x, 0);
    if (!jc_gpu(g->s) || jc_operand_dtype(n) != JC_F16)
        return sign;
    return op2(g, JC_T_AND, sign, op2(g, JC_T_EQ, x, x)); /* to CUDA a NaN of f16 has none */
}

static uint32_t by_gelu(jc_gen *g, const jc_node *n, const at *out) {
    return jc_gen_gelu(g, operand(g, n, 0, out, result_ct(n)), n->args[1].b);
}

static uint32_t by_softplus(jc_gen *g, const jc_node *n, const at *out) {
    return jc_gen_softplus(g, operand(g, n, 0, out, result_ct(n)), n->args[1].f, n->args[2].f);
}

/* What N multiplies by instead of dividing by B: on GPUs, where B is a number.  NO_INSTR where it divides. */
static uint32_t inverse_of(jc_gen *g, const jc_node *n, uint32_t b) {
    const jc_ct c = result_ct(n);
    if (g->failed || !jc_gpu(g->s) || n->args[1].kind == JC_ARG_VALUE || (c != JC_CT_F32 && c != JC_CT_F64))
        return NO_INSTR;
    const jc_instr *known = &g->tape.at[b];
    if (known->op != JC_T_FLOAT)
        return op2(g, JC_T_DIV, number(g, c, 1), b);
    return number(g, c, c == JC_CT_F32 ? (double)(1.0f / (float)known->f) : 1 / known->f);
}

static uint32_t by_div(jc_gen *g, const jc_node *n, const at *out) {
    const jc_ct c = result_ct(n);
    const uint32_t a = operand(g, n, 0, out, c), b = operand(g, n, 1, out, c), inverse = inverse_of(g, n, b);
    return inverse == NO_INSTR ? op2(g, JC_T_DIV, a, b) : op2(g, JC_T_MUL, a, inverse);
}

/* A number, or a tensor that is one: PyTorch's CPU kernels take it in f32. */
static bool one_element(const jc_arg *a) {
    bool one = true;
    for (int d = 0; a->kind == JC_ARG_VALUE && d < a->value->type.rank; d++)
        one = one && jc_ex_is(a->value->type.dims[d], 1);
    return one;
}

/* Strict: a CPU keeps each step of a quotient of two tensors in their dtype, a GPU the whole number alone. */
static uint32_t by_floordiv(jc_gen *g, const jc_node *n, const at *out) {
    jc_ct c = result_ct(n);
    uint32_t a = operand(g, n, 0, out, c), b = operand(g, n, 1, out, c);
    if (c == JC_CT_I64)
        return op2(g, JC_T_DIV, a, b);
    const uint32_t inverse = inverse_of(g, n, b);
    const jc_dtype dtype = (jc_dtype)n->results[0]->type.dtype, wide = c == JC_CT_F64 ? JC_F64 : JC_F32;
    const bool strict = g->s->options->strict, gpu = jc_gpu(g->s), own = !gpu && !one_element(&n->args[1]);
    const jc_dtype steps = strict && own ? dtype : wide, whole = strict && (gpu || own) ? dtype : wide;
    return jc_gen_floor_quotient(g, (jc_floor_quotient){ a, b, inverse == NO_INSTR ? 0 : inverse, inverse != NO_INSTR, steps, whole });
}

static uint32_t by_pow(jc_gen *g, const jc_node *n, const at *out) {
    const jc_ct c = result_ct(n);
    uint32_t x = operand(g, n, 0, out, c), e = operand(g, n, 1, out, c);
    int64_t known;
    if (c != JC_CT_I64)
        return op2(g, JC_T_POW, x, e);
    if (n->args[1].kind != JC_ARG_EXPR || !jc_ex_is_const(n->args[1].expr, &known))
        known = -1;
    return jc_gen_integer_pow(g, x, e, known);
}

/* Fused code rounds once where the processor can, as it does elsewhere. */
static uint32_t by_fma(jc_gen *g, const jc_node *n, const at *out) {
    const jc_ct c = result_ct(n);
    const uint32_t a = operand(g, n, 0, out, c), b = operand(g, n, 1, out, c), sum = operand(g, n, 2, out, c);
    return g->s->options->strict ? op3(g, JC_T_FMA, a, b, sum) : op2(g, JC_T_ADD, product(g, a, b), sum);
}

static uint32_t by_clamp(jc_gen *g, const jc_node *n, const at *out) {
    jc_ct c = result_ct(n);
    uint32_t x = operand(g, n, 0, out, c);
    if (n->args[1].kind != JC_ARG_NONE)
        x = op2(g, JC_T_MAXIMUM, x, operand(g, n, 1, out, c));
    if (n->args[2].kind != JC_ARG_NONE)
        x = op2(g, JC_T_MINIMUM, x, operand(g, n, 2, out, c));
    return x;
}

static uint32_t by_where(jc_gen *g, const jc_node *n, const at *out) {
    uint32_t cond = operand(g, n, 0, out, JC_CT_B1);
    uint32_t a = operand(g, n, 1, out, result_ct(n));
    return select(g, cond, a, operand(g, n, 2, out, result_ct(n)));
}

/* Is V rounded to a narrow dtype where no cast says so?  In strict mode, and where a use could tell. */
static bool rounds(const jc_gen *g, const jc_value *v) {
    return g->s->options->strict || g->s->lazy[v->id].shared;
}

/* Rounds where the result's dtype is narrower than what it was computed in: integers always (they wrap); floats
   at explicit casts, and where they are used more than once. */
static uint32_t narrow(jc_gen *g, const jc_node *n, uint32_t x) {
    jc_dtype d = (jc_dtype)n->results[0]->type.dtype;
    const jc_dtype_info *t = &jc_dtypes[d];
    if (g->failed || t->cls == 'b')
        return x;
    if (t->cls != 'f') {
        return jc_ops[n->op].traits & JC_OVERFLOWS && t->size < 8 ? round_to(g, x, d) : x;
    }
    if (d == JC_F32 || d == JC_F64 || n->results[0] == g->stored)
        return x;
    return n->op == JC_OP_cast || rounds(g, n->results[0]) ? round_to(g, x, d) : x;
}

/* Operands of a commutative operator are taken in one order, whatever the class's: a product's sums before anything else, what is
   computed here before what is loaded, and else by their looks.  `residual + (sums + bias)` and `(sums + bias) + residual` are one kernel then. */
static int weight(const jc_gen *g, const jc_arg *a) {
    if (a->kind != JC_ARG_VALUE)
        return 0;
    const jc_lazy *l = &g->s->lazy[a->value->id];
    return g->item->matmul && l->matmul == g->item->matmul ? 2 : store_of(g, a->value) == JC_NO_STORE;
}

static bool before(const jc_gen *g, const jc_arg *a, const jc_arg *b) {
    const int more = weight(g, a) - weight(g, b);
    if (more || a->kind != JC_ARG_VALUE || b->kind != JC_ARG_VALUE)
        return more > 0;
    return jc_sched_looks(a->value) < jc_sched_looks(b->value);
}

/* Rounding leaves integers as they are. */
static uint32_t unary(jc_gen *g, const jc_node *n, const at *out) {
    const jc_tape_op tape = (jc_tape_op)codes[n->op].tape;
    uint32_t x = operand(g, n, 0, out, result_ct(n));
    return (tape == JC_T_FLOOR || tape == JC_T_CEIL || tape == JC_T_RINT) && result_ct(n) == JC_CT_I64 ? x : op1(g, tape, x);
}

static uint32_t binary(jc_gen *g, const jc_node *n, const at *out) {
    const uint32_t first = jc_ops[n->op].traits & JC_COMMUTES && before(g, &n->args[1], &n->args[0]);
    const jc_tape_op tape = g->s->lazy[n->results[0]->id].met ? JC_T_PRODUCT : (jc_tape_op)codes[n->op].tape;
    const bool bits = tape == JC_T_AND || tape == JC_T_OR || tape == JC_T_XOR;
    const jc_ct c = bits ? result_ct(n) : as_number(result_ct(n));
    uint32_t x = operand(g, n, first, out, c);
    return convert(g, op2(g, tape, x, operand(g, n, !first, out, c)), result_ct(n));
}

static uint32_t compare(jc_gen *g, const jc_node *n, const at *out) {
    const jc_tape_op tape = (jc_tape_op)codes[n->op].tape;
    const jc_ct c = tape == JC_T_LT || tape == JC_T_LE ? as_number(common(n)) : common(n);
    uint32_t x = operand(g, n, 0, out, c);
    return op2(g, tape, x, operand(g, n, 1, out, c));
}

static uint32_t swapped(jc_gen *g, const jc_node *n, const at *out) {
    const jc_ct c = as_number(common(n));
    uint32_t x = operand(g, n, 0, out, c);
    return op2(g, (jc_tape_op)codes[n->op].tape, operand(g, n, 1, out, c), x);
}

/* --- the rest --- */

/* The symbol that stands for instruction I, an index of a dim of SIZE, in index expressions. */
static uint32_t tape_symbol(jc_gen *g, uint32_t i, const jc_expr *size) {
    for (uint32_t sym = 0; sym < g->syms.n; sym++)
        if (g->syms.at[sym].kind == JC_KSYM_TAPE && g->syms.at[sym].index == i)
            return sym;
    uint32_t sym = jc_sym_add(g->ex, "t");
    jc_push(g->s->arena, &g->syms, ((jc_ksym){ JC_KSYM_TAPE, i }));
    jc_sym_at(g->ex, sym)->hi = last_index(g->ex, size);
    return sym;
}

const jc_expr *jc_gen_place(jc_gen *g, uint32_t i, const jc_expr *size, bool wrap) {
    uint32_t n = integer(g, size), zero = number(g, JC_CT_I64, 0);
    if (wrap)
        i = select(g, op2(g, JC_T_LT, i, zero), op2(g, JC_T_ADD, i, n), i);
    uint32_t last = op2(g, JC_T_SUB, n, number(g, JC_CT_I64, 1));
    i = op2(g, JC_T_MAXIMUM, op2(g, JC_T_MINIMUM, i, last), zero);
    return g->failed ? jc_ex_int(g->ex, 0) : jc_ex_sym(g->ex, tape_symbol(g, i, size));
}

/* Element INDEX of V, which counts, as an expression. */
static const jc_expr *counted(jc_gen *g, const jc_value *v, const at *index) {
    at here = *index;
    for (; v->def->op != JC_OP_arange; v = v->def->args[0].value) {
        at in;
        codes[v->def->op].index(g, v->def, &here, &in);
        here = in;
    }
    return jc_ex_add(g->ex, jc_gen_expr(g, v->def->args[0].expr), jc_ex_mul(g->ex, here.i[0], jc_gen_expr(g, v->def->args[1].expr)));
}

/* Which element of a dim of EXTENT is meant by element AT of INDEX. */
static const jc_expr *indexed(jc_gen *g, jc_value *index, const at *at_, const jc_expr *extent, bool wrap) {
    if (jc_sched_counted(g->s, index, extent))
        return counted(g, index, at_);
    uint32_t i = generate(g, index, at_);
    return g->failed ? jc_ex_int(g->ex, 0) : jc_gen_place(g, convert(g, i, JC_CT_I64), jc_gen_expr(g, extent), wrap);
}

static uint32_t by_take(jc_gen *g, const jc_node *n, const at *out) {
    jc_value *table = n->args[0].value, *index = n->args[2].value;
    int64_t dim = 0;
    at in, ix;
    jc_ex_is_const(n->args[1].expr, &dim);
    for (uint32_t d = 0; d < index->type.rank; d++)
        ix.i[d] = out->i[dim + d];
    const jc_expr *place = indexed(g, index, &ix, table->type.dims[dim], n->args[3].b);
    for (uint32_t d = 0; d < table->type.rank; d++)
        in.i[d] = d < dim ? out->i[d] : d == dim ? place : out->i[d + index->type.rank - 1];
    return generate(g, table, &in);
}

static uint32_t by_pick(jc_gen *g, const jc_node *n, const at *out) {
    jc_value *table = n->args[0].value;
    const jc_type *to = &n->results[0]->type;
    const uint32_t given = n->args[1].list.n, common = to->rank + given - table->type.rank;
    at in = { { NULL } };
    for (uint32_t k = 0; k < given; k++) {
        jc_value *index = n->args[2].list.at[k].value;
        int64_t dim = 0;
        jc_ex_is_const(n->args[1].list.at[k].expr, &dim);
        at ix = broadcast(g, &index->type, to->dims, common, out);
        in.i[dim] = indexed(g, index, &ix, table->type.dims[dim], n->args[3].b);
    }
    for (uint32_t d = 0, o = common; d < table->type.rank; d++)
        if (!in.i[d])
            in.i[d] = out->i[o++];
    return generate(g, table, &in);
}

static uint32_t by_full(jc_gen *g, const jc_node *n, const at *out) {
    return operand(g, n, 1, out, result_ct(n));
}

static uint32_t by_arange(jc_gen *g, const jc_node *n, const at *out) {
    jc_ct c = result_ct(n);
    uint32_t i = convert(g, integer(g, out->i[0]), c);
    uint32_t start = operand(g, n, 0, out, c), step = operand(g, n, 1, out, c);
    return op2(g, JC_T_ADD, start, op2(g, JC_T_MUL, i, step));
}

/* The reduced dims' indices come from the column, the others' from the rows; a fused reduction sees its own rows only. */
static bool reduction_index(jc_gen *g, const jc_node *n, const at *out, at *in) {
    const jc_type *t = &n->args[0].value->type;
    bool reduced[JC_MAX_RANK] = { false }, keep = n->args[2].b;
    uint32_t row = 0, o = 0, last = g->k->rank - 1;
    const jc_expr *column = g->loop[last];
    if (!g->item->rows)
        return false;
    for (uint32_t i = 0; i < n->args[1].list.n; i++) {
        int64_t d = 0;
        jc_ex_is_const(n->args[1].list.at[i].expr, &d);
        reduced[d] = true;
    }
    for (uint32_t d = 0; d < t->rank; d++) {
        if (reduced[d]) {
            o += keep;
            continue;
        }
        if (row >= last || out->i[o] != g->loop[row])
            return false;
        in->i[d] = out->i[o++];
        row++;
    }
    for (uint32_t d = t->rank; d-- > 0;) {
        if (!reduced[d])
            continue;
        const jc_expr *extent = jc_gen_expr(g, t->dims[d]);
        bool outer = true;
        for (uint32_t e = 0; e < d; e++)
            outer &= !reduced[e];
        in->i[d] = jc_ex_is(extent, 1) ? jc_ex_int(g->ex, 0) : outer ? column : jc_ex_mod(g->ex, column, extent);
        column = jc_ex_fdiv(g->ex, column, extent);
    }
    return row == last;
}

static uint32_t reduce_by(jc_gen *g, const jc_node *n, const at *out, jc_tape_op tape) {
    at in = { { NULL } };
    const jc_type *operand_type = &n->args[0].value->type;
    if (!jc_no_elements(g->s, operand_type->dims, operand_type->rank) && !reduction_index(g, n, out, &in))
        return fail(g);
    uint32_t x = op1(g, tape, convert(g, generate(g, n->args[0].value, &in), as_number(result_ct(n))));
    return convert(g, x, result_ct(n));
}

static uint32_t reduce(jc_gen *g, const jc_node *n, const at *out) {
    return reduce_by(g, n, out, (jc_tape_op)codes[n->op].tape);
}

static uint32_t by_prod(jc_gen *g, const jc_node *n, const at *out) {
    return narrow(g, n, reduce_by(g, n, out, JC_T_RED_PROD));
}

static uint32_t by_sum(jc_gen *g, const jc_node *n, const at *out) {
    return narrow(g, n, reduce_by(g, n, out, JC_T_RED_SUM));
}

static uint32_t by_mean(jc_gen *g, const jc_node *n, const at *out) {
    const jc_expr *extent = g->k->extent[g->k->rank - 1];
    jc_ct c = result_ct(n);
    int64_t columns;
    uint32_t x = reduce_by(g, n, out, JC_T_RED_SUM);
    if (jc_ex_is_const(extent, &columns) && columns > 0 && !(columns & (columns - 1))) /* the same, and cheaper */
        x = op2(g, JC_T_MUL, x, number(g, c, 1.0 / (double)columns));
    else
        x = op2(g, JC_T_DIV, x, convert(g, integer(g, extent), c));
    return narrow(g, n, x);
}

static uint32_t by_nth(jc_gen *g, const jc_node *n, const at *out) {
    at in = { { NULL } };
    if (!reduction_index(g, n, out, &in))
        return fail(g);
    const uint32_t x = generate(g, n->args[0].value, &in);
    return g->failed ? 0 : jc_gen_nth(g, n, x);
}

static uint32_t by_product(jc_gen *g, const jc_node *n, const at *out) {
    uint32_t rank = n->results[0]->type.rank, lead = g->k->rank - rank;
    if (g->item->matmul != n)
        return fail(g);
    for (uint32_t d = 0; d < rank; d++)
        if (out->i[d] != g->loop[lead + d])
            return fail(g);
    jc_ct c = jc_compute_type((jc_dtype)n->args[0].value->type.dtype);
    uint32_t x = jc_gen_push(g, (jc_instr){ .op = JC_T_ACC, .ct = (uint8_t)c });
    if (n->op == JC_OP_linear && n->args[2].kind == JC_ARG_VALUE) {
        at in = { { out->i[rank - 1] } };
        uint32_t bias = generate(g, n->args[2].value, &in);
        x = op2(g, JC_T_ADD, x, convert(g, bias, c));
    }
    return narrow(g, n, x);
}

static const code codes[JC_OP_COUNT] = {
#define UNARY(t) { unary, JC_T_##t, NULL }
#define BINARY(t) { binary, JC_T_##t, NULL }
#define COMPARE(t) { compare, JC_T_##t, NULL }
#define SWAPPED(t) { swapped, JC_T_##t, NULL }
#define REDUCE(t) { reduce, JC_T_RED_##t, NULL }
#define AT(name) { view, 0, at_##name }
#define BY(name) { by_##name, 0, NULL }
#define NO_CODE { NULL, 0, NULL }
#define OP(id, sig, results, traits, infer, eval, lower, ...) [JC_OP_##id] = __VA_ARGS__,
#include "ir/ops.def"
};

static uint32_t from_node(jc_gen *g, jc_value *v, const at *index) {
    const jc_node *n = v->def;
    if (!n || !codes[n->op].make)
        return fail(g);
    uint32_t x = codes[n->op].make(g, n, index);
    return jc_ops[n->op].traits & JC_POINTWISE ? narrow(g, n, x) : x;
}

/* How often this kernel has stored to STORE so far: what is remembered from before is stale then. */
static uint64_t version(const jc_gen *g, uint32_t store) {
    uint64_t n = 0;
    for (size_t p = 0; p < g->ptrs.n && store != JC_NO_STORE; p++)
        for (size_t i = 0; i < g->tape.n && g->ptrs.at[p].store == store; i++)
            n += g->tape.at[i].op == JC_T_STORE && g->tape.at[i].arg == g->ptrs.at[p].arg;
    return n;
}

static uint32_t generate(jc_gen *g, jc_value *v, const at *index) {
    struct {
        jc_value *v;
        uint64_t version;
        at index;
    } key;
    if (g->failed)
        return 0;
    if (jc_no_elements(g->s, v->type.dims, v->type.rank)) /* none of its elements is ever asked for, and no index has a value */
        return number(g, jc_compute_type((jc_dtype)v->type.dtype), 0);
    memset(&key, 0, sizeof key);
    uint32_t store = store_of(g, v);
    key.v = v;
    key.version = version(g, store);
    for (uint32_t d = 0; d < v->type.rank; d++)
        key.index.i[d] = index->i[d];
    size_t size = offsetof(typeof(key), index) + v->type.rank * sizeof(const jc_expr *);
    uintptr_t known = (uintptr_t)jc_map_get(g->memo, &key, size);
    if (known)
        return (uint32_t)(known - 1);
    uint32_t x = store != JC_NO_STORE ? load(g, v, store, index) : from_node(g, v, index);
    if (!g->failed && v != g->stored) /* others see it rounded */
        jc_map_set(g->memo, jc_arena_memdup(g->s->arena, &key, size), size, (void *)(uintptr_t)(x + 1));
    return g->failed ? 0 : x;
}

uint32_t jc_gen_value(jc_gen *g, jc_value *v, const jc_expr *const *index) {
    at in;
    for (uint32_t d = 0; d < v->type.rank; d++)
        in.i[d] = index[d];
    return generate(g, v, &in);
}

uint32_t jc_gen_argument(jc_gen *g, const jc_node *n, uint32_t i, jc_ct want) {
    return operand_of(g, n, i, NULL, want);
}

/* --- a group --- */

static void begin(jc_gen *g, jc_sched *s, const jc_item *item) {
    g->s = s;
    g->item = item;
    g->k = JC_NEW(s->arena, jc_kernel);
    g->k->exact = s->options->strict;
    g->ex = g->k->ex = jc_exprs_new(s->arena);
    g->memo = jc_map_new(s->arena);
    g->sym_map = JC_NEWN(s->arena, const jc_expr *, jc_sym_count(s->ex) + 1);
    g->small = 8;
    g->runtime_sizes = item->matmul != NULL || item->sized;
    const jc_expr *dims[JC_MAX_RANK + 1];
    uint32_t rank = 0, least = item->matmul ? 2 : 1;
    for (uint32_t lead = item->rank; lead < least; lead++)
        dims[rank++] = jc_ex_int(s->ex, 1);
    for (uint32_t d = 0; d < item->rank; d++)
        dims[rank++] = item->dims[d];
    g->k->rank = (uint8_t)rank;
    for (uint32_t d = 0; d < rank; d++) {
        uint32_t sym = jc_sym_add(g->ex, "i");
        jc_push(s->arena, &g->syms, ((jc_ksym){ JC_KSYM_LOOP, d }));
        g->loop[d] = jc_ex_is(dims[d], 1) ? jc_ex_int(g->ex, 0) : jc_ex_sym(g->ex, sym);
    }
    for (uint32_t d = 0; d < rank; d++) {
        const bool known = item->matmul && jc_is_attention(item->matmul) && d + 1 == rank;
        g->k->extent[d] = !known && (d + 2 >= rank || (item->walk && d == 0)) ? jc_gen_size(g, dims[d]) : jc_gen_expr(g, dims[d]);
        jc_sym_at(g->ex, d)->hi = last_index(g->ex, g->k->extent[d]);
    }
}

/* Index of a root's value in the group's loops: all of them, or the rows alone for one value a row. */
static at root_index(jc_gen *g, const jc_root *r) {
    at index;
    uint32_t lead = g->k->rank - g->item->rank;
    for (uint32_t d = 0; d < r->rank; d++)
        index.i[d] = jc_ex_is(r->dims[d], 1) ? jc_ex_int(g->ex, 0) : g->loop[lead + d];
    return index;
}

bool jc_gen_root(jc_gen *g, const jc_root *r) {
    g->stores = r->stores;
    if (r->ordered)
        return jc_gen_ordered(g, r);
    at index = root_index(g, r);
    at in = broadcast(g, &r->value->type, r->dims, r->rank, &index);
    g->stored = r->dtype == r->value->type.dtype ? r->value : NULL;
    uint32_t x = generate(g, r->value, &in);
    g->stored = NULL;
    if (g->failed)
        return false;
    x = convert_for(g, x, r->dtype);
    if (r->dtype != r->value->type.dtype) /* who reads it from the register reads what memory would have kept of it */
        x = jc_gen_kept(g, x, r->dtype);
    const jc_expr *e = jc_gen_expr(g, r->offset);
    for (uint32_t d = 0; d < r->rank; d++)
        if (!jc_ex_is(index.i[d], 0))
            e = jc_ex_add(g->ex, e, jc_ex_mul(g->ex, index.i[d], jc_gen_stride_of(g, r->store, r->strides[d])));
    uint16_t arg = jc_gen_pointer(g, r->store, r->dtype, true);
    jc_gen_push(g, (jc_instr){ .op = JC_T_STORE, .ct = JC_CT_NONE, .arg = arg, .a = x, .index = e });
    return g->args.n <= JC_KERNEL_MAX_ARGS;
}

bool jc_gen_group(jc_gen *g, jc_sched *s, const jc_item *item) {
    begin(g, s, item);
    if (item->matmul && !(jc_is_attention(item->matmul) ? jc_gen_attention(g, item) : jc_gen_matmul(g, item)))
        return false;
    for (size_t i = 0; i < item->roots.n; i++)
        if (!jc_gen_root(g, item->roots.at[i]))
            return false;
    return true;
}

uint32_t jc_gen_count_args(jc_sched *s, jc_root *r) {
    jc_gen g = { 0 };
    (void)jc_gen_group(&g, s, jc_item_of_root(s, r));
    return (uint32_t)g.args.n;
}
