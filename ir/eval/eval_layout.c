/*
 * ir/eval/eval_layout.c - in which order PyTorch lays out what a pointwise operator makes.
 *
 * The order of the operands' strides, the first operand that tells two dims apart deciding; dims that it spreads over tell nothing.  Dims
 * are sorted from the fastest on, beginning with row-major order, by insertion.  `clone` and casts lay out as one operand.
 * After TensorIterator::reorder_dimensions of PyTorch 2.11 (ATen/TensorIterator.cpp); observed there: x.t() + 1 is column-major too.
 */
#include "ir/eval/eval_priv.h"

typedef struct layout {
    const jc_ev_tensor *out;
    jc_ev_tensor in[JC_EV_MAX_OPERANDS];
    int n;
} layout;

/* Above 0: dim A is the slower one of the two; below: B is; 0: nothing tells. */
static int slower(const layout *l, int a, int b) {
    for (int k = 0; k < l->n; k++) {
        const int64_t x = l->in[k].strides[a], y = l->in[k].strides[b];
        if (x == 0 || y == 0)
            continue;
        if (x != y)
            return x < y ? -1 : 1;
        if (l->out->dims[a] > l->out->dims[b])
            return 1;
    }
    return 0;
}

static void sort(const layout *l, int *fastest) {
    const int rank = l->out->rank;
    for (int i = 0; i < rank; i++)
        fastest[i] = rank - 1 - i;
    for (int i = 1; i < rank; i++)
        for (int at = i, k = i - 1; k >= 0; k--) {
            const int order = slower(l, fastest[k], fastest[at]);
            if (order < 0)
                break;
            if (order > 0) {
                const int dim = fastest[k];
                fastest[k] = fastest[at];
                fastest[at] = dim;
                at = k;
            }
        }
}

jitc_status jc_ev_lay_out(jc_ev *ev, const jc_node *n, jc_ev_tensor *out) {
    layout l = { .out = out };
    int fastest[JC_MAX_RANK];
    int64_t stride = 1;
    for (uint32_t i = 0; i < n->nargs && l.n < JC_EV_MAX_OPERANDS; i++) {
        jc_ev_tensor t;
        if (n->args[i].kind != JC_ARG_VALUE || n->args[i].value->type.kind != JC_TENSOR)
            continue;
        JC_TRY(jc_ev_tensor_arg(ev, n, &n->args[i], &t));
        if (jc_ev_broadcast(&t, out->rank, out->dims, &l.in[l.n]))
            l.n++;
    }
    sort(&l, fastest);
    for (int i = 0; i < out->rank; i++) {
        out->strides[fastest[i]] = stride;
        stride *= out->dims[fastest[i]] > 1 ? out->dims[fastest[i]] : 1;
    }
    return JITC_OK;
}
