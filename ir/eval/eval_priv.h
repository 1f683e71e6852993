/*
 * ir/eval/eval_priv.h - what the files of the reference share: storage, views, operands, iteration.
 *
 * A tensor is a view into a storage.  A storage holds its bytes as one or more *faces*: an array of doubles (or 64-bit
 * integers) per dtype it has been looked at with, of which the valid ones agree.  Reading through another dtype, as
 * `bitcast` does, makes that dtype's face from the bytes of the origin, which is `raw` or the face last written, rounding to its
 * dtype; writing makes all others invalid.  So to look changes nothing, and a NaN keeps its bits (eval_float.c).
 * Caller's memory (`raw`) is an input's origin and is never written.
 */
#ifndef JC_EVAL_PRIV_H
#define JC_EVAL_PRIV_H

#include "ir/eval/eval.h"

#define JC_NO_ORIGIN 0xff

typedef struct jc_ev_storage {
    int64_t bytes;
    const uint8_t *raw;            /* an input's or an operator result's bytes; NULL once something is written */
    void *face[JC_DTYPE_COUNT];    /* double * or int64_t *, by the dtype's class */
    uint32_t valid;                /* bit per dtype */
    uint8_t origin;                /* without RAW: the dtype whose face the bytes are, or JC_NO_ORIGIN */
    bool written;                  /* by anything, or an input */
    uint8_t *bytes_out;            /* while a custom operator runs: the bytes that it sees */
} jc_ev_storage;

typedef struct jc_ev_tensor {
    jc_ev_storage *st;
    uint8_t dtype;
    int rank;
    int64_t dims[JC_MAX_RANK], strides[JC_MAX_RANK], offset; /* elements */
} jc_ev_tensor;

/* What a value of the graph is at run time. */
typedef struct jc_ev_slot {
    bool set;
    jc_ev_tensor t; /* JC_TENSOR */
    jitc_value v;   /* all other kinds */
} jc_ev_slot;

/* One function being run. */
typedef struct jc_ev {
    jc_arena *arena;
    const jc_eval_host *host;
    jc_error *err;
    const jc_func *f;
    unsigned how;      /* JC_EVAL_... */
    const int64_t *syms;
    uint32_t nsyms;
    jc_ev_slot *slots; /* by value id */
    int depth;         /* of calls */
} jc_ev;

/* An operand laid out for iterating: broadcast to the result's dims; a number is a tensor of strides 0. */
typedef struct jc_ev_operand {
    const double *f;  /* one of the two */
    const int64_t *i;
    int64_t offset, strides[JC_MAX_RANK];
    double own_f;
    int64_t own_i;
    uint8_t dtype;
    bool number;
} jc_ev_operand;

#define JC_EV_MAX_OPERANDS 4

/* Walks DIMS row-major, keeping one offset per operand. */
typedef struct jc_ev_iter {
    int64_t left; /* elements still to visit, this one included */
    int rank, n;
    int64_t dims[JC_MAX_RANK], index[JC_MAX_RANK];
    int64_t strides[JC_EV_MAX_OPERANDS][JC_MAX_RANK];
    int64_t at[JC_EV_MAX_OPERANDS];
} jc_ev_iter;

static inline bool jc_is_float(uint8_t dtype) { return jc_dtypes[dtype].cls == 'f'; }
static inline double jc_ev_f(const jc_ev_operand *o, int64_t at) { return o->f ? o->f[at] : (double)o->i[at]; }

/* --- ir/eval/eval_tensor.c --- */
jc_ev_storage *jc_ev_storage_new(jc_ev *ev, int64_t bytes);
/* The arrays behind T, for reading; index them with offset and strides. */
double *jc_ev_floats(jc_ev *ev, const jc_ev_tensor *t);
int64_t *jc_ev_ints(jc_ev *ev, const jc_ev_tensor *t);
/* The same for writing: other faces become invalid. */
double *jc_ev_floats_out(jc_ev *ev, const jc_ev_tensor *t);
int64_t *jc_ev_ints_out(jc_ev *ev, const jc_ev_tensor *t);
/* N elements from element AT on, STRIDE apart, as doubles: without widening the whole of an input. */
void jc_ev_row(jc_ev *ev, const jc_ev_tensor *t, int64_t at, int64_t stride, int64_t n, double *out);
/* The bytes of the storage, rounded to the dtype of T, which views it: fresh, or RAW itself where SHARE allows it. */
uint8_t *jc_ev_bytes(jc_ev *ev, const jc_ev_tensor *t, bool share);

int64_t jc_ev_numel(const jc_ev_tensor *t);
bool jc_ev_contiguous(const jc_ev_tensor *t);
void jc_ev_row_major(jc_ev_tensor *t);
/* A fresh tensor of the value's type under the symbols. */
jitc_status jc_ev_new(jc_ev *ev, const jc_node *n, const jc_value *v, jc_ev_tensor *out);
/* The strides of OUT, dims are set, which N makes as its operands lie (ir/eval/eval_layout.c). */
jitc_status jc_ev_lay_out(jc_ev *ev, const jc_node *n, jc_ev_tensor *out);
/* A fresh row-major tensor of T's shape. */
jc_ev_tensor jc_ev_like(jc_ev *ev, const jc_ev_tensor *t, uint8_t dtype);
/* FROM's elements into TO (equal dims), with the rounding of a cast. */
void jc_ev_copy(jc_ev *ev, const jc_ev_tensor *from, const jc_ev_tensor *to);
/* T seen with DIMS, as expand does; false where they do not fit. */
bool jc_ev_broadcast(const jc_ev_tensor *t, int rank, const int64_t *dims, jc_ev_tensor *out);

jc_ev_iter jc_ev_begin(int rank, const int64_t *dims);
void jc_ev_with(jc_ev_iter *it, const int64_t *strides, int64_t offset); /* adds an operand */
void jc_ev_next(jc_ev_iter *it);

/* --- arguments --- */
jitc_status jc_ev_fail(jc_ev *ev, const jc_node *n, jitc_status status, const char *format, ...) JC_PRINTF(4, 5);
jitc_status jc_ev_expr(jc_ev *ev, const jc_node *n, const jc_expr *e, int64_t *out);
jitc_status jc_ev_tensor_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, jc_ev_tensor *out);
jitc_status jc_ev_int_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, int64_t *out);
/* A list of at most JC_MAX_RANK integers. */
jitc_status jc_ev_ints_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, int *count, int64_t *out);
/* A number: I where it is an integer or bool, F always; FLOATING says which. */
jitc_status jc_ev_number_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, double *f, int64_t *i, bool *floating);
/* A tensor or number, cast to DTYPE, for iterating over DIMS. */
jitc_status jc_ev_operand_arg(jc_ev *ev, const jc_node *n, const jc_arg *a, uint8_t dtype, int rank, const int64_t *dims,
                              jc_ev_operand *out);
jc_ev_tensor *jc_ev_result(jc_ev *ev, const jc_node *n, uint32_t i);

/* Integers wrap at their width; bool is 0 or 1. */
int64_t jc_ev_wrap(uint8_t dtype, int64_t x);
/* Rounds X, a value of dtype FROM, as `cast` to TO does: not at all where TO holds all of FROM's values. */
double jc_ev_cast(uint8_t from, uint8_t to, double x);
/* A floating value of dtype FROM as an integer of dtype TO, towards zero.  What 32 bits (u8, i64: 64) do not hold is their least value, as
   x86 has it, or with GPU the nearest; NaN is the least as well, but on a GPU 0 where both have 32 bits at most; then it wraps at the width. */
int64_t jc_ev_trunc(uint8_t from, uint8_t to, double x, bool gpu);
/* X as eager PyTorch would keep it: by way of f32. */
double jc_ev_rounded(uint8_t dtype, double x);

/* --- the operators: what ops.def names --- */
typedef jitc_status jc_ev_op(jc_ev *ev, const jc_node *n);
#define OP(id, sig, results, traits, infer, eval, ...) jc_ev_op jc_ev_##eval;
#include "ir/ops.def"

/* eval_custom.c: a string literal of a call, as the host wants it */
jitc_value jc_ev_string(jc_ev *ev, const char *text);

#endif
