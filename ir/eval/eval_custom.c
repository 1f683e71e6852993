/*
 * ir/eval/eval_custom.c - calls of custom operators from the reference.
 *
 * Every storage that an operand views is laid out once as bytes of the graph's dtypes, rounding there, and all operands
 * that share it point into the same bytes, so aliases and strides are as in the graph.  What the operator may have
 * written is read back; an element whose bytes it left alone keeps its unrounded value, since a mask of writes
 * may be wider than the truth.  Inputs that it cannot write are passed as they are.
 */
#include <string.h>
#include "ir/eval/eval_priv.h"

typedef struct operand {
    jc_ev_tensor t;
    bool written;
    uint8_t *before, *bytes; /* of the storage, where it is written */
} operand;

typedef struct frame {
    jc_ev *ev;
    const jc_node *n;
    JC_VEC(operand) operands; /* tensors, in jc_node_operands order */
    uint32_t next;            /* the next one to marshal */
    jitc_status status;
} frame;

static void see(void *user, jc_value *v) {
    frame *f = user;
    if (v->type.kind != JC_TENSOR || f->status != JITC_OK)
        return;
    operand o = { .written = jc_node_writes(f->n, (uint32_t)f->operands.n) };
    jc_arg a = jc_arg_value(v);
    f->status = jc_ev_tensor_arg(f->ev, f->n, &a, &o.t);
    jc_push(f->ev->arena, &f->operands, o);
}

/* Is the storage written through any operand? */
static bool storage_written(const frame *f, const jc_ev_storage *st) {
    for (size_t k = 0; k < f->operands.n; k++) {
        if (f->operands.at[k].t.st == st && f->operands.at[k].written)
            return true;
    }
    return false;
}

static void lay_out(frame *f) {
    jc_ev *ev = f->ev;
    for (size_t k = 0; k < f->operands.n; k++) {
        operand *o = &f->operands.at[k];
        jc_ev_storage *st = o->t.st;
        if (st->bytes_out)
            continue;
        bool written = storage_written(f, st);
        st->bytes_out = jc_ev_bytes(ev, &o->t, !written);
        if (written) {
            o->before = jc_arena_memdup(ev->arena, st->bytes_out, (size_t)st->bytes);
            o->bytes = st->bytes_out;
        }
    }
}

/* Reads back what changed, in the dtype through which the operand saw its storage. */
static void read_back(frame *f) {
    jc_ev *ev = f->ev;
    for (size_t k = 0; k < f->operands.n; k++) {
        operand *o = &f->operands.at[k];
        o->t.st->bytes_out = NULL;
        if (!o->bytes)
            continue;
        int size = jc_dtypes[o->t.dtype].size;
        bool floating = jc_is_float(o->t.dtype);
        double *to_f = floating ? jc_ev_floats_out(ev, &o->t) : NULL;
        int64_t *to_i = floating ? NULL : jc_ev_ints_out(ev, &o->t);
        for (int64_t at = 0; at < o->t.st->bytes / size; at++) {
            if (!memcmp(o->before + at * size, o->bytes + at * size, (size_t)size))
                continue;
            if (floating)
                to_f[at] = jc_load_float(o->t.dtype, o->bytes + at * size);
            else
                to_i[at] = jc_load_int(o->t.dtype, o->bytes + at * size);
        }
    }
}

static DLTensor *dl_tensor(jc_ev *ev, const jc_ev_tensor *t, uint8_t *bytes) {
    DLTensor *dl = JC_NEW(ev->arena, DLTensor);
    int64_t *layout = JC_NEWN(ev->arena, int64_t, 2 * (size_t)t->rank);
    memcpy(layout, t->dims, (size_t)t->rank * sizeof *layout);
    memcpy(layout + t->rank, t->strides, (size_t)t->rank * sizeof *layout);
    *dl = (DLTensor){
        .data = bytes + t->offset * jc_dtypes[t->dtype].size,
        .device = { .device_type = kDLCPU },
        .ndim = t->rank,
        .dtype = { .code = jc_dtypes[t->dtype].dl_code, .bits = jc_dtypes[t->dtype].dl_bits, .lanes = 1 },
        .shape = layout,
        .strides = layout + t->rank,
    };
    return dl;
}

jitc_value jc_ev_string(jc_ev *ev, const char *text) {
    if (ev->host && ev->host->name)
        return (jitc_value){ .tag = JITC_NAME, .name = ev->host->name(ev->host->user, text) };
    return (jitc_value){ .tag = JITC_STR, .str = text };
}

static jitc_status marshal(frame *f, const jc_arg *a, jitc_value *out);

static jitc_status marshal_list(frame *f, const jc_arg *a, jitc_value *out) {
    jc_arena *arena = f->ev->arena;
    out->n = a->list.n;
    if (a->kind == JC_ARG_LIST) {
        jitc_value *at = JC_NEWN(arena, jitc_value, a->list.n);
        for (uint32_t k = 0; k < a->list.n; k++)
            JC_TRY(marshal(f, &a->list.at[k], &at[k]));
        out->tag = JITC_LIST;
        out->list = at;
        return JITC_OK;
    }
    jitc_entry *at = JC_NEWN(arena, jitc_entry, a->list.n);
    for (uint32_t k = 0; k < a->list.n; k++) {
        at[k].key = a->list.at[k].key;
        JC_TRY(marshal(f, &a->list.at[k], &at[k].value));
    }
    out->tag = JITC_DICT;
    out->dict = at;
    return JITC_OK;
}

static jitc_status marshal_value(frame *f, const jc_arg *a, jitc_value *out) {
    if (a->value->type.kind == JC_TENSOR) {
        const operand *o = &f->operands.at[f->next++];
        out->tag = JITC_TENSOR;
        out->tensor = dl_tensor(f->ev, &o->t, o->t.st->bytes_out);
        return JITC_OK;
    }
    if (!f->ev->slots[a->value->id].set)
        return jc_ev_fail(f->ev, f->n, JITC_E_INPUT, "The argument '%s' has no value.",
                          a->value->name ? a->value->name : "?");
    *out = f->ev->slots[a->value->id].v;
    return JITC_OK;
}

static jitc_status marshal(frame *f, const jc_arg *a, jitc_value *out) {
    memset(out, 0, sizeof *out);
    switch (a->kind) {
    case JC_ARG_VALUE: return marshal_value(f, a, out);
    case JC_ARG_EXPR: out->tag = JITC_INT; return jc_ev_expr(f->ev, f->n, a->expr, &out->i);
    case JC_ARG_FLOAT: out->tag = JITC_FLOAT; out->f = a->f; return JITC_OK;
    case JC_ARG_BOOL: out->tag = JITC_BOOL; out->i = a->b; return JITC_OK;
    case JC_ARG_STR:
        *out = jc_ev_string(f->ev, a->str);
        return JITC_OK;
    case JC_ARG_DEVICE: out->tag = JITC_STR; out->str = a->str; return JITC_OK;
    case JC_ARG_DTYPE: out->tag = JITC_STR; out->str = jc_dtypes[a->dtype].torch; return JITC_OK;
    case JC_ARG_LIST:
    case JC_ARG_DICT: return marshal_list(f, a, out);
    default: return JITC_OK;
    }
}

/* Fresh bytes for result I, which the storage then reads from. */
static jitc_status new_result(jc_ev *ev, const jc_node *n, uint32_t i, DLTensor **out) {
    jc_ev_tensor t;
    if (n->results[i]->type.kind != JC_TENSOR)
        return jc_ev_fail(ev, n, JITC_E_UNSUPPORTED, "Result %u is not a tensor.", i);
    JC_TRY(jc_ev_new(ev, n, n->results[i], &t));
    uint8_t *bytes = jc_arena_alloc(ev->arena, (size_t)t.st->bytes);
    t.st->raw = bytes;
    t.st->written = true;
    *jc_ev_result(ev, n, i) = t;
    *out = dl_tensor(ev, &t, bytes);
    return JITC_OK;
}

jitc_status jc_ev_custom(jc_ev *ev, const jc_node *n) {
    frame f = { .ev = ev, .n = n };
    if (!ev->host || !ev->host->call)
        return jc_ev_fail(ev, n, JITC_E_UNSUPPORTED, "A custom operator is called, and there is nobody to run it.");
    jc_node_operands(n, see, &f);
    JC_TRY(f.status);
    lay_out(&f);
    jitc_value *args = JC_NEWN(ev->arena, jitc_value, n->nargs);
    const char **keys = JC_NEWN(ev->arena, const char *, n->nargs);
    DLTensor **results = JC_NEWN(ev->arena, DLTensor *, n->nresults);
    for (uint32_t k = 0; k < n->nargs; k++) {
        keys[k] = n->args[k].key;
        JC_TRY(marshal(&f, &n->args[k], &args[k]));
    }
    for (uint32_t k = 0; k < n->nresults; k++)
        JC_TRY(new_result(ev, n, k, &results[k]));
    JC_TRY(ev->host->call(ev->host->user, n->target, args, keys, n->nargs, results, n->nresults, n->line, ev->err));
    read_back(&f);
    return JITC_OK;
}
