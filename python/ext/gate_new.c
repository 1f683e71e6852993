/*
 * gate_new.c - gates from what jitc/_gate.py says of them.
 */
#include "gate.h"

#include <stdlib.h>
#include <string.h>

#include "exchange.h"

static PyObject *kept(PyObject *object) {
    Py_XINCREF(object);
    return object;
}

static int bad(const char *what) {
    PyErr_Format(PyExc_ValueError, "gate: %s", what);
    return -1;
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

static int integers(PyObject *tuple, int64_t *out, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
        if (out[i] == -1 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static int read_tensor(PyObject *item, jx_node *out, uint32_t nsymbols) {
    int code, bits, type, id, row_major;
    PyObject *shape, *strides;
    if (!PyArg_ParseTuple(item, "iiiipO!O!", &code, &bits, &type, &id, &row_major, &PyTuple_Type, &shape, &PyTuple_Type, &strides))
        return -1;
    if (PyTuple_Size(shape) > JX_MAX_DIMS || PyTuple_Size(strides) != PyTuple_Size(shape))
        return bad("a tensor has too many dims, or other strides");
    out->n = (int32_t)PyTuple_Size(shape);
    out->row_major = row_major;
    out->dtype = (DLDataType){ (uint8_t)code, (uint8_t)bits, 1 };
    out->device = (DLDevice){ (DLDeviceType)type, id };
    if (integers(shape, out->shape, out->n) || integers(strides, out->strides, out->n))
        return -1;
    bool several = false;
    for (int32_t d = 0; d < out->n; d++)
        several = several || out->shape[d] != 1;
    out->may_be_negative = code == kDLFloat && !(row_major && several);
    for (int32_t d = 0; d < out->n; d++)
        if (out->shape[d] < -(int64_t)nsymbols)
            return bad("a size is of no symbol");
    return 0;
}

static int read_node(PyObject *item, jx_node *out, uint32_t nsymbols) {
    const char *kind;
    PyObject *rest;
    if (!PyArg_ParseTuple(item, "sO", &kind, &rest))
        return -1;
    if (!strcmp(kind, "tensor")) {
        out->kind = JX_NODE_TENSOR;
        return read_tensor(rest, out, nsymbols);
    }
    if (!strcmp(kind, "value") || !strcmp(kind, "object")) {
        out->kind = *kind == 'v' ? JX_NODE_VALUE : JX_NODE_OBJECT;
        if (out->kind == JX_NODE_OBJECT && !PyWeakref_Check(rest))
            return bad("an object is no weak reference");
        out->object = kept(rest);
        return 0;
    }
    if (!strcmp(kind, "any")) {
        out->kind = JX_NODE_ANY;
        return 0;
    }
    long n = PyLong_AsLong(rest);
    if (n < 0)
        return PyErr_Occurred() ? -1 : bad("a count is negative");
    out->kind = !strcmp(kind, "int") ? JX_NODE_INT : !strcmp(kind, "list") ? JX_NODE_LIST : JX_NODE_TUPLE;
    out->n = (int32_t)n;
    out->symbol = (int32_t)n;
    return out->kind == JX_NODE_INT && n >= (long)nsymbols ? bad("an integer is of no symbol") : 0;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static int read_watch(jx_state *state, PyObject *item, jx_watch *out, uint32_t nnodes) {
    const char *kind;
    PyObject *holder, *key, *expected;
    DLTensor t;
    int tensor, node;
    if (!PyArg_ParseTuple(item, "sOOOnpi", &kind, &holder, &key, &expected, &out->index, &tensor, &node))
        return -1;
    out->tensor = tensor;
    out->node = node;
    out->kind = !strcmp(kind, "item")      ? JX_WATCH_ITEM
                : !strcmp(kind, "attr")    ? JX_WATCH_ATTR
                : !strcmp(kind, "generic") ? JX_WATCH_GENERIC
                : !strcmp(kind, "list")    ? JX_WATCH_LIST
                : !strcmp(kind, "keys")    ? JX_WATCH_KEYS
                                           : JX_WATCH_SIZE;
    bool dict = out->kind == JX_WATCH_ITEM || out->kind == JX_WATCH_KEYS;
    if (node >= (int)nnodes || (dict && node < 0 && !PyDict_Check(holder)) || (out->kind == JX_WATCH_LIST && !PyList_Check(holder)) ||
        (out->kind == JX_WATCH_KEYS && !PyTuple_Check(expected)))
        return bad("an item is watched of what is no dict or list");
    out->holder = kept(holder);
    out->key = kept(key);
    out->expected = expected;
    if (!out->tensor) {
        out->owned = true;
        Py_INCREF(expected);
        return 0;
    }
    if (!jx_is_plain_tensor(state, expected) || !jx_abi_describe(state->abi, expected, &t))
        return bad("a tensor that is watched is none that can be looked at");
    jx_abi_see(state->abi, expected, &t, &out->seen);
    return out->seen.object ? 0 : bad("a tensor that is watched has too many dims");
}

static int read_source(const jx_gate *gate, PyObject *item, jx_source *out) {
    const char *kind;
    PyObject *object;
    if (!PyArg_ParseTuple(item, "sIO", &kind, &out->index, &object))
        return -1;
    out->kind = *kind;
    out->object = kept(object);
    bool ok = *kind == 'a'   ? out->index < gate->nnodes
              : *kind == 'w' ? out->index < gate->nwatches && gate->watches[out->index].kind < JX_WATCH_SIZE
              : *kind == 's' ? out->index < gate->nsymbols
                             : true;
    return ok ? 0 : bad("an argument comes from nowhere");
}

/* Every symbol is told by an argument. */
static int check_symbols(const jx_gate *gate) {
    uint64_t told = 0;
    for (uint32_t i = 0; i < gate->nnodes; i++) {
        const jx_node *node = &gate->nodes[i];
        if (node->kind == JX_NODE_INT)
            told |= 1ull << node->symbol;
        for (int32_t d = 0; node->kind == JX_NODE_TENSOR && d < node->n; d++)
            told |= node->shape[d] < 0 ? 1ull << (-1 - node->shape[d]) : 0;
    }
    return told == (1ull << gate->nsymbols) - 1 ? 0 : bad("no argument tells a symbol");
}

/* The preorder closes: as many trees as there are arguments. */
static int check_nodes(const jx_gate *gate) {
    uint64_t open = (uint64_t)gate->nargs + (uint64_t)PyTuple_Size(gate->names);
    for (uint32_t i = 0; i < gate->nnodes; i++) {
        const jx_node *node = &gate->nodes[i];
        if (!open)
            return bad("there are more nodes than arguments");
        open += (uint64_t)(node->kind >= JX_NODE_TUPLE ? node->n : 0) - 1;
    }
    return open ? bad("there are fewer nodes than arguments") : 0;
}

/* The postfix leaves one result. */
static int check_gives(const jx_gate *gate) {
    uint32_t n = 0;
    if (!gate->direct)
        return 0;
    for (uint32_t i = 0; i < gate->ngives; i++) {
        const jx_part *g = &gate->gives[i];
        bool packs = g->kind == 't' || g->kind == 'l';
        if (packs && g->index > n)
            return bad("the result packs more than there is");
        n = packs ? n - g->index + 1 : n + 1;
    }
    return n == 1 ? 0 : bad("the result is not one");
}

static int read_ranges(PyObject *list, jx_gate *gate) {
    for (uint32_t i = 0; i < gate->nsymbols; i++) {
        long long lo, hi;
        if (!PyArg_ParseTuple(PyList_GetItem(list, i), "LL", &lo, &hi))
            return -1;
        gate->lo[i] = lo;
        gate->hi[i] = hi;
    }
    return 0;
}

static int read_parts(jx_state *state, jx_gate *gate, PyObject *const lists[6]) {
    for (uint32_t i = 0; i < gate->nnodes; i++)
        if (read_node(PyList_GetItem(lists[0], i), &gate->nodes[i], gate->nsymbols))
            return -1;
    for (uint32_t i = 0; i < gate->nwatches; i++)
        if (read_watch(state, PyList_GetItem(lists[1], i), &gate->watches[i], gate->nnodes))
            return -1;
    for (uint32_t i = 0; i < gate->nstates; i++) {
        jx_state_check *check = &gate->states[i];
        if (!PyArg_ParseTuple(PyList_GetItem(lists[2], i), "OO", &check->function, &check->expected))
            return -1;
        Py_INCREF(check->function);
        Py_INCREF(check->expected);
    }
    for (uint32_t i = 0; i < gate->nsources; i++)
        if (read_source(gate, PyList_GetItem(lists[4], i), &gate->sources[i]))
            return -1;
    for (uint32_t i = 0; i < gate->ngives; i++)
        if (read_source(gate, PyList_GetItem(lists[5], i), &gate->gives[i]))
            return -1;
    return check_nodes(gate) || check_symbols(gate) || check_gives(gate) ? -1 : 0;
}

static void *array(PyObject *list, size_t size, uint32_t *n) {
    *n = (uint32_t)PyList_Size(list);
    return calloc((size_t)*n + 1, size);
}

jx_gate *jx_gate_new(jx_state *state, PyObject *spec) {
    PyObject *lists[6];
    int direct;
    jx_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return (jx_gate *)PyErr_NoMemory();
    gate->users = 1;
    /* positional arguments, keywords, nodes, watches, states, ranges, target, direct, sources, gives */
    if (!PyArg_ParseTuple(spec, "nO!O!O!O!O!OpO!O!", &gate->nargs, &PyTuple_Type, &gate->names, &PyList_Type, &lists[0], &PyList_Type,
                          &lists[1], &PyList_Type, &lists[2], &PyList_Type, &lists[3], &gate->target, &direct, &PyList_Type, &lists[4],
                          &PyList_Type, &lists[5])) {
        free(gate);
        return NULL;
    }
    Py_INCREF(gate->names);
    Py_INCREF(gate->target);
    gate->direct = direct;
    gate->nodes = array(lists[0], sizeof *gate->nodes, &gate->nnodes);
    gate->watches = array(lists[1], sizeof *gate->watches, &gate->nwatches);
    gate->states = array(lists[2], sizeof *gate->states, &gate->nstates);
    gate->nsymbols = (uint32_t)PyList_Size(lists[3]);
    gate->sources = array(lists[4], sizeof *gate->sources, &gate->nsources);
    gate->gives = array(lists[5], sizeof *gate->gives, &gate->ngives);
    bool memory = gate->nodes && gate->watches && gate->states && gate->sources && gate->gives;
    bool fits = gate->nnodes <= JX_MAX_GATE_NODES && gate->nsymbols <= JX_MAX_SYMBOLS && gate->ngives <= JX_MAX_GIVES;
    if (!memory)
        PyErr_NoMemory();
    else if (!state->abi || !fits)
        bad("there are too many arguments or symbols, or torch's C functions are missing");
    else if (!read_ranges(lists[3], gate) && !read_parts(state, gate, lists))
        return gate;
    jx_gate_drop(gate);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void drop_sources(jx_source *sources, uint32_t n) {
    for (uint32_t i = 0; sources && i < n; i++)
        Py_XDECREF(sources[i].object);
    free(sources);
}

void jx_gate_drop(jx_gate *gate) {
    if (!gate || --gate->users)
        return;
    for (uint32_t i = 0; gate->nodes && i < gate->nnodes; i++)
        Py_XDECREF(gate->nodes[i].object);
    for (uint32_t i = 0; gate->watches && i < gate->nwatches; i++) {
        Py_XDECREF(gate->watches[i].holder);
        Py_XDECREF(gate->watches[i].key);
        if (gate->watches[i].owned)
            Py_XDECREF(gate->watches[i].expected);
    }
    for (uint32_t i = 0; gate->states && i < gate->nstates; i++) {
        Py_XDECREF(gate->states[i].function);
        Py_XDECREF(gate->states[i].expected);
    }
    drop_sources(gate->sources, gate->nsources);
    drop_sources(gate->gives, gate->ngives);
    free(gate->nodes);
    free(gate->watches);
    free(gate->states);
    Py_XDECREF(gate->names);
    Py_XDECREF(gate->target);
    free(gate);
}

static int visit_sources(const jx_source *sources, uint32_t n, visitproc visit, void *arg) {
    for (uint32_t i = 0; i < n; i++)
        Py_VISIT(sources[i].object);
    return 0;
}

int jx_gate_traverse(jx_gate *gate, visitproc visit, void *arg) {
    for (uint32_t i = 0; i < gate->nnodes; i++)
        Py_VISIT(gate->nodes[i].object);
    for (uint32_t i = 0; i < gate->nwatches; i++) {
        Py_VISIT(gate->watches[i].holder);
        if (gate->watches[i].owned)
            Py_VISIT(gate->watches[i].expected);
    }
    for (uint32_t i = 0; i < gate->nstates; i++)
        Py_VISIT(gate->states[i].function);
    Py_VISIT(gate->target);
    return visit_sources(gate->sources, gate->nsources, visit, arg) || visit_sources(gate->gives, gate->ngives, visit, arg);
}
