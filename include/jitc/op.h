/*
 * jitc/op.h - custom operators: functions of the host that compiled graphs call.
 *
 * An operator is registered under its PyTorch schema, for example
 *     vllm::gdn_in_proj(Tensor x, int qkvz, int ba, LayerName layer) -> (Tensor, Tensor)
 * Types: Tensor, Tensor(a!) (written), Tensor?, Tensor[], int, SymInt, float, bool, str, LayerName, Any, each with `?` for
 * optional and `= default`.  `str` and `LayerName` both arrive as a layer name.  Overloads register as "ns::op.overload(…)".
 * A registered schema never changes what is compiled: it must write no operand that the graph's compilation did
 * not count as written.
 *
 * A *plain function* takes the call, then one parameter per schema argument, then one DLTensor * per result to fill:
 *     int f(jitc_call *call, const DLTensor *x, int64_t qkvz, int64_t ba, const jitc_layer_name *layer,
 *           DLTensor *out0, DLTensor *out1);
 * with Tensor and Tensor? as const DLTensor * (NULL for None), written ones as DLTensor *, int and SymInt as int64_t,
 * float as double, bool as bool, str, str?, LayerName and LayerName? as const jitc_layer_name * (NULL for None), int?,
 * float? and bool? as const jitc_value *, everything else as const jitc_value *.  It is called through libffi.
 * A *frame function* gets the values as an array in schema order instead; an operator whose schema is
 * "ns::op(...) -> ..." (three dots) gets whatever the graph passes, keywords in call->keys.
 *
 * Triton kernels.  A launch in the graph calls "higher_order::triton_kernel_wrapper_mutation(...) -> ()", to be registered as a
 * frame function.  By keyword it gets kernel_idx and constant_args_idx (JITC_INT: the host's handles of kernel and constants, each
 * launch's own, whatever class it is in), grid (JITC_LIST of JITC_LISTs of JITC_INT), kwargs (JITC_DICT: tensors, numbers and
 * sizes by the names of the kernel's parameters), tma_descriptor_metadata (JITC_DICT) and launch_kwargs (JITC_LIST of JITC_STR).
 * Every tensor among kwargs counts as written.
 *
 * Either returns 0, or non-zero after writing a sentence to call->error.  The results' shape, dtype, strides and
 * memory are set; the function fills the elements.  A result that the graph does not use, and whose type it therefore does not say,
 * comes as u8[0], whose data may be NULL: there is nothing to fill.  On `cuda` tensors are device memory and work must be put on
 * call->stream.  Functions may be called from the thread that runs the graph, and from several at once when
 * several graphs run.
 */
#ifndef JITC_OP_H
#define JITC_OP_H

#include <stdbool.h>
#include "jitc/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct jitc_context jitc_context;

typedef struct jitc_call {
    size_t struct_size;
    const char *op;          /* "vllm::gdn_in_proj" */
    void *user;              /* as registered */
    DLDevice device;
    void *stream;            /* CUstream on cuda, else NULL */
    char *error;             /* error_size bytes to write a sentence to */
    size_t error_size;
    uint32_t nargs, nresults;
    const jitc_value *args;       /* in schema order, defaults filled in */
    const char *const *keys;      /* "..." operators: keyword of each argument or NULL; else NULL */
    DLTensor *const *results;
} jitc_call;

typedef int (*jitc_frame_function)(jitc_call *call);
typedef void (*jitc_plain_function)(void); /* cast to this */
/* Shapes of the results: RESULTS[i]->ndim and shape[0..7] come in as annotated and may be changed. 0 is ok. */
typedef int (*jitc_shape_function)(jitc_call *call);

typedef struct jitc_op_options {
    size_t struct_size;
    jitc_shape_function shape; /* NULL: the annotated shapes */
    void *user;
    unsigned devices;          /* bit (1 << kDLCPU), (1 << kDLCUDA): what the function can work on; 0: both */
} jitc_op_options;

/*
 * Registers an operator; the strings are copied.  Fails with JITC_E_USAGE when the schema cannot be parsed or the
 * operator is registered already for one of the devices.  Not while another thread uses CTX.
 */
JITC_API jitc_status jitc_op_register(jitc_context *ctx, const char *schema, jitc_plain_function function,
                                      const jitc_op_options *options);
JITC_API jitc_status jitc_op_register_frame(jitc_context *ctx, const char *schema, jitc_frame_function function,
                                            const jitc_op_options *options);

/*
 * Plugins.  A shared object with this entry point:
 *     jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api);
 * It must return JITC_E_ABI when api->abi is not JITC_PLUGIN_ABI; it registers through the table, so that it needs to
 * link against nothing.  jitc_plugin_load keeps the object open as long as the context lives.  A plugin can do
 * anything the process can: load only what you trust.  One that belongs to another user (neither this one nor root), or that its group
 * or everybody may write to, is refused, unless jitc_context_options.trust_files says otherwise; what was looked at is what is opened.
 */
#define JITC_PLUGIN_ABI 1
typedef struct jitc_plugin_api {
    size_t struct_size;
    unsigned abi;
    jitc_status (*op_register)(jitc_context *, const char *, jitc_plain_function, const jitc_op_options *);
    jitc_status (*op_register_frame)(jitc_context *, const char *, jitc_frame_function, const jitc_op_options *);
    const char *(*layer_name_text)(const jitc_layer_name *name);
    void *(*layer_name_user)(const jitc_layer_name *name);
} jitc_plugin_api;
typedef jitc_status (*jitc_plugin_entry)(jitc_context *ctx, const jitc_plugin_api *api);
#define JITC_PLUGIN_ENTRY "jitc_plugin_register"

/* PATH with a slash is taken as it is; without one it is looked for in the current directory only. JITC_E_IO where it
   cannot be opened, JITC_E_TRUST where others could have put it there, JITC_E_ABI for another ABI, JITC_E_INPUT without the entry point. */
JITC_API jitc_status jitc_plugin_load(jitc_context *ctx, const char *path);

#ifdef __cplusplus
}
#endif
#endif
