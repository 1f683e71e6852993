/*
 * tests/fuzz/gen_product.c - matrix products, convolution and attention, of small numbers, so that most sums are exact.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static bool small_float(const fz_prog *p, int value, const void *user) {
    return fz_is_float(p, value, user) && fz_magnitude(*fz_range_of(p, value)) <= 16;
}

static bool matrix(const fz_prog *p, int value, const void *user) {
    return small_float(p, value, user) && fz_at(p, value)->rank >= 2;
}

static int operand(fz_prog *p, int least) {
    static const uint8_t types[] = { JC_F32, JC_F32, JC_BF16, JC_BF16, JC_F16, JC_F64 };
    const int x = fz_chance(p, 75) ? fz_choose(p, least == 2 ? matrix : small_float, NULL) : -1;
    if (x >= 0 && fz_at(p, x)->rank >= least)
        return x;
    fz_size dims[JC_MAX_RANK];
    const int rank = least + (fz_chance(p, 20) ? 1 : 0) + (fz_chance(p, 10) ? 1 : 0);
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    const uint8_t dtype = FZ_PICK(p, types);
    return fz_param(p, dtype, rank, dims, fz_interval(-2, 2, fz_chance(p, 70) ? 1 : 0.25));
}

typedef struct shape {
    uint8_t dtype, rank;
    const fz_size *dims;
} shape;

static bool has_shape(const fz_prog *p, int value, const void *user) {
    const shape *s = user;
    const fz_value *v = fz_at(p, value);
    if (!small_float(p, value, NULL) || v->dtype != s->dtype || v->rank != s->rank)
        return false;
    for (int d = 0; d < v->rank; d++)
        if (!fz_same(p, &v->dims[d], &s->dims[d]))
            return false;
    return true;
}

static int shaped(fz_prog *p, uint8_t dtype, int rank, const fz_size *dims) {
    const shape s = { dtype, (uint8_t)rank, dims };
    const int x = fz_chance(p, 50) ? fz_choose(p, has_shape, &s) : -1;
    return x >= 0 ? x : fz_param(p, dtype, rank, dims, fz_interval(-2, 2, fz_chance(p, 70) ? 1 : 0.5));
}

/* A matrix product over K, f32 sums or better. */
static fz_range summed(const fz_prog *p, int a, int b, const fz_size *k) {
    const fz_range x = *fz_range_of(p, a), y = *fz_range_of(p, b);
    const double n = (double)fz_most(p, k), m = n * fz_magnitude(x) * fz_magnitude(y);
    fz_range r = { -m, m, x.step * y.step, n * (fz_magnitude(x) * y.err + fz_magnitude(y) * x.err + x.err * y.err), false, false, false };
    if (r.step == 0 || (r.step > 0 && m / r.step > 0x1p24)) {
        r.step = 0;
        r.err += m * 0x1p-19;
    }
    return r;
}

static bool make_linear(fz_prog *p) {
    const int x = operand(p, 1);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_size dims[JC_MAX_RANK], w[2] = { fz_some_size(p), v.dims[v.rank - 1] };
    const int wv = shaped(p, v.dtype, 2, w), bv = wv >= 0 && fz_chance(p, 40) ? shaped(p, v.dtype, 1, w) : -1;
    if (wv < 0)
        return false;
    fz_range r = summed(p, x, wv, &w[1]);
    memcpy(dims, v.dims, sizeof dims);
    dims[v.rank - 1] = w[0];
    fz_begin(p);
    if (bv >= 0) {
        const fz_range b = *fz_range_of(p, bv);
        r = (fz_range){ r.lo + b.lo, r.hi + b.hi, r.step > 0 && b.step > 0 ? fmin(r.step, b.step) : 0, r.err + b.err, false, false, false };
        fz_call(p, "linear", x, "%v, %v", wv, bv);
    } else {
        fz_call(p, "linear", x, fz_chance(p, 50) ? "%v, None" : "%v", wv);
    }
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, r));
}

static bool make_matmul(fz_prog *p) {
    const int a = operand(p, 1), form = fz_below(p, 4);
    if (a < 0)
        return false;
    const fz_value v = *fz_at(p, a);
    const fz_size k = v.dims[v.rank - 1];
    fz_size b[JC_MAX_RANK], dims[JC_MAX_RANK];
    int rank = 0, rb = fz_chance(p, 20) ? 1 : 2, n = 0;
    if (rb == 2 && v.rank > 2 && fz_chance(p, 60)) {
        rb = v.rank;
        for (int d = 0; d < v.rank - 2; d++)
            b[n++] = fz_chance(p, 20) ? fz_int(1) : v.dims[d];
    }
    b[n++] = k;
    if (rb > 1)
        b[n++] = fz_some_size(p);
    const int bv = shaped(p, v.dtype, rb, b);
    if (bv < 0)
        return false;
    for (int d = 0; d < v.rank - 1; d++)
        dims[rank++] = v.dims[d];
    if (rb > 1)
        dims[rank++] = b[n - 1];
    const fz_range r = summed(p, a, bv, &k);
    fz_begin(p);
    if (form == 0)
        fz_put(p, "%v @ %v", a, bv);
    else if (v.rank == 2 && rb == 2 && form < 3)
        fz_call(p, "mm", a, "%v", bv);
    else
        fz_call(p, "matmul", a, "%v", bv);
    return fz_gives(p, fz_result(p, v.dtype, rank, dims, r));
}

static bool make_bmm(fz_prog *p) {
    const int a = operand(p, 2);
    if (a < 0 || fz_at(p, a)->rank != 3)
        return false;
    const fz_value v = *fz_at(p, a);
    fz_size b[3] = { v.dims[0], v.dims[2], fz_some_size(p) }, dims[3] = { v.dims[0], v.dims[1], b[2] };
    const int bv = shaped(p, v.dtype, 3, b), add = bv >= 0 && fz_chance(p, 40) ? shaped(p, v.dtype, 3, dims) : -1;
    if (bv < 0)
        return false;
    fz_range r = summed(p, a, bv, &v.dims[2]);
    if (add >= 0) {
        const fz_range c = *fz_range_of(p, add);
        if (!fz_settle(&r, v.dtype)) /* strict rounds the product too */
            return false;
        r = (fz_range){ r.lo + c.lo, r.hi + c.hi, r.step > 0 && c.step > 0 ? fmin(r.step, c.step) : 0, r.err + c.err, false, false, false };
    }
    fz_begin(p);
    if (add >= 0)
        fz_call(p, "baddbmm", add, "%v, %v", a, bv);
    else
        fz_call(p, "bmm", a, "%v", bv);
    return fz_gives(p, fz_result(p, v.dtype, 3, dims, r));
}

static bool make_addmm(fz_prog *p) {
    const int a = operand(p, 2);
    if (a < 0 || fz_at(p, a)->rank != 2)
        return false;
    const fz_value v = *fz_at(p, a);
    fz_size b[2] = { v.dims[1], fz_some_size(p) }, dims[2] = { v.dims[0], b[1] };
    const int bv = shaped(p, v.dtype, 2, b), vector = fz_chance(p, 60), add = bv < 0 ? -1 : shaped(p, v.dtype, 2 - vector, dims + vector);
    if (add < 0)
        return false;
    fz_range r = summed(p, a, bv, &v.dims[1]), c = *fz_range_of(p, add);
    if (!fz_settle(&r, v.dtype))
        return false;
    const bool scaled = fz_chance(p, 30);
    r = (fz_range){ r.lo + 2 * fmin(c.lo, 0), r.hi + 2 * fmax(c.hi, 0), r.step > 0 && c.step > 0 ? fmin(r.step, c.step) : 0, r.err + 2 * c.err, false, false, false };
    fz_begin(p);
    fz_call(p, "addmm", add, scaled ? "%v, %v, beta = 2" : "%v, %v", a, bv);
    return fz_gives(p, fz_result(p, v.dtype, 2, dims, r));
}

static bool make_einsum(fz_prog *p) {
    static const char *const forms[] = { "bij,bjk->bik", "bij,bjk->kbi", "...ij,...jk", "bij,bjk->ki" };
    const int a = operand(p, 3), form = fz_below(p, 4);
    if (a < 0 || fz_at(p, a)->rank != 3)
        return false;
    const fz_value v = *fz_at(p, a);
    fz_size b[3] = { v.dims[0], v.dims[2], fz_some_size(p) };
    const fz_size dims[4][3] = { { v.dims[0], v.dims[1], b[2] }, { b[2], v.dims[0], v.dims[1] }, { v.dims[0], v.dims[1], b[2] }, { b[2], v.dims[1] } };
    const int bv = shaped(p, v.dtype, 3, b);
    if (bv < 0)
        return false;
    const fz_size k = form == 3 ? fz_mul(p, v.dims[0], v.dims[2]) : v.dims[2];
    const fz_range r = summed(p, a, bv, &k);
    fz_begin(p);
    fz_put(p, "torch.einsum('%s', %v, %v)", forms[form], a, bv);
    const int made = fz_result(p, v.dtype, form == 3 ? 2 : 3, dims[form], r);
    if (made >= 0)
        fz_at(p, made)->contiguous = false; /* the product's dims in another order */
    return fz_gives(p, made);
}

/* Convolution of one or two dims, with groups of any kind. */
static bool make_conv(fz_prog *p) {
    static const uint8_t types[] = { JC_F32, JC_F32, JC_BF16, JC_F16, JC_F64 };
    const int space = fz_chance(p, 60) ? 1 : 2, groups = fz_chance(p, 50) ? 1 : 1 + fz_below(p, 3), each = fz_chance(p, 50) ? 1 : 1 + fz_below(p, 3);
    const int outs = groups * (1 + fz_below(p, 3)), stride = 1 + fz_below(p, 2), pad = fz_below(p, 3), dilation = 1 + fz_below(p, 2);
    const uint8_t dtype = FZ_PICK(p, types);
    fz_size x[4] = { fz_some_size(p), fz_int(groups * each) }, w[4] = { fz_int(outs), fz_int(each) }, dims[4] = { x[0], w[0] };
    int64_t points = each;
    for (int d = 0; d < space; d++) {
        const int kernel = 1 + fz_below(p, 3);
        x[2 + d] = fz_some_size(p);
        w[2 + d] = fz_int(kernel);
        points *= kernel;
        const fz_size left = fz_add(p, x[2 + d], fz_int(2 * pad - dilation * (kernel - 1) - 1));
        if (fz_least(p, &left) < 0)
            return false;
        dims[2 + d] = fz_add(p, fz_fdiv(p, left, stride), fz_int(1));
    }
    const int xv = shaped(p, dtype, space + 2, x), wv = xv < 0 ? -1 : shaped(p, dtype, space + 2, w), bv = wv >= 0 && fz_chance(p, 40) ? shaped(p, dtype, 1, w) : -1;
    if (wv < 0)
        return false;
    const fz_size k = fz_int(points);
    fz_range r = summed(p, xv, wv, &k);
    if (bv >= 0) {
        const fz_range b = *fz_range_of(p, bv);
        r = (fz_range){ r.lo + b.lo, r.hi + b.hi, r.step > 0 && b.step > 0 ? fmin(r.step, b.step) : 0, r.err + b.err, false, false, false };
    }
    fz_begin(p);
    fz_put(p, space == 1 ? "torch.conv1d(%v, %v, " : "torch.nn.functional.conv2d(%v, %v, ", xv, wv);
    fz_put(p, bv >= 0 ? "%v, " : "None, ", bv);
    if (space == 1)
        fz_put(p, "(%d,), (%d,), (%d,), %d)", stride, pad, dilation, groups);
    else
        fz_put(p, "%d, %d, (%d, %d), %d)", stride, pad, dilation, dilation, groups);
    return fz_gives(p, fz_result(p, dtype, space + 2, dims, r));
}

/* --- attention --- */

/* A mask that broadcasts to the scores [..., l, s]: bools, or floats of V's dtype or f32. */
static int some_mask(fz_prog *p, const fz_value *v, const fz_size *l, const fz_size *s) {
    fz_size dims[JC_MAX_RANK];
    const int first = v->rank > 2 && fz_chance(p, 40) ? fz_below(p, v->rank - 1) : v->rank - 2;
    int rank = 0;
    for (int d = first; d < v->rank - 2; d++)
        dims[rank++] = fz_chance(p, 50) ? fz_int(1) : v->dims[d];
    dims[rank++] = fz_chance(p, 20) ? fz_int(1) : *l;
    dims[rank++] = *s;
    if (fz_chance(p, 50))
        return fz_param(p, JC_B8, rank, dims, fz_interval(0, 1, 1));
    return fz_param(p, fz_chance(p, 70) ? v->dtype : JC_F32, rank, dims, fz_interval(-2, 2, 0.5));
}

/* One like V with a last dim that kernels of attention take on every target. */
static int with_heads(fz_prog *p, int v) {
    const fz_value like = *fz_at(p, v);
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, like.dims, sizeof dims);
    dims[like.rank - 1] = fz_int(fz_chance(p, 70) ? 16 : 32);
    return shaped(p, like.dtype, like.rank, dims);
}

static bool make_attention(fz_prog *p) {
    const int some = operand(p, 2), q = some >= 0 && fz_chance(p, 60) ? with_heads(p, some) : some;
    if (q < 0)
        return false;
    const fz_value v = *fz_at(p, q);
    const fz_size s = fz_some_size(p), width = fz_chance(p, 60) ? v.dims[v.rank - 1] : fz_chance(p, 50) ? fz_int(16) : fz_some_size(p);
    fz_size dims[JC_MAX_RANK];
    memcpy(dims, v.dims, sizeof dims);
    int64_t heads = 0;
    const bool groups = v.rank >= 3 && v.rank < 6 && fz_is_const(p, &v.dims[v.rank - 3], &heads) && heads > 2 && heads % 2 == 0 && fz_chance(p, 70);
    if (groups)
        dims[v.rank - 3] = fz_int(2);
    dims[v.rank - 2] = s;
    const int k = shaped(p, v.dtype, v.rank, dims);
    dims[v.rank - 1] = width;
    const int values = k < 0 ? -1 : shaped(p, v.dtype, v.rank, dims), mask = values >= 0 && fz_chance(p, 50) ? some_mask(p, &v, &v.dims[v.rank - 2], &s) : -1;
    if (values < 0)
        return false;
    const fz_range a = *fz_range_of(p, q), b = *fz_range_of(p, k), c = *fz_range_of(p, values);
    const double depth = (double)fz_most(p, &v.dims[v.rank - 1]), score = depth * fz_magnitude(a) * fz_magnitude(b) / 4;
    const double off = depth * (fz_magnitude(a) * b.err + fz_magnitude(b) * a.err) / 4 + score * 0x1p-19 + 0x1p-18;
    if (off > 0.1 || fz_least(p, &v.dims[v.rank - 1]) < 1)
        return false;
    const fz_range r = { fmin(c.lo, 0), fmax(c.hi, 0), 0, fz_magnitude(c) * (4 * off + 4 * fz_unit(v.dtype)) + c.err, false, false, false };
    memcpy(dims, v.dims, sizeof dims);
    dims[v.rank - 1] = width;
    fz_begin(p);
    fz_put(p, fz_chance(p, 50) ? "torch.nn.functional.scaled_dot_product_attention(%v, %v, %v" : "torch._C._nn.scaled_dot_product_attention(%v, %v, %v", q, k, values);
    if (mask >= 0)
        fz_put(p, ", attn_mask = %v", mask);
    fz_put(p, fz_chance(p, 30) ? ", is_causal = True, scale = 0.25%s)" : ", dropout_p = 0.0, scale = 0.125%s)", groups ? ", enable_gqa = True" : "");
    return fz_gives(p, fz_result(p, v.dtype, v.rank, dims, r));
}

const fz_kind fz_product_kinds[] = {
    { "linear", make_linear, 6 }, { "matmul", make_matmul, 6 }, { "bmm", make_bmm, 2 }, { "addmm", make_addmm, 2 }, { "attention", make_attention, 3 },
    { "einsum", make_einsum, 2 }, { "conv", make_conv, 4 }, { 0 },
};
