/*
 * jit/api/model.h - inside a model: what jitc/model.h shows, and what the tool needs besides.
 *
 *   graphs --jc_split, jc_layout--> pieces --jc_canonicalise--> classes --jc_service_get--> artifacts --jc_exec_load--> executables
 *
 * A model does not change once it is built, but for what is made on first use, under its lock, and stays: executables that are loaded,
 * programs (jit/api/program.h).  What runs change lies in frames (jit/api/frame_priv.h).
 */
#ifndef JC_MODEL_H
#define JC_MODEL_H

#include <pthread.h>

#include "ir/passes.h"
#include "jit/api/trust.h"
#include "jit/service/service.h"
#include "jitc/jitc.h"
#include "runtime/exec.h"

struct jitc_context {
    jc_alloc alloc;
    jc_log log;
    jc_arena *arena;
    jc_registry *ops;
    jc_names *names;
    jc_cache *cache;
    jc_service *service;
    jc_device *device;       /* opened on first use */
    char *device_name;
    jc_device_options device_options;
    unsigned threads;
    pthread_mutex_t lock;
    pthread_key_t error_key;
    JC_VEC(jc_plugin) plugins;
    jc_trust trust;
    struct jc_thread_error *errors;
    struct jitc_graph *graphs;
    struct jitc_model *models;
    struct jitc_bundle *bundles; /* open ones */
    const jc_call_trace *trace; /* the tool's */
    const jc_trace *spans;      /* likewise */
};

struct jitc_graph {
    jitc_context *ctx;
    jc_arena *arena;
    jc_graph *g;
    double ms_read;
    bool used; /* by a model: splitting has changed it */
    uint64_t explained; /* it was cut by jitc_model_explain() with options of this hash; 0: it was not */
    struct jitc_graph *next;
};

/* What a class is compiled for, of one of its symbols: in the order given; a single size has lo == hi. */
typedef struct jc_interval {
    int64_t lo, hi;
} jc_interval;
typedef struct jc_intervals {
    uint32_t n; /* at least 1 */
    jc_interval *at;
} jc_intervals;
#define JC_MAX_VARIANTS 64 /* of one class */

/* A class under one range of each of its symbols. */
typedef struct jc_variant {
    jc_request request;       /* lo and hi are arrays, by class symbol */
    jc_exec *exec;            /* loaded on first use: ask jc_model_exec() */
    uint32_t kind;            /* equal for variants whose plans have the same escapes and place outputs alike; set with EXEC */
} jc_variant;

/* The members of a class share everything here. */
typedef struct jc_class {
    uint32_t first;           /* piece */
    uint32_t members;
    jc_intervals *ranges;     /* by class symbol: those of all members together */
    uint32_t nvariants;       /* product of the numbers of ranges; the last symbol's changes fastest */
    jc_variant *variants;
    uint32_t nkinds;          /* of loaded variants */
} jc_class;

typedef struct jc_piece {
    jc_func *func;
    uint32_t graph, cls;
    bool splitting;
    jc_canon canon;
    const jitc_layer_name **literals; /* by canonical input: handle of a lifted string, or NULL */
    const char **layer_names;
    uint32_t nlayer_names;
} jc_piece;

struct jitc_model {
    jitc_context *ctx;
    jc_arena *arena;
    jitc_graph **graphs;
    uint32_t ngraphs, npieces, nclasses;
    jc_piece *pieces;
    jc_class *classes;
    jc_target target;
    jitc_model_stats stats;
    struct jc_about *about;     /* jit/api/executable.h; under the context's lock */
    pthread_mutex_t lock;       /* of what is made on first use, and of the statistics */
    struct jc_program **programs[3]; /* by jc_program_kind and index; NULL: not made yet */
    jitc_frame *own, *frames;   /* for runs without a frame; all there are */
    struct jitc_bundle *bundle; /* whose bytes it uses; NULL: its own */
    const char *codegen_id, *llvm_version; /* of a bundle; NULL: this library's */
    struct jitc_model *next;
};

/* The device, opened if need be. */
jitc_status jc_context_device(jitc_context *ctx, jc_device **out, jc_error *err);
/* The context, whatever a previous call of this thread did: entry points start with a clean record and end with
   jc_context_done(), which files a failure as the calling thread's last and returns its status. */
jitc_status jc_context_done(jitc_context *ctx, jitc_status status, jc_error *err);
/* For public entry points: ends them with JITC_E_USAGE, filed where CTX is not NULL, when one of the pointers is. */
#define JC_NEED(ctx, ...)                                                                          \
    do {                                                                                           \
        const void *const jc_needed[] = { __VA_ARGS__ };                                           \
        if (!jc_all_given((ctx), __func__, #__VA_ARGS__, jc_needed, sizeof jc_needed / sizeof *jc_needed)) \
            return JITC_E_USAGE;                                                                   \
    } while (0)
bool jc_all_given(jitc_context *ctx, const char *function, const char *names, const void *const *at, size_t n);
/* For public entry points: what CALL answers, filed, unless it is ok. */
#define JC_ENTRY(ctx, err, call)                                                                   \
    do {                                                                                           \
        jitc_status jc_entry_status = (call);                                                      \
        if (jc_entry_status != JITC_OK)                                                            \
            return jc_context_done((ctx), jc_entry_status, (err));                                 \
    } while (0)
/* Copies one of our structs of SIZE bytes over the user's, as much as fits; its first field is, and stays, the user's size. */
void jc_give_struct(void *out, const void *from, size_t size);
/* Copies the user's options (NULL: none), whose first field is their size, over OUT, which holds the defaults.  Older
   callers' are shorter. JITC_E_USAGE for a size that cannot be right: a field that was never set. */
jitc_status jc_take_options(void *out, size_t size, const void *options, const char *name, jc_error *err);
/* An empty model of the context; NULL when memory is out. */
jitc_model *jc_model_new(jitc_context *ctx);
/* What the options say to compile for. */
/* Does an index out of range take the nearest row on TARGET (jitc/model.h)? */
static inline bool jc_model_clamps(const jitc_model_options *o, const jc_target *target) {
    return o->clamp_index || (!o->check_index && jc_target_is_gpu(target));
}
jitc_status jc_model_target(jitc_model *m, const jitc_model_options *o, jc_error *err);
/* What comes before compiling: target, pieces, classes, variants.  M has its graphs and nothing else. */
jitc_status jc_model_prepare(jitc_model *m, const jitc_model_options *o, jc_error *err);
/* Graphs of CTX that no model has used. */
jitc_status jc_check_graphs(jitc_context *ctx, jitc_graph *const *graphs, uint32_t n, jc_error *err);
/* Symbol values of a piece's class from those of its graph. */
jitc_status jc_piece_symbols(const jc_piece *p, const int64_t *graph_syms, uint32_t n, int64_t *out, jc_error *err);
/* jit/api/variants.c: are the ranges of the options ranges, of symbols that there are? */
jitc_status jc_ranges_check(const jitc_model *m, const jitc_model_options *o, jc_error *err);
/* What piece P, a member of C, wants to be compiled for. */
void jc_class_join(jitc_model *m, jc_class *c, const jc_piece *p, const jitc_model_options *o);
/* Makes the variants of a class, whose `ranges` have been filled for NSYMS symbols; their requests have only a range and the model's
   target.  JITC_E_USAGE for more than JC_MAX_VARIANTS. */
jitc_status jc_class_variants(jitc_model *m, jc_class *c, uint32_t nsyms, jc_error *err);
/* The variant for these values of the class's symbols: per symbol its exact size, else the first range that holds it; 0 goes where 1
   does.  JITC_E_INPUT, with the ranges that there are. */
jitc_status jc_class_dispatch(const jitc_model *m, const jc_piece *p, const int64_t *syms, uint32_t *out, jc_error *err);
/* Any executable of the class that has been loaded; NULL: none. They differ in code, not in what they give. */
const jc_exec *jc_class_loaded(const jc_class *c);
/* Has PLAN, which may come from a hostile bundle, the inputs, symbols and outputs of P's class? */
bool jc_plan_fits(const jc_piece *p, const jc_plan *plan);
/* The literal that was lifted to canonical input INPUT, as a value to pass. */
jitc_value jc_literal_value(const jc_piece *p, uint32_t input);
/* Loads the variant's artifact, if need be, and binds its operators. Safe from any thread. */
jitc_status jc_model_exec(jitc_model *m, uint32_t cls, uint32_t variant, jc_exec **out, jc_error *err);

#endif
