/*
 * cache/disk.h - the disk tier: see the head of cache/disk.c for the file format.
 */
#ifndef JC_DISK_H
#define JC_DISK_H

#include "cache/tier.h"

typedef struct jc_disk jc_disk;

/* Lives in ARENA. WARNING (may be NULL) says why the directory is not used: then the result is NULL.  See jc_tier_disk(). */
jc_disk *jc_disk_open(jc_arena *arena, const char *dir, bool read_only, const char **warning);
/* MAC may be NULL and outlives the result.  With it the directory is one that others may write to: who did not have the key wrote nothing that is used. */
jc_disk *jc_disk_open_keyed(jc_arena *arena, const char *dir, bool read_only, const jc_mac_key *mac, const char **warning);
const char *jc_disk_dir(const jc_disk *d);
const char *jc_disk_entries(const jc_disk *d); /* where its shards are */
const char *jc_disk_format(void);              /* "v1" */
jc_tier *jc_disk_tier(jc_disk *d);

/* A descriptor of the directory, looked at again; -1 with errno set.  MAKE: where it is not there. */
int jc_disk_open_root(const jc_disk *d, bool make);
struct stat;
/* The file NAME in ROOT, which the former gave, as open() with FLAGS would; -1 with errno set, to EPERM where it is no regular file of the owner's. */
int jc_disk_open_file(const jc_disk *d, int root, const char *name, int flags);
/* Does what ST is of belong to the directory's owner, who alone may write to it?  Where entries have a MAC it need not. */
bool jc_disk_is_owners(const jc_disk *d, const struct stat *st);

/* On a hit OUT is the payload, in ARENA: verified bytes, never a mapping of the file. */
jc_tier_result jc_disk_get(const jc_disk *d, const jc_key *key, jc_arena *arena, const uint8_t **out, size_t *n);
/* Publishes an entry atomically. False when it could not be stored: nothing is left behind then. */
bool jc_disk_put(const jc_disk *d, const jc_key *key, const uint8_t *bytes, size_t n);
/* Reads the entry of HASH without changing anything: HIT when every byte is as it was written, and its preimage (in ARENA) has that hash. */
jc_tier_result jc_disk_read(const jc_disk *d, const jc_hash *hash, jc_arena *arena, const uint8_t **preimage, size_t *npreimage);

/* --- whole files, for who carries entries from one directory to another --- */

struct jc_entry;
struct jc_span;
/* As jc_disk_read(), with the file. */
jc_tier_result jc_disk_read_file(const jc_disk *d, const jc_hash *hash, jc_arena *arena, struct jc_span *file, struct jc_entry *out);
/* HIT when FILE is a whole entry, by who has D's MAC key if it has one, whose preimage is that of its key. */
jc_tier_result jc_disk_check(const jc_disk *d, const struct jc_span *file, struct jc_entry *out);
/* Publishes a file that was checked, byte by byte as it is, as the entry of KEY. */
bool jc_disk_install(const jc_disk *d, const jc_hash *key, const struct jc_span *file);

#endif
