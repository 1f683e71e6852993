/*
 * jitc/explain.h - what is not supported, all of it, without building.
 *
 * jitc_model_build() ends with JITC_E_UNSUPPORTED at the first thing that it cannot compile.  jitc_model_explain() lists them all: the same
 * code decides, so it lists nothing exactly where a build gets through (of what only shows when code is generated or loaded nothing is
 * known before: JITC_E_COMPILE, JITC_E_DEVICE, custom operators that nobody registered).
 *
 * What the reader has no code for, a known operator with a dtype or an argument that is not supported, is listed as well: such a graph is
 * read, cut and hashed like any other.
 */
#ifndef JITC_EXPLAIN_H
#define JITC_EXPLAIN_H

#include "jitc/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Texts are valid during the call that tells of it. */
typedef struct jitc_refusal {
    size_t struct_size;
    const char *op;     /* "torch.cumsum", "vllm::f", "sum"; "" where it is not about an operator */
    const char *node;   /* the name of its first result in the text; "" where it has none */
    const char *piece;  /* "submod_3"; the root's name for what was not cut */
    const char *file;
    int line, column;   /* column 0: that of the statement is not known */
    const char *reason; /* a sentence */
} jitc_refusal;
typedef void (*jitc_refusal_function)(void *user, const jitc_refusal *what);

/*
 * Calls TOLD(user, ...) for everything in N graphs that jitc_model_build() with OPTIONS would not compile: by graph, piece, and in the
 * order of the text within, each member of a class for itself.  Returns JITC_OK, also where something was told; any other failure is the one that
 * the build would end with.  Nothing is compiled and no cache is asked.
 * The graphs are as if they had not been used, but cut: a model may be built of them with the same split_ops, strides and
 * examples; with others it is JITC_E_USAGE.
 * Threads: as jitc_model_build().  TOLD is called from this thread and may not use the graphs.
 */
JITC_API jitc_status jitc_model_explain(jitc_context *ctx, jitc_graph *const *graphs, uint32_t n,
                                        const jitc_model_options *options, jitc_refusal_function told, void *user);

/* Other names of jitc_graph_read() and jitc_graph_read_file(), which read on behind what is not supported by themselves. */
JITC_API jitc_status jitc_graph_read_tolerant(jitc_context *ctx, const char *name, const char *text, size_t length,
                                              jitc_graph **out);
JITC_API jitc_status jitc_graph_read_file_tolerant(jitc_context *ctx, const char *path, jitc_graph **out);

#ifdef __cplusplus
}
#endif
#endif
