/*
 * jit/api/bundle_open.c - bundles that are open: from a file or from memory, and models of them.
 *
 * Models decode what they need into arenas of their own, but strings, canonical forms and artifacts stay where they are in the
 * bundle's bytes, so these live as long as the last model.
 */
#include "jit/api/bundle.h"

#include <string.h>

/* --- making and freeing --- */

void jc_bundle_release(jitc_bundle *b) {
    jitc_context *ctx = b->ctx;
    pthread_mutex_lock(&ctx->lock);
    bool last = --b->uses == 0;
    pthread_mutex_unlock(&ctx->lock);
    if (!last)
        return;
    jc_arena_free(b->arena);
    ctx->alloc.free(ctx->alloc.user, b, sizeof *b);
}

void jitc_bundle_close(jitc_bundle *b) {
    if (!b)
        return;
    jitc_context *ctx = b->ctx;
    pthread_mutex_lock(&ctx->lock);
    for (jitc_bundle **p = &ctx->bundles; *p; p = &(*p)->next)
        if (*p == b) {
            *p = b->next;
            break;
        }
    pthread_mutex_unlock(&ctx->lock);
    for (uint32_t i = 0; b->models && i < b->file.needs.ntargets; i++)
        jitc_model_free(b->models[i]);
    jc_bundle_release(b);
}

static jitc_bundle *bundle_new(jitc_context *ctx) {
    jc_arena *arena = jc_arena_new(&ctx->alloc);
    jitc_bundle *b = arena ? ctx->alloc.alloc(ctx->alloc.user, sizeof *b) : NULL;
    if (!b) {
        jc_arena_free(arena);
        return NULL;
    }
    *b = (jitc_bundle){ .ctx = ctx, .arena = arena, .uses = 1 };
    pthread_mutex_lock(&ctx->lock);
    b->next = ctx->bundles;
    ctx->bundles = b;
    pthread_mutex_unlock(&ctx->lock);
    return b;
}

/* --- models --- */

static jitc_status decode(const jitc_bundle *b, uint32_t target, jitc_model **out, jc_error *err) {
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    jitc_model *m = jc_model_new(b->ctx);
    if (!m)
        return JITC_E_NOMEM;
    if (JC_GUARD(m->arena, &guard) == 0)
        status = jc_bundle_decode(&b->file, target, b->info.name, m, err);
    jc_guard_end(m->arena, &guard);
    if (status != JITC_OK)
        jitc_model_free(m);
    else
        *out = m;
    return status;
}

/* SCRATCH is for the list of what there is, in a message. */
static jitc_status choose(const jitc_bundle *b, const char *arch, uint32_t *out, jc_error *err) {
    jc_arena *scratch = jc_arena_new(&b->ctx->alloc);
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (scratch && JC_GUARD(scratch, &guard) == 0)
        status = jc_bundle_choose(b->ctx, &b->file, arch, scratch, out, err);
    if (scratch)
        jc_guard_end(scratch, &guard);
    jc_arena_free(scratch);
    return status;
}

jitc_status jitc_bundle_model(jitc_bundle *bundle, const char *arch, jitc_model **out) {
    jc_error err = JC_ERROR_INIT;
    uint32_t target = 0;
    double start = jc_now_ms();
    JC_NEED(NULL, bundle);
    jitc_context *ctx = bundle->ctx;
    JC_NEED(ctx, out);
    *out = NULL;
    jitc_status status = choose(bundle, arch, &target, &err);
    if (status == JITC_OK)
        status = decode(bundle, target, out, &err);
    if (status != JITC_OK) {
        jc_error_place(&err, bundle->info.name, 0, 0, NULL);
        return jc_context_done(ctx, status, &err);
    }
    (*out)->bundle = bundle;
    pthread_mutex_lock(&ctx->lock);
    bundle->uses++;
    pthread_mutex_unlock(&ctx->lock);
    (*out)->stats.ms_load = (*out)->stats.ms_total = jc_now_ms() - start;
    jc_trace_span(ctx->spans, "load", bundle->info.name, start);
    return JITC_OK;
}

/* --- opening --- */

static jitc_status open_bytes(jitc_bundle *b, const char *path, jc_error *err) {
    if (path)
        JC_TRY(jc_bundle_read(&b->ctx->trust, path, false, b->arena, &b->bytes, NULL, err));
    else
        JC_TRY(jc_trust_bytes(&b->ctx->trust, &b->bytes, NULL, err));
    JC_TRY(jc_bundle_open(b->bytes.at, b->bytes.n, b->arena, &b->file, err));
    b->models = JC_NEWN(b->arena, jitc_model *, b->file.needs.ntargets);
    for (uint32_t i = 0; i < b->file.needs.ntargets; i++)
        JC_TRY(decode(b, i, &b->models[i], err));
    return jc_bundle_describe(b, err);
}

/* Of a file, or of the N bytes at BYTES. */
static jitc_status open_bundle(jitc_context *ctx, const char *path, const char *name, const void *bytes, size_t n,
                               jitc_bundle **out) {
    jc_error err = JC_ERROR_INIT;
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    *out = NULL;
    jitc_bundle *b = bundle_new(ctx);
    if (!b)
        return jc_context_done(ctx, JITC_E_NOMEM, &err);
    if (JC_GUARD(b->arena, &guard) == 0) {
        b->info.name = jc_arena_strdup(b->arena, name);
        if (!path)
            b->bytes = (jc_span){ jc_arena_memdup(b->arena, bytes, n), n };
        status = open_bytes(b, path, &err);
    }
    jc_guard_end(b->arena, &guard);
    jc_error_place(&err, name, 0, 0, NULL);
    if (status != JITC_OK)
        jitc_bundle_close(b);
    else
        *out = b;
    return jc_context_done(ctx, status, &err);
}

jitc_status jitc_bundle_open(jitc_context *ctx, const char *path, jitc_bundle **out) {
    JC_NEED(ctx, ctx, path, out);
    return open_bundle(ctx, path, path, NULL, 0, out);
}

jitc_status jitc_bundle_open_bytes(jitc_context *ctx, const char *name, const void *bytes, size_t n, jitc_bundle **out) {
    JC_NEED(ctx, ctx, out);
    if (n)
        JC_NEED(ctx, bytes);
    return open_bundle(ctx, NULL, name ? name : "bundle", bytes, n, out);
}
