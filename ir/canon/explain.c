/*
 * ir/canon/explain.c - where two canonical forms part.
 *
 * Both forms are decoded and compared node by node in canonical order; inputs are compared where they are first
 * used, since that is where they got their number.  The first difference is told with both sides as text and,
 * where the pieces they came from are at hand, the lines of their nodes.
 */
#include "ir/canon/canon_priv.h"

#include <string.h>

typedef struct side {
    const jc_canon *canon;
    const jc_func *piece; /* NULL: unknown */
    const jc_func *f;     /* decoded */
} side;

typedef struct expl {
    side a, b;
    jc_arena *arena;
    jc_difference *out;
    uint32_t node;   /* UINT32_MAX: outputs */
    uint32_t inputs; /* those before this one were compared */
} expl;

/* ---- text ---------------------------------------------------------------------------------------------------- */

static void print_arg(const jc_func *f, const jc_arg *a, jc_bytes *out);

static void print_value(const jc_value *v, jc_bytes *out) {
    jc_put_text(out, v->def ? "result %s" : "input %s", v->name + 1);
}

static void print_list(const jc_func *f, const jc_arg *a, jc_bytes *out) {
    const bool dict = a->kind == JC_ARG_DICT;
    jc_put_text(out, dict ? "{" : "[");
    for (uint32_t i = 0; i < a->list.n; i++) {
        jc_put_text(out, i ? ", " : "");
        print_arg(f, &a->list.at[i], out);
    }
    jc_put_text(out, dict ? "}" : "]");
}

static void print_arg(const jc_func *f, const jc_arg *a, jc_bytes *out) {
    if (a->key)
        jc_put_text(out, "%s = ", a->key);
    switch (a->kind) {
    case JC_ARG_VALUE:
        print_value(a->value, out);
        break;
    case JC_ARG_EXPR:
        jc_ex_print(f->graph->exprs, a->expr, out);
        break;
    case JC_ARG_FLOAT:
        jc_put_text(out, "%.17g", a->f);
        break;
    case JC_ARG_BOOL:
        jc_put_text(out, a->b ? "True" : "False");
        break;
    case JC_ARG_STR:
    case JC_ARG_DEVICE:
        jc_put_text(out, "'%s'", a->str);
        break;
    case JC_ARG_DTYPE:
        jc_put_text(out, "%s", jc_dtypes[a->dtype].name);
        break;
    case JC_ARG_LIST:
    case JC_ARG_DICT:
        print_list(f, a, out);
        break;
    default:
        jc_put_text(out, "None");
        break;
    }
}

static char *ended(jc_bytes *b) {
    jc_put_u8(b, 0);
    return (char *)b->at;
}

static char *arg_text(expl *x, const side *s, const jc_arg *a) {
    jc_bytes b = JC_BYTES(x->arena);
    print_arg(s->f, a, &b);
    return ended(&b);
}

static char *type_text(expl *x, const side *s, const jc_value *v) {
    return jc_type_text(s->f->graph->exprs, &v->type, x->arena);
}

static const char *op_name(const jc_node *n) {
    return n->op == JC_OP_custom ? n->target : jc_ops[n->op].name;
}

/* The node as "op(arguments) -> types". */
static char *node_text(expl *x, const side *s, const jc_node *n) {
    jc_bytes b = JC_BYTES(x->arena);
    jc_put_text(&b, "%s(", op_name(n));
    for (uint32_t i = 0; i < n->nargs; i++) {
        jc_put_text(&b, i ? ", " : "");
        print_arg(s->f, &n->args[i], &b);
    }
    jc_put_text(&b, ")");
    for (uint32_t i = 0; i < n->nresults; i++)
        jc_put_text(&b, "%s%s", i ? ", " : " -> ", type_text(x, s, n->results[i]));
    return ended(&b);
}

/* ---- differences --------------------------------------------------------------------------------------------- */

static int node_line(const expl *x, const side *s) {
    if (!s->piece)
        return 0;
    return x->node < s->canon->nnodes ? s->canon->nodes[x->node]->line : s->piece->line;
}

static bool differ(expl *x, char *what, char *a, char *b) {
    *x->out = (jc_difference){ .node = x->node,
                               .what = what,
                               .a = a,
                               .b = b,
                               .a_line = node_line(x, &x->a),
                               .b_line = node_line(x, &x->b) };
    return true;
}

static int param_line(const side *s, uint32_t input) {
    if (!s->piece || input >= s->canon->ninputs || s->canon->inputs[input].kind != JC_BIND_PARAM)
        return 0;
    return s->piece->params[s->canon->inputs[input].param]->line;
}

/* Input I, met for the first time. */
static bool input_differs(expl *x, uint32_t i) {
    const jc_value *a = x->a.f->params[i], *b = x->b.f->params[i];
    char *ta = type_text(x, &x->a, a), *tb = type_text(x, &x->b, b);
    const char *what = "type of input %u";
    if (!strcmp(ta, tb)) {
        if (a->alias == b->alias)
            return false;
        what = "storage that input %u shares";
        ta = jc_arena_printf(x->arena, "group %u", a->alias);
        tb = jc_arena_printf(x->arena, "group %u", b->alias);
    }
    differ(x, jc_arena_printf(x->arena, what, i), ta, tb);
    const int la = param_line(&x->a, i), lb = param_line(&x->b, i);
    if (la)
        x->out->a_line = la;
    if (lb)
        x->out->b_line = lb;
    return true;
}

/* Compares the inputs that A and B mention; what they are otherwise is up to the texts. */
static bool inputs_differ(expl *x, const jc_arg *a) {
    if (a->kind == JC_ARG_LIST || a->kind == JC_ARG_DICT) {
        for (uint32_t i = 0; i < a->list.n; i++)
            if (inputs_differ(x, &a->list.at[i]))
                return true;
        return false;
    }
    if (a->kind != JC_ARG_VALUE || a->value->def || a->value->index < x->inputs)
        return false;
    x->inputs = a->value->index + 1;
    return a->value->index < x->b.f->nparams && input_differs(x, a->value->index);
}

static bool args_differ(expl *x, const jc_arg *a, uint32_t na, const jc_arg *b, uint32_t nb, const char *whose) {
    for (uint32_t i = 0; i < na && i < nb; i++) {
        char *ta = arg_text(x, &x->a, &a[i]), *tb = arg_text(x, &x->b, &b[i]);
        if (strcmp(ta, tb))
            return differ(x, jc_arena_printf(x->arena, whose, i + 1), ta, tb);
        if (inputs_differ(x, &a[i]))
            return true;
    }
    return false;
}

static bool results_differ(expl *x, const jc_node *a, const jc_node *b) {
    for (uint32_t i = 0; i < a->nresults && i < b->nresults; i++) {
        char *ta = type_text(x, &x->a, a->results[i]), *tb = type_text(x, &x->b, b->results[i]);
        if (strcmp(ta, tb))
            return differ(x, jc_arena_printf(x->arena, "type of result %u of %s", i + 1, op_name(a)), ta, tb);
    }
    return false;
}

static bool node_differs(expl *x, const jc_node *a, const jc_node *b) {
    if (strcmp(op_name(a), op_name(b)))
        return differ(x, jc_arena_printf(x->arena, "operator of node %u", x->node), node_text(x, &x->a, a),
                      node_text(x, &x->b, b));
    if (args_differ(x, a->args, a->nargs, b->args, b->nargs,
                    jc_arena_printf(x->arena, "argument %%u of %s", op_name(a))) ||
        results_differ(x, a, b))
        return true;
    if (a->nargs != b->nargs || a->nresults != b->nresults)
        return differ(x, jc_arena_printf(x->arena, "number of arguments or results of %s", op_name(a)),
                      node_text(x, &x->a, a), node_text(x, &x->b, b));
    if (a->writes != b->writes)
        return differ(x, jc_arena_printf(x->arena, "operands that %s writes", op_name(a)),
                      jc_arena_printf(x->arena, "mask %#llx", (unsigned long long)a->writes),
                      jc_arena_printf(x->arena, "mask %#llx", (unsigned long long)b->writes));
    return false;
}

static char *outputs_text(expl *x, const side *s) {
    jc_bytes b = JC_BYTES(x->arena);
    jc_put_text(&b, "%u outputs%s", s->f->noutputs, s->f->tuple ? " in a tuple" : "");
    return ended(&b);
}

static char *symbols_text(expl *x, const side *s) {
    jc_bytes b = JC_BYTES(x->arena);
    for (uint32_t i = 0; i < jc_sym_count(s->f->graph->exprs); i++) {
        const jc_sym *y = jc_sym_at(s->f->graph->exprs, i);
        jc_put_text(&b, "%s%s in [%lld, %lld], a multiple of %lld", i ? "; " : "", y->name, (long long)y->lo,
                    (long long)y->hi, (long long)y->divisor);
    }
    return ended(&b);
}

static bool find_difference(expl *x) {
    const jc_func *a = x->a.f, *b = x->b.f;
    for (x->node = 0; x->node < a->nodes.n && x->node < b->nodes.n; x->node++)
        if (node_differs(x, a->nodes.at[x->node], b->nodes.at[x->node]))
            return true;
    if (a->nodes.n != b->nodes.n) {
        const bool more = a->nodes.n > b->nodes.n;
        char *text = more ? node_text(x, &x->a, a->nodes.at[x->node]) : node_text(x, &x->b, b->nodes.at[x->node]);
        char *none = jc_arena_strdup(x->arena, "no further node");
        return differ(x, jc_arena_printf(x->arena, "node %u", x->node), more ? text : none, more ? none : text);
    }
    x->node = UINT32_MAX;
    if (args_differ(x, a->outputs, a->noutputs, b->outputs, b->noutputs, "output %u"))
        return true;
    if (a->noutputs != b->noutputs || a->tuple != b->tuple)
        return differ(x, jc_arena_strdup(x->arena, "outputs"), outputs_text(x, &x->a), outputs_text(x, &x->b));
    char *sa = symbols_text(x, &x->a), *sb = symbols_text(x, &x->b);
    if (strcmp(sa, sb))
        return differ(x, jc_arena_strdup(x->arena, "ranges of symbols"), sa, sb);
    return false;
}

jitc_status jc_explain(const jc_canon *a, const jc_func *pa, const jc_canon *b, const jc_func *pb, jc_arena *arena,
                       jc_difference *out, jc_error *err) {
    if (a->nbytes == b->nbytes && !memcmp(a->bytes, b->bytes, a->nbytes)) {
        *out = (jc_difference){ .same = true, .node = UINT32_MAX };
        return JITC_OK;
    }
    jc_graph *ga = NULL, *gb = NULL;
    JC_TRY(jc_canon_decode(a->bytes, a->nbytes, arena, &ga, err));
    JC_TRY(jc_canon_decode(b->bytes, b->nbytes, arena, &gb, err));
    expl x = { .a = { a, pa, ga->root }, .b = { b, pb, gb->root }, .arena = arena, .out = out };
    if (!find_difference(&x)) {
        x.node = UINT32_MAX;
        differ(&x, jc_arena_strdup(arena, "bytes"), jc_arena_printf(arena, "%zu bytes", a->nbytes),
               jc_arena_printf(arena, "%zu bytes", b->nbytes));
    }
    return JITC_OK;
}
