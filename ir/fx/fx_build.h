/*
 * ir/fx/fx_build.h - what the builders share: values of expressions, calls of known operators, small constructors.
 *
 * An expression of the text evaluates to a jc_arg.  Those that have no place in a graph have kinds of their own, below;
 * lists live in the reader's pool until fx_keep() copies them into the graph.  Every function here may be called after a
 * failure and then does nothing (see fx_ast.h): a tensor that could not be had is NULL, and NULL operands pass through
 * fx_op().
 */
#ifndef JC_FX_BUILD_H
#define JC_FX_BUILD_H

#include <string.h>

#include "ir/fx/fx.h"
#include "ir/fx/fx_ast.h"

enum fx_arg_kind {
    FX_ABSENT = 64, /* an argument that was not given */
    FX_ELLIPSIS,
    FX_SLICE,       /* list of three */
    FX_VOID,        /* the result of a call that has none, or none that the text tells the type of; str: its name */
    FX_OPAQUE,      /* cannot be used; str: a sentence's end that says why */
    FX_OPERATOR,    /* torch.ops.x as a value; str */
    FX_SYMFLOAT,    /* a float known at run time only; value: its fx_real */
    FX_SYMBOOL,     /* a truth likewise; expr: 1 or 0 */
    FX_MODULE,      /* a class of the text as a value; value: its fx_child */
    FX_COMPLEX,     /* a complex tensor or number; value: its fx_pair */
};

/* A float as a tensor of f64 without dims; the integers that it is the quotient of, NULL where it is none. */
typedef struct fx_real {
    jc_value *tensor;
    const jc_expr *over, *under;
} fx_real;

/* A complex tensor as its parts, tensors or numbers; what holds both as [..., 2], NULL where nothing does. */
typedef struct fx_pair {
    jc_arg re, im;
    jc_value *whole;
} fx_pair;

#define FX_MAX_PARAMS 26
extern const char fx_refused[]; /* str of the FX_OPAQUE that stands for what a statement that was passed over gives */

typedef struct fx_call fx_call;
typedef jc_arg fx_handler(fx_call *c);

/* A row of spellings.def. */
typedef struct fx_spelling {
    const char *name;   /* last part of the path */
    const char *forms;  /* see spellings.def */
    const char *params; /* names in PyTorch's order */
    fx_handler *handler;
    uint8_t length; /* of the name */
    uint16_t op; /* jc_op that it mostly becomes */
    uint8_t aux; /* for the handler */
} fx_spelling;
extern const fx_spelling fx_spellings[];
extern const uint32_t fx_nspellings;

typedef enum fx_target_kind {
    FX_KNOWN,   /* row */
    FX_CUSTOM,  /* name: "vllm::all_reduce" */
    FX_FUNCTIONALIZED, /* auto_functionalized(op, ...), auto_functionalized_v2(op, ...); name as for FX_CUSTOM */
    FX_HIGHER,  /* torch.ops.higher_order.NAME, with classes of the text among its arguments */
    FX_UNKNOWN, /* name: "?torch.cumsum" */
} fx_target_kind;

/* What is called. */
typedef struct fx_target {
    uint8_t kind;
    bool inplace; /* `add_`: the result is written into the first argument */
    const fx_spelling *row;
    const char *name;
} fx_target;

struct fx_call {
    fx_reader *r;
    const fx_spelling *row;
    uint32_t at;
    jc_arg out; /* the `out` keyword */
    const char *format; /* the `memory_format` keyword: "torch.channels_last"; NULL: none was given */
    bool lone;  /* the starred parameter was given one argument, and no list */
    uint32_t n; /* how many parameters the row has */
    uint16_t lays; /* fx_lays_of the row */
    jc_arg a[FX_MAX_PARAMS];
};

#define SPELL(name, forms, params, handler, op, aux) fx_handler fx_h_##handler;
#include "ir/fx/spellings.def"
#undef SPELL

/* --- fx_build_type.c --- */
typedef struct fx_note {
    bool known; /* else: says nothing about the type */
    jc_type type;
    jc_arg literal; /* of a number that is always the same float or truth; FX_ABSENT: it is not */
    bool complex;   /* a tensor of a complex dtype: the type is that of its memory, [..., 2] */
} fx_note;
const fx_note *fx_note_of(fx_reader *r, fx_name *note, uint32_t at);
/* Checks VALUE against its annotation and returns what holds of both. */
jc_arg fx_check(fx_reader *r, jc_arg value, fx_name *note, uint32_t at);
/* The text says that A is B, which symbols leave open: the call is held to it. */
void fx_guard(fx_reader *r, const jc_expr *a, const jc_expr *b);

/* --- fx_build_expr.c --- */
jc_arg fx_eval(fx_reader *r, const fx_ast *a);
jc_arg fx_index_of(fx_reader *r, const fx_ast *a); /* what stands in x[...] */
/* getattr(BASE, NAME) */
jc_arg fx_getattr(fx_reader *r, const fx_ast *base, const fx_name *name, uint32_t at);
/* OP is the token of an infix operator. */
jc_arg fx_infix(fx_reader *r, int op, jc_arg a, jc_arg b, uint32_t at);
/* A, after a failure where it is an integer, or a list with one, that no arithmetic could give. */
jc_arg fx_sound(fx_reader *r, jc_arg a, uint32_t at);
jc_arg fx_pow(fx_reader *r, jc_arg x, jc_arg exponent, uint32_t at);
/* Writes SRC into DST; the result is DST after the write. */
jc_arg fx_write(fx_reader *r, jc_value *dst, jc_arg src);
/* "a tensor", "an integer", ... for messages. */
const char *fx_kind_text(jc_arg a);

/* --- fx_build_index.c --- */
jc_arg fx_index(fx_reader *r, jc_arg base, jc_arg index, uint32_t at);
/* aten.index: a copy, where x[i] of an i without dims is a view. */
jc_arg fx_index_copy(fx_reader *r, jc_value *x, jc_arg index, uint32_t at);
/* x[index] of an INDEX without tensors: a view. */
jc_value *fx_index_view(fx_reader *r, jc_value *x, jc_arg index, uint32_t at);
void fx_store(fx_reader *r, jc_value *base, jc_arg index, jc_arg value, uint32_t at);
jc_value *fx_slice(fx_reader *r, jc_value *x, int dim, const jc_expr *start, const jc_expr *length, int64_t step);
/* Python's x[start:end:step] along DIM; NONE and FX_ABSENT stand for what is left out. */
jc_value *fx_python_slice(fx_reader *r, jc_value *x, int dim, jc_arg start, jc_arg end, jc_arg step, uint32_t at);
/* An index as PyTorch counts, from the end where negative; provably outside fails. */
const jc_expr *fx_place(fx_reader *r, const jc_expr *i, const jc_expr *size, uint32_t at);
/* I counted from the end of SIZE where it is negative, whatever it is. */
const jc_expr *fx_from_end(jc_exprs *t, const jc_expr *i, const jc_expr *size);
/* X at INDICES, broadcast, in N of its dims; the indices' dims come first. */
jc_value *fx_pick(fx_reader *r, jc_value *x, const int *dims, jc_value *const *indices, int n, bool wrap);
jc_value *fx_select(fx_reader *r, jc_value *x, int dim, const jc_expr *i, uint32_t at);

/* --- fx_build_layout.c --- */
/* V's annotation says its strides in PyTorch, if any. */
void fx_lay_note(fx_reader *r, jc_value *v, const jc_type *note);
/* V, which is new, has these strides in PyTorch; false where they leave gaps or overlap. */
bool fx_lay_dense(fx_reader *r, jc_value *v, const jc_expr *const *strides);
/* Y is computed element by element of the N arguments. */
void fx_lay_pointwise(fx_reader *r, jc_value *y, const jc_arg *args, uint32_t n);
/* Y, what a Fourier transform along the N DIMS makes of X: they are its fastest, in the order of X's strides, and LAST the fastest of all; -1: none. */
void fx_lay_transformed(fx_reader *r, jc_value *y, jc_value *x, const int *dims, int n, int last);
/* V is one part of a complex tensor in whose memory the other lies between its elements. */
void fx_lay_part(fx_reader *r, jc_value *v);
/* What PyTorch makes of layouts where ROW is called: for fx_call.lays. */
uint16_t fx_lays_of(const fx_spelling *row);
/* RESULT of a call, whose first value has number BEFORE; what the call gives. */
jc_arg fx_lay_out(fx_call *c, jc_arg result, uint32_t before);
/* VALUE of the expression of that NUMBER in the reading, laid out as another reading found that it has to be. */
jc_arg fx_lay_made(fx_reader *r, uint32_t number, jc_arg value, uint32_t before);
/* Of a view that is a copy here, RESHAPE of X. */
typedef enum fx_viewed { FX_VIEW_NONE, FX_VIEW, FX_VIEW_OPEN } fx_viewed; /* none in PyTorch either; one: what is read again has it; not known */
fx_viewed fx_view_in_pytorch(fx_reader *r, jc_value *x, const jc_node *reshape);
/* The same of its bits as another dtype, where the last dim is not contiguous here. */
fx_viewed fx_bits_in_pytorch(fx_reader *r, jc_value *x, jc_dtype dtype);
/* N, a reshape of X or X made contiguous, is a view or a copy here: where it is the other in PyTorch and something is written, X is laid out as there. */
void fx_lay_copied(fx_reader *r, jc_value *x, const jc_node *n);
/* The class at hand returns V. */
void fx_lay_output(fx_reader *r, jc_value *v);
/* All is read: has it to be read again? */
bool fx_lay_again(fx_reader *r);

/* --- fx_build_order.c --- */
/* Where along DIM X is largest (JC_OP_argmax) or smallest (JC_OP_argmin). */
jc_value *fx_arg_extreme(fx_reader *r, jc_op op, jc_value *x, int dim, bool keep);

/* --- fx_build_count.c --- */
/* Which element stands at each place, where they are repeated as the vector REPEATS says, argument I, and OUTPUT_SIZE, argument SIZE. */
jc_value *fx_repeated(fx_call *c, jc_value *repeats, int i, int size);

/* --- fx_build_product.c --- */
/* A by B, matrices or stacks of them; OUT: the result's dtype or None.  Integers are multiplied and summed. */
jc_value *fx_product(fx_call *c, jc_value *a, jc_value *b, jc_arg out);
/* torch.matmul of arguments 0 and 1. */
jc_arg fx_matmul(fx_call *c);

/* --- fx_build_factor.c --- */
/* The inverse of the matrices X; refused where they are not small and of constant size. */
jc_value *fx_inverse(fx_call *c, jc_value *x);

/* --- fx_build_orthogonal.c --- */
/* Those of the matrices X, the largest first; refused where they are not small and of constant size. */
jc_value *fx_singular_values(fx_call *c, jc_value *x);

/* --- fx_build_put.c --- */
/* Writes VALUE, a tensor or a number, into X at PARTS, tensors among them; ADD: to what is there.  The result is X after it. */
jc_value *fx_put(fx_reader *r, jc_value *x, const jc_arg *parts, uint32_t n, jc_arg value, bool add, uint32_t at);

/* X, of which nobody else knows, with the elements of SRC along DIM at INDEX. */
jc_value *fx_scattered(fx_reader *r, jc_value *x, int dim, jc_value *index, jc_value *src);
/* The largest value of X's dtype, or the least. */
jc_arg fx_extreme_of(fx_reader *r, const jc_value *x, bool most);

/* --- fx_build_number.c --- */
static inline const fx_real *fx_real_of(jc_arg a) { return (const fx_real *)(const void *)a.value; }
bool fx_is_scalar(jc_arg a);   /* a number, known before it runs or not */
jc_arg fx_symfloat(fx_reader *r, jc_value *v);
jc_arg fx_quotient(fx_reader *r, const jc_expr *a, const jc_expr *b);
jc_arg fx_truth(fx_reader *r, int op, const jc_expr *a, const jc_expr *b);
jc_arg fx_infix_scalars(fx_reader *r, int op, jc_op o, jc_arg a, jc_arg b);
jc_arg fx_negated(fx_reader *r, jc_arg a);
bool fx_has_scalar(const jc_arg *args, uint32_t n);
jc_value *fx_op_scalars(fx_reader *r, jc_op op, const jc_arg *args, uint32_t n);
jc_value *fx_full_of(fx_reader *r, jc_arg dims, jc_arg a, jc_dtype dtype);
/* Is NAME a function of numbers, and are AT numbers? Then what it gives into OUT. */
bool fx_number_call(fx_reader *r, const char *name, size_t length, const jc_arg *at, uint32_t n, jc_arg *out);

/* --- fx_build_complex.c --- */
extern const char fx_complex64[], fx_complex128[]; /* str of the FX_OPAQUE that stands for the dtype */
static inline const fx_pair *fx_pair_of(jc_arg a) { return (const fx_pair *)(const void *)a.value; }
jc_arg fx_complex(fx_reader *r, jc_arg re, jc_arg im);
jc_arg fx_complex_of_memory(fx_reader *r, jc_value *memory); /* of [..., 2] */
jc_value *fx_complex_memory(fx_reader *r, jc_arg a);
jc_arg fx_complex_part(fx_reader *r, jc_arg a, int k); /* part K of A as PyTorch sees it: 0 the real one, 1 the imaginary */
jc_arg fx_complex_write(fx_reader *r, jc_arg dst, jc_arg src);
jc_arg fx_complex_infix(fx_reader *r, int op, jc_arg a, jc_arg b, uint32_t at);
jc_arg fx_complex_negated(fx_reader *r, jc_arg a);
bool fx_has_complex(const jc_arg *args, uint32_t n); /* pairs, or the dtypes of such */
jc_arg fx_complex_call(fx_call *c);

/* --- fx_build_python.c --- */
/* Is NAME a method with two underscores on both sides that AT can be given to? Then what it gives into OUT. */
bool fx_dunder(fx_reader *r, const char *name, size_t length, const jc_arg *at, uint32_t n, jc_arg *out);
/* Is PATH a call that sets a mode, or marks something, and computes nothing? It is done then. */
bool fx_mode_call(fx_reader *r, const fx_name *path, const fx_ast *args);
/* Inside autocast on DEVICE products are of DTYPE. */
void fx_narrow_to(fx_reader *r, jc_arg device, jc_arg dtype);
jc_value *fx_list_tensor(fx_reader *r, jc_arg list, uint32_t at); /* [0, 2] as an index */

/* --- fx_build_inline.c --- */
/* self.NAME...: a class of the text, or a constant that the caller binds. */
jc_arg fx_attribute_of_self(fx_reader *r, const fx_ast *a);
jc_arg fx_constant(fx_reader *r, const char *path, const jc_type *type);
jc_arg fx_inline(fx_reader *r, const fx_child *child, const jc_arg *args, uint32_t n, uint32_t at);
jc_arg fx_higher(fx_reader *r, const fx_target *t, const fx_ast *args, uint32_t at);
bool fx_is_higher(const char *name);

/* --- fx_build_called.c --- */
const char *fx_callee(fx_reader *r, const fx_stmt *s);      /* "torch.cumsum", "Tensor.view", "+"; "" where it calls nothing */
void fx_note_called(fx_reader *r, const fx_stmt *s, size_t from); /* for S and the nodes from FROM on, which it made */

/* --- fx_build_refuse.c --- */
typedef struct fx_mark {
    const char *p;
    fx_token token;
    size_t nodes;
    uint32_t values, params;
} fx_mark;
fx_mark fx_mark_here(const fx_reader *r); /* what a statement changes before it fails */
void fx_go_on(fx_reader *r, const fx_mark *m);
bool fx_can_pass(const fx_reader *r);
void fx_pass_over(fx_reader *r, const fx_stmt *s, const fx_mark *m);
void fx_refuse_param(fx_reader *r, const char *name);
jc_arg fx_spelled(fx_reader *r, jc_arg a);

/* --- fx_build.c --- */
typedef struct fx_bound {
    fx_name *name;
    uint32_t scope;
    uint8_t state;
    uint32_t at;
    jc_arg value;
} fx_bound;
void fx_bind(fx_reader *r, fx_name *n, jc_arg value, uint32_t at);
void fx_give_name(fx_reader *r, jc_arg value, fx_name *name); /* a result takes the first name that it gets */
void fx_build_body(fx_reader *r, const fx_class *c);
void fx_give_back_some(fx_reader *r, const fx_stmt *s, const fx_mark *m);
fx_child *fx_child_of(const fx_class *c, const fx_name *name);
void fx_use_pool(fx_reader *r, uint32_t depth);
/* What reads text, for other readers: READ starts with fx_lex_start() or fx_without_text(), makes statements in the reader's pool, and ends with
   fx_build_root(). FILE names it in messages. */
jitc_status fx_read(jc_arena *arena, const char *file, bool tolerant, void (*read)(fx_reader *r, void *user), void *user,
                    jc_graph **out, jc_error *err);
void fx_without_text(fx_reader *r); /* there is no text: places in statements are numbers, which messages give as lines */
void fx_build_root(fx_reader *r, fx_class *root);

/* --- fx_build_call.c --- */
jc_arg fx_call_ast(fx_reader *r, const fx_ast *a);
/* The known operator NAME of a method on a tensor, without arguments: for attributes. */
const fx_target *fx_method(fx_reader *r, fx_name *name);
jc_value *fx_op(fx_reader *r, jc_op op, const jc_arg *args, uint32_t n);
#define FX_OP(r, op, ...)                                                                          \
    fx_op((r), (op), (const jc_arg[]){ __VA_ARGS__ }, sizeof((const jc_arg[]){ __VA_ARGS__ }) / sizeof(jc_arg))

/* Arguments of a call, by position in its parameter list. */
bool fx_given(const fx_call *c, int i);                     /* there, and not None */
void fx_bad_arg(fx_call *c, int i, const char *expected);
void fx_refuse_arg(fx_call *c, int i, const char *why);     /* JITC_E_UNSUPPORTED */
jc_value *fx_tensor(fx_call *c, int i);
jc_arg fx_tensor_or_none(fx_call *c, int i);
jc_arg fx_operand(fx_call *c, int i);                       /* tensor or number */
jc_arg fx_number(fx_call *c, int i);
jc_arg fx_number_or(fx_call *c, int i, jc_arg otherwise);
const jc_expr *fx_expr(fx_call *c, int i);
double fx_float(fx_call *c, int i, double otherwise);
bool fx_bool(fx_call *c, int i, bool otherwise);
int64_t fx_int(fx_call *c, int i, int64_t otherwise);       /* a constant */
int fx_dim(fx_call *c, int i, int rank, int otherwise);     /* in [0, rank); 0 for a scalar */
int fx_given_dim(fx_call *c, int i, int rank);              /* the same of one that has to be given */
int fx_norm_dim(fx_reader *r, int64_t dim, int rank, uint32_t at);
/* A list of integers, or one integer; UINT32_MAX on failure. */
uint32_t fx_exprs(fx_call *c, int i, const jc_expr **out, uint32_t room);
/* Argument I as dims of a tensor of RANK, which have to be constants: how many; OUT has room for JC_MAX_RANK. */
uint32_t fx_which_dims(fx_call *c, int i, int rank, int *out);
uint32_t fx_tensors(fx_call *c, int i, jc_value ***out);
jc_arg fx_dtype_or(fx_call *c, int i, jc_arg otherwise);

/* --- fx_build_view.c --- */
/* May N more values be made of one call?  Most graphs name what they take, so memory stays in proportion to the text; a split
   into thousands of parts of which one is used is let through a few times. */
bool fx_may_part(fx_reader *r, uint64_t n, uint32_t at);
jc_value *fx_reshape(fx_reader *r, jc_value *x, const jc_expr *const *dims, uint32_t n);
jc_value *fx_unsqueeze(fx_reader *r, jc_value *x, int dim);
jc_value *fx_squeeze(fx_reader *r, jc_value *x, int dim); /* without that dim, which is 1 */
jc_value *fx_flat(fx_reader *r, jc_value *x);             /* as one dim */
jc_value *fx_permute(fx_reader *r, jc_value *x, const int *order);
/* X, one number a channel, so that it broadcasts with a tensor of RANK dims, of which dim 1 counts channels. */
jc_value *fx_channels(fx_reader *r, jc_value *x, int rank);

jc_arg fx_join(fx_call *c, jc_value *const *parts, uint32_t n, int dim);

/* --- fx_build_move.c --- */
jc_value *fx_flip(fx_reader *r, jc_value *x, int dim);
/* X, argument 0, padded as argument 1 says by what MODE makes of its edges. */
jc_arg fx_pad_by(fx_call *c, const char *mode);
/* STORAGE, contiguous, seen with these sizes and strides from OFFSET on: a view. */
jc_value *fx_strided(fx_reader *r, jc_value *storage, const jc_expr *const *sizes, const jc_expr *const *strides, uint32_t n, const jc_expr *offset);
/* The windows of SIZE elements, STEP apart, along DIM: counted there, their elements in a new last dim. */
jc_value *fx_windows(fx_reader *r, jc_value *x, int dim, const jc_expr *size, const jc_expr *step);

/* --- fx_build_make.c --- */
jc_value *fx_cast(fx_reader *r, jc_value *x, jc_dtype dtype);

/* [N] of i64: 0, 1, ... */
jc_value *fx_counted(fx_reader *r, const jc_expr *n);
/* b8[DIMS[0], DIMS[1]]: column - row, compared by OP with K. */
jc_value *fx_band(fx_reader *r, const jc_expr *const *dims, jc_op op, const jc_expr *k);
/* --- fx_build_define.c --- */
/* What NAME of definitions.def makes of the call's arguments. */
jc_arg fx_defined_as(fx_call *c, const char *name);

/* --- fx_build_special.c --- */
/* The series NAME of series.def at X, within [-1, 1]. */
jc_arg fx_series(fx_reader *r, jc_arg name, jc_arg x);

/* --- fx_build_custom.c --- */
/* ARGS is the chain of arguments in the text; FIRST, where not absent, goes before them (a method's tensor). */
jc_arg fx_custom(fx_reader *r, const fx_target *target, jc_arg first, const fx_ast *args, uint32_t at);
/* The node itself; ARGS have been kept.  It has at most MOST results, of those that the text takes. */
jc_arg fx_custom_node(fx_reader *r, const char *name, const jc_arg *args, uint32_t nargs, uint64_t writes,
                      uint32_t at, uint32_t most);
typedef struct fx_custom_row {
    const char *name, *params;
} fx_custom_row;
const fx_custom_row *fx_find_custom(const char *target); /* NULL: not in custom.def */
/* Adds A's tensors to the mask of WRITTEN operands; one that has no bit makes them all written, as those of an unknown operator are. */
void fx_mark_written(const jc_arg *a, bool written, uint32_t *operand, uint64_t *mask);
/* FIRST and what ARGS say, kept, in the pool. */
jc_arg *fx_arguments(fx_reader *r, jc_arg first, const fx_ast *args, uint32_t *n);
jc_arg fx_keep(fx_reader *r, jc_arg a, uint32_t at); /* deep, into the graph; refuses what has no place there */
uint64_t fx_unknown_writes(const char *name, const jc_arg *args, uint32_t nargs);

/* --- fx_build_functional.c --- */
jc_arg fx_functionalized(fx_reader *r, const fx_target *target, const fx_ast *args, uint32_t at);

/* --- small ones --- */
static inline jc_arg fx_nothing(void) { return (jc_arg){ .kind = JC_ARG_NONE }; }
static inline jc_arg fx_absent(void) { return (jc_arg){ .kind = FX_ABSENT }; }
static inline jc_arg fx_opaque(const char *why) { return (jc_arg){ .kind = FX_OPAQUE, .str = why }; }
static inline jc_arg fx_v(jc_value *v) { return jc_arg_value(v); }
static inline jc_arg fx_e(const jc_expr *e) { return jc_arg_expr(e); }
static inline jc_arg fx_i(fx_reader *r, int64_t i) { return jc_arg_expr(jc_ex_int(r->graph->exprs, i)); }
static inline jc_exprs *fx_x(fx_reader *r) { return r->graph->exprs; }
static inline bool fx_is_tensor(jc_arg a) {
    return a.kind == JC_ARG_VALUE && a.value && a.value->type.kind == JC_TENSOR;
}
static inline bool fx_is_number(jc_arg a) {
    return a.kind == JC_ARG_EXPR || a.kind == JC_ARG_FLOAT || a.kind == JC_ARG_BOOL;
}
/* What is wrong where A cannot be used: the text, or that we do not know more. */
static inline jitc_status fx_blame(jc_arg a) {
    return a.kind == FX_OPAQUE || a.kind == FX_VOID || a.kind >= FX_OPERATOR ? JITC_E_UNSUPPORTED : JITC_E_INPUT;
}
static inline bool fx_name_is(const fx_name *n, const char *text) {
    return strlen(text) == n->length && memcmp(n->text, text, n->length) == 0;
}
/* A parameter as what it is where it is used. */
static inline jc_arg fx_param_value(jc_value *v) {
    return v->type.kind == JC_SYMINT ? fx_e(v->type.expr) : fx_v(v);
}
static inline int fx_rank(const jc_value *v) { return v->type.rank; }
static inline char fx_class_of(const jc_value *v) { return (char)jc_dtypes[v->type.dtype].cls; }
jc_arg fx_list(fx_reader *r, const jc_arg *at, uint32_t n); /* in the pool */
/* A list argument of an operator, in the graph. */
static inline const jc_expr *fx_one(fx_reader *r) { return jc_ex_int(fx_x(r), 1); }
jc_arg fx_dims(fx_reader *r, const jc_expr *const *at, uint32_t n);

#endif
