/*
 * ir/pt2/pt2_guard.c - what calls the program was exported for: ranges of symbols, and guards that tracing relied on.
 *
 *   range_constraints  {"s77": {"min_val": 4, "max_val": 64}}
 *   guards_code        ["(L['x'].size()[0] % 4) == 0", "L['x']['mask'][1].size()[0] != 9", "L['n'] <= 8"]
 *
 * Both become conditions of the root, checked with each call's arguments, as torch.export's own module does it.  A lower bound of 2 or
 * less says nothing: it only means that PyTorch did not trace for 0 and 1, which it lets pass at a call as well.
 *
 * In a guard L['x'] is the argument x of the module, and what follows takes it apart.  Such a path is looked up in the tree of
 * the arguments ("in_spec"), whose leaves are the program's inputs in order, and written as that input's size; what is left is an
 * expression like any other.  A guard that cannot be read is not passed over: JITC_E_UNSUPPORTED.
 */
#include <stdlib.h>
#include <string.h>
#include "ir/pt2/pt2_priv.h"

#define MAX_DEPTH 64

static void add(pt2 *p, jc_rel rel, const jc_expr *a, const jc_expr *b) {
    if (a->kind == JC_EX_POISON || b->kind == JC_EX_POISON)
        fx_fail(p->r, JITC_E_INPUT, 0, "A guard of the program does not fit in 64 bits.");
    else
        jc_conditions_add(fx_x(p->r), p->r->arena, &p->r->graph->root->guards, (jc_condition){ (uint8_t)rel, 0, a, b });
}

static const jc_expr *parse(pt2 *p, const char *text, size_t n) {
    const jc_expr *e = NULL;
    jc_error err = JC_ERROR_INIT;
    if (jc_ex_parse(fx_x(p->r), text, n, p->r->file, 0, 0, &e, &err) == JITC_OK)
        return e;
    fx_fail(p->r, JITC_E_UNSUPPORTED, 0, "The program is for calls where \"%.*s\", which is not understood.", (int)(n < 200 ? n : 200), text);
    return NULL;
}

/* --- ranges --- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Are all symbols in TEXT known?  Others are of numbers that no input gives. */
static bool is_known(pt2 *p, const char *text) {
    for (const char *c = text, *end; *c; c = end) {
        for (end = c; is_word(*end);)
            end++;
        if (end > c && (*c < '0' || *c > '9') && *end != '(' && jc_sym_find(fx_x(p->r), c, (size_t)(end - c)) == UINT32_MAX)
            return false;
        end += end == c;
    }
    return true;
}

static void add_ranges(pt2 *p) {
    jc_exprs *t = fx_x(p->r);
    const char *text;
    json_t *range;
    json_object_foreach((json_t *)json_object_get(p->model, "range_constraints"), text, range) {
        const json_t *lo = json_object_get(range, "min_val"), *hi = json_object_get(range, "max_val");
        const bool low = json_is_integer(lo) && json_integer_value(lo) > 2;
        const bool high = json_is_integer(hi) && json_integer_value(hi) < JC_SYM_MAX;
        const jc_expr *e = (low || high) && is_known(p, text) ? parse(p, text, strlen(text)) : NULL;
        if (e && low)
            add(p, JC_REL_LE, jc_ex_int(t, json_integer_value(lo)), e);
        if (e && high)
            add(p, JC_REL_LE, e, jc_ex_int(t, json_integer_value(hi)));
        if (p->r->status)
            return;
    }
}

/* --- inputs by their paths --- */

typedef struct paths {
    pt2 *p;
    const json_t *args, *kwargs; /* trees: of the arguments by position, by name */
    const json_t *names;         /* of all of them */
    json_t *keys;                /* of the latter */
} paths;

static const json_t *children(const json_t *tree) {
    return json_object_get(tree, "children_spec");
}

static uint32_t leaves(const json_t *tree, int depth) {
    const json_t *below = children(tree);
    uint32_t n = 0;
    if (json_is_null(json_object_get(tree, "type")) || depth > MAX_DEPTH)
        return 1;
    for (size_t i = 0; i < json_array_size(below); i++)
        n += leaves(json_array_get(below, i), depth + 1);
    return n;
}

/* The child at I, and how many leaves come before it in TREE. */
static const json_t *child(const json_t *tree, size_t i, uint32_t *before) {
    const json_t *below = children(tree);
    for (size_t k = 0; k < i && k < json_array_size(below); k++)
        *before += leaves(json_array_get(below, k), 0);
    return json_array_get(below, i);
}

static json_t *keys_of(const json_t *tree) {
    const char *context = json_string_value(json_object_get(tree, "context"));
    return context ? json_loads(context, JSON_DECODE_ANY, NULL) : NULL;
}

static size_t place_of(const json_t *list, const char *key, size_t n) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && strlen(text) == n && memcmp(text, key, n) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* ['KEY'] or [NUMBER] at *AT, left behind it. */
static bool step(const char **at, const char **key, size_t *n, size_t *number) {
    const char *c = *at;
    *key = NULL;
    if (*c++ != '[')
        return false;
    if (*c == '\'') {
        *key = ++c;
        while (*c && *c != '\'' && *c != '\\')
            c++;
        *n = (size_t)(c - *key);
        if (*c++ != '\'')
            return false;
    } else {
        char *end;
        if (*c < '0' || *c > '9')
            return false;
        *number = strtoul(c, &end, 10);
        c = end;
    }
    if (*c++ != ']')
        return false;
    *at = c;
    return true;
}

/* The argument KEY of the module; of `*args` the one that the next step says. */
static const json_t *top(const paths *w, const char *key, size_t n, const char **at, uint32_t *leaf) {
    const char *none;
    size_t length, number, place = place_of(w->names, key, n);
    const size_t nargs = json_array_size(children(w->args));
    if (place == SIZE_MAX && step(at, &none, &length, &number) && !none) {
        const char *name = jc_arena_printf(w->p->r->scratch, "%.*s_%zu", (int)n, key, number);
        place = place_of(w->names, name, strlen(name));
    }
    if (place == SIZE_MAX)
        return NULL;
    if (place < nargs)
        return child(w->args, place, leaf);
    *leaf += leaves(w->args, 0);
    place = place_of(w->keys, key, n);
    return place == SIZE_MAX ? NULL : child(w->kwargs, place, leaf);
}

/* The child of TREE that a step says: by index, or of a dict by key. */
static const json_t *below(const json_t *tree, const char *key, size_t n, size_t number, uint32_t *leaf) {
    if (!key)
        return child(tree, number, leaf);
    json_t *keys = keys_of(tree);
    const size_t place = place_of(keys, key, n);
    json_decref(keys);
    return place == SIZE_MAX ? NULL : child(tree, place, leaf);
}

/* The graph's parameter for leaf LEAF of the arguments; NULL: it was no tensor and no integer, or there is none. */
static const jc_value *input(pt2 *p, uint32_t leaf) {
    const json_t *specs = pt2_specs(p, "input_specs");
    for (size_t i = 0; i < json_array_size(specs); i++) {
        const json_t *spec = json_array_get(specs, i), *user = json_object_get(spec, "user_input"), *value;
        if ((!user && !json_object_get(spec, "constant_input")) || leaf-- > 0)
            continue;
        const char *tag = user ? pt2_union(p, json_object_get(user, "arg"), &value) : NULL;
        const char *name = tag ? json_string_value(json_object_get(value, strcmp(tag, "as_tensor") == 0 ? "name" : "as_name")) : NULL;
        for (uint32_t k = 0; name && k < p->r->graph->root->nparams; k++)
            if (strcmp(p->r->graph->root->params[k]->name, name) == 0)
                return p->r->graph->root->params[k];
        return NULL;
    }
    return NULL;
}

/* The size that the path at *AT stands for, which is left behind it; NULL: not understood. */
static const jc_expr *size_at(const paths *w, const char **at) {
    static const char size[] = ".size()[";
    const char *c = *at + 1, *key;
    size_t n, number;
    uint32_t leaf = 0;
    if (!step(&c, &key, &n, &number) || !key)
        return NULL;
    const json_t *tree = top(w, key, n, &c, &leaf);
    while (tree && *c == '[')
        tree = step(&c, &key, &n, &number) ? below(tree, key, n, number, &leaf) : NULL;
    if (!tree || !json_is_null(json_object_get(tree, "type")))
        return NULL;
    const jc_value *v = input(w->p, leaf);
    *at = c;
    if (v && v->type.kind == JC_SYMINT)
        return v->type.expr;
    if (!v || v->type.kind != JC_TENSOR || strncmp(c, size, sizeof size - 1) != 0)
        return NULL;
    c += sizeof size - 2;
    if (!step(&c, &key, &n, &number) || key || number >= v->type.rank)
        return NULL;
    *at = c;
    return v->type.dims[number];
}

/* --- guards --- */

/* The guard with sizes in the place of paths. */
static const char *with_sizes(const paths *w, const char *text) {
    jc_bytes b = JC_BYTES(w->p->r->scratch);
    for (const char *c = text; *c;) {
        if (c[0] != 'L' || c[1] != '[' || (c > text && is_word(c[-1]))) {
            jc_put_u8(&b, (uint8_t)*c++);
            continue;
        }
        const jc_expr *e = size_at(w, &c);
        if (!e) {
            fx_fail(w->p->r, JITC_E_UNSUPPORTED, 0, "The program is for calls where \"%.200s\", which is not understood.", text);
            return NULL;
        }
        jc_put_u8(&b, '(');
        jc_ex_print(fx_x(w->p->r), e, &b);
        jc_put_u8(&b, ')');
    }
    jc_put_u8(&b, 0);
    return (const char *)b.at;
}

static const struct {
    const char *text;
    jc_rel rel;
    bool flip, strict; /* b before a; a + 1 */
} relations[] = {
    { "==", JC_REL_EQ, false, false }, { "!=", JC_REL_NE, false, false }, { "<=", JC_REL_LE, false, false },
    { ">=", JC_REL_LE, true, false },  { "<", JC_REL_LE, false, true },   { ">", JC_REL_LE, true, true },
};

static void add_relation(pt2 *p, const char *text, size_t n) {
    for (size_t k = 0; k < sizeof relations / sizeof *relations; k++) {
        const size_t length = strlen(relations[k].text);
        for (size_t i = 0; i + length <= n; i++) {
            if (memcmp(text + i, relations[k].text, length) != 0)
                continue;
            const jc_expr *a = parse(p, text, i), *b = a ? parse(p, text + i + length, n - i - length) : NULL;
            if (b && relations[k].flip) {
                const jc_expr *swap = a;
                a = b;
                b = swap;
            }
            if (b)
                add(p, relations[k].rel, relations[k].strict ? jc_ex_add(fx_x(p->r), a, jc_ex_int(fx_x(p->r), 1)) : a, b);
            return;
        }
    }
    parse(p, "", 0);
}

static void add_guard(const paths *w, const char *guard) {
    const char *text = with_sizes(w, guard);
    while (text && !w->p->r->status) {
        const char *end = strstr(text, " and ");
        add_relation(w->p, text, end ? (size_t)(end - text) : strlen(text));
        text = end ? end + 5 : NULL;
    }
}

static void each_guard(pt2 *p, const json_t *guards, const json_t *in_spec, const json_t *signature) {
    const json_t *both = children(json_array_get(in_spec, 1));
    paths w = { .p = p, .args = json_array_get(both, 0), .kwargs = json_array_get(both, 1),
                .names = json_object_get(signature, "forward_arg_names") };
    w.keys = keys_of(w.kwargs);
    for (size_t i = 0; i < json_array_size(guards) && !p->r->status; i++)
        if (json_is_string(json_array_get(guards, i)))
            add_guard(&w, json_string_value(json_array_get(guards, i)));
    json_decref(w.keys);
}

void pt2_guards(pt2 *p) {
    const json_t *calls = json_object_get(json_object_get(p->model, "graph_module"), "module_call_graph");
    const json_t *signature = json_object_get(json_array_get(calls, 0), "signature"), *guards = json_object_get(p->model, "guards_code");
    const char *in_spec = json_string_value(json_object_get(signature, "in_spec"));
    if (p->r->status || (p->r->tolerant && p->r->graph->refused.n > 0))
        return;
    add_ranges(p);
    if (!json_array_size(guards))
        return;
    json_t *tree = in_spec ? json_loads(in_spec, 0, NULL) : NULL;
    each_guard(p, guards, tree, signature);
    json_decref(tree);
}
