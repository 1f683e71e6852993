/*
 * ir/type.c - dtypes and the types of values.
 */
#include <string.h>
#include "ir/type.h"

const jc_dtype_info jc_dtypes[JC_DTYPE_COUNT] = {
#define ROW(id, name, torch, size, cls, dl_code, dl_bits, safetensors)                             \
    { name, torch, safetensors, size, cls, dl_code, dl_bits },
    JC_DTYPE_LIST(ROW)
#undef ROW
};

/* Spellings beside print_readable's and PyTorch's canonical ones. */
static const struct {
    const char *name;
    jc_dtype dtype;
} synonyms[] = {
    { "float", JC_F32 }, { "half", JC_F16 },  { "double", JC_F64 }, { "int", JC_I32 },
    { "long", JC_I64 },  { "short", JC_I16 }, { "char", JC_I8 },    { "byte", JC_U8 },
};

static bool same(const char *a, const char *name, size_t length) {
    return strncmp(a, name, length) == 0 && a[length] == 0;
}

int jc_dtype_find(const char *name, size_t length) {
    for (int d = 0; d < JC_DTYPE_COUNT; d++) {
        if (same(jc_dtypes[d].name, name, length))
            return d;
    }
    for (int d = 0; d < JC_DTYPE_COUNT; d++) {
        if (same(jc_dtypes[d].torch, name, length))
            return d;
    }
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++) {
        if (same(synonyms[i].name, name, length))
            return (int)synonyms[i].dtype;
    }
    return -1;
}

double jc_dtype_largest(jc_dtype dtype) {
    static const double at[JC_DTYPE_COUNT] = {
        [JC_F16] = 65504, [JC_BF16] = 0x1.fep127, [JC_F32] = 0x1.fffffep127, [JC_F64] = 0x1.fffffffffffffp1023,
        [JC_F8E4M3FN] = 448, [JC_F8E5M2] = 57344,
    };
    return at[dtype];
}

/* bool < integers < floats; among equals the wider, with two exceptions: u8 and a signed one meet in a signed one that holds
   both, two different 16-bit (or 8-bit) floats in the next format that holds both. */
jc_dtype jc_dtype_promote(jc_dtype a, jc_dtype b) {
    static const char classes[] = "biuf";
    const jc_dtype_info *x = &jc_dtypes[a], *y = &jc_dtypes[b];
    if (a == b)
        return a;
    if (x->cls != y->cls && (x->cls == 'f' || y->cls == 'f' || x->cls == 'b' || y->cls == 'b'))
        return strchr(classes, x->cls) > strchr(classes, y->cls) ? a : b;
    if (x->cls != y->cls)
        return x->size == y->size ? JC_I16 : x->size > y->size ? a : b;
    if (x->size == y->size)
        return x->size == 1 ? JC_F16 : JC_F32;
    return x->size > y->size ? a : b;
}

const jc_expr **jc_type_row_major(jc_exprs *t, jc_arena *arena, const jc_expr *const *dims, int rank) {
    const jc_expr **strides = JC_NEWN(arena, const jc_expr *, (size_t)rank);
    const jc_expr *stride = jc_ex_int(t, 1);
    for (int d = rank - 1; d >= 0; d--) {
        strides[d] = stride;
        if (d > 0)
            stride = jc_ex_mul(t, stride, dims[d]);
    }
    return strides;
}

const jc_expr *const *jc_type_strides(jc_exprs *t, jc_arena *arena, const jc_type *type) {
    return type->strides ? type->strides : jc_type_row_major(t, arena, type->dims, type->rank);
}

const jc_expr *jc_type_numel(jc_exprs *t, const jc_type *type) {
    return jc_ex_product(t, type->dims, type->rank);
}

static void print_list(const jc_exprs *t, const jc_expr *const *at, int n, jc_bytes *out) {
    jc_put_text(out, "[");
    for (int i = 0; i < n; i++) {
        if (i)
            jc_put_text(out, ", ");
        jc_ex_print(t, at[i], out);
    }
    jc_put_text(out, "]");
}

void jc_type_print(const jc_exprs *t, const jc_type *type, jc_bytes *out) {
    static const char *const names[] = {
        [JC_NAME] = "LayerName", [JC_INT] = "int", [JC_FLOAT] = "float", [JC_BOOL] = "bool",
    };
    if (type->kind == JC_TENSOR) {
        jc_put_text(out, "%s", jc_dtypes[type->dtype].name);
        print_list(t, type->dims, type->rank, out);
        if (type->strides)
            print_list(t, type->strides, type->rank, out);
    } else if (type->kind == JC_SYMINT) {
        jc_put_text(out, "Sym(");
        jc_ex_print(t, type->expr, out);
        jc_put_text(out, ")");
    } else {
        jc_put_text(out, "%s", names[type->kind]);
    }
}

char *jc_type_text(const jc_exprs *t, const jc_type *type, jc_arena *arena) {
    jc_bytes out = JC_BYTES(arena);
    jc_type_print(t, type, &out);
    jc_put_u8(&out, 0);
    return (char *)out.at;
}
