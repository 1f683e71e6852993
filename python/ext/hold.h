/*
 * hold.h - what captured CUDA graphs refer to stays as long as they do.
 *
 * A graph that captured a call refers to kernels and to scratch memory.  Its owner, a program say, may be gone before the graph: then what
 * it leaves here is freed later, when the driver has said that the last graph is gone.  The driver says so from a thread of its own, where
 * nothing may be done, so that what is due waits for the next call of jx_hold_sweep().
 */
#ifndef JITC_EXT_HOLD_H
#define JITC_EXT_HOLD_H

#include "ext.h"

typedef struct jx_hold jx_hold;

/* What an owner leaves: no weights, which are the caller's, and no Python functions. */
typedef struct jx_remains {
    void *frames; /* of the owner's kind */
    jitc_model *model;
    jitc_graph *graph;
    jx_context *context;
} jx_remains;

/* Before a call in FRAME: if STREAM is being captured, the graph holds *HOLD, which is made where it is NULL. *CAPTURE: of the owner, the
   capture that it was in last. Answers -1 with an exception set. With the GIL held, like all here. */
int jx_hold_capture(jx_context *context, jitc_frame *frame, void *stream, jx_hold **hold, uint64_t *capture);
/* The owner goes. What it leaves is freed, its frames by FREE_FRAMES, now or when no graph holds HOLD any more. HOLD may be NULL. */
void jx_hold_leave(jx_hold *hold, void (*free_frames)(void *frames), jx_remains left);
/* Frees what graphs have let go. */
void jx_hold_sweep(void);
/* left_behind() of the module. */
PyObject *jx_hold_count(PyObject *module, PyObject *unused);

#endif
