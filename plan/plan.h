/*
 * plan/plan.h - the ordered steps of an executable: what to allocate, launch, call and give back.
 *
 * A plan belongs to a class and a target.  It holds no pointers and no names of the graph; everything is a number into one
 * of its tables.  Integers that depend on symbols are expressions over the class's symbols, evaluated once per set of symbol
 * values.  The executor (runtime/exec.c) follows it; jc_plan_decode() verifies every index, so that executing a decoded plan
 * can only touch what it allocated and what the caller gave.
 *
 * Memory.  `buffers` are byte ranges with one lifetime each.  Buffers with `escape` set hold outputs (and views of them) and are
 * supplied by the caller, one block per escape number; the others lie in the call's arena at offsets that the executor
 * computes from `slot`: buffers of one slot share one range (their lifetimes do not meet), the range as large as the largest.
 */
#ifndef JC_PLAN_H
#define JC_PLAN_H

#include <string.h>

#include "base/hash.h"
#include "ir/type.h"
#include "plan/target.h"

#define JC_PLAN_NONE UINT32_MAX
#define JC_PLAN_MAX_DEPTH 8 /* of lists and dicts in the arguments of a call */

typedef struct jc_plan_input {
    jc_type type;      /* over the plan's symbols */
    bool written;
    uint32_t alias;    /* inputs of one number, not 0, may share memory; all others lie apart where one of them is written */
} jc_plan_input;

typedef struct jc_plan_buffer {
    const jc_expr *bytes;
    uint32_t slot;     /* of the arena, or JC_PLAN_NONE when it escapes */
    uint32_t escape;   /* block supplied by the caller, or JC_PLAN_NONE */
    bool undefined;    /* the graph lets somebody see what nobody wrote there */
} jc_plan_buffer;

typedef enum jc_plan_home { JC_HOME_INPUT, JC_HOME_BUFFER } jc_plan_home;

/* A tensor: a strided view of an input or a buffer. */
typedef struct jc_plan_tensor {
    uint8_t home;
    uint32_t index;        /* input or buffer */
    const jc_expr *offset; /* elements (of this tensor's dtype) from the home's start; for an input: from its data */
    jc_type type;          /* strides NULL: contiguous */
} jc_plan_tensor;

typedef enum jc_step_kind {
    JC_STEP_LAUNCH,
    JC_STEP_CALL,
} jc_step_kind;

/* An argument of a launch, in the kernel's order. */
enum { JC_KARG_READS = 1, JC_KARG_WRITES = 2 };
typedef struct jc_plan_karg {
    uint8_t kind;        /* jc_karg_kind */
    uint8_t access;      /* PTR: what the kernel does through it */
    uint32_t tensor;     /* PTR: tensor (its offset is added to the pointer); what is read lies in it */
    uint32_t nparts;     /* PTR that is written: the tensors, of the same home, that are written in whole; none where indices say what is */
    uint32_t *parts;
    const jc_expr *expr; /* I64 */
    uint32_t input;      /* I64, F64 from a lifted literal: the input; else JC_PLAN_NONE */
    double f;            /* F64 constant */
} jc_plan_karg;

/* An argument of a custom operator, as in the call. */
typedef struct jc_plan_arg {
    uint8_t kind;    /* jitc_tag */
    const char *key;
    union {
        uint32_t tensor;     /* JITC_TENSOR */
        uint32_t input;      /* JITC_NAME and lifted literals: JITC_INT/FLOAT/BOOL with from_input */
        const jc_expr *expr; /* JITC_INT */
        double f;
        bool b;
        const char *str;
        struct {
            struct jc_plan_arg *at;
            uint32_t n;
        } list;
    };
    bool from_input;
} jc_plan_arg;

/* The `op` of a call that no operator serves but the executor: are all elements of a tensor of integers rows of a table?  Arguments: the
   tensor, the number of rows, which dim of the table, and whether negative ones count from the end.  For devices in host memory. */
#define JC_CHECK_INDEX "jitc::check_index"
/* Likewise: are all elements of a tensor of integers 0?  Arguments: the tensor, and the number that ir/info.h has for who asks. */
#define JC_CHECK_INFO "jitc::check_info"

static inline bool jc_plan_is_check(const char *op) {
    return strcmp(op, JC_CHECK_INDEX) == 0 || strcmp(op, JC_CHECK_INFO) == 0;
}

typedef struct jc_plan_step {
    uint8_t kind;
    int line;
    /* launch: skipped unless lo <= guard <= hi (guard NULL: always), and when blocks is 0 */
    uint32_t kernel;
    const jc_expr *blocks;
    const jc_expr *guard;
    int64_t lo, hi;
    uint32_t nkargs;
    jc_plan_karg *kargs;
    /* call */
    const char *op;     /* "vllm::gdn_in_proj" */
    uint32_t nargs;
    jc_plan_arg *args;
    uint32_t nresults;
    uint32_t *results;  /* tensors */
    uint64_t writes;    /* over the tensor operands in order; all 64 bits: those beyond as well */
} jc_plan_step;

typedef struct jc_plan_kernel {
    jc_hash key;       /* of the kernel's bytes and the target */
    char name[32];     /* symbol in the code: "point_1a2b3c4d5e6f" (family and the head of the key) */
    uint32_t threads;
    uint32_t shared;
} jc_plan_kernel;

/* "point_1a2b3c4d5e6f": FAMILY is a jc_family. */
void jc_plan_kernel_name(uint8_t family, const jc_hash *key, char out[32]);

typedef enum jc_plan_out_kind { JC_OUT_TENSOR, JC_OUT_INPUT, JC_OUT_EXPR, JC_OUT_NONE } jc_plan_out_kind;
typedef struct jc_plan_output {
    uint8_t kind;
    bool undefined;      /* TENSOR: a buffer that nothing writes */
    uint32_t index;      /* tensor, or input passed through */
    const jc_expr *expr;
} jc_plan_output;

typedef struct jc_plan {
    jc_exprs *ex;   /* symbols 0..nsyms-1 are the class's */
    uint32_t nsyms;
    uint32_t ninputs, nbuffers, ntensors, nkernels, nsteps, noutputs, nslots, nescapes, nchecks;
    jc_plan_input *inputs;
    jc_plan_buffer *buffers;
    jc_plan_tensor *tensors;
    jc_plan_kernel *kernels;
    jc_plan_step *steps;
    jc_plan_output *outputs;
    jc_condition *checks; /* what has to hold of the symbols' values before anything runs */
} jc_plan;

/* The input that output I is a view of, or is; JC_PLAN_NONE: none. */
uint32_t jc_plan_viewed(const jc_plan *p, uint32_t i);
jitc_status jc_plan_verify(const jc_plan *p, jc_error *err);
/* Its last part (plan/plan_flow.c), on a plan of which all else holds: no step reads what nothing wrote, or what it may be writing. */
jitc_status jc_plan_flow(const jc_plan *p, jc_error *err);
void jc_plan_print(const jc_plan *p, jc_bytes *out);
void jc_plan_encode(const jc_plan *p, jc_bytes *out);
/* Bytes may be hostile: JITC_E_INPUT; a decoded plan has passed jc_plan_verify. */
jitc_status jc_plan_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_plan **out, jc_error *err);

/* --- artifacts: a plan and the code of its kernels, as one byte string (plan/artifact.c) --- */
typedef enum jc_code_kind { JC_CODE_OBJECT, JC_CODE_CUBIN, JC_CODE_PTX } jc_code_kind;
typedef struct jc_code {
    jc_hash key;      /* the kernel's */
    uint8_t kind;     /* jc_code_kind */
    const uint8_t *bytes;
    size_t nbytes;
} jc_code;
typedef struct jc_artifact {
    jc_target target;
    const uint8_t *plan;
    size_t nplan;
    uint32_t ncodes;
    jc_code *codes;   /* in the order of the plan's kernels */
} jc_artifact;
void jc_artifact_encode(const jc_artifact *a, jc_bytes *out);
/* Borrows from BYTES. */
jitc_status jc_artifact_decode(const uint8_t *bytes, size_t n, jc_arena *arena, jc_artifact *out, jc_error *err);
/* The same of the artifact that R starts with: R is behind it afterwards. */
jitc_status jc_artifact_take(jc_reader *r, jc_arena *arena, jc_artifact *out, jc_error *err);
/* All its code is PTX: what it runs on is a matter of the driver's assembler (jc_target_runs_on). */
bool jc_artifact_is_ptx(const jc_artifact *a);

#endif
