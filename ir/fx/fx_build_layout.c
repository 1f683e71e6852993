/*
 * ir/fx/fx_build_layout.c - how PyTorch lays out what a graph makes, where that is not as it lies here.
 *
 * What nodes make is row-major here.  PyTorch keeps the order of the operands' strides in what is computed element by element, in clones,
 * casts and what is made like another tensor (torch.preserve_format), and makes what `memory_format` asks for; what else an operator gives, only the
 * text's strides tell (print_readable(include_stride=True), an archive), which go before all rules.  No number depends on it.  Three things do:
 *
 *   - a view of what lies otherwise is one or is none;
 *   - a reshape of it is a view or a copy, which a write tells;
 *   - what a class returns has PyTorch's strides.
 *
 * Only values that need not be as they lie here have an entry in r->laid.  Where one of the three needs a storage in PyTorch's order, the expression
 * that makes it is noted in r->relaid, and the whole is read again: then its result is made contiguous in that order and permuted back, which mostly
 * is no kernel more, since the copy is fused into what computes.  Plain graphs have no entries and are read once.
 *
 * The rule for operands is that of TensorIterator::reorder_dimensions (PyTorch 2.11): see ir/eval/eval_layout.c, which has it for numbers and shares
 * nothing with this.
 */
#include <stdlib.h>
#include "ir/fx/fx_build.h"

typedef struct laid {
    bool known;                    /* else: nobody says how it lies in PyTorch */
    const jc_expr *const *strides; /* NULL: row-major */
} laid;

/* The expression that makes a storage, and which of its results it is. */
typedef struct maker {
    uint64_t key;
    jc_value *result;
} maker;

typedef struct order {
    int rank, slowest[JC_MAX_RANK]; /* dims, from the slowest in memory on */
    int step;                       /* between elements: 2 where those of the other part of a complex tensor lie between */
} order;

static laid *entry(const fx_reader *r, const jc_value *v) {
    return r->laid ? jc_map_get(r->laid, &v, sizeof v) : NULL;
}

static void enter(fx_reader *r, jc_value *v, laid l) {
    laid *e = JC_NEW(r->scratch, laid);
    jc_value **key = JC_NEW(r->scratch, jc_value *);
    *e = l;
    *key = v;
    if (!r->laid)
        r->laid = jc_map_new(r->scratch);
    jc_map_set(r->laid, key, sizeof v, e);
}

/* --- orders --- */

static bool counts(const jc_type *t, int d) {
    return !jc_ex_is(t->dims[d], 1);
}

/* Is A at most B, by proof? */
static bool proved(fx_reader *r, const jc_expr *a, const jc_expr *b) {
    return a == b || jc_ex_le(fx_x(r), a, b) == JC_YES || (!jc_ex_is(b, 0) && jc_ex_quotient(fx_x(r), b, a) != NULL);
}

/* T's dims by STRIDES, if they lie FROM elements apart without other gaps and overlaps; dims of one element stay beside the one before them. */
static bool order_from(fx_reader *r, const jc_type *t, const jc_expr *const *strides, int from, int *slowest) {
    int n = 0;
    for (int d = 0; d < t->rank; d++) {
        int at = n++;
        for (; counts(t, d) && at > 0; at--) {
            int before = at - 1;
            while (before > 0 && !counts(t, slowest[before]))
                before--;
            if (!counts(t, slowest[before]) || proved(r, strides[d], strides[slowest[before]]))
                break;
            if (!proved(r, strides[slowest[before]], strides[d]))
                return false;
            for (int k = at; k > before; k--)
                slowest[k] = slowest[k - 1];
            at = before + 1;
        }
        slowest[at] = d;
    }
    const jc_expr *step = jc_ex_int(fx_x(r), from);
    for (int k = t->rank; k-- > 0;) {
        if (counts(t, slowest[k]) && jc_ex_equal(fx_x(r), strides[slowest[k]], step) != JC_YES)
            return false;
        step = jc_ex_mul(fx_x(r), step, t->dims[slowest[k]]);
    }
    return true;
}

static bool order_of(fx_reader *r, const jc_type *t, const jc_expr *const *strides, int *slowest) {
    return order_from(r, t, strides, 1, slowest);
}

static bool is_plain(const jc_type *t, const int *slowest) {
    for (int k = 0, last = -1; k < t->rank; k++) {
        if (!counts(t, slowest[k]))
            continue;
        if (slowest[k] < last)
            return false;
        last = slowest[k];
    }
    return true;
}

/* T's strides where its dims lie in this order; NULL: row-major. */
static const jc_expr *const *strides_in(fx_reader *r, const jc_type *t, const int *slowest) {
    if (is_plain(t, slowest))
        return NULL;
    const jc_expr **strides = JC_NEWN(r->scratch, const jc_expr *, t->rank), *step = jc_ex_int(fx_x(r), 1);
    for (int k = t->rank; k-- > 0;) {
        strides[slowest[k]] = step;
        step = jc_ex_mul(fx_x(r), step, t->dims[slowest[k]]);
    }
    return strides;
}

/* --- what is known of a value --- */

/* What N's result would be, were its operand laid out so; false where there is none. */
static bool shown(fx_reader *r, const jc_node *n, const jc_expr *const *strides, jc_value *result) {
    jc_error err = JC_ERROR_INIT;
    jc_value x = *n->args[0].value, *results[] = { result };
    jc_arg *args = jc_arena_memdup(r->scratch, n->args, n->nargs * sizeof *args);
    jc_node copy = *n;
    *result = *n->results[0];
    x.type.strides = strides;
    x.base = result->base = NULL;
    x.offset = result->offset = NULL;
    args[0].value = &x;
    copy.args = args;
    copy.results = results;
    return jc_infer(r->func, &copy, &err) == JITC_OK;
}

static laid seen_through(fx_reader *r, const jc_node *n, laid x) {
    jc_value y;
    return x.known && shown(r, n, x.strides, &y) ? (laid){ true, y.type.strides } : (laid){ false, NULL };
}

/* Does V lie in what an operator of others, or a piece, gives? */
static bool is_of_others(jc_value *v) {
    const jc_node *def = jc_storage(v)->def;
    return def && (def->op == JC_OP_custom || def->op == JC_OP_call);
}

static laid layout_of(fx_reader *r, jc_value *v) {
    const laid *known = entry(r, v);
    if (known)
        return *known;
    const jc_node *n = v->def;
    const bool others = is_of_others(v);
    if (others && !v->base)
        return (laid){ v->type.strides != NULL, v->type.strides };
    if ((!r->laid && !others) || !n || !n->nargs || n->args[0].kind != JC_ARG_VALUE)
        return (laid){ true, v->type.strides };
    if (jc_ops[n->op].traits & JC_WRITES)
        return layout_of(r, n->args[0].value);
    return jc_ops[n->op].traits & JC_VIEW ? seen_through(r, n, layout_of(r, n->args[0].value)) : (laid){ true, v->type.strides };
}

/* --- what operators make --- */

typedef struct operands {
    fx_reader *r;
    const jc_type *out;
    const jc_expr *strides[FX_MAX_PARAMS][JC_MAX_RANK]; /* 0 where a dim is spread */
    int n;
    bool told, open;
} operands;

static bool is_otherwise(fx_reader *r, jc_value *v) {
    return v->type.rank > 1 && (v->type.strides || entry(r, v) || (v->base && entry(r, v->base)));
}

static void take_operand(operands *o, jc_value *v) {
    const laid l = layout_of(o->r, v);
    const jc_expr *const *strides, *zero = jc_ex_int(fx_x(o->r), 0);
    const int shift = o->out->rank - v->type.rank;
    jc_type t = v->type;
    if (!l.known || shift < 0) {
        o->open = true;
        return;
    }
    t.strides = l.strides;
    strides = jc_type_strides(fx_x(o->r), o->r->scratch, &t);
    for (int d = 0; d < o->out->rank; d++) {
        const bool spread = d < shift || (!counts(&t, d - shift) && counts(o->out, d));
        o->strides[o->n][d] = spread ? zero : strides[d - shift];
        o->open |= !spread && jc_ex_equal(fx_x(o->r), t.dims[d - shift], o->out->dims[d]) == JC_NO;
    }
    o->n++;
}

/* Above 0: dim A is the slower one of the two; below: B is; 0: nothing tells. */
static int slower(operands *o, int a, int b) {
    jc_exprs *t = fx_x(o->r);
    for (int k = 0; k < o->n; k++) {
        const jc_expr *x = o->strides[k][a], *y = o->strides[k][b];
        if (jc_ex_is(x, 0) || jc_ex_is(y, 0))
            continue;
        if (x != y && proved(o->r, x, y))
            return -1;
        if (x != y && proved(o->r, y, x))
            return 1;
        o->open |= x != y;
        if (x == y && jc_ex_le(t, o->out->dims[a], o->out->dims[b]) == JC_NO)
            return 1;
    }
    return 0;
}

/* Sorted from the fastest on, by insertion. */
static void sort(operands *o, int *slowest) {
    const int rank = o->out->rank;
    int fastest[JC_MAX_RANK];
    for (int i = 0; i < rank; i++)
        fastest[i] = rank - 1 - i;
    for (int i = 1; i < rank; i++)
        for (int at = i, k = i - 1; k >= 0; k--) {
            const int which = slower(o, fastest[k], fastest[at]);
            if (which < 0)
                break;
            if (which > 0) {
                const int dim = fastest[k];
                fastest[k] = fastest[at];
                fastest[at] = dim;
                at = k;
            }
        }
    for (int i = 0; i < rank; i++)
        slowest[i] = fastest[rank - 1 - i];
}

/* Y is laid out as tensors among the N arguments are. */
static void lay_as(fx_reader *r, jc_value *y, const jc_arg *args, uint32_t n) {
    operands o = { .r = r, .out = &y->type };
    int slowest[JC_MAX_RANK];
    for (uint32_t i = 0; i < n; i++)
        if (fx_is_tensor(args[i]))
            take_operand(&o, args[i].value);
    if (o.n && !o.open)
        sort(&o, slowest);
    if (o.open) {
        enter(r, y, (laid){ false, NULL });
        return;
    }
    const jc_expr *const *strides = o.n ? strides_in(r, &y->type, slowest) : NULL;
    if (strides || entry(r, y))
        enter(r, y, (laid){ true, strides });
}

enum { PLAIN = 1, LIKE = 2, POINTWISE = 4, VIEW = 8, JOINS = 16, FORMAT = 32, WEIGHED = 64, TURNED = 128, COLUMNS = 256 }; /* COLUMNS << k: of result k */

/* Operators whose results PyTorch makes row-major, however their operands lie; in order. */
static const char *const plain[] = {
    "adaptive_avg_pool3d", "adaptive_max_pool3d", "addmm", "all", "amax", "amin", "any", "argmax", "argmin", "avg_pool3d", "baddbmm", "bmm", "bucketize", "cumprod", "cumsum",
    "embedding", "gather", "grid_sample", "grid_sampler", "huber_loss_backward", "index_add", "index_select", "instance_norm", "layer_norm", "linear", "log_softmax", "logsumexp", "masked_fill",
    "masked_scatter", "matmul", "mean", "mm", "mse_loss_backward", "prod", "renorm", "repeat", "repeat_interleave", "scatter", "scatter_add", "smooth_l1_loss_backward", "softmax", "std", "sum", "take_along_dim", "tril", "triu", "var",
};

/* Those that keep the order of their first operand's strides besides what is computed element by element; in order. */
static const char *const kept[] = {
    "copy", "fill", "flip", "index_fill", "local_response_norm", "normalize", "prelu", "sort",
};

/* What is computed element by element with its last operand first, so that this one tells before the others; in order. */
static const char *const turned[] = {
    "binary_cross_entropy_backward", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "kl_div", "leaky_relu_backward", "rsub", "threshold_backward",
};

/* Those whose first result is channels last where their first operand is, and else row-major; in order. */
static const char *const formed[] = {
    "_adaptive_avg_pool2d", "_batch_norm_no_update", "_native_batch_norm_legit", "_native_batch_norm_legit_functional", "_native_batch_norm_legit_no_training",
    "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "batch_norm", "channel_shuffle", "constant_pad_nd",
    "group_norm", "interpolate", "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "native_batch_norm", "native_channel_shuffle",
    "native_group_norm", "pad", "pixel_shuffle", "pixel_unshuffle", "reflection_pad2d", "reflection_pad3d", "replication_pad2d", "replication_pad3d", "roll", "upsample",
    "upsample_bicubic2d", "upsample_bilinear", "upsample_bilinear2d", "upsample_nearest", "upsample_nearest2d", "upsample_nearest3d", "upsample_trilinear3d",
};

/* Those where the second operand, the weight, tells as well; in order. */
static const char *const weighed[] = { "_convolution", "conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d", "convolution" };

/* Those whose first result it makes column by column, as LAPACK has it; in order. */
static const char *const lapack[] = {
    "_linalg_solve_ex", "cholesky", "cholesky_ex", "cholesky_inverse", "cholesky_solve", "geqrf", "householder_product", "inv", "inv_ex", "inverse", "lstsq", "lu_factor",
    "lu_factor_ex", "lu_solve", "orgqr", "ormqr", "qr", "solve", "solve_ex", "solve_triangular", "triangular_solve",
};

/* Those of them whose second result lies so too. */
static const char *const lapack_twice[] = { "qr", "triangular_solve" };

static int by_name(const void *name, const void *row) {
    return strcmp(name, *(const char *const *)row);
}

#define LISTED(name, list) (bsearch((name), (list), sizeof(list) / sizeof *(list), sizeof *(list), by_name) != NULL)

uint16_t fx_lays_of(const fx_spelling *row) {
    const unsigned traits = jc_ops[row->op].traits;
    const bool copy = row->length > 5 && strcmp(row->name + row->length - 5, "_copy") == 0 && strcmp(row->name, "_to_copy") != 0; /* of a view */
    const bool like = !copy && (row->op == JC_OP_clone || row->op == JC_OP_cast || (row->length > 5 && strcmp(row->name + row->length - 5, "_like") == 0) || LISTED(row->name, kept));
    const bool pointwise = traits & JC_POINTWISE && !strstr(row->name, "norm"); /* of statistics, that one */
    const unsigned columns = LISTED(row->name, lapack) ? LISTED(row->name, lapack_twice) ? 3 : 1 : 0;
    const bool by_weight = LISTED(row->name, weighed);
    return (uint16_t)((copy || LISTED(row->name, plain)) * PLAIN | like * LIKE | pointwise * POINTWISE | (traits & JC_VIEW ? VIEW : 0) |
                     (strcmp(row->name, "cat") == 0) * JOINS | (by_weight || LISTED(row->name, formed)) * FORMAT | by_weight * WEIGHED | LISTED(row->name, turned) * TURNED | columns * COLUMNS);
}

/* Vectors are solved for as one column each. */
static bool makes_columns(const fx_call *c, const jc_value *y, uint32_t k) {
    return k < 2 && c->lays & COLUMNS << k && fx_is_tensor(c->a[0]) && fx_rank(y) == fx_rank(c->a[0].value);
}

/* Do T's strides grow from the second dim over the last ones to the first (is_channels_last_strides_2d)?  COUNTED: in dims of one element, too. */
static jc_truth grow_from_channels(fx_reader *r, const jc_type *t, bool counted) {
    const jc_expr *const *strides = jc_type_strides(fx_x(r), r->scratch, t), *least = jc_ex_int(fx_x(r), 0);
    for (int i = 0; i < t->rank; i++) {
        const int d = i == 0 ? 1 : i == t->rank - 1 ? 0 : t->rank - i;
        if (d > 1 && !counted && !counts(t, d))
            continue;
        if (d == 0 && strides[1] == least)
            return JC_NO; /* row-major goes first */
        if (!proved(r, least, strides[d]))
            return proved(r, strides[d], least) ? JC_NO : JC_MAYBE;
        least = jc_ex_mul(fx_x(r), strides[d], t->dims[d]);
    }
    return jc_ex_is(strides[1], 0) ? JC_NO : JC_YES;
}

/* Does PyTorch take X for channels last?  Strides of dims of one element tell there and are not kept here, but in views. */
static jc_truth is_channels_last(fx_reader *r, jc_value *x) {
    const int rank = fx_rank(x);
    const laid l = layout_of(r, x);
    jc_type t = x->type;
    t.strides = l.strides;
    if (!l.known)
        return JC_MAYBE;
    if (!l.strides || rank < 4 || rank > 5)
        return JC_NO;
    const jc_truth all = grow_from_channels(r, &t, true);
    return all == JC_NO && !x->base && grow_from_channels(r, &t, false) != JC_NO ? JC_MAYBE : all;
}

/* torch.cat is row-major, unless all lie channels last; a convolution, unless its operand or its weight does; others go by their operand. */
static jc_truth gives_channels_last(const fx_call *c) {
    const bool joins = c->a[0].kind == JC_ARG_LIST;
    const jc_arg *at = joins ? c->a[0].list.at : c->a;
    const uint32_t n = joins ? c->a[0].list.n : c->lays & WEIGHED && c->n > 1 ? 2 : 1;
    const jc_truth decides = joins ? JC_NO : JC_YES;
    jc_truth all = joins && n ? JC_YES : JC_NO;
    for (uint32_t i = 0; i < n && all != decides; i++) {
        const jc_truth one = fx_is_tensor(at[i]) ? is_channels_last(c->r, at[i].value) : JC_NO;
        all = one == decides ? decides : one == JC_MAYBE ? JC_MAYBE : all;
    }
    return all;
}

static bool any_otherwise(fx_reader *r, const jc_arg *args, uint32_t n) {
    bool any = false;
    for (uint32_t i = 0; i < n && !any; i++)
        any = fx_is_tensor(args[i]) ? is_otherwise(r, args[i].value) : args[i].kind == JC_ARG_LIST && any_otherwise(r, args[i].list.at, args[i].list.n);
    return any;
}

static bool is_fresh(jc_value *v, uint32_t before) {
    return jc_storage(v)->def && jc_storage(v)->id >= before;
}

/* --- memory formats --- */

static const struct {
    const char *name;
    int rank, slowest[5];
} formats[] = { { "torch.channels_last", 4, { 0, 2, 3, 1 } }, { "torch.channels_last_3d", 5, { 0, 2, 3, 4, 1 } } };

/* Does X lie so? */
static bool lies_so(fx_reader *r, jc_value *x, const int *slowest) {
    const laid l = layout_of(r, x);
    jc_type t = x->type;
    t.strides = l.strides;
    const jc_expr *const *have = jc_type_strides(fx_x(r), r->scratch, &t), *const *want = strides_in(r, &t, slowest);
    if (!want)
        want = jc_type_row_major(fx_x(r), r->scratch, t.dims, t.rank);
    for (int d = 0; l.known && d < t.rank; d++)
        if (counts(&t, d) && have[d] != want[d])
            return false;
    return l.known;
}

/* Y, what the call gives, in the format that it asks for; X, its operand, where that is it. */
static jc_value *in_format(fx_call *c, jc_value *y, jc_value *x, uint32_t before) {
    fx_reader *r = c->r;
    const bool may_be_itself = c->row->op == JC_OP_contiguous || strcmp(c->row->name, "to") == 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(c->format, formats[i].name) != 0)
            continue;
        if (fx_rank(y) != formats[i].rank) {
            fx_fail(r, JITC_E_INPUT, c->at, "%s is an order of %d dimensions; this has %d.", c->format, formats[i].rank, fx_rank(y));
            return NULL;
        }
        if (may_be_itself && y->type.dtype == x->type.dtype && lies_so(r, x, formats[i].slowest))
            return x;
        y = is_fresh(y, before) ? y : FX_OP(r, JC_OP_clone, fx_v(y));
        if (y)
            enter(r, y, (laid){ true, strides_in(r, &y->type, formats[i].slowest) });
    }
    return y;
}

static bool says(const fx_call *c, const char *word) {
    bool found = false;
    for (uint32_t i = 0; i < c->n && !found; i++)
        found = c->a[i].kind == JC_ARG_STR && strcmp(c->a[i].str, word) == 0;
    return found;
}

/* Y, what C gives, is channels last where what it is made of is. */
static void lay_in_format(fx_call *c, jc_value *y) {
    fx_reader *r = c->r;
    const int rank = fx_rank(y);
    const jc_truth last = says(c, "circular") || (rank == 5 && says(c, "area")) ? JC_NO : gives_channels_last(c);
    if (last == JC_MAYBE || (last == JC_YES && (rank < 4 || rank > 5)))
        enter(r, y, (laid){ false, NULL });
    else if (last == JC_YES)
        enter(r, y, (laid){ true, strides_in(r, &y->type, formats[rank - 4].slowest) });
    else if (y->type.strides || entry(r, y))
        enter(r, y, (laid){ true, NULL });
}

/* --- what the reader tells --- */

void fx_lay_note(fx_reader *r, jc_value *v, const jc_type *note) {
    const laid *known = entry(r, v);
    if (v->type.kind != JC_TENSOR || v->type.rank < 2 || note->rank != v->type.rank || !note->strides)
        return;
    const jc_expr *const *have = jc_type_strides(fx_x(r), r->scratch, &v->type);
    bool same = !known;
    for (int d = 0; d < v->type.rank; d++) {
        same &= !counts(&v->type, d) || note->strides[d] == have[d];
        if (jc_ex_is(v->type.dims[d], 0))
            return;
    }
    if (same)
        return;
    int slowest[JC_MAX_RANK];
    const bool dense = order_of(r, &v->type, note->strides, slowest);
    enter(r, v, (laid){ true, dense ? strides_in(r, &v->type, slowest) : note->strides });
}

bool fx_lay_dense(fx_reader *r, jc_value *v, const jc_expr *const *strides) {
    int slowest[JC_MAX_RANK];
    if (!v || !order_of(r, &v->type, strides, slowest))
        return false;
    if (v->type.rank > 1)
        enter(r, v, (laid){ true, strides_in(r, &v->type, slowest) });
    return true;
}

void fx_lay_pointwise(fx_reader *r, jc_value *y, const jc_arg *args, uint32_t n) {
    if (y && !r->status && y->type.rank > 1 && any_otherwise(r, args, n))
        lay_as(r, y, args, n);
}

/* Result K, where PyTorch's layout does not hang on the operands': what ends in a permutation here is made row by row there. */
static void lay_fixed(fx_call *c, jc_value *y, uint32_t k, uint32_t before) {
    int slowest[JC_MAX_RANK];
    const int rank = fx_rank(y);
    if (y->type.kind != JC_TENSOR || rank < 2 || !is_fresh(y, before))
        return;
    for (int d = 0; d < rank; d++)
        slowest[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    if (makes_columns(c, y, k))
        enter(c->r, y, (laid){ true, strides_in(c->r, &y->type, slowest) });
    else if (y->type.strides && !entry(c->r, y) && !(c->lays & VIEW))
        enter(c->r, y, (laid){ true, NULL });
}

static void lay_turned(fx_call *c, jc_value *y) {
    jc_arg args[FX_MAX_PARAMS];
    for (uint32_t i = 0; i < c->n; i++)
        args[i] = c->a[c->n - 1 - i];
    lay_as(c->r, y, args, c->n);
}

static void lay_one(fx_call *c, jc_value *y) {
    if (c->lays & (FORMAT | JOINS))
        lay_in_format(c, y);
    else if (c->lays & TURNED)
        lay_turned(c, y);
    else
        lay_as(c->r, y, c->a, c->lays & LIKE && fx_is_tensor(c->a[0]) ? 1 : c->n);
}

jc_arg fx_lay_out(fx_call *c, jc_arg result, uint32_t before) {
    fx_reader *r = c->r;
    for (uint32_t i = 0; result.kind == JC_ARG_LIST && i < result.list.n && before < r->func->nvalues && !r->status; i++)
        if (fx_is_tensor(result.list.at[i])) {
            jc_value *one = result.list.at[i].value;
            lay_fixed(c, one, i, before);
            if (c->lays & (FORMAT | LIKE) && any_otherwise(r, c->a, c->n) && is_fresh(one, before))
                lay_one(c, one);
        }
    if (r->status || !fx_is_tensor(result) || result.value->type.rank < 2)
        return result;
    jc_value *y = result.value, *x = c->n && fx_is_tensor(c->a[0]) ? c->a[0].value : NULL;
    const bool like = c->lays & LIKE && x;
    if (c->format && x && (like || c->row->op == JC_OP_contiguous) && strcmp(c->format, "torch.preserve_format") != 0) {
        y = in_format(c, y, x, before);
        return y ? fx_v(y) : fx_nothing();
    }
    if (y->type.strides || c->lays >= COLUMNS)
        lay_fixed(c, y, 0, before);
    if (c->lays & PLAIN && entry(r, y) && is_fresh(y, before))
        enter(r, y, (laid){ true, NULL }); /* what it is made of may keep an order */
    if (c->lays & PLAIN || (c->lays & VIEW && !(c->lays & FORMAT)) || makes_columns(c, y, 0) || !any_otherwise(r, c->a, c->n) || !is_fresh(y, before))
        return result;
    if (c->lays & (LIKE | POINTWISE | FORMAT | JOINS))
        lay_one(c, y);
    else
        enter(r, y, (laid){ false, NULL });
    return result;
}

void fx_lay_transformed(fx_reader *r, jc_value *y, jc_value *x, const int *dims, int n, int last) {
    operands o = { .r = r };
    int given[JC_MAX_RANK], slowest[JC_MAX_RANK], k = 0;
    bool fast[JC_MAX_RANK] = { false };
    if (r->status || !x || !y || x->type.rank < 2)
        return;
    o.out = &x->type;
    take_operand(&o, x);
    if (!o.open)
        sort(&o, given);
    if (o.open) {
        enter(r, y, (laid){ false, NULL });
        return;
    }
    for (int i = 0; i < n; i++)
        fast[dims[i]] = true;
    for (int behind = 0; behind < 2; behind++)
        for (int i = 0; i < x->type.rank; i++)
            if (fast[given[i]] == behind && given[i] != last)
                slowest[k++] = given[i];
    if (last >= 0)
        slowest[k] = last;
    const jc_expr *const *strides = strides_in(r, &y->type, slowest);
    if (strides || y->type.strides || entry(r, y))
        enter(r, y, (laid){ true, strides });
}

/* What an expression gave that lies in V's storage; V where nothing is noted. */
static jc_value *given_in(fx_reader *r, jc_value *v) {
    const jc_value *own = jc_storage(v);
    const maker *m = r->makers ? jc_map_get(r->makers, &own, sizeof own) : NULL;
    return m && m->result ? m->result : v;
}

void fx_lay_part(fx_reader *r, jc_value *v) {
    jc_value *own = given_in(r, v);
    const laid l = layout_of(r, own);
    jc_type t = own->type;
    int slowest[JC_MAX_RANK];
    t.strides = l.strides;
    if (r->status || !l.known || !t.rank)
        return;
    const jc_expr *const *one = jc_type_strides(fx_x(r), r->scratch, &t), **two = JC_NEWN(r->scratch, const jc_expr *, t.rank);
    if (!order_of(r, &t, one, slowest))
        return; /* noted already */
    for (int d = 0; d < t.rank; d++)
        two[d] = jc_ex_mul(fx_x(r), one[d], jc_ex_int(fx_x(r), 2));
    enter(r, own, (laid){ true, two });
}

/* --- laying out otherwise --- */

static jc_value *relay(fx_reader *r, jc_value *v, const order *o) {
    int back[JC_MAX_RANK];
    const int rank = fx_rank(v);
    for (int k = 0; k < rank; k++)
        back[o->slowest[k]] = k;
    jc_value *y = fx_permute(r, v, o->slowest);
    if (o->step > 1 && y) { /* what lies between is never looked at */
        const jc_expr *dims[JC_MAX_RANK];
        memcpy(dims, y->type.dims, (size_t)rank * sizeof *dims);
        dims[rank] = jc_ex_int(fx_x(r), o->step);
        y = FX_OP(r, JC_OP_contiguous, fx_v(FX_OP(r, JC_OP_expand, fx_v(fx_unsqueeze(r, y, rank)), fx_dims(r, dims, (uint32_t)rank + 1))));
        y = y ? fx_select(r, y, rank, jc_ex_int(fx_x(r), 0), r->stmt->at) : NULL;
    } else {
        y = FX_OP(r, JC_OP_contiguous, fx_v(y));
    }
    y = fx_permute(r, y, back);
    return y ? y : v;
}

/* The innermost expression makes it; results that share one are made by none. */
static void note_maker(fx_reader *r, jc_value *v, uint64_t by, bool one_of_many) {
    jc_value *own = jc_storage(v), **key = JC_NEW(r->scratch, jc_value *);
    maker *m = r->makers ? jc_map_get(r->makers, &own, sizeof own) : NULL;
    if (m) {
        m->result = m->result == v || !one_of_many ? m->result : NULL;
        return;
    }
    if (!r->makers)
        r->makers = jc_map_new(r->scratch);
    m = JC_NEW(r->scratch, maker);
    *key = own;
    *m = (maker){ by, v };
    jc_map_set(r->makers, key, sizeof *key, m);
}

static jc_value *made(fx_reader *r, jc_value *v, uint32_t before, uint64_t by, bool one_of_many) {
    if (v->type.kind != JC_TENSOR || v->type.rank < 2 || !is_fresh(v, before))
        return v;
    const order *o = r->relaid ? jc_map_get(r->relaid, &by, sizeof by) : NULL;
    if (o && o->rank == fx_rank(v))
        return relay(r, v, o);
    if (one_of_many || v->type.strides || entry(r, v) || entry(r, jc_storage(v)))
        note_maker(r, v, by, one_of_many);
    return v;
}

jc_arg fx_lay_made(fx_reader *r, uint32_t number, jc_arg value, uint32_t before) {
    const uint64_t by = (uint64_t)number << 32;
    if (r->status || r->within || before == r->func->nvalues)
        return value;
    if (fx_is_tensor(value))
        return fx_v(made(r, value.value, before, by, false));
    if (value.kind == FX_COMPLEX && !fx_pair_of(value)->whole) {
        jc_arg part[2] = { fx_pair_of(value)->re, fx_pair_of(value)->im };
        for (uint32_t i = 0; i < 2; i++)
            if (fx_is_tensor(part[i]))
                part[i].value = made(r, part[i].value, before, by + 1 + i, true);
        return fx_complex(r, part[0], part[1]);
    }
    for (uint32_t i = 0; value.kind == JC_ARG_LIST && i < value.list.n; i++)
        if (fx_is_tensor(value.list.at[i]))
            value.list.at[i].value = made(r, value.list.at[i].value, before, by + 1 + i, true);
    return value;
}

/* The storage of V is to lie as in PyTorch; false where that cannot be had. */
static bool want(fx_reader *r, jc_value *v) {
    const jc_value *own = jc_storage(v);
    const maker *m = r->makers ? jc_map_get(r->makers, &own, sizeof own) : NULL;
    if (!m || !m->result)
        return false;
    const laid l = layout_of(r, m->result);
    jc_type t = m->result->type;
    order *o = JC_NEW(r->arena, order);
    uint64_t *key = JC_NEW(r->arena, uint64_t);
    t.strides = l.strides;
    if (!l.known)
        return false;
    const jc_expr *const *strides = jc_type_strides(fx_x(r), r->scratch, &t);
    o->step = order_of(r, &t, strides, o->slowest) ? 1 : t.rank < JC_MAX_RANK && order_from(r, &t, strides, 2, o->slowest) ? 2 : 0;
    if (!o->step)
        return false;
    o->rank = t.rank;
    *key = m->key;
    if (!r->relaid)
        r->relaid = jc_map_new(r->arena);
    if (jc_map_get(r->relaid, key, sizeof *key))
        return false;
    jc_map_set(r->relaid, key, sizeof *key, o);
    r->again = true;
    return true;
}

fx_viewed fx_view_in_pytorch(fx_reader *r, jc_value *x, const jc_node *reshape) {
    const laid l = layout_of(r, x);
    if (!l.known)
        return FX_VIEW_OPEN;
    jc_value y;
    if (!shown(r, reshape, l.strides, &y) || !y.base)
        return FX_VIEW_NONE;
    return !jc_storage(x)->def || want(r, x) ? FX_VIEW : FX_VIEW_OPEN;
}

fx_viewed fx_bits_in_pytorch(fx_reader *r, jc_value *x, jc_dtype dtype) {
    const int last = fx_rank(x) - 1;
    if (jc_dtypes[x->type.dtype].size == jc_dtypes[dtype].size || !x->type.strides || jc_ex_is(x->type.strides[last], 1))
        return FX_VIEW_NONE;
    const laid l = layout_of(r, x);
    if (!l.known)
        return FX_VIEW_OPEN;
    if (l.strides && !jc_ex_is(l.strides[last], 1))
        return FX_VIEW_NONE;
    return !jc_storage(x)->def || want(r, x) ? FX_VIEW : FX_VIEW_OPEN;
}

void fx_lay_copied(fx_reader *r, jc_value *x, const jc_node *n) {
    jc_value y;
    if (!r->laid || !jc_storage(x)->def)
        return;
    const laid l = layout_of(r, x);
    if (l.known && shown(r, n, l.strides, &y) && (y.base != NULL) != (n->results[0]->base != NULL))
        jc_push(r->scratch, &r->copied, x);
}

bool fx_lay_again(fx_reader *r) {
    bool written = false;
    for (size_t p = 0; p <= r->graph->pieces.n && r->copied.n && !written; p++) {
        const jc_func *f = p < r->graph->pieces.n ? r->graph->pieces.at[p] : r->graph->root;
        for (size_t i = 0; f && i < f->nodes.n && !written; i++)
            written = (jc_ops[f->nodes.at[i]->op].traits & JC_WRITES) || f->nodes.at[i]->writes;
    }
    for (size_t i = 0; written && i < r->copied.n; i++)
        want(r, r->copied.at[i]);
    return r->again;
}

void fx_lay_output(fx_reader *r, jc_value *v) {
    if (!r->laid || v->type.kind != JC_TENSOR || v->type.rank < 1 || !jc_storage(v)->def)
        return;
    const laid l = layout_of(r, v);
    if (l.known && (l.strides || v->type.strides) && l.strides != v->type.strides)
        want(r, v);
}
