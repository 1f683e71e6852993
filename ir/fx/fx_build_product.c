/*
 * ir/fx/fx_build_product.c - spellings of matrix products: all become `matmul`, or `linear`, of operands that are reshaped and permuted.
 *
 * Integers have no product of their own: they are multiplied and summed, which wraps as it should.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

static jc_value *multiplied(fx_reader *r, jc_value *a, jc_value *b) {
    return FX_OP(r, JC_OP_mul, fx_v(a), fx_v(b));
}

static jc_value *summed(fx_reader *r, jc_value *x, int dim) {
    const jc_expr *at = jc_ex_int(fx_x(r), dim);
    return x ? FX_OP(r, JC_OP_sum, fx_v(x), fx_dims(r, &at, 1), jc_arg_bool(false), fx_nothing()) : NULL;
}

/* X with dims A and B exchanged. */
static jc_value *exchanged(fx_reader *r, jc_value *x, int a, int b) {
    int order[JC_MAX_RANK];
    for (int i = 0; x && i < fx_rank(x); i++)
        order[i] = i == a ? b : i == b ? a : i;
    return fx_permute(r, x, order);
}

static jc_value *matrix_turned(fx_reader *r, jc_value *x) {
    return x ? exchanged(r, x, fx_rank(x) - 2, fx_rank(x) - 1) : NULL;
}

/* --- a product --- */

static jc_value *integer_product(fx_call *c, jc_value *a, jc_value *b) {
    fx_reader *r = c->r;
    const jc_dtype dtype = (jc_dtype)a->type.dtype;
    if (dtype == JC_B8 || b->type.dtype != dtype || fx_rank(a) == JC_MAX_RANK || fx_rank(b) == JC_MAX_RANK) {
        fx_fail(r, dtype == JC_B8 || b->type.dtype == dtype ? JITC_E_UNSUPPORTED : JITC_E_INPUT, c->at, "`%s` of %s and %s is not supported.", c->row->name,
                jc_type_text(fx_x(r), &a->type, r->scratch), jc_type_text(fx_x(r), &b->type, r->scratch));
        return NULL;
    }
    a = fx_unsqueeze(r, a, fx_rank(a) - 1);
    b = matrix_turned(r, b);
    jc_value *y = multiplied(r, a, b ? fx_unsqueeze(r, b, fx_rank(b) - 2) : NULL);
    y = summed(r, y, y ? fx_rank(y) - 1 : 0);
    return y ? fx_cast(r, y, dtype) : NULL;
}

/* Of matrices, or stacks of them. */
static jc_value *product(fx_call *c, jc_value *a, jc_value *b, jc_arg out) {
    if (!a || !b || c->r->status)
        return NULL;
    if (fx_class_of(a) != 'f' && fx_rank(a) > 1 && fx_rank(b) > 1)
        return integer_product(c, a, b);
    return FX_OP(c->r, JC_OP_matmul, fx_v(a), fx_v(b), out);
}

jc_value *fx_product(fx_call *c, jc_value *a, jc_value *b, jc_arg out) {
    return product(c, a, b, out);
}

/* A vector as a matrix of one row, or of one column. */
static jc_value *as_matrix(fx_reader *r, jc_value *x, bool column) {
    return x && fx_rank(x) == 1 ? fx_unsqueeze(r, x, column) : x;
}

/* As torch.matmul has it: vectors count as rows or columns, and their dims go again. */
static jc_value *matmul(fx_call *c, jc_value *a, jc_value *b, jc_arg out) {
    const jc_expr *dims[JC_MAX_RANK];
    uint32_t n = 0;
    if (!a || !b)
        return NULL;
    const bool row = fx_rank(a) == 1, column = fx_rank(b) == 1;
    a = as_matrix(c->r, a, false);
    b = as_matrix(c->r, b, true);
    jc_value *y = product(c, a, b, out);
    if (!y || (!row && !column))
        return y;
    for (int i = 0; i < fx_rank(y); i++)
        if (!(row && i == fx_rank(y) - 2) && !(column && i == fx_rank(y) - 1))
            dims[n++] = y->type.dims[i];
    return fx_reshape(c->r, y, dims, n);
}

/* Aux 1: its result has no dtype of its own. */
jc_arg fx_h_matmul(fx_call *c) {
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    return fx_v(matmul(c, a, b, c->row->aux ? fx_nothing() : fx_dtype_or(c, 2, fx_nothing())));
}

jc_arg fx_matmul(fx_call *c) {
    return fx_v(matmul(c, fx_tensor(c, 0), fx_tensor(c, 1), fx_nothing()));
}

/* A weight without rows is one row, whose dim goes.  Integers are a product, and an addition. */
jc_arg fx_h_linear(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *w = fx_tensor(c, 1);
    if (!x || !w)
        return fx_nothing();
    if (fx_class_of(x) != 'f' && fx_rank(w) > 1)
        w = matrix_turned(c->r, w);
    else if (fx_rank(w) != 1)
        return fx_v(FX_OP(c->r, JC_OP_linear, fx_v(x), fx_v(w), fx_tensor_or_none(c, 2)));
    jc_value *y = matmul(c, x, w, fx_nothing());
    return fx_v(fx_given(c, 2) ? FX_OP(c->r, JC_OP_add, fx_v(y), fx_v(fx_tensor(c, 2))) : y);
}

jc_arg fx_h_int_mm(fx_call *c) {
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    if (!a || !b)
        return fx_nothing();
    a = fx_cast(c->r, a, JC_I32);
    b = fx_cast(c->r, b, JC_I32);
    return fx_v(product(c, a, b, fx_nothing()));
}

/* Products of small floats are exact in f32, and bf16 holds all of them: the scales come after the sum. */
jc_arg fx_h_scaled_mm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1), *of_a = fx_tensor(c, 2), *of_b = fx_tensor(c, 3);
    if (!a || !b || !of_a || !of_b)
        return fx_nothing();
    if (fx_given(c, 5))
        fx_refuse_arg(c, 5, "only the operands have scales");
    const jc_arg dtype = fx_dtype_or(c, 6, jc_arg_dtype((jc_dtype)a->type.dtype));
    a = fx_cast(r, a, JC_BF16);
    b = fx_cast(r, b, JC_BF16);
    jc_value *y = product(c, a, b, jc_arg_dtype(JC_F32));
    y = multiplied(r, multiplied(r, y, of_a), of_b);
    if (fx_given(c, 4)) {
        jc_value *bias = fx_tensor(c, 4);
        y = FX_OP(r, JC_OP_add, fx_v(y), fx_v(bias ? fx_cast(r, bias, JC_F32) : NULL));
    }
    return fx_v(y ? fx_cast(r, y, dtype.dtype) : NULL);
}

/* Row t of A by the matrix of B that it belongs to: the first whose end, in argument 2, lies beyond t.  All products are made, and picked from. */
jc_arg fx_h_grouped_mm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    if (a && b && !fx_given(c, 2) && !fx_given(c, 3) && fx_rank(a) == 3 && fx_rank(b) == 3) /* groups of one size */
        return fx_v(product(c, a, b, fx_dtype_or(c, 4, fx_nothing())));
    jc_value *ends = fx_tensor(c, 2);
    if (!a || !b || !ends)
        return fx_nothing();
    if (fx_rank(a) != 2 || fx_rank(b) != 3 || fx_rank(ends) != 1)
        fx_refuse_arg(c, 2, "only the rows of a matrix have groups");
    if (fx_given(c, 3))
        fx_refuse_arg(c, 3, "no bias is");
    const jc_arg dtype = fx_dtype_or(c, 4, fx_nothing());
    if (r->status)
        return fx_nothing();
    jc_value *rows = fx_counted(r, a->type.dims[0]), *ended = FX_OP(r, JC_OP_le, fx_v(ends), fx_v(rows ? fx_unsqueeze(r, rows, 1) : NULL));
    jc_value *group = summed(r, ended, 1);
    const jc_expr *last = jc_ex_sub(fx_x(r), b->type.dims[0], fx_one(r));
    group = FX_OP(r, JC_OP_clamp, fx_v(group), fx_nothing(), fx_e(last));
    jc_value *y = product(c, fx_unsqueeze(r, a, 0), b, dtype);
    return fx_v(y ? fx_pick(r, y, (const int[]){ 0, 1 }, (jc_value *const[]){ group, rows }, 2, false) : NULL);
}

/* --- a product and what is added to it --- */

static bool is_number(const fx_call *c, int i, int64_t k) {
    const jc_arg a = c->a[i];
    return (a.kind == JC_ARG_EXPR && jc_ex_is(a.expr, k)) || (a.kind == JC_ARG_FLOAT && a.f == (double)k) || (a.kind == JC_ARG_BOOL && a.b == k);
}

/* Of integers a factor in argument I is what is whole of it. */
static void make_whole(fx_call *c, int i) {
    const jc_arg a = c->a[i];
    if (a.kind == JC_ARG_FLOAT && fabs(a.f) < 0x1p53)
        c->a[i] = fx_i(c->r, (int64_t)a.f);
}

static bool is_one(const fx_call *c, int i) {
    return !fx_given(c, i) || is_number(c, i, 1);
}

static bool is_zero(const fx_call *c, int i) {
    return fx_given(c, i) && is_number(c, i, 0);
}

static jc_arg times(fx_call *c, jc_value *x, int i) {
    return is_one(c, i) ? fx_v(x) : fx_infix(c->r, '*', fx_v(x), fx_number(c, i), c->at);
}

/* beta * X + alpha * Y, the factors in arguments 3 and 4; what a factor of 0 stands before is not looked at, NaN or not. */
static jc_arg added(fx_call *c, jc_value *x, jc_value *y) {
    fx_reader *r = c->r;
    if (!x || !y)
        return fx_nothing();
    if (fx_class_of(y) != 'f') {
        make_whole(c, 3);
        make_whole(c, 4);
    }
    if (!is_zero(c, 3) && !is_zero(c, 4)) {
        const jc_arg a = times(c, x, 3), b = times(c, y, 4);
        return r->status ? fx_nothing() : fx_v(FX_OP(r, JC_OP_add, a, b));
    }
    const jc_arg dims = jc_arg_exprs(r->graph, y->type.dims, y->type.rank);
    const jc_arg other = fx_v(FX_OP(r, JC_OP_expand, times(c, x, 3), dims)); /* it has to fit, looked at or not */
    if (!is_zero(c, 3))
        return fx_v(FX_OP(r, JC_OP_clone, other));
    return is_zero(c, 4) ? fx_v(FX_OP(r, JC_OP_full, dims, fx_i(r, 0), jc_arg_dtype((jc_dtype)y->type.dtype))) : times(c, y, 4);
}

/* addmm, baddbmm, addmv.  With a vector and no factors addmm is linear, which rounds once as PyTorch does. */
jc_arg fx_h_addmm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *a = fx_tensor(c, 1), *b = fx_tensor(c, 2);
    if (!x || !a || !b)
        return fx_nothing();
    const bool bias = fx_rank(x) == 1 && fx_rank(b) == 2 && jc_ex_equal(fx_x(r), x->type.dims[0], b->type.dims[1]) == JC_YES;
    if (bias && is_one(c, 3) && is_one(c, 4) && fx_class_of(a) == 'f')
        return fx_v(FX_OP(r, JC_OP_linear, fx_v(a), fx_v(matrix_turned(r, b)), fx_v(x)));
    return added(c, x, matmul(c, a, b, fx_nothing()));
}

/* Over all of the batch: the products of a stack are one of matrices that stand beside each other. */
jc_arg fx_h_addbmm(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0), *a = fx_tensor(c, 1), *b = fx_tensor(c, 2);
    if (!x || !a || !b)
        return fx_nothing();
    if (fx_rank(a) != 3 || fx_rank(b) != 3) {
        fx_bad_arg(c, 1, "a stack of matrices, as must the other");
        return fx_nothing();
    }
    const jc_expr *k = jc_ex_mul(fx_x(r), a->type.dims[0], a->type.dims[2]), *left[2] = { a->type.dims[1], k }, *right[2] = { k, b->type.dims[2] };
    a = fx_reshape(r, exchanged(r, a, 0, 1), left, 2);
    return added(c, x, matmul(c, a, fx_reshape(r, b, right, 2), fx_nothing()));
}

static jc_value *outer(fx_call *c, jc_value *a, jc_value *b) {
    if (!a || !b)
        return NULL;
    if (fx_rank(a) != 1 || fx_rank(b) != 1)
        fx_bad_arg(c, 0, "vectors");
    return multiplied(c->r, fx_unsqueeze(c->r, a, 1), b);
}

jc_arg fx_h_outer(fx_call *c) {
    return fx_v(outer(c, fx_tensor(c, 0), fx_tensor(c, 1)));
}

jc_arg fx_h_addr(fx_call *c) {
    return added(c, fx_tensor(c, 0), outer(c, fx_tensor(c, 1), fx_tensor(c, 2)));
}

jc_arg fx_h_chain_matmul(fx_call *c) {
    jc_value **parts;
    const uint32_t n = fx_tensors(c, 0, &parts);
    jc_value *y = n ? parts[0] : NULL;
    for (uint32_t i = 1; i < n; i++)
        y = product(c, y, parts[i], fx_nothing());
    return fx_v(y);
}

/* --- sums over labels: einsum, tensordot, inner, kron --- */

typedef struct term {
    jc_value *x;
    uint16_t labels[JC_MAX_RANK]; /* one a dim */
} term;

static int place_of(const term *t, uint16_t label) {
    for (int d = 0; t->x && d < fx_rank(t->x); d++)
        if (t->labels[d] == label)
            return d;
    return -1;
}

static bool is_in(const uint16_t *labels, int n, uint16_t label) {
    for (int i = 0; i < n; i++)
        if (labels[i] == label)
            return true;
    return false;
}

/* T with dims in the order of LABELS, all of which it has. */
static jc_value *in_order(fx_reader *r, const term *t, const uint16_t *labels, int n) {
    int order[JC_MAX_RANK] = { 0 };
    for (int i = 0; i < n; i++)
        order[i] = place_of(t, labels[i]);
    return fx_permute(r, t->x, order);
}

/* T in the order of LABELS, with 1 for those that it lacks. */
static jc_value *spread(fx_reader *r, const term *t, const uint16_t *labels, int n) {
    uint16_t own[JC_MAX_RANK] = { 0 };
    int count = 0;
    for (int i = 0; i < n; i++)
        if (place_of(t, labels[i]) >= 0)
            own[count++] = labels[i];
    jc_value *x = in_order(r, t, own, count);
    for (int i = 0; i < n && x; i++)
        if (place_of(t, labels[i]) < 0)
            x = fx_unsqueeze(r, x, i);
    return x;
}

typedef struct label_set {
    uint16_t at[2 * JC_MAX_RANK];
    int n;
} label_set;

static void add_label(label_set *s, uint16_t label) {
    if (!is_in(s->at, s->n, label) && s->n < 2 * JC_MAX_RANK)
        s->at[s->n++] = label;
}

/* T's dims as [batch..., the product of its own, the product of those summed], or the last two the other way. */
static jc_value *laid_out(fx_reader *r, const term *t, const label_set *batch, const label_set *own, const label_set *gone, bool turned) {
    uint16_t order[3 * JC_MAX_RANK];
    const jc_expr *dims[JC_MAX_RANK + 2], *sizes[2] = { fx_one(r), fx_one(r) };
    const label_set *const parts[3] = { batch, turned ? gone : own, turned ? own : gone };
    int n = 0;
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < parts[p]->n; i++) {
            const jc_expr *size = t->x->type.dims[place_of(t, parts[p]->at[i])];
            if (p)
                sizes[p - 1] = jc_ex_mul(fx_x(r), sizes[p - 1], size);
            else
                dims[n] = size;
            order[n++] = parts[p]->at[i];
        }
    dims[batch->n] = sizes[0];
    dims[batch->n + 1] = sizes[1];
    return fx_reshape(r, in_order(r, t, order, n), dims, (uint32_t)batch->n + 2);
}

/* A and B in one: labels that are in KEPT stay, others are summed over. */
static term contracted(fx_call *c, const term *a, const term *b, const label_set *kept) {
    fx_reader *r = c->r;
    label_set batch = { .n = 0 }, left = batch, right = batch, gone = batch, all = batch;
    term y = { NULL, { 0 } };
    for (int d = 0; d < fx_rank(a->x); d++) {
        const uint16_t l = a->labels[d];
        add_label(place_of(b, l) < 0 ? &left : is_in(kept->at, kept->n, l) ? &batch : &gone, l);
    }
    for (int d = 0; d < fx_rank(b->x); d++)
        if (place_of(a, b->labels[d]) < 0)
            add_label(&right, b->labels[d]);
    const label_set *const parts[3] = { &batch, &left, &right };
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < parts[p]->n; i++)
            add_label(&all, parts[p]->at[i]);
    if (all.n > JC_MAX_RANK || batch.n > JC_MAX_RANK - 2) {
        fx_fail(r, JITC_E_UNSUPPORTED, c->at, "`%s` would make a tensor of more than %d dimensions.", c->row->name, JC_MAX_RANK);
        return y;
    }
    memcpy(y.labels, all.at, sizeof y.labels);
    if (!gone.n) {
        jc_value *x = spread(r, a, all.at, all.n);
        y.x = multiplied(r, x, spread(r, b, all.at, all.n));
        return y;
    }
    const jc_expr *dims[JC_MAX_RANK];
    for (int i = 0; i < all.n; i++)
        dims[i] = place_of(a, all.at[i]) >= 0 ? a->x->type.dims[place_of(a, all.at[i])] : b->x->type.dims[place_of(b, all.at[i])];
    jc_value *x = laid_out(r, a, &batch, &left, &gone, false);
    x = product(c, x, laid_out(r, b, &batch, &right, &gone, true), fx_nothing());
    y.x = fx_reshape(r, x, dims, (uint32_t)all.n);
    return y;
}

static void drop_dim(term *t, int d) {
    memmove(&t->labels[d], &t->labels[d + 1], sizeof *t->labels * (size_t)(JC_MAX_RANK - d - 1));
}

/* A label that T has twice stands for a diagonal. */
static void take_diagonals(fx_reader *r, term *t) {
    for (int d = 0; t->x && d < fx_rank(t->x); d++)
        for (int e = d + 1; t->x && e < fx_rank(t->x); e++) {
            if (t->labels[d] != t->labels[e])
                continue;
            const uint16_t label = t->labels[d];
            t->x = FX_OP(r, JC_OP_diagonal, fx_v(t->x), fx_i(r, d), fx_i(r, e), fx_i(r, 0), fx_i(r, 0), fx_e(t->x->type.dims[d]));
            drop_dim(t, e);
            drop_dim(t, d);
            if (t->x)
                t->labels[fx_rank(t->x) - 1] = label;
            d = -1;
            break;
        }
}

/* What T alone has and nobody asks for is summed at once; where T is ALONE, as sum() does: integers are i64. */
static void sum_lone(fx_reader *r, term *t, const label_set *kept, bool alone) {
    for (int d = 0; t->x && d < fx_rank(t->x);) {
        if (is_in(kept->at, kept->n, t->labels[d])) {
            d++;
            continue;
        }
        const jc_dtype dtype = (jc_dtype)t->x->type.dtype;
        t->x = summed(r, t->x, d);
        t->x = t->x && !alone ? fx_cast(r, t->x, dtype) : t->x;
        drop_dim(t, d);
    }
}

/* Terms to the right of I, and the result. */
static label_set asked_for(const term *terms, uint32_t n, uint32_t i, const label_set *out) {
    label_set s = *out;
    for (; i < n; i++)
        for (int d = 0; terms[i].x && d < fx_rank(terms[i].x); d++)
            add_label(&s, terms[i].labels[d]);
    return s;
}

static jc_value *contract_all(fx_call *c, term *terms, uint32_t n, const label_set *out) {
    fx_reader *r = c->r;
    for (uint32_t i = 0; i < n; i++)
        take_diagonals(r, &terms[i]);
    for (uint32_t i = 0; i < n && terms[i].x; i++) {
        label_set kept = asked_for(terms, i, 0, out);
        kept = asked_for(terms, n, i + 1, &kept);
        sum_lone(r, &terms[i], &kept, n == 1);
    }
    term y = terms[0];
    for (uint32_t i = 1; i < n && y.x && terms[i].x && !r->status; i++) {
        const label_set kept = asked_for(terms, n, i + 1, out);
        y = contracted(c, &y, &terms[i], &kept);
    }
    if (!y.x || r->status)
        return NULL;
    for (int i = 0; i < out->n; i++)
        if (place_of(&y, out->at[i]) < 0) {
            fx_fail(r, JITC_E_INPUT, c->at, "The result of `%s` has a label that no operand has.", c->row->name);
            return NULL;
        }
    return in_order(r, &y, out->at, out->n);
}

#define DOTS 256 /* labels of an ellipsis' dims: this one is the last of them, those before it follow */

static bool is_letter(char ch) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

/* The labels at *TEXT up to a comma, an arrow or the end; where there are dots as many of theirs as HIDDEN. -1: not such a text. */
static int read_labels(const char **text, uint16_t *out, int room, int hidden) {
    int n = 0;
    for (; **text && **text != ',' && strncmp(*text, "->", 2) != 0; ++*text) {
        if (**text == ' ')
            continue;
        if (is_letter(**text) && n < room) {
            out[n++] = (uint16_t)(unsigned char)**text;
        } else if (strncmp(*text, "...", 3) == 0 && n + hidden <= room) {
            for (int k = hidden; k-- > 0;)
                out[n++] = (uint16_t)(DOTS + k);
            *text += 2;
        } else {
            return -1;
        }
    }
    return n;
}

static int count_letters(const char *text) {
    int n = 0;
    for (; *text && *text != ',' && strncmp(text, "->", 2) != 0; text++)
        n += is_letter(*text);
    return n;
}

/* Without an arrow: the dots' dims, then the labels that occur once, in alphabetic order. */
static void implied(const term *terms, uint32_t n, int dots, label_set *out) {
    for (int k = dots; k-- > 0;)
        add_label(out, (uint16_t)(DOTS + k));
    for (uint16_t label = 'A'; label <= 'z'; label++) {
        int times_seen = 0;
        for (uint32_t i = 0; i < n; i++)
            for (int d = 0; d < fx_rank(terms[i].x); d++)
                times_seen += terms[i].labels[d] == label;
        if (times_seen == 1)
            add_label(out, label);
    }
}

jc_arg fx_h_einsum(fx_call *c) {
    jc_value **parts;
    const char *text = c->a[0].kind == JC_ARG_STR ? c->a[0].str : NULL;
    const uint32_t n = fx_tensors(c, 1, &parts);
    label_set out = { .n = 0 };
    int dots = 0;
    if (!text)
        fx_bad_arg(c, 0, "a text such as 'ij,jk->ik'");
    if (!n || c->r->status)
        return fx_nothing();
    term *terms = fx_take(c->r, sizeof *terms * n);
    for (uint32_t i = 0; i < n; i++) {
        const int hidden = fx_rank(parts[i]) - count_letters(text);
        terms[i].x = parts[i];
        if (read_labels(&text, terms[i].labels, JC_MAX_RANK, hidden > 0 ? hidden : 0) != fx_rank(parts[i]) || (i + 1 < n && *text != ',')) {
            fx_bad_arg(c, 0, "a text with a label for each dimension of each operand");
            return fx_nothing();
        }
        dots = hidden > dots ? hidden : dots;
        text += *text == ',';
    }
    if (*text == '-') {
        text += 2;
        out.n = read_labels(&text, out.at, JC_MAX_RANK, dots);
    } else {
        implied(terms, n, dots, &out);
    }
    if (*text || out.n < 0 || out.n > JC_MAX_RANK) {
        fx_bad_arg(c, 0, "a text with as many operands as there are, and a result");
        return fx_nothing();
    }
    return fx_v(contract_all(c, terms, n, &out));
}

/* A's dims IN_A meet B's dims IN_B; the result has what is left of both. */
static jc_value *met(fx_call *c, jc_value *a, jc_value *b, const int *in_a, const int *in_b, int n) {
    term terms[2] = { { a, { 0 } }, { b, { 0 } } };
    label_set out = { .n = 0 };
    for (int d = 0; d < fx_rank(a); d++)
        terms[0].labels[d] = (uint16_t)(1 + d);
    for (int d = 0; d < fx_rank(b); d++)
        terms[1].labels[d] = (uint16_t)(1 + JC_MAX_RANK + d);
    for (int k = 0; k < n; k++)
        terms[1].labels[in_b[k]] = terms[0].labels[in_a[k]];
    for (int t = 0; t < 2; t++)
        for (int d = 0; d < fx_rank(terms[t].x); d++)
            if (place_of(&terms[!t], terms[t].labels[d]) < 0)
                add_label(&out, terms[t].labels[d]);
    if (out.n > JC_MAX_RANK)
        fx_fail(c->r, JITC_E_UNSUPPORTED, c->at, "A tensor may have at most %d dimensions.", JC_MAX_RANK);
    return c->r->status ? NULL : contract_all(c, terms, 2, &out);
}

/* A dim of 1 meets any: X's is summed up first where OTHER's is 1. */
static jc_value *met_by_one(fx_reader *r, jc_value *x, const int *in_x, const jc_value *other, const int *in_other, int n) {
    for (int k = 0; k < n && x && !r->status; k++) {
        const jc_expr *dim = jc_ex_int(fx_x(r), in_x[k]);
        if (jc_ex_is(other->type.dims[in_other[k]], 1) && !jc_ex_is(x->type.dims[in_x[k]], 1))
            x = FX_OP(r, JC_OP_sum, fx_v(x), fx_dims(r, &dim, 1), jc_arg_bool(true), jc_arg_dtype((jc_dtype)x->type.dtype));
    }
    return x;
}

/* A number: so many of A's last dims and B's first; or a list for each.  Aux: 1: these are two arguments. */
jc_arg fx_h_tensordot(fx_call *c) {
    if (c->row->aux)
        c->a[2] = fx_list(c->r, (jc_arg[]){ c->a[2], c->a[3] }, 2);
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    int dims[2][JC_MAX_RANK];
    int64_t n = 2;
    if (!a || !b)
        return fx_nothing();
    const jc_value *const x[2] = { a, b };
    if (c->a[2].kind == JC_ARG_LIST && c->a[2].list.n == 2) {
        for (int t = 0; t < 2; t++) {
            const jc_arg list = c->a[2].list.at[t], *at = list.kind == JC_ARG_LIST ? list.list.at : &c->a[2].list.at[t];
            const uint32_t count = list.kind == JC_ARG_LIST ? list.list.n : 1;
            if (count > JC_MAX_RANK || (t && (int64_t)count != n))
                fx_bad_arg(c, 2, "two lists of as many dimensions");
            n = count;
            for (int64_t k = 0; k < n && k < JC_MAX_RANK && !c->r->status; k++) {
                int64_t d = 0;
                if (at[k].kind != JC_ARG_EXPR || !jc_ex_is_const(at[k].expr, &d))
                    fx_bad_arg(c, 2, "two lists of constants");
                dims[t][k] = fx_norm_dim(c->r, d, fx_rank(x[t]), c->at);
            }
        }
    } else {
        n = fx_int(c, 2, 2);
        if (n < 0 || n > fx_rank(a) || n > fx_rank(b))
            fx_bad_arg(c, 2, "a number of dimensions that both have");
        for (int k = 0; k < (int)n && !c->r->status; k++) {
            dims[0][k] = fx_rank(a) - (int)n + k;
            dims[1][k] = k;
        }
    }
    if (c->r->status)
        return fx_nothing();
    a = met_by_one(c->r, a, dims[0], b, dims[1], (int)n);
    b = a ? met_by_one(c->r, b, dims[1], a, dims[0], (int)n) : NULL;
    return b ? fx_v(met(c, a, b, dims[0], dims[1], (int)n)) : fx_nothing();
}

jc_arg fx_h_inner(fx_call *c) {
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    if (!a || !b)
        return fx_nothing();
    if (!fx_rank(a) || !fx_rank(b))
        return fx_v(multiplied(c->r, a, b));
    return fx_v(met(c, a, b, (const int[]){ fx_rank(a) - 1 }, (const int[]){ fx_rank(b) - 1 }, 1));
}

jc_arg fx_h_kron(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *a = fx_tensor(c, 0), *b = fx_tensor(c, 1);
    const jc_expr *dims[JC_MAX_RANK];
    while (a && b && fx_rank(a) != fx_rank(b)) {
        jc_value **fewer = fx_rank(a) < fx_rank(b) ? &a : &b;
        *fewer = fx_unsqueeze(r, *fewer, 0);
    }
    if (!a || !b)
        return fx_nothing();
    const int rank = fx_rank(a);
    if (2 * rank > JC_MAX_RANK)
        fx_refuse_arg(c, 0, "a tensor may have at most 8 dimensions on the way");
    for (int d = 0; d < rank && !r->status; d++) {
        dims[d] = jc_ex_mul(fx_x(r), a->type.dims[d], b->type.dims[d]);
    }
    for (int d = 0; d < rank && !r->status; d++) {
        a = fx_unsqueeze(r, a, 2 * d + 1);
        b = fx_unsqueeze(r, b, 2 * d);
    }
    jc_value *y = r->status ? NULL : multiplied(r, a, b);
    return fx_v(y ? fx_reshape(r, y, dims, (uint32_t)rank) : NULL);
}

/* x1[..., I] w[O, I, J] x2[..., J] + b[O] */
jc_arg fx_h_bilinear(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x1 = fx_tensor(c, 0), *x2 = fx_tensor(c, 1), *w = fx_tensor(c, 2);
    if (!x1 || !x2 || !w)
        return fx_nothing();
    if (fx_rank(w) != 3 || fx_rank(x1) < 1 || fx_rank(x1) != fx_rank(x2) || fx_rank(x1) == JC_MAX_RANK)
        fx_bad_arg(c, 2, "a weight of three dimensions beside operands of as many");
    if (r->status)
        return fx_nothing();
    jc_value *y = met(c, x1, w, (const int[]){ fx_rank(x1) - 1 }, (const int[]){ 1 }, 1); /* [..., O, J] */
    y = y ? multiplied(r, y, fx_unsqueeze(r, x2, fx_rank(x2) - 1)) : NULL;
    y = summed(r, y, y ? fx_rank(y) - 1 : 0);
    y = y ? fx_cast(r, y, (jc_dtype)x1->type.dtype) : NULL;
    return fx_v(fx_given(c, 3) ? FX_OP(r, JC_OP_add, fx_v(y), fx_v(fx_tensor(c, 3))) : y);
}

/* _trilinear(i1, i2, i3, expand1, expand2, expand3, sumdim): the product of the three, which get new dims where expandN says, summed over sumdim. */
jc_arg fx_h_trilinear(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *y = NULL;
    const jc_expr *at[JC_MAX_RANK];
    for (int k = 0; k < 3 && !r->status; k++) {
        jc_value *x = fx_tensor(c, k);
        const uint32_t n = fx_exprs(c, 3 + k, at, JC_MAX_RANK);
        x = x && fx_class_of(x) == 'f' ? fx_cast(r, x, x->type.dtype == JC_F64 ? JC_F64 : JC_F32) : x;
        for (uint32_t i = 0; i < n && x && !r->status; i++) {
            int64_t d = 0;
            if (!jc_ex_is_const(at[i], &d) || d < 0 || d > fx_rank(x) || fx_rank(x) == JC_MAX_RANK)
                fx_bad_arg(c, 3 + k, "dims of the result");
            x = r->status ? NULL : fx_unsqueeze(r, x, (int)d);
        }
        y = y ? multiplied(r, y, x) : x;
    }
    const uint32_t n = r->status ? UINT32_MAX : fx_exprs(c, 6, at, JC_MAX_RANK);
    if (n == UINT32_MAX || !y)
        return fx_nothing();
    y = FX_OP(r, JC_OP_sum, fx_v(y), fx_dims(r, at, n), jc_arg_bool(false), fx_nothing());
    return fx_v(y ? fx_cast(r, y, (jc_dtype)c->a[0].value->type.dtype) : NULL);
}

/* --- covariances --- */

/* cov(self, correction, fweights, aweights): of rows; a vector is one, and has a number; aux 1: corrcoef(self) */
jc_arg fx_h_cov(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    if (fx_rank(x) > 2)
        fx_bad_arg(c, 0, "of at most two dimensions");
    const bool weighed = !c->row->aux && (fx_given(c, 2) || fx_given(c, 3));
    const jc_arg y = c->r->status ? fx_nothing() : fx_defined_as(c, c->row->aux ? "corrcoef" : weighed ? "cov_weighed" : "cov");
    return fx_rank(x) < 2 && fx_is_tensor(y) ? fx_v(fx_reshape(c->r, y.value, NULL, 0)) : y;
}
