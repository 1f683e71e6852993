/*
 * cache/tier_table.c - the tier in memory: a chained hash table of references.
 *
 * Entries are never removed and never change, so readers follow the chains without a lock; a writer publishes an entry by
 * storing it as the head of its chain.  One lock keeps writers apart.
 */
#include "cache/tier.h"

#include <pthread.h>
#include <string.h>

#define BUCKETS 4096u

typedef struct entry {
    struct entry *next; /* never changes once the entry can be seen */
    jc_key key;
    const uint8_t *bytes;
    size_t n;
} entry;

typedef struct table {
    jc_tier tier;
    jc_arena *arena; /* under the lock once the tier is in use */
    pthread_mutex_t lock;
    _Atomic(entry *) buckets[BUCKETS];
} table;

static _Atomic(entry *) *bucket(jc_tier *t, const jc_hash *h) {
    return &((table *)t)->buckets[(h->b[0] | (unsigned)h->b[1] << 8) % BUCKETS];
}

static const entry *find(jc_tier *t, const jc_key *key) {
    const entry *e = atomic_load_explicit(bucket(t, &key->hash), memory_order_acquire);
    while (e && (memcmp(&e->key.hash, &key->hash, sizeof key->hash) != 0 || e->key.npreimage != key->npreimage ||
                 memcmp(e->key.preimage, key->preimage, key->npreimage) != 0))
        e = e->next;
    return e;
}

static bool probe(jc_tier *t, const jc_key *key) {
    return find(t, key) != NULL;
}

static jc_tier_result get(jc_tier *t, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n) {
    const entry *e = find(t, key);
    (void)arena;
    if (!e)
        return JC_TIER_MISS;
    *out = e->bytes;
    *n = e->n;
    return JC_TIER_HIT;
}

/* One that is there already stays. */
static bool put(jc_tier *t, const jc_key *key, const uint8_t *bytes, size_t n) {
    table *m = (table *)t;
    jc_guard guard;
    volatile bool ok = false;
    pthread_mutex_lock(&m->lock);
    if (JC_GUARD(m->arena, &guard) == 0) {
        if (!find(t, key)) {
            entry *e = JC_NEW(m->arena, entry);
            _Atomic(entry *) *head = bucket(t, &key->hash);
            *e = (entry){ atomic_load_explicit(head, memory_order_relaxed), *key, bytes, n };
            atomic_store_explicit(head, e, memory_order_release);
        }
        ok = true;
    }
    jc_guard_end(m->arena, &guard);
    pthread_mutex_unlock(&m->lock);
    return ok;
}

static void finish(jc_tier *t) {
    pthread_mutex_destroy(&((table *)t)->lock);
}

jc_tier *jc_tier_table(jc_arena *arena, const char *name, const char *where, jc_cache_from from) {
    table *m = JC_NEW(arena, table);
    jc_tier_ops *ops = JC_NEW(arena, jc_tier_ops);
    *ops = (jc_tier_ops){ name, probe, get, put, finish };
    m->tier.ops = ops;
    m->tier.where = where;
    m->tier.from = from;
    m->arena = arena;
    pthread_mutex_init(&m->lock, NULL);
    return &m->tier;
}
