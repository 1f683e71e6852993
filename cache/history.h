/*
 * cache/history.h - what was built in a cache directory, when, by whom and for how long: the file DIR/log.
 *
 * Lines are written with one append each, so processes need no lock; the file is cut by renaming it to DIR/log.old, over an older one, when it
 * has grown to JC_HISTORY_MAX.  It is for people: nothing depends on it, a line that cannot be written is none, and one that
 * cannot be read is passed over.
 *
 *     built TIME PID HOST PROGRAM KEY MS BYTES FIELD=HASH[,FIELD=HASH]...
 *     used TIME PID HOST PROGRAM MEMORY DISK READ-ONLY BUILT WAITED CORRUPT FOREIGN ERRORS
 *
 * TIME is in seconds since 1970, FIELD the number of a field of the key (cache.h) and HASH the first 32 bits of its hash, so that two lines tell in what
 * two keys differ, though the entries may be gone.  `used` is what a process counted, when it closed the cache.
 */
#ifndef JC_HISTORY_H
#define JC_HISTORY_H

#include "cache/disk.h"

enum { JC_HISTORY_MAX = 1 << 20, JC_HISTORY_LINE = 512, JC_HISTORY_FIELDS = 16 };

void jc_history_built(const jc_disk *d, const jc_key *key, double ms, size_t bytes);
void jc_history_used(const jc_disk *d, const jc_cache_stats *stats);

typedef struct jc_history_line {
    bool built;                            /* else: used */
    int64_t time;
    long pid;
    const char *host, *program;            /* in the arena */
    char key[2 * JC_HASH_SIZE + 1];        /* built */
    double ms;
    uint64_t bytes;
    uint32_t fields[JC_HISTORY_FIELDS];    /* by number */
    uint32_t present;                      /* a bit each */
    jc_cache_stats stats;                  /* used */
} jc_history_line;

/* All lines, the older file's first.  A directory without has none; JITC_E_NOMEM, JITC_E_IO. Bad lines are counted in BAD. */
jitc_status jc_history_read(const jc_disk *d, jc_arena *arena, jc_history_line **out, size_t *n, size_t *bad, jc_error *err);

#endif
