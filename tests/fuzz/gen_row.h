/*
 * tests/fuzz/gen_row.h - statements by rows of a table: what a spelling takes, what it is called with, what comes out.  See gen_row.c.
 */
#ifndef FUZZ_GEN_ROW_H
#define FUZZ_GEN_ROW_H

#include "tests/fuzz/fuzz.h"

#define FZ_OPERANDS 6

/* What a fact of a result is made from: ranges of the operands that are no indices and no bools, in their order; the row's number. */
typedef struct fz_facts {
    int n;
    fz_range in[FZ_OPERANDS];
    double k;
    double least;   /* elements of the first operand, in the run that has the fewest */
    uint8_t dtype;  /* of the operand that the result goes by */
    double (*f)(const double *x);
} fz_facts;
typedef bool fz_fact(const fz_facts *known, fz_range *out);

typedef struct fz_row {
    const char *name, *forms, *operands, *rest, *when, *results;
    fz_fact *fact;
    const char *k;
    int rough;  /* roundings to the dtype midway, of values no larger than operands and result */
    double (*f)(const double *x);
} fz_row;

extern const fz_row fz_rows[];
extern const int fz_nrows;
/* A program of this statement alone; NULL where it came to nothing. */
fz_prog *fz_generate_row(jc_arena *arena, uint64_t seed, const fz_row *row);

/* facts (gen_row_fact.c) */
fz_fact fz_within, fz_moved, fz_moved_or_0, fz_moved_or_1, fz_moved_or_k, fz_second, fz_whole, fz_places, fz_plus_k, fz_difference, fz_fraction, fz_truncated, fz_bits,
    fz_shifted, fz_summed, fz_put_sum, fz_put_mean, fz_meaned, fz_meaned_apart, fz_dotted, fz_dotted_apart, fz_added_dot, fz_crossed, fz_bilinear, fz_norm_1,
    fz_norm_2, fz_norm_inf, fz_distance_1, fz_distance_2, fz_normed, fz_directed, fz_held, fz_variance, fz_deviation, fz_softmaxed, fz_log_softmaxed, fz_log_summed,
    fz_attended, fz_many_headed, fz_sampled, fz_summed_apart, fz_scaled_dot, fz_weighed, fz_first, fz_floored, fz_computed, fz_computed_twice, fz_computed_sum, fz_computed_mean;
/* Makes a statement of ROW, or leaves P as a statement that came to nothing does. */
bool fz_make_row(fz_prog *p, const fz_row *row);
/* F of N operands, each within its range: interval and error; false where it is not finite. */
bool fz_apply_all(double (*f)(const double *), int n, const fz_range *in, fz_range *out);

#endif
