/*
 * tests/bytes/fuzz_bytes.h - what a target for hostile bytes has to say, and what all of them share.
 *
 * A target gives fuzz_one(); driver.c makes of it a libFuzzer target (with -DJC_LIBFUZZER) or a program that replays
 * tests/data/fuzz/NAME, each file whole and with seeded changes.
 */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include "base/bytes.h"
#include "base/hash.h"
#include "jitc/status.h"

extern const char *const fuzz_name;
/* One input: true where the decoder took it.  Aborts where a promise is broken: a failure without a message, of a status that bytes
   cannot cause, or something taken that then does not verify. */
bool fuzz_one(const uint8_t *data, size_t n);

/* STATUS is what bytes may cause: success, or JITC_E_INPUT or JITC_E_UNSUPPORTED with a sentence; else ends the program. */
bool fuzz_status(jitc_status status, const jc_error *err);
/* Ends the program: WHAT is what should never be. */
void fuzz_never(const char *what, const jc_error *err);
/* A copy in ARENA of N bytes with their length (8 bytes) written at LENGTH_AT, and the hash of all before them in the last 32: so what is behind
   a hash is reached.  Too short for that: as they are. */
uint8_t *fuzz_seal(jc_arena *arena, const uint8_t *data, size_t n, size_t length_at);

#endif
