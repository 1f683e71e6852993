/*
 * tools/options.h - what the command line says.
 *
 * One table has every option: its name, argument, the subcommands that take it, help text, and the field it sets.
 */
#ifndef JC_TOOL_OPTIONS_H
#define JC_TOOL_OPTIONS_H

#include "base/vec.h"

typedef struct tool tool;

/* id, name, what it takes, what it does */
#define TOOL_COMMANDS(X)                                                                           \
    X(SPLIT, split, "FILE...", "cut into pieces and list the classes of equal ones")              \
    X(COMPILE, compile, "FILE...", "compile every class, or find it in the cache")                \
    X(RUN, run, "FILE...", "compile (or load a bundle), run, and compare with the reference")             \
    X(EXPLAIN, explain, "A [B]", "why two pieces, or the classes of one file, differ")            \
    X(DUMP, dump, "FILE...", "print a stage between text and cubin")                              \
    X(CACHE, cache, "stats|ls|show KEY|verify|log|export PATH|import PATH|prune|clear", "count, list, check or remove what the cache directory holds") \
    X(BUNDLE, bundle, "keygen|sign|verify FILE", "make keys, sign bundles, check whose they are")   \
    X(BENCH, bench, "FILE...", "run many times and print how long a run takes")                    \
    X(CHECK, check, "FILE...", "the CI gate: at most so many classes, so many misses")            \
    X(DOCTOR, doctor, "", "what is there: LLVM, assembler, devices, cache")                       \
    X(VERSION, version, "", "the version")

enum {
#define TOOL_COMMAND_INDEX(id, name, args, help) CMD_##id##_INDEX,
    TOOL_COMMANDS(TOOL_COMMAND_INDEX)
#undef TOOL_COMMAND_INDEX
#define TOOL_COMMAND_BIT(id, name, args, help) CMD_##id = 1u << CMD_##id##_INDEX,
    TOOL_COMMANDS(TOOL_COMMAND_BIT)
#undef TOOL_COMMAND_BIT
};

typedef struct tool_command {
    const char *name, *args, *help;
    unsigned bit;
    int (*run)(tool *t); /* the exit code */
} tool_command;

typedef JC_VEC(const char *) tool_strings;

typedef struct tool_options {
    tool_strings files, arch, sym, range, name, plugin, split_op, provider, read_cache, trust_key;
    const char *device, *cache, *trace, *report, *strides, *inputs, *outputs, *names, *piece, *stage, *output, *kernel, *mode, *index, *bundle, *key;
    bool no_cache, verify, no_lift_names, dot, json, quiet, time, load_only, trust_files, isolate, help;
    int64_t isolate_seconds, isolate_bytes;
    int64_t seed, threads, repeat, max_classes, max_misses, max_bytes, max_entries; /* the last four: -1 where not given */
    double rtol, atol;                                      /* negative where not given */
} tool_options;

/* Fills O for COMMAND from ARGV. JITC_E_USAGE with a hint. */
jitc_status tool_options_parse(tool_options *o, const tool_command *command, int argc, char **argv, jc_arena *arena,
                               jc_error *err);
/* Help of one subcommand, on standard output (tools/help.c). */
void tool_help(const tool_command *command);
/* The options of one subcommand, a line each (tools/options.c). */
void tool_options_list(const tool_command *command);

/* "NAME=REST": the name's length, and REST; false without '=' or with an empty name. */
bool tool_pair(const char *text, size_t *nname, const char **rest);
bool tool_integer(const char *text, int64_t *out);
/* The known word nearest to WORD, where it is near enough to be a slip; else NULL. */
const char *tool_nearest(const char *word, const char *const *known, size_t n);

#endif
