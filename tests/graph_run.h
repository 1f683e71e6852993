/*
 * tests/graph_run.h - a small graph, made-up inputs, a device: results against the reference.
 */
#ifndef GRAPH_RUN_H
#define GRAPH_RUN_H

#include "jit/api/model.h"
#include "jit/sched/schedule.h"

typedef struct graph_case {
    const char *name;
    const char *params;  /* "x: \"f32[s0, 8]\", s0: \"Sym(s0)\""; NULL: BODY is the whole text, and RESULT nothing */
    const char *body;    /* statements, separated by newlines, unindented */
    const char *result;  /* "y" or "y, z" */
    double tolerance;    /* relative L2; 0: by dtype of the result (f32 1e-5, f64 1e-12, 16 bits 1e-2, fp8 1e-1) */
    bool (*setup)(jitc_context *ctx); /* registers operators; may be NULL */
} graph_case;

/* The text of the case as print_readable would write it; malloc'd. */
char *graph_text(const graph_case *c);
/* Builds for DEVICE ("host", "host/x86-64-v2": as if the CPU were of that level) and runs with every symbol = SYM. Fails the running test with the case's name, or returns the model's
   largest relative error. SEED makes the inputs; with an odd one the model rounds after every operator (strict). */
double graph_check(const graph_case *c, const char *device, int64_t sym, uint64_t seed);
/* As graph_check, with SYMBOLS "s0=3 s1=0"; those left out are 0. */
double graph_check_at(const graph_case *c, const char *device, const char *symbols, uint64_t seed);
/* The same, built for these symbols alone. */
double graph_check_exact(const graph_case *c, const char *device, const char *symbols, uint64_t seed);
/* Building or running at SYMBOLS is refused with JITC_E_INPUT and a sentence that has all of FRAGMENTS ("a|b"); what is refused
   at the run only, the reference refuses too. */
void graph_fails_at(const graph_case *c, const char *device, const char *symbols, const char *fragments);
/* The same with JITC_E_UNSUPPORTED.  KNOWN: the reference has an answer. */
void graph_unsupported_at(const graph_case *c, const char *device, const char *symbols, const char *fragments, bool known);
/* Compiles alone; returns the status. ARTIFACT and N (may be NULL) get the first class's bytes, malloc'd. */
jitc_status graph_compile(const graph_case *c, const char *arch, uint8_t **artifact, size_t *n, char *message, size_t size);

/* What the scheduler makes of its first piece, for ARCH ("host/x86-64-v3": for that CPU); in ARENA. */
jc_schedule graph_schedule(const graph_case *c, const char *arch, jc_arena *arena);

#endif
