/*
 * cache/cache.h - entries by key: bytes in, bytes out.
 *
 * Tiers, asked in this order: memory (this process), disk (one verified file per entry, atomic publish), and any number of
 * read-only ones (cache/tier.h).  What is in none of them is built, by one thread per key.  Any trouble with a tier is a miss and
 * is counted; it never fails a call and never gives wrong bytes.
 * The file format is specified at the head of cache/disk.c.
 */
#ifndef JC_CACHE_H
#define JC_CACHE_H

#include "base/bytes.h"
#include "base/debug.h"
#include "base/hash.h"

/* What a key is made of: tagged, length-prefixed fields.  The preimage is stored with the entry and compared on a hit. */
#define JC_KEY_FIELDS(X)                                                                           \
    X(FORMAT, 1, "format version")                                                                 \
    X(GRAPH, 2, "canonical form")                                                                  \
    X(RANGES, 3, "ranges of the symbols")                                                          \
    X(TARGET, 4, "target")                                                                         \
    X(OPTIONS, 5, "options")                                                                       \
    X(COMPILER, 6, "code generator and LLVM")                                                      \
    X(ASSEMBLER, 7, "assembler")                                                                   \
    X(KERNEL, 8, "kernel")
typedef enum jc_key_field {
#define JC_KEY_ENUM(id, number, text) JC_KEY_##id = number,
    JC_KEY_FIELDS(JC_KEY_ENUM)
#undef JC_KEY_ENUM
} jc_key_field;

typedef struct jc_key {
    const uint8_t *preimage;
    size_t npreimage;
    jc_hash hash;
    bool light; /* may be lost when the power goes: its file is not synchronised */
} jc_key;

/* Fields must be added in the order of their numbers. */
void jc_key_add(jc_bytes *preimage, jc_key_field field, const void *data, size_t n);
jc_key jc_key_end(const jc_bytes *preimage); /* borrows the preimage */

typedef struct jc_cache jc_cache;
typedef enum jc_cache_from { JC_FROM_MEMORY, JC_FROM_DISK, JC_FROM_READ_ONLY, JC_FROM_BUILD, JC_FROM_COUNT } jc_cache_from;
/* "in memory", "on disk", "in a read-only cache", "built" */
const char *jc_cache_from_text(jc_cache_from from);

/* Of one tier; foreign: entries that somebody without the key has written. */
typedef struct jc_tier_stats {
    uint64_t hits, misses, corrupt, foreign, errors, stored;
} jc_tier_stats;
/* Of all: answers by where they came from (those of JC_FROM_BUILD are the misses), calls that waited for another thread's build,
   and for another process's, builds without a lock (there are none, or the wait was over), entries that were not what was built (paranoid), and the sums of the tiers' troubles;
   of these, entries that could not be stored; whether a tier has been given up writing to (see below). */
typedef struct jc_cache_stats {
    uint64_t from[JC_FROM_COUNT], waited, waited_processes, unlocked, stored, corrupt, foreign, differing, io_errors;
    uint64_t not_stored;
    bool gave_up;
} jc_cache_stats;

/* A directory that cannot be written to, being full, say, is told of once.  After so many failures in a row nothing more is stored there by this
   cache, which is told as well: what it holds is still found. */
#define JC_CACHE_GIVE_UP 8u

/* How a cache goes about it. */
typedef struct jc_cache_settings {
    unsigned wait_ms; /* for another process that builds the same entry; then it is built here.  0: never */
    /* What is found below memory is built all the same, and compared: it is what was built that is returned, and a difference is told loudly and
       counted.  For tests, and for who suspects the cache. */
    bool paranoid;
    uint64_t max_bytes, max_entries; /* of the directory, about: see cache/prune.h. 0: no bound */
} jc_cache_settings;
#define JC_CACHE_DEFAULTS { .wait_ms = 120000, .max_bytes = 16ull << 30, .max_entries = 250000 }

/* A key with which entries are authenticated (keyed BLAKE2b-256): for directories that several users write to. */
typedef struct jc_mac_key {
    uint8_t b[JC_HASH_SIZE];
} jc_mac_key;
/* PATH: 64 hex digits.  JITC_E_TRUST where others than its owner could read it, or it is none; JITC_E_IO. */
jitc_status jc_mac_key_read(const char *path, jc_mac_key *out, jc_error *err);

/* DIR: NULL or "" for memory alone.  The directory is made (0700) when something is stored.  A directory that is a
   symlink, of another owner, or writable by others is not used: WARNING says why. */
jitc_status jc_cache_open(const char *dir, const jc_alloc *alloc, const jc_log *log, jc_cache **out, jc_error *err);
/* MAC, copied, may be NULL.  With it DIR may belong to others, who may write to it; entries by who has not the key are misses. */
jitc_status jc_cache_open_keyed(const char *dir, const jc_mac_key *mac, const jc_alloc *alloc, const jc_log *log, jc_cache **out, jc_error *err);
const jc_mac_key *jc_cache_mac(const jc_cache *c); /* NULL: none */
void jc_cache_close(jc_cache *c);
/* Not while another thread uses C. */
void jc_cache_set(jc_cache *c, const jc_cache_settings *settings);
const jc_cache_settings *jc_cache_get_settings(const jc_cache *c);
const char *jc_cache_dir(const jc_cache *c);      /* NULL: memory alone */
const char *jc_cache_warning(const jc_cache *c);  /* NULL: none */
void jc_cache_get_stats(jc_cache *c, jc_cache_stats *out);

/* Adds a read-only tier behind the others. Not while another thread uses C, which closes the tier in the end; 16 at most, false beyond. */
struct jc_tier;
bool jc_cache_add(jc_cache *c, struct jc_tier *tier);
/* The I-th tier, memory first; NULL past the last. */
struct jc_tier *jc_cache_tier(jc_cache *c, size_t i);

/*
 * Looks, and does nothing else: true with the bytes of the entry and where they came from, false where no tier has it.  It neither
 * builds nor waits for a build, and claims nothing: threads that build the same entry do not notice.  OUT is borrowed from the
 * cache until jc_cache_close.  FROM may be NULL.  Thread-safe.
 */
bool jc_cache_find(jc_cache *c, const jc_key *key, const uint8_t **out, size_t *n, jc_cache_from *from);

/* How a missing entry is made. */
typedef struct jc_cache_builder {
    /* Allocates its result in the arena it is given. */
    jitc_status (*build)(void *user, jc_arena *arena, const uint8_t **bytes, size_t *n, jc_error *err);
    bool (*stop)(void *user); /* asked while another process builds the same: true ends the wait, and BUILD is called.  NULL: never */
    void *user;
} jc_cache_builder;

/*
 * Bytes of the entry: found, else built, by one thread at a time however many ask: the others wait.  Where that thread fails,
 * the failure is its own, and the next of those that waited tries itself.  Processes that share a directory take turns likewise, by advisory
 * locks (cache/lock.h): who has waited for settings.wait_ms in vain builds without one, and waits for nobody any more.
 * OUT and FROM as above. Thread-safe.
 */
jitc_status jc_cache_get(jc_cache *c, const jc_key *key, const jc_cache_builder *builder, const uint8_t **out,
                         size_t *n, jc_cache_from *from, jc_error *err);

/*
 * For who builds an entry out of others, and would rather wait than begin: whose turn is it?  Waits, as long as another process (or thread) of
 * this machine builds the entry or claims it, but no longer than PATIENCE, and not once BUILDER's `stop` says so.  It builds nothing.
 */
typedef enum jc_cache_turn {
    JC_TURN_THERE,  /* the entry is there */
    JC_TURN_OURS,   /* it is not, and nobody seems to build it */
    JC_TURN_OTHERS, /* somebody else is at it still */
} jc_cache_turn;
jc_cache_turn jc_cache_await(jc_cache *c, const jc_key *key, double patience_ms, const jc_cache_builder *builder);
/* Lets others that await the entry wait until CLAIM is closed.  False where another was faster; true as well where there are no locks. */
struct jc_lock;
bool jc_cache_claim(jc_cache *c, const jc_key *key, struct jc_lock *claim);
/* Is somebody else building the entry right now? */
bool jc_cache_elsewhere(jc_cache *c, const jc_key *key);

#endif
