/*
 * ir/fx/fx_build_python.c - what a graph says in Python rather than in operators: methods with two underscores, numbers taken out of
 * tensors, tensors of literals, calls that only set a mode.
 */
#include "ir/fx/fx_build.h"

/* --- x.__eq__(y) --- */

typedef struct dunder {
    const char *word; /* between the underscores */
    uint8_t token;    /* of the infix operator; 0: see fx_dunder() */
    bool swapped, inplace;
} dunder;

static const dunder dunders[] = {
    { "add", '+', false, false },        { "radd", '+', true, false },         { "iadd", '+', false, true },
    { "sub", '-', false, false },        { "rsub", '-', true, false },         { "isub", '-', false, true },
    { "mul", '*', false, false },        { "rmul", '*', true, false },         { "imul", '*', false, true },
    { "truediv", '/', false, false },    { "rtruediv", '/', true, false },     { "itruediv", '/', false, true },
    { "div", '/', false, false },        { "rdiv", '/', true, false },         { "idiv", '/', false, true },
    { "floordiv", FX_T_FDIV, false, false }, { "rfloordiv", FX_T_FDIV, true, false }, { "ifloordiv", FX_T_FDIV, false, true },
    { "mod", '%', false, false },        { "rmod", '%', true, false },         { "imod", '%', false, true },
    { "pow", FX_T_POW, false, false },   { "rpow", FX_T_POW, true, false },    { "ipow", FX_T_POW, false, true },
    { "matmul", '@', false, false },     { "rmatmul", '@', true, false },      { "imatmul", '@', false, true },
    { "and", '&', false, false },        { "rand", '&', true, false },         { "iand", '&', false, true },
    { "or", '|', false, false },         { "ror", '|', true, false },          { "ior", '|', false, true },
    { "xor", '^', false, false },        { "rxor", '^', true, false },         { "ixor", '^', false, true },
    { "lshift", FX_T_SHL, false, false }, { "rlshift", FX_T_SHL, true, false }, { "ilshift", FX_T_SHL, false, true },
    { "rshift", FX_T_SHR, false, false }, { "rrshift", FX_T_SHR, true, false }, { "irshift", FX_T_SHR, false, true },
    { "eq", FX_T_EQ, false, false },     { "ne", FX_T_NE, false, false },      { "lt", '<', false, false },
    { "le", FX_T_LE, false, false },     { "gt", '>', false, false },          { "ge", FX_T_GE, false, false },
};

static bool word_is(const char *word, size_t length, const char *text) {
    return strlen(text) == length && memcmp(word, text, length) == 0;
}

static jc_arg negated(fx_reader *r, jc_arg x, bool bits) {
    return fx_v(FX_OP(r, bits ? JC_OP_bitwise_not : JC_OP_neg, x));
}

bool fx_dunder(fx_reader *r, const char *name, size_t length, const jc_arg *at, uint32_t n, jc_arg *out) {
    const uint32_t here = r->stmt->at;
    if (length < 5 || memcmp(name, "__", 2) != 0 || memcmp(name + length - 2, "__", 2) != 0 || !n)
        return false;
    const char *word = name + 2;
    length -= 4;
    for (size_t i = 0; n == 2 && i < sizeof dunders / sizeof *dunders; i++) {
        const dunder *d = &dunders[i];
        if (!word_is(word, length, d->word))
            continue;
        *out = fx_infix(r, d->token, at[d->swapped], at[!d->swapped], here);
        if (d->inplace && fx_is_tensor(at[0]) && !r->status)
            *out = fx_write(r, at[0].value, *out);
        return true;
    }
    if (n == 2 && word_is(word, length, "getitem"))
        *out = fx_index(r, at[0], at[1], here);
    else if (n == 3 && word_is(word, length, "setitem") && fx_is_tensor(at[0]))
        fx_store(r, at[0].value, at[1], at[2], here), *out = at[0];
    else if (n == 1 && fx_is_tensor(at[0]) && (word_is(word, length, "neg") || word_is(word, length, "invert")))
        *out = negated(r, at[0], word[0] == 'i');
    else if (n == 1 && fx_is_tensor(at[0]) && word_is(word, length, "abs"))
        *out = fx_v(FX_OP(r, JC_OP_abs, at[0]));
    else if (n == 1 && word_is(word, length, "pos"))
        *out = at[0];
    else if (n == 1 && fx_is_tensor(at[0]) && fx_rank(at[0].value) && word_is(word, length, "len"))
        *out = fx_e(at[0].value->type.dims[0]);
    else
        return false;
    return true;
}

/* --- numbers out of tensors --- */

/* x.item(): a float is a number known at run time only, unless the annotation tells what it always is. */
jc_arg fx_h_item(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    const fx_stmt *s = r->stmt;
    const fx_note *note = s->note ? fx_note_of(r, s->note, s->at) : NULL;
    if (!x || r->status)
        return fx_nothing();
    if (note && note->literal.kind != FX_ABSENT)
        return note->literal;
    if (note && note->known && note->type.kind == JC_SYMINT && jc_ex_is_const(note->type.expr, NULL))
        return fx_e(note->type.expr);
    if (fx_class_of(x) == 'f')
        return fx_symfloat(r, fx_reshape(r, x, NULL, 0));
    const jc_arg arg = fx_v(x); /* an integer or a truth, which sizes may depend on */
    return fx_custom_node(r, "?Tensor.item", &arg, 1, 0, c->at, UINT32_MAX);
}

/* --- modes --- */

static bool starts(const fx_name *n, const char *text) {
    return n->length >= strlen(text) && memcmp(n->text, text, strlen(text)) == 0;
}

static bool contains(const fx_name *n, const char *text) {
    const size_t k = strlen(text);
    for (uint32_t i = 0; i + k <= n->length; i++)
        if (memcmp(n->text + i, text, k) == 0)
            return true;
    return false;
}

/*
 * autocast(device, dtype, enabled): operators behind it give other dtypes than their operands say.  Products take their operands in
 * the narrow one (fx_op); whatever else differs from its annotation for that is passed over as not supported.
 */
void fx_narrow_to(fx_reader *r, jc_arg device, jc_arg dtype) {
    const bool cuda = device.kind == JC_ARG_STR && strncmp(device.str, "cuda", 4) == 0;
    r->narrow = dtype.kind == JC_ARG_DTYPE ? dtype.dtype : cuda ? JC_F16 : JC_BF16;
}

static void enter_autocast(fx_reader *r, const fx_name *path, const fx_ast *args) {
    const bool named = contains(path, ".cuda.") || contains(path, ".cpu."); /* torch.cuda.amp.autocast(enabled, dtype) */
    jc_arg device = fx_nothing(), dtype = fx_nothing();
    bool on = true;
    for (uint32_t i = 0; args; args = args->next, i++) {
        if (args->key ? fx_name_is(args->key, "enabled") : i == (named ? 0 : 2))
            on &= args->kind != FX_A_FALSE;
        else if (args->key ? fx_name_is(args->key, "dtype") : i == 1)
            dtype = fx_eval(r, args);
        else if (args->key ? fx_name_is(args->key, "device_type") : i == 0)
            device = fx_eval(r, args);
    }
    r->autocast += on;
    if (on)
        fx_narrow_to(r, contains(path, ".cuda.") ? (jc_arg){ .kind = JC_ARG_STR, .str = "cuda" } : device, dtype);
    jc_push(r->scratch, &r->modes, on);
}

static void exit_autocast(fx_reader *r) {
    if (r->modes.n && r->modes.at[--r->modes.n] && r->autocast)
        r->autocast--;
}

bool fx_mode_call(fx_reader *r, const fx_name *path, const fx_ast *args) {
    static const char *const silent[] = { "torch._C._log_api_usage", "torch._C._profiler.", "torch.ops.profiler.", "torch.compiler.",
                                          "torch._dynamo.", "torch.autograd.profiler.", "torch.profiler.", "torch.cuda.nvtx.",
                                          "torch._C._functorch.", "torch._check", "torch._C._set_grad_enabled" };
    const fx_stmt *s = r->stmt;
    if (contains(path, "_exit_autocast"))
        exit_autocast(r);
    else if (contains(path, "_enter_autocast") || starts(path, "torch.autocast") || contains(path, "amp.autocast"))
        enter_autocast(r, path, args);
    else if (s->note)
        return false;
    else {
        size_t i = 0;
        while (i < sizeof silent / sizeof *silent && !starts(path, silent[i]))
            i++;
        return i < sizeof silent / sizeof *silent;
    }
    return true;
}

/* --- tensors of literals --- */

#define MAX_LITERALS 4096

typedef struct literals {
    jc_arg *at;
    uint32_t n;
    const jc_expr *dims[JC_MAX_RANK];
    int rank;
    char kind; /* 'b', 'i' or 'f', the widest */
} literals;

static void measure(fx_call *c, const jc_arg *a, int depth, literals *l) {
    fx_reader *r = c->r;
    if (a->kind != JC_ARG_LIST) {
        const char kind = a->kind == JC_ARG_BOOL ? 'b' : a->kind == JC_ARG_EXPR || a->kind == FX_SYMBOOL ? 'i' : 'f';
        if (!fx_is_scalar(*a))
            fx_fail(r, fx_blame(*a), c->at, "`%s` makes a tensor of numbers, but one of them is %s.", c->row->name, fx_kind_text(*a));
        else if (depth != l->rank || l->n == MAX_LITERALS)
            fx_fail(r, depth != l->rank ? JITC_E_INPUT : JITC_E_UNSUPPORTED, c->at, "`%s` takes lists of equal lengths, of %d numbers at most.",
                    c->row->name, MAX_LITERALS);
        l->kind = l->kind == 'f' || kind == 'f' ? 'f' : l->kind == 'i' || kind == 'i' ? 'i' : 'b';
        if (!r->status)
            l->at[l->n++] = *a;
        return;
    }
    if (depth == l->rank && depth < JC_MAX_RANK && !l->n)
        l->dims[l->rank++] = jc_ex_int(fx_x(r), a->list.n);
    else if (depth >= l->rank || !jc_ex_is(l->dims[depth], a->list.n))
        fx_fail(r, JITC_E_INPUT, c->at, "`%s` takes lists of equal lengths.", c->row->name);
    for (uint32_t i = 0; i < a->list.n && !r->status; i++)
        measure(c, &a->list.at[i], depth + 1, l);
}

static bool constant_int(jc_arg a, int64_t *out) {
    if (a.kind == JC_ARG_BOOL)
        *out = a.b;
    return a.kind == JC_ARG_BOOL || (a.kind == JC_ARG_EXPR && jc_ex_is_const(a.expr, out));
}

static bool same_number(jc_arg a, jc_arg b) {
    int64_t x, y;
    if (constant_int(a, &x) && constant_int(b, &y))
        return x == y;
    return a.kind == JC_ARG_FLOAT && b.kind == JC_ARG_FLOAT && memcmp(&a.f, &b.f, sizeof a.f) == 0;
}

/* How many from I on are one number, or go up by one step. */
static uint32_t run_of(const literals *l, uint32_t i, int64_t *step) {
    uint32_t n = 1;
    int64_t a, b, next;
    while (i + n < l->n && same_number(l->at[i], l->at[i + n]))
        n++;
    *step = 0;
    if (n > 1 || i + 2 >= l->n || !constant_int(l->at[i], &a) || !constant_int(l->at[i + 1], &b) || __builtin_sub_overflow(b, a, step))
        return n;
    for (n = 2; i + n < l->n && constant_int(l->at[i + n], &next) && !__builtin_sub_overflow(next, b, &a) && a == *step; n++)
        b = next;
    return n > 2 ? n : 1;
}

static jc_value *part_of(fx_reader *r, const literals *l, uint32_t i, uint32_t n, int64_t step, jc_dtype dtype) {
    const jc_expr *count = jc_ex_int(fx_x(r), n);
    if (n > 1 && step) {
        jc_value *v = FX_OP(r, JC_OP_arange, l->at[i], fx_i(r, step), fx_e(count), jc_arg_dtype(JC_I64));
        return fx_cast(r, v, dtype);
    }
    if (l->at[i].kind == FX_SYMFLOAT || l->at[i].kind == FX_SYMBOOL)
        return fx_full_of(r, fx_dims(r, &count, 1), l->at[i], dtype);
    return FX_OP(r, JC_OP_full, fx_dims(r, &count, 1), l->at[i], jc_arg_dtype(dtype));
}

/* The numbers of L in a row: runs of equal ones, and of integers that count up, are one part each. */
static jc_value *row_of(fx_reader *r, const literals *l, jc_dtype dtype) {
    const jc_expr *none = jc_ex_int(fx_x(r), 0);
    uint32_t parts = 0;
    int64_t step = 0;
    jc_arg *at = fx_take(r, sizeof *at * (l->n + 1));
    if (!l->n)
        return FX_OP(r, JC_OP_full, fx_dims(r, &none, 1), fx_i(r, 0), jc_arg_dtype(dtype));
    for (uint32_t i = 0, n; i < l->n && !r->status; i += n) {
        n = run_of(l, i, &step);
        at[parts++] = fx_v(part_of(r, l, i, n, step, dtype));
    }
    if (r->status || parts == 1 || !fx_may_part(r, parts, r->stmt->at))
        return r->status ? NULL : at[0].value;
    return FX_OP(r, JC_OP_cat, jc_arg_list(r->graph, at, parts), fx_i(r, 0));
}

static jc_arg literal_tensor(fx_call *c, jc_arg data, jc_arg dtype, const jc_dtype *like) {
    fx_reader *r = c->r;
    literals l = { .at = fx_take(r, sizeof(jc_arg) * MAX_LITERALS), .kind = 'b' };
    measure(c, &data, 0, &l);
    if (r->status)
        return fx_nothing();
    if (dtype.kind != JC_ARG_DTYPE)
        dtype = jc_arg_dtype(like ? *like : !l.n || l.kind == 'f' ? JC_F32 : l.kind == 'i' ? JC_I64 : JC_B8);
    if (!l.rank && fx_is_number(l.at[0]))
        return fx_v(FX_OP(r, JC_OP_full, fx_dims(r, NULL, 0), l.at[0], dtype));
    return fx_v(fx_reshape(r, row_of(r, &l, dtype.dtype), l.dims, (uint32_t)l.rank));
}

/* tensor(data, dtype), as_tensor(data, dtype); what is a tensor already is copied by the first. */
jc_arg fx_h_tensor(fx_call *c) {
    const jc_arg dtype = fx_dtype_or(c, 1, fx_nothing());
    if (!fx_is_tensor(c->a[0]))
        return literal_tensor(c, c->a[0], dtype, NULL);
    jc_value *x = c->a[0].value, *y = fx_cast(c->r, x, dtype.kind == JC_ARG_DTYPE ? dtype.dtype : (jc_dtype)x->type.dtype);
    return fx_v(y == x && c->row->aux ? FX_OP(c->r, JC_OP_clone, fx_v(x)) : y);
}

jc_arg fx_h_new_tensor(fx_call *c) {
    jc_value *x = fx_tensor(c, 0);
    const jc_dtype like = x ? (jc_dtype)x->type.dtype : JC_F32;
    return literal_tensor(c, c->a[1], fx_dtype_or(c, 2, fx_nothing()), &like);
}

jc_value *fx_list_tensor(fx_reader *r, jc_arg list, uint32_t at) {
    static const fx_spelling row = { .name = "an index", .params = "list" };
    fx_call c = { .r = r, .row = &row, .at = at };
    const jc_dtype whole = JC_I64;
    const jc_arg v = literal_tensor(&c, list, fx_nothing(), list.list.n ? NULL : &whole);
    return r->status ? NULL : v.value;
}
