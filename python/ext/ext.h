/*
 * ext.h - what the files of the extension module share.
 *
 * The module is built against CPython's limited API (3.10), so one binary serves every later CPython, and it knows no framework:
 * what it needs of torch comes in through _jitc.adopt().  It uses libjitc's public headers alone.
 */
#ifndef JITC_EXT_H
#define JITC_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "jitc/jitc.h"

#define JX_MAX_DIMS 8 /* as libjitc's */

struct jx_exchange_api;
struct jx_abi;

/* Functions of the framework, in Python; what each takes and gives stands in jitc/_torch.py. */
typedef enum jx_function {
    JX_DESCRIBE, /* what a tensor is */
    JX_EMPTY,    /* a new one */
    JX_STREAM,   /* the stream that work goes to */
    JX_BUMP,     /* tells that a tensor was written */
    JX_FUNCTIONS,
} jx_function;

typedef struct jx_state {
    PyObject *error;        /* jitc.Error */
    PyTypeObject *context_type, *program_type, *region_type;
    /* What adopt() took. */
    const struct jx_exchange_api *api; /* NULL: the plain way */
    const struct jx_abi *abi;          /* NULL: torch's C functions are not used */
    PyObject *tensor_type, *parameter_type, *functions[JX_FUNCTIONS];
    PyObject *is_neg; /* str */
} jx_state;

typedef struct jx_context {
    PyObject_HEAD
    jx_state *state;
    jitc_context *ctx;
    PyObject *device; /* str */
    DLDevice place;
    bool framework_memory; /* scratch comes from the framework's allocator */
} jx_context;

/* Raises jitc.Error for what CTX says of STATUS; answers NULL. */
PyObject *jx_raise(jx_state *state, jitc_context *ctx, jitc_status status);

/* Takes MODEL and GRAPH (NULL: it came without text) over, also on failure. WEIGHTS: a list of numbers of parameters; NULL: none. */
PyObject *jx_program_new(jx_context *context, jitc_graph *graph, jitc_model *model, PyObject *fallback, PyObject *weights);

/* MODEL as bytes, which jx_bundle_read(), the method Context.load(), makes a program of again. */
PyObject *jx_bundle_write(jx_context *context, jitc_model *model);
PyObject *jx_bundle_read(PyObject *self, PyObject *args, PyObject *kwargs);

#define JX_TRY(call)                         \
    do {                                     \
        jitc_status jx_status = (call);      \
        if (jx_status)                       \
            return jx_status;                \
    } while (0)

/* walk.c, ahead.c: functions of the module. */
PyObject *jx_walk(PyObject *module, PyObject *args);
PyObject *jx_archive_refusals(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *jx_archive_compile(PyObject *module, PyObject *args, PyObject *kwargs);

extern PyType_Spec jx_context_spec, jx_program_spec, jx_region_spec, jx_loaded_spec;

/* The kinds of MODEL's N parameters, and which of them it writes: it is one piece, and its classes say so by the names of their first
   member, which that piece is. */
jitc_status jx_model_learn(jitc_model *model, uint32_t n, uint32_t *tags, bool *written);
/* (name, type, written) of each parameter. */
PyObject *jx_model_params(jitc_model *model, uint32_t n, const bool *written);

#endif
