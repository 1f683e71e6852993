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
static jc_value *product_of(const jc_sched *s, jc_value *v) {
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
        for (uint32_t a = 0; a < 2 && a < n->nargs; a++) {
            jc_value *v = n->args[a].kind == JC_ARG_VALUE ? product_of(s, n->args[a].value) : NULL;
            if (!v)
                continue;
            s->lazy[v->id].met = true;
            break;
        }
    }
}
