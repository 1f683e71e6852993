/*
 * base/hash.c - BLAKE2b-256 by libsodium.
 *
 * libsodium picks the fast code for the CPU in sodium_init, which may be called from any thread and more than once;
 * without it hashes are the same, only slower.
 */
#include "base/hash.h"

#include <pthread.h>
#include <sodium.h>

_Static_assert(JC_HASH_SIZE == crypto_generichash_BYTES, "BLAKE2b-256");
_Static_assert(sizeof(crypto_generichash_state) <= sizeof(jc_hasher), "room for libsodium's state");
_Static_assert(_Alignof(crypto_generichash_state) <= _Alignof(jc_hasher), "alignment of libsodium's state");

static void pick_code(void) {
    (void)!sodium_init();
}

static void prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, pick_code);
}

jc_hash jc_hash_of(const void *data, size_t length) {
    jc_hash hash;
    prepare();
    crypto_generichash(hash.b, sizeof hash.b, length ? data : (const void *)"", length, NULL, 0);
    return hash;
}

jc_hash jc_hash_keyed(const uint8_t key[JC_HASH_SIZE], const void *data, size_t length) {
    jc_hash hash;
    prepare();
    crypto_generichash(hash.b, sizeof hash.b, length ? data : (const void *)"", length, key, JC_HASH_SIZE);
    return hash;
}

bool jc_hash_keyed_fits(const uint8_t key[JC_HASH_SIZE], const void *data, size_t length, const uint8_t mac[JC_HASH_SIZE]) {
    const jc_hash hash = jc_hash_keyed(key, data, length);
    return sodium_memcmp(hash.b, mac, JC_HASH_SIZE) == 0;
}

void jc_hash_hex(const jc_hash *hash, char out[2 * JC_HASH_SIZE + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < JC_HASH_SIZE; i++) {
        out[2 * i] = digits[hash->b[i] >> 4];
        out[2 * i + 1] = digits[hash->b[i] & 15];
    }
    out[2 * JC_HASH_SIZE] = 0;
}

void jc_hasher_init(jc_hasher *h) {
    prepare();
    crypto_generichash_init((void *)h->state, NULL, 0, JC_HASH_SIZE);
}

void jc_hasher_add(jc_hasher *h, const void *data, size_t length) {
    if (length)
        crypto_generichash_update((void *)h->state, data, length);
}

jc_hash jc_hasher_end(jc_hasher *h) {
    jc_hash hash;
    crypto_generichash_final((void *)h->state, hash.b, sizeof hash.b);
    return hash;
}
