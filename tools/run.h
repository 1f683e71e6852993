/*
 * tools/run.h - one run of a graph or a piece: its inputs, its results, the reference's.
 */
#ifndef JC_TOOL_RUN_H
#define JC_TOOL_RUN_H

#include "ir/eval/eval.h"
#include "ir/solve.h"
#include "tools/safetensors.h"
#include "tools/tool.h"

typedef struct run_output {
    const char *name;      /* "out0"; "mut:NAME": what was in a written input afterwards */
    bool written;          /* the latter */
    uint8_t kind;          /* jc_kind: JC_TENSOR, JC_SYMINT; JC_NAME stands for all others */
    bool undefined;        /* a buffer that nothing wrote */
    jc_st_tensor tensor;   /* row-major; a symint is an I64 scalar */
    int64_t integer;
    double max_abs, rel_l2, rtol;
    bool differs;
} run_output;

typedef struct run_call {
    const char *op, *layer_name; /* NULL: no name */
} run_call;

typedef struct run {
    tool *t;
    jc_arena *arena;       /* of this run */
    jitc_model *model;
    uint32_t graph, piece; /* piece: UINT32_MAX for the whole graph */
    const jc_func *f;
    jc_device *device;
    const char *file;
    /* inputs: one per parameter of f */
    int64_t *syms;
    uint32_t nsyms;
    jitc_value *host, *values; /* in host memory; on the device */
    JC_VEC(void *) blocks;     /* device memory to give back */
    jc_st_file weights;        /* that the graph's file holds, by parameter */
    uint32_t made;             /* how many were made up */
    /* results */
    uint32_t noutputs;     /* results of f, then the inputs that it writes */
    run_output *outputs;
    JC_VEC(run_call) calls;
    double first_ms, min_us, median_us, max_us;
    size_t repeated, default_repeat; /* runs that were timed; without --repeat */
} run;

/* Every file's run, of one model. */
typedef struct run_session {
    tool *t;
    jitc_model *model;
    jc_device *device;
    jc_st_file inputs;
    bool have_inputs, bench;
    json_t *names;
    JC_VEC(run *) runs;
} run_session;

/* cmd_run.c: `jitc run` and, where BENCH, `jitc bench`. The exit code. */
int run_files(tool *t, bool bench);

/* run_print.c: CODE, or that of a failed write. */
int run_print_json(const run_session *s, const jitc_model_stats *stats, int code);
int run_print_text(const run_session *s, const jitc_model_stats *stats, int code);
int run_print_bench(const run_session *s);

/* run_inputs.c: r->syms, r->host.  FILE may be NULL. */
jitc_status run_inputs(run *r, const jc_st_file *file, const json_t *names, jc_error *err);
/* Copies r->host to the device: r->values. */
jitc_status run_to_device(run *r, jc_error *err);
void run_free_device(run *r);

/* weights.c: what file FILE holds of the values of its graph's parameters; as long as ARENA. */
jitc_status run_weights(const tool *t, uint32_t file, const jc_graph *g, jc_arena *arena, jc_st_file *out, jc_error *err);

/* run_bundle.c: is the file a bundle, and do the options fit one? */
jitc_status run_bundle_check(const tool *t, bool *is, jc_error *err);
/* What run_bounds() says, for a model from a bundle. */
jitc_status run_bundle_bounds(const run *r, int64_t *bounds, jc_error *err);
/* `--load-only`: everything up to runnable but the GPU's own module load; prints how long it took. The exit code. */
int run_load_only(tool *t, jitc_model *m);

/* run_bounds.c: for each parameter of F, the number of rows of the smallest table that its integers index; INT64_MAX: none. */
void run_bounds(jc_arena *arena, const jc_func *f, const int64_t *syms, uint32_t nsyms, int64_t *bounds);

/* run_rounding.c: for each output of F, then each of its parameters, whether it depends on a value that was rounded to less than f32
   on the way; or, where ROUGH, on one that libraries and orders of adding make different in the last places. */
bool *run_rounding(jc_arena *arena, const jc_func *f, bool rough);

/* Does the run write parameter I, a tensor? */
static inline bool run_writes(const run *r, uint32_t i) {
    return r->f->params[i]->type.kind == JC_TENSOR && jc_func_writes(r->f, r->f->params[i]);
}
/* What an output is called among those of all runs: "out3", of which N counts, or "mut:x". */
static inline const char *run_output_name(const run_session *s, const run_output *o, uint32_t *n) {
    return o->written ? o->name : jc_arena_printf(s->t->arena, "out%u", (*n)++);
}

/* run_outputs.c: r->outputs from what the run gave. */
jitc_status run_outputs(run *r, const jitc_value *results, jc_error *err);

/* run_verify.c: what the reference has for r->outputs, exact and eager, in r->arena; then the comparison. */
typedef struct run_judge {
    jc_eval_out *exact, *eager;
} run_judge;
jitc_status run_reference(run *r, run_judge *out, jc_error *err);
void run_compare(run *r, const run_judge *reference);

#endif
