/*
 * tools/cache_list.c - `jitc cache ls` and `show KEY`: entries by what their keys are made of.
 *
 * Both read entries whole and verify them, as a lookup does; neither changes anything.  KEY is a key or its beginning.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "plan/target.h"
#include "tools/cache.h"

const char *cache_field_text(unsigned field) {
    static const char *const texts[] = {
#define FIELD(id, number, text) [number] = text,
        JC_KEY_FIELDS(FIELD)
#undef FIELD
    };
    return field < sizeof texts / sizeof *texts ? texts[field] : NULL;
}

typedef struct entry {
    char hex[2 * JC_HASH_SIZE + 1], target[64];
    const char *kind; /* "class", "kernel"; "damaged", "foreign" */
    uint64_t bytes;
    int64_t used;     /* seconds since 1970 */
} entry;

typedef struct listing {
    tool *t;
    const jc_disk *disk;
    json_t *out;      /* with --json */
    const char *key;  /* show: what the key begins with; NULL: all */
    unsigned found;
} listing;

/* --- keys --- */

typedef struct field {
    unsigned number;
    const uint8_t *at;
    size_t n;
} field;

static bool next_field(jc_reader *r, field *out) {
    if (r->bad || r->at >= r->end)
        return false;
    out->number = jc_get_u8(r);
    out->n = (size_t)jc_get_u64(r);
    out->at = jc_get(r, out->n);
    return !r->bad;
}

static void describe(entry *e, const uint8_t *preimage, size_t n) {
    jc_reader r = JC_READER(preimage, n);
    field f;
    jc_target target;
    e->kind = "other";
    while (next_field(&r, &f)) {
        jc_reader in = JC_READER(f.at, f.n);
        if (f.number == JC_KEY_GRAPH)
            e->kind = "class";
        if (f.number == JC_KEY_KERNEL)
            e->kind = "kernel";
        if (f.number == JC_KEY_TARGET && jc_target_decode(&in, &target) == JITC_OK)
            jc_target_name(&target, e->target);
    }
}

/* --- ls --- */

static void say_entry(listing *l, const entry *e) {
    if (!l->out) {
        char when[32] = "?";
        time_t used = (time_t)e->used;
        struct tm local;
        if (localtime_r(&used, &local))
            strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
        printf("%.16s  %-8s %-14s %10llu  %s\n", e->hex, e->kind, e->target, (unsigned long long)e->bytes, when);
        return;
    }
    json_t *o = json_object();
    tool_set(o, "key", tool_text(e->hex));
    tool_set(o, "kind", tool_text(e->kind));
    tool_set(o, "target", tool_text(e->target));
    tool_set(o, "bytes", json_integer((json_int_t)e->bytes));
    tool_set(o, "used", json_integer((json_int_t)e->used));
    json_array_append_new(l->out, o);
}

/* --- show --- */

static bool is_text(const field *f) {
    for (size_t i = 0; i < f->n; i++)
        if (!isprint(f->at[i]))
            return false;
    return f->n > 0;
}

/* Text as it is, what is short in hex, the rest by its hash. */
static const char *value_of(jc_arena *arena, const field *f) {
    jc_bytes hex = JC_BYTES(arena);
    char hash[2 * JC_HASH_SIZE + 1];
    jc_hash h;
    if (is_text(f))
        return jc_arena_strndup(arena, (const char *)f->at, f->n);
    if (f->n > 64) {
        h = jc_hash_of(f->at, f->n);
        jc_hash_hex(&h, hash);
        return jc_arena_printf(arena, "blake2b %s", hash);
    }
    for (size_t i = 0; i < f->n; i++)
        jc_put_text(&hex, "%02x", f->at[i]);
    jc_put_u8(&hex, 0);
    return (const char *)hex.at;
}

static void say_fields(listing *l, jc_arena *arena, const uint8_t *preimage, size_t n) {
    jc_reader r = JC_READER(preimage, n);
    json_t *fields = json_array();
    field f;
    while (next_field(&r, &f)) {
        const char *name = cache_field_text(f.number), *value = value_of(arena, &f);
        name = name ? name : "unknown";
        if (!l->out)
            printf("  %-24s %8zu bytes  %s\n", name, f.n, value);
        json_t *o = json_object();
        tool_set(o, "field", tool_text(name));
        tool_set(o, "bytes", json_integer((json_int_t)f.n));
        tool_set(o, "value", tool_text(value));
        json_array_append_new(fields, o);
    }
    if (l->out)
        tool_set(json_array_get(l->out, json_array_size(l->out) - 1), "fields", json_incref(fields));
    json_decref(fields);
}

/* --- the walk --- */

static void see_in(listing *l, jc_arena *scratch, const jc_scan_file *file, entry *e) {
    const uint8_t *preimage = NULL;
    size_t n = 0;
    struct stat st;
    jc_tier_result r = jc_disk_read(l->disk, &file->key, scratch, &preimage, &n);
    if (r == JC_TIER_MISS || lstat(file->path, &st) != 0)
        return;
    e->bytes = file->bytes;
    e->used = st.st_atime > st.st_mtime ? st.st_atime : st.st_mtime;
    e->kind = r == JC_TIER_FOREIGN ? "foreign" : "damaged";
    if (r == JC_TIER_HIT)
        describe(e, preimage, n);
    l->found++;
    say_entry(l, e);
    if (l->key && r == JC_TIER_HIT)
        say_fields(l, scratch, preimage, n);
}

static jitc_status see(void *user, const jc_scan_file *file, jc_error *err) {
    listing *l = user;
    entry e = { .target = "" };
    jc_guard guard;
    volatile jitc_status status = JITC_E_NOMEM;
    if (file->kind != JC_SCAN_ENTRY)
        return JITC_OK;
    jc_hash_hex(&file->key, e.hex);
    if (l->key && strncmp(e.hex, l->key, strlen(l->key)) != 0)
        return JITC_OK;
    jc_arena *scratch = jc_arena_new(NULL);
    if (scratch && JC_GUARD(scratch, &guard) == 0) {
        see_in(l, scratch, file, &e);
        status = JITC_OK;
    }
    if (scratch)
        jc_guard_end(scratch, &guard);
    jc_arena_free(scratch);
    return status == JITC_OK ? JITC_OK : jc_fail(err, status, "out of memory while reading %s", file->path);
}

static int list(tool *t, jc_disk *disk, const char *key) {
    jc_error err = JC_ERROR_INIT;
    listing l = { .t = t, .disk = disk, .key = key, .out = t->o.json ? json_array() : NULL };
    jitc_status status = jc_disk_scan(disk, t->arena, see, &l, &err);
    if (status == JITC_OK && key && !l.found)
        jc_fail(&err, status = JITC_E_INPUT, "%s has no entry whose key begins with '%s'; jitc cache ls lists them", jc_disk_dir(disk), key);
    if (status != JITC_OK) {
        json_decref(l.out);
        return tool_fail(t, &err);
    }
    if (!l.out)
        return 0;
    json_t *out = tool_json_new();
    tool_set(out, "dir", tool_text(jc_disk_dir(disk)));
    tool_set(out, "entries", l.out);
    return tool_json(t, out, 0);
}

int cache_ls(tool *t, jc_disk *disk) {
    return list(t, disk, NULL);
}

int cache_show(tool *t, jc_disk *disk) {
    return list(t, disk, t->o.files.at[1]);
}
