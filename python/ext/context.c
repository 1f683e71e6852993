/*
 * context.c - jitc._jitc.Context: a device and a cache, where graphs are built.
 *
 * Building, and asking what cannot be built, give up the GIL: they are safe from any thread.
 */
#include "ext.h"

#include <stdlib.h>
#include <string.h>

/* ---- options ---------------------------------------------------------------------------------------------------- */

typedef struct arguments {
    const char *name, *text;
    Py_ssize_t length;
    jitc_range *ranges;
    jitc_model_options options;
    PyObject *fallback, *weights;
} arguments;

/* [(symbol, lo, hi)] */
static int read_ranges(PyObject *list, arguments *a) {
    Py_ssize_t n = PyList_Size(list);
    if (n < 0)
        return -1;
    a->ranges = calloc((size_t)n + 1, sizeof *a->ranges);
    if (!a->ranges) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        long long lo, hi;
        if (!PyArg_ParseTuple(PyList_GetItem(list, i), "sLL", &a->ranges[i].symbol, &lo, &hi))
            return -1;
        a->ranges[i].lo = lo;
        a->ranges[i].hi = hi;
    }
    a->options.ranges = a->ranges;
    a->options.nranges = (uint32_t)n;
    return 0;
}

static int read_arguments(PyObject *args, PyObject *kwargs, arguments *a) {
    static char *names[] = { "name", "text", "strict", "ranges", "fallback", "weights", NULL };
    static const char *const no_split[] = { "" }; /* the framework has cut the graph already */
    PyObject *ranges = NULL;
    int strict = 0;
    memset(a, 0, sizeof *a);
    a->fallback = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ss#|$pO!OO!", names, &a->name, &a->text, &a->length, &strict, &PyList_Type, &ranges,
                                     &a->fallback, &PyList_Type, &a->weights))
        return -1;
    a->options.struct_size = sizeof a->options;
    a->options.strict = strict;
    a->options.split_ops = no_split;
    return ranges ? read_ranges(ranges, a) : 0;
}

/* ---- methods ---------------------------------------------------------------------------------------------------- */

static PyObject *context_build(PyObject *self, PyObject *args, PyObject *kwargs) {
    jx_context *context = (jx_context *)self;
    jitc_graph *graph = NULL;
    jitc_model *model = NULL;
    jitc_status status;
    PyObject *program = NULL;
    arguments a;
    if (read_arguments(args, kwargs, &a))
        goto out;
    Py_BEGIN_ALLOW_THREADS
    status = jitc_graph_read(context->ctx, a.name, a.text, (size_t)a.length, &graph);
    if (!status)
        status = jitc_model_build(context->ctx, &graph, 1, &a.options, &model);
    Py_END_ALLOW_THREADS
    if (status) {
        jx_raise(context->state, context->ctx, status);
        jitc_graph_free(graph);
    } else {
        program = jx_program_new(context, graph, model, a.fallback, a.weights);
    }
out:
    free(a.ranges);
    return program;
}

/* Refusals are told without the GIL and become Python's afterwards. */
typedef struct told {
    struct told *next;
    int line;
    char *op, *node, *reason;
} told;

typedef struct telling {
    told *first, **last;
    bool no_memory;
} telling;

static void tell(void *user, const jitc_refusal *what) {
    telling *t = user;
    told *one = calloc(1, sizeof *one);
    if (one) {
        one->line = what->line;
        one->op = strdup(what->op);
        one->node = strdup(what->node);
        one->reason = strdup(what->reason);
        *t->last = one;
        t->last = &one->next;
    }
    t->no_memory = t->no_memory || !one || !one->op || !one->node || !one->reason;
}

static PyObject *told_list(telling *t) {
    PyObject *list = t->no_memory ? PyErr_NoMemory() : PyList_New(0);
    while (t->first) {
        told *one = t->first;
        PyObject *item = list ? Py_BuildValue("(ssis)", one->op, one->node, one->line, one->reason) : NULL;
        if (list && (!item || PyList_Append(list, item)))
            Py_CLEAR(list);
        Py_XDECREF(item);
        t->first = one->next;
        free(one->op);
        free(one->node);
        free(one->reason);
        free(one);
    }
    return list;
}

static PyObject *context_refusals(PyObject *self, PyObject *args, PyObject *kwargs) {
    jx_context *context = (jx_context *)self;
    jitc_graph *graph = NULL;
    jitc_status status;
    telling t = { .last = &t.first };
    PyObject *list = NULL;
    arguments a;
    if (read_arguments(args, kwargs, &a))
        goto out;
    Py_BEGIN_ALLOW_THREADS
    status = jitc_graph_read_tolerant(context->ctx, a.name, a.text, (size_t)a.length, &graph);
    if (!status)
        status = jitc_model_explain(context->ctx, &graph, 1, &a.options, tell, &t);
    Py_END_ALLOW_THREADS
    list = told_list(&t);
    if (status) {
        Py_CLEAR(list);
        jx_raise(context->state, context->ctx, status);
    }
    jitc_graph_free(graph);
out:
    free(a.ranges);
    return list;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

#define JX_READ_CACHES 16 /* as many as libjitc takes */
static int read_paths(PyObject *list, const char **out, uint32_t *n) {
    for (Py_ssize_t i = 0; list && i < PyList_Size(list); i++) {
        if (i == JX_READ_CACHES) {
            PyErr_Format(PyExc_ValueError, "read_caches: %d are the most", JX_READ_CACHES);
            return -1;
        }
        out[i] = PyUnicode_AsUTF8AndSize(PyList_GetItem(list, i), NULL);
        if (!out[i])
            return -1;
        *n = (uint32_t)i + 1;
    }
    return 0;
}

static PyObject *context_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = { "device", "device_type", "device_id", "cache_dir", "threads", "framework_memory", "read_caches", "trust_files", "isolate", NULL };
    const char *device, *cache_dir = NULL, *caches[JX_READ_CACHES] = { NULL };
    PyObject *read_caches = NULL;
    uint32_t ncaches = 0;
    int device_type, device_id, framework_memory = 0, trust_files = 0, isolate = 0;
    unsigned threads = 0;
    jx_state *state = PyType_GetModuleState(type);
    if (!state || !PyArg_ParseTupleAndKeywords(args, kwargs, "sii|z$IpO!pp", names, &device, &device_type, &device_id, &cache_dir, &threads,
                                               &framework_memory, &PyList_Type, &read_caches, &trust_files,
                                               &isolate) ||
        read_paths(read_caches, caches, &ncaches))
        return NULL;
    jx_context *context = (jx_context *)PyType_GenericAlloc(type, 0);
    if (!context)
        return NULL;
    context->state = state;
    context->place = (DLDevice){ (DLDeviceType)device_type, device_id };
    context->framework_memory = framework_memory || device_type == kDLCUDA;
    context->device = PyUnicode_FromString(device);
    jitc_context_options options = { .struct_size = sizeof options, .device = device, .cache_dir = cache_dir, .threads = threads,
                                     .read_caches = caches, .nread_caches = ncaches, .trust_files = trust_files != 0, .isolate = isolate != 0 };
    jitc_status status = context->device ? jitc_context_new(&options, &context->ctx) : JITC_E_NOMEM;
    if (status) {
        jx_raise(state, context->ctx, status);
        Py_CLEAR(context);
    }
    return (PyObject *)context;
}

static void context_dealloc(PyObject *self) {
    jx_context *context = (jx_context *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    jitc_context_free(context->ctx);
    Py_CLEAR(context->device);
    release(self);
    Py_DECREF(type);
}

static PyObject *context_device(PyObject *self, void *closure) {
    PyObject *device = ((jx_context *)self)->device;
    (void)closure;
    Py_INCREF(device);
    return device;
}

static PyMethodDef methods[] = {
    { "build", (PyCFunction)(void (*)(void))context_build, METH_VARARGS | METH_KEYWORDS,
      "build(name, text, *, strict=False, ranges=[], fallback=None, weights=[]) -> Program\n\n"
      "Builds the graph that TEXT prints.  FALLBACK(*args) answers calls whose arguments do not fit what was built; WEIGHTS are the numbers of\n"
      "parameters that will be the same tensors in most calls, which costs less." },
    { "refusals", (PyCFunction)(void (*)(void))context_refusals, METH_VARARGS | METH_KEYWORDS,
      "refusals(name, text, *, strict=False, ranges=[]) -> list\n\n"
      "All that build() would refuse, without building: tuples of operator, node, line and reason." },
    { "load", (PyCFunction)(void (*)(void))jx_bundle_read, METH_VARARGS | METH_KEYWORDS,
      "load(name, data, *, fallback=None) -> Program\n\n"
      "A program of the bytes that Program.save() gave.  Error: they are damaged, or for another machine or version." },
    { 0 },
};

static PyGetSetDef attributes[] = {
    { "device", context_device, NULL, "The device, as it was asked for.", NULL },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_doc, "Context(device, device_type, device_id, cache_dir=None, *, threads=0, framework_memory=False, read_caches=[])\n\n"
                 "A device, by its name and by DLPack's numbers, and caches." },
    { Py_tp_new, context_new },
    { Py_tp_methods, methods },
    { Py_tp_getset, attributes },
    { Py_tp_dealloc, context_dealloc },
    { 0, NULL },
};

PyType_Spec jx_context_spec = { "jitc._jitc.Context", sizeof(jx_context), 0, Py_TPFLAGS_DEFAULT, slots };
