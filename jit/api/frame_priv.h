/*
 * jit/api/frame_priv.h - inside a frame.
 *
 *   frame.c          what jitc/frame.h shows
 *   frame_instance.c what a frame keeps of a program: inputs, bindings, descriptors
 *   frame_shape.c    shapes: planned, remembered, forgotten
 *   frame_place.c   where results of sites lie
 *   frame_result.c   results that somebody else gives memory for
 *   frame_run.c      a call
 *   frame_reserve.c  all of it beforehand
 *
 * Memory.  A program's blocks (the escapes of its sites) are placed once for the largest sizes so far, by lifetime, and smaller
 * shapes use the same places: first fit by itself is not monotone, so a smaller shape could need more than a larger one.  Blocks that hold
 * results of the program, and all blocks where the model has but one graph, lie in the instance's region; the others in the
 * pool, which graphs share.
 */
#ifndef JC_FRAME_PRIV_H
#define JC_FRAME_PRIV_H

#include <stdatomic.h>

#include "jit/api/program.h"
#include "jitc/frame.h"

#define JC_FRAME_SHAPES 64u /* remembered per program where the options do not say */
#define JC_FRAME_NONE UINT32_MAX

typedef struct jc_block {
    uint32_t born, dies; /* sites; dies == nsites: a result */
    bool shared;         /* lies in the pool */
    bool own;            /* of one result alone: can lie elsewhere */
    size_t bytes, offset;
} jc_block;

/* Where everything lies, for all shapes whose escapes fit CAPS.  What escapes there are depends on the executables' plans, which may
   differ between variants of a class: KINDS says for which of them this is. */
typedef struct jc_placing {
    struct jc_placing *next;
    uint32_t *kinds;       /* by group: jc_variant.kind */
    uint32_t *first_cap;   /* by group: of its escapes, in CAPS; ngroups + 1 */
    size_t *caps;          /* bytes, rounded up */
    size_t *backed;        /* those for which there has been memory */
    uint32_t nblocks;
    uint32_t *first_block; /* by site: of its escapes */
    jc_block *blocks;
    uint32_t *order;       /* scratch of placing */
    uint32_t *block;       /* by output: that it lies in, or NONE */
    uint32_t *param;       /* by output: parameter that it is a view of, or NONE */
    size_t pool, region, region_least; /* bytes; the last without blocks that are OWN */
    size_t values;         /* all blocks side by side */
} jc_placing;

typedef struct jc_planned_group {
    jc_exec *exec;
    const jc_shape *shape;
} jc_planned_group;

/* A shape of a program: one block of host memory. */
typedef struct jc_planned {
    struct jc_planned *next;          /* of the bucket, or of the free list */
    struct jc_planned *newer, *older;
    size_t bytes;
    uint64_t hash;
    uint64_t checked;                 /* bindings were looked at under this shape: instance.generation, or 0 */
    int64_t *syms, *ints;             /* values of symbols and of the program's expressions */
    jc_planned_group *groups;
    jc_placing *placing;
} jc_planned;

typedef struct jc_shapes {
    uint32_t n, most, nbuckets;       /* NBUCKETS: a power of two */
    jc_planned **buckets;
    jc_planned *newest, *oldest, *unused;
    size_t bytes;                     /* of a new block: the most that was needed so far */
} jc_shapes;

typedef struct jc_call_site {
    jitc_value *in;
    jc_kept kept;
    uint32_t *fresh;
    uint32_t nfresh;
    void **escapes;
    uint32_t nescapes;                /* room */
    jitc_value *out;
    DLTensor *tensors;
    int64_t (*dims)[2 * JC_MAX_RANK];
} jc_call_site;

typedef struct jc_bound {
    jitc_value value;                 /* tag JITC_NONE: not bound */
    DLTensor tensor;
    int64_t dims[2 * JC_MAX_RANK];
} jc_bound;

/* A result whose memory is not the frame's. */
typedef struct jc_given {
    DLTensor *to;                     /* NULL: it is the frame's */
    bool direct;                      /* computed there */
    DLTensor own;                     /* what the `result` function fills */
    int64_t dims[2 * JC_MAX_RANK];
} jc_given;

typedef struct jc_instance {
    const jc_program *p;
    jc_arena *arena;
    jc_call_site *sites;
    jitc_value **outs;                /* by output of the program: its value */
    jc_bound *bound;
    uint32_t *open, nopen;            /* parameters to solve from and to look at in each call */
    uint64_t generation;              /* of bindings; from 1 */
    int64_t *syms;                    /* scratch of solving */
    uint32_t *owner;
    jc_exec **execs;                  /* scratch of planning: by group */
    uint32_t *kinds;
    const size_t **need;
    int64_t *class_syms;
    jc_shapes shapes;
    jc_placing *placings;
    bool exact;                       /* memory is short: sizes grow to what is needed, not beyond */
    jc_region region;
    size_t want;                      /* of it, while memory is reserved */
    jc_given *given;
    void **elsewhere;                 /* by block of the largest placing: where it lies in this call, or NULL */
    uint32_t nelsewhere;
} jc_instance;

struct jitc_frame {
    jitc_model *m;
    jc_device *d;
    jitc_frame_options o;
    jc_frame *memory;
    jc_region pool;
    jc_instance **instances[JC_RUN_KINDS];
    _Atomic uint64_t host_bytes, calls, planned;
    _Atomic uint32_t remembered;
    jitc_frame *next;                 /* of the model */
};

/* JC_NEED of the arrays of a call: NULL is fine for none. */
#define JC_NEED_ARRAYS(ctx, values, nvalues, results, nresults)                                    \
    do {                                                                                           \
        if (nvalues)                                                                               \
            JC_NEED(ctx, values);                                                                  \
        if (nresults)                                                                              \
            JC_NEED(ctx, results);                                                                 \
    } while (0)
/* A call of one of the kinds; GIVEN false: tags of RESULTS are not looked at. */
jitc_status jc_frame_call(jitc_frame *f, jc_program_kind kind, uint32_t index, void *stream, const jitc_value *values,
                          uint32_t nvalues, jitc_value *results, uint32_t nresults, bool given);
/* The model's own frame, for jitc_model_run() and jitc_piece_run(). */
jitc_status jc_frame_of_model(jitc_model *m, jitc_frame **out, jc_error *err);

/* frame_instance.c */
jitc_status jc_instance_get(jitc_frame *f, jc_program_kind kind, uint32_t index, jc_instance **out, jc_error *err);
void jc_instance_free(jitc_frame *f, jc_instance *n);
jitc_status jc_instance_bind(jitc_frame *f, jc_instance *n, uint32_t param, const jitc_value *value, jc_error *err);

/* frame_shape.c */
jitc_status jc_planned_get(jitc_frame *f, jc_instance *n, const jitc_value *values, jc_planned **out, jc_error *err);
void jc_shapes_forget(jitc_frame *f, jc_instance *n);
void jc_shapes_free(jitc_frame *f, jc_instance *n);
/* Room for as many as are remembered, of BYTES each. */
jitc_status jc_shapes_reserve(jitc_frame *f, jc_instance *n, size_t bytes, jc_error *err);
size_t jc_planned_bytes(const jc_program *p); /* without shapes */

/* frame_place.c */
/* The placing for executables of these kinds, made or grown until the escapes of each group, NEED[group] bytes, fit. */
jitc_status jc_placing_get(jitc_frame *f, jc_instance *n, const uint32_t *kinds, jc_exec *const *execs,
                          const size_t *const *need, jc_placing **out, jc_error *err);
/* There is memory for it, or there is none: then it is as large as it was when there last was, and shapes are forgotten. */
void jc_placing_backed(const jc_instance *n, jc_placing *l);
void jc_placing_shrink(jitc_frame *f, jc_instance *n, jc_placing *l);

/* frame_result.c */
jitc_status jc_results_take(jitc_frame *f, jc_instance *n, const jc_planned *s, void *stream, const jitc_value *values,
                            const jitc_value *results, bool given, bool *any, jc_error *err);
jitc_status jc_results_give(jitc_frame *f, jc_instance *n, const jc_planned *s, void *stream, const jitc_value *values,
                            jitc_value *results, bool any, jc_error *err);

/* frame_run.c */
jitc_status jc_instance_run(jitc_frame *f, jc_instance *n, void *stream, const jitc_value *values, jitc_value *results,
                            bool given, jc_error *err);

#endif
