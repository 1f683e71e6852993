/*
 * ir/pt2/pt2_arg.c - arguments: from JSON to the expressions that the text's parser makes (ir/fx/fx_ast.h).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "ir/pt2/pt2_priv.h"

/* --- expressions --- */

fx_ast *pt2_ast(pt2 *p, fx_ast_kind kind) {
    fx_ast *a = fx_take(p->r, sizeof *a);
    *a = (fx_ast){ .kind = (uint8_t)kind, .height = 1, .at = p->at };
    return a;
}

void pt2_append(fx_ast *list, fx_ast ***tail, fx_ast *item) {
    if (!list->n)
        *tail = &list->first;
    **tail = item;
    *tail = &item->next;
    list->n++;
}

static fx_name *intern(pt2 *p, const char *text) {
    return fx_intern(p->r, text, strlen(text));
}

fx_ast *pt2_refused(pt2 *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = jc_arena_vprintf(p->r->scratch, format, args);
    va_end(args);
    fx_ast *a = pt2_ast(p, FX_A_REFUSED);
    a->name = intern(p, text);
    return a;
}

fx_ast *pt2_path(pt2 *p, const char *path) {
    fx_ast *a = pt2_ast(p, FX_A_PATH);
    a->name = intern(p, path);
    return a;
}

fx_name *pt2_name(pt2 *p, const char *name) {
    return intern(p, *p->scope ? jc_arena_printf(p->r->scratch, "%s%s", p->scope, name) : name);
}

fx_ast *pt2_name_ast(pt2 *p, const char *name) {
    fx_ast *a = pt2_ast(p, FX_A_NAME);
    a->name = pt2_name(p, name);
    return a;
}

/* --- what has to be there --- */

static const json_t *need(pt2 *p, const json_t *o, const char *key, json_type type, const char *what) {
    static const char *const kinds[] = { "object", "list", "string" };
    const json_t *v = json_object_get(o, key);
    if (p->r->status)
        return NULL;
    if (v && json_typeof(v) == type)
        return v;
    fx_fail(p->r, JITC_E_INPUT, p->at, "The archive's model lacks the %s \"%s\" of %s.",
            (size_t)type < sizeof kinds / sizeof *kinds ? kinds[type] : "value", key, what);
    return NULL;
}

const char *pt2_string(pt2 *p, const json_t *o, const char *key, const char *what) {
    return json_string_value(need(p, o, key, JSON_STRING, what));
}

const json_t *pt2_list(pt2 *p, const json_t *o, const char *key, const char *what) {
    return need(p, o, key, JSON_ARRAY, what);
}

const json_t *pt2_object(pt2 *p, const json_t *o, const char *key, const char *what) {
    return need(p, o, key, JSON_OBJECT, what);
}

const char *pt2_union(pt2 *p, const json_t *u, const json_t **value) {
    void *first = json_object_iter((json_t *)u);
    if (p->r->status)
        return NULL;
    if (!first || json_object_size(u) != 1) {
        fx_fail(p->r, JITC_E_INPUT, p->at, "An argument in the archive's model is not one of a kind, such as {\"as_int\": 1}.");
        return NULL;
    }
    *value = json_object_iter_value(first);
    return json_object_iter_key(first);
}

/* --- dtypes --- */

/* By PyTorch's short names. */
static const struct {
    int8_t number;
    const char *name;
} scalar_types[] = {
    { 1, "u8" },  { 2, "i8" },    { 3, "i16" },  { 4, "i32" },       { 5, "i64" },      { 6, "f16" },         { 7, "f32" },
    { 8, "f64" }, { 9, "c32" },   { 10, "c64" }, { 11, "c128" },     { 12, "b8" },      { 13, "bf16" },       { 28, "u16" },
    { 29, "f8e4m3fn" },           { 30, "f8e5m2" },                  { 31, "f8e4m3fnuz" },                    { 32, "f8e5m2fnuz" },
    { 33, "f8e8m0fnu" },          { 34, "u32" }, { 35, "u64" },
};

int pt2_dtype(int64_t number, const char **foreign) {
    *foreign = NULL;
    for (size_t i = 0; i < sizeof scalar_types / sizeof *scalar_types; i++)
        if (scalar_types[i].number == number) {
            const int dtype = jc_dtype_find(scalar_types[i].name, strlen(scalar_types[i].name));
            *foreign = dtype < 0 ? scalar_types[i].name : NULL;
            return dtype;
        }
    return -1;
}

/* --- kinds of arguments --- */

static fx_ast *wrong(pt2 *p, const char *what) {
    fx_fail(p->r, JITC_E_INPUT, p->at, "An argument in the archive's model should be %s, and is not.", what);
    return pt2_ast(p, FX_A_NONE);
}

static fx_ast *make_none(pt2 *p, const json_t *v) {
    (void)v;
    return pt2_ast(p, FX_A_NONE);
}

static fx_ast *make_tensor(pt2 *p, const json_t *v) {
    const char *name = pt2_string(p, v, "name", "a tensor");
    return name ? pt2_name_ast(p, name) : pt2_ast(p, FX_A_NONE);
}

static fx_ast *make_int(pt2 *p, const json_t *v) {
    if (!json_is_integer(v))
        return wrong(p, "an integer");
    fx_ast *a = pt2_ast(p, FX_A_INT);
    a->integer = json_integer_value(v);
    return a;
}

static fx_ast *make_float(pt2 *p, const json_t *v) {
    static const struct {
        const char *text;
        double value;
    } words[] = { { "Infinity", __builtin_inf() }, { "-Infinity", -__builtin_inf() }, { "NaN", __builtin_nan("") } };
    fx_ast *a = pt2_ast(p, FX_A_FLOAT);
    a->number = json_number_value(v);
    if (json_is_number(v))
        return a;
    for (size_t i = 0; json_is_string(v) && i < sizeof words / sizeof *words; i++)
        if (strcmp(json_string_value(v), words[i].text) == 0) {
            a->number = words[i].value;
            return a;
        }
    return wrong(p, "a float");
}

static fx_ast *make_bool(pt2 *p, const json_t *v) {
    return json_is_boolean(v) ? pt2_ast(p, json_is_true(v) ? FX_A_TRUE : FX_A_FALSE) : wrong(p, "true or false");
}

static fx_ast *make_string(pt2 *p, const json_t *v) {
    if (!json_is_string(v))
        return wrong(p, "a string");
    fx_ast *a = pt2_ast(p, FX_A_STR);
    a->name = intern(p, json_string_value(v));
    return a;
}

/* A number that is known at run time only, or a literal among such. */
static fx_ast *make_sym(pt2 *p, const json_t *v) {
    const json_t *value;
    const char *tag = pt2_union(p, v, &value);
    if (tag && strcmp(tag, "as_name") == 0 && json_is_string(value))
        return pt2_name_ast(p, json_string_value(value));
    return !tag                           ? pt2_ast(p, FX_A_NONE)
           : strcmp(tag, "as_int") == 0   ? make_int(p, value)
           : strcmp(tag, "as_float") == 0 ? make_float(p, value)
           : strcmp(tag, "as_bool") == 0  ? make_bool(p, value)
                                          : wrong(p, "a number or the name of one");
}

static fx_ast *make_optional(pt2 *p, const json_t *v) {
    const json_t *value;
    const char *tag = pt2_union(p, v, &value);
    return tag && strcmp(tag, "as_tensor") == 0 ? make_tensor(p, value) : make_none(p, value);
}

static fx_ast *make_dtype(pt2 *p, const json_t *v) {
    const char *foreign;
    const int dtype = pt2_dtype(json_integer_value(v), &foreign);
    if (dtype >= 0)
        return pt2_path(p, jc_arena_printf(p->r->scratch, "torch.%s", jc_dtypes[dtype].torch));
    return foreign ? pt2_refused(p, "The dtype %s is not supported.", foreign) : wrong(p, "a dtype");
}

/* Where a tensor lies, and how, is ours to choose. */
static fx_ast *make_place(pt2 *p, const json_t *v) {
    (void)v;
    return pt2_path(p, "torch.strided");
}

static fx_ast *make_format(pt2 *p, const json_t *v) {
    static const char *const names[] = { "torch.preserve_format", "torch.contiguous_format", "torch.channels_last", "torch.channels_last_3d", "torch.preserve_format" };
    const json_int_t i = json_integer_value(v);
    return pt2_path(p, names[i >= 0 && i < (json_int_t)(sizeof names / sizeof *names) ? i : 0]);
}

static fx_ast *make_device(pt2 *p, const json_t *v) {
    fx_ast *a = pt2_ast(p, FX_A_CALL), *word = pt2_ast(p, FX_A_STR), **tail;
    const char *type = pt2_string(p, v, "type", "a device");
    word->name = intern(p, type ? type : "");
    a->first = pt2_path(p, "torch.device");
    tail = &a->first->next;
    *tail = word;
    a->n = 1;
    return a;
}

static fx_ast *make_operator(pt2 *p, const json_t *v) {
    return json_is_string(v) && strncmp(json_string_value(v), "torch.ops.", 10) == 0 ? pt2_path(p, json_string_value(v))
                                                                                    : wrong(p, "an operator");
}

static fx_ast *make_list(pt2 *p, const json_t *v, fx_ast *(*make)(pt2 *p, const json_t *v)) {
    fx_ast *list = pt2_ast(p, FX_A_LIST), **tail = NULL;
    if (!json_is_array(v))
        return wrong(p, "a list");
    for (size_t i = 0; i < json_array_size(v) && !p->r->status; i++)
        pt2_append(list, &tail, make(p, json_array_get(v, i)));
    return list;
}

#define LIST_OF(name, item)                                                                        \
    static fx_ast *name(pt2 *p, const json_t *v) {                                                 \
        return make_list(p, v, item);                                                              \
    }
LIST_OF(make_tensors, make_tensor)
LIST_OF(make_ints, make_int)
LIST_OF(make_floats, make_float)
LIST_OF(make_bools, make_bool)
LIST_OF(make_strings, make_string)
LIST_OF(make_syms, make_sym)
LIST_OF(make_optionals, make_optional)
LIST_OF(make_int_lists, make_ints)
LIST_OF(make_float_lists, make_floats)
LIST_OF(make_tensor_lists, make_tensors)
#undef LIST_OF

static fx_ast *make_graph(pt2 *p, const json_t *v) {
    (void)v;
    return pt2_refused(p, "Operators that take graphs of their own (cond, map, autocast) are not supported.");
}

static fx_ast *make_object(pt2 *p, const json_t *v) {
    (void)v;
    return pt2_refused(p, "Objects that are no tensors and no numbers are not supported as arguments.");
}

static fx_ast *make_complex(pt2 *p, const json_t *v) {
    (void)v;
    return pt2_refused(p, "Complex numbers are not supported.");
}

static const struct {
    const char *tag;
    fx_ast *(*make)(pt2 *p, const json_t *v);
} kinds[] = {
    { "as_none", make_none },
    { "as_tensor", make_tensor },
    { "as_tensors", make_tensors },
    { "as_int", make_int },
    { "as_ints", make_ints },
    { "as_float", make_float },
    { "as_floats", make_floats },
    { "as_string", make_string },
    { "as_strings", make_strings },
    { "as_sym_int", make_sym },
    { "as_sym_ints", make_syms },
    { "as_scalar_type", make_dtype },
    { "as_memory_format", make_format },
    { "as_layout", make_place },
    { "as_device", make_device },
    { "as_bool", make_bool },
    { "as_bools", make_bools },
    { "as_sym_bool", make_sym },
    { "as_sym_bools", make_syms },
    { "as_graph", make_graph },
    { "as_optional_tensors", make_optionals },
    { "as_custom_obj", make_object },
    { "as_operator", make_operator },
    { "as_sym_float", make_sym },
    { "as_sym_floats", make_syms },
    { "as_optional_tensor", make_optional },
    { "as_complex", make_complex },
    { "as_nested_tensors", make_tensor_lists },
    { "as_int_lists", make_int_lists },
    { "as_string_to_argument", make_object },
    { "as_float_lists", make_float_lists },
};

fx_ast *pt2_arg(pt2 *p, const json_t *arg) {
    const json_t *value;
    const char *tag = pt2_union(p, arg, &value);
    for (size_t i = 0; tag && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].tag, tag) == 0)
            return kinds[i].make(p, value);
    return tag ? pt2_refused(p, "An argument of the kind \"%.60s\" is not known to this version.", tag) : pt2_ast(p, FX_A_NONE);
}
