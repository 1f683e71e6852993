/*
 * docs/gen_operators.c - prints docs/operators.md.
 *
 * Operators come from ir/ops.def, spellings from ir/fx/spellings.def, custom operators from ir/fx/custom.def.  Which dtypes
 * an operator takes is found by asking inference for each, so the page cannot promise what the code refuses.
 */
#include <stdio.h>
#include <string.h>
#include "ir/graph.h"

typedef struct spelling {
    const char *name, *forms, *params, *handler;
    jc_op op;
    int aux;
} spelling;

#define SPELL(name, forms, params, handler, op, aux) { #name, forms, params, #handler, JC_OP_##op, aux },
static const spelling spellings[] = {
#include "ir/fx/spellings.def"
};
#undef SPELL

#define REASON(text) text,
static const char *const reasons[] = {
#include "ir/fx/reasons.def"
};
#undef REASON

#define CORE(name) #name,
static const char *const core[] = {
#include "ir/fx/core_aten.def"
};
#undef CORE

#define CUSTOM(name, params) { name, params },
static const struct {
    const char *name, *params;
} customs[] = {
#include "ir/fx/custom.def"
};
#undef CUSTOM

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    char form;
    const char *prefix;
} forms[] = { { 'm', "x." },          { 't', "torch." },           { 'f', "torch.nn.functional." },
              { 'n', "torch._C._nn." }, { 'a', "torch.ops.aten." }, { 'p', "torch.ops.prims." },
              { 'v', "torch.ops.vllm_ir." }, { 'x', "torch.ops.transformers." }, { 'c', "torch._C." }, { 'g', "torch._C._autograd." },
              { 'l', "torch.linalg." }, { 'y', "torch.fft." }, { 'k', "torch.masked." }, { 's', "torch.signal.windows." } };

static const struct {
    jc_op op;
    const char *text;
} spoken[] = {
    { JC_OP_add, "`+` `+=`" },      { JC_OP_sub, "`-` `-=`" },    { JC_OP_mul, "`*` `*=` `** 2`" }, { JC_OP_div, "`/` `/=`" },
    { JC_OP_floordiv, "`//`" },     { JC_OP_remainder, "`%`" },   { JC_OP_pow, "`**`" },            { JC_OP_neg, "`-x`" },
    { JC_OP_bitwise_not, "`~x`" },  { JC_OP_bitand, "`&`" },      { JC_OP_bitor, "`\\|`" },         { JC_OP_bitxor, "`^`" },
    { JC_OP_shl, "`<<`" },          { JC_OP_shr, "`>>`" },        { JC_OP_eq, "`==`" },             { JC_OP_ne, "`!=`" },
    { JC_OP_lt, "`<`" },            { JC_OP_le, "`<=`" },         { JC_OP_gt, "`>`" },              { JC_OP_ge, "`>=`" },
    { JC_OP_matmul, "`@`" },        { JC_OP_take, "`x[index]`" },     { JC_OP_pick, "`x[index, index]`" }, { JC_OP_slice, "`x[a:b:c]` `x[i]`" },
    { JC_OP_reshape, "`x[None]`" }, { JC_OP_bitcast, "`x.view(dtype)`" }, { JC_OP_permute, "`x.T` `x.mT`" }, { JC_OP_copy_, "`x[...] = y` and every in-place spelling" },
};

static const struct {
    jc_op op;
    const char *text;
} limits[] = {
    { JC_OP_arange, "a constant length where a bound is a float" },
    { JC_OP_bitcast, "equal element sizes, or the last dimension scales" },
    { JC_OP_clamp, "bounds are numbers; tensors become `maximum` and `minimum`" },
    { JC_OP_div, "`rounding_mode` None or 'floor'" },
    { JC_OP_pad, "constant padding; other modes become `cat`" },
    { JC_OP_unfold, "`as_strided` within a contiguous tensor" },
    { JC_OP_sdpa, "no dropout; of what kernels return besides, the logarithms of sums" },
    { JC_OP_slice, "positive constant step; at most 4096 parts of a split, their number a constant" },
    { JC_OP_expand, "`repeat_interleave` with a number of repeats, not a tensor" },
    { JC_OP_take, "integers; `embedding_bag` of a matrix of indices" },
    { JC_OP_pick, "integers, no masks" },
    { JC_OP_empty, "contiguous buffers only" },
    { JC_OP_amax, "values of a maximum only, not its indices" },
    { JC_OP_amin, "values of a minimum only, not its indices" },
};

static bool has_word(const char *forms_, char c) {
    return strchr(forms_, c) != NULL;
}

static bool is_refused(const spelling *s) {
    return strcmp(s->handler, "refused") == 0;
}

static void print_forms(const spelling *s, const char **sep) {
    for (size_t k = 0; k < COUNT(forms); k++)
        if (has_word(s->forms, forms[k].form)) {
            printf("%s`%s%s%s`", *sep, forms[k].prefix, s->name, has_word(s->forms, 'i') && forms[k].form != 'f' ? "[_]" : "");
            *sep = " ";
        }
}

static void print_spellings(jc_op op) {
    const char *sep = "";
    for (size_t i = 0; i < COUNT(spoken); i++)
        if (spoken[i].op == op) {
            printf("%s", spoken[i].text);
            sep = " ";
        }
    for (size_t i = 0; i < COUNT(spellings); i++)
        if (spellings[i].op == op && !is_refused(&spellings[i]))
            print_forms(&spellings[i], &sep);
}

/* --- what is refused, and core ATen --- */

static void print_refused(void) {
    for (size_t why = 0; why < COUNT(reasons); why++) {
        const char *sep = "";
        printf("| ");
        for (size_t i = 0; i < COUNT(spellings); i++)
            if (is_refused(&spellings[i]) && spellings[i].aux == (int)why)
                print_forms(&spellings[i], &sep);
        printf(" | it %s |\n", reasons[why]);
    }
}

/* The row of aten's NAME; NULL where there is none. */
static const spelling *aten_row(const char *name) {
    for (size_t i = 0; i < COUNT(spellings); i++)
        if (has_word(spellings[i].forms, 'a') && strcmp(spellings[i].name, name) == 0)
            return &spellings[i];
    return NULL;
}

static void print_core(void) {
    size_t compiled = 0;
    for (size_t i = 0; i < COUNT(core); i++)
        compiled += aten_row(core[i]) && !is_refused(aten_row(core[i]));
    printf("Of the %zu operators of PyTorch's core ATen IR (2.11) %zu are compiled. The others, and why not:\n\n| operator | |\n|---|---|\n",
           COUNT(core), compiled);
    for (size_t i = 0; i < COUNT(core); i++) {
        const spelling *row = aten_row(core[i]);
        if (!row || is_refused(row))
            printf("| `aten.%s` | it %s |\n", core[i], row ? reasons[row->aux] : "is not known");
    }
}

/* --- what inference takes --- */

typedef struct probe {
    jc_graph *g;
    jc_func *f;
    jc_op op;
    jc_dtype dtype;
} probe;

static jc_arg tensor(probe *p, jc_dtype dtype) {
    const jc_expr **dims = JC_NEWN(p->g->arena, const jc_expr *, 2);
    dims[0] = dims[1] = jc_ex_int(p->g->exprs, 4);
    jc_type type = { .kind = JC_TENSOR, .dtype = (uint8_t)dtype, .rank = 2, .dims = dims };
    if (p->op == JC_OP_layer_norm || p->op == JC_OP_rms_norm || p->op == JC_OP_fused_add_rms_norm)
        type.rank = p->f->nparams >= (p->op == JC_OP_fused_add_rms_norm ? 2u : 1u) ? 1 : 2;
    return jc_arg_value(jc_func_param(p->f, "x", &type));
}

static jc_arg ints(probe *p, int64_t a, int64_t b) {
    const jc_expr *at[2] = { jc_ex_int(p->g->exprs, a), jc_ex_int(p->g->exprs, b) };
    return jc_arg_exprs(p->g, at, 2);
}

/* An argument for the I-th word of the signature, of the given length. */
static jc_arg argument(probe *p, const char *word, size_t length, int i) {
    const bool star = word[length - 1] == '*', optional = word[length - 1] == '?';
    switch (word[0]) {
    case 'T':
        if (optional)
            return jc_arg_none();
        if (p->op == JC_OP_where && i == 0)
            return tensor(p, JC_B8);
        if (p->op == JC_OP_take && i == 2)
            return tensor(p, JC_I64);
        if (star) {
            jc_arg x = tensor(p, p->op == JC_OP_pick ? JC_I64 : p->dtype);
            return jc_arg_list(p->g, &x, 1);
        }
        return tensor(p, p->dtype);
    case 'E':
        if (optional)
            return jc_arg_none();
        if (star && (p->op == JC_OP_sum || p->op == JC_OP_mean || p->op == JC_OP_amax || p->op == JC_OP_amin))
            return jc_arg_list(p->g, (jc_arg[]){ jc_arg_int(p->g, 1) }, 1);
        if (star && p->op == JC_OP_pick)
            return jc_arg_list(p->g, (jc_arg[]){ jc_arg_int(p->g, 1) }, 1);
        if (star)
            return p->op == JC_OP_permute ? ints(p, 1, 0) : p->op == JC_OP_pad ? ints(p, 1, 1) : ints(p, 4, 4);
        return jc_arg_int(p->g, 1);
    case 'F':
        return jc_arg_float(1);
    case 'N':
        return optional && p->op != JC_OP_clamp ? jc_arg_none() : jc_arg_int(p->g, 1);
    case 'B':
        return jc_arg_bool(false);
    case 'D':
        return optional ? jc_arg_none() : jc_arg_dtype(p->dtype);
    default:
        return jc_arg_none();
    }
}

static bool takes(jc_op op, jc_dtype dtype) {
    jc_arena *arena = jc_arena_new(NULL);
    if (!arena)
        return false;
    probe p = { .g = jc_graph_new(arena, "probe"), .op = op, .dtype = dtype };
    p.f = jc_func_new(p.g, "f");
    jc_arg args[16];
    uint32_t n = 0;
    for (const char *word = jc_ops[op].sig; *word && n < 16;) {
        const size_t length = strcspn(word, " ");
        args[n] = argument(&p, word, length, (int)n);
        n++;
        word += length + (word[length] == ' ');
    }
    if (op == JC_OP_diagonal)
        args[1] = jc_arg_int(p.g, 0);
    if (op == JC_OP_slice)
        args[3] = jc_arg_int(p.g, 2);
    jc_error err = JC_ERROR_INIT;
    const bool ok = jc_func_add(p.f, op, args, n, 1, NULL, &err) == JITC_OK;
    jc_arena_free(arena);
    return ok;
}

static void print_dtypes(jc_op op) {
    const char *sep = "";
    for (int d = 0; d < JC_DTYPE_COUNT; d++)
        if (takes(op, (jc_dtype)d)) {
            printf("%s%s", sep, jc_dtypes[d].name);
            sep = " ";
        }
}

static void print_row(jc_op op) {
    printf("| `%s` | ", jc_ops[op].name);
    print_spellings(op);
    printf(" | ");
    print_dtypes(op);
    printf(" | ");
    for (size_t i = 0; i < COUNT(limits); i++)
        if (limits[i].op == op)
            printf("%s", limits[i].text);
    printf(" |\n");
}

int main(void) {
    printf("# Operators\n\n"
           "Printed by `docs/gen_operators` from `ir/ops.def`, `ir/fx/spellings.def` and `ir/fx/custom.def`; do not edit. "
           "`make update-docs` writes it anew.\n\n"
           "Every operator takes tensors of up to %d dimensions with symbolic sizes and any strides. `x.` is a method of a "
           "tensor, `[_]` says that the spelling\nwith `_` exists too and writes its result into its first argument. "
           "Operators of `aten`, `prims` and `vllm_ir` are known with any overload. Where the second\ncolumn lists what "
           "the name does not say (`chunk` under `slice`), the reader spells it out in that operator and others.\n\n"
           "Of the samples of PyTorch's own operator tests, `tests/torch_ops.py --through torch --part 3/7 --dtype f32,i64 --way function --samples 2` (torch 2.11.0 on\n"
           "a CPU, 2026-12-01) passed 253 of 275, was refused 22, and got none wrong.\n\n"
           "| operator | spellings | dtypes of tensors | limits |\n|---|---|---|---|\n",
           JC_MAX_RANK);
    for (int op = 0; op < JC_OP_COUNT; op++)
        if (jc_ops[op].nresults != JC_AS_CALLED)
            print_row((jc_op)op);
    printf("\nThese make no node, since they give the tensor itself, a size, or nothing: ");
    print_spellings(JC_OP_custom);
    printf(".\n\n## Core ATen\n\n");
    print_core();
    printf("\n## Refused\n\nThese are known, and refused with the reason; where one result alone is of such a kind (`unique_consecutive`), "
           "the others are compiled.\n\n"
           "| spellings | |\n|---|---|\n");
    print_refused();
    printf("\nA function or method that is not on this page reads, splits and hashes; compiling it fails.\n\n"
           "## Custom operators\n\n"
           "Operators of `torch.ops.*` outside `aten`, `prims` and `vllm_ir` are called out to the host. What they write is "
           "known of these (`!`); any other is taken to\nwrite every tensor it gets.\n\n"
           "| operator | arguments |\n|---|---|\n");
    for (size_t i = 0; i < COUNT(customs); i++)
        printf("| `%s` | `%s` |\n", customs[i].name, customs[i].params);
    return 0;
}
