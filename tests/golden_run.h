/*
 * tests/golden_run.h - whole models in tests: a context with the example plugin, graphs of files, inputs, runs, distances.
 *
 * Everything here fails the running test with a sentence; nothing returns an error.
 */
#ifndef GOLDEN_RUN_H
#define GOLDEN_RUN_H

#include "ir/eval/eval.h"
#include "jit/api/model.h"
#include "tools/safetensors.h"

/* JITC_GRAPHS, or the graphs beside the source tree. */
const char *golden_graphs(void);
/* False, and a line on stderr that says so, where there are none. */
bool golden_there(void);

typedef struct golden_call {
    const char *op, *name; /* name: "" where the call has none */
} golden_call;

/* A context and what belongs to it.  Memory alone as cache: what is a hit was compiled by the same host. */
typedef struct golden_host {
    jc_arena *arena;
    jitc_context *ctx;
    jc_device *device;
    jc_call_trace trace;
    JC_VEC(golden_call) calls; /* of the last run */
    JC_VEC(void *) blocks;     /* device memory to give back */
} golden_host;

void golden_open(golden_host *h, const char *device); /* one thread; loads examples/jitc_tiny_ops.so */
void golden_close(golden_host *h);

typedef struct golden_model {
    const char *path;
    jitc_model *m;
    const jc_func *root;
    jitc_model_stats stats;
} golden_model;

/* OPTIONS may be NULL. */
golden_model golden_build(golden_host *h, const char *path, const jitc_model_options *options);
/* Several files as one set of pieces; root is the first one's. */
golden_model golden_build_all(golden_host *h, const char *const *paths, uint32_t n, const jitc_model_options *options);
/* The same from text; NAME is for messages. */
golden_model golden_build_text(golden_host *h, const char *name, const char *text, const jitc_model_options *options);
/* Strides of root parameters as {"param": [stride, ...]} into OPTIONS; none where there is no such file. */
void golden_strides(golden_host *h, const char *path, jitc_model_options *options);
/* So many classes were compiled and so many found, or the test fails. */
void golden_expect(const golden_model *m, uint64_t compiled, uint64_t hits);

/* A tensor in host memory and its copy on the device. */
jitc_value golden_tensor(golden_host *h, const jc_st_tensor *t, bool on_device);
/* One value per parameter: tensors by name from INPUTS, names by NAMES (param -> text: a json_t object, may be NULL), symints
   as the tensors say. */
jitc_value *golden_values(golden_host *h, const jc_func *f, const jc_st_file *inputs, const void *names);

typedef struct golden_out {
    jc_st_tensor tensor;   /* elements row-major, in host memory; symints as one i64 */
    bool undefined;        /* the plan says that nothing writes it */
} golden_out;

/* Runs graph 0, or piece PIECE alone. Results in h->arena; h->calls gets the calls. */
golden_out *golden_run(golden_host *h, const golden_model *m, const jitc_value *values);
golden_out *golden_run_piece(golden_host *h, const golden_model *m, uint32_t piece, const jitc_value *values);

/* The reference on the same inputs (in host memory), as the text was read; custom operators are the context's. */
jc_eval_out *golden_reference(golden_host *h, const char *path, const jitc_value *values);
/* The same for a function at hand; WHAT is for messages. */
jc_eval_out *golden_evaluate(golden_host *h, const char *what, const jc_func *f, unsigned how, const jitc_value *values);
/* A floating result of the reference as a tensor of f64. */
jc_st_tensor golden_exact(const jc_eval_out *o);
/* Of each element the one of both results that GOT, of a floating dtype, is nearer to. */
jc_st_tensor golden_nearer(golden_host *h, const jc_st_tensor *got, const jc_eval_out *exact, const jc_eval_out *eager);

/* ||a - b|| / ||b||; 0 where both are zero; NaN anywhere gives NaN.  The shapes must be equal. */
double golden_distance(const char *what, const jc_st_tensor *a, const jc_st_tensor *b);

#endif
