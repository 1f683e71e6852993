/*
 * jitc/frame.h - frames: what running needs, apart from the model, which is immutable and shared.
 *
 *   jitc_model_build -> jitc_frame_new -> jitc_frame_bind (weights) -> jitc_frame_reserve (largest sizes) -> jitc_frame_run ...
 *
 * A frame owns the memory of runs: scratch, what pieces hand on to each other, results that nobody else gives memory for, and what
 * was worked out for the shapes seen so far.
 *
 * Threads.  One call at a time in a frame; any number of frames of one model in parallel, each from its own thread.  A model that
 * frames are made from may not be freed before them.  Frames still there are freed with their model.
 *
 * Streams.  A call queues its work on STREAM (CUDA's; NULL: the default stream; ignored on host) and returns.  Consecutive calls of a
 * frame use the same memory: give them one stream, or order the streams by events.  Different frames need no order.
 *
 * Memory.  Device memory never moves: what a run has used stays where it is until the frame is freed, so a CUDA graph that captured
 * a run stays valid as long as the frame (jitc_frame_capture() tells how long that has to be).  A larger shape takes a new block, at least half as large again, and the old one is
 * kept; jitc_frame_reserve() avoids both.  A call that allocates nothing is legal inside stream capture: after
 * jitc_frame_reserve(), or once the same shapes have run before.
 *
 * Results.  For each result, on entry, results[i].tag says who gives the memory:
 *   JITC_TENSOR  the caller: the result goes into results[i].tensor, which must have the result's dtype, dims and strides (of
 *                dims longer than one), lie on the device, be aligned to 16 bytes, and share no memory with another result or
 *                with any tensor that is passed in or bound (one exception: a result that is a view of an input may be given
 *                that very view).  Anything else is JITC_E_INPUT, before anything runs.  A contiguous result that shares no
 *                storage with another one is computed right there; any other (a half of a split, a view of an input) is copied
 *                there at the end, on the stream.
 *   JITC_NONE    (or a tensor that the frame itself gave for this result in an earlier call, so that an array of results can
 *                be passed again) the frame's `result` function where it has one, else the frame's own memory.  A result that is a view of an
 *                input is that view and needs no memory: `result` is not asked.  What lies in the frame's memory, and every
 *                descriptor that the frame made, is valid until that frame runs that piece, graph or class again; those of different
 *                pieces never lie on each other.
 * Integers and None come back as such; a tensor given for one is JITC_E_USAGE.
 *
 * Failures.  JITC_E_INPUT: a value that does not fit (named, with what was given and expected); JITC_E_USAGE: counts, indices, calls
 * that make no sense; JITC_E_UNSUPPORTED: sizes at which PyTorch would do something else than what was compiled (docs/api.md), custom operators;
 * JITC_E_OP: custom operators; JITC_E_NOMEM; JITC_E_DEVICE, JITC_E_DEVICE_LOST.  After any failure but the last the frame can be used
 * again; results and written inputs then hold anything.  The sentence is in jitc_context_error().
 */
#ifndef JITC_FRAME_H
#define JITC_FRAME_H

#include "jitc/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct jitc_frame jitc_frame;

typedef struct jitc_frame_options {
    size_t struct_size; /* sizeof(jitc_frame_options) */
    /* Device memory for all that the frame owns: SIZE bytes, aligned to 256; NULL: there is none (JITC_E_NOMEM). STREAM is the one of
       the call that needs it. Both or neither; neither: the device's own. Freed with the frame and with the stream of the allocation. */
    void *(*alloc)(void *user, size_t size, void *stream);
    void (*free)(void *user, void *block, size_t size, void *stream);
    /* Memory for result INDEX of a call: dtype, device, dims and strides are filled in; sets `data` (aligned to 16 bytes; NULL: there is
       none) and `byte_offset`, nothing else. Called in order of results, once each, before anything runs; the memory is the
       callee's business, also when the call fails then. */
    void (*result)(void *user, uint32_t index, DLTensor *tensor, void *stream);
    void *user;
    uint32_t shapes; /* remembered per graph, piece and class; the longest unused goes first; 0: 64 */
} jitc_frame_options;

/* OPTIONS may be NULL.  Opens the context's device.  JITC_E_USAGE for a model that was built with split_only. */
JITC_API jitc_status jitc_frame_new(jitc_model *model, const jitc_frame_options *options, jitc_frame **out);
/* Nothing may be running in it, and no graph that captured a run of it may be replayed any more.  NULL is allowed. */
JITC_API void jitc_frame_free(jitc_frame *frame);

/* Binds parameter PARAM of graph GRAPH (of piece PIECE run by itself), a weight or a layer name, for all later calls, which
   pass JITC_NONE there.  The descriptor is copied; the elements stay the caller's, who may change them between calls.  VALUE JITC_NONE
   unbinds.  Checked here and once per shape, not in every call; JITC_E_INPUT for what does not fit. */
JITC_API jitc_status jitc_frame_bind(jitc_frame *frame, uint32_t graph, uint32_t param, jitc_value value);
JITC_API jitc_status jitc_frame_bind_piece(jitc_frame *frame, uint32_t piece, uint32_t param, jitc_value value);

typedef struct jitc_symbol {
    const char *name; /* of a graph; NULL: every symbol that has no entry of its own */
    int64_t value;
} jitc_symbol;

typedef enum jitc_reserve {
    JITC_RESERVE_GRAPHS = 1,    /* whole graphs will be run */
    JITC_RESERVE_PIECES = 2,    /* pieces will be run by themselves */
    JITC_RESERVE_CLASSES = 4,   /* classes, by jitc_executable_run() */
    JITC_RESERVE_RESULTS = 8,   /* and their results lie in the frame: all those of all pieces, side by side */
    JITC_RESERVE_UNALIGNED = 16, /* inputs not aligned to 16 bytes, which are copied, will come: as much as all unbound inputs take */
} jitc_reserve;
/*
 * Allocates, for symbols up to the values of SYMBOLS (those without: up to what they were compiled for), all memory that runs of what
 * FLAGS names will need, device and host, and loads their executables.  From then on calls within these sizes allocate nothing, whatever
 * their shapes, new ones included.  Bind before: what is bound needs no room for copies.  Sizes beyond still work, as without.
 * JITC_E_USAGE for a symbol that no graph has; JITC_E_INPUT when sizes overflow; JITC_E_NOMEM: what was allocated stays, and calls
 * work as without.
 */
JITC_API jitc_status jitc_frame_reserve(jitc_frame *frame, const jitc_symbol *symbols, uint32_t n, uint32_t flags,
                                        void *stream);

/* Runs graph GRAPH of the model, piece by piece.  VALUES: one per parameter of its root (JITC_TENSOR, JITC_INT for symints, JITC_NAME for
   layer names; JITC_NONE where bound).  RESULTS: one per output, see above. */
JITC_API jitc_status jitc_frame_run(jitc_frame *frame, uint32_t graph, void *stream, const jitc_value *values,
                                    uint32_t nvalues, jitc_value *results, uint32_t nresults);
/* Runs one piece; parameters and outputs of the piece likewise. */
JITC_API jitc_status jitc_frame_run_piece(jitc_frame *frame, uint32_t piece, void *stream, const jitc_value *values,
                                          uint32_t nvalues, jitc_value *results, uint32_t nresults);

/*
 * For a host that may free a frame while graphs that captured its runs are still there: asks whether STREAM is being captured into a CUDA
 * graph.  *CAPTURE becomes the number of the capture, which no other has; 0 where there is none, as always on the host.  If that is another
 * number than *CAPTURE was, RELEASE(USER) is called once, when the graph and all that was instantiated of it are destroyed: by a thread of the
 * driver, and it may call neither CUDA nor libjitc.  Until then the frame and its model have to stay; what they read (weights,
 * arguments) is the host's business.  JITC_E_DEVICE: the driver refused, and RELEASE is never called.  Safe while the frame runs.
 */
JITC_API jitc_status jitc_frame_capture(jitc_frame *frame, void *stream, void (*release)(void *user), void *user, uint64_t *capture);

typedef struct jitc_frame_stats {
    size_t struct_size;
    uint64_t device_bytes, device_blocks; /* held now, those kept from before larger shapes came included */
    uint64_t kept_bytes;                  /* of these, the latter */
    uint64_t host_bytes;                  /* of remembered shapes */
    uint64_t calls, planned;              /* calls that were ok; shapes that were worked out, not found */
    uint32_t remembered;                  /* shapes now */
} jitc_frame_stats;
/* Safe from any thread. */
JITC_API void jitc_frame_get_stats(const jitc_frame *frame, jitc_frame_stats *out);

#ifdef __cplusplus
}
#endif
#endif
