/*
 * tests/tool_run.c - see tests/tool_run.h.
 */
#define _GNU_SOURCE /* nftw */
#include "tests/tool_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/scratch.h"

jc_arena *arena;
char dir[64];

void tool_enter(const char *name) {
    umask(022); /* files of tests are nobody else's to write to, or they would not be opened */
    snprintf(dir, sizeof dir, "/tmp/jitc-check-%s-XXXXXX", name);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    setenv("JITC_CACHE_DIR", "cache", 1);
    arena = jc_arena_new(NULL);
}

void tool_leave(void) {
    jc_arena_free(arena);
    ck_assert_int_eq(chdir("/"), 0);
    scratch_remove(dir);
}

/* --- files --- */

void write_text(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

char *whole(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    ck_assert_msg(f != NULL, "there is no %s", path);
    ck_assert_int_eq(fstat(fileno(f), &st), 0);
    char *text = jc_arena_alloc(arena, (size_t)st.st_size + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)st.st_size, f), (size_t)st.st_size);
    fclose(f);
    if (size)
        *size = (size_t)st.st_size;
    return text;
}

/* --- spawning --- */

static void set_environment(const char *const *list) {
    for (; list && *list; list++) {
        const char *eq = strchr(*list, '=');
        if (!eq)
            unsetenv(*list);
        else
            setenv(strndup(*list, (size_t)(eq - *list)), eq + 1, 1);
    }
}

int spawn(const char *program, char **words, const char *const *environment, int err) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        int out = open("stdout.txt", O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("stdin.txt", O_RDONLY);
        if (in >= 0)
            dup2(in, 0);
        dup2(out, 1);
        dup2(err, 2);
        set_environment(environment);
        execv(program, words);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char **words_of(char *name, char *text) {
    char **words = JC_NEWN(arena, char *, 64), *save = NULL;
    int n = 0;
    words[n++] = name;
    for (char *w = strtok_r(text, " ", &save); w && n < 63; w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    return words;
}

result run_program(const char *program, const char *const *environment, const char *args) {
    char *path = jc_arena_strdup(arena, program);
    int err = open("stderr.txt", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int code = spawn(program, words_of(path, jc_arena_strdup(arena, args)), environment, err);
    close(err);
    return (result){ code, whole("stdout.txt", NULL), whole("stderr.txt", NULL) };
}

result jitc(const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *args = jc_arena_vprintf(arena, format, list);
    va_end(list);
    return run_program(JITC, NULL, args);
}

/* --- what came of it --- */

void expect(const result *r, int code) {
    ck_assert_msg(r->code == code, "exit code %d instead of %d\nstdout: %s\nstderr: %s", r->code, code, r->out, r->err);
}

json_t *parse(const char *text) {
    json_error_t where;
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    ck_assert_msg(j != NULL, "no JSON: %d: %s\n%.2000s", where.line, where.text, text);
    return j;
}

json_t *expect_json(const result *r, int code) {
    expect(r, code);
    json_t *j = parse(r->out);
    ck_assert_int_eq(number(j, "version"), 1);
    return j;
}

long long number(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    ck_assert_msg(json_is_integer(v), "'%s' is no integer", key);
    return json_integer_value(v);
}

double real(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    ck_assert_msg(json_is_number(v), "'%s' is no number", key);
    return json_number_value(v);
}

const char *text(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    ck_assert_msg(json_is_string(v), "'%s' is no string", key);
    return json_string_value(v);
}

const json_t *item(const json_t *j, const char *key, size_t i) {
    const json_t *v = json_array_get(json_object_get(j, key), i);
    ck_assert_msg(v != NULL, "'%s' has no element %zu", key, i);
    return v;
}
