/*
 * ir/fx/fx_build_masked.c - torch.masked: reductions and normalisations of those elements that a mask lets count.
 *
 * What does not count is replaced by what changes nothing; the rest is a definition, masked_NAME.
 */
#include <math.h>
#include <string.h>
#include "ir/fx/fx_build.h"

/* What changes nothing, by the row's aux. */
enum { LEFT = 0, ZERO = 1, ONE = 2, LEAST = 3, MOST = 4, NOTHING = 5, OF_NORM = 6 };

static jc_arg neutral(fx_call *c, const jc_value *x, int what) {
    switch (what) {
    case LEAST: return fx_extreme_of(c->r, x, false);
    case MOST: return fx_extreme_of(c->r, x, true);
    case NOTHING: return jc_arg_float(NAN);
    case OF_NORM: return fx_float(c, 1, 2) == -INFINITY ? jc_arg_float(INFINITY) : fx_i(c->r, 0);
    default: return fx_i(c->r, what == ONE);
    }
}

/* Argument I with what MASK, another argument, does not let count replaced. */
static void fill(fx_call *c, int i, int mask) {
    jc_value *x = fx_tensor(c, i), *m = fx_given(c, mask) ? fx_tensor(c, mask) : NULL;
    if (!x || !m || c->row->aux == LEFT)
        return;
    if (m->type.dtype != JC_B8)
        m = FX_OP(c->r, JC_OP_ne, fx_v(m), fx_i(c->r, 0));
    jc_value *y = FX_OP(c->r, JC_OP_where, fx_v(m), fx_v(x), neutral(c, x, c->row->aux));
    c->a[i] = fx_v(y ? fx_cast(c->r, y, (jc_dtype)x->type.dtype) : NULL);
}

static jc_arg defined(fx_call *c) {
    return c->r->status ? fx_nothing() : fx_defined_as(c, jc_arena_printf(c->r->scratch, "masked_%s", c->row->name));
}

/* The mask is the last argument. */
jc_arg fx_h_masked(fx_call *c) {
    int last = 0;
    for (const char *p = c->row->params; *p; p++)
        last += *p == ' ';
    fill(c, 0, last);
    return defined(c);
}

/* logaddexp(self, other, dtype, input_mask, other_mask) */
jc_arg fx_h_masked_both(fx_call *c) {
    fill(c, 0, 3);
    fill(c, 1, 4);
    return defined(c);
}

/* var(self, dim, unbiased, correction, keepdim, dtype, mask), std */
jc_arg fx_h_masked_var(fx_call *c) {
    if (!fx_given(c, 3))
        c->a[3] = fx_i(c->r, fx_bool(c, 2, true));
    return defined(c);
}
