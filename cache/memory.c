/*
 * cache/memory.c - the memory tier, single-flight, and the way from memory to disk to build.
 *
 * One lock guards the table; it is never held while reading, building or writing.  The first thread that asks for a key owns
 * its entry; others wait until the owner has it ready or has failed.  A failure wakes all waiters with its error and
 * leaves no entry behind: failures are not cached.
 */
#include "cache/cache.h"

#include <pthread.h>
#include <string.h>

#include "cache/disk.h"

typedef enum state { PENDING, READY, FAILED } state;

typedef struct entry {
    struct entry *next; /* in its bucket */
    jc_hash hash;
    uint8_t *preimage;
    size_t npreimage;
    state state;
    unsigned waiters;
    jc_error error;
    jc_arena *arena;    /* owns the bytes */
    const uint8_t *bytes;
    size_t n;
    jc_cache_from from;
} entry;

#define BUCKETS 4096u

struct jc_cache {
    const jc_alloc *alloc;
    const jc_log *log;
    jc_arena *arena;
    jc_disk *disk;
    const char *warning;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    jc_cache_stats stats;
    entry *buckets[BUCKETS];
};

jitc_status jc_cache_open(const char *dir, const jc_alloc *alloc, const jc_log *log, jc_cache **out, jc_error *err) {
    jc_arena *arena = jc_arena_new(alloc);
    jc_guard guard;
    *out = NULL;
    if (!arena)
        return jc_fail(err, JITC_E_NOMEM, "out of memory while opening the cache");
    if (JC_GUARD(arena, &guard)) {
        jc_guard_end(arena, &guard);
        jc_arena_free(arena);
        return jc_fail(err, JITC_E_NOMEM, "out of memory while opening the cache");
    }
    jc_cache *c = JC_NEW(arena, jc_cache);
    c->arena = arena;
    c->alloc = alloc;
    c->log = log;
    if (dir && *dir)
        c->disk = jc_disk_open(arena, dir, &c->warning);
    jc_guard_end(arena, &guard);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->ready, NULL);
    *out = c;
    return JITC_OK;
}

void jc_cache_close(jc_cache *c) {
    if (!c)
        return;
    for (unsigned b = 0; b < BUCKETS; b++)
        for (entry *e = c->buckets[b], *next; e; e = next) {
            next = e->next;
            jc_arena_free(e->arena);
        }
    pthread_cond_destroy(&c->ready);
    pthread_mutex_destroy(&c->lock);
    jc_arena_free(c->arena);
}

const char *jc_cache_dir(const jc_cache *c) {
    return c->disk ? jc_disk_dir(c->disk) : NULL;
}

const char *jc_cache_warning(const jc_cache *c) {
    return c->warning;
}

void jc_cache_get_stats(jc_cache *c, jc_cache_stats *out) {
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    pthread_mutex_unlock(&c->lock);
}

/* --- the table; the lock is held --- */

static entry **bucket(jc_cache *c, const jc_hash *h) {
    return &c->buckets[(h->b[0] | (unsigned)h->b[1] << 8) % BUCKETS];
}

static entry *find(jc_cache *c, const jc_key *key) {
    for (entry *e = *bucket(c, &key->hash); e; e = e->next)
        if (memcmp(&e->hash, &key->hash, sizeof e->hash) == 0 && e->npreimage == key->npreimage &&
            memcmp(e->preimage, key->preimage, key->npreimage) == 0)
            return e;
    return NULL;
}

static void unlink_entry(jc_cache *c, entry *e) {
    entry **p = bucket(c, &e->hash);
    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
}

/* A pending entry that this thread owns. NULL when memory is out. */
static entry *claim(jc_cache *c, const jc_key *key) {
    jc_arena *arena = jc_arena_new(c->alloc);
    jc_guard guard;
    if (!arena)
        return NULL;
    if (JC_GUARD(arena, &guard)) {
        jc_guard_end(arena, &guard);
        jc_arena_free(arena);
        return NULL;
    }
    entry *e = JC_NEW(arena, entry);
    e->arena = arena;
    e->hash = key->hash;
    e->preimage = jc_arena_memdup(arena, key->preimage, key->npreimage);
    e->npreimage = key->npreimage;
    jc_guard_end(arena, &guard);
    e->next = *bucket(c, &key->hash);
    *bucket(c, &key->hash) = e;
    return e;
}

/* --- filling an entry; the lock is not held --- */

static const char *short_hex(const jc_key *key, char out[2 * JC_HASH_SIZE + 1]) {
    jc_hash_hex(&key->hash, out);
    out[12] = 0;
    return out;
}

static bool from_disk(jc_cache *c, entry *e, const jc_key *key) {
    char hex[2 * JC_HASH_SIZE + 1];
    if (!c->disk)
        return false;
    jc_disk_result r = jc_disk_get(c->disk, key, e->arena, &e->bytes, &e->n);
    static const char *const words[] = { "found on disk", "not on disk", "damaged on disk: set aside", "not readable on disk" };
    JC_LOG(c->log, JC_DEBUG_CACHE, "cache: %s %s", short_hex(key, hex), words[r]);
    pthread_mutex_lock(&c->lock);
    c->stats.corrupt += r == JC_DISK_CORRUPT;
    c->stats.io_errors += r == JC_DISK_ERROR;
    pthread_mutex_unlock(&c->lock);
    return r == JC_DISK_HIT;
}

static void to_disk(jc_cache *c, entry *e, const jc_key *key) {
    char hex[2 * JC_HASH_SIZE + 1];
    if (!c->disk)
        return;
    bool ok = jc_disk_put(c->disk, key, e->bytes, e->n);
    JC_LOG(c->log, JC_DEBUG_CACHE, "cache: %s %s in %s, %zu bytes", short_hex(key, hex), ok ? "stored" : "could not be stored",
           jc_disk_dir(c->disk), e->n);
    pthread_mutex_lock(&c->lock);
    c->stats.stored += ok;
    c->stats.io_errors += !ok;
    pthread_mutex_unlock(&c->lock);
}

static jitc_status fill(jc_cache *c, entry *e, const jc_key *key, jc_cache_build build, void *user, jc_error *err) {
    jc_guard guard;
    jitc_status status;
    if (JC_GUARD(e->arena, &guard)) {
        jc_guard_end(e->arena, &guard);
        return jc_fail(err, JITC_E_NOMEM, "out of memory while filling a cache entry");
    }
    if (from_disk(c, e, key)) {
        e->from = JC_FROM_DISK;
        status = JITC_OK;
    } else {
        status = build(user, e->arena, &e->bytes, &e->n, err);
        e->from = JC_FROM_BUILD;
        if (status == JITC_OK)
            to_disk(c, e, key);
    }
    jc_guard_end(e->arena, &guard);
    return status;
}

/* --- waiting and answering --- */

static jitc_status answer(jc_cache *c, entry *e, jc_cache_from from, const uint8_t **out, size_t *n,
                          jc_cache_from *how) {
    *out = e->bytes;
    *n = e->n;
    if (how)
        *how = from;
    c->stats.memory_hits += from == JC_FROM_MEMORY;
    c->stats.disk_hits += from == JC_FROM_DISK;
    c->stats.misses += from == JC_FROM_BUILD;
    return JITC_OK;
}

/* The lock is held, and given up while waiting. */
static jitc_status wait_for(jc_cache *c, entry *e, const uint8_t **out, size_t *n, jc_cache_from *from, jc_error *err) {
    if (e->state == PENDING) {
        c->stats.waited++;
        e->waiters++;
        while (e->state == PENDING)
            pthread_cond_wait(&c->ready, &c->lock);
        e->waiters--;
    }
    if (e->state == READY)
        return answer(c, e, JC_FROM_MEMORY, out, n, from);
    jitc_status status = e->error.status;
    if (err && err->status == JITC_OK)
        *err = e->error;
    if (e->waiters == 0)
        jc_arena_free(e->arena);
    return status;
}

jitc_status jc_cache_get(jc_cache *c, const jc_key *key, jc_cache_build build, void *user, const uint8_t **out,
                         size_t *n, jc_cache_from *from, jc_error *err) {
    jc_error failed = JC_ERROR_INIT;
    pthread_mutex_lock(&c->lock);
    entry *e = find(c, key);
    if (e) {
        jitc_status status = wait_for(c, e, out, n, from, err);
        pthread_mutex_unlock(&c->lock);
        return status;
    }
    e = claim(c, key);
    pthread_mutex_unlock(&c->lock);
    if (!e)
        return jc_fail(err, JITC_E_NOMEM, "out of memory while looking up the cache");
    jitc_status status = fill(c, e, key, build, user, &failed);
    pthread_mutex_lock(&c->lock);
    if (status == JITC_OK) {
        e->state = READY;
        status = answer(c, e, e->from, out, n, from);
    } else {
        failed.status = status;
        e->error = failed;
        e->state = FAILED;
        unlink_entry(c, e);
        if (err && err->status == JITC_OK)
            *err = failed;
        if (e->waiters == 0)
            jc_arena_free(e->arena);
    }
    pthread_cond_broadcast(&c->ready);
    pthread_mutex_unlock(&c->lock);
    return status;
}
