/*
 * examples/ops_tiny.h - what the files of the plugin jitc_tiny_ops share.
 *
 * The plugin gives vLLM's custom operators small, fixed meanings, so that whole models can be run and compared
 * without an inference engine.  Inputs are widened to double (exactly), everything inside is double, and the result is
 * rounded once to the dtype of the output.  A call works on copies of its tensors, row-major, from one scratch list;
 * whatever goes wrong is kept there and told at the end, so operators read top to bottom: load, expect, compute, store.
 */
#ifndef JITC_EXAMPLE_OPS_TINY_H
#define JITC_EXAMPLE_OPS_TINY_H

#include <stdbool.h>
#include <stddef.h>
#include "jitc/op.h"

#define TINY_MAX_RANK 8

/* --- ops_tensor.c --- */

typedef struct tiny_block tiny_block;
typedef struct tiny_scratch {
    jitc_call *call;
    tiny_block *blocks;
    bool failed;
} tiny_scratch;

/* A tensor's elements, row-major.  `at` is NULL when the tensor is None or something failed. */
typedef struct tiny_array {
    int rank;
    int64_t dims[TINY_MAX_RANK], n;
    double *at;
} tiny_array;

/* Zeroed; NULL (and failed) when memory is out. */
double *tiny_alloc(tiny_scratch *s, int64_t n);
tiny_array tiny_load(tiny_scratch *s, const DLTensor *t);
tiny_array tiny_shape(tiny_scratch *s, const DLTensor *t); /* the dims alone: of what is only written */
/* N row-major elements into T, whatever its shape, rounded to its dtype. */
void tiny_store(tiny_scratch *s, DLTensor *t, const double *from, int64_t n);
/* Fails with the sentence unless OK.  Returns whether everything went well so far. */
bool tiny_expect(tiny_scratch *s, bool ok, const char *sentence);
/* Frees the scratch; what the operator returns. */
int tiny_end(tiny_scratch *s);

int64_t tiny_dim(const tiny_array *a, int from_end);   /* 0: the last; 1 where there is none */
double tiny_round(DLDataType dtype, double x);
double tiny_largest(DLDataType dtype);                 /* finite value */
int64_t tiny_bytes(const DLTensor *t);                 /* from its first element to the end of its last */

static inline double *tiny_row(const tiny_array *a, int64_t row, int64_t width) { return a->at + row * width; }
double tiny_silu(double x);
double tiny_sigmoid(double x);
double tiny_softplus(double x);
double tiny_dot(const double *a, const float *b, int64_t n);

/* --- ops_weights.c --- */

uint64_t tiny_fnv1a(const char *layer, const char *tag); /* of LAYER "/" TAG */
/* COUNT values in [-1, 1) times the scale of FAN_IN, made once per layer and tag and kept until the plugin goes. */
const float *tiny_weight(tiny_scratch *s, const jitc_layer_name *layer, const char *tag, int64_t count, int64_t fan_in);
const char *tiny_layer_text(const jitc_layer_name *layer);

/* --- the operators --- */

/* One operator: its schema, the plain C function, and the same taken from a call frame (for the device wrapper, and for
   operators with a schema of "..."). */
typedef struct tiny_op {
    const char *schema;
    jitc_plain_function plain; /* NULL: frame only */
    jitc_frame_function frame;
    uint64_t writes;           /* arguments that are written: what the device wrapper copies back */
} tiny_op;

extern const tiny_op tiny_attention_ops[], tiny_rotary_ops[], tiny_moe_ops[], tiny_gdn_ops[], tiny_mamba_ops[],
    tiny_norm_ops[], tiny_triton_ops[]; /* each ends with a NULL schema */

#define TINY_PLAIN(f) ((jitc_plain_function)(f))

/* Argument I of a frame. */
static inline DLTensor *tiny_tensor(const jitc_call *c, uint32_t i) {
    return i < c->nargs && c->args[i].tag == JITC_TENSOR ? c->args[i].tensor : NULL;
}
static inline const jitc_layer_name *tiny_name(const jitc_call *c, uint32_t i) {
    return i < c->nargs && c->args[i].tag == JITC_NAME ? c->args[i].name : NULL;
}
static inline int64_t tiny_int(const jitc_call *c, uint32_t i) {
    return i < c->nargs && (c->args[i].tag == JITC_INT || c->args[i].tag == JITC_BOOL) ? c->args[i].i : 0;
}

/* --- ops_cuda.c --- */

/* Runs the frame of call->user, a tiny_op, on host copies of device tensors. */
int tiny_on_device(jitc_call *call);

#endif
