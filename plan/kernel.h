/*
 * plan/kernel.h - what a kernel computes and how its work is laid out: all that the code generator is told.
 *
 * The scheduler (jit/) makes kernels from a class, the code generator (jit/llvm, kernels/) turns each into code for one
 * dialect.  A kernel is data: its bytes (jc_kernel_encode) are the preimage of its key, so equal kernels of different classes
 * are compiled once, and nothing that is not in the bytes can influence the code.
 *
 * A kernel has an iteration space (`rank` loop variables with extents), and a tape: a list of scalar instructions in SSA
 * form, executed for every point of the space.  Loads and stores carry the element offset as an expression over loop
 * variables, integer arguments, and earlier results of the tape (gathers).  How points are spread over blocks, threads and
 * vector lanes is the family's business:
 *
 *   POINT   every point is independent.  The space is linearised, row-major.  A thread takes `vec` consecutive points,
 *           `unroll` times, with a stride of threads*vec points; a block takes threads*vec*unroll points.
 *           vec > 1 only if it divides the last extent always (then vectors never straddle a row).
 *           blocks = ceil(points / (threads*vec*unroll))
 *   ROW     the last loop variable is the column; RED_* instructions reduce over it; the others number the rows (rank 1: one
 *           row).  `lanes` threads work on a row, a block has threads/lanes rows at once.  A step is lanes*vec
 *           columns.  steps > 0: the row is at most steps*lanes*vec columns and is held in registers, each load done once;
 *           steps == 0: loops over the row once per phase and loads again.  A phase ends where a
 *           reduction's result is used.  vec > 1 only if it divides the column extent.
 *           A STORE whose index is free of the column variable is done once a row, by the first lane.
 *           blocks = ceil(rows / (threads/lanes))
 *   WALK    loop variable 0 is the step, which is run through in order; the others number the walkers, one point each, neighbours along
 *           the last (rank 2 at least), in vectors as POINT has them.  A CARRY is what one step hands to the next, a LAST what is left after
 *           all.  Instructions fall into three phases: those that no step changes come before the first one, what follows from a LAST after the
 *           last one, the rest is done at each step, loads and stores in the order of the tape.  What one walker stores no other one loads or
 *           stores, whatever the indices that it reads.
 *           blocks = ceil(walkers / (threads*vec*unroll)); unroll: host, one block takes that many in turn
 *   DOT     C[b, m, n] = sum_k A[b, m, k] * B[b, n, k], lanes along k: `lanes` threads (host: the one thread) make tile_m x tile_n
 *           outputs and take `vec` consecutive k each, `unroll` times before they add up.  Partial sums meet by shuffles, then by
 *           shared memory.  Any dtype.  groups = threads/lanes, laid along n;
 *           blocks = batch * ceil(M/tile_m) * ceil(N/(tile_n*groups)), with the block of m fastest
 *   MMA     the same by tensor cores (f16/bf16, sm_80 up): block tile tile_m x tile_n x tile_k, `stages` buffers in
 *           shared memory filled by asynchronous copies, warps_m x warps_n warps.  Needs kstride 1 and 16-byte aligned
 *           rows on both sides (row offsets and K divisible by 8).
 *           blocks = batch * ceil(M/tile_m) * ceil(N/tile_n), with m fastest
 *   WGMMA   the same by a warpgroup's tensor cores (sm_90a), which read both operands in shared memory and run beside the threads: warps_m
 *           warps of 16 rows each, four of them a group; tile_k is 64, a row of 128 bytes, and `stages` is 3 at least, since the stage read last
 *           may still be.  What MMA needs, and blocks as MMA
 *   TILE    the same on the host, B read once for many rows: a block has tile_m x tile_n outputs, whose sums it holds in memory.  It
 *           copies tile_k of B at a time, converted, to where it is contiguous, and multiplies them by warps_m rows of A (copied
 *           too) at once, with warps_n vectors of `vec` columns in registers.  lanes 2: both are bf16, and pairs of neighbours along k are
 *           multiplied at once, for CPUs that can (jc_target_facts); 32: these by the CPU's tiles of 16 rows by 16 pairs, warps_m/16 times warps_n
 *           of sums; else 1.
 *           blocks = batch * ceil(M/tile_m) * ceil(N/tile_n), with m fastest
 *   BAND    the same on the host for a row or two, where B's elements are consecutive along n: lanes along n.  A block has one row
 *           (tile_m 1) of tile_n outputs, whose sums lie in memory; B streams through, `unroll` of k at a time, `vec` columns in a vector.
 *           blocks as TILE
 *   ATTN    attention on the host: O[b, m, n] = sum_s P[b, m, s] * V[b, s, n], where P is the softmax along s of
 *           scale * sum_e Q[b, m, e] * K[b, s, e] + mask[b, m, s].  A block has tile_m rows and takes tile_k keys at a time, in vectors of
 *           `vec`: of each row it keeps the largest score so far, the sum of the weights, which are relative to that, and the weighted
 *           values, so scores are nowhere but in a scratch of tile_m x tile_k.
 *           The rows of a block are those of `group` neighbouring heads (loop variable rank-3), which have K, V in common: row r is that of
 *           m = r / group and head r % group.
 *           blocks = batch / group * ceil(M*group / tile_m)
 *   FLASH   the same by tensor cores (f16/bf16, sm_80 up): warps_m warps of tile_m/warps_m rows each.  Q, and one tile of K and V, lie in
 *           shared memory, filled by asynchronous copies: V's while the scores are made, the next K's while these are used.
 *           Of few rows, `parts` blocks take a part of the keys each, and leave sums for another kernel to join.
 *           Needs columns that are consecutive, 16-byte aligned rows, E and N divisible by 16.  Weights are rounded to the operands' dtype.
 * For products the space is [batch..., M, N] and the tape starts from ACC, the f32 (f64 for f64 operands) sum at a point: it is the
 * epilogue, and stores.  So it is for attention, whose N and E are constants.
 *
 * Code is called once per launch over `blocks` linear blocks (grid.x); see jc_kernel_blocks().
 *   nvptx   .entry NAME(args in order: pointers, i64, f64 ...)
 *   host    void NAME(void *const *args, int64_t first, int64_t last): runs blocks first <= b < last; args[i] points to
 *           the value of argument i (as cuLaunchKernel's kernelParams do)
 *   sim     void NAME(void *const *args, struct jc_sim_thread *self): one thread of the nvptx schedule
 *
 * Pointers are 16-byte aligned, loose ones to their elements.  Arguments do not overlap where one of them is written: what is read and
 * written is one argument, read at the indices that are stored to.
 */
#ifndef JC_KERNEL_H
#define JC_KERNEL_H

#include "base/hash.h"
#include "ir/type.h"

/*
 * The kernel families: id, name, what it sums up, if anything (jc_sums): then a tape starts from ACC.
 * One is known everywhere or does not link: from this list expand
 *   blocks_NAME, shared_NAME    plan/kernel.c            blocks of a launch, bytes of shared memory
 *   check_NAME                  plan/kernel_verify.c     is the schedule legal?
 *   jc_kernel_NAME              kernels/family.h         the code
 *   cost_NAME                   jit/service/service_kernel.c   which is compiled first
 */
#define JC_FAMILY_LIST(X) X(POINT, point, NONE) X(ROW, row, NONE) X(DOT, dot, PRODUCT) X(MMA, mma, PRODUCT) X(WALK, walk, NONE) \
    X(TILE, tile, PRODUCT) X(BAND, band, PRODUCT) X(ATTN, attn, ATTENTION) X(FLASH, flash, ATTENTION) \
    X(WGMMA, wgmma, PRODUCT)
/* NONE: nothing; PRODUCT: operands a and b along k; ATTENTION: `attention`, with E in k. */
typedef enum jc_sums { JC_SUMS_NONE, JC_SUMS_PRODUCT, JC_SUMS_ATTENTION } jc_sums;
typedef enum jc_family {
#define JC_FAMILY_ENUM(id, name, sums) JC_K_##id,
    JC_FAMILY_LIST(JC_FAMILY_ENUM)
#undef JC_FAMILY_ENUM
        JC_FAMILY_COUNT
} jc_family;
typedef struct jc_family_info {
    const char *name; /* "point", "row" ... */
    uint8_t sums;     /* jc_sums */
} jc_family_info;
extern const jc_family_info jc_families[JC_FAMILY_COUNT];

/* What a tape value is computed in. f16, bf16 and fp8 are computed in F32, integers in I64. */
typedef enum jc_ct { JC_CT_F32, JC_CT_F64, JC_CT_I64, JC_CT_B1, JC_CT_NONE } jc_ct;

/*
 * Tape instructions: id, operands, what it does.
 * Result type: that of operand a unless said otherwise. MINIMUM and MAXIMUM give NaN when an operand is NaN.
 */
#define JC_TAPE_LIST(X)                                                                            \
    X(LOAD, 0, "element `index` of argument `arg`, converted to the compute type of its dtype")   \
    X(STORE, 1, "a, rounded to the dtype of argument `arg` (its bits where LOAD, SELECT and ROUND of that dtype made it), to its element `index`; no result") \
    X(FLOAT, 0, "constant `f`, of type ct")                                                       \
    X(INT, 0, "constant `i`; I64 or B1")                                                          \
    X(INDEX, 0, "the integer expression `index`: I64")                                            \
    X(SCALAR, 0, "float argument `arg`, as ct")                                                   \
    X(ACC, 0, "products: the sum at this point")                                                  \
    X(NEG, 1, "-a")                                                                               \
    X(ABS, 1, "|a|")                                                                              \
    X(EXP, 1, "e^a")                                                                              \
    X(EXP2, 1, "2^a")                                                                             \
    X(LOG, 1, "natural logarithm")                                                                \
    X(SQRT, 1, "")                                                                                \
    X(RSQRT, 1, "")                                                                               \
    X(RCP, 1, "1/a")                                                                              \
    X(SIN, 1, "")                                                                                 \
    X(COS, 1, "")                                                                                 \
    X(TANH, 1, "")                                                                                \
    X(ERF, 1, "")                                                                                 \
    X(EXPM1, 1, "e^a - 1")                                                                          \
    X(LOG1P, 1, "log(1 + a)")                                                                       \
    X(LOG2, 1, "")                                                                                  \
    X(LOG10, 1, "")                                                                                 \
    X(TAN, 1, "")                                                                                   \
    X(ASIN, 1, "")                                                                                  \
    X(ACOS, 1, "")                                                                                  \
    X(ATAN, 1, "")                                                                                  \
    X(SINH, 1, "")                                                                                  \
    X(COSH, 1, "")                                                                                  \
    X(ASINH, 1, "")                                                                                 \
    X(ACOSH, 1, "")                                                                                 \
    X(ATANH, 1, "")                                                                                 \
    X(ERFC, 1, "")                                                                                  \
    X(ERFINV, 1, "the inverse of ERF")                                                              \
    X(FLOOR, 1, "")                                                                               \
    X(CEIL, 1, "")                                                                                \
    X(RINT, 1, "the nearest whole number, of two the even one")                                     \
    X(SIGNBIT, 1, "B1: of a float, NaN and -0 too")                                                   \
    X(NOT, 1, "bitwise, of I64; logical, of B1")                                                  \
    X(ADD, 2, "")                                                                                 \
    X(SUB, 2, "")                                                                                 \
    X(MUL, 2, "")                                                                                 \
    X(PRODUCT, 2, "floats: a*b, which ADD, SUB (of b too) and RED_SUM take unrounded; to all others MUL") \
    X(FMA, 3, "floats: a*b + c, rounded once")                                                    \
    X(DIV, 2, "floats: a/b; I64: towards minus infinity, 0 where b is 0")                         \
    X(REM, 2, "a - floor(a/b)*b, 0 where integers are divided by 0")                              \
    X(POW, 2, "floats")                                                                           \
    X(ATAN2, 2, "")                                                                                 \
    X(HYPOT, 2, "sqrt(a*a + b*b)")                                                                    \
    X(MINIMUM, 2, "")                                                                             \
    X(MAXIMUM, 2, "")                                                                             \
    X(AND, 2, "I64, B1")                                                                          \
    X(OR, 2, "I64, B1")                                                                           \
    X(XOR, 2, "I64, B1")                                                                          \
    X(SHL, 2, "I64; 0 where b is not in 0..63")                                                   \
    X(SHR, 2, "I64, arithmetic; the sign where b is not in 0..63")                                \
    X(EQ, 2, "B1")                                                                                \
    X(NE, 2, "B1; true for NaN")                                                                  \
    X(LT, 2, "B1")                                                                                \
    X(LE, 2, "B1")                                                                                \
    X(SELECT, 3, "a (B1) ? b : c; type of b")                                                     \
    X(CONVERT, 1, "a to ct: floats to I64 towards zero (none fits: the host has the least I64, others the nearest; of NaN the least); to B1: a != 0; B1 to numbers: 0 or 1") \
    X(WHOLE, 1, "a float to I64 as CONVERT does, but by way of 32 bits, which it has to fit; others than the host: of an F32 that is NaN, 0")     \
    X(ROUND, 1, "a float rounded to `dtype` and back; an integer wrapped to `dtype`")             \
    X(RED_SUM, 1, "ROW: over the columns; the same in every column")                              \
    X(RED_MAX, 1, "")                                                                             \
    X(RED_MIN, 1, "")                                                                             \
    X(RED_PROD, 1, "")                                                                      \
    X(CARRY, 1, "WALK: a at the first step, then what NEXT gave it at the step before; `i` tells carries apart") \
    X(NEXT, 2, "WALK: at the next step, CARRY a is b; no result")                                 \
    X(LAST, 1, "WALK: what CARRY a would be at the step after the last")

typedef enum jc_tape_op {
#define JC_TAPE_ENUM(id, operands, text) JC_T_##id,
    JC_TAPE_LIST(JC_TAPE_ENUM)
#undef JC_TAPE_ENUM
    JC_T_COUNT
} jc_tape_op;

typedef struct jc_tape_info {
    const char *name;
    uint8_t operands;
} jc_tape_info;
extern const jc_tape_info jc_tape_ops[JC_T_COUNT];

typedef struct jc_instr {
    uint8_t op;    /* jc_tape_op */
    uint8_t ct;    /* jc_ct of the result; NONE for STORE and NEXT */
    uint8_t dtype; /* ROUND */
    uint16_t arg;  /* LOAD, STORE, SCALAR */
    uint32_t a, b, c; /* earlier instructions */
    union {
        double f;
        int64_t i;
        const jc_expr *index; /* LOAD, STORE, INDEX */
    };
} jc_instr;

typedef enum jc_karg_kind { JC_KARG_PTR, JC_KARG_I64, JC_KARG_F64 } jc_karg_kind;
typedef struct jc_karg {
    uint8_t kind;
    uint8_t dtype;    /* of a pointer's elements */
    bool written;     /* a pointer the kernel stores through */
    bool weight;      /* never written by anything while the kernel runs: may be loaded as invariant */
    bool loose;       /* a pointer that is aligned to its elements alone: a view that cannot be moved to where it would be more */
    uint32_t sym;     /* I64: the symbol in `ex` that stands for it (its range and divisor are facts) */
} jc_karg;

typedef enum jc_ksym_kind { JC_KSYM_LOOP, JC_KSYM_ARG, JC_KSYM_TAPE } jc_ksym_kind;
typedef struct jc_ksym {
    uint8_t kind;   /* jc_ksym_kind */
    uint32_t index; /* loop variable, argument, or instruction */
} jc_ksym;

/* One operand of a product: element (batch, row, k) lies at `row + k*kstride`, row an expression over loop variables. */
typedef struct jc_operand {
    uint16_t arg;
    const jc_expr *row;     /* A: over batch and m; B: over batch and n (loop variables rank-2 and rank-1) */
    const jc_expr *kstride;
} jc_operand;

/* One matrix of each batch: element (i, j) lies at `base + i*row + j*column`, base an expression over the loop variables of the batch. */
typedef struct jc_matrix {
    uint16_t arg;
    const jc_expr *base, *row, *column;
} jc_matrix;

typedef struct jc_attention {
    jc_matrix q, k, v, mask; /* [m, e], [s, e], [s, n], [m, s]; mask: bools, false where a key is not seen, or floats to be added */
    bool masked, causal;     /* there is a mask; key s is seen from row m if s <= m */
    uint16_t group;          /* heads that share k and v */
    uint16_t parts;          /* FLASH: above 1, loop variable 0 numbers parts of the keys, and ACC is what `sdpa_parts` has (ir/ops.def) */
    uint32_t scale;          /* the instruction that gives it, of ACC's type, free of loop variables and ACC */
    const jc_expr *keys;     /* how many there are */
} jc_attention;

#define JC_KERNEL_MAX_RANK JC_MAX_RANK
#define JC_MAX_HEAD 256 /* E and N of attention */
#define JC_KERNEL_MAX_ARGS 500          /* what fits the 4 KiB of parameters that every CUDA has */
#define JC_KERNEL_MAX_SHARED (227 * 1024) /* the largest block of sm_90 */

/* The compute type of a dtype's elements. */
jc_ct jc_compute_type(jc_dtype dtype);

typedef struct jc_kernel {
    uint8_t family;
    uint8_t rank;
    bool exact;       /* strict mode: no quotient, root or function is an approximation that is quicker */
    jc_exprs *ex;     /* symbols: see `syms` */
    jc_ksym *syms;    /* one per symbol of ex; the loop variables come first, symbol d is loop variable d */
    uint32_t nsyms;
    const jc_expr *extent[JC_KERNEL_MAX_RANK]; /* over integer arguments; the last is the fastest */
    uint32_t nargs;
    jc_karg *args;
    uint32_t ninstrs;
    jc_instr *tape;

    jc_operand a, b;      /* products */
    const jc_expr *k;     /* products: length of the sum; attention: of the one that makes a score */
    jc_attention attention;

    /* schedule */
    uint16_t threads, vec, unroll; /* vec: elements; unroll: POINT, WALK, DOT, BAND */
    uint16_t lanes, steps;         /* lanes: ROW, DOT, TILE; steps: ROW */
    uint16_t tile_m, tile_n, tile_k, stages, warps_m, warps_n;
} jc_kernel;

static inline bool jc_kernel_is_product(const jc_kernel *k) { return jc_families[k->family].sums == JC_SUMS_PRODUCT; }
static inline bool jc_kernel_is_attention(const jc_kernel *k) { return jc_families[k->family].sums == JC_SUMS_ATTENTION; }
/* What its tape starts from is summed up in this: F64 where an operand is f64, else F32. */
jc_ct jc_kernel_acc_type(const jc_kernel *k);
/* E and N of attention; the last extent is N, or more where there are parts. */
uint32_t jc_kernel_head(const jc_kernel *k);
uint32_t jc_kernel_head_out(const jc_kernel *k);
/* Does the kernel read argument ARG other than by LOAD? */
bool jc_kernel_sums_read(const jc_kernel *k, uint32_t arg);
/* The number of linear blocks, as an expression over the integer arguments' symbols. */
const jc_expr *jc_kernel_blocks(jc_kernel *k);
/*
 * Bytes of static shared memory a launch needs on nvptx: the code generator allocates exactly this.
 *   ROW with lanes > 32   8 bytes for each RED_* instruction and warp: instruction r of the tape's reductions (from 0), warp w
 *                         of the block has the 8 bytes at 8*(r*(threads/32) + w)
 *   DOT with lanes > 32   8 bytes for each output of a tile and warp
 *   MMA, WGMMA            stages*(tile_m + tile_n)*tile_k*2; the epilogue needs none
 *   FLASH                 (tile_m*E + tile_k*(E + N))*2, and at least what 16 rows of results of each warp need: 16*warps_m*(C + 8)*4,
 *                         C the last extent: N, or N + 8 for parts
 *   all others            0
 */
uint32_t jc_kernel_shared(const jc_kernel *k);

/* When an instruction of a WALK is done. */
typedef enum jc_walk_phase { JC_WALK_BEFORE, JC_WALK_STEP, JC_WALK_AFTER } jc_walk_phase;
/* Of all instructions, to PHASE: one each.  False where one needs what a step has and what is left after all. */
bool jc_kernel_walk_phases(const jc_kernel *k, uint8_t *phase);

/* Our own invariants: operands earlier, types fit, expressions use known symbols, schedule is legal. */
jitc_status jc_kernel_verify(const jc_kernel *k, jc_error *err);
void jc_kernel_print(const jc_kernel *k, jc_bytes *out); /* as text, one instruction a line */
void jc_kernel_encode(const jc_kernel *k, jc_bytes *out);
/* Bytes may be hostile: JITC_E_INPUT. */
jitc_status jc_kernel_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_kernel **out, jc_error *err);

#endif
