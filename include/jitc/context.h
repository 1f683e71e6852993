/*
 * jitc/context.h - the context: options, allocator, log, cache, registered operators.
 *
 * Everything belongs to a context and is given back with it at the latest.  Reading, building, loading, describing and running are safe
 * from any thread on a shared context, each thread on what it made or on what is said to be shared; so is freeing a graph, a model or
 * a bundle that no other thread uses.  Registering operators, loading plugins and freeing the context are not concurrent with anything else on
 * it.  The library has no global state, prints nothing, and never exits or aborts.
 */
#ifndef JITC_CONTEXT_H
#define JITC_CONTEXT_H

#include "jitc/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JITC_VERSION_MAJOR 0
#define JITC_VERSION_MINOR 1
#define JITC_VERSION_PATCH 0
#define JITC_VERSION "0.1.0"
JITC_API const char *jitc_version(void);
/* The library's version, its code generator and the LLVM that it was built for: what a host puts into cache keys of its own.  Never NULL. */
JITC_API const char *jitc_build_id(void);

typedef struct jitc_context_options {
    size_t struct_size; /* sizeof(jitc_context_options) */
    /* NULL: malloc and free. `size` is what was asked for. */
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *block, size_t size);
    void *alloc_user;
    /* Debug and warning lines, without a newline; NULL: nowhere. May be called from any thread. */
    void (*log)(void *user, const char *line);
    void *log_user;
    const char *debug;     /* "cache,pass": see `jitc doctor`; NULL: none. The environment is not read. */
    const char *cache_dir; /* NULL: $JITC_CACHE_DIR, else $XDG_CACHE_HOME/jitc, else ~/.cache/jitc; "": memory alone.
                              Processes that share one compile each kernel once, and wait for each other: docs/caching.md, JITC_CACHE_WAIT */
    const char *device;    /* "host", "cuda", "cuda:1", "sim"; NULL: "cuda" where there is one, else "host". Opened on first use */
    unsigned threads;      /* compile and host-run threads; 0: one per core */
    uint64_t seed;         /* of `sim` */
    /* Further caches, only read, asked in this order for what neither this process nor cache_dir has: directories as cache_dir is
       one, bundles of any target (their artifacts serve any model with the same classes), and archives of jitc.export, which have one in them.  They may belong to other users, whom naming them here
       trusts: what is in them runs in this process.  What they hold is verified like any entry; nothing in them is
       changed.  One that cannot be used is passed over, with a warning to `log`; 16 at most.  Bundles that their group or
       everybody may write to are not used, unless `trust_files` or a signature says otherwise. */
    const char *const *read_caches;
    uint32_t nread_caches;
    /*
     * Whose code is run (SECURITY.md).  Plugins and bundles in files are machine code: those of other users than this one and root, and
     * those that their group or everybody may write to, are JITC_E_TRUST.  True: they are taken all the same.
     */
    bool trust_files;
    /*
     * Whose bundles are run, wherever they come from: files, memory, read-only caches, archives.  Each is a public key, 64 hex digits, or the
     * path of a file with one at the start of each line (what follows it, empty lines and lines that begin with # are for people).  Where
     * there are any, a bundle without a signature by one of them (`jitc bundle sign`) is JITC_E_TRUST, before anything in it is looked at;
     * one that has it may lie in anybody's file.
     */
    const char *const *trust_keys;
    uint32_t ntrust_keys;
    /*
     * True: each kernel is compiled in a process of its own (jitc-worker, installed with libjitc), and LLVM and the assembler are not opened in
     * this one.  Promised is: whatever becomes of them there, killed, running for ever or out of memory, is JITC_E_COMPILE with a sentence of
     * the build that wanted the kernel; this process and other builds go on.  The sentence names a file, in `failed` below cache_dir (in $TMPDIR without
     * one), that shows the fault again.  Without it, LLVM ends the process where memory runs out or it finds itself broken, which no library can
     * prevent.  Costs some 20 to 30 ms a kernel.  It is no sandbox.
     */
    bool isolate;
    uint32_t isolate_seconds; /* for one kernel; 0: 600 */
    uint64_t isolate_bytes;   /* of address space for its process; 0: 16 GiB */
} jitc_context_options;

/* OPTIONS may be NULL.  *OUT is set even on failure (unless memory is out: NULL), so that its error can be read. */
JITC_API jitc_status jitc_context_new(const jitc_context_options *options, jitc_context **out);
JITC_API void jitc_context_free(jitc_context *ctx); /* NULL is allowed; frees graphs and models too */

typedef struct jitc_error_info {
    size_t struct_size;
    jitc_status status;
    const char *message; /* a sentence */
    const char *file;    /* "" where there is none */
    int line, column;    /* 0 where there is none */
    const char *node;    /* "" where there is none */
} jitc_error_info;
/* The calling thread's last failure in CTX, "file:line:column: message"; "" when there was none. Valid until that
   thread's next failing call.  Where there was no memory for it, it says so, with JITC_E_NOMEM. */
JITC_API const char *jitc_context_error(jitc_context *ctx);
JITC_API void jitc_context_error_info(jitc_context *ctx, jitc_error_info *out);

/* The handle of a string: the same for the same text, valid as long as CTX. USER is what custom operators get by
   jitc_layer_name_user(); NULL leaves an earlier one. Safe from any thread. NULL when memory is out. */
JITC_API const jitc_layer_name *jitc_layer_name_intern(jitc_context *ctx, const char *text, void *user);
JITC_API const char *jitc_layer_name_text(const jitc_layer_name *name);
JITC_API void *jitc_layer_name_user(const jitc_layer_name *name);

#ifdef __cplusplus
}
#endif
#endif
