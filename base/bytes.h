/*
 * base/bytes.h - writing and reading byte strings: canonical forms, plans, cache entries.
 *
 * Everything is little-endian.  A reader never reads past its end: the first short or malformed read sets `bad`,
 * and from then on every read gives 0 or an empty string, so a decoder may check once at the end.
 */
#ifndef JC_BYTES_H
#define JC_BYTES_H

#include "base/vec.h"

typedef struct jc_bytes {
    jc_arena *arena;
    uint8_t *at;
    size_t n, cap;
} jc_bytes;

#define JC_BYTES(arena_) ((jc_bytes){ .arena = (arena_) })
void jc_put(jc_bytes *b, const void *data, size_t length);
void jc_put_u8(jc_bytes *b, uint8_t x);
void jc_put_u32(jc_bytes *b, uint32_t x);
void jc_put_u64(jc_bytes *b, uint64_t x);
void jc_put_f64(jc_bytes *b, double x);
void jc_put_var(jc_bytes *b, uint64_t x);               /* LEB128 */
void jc_put_svar(jc_bytes *b, int64_t x);               /* zigzag LEB128 */
void jc_put_blob(jc_bytes *b, const void *data, size_t length); /* var length, then the bytes */
void jc_put_str(jc_bytes *b, const char *text);         /* a blob; NULL counts as "" */
void jc_put_text(jc_bytes *b, const char *format, ...) JC_PRINTF(2, 3); /* no length, no terminator */

typedef struct jc_reader {
    const uint8_t *at, *end;
    bool bad;
} jc_reader;

/* Of no bytes DATA may be NULL, to which nothing may be added, not even 0. */
#define JC_READER(data, length)                                                                    \
    ((jc_reader){ .at = (const uint8_t *)(data),                                                   \
                  .end = (length) ? (const uint8_t *)(data) + (length) : (const uint8_t *)(data) })
uint8_t jc_get_u8(jc_reader *r);
uint32_t jc_get_u32(jc_reader *r);
uint64_t jc_get_u64(jc_reader *r);
double jc_get_f64(jc_reader *r);
uint64_t jc_get_var(jc_reader *r);
int64_t jc_get_svar(jc_reader *r);
const uint8_t *jc_get(jc_reader *r, size_t length);      /* borrowed; NULL when bad */
const uint8_t *jc_get_blob(jc_reader *r, size_t *length); /* borrowed; "" and 0 when bad */
char *jc_get_str(jc_reader *r, jc_arena *arena);         /* copied and terminated; an embedded NUL is bad */
/* A count of things that take at least MIN bytes each: bad when they cannot fit in what is left. */
size_t jc_get_count(jc_reader *r, size_t min);

#endif
