/*
 * jit/api/bundle_encode.c - a model as the sections of a bundle.  The format is described at the head of jit/api/bundle.c.
 *
 * The file depends on what the graphs say and on what was compiled, in the order of pieces and classes; never on names
 * of files, on addresses, or on the order in which things were done.
 */
#include "jit/api/bundle.h"

#include <string.h>

#include "base/codegen_id.h"
#include "config.h"

#define NONE UINT32_MAX

typedef struct encoder {
    const jitc_model *m;
    jc_arena *arena;
    jc_error *err;
    jc_bytes sections[JC_SECTION_COUNT];
    jc_map *strings; /* text -> 1 + number */
    uint32_t nstrings;
    jc_bytes string_ends, string_text;
    /* of the graph at hand */
    jc_map *exprs, *types; /* -> 1 + number */
    uint32_t nexprs, ntypes;
    jc_bytes expr_bytes, type_bytes;
    uint32_t *numbers; /* value id of the root -> number */
    uint32_t nnumbers;
} encoder;

/* --- things stored once --- */

static uint32_t string(encoder *e, const char *text) {
    text = text ? text : "";
    size_t n = strlen(text);
    uintptr_t number = (uintptr_t)jc_map_get(e->strings, text, n);
    if (number)
        return (uint32_t)number - 1;
    jc_map_set(e->strings, text, n, (void *)(uintptr_t)(e->nstrings + 1));
    jc_put(&e->string_text, text, n + 1);
    jc_put_u32(&e->string_ends, (uint32_t)e->string_text.n);
    return e->nstrings++;
}

static void put_string(encoder *e, jc_bytes *b, const char *text) {
    jc_put_var(b, string(e, text));
}

static uint32_t expr(encoder *e, const jc_expr *x) {
    const jc_expr **key = JC_NEW(e->arena, const jc_expr *);
    *key = x;
    uintptr_t number = (uintptr_t)jc_map_get(e->exprs, key, sizeof *key);
    if (number)
        return (uint32_t)number - 1;
    jc_map_set(e->exprs, key, sizeof *key, (void *)(uintptr_t)(e->nexprs + 1));
    jc_ex_encode(x, &e->expr_bytes);
    return e->nexprs++;
}

static uint32_t type(encoder *e, const jc_type *t) {
    jc_bytes b = JC_BYTES(e->arena);
    bool dims = t->kind == JC_TENSOR, strides = dims && t->strides, value = t->kind == JC_SYMINT && t->expr;
    jc_put_u8(&b, t->kind);
    jc_put_u8(&b, dims ? t->dtype : 0);
    jc_put_u8(&b, dims ? t->rank : 0);
    jc_put_u8(&b, (uint8_t)(strides | value << 1));
    for (uint32_t i = 0; dims && i < t->rank; i++)
        jc_put_var(&b, expr(e, t->dims[i]));
    for (uint32_t i = 0; strides && i < t->rank; i++)
        jc_put_var(&b, expr(e, t->strides[i]));
    if (value)
        jc_put_var(&b, expr(e, t->expr));
    uintptr_t number = (uintptr_t)jc_map_get(e->types, b.at, b.n);
    if (number)
        return (uint32_t)number - 1;
    jc_map_set(e->types, b.at, b.n, (void *)(uintptr_t)(e->ntypes + 1));
    jc_put(&e->type_bytes, b.at, b.n);
    return e->ntypes++;
}

/* --- pieces --- */

static void put_params(encoder *e, jc_bytes *b, const jc_func *f) {
    put_string(e, b, f->name);
    jc_put_svar(b, f->line);
    jc_put_u8(b, f->tuple);
    jc_put_var(b, f->nparams);
    for (uint32_t i = 0; i < f->nparams; i++) {
        put_string(e, b, f->params[i]->name);
        jc_put_svar(b, f->params[i]->line);
        jc_put_var(b, type(e, &f->params[i]->type));
    }
}

static jitc_status put_bind(encoder *e, jc_bytes *b, const jc_bind *bind) {
    const jc_arg *a = &bind->literal;
    int64_t value = 0;
    if (bind->kind == JC_BIND_PARAM) {
        jc_put_u8(b, JC_BB_PARAM);
        jc_put_var(b, bind->param);
    } else if (a->kind == JC_ARG_STR) {
        jc_put_u8(b, JC_BB_STR);
        put_string(e, b, a->str);
    } else if (a->kind == JC_ARG_FLOAT) {
        jc_put_u8(b, JC_BB_FLOAT);
        jc_put_f64(b, a->f);
    } else if (a->kind == JC_ARG_BOOL) {
        jc_put_u8(b, JC_BB_BOOL);
        jc_put_u8(b, a->b);
    } else if (a->kind == JC_ARG_EXPR && jc_ex_is_const(a->expr, &value)) {
        jc_put_u8(b, JC_BB_INT);
        jc_put_svar(b, value);
    } else {
        return jc_fail(e->err, JITC_E_UNSUPPORTED, "a lifted literal of kind %u cannot be saved", a->kind);
    }
    return JITC_OK;
}

static jitc_status put_piece(encoder *e, jc_bytes *b, const jc_piece *p) {
    int64_t line = p->func->line;
    put_params(e, b, p->func);
    jc_put_var(b, p->cls);
    jc_put_u8(b, p->splitting);
    for (uint32_t i = 0; i < p->canon.ninputs; i++)
        JC_TRY(put_bind(e, b, &p->canon.inputs[i]));
    for (uint32_t i = 0; i < p->canon.nsyms; i++) {
        if (p->canon.syms[i]->kind != JC_EX_SYM)
            return jc_fail(e->err, JITC_E_UNSUPPORTED, "%s is bound to an expression, which cannot be saved", p->func->name);
        jc_put_var(b, p->canon.syms[i]->sym);
    }
    for (uint32_t i = 0; i < p->canon.nnodes; i++) {
        jc_put_svar(b, p->canon.nodes[i]->line - line);
        line = p->canon.nodes[i]->line;
    }
    return JITC_OK;
}

/* --- the root --- */

static jitc_status put_arg(encoder *e, jc_bytes *b, const jc_arg *a, int depth) {
    if (depth > JC_BUNDLE_MAX_DEPTH)
        return jc_fail(e->err, JITC_E_UNSUPPORTED, "lists nested more than %d deep cannot be saved", JC_BUNDLE_MAX_DEPTH);
    switch (a->kind) {
    case JC_ARG_VALUE:
        jc_put_u8(b, JC_BA_VALUE);
        jc_put_var(b, e->numbers[a->value->id]);
        break;
    case JC_ARG_EXPR:
        jc_put_u8(b, JC_BA_EXPR);
        jc_put_var(b, expr(e, a->expr));
        break;
    case JC_ARG_FLOAT:
        jc_put_u8(b, JC_BA_FLOAT);
        jc_put_f64(b, a->f);
        break;
    case JC_ARG_BOOL:
        jc_put_u8(b, JC_BA_BOOL);
        jc_put_u8(b, a->b);
        break;
    case JC_ARG_LIST:
        jc_put_u8(b, JC_BA_LIST);
        jc_put_var(b, a->list.n);
        for (uint32_t i = 0; i < a->list.n; i++)
            JC_TRY(put_arg(e, b, &a->list.at[i], depth + 1));
        break;
    default:
        jc_put_u8(b, JC_BA_NONE); /* a run passes nothing else on */
    }
    return JITC_OK;
}

static jitc_status put_call(encoder *e, jc_bytes *b, const jc_node *n, const jc_map *pieces, uint32_t *count) {
    uintptr_t piece = (uintptr_t)jc_map_get(pieces, &n->callee, sizeof n->callee);
    if (n->op != JC_OP_call || !piece)
        return jc_fail(e->err, JITC_E_UNSUPPORTED, "a graph whose root does more than call pieces cannot be saved");
    jc_put_var(b, piece - 1);
    jc_put_svar(b, n->line);
    for (uint32_t i = 0; i < n->nargs; i++) /* as many as the piece has parameters */
        JC_TRY(put_arg(e, b, &n->args[i], 0));
    jc_put_var(b, n->nresults);
    for (uint32_t i = 0; i < n->nresults; i++)
        e->numbers[n->results[i]->id] = (*count)++;
    for (uint32_t i = 0; i < n->nresults; i++) {
        const jc_value *v = n->results[i];
        jc_put_var(b, type(e, &v->type));
        uint32_t base = v->base && v->base->id < e->nnumbers ? e->numbers[v->base->id] : NONE;
        jc_put_var(b, base == NONE ? 0 : base + 1);
    }
    return JITC_OK;
}

static jitc_status put_root(encoder *e, jc_bytes *b, const jc_graph *g) {
    const jc_func *root = g->root;
    uint32_t count = root->nparams;
    jc_map *pieces = jc_map_new(e->arena);
    for (size_t i = 0; i < g->pieces.n; i++)
        jc_map_set(pieces, &g->pieces.at[i], sizeof(jc_func *), (void *)(uintptr_t)(i + 1));
    e->nnumbers = root->nvalues;
    e->numbers = JC_NEWN(e->arena, uint32_t, root->nvalues);
    memset(e->numbers, 0xff, root->nvalues * sizeof *e->numbers);
    for (uint32_t i = 0; i < root->nparams; i++)
        e->numbers[root->params[i]->id] = i;
    put_params(e, b, root);
    jc_put_var(b, root->noutputs);
    jc_put_var(b, root->nodes.n);
    for (size_t i = 0; i < root->nodes.n; i++)
        JC_TRY(put_call(e, b, root->nodes.at[i], pieces, &count));
    for (uint32_t i = 0; i < root->noutputs; i++)
        JC_TRY(put_arg(e, b, &root->outputs[i], 0));
    jc_put_var(b, root->guards.n);
    for (size_t i = 0; i < root->guards.n; i++) {
        const jc_condition *c = &root->guards.at[i];
        jc_put_u8(b, c->rel);
        jc_put_svar(b, c->line);
        jc_put_var(b, expr(e, c->a));
        jc_put_var(b, expr(e, c->b));
    }
    return JITC_OK;
}

/* --- sections --- */

static jitc_status put_graph(encoder *e, uint32_t index) {
    jc_bytes *b = &e->sections[JC_SECTION_GRAPHS], body = JC_BYTES(e->arena);
    const jc_graph *g = e->m->graphs[index]->g;
    e->exprs = jc_map_new(e->arena);
    e->types = jc_map_new(e->arena);
    e->nexprs = e->ntypes = 0;
    e->expr_bytes = e->type_bytes = JC_BYTES(e->arena);
    jc_put_var(&body, g->pieces.n);
    for (uint32_t i = 0; i < e->m->npieces; i++)
        if (e->m->pieces[i].graph == index)
            JC_TRY(put_piece(e, &body, &e->m->pieces[i]));
    JC_TRY(put_root(e, &body, g));
    uint32_t nsyms = jc_sym_count(g->exprs);
    if (nsyms > JC_BUNDLE_MAX_SYMS)
        return jc_fail(e->err, JITC_E_UNSUPPORTED, "a graph with %u symbols cannot be saved", nsyms);
    jc_put_var(b, nsyms);
    for (uint32_t i = 0; i < nsyms; i++) {
        const jc_sym *s = jc_sym_at(g->exprs, i);
        put_string(e, b, s->name);
        jc_put_svar(b, s->lo);
        jc_put_svar(b, s->hi);
        jc_put_svar(b, s->divisor);
    }
    jc_put_var(b, e->nexprs);
    jc_put(b, e->expr_bytes.at, e->expr_bytes.n);
    jc_put_var(b, e->ntypes);
    jc_put(b, e->type_bytes.at, e->type_bytes.n);
    jc_put(b, body.at, body.n);
    return JITC_OK;
}

static void put_classes(encoder *e) {
    jc_bytes *b = &e->sections[JC_SECTION_CLASSES], *canon = &e->sections[JC_SECTION_CANON];
    jc_put_var(b, e->m->nclasses);
    for (uint32_t i = 0; i < e->m->nclasses; i++) {
        const jc_piece *p = &e->m->pieces[e->m->classes[i].first];
        const jc_canon *c = &p->canon;
        jc_put_var(b, p->func->noutputs);
        jc_put_var(b, c->ninputs);
        jc_put_var(b, c->nsyms);
        jc_put_var(b, c->nnodes);
        jc_put_var(b, c->nbytes);
        jc_put(canon, c->bytes, c->nbytes);
    }
}

static void put_strings(encoder *e) {
    jc_bytes *b = &e->sections[JC_SECTION_STRINGS];
    jc_put_u32(b, e->nstrings);
    jc_put(b, e->string_ends.at, e->string_ends.n);
    jc_put(b, e->string_text.at, e->string_text.n);
}

/* What all targets share. */
static jitc_status put_structure(encoder *e) {
    e->strings = jc_map_new(e->arena);
    e->string_ends = e->string_text = JC_BYTES(e->arena);
    put_classes(e);
    jc_put_var(&e->sections[JC_SECTION_GRAPHS], e->m->ngraphs);
    for (uint32_t i = 0; i < e->m->ngraphs; i++)
        JC_TRY(put_graph(e, i));
    put_strings(e);
    return JITC_OK;
}

static void pad(jc_bytes *b) {
    static const uint8_t zeros[JC_BUNDLE_ALIGN];
    jc_put(b, zeros, (JC_BUNDLE_ALIGN - b->n % JC_BUNDLE_ALIGN) % JC_BUNDLE_ALIGN);
}

static void put_program(encoder *e, const jitc_model *m) {
    jc_bytes *b = &e->sections[JC_SECTION_PROGRAMS], *artifacts = &e->sections[JC_SECTION_ARTIFACTS];
    for (uint32_t i = 0; i < m->nclasses; i++) {
        const jc_class *c = &m->classes[i];
        for (uint32_t s = 0; s < m->pieces[c->first].canon.nsyms; s++) {
            jc_put_var(b, c->ranges[s].n);
            for (uint32_t r = 0; r < c->ranges[s].n; r++) {
                jc_put_svar(b, c->ranges[s].at[r].lo);
                jc_put_svar(b, c->ranges[s].at[r].hi);
            }
        }
        for (uint32_t v = 0; v < c->nvariants; v++) {
            const jc_request *r = &c->variants[v].request;
            jc_put(b, r->key.hash.b, JC_HASH_SIZE);
            jc_put_var(b, r->nartifact);
            pad(artifacts);
            jc_put(artifacts, r->artifact, r->nartifact);
        }
    }
}

static void put_requires(encoder *e, jitc_model *const *models, uint32_t n) {
    jc_bytes *b = &e->sections[JC_SECTION_REQUIRES];
    jc_put_u32(b, JC_BUNDLE_VERSION);
    jc_put_var(b, n);
    for (uint32_t i = 0; i < n; i++)
        jc_target_encode(&models[i]->target, b);
    jc_put_str(b, models[0]->codegen_id ? models[0]->codegen_id : JC_CODEGEN_ID);
    jc_put_str(b, models[0]->llvm_version ? models[0]->llvm_version : jc_service_llvm(models[0]->ctx->service));
}

/* --- checks --- */

static bool same_bytes(const jc_bytes *a, const jc_bytes *b) {
    return a->n == b->n && (a->n == 0 || memcmp(a->at, b->at, a->n) == 0);
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static jitc_status check_complete(const jitc_model *m, jc_error *err) {
    for (uint32_t i = 0; i < m->nclasses; i++)
        if (!m->classes[i].variants[0].request.artifact)
            return jc_fail(err, JITC_E_USAGE, "the model was built with split_only: there is no code to save");
    return JITC_OK;
}

/* The models must be one model, compiled for different targets. */
static jitc_status check_alike(encoder *first, jitc_model *const *models, uint32_t i, jc_error *err) {
    encoder e = { .m = models[i], .arena = first->arena, .err = err };
    char target[64];
    jc_target_text(&models[i]->target, target);
    for (uint32_t k = 0; k < i; k++)
        if (jc_target_same(&models[k]->target, &models[i]->target))
            return jc_fail(err, JITC_E_USAGE, "two of the models are for %s; a bundle holds one per target", target);
    for (int s = 0; s < JC_SECTION_COUNT; s++)
        e.sections[s] = JC_BYTES(first->arena);
    JC_TRY(put_structure(&e));
    for (int s = 0; s < JC_SECTION_COUNT; s++)
        if (s != JC_SECTION_REQUIRES && s != JC_SECTION_PROGRAMS && s != JC_SECTION_ARTIFACTS &&
            !same_bytes(&e.sections[s], &first->sections[s]))
            return jc_fail(err, JITC_E_USAGE, "the model for %s is not of the same graphs, split in the same way, as the "
                           "first; a bundle holds one model", target);
    if (!same_text(models[0]->codegen_id, models[i]->codegen_id) ||
        !same_text(models[0]->llvm_version, models[i]->llvm_version))
        return jc_fail(err, JITC_E_USAGE, "the model for %s was compiled by another code generator than the first", target);
    return JITC_OK;
}

/* --- the file --- */

static uint64_t aligned(uint64_t at) {
    return (at + JC_BUNDLE_ALIGN - 1) / JC_BUNDLE_ALIGN * JC_BUNDLE_ALIGN;
}

static void put_file(const encoder *e, jc_bytes *out) {
    uint64_t offsets[JC_SECTION_COUNT], end = JC_BUNDLE_HEADER + (JC_SECTION_COUNT - 1) * JC_BUNDLE_ENTRY;
    for (int s = 1; s < JC_SECTION_COUNT; s++) {
        offsets[s] = aligned(end);
        end = offsets[s] + e->sections[s].n;
    }
    jc_put(out, JC_BUNDLE_MAGIC, 8);
    jc_put_u32(out, JC_BUNDLE_VERSION);
    jc_put_u32(out, 0);
    jc_put_u64(out, end + JC_HASH_SIZE);
    jc_put_u64(out, JC_SECTION_COUNT - 1);
    for (int s = 1; s < JC_SECTION_COUNT; s++) {
        jc_put_u64(out, (uint64_t)s);
        jc_put_u64(out, offsets[s]);
        jc_put_u64(out, e->sections[s].n);
    }
    for (int s = 1; s < JC_SECTION_COUNT; s++) {
        pad(out);
        jc_put(out, e->sections[s].at, e->sections[s].n);
    }
    jc_hash hash = jc_hash_of(out->at, out->n);
    jc_put(out, hash.b, JC_HASH_SIZE);
}

jitc_status jc_bundle_encode(jitc_model *const *models, uint32_t n, jc_bytes *out, jc_error *err) {
    encoder e = { .m = models[0], .arena = out->arena, .err = err };
    for (int s = 0; s < JC_SECTION_COUNT; s++)
        e.sections[s] = JC_BYTES(out->arena);
    for (uint32_t i = 0; i < n; i++)
        JC_TRY(check_complete(models[i], err));
    JC_TRY(put_structure(&e));
    for (uint32_t i = 1; i < n; i++)
        JC_TRY(check_alike(&e, models, i, err));
    put_requires(&e, models, n);
    for (uint32_t i = 0; i < n; i++)
        put_program(&e, models[i]);
    put_file(&e, out);
    return out->n > JC_BUNDLE_MAX ? jc_fail(err, JITC_E_UNSUPPORTED, "the bundle would be larger than 4 GiB") : JITC_OK;
}
