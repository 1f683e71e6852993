/*
 * jit/service/known.c - a chained hash table of variants, under one lock.
 *
 * Rows copy what they compare, since requests die with their model; artifacts are the cache's and outlive the table.
 */
#include "jit/service/known.h"

#include <pthread.h>
#include <string.h>

#define BUCKETS 1024u

typedef struct row {
    struct row *next;
    jc_hash canon;
    const uint8_t *bytes;
    size_t nbytes;
    uint32_t nsyms;
    const int64_t *lo, *hi;
    jc_target target;
    bool strict, clamp;
    jc_hash key;
    const uint8_t *artifact;
    size_t nartifact;
} row;

struct jc_known {
    jc_arena *arena;
    pthread_mutex_t lock;
    row *buckets[BUCKETS];
};

jc_known *jc_known_new(jc_arena *arena) {
    jc_known *k = JC_NEW(arena, jc_known);
    k->arena = arena;
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void jc_known_close(jc_known *k) {
    pthread_mutex_destroy(&k->lock);
}

/* Variants and targets of one class share a bucket: they are few. */
static row **bucket(jc_known *k, const jc_hash *canon) {
    return &k->buckets[(canon->b[0] | (unsigned)canon->b[1] << 8) % BUCKETS];
}

static int64_t lo_of(const jc_request *r, uint32_t i) {
    return r->lo ? r->lo[i] : 0;
}

static int64_t hi_of(const jc_request *r, uint32_t i) {
    return r->hi ? r->hi[i] : JC_SYM_MAX;
}

static bool same(const row *w, const jc_request *r) {
    if (memcmp(&w->canon, &r->canon->hash, sizeof w->canon) != 0 || w->nbytes != r->canon->nbytes ||
        w->nsyms != r->canon->nsyms || w->strict != r->strict || w->clamp != r->clamp || !jc_target_same(&w->target, &r->target))
        return false;
    for (uint32_t i = 0; i < w->nsyms; i++)
        if (w->lo[i] != lo_of(r, i) || w->hi[i] != hi_of(r, i))
            return false;
    return memcmp(w->bytes, r->canon->bytes, w->nbytes) == 0;
}

static row *find(jc_known *k, const jc_request *r) {
    row *w = *bucket(k, &r->canon->hash);
    while (w && !same(w, r))
        w = w->next;
    return w;
}

bool jc_known_find(jc_known *k, jc_request *r) {
    pthread_mutex_lock(&k->lock);
    const row *w = find(k, r);
    if (w) {
        r->key = (jc_key){ .hash = w->key };
        r->artifact = w->artifact;
        r->nartifact = w->nartifact;
    }
    pthread_mutex_unlock(&k->lock);
    return w != NULL;
}

static void add(jc_known *k, const jc_request *r) {
    const jc_canon *c = r->canon;
    int64_t *lo = JC_NEWN(k->arena, int64_t, c->nsyms), *hi = JC_NEWN(k->arena, int64_t, c->nsyms);
    row *w = JC_NEW(k->arena, row);
    for (uint32_t i = 0; i < c->nsyms; i++) {
        lo[i] = lo_of(r, i);
        hi[i] = hi_of(r, i);
    }
    *w = (row){ .next = *bucket(k, &c->hash), .canon = c->hash, .nbytes = c->nbytes, .nsyms = c->nsyms, .lo = lo, .hi = hi,
                .target = r->target, .strict = r->strict, .clamp = r->clamp, .key = r->key.hash, .artifact = r->artifact,
                .nartifact = r->nartifact };
    w->bytes = jc_arena_memdup(k->arena, c->bytes, c->nbytes);
    *bucket(k, &c->hash) = w;
}

void jc_known_add(jc_known *k, const jc_request *r) {
    jc_guard guard;
    pthread_mutex_lock(&k->lock);
    if (JC_GUARD(k->arena, &guard) == 0 && !find(k, r))
        add(k, r);
    jc_guard_end(k->arena, &guard);
    pthread_mutex_unlock(&k->lock);
}
