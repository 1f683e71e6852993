/*
 * exchange.c - see exchange.h.
 */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>

#include "abi.h"

static PyObject *kept(PyObject *object) {
    Py_XINCREF(object);
    return object;
}

/* ---- taking the framework's side -------------------------------------------------------------------------------- */

/* The table that TYPE carries, of a version that we know; NULL without an exception: none. */
static const jx_exchange_api *table_of(PyObject *type) {
    PyObject *capsule = PyObject_GetAttrString(type, "__dlpack_c_exchange_api__");
    if (!capsule) {
        PyErr_Clear();
        return NULL;
    }
    const jx_exchange_api *api = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
    Py_DECREF(capsule);
    if (!api)
        PyErr_Clear();
    while (api && api->version.major > DLPACK_MAJOR_VERSION)
        api = api->previous;
    if (!api || api->version.major != DLPACK_MAJOR_VERSION || !api->borrow || !api->allocate || !api->to_object)
        return NULL;
    return api;
}

/* torch's C functions; *OUT NULL without an exception: there are none. */
static int abi_of(PyObject *samples, jx_abi **out) {
    *out = malloc(sizeof **out);
    if (!*out) {
        PyErr_NoMemory();
        return -1;
    }
    int found = jx_abi_find(*out, samples);
    if (found <= 0) {
        free(*out);
        *out = NULL;
    }
    return found < 0 ? -1 : 0;
}

int jx_adopt(jx_state *state, const jx_side *side) {
    const jx_exchange_api *api = side->exchange ? table_of(side->tensor_type) : NULL;
    jx_abi *abi = NULL;
    if (!PyType_Check(side->tensor_type)) {
        PyErr_SetString(PyExc_TypeError, "adopt: the first argument must be the type of tensors");
        return -1;
    }
    if (api && abi_of(side->samples, &abi))
        return -1;
    jx_adopt_clear(state);
    state->tensor_type = kept(side->tensor_type);
    state->parameter_type = kept(side->parameter_type);
    for (int i = 0; i < JX_FUNCTIONS; i++)
        state->functions[i] = kept(side->functions[i]);
    state->api = api;
    state->abi = abi;
    return 0;
}

void jx_adopt_clear(jx_state *state) {
    state->api = NULL;
    free((jx_abi *)state->abi);
    state->abi = NULL;
    Py_CLEAR(state->tensor_type);
    Py_CLEAR(state->parameter_type);
    for (int i = 0; i < JX_FUNCTIONS; i++)
        Py_CLEAR(state->functions[i]);
}

int jx_adopt_traverse(jx_state *state, visitproc visit, void *arg) {
    Py_VISIT(state->tensor_type);
    Py_VISIT(state->parameter_type);
    for (int i = 0; i < JX_FUNCTIONS; i++)
        Py_VISIT(state->functions[i]);
    return 0;
}

/* ---- tensors in ------------------------------------------------------------------------------------------------- */

/* The integers of the tuple TUPLE. */
static int integers(PyObject *tuple, int64_t *out, int32_t n) {
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != n) {
        PyErr_SetString(PyExc_TypeError, "describe: shape and strides must be tuples of one length");
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        out[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
        if (out[i] == -1 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static int borrow_plain(jx_state *state, PyObject *object, DLTensor *out, jx_room *room) {
    PyObject *shape, *strides;
    unsigned long long data;
    int type, id, code, bits, status = -1;
    PyObject *answer = PyObject_CallFunctionObjArgs(state->functions[JX_DESCRIBE], object, NULL);
    if (!answer)
        return -1;
    if (!PyArg_ParseTuple(answer, "KiiiiOO", &data, &type, &id, &code, &bits, &shape, &strides))
        goto out;
    Py_ssize_t n = PyTuple_Check(shape) ? PyTuple_Size(shape) : -1;
    if (n < 0 || n > JX_MAX_DIMS) {
        PyErr_Format(PyExc_TypeError, "A tensor of %zd dims; %d are the most.", n, JX_MAX_DIMS);
        goto out;
    }
    *out = (DLTensor){ .data = (void *)(uintptr_t)data,
                       .device = { (DLDeviceType)type, id },
                       .ndim = (int32_t)n,
                       .dtype = { (uint8_t)code, (uint8_t)bits, 1 },
                       .shape = room->shape,
                       .strides = room->strides };
    status = integers(shape, room->shape, out->ndim) || integers(strides, room->strides, out->ndim) ? -1 : 0;
out:
    Py_DECREF(answer);
    return status;
}

bool jx_is_plain_tensor(jx_state *state, PyObject *object) {
    PyObject *type = (PyObject *)Py_TYPE(object);
    return state->abi && (type == state->tensor_type || type == state->parameter_type);
}

int jx_borrow(jx_state *state, PyObject *object, DLTensor *out, jx_room *room) {
    if (!state->tensor_type || !PyObject_TypeCheck(object, (PyTypeObject *)state->tensor_type)) {
        PyErr_SetString(PyExc_TypeError, "an argument is not a tensor, though the program was built for one");
        return -1;
    }
    if (jx_is_plain_tensor(state, object) && jx_abi_describe(state->abi, object, out))
        return 0;
    return state->api ? state->api->borrow(object, out) : borrow_plain(state, object, out, room);
}

/* ---- memory out ------------------------------------------------------------------------------------------------- */

static void ignore_error(void *context, const char *kind, const char *message) {
    (void)context, (void)kind, (void)message; /* the answer NULL says it: there is no memory */
}

/* Elements from the first to the last, and whether they lie row-major without gaps. */
static int64_t span(const DLTensor *t, bool *row_major) {
    int64_t reach = 1, expected = 1, numel = 1;
    *row_major = true;
    for (int32_t d = t->ndim; d-- > 0;) {
        if (t->shape[d] > 1) {
            reach += (t->shape[d] - 1) * t->strides[d];
            *row_major = *row_major && t->strides[d] == expected;
        }
        expected *= t->shape[d];
        numel *= t->shape[d];
    }
    *row_major = *row_major || numel == 0;
    return numel ? reach : 0;
}

static bool give_exchange(jx_state *state, DLTensor *tensor, jx_owned *out) {
    bool row_major;
    int64_t elements = span(tensor, &row_major);
    DLTensor prototype = *tensor;
    if (!row_major) {
        prototype.ndim = 1;
        prototype.shape = &elements;
        prototype.strides = NULL;
    }
    if (state->api->allocate(&prototype, &out->managed, NULL, ignore_error) || !out->managed)
        return false;
    DLTensor *made = &out->managed->dl_tensor;
    if (!row_major) { /* to_object() copies shape and strides from where these point */
        size_t bytes = (size_t)tensor->ndim * sizeof(int64_t);
        memcpy(out->shape, tensor->shape, bytes);
        memcpy(out->strides, tensor->strides, bytes);
        made->ndim = tensor->ndim;
        made->shape = out->shape;
        made->strides = out->strides;
    }
    tensor->data = made->data;
    tensor->byte_offset = made->byte_offset;
    return elements == 0 || made->data;
}

static PyObject *tuple_of(const int64_t *numbers, int32_t n) {
    PyObject *tuple = PyTuple_New(n);
    for (int32_t i = 0; tuple && i < n; i++) {
        PyObject *number = PyLong_FromLongLong(numbers[i]);
        if (!number || PyTuple_SetItem(tuple, i, number))
            Py_CLEAR(tuple);
    }
    return tuple;
}

static bool give_plain(jx_state *state, DLTensor *tensor, jx_owned *out) {
    PyGILState_STATE gil = PyGILState_Ensure();
    jx_room room;
    DLTensor made;
    PyObject *shape = tuple_of(tensor->shape, tensor->ndim), *strides = tuple_of(tensor->strides, tensor->ndim);
    bool ok = false;
    if (shape && strides)
        out->object = PyObject_CallFunction(state->functions[JX_EMPTY], "OOiiii", shape, strides, (int)tensor->dtype.code, (int)tensor->dtype.bits,
                                            (int)tensor->device.device_type, (int)tensor->device.device_id);
    if (out->object && !borrow_plain(state, out->object, &made, &room)) {
        tensor->data = made.data;
        tensor->byte_offset = 0;
        ok = true;
    }
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    PyErr_Clear(); /* the call ends with "no memory for result N" */
    PyGILState_Release(gil);
    return ok;
}

bool jx_give(jx_state *state, DLTensor *tensor, jx_owned *out) {
    return state->api ? give_exchange(state, tensor, out) : give_plain(state, tensor, out);
}

PyObject *jx_hand_over(jx_state *state, jx_owned *out) {
    PyObject *object = out->object;
    out->object = NULL;
    if (out->managed) {
        void *made = NULL;
        DLManagedTensorVersioned *managed = out->managed;
        out->managed = NULL;
        object = state->api->to_object(managed, &made) ? NULL : made;
    }
    return object;
}

void jx_drop(jx_owned *out) {
    if (out->managed && out->managed->deleter)
        out->managed->deleter(out->managed);
    out->managed = NULL;
    Py_CLEAR(out->object);
}

/* ---- results in the memory of arguments --------------------------------------------------------------------------- */

static size_t size_of(const DLTensor *t) {
    return (size_t)t->dtype.bits * t->dtype.lanes / 8;
}

static uintptr_t start_of(const DLTensor *t) {
    return (uintptr_t)t->data + t->byte_offset;
}

bool jx_lies_in(const DLTensor *r, const DLTensor *t) {
    if (memcmp(&t->dtype, &r->dtype, sizeof t->dtype) != 0)
        return false;
    uintptr_t end = start_of(t) + size_of(t);
    for (int32_t d = 0; d < t->ndim; d++) {
        if (t->shape[d] == 0)
            return start_of(r) == start_of(t);
        end += (uintptr_t)(t->shape[d] - 1) * (uintptr_t)t->strides[d] * size_of(t);
    }
    return start_of(r) >= start_of(t) && start_of(r) < end;
}

PyObject *jx_view_of(const DLTensor *r, PyObject *object, const DLTensor *t) {
    PyObject *offset = PyObject_CallMethod(object, "storage_offset", NULL);
    PyObject *shape = tuple_of(r->shape, r->ndim), *strides = tuple_of(r->strides, r->ndim), *view = NULL;
    const long long first = offset ? PyLong_AsLongLong(offset) : -1;
    const long long step = ((long long)start_of(r) - (long long)start_of(t)) / (long long)size_of(t);
    const bool whole = r->ndim == t->ndim && start_of(r) == start_of(t) &&
                       !memcmp(r->shape, t->shape, sizeof *r->shape * (size_t)r->ndim) &&
                       !memcmp(r->strides, t->strides, sizeof *r->strides * (size_t)r->ndim);
    if (whole) {
        view = object;
        Py_INCREF(view);
    } else if (offset && shape && strides && !PyErr_Occurred()) {
        view = PyObject_CallMethod(object, "as_strided", "OOL", shape, strides, first + step);
    }
    Py_XDECREF(offset);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    return view;
}

int jx_stream(jx_state *state, DLDevice device, void **stream) {
    *stream = NULL;
    if (device.device_type == kDLCPU)
        return 0;
    if (state->api && state->api->current_stream)
        return state->api->current_stream(device.device_type, device.device_id, stream);
    PyObject *answer = PyObject_CallFunction(state->functions[JX_STREAM], "i", (int)device.device_id);
    if (!answer)
        return -1;
    *stream = PyLong_AsVoidPtr(answer);
    Py_DECREF(answer);
    return PyErr_Occurred() ? -1 : 0;
}
