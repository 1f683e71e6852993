/*
 * cache/scan.h - looking through a cache directory, entry by entry: for people and their tools, never on the way of a lookup.
 */
#ifndef JC_SCAN_H
#define JC_SCAN_H

#include "cache/disk.h"

typedef enum jc_scan_kind {
    JC_SCAN_ENTRY,     /* named as an entry is, whatever it is */
    JC_SCAN_BAD,       /* a damaged entry that was set aside */
    JC_SCAN_TEMPORARY, /* of a writer that is at work, or was killed */
    JC_SCAN_OTHER,     /* none of ours */
} jc_scan_kind;

typedef struct jc_scan_file {
    jc_scan_kind kind;
    const char *path;
    uint64_t bytes;
    jc_hash key;       /* of an entry and a bad one */
} jc_scan_file;

/* Calls SEE for every file, in order of path.  A directory that is not there has none; files may come and go meanwhile.
   JITC_E_IO when a directory cannot be read; what SEE answers ends the walk unless it is JITC_OK. */
jitc_status jc_disk_scan(const jc_disk *d, jc_arena *arena,
                         jitc_status (*see)(void *user, const jc_scan_file *file, jc_error *err), void *user,
                         jc_error *err);

/* Removes directories of the cache that are empty: its shards and the one they are in. Others stay. */
void jc_disk_prune(const jc_disk *d);

#endif
