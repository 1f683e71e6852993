/*
 * cache/carry.h - entries from one place to another: `jitc cache export` and `import`.
 *
 * A file of entries is the entries' own files, one behind the other: each says how long it is and is checked by itself, so that a cut or damaged
 * file still gives what comes before and behind.  There are no names and no paths in it.  A directory is a cache directory like any other, and
 * can be read as one where it lies (jc_tier_disk, read only), on any machine.
 */
#ifndef JC_CARRY_H
#define JC_CARRY_H

#include "cache/disk.h"

typedef struct jc_carried {
    uint64_t entries, bytes; /* carried */
    uint64_t there;          /* import: left as they were, for there is one already */
    uint64_t refused;        /* damaged, or not by who has the key */
} jc_carried;

/* All good entries of D, into the new file PATH, which appears when it is complete.  JITC_E_IO. */
jitc_status jc_carry_to_file(const jc_disk *d, const char *path, jc_carried *out, jc_error *err);
/* What is in FD, a file of entries, into D: each is verified as a stranger's, whole, before it is published.  JITC_E_INPUT where the rest cannot
   be understood: what came before is carried.  PATH is for messages. */
jitc_status jc_carry_from_file(const jc_disk *d, int fd, const char *path, jc_carried *out, jc_error *err);
/* From one directory to another. */
jitc_status jc_carry_between(const jc_disk *from, const jc_disk *to, jc_carried *out, jc_error *err);

#endif
