/*
 * cache/entry.h - the file of one entry: see cache/entry.c for its format.
 */
#ifndef JC_ENTRY_H
#define JC_ENTRY_H

#include "cache/cache.h"

enum { JC_ENTRY_HEADER = 64, JC_ENTRY_VERSION = 1 };
#define JC_ENTRY_MAX (1ull << 31) /* bytes of a file */

typedef struct jc_entry {
    jc_hash key;
    const uint8_t *preimage, *payload; /* in the file */
    size_t npreimage, npayload;
} jc_entry;

typedef enum jc_entry_state {
    JC_ENTRY_GOOD,
    JC_ENTRY_DAMAGED, /* not as it was written */
    JC_ENTRY_FOREIGN, /* whole, but not by who has the MAC key */
} jc_entry_state;

/* The length of the file whose first JC_ENTRY_HEADER bytes are at HEAD; 0 where that is none, or too long. */
uint64_t jc_entry_length(const uint8_t *head);
/* Every byte is looked at.  MAC: demanded where it is not NULL.  Whether the preimage is that of the key is for the caller to see. */
jc_entry_state jc_entry_decode(const uint8_t *file, size_t n, const jc_mac_key *mac, jc_entry *out);
void jc_entry_encode(jc_bytes *out, const jc_key *key, const uint8_t *payload, size_t n, const jc_mac_key *mac);

#endif
