/*
 * loaded.c - jitc._jitc.Loaded: a whole model from a bundle, with its weights bound once, called with what is left.
 *
 * A call takes a frame of a list of idle ones, as programs do (program.c), and makes one where there is none; weights are bound when it is made.
 * A result that lies in the memory of an argument or of a weight is a view of that tensor.
 */
#include "exchange.h"
#include "hold.h"

#include <stdlib.h>
#include <string.h>

typedef struct frame {
    struct frame *next;
    struct loaded *owner;
    jitc_frame *frame;
    jitc_value *values, *results;
    DLTensor *tensors;
    jx_room *rooms;
    jx_owned *owned;
} frame;

typedef struct loaded {
    PyObject_HEAD
    jx_context *context;
    jitc_model *model;
    frame *idle;
    uint32_t nparams, nresults, nopen;
    uint32_t *tags;      /* of parameters */
    bool *written;
    PyObject **bound;    /* by parameter; NULL: it comes with each call */
    jx_hold *hold;       /* by graphs that captured calls; NULL: there was none */
    uint64_t capture;    /* the last */
    bool used;           /* a frame has been made: nothing is bound any more */
} loaded;

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void frame_free(frame *f) {
    if (!f)
        return;
    jitc_frame_free(f->frame);
    free(f->values);
    free(f->results);
    free(f->tensors);
    free(f->rooms);
    free(f->owned);
    free(f);
}

static void frames_free(void *frames) {
    for (frame *f = frames, *next; f; f = next) {
        next = f->next;
        frame_free(f);
    }
}

static void give_result(void *user, uint32_t index, DLTensor *tensor, void *stream) {
    frame *f = user;
    (void)stream; /* the current one, which is what the framework allocates for */
    if (!jx_give(f->owner->context->state, tensor, &f->owned[index]))
        tensor->data = NULL;
}

static int bind_all(loaded *p, frame *f) {
    for (uint32_t i = 0; i < p->nparams; i++) {
        if (!p->bound[i])
            continue;
        if (jx_borrow(p->context->state, p->bound[i], &f->tensors[i], &f->rooms[i]))
            return -1;
        const jitc_value v = { .tag = JITC_TENSOR, .tensor = &f->tensors[i] };
        jitc_status status = jitc_frame_bind(f->frame, 0, i, v);
        if (status) {
            jx_raise(p->context->state, p->context->ctx, status);
            return -1;
        }
    }
    return 0;
}

static frame *frame_new(loaded *p) {
    const size_t nparams = (size_t)p->nparams + 1, nresults = (size_t)p->nresults + 1;
    frame *f = calloc(1, sizeof *f);
    if (!f)
        return (frame *)PyErr_NoMemory();
    f->owner = p;
    f->values = calloc(nparams, sizeof *f->values);
    f->tensors = calloc(nparams, sizeof *f->tensors);
    f->rooms = calloc(nparams, sizeof *f->rooms);
    f->results = calloc(nresults, sizeof *f->results);
    f->owned = calloc(nresults, sizeof *f->owned);
    const bool room = f->values && f->tensors && f->rooms && f->results && f->owned;
    const jitc_frame_options options = { .struct_size = sizeof options, .result = give_result, .user = f };
    jitc_status status = room ? jitc_frame_new(p->model, &options, &f->frame) : JITC_E_NOMEM;
    if (status)
        jx_raise(p->context->state, p->context->ctx, status);
    if (status || bind_all(p, f)) {
        frame_free(f);
        return NULL;
    }
    p->used = true;
    return f;
}

static frame *take(loaded *p) {
    frame *f = p->idle;
    if (!f)
        return frame_new(p);
    p->idle = f->next;
    return f;
}

static void give_back(loaded *p, frame *f) {
    for (uint32_t i = 0; i < p->nresults; i++)
        jx_drop(&f->owned[i]);
    f->next = p->idle;
    p->idle = f;
}

/* ---- a call ----------------------------------------------------------------------------------------------------- */

static int fill(loaded *p, frame *f, PyObject *const *args) {
    for (uint32_t i = 0; i < p->nparams; i++) {
        jitc_value *v = &f->values[i];
        v->tag = p->bound[i] ? JITC_NONE : p->tags[i];
        if (p->bound[i])
            continue;
        PyObject *arg = *args++;
        if (v->tag == JITC_TENSOR) {
            v->tensor = &f->tensors[i];
            if (jx_borrow(p->context->state, arg, v->tensor, &f->rooms[i]))
                return -1;
        } else {
            v->i = PyLong_AsLongLong(arg);
            if (v->i == -1 && PyErr_Occurred())
                return -1;
        }
    }
    for (uint32_t i = 0; i < p->nresults; i++)
        f->results[i].tag = JITC_NONE;
    return 0;
}

static PyObject *result_of(loaded *p, frame *f, PyObject *const *args, uint32_t i) {
    const jitc_value *v = &f->results[i];
    if (v->tag == JITC_INT)
        return PyLong_FromLongLong(v->i);
    if (v->tag != JITC_TENSOR) {
        Py_INCREF(Py_None);
        return Py_None;
    }
    if (f->owned[i].managed || f->owned[i].object)
        return jx_hand_over(p->context->state, &f->owned[i]);
    for (uint32_t k = 0, open = 0; k < p->nparams; open += !p->bound[k], k++) {
        const DLTensor *t = &f->tensors[k];
        if (p->tags[k] == JITC_TENSOR && jx_lies_in(v->tensor, t))
            return jx_view_of(v->tensor, p->bound[k] ? p->bound[k] : args[open], t);
    }
    return PyErr_Format(p->context->state->error, "Result %u lies in the memory of an argument of another dtype, which is not supported.", i);
}

static PyObject *collect(loaded *p, frame *f, PyObject *const *args) {
    PyObject *tuple = PyTuple_New(p->nresults);
    for (uint32_t i = 0; tuple && i < p->nresults; i++) {
        PyObject *item = result_of(p, f, args, i);
        if (!item || PyTuple_SetItem(tuple, i, item))
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* Tells the framework what was written. */
static int bump(loaded *p, PyObject *const *args) {
    for (uint32_t i = 0, open = 0; i < p->nparams; open += !p->bound[i], i++) {
        if (!p->written[i])
            continue;
        PyObject *object = p->bound[i] ? p->bound[i] : args[open];
        PyObject *answer = PyObject_CallFunctionObjArgs(p->context->state->functions[JX_BUMP], object, NULL);
        if (!answer)
            return -1;
        Py_DECREF(answer);
    }
    return 0;
}

static PyObject *loaded_run(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    loaded *p = (loaded *)self;
    PyObject *answer = NULL;
    void *stream;
    if (n != (Py_ssize_t)p->nopen)
        return PyErr_Format(PyExc_TypeError, "This model takes %u arguments; %zd were given.", p->nopen, n);
    frame *f = take(p);
    if (!f)
        return NULL;
    if (!fill(p, f, args) && !jx_stream(p->context->state, p->context->place, &stream) &&
        !jx_hold_capture(p->context, f->frame, stream, &p->hold, &p->capture)) {
        jitc_status status;
        Py_BEGIN_ALLOW_THREADS
        status = jitc_frame_run(f->frame, 0, stream, f->values, p->nparams, f->results, p->nresults);
        Py_END_ALLOW_THREADS
        if (status)
            jx_raise(p->context->state, p->context->ctx, status);
        else if (!bump(p, args))
            answer = collect(p, f, args);
    }
    give_back(p, f);
    return answer;
}

static PyObject *loaded_bind(PyObject *self, PyObject *args) {
    loaded *p = (loaded *)self;
    PyObject *tensor;
    unsigned param;
    if (!PyArg_ParseTuple(args, "IO", &param, &tensor))
        return NULL;
    if (param >= p->nparams || p->bound[param] || p->used)
        return PyErr_Format(PyExc_ValueError, "Parameter %u cannot be bound: there is none, or it is, or the model has run.", param);
    Py_INCREF(tensor);
    p->bound[param] = tensor;
    p->nopen--;
    Py_INCREF(Py_None);
    return Py_None;
}

/* ---- what it is ------------------------------------------------------------------------------------------------- */

static PyObject *loaded_params(PyObject *self, void *closure) {
    loaded *p = (loaded *)self;
    (void)closure;
    return jx_model_params(p->model, p->nparams, p->written);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static PyObject *loaded_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = { "context", "name", "data", "arch", NULL };
    jx_state *state = PyType_GetModuleState(type);
    PyObject *context;
    const char *name, *data, *arch = NULL;
    Py_ssize_t size;
    jitc_bundle *bundle = NULL;
    if (!state || !PyArg_ParseTupleAndKeywords(args, kwargs, "O!sy#|z", names, state->context_type, &context, &name, &data, &size, &arch))
        return NULL;
    loaded *p = (loaded *)PyType_GenericAlloc(type, 0);
    if (!p)
        return NULL;
    Py_INCREF(context);
    p->context = (jx_context *)context;
    jitc_status status = jitc_bundle_open_bytes(p->context->ctx, name, data, (size_t)size, &bundle);
    if (!status)
        status = jitc_bundle_model(bundle, arch, &p->model);
    if (!status) {
        p->nparams = p->nopen = jitc_model_params(p->model, 0);
        p->nresults = jitc_model_outputs(p->model, 0);
        p->tags = calloc((size_t)p->nparams + 1, sizeof *p->tags);
        p->written = calloc((size_t)p->nparams + 1, sizeof *p->written);
        p->bound = calloc((size_t)p->nparams + 1, sizeof(PyObject *));
        status = p->tags && p->written && p->bound ? jx_model_learn(p->model, p->nparams, p->tags, p->written) : JITC_E_NOMEM;
    }
    jitc_bundle_close(bundle);
    if (status) {
        jx_raise(state, p->context->ctx, status);
        Py_CLEAR(p);
    }
    return (PyObject *)p;
}

static int loaded_traverse(PyObject *self, visitproc visit, void *arg) {
    loaded *p = (loaded *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(p->context);
    for (uint32_t i = 0; p->bound && i < p->nparams; i++)
        Py_VISIT(p->bound[i]);
    return 0;
}

/* Weights stay until the frames that they are bound to are gone. */
static int loaded_clear(PyObject *self) {
    (void)self;
    return 0;
}

static void loaded_dealloc(PyObject *self) {
    loaded *p = (loaded *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    jx_hold_leave(p->hold, frames_free, (jx_remains){ .frames = p->idle, .model = p->model, .context = p->context });
    for (uint32_t i = 0; p->bound && i < p->nparams; i++)
        Py_XDECREF(p->bound[i]);
    free(p->tags);
    free(p->written);
    free(p->bound);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "run", (PyCFunction)(void (*)(void))loaded_run, METH_FASTCALL,
      "run(*args) -> tuple\n\nRuns the model: tensors and integers, one per parameter that is not bound, in order." },
    { "bind", loaded_bind, METH_VARARGS,
      "bind(param, tensor)\n\nGives a parameter its value for all calls, before the first one." },
    { 0 },
};

static PyGetSetDef attributes[] = {
    { "params", loaded_params, NULL, "Parameters: tuples of name, type and whether the tensor is written.", NULL },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_doc, "Loaded(context, name, data, arch=None)\n\nA model from a bundle's bytes." },
    { Py_tp_new, loaded_new },
    { Py_tp_methods, methods },
    { Py_tp_getset, attributes },
    { Py_tp_traverse, loaded_traverse },
    { Py_tp_clear, loaded_clear },
    { Py_tp_dealloc, loaded_dealloc },
    { 0, NULL },
};

PyType_Spec jx_loaded_spec = { "jitc._jitc.Loaded", sizeof(loaded), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots };
