/*
 * runtime/exec_index.c - the step that looks at indices before a kernel takes rows of a table by them.
 *
 * PyTorch raises for an index out of range.  Kernels clamp what they read by, so that nothing outside is touched, and cannot raise; where
 * the device's memory is the host's, a step before them looks.
 */
#include "runtime/exec_priv.h"

#include <string.h>

static int64_t load(const DLTensor *t, const uint8_t *at) {
    int64_t x = 0;
    memcpy(&x, at, t->dtype.bits / 8);
    const int above = 64 - t->dtype.bits;
    return t->dtype.code == kDLInt ? (int64_t)((uint64_t)x << above) >> above : x;
}

static bool fits(const jitc_value *v, const jc_plan_step *step) {
    const DLTensor *t = step->nargs == 4 && v[0].tag == JITC_TENSOR ? v[0].tensor : NULL;
    return t && t->ndim <= JC_MAX_RANK && t->dtype.bits <= 64 && t->dtype.bits % 8 == 0 && v[1].tag == JITC_INT && v[2].tag == JITC_INT &&
           v[3].tag == JITC_BOOL;
}

/* Walks row-major over T, keeping the offset; false at the end. */
static bool next(const DLTensor *t, int64_t *index, int64_t *offset) {
    for (int d = t->ndim; d-- > 0;) {
        *offset += t->strides[d];
        if (++index[d] < t->shape[d])
            return true;
        *offset -= t->strides[d] * t->shape[d];
        index[d] = 0;
    }
    return false;
}

jitc_status jc_run_check_index(jc_run *r, uint32_t i, jc_error *err) {
    const jc_plan_step *step = &r->e->plan->steps[i];
    int64_t index[JC_MAX_RANK] = { 0 }, offset = 0, element = 0;
    jc_run_args(r, i);
    const jitc_value *v = r->values;
    if (!fits(v, step))
        return jc_fail(err, JITC_E_INPUT, "The arguments of %s in a plan are not those of a check.", step->op);
    const DLTensor *t = v[0].tensor;
    const int64_t rows = v[1].i, least = v[3].i ? -rows : 0;
    for (int d = 0; d < t->ndim; d++)
        if (t->shape[d] == 0)
            return JITC_OK;
    const uint8_t *at = (const uint8_t *)t->data + t->byte_offset;
    do {
        int64_t x = load(t, at + offset * (t->dtype.bits / 8));
        if (x < least || x >= rows)
            return jc_fail(err, JITC_E_INPUT, "take: the index %lld (element %lld of the indices) is out of range: dim %lld of the table has "
                           "%lld rows, so expected %lld to %lld.", (long long)x, (long long)element, (long long)v[2].i, (long long)rows,
                           (long long)least, (long long)rows - 1);
        element++;
    } while (next(t, index, &offset));
    return JITC_OK;
}
