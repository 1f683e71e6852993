/*
 * tests/tool_run.h - running programs from outside, `jitc` above all: in a folder of the test's own, with what they print and their
 * exit code.
 */
#ifndef TOOL_RUN_H
#define TOOL_RUN_H

#include <check.h>
#include <jansson.h>

#include "base/arena.h"

#define JITC TEST_BUILDDIR "/jitc"

/* Of the test that runs: memory until tool_leave(), and its folder, which is the current one and holds the cache `cache`. */
extern jc_arena *arena;
extern char dir[64];

/* The fixture. NAME goes into the folder's. */
void tool_enter(const char *name);
void tool_leave(void);

void write_text(const char *name, const char *text);
/* A file's bytes, terminated. SIZE may be NULL. */
char *whole(const char *path, size_t *size);

typedef struct result {
    int code; /* 128 + signal where it was killed */
    char *out, *err;
} result;

/* Runs PROGRAM with WORDS, of which the first is its name, in the environment plus ENVIRONMENT ("NAME=value", or "NAME" to unset it; NULL:
   nothing more); standard input is the file stdin.txt where there is one, errors go to ERR.  The exit code. */
int spawn(const char *program, char **words, const char *const *environment, int err);
/* Words of TEXT, which is cut apart, behind NAME: separated by spaces; none holds one. */
char **words_of(char *name, char *text);
/* The same with the streams caught. */
result run_program(const char *program, const char *const *environment, const char *args);
/* jitc ARGS */
result jitc(const char *format, ...) __attribute__((format(printf, 1, 2)));

void expect(const result *r, int code);
json_t *parse(const char *text);
/* The JSON that was printed, with the exit code expected. */
json_t *expect_json(const result *r, int code);

/* Of an object: fails where the field is missing or another kind. */
long long number(const json_t *j, const char *key);
double real(const json_t *j, const char *key);
const char *text(const json_t *j, const char *key);
const json_t *item(const json_t *j, const char *key, size_t i);

#endif
