/*
 * runtime/exec_args.c - a call's inputs and arguments.
 *
 * Inputs are checked against the plan under the shape (dtype, rank, dims, strides of dims longer than one) before
 * anything runs, and that those that the plan takes as apart are (exec_overlap.c).  Kernels rely on 16-byte alignment, so a tensor
 * that is not aligned is copied, gaps of its strides included, into the frame's second block, and copied back, without the
 * gaps, if the plan writes it.  Inputs of an alias group stay where they are, for a write to one shows in the others: their kernels rely
 * on the alignment of elements alone.
 *
 * Arguments of custom operators are rebuilt for every call into the frame's scratch memory.
 */
#include "runtime/exec_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- counting and carving -------------------------------------------------------------------------------------- */

static void count_args(const jc_plan_arg *args, uint32_t n, jc_exec_step *out) {
    for (uint32_t i = 0; i < n; i++) {
        out->nints++;
        out->ntensors += args[i].kind == JITC_TENSOR;
        if (args[i].kind == JITC_LIST || args[i].kind == JITC_DICT) {
            *(args[i].kind == JITC_LIST ? &out->nvalues : &out->nentries) += args[i].list.n;
            count_args(args[i].list.at, args[i].list.n, out);
        }
    }
}

static void at_least(uint32_t *a, uint32_t b) {
    *a = *a < b ? b : *a;
}

uint32_t jc_exec_count(jc_exec *e) {
    const jc_plan *p = e->plan;
    for (uint32_t i = 0; i < p->nsteps; i++) {
        const jc_plan_step *step = &p->steps[i];
        jc_exec_step *out = &e->steps[i];
        out->first_int = e->nints;
        if (step->kind == JC_STEP_LAUNCH) {
            out->nints = step->nkargs;
            at_least(&e->max_kargs, step->nkargs);
        } else {
            out->nvalues = step->nargs;
            count_args(step->args, step->nargs, out);
            at_least(&e->max_results, step->nresults);
        }
        e->nints += out->nints;
        at_least(&e->max_values, out->nvalues);
        at_least(&e->max_entries, out->nentries);
        at_least(&e->max_tensors, out->ntensors);
    }
    for (uint32_t i = 0; i < p->ninputs; i++)
        e->dims += p->inputs[i].type.kind == JC_TENSOR ? p->inputs[i].type.rank : 0;
    for (uint32_t i = 0; i < p->ntensors; i++)
        e->dims += p->tensors[i].type.rank;
    return e->nints;
}

static void *carve(size_t *at, void *block, size_t n, size_t size) {
    void *result = block ? (uint8_t *)block + *at : NULL;
    *at += (n * size + 15) / 16 * 16;
    return result;
}

size_t jc_run_carve(const jc_exec *e, void *scratch, jc_run *r) {
    const jc_plan *p = e->plan;
    size_t at = 0;
    r->in = carve(&at, scratch, p->ninputs, sizeof *r->in);
    r->scalars = carve(&at, scratch, p->ninputs, sizeof *r->scalars);
    r->buffers = carve(&at, scratch, p->nbuffers, sizeof *r->buffers);
    r->pointers = carve(&at, scratch, e->max_kargs, sizeof *r->pointers);
    r->kargs = carve(&at, scratch, e->max_kargs, sizeof *r->kargs);
    r->ranges = carve(&at, scratch, e->max_kargs, sizeof *r->ranges);
    r->values = carve(&at, scratch, e->max_values, sizeof *r->values);
    r->keys = carve(&at, scratch, e->max_values, sizeof *r->keys);
    r->entries = carve(&at, scratch, e->max_entries, sizeof *r->entries);
    r->tensors = carve(&at, scratch, e->max_tensors, sizeof *r->tensors);
    r->results = carve(&at, scratch, e->max_results, sizeof *r->results);
    r->result_at = carve(&at, scratch, e->max_results, sizeof *r->result_at);
    r->result_dims = carve(&at, scratch, e->max_results, sizeof *r->result_dims);
    return at;
}

/* ---- checking inputs ------------------------------------------------------------------------------------------- */

static const char *dtype_name(DLDataType t, char out[32]) {
    for (int i = 0; i < JC_DTYPE_COUNT; i++)
        if (jc_dtypes[i].dl_code == t.code && jc_dtypes[i].dl_bits == t.bits && t.lanes == 1)
            return jc_dtypes[i].name;
    snprintf(out, 32, "dtype(%u,%u,%u)", t.code, t.bits, t.lanes);
    return out;
}

static size_t put_ints(char *out, size_t n, size_t size, const int64_t *at, int32_t count) {
    for (int32_t i = 0; i < count && n < size; i++) {
        int length = snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)at[i]);
        n += length > 0 ? (size_t)length : 0;
    }
    return n < size ? n : size - 1;
}

const char *jc_run_describe(const DLTensor *t, bool strides, char out[320]) {
    char name[32];
    size_t n = (size_t)snprintf(out, 320, "%s[", dtype_name(t->dtype, name));
    int32_t rank = t->ndim < 0 || t->ndim > JC_MAX_RANK ? 0 : t->ndim;
    n = put_ints(out, n, 300, t->shape, rank);
    n += (size_t)snprintf(out + n, 320 - n, "%s]", rank == t->ndim ? "" : "...");
    if (strides && t->strides && n < 290) {
        n += (size_t)snprintf(out + n, 320 - n, " with strides [");
        n = put_ints(out, n, 318, t->strides, rank);
        snprintf(out + n, 320 - n, "]");
    }
    return out;
}

bool jc_run_same_shape(const DLTensor *a, int32_t ndim, const int64_t *dims) {
    return a->ndim == ndim && (ndim == 0 || memcmp(a->shape, dims, (size_t)ndim * sizeof *dims) == 0);
}

static DLTensor expected_tensor(const jc_run *r, uint32_t i) {
    const jc_type *t = &r->e->plan->inputs[i].type;
    const jc_shaped *s = &r->s->inputs[i];
    return (DLTensor){ .device = r->e->d->dl, .ndim = t->rank, .shape = s->dims, .strides = s->strides,
                       .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
}

static jitc_status wrong_tensor(const jc_run *r, uint32_t i, const DLTensor *got, bool strides, jc_error *err) {
    char a[320], b[320];
    DLTensor want = expected_tensor(r, i);
    return jc_fail(err, JITC_E_INPUT, "Input %u is %s%s, but %s is expected.", i, jc_run_describe(got, strides, a),
                   strides && !got->strides ? " (row-major)" : "", jc_run_describe(&want, strides, b));
}

static bool same_strides(const DLTensor *t, const jc_shaped *s) {
    int64_t stride = 1;
    for (int32_t d = t->ndim; d-- > 0;) {
        if (t->shape[d] > 1 && (t->strides ? t->strides[d] : stride) != s->strides[d])
            return false;
        stride *= t->shape[d]; /* cannot overflow: the shape was computed with these dims */
    }
    return true;
}

bool jc_device_holds(const jc_device *d, DLDevice at) {
    if (d->dl.device_type == kDLCPU)
        return at.device_type == kDLCPU || at.device_type == kDLCUDAHost;
    return at.device_type == kDLCUDAManaged || (at.device_type == d->dl.device_type && at.device_id == d->dl.device_id);
}

static jitc_status check_tensor(jc_run *r, uint32_t i, const DLTensor *t, jc_error *err) {
    const jc_type *type = &r->e->plan->inputs[i].type;
    const jc_shaped *s = &r->s->inputs[i];
    const jc_dtype_info *dtype = &jc_dtypes[type->dtype];
    if (!jc_device_holds(r->e->d, t->device))
        return jc_fail(err, JITC_E_INPUT, "Input %u is a tensor on device %d:%d, but the executable runs on %s (%d:%d).", i,
                       (int)t->device.device_type, t->device.device_id, r->e->d->ops->name,
                       (int)r->e->d->dl.device_type, r->e->d->dl.device_id);
    if (t->dtype.code != dtype->dl_code || t->dtype.bits != dtype->dl_bits || t->dtype.lanes != 1 ||
        !jc_run_same_shape(t, type->rank, s->dims))
        return wrong_tensor(r, i, t, false, err);
    if (s->hi && !same_strides(t, s))
        return wrong_tensor(r, i, t, true, err);
    if (s->hi && !t->data)
        return jc_fail(err, JITC_E_INPUT, "Input %u has no data, though it has elements.", i);
    r->in[i] = t->data ? (uint8_t *)t->data + t->byte_offset : NULL;
    if (!s->hi && r->in[i]) /* nothing is read there, but kernels make addresses of it, and copies of no bytes want them aligned too */
        r->in[i] -= (uintptr_t)r->in[i] % JC_EXEC_VEC_ALIGN;
    return JITC_OK;
}

static jitc_status check_input(jc_run *r, uint32_t i, jc_error *err) {
    static const struct {
        uint8_t tag;
        const char *what;
    } wants[] = {
        [JC_TENSOR] = { JITC_TENSOR, "a tensor" }, [JC_SYMINT] = { JITC_INT, "an integer" },
        [JC_NAME] = { JITC_NAME, "a layer name" }, [JC_INT] = { JITC_INT, "an integer" },
        [JC_FLOAT] = { JITC_FLOAT, "a float" },    [JC_BOOL] = { JITC_BOOL, "a bool" },
    };
    const jitc_value *v = &r->call->in[i];
    uint8_t kind = r->e->plan->inputs[i].type.kind;
    bool widened = kind == JC_FLOAT && v->tag == JITC_INT;
    if ((v->tag != wants[kind].tag && !widened) || (v->tag == JITC_TENSOR && !v->tensor) ||
        (v->tag == JITC_NAME && !v->name))
        return jc_fail(err, JITC_E_INPUT, "Input %u must be %s, but a value with tag %u was given.", i, wants[kind].what,
                       v->tag);
    if (kind == JC_TENSOR)
        return check_tensor(r, i, v->tensor, err);
    if (kind == JC_FLOAT)
        r->scalars[i].f = widened ? (double)v->i : v->f;
    else if (kind != JC_NAME)
        r->scalars[i].i = v->i;
    if (kind == JC_SYMINT && v->i != r->s->inputs[i].value)
        return jc_fail(err, JITC_E_INPUT, "Input %u is %lld, but the sizes of the tensors make it %lld.", i,
                       (long long)v->i, (long long)r->s->inputs[i].value);
    return JITC_OK;
}

/* ---- alignment ------------------------------------------------------------------------------------------------- */

static bool unaligned(const jc_run *r, uint32_t i) {
    return r->e->plan->inputs[i].type.kind == JC_TENSOR && !r->e->plan->inputs[i].alias && r->s->inputs[i].hi &&
           (uintptr_t)r->in[i] % JC_EXEC_VEC_ALIGN != 0;
}

bool jc_exec_aligned(const DLTensor *t) {
    return ((uintptr_t)t->data + t->byte_offset) % JC_EXEC_VEC_ALIGN == 0;
}

/* The I-th of the inputs to look at. */
static uint32_t fresh(const jc_run *r, uint32_t i) {
    return r->call->kept && r->call->kept->fresh ? r->call->kept->fresh[i] : i;
}

static uint32_t nfresh(const jc_run *r) {
    return r->call->kept && r->call->kept->fresh ? r->call->kept->nfresh : r->e->plan->ninputs;
}

static jitc_status align_inputs(jc_run *r, jc_error *err) {
    jc_device *d = r->e->d;
    size_t total = 0, before;
    for (uint32_t k = 0; k < nfresh(r); k++) {
        const jc_shaped *s = &r->s->inputs[fresh(r, k)];
        total += unaligned(r, fresh(r, k)) ? jc_copy_bytes(s->lo, s->hi, &before) : 0;
    }
    if (!total)
        return JITC_OK;
    r->copied = true;
    JC_TRY(jc_frame_grow(r->f, &r->f->temp, total, r->call->stream, err));
    uint8_t *at = r->f->temp.at;
    for (uint32_t k = 0; k < nfresh(r); k++) {
        uint32_t i = fresh(r, k);
        const jc_shaped *s = &r->s->inputs[i];
        if (!unaligned(r, i))
            continue;
        size_t bytes = jc_copy_bytes(s->lo, s->hi, &before);
        JC_TRY(d->ops->copy(d, at + before + s->lo, r->in[i] + s->lo, (size_t)(s->hi - s->lo), r->call->stream, err));
        r->in[i] = at + before;
        at += bytes;
    }
    return JITC_OK;
}

jitc_status jc_run_inputs(jc_run *r, jc_error *err) {
    for (uint32_t k = 0; k < nfresh(r); k++)
        JC_TRY(check_input(r, fresh(r, k), err));
    JC_TRY(jc_run_apart(r, err));
    return align_inputs(r, err);
}

/* Runs of adjacent elements, those of the innermost dim that has gaps at once, so that what lies between them stays as it is. */
static jitc_status copy_elements(jc_device *d, int64_t size, int rank, const int64_t *dims, const int64_t *strides, uint8_t *to,
                                 const uint8_t *from, void *stream, jc_error *err) {
    int64_t run = size, rows = 1, pitch = size, index[JC_MAX_RANK] = { 0 };
    int outer = rank;
    for (; outer > 0 && (dims[outer - 1] == 1 || strides[outer - 1] * size == run); outer--)
        run *= dims[outer - 1];
    if (outer > 0 && strides[outer - 1] * size > run) {
        rows = dims[--outer];
        pitch = strides[outer] * size;
    }
    for (;;) {
        int64_t at = 0;
        for (int k = 0; k < outer; k++)
            at += index[k] * strides[k] * size;
        JC_TRY(rows == 1 ? d->ops->copy(d, to + at, from + at, (size_t)run, stream, err)
                         : d->ops->copy_rows(d, to + at, from + at, (size_t)run, (size_t)pitch, (size_t)rows, stream, err));
        int k = outer - 1;
        while (k >= 0 && ++index[k] == dims[k])
            index[k--] = 0;
        if (k < 0)
            return JITC_OK;
    }
}

jitc_status jc_device_copy_tensor(jc_device *d, const DLTensor *to, const DLTensor *from, void *stream, jc_error *err) {
    uint8_t *dst = to->data ? (uint8_t *)to->data + to->byte_offset : NULL;
    const uint8_t *src = from->data ? (const uint8_t *)from->data + from->byte_offset : NULL;
    int64_t strides[JC_MAX_RANK], row_major = 1;
    for (int i = from->ndim; i-- > 0;) {
        if (from->shape[i] == 0)
            return JITC_OK;
        strides[i] = from->strides ? from->strides[i] : row_major;
        row_major *= from->shape[i];
    }
    return dst == src ? JITC_OK : copy_elements(d, from->dtype.bits / 8, from->ndim, from->shape, strides, dst, src, stream, err);
}

jitc_status jc_run_copy_back(jc_run *r, jc_error *err) {
    for (uint32_t i = 0; i < r->e->plan->ninputs && r->copied; i++) {
        const jc_plan_input *in = &r->e->plan->inputs[i];
        if (!in->written || in->type.kind != JC_TENSOR || !r->s->inputs[i].hi)
            continue;
        const DLTensor *t = r->call->in[i].tensor;
        uint8_t *given = (uint8_t *)t->data + t->byte_offset;
        if (given != r->in[i])
            JC_TRY(copy_elements(r->e->d, jc_dtypes[in->type.dtype].size, in->type.rank, r->s->inputs[i].dims,
                                 r->s->inputs[i].strides, given, r->in[i], r->call->stream, err));
    }
    return JITC_OK;
}

/* ---- arguments of custom operators ----------------------------------------------------------------------------- */

uint8_t *jc_run_home(const jc_run *r, uint32_t tensor) {
    const jc_plan_tensor *t = &r->e->plan->tensors[tensor];
    return t->home == JC_HOME_INPUT ? r->in[t->index] : r->buffers[t->index];
}

void jc_run_tensor(jc_run *r, uint32_t tensor, DLTensor *out, int64_t *dims) {
    const jc_type *t = &r->e->plan->tensors[tensor].type;
    const jc_shaped *s = &r->s->tensors[tensor];
    uint8_t *home = jc_run_home(r, tensor);
    *out = (DLTensor){ .data = home ? home + s->offset : NULL, .device = r->e->d->dl, .ndim = t->rank, .shape = s->dims,
                       .strides = s->strides, .dtype = { jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 } };
    if (dims) {
        memcpy(dims, s->dims, t->rank * sizeof *dims);
        memcpy(dims + JC_MAX_RANK, s->strides, t->rank * sizeof *dims);
        out->shape = dims;
        out->strides = dims + JC_MAX_RANK;
    }
}

/* What of the arrays is used up. */
typedef struct cursor {
    uint32_t values, entries, tensors;
    const int64_t *ints;
} cursor;

static void put_list(jc_run *r, cursor *c, const jc_plan_arg *a, jitc_value *out);

static void put_arg(jc_run *r, cursor *c, const jc_plan_arg *a, jitc_value *out) {
    const int64_t *number = c->ints++;
    *out = (jitc_value){ .tag = a->kind };
    if (a->kind == JITC_LIST || a->kind == JITC_DICT) {
        put_list(r, c, a, out);
    } else if (a->kind == JITC_STR) {
        out->str = a->str;
    } else if (a->kind == JITC_TENSOR) {
        out->tensor = &r->tensors[c->tensors++];
        if (r->s)
            jc_run_tensor(r, a->tensor, out->tensor, NULL);
        else
            memset(out->tensor, 0, sizeof *out->tensor);
    } else if (!r->s) {
        return;
    } else if (a->kind == JITC_NAME) {
        out->name = r->call->in[a->input].name;
    } else if (a->kind == JITC_FLOAT) {
        out->f = a->from_input ? r->scalars[a->input].f : a->f;
    } else if (a->kind == JITC_BOOL) {
        out->i = a->from_input ? r->scalars[a->input].i != 0 : a->b;
    } else if (a->kind == JITC_INT) {
        out->i = a->from_input ? r->scalars[a->input].i : *number;
    }
}

static void put_list(jc_run *r, cursor *c, const jc_plan_arg *a, jitc_value *out) {
    uint32_t n = a->list.n;
    out->n = n;
    if (a->kind == JITC_LIST) {
        jitc_value *list = r->values + c->values;
        c->values += n;
        out->list = list;
        for (uint32_t i = 0; i < n; i++)
            put_arg(r, c, &a->list.at[i], &list[i]);
        return;
    }
    jitc_entry *dict = r->entries + c->entries;
    c->entries += n;
    out->dict = dict;
    for (uint32_t i = 0; i < n; i++) {
        dict[i].key = a->list.at[i].key;
        put_arg(r, c, &a->list.at[i], &dict[i].value);
    }
}

void jc_run_args(jc_run *r, uint32_t step) {
    static const int64_t none[1];
    const jc_plan_step *s = &r->e->plan->steps[step];
    cursor c = { .values = s->nargs, .ints = r->s ? r->s->ints + r->e->steps[step].first_int : none };
    for (uint32_t i = 0; i < s->nargs; i++) {
        r->keys[i] = s->args[i].key;
        put_arg(r, &c, &s->args[i], &r->values[i]);
    }
}
