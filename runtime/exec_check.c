/*
 * runtime/exec_check.c - steps that look at integers that a kernel has no word about.
 *
 * PyTorch raises for an index out of range.  Kernels clamp what they read by, so that nothing outside is touched, and cannot raise; a step
 * before them looks.  It raises for a matrix without factors, too: the kernels say so in info, and a step behind them looks.  Memory of a GPU is
 * copied out for it.
 */
#include "runtime/exec_priv.h"

#include <string.h>

#include "ir/info.h"

/* One element X, the one of that NUMBER row by row, of what the arguments V of a check begin with. */
typedef jitc_status element_check(const jitc_value *v, int64_t x, int64_t number, jc_error *err);

static int64_t load(const DLTensor *t, const uint8_t *at) {
    int64_t x = 0;
    memcpy(&x, at, t->dtype.bits / 8);
    const int above = 64 - t->dtype.bits;
    return t->dtype.code == kDLInt ? (int64_t)((uint64_t)x << above) >> above : x;
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

static jitc_status is_row(const jitc_value *v, int64_t x, int64_t number, jc_error *err) {
    const int64_t rows = v[1].i, least = v[3].i ? -rows : 0;
    if (x >= least && x < rows)
        return JITC_OK;
    return jc_fail(err, JITC_E_INPUT, "%s: the index %lld (element %lld of the indices) is out of range: dim %lld of the %s has "
                   "%lld rows, so expected %lld to %lld.", v[4].i ? "put_" : "take", (long long)x, (long long)number,
                   (long long)v[2].i, v[4].i ? "destination" : "table", (long long)rows, (long long)least, (long long)rows - 1);
}

static jitc_status has_factors(const jitc_value *v, int64_t x, int64_t number, jc_error *err) {
    return x == 0 ? JITC_OK : jc_info_fail(v[1].i, v[0].tensor->ndim ? number : -1, x, err);
}

/* What a check is given behind the tensor. */
static const struct check {
    const char *op;
    element_check *each;
    uint8_t nargs, tags[5];
} checks[] = {
    { JC_CHECK_INDEX, is_row, 5, { JITC_TENSOR, JITC_INT, JITC_INT, JITC_BOOL, JITC_BOOL } },
    { JC_CHECK_INFO, has_factors, 2, { JITC_TENSOR, JITC_INT } },
};

/* The check that STEP is, if V are arguments of one. */
static const struct check *check_of(const jitc_value *v, const jc_plan_step *step) {
    const struct check *c = strcmp(step->op, checks[0].op) == 0 ? &checks[0] : &checks[1];
    bool fits = step->nargs == c->nargs;
    for (uint32_t i = 0; fits && i < c->nargs; i++)
        fits = v[i].tag == c->tags[i];
    const DLTensor *t = fits ? v[0].tensor : NULL;
    return t && t->ndim <= JC_MAX_RANK && t->dtype.bits <= 64 && t->dtype.bits % 8 == 0 ? c : NULL;
}

/* AT: the first element, in memory of the host. */
static jitc_status look(const struct check *c, const jitc_value *v, const uint8_t *at, jc_error *err) {
    const DLTensor *t = v[0].tensor;
    int64_t index[JC_MAX_RANK] = { 0 }, offset = 0, number = 0;
    do
        JC_TRY(c->each(v, load(t, at + offset * (t->dtype.bits / 8)), number++, err));
    while (next(t, index, &offset));
    return JITC_OK;
}

/* The same for memory of a GPU: what lies between T's first and last element is copied. */
static jitc_status look_from_afar(const jc_run *r, const struct check *c, const jitc_value *v, jc_error *err) {
    const DLTensor *t = v[0].tensor;
    const jc_device *d = r->e->d;
    const size_t size = t->dtype.bits / 8;
    int64_t first = 0, last = 0;
    for (int k = 0; k < t->ndim; k++)
        *(t->strides[k] < 0 ? &first : &last) += (t->shape[k] - 1) * t->strides[k];
    const size_t bytes = (size_t)(last - first + 1) * size;
    uint8_t *copy = d->alloc->alloc(d->alloc->user, bytes);
    if (!copy)
        return jc_fail(err, JITC_E_NOMEM, "No memory for the %zu bytes that a check copies from the device.", bytes);
    const uint8_t *from = (const uint8_t *)t->data + t->byte_offset + first * (int64_t)size;
    jitc_status status = d->ops->copy_out(r->e->d, copy, from, bytes, r->call->stream, err);
    if (status == JITC_OK)
        status = d->ops->sync(r->e->d, r->call->stream, err);
    if (status == JITC_OK)
        status = look(c, v, copy - first * (int64_t)size, err);
    d->alloc->free(d->alloc->user, copy, bytes);
    return status;
}

jitc_status jc_run_check(jc_run *r, uint32_t i, jc_error *err) {
    const jc_plan_step *step = &r->e->plan->steps[i];
    jc_run_args(r, i);
    const jitc_value *v = r->values;
    const struct check *c = check_of(v, step);
    if (!c)
        return jc_fail(err, JITC_E_INPUT, "The arguments of %s in a plan are not those of a check.", step->op);
    const DLTensor *t = v[0].tensor;
    for (int d = 0; d < t->ndim; d++)
        if (t->shape[d] == 0)
            return JITC_OK;
    if (r->e->d->dl.device_type != kDLCPU)
        return look_from_afar(r, c, v, err);
    return look(c, v, (const uint8_t *)t->data + t->byte_offset, err);
}
