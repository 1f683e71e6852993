/*
 * ir/fx/fx_build_count.c - spellings that count: how many elements there are of each kind, and what follows from such numbers.
 *
 * What is counted is compared with all that it may be, in one reduction; nothing is written where indices say.
 */
#include <string.h>
#include "ir/fx/fx_build.h"

/* --- histc --- */

/* Argument I as a tensor without dims, of X's dtype. */
static jc_arg bound(fx_call *c, int i, const jc_value *x) {
    return fx_v(FX_OP(c->r, JC_OP_full, fx_dims(c->r, NULL, 0), fx_number_or(c, i, fx_i(c->r, 0)), jc_arg_dtype((jc_dtype)x->type.dtype)));
}

static jc_value *extreme(fx_reader *r, jc_op op, jc_value *x) {
    jc_arg dims[JC_MAX_RANK];
    for (int d = 0; d < fx_rank(x); d++)
        dims[d] = fx_i(r, d);
    return FX_OP(r, op, fx_v(x), jc_arg_list(r->graph, dims, x->type.rank), jc_arg_bool(false));
}

/* LEAST and MOST, and where they are one, 1 to each side. */
static void apart(fx_reader *r, jc_arg *least, jc_arg *most) {
    const jc_arg same = fx_v(FX_OP(r, JC_OP_eq, *least, *most));
    const jc_arg below = fx_v(FX_OP(r, JC_OP_sub, *least, fx_i(r, 1))), above = fx_v(FX_OP(r, JC_OP_add, *most, fx_i(r, 1)));
    *least = fx_v(FX_OP(r, JC_OP_where, same, below, *least));
    *most = fx_v(FX_OP(r, JC_OP_where, same, above, *most));
}

/* histc(self, bins, min, max): bounds that are one are those of the data */
jc_arg fx_h_histc(fx_call *c) {
    fx_reader *r = c->r;
    jc_value *x = fx_tensor(c, 0);
    if (!x)
        return fx_nothing();
    const double least = fx_float(c, 2, 0), most = fx_float(c, 3, 0);
    if (fx_given(c, 1) && fx_int(c, 1, 100) < 1)
        fx_bad_arg(c, 1, "a number of bins from 1 up");
    if (least > most)
        fx_bad_arg(c, 3, "a bound that is not below `min`");
    if (r->status)
        return fx_nothing();
    const bool of_data = least == most && !jc_ex_is(jc_ex_product(fx_x(r), x->type.dims, x->type.rank), 0);
    c->a[2] = of_data ? fx_v(extreme(r, JC_OP_amin, x)) : bound(c, 2, x);
    c->a[3] = of_data ? fx_v(extreme(r, JC_OP_amax, x)) : bound(c, 3, x);
    if (least == most)
        apart(r, &c->a[2], &c->a[3]);
    return r->status ? fx_nothing() : fx_defined_as(c, "histc");
}
