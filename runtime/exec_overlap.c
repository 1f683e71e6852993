/*
 * runtime/exec_overlap.c - whether the tensors of a call lie as the plan takes them to lie.
 *
 * A plan orders its steps, and its kernels promise the code generator, by what may share memory: inputs of one alias group.  All others
 * have to lie apart where one of them is written.  Whether they do is a matter of addresses, so it is checked at each call: for plans
 * that write inputs, each of these against all others.  Ranges of bytes that do not meet decide nearly all; views of one
 * buffer whose ranges are interleaved (columns of a matrix) are told apart by their remainders modulo a common stride.
 */
#include "runtime/exec_priv.h"

void jc_exec_find_written(jc_exec *e) {
    const jc_plan *p = e->plan;
    e->written = JC_NEWN(e->arena, uint32_t, p->ninputs);
    e->elements = JC_NEWN(e->arena, uint8_t, p->ninputs);
    for (uint32_t i = 0; i < p->ninputs; i++) {
        if (p->inputs[i].written)
            e->written[e->nwritten++] = i;
        if (p->inputs[i].alias)
            e->elements[i] = jc_dtypes[p->inputs[i].type.dtype].size;
    }
    for (uint32_t i = 0; i < p->ntensors; i++) {
        const jc_plan_tensor *t = &p->tensors[i];
        uint8_t size = jc_dtypes[t->type.dtype].size;
        if (t->home == JC_HOME_INPUT && p->inputs[t->index].alias && size > e->elements[t->index])
            e->elements[t->index] = size;
    }
}

static uint64_t magnitude(int64_t x) {
    return x < 0 ? -(uint64_t)x : (uint64_t)x;
}

/* Input I modulo M bytes: where its elements begin, relative to its first one, and behind how many bytes the last of them ends.  The
   dims whose strides M divides do not count. */
static void remainders(const jc_run *r, uint32_t i, uint64_t m, int64_t *first, uint64_t *length) {
    const jc_type *t = &r->e->plan->inputs[i].type;
    const jc_shaped *s = &r->s->inputs[i];
    uint64_t size = jc_dtypes[t->dtype].size;
    *first = 0;
    *length = size;
    for (int d = 0; d < t->rank; d++) {
        uint64_t step = magnitude(s->strides[d]) * size;
        if (step % m == 0)
            continue;
        *length += step * (uint64_t)(s->dims[d] - 1);
        if (s->strides[d] < 0)
            *first -= (int64_t)step * (s->dims[d] - 1);
    }
}

/* Are A and B, whose ranges meet, apart modulo M bytes? */
static bool apart_modulo(const jc_run *r, uint32_t a, uint32_t b, uint64_t m) {
    int64_t first[2];
    uint64_t length[2];
    remainders(r, a, m, &first[0], &length[0]);
    remainders(r, b, m, &first[1], &length[1]);
    if (length[0] > m || length[1] > m - length[0])
        return false;
    uintptr_t at = (uintptr_t)(r->in[a] + first[0]), bt = (uintptr_t)(r->in[b] + first[1]);
    uint64_t from_a = (bt - at) % m; /* of B's, from A's: unsigned differences wrap, so both orders are tried */
    if (bt < at)
        from_a = (m - (at - bt) % m) % m;
    return from_a >= length[0] && from_a + length[1] <= m;
}

static bool apart(const jc_run *r, uint32_t a, uint32_t b) {
    const jc_shaped *s[2] = { &r->s->inputs[a], &r->s->inputs[b] };
    if (!s[0]->hi || !s[1]->hi || r->in[a] + s[0]->hi <= r->in[b] + s[1]->lo || r->in[b] + s[1]->hi <= r->in[a] + s[0]->lo)
        return true;
    for (int k = 0; k < 2; k++) {
        const jc_type *t = &r->e->plan->inputs[k ? b : a].type;
        for (int d = 0; d < t->rank; d++)
            if (s[k]->dims[d] > 1 && s[k]->strides[d] &&
                apart_modulo(r, a, b, magnitude(s[k]->strides[d]) * jc_dtypes[t->dtype].size))
                return true;
    }
    return false;
}

static jitc_status check_pair(const jc_run *r, uint32_t written, uint32_t other, jc_error *err) {
    const jc_plan_input *w = &r->e->plan->inputs[written], *o = &r->e->plan->inputs[other];
    if (o->type.kind != JC_TENSOR || other == written || (w->alias && w->alias == o->alias) || apart(r, written, other))
        return JITC_OK;
    return jc_fail(err, JITC_E_INPUT,
                   "Inputs %u and %u share memory, and input %u is written: this was compiled for inputs that lie apart. Pass tensors "
                   "that do not overlap, such as a copy of one.",
                   written < other ? written : other, written < other ? other : written, written);
}

jitc_status jc_run_apart(jc_run *r, jc_error *err) {
    const jc_exec *e = r->e;
    for (uint32_t k = 0; k < e->nwritten; k++)
        for (uint32_t i = 0; i < e->plan->ninputs; i++)
            JC_TRY(check_pair(r, e->written[k], i, err));
    for (uint32_t i = 0; i < e->plan->ninputs; i++)
        if (e->elements[i] && r->s->inputs[i].hi && (uintptr_t)r->in[i] % e->elements[i])
            return jc_fail(err, JITC_E_INPUT,
                           "Input %u may share memory with another one, so it cannot be moved, but it starts at %p, which is not "
                           "aligned to its elements of %u bytes.", i, (const void *)r->in[i], e->elements[i]);
    return JITC_OK;
}
