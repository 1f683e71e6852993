/*
 * plan/target.c - what is compiled for: spelling, bytes, and this machine's level.
 *
 * The levels are those of the x86-64 psABI.  A level counts only when the operating system saves its registers
 * (XGETBV), as the instruction would trap otherwise.
 */
#include "plan/target.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum { EAX, EBX, ECX, EDX };

/* One feature bit: leaf, register, bit. */
typedef struct feature {
    uint32_t leaf;
    uint8_t reg, bit;
} feature;

static const feature level2[] = {
    { 1, ECX, 0 /* sse3 */ },    { 1, ECX, 9 /* ssse3 */ },   { 1, ECX, 13 /* cx16 */ },
    { 1, ECX, 19 /* sse4.1 */ }, { 1, ECX, 20 /* sse4.2 */ }, { 1, ECX, 23 /* popcnt */ },
    { 0x80000001, ECX, 0 /* lahf */ },
};
static const feature level3[] = {
    { 1, ECX, 12 /* fma */ },    { 1, ECX, 22 /* movbe */ }, { 1, ECX, 27 /* osxsave */ },
    { 1, ECX, 28 /* avx */ },    { 1, ECX, 29 /* f16c */ },  { 7, EBX, 3 /* bmi1 */ },
    { 7, EBX, 5 /* avx2 */ },    { 7, EBX, 8 /* bmi2 */ },   { 0x80000001, ECX, 5 /* lzcnt */ },
};
static const feature level4[] = {
    { 7, EBX, 16 /* f */ }, { 7, EBX, 17 /* dq */ }, { 7, EBX, 28 /* cd */ }, { 7, EBX, 30 /* bw */ },
    { 7, EBX, 31 /* vl */ },
};

static bool has_all(const feature *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned r[4];
        if (!__get_cpuid_count(at[i].leaf, 0, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[at[i].reg] >> at[i].bit & 1))
            return false;
    }
    return true;
}
#define HAS_ALL(list) has_all((list), sizeof(list) / sizeof *(list))

/* The register sets that the operating system saves. Only where OSXSAVE is set. */
static uint32_t saved_state(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static const char *this_cpu(void) {
    if (!HAS_ALL(level2))
        return "x86-64";
    if (!HAS_ALL(level3) || (saved_state() & 0x06) != 0x06) /* xmm, ymm */
        return "x86-64-v2";
    if (!HAS_ALL(level4) || (saved_state() & 0xe6) != 0xe6) /* and opmask, zmm */
        return "x86-64-v3";
    return "x86-64-v4";
}
#else
static const char *this_cpu(void) {
    return "generic";
}
#endif

/* Architectures that the code generator can be asked for. */
static const struct arch {
    uint16_t sm;
    char suffix;
} archs[] = {
    { 80, 0 },    { 86, 0 },  { 87, 0 },    { 89, 0 },  { 90, 0 },    { 90, 'a' },
    { 100, 0 },   { 100, 'a' }, { 103, 0 }, { 103, 'a' }, { 120, 0 }, { 120, 'a' },
};
#define KNOWN "host, sim, sim:ARCH, and the architectures sm_80, 86, 87, 89, 90, 90a, 100, 100a, 103, 103a, 120, 120a"

static bool known_arch(unsigned sm, char suffix) {
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (archs[i].sm == sm && archs[i].suffix == suffix)
            return true;
    return false;
}

/* "sm_90a" */
static bool parse_arch(const char *text, jc_target *t) {
    unsigned sm = 0;
    if (strncmp(text, "sm_", 3) != 0)
        return false;
    for (text += 3; *text >= '0' && *text <= '9' && sm < 1000; text++)
        sm = sm * 10 + (unsigned)(*text - '0');
    t->suffix = *text == 'a' ? *text++ : 0;
    t->sm = (uint16_t)sm;
    return !*text && known_arch(sm, t->suffix);
}

jitc_status jc_target_parse(const char *text, jc_target *out, jc_error *err) {
    jc_target t = { .dialect = JC_DIALECT_NVPTX };
    const char *arch = text;
    if (strcmp(text, "host") == 0) {
        t.dialect = JC_DIALECT_HOST;
        arch = NULL;
    } else if (strcmp(text, "sim") == 0) {
        t.dialect = JC_DIALECT_SIM;
        arch = "sm_80";
    } else if (strncmp(text, "sim:", 4) == 0) {
        t.dialect = JC_DIALECT_SIM;
        arch = text + 4;
    }
    if (arch && !parse_arch(arch, &t))
        return jc_fail(err, JITC_E_USAGE, "There is no target '%.40s'. These exist: " KNOWN ".", text);
    if (t.dialect != JC_DIALECT_NVPTX)
        snprintf(t.cpu, sizeof t.cpu, "%s", this_cpu());
    *out = t;
    return JITC_OK;
}

void jc_target_text(const jc_target *t, char out[64]) {
    char suffix[2] = { t->suffix, 0 };
    switch (t->dialect) {
    case JC_DIALECT_HOST:
        snprintf(out, 64, "host (%.31s)", t->cpu);
        break;
    case JC_DIALECT_SIM:
        snprintf(out, 64, "sim:sm_%u%s (%.31s)", t->sm, suffix, t->cpu);
        break;
    default:
        snprintf(out, 64, "sm_%u%s", t->sm, suffix);
        break;
    }
}

void jc_target_encode(const jc_target *t, jc_bytes *out) {
    bool has_sm = t->dialect != JC_DIALECT_HOST, has_cpu = t->dialect != JC_DIALECT_NVPTX;
    jc_put_u8(out, t->dialect);
    jc_put_var(out, has_sm ? t->sm : 0);
    jc_put_u8(out, has_sm ? (uint8_t)t->suffix : 0);
    jc_put_str(out, has_cpu ? t->cpu : "");
}

static bool cpu_is_sane(const char *cpu) {
    return *cpu && strspn(cpu, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(cpu);
}

jitc_status jc_target_decode(jc_reader *r, jc_target *out) {
    jc_target t = { .dialect = jc_get_u8(r) };
    uint64_t sm = jc_get_var(r);
    uint8_t suffix = jc_get_u8(r);
    size_t length;
    const uint8_t *cpu = jc_get_blob(r, &length);
    if (r->bad || t.dialect > JC_DIALECT_SIM || length >= sizeof t.cpu || sm > UINT16_MAX)
        goto bad;
    memcpy(t.cpu, cpu, length);
    t.sm = (uint16_t)sm;
    t.suffix = (char)suffix;
    if (strlen(t.cpu) != length || (t.dialect == JC_DIALECT_NVPTX ? length != 0 : !cpu_is_sane(t.cpu)))
        goto bad;
    if (t.dialect == JC_DIALECT_HOST ? t.sm || t.suffix : !known_arch(t.sm, t.suffix))
        goto bad;
    *out = t;
    return JITC_OK;
bad:
    r->bad = true;
    return JITC_E_INPUT;
}
