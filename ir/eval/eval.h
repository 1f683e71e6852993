/*
 * ir/eval/eval.h - the reference: slow, plain, in double precision, and sharing no code with the generator.
 *
 * Floating tensors hold doubles, all others 64-bit integers, in real strided storage, so views and writes behave as in
 * PyTorch.  It judges in two ways.  The exact one rounds values to their dtype only at explicit casts (`cast` to a narrower float) and
 * at what enters and leaves a custom operator, which is called with the graph's own dtypes: what the graph means.  The eager one
 * rounds after every operator, composite ones in their parts, and overflows there, as PyTorch does without a compiler: what strict code
 * gives, but for the order of sums and the last place of functions.  What a graph gives is right near either.  Integers wrap at
 * their width in both.
 * Inputs come as raw tensors of the graph's dtypes and are converted exactly.
 */
#ifndef JC_EVAL_H
#define JC_EVAL_H

#include "ir/graph.h"
#include "jitc/value.h"

/* Calls a custom operator on tensors in host memory, contiguous or strided as the graph has them. KEYS[i] NULL:
   positional. */
typedef struct jc_eval_host {
    jitc_status (*call)(void *user, const char *target, const jitc_value *args, const char *const *keys,
                        uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err);
    void *user;
    /* The layer name that stands for a string literal of a call; NULL: strings are passed as JITC_STR. */
    const jitc_layer_name *(*name)(void *user, const char *text);
} jc_eval_host;

/* A result in the reference's own precision. */
typedef struct jc_eval_out {
    uint8_t kind;        /* jc_kind: JC_TENSOR, JC_SYMINT (integer), ... */
    uint8_t dtype;
    bool undefined;      /* nothing wrote this buffer */
    int rank;
    int64_t dims[JC_MAX_RANK];
    int64_t integer;     /* symint */
    double *f;           /* row-major elements of a floating tensor, else NULL */
    int64_t *i;          /* row-major elements of an integer or bool tensor, else NULL */
} jc_eval_out;

/* Ways to run: any of them, or 0 for the exact one. */
enum {
    JC_EVAL_EAGER = 1, /* rounds after every operator */
    JC_EVAL_CLAMP = 4, /* an index out of range is the nearest row, and nobody asks whether matrices have factors; else they are JITC_E_INPUT */
    JC_EVAL_GPU = 2,   /* what processors do differently goes as on CUDA: floats that no integer holds, numbers beside narrow floats */
};

/*
 * Runs F, which may call pieces, in way HOW.  SYMS holds one value per symbol of the graph's table (see ir/solve.h).  IN has one value
 * per parameter: JITC_TENSOR in host memory (shape as the annotation says under SYMS, any strides), JITC_NAME,
 * JITC_INT (symints and lifted integers), ...  OUT has one entry per output.  All results live in ARENA.  Tensors in IN are
 * never written: a graph that writes its inputs writes to copies.
 */
jitc_status jc_eval(const jc_func *f, unsigned how, const int64_t *syms, uint32_t nsyms, const jitc_value *in,
                    const jc_eval_host *host, jc_arena *arena, jc_eval_out *out, jc_error *err);

/* The same; WRITTEN, one entry for each parameter, gets what is in those that F writes afterwards, and nothing for others. */
jitc_status jc_eval_written(const jc_func *f, unsigned how, const int64_t *syms, uint32_t nsyms, const jitc_value *in,
                            const jc_eval_host *host, jc_arena *arena, jc_eval_out *out, jc_eval_out *written, jc_error *err);

/* Rounding and conversion, by plain bit arithmetic: to the nearest even value of the dtype; f8e4m3fn saturates to NaN
   as PyTorch's cast does. */
double jc_round_to(jc_dtype dtype, double x);
double jc_load_float(jc_dtype dtype, const void *at);
void jc_store_float(jc_dtype dtype, void *at, double x);
int64_t jc_load_int(jc_dtype dtype, const void *at);
void jc_store_int(jc_dtype dtype, void *at, int64_t x);

#endif
