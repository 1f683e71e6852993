/*
 * ir/fx/fx_build_count.c - spellings that count: how many elements there are of each kind, and what follows from such numbers.
 *
 * What is counted is compared with all that it may be, in one reduction; nothing is written where indices say.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- histc --- */

/* Argument I as a tensor without dims, of X's dtype. */
static jc_arg bound(fx_call *c, int i, const jc_value *x) {
    return fx_v(FX_OP(c->r, JC_OP_full, fx_dims(c->r, NULL, 0), fx_number_or(c, i, fx_i(c->r, 0)), jc_arg_dtype((jc_dtype)x->type.dtype)));
}

static jc_value *extreme(fx_reader *r, jc_op op, jc_value *x) {
    jc_arg dims[JC_MAX_RANK];
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = fx_i(r, d);
    return FX_OP(r, op, fx_v(x), jc_arg_list(r->graph, dims, x->type.rank), jc_arg_bool(false));
}

/* LEAST and MOST, and where they are one, 1 to each side. */
static void apart(fx_reader *r, jc_arg *least, jc_arg *most) {
    const jc_arg same = fx_v(FX_OP(r, JC_OP_eq, *least, *most));
    const jc_arg below = fx_v(FX_OP(r, JC_OP_sub, *least, fx_i(r, 1))), above = fx_v(FX_OP(r, JC_OP_add, *most, fx_i(r, 1)));
    *least = fx_v(FX_OP(r, JC_OP_where, same, below, *least));
    *most = fx_v(FX_OP(r, JC_OP_where, same, above, *most));
}

/* histc(self, bins, min, max): bounds that are one are those of the data */
jc_arg fx_h_histc(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const double least = fx_float(c, 2, 0), most = fx_float(c, 3, 0);
    if (fx_given(c, 1) && fx_int(c, 1, 100) < 1)
        fx_bad_arg(c, 1, "a number of bins from 1 up");
    if (least > most)
        fx_bad_arg(c, 3, "a bound that is not below `min`");
    if (r->status)
        return fx_nothing();
    const bool of_data = least == most && !jc_ex_is(jc_ex_product(fx_x(r), x->type.dims, x->type.rank), 0);
    c->a[2] = of_data ? fx_v(extreme(r, JC_OP_amin, x)) : bound(c, 2, x);
    c->a[3] = of_data ? fx_v(extreme(r, JC_OP_amax, x)) : bound(c, 3, x);
    if (least == most)
        apart(r, &c->a[2], &c->a[3]);
    return r->status ? fx_nothing() : fx_defined_as(c, "histc");
}

/* N + 1 numbers from LEAST to MOST, of X's dtype: the edges of N bins between them. */
static jc_arg edges_between(fx_call *c, jc_arg least, jc_arg most, int64_t n, const jc_value *x) {
    fx_reader *r = c->r;
    const jc_arg all = fx_v(FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_i(r, n + 1), jc_arg_dtype((jc_dtype)x->type.dtype)));
    const jc_arg step = fx_v(FX_OP(r, JC_OP_div, fx_v(FX_OP(r, JC_OP_sub, most, least)), fx_i(r, n)));
    const jc_arg up = fx_v(FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_mul, all, step)), least)), left = fx_v(FX_OP(r, JC_OP_sub, fx_i(r, n), all));
    const jc_arg down = fx_v(FX_OP(r, JC_OP_sub, most, fx_v(FX_OP(r, JC_OP_mul, left, step))));
    return fx_v(FX_OP(r, JC_OP_where, fx_v(FX_OP(r, JC_OP_lt, all, fx_i(r, (n + 1) / 2))), up, down));
}

/* The edges that arguments 1 and 2 say: a vector of them, or how many bins, and between what. */
static jc_arg edges_of(fx_call *c, jc_value *x) {
    fx_reader *r = c->r;
    if (fx_is_tensor(c->a[1]))
        return c->a[1];
    const int64_t n = fx_int(c, 1, 100);
    jc_arg ends[2] = { fx_nothing(), fx_nothing() };
    if (fx_given(c, 2) && (c->a[2].kind != JC_ARG_LIST || c->a[2].list.n != 2))
        fx_bad_arg(c, 2, "two numbers");
    if (n < 1 || n > (1 << 24))
        fx_bad_arg(c, 1, "a number of bins from 1 to 2**24, or a vector of edges");
    for (int k = 0; k < 2 && !r->status; k++) {
        fx_call one = *c;
        one.a[2] = fx_given(c, 2) ? c->a[2].list.at[k] : fx_i(r, 0);
        ends[k] = fx_given(c, 2) || jc_ex_is(jc_ex_product(fx_x(r), x->type.dims, x->type.rank), 0) ? bound(&one, 2, x) : fx_v(extreme(r, k ? JC_OP_amax : JC_OP_amin, x));
    }
    if (r->status)
        return fx_nothing();
    const jc_arg same = fx_v(FX_OP(r, JC_OP_eq, ends[0], ends[1])), half = jc_arg_float(0.5);
    const jc_arg below = fx_v(FX_OP(r, JC_OP_sub, ends[0], half)), above = fx_v(FX_OP(r, JC_OP_add, ends[1], half));
    ends[0] = fx_v(FX_OP(r, JC_OP_where, same, below, ends[0]));
    ends[1] = fx_v(FX_OP(r, JC_OP_where, same, above, ends[1]));
    return edges_between(c, ends[0], ends[1], n, x);
}

/* histogram(self, bins, range, weight, density): what is in each bin, and the bins' edges */
jc_arg fx_h_histogram(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (fx_class_of(x) != 'f') {
        fx_bad_arg(c, 0, "a tensor of floats");
        return fx_nothing();
    }
    const bool density = fx_bool(c, 4, false);
    c->a[1] = edges_of(c, x);
    if (!fx_given(c, 3))
        c->a[3] = fx_v(FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), fx_i(r, 1), jc_arg_dtype((jc_dtype)x->type.dtype)));
    if (r->status)
        return fx_nothing();
    const jc_arg counts = fx_defined_as(c, density ? "histogram_density" : "histogram");
    return fx_list(r, (jc_arg[]){ counts, c->a[1] }, 2);
}

/* --- of a dim: the commonest element, the middle one of what are numbers --- */

/* What the definition NAME gives of X along DIM: values and places, with a dim of 1 there.  KEEP: it stays. */
static jc_arg along_dim(fx_call *c, const char *name, jc_value *x, int dim, bool keep) {
    fx_reader *r = c->r;
    if (!x || r->status)
        return fx_nothing();
    const bool number = !fx_rank(x);
    c->a[0] = fx_v(number ? fx_flat(r, x) : x);
    c->a[1] = fx_i(r, dim);
    jc_arg both = fx_defined_as(c, name);
    for (uint32_t i = 0; both.kind == JC_ARG_LIST && i < both.list.n && (number || !keep) && !r->status; i++)
        both.list.at[i] = fx_v(fx_squeeze(r, both.list.at[i].value, dim));
    return r->status ? fx_nothing() : both;
}

/* mode(self, dim, keepdim): of several the smallest, and its last place */
jc_arg fx_h_mode(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    return x ? along_dim(c, "mode", x, fx_dim(c, 1, fx_rank(x), fx_rank(x) ? fx_rank(x) - 1 : 0), fx_bool(c, 2, false)) : fx_nothing();
}

/* nanmedian(self, dim, keepdim): without a dim the value alone */
jc_arg fx_h_nanmedian(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (fx_given(c, 1))
        return along_dim(c, "nanmedian", x, fx_dim(c, 1, fx_rank(x), 0), fx_bool(c, 2, false));
    const jc_arg both = along_dim(c, "nanmedian", fx_flat(c->r, x), 0, false);
    return both.kind == JC_ARG_LIST ? both.list.at[0] : both;
}

/* --- places as numbers --- */

/* The part of the places AT, counted through a tensor of DIMS, that is along dim D. */
static jc_value *unravelled(fx_reader *r, jc_value *at, const jc_expr *const *dims, uint32_t rank, uint32_t d) {
    const jc_expr *step = jc_ex_product(fx_x(r), dims + d + 1, rank - d - 1);
    jc_value *y = jc_ex_is(step, 1) ? at : FX_OP(r, JC_OP_floordiv, fx_v(at), fx_e(step));
    return d ? FX_OP(r, JC_OP_remainder, fx_v(y), fx_e(dims[d])) : y;
}

/* unravel_index(indices, shape) */
jc_arg fx_h_unravel_index(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *dims[JC_MAX_RANK];
    jc_arg parts[JC_MAX_RANK];
    jc_value *at = fx_tensor(c, 0);
    const uint32_t rank = fx_exprs(c, 1, dims, JC_MAX_RANK);
    if (!at || rank == UINT32_MAX)
        return fx_nothing();
    for (uint32_t d = 0; d < rank; d++)
        parts[d] = fx_v(unravelled(r, at, dims, rank, d));
    return fx_list(r, parts, rank);
}

/* nonzero_static(self, size, fill_value): places in order, as many as SIZE says */
jc_arg fx_h_nonzero_static(fx_call *c) {
    fx_reader *r = c->r;
    const jc_expr *size = fx_expr(c, 1);
    const jc_arg fill = fx_number_or(c, 2, fx_i(r, -1));
    jc_value *x = fx_tensor(c, 0);
    jc_arg parts[JC_MAX_RANK];
    if (!x || !size || r->status)
        return fx_nothing();
    if (!fx_rank(x)) { /* there is nothing to say of a number's place */
        const jc_expr *dims[2] = { size, jc_ex_int(fx_x(r), 0) };
        return fx_v(FX_OP(r, JC_OP_full, fx_dims(r, dims, 2), fill, jc_arg_dtype(JC_I64)));
    }
    const jc_arg at = fx_defined_as(c, "nonzero_static");
    if (!fx_is_tensor(at) || r->status)
        return fx_nothing();
    jc_value *none = FX_OP(r, JC_OP_lt, at, fx_i(r, 0));
    const jc_expr *dims[JC_MAX_RANK];
    for (uint32_t d = 0; d < x->type.rank; d++) /* of nothing no place is asked for, but the numbers divide all the same */
        dims[d] = jc_ex_max(fx_x(r), x->type.dims[d], jc_ex_int(fx_x(r), 1));
    for (uint32_t d = 0; d < x->type.rank; d++) {
        jc_value *part = unravelled(r, at.value, dims, x->type.rank, d);
        part = FX_OP(r, JC_OP_where, fx_v(none), fill, fx_v(part));
        parts[d] = fx_v(part ? fx_unsqueeze(r, part, 1) : NULL);
    }
    return fx_v(FX_OP(r, JC_OP_cat, jc_arg_list(r->graph, parts, x->type.rank), fx_i(r, 1)));
}

/* unique_consecutive(self, return_inverse, return_counts, dim): which of them each element is; what there is of them is the data's.  Aux: 1: all three
   results. */
jc_arg fx_h_unique_consecutive(fx_call *c) {
    static const char *const sized = "as many elements as there are different ones, which no size says";
    fx_reader *r = c->r;
    jc_arg results[3] = { fx_opaque(sized), fx_opaque(sized), fx_opaque(sized) };
    jc_value *x = fx_tensor(c, 0);
    const bool inverse = c->row->aux || fx_bool(c, 1, false), counts = c->row->aux || fx_bool(c, 2, false);
    if (fx_given(c, 3))
        fx_refuse_arg(c, 3, "elements are compared, not rows");
    if (!x || r->status)
        return fx_nothing();
    if (inverse)
        results[1] = fx_defined_as(c, "unique_consecutive");
    if (!inverse && counts)
        return fx_list(r, results + 1, 2);
    return inverse ? fx_list(r, results, counts ? 3 : 2) : results[0];
}

/* --- elements as often as a tensor says, and sums of groups --- */

jc_value *fx_repeated(fx_call *c, jc_value *repeats, int i, int size) {
    if (!repeats || c->r->status)
        return NULL;
    if (!fx_given(c, size))
        fx_refuse_arg(c, i, "`output_size` has to say how much it gives");
    else if (fx_rank(repeats) != 1)
        fx_bad_arg(c, i, "a vector");
    c->a[i] = fx_v(repeats);
    const jc_arg y = c->r->status ? fx_nothing() : fx_defined_as(c, "repeat_interleave");
    return fx_is_tensor(y) ? y.value : NULL;
}

/* A bag's elements are a row of a matrix of indices, or stand between two offsets. */
typedef struct bags {
    jc_value *index, *table, *offsets, *weights, *counts; /* offsets, weights: or NULL; counts: b8, what is no padding; NULL: all */
    const char *mode;
} bags;

/* In which argument each is: of F.embedding_bag, and of aten's. */
static const struct bag_places {
    int8_t index, table, offsets, mode, weights, ends, padding;
} bag_places[] = { { 0, 1, 2, 6, 8, 9, 10 }, { 1, 0, 2, 4, 6, 7, 8 } };

static const char *bag_mode(fx_call *c, int i, const char *otherwise) {
    static const char *const modes[] = { "sum", "mean", "max" };
    const int64_t number = fx_given(c, i) && c->a[i].kind != JC_ARG_STR ? fx_int(c, i, 0) : -1;
    const char *word = !fx_given(c, i) ? otherwise : c->a[i].kind == JC_ARG_STR ? c->a[i].str : number >= 0 && number < 3 ? modes[number] : "";
    for (size_t k = 0; k < 3; k++)
        if (strcmp(word, modes[k]) == 0)
            return modes[k];
    fx_bad_arg(c, i, "'sum', 'mean' or 'max'");
    return NULL;
}

/* What of the bags' elements counts: not those that PADDING names, argument I. */
static bool leave_out(fx_call *c, bags *b, int i) {
    fx_reader *r = c->r;
    const int64_t padding = fx_int(c, i, -1);
    int64_t n = 0;
    if (!fx_given(c, i) || (c->row->aux && padding < 0) || r->status)
        return !r->status;
    if (padding < 0 && !jc_ex_is_const(b->table->type.dims[0], &n))
        fx_refuse_arg(c, i, "a number from the end needs a table of constant size");
    b->counts = FX_OP(r, JC_OP_ne, fx_v(b->index), fx_i(r, padding < 0 ? padding + n : padding));
    return b->counts != NULL;
}

static bool bags_of(fx_call *c, bags *b) {
    fx_reader *r = c->r;
    const struct bag_places *at = &bag_places[c->row->aux];
    *b = (bags){ .index = fx_tensor(c, at->index), .table = fx_tensor(c, at->table), .mode = bag_mode(c, at->mode, c->row->aux ? "sum" : "mean") };
    if (!b->index || !b->table || r->status)
        return false;
    b->offsets = fx_given(c, at->offsets) ? fx_tensor(c, at->offsets) : NULL;
    b->weights = fx_given(c, at->weights) ? fx_tensor(c, at->weights) : NULL;
    if (fx_rank(b->index) != (b->offsets ? 1 : 2))
        fx_bad_arg(c, at->index, "a matrix, or a vector with offsets");
    if (b->offsets && fx_bool(c, at->ends, false))
        b->offsets = fx_slice(r, b->offsets, 0, jc_ex_int(fx_x(r), 0), jc_ex_sub(fx_x(r), b->offsets->type.dims[0], jc_ex_int(fx_x(r), 1)), 1);
    return !r->status && leave_out(c, b, at->padding);
}

static jc_value *with_last(fx_reader *r, jc_value *x) {
    return x ? fx_unsqueeze(r, x, fx_rank(x)) : NULL;
}

/* Where each bag ends: where the next begins, the last behind all. */
static jc_value *bag_ends(fx_reader *r, const bags *b) {
    const jc_expr *one = jc_ex_int(fx_x(r), 1), *rest = jc_ex_sub(fx_x(r), b->offsets->type.dims[0], one);
    const jc_arg dtype = jc_arg_dtype((jc_dtype)b->offsets->type.dtype);
    jc_value *end = FX_OP(r, JC_OP_full, fx_dims(r, &one, 1), fx_e(b->index->type.dims[0]), dtype), *next = fx_slice(r, b->offsets, 0, one, rest, 1);
    return FX_OP(r, JC_OP_cat, jc_arg_list(r->graph, (jc_arg[]){ fx_v(next), fx_v(end) }, 2), fx_i(r, 0));
}

/* b8[bags, elements]: which elements a bag has. */
static jc_value *members(fx_reader *r, const bags *b) {
    jc_value *is = NULL;
    if (b->offsets) {
        const jc_arg place = fx_v(fx_counted(r, b->index->type.dims[0])), from = fx_v(with_last(r, b->offsets)), to = fx_v(with_last(r, bag_ends(r, b)));
        is = FX_OP(r, JC_OP_bitand, fx_v(FX_OP(r, JC_OP_ge, place, from)), fx_v(FX_OP(r, JC_OP_lt, place, to)));
    } else {
        is = FX_OP(r, JC_OP_full, fx_dims(r, b->index->type.dims, 2), jc_arg_bool(true), jc_arg_dtype(JC_B8));
    }
    return b->counts ? FX_OP(r, JC_OP_bitand, fx_v(is), fx_v(b->counts)) : is;
}

/* The rows of the table that the bags have, weighed: [bags, elements, columns], where a bag lacks one NEUTRAL. */
static jc_value *bag_rows(fx_reader *r, const bags *b, jc_value *is, jc_arg neutral) {
    jc_value *rows = FX_OP(r, JC_OP_take, fx_v(b->table), fx_i(r, 0), fx_v(b->index), jc_arg_bool(false));
    if (b->weights)
        rows = FX_OP(r, JC_OP_mul, fx_v(rows), fx_v(with_last(r, b->weights)));
    return b->offsets || b->counts ? FX_OP(r, JC_OP_where, fx_v(with_last(r, is)), fx_v(rows), neutral) : rows;
}

/* Of bags without elements it is 0. */
static jc_value *bag_maxima(fx_reader *r, const bags *b, jc_value *is, jc_arg dims) {
    jc_value *y = FX_OP(r, JC_OP_amax, fx_v(bag_rows(r, b, is, jc_arg_float(-INFINITY))), dims, jc_arg_bool(false));
    jc_value *any = FX_OP(r, JC_OP_amax, fx_v(is), dims, jc_arg_bool(true));
    return FX_OP(r, JC_OP_where, fx_v(any), fx_v(y), fx_i(r, 0));
}

static jc_value *bag_sums(fx_reader *r, const bags *b, jc_value *is, jc_arg dims) {
    jc_value *y = FX_OP(r, JC_OP_sum, fx_v(bag_rows(r, b, is, fx_i(r, 0))), dims, jc_arg_bool(false), fx_nothing());
    if (strcmp(b->mode, "mean") != 0)
        return y;
    jc_value *n = FX_OP(r, JC_OP_sum, fx_v(is), dims, jc_arg_bool(true), jc_arg_dtype(JC_I64));
    return FX_OP(r, JC_OP_div, fx_v(y), fx_v(FX_OP(r, JC_OP_clamp, fx_v(n), fx_i(r, 1), fx_nothing())));
}

/* --- segments of a dim --- */

/* Where each segment begins and ends: [..., segments] of i64, from their lengths or from N + 1 offsets, in arguments 2 and 4. */
static bool segments_of(fx_call *c, jc_value **from, jc_value **to) {
    fx_reader *r = c->r;
    const jc_expr *one = jc_ex_int(fx_x(r), 1);
    const bool by_length = fx_given(c, 2);
    jc_value *x = fx_tensor(c, by_length ? 2 : 4);
    if (!x || !fx_rank(x) || fx_given(c, 3)) {
        fx_refuse_arg(c, fx_given(c, 3) ? 3 : 2, "lengths or offsets are");
        return false;
    }
    const int last = fx_rank(x) - 1;
    x = fx_cast(r, x, JC_I64);
    if (by_length) {
        *to = FX_OP(r, JC_OP_cumsum, fx_v(x), fx_i(r, last));
        *from = FX_OP(r, JC_OP_sub, fx_v(*to), fx_v(x));
    } else {
        const jc_expr *n = jc_ex_sub(fx_x(r), x->type.dims[last], one);
        *from = fx_slice(r, x, last, jc_ex_int(fx_x(r), 0), n, 1);
        *to = fx_slice(r, x, last, one, n, 1);
    }
    return *from && *to && !r->status;
}

static const struct segment_reduction {
    const char *name;
    jc_op op;
    double neutral;
} segment_reductions[] = { { "sum", JC_OP_sum, 0 }, { "mean", JC_OP_sum, 0 }, { "prod", JC_OP_prod, 1 }, { "max", JC_OP_amax, -INFINITY },
                           { "min", JC_OP_amin, INFINITY } };

/* X with dims of 1 behind, as many as RANK asks for. */
static jc_value *padded_to(fx_reader *r, jc_value *x, int rank) {
    while (x && fx_rank(x) < rank && !r->status)
        x = fx_unsqueeze(r, x, fx_rank(x));
    return x;
}

/* segment_reduce(data, reduce, lengths, indices, offsets, axis, unsafe, initial) */
jc_arg fx_h_segment_reduce(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *from = NULL, *to = NULL;
    const struct segment_reduction *how = NULL;
    for (size_t i = 0; c->a[1].kind == JC_ARG_STR && i < sizeof segment_reductions / sizeof *segment_reductions; i++)
        if (strcmp(segment_reductions[i].name, c->a[1].str) == 0)
            how = &segment_reductions[i];
    if (!how)
        fx_bad_arg(c, 1, "'sum', 'mean', 'prod', 'max' or 'min'");
    const int axis = x ? fx_dim(c, 5, fx_rank(x), 0) : 0;
    if (!x || !how || r->status || !segments_of(c, &from, &to))
        return fx_nothing();
    if (fx_rank(from) != axis + 1 || fx_rank(x) == JC_MAX_RANK || fx_class_of(x) != 'f') {
        fx_refuse_arg(c, 0, "floats, with lengths for all dimensions up to the axis, are");
        return fx_nothing();
    }
    const jc_arg initial = fx_given(c, 7) ? fx_number(c, 7) : jc_arg_float(how->neutral), dim = fx_i(r, axis + 1);
    const jc_arg dims = jc_arg_list(r->graph, &dim, 1), place = fx_v(fx_counted(r, x->type.dims[axis]));
    jc_value *is = FX_OP(r, JC_OP_bitand, fx_v(FX_OP(r, JC_OP_ge, place, fx_v(with_last(r, from)))), fx_v(FX_OP(r, JC_OP_lt, place, fx_v(with_last(r, to)))));
    jc_value *all = fx_unsqueeze(r, x, axis), *none = FX_OP(r, JC_OP_eq, fx_v(from), fx_v(to));
    is = padded_to(r, is, fx_rank(x) + 1);
    none = padded_to(r, none, fx_rank(x));
    all = FX_OP(r, JC_OP_where, fx_v(is), fx_v(all), jc_arg_float(how->neutral));
    const bool sums = how->op == JC_OP_sum || how->op == JC_OP_prod;
    jc_value *y = sums ? FX_OP(r, how->op, fx_v(all), dims, jc_arg_bool(false), fx_nothing()) : FX_OP(r, how->op, fx_v(all), dims, jc_arg_bool(false));
    if (fx_given(c, 7))
        y = FX_OP(r, how->op == JC_OP_sum ? JC_OP_add : how->op == JC_OP_prod ? JC_OP_mul : how->op == JC_OP_amax ? JC_OP_maximum : JC_OP_minimum, fx_v(y), initial);
    if (strcmp(how->name, "mean") == 0) {
        jc_value *n = padded_to(r, FX_OP(r, JC_OP_sub, fx_v(to), fx_v(from)), fx_rank(x));
        const jc_arg nothing = fx_given(c, 7) ? initial : jc_arg_float(NAN);
        y = FX_OP(r, JC_OP_where, fx_v(none), nothing, fx_v(FX_OP(r, JC_OP_div, fx_v(y), fx_v(n))));
    }
    return fx_v(y);
}

/* embedding_bag: sums, means and maxima over bags.  Aux: 1: aten's, whose other results are not there. */
jc_arg fx_h_embedding_bag(fx_call *c) {
    fx_reader *r = c->r;
    bags b;
    if (!c->row->aux && fx_given(c, 3))
        fx_refuse_arg(c, 3, "it would renormalise the table in place");
    if (!bags_of(c, &b))
        return fx_nothing();
    const jc_arg dim = fx_i(r, 1), dims = jc_arg_list(r->graph, &dim, 1), rest = fx_opaque("what embedding_bag keeps for training");
    jc_value *is = members(r, &b), *y = is && !strcmp(b.mode, "max") ? bag_maxima(r, &b, is, dims) : is ? bag_sums(r, &b, is, dims) : NULL;
    return c->row->aux && y ? fx_list(r, (jc_arg[]){ fx_v(y), rest, rest, rest }, 4) : fx_v(y);
}

/* --- combinations --- */

enum { MOST_INDICES = 4096 };

/* The next increasing choice (REPEATED: not decreasing) of R out of N; false behind the last one. */
static bool next_choice(int64_t *at, int64_t r, int64_t n, bool repeated) {
    for (int64_t k = r; k-- > 0;) {
        if (at[k] >= n - (repeated ? 1 : r - k))
            continue;
        at[k]++;
        for (int64_t i = k + 1; i < r; i++)
            at[i] = at[i - 1] + !repeated;
        return true;
    }
    return false;
}

/* combinations(self, r, with_replacement): of the elements of a vector of constant size */
jc_arg fx_h_combinations(fx_call *c) {
    fx_reader *f = c->r;
    jc_value *x = fx_tensor(c, 0);
    const int64_t r = fx_int(c, 1, 2);
    const bool repeated = fx_bool(c, 2, false);
    int64_t n = 0, rows = 0, at[16];
    if (!x || f->status)
        return fx_nothing();
    if (fx_rank(x) != 1 || r < 0)
        fx_bad_arg(c, r < 0, "a vector, and not a negative number of its elements");
    else if (!jc_ex_is_const(x->type.dims[0], &n) || r > 16)
        fx_refuse_arg(c, 0, "a vector of constant size, and up to 16 of its elements, are");
    if (f->status)
        return fx_nothing();
    jc_arg *index = fx_take(f, sizeof *index * MOST_INDICES);
    for (int64_t k = 0; k < r; k++)
        at[k] = repeated ? 0 : k;
    bool is_one = r > 0 && n >= (repeated ? 1 : r);
    for (; is_one && (rows + 1) * r <= MOST_INDICES; rows++) {
        for (int64_t k = 0; k < r; k++)
            index[rows * r + k] = fx_i(f, at[k]);
        is_one = next_choice(at, r, n, repeated);
    }
    if (is_one) {
        fx_refuse_arg(c, 0, "up to 4096 indices are");
        return fx_nothing();
    }
    const jc_expr *dims[2] = { jc_ex_int(fx_x(f), rows), jc_ex_int(fx_x(f), r) };
    jc_value *where = fx_list_tensor(f, fx_list(f, index, (uint32_t)(rows * r)), c->at);
    jc_value *y = FX_OP(f, JC_OP_take, fx_v(x), fx_i(f, 0), fx_v(where), jc_arg_bool(false));
    return fx_v(y ? fx_reshape(f, y, dims + !r, r ? 2 : 1) : NULL);
}
