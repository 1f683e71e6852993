/*
 * ir/fx/fx_build_fft.c - Fourier transforms, as products with tables of cosines and sines along each dim.
 *
 * The angle of element j for frequency k of n is that of j k mod n, so that tables are exact however long a dim is; they are made in f64.
 * Complex tensors are pairs of real ones here (fx_build_complex.c).  A transform from or to half of a spectrum is one of real numbers along the
 * last dim, whose other half follows.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_factor.h"

/* A tensor as its parts; im NULL: it is real. */
typedef struct pair {
    jc_value *re, *im;
} pair;

typedef enum scale { BY_NOTHING, BY_ROOT, BY_ALL } scale;

static const jc_expr *half_of(fx_reader *r, const jc_expr *n) {
    return jc_ex_add(fx_x(r), jc_ex_fdiv(fx_x(r), n, jc_ex_int(fx_x(r), 2)), fx_one(r));
}

/* OP (cos or sin) of the angle of each of FROM elements for each of TO, of N around: [from, to] of f64. */
static jc_value *table(fx_reader *r, jc_op o, const jc_expr *from, const jc_expr *to, const jc_expr *n) {
    jc_value *j = fx_unsqueeze(r, fx_counted(r, from), 1), *k = fx_counted(r, to);
    jc_value *turn = FX_OP(r, JC_OP_remainder, fx_v(op(r, JC_OP_mul, j, k)), fx_e(n));
    jc_value *angle = FX_OP(r, JC_OP_div, fx_v(number_op(r, JC_OP_mul, turn ? fx_cast(r, turn, JC_F64) : NULL, 2 * acos(-1))), fx_e(n));
    return FX_OP(r, o, fx_v(angle));
}

/* X along its last dim by a table, in X's dtype. */
static jc_value *by(fx_reader *r, jc_value *x, jc_value *t) {
    return x && t ? times(r, x, fx_cast(r, t, (jc_dtype)x->type.dtype)) : NULL;
}

/* X with dim D cut, or filled with zeros behind it, to N. */
static jc_value *sized(fx_reader *r, jc_value *x, int d, const jc_expr *n) {
    const jc_expr *before[JC_MAX_RANK], *after[JC_MAX_RANK], *zero = jc_ex_int(fx_x(r), 0);
    if (!x || r->status || x->type.dims[d] == n)
        return x;
    const jc_expr *kept = jc_ex_min(fx_x(r), x->type.dims[d], n);
    for (int k = 0; k < fx_rank(x); k++) {
        before[k] = zero;
        after[k] = k == d ? jc_ex_sub(fx_x(r), n, kept) : zero;
    }
    x = fx_slice(r, x, d, zero, kept, 1);
    return jc_ex_is(after[d], 0) ? x : FX_OP(r, JC_OP_pad, fx_v(x), fx_dims(r, before, x->type.rank), fx_dims(r, after, x->type.rank), fx_i(r, 0));
}

static jc_value *scaled(fx_reader *r, jc_value *x, const jc_expr *n, scale s) {
    if (s == BY_NOTHING || !x)
        return x;
    if (s == BY_ALL)
        return FX_OP(r, JC_OP_div, fx_v(x), fx_e(n));
    jc_value *root = FX_OP(r, JC_OP_sqrt, fx_v(FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), fx_e(n), jc_arg_dtype(JC_F64))));
    return op(r, JC_OP_div, x, root);
}

/* Along D: sums over j of x_j e^(-+ 2 pi i j k / n). */
static pair transformed(fx_reader *r, pair x, int d, bool forward, scale s) {
    if (!x.re || r->status)
        return (pair){ NULL, NULL };
    const jc_expr *n = x.re->type.dims[d];
    jc_value *c = table(r, JC_OP_cos, n, n, n), *si = table(r, JC_OP_sin, n, n, n), *re = to_last(r, x.re, d), *im = to_last(r, x.im, d);
    jc_value *y = by(r, re, c), *z = by(r, re, forward ? FX_OP(r, JC_OP_neg, fx_v(si)) : si);
    if (im) {
        y = op(r, forward ? JC_OP_add : JC_OP_sub, y, by(r, im, si));
        z = op(r, JC_OP_add, z, by(r, im, c));
    }
    return (pair){ to_last(r, scaled(r, y, n, s), d), to_last(r, scaled(r, z, n, s), d) };
}

/* Of a real X along D: the first half of its spectrum. */
static pair half_spectrum(fx_reader *r, jc_value *x, int d, bool forward, scale s) {
    if (!x || r->status)
        return (pair){ NULL, NULL };
    const jc_expr *n = x->type.dims[d], *to = half_of(r, n);
    jc_value *si = table(r, JC_OP_sin, n, to, n), *re = to_last(r, x, d);
    jc_value *y = by(r, re, table(r, JC_OP_cos, n, to, n)), *z = by(r, re, forward ? FX_OP(r, JC_OP_neg, fx_v(si)) : si);
    return (pair){ to_last(r, scaled(r, y, n, s), d), to_last(r, scaled(r, z, n, s), d) };
}

/* The N real numbers along D of which X is the first half of the spectrum. */
static jc_value *of_half_spectrum(fx_reader *r, pair x, int d, const jc_expr *n, bool forward, scale s) {
    if (!x.re || r->status)
        return NULL;
    const jc_expr *from = half_of(r, n);
    jc_value *re = to_last(r, sized(r, x.re, d, from), d), *im = to_last(r, sized(r, x.im, d, from), d);
    /* All but the first, and of an even n the one in the middle, stand for two. */
    jc_value *j = fx_unsqueeze(r, fx_counted(r, from), 1), *twice = FX_OP(r, JC_OP_mul, fx_v(j), fx_i(r, 2));
    jc_value *lone = op(r, JC_OP_bitor, FX_OP(r, JC_OP_eq, fx_v(j), fx_i(r, 0)), FX_OP(r, JC_OP_eq, fx_v(twice), fx_e(n)));
    jc_value *weight = FX_OP(r, JC_OP_where, fx_v(lone), jc_arg_float(1), jc_arg_float(2));
    jc_value *y = by(r, re, op(r, JC_OP_mul, table(r, JC_OP_cos, from, n, n), weight));
    if (im)
        y = op(r, forward ? JC_OP_add : JC_OP_sub, y, by(r, im, op(r, JC_OP_mul, table(r, JC_OP_sin, from, n, n), weight)));
    y = to_last(r, scaled(r, y, n, s), d);
    return y ? FX_OP(r, JC_OP_contiguous, fx_v(y)) : NULL;
}

/* --- arguments --- */

static pair operand(fx_call *c) {
    fx_reader *r = c->r;
    pair x = { NULL, NULL };
    if (c->a[0].kind == FX_COMPLEX) {
        const fx_pair *p = fx_pair_of(c->a[0]);
        if (fx_is_tensor(p->re) && fx_is_tensor(p->im))
            return (pair){ p->re.value, p->im.value };
        fx_bad_arg(c, 0, "a tensor");
        return x;
    }
    x.re = fx_tensor(c, 0);
    if (x.re && jc_dtypes[x.re->type.dtype].size < 4 && fx_class_of(x.re) == 'f')
        fx_refuse_arg(c, 0, "narrow floats have no complex dtype here");
    if (x.re && fx_class_of(x.re) != 'f')
        x.re = fx_cast(r, x.re, JC_F32);
    return r->status ? (pair){ NULL, NULL } : x;
}

static jc_arg complex_of(fx_reader *r, pair x) {
    if (!x.re || r->status)
        return fx_nothing();
    jc_value *im = x.im ? x.im : number_op(r, JC_OP_mul, x.re, 0);
    return fx_complex(r, fx_v(x.re), fx_v(im));
}

/* Which dims are transformed, and to how many elements each. */
typedef struct axes {
    int n, dim[JC_MAX_RANK];
    const jc_expr *size[JC_MAX_RANK]; /* NULL: as many as there are */
} axes;

/* Arguments 1 (sizes) and 2 (dims); LINE: one of each; PLANE: the last two dims where none are given. */
static bool axes_of(fx_call *c, const jc_value *x, bool line, bool plane, axes *a) {
    fx_reader *r = c->r;
    const jc_expr *size[JC_MAX_RANK];
    uint32_t sizes = 0, dims = 0;
    if (!x || r->status)
        return false;
    const int rank = fx_rank(x);
    if (fx_given(c, 1) && (sizes = fx_exprs(c, 1, size, JC_MAX_RANK)) == UINT32_MAX)
        return false;
    if (fx_given(c, 2))
        dims = fx_which_dims(c, 2, rank, a->dim);
    else if (line || plane)
        for (dims = 0; dims < (line ? 1u : 2u) && rank; dims++)
            a->dim[dims] = rank - (line ? 1 : 2) + (int)dims;
    else
        for (dims = 0; dims < (sizes ? sizes : (uint32_t)rank); dims++)
            a->dim[dims] = rank - (int)(sizes ? sizes : (uint32_t)rank) + (int)dims;
    if (r->status)
        return false;
    if (!rank || !dims || (plane && !fx_given(c, 2) && rank < 2) || dims > (uint32_t)rank || (sizes && sizes != dims)) {
        fx_bad_arg(c, sizes && sizes != dims ? 1 : 0, "a tensor that has the dimensions that are transformed, and a size for each where sizes are given");
        return false;
    }
    a->n = (int)dims;
    for (int k = 0; k < a->n; k++)
        a->size[k] = sizes && !jc_ex_is(size[k], -1) ? size[k] : NULL;
    for (int k = 0; k < a->n; k++)
        for (int i = 0; i < k; i++)
            if (a->dim[i] == a->dim[k])
                fx_bad_arg(c, 2, "different dimensions");
    return !r->status;
}

/* Argument 3: what a transform is divided by; "backward" divides the one that is not FORWARD. */
static scale scale_of(fx_call *c, bool forward) {
    const jc_arg a = c->a[3];
    if (!fx_given(c, 3))
        return forward ? BY_NOTHING : BY_ALL;
    const bool is_word = a.kind == JC_ARG_STR;
    if (is_word && !strcmp(a.str, "ortho"))
        return BY_ROOT;
    if (is_word && !strcmp(a.str, "backward"))
        return forward ? BY_NOTHING : BY_ALL;
    if (is_word && !strcmp(a.str, "forward"))
        return forward ? BY_ALL : BY_NOTHING;
    fx_bad_arg(c, 3, "'backward', 'ortho' or 'forward'");
    return BY_NOTHING;
}

static pair sized_along(fx_reader *r, pair x, const axes *a, int k) {
    if (!a->size[k])
        return x;
    return (pair){ sized(r, x.re, a->dim[k], a->size[k]), sized(r, x.im, a->dim[k], a->size[k]) };
}

enum { LINE = 1, PLANE = 2, INVERSE = 4 };

/* What a spelling says. */
typedef struct asked {
    bool forward;
    scale s;
    pair x;
    axes a;
    int last; /* the last axis */
} asked;

static bool is_asked(fx_call *c, asked *q) {
    q->forward = !(c->row->aux & INVERSE);
    q->s = scale_of(c, q->forward);
    q->x = operand(c);
    if (!axes_of(c, q->x.re, c->row->aux & LINE, c->row->aux & PLANE, &q->a))
        return false;
    q->last = q->a.n - 1;
    return true;
}

/* X is the transform of FROM along the N DIMS, LAST being one of real numbers; -1: none is. */
static void lay(fx_reader *r, pair x, jc_value *from, const int *dims, int n, int last) {
    fx_lay_transformed(r, x.re, from, dims, n, last);
    fx_lay_transformed(r, x.im, from, dims, n, last);
}

/* Along the first N axes. */
static void transform(fx_reader *r, asked *q, int n) {
    jc_value *from = q->x.re;
    for (int k = 0; k < n; k++)
        q->x = transformed(r, sized_along(r, q->x, &q->a, k), q->a.dim[k], q->forward, q->s);
    if (n)
        lay(r, q->x, from, q->a.dim, n, -1);
}

/* fft, ifft(self, n, dim, norm), fft2, fftn(self, s, dim, norm) and their inverses.  Aux: LINE, PLANE or neither, INVERSE. */
jc_arg fx_h_fft(fx_call *c) {
    asked q;
    if (!is_asked(c, &q))
        return fx_nothing();
    transform(c->r, &q, q.a.n);
    return complex_of(c->r, q.x);
}

/* rfft, rfft2, rfftn; INVERSE: ihfft, ihfft2, ihfftn, which have the other sign and divide. */
jc_arg fx_h_rfft(fx_call *c) {
    asked q;
    if (c->a[0].kind == FX_COMPLEX)
        fx_bad_arg(c, 0, "a real tensor");
    if (!is_asked(c, &q))
        return fx_nothing();
    jc_value *from = q.x.re;
    const int last = q.a.dim[q.last];
    q.x = half_spectrum(c->r, sized_along(c->r, q.x, &q.a, q.last).re, last, q.forward, q.s);
    lay(c->r, q.x, from, &last, 1, last);
    transform(c->r, &q, q.last);
    if (q.forward) /* at once, where the inverse is one transform after the other */
        lay(c->r, q.x, from, q.a.dim, q.a.n, last);
    return complex_of(c->r, q.x);
}

/* irfft, irfft2, irfftn; not INVERSE: hfft, hfft2, hfftn. */
jc_arg fx_h_irfft(fx_call *c) {
    fx_reader *r = c->r;
    asked q;
    if (!is_asked(c, &q))
        return fx_nothing();
    transform(r, &q, q.last);
    const int d = q.a.dim[q.last];
    const jc_expr *n = q.a.size[q.last];
    if (!n && q.x.re)
        n = jc_ex_mul(fx_x(r), jc_ex_int(fx_x(r), 2), jc_ex_sub(fx_x(r), q.x.re->type.dims[d], fx_one(r)));
    jc_value *y = r->status ? NULL : of_half_spectrum(r, q.x, d, n, q.forward, q.s);
    fx_lay_transformed(r, y, q.x.re, &d, 1, d);
    return fx_v(y);
}

/* --- what AOTAutograd makes of them --- */

/* Argument 1 as dims, and argument 2 as a scale. */
static uint32_t plain_axes(fx_call *c, const jc_value *x, int *dims, scale *s) {
    if (!x || c->r->status)
        return 0;
    const uint32_t n = fx_which_dims(c, 1, fx_rank(x), dims);
    const int64_t how = fx_int(c, 2, 0);
    if (how < 0 || how > 2)
        fx_bad_arg(c, 2, "0, 1 or 2");
    *s = (scale)how;
    return c->r->status ? 0 : n;
}

/* _fft_c2c(self, dim, normalization, forward) */
jc_arg fx_h_fft_c2c(fx_call *c) {
    int dims[JC_MAX_RANK];
    scale s;
    pair x = operand(c);
    const uint32_t n = plain_axes(c, x.re, dims, &s);
    const bool forward = fx_bool(c, 3, true);
    jc_value *from = x.re;
    for (uint32_t k = 0; k < n; k++)
        x = transformed(c->r, x, dims[k], forward, s);
    lay(c->r, x, from, dims, (int)n, -1);
    return complex_of(c->r, x);
}

/* _fft_r2c(self, dim, normalization, onesided) */
jc_arg fx_h_fft_r2c(fx_call *c) {
    int dims[JC_MAX_RANK];
    scale s;
    pair x = operand(c);
    const uint32_t n = plain_axes(c, x.re, dims, &s);
    const bool half = fx_bool(c, 3, true);
    jc_value *from = x.re;
    if (n && half)
        x = half_spectrum(c->r, x.re, dims[n - 1], true, s);
    for (uint32_t k = 0; k + half < n; k++)
        x = transformed(c->r, x, dims[k], true, s);
    lay(c->r, x, from, dims, (int)n, n ? dims[n - 1] : -1);
    return complex_of(c->r, x);
}

/* _fft_c2r(self, dim, normalization, last_dim_size) */
jc_arg fx_h_fft_c2r(fx_call *c) {
    int dims[JC_MAX_RANK];
    scale s;
    pair x = operand(c);
    const uint32_t n = plain_axes(c, x.re, dims, &s);
    const jc_expr *size = fx_expr(c, 3);
    if (!n || c->r->status)
        return fx_nothing();
    jc_value *from = x.re;
    for (uint32_t k = 0; k + 1 < n; k++)
        x = transformed(c->r, x, dims[k], false, s);
    if (n > 1)
        lay(c->r, x, from, dims, (int)n - 1, -1);
    jc_value *y = of_half_spectrum(c->r, x, dims[n - 1], size, false, s);
    fx_lay_transformed(c->r, y, x.re, &dims[n - 1], 1, dims[n - 1]);
    return fx_v(y);
}
