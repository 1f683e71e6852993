/*
 * runtime/exec_priv.h - what the parts of the executor share: exec.c (loading, running), exec_shape.c (numbers of one set of
 * symbol values), exec_bounds.c (the most of a range of values), exec_args.c (a call's inputs and arguments), exec_frame.c (memory).
 */
#ifndef JC_EXEC_PRIV_H
#define JC_EXEC_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "plan/kernel.h"
#include "runtime/exec.h"

#define JC_EXEC_ALIGN 256u    /* of buffers within the arena */

/* A tensor or input in numbers. */
typedef struct jc_shaped {
    int64_t *dims, *strides; /* rank of each */
    int64_t offset;          /* bytes from the home's start */
    int64_t lo, hi;          /* bytes touched, relative to the first element: [lo, hi); both 0 when empty */
    int64_t value;           /* of a symint */
} jc_shaped;

struct jc_shape {
    const int64_t *syms;
    size_t arena;          /* bytes */
    size_t *buffers;       /* bytes of each */
    size_t *slots;         /* size, then offset of each */
    size_t *escapes;       /* bytes of each */
    jc_shaped *inputs, *tensors;
    int64_t *blocks;       /* of each step: 0 where it is skipped */
    int64_t *ints;         /* of kernel and call arguments, in order of the steps; see jc_exec_step */
    int64_t *outs;         /* of symint outputs */
};

/* What a step needs, counted once. */
typedef struct jc_exec_step {
    uint32_t first_int; /* its arguments' numbers in jc_shape.ints: one per argument, nested ones included */
    uint32_t nints;
    uint32_t nvalues, nentries, ntensors; /* of a call: nested values included, results not */
} jc_exec_step;

/* The operators found in one registry. */
typedef struct jc_binding {
    struct jc_binding *next;
    const jc_registry *ops;
    const jc_op_entry *steps[]; /* one per step, NULL for launches */
} jc_binding;

struct jc_exec {
    jc_arena *arena;
    jc_device *d;
    jc_plan *plan;
    jc_module **modules;
    jc_exec_step *steps;
    const char **checks;  /* the plan's, as text */
    uint32_t *written, nwritten; /* inputs that the plan writes */
    uint8_t *elements;    /* by input of an alias group: bytes of the largest element that it is accessed by; else 0 */
    uint32_t nints;
    uint32_t max_kargs, max_values, max_entries, max_tensors, max_results; /* of one step */
    uint32_t dims;        /* of all inputs and tensors */
    size_t scratch;       /* bytes of host memory a call needs */
    size_t shape_bytes;
    _Atomic(jc_binding *) bindings;
    pthread_mutex_t lock; /* adding bindings */
};

struct jc_frame {
    jc_device *d;
    jc_memory memory;      /* no functions: the device's */
    jc_region arena, temp; /* the plan's buffers, and copies of inputs that are not aligned */
    void *scratch;         /* host memory: see jc_run */
    size_t scratch_bytes;
    struct jc_frame_block *blocks; /* all that was ever taken */
    _Atomic uint64_t bytes, nblocks, kept;
};

/* One call under way; the arrays lie in the frame's scratch memory. */
typedef struct jc_run {
    const jc_exec *e;
    const jc_shape *s;          /* NULL while operators are checked: values only have tags then */
    const jc_exec_call *call;
    jc_frame *f;
    bool copied;                /* an input was not aligned */
    uint8_t **in;               /* first element of each tensor input: the caller's, or the aligned copy's */
    jc_scalar *scalars;         /* value of each other input */
    uint8_t **buffers;
    void **pointers, **kargs;   /* of one launch */
    jc_device_range *ranges;
    jitc_value *values;         /* of one call, here and below */
    jitc_entry *entries;
    const char **keys;
    DLTensor *tensors, *results;
    DLTensor **result_at;
    int64_t (*result_dims)[2 * JC_MAX_RANK];
} jc_run;

/* exec_frame.c */
jitc_status jc_frame_scratch(jc_frame *f, size_t want, jc_error *err);
/* exec_shape.c */
void jc_shape_count(jc_exec *e); /* fills e->shape_bytes */
/* Bytes of an input's copy: room before the first element (strides may be negative), then the rest. */
static inline size_t jc_copy_bytes(int64_t lo, int64_t hi, size_t *before) {
    *before = ((size_t)-lo + JC_EXEC_ALIGN - 1) / JC_EXEC_ALIGN * JC_EXEC_ALIGN;
    return *before + ((size_t)hi + JC_EXEC_ALIGN - 1) / JC_EXEC_ALIGN * JC_EXEC_ALIGN;
}

/* exec_overlap.c */
void jc_exec_find_written(jc_exec *e);                 /* fills e->written; allocates from the arena */
jitc_status jc_run_apart(jc_run *r, jc_error *err);    /* no written input shares bytes with one that the plan takes as apart from it */

/* exec_args.c */
uint32_t jc_exec_count(jc_exec *e);  /* fills e->steps and the sizes that follow from the plan */
size_t jc_run_carve(const jc_exec *e, void *scratch, jc_run *r); /* bytes needed; sets R's arrays unless SCRATCH is NULL */
jitc_status jc_run_inputs(jc_run *r, jc_error *err);    /* checks the inputs, copies what is not aligned */
jitc_status jc_run_copy_back(jc_run *r, jc_error *err); /* copies that were written */
/* The steps JC_CHECK_INDEX and JC_CHECK_INFO: JITC_E_INPUT where an integer is none that it may be (exec_check.c). */
jitc_status jc_run_check(jc_run *r, uint32_t step, jc_error *err);
void jc_run_args(jc_run *r, uint32_t step);             /* r->values, r->keys of a call */
void jc_run_tensor(jc_run *r, uint32_t tensor, DLTensor *out, int64_t *dims); /* DIMS: room for 2 * JC_MAX_RANK, or NULL */
uint8_t *jc_run_home(const jc_run *r, uint32_t tensor);
bool jc_run_same_shape(const DLTensor *a, int32_t ndim, const int64_t *dims);

#endif
