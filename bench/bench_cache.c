/*
 * bench/bench_cache.c - does a lookup in a large cache directory take longer than in a small one?
 *
 *   bench_cache [--assert] [--repeat N] [--entries N]
 *
 * Fills a directory with 100 entries of 1,000 bytes and one with 100,000 below $TMPDIR, and looks for 5,000 of each at random, by the tier itself, so that each is opened, read and
 * verified; a second time for keys that are not there.  The clock is read around each lookup; of N rounds (5) that with the least 99th percentile counts, since
 * a busy machine adds to it.
 */
#define _GNU_SOURCE /* nftw */
#include <sys/stat.h>
#include <unistd.h>

#include "base/debug.h"
#include "bench/bench.h"
#include "cache/disk.h"
#include "tests/scratch.h"

#define FEW 100u
#define LOOKUPS 5000u
#define BYTES 1000
#define RATIO 2

static jc_arena *arena;

static jc_key key_of(uint32_t i, jc_arena *a) {
    jc_bytes b = JC_BYTES(a);
    jc_key_add(&b, JC_KEY_KERNEL, &i, sizeof i);
    jc_key key = jc_key_end(&b);
    key.light = true;
    return key;
}

static bool fill(const jc_disk *d, uint32_t n) {
    static const uint8_t bytes[BYTES];
    bool ok = true;
    for (uint32_t i = 0; i < n && ok; i++) {
        jc_arena *a = jc_arena_new(NULL);
        const jc_key key = key_of(i, a);
        ok = jc_disk_put(d, &key, bytes, sizeof bytes);
        jc_arena_free(a);
    }
    return ok;
}

typedef struct times {
    double median, p99; /* us */
} times;

/* Of keys FIRST to FIRST + N. */
static bool look(const jc_disk *d, uint32_t first, uint32_t n, jc_tier_result expected, times *out) {
    static double us[LOOKUPS];
    uint64_t seed = 1;
    bool ok = true;
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        const uint8_t *bytes;
        size_t size;
        jc_arena *a = jc_arena_new(NULL);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const jc_key key = key_of(first + (uint32_t)(seed >> 33) % n, a);
        const double start = jc_now_ms();
        ok &= jc_disk_get(d, &key, a, &bytes, &size) == expected;
        us[i] = (jc_now_ms() - start) * 1e3;
        jc_arena_free(a);
    }
    out->median = bench_median(us, LOOKUPS);
    out->p99 = us[LOOKUPS * 99 / 100];
    return ok;
}

static bool least(const jc_disk *d, uint32_t first, uint32_t n, jc_tier_result expected, size_t repeat, times *out) {
    times t;
    for (size_t i = 0; i < repeat; i++) {
        if (!look(d, first, n, expected, &t))
            return false;
        if (i == 0 || t.p99 < out->p99)
            *out = t;
    }
    return true;
}

static bool measure(const char *root, uint32_t many, size_t repeat, unsigned *over) {
    times few_hit, few_miss, hit, miss;
    jc_disk *small = jc_disk_open(arena, jc_arena_printf(arena, "%s/small", root), false, NULL);
    jc_disk *large = jc_disk_open(arena, jc_arena_printf(arena, "%s/large", root), false, NULL);
    if (!small || !large || !fill(small, FEW) || !fill(large, many) || !least(small, 0, FEW, JC_TIER_HIT, repeat, &few_hit) ||
        !least(large, 0, many, JC_TIER_HIT, repeat, &hit) || !least(small, many, many, JC_TIER_MISS, repeat, &few_miss) ||
        !least(large, many, many, JC_TIER_MISS, repeat, &miss))
        return false;
    printf("lookups in a cache directory, %u entries and %u\n", FEW, many);
    bench_line("hit among few: median", few_hit.median, "us", 0, over);
    bench_line("hit among few: 99th percentile", few_hit.p99, "us", 0, over);
    bench_line("hit among many: median", hit.median, "us", 0, over);
    bench_line("hit among many: 99th percentile", hit.p99, "us", 0, over);
    bench_line("hit, many to few: 99th percentile", hit.p99 / few_hit.p99, "x", RATIO, over);
    bench_line("miss among few: 99th percentile", few_miss.p99, "us", 0, over);
    bench_line("miss, many to few: 99th percentile", miss.p99 / few_miss.p99, "x", RATIO, over);
    return true;
}

int main(int argc, char **argv) {
    bench_options o = { .repeat = 5 };
    const char *temporary = getenv("TMPDIR");
    unsigned over = 0;
    uint32_t many = 100000;
    for (int i = 1; i < argc; i++) {
        if (bench_option(argc, argv, &i, &o))
            continue;
        if (strcmp(argv[i], "--entries") != 0 || i + 1 == argc || (many = (uint32_t)atoi(argv[++i])) < FEW)
            return fprintf(stderr, "usage: bench_cache [--assert] [--repeat N] [--entries N]\n"), 2;
    }
    arena = jc_arena_new(NULL);
    char *root = arena ? jc_arena_printf(arena, "%s/jitc-bench-XXXXXX", temporary && *temporary ? temporary : "/tmp") : NULL;
    if (!root || !mkdtemp(root))
        return perror("bench_cache"), 1;
    const bool ok = measure(root, many, o.repeat, &over);
    scratch_remove(root);
    jc_arena_free(arena);
    if (!ok)
        return fprintf(stderr, "bench_cache: the directory cannot be filled or read\n"), 1;
    return o.check && over;
}
