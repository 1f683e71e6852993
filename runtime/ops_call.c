/*
 * runtime/ops_call.c - from a graph's call to the host's function.
 *
 * A call's positional and keyword arguments are matched to the schema into an array in schema order, with defaults filled
 * in and integers turned into floats where the schema says so.  A frame function gets that array; a plain function gets
 * one C parameter per argument through libffi, whose call interface was prepared when the operator was registered.
 * All arrays are on the stack: a schema has at most JC_OP_MAX_ARGS arguments.
 */
#include "runtime/ops_priv.h"

#include <stdio.h>
#include <string.h>

static const char *const tag_words[] = {
    [JITC_NONE] = "None", [JITC_TENSOR] = "a tensor", [JITC_INT] = "an integer", [JITC_FLOAT] = "a float",
    [JITC_BOOL] = "a bool", [JITC_NAME] = "a layer name", [JITC_STR] = "a string", [JITC_LIST] = "a list",
    [JITC_DICT] = "a dict",
};

static const char *tag_word(const jitc_value *v) {
    return v->tag <= JITC_DICT ? tag_words[v->tag] : "a value with an unknown tag";
}

static const char *const type_words[] = {
    [JC_ST_TENSOR] = "a tensor", [JC_ST_INT] = "an integer", [JC_ST_FLOAT] = "a float", [JC_ST_BOOL] = "a bool",
    [JC_ST_NAME] = "a layer name", [JC_ST_TENSORS] = "a list of tensors", [JC_ST_ANY] = "anything",
};

/* ---- matching -------------------------------------------------------------------------------------------------- */

typedef struct match {
    const jc_op_entry *op;
    jitc_status status; /* of a failure */
    jc_error *err;
} match;

static jitc_status wrong_type(const match *m, const jc_schema_arg *arg, const jitc_value *v) {
    return jc_fail(m->err, m->status, "Operator %s: argument '%s' is %s%s, but the call passes %s.", m->op->schema.name,
                   arg->name, type_words[arg->type], arg->optional ? " or None" : "", tag_word(v));
}

static bool is_tensor_list(const jitc_value *v) {
    for (uint32_t i = 0; v->tag == JITC_LIST && i < v->n; i++)
        if (v->list[i].tag != JITC_TENSOR)
            return false;
    return v->tag == JITC_LIST;
}

/* A string that was not lifted (the reference, --no-lift-names) is interned here.  A check looks at tags only. */
static jitc_status as_name(const match *m, const jc_schema_arg *arg, const jitc_value *v, jitc_value *out) {
    if (v->tag == JITC_NAME)
        return JITC_OK;
    if (v->tag != JITC_STR || !m->op->names)
        return wrong_type(m, arg, v);
    *out = (jitc_value){ .tag = JITC_NAME, .name = v->str ? jc_name_intern(m->op->names, v->str, NULL) : NULL };
    if (v->str && !out->name)
        return jc_fail(m->err, JITC_E_NOMEM, "Out of memory while calling operator %s.", m->op->schema.name);
    return JITC_OK;
}

/* V as ARG wants it. */
static jitc_status convert(const match *m, const jc_schema_arg *arg, const jitc_value *v, jitc_value *out) {
    *out = *v;
    if (arg->type == JC_ST_ANY || (v->tag == JITC_NONE && arg->optional))
        return JITC_OK;
    switch (arg->type) {
    case JC_ST_TENSOR:
        return v->tag == JITC_TENSOR ? JITC_OK : wrong_type(m, arg, v);
    case JC_ST_INT:
        out->tag = JITC_INT; /* Python's bool is an int */
        return v->tag == JITC_INT || v->tag == JITC_BOOL ? JITC_OK : wrong_type(m, arg, v);
    case JC_ST_FLOAT:
        if (v->tag == JITC_INT)
            *out = (jitc_value){ .tag = JITC_FLOAT, .f = (double)v->i };
        return v->tag == JITC_INT || v->tag == JITC_FLOAT ? JITC_OK : wrong_type(m, arg, v);
    case JC_ST_BOOL:
        out->tag = JITC_BOOL;
        out->i = v->tag == JITC_INT || v->tag == JITC_BOOL ? v->i != 0 : 0;
        return v->tag == JITC_INT || v->tag == JITC_BOOL ? JITC_OK : wrong_type(m, arg, v);
    case JC_ST_NAME:
        return as_name(m, arg, v, out);
    default:
        return is_tensor_list(v) ? JITC_OK : wrong_type(m, arg, v);
    }
}

/* The schema argument that KEY (NULL: the next positional one) means. */
static jitc_status find_arg(const match *m, const char *key, uint32_t position, uint32_t *out) {
    const jc_schema *s = &m->op->schema;
    if (!key) {
        if (position >= s->nargs || s->args[position].keyword_only)
            return jc_fail(m->err, m->status, "Operator %s takes fewer positional arguments than the call passes: %.300s",
                           s->name, m->op->text);
        *out = position;
        return JITC_OK;
    }
    for (uint32_t i = 0; i < s->nargs; i++)
        if (!strcmp(s->args[i].name, key)) {
            *out = i;
            return JITC_OK;
        }
    return jc_fail(m->err, m->status, "Operator %s has no argument '%s', which the call passes: %.300s", s->name, key,
                   m->op->text);
}

/* SOURCE[i]: which of the call's arguments schema argument i comes from, or UINT32_MAX for its default. */
static jitc_status match_args(const match *m, const jitc_value *args, const char *const *keys, uint32_t nargs,
                              jitc_value out[JC_OP_MAX_ARGS], uint32_t source[JC_OP_MAX_ARGS]) {
    const jc_schema *s = &m->op->schema;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < s->nargs; i++)
        source[i] = UINT32_MAX;
    for (uint32_t i = 0; i < nargs; i++) {
        uint32_t at = 0;
        JC_TRY(find_arg(m, keys ? keys[i] : NULL, i, &at));
        if (seen >> at & 1)
            return jc_fail(m->err, m->status, "Operator %s: the call passes argument '%s' twice.", s->name,
                           s->args[at].name);
        seen |= UINT64_C(1) << at;
        source[at] = i;
        JC_TRY(convert(m, &s->args[at], &args[i], &out[at]));
    }
    for (uint32_t i = 0; i < s->nargs; i++) {
        if (seen >> i & 1)
            continue;
        if (!s->args[i].has_default)
            return jc_fail(m->err, m->status, "Operator %s: the call does not pass argument '%s': %.300s", s->name,
                           s->args[i].name, m->op->text);
        out[i] = s->args[i].dflt;
    }
    return JITC_OK;
}

/* A call may take fewer: a graph names those results alone that it uses. */
static jitc_status match_results(const match *m, uint32_t nresults) {
    uint32_t n = m->op->schema.nresults;
    if (n == JC_SCHEMA_ANY_RESULTS || nresults <= n)
        return JITC_OK;
    return jc_fail(m->err, m->status, "Operator %s gives %u results, but the call takes %u: %.300s", m->op->schema.name,
                   n, nresults, m->op->text);
}

/* ---- checking -------------------------------------------------------------------------------------------------- */

/* Tensor operands within V; sets *ALL to false when WRITES lacks one of those from OPERAND on. */
static uint32_t see_tensors(const jitc_value *v, uint32_t operand, uint64_t writes, bool *all) {
    uint32_t n = 0;
    if (v->tag == JITC_TENSOR) {
        *all &= operand < 64 ? writes >> operand & 1 : writes == UINT64_MAX;
        return 1;
    }
    for (uint32_t i = 0; v->tag == JITC_LIST && i < v->n; i++)
        n += see_tensors(&v->list[i], operand + n, writes, all);
    for (uint32_t i = 0; v->tag == JITC_DICT && i < v->n; i++)
        n += see_tensors(&v->dict[i].value, operand + n, writes, all);
    return n;
}

static jitc_status check_call(const match *m, const jitc_value *args, const char *const *keys, uint32_t nargs,
                              uint32_t nresults, uint64_t writes) {
    const jc_schema *s = &m->op->schema;
    JC_TRY(match_results(m, nresults));
    if (s->any)
        return JITC_OK;
    jitc_value values[JC_OP_MAX_ARGS];
    uint32_t source[JC_OP_MAX_ARGS];
    JC_TRY(match_args(m, args, keys, nargs, values, source));
    for (uint32_t i = 0, operand = 0; i < nargs; i++) {
        bool all = true;
        operand += see_tensors(&args[i], operand, writes, &all);
        for (uint32_t k = 0; k < s->nargs && !all; k++)
            if (source[k] == i && s->args[k].written)
                return jc_fail(m->err, m->status, "Operator %s writes argument '%s', which the graph was compiled not to "
                               "expect.", s->name, s->args[k].name);
    }
    return JITC_OK;
}

jitc_status jc_op_check(const jc_op_entry *op, const jitc_value *args, const char *const *keys, uint32_t nargs,
                        uint32_t nresults, uint64_t writes, jc_error *err) {
    jc_error why = JC_ERROR_INIT;
    match m = { op, JITC_E_UNSUPPORTED, &why };
    jitc_status status = check_call(&m, args, keys, nargs, nresults, writes);
    if (status == JITC_OK)
        return JITC_OK;
    char inferred[360];
    jc_op_infer(op->schema.name, args, keys, nargs, nresults, writes, inferred, sizeof inferred);
    return jc_fail(err, status, "%.400s Registered: \"%.300s\"; called as: \"%s\".", why.message, op->text, inferred);
}

/* ---- calling --------------------------------------------------------------------------------------------------- */

static bool by_value_pointer(const jc_schema_arg *arg) {
    return arg->type == JC_ST_ANY || arg->type == JC_ST_TENSORS ||
           (arg->optional && (arg->type == JC_ST_INT || arg->type == JC_ST_FLOAT || arg->type == JC_ST_BOOL));
}

static ffi_type *ffi_type_of(const jc_schema_arg *arg) {
    if (by_value_pointer(arg))
        return &ffi_type_pointer;
    switch (arg->type) {
    case JC_ST_INT:
        return &ffi_type_sint64;
    case JC_ST_FLOAT:
        return &ffi_type_double;
    case JC_ST_BOOL:
        return &ffi_type_uint8;
    default:
        return &ffi_type_pointer;
    }
}

jitc_status jc_op_prepare(jc_op_entry *op, jc_arena *arena, jc_error *err) {
    _Static_assert(sizeof(bool) == 1, "bool is passed as uint8");
    const jc_schema *s = &op->schema;
    if (s->any)
        return jc_fail(err, JITC_E_USAGE,
                       "Operator %s leaves its arguments open (...): register it with jitc_op_register_frame.", s->name);
    uint32_t n = 1 + s->nargs + s->nresults;
    ffi_type **types = JC_NEWN(arena, ffi_type *, n);
    types[0] = &ffi_type_pointer;
    for (uint32_t i = 0; i < s->nargs; i++)
        types[1 + i] = ffi_type_of(&s->args[i]);
    for (uint32_t i = 0; i < s->nresults; i++)
        types[1 + s->nargs + i] = &ffi_type_pointer;
    if (ffi_prep_cif(&op->cif, FFI_DEFAULT_ABI, n, &ffi_type_sint, types) != FFI_OK)
        return jc_fail(err, JITC_E_USAGE, "libffi cannot call operator %s.", s->name);
    return JITC_OK;
}

typedef union slot {
    void *pointer;
    int64_t i;
    double f;
    uint8_t b;
} slot;

static slot slot_of(const jc_schema_arg *arg, const jitc_value *v) {
    if (by_value_pointer(arg))
        return (slot){ .pointer = (void *)v };
    switch (arg->type) {
    case JC_ST_INT:
        return (slot){ .i = v->i };
    case JC_ST_FLOAT:
        return (slot){ .f = v->f };
    case JC_ST_BOOL:
        return (slot){ .b = v->i != 0 };
    case JC_ST_NAME:
        return (slot){ .pointer = v->tag == JITC_NAME ? (void *)v->name : NULL };
    default:
        return (slot){ .pointer = v->tag == JITC_TENSOR ? v->tensor : NULL };
    }
}

static int call_plain(const jc_op_entry *op, jitc_call *call) {
    const jc_schema *s = &op->schema;
    slot slots[1 + 2 * JC_OP_MAX_ARGS];
    void *at[1 + 2 * JC_OP_MAX_ARGS];
    uint32_t n = 0;
    slots[n++].pointer = call;
    for (uint32_t i = 0; i < s->nargs; i++)
        slots[n++] = slot_of(&s->args[i], &call->args[i]);
    for (uint32_t i = 0; i < s->nresults; i++)
        slots[n++].pointer = call->results[i];
    for (uint32_t i = 0; i < n; i++)
        at[i] = &slots[i];
    ffi_arg result = 0; /* libffi widens an int */
    ffi_call((ffi_cif *)&op->cif, FFI_FN(op->plain), &result, at);
    return (int)result;
}

typedef struct request {
    DLDevice device;
    void *stream;
    const jitc_value *args;
    const char *const *keys;
    uint32_t nargs;
    DLTensor *const *results;
    uint32_t nresults;
} request;

/* Room for all results of a call, where the graph takes only the first ones. */
typedef struct all_results {
    DLTensor *at[JC_OP_MAX_ARGS], nothing[JC_OP_MAX_ARGS];
    int64_t shape[JC_OP_MAX_ARGS][8], stride;
} all_results;

/* As include/jitc/op.h says of what is not used. */
static void add_unused(all_results *all, const request *r, uint32_t n) {
    all->stride = 1;
    for (uint32_t i = 0; i < n; i++) {
        all->shape[i][0] = 0;
        all->nothing[i] = (DLTensor){ .device = r->device, .ndim = 1, .dtype = { kDLUInt, 8, 1 }, .shape = all->shape[i], .strides = &all->stride };
        all->at[i] = i < r->nresults ? r->results[i] : &all->nothing[i];
    }
}

/* Runs the operator, or its shape function. */
static jitc_status invoke(const jc_op_entry *op, const request *r, bool shape, jc_error *err) {
    const jc_schema *s = &op->schema;
    match m = { op, JITC_E_INPUT, err };
    jitc_value values[JC_OP_MAX_ARGS];
    uint32_t source[JC_OP_MAX_ARGS];
    char sentence[512] = "";
    jitc_call call = { .struct_size = sizeof call, .op = s->name, .user = op->user, .device = r->device,
                       .stream = r->stream, .error = sentence, .error_size = sizeof sentence, .nargs = r->nargs,
                       .nresults = r->nresults, .args = r->args, .keys = s->any ? r->keys : NULL,
                       .results = r->results };
    JC_TRY(match_results(&m, r->nresults));
    all_results all;
    if (s->nresults != JC_SCHEMA_ANY_RESULTS && r->nresults < s->nresults) {
        add_unused(&all, r, s->nresults);
        call.results = all.at;
        call.nresults = s->nresults;
    }
    if (!s->any) {
        JC_TRY(match_args(&m, r->args, r->keys, r->nargs, values, source));
        call.args = values;
        call.nargs = s->nargs;
    }
    int failed = shape ? op->shape(&call) : op->frame ? op->frame(&call) : call_plain(op, &call);
    if (!failed)
        return JITC_OK;
    sentence[sizeof sentence - 1] = '\0';
    return jc_fail(err, JITC_E_OP, "Operator %s%s failed: %s (it returned %d)", s->name,
                   shape ? "'s shape function" : "", sentence[0] ? sentence : "it gave no reason", failed);
}

jitc_status jc_op_call(const jc_op_entry *op, DLDevice device, void *stream, const jitc_value *args,
                       const char *const *keys, uint32_t nargs, DLTensor *const *results, uint32_t nresults,
                       jc_error *err) {
    request r = { device, stream, args, keys, nargs, results, nresults };
    return invoke(op, &r, false, err);
}

jitc_status jc_op_shape(const jc_op_entry *op, DLDevice device, const jitc_value *args, const char *const *keys,
                        uint32_t nargs, DLTensor *const *results, uint32_t nresults, jc_error *err) {
    request r = { device, NULL, args, keys, nargs, results, nresults };
    return op->shape ? invoke(op, &r, true, err) : JITC_OK;
}
