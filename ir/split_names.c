/*
 * ir/split_names.c - which operators of a graph the names of splitting operators mean.
 *
 * A graph keeps how its text calls each operator (jc_node.called).  A name means
 *
 *   linear                                       every operator called that, in any namespace, as function or as method
 *   vllm::x, vllm.x, torch.ops.vllm.x            an operator of that namespace, any overload; of aten's also torch's functions and methods
 *   vllm::x.default, torch.ops.vllm.x.default    that overload
 *   torch.nn.functional.linear, operator.add     a function by its path; torch, torch.functional, torch.nn.functional and torch._C._nn have
 *                                                many functions in common, of which the text prints one path: they are taken as one
 *   Tensor.view, torch.Tensor.view, x.view       a method
 *
 * The names of the default list have no namespace, and mean custom operators alone.
 */
#include <string.h>

#include "base/words.h"
#include "ir/passes.h"

static const char *const default_ops[] = {
    "unified_attention_with_output",
    "unified_mla_attention_with_output",
    "unified_kv_cache_update",
    "unified_mla_kv_cache_update",
    "mamba_mixer",
    "mamba_mixer2",
    "short_conv",
    "linear_attention",
    "plamo2_mamba_mixer",
    "gdn_attention_core",
    "qwen_gdn_attention_core",
    "qwen_gdn_attention_core_fused_norm_packed",
    "gdn_attention_core_xpu",
    "kda_attention",
    "olmo_hybrid_gdn_full_forward",
    "sparse_attn_indexer",
    "rocm_aiter_sparse_attn_indexer",
    "deepseek_v4_attention",
    "hpc_rope_norm_forward",
};

/* --- names, taken apart --- */

typedef struct word {
    const char *at;
    size_t n;
} word;

typedef struct named {
    enum { BARE, OPERATOR, FUNCTION, METHOD } kind;
    word space, op, overload; /* .n 0: none */
} named;

static bool is(word w, const char *text) {
    return strlen(text) == w.n && memcmp(w.at, text, w.n) == 0;
}

static bool same(word a, word b) {
    return a.n == b.n && memcmp(a.at, b.at, a.n) == 0;
}

static const char *behind(const char *text, const char *prefix) {
    const size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static named operator_at(word space, const char *op) {
    const size_t n = strcspn(op, ".");
    return (named){ OPERATOR, space, { op, n }, { op + n + (op[n] == '.'), op[n] ? strlen(op + n + 1) : 0 } };
}

static named taken_apart(const char *text) {
    static const char *const methods[] = { "torch.Tensor.", "Tensor.", "x." };
    static const char *const modules[] = { "torch.", "operator.", "_operator.", "math." };
    const char *ops = behind(text, "torch.ops."), *colons = strstr(text, "::"), *dot = strrchr(text, '.'), *op;
    if (ops)
        text = ops;
    if (colons)
        return operator_at((word){ text, (size_t)(colons - text) }, colons + 2);
    for (size_t i = 0; i < sizeof methods / sizeof *methods && !ops; i++)
        if ((op = behind(text, methods[i])) != NULL)
            return (named){ .kind = METHOD, .op = { op, strlen(op) } };
    if (!dot || dot < text)
        return (named){ .kind = BARE, .op = { text, strlen(text) } };
    for (size_t i = 0; i < sizeof modules / sizeof *modules && !ops; i++)
        if (behind(text, modules[i]))
            return (named){ .kind = FUNCTION, .space = { text, (size_t)(dot - text) }, .op = { dot + 1, strlen(dot + 1) } };
    const size_t space = strcspn(text, ".");
    return operator_at((word){ text, space }, text + space + 1);
}

static bool in_common(word space) {
    static const char *const spaces[] = { "torch", "torch.functional", "torch.nn.functional", "torch._C._nn" };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (is(space, spaces[i]))
            return true;
    return false;
}

static bool same_overload(word a, word b) {
    return same(a, b) || (!a.n && is(b, "default")) || (!b.n && is(a, "default"));
}

bool jc_name_means(const char *name, const char *called) {
    const named want = taken_apart(name), have = taken_apart(called);
    if (!want.op.n || !same(want.op, have.op))
        return false;
    switch (want.kind) {
    case OPERATOR:
        if (have.kind == OPERATOR)
            return same(want.space, have.space) && (!want.overload.n || same_overload(want.overload, have.overload));
        return !want.overload.n && is(want.space, "aten");
    case FUNCTION:
        return have.kind == FUNCTION && (same(want.space, have.space) || (in_common(want.space) && in_common(have.space)));
    case METHOD:
        return have.kind == METHOD;
    default:
        return true;
    }
}

/* --- nodes --- */

static bool is_custom(const jc_node *n) {
    return n->op == JC_OP_custom && n->target[0] != JC_UNKNOWN_MARK;
}

static bool node_means(const char *name, const jc_node *n) {
    if ((n->called && jc_name_means(name, n->called)) || (is_custom(n) && jc_name_means(name, n->target)))
        return true;
    return !n->called && n->op != JC_OP_custom && strcmp(name, jc_ops[n->op].name) == 0;
}

bool jc_is_splitting(const jc_node *n, const jc_split_options *options) {
    if (options && options->ops) {
        for (uint32_t i = 0; i < options->nops; i++)
            if (node_means(options->ops[i], n))
                return true;
        return false;
    }
    for (size_t i = 0; i < sizeof default_ops / sizeof *default_ops && is_custom(n); i++)
        if (jc_name_means(default_ops[i], n->target))
            return true;
    return false;
}

bool jc_piece_is_splitting(const jc_func *piece, const jc_split_options *options) {
    for (size_t i = 0; i < piece->nodes.n; i++)
        if (jc_is_splitting(piece->nodes.at[i], options))
            return true;
    return false;
}

/* --- names that mean nothing --- */

static bool in_func(const jc_func *f, const char *name) {
    for (size_t i = 0; f && i < f->nodes.n; i++)
        if (node_means(name, f->nodes.at[i]))
            return true;
    return false;
}

/* What is called but makes no node, a view that changes nothing, counts. */
static bool in_graph(const jc_graph *g, const char *name) {
    for (size_t i = 0; i < g->called.n; i++)
        if (jc_name_means(name, g->called.at[i]))
            return true;
    for (size_t i = 0; i < g->pieces.n; i++)
        if (in_func(g->pieces.at[i], name))
            return true;
    return in_func(g->root, name);
}

static bool contains(word in, word part) {
    for (size_t i = 0; i + part.n <= in.n; i++)
        if (memcmp(in.at + i, part.at, part.n) == 0)
            return true;
    return false;
}

static bool is_near(const char *name, const char *called) {
    const word a = taken_apart(name).op, b = taken_apart(called).op;
    char one[64], two[64];
    if (a.n >= sizeof one || b.n >= sizeof two)
        return false;
    memcpy(one, a.at, a.n);
    memcpy(two, b.at, b.n);
    one[a.n] = two[b.n] = '\0';
    const unsigned apart = jc_words_apart(one, two);
    return (apart < 3 && apart < a.n) || (a.n > 2 && contains(b, a)) || (b.n > 2 && contains(a, b));
}

enum { MOST_NEAR = 6 };

/* Adds what G calls to TEXT, if NEAR only what is like NAME; the number so far is N. */
static void list(jc_arena *arena, const jc_graph *g, const char *name, bool near, const char **text, uint32_t *n) {
    for (size_t i = 0; i < g->called.n && *n < MOST_NEAR; i++) {
        if (near && !is_near(name, g->called.at[i]))
            continue;
        *text = jc_arena_printf(arena, "%s%s%s", *text, *n ? ", " : "", g->called.at[i]);
        ++*n;
    }
}

static jitc_status nothing_called(const jc_graph *const *graphs, uint32_t n, const char *name, jc_arena *arena, jc_error *err) {
    const char *near = "", *some = "";
    uint32_t nnear = 0, nsome = 0;
    for (uint32_t i = 0; i < n; i++) {
        list(arena, graphs[i], name, true, &near, &nnear);
        list(arena, graphs[i], name, false, &some, &nsome);
    }
    return jc_fail(err, JITC_E_USAGE, "graphs are to be cut at '%s', but call nothing of that name; %s: %s", name,
                   nnear ? "near it are" : "they call", nnear ? near : nsome ? some : "nothing");
}

jitc_status jc_split_check(const jc_graph *const *graphs, uint32_t n, const jc_split_options *options, jc_arena *arena, jc_error *err) {
    for (uint32_t i = 0; n && options->ops && i < options->nops; i++) {
        bool found = false;
        for (uint32_t k = 0; k < n && !found; k++)
            found = in_graph(graphs[k], options->ops[i]);
        if (!found)
            return nothing_called(graphs, n, options->ops[i], arena, err);
    }
    return JITC_OK;
}
