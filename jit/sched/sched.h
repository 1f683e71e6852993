/*
 * jit/sched/sched.h - inside the scheduler.
 *
 *   class --jc_decompose--> nodes --sched_values--> items (roots and calls) --sched_group--> kernels --sched_plan--> plan
 *
 * Values are *lazy* until something needs them in memory: a lazy value is code that can be generated at any index
 * (sched_gen), so pointwise chains, casts, views and gathers melt into whoever uses them.  What must lie in
 * memory becomes a *root*: a value to be computed over its dims and stored.  Roots over the same space that share data
 * become one kernel.
 *
 * What a root loads is settled when it is placed: what lies in memory at that time (`jc_root.stores`).  A value that becomes
 * real later stays code to the roots before it, for the kernel that stores it may come after theirs.
 */
#ifndef JC_SCHED_H
#define JC_SCHED_H

#include "jit/sched/schedule.h"
#include "jitc/value.h"

#define JC_NO_STORE UINT32_MAX

/* A storage: an input's, or a buffer of the plan. */
typedef struct jc_store {
    jc_value *owner;
    bool input;            /* of parameter `index` */
    bool cls_written;      /* some effect writes it */
    bool filled;           /* something has written it: a root, a call */
    bool partial;          /* made by `empty`, and not written in whole so far */
    bool undefined;        /* read or given back while it was partial: the graph's own will */
    bool escapes;
    uint32_t index;        /* parameter, or plan buffer */
    uint32_t touch;        /* storages with one number may overlap: see jc_may_touch() */
    uint32_t first, last;  /* items that touch it */
} jc_store;

/* A set of storages, {0} when empty: their numbers, sorted. */
typedef struct jc_set {
    uint32_t *at;
    uint32_t n, room;
} jc_set;

/* The rows of a fused reduction: full = [rows..., columns]. */
typedef struct jc_rows {
    uint32_t rank;
    const jc_expr *full[JC_MAX_RANK];
} jc_rows;

typedef struct jc_lazy {
    uint32_t store;        /* of an owner that lies in memory, else JC_NO_STORE */
    uint32_t uses;         /* by nodes and outputs */
    int last_write;        /* of an owner: the last node that writes it, or -1 */
    jc_node *user;         /* the last one that has it as an operand, not in a list */
    bool escapes;          /* an owner that an output shows */
    jc_node *matmul;       /* the value holds this product's unstored sums */
    const jc_rows *rows;   /* the value holds reductions over these rows */
    jc_set reads;          /* storages that generating it loaded from when it was made */
    bool matmul_end;       /* the epilogue ends here: to be stored */
    bool shared;           /* used more than once, by way of a view too */
    bool met;              /* a product that the sum which uses it takes unrounded */
} jc_lazy;

typedef struct jc_root {
    jc_value *value;       /* what is computed, at the loop variables over `dims` */
    uint32_t rank;
    const jc_expr *dims[JC_MAX_RANK];
    uint32_t store;        /* where it goes: element offset + sum index*stride */
    jc_dtype dtype;
    const jc_expr *offset;
    const jc_expr *strides[JC_MAX_RANK];
    const jc_rows *rows;
    jc_node *matmul;
    const jc_node *ordered;  /* what goes through a dimension in order, or writes where indices say: sched_walk.c has the code */
    const jc_rows *walk;     /* its space, the step first; NULL: every point of `dims` for itself */
    bool sized;              /* sizes and strides are arguments */
    bool scatters;           /* `dims` are what is written there, not where */
    uint32_t join;         /* roots with one number fill parts of one buffer that do not overlap; 0: none */
    uint32_t stores;       /* storages there were when it was placed: what it may load from */
    jc_set reads;
    int line;
} jc_root;

/* Loop space of a root: all columns of its rows, or its own dims. */
static inline uint32_t jc_root_space(const jc_root *r, const jc_expr *const **dims) {
    const jc_rows *space = r->rows ? r->rows : r->walk;
    *dims = space ? space->full : r->dims;
    return space ? space->rank : r->rank;
}

typedef enum jc_item_kind { JC_ITEM_GROUP, JC_ITEM_CALL } jc_item_kind;

/* A kernel in the making, or a custom operator. */
typedef struct jc_item {
    uint8_t kind;
    jc_set reads, writes;
    /* group */
    uint32_t rank;
    const jc_expr *dims[JC_MAX_RANK];
    const jc_rows *rows;
    jc_node *matmul;
    bool walk;             /* loop variable 0 is a step */
    bool sized;            /* sizes and strides are arguments, as of products */
    JC_VEC(jc_root *) roots;
    struct jc_gen *gen;    /* the tape of the roots so far, or NULL: not made yet */
    bool full;             /* a root had no place among its arguments */
    /* call */
    jc_node *node;
} jc_item;

typedef struct jc_sched {
    jc_arena *arena;
    const jc_schedule_options *options;
    jc_func *f;            /* decomposed */
    jc_graph *g;
    jc_exprs *ex;          /* the class's table */
    jc_lazy *lazy;         /* by value id */
    uint32_t room;         /* of them */
    uint32_t *next_effect; /* by node: the next one after it with an effect, or how many nodes there are */
    jc_map *checks;        /* checks of indices that there are, by what they look at */
    JC_VEC(jc_store) stores;
    jc_set aliased;        /* storages that may touch another */
    JC_VEC(jc_item *) items;
    uint32_t njoins;
    jc_conditions conditions; /* that the class's symbols have to fulfil */
    /* the plan in the making */
    jc_plan *plan;
    JC_VEC(jc_plan_tensor) tensors;
    JC_VEC(jc_plan_buffer) buffers;
    JC_VEC(jc_plan_step) steps;
    JC_VEC(jc_plan_kernel) pkernels;
    JC_VEC(jc_kernel *) kernels;
    jc_map *by_key;        /* kernel key -> index + 1 */
    jc_map *by_tensor;     /* what tells tensors apart -> index + 1 */
    jc_error *err;
    bool refused;          /* something is not supported, and options->refused was told of it */
} jc_sched;

/* What stands on LINE is not supported: JITC_E_UNSUPPORTED, or JITC_OK where all such places are asked for (schedule.h): the caller
   then leaves the thing out. NODE may be NULL. */
jitc_status jc_sched_refuse(jc_sched *s, int line, const char *node, const char *format, ...) JC_PRINTF(4, 5);

static inline bool jc_gpu(const jc_sched *s) { return jc_target_is_simt(&s->options->target); }

/* sets (sched_set.c) */
void jc_set_add(jc_sched *s, jc_set *a, uint32_t i);
bool jc_set_has(const jc_set *a, uint32_t i);
void jc_set_join(jc_sched *s, jc_set *a, const jc_set *b);
bool jc_sets_meet(const jc_set *a, const jc_set *b); /* is a storage in both? */

/* Whether storages A and B may share bytes: the one answer for whoever moves, joins, fuses, copies or promises. */
static inline bool jc_may_touch(const jc_sched *s, uint32_t a, uint32_t b) {
    return s->stores.at[a].touch == s->stores.at[b].touch;
}
/* Does A hold a storage that B may touch? Another one than B itself? */
bool jc_set_touches(const jc_sched *s, const jc_set *a, uint32_t b);
bool jc_set_touches_other(const jc_sched *s, const jc_set *a, uint32_t b);
/* Do A and B hold storages that may touch? */
bool jc_sets_touch(const jc_sched *s, const jc_set *a, const jc_set *b);

/* sched_made.c: values that no node makes. */
jc_value *jc_sched_constant(jc_sched *s, const jc_expr *const *dims, uint32_t rank, jc_arg number, jc_dtype dtype,
                            int line);
/* The call that check_info N is. */
jc_node *jc_sched_info_check(jc_sched *s, const jc_node *n);
/* A call that looks whether elements of INDEX are in dim DIM of TABLE, which is to be read or written. */
jc_node *jc_sched_index_check(jc_sched *s, jc_value *index, const jc_value *table, const jc_expr *dim, bool wrap, bool writes, int line);
jc_value *jc_sched_clone(jc_sched *s, jc_value *v, int line);
/* Reduction V without the dims that it keeps, where these are not the last one alone: what lies in memory is the same, and its
   dims are those of the rows. */
jc_value *jc_sched_unkept(jc_sched *s, jc_value *v);

/* Where V starts in its storage, in elements of its own dtype: its `offset` counts those of the owner, and a bitcast may lie between. */
const jc_expr *jc_sched_offset(jc_sched *s, const jc_value *v);

/* --- sched_index.c --- */
/* The `arange` that V shows where all of it, for certain, lies in a dim of SIZE; else NULL. */
const jc_node *jc_sched_counted(const jc_sched *s, const jc_value *v, const jc_expr *size);

/* Has an operand's dim D one element for all of dim TO?  A dim that is 0 or 1 has, where it is not TO itself. */
static inline bool jc_sched_spreads(const jc_sched *s, const jc_expr *d, const jc_expr *to) {
    return jc_ex_is(d, 1) || (d != to && jc_ex_equal(s->ex, d, to) != JC_YES && jc_at_most_one(s->ex, d));
}

/* sched_values.c: fills s->items, grouping as it goes. */
jitc_status jc_sched_values(jc_sched *s);

/* sched_once.c: what may be left out of values that are used once.  Uses have been counted. */
void jc_sched_once(jc_sched *s);
/* A hash of the views, casts and products by which V is found, and the numbers that they take; free of names and of the rest of the class. */
uint64_t jc_sched_looks(const jc_value *v);

/* sched_group.c: puts a root into a group it may join, or into a new one. */
void jc_sched_root(jc_sched *s, jc_root *r);
bool jc_sched_fills(jc_sched *s, uint32_t store, const jc_type *t); /* does T, somewhere in STORE and not overlapping itself, take all of it? */
jc_item *jc_item_new(jc_sched *s, jc_item_kind kind);
jc_item *jc_item_of_root(jc_sched *s, jc_root *r); /* a group of R alone */
bool jc_item_gen(jc_sched *s, jc_item *g); /* makes g->gen unless it is there; false: no kernel computes these roots */

/* --- generating kernels (sched_gen.c) --- */
typedef struct jc_gen_ptr {
    uint32_t store;
    jc_dtype dtype;
    uint16_t arg;
} jc_gen_ptr;
typedef struct jc_gen_int {
    const jc_expr *expr; /* over class symbols: what the argument is at run time */
    uint16_t arg;
} jc_gen_int;

typedef struct jc_gen_known {
    uint32_t store;            /* whose stride it is; JC_NO_STORE: none in particular */
    const jc_expr *expr, *arg; /* over class symbols; in the kernel */
} jc_gen_known;

typedef struct jc_gen {
    jc_sched *s;
    jc_kernel *k;
    const jc_item *item;
    uint32_t stores;           /* of the root at hand: see jc_root */
    const jc_value *stored;    /* its value, where the STORE does the rounding */
    jc_exprs *ex;              /* the kernel's */
    const jc_expr *loop[JC_MAX_RANK]; /* loop variable, or 0 where the extent is 1 */
    const jc_expr **sym_map;   /* class symbol -> kernel expression */
    bool runtime_sizes;        /* products, merges: sizes and strides become arguments */
    JC_VEC(jc_instr) tape;
    JC_VEC(jc_karg) args;
    JC_VEC(jc_ksym) syms;
    JC_VEC(jc_gen_ptr) ptrs;
    JC_VEC(jc_gen_int) ints;
    JC_VEC(jc_gen_known) known; /* strides, since what is read and written at one index has one index expression, and what is one argument */
    jc_map *memo;
    uint32_t small;            /* bytes of the smallest element stored or loaded per point */
    uint32_t weight;           /* of the tape: what LLVM and an assembler have to do for it, roughly (sched_gen.c) */
    bool failed;               /* an index that this kernel cannot serve: the caller must not group so */
} jc_gen;

/* A dim of them is 0, whatever the symbols are; their ranges may say so. */
static inline bool jc_no_elements(const jc_sched *s, const jc_expr *const *dims, uint32_t rank) {
    for (uint32_t d = 0; d < rank; d++)
        if (jc_ex_le(s->ex, jc_ex_int(s->ex, 1), dims[d]) == JC_NO)
            return true;
    return false;
}
/* Generates the tape of a group's roots.  False when they cannot share a kernel: GEN is good for nothing then. */
bool jc_gen_group(jc_gen *gen, jc_sched *s, const jc_item *item);
/* Appends a root.  False as above. */
bool jc_gen_root(jc_gen *gen, const jc_root *r);
bool jc_gen_is_full(const jc_gen *gen); /* is its code so long that another root had better have a kernel of its own? */
/* How many arguments a kernel for R alone has. */
uint32_t jc_gen_count_args(jc_sched *s, jc_root *r);

/* sched_args.c */
const jc_expr *jc_gen_expr(jc_gen *gen, const jc_expr *e); /* class expression -> kernel expression */
uint16_t jc_gen_pointer(jc_gen *gen, uint32_t store, jc_dtype dtype, bool written);
/* A size or stride as an argument when runtime_sizes is set and it is a constant above 1; else the expression. */
const jc_expr *jc_gen_size(jc_gen *gen, const jc_expr *e);
/* Stride E of STORE: of one storage, equal strides are one argument. */
const jc_expr *jc_gen_stride_of(jc_gen *gen, uint32_t store, const jc_expr *e);
void jc_gen_finish(jc_gen *gen); /* moves the lists into the kernel */

/* sched_walk.c */
/* The space in which node N, which has a root for itself, goes through dimensions in order: that of the step first.  NULL: there is one
   step at most, so every point is for itself. */
const jc_rows *jc_walk_space(jc_sched *s, const jc_node *n);
bool jc_gen_ordered(jc_gen *gen, const jc_root *r); /* appends root R, whose node goes in order or writes where indices say */

/* sched_attention.c */
/* Is composite N one kernel (1), or one of so many parts of its keys (more), rather than decomposed (0)?  Of `jc_decompose`. */
uint32_t jc_sched_keeps(void *sched, const jc_node *n);
static inline bool jc_is_attention(const jc_node *n) { return n->op == JC_OP_sdpa || n->op == JC_OP_sdpa_parts; }
bool jc_gen_attention(jc_gen *gen, const jc_item *item); /* matrices, scale and dims into the kernel */
jitc_status jc_sched_attention_steps(jc_sched *s, const jc_item *item);

/* sched_matmul.c: operands, K and dims of a product into the kernel. */
bool jc_gen_matmul(jc_gen *gen, const jc_item *item);
/* Launches of one product: variants by number of rows. */
jitc_status jc_sched_matmul_steps(jc_sched *s, const jc_item *item);

/* sched_shape.c: threads, vectors, steps for POINT and ROW. */
void jc_sched_shape(jc_sched *s, jc_gen *gen);

/* sched_plan.c */
jitc_status jc_sched_plan(jc_sched *s);
/* A plan tensor for value V as it lies in memory. */
uint32_t jc_plan_tensor_of(jc_sched *s, const jc_value *v);
/* Adds the launch of GEN's kernel (deduplicated by key); guard may be NULL. */
jitc_status jc_sched_launch(jc_sched *s, jc_gen *gen, int line, const jc_expr *guard, int64_t lo, int64_t hi);

#endif
