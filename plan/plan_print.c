/*
 * plan/plan_print.c - a plan as text: what `jitc dump --stage=plan` shows.
 *
 * s0 symbols, in0 inputs, b0 buffers, t0 tensors, k0 kernels: the numbers are those of the tables.
 */
#include "plan/plan.h"

#include <math.h>
#include "jitc/value.h"
#include "plan/kernel.h"

/* A table with the positional names under the same numbers, to print with. */
static jc_exprs *named_table(const jc_plan *p, jc_arena *arena) {
    jc_exprs *names = jc_exprs_new(arena);
    for (uint32_t s = 0; s < p->nsyms; s++)
        jc_sym_add(names, jc_arena_printf(arena, "s%u", s));
    return names;
}

typedef struct printer {
    const jc_plan *p;
    const jc_exprs *names;
    jc_bytes *out;
} printer;

static void print_expr(printer *pr, const jc_expr *e) {
    jc_ex_print(pr->names, e, pr->out);
}

static void print_float(printer *pr, double f) {
    if (isnan(f))
        jc_put_text(pr->out, "nan");
    else if (isinf(f))
        jc_put_text(pr->out, f < 0 ? "-inf" : "inf");
    else
        jc_put_text(pr->out, "%.17g", f);
}

static void print_memory(printer *pr) {
    const jc_plan *p = pr->p;
    jc_bytes *out = pr->out;
    for (uint32_t i = 0; i < p->nsyms; i++) {
        const jc_sym *facts = jc_sym_at(p->ex, i);
        jc_put_text(out, "s%u: %lld..%lld", i, (long long)facts->lo, (long long)facts->hi);
        if (facts->divisor != 1)
            jc_put_text(out, " by %lld", (long long)facts->divisor);
        jc_put_text(out, "\n");
    }
    for (uint32_t i = 0; i < p->ninputs; i++) {
        jc_put_text(out, "in%u: ", i);
        jc_type_print(pr->names, &p->inputs[i].type, out);
        if (p->inputs[i].alias)
            jc_put_text(out, " alias %u", p->inputs[i].alias);
        jc_put_text(out, p->inputs[i].written ? " written\n" : "\n");
    }
    for (uint32_t i = 0; i < p->nbuffers; i++) {
        bool slotted = p->buffers[i].slot != JC_PLAN_NONE;
        jc_put_text(out, "b%u: ", i);
        print_expr(pr, p->buffers[i].bytes);
        jc_put_text(out, " bytes in %s %u\n", slotted ? "slot" : "escape",
                    slotted ? p->buffers[i].slot : p->buffers[i].escape);
    }
    for (uint32_t i = 0; i < p->ntensors; i++) {
        const jc_plan_tensor *t = &p->tensors[i];
        jc_put_text(out, "t%u: ", i);
        jc_type_print(pr->names, &t->type, out);
        jc_put_text(out, " at %s%u", t->home == JC_HOME_INPUT ? "in" : "b", t->index);
        if (!jc_ex_is(t->offset, 0)) {
            jc_put_text(out, " + ");
            print_expr(pr, t->offset);
        }
        jc_put_text(out, "\n");
    }
    for (uint32_t i = 0; i < p->nkernels; i++) {
        jc_put_text(out, "k%u: %.31s threads=%u", i, p->kernels[i].name, p->kernels[i].threads);
        if (p->kernels[i].shared)
            jc_put_text(out, " shared=%u", p->kernels[i].shared);
        jc_put_text(out, "\n");
    }
}

static void print_launch(printer *pr, const jc_plan_step *s) {
    jc_bytes *out = pr->out;
    jc_put_text(out, "launch k%u [", s->kernel);
    print_expr(pr, s->blocks);
    jc_put_text(out, "](");
    for (uint32_t i = 0; i < s->nkargs; i++) {
        const jc_plan_karg *a = &s->kargs[i];
        jc_put_text(out, i ? ", " : "");
        if (a->kind == JC_KARG_PTR)
            jc_put_text(out, "t%u", a->tensor);
        else if (a->input != JC_PLAN_NONE)
            jc_put_text(out, "in%u", a->input);
        else if (a->kind == JC_KARG_I64)
            print_expr(pr, a->expr);
        else
            print_float(pr, a->f);
    }
    jc_put_text(out, ")");
    if (s->guard) {
        jc_put_text(out, " if %lld <= ", (long long)s->lo);
        print_expr(pr, s->guard);
        jc_put_text(out, " <= %lld", (long long)s->hi);
    }
}

static void print_args(printer *pr, const jc_plan_arg *at, uint32_t n);

static void print_arg(printer *pr, const jc_plan_arg *a) {
    jc_bytes *out = pr->out;
    if (a->key)
        jc_put_text(out, "%s=", a->key);
    if (a->from_input || a->kind == JITC_NAME) {
        jc_put_text(out, "in%u", a->input);
        return;
    }
    switch (a->kind) {
    case JITC_TENSOR:
        jc_put_text(out, "t%u", a->tensor);
        break;
    case JITC_INT:
        print_expr(pr, a->expr);
        break;
    case JITC_FLOAT:
        print_float(pr, a->f);
        break;
    case JITC_BOOL:
        jc_put_text(out, a->b ? "True" : "False");
        break;
    case JITC_STR:
        jc_put_text(out, "'%s'", a->str);
        break;
    case JITC_LIST:
    case JITC_DICT:
        jc_put_text(out, a->kind == JITC_LIST ? "[" : "{");
        print_args(pr, a->list.at, a->list.n);
        jc_put_text(out, a->kind == JITC_LIST ? "]" : "}");
        break;
    default:
        jc_put_text(out, "None");
        break;
    }
}

static void print_args(printer *pr, const jc_plan_arg *at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        jc_put_text(pr->out, i ? ", " : "");
        print_arg(pr, &at[i]);
    }
}

static void print_call(printer *pr, const jc_plan_step *s) {
    jc_bytes *out = pr->out;
    jc_put_text(out, "call %s(", s->op);
    print_args(pr, s->args, s->nargs);
    jc_put_text(out, ")");
    for (uint32_t i = 0; i < s->nresults; i++)
        jc_put_text(out, "%s t%u", i ? "," : " ->", s->results[i]);
    for (unsigned i = 0, any = 0; i < 64; i++)
        if (s->writes >> i & 1)
            jc_put_text(out, "%s%u", any++ ? ", " : " writes operand ", i);
}

static void print_outputs(printer *pr) {
    jc_bytes *out = pr->out;
    jc_put_text(out, "return (");
    for (uint32_t i = 0; i < pr->p->noutputs; i++) {
        const jc_plan_output *o = &pr->p->outputs[i];
        jc_put_text(out, i ? ", " : "");
        if (o->kind == JC_OUT_TENSOR)
            jc_put_text(out, "%st%u", o->undefined ? "undefined " : "", o->index);
        else if (o->kind == JC_OUT_INPUT)
            jc_put_text(out, "in%u", o->index);
        else if (o->kind == JC_OUT_EXPR)
            print_expr(pr, o->expr);
        else
            jc_put_text(out, "None");
    }
    jc_put_text(out, ")\n");
}

static void print_checks(printer *pr) {
    for (uint32_t i = 0; i < pr->p->nchecks; i++) {
        const jc_condition *c = &pr->p->checks[i];
        jc_put_text(pr->out, "check ");
        print_expr(pr, c->a);
        if (c->rel == JC_REL_SPREAD) {
            jc_put_text(pr->out, " == 1 or ");
            print_expr(pr, c->a);
        }
        jc_put_text(pr->out, c->rel == JC_REL_LE     ? " <= "
                             : c->rel == JC_REL_COPY ? " <= (to copy) "
                             : c->rel == JC_REL_NE   ? " != "
                                                     : " == ");
        print_expr(pr, c->b);
        jc_put_text(pr->out, c->line ? "  # line %d\n" : "\n", c->line);
    }
}

void jc_plan_print(const jc_plan *p, jc_bytes *out) {
    printer pr = { .p = p, .names = named_table(p, out->arena), .out = out };
    print_memory(&pr);
    print_checks(&pr);
    for (uint32_t i = 0; i < p->nsteps; i++) {
        if (p->steps[i].kind == JC_STEP_LAUNCH)
            print_launch(&pr, &p->steps[i]);
        else
            print_call(&pr, &p->steps[i]);
        jc_put_text(out, p->steps[i].line ? "  # line %d\n" : "\n", p->steps[i].line);
    }
    print_outputs(&pr);
}
