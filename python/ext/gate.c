/*
 * gate.c - see gate.h.
 */
#include "gate.h"

#include <stdlib.h>
#include <string.h>

#include "exchange.h"

/* What a try finds out. */
typedef struct attempt {
    jx_state *state;
    jx_gate *gate;
    PyObject **items; /* per node */
    PyObject *owner, *own; /* the argument that was asked last for its __dict__, and that */
    int64_t symbols[JX_MAX_SYMBOLS];
    bool known[JX_MAX_SYMBOLS];
} attempt;

/* ---- arguments -------------------------------------------------------------------------------------------------- */

static bool is_symbol(attempt *a, int32_t symbol, int64_t value) {
    if (!a->known[symbol]) {
        a->known[symbol] = true;
        a->symbols[symbol] = value;
        return value >= a->gate->lo[symbol] && value <= a->gate->hi[symbol];
    }
    return a->symbols[symbol] == value;
}

static bool same_layout(attempt *a, const jx_node *node, const DLTensor *t) {
    int64_t stride = 1;
    for (int32_t d = node->n; d-- > 0;) {
        int64_t size = node->shape[d];
        if (size < 0 ? !is_symbol(a, (int32_t)(-1 - size), t->shape[d]) : size != t->shape[d])
            return false;
        if (t->strides[d] != (node->row_major ? stride : node->strides[d]))
            return false;
        stride *= t->shape[d] > 1 ? t->shape[d] : 1;
    }
    return true;
}

/* Whether a tensor's negation is pending, as that of the imaginary part of a conjugated tensor is, which has gaps or one element. */
static bool is_negative(attempt *a, const jx_node *node, PyObject *object) {
    if (!node->may_be_negative)
        return false;
    PyObject *answer = PyObject_CallMethodObjArgs(object, a->state->is_neg, NULL);
    bool negative = answer != Py_False;
    Py_XDECREF(answer);
    PyErr_Clear();
    return negative;
}

static bool is_tensor(attempt *a, const jx_node *node, PyObject *object) {
    DLTensor t;
    return jx_is_plain_tensor(a->state, object) && jx_abi_describe(a->state->abi, object, &t) && t.ndim == node->n &&
           !memcmp(&t.dtype, &node->dtype, sizeof t.dtype) && t.device.device_type == node->device.device_type &&
           t.device.device_id == node->device.device_id && same_layout(a, node, &t) && !is_negative(a, node, object);
}

static bool is_equal(PyObject *a, PyObject *b) {
    if (a == b)
        return true;
    if (Py_TYPE(a) != Py_TYPE(b))
        return false;
    if (PyFloat_Check(a)) { /* 0.0 is not -0.0 */
        double x = PyFloat_AsDouble(a), y = PyFloat_AsDouble(b);
        return !memcmp(&x, &y, sizeof x);
    }
    int same = PyObject_RichCompareBool(a, b, Py_EQ);
    PyErr_Clear();
    return same > 0;
}

static bool is_node(attempt *a, uint32_t *at, PyObject *object);

static bool are_items(attempt *a, uint32_t *at, int32_t n, PyObject *object, bool list) {
    if (Py_TYPE(object) != (list ? &PyList_Type : &PyTuple_Type) || (list ? PyList_Size(object) : PyTuple_Size(object)) != n)
        return false;
    for (int32_t i = 0; i < n; i++)
        if (!is_node(a, at, list ? PyList_GetItem(object, i) : PyTuple_GetItem(object, i)))
            return false;
    return true;
}

/* The node AT and those below it. */
static bool is_node(attempt *a, uint32_t *at, PyObject *object) {
    const jx_node *node = &a->gate->nodes[*at];
    a->items[(*at)++] = object;
    switch ((jx_node_kind)node->kind) {
    case JX_NODE_TENSOR:
        return is_tensor(a, node, object);
    case JX_NODE_INT: {
        if (!PyLong_CheckExact(object))
            return false;
        int64_t value = PyLong_AsLongLong(object);
        if (value == -1 && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        return is_symbol(a, node->symbol, value);
    }
    case JX_NODE_VALUE:
        return is_equal(node->object, object);
    case JX_NODE_OBJECT:
        return PyWeakref_GetObject(node->object) == object;
    case JX_NODE_ANY:
        return true;
    default:
        return are_items(a, at, node->n, object, node->kind == JX_NODE_LIST);
    }
}

static bool same_names(PyObject *a, PyObject *b) {
    Py_ssize_t n = b ? PyTuple_Size(b) : 0;
    if (PyTuple_Size(a) != n)
        return false;
    for (Py_ssize_t i = 0; i < n; i++)
        if (PyTuple_GetItem(a, i) != PyTuple_GetItem(b, i) && !is_equal(PyTuple_GetItem(a, i), PyTuple_GetItem(b, i)))
            return false;
    return true;
}

static bool same_arguments(attempt *a, PyObject *const *args, Py_ssize_t nargs, PyObject *names) {
    uint32_t at = 0;
    if (nargs != a->gate->nargs || !same_names(a->gate->names, names))
        return false;
    Py_ssize_t n = nargs + PyTuple_Size(a->gate->names);
    for (Py_ssize_t i = 0; i < n; i++)
        if (!is_node(a, &at, args[i]))
            return false;
    return true;
}

bool jx_gate_is_alive(const jx_gate *gate) {
    for (uint32_t i = 0; i < gate->nnodes; i++)
        if (gate->nodes[i].kind == JX_NODE_OBJECT && PyWeakref_GetObject(gate->nodes[i].object) == Py_None)
            return false;
    return true;
}

/* ---- everything else -------------------------------------------------------------------------------------------- */

static bool same_states(const jx_gate *gate) {
    for (uint32_t i = 0; i < gate->nstates; i++) {
        PyObject *now = PyObject_CallNoArgs(gate->states[i].function);
        const bool same = now && is_equal(now, gate->states[i].expected);
        Py_XDECREF(now);
        if (!same) {
            PyErr_Clear();
            return false;
        }
    }
    return true;
}

/* Borrowed; NULL: it has none. */
static PyObject *own_dict(attempt *a, PyObject *object) {
    if (a->owner != object) {
        a->owner = object;
        a->own = PyObject_GenericGetDict(object, NULL);
        Py_XDECREF(a->own); /* the object has it */
    }
    return a->own && PyDict_Check(a->own) ? a->own : NULL;
}

static bool same_keys(PyObject *dict, PyObject *keys) {
    Py_ssize_t at = 0, n = 0, size = PyTuple_Size(keys);
    PyObject *key;
    for (; PyDict_Next(dict, &at, &key, NULL); n++)
        if (n >= size || (key != PyTuple_GetItem(keys, n) && !is_equal(key, PyTuple_GetItem(keys, n))))
            return false;
    return n == size;
}

static bool same_watch(attempt *a, const jx_watch *w) {
    PyObject *holder = w->holder, *found = NULL;
    if (w->node >= 0)
        holder = w->kind == JX_WATCH_ATTR || w->kind == JX_WATCH_GENERIC ? a->items[w->node] : own_dict(a, a->items[w->node]);
    if (!holder)
        return false;
    switch ((jx_watch_kind)w->kind) {
    case JX_WATCH_ITEM:
        found = PyDict_GetItemWithError(holder, w->key);
        break;
    case JX_WATCH_ATTR:
    case JX_WATCH_GENERIC:
        found = (w->kind == JX_WATCH_ATTR ? PyObject_GetAttr : PyObject_GenericGetAttr)(holder, w->key);
        Py_XDECREF(found); /* its holder has it: that was seen when the gate was made */
        break;
    case JX_WATCH_LIST:
        found = w->index < PyList_Size(holder) ? PyList_GetItem(holder, w->index) : NULL;
        break;
    case JX_WATCH_SIZE:
        return PyObject_Size(holder) == w->index;
    case JX_WATCH_KEYS:
        return same_keys(holder, w->expected);
    }
    return found == w->expected &&
           (!w->tensor || (jx_is_plain_tensor(a->state, found) && jx_abi_same(a->state->abi, found, &w->seen)));
}

static bool same_watches(attempt *a) {
    for (uint32_t i = 0; i < a->gate->nwatches; i++)
        if (!same_watch(a, &a->gate->watches[i])) {
            PyErr_Clear();
            return false;
        }
    return true;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static PyObject *gathered(attempt *a, const jx_source *s) {
    PyObject *object = s->object;
    if (s->kind == 's')
        return PyLong_FromLongLong(a->symbols[s->index]);
    if (s->kind == 'a')
        object = a->items[s->index];
    else if (s->kind == 'w')
        object = a->gate->watches[s->index].expected;
    Py_INCREF(object);
    return object;
}

static PyObject *call_direct(attempt *a) {
    jx_gate *gate = a->gate;
    PyObject *tuple = PyTuple_New(gate->nsources), *result = NULL;
    for (uint32_t i = 0; tuple && i < gate->nsources; i++) {
        PyObject *item = gathered(a, &gate->sources[i]);
        if (!item || PyTuple_SetItem(tuple, i, item))
            Py_CLEAR(tuple);
    }
    if (tuple)
        result = PyObject_Call(gate->target, tuple, NULL);
    Py_XDECREF(tuple);
    return result;
}

static PyObject *call_as_is(attempt *a, PyObject *const *args, Py_ssize_t nargs) {
    PyObject *names = a->gate->names, *tuple = PyTuple_New(nargs), *keywords = PyDict_New(), *result = NULL;
    for (Py_ssize_t i = 0; tuple && i < nargs; i++) {
        Py_INCREF(args[i]);
        PyTuple_SetItem(tuple, i, args[i]);
    }
    for (Py_ssize_t i = 0; keywords && i < PyTuple_Size(names); i++)
        if (PyDict_SetItem(keywords, PyTuple_GetItem(names, i), args[nargs + i]))
            Py_CLEAR(keywords);
    if (tuple && keywords)
        result = PyObject_Call(a->gate->target, tuple, keywords);
    Py_XDECREF(tuple);
    Py_XDECREF(keywords);
    return result;
}

/* The last N of STACK as a tuple or list. */
static PyObject *packed(PyObject **stack, uint32_t n, bool list) {
    PyObject *all = list ? PyList_New(n) : PyTuple_New(n);
    for (uint32_t i = 0; i < n; i++) {
        if (!all)
            Py_DECREF(stack[i]);
        else if (list)
            PyList_SetItem(all, i, stack[i]);
        else
            PyTuple_SetItem(all, i, stack[i]);
    }
    return all;
}

static PyObject *given(attempt *a, PyObject *outs) {
    PyObject *stack[JX_MAX_GIVES];
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->gate->ngives; i++) {
        const jx_part *g = &a->gate->gives[i];
        PyObject *item;
        if (g->kind == 'o') {
            item = PySequence_GetItem(outs, g->index);
        } else if (g->kind == 't' || g->kind == 'l') {
            n -= g->index;
            item = packed(&stack[n], g->index, g->kind == 'l');
        } else {
            item = gathered(a, g);
        }
        if (!item) {
            while (n)
                Py_DECREF(stack[--n]);
            return NULL;
        }
        stack[n++] = item;
    }
    return stack[0];
}

int jx_gate_try(jx_state *state, jx_gate *gate, PyObject *const *args, Py_ssize_t nargs, PyObject *names, PyObject **result) {
    PyObject *items[JX_MAX_GATE_NODES];
    attempt a = { .state = state, .gate = gate, .items = items };
    if (!same_arguments(&a, args, nargs, names) || !same_states(gate) || !same_watches(&a))
        return 0;
    if (!gate->direct) {
        *result = call_as_is(&a, args, nargs);
        return 1;
    }
    PyObject *outs = call_direct(&a);
    *result = outs ? given(&a, outs) : NULL;
    Py_XDECREF(outs);
    return 1;
}
