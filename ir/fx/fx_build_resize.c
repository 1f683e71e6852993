/*
 * ir/fx/fx_build_resize.c - interpolation: the nearest element, or the neighbours along each dim weighed by how near they are; at places that
 * follow from the result's, or that a tensor gives.
 *
 * Where an element comes from is computed in f32, as PyTorch does, at the cost of no memory.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

typedef enum way { NEAREST, EXACT, LINEAR } way;

/* What becomes of one dim: its size, and how far apart in it the elements lie that are neighbours afterwards. */
typedef struct axis {
    const jc_expr *size;
    double step;
    bool corners; /* the first and the last element stay where they are */
} axis;

static const jc_expr *whole(fx_reader *r, int64_t i) {
    return jc_ex_int(fx_x(r), i);
}

static jc_value *with(fx_reader *r, jc_op op, jc_value *x, double number) {
    return FX_OP(r, op, fx_v(x), jc_arg_float(number));
}

/* Where the elements of the result lie in the operand, in f32. */
static jc_value *places(fx_reader *r, const axis *a, way how) {
    jc_value *i = fx_cast(r, FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_e(a->size), jc_arg_dtype(JC_I64)), JC_F32);
    if (how == NEAREST || (how == LINEAR && a->corners))
        return with(r, JC_OP_mul, i, a->step);
    i = with(r, JC_OP_mul, with(r, JC_OP_add, i, 0.5), a->step);
    return how == EXACT ? i : FX_OP(r, JC_OP_clamp, fx_v(with(r, JC_OP_sub, i, 0.5)), jc_arg_float(0), fx_nothing());
}

/* X along D at INDEX, which is held within it. */
static jc_value *take(fx_reader *r, jc_value *x, int d, jc_value *index) {
    if (!x)
        return NULL;
    const jc_arg last = fx_e(jc_ex_sub(fx_x(r), x->type.dims[d], whole(r, 1)));
    jc_value *within = FX_OP(r, JC_OP_clamp, fx_v(index), fx_i(r, 0), last);
    return FX_OP(r, JC_OP_take, fx_v(x), fx_i(r, d), fx_v(within), jc_arg_bool(false));
}

/* X along D as A says; of f32 at least where it is weighed. */
static jc_value *resized(fx_reader *r, jc_value *x, int d, const axis *a, way how) {
    const jc_expr *dims[JC_MAX_RANK];
    jc_value *at = places(r, a, how), *below = FX_OP(r, JC_OP_floor, fx_v(at)), *index = below ? fx_cast(r, below, JC_I64) : NULL;
    if (how != LINEAR || !x || !index)
        return take(r, x, d, index);
    for (int k = d; k < fx_rank(x); k++)
        dims[k - d] = k == d ? a->size : whole(r, 1);
    jc_value *share = fx_reshape(r, FX_OP(r, JC_OP_sub, fx_v(at), fx_v(below)), dims, (uint32_t)(fx_rank(x) - d));
    jc_value *rest = FX_OP(r, JC_OP_sub, jc_arg_float(1), fx_v(share));
    jc_value *first = take(r, x, d, index), *second = take(r, x, d, FX_OP(r, JC_OP_add, fx_v(index), fx_i(r, 1)));
    return FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_mul, fx_v(first), fx_v(rest))), fx_v(FX_OP(r, JC_OP_mul, fx_v(second), fx_v(share))));
}

static jc_arg interpolated(fx_call *c, jc_value *x, const axis *a, int n, way how) {
    fx_reader *r = c->r;
    jc_value *y = how == LINEAR ? fx_cast(r, x, x->type.dtype == JC_F64 ? JC_F64 : JC_F32) : x;
    for (int k = n; k-- > 0;)
        y = resized(r, y, fx_rank(x) - n + k, &a[k], how);
    return fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
}

/* --- arguments --- */

/* Number K of the list, or the one number, that argument I is; false where there is none. */
static bool number_at(fx_call *c, int i, int k, jc_arg *out) {
    *out = c->a[i];
    if (out->kind == JC_ARG_LIST)
        *out = out->list.n == 1 ? out->list.at[0] : (uint32_t)k < out->list.n ? out->list.at[k] : fx_nothing();
    return out->kind == JC_ARG_EXPR || out->kind == JC_ARG_FLOAT;
}

static double as_double(jc_arg a) {
    int64_t i = 0;
    if (a.kind == JC_ARG_EXPR)
        jc_ex_is_const(a.expr, &i);
    return a.kind == JC_ARG_FLOAT ? a.f : (double)i;
}

/* DIM becomes SIZE, or SCALE times as large where that is not given. */
static bool axis_of(fx_call *c, const jc_expr *dim, const jc_arg *size, const jc_arg *scale, bool corners, axis *out) {
    fx_reader *r = c->r;
    int64_t from = 0, to = 0;
    const double by = scale ? as_double(*scale) : 0;
    const bool known = jc_ex_is_const(dim, &from);
    out->corners = corners;
    if (!size && scale && by == floor(by) && by > 0)
        out->size = jc_ex_mul(fx_x(r), dim, whole(r, (int64_t)by));
    else if (!size && scale && known)
        out->size = whole(r, (int64_t)floor((double)from * by));
    else if (size && size->kind == JC_ARG_EXPR)
        out->size = size->expr;
    else
        out->size = NULL;
    const bool both = out->size && known && jc_ex_is_const(out->size, &to);
    if (!out->size || (!both && (corners || !scale))) {
        fx_refuse_arg(c, 1, "the sizes have to be constants, or whole multiples");
        return false;
    }
    if (corners)
        out->step = to > 1 ? (double)(float)((float)(from - 1) / (float)(to - 1)) : 0;
    else
        out->step = scale && by > 0 ? (double)(float)(1 / by) : (double)((float)from / (float)to);
    return true;
}

/* The last N dims of X, by sizes in argument SIZE and scales in SCALE (a list, or each in an argument of its own). */
static bool axes_of(fx_call *c, const jc_value *x, int n, int size, int scale, bool corners, axis *out) {
    const bool apart = c->a[scale].kind != JC_ARG_LIST && !(c->row->aux & 128);
    for (int k = 0; k < n; k++) {
        jc_arg s, f;
        const bool sized = number_at(c, size, k, &s), scaled = number_at(c, apart ? scale + k : scale, k, &f);
        if (!axis_of(c, x->type.dims[fx_rank(x) - n + k], sized ? &s : NULL, scaled ? &f : NULL, corners, &out[k]))
            return false;
    }
    return true;
}

static bool has_rank(fx_call *c, const jc_value *x, int n) {
    if (x && fx_rank(x) != n + 2)
        fx_bad_arg(c, 0, "a tensor of a batch, channels and what is resized");
    return x && !c->r->status;
}

/* upsample_nearestNd(x, output_size, scales...); upsample_bilinear2d and its like have align_corners before the scales.  Aux: N; 4: the exact
   one, 8: linear. */
jc_arg fx_h_upsample(fx_call *c) {
    const int n = c->row->aux & 3;
    const way how = c->row->aux & 8 ? LINEAR : c->row->aux & 4 ? EXACT : NEAREST;
    jc_value *x = fx_tensor(c, 0);
    axis a[3];
    const bool corners = how == LINEAR && fx_bool(c, 2, false);
    if (!has_rank(c, x, n) || !axes_of(c, x, n, 1, how == LINEAR ? 3 : 2, corners, a))
        return fx_nothing();
    return interpolated(c, x, a, n, how);
}

/* interpolate(x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias).  Aux: 128. */
jc_arg fx_h_interpolate(fx_call *c) {
    static const struct {
        const char *mode;
        way how;
        int n;
    } modes[] = { { "nearest", NEAREST, 0 }, { "nearest-exact", EXACT, 0 }, { "linear", LINEAR, 1 }, { "bilinear", LINEAR, 2 }, { "trilinear", LINEAR, 3 } };
    jc_value *x = fx_tensor(c, 0);
    axis a[3];
    const char *mode = c->a[3].kind == JC_ARG_STR ? c->a[3].str : "nearest";
    if (!x)
        return fx_nothing();
    if (fx_bool(c, 6, false))
        fx_refuse_arg(c, 6, "it smooths");
    const bool again = fx_bool(c, 5, false);
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        if (strcmp(mode, modes[m].mode) != 0)
            continue;
        const int n = modes[m].n ? modes[m].n : fx_rank(x) - 2;
        const bool corners = modes[m].how == LINEAR && fx_bool(c, 4, false);
        if (n < 1 || n > 3 || !has_rank(c, x, n) || !axes_of(c, x, n, 1, 2, corners, a))
            return fx_nothing();
        for (int k = 0; k < n && again && !corners; k++) { /* by the sizes, not by the factor */
            int64_t from, to;
            if (jc_ex_is_const(x->type.dims[2 + k], &from) && jc_ex_is_const(a[k].size, &to) && to)
                a[k].step = (double)((float)from / (float)to);
        }
        return interpolated(c, x, a, n, modes[m].how);
    }
    fx_refuse_arg(c, 3, "nearest, nearest-exact, linear, bilinear and trilinear are");
    return fx_nothing();
}

/* --- at places that a tensor gives --- */

enum { ZEROS, BORDER, REFLECTION };

typedef struct sampling {
    fx_reader *r;
    jc_value *x, *grid; /* of f32 at least */
    int padding;
    bool corners, nearest;
} sampling;

static jc_value *number_by(sampling *s, jc_op op, jc_value *x, double number) {
    return with(s->r, op, x, number);
}

static jc_value *size_by(sampling *s, jc_op op, jc_value *x, const jc_expr *n) {
    return FX_OP(s->r, op, fx_v(x), fx_e(n));
}

/* Places beyond the ends come back; from the middle of the outermost elements, or from their edges. */
static jc_value *reflected(sampling *s, jc_value *at, const jc_expr *n) {
    jc_exprs *t = fx_x(s->r);
    const jc_expr *span = s->corners ? jc_ex_sub(t, n, whole(s->r, 1)) : n;
    const double low = s->corners ? 0 : -0.5;
    if (jc_ex_is(span, 0))
        return number_by(s, JC_OP_mul, at, 0);
    jc_value *beyond = FX_OP(s->r, JC_OP_abs, fx_v(number_by(s, JC_OP_sub, at, low))), *extra = size_by(s, JC_OP_remainder, beyond, span);
    jc_value *times = FX_OP(s->r, JC_OP_floor, fx_v(size_by(s, JC_OP_div, beyond, span))), *odd = number_by(s, JC_OP_remainder, times, 2);
    jc_value *there = number_by(s, JC_OP_add, extra, low), *back = FX_OP(s->r, JC_OP_sub, fx_e(span), fx_v(number_by(s, JC_OP_sub, extra, low)));
    return FX_OP(s->r, JC_OP_where, fx_v(number_by(s, JC_OP_eq, odd, 0)), fx_v(there), fx_v(back));
}

/* Coordinate K of the grid, from [-1, 1], as a place among the N elements of a dim. */
static jc_value *place_of(sampling *s, int64_t k, const jc_expr *n) {
    fx_reader *r = s->r;
    const jc_expr *last = jc_ex_sub(fx_x(r), n, whole(r, 1));
    jc_value *at = number_by(s, JC_OP_add, fx_select(r, s->grid, 3, whole(r, k), r->stmt->at), 1);
    if (s->corners)
        at = size_by(s, JC_OP_mul, number_by(s, JC_OP_div, at, 2), last);
    else
        at = number_by(s, JC_OP_div, number_by(s, JC_OP_sub, size_by(s, JC_OP_mul, at, n), 1), 2);
    if (s->padding == REFLECTION)
        at = reflected(s, at, n);
    if (s->padding != ZEROS)
        at = FX_OP(r, JC_OP_clamp, fx_v(at), fx_i(r, 0), fx_e(last));
    return s->nearest ? FX_OP(r, JC_OP_round, fx_v(at)) : at;
}

/* The element at whole places Y and X, [batch, channels, ...]; 0 outside. */
static jc_value *element_at(sampling *s, jc_value *y, jc_value *x) {
    static const int dims[] = { 0, 2, 3 }, order[] = { 0, 3, 1, 2 };
    fx_reader *r = s->r;
    jc_value *at[2] = { y, x }, *index[3] = { NULL }, *inside = NULL;
    for (int k = 0; k < 2; k++) {
        const jc_arg last = fx_e(jc_ex_sub(fx_x(r), s->x->type.dims[2 + k], whole(r, 1)));
        const jc_arg within = fx_v(FX_OP(r, JC_OP_clamp, fx_v(at[k]), fx_i(r, 0), last));
        jc_value *is = FX_OP(r, JC_OP_eq, fx_v(at[k]), within);
        inside = inside ? FX_OP(r, JC_OP_bitand, fx_v(inside), fx_v(is)) : is;
        jc_value *sound = FX_OP(r, JC_OP_where, fx_v(is), within, fx_i(r, 0)); /* NaN is nowhere */
        index[1 + k] = sound ? fx_cast(r, sound, JC_I64) : NULL;
    }
    const jc_expr *batch[] = { s->x->type.dims[0], whole(r, 1), whole(r, 1) };
    index[0] = fx_reshape(r, fx_counted(r, batch[0]), batch, 3);
    if (r->status)
        return NULL;
    jc_value *taken = fx_permute(r, fx_pick(r, s->x, dims, index, 3, false), order);
    return FX_OP(r, JC_OP_where, fx_v(inside ? fx_unsqueeze(r, inside, 1) : NULL), fx_v(taken), fx_i(r, 0));
}

/* The four around a place, weighed by how near they are: in PyTorch's order. */
static jc_value *around(sampling *s, jc_value *y, jc_value *x) {
    fx_reader *r = s->r;
    jc_value *at[2][2] = { { FX_OP(r, JC_OP_floor, fx_v(y)) }, { FX_OP(r, JC_OP_floor, fx_v(x)) } }, *share[2][2], *sum = NULL;
    for (int k = 0; k < 2; k++) {
        const jc_arg place = fx_v(k ? x : y);
        at[k][1] = number_by(s, JC_OP_add, at[k][0], 1);
        share[k][0] = FX_OP(r, JC_OP_sub, fx_v(at[k][1]), place);
        share[k][1] = FX_OP(r, JC_OP_sub, place, fx_v(at[k][0]));
    }
    for (int i = 0; i < 4 && !r->status; i++) {
        jc_value *weight = FX_OP(r, JC_OP_mul, fx_v(share[1][i & 1]), fx_v(share[0][i >> 1]));
        jc_value *one = FX_OP(r, JC_OP_mul, fx_v(element_at(s, at[0][i >> 1], at[1][i & 1])), fx_v(weight ? fx_unsqueeze(r, weight, 1) : NULL));
        sum = sum ? FX_OP(r, JC_OP_add, fx_v(sum), fx_v(one)) : one;
    }
    return sum;
}

/* Which of the words, or the number of one, argument I is. */
static int which(fx_call *c, int i, const char *const *words, int n) {
    int64_t k = 0;
    if (c->a[i].kind == JC_ARG_STR)
        while (k < n && strcmp(c->a[i].str, words[k]) != 0)
            k++;
    else
        k = fx_int(c, i, 0);
    if (k < 0 || k >= n)
        fx_bad_arg(c, i, "one of PyTorch's modes");
    return c->r->status ? 0 : (int)k;
}

/* grid_sample(x, grid, mode, padding_mode, align_corners), grid_sampler_2d: the modes as words or numbers */
jc_arg fx_h_grid_sample(fx_call *c) {
    static const char *const modes[] = { "bilinear", "nearest", "bicubic" }, *const paddings[] = { "zeros", "border", "reflection" };
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *grid = fx_tensor(c, 1);
    const int mode = which(c, 2, modes, 3);
    sampling s = { .r = r, .padding = which(c, 3, paddings, 3), .corners = fx_bool(c, 4, false), .nearest = mode == 1 };
    if (!x || !grid || r->status)
        return fx_nothing();
    if (mode == 2)
        fx_refuse_arg(c, 2, "bilinear and nearest are");
    if (fx_rank(x) != 4 || fx_rank(grid) != 4)
        fx_refuse_arg(c, 0, "images of two dimensions are");
    const jc_dtype wide = x->type.dtype == JC_F64 ? JC_F64 : JC_F32;
    s.x = fx_cast(r, x, wide);
    s.grid = r->status ? NULL : fx_cast(r, grid, wide);
    if (!s.grid)
        return fx_nothing();
    jc_value *px = place_of(&s, 0, x->type.dims[3]), *py = place_of(&s, 1, x->type.dims[2]);
    jc_value *y = r->status ? NULL : s.nearest ? element_at(&s, py, px) : around(&s, py, px);
    return fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
}
