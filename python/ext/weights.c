/*
 * weights.c - weights bound once: parameters that are the same tensor in every call.
 *
 * A frame has them bound (jitc_frame_bind), so that libjitc neither looks at them nor checks them in a call.  What a call still asks is
 * whether the tensor is what was bound: the same object, of the same memory, dtype, sizes and strides (jx_abi_same).  So a parameter that is
 * replaced (`module.weight = ...`, load_state_dict(assign=True)), gets other memory (`p.data = ...`, module.to()) or other sizes
 * (resize_()) is bound anew, and no call ever sees an old address.  Elements that are written in place are read as they are.
 *
 * Where programs are shared by layers with weights of their own, each call would bind anew.  A program that has to do so often stops, and
 * passes its weights like any tensor.
 */
#include "program.h"

int jx_weights_mark(program *p, PyObject *weights) {
    Py_ssize_t n = PyList_Size(weights);
    for (Py_ssize_t k = 0; k < n; k++) {
        unsigned long i = PyLong_AsUnsignedLong(PyList_GetItem(weights, k));
        if (PyErr_Occurred())
            return -1;
        if (i >= p->nparams || p->tags[i] != JITC_TENSOR) {
            PyErr_Format(PyExc_ValueError, "weights: there is no tensor among the parameters with number %lu", i);
            return -1;
        }
        if (!p->written[i] && !p->weight_of[i])
            p->weight_of[i] = ++p->nweights;
    }
    return n < 0 ? -1 : 0;
}

/* Whether binding still pays: a program calls with what it has bound far more often than not. */
static bool worth_binding(program *p) {
    p->varied = p->varied || p->bound > 8ull * p->nweights + p->calls * p->nweights / 16;
    return !p->varied;
}

static void unbind(run *r, uint32_t i, jx_seen *seen) {
    if (seen->object)
        jitc_frame_bind(r->frame, 0, i, (jitc_value){ .tag = JITC_NONE });
    seen->object = NULL;
}

static void bind(program *p, run *r, uint32_t i, PyObject *object, jx_seen *seen) {
    jx_abi_see(p->context->state->abi, object, &r->tensors[i], seen);
    if (seen->object && jitc_frame_bind(r->frame, 0, i, r->values[i])) {
        seen->object = NULL; /* it does not fit: the call says so */
        return;
    }
    p->bound += seen->object != NULL;
}

int jx_weights_fill(program *p, run *r, uint32_t i, PyObject *object) {
    jx_state *state = p->context->state;
    jx_seen *seen = p->weight_of[i] ? &r->weights[p->weight_of[i] - 1] : NULL;
    bool plain = seen && jx_is_plain_tensor(state, object);
    jitc_value *v = &r->values[i];
    if (plain && seen->object && !p->varied && jx_abi_same(state->abi, object, seen)) {
        v->tag = JITC_NONE;
        return 0;
    }
    v->tag = JITC_TENSOR;
    v->tensor = &r->tensors[i];
    if (jx_borrow(state, object, v->tensor, state->api ? r->rooms : &r->rooms[i]))
        return -1;
    if (seen)
        unbind(r, i, seen);
    if (plain && worth_binding(p)) {
        bind(p, r, i, object, seen);
        v->tag = seen->object ? JITC_NONE : JITC_TENSOR;
    }
    return 0;
}
