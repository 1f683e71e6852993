/*
 * program.h - a program and what its calls fill; for program.c and weights.c.
 */
#ifndef JITC_EXT_PROGRAM_H
#define JITC_EXT_PROGRAM_H

#include "abi.h"
#include "exchange.h"
#include "hold.h"

/* Scratch memory of a frame that came from the framework. */
typedef struct block {
    struct block *next;
    jx_owned owned;
    void *data;
} block;

/* A frame with the arrays that a call fills: one call's at a time. */
typedef struct run {
    struct run *next;
    struct program *program;
    jitc_frame *frame;
    block *blocks;
    jitc_value *values, *results;
    DLTensor *tensors;
    jx_room *rooms;
    jx_owned *owned;
    jx_seen *weights; /* per weight: what the frame has bound */
} run;

typedef struct program {
    PyObject_HEAD
    jx_context *context;
    jitc_graph *graph;
    jitc_model *model;
    PyObject *fallback; /* called instead where a call does not fit what was built; None: it fails */
    run *idle;
    uint32_t nparams, nresults;
    uint32_t *tags;     /* of parameters: JITC_TENSOR, JITC_INT */
    bool *written;
    uint32_t nwritten;
    uint32_t *weight_of; /* per parameter: its number among the weights, from 1 on; 0: it is none */
    uint32_t nweights;
    unsigned long long calls, fallbacks, bound;
    jx_hold *hold;       /* by graphs that captured calls; NULL: there was none */
    uint64_t capture;    /* the last */
    bool varied; /* weights come and go, as where layers share a program: binding them would not pay */
} program;

/* Marks the parameters of whose numbers WEIGHTS is a list.  -1 with an exception set. */
int jx_weights_mark(program *p, PyObject *weights);
/* Fills the value of parameter I, a tensor: nothing, where the frame has it bound. */
int jx_weights_fill(program *p, run *r, uint32_t i, PyObject *object);

#endif
