/*
 * program.c - jitc._jitc.Program: one built graph, called with tensors and integers.
 *
 * A call needs a frame, and a frame is one call's at a time.  So a program keeps a list of runs that nobody uses, each a frame with the
 * arrays that a call fills; a call takes one and makes one where there is none, so there come to be as many as threads were ever in the
 * program at once.  The list is guarded by the GIL, which a call gives up while the frame runs.
 *
 * Inputs are borrowed: their objects are the caller's arguments, which live until the call returns.  Results are made by the framework's
 * allocator when the frame asks for them and handed over afterwards: nothing is copied.
 */
#include "program.h"

#include <stdlib.h>

/* ---- memory ----------------------------------------------------------------------------------------------------- */

/* jitc_frame_options.result. */
static void give_result(void *user, uint32_t index, DLTensor *tensor, void *stream) {
    run *r = user;
    (void)stream; /* the current one, which is what the framework allocates for */
    if (!jx_give(r->program->context->state, tensor, &r->owned[index]))
        tensor->data = NULL;
}

/* jitc_frame_options.alloc: bytes as a tensor, aligned as that asks for: torch's own are to 64 on the CPU. */
#define JX_ALIGNMENT 256
static void *give_block(void *user, size_t size, void *stream) {
    run *r = user;
    int64_t shape = (int64_t)(size + JX_ALIGNMENT), stride = 1;
    block *b = calloc(1, sizeof *b);
    (void)stream;
    DLTensor bytes = { .device = r->program->context->place,
                       .ndim = 1,
                       .dtype = { kDLUInt, 8, 1 },
                       .shape = &shape,
                       .strides = &stride };
    if (!b || !jx_give(r->program->context->state, &bytes, &b->owned)) {
        free(b);
        return NULL;
    }
    uintptr_t first = (uintptr_t)bytes.data + bytes.byte_offset;
    b->data = (void *)((first + JX_ALIGNMENT - 1) / JX_ALIGNMENT * JX_ALIGNMENT);
    b->next = r->blocks;
    r->blocks = b;
    return b->data;
}

static void drop_block(void *user, void *data, size_t size, void *stream) {
    run *r = user;
    (void)size, (void)stream;
    for (block **at = &r->blocks; *at; at = &(*at)->next) {
        block *b = *at;
        if (b->data != data)
            continue;
        *at = b->next;
        jx_drop(&b->owned); /* frames are freed with the GIL held */
        free(b);
        return;
    }
}

/* ---- runs ------------------------------------------------------------------------------------------------------- */

static void run_free(run *r) {
    if (!r)
        return;
    jitc_frame_free(r->frame);
    free(r->values);
    free(r->results);
    free(r->tensors);
    free(r->rooms);
    free(r->owned);
    free(r->weights);
    free(r);
}

static void runs_free(void *runs) {
    for (run *r = runs, *next; r; r = next) {
        next = r->next;
        run_free(r);
    }
}

static run *run_new(program *p) {
    size_t nparams = p->nparams ? p->nparams : 1, nresults = p->nresults ? p->nresults : 1;
    jx_context *context = p->context;
    run *r = calloc(1, sizeof *r);
    if (!r)
        return (run *)PyErr_NoMemory();
    r->program = p;
    r->values = calloc(nparams, sizeof *r->values);
    r->tensors = calloc(nparams, sizeof *r->tensors);
    r->rooms = calloc(context->state->api ? 1 : nparams, sizeof *r->rooms);
    r->results = calloc(nresults, sizeof *r->results);
    r->owned = calloc(nresults, sizeof *r->owned);
    r->weights = calloc(p->nweights + 1, sizeof *r->weights);
    if (!r->values || !r->tensors || !r->rooms || !r->results || !r->owned || !r->weights) {
        run_free(r);
        return (run *)PyErr_NoMemory();
    }
    jitc_frame_options options = { .struct_size = sizeof options, .result = give_result, .user = r };
    if (context->framework_memory) {
        options.alloc = give_block;
        options.free = drop_block;
    }
    jitc_status status = jitc_frame_new(p->model, &options, &r->frame);
    if (status) {
        jx_raise(context->state, context->ctx, status);
        run_free(r);
        return NULL;
    }
    return r;
}

static run *run_take(program *p) {
    run *r = p->idle;
    if (!r)
        return run_new(p);
    p->idle = r->next;
    return r;
}

static void run_give_back(program *p, run *r) {
    for (uint32_t i = 0; i < p->nresults; i++)
        jx_drop(&r->owned[i]);
    r->next = p->idle;
    p->idle = r;
}

/* ---- a call ----------------------------------------------------------------------------------------------------- */

static int fill(program *p, run *r, PyObject *const *args) {
    for (uint32_t i = 0; i < p->nparams; i++) {
        jitc_value *v = &r->values[i];
        if (p->tags[i] == JITC_TENSOR) {
            if (jx_weights_fill(p, r, i, args[i]))
                return -1;
        } else {
            v->tag = p->tags[i];
            v->i = PyLong_AsLongLong(args[i]);
            if (v->i == -1 && PyErr_Occurred())
                return -1;
        }
    }
    for (uint32_t i = 0; i < p->nresults; i++)
        r->results[i].tag = JITC_NONE;
    return 0;
}

/* A result that is an argument, or a view of one. */
static PyObject *of_argument(program *p, run *r, PyObject *const *args, uint32_t i) {
    const DLTensor *result = r->results[i].tensor;
    for (uint32_t k = 0; k < p->nparams; k++)
        if (p->tags[k] == JITC_TENSOR && jx_lies_in(result, r->values[k].tensor))
            return jx_view_of(result, args[k], r->values[k].tensor);
    return PyErr_Format(p->context->state->error, "Result %u lies in the memory of an argument of another dtype, which is not supported.", i);
}

static PyObject *result_of(program *p, run *r, PyObject *const *args, uint32_t i) {
    const jitc_value *v = &r->results[i];
    if (v->tag == JITC_INT)
        return PyLong_FromLongLong(v->i);
    if (v->tag == JITC_TENSOR && (r->owned[i].managed || r->owned[i].object))
        return jx_hand_over(p->context->state, &r->owned[i]);
    if (v->tag == JITC_TENSOR)
        return of_argument(p, r, args, i);
    return PyErr_Format(p->context->state->error, "Result %u is neither a tensor nor an integer: such results are not for programs.", i);
}

static PyObject *collect(program *p, run *r, PyObject *const *args) {
    PyObject *tuple = PyTuple_New(p->nresults);
    for (uint32_t i = 0; tuple && i < p->nresults; i++) {
        PyObject *item = result_of(p, r, args, i);
        if (!item || PyTuple_SetItem(tuple, i, item))
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* Tells the framework which of ARGS were written. */
static int bump(program *p, PyObject *const *args) {
    for (uint32_t i = 0; p->nwritten && i < p->nparams; i++) {
        if (!p->written[i])
            continue;
        PyObject *answer = PyObject_CallFunctionObjArgs(p->context->state->functions[JX_BUMP], args[i], NULL);
        if (!answer)
            return -1;
        Py_DECREF(answer);
    }
    return 0;
}

/* The answer of the fallback: what is built says that it cannot take these arguments, and has done nothing. */
static PyObject *fall_back(program *p, PyObject *const *args, Py_ssize_t n) {
    PyObject *tuple = PyTuple_New(n), *answer = NULL;
    for (Py_ssize_t i = 0; tuple && i < n; i++) {
        Py_INCREF(args[i]);
        if (PyTuple_SetItem(tuple, i, args[i]))
            Py_CLEAR(tuple);
    }
    p->fallbacks++;
    if (tuple)
        answer = PyObject_Call(p->fallback, tuple, NULL);
    Py_XDECREF(tuple);
    return answer;
}

static PyObject *program_run(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    program *p = (program *)self;
    jx_context *context = p->context;
    PyObject *answer = NULL;
    jitc_status status = JITC_OK;
    void *stream;
    if (n != (Py_ssize_t)p->nparams)
        return PyErr_Format(PyExc_TypeError, "This program takes %u arguments; %zd were given.", p->nparams, n);
    run *r = run_take(p);
    if (!r)
        return NULL;
    if (!fill(p, r, args) && !jx_stream(context->state, context->place, &stream) &&
        !jx_hold_capture(context, r->frame, stream, &p->hold, &p->capture)) {
        p->calls++;
        Py_BEGIN_ALLOW_THREADS
        status = jitc_frame_run(r->frame, 0, stream, r->values, p->nparams, r->results, p->nresults);
        Py_END_ALLOW_THREADS
        if (!status && !bump(p, args))
            answer = collect(p, r, args);
        else if (status && (p->fallback == Py_None || (status != JITC_E_INPUT && status != JITC_E_UNSUPPORTED)))
            jx_raise(context->state, context->ctx, status);
    }
    run_give_back(p, r);
    if (!answer && !PyErr_Occurred())
        answer = fall_back(p, args, n);
    return answer;
}

/* ---- what it is ------------------------------------------------------------------------------------------------- */

static PyObject *program_params(PyObject *self, void *closure) {
    program *p = (program *)self;
    (void)closure;
    return jx_model_params(p->model, p->nparams, p->written);
}

/* Different kernels of a class. */
static unsigned long kernels_of(program *p, uint32_t cls) {
    const jitc_executable *exe;
    jitc_executable_variant variant = { .struct_size = sizeof variant };
    bool known = !jitc_model_executable(p->model, cls, &exe) && !jitc_executable_get_variant(exe, 0, &variant);
    return known ? variant.kernels : 0;
}

static PyObject *program_stats(PyObject *self, void *closure) {
    program *p = (program *)self;
    jitc_model_stats s = { .struct_size = sizeof s };
    unsigned long frames = 0, kernels = 0;
    (void)closure;
    for (run *r = p->idle; r; r = r->next)
        frames++;
    for (uint32_t c = 0; c < jitc_model_classes(p->model); c++)
        kernels += kernels_of(p, c);
    jitc_model_get_stats(p->model, &s);
    return Py_BuildValue("{s:K,s:K,s:K,s:k,s:K,s:K,s:k,s:d}", "calls", p->calls, "fallbacks", p->fallbacks, "bound", p->bound, "frames",
                         frames, "compiled", (unsigned long long)s.compiled, "hits", (unsigned long long)s.hits, "kernels", kernels,
                         "ms", s.ms_total);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

PyObject *jx_program_new(jx_context *context, jitc_graph *graph, jitc_model *model, PyObject *fallback, PyObject *weights) {
    program *p = (program *)PyType_GenericAlloc(context->state->program_type, 0);
    if (!p) {
        jitc_model_free(model);
        jitc_graph_free(graph);
        return NULL;
    }
    Py_INCREF(context);
    Py_INCREF(fallback);
    p->context = context;
    p->graph = graph;
    p->model = model;
    p->fallback = fallback;
    p->nparams = jitc_model_params(model, 0);
    p->nresults = jitc_model_outputs(model, 0);
    p->tags = calloc(p->nparams + 1, sizeof *p->tags);
    p->written = calloc(p->nparams + 1, sizeof *p->written);
    p->weight_of = calloc(p->nparams + 1, sizeof *p->weight_of);
    jitc_status status = p->tags && p->written && p->weight_of ? jx_model_learn(model, p->nparams, p->tags, p->written) : JITC_E_NOMEM;
    for (uint32_t i = 0; !status && i < p->nparams; i++)
        p->nwritten += p->written[i];
    if (status || (weights && jx_weights_mark(p, weights))) {
        if (status)
            jx_raise(context->state, context->ctx, status);
        Py_DECREF(p);
        return NULL;
    }
    return (PyObject *)p;
}

static int program_traverse(PyObject *self, visitproc visit, void *arg) {
    program *p = (program *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(p->context);
    Py_VISIT(p->fallback);
    return 0;
}

static int program_clear(PyObject *self) {
    Py_CLEAR(((program *)self)->fallback);
    return 0;
}

static void program_dealloc(PyObject *self) {
    program *p = (program *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    jx_hold_leave(p->hold, runs_free, (jx_remains){ p->idle, p->model, p->graph, p->context });
    free(p->tags);
    free(p->written);
    free(p->weight_of);
    Py_CLEAR(p->fallback);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *program_save(PyObject *self, PyObject *unused) {
    program *p = (program *)self;
    (void)unused;
    return jx_bundle_write(p->context, p->model);
}

static PyMethodDef methods[] = {
    { "run", (PyCFunction)(void (*)(void))program_run, METH_FASTCALL,
      "run(*args) -> tuple\n\nRuns the program: tensors and integers, one per parameter, in order.  Results are new tensors and integers." },
    { "save", program_save, METH_NOARGS, "save() -> bytes\n\nThe program as a bundle, for Context.load()." },
    { 0 },
};

static PyGetSetDef attributes[] = {
    { "params", program_params, NULL, "Parameters: tuples of name, type and whether the tensor is written.", NULL },
    { "stats", program_stats, NULL, "Counts of calls, fallbacks, weights bound and frames, and of what was built.", NULL },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_doc, "A graph that was built: see Context.build()." },
    { Py_tp_methods, methods },
    { Py_tp_getset, attributes },
    { Py_tp_traverse, program_traverse },
    { Py_tp_clear, program_clear },
    { Py_tp_dealloc, program_dealloc },
    { 0, NULL },
};

PyType_Spec jx_program_spec = { "jitc._jitc.Program", sizeof(program), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots };
