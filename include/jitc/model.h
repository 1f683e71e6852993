/*
 * jitc/model.h - from text to something that runs.
 *
 *   jitc_graph_read -> jitc_model_build (split, deduplicate, compile or load) -> jitc_piece_run / jitc_model_run
 */
#ifndef JITC_MODEL_H
#define JITC_MODEL_H

#include "jitc/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct jitc_graph jitc_graph;
typedef struct jitc_model jitc_model;

/*
 * Reads PyTorch's text, or what torch.export.save() wrote (a .pt2 archive, schema 8; known by its first bytes).  NAME stands in messages,
 * whose lines are numbers of nodes for an archive.  The graph belongs to CTX; TEXT is not needed afterwards.
 * What there is no code for (an operator, a dtype, an argument) is read, cut and hashed all the same: jitc_model_explain() lists it, and
 * jitc_model_build() fails with the first of it, unless it is to split only.
 * JITC_E_INPUT: it is wrong or damaged; JITC_E_UNSUPPORTED: an archive with pickled weights, which are never opened, compressed entries,
 * or of another schema; JITC_E_IO: PATH cannot be read.
 */
JITC_API jitc_status jitc_graph_read(jitc_context *ctx, const char *name, const char *text, size_t length,
                                     jitc_graph **out);
/* Of an archive only what describes it is read, not its weights. */
JITC_API jitc_status jitc_graph_read_file(jitc_context *ctx, const char *path, jitc_graph **out);

/* A parameter of the root whose value the archive holds, as raw bytes that may be mapped or read by whoever runs the graph: they have
   not been looked at.  Texts and arrays are valid as long as the graph. */
typedef struct jitc_weight {
    size_t struct_size;
    uint32_t param;       /* the root's, as jitc_model_param_info() counts */
    const char *name;     /* as the module calls it: "layers.0.weight" */
    DLDataType dtype;
    uint32_t rank;
    const int64_t *dims, *strides; /* strides in elements */
    uint64_t offset;      /* of its first element in the file or text; several may share bytes */
    uint64_t bytes;       /* from there to the end of its last element */
} jitc_weight;
JITC_API uint32_t jitc_graph_weights(const jitc_graph *graph); /* how many; 0 for text */
/* JITC_E_USAGE: there is none of that number. */
JITC_API jitc_status jitc_graph_weight(const jitc_graph *graph, uint32_t weight, jitc_weight *out);
JITC_API void jitc_graph_free(jitc_graph *graph);

/* Several for one symbol: code for each.  A run takes that for the exact size (lo == hi), else the first that holds it. */
typedef struct jitc_range {
    const char *symbol; /* NULL: every symbol that has none of its own */
    int64_t lo, hi;
} jitc_range;
typedef struct jitc_strides {
    const char *param;
    uint32_t n;
    const char *const *strides; /* expressions: "s7", "1" */
} jitc_strides;

typedef struct jitc_model_options {
    size_t struct_size;
    const char *arch;   /* "sm_90a", "host", "sim"...; NULL: the context's device */
    bool no_lift_names; /* leave literals of custom operators in the code */
    bool strict;        /* round after every operator */
    bool split_only;    /* do not compile: pieces and classes only */
    /*
     * Operators that graphs are cut at: "linear" (in any spelling), "vllm::x", "torch.ops.vllm.x.default", "aten::linear",
     * "torch.nn.functional.linear", "operator.add", "Tensor.view"; NULL: the default list.  See `need_split_ops`.
     */
    const char *const *split_ops;
    uint32_t nsplit_ops;
    const jitc_range *ranges;
    uint32_t nranges;
    const jitc_strides *strides;
    uint32_t nstrides;
    void (*progress)(void *user, unsigned done, unsigned total, const char *what);
    void *progress_user;
    /*
     * Asked between the stages of a build and before each kernel; true ends it with JITC_E_CANCELLED, after the kernels that are
     * being compiled at that moment: no later than the longest of them takes.  Called from the compile threads, several at once,
     * and not again once it said true.  Nothing half-done stays: what was finished is in the cache, no model is made, and other builds of
     * the same graphs, also those under way, are none the worse.  NULL: never.
     */
    bool (*cancel)(void *user);
    void *cancel_user;
    /*
     * Tensors as they will come, to take strides from: one for each parameter of each graph's root, in order, graph after graph; NULL for
     * what is no tensor, and where nothing is known: contiguous.  Only shape, strides and dtype are looked at, during the build. Where a
     * stride is what it would be without gaps between the dims inside, in whatever order they lie, it follows those dims; otherwise it
     * is the number itself.  Dims of one element are taken to lie as in row-major order.  What `strides` says of a parameter goes before its example. JITC_E_USAGE: another number of them; JITC_E_INPUT: a tensor that does not fit
     * its parameter, or that has no elements, since its strides say nothing.
     */
    const DLTensor *const *examples;
    uint32_t nexamples;
    /*
     * An index out of range (embedding, index_select, x[i]) takes the nearest row of its table.  Else a run with one fails on host and sim,
     * before the kernel that would take the row, with JITC_E_INPUT and a sentence that names index and table; on a GPU it is clamped all the
     * same, so nothing outside the table is read, unless `check_index` asks for the error there too.  Likewise a matrix that has no inverse, no
     * solution or no factor of Cholesky, for which PyTorch raises: with `clamp_index`, and on a GPU, its results are NaN or infinite.
     */
    bool clamp_index;
    /*
     * On a GPU, a run copies indices to the host and looks at them as on host and sim: each look waits for the stream, so this is for finding
     * mistakes, and such a run cannot be captured in a graph (JITC_E_DEVICE).  Goes after `clamp_index`; nothing changes elsewhere.
     */
    bool check_index;
    /*
     * Each of `split_ops` has to be in one of the graphs: where a name means nothing it is JITC_E_USAGE, and the sentence says what they call
     * that is like it.  Else a list may be given that serves many models.
     */
    bool need_split_ops;
} jitc_model_options;

/* Builds one model of N graphs (several files are one set of pieces). Graphs are borrowed until the model is freed and must not be
   used for another model. */
JITC_API jitc_status jitc_model_build(jitc_context *ctx, jitc_graph *const *graphs, uint32_t n,
                                      const jitc_model_options *options, jitc_model **out);
JITC_API void jitc_model_free(jitc_model *model);

typedef struct jitc_model_stats {
    size_t struct_size;
    uint32_t pieces, classes;
    uint64_t compiled, hits;                           /* classes times ranges */
    uint64_t kernels, kernels_unique, kernels_compiled; /* of what was compiled: all, different ones, those not found */
    /* llvm, assemble: over all threads */
    double ms_read, ms_split, ms_canonicalise, ms_hash, ms_lookup, ms_schedule, ms_llvm, ms_assemble, ms_load, ms_total;
    uint64_t kernels_hit;                              /* different ones that the cache had */
    /* Device memory of the largest run so far: in all; of that, for what pieces hand on; what this would be without reuse. */
    uint64_t peak_bytes, pool_bytes, value_bytes;
} jitc_model_stats;
JITC_API void jitc_model_get_stats(const jitc_model *model, jitc_model_stats *out);

typedef struct jitc_piece_info {
    size_t struct_size;
    const char *file, *name;
    uint32_t cls;          /* class, counted from 0 in order of first member */
    char key[65];          /* structural hash, hex */
    bool splitting, hit;
    uint32_t ninputs, noutputs; /* parameters of the piece; results */
    uint32_t nlayer_names;
    const char *const *layer_names; /* literals that were lifted, in order of use */
} jitc_piece_info;
JITC_API jitc_status jitc_model_piece_info(const jitc_model *model, uint32_t piece, jitc_piece_info *out);

/*
 * Runs one piece. VALUES: one per parameter of the piece (JITC_TENSOR on the context's device, JITC_INT for symints,
 * JITC_NAME for LayerName parameters).  RESULTS: one per output, whatever is in them on entry; tensors are borrowed from the piece's
 * memory until its next run.  In a frame of the model's own (jitc/frame.h), so one thread at a time per model: make frames for more.
 * Legal inside CUDA stream capture once the same shapes have run before.
 */
JITC_API jitc_status jitc_piece_run(jitc_model *model, uint32_t piece, void *stream, const jitc_value *values,
                                    uint32_t nvalues, jitc_value *results, uint32_t nresults);

/* Runs graph GRAPH of the model, piece by piece; parameters of its root function likewise. */
JITC_API jitc_status jitc_model_run(jitc_model *model, uint32_t graph, void *stream, const jitc_value *values,
                                    uint32_t nvalues, jitc_value *results, uint32_t nresults);
typedef struct jitc_param_info {
    size_t struct_size;
    const char *name;
    uint32_t tag;      /* JITC_TENSOR, JITC_INT, JITC_NAME */
    const char *type;  /* "bf16[s0, 256]" */
} jitc_param_info;
JITC_API uint32_t jitc_model_params(const jitc_model *model, uint32_t graph);
JITC_API uint32_t jitc_model_outputs(const jitc_model *model, uint32_t graph);
JITC_API jitc_status jitc_model_param_info(const jitc_model *model, uint32_t graph, uint32_t param,
                                           jitc_param_info *out);

#ifdef __cplusplus
}
#endif
#endif
