/*
 * tools/cache_log.c - `jitc cache log`: what was compiled into the cache directory, by whom, and why it had to be.
 *
 * A line per entry that was built, oldest first.  Why: the latest earlier line with the same key, whose entry must have gone since, or else
 * the one whose key is nearest, and the first field in which the two differ.  Keys of the same graph or kernel are nearer than any other.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cache/history.h"
#include "tools/cache.h"

static const char *kind_of(const jc_history_line *l) {
    return l->present >> JC_KEY_GRAPH & 1 ? "class" : l->present >> JC_KEY_KERNEL & 1 ? "kernel" : "other";
}

static unsigned nearness(const jc_history_line *a, const jc_history_line *b) {
    unsigned n = 0;
    for (unsigned i = 0; i < JC_HISTORY_FIELDS; i++)
        if (a->present & b->present & 1u << i && a->fields[i] == b->fields[i])
            n += i == JC_KEY_GRAPH || i == JC_KEY_KERNEL ? JC_HISTORY_FIELDS : 1;
    return n;
}

/* The earlier line that explains line I best; NULL where there is none of its kind. */
static const jc_history_line *nearest(const jc_history_line *lines, size_t i) {
    const jc_history_line *best = NULL;
    unsigned most = 0;
    for (size_t k = i; k-- > 0;) {
        if (!lines[k].built || lines[k].present != lines[i].present)
            continue;
        if (strcmp(lines[k].key, lines[i].key) == 0)
            return &lines[k];
        unsigned n = nearness(&lines[k], &lines[i]);
        if (!best || n > most) {
            best = &lines[k];
            most = n;
        }
    }
    return best;
}

/* The first field in which they differ; NULL: in none. */
static const char *difference(const jc_history_line *a, const jc_history_line *b) {
    for (unsigned i = 0; i < JC_HISTORY_FIELDS; i++)
        if (a->present >> i & 1 && a->fields[i] != b->fields[i])
            return cache_field_text(i) ? cache_field_text(i) : "unknown";
    return NULL;
}

static void say(const jc_history_line *l, const jc_history_line *near) {
    char when[32] = "?";
    time_t at = (time_t)l->time;
    struct tm local;
    const char *field = near ? difference(l, near) : NULL;
    if (localtime_r(&at, &local))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    printf("%s  %.12s  %-6s %9.1f ms  %s[%ld] on %s: ", when, l->key, kind_of(l), l->ms, l->program, l->pid, l->host);
    if (!near)
        printf("the first of its kind\n");
    else if (!field)
        printf("had been built before, and was gone\n");
    else
        printf("nearest %.12s, %s differs\n", near->key, field);
}

static json_t *as_json(const jc_history_line *l, const jc_history_line *near) {
    json_t *o = json_object();
    const char *field = near ? difference(l, near) : NULL;
    tool_set(o, "time", json_integer((json_int_t)l->time));
    tool_set(o, "key", tool_text(l->key));
    tool_set(o, "kind", tool_text(kind_of(l)));
    tool_set(o, "ms", json_real(l->ms));
    tool_set(o, "bytes", json_integer((json_int_t)l->bytes));
    tool_set(o, "pid", json_integer(l->pid));
    tool_set(o, "program", tool_text(l->program));
    tool_set(o, "host", tool_text(l->host));
    tool_set(o, "nearest", near ? tool_text(near->key) : json_null());
    tool_set(o, "first_difference", field ? tool_text(field) : json_null());
    return o;
}

int cache_log(tool *t, jc_disk *disk) {
    jc_error err = JC_ERROR_INIT;
    jc_history_line *lines;
    size_t n, bad;
    TOOL_TRY(t, &err, jc_history_read(disk, t->arena, &lines, &n, &bad, &err));
    json_t *built = t->o.json ? json_array() : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!lines[i].built)
            continue;
        const jc_history_line *near = nearest(lines, i);
        if (built)
            json_array_append_new(built, as_json(&lines[i], near));
        else
            say(&lines[i], near);
    }
    if (!built) {
        if (bad)
            printf("%zu lines could not be read\n", bad);
        return 0;
    }
    json_t *out = tool_json_new();
    tool_set(out, "dir", tool_text(jc_disk_dir(disk)));
    tool_set(out, "built", built);
    tool_set(out, "unreadable", json_integer((json_int_t)bad));
    return tool_json(t, out, 0);
}

void cache_sum_history(tool *t, jc_disk *disk, jc_cache_stats *sum, int64_t *since) {
    jc_history_line *lines;
    size_t n, bad;
    *sum = (jc_cache_stats){ 0 };
    *since = 0;
    if (jc_history_read(disk, t->arena, &lines, &n, &bad, NULL) != JITC_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!*since || lines[i].time < *since)
            *since = lines[i].time;
        for (int k = 0; k < JC_FROM_COUNT; k++)
            sum->from[k] += lines[i].stats.from[k];
        sum->waited_processes += lines[i].stats.waited_processes;
        sum->corrupt += lines[i].stats.corrupt;
        sum->foreign += lines[i].stats.foreign;
        sum->io_errors += lines[i].stats.io_errors;
    }
}
