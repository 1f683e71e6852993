/*
 * jit/llvm/emit.h - what emission is made of: one compilation, and builders that know dtype and width.
 *
 * A kernel is emitted by its family (kernels/), which lays out threads and loops, and calls back here for expressions
 * (emit_expr.c), for the tape (emit_tape.c) and its accesses (emit_access.c), conversions (emit_convert.c) and
 * mathematics (emit_math.c).  What differs between GPU, CPU and simulator is behind jit/llvm/dialect.h.
 *
 * All of this lives as long as one compilation.  Builders never fail; what cannot be generated calls jc_emit_fail(),
 * which records the first reason, and the module is then thrown away.
 */
#ifndef JC_EMIT_H
#define JC_EMIT_H

#include <llvm-c/Core.h>
#include <stdio.h>

#include "base/vec.h"
#include "plan/kernel.h"
#include "plan/target.h"

struct jc_dialect_ops;

typedef struct jc_emit_types {
    LLVMTypeRef nothing, i1, i8, i16, i32, i64, f16, bf16, f32, f64;
    LLVMTypeRef ptr, gptr, sptr; /* generic, global and shared memory */
} jc_emit_types;

typedef struct jc_emit {
    jc_arena *arena;
    jc_error *err;
    jitc_status status;            /* of the first failure */
    const jc_kernel *k;
    const jc_target *target;
    const char *name;
    const struct jc_dialect_ops *d;
    LLVMContextRef c;
    LLVMModuleRef m;
    LLVMBuilderRef b;
    LLVMValueRef fn;
    jc_emit_types t;
    LLVMValueRef *args;            /* pointers (global), i64, f64 */
    LLVMValueRef self;             /* sim: the thread */
    LLVMValueRef first, last;      /* host: the range of blocks */
    LLVMMetadataRef *scope, *others; /* host: alias scopes by argument, NULL for numbers */
    LLVMValueRef shared_at;        /* nvptx, sim: the block's shared memory */
    unsigned host_width;           /* host: f32 lanes of a vector register */
    bool soft_f16;                 /* host, sim: the CPU has no f16 conversions */
    bool flush_bf16;               /* host: f32 becomes bf16 by the CPU's instruction, which makes 0 of what is subnormal */
    jc_map *names;                 /* somebody reads the IR: how often a name was given; else NULL */
} jc_emit;

jitc_status jc_emit_fail(jc_emit *e, const char *format, ...) JC_PRINTF(2, 3);

/* ---- small builders (emit_build.c) ---- */
LLVMTypeRef jc_vec_of(LLVMTypeRef scalar, unsigned w); /* the scalar type itself when W is 1 */
unsigned jc_width_of(LLVMTypeRef type);                /* 1 for scalars */
LLVMTypeRef jc_scalar_of(LLVMTypeRef type);
LLVMValueRef jc_i32(jc_emit *e, int64_t x);
LLVMValueRef jc_i64(jc_emit *e, int64_t x);
LLVMValueRef jc_i1(jc_emit *e, bool x);
LLVMValueRef jc_int_of(LLVMTypeRef type, int64_t x);   /* splat where TYPE is a vector */
LLVMValueRef jc_real_of(LLVMTypeRef type, double x);   /* splat where TYPE is a vector */
LLVMValueRef jc_splat(jc_emit *e, LLVMValueRef scalar, unsigned w);
LLVMValueRef jc_lane(jc_emit *e, LLVMValueRef v, unsigned i); /* V itself when scalar */
LLVMValueRef jc_set_lane(jc_emit *e, LLVMValueRef v, unsigned i, LLVMValueRef x);
LLVMValueRef jc_slice(jc_emit *e, LLVMValueRef v, unsigned first, unsigned n);
LLVMValueRef jc_undef(LLVMTypeRef type);
LLVMValueRef jc_gep(jc_emit *e, LLVMTypeRef element, LLVMValueRef base, LLVMValueRef index);
LLVMValueRef jc_alloca(jc_emit *e, LLVMTypeRef type, unsigned count, unsigned align, const char *name);
LLVMValueRef jc_call_intrinsic(jc_emit *e, const char *name, LLVMTypeRef *overload, unsigned noverload,
                               LLVMValueRef *args, unsigned nargs);
LLVMValueRef jc_unary_intrinsic(jc_emit *e, const char *name, LLVMValueRef a); /* overloaded on a's type */
LLVMValueRef jc_fused(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c); /* a*b + c, rounded once where the processor can */
/* Rounded once.  Where the processor has no fma this is a call, but what needs it is nothing without it. */
LLVMValueRef jc_exact_fma(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
LLVMValueRef jc_select(jc_emit *e, LLVMValueRef cond, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef jc_widen_int(jc_emit *e, LLVMValueRef v, LLVMTypeRef to, bool is_signed); /* or truncates */

/* ---- names (emit_name.c): each gives V ---- */
/* Names an instruction or argument that has no name yet. */
LLVMValueRef jc_name(jc_emit *e, LLVMValueRef v, const char *format, ...) JC_PRINTF(3, 4);
LLVMValueRef jc_name_arg(jc_emit *e, unsigned arg, LLVMValueRef v);  /* "p0", "n1" */
LLVMValueRef jc_name_instr(jc_emit *e, uint32_t i, LLVMValueRef v); /* "v3.mul" */
/* Names what has no name after the named values that it is part of. */
void jc_name_rest(LLVMModuleRef m, jc_arena *arena);

/* ---- control flow (emit_build.c): NAME is that of the loop variable, and the first word of the blocks' ---- */
typedef struct jc_if {
    LLVMBasicBlockRef then, end;
} jc_if;
jc_if jc_if_begin(jc_emit *e, LLVMValueRef cond, const char *name);
void jc_if_end(jc_emit *e, jc_if *s);

/* for (i = from; i < to; i += step), signed; I is a value of FROM's type. */
typedef struct jc_for {
    LLVMBasicBlockRef head, body, end;
    LLVMValueRef i, step;
    const char *name;
    bool rolled; /* set before its end: the assembler is not to unroll it, which takes it longer than all else */
} jc_for;
jc_for jc_for_begin(jc_emit *e, LLVMValueRef from, LLVMValueRef to, LLVMValueRef step, const char *name);
void jc_for_end(jc_emit *e, jc_for *s);

/* ---- expressions (emit_expr.c) ---- */
typedef struct jc_memo {
    struct jc_memo_row {
        const jc_expr *e;
        LLVMValueRef v;
    } *at;
    uint32_t n, cap;
} jc_memo;

struct jc_tape;
/* Where a piece of the tape is evaluated: values of the loop variables, and of the instructions emitted so far. */
typedef struct jc_env {
    jc_emit *e;
    struct jc_tape *tape;          /* NULL outside of a tape */
    struct jc_env *up;             /* one that dominates this: its values and expressions may be used */
    LLVMValueRef loop[JC_KERNEL_MAX_RANK]; /* i32 or i64; NULL: see `up`. Of a vector: the first point's */
    int lane;                      /* >= 0: expressions are of this point of the vector */
    LLVMValueRef *v;               /* per instruction */
    LLVMValueRef *memory;          /* likewise: what is moved, as it lies in memory */
    jc_memo memo;
    LLVMValueRef acc;              /* ACC */
    LLVMValueRef load_if;          /* i1: nothing is loaded where it is false; NULL: always */
    LLVMValueRef store_if;         /* i1: where it is false nothing is stored, or loaded through what is written; NULL: always */
} jc_env;

/* The value of X; i32 where its range is known to fit (not on the host), else i64. */
LLVMValueRef jc_emit_expr(jc_env *env, const jc_expr *x);
LLVMValueRef jc_emit_expr64(jc_env *env, const jc_expr *x);
bool jc_fits_i32(jc_emit *e, const jc_expr *x);
/* Quotient and remainder of A >= 0 by B > 0, of one type. */
void jc_emit_divmod(jc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef *q, LLVMValueRef *r);
/* Both as i32, or both as i64. */
void jc_same_int(jc_emit *e, LLVMValueRef *a, LLVMValueRef *b);
/* Splits INDEX, row-major over dims FIRST..LAST-1 of the kernel, into env->loop[]. */
void jc_emit_split_index(jc_env *env, LLVMValueRef index, unsigned first, unsigned last);

/* ---- the tape (emit_tape.c, emit_access.c) ---- */
typedef enum jc_access_kind {
    JC_ACCESS_SAME,   /* one element for all points of a vector */
    JC_ACCESS_RUN,    /* consecutive elements */
    JC_ACCESS_STRIDE, /* a constant step */
    JC_ACCESS_LANES,  /* anything else */
} jc_access_kind;

typedef struct jc_access {
    uint8_t kind;
    uint32_t align;           /* RUN: the first index is a multiple of this */
    const jc_expr *lane_step; /* STRIDE */
    const jc_expr *rest;      /* index = rest + move, rest free of the column, move a multiple of it; else NULL */
    const jc_expr *move;
} jc_access;
typedef JC_VEC(uint32_t) jc_deps;

/* A kernel's tape prepared for vectors of W points along the last loop variable. */
typedef struct jc_tape {
    jc_emit *e;
    unsigned w;
    bool *wide;          /* the value differs between the points of a vector */
    bool *column;        /* the value depends on the last loop variable at all */
    bool *exact;         /* a quotient or root that may not be approximate */
    bool *late;          /* LOAD: a store to the same argument stands before it */
    uint8_t *moved;      /* the dtype in whose memory form the value is needed too, or JC_NOT_MOVED */
    bool *stored;        /* per argument: some LOAD and some STORE use it */
    jc_access *access;   /* LOAD, STORE, INDEX */
    jc_deps *deps;       /* operands, then the instructions that the index uses */
    uint32_t sym_q, sym_t; /* the column is w*q + t */
} jc_tape;

void jc_tape_init(jc_tape *t, jc_emit *e, unsigned w);
/* Adds to NEED what those in it need. */
void jc_tape_close(const jc_tape *t, bool *need);
void jc_env_init(jc_env *env, jc_emit *e, jc_tape *t, jc_env *up);
/* Value of instruction I, as a vector of W when it is wide; with WIDE always (if W > 1). */
LLVMValueRef jc_env_value(jc_env *env, uint32_t i, bool wide);
/* SUM + the value of I, of floats, with all its points; a PRODUCT is not rounded before. */
LLVMValueRef jc_env_add_to(jc_env *env, uint32_t i, LLVMValueRef sum);
/* Emits instruction I unless it has a value; its operands must have theirs. */
void jc_emit_instr(jc_env *env, uint32_t i);
/* Loads and what they need first, then the rest: all instructions I with take[I] (NULL: all). */
void jc_emit_loads(jc_env *env, const bool *take);
void jc_emit_rest(jc_env *env, const bool *take);
void jc_emit_load(jc_env *env, uint32_t i);
void jc_emit_store(jc_env *env, uint32_t i);
void jc_emit_index(jc_env *env, uint32_t i);
/* Evaluates, in ENV, the parts of accesses of instructions in TAKE that are free of the column. */
void jc_emit_bases(jc_env *env, const bool *take);
bool jc_is_reduction(uint8_t op);

/* N elements of argument ARG from element INDEX (i32 or i64), which is a multiple of ALIGN; in the compute type. */
LLVMValueRef jc_load_run(jc_emit *e, unsigned arg, LLVMValueRef index, unsigned n, unsigned align);
/* The same as they lie in memory. */
LLVMValueRef jc_load_memory(jc_emit *e, unsigned arg, LLVMValueRef index, unsigned n, unsigned align);

/* ---- conversions (emit_convert.c) ---- */
LLVMTypeRef jc_ct_type(jc_emit *e, uint8_t ct);
LLVMTypeRef jc_memory_type(jc_emit *e, jc_dtype dtype);
LLVMValueRef jc_from_memory(jc_emit *e, jc_dtype dtype, LLVMValueRef v);
LLVMValueRef jc_to_memory(jc_emit *e, jc_dtype dtype, LLVMValueRef v);
LLVMValueRef jc_emit_round(jc_emit *e, jc_dtype dtype, LLVMValueRef v);
/* V, floats, to I64 by way of BITS (32, 64). */
LLVMValueRef jc_emit_whole(jc_emit *e, LLVMValueRef v, unsigned bits);
LLVMValueRef jc_emit_convert(jc_emit *e, uint8_t to, uint8_t from, LLVMValueRef v);

/* ---- moves (emit_move.c) ---- */
#define JC_NOT_MOVED JC_DTYPE_COUNT
/* jc_tape.moved: all instructions between a LOAD and a STORE of one small float dtype that compute nothing. */
uint8_t *jc_find_moved(jc_emit *e);
/* Value of instruction I as it lies in memory of DTYPE, its bits where it was only moved. */
LLVMValueRef jc_env_memory(jc_env *env, uint32_t i, jc_dtype dtype, bool wide);
/* What instruction I, not a LOAD, moves; nothing where it does not. */
void jc_emit_moved(jc_env *env, uint32_t i);

/* ---- mathematics (emit_math.c, emit_rare.c): f32 or f64, scalar or vector ---- */
LLVMValueRef jc_math_exp(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_exp2(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_log(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_sin(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_cos(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_tanh(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_erf(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_expm1(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_log1p(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_log2(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_log10(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_tan(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_asin(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_acos(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_atan(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_sinh(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_cosh(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_asinh(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_acosh(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_atanh(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_erfc(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_erfinv(jc_emit *e, LLVMValueRef x);
LLVMValueRef jc_math_atan2(jc_emit *e, LLVMValueRef y, LLVMValueRef x);
LLVMValueRef jc_math_hypot(jc_emit *e, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef jc_math_pow(jc_emit *e, LLVMValueRef x, LLVMValueRef y);
/* Exact, of Y's sign: what fmod gives, and Y more where that has the other sign. */
LLVMValueRef jc_math_remainder(jc_emit *e, LLVMValueRef x, LLVMValueRef y);
/* NaN when either is. */
LLVMValueRef jc_math_max(jc_emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef jc_math_min(jc_emit *e, LLVMValueRef a, LLVMValueRef b);

#endif
