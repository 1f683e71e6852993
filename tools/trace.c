/*
 * tools/trace.c - `--trace FILE`: the library's spans as Chrome-trace JSON, which Perfetto and chrome://tracing open.
 *
 * Spans come from any thread and are kept until the end of the run; the system's thread numbers become 1, 2, ... in the order in
 * which they are first met.  Timestamps are microseconds since the program began to listen.  The format is
 * the Trace Event Format's "X" (complete) and "M" (metadata) events, in an object.
 */
#include "tools/tool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct recorded {
    const char *name;
    char *arg; /* NULL: none */
    double start_ms, end_ms;
    unsigned thread;
} recorded;

struct tool_trace {
    jc_trace hook;
    pthread_mutex_t lock;
    double start_ms;
    recorded *spans;
    size_t n, cap;
    uint64_t dropped; /* for want of memory */
};

/* Which argument a span's text is; what is not listed is about a file. */
static const struct {
    const char *span, *arg;
} args[] = {
    { "canonicalise", "piece" }, { "lookup", "class" },     { "schedule", "class" }, { "llvm", "kernel" },
    { "assemble", "kernel" },    { "first run", "piece" },  { "model", "arch" },     { "load", "of" },
};

static const char *arg_name(const char *span) {
    for (size_t i = 0; i < sizeof args / sizeof *args; i++)
        if (strcmp(args[i].span, span) == 0)
            return args[i].arg;
    return "file";
}

/* The lock is held. Memory comes from the C library: an arena's is for one thread, and its jump for one guard. */
static bool keep(tool_trace *trace, const recorded *s, const char *arg) {
    if (trace->n == trace->cap) {
        size_t cap = trace->cap ? 2 * trace->cap : 256;
        recorded *more = realloc(trace->spans, cap * sizeof *more);
        if (!more)
            return false;
        trace->spans = more;
        trace->cap = cap;
    }
    char *copy = arg ? strdup(arg) : NULL;
    if (arg && !copy)
        return false;
    trace->spans[trace->n] = *s;
    trace->spans[trace->n++].arg = copy;
    return true;
}

static void take(void *user, const char *name, const char *arg, double start_ms, double end_ms, unsigned thread) {
    tool_trace *trace = user;
    recorded s = { name, NULL, start_ms, end_ms, thread };
    pthread_mutex_lock(&trace->lock);
    trace->dropped += !keep(trace, &s, arg);
    pthread_mutex_unlock(&trace->lock);
}

static void release(void *user) {
    tool_trace *trace = user;
    for (size_t i = 0; i < trace->n; i++)
        free(trace->spans[i].arg);
    free(trace->spans);
    pthread_mutex_destroy(&trace->lock);
}

void tool_trace_start(tool *t) {
    if (!t->o.trace)
        return;
    t->trace = JC_NEW(t->arena, tool_trace);
    t->trace->hook = (jc_trace){ take, t->trace };
    t->trace->start_ms = jc_now_ms();
    pthread_mutex_init(&t->trace->lock, NULL);
    jc_arena_defer(t->arena, release, t->trace);
    t->ctx->spans = &t->trace->hook;
}

void tool_span(const tool *t, const char *name, const char *arg, double start_ms) {
    if (t->trace)
        jc_trace_span(&t->trace->hook, name, arg, start_ms);
}

/* --- writing --- */

static int by_start(const void *a, const void *b) {
    const recorded *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return (x->end_ms < y->end_ms) - (x->end_ms > y->end_ms); /* the outer one first */
}

static json_t *metadata(const char *what, unsigned thread, const char *name) {
    json_t *o = json_object(), *arg = json_object();
    tool_set(arg, "name", tool_text(name));
    tool_set(o, "name", tool_text(what));
    tool_set(o, "ph", tool_text("M"));
    tool_set(o, "pid", json_integer(1));
    tool_set(o, "tid", json_integer(thread));
    tool_set(o, "args", arg);
    return o;
}

static json_t *event(const tool_trace *trace, const recorded *s, unsigned thread) {
    json_t *o = json_object(), *arg = json_object();
    if (s->arg)
        tool_set(arg, arg_name(s->name), tool_text(s->arg));
    tool_set(o, "name", tool_text(s->name));
    tool_set(o, "cat", tool_text("jitc"));
    tool_set(o, "ph", tool_text("X"));
    tool_set(o, "ts", tool_real((s->start_ms - trace->start_ms) * 1000));
    tool_set(o, "dur", tool_real((s->end_ms - s->start_ms) * 1000));
    tool_set(o, "pid", json_integer(1));
    tool_set(o, "tid", json_integer(thread));
    tool_set(o, "args", arg);
    return o;
}

typedef JC_VEC(unsigned) threads;

/* The small number of a thread; a new one is announced in EVENTS. */
static unsigned number(tool *t, threads *known, unsigned thread, json_t *events) {
    char name[32];
    for (size_t i = 0; i < known->n; i++)
        if (known->at[i] == thread)
            return (unsigned)i + 1;
    jc_push(t->arena, known, thread);
    snprintf(name, sizeof name, known->n == 1 ? "main" : "worker %zu", known->n - 1);
    json_array_append_new(events, metadata("thread_name", (unsigned)known->n, name));
    return (unsigned)known->n;
}

static json_t *trace_json(tool *t, tool_trace *trace) {
    json_t *out = json_object(), *events = json_array(), *other = json_object();
    threads known = { 0 };
    if (trace->n)
        qsort(trace->spans, trace->n, sizeof *trace->spans, by_start);
    json_array_append_new(events, metadata("process_name", 0, jc_arena_printf(t->arena, "jitc %s", t->command->name)));
    for (size_t i = 0; i < trace->n; i++) {
        unsigned thread = number(t, &known, trace->spans[i].thread, events);
        json_array_append_new(events, event(trace, &trace->spans[i], thread));
    }
    tool_set(other, "jitc", tool_text(jitc_version()));
    tool_set(other, "dropped", json_integer((json_int_t)trace->dropped));
    tool_set(out, "traceEvents", events);
    tool_set(out, "displayTimeUnit", tool_text("ms"));
    tool_set(out, "otherData", other);
    return out;
}

int tool_trace_end(tool *t, int code) {
    jc_error err = JC_ERROR_INIT;
    if (!t->trace)
        return code;
    if (t->ctx)
        t->ctx->spans = NULL;
    json_t *trace = trace_json(t, t->trace);
    char *text = json_dumps(trace, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
    json_decref(trace);
    jitc_status status = text ? tool_write(t->o.trace, text, strlen(text), &err)
                              : jc_fail(&err, JITC_E_NOMEM, "out of memory for the trace");
    free(text);
    if (status == JITC_OK)
        return code;
    if (code) { /* what went wrong before has been told */
        fprintf(stderr, "jitc: %s: the trace cannot be written\n", t->o.trace);
        return code;
    }
    return tool_fail(t, &err);
}
