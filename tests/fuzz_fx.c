/*
 * tests/fuzz_fx.c - any bytes at the reader: a graph that verifies, or a failure with a message; never a crash.
 *
 * With -DJC_LIBFUZZER (and clang -fsanitize=fuzzer) this is a libFuzzer target.  Otherwise a plain driver replays the files
 * and folders it is given, tests/data/fx by default, each whole, and each with a few thousand seeded random changes.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "ir/canon/canon.h"
#include "ir/fx/fx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Passing over what is not supported: S and FIRST are what strict reading gave. */
static void tolerant(const uint8_t *data, size_t size, jitc_status s, const jc_error *first) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g = NULL;
    jc_error err = JC_ERROR_INIT;
    if (!arena)
        return;
    jitc_status t = jc_fx_read_tolerant(arena, "fuzz", (const char *)data, size, &g, &err);
    if (t != JITC_OK && t != JITC_E_INPUT && t != s)
        abort();
    if (t == JITC_OK && (s == JITC_OK) != (g->refused.n == 0))
        abort();
    if (t == JITC_OK && s != JITC_OK &&
        (s != JITC_E_UNSUPPORTED || g->refused.at[0].line != first->line || strcmp(g->refused.at[0].reason, first->message) != 0))
        abort();
    for (size_t i = 0; t == JITC_OK && i < (g->pieces.n ? g->pieces.n : 1); i++) {
        const jc_func *f = g->pieces.n ? g->pieces.at[i] : g->root;
        jc_canon canon;
        if (jc_verify(f, &err))
            abort();
        (void)jc_canonicalise(f, 0, arena, &canon, &err);
    }
    jc_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    jc_arena *arena = jc_arena_new(NULL);
    jc_graph *g = NULL;
    jc_error err = JC_ERROR_INIT;
    if (!arena)
        return 0;
    jitc_status s = jc_fx_read(arena, "fuzz", (const char *)data, size, &g, &err);
    if (s != JITC_OK && (s != err.status || !err.message[0] || (s != JITC_E_INPUT && s != JITC_E_UNSUPPORTED)))
        abort();
    tolerant(data, size, s, &err);
    for (size_t i = 0; s == JITC_OK && i <= g->pieces.n; i++) {
        const jc_func *f = i < g->pieces.n ? g->pieces.at[i] : g->root;
        if (jc_verify(f, &err))
            abort();
        jc_bytes out = JC_BYTES(arena);
        jc_func_print(f, &out);
    }
    jc_arena_free(arena);
    return 0;
}

#ifndef JC_LIBFUZZER

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Writes a byte, drops a range, doubles a range, or puts in a piece of syntax. */
static size_t change(uint8_t *at, size_t n, size_t room, uint64_t *state) {
    static const char *const bits[] = { "(", ")", "[", "]", "-1", "None", "'", "\"", " = ", ":", ",", "\n", "...", "**",
                                        "99999999999999999999", "x", "torch.", "self.", "slice(", "{", "#", "\\", "torch.ops.higher_order.", "    with ", "class ", "Sym(", "zf0", "float(", "getattr(",
                                        "True", "//", "_base_index = ", "self.c: \"f32[2]\"", "return ", "def " };
    const size_t k = n ? random_next(state) % n : 0, length = random_next(state) % 16;
    switch (random_next(state) % 4) {
    case 0:
        if (n)
            at[k] = (uint8_t)random_next(state);
        return n;
    case 1:
        if (k + length > n)
            return n;
        memmove(at + k, at + k + length, n - k - length);
        return n - length;
    case 2:
        if (k + length > n || n + length > room)
            return n;
        memmove(at + k + length, at + k, n - k);
        return n + length;
    default: {
        const char *bit = bits[random_next(state) % (sizeof bits / sizeof *bits)];
        const size_t m = strlen(bit);
        if (n + m > room)
            return n;
        memmove(at + k + m, at + k, n - k);
        memcpy(at + k, bit, m);
        return n + m;
    }
    }
}

static int replay(const char *path) {
    enum { CHANGED = 5000 };
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fseek(f, 0, SEEK_END);
    const size_t n = (size_t)ftell(f), room = n + 256;
    rewind(f);
    uint8_t *text = malloc(n + 1), *copy = malloc(room);
    if (!text || !copy || fread(text, 1, n, f) != n)
        abort();
    fclose(f);
    LLVMFuzzerTestOneInput(text, n);
    uint64_t state = n;
    for (int i = 0; i < CHANGED; i++) {
        memcpy(copy, text, n);
        size_t m = n;
        for (uint64_t k = 1 + random_next(&state) % 4; k; k--)
            m = change(copy, m, room, &state);
        LLVMFuzzerTestOneInput(copy, m);
    }
    free(copy);
    free(text);
    return 1;
}

static int walk(const char *path) {
    struct stat st;
    if (stat(path, &st)) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    if (!S_ISDIR(st.st_mode))
        return replay(path);
    DIR *d = opendir(path);
    int files = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char sub[4096];
        snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            files += walk(sub);
    }
    if (d)
        closedir(d);
    return files;
}

int main(int argc, char **argv) {
    int files = 0;
    if (argc < 2)
        files = walk(TEST_SRCDIR "/tests/data/fx");
    for (int i = 1; i < argc; i++)
        files += walk(argv[i]);
    /* Check's line, which tests/summary.sh reads: a file is a test, and a crash leaves the line out. */
    printf("%d%%: Checks: %d, Failures: %d, Errors: 0\n", files ? 100 : 0, files ? files : 1, !files);
    return files ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
