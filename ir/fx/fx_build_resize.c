/*
 * ir/fx/fx_build_resize.c - interpolation: the nearest element, or the neighbours along each dim weighed by how near they are; at places that
 * follow from the result's, or that a tensor gives.
 *
 * Where an element comes from is computed in f32, as PyTorch does (in f64 for weighed elements of f64), at the cost of no memory.  Against aliasing, all elements of a dim have a
 * weight: a matrix, by which the dim is multiplied.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

typedef enum way { NEAREST, EXACT, LINEAR, CUBIC, AREA } way;

/* What becomes of one dim: its size, and how far apart in it the elements lie that are neighbours afterwards. */
typedef struct axis {
    const jc_expr *size;
    double step;
    bool corners; /* the first and the last element stay where they are */
    bool wide;    /* places are f64 */
} axis;

static const jc_expr *whole(fx_reader *r, int64_t i) {
    return jc_ex_int(fx_x(r), i);
}

static jc_value *with(fx_reader *r, jc_op op, jc_value *x, double number) {
    return FX_OP(r, op, fx_v(x), jc_arg_float(number));
}

/* Where the elements of the result lie in the operand. */
static jc_value *places(fx_reader *r, const axis *a, way how) {
    jc_value *i = fx_cast(r, FX_OP(r, JC_OP_arange, fx_i(r, 0), fx_i(r, 1), fx_e(a->size), jc_arg_dtype(JC_I64)), a->wide ? JC_F64 : JC_F32);
    if (how == NEAREST || (how != EXACT && a->corners))
        return with(r, JC_OP_mul, i, a->step);
    i = with(r, JC_OP_mul, with(r, JC_OP_add, i, 0.5), a->step);
    if (how == EXACT)
        return i;
    i = with(r, JC_OP_sub, i, 0.5);
    return how == CUBIC ? i : FX_OP(r, JC_OP_clamp, fx_v(i), jc_arg_float(0), fx_nothing());
}

/* The cubic convolution of T, a distance below 1: ((a + 2) t - (a + 3)) t^2 + 1; FAR: between 1 and 2: ((a t - 5 a) t + 8 a) t - 4 a (Keys 1981). */
static jc_value *cubic(fx_reader *r, jc_value *t, double a, bool far) {
    jc_value *y = with(r, JC_OP_sub, with(r, JC_OP_mul, t, far ? a : a + 2), far ? 5 * a : a + 3);
    y = FX_OP(r, JC_OP_mul, fx_v(y), fx_v(t));
    y = far ? with(r, JC_OP_add, y, 8 * a) : y;
    return with(r, far ? JC_OP_sub : JC_OP_add, FX_OP(r, JC_OP_mul, fx_v(y), fx_v(t)), far ? 4 * a : 1);
}

/* The weights of the four around a place SHARE behind the second. */
static void cubic_weights(fx_reader *r, jc_value *share, jc_value *out[4]) {
    out[0] = cubic(r, with(r, JC_OP_add, share, 1), -0.75, true);
    out[1] = cubic(r, share, -0.75, false);
    out[2] = cubic(r, FX_OP(r, JC_OP_sub, jc_arg_float(1), fx_v(share)), -0.75, false);
    out[3] = cubic(r, FX_OP(r, JC_OP_sub, jc_arg_float(2), fx_v(share)), -0.75, true);
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
    if (how < LINEAR || !x || !index)
        return take(r, x, d, index);
    for (int k = d; k < fx_rank(x); k++)
        dims[k - d] = k == d ? a->size : whole(r, 1);
    jc_value *share = fx_reshape(r, FX_OP(r, JC_OP_sub, fx_v(at), fx_v(below)), dims, (uint32_t)(fx_rank(x) - d)), *weights[4], *sum = NULL;
    if (how == CUBIC) {
        cubic_weights(r, share, weights);
    } else {
        weights[0] = FX_OP(r, JC_OP_sub, jc_arg_float(1), fx_v(share));
        weights[1] = share;
    }
    for (int k = 0; k < (how == CUBIC ? 4 : 2); k++) {
        jc_value *element = take(r, x, d, FX_OP(r, JC_OP_add, fx_v(index), fx_i(r, how == CUBIC ? k - 1 : k)));
        jc_value *part = FX_OP(r, JC_OP_mul, fx_v(element), fx_v(weights[k]));
        sum = sum ? FX_OP(r, JC_OP_add, fx_v(sum), fx_v(part)) : part;
    }
    return sum;
}

/* --- against aliasing --- */

/* [A->size, N] of DTYPE: how much each of N elements counts, by a triangle or a cubic as wide as what becomes one element. */
static jc_value *smooth_weights(fx_reader *r, const axis *a, const jc_expr *n, way how, jc_dtype dtype) {
    const double wide = a->step >= 1 ? a->step : 1;
    jc_value *to = fx_counted(r, a->size), *from = fx_counted(r, n);
    if (!to || !from)
        return NULL;
    jc_value *centre = with(r, JC_OP_mul, with(r, JC_OP_add, fx_cast(r, to, dtype), 0.5), a->step);
    jc_value *apart = FX_OP(r, JC_OP_sub, fx_v(fx_cast(r, from, dtype)), fx_v(centre ? fx_unsqueeze(r, centre, 1) : NULL));
    apart = FX_OP(r, JC_OP_abs, fx_v(with(r, JC_OP_mul, with(r, JC_OP_add, apart, 0.5), 1 / wide)));
    jc_value *w = FX_OP(r, JC_OP_clamp, fx_v(FX_OP(r, JC_OP_sub, jc_arg_float(1), fx_v(apart))), jc_arg_float(0), fx_nothing());
    if (how == CUBIC) {
        jc_value *far = FX_OP(r, JC_OP_where, fx_v(with(r, JC_OP_lt, apart, 2)), fx_v(cubic(r, apart, -0.5, true)), jc_arg_float(0));
        w = FX_OP(r, JC_OP_where, fx_v(with(r, JC_OP_lt, apart, 1)), fx_v(cubic(r, apart, -0.5, false)), fx_v(far));
    }
    const jc_arg last = jc_arg_list(r->graph, (jc_arg[]){ fx_i(r, 1) }, 1);
    return FX_OP(r, JC_OP_div, fx_v(w), fx_v(FX_OP(r, JC_OP_sum, fx_v(w), last, jc_arg_bool(true), fx_nothing())));
}

/* X's last two dims as A says. */
static jc_value *smoothed(fx_reader *r, jc_value *x, const axis *a, way how) {
    const int rank = fx_rank(x);
    const jc_dtype dtype = (jc_dtype)x->type.dtype;
    jc_value *rows = smooth_weights(r, &a[0], x->type.dims[rank - 2], how, dtype), *columns = smooth_weights(r, &a[1], x->type.dims[rank - 1], how, dtype);
    jc_value *y = FX_OP(r, JC_OP_matmul, fx_v(x), fx_v(fx_permute(r, columns, (const int[]){ 1, 0 })), fx_nothing());
    return FX_OP(r, JC_OP_matmul, fx_v(rows), fx_v(y), fx_nothing());
}

static jc_arg interpolated(fx_call *c, jc_value *x, const axis *a, int n, way how, bool smooth) {
    fx_reader *r = c->r;
    if (how >= LINEAR && fx_class_of(x) != 'f')
        fx_refuse_arg(c, 0, "whole numbers are weighed in a fixed-point arithmetic of PyTorch's own");
    jc_value *y = how >= LINEAR && !r->status ? fx_cast(r, x, x->type.dtype == JC_F64 ? JC_F64 : JC_F32) : x;
    if (smooth)
        y = y ? smoothed(r, y, a, how) : NULL;
    for (int k = n; k-- > 0 && !smooth;)
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

/* A quotient as the axis counts. */
static double step_of(const axis *a, double over, double under) {
    return a->wide ? over / under : (double)((float)over / (float)under);
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
        out->step = to > 1 ? step_of(out, (double)(from - 1), (double)(to - 1)) : 0;
    else
        out->step = scale && by > 0 ? out->wide ? 1 / by : (double)(float)(1 / by) : step_of(out, (double)from, (double)to);
    return true;
}

/* The last N dims of X, by sizes in argument SIZE and scales in SCALE (a list, or each in an argument of its own). */
static bool axes_of(fx_call *c, const jc_value *x, int n, int size, int scale, bool corners, way how, axis *out) {
    const bool apart = c->a[scale].kind != JC_ARG_LIST && !(c->row->aux & 128);
    for (int k = 0; k < n; k++) {
        jc_arg s, f;
        out[k].wide = how >= LINEAR && x->type.dtype == JC_F64;
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
   one, 8: linear, 16: cubic, 32: against aliasing. */
jc_arg fx_h_upsample(fx_call *c) {
    const uint8_t aux = c->row->aux;
    const int n = aux & 3;
    const way how = aux & 16 ? CUBIC : aux & 8 ? LINEAR : aux & 4 ? EXACT : NEAREST;
    jc_value *x = fx_tensor(c, 0);
    axis a[3];
    const bool corners = how >= LINEAR && fx_bool(c, 2, false);
    if (!has_rank(c, x, n) || !axes_of(c, x, n, 1, how >= LINEAR ? 3 : 2, corners, how, a))
        return fx_nothing();
    return interpolated(c, x, a, n, how, aux & 32);
}

/* The means of windows. */
static jc_arg by_area(fx_call *c, jc_value *x, const axis *a, int n) {
    jc_arg sizes[3];
    fx_spelling row = *c->row;
    row.aux = (uint8_t)n;
    for (int k = 0; k < n; k++)
        sizes[k] = fx_e(a[k].size);
    fx_call pool = { .r = c->r, .row = &row, .at = c->at, .out = fx_absent(), .a = { fx_v(x), fx_list(c->r, sizes, (uint32_t)n) } };
    return fx_h_adaptive_pool(&pool);
}

/* By the sizes, not by the factor. */
static void recompute(const jc_value *x, int n, axis *a) {
    for (int k = 0; k < n; k++) {
        int64_t from, to;
        if (jc_ex_is_const(x->type.dims[2 + k], &from) && jc_ex_is_const(a[k].size, &to) && to && !a[k].corners)
            a[k].step = step_of(&a[k], (double)from, (double)to);
    }
}

static const struct mode {
    const char *name;
    uint8_t how, n; /* n 0: any */
} modes[] = { { "nearest", NEAREST, 0 },  { "nearest-exact", EXACT, 0 }, { "linear", LINEAR, 1 }, { "bilinear", LINEAR, 2 },
              { "trilinear", LINEAR, 3 }, { "bicubic", CUBIC, 2 },       { "area", AREA, 0 } };

static const struct mode *mode_of(fx_call *c, int i) {
    const char *name = c->a[i].kind == JC_ARG_STR ? c->a[i].str : "nearest";
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        if (strcmp(name, modes[m].name) == 0)
            return &modes[m];
    fx_bad_arg(c, i, "one of PyTorch's modes");
    return NULL;
}

/* interpolate(x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias).  Aux: 128. */
jc_arg fx_h_interpolate(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const struct mode *mode = mode_of(c, 3);
    const bool smooth = fx_bool(c, 6, false), again = fx_bool(c, 5, false);
    axis a[3];
    if (!x || !mode || c->r->status)
        return fx_nothing();
    const int n = mode->n ? mode->n : fx_rank(x) - 2;
    const bool weighed = mode->how == LINEAR || mode->how == CUBIC, corners = weighed && fx_bool(c, 4, false);
    if (smooth && (n != 2 || !weighed))
        fx_bad_arg(c, 6, "False, but where two dimensions are resized by 'bilinear' or 'bicubic'");
    if (n < 1 || n > 3 || !has_rank(c, x, n) || !axes_of(c, x, n, 1, 2, corners, (way)mode->how, a))
        return fx_nothing();
    if (again)
        recompute(x, n, a);
    return mode->how == AREA ? by_area(c, x, a, n) : interpolated(c, x, a, n, (way)mode->how, smooth);
}

/* torch.nn.functional.upsample_nearest and upsample_bilinear(x, size, scale_factor): interpolate of old.  Aux: 128; 1: linear, corners stay. */
jc_arg fx_h_upsample_by(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const bool linear = c->row->aux & 1;
    const int n = x ? linear ? 2 : fx_rank(x) - 2 : 0;
    axis a[3];
    if (n < 1 || n > 3 || !has_rank(c, x, n) || !axes_of(c, x, n, 1, 2, linear, linear ? LINEAR : NEAREST, a))
        return fx_nothing();
    return interpolated(c, x, a, n, linear ? LINEAR : NEAREST, false);
}

/* --- at places that a tensor gives --- */

enum { ZEROS, BORDER, REFLECTION };
enum { MAX_SPACE = 3 };

typedef struct sampling {
    fx_reader *r;
    jc_value *x, *grid; /* of f32 at least */
    int n, padding;     /* n: dims of the space */
    bool corners;
} sampling;

static jc_value *size_by(sampling *s, jc_op op, jc_value *x, const jc_expr *n) {
    return FX_OP(s->r, op, fx_v(x), fx_e(n));
}

/* Places beyond the ends come back; from the middle of the outermost elements, or from their edges. */
static jc_value *reflected(sampling *s, jc_value *at, const jc_expr *n) {
    fx_reader *r = s->r;
    const jc_expr *span = s->corners ? jc_ex_sub(fx_x(r), n, whole(r, 1)) : n;
    const double low = s->corners ? 0 : -0.5;
    if (jc_ex_is(span, 0))
        return with(r, JC_OP_mul, at, 0);
    jc_value *beyond = FX_OP(r, JC_OP_abs, fx_v(with(r, JC_OP_sub, at, low))), *extra = size_by(s, JC_OP_remainder, beyond, span);
    jc_value *times = FX_OP(r, JC_OP_floor, fx_v(size_by(s, JC_OP_div, beyond, span))), *odd = with(r, JC_OP_remainder, times, 2);
    jc_value *there = with(r, JC_OP_add, extra, low), *back = FX_OP(r, JC_OP_sub, fx_e(span), fx_v(with(r, JC_OP_sub, extra, low)));
    return FX_OP(r, JC_OP_where, fx_v(with(r, JC_OP_eq, odd, 0)), fx_v(there), fx_v(back));
}

/* A place among the N elements of a dim, held within them as the padding says. */
static jc_value *held(sampling *s, jc_value *at, const jc_expr *n) {
    if (s->padding == REFLECTION)
        at = reflected(s, at, n);
    return s->padding == ZEROS ? at : FX_OP(s->r, JC_OP_clamp, fx_v(at), fx_i(s->r, 0), fx_e(jc_ex_sub(fx_x(s->r), n, whole(s->r, 1))));
}

/* Dim D of the space: the grid's coordinate, from [-1, 1], as a place among its elements. The grid has the last dim first. */
static jc_value *place_of(sampling *s, int d) {
    fx_reader *r = s->r;
    const jc_expr *n = s->x->type.dims[2 + d];
    jc_value *at = with(r, JC_OP_add, fx_select(r, s->grid, s->n + 1, whole(r, s->n - 1 - d), r->stmt->at), 1);
    if (s->corners)
        return size_by(s, JC_OP_mul, with(r, JC_OP_div, at, 2), jc_ex_sub(fx_x(r), n, whole(r, 1)));
    return with(r, JC_OP_div, with(r, JC_OP_sub, size_by(s, JC_OP_mul, at, n), 1), 2);
}

/* The element at whole places AT, [batch, channels, ...]; 0 outside. */
static jc_value *element_at(sampling *s, jc_value *const *at) {
    int dims[MAX_SPACE + 1] = { 0 }, order[JC_MAX_RANK] = { 0, s->n + 1 };
    fx_reader *r = s->r;
    jc_value *index[MAX_SPACE + 1] = { NULL }, *inside = NULL;
    const jc_expr *batch[MAX_SPACE + 1] = { s->x->type.dims[0] };
    for (int k = 0; k < s->n; k++) {
        const jc_arg last = fx_e(jc_ex_sub(fx_x(r), s->x->type.dims[2 + k], whole(r, 1)));
        const jc_arg within = fx_v(FX_OP(r, JC_OP_clamp, fx_v(at[k]), fx_i(r, 0), last));
        jc_value *is = FX_OP(r, JC_OP_eq, fx_v(at[k]), within);
        inside = inside ? FX_OP(r, JC_OP_bitand, fx_v(inside), fx_v(is)) : is;
        jc_value *sound = FX_OP(r, JC_OP_where, fx_v(is), within, fx_i(r, 0)); /* NaN is nowhere */
        index[1 + k] = sound ? fx_cast(r, sound, JC_I64) : NULL;
        dims[1 + k] = 2 + k;
        order[2 + k] = 1 + k;
        batch[1 + k] = whole(r, 1);
    }
    index[0] = fx_reshape(r, fx_counted(r, batch[0]), batch, (uint32_t)s->n + 1);
    if (r->status)
        return NULL;
    jc_value *taken = fx_permute(r, fx_pick(r, s->x, dims, index, s->n + 1, false), order);
    return FX_OP(r, JC_OP_where, fx_v(inside ? fx_unsqueeze(r, inside, 1) : NULL), fx_v(taken), fx_i(r, 0));
}

static jc_value *nearest(sampling *s) {
    jc_value *at[MAX_SPACE];
    for (int d = 0; d < s->n; d++)
        at[d] = FX_OP(s->r, JC_OP_round, fx_v(held(s, place_of(s, d), s->x->type.dims[2 + d])));
    return element_at(s, at);
}

/* SUM, and the element at AT by WEIGHT, which has no channels. */
static jc_value *plus(sampling *s, jc_value *sum, jc_value *element, jc_value *weight) {
    jc_value *one = FX_OP(s->r, JC_OP_mul, fx_v(element), fx_v(weight));
    return sum ? FX_OP(s->r, JC_OP_add, fx_v(sum), fx_v(one)) : one;
}

static jc_value *over_channels(sampling *s, jc_value *weight) {
    return weight ? fx_unsqueeze(s->r, weight, 1) : NULL;
}

/* Those around a place, weighed by how near they are: in PyTorch's order. */
static jc_value *around(sampling *s) {
    fx_reader *r = s->r;
    jc_value *at[MAX_SPACE][2], *share[MAX_SPACE][2], *sum = NULL;
    for (int d = 0; d < s->n; d++) {
        jc_value *place = held(s, place_of(s, d), s->x->type.dims[2 + d]);
        at[d][0] = FX_OP(r, JC_OP_floor, fx_v(place));
        at[d][1] = with(r, JC_OP_add, at[d][0], 1);
        share[d][0] = FX_OP(r, JC_OP_sub, fx_v(at[d][1]), fx_v(place));
        share[d][1] = FX_OP(r, JC_OP_sub, fx_v(place), fx_v(at[d][0]));
    }
    for (int i = 0; i < 1 << s->n && !r->status; i++) {
        jc_value *corner[MAX_SPACE], *weight = NULL;
        for (int d = s->n; d-- > 0;) {
            const int side = i >> (s->n - 1 - d) & 1;
            corner[d] = at[d][side];
            weight = weight ? FX_OP(r, JC_OP_mul, fx_v(weight), fx_v(share[d][side])) : share[d][side];
        }
        sum = plus(s, sum, element_at(s, corner), over_channels(s, weight));
    }
    return sum;
}

/* The sixteen around a place of an image; each is held within it by itself. */
static jc_value *around_cubic(sampling *s) {
    fx_reader *r = s->r;
    jc_value *below[2], *weights[2][4], *sum = NULL;
    for (int d = 0; d < 2; d++) {
        jc_value *place = place_of(s, d);
        below[d] = FX_OP(r, JC_OP_floor, fx_v(place));
        cubic_weights(r, FX_OP(r, JC_OP_sub, fx_v(place), fx_v(below[d])), weights[d]);
    }
    for (int i = 0; i < 4 && !r->status; i++) {
        jc_value *row = NULL, *at[2] = { held(s, with(r, JC_OP_add, below[0], i - 1), s->x->type.dims[2]) };
        for (int k = 0; k < 4 && !r->status; k++) {
            at[1] = held(s, with(r, JC_OP_add, below[1], k - 1), s->x->type.dims[3]);
            row = plus(s, row, element_at(s, at), over_channels(s, weights[1][k]));
        }
        sum = plus(s, sum, row, over_channels(s, weights[0][i]));
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

/* grid_sample(x, grid, mode, padding_mode, align_corners), grid_sampler_2d and _3d: the modes as words or numbers */
jc_arg fx_h_grid_sample(fx_call *c) {
    static const char *const ways[] = { "bilinear", "nearest", "bicubic" }, *const paddings[] = { "zeros", "border", "reflection" };
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *grid = fx_tensor(c, 1);
    const int mode = which(c, 2, ways, 3);
    sampling s = { .r = r, .padding = which(c, 3, paddings, 3), .corners = fx_bool(c, 4, false) };
    if (!x || !grid || r->status)
        return fx_nothing();
    s.n = fx_rank(x) - 2;
    if (s.n < 2 || s.n > MAX_SPACE || fx_rank(grid) != s.n + 2)
        fx_bad_arg(c, 0, "a stack of images of two or three dimensions, and the grid a stack of places in them");
    else if (mode == 2 && s.n != 2)
        fx_bad_arg(c, 2, "'bilinear' or 'nearest' where images have three dimensions");
    const jc_dtype wide = x->type.dtype == JC_F64 ? JC_F64 : JC_F32;
    s.x = r->status ? NULL : fx_cast(r, x, wide);
    s.grid = r->status ? NULL : fx_cast(r, grid, wide);
    if (!s.grid)
        return fx_nothing();
    jc_value *y = mode == 1 ? nearest(&s) : mode == 2 ? around_cubic(&s) : around(&s);
    return fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
}
