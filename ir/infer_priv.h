/*
 * ir/infer_priv.h - what the inference rules share.
 *
 * A rule looks at a node's arguments, whose kinds the signature check has seen to, and fills in the results' types
 * and places.  Rules never change a value that exists already.
 */
#ifndef JC_INFER_PRIV_H
#define JC_INFER_PRIV_H

#include "ir/graph.h"

#define JC_FEW_RESULTS 16 /* nearly all nodes have at most as many: what is needed of each then lies on the stack */

typedef struct jc_in {
    jc_func *f;
    jc_exprs *t;
    jc_arena *arena;
    jc_node *n;
    jc_error *err;
    jc_conditions *open; /* NULL: what is left open is of no interest */
} jc_in;

typedef jitc_status jc_rule(jc_in *in);

/* Fails with the place of the node; the message starts with the operator's name. */
jitc_status jc_in_fail(jc_in *in, jitc_status status, const char *format, ...) JC_PRINTF(3, 4);
/* The rule goes on as if A == B or A <= B, which symbols leave open: see ir/conditions.c. */
void jc_in_open(jc_in *in, jc_rel rel, const jc_expr *a, const jc_expr *b);
/* Leaves open that the node's copy is one in PyTorch, if it is marked `apart` (ir/infer_copy.c). */
void jc_in_copies(jc_in *in);
/* The operator's rule, arguments checked. */
jitc_status jc_infer_open(jc_in *in);
/* A type's text, for messages. */
const char *jc_in_text(jc_in *in, const jc_type *type);
const char *jc_in_expr_text(jc_in *in, const jc_expr *e);

static inline jc_value *jc_in_value(const jc_in *in, uint32_t i) { return in->n->args[i].value; }
static inline const jc_type *jc_in_type(const jc_in *in, uint32_t i) { return &in->n->args[i].value->type; }
static inline bool jc_in_has(const jc_in *in, uint32_t i) { return in->n->args[i].kind != JC_ARG_NONE; }
static inline bool jc_in_is_tensor(const jc_arg *a) {
    return a->kind == JC_ARG_VALUE && a->value->type.kind == JC_TENSOR;
}
static inline bool jc_in_floating(uint8_t dtype) { return jc_dtypes[dtype].cls == 'f'; }
static inline bool jc_in_fp8(uint8_t dtype) { return dtype == JC_F8E4M3FN || dtype == JC_F8E5M2; }
/* Integers that index: no bool. */
static inline bool jc_in_integer(uint8_t dtype) { return jc_dtypes[dtype].cls == 'i' || jc_dtypes[dtype].cls == 'u'; }

/* Do N's arguments match the signature of its operator, which is neither `custom` nor `call`? */
bool jc_args_fit(const jc_node *n);
/* The constant value of argument I as a dim number below LIMIT. */
jitc_status jc_in_dim(jc_in *in, uint32_t i, uint32_t limit, uint32_t *dim);
/* Is argument I no number that a tensor of DTYPE cannot hold?  PyTorch raises where it fills a tensor with one; negative numbers
   wrap in unsigned dtypes.  What symbols leave open passes. */
jitc_status jc_in_holds(jc_in *in, uint32_t i, uint8_t dtype);
/* The list argument I as an array of expressions. */
const jc_expr **jc_in_exprs(jc_in *in, uint32_t i, uint32_t *n);
/* Are freshly made dims possible: not too many, none negative or overflowing? */
jitc_status jc_in_check_dims(jc_in *in, const jc_expr *const *dims, uint32_t rank);

/* Result I owns its storage, row-major. DIMS are kept, not copied, and were checked. */
void jc_in_result(jc_in *in, uint32_t i, uint8_t dtype, const jc_expr *const *dims, uint32_t rank);
/* Result 0 is a view of X's storage. STRIDES (NULL: row-major) may be changed here; OFFSET is in elements of the
   base. */
void jc_in_view(jc_in *in, jc_value *x, uint8_t dtype, const jc_expr *const *dims, uint32_t rank,
                const jc_expr **strides, const jc_expr *offset);
/* Of two expressions for one dim, the more definite. */
const jc_expr *jc_in_definite(const jc_expr *a, const jc_expr *b);
/* A and B are to be the same dim: gives the more definite one; false where they differ always. */
bool jc_in_same_dim(jc_in *in, const jc_expr *a, const jc_expr *b, const jc_expr **out);
/* Dim D of a source goes to dim TO, as expand and copy_ do it; false where it never can.  SPREAD: may a D that is 0 or 1 be taken for
   a 1?  It says whether it is. */
bool jc_in_onto(jc_in *in, const jc_expr *d, const jc_expr *to, bool *spread);
/* Broadcasts the N-dim *DIMS with WITH. */
jitc_status jc_in_broadcast(jc_in *in, const jc_expr *const **dims, uint32_t *rank, const jc_type *with);

/* The rules that ops.def names; jc_infer_call gives a call's results the types of the callee's outputs. */
#define OP(id, sig, results, traits, infer, ...) jc_rule jc_infer_##infer;
#include "ir/ops.def"

/* Leaves of F's outputs that are no None, in order; to COUNT how many. LEAVES may be NULL. */
uint32_t jc_func_leaves(const jc_func *f, const jc_arg **leaves);

/* What the callee's symbols are at a call: those that stand alone as a parameter. NULL: the same everywhere. */
const jc_expr **jc_call_symbols(jc_in *in);

#endif
