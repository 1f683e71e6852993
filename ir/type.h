/*
 * ir/type.h - dtypes and the types of values.
 */
#ifndef JC_TYPE_H
#define JC_TYPE_H

#include "ir/expr.h"

/* id, print_readable's short name, PyTorch's name, bytes, class ('f' float, 'i' signed, 'u' unsigned, 'b' bool),
   DLPack code, DLPack bits, safetensors name */
#define JC_DTYPE_LIST(X)                                                                           \
    X(F16, "f16", "float16", 2, 'f', 2, 16, "F16")                                                 \
    X(BF16, "bf16", "bfloat16", 2, 'f', 4, 16, "BF16")                                             \
    X(F32, "f32", "float32", 4, 'f', 2, 32, "F32")                                                 \
    X(F64, "f64", "float64", 8, 'f', 2, 64, "F64")                                                 \
    X(I8, "i8", "int8", 1, 'i', 0, 8, "I8")                                                        \
    X(I16, "i16", "int16", 2, 'i', 0, 16, "I16")                                                   \
    X(I32, "i32", "int32", 4, 'i', 0, 32, "I32")                                                   \
    X(I64, "i64", "int64", 8, 'i', 0, 64, "I64")                                                   \
    X(U8, "u8", "uint8", 1, 'u', 1, 8, "U8")                                                       \
    X(B8, "b8", "bool", 1, 'b', 6, 8, "BOOL")                                                      \
    X(F8E4M3FN, "f8e4m3fn", "float8_e4m3fn", 1, 'f', 10, 8, "F8_E4M3")                             \
    X(F8E5M2, "f8e5m2", "float8_e5m2", 1, 'f', 12, 8, "F8_E5M2")

typedef enum jc_dtype {
#define JC_DTYPE_ENUM(id, ...) JC_##id,
    JC_DTYPE_LIST(JC_DTYPE_ENUM)
#undef JC_DTYPE_ENUM
    JC_DTYPE_COUNT
} jc_dtype;

typedef struct jc_dtype_info {
    const char *name, *torch, *safetensors;
    uint8_t size, cls, dl_code, dl_bits;
} jc_dtype_info;
extern const jc_dtype_info jc_dtypes[JC_DTYPE_COUNT];

#define JC_MAX_RANK 8

typedef enum jc_kind {
    JC_TENSOR,
    JC_SYMINT, /* an integer known as an expression over symbols */
    JC_NAME,   /* a layer name: opaque */
    JC_INT,    /* a lifted literal: known at run time only */
    JC_FLOAT,
    JC_BOOL,
} jc_kind;

typedef struct jc_type {
    uint8_t kind;   /* jc_kind */
    uint8_t dtype;  /* jc_dtype, of a tensor */
    uint8_t rank;
    const jc_expr *const *dims;    /* rank of them */
    const jc_expr *const *strides; /* in elements; NULL: contiguous (row-major) */
    const jc_expr *expr;           /* of a symint */
} jc_type;

/* The narrowest dtype of that spelling ("bf16", "torch.bfloat16" without "torch.", "float"...); -1 when unknown. */
int jc_dtype_find(const char *name, size_t length);
/* The largest number of a floating dtype. */
double jc_dtype_largest(jc_dtype dtype);
/* PyTorch's promotion of two tensor dtypes; scalars are handled by the operators. */
jc_dtype jc_dtype_promote(jc_dtype a, jc_dtype b);

/* Row-major strides of DIMS, RANK of them. */
const jc_expr **jc_type_row_major(jc_exprs *t, jc_arena *arena, const jc_expr *const *dims, int rank);
/* The strides, written out. */
const jc_expr *const *jc_type_strides(jc_exprs *t, jc_arena *arena, const jc_type *type);
const jc_expr *jc_type_numel(jc_exprs *t, const jc_type *type);
/* "bf16[s0, 256]", with "[strides]" where not contiguous; "Sym(s18)", "LayerName", "int", ... */
void jc_type_print(const jc_exprs *t, const jc_type *type, jc_bytes *out);
char *jc_type_text(const jc_exprs *t, const jc_type *type, jc_arena *arena);

#define JC_KEYS_AT_ONCE 64 /* attention by parts of the keys (ir/ops.def): what a part of `sdpa_parts` has a multiple of */
#define JC_PARTS_EXTRA 8   /* its columns besides the values' */

#endif
