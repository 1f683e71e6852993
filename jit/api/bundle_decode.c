/*
 * jit/api/bundle_decode.c - the sections of a bundle as a model.  The format is described at the head of jit/api/bundle.c.
 *
 * Bytes may be hostile even where their hash is right: every number is checked before it is used, and what a run relies on
 * (counts of arguments, binds, symbols) is checked here.  Plans and code are decoded, and verified, by the run that first
 * needs them.
 *
 * A graph is rebuilt as far as a run needs it: symbols, the root with its calls, and of each piece its name, parameters
 * and how many results it has.  Strings, canonical forms and artifacts stay where they are in the file's bytes.
 */
#include "jit/api/bundle.h"

#include <string.h>

typedef struct strings {
    uint32_t n;
    const char **at;
} strings;

typedef struct class_info {
    uint32_t ninputs, nsyms, nnodes, noutputs;
    jc_arg *outputs; /* all NONE: a run only counts them */
    jc_span bytes;
    jc_hash hash;
} class_info;

typedef struct decoder {
    const jc_bundle_file *file;
    jitc_model *m;
    jc_arena *arena;
    jc_error *err;
    strings strings;
    class_info *classes;
    jc_reader r; /* of the section at hand */
    /* the graph at hand */
    jc_graph *g;
    uint32_t nexprs, ntypes, nvalues;
    const jc_expr **exprs;
    jc_type *types;
    jc_value **values; /* of the root, by number */
    size_t cap;
} decoder;

#define DAMAGED(err, what) jc_fail((err), JITC_E_INPUT, "the bundle's %s are damaged", (what))

/* --- the frame --- */

static jitc_status add_section(jc_bundle_file *b, const uint8_t *bytes, size_t n, jc_reader *table, jc_error *err) {
    uint64_t kind = jc_get_u64(table), offset = jc_get_u64(table), length = jc_get_u64(table);
    size_t end = n - JC_HASH_SIZE;
    if (table->bad || offset % JC_BUNDLE_ALIGN || offset > end || length > end - offset)
        return jc_fail(err, JITC_E_INPUT, "the bundle's table of sections is damaged");
    if (kind == 0 || kind >= JC_SECTION_COUNT)
        return JITC_OK; /* something that this version can do without: else the version or a flag would say so */
    if (b->sections[kind].at)
        return jc_fail(err, JITC_E_INPUT, "the bundle has two sections of kind %u", (unsigned)kind);
    b->sections[kind] = (jc_span){ bytes + offset, (size_t)length };
    return JITC_OK;
}

static jitc_status get_requires(jc_bundle_file *b, jc_arena *arena, jc_error *err) {
    jc_reader r = JC_READER(b->sections[JC_SECTION_REQUIRES].at, b->sections[JC_SECTION_REQUIRES].n);
    jc_bundle_requires *q = &b->needs;
    q->min_version = jc_get_u32(&r);
    if (q->min_version > JC_BUNDLE_VERSION)
        return jc_fail(err, JITC_E_INPUT, "the bundle needs a libjitc that reads format %u; this one reads %u",
                       q->min_version, JC_BUNDLE_VERSION);
    q->ntargets = (uint32_t)jc_get_count(&r, 4);
    q->targets = JC_NEWN(arena, jc_target, q->ntargets);
    for (uint32_t i = 0; i < q->ntargets && !r.bad; i++)
        (void)jc_target_decode(&r, &q->targets[i]); /* sets r.bad */
    q->codegen_id = jc_get_str(&r, arena);
    q->llvm_version = jc_get_str(&r, arena);
    return r.bad || r.at != r.end || q->ntargets == 0 ? DAMAGED(err, "requirements") : JITC_OK;
}

jitc_status jc_bundle_open(const uint8_t *bytes, size_t n, jc_arena *arena, jc_bundle_file *out, jc_error *err) {
    static const char *const names[] = {
#define SECTION_NAME(id, number, what) [number] = what,
        JC_BUNDLE_SECTIONS(SECTION_NAME)
#undef SECTION_NAME
    };
    jc_reader r = JC_READER(bytes, n);
    const uint8_t *magic = jc_get(&r, 8);
    if (!magic || memcmp(magic, JC_BUNDLE_MAGIC, 8) != 0)
        return jc_fail(err, JITC_E_INPUT, "this is not a bundle, as jitc compile -o writes it");
    uint32_t version = jc_get_u32(&r), flags = jc_get_u32(&r);
    uint64_t length = jc_get_u64(&r), count = jc_get_u64(&r);
    if (r.bad || n < JC_BUNDLE_HEADER + JC_HASH_SIZE)
        return jc_fail(err, JITC_E_INPUT, "the bundle is cut short: %zu bytes", n);
    if (version != JC_BUNDLE_VERSION || flags != 0)
        return jc_fail(err, JITC_E_INPUT, "the bundle has format %u with flags 0x%x; this libjitc reads format %u without: "
                       "compile the model again", version, flags, JC_BUNDLE_VERSION);
    if (length != n)
        return jc_fail(err, JITC_E_INPUT, "the bundle is cut short or has something behind it: %zu bytes of %llu", n,
                       (unsigned long long)length);
    jc_hash hash = jc_hash_of(bytes, n - JC_HASH_SIZE);
    if (memcmp(hash.b, bytes + n - JC_HASH_SIZE, JC_HASH_SIZE) != 0)
        return jc_fail(err, JITC_E_INPUT, "the bundle is damaged: its hash is not that of its bytes");
    if (count > JC_BUNDLE_MAX_SECTIONS || JC_BUNDLE_HEADER + count * JC_BUNDLE_ENTRY + JC_HASH_SIZE > n)
        return jc_fail(err, JITC_E_INPUT, "the bundle's table of sections is damaged");
    *out = (jc_bundle_file){ 0 };
    for (uint64_t i = 0; i < count; i++)
        JC_TRY(add_section(out, bytes, n, &r, err));
    for (int s = 1; s < JC_SECTION_COUNT; s++)
        if (!out->sections[s].at)
            return jc_fail(err, JITC_E_INPUT, "the bundle has no %s", names[s]);
    return get_requires(out, arena, err);
}

/* --- reading with checks --- */

static void enter(decoder *d, jc_bundle_section s) {
    d->r = JC_READER(d->file->sections[s].at, d->file->sections[s].n);
}

/* A number below LIMIT; else 0, and the reader is bad. */
static uint32_t below(decoder *d, uint64_t limit) {
    uint64_t x = jc_get_var(&d->r);
    if (d->r.bad || x >= limit) {
        d->r.bad = true;
        return 0;
    }
    return (uint32_t)x;
}

static uint32_t count(decoder *d, size_t min) {
    size_t n = jc_get_count(&d->r, min);
    d->r.bad |= n >= UINT32_MAX;
    return d->r.bad ? 0 : (uint32_t)n;
}

static int get_line(decoder *d, int64_t from) {
    int64_t line;
    if (__builtin_add_overflow(from, jc_get_svar(&d->r), &line) || line < INT32_MIN || line > INT32_MAX) {
        d->r.bad = true;
        return 0;
    }
    return (int)line;
}

static bool get_bool(decoder *d) {
    uint8_t b = jc_get_u8(&d->r);
    d->r.bad |= b > 1;
    return b == 1;
}

static const char *get_string(decoder *d) {
    uint32_t i = below(d, d->strings.n);
    return d->r.bad ? "" : d->strings.at[i];
}

/* --- strings and classes --- */

static jitc_status get_strings(decoder *d) {
    enter(d, JC_SECTION_STRINGS);
    uint32_t n = jc_get_u32(&d->r);
    const uint8_t *table = n <= d->file->sections[JC_SECTION_STRINGS].n / 4 ? jc_get(&d->r, (size_t)n * 4) : NULL;
    jc_reader ends = JC_READER(table, table ? (size_t)n * 4 : 0);
    const char *text = (const char *)d->r.at;
    size_t size = (size_t)(d->r.end - d->r.at), at = 0;
    if (!table)
        return DAMAGED(d->err, "strings");
    d->strings = (strings){ n, JC_NEWN(d->arena, const char *, n) };
    for (uint32_t i = 0; i < n; i++) {
        size_t end = jc_get_u32(&ends);
        if (end > size || end <= at || memchr(text + at, 0, end - at) != text + end - 1)
            return DAMAGED(d->err, "strings");
        d->strings.at[i] = text + at;
        at = end;
    }
    return at == size ? JITC_OK : DAMAGED(d->err, "strings");
}

static jitc_status get_classes(decoder *d) {
    jc_span canon = d->file->sections[JC_SECTION_CANON];
    size_t at = 0;
    enter(d, JC_SECTION_CLASSES);
    d->m->nclasses = count(d, 5);
    d->m->classes = JC_NEWN(d->arena, jc_class, d->m->nclasses);
    d->classes = JC_NEWN(d->arena, class_info, d->m->nclasses);
    for (uint32_t i = 0; i < d->m->nclasses && !d->r.bad; i++) {
        class_info *c = &d->classes[i];
        c->noutputs = below(d, UINT32_MAX);
        c->ninputs = below(d, UINT32_MAX);
        c->nsyms = below(d, JC_BUNDLE_MAX_SYMS + 1);
        c->nnodes = below(d, UINT32_MAX);
        uint64_t n = jc_get_var(&d->r);
        if (d->r.bad || n > canon.n - at || c->noutputs > n) /* the canonical form has them all */
            return DAMAGED(d->err, "classes");
        c->bytes = (jc_span){ canon.at + at, (size_t)n };
        c->hash = jc_hash_of(c->bytes.at, c->bytes.n);
        c->outputs = JC_NEWN(d->arena, jc_arg, c->noutputs);
        at += (size_t)n;
    }
    return d->r.bad || d->r.at != d->r.end || at != canon.n ? DAMAGED(d->err, "classes") : JITC_OK;
}

/* --- symbols, expressions, types --- */

static void get_symbols(decoder *d) {
    uint32_t n = below(d, JC_BUNDLE_MAX_SYMS + 1);
    for (uint32_t i = 0; i < n && !d->r.bad; i++) {
        jc_sym *s = jc_sym_at(d->g->exprs, jc_sym_add(d->g->exprs, get_string(d)));
        int64_t lo = jc_get_svar(&d->r), hi = jc_get_svar(&d->r), divisor = jc_get_svar(&d->r);
        if (d->r.bad || lo > hi || divisor < 1) {
            d->r.bad = true;
            return;
        }
        s->lo = lo;
        s->hi = hi;
        s->divisor = divisor;
    }
}

static void get_exprs(decoder *d) {
    d->nexprs = count(d, 2);
    d->exprs = JC_NEWN(d->arena, const jc_expr *, d->nexprs);
    for (uint32_t i = 0; i < d->nexprs && !d->r.bad; i++)
        d->exprs[i] = jc_ex_decode(d->g->exprs, &d->r, jc_sym_count(d->g->exprs));
}

static const jc_expr *get_expr(decoder *d) {
    uint32_t i = below(d, d->nexprs);
    return d->r.bad ? jc_ex_int(d->g->exprs, 0) : d->exprs[i];
}

static const jc_expr *const *get_dims(decoder *d, uint32_t n) {
    const jc_expr **at = JC_NEWN(d->arena, const jc_expr *, n);
    for (uint32_t i = 0; i < n; i++)
        at[i] = get_expr(d);
    return at;
}

static void get_types(decoder *d) {
    enum { STRIDES = 1, VALUE = 2 };
    d->ntypes = count(d, 4);
    d->types = JC_NEWN(d->arena, jc_type, d->ntypes);
    for (uint32_t i = 0; i < d->ntypes && !d->r.bad; i++) {
        jc_type *t = &d->types[i];
        t->kind = jc_get_u8(&d->r);
        t->dtype = jc_get_u8(&d->r);
        t->rank = jc_get_u8(&d->r);
        uint8_t flags = jc_get_u8(&d->r);
        bool tensor = t->kind == JC_TENSOR;
        if (t->kind > JC_BOOL || t->dtype >= JC_DTYPE_COUNT || t->rank > JC_MAX_RANK || (!tensor && t->rank) ||
            flags > VALUE || (flags == STRIDES && !tensor) || (flags == VALUE) != (t->kind == JC_SYMINT)) {
            d->r.bad = true;
            return;
        }
        if (tensor)
            t->dims = get_dims(d, t->rank);
        if (flags == STRIDES)
            t->strides = get_dims(d, t->rank);
        if (flags == VALUE)
            t->expr = get_expr(d);
    }
}

static jc_type get_type(decoder *d) {
    uint32_t i = below(d, d->ntypes);
    return d->r.bad ? (jc_type){ .kind = JC_INT } : d->types[i];
}

/* --- functions and pieces --- */

static jc_func *get_func(decoder *d) {
    jc_func *f = JC_NEW(d->arena, jc_func);
    f->graph = d->g;
    f->name = get_string(d);
    f->line = get_line(d, 0);
    f->tuple = get_bool(d);
    f->nparams = count(d, 3);
    f->params = JC_NEWN(d->arena, jc_value *, f->nparams);
    jc_value *params = JC_NEWN(d->arena, jc_value, f->nparams);
    for (uint32_t i = 0; i < f->nparams; i++) {
        f->params[i] = &params[i];
        params[i].id = params[i].index = i;
        params[i].name = get_string(d);
        params[i].line = get_line(d, 0);
        params[i].type = get_type(d);
    }
    f->nvalues = f->nparams;
    return f;
}

static void get_bind(decoder *d, jc_piece *p, uint32_t input) {
    jc_bind *b = &p->canon.inputs[input];
    jc_arg *a = &b->literal;
    uint8_t kind = jc_get_u8(&d->r);
    b->kind = kind == JC_BB_PARAM ? JC_BIND_PARAM : JC_BIND_LITERAL;
    if (kind == JC_BB_PARAM) {
        b->param = below(d, p->func->nparams);
    } else if (kind == JC_BB_STR) {
        a->kind = JC_ARG_STR;
        a->str = get_string(d);
    } else if (kind == JC_BB_INT) {
        *a = jc_arg_expr(jc_ex_int(d->g->exprs, jc_get_svar(&d->r)));
    } else if (kind == JC_BB_FLOAT) {
        *a = jc_arg_float(jc_get_f64(&d->r));
    } else if (kind == JC_BB_BOOL) {
        *a = jc_arg_bool(get_bool(d));
    } else {
        d->r.bad = true;
    }
}

static jitc_status get_binds(decoder *d, jc_piece *p, uint32_t n) {
    p->canon.ninputs = n;
    p->canon.inputs = JC_NEWN(d->arena, jc_bind, n);
    p->literals = JC_NEWN(d->arena, const jitc_layer_name *, n);
    p->layer_names = JC_NEWN(d->arena, const char *, n);
    for (uint32_t i = 0; i < n && !d->r.bad; i++) {
        const jc_arg *a = &p->canon.inputs[i].literal;
        get_bind(d, p, i);
        if (d->r.bad || p->canon.inputs[i].kind != JC_BIND_LITERAL || a->kind != JC_ARG_STR)
            continue;
        p->literals[i] = jc_name_intern(d->m->ctx->names, a->str, NULL);
        p->layer_names[p->nlayer_names++] = a->str;
        if (!p->literals[i])
            return jc_fail(d->err, JITC_E_NOMEM, "out of memory while loading a bundle");
    }
    return JITC_OK;
}

/* All that is left of a piece's nodes: where they stood in the text. */
static void get_lines(decoder *d, jc_piece *p, uint32_t n) {
    jc_node *nodes = JC_NEWN(d->arena, jc_node, n);
    int line = p->func->line;
    p->canon.nnodes = n;
    p->canon.nodes = JC_NEWN(d->arena, const jc_node *, n);
    for (uint32_t i = 0; i < n && !d->r.bad; i++) {
        nodes[i].line = line = get_line(d, line);
        p->canon.nodes[i] = &nodes[i];
    }
}

static jitc_status get_piece(decoder *d, jc_piece *p, uint32_t graph) {
    uint32_t nsyms = jc_sym_count(d->g->exprs);
    p->func = get_func(d);
    p->graph = graph;
    p->cls = below(d, d->m->nclasses);
    p->splitting = get_bool(d);
    const class_info *c = &d->classes[p->cls];
    size_t left = (size_t)(d->r.end - d->r.at);
    if (d->r.bad || c->ninputs > left || c->nsyms > left || c->nnodes > left)
        return DAMAGED(d->err, "graphs");
    p->func->noutputs = c->noutputs;
    p->func->outputs = c->outputs;
    p->canon.bytes = c->bytes.at;
    p->canon.nbytes = c->bytes.n;
    p->canon.hash = c->hash;
    JC_TRY(get_binds(d, p, c->ninputs));
    p->canon.nsyms = c->nsyms;
    p->canon.syms = JC_NEWN(d->arena, const jc_expr *, c->nsyms);
    for (uint32_t i = 0; i < c->nsyms && !d->r.bad; i++) {
        uint32_t sym = below(d, nsyms);
        if (!d->r.bad)
            p->canon.syms[i] = jc_ex_sym(d->g->exprs, sym);
    }
    get_lines(d, p, c->nnodes);
    return d->r.bad ? DAMAGED(d->err, "graphs") : JITC_OK;
}

/* --- the root --- */

static void get_arg(decoder *d, jc_arg *a, int depth) {
    uint8_t kind = jc_get_u8(&d->r);
    *a = jc_arg_none();
    if (kind == JC_BA_VALUE) {
        uint32_t i = below(d, d->nvalues); /* one that has been defined */
        if (!d->r.bad)
            *a = jc_arg_value(d->values[i]);
    } else if (kind == JC_BA_EXPR) {
        *a = jc_arg_expr(get_expr(d));
    } else if (kind == JC_BA_FLOAT) {
        *a = jc_arg_float(jc_get_f64(&d->r));
    } else if (kind == JC_BA_BOOL) {
        *a = jc_arg_bool(get_bool(d));
    } else if (kind == JC_BA_LIST && depth < JC_BUNDLE_MAX_DEPTH) {
        a->kind = JC_ARG_LIST;
        a->list.n = count(d, 1);
        a->list.at = JC_NEWN(d->arena, jc_arg, a->list.n);
        for (uint32_t i = 0; i < a->list.n && !d->r.bad; i++)
            get_arg(d, &a->list.at[i], depth + 1);
    } else if (kind != JC_BA_NONE) {
        d->r.bad = true;
    }
}

static void define(decoder *d, jc_value *v) {
    d->values = jc_vec_room(d->arena, d->values, d->nvalues, &d->cap, sizeof *d->values);
    d->values[d->nvalues++] = v;
}

static void get_results(decoder *d, jc_node *n) {
    n->nresults = count(d, 2);
    n->results = JC_NEWN(d->arena, jc_value *, n->nresults);
    jc_value *results = JC_NEWN(d->arena, jc_value, n->nresults);
    for (uint32_t i = 0; i < n->nresults; i++) {
        results[i] = (jc_value){ .id = d->nvalues, .index = i, .name = "", .def = n, .line = n->line };
        n->results[i] = &results[i];
        define(d, &results[i]);
    }
    for (uint32_t i = 0; i < n->nresults && !d->r.bad; i++) {
        results[i].type = get_type(d);
        uint32_t base = below(d, (uint64_t)d->nvalues + 1);
        results[i].base = base ? d->values[base - 1] : NULL;
    }
}

static void get_call(decoder *d, jc_func *root) {
    jc_node *n = JC_NEW(d->arena, jc_node);
    uint32_t piece = below(d, d->g->pieces.n);
    if (d->r.bad)
        return;
    n->op = JC_OP_call;
    n->callee = d->g->pieces.at[piece];
    n->line = get_line(d, 0);
    n->nargs = n->callee->nparams;
    n->args = JC_NEWN(d->arena, jc_arg, n->nargs);
    for (uint32_t i = 0; i < n->nargs && !d->r.bad; i++)
        get_arg(d, &n->args[i], 0);
    get_results(d, n);
    jc_push(d->arena, &root->nodes, n);
}

static void get_root(decoder *d) {
    jc_func *root = get_func(d);
    d->values = NULL;
    d->nvalues = 0;
    d->cap = 0;
    for (uint32_t i = 0; i < root->nparams; i++)
        define(d, root->params[i]);
    root->noutputs = count(d, 1);
    root->outputs = JC_NEWN(d->arena, jc_arg, root->noutputs);
    uint32_t ncalls = count(d, 3);
    for (uint32_t i = 0; i < ncalls && !d->r.bad; i++)
        get_call(d, root);
    for (uint32_t i = 0; i < root->noutputs && !d->r.bad; i++)
        get_arg(d, &root->outputs[i], 0);
    uint32_t nguards = count(d, 4);
    for (uint32_t i = 0; i < nguards && !d->r.bad; i++) {
        jc_condition c = { .rel = jc_get_u8(&d->r) };
        d->r.bad |= c.rel >= JC_REL_COUNT;
        c.line = (int)jc_get_svar(&d->r);
        c.a = get_expr(d);
        c.b = get_expr(d);
        jc_push(d->arena, &root->guards, c);
    }
    root->nvalues = d->nvalues;
    d->g->root = root;
}

/* --- graphs --- */

static void new_graph(decoder *d, uint32_t index, const char *file) {
    jitc_graph *g = JC_NEW(d->arena, jitc_graph); /* the model's own: in no list of the context */
    d->g = JC_NEW(d->arena, jc_graph);
    d->g->arena = d->arena;
    d->g->exprs = jc_exprs_new(d->arena);
    d->g->file = d->m->ngraphs == 1 ? file : jc_arena_printf(d->arena, "%s#%u", file, index);
    g->ctx = d->m->ctx;
    g->arena = d->arena;
    g->g = d->g;
    d->m->graphs[index] = g;
}

static jitc_status get_graph(decoder *d, uint32_t index, const char *file, size_t *cap) {
    jitc_model *m = d->m;
    new_graph(d, index, file);
    get_symbols(d);
    get_exprs(d);
    get_types(d);
    uint32_t npieces = count(d, 8);
    for (uint32_t i = 0; i < npieces && !d->r.bad; i++) {
        jc_piece *p;
        m->pieces = jc_vec_room(d->arena, m->pieces, m->npieces, cap, sizeof *m->pieces);
        p = &m->pieces[m->npieces];
        *p = (jc_piece){ 0 };
        JC_TRY(get_piece(d, p, index));
        jc_push(d->arena, &d->g->pieces, p->func);
        m->npieces++;
    }
    if (!d->r.bad)
        get_root(d);
    return d->r.bad ? DAMAGED(d->err, "graphs") : JITC_OK;
}

static jitc_status get_graphs(decoder *d, const char *file) {
    size_t cap = 0;
    enter(d, JC_SECTION_GRAPHS);
    uint32_t n = count(d, 8);
    d->m->graphs = JC_NEWN(d->arena, jitc_graph *, n);
    d->m->ngraphs = n;
    for (uint32_t i = 0; i < n; i++)
        JC_TRY(get_graph(d, i, file, &cap));
    return d->r.bad || d->r.at != d->r.end || n == 0 ? DAMAGED(d->err, "graphs") : JITC_OK;
}

/* Classes count up with their first members, and all have one. */
static jitc_status join_classes(decoder *d) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < d->m->npieces; i++) {
        jc_piece *p = &d->m->pieces[i];
        jc_class *c = &d->m->classes[p->cls];
        if (p->cls > seen)
            break;
        if (p->cls == seen) {
            c->first = i;
            seen++;
        }
        c->members++;
    }
    return seen == d->m->nclasses && seen > 0 ? JITC_OK : DAMAGED(d->err, "classes");
}

/* --- programs --- */

static void get_ranges(decoder *d, jc_intervals *out) {
    out->n = below(d, JC_MAX_VARIANTS + 1);
    out->at = JC_NEWN(d->arena, jc_interval, out->n);
    d->r.bad |= out->n == 0;
    for (uint32_t i = 0; i < out->n; i++) {
        int64_t lo = jc_get_svar(&d->r), hi = jc_get_svar(&d->r);
        d->r.bad |= lo < 0 || hi < lo || hi > JC_SYM_MAX;
        out->at[i] = (jc_interval){ lo, hi };
    }
}

static jitc_status get_artifact(decoder *d, const jc_class *c, jc_variant *v, size_t *at) {
    jc_span artifacts = d->file->sections[JC_SECTION_ARTIFACTS];
    const uint8_t *key = jc_get(&d->r, JC_HASH_SIZE);
    uint64_t n = jc_get_var(&d->r);
    size_t start = (*at + JC_BUNDLE_ALIGN - 1) / JC_BUNDLE_ALIGN * JC_BUNDLE_ALIGN;
    if (d->r.bad || n == 0 || start > artifacts.n || n > artifacts.n - start)
        return DAMAGED(d->err, "programs");
    *at = start + (size_t)n;
    v->request.canon = &d->m->pieces[c->first].canon;
    v->request.artifact = artifacts.at + start;
    v->request.nartifact = (size_t)n;
    v->request.hit = true;
    memcpy(v->request.key.hash.b, key, JC_HASH_SIZE);
    return JITC_OK;
}

/* One class of one target, into C. */
static jitc_status get_code(decoder *d, uint32_t cls, jc_class *c, size_t *at) {
    jc_error ignored = JC_ERROR_INIT;
    uint32_t nsyms = d->classes[cls].nsyms;
    c->ranges = JC_NEWN(d->arena, jc_intervals, nsyms);
    for (uint32_t i = 0; i < nsyms && !d->r.bad; i++)
        get_ranges(d, &c->ranges[i]);
    if (d->r.bad || jc_class_variants(d->m, c, nsyms, &ignored) != JITC_OK)
        return DAMAGED(d->err, "programs");
    for (uint32_t v = 0; v < c->nvariants; v++)
        JC_TRY(get_artifact(d, c, &c->variants[v], at));
    return JITC_OK;
}

static jitc_status get_programs(decoder *d, uint32_t target) {
    size_t at = 0;
    uint32_t nvariants = 0;
    enter(d, JC_SECTION_PROGRAMS);
    for (uint32_t t = 0; t < d->file->needs.ntargets; t++)
        for (uint32_t i = 0; i < d->m->nclasses; i++) {
            jc_class other = d->m->classes[i]; /* of a target that is not asked for: only looked over */
            JC_TRY(get_code(d, i, t == target ? &d->m->classes[i] : &other, &at));
            nvariants += t == target ? d->m->classes[i].nvariants : 0;
        }
    d->m->stats.hits = nvariants;
    return d->r.at != d->r.end || at != d->file->sections[JC_SECTION_ARTIFACTS].n ? DAMAGED(d->err, "programs") : JITC_OK;
}

jitc_status jc_bundle_decode(const jc_bundle_file *b, uint32_t target, const char *file, jitc_model *m, jc_error *err) {
    decoder d = { .file = b, .m = m, .arena = m->arena, .err = err };
    m->target = b->needs.targets[target];
    m->codegen_id = b->needs.codegen_id;
    m->llvm_version = b->needs.llvm_version;
    JC_TRY(get_strings(&d));
    JC_TRY(get_classes(&d));
    JC_TRY(get_graphs(&d, file));
    JC_TRY(join_classes(&d));
    JC_TRY(get_programs(&d, target));
    m->stats.pieces = m->npieces;
    m->stats.classes = m->nclasses;
    return JITC_OK;
}
