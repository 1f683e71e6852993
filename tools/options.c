/*
 * tools/options.c - the option table and its parser.
 *
 * `--name value`, `--name=value`, `-j 4`, `-j4`; `--` ends options; `-` alone is standard input.
 */
#include "tools/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/words.h"

typedef enum kind { FLAG, STRING, STRINGS, WORDS, INTEGER, REAL } kind;

typedef struct row {
    const char *name;
    char letter;
    const char *arg;
    unsigned commands;
    uint8_t kind;
    size_t field;
    const char *help;
} row;

#define ANY (~0u)
#define RUNS (CMD_RUN | CMD_BENCH)
#define BUILDS (CMD_COMPILE | RUNS | CMD_CHECK)
#define MAKES (BUILDS | CMD_EXPLAIN | CMD_DUMP)
#define READS (MAKES | CMD_SPLIT)
#define AT(field) offsetof(tool_options, field)

/* Options that choose what is compiled, where it is kept and who implements what are taken by all that read graphs, also where
   they have nothing to say there: scripts pass one set to several subcommands. */
static const row rows[] = {
    { "arch", 0, "A[,B]", READS, WORDS, AT(arch), "what to compile for: sm_90a, host, sim, ...; several for compile" },
    { "device", 0, "D", READS | CMD_DOCTOR, STRING, AT(device), "where to run: host, cuda, cuda:1, sim; implies the arch" },
    { "cache", 0, "DIR", READS | CMD_CACHE | CMD_DOCTOR, STRING, AT(cache),
      "cache directory; default: $JITC_CACHE_DIR, else $XDG_CACHE_HOME/jitc" },
    { "read-cache", 0, "PATH", READS | CMD_DOCTOR, STRINGS, AT(read_cache),
      "a directory as --cache writes it, or a bundle, that is only read; may be given more than once" },
    { "no-cache", 0, NULL, READS, FLAG, AT(no_cache), "keep compiled code in memory alone" },
    { "sym", 0, "S=N", RUNS, STRINGS, AT(sym), "value of a symbol for made-up inputs (default 8)" },
    { "range", 0, "[S=]LO:HI", READS, STRINGS, AT(range),
      "values compiled for, of symbol S or of all, or one size; several for one symbol make a variant each" },
    { "strides", 0, "F.json", READS, STRING, AT(strides), "strides of root inputs: {\"PARAM\": [\"s7\", 1], ...}" },
    { "inputs", 0, "F.safetensors", RUNS, STRING, AT(inputs), "inputs by the parameters' names; the rest is made up" },
    { "outputs", 0, "F.safetensors", CMD_RUN, STRING, AT(outputs), "write the results as out0, out1, ..." },
    { "seed", 0, "N", RUNS, INTEGER, AT(seed), "seed of made-up inputs and of the simulator's order (default 0)" },
    { "names", 0, "F.json", RUNS, STRING, AT(names), "strings behind LayerName parameters: {\"PARAM\": \"STRING\"}" },
    { "name", 0, "PARAM=STRING", RUNS, STRINGS, AT(name), "the same for one; default: the parameter's own name" },
    { "plugin", 0, "P.so", READS, STRINGS, AT(plugin), "custom operators; may be given more than once" },
    { "trust-key", 0, "KEY|FILE", READS | CMD_DOCTOR | CMD_BUNDLE, STRINGS, AT(trust_key),
      "bundles need a signature by this public key, or one in FILE; may be given more than once" },
    { "trust-files", 0, NULL, READS | CMD_DOCTOR | CMD_BUNDLE | CMD_CACHE, FLAG, AT(trust_files),
      "take plugins and bundles of other users, and those that others may write to: they can do all that you can" },
    { "isolate", 0, NULL, BUILDS, FLAG, AT(isolate), "compile each kernel in a process of its own: a crash of LLVM or the assembler is exit 5" },
    { "isolate-seconds", 0, "N", BUILDS, INTEGER, AT(isolate_seconds), "for one kernel (default 600)" },
    { "isolate-bytes", 0, "N", BUILDS, INTEGER, AT(isolate_bytes), "of address space for its process (default 16 GiB)" },
    { "bundle", 0, "FILE", RUNS, STRING, AT(bundle), "run this bundle, whatever its name is, instead of a FILE" },
    { "key", 0, "FILE", CMD_BUNDLE, STRING, AT(key), "sign: the secret key, as keygen writes it" },
    { "piece", 0, "submod_N", RUNS | CMD_DUMP | CMD_SPLIT | CMD_EXPLAIN, STRING, AT(piece), "this piece alone" },
    { "verify", 0, NULL, CMD_RUN, FLAG, AT(verify), "compare with the reference; exit 1 when it differs" },
    { "rtol", 0, "X", CMD_RUN, REAL, AT(rtol), "relative L2 distance allowed (default: f32 1e-5, bf16, f16 1e-2, fp8 1e-1; see tools/README.md)" },
    { "atol", 0, "X", CMD_RUN, REAL, AT(atol), "or this largest absolute difference (default 0)" },
    { "repeat", 0, "N", RUNS, INTEGER, AT(repeat), "run N more times, each timed (bench: default 100)" },
    { "time", 0, NULL, CMD_RUN, FLAG, AT(time), "print the time of a run: smallest and median" },
    { "load-only", 0, NULL, CMD_RUN, FLAG, AT(load_only), "stop when the model could run, and say how long loading took" },
    { "no-lift-names", 0, NULL, READS, FLAG, AT(no_lift_names), "leave literals of custom operators in the code" },
    { "split-op", 0, "NAME", READS, STRINGS, AT(split_op), "cut at these operators (vllm::x, linear, Tensor.view) instead of the default list" },
    { "provider", 0, "OP=NAME", READS, STRINGS, AT(provider), "who implements an operator (there is: native)" },
    { "mode", 0, "fused|strict", READS, STRING, AT(mode), "strict: round after every operator" },
    { "index", 0, "check|clamp", READS, STRING, AT(index), "an index out of range: an error (on cuda: check, which waits for the GPU), or the nearest row" },
    { "dot", 0, NULL, CMD_SPLIT, FLAG, AT(dot), "print the model as a graph for Graphviz, one colour per class" },
    { "report", 0, "DIR", CMD_SPLIT | CMD_COMPILE, STRING, AT(report),
      "write DIR/index.html: classes, members, differences, stages, times" },
    { "trace", 0, "F.json", CMD_COMPILE | RUNS, STRING, AT(trace), "write the spans of all phases, for Perfetto" },
    { "stage", 0, "S", CMD_DUMP, STRING, AT(stage),
      "text, graph, split, canonical, decomposed, fused, plan, llvm, ptx or cubin" },
    { "kernel", 0, "NAME", CMD_DUMP, STRING, AT(kernel), "this kernel alone (llvm, ptx, cubin)" },
    { "output", 'o', "PATH", CMD_DUMP, STRING, AT(output), "write there; a directory gets one file per kernel" },
    { "output", 'o', "M.jitc", CMD_COMPILE, STRING, AT(output), "save the model, for all archs given, as a bundle for jitc run" },
    { "max-classes", 0, "N", CMD_CHECK, INTEGER, AT(max_classes), "fail (exit 1) with more classes" },
    { "max-misses", 0, "N", CMD_CHECK, INTEGER, AT(max_misses), "fail with more classes that are not in the cache" },
    { "max-bytes", 0, "N", CMD_CACHE, INTEGER, AT(max_bytes), "prune: remove what was used longest ago until no more is left" },
    { "max-entries", 0, "N", CMD_CACHE, INTEGER, AT(max_entries), "prune: the same, for the number of entries" },
    { "jobs", 'j', "N", READS, INTEGER, AT(threads), "threads; default: one per core" },
    { "quiet", 'q', NULL, ANY, FLAG, AT(quiet), "no progress and no notes on standard error" },
    { "json", 0, NULL, ANY, FLAG, AT(json), "print JSON on standard output" },
    { "help", 'h', NULL, ANY, FLAG, AT(help), "this text" },
};
#define NROWS (sizeof rows / sizeof *rows)

bool tool_pair(const char *text, size_t *nname, const char **rest) {
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return false;
    *nname = (size_t)(eq - text);
    *rest = eq + 1;
    return true;
}

bool tool_integer(const char *text, int64_t *out) {
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    *out = x;
    return errno == 0 && end != text && *end == 0;
}

const char *tool_nearest(const char *word, const char *const *known, size_t n) {
    const char *best = NULL;
    unsigned least = 3;
    for (size_t i = 0; i < n; i++) {
        unsigned d = jc_words_apart(word, known[i]);
        if (d < least && d < strlen(known[i])) {
            least = d;
            best = known[i];
        }
    }
    return best;
}

static jitc_status unknown(const char *text, size_t n, const tool_command *c, jc_error *err) {
    const char *names[NROWS];
    size_t count = 0;
    for (size_t i = 0; i < NROWS; i++) {
        if (rows[i].commands & c->bit)
            names[count++] = rows[i].name;
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, text + 2, n) == 0 && text[1] == '-')
            return jc_fail(err, JITC_E_USAGE, "jitc %s takes no --%s; see jitc %s --help", c->name, rows[i].name, c->name);
    }
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)n, text + (text[1] == '-' ? 2 : 1));
    const char *near = tool_nearest(word, names, count);
    if (near)
        return jc_fail(err, JITC_E_USAGE, "there is no option '%s'; did you mean --%s?", text, near);
    return jc_fail(err, JITC_E_USAGE, "there is no option '%s'; see jitc %s --help", text, c->name);
}

static const row *find(const char *name, size_t n, char letter, unsigned command) {
    for (size_t i = 0; i < NROWS; i++)
        if ((rows[i].commands & command) && (letter ? rows[i].letter == letter
                                                    : strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0))
            return &rows[i];
    return NULL;
}

static void add_words(tool_strings *list, const char *text, jc_arena *arena) {
    for (;;) {
        size_t n = strcspn(text, ",");
        jc_push(arena, list, jc_arena_strndup(arena, text, n));
        if (!text[n])
            return;
        text += n + 1;
    }
}

static jitc_status set(tool_options *o, const row *r, const char *value, jc_arena *arena, jc_error *err) {
    void *field = (char *)o + r->field;
    char *end = NULL;
    switch ((kind)r->kind) {
    case FLAG:
        *(bool *)field = true;
        return JITC_OK;
    case STRING:
        *(const char **)field = value;
        return JITC_OK;
    case STRINGS:
        jc_push(arena, (tool_strings *)field, value);
        return JITC_OK;
    case WORDS:
        add_words(field, value, arena);
        return JITC_OK;
    case INTEGER:
        if (!tool_integer(value, field) || *(int64_t *)field < 0)
            return jc_fail(err, JITC_E_USAGE, "--%s takes a number from 0 up, not '%s'", r->name, value);
        return JITC_OK;
    case REAL:
        *(double *)field = strtod(value, &end);
        if (end == value || *end || !(*(double *)field >= 0))
            return jc_fail(err, JITC_E_USAGE, "--%s takes a number from 0 up, not '%s'", r->name, value);
        return JITC_OK;
    }
    return JITC_OK;
}

/* One option; returns how many words of ARGV it took. */
static jitc_status option(tool_options *o, const tool_command *c, int argc, char **argv, int *at, jc_arena *arena,
                          jc_error *err) {
    const char *text = argv[*at], *value = NULL;
    bool lengthy = text[1] == '-';
    size_t n = lengthy ? strcspn(text + 2, "=") : 1;
    const row *r = lengthy ? find(text + 2, n, 0, c->bit) : find(NULL, 0, text[1], c->bit);
    if (!r)
        return unknown(text, n, c, err);
    if (lengthy && text[2 + n] == '=')
        value = text + 3 + n;
    else if (!lengthy && text[2])
        value = text + 2;
    if (r->kind == FLAG && value)
        return jc_fail(err, JITC_E_USAGE, "--%s takes no value", r->name);
    if (r->kind != FLAG && !value) {
        if (*at + 1 >= argc)
            return jc_fail(err, JITC_E_USAGE, "--%s needs a value: --%s %s", r->name, r->name, r->arg);
        value = argv[++*at];
    }
    return set(o, r, value, arena, err);
}

jitc_status tool_options_parse(tool_options *o, const tool_command *command, int argc, char **argv, jc_arena *arena,
                               jc_error *err) {
    *o = (tool_options){ .rtol = -1, .atol = -1, .max_classes = -1, .max_misses = -1, .max_bytes = -1, .max_entries = -1 };
    bool options = true;
    /* Whether errors are to be JSON must be known before the first one. */
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        o->json |= strcmp(argv[i], "--json") == 0;
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1])
            JC_TRY(option(o, command, argc, argv, &i, arena, err));
        else
            jc_push(arena, &o->files, argv[i]);
    }
    if (o->help)
        return JITC_OK;
    if (o->bundle && o->files.n)
        return jc_fail(err, JITC_E_USAGE, "--bundle is the file that is run, so '%s' cannot be another: a bundle is a whole model", o->files.at[0]);
    if (o->bundle)
        jc_push(arena, &o->files, o->bundle);
    if (command->args[0] && o->files.n == 0)
        return jc_fail(err, JITC_E_USAGE, "jitc %s needs %s: jitc %s %s", command->name,
                       command->bit & (CMD_CACHE | CMD_BUNDLE) ? "an action" : "a file", command->name, command->args);
    if (!command->args[0] && o->files.n)
        return jc_fail(err, JITC_E_USAGE, "jitc %s takes no file, but was given '%s'", command->name, o->files.at[0]);
    return JITC_OK;
}

void tool_options_list(const tool_command *c) {
    for (size_t i = 0; i < NROWS; i++) {
        const row *r = &rows[i];
        char left[64];
        if (!(r->commands & c->bit))
            continue;
        if (r->letter)
            snprintf(left, sizeof left, "-%c, --%s %s", r->letter, r->name, r->arg ? r->arg : "");
        else
            snprintf(left, sizeof left, "--%s %s", r->name, r->arg ? r->arg : "");
        printf("  %-28s %s\n", left, r->help);
    }
}
