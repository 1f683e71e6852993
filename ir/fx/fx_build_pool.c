/*
 * ir/fx/fx_build_pool.c - pooling and resizing: elements taken at indices that follow from the result's, and a reduction over each window.
 *
 * An index is made of two sequences and an addition, is held within the tensor, and costs no memory: it melts into the kernel that takes by it.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

static jc_value *sequence(fx_reader *r, jc_arg start, jc_arg step, const jc_expr *n) {
    return FX_OP(r, JC_OP_arange, start, step, fx_e(n), jc_arg_dtype(JC_I64));
}

static const jc_expr *whole(fx_reader *r, int64_t i) {
    return jc_ex_int(fx_x(r), i);
}

/* --- windows --- */

/* How windows lie along one dim. */
typedef struct window {
    int64_t size, stride, dilation, before, after; /* the last two: elements that are made up */
    bool ceil;
} window;

/* X with dim D in two: the windows, and the places in each, INDEX saying where; places outside of x are FILL (NONE: there are none). */
static jc_value *taken(fx_reader *r, jc_value *x, int d, jc_value *index, jc_arg fill) {
    if (!x || !index)
        return NULL;
    const jc_expr *n = x->type.dims[d], *dims[JC_MAX_RANK];
    const jc_arg last = fx_e(jc_ex_sub(fx_x(r), n, whole(r, 1)));
    jc_value *within = FX_OP(r, JC_OP_clamp, fx_v(index), fx_i(r, 0), last);
    jc_value *y = FX_OP(r, JC_OP_take, fx_v(x), fx_i(r, d), fx_v(within), jc_arg_bool(false));
    if (!y || fill.kind == JC_ARG_NONE)
        return y;
    uint32_t rank = 0;
    for (int k = 0; k < fx_rank(index); k++)
        dims[rank++] = index->type.dims[k];
    for (int k = d + 1; k < fx_rank(x); k++)
        dims[rank++] = whole(r, 1);
    jc_value *inside = FX_OP(r, JC_OP_eq, fx_v(fx_reshape(r, index, dims, rank)), fx_v(fx_reshape(r, within, dims, rank)));
    return FX_OP(r, JC_OP_where, fx_v(inside), fx_v(y), fill);
}

/* How many windows there are; OVER: whether the last may end outside. */
static const jc_expr *count_windows(fx_reader *r, const window *w, const jc_expr *n, bool *over) {
    jc_exprs *t = fx_x(r);
    const int64_t span = w->dilation * (w->size - 1) + 1;
    const jc_expr *room = jc_ex_add(t, n, whole(r, w->before + w->after - span)), *count = jc_ex_fdiv(t, room, whole(r, w->stride));
    *over = w->before + w->after > 0;
    if (w->ceil && w->stride > 1) { /* one more where elements are left, unless it would start behind them */
        const jc_expr *up = jc_ex_fdiv(t, jc_ex_add(t, room, whole(r, w->stride - 1)), whole(r, w->stride));
        const jc_expr *most = jc_ex_fdiv(t, jc_ex_add(t, n, whole(r, w->before - 1)), whole(r, w->stride));
        *over |= count != up;
        count = jc_ex_min(t, up, most);
    }
    return jc_ex_add(t, count, whole(r, 1));
}

static jc_value *windows(fx_reader *r, jc_value *x, int d, const window *w, jc_arg fill) {
    bool over;
    if (!x)
        return NULL;
    const jc_expr *n = count_windows(r, w, x->type.dims[d], &over), *size = whole(r, w->size);
    jc_value *start = fx_reshape(r, sequence(r, fx_i(r, -w->before), fx_i(r, w->stride), n), (const jc_expr *[]){ n, whole(r, 1) }, 2);
    jc_value *place = fx_reshape(r, sequence(r, fx_i(r, 0), fx_i(r, w->dilation), size), (const jc_expr *[]){ whole(r, 1), size }, 2);
    return taken(r, x, d, FX_OP(r, JC_OP_add, fx_v(start), fx_v(place)), over ? fill : fx_nothing());
}

/* OP over the places of the windows of X, whose last N dims are in two. */
static jc_value *over_windows(fx_reader *r, jc_op op, jc_value *x, int n) {
    jc_arg dims[JC_MAX_RANK];
    if (!x)
        return NULL;
    for (int k = 0; k < n; k++)
        dims[k] = fx_i(r, fx_rank(x) - 2 * (n - k) + 1);
    const jc_arg args[] = { fx_v(x), jc_arg_list(r->graph, dims, (uint32_t)n), jc_arg_bool(false), fx_nothing() };
    return fx_op(r, op, args, jc_ops[op].nargs);
}

/* --- where a maximum lies --- */

/* X, whose last N dims are in two, with the places of its windows as one last dim. */
static jc_value *places_last(fx_reader *r, jc_value *x, int n) {
    const jc_expr *dims[JC_MAX_RANK], *all = whole(r, 1);
    int order[JC_MAX_RANK], k = 0;
    if (!x)
        return NULL;
    const int lead = fx_rank(x) - 2 * n;
    for (int d = 0; d < lead + n; d++)
        order[k++] = d < lead ? d : lead + 2 * (d - lead);
    for (int d = 0; d < n; d++) {
        order[k++] = lead + 2 * d + 1;
        all = jc_ex_mul(fx_x(r), all, x->type.dims[lead + 2 * d + 1]);
    }
    jc_value *y = fx_permute(r, x, order);
    for (int d = 0; y && d < lead + n; d++)
        dims[d] = y->type.dims[d];
    dims[lead + n] = all;
    return fx_reshape(r, y, dims, (uint32_t)(lead + n + 1));
}

/* Which place of its window is the largest: the first of equal ones, the last NaN. */
static jc_value *largest_place(fx_reader *r, jc_value *x, jc_value *largest) {
    const int last = x ? fx_rank(x) - 1 : 0;
    jc_value *first = fx_arg_extreme(r, JC_OP_argmax, x, last, false);
    if (!first || fx_class_of(x) != 'f')
        return first;
    jc_value *from_end = fx_arg_extreme(r, JC_OP_argmax, fx_flip(r, x, last), last, false), *is_nan = FX_OP(r, JC_OP_ne, fx_v(largest), fx_v(largest));
    jc_value *end = FX_OP(r, JC_OP_sub, fx_e(jc_ex_sub(fx_x(r), x->type.dims[last], whole(r, 1))), fx_v(from_end));
    return FX_OP(r, JC_OP_where, fx_v(is_nan), fx_v(end), fx_v(first));
}

/* Place K of N of the windows W of X, of PLACE, which counts all: as an index of X's dim.  Where all are -inf the first within it. */
static jc_value *index_along(fx_reader *r, const jc_value *x, const window *w, int n, int k, jc_value *place) {
    const jc_expr *dims[3];
    int64_t inner = 1;
    bool over;
    for (int i = k + 1; i < n; i++)
        inner *= w[i].size;
    jc_value *own = FX_OP(r, JC_OP_remainder, fx_v(FX_OP(r, JC_OP_floordiv, fx_v(place), fx_i(r, inner))), fx_i(r, w[k].size));
    const jc_expr *count = count_windows(r, &w[k], x->type.dims[fx_rank(x) - n + k], &over);
    for (int d = 0; d < n - k; d++)
        dims[d] = d ? whole(r, 1) : count;
    jc_value *start = fx_reshape(r, sequence(r, fx_i(r, -w[k].before), fx_i(r, w[k].stride), count), dims, (uint32_t)(n - k));
    jc_value *skipped = FX_OP(r, JC_OP_neg, fx_v(FX_OP(r, JC_OP_floordiv, fx_v(start), fx_i(r, w[k].dilation)))); /* elements before the first, rounded up */
    own = FX_OP(r, JC_OP_maximum, fx_v(own), fx_v(skipped));
    return FX_OP(r, JC_OP_add, fx_v(start), fx_v(FX_OP(r, JC_OP_mul, fx_v(own), fx_i(r, w[k].dilation))));
}

/* Where in X's last N dims, counted through, the maxima of Y's windows lie. */
static jc_value *maxima_at(fx_reader *r, const jc_value *x, jc_value *y, jc_value *largest, const window *w, int n) {
    jc_value *place = largest_place(r, places_last(r, y, n), largest), *at = NULL;
    for (int k = 0; k < n && place; k++) {
        jc_value *index = index_along(r, x, w, n, k, place);
        if (at)
            index = FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_mul, fx_v(at), fx_e(x->type.dims[fx_rank(x) - n + k]))), fx_v(index));
        at = index;
    }
    return at;
}

/* --- arguments --- */

/* Argument I: one number for each of N dims, or one for all. */
static bool numbers(fx_call *c, int i, int n, int64_t otherwise, int64_t *out) {
    const jc_expr *at[JC_MAX_RANK];
    for (int k = 0; k < n; k++)
        out[k] = otherwise;
    if (!fx_given(c, i) || (c->a[i].kind == JC_ARG_LIST && !c->a[i].list.n))
        return false;
    const uint32_t count = fx_exprs(c, i, at, JC_MAX_RANK);
    if (count == UINT32_MAX)
        return false;
    if (count != 1 && count != (uint32_t)n) {
        fx_bad_arg(c, i, "one number, or one for each dimension");
        return false;
    }
    for (int k = 0; k < n; k++)
        if (!jc_ex_is_const(at[count == 1 ? 0 : k], &out[k])) {
            fx_refuse_arg(c, i, "it has to be constant");
            return false;
        }
    return true;
}

/* Windows over the last N dims, of arguments 1 (sizes), 2 (strides), 3 (padding) and, where not 0, DILATION and CEIL. */
static bool windows_of(fx_call *c, const jc_value *x, int n, int dilation, int ceil, window *w) {
    int64_t size[3], stride[3], before[3], apart[3] = { 1, 1, 1 };
    if (!x)
        return false;
    if (fx_rank(x) != n + 1 && fx_rank(x) != n + 2) {
        fx_bad_arg(c, 0, "a tensor of channels, or of a batch of them");
        return false;
    }
    if (!fx_given(c, 1))
        fx_bad_arg(c, 1, "the size of a window");
    numbers(c, 1, n, 1, size);
    const bool strides = numbers(c, 2, n, 0, stride);
    numbers(c, 3, n, 0, before);
    if (dilation)
        numbers(c, dilation, n, 1, apart);
    const bool up = ceil && fx_bool(c, ceil, false);
    for (int k = 0; k < n; k++) {
        w[k] = (window){ size[k], strides ? stride[k] : size[k], apart[k], before[k], before[k], up };
        if (!c->r->status && (w[k].size < 1 || w[k].stride < 1 || w[k].dilation < 1 || w[k].before < 0 || w[k].before > w[k].size / 2 || w[k].size > INT32_MAX))
            fx_fail(c->r, JITC_E_INPUT, c->at, "`%s` needs windows, strides and distances of at least 1, and padding of at most half a window.", c->row->name);
    }
    return !c->r->status;
}

/* --- pooling --- */

/* max_poolNd(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices).  Aux: N; 16: with the indices. */
jc_arg fx_h_max_pool(fx_call *c) {
    fx_reader *r = c->r;
    const int n = c->row->aux & 15;
    window w[3];
    jc_value *x = fx_tensor(c, 0);
    if (!windows_of(c, x, n, 4, 5, w))
        return fx_nothing();
    const int bits = jc_dtypes[x->type.dtype].size * 8;
    const jc_arg least = fx_class_of(x) == 'f' ? jc_arg_float(-INFINITY) : fx_i(r, fx_class_of(x) == 'u' ? 0 : INT64_MIN >> (64 - bits));
    jc_value *y = x;
    for (int k = n; k-- > 0;)
        y = windows(r, y, fx_rank(x) - n + k, &w[k], least);
    jc_value *largest = over_windows(r, JC_OP_amax, y, n);
    const bool indices = c->row->aux & 16 || fx_bool(c, 6, false);
    if (!indices || !largest)
        return fx_v(largest);
    return fx_list(r, (jc_arg[]){ fx_v(largest), fx_v(maxima_at(r, x, y, largest, w, n)) }, 2);
}

/* How many places of the windows count: those within x, and with PADDING those within its padding, but nothing beyond. */
static jc_value *counted(fx_reader *r, const jc_value *x, const window *w, int n, bool padding) {
    jc_value *all = NULL;
    for (int k = 0; k < n; k++) {
        bool over;
        const jc_expr *dim = x->type.dims[fx_rank(x) - n + k], *count = count_windows(r, &w[k], dim, &over), *dims[3];
        const jc_expr *end = padding ? jc_ex_add(fx_x(r), dim, whole(r, w[k].before)) : dim;
        jc_value *first = sequence(r, fx_i(r, -w[k].before), fx_i(r, w[k].stride), count);
        jc_value *last = FX_OP(r, JC_OP_add, fx_v(first), fx_i(r, w[k].size));
        if (!padding)
            first = FX_OP(r, JC_OP_clamp, fx_v(first), fx_i(r, 0), fx_nothing());
        last = FX_OP(r, JC_OP_clamp, fx_v(last), fx_nothing(), fx_e(end));
        jc_value *places = FX_OP(r, JC_OP_sub, fx_v(last), fx_v(first));
        for (int d = 0; d < n - k; d++)
            dims[d] = d ? whole(r, 1) : count;
        places = fx_reshape(r, places, dims, (uint32_t)(n - k));
        all = all ? FX_OP(r, JC_OP_mul, fx_v(all), fx_v(places)) : places;
    }
    return all;
}

/* avg_poolNd(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override).  Aux: N. */
jc_arg fx_h_avg_pool(fx_call *c) {
    fx_reader *r = c->r;
    const int n = c->row->aux;
    window w[3];
    jc_value *x = fx_tensor(c, 0);
    if (!windows_of(c, x, n, 0, 4, w))
        return fx_nothing();
    const bool padding = fx_bool(c, 5, true);
    const int64_t given = fx_given(c, 6) ? fx_int(c, 6, 1) : 0;
    const jc_dtype inner = x->type.dtype == JC_F64 ? JC_F64 : JC_F32;
    jc_value *y = fx_cast(r, x, inner), *divisor = NULL;
    int64_t size = 1;
    bool plain = true;
    for (int k = n; k-- > 0 && y;) {
        y = windows(r, y, fx_rank(x) - n + k, &w[k], jc_arg_float(0));
        size *= w[k].size;
        plain &= !w[k].ceil && (padding || !w[k].before);
    }
    if (!given && !plain)
        divisor = counted(r, x, w, n, padding);
    y = over_windows(r, JC_OP_sum, y, n);
    y = FX_OP(r, JC_OP_div, fx_v(y), divisor ? fx_v(divisor) : fx_i(r, given ? given : size));
    return fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
}

/* local_response_norm(x, size, alpha, beta, k): x / (k + alpha * the mean of the squares of so many channels around)^beta */
jc_arg fx_h_local_response_norm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const int64_t size = fx_int(c, 1, 1);
    if (!x || size < 1 || fx_rank(x) < 3) {
        if (x)
            fx_bad_arg(c, 1, "at least 1, and the tensor of three dimensions at least");
        return fx_nothing();
    }
    const window w = { size, 1, 1, size / 2, (size - 1) / 2, false };
    jc_value *square = FX_OP(r, JC_OP_mul, fx_v(x), fx_v(x)), *around = windows(r, square, 1, &w, jc_arg_float(0));
    jc_value *sum = FX_OP(r, JC_OP_sum, fx_v(around), jc_arg_list(r->graph, (jc_arg[]){ fx_i(r, 2) }, 1), jc_arg_bool(false), fx_nothing());
    jc_value *mean = FX_OP(r, JC_OP_div, fx_v(sum), fx_i(r, size)), *scaled = FX_OP(r, JC_OP_mul, fx_v(mean), jc_arg_float(fx_float(c, 2, 1e-4)));
    jc_value *below = FX_OP(r, JC_OP_pow, fx_v(FX_OP(r, JC_OP_add, fx_v(scaled), jc_arg_float(fx_float(c, 4, 1)))), jc_arg_float(fx_float(c, 3, 0.75)));
    return fx_v(FX_OP(r, JC_OP_div, fx_v(x), fx_v(below)));
}

/* X with dim D in two, where OUT windows of equal size are next to each other. */
static jc_value *parted(fx_reader *r, jc_value *x, int d, int64_t out) {
    const jc_expr *dims[JC_MAX_RANK];
    if (!x)
        return NULL;
    for (int k = 0; k < fx_rank(x); k++)
        dims[k + (k > d)] = x->type.dims[k];
    dims[d] = whole(r, out);
    dims[d + 1] = jc_ex_fdiv(fx_x(r), x->type.dims[d], dims[d]);
    return fx_reshape(r, x, dims, x->type.rank + 1u);
}

/* The same of N elements that OUT does not divide: windows go from i*N/OUT, rounded down, to (i+1)*N/OUT, rounded up; LENGTH gets how many
   elements each has, START where it begins. */
static jc_value *uneven(fx_reader *r, jc_value *x, int d, int64_t n, int64_t out, jc_arg fill, jc_value **length, jc_value **start) {
    const jc_expr *most = whole(r, (n + out - 1) / out + 1), *column[2] = { whole(r, out), whole(r, 1) }, *row[2] = { whole(r, 1), most };
    jc_value *scaled = sequence(r, fx_i(r, 0), fx_i(r, n), whole(r, out));
    jc_value *first = FX_OP(r, JC_OP_floordiv, fx_v(scaled), fx_i(r, out));
    jc_value *end = FX_OP(r, JC_OP_floordiv, fx_v(FX_OP(r, JC_OP_add, fx_v(scaled), fx_i(r, n + out - 1))), fx_i(r, out));
    *length = FX_OP(r, JC_OP_sub, fx_v(end), fx_v(first));
    *start = first;
    jc_value *places = fx_reshape(r, sequence(r, fx_i(r, 0), fx_i(r, 1), most), row, 2);
    jc_value *index = FX_OP(r, JC_OP_add, fx_v(fx_reshape(r, first, column, 2)), fx_v(places));
    jc_value *is_in = FX_OP(r, JC_OP_lt, fx_v(index), fx_v(fx_reshape(r, end, column, 2)));
    return taken(r, x, d, FX_OP(r, JC_OP_where, fx_v(is_in), fx_v(index), fx_i(r, -1)), fill); /* -1: behind the window, so outside */
}

/* The sizes of the last N dims of X afterwards: argument 1, in which None leaves a dim as it is. */
static bool adaptive_sizes(fx_call *c, const jc_value *x, int n, int64_t *out) {
    const jc_arg sizes = c->a[1];
    jc_arg all[3];
    for (int k = 0; k < n; k++) {
        all[k] = sizes.kind != JC_ARG_LIST ? sizes : sizes.list.n == 1 ? sizes.list.at[0] : (uint32_t)k < sizes.list.n ? sizes.list.at[k] : fx_absent();
        if (all[k].kind == JC_ARG_NONE)
            all[k] = fx_e(x->type.dims[fx_rank(x) - n + k]);
    }
    c->a[1] = (jc_arg){ .kind = JC_ARG_LIST, .list = { all, (uint32_t)n } };
    return numbers(c, 1, n, 1, out);
}

/* SUM, of windows as large as SAME says, and where there are LENGTHS as many times larger. */
static jc_value *averaged(fx_reader *r, jc_value *sum, const jc_expr *same, jc_value *const *lengths, int n, const int64_t *out) {
    jc_value *y = FX_OP(r, JC_OP_div, fx_v(sum), fx_e(same));
    for (int k = 0; k < n; k++) {
        const jc_expr *dims[3] = { whole(r, out[k]), whole(r, 1), whole(r, 1) };
        if (lengths[k])
            y = FX_OP(r, JC_OP_div, fx_v(y), fx_v(fx_reshape(r, lengths[k], dims, (uint32_t)(n - k))));
    }
    return y;
}

/* Where in X's last N dims, counted through, the maxima of Y's windows lie, which begin at STARTS. */
static jc_value *adaptive_maxima(fx_reader *r, const jc_value *x, jc_value *y, jc_value *largest, jc_value *const *starts, int n, const int64_t *out) {
    jc_value *place = largest_place(r, places_last(r, y, n), largest), *at = NULL;
    for (int k = 0; k < n && place; k++) {
        const int lead = fx_rank(x) - n;
        const jc_expr *inner = whole(r, 1), *dims[3] = { whole(r, out[k]), whole(r, 1), whole(r, 1) };
        for (int i = k + 1; i < n; i++)
            inner = jc_ex_mul(fx_x(r), inner, y->type.dims[lead + 2 * i + 1]);
        jc_value *own = FX_OP(r, JC_OP_remainder, fx_v(FX_OP(r, JC_OP_floordiv, fx_v(place), fx_e(inner))), fx_e(y->type.dims[lead + 2 * k + 1]));
        own = FX_OP(r, JC_OP_add, fx_v(own), fx_v(fx_reshape(r, starts[k], dims, (uint32_t)(n - k))));
        at = at ? FX_OP(r, JC_OP_add, fx_v(FX_OP(r, JC_OP_mul, fx_v(at), fx_e(x->type.dims[lead + k]))), fx_v(own)) : own;
    }
    return at;
}

/* Dims of X in two, from the last on, as windows to OUT of them; where windows are not alike, LENGTHS says how long they are, else SAME. */
typedef struct adapted {
    jc_value *y, *lengths[3], *starts[3];
    const jc_expr *same;
} adapted;

static bool adapt(fx_call *c, jc_value *x, int n, const int64_t *out, jc_arg fill, adapted *a) {
    fx_reader *r = c->r;
    for (int k = n; k-- > 0 && a->y;) {
        const int d = fx_rank(x) - n + k;
        const jc_expr *dim = x->type.dims[d];
        int64_t size = 0;
        if (out[k] < 1 || (out[k] > 1 && !jc_ex_is_const(dim, &size))) {
            fx_refuse_arg(c, 1, "it has to be 1 or more, and the dimension that is parted a constant");
            return false;
        }
        if (out[k] == 1 || size % out[k] == 0) {
            const jc_expr *each = jc_ex_fdiv(fx_x(r), dim, whole(r, out[k]));
            a->y = parted(r, a->y, d, out[k]);
            a->same = jc_ex_mul(fx_x(r), a->same, each);
            a->starts[k] = sequence(r, fx_i(r, 0), fx_e(each), whole(r, out[k]));
        } else {
            a->y = uneven(r, a->y, d, size, out[k], fill, &a->lengths[k], &a->starts[k]);
        }
    }
    return !r->status;
}

/* adaptive_avg_poolNd(x, output_size), adaptive_max_poolNd(x, output_size, return_indices).  Aux: N; 4: the largest, 8: with the indices. */
jc_arg fx_h_adaptive_pool(fx_call *c) {
    fx_reader *r = c->r;
    const int n = c->row->aux & 3;
    const bool most = c->row->aux & 4;
    int64_t out[3];
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (fx_rank(x) != n + 1 && fx_rank(x) != n + 2) {
        fx_bad_arg(c, 0, "a tensor of channels, or of a batch of them");
        return fx_nothing();
    }
    if (!adaptive_sizes(c, x, n, out))
        return fx_nothing();
    adapted a = { .y = most ? x : fx_cast(r, x, x->type.dtype == JC_F64 ? JC_F64 : JC_F32), .same = whole(r, 1) };
    if (!adapt(c, x, n, out, jc_arg_float(most ? -INFINITY : 0), &a))
        return fx_nothing();
    jc_value *y = over_windows(r, most ? JC_OP_amax : JC_OP_sum, a.y, n);
    if (!most)
        y = averaged(r, y, a.same, a.lengths, n, out);
    const jc_arg result = fx_v(y ? fx_cast(r, y, (jc_dtype)x->type.dtype) : NULL);
    if (!(c->row->aux & 8) && !(most && fx_bool(c, 2, false)))
        return result;
    return fx_list(r, (jc_arg[]){ result, fx_v(adaptive_maxima(r, x, a.y, y, a.starts, n, out)) }, 2);
}

/* --- back from windows --- */

/* How large the last N dims of what max_unpool makes of X are: argument SIZE, or what the windows of arguments 2, 3 and 4 covered. */
static bool unpooled_sizes(fx_call *c, const jc_value *x, int n, int size, const jc_expr **out) {
    const jc_expr *at[JC_MAX_RANK];
    window w[3];
    if (fx_given(c, size)) {
        const uint32_t count = fx_exprs(c, size, at, JC_MAX_RANK);
        if (count != UINT32_MAX && (count < (uint32_t)n || count > (uint32_t)n + 2))
            fx_bad_arg(c, size, "the sizes of the result");
        for (int k = 0; k < n && !c->r->status; k++)
            out[k] = at[count - (uint32_t)n + (uint32_t)k];
        return !c->r->status;
    }
    fx_call of_windows = *c; /* where max_pool has them */
    memcpy(of_windows.a + 1, c->a + 2, sizeof *c->a * 3);
    if (!windows_of(&of_windows, x, n, 0, 0, w))
        return false;
    for (int k = 0; k < n; k++) {
        const jc_expr *steps = jc_ex_sub(fx_x(c->r), x->type.dims[fx_rank(x) - n + k], whole(c->r, 1));
        out[k] = jc_ex_add(fx_x(c->r), jc_ex_mul(fx_x(c->r), steps, whole(c->r, w[k].stride)), whole(c->r, w[k].size - 2 * w[k].before));
    }
    return true;
}

/* max_unpoolNd(x, indices, kernel_size, stride, padding, output_size): each element where it was largest, else 0.  Aux: N; 4: the size is argument 2. */
jc_arg fx_h_max_unpool(fx_call *c) {
    fx_reader *r = c->r;
    const int n = c->row->aux & 3;
    jc_value *x = fx_tensor(c, 0), *indices = fx_tensor(c, 1);
    const jc_expr *dims[JC_MAX_RANK];
    if (!x || !indices)
        return fx_nothing();
    if (fx_rank(x) != n + 1 && fx_rank(x) != n + 2)
        fx_bad_arg(c, 0, "a tensor of channels, or of a batch of them");
    if (fx_rank(indices) != fx_rank(x) && !r->status)
        fx_bad_arg(c, 1, "an index for each element");
    const int lead = fx_rank(x) - n;
    if (r->status || !unpooled_sizes(c, x, n, c->row->aux & 4 ? 2 : 5, dims + lead))
        return fx_nothing();
    memcpy(dims, x->type.dims, sizeof *dims * (size_t)lead);
    const jc_expr *flat[JC_MAX_RANK], *space = jc_ex_product(fx_x(r), dims + lead, (uint32_t)n);
    memcpy(flat, dims, sizeof *flat * (size_t)lead);
    flat[lead] = jc_ex_product(fx_x(r), x->type.dims + lead, (uint32_t)n);
    jc_value *index = fx_reshape(r, indices, flat, (uint32_t)lead + 1), *values = fx_reshape(r, x, flat, (uint32_t)lead + 1);
    flat[lead] = space;
    jc_value *y = FX_OP(r, JC_OP_full, fx_dims(r, flat, (uint32_t)lead + 1), fx_i(r, 0), jc_arg_dtype((jc_dtype)x->type.dtype));
    y = y && index && values ? fx_scattered(r, y, lead, index, values) : NULL;
    return fx_v(y ? fx_reshape(r, y, dims, x->type.rank) : NULL);
}
