/*
 * cache/prune.h - keeping a cache directory within bounds: what was used longest ago goes first.
 *
 * When an entry was used is its access time, which a hit sets at most hourly (cache/disk.c), whatever the file system does by itself.  Nothing
 * depends on it: an entry that was removed is a miss.  One process at a time prunes a directory; the others do not wait for it.
 */
#ifndef JC_PRUNE_H
#define JC_PRUNE_H

#include "cache/disk.h"

typedef struct jc_prune {
    uint64_t max_bytes, max_entries; /* 0: no bound */
    /* Entries used in the last hour are spared as long as there is no more than twice as much as is allowed; else, where somebody has
       asked for it on purpose, age does not matter.  What goes beyond is removed down to the bound, or to 4/5 of it where nobody asked, so
       that it is not done at each turn. */
    bool on_purpose;
    /* After so many entries the other shards are left for another time, and what was seen stands for all: sampling; 0: all are seen. */
    uint64_t sample;
} jc_prune;

typedef struct jc_pruned {
    uint64_t entries, bytes;         /* what there was, or was reckoned from what was seen; damaged samples and old formats are in it */
    uint64_t removed, removed_bytes;
    uint64_t temporaries;            /* left by writers that were killed more than an hour ago: removed, whatever the bounds */
    bool busy;                       /* nothing was done: another process is at it */
} jc_pruned;

/* JITC_E_IO when the directory cannot be read, JITC_E_NOMEM. One that is not there has nothing. */
jitc_status jc_prune_run(const jc_disk *d, const jc_prune *how, jc_arena *scratch, jc_pruned *out, jc_error *err);

/* After an entry was stored: prunes, by sampling, where the last time was more than ten minutes ago in any process. */
void jc_prune_at_times(const jc_disk *d, const jc_prune *how, const jc_alloc *alloc);

#endif
