/*
 * tests/fuzz/fuzz_run.h - one case: its text, its inputs, and whether what runs gives what the reference says.
 */
#ifndef FUZZ_RUN_H
#define FUZZ_RUN_H

#include <stdio.h>

#include "tests/fuzz/fuzz.h"
#include "jit/api/model.h"

/* --- cases (fuzz_case.c) --- */

/* How a root parameter is made up. */
typedef struct fz_input {
    const char *name;
    double lo, hi, step; /* multiples of step; 0: any bits */
    bool wild;           /* with NaN and infinities */
    int rank;
    int64_t pad;                /* above FZ_SPARSE: memory of which little is touched, on devices that share ours; elsewhere none */
    uint8_t order[JC_MAX_RANK]; /* strides are those of the dims in this order, rows PAD elements apart */
    const char *with;           /* it begins OFFSET elements on in the memory of this one; NULL: in its own */
    int64_t offset;
    bool written;               /* WITH, and one of the two is written: a call may be refused for it */
} fz_input;

#define FZ_SPARSE (1 << 24)

typedef struct fz_symbol {
    const char *name;
    int64_t value[FZ_RUNS];
} fz_symbol;

typedef struct fz_output {
    double err;                         /* 0: exact */
    bool bits;                          /* those of a NaN too */
    int rank;                           /* -1: the reference's opinion alone */
    int64_t dims[FZ_RUNS][JC_MAX_RANK]; /* of a symint: rank 0 and its value in dims[..][0] */
} fz_output;

enum fz_way { FZ_WHOLE, FZ_CUT, FZ_PIECES, FZ_SPLIT, FZ_WAYS }; /* flat; cut text; its pieces one by one; flat, cut at our operators */
typedef struct fz_mode {
    uint8_t device; /* index into fz_devices */
    bool strict;
    uint8_t way;
    bool quick; /* the code generator takes the least time */
} fz_mode;
extern const char *const fz_devices[]; /* "host", "sim", "cuda", NULL */

typedef struct fz_case {
    uint64_t seed;
    const char *flat, *cut; /* cut may be NULL */
    JC_VEC(fz_input) inputs;
    JC_VEC(fz_symbol) symbols;
    JC_VEC(fz_output) outputs;
    int nruns;
    bool custom;
    int nmodes;
    fz_mode modes[4];
} fz_case;

fz_case *fz_case_of(const fz_prog *p, jc_arena *arena);
extern const char *const fz_ways[]; /* "whole", "cut", "pieces", "split" */
/* The modes that the seed of a case runs in; HAVE and WAYS: a bit each. */
void fz_choose_modes(fz_case *c, unsigned have, unsigned ways);
const char *fz_mode_text(fz_mode m, char *at, size_t size); /* "host fused whole quick" */
/* A file that replays: all that is needed as comments, MESSAGE among them, and the text. */
void fz_case_print(const fz_case *c, fz_mode mode, const char *message, jc_bytes *out);
fz_case *fz_case_parse(const char *text, jc_arena *arena, char *message, size_t size); /* NULL: MESSAGE says why */

/* --- running (fuzz_run.c) --- */

/* What a case came to. */
typedef enum fz_fate {
    FZ_OK,
    FZ_REFUSED,    /* not supported, says the library: counted, and no mismatch */
    FZ_UNREADABLE, /* or the reference refused it: a fault of the generator or of the reader */
    FZ_UNBUILT,
    FZ_UNRUN,
    FZ_SHAPE,
    FZ_WRONG,
    FZ_CRASHED,
    FZ_HUNG,
} fz_fate;

typedef struct fz_report {
    uint8_t fate;
    fz_mode mode;
    char message[900];
} fz_report;

typedef struct fz_lab fz_lab; /* contexts of one process */
fz_lab *fz_lab_new(void);
void fz_lab_free(fz_lab *lab);
bool fz_lab_has(fz_lab *lab, int device);
extern uint64_t fz_generated[]; /* by jc_op: how many graphs had one */
void fz_check(fz_lab *lab, const fz_case *c, fz_report *report);

/* --- fuzz_show.c --- */
/* Writes the case to OUT with its inputs and what the reference expects, for others to run. */
void fz_show(fz_lab *lab, const fz_case *c, FILE *out, fz_report *report);

/* --- fuzz_ops.c --- */
/* Registers fuzz::touch, fuzz::mix and vllm::all_reduce; *DEVICE is where device memory is reached. */
bool fz_register_ops(jitc_context *ctx, jc_device **device);

/* --- fuzz_shrink.c --- */
/* Runs CHECK in a child of its own: crashes and hangs are fates like others. */
void fz_check_apart(const fz_case *c, fz_report *report);
/* Makes P smaller as long as it comes to FATE in MODE; at most SECONDS. */
fz_case *fz_shrink(fz_prog *p, fz_report *report, double seconds, jc_arena *arena);

#endif
