/*
 * plan/target.c - what is compiled for: spelling, bytes, and this machine's level.
 *
 * The levels are those of the x86-64 psABI, and one of our own above them, for what pays to have code of its own.  A level counts only
 * when the operating system saves its registers (XGETBV), as the instruction would trap otherwise.
 */
#include "plan/target.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EAX, EBX, ECX, EDX };

/* One feature bit: leaf, subleaf, register, bit. */
typedef struct feature {
    uint32_t leaf;
    uint8_t sub, reg, bit;
} feature;

static const feature level2[] = {
    { 1, 0, ECX, 0 /* sse3 */ },    { 1, 0, ECX, 9 /* ssse3 */ },   { 1, 0, ECX, 13 /* cx16 */ },
    { 1, 0, ECX, 19 /* sse4.1 */ }, { 1, 0, ECX, 20 /* sse4.2 */ }, { 1, 0, ECX, 23 /* popcnt */ },
    { 0x80000001, 0, ECX, 0 /* lahf */ },
};
static const feature level3[] = {
    { 1, 0, ECX, 12 /* fma */ },    { 1, 0, ECX, 22 /* movbe */ }, { 1, 0, ECX, 27 /* osxsave */ },
    { 1, 0, ECX, 28 /* avx */ },    { 1, 0, ECX, 29 /* f16c */ },  { 7, 0, EBX, 3 /* bmi1 */ },
    { 7, 0, EBX, 5 /* avx2 */ },    { 7, 0, EBX, 8 /* bmi2 */ },   { 0x80000001, 0, ECX, 5 /* lzcnt */ },
};
static const feature level4[] = {
    { 7, 0, EBX, 16 /* f */ }, { 7, 0, EBX, 17 /* dq */ }, { 7, 0, EBX, 28 /* cd */ }, { 7, 0, EBX, 30 /* bw */ },
    { 7, 0, EBX, 31 /* vl */ },
};
static const feature level4_bf16[] = { { 7, 1, EAX, 5 /* avx512_bf16 */ } };
static const feature level4_amx[] = { { 7, 0, EDX, 22 /* amx-bf16 */ }, { 7, 0, EDX, 24 /* amx-tile */ } };

static bool has_all(const feature *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned r[4];
        if (!__get_cpuid_count(at[i].leaf, at[i].sub, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[at[i].reg] >> at[i].bit & 1))
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

/* A thread's state grows by 8 KiB with its first tile, so Linux wants to be asked (Documentation/arch/x86/xstate.rst); for good, and for all threads. */
static bool may_use_tiles(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static const char *find_cpu(void) {
    if (!HAS_ALL(level2))
        return "x86-64";
    if (!HAS_ALL(level3) || (saved_state() & 0x06) != 0x06) /* xmm, ymm */
        return "x86-64-v2";
    if (!HAS_ALL(level4) || (saved_state() & 0xe6) != 0xe6) /* and opmask, zmm */
        return "x86-64-v3";
    if (!HAS_ALL(level4_bf16))
        return "x86-64-v4";
    return HAS_ALL(level4_amx) && (saved_state() & 0x60000) == 0x60000 && may_use_tiles() ? "x86-64-v4-amx" : "x86-64-v4-bf16";
}

/* Asked once: a virtual machine is left for each cpuid, 40 of which took 0.27 ms of the 0.3 that loading a small bundle took. */
static const char *this_cpu(void) {
    static _Atomic(const char *) known;
    const char *cpu = atomic_load_explicit(&known, memory_order_relaxed);
    if (!cpu) {
        cpu = find_cpu();
        atomic_store_explicit(&known, cpu, memory_order_relaxed);
    }
    return cpu;
}
#else
static const char *this_cpu(void) {
    return "generic";
}
#endif

/* --- facts --- */

static const char nvptx_triple[] = "nvptx64-nvidia-cuda", host_triple[] = "x86_64-unknown-linux-gnu";

/*
 * Architectures that the code generator can be asked for.  Shared memory: CUDA's table of compute capabilities.  PTX: 8.1 has the fp8
 * conversions; the later architectures exist from their own version on.  OWN: a device of this number gets the suffix by default.
 */
#define ARCH(llvm_, ptx_, kib, ...) { nvptx_triple, .llvm = llvm_, .ptx = ptx_, .warp = 32, .threads = 1024, .shared = (kib) * 1024, \
                                 .registers = 255, .tensor_cores = true, .vector = 4, .f16 = true, __VA_ARGS__ }
static const struct arch {
    uint16_t sm;
    char suffix;
    bool own;
    jc_target_facts facts;
} archs[] = {
    { 80, 0, true, ARCH(19, 80, 163, ) },   { 86, 0, true, ARCH(19, 80, 99, ) },    { 87, 0, true, ARCH(19, 80, 163, ) },
    { 89, 0, true, ARCH(19, 81, 99, ) },    { 90, 0, false, ARCH(19, 81, 227, ) },  { 90, 'a', true, ARCH(19, 81, 227, .warpgroups = true) },
    { 100, 0, false, ARCH(20, 86, 227, ) }, { 100, 'a', true, ARCH(20, 86, 227, ) }, { 103, 0, false, ARCH(21, 88, 227, ) },
    { 103, 'a', true, ARCH(21, 88, 227, ) }, { 120, 0, true, ARCH(20, 87, 99, ) },  { 120, 'a', false, ARCH(20, 87, 99, ) },
};
#define NARCHS (sizeof archs / sizeof *archs)
#define OLDEST "sm_80"
#define KNOWN "host, sim, sim:ARCH, and the architectures sm_80, 86, 87, 89, 90, 90a, 100, 100a, 103, 103a, 120, 120a"

/* Each level has all that those before it have.  Any other CPU is taken for the first. */
#define LEVEL(lanes, registers_, ...) { host_triple, .llvm = 19, .warp = 1, .threads = 1, .registers = registers_, .vector = lanes, __VA_ARGS__ }
static const struct level {
    const char *cpu;
    jc_target_facts facts;
} levels[] = {
    { "x86-64", LEVEL(4, 16, ) },
    { "x86-64-v2", LEVEL(4, 16, ) },
    { "x86-64-v3", LEVEL(8, 16, .f16 = true) },
    { "x86-64-v4", LEVEL(16, 32, .f16 = true) },
    { "x86-64-v4-bf16", LEVEL(16, 32, .f16 = true, .pairs = true, .cpu = "x86-64-v4", .features = "+avx512bf16") },
    { "x86-64-v4-amx", LEVEL(16, 32, .f16 = true, .pairs = true, .tiles = true, .cpu = "x86-64-v4", .features = "+avx512bf16,+amx-tile,+amx-bf16") },
};
#define NLEVELS (sizeof levels / sizeof *levels)

static const struct arch *find_arch(unsigned sm, char suffix) {
    for (size_t i = 0; i < NARCHS; i++)
        if (archs[i].sm == sm && archs[i].suffix == suffix)
            return &archs[i];
    return NULL;
}

static bool known_arch(unsigned sm, char suffix) {
    return find_arch(sm, suffix) != NULL;
}

/* -1: no level. */
static int level_of(const char *cpu) {
    for (size_t i = 0; i < NLEVELS; i++)
        if (strcmp(cpu, levels[i].cpu) == 0)
            return (int)i;
    return -1;
}

/* An architecture later than those we know has what the nearest before it has. */
static const struct arch *nearest_arch(const jc_target *t) {
    const struct arch *best = find_arch(t->sm, t->suffix);
    for (size_t i = 0; i < NARCHS && !best; i++)
        if (archs[i].sm <= t->sm && (i + 1 == NARCHS || archs[i + 1].sm > t->sm))
            best = &archs[i];
    return best ? best : &archs[0];
}

const jc_target_facts *jc_target_facts_of(const jc_target *t) {
    int level = level_of(t->cpu);
    return jc_target_is_gpu(t) ? &nearest_arch(t)->facts : &levels[level < 0 ? 0 : level].facts;
}

const jc_target_facts *jc_target_schedule_facts(const jc_target *t) {
    return jc_target_is_simt(t) ? &nearest_arch(t)->facts : jc_target_facts_of(t);
}

bool jc_target_is_gpu(const jc_target *t) {
    return t->dialect == JC_DIALECT_NVPTX;
}

bool jc_target_is_simt(const jc_target *t) {
    return t->dialect != JC_DIALECT_HOST;
}

bool jc_target_same(const jc_target *a, const jc_target *b) {
    return a->dialect == b->dialect && a->sm == b->sm && a->suffix == b->suffix && a->quick == b->quick && strcmp(a->cpu, b->cpu) == 0;
}

/* --- who runs what --- */

static unsigned cpu_suits(const jc_target *code, const jc_target *device) {
    int have = level_of(code->cpu), want = level_of(device->cpu);
    if (code->sm != device->sm || code->suffix != device->suffix)
        return 0; /* a simulator is that of one architecture */
    return strcmp(code->cpu, device->cpu) == 0 ? UINT32_MAX : have >= 0 && have <= want ? 1 + (unsigned)have : 0;
}

unsigned jc_target_suits(const jc_target *code, const jc_target *device, bool is_ptx) {
    if (code->dialect != device->dialect)
        return 0;
    if (!jc_target_is_gpu(code))
        return cpu_suits(code, device);
    if (code->sm == device->sm && code->suffix == device->suffix)
        return UINT32_MAX;
    if (code->suffix) /* what one architecture alone has: its bare number may stand for it, but takes anything else first */
        return code->sm == device->sm;
    if (code->sm > device->sm || (!is_ptx && code->sm / 10 != device->sm / 10))
        return 0;
    return code->sm == device->sm ? UINT32_MAX - 1 : 1u + code->sm;
}

bool jc_target_of_gpu(int major, int minor, jc_target *out, const char **oldest) {
    *out = (jc_target){ .dialect = JC_DIALECT_NVPTX, .sm = (uint16_t)(major * 10 + minor) };
    for (size_t i = 0; i < NARCHS; i++)
        if (archs[i].sm == out->sm && archs[i].own)
            out->suffix = archs[i].suffix;
    if (oldest)
        *oldest = OLDEST;
    return out->sm >= archs[0].sm;
}

/* --- spelling --- */

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
        arch = OLDEST;
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

void jc_target_cpu(const jc_target *t, char out[32]) {
    if (jc_target_is_gpu(t))
        snprintf(out, 32, "sm_%u%.1s", t->sm, t->suffix ? &t->suffix : "");
    else
        snprintf(out, 32, "%.31s", t->cpu);
}

void jc_target_name(const jc_target *t, char out[32]) {
    if (!jc_target_is_simt(t))
        snprintf(out, 32, "host");
    else
        snprintf(out, 32, "%ssm_%u%.1s", jc_target_is_gpu(t) ? "" : "sim:", t->sm, t->suffix ? &t->suffix : "");
}

void jc_target_text(const jc_target *t, char out[64]) {
    char name[32];
    jc_target_name(t, name);
    if (jc_target_is_gpu(t))
        snprintf(out, 64, "%s", name);
    else
        snprintf(out, 64, "%.24s (%.31s)", name, t->cpu);
}

enum { QUICK = 0x80 }; /* with the dialect, in bytes */

void jc_target_encode(const jc_target *t, jc_bytes *out) {
    bool has_sm = t->dialect != JC_DIALECT_HOST, has_cpu = t->dialect != JC_DIALECT_NVPTX;
    jc_put_u8(out, (uint8_t)(t->dialect | (t->quick ? QUICK : 0)));
    jc_put_var(out, has_sm ? t->sm : 0);
    jc_put_u8(out, has_sm ? (uint8_t)t->suffix : 0);
    jc_put_str(out, has_cpu ? t->cpu : "");
}

static bool cpu_is_sane(const char *cpu) {
    return *cpu && strspn(cpu, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(cpu);
}

jitc_status jc_target_decode(jc_reader *r, jc_target *out) {
    const uint8_t first = jc_get_u8(r);
    jc_target t = { .dialect = first & (QUICK - 1), .quick = first & QUICK };
    uint64_t sm = jc_get_var(r);
    uint8_t suffix = jc_get_u8(r);
    size_t length;
    const uint8_t *cpu = jc_get_blob(r, &length);
    if (r->bad || t.dialect > JC_DIALECT_SIM || length >= sizeof t.cpu || sm > UINT16_MAX)
        goto bad;
    memcpy(t.cpu, cpu, length);
    t.sm = (uint16_t)sm;
    t.suffix = (char)suffix;
    if (strlen(t.cpu) != length || (t.dialect == JC_DIALECT_NVPTX ? length != 0 || t.quick : !cpu_is_sane(t.cpu)))
        goto bad;
    if (t.dialect == JC_DIALECT_HOST ? t.sm || t.suffix : !known_arch(t.sm, t.suffix))
        goto bad;
    *out = t;
    return JITC_OK;
bad:
    r->bad = true;
    return JITC_E_INPUT;
}
