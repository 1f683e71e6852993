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
