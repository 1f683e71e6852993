/*
 * plan/kernel_print.c - a kernel as text, one instruction a line: what `jitc dump --stage=fused` shows.
 *
 * Names are made from positions, never taken from the table of symbols: i0 is loop variable 0, p2 and n2 and x2 are
 * argument 2 (a pointer, an integer, a float), v5 is the result of instruction 5.
 */
#include "plan/kernel.h"

#include <ctype.h>
#include <math.h>

static const char *const ct_names[] = { "f32", "f64", "i64", "b1", "none" };
static const char arg_letter[] = { [JC_KARG_PTR] = 'p', [JC_KARG_I64] = 'n', [JC_KARG_F64] = 'x' };

/* A table with the positional names under the same numbers, to print with. */
static jc_exprs *named_table(const jc_kernel *k, jc_arena *arena) {
    static const char letter[] = { [JC_KSYM_LOOP] = 'i', [JC_KSYM_ARG] = 'n', [JC_KSYM_TAPE] = 'v' };
    jc_exprs *names = jc_exprs_new(arena);
    for (uint32_t s = 0; s < k->nsyms; s++)
        jc_sym_add(names, jc_arena_printf(arena, "%c%u", letter[k->syms[s].kind], k->syms[s].index));
    return names;
}

static void print_args(const jc_kernel *k, jc_bytes *out) {
    for (uint32_t i = 0; i < k->nargs; i++) {
        const jc_karg *a = &k->args[i];
        jc_put_text(out, "  %c%u: ", arg_letter[a->kind], i);
        if (a->kind == JC_KARG_PTR) {
            jc_put_text(out, "%s*%s%s%s", jc_dtypes[a->dtype].name, a->written ? " written" : "",
                        a->weight ? " weight" : "", a->loose ? " loose" : "");
        } else if (a->kind == JC_KARG_I64) {
            const jc_sym *facts = jc_sym_at(k->ex, a->sym);
            jc_put_text(out, "i64 %lld..%lld", (long long)facts->lo, (long long)facts->hi);
            if (facts->divisor != 1)
                jc_put_text(out, " by %lld", (long long)facts->divisor);
        } else {
            jc_put_text(out, "f64");
        }
        jc_put_text(out, "\n");
    }
}

static void print_float(double f, jc_bytes *out) {
    if (isnan(f))
        jc_put_text(out, "nan");
    else if (isinf(f))
        jc_put_text(out, f < 0 ? "-inf" : "inf");
    else
        jc_put_text(out, "%.17g", f);
}

static void print_op_name(const jc_instr *in, jc_bytes *out) {
    for (const char *at = jc_tape_ops[in->op].name; *at; at++)
        jc_put_u8(out, (uint8_t)tolower((unsigned char)*at));
}

static void print_place(const jc_exprs *names, const jc_instr *in, jc_bytes *out) {
    jc_put_text(out, " p%u[", in->arg);
    jc_ex_print(names, in->index, out);
    jc_put_text(out, "]");
}

static void print_instr(const jc_kernel *k, const jc_exprs *names, uint32_t i, jc_bytes *out) {
    const jc_instr *in = &k->tape[i];
    const uint32_t operand[3] = { in->a, in->b, in->c };
    if (in->ct == JC_CT_NONE)
        jc_put_text(out, "  ");
    else
        jc_put_text(out, "  v%u = ", i);
    print_op_name(in, out);
    if (in->op == JC_T_LOAD || in->op == JC_T_STORE)
        print_place(names, in, out);
    for (unsigned j = 0; j < jc_tape_ops[in->op].operands; j++)
        jc_put_text(out, "%s v%u", j || in->op == JC_T_STORE ? "," : "", operand[j]);
    if (in->op == JC_T_FLOAT) {
        jc_put_text(out, " ");
        print_float(in->f, out);
    } else if (in->op == JC_T_INT) {
        jc_put_text(out, " %lld", (long long)in->i);
    } else if (in->op == JC_T_INDEX) {
        jc_put_text(out, " ");
        jc_ex_print(names, in->index, out);
    } else if (in->op == JC_T_SCALAR) {
        jc_put_text(out, " x%u", in->arg);
    } else if (in->op == JC_T_CARRY) {
        jc_put_text(out, " #%lld", (long long)in->i);
    } else if (in->op == JC_T_ROUND) {
        jc_put_text(out, " to %s", jc_dtypes[in->dtype].name);
    }
    if (in->ct != JC_CT_NONE)
        jc_put_text(out, " : %s", ct_names[in->ct]);
    jc_put_text(out, "\n");
}

static void print_operand(const jc_exprs *names, const jc_operand *o, const char *what, jc_bytes *out) {
    jc_put_text(out, "  %s = p%u[", what, o->arg);
    jc_ex_print(names, o->row, out);
    if (jc_ex_is(o->kstride, 1)) {
        jc_put_text(out, " + k]\n");
        return;
    }
    jc_put_text(out, " + (");
    jc_ex_print(names, o->kstride, out);
    jc_put_text(out, ")*k]\n");
}

static void print_matrix(const jc_exprs *names, const jc_matrix *x, const char *what, const char *indices, jc_bytes *out) {
    jc_put_text(out, "  %s = p%u[", what, x->arg);
    jc_ex_print(names, x->base, out);
    for (unsigned i = 0; i < 2; i++) {
        const jc_expr *step = i ? x->column : x->row;
        if (jc_ex_is(step, 1)) {
            jc_put_text(out, " + %c", indices[i]);
            continue;
        }
        jc_put_text(out, " + (");
        jc_ex_print(names, step, out);
        jc_put_text(out, ")*%c", indices[i]);
    }
    jc_put_text(out, "]\n");
}

static void print_attention(const jc_exprs *names, const jc_kernel *k, jc_bytes *out) {
    const jc_attention *t = &k->attention;
    print_matrix(names, &t->q, "q", "me", out);
    print_matrix(names, &t->k, "k", "se", out);
    print_matrix(names, &t->v, "v", "sn", out);
    if (t->masked)
        print_matrix(names, &t->mask, "mask", "ms", out);
    jc_put_text(out, "  scale = v%u%s group=%u", t->scale, t->causal ? " causal" : "", t->group);
    if (t->parts > 1)
        jc_put_text(out, " parts=%u", t->parts);
    jc_put_text(out, "\n  s < ");
    jc_ex_print(names, t->keys, out);
    jc_put_text(out, ", e < ");
    jc_ex_print(names, k->k, out);
    jc_put_text(out, "\n");
}

static void print_schedule(const jc_kernel *k, jc_bytes *out) {
    const struct {
        const char *name;
        uint16_t value;
    } parts[] = {
        { "threads", k->threads }, { "vec", k->vec },       { "unroll", k->unroll }, { "lanes", k->lanes },
        { "steps", k->steps },     { "tile_m", k->tile_m }, { "tile_n", k->tile_n }, { "tile_k", k->tile_k },
        { "stages", k->stages },   { "warps_m", k->warps_m }, { "warps_n", k->warps_n },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].value)
            jc_put_text(out, " %s=%u", parts[i].name, parts[i].value);
}

void jc_kernel_print(const jc_kernel *k, jc_bytes *out) {
    jc_exprs *names = named_table(k, out->arena);
    jc_put_text(out, "%s [", jc_families[k->family].name);
    for (unsigned d = 0; d < k->rank; d++) {
        jc_put_text(out, d ? ", " : "");
        jc_ex_print(names, k->extent[d], out);
    }
    jc_put_text(out, "]");
    print_schedule(k, out);
    jc_put_text(out, k->exact ? " exact\n" : "\n");
    print_args(k, out);
    if (jc_kernel_is_attention(k))
        print_attention(names, k, out);
    if (jc_kernel_is_product(k)) {
        print_operand(names, &k->a, "a", out);
        print_operand(names, &k->b, "b", out);
        jc_put_text(out, "  k < ");
        jc_ex_print(names, k->k, out);
        jc_put_text(out, "\n");
    }
    for (uint32_t i = 0; i < k->ninstrs; i++)
        print_instr(k, names, i, out);
}
