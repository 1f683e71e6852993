/*
 * ir/decompose.c - composite operators in simpler ones, with the rounding of their definitions (ir/README.md).
 *
 * The copy has the same parameters, values of the same types, and other numbers.  Rounding is explicit: narrow floats become f32 by
 * a cast, are computed in f32, and a cast brings each rounding of the definition; f64 stays f64.  Casts to the dtype a
 * value has anyway are left out.
 */
#include <math.h>
#include <string.h>
#include "ir/graph.h"

typedef struct copier {
    jc_func *to;
    jc_graph *g;
    jc_value **map; /* of a value's number in the original */
    int line;
    uint32_t parts; /* of the keys of `sdpa`; 0: none */
    jc_error *err;
    jitc_status status; /* the first failure; from then on nothing is built */
    bool gpu;
    bool chose; /* of two values one: what the other was made of may be of no use now */
} copier;

/* ---- copying ---- */

static jc_arg copy_arg(copier *c, const jc_arg *a) {
    jc_arg out = *a;
    if (a->kind == JC_ARG_VALUE) {
        out.value = c->map[a->value->id];
    } else if (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) {
        out.list.at = JC_NEWN(c->g->arena, jc_arg, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            out.list.at[i] = copy_arg(c, &a->list.at[i]);
    }
    return out;
}

static jc_arg *copy_args(copier *c, const jc_arg *args, uint32_t n) {
    jc_arg *out = JC_NEWN(c->g->arena, jc_arg, n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = copy_arg(c, &args[i]);
    return out;
}

static void copy_params(copier *c, const jc_func *f) {
    for (uint32_t i = 0; i < f->nparams; i++) {
        const jc_value *p = f->params[i];
        jc_value *v = jc_func_param(c->to, p->name, &p->type);
        v->alias = p->alias;
        v->line = p->line;
        c->map[p->id] = v;
    }
}

static void copy_node(copier *c, const jc_node *n) {
    jc_node *out = jc_arena_memdup(c->g->arena, n, sizeof *n);
    out->args = copy_args(c, n->args, n->nargs);
    out->results = JC_NEWN(c->g->arena, jc_value *, n->nresults);
    for (uint32_t i = 0; i < n->nresults; i++) {
        jc_value *v = jc_arena_memdup(c->g->arena, n->results[i], sizeof *v);
        v->id = c->to->nvalues++;
        v->def = out;
        out->results[i] = v;
        c->map[n->results[i]->id] = v;
    }
    for (uint32_t i = 0; i < n->nresults; i++) { /* a base may be a later result of the same call */
        jc_value *base = n->results[i]->base;
        out->results[i]->base = base ? jc_storage(c->map[base->id]) : NULL; /* what a definition gives may be another shape of a product: from its start on */
    }
    jc_push(c->g->arena, &c->to->nodes, out);
}

/* ---- building: NULL passes through ---- */

static jc_value *emit(copier *c, jc_op op, uint32_t nargs, const jc_arg *args) {
    jc_node *n;
    for (uint32_t i = 0; i < nargs; i++) {
        if (args[i].kind == JC_ARG_VALUE && !args[i].value)
            return NULL;
    }
    if (c->status || (c->status = jc_func_add(c->to, op, args, nargs, c->line, &n, c->err)))
        return NULL;
    return n->results[0];
}
#define EMIT(c, op, ...)                                                                           \
    emit((c), JC_OP_##op, sizeof((jc_arg[]){ __VA_ARGS__ }) / sizeof(jc_arg), (jc_arg[]){ __VA_ARGS__ })
#define V jc_arg_value

static jc_value *unary(copier *c, jc_op op, jc_value *x) { return emit(c, op, 1, (jc_arg[]){ V(x) }); }
static jc_value *binary(copier *c, jc_op op, jc_value *a, jc_value *b) {
    return emit(c, op, 2, (jc_arg[]){ V(a), V(b) });
}

static jc_value *cast(copier *c, jc_value *x, uint8_t dtype) {
    if (!x || x->type.dtype == dtype)
        return x;
    return EMIT(c, cast, V(x), jc_arg_dtype((jc_dtype)dtype));
}

/* To the dtype that is computed in. */
static jc_value *widen(copier *c, jc_value *x) { return cast(c, x, x && x->type.dtype == JC_F64 ? JC_F64 : JC_F32); }

/* OP over the last COUNT dims, kept as 1. */
static jc_value *reduce_last(copier *c, jc_op op, jc_value *x, uint32_t count) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        dims[i] = jc_ex_int(c->g->exprs, x->type.rank - count + i);
    jc_arg args[] = { V(x), jc_arg_exprs(c->g, dims, count), jc_arg_bool(true), jc_arg_none() };
    return emit(c, op, jc_ops[op].nargs, args);
}

static jc_value *slice_last(copier *c, jc_value *x, const jc_expr *start, const jc_expr *length) {
    if (!x)
        return NULL;
    return EMIT(c, slice, V(x), jc_arg_int(c->g, x->type.rank - 1), jc_arg_expr(start), jc_arg_expr(length),
                jc_arg_int(c->g, 1));
}

static jc_value *operand(copier *c, const jc_node *n, uint32_t i) {
    return n->args[i].kind == JC_ARG_NONE ? NULL : c->map[n->args[i].value->id];
}

/* x * rsqrt(mean(x^2) + eps), and what the caller adds: the tail that all norms share. */
static jc_value *times_rsqrt(copier *c, jc_value *x, jc_value *mean, double eps) {
    jc_value *sum = EMIT(c, add, V(mean), jc_arg_float(eps));
    return binary(c, JC_OP_mul, x, unary(c, JC_OP_rsqrt, sum));
}

/* ---- the definitions ---- */

/* x is wide; arguments of N from W on are w?, eps, variance_size?. */
static jc_value *rms_norm(copier *c, const jc_node *n, jc_value *x, uint32_t w, uint8_t dtype) {
    jc_value *square = binary(c, JC_OP_mul, x, x), *weight = operand(c, n, w);
    if (n->args[w + 2].kind == JC_ARG_EXPR)
        square = slice_last(c, square, jc_ex_int(c->g->exprs, 0), n->args[w + 2].expr);
    jc_value *y = times_rsqrt(c, x, reduce_last(c, JC_OP_mean, square, 1), n->args[w + 1].f);
    if (weight)
        y = binary(c, JC_OP_mul, cast(c, y, weight->type.dtype), weight);
    return cast(c, y, dtype);
}

static void define_rms_norm(copier *c, const jc_node *n, jc_value **out) {
    jc_value *x = operand(c, n, 0);
    out[0] = rms_norm(c, n, widen(c, x), 1, x->type.dtype);
}

static void define_fused_add_rms_norm(copier *c, const jc_node *n, jc_value **out) {
    jc_value *x = operand(c, n, 0), *r = operand(c, n, 1);
    jc_value *wide = widen(c, x); /* one statement each: the order of nodes must not be the compiler's choice */
    jc_value *sum = binary(c, JC_OP_add, wide, widen(c, r));
    out[1] = cast(c, sum, x->type.dtype);
    out[0] = rms_norm(c, n, sum, 2, x->type.dtype);
}

static void define_layer_norm(copier *c, const jc_node *n, jc_value **out) {
    jc_value *x = operand(c, n, 0), *weight = operand(c, n, 2), *bias = operand(c, n, 3);
    uint32_t count = (uint32_t)n->args[1].expr->value;
    jc_value *wide = widen(c, x);
    jc_value *centred = binary(c, JC_OP_sub, wide, reduce_last(c, JC_OP_mean, wide, count));
    jc_value *variance = reduce_last(c, JC_OP_mean, binary(c, JC_OP_mul, centred, centred), count);
    jc_value *y = times_rsqrt(c, centred, variance, n->args[4].f);
    if (weight)
        y = binary(c, JC_OP_mul, y, weight);
    if (bias)
        y = binary(c, JC_OP_add, y, bias);
    out[0] = cast(c, y, x->type.dtype);
}

/* With a dtype given, x is rounded to it first. */
static void define_softmax(copier *c, const jc_node *n, jc_value **out) {
    uint8_t dtype = n->results[0]->type.dtype;
    jc_value *x = widen(c, cast(c, operand(c, n, 0), dtype));
    jc_arg dims = jc_arg_list(c->g, &n->args[1], 1);
    const jc_expr *one = jc_ex_int(c->g->exprs, 1);
    for (int d = 0; d < n->results[0]->type.rank; d++)
        if (jc_ex_le(c->g->exprs, one, n->results[0]->type.dims[d]) == JC_NO) { /* of nothing there is no largest, but a softmax */
            out[0] = EMIT(c, clone, V(cast(c, x, dtype)));
            return;
        }
    jc_value *most = EMIT(c, amax, V(x), dims, jc_arg_bool(true));
    jc_value *e = unary(c, JC_OP_exp, binary(c, JC_OP_sub, x, most));
    jc_value *sum = EMIT(c, sum, V(e), dims, jc_arg_bool(true), jc_arg_none());
    out[0] = cast(c, binary(c, JC_OP_div, e, sum), dtype);
}

/* X [..., a, b] with its last two dims exchanged. */
static jc_value *transposed(copier *c, jc_value *x) {
    const jc_expr *order[JC_MAX_RANK];
    if (!x)
        return NULL;
    const int rank = x->type.rank;
    for (int d = 0; d < rank; d++)
        order[d] = jc_ex_int(c->g->exprs, d == rank - 2 ? rank - 1 : d == rank - 1 ? rank - 2 : d);
    return EMIT(c, permute, V(x), jc_arg_exprs(c->g, order, (uint32_t)rank));
}

/* X [..., h, a, b] as [..., HEADS, h / HEADS, a, b]. */
static jc_value *grouped(copier *c, jc_value *x, const jc_expr *heads) {
    const jc_expr *dims[JC_MAX_RANK + 1];
    if (!x)
        return NULL;
    const uint32_t rank = x->type.rank, at = rank - 3;
    for (uint32_t d = 0; d < rank; d++)
        dims[d + (d > at)] = x->type.dims[d];
    dims[at] = heads;
    dims[at + 1] = jc_ex_fdiv(c->g->exprs, x->type.dims[at], heads);
    return EMIT(c, reshape, V(x), jc_arg_exprs(c->g, dims, rank + 1), jc_arg_none());
}

static jc_value *as_dims(copier *c, jc_value *x, const jc_expr *const *dims, uint32_t rank) {
    if (!x || x->type.rank == rank)
        return x;
    return EMIT(c, reshape, V(x), jc_arg_exprs(c->g, dims, rank), jc_arg_none());
}

/* 0, 1, ... N - 1 along dim D of RANK. */
static jc_value *counted(copier *c, const jc_expr *n, uint32_t d, uint32_t rank) {
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *x = EMIT(c, arange, jc_arg_int(c->g, 0), jc_arg_int(c->g, 1), jc_arg_expr(n), jc_arg_dtype(JC_I64));
    for (uint32_t k = 0; k < rank; k++)
        dims[k] = k == d ? n : jc_ex_int(c->g->exprs, 1);
    return as_dims(c, x, dims, rank);
}

static jc_value *scores(copier *c, const jc_node *n, jc_value *s) {
    jc_value *mask = operand(c, n, 3);
    if (!s)
        return NULL;
    const uint32_t rank = s->type.rank;
    s = EMIT(c, mul, V(s), n->args[5].kind == JC_ARG_VALUE ? V(cast(c, operand(c, n, 5), s->type.dtype)) : n->args[5]);
    if (s && n->args[4].b) {
        jc_value *row = counted(c, s->type.dims[rank - 2], 0, 2), *key = counted(c, s->type.dims[rank - 1], 1, 2);
        s = EMIT(c, where, V(binary(c, JC_OP_le, key, row)), V(s), jc_arg_float(-INFINITY));
    }
    if (!mask)
        return s;
    return mask->type.dtype == JC_B8 ? EMIT(c, where, V(mask), V(s), jc_arg_float(-INFINITY))
                                     : binary(c, JC_OP_add, s, cast(c, mask, s ? s->type.dtype : JC_F32));
}

/* A row of which nothing is seen has neither a largest score nor a sum: it gets 0 and 1 for them. */
static jc_value *weights(copier *c, jc_value *s) {
    jc_value *most = reduce_last(c, JC_OP_amax, s, 1);
    jc_value *unseen = EMIT(c, eq, V(most), jc_arg_float(-INFINITY));
    jc_value *from = EMIT(c, where, V(unseen), jc_arg_float(0), V(most));
    jc_value *e = unary(c, JC_OP_exp, binary(c, JC_OP_sub, s, from));
    jc_value *sum = reduce_last(c, JC_OP_sum, e, 1);
    jc_value *none = EMIT(c, eq, V(sum), jc_arg_float(0));
    return binary(c, JC_OP_div, e, EMIT(c, where, V(none), jc_arg_float(1), V(sum)));
}

/* COUNT columns of X, [parts, ..., L, columns], from START on, with the parts as last dim and DIMS before it. */
static jc_value *columns_of_parts(copier *c, jc_value *x, const jc_expr *start, const jc_expr *count, const jc_expr *const *dims) {
    const jc_expr *order[JC_MAX_RANK], *all[JC_MAX_RANK];
    if (!x)
        return NULL;
    jc_value *part = EMIT(c, slice, V(x), jc_arg_int(c->g, x->type.rank - 1), jc_arg_expr(start), jc_arg_expr(count), jc_arg_int(c->g, 1));
    for (uint32_t d = 0; d < x->type.rank; d++) {
        order[d] = jc_ex_int(c->g->exprs, (d + 1) % x->type.rank);
        all[d] = d + 1u < x->type.rank ? dims[d] : x->type.dims[0];
    }
    part = EMIT(c, permute, V(part), jc_arg_exprs(c->g, order, x->type.rank));
    return EMIT(c, expand, V(part), jc_arg_exprs(c->g, all, x->type.rank));
}

/* Attention by parts of the keys, which are brought to the largest score of all. */
static jc_value *joined_parts(copier *c, const jc_node *n) {
    const jc_type *type = &n->results[0]->type;
    const jc_expr *width = type->dims[type->rank - 1], *one = jc_ex_int(c->g->exprs, 1);
    jc_arg args[7];
    for (uint32_t i = 0; i < 6; i++)
        args[i] = n->args[i].kind == JC_ARG_VALUE ? V(operand(c, n, i)) : n->args[i];
    args[6] = jc_arg_int(c->g, c->parts);
    jc_value *x = emit(c, JC_OP_sdpa_parts, 7, args);
    jc_value *values = columns_of_parts(c, x, jc_ex_int(c->g->exprs, 0), width, type->dims), *top = columns_of_parts(c, x, width, one, type->dims);
    jc_value *total = columns_of_parts(c, x, jc_ex_add(c->g->exprs, width, one), one, type->dims);
    jc_value *most = reduce_last(c, JC_OP_amax, top, 1);
    jc_value *from = EMIT(c, where, V(EMIT(c, eq, V(most), jc_arg_float(-INFINITY))), jc_arg_float(0), V(most));
    jc_value *w = unary(c, JC_OP_exp2, binary(c, JC_OP_sub, top, from));
    jc_value *sum = reduce_last(c, JC_OP_sum, binary(c, JC_OP_mul, total, w), 1), *y = reduce_last(c, JC_OP_sum, binary(c, JC_OP_mul, values, w), 1);
    y = binary(c, JC_OP_div, y, EMIT(c, where, V(EMIT(c, eq, V(sum), jc_arg_float(0))), jc_arg_float(1), V(sum)));
    return cast(c, as_dims(c, y, type->dims, type->rank), type->dtype);
}

static void define_sdpa(copier *c, const jc_node *n, jc_value **out) {
    if (c->parts) {
        out[0] = joined_parts(c, n);
        return;
    }
    jc_value *q = operand(c, n, 0), *k = operand(c, n, 1), *v = operand(c, n, 2);
    const jc_type *type = &n->results[0]->type;
    const jc_expr *keys = k->type.dims[k->type.rank - 2];
    const uint8_t dtype = type->dtype, wide = dtype == JC_F64 ? JC_F64 : JC_F32;
    if (jc_ex_le(c->g->exprs, jc_ex_int(c->g->exprs, 1), keys) == JC_NO) { /* of no keys there is no largest score */
        out[0] = EMIT(c, full, jc_arg_exprs(c->g, type->dims, type->rank), jc_arg_float(0), jc_arg_dtype((jc_dtype)dtype));
        return;
    }
    const bool groups = jc_attention_groups(&q->type, &k->type) > 1;
    if (groups) {
        const jc_expr *heads = k->type.dims[k->type.rank - 3];
        q = grouped(c, q, heads);
        k = grouped(c, k, heads);
        v = grouped(c, v, heads);
    }
    const jc_expr *dims[JC_MAX_RANK];
    for (uint32_t d = 0; d < type->rank; d++)
        dims[d] = d + 1u == type->rank ? keys : type->dims[d];
    jc_value *s = EMIT(c, matmul, V(q), V(transposed(c, k)), jc_arg_dtype((jc_dtype)wide));
    jc_value *p = cast(c, weights(c, scores(c, n, groups ? as_dims(c, s, dims, type->rank) : s)), dtype);
    if (groups && s && p)
        p = as_dims(c, p, s->type.dims, s->type.rank);
    out[0] = EMIT(c, matmul, V(p), V(v), jc_arg_none());
    if (groups)
        out[0] = as_dims(c, out[0], type->dims, type->rank);
}

static void define_silu_and_mul(copier *c, const jc_node *n, jc_value **out) {
    jc_value *x = operand(c, n, 0);
    const jc_type *type = &n->results[0]->type;
    const jc_expr *half = type->dims[type->rank - 1];
    jc_value *gate = slice_last(c, x, jc_ex_int(c->g->exprs, 0), half), *up = slice_last(c, x, half, half);
    jc_value *activated = cast(c, unary(c, JC_OP_silu, widen(c, gate)), x->type.dtype);
    out[0] = binary(c, JC_OP_mul, activated, up);
}

/* The value itself, unless it lies in another's storage. */
static void define_by_device(copier *c, const jc_node *n, jc_value **out) {
    jc_value *x = operand(c, n, c->gpu);
    c->chose = true;
    out[0] = x->def && !x->base ? x : EMIT(c, clone, V(x));
}

/* ---- order ---- */

#define TOPK_AT_ONCE 10 /* the best of a row, one after the other; beyond that a sort is quicker */
#define SORT_RUN 64     /* elements that are sorted by counting */

static jc_value *second(jc_value *first) { return first ? first->def->results[1] : NULL; }

/* 0, 1, ... along dim DIM of a tensor of RANK dims. */
static jc_value *places(copier *c, const jc_expr *count, uint32_t rank, uint32_t dim) {
    const jc_expr *dims[JC_MAX_RANK];
    for (uint32_t d = 0; d < rank; d++)
        dims[d] = d == dim ? count : jc_ex_int(c->g->exprs, 1);
    jc_value *i = EMIT(c, arange, jc_arg_int(c->g, 0), jc_arg_int(c->g, 1), jc_arg_expr(count), jc_arg_dtype(JC_I64));
    return EMIT(c, reshape, V(i), jc_arg_exprs(c->g, dims, rank));
}

/* The first place where X is what is best, or NaN. */
static void arg_extreme(copier *c, const jc_node *n, jc_value **out, jc_op extreme) {
    jc_value *x = operand(c, n, 0);
    const uint32_t dim = (uint32_t)n->args[1].expr->value;
    const jc_expr *count = x->type.dims[dim];
    const jc_arg dims = jc_arg_list(c->g, &n->args[1], 1);
    jc_value *best = emit(c, extreme, 3, (jc_arg[]){ V(x), dims, jc_arg_bool(true) });
    jc_value *hit = binary(c, JC_OP_eq, x, best);
    if (jc_dtypes[x->type.dtype].cls == 'f')
        hit = binary(c, JC_OP_bitor, hit, binary(c, JC_OP_ne, x, x));
    jc_value *place = EMIT(c, where, V(hit), V(places(c, count, x->type.rank, dim)), jc_arg_expr(count));
    out[0] = EMIT(c, amin, V(place), dims, n->args[2]);
}

static void define_argmax(copier *c, const jc_node *n, jc_value **out) { arg_extreme(c, n, out, JC_OP_amax); }
static void define_argmin(copier *c, const jc_node *n, jc_value **out) { arg_extreme(c, n, out, JC_OP_amin); }

/* Runs that are counted out, and merged by twos until there is one, whatever the symbols are. */
static void sorted(copier *c, jc_value *x, bool descending, jc_value **out) {
    const jc_expr *n = x->type.dims[x->type.rank - 1];
    int64_t lo, hi, run = SORT_RUN;
    if (!jc_ex_range(c->g->exprs, n, &lo, &hi) || hi > JC_SYM_MAX)
        hi = JC_SYM_MAX;
    if (jc_ex_is_const(n, &lo) && lo <= SORT_RUN)
        run = lo > 0 ? lo : 1;
    out[0] = EMIT(c, sort_runs, V(x), jc_arg_int(c->g, run), jc_arg_bool(descending));
    out[1] = second(out[0]);
    for (; run < hi; run *= 2) {
        out[0] = EMIT(c, merge_runs, V(out[0]), V(out[1]), jc_arg_int(c->g, run), jc_arg_bool(descending));
        out[1] = second(out[0]);
    }
}

static void define_sort(copier *c, const jc_node *n, jc_value **out) { sorted(c, operand(c, n, 0), n->args[1].b, out); }

static void define_topk(copier *c, const jc_node *n, jc_value **out) {
    jc_value *x = operand(c, n, 0), *all[2] = { NULL };
    const uint32_t last = x->type.rank - 1u;
    const jc_expr *at = jc_ex_int(c->g->exprs, last);
    int64_t k;
    if (!jc_ex_is_const(n->args[1].expr, &k) || k < 1 || k > TOPK_AT_ONCE) {
        sorted(c, x, n->args[2].b, all);
        for (int i = 0; i < 2; i++)
            out[i] = EMIT(c, clone, V(slice_last(c, all[i], jc_ex_int(c->g->exprs, 0), n->args[1].expr)));
        return;
    }
    for (int i = 0; i < 2; i++) {
        jc_arg parts[TOPK_AT_ONCE];
        for (int64_t r = 0; r < k; r++)
            parts[r] = V(EMIT(c, nth, V(x), jc_arg_exprs(c->g, &at, 1), jc_arg_bool(true), jc_arg_int(c->g, r), n->args[2], jc_arg_bool(i)));
        for (int64_t r = 0; r < k; r++)
            if (!parts[r].value)
                return;
        out[i] = EMIT(c, cat, jc_arg_list(c->g, parts, (uint32_t)k), jc_arg_int(c->g, last));
    }
}

static void (*const definitions[JC_OP_COUNT])(copier *c, const jc_node *n, jc_value **out) = {
#define COMPOSITE(id, ...) [JC_OP_##id] = define_##id,
#define FUSED(id, ...) [JC_OP_##id] = define_##id,
#define OP(...)
#include "ir/ops.def"
};

/* The last value stands for the node's result: it gets its name, and the dims that annotations settled. */
static jitc_status decompose_node(copier *c, const jc_node *n) {
    jc_value *out[JC_MAX_RESULTS] = { NULL };
    c->line = n->line;
    definitions[n->op](c, n, out);
    for (uint32_t i = 0; i < n->nresults && !c->status; i++) {
        const jc_value *was = n->results[i];
        c->map[was->id] = out[i];
        out[i]->name = was->name;
        out[i]->type.dims = was->type.dims;
    }
    return c->status;
}

static void see_used(bool *used, const jc_arg *args, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (args[i].kind == JC_ARG_VALUE)
            used[args[i].value->id] = true;
        else if (args[i].kind == JC_ARG_LIST || args[i].kind == JC_ARG_DICT)
            see_used(used, args[i].list.at, args[i].list.n);
}

/* Leaves out what nothing uses; values are numbered as they come. */
static void drop_unused(jc_func *f, jc_arena *arena) {
    bool *used = JC_NEWN(arena, bool, f->nvalues);
    size_t to = f->nodes.n;
    see_used(used, f->outputs, f->noutputs);
    for (size_t i = f->nodes.n; i-- > 0;) {
        jc_node *n = f->nodes.at[i];
        bool needed = jc_ops[n->op].traits & JC_EFFECT;
        for (uint32_t k = 0; k < n->nresults; k++)
            needed |= used[n->results[k]->id];
        if (!needed)
            continue;
        see_used(used, n->args, n->nargs);
        f->nodes.at[--to] = n;
    }
    f->nodes.n -= to;
    memmove(f->nodes.at, f->nodes.at + to, f->nodes.n * sizeof *f->nodes.at);
    f->nvalues = f->nparams;
    for (size_t i = 0; i < f->nodes.n; i++)
        for (uint32_t k = 0; k < f->nodes.at[i]->nresults; k++)
            f->nodes.at[i]->results[k]->id = f->nvalues++;
}

jitc_status jc_decompose(const jc_func *f, bool gpu, uint32_t (*keep)(void *user, const jc_node *n), void *user, jc_func **out,
                         jc_error *err) {
    copier c = { .g = f->graph, .err = err, .gpu = gpu };
    c.to = jc_func_new(f->graph, f->name);
    c.map = JC_NEWN(c.g->arena, jc_value *, f->nvalues);
    c.to->line = f->line;
    c.to->tuple = f->tuple;
    copy_params(&c, f);
    for (size_t i = 0; i < f->nodes.n; i++) {
        const jc_node *n = f->nodes.at[i];
        c.parts = definitions[n->op] && keep ? keep(user, n) : 0;
        if (definitions[n->op] && c.parts != 1)
            JC_TRY(decompose_node(&c, n));
        else
            copy_node(&c, n);
    }
    c.to->noutputs = f->noutputs;
    c.to->outputs = copy_args(&c, f->outputs, f->noutputs);
    if (c.chose)
        drop_unused(c.to, c.g->arena);
    *out = c.to;
    return JITC_OK;
}
