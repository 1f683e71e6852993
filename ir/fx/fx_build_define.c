/*
 * ir/fx/fx_build_define.c - spellings that are defined in others: definitions.def, evaluated as if the text of the graph held them.
 *
 * A definition is parsed once a reading, where it is first needed.  Its names are those of the call's parameters and its own; what they
 * mean in the graph's text is put aside for the time.  Failures are placed at the call.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

enum {
    AS_IS = 0,
    WIDE = 1,    /* narrow floats and integers are f32 before, and the result is rounded once to what the tensors have in common */
    TENSORS = 2, /* numbers are tensors */
    SAME = 4,    /* the result has the dtype of the first tensor */
    COMMON = 8,  /* the result has the dtype that the tensors have in common */
    MAKES = 16,  /* there need be no tensor */
    ALIKE = 32,  /* tensors have the dtype that they have in common, where that is a float's, before anything is computed */
    INDICES = 64, /* integers stay, where WIDE would make them floats */
    DOUBLE = 128, /* tensors are f64 before, and the result is rounded once to what they have in common */
    REDUCED = 256, /* a parameter `reduction` is the text's: the result is not reduced */
};

static const struct definition {
    const char *name, *classes, *defaults, *text;
    uint16_t how;
    bool gpu;
} definitions[] = {
#define DEFINE(name, classes, how, defaults, text) { #name, classes, defaults, text, how, false },
#define ON_GPU(name, classes, how, defaults, text) { #name, classes, defaults, text, how, true },
#include "ir/fx/definitions.def"
};
#undef DEFINE
#undef ON_GPU
enum { COUNT = sizeof definitions / sizeof *definitions, MAX_NAMES = 24 };

typedef struct fx_defined {
    fx_stmt *defaults, *body;
} fx_defined;

/* The names that an evaluation binds, and what they were before. */
typedef struct scope {
    uint32_t n;
    fx_name *names[MAX_NAMES]; /* parameters first */
    fx_name was[MAX_NAMES];
} scope;

static bool is_for(const struct definition *d, jc_dtype dtype) {
    const char cls = (char)jc_dtypes[dtype].cls;
    const char kind = jc_dtypes[dtype].size == 2 ? 'h' : jc_dtypes[dtype].size == 8 ? 'd' : cls; /* of a float */
    return !*d->classes || strchr(d->classes, cls) || (cls == 'f' && strchr(d->classes, kind));
}

/* The first row of NAME for tensors of DTYPE, of those for GPUs or of the others; COUNT where there is none. */
static uint32_t find(const char *name, jc_dtype dtype, bool gpu) {
    uint32_t lo = 0, hi = COUNT;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (strcmp(definitions[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < COUNT && strcmp(definitions[lo].name, name) == 0; lo++)
        if (definitions[lo].gpu == gpu && is_for(&definitions[lo], dtype))
            return lo;
    return COUNT;
}

/* Statements of TEXT; they outlive what is parsed afterwards. */
static fx_stmt *parse(fx_reader *r, const char *text) {
    fx_pool *pool = r->pool;
    r->pool = &r->define_pool;
    fx_stmt *s = fx_parse_text(r, text, strlen(text));
    r->pool = pool;
    return s;
}

static const fx_defined *defined_at(fx_reader *r, uint32_t row) {
    if (!r->defined)
        r->defined = JC_NEWN(r->scratch, fx_defined *, COUNT);
    if (!r->defined[row]) {
        fx_defined *d = JC_NEW(r->scratch, fx_defined);
        d->defaults = parse(r, definitions[row].defaults);
        d->body = parse(r, definitions[row].text);
        r->defined[row] = d;
    }
    return r->defined[row];
}

static void put_aside(scope *s, fx_name *name) {
    for (uint32_t i = 0; i < s->n; i++)
        if (s->names[i] == name)
            return;
    if (s->n < MAX_NAMES) {
        s->was[s->n] = *name;
        s->names[s->n++] = name;
    }
}

static void put_back(const scope *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        s->names[i]->scope = s->was[i].scope;
        s->names[i]->state = s->was[i].state;
        s->names[i]->at = s->was[i].at;
        s->names[i]->value = s->was[i].value;
    }
}

static void bind(fx_reader *r, fx_name *n, jc_arg value) {
    n->scope = r->scope;
    n->state = FX_BOUND;
    n->value = value;
    n->value.key = NULL;
}

/* The parameters of the spelling, as many as are returned, and what D assigns; what the text calls so is out of sight. */
static uint32_t open_scope(fx_reader *r, scope *s, const fx_spelling *spelling, const fx_defined *d) {
    s->n = 0;
    for (const char *p = spelling->params; *p;) {
        p += *p == '*';
        const size_t n = strcspn(p, " ");
        const bool self = n == 4 && memcmp(p, "self", 4) == 0;
        put_aside(s, self ? fx_intern(r, "this", 4) : fx_intern(r, p, n));
        p += n + (p[n] == ' ');
    }
    const uint32_t params = s->n;
    for (const fx_stmt *at = d->defaults; at; at = at->next)
        put_aside(s, at->target);
    for (const fx_stmt *at = d->body; at; at = at->next)
        if (at->kind == FX_S_ASSIGN)
            put_aside(s, at->target);
    for (uint32_t i = params; i < s->n; i++)
        bind(r, s->names[i], fx_nothing());
    return params;
}

/* What the tensors and numbers of the call have in common. */
static jc_dtype common_of(const fx_call *c, uint32_t n) {
    jc_arg operands[FX_MAX_PARAMS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (fx_is_tensor(c->a[i]))
            operands[count++] = c->a[i];
    return jc_promoted_dtype(operands, count);
}

static jc_value *first_tensor(const fx_call *c, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (fx_is_tensor(c->a[i]))
            return c->a[i].value;
    return NULL;
}

/* An argument as the definition takes it. */
static jc_arg prepared(fx_call *c, jc_arg a, uint16_t how, jc_dtype common) {
    fx_reader *r = c->r;
    const jc_dtype inner = common == JC_F64 ? JC_F64 : JC_F32;
    if (how & TENSORS && (fx_is_number(a))) {
        const jc_dtype dtype = how & DOUBLE ? JC_F64 : a.kind == JC_ARG_BOOL ? JC_B8 : a.kind == JC_ARG_EXPR ? JC_I64 : inner == JC_F64 ? JC_F64 : JC_F32;
        a = fx_v(FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), a, jc_arg_dtype(dtype)));
    }
    if (how & DOUBLE && fx_is_tensor(a))
        a = fx_v(fx_cast(r, a.value, JC_F64));
    else if (how & WIDE && fx_is_tensor(a) && a.value->type.dtype != inner && a.value->type.dtype != JC_B8 && !(how & INDICES && fx_class_of(a.value) != 'f'))
        a = fx_v(fx_cast(r, a.value, inner));
    else if (how & ALIKE && fx_is_tensor(a) && jc_dtypes[common].cls == 'f')
        a = fx_v(fx_cast(r, a.value, common));
    return a;
}

/* "mean", 1: what a loss is reduced to; "batchmean" is the sum by the first dim. */
static jc_arg reduced(fx_call *c, jc_arg loss, int i) {
    static const char *const words[] = { "none", "mean", "sum", "batchmean" };
    int64_t which = 1;
    if (c->a[i].kind == JC_ARG_STR) {
        for (which = 0; which < 4 && strcmp(words[which], c->a[i].str) != 0;)
            which++;
    } else {
        which = fx_int(c, i, 1);
    }
    if (which < 0 || which > 3)
        fx_bad_arg(c, i, "'none', 'mean', 'sum' or 'batchmean'");
    if (c->r->status || !which || !loss.value)
        return loss;
    jc_arg dims[JC_MAX_RANK];
    for (int d = 0; d < fx_rank(loss.value); d++)
        dims[d] = fx_i(c->r, d);
    const int rank = fx_rank(loss.value);
    const jc_arg all = jc_arg_list(c->r->graph, dims, (uint32_t)rank), batch = rank ? fx_e(loss.value->type.dims[0]) : fx_i(c->r, 1);
    jc_value *y = FX_OP(c->r, which == 1 ? JC_OP_mean : JC_OP_sum, loss, all, jc_arg_bool(false), fx_nothing());
    return fx_v(which == 3 ? FX_OP(c->r, JC_OP_div, fx_v(y), batch) : y);
}

static jc_arg evaluate(fx_reader *r, const fx_defined *d) {
    jc_arg value = fx_nothing();
    for (const fx_stmt *s = d->body; s && !r->status; s = s->next) {
        value = fx_eval(r, s->value);
        if (s->kind == FX_S_ASSIGN)
            bind(r, s->target, value);
    }
    return value;
}

/* Binds the parameters, evaluates, and puts the names back. */
static jc_arg in_scope(fx_call *c, const fx_defined *d, uint16_t how, jc_dtype common) {
    fx_reader *r = c->r;
    scope s;
    const uint32_t within = r->within, params = open_scope(r, &s, c->row, d);
    r->within = within ? within : c->at + 1;
    for (uint32_t i = 0; i < params; i++)
        bind(r, s.names[i], fx_given(c, (int)i) ? prepared(c, c->a[i], how, common) : fx_nothing());
    for (const fx_stmt *at = d->defaults; at && !r->status; at = at->next)
        if (at->target->value.kind == JC_ARG_NONE)
            bind(r, at->target, prepared(c, fx_eval(r, at->value), how, common));
    jc_arg value = evaluate(r, d);
    r->within = within;
    put_back(&s);
    return value;
}

/* The elements of a tuple one by one. */
static jc_arg cast_to(fx_reader *r, jc_arg value, jc_dtype dtype) {
    for (uint32_t i = 0; value.kind == JC_ARG_LIST && i < value.list.n; i++)
        value.list.at[i] = cast_to(r, value.list.at[i], dtype);
    return fx_is_tensor(value) && value.value->type.dtype != JC_B8 ? fx_v(fx_cast(r, value.value, dtype)) : value;
}

static jc_arg by_row(fx_call *c, uint32_t row, jc_dtype common, const jc_value *first) {
    const uint16_t how = definitions[row].how;
    jc_arg y = in_scope(c, defined_at(c->r, row), how, common);
    if (how & (WIDE | COMMON | DOUBLE))
        y = cast_to(c->r, y, jc_dtypes[common].cls == 'f' ? common : JC_F32);
    return how & SAME ? cast_to(c->r, y, (jc_dtype)first->type.dtype) : y;
}

jc_arg fx_defined_as(fx_call *c, const char *name) {
    fx_reader *r = c->r;
    uint32_t params = 1;
    int reduction = -1;
    for (const char *p = c->row->params; *p; p++) {
        if (*p == ' ')
            params++;
        if (strncmp(p, "reduction", 9) == 0)
            reduction = (int)params - 1;
    }
    jc_value *x = first_tensor(c, params);
    const jc_dtype common = x ? common_of(c, params) : JC_F32;
    const uint32_t row = find(name, common, false), on_gpu = find(name, common, true);
    if (!x && !(row < COUNT && definitions[row].how & MAKES)) {
        fx_tensor(c, 0);
        return fx_nothing();
    }
    if (row == COUNT) {
        fx_fail(r, JITC_E_UNSUPPORTED, c->at, "`%s` is not supported for %s.", c->row->name, jc_dtypes[common].name);
        return fx_nothing();
    }
    jc_arg y = by_row(c, row, common, x);
    if (on_gpu != COUNT && !r->status)
        y = fx_v(FX_OP(r, JC_OP_by_device, y, by_row(c, on_gpu, common, x)));
    return reduction < 0 || definitions[row].how & REDUCED || r->status ? y : reduced(c, y, reduction);
}

jc_arg fx_h_defined(fx_call *c) {
    return fx_defined_as(c, c->row->name);
}

/* --- definitions of other names, and such that need a look first --- */

jc_arg fx_h_cdist(fx_call *c) {
    return fx_defined_as(c, "cdist");
}

jc_arg fx_h_pdist(fx_call *c) {
    return fx_defined_as(c, "pdist");
}

/* vander(x, N): a number is a vector of one.  Aux: 1: vander(x, N, increasing), the highest power first unless it is told to increase. */
jc_arg fx_h_vander(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    if (x && !fx_rank(x))
        c->a[0] = fx_v(fx_flat(c->r, x));
    const bool falls = c->row->aux && !fx_bool(c, 2, false);
    if (c->r->status)
        return fx_nothing();
    const jc_arg y = fx_defined_as(c, "vander");
    return falls && !c->r->status ? fx_v(fx_flip(c->r, y.value, fx_rank(y.value) - 1)) : y;
}

/* affine_grid(theta, size, align_corners): SIZE is an image's, or a volume's */
jc_arg fx_h_affine_grid(fx_call *c) {
    const uint32_t n = c->a[1].kind == JC_ARG_LIST ? c->a[1].list.n : 0;
    if (n != 4 && n != 5)
        fx_bad_arg(c, 1, "four sizes, or five");
    return c->r->status ? fx_nothing() : fx_defined_as(c, n == 4 ? "affine_grid2" : "affine_grid3");
}

jc_arg fx_h_vecdot(fx_call *c) {
    return fx_defined_as(c, "vecdot");
}

jc_arg fx_h_channel_shuffle(fx_call *c) {
    return fx_defined_as(c, "channel_shuffle");
}

/* cross(self, other, dim).  Aux: 1: the last dim where none is given; else the first of 3. */
jc_arg fx_h_cross(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    for (int d = 0; x && !c->row->aux && !fx_given(c, 2) && d < fx_rank(x); d++)
        if (jc_ex_is(x->type.dims[d], 3))
            c->a[2] = fx_i(c->r, d);
    return c->r->status ? fx_nothing() : fx_defined_as(c, "cross");
}

/* gaussian_nll_loss(input, target, var, full, eps, reduction): a variance may be one for all of the last dim */
jc_arg fx_h_gaussian_nll_loss(fx_call *c) {
    jc_value *x = fx_tensor(c, 0), *var = fx_tensor(c, 2);
    if (x && var && fx_rank(var) + 1 == fx_rank(x))
        c->a[2] = fx_v(fx_unsqueeze(c->r, var, fx_rank(var)));
    return c->r->status ? fx_nothing() : fx_defined_as(c, "gaussian_nll_loss");
}

/* triplet_margin_with_distance_loss(anchor, positive, negative, distance_function, margin, swap, reduction) */
jc_arg fx_h_triplet_with_distance(fx_call *c) {
    if (fx_given(c, 3))
        fx_refuse_arg(c, 3, "only the distance that is PyTorch's own is");
    return c->r->status ? fx_nothing() : fx_defined_as(c, "triplet_margin_with_distance_loss");
}

/* isclose(self, other, rtol, atol, equal_nan) */
jc_arg fx_h_isclose(fx_call *c) {
    fx_reader *r = c->r;
    const jc_arg near = fx_defined_as(c, "isclose");
    if (r->status || !fx_bool(c, 4, false))
        return near;
    const jc_arg x_is = fx_v(FX_OP(r, JC_OP_ne, c->a[0], c->a[0])), y_is = fx_v(FX_OP(r, JC_OP_ne, c->a[1], c->a[1]));
    return fx_v(FX_OP(r, JC_OP_bitor, near, fx_v(FX_OP(r, JC_OP_bitand, x_is, y_is))));
}

/* log_sigmoid_forward(self): with a buffer for its backward, which inference does not look at: no elements. */
jc_arg fx_h_log_sigmoid_forward(fx_call *c) {
    const jc_arg y = fx_defined_as(c, "log_sigmoid");
    const jc_expr *none = jc_ex_int(fx_x(c->r), 0);
    jc_value *x = fx_tensor(c, 0);
    const jc_arg dtype = jc_arg_dtype(x ? (jc_dtype)x->type.dtype : JC_F32);
    return fx_list(c->r, (jc_arg[]){ y, fx_v(FX_OP(c->r, JC_OP_full, fx_dims(c->r, &none, 1), fx_i(c->r, 0), dtype)) }, 2);
}
