/*
 * walk.c - a graph of torch.fx as bytes without names, for jitc/vllm/_recipe.py, which says what the bytes mean.
 *
 * It is all that loading a piece does with its graph.  Of a node this reads `op`, `target`, `args` and `kwargs`; what it does not know
 * itself it asks Python for: titles of targets, once a target, and values that are no numbers, texts, tuples, lists, slices or dicts.
 */
#include "ext.h"

#include <stdlib.h>
#include <string.h>

enum { OP, TARGET, ARGS, KWARGS, START, STOP, STEP, NAMES };
static const char *const spelt[NAMES] = { "op", "target", "args", "kwargs", "start", "stop", "step" };

typedef struct walk {
    PyObject *node_type, *titles, *title, *other; /* what was given */
    PyObject *names[NAMES];
    PyObject *numbers;               /* by node: as which it came */
    PyObject *literals, *attributes; /* lists */
    char *text;
    size_t n, room;
} walk;

/* ---- the bytes -------------------------------------------------------------------------------------------------- */

/* A line: MARK and what follows. */
static int put(walk *w, const char *mark, const char *text, size_t n) {
    const size_t before = strlen(mark), want = w->n + before + n + 1;
    if (want > w->room) {
        const size_t room = want + want / 2 + 1024;
        char *grown = realloc(w->text, room);
        if (!grown) {
            PyErr_NoMemory();
            return -1;
        }
        w->text = grown;
        w->room = room;
    }
    memcpy(w->text + w->n, mark, before);
    memcpy(w->text + w->n + before, text, n);
    w->n = want;
    w->text[w->n - 1] = '\n';
    return 0;
}

static int put_mark(walk *w, const char *mark) {
    return put(w, mark, "", 0);
}

static int put_str(walk *w, const char *mark, PyObject *str) {
    Py_ssize_t n;
    const char *text = PyUnicode_AsUTF8AndSize(str, &n);
    return text ? put(w, mark, text, (size_t)n) : -1;
}

static int put_number(walk *w, const char *mark, Py_ssize_t number) {
    char digits[24];
    return put(w, mark, digits, (size_t)PyOS_snprintf(digits, sizeof digits, "%zd", number));
}

/* Takes STR, which may be NULL, over. */
static int put_new(walk *w, PyObject *str) {
    int status = str ? put_str(w, "", str) : -1;
    Py_XDECREF(str);
    return status;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static int put_value(walk *w, PyObject *value, bool custom);

static int put_literal(walk *w, PyObject *value) {
    return PyList_Append(w->literals, value) ? -1 : put_mark(w, "$");
}

static int put_node(walk *w, PyObject *node) {
    PyObject *number = PyDict_GetItemWithError(w->numbers, node);
    if (!number && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "A node is used before it is there.");
    return number ? put_number(w, "%", PyLong_AsSsize_t(number)) : -1;
}

static int put_items(walk *w, PyObject *items, bool custom) {
    const bool tuple = PyTuple_Check(items);
    const Py_ssize_t n = tuple ? PyTuple_Size(items) : PyList_Size(items);
    if (put_mark(w, tuple ? "(" : "["))
        return -1;
    for (Py_ssize_t i = 0; i < n; i++)
        if (put_value(w, tuple ? PyTuple_GetItem(items, i) : PyList_GetItem(items, i), custom))
            return -1;
    return put_mark(w, ")");
}

static int put_slice(walk *w, PyObject *slice, bool custom) {
    if (put_mark(w, ":"))
        return -1;
    for (int i = START; i <= STEP; i++) {
        PyObject *part = PyObject_GetAttr(slice, w->names[i]);
        int status = part ? put_value(w, part, custom) : -1;
        Py_XDECREF(part);
        if (status)
            return -1;
    }
    return 0;
}

static int put_dict(walk *w, PyObject *dict, bool custom) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    if (put_mark(w, "{"))
        return -1;
    while (PyDict_Next(dict, &at, &key, &value))
        if (put_new(w, PyObject_Repr(key)) || put_value(w, value, custom))
            return -1;
    return put_mark(w, "}");
}

/* A text, or None: the value is the piece's own. */
static int put_other(walk *w, PyObject *value, bool custom) {
    PyObject *text = PyObject_CallFunctionObjArgs(w->other, value, custom ? Py_True : Py_False, NULL);
    if (text != Py_None)
        return put_new(w, text);
    Py_DECREF(text);
    return put_literal(w, value);
}

static int put_value(walk *w, PyObject *value, bool custom) {
    if (PyObject_TypeCheck(value, (PyTypeObject *)w->node_type))
        return put_node(w, value);
    if (PyUnicode_Check(value))
        return custom ? put_literal(w, value) : put_new(w, PyObject_Repr(value));
    if (PyLong_Check(value) || PyFloat_Check(value) || value == Py_None || value == Py_Ellipsis)
        return put_new(w, PyObject_Repr(value));
    if (PyTuple_Check(value) || PyList_Check(value))
        return put_items(w, value, custom);
    if (PyDict_Check(value))
        return put_dict(w, value, custom);
    return Py_TYPE(value) == &PySlice_Type ? put_slice(w, value, custom) : put_other(w, value, custom);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

/* (text, whether it is a custom operator, the target): borrowed. TITLES holds them by the target's address: many targets hash slowly. */
static PyObject *title_of(walk *w, PyObject *target) {
    PyObject *address = PyLong_FromVoidPtr(target), *known = NULL;
    if (address)
        known = PyDict_GetItemWithError(w->titles, address);
    if (address && !known && !PyErr_Occurred()) {
        PyObject *made = PyObject_CallFunctionObjArgs(w->title, target, NULL);
        if (made && PyTuple_Check(made) && PyTuple_Size(made) == 3 && !PyDict_SetItem(w->titles, address, made))
            known = made; /* titles has it */
        else if (made && !PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "A title is a tuple of three.");
        Py_XDECREF(made);
    }
    Py_XDECREF(address);
    return known;
}

static int put_keywords(walk *w, PyObject *kwargs, bool custom) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (PyDict_Next(kwargs, &at, &key, &value))
        if (put_str(w, "=", key) || put_value(w, value, custom))
            return -1;
    return 0;
}

static int put_call(walk *w, PyObject *node, PyObject *target) {
    PyObject *title = title_of(w, target), *args = NULL, *kwargs = NULL;
    int status = -1;
    if (!title || put_str(w, "", PyTuple_GetItem(title, 0)))
        return -1;
    const bool custom = PyTuple_GetItem(title, 1) == Py_True;
    args = PyObject_GetAttr(node, w->names[ARGS]);
    kwargs = PyObject_GetAttr(node, w->names[KWARGS]);
    if (!args || !kwargs)
        goto out;
    if (!PyTuple_Check(args) || !PyDict_Check(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "The arguments of a node are a tuple and a dict.");
        goto out;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(args); i++)
        if (put_value(w, PyTuple_GetItem(args, i), custom))
            goto out;
    status = put_keywords(w, kwargs, custom);
out:
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return status;
}

/* Paths are the piece's own: they go by the order in which they come. */
static int put_attribute(walk *w, PyObject *path) {
    Py_ssize_t i = 0, n = PyList_Size(w->attributes);
    for (; i < n; i++) {
        int same = PyObject_RichCompareBool(PyList_GetItem(w->attributes, i), path, Py_EQ);
        if (same < 0)
            return -1;
        if (same)
            break;
    }
    if (i == n && PyList_Append(w->attributes, path))
        return -1;
    return put_number(w, "a", i);
}

static bool is(PyObject *op, const char *name) {
    return !PyUnicode_CompareWithASCIIString(op, name);
}

static int put_step(walk *w, PyObject *node, Py_ssize_t i) {
    PyObject *number = PyLong_FromSsize_t(i), *op = NULL, *target = NULL;
    int status = -1;
    if (!number || PyDict_SetItem(w->numbers, node, number))
        goto out;
    op = PyObject_GetAttr(node, w->names[OP]);
    target = PyObject_GetAttr(node, w->names[TARGET]);
    if (!op || !target)
        goto out;
    if (is(op, "call_function") || is(op, "call_method") || is(op, "output"))
        status = put_call(w, node, target);
    else if (is(op, "placeholder"))
        status = put_mark(w, "p");
    else if (is(op, "get_attr"))
        status = put_attribute(w, target);
    else
        status = put_other(w, node, false);
out:
    Py_XDECREF(number);
    Py_XDECREF(op);
    Py_XDECREF(target);
    return status;
}

static int put_graph(walk *w, PyObject *nodes) {
    PyObject *steps = PyObject_GetIter(nodes), *node;
    int status = steps ? 0 : -1;
    for (Py_ssize_t i = 0; !status && (node = PyIter_Next(steps)); i++) {
        status = put_step(w, node, i);
        Py_DECREF(node);
    }
    Py_XDECREF(steps);
    return status || PyErr_Occurred() ? -1 : 0;
}

/* ---- the function ----------------------------------------------------------------------------------------------- */

static int begin(walk *w) {
    for (int i = 0; i < NAMES; i++)
        if (!(w->names[i] = PyUnicode_InternFromString(spelt[i])))
            return -1;
    w->numbers = PyDict_New();
    w->literals = PyList_New(0);
    w->attributes = PyList_New(0);
    return w->numbers && w->literals && w->attributes ? 0 : -1;
}

static void end(walk *w) {
    for (int i = 0; i < NAMES; i++)
        Py_XDECREF(w->names[i]);
    Py_XDECREF(w->numbers);
    Py_XDECREF(w->literals);
    Py_XDECREF(w->attributes);
    free(w->text);
}

PyObject *jx_walk(PyObject *module, PyObject *args) {
    walk w = { 0 };
    PyObject *nodes, *answer = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!O!OO", &nodes, &PyType_Type, &w.node_type, &PyDict_Type, &w.titles, &w.title, &w.other))
        return NULL;
    if (!begin(&w) && !put_graph(&w, nodes))
        answer = Py_BuildValue("(y#OO)", w.text ? w.text : "", (Py_ssize_t)w.n, w.literals, w.attributes);
    end(&w);
    return answer;
}
