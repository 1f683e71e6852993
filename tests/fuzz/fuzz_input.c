/*
 * tests/fuzz/fuzz_input.c - the inputs of a case: made up, laid out, in one another's memory or with rows far apart.
 */
#include "tests/fuzz/fuzz_lab.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>

const fz_input *fz_input_of(const fz_run *r, const char *name) {
    for (size_t i = 0; i < r->c->inputs.n; i++)
        if (strcmp(r->c->inputs.at[i].name, name) == 0)
            return &r->c->inputs.at[i];
    return NULL;
}

/* One element of eight. */
static double some_wild(uint64_t bits, double x) {
    static const double wild[] = { NAN, INFINITY, -INFINITY, -0.0 };
    return bits % 8 ? x : wild[bits / 8 % 4];
}

static void fill(jc_dtype d, uint8_t *at, int64_t n, const fz_input *in, uint64_t *state) {
    const double steps = in && in->step > 0 ? floor((in->hi - in->lo) / in->step + 1e-9) : 0;
    for (int64_t i = 0; i < n; i++, at += jc_dtypes[d].size) {
        const uint64_t bits = fz_next(state);
        const double k = steps > 0 ? (double)(bits >> 11) * 0x1p-53 * (steps + 1) : 0, x = in ? in->lo + floor(k) * in->step : 0;
        if (in && in->step == 0 && jc_dtypes[d].cls != 'b')
            memcpy(at, &bits, jc_dtypes[d].size);
        else if (jc_dtypes[d].cls == 'f')
            jc_store_float(d, at, in && in->wild ? some_wild(bits, x) : x);
        else
            jc_store_int(d, at, (int64_t)x);
    }
}

static bool is_sparse(const fz_input *in, const fz_device *l) {
    return in && in->pad > FZ_SPARSE && l && l->device->dl.device_type == kDLCPU;
}

/* Elements between rows, on L; for the reference (NULL) they are apart too, but not far. */
static int64_t pad_of(const fz_input *in, const fz_device *l) {
    return !in ? 0 : in->pad > FZ_SPARSE && !is_sparse(in, l) ? 3 : in->pad;
}

static void lay_out(fz_tensor *t, const fz_input *in, const fz_device *l) {
    int64_t at = 1;
    for (int k = t->dl.ndim; k-- > 0;) {
        const int d = in && in->rank == t->dl.ndim ? in->order[k] : k;
        t->dims[JC_MAX_RANK + d] = at;
        at *= t->dims[d];
        if (k == t->dl.ndim - 1)
            at += pad_of(in, l);
    }
}

/* Bytes from the first to the last of T's elements. */
size_t fz_bytes_of(const DLTensor *t) {
    int64_t last = 1;
    for (int d = 0; d < t->ndim; d++)
        last = t->shape[d] == 0 || last == 0 ? 0 : last + (t->shape[d] - 1) * t->strides[d];
    return (size_t)last * (t->dtype.bits / 8);
}

static bool make_input(fz_run *r, const jc_value *v, int which, uint32_t nsyms, fz_tensor *t) {
    const fz_input *in = fz_input_of(r, v->name);
    const jc_dtype dtype = (jc_dtype)v->type.dtype;
    uint64_t state = r->c->seed + 977 * (uint64_t)which;
    for (const char *p = v->name; *p; p++)
        state = state * 131 + (uint8_t)*p;
    t->dl = (DLTensor){ .device = { kDLCPU, 0 }, .ndim = v->type.rank, .shape = t->dims, .strides = t->dims + JC_MAX_RANK,
                        .dtype = { jc_dtypes[dtype].dl_code, jc_dtypes[dtype].dl_bits, 1 } };
    for (uint32_t d = 0; d < v->type.rank; d++)
        if (!jc_ex_eval(v->type.dims[d], r->syms[which], nsyms, &t->dims[d]))
            return fz_fail(r, FZ_UNREADABLE, "dim %u of %s has no value", d, v->name);
    lay_out(t, in, NULL);
    t->with = -1;
    t->bytes = fz_bytes_of(&t->dl);
    t->dl.data = jc_arena_alloc(r->arena, t->bytes + 16);
    fill(dtype, t->dl.data, (int64_t)(t->bytes / jc_dtypes[dtype].size), in, &state);
    return true;
}

/* Inputs that lie in another's memory move there, which grows where they reach beyond it. */
static void share_inputs(fz_run *r, int which) {
    fz_tensor *all = r->host[which];
    for (uint32_t i = 0; i < r->nparams; i++) {
        const fz_input *in = all[i].dl.data ? fz_input_of(r, r->root->params[i]->name) : NULL;
        for (uint32_t k = 0; in && in->with && k < r->nparams; k++) {
            if (strcmp(r->root->params[k]->name, in->with) != 0 || !all[k].dl.data)
                continue;
            all[i].with = (int)k;
            all[i].at = (size_t)in->offset * jc_dtypes[r->root->params[i]->type.dtype].size;
            if (all[i].at + all[i].bytes > all[k].bytes)
                all[k].bytes = all[i].at + all[i].bytes;
        }
    }
    for (uint32_t k = 0; k < r->nparams; k++) {
        uint8_t *memory = NULL;
        for (uint32_t i = 0; i < r->nparams; i++) {
            if (all[i].with != (int)k || !all[i].dl.data)
                continue;
            if (!memory) {
                memory = JC_NEWN(r->arena, uint8_t, all[k].bytes + 16);
                memcpy(memory, all[k].dl.data, fz_bytes_of(&all[k].dl));
                all[k].dl.data = memory;
            }
            memcpy(memory + all[i].at, all[i].dl.data, all[i].bytes);
            all[i].dl.data = memory + all[i].at;
        }
    }
}

bool fz_make_inputs(fz_run *r, int which, uint32_t nsyms) {
    r->host[which] = JC_NEWN(r->arena, fz_tensor, r->nparams + 1);
    for (uint32_t i = 0; i < r->nparams; i++)
        if (r->root->params[i]->type.kind == JC_TENSOR && !make_input(r, r->root->params[i], which, nsyms, &r->host[which][i]))
            return false;
    share_inputs(r, which);
    return true;
}

void fz_strides_of(fz_run *r, const fz_device *l, jitc_model_options *o) {
    jitc_strides *all = JC_NEWN(r->arena, jitc_strides, r->nparams + 1);
    jc_exprs *t = r->root->graph->exprs;
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->nparams; i++) {
        const jc_value *v = r->root->params[i];
        const fz_input *in = v->type.kind == JC_TENSOR ? fz_input_of(r, v->name) : NULL;
        bool plain = true;
        for (int d = 0; in && d < in->rank; d++)
            plain &= in->order[d] == d;
        if (!in || in->rank != v->type.rank || (plain && pad_of(in, l) == 0))
            continue;
        const char **text = JC_NEWN(r->arena, const char *, v->type.rank);
        const jc_expr *at = jc_ex_int(t, 1);
        for (int k = in->rank; k-- > 0;) {
            text[in->order[k]] = jc_ex_text(t, at, r->arena);
            at = jc_ex_mul(t, at, v->type.dims[in->order[k]]);
            if (k == in->rank - 1)
                at = jc_ex_add(t, at, jc_ex_int(t, pad_of(in, l)));
        }
        all[n++] = (jitc_strides){ .param = v->name, .n = v->type.rank, .strides = text };
    }
    o->strides = all;
    o->nstrides = n;
}

/* --- on a device --- */

/* T, laid out with its rows far apart, gets the elements of H. */
static bool copy_sparse(fz_run *r, fz_device *l, const fz_input *in, const fz_tensor *h, fz_tensor *t) {
    const size_t size = h->dl.dtype.bits / 8;
    const int64_t *dims = t->dims, *to = t->dims + JC_MAX_RANK, *from = h->dims + JC_MAX_RANK;
    int64_t n = 1;
    lay_out(t, in, l);
    t->bytes = fz_bytes_of(&t->dl);
    for (int d = 0; d < t->dl.ndim; d++)
        n *= dims[d];
    t->dl.data = mmap(NULL, t->bytes + 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->dl.data == MAP_FAILED) {
        t->dl.data = NULL;
        return fz_fail(r, FZ_UNRUN, "inputs: %zu bytes of address space are not to be had", t->bytes);
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t rest = k, at = 0, have = 0;
        for (int d = t->dl.ndim; d-- > 0; rest /= dims[d]) {
            at += rest % dims[d] * to[d];
            have += rest % dims[d] * from[d];
        }
        memcpy((uint8_t *)t->dl.data + (size_t)at * size, (const uint8_t *)h->dl.data + (size_t)have * size, size);
    }
    return true;
}

bool fz_copy_inputs(fz_run *r, fz_device *l, int which, fz_tensor *on_device) {
    jc_error err = JC_ERROR_INIT;
    for (uint32_t i = 0; i < r->nparams; i++) {
        const fz_tensor *h = &r->host[which][i];
        if (r->root->params[i]->type.kind != JC_TENSOR)
            continue;
        on_device[i] = *h;
        on_device[i].dl.device = l->device->dl;
        on_device[i].dl.shape = on_device[i].dims;
        on_device[i].dl.strides = on_device[i].dims + JC_MAX_RANK;
        on_device[i].dl.data = NULL;
        const fz_input *in = fz_input_of(r, r->root->params[i]->name);
        if (is_sparse(in, l)) {
            if (!copy_sparse(r, l, in, h, &on_device[i]))
                return false;
        } else if (h->with < 0 && (l->plain->alloc(l->device, h->bytes, &on_device[i].dl.data, &err) ||
                                   l->plain->copy_in(l->device, on_device[i].dl.data, h->dl.data, h->bytes, NULL, &err)))
            return fz_fail(r, FZ_UNRUN, "inputs: %s", err.message);
    }
    for (uint32_t i = 0; i < r->nparams; i++)
        if (r->root->params[i]->type.kind == JC_TENSOR && on_device[i].with >= 0)
            on_device[i].dl.data = (uint8_t *)on_device[on_device[i].with].dl.data + on_device[i].at;
    return true;
}

void fz_free_inputs(fz_run *r, fz_device *l, fz_tensor *on_device) {
    for (uint32_t i = 0; i < r->nparams; i++)
        if (on_device[i].dl.data && is_sparse(fz_input_of(r, r->root->params[i]->name), l))
            munmap(on_device[i].dl.data, on_device[i].bytes + 16);
        else if (on_device[i].dl.data && on_device[i].with < 0)
            l->plain->free(l->device, on_device[i].dl.data);
}
