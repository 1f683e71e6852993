/*
 * runtime/ops.h - the registry of custom operators, layer names, and calling out through libffi.
 */
#ifndef JC_RT_OPS_H
#define JC_RT_OPS_H

#include "base/debug.h"
#include "base/vec.h"
#include "jitc/op.h"

#define JC_OP_MAX_ARGS 64u                 /* of a schema */
#define JC_SCHEMA_ANY_RESULTS UINT32_MAX   /* jc_schema.nresults of "ns::op(...) -> ..." */

/* A parsed PyTorch schema. */
typedef enum jc_schema_type {
    JC_ST_TENSOR, JC_ST_INT, JC_ST_FLOAT, JC_ST_BOOL, JC_ST_NAME /* str and LayerName */, JC_ST_TENSORS, JC_ST_ANY,
} jc_schema_type;
typedef struct jc_schema_arg {
    const char *name;
    uint8_t type;      /* jc_schema_type */
    bool optional, written, keyword_only, has_default;
    jitc_value dflt;   /* of a str or LayerName: JITC_STR; the registry makes a layer name of it */
} jc_schema_arg;
typedef struct jc_schema {
    const char *name;  /* "vllm::gdn_in_proj" or "ns::op.overload"; never ends in ".default" */
    bool any;          /* "(...)" */
    uint32_t nargs, nresults;
    jc_schema_arg *args;
} jc_schema;
/* JITC_E_USAGE says column and what was expected. Lives in ARENA. */
jitc_status jc_schema_parse(const char *text, jc_arena *arena, jc_schema *out, jc_error *err);

typedef struct jc_registry jc_registry; /* the registry */
jc_registry *jc_ops_new(jc_arena *arena); /* lives in ARENA, which must outlive it */
/* Where defaults of str parameters are interned; without it each is a layer name of its own. Before registering. */
typedef struct jc_names jc_names;
void jc_ops_set_names(jc_registry *ops, jc_names *names);
jitc_status jc_ops_register(jc_registry *ops, const char *schema, jitc_plain_function plain, jitc_frame_function frame,
                            const jitc_op_options *options, jc_error *err);
/* NULL when it is not registered for that kind of device. "vllm::op" is found for target "vllm::op.default" too. */
typedef struct jc_op_entry jc_op_entry;
const jc_op_entry *jc_ops_find(const jc_registry *ops, const char *target, DLDeviceType device);
const jc_schema *jc_op_schema(const jc_op_entry *op);
/* The schema that would take such a call, "vllm::f(Tensor a0, Tensor(a1!) out) -> Tensor", into OUT, always terminated; returns
   OUT. KEYS may be NULL, as everywhere below. */
const char *jc_op_infer(const char *op, const jitc_value *args, const char *const *keys, uint32_t nargs,
                        uint32_t nresults, uint64_t writes, char *out, size_t size);
/* Would the schema write an operand that WRITES (over tensor operands of the call, in order) does not allow, or take
   other arguments?  KEYS as in jc_op_call; values only matter by tag. JITC_E_UNSUPPORTED with both schemas. */
jitc_status jc_op_check(const jc_op_entry *op, const jitc_value *args, const char *const *keys, uint32_t nargs,
                        uint32_t nresults, uint64_t writes, jc_error *err);

/* Matches positional and keyword arguments to the schema, fills defaults, calls.  Allocates nothing.  Thread-safe.
   JITC_E_INPUT names the operator and the argument that does not fit; JITC_E_OP carries the operator's sentence when it fails. */
jitc_status jc_op_call(const jc_op_entry *op, DLDevice device, void *stream, const jitc_value *args,
                       const char *const *keys, uint32_t nargs, DLTensor *const *results, uint32_t nresults,
                       jc_error *err);
/* The optional shape function; results as annotated come in. Does nothing where there is none. */
jitc_status jc_op_shape(const jc_op_entry *op, DLDevice device, const jitc_value *args, const char *const *keys,
                        uint32_t nargs, DLTensor *const *results, uint32_t nresults, jc_error *err);

/* Layer names. */
/* Goes with ARENA, but has memory of its own, so interning may run while another thread uses ARENA. NULL when memory is out. */
jc_names *jc_names_new(jc_arena *arena);
/* The same handle for the same text, valid as long as the table; USER replaces the old pointer unless NULL. Thread-safe.
   NULL when memory is out. */
const jitc_layer_name *jc_name_intern(jc_names *names, const char *text, void *user);
const char *jc_name_text(const jitc_layer_name *name);
void *jc_name_user(const jitc_layer_name *name);

/* One that is open. */
typedef struct jc_plugin {
    void *handle; /* NULL: none is */
    int file;     /* what it was opened by, which keeps its name its own; -1: by its path */
} jc_plugin;
/*
 * Whose is it (base/trust.h), unless ANYBODYS may be opened; dlopen, ABI check, entry point.  OUT is to be closed when the context goes.
 * It has a handle on failure too where the entry point ran, since the plugin may have registered something before it failed.
 * JITC_E_TRUST: it belongs to another user, or others may write to it.
 */
jitc_status jc_plugin_open(const char *path, bool anybodys, jitc_context *ctx, const jitc_plugin_api *api, jc_plugin *out,
                           jc_error *err);
void jc_plugin_close(jc_plugin *plugin);

#endif
