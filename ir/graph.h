/*
 * ir/graph.h - graphs: functions of nodes over values.
 *
 * A graph is what one file holds: a root function and the pieces it calls.  Values are SSA: a parameter or a result
 * of a node, with a type, and for tensors the place in storage.  What PyTorch's text says in many ways is said here in
 * one: the reader turns split, chunk, getitem, unflatten, transpose and the like into `slice`, `reshape`, `permute`;
 * symbolic integers used by operators are expressions, not values; tuples are flattened.
 *
 * Memory.  A tensor value either has storage of its own (base == NULL) or is a view: `base` is the value that owns the
 * storage (never itself a view) and `offset` (in elements of the base) and type.strides say where it lies.  Operators
 * that write (`copy_`, custom operators with written operands) act on the storage: later readers of any view see it.
 * Nodes are kept in an order in which executing them one after the other is right.
 *
 * Everything lives in the graph's arena.  One thread at a time.
 */
#ifndef JC_GRAPH_H
#define JC_GRAPH_H

#include "ir/type.h"

typedef struct jc_value jc_value;
typedef struct jc_node jc_node;
typedef struct jc_func jc_func;
typedef struct jc_graph jc_graph;

typedef enum jc_op {
#define OP(id, ...) JC_OP_##id,
#include "ir/ops.def"
    JC_OP_COUNT
} jc_op;

typedef enum jc_arg_kind {
    JC_ARG_NONE,
    JC_ARG_VALUE, /* tensor, layer name, or lifted literal */
    JC_ARG_EXPR,  /* integers, symbolic or not */
    JC_ARG_FLOAT,
    JC_ARG_BOOL,
    JC_ARG_STR,
    JC_ARG_DTYPE,
    JC_ARG_LIST,  /* list, tuple and torch.Size alike */
    JC_ARG_DICT,  /* a list whose elements have keys */
    JC_ARG_DEVICE, /* str: the device type; the index is dropped */
} jc_arg_kind;

typedef struct jc_arg jc_arg;
struct jc_arg {
    uint8_t kind;    /* jc_arg_kind */
    const char *key; /* keyword of a custom operator's argument or of a dict's element; NULL: positional */
    union {
        jc_value *value;
        const jc_expr *expr;
        double f;
        bool b;
        const char *str;
        jc_dtype dtype;
        struct {
            jc_arg *at;
            uint32_t n;
        } list;
    };
};

struct jc_value {
    uint32_t id;      /* dense within its function, in order of definition */
    const char *name; /* as in the text; for people only */
    jc_type type;
    jc_node *def;     /* NULL: a parameter */
    uint32_t index;   /* which result, or which parameter */
    jc_value *base;   /* NULL: owns its storage */
    const jc_expr *offset; /* of a view: elements from the start of the base's storage; NULL counts as 0 */
    uint32_t alias;   /* parameters: those with the same non-zero number may share storage */
    int line;
};

#define JC_UNKNOWN_MARK '?' /* first character of the target of a call that nobody knows */

struct jc_node {
    uint16_t op;        /* jc_op */
    uint32_t nargs, nresults;
    jc_arg *args;       /* compiled operators: exactly as ops.def's signature says, defaults filled in */
    jc_value **results;
    const char *target; /* custom: "vllm::gdn_in_proj" or "ns::op.overload"; else NULL */
    uint64_t writes;    /* custom: bit i set when the i-th tensor operand (jc_node_operands order) is written; all 64: all are, also
                           those beyond */
    jc_func *callee;    /* call */
    const char *called; /* by the text: "torch.ops.vllm.x.default", "torch._C._nn.linear", "Tensor.view", "operator.add"; NULL: by nobody */
    uint32_t refusal;   /* custom: stands for what is not supported, graph's refused.at[refusal - 1]; 0: it does not */
    int line;
};

struct jc_func {
    jc_graph *graph;
    const char *name; /* "submod_3", or the root's class name */
    jc_value **params;
    uint32_t nparams, nconstants; /* the last of them are constants of the text's module, named by their paths there */
    JC_VEC(jc_node *) nodes;
    jc_arg *outputs;  /* VALUE, EXPR, FLOAT, BOOL, NONE; a nested tuple is a LIST */
    uint32_t noutputs;
    bool tuple;       /* `return (x,)` rather than `return x` */
    jc_conditions guards; /* what annotations say of symbolic integers beyond what their values prove: checked with the arguments */
    uint32_t nvalues;
    int line;
};

#define JC_REFUSAL_FOLLOWS UINT32_MAX /* as a node's refusal: only since something else is not supported */

/* A statement that is not supported, which the reader was told to pass over (ir/fx/fx.h). */
typedef struct jc_refusal {
    const char *op, *node, *piece; /* "" where there is none */
    int line, column;
    const char *reason;
} jc_refusal;

/* The value of a parameter of the root that the file itself holds, raw. */
typedef struct jc_weight {
    uint32_t param;
    const char *name;       /* as the module calls it: "layers.0.weight" */
    jc_dtype dtype;
    uint8_t rank;
    int64_t dims[JC_MAX_RANK], strides[JC_MAX_RANK]; /* strides in elements */
    uint64_t offset, bytes; /* in the file: of its first element; from there to the end of its last */
} jc_weight;

struct jc_graph {
    jc_arena *arena;
    jc_exprs *exprs;
    const char *file;
    jc_func *root;            /* where something was refused: fit to be explained, cut and hashed, not to be compiled */
    JC_VEC(jc_func *) pieces; /* in order of the text; empty for a flat graph */
    JC_VEC(jc_refusal) refused;
    JC_VEC(const char *) called; /* what the text calls, each once */
    jc_weight *weights;       /* of an archive (ir/pt2) */
    uint32_t nweights;
};

/* --- operators (ir/ops.c) --- */

typedef enum jc_trait {
    JC_POINTWISE = 1,  /* result element i depends on operand elements i, after broadcasting */
    JC_REDUCTION = 2,
    JC_VIEW = 4,       /* result 0 is a view of operand 0 where layout allows */
    JC_COMMUTES = 8,   /* the first two operands may be exchanged without changing any result bit */
    JC_EFFECT = 16,    /* writes, or calls out: kept, in order */
    JC_ALLOCATES = 32, /* a fresh buffer with an identity of its own: never merged with another */
    JC_COMPOSITE = 64, /* jc_decompose() knows how to write it in simpler ones */
    JC_OVERFLOWS = 128, /* of integers: what it computes may lie outside the result's dtype, and wraps */
    JC_WIDE_NUMBER = 256, /* a number beside narrow floats is not rounded to their dtype: PyTorch's kernel takes it in f32 */
    JC_ROUGH = 1024, /* of floats: libraries and orders of adding differ in the last places; all other operators round one exact value */
    JC_WRITES = 2048, /* an effect on operand 0, whose storage result 0 is a view of */
    JC_WIDE_ON_GPU = 512, /* likewise on CUDA; on a CPU PyTorch rounds it */
} jc_trait;

/* What put_ does with what is there. */
typedef enum jc_put_mode { JC_PUT_SET, JC_PUT_ADD, JC_PUT_MUL, JC_PUT_MIN, JC_PUT_MAX, JC_PUT_COUNT } jc_put_mode;

#define JC_MAX_RESULTS 2 /* of a compiled operator */
#define JC_AS_CALLED 255 /* instead of a number of results: arguments and results are as the call says */

typedef struct jc_op_info {
    const char *name;
    const char *sig;   /* see the head of ops.def */
    unsigned traits;
    uint8_t nargs;
    uint8_t nresults; /* JC_AS_CALLED: custom and call, which have no signature either */
} jc_op_info;
extern const jc_op_info jc_ops[JC_OP_COUNT];

/* --- building (ir/graph.c) --- */

jc_graph *jc_graph_new(jc_arena *arena, const char *file);
jc_func *jc_func_new(jc_graph *g, const char *name);
jc_value *jc_func_param(jc_func *f, const char *name, const jc_type *type);

/* Appends a node with inferred result types and places (ir/infer.c).  ARGS are copied and must match the operator's
   signature; trailing optional ones may be left out.  Bad operands are JITC_E_INPUT, an unsupported dtype or argument
   JITC_E_UNSUPPORTED, with FILE:LINE of the node. */
jitc_status jc_func_add(jc_func *f, jc_op op, const jc_arg *args, uint32_t nargs, int line, jc_node **out,
                        jc_error *err);
/* Appends a custom operator: result types are the caller's (annotations). */
jc_node *jc_func_add_custom(jc_func *f, const char *target, const jc_arg *args, uint32_t nargs, uint64_t writes,
                            const jc_type *results, uint32_t nresults, int line);
/* Appends a call of a piece; ARGS one per parameter.  Result types are the callee's outputs' (symint outputs give
   values of kind JC_SYMINT); views among the outputs of one storage keep their base where it is another output or an
   argument. */
jc_node *jc_func_add_call(jc_func *f, jc_func *callee, const jc_arg *args, uint32_t nargs, int line);

static inline jc_arg jc_arg_none(void) { return (jc_arg){ .kind = JC_ARG_NONE }; }
static inline jc_arg jc_arg_value(jc_value *v) { return (jc_arg){ .kind = JC_ARG_VALUE, .value = v }; }
static inline jc_arg jc_arg_expr(const jc_expr *e) { return (jc_arg){ .kind = JC_ARG_EXPR, .expr = e }; }
static inline jc_arg jc_arg_float(double f) { return (jc_arg){ .kind = JC_ARG_FLOAT, .f = f }; }
static inline jc_arg jc_arg_bool(bool b) { return (jc_arg){ .kind = JC_ARG_BOOL, .b = b }; }
static inline jc_arg jc_arg_dtype(jc_dtype d) { return (jc_arg){ .kind = JC_ARG_DTYPE, .dtype = d }; }
jc_arg jc_arg_int(jc_graph *g, int64_t value);
jc_arg jc_arg_list(jc_graph *g, const jc_arg *at, uint32_t n);
jc_arg jc_arg_exprs(jc_graph *g, const jc_expr *const *at, uint32_t n);

/* Calls SEE for every value among N's arguments, nested ones included, in order.  "Tensor operands" in jc_node.writes
   counts only those of kind JC_TENSOR. */
void jc_node_operands(const jc_node *n, void (*see)(void *user, jc_value *v), void *user);
/* Is the I-th tensor operand written? For copy_ operand 0 is. */
bool jc_node_writes(const jc_node *n, uint32_t operand);
/* Calls SEE for every tensor operand of N that it writes, in order. */
void jc_node_written(const jc_node *n, void (*see)(void *user, jc_value *v), void *user);
/* Does F write the storage of its parameter? */
bool jc_func_writes(const jc_func *f, const jc_value *param);
/* Calls SEE for every value among F's outputs, nested ones included, in order. */
void jc_func_outputs(const jc_func *f, void (*see)(void *user, jc_value *v), void *user);
/* The value that owns the storage: base, or v itself. */
static inline jc_value *jc_storage(jc_value *v) { return v->base ? v->base : v; }

/* Does PyTorch lay out N's result in the order of its operands' strides?  Row-major otherwise. */
static inline bool jc_lays_out_as_operands(const jc_node *n) {
    return (jc_ops[n->op].traits & JC_POINTWISE) || n->op == JC_OP_clone || n->op == JC_OP_by_device;
}

/* --- inference (ir/infer.c) --- */
/* What the operands of pointwise N are cast to before it computes, tensors of every rank and numbers alike (but see
   JC_WIDE_NUMBER): the result's dtype, or what a comparison compares. */
jc_dtype jc_operand_dtype(const jc_node *n);
/* What tensors and numbers are promoted to. */
jc_dtype jc_promoted_dtype(const jc_arg *args, uint32_t n);
/* Fills results' types and places for a node whose op and args are set; used by jc_func_add and by passes that change
   parameter strides (jc_reinfer). */
jitc_status jc_infer(jc_func *f, jc_node *n, jc_error *err);
/* Runs jc_infer over every node again, in order: after parameters got strides. */
jitc_status jc_reinfer(jc_func *f, jc_error *err);
/* INFERRED against ANNOTATED: provably different is JITC_E_INPUT with both texts; otherwise the more definite one is
   left in V. */
jitc_status jc_check_annotation(jc_func *f, jc_value *v, const jc_type *annotated, jc_error *err);

/* --- what inference leaves open (ir/conditions.c) --- */
/* Adds to OUT, in the graph's arena, everything that has to hold for F's compiled nodes to be what their types say and to stay
   within their operands.  F is as before. */
jitc_status jc_conditions_of(const jc_func *f, jc_conditions *out, jc_error *err);

/* What the guards of the piece that CALL calls say there: to ROOT's. */
void jc_guards_of_call(jc_func *root, const jc_node *call);

/* --- checks and text (ir/verify.c, ir/print.c) --- */
jitc_status jc_verify(const jc_func *f, jc_error *err); /* our own invariants: defined before use, arity, ids, bases */
void jc_func_print(const jc_func *f, jc_bytes *out);    /* own text form, one node a line */
void jc_graph_print(const jc_graph *g, jc_bytes *out);

/* --- narrower ranges (ir/narrow.c) --- */
/* F's expressions made again, after ranges of symbols have become narrower: what has one value only is a number. Only F's own
   nodes change: arguments must not be another function's. */
void jc_narrow(jc_func *f);

/* Of `sdpa`: how many heads of q each head of k (or v) serves, where they do not broadcast. */
int64_t jc_attention_groups(const jc_type *q, const jc_type *k);

/* --- composite operators (ir/decompose.c) --- */
/* A copy of F in which JC_COMPOSITE nodes are written in simpler ones (definitions in the head of ir/ops.def), as they are on a GPU or on
   a processor. KEEP (may be NULL) says which nodes stay as they are: 0: not; 1; more: as `sdpa_parts` of so many, which are joined. Lives
   in F's graph. */
jitc_status jc_decompose(const jc_func *f, bool gpu, uint32_t (*keep)(void *user, const jc_node *n), void *user, jc_func **out,
                         jc_error *err);

#endif
