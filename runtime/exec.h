/*
 * runtime/exec.h - executing a plan.
 *
 *   artifact bytes --jc_exec_load--> jc_exec (shared by all pieces of a class) --jc_exec_run--> results
 *
 * An executable is loaded once per device; everything a call needs for one set of symbol values (sizes, offsets, block
 * counts, tensor descriptors) is computed on first use and remembered (jc_shape), so a steady-state call allocates,
 * loads and synchronises nothing.
 */
#ifndef JC_EXEC_H
#define JC_EXEC_H

#include "runtime/device.h"
#include "runtime/ops.h"

#define JC_EXEC_VEC_ALIGN 16u /* bytes: what kernels rely on of inputs and outputs */

typedef struct jc_exec jc_exec;
typedef struct jc_shape jc_shape;  /* one set of symbol values */
typedef struct jc_frame jc_frame;  /* arena memory of calls: one call at a time per frame */

/* BYTES are copied as needed. Fails with JITC_E_UNSUPPORTED when the artifact is for another target. Verifies the plan. */
jitc_status jc_exec_load(jc_device *device, const uint8_t *artifact, size_t n, jc_exec **out, jc_error *err);
void jc_exec_free(jc_exec *e);
const jc_plan *jc_exec_plan(const jc_exec *e);

/* Finds the operators the plan calls and checks them (schema against call): first missing one is JITC_E_UNSUPPORTED with name,
   line and the schema inferred. Done once by jc_exec_run too. */
jitc_status jc_exec_bind_ops(jc_exec *e, const jc_registry *ops, jc_error *err);

/* Looked up or computed; safe from any thread. SYMS: one value per plan symbol.  The shape stays valid until it is given
   back; one that never is stays as long as the executable.  JITC_E_INPUT for values that this was not compiled for, and for sizes
   that overflow. */
jitc_status jc_exec_shape(jc_exec *e, const int64_t *syms, const jc_shape **out, jc_error *err);
void jc_shape_release(const jc_shape *s); /* NULL is allowed */
size_t jc_shape_escape_bytes(const jc_shape *s, uint32_t escape);
size_t jc_shape_arena_bytes(const jc_shape *s);

jitc_status jc_frame_new(jc_device *device, jc_frame **out, jc_error *err);
void jc_frame_free(jc_frame *f);

/* A record of custom operator calls, for `jitc run --json` and tests. */
typedef struct jc_call_trace {
    void (*call)(void *user, const char *op, const jitc_layer_name *first_name); /* NULL name: none */
    void *user;
} jc_call_trace;

/*
 * Runs the plan.  IN: one value per plan input (tensors on the device, checked against dtype, rank, dims under the shape and
 * strides: JITC_E_INPUT naming the input).  ESCAPES: one block per escape, jc_shape_escape_bytes() each, 256-byte aligned.
 * OUT: one value per output: JITC_TENSOR with a descriptor filled into OUT_TENSORS[i] (caller's, with room for 8 dims and
 * strides in OUT_DIMS[i]), JITC_INT for symints.  An input that is not 16-byte aligned is copied first (and back when written).
 */
typedef struct jc_exec_call {
    const jc_shape *shape;
    const jitc_value *in;
    void *const *escapes;
    jitc_value *out;
    DLTensor *out_tensors;
    int64_t (*out_dims)[2 * JC_MAX_RANK]; /* shape, then strides */
    void *stream;
    const jc_registry *ops;
    const jc_call_trace *trace; /* or NULL */
    const jc_log *log;
} jc_exec_call;
jitc_status jc_exec_run(jc_exec *e, jc_frame *f, const jc_exec_call *call, jc_error *err);

#endif
