/*
 * ir/print.c - our own text form of functions, for people and goldens.
 *
 *   func submod_3(%0 x: bf16[s0, 256], %1: LayerName)
 *     %2 = slice(%0, 1, 128, 64, 1): bf16[s0, 64][256, 1] @ %0 + 128
 *     %3, %4 = custom vllm::gdn_in_proj(%2, 64, name=%1) writes 0: bf16[s0, 64], bf16[s0, 8]
 *     return (%3, %4)
 *
 * `@` names the value whose storage a view lies in, and the offset there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "ir/graph.h"

/* The shortest of %.1g ... %.17g that reads back as X; always with a sign of being a float. */
static void print_float(double x, jc_bytes *out) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    bool plain = isfinite(x);
    for (const char *c = text; *c; c++)
        plain &= *c != '.' && *c != 'e';
    jc_put_text(out, "%s%s", text, plain ? ".0" : "");
}

static void print_string(const char *text, jc_bytes *out) {
    jc_put_text(out, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            jc_put_text(out, "\\%c", *c);
        else if (*c < 32)
            jc_put_text(out, "\\x%02x", *c);
        else
            jc_put_u8(out, *c);
    }
    jc_put_text(out, "\"");
}

static void print_arg(const jc_exprs *t, const jc_arg *a, jc_bytes *out);

static void print_args(const jc_exprs *t, const jc_arg *at, uint32_t n, jc_bytes *out) {
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            jc_put_text(out, ", ");
        print_arg(t, &at[i], out);
    }
}

static void print_arg(const jc_exprs *t, const jc_arg *a, jc_bytes *out) {
    if (a->key)
        jc_put_text(out, "%s=", a->key);
    switch ((jc_arg_kind)a->kind) {
    case JC_ARG_NONE:
        jc_put_text(out, "None");
        break;
    case JC_ARG_VALUE:
        jc_put_text(out, "%%%u", a->value->id);
        break;
    case JC_ARG_EXPR:
        jc_ex_print(t, a->expr, out);
        break;
    case JC_ARG_FLOAT:
        print_float(a->f, out);
        break;
    case JC_ARG_BOOL:
        jc_put_text(out, a->b ? "True" : "False");
        break;
    case JC_ARG_STR:
        print_string(a->str, out);
        break;
    case JC_ARG_DTYPE:
        jc_put_text(out, "%s", jc_dtypes[a->dtype].name);
        break;
    case JC_ARG_DEVICE:
        jc_put_text(out, "device ");
        print_string(a->str, out);
        break;
    case JC_ARG_LIST:
    case JC_ARG_DICT:
        jc_put_text(out, a->kind == JC_ARG_LIST ? "[" : "{");
        print_args(t, a->list.at, a->list.n, out);
        jc_put_text(out, a->kind == JC_ARG_LIST ? "]" : "}");
        break;
    }
}

static void print_place(const jc_exprs *t, const jc_value *v, jc_bytes *out) {
    if (!v->base)
        return;
    jc_put_text(out, " @ %%%u", v->base->id);
    if (v->offset && !jc_ex_is(v->offset, 0)) {
        jc_put_text(out, " + ");
        jc_ex_print(t, v->offset, out);
    }
}

static void print_node(const jc_exprs *t, const jc_node *n, jc_bytes *out) {
    jc_put_text(out, "  ");
    for (uint32_t i = 0; i < n->nresults; i++)
        jc_put_text(out, "%s%%%u", i ? ", " : "", n->results[i]->id);
    jc_put_text(out, "%s%s", n->nresults ? " = " : "", jc_ops[n->op].name);
    if (n->op == JC_OP_custom || n->op == JC_OP_call)
        jc_put_text(out, " %s", n->op == JC_OP_custom ? n->target : n->callee->name);
    jc_put_text(out, "(");
    print_args(t, n->args, n->nargs, out);
    jc_put_text(out, ")");
    if (n->op == JC_OP_custom && n->writes == UINT64_MAX)
        jc_put_text(out, " writes all");
    else if (n->op == JC_OP_custom && n->writes) {
        jc_put_text(out, " writes");
        for (uint32_t i = 0; i < 64; i++) {
            if (n->writes >> i & 1)
                jc_put_text(out, " %u", i);
        }
    }
    for (uint32_t i = 0; i < n->nresults; i++) {
        jc_put_text(out, i ? ", " : ": ");
        jc_type_print(t, &n->results[i]->type, out);
        print_place(t, n->results[i], out);
    }
    jc_put_text(out, "\n");
}

void jc_func_print(const jc_func *f, jc_bytes *out) {
    const jc_exprs *t = f->graph->exprs;
    jc_put_text(out, "func %s(", f->name);
    for (uint32_t i = 0; i < f->nparams; i++) {
        const jc_value *p = f->params[i];
        jc_put_text(out, "%s%%%u%s%s: ", i ? ", " : "", p->id, p->name ? " " : "", p->name ? p->name : "");
        jc_type_print(t, &p->type, out);
        if (p->alias)
            jc_put_text(out, " alias %u", p->alias);
    }
    jc_put_text(out, ")\n");
    for (size_t i = 0; i < f->nodes.n; i++)
        print_node(t, f->nodes.at[i], out);
    jc_put_text(out, "  return ");
    if (f->tuple || f->noutputs != 1)
        jc_put_text(out, "(");
    print_args(t, f->outputs, f->noutputs, out);
    if (f->tuple || f->noutputs != 1)
        jc_put_text(out, f->noutputs == 1 ? ",)" : ")");
    jc_put_text(out, "\n");
}

static void print_symbols(const jc_exprs *t, jc_bytes *out) {
    for (uint32_t i = 0; i < jc_sym_count(t); i++) {
        const jc_sym *s = jc_sym_at((jc_exprs *)t, i);
        if (s->lo == 0 && s->hi == JC_SYM_MAX && s->divisor == 1)
            continue;
        jc_put_text(out, "symbol %s from %lld to %lld", s->name, (long long)s->lo, (long long)s->hi);
        if (s->divisor != 1)
            jc_put_text(out, ", a multiple of %lld", (long long)s->divisor);
        jc_put_text(out, "\n");
    }
}

void jc_graph_print(const jc_graph *g, jc_bytes *out) {
    print_symbols(g->exprs, out);
    for (size_t i = 0; i < g->pieces.n; i++) {
        jc_func_print(g->pieces.at[i], out);
        jc_put_text(out, "\n");
    }
    if (g->root)
        jc_func_print(g->root, out);
}
