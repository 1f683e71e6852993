/*
 * tests/fuzz/gen_cast.c - casts.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>

bool fz_cast_range(fz_range *r, uint8_t from, uint8_t to) {
    const char a = (char)jc_dtypes[from].cls, b = (char)jc_dtypes[to].cls;
    fz_range full;
    if (b == 'f') {
        if (fz_magnitude(*r) > fz_largest(to))
            return false;
        if (a != 'f' && r->step > 0 && fz_magnitude(*r) > 1 / fz_unit(to))
            r->step = 0;
        if (r->step > 0 && fz_magnitude(*r) / r->step > 1 / fz_unit(to))
            r->step = 0;
        return true;
    }
    if (r->step == 0 || r->opaque)
        return false;
    if (b == 'b') {
        *r = fz_interval(0, 1, 1);
        return true;
    }
    fz_full(to, &full);
    if (a == 'f') { /* outside of the integer's range nothing is promised */
        r->lo = trunc(r->lo), r->hi = trunc(r->hi), r->step = 1;
        return r->lo >= full.lo && r->hi <= full.hi;
    }
    return true;
}

static bool is_castable(const fz_prog *p, int value, const void *user) {
    (void)user;
    return !fz_range_of(p, value)->opaque && !fz_range_of(p, value)->wild;
}

bool fz_make_cast(fz_prog *p) {
    static const struct {
        const char *name;
        uint8_t dtype;
    } methods[] = { { "bfloat16", JC_BF16 }, { "bool", JC_B8 }, { "byte", JC_U8 },   { "char", JC_I8 }, { "double", JC_F64 },
                    { "float", JC_F32 },     { "half", JC_F16 }, { "int", JC_I32 }, { "long", JC_I64 }, { "short", JC_I16 } };
    static const uint8_t fp8s[] = { JC_F8E4M3FN, JC_F8E5M2 };
    const int x = fz_some(p, is_castable, JC_DTYPE_COUNT), k = fz_below(p, 10), form = fz_below(p, 6);
    const uint8_t to = form < 2 ? methods[k].dtype : fz_chance(p, 12) ? FZ_PICK(p, fp8s) : fz_some_dtype(p);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    fz_range r = *fz_range_of(p, x);
    if (v.dtype == to || !fz_cast_range(&r, v.dtype, to))
        return false;
    fz_begin(p);
    if (form < 2)
        fz_put(p, "%v.%s()", x, methods[k].name);
    else if (form < 4)
        fz_put(p, fz_chance(p, 50) ? "%v.to(%t)" : "%v.to(dtype = %t)", x, to);
    else
        fz_put(p, form == 4 ? "torch.ops.prims.convert_element_type.default(%v, %t)" : "torch.ops.aten._to_copy.default(%v, dtype = %t)", x, to);
    return fz_gives(p, fz_result(p, to, v.rank, v.dims, r));
}
