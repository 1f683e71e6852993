/*
 * bench/bench_compile.c - what a cold compilation costs, and what a hit costs.
 *
 *   bench_compile [--assert] [--arch A] [--repeat N]
 *
 * For the seed piece and the Llama piece: read, split, canonicalise, compile for sm_90a with an empty cache, on one core, in
 * this process.  The first figure includes opening the code generator and finding the assembler; the second is the median of
 * further compilations, each with an empty cache of its own.  Then the same from disk, each time in a fresh process, which
 * looks at its own memory map: neither LLVM nor an assembler may be in it.
 *
 * Exits with 1 when something that may not be mapped is, and with --assert also when a limit is broken.
 */
#define _GNU_SOURCE /* nftw, sched_setaffinity */
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/debug.h"
#include "bench/bench.h"
#include "jitc/jitc.h"
#include "tests/scratch.h"

typedef struct work {
    const char *name, *file;
    double cold_ms, disk_ms; /* limits */
} work;

static const work works[] = {
    { "seed piece", "seed/qwen3_5_layer10.py", 200, 2 },
    { "Llama piece", "llama_block/piece.py", 600, 2 },
};

static const char *arch = "sm_90a";

static void log_line(void *user, const char *line) {
    (void)user;
    fprintf(stderr, "  %s\n", line);
}

/* Milliseconds from a new context to a model that can run but for the device's module load; -1 when it failed. */
static double build(const char *path, const char *cache, jitc_model_stats *stats) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = cache, .device = "host", .threads = 1, .log = log_line };
    jitc_model_options mo = { .struct_size = sizeof mo, .arch = arch };
    jitc_context *ctx;
    jitc_graph *graph;
    jitc_model *model;
    double start = jc_now_ms(), ms = -1;
    stats->struct_size = sizeof *stats;
    if (jitc_context_new(&o, &ctx) == JITC_OK && jitc_graph_read_file(ctx, path, &graph) == JITC_OK &&
        jitc_model_build(ctx, &graph, 1, &mo, &model) == JITC_OK) {
        ms = jc_now_ms() - start;
        jitc_model_get_stats(model, stats);
    } else if (ctx) {
        fprintf(stderr, "bench_compile: %s\n", jitc_context_error(ctx));
    }
    jitc_context_free(ctx);
    return ms;
}

/* What of LLVM or an assembler is mapped here; NULL: nothing. */
static const char *mapped(char *line, size_t size) {
    static const char *const words[] = { "LLVM", "jitc-llvm", "nvJitLink", "ptxjitcompiler", "nvptxcompiler", "ptxas" };
    FILE *f = fopen("/proc/self/maps", "re");
    const char *found = NULL;
    while (f && !found && fgets(line, (int)size, f))
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strstr(line, words[i]))
                found = line;
    if (f)
        fclose(f);
    return found;
}

/* The child's part: everything from disk. Prints milliseconds. */
static int from_disk(const char *path, const char *cache) {
    jitc_model_stats stats;
    char line[4200];
    double ms = build(path, cache, &stats);
    if (ms < 0)
        return 1;
    if (stats.compiled != 0) {
        fprintf(stderr, "bench_compile: %llu classes were compiled, not found\n", (unsigned long long)stats.compiled);
        return 1;
    }
    const char *bad = mapped(line, sizeof line);
    if (bad) {
        fprintf(stderr, "bench_compile: a hit mapped %s", bad);
        return 1;
    }
    printf("%.6f\n", ms);
    return 0;
}

/* This program again, for one hit; -1 when it failed. */
static double spawn_hit(const char *path, const char *cache) {
    int ends[2], status;
    char text[64] = "";
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl("/proc/self/exe", "bench_compile", "--from-disk", path, cache, arch, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    ssize_t n = child < 0 ? 0 : read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || n <= 0)
        return -1;
    return atof(text);
}

static bool measure(const work *w, size_t repeat, unsigned *over) {
    char path[4096], root[] = "/tmp/jitc-bench-XXXXXX", cache[64], what[128];
    double *cold = calloc(repeat + 1, sizeof *cold), *disk = calloc(repeat, sizeof *disk);
    jitc_model_stats stats;
    bool ok = cold && disk && mkdtemp(root);
    snprintf(path, sizeof path, "%s/%s", bench_graphs(), w->file);
    for (size_t i = 0; ok && i <= repeat; i++) {
        snprintf(cache, sizeof cache, "%s/%zu", root, i);
        ok = (cold[i] = build(path, cache, &stats)) >= 0;
    }
    for (size_t i = 0; ok && i < repeat; i++)
        ok = (disk[i] = spawn_hit(path, cache)) >= 0;
    if (ok) {
        printf("%s, %s: %llu kernels, of which %.1f ms LLVM, %.1f ms assembler\n", w->name, arch,
               (unsigned long long)stats.kernels_unique, stats.ms_llvm, stats.ms_assemble);
        snprintf(what, sizeof what, "cold, first in the process");
        bench_line(what, cold[0], "ms", w->cold_ms, over);
        snprintf(what, sizeof what, "cold, median of %zu more", repeat);
        bench_line(what, bench_median(cold + 1, repeat), "ms", w->cold_ms, over);
        snprintf(what, sizeof what, "from disk, median of %zu fresh processes", repeat);
        bench_line(what, bench_median(disk, repeat), "ms", w->disk_ms, over);
    }
    scratch_remove(root);
    free(cold);
    free(disk);
    return ok;
}

int main(int argc, char **argv) {
    bench_options o = { .arch = arch, .repeat = 5 };
    bool ok = true;
    unsigned over = 0;
    cpu_set_t one;
    if (argc == 5 && strcmp(argv[1], "--from-disk") == 0) {
        arch = argv[4];
        return from_disk(argv[2], argv[3]);
    }
    for (int i = 1; i < argc; i++) {
        if (!bench_option(argc, argv, &i, &o))
            return fprintf(stderr, "usage: bench_compile [--assert] [--arch A] [--repeat N]\n"), 2;
    }
    arch = o.arch;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        ok &= measure(&works[i], o.repeat, &over);
    return !ok || (o.check && over);
}
