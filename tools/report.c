/*
 * tools/report.c - errors, JSON, progress, and writing files.
 */
#include "tools/tool.h"

#include <errno.h>
#include <math.h>
#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

int tool_exit_code(jitc_status status) {
    switch (status) {
#define TOOL_EXIT_CODE(id, number, code, text)                                                     \
    case JITC_##id:                                                                                \
        return code;
        JITC_STATUS_LIST(TOOL_EXIT_CODE)
#undef TOOL_EXIT_CODE
    }
    return 5;
}

static const char *status_name(jitc_status status) {
    switch (status) {
#define TOOL_STATUS_NAME(id, number, code, text)                                                   \
    case JITC_##id:                                                                                \
        return #id;
        JITC_STATUS_LIST(TOOL_STATUS_NAME)
#undef TOOL_STATUS_NAME
    }
    return "";
}

/* Those after the first, which has been said. */
static void say_others(const tool_refusals *list, const jc_error *first) {
    char line[1600];
    for (size_t i = 0; i < list->n; i++) {
        const tool_refusal *r = &list->at[i];
        if (r->line != first->line || strcmp(r->file, first->file) != 0 || strcmp(r->reason, first->message) != 0)
            fprintf(stderr, "jitc: %s\n", tool_refusal_text(r, line, sizeof line));
    }
}

int tool_no_memory(tool *t) {
    static const char line[] = "jitc: out of memory\n",
                      json[] = "{\n \"version\": 1,\n \"error\": {\n  \"status\": \"E_NOMEM\",\n  \"exit\": 5,\n  \"message\": \"out of memory\"\n }\n}\n";
    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    if (t->o.json && !t->said && fflush(stdout) == 0)
        (void)!write(STDOUT_FILENO, json, sizeof json - 1);
    t->said = true;
    return tool_exit_code(JITC_E_NOMEM);
}

static tool *the_tool;

static void *json_alloc(size_t size) {
    void *block = malloc(size);
    if (!block)
        exit(tool_no_memory(the_tool));
    return block;
}

void tool_json_memory(tool *t) {
    the_tool = t;
    json_set_alloc_funcs(json_alloc, free);
}

int tool_fail(tool *t, const jc_error *err) {
    char line[1600];
    if (!err->message[0]) /* what fails otherwise says why */
        return tool_no_memory(t);
    int code = tool_exit_code(err->status);
    tool_refusals refusals = { 0 };
    const bool list = err->status == JITC_E_UNSUPPORTED && t->lists_refusals;
    fprintf(stderr, "jitc: %s\n", jc_error_text(err, line, sizeof line));
    if (list) {
        tool_refusals_of(t, t->arch, &refusals);
        say_others(&refusals, err);
    }
    if (!t->o.json || t->said) /* one object */
        return code;
    json_t *e = json_object(), *out = tool_json_new();
    tool_set(e, "status", tool_text(status_name(err->status)));
    tool_set(e, "exit", json_integer(code));
    tool_set(e, "message", tool_text(err->message[0] ? err->message : jitc_status_text(err->status)));
    tool_set(e, "file", tool_text(err->file));
    tool_set(e, "line", json_integer(err->line));
    tool_set(e, "column", json_integer(err->column));
    tool_set(e, "node", tool_text(err->node));
    tool_set(out, "error", e);
    if (refusals.n)
        tool_set(out, "unsupported", tool_refusals_json(&refusals));
    return tool_json(t, out, code);
}

int tool_fail_library(tool *t) {
    jitc_error_info info = { .struct_size = sizeof info };
    jc_error err = JC_ERROR_INIT;
    jitc_context_error_info(t->ctx, &info);
    jc_fail_at(&err, info.status, info.file, info.line, info.column, info.node, "%s", info.message);
    return tool_fail(t, &err);
}

json_t *tool_json_new(void) {
    json_t *object = json_object();
    tool_set(object, "version", json_integer(1));
    return object;
}

void tool_set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value ? value : json_null());
}

json_t *tool_real(double x) {
    return json_real(isfinite(x) ? x : x < 0 ? -DBL_MAX : DBL_MAX);
}

/* Bytes that are no UTF-8 (a file's name may have them) become '?'. */
json_t *tool_text(const char *text) {
    json_t *value = json_string(text);
    char copy[4096];
    if (value)
        return value;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(copy);
}

/* As a text first: what memory runs out for is not half printed. */
int tool_json(tool *t, json_t *value, int code) {
    char *text = json_dumps(value, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    t->said = true;
    fputs(text, stdout);
    putchar('\n');
    free(text);
    json_decref(value);
    return code;
}

void tool_log(void *user, const char *line) {
    (void)user;
    if (strncmp(line, "warning:", 8) == 0)
        fprintf(stderr, "jitc: %s\n", line);
    else
        fprintf(stderr, "%s\n", line);
}

void tool_progress(void *user, unsigned done, unsigned total, const char *what) {
    (void)user;
    if (!isatty(STDERR_FILENO))
        return;
    if (done == total)
        fprintf(stderr, "\r\033[K"); /* the results follow */
    else
        fprintf(stderr, "\r\033[Kcompiling %u/%u %.48s", done, total, what);
    fflush(stderr);
}

void tool_hold_signals(bool hold) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

jitc_status tool_write(const char *path, const void *data, size_t n, jc_error *err) {
    if (!path) {
        fwrite(data, 1, n, stdout);
        return JITC_OK;
    }
    tool_hold_signals(true);
    bool ok = jc_file_publish(path, &(jc_span){ data, n }, 1, (jc_publish){ .mode = 0666 });
    int why = errno;
    tool_hold_signals(false);
    return ok ? JITC_OK : jc_fail_at(err, JITC_E_IO, path, 0, 0, NULL, "the file cannot be written: %s", strerror(why));
}
