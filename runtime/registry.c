/*
 * runtime/registry.c - the registry of custom operators, and schemas inferred from calls.
 *
 * A map from the operator's name (namespace, name and overload; ".default" is dropped on both sides) to a chain of
 * entries that differ in the devices they work on.  Registering is the context owner's, one thread at a time; everything
 * else only reads.  Calling is ops_call.c's.
 */
#include "runtime/ops_priv.h"

#include <stdio.h>
#include <string.h>

#define ALL_DEVICES (1u << kDLCPU | 1u << kDLCUDA)

struct jc_registry {
    jc_arena *arena;
    jc_map *map; /* name to jc_op_entry */
    jc_names *names;
};

jc_registry *jc_ops_new(jc_arena *arena) {
    jc_registry *ops = JC_NEW(arena, jc_registry);
    ops->arena = arena;
    ops->map = jc_map_new(arena);
    return ops;
}

void jc_ops_set_names(jc_registry *ops, jc_names *names) {
    ops->names = names;
}

static jitc_status read_options(const jitc_op_options *given, jitc_op_options *out, jc_error *err) {
    *out = (jitc_op_options){ .struct_size = sizeof *out };
    if (given) {
        size_t size = given->struct_size;
        if (size < sizeof size || size > 4096)
            return jc_fail(err, JITC_E_USAGE,
                           "jitc_op_options.struct_size is %zu: set it to sizeof(jitc_op_options).", size);
        memcpy(out, given, size < sizeof *out ? size : sizeof *out);
    }
    if (!out->devices)
        out->devices = ALL_DEVICES;
    if (out->devices & ~ALL_DEVICES)
        return jc_fail(err, JITC_E_USAGE,
                       "jitc_op_options.devices is 0x%x: only 1 << kDLCPU and 1 << kDLCUDA can be set.", out->devices);
    return JITC_OK;
}

/* Strings that stand for layer names become layer names. */
static jitc_status intern_defaults(jc_registry *ops, jc_schema *schema, jc_error *err) {
    for (uint32_t i = 0; i < schema->nargs; i++) {
        jitc_value *v = &schema->args[i].dflt;
        if (schema->args[i].type != JC_ST_NAME || v->tag != JITC_STR)
            continue;
        const jitc_layer_name *name =
            ops->names ? jc_name_intern(ops->names, v->str, NULL) : jc_name_private(ops->arena, v->str);
        if (!name)
            return jc_fail(err, JITC_E_NOMEM, "Out of memory while registering operator %s.", schema->name);
        *v = (jitc_value){ .tag = JITC_NAME, .name = name };
    }
    return JITC_OK;
}

jitc_status jc_ops_register(jc_registry *ops, const char *schema, jitc_plain_function plain, jitc_frame_function frame,
                            const jitc_op_options *options, jc_error *err) {
    if (!schema || !plain == !frame)
        return jc_fail(err, JITC_E_USAGE, "Registering an operator takes a schema and one function.");
    jitc_op_options o;
    JC_TRY(read_options(options, &o, err));
    jc_op_entry *op = JC_NEW(ops->arena, jc_op_entry);
    *op = (jc_op_entry){ .plain = plain, .frame = frame, .shape = o.shape, .user = o.user, .devices = o.devices,
                         .names = ops->names };
    op->text = jc_arena_strdup(ops->arena, schema);
    JC_TRY(jc_schema_parse(op->text, ops->arena, &op->schema, err));
    const char *name = op->schema.name;
    jc_op_entry *first = jc_map_get(ops->map, name, strlen(name));
    for (const jc_op_entry *old = first; old; old = old->next)
        if (old->devices & op->devices)
            return jc_fail(err, JITC_E_USAGE, "Operator %s is registered already for %s, as \"%.300s\".", name,
                           old->devices & op->devices & (1u << kDLCPU) ? "the host" : "cuda", old->text);
    JC_TRY(intern_defaults(ops, &op->schema, err));
    if (plain)
        JC_TRY(jc_op_prepare(op, ops->arena, err));
    op->next = first;
    jc_map_set(ops->map, name, strlen(name), op);
    return JITC_OK;
}

const jc_op_entry *jc_ops_find(const jc_registry *ops, const char *target, DLDeviceType device) {
    static const char dflt[] = ".default";
    size_t length = strlen(target);
    if (length >= sizeof dflt && !strcmp(target + length - (sizeof dflt - 1), dflt))
        length -= sizeof dflt - 1;
    const jc_op_entry *op = jc_map_get(ops->map, target, length);
    while (op && !(op->devices & 1u << device))
        op = op->next;
    return op;
}

const jc_schema *jc_op_schema(const jc_op_entry *op) {
    return &op->schema;
}

/* ---- the schema of a call -------------------------------------------------------------------------------------- */

typedef struct text {
    char *at;
    size_t size, n;
} text;

static void put(text *t, const char *s) {
    if (t->n >= t->size)
        return;
    int length = snprintf(t->at + t->n, t->size - t->n, "%s", s);
    t->n += length > 0 ? (size_t)length : 0;
}

/* Tensor operands within V, in order, lists and dicts included. */
static uint32_t count_tensors(const jitc_value *v) {
    uint32_t n = v->tag == JITC_TENSOR;
    for (uint32_t i = 0; v->tag == JITC_LIST && i < v->n; i++)
        n += count_tensors(&v->list[i]);
    for (uint32_t i = 0; v->tag == JITC_DICT && i < v->n; i++)
        n += count_tensors(&v->dict[i].value);
    return n;
}

static bool all_tensors(const jitc_value *v) {
    for (uint32_t i = 0; i < v->n; i++)
        if (v->list[i].tag != JITC_TENSOR)
            return false;
    return v->n > 0;
}

static void put_type(text *t, const jitc_value *v, uint32_t index, uint32_t operand, uint64_t writes) {
    static const char *const types[] = {
        [JITC_NONE] = "Any", [JITC_TENSOR] = "Tensor", [JITC_INT] = "int",  [JITC_FLOAT] = "float", [JITC_BOOL] = "bool",
        [JITC_NAME] = "str", [JITC_STR] = "Any",       [JITC_LIST] = "Any", [JITC_DICT] = "Any",
    };
    bool list = v->tag == JITC_LIST && all_tensors(v);
    uint32_t n = v->tag == JITC_TENSOR ? 1 : list ? v->n : 0;
    bool written = false;
    for (uint32_t i = operand; i < operand + n; i++)
        written |= i < 64 ? writes >> i & 1 : writes == UINT64_MAX;
    put(t, list ? "Tensor" : types[v->tag <= JITC_DICT ? v->tag : JITC_NONE]);
    if (written) {
        char alias[24];
        snprintf(alias, sizeof alias, "(a%u!)", index);
        put(t, alias);
    }
    put(t, list ? "[]" : "");
}

const char *jc_op_infer(const char *op, const jitc_value *args, const char *const *keys, uint32_t nargs,
                        uint32_t nresults, uint64_t writes, char *out, size_t size) {
    text t = { out, size, 0 };
    if (size)
        out[0] = '\0';
    uint32_t operand = 0;
    put(&t, op);
    put(&t, "(");
    for (uint32_t i = 0; i < nargs; i++) {
        char name[24];
        snprintf(name, sizeof name, "a%u", i);
        put(&t, i ? ", " : "");
        put_type(&t, &args[i], i, operand, writes);
        put(&t, " ");
        put(&t, keys && keys[i] ? keys[i] : name);
        operand += count_tensors(&args[i]);
    }
    put(&t, nresults == 1 ? ") -> " : ") -> (");
    for (uint32_t i = 0; i < nresults; i++)
        put(&t, i ? ", Tensor" : "Tensor");
    put(&t, nresults == 1 ? "" : ")");
    return out;
}
