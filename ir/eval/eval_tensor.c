/*
 * ir/eval/eval_tensor.c - storage, views, iteration and arguments of the reference.  No operator lives here.
 */
#include <string.h>
#include "ir/eval/eval_priv.h"

/* ---- storage ---- */

jc_ev_storage *jc_ev_storage_new(jc_ev *ev, int64_t bytes) {
    jc_ev_storage *st = JC_NEW(ev->arena, jc_ev_storage);
    st->bytes = bytes;
    st->origin = JC_NO_ORIGIN;
    return st;
}

static void element_to_bytes(const jc_ev_storage *st, uint8_t dtype, int64_t k, uint8_t *out) {
    if (jc_is_float(dtype))
        jc_store_float(dtype, out, ((const double *)st->face[dtype])[k]);
    else
        jc_store_int(dtype, out, ((const int64_t *)st->face[dtype])[k]);
}

static void element_from_bytes(jc_ev_storage *st, uint8_t dtype, int64_t k, const uint8_t *in) {
    if (jc_is_float(dtype))
        ((double *)st->face[dtype])[k] = jc_load_float(dtype, in);
    else
        ((int64_t *)st->face[dtype])[k] = jc_load_int(dtype, in);
}

/* The storage's bytes in memory of their own, from where they came from and not from another look at them: a look may hold
   less than the bytes, as a bool of byte 2 does. */
static uint8_t *own_bytes(jc_ev *ev, const jc_ev_storage *st) {
    uint8_t *out = jc_arena_alloc(ev->arena, (size_t)st->bytes);
    if (st->raw) {
        memcpy(out, st->raw, (size_t)st->bytes);
    } else if (st->origin != JC_NO_ORIGIN) {
        int size = jc_dtypes[st->origin].size;
        for (int64_t k = 0; k < st->bytes / size; k++)
            element_to_bytes(st, st->origin, k, out + k * size);
    }
    return out;
}

/* Makes DTYPE's face valid.  A storage that nothing wrote reads as NaN (0 for integers), so that a graph which uses
   what it never wrote is noticed. */
static void *face(jc_ev *ev, jc_ev_storage *st, uint8_t dtype, bool write) {
    int size = jc_dtypes[dtype].size;
    int64_t count = st->bytes / size;
    if (!st->face[dtype])
        st->face[dtype] = jc_arena_array(ev->arena, (size_t)count, 8);
    if (!(st->valid >> dtype & 1)) {
        if (st->origin == JC_NO_ORIGIN && !st->raw) {
            for (int64_t k = 0; jc_is_float(dtype) && k < count; k++)
                ((double *)st->face[dtype])[k] = __builtin_nan("");
            st->origin = dtype;
        } else {
            const uint8_t *bytes = st->raw ? st->raw : own_bytes(ev, st);
            for (int64_t k = 0; k < count; k++)
                element_from_bytes(st, dtype, k, bytes + k * size);
        }
        st->valid |= 1u << dtype;
    }
    if (write) {
        st->valid = 1u << dtype;
        st->origin = dtype;
        st->raw = NULL;
        st->written = true;
    }
    return st->face[dtype];
}

double *jc_ev_floats(jc_ev *ev, const jc_ev_tensor *t) { return face(ev, t->st, t->dtype, false); }
int64_t *jc_ev_ints(jc_ev *ev, const jc_ev_tensor *t) { return face(ev, t->st, t->dtype, false); }
double *jc_ev_floats_out(jc_ev *ev, const jc_ev_tensor *t) { return face(ev, t->st, t->dtype, true); }
int64_t *jc_ev_ints_out(jc_ev *ev, const jc_ev_tensor *t) { return face(ev, t->st, t->dtype, true); }

void jc_ev_row(jc_ev *ev, const jc_ev_tensor *t, int64_t at, int64_t stride, int64_t n, double *out) {
    int size = jc_dtypes[t->dtype].size;
    if (t->st->raw && !t->st->valid) {
        for (int64_t k = 0; k < n; k++)
            out[k] = jc_load_float(t->dtype, t->st->raw + (at + k * stride) * size);
    } else if (jc_is_float(t->dtype)) {
        const double *f = jc_ev_floats(ev, t);
        for (int64_t k = 0; k < n; k++)
            out[k] = f[at + k * stride];
    } else {
        const int64_t *i = jc_ev_ints(ev, t);
        for (int64_t k = 0; k < n; k++)
            out[k] = (double)i[at + k * stride];
    }
}

uint8_t *jc_ev_bytes(jc_ev *ev, const jc_ev_tensor *t, bool share) {
    if (share && t->st->raw)
        return (uint8_t *)t->st->raw; /* read only, by SHARE's promise */
    if (t->st->origin == JC_NO_ORIGIN && !t->st->raw)
        face(ev, t->st, t->dtype, false);
    return own_bytes(ev, t->st);
}

/* ---- tensors ---- */

int64_t jc_ev_numel(const jc_ev_tensor *t) {
    int64_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= t->dims[d];
    return n;
}

void jc_ev_row_major(jc_ev_tensor *t) {
    int64_t stride = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        t->strides[d] = stride;
        stride *= t->dims[d] > 1 ? t->dims[d] : 1;
    }
}

bool jc_ev_contiguous(const jc_ev_tensor *t) {
    int64_t stride = 1;
    if (jc_ev_numel(t) == 0)
        return true;
    for (int d = t->rank - 1; d >= 0; d--) {
        if (t->dims[d] != 1 && t->strides[d] != stride)
            return false;
        stride *= t->dims[d];
    }
    return true;
}

/* Elements from the first to the last, both included; false on overflow or a negative stride or dim. */
static bool span_of(const jc_ev_tensor *t, int64_t *span) {
    int64_t n = 1, last = 0, step;
    for (int d = 0; d < t->rank; d++) {
        if (t->dims[d] < 0 || t->strides[d] < 0 || __builtin_mul_overflow(n, t->dims[d], &n))
            return false;
        if (t->dims[d] > 1 &&
            (__builtin_mul_overflow(t->dims[d] - 1, t->strides[d], &step) || __builtin_add_overflow(last, step, &last)))
            return false;
    }
    *span = n == 0 ? 0 : last + 1;
    return *span < INT64_MAX / 16 && n < INT64_MAX / 16;
}

jitc_status jc_ev_new(jc_ev *ev, const jc_node *n, const jc_value *v, jc_ev_tensor *out) {
    *out = (jc_ev_tensor){ .dtype = v->type.dtype, .rank = v->type.rank };
    for (int d = 0; d < out->rank; d++)
        JC_TRY(jc_ev_expr(ev, n, v->type.dims[d], &out->dims[d]));
    jc_ev_row_major(out);
    for (int d = 0; d < out->rank && v->type.strides; d++)
        JC_TRY(jc_ev_expr(ev, n, v->type.strides[d], &out->strides[d]));
    if (!v->type.strides && jc_lays_out_as_operands(n))
        JC_TRY(jc_ev_lay_out(ev, n, out));
    int64_t span;
    if (!span_of(out, &span))
        return jc_ev_fail(ev, n, JITC_E_INPUT, "The dims of '%s' make no tensor: one is negative, or there are too "
                          "many elements.", v->name ? v->name : "a result");
    out->st = jc_ev_storage_new(ev, span * jc_dtypes[out->dtype].size);
    return JITC_OK;
}

jc_ev_tensor jc_ev_like(jc_ev *ev, const jc_ev_tensor *t, uint8_t dtype) {
    jc_ev_tensor out = *t;
    out.dtype = dtype;
    out.offset = 0;
    jc_ev_row_major(&out);
    out.st = jc_ev_storage_new(ev, jc_ev_numel(t) * jc_dtypes[dtype].size);
    return out;
}

void jc_ev_copy(jc_ev *ev, const jc_ev_tensor *from, const jc_ev_tensor *to) {
    jc_ev_iter it = jc_ev_begin(to->rank, to->dims);
    jc_ev_with(&it, from->strides, from->offset);
    jc_ev_with(&it, to->strides, to->offset);
    const void *in = face(ev, from->st, from->dtype, false);
    void *out = face(ev, to->st, to->dtype, true);
    bool from_float = jc_is_float(from->dtype), to_float = jc_is_float(to->dtype);
    for (; it.left > 0; jc_ev_next(&it)) {
        double f = from_float ? ((const double *)in)[it.at[0]] : 0;
        int64_t i = from_float ? 0 : ((const int64_t *)in)[it.at[0]];
        if (to_float)
            ((double *)out)[it.at[1]] = jc_ev_cast(from->dtype, to->dtype, from_float ? f : (double)i);
        else
            ((int64_t *)out)[it.at[1]] = from_float ? jc_ev_trunc(from->dtype, to->dtype, f, ev->how & JC_EVAL_GPU) : jc_ev_wrap(to->dtype, i);
    }
}

bool jc_ev_broadcast(const jc_ev_tensor *t, int rank, const int64_t *dims, jc_ev_tensor *out) {
    jc_ev_tensor r = { .st = t->st, .dtype = t->dtype, .rank = rank, .offset = t->offset };
    if (t->rank > rank)
        return false;
    for (int d = 0; d < rank; d++) {
        int from = d - (rank - t->rank);
        r.dims[d] = dims[d];
        r.strides[d] = from >= 0 && t->dims[from] == dims[d] ? t->strides[from] : 0;
        if (from >= 0 && t->dims[from] != dims[d] && t->dims[from] != 1)
            return false;
    }
    *out = r;
    return true;
}

/* ---- iteration ---- */

jc_ev_iter jc_ev_begin(int rank, const int64_t *dims) {
    jc_ev_iter it = { .left = 1, .rank = rank };
    for (int d = 0; d < rank; d++) {
        it.dims[d] = dims[d];
        it.left *= dims[d];
    }
    return it;
}

void jc_ev_with(jc_ev_iter *it, const int64_t *strides, int64_t offset) {
    memcpy(it->strides[it->n], strides, (size_t)it->rank * sizeof *strides);
    it->at[it->n++] = offset;
}

void jc_ev_next(jc_ev_iter *it) {
    it->left--;
    for (int d = it->rank - 1; d >= 0; d--) {
        for (int k = 0; k < it->n; k++)
            it->at[k] += it->strides[k][d];
        if (++it->index[d] < it->dims[d])
            return;
        for (int k = 0; k < it->n; k++)
            it->at[k] -= it->strides[k][d] * it->dims[d];
        it->index[d] = 0;
    }
}

/* ---- arguments ---- */

jitc_status jc_ev_fail(jc_ev *ev, const jc_node *n, jitc_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = jc_arena_vprintf(ev->arena, format, args);
    va_end(args);
    const char *name = n && n->nresults ? n->results[0]->name : NULL;
    return jc_fail_at(ev->err, status, ev->f->graph->file, n ? n->line : 0, 0, name, "%s: %s",
                      n ? n->target ? n->target : jc_ops[n->op].name : ev->f->name, text);
}

jitc_status jc_ev_expr(jc_ev *ev, const jc_node *n, const jc_expr *e, int64_t *out) {
    if (jc_ex_eval(e, ev->syms, ev->nsyms, out))
        return JITC_OK;
    return jc_ev_fail(ev, n, JITC_E_INPUT, "The expression %s has no value for these inputs: it divides by zero or "
                      "leaves 64 bits.", jc_ex_text(ev->f->graph->exprs, e, ev->arena));
}

static jc_ev_slot *slot_of(jc_ev *ev, const jc_arg *a) {
    return a->kind == JC_ARG_VALUE && ev->slots[a->value->id].set ? &ev->slots[a->value->id] : NULL;
}

jitc_status jc_ev_tensor_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, jc_ev_tensor *out) {
    jc_ev_slot *s = slot_of(ev, a);
    if (!s || s->v.tag != JITC_TENSOR)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "An argument is not a tensor where one is needed.");
    *out = s->t;
    return JITC_OK;
}

jitc_status jc_ev_number_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, double *f, int64_t *i, bool *floating) {
    jc_ev_slot *s = slot_of(ev, a);
    *floating = false;
    *i = 0;
    if (a->kind == JC_ARG_FLOAT || (s && s->v.tag == JITC_FLOAT)) {
        *floating = true;
        *f = s ? s->v.f : a->f;
        return JITC_OK;
    }
    if (a->kind == JC_ARG_BOOL)
        *i = a->b;
    else if (a->kind == JC_ARG_EXPR)
        JC_TRY(jc_ev_expr(ev, n, a->expr, i));
    else if (s && (s->v.tag == JITC_INT || s->v.tag == JITC_BOOL))
        *i = s->v.i;
    else
        return jc_ev_fail(ev, n, JITC_E_INPUT, "An argument is not a number where one is needed.");
    *f = (double)*i;
    return JITC_OK;
}

jitc_status jc_ev_int_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, int64_t *out) {
    double f;
    bool floating;
    JC_TRY(jc_ev_number_arg(ev, n, a, &f, out, &floating));
    return floating ? jc_ev_fail(ev, n, JITC_E_INPUT, "An argument is %g where an integer is needed.", f) : JITC_OK;
}

jitc_status jc_ev_ints_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, int *count, int64_t *out) {
    if (a->kind != JC_ARG_LIST || a->list.n > JC_MAX_RANK)
        return jc_ev_fail(ev, n, JITC_E_INPUT, "An argument is not a list of at most %d integers.", JC_MAX_RANK);
    *count = (int)a->list.n;
    for (uint32_t k = 0; k < a->list.n; k++)
        JC_TRY(jc_ev_int_arg(ev, n, &a->list.at[k], &out[k]));
    return JITC_OK;
}

/* Would a cast of FROM to the dtype TO, which it was promoted to, change nothing of what doubles and 64-bit integers hold? */
static bool same_values(uint8_t from, uint8_t to) {
    return from == to || from == JC_B8 || (jc_is_float(from) && !jc_is_float(to));
}

/* A number as one of dtype TO, as a kernel of N takes it. */
static void number_as(const jc_ev *ev, const jc_node *n, uint8_t to, jc_ev_operand *o) {
    if (!jc_is_float(to)) {
        o->own_i = jc_ev_wrap(to, o->own_i);
        return;
    }
    o->f = &o->own_f;
    o->i = NULL;
    const unsigned keeps = JC_WIDE_NUMBER | (ev->how & JC_EVAL_GPU ? JC_WIDE_ON_GPU : 0);
    o->own_f = jc_round_to(jc_ops[n->op].traits & keeps && to != JC_F64 ? JC_F32 : (jc_dtype)to, o->own_f);
}

jitc_status jc_ev_operand_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, uint8_t dtype, int rank, const int64_t *dims,
                              jc_ev_operand *out) {
    memset(out, 0, sizeof *out);
    jc_ev_slot *s = slot_of(ev, a);
    if (s && s->v.tag == JITC_TENSOR) {
        jc_ev_tensor t = s->t;
        if (!same_values(t.dtype, dtype)) {
            t = jc_ev_like(ev, &s->t, dtype);
            jc_ev_copy(ev, &s->t, &t);
        }
        if (!jc_ev_broadcast(&t, rank, dims, &t))
            return jc_ev_fail(ev, n, JITC_E_INPUT, "The dims of operand '%s' do not broadcast to the result's.",
                              a->value->name ? a->value->name : "?");
        out->dtype = t.dtype;
        out->offset = t.offset;
        memcpy(out->strides, t.strides, sizeof t.strides);
        if (jc_is_float(t.dtype))
            out->f = jc_ev_floats(ev, &t);
        else
            out->i = jc_ev_ints(ev, &t);
        return JITC_OK;
    }
    bool floating;
    JC_TRY(jc_ev_number_arg(ev, n, a, &out->own_f, &out->own_i, &floating));
    out->number = true;
    out->dtype = floating ? JC_F64 : JC_I64;
    if (floating)
        out->f = &out->own_f;
    else
        out->i = &out->own_i;
    if (!floating || jc_is_float(dtype))
        number_as(ev, n, dtype, out);
    return JITC_OK;
}

jc_ev_tensor *jc_ev_result(jc_ev *ev, const jc_node *n, uint32_t i) {
    jc_ev_slot *s = &ev->slots[n->results[i]->id];
    s->set = true;
    s->v = (jitc_value){ .tag = JITC_TENSOR };
    return &s->t;
}
