/*
 * jit/api/model.c - building a model: read, split, layout, canonicalise, deduplicate, compile or look up.
 */
#include "jit/api/bundle.h"
#include "jit/api/examples.h"
#include "jit/api/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/fx/fx.h"
#include "ir/pt2/pt2.h"
#include "ir/solve.h"
#include "jit/api/archive.h"
#include "jit/api/executable.h"

#define TEXT_MAX ((size_t)1 << 31)

/* --- graphs --- */

static jitc_status graph_new(jitc_context *ctx, jitc_graph **out, jc_error *err) {
    jc_arena *arena = jc_arena_new(&ctx->alloc);
    jitc_graph *g = arena ? ctx->alloc.alloc(ctx->alloc.user, sizeof *g) : NULL;
    if (!g) {
        jc_arena_free(arena);
        return jc_fail(err, JITC_E_NOMEM, "out of memory while reading a graph");
    }
    memset(g, 0, sizeof *g);
    g->ctx = ctx;
    g->arena = arena;
    pthread_mutex_lock(&ctx->lock);
    g->next = ctx->graphs;
    ctx->graphs = g;
    pthread_mutex_unlock(&ctx->lock);
    *out = g;
    return JITC_OK;
}

void jitc_graph_free(jitc_graph *g) {
    if (!g)
        return;
    jitc_context *ctx = g->ctx;
    pthread_mutex_lock(&ctx->lock);
    for (jitc_graph **p = &ctx->graphs; *p; p = &(*p)->next)
        if (*p == g) {
            *p = g->next;
            break;
        }
    pthread_mutex_unlock(&ctx->lock);
    jc_arena_free(g->arena);
    ctx->alloc.free(ctx->alloc.user, g, sizeof *g);
}

/* What a graph is read from: text, or an archive. */
typedef struct material {
    const char *text;
    size_t length;
    const jc_source *archive; /* NULL: text */
} material;

static bool read_memory(void *user, uint64_t at, void *to, size_t n) {
    memcpy(to, (const char *)user + at, n);
    return true;
}

static jitc_status read_material(jitc_graph *g, const char *name, const material *m, jc_error *err) {
    const char *file = jc_arena_strdup(g->arena, name);
    const jc_source memory = { read_memory, (void *)(uintptr_t)m->text, m->length };
    if (m->archive || jc_pt2_is(m->text, m->length))
        return jc_pt2_read(g->arena, file, m->archive ? m->archive : &memory, true, &g->g, err);
    return jc_fx_read_tolerant(g->arena, file, m->text, m->length, &g->g, err);
}

static jitc_status read_into(jitc_graph *g, const char *name, const material *m, jc_error *err) {
    jc_guard guard;
    double start = jc_now_ms();
    jitc_status status = JC_GUARD(g->arena, &guard) ? jc_fail(err, JITC_E_NOMEM, "out of memory while reading %s", name)
                                                    : read_material(g, name, m, err);
    jc_guard_end(g->arena, &guard);
    g->ms_read = jc_now_ms() - start;
    jc_trace_span(g->ctx->spans, "read", name, start);
    return status;
}

static jitc_status read_graph(jitc_context *ctx, const char *name, const material *m, jitc_graph **out) {
    jc_error err = JC_ERROR_INIT;
    *out = NULL;
    jitc_status status = graph_new(ctx, out, &err);
    if (status == JITC_OK && (status = read_into(*out, name ? name : "", m, &err)) != JITC_OK) {
        jitc_graph_free(*out);
        *out = NULL;
    }
    return jc_context_done(ctx, status, &err);
}

jitc_status jitc_graph_read(jitc_context *ctx, const char *name, const char *text, size_t length, jitc_graph **out) {
    JC_NEED(ctx, ctx, out);
    if (length)
        JC_NEED(ctx, text);
    return read_graph(ctx, name, &(material){ text, length, NULL }, out);
}

jitc_status jitc_graph_read_tolerant(jitc_context *ctx, const char *name, const char *text, size_t length,
                                     jitc_graph **out) {
    return jitc_graph_read(ctx, name, text, length, out);
}

static void close_file(void *file) {
    fclose(file);
}

/* A regular file of N bytes, at once: growing a buffer would touch its memory twice over. Whatever is not as it looked is left to
   the loop of slurp(). */
static void slurp_known(jc_bytes *b, FILE *f) {
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size >= TEXT_MAX)
        return;
    size_t size = (size_t)st.st_size;
    b->at = jc_arena_alloc(b->arena, size + 1);
    b->cap = size + 1;
    setvbuf(f, NULL, _IONBF, 0);
    b->n = fread(b->at, 1, size, f);
}

/* The whole file, or standard input for "-". */
static jitc_status slurp(jc_arena *arena, const char *path, material *out, jc_error *err) {
    const bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? fdopen(dup(STDIN_FILENO), "rb") : fopen(path, "rb"); /* not `stdin`: ir/pt2/pt2_static.c */
    jc_bytes b = JC_BYTES(arena);
    char block[65536];
    size_t n;
    if (!f)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot open the file: %s", strerror(errno));
    jc_arena_defer(arena, close_file, f); /* closed even when memory runs out below */
    jc_source *archive = JC_NEW(arena, jc_source);
    if (!standard && jc_file_is_archive(f, archive)) {
        out->archive = archive;
        return JITC_OK;
    }
    if (!standard)
        slurp_known(&b, f);
    bool text = true; /* a NUL ends it: the reader says that it is none, and a device may have no end */
    while (text && (n = fread(block, 1, sizeof block, f)) > 0 && b.n < TEXT_MAX) {
        jc_put(&b, block, n);
        text = !memchr(block, 0, n);
    }
    bool bad = ferror(f) != 0;
    int why = errno;
    if (bad)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot read the file: %s", strerror(why));
    if (b.n >= TEXT_MAX)
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "the file is larger than 2 GiB");
    if (b.n)
        *out = (material){ (char *)b.at, b.n, NULL };
    return JITC_OK;
}

jitc_status jitc_graph_read_file(jitc_context *ctx, const char *path, jitc_graph **out) {
    JC_NEED(ctx, ctx, path, out);
    jc_error err = JC_ERROR_INIT;
    jc_arena *scratch = jc_arena_new(&ctx->alloc);
    jc_guard guard;
    material m = { "", 0, NULL };
    *out = NULL;
    if (!scratch)
        return jc_context_done(ctx, JITC_E_NOMEM, &err);
    jitc_status status = JC_GUARD(scratch, &guard) ? JITC_E_NOMEM : slurp(scratch, path, &m, &err);
    jc_guard_end(scratch, &guard);
    status = status == JITC_OK ? read_graph(ctx, path, &m, out) : jc_context_done(ctx, status, &err);
    jc_arena_free(scratch);
    return status;
}

jitc_status jitc_graph_read_file_tolerant(jitc_context *ctx, const char *path, jitc_graph **out) {
    return jitc_graph_read_file(ctx, path, out);
}

uint32_t jitc_graph_weights(const jitc_graph *g) {
    return g ? g->g->nweights : 0;
}

jitc_status jitc_graph_weight(const jitc_graph *g, uint32_t weight, jitc_weight *out) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, g, out);
    if (weight >= g->g->nweights)
        return jc_context_done(g->ctx, jc_fail(&err, JITC_E_USAGE, "jitc_graph_weight: there is no weight %u; there are %u", weight,
                                               g->g->nweights), &err);
    const jc_weight *w = &g->g->weights[weight];
    jitc_weight info = {
        .param = w->param,
        .name = w->name,
        .dtype = { jc_dtypes[w->dtype].dl_code, jc_dtypes[w->dtype].dl_bits, 1 },
        .rank = w->rank,
        .dims = w->dims,
        .strides = w->strides,
        .offset = w->offset,
        .bytes = w->bytes,
    };
    jc_give_struct(out, &info, sizeof info);
    return JITC_OK;
}

/* --- pieces --- */

/* Passes allocate from their graph's arena as well as from the model's: out of memory there ends here too. */
typedef struct graph_work {
    jitc_model *m;
    jitc_graph *g;
    const jitc_model_options *o;
    uint32_t index;
} graph_work;

static jitc_status in_graph(jitc_status (*work)(const graph_work *, jc_error *), const graph_work *w, jc_error *err) {
    jc_guard outer, inner;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(w->g->arena, &outer) == 0 && JC_GUARD(w->m->arena, &inner) == 0)
        status = work(w, err);
    jc_guard_end(w->m->arena, &inner);
    jc_guard_end(w->g->arena, &outer);
    return status;
}

static jitc_status split_graph(const graph_work *w, jc_error *err) {
    jitc_model *m = w->m;
    jitc_graph *g = w->g;
    const jitc_model_options *o = w->o;
    jc_split_options split = { o->split_ops, o->nsplit_ops };
    jc_stride_entry *entries = JC_NEWN(m->arena, jc_stride_entry, o->nstrides + (o->nexamples ? g->g->root->nparams : 0));
    uint32_t n = 0, before = 0;
    for (uint32_t i = 0; i < w->index; i++)
        before += m->graphs[i]->g->root->nparams;
    if (o->nexamples)
        JC_TRY(jc_example_strides(g->g, o->examples + before, m->arena, entries, &n, err));
    for (uint32_t i = 0; i < o->nstrides; i++) /* the last word */
        entries[n++] = (jc_stride_entry){ o->strides[i].param, o->strides[i].n, o->strides[i].strides };
    JC_TRY(jc_split(g->g, o->split_ops ? &split : NULL, err));
    return jc_layout(g->g, entries, n, err);
}

static jitc_status add_literals(jitc_model *m, jc_piece *p, jc_error *err) {
    p->literals = JC_NEWN(m->arena, const jitc_layer_name *, p->canon.ninputs);
    p->layer_names = JC_NEWN(m->arena, const char *, p->canon.ninputs);
    for (uint32_t i = 0; i < p->canon.ninputs; i++) {
        const jc_bind *b = &p->canon.inputs[i];
        if (b->kind != JC_BIND_LITERAL || b->literal.kind != JC_ARG_STR)
            continue;
        p->literals[i] = jc_name_intern(m->ctx->names, b->literal.str, NULL);
        if (!p->literals[i])
            return jc_fail(err, JITC_E_NOMEM, "out of memory while building a model");
        p->layer_names[p->nlayer_names++] = b->literal.str;
    }
    return JITC_OK;
}

static jitc_status graph_pieces(const graph_work *w, jc_error *err) {
    jitc_model *m = w->m;
    const jitc_model_options *o = w->o;
    jc_split_options split = { o->split_ops, o->nsplit_ops };
    for (size_t i = 0; i < w->g->g->pieces.n; i++) {
        jc_piece *p = &m->pieces[m->npieces++];
        p->func = w->g->g->pieces.at[i];
        p->graph = w->index;
        p->splitting = jc_piece_is_splitting(p->func, o->split_ops ? &split : NULL);
        double start = jc_now_ms();
        JC_TRY(jc_canonicalise(p->func, o->no_lift_names ? JC_CANON_NO_LIFT : 0, m->arena, &p->canon, err));
        jc_trace_span(m->ctx->spans, "canonicalise", p->func->name, start);
        JC_TRY(add_literals(m, p, err));
    }
    return JITC_OK;
}

static jitc_status cancelled(const jitc_model_options *o, jc_error *err) {
    return o->cancel && o->cancel(o->cancel_user) ? jc_cancelled(err) : JITC_OK;
}

static jitc_status for_graphs(jitc_model *m, const jitc_model_options *o,
                              jitc_status (*work)(const graph_work *, jc_error *), jc_error *err) {
    for (uint32_t i = 0; i < m->ngraphs; i++) {
        graph_work w = { m, m->graphs[i], o, i };
        JC_TRY(cancelled(o, err));
        JC_TRY(in_graph(work, &w, err));
    }
    return JITC_OK;
}

/* --- classes --- */

static jitc_status add_classes(jitc_model *m, const jitc_model_options *o, jc_error *err) {
    jc_map *known = jc_map_new(m->arena);
    m->classes = JC_NEWN(m->arena, jc_class, m->npieces);
    for (uint32_t i = 0; i < m->npieces; i++) {
        jc_piece *p = &m->pieces[i];
        jc_class *c = jc_map_get(known, p->canon.bytes, p->canon.nbytes);
        if (!c) {
            c = &m->classes[m->nclasses++];
            c->first = i;
            jc_map_set(known, p->canon.bytes, p->canon.nbytes, c);
        }
        jc_class_join(m, c, p, o);
        c->members++;
        p->cls = (uint32_t)(c - m->classes);
    }
    for (uint32_t i = 0; i < m->nclasses; i++) {
        jc_class *c = &m->classes[i];
        const jc_piece *p = &m->pieces[c->first];
        JC_TRY(jc_class_variants(m, c, p->canon.nsyms, err));
        for (uint32_t v = 0; v < c->nvariants; v++) {
            c->variants[v].request.canon = &p->canon;
            c->variants[v].request.file = m->graphs[p->graph]->g->file;
            c->variants[v].request.strict = o->strict;
            c->variants[v].request.clamp = jc_model_clamps(o, &m->target);
        }
    }
    return JITC_OK;
}

static void take_stats(jitc_model *m, const jc_service_stats *s) {
    jitc_model_stats *t = &m->stats;
    t->compiled = s->compiled;
    t->hits = s->hits;
    t->kernels = s->kernels;
    t->kernels_unique = s->kernels_unique;
    t->kernels_compiled = s->kernels_compiled;
    t->kernels_hit = s->kernels_hit;
    t->ms_lookup = s->ms[JC_PHASE_LOOKUP];
    t->ms_schedule = s->ms[JC_PHASE_SCHEDULE];
    t->ms_llvm = s->ms[JC_PHASE_LLVM];
    t->ms_assemble = s->ms[JC_PHASE_ASSEMBLE];
}

static uint32_t count_variants(const jitc_model *m) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->nclasses; i++)
        n += m->classes[i].nvariants;
    return n;
}

/* Every variant of every class at once. */
static jitc_status compile(jitc_model *m, const jitc_model_options *o, jc_error *err) {
    const jc_progress progress = { o->progress, o->progress_user, m->ctx->spans, o->cancel, o->cancel_user };
    jc_service_stats stats = { 0 };
    uint32_t n = count_variants(m), k = 0;
    jc_request *requests = JC_NEWN(m->arena, jc_request, n);
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++)
            requests[k++] = m->classes[i].variants[v].request;
    JC_TRY(jc_service_get(m->ctx->service, requests, n, &progress, &stats, m->arena, err));
    k = 0;
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++)
            m->classes[i].variants[v].request = requests[k++];
    take_stats(m, &stats);
    return JITC_OK;
}

/* --- building --- */

jitc_status jc_model_target(jitc_model *m, const jitc_model_options *o, jc_error *err) {
    jc_device *device;
    if (o->arch)
        return jc_target_parse(o->arch, &m->target, err);
    if (o->split_only) { /* nothing will be compiled: asking the CPU what it can do takes 150 us in a virtual machine */
        m->target = (jc_target){ .dialect = JC_DIALECT_HOST };
        return JITC_OK;
    }
    JC_TRY(jc_context_device(m->ctx, &device, err));
    m->target = device->target;
    return JITC_OK;
}

static void log_times(const jitc_model *m) {
    const jitc_model_stats *s = &m->stats;
    const jc_log *log = &m->ctx->log;
    JC_LOG(log, JC_DEBUG_PASS | JC_DEBUG_TIME, "pass: read %.2f ms, split and layout %.2f ms, canonicalise %.2f ms, classes %.2f ms: "
           "%u pieces, %u classes", s->ms_read, s->ms_split, s->ms_canonicalise, s->ms_hash, s->pieces, s->classes);
    JC_LOG(log, JC_DEBUG_TIME, "time: lookup %.2f ms, schedule %.2f ms, LLVM %.2f ms, assembler %.2f ms (both over all threads), "
           "total %.2f ms", s->ms_lookup, s->ms_schedule, s->ms_llvm, s->ms_assemble, s->ms_total);
    JC_LOG(log, JC_DEBUG_LOWER | JC_DEBUG_TIME, "lower: %llu classes compiled, %llu hits; %llu kernels, %llu different: %llu hits, "
           "%llu misses", (unsigned long long)s->compiled, (unsigned long long)s->hits, (unsigned long long)s->kernels,
           (unsigned long long)s->kernels_unique, (unsigned long long)s->kernels_hit,
           (unsigned long long)s->kernels_compiled);
}

static jitc_status check_names(jitc_model *m, const jitc_model_options *o, jc_error *err) {
    const jc_split_options split = { o->split_ops, o->nsplit_ops };
    const jc_graph **graphs = JC_NEWN(m->arena, const jc_graph *, m->ngraphs);
    for (uint32_t i = 0; i < m->ngraphs; i++)
        graphs[i] = m->graphs[i]->g;
    return jc_split_check(graphs, m->ngraphs, &split, m->arena, err);
}

jitc_status jc_model_prepare(jitc_model *m, const jitc_model_options *o, jc_error *err) {
    double at;
    JC_TRY(cancelled(o, err));
    JC_TRY(jc_model_target(m, o, err));
    JC_TRY(jc_ranges_check(m, o, err));
    JC_TRY(jc_examples_check(m->graphs, m->ngraphs, o, err));
    if (o->need_split_ops)
        JC_TRY(check_names(m, o, err));
    at = jc_now_ms();
    for (uint32_t i = 0; i < m->ngraphs; i++)
        m->graphs[i]->used = true;
    JC_TRY(for_graphs(m, o, split_graph, err));
    m->stats.ms_split = jc_now_ms() - at;
    jc_trace_span(m->ctx->spans, "split", NULL, at);
    at = jc_now_ms();
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->ngraphs; i++) {
        m->stats.ms_read += m->graphs[i]->ms_read;
        n += (uint32_t)m->graphs[i]->g->pieces.n;
    }
    m->pieces = JC_NEWN(m->arena, jc_piece, n);
    JC_TRY(for_graphs(m, o, graph_pieces, err));
    m->stats.ms_canonicalise = jc_now_ms() - at;
    at = jc_now_ms();
    JC_TRY(add_classes(m, o, err));
    m->stats.ms_hash = jc_now_ms() - at;
    jc_trace_span(m->ctx->spans, "hash", NULL, at);
    m->stats.pieces = m->npieces;
    m->stats.classes = m->nclasses;
    return JITC_OK;
}

static jitc_status build(jitc_model *m, const jitc_model_options *o, jc_error *err) {
    double start = jc_now_ms();
    JC_TRY(jc_model_prepare(m, o, err));
    if (!o->split_only)
        JC_TRY(compile(m, o, err));
    m->stats.ms_total = jc_now_ms() - start + m->stats.ms_read;
    log_times(m);
    return JITC_OK;
}

jitc_model *jc_model_new(jitc_context *ctx) {
    jc_arena *arena = jc_arena_new(&ctx->alloc);
    jitc_model *m = arena ? ctx->alloc.alloc(ctx->alloc.user, sizeof *m) : NULL;
    if (!m) {
        jc_arena_free(arena);
        return NULL;
    }
    memset(m, 0, sizeof *m);
    m->ctx = ctx;
    m->arena = arena;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_lock(&ctx->lock);
    m->next = ctx->models;
    ctx->models = m;
    pthread_mutex_unlock(&ctx->lock);
    return m;
}

/* Splitting changes a graph, so each serves one model. */
jitc_status jc_check_graphs(jitc_context *ctx, jitc_graph *const *graphs, uint32_t n, jc_error *err) {
    if (n == 0)
        return jc_fail(err, JITC_E_USAGE, "a model needs at least one graph");
    for (uint32_t i = 0; i < n; i++) {
        if (!graphs[i] || graphs[i]->ctx != ctx || graphs[i]->used)
            return jc_fail(err, JITC_E_USAGE, "graph %u is %s", i, !graphs[i] ? "NULL" : graphs[i]->ctx != ctx
                           ? "of another context" : "in use by a model, or was: read it again for another one");
        for (uint32_t k = 0; k < i; k++)
            if (graphs[k] == graphs[i])
                return jc_fail(err, JITC_E_USAGE, "graph %u is graph %u again: read it twice", i, k);
    }
    return JITC_OK;
}

jitc_status jitc_model_build(jitc_context *ctx, jitc_graph *const *graphs, uint32_t n,
                             const jitc_model_options *options, jitc_model **out) {
    jitc_model_options o = { 0 };
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    JC_NEED(ctx, ctx, out);
    *out = NULL;
    if (n)
        JC_NEED(ctx, graphs);
    JC_ENTRY(ctx, &err, jc_take_options(&o, sizeof o, options, "jitc_model_options", &err));
    JC_ENTRY(ctx, &err, jc_check_graphs(ctx, graphs, n, &err));
    JC_ENTRY(ctx, &err, jc_check_explained(graphs, n, &o, &err));
    if (!o.split_only)
        JC_ENTRY(ctx, &err, jc_check_refused(graphs, n, &err));
    jitc_model *m = jc_model_new(ctx);
    if (!m)
        return jc_context_done(ctx, JITC_E_NOMEM, &err);
    jc_arena *arena = m->arena;
    m->ngraphs = n;
    volatile jitc_status status = JITC_E_NOMEM;
    if (JC_GUARD(arena, &guard) == 0) {
        m->graphs = jc_arena_memdup(arena, graphs, n * sizeof *graphs);
        status = build(m, &o, &err);
    }
    jc_guard_end(arena, &guard);
    if (status != JITC_OK)
        jitc_model_free(m);
    else
        *out = m;
    return jc_context_done(ctx, status, &err);
}

void jitc_model_get_stats(const jitc_model *m, jitc_model_stats *out) {
    static const jitc_model_stats none;
    if (!out)
        return;
    size_t size = out->struct_size;
    if (m)
        pthread_mutex_lock((pthread_mutex_t *)&m->lock);
    memcpy(out, m ? &m->stats : &none, size < sizeof *out ? size : sizeof *out);
    if (m)
        pthread_mutex_unlock((pthread_mutex_t *)&m->lock);
    out->struct_size = size;
}

/* A piece is a hit when an earlier one of the model has its code, or the cache had all of it. */
static bool was_hit(const jitc_model *m, uint32_t piece) {
    const jc_class *c = &m->classes[m->pieces[piece].cls];
    bool hit = true;
    for (uint32_t v = 0; v < c->nvariants; v++)
        hit &= c->variants[v].request.hit;
    return hit || c->first != piece;
}

jitc_status jitc_model_piece_info(const jitc_model *m, uint32_t piece, jitc_piece_info *out) {
    jc_error err = JC_ERROR_INIT;
    JC_NEED(NULL, m);
    JC_NEED(m->ctx, out);
    if (piece >= m->npieces)
        return jc_context_done(m->ctx, jc_fail(&err, JITC_E_USAGE, "piece %u of a model with %u pieces", piece, m->npieces),
                               &err);
    const jc_piece *p = &m->pieces[piece];
    jitc_piece_info info = {
        .struct_size = out->struct_size,
        .file = m->graphs[p->graph]->g->file,
        .name = p->func->name,
        .cls = p->cls,
        .splitting = p->splitting,
        .hit = was_hit(m, piece),
        .ninputs = p->func->nparams,
        .noutputs = p->func->noutputs,
        .nlayer_names = p->nlayer_names,
        .layer_names = p->layer_names,
    };
    jc_hash_hex(&p->canon.hash, info.key);
    memcpy(out, &info, info.struct_size < sizeof info ? info.struct_size : sizeof info);
    return JITC_OK;
}

/* --- what running needs --- */

jitc_status jc_piece_symbols(const jc_piece *p, const int64_t *graph_syms, uint32_t n, int64_t *out, jc_error *err) {
    for (uint32_t i = 0; i < p->canon.nsyms; i++)
        if (!jc_ex_eval(p->canon.syms[i], graph_syms, n, &out[i]))
            return jc_no_value(p->func, p->canon.syms[i], graph_syms, p->func->line, err);
    return JITC_OK;
}

jitc_value jc_literal_value(const jc_piece *p, uint32_t input) {
    const jc_arg *a = &p->canon.inputs[input].literal;
    int64_t i = 0;
    switch (a->kind) {
    case JC_ARG_STR:
        return (jitc_value){ .tag = JITC_NAME, .name = p->literals[input] };
    case JC_ARG_FLOAT:
        return (jitc_value){ .tag = JITC_FLOAT, .f = a->f };
    case JC_ARG_BOOL:
        return (jitc_value){ .tag = JITC_BOOL, .i = a->b };
    default:
        jc_ex_is_const(a->expr, &i);
        return (jitc_value){ .tag = JITC_INT, .i = i };
    }
}

/* A bundle's artifact comes from outside: what is bound by number must be there. */
bool jc_plan_fits(const jc_piece *p, const jc_plan *plan) {
    return plan->ninputs == p->canon.ninputs && plan->nsyms == p->canon.nsyms && plan->noutputs == p->func->noutputs;
}

/* Do plans A and B have the same escapes, and outputs in the same ones or of the same inputs? */
static bool same_places(const jc_plan *a, const jc_plan *b) {
    bool same = a->nescapes == b->nescapes && a->noutputs == b->noutputs;
    for (uint32_t i = 0; same && i < a->noutputs; i++) {
        const jc_plan_output *x = &a->outputs[i], *y = &b->outputs[i];
        same = x->kind == y->kind && jc_plan_viewed(a, i) == jc_plan_viewed(b, i);
        if (same && x->kind == JC_OUT_TENSOR && jc_plan_viewed(a, i) == JC_PLAN_NONE)
            same = a->buffers[a->tensors[x->index].index].escape == b->buffers[b->tensors[y->index].index].escape;
    }
    return same;
}

static void set_kind(jc_class *c, jc_variant *v) {
    for (uint32_t i = 0; i < c->nvariants; i++) {
        const jc_variant *o = &c->variants[i];
        if (o == v || !o->exec || !same_places(jc_exec_plan(o->exec), jc_exec_plan(v->exec)))
            continue;
        v->kind = o->kind;
        return;
    }
    v->kind = c->nkinds++;
}

/* Under the model's lock. */
static jitc_status load(jitc_model *m, jc_class *c, jc_variant *v, jc_error *err) {
    const jc_piece *p = &m->pieces[c->first];
    jc_device *device;
    jc_exec *exec;
    double start = jc_now_ms();
    if (!v->request.artifact)
        return jc_fail(err, JITC_E_USAGE, "the model was built with split_only: it has nothing to run");
    JC_TRY(jc_context_device(m->ctx, &device, err));
    JC_TRY(jc_exec_load(device, v->request.artifact, v->request.nartifact, &exec, err));
    if (!jc_plan_fits(p, jc_exec_plan(exec))) {
        jc_exec_free(exec);
        return jc_fail(err, JITC_E_INPUT, "the artifact of %s is that of another piece", p->func->name);
    }
    v->exec = exec;
    set_kind(c, v);
    m->stats.ms_load += jc_now_ms() - start;
    jc_trace_span(m->ctx->spans, "load", p->func->name, start);
    jitc_status status = jc_exec_bind_ops(exec, m->ctx->ops, err);
    jc_canon_locate(&p->canon, m->graphs[p->graph]->g->file, err);
    return status;
}

jitc_status jc_model_exec(jitc_model *m, uint32_t cls, uint32_t variant, jc_exec **out, jc_error *err) {
    jc_variant *v = &m->classes[cls].variants[variant];
    jitc_status status = JITC_OK;
    pthread_mutex_lock(&m->lock);
    if (!v->exec)
        status = load(m, &m->classes[cls], v, err);
    *out = v->exec;
    pthread_mutex_unlock(&m->lock);
    return status;
}

void jitc_model_free(jitc_model *m) {
    if (!m)
        return;
    jitc_context *ctx = m->ctx;
    pthread_mutex_lock(&ctx->lock);
    for (jitc_model **p = &ctx->models; *p; p = &(*p)->next)
        if (*p == m) {
            *p = m->next;
            break;
        }
    pthread_mutex_unlock(&ctx->lock);
    while (m->frames)
        jitc_frame_free(m->frames);
    for (uint32_t i = 0; m->classes && i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++)
            jc_exec_free(m->classes[i].variants[v].exec);
    jc_about_free(m);
    pthread_mutex_destroy(&m->lock);
    jc_arena_free(m->arena);
    if (m->bundle)
        jc_bundle_release(m->bundle);
    ctx->alloc.free(ctx->alloc.user, m, sizeof *m);
}
