/*
 * jit/sched/sched_once.c - what of a value may be left out because it is used once.
 *
 * A value is one value: whoever uses it sees the same bits, in this kernel or another, in memory or generated again.  So what is used
 * more than once is rounded to its dtype, as memory would keep it, and only what is used once may go on as it was computed:
 *   - a narrow float stays f32;
 *   - a product meets the sum that uses it, ADD, SUB or a reduction, in one rounding (PRODUCT, plan/kernel.h).
 * Which sum that is follows from the class alone, not from who generates it, so every kernel and every target contracts alike.
 * Strict mode does neither.
 */
#include "jit/sched/sched.h"

/* Does N give the elements of its operand, elsewhere? */
static bool rearranges(const jc_node *n) {
    return jc_ops[n->op].traits & JC_VIEW && n->op != JC_OP_bitcast;
}

/* Views are not values of their own. */
static void find_shared(jc_sched *s) {
    for (size_t i = s->f->nodes.n; i-- > 0;)
        for (uint32_t r = 0; r < s->f->nodes.at[i]->nresults; r++) {
            const jc_node *n = s->f->nodes.at[i];
            jc_lazy *l = &s->lazy[n->results[r]->id];
            l->shared |= l->uses > 1;
            if (l->shared && rearranges(n))
                s->lazy[n->args[0].value->id].shared = true;
        }
}

/* The product whose elements V has, where V and all that lies between is used once; else NULL.  A cast to what it is computed in
   leaves it as it is. */
static const jc_value *product_of(const jc_sched *s, const jc_value *v) {
    const jc_ct c = jc_compute_type((jc_dtype)v->type.dtype);
    if (jc_dtypes[v->type.dtype].cls != 'f') /* a product of integers that a sum of floats takes */
        return NULL;
    for (; v->def && !s->lazy[v->id].shared; v = v->def->args[0].value) {
        if (jc_compute_type((jc_dtype)v->type.dtype) != c)
            return NULL;
        if (v->def->op == JC_OP_mul)
            return v;
        if (!rearranges(v->def) && !(v->def->op == JC_OP_cast && (v->type.dtype == JC_F32 || v->type.dtype == JC_F64)))
            return NULL;
    }
    return NULL;
}

static uint64_t mixed(uint64_t h, uint64_t x) {
    const uint64_t both[] = { h, x };
    return jc_hash64(both, sizeof both);
}

static uint64_t value_looks(const jc_value *v, unsigned depth);

static uint64_t arg_looks(const jc_arg *a, unsigned depth) {
    int64_t n;
    uint64_t h = a->kind;
    if (a->kind == JC_ARG_VALUE)
        return mixed(h, value_looks(a->value, depth));
    if (a->kind == JC_ARG_EXPR)
        return jc_ex_is_const(a->expr, &n) ? mixed(h, (uint64_t)n) : h;
    for (uint32_t i = 0; a->kind == JC_ARG_LIST && i < a->list.n; i++)
        h = mixed(h, arg_looks(&a->list.at[i], depth));
    return h;
}

/* Behind DEPTH of them all look alike, as does what is computed otherwise: it may be a parameter elsewhere. */
static uint64_t value_looks(const jc_value *v, unsigned depth) {
    const jc_node *n = v->def;
    uint64_t h, any_order = 0;
    if (!n || !depth || !(rearranges(n) || n->op == JC_OP_cast || n->op == JC_OP_mul))
        return v->type.dtype;
    h = mixed(mixed(v->type.dtype, v->index), n->op);
    for (uint32_t i = 0; i < n->nargs; i++) {
        const uint64_t of = arg_looks(&n->args[i], depth - 1);
        if (jc_ops[n->op].traits & JC_COMMUTES)
            any_order += of;
        else
            h = mixed(h, of);
    }
    return mixed(h, any_order);
}

uint64_t jc_sched_looks(const jc_value *v) {
    enum { DEPTH = 5 };
    return value_looks(v, DEPTH);
}

/* Of two products that one sum could take, which it takes: by their looks, so that equal parts of several classes are one kernel. */
static bool takes_second(const jc_value *const product[2]) {
    return product[1] && (!product[0] || jc_sched_looks(product[1]) < jc_sched_looks(product[0]));
}

static bool adds(jc_op op) {
    return op == JC_OP_add || op == JC_OP_sub || op == JC_OP_sum || op == JC_OP_mean;
}

void jc_sched_once(jc_sched *s) {
    if (s->options->strict)
        return;
    find_shared(s);
    for (size_t i = 0; i < s->f->nodes.n; i++) {
        const jc_node *n = s->f->nodes.at[i];
        if (!adds(n->op) || jc_dtypes[n->results[0]->type.dtype].cls != 'f')
            continue;
        const jc_value *product[2] = { NULL, NULL };
        for (uint32_t a = 0; a < 2 && a < n->nargs; a++)
            product[a] = n->args[a].kind == JC_ARG_VALUE ? product_of(s, n->args[a].value) : NULL;
        const bool commutes = jc_ops[n->op].traits & JC_COMMUTES, second = commutes ? takes_second(product) : !product[0];
        if (!product[second])
            continue;
        s->lazy[product[second]->id].met = true;
    }
}
