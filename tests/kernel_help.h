/*
 * tests/kernel_help.h - kernels by hand, compiled and run on the host and in the simulator.
 */
#ifndef JC_KERNEL_HELP_H
#define JC_KERNEL_HELP_H

#include "base/vec.h"
#include "plan/kernel.h"
#include "plan/target.h"

typedef struct kb {
    jc_arena *arena;
    jc_kernel k;
    JC_VEC(jc_instr) tape;
    JC_VEC(jc_karg) args;
    JC_VEC(jc_ksym) syms;
    const char *cpu; /* host, sim: the level to compile for; NULL: this machine's */
} kb;

typedef union value {
    void *p;
    int64_t i;
    double f;
} value;

/* A kernel of RANK loop variables, with schedule of one thread and one element. */
kb *kb_new(uint8_t family, unsigned rank);
void kb_free(kb *b);
/* Extent D is the constant N. */
void kb_extent(kb *b, unsigned d, int64_t n);
/* Extent D is E, at most MOST. */
void kb_extent_of(kb *b, unsigned d, const jc_expr *e, int64_t most);
const jc_expr *kb_loop(kb *b, unsigned d);
const jc_expr *kb_const(kb *b, int64_t x);
const jc_expr *kb_add(kb *b, const jc_expr *x, const jc_expr *y);
const jc_expr *kb_mul(kb *b, const jc_expr *x, const jc_expr *y);
const jc_expr *kb_muli(kb *b, const jc_expr *x, int64_t y);
/* sum of loop variables times these strides */
const jc_expr *kb_strided(kb *b, const int64_t *strides);
/* The symbol of a new integer argument. */
const jc_expr *kb_int(kb *b, int64_t lo, int64_t hi, int64_t divisor);
unsigned kb_float(kb *b);
unsigned kb_ptr(kb *b, jc_dtype dtype, bool written);
/* The symbol of instruction I. */
const jc_expr *kb_tape_sym(kb *b, uint32_t i, int64_t lo, int64_t hi);

uint32_t kb_load(kb *b, unsigned arg, const jc_expr *index);
void kb_store(kb *b, unsigned arg, const jc_expr *index, uint32_t v);
uint32_t kb_index(kb *b, const jc_expr *index);
uint32_t kb_f(kb *b, double f);
uint32_t kb_i(kb *b, int64_t i);
uint32_t kb_op(kb *b, jc_tape_op op, uint32_t a, uint32_t b2, uint32_t c); /* the result's type follows from a */
uint32_t kb_convert(kb *b, jc_ct to, uint32_t a);
uint32_t kb_whole(kb *b, uint32_t a);
uint32_t kb_round(kb *b, jc_dtype dtype, uint32_t a);
uint32_t kb_acc(kb *b, jc_ct ct);

/* The finished kernel as bytes; verified. */
void kb_finish(kb *b, jc_bytes *out);
/* Compiles for TARGET ("host", "sim", "sm_90a"); fails the test when that fails. IR may be NULL. */
const uint8_t *kb_compile(kb *b, const char *target, size_t *n, char **ir);
/* Compiles for the host or the simulator and runs; SIZES: bytes behind each pointer, for the simulator. */
void kb_run(kb *b, const char *target, const value *args, const size_t *sizes);
/* The CPU levels whose code this machine runs, up to its own: how many there are. */
unsigned host_levels(const char *out[8]);
/* Number of times WHAT occurs in TEXT. */
unsigned count_text(const char *text, const char *what);

/* Milliseconds that LLVM took, printed at the end of a program. */
void kb_print_times(void);

/* ---- numbers, by slow and plain means ---- */
double dtype_get(jc_dtype dtype, const void *at, int64_t i);
void dtype_set(jc_dtype dtype, void *at, int64_t i, double x);
void fill_random(jc_dtype dtype, void *at, int64_t n, double lo, double hi, uint64_t seed);

/* The code generator, opened as libjitc opens it. */
struct jc_backend;
const struct jc_backend *kernel_backend(void);

#endif
