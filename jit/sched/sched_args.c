/*
 * jit/sched/sched_args.c - the arguments of a kernel in the making: pointers, symbols, and sizes of products.
 */
#include "jit/sched/sched.h"

static const jc_expr *int_arg(jc_gen *g, const jc_expr *what, const char *name, int64_t lo, int64_t hi, int64_t divisor) {
    uint16_t arg = (uint16_t)g->args.n;
    uint32_t sym = jc_sym_add(g->ex, name);
    jc_sym *facts = jc_sym_at(g->ex, sym);
    facts->lo = lo;
    facts->hi = hi;
    facts->divisor = divisor;
    jc_push(g->s->arena, &g->syms, ((jc_ksym){ JC_KSYM_ARG, arg }));
    jc_push(g->s->arena, &g->args, ((jc_karg){ .kind = JC_KARG_I64, .sym = sym }));
    jc_push(g->s->arena, &g->ints, ((jc_gen_int){ what, arg }));
    return jc_ex_sym(g->ex, sym);
}

static void see_symbol(void *user, uint32_t sym) {
    jc_gen *g = user;
    if (g->sym_map[sym])
        return;
    const jc_sym *facts = jc_sym_at(g->s->ex, sym);
    g->sym_map[sym] = int_arg(g, jc_ex_sym(g->s->ex, sym), "s", facts->lo, facts->hi, facts->divisor);
}

/* Symbols beyond which an expression is one argument, which the plan works out: each is an argument of its own else, and a sum is
   generated wherever it is used.  No model has as many. */
#define MANY_SYMBOLS 16

static void count_symbol(void *user, uint32_t sym) {
    (void)sym;
    ++*(uint32_t *)user;
}

/* What stands for E, of STORE or of none in particular, where it has been asked for; else NULL. */
static const jc_expr *known(const jc_gen *g, uint32_t store, const jc_expr *e) {
    for (size_t i = 0; i < g->known.n; i++)
        if (g->known.at[i].store == store && g->known.at[i].expr == e)
            return g->known.at[i].arg;
    return NULL;
}

static const jc_expr *note(jc_gen *g, uint32_t store, const jc_expr *e, const jc_expr *arg) {
    jc_push(g->s->arena, &g->known, ((jc_gen_known){ store, e, arg }));
    return arg;
}

static const jc_expr *whole(jc_gen *g, const jc_expr *e) {
    int64_t lo, hi;
    const jc_expr *arg = known(g, JC_NO_STORE, e);
    if (arg)
        return arg;
    if (!jc_ex_range(g->s->ex, e, &lo, &hi))
        lo = INT64_MIN, hi = INT64_MAX;
    return note(g, JC_NO_STORE, e, int_arg(g, e, "n", lo, hi, jc_ex_divisor(g->s->ex, e)));
}

const jc_expr *jc_gen_expr(jc_gen *g, const jc_expr *e) {
    uint32_t symbols = 0;
    if (e->kind == JC_EX_CONST)
        return jc_ex_int(g->ex, e->value);
    jc_ex_symbols(e, count_symbol, &symbols);
    if (symbols > MANY_SYMBOLS)
        return whole(g, e);
    jc_ex_symbols(e, see_symbol, g);
    return jc_ex_subst(g->ex, e, g->sym_map, jc_sym_count(g->s->ex));
}

/* Sizes are told apart only by how they divide, and by whether 31 bits hold them: kernels for other sizes of the same kind are the
   same kernel.  Strides and products of sizes may be anything, so what is larger than a dim mostly is takes 64 bits. */
const jc_expr *jc_gen_size(jc_gen *g, const jc_expr *e) {
    int64_t x, divisor = 1;
    if (!g->runtime_sizes || !jc_ex_is_const(e, &x) || x <= 1)
        return jc_gen_expr(g, e);
    while (divisor < 64 && x % (2 * divisor) == 0)
        divisor *= 2;
    return int_arg(g, e, "n", 1, x <= JC_SYM_MAX ? JC_SYM_MAX : INT64_MAX, divisor);
}

uint16_t jc_gen_pointer(jc_gen *g, uint32_t store, jc_dtype dtype, bool written) {
    for (size_t i = 0; i < g->ptrs.n; i++)
        if (g->ptrs.at[i].store == store && g->ptrs.at[i].dtype == dtype) {
            g->args.at[g->ptrs.at[i].arg].written |= written;
            return g->ptrs.at[i].arg;
        }
    uint16_t arg = (uint16_t)g->args.n;
    jc_karg a = { .kind = JC_KARG_PTR, .dtype = (uint8_t)dtype, .written = written };
    a.loose = jc_set_has(&g->s->aliased, store); /* what may touch another cannot be copied to where it is aligned */
    jc_push(g->s->arena, &g->args, a);
    jc_push(g->s->arena, &g->ptrs, ((jc_gen_ptr){ store, dtype, arg }));
    if (jc_dtypes[dtype].size < g->small)
        g->small = jc_dtypes[dtype].size;
    return arg;
}

const jc_expr *jc_gen_stride_of(jc_gen *g, uint32_t store, const jc_expr *e) {
    const jc_expr *arg = known(g, store, e);
    return arg ? arg : note(g, store, e, jc_gen_size(g, e));
}

void jc_gen_finish(jc_gen *g) {
    jc_kernel *k = g->k;
    k->tape = g->tape.at;
    k->ninstrs = (uint32_t)g->tape.n;
    k->args = g->args.at;
    k->nargs = (uint32_t)g->args.n;
    k->syms = g->syms.at;
    k->nsyms = (uint32_t)g->syms.n;
}
