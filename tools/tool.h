/*
 * tools/tool.h - what the subcommands share: the context, reading and building, errors, JSON.
 *
 * A subcommand is `int cmd_NAME(tool *t)`: it prints its result on standard output and returns the exit code. On a failure it
 * returns tool_fail() or tool_fail_library(), which say the sentence on standard error, and with --json on standard
 * output as well.  Everything of a run of the program lives in t->arena.
 */
#ifndef JC_TOOL_H
#define JC_TOOL_H

#include <jansson.h>

#include "jit/api/model.h"
#include "jit/sched/schedule.h"
#include "tools/options.h"

typedef struct tool_trace tool_trace;

struct tool {
    tool_options o;
    const tool_command *command;
    jc_arena *arena;
    jitc_context *ctx;
    const char **texts; /* standard input, read once; NULL for files */
    size_t *lengths;
    tool_trace *trace; /* NULL: nobody asked */
    bool lists_refusals; /* a failure for want of support is followed by all others of the files */
    const char *arch;    /* for that */
    bool said;           /* an object with --json */
};

#define TOOL_DECLARE(id, name, args, help) int cmd_##name(tool *t);
TOOL_COMMANDS(TOOL_DECLARE)
#undef TOOL_DECLARE

/* --- report.c --- */
int tool_exit_code(jitc_status status);
int tool_fail(tool *t, const jc_error *err);
int tool_fail_library(tool *t); /* the context's last failure */
/* Says that memory is out, which takes none; the exit code. */
int tool_no_memory(tool *t);
/* Memory that runs out while JSON is made or read ends the program as tool_no_memory() says: jansson would leave things out. */
void tool_json_memory(tool *t);
#define TOOL_TRY(t, err, call)                                                                     \
    do {                                                                                           \
        if ((call) != JITC_OK)                                                                     \
            return tool_fail((t), (err));                                                          \
    } while (0)
/* Prints VALUE (taken) with "version": 1 in front, and returns CODE, or the code of a failed write. */
int tool_json(tool *t, json_t *value, int code);
json_t *tool_json_new(void); /* {"version": 1} */
void tool_set(json_t *object, const char *key, json_t *value);
json_t *tool_real(double x); /* JSON has no infinities */
json_t *tool_text(const char *text);
/* Lines of the library, to standard error. */
void tool_log(void *user, const char *line);
/* A progress line on standard error, if that is a terminal: "compiling 3/17 mma_4e81...". USER is not looked at. */
void tool_progress(void *user, unsigned done, unsigned total, const char *what);
/* Interrupts wait while a file is written. */
void tool_hold_signals(bool hold);
/* Writes a file by a temporary one and a rename; PATH NULL: standard output. */
jitc_status tool_write(const char *path, const void *data, size_t n, jc_error *err);

/* --- load.c --- */
/* Opens the context. CACHE: whether this subcommand uses one. 0, or the exit code of a failure that has been reported. */
int tool_open(tool *t, bool cache);
/* Does PATH say that it is a bundle, or an archive with one in it: *.jitc? */
bool tool_names_bundle(const char *path);
/* Reads the files. */
int tool_read(tool *t, jitc_graph ***out);
typedef struct tool_build {
    const char *arch;   /* NULL: the context's device */
    bool split_only;
} tool_build;
jitc_status tool_model_options(tool *t, const tool_build *b, jitc_model_options *out, jc_error *err);
int tool_model(tool *t, jitc_graph *const *graphs, uint32_t n, const tool_build *b, jitc_model **out);
/* The arch to compile for: --arch, else that of --device or of the machine. Text in the arena. */
jitc_status tool_arch(tool *t, const char **out, jc_error *err);
jitc_status tool_load_json(tool *t, const char *path, json_t **out, jc_error *err);

/* --- operators.c --- */
/* The custom operators that running the model's graphs needs. */
typedef struct tool_operator {
    const char *name, *schema; /* schema: one that would take the first call */
    const char *file;
    int line;
    uint32_t calls;
    bool registered;           /* for the kind of device */
} tool_operator;
typedef JC_VEC(tool_operator) tool_operators;
void tool_operators_of(tool *t, const jitc_model *m, DLDeviceType device, tool_operators *out);
json_t *tool_operators_json(const tool_operators *list);

/* --- refusals.c --- */
typedef struct tool_refusal {
    const char *op, *node, *piece, *file, *reason;
    int line, column;
} tool_refusal;
typedef JC_VEC(tool_refusal) tool_refusals;
/* All in the files that ARCH cannot be compiled for; nothing where they cannot be read for another reason. */
void tool_refusals_of(tool *t, const char *arch, tool_refusals *out);
/* ERR says what is not supported where a class, of no file, was lowered: now it says where the files have the first such thing, and the others follow. */
void tool_place_refusal(tool *t, const char *arch, jc_error *err);
const char *tool_refusal_text(const tool_refusal *r, char *out, size_t size); /* "file:line: reason (node x)" */
json_t *tool_refusals_json(const tool_refusals *list);

/* --- classes.c --- */
/* Compiled kernels of a variant of a class, from its artifact. */
typedef struct tool_kernels {
    uint32_t n;
    const jc_plan_kernel *at;
    const jc_plan *plan;
} tool_kernels;
jitc_status tool_class_kernels(tool *t, const jc_variant *v, tool_kernels *out, jc_error *err);
/* Name of a class: that of its first piece. */
static inline const char *tool_class_name(const jitc_model *m, uint32_t cls) {
    return m->pieces[m->classes[cls].first].func->name;
}
json_t *tool_stats_json(const jitc_model_stats *s);
json_t *tool_cache_json(const tool *t); /* how the cache fared in this process */
void tool_stats_add(jitc_model_stats *to, const jitc_model_stats *s);
/* The phases of the statistics, in order; NULL past the last. */
const char *tool_stat_name(size_t i);
double tool_stat_ms(const jitc_model_stats *s, size_t i);

/* --- stages.c: a class as text --- */
jitc_status tool_put_canonical(tool *t, const jitc_model *m, uint32_t cls, jc_bytes *out, jc_error *err);
jitc_status tool_put_decomposed(tool *t, const jitc_model *m, uint32_t cls, jc_bytes *out, jc_error *err);
/* RANGE: lo and hi of a variant; nothing need have been compiled. */
jitc_status tool_schedule(tool *t, const jitc_model *m, uint32_t cls, const jc_request *range, jc_schedule *out,
                          jc_error *err);
void tool_put_kernels(const jc_schedule *s, jc_bytes *out);

/* --- neighbours.c --- */
typedef struct tool_neighbour {
    uint32_t cls;             /* UINT32_MAX: there is no other class of that kind, splitting or compiled */
    uint32_t common;          /* nodes that both have */
    jc_difference difference;
} tool_neighbour;
/* For each class the nearest other one, and where they part. */
jitc_status tool_neighbours(tool *t, const jitc_model *m, tool_neighbour **out, jc_error *err);
/* Where a difference is about an input, what P calls it; else NULL. */
const char *tool_difference_input(const jc_piece *p, const jc_difference *d);

/* --- source.c --- */
/* Line LINE of the FILE-th file, without indentation, cut where it is long; NULL where it cannot be had. */
const char *tool_source_line(tool *t, uint32_t file, int line);

/* --- dot.c --- */
void tool_put_dot(const jitc_model *m, jc_bytes *out);
const char *tool_class_colour(uint32_t cls, char out[8]); /* "#rrggbb", light */

/* --- report_html.c --- */
/* `--report DIR`, if it was given: models of the same graphs, one per arch; ARCHS NULL: split only. The exit code. */
int tool_report(tool *t, jitc_model *const *models, const char *const *archs, uint32_t n);

/* --- trace.c --- */
void tool_trace_start(tool *t);                                                  /* listens, if --trace was given */
void tool_span(const tool *t, const char *name, const char *arg, double start_ms); /* a span of the tool's own */
int tool_trace_end(tool *t, int code);                                           /* writes; CODE, or that of a failure */

#endif
