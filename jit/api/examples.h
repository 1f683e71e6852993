/*
 * jit/api/examples.h - strides of root parameters from example tensors.
 */
#ifndef JC_EXAMPLES_H
#define JC_EXAMPLES_H

#include "jit/api/model.h"

/* Are there as many examples as parameters, or none? */
jitc_status jc_examples_check(jitc_graph *const *graphs, uint32_t n, const jitc_model_options *o, jc_error *err);
/* EXAMPLES: one per parameter of G's root.  OUT has room for as many; N of them are filled, in ARENA. */
jitc_status jc_example_strides(const jc_graph *g, const DLTensor *const *examples, jc_arena *arena, jc_stride_entry *out,
                               uint32_t *n, jc_error *err);

#endif
