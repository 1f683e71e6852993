/*
 * tests/pt2_seal.h - checksums of a zip archive's entries made right again, after its bytes were changed: so what is behind them is
 * reached.
 */
#ifndef PT2_SEAL_H
#define PT2_SEAL_H

#include <stdint.h>
#include <string.h>

static inline uint32_t seal_le(const uint8_t *p, int n) {
    uint32_t x = 0;
    for (int i = 0; i < n; i++)
        x |= (uint32_t)p[i] << (8 * i);
    return x;
}

static inline uint32_t seal_crc(const uint8_t *p, size_t n) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
    }
    return ~crc;
}

/* Of every entry whose directory entry can be followed. */
static inline void pt2_seal(uint8_t *bytes, size_t n) {
    for (size_t i = 0; i + 46 <= n; i++) {
        const uint8_t *e = bytes + i;
        if (seal_le(e, 4) != 0x02014b50)
            continue;
        const size_t size = seal_le(e + 24, 4), at = seal_le(e + 42, 4);
        if (at > n || n - at < 30 || seal_le(bytes + at, 4) != 0x04034b50)
            continue;
        const size_t data = at + 30 + seal_le(bytes + at + 26, 2) + seal_le(bytes + at + 28, 2);
        if (data > n || size > n - data)
            continue;
        const uint32_t crc = seal_crc(bytes + data, size);
        for (int b = 0; b < 4; b++)
            bytes[i + 16 + (size_t)b] = (uint8_t)(crc >> (8 * b));
    }
}

#endif
