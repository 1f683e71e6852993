/*
 * cache/tier.h - one level of the cache, behind a table of four functions.
 *
 *   probe    is there an entry under this key? Cheap: names alone, nothing is verified and nothing changed
 *   get      its bytes, verified whole: against their hash, the key and the key's preimage
 *   put      keeps an entry; read-only tiers do not
 *   stats    what has happened, counted here for all tiers alike
 *
 * cache.c asks the tiers in order, memory first, and is alone in knowing that there are several; who builds what is missing
 * is its business too (single flight), and no tier's.  Asking never claims anything: any number of threads and processes
 * may look for, and put, the same entry at the same time.  Any trouble is an answer other than HIT, never an error.
 *
 * A further tier (a remote one, say) is one file with such a table and a function that makes it.
 */
#ifndef JC_TIER_H
#define JC_TIER_H

#include <stdatomic.h>

#include "cache/cache.h"

typedef enum jc_tier_result {
    JC_TIER_HIT,
    JC_TIER_MISS,
    JC_TIER_CORRUPT, /* there was something, but not what was stored; a tier that may write has set it aside */
    JC_TIER_FOREIGN, /* there is something, but by somebody who has not our key; it stays where it is */
    JC_TIER_ERROR,   /* it could not be asked: the file system said no, memory is out */
} jc_tier_result;

typedef struct jc_tier jc_tier;

typedef struct jc_tier_ops {
    const char *name; /* "memory", "disk", "directory", "bundle": for logs */
    bool (*probe)(jc_tier *t, const jc_key *key);
    /* On a hit OUT is in ARENA, or lives as long as the tier. */
    jc_tier_result (*get)(jc_tier *t, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n);
    /* KEY's preimage and BYTES outlive the tier.  False where they could not be kept: nothing is left behind then. */
    bool (*put)(jc_tier *t, const jc_key *key, const uint8_t *bytes, size_t n);
    void (*close)(jc_tier *t); /* gives back what is not in the tier's arena; NULL: nothing */
} jc_tier_ops;

/* The head of every tier. Its functions may be called from any thread. */
struct jc_tier {
    const jc_tier_ops *ops;
    const char *where;  /* a directory or file; "" for memory */
    jc_cache_from from; /* what a hit in it is called */
    bool read_only;
    struct {
        atomic_uint_fast64_t hits, misses, corrupt, foreign, errors, stored;
    } stats;
};

/* The table's functions; the last three are counted.  Putting into a read-only tier is a failure. */
bool jc_tier_probe(jc_tier *t, const jc_key *key);
jc_tier_result jc_tier_get(jc_tier *t, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n);
bool jc_tier_put(jc_tier *t, const jc_key *key, const uint8_t *bytes, size_t n);
void jc_tier_get_stats(const jc_tier *t, jc_tier_stats *out);
void jc_tier_close(jc_tier *t);

/* --- the tiers of this folder --- */

/*
 * References in a hash table, in ARENA, which is the tier's own from then on: the memory tier, and, filled once and then made read_only, entries
 * that lie in memory already, such as the artifacts of a bundle.  Getting takes no lock.
 */
jc_tier *jc_tier_table(jc_arena *arena, const char *name, const char *where, jc_cache_from from);

/*
 * A directory in the layout of cache/disk.c, by a tier in ARENA.  Writable: this user's own (see jc_disk_open).  READ_ONLY: somebody's,
 * named on purpose, beside a model, say; nothing in it is ever changed, and what is damaged stays where it is.
 * NULL where the directory is not used: WARNING says why.
 */
jc_tier *jc_tier_disk(jc_arena *arena, const char *dir, bool read_only, const char **warning);

#endif
