/*
 * ir/pt2/pt2_graph.c - from the archive's graph to the statements of one class.
 *
 *   {"target": "torch.ops.aten.add.Tensor", "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}, ...],
 *    "outputs": [{"as_tensor": {"name": "add"}}]}                                 add: "f32[s0, 8]" = torch.ops.aten.add.Tensor(x, ...)
 *
 * Results of a node that gives several are taken out of it one by one, as `getitem` is in the text.  What the program says it writes (buffers and
 * inputs) becomes a copy_ at the end, as torch.export's own module does it.  Graphs within graphs are written out where they are
 * called, if calling them changes nothing (no_grad, an autocast that is off).
 */
#include <string.h>
#include "ir/pt2/pt2_priv.h"

#define MAX_DEPTH 32
#define POSITIONAL 1

static fx_stmt *statement(pt2 *p, fx_stmt_kind kind, fx_ast *value) {
    fx_stmt *s = fx_take(p->r, sizeof *s);
    *s = (fx_stmt){ .kind = (uint8_t)kind, .at = p->at, .line = (int)p->at, .value = value };
    *p->tail = s;
    p->tail = &s->next;
    return s;
}

static void assign(pt2 *p, fx_name *to, fx_name *note, fx_ast *value) {
    fx_stmt *s = statement(p, FX_S_ASSIGN, value);
    s->target = to;
    s->note = note;
}

/* --- what is called --- */

/* Functions of sizes, which Python has operators for. */
static const struct {
    const char *target;
    uint8_t kind, op;
} operators[] = {
    { "add", FX_A_BINARY, '+' },     { "sub", FX_A_BINARY, '-' },          { "mul", FX_A_BINARY, '*' },
    { "mod", FX_A_BINARY, '%' },     { "floordiv", FX_A_BINARY, FX_T_FDIV }, { "truediv", FX_A_BINARY, '/' },
    { "pow", FX_A_BINARY, FX_T_POW }, { "neg", FX_A_UNARY, '-' },          { "pos", FX_A_UNARY, '+' },
    { "eq", FX_A_BINARY, FX_T_EQ },  { "ne", FX_A_BINARY, FX_T_NE },       { "lt", FX_A_BINARY, '<' },
    { "le", FX_A_BINARY, FX_T_LE },  { "gt", FX_A_BINARY, '>' },           { "ge", FX_A_BINARY, FX_T_GE },
    { "and_", FX_A_BINARY, '&' },    { "or_", FX_A_BINARY, '|' },
};

static fx_ast *operator_of(pt2 *p, const char *name, const json_t *inputs) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(operators[i].target, name) != 0)
            continue;
        fx_ast *a = pt2_ast(p, operators[i].kind), **tail = NULL;
        a->op = operators[i].op;
        for (size_t k = 0; k < json_array_size(inputs) && !p->r->status; k++)
            pt2_append(a, &tail, pt2_arg(p, json_object_get(json_array_get(inputs, k), "arg")));
        if (!p->r->status && a->n != (operators[i].kind == FX_A_BINARY ? 2 : 1))
            fx_fail(p->r, JITC_E_INPUT, p->at, "_operator.%s has %u arguments.", name, a->n);
        return a;
    }
    return NULL;
}

/* Arguments by position up to the first that is not; then by the schema's names. */
static fx_ast *call(pt2 *p, const char *target, const json_t *inputs) {
    fx_ast *a = pt2_ast(p, FX_A_CALL), **tail = &a->first;
    bool keyed = false;
    a->first = pt2_path(p, target);
    tail = &a->first->next;
    for (size_t i = 0; i < json_array_size(inputs) && !p->r->status; i++) {
        const json_t *in = json_array_get(inputs, i);
        const char *name = json_string_value(json_object_get(in, "name"));
        fx_ast *arg = pt2_arg(p, json_object_get(in, "arg"));
        keyed |= json_integer_value(json_object_get(in, "kind")) != POSITIONAL;
        if (keyed && name && *name)
            arg->key = fx_intern(p->r, name, strlen(name));
        *tail = arg;
        tail = &arg->next;
        a->n++;
    }
    return a;
}

static fx_ast *value_of(pt2 *p, const char *target, const json_t *inputs) {
    if (strncmp(target, "torch.ops.", 10) == 0 || strcmp(target, "torch.sym_max") == 0 || strcmp(target, "torch.sym_min") == 0)
        return call(p, target, inputs);
    fx_ast *a = strncmp(target, "_operator.", 10) == 0 ? operator_of(p, target + 10, inputs) : NULL;
    return a ? a : pt2_refused(p, "The function %.100s is not supported.", target);
}

/* --- what a node gives --- */

/* The name in an argument that is one: of a tensor, or of a number known at run time only. NULL: it has none. */
static const char *name_in(const json_t *value) {
    const char *name = json_string_value(json_object_get(value, "name"));
    return name ? name : json_string_value(json_object_get(value, "as_name"));
}

typedef struct tuple {
    fx_name *name;
    fx_stmt *call;
    fx_element **tail;
} tuple;

static fx_ast *item(pt2 *p, fx_ast *of, uint32_t index) {
    fx_ast *a = pt2_ast(p, FX_A_INDEX), *i = pt2_ast(p, FX_A_INT), **tail = NULL;
    i->integer = index;
    pt2_append(a, &tail, of);
    pt2_append(a, &tail, i);
    return a;
}

/* One that is called so is in no argument. */
static bool is_unused(const char *name) {
    return strstr(name, "_unused_") != NULL;
}

/* Element INDEX of what T names, or of its element OUTER, where that is a list. */
static void take(pt2 *p, tuple *t, const char *tag, const json_t *value, uint32_t index, int64_t outer) {
    const char *name = name_in(value);
    fx_name *note = name ? pt2_note(p, tag, name) : NULL;
    if (!name || p->r->status)
        return;
    if (outer < 0 && note) { /* a custom operator's results are what is said of them here */
        fx_element *e = fx_take(p->r, sizeof *e);
        *e = (fx_element){ .index = index, .note = note };
        *t->tail = e;
        t->tail = &e->next;
    }
    if (is_unused(name))
        return;
    fx_ast *of = pt2_ast(p, FX_A_NAME);
    of->name = t->name;
    if (outer >= 0)
        of = item(p, of, (uint32_t)outer);
    assign(p, pt2_name(p, name), note, item(p, of, index));
}

static void take_list(pt2 *p, tuple *t, const json_t *list, int64_t outer) {
    for (size_t i = 0; i < json_array_size(list) && !p->r->status; i++)
        take(p, t, "as_tensor", json_array_get(list, i), (uint32_t)i, outer);
}

static void take_all(pt2 *p, tuple *t, const json_t *outputs) {
    for (size_t i = 0; i < json_array_size(outputs) && !p->r->status; i++) {
        const json_t *value;
        const char *tag = pt2_union(p, json_array_get(outputs, i), &value);
        if (tag && strcmp(tag, "as_tensors") == 0)
            take_list(p, t, value, json_array_size(outputs) == 1 ? -1 : (int64_t)i);
        else if (tag)
            take(p, t, tag, value, (uint32_t)i, -1);
    }
}

static bool is_single(const json_t *node, const json_t *outputs) {
    const json_t *only = json_array_get(outputs, 0);
    return json_array_size(outputs) == 1 && !json_object_get(only, "as_tensors") &&
           !json_is_false(json_object_get(node, "is_hop_single_tensor_return"));
}

static void give(pt2 *p, const json_t *node, const json_t *outputs, fx_ast *value) {
    const json_t *v = NULL;
    const char *tag = json_array_size(outputs) ? pt2_union(p, json_array_get(outputs, 0), &v) : NULL;
    if (p->r->status)
        return;
    const char *name = is_single(node, outputs) ? name_in(v) : NULL;
    if (!tag || (is_single(node, outputs) && !name)) {
        statement(p, FX_S_EXPR, value);
    } else if (name) {
        assign(p, pt2_name(p, name), pt2_note(p, tag, name), value);
    } else {
        char *all = jc_arena_printf(p->r->scratch, "%%%u", p->at); /* no node is called so */
        tuple t = { .name = fx_intern(p->r, all, strlen(all)), .call = statement(p, FX_S_ASSIGN, value) };
        t.call->target = t.name;
        t.tail = &t.call->elements;
        take_all(p, &t, outputs);
    }
}

/* --- graphs within graphs --- */

static void build_nodes(pt2 *p);

/* Names of the inner graph for what it is given; then its nodes; then the outer names for what it gives. */
static void write_out(pt2 *p, const json_t *inner, const json_t *args, size_t first, const json_t *outputs) {
    pt2 q = *p;
    q.graph = inner;
    q.scope = jc_arena_printf(p->r->scratch, "%%%u.", p->at);
    if (++q.depth > MAX_DEPTH)
        fx_fail(p->r, JITC_E_INPUT, p->at, "Graphs within graphs are nested more than %d deep.", MAX_DEPTH);
    const json_t *params = pt2_list(p, inner, "inputs", "a graph"), *results = pt2_list(p, inner, "outputs", "a graph");
    if (p->r->status)
        return;
    if (json_array_size(params) != json_array_size(args) - first || json_array_size(results) != json_array_size(outputs))
        fx_fail(p->r, JITC_E_INPUT, p->at, "A graph is called with another number of arguments or results than it has.");
    for (size_t i = 0; i < json_array_size(params) && !p->r->status; i++) {
        const json_t *value;
        const char *tag = pt2_union(p, json_array_get(params, i), &value), *name = tag ? name_in(value) : NULL;
        if (name)
            assign(&q, pt2_name(&q, name), NULL, pt2_arg(p, json_object_get(json_array_get(args, first + i), "arg")));
        p->tail = q.tail;
    }
    build_nodes(&q);
    p->tail = q.tail;
    p->at = q.at;
    for (size_t i = 0; i < json_array_size(outputs) && !p->r->status; i++) {
        const json_t *value;
        const char *tag = pt2_union(p, json_array_get(outputs, i), &value), *name = tag ? name_in(value) : NULL;
        if (name)
            assign(p, pt2_name(p, name), pt2_note(p, tag, name), pt2_arg(&q, json_array_get(results, i)));
    }
}

static const json_t *argument(const json_t *inputs, size_t i, const char *tag) {
    return json_object_get(json_object_get(json_array_get(inputs, i), "arg"), tag);
}

/* Is this a call of a graph that can stand there as it is? */
static bool wrapped(pt2 *p, const char *target, const json_t *inputs, const json_t *outputs) {
    static const char grad[] = "torch.ops.higher_order.wrap_with_set_grad_enabled";
    static const char autocast[] = "torch.ops.higher_order.wrap_with_autocast";
    const bool is_autocast = strcmp(target, autocast) == 0;
    const size_t at = is_autocast ? 4 : 1;
    if (!is_autocast && strcmp(target, grad) != 0)
        return false;
    const json_t *inner = json_object_get(argument(inputs, at, "as_graph"), "graph");
    if (!json_is_object(inner) || (is_autocast && !json_is_false(argument(inputs, 2, "as_bool"))))
        return false;
    write_out(p, inner, inputs, at + 1, outputs);
    return true;
}

/* --- nodes --- */

static void build_node(pt2 *p, const json_t *node) {
    const char *target = pt2_string(p, node, "target", "a node");
    const json_t *inputs = pt2_list(p, node, "inputs", "a node"), *outputs = pt2_list(p, node, "outputs", "a node");
    if (!p->r->status && !wrapped(p, target, inputs, outputs))
        give(p, node, outputs, value_of(p, target, inputs));
}

static void build_nodes(pt2 *p) {
    const json_t *nodes = pt2_list(p, p->graph, "nodes", "a graph");
    for (size_t i = 0; i < json_array_size(nodes) && !p->r->status; i++) {
        p->at++;
        build_node(p, json_array_get(nodes, i));
    }
}

/* --- inputs --- */

const json_t *pt2_specs(pt2 *p, const char *key) {
    const json_t *module = pt2_object(p, p->model, "graph_module", "the program");
    return pt2_list(p, pt2_object(p, module, "signature", "the program"), key, "the program's signature");
}

static void build_params(pt2 *p, fx_class *c) {
    const json_t *inputs = pt2_list(p, p->graph, "inputs", "the graph");
    fx_param **tail = &c->params;
    for (size_t i = 0; i < json_array_size(inputs) && !p->r->status; i++) {
        const json_t *value;
        const char *tag = pt2_union(p, json_array_get(inputs, i), &value), *name = tag ? name_in(value) : NULL;
        if (tag && !name && json_typeof(value) != JSON_OBJECT)
            continue; /* a number, a string, None: the program was exported for that one, and holds it where it is used */
        fx_param *param = fx_take(p->r, sizeof *param);
        *param = (fx_param){ .name = name ? pt2_name(p, name) : NULL, .note = name ? pt2_note(p, tag, name) : NULL };
        if (!p->r->status && !param->note)
            fx_fail(p->r, JITC_E_UNSUPPORTED, 0, "An input of the kind \"%.60s\" is not supported: tensors and integers are.", tag);
        *tail = param;
        tail = &param->next;
        c->nparams++;
    }
}

/* --- outputs --- */

/* The graph's name for a parameter or buffer of the module. */
static const char *holder_of(pt2 *p, const char *kind, const char *key, const char *name) {
    const json_t *specs = pt2_specs(p, "input_specs");
    for (size_t i = 0; i < json_array_size(specs); i++) {
        const json_t *spec = json_object_get(json_array_get(specs, i), kind);
        const char *called = json_string_value(json_object_get(spec, key));
        if (called && strcmp(called, name) == 0)
            return pt2_string(p, pt2_object(p, spec, "arg", "an input"), "name", "an input");
    }
    fx_fail(p->r, JITC_E_INPUT, p->at, "The program writes the %s \"%.100s\", which is none of its inputs.", kind, name);
    return NULL;
}

static void write_back(pt2 *p, const json_t *spec, const char *to) {
    const char *from = pt2_string(p, pt2_object(p, spec, "arg", "an output"), "name", "an output");
    if (p->r->status)
        return;
    fx_ast *a = pt2_ast(p, FX_A_CALL), **tail = NULL;
    pt2_append(a, &tail, pt2_path(p, "torch.ops.aten.copy_.default"));
    pt2_append(a, &tail, pt2_name_ast(p, to));
    pt2_append(a, &tail, pt2_name_ast(p, from));
    a->n = 2;
    statement(p, FX_S_EXPR, a);
}

static const struct {
    const char *kind, *input, *key;
} mutations[] = {
    { "buffer_mutation", "buffer", "buffer_name" },
    { "parameter_mutation", "parameter", "parameter_name" },
    { "user_input_mutation", NULL, "user_input_name" },
};

static bool mutation(pt2 *p, const char *tag, const json_t *spec) {
    for (size_t i = 0; i < sizeof mutations / sizeof *mutations; i++) {
        if (strcmp(tag, mutations[i].kind) != 0)
            continue;
        const char *name = pt2_string(p, spec, mutations[i].key, "an output");
        if (name && mutations[i].input)
            name = holder_of(p, mutations[i].input, mutations[i].key, name);
        if (name)
            write_back(p, spec, name);
        return true;
    }
    return false;
}

/* A result; what is neither tensor nor integer is always the same, and None here. */
static fx_ast *result(pt2 *p, const json_t *spec) {
    const json_t *arg = pt2_object(p, spec, "arg", "an output"), *value;
    const char *tag = arg ? pt2_union(p, arg, &value) : NULL;
    if (tag && (strcmp(tag, "as_float") == 0 || strcmp(tag, "as_bool") == 0 || strcmp(tag, "as_string") == 0))
        return pt2_ast(p, FX_A_NONE);
    return tag ? pt2_arg(p, arg) : pt2_ast(p, FX_A_NONE);
}

static void build_outputs(pt2 *p) {
    fx_ast *all = pt2_ast(p, FX_A_TUPLE), **tail = NULL;
    const json_t *specs = pt2_specs(p, "output_specs");
    p->at++;
    for (size_t i = 0; i < json_array_size(specs) && !p->r->status; i++) {
        const json_t *spec;
        const char *tag = pt2_union(p, json_array_get(specs, i), &spec);
        if (!tag || mutation(p, tag, spec))
            continue;
        if (strcmp(tag, "user_output") == 0)
            pt2_append(all, &tail, result(p, spec));
        else
            fx_fail(p->r, JITC_E_UNSUPPORTED, 0, "The program has an output of the kind \"%.60s\": it is for training.", tag);
    }
    statement(p, FX_S_RETURN, all);
}

/* --- the whole --- */

void pt2_build(pt2 *p) {
    fx_class *c = fx_take(p->r, sizeof *c);
    static const char name[] = "GraphModule";
    *c = (fx_class){ .name = fx_intern(p->r, name, sizeof name - 1), .returned = true };
    const json_t *module = pt2_object(p, p->model, "graph_module", "the program");
    p->graph = pt2_object(p, module, "graph", "the program");
    p->tail = &c->body;
    build_params(p, c);
    if (!p->r->status)
        build_nodes(p);
    if (!p->r->status)
        build_outputs(p);
    if (!p->r->status)
        fx_build_root(p->r, c);
}
