/*
 * jit/api/pairs.c - complex tensors of a caller as graphs take them.
 *
 * No value of a graph is complex: a parameter of the dtype c64 (c128) is f32[..., 2] (f64).  A complex tensor is that as it lies in memory, so
 * it is shown with other sizes and strides, and nothing is copied.
 */
#include "jit/api/pairs.h"

#include <string.h>

static bool is_complex(const DLTensor *t) {
    return t && t->dtype.code == kDLComplex && (t->dtype.bits == 64 || t->dtype.bits == 128) && t->ndim >= 0 && t->ndim <= JC_MAX_RANK &&
           (t->shape || !t->ndim);
}

bool jc_as_pairs(const DLTensor *t, jc_pairs *out) {
    if (!is_complex(t))
        return false;
    int64_t *shape = out->at, *strides = out->at + JC_MAX_RANK + 1;
    out->tensor = *t;
    out->tensor.ndim = t->ndim + 1;
    out->tensor.dtype.code = kDLFloat;
    out->tensor.dtype.bits = t->dtype.bits / 2;
    out->tensor.shape = shape;
    out->tensor.strides = t->strides ? strides : NULL;
    for (int d = 0; d < t->ndim; d++) {
        shape[d] = t->shape[d];
        strides[d] = t->strides ? (int64_t)((uint64_t)t->strides[d] * 2) : 0;
    }
    shape[t->ndim] = 2;
    strides[t->ndim] = 1;
    return true;
}

uint32_t jc_count_complex(const jitc_value *values, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += values[i].tag == JITC_TENSOR && values[i].tensor && values[i].tensor->dtype.code == kDLComplex;
    return count;
}

void jc_values_as_pairs(const jitc_value *values, uint32_t n, jitc_value *out, jc_pairs *pairs) {
    memcpy(out, values, n * sizeof *out);
    for (uint32_t i = 0; i < n; i++)
        if (values[i].tag == JITC_TENSOR && jc_as_pairs(values[i].tensor, pairs))
            out[i].tensor = &pairs++->tensor;
}
