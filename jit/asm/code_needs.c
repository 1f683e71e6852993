/*
 * jit/asm/code_needs.c - requirements of PTX and cubins on the driver.
 *
 * PTX says its ISA version in the directive `.version`; each CUDA release brought one (PTX ISA manual, "Release Notes").  A cubin's note
 * .note.nv.tkinfo has the assembler's banner, "Cuda compilation tools, release 13.0, V13.0.88"; drivers load cubins of all toolkits
 * of their major version (minor version compatibility) and of earlier ones.
 */
#include "jit/asm/code_needs.h"

#include <string.h>

/* What follows WORD in the bytes: "13.0" as 1300; 0 where it is not there. */
static uint32_t number_after(const uint8_t *at, size_t n, const char *word) {
    size_t length = strlen(word);
    uint32_t major = 0, minor = 0, digits = 0;
    for (const uint8_t *p = at, *end = at + n; (p = memchr(p, word[0], (size_t)(end - p))); p++) {
        if ((size_t)(end - p) < length || memcmp(p, word, length) != 0)
            continue;
        for (p += length; p < end && *p >= '0' && *p <= '9' && digits++ < 3; p++)
            major = 10 * major + (*p - '0');
        if (p == end || *p != '.' || !digits)
            return 0;
        for (p++, digits = 0; p < end && *p >= '0' && *p <= '9' && digits++ < 2; p++)
            minor = 10 * minor + (*p - '0');
        return 100 * major + minor;
    }
    return 0;
}

uint32_t jc_ptx_cuda(const uint8_t *text, size_t n) {
    static const struct {
        uint32_t ptx, cuda; /* from this ISA version on, until the next row: one CUDA release more for each */
    } rows[] = { { 600, 9000 }, { 601, 9010 }, { 602, 9020 }, { 603, 10000 }, { 700, 11000 }, { 800, 12000 }, { 806, 12070 },
                 { 900, 13000 } };
    uint32_t version = number_after(text, n, ".version "), cuda = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (version >= rows[i].ptx)
            cuda = rows[i].cuda + 10 * (version - rows[i].ptx);
    return version ? cuda : 0;
}

uint32_t jc_cubin_toolkit(const uint8_t *bytes, size_t n) {
    uint32_t release = number_after(bytes, n, "Cuda compilation tools, release ");
    return release / 100 * 1000 + release % 100 * 10;
}

uint32_t jc_toolkit_driver(uint32_t toolkit) {
    return toolkit >= 11000 ? toolkit / 1000 * 1000 : toolkit;
}
