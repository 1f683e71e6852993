/*
 * ir/canon/canon_decode.c - a function again from its canonical bytes (format at the head of canon_encode.c).
 *
 * The bytes may come from a damaged or hostile cache entry, so tags, numbers and counts are checked here before
 * they reach the builder, which checks the arguments against the operator's signature.  Types of results are
 * inferred and must agree with those written.
 */
#include "ir/canon/canon_priv.h"

#include <string.h>

typedef struct dec {
    jc_reader r;
    jc_arena *arena;
    jc_graph *g;
    jc_func *f;
    jc_error *err;
    uint32_t nsyms, ninputs;
    JC_VEC(jc_value *) locals;
    const char *why; /* first thing that was wrong */
    int line;
} dec;

static bool bad(dec *d, const char *why) {
    if (!d->why)
        d->why = why;
    d->r.bad = true;
    return false;
}

/* Poison has no value: what inference makes of a graph has none, so there is none in a canonical form. */
static const jc_expr *get_expr(dec *d) {
    jc_exprs *t = d->g->exprs;
    const jc_expr *e = NULL;
    uint64_t sym;
    switch (jc_get_u8(&d->r)) {
    case CN_E_CONST:
        e = jc_ex_int(t, jc_get_svar(&d->r));
        break;
    case CN_E_SYM:
        sym = jc_get_var(&d->r);
        e = sym < d->nsyms ? jc_ex_sym(t, (uint32_t)sym) : NULL;
        break;
    case CN_E_OTHER:
        e = jc_ex_decode(t, &d->r, d->nsyms);
        break;
    default:
        break;
    }
    if (e && e->kind != JC_EX_POISON)
        return e;
    bad(d, "an expression");
    return jc_ex_int(t, 0);
}

static const jc_expr **get_exprs(dec *d, int n) {
    const jc_expr **at = JC_NEWN(d->arena, const jc_expr *, (size_t)n);
    for (int i = 0; i < n; i++)
        at[i] = get_expr(d);
    return at;
}

static jc_type get_dims(dec *d) {
    jc_type t = { .kind = JC_TENSOR };
    t.dtype = jc_get_u8(&d->r);
    t.rank = jc_get_u8(&d->r);
    if (t.dtype >= JC_DTYPE_COUNT || t.rank > JC_MAX_RANK) {
        bad(d, "a dtype or rank");
        return (jc_type){ .kind = JC_TENSOR };
    }
    t.dims = get_exprs(d, t.rank);
    return t;
}

static void get_strides(dec *d, jc_type *t) {
    const uint8_t strided = jc_get_u8(&d->r);
    if (strided > 1)
        bad(d, "a layout");
    else if (strided)
        t->strides = get_exprs(d, t->rank);
}

static void get_symbols(dec *d) {
    d->nsyms = (uint32_t)jc_get_count(&d->r, 1);
    for (uint32_t i = 0; i < d->nsyms && !d->r.bad; i++) {
        const uint32_t sym = jc_sym_add(d->g->exprs, jc_arena_printf(d->arena, "s%u", i));
        const uint8_t ranged = jc_get_u8(&d->r);
        if (!ranged)
            continue;
        const int64_t lo = jc_get_svar(&d->r), hi = jc_get_svar(&d->r), divisor = jc_get_svar(&d->r);
        if (ranged > 1 || lo > hi || divisor < 1)
            bad(d, "the range of a symbol");
        jc_sym *s = jc_sym_at(d->g->exprs, sym);
        s->lo = lo;
        s->hi = hi;
        s->divisor = divisor;
    }
}

static void get_inputs(dec *d) {
    d->ninputs = (uint32_t)jc_get_count(&d->r, 1);
    for (uint32_t i = 0; i < d->ninputs && !d->r.bad; i++) {
        jc_type t = { .kind = jc_get_u8(&d->r) };
        uint64_t alias = 0;
        if (t.kind == JC_TENSOR) {
            t = get_dims(d);
            get_strides(d, &t);
            alias = jc_get_var(&d->r);
        }
        if (t.kind > JC_BOOL || t.kind == JC_SYMINT || alias > d->ninputs) {
            bad(d, "an input");
            return;
        }
        jc_func_param(d->f, jc_arena_printf(d->arena, "i%u", i), &t)->alias = (uint32_t)alias;
    }
}

/* ---- arguments ----------------------------------------------------------------------------------------------- */

static jc_arg get_arg(dec *d, int depth);

static jc_arg get_list(dec *d, jc_arg_kind kind, int depth) {
    const uint32_t n = (uint32_t)jc_get_count(&d->r, 1);
    jc_arg *at = JC_NEWN(d->arena, jc_arg, n);
    for (uint32_t i = 0; i < n && !d->r.bad; i++)
        at[i] = get_arg(d, depth + 1);
    jc_arg a = { .kind = (uint8_t)kind };
    a.list.at = at;
    a.list.n = n;
    return a;
}

static jc_arg get_value(dec *d, uint8_t tag) {
    const uint64_t i = jc_get_var(&d->r);
    if (tag == CN_T_INPUT && i < d->f->nparams)
        return jc_arg_value(d->f->params[i]);
    if (tag == CN_T_LOCAL && i < d->locals.n)
        return jc_arg_value(d->locals.at[i]);
    bad(d, "a reference to a value");
    return jc_arg_none();
}

static jc_arg get_str(dec *d, jc_arg_kind kind) {
    jc_arg a = { .kind = (uint8_t)kind };
    a.str = jc_get_str(&d->r, d->arena);
    return a;
}

static jc_arg get_tagged(dec *d, uint8_t tag, int depth) {
    switch (tag) {
    case CN_T_NONE:
        return jc_arg_none();
    case CN_T_INPUT:
    case CN_T_LOCAL:
        return get_value(d, tag);
    case CN_T_EXPR:
        return jc_arg_expr(get_expr(d));
    case CN_T_FLOAT:
        return jc_arg_float(jc_get_f64(&d->r));
    case CN_T_BOOL: {
        const uint8_t b = jc_get_u8(&d->r);
        if (b > 1)
            bad(d, "a bool");
        return jc_arg_bool(b == 1);
    }
    case CN_T_STR:
        return get_str(d, JC_ARG_STR);
    case CN_T_DEVICE:
        return get_str(d, JC_ARG_DEVICE);
    case CN_T_DTYPE: {
        const uint8_t t = jc_get_u8(&d->r);
        if (t >= JC_DTYPE_COUNT)
            break;
        return jc_arg_dtype((jc_dtype)t);
    }
    case CN_T_LIST:
        return get_list(d, JC_ARG_LIST, depth);
    case CN_T_DICT:
        return get_list(d, JC_ARG_DICT, depth);
    default:
        break;
    }
    bad(d, "an argument");
    return jc_arg_none();
}

static jc_arg get_arg(dec *d, int depth) {
    if (depth > CN_MAX_DEPTH) {
        bad(d, "the depth of a list");
        return jc_arg_none();
    }
    uint8_t tag = jc_get_u8(&d->r);
    const char *key = NULL;
    if (tag == CN_T_KEY) {
        key = jc_get_str(&d->r, d->arena);
        tag = jc_get_u8(&d->r);
    }
    jc_arg a = get_tagged(d, tag, depth);
    a.key = key;
    return a;
}

/* ---- nodes --------------------------------------------------------------------------------------------------- */

static void add_locals(dec *d, jc_node *n) {
    for (uint32_t i = 0; i < n->nresults; i++) {
        n->results[i]->name = jc_arena_printf(d->arena, "v%zu", d->locals.n);
        jc_push(d->arena, &d->locals, n->results[i]);
    }
}

static void get_custom(dec *d) {
    const char *target = jc_get_str(&d->r, d->arena);
    const uint64_t writes = jc_get_var(&d->r);
    const uint32_t nargs = (uint32_t)jc_get_count(&d->r, 1);
    jc_arg *args = JC_NEWN(d->arena, jc_arg, nargs);
    for (uint32_t i = 0; i < nargs && !d->r.bad; i++)
        args[i] = get_arg(d, 0);
    const uint32_t nresults = (uint32_t)jc_get_count(&d->r, 3);
    jc_type *types = JC_NEWN(d->arena, jc_type, nresults);
    for (uint32_t i = 0; i < nresults && !d->r.bad; i++) {
        types[i] = get_dims(d);
        get_strides(d, &types[i]);
    }
    if (!d->r.bad)
        add_locals(d, jc_func_add_custom(d->f, target, args, nargs, writes, types, nresults, d->line));
}

static bool is_tensor(const jc_arg *a) {
    return a->kind == JC_ARG_VALUE && a->value->type.kind == JC_TENSOR;
}

static const jc_value *first_tensor(const jc_arg *args, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (is_tensor(&args[i]))
            return args[i].value;
        if (args[i].kind == JC_ARG_LIST) {
            const jc_value *v = first_tensor(args[i].list.at, args[i].list.n);
            if (v)
                return v;
        }
    }
    return NULL;
}

static jitc_status get_result(dec *d, jc_node *n, uint32_t i) {
    jc_type t;
    const jc_value *like = first_tensor(n->args, n->nargs);
    switch (jc_get_u8(&d->r)) {
    case 0:
        if (!like) {
            bad(d, "the type of a result");
            return JITC_OK;
        }
        t = like->type;
        t.strides = NULL;
        break;
    case 1:
        t = get_dims(d);
        break;
    default:
        bad(d, "the type of a result");
        return JITC_OK;
    }
    return d->r.bad ? JITC_OK : jc_check_annotation(d->f, n->results[i], &t, d->err);
}

static jitc_status get_compiled(dec *d, jc_op op) {
    const uint32_t nargs = jc_ops[op].nargs;
    jc_arg *args = JC_NEWN(d->arena, jc_arg, nargs);
    for (uint32_t i = 0; i < nargs && !d->r.bad; i++) {
        args[i] = get_arg(d, 0);
        args[i].key = NULL;
    }
    if (d->r.bad)
        return JITC_OK;
    jc_node *n = NULL;
    JC_TRY(jc_func_add(d->f, op, args, nargs, d->line, &n, d->err));
    for (uint32_t i = 0; i < n->nresults && !d->r.bad; i++)
        JC_TRY(get_result(d, n, i));
    add_locals(d, n);
    return JITC_OK;
}

static jitc_status get_nodes(dec *d) {
    const size_t nnodes = jc_get_count(&d->r, 1);
    for (size_t i = 0; i < nnodes && !d->r.bad; i++) {
        const uint64_t op = jc_get_var(&d->r);
        d->line = (int)i + 1; /* nodes go by number: whoever knows the piece turns that into a line of its text */
        if (op >= JC_OP_COUNT || op == JC_OP_call)
            bad(d, "an operator");
        else if (op == JC_OP_custom)
            get_custom(d);
        else
            JC_TRY(get_compiled(d, (jc_op)op));
    }
    return JITC_OK;
}

static void get_outputs(dec *d) {
    const uint8_t tuple = jc_get_u8(&d->r);
    if (tuple > 1)
        bad(d, "the outputs");
    d->f->tuple = tuple == 1;
    const uint32_t n = (uint32_t)jc_get_count(&d->r, 1);
    d->f->outputs = JC_NEWN(d->arena, jc_arg, n);
    d->f->noutputs = n;
    for (uint32_t i = 0; i < n && !d->r.bad; i++)
        d->f->outputs[i] = get_arg(d, 0);
}

jitc_status jc_canon_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_graph **out, jc_error *err) {
    dec d = { .r = JC_READER(bytes, n), .arena = arena, .err = err };
    d.g = jc_graph_new(arena, "canonical form");
    d.f = jc_func_new(d.g, "canonical");
    d.g->root = d.f;
    if (jc_get_u8(&d.r) != CN_FORMAT)
        bad(&d, "the format");
    get_symbols(&d);
    if (!d.r.bad)
        get_inputs(&d);
    jitc_status status = d.r.bad ? JITC_OK : get_nodes(&d);
    if (status != JITC_OK) { /* whatever inference thought of it, the bytes are to blame */
        if (err)
            err->status = JITC_E_INPUT;
        return JITC_E_INPUT;
    }
    if (!d.r.bad)
        get_outputs(&d);
    if (!d.r.bad && d.r.at != d.r.end)
        bad(&d, "the end");
    if (d.r.bad)
        return jc_fail(err, JITC_E_INPUT, "The canonical form of a piece cannot be decoded: %s is not as it should be.",
                       d.why ? d.why : "its length");
    *out = d.g;
    return JITC_OK;
}
