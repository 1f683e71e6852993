/*
 * tools/cmd_doctor.c - `jitc doctor`: what this machine has, and what is missing for what.  Always exits 0.
 */
#define _GNU_SOURCE /* nftw, pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/codegen_id.h"
#include "base/file.h"
#include "base/library.h"
#include "config.h"
#include "jit/asm/assemble.h"
#include "tools/tool.h"

typedef struct doctor {
    tool *t;
    json_t *out;
} doctor;

/* One fact: a line, and a field. GOOD: -1 is neither good nor bad. */
static void say(doctor *d, const char *field, int good, const char *text) {
    static const char *const marks[] = { "  --  ", "  ok  ", "      " };
    json_t *o = json_object();
    if (good >= 0)
        tool_set(o, "ok", json_boolean(good));
    tool_set(o, "text", tool_text(text));
    tool_set(d->out, field, o);
    if (!d->t->o.json)
        printf("%s%-18s %s\n", marks[good < 0 ? 2 : good], field, text);
}

static void versions(doctor *d) {
    say(d, "jitc", -1, jitc_version());
    say(d, "code generator", -1, jc_arena_printf(d->t->arena, "%.16s, built for LLVM %s", JC_CODEGEN_ID, JC_LLVM_VERSION));
}

/* Which file the code generator was mapped from. */
static const char *mapped(jc_arena *arena, const char *name) {
    FILE *f = fopen("/proc/self/maps", "re");
    char line[4200];
    const char *found = NULL;
    while (f && !found && fgets(line, sizeof line, f)) {
        char *path = strchr(line, '/');
        if (path && strstr(path, name))
            found = jc_arena_strndup(arena, path, strcspn(path, "\n"));
    }
    if (f)
        fclose(f);
    return found;
}

/* What there is to say of LLVM: the first byte tells whether it is good. */
static void look_at_llvm(jc_arena *arena, int to) {
    jc_error err = JC_ERROR_INIT;
    const jc_backend *b;
    const char *text;
    if (jc_backend_open(&b, &err) == JITC_OK) {
        const char *path = mapped(arena, "libjitc-llvm");
        text = jc_arena_printf(arena, "+%s, in %s", b->llvm_version, path ? path : "this program");
    } else {
        text = jc_arena_printf(arena, "-%s", err.message);
    }
    (void)!jc_write_all(to, text, strlen(text));
}

static size_t read_end(int from, char *into, size_t size) {
    size_t n = 0;
    ssize_t got;
    while ((got = read(from, into + n, size - 1 - n)) > 0 || (got < 0 && errno == EINTR))
        n += got > 0 ? (size_t)got : 0;
    into[n] = 0;
    return n;
}

/* LLVM ends a process that has no memory for it, or that it finds broken: a child looks. */
static void code_generator(doctor *d) {
    char text[2048];
    int ends[2], status = 0;
    pid_t child = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (child < 0) {
        say(d, "LLVM", 0, jc_arena_printf(d->t->arena, "no process can be started to look at it: %s", strerror(errno)));
        return;
    }
    if (child == 0) {
        jc_guard guard;
        if (JC_GUARD(d->t->arena, &guard) == 0)
            look_at_llvm(d->t->arena, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    size_t n = read_end(ends[0], text, sizeof text);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (n > 1 && WIFEXITED(status))
        say(d, "LLVM", text[0] == '+', text + 1);
    else
        say(d, "LLVM", 0, WIFSIGNALED(status) ? jc_arena_printf(d->t->arena, "opening it ended a process by signal %d (%s)", WTERMSIG(status),
                                                               strsignal(WTERMSIG(status)))
                                              : "out of memory while opening it");
}

static void assembler(doctor *d) {
    jc_error err = JC_ERROR_INIT;
    jc_assembler a;
    if (jc_assembler_find(d->t->arena, &a, &err) == JITC_OK)
        say(d, "assembler", 1, a.text);
    else
        say(d, "assembler", 0, err.message);
}

static void device(doctor *d, const char *name) {
    jc_error err = JC_ERROR_INIT;
    jc_device_options o = { .threads = 1 };
    jc_device *dev;
    char target[64];
    if (jc_device_open(name, &o, &jc_alloc_libc, NULL, &dev, &err) != JITC_OK) {
        say(d, name, 0, err.message);
        return;
    }
    jc_target_text(&dev->target, target);
    say(d, name, 1, target);
    jc_device_close(dev);
}

/* cuda:0, cuda:1, ... as far as there are any. */
static void devices(doctor *d) {
    device(d, "host");
    device(d, "sim");
    device(d, "cuda");
    for (int i = 1; i < 64; i++) {
        jc_error err = JC_ERROR_INIT;
        char name[32];
        jc_device *dev;
        snprintf(name, sizeof name, "cuda:%d", i);
        if (jc_device_open(name, NULL, &jc_alloc_libc, NULL, &dev, &err) != JITC_OK)
            return;
        jc_device_close(dev);
        device(d, jc_arena_strdup(d->t->arena, name));
    }
}

static uint64_t entries, entry_bytes;

static int count_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)path;
    (void)ftw;
    if (type == FTW_F) {
        entries++;
        entry_bytes += (uint64_t)st->st_size;
    }
    return 0;
}

static void cache(doctor *d) {
    const char *dir = jc_cache_dir(d->t->ctx->cache), *warning = jc_cache_warning(d->t->ctx->cache);
    if (warning) {
        say(d, "cache", 0, warning);
        return;
    }
    if (!dir) {
        say(d, "cache", 0, "there is no directory for it: compiled code is kept in memory alone");
        return;
    }
    nftw(dir, count_entry, 16, FTW_PHYS);
    say(d, "cache", 1, jc_arena_printf(d->t->arena, "%s: %llu entries, %.1f MiB", dir, (unsigned long long)entries,
                                       (double)entry_bytes / 1048576));
}

static void environment(doctor *d) {
    static const char *const names[] = { "JITC_CACHE_DIR", "JITC_CACHE_WAIT", "JITC_CACHE_MAX_BYTES", "JITC_CACHE_MAX_ENTRIES", "JITC_CACHE_KEY", "JITC_CACHE_PARANOID", "XDG_CACHE_HOME", "HOME",
                                         "JITC_DEBUG", "JITC_LLVM_LIBRARY", "JITC_ASSEMBLER", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "LD_LIBRARY_PATH",
                                         "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "TMPDIR" };
    json_t *o = json_object();
    if (!d->t->o.json)
        printf("\nenvironment\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = jc_library_env(names[i]);
        tool_set(o, names[i], value ? tool_text(value) : json_null());
        if (!d->t->o.json)
            printf("      %-22s %s\n", names[i], value ? value : "(not set)");
    }
    tool_set(d->out, "environment", o);
}

static void debug_flags(doctor *d) {
    json_t *o = json_object();
    if (!d->t->o.json)
        printf("\nJITC_DEBUG, a comma-separated list of\n");
#define DEBUG_FLAG(id, name, help)                                                                 \
    tool_set(o, name, tool_text(help));                                                            \
    if (!d->t->o.json)                                                                             \
        printf("      %-8s %s\n", name, help);
    JC_DEBUG_LIST(DEBUG_FLAG)
#undef DEBUG_FLAG
    tool_set(d->out, "debug", o);
}

int cmd_doctor(tool *t) {
    doctor d = { t, NULL };
    int code = tool_open(t, true);
    if (code)
        return code;
    d.out = tool_json_new();
    versions(&d);
    code_generator(&d);
    assembler(&d);
    devices(&d);
    cache(&d);
    environment(&d);
    debug_flags(&d);
    if (t->o.json)
        return tool_json(t, d.out, 0);
    json_decref(d.out);
    return 0;
}
