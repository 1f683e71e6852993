/*
 * jit/api/read_cache.c - directories, bundles and archives with a bundle in them as read-only tiers of the cache.
 *
 * A bundle keeps the hash of each artifact's key, and the class, ranges and target that it was compiled for, but not
 * the key's preimage.  That is made here, as this context makes it for a request of its own; where its hash is the one in the bundle, the
 * artifact is for exactly that key: same canonical bytes, ranges, target, options, code generator, LLVM and assembler.  What another
 * code generator made has another hash and is left out, and nobody in this process would ask for it.
 */
#include "jit/api/read_cache.h"

#include "cache/disk.h"

#include <stdio.h>
#include <string.h>

#include "cache/tier.h"
#include "ir/pt2/pt2_zip.h"
#include "jit/api/archive.h"
#include "jit/api/bundle.h"

/* Bundles do not say with which options a model was built: one set of them gives the hash, or none does. */
static bool find_key(jitc_context *ctx, const jc_request *r, jc_arena *arena, jc_key *out, jc_error *err) {
    jc_request as = *r;
    for (int set = 0; set < 4; set++) {
        as.strict = set & 1;
        as.clamp = set & 2;
        if (jc_service_key(ctx->service, &as, arena, out, err) == JITC_OK && memcmp(&out->hash, &r->key.hash, sizeof out->hash) == 0)
            return true;
    }
    return false;
}

static uint32_t add_artifacts(const jitc_model *m, jc_tier *tier, jc_arena *arena, jc_error *err) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->nclasses; i++)
        for (uint32_t v = 0; v < m->classes[i].nvariants; v++) {
            const jc_request *r = &m->classes[i].variants[v].request;
            jc_key key;
            n += find_key(m->ctx, r, arena, &key, err) && jc_tier_put(tier, &key, r->artifact, r->nartifact);
        }
    return n;
}

/* Each target is decoded as a model would be: the same checks. */
static jitc_status add_target(jitc_context *ctx, const jc_bundle_file *file, uint32_t target, const char *path, jc_tier *tier,
                              jc_arena *arena, uint32_t *n, jc_error *err) {
    jc_guard guard;
    jitc_model *m = jc_model_new(ctx);
    volatile jitc_status status = JITC_E_NOMEM;
    if (!m)
        return JITC_E_NOMEM;
    if (JC_GUARD(m->arena, &guard) == 0)
        status = jc_bundle_decode(file, target, path, m, err);
    jc_guard_end(m->arena, &guard);
    if (status == JITC_OK)
        *n += add_artifacts(m, tier, arena, err);
    jitc_model_free(m); /* artifacts are the file's, keys the tier's */
    return status;
}

/* The entry of an archive that is a bundle, with what it is read by; NULL: there is none. */
static const jc_zip_entry *bundle_in(FILE *f, const char *path, jc_arena *arena, jc_zip *zip) {
    jc_error err = JC_ERROR_INIT;
    jc_source *bytes = JC_NEW(arena, jc_source);
    if (!jc_file_is_archive(f, bytes) || jc_zip_open(arena, path, bytes, zip, &err) != JITC_OK)
        return NULL;
    return jc_zip_find(zip, "jitc/bundle");
}

static void close_file(void *f) {
    fclose(f);
}

bool jc_archive_has_bundle(jitc_context *ctx, const char *path) {
    jc_arena *arena = jc_arena_new(&ctx->alloc);
    FILE *f = fopen(path, "rbe");
    jc_guard guard;
    jc_zip zip;
    volatile bool has = false;
    if (arena && f) {
        if (JC_GUARD(arena, &guard) == 0)
            has = bundle_in(f, path, arena, &zip) != NULL;
        jc_guard_end(arena, &guard);
    }
    if (f)
        fclose(f);
    jc_arena_free(arena);
    return has;
}

/* Those of a bundle's file, or of the bundle in an archive. */
static jitc_status bundle_bytes(const jc_trust *trust, const char *path, bool named, jc_arena *arena, jc_span *out, jc_error *err) {
    jc_zip zip;
    char *bytes;
    struct stat st;
    if (jitc_bundle_probe(path))
        return jc_bundle_read(trust, path, named, arena, out, NULL, err);
    FILE *f = fopen(path, "rbe");
    if (!f)
        return jc_fail(err, JITC_E_IO, "the file cannot be opened");
    jc_arena_defer(arena, close_file, f);
    if (fstat(fileno(f), &st) != 0)
        return jc_fail(err, JITC_E_IO, "the file cannot be examined");
    JC_TRY(jc_trust_file(trust, &st, named, err));
    const jc_zip_entry *e = bundle_in(f, path, arena, &zip);
    if (!e)
        return jc_fail(err, JITC_E_INPUT, "it holds no compiled code");
    JC_TRY(jc_zip_read(&zip, e, JC_BUNDLE_MAX, &bytes, err));
    *out = (jc_span){ (uint8_t *)bytes, (size_t)e->size };
    return jc_trust_bytes(trust, out, NULL, err);
}

static jitc_status open_bundle(jitc_context *ctx, const char *path, bool named, jc_arena *arena, jc_tier **out, jc_error *err) {
    jc_bundle_file *file = JC_NEW(arena, jc_bundle_file);
    jc_span bytes;
    uint32_t n = 0;
    path = jc_arena_strdup(arena, path);
    JC_TRY(bundle_bytes(&ctx->trust, path, named, arena, &bytes, err));
    JC_TRY(jc_bundle_open(bytes.at, bytes.n, arena, file, err));
    jc_tier *tier = jc_tier_table(arena, "bundle", path, JC_FROM_READ_ONLY);
    *out = tier;
    for (uint32_t i = 0; i < file->needs.ntargets; i++)
        JC_TRY(add_target(ctx, file, i, path, tier, arena, &n, err));
    tier->read_only = true;
    JC_LOG(&ctx->log, JC_DEBUG_CACHE, "cache: %s: %u artifacts can be used", path, n);
    return JITC_OK;
}

static jitc_status open_tier(jitc_context *ctx, const char *path, bool named, jc_arena *arena, jc_tier **out, jc_error *err) {
    const char *warning = NULL;
    if (jitc_bundle_probe(path) || jc_archive_has_bundle(ctx, path))
        return open_bundle(ctx, path, named, arena, out, err);
    jc_disk *disk = jc_disk_open_keyed(arena, path, true, jc_cache_mac(ctx->cache), &warning);
    *out = disk ? jc_disk_tier(disk) : NULL;
    return *out ? JITC_OK : jc_fail(err, JITC_E_IO, "%s", warning);
}

/* The tier's memory, with its entries, goes with the context's, which is after the cache. */
static void free_arena(void *arena) {
    jc_arena_free(arena);
}

jitc_status jc_read_cache_add(jitc_context *ctx, const char *path, bool named, jc_error *err) {
    jc_arena *arena = path ? jc_arena_new(&ctx->alloc) : NULL;
    jc_error why = JC_ERROR_INIT;
    jc_tier *tier = NULL;
    jc_guard guard;
    char text[1600];
    if (!path)
        return jc_fail(err, JITC_E_USAGE, "jitc_context_options.read_caches has a NULL");
    if (!arena)
        return JITC_E_NOMEM;
    jc_arena_defer(ctx->arena, free_arena, arena);
    jitc_status status = JC_GUARD(arena, &guard) ? JITC_E_NOMEM : open_tier(ctx, path, named, arena, &tier, &why);
    jc_guard_end(arena, &guard);
    if (status == JITC_E_NOMEM)
        return jc_fail(err, status, "out of memory while opening the cache %s", path);
    if (status == JITC_OK && jc_cache_add(ctx->cache, tier))
        return JITC_OK;
    if (status == JITC_OK)
        jc_fail(&why, JITC_E_USAGE, "there are too many caches");
    jc_log_line(&ctx->log, "warning: the cache %s is not read: %s", path, jc_error_text(&why, text, sizeof text));
    return JITC_OK;
}
