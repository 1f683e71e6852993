/*
 * tests/fuzz/fuzz_lab.h - what the files that run a case share: devices that poison, the case being run, its inputs.
 */
#ifndef FUZZ_LAB_H
#define FUZZ_LAB_H

#include "ir/eval/eval.h"
#include "tests/fuzz/fuzz_run.h"

typedef struct fz_block {
    void *at;
    size_t size;
} fz_block;

typedef struct fz_device {
    jitc_context *ctx;
    jc_device *device;
    const jc_device_ops *plain;
    jc_device_ops poisoning;
    fz_block *blocks; /* of the library */
    size_t nblocks, room;
    int poison;
    bool tried;
} fz_device;

struct fz_lab {
    fz_device devices[3];
};

void fz_poison(fz_device *l, const fz_block *b);

typedef struct fz_tensor {
    DLTensor dl;
    int64_t dims[2 * JC_MAX_RANK];
    size_t bytes; /* of its memory */
    int with;     /* the parameter in whose memory it lies, from byte AT on; -1: in its own */
    size_t at;
} fz_tensor;

typedef struct fz_run {
    const fz_case *c;
    jc_arena *arena;
    fz_report *report;
    const jc_func *root; /* of the flat text */
    uint32_t nparams, noutputs;
    jc_eval_out *want[2][FZ_RUNS]; /* by the rules of the host, of GPUs */
    fz_tensor *host[FZ_RUNS]; /* by parameter */
    int64_t syms[FZ_RUNS][64];
} fz_run;

/* The report of R gets FATE and a message; gives false. */
bool fz_fail(fz_run *r, fz_fate fate, const char *format, ...) JC_PRINTF(3, 4);

/* --- fuzz_run.c --- */
/* Reads the text, which the caller frees, and has the reference evaluate it for every set of sizes: r->root, r->want.  R has a case, an
   arena and a report, which says why where it is false. */
bool fz_judge(fz_run *r, fz_lab *lab, jitc_graph **flat);

/* --- fuzz_input.c --- */
const fz_input *fz_input_of(const fz_run *r, const char *name);
size_t fz_bytes_of(const DLTensor *t); /* from the first to the last element */
/* The root's parameters for set WHICH of sizes, in memory of the reference: r->host[which]. */
bool fz_make_inputs(fz_run *r, int which, uint32_t nsyms);
/* ... in memory of L, one by one as there. */
bool fz_copy_inputs(fz_run *r, fz_device *l, int which, fz_tensor *on_device);
void fz_free_inputs(fz_run *r, fz_device *l, fz_tensor *on_device);
/* Strides of root parameters that are not contiguous, as expressions of their dims. */
void fz_strides_of(fz_run *r, const fz_device *l, jitc_model_options *o);

#endif
