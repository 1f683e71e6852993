/*
 * base/hash.h - BLAKE2b-256 (libsodium) and its spelling.
 */
#ifndef JC_HASH_H
#define JC_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JC_HASH_SIZE 32
typedef struct jc_hash {
    uint8_t b[JC_HASH_SIZE];
} jc_hash;

jc_hash jc_hash_of(const void *data, size_t length);
/* Of who has KEY: a message authentication code. */
jc_hash jc_hash_keyed(const uint8_t key[JC_HASH_SIZE], const void *data, size_t length);
/* Is it MAC? Takes as long wherever they differ. */
bool jc_hash_keyed_fits(const uint8_t key[JC_HASH_SIZE], const void *data, size_t length, const uint8_t mac[JC_HASH_SIZE]);
/* 64 hex digits and a NUL. */
void jc_hash_hex(const jc_hash *hash, char out[2 * JC_HASH_SIZE + 1]);

/* Incremental form, for files read in parts. */
typedef struct jc_hasher {
    _Alignas(64) unsigned char state[384]; /* libsodium's generichash state */
} jc_hasher;
void jc_hasher_init(jc_hasher *h);
void jc_hasher_add(jc_hasher *h, const void *data, size_t length);
jc_hash jc_hasher_end(jc_hasher *h);

#endif
