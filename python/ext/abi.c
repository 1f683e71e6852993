/*
 * abi.c - see abi.h.
 */
#include "abi.h"

#include <dlfcn.h>
#include <string.h>

/* ---- finding it ------------------------------------------------------------------------------------------------- */

static bool find_functions(jx_abi *abi) {
    int32_t (*cpu)(void), (*cuda)(void);
    const struct {
        const char *name;
        void *to;
    } wanted[] = {
        { "aoti_torch_get_data_ptr", &abi->data_ptr },       { "aoti_torch_get_sizes", &abi->sizes },
        { "aoti_torch_get_strides", &abi->strides },         { "aoti_torch_get_dim", &abi->dim },
        { "aoti_torch_get_dtype", &abi->dtype },             { "aoti_torch_get_device_type", &abi->device_type },
        { "aoti_torch_get_device_index", &abi->device_index }, { "aoti_torch_device_type_cpu", &cpu },
        { "aoti_torch_device_type_cuda", &cuda },
    };
    void *library = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD); /* stays open: torch is never unloaded */
    if (!library)
        return false;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *function = dlsym(library, wanted[i].name);
        if (!function)
            return false;
        memcpy(wanted[i].to, &function, sizeof function);
    }
    abi->cpu = cpu();
    abi->cuda = cuda();
    return true;
}

static void *impl_at(PyObject *object, size_t at) {
    void *impl;
    memcpy(&impl, (const char *)object + at, sizeof impl);
    return impl;
}

/* The place of a pointer to IMPL in OBJECT, behind its head; 0: none of the two that versions of torch have used. */
static size_t place_of(PyObject *object, const void *impl) {
    const size_t places[] = { sizeof(PyObject), sizeof(PyObject) + sizeof(void *) };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (impl_at(object, places[i]) == impl)
            return places[i];
    return 0;
}

int jx_abi_find(jx_abi *abi, PyObject *samples) {
    Py_ssize_t n = PyList_Size(samples);
    size_t at = 0;
    *abi = (jx_abi){ 0 };
    if (n < 0)
        return -1;
    bool found = n > 0 && find_functions(abi);
    for (Py_ssize_t i = 0; i < n && found; i++) {
        PyObject *tensor;
        unsigned long long impl;
        int code, bits;
        int32_t dtype = -1;
        if (!PyArg_ParseTuple(PyList_GetItem(samples, i), "OKii", &tensor, &impl, &code, &bits))
            return -1;
        size_t here = place_of(tensor, (void *)(uintptr_t)impl);
        found = here && (!at || at == here) && !abi->dtype((char *)tensor + here, &dtype) && dtype >= 0 && dtype < JX_SCALAR_TYPES;
        at = here;
        if (found)
            abi->dtypes[dtype] = (DLDataType){ (uint8_t)code, (uint8_t)bits, 1 };
    }
    abi->at = found ? at : 0;
    return found;
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

bool jx_abi_describe(const jx_abi *abi, PyObject *object, DLTensor *out) {
    void *tensor = (char *)object + abi->at;
    int32_t dtype, type, index;
    int64_t dim;
    if (abi->dim(tensor, &dim) || abi->dtype(tensor, &dtype) || abi->device_type(tensor, &type) || abi->device_index(tensor, &index))
        return false;
    if (dim > JX_MAX_DIMS || dtype < 0 || dtype >= JX_SCALAR_TYPES || !abi->dtypes[dtype].bits || (type != abi->cpu && type != abi->cuda))
        return false;
    out->device = type == abi->cpu ? (DLDevice){ kDLCPU, 0 } : (DLDevice){ kDLCUDA, index };
    out->ndim = (int32_t)dim;
    out->dtype = abi->dtypes[dtype];
    out->byte_offset = 0;
    return !abi->data_ptr(tensor, &out->data) && !abi->sizes(tensor, &out->shape) && !abi->strides(tensor, &out->strides);
}

/* ---- whether something changed ---------------------------------------------------------------------------------- */

/* Sizes and strides of tensors of up to five dims lie within torch's object for the tensor, whose size is more than this. */
#define JX_IMPL_BYTES 160

static bool within(const void *impl, const int64_t *numbers, int32_t n) {
    uintptr_t from = (uintptr_t)impl, at = (uintptr_t)numbers;
    return at >= from && at + (size_t)n * sizeof *numbers <= from + JX_IMPL_BYTES;
}

void jx_abi_see(const jx_abi *abi, PyObject *object, const DLTensor *t, jx_seen *out) {
    out->object = NULL;
    if (!abi->at || t->byte_offset || abi->dtype((char *)object + abi->at, &out->dtype))
        return;
    out->impl = impl_at(object, abi->at);
    out->sizes = t->shape;
    out->strides = t->strides;
    out->data = t->data;
    out->ndim = t->ndim;
    if (!t->strides || !within(out->impl, t->shape, t->ndim) || !within(out->impl, t->strides, t->ndim))
        return;
    memcpy(out->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
    memcpy(out->steps, t->strides, (size_t)t->ndim * sizeof *t->strides);
    out->object = object;
}

bool jx_abi_same(const jx_abi *abi, PyObject *object, const jx_seen *seen) {
    void *tensor = (char *)object + abi->at, *data;
    size_t bytes = (size_t)seen->ndim * sizeof *seen->sizes;
    int32_t dtype;
    int64_t dim;
    /* IMPL is alive, for OBJECT has it: what SIZES and STRIDES point to is part of it. */
    return seen->object == object && impl_at(object, abi->at) == seen->impl && !abi->data_ptr(tensor, &data) && data == seen->data &&
           !abi->dtype(tensor, &dtype) && dtype == seen->dtype && !abi->dim(tensor, &dim) && dim == seen->ndim &&
           !memcmp(seen->sizes, seen->shape, bytes) && !memcmp(seen->strides, seen->steps, bytes);
}
