/*
 * bench/bench_herd.c - the ranks of an engine, which start together and want the same: what eight cold processes cost beside one.
 *
 *   bench_herd [--assert] [--arch A] [--repeat N] [--ranks N] [MODEL]
 *
 * full.py of MODEL below $JITC_GRAPHS/models (llama-3.3-70b), read, split and compiled for sm_90a into one empty cache directory, by one process, then by that
 * process again, which finds all of it, and by all ranks at once into another.  CPU time is that of whole processes (wait4), least of N runs (5) each.
 * Where there is no assembler kernels end as PTX, and the ratio to one process has no limit: what a process costs beside its kernels weighs more.
 */
#define _GNU_SOURCE /* nftw, wait4 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/debug.h"
#include "bench/bench.h"
#include "jit/asm/assemble.h"
#include "jitc/jitc.h"
#include "tests/scratch.h"

#define MAX_RANKS 64
#define HERD_LIMIT 1.3
#define FOLLOWER_LIMIT 1.5

static const char *arch = "sm_90a";

/* --- the child --- */

static int build(const char *path, const char *cache) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = cache, .device = "host", .threads = 2 };
    jitc_model_options mo = { .struct_size = sizeof mo, .arch = arch };
    jitc_model_stats s = { .struct_size = sizeof s };
    jitc_context *ctx = NULL;
    jitc_graph *graph;
    jitc_model *model;
    if (jitc_context_new(&o, &ctx) != JITC_OK || jitc_graph_read_file(ctx, path, &graph) != JITC_OK ||
        jitc_model_build(ctx, &graph, 1, &mo, &model) != JITC_OK)
        return fprintf(stderr, "bench_herd: %s\n", ctx ? jitc_context_error(ctx) : "out of memory"), 1;
    jitc_model_get_stats(model, &s);
    bool whole = write(STDOUT_FILENO, &s.kernels_compiled, sizeof s.kernels_compiled) == (ssize_t)sizeof s.kernels_compiled;
    jitc_context_free(ctx);
    return !whole;
}

/* --- the parent --- */

typedef struct sample {
    double cpu, wall;
    uint64_t kernels;
} sample;

static double ms_of(struct timeval t) {
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static pid_t start(const char *path, const char *cache, int out) {
    pid_t child = fork();
    if (child == 0) {
        dup2(out, STDOUT_FILENO);
        execl("/proc/self/exe", "bench_herd", "--child", path, cache, arch, (char *)NULL);
        _exit(127);
    }
    return child;
}

/* All at once. */
static bool run(unsigned ranks, const char *path, const char *cache, sample *out) {
    int ends[2], status;
    pid_t children[MAX_RANKS];
    double began = jc_now_ms();
    bool ok = pipe(ends) == 0;
    *out = (sample){ 0 };
    for (unsigned i = 0; ok && i < ranks; i++)
        children[i] = start(path, cache, ends[1]);
    for (unsigned i = 0; ok && i < ranks; i++) {
        struct rusage used;
        uint64_t kernels;
        ok = children[i] > 0 && wait4(children[i], &status, 0, &used) == children[i] && status == 0 &&
             read(ends[0], &kernels, sizeof kernels) == (ssize_t)sizeof kernels;
        out->cpu += ok ? ms_of(used.ru_utime) + ms_of(used.ru_stime) : 0;
        out->kernels += ok ? kernels : 0;
    }
    out->wall = jc_now_ms() - began;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static void keep_least(sample *least, const sample *s) {
    if (!least->cpu || s->cpu < least->cpu)
        *least = *s;
}

static bool measure(const char *model, unsigned ranks, size_t repeat, bool assembles, unsigned *over) {
    char path[4096], root[] = "/tmp/jitc-bench-XXXXXX", alone[64], together[64];
    sample cold = { 0 }, warm = { 0 }, herd = { 0 }, s;
    uint64_t most = 0;
    bool ok = mkdtemp(root) != NULL;
    snprintf(path, sizeof path, "%s/models/%s/full.py", bench_graphs(), model);
    for (size_t i = 0; ok && i < repeat; i++) {
        snprintf(alone, sizeof alone, "%s/%zu", root, i);
        snprintf(together, sizeof together, "%s/%zu-all", root, i);
        if ((ok = run(1, path, alone, &s)))
            keep_least(&cold, &s);
        if ((ok = ok && run(1, path, alone, &s)))
            keep_least(&warm, &s);
        if ((ok = ok && run(ranks, path, together, &s)))
            keep_least(&herd, &s);
        most = s.kernels > most ? s.kernels : most;
    }
    scratch_remove(root);
    if (!ok)
        return false;
    printf("%s for %s, %u processes, %s\n", model, arch, ranks, assembles ? "assembled" : "PTX alone: there is no assembler");
    bench_line("one process, cold: CPU", cold.cpu, "ms", 0, over);
    bench_line("one process, from disk: CPU", warm.cpu, "ms", 0, over);
    bench_line("all, cold: CPU", herd.cpu, "ms", 0, over);
    bench_line("all, cold: wall", herd.wall, "ms", 0, over);
    bench_line("all to one: CPU", herd.cpu / cold.cpu, "x", assembles ? HERD_LIMIT : 0, over);
    bench_line("one that waits to one from disk: CPU", (herd.cpu - cold.cpu) / (ranks - 1) / warm.cpu, "x", FOLLOWER_LIMIT, over);
    bench_line("kernels compiled by all to those by one", (double)most / (double)cold.kernels, "x", 1, over);
    return true;
}

int main(int argc, char **argv) {
    bench_options o = { .repeat = 5, .arch = arch };
    const char *model = "llama-3.3-70b";
    unsigned over = 0, ranks = 8;
    jc_assembler assembler;
    if (argc == 5 && strcmp(argv[1], "--child") == 0) {
        arch = argv[4];
        return build(argv[2], argv[3]);
    }
    for (int i = 1; i < argc; i++) {
        if (bench_option(argc, argv, &i, &o))
            continue;
        if (strcmp(argv[i], "--ranks") == 0 && i + 1 < argc)
            ranks = (unsigned)atoi(argv[++i]);
        else
            model = argv[i];
    }
    arch = o.arch;
    if (ranks < 2 || ranks > MAX_RANKS)
        return fprintf(stderr, "bench_herd: --ranks is 2 to %d\n", MAX_RANKS), 2;
    jc_arena *arena = jc_arena_new(NULL);
    bool assembles = arena && strncmp(arch, "sm_", 3) == 0 && jc_assembler_find(arena, &assembler, NULL) == JITC_OK;
    jc_arena_free(arena);
    if (!measure(model, ranks, o.repeat, assembles, &over))
        return fprintf(stderr, "bench_herd: %s/models/%s cannot be compiled\n", bench_graphs(), model), 1;
    return o.check && over;
}
