/*
 * jitc/executable.h - classes: what was compiled once for all pieces that compute the same.
 *
 * An executable is a class of a model, under every range that it was compiled for.  It says what it takes and gives (so that an
 * engine can plan memory and lay out its weights), what memory a shape will need, and it can be run with any member's values.
 *
 * Ownership: executables, and every text and array below, belong to the model and are valid until it is freed.
 * Threads: a const jitc_executable is safe to share; what it answers never changes.
 * Nothing here opens a device or loads code, but jitc_executable_run() and jitc_model_memory().
 *
 * Expressions are texts over the symbols of the class ("s0", "2*s0 + 8"), which are named as in the class's first member; so are the
 * parameters.  Parameters of a class are in canonical order: by first use, lifted literals among them.  jitc_piece_inputs() says for any
 * member what it supplies for each.
 */
#ifndef JITC_EXECUTABLE_H
#define JITC_EXECUTABLE_H

#include "jitc/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct jitc_executable jitc_executable;

#define JITC_NO_PARAM UINT32_MAX

/* How many classes there are: they count up with their first members. */
JITC_API uint32_t jitc_model_classes(const jitc_model *model);
/* Class CLS of the model. JITC_E_USAGE: there is none of that number. */
JITC_API jitc_status jitc_model_executable(jitc_model *model, uint32_t cls, const jitc_executable **out);

typedef struct jitc_executable_info {
    size_t struct_size;
    uint32_t cls;
    uint32_t piece;     /* the first member */
    const char *name;   /* its name */
    uint32_t members;
    char key[65];       /* structural hash, hex: that of all members */
    bool splitting;     /* holds a splitting operator */
    bool compiled;      /* false: the model was built with split_only */
    uint32_t nparams, nresults, nsymbols;
    uint32_t nvariants; /* ranges that it was compiled for */
} jitc_executable_info;
JITC_API jitc_status jitc_executable_get_info(const jitc_executable *exe, jitc_executable_info *out);

typedef struct jitc_executable_param {
    size_t struct_size;
    const char *name;    /* of the first member's parameter; "" for a lifted literal */
    uint32_t tag;        /* JITC_TENSOR, JITC_INT, JITC_NAME, JITC_FLOAT, JITC_BOOL */
    DLDataType dtype;    /* of a tensor, as are the next four */
    uint32_t rank;
    const char *const *dims;    /* RANK expressions */
    const char *const *strides; /* in elements; always there. Those of dims of one element, or of an empty tensor, do not matter */
    uint32_t alignment;  /* bytes; a tensor that lies less aligned is copied at each call, and back where it is written */
    const char *value;   /* JITC_INT: the expression that it must be; NULL: any */
    const char *type;    /* "bf16[s0, 256]" */
    bool written;        /* the elements are written */
    bool literal;        /* lifted from the call of a custom operator: see jitc_piece_inputs() */
    uint32_t alias;      /* parameters with one number may share memory; 0: with nobody, where one of them is written */
} jitc_executable_param;
JITC_API jitc_status jitc_executable_get_param(const jitc_executable *exe, uint32_t param, jitc_executable_param *out);

typedef struct jitc_executable_result {
    size_t struct_size;
    uint32_t tag;        /* JITC_TENSOR, JITC_INT, JITC_NONE */
    DLDataType dtype;    /* of a tensor */
    uint32_t rank;
    const char *const *dims, *const *strides; /* as those of a parameter */
    const char *value;   /* JITC_INT: the expression that it is; JITC_FLOAT, JITC_BOOL: the literal */
    const char *type;
    uint32_t view_of;    /* the parameter in whose memory it lies: it is never copied; JITC_NO_PARAM: in memory of its own */
    uint32_t storage;    /* the first result that shares memory with this one; its own number: none before it does */
    bool undefined;      /* nothing ever writes it (an `empty`): its elements hold anything */
} jitc_executable_result;
JITC_API jitc_status jitc_executable_get_result(const jitc_executable *exe, uint32_t result, jitc_executable_result *out);

typedef struct jitc_executable_symbol {
    size_t struct_size;
    const char *name;
    int64_t lo, hi;      /* of all ranges together */
    uint32_t param;      /* its value is solved from this parameter, JITC_NO_PARAM: from none, and does not matter */
    int32_t dim;         /* from this dim of it; -1: from its value */
    bool stride;         /* from the stride of that dim rather */
} jitc_executable_symbol;
JITC_API jitc_status jitc_executable_get_symbol(const jitc_executable *exe, uint32_t symbol, jitc_executable_symbol *out);

typedef struct jitc_executable_variant {
    size_t struct_size;
    const int64_t *lo, *hi; /* per symbol. A call takes the variant of its exact size, else the first that holds it */
    bool hit;               /* found in the cache, or loaded, rather than compiled */
    uint32_t kernels, launches, calls; /* different kernels; steps that launch one; steps that call a custom operator */
    uint64_t bytes;         /* of plan and code */
} jitc_executable_variant;
/* JITC_E_USAGE for a model that was built with split_only. */
JITC_API jitc_status jitc_executable_get_variant(const jitc_executable *exe, uint32_t variant, jitc_executable_variant *out);

/* What a member supplies for a parameter of its class. */
typedef struct jitc_piece_input {
    uint32_t param;     /* the piece's parameter, or JITC_NO_PARAM */
    jitc_value literal; /* then: the literal that was lifted, to be passed as it is (a layer name, an integer, ...) */
} jitc_piece_input;
/*
 * Fills OUT[0..N-1], one per parameter of the piece's class, in its order.  To run a piece by its class pass, for each, the value of
 * the piece's parameter, or the literal. JITC_E_USAGE: N is not the number of the class's parameters.
 */
JITC_API jitc_status jitc_piece_inputs(const jitc_model *model, uint32_t piece, jitc_piece_input *out, uint32_t n);

/*
 * Runs the class in a frame of its model, with any member's values: one per parameter of the class (JITC_TENSOR, JITC_INT, JITC_NAME,
 * and for literals what jitc_piece_inputs() gave).  Results, memory, stream and failures as for jitc_frame_run_piece(); results in the
 * frame's memory are valid until it runs that class again, by whatever member. JITC_E_USAGE: the frame is another model's.
 */
JITC_API jitc_status jitc_executable_run(const jitc_executable *exe, jitc_frame *frame, void *stream,
                                         const jitc_value *values, uint32_t nvalues, jitc_value *results, uint32_t nresults);

typedef struct jitc_memory {
    size_t struct_size;
    uint64_t scratch; /* bytes of device memory within a call: of what is neither an input nor a result */
    uint64_t results; /* of all results that have memory of their own, each storage once */
    uint64_t copies;  /* if no input were aligned: for the copies */
} jitc_memory;
/*
 * Device memory that a call of the class takes for these values of its symbols (SYMBOLS: by the names of the first member; NULL stands for all
 * others).  BYTES, where not NULL, gets the bytes of each result, N_RESULTS of them: 0 for one that is a view, an integer or None, or
 * shares the storage of an earlier one.  JITC_E_USAGE: a symbol without a value, no such symbol, or split_only; JITC_E_INPUT: values that it
 * was not compiled for, or sizes that overflow.
 */
JITC_API jitc_status jitc_executable_memory(const jitc_executable *exe, const jitc_symbol *symbols, uint32_t nsymbols,
                                            jitc_memory *out, uint64_t *bytes, uint32_t nresults);

/* Device memory that jitc_frame_reserve() with the same arguments would allocate in a new frame without anything bound.  Opens the
   device and loads the executables, allocates nothing there.  Fails as that does. */
JITC_API jitc_status jitc_model_memory(jitc_model *model, const jitc_symbol *symbols, uint32_t n, uint32_t flags,
                                       uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
