/*
 * tests/fuzz/gen_make.c - statements that make tensors and sizes: constants, ranges, buffers, copies.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static int some_dims(fz_prog *p, fz_size *dims) {
    const int rank = fz_chance(p, 8) ? 0 : 1 + fz_below(p, 3);
    for (int d = 0; d < rank; d++)
        dims[d] = fz_some_size(p);
    return rank;
}

static void put_size(fz_prog *p, const fz_size *dims, int rank, const char *open, const char *close) {
    fz_put(p, "%s", open);
    for (int d = 0; d < rank; d++)
        fz_put(p, d ? ", %z" : "%z", &dims[d]);
    fz_put(p, rank == 1 && *close == ')' ? ",%s" : "%s", close);
}

static const char *number_for(fz_prog *p, uint8_t dtype, double *k) {
    switch (jc_dtypes[dtype].cls) {
    case 'b': *k = fz_below(p, 2); return *k > 0 ? "True" : "False";
    case 'f': *k = fz_pick_number(p, -2, 3, 0.5); return jc_arena_printf(p->arena, "%.1f", *k);
    default: *k = fz_below(p, 6); return jc_arena_printf(p->arena, "%.0f", *k);
    }
}

static bool make_filled(fz_prog *p) {
    static const char *const names[] = { "zeros", "ones", "full" };
    fz_size dims[4];
    const int rank = some_dims(p, dims), k = fz_below(p, 3);
    const uint8_t dtype = fz_some_dtype(p);
    const bool plain = dtype == JC_F32 && fz_chance(p, 50), list = fz_chance(p, 50);
    double x = k;
    fz_begin(p);
    fz_put(p, "torch.%s", names[k]);
    put_size(p, dims, rank, list ? "([" : "((", list ? "]" : ")");
    if (k == 2)
        fz_put(p, ", %s", number_for(p, dtype, &x));
    if (!plain)
        fz_put(p, ", dtype = %t", dtype);
    if (fz_chance(p, 30))
        fz_put(p, ", device = device(type='cuda', index=0)");
    fz_put(p, ")");
    return fz_gives(p, fz_result(p, dtype, rank, dims, fz_interval(x, x, jc_dtypes[dtype].cls == 'f' ? 0.5 : 1)));
}

static bool make_filled_like(fz_prog *p) {
    static const char *const names[] = { "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full" };
    const int x = fz_some(p, NULL, JC_DTYPE_COUNT), k = fz_below(p, 6);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const bool fp8 = v.dtype == JC_F8E4M3FN || v.dtype == JC_F8E5M2;
    const uint8_t dtype = fp8 || fz_chance(p, 30) ? JC_F32 : v.dtype;
    fz_size dims[JC_MAX_RANK];
    int rank = v.rank;
    double number = k % 3;
    memcpy(dims, v.dims, sizeof dims);
    fz_begin(p);
    if (k < 3) {
        fz_put(p, "torch.%s(%v", names[k], x);
    } else {
        rank = some_dims(p, dims);
        fz_put(p, "%v.%s", x, names[k]);
        put_size(p, dims, rank, "((", ")");
    }
    if (k % 3 == 2)
        fz_put(p, ", %s", number_for(p, dtype, &number));
    if (dtype != v.dtype)
        fz_put(p, ", dtype = %t", dtype);
    fz_put(p, ")");
    return fz_gives(p, fz_result(p, dtype, rank, dims, fz_interval(number, number, jc_dtypes[dtype].cls == 'f' ? 0.5 : 1)));
}

static bool make_scalar(fz_prog *p) {
    const uint8_t dtype = fz_some_dtype(p);
    double k;
    fz_begin(p);
    fz_put(p, fz_chance(p, 50) ? "torch.tensor(%s, dtype = %t)" : "torch.scalar_tensor(%s, dtype = %t)", number_for(p, dtype, &k), dtype);
    return fz_gives(p, fz_result(p, dtype, 0, NULL, fz_interval(k, k, jc_dtypes[dtype].cls == 'f' ? 0.5 : 1)));
}

static bool make_arange(fz_prog *p) {
    static const uint8_t types[] = { JC_I64, JC_I64, JC_I32, JC_F32, JC_BF16, JC_F64 };
    const int form = fz_below(p, 3), start = fz_below(p, 5) - 2, step = 1 + fz_below(p, 3);
    const uint8_t dtype = FZ_PICK(p, types);
    fz_size n = fz_some_size(p), end = fz_add(p, n, fz_int(start)), dims[1];
    const bool typed = dtype != JC_I64 || fz_chance(p, 40);
    const double most = (double)fz_most(p, &n);
    fz_range r = fz_interval(0, fmax(most - 1, 0), 1);
    dims[0] = n;
    fz_begin(p);
    if (form == 0) {
        fz_put(p, "torch.arange(%z", &n);
    } else {
        fz_put(p, form == 1 ? "torch.arange(%d, %z" : "torch.arange(%d, %z, %d", start, &end, step);
        r = fz_interval(start, start + fmax(most - 1, 0), 1);
        if (form == 2)
            dims[0] = fz_fdiv(p, fz_add(p, n, fz_int(step - 1)), step);
    }
    fz_put(p, typed ? ", dtype = %t)" : ")", dtype);
    return fz_gives(p, fz_result(p, dtype, 1, dims, r));
}

/* A buffer, and at once what fills it. */
static bool make_empty(fz_prog *p) {
    fz_size dims[JC_MAX_RANK];
    int rank = some_dims(p, dims), x = -1;
    uint8_t dtype = fz_some_dtype(p);
    const int form = fz_below(p, 4);
    double k;
    if (form > 1) {
        x = fz_some(p, fz_computable, JC_DTYPE_COUNT);
        if (x < 0)
            return false;
        dtype = fz_at(p, x)->dtype;
    }
    if (form == 2) {
        rank = fz_at(p, x)->rank;
        memcpy(dims, fz_at(p, x)->dims, sizeof dims);
    }
    fz_begin(p);
    if (form == 2)
        fz_put(p, "torch.empty_like(%v)", x);
    else {
        fz_put(p, form == 3 ? "%v.new_empty" : "torch.empty", x);
        put_size(p, dims, rank, form == 1 ? "([" : "((", form == 1 ? "]" : ")");
        if (form < 2)
            fz_put(p, ", dtype = %t", dtype);
        fz_put(p, ")");
    }
    const char *text = number_for(p, dtype, &k);
    const int buffer = fz_result(p, dtype, rank, dims, fz_interval(k, k, jc_dtypes[dtype].cls == 'f' ? 0.5 : 1));
    if (!fz_gives(p, buffer))
        return false;
    fz_begin(p)->form = FZ_EFFECT;
    if (fz_chance(p, 50) && rank)
        fz_put(p, "%v[Ellipsis] = %s", buffer, text);
    else
        fz_put(p, "%v.fill_(%s)", buffer, text);
    return true;
}

static bool make_clone(fz_prog *p) {
    const int x = fz_some(p, NULL, JC_DTYPE_COUNT);
    if (x < 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const fz_range r = *fz_range_of(p, x);
    fz_begin(p);
    if (fz_chance(p, 20))
        fz_put(p, "torch.ops.aten._to_copy.default(%v)", x);
    else
        fz_call(p, "clone", x, "");
    return fz_gives(p, fz_result(p, v.dtype, v.rank, v.dims, r));
}

/* A size as a value of its own. */
static bool make_symint(fz_prog *p) {
    const int x = fz_some(p, NULL, JC_DTYPE_COUNT), form = fz_below(p, 4);
    if (x < 0 || fz_at(p, x)->rank == 0)
        return false;
    const fz_value v = *fz_at(p, x);
    const int d = fz_below(p, v.rank);
    fz_size n = v.dims[d];
    fz_begin(p);
    if (form == 0) {
        fz_put(p, "%v.size(%d)", x, d);
    } else if (form == 1) {
        fz_put(p, "torch.ops.aten.sym_size.int(%v, %d)", x, d - v.rank);
    } else if (form == 2) {
        n = fz_int(1);
        for (int k = 0; k < v.rank; k++)
            n = fz_mul(p, n, v.dims[k]);
        fz_put(p, "%v.numel()", x);
    } else {
        fz_size a = fz_var_size(p, fz_below(p, p->nvars)), b = fz_some_size(p);
        const int op = fz_below(p, 5);
        n = op == 0 ? fz_add(p, a, b) : op == 1 ? fz_mul(p, a, b) : op == 2 ? fz_fdiv(p, a, 2) : op == 3 ? fz_mod(p, a, 3) : fz_max(p, a, b);
        if (op < 2)
            fz_put(p, op ? "%z * (%z)" : "%z + (%z)", &a, &b);
        else if (op < 4)
            fz_put(p, op == 2 ? "%z // 2" : "%z % 3", &a);
        else
            fz_put(p, "torch.sym_max(%z, %z)", &a, &b);
    }
    unsigned symbols = 0;
    fz_symbols_of(p, &n, &symbols);
    if (p->bad || symbols == 0) /* a constant is no value */
        return false;
    return fz_gives(p, fz_symint(p, n));
}

const fz_kind fz_make_kinds[] = {
    { "filled", make_filled, 5 }, { "filled_like", make_filled_like, 4 }, { "scalar", make_scalar, 1 },
    { "arange", make_arange, 5 }, { "empty", make_empty, 5 },             { "clone", make_clone, 5 },
    { "symint", make_symint, 4 }, { 0 },
};
