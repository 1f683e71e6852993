/*
 * ahead.c - compiling an archive of torch.export ahead of time, for one or several targets, into a bundle's bytes.
 */
#include "ext.h"

#include <stdlib.h>
#include <string.h>

typedef struct job {
    jx_context *context;
    const char *path;
    PyObject *archs;      /* list of str */
    jitc_range *ranges;
    uint32_t nranges;
    int strict;
} job;

static int read_job(jx_state *state, PyObject *args, PyObject *kwargs, job *j) {
    static char *names[] = { "context", "path", "archs", "ranges", "strict", NULL };
    PyObject *context, *ranges;
    memset(j, 0, sizeof *j);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!sO!O!|$p", names, state->context_type, &context, &j->path, &PyList_Type, &j->archs,
                                     &PyList_Type, &ranges, &j->strict))
        return -1;
    j->context = (jx_context *)context;
    j->nranges = (uint32_t)PyList_Size(ranges);
    j->ranges = calloc((size_t)j->nranges + 1, sizeof *j->ranges);
    if (!j->ranges) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < j->nranges; i++) {
        long long lo, hi;
        if (!PyArg_ParseTuple(PyList_GetItem(ranges, i), "sLL", &j->ranges[i].symbol, &lo, &hi))
            return -1;
        j->ranges[i].lo = lo;
        j->ranges[i].hi = hi;
    }
    return 0;
}

static jitc_model_options options_of(const job *j, const char *arch) {
    static const char *const no_split[] = { "" }; /* one piece: nothing is called between */
    return (jitc_model_options){ .struct_size = sizeof(jitc_model_options), .arch = arch, .strict = j->strict, .split_ops = no_split,
                                 .ranges = j->ranges, .nranges = j->nranges };
}

/* The name of arch I, valid as long as the list; NULL with an exception. */
static const char *arch_of(const job *j, Py_ssize_t i) {
    return PyUnicode_AsUTF8AndSize(PyList_GetItem(j->archs, i), NULL);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

typedef struct telling {
    PyObject *list; /* NULL: there was no memory */
} telling;

/* Called with the GIL given back for the while. */
static void tell(void *user, const jitc_refusal *what) {
    telling *t = user;
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *item = t->list ? Py_BuildValue("(ssis)", what->op, what->node, what->line, what->reason) : NULL;
    if (t->list && (!item || PyList_Append(t->list, item))) {
        PyErr_Clear();
        Py_CLEAR(t->list);
    }
    Py_XDECREF(item);
    PyGILState_Release(gil);
}

PyObject *jx_archive_refusals(PyObject *module, PyObject *args, PyObject *kwargs) {
    jx_state *state = PyModule_GetState(module);
    telling t = { PyList_New(0) };
    job j;
    jitc_status status = JITC_OK;
    const char *arch = NULL;
    if (read_job(state, args, kwargs, &j) || !(arch = arch_of(&j, 0))) {
        Py_CLEAR(t.list);
        goto out;
    }
    jitc_model_options options = options_of(&j, arch);
    jitc_graph *graph = NULL;
    Py_BEGIN_ALLOW_THREADS
    status = jitc_graph_read_file_tolerant(j.context->ctx, j.path, &graph);
    if (!status)
        status = jitc_model_explain(j.context->ctx, &graph, 1, &options, tell, &t);
    jitc_graph_free(graph);
    Py_END_ALLOW_THREADS
    if (status) {
        Py_CLEAR(t.list);
        jx_raise(state, j.context->ctx, status);
    } else if (!t.list) {
        PyErr_NoMemory();
    }
out:
    free(j.ranges);
    return t.list;
}

/* ---- compiling -------------------------------------------------------------------------------------------------- */

typedef struct building {
    jitc_graph **graphs;
    jitc_model **models;
    uint32_t n;
    void *bytes;
    size_t size;
} building;

static bool keep(void *user, const void *bytes, size_t n) {
    building *b = user;
    b->bytes = malloc(n);
    b->size = n;
    if (b->bytes)
        memcpy(b->bytes, bytes, n);
    return b->bytes != NULL;
}

/* Each target has a graph of its own: building changes it. */
static jitc_status build_all(const job *j, const char *const *archs, building *b) {
    for (uint32_t i = 0; i < b->n; i++) {
        const jitc_model_options options = options_of(j, archs[i]);
        JX_TRY(jitc_graph_read_file(j->context->ctx, j->path, &b->graphs[i]));
        JX_TRY(jitc_model_build(j->context->ctx, &b->graphs[i], 1, &options, &b->models[i]));
    }
    return jitc_bundle_write_bytes(j->context->ctx, b->models, b->n, keep, b);
}

static void drop_all(building *b) {
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->models)
            jitc_model_free(b->models[i]);
        if (b->graphs)
            jitc_graph_free(b->graphs[i]);
    }
    free(b->models);
    free(b->graphs);
    free(b->bytes);
}

PyObject *jx_archive_compile(PyObject *module, PyObject *args, PyObject *kwargs) {
    jx_state *state = PyModule_GetState(module);
    PyObject *answer = NULL;
    building b = { 0 };
    const char **archs = NULL;
    jitc_status status;
    job j;
    if (read_job(state, args, kwargs, &j))
        goto out;
    b.n = (uint32_t)PyList_Size(j.archs);
    archs = calloc((size_t)b.n + 1, sizeof *archs);
    b.graphs = calloc((size_t)b.n + 1, sizeof(jitc_graph *));
    b.models = calloc((size_t)b.n + 1, sizeof(jitc_model *));
    if (!archs || !b.graphs || !b.models) {
        PyErr_NoMemory();
        goto out;
    }
    for (uint32_t i = 0; i < b.n; i++)
        if (!(archs[i] = arch_of(&j, i)))
            goto out;
    Py_BEGIN_ALLOW_THREADS
    status = build_all(&j, archs, &b);
    Py_END_ALLOW_THREADS
    answer = status ? jx_raise(state, j.context->ctx, status) : PyBytes_FromStringAndSize(b.bytes, (Py_ssize_t)b.size);
out:
    drop_all(&b);
    free(archs);
    free(j.ranges);
    return answer;
}
