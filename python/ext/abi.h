/*
 * abi.h - torch's stable C ABI: the functions aoti_torch_*, found in the process.
 *
 * With them a tensor is looked at in some ten nanoseconds, several times faster than by the exchange table, which is what tells whether a
 * weight is still what it was.  They take a handle, the address of the at::Tensor that Python's object holds; where in the object
 * that lies is found out once, by looking for the address that torch itself names for tensors of all dtypes (`Tensor._cdata`).
 * Where the functions or that place are not found, tensors cross as exchange.h says.
 */
#ifndef JITC_EXT_ABI_H
#define JITC_EXT_ABI_H

#include "ext.h"

#define JX_SCALAR_TYPES 64 /* torch's numbers of dtypes are below */

typedef struct jx_abi {
    size_t at; /* of the at::Tensor in an object; 0: there is no such way */
    int (*data_ptr)(void *tensor, void **out);
    int (*sizes)(void *tensor, int64_t **out);
    int (*strides)(void *tensor, int64_t **out);
    int (*dim)(void *tensor, int64_t *out);
    int (*dtype)(void *tensor, int32_t *out);
    int (*device_type)(void *tensor, int32_t *out);
    int (*device_index)(void *tensor, int32_t *out);
    int32_t cpu, cuda;                 /* numbers of device types */
    DLDataType dtypes[JX_SCALAR_TYPES]; /* 0 bits: one that libjitc has not */
} jx_abi;

/* Finds the functions, and learns from SAMPLES, a list of (tensor, its _cdata, dtype code, bits). False: there is no such way. -1 with an
   exception set for samples that are none. */
int jx_abi_find(jx_abi *abi, PyObject *samples);

/* Describes a tensor, exactly of torch.Tensor's type or of torch.nn.Parameter's, as jx_borrow() does.  False: it cannot. */
bool jx_abi_describe(const jx_abi *abi, PyObject *object, DLTensor *out);

/* What a tensor was when it was bound. */
typedef struct jx_seen {
    const void *object, *impl; /* compared, never followed: neither is kept alive.  NULL: nothing was seen */
    const int64_t *sizes, *strides; /* where IMPL, as long as it lives, has its sizes and strides */
    void *data;
    int32_t dtype, ndim;
    int64_t shape[JX_MAX_DIMS], steps[JX_MAX_DIMS];
} jx_seen;

/* Remembers OBJECT, which DESCRIBED is of, in OUT; OUT is empty where later calls could not tell. */
void jx_abi_see(const jx_abi *abi, PyObject *object, const DLTensor *described, jx_seen *out);
/* Whether OBJECT is what was seen: the same object with the same address, dtype, sizes and strides. */
bool jx_abi_same(const jx_abi *abi, PyObject *object, const jx_seen *seen);

#endif
