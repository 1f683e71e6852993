/*
 * examples/ops_recurrent.h - what the recurrent layers share.
 */
#ifndef JITC_EXAMPLE_OPS_RECURRENT_H
#define JITC_EXAMPLE_OPS_RECURRENT_H

#include "ops_tiny.h"

/* silu of a causal convolution of four taps per channel, w [C,4], nothing before token 0.  X has rows PITCH apart;
   OUT [T,C]. */
void tiny_conv_silu(const double *x, int64_t pitch, int64_t tokens, int64_t channels, const float *w, double *out);

#endif
