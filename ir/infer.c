/*
 * ir/infer.c - inference: from a node's arguments to its results' types and places.
 *
 * The driver: arguments against the operator's signature, then the operator's rule (infer_pointwise.c, infer_view.c,
 * infer_shape.c), then, for a value with an annotation, the comparison of the two.  What is provably wrong fails
 * with both texts; what symbols leave open is taken as the graph says it.
 */
#include <stdio.h>
#include <string.h>
#include "ir/infer_priv.h"

/* ---- messages ---- */

jitc_status jc_in_fail(jc_in *in, jitc_status status, const char *format, ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return jc_fail_at(in->err, status, in->f->graph->file, in->n->line, 0, in->n->nresults ? in->n->results[0]->name : NULL, "%s: %s",
                      jc_ops[in->n->op].name, text);
}

const char *jc_in_text(jc_in *in, const jc_type *type) { return jc_type_text(in->t, type, in->arena); }
const char *jc_in_expr_text(jc_in *in, const jc_expr *e) { return jc_ex_text(in->t, e, in->arena); }

/* ---- arguments against the signature ---- */

static bool is_number(const jc_arg *a) {
    if (a->kind == JC_ARG_VALUE)
        return a->value->type.kind != JC_TENSOR && a->value->type.kind != JC_NAME;
    return a->kind == JC_ARG_EXPR || a->kind == JC_ARG_FLOAT || a->kind == JC_ARG_BOOL;
}

static bool is_list_of(const jc_arg *a, char kind) {
    if (a->kind != JC_ARG_LIST)
        return false;
    for (uint32_t i = 0; i < a->list.n; i++) {
        if (kind == 'E' ? a->list.at[i].kind != JC_ARG_EXPR : !jc_in_is_tensor(&a->list.at[i]))
            return false;
    }
    return true;
}

/* A is to be what the word of a signature from WORD up to END says.  A float may be written as an integer. */
static bool fits(const char *word, const char *end, jc_arg *a) {
    char last = end[-1];
    int64_t value;
    if (last == '?' && a->kind == JC_ARG_NONE)
        return true;
    if (last == '*')
        return is_list_of(a, *word);
    switch (*word) {
    case 'T':
        return jc_in_is_tensor(a) || (last == 'N' && is_number(a));
    case 'E':
        return a->kind == JC_ARG_EXPR;
    case 'F':
        if (a->kind == JC_ARG_EXPR && jc_ex_is_const(a->expr, &value))
            *a = jc_arg_float((double)value);
        return a->kind == JC_ARG_FLOAT;
    case 'N':
        return is_number(a);
    case 'B':
        return a->kind == JC_ARG_BOOL;
    default:
        return a->kind == JC_ARG_DTYPE;
    }
}

static const char *arg_text(jc_in *in, const jc_arg *a) {
    static const char *const names[] = {
        [JC_ARG_NONE] = "nothing",     [JC_ARG_EXPR] = "an integer", [JC_ARG_FLOAT] = "a float",
        [JC_ARG_BOOL] = "a bool",      [JC_ARG_STR] = "a string",    [JC_ARG_DTYPE] = "a dtype",
        [JC_ARG_LIST] = "a list",      [JC_ARG_DICT] = "a dict",     [JC_ARG_DEVICE] = "a device",
    };
    return a->kind == JC_ARG_VALUE ? jc_in_text(in, &a->value->type) : names[a->kind];
}

static const char *word_text(const char *word) {
    static const struct {
        const char *word, *text;
    } words[] = {
        { "T*", "a list of tensors" }, { "TN", "a tensor or a number" }, { "T", "a tensor" },
        { "E*", "a list of integers" }, { "E", "an integer" }, { "F", "a float" }, { "N", "a number" },
        { "B", "a bool" }, { "D", "a dtype" },
    };
    for (size_t i = 0;; i++) {
        if (strncmp(word, words[i].word, strlen(words[i].word)) == 0)
            return words[i].text;
    }
}

/* Steps through the words of a signature: the end of the one at WORD. */
static const char *word_end(const char *word) {
    while (*word && *word != ' ')
        word++;
    return word;
}

bool jc_args_fit(const jc_node *n) {
    const char *word = jc_ops[n->op].sig;
    for (uint32_t i = 0; i < n->nargs; i++) {
        const char *end = word_end(word);
        jc_arg copy = n->args[i];
        if (!fits(word, end, &copy))
            return false;
        word = *end ? end + 1 : end;
    }
    return true;
}

static jitc_status check_args(jc_in *in) {
    const char *word = jc_ops[in->n->op].sig;
    for (uint32_t i = 0; i < in->n->nargs; i++) {
        const char *end = word_end(word);
        if (!fits(word, end, &in->n->args[i]))
            return jc_in_fail(in, JITC_E_INPUT, "expected %s as argument %u, got %s.", word_text(word), i,
                              arg_text(in, &in->n->args[i]));
        word = *end ? end + 1 : end;
    }
    return JITC_OK;
}

jitc_status jc_in_dim(jc_in *in, uint32_t i, uint32_t limit, uint32_t *dim) {
    int64_t value;
    if (!jc_ex_is_const(in->n->args[i].expr, &value) || value < 0 || value >= limit)
        return jc_in_fail(in, JITC_E_INPUT, "expected a dim below %u as argument %u, got %s.", limit, i,
                          jc_in_expr_text(in, in->n->args[i].expr));
    *dim = (uint32_t)value;
    return JITC_OK;
}

const jc_expr **jc_in_exprs(jc_in *in, uint32_t i, uint32_t *n) {
    const jc_arg *list = &in->n->args[i];
    const jc_expr **out = JC_NEWN(in->arena, const jc_expr *, list->list.n);
    for (uint32_t k = 0; k < list->list.n; k++)
        out[k] = list->list.at[k].expr;
    *n = list->list.n;
    return out;
}

/* ---- dims ---- */

jitc_status jc_in_check_dims(jc_in *in, const jc_expr *const *dims, uint32_t rank) {
    int64_t count = 8; /* bytes of the largest dtype: sizes in memory have to fit as well */
    bool zero = false, overflow = false;
    if (rank > JC_MAX_RANK)
        return jc_in_fail(in, JITC_E_UNSUPPORTED, "expected at most %d dims, got %u.", JC_MAX_RANK, rank);
    for (uint32_t d = 0; d < rank; d++) {
        if (dims[d]->kind == JC_EX_POISON)
            return jc_in_fail(in, JITC_E_INPUT, "expected dim %u of the result to fit 64 bits, got an overflow.", d);
        if (dims[d]->kind != JC_EX_CONST) {
            if (jc_ex_le(in->t, jc_ex_int(in->t, 0), dims[d]) == JC_NO)
                return jc_in_fail(in, JITC_E_INPUT, "expected dim %u of the result to be at least 0, got %s.", d,
                                  jc_in_expr_text(in, dims[d]));
            jc_in_open(in, JC_REL_LE, jc_ex_int(in->t, 0), dims[d]);
            continue;
        }
        if (dims[d]->value < 0)
            return jc_in_fail(in, JITC_E_INPUT, "expected dim %u of the result to be at least 0, got %lld.", d,
                              (long long)dims[d]->value);
        zero |= dims[d]->value == 0;
        overflow |= __builtin_mul_overflow(count, dims[d]->value, &count);
    }
    if (overflow && !zero)
        return jc_in_fail(in, JITC_E_INPUT, "expected the size of the result to fit 64 bits, got an overflow.");
    return JITC_OK;
}

void jc_in_result(jc_in *in, uint32_t i, uint8_t dtype, const jc_expr *const *dims, uint32_t rank) {
    jc_value *v = in->n->results[i];
    v->type = (jc_type){ .kind = JC_TENSOR, .dtype = dtype, .rank = (uint8_t)rank, .dims = dims };
    v->base = NULL;
    v->offset = NULL;
}

const jc_expr *jc_in_definite(const jc_expr *a, const jc_expr *b) {
    return a->kind == JC_EX_CONST ? a : b->kind == JC_EX_CONST ? b : jc_expr_order(a, b) <= 0 ? a : b;
}

bool jc_in_same_dim(jc_in *in, const jc_expr *a, const jc_expr *b, const jc_expr **out) {
    if (a == b) {
        *out = a;
        return true;
    }
    jc_truth equal = jc_ex_equal(in->t, a, b);
    jc_in_open(in, JC_REL_EQ, a, b);
    *out = jc_in_definite(a, b);
    return equal != JC_NO;
}

bool jc_in_onto(jc_in *in, const jc_expr *d, const jc_expr *to, bool *spread) {
    const jc_truth equal = jc_ex_equal(in->t, d, to);
    *spread = jc_ex_is(d, 1) ? !jc_ex_is(to, 1) : *spread && equal != JC_YES && jc_at_most_one(in->t, d);
    if (*spread) /* a 0 goes to a 0 alone */
        jc_in_open(in, JC_REL_LE, to, jc_ex_mul(in->t, to, d));
    else
        jc_in_open(in, JC_REL_ONTO, d, to);
    return *spread || equal != JC_NO;
}

/* ---- the rules ---- */

/* What a custom operator gives is annotated. */
jitc_status jc_infer_custom(jc_in *in) {
    (void)in;
    return JITC_OK;
}

static jc_rule *const rules[JC_OP_COUNT] = {
#define OP(id, sig, results, traits, infer, ...) [JC_OP_##id] = jc_infer_##infer,
#include "ir/ops.def"
};

jitc_status jc_infer_open(jc_in *in) {
    if (jc_ops[in->n->op].nresults != JC_AS_CALLED)
        JC_TRY(check_args(in));
    return rules[in->n->op](in);
}

jitc_status jc_infer(jc_func *f, jc_node *n, jc_error *err) {
    jc_in in = { f, f->graph->exprs, f->graph->arena, n, err, NULL };
    return jc_infer_open(&in);
}

/* ---- annotations ---- */

static jitc_status annotation_error(jc_func *f, const jc_value *v, const jc_type *annotated, jc_error *err) {
    const jc_exprs *t = f->graph->exprs;
    jc_arena *arena = f->graph->arena;
    jc_type plain = v->type; /* the text of graphs has no strides, so leave ours out of the comparison */
    plain.strides = annotated->kind == JC_TENSOR && annotated->strides ? plain.strides : NULL;
    return jc_fail_at(err, JITC_E_INPUT, f->graph->file, v->line, 0, v->name,
                      "%s: expected %s, as annotated, got %s from the operands.",
                      v->def ? jc_ops[v->def->op].name : "parameter", jc_type_text(t, annotated, arena),
                      jc_type_text(t, &plain, arena));
}

/* The more definite of two expressions that may be equal: a constant, else the annotation's. */
static const jc_expr *definite(const jc_expr *inferred, const jc_expr *annotated) {
    return inferred->kind == JC_EX_CONST || annotated->kind == JC_EX_POISON ? inferred : annotated;
}

/* Leaves the more definite dims in TYPE; false where some differ always. */
static bool merge_dims(jc_graph *g, jc_type *type, const jc_expr *const *annotated) {
    const jc_expr **dims = NULL;
    for (int d = 0; d < type->rank; d++) {
        const jc_expr *inferred = type->dims[d];
        if (inferred == annotated[d])
            continue;
        jc_truth equal = jc_ex_equal(g->exprs, inferred, annotated[d]);
        if (equal == JC_NO)
            return false;
        if (equal == JC_YES || definite(inferred, annotated[d]) == inferred)
            continue;
        if (!dims)
            dims = jc_arena_memdup(g->arena, type->dims, type->rank * sizeof *dims);
        dims[d] = annotated[d];
    }
    if (dims)
        type->dims = dims;
    return true;
}

jitc_status jc_check_annotation(jc_func *f, jc_value *v, const jc_type *annotated, jc_error *err) {
    jc_type *type = &v->type;
    if (type->kind != annotated->kind)
        return annotation_error(f, v, annotated, err);
    if (type->kind == JC_SYMINT) {
        if (jc_ex_equal(f->graph->exprs, type->expr, annotated->expr) == JC_NO)
            return annotation_error(f, v, annotated, err);
        type->expr = definite(type->expr, annotated->expr);
        return JITC_OK;
    }
    if (type->kind != JC_TENSOR)
        return JITC_OK;
    if (type->dtype != annotated->dtype || type->rank != annotated->rank ||
        !merge_dims(f->graph, type, annotated->dims))
        return annotation_error(f, v, annotated, err);
    return JITC_OK;
}

/* What annotations settled stays settled. */
jitc_status jc_reinfer(jc_func *f, jc_error *err) {
    for (size_t i = 0; i < f->nodes.n; i++) {
        jc_node *n = f->nodes.at[i];
        jc_type few[JC_FEW_RESULTS], *before = n->nresults <= JC_FEW_RESULTS ? few : JC_NEWN(f->graph->arena, jc_type, n->nresults);
        for (uint32_t k = 0; k < n->nresults; k++)
            before[k] = n->results[k]->type;
        JC_TRY(jc_infer(f, n, err));
        for (uint32_t k = 0; k < n->nresults; k++)
            JC_TRY(jc_check_annotation(f, n->results[k], &before[k], err));
    }
    return JITC_OK;
}
