/*
 * tools/load.c - the context, the graphs and the model that the options ask for.
 */
#include "tools/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/library.h"
#include "ir/pt2/pt2.h"
#include "jit/api/read_cache.h"

/* --- the context --- */

static bool starts(const char *text, const char *head) {
    return strncmp(text, head, strlen(head)) == 0;
}

/* Where to run: --device, else what the one arch says. NULL: the GPU that is there, else the host. */
static const char *device_name(const tool *t) {
    if (t->o.device)
        return t->o.device;
    if (t->o.arch.n != 1)
        return NULL;
    const char *arch = t->o.arch.at[0];
    return starts(arch, "sm_") ? "cuda" : starts(arch, "sim") ? "sim" : starts(arch, "host") ? "host" : NULL;
}

static jitc_status check_words(const tool *t, jc_error *err) {
    const tool_options *o = &t->o;
    if (o->mode && strcmp(o->mode, "fused") != 0 && strcmp(o->mode, "strict") != 0)
        return jc_fail(err, JITC_E_USAGE, "--mode is fused or strict, not '%s'", o->mode);
    if (o->index && strcmp(o->index, "check") != 0 && strcmp(o->index, "clamp") != 0)
        return jc_fail(err, JITC_E_USAGE, "--index is check or clamp, not '%s'", o->index);
    for (size_t i = 0; i < o->provider.n; i++) {
        const char *who;
        size_t n;
        bool known = false;
        if (!tool_pair(o->provider.at[i], &n, &who))
            return jc_fail(err, JITC_E_USAGE, "--provider takes OPERATOR=NAME, not '%s'", o->provider.at[i]);
        for (int op = 0; op < JC_OP_COUNT; op++)
            known |= strlen(jc_ops[op].name) == n && memcmp(jc_ops[op].name, o->provider.at[i], n) == 0;
        if (!known)
            return jc_fail(err, JITC_E_USAGE, "--provider: there is no operator '%.*s'", (int)n, o->provider.at[i]);
        if (strcmp(who, "native") != 0)
            return jc_fail(err, JITC_E_USAGE, "--provider: '%.*s' has no provider '%s'; there is: native", (int)n,
                           o->provider.at[i], who);
    }
    return JITC_OK;
}

static const char *cache_choice(const tool *t, bool cache) {
    if (!cache || t->o.no_cache)
        return "";
    return t->o.cache;
}

/* `sim` follows the schedules of the arch that is named. */
static jitc_status sim_arch(tool *t, jc_error *err) {
    const char *arch = t->o.arch.n == 1 ? t->o.arch.at[0] : NULL;
    jc_target target;
    if (!arch || !t->ctx->device_name || !starts(t->ctx->device_name, "sim"))
        return JITC_OK;
    if (starts(arch, "sim:"))
        arch += 4;
    if (!starts(arch, "sm_"))
        return JITC_OK;
    JC_TRY(jc_target_parse(arch, &target, err));
    t->ctx->device_options.sim_arch = arch;
    return JITC_OK;
}

bool tool_names_bundle(const char *path) {
    size_t n = strlen(path);
    return n >= 5 && strcmp(path + n - 5, ".jitc") == 0;
}

/* What jitc.export compiled is in the file beside the program, and serves where it fits. */
static jitc_status add_archives(tool *t, jc_error *err) {
    for (size_t i = 0; i < t->o.files.n && !t->o.no_cache; i++)
        if (tool_names_bundle(t->o.files.at[i]) && jc_archive_has_bundle(t->ctx, t->o.files.at[i]))
            JC_TRY(jc_read_cache_add(t->ctx, t->o.files.at[i], false, err));
    return JITC_OK;
}

int tool_open(tool *t, bool cache) {
    jc_error err = JC_ERROR_INIT;
    jitc_context_options o = {
        .struct_size = sizeof o,
        .log = tool_log,
        .debug = jc_library_env("JITC_DEBUG"),
        .cache_dir = cache_choice(t, cache),
        .device = device_name(t),
        .threads = (unsigned)t->o.threads,
        .seed = (uint64_t)t->o.seed,
        .read_caches = t->o.read_cache.at,
        .nread_caches = (uint32_t)t->o.read_cache.n,
        .trust_files = t->o.trust_files,
        .isolate = t->o.isolate,
        .isolate_seconds = t->o.isolate_seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)t->o.isolate_seconds,
        .isolate_bytes = (uint64_t)t->o.isolate_bytes,
        .trust_keys = t->o.trust_key.at,
        .ntrust_keys = (uint32_t)t->o.trust_key.n,
    };
    TOOL_TRY(t, &err, check_words(t, &err));
    jitc_status status = jitc_context_new(&o, &t->ctx);
    if (status != JITC_OK && t->ctx)
        return tool_fail_library(t);
    if (status != JITC_OK)
        return tool_no_memory(t);
    tool_trace_start(t);
    TOOL_TRY(t, &err, sim_arch(t, &err));
    if (cache)
        TOOL_TRY(t, &err, add_archives(t, &err));
    for (size_t i = 0; i < t->o.plugin.n; i++)
        if (jitc_plugin_load(t->ctx, t->o.plugin.at[i]) != JITC_OK)
            return tool_fail_library(t);
    return 0;
}

/* --- the graphs --- */

/* What a file holds decides nothing: code is run where a name or an option says that it is code. */
static jitc_status refuse_bundle(const tool *t, const char *path, jc_error *err) {
    if (!jitc_bundle_probe(path))
        return JITC_OK;
    if (!(t->command->bit & (CMD_RUN | CMD_BENCH)))
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "this is a bundle: compiled machine code, without the graph that jitc %s reads. jitc run "
                          "runs it", t->command->name);
    return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, NULL, "this is no text but a bundle: machine code, which can do all that you can. If you trust it, "
                      "run it with --bundle %s, or name it *.jitc", path);
}

/* Standard input can be read once only, but several archs read the graphs again. */
static jitc_status keep_stdin(tool *t, size_t i, jc_error *err) {
    jc_bytes b = JC_BYTES(t->arena);
    char block[65536];
    size_t n;
    if (t->texts[i])
        return JITC_OK;
    const bool archive = (n = fread(block, 1, sizeof block, stdin)) > 0 && jc_pt2_is(block, n);
    for (; n > 0 && b.n < (size_t)1 << 31; n = fread(block, 1, sizeof block, stdin)) {
        jc_put(&b, block, n);
        if (!archive && memchr(block, 0, n)) /* no text: the reader says so, and a device may have no end */
            break;
    }
    if (ferror(stdin))
        return jc_fail(err, JITC_E_IO, "standard input cannot be read: %s", strerror(errno));
    jc_put_u8(&b, 0);
    t->texts[i] = (const char *)b.at;
    t->lengths[i] = b.n - 1;
    return JITC_OK;
}

static jitc_status check_stdin(const tool *t, jc_error *err) {
    unsigned dashes = 0;
    for (size_t i = 0; i < t->o.files.n; i++)
        dashes += strcmp(t->o.files.at[i], "-") == 0;
    return dashes > 1 ? jc_fail(err, JITC_E_USAGE, "standard input (-) can be given once only") : JITC_OK;
}

int tool_read(tool *t, jitc_graph ***out) {
    jc_error err = JC_ERROR_INIT;
    size_t n = t->o.files.n;
    TOOL_TRY(t, &err, check_stdin(t, &err));
    if (!t->texts) {
        t->texts = JC_NEWN(t->arena, const char *, n);
        t->lengths = JC_NEWN(t->arena, size_t, n);
    }
    *out = JC_NEWN(t->arena, jitc_graph *, n);
    for (size_t i = 0; i < n; i++) {
        const char *path = t->o.files.at[i];
        jitc_status status;
        if (strcmp(path, "-") == 0) {
            TOOL_TRY(t, &err, keep_stdin(t, i, &err));
            status = jitc_graph_read(t->ctx, "<stdin>", t->texts[i], t->lengths[i], &(*out)[i]);
        } else {
            TOOL_TRY(t, &err, refuse_bundle(t, path, &err));
            status = jitc_graph_read_file(t->ctx, path, &(*out)[i]);
        }
        if (status != JITC_OK)
            return tool_fail_library(t);
    }
    return 0;
}

/* --- JSON files --- */

jitc_status tool_load_json(tool *t, const char *path, json_t **out, jc_error *err) {
    json_error_t where;
    FILE *f = fopen(path, "rbe");
    (void)t;
    if (!f)
        return jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "cannot open the file: %s", strerror(errno));
    *out = json_loadf(f, JSON_REJECT_DUPLICATES, &where);
    fclose(f);
    if (!*out)
        return jc_fail_at(err, JITC_E_INPUT, path, where.line, where.column, NULL, "no valid JSON: %s", where.text);
    if (!json_is_object(*out)) {
        json_decref(*out);
        return jc_fail_at(err, JITC_E_INPUT, path, 1, 1, NULL, "expected a JSON object");
    }
    return JITC_OK;
}

/* --- ranges --- */

static jitc_status parse_range(tool *t, const char *text, jitc_range *out, jc_error *err) {
    const char *rest = text;
    size_t n;
    char number[32];
    *out = (jitc_range){ NULL, 0, 0 };
    if (tool_pair(text, &n, &rest))
        out->symbol = jc_arena_strndup(t->arena, text, n);
    n = strcspn(rest, ":");
    snprintf(number, sizeof number, "%.*s", (int)n, rest);
    bool good = tool_integer(number, &out->lo);
    out->hi = out->lo;
    if (!good || (rest[n] && !tool_integer(rest + n + 1, &out->hi)))
        return jc_fail(err, JITC_E_USAGE, "--range takes LO:HI, a single size, or SYMBOL=LO:HI, not '%s'", text);
    return JITC_OK;
}

static jitc_status parse_ranges(tool *t, jitc_model_options *o, jc_error *err) {
    jitc_range *out = JC_NEWN(t->arena, jitc_range, t->o.range.n);
    for (size_t i = 0; i < t->o.range.n; i++)
        JC_TRY(parse_range(t, t->o.range.at[i], &out[i], err));
    o->ranges = out;
    o->nranges = (uint32_t)t->o.range.n;
    return JITC_OK;
}

/* --- strides --- */

static jitc_status one_stride(tool *t, const char *path, const char *param, const json_t *value, const char **out,
                              jc_error *err) {
    if (json_is_integer(value))
        *out = jc_arena_printf(t->arena, "%lld", (long long)json_integer_value(value));
    else if (json_is_string(value))
        *out = jc_arena_strdup(t->arena, json_string_value(value));
    else
        return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, param, "a stride is an integer or an expression in a string");
    return JITC_OK;
}

static jitc_status parse_strides(tool *t, const char *path, const json_t *file, jitc_model_options *o, jc_error *err) {
    jitc_strides *list = JC_NEWN(t->arena, jitc_strides, json_object_size(file));
    const char *param;
    json_t *entry;
    uint32_t n = 0;
    json_object_foreach((json_t *)file, param, entry) {
        const char **strides = JC_NEWN(t->arena, const char *, json_array_size(entry));
        if (!json_is_array(entry))
            return jc_fail_at(err, JITC_E_INPUT, path, 0, 0, param, "expected a list of strides");
        for (size_t d = 0; d < json_array_size(entry); d++)
            JC_TRY(one_stride(t, path, param, json_array_get(entry, d), &strides[d], err));
        list[n++] = (jitc_strides){ jc_arena_strdup(t->arena, param), (uint32_t)json_array_size(entry), strides };
    }
    o->strides = list;
    o->nstrides = n;
    return JITC_OK;
}

static jitc_status load_strides(tool *t, jitc_model_options *o, jc_error *err) {
    json_t *file;
    if (!t->o.strides)
        return JITC_OK;
    JC_TRY(tool_load_json(t, t->o.strides, &file, err));
    jitc_status status = parse_strides(t, t->o.strides, file, o, err);
    json_decref(file);
    return status;
}

/* --- the model --- */

jitc_status tool_arch(tool *t, const char **out, jc_error *err) {
    jc_device *device;
    jc_target target;
    char text[32];
    if (t->o.arch.n > 1)
        return jc_fail(err, JITC_E_USAGE, "--arch: this takes one");
    if (t->o.arch.n == 1) {
        *out = t->o.arch.at[0];
        JC_TRY(jc_target_parse(*out, &target, err));
        return JITC_OK;
    }
    JC_TRY(jc_context_device(t->ctx, &device, err));
    jc_target_name(&device->target, text);
    *out = jc_arena_strdup(t->arena, text);
    return JITC_OK;
}

jitc_status tool_model_options(tool *t, const tool_build *b, jitc_model_options *out, jc_error *err) {
    *out = (jitc_model_options){
        .struct_size = sizeof *out,
        .arch = b->arch,
        .no_lift_names = t->o.no_lift_names,
        .strict = t->o.mode && strcmp(t->o.mode, "strict") == 0,
        .clamp_index = t->o.index && strcmp(t->o.index, "clamp") == 0,
        .check_index = t->o.index && strcmp(t->o.index, "check") == 0,
        .split_only = b->split_only,
        .split_ops = t->o.split_op.n ? t->o.split_op.at : NULL,
        .nsplit_ops = (uint32_t)t->o.split_op.n,
        .need_split_ops = true,
        .progress = t->o.quiet ? NULL : tool_progress,
    };
    JC_TRY(parse_ranges(t, out, err));
    return load_strides(t, out, err);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static bool is_interrupted(void *user) {
    (void)user;
    return interrupted != 0;
}

/* Ctrl-C ends the build where it can be ended, and then the program as it would have; a second one ends it at once. */
static jitc_status build(tool *t, jitc_graph *const *graphs, uint32_t n, jitc_model_options *o, jitc_model **out) {
    struct sigaction ours = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, old;
    sigemptyset(&ours.sa_mask);
    o->cancel = is_interrupted;
    sigaction(SIGINT, NULL, &old);
    if (old.sa_handler == SIG_IGN) /* in the background of a shell */
        return jitc_model_build(t->ctx, graphs, n, o, out);
    sigaction(SIGINT, &ours, NULL);
    jitc_status status = jitc_model_build(t->ctx, graphs, n, o, out);
    sigaction(SIGINT, &old, NULL);
    if (interrupted)
        raise(SIGINT);
    return status;
}

int tool_model(tool *t, jitc_graph *const *graphs, uint32_t n, const tool_build *b, jitc_model **out) {
    jc_error err = JC_ERROR_INIT;
    jitc_model_options o;
    TOOL_TRY(t, &err, tool_model_options(t, b, &o, &err));
    double start = jc_now_ms();
    if (build(t, graphs, n, &o, out) != JITC_OK)
        return tool_fail_library(t);
    tool_span(t, "model", b->arch, start);
    return 0;
}
