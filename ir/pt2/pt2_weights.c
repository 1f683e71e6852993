/*
 * ir/pt2/pt2_weights.c - where the values of the program's parameters, buffers and constants lie in the archive.
 *
 *   data/weights/X_weights_config.json     {"config": {"layers.0.weight": {"path_name": "weight_0", "use_pickle": false, "tensor_meta":
 *   data/constants/X_constants_config.json    {"dtype": 7, "sizes": [...], "strides": [...], "storage_offset": {"as_int": 0}, ...}}}}
 *   data/weights/weight_0                  the bytes of a storage, which several names may share
 *
 * A value need not be there: a program may be given its weights by its caller.  One that is there as a pickle is never opened.
 */
#include <string.h>
#include "ir/pt2/pt2_priv.h"

typedef struct reading {
    jc_graph *g;
    const jc_zip *z;
    jc_weight *at;
    jc_error *err;
} reading;

#define FAIL(w, status, ...) jc_fail_at((w)->err, status, (w)->z->file, 0, 0, NULL, __VA_ARGS__)

static jitc_status damaged(const reading *w, const char *name, const char *what) {
    return FAIL(w, JITC_E_INPUT, "The archive's value of \"%.200s\" is damaged: %s.", name, what);
}

static bool small(const json_t *value, int64_t *out) {
    const json_t *i = json_object_get(value, "as_int");
    *out = json_integer_value(i);
    return json_is_integer(i) && *out >= 0 && *out < (int64_t)1 << 48;
}

/* Sizes and strides; the elements from the first to the last into SPAN. */
static bool read_layout(const json_t *meta, jc_weight *w, uint64_t *first, uint64_t *span) {
    const json_t *sizes = json_object_get(meta, "sizes"), *strides = json_object_get(meta, "strides");
    int64_t offset, last = 0;
    w->rank = (uint8_t)json_array_size(sizes);
    if (json_array_size(sizes) > JC_MAX_RANK || json_array_size(strides) != w->rank ||
        json_integer_value(json_object_get(meta, "layout")) != PT2_STRIDED || !small(json_object_get(meta, "storage_offset"), &offset))
        return false;
    bool empty = false;
    for (int d = 0; d < w->rank; d++) {
        int64_t reach;
        if (!small(json_array_get(sizes, (size_t)d), &w->dims[d]) || !small(json_array_get(strides, (size_t)d), &w->strides[d]))
            return false;
        empty |= w->dims[d] == 0;
        if (w->dims[d] > 0 && (__builtin_mul_overflow(w->dims[d] - 1, w->strides[d], &reach) || __builtin_add_overflow(last, reach, &last)))
            return false;
    }
    *first = (uint64_t)offset;
    *span = empty ? 0 : (uint64_t)last + 1;
    return true;
}

/* Is it what the graph's parameter is? */
static bool fits(const jc_value *p, const jc_weight *w) {
    int64_t d;
    bool same = p->type.kind == JC_TENSOR && p->type.dtype == w->dtype && p->type.rank == w->rank;
    for (int i = 0; same && i < w->rank; i++)
        same = jc_ex_is_const(p->type.dims[i], &d) && d == w->dims[i];
    return same;
}

static jitc_status read_value(reading *w, uint32_t param, const char *name, const json_t *payload, const char *folder) {
    const char *path = json_string_value(json_object_get(payload, "path_name")), *foreign;
    const json_t *meta = json_object_get(payload, "tensor_meta");
    jc_weight out = { .param = param, .name = jc_arena_strdup(w->g->arena, name) };
    uint64_t at, first, span;
    if (json_is_true(json_object_get(payload, "use_pickle")))
        return FAIL(w, JITC_E_UNSUPPORTED, "The archive holds the value of \"%.200s\" as a pickle, which is a program and is not run; "
                                           "save the model with plain tensors as its weights.", name);
    const int dtype = pt2_dtype(json_integer_value(json_object_get(meta, "dtype")), &foreign);
    if (!path || dtype < 0 || !read_layout(meta, &out, &first, &span))
        return damaged(w, name, "its description cannot be read");
    out.dtype = (jc_dtype)dtype;
    if (!fits(w->g->root->params[param], &out))
        return damaged(w, name, "it has another dtype or shape than the graph's parameter");
    const jc_zip_entry *e = jc_zip_find(w->z, jc_arena_printf(w->z->arena, "%s%s", folder, path));
    if (!e)
        return damaged(w, name, "its bytes are missing");
    JC_TRY(jc_zip_place(w->z, e, &at, w->err));
    const uint64_t size = jc_dtypes[dtype].size, elements = e->size / size;
    if (first > elements || span > elements - first)
        return damaged(w, name, "it reaches beyond its bytes");
    out.offset = at + first * size;
    out.bytes = span * size;
    w->at[w->g->nweights++] = out;
    return JITC_OK;
}

static const struct {
    const char *kind, *key;
} holders[] = {
    { "parameter", "parameter_name" },
    { "buffer", "buffer_name" },
    { "tensor_constant", "tensor_constant_name" },
};

/* SPEC is one of the program's inputs; those that a caller gives have no value here. */
static jitc_status read_input(reading *w, const json_t *spec, const json_t *weights, const json_t *constants, jc_map *params) {
    for (size_t k = 0; k < sizeof holders / sizeof *holders; k++) {
        const json_t *holder = json_object_get(spec, holders[k].kind);
        const char *name = json_string_value(json_object_get(holder, holders[k].key));
        const char *arg = json_string_value(json_object_get(json_object_get(holder, "arg"), "name"));
        const json_t *payload = name ? json_object_get(weights, name) : NULL;
        const char *folder = payload ? "data/weights/" : "data/constants/";
        if (name && !payload)
            payload = json_object_get(constants, name);
        const jc_value *p = arg ? jc_map_get(params, arg, strlen(arg)) : NULL;
        if (payload && p && w->g->nweights < w->g->root->nparams)
            return read_value(w, p->index, name, payload, folder);
    }
    return JITC_OK;
}

jitc_status pt2_weights(jc_graph *g, const json_t *model, const jc_zip *z, const json_t *weights, const json_t *constants,
                        jc_error *err) {
    reading w = { g, z, JC_NEWN(g->arena, jc_weight, g->root->nparams), err };
    const json_t *module = json_object_get(model, "graph_module");
    const json_t *specs = json_object_get(json_object_get(module, "signature"), "input_specs");
    jc_map *params = jc_map_new(z->arena);
    for (uint32_t i = 0; i < g->root->nparams; i++)
        jc_map_set(params, g->root->params[i]->name, strlen(g->root->params[i]->name), g->root->params[i]);
    g->weights = w.at;
    for (size_t i = 0; i < json_array_size(specs); i++)
        JC_TRY(read_input(&w, json_array_get(specs, i), json_object_get(weights, "config"), json_object_get(constants, "config"),
                          params));
    return JITC_OK;
}
