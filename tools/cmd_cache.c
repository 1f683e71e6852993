/*
 * tools/cmd_cache.c - `jitc cache ACTION`: the cache directory, looked at from outside.
 *
 *   stats    counts by name and size; reads no entry
 *   verify   reads every entry and checks every byte of it; exit 1 where one is damaged. Changes nothing: a lookup sets it aside
 *   clear    removes entries, samples of damaged ones and temporary files; files that are not the cache's stay
 *
 * The others are in files of their own: tools/cache.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/cache.h"

typedef struct tally {
    uint64_t n, bytes;
} tally;

typedef struct look {
    tool *t;
    jc_disk *disk;
    tally by_kind[JC_SCAN_OTHER + 1];
    uint64_t classes, kernels, ok, foreign, unreadable; /* verify */
    json_t *damaged;
    tally removed;                             /* clear */
} look;

static const char *const kinds[] = { [JC_SCAN_ENTRY] = "entries", [JC_SCAN_BAD] = "bad", [JC_SCAN_TEMPORARY] = "temporary",
                                     [JC_SCAN_OTHER] = "other" };

static void add(tally *to, const jc_scan_file *file) {
    to->n++;
    to->bytes += file->bytes;
}

static json_t *new_json(const look *l) {
    json_t *out = tool_json_new();
    tool_set(out, "dir", tool_text(jc_disk_dir(l->disk)));
    return out;
}

/* --- stats --- */

static jitc_status count(void *user, const jc_scan_file *file, jc_error *err) {
    look *l = user;
    (void)err;
    add(&l->by_kind[file->kind], file);
    return JITC_OK;
}

static int say_stats(look *l) {
    jc_cache_stats sum;
    int64_t since;
    cache_sum_history(l->t, l->disk, &sum, &since);
    if (l->t->o.json) {
        json_t *out = new_json(l);
        tool_set(out, "entries", json_integer((json_int_t)l->by_kind[JC_SCAN_ENTRY].n));
        tool_set(out, "bytes", json_integer((json_int_t)l->by_kind[JC_SCAN_ENTRY].bytes));
        for (int k = JC_SCAN_BAD; k <= JC_SCAN_OTHER; k++) {
            tool_set(out, kinds[k], json_integer((json_int_t)l->by_kind[k].n));
            tool_set(out, jc_arena_printf(l->t->arena, "%s_bytes", kinds[k]),
                     json_integer((json_int_t)l->by_kind[k].bytes));
        }
        tool_set(out, "hits", json_integer((json_int_t)(sum.from[JC_FROM_DISK] + sum.from[JC_FROM_READ_ONLY])));
        tool_set(out, "misses", json_integer((json_int_t)sum.from[JC_FROM_BUILD]));
        tool_set(out, "damaged", json_integer((json_int_t)sum.corrupt));
        tool_set(out, "foreign", json_integer((json_int_t)sum.foreign));
        tool_set(out, "errors", json_integer((json_int_t)sum.io_errors));
        tool_set(out, "waited", json_integer((json_int_t)sum.waited_processes));
        tool_set(out, "since", since ? json_integer((json_int_t)since) : json_null());
        return tool_json(l->t, out, 0);
    }
    printf("%s\n", jc_disk_dir(l->disk));
    for (int k = JC_SCAN_ENTRY; k <= JC_SCAN_OTHER; k++)
        printf("  %-10s %8llu  %12llu bytes\n", kinds[k], (unsigned long long)l->by_kind[k].n,
               (unsigned long long)l->by_kind[k].bytes);
    printf("  %llu hits, %llu misses, %llu damaged, %llu errors, %llu waits for another process, as far as the log goes back\n",
           (unsigned long long)(sum.from[JC_FROM_DISK] + sum.from[JC_FROM_READ_ONLY]), (unsigned long long)sum.from[JC_FROM_BUILD],
           (unsigned long long)sum.corrupt, (unsigned long long)sum.io_errors, (unsigned long long)sum.waited_processes);
    return 0;
}

/* --- verify --- */

/* Is the entry a kernel's or a class's? Its key has a field for one of them. */
static void classify(look *l, const uint8_t *preimage, size_t n) {
    jc_reader r = JC_READER(preimage, n);
    while (!r.bad && r.at < r.end) {
        unsigned field = jc_get_u8(&r);
        l->kernels += field == JC_KEY_KERNEL;
        l->classes += field == JC_KEY_GRAPH;
        jc_get(&r, (size_t)jc_get_u64(&r));
    }
}

static jitc_status check_in(look *l, jc_arena *scratch, const jc_scan_file *file) {
    const uint8_t *preimage;
    size_t n;
    errno = 0;
    switch (jc_disk_read(l->disk, &file->key, scratch, &preimage, &n)) {
    case JC_TIER_HIT:
        classify(l, preimage, n);
        l->ok++;
        break;
    case JC_TIER_MISS: /* somebody else has removed it */
        break;
    case JC_TIER_ERROR:
        if (errno == ENOMEM)
            return JITC_E_NOMEM;
        l->unreadable++;
        break;
    case JC_TIER_FOREIGN:
        l->foreign++;
        break;
    case JC_TIER_CORRUPT:
        json_array_append_new(l->damaged, tool_text(file->path));
        break;
    }
    return JITC_OK;
}

/* Each entry in memory of its own: they may be many. */
static jitc_status check(void *user, const jc_scan_file *file, jc_error *err) {
    look *l = user;
    jc_arena *scratch = jc_arena_new(NULL);
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (file->kind == JC_SCAN_ENTRY && scratch && JC_GUARD(scratch, &guard) == 0)
        status = check_in(l, scratch, file);
    else if (file->kind != JC_SCAN_ENTRY)
        status = JITC_OK;
    if (scratch && file->kind == JC_SCAN_ENTRY)
        jc_guard_end(scratch, &guard);
    jc_arena_free(scratch);
    return status == JITC_OK ? JITC_OK : jc_fail(err, status, "out of memory while checking %s", file->path);
}

static int say_verify(look *l) {
    size_t n = json_array_size(l->damaged), i;
    json_t *path;
    int code = n || l->unreadable ? 1 : 0;
    if (l->t->o.json) {
        json_t *out = new_json(l);
        tool_set(out, "ok", json_integer((json_int_t)l->ok));
        tool_set(out, "class_entries", json_integer((json_int_t)l->classes));
        tool_set(out, "kernel_entries", json_integer((json_int_t)l->kernels));
        tool_set(out, "foreign", json_integer((json_int_t)l->foreign));
        tool_set(out, "unreadable", json_integer((json_int_t)l->unreadable));
        tool_set(out, "damaged", json_incref(l->damaged));
        return tool_json(l->t, out, code);
    }
    json_array_foreach(l->damaged, i, path)
        printf("damaged: %s\n", json_string_value(path));
    printf("%s: %llu good (%llu classes, %llu kernels), %zu damaged, %llu by another key or none, %llu unreadable\n", jc_disk_dir(l->disk),
           (unsigned long long)l->ok, (unsigned long long)l->classes, (unsigned long long)l->kernels, n, (unsigned long long)l->foreign,
           (unsigned long long)l->unreadable);
    return code;
}

/* --- clear --- */

static jitc_status wipe(void *user, const jc_scan_file *file, jc_error *err) {
    look *l = user;
    if (file->kind == JC_SCAN_OTHER)
        return JITC_OK;
    if (remove(file->path) == 0)
        add(&l->removed, file);
    else if (errno != ENOENT && errno != ENOTEMPTY) /* a directory in an entry's place, with something in it */
        return jc_fail_at(err, JITC_E_IO, file->path, 0, 0, NULL, "the file cannot be removed: %s", strerror(errno));
    return JITC_OK;
}

/* Files beside the entries, but for the lock: others may be waiting for it. */
static void wipe_rest(const jc_disk *disk) {
    int root = jc_disk_open_root(disk, false);
    if (root < 0)
        return;
    (void)unlinkat(root, "pruned", 0);
    (void)unlinkat(root, "log", 0);
    (void)unlinkat(root, "log.old", 0);
    close(root);
}

static int say_clear(look *l) {
    jc_disk_prune(l->disk);
    wipe_rest(l->disk);
    if (l->t->o.json) {
        json_t *out = new_json(l);
        tool_set(out, "removed", json_integer((json_int_t)l->removed.n));
        tool_set(out, "bytes", json_integer((json_int_t)l->removed.bytes));
        return tool_json(l->t, out, 0);
    }
    printf("%s: %llu files removed, %llu bytes\n", jc_disk_dir(l->disk), (unsigned long long)l->removed.n,
           (unsigned long long)l->removed.bytes);
    return 0;
}

/* --- the command --- */

/* Either a walk over all files and what is said then, or a function of its own. */
static const struct {
    const char *name;
    size_t words; /* that it takes besides its name */
    jitc_status (*see)(void *user, const jc_scan_file *file, jc_error *err);
    int (*say)(look *l);
    int (*run)(tool *t, jc_disk *disk);
} actions[] = {
    { .name = "stats", .see = count, .say = say_stats },
    { .name = "ls", .run = cache_ls },
    { .name = "show", .words = 1, .run = cache_show },
    { .name = "verify", .see = check, .say = say_verify },
    { .name = "log", .run = cache_log },
    { .name = "export", .words = 1, .run = cache_export },
    { .name = "import", .words = 1, .run = cache_import },
    { .name = "prune", .run = cache_prune },
    { .name = "clear", .see = wipe, .say = say_clear },
};
#define NACTIONS (sizeof actions / sizeof *actions)

/* "stats, ls, ... and clear", or with "or". */
static const char *all_actions(jc_arena *arena, const char *last) {
    jc_bytes text = JC_BYTES(arena);
    for (size_t i = 0; i < NACTIONS; i++)
        jc_put_text(&text, "%s%s", i == 0 ? "" : i + 1 < NACTIONS ? ", " : last, actions[i].name);
    jc_put_u8(&text, 0);
    return (const char *)text.at;
}

static jitc_status find_action(const tool *t, size_t *out, jc_error *err) {
    for (*out = 0; *out < NACTIONS && strcmp(actions[*out].name, t->o.files.at[0]) != 0;)
        ++*out;
    if (*out == NACTIONS)
        return jc_fail(err, JITC_E_USAGE, "jitc cache cannot '%s'; it takes %s", t->o.files.at[0], all_actions(t->arena, " or "));
    if (t->o.files.n > 1 + actions[*out].words && actions[*out].words == 0)
        return jc_fail(err, JITC_E_USAGE, "jitc cache takes one of %s, not also '%s'", all_actions(t->arena, " and "), t->o.files.at[1]);
    if (t->o.files.n != 1 + actions[*out].words)
        return jc_fail(err, JITC_E_USAGE, "jitc cache %s takes one word more, see jitc cache --help", actions[*out].name);
    return JITC_OK;
}

/* The directory that compiling would use; one that is not ours alone is not looked into either. */
static jitc_status open_disk(look *l, jc_error *err) {
    const jc_cache *cache = l->t->ctx->cache;
    if (jc_cache_warning(cache))
        return jc_fail(err, JITC_E_IO, "%s", jc_cache_warning(cache));
    if (!jc_cache_dir(cache))
        return jc_fail(err, JITC_E_USAGE, "there is no cache directory: give --cache DIR");
    l->disk = jc_disk_open_keyed(l->t->arena, jc_cache_dir(cache), false, jc_cache_mac(cache), NULL);
    return l->disk ? JITC_OK : jc_fail(err, JITC_E_IO, "%s cannot be used as a cache", jc_cache_dir(cache));
}

int cmd_cache(tool *t) {
    jc_error err = JC_ERROR_INIT;
    look l = { .t = t };
    size_t action;
    TOOL_TRY(t, &err, find_action(t, &action, &err));
    int code = tool_open(t, true);
    if (code)
        return code;
    TOOL_TRY(t, &err, open_disk(&l, &err));
    if (actions[action].run)
        return actions[action].run(t, l.disk);
    l.damaged = json_array();
    jitc_status status = jc_disk_scan(l.disk, t->arena, actions[action].see, &l, &err);
    code = status == JITC_OK ? actions[action].say(&l) : tool_fail(t, &err);
    json_decref(l.damaged);
    return code;
}
