/*
 * jit/api/pairs.h - complex tensors of a caller as graphs take them: their memory, pairs of real numbers.
 */
#ifndef JC_PAIRS_H
#define JC_PAIRS_H

#include "ir/type.h"
#include "jitc/value.h"

/* T, of kDLComplex, with one dim more; the numbers are in `at`. */
typedef struct jc_pairs {
    DLTensor tensor;
    int64_t at[2 * (JC_MAX_RANK + 1)];
} jc_pairs;

/* False: T is no complex tensor that we know, and OUT is as it was. */
bool jc_as_pairs(const DLTensor *t, jc_pairs *out);

/* How many of VALUES are complex tensors. */
uint32_t jc_count_complex(const jitc_value *values, uint32_t n);
/* VALUES with pairs in their place, of which PAIRS has room for each. */
void jc_values_as_pairs(const jitc_value *values, uint32_t n, jitc_value *out, jc_pairs *pairs);

#endif
