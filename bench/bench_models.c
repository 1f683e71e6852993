/*
 * bench/bench_models.c - whole models, cold and from disk: whole processes, as an engine that starts would see them.
 *
 *   bench_models [--assert] [--arch A] [--repeat N] [MODEL]...
 *
 * For full.py of each model below $JITC_GRAPHS/models (or of those named): a fresh process that reads, splits and compiles for
 * sm_90a into an empty cache, and then one that finds all of it there.  The clock runs from fork to the child's end.
 * The phases are the fastest run's own; those of LLVM and the assembler are sums over threads, CPU is that of the whole process.
 */
#define _GNU_SOURCE /* nftw, wait4 */
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/debug.h"
#include "bench/bench.h"
#include "jitc/jitc.h"
#include "tests/scratch.h"

#define COLD_MS 500
#define DISK_MS 20
#define MAX_MODELS 64

static const char *arch = "sm_90a";

typedef struct sample {
    double wall, cpu;
    jitc_model_stats stats;
} sample;

/* --- the child --- */

static int build(const char *path, const char *cache) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = cache, .device = "host" };
    jitc_model_options mo = { .struct_size = sizeof mo, .arch = arch };
    jitc_model_stats s = { .struct_size = sizeof s };
    jitc_context *ctx = NULL;
    jitc_graph *graph;
    jitc_model *model;
    if (jitc_context_new(&o, &ctx) != JITC_OK || jitc_graph_read_file(ctx, path, &graph) != JITC_OK ||
        jitc_model_build(ctx, &graph, 1, &mo, &model) != JITC_OK)
        return fprintf(stderr, "bench_models: %s\n", ctx ? jitc_context_error(ctx) : "out of memory"), 1;
    jitc_model_get_stats(model, &s);
    bool whole = write(STDOUT_FILENO, &s, sizeof s) == (ssize_t)sizeof s;
    jitc_context_free(ctx);
    return !whole;
}

/* --- the parent --- */

static double ms_of(struct timeval t) {
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static bool spawn(const char *path, const char *cache, sample *out) {
    int ends[2], status = 1;
    struct rusage used;
    double start = jc_now_ms();
    if (pipe(ends) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl("/proc/self/exe", "bench_models", "--child", path, cache, arch, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    bool ok = child > 0 && read(ends[0], &out->stats, sizeof out->stats) == (ssize_t)sizeof out->stats;
    close(ends[0]);
    ok = child > 0 && wait4(child, &status, 0, &used) == child && status == 0 && ok;
    out->wall = jc_now_ms() - start;
    out->cpu = ok ? ms_of(used.ru_utime) + ms_of(used.ru_stime) : 0;
    return ok;
}

static int by_wall(const void *a, const void *b) {
    const sample *x = a, *y = b;
    return (x->wall > y->wall) - (x->wall < y->wall);
}

static bool measure(const char *model, size_t repeat, unsigned *over) {
    char path[4096], root[] = "/tmp/jitc-bench-XXXXXX", cache[64];
    sample *cold = calloc(repeat, sizeof *cold), *disk = calloc(repeat, sizeof *disk);
    bool ok = cold && disk && mkdtemp(root);
    snprintf(path, sizeof path, "%s/models/%s/full.py", bench_graphs(), model);
    for (size_t i = 0; ok && i < repeat; i++) {
        snprintf(cache, sizeof cache, "%s/%zu", root, i);
        ok = spawn(path, cache, &cold[i]) && spawn(path, cache, &disk[i]) && disk[i].stats.compiled == 0;
    }
    if (ok) {
        qsort(cold, repeat, sizeof *cold, by_wall);
        qsort(disk, repeat, sizeof *disk, by_wall);
        const jitc_model_stats *s = &cold[0].stats;
        bool late = cold[0].wall > COLD_MS, slow = disk[0].wall > DISK_MS;
        printf("%-26s %3u %3u %4llu | %6.0f%c %6.0f %6.0f | %5.1f %5.1f %5.1f %5.0f %6.0f | %5.1f%c %5.1f\n", model, s->pieces,
               s->classes, (unsigned long long)s->kernels_compiled, cold[0].wall, late ? '!' : ' ', cold[repeat / 2].wall,
               cold[0].cpu, s->ms_read, s->ms_split + s->ms_canonicalise + s->ms_hash, s->ms_schedule, s->ms_llvm,
               s->ms_assemble, disk[0].wall, slow ? '!' : ' ', disk[repeat / 2].wall);
        *over += late + slow;
    }
    scratch_remove(root);
    free(cold);
    free(disk);
    return ok;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_models(char **out) {
    char path[4096];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/models", bench_graphs());
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) && n < MAX_MODELS;) {
        snprintf(path, sizeof path, "%s/models/%s/full.py", bench_graphs(), e->d_name);
        if (access(path, R_OK) == 0)
            out[n++] = strdup(e->d_name);
    }
    if (d)
        closedir(d);
    qsort(out, n, sizeof *out, by_name);
    return n;
}

int main(int argc, char **argv) {
    char *models[MAX_MODELS];
    bench_options o = { .arch = arch, .repeat = 5 };
    size_t n = 0;
    bool ok = true;
    unsigned over = 0;
    if (argc == 5 && strcmp(argv[1], "--child") == 0) {
        arch = argv[4];
        return build(argv[2], argv[3]);
    }
    for (int i = 1; i < argc; i++) {
        if (bench_option(argc, argv, &i, &o))
            continue;
        if (argv[i][0] != '-' && n < MAX_MODELS)
            models[n++] = argv[i];
        else
            return fprintf(stderr, "usage: bench_models [--assert] [--arch A] [--repeat N] [MODEL]...\n"), 2;
    }
    arch = o.arch;
    if (n == 0)
        n = list_models(models);
    if (n == 0)
        return fprintf(stderr, "bench_models: there is no model below %s/models\n", bench_graphs()), 1;
    printf("%zu runs each, for %s; milliseconds; ! is over %d cold or %d from disk\n", o.repeat, arch, COLD_MS, DISK_MS);
    printf("%-26s %3s %3s %4s | %-6s  %6s %6s | %5s %5s %5s %5s %6s | %-5s  %5s\n", "model", "pcs", "cls", "krn", "cold",
           "median", "CPU", "read", "split", "sched", "LLVM", "assem", "disk", "med");
    for (size_t i = 0; i < n; i++)
        ok &= measure(models[i], o.repeat, &over);
    return !ok || (o.check && over);
}
