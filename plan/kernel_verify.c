/*
 * plan/kernel_verify.c - what every kernel fulfils.
 *
 * Three parts: symbols and arguments refer to each other consistently; every instruction of the tape uses earlier
 * results of the right types and indices over known symbols; the schedule is one that the family allows.  A kernel
 * that fails here is a mistake of the scheduler (or damaged bytes): the message says which rule and where.
 */
#include "plan/kernel.h"

#include <string.h>

#define BAD(...) jc_fail(err, JITC_E_COMPILE, __VA_ARGS__)

static const char *const ct_names[] = { "f32", "f64", "i64", "b1", "none" };

/* ---- symbols and arguments ------------------------------------------------------------------------------------ */

static jitc_status check_sym(const jc_kernel *k, uint32_t s, jc_error *err) {
    const jc_ksym *sym = &k->syms[s];
    const jc_sym *facts = jc_sym_at(k->ex, s);
    if (facts->lo > facts->hi || facts->divisor < 1)
        return BAD("Symbol %u of a kernel has no values: its range is empty or its divisor is not positive.", s);
    if ((s < k->rank) != (sym->kind == JC_KSYM_LOOP) || (s < k->rank && sym->index != s))
        return BAD("Symbol %u of a kernel of rank %u: the loop variables come first, in order.", s, k->rank);
    switch (sym->kind) {
    case JC_KSYM_LOOP:
        return JITC_OK;
    case JC_KSYM_ARG:
        if (sym->index >= k->nargs || k->args[sym->index].kind != JC_KARG_I64 || k->args[sym->index].sym != s)
            return BAD("Symbol %u of a kernel stands for argument %u, which is no integer of that symbol.", s,
                       sym->index);
        return JITC_OK;
    case JC_KSYM_TAPE:
        if (sym->index >= k->ninstrs || k->tape[sym->index].ct != JC_CT_I64)
            return BAD("Symbol %u of a kernel stands for instruction %u, which gives no integer.", s, sym->index);
        return JITC_OK;
    default:
        return BAD("Symbol %u of a kernel is of unknown kind %u.", s, sym->kind);
    }
}

static jitc_status check_args(const jc_kernel *k, jc_error *err) {
    if (k->nargs > JC_KERNEL_MAX_ARGS)
        return BAD("A kernel has %u arguments; %d is the most.", k->nargs, JC_KERNEL_MAX_ARGS);
    for (uint32_t i = 0; i < k->nargs; i++) {
        const jc_karg *a = &k->args[i];
        if (a->kind > JC_KARG_F64)
            return BAD("Argument %u of a kernel is of unknown kind %u.", i, a->kind);
        if (a->kind == JC_KARG_PTR && a->dtype >= JC_DTYPE_COUNT)
            return BAD("Argument %u of a kernel points to elements of unknown dtype %u.", i, a->dtype);
        if (a->kind != JC_KARG_PTR && (a->written || a->weight || a->loose))
            return BAD("Argument %u of a kernel is a number, so it is neither written nor a weight nor loose.", i);
        if (a->written && a->weight)
            return BAD("Argument %u of a kernel is written, so it cannot be a weight.", i);
        if (a->kind == JC_KARG_I64 &&
            (a->sym >= k->nsyms || k->syms[a->sym].kind != JC_KSYM_ARG || k->syms[a->sym].index != i))
            return BAD("Argument %u of a kernel names symbol %u, which does not stand for it.", i, a->sym);
    }
    return JITC_OK;
}

/* ---- expressions ---------------------------------------------------------------------------------------------- */

/* Which symbols an expression may use. */
typedef struct scope {
    const jc_kernel *k;
    uint32_t loops; /* bit d: loop variable d */
    uint32_t tape;  /* instructions below this one */
    uint32_t bad;   /* the first symbol that is not allowed, or UINT32_MAX */
} scope;

static void see_symbol(void *user, uint32_t sym) {
    scope *s = user;
    bool good = false;
    if (sym < s->k->nsyms) {
        const jc_ksym *ks = &s->k->syms[sym];
        good = ks->kind == JC_KSYM_ARG || (ks->kind == JC_KSYM_LOOP && (s->loops >> ks->index & 1)) ||
               (ks->kind == JC_KSYM_TAPE && ks->index < s->tape);
    }
    if (!good && s->bad == UINT32_MAX)
        s->bad = sym;
}

static jitc_status check_expr(const jc_kernel *k, const jc_expr *e, uint32_t loops, uint32_t tape, const char *what,
                              uint32_t where, jc_error *err) {
    scope s = { .k = k, .loops = loops, .tape = tape, .bad = UINT32_MAX };
    if (!e)
        return BAD("The %s %u of a kernel has no expression.", what, where);
    if (e->kind == JC_EX_POISON)
        return BAD("The %s %u of a kernel overflows 64 bits or has too many terms.", what, where);
    jc_ex_symbols(e, see_symbol, &s);
    if (s.bad != UINT32_MAX)
        return BAD("The %s %u of a kernel uses symbol %u, which has no value there.", what, where, s.bad);
    return JITC_OK;
}

/* ---- the tape ------------------------------------------------------------------------------------------------- */

enum { F32 = 1 << JC_CT_F32, F64 = 1 << JC_CT_F64, I64 = 1 << JC_CT_I64, B1 = 1 << JC_CT_B1, FL = F32 | F64 };
enum { R_SAME, R_B1, R_OWN };

/* What operand a may be, and what the result is: that of a, B1, or by a rule of its own.  b is of a's type. */
static const struct rule {
    uint8_t a, result;
} rules[JC_T_COUNT] = {
    [JC_T_LOAD] = { 0, R_OWN },      [JC_T_STORE] = { FL | I64 | B1, R_OWN }, [JC_T_FLOAT] = { 0, R_OWN },
    [JC_T_INT] = { 0, R_OWN },       [JC_T_INDEX] = { 0, R_OWN },             [JC_T_SCALAR] = { 0, R_OWN },
    [JC_T_ACC] = { 0, R_OWN },       [JC_T_NEG] = { FL | I64, R_SAME },       [JC_T_ABS] = { FL | I64, R_SAME },
    [JC_T_EXP] = { FL, R_SAME },     [JC_T_EXP2] = { FL, R_SAME },            [JC_T_LOG] = { FL, R_SAME },
    [JC_T_SQRT] = { FL, R_SAME },    [JC_T_RSQRT] = { FL, R_SAME },           [JC_T_RCP] = { FL, R_SAME },
    [JC_T_SIN] = { FL, R_SAME },     [JC_T_COS] = { FL, R_SAME },             [JC_T_TANH] = { FL, R_SAME },
    [JC_T_ERF] = { FL, R_SAME },     [JC_T_FLOOR] = { FL, R_SAME },           [JC_T_CEIL] = { FL, R_SAME },
    [JC_T_EXPM1] = { FL, R_SAME }, [JC_T_LOG1P] = { FL, R_SAME }, [JC_T_LOG2] = { FL, R_SAME },
    [JC_T_LOG10] = { FL, R_SAME }, [JC_T_TAN] = { FL, R_SAME }, [JC_T_ASIN] = { FL, R_SAME },
    [JC_T_ACOS] = { FL, R_SAME }, [JC_T_ATAN] = { FL, R_SAME }, [JC_T_SINH] = { FL, R_SAME },
    [JC_T_COSH] = { FL, R_SAME }, [JC_T_ASINH] = { FL, R_SAME }, [JC_T_ACOSH] = { FL, R_SAME },
    [JC_T_ATANH] = { FL, R_SAME }, [JC_T_ERFC] = { FL, R_SAME }, [JC_T_ERFINV] = { FL, R_SAME },
    [JC_T_RINT] = { FL, R_SAME }, [JC_T_SIGNBIT] = { FL, R_B1 },
    [JC_T_ATAN2] = { FL, R_SAME }, [JC_T_HYPOT] = { FL, R_SAME },
    [JC_T_NOT] = { I64 | B1, R_SAME },     [JC_T_ADD] = { FL | I64, R_SAME },
    [JC_T_SUB] = { FL | I64, R_SAME },     [JC_T_MUL] = { FL | I64, R_SAME },
    [JC_T_PRODUCT] = { FL, R_SAME },       [JC_T_FMA] = { FL, R_SAME },
    [JC_T_DIV] = { FL | I64, R_SAME },     [JC_T_REM] = { FL | I64, R_SAME },
    [JC_T_POW] = { FL, R_SAME },           [JC_T_MINIMUM] = { FL | I64, R_SAME },
    [JC_T_MAXIMUM] = { FL | I64, R_SAME }, [JC_T_AND] = { I64 | B1, R_SAME },
    [JC_T_OR] = { I64 | B1, R_SAME },      [JC_T_XOR] = { I64 | B1, R_SAME },
    [JC_T_SHL] = { I64, R_SAME },          [JC_T_SHR] = { I64, R_SAME },
    [JC_T_EQ] = { FL | I64 | B1, R_B1 },   [JC_T_NE] = { FL | I64 | B1, R_B1 },
    [JC_T_LT] = { FL | I64, R_B1 },        [JC_T_LE] = { FL | I64, R_B1 },
    [JC_T_SELECT] = { B1, R_OWN },         [JC_T_CONVERT] = { FL | I64 | B1, R_OWN },
    [JC_T_WHOLE] = { FL, R_OWN },
    [JC_T_ROUND] = { FL | I64, R_SAME },   [JC_T_RED_SUM] = { FL | I64, R_SAME },
    [JC_T_RED_MAX] = { FL | I64, R_SAME }, [JC_T_RED_MIN] = { FL | I64, R_SAME },
    [JC_T_RED_PROD] = { FL | I64, R_SAME },
    [JC_T_CARRY] = { FL | I64 | B1, R_SAME }, [JC_T_NEXT] = { FL | I64 | B1, R_OWN }, [JC_T_LAST] = { FL | I64 | B1, R_SAME },
};

static jitc_status check_access(const jc_kernel *k, uint32_t i, jc_error *err) {
    const jc_instr *in = &k->tape[i];
    bool store = in->op == JC_T_STORE;
    if (in->arg >= k->nargs || k->args[in->arg].kind != JC_KARG_PTR)
        return BAD("Instruction %u of a kernel accesses argument %u, which is no pointer.", i, in->arg);
    if (store && !k->args[in->arg].written)
        return BAD("Instruction %u of a kernel stores to argument %u, which is not marked as written.", i, in->arg);
    jc_ct want = jc_compute_type(k->args[in->arg].dtype), got = store ? k->tape[in->a].ct : in->ct;
    if (want != got)
        return BAD("Instruction %u of a kernel %s as %s an argument that is computed in %s.", i,
                   store ? "stores" : "loads", ct_names[got], ct_names[want]);
    if (store && in->ct != JC_CT_NONE)
        return BAD("Instruction %u of a kernel is a store, which has no result.", i);
    return check_expr(k, in->index, (1u << k->rank) - 1, i, "index of instruction", i, err);
}

/* Instructions with a rule of their own. */
static jitc_status check_special(const jc_kernel *k, uint32_t i, jc_error *err) {
    const jc_instr *in = &k->tape[i];
    bool good = true;
    switch (in->op) {
    case JC_T_LOAD:
    case JC_T_STORE:
        return check_access(k, i, err);
    case JC_T_FLOAT:
        good = in->ct <= JC_CT_F64;
        break;
    case JC_T_INT:
        good = in->ct == JC_CT_I64 || (in->ct == JC_CT_B1 && (in->i == 0 || in->i == 1));
        break;
    case JC_T_INDEX:
        if (in->ct == JC_CT_I64)
            return check_expr(k, in->index, (1u << k->rank) - 1, i, "index of instruction", i, err);
        good = false;
        break;
    case JC_T_SCALAR:
        good = in->ct <= JC_CT_F64 && in->arg < k->nargs && k->args[in->arg].kind == JC_KARG_F64;
        break;
    case JC_T_ACC:
        good = jc_families[k->family].sums && in->ct == jc_kernel_acc_type(k);
        break;
    case JC_T_SELECT:
        good = in->ct == k->tape[in->b].ct && in->ct == k->tape[in->c].ct;
        break;
    case JC_T_CONVERT:
        good = in->ct <= JC_CT_B1;
        break;
    case JC_T_WHOLE:
        good = in->ct == JC_CT_I64;
        break;
    case JC_T_NEXT:
        good = in->ct == JC_CT_NONE && k->tape[in->a].op == JC_T_CARRY;
        break;
    default:
        break;
    }
    return good ? JITC_OK
                : BAD("Instruction %u of a kernel (%s, %s) does not fit its operands or its kernel.", i,
                      jc_tape_ops[in->op].name, ct_names[in->ct]);
}

static jitc_status check_round(const jc_kernel *k, uint32_t i, jc_error *err) {
    const jc_instr *in = &k->tape[i];
    if (in->dtype >= JC_DTYPE_COUNT)
        return BAD("Instruction %u of a kernel rounds to unknown dtype %u.", i, in->dtype);
    char cls = (char)jc_dtypes[in->dtype].cls;
    if (cls == 'b' || (cls == 'f') != (in->ct <= JC_CT_F64))
        return BAD("Instruction %u of a kernel rounds %s to %s.", i, ct_names[in->ct], jc_dtypes[in->dtype].name);
    return JITC_OK;
}

static jitc_status check_instr(const jc_kernel *k, uint32_t i, jc_error *err) {
    const jc_instr *in = &k->tape[i];
    if (in->op >= JC_T_COUNT || in->ct > JC_CT_NONE)
        return BAD("Instruction %u of a kernel is unknown (op %u, type %u).", i, in->op, in->ct);
    const jc_tape_info *info = &jc_tape_ops[in->op];
    const uint32_t operand[3] = { in->a, in->b, in->c };
    for (unsigned j = 0; j < info->operands; j++)
        if (operand[j] >= i || k->tape[operand[j]].ct == JC_CT_NONE)
            return BAD("Operand %u of instruction %u (%s) of a kernel is no earlier result.", j, i, info->name);
    if (in->op >= JC_T_CARRY && k->family != JC_K_WALK)
        return BAD("Instruction %u of a kernel (%s) belongs to steps, but the kernel is no walk kernel.", i, info->name);
    const struct rule *rule = &rules[in->op];
    if (info->operands && !(rule->a >> k->tape[in->a].ct & 1))
        return BAD("Instruction %u of a kernel is %s of %s, which does not exist.", i, info->name,
                   ct_names[k->tape[in->a].ct]);
    for (unsigned j = 1; j < info->operands && in->op != JC_T_SELECT; j++)
        if (k->tape[operand[j]].ct != k->tape[in->a].ct)
            return BAD("Instruction %u (%s) of a kernel mixes %s and %s.", i, info->name, ct_names[k->tape[in->a].ct],
                       ct_names[k->tape[operand[j]].ct]);
    if (rule->result == R_OWN)
        return check_special(k, i, err);
    uint8_t want = rule->result == R_B1 ? JC_CT_B1 : k->tape[in->a].ct;
    if (in->ct != want)
        return BAD("Instruction %u (%s) of a kernel is marked as %s, but gives %s.", i, info->name, ct_names[in->ct],
                   ct_names[want]);
    if (in->op >= JC_T_RED_SUM && in->op <= JC_T_RED_PROD && k->family != JC_K_ROW)
        return BAD("Instruction %u of a kernel reduces over columns, but the kernel is no row kernel.", i);
    if (in->op == JC_T_LAST && k->tape[in->a].op != JC_T_CARRY)
        return BAD("Instruction %u of a kernel is what is left of instruction %u, which carries nothing.", i, in->a);
    return in->op == JC_T_ROUND ? check_round(k, i, err) : JITC_OK;
}

/* Points run in no order, so what one loads through an argument that is written must be what it stores itself. */
static jitc_status check_in_place(const jc_kernel *k, uint32_t i, jc_error *err) {
    const jc_instr *in = &k->tape[i];
    bool own = in->op != JC_T_LOAD || !k->args[in->arg].written;
    for (uint32_t j = 0; j < k->ninstrs && !own; j++)
        own = k->tape[j].op == JC_T_STORE && k->tape[j].arg == in->arg && k->tape[j].index == in->index;
    return own ? JITC_OK
               : BAD("Instruction %u of a kernel loads through argument %u, which the kernel writes, at an index that it does not store "
                     "to: other points may have written there, or not yet.", i, in->arg);
}

static jitc_status check_tape(const jc_kernel *k, jc_error *err) {
    uint32_t stores = 0;
    for (uint32_t i = 0; i < k->ninstrs; i++) {
        JC_TRY(check_instr(k, i, err));
        JC_TRY(check_in_place(k, i, err));
        stores += k->tape[i].op == JC_T_STORE;
    }
    return stores ? JITC_OK : BAD("A kernel stores nothing, so there is no use in running it.");
}

/* ---- operands of products ------------------------------------------------------------------------------------- */

static jitc_status check_operand(const jc_kernel *k, const jc_operand *o, unsigned other, const char *what,
                                 jc_error *err) {
    uint32_t loops = ((1u << k->rank) - 1) & ~(1u << other);
    if (o->arg >= k->nargs || k->args[o->arg].kind != JC_KARG_PTR)
        return BAD("Operand %s of a product kernel is argument %u, which is no pointer.", what, o->arg);
    if (k->args[o->arg].written)
        return BAD("Operand %s of a product kernel is argument %u, which the kernel writes.", what, o->arg);
    JC_TRY(check_expr(k, o->row, loops, 0, "row of operand in argument", o->arg, err));
    return check_expr(k, o->kstride, 0, 0, "kstride of operand in argument", o->arg, err);
}

static jitc_status check_product(const jc_kernel *k, jc_error *err) {
    JC_TRY(check_operand(k, &k->a, k->rank - 1u, "A", err));
    JC_TRY(check_operand(k, &k->b, k->rank - 2u, "B", err));
    return check_expr(k, k->k, 0, 0, "length of the sum at rank", k->rank, err);
}

/* ---- matrices of attention ------------------------------------------------------------------------------------ */

static jitc_status check_matrix(const jc_kernel *k, const jc_matrix *x, const char *what, jc_error *err) {
    if (x->arg >= k->nargs || k->args[x->arg].kind != JC_KARG_PTR || k->args[x->arg].written)
        return BAD("Matrix %s of an attention kernel is argument %u, which is no pointer that is only read.", what, x->arg);
    JC_TRY(check_expr(k, x->base, (1u << (k->rank - 2)) - 1, 0, "base of the matrix in argument", x->arg, err));
    JC_TRY(check_expr(k, x->row, 0, 0, "row stride of the matrix in argument", x->arg, err));
    return check_expr(k, x->column, 0, 0, "column stride of the matrix in argument", x->arg, err);
}

static void see_loop(void *user, uint32_t sym) {
    scope *s = user;
    if (sym < s->k->nsyms && s->k->syms[sym].kind != JC_KSYM_ARG)
        s->bad = sym;
}

/* Is what instruction I gives the same at all points, and no sum? */
static bool is_uniform(const jc_kernel *k, uint32_t i, unsigned depth) {
    const jc_instr *in = &k->tape[i];
    const uint32_t operand[3] = { in->a, in->b, in->c };
    scope s = { .k = k, .bad = UINT32_MAX };
    if (in->op == JC_T_ACC || depth > 8)
        return false;
    if (in->op == JC_T_LOAD || in->op == JC_T_INDEX)
        jc_ex_symbols(in->index, see_loop, &s);
    for (unsigned j = 0; j < jc_tape_ops[in->op].operands; j++)
        if (!is_uniform(k, operand[j], depth + 1))
            return false;
    return s.bad == UINT32_MAX;
}

static jitc_status check_attention(const jc_kernel *k, jc_error *err) {
    const jc_attention *t = &k->attention;
    int64_t heads = 1;
    JC_TRY(check_matrix(k, &t->q, "Q", err));
    JC_TRY(check_matrix(k, &t->k, "K", err));
    JC_TRY(check_matrix(k, &t->v, "V", err));
    if (t->masked)
        JC_TRY(check_matrix(k, &t->mask, "mask", err));
    JC_TRY(check_expr(k, t->keys, 0, 0, "number of keys at rank", k->rank, err));
    JC_TRY(check_expr(k, k->k, 0, 0, "length of the sum at rank", k->rank, err));
    const uint8_t dtype = k->args[t->q.arg].dtype;
    if (jc_dtypes[dtype].cls != 'f' || k->args[t->k.arg].dtype != dtype || k->args[t->v.arg].dtype != dtype)
        return BAD("An attention kernel has matrices of %s, %s and %s, which are not of one dtype of floats.", jc_dtypes[dtype].name,
                   jc_dtypes[k->args[t->k.arg].dtype].name, jc_dtypes[k->args[t->v.arg].dtype].name);
    if (t->masked && k->args[t->mask.arg].dtype != JC_B8 && jc_dtypes[k->args[t->mask.arg].dtype].cls != 'f')
        return BAD("An attention kernel has a mask of %s.", jc_dtypes[k->args[t->mask.arg].dtype].name);
    if (!jc_kernel_head(k) || !jc_kernel_head_out(k))
        return BAD("The head sizes of an attention kernel are no constants from 1 to %d.", JC_MAX_HEAD);
    if (!t->parts || (t->parts > 1 && (k->rank < 3 || !jc_ex_is(k->extent[0], t->parts) || k->rank < 3u + (t->group > 1))))
        return BAD("An attention kernel has %u parts, of which loop variable 0 is no number.", t->parts);
    if (!t->group || (t->group > 1 && (k->rank < 3 || !jc_ex_is_const(k->extent[k->rank - 3], &heads) || heads % t->group)))
        return BAD("An attention kernel has groups of %u heads, which do not divide the heads.", t->group);
    return JITC_OK;
}

/* ---- the schedule --------------------------------------------------------------------------------------------- */

static bool power_of_two(unsigned x) {
    return x && !(x & (x - 1));
}

static bool divides(const jc_kernel *k, int64_t by, const jc_expr *e) {
    return jc_ex_divisor(k->ex, e) % by == 0;
}

static jitc_status check_point(const jc_kernel *k, jc_error *err) {
    return k->unroll ? JITC_OK : BAD("A point kernel takes each thread's points `unroll` times, at least once.");
}

static jitc_status check_row(const jc_kernel *k, jc_error *err) {
    if (!k->lanes || k->threads % k->lanes)
        return BAD("A row kernel has %u threads, which %u lanes a row do not divide.", k->threads, k->lanes);
    if (k->lanes > 1 && k->threads % 32)
        return BAD("A row kernel has %u threads, which are no whole warps.", k->threads);
    if (k->lanes > 32 ? k->lanes % 32 != 0 : !power_of_two(k->lanes))
        return BAD("A row kernel has %u lanes a row: up to 32 a power of two, above it whole warps.", k->lanes);
    if (!k->steps)
        return JITC_OK;
    int64_t held = (int64_t)k->steps * k->lanes * k->vec;
    if (jc_ex_le(k->ex, k->extent[k->rank - 1], jc_ex_int(k->ex, held)) != JC_YES)
        return BAD("A row kernel holds %lld columns in registers, but a row may be longer.", (long long)held);
    return JITC_OK;
}

/* Each CARRY has one NEXT, and what follows a step does not come before it. */
static jitc_status check_walk(const jc_kernel *k, jc_error *err) {
    const jc_alloc *a = &jc_alloc_libc;
    if (!k->unroll)
        return BAD("A walk kernel takes each thread's walkers `unroll` times, at least once.");
    uint32_t *next = a->alloc(a->user, (k->ninstrs + 1) * sizeof *next);
    uint8_t *phase = a->alloc(a->user, k->ninstrs + 1);
    bool phases = false, pairs = next != NULL;
    if (next && phase) {
        memset(next, 0, k->ninstrs * sizeof *next);
        phases = jc_kernel_walk_phases(k, phase);
        for (uint32_t i = 0; i < k->ninstrs; i++)
            if (k->tape[i].op == JC_T_NEXT)
                next[k->tape[i].a]++;
        for (uint32_t i = 0; i < k->ninstrs; i++)
            pairs &= next[i] == (k->tape[i].op == JC_T_CARRY);
    }
    const bool memory = next && phase;
    a->free(a->user, next, (k->ninstrs + 1) * sizeof *next);
    a->free(a->user, phase, k->ninstrs + 1);
    if (!memory)
        return jc_fail(err, JITC_E_NOMEM, "There is no memory to check a kernel of %u instructions.", k->ninstrs);
    if (!pairs)
        return BAD("A walk kernel has a CARRY that is not given one next value.");
    return phases ? JITC_OK : BAD("A walk kernel uses at a step what is left after the last one, or starts a CARRY with what a step has.");
}

static jitc_status check_dot(const jc_kernel *k, jc_error *err) {
    if (!k->tile_m || !k->tile_n)
        return BAD("A dot kernel has a tile of %u x %u outputs.", k->tile_m, k->tile_n);
    if (k->threads != 1 && k->threads % 32)
        return BAD("A dot kernel has %u threads: one (host) or whole warps.", k->threads);
    if (!k->lanes || k->threads % k->lanes || (k->threads > 1 && k->lanes % 32))
        return BAD("A dot kernel has %u threads in groups of %u: whole warps that divide them.", k->threads, k->lanes);
    if (!k->unroll)
        return BAD("A dot kernel takes its steps along k `unroll` at a time, at least one.");
    if ((uint64_t)k->threads * k->tile_m * k->tile_n / 4 > JC_KERNEL_MAX_SHARED && k->lanes > 32)
        return BAD("A dot kernel's sums of %u x %u outputs do not fit into shared memory.", k->tile_m, k->tile_n);
    return JITC_OK;
}

static jitc_status check_mma_operand(const jc_kernel *k, const jc_operand *o, jc_error *err) {
    uint8_t dtype = k->args[o->arg].dtype;
    const char *family = jc_families[k->family].name;
    if ((dtype != JC_F16 && dtype != JC_BF16) || dtype != k->args[k->a.arg].dtype)
        return BAD("A kernel of family %s multiplies f16 with f16 or bf16 with bf16; argument %u is %s.", family, o->arg,
                   jc_dtypes[dtype].name);
    if (!jc_ex_is(o->kstride, 1) || !divides(k, 8, o->row) || k->args[o->arg].loose)
        return BAD("Argument %u of a kernel of family %s has no 16-byte aligned rows of consecutive elements.", o->arg, family);
    return JITC_OK;
}

/* What both families on tensor cores need: operands, warps, room for LEAST stages. */
static jitc_status check_tensor_cores(const jc_kernel *k, unsigned least, jc_error *err) {
    const char *family = jc_families[k->family].name;
    JC_TRY(check_mma_operand(k, &k->a, err));
    JC_TRY(check_mma_operand(k, &k->b, err));
    if (!divides(k, 8, k->k))
        return BAD("The sums of a kernel of family %s are not known to be a multiple of 8 long.", family);
    if (!k->warps_m || !k->warps_n || k->threads != 32u * k->warps_m * k->warps_n)
        return BAD("A kernel of family %s has %u threads for %u x %u warps.", family, k->threads, k->warps_m, k->warps_n);
    if (!k->tile_m || !k->tile_n || !k->tile_k || k->tile_m % (16u * k->warps_m) || k->tile_n % (8u * k->warps_n) ||
        k->tile_k % 16)
        return BAD("The tile %u x %u x %u of a kernel of family %s is no whole number of 16 x 8 x 16 products for %u x %u warps.",
                   k->tile_m, k->tile_n, k->tile_k, family, k->warps_m, k->warps_n);
    uint64_t shared = (uint64_t)k->stages * ((uint64_t)k->tile_m + k->tile_n) * k->tile_k * 2;
    if (k->stages < least || shared > JC_KERNEL_MAX_SHARED)
        return BAD("A kernel of family %s with %u stages needs %llu bytes of shared memory; %u stages are the least, and %d bytes the most.",
                   family, k->stages, (unsigned long long)shared, least, JC_KERNEL_MAX_SHARED);
    return JITC_OK;
}

static jitc_status check_mma(const jc_kernel *k, jc_error *err) {
    return check_tensor_cores(k, 1, err);
}

static jitc_status check_wgmma(const jc_kernel *k, jc_error *err) {
    JC_TRY(check_tensor_cores(k, 3, err));
    if (k->warps_m % 4 || k->warps_n != 1 || k->tile_m != 16u * k->warps_m || k->tile_k != 64 || k->tile_n > 256)
        return BAD("A wgmma kernel's tile %u x %u x %u for %u x %u warps is not that of warpgroups of 64 rows, up to 256 columns and 64 of k.",
                   k->tile_m, k->tile_n, k->tile_k, k->warps_m, k->warps_n);
    return JITC_OK;
}

/* Bytes of the stack that the sums, and the copies of operands, take at most. */
#define HOST_SCRATCH (256 * 1024)

static uint64_t sum_bytes(const jc_kernel *k) {
    return jc_compute_type(k->args[k->a.arg].dtype) == JC_CT_F32 && jc_compute_type(k->args[k->b.arg].dtype) == JC_CT_F32 ? 4 : 8;
}

static jitc_status check_host_tile(const jc_kernel *k, jc_error *err) {
    if (k->threads != 1)
        return BAD("A %s kernel has %u threads; it is for the host, which has one.", jc_families[k->family].name, k->threads);
    if (!k->tile_m || !k->tile_n || k->vec > 64 || k->tile_n % k->vec)
        return BAD("A %s kernel has a tile of %u x %u outputs, in vectors of %u.", jc_families[k->family].name, k->tile_m, k->tile_n, k->vec);
    return JITC_OK;
}

/* Of the CPU's eight tiles some hold sums, the others a column of A's and a row of B's. */
static bool fits_tiles(const jc_kernel *k) {
    const uint32_t rows = k->warps_m / 16u, columns = k->warps_n;
    return k->vec == 16 && k->warps_m % 16 == 0 && k->tile_k % 32 == 0 && rows * columns + rows + columns <= 8;
}

static jitc_status check_pairs(const jc_kernel *k, jc_error *err) {
    const bool bf16 = k->args[k->a.arg].dtype == JC_BF16 && k->args[k->b.arg].dtype == JC_BF16;
    if (k->lanes == 1)
        return JITC_OK;
    if ((k->lanes != 2 && k->lanes != 32) || k->exact || !bf16 || (k->vec != 4 && k->vec != 8 && k->vec != 16) || k->tile_k % 2)
        return BAD("A tile kernel multiplies %u elements of k at once in vectors of %u: one, or pairs of bf16 in 4, 8 or 16 lanes, but not in strict mode.",
                   k->lanes, k->vec);
    if (k->lanes == 32 && !fits_tiles(k))
        return BAD("A tile kernel's %u rows by %u vectors of %u, %u of k at a time, are not those of eight tiles of 16 rows by 16 pairs.",
                   k->warps_m, k->warps_n, k->vec, k->tile_k);
    return JITC_OK;
}

static jitc_status check_tile(const jc_kernel *k, jc_error *err) {
    JC_TRY(check_host_tile(k, err));
    if (!k->warps_m || !k->warps_n || !k->tile_k || k->tile_k % k->vec || k->tile_m % k->warps_m || k->tile_n % ((uint32_t)k->warps_n * k->vec))
        return BAD("A tile kernel's block of %u x %u outputs in parts of %u, is no whole number of %u rows by %u vectors of %u.",
                   k->tile_m, k->tile_n, k->tile_k, k->warps_m, k->warps_n, k->vec);
    if (k->vec * sum_bytes(k) < 16)
        return BAD("A tile kernel has vectors of %u columns: at least 16 bytes.", k->vec);
    JC_TRY(check_pairs(k, err));
    uint64_t elements = (uint64_t)k->tile_m * k->tile_n + (uint64_t)k->tile_k / (k->lanes > 1 ? 2 : 1) * ((uint64_t)k->tile_n + k->warps_m) +
                        (uint64_t)k->vec * k->vec;
    if (elements * sum_bytes(k) > HOST_SCRATCH || (uint32_t)k->warps_m * k->warps_n > 64)
        return BAD("A tile kernel's block of %u x %u outputs, %u of k at a time, is too large for a stack.", k->tile_m, k->tile_n, k->tile_k);
    return JITC_OK;
}

static jitc_status check_band(const jc_kernel *k, jc_error *err) {
    const jc_expr *step, *rest;
    JC_TRY(check_host_tile(k, err));
    if (k->tile_m != 1 || !k->unroll || k->unroll > 64 || k->tile_n * sum_bytes(k) > HOST_SCRATCH)
        return BAD("A band kernel takes %u rows by %u columns, %u of k at a time.", k->tile_m, k->tile_n, k->unroll);
    if (!jc_ex_linear(k->ex, k->b.row, k->rank - 1u, &step, &rest) || !jc_ex_is(step, 1))
        return BAD("The columns of operand B of a band kernel are not consecutive.");
    return JITC_OK;
}

static jitc_status check_scale(const jc_kernel *k, jc_error *err) {
    const uint32_t scale = k->attention.scale;
    if (scale >= k->ninstrs || k->tape[scale].ct != jc_kernel_acc_type(k) || !is_uniform(k, scale, 0))
        return BAD("The scale of an attention kernel is instruction %u, which is no number that all points share.", scale);
    return JITC_OK;
}

static jitc_status check_attn(const jc_kernel *k, jc_error *err) {
    const jc_attention *t = &k->attention;
    const uint32_t e = jc_kernel_head(k), n = jc_kernel_head_out(k);
    JC_TRY(check_scale(k, err));
    if (t->parts != 1)
        return BAD("An attn kernel takes all keys, not one of %u parts.", t->parts);
    if (k->threads != 1)
        return BAD("An attn kernel has %u threads; it is for the host, which has one.", k->threads);
    if (!k->tile_m || !k->tile_k || k->tile_m % 4 || k->tile_k % 4 || k->vec > 64 || k->tile_k % k->vec || e % k->vec || n % k->vec)
        return BAD("An attn kernel takes %u rows by %u keys with heads of %u and %u, in vectors of %u.", k->tile_m, k->tile_k, e, n, k->vec);
    if (!jc_ex_is(t->q.column, 1) || !jc_ex_is(t->k.column, 1) || !jc_ex_is(t->v.column, 1))
        return BAD("The columns of a matrix of an attn kernel are not consecutive.");
    const uint64_t elements = (uint64_t)k->tile_m * (e + n + k->tile_k + 3u);
    if (elements * (jc_kernel_acc_type(k) == JC_CT_F64 ? 8 : 4) > HOST_SCRATCH)
        return BAD("An attn kernel's block of %u rows by %u keys is too large for a stack.", k->tile_m, k->tile_k);
    return JITC_OK;
}

static jitc_status check_flash_matrix(const jc_kernel *k, const jc_matrix *x, jc_error *err) {
    if (!jc_ex_is(x->column, 1) || !divides(k, 8, x->base) || !divides(k, 8, x->row) || k->args[x->arg].loose)
        return BAD("Argument %u of a flash kernel has no 16-byte aligned rows of consecutive elements.", x->arg);
    return JITC_OK;
}

static jitc_status check_flash(const jc_kernel *k, jc_error *err) {
    const jc_attention *t = &k->attention;
    const uint32_t e = jc_kernel_head(k), n = jc_kernel_head_out(k);
    const uint8_t dtype = k->args[t->q.arg].dtype;
    JC_TRY(check_scale(k, err));
    JC_TRY(check_flash_matrix(k, &t->q, err));
    JC_TRY(check_flash_matrix(k, &t->k, err));
    JC_TRY(check_flash_matrix(k, &t->v, err));
    if (dtype != JC_F16 && dtype != JC_BF16)
        return BAD("A flash kernel multiplies f16 or bf16, not %s.", jc_dtypes[dtype].name);
    if (!k->warps_m || k->threads != 32u * k->warps_m)
        return BAD("A flash kernel has %u threads for %u warps.", k->threads, k->warps_m);
    if (!k->tile_m || !k->tile_k || k->tile_m % (16u * k->warps_m) || k->tile_k % 16 || e % 16 || n % 16)
        return BAD("A flash kernel's tile of %u rows by %u keys, with heads of %u and %u, is no whole number of 16 x 8 x 16 products for %u "
                   "warps.", k->tile_m, k->tile_k, e, n, k->warps_m);
    if (t->parts > 1 && JC_KEYS_AT_ONCE % k->tile_k)
        return BAD("A flash kernel takes %u keys at a time, which do not divide a part of them.", k->tile_k);
    return JITC_OK;
}

static jitc_status check_schedule(const jc_kernel *k, jc_error *err) {
    static jitc_status (*const by_family[JC_FAMILY_COUNT])(const jc_kernel *, jc_error *) = {
#define CHECK(id, name, sums) check_##name,
        JC_FAMILY_LIST(CHECK)
#undef CHECK
    };
    if (k->threads < 1 || k->threads > 1024)
        return BAD("A kernel has %u threads a block; 1 to 1024 are possible.", k->threads);
    if (k->family != JC_K_MMA && k->family != JC_K_WGMMA) {
        if (!power_of_two(k->vec) || k->vec > 1024)
            return BAD("A kernel takes %u elements at once, which is no power of two up to 1024.", k->vec);
        if (!jc_families[k->family].sums && !divides(k, k->vec, k->extent[k->rank - 1]))
            return BAD("A kernel takes %u elements at once, which need not divide its last extent.", k->vec);
    }
    JC_TRY(by_family[k->family](k, err));
    if (jc_kernel_shared(k) > JC_KERNEL_MAX_SHARED)
        return BAD("A kernel needs %u bytes of shared memory; %d is the most.", jc_kernel_shared(k),
                   JC_KERNEL_MAX_SHARED);
    return JITC_OK;
}

jitc_status jc_kernel_verify(const jc_kernel *k, jc_error *err) {
    if (k->family >= JC_FAMILY_COUNT)
        return BAD("A kernel is of unknown family %u.", k->family);
    unsigned least = jc_families[k->family].sums || k->family == JC_K_WALK ? 2 : 1;
    if (k->rank < least || k->rank > JC_KERNEL_MAX_RANK)
        return BAD("A %s kernel has rank %u; %u to %d are possible (a single point has extent 1).",
                   jc_families[k->family].name, k->rank, least, JC_KERNEL_MAX_RANK);
    if (k->nsyms < k->rank || k->nsyms > jc_sym_count(k->ex))
        return BAD("A kernel of rank %u lists %u symbols of %u.", k->rank, k->nsyms, jc_sym_count(k->ex));
    JC_TRY(check_args(k, err));
    for (uint32_t s = 0; s < k->nsyms; s++)
        JC_TRY(check_sym(k, s, err));
    for (unsigned d = 0; d < k->rank; d++)
        JC_TRY(check_expr(k, k->extent[d], 0, 0, "extent", d, err));
    if (jc_kernel_is_product(k))
        JC_TRY(check_product(k, err));
    if (jc_kernel_is_attention(k))
        JC_TRY(check_attention(k, err));
    JC_TRY(check_tape(k, err));
    return check_schedule(k, err);
}
