/*
 * hold.c - see hold.h.
 */
#include "hold.h"

#include <stdatomic.h>
#include <stdlib.h>

struct jx_hold {
    atomic_uint users; /* graphs, and the owner */
    struct jx_hold *next;
    void (*free_frames)(void *frames);
    jx_remains left;
};

static unsigned long left_behind; /* holds that are there for graphs alone; the GIL's */
static _Atomic(jx_hold *) due; /* a stack: those whose last user was a graph */

static bool was_last(jx_hold *hold) {
    return atomic_fetch_sub(&hold->users, 1) == 1;
}

/* Called by the driver. */
static void let_go(void *user) {
    jx_hold *hold = user;
    if (!was_last(hold))
        return;
    hold->next = atomic_load(&due);
    while (!atomic_compare_exchange_weak(&due, &hold->next, hold))
        ;
}

int jx_hold_capture(jx_context *context, jitc_frame *frame, void *stream, jx_hold **hold, uint64_t *capture) {
    if (context->place.device_type == kDLCPU)
        return 0;
    if (!*hold && (*hold = calloc(1, sizeof **hold)))
        atomic_init(&(*hold)->users, 1);
    if (!*hold) {
        PyErr_NoMemory();
        return -1;
    }
    const uint64_t before = *capture;
    atomic_fetch_add(&(*hold)->users, 1);
    jitc_status status = jitc_frame_capture(frame, stream, let_go, *hold, capture);
    if (status || !*capture || *capture == before)
        atomic_fetch_sub(&(*hold)->users, 1); /* never the last: the owner is there */
    if (status) {
        jx_raise(context->state, context->ctx, status);
        return -1;
    }
    if (!*capture)
        jx_hold_sweep(); /* in a capture it would be legal, but nothing of it is due now */
    return 0;
}

static void free_remains(void (*free_frames)(void *frames), const jx_remains *left) {
    free_frames(left->frames);
    jitc_model_free(left->model);
    jitc_graph_free(left->graph);
    Py_XDECREF(left->context);
}

static void finish(jx_hold *hold) {
    left_behind--;
    free_remains(hold->free_frames, &hold->left);
    free(hold);
}

void jx_hold_leave(jx_hold *hold, void (*free_frames)(void *frames), jx_remains left) {
    if (!hold) {
        free_remains(free_frames, &left);
        return;
    }
    hold->free_frames = free_frames;
    hold->left = left;
    left_behind++;
    if (was_last(hold))
        finish(hold);
}

void jx_hold_sweep(void) {
    if (!atomic_load_explicit(&due, memory_order_relaxed))
        return;
    for (jx_hold *hold = atomic_exchange(&due, NULL), *next; hold; hold = next) {
        next = hold->next;
        finish(hold);
    }
}

PyObject *jx_hold_count(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    jx_hold_sweep();
    return PyLong_FromUnsignedLong(left_behind);
}
