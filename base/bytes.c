/*
 * base/bytes.c - little-endian byte strings.
 *
 * One value has one spelling: a LEB128 number that could have been shorter is malformed, like one that does not fit
 * 64 bits.  The reader works on bytes, never on casts, so alignment does not matter.
 */
#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

#define VAR_MAX 10 /* bytes of the longest number: 9 times 7 bits, and one */

/* Room for LENGTH more bytes; returns where they go. */
static uint8_t *extend(jc_bytes *b, size_t length) {
    if (length > b->cap - b->n) {
        size_t least, cap = b->cap ? b->cap : 64;
        if (__builtin_add_overflow(b->n, length, &least))
            least = SIZE_MAX; /* more than there is: the arena says so */
        while (cap < least)
            cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
        uint8_t *moved = jc_arena_alloc(b->arena, cap);
        if (b->n)
            memcpy(moved, b->at, b->n);
        b->at = moved;
        b->cap = cap;
    }
    uint8_t *at = b->at + b->n;
    b->n += length;
    return at;
}

void jc_put(jc_bytes *b, const void *data, size_t length) {
    if (length)
        memcpy(extend(b, length), data, length);
}

void jc_put_u8(jc_bytes *b, uint8_t x) {
    *extend(b, 1) = x;
}

static void put_fixed(jc_bytes *b, uint64_t x, size_t size) {
    uint8_t *at = extend(b, size);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(x >> (8 * i));
}

void jc_put_u32(jc_bytes *b, uint32_t x) {
    put_fixed(b, x, 4);
}

void jc_put_u64(jc_bytes *b, uint64_t x) {
    put_fixed(b, x, 8);
}

void jc_put_f64(jc_bytes *b, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_fixed(b, bits, 8);
}

void jc_put_var(jc_bytes *b, uint64_t x) {
    uint8_t text[VAR_MAX];
    size_t n = 0;
    for (; x >= 0x80; x >>= 7)
        text[n++] = (uint8_t)(x | 0x80);
    text[n++] = (uint8_t)x;
    jc_put(b, text, n);
}

void jc_put_svar(jc_bytes *b, int64_t x) {
    jc_put_var(b, ((uint64_t)x << 1) ^ (x < 0 ? UINT64_MAX : 0));
}

void jc_put_blob(jc_bytes *b, const void *data, size_t length) {
    jc_put_var(b, length);
    jc_put(b, data, length);
}

void jc_put_str(jc_bytes *b, const char *text) {
    jc_put_blob(b, text, text ? strlen(text) : 0);
}

void jc_put_text(jc_bytes *b, const char *format, ...) {
    char small[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length > 0 && (size_t)length < sizeof small) {
        jc_put(b, small, (size_t)length);
    } else if (length > 0) {
        /* vsnprintf wants room for its terminator, which is not part of the text. */
        char *at = (char *)extend(b, (size_t)length + 1);
        va_start(args, format);
        vsnprintf(at, (size_t)length + 1, format, args);
        va_end(args);
        b->n--;
    }
}

static size_t left(const jc_reader *r) {
    return (size_t)(r->end - r->at);
}

const uint8_t *jc_get(jc_reader *r, size_t length) {
    if (r->bad || length > left(r)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    if (!at)
        return (const uint8_t *)""; /* nothing at NULL is still something to point at */
    r->at += length;
    return at;
}

static uint64_t get_fixed(jc_reader *r, size_t size) {
    const uint8_t *at = jc_get(r, size);
    uint64_t x = 0;
    for (size_t i = 0; at && i < size; i++)
        x |= (uint64_t)at[i] << (8 * i);
    return x;
}

uint8_t jc_get_u8(jc_reader *r) {
    return (uint8_t)get_fixed(r, 1);
}

uint32_t jc_get_u32(jc_reader *r) {
    return (uint32_t)get_fixed(r, 4);
}

uint64_t jc_get_u64(jc_reader *r) {
    return get_fixed(r, 8);
}

double jc_get_f64(jc_reader *r) {
    uint64_t bits = get_fixed(r, 8);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint64_t jc_get_var(jc_reader *r) {
    uint64_t x = 0;
    for (unsigned i = 0; i < VAR_MAX; i++) {
        const uint8_t *at = jc_get(r, 1);
        if (!at)
            return 0;
        x |= (uint64_t)(*at & 0x7f) << (7 * i);
        if (*at & 0x80)
            continue;
        bool overlong = i > 0 && *at == 0;
        bool too_big = i == VAR_MAX - 1 && *at > 1;
        if (overlong || too_big)
            break;
        return x;
    }
    r->bad = true;
    return 0;
}

int64_t jc_get_svar(jc_reader *r) {
    uint64_t x = jc_get_var(r);
    return (int64_t)(x >> 1 ^ (x & 1 ? UINT64_MAX : 0));
}

const uint8_t *jc_get_blob(jc_reader *r, size_t *length) {
    uint64_t n = jc_get_var(r);
    const uint8_t *at = n > left(r) ? jc_get(r, SIZE_MAX) : jc_get(r, (size_t)n);
    *length = at ? (size_t)n : 0;
    return at ? at : (const uint8_t *)"";
}

char *jc_get_str(jc_reader *r, jc_arena *arena) {
    size_t length;
    const uint8_t *at = jc_get_blob(r, &length);
    if (length && memchr(at, 0, length)) {
        r->bad = true;
        length = 0;
    }
    return jc_arena_strndup(arena, (const char *)at, length);
}

size_t jc_get_count(jc_reader *r, size_t min) {
    uint64_t n = jc_get_var(r);
    if (n > SIZE_MAX || (min && n > left(r) / min)) {
        r->bad = true;
        return 0;
    }
    return (size_t)n;
}
