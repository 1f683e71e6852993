/*
 * cache/history.c - see cache/history.h.
 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "cache/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/vec.h"
#include "cache/lock.h"

#define NAME "log"
#define OLD "log.old"

/* --- writing --- */

/* One process at a time, and none that sees the file smaller again. */
static void cut(const jc_disk *d, int root) {
    jc_lock lock;
    jc_hash key;
    struct stat st;
    memset(&key, 0xfe, sizeof key);
    if (!jc_lock_open(d, &key, true, &lock))
        return;
    if (jc_lock_take(&lock) == JC_LOCK_FREE && fstatat(root, NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > JC_HISTORY_MAX)
        (void)renameat(root, NAME, root, OLD);
    jc_lock_close(&lock);
}

static void append(const jc_disk *d, const char *line, size_t n) {
    struct stat st;
    int root = jc_disk_open_root(d, false), fd = root < 0 ? -1 : jc_disk_open_file(d, root, NAME, O_WRONLY | O_APPEND | O_CREAT);
    if (fd >= 0) {
        (void)!write(fd, line, n);
        if (fstat(fd, &st) == 0 && st.st_size > JC_HISTORY_MAX)
            cut(d, root);
        close(fd);
    }
    if (root >= 0)
        close(root);
}

/* A word without spaces. */
static void put_word(char *to, size_t size, const char *from) {
    snprintf(to, size, "%.*s", (int)size - 1, from && *from ? from : "?");
    for (; *to; to++)
        if ((unsigned char)*to <= ' ' || (unsigned char)*to > '~')
            *to = '_';
}

/* "built TIME PID HOST PROGRAM"; its length. */
static size_t head(char *line, const char *what) {
    char host[48], program[48];
    struct utsname name;
    put_word(host, sizeof host, uname(&name) == 0 ? name.nodename : NULL);
    put_word(program, sizeof program, program_invocation_short_name);
    return (size_t)snprintf(line, JC_HISTORY_LINE, "%s %" PRId64 " %ld %s %s", what, (int64_t)time(NULL), (long)getpid(), host, program);
}

static uint32_t short_hash(const void *at, size_t n) {
    jc_hash h = jc_hash_of(at, n);
    return (uint32_t)h.b[0] << 24 | (uint32_t)h.b[1] << 16 | (uint32_t)h.b[2] << 8 | h.b[3];
}

void jc_history_built(const jc_disk *d, const jc_key *key, double ms, size_t bytes) {
    char line[JC_HISTORY_LINE], hex[2 * JC_HASH_SIZE + 1];
    size_t n = head(line, "built"), fields = 0;
    jc_reader r = JC_READER(key->preimage, key->npreimage);
    jc_hash_hex(&key->hash, hex);
    n += (size_t)snprintf(line + n, sizeof line - n, " %s %.1f %zu ", hex, ms, bytes);
    while (r.at < r.end && fields++ < JC_HISTORY_FIELDS && n + 16 < sizeof line) {
        const unsigned field = jc_get_u8(&r);
        const size_t size = (size_t)jc_get_u64(&r);
        const uint8_t *at = jc_get(&r, size);
        if (r.bad)
            break;
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%u=%08" PRIx32, fields > 1 ? "," : "", field, short_hash(at, size));
    }
    line[n++] = '\n';
    append(d, line, n);
}

void jc_history_used(const jc_disk *d, const jc_cache_stats *s) {
    char line[JC_HISTORY_LINE];
    size_t n = head(line, "used");
    for (int i = 0; i < JC_FROM_COUNT; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, " %" PRIu64, s->from[i]);
    n += (size_t)snprintf(line + n, sizeof line - n, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->waited_processes, s->corrupt, s->foreign,
                          s->io_errors);
    append(d, line, n);
}

/* --- reading --- */

static bool parse_fields(char *text, jc_history_line *l) {
    for (char *rest, *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned field;
        uint32_t hash;
        if (sscanf(word, "%u=%" SCNx32, &field, &hash) != 2 || field >= JC_HISTORY_FIELDS)
            return false;
        l->fields[field] = hash;
        l->present |= 1u << field;
    }
    return l->present != 0;
}

/* LINE without its end; its words are cut apart. */
static bool parse(char *line, jc_arena *arena, jc_history_line *l) {
    char what[8], host[49], program[49], fields[JC_HISTORY_LINE];
    int at = 0;
    uint64_t *f = l->stats.from;
    *l = (jc_history_line){ 0 };
    if (sscanf(line, "%7s %" SCNd64 " %ld %48s %48s %n", what, &l->time, &l->pid, host, program, &at) != 5 || !at)
        return false;
    l->host = jc_arena_strdup(arena, host);
    l->program = jc_arena_strdup(arena, program);
    l->built = strcmp(what, "built") == 0;
    if (l->built)
        return sscanf(line + at, "%64s %lf %" SCNu64 " %511s", l->key, &l->ms, &l->bytes, fields) == 4 && strlen(l->key) == 2 * JC_HASH_SIZE &&
               parse_fields(fields, l);
    return strcmp(what, "used") == 0 && sscanf(line + at, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &f[0], &f[1], &f[2], &f[3],
                                                &l->stats.waited_processes, &l->stats.corrupt, &l->stats.foreign, &l->stats.io_errors) == 8;
}

typedef JC_VEC(jc_history_line) lines;

static void parse_all(const jc_span *file, jc_arena *arena, lines *out, size_t *bad) {
    const char *at = (const char *)file->at, *end = at + file->n;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        char line[JC_HISTORY_LINE];
        jc_history_line l;
        memcpy(line, at, n < sizeof line ? n : 0);
        line[n < sizeof line ? n : 0] = 0;
        if (stop && n < sizeof line && strlen(line) == n && parse(line, arena, &l))
            jc_push(arena, out, l);
        else
            ++*bad;
        at += n + 1;
    }
}

jitc_status jc_history_read(const jc_disk *d, jc_arena *arena, jc_history_line **out, size_t *n, size_t *bad, jc_error *err) {
    static const char *const names[] = { OLD, NAME };
    lines all = { 0 };
    *bad = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        jc_span file = { 0 };
        int root = jc_disk_open_root(d, false), fd = root < 0 ? -1 : jc_disk_open_file(d, root, names[i], O_RDONLY), why = errno;
        bool ok = fd >= 0 && jc_file_read(fd, 16 * JC_HISTORY_MAX, arena, &file);
        if (fd >= 0 && !ok)
            why = errno;
        if (fd >= 0)
            close(fd);
        if (root >= 0)
            close(root);
        if (!ok && why != ENOENT)
            return jc_fail(err, why == ENOMEM ? JITC_E_NOMEM : JITC_E_IO, "%s/%s cannot be read: %s", jc_disk_dir(d), names[i], strerror(why));
        parse_all(&file, arena, &all, bad);
    }
    *out = all.at;
    *n = all.n;
    return JITC_OK;
}
