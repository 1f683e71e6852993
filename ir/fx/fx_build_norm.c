/*
 * ir/fx/fx_build_norm.c - spellings that normalise over channels or classes, and losses over classes, in simpler operators.
 *
 * All of them compute in f32 at least and round once, as PyTorch's kernels do.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

static jc_dtype wide_of(const jc_value *x) {
    return x->type.dtype == JC_F64 ? JC_F64 : JC_F32;
}

static jc_value *widened(fx_reader *r, jc_value *x) {
    return x ? fx_cast(r, x, wide_of(x)) : NULL;
}

static jc_value *binary(fx_reader *r, jc_op op, jc_value *a, jc_value *b) {
    return FX_OP(r, op, fx_v(a), fx_v(b));
}

/* Sum, mean or extreme over DIM. */
static jc_value *over(fx_reader *r, jc_op op, jc_value *x, int dim, bool keep) {
    const jc_arg dims = jc_arg_list(r->graph, (jc_arg[]){ fx_i(r, dim) }, 1), args[] = { fx_v(x), dims, jc_arg_bool(keep), fx_nothing() };
    return fx_op(r, op, args, jc_ops[op].nargs);
}

/* --- over channels --- */

/* Tensor argument I, one number a channel, as it broadcasts with X, in f32 at least; NULL where it is None. */
static jc_value *per_channel(fx_call *c, int i, const jc_value *x) {
    jc_value *v = fx_given(c, i) ? fx_tensor(c, i) : NULL;
    return v ? fx_channels(c->r, fx_cast(c->r, v, wide_of(x)), fx_rank(x)) : NULL;
}

/* y * weight + bias, each where it is there, in X's dtype. */
static jc_arg affine(fx_call *c, jc_value *y, jc_value *weight, jc_value *bias, const jc_value *x) {
    if (weight)
        y = binary(c->r, JC_OP_mul, y, weight);
    if (bias)
        y = binary(c->r, JC_OP_add, y, bias);
    return fx_v(y ? fx_cast(c->r, y, (jc_dtype)x->type.dtype) : NULL);
}

/* --- statistics --- */

/* Mean and variance of X over some of its dims, which are kept, in f32 at least; of so many elements each. */
typedef struct moments {
    jc_value *mean, *var;
    const jc_expr *count;
    bool training; /* seen, not given */
} moments;

/* Over the dims from FIRST on; CHANNEL: but for that one (-1: none). */
static moments moments_of(fx_reader *r, jc_value *x, int first, int channel) {
    jc_arg dims[JC_MAX_RANK];
    uint32_t n = 0;
    moments m = { .count = jc_ex_int(fx_x(r), 1), .training = true };
    for (int d = first; d < fx_rank(x); d++) {
        if (d == channel)
            continue;
        m.count = jc_ex_mul(fx_x(r), m.count, x->type.dims[d]);
        dims[n++] = fx_i(r, d);
    }
    const jc_arg wide = fx_v(widened(r, x)), over = jc_arg_list(r->graph, dims, n), keep = jc_arg_bool(true);
    m.mean = FX_OP(r, JC_OP_mean, wide, over, keep, fx_nothing());
    const jc_arg apart = fx_v(FX_OP(r, JC_OP_sub, wide, fx_v(m.mean)));
    m.var = FX_OP(r, JC_OP_mean, fx_v(FX_OP(r, JC_OP_mul, apart, apart)), over, keep, fx_nothing());
    return m;
}

static jc_value *inverse_deviation(fx_reader *r, jc_value *var, double eps) {
    return FX_OP(r, JC_OP_rsqrt, fx_v(FX_OP(r, JC_OP_add, fx_v(var), jc_arg_float(eps))));
}

/* What result K of the call at hand is annotated with; NULL: nothing. */
static const jc_type *noted(fx_call *c, uint32_t k) {
    for (const fx_element *e = c->r->stmt->elements; e && !c->r->status; e = e->next) {
        const fx_note *note = e->index == k && e->note ? fx_note_of(c->r, e->note, c->at) : NULL;
        if (note && note->known && note->type.kind == JC_TENSOR)
            return &note->type;
    }
    return NULL;
}

/* The dtype of result K: as annotated, else F32 where one of the arguments FROM to TO is, else X's. */
static jc_dtype dtype_of_result(fx_call *c, const jc_value *x, uint32_t k, int from, int to) {
    const jc_type *note = noted(c, k);
    if (note)
        return (jc_dtype)note->dtype;
    for (int i = from; i <= to; i++)
        if (fx_is_tensor(c->a[i]) && c->a[i].value->type.dtype == JC_F32)
            return JC_F32;
    return (jc_dtype)x->type.dtype;
}

/* V as a result of DIMS. */
static jc_arg statistic(fx_reader *r, jc_value *v, const jc_expr *const *dims, int rank, jc_dtype dtype) {
    v = fx_reshape(r, v, dims, (uint32_t)rank);
    return fx_v(v ? fx_cast(r, v, dtype) : NULL);
}

/* Where a spelling of batch_norm has its arguments. */
static const struct places {
    uint8_t weight, bias, mean, var, training, momentum, eps; /* training 0: never; 255: always */
} batch_places[] = { { 3, 4, 1, 2, 5, 6, 7 }, { 1, 2, 3, 4, 5, 6, 7 }, { 1, 2, 3, 4, 0, 5, 6 }, { 1, 2, 3, 4, 255, 5, 6 } };

/* What argument I, a running statistic, is after SEEN, which has its dims; in f32 at least. */
static jc_value *moved_on(fx_call *c, int i, jc_value *seen, double momentum) {
    fx_reader *r = c->r;
    jc_value *was = fx_tensor(c, i);
    if (!was || !seen)
        return NULL;
    jc_value *wide = widened(r, was), *kept = FX_OP(r, JC_OP_mul, fx_v(wide), jc_arg_float(1 - momentum));
    return binary(r, JC_OP_add, FX_OP(r, JC_OP_mul, fx_v(seen), jc_arg_float(momentum)), kept);
}

/* The running mean and variance after M, of [channels], or None. */
static void running_after(fx_call *c, const struct places *at, const moments *m, const jc_expr *channels, jc_arg out[2]) {
    fx_reader *r = c->r;
    const double momentum = fx_float(c, at->momentum, 0.1);
    out[0] = out[1] = fx_nothing();
    if (fx_given(c, at->mean))
        out[0] = fx_v(moved_on(c, at->mean, fx_reshape(r, m->mean, &channels, 1), momentum));
    if (!fx_given(c, at->var) || r->status)
        return;
    jc_value *sum = FX_OP(r, JC_OP_mul, fx_v(fx_reshape(r, m->var, &channels, 1)), fx_e(m->count));
    jc_value *var = FX_OP(r, JC_OP_div, fx_v(sum), fx_e(jc_ex_sub(fx_x(r), m->count, jc_ex_int(fx_x(r), 1))));
    out[1] = fx_v(moved_on(c, at->var, var, momentum));
}

static void write_running(fx_call *c, const struct places *at, const jc_arg running[2]) {
    for (int k = 0; k < 2; k++)
        if (fx_is_tensor(running[k]) && !c->r->status)
            fx_write(c->r, fx_tensor(c, k ? at->var : at->mean), running[k]);
}

/* (x - mean) / sqrt(var + eps) * weight + bias, as x * scale + shift. */
static jc_arg normed(fx_call *c, const struct places *at, jc_value *x, jc_value *mean, jc_value *var) {
    fx_reader *r = c->r;
    jc_value *weight = per_channel(c, at->weight, x), *bias = per_channel(c, at->bias, x);
    jc_value *scale = inverse_deviation(r, var, fx_float(c, at->eps, 1e-5));
    if (weight)
        scale = binary(r, JC_OP_mul, scale, weight);
    jc_value *shift = binary(r, JC_OP_mul, mean, scale);
    shift = bias ? binary(r, JC_OP_sub, bias, shift) : FX_OP(r, JC_OP_neg, fx_v(shift));
    return affine(c, widened(r, x), scale, shift, x);
}

enum { WITH_STATISTICS = 16, WITHOUT_RUNNING = 32, RESERVED = 64, FUNCTIONAL = 128 };

/* What batch_norm gives beside its result: mean and 1/deviation, which out of training have no elements on CPUs; then, by AUX, bytes that cuDNN would use,
   and the running ones. */
static jc_arg with_statistics(fx_call *c, jc_arg y, const jc_value *x, const struct places *at, const moments *m, const jc_arg running[2]) {
    fx_reader *r = c->r;
    const uint8_t aux = c->row->aux;
    const jc_expr *none = jc_ex_int(fx_x(r), 0), *channels = x->type.dims[1];
    jc_arg out[6] = { y };
    uint32_t n = 1;
    for (uint32_t k = 1; k < 3; k++) {
        const jc_dtype dtype = dtype_of_result(c, x, k, at->weight, at->var);
        const jc_type *note = noted(c, k);
        const bool there = m->training || (note && note->rank == 1 && !jc_ex_is(note->dims[0], 0));
        jc_value *v = !there ? NULL : k == 1 ? m->mean : inverse_deviation(r, m->var, fx_float(c, at->eps, 1e-5));
        out[n++] = there ? statistic(r, v, &channels, 1, dtype) : fx_v(FX_OP(r, JC_OP_full, fx_dims(r, &none, 1), fx_i(r, 0), jc_arg_dtype(dtype)));
    }
    if (aux & RESERVED)
        out[n++] = fx_v(FX_OP(r, JC_OP_full, fx_dims(r, &none, 1), fx_i(r, 0), jc_arg_dtype(JC_U8)));
    for (int k = 0; k < 2 && aux & FUNCTIONAL && !r->status; k++) {
        jc_value *was = fx_tensor(c, k ? at->var : at->mean), *now = fx_is_tensor(running[k]) ? running[k].value : FX_OP(r, JC_OP_clone, fx_v(was));
        const jc_type *note = noted(c, n);
        out[n++] = fx_v(now && was ? fx_cast(r, now, (jc_dtype)(note ? note : &was->type)->dtype) : NULL);
    }
    return fx_list(r, out, n);
}

static jc_arg batch_norm(fx_call *c, const struct places *at, uint8_t aux) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x || fx_rank(x) < 2) {
        if (x && fx_rank(x) && jc_ex_is(x->type.dims[0], 0))
            return fx_v(FX_OP(r, JC_OP_clone, fx_v(x)));
        if (x)
            fx_bad_arg(c, 0, "a tensor of two dimensions at least");
        return fx_nothing();
    }
    const bool training = at->training == 255 || (at->training && fx_bool(c, at->training, false));
    moments m = { .training = training };
    jc_arg running[2] = { fx_nothing(), fx_nothing() };
    if (training) {
        m = moments_of(r, x, 0, 1);
        running_after(c, at, &m, x->type.dims[1], running);
    } else {
        m.mean = per_channel(c, at->mean, x);
        m.var = per_channel(c, at->var, x);
        if (!m.mean || !m.var)
            fx_tensor(c, !m.mean ? at->mean : at->var);
    }
    const jc_arg y = r->status ? fx_nothing() : normed(c, at, x, m.mean, m.var);
    if (!(aux & FUNCTIONAL))
        write_running(c, at, running);
    return aux & WITH_STATISTICS && !r->status ? with_statistics(c, y, x, at, &m, running) : y;
}

/* Aux: which order of arguments; 16: with statistics; 32: has an overload without running ones; 64: and with reserved bytes; 128: the running ones
   are results, not written. */
jc_arg fx_h_batch_norm(fx_call *c) {
    if (c->row->aux & WITHOUT_RUNNING && c->a[3].kind == JC_ARG_BOOL) { /* .no_stats: without the running ones */
        memmove(c->a + 5, c->a + 3, sizeof *c->a * 3);
        c->a[3] = c->a[4] = fx_nothing();
    }
    return batch_norm(c, &batch_places[c->row->aux & 15], c->row->aux);
}

/* The channels of each of GROUPS, and all that lies behind, as one row that is normalised. */
static jc_value *by_groups(fx_call *c, jc_value *x, const jc_expr *groups, double eps) {
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    int64_t channels, n;
    if (fx_rank(x) < 2) {
        fx_bad_arg(c, 0, "a tensor of two dimensions at least");
        return NULL;
    }
    if (jc_ex_is_const(groups, &n) && jc_ex_is_const(x->type.dims[1], &channels) && (n <= 0 || channels % n)) {
        fx_fail(r, JITC_E_INPUT, c->at, "`%s` cannot make %lld groups of %lld channels.", c->row->name, (long long)n, (long long)channels);
        return NULL;
    }
    const jc_expr *row = jc_ex_fdiv(t, x->type.dims[1], groups);
    for (int d = 2; d < fx_rank(x); d++)
        row = jc_ex_mul(t, row, x->type.dims[d]);
    jc_value *rows = fx_reshape(r, widened(r, x), (const jc_expr *[]){ x->type.dims[0], groups, row }, 3);
    jc_value *y = FX_OP(r, JC_OP_layer_norm, fx_v(rows), fx_i(r, 1), fx_nothing(), fx_nothing(), jc_arg_float(eps));
    return fx_reshape(r, y, x->type.dims, x->type.rank);
}

jc_arg fx_h_group_norm(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    jc_value *y = by_groups(c, x, fx_expr(c, 1), fx_float(c, 4, 1e-5)), *weight = per_channel(c, 2, x);
    return affine(c, y, weight, per_channel(c, 3, x), x);
}

/* native_group_norm(x, weight, bias, N, C, HxW, groups, eps), with mean and 1/deviation of each group. */
jc_arg fx_h_native_group_norm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const jc_expr *groups = fx_expr(c, 6);
    jc_value *y = by_groups(c, x, groups, fx_float(c, 7, 1e-5)), *weight = per_channel(c, 1, x);
    const jc_arg result = affine(c, y, weight, per_channel(c, 2, x), x);
    if (r->status)
        return fx_nothing();
    const jc_expr *all = jc_ex_product(fx_x(r), x->type.dims + 1, x->type.rank - 1u), *dims[3] = { x->type.dims[0], groups, jc_ex_fdiv(fx_x(r), all, groups) };
    const moments m = moments_of(r, fx_reshape(r, x, dims, 3), 2, -1);
    jc_value *inverse = inverse_deviation(r, m.var, fx_float(c, 7, 1e-5));
    return fx_list(r, (jc_arg[]){ result, statistic(r, m.mean, dims, 2, dtype_of_result(c, x, 1, 1, 2)),
                                  statistic(r, inverse, dims, 2, dtype_of_result(c, x, 2, 1, 2)) }, 3);
}

/* native_layer_norm(x, normalized_shape, weight, bias, eps), with mean and 1/deviation of each row, whose dims are kept. */
jc_arg fx_h_native_layer_norm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const jc_arg y = fx_h_layer_norm(c);
    if (!x || r->status)
        return fx_nothing();
    const int n = c->a[1].kind == JC_ARG_LIST ? (int)c->a[1].list.n : 1, lead = fx_rank(x) - n;
    const jc_expr *dims[JC_MAX_RANK];
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = d < lead ? x->type.dims[d] : jc_ex_int(fx_x(r), 1);
    const moments m = moments_of(r, x, lead, -1);
    jc_value *inverse = inverse_deviation(r, m.var, fx_float(c, 4, 1e-5));
    return fx_list(r, (jc_arg[]){ y, statistic(r, m.mean, dims, fx_rank(x), dtype_of_result(c, x, 1, 2, 3)),
                                  statistic(r, inverse, dims, fx_rank(x), dtype_of_result(c, x, 2, 2, 3)) }, 3);
}

/* instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps); aux: torch.instance_norm's order. */
jc_arg fx_h_instance_norm(fx_call *c) {
    static const struct places functional = { 3, 4, 1, 2, 0, 6, 7 }, torch = { 1, 2, 3, 4, 0, 6, 7 };
    fx_reader *r = c->r;
    const struct places *at = c->row->aux ? &torch : &functional;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (!fx_bool(c, 5, true))
        return batch_norm(c, at, 0);
    jc_value *y = by_groups(c, x, fx_rank(x) < 2 ? NULL : x->type.dims[1], fx_float(c, at->eps, 1e-5)), *weight = per_channel(c, at->weight, x);
    const jc_arg result = affine(c, y, weight, per_channel(c, at->bias, x), x);
    if (r->status || !(fx_given(c, at->mean) || fx_given(c, at->var)))
        return result;
    moments m = moments_of(r, x, 2, -1); /* the mean over the batch is what moves the running ones */
    jc_arg running[2];
    m.mean = over(r, JC_OP_mean, m.mean, 0, false);
    m.var = over(r, JC_OP_mean, m.var, 0, false);
    running_after(c, at, &m, x->type.dims[1], running);
    write_running(c, at, running);
    return result;
}

/* --- over classes --- */

/* X less the logarithm of its e^x together, in f32 at least; a number is a row of one. */
static jc_value *log_softmax(fx_reader *r, jc_value *x, int dim) {
    const jc_expr *one = jc_ex_int(fx_x(r), 1);
    jc_value *row = !fx_rank(x) ? fx_reshape(r, x, &one, 1) : x;
    row = widened(r, row);
    jc_value *off = binary(r, JC_OP_sub, row, over(r, JC_OP_amax, row, dim, true));
    jc_value *sum = over(r, JC_OP_sum, FX_OP(r, JC_OP_exp, fx_v(off)), dim, true);
    jc_value *y = binary(r, JC_OP_sub, off, FX_OP(r, JC_OP_log, fx_v(sum)));
    return y && !fx_rank(x) ? fx_reshape(r, y, NULL, 0) : y;
}

/* Aux: where the dtype stands; 0: whether half becomes f32 does, in place 2. */
jc_arg fx_h_log_softmax(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const int dim = fx_given_dim(c, 1, fx_rank(x));
    const jc_arg own = jc_arg_dtype((jc_dtype)x->type.dtype);
    const jc_arg dtype = c->row->aux ? fx_dtype_or(c, c->row->aux, own) : fx_bool(c, 2, false) ? jc_arg_dtype(JC_F32) : own;
    x = dtype.kind == JC_ARG_DTYPE ? fx_cast(r, x, dtype.dtype) : NULL;
    if (!x || fx_class_of(x) != 'f') {
        if (x)
            fx_bad_arg(c, 0, "a tensor of floats, or a dtype given that is one");
        return fx_nothing();
    }
    jc_value *y = log_softmax(r, x, dim);
    return fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
}

/* What a loss over classes is made of: sums over the classes, one number a target. */
typedef struct classes {
    int dim;             /* of the classes in the input */
    jc_value *is_target; /* of the input's dims */
    jc_value *counts;    /* is the target not to be ignored? */
    jc_value *weight;    /* as it broadcasts with the input; NULL: none */
    jc_value *own;       /* the targets' weights, 0 where ignored */
} classes;

static jc_value *picked(fx_reader *r, const classes *k, jc_value *x) {
    return over(r, JC_OP_sum, FX_OP(r, JC_OP_where, fx_v(k->is_target), fx_v(x), jc_arg_float(0)), k->dim, false);
}

/* TARGET where it COUNTS, else 0; one that is none of N classes is an index out of range. */
static jc_value *known(fx_reader *r, jc_value *target, jc_value *counts, const jc_expr *n) {
    jc_value *all = fx_counted(r, n), *index = FX_OP(r, JC_OP_where, fx_v(counts), fx_v(target), fx_i(r, 0));
    return index ? FX_OP(r, JC_OP_take, fx_v(all), fx_i(r, 0), fx_v(fx_cast(r, index, JC_I64)), jc_arg_bool(false)) : NULL;
}

static classes classes_of(fx_call *c, const jc_value *x, jc_value *target, int weight, int64_t ignored) {
    fx_reader *r = c->r;
    jc_exprs *t = fx_x(r);
    classes k = { .dim = fx_rank(x) > 1 };
    const jc_expr *n = x->type.dims[k.dim], *dims[JC_MAX_RANK];
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = d == k.dim ? jc_ex_int(t, 1) : x->type.dims[d];
    jc_value *numbers = FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_e(n), jc_arg_dtype(JC_I64));
    numbers = k.dim ? fx_channels(r, numbers, fx_rank(x)) : numbers;
    k.counts = FX_OP(r, JC_OP_ne, fx_v(target), fx_i(r, ignored));
    k.is_target = binary(r, JC_OP_eq, fx_reshape(r, known(r, target, k.counts, n), dims, x->type.rank), numbers);
    k.weight = fx_given(c, weight) ? fx_tensor(c, weight) : NULL;
    jc_value *one = FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), jc_arg_float(1), jc_arg_dtype(wide_of(x)));
    if (k.weight) {
        k.weight = fx_cast(r, k.weight, wide_of(x));
        k.weight = k.dim ? fx_channels(r, k.weight, fx_rank(x)) : k.weight;
        one = picked(r, &k, k.weight);
    }
    k.own = FX_OP(r, JC_OP_where, fx_v(k.counts), fx_v(one), jc_arg_float(0));
    return k;
}

/* 0 none, 1 mean, 2 sum; -1 and a failure for anything else. */
static int reduction_of(fx_call *c, int i) {
    static const char *const words[] = { "none", "mean", "sum" };
    if (!fx_given(c, i))
        return 1;
    for (int k = 0; k < 3; k++)
        if (c->a[i].kind == JC_ARG_STR ? !strcmp(words[k], c->a[i].str) : c->a[i].kind == JC_ARG_EXPR && jc_ex_is(c->a[i].expr, k))
            return k;
    fx_bad_arg(c, i, "'none', 'mean' or 'sum'");
    return -1;
}

/* All of X added up. */
static jc_value *total(fx_reader *r, jc_value *x) {
    jc_arg dims[JC_MAX_RANK];
    if (!x)
        return NULL;
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = fx_i(r, d);
    return FX_OP(r, JC_OP_sum, fx_v(x), jc_arg_list(r->graph, dims, x->type.rank), jc_arg_bool(false), fx_nothing());
}

/* LOSS of each target, which is 0 where it is ignored; the mean is by the targets' weights. */
static jc_value *reduced(fx_reader *r, const classes *k, jc_value *loss, int how) {
    if (!how)
        return loss;
    jc_value *sum = total(r, loss), *shape = loss && k->own ? FX_OP(r, JC_OP_expand, fx_v(k->own), fx_dims(r, loss->type.dims, loss->type.rank)) : NULL;
    return how == 1 ? binary(r, JC_OP_div, sum, total(r, shape)) : sum;
}

/* -logp of the target times its weight. */
static jc_value *nll(fx_reader *r, const classes *k, jc_value *logp) {
    jc_value *own = FX_OP(r, JC_OP_neg, fx_v(picked(r, k, logp)));
    if (k->weight)
        own = binary(r, JC_OP_mul, own, k->own);
    return FX_OP(r, JC_OP_where, fx_v(k->counts), fx_v(own), jc_arg_float(0));
}

/* The arguments of losses over classes, in each order. */
static const struct loss_places {
    uint8_t weight, ignored, reduction, smoothing; /* smoothing 0: none */
} loss_places[] = { { 2, 4, 6, 7 }, { 2, 4, 3, 5 }, { 2, 4, 6, 0 }, { 2, 4, 3, 0 } };

/* nll_loss(logp, target, weight, ...).  Aux: which order of arguments; 16: with the weights' sum. */
jc_arg fx_h_nll_loss(fx_call *c) {
    fx_reader *r = c->r;
    const struct loss_places *at = &loss_places[c->row->aux & 15];
    jc_value *x = fx_tensor(c, 0), *target = fx_tensor(c, 1);
    const int how = reduction_of(c, at->reduction);
    if (!x || !target || how < 0 || !fx_rank(x))
        return fx_nothing();
    const classes k = classes_of(c, x, target, at->weight, fx_int(c, at->ignored, -100));
    jc_value *loss = reduced(r, &k, nll(r, &k, widened(r, x)), how);
    const jc_arg y = fx_v(loss ? fx_cast(r, loss, (jc_dtype)x->type.dtype) : NULL);
    return c->row->aux & 16 ? fx_list(r, (jc_arg[]){ y, fx_opaque("the weight that a loss was divided by, which is not supported") }, 2) : y;
}

/* A share of the loss is what all classes alike would have. */
static jc_value *smoothed(fx_reader *r, const classes *k, jc_value *loss, jc_value *logp, double share, int how) {
    jc_value *all = k->weight ? binary(r, JC_OP_mul, logp, k->weight) : logp;
    all = FX_OP(r, JC_OP_neg, fx_v(over(r, JC_OP_sum, all, k->dim, false)));
    all = reduced(r, k, FX_OP(r, JC_OP_where, fx_v(k->counts), fx_v(all), jc_arg_float(0)), how);
    all = FX_OP(r, JC_OP_mul, fx_v(FX_OP(r, JC_OP_div, fx_v(all), fx_e(logp->type.dims[k->dim]))), jc_arg_float(share));
    return binary(r, JC_OP_add, FX_OP(r, JC_OP_mul, fx_v(loss), jc_arg_float(1 - share)), all);
}

/* Targets are probabilities of the classes. */
static jc_value *soft_entropy(fx_call *c, const struct loss_places *at, jc_value *logp, jc_value *target, int how) {
    fx_reader *r = c->r;
    const int dim = fx_rank(logp) > 1;
    const double share = fx_float(c, at->smoothing, 0);
    target = fx_cast(r, target, (jc_dtype)logp->type.dtype);
    if (share != 0 && target)
        target = FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_mul, fx_v(target), jc_arg_float(1 - share))),
                       fx_v(FX_OP(r, JC_OP_div, fx_v(FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), jc_arg_float(share), jc_arg_dtype((jc_dtype)logp->type.dtype))),
                                  fx_e(logp->type.dims[dim]))));
    jc_value *product = binary(r, JC_OP_mul, logp, target), *weight = per_channel(c, at->weight, logp);
    if (weight)
        product = binary(r, JC_OP_mul, product, weight);
    jc_value *loss = FX_OP(r, JC_OP_neg, fx_v(over(r, JC_OP_sum, product, dim, false)));
    if (!how || !loss)
        return loss;
    const jc_expr *count = jc_ex_int(fx_x(r), 1);
    for (int d = 0; d < fx_rank(loss); d++)
        count = jc_ex_mul(fx_x(r), count, loss->type.dims[d]);
    loss = total(r, loss);
    return how == 1 ? FX_OP(r, JC_OP_div, fx_v(loss), fx_e(count)) : loss;
}

/* cross_entropy(x, target, weight, ...).  Aux: which order of arguments. */
jc_arg fx_h_cross_entropy(fx_call *c) {
    fx_reader *r = c->r;
    const struct loss_places *at = &loss_places[c->row->aux];
    jc_value *x = fx_tensor(c, 0), *target = fx_tensor(c, 1);
    const int how = reduction_of(c, at->reduction);
    if (!x || !target || how < 0 || !fx_rank(x))
        return fx_nothing();
    const double share = fx_float(c, at->smoothing, 0);
    jc_value *logp = log_softmax(r, x, fx_rank(x) > 1), *loss;
    if (!logp)
        return fx_nothing();
    if (fx_class_of(target) == 'f') {
        loss = soft_entropy(c, at, logp, target, how);
    } else {
        const classes k = classes_of(c, x, target, at->weight, fx_int(c, at->ignored, -100));
        loss = reduced(r, &k, nll(r, &k, logp), how);
        if (share != 0 && loss)
            loss = smoothed(r, &k, loss, logp, share, how);
    }
    return fx_v(loss ? fx_cast(r, loss, (jc_dtype)x->type.dtype) : NULL);
}
