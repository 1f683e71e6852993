/*
 * bench/bench_large.c - large graphs: what compiling one costs a node, and whether four times as many nodes cost four times as much.
 *
 *   bench_large [--assert] [--arch A] [NAME...]
 *
 * CPU time and memory of a process each, one thread, no cache.  With --assert it exits 1 where a node of the larger graph costs more than 1.6
 * times one of the smaller, or where 100,000 nodes of one piece take 60 s or 1 GB.
 */
#define _GNU_SOURCE /* wait4 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "jitc/jitc.h"
#include "tests/large_graphs.h"

#define TIMES 4
#define GROWTH 1.6

typedef struct cost {
    double ms, mb;
} cost;

static int compile(const char *text, const char *arch) {
    jitc_context_options co = { .struct_size = sizeof co, .cache_dir = "", .threads = 1 };
    jitc_model_options mo = { .struct_size = sizeof mo, .arch = arch };
    jitc_context *ctx;
    jitc_graph *g = NULL;
    jitc_model *m = NULL;
    if (jitc_context_new(&co, &ctx) == JITC_OK && jitc_graph_read(ctx, "bench", text, strlen(text), &g) == JITC_OK &&
        jitc_model_build(ctx, &g, 1, &mo, &m) == JITC_OK)
        return 0;
    fprintf(stderr, "bench_large: %s\n", jitc_context_error(ctx));
    return 1;
}

/* In a process of its own: memory counts at its highest. */
static cost measure(const char *name, int n, const char *arch) {
    struct rusage used;
    int status;
    char *text = large_text(name, n);
    pid_t child = text ? fork() : -1;
    if (child == 0)
        _exit(compile(text, arch));
    free(text);
    if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) {
        fprintf(stderr, "bench_large: %s of %d nodes did not compile\n", name, n);
        exit(1);
    }
    return (cost){ (double)used.ru_utime.tv_sec * 1e3 + (double)used.ru_utime.tv_usec * 1e-3 + (double)used.ru_stime.tv_sec * 1e3 +
                       (double)used.ru_stime.tv_usec * 1e-3,
                   (double)used.ru_maxrss / 1024 };
}

/* Enough of each that starting counts little. */
static const struct {
    const char *name;
    int n;
} graphs[] = { { "adds", 10000 },  { "functions", 400 }, { "reductions", 200 }, { "norms", 100 }, { "wide", 1000 },   { "parts", 1000 },
               { "views", 1000 },  { "writes", 1000 },   { "lookups", 1000 },   { "operands", 1000 }, { "doubles", 10000 } };

static bool asked_for(const char *name, char *const *names, int n) {
    bool is = n == 0;
    for (int i = 0; i < n; i++)
        is = is || strcmp(names[i], name) == 0;
    return is;
}

int main(int argc, char **argv) {
    bench_options o = { .arch = "host" };
    unsigned over = 0;
    int nnames = 0;
    for (int i = 1; i < argc; i++)
        if (!bench_option(argc, argv, &i, &o))
            argv[nnames++] = argv[i];
    printf("large graphs for %s: CPU ms, and the cost of a node of %d times as many ÷ that of one\n", o.arch, TIMES);
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        if (!asked_for(graphs[i].name, argv, nnames))
            continue;
        const cost least = measure("adds", 1, o.arch), small = measure(graphs[i].name, graphs[i].n, o.arch);
        const cost large = measure(graphs[i].name, TIMES * graphs[i].n, o.arch);
        char what[80];
        snprintf(what, sizeof what, "%s: %d in %.0f ms, %d in %.0f ms", graphs[i].name, graphs[i].n, small.ms, TIMES * graphs[i].n, large.ms);
        bench_line(what, (large.ms - least.ms) / (small.ms - least.ms) / TIMES, "times", o.check ? GROWTH : 0, &over);
    }
    if (asked_for("adds", argv, nnames)) {
        const cost c = measure("adds", 100000, o.arch);
        bench_line("100,000 nodes in one piece", c.ms / 1e3, "s", o.check ? 60 : 0, &over);
        bench_line("100,000 nodes in one piece", c.mb, "MB", o.check ? 1000 : 0, &over);
    }
    return over ? 1 : 0;
}
