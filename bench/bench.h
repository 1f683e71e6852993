/*
 * bench/bench.h - what the measuring programs share: statistics, limits, where the graphs are.
 */
#ifndef JC_BENCH_H
#define JC_BENCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int bench_order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts AT. */
static inline double bench_median(double *at, size_t n) {
    qsort(at, n, sizeof *at, bench_order);
    return n ? at[n / 2] : 0;
}

static inline const char *bench_graphs(void) {
    const char *dir = getenv("JITC_GRAPHS");
    return dir && *dir ? dir : TEST_SRCDIR "/../shared/graphs";
}

/* --assert, --arch A, --repeat N. Moves *I past what it takes; false when argv[*I] is none of them. */
typedef struct bench_options {
    bool check;
    const char *arch;
    size_t repeat;
} bench_options;

static inline bool bench_option(int argc, char **argv, int *i, bench_options *o) {
    bool more = *i + 1 < argc;
    if (strcmp(argv[*i], "--assert") == 0)
        return o->check = true;
    if (strcmp(argv[*i], "--arch") == 0 && more)
        return o->arch = argv[++*i], true;
    if (strcmp(argv[*i], "--repeat") == 0 && more && atoi(argv[*i + 1]) > 0)
        return o->repeat = (size_t)atoi(argv[++*i]), true;
    return false;
}

/* One line of a report; counts into *OVER when the limit is broken. */
static inline void bench_line(const char *what, double value, const char *unit, double limit, unsigned *over) {
    bool bad = limit > 0 && value > limit;
    *over += bad;
    printf("  %-44s %10.3f %s", what, value, unit);
    if (limit > 0)
        printf("   limit %g: %s", limit, bad ? "OVER" : "ok");
    printf("\n");
}

#endif
