/*
 * base/seal.c - see base/seal.h.
 */
#include "base/seal.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

enum { VERSION_AT = 8, KEY_AT = 16, SIGNATURE_AT = 48 };
static const char domain[] = "jitc signature 1\n";
static const uint8_t head[KEY_AT] = JC_SEAL_MAGIC "\1"; /* and zeros */

_Static_assert(JC_PUBLIC_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(JC_SEAL_SIZE == SIGNATURE_AT + crypto_sign_BYTES, "Ed25519");

/* --- keys --- */

bool jc_key_new(jc_secret_key *out) {
    return getentropy(out->seed, sizeof out->seed) == 0;
}

jc_public_key jc_key_public(const jc_secret_key *key) {
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    jc_public_key out;
    crypto_sign_seed_keypair(out.b, secret, key->seed);
    sodium_memzero(secret, sizeof secret);
    return out;
}

void jc_key_forget(jc_secret_key *key) {
    sodium_memzero(key, sizeof *key);
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool jc_key_parse(const char *text, size_t n, uint8_t out[32]) {
    if (n != JC_PUBLIC_KEY_DIGITS)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void jc_key_text(const uint8_t key[32], char out[JC_PUBLIC_KEY_DIGITS + 1]) {
    sodium_bin2hex(out, JC_PUBLIC_KEY_DIGITS + 1, key, 32);
}

/* --- seals --- */

/* What is signed. */
typedef struct message {
    uint8_t b[sizeof domain - 1 + JC_HASH_SIZE + SIGNATURE_AT];
} message;

static message message_of(const void *bytes, size_t n, const uint8_t *seal) {
    message m;
    jc_hash hash = jc_hash_of(bytes, n);
    memcpy(m.b, domain, sizeof domain - 1);
    memcpy(m.b + sizeof domain - 1, hash.b, sizeof hash.b);
    memcpy(m.b + sizeof domain - 1 + sizeof hash.b, seal, SIGNATURE_AT);
    return m;
}

void jc_seal_make(const void *bytes, size_t n, const jc_secret_key *key, uint8_t out[JC_SEAL_SIZE]) {
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    memcpy(out, head, sizeof head);
    crypto_sign_seed_keypair(out + KEY_AT, secret, key->seed);
    message m = message_of(bytes, n, out);
    crypto_sign_detached(out + SIGNATURE_AT, NULL, m.b, sizeof m.b, secret);
    sodium_memzero(secret, sizeof secret);
}

jc_seal jc_seal_check(const uint8_t *bytes, size_t *n, jc_public_key *by) {
    if (*n < JC_SEAL_SIZE || memcmp(bytes + *n - JC_SEAL_SIZE, JC_SEAL_MAGIC, VERSION_AT) != 0)
        return JC_SEAL_NONE;
    *n -= JC_SEAL_SIZE;
    const uint8_t *seal = bytes + *n;
    message m = message_of(bytes, *n, seal);
    memcpy(by->b, seal + KEY_AT, sizeof by->b);
    return memcmp(seal, head, sizeof head) == 0 && crypto_sign_verify_detached(seal + SIGNATURE_AT, m.b, sizeof m.b, by->b) == 0
               ? JC_SEAL_GOOD
               : JC_SEAL_BAD;
}
