/*
 * region.c - jitc._jitc.Region: a function behind gates.
 *
 * A call takes the first gate that opens (gate.h); where none does it goes to `slow`, a Python function (jitc/_region.py), which adds one.
 * Gates lie in lists by the identity of the call's first argument where that is an object like a layer, so that any number of layers
 * may share a region, and a bounded number of them in a list: the one that was not used for longest goes.
 */
#include "gate.h"

#include "exchange.h"

#define JX_LISTS 256
#define JX_GATES 16 /* in a list, for one first argument or for shapes of tensors; lists are shared by chance alone */

typedef struct region {
    PyObject_HEAD
    jx_state *state;
    PyObject *slow;
    jx_gate *lists[JX_LISTS]; /* the one used last comes first */
    unsigned long long hits, misses;
} region;

/* Whether an argument is a value, of which there may be another next time. */
static bool is_value(region *r, PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    return type == (PyTypeObject *)r->state->tensor_type || type == (PyTypeObject *)r->state->parameter_type || type == &PyLong_Type ||
           type == &PyFloat_Type || type == &PyTuple_Type || type == &PyList_Type || type == &PyUnicode_Type;
}

static jx_gate **list_of(region *r, PyObject *first) {
    uintptr_t at = first && !is_value(r, first) ? (uintptr_t)first : 0;
    return &r->lists[(at / 16 ^ at / 4096) % JX_LISTS];
}

static void to_front(jx_gate **list, jx_gate *gate) {
    if (*list == gate)
        return;
    for (jx_gate **at = list; *at; at = &(*at)->next)
        if (*at == gate) {
            *at = gate->next;
            gate->next = *list;
            *list = gate;
            return;
        }
}

static PyObject *call_slow(region *r, PyObject *const *args, Py_ssize_t nargs, PyObject *names) {
    PyObject *tuple = PyTuple_New(nargs), *keywords = names ? PyDict_New() : NULL, *result = NULL;
    bool ok = tuple && (keywords || !names);
    for (Py_ssize_t i = 0; ok && i < nargs; i++) {
        Py_INCREF(args[i]);
        PyTuple_SetItem(tuple, i, args[i]);
    }
    for (Py_ssize_t i = 0; ok && names && i < PyTuple_Size(names); i++)
        ok = !PyDict_SetItem(keywords, PyTuple_GetItem(names, i), args[nargs + i]);
    if (ok)
        result = PyObject_Call(r->slow, tuple, keywords);
    Py_XDECREF(tuple);
    Py_XDECREF(keywords);
    return result;
}

static PyObject *region_run(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names) {
    region *r = (region *)self;
    jx_gate **list = list_of(r, nargs ? args[0] : NULL);
    for (jx_gate *gate = *list; gate;) {
        PyObject *result = NULL;
        gate->users++; /* what it calls may drop it from the list */
        int opened = jx_gate_try(r->state, gate, args, nargs, names, &result);
        if (opened) {
            to_front(list, gate);
            r->hits++;
        }
        jx_gate *next = gate->users > 1 ? gate->next : NULL; /* else it is in no list any more */
        jx_gate_drop(gate);
        if (opened)
            return result;
        gate = next;
    }
    r->misses++;
    return call_slow(r, args, nargs, names);
}

/* ---- gates ------------------------------------------------------------------------------------------------------ */

static PyObject *region_add(PyObject *self, PyObject *args) {
    region *r = (region *)self;
    PyObject *first, *spec;
    if (!PyArg_ParseTuple(args, "OO!", &first, &PyTuple_Type, &spec))
        return NULL;
    jx_gate *gate = jx_gate_new(r->state, spec);
    if (!gate)
        return NULL;
    jx_gate **list = list_of(r, first), **at;
    gate->next = *list;
    *list = gate;
    uint32_t n = 0;
    for (at = list; *at && n < JX_GATES; n++)
        at = &(*at)->next;
    jx_gate *last = *at;
    *at = NULL;
    jx_gate_drop(last); /* one at a time is added: there is at most one too many */
    Py_RETURN_NONE;
}

static void drop_all(region *r) {
    for (int i = 0; i < JX_LISTS; i++)
        while (r->lists[i]) {
            jx_gate *gate = r->lists[i];
            r->lists[i] = gate->next;
            gate->next = NULL;
            jx_gate_drop(gate);
        }
}

static PyObject *region_clear(PyObject *self, PyObject *unused) {
    (void)unused;
    drop_all((region *)self);
    Py_RETURN_NONE;
}

/* Drops the gates of objects that are gone: what they held of them goes as well. */
static PyObject *region_purge(PyObject *self, PyObject *unused) {
    region *r = (region *)self;
    jx_gate *dead = NULL;
    (void)unused;
    for (int i = 0; i < JX_LISTS; i++)
        for (jx_gate **at = &r->lists[i]; *at;) {
            jx_gate *gate = *at;
            if (jx_gate_is_alive(gate)) {
                at = &gate->next;
                continue;
            }
            *at = gate->next;
            gate->next = dead;
            dead = gate;
        }
    while (dead) { /* now that the lists are whole: this may run anything */
        jx_gate *gate = dead;
        dead = gate->next;
        jx_gate_drop(gate);
    }
    Py_RETURN_NONE;
}

static PyObject *region_stats(PyObject *self, void *closure) {
    region *r = (region *)self;
    unsigned long gates = 0;
    (void)closure;
    for (int i = 0; i < JX_LISTS; i++)
        for (jx_gate *gate = r->lists[i]; gate; gate = gate->next)
            gates++;
    return Py_BuildValue("{s:K,s:K,s:k}", "hits", r->hits, "misses", r->misses, "gates", gates);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static PyObject *region_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = { "slow", NULL };
    PyObject *slow;
    jx_state *state = PyType_GetModuleState(type);
    if (!state || !PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &slow))
        return NULL;
    region *r = (region *)PyType_GenericAlloc(type, 0);
    if (!r)
        return NULL;
    Py_INCREF(slow);
    r->state = state;
    r->slow = slow;
    return (PyObject *)r;
}

static int region_traverse(PyObject *self, visitproc visit, void *arg) {
    region *r = (region *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->slow);
    for (int i = 0; i < JX_LISTS; i++)
        for (jx_gate *gate = r->lists[i]; gate; gate = gate->next)
            if (jx_gate_traverse(gate, visit, arg))
                return -1;
    return 0;
}

static int region_gc_clear(PyObject *self) {
    region *r = (region *)self;
    drop_all(r);
    Py_CLEAR(r->slow);
    return 0;
}

static void region_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    region_gc_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "run", (PyCFunction)(void (*)(void))region_run, METH_FASTCALL | METH_KEYWORDS, "run(*args, **kwargs)\n\nCalls the function." },
    { "add", region_add, METH_VARARGS, "add(first, gate)\n\nAdds a gate for calls whose first argument is FIRST; what it is says jitc/_gate.py." },
    { "purge", region_purge, METH_NOARGS, "purge()\n\nDrops the gates of objects that are gone." },
    { "clear", region_clear, METH_NOARGS, "clear()\n\nDrops all gates." },
    { 0 },
};

static PyGetSetDef attributes[] = {
    { "stats", region_stats, NULL, "Counts of calls by gates and by the slow way, and of gates.", NULL },
    { 0 },
};

static PyType_Slot slots[] = {
    { Py_tp_doc, "Region(slow)\n\nA function behind gates; SLOW answers where none opens." },
    { Py_tp_new, region_new },
    { Py_tp_methods, methods },
    { Py_tp_getset, attributes },
    { Py_tp_traverse, region_traverse },
    { Py_tp_clear, region_gc_clear },
    { Py_tp_dealloc, region_dealloc },
    { 0, NULL },
};

PyType_Spec jx_region_spec = { "jitc._jitc.Region", sizeof(region), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots };
