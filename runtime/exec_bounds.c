/*
 * runtime/exec_bounds.c - how much memory shapes within a range of symbols need at most.
 *
 * By intervals, like the ranges of expressions in general: exact for sizes that grow with each symbol, as nearly all do, and never
 * too small for the others (a padded size, a remainder), so that memory reserved by it is enough for every shape within the range,
 * not only for the largest.
 */
#include "runtime/exec_priv.h"

#include <string.h>

typedef struct range {
    const int64_t *lo, *hi;
    uint32_t n;
    jc_error *err;
} range;

static jitc_status too_large(const range *r, const char *what, uint32_t which) {
    return jc_fail(r->err, JITC_E_INPUT, "The %s %u can be too large for memory with symbols as large as these.", what, which);
}

static bool most_of(const range *r, const jc_expr *e, int64_t *out) {
    int64_t lo;
    if (!jc_ex_range_within(e, r->lo, r->hi, r->n, &lo, out))
        return false;
    *out = *out < 0 ? 0 : *out;
    return *out <= PTRDIFF_MAX / 4;
}

static size_t round_up(size_t n) {
    return (n + JC_EXEC_ALIGN - 1) / JC_EXEC_ALIGN * JC_EXEC_ALIGN;
}

/* The largest buffer of slot I. */
static jitc_status slot_bytes(const jc_plan *p, const range *r, uint32_t slot, size_t *out) {
    *out = 0;
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        int64_t bytes;
        if (p->buffers[i].slot != slot)
            continue;
        if (!most_of(r, p->buffers[i].bytes, &bytes))
            return too_large(r, "size of buffer", i);
        *out = *out > (size_t)bytes ? *out : (size_t)bytes;
    }
    return JITC_OK;
}

/* Bytes that a tensor of type T touches before and from its first element. */
static bool reach(const range *r, const jc_type *t, int64_t *before, int64_t *after) {
    int64_t stride_lo = 1, stride_hi = 1, size = jc_dtypes[t->dtype].size, lo = 0, hi = 1;
    for (int d = t->rank; d-- > 0;) {
        int64_t n, down, up;
        if (!most_of(r, t->dims[d], &n))
            return false;
        if (t->strides && !jc_ex_range_within(t->strides[d], r->lo, r->hi, r->n, &stride_lo, &stride_hi))
            return false;
        int64_t steps = n ? n - 1 : 0;
        if (__builtin_mul_overflow(steps, stride_lo < 0 ? stride_lo : 0, &down) ||
            __builtin_mul_overflow(steps, stride_hi > 0 ? stride_hi : 0, &up) || __builtin_add_overflow(lo, down, &lo) ||
            __builtin_add_overflow(hi, up, &hi))
            return false;
        if (!t->strides && __builtin_mul_overflow(stride_hi, n ? n : 1, &stride_hi))
            return false;
    }
    return !__builtin_mul_overflow(lo, size, before) && !__builtin_mul_overflow(hi, size, after) &&
           *after <= PTRDIFF_MAX / 4 && *before >= -(PTRDIFF_MAX / 4);
}

static jitc_status copies(const jc_plan *p, const range *r, const bool *skip, size_t *out) {
    for (uint32_t i = 0; i < p->ninputs; i++) {
        int64_t before, after;
        size_t room;
        if (p->inputs[i].type.kind != JC_TENSOR || (skip && skip[i]))
            continue;
        if (!reach(r, &p->inputs[i].type, &before, &after))
            return too_large(r, "size of input", i);
        *out += jc_copy_bytes(before, after, &room);
        if (*out > PTRDIFF_MAX / 4)
            return too_large(r, "copies of inputs up to", i);
    }
    return JITC_OK;
}

jitc_status jc_exec_bounds(const jc_plan *p, const int64_t *lo, const int64_t *hi, const bool *skip, jc_exec_most *out,
                           jc_error *err) {
    range r = { lo, hi, p->nsyms, err };
    out->arena = out->temp = 0;
    for (uint32_t i = 0; i < p->nescapes; i++)
        out->escapes[i] = 0;
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        int64_t bytes;
        if (p->buffers[i].escape == JC_PLAN_NONE)
            continue;
        if (!most_of(&r, p->buffers[i].bytes, &bytes))
            return too_large(&r, "size of buffer", i);
        size_t *to = &out->escapes[p->buffers[i].escape];
        *to = *to > (size_t)bytes ? *to : (size_t)bytes;
    }
    for (uint32_t i = 0; i < p->nslots; i++) {
        size_t bytes;
        JC_TRY(slot_bytes(p, &r, i, &bytes));
        out->arena += round_up(bytes);
        if (out->arena > PTRDIFF_MAX / 2)
            return too_large(&r, "arena up to slot", i);
    }
    return copies(p, &r, skip, &out->temp);
}
