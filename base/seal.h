/*
 * base/seal.h - signatures of files: Ed25519 by libsodium, in a block behind what is signed, so that it is checked before a byte of
 * that is parsed.
 *
 * Seal, at the end of the file:
 *     0   8  magic "JITCSIG\n"
 *     8   8  version (1), little-endian
 *    16  32  public key of who signed
 *    48  64  signature of the text "jitc signature 1\n", the BLAKE2b-256 of all before the seal, and the seal's first 48 bytes
 *
 * The same bytes and key give the same seal.
 */
#ifndef JC_SEAL_H
#define JC_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JC_SEAL_MAGIC "JITCSIG\n"
#define JC_SEAL_SIZE 112
#define JC_PUBLIC_KEY_SIZE 32
#define JC_PUBLIC_KEY_DIGITS 64

typedef struct jc_public_key {
    uint8_t b[JC_PUBLIC_KEY_SIZE];
} jc_public_key;
/* All of a secret key follows from its seed. */
typedef struct jc_secret_key {
    uint8_t seed[32];
} jc_secret_key;

/* A new one, from the kernel's random numbers; false with errno set where it has none. */
bool jc_key_new(jc_secret_key *out);
jc_public_key jc_key_public(const jc_secret_key *key);
/* Overwrites it: nothing of it stays in memory. */
void jc_key_forget(jc_secret_key *key);

/* 64 hex digits, as a public key and a seed are written. */
bool jc_key_parse(const char *text, size_t n, uint8_t out[32]);
void jc_key_text(const uint8_t key[32], char out[JC_PUBLIC_KEY_DIGITS + 1]);

/* The seal of N bytes. */
void jc_seal_make(const void *bytes, size_t n, const jc_secret_key *key, uint8_t out[JC_SEAL_SIZE]);

typedef enum jc_seal { JC_SEAL_NONE, JC_SEAL_BAD, JC_SEAL_GOOD } jc_seal;
/* What is behind the N bytes of a file: GOOD says that who has the secret key of BY signed all before; whether he is trusted is another
   question.  N becomes the length without it, unless the answer is NONE. */
jc_seal jc_seal_check(const uint8_t *bytes, size_t *n, jc_public_key *by);

#endif
