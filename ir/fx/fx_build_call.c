/*
 * ir/fx/fx_build_call.c - calls: what a path or a method means, and its arguments put in order.
 *
 * What a name means where it is called is looked up once per reading and kept in the name (fx_target), as is the
 * parameter list of a row of spellings.def.  Arguments are then bound by Python's rules and the row's handler makes nodes
 * of them.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

#define SPELL(name_, forms_, params_, handler_, op_, aux_)                                         \
    { #name_, forms_, params_, fx_h_##handler_, sizeof #name_ - 1, JC_OP_##op_, aux_ },
const fx_spelling fx_spellings[] = {
#include "ir/fx/spellings.def"
};
#undef SPELL
const uint32_t fx_nspellings = sizeof fx_spellings / sizeof *fx_spellings;

/* A row's parameter list, taken apart. */
typedef struct fx_sig {
    uint8_t n, star, inplace; /* star: index of the parameter that takes a list; inplace: of that name; UINT8_MAX: none */
    uint16_t lays;
    fx_name *names[FX_MAX_PARAMS];
} fx_sig;

static const fx_sig *sig_of(fx_reader *r, const fx_spelling *row) {
    const size_t index = (size_t)(row - fx_spellings);
    if (!r->sigs)
        r->sigs = JC_NEWN(r->scratch, const fx_sig *, fx_nspellings);
    if (r->sigs[index])
        return r->sigs[index];
    fx_sig *sig = JC_NEW(r->scratch, fx_sig);
    sig->star = sig->inplace = UINT8_MAX;
    sig->lays = fx_lays_of(row);
    for (const char *p = row->params; *p && sig->n < FX_MAX_PARAMS;) {
        const char *end = strchr(p, ' ');
        if (!end)
            end = p + strlen(p);
        if (*p == '*') {
            sig->star = sig->n;
            p++;
        }
        if (end - p == 7 && memcmp(p, "inplace", 7) == 0)
            sig->inplace = sig->n;
        sig->names[sig->n++] = fx_intern(r, p, (size_t)(end - p));
        p = *end ? end + 1 : end;
    }
    r->sigs[index] = sig;
    return sig;
}

/* --- what is called --- */

static int order_of(const fx_spelling *row, const char *name, size_t length) {
    const size_t n = row->length < length ? row->length : length;
    size_t i = 0;
    while (i < n && row->name[i] == name[i])
        i++;
    if (i < n)
        return (unsigned char)row->name[i] < (unsigned char)name[i] ? -1 : 1;
    return (row->length > length) - (row->length < length);
}

static const fx_spelling *find_row(const char *name, size_t length, char form) {
    uint32_t lo = 0, hi = fx_nspellings;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (order_of(&fx_spellings[mid], name, length) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < fx_nspellings && order_of(&fx_spellings[lo], name, length) == 0; lo++)
        if (strchr(fx_spellings[lo].forms, form))
            return &fx_spellings[lo];
    return NULL;
}

/* The row of NAME in FORM, or of NAME_ as its in-place variant. */
static bool find_known(fx_target *t, const char *name, size_t length, char form) {
    t->kind = FX_KNOWN;
    t->row = find_row(name, length, form);
    if (t->row)
        return true;
    if (length < 2 || name[length - 1] != '_')
        return false;
    t->row = find_row(name, length - 1, form);
    t->inplace = t->row && strchr(t->row->forms, 'i');
    return t->inplace;
}

static const char *unknown_name(fx_reader *r, const char *prefix, const fx_name *n) {
    char *name = jc_arena_printf(r->scratch, "%c%s%.*s", JC_UNKNOWN_MARK, prefix, (int)n->length, n->text);
    return fx_copy(r, fx_intern(r, name, strlen(name)));
}

/* aten has PyTorch's modules as prefixes: aten.linalg_cross is torch.linalg.cross. */
static bool find_in_module(fx_target *t, const char *op, size_t length) {
    static const struct {
        const char *prefix;
        char form;
    } modules[] = { { "linalg_", 'l' }, { "special_", 't' }, { "fft_", 'y' } };
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        const size_t n = strlen(modules[i].prefix);
        if (length > n && memcmp(op, modules[i].prefix, n) == 0)
            return find_known(t, op + n, length - n, modules[i].form);
    }
    return false;
}

/* torch.ops.NS.OP[.OVERLOAD] */
static void find_operator(fx_reader *r, fx_target *t, const fx_name *n) {
    static const struct {
        const char *space;
        char form;
    } ours[] = { { "aten", 'a' }, { "prims", 'p' }, { "vllm_ir", 'v' }, { "transformers", 'x' } };
    const char *space = n->text + 10, *end = n->text + n->length;
    const char *op = memchr(space, '.', (size_t)(end - space));
    if (!op || op + 1 == end) {
        t->name = unknown_name(r, "", n);
        return;
    }
    op++;
    const char *dot = memchr(op, '.', (size_t)(end - op)), *op_end = dot ? dot : end;
    const size_t space_length = (size_t)(op - 1 - space);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strlen(ours[i].space) != space_length || memcmp(ours[i].space, space, space_length) != 0)
            continue;
        if (find_known(t, op, (size_t)(op_end - op), ours[i].form) || (ours[i].form == 'a' && find_in_module(t, op, (size_t)(op_end - op))))
            return;
        if (ours[i].form == 'x') /* the others of that space are the host's */
            break;
        t->kind = FX_UNKNOWN;
        t->name = unknown_name(r, "", n);
        return;
    }
    if (dot && (size_t)(end - dot) == 8 && memcmp(dot, ".default", 8) == 0)
        end = dot;
    char *name = jc_arena_printf(r->scratch, "%.*s::%.*s", (int)space_length, space, (int)(end - op), op);
    t->kind = strncmp(name, "higher_order::auto_functionalized", 33) == 0 ? FX_FUNCTIONALIZED : FX_CUSTOM;
    if (strncmp(name, "higher_order::", 14) == 0 && fx_is_higher(name + 14)) {
        t->kind = FX_HIGHER;
        name += 14;
    }
    t->name = fx_copy(r, fx_intern(r, name, strlen(name)));
}

/* What a dotted path means where it is called. */
static void find_path(fx_reader *r, fx_target *t, const fx_name *n) {
    static const struct {
        const char *prefix;
        char form;
    } prefixes[] = { { "torch.nn.functional.", 'f' }, { "torch._C._nn.", 'n' },  { "torch._C._autograd.", 'g' },
                     { "torch.special.", 't' },       { "torch._C._special.special_", 't' },
                     { "torch.linalg.", 'l' },        { "torch._C._linalg.linalg_", 'l' },
                     { "torch.fft.", 'y' },           { "torch._C._fft.fft_", 'y' },
                     { "torch.masked._ops.", 'k' },   { "torch.masked.", 'k' },
                     { "torch.signal.windows.windows.", 's' }, { "torch.signal.windows.", 's' },
                     { "torch._C.", 'c' },            { "torch.functional.", 't' }, { "torch.Tensor.", 'm' },  { "torch.", 't' } };
    if (n->length > 10 && memcmp(n->text, "torch.ops.", 10) == 0) {
        find_operator(r, t, n);
        return;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t length = strlen(prefixes[i].prefix);
        if (n->length <= length || memcmp(n->text, prefixes[i].prefix, length) != 0)
            continue;
        if (!memchr(n->text + length, '.', n->length - length) &&
            find_known(t, n->text + length, n->length - length, prefixes[i].form))
            return;
        break;
    }
    t->kind = FX_UNKNOWN;
    t->name = unknown_name(r, "", n);
}

static const fx_target *function_of(fx_reader *r, fx_name *n) {
    if (!n->function) {
        fx_target *t = JC_NEW(r->scratch, fx_target);
        t->kind = FX_UNKNOWN;
        find_path(r, t, n);
        n->function = t;
    }
    return n->function;
}

const fx_target *fx_method(fx_reader *r, fx_name *n) {
    if (!n->method) {
        fx_target *t = JC_NEW(r->scratch, fx_target);
        if (!find_known(t, n->text, n->length, 'm')) {
            t->kind = FX_UNKNOWN;
            t->name = unknown_name(r, "Tensor.", n);
        }
        n->method = t;
    }
    return n->method;
}

/* --- nodes --- */

/* Autocast: operands in the narrow dtype, but those of f64. */
static jc_value *narrow_product(fx_reader *r, jc_op op, const jc_arg *args, uint32_t n) {
    const uint32_t autocast = r->autocast;
    jc_arg at[FX_MAX_PARAMS];
    for (uint32_t i = 0; i < n; i++) {
        at[i] = args[i];
        if (fx_is_tensor(at[i]) && fx_class_of(at[i].value) == 'f' && at[i].value->type.dtype != JC_F64)
            at[i] = fx_v(fx_cast(r, at[i].value, r->narrow));
    }
    r->autocast = 0;
    jc_value *y = fx_op(r, op, at, n);
    r->autocast = autocast;
    return y;
}

jc_value *fx_op(fx_reader *r, jc_op op, const jc_arg *args, uint32_t n) {
    jc_node *node = NULL;
    if (r->status)
        return NULL;
    if (fx_has_scalar(args, n))
        return fx_op_scalars(r, op, args, n);
    if (r->autocast && (op == JC_OP_matmul || op == JC_OP_linear))
        return narrow_product(r, op, args, n);
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].kind == JC_ARG_VALUE && !args[i].value)
            return NULL;
        if (args[i].kind == JC_ARG_EXPR || args[i].kind == JC_ARG_LIST)
            fx_sound(r, args[i], r->stmt->at);
    }
    if (r->status)
        return NULL;
    r->status = jc_func_add(r->func, op, args, n, r->stmt->line, &node, r->err);
    return r->status || !node->nresults ? NULL : node->results[0];
}

/* --- binding --- */

/* numpy's spellings of parameters, which torch takes as well; and where overloads differ in the name of one. */
static const struct {
    const char *from, *to;
} synonyms[] = { { "axis", "dim" }, { "keepdims", "keepdim" }, { "input", "self" }, { "self", "input" },
                 { "dims", "dim" }, { "x", "self" }, { "scales", "scale_factors" }, { "scales_d", "scale_factors" },
                 { "scales_h", "scale_factors" } };

/* Keywords that say nothing about values. */
static const char *const silent[] = { "device", "layout", "pin_memory", "requires_grad",
                                      "non_blocking", "generator", "implicit" };

static int find_param(fx_reader *r, const fx_sig *sig, const fx_name *key) {
    for (int i = 0; i < sig->n; i++)
        if (sig->names[i] == key)
            return i;
    for (size_t s = 0; s < sizeof synonyms / sizeof *synonyms; s++) {
        if (!fx_name_is(key, synonyms[s].from))
            continue;
        const fx_name *to = fx_intern(r, synonyms[s].to, strlen(synonyms[s].to));
        for (int i = 0; i < sig->n; i++)
            if (sig->names[i] == to)
                return i;
    }
    return -1;
}

static bool is_silent(const fx_name *key) {
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (fx_name_is(key, silent[i]))
            return true;
    return false;
}

static void bind_keyword(fx_call *c, const fx_sig *sig, const fx_ast *arg) {
    fx_reader *r = c->r;
    const int i = find_param(r, sig, arg->key);
    if (i >= 0) {
        if (c->a[i].kind != FX_ABSENT)
            fx_fail(r, JITC_E_INPUT, arg->at, "`%s` is given its argument `%.*s` twice.", c->row->name,
                    (int)arg->key->length, arg->key->text);
        c->a[i] = fx_eval(r, arg);
    } else if (fx_name_is(arg->key, "out")) {
        c->out = fx_eval(r, arg);
    } else if (fx_name_is(arg->key, "memory_format")) {
        c->format = arg->kind == FX_A_PATH ? fx_copy(r, arg->name) : NULL;
    } else if (!is_silent(arg->key)) {
        fx_fail(r, JITC_E_UNSUPPORTED, arg->at, "`%s` has no argument `%.*s` that is supported.", c->row->name,
                (int)arg->key->length, arg->key->text);
    }
}

/* Positional arguments that a starred parameter takes: all that are left, or one list. */
static const fx_ast *bind_star(fx_call *c, int i, const fx_ast *arg) {
    uint32_t n = 0;
    const fx_ast *end = arg;
    for (; end && !end->key; end = end->next)
        n++;
    jc_arg *at = fx_take(c->r, sizeof *at * (n ? n : 1));
    n = 0;
    for (; arg != end; arg = arg->next)
        at[n++] = fx_eval(c->r, arg);
    const bool listed = n == 1 && at[0].kind == JC_ARG_LIST;
    c->lone = n == 1 && !listed;
    c->a[i] = listed ? at[0] : (jc_arg){ .kind = JC_ARG_LIST, .list = { at, n } };
    return end;
}

static void bind(fx_call *c, const fx_sig *sig, jc_arg self, const fx_ast *arg) {
    int i = 0;
    for (int k = 0; k < sig->n; k++)
        c->a[k].kind = FX_ABSENT;
    if (self.kind != FX_ABSENT)
        c->a[i++] = self;
    while (arg && !c->r->status) {
        if (arg->key) {
            bind_keyword(c, sig, arg);
            arg = arg->next;
        } else if (i < sig->n && i == sig->star) {
            arg = bind_star(c, i++, arg);
        } else if (i < sig->n && i < sig->star) {
            c->a[i++] = fx_eval(c->r, arg);
            arg = arg->next;
        } else {
            fx_fail(c->r, JITC_E_INPUT, arg->at, "`%s` takes at most %d positional arguments.", c->row->name,
                    sig->n);
        }
    }
}

static jc_arg call_known(fx_reader *r, const fx_target *t, jc_arg self, const fx_ast *args, uint32_t at) {
    fx_call c;
    c.r = r;
    c.row = t->row;
    c.at = at;
    c.out = fx_absent();
    c.format = NULL;
    c.lone = false;
    const fx_sig *sig = sig_of(r, t->row);
    c.n = sig->n;
    c.lays = sig->lays;
    bind(&c, sig, self, args);
    if (r->status)
        return fx_nothing();
    const uint32_t before = r->func->nvalues;
    fx_call given = c; /* handlers change arguments, some to lists of their own that end with them */
    const bool inplace = t->inplace || (sig->inplace < sig->n && fx_bool(&c, sig->inplace, false));
    jc_arg result = fx_has_complex(c.a, sig->n) ? fx_complex_call(&c) : fx_lay_out(&given, t->row->handler(&c), before);
    if (inplace && !r->status)
        result = c.a[0].kind == FX_COMPLEX ? fx_complex_write(r, c.a[0], result) : fx_write(r, fx_tensor(&c, 0), result);
    if (c.out.kind == FX_COMPLEX && !r->status)
        result = fx_complex_write(r, c.out, result);
    if (c.out.kind == JC_ARG_VALUE && !r->status)
        result = fx_write(r, c.out.value, result);
    return r->status ? fx_nothing() : result;
}

static jc_arg call_target(fx_reader *r, const fx_target *t, jc_arg self, const fx_ast *args, uint32_t at) {
    if (r->status)
        return fx_nothing();
    if (t->kind == FX_KNOWN)
        return call_known(r, t, self, args, at);
    if (t->kind == FX_HIGHER)
        return fx_higher(r, t, args, at);
    return fx_custom(r, t, self, args, at);
}

/* --- plain functions --- */

static jc_arg call_device(fx_reader *r, const fx_ast *args) {
    jc_arg device = { .kind = JC_ARG_DEVICE, .str = "cuda" };
    for (; args; args = args->next) {
        jc_arg a = fx_eval(r, args);
        if (a.kind == JC_ARG_STR && (!args->key || fx_name_is(args->key, "type"))) {
            const char *colon = strchr(a.str, ':'); /* 'cuda:0' */
            device.str = colon ? jc_arena_strndup(r->arena, a.str, (size_t)(colon - a.str)) : a.str;
        }
    }
    return device;
}

static jc_arg call_slice(fx_reader *r, const fx_ast *args, uint32_t at) {
    jc_arg a[3] = { fx_nothing(), fx_nothing(), fx_nothing() };
    uint32_t n = 0;
    for (; args && n < 3; args = args->next)
        a[n++] = fx_eval(r, args);
    if (args || !n)
        fx_fail(r, JITC_E_INPUT, at, "slice() takes one to three arguments.");
    jc_arg s = n == 1 ? fx_list(r, (jc_arg[]){ fx_nothing(), a[0], fx_nothing() }, 3) : fx_list(r, a, 3);
    s.kind = FX_SLICE;
    return s;
}

static jc_arg call_float(fx_reader *r, const fx_ast *args, uint32_t at) {
    jc_arg a = args ? fx_eval(r, args) : fx_nothing();
    jc_arg number;
    if (fx_number_call(r, "float", 5, &a, 1, &number))
        return number;
    if (a.kind == JC_ARG_STR) {
        const bool minus = a.str[0] == '-';
        if (strcmp(a.str + minus, "inf") == 0)
            return jc_arg_float(minus ? -__builtin_inf() : __builtin_inf());
        if (strcmp(a.str, "nan") == 0)
            return jc_arg_float(__builtin_nan(""));
    }
    fx_fail(r, JITC_E_UNSUPPORTED, at, "float() of this is not supported.");
    return fx_nothing();
}

/* NAME of numbers? Arguments are looked at twice, so only those that make no nodes: names and numbers. */
static bool call_of_numbers(fx_reader *r, const fx_name *n, jc_arg self, const fx_ast *args, jc_arg *out) {
    jc_arg at[4];
    uint32_t k = 0;
    if (self.kind != FX_ABSENT)
        at[k++] = self;
    for (; args && k < 4 && !r->status; args = args->next) {
        if (args->key || args->kind == FX_A_CALL || args->kind == FX_A_BINARY || args->kind == FX_A_ATTR || args->kind == FX_A_INDEX)
            return false;
        at[k++] = fx_eval(r, args);
    }
    return !args && k && !r->status && fx_number_call(r, n->text, n->length, at, k, out);
}

/* x.__NAME__(...) */
static bool call_dunder(fx_reader *r, const char *name, size_t length, jc_arg self, const fx_ast *args, jc_arg *out) {
    jc_arg at[3];
    uint32_t n = 0;
    if (length < 5 || name[0] != '_' || name[1] != '_')
        return false;
    if (self.kind != FX_ABSENT)
        at[n++] = self;
    for (; args && n < 3 && !args->key && !r->status; args = args->next)
        at[n++] = args->kind == FX_A_LIST ? fx_list(r, (jc_arg[]){ fx_eval(r, args) }, 1) : fx_eval(r, args);
    return !args && !r->status && fx_dunder(r, name, length, at, n, out);
}

/* torch.Tensor.__eq__(x, y), torch.ops.aten.__and__.Tensor(x, y) */
static bool call_dunder_path(fx_reader *r, const fx_name *path, const fx_ast *args, jc_arg *out) {
    static const char *const prefixes[] = { "torch.Tensor.__", "torch.ops.aten.__", "torch._C.TensorBase.__", "torch._C._TensorBase.__" };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t n = strlen(prefixes[i]) - 2;
        if (path->length <= n + 2 || memcmp(path->text, prefixes[i], n + 2) != 0)
            continue;
        const char *dot = memchr(path->text + n, '.', path->length - n);
        return call_dunder(r, path->text + n, dot ? (size_t)(dot - path->text) - n : path->length - n, fx_absent(), args, out);
    }
    return false;
}

/* fx_pytree.tree_flatten_spec((args, kwargs), spec): the leaves of its first argument. */
static void flatten(const jc_arg *a, jc_arg *out, uint32_t *n) {
    const bool inner = a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT;
    for (uint32_t i = 0; inner && i < a->list.n; i++)
        flatten(&a->list.at[i], out, n);
    if (inner)
        return;
    if (out)
        out[*n] = *a;
    ++*n;
}

static jc_arg call_flatten(fx_reader *r, const fx_ast *args) {
    const jc_arg tree = args ? fx_eval(r, args) : fx_nothing();
    uint32_t n = 0;
    flatten(&tree, NULL, &n);
    jc_arg *at = fx_take(r, sizeof *at * (n + 1));
    n = 0;
    flatten(&tree, at, &n);
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, n } };
}

/* Functions of modules that are not torch's: `pytree.tree_unflatten(leaves, spec)`. False where NAME is none of them. */
static bool call_module(fx_reader *r, const fx_ast *callee, const fx_ast *args, jc_arg *out) {
    const fx_ast *module = callee->first;
    if (module->kind != FX_A_NAME || (module->name->scope == r->scope && module->name->state == FX_BOUND))
        return false;
    if (fx_name_is(callee->attribute, "tree_flatten_spec") || fx_name_is(callee->attribute, "tree_flatten"))
        *out = call_flatten(r, args);
    else if (fx_name_is(callee->attribute, "tree_unflatten"))
        *out = args ? fx_eval(r, args) : fx_nothing();
    else if (fx_name_is(module->name, "math") || fx_name_is(module->name, "operator") || fx_name_is(module->name, "_operator"))
        return call_of_numbers(r, callee->attribute, fx_absent(), args, out);
    else
        return false;
    return true;
}

static jc_arg call_word(fx_reader *r, fx_name *n, const fx_ast *args, uint32_t at) {
    jc_arg number;
    if (fx_name_is(n, "device"))
        return call_device(r, args);
    if (fx_name_is(n, "slice"))
        return call_slice(r, args, at);
    if (fx_name_is(n, "float"))
        return call_float(r, args, at);
    if (r->within && fx_name_is(n, "series") && args && args->next) {
        const jc_arg name = fx_eval(r, args);
        return fx_series(r, name, fx_eval(r, args->next));
    }
    if (fx_name_is(n, "auto_functionalized") || fx_name_is(n, "auto_functionalized_v2"))
        return fx_custom(r, &(fx_target){ .kind = FX_FUNCTIONALIZED, .name = jc_arena_printf(r->arena, "higher_order::%s", fx_copy(r, n)) },
                         fx_absent(), args, at);
    if (fx_name_is(n, "getattr") && args && args->next && args->next->kind == FX_A_STR)
        return fx_getattr(r, args, args->next->name, at);
    if (call_of_numbers(r, n, fx_absent(), args, &number))
        return number;
    const fx_target t = { .kind = FX_UNKNOWN, .name = unknown_name(r, "", n) };
    return fx_custom(r, &t, fx_absent(), args, at);
}

/* --- pieces --- */

/* Is what the root passes for sure not what the piece takes? */
static bool differs(fx_reader *r, jc_arg a, const jc_type *want) {
    if (want->kind == JC_TENSOR) {
        if (!fx_is_tensor(a) || a.value->type.dtype != want->dtype || a.value->type.rank != want->rank)
            return true;
        for (int i = 0; i < want->rank; i++)
            if (a.value->type.dims[i] != want->dims[i] &&
                jc_ex_equal(fx_x(r), a.value->type.dims[i], want->dims[i]) == JC_NO)
                return true;
        return false;
    }
    if (want->kind == JC_SYMINT)
        return a.kind != JC_ARG_EXPR || jc_ex_equal(fx_x(r), a.expr, want->expr) == JC_NO;
    return fx_is_tensor(a);
}

static const char *passed_text(fx_reader *r, jc_arg a) {
    if (a.kind == JC_ARG_VALUE)
        return jc_type_text(fx_x(r), &a.value->type, r->scratch);
    if (a.kind == JC_ARG_EXPR)
        return jc_arena_printf(r->scratch, "Sym(%s)", jc_ex_text(fx_x(r), a.expr, r->scratch));
    return fx_kind_text(a);
}

/* The callee's outputs with the call's results in their places; None has no result. */
static jc_arg piece_outputs(fx_reader *r, const jc_arg *outputs, uint32_t n, const jc_node *node, uint32_t *next) {
    jc_arg *at = fx_take(r, sizeof *at * (n ? n : 1));
    for (uint32_t i = 0; i < n; i++) {
        at[i] = fx_nothing();
        if (outputs[i].kind == JC_ARG_FLOAT || outputs[i].kind == JC_ARG_BOOL) {
            at[i] = outputs[i];
        } else if (outputs[i].kind == JC_ARG_LIST) {
            at[i] = piece_outputs(r, outputs[i].list.at, outputs[i].list.n, node, next);
        } else if (outputs[i].kind != JC_ARG_NONE && *next < node->nresults) {
            jc_value *v = node->results[(*next)++];
            at[i] = v->type.kind == JC_SYMINT ? fx_e(v->type.expr) : fx_v(v);
        }
    }
    return (jc_arg){ .kind = JC_ARG_LIST, .list = { at, n } };
}

/* A piece that returns `x` and not `(x,)` gives x itself. */
static jc_arg piece_results(fx_reader *r, const fx_child *child, const jc_node *node) {
    uint32_t next = 0;
    jc_arg all = piece_outputs(r, child->outputs, child->piece->noutputs, node, &next);
    return child->piece->tuple ? all : all.list.at[0];
}

static jc_arg call_piece(fx_reader *r, const fx_child *child, const fx_ast *args, uint32_t nargs, uint32_t at) {
    jc_func *piece = child->piece;
    const uint32_t declared = piece->nparams - piece->nconstants;
    if (nargs != declared) {
        fx_fail(r, JITC_E_INPUT, at, "%s is called with %u arguments, but takes %u (line %d).", piece->name, nargs,
                declared, piece->line);
        return fx_nothing();
    }
    jc_arg *a = fx_take(r, sizeof *a * (piece->nparams + 1));
    for (uint32_t i = 0; i < nargs && !r->status; i++, args = args->next) {
        a[i] = fx_eval(r, args);
        if (a[i].kind == FX_COMPLEX && !r->status)
            a[i] = fx_v(fx_complex_memory(r, a[i]));
        const jc_value *p = piece->params[i];
        if (args->key)
            fx_fail(r, JITC_E_INPUT, args->at, "A piece is called with positional arguments only.");
        else if (!r->status && differs(r, a[i], &p->type))
            fx_fail(r, JITC_E_INPUT, args->at, "%s is passed %s here, but its parameter %s (line %d) is %s.",
                    piece->name, passed_text(r, a[i]), p->name, p->line,
                    jc_type_text(fx_x(r), &p->type, r->scratch));
        else
            a[i] = fx_keep(r, a[i], args->at);
    }
    for (uint32_t i = declared; i < piece->nparams && !r->status; i++) {
        const jc_value *p = piece->params[i];
        a[i] = fx_constant(r, jc_arena_printf(r->scratch, "%s.%s", piece->name, p->name), &p->type);
    }
    if (r->status)
        return fx_nothing();
    return piece_results(r, child, jc_func_add_call(r->func, piece, a, piece->nparams, r->stmt->line));
}

static jc_arg call_inlined(fx_reader *r, const fx_child *child, const fx_ast *args, uint32_t nargs, uint32_t at) {
    jc_arg *a = fx_take(r, sizeof *a * (nargs + 1));
    uint32_t n = 0;
    for (; args && !r->status; args = args->next)
        a[n++] = fx_eval(r, args);
    return r->status ? fx_nothing() : fx_inline(r, child, a, n, at);
}

static jc_arg call_self(fx_reader *r, const fx_ast *callee, const fx_ast *args, uint32_t nargs) {
    const fx_name *n = callee->attribute;
    const fx_child *child = fx_child_of(r->cls, n);
    if (child && child->piece)
        return call_piece(r, child, args, nargs, callee->at);
    if (child)
        return call_inlined(r, child, args, nargs, callee->at);
    if (fx_name_is(n, "_guards_fn")) /* torch.export's, which looks at the inputs again */
        return fx_nothing();
    fx_fail(r, JITC_E_INPUT, callee->at,
            "self.%.*s is called, but the text holds no class of that name; print the whole module.", (int)n->length,
            n->text);
    return fx_nothing();
}

/* --- the whole --- */

static jc_arg call_method(fx_reader *r, const fx_ast *callee, const fx_ast *args, uint32_t at) {
    jc_arg out;
    if (call_module(r, callee, args, &out))
        return out;
    jc_arg self = fx_eval(r, callee->first);
    if (r->status)
        return fx_nothing();
    if (fx_is_scalar(self) && call_of_numbers(r, callee->attribute, self, args, &out))
        return out;
    if (call_dunder(r, callee->attribute->text, callee->attribute->length, self, args, &out))
        return out;
    if (!fx_is_tensor(self) && self.kind != FX_COMPLEX) {
        fx_fail(r, fx_blame(self), at, "The method '%.*s' is called on %s; it needs a tensor.",
                (int)callee->attribute->length, callee->attribute->text, fx_kind_text(self));
        return fx_nothing();
    }
    return call_target(r, fx_method(r, callee->attribute), self, args, at);
}

jc_arg fx_call_ast(fx_reader *r, const fx_ast *a) {
    const fx_ast *callee = a->first, *args = callee->next;
    jc_arg out;
    switch (callee->kind) {
    case FX_A_PATH:
        if (fx_name_is(callee->name, "torch.Size"))
            return args ? fx_eval(r, args) : fx_list(r, NULL, 0);
        if (fx_name_is(callee->name, "torch.device"))
            return call_device(r, args);
        if (call_of_numbers(r, callee->name, fx_absent(), args, &out) || call_dunder_path(r, callee->name, args, &out))
            return out;
        if (fx_mode_call(r, callee->name, args))
            return (jc_arg){ .kind = FX_VOID, .str = fx_copy(r, callee->name) };
        return call_target(r, function_of(r, callee->name), fx_absent(), args, a->at);
    case FX_A_NAME:
        return call_word(r, callee->name, args, a->at);
    case FX_A_ATTR:
        if (callee->first->kind == FX_A_NAME && fx_name_is(callee->first->name, "self"))
            return call_self(r, callee, args, a->n);
        return call_method(r, callee, args, a->at);
    default:
        fx_fail(r, JITC_E_INPUT, a->at, "Expected the name of a function before '('.");
        return fx_nothing();
    }
}
