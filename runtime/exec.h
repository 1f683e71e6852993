/*
 * runtime/exec.h - executing a plan.
 *
 *   artifact bytes --jc_exec_load--> jc_exec (shared by all pieces of a class) --jc_exec_run--> results
 *
 * An executable is loaded once per device and does not change afterwards.  What a call needs for one set of symbol values
 * (sizes, offsets, block counts, tensor descriptors) is a jc_shape, computed into memory of the caller, who keeps it; what it needs
 * of memory is a jc_frame's.  With both at hand a call allocates, loads, locks and waits for nothing.
 */
#ifndef JC_EXEC_H
#define JC_EXEC_H

#include "runtime/device.h"
#include "runtime/ops.h"

#define JC_EXEC_VEC_ALIGN 16u /* bytes: what kernels rely on of inputs and outputs */

typedef struct jc_exec jc_exec;
typedef struct jc_shape jc_shape;  /* one set of symbol values */
typedef struct jc_frame jc_frame;  /* memory of calls: one call at a time per frame */

/* BYTES are copied as needed. Fails with JITC_E_UNSUPPORTED when the artifact is for another target. Verifies the plan. */
jitc_status jc_exec_load(jc_device *device, const uint8_t *artifact, size_t n, jc_exec **out, jc_error *err);
void jc_exec_free(jc_exec *e);
const jc_plan *jc_exec_plan(const jc_exec *e);

/* Finds the operators the plan calls and checks them (schema against call): first missing one is JITC_E_UNSUPPORTED with name,
   line and the schema inferred. Done once by jc_exec_run too. */
jitc_status jc_exec_bind_ops(jc_exec *e, const jc_registry *ops, jc_error *err);

/* Computed into AT: jc_exec_shape_bytes(), aligned to 16. SYMS: one value per plan symbol.  JITC_E_INPUT for values that this was
   not compiled for, and for sizes that overflow. */
size_t jc_exec_shape_bytes(const jc_exec *e);
jitc_status jc_exec_shape(const jc_exec *e, const int64_t *syms, void *at, const jc_shape **out, jc_error *err);
size_t jc_shape_escape_bytes(const jc_shape *s, uint32_t escape);
const size_t *jc_shape_escapes(const jc_shape *s); /* of all */
size_t jc_shape_arena_bytes(const jc_shape *s);
/* Output I, a tensor, as a call will give it but for its data: dims and strides are the shape's. False for other outputs. */
bool jc_shape_output(const jc_exec *e, const jc_shape *s, uint32_t i, DLTensor *out);
/* It fills the whole of its escape, from its first byte, row-major. */
bool jc_shape_output_alone(const jc_exec *e, const jc_shape *s, uint32_t i);
int64_t jc_shape_output_offset(const jc_exec *e, const jc_shape *s, uint32_t i); /* of a view of an input: bytes */

/* What shapes of plan P with LO[sym] <= value <= HI[sym] need at most; ESCAPES has room for one per escape. TEMP: copies of
   inputs that are not aligned, but for those marked in SKIP (NULL: all). JITC_E_INPUT when that overflows. */
typedef struct jc_exec_most {
    size_t arena, temp;
    size_t *escapes;
} jc_exec_most;
jitc_status jc_exec_bounds(const jc_plan *p, const int64_t *lo, const int64_t *hi, const bool *skip, jc_exec_most *out,
                           jc_error *err);

/* ---- frames: runtime/exec_frame.c ------------------------------------------------------------------------------- */

/* Where a frame's device memory comes from: blocks aligned to 256, NULL when there is none. */
typedef struct jc_memory {
    void *(*alloc)(void *user, size_t size, void *stream);
    void (*free)(void *user, void *block, size_t size, void *stream);
    void *user;
} jc_memory;
/* A block that a frame owns; grown, never shrunk or moved: a larger one takes its place and the old one stays for those who
   still refer to it. */
typedef struct jc_region {
    uint8_t *at;
    size_t bytes;
} jc_region;

jitc_status jc_frame_new(jc_device *device, const jc_memory *memory, jc_frame **out, jc_error *err); /* NULL: the device's */
void jc_frame_free(jc_frame *f);
/* At least WANT bytes; a block that replaces another is half as large again at least. */
jitc_status jc_frame_grow(jc_frame *f, jc_region *r, size_t want, void *stream, jc_error *err);
/* What calls need within themselves: device memory for the plan's own buffers and for copies of inputs, host memory for E. */
jitc_status jc_frame_reserve(jc_frame *f, size_t arena, size_t temp, void *stream, jc_error *err);
jitc_status jc_frame_reserve_host(jc_frame *f, const jc_exec *e, jc_error *err);
typedef struct jc_frame_memory {
    uint64_t bytes, blocks, kept; /* device memory now; of that, in blocks that were replaced */
} jc_frame_memory;
void jc_frame_count(const jc_frame *f, jc_frame_memory *out); /* safe from any thread */

/* A record of custom operator calls, for `jitc run --json` and tests. */
typedef struct jc_call_trace {
    void (*call)(void *user, const char *op, const jitc_layer_name *first_name); /* NULL name: none */
    void *user;
} jc_call_trace;

typedef union jc_scalar {
    int64_t i;
    double f;
} jc_scalar;

/* Inputs from call to call: where they lie and what they are, as the last run found them.  Only those listed in FRESH are looked
   at again; the others must be as they were in a run with this shape that looked at all, and aligned. */
typedef struct jc_kept {
    uint8_t **at;        /* one per plan input */
    jc_scalar *scalars;  /* likewise */
    const uint32_t *fresh; /* NULL: all */
    uint32_t nfresh;
} jc_kept;

/*
 * Runs the plan.  IN: one value per plan input (tensors on the device, checked against dtype, rank, dims under the shape and
 * strides: JITC_E_INPUT naming the input).  ESCAPES: one block per escape, jc_shape_escape_bytes() each, 256-byte aligned.
 * KEPT: see above; NULL: nothing is.
 * OUT: one value per output: JITC_TENSOR with a descriptor filled into OUT_TENSORS[i] (caller's, with room for 8 dims and
 * strides in OUT_DIMS[i]), JITC_INT for symints.  An input that is not 16-byte aligned is copied first (and back when written).
 */
typedef struct jc_exec_call {
    const jc_shape *shape;
    const jitc_value *in;
    const jc_kept *kept;
    void *const *escapes;
    jitc_value *out;
    DLTensor *out_tensors;
    int64_t (*out_dims)[2 * JC_MAX_RANK]; /* shape, then strides */
    void *stream;
    const jc_registry *ops;
    const jc_call_trace *trace; /* or NULL */
    const jc_log *log;
} jc_exec_call;
/* "bf16[16, 128]" and, where STRIDES, " with strides [256, 1]" */
const char *jc_run_describe(const DLTensor *t, bool strides, char out[320]);
/* Element by element, on the stream, into a tensor of the same dtype, dims and strides (of dims longer than one); what lies between
   its elements stays. Nothing where they are the same memory. */
jitc_status jc_device_copy_tensor(jc_device *d, const DLTensor *to, const DLTensor *from, void *stream, jc_error *err);
bool jc_exec_aligned(const DLTensor *t); /* as kernels want it: such a tensor is not copied */
bool jc_device_holds(const jc_device *d, DLDevice at); /* can its kernels read what lies there? */
jitc_status jc_exec_run(jc_exec *e, jc_frame *f, const jc_exec_call *call, jc_error *err);

#endif
