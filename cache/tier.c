/*
 * cache/tier.c - what all tiers have in common: counting.
 */
#include "cache/tier.h"

static void count(atomic_uint_fast64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

bool jc_tier_probe(jc_tier *t, const jc_key *key) {
    return t->ops->probe(t, key);
}

jc_tier_result jc_tier_get(jc_tier *t, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n) {
    jc_tier_result r = t->ops->get(t, key, arena, out, n);
    count(r == JC_TIER_HIT       ? &t->stats.hits
          : r == JC_TIER_MISS    ? &t->stats.misses
          : r == JC_TIER_CORRUPT ? &t->stats.corrupt
          : r == JC_TIER_FOREIGN ? &t->stats.foreign
                                 : &t->stats.errors);
    return r;
}

bool jc_tier_put(jc_tier *t, const jc_key *key, const uint8_t *bytes, size_t n) {
    bool ok = !t->read_only && t->ops->put(t, key, bytes, n);
    count(ok ? &t->stats.stored : &t->stats.errors);
    return ok;
}

void jc_tier_get_stats(const jc_tier *t, jc_tier_stats *out) {
    *out = (jc_tier_stats){
        .hits = atomic_load_explicit(&t->stats.hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&t->stats.misses, memory_order_relaxed),
        .corrupt = atomic_load_explicit(&t->stats.corrupt, memory_order_relaxed),
        .foreign = atomic_load_explicit(&t->stats.foreign, memory_order_relaxed),
        .errors = atomic_load_explicit(&t->stats.errors, memory_order_relaxed),
        .stored = atomic_load_explicit(&t->stats.stored, memory_order_relaxed),
    };
}

void jc_tier_close(jc_tier *t) {
    if (t->ops->close)
        t->ops->close(t);
}
