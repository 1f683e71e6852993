/*
 * tests/bytes/driver.c - runs a target: for libFuzzer, or by itself over the files of its corpus and seeded changes of them.
 *
 *   fuzz_NAME [-n CHANGES] [-s SEED] [FILE|FOLDER ...]
 *
 * Without arguments a run makes some thousand changes, always the same ones.  Files called good* have to be taken as they are: a
 * corpus that every decoder refuses at the first byte would test nothing.
 */
#include "tests/bytes/fuzz_bytes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool fuzz_status(jitc_status status, const jc_error *err) {
    if (status == JITC_OK)
        return true;
    if (status != err->status || !err->message[0] || (status != JITC_E_INPUT && status != JITC_E_UNSUPPORTED))
        fuzz_never("a failure that bytes cannot cause, or without a message", err);
    return false;
}

void fuzz_never(const char *what, const jc_error *err) {
    fprintf(stderr, "%s: %s: status %d: %s\n", fuzz_name, what, (int)err->status, err->message);
    abort();
}

uint8_t *fuzz_seal(jc_arena *arena, const uint8_t *data, size_t n, size_t length_at) {
    uint8_t *out = jc_arena_memdup(arena, data, n);
    if (n < length_at + 8 + JC_HASH_SIZE)
        return out;
    for (unsigned i = 0; i < 8; i++)
        out[length_at + i] = (uint8_t)((uint64_t)n >> (8 * i));
    jc_hash hash = jc_hash_of(out, n - JC_HASH_SIZE);
    memcpy(out + n - JC_HASH_SIZE, hash.b, JC_HASH_SIZE);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_one(data, size);
    return 0;
}

#ifndef JC_LIBFUZZER

enum { ROOM = 64, MOST_FILES = 256 };

typedef struct sample {
    char name[256];
    uint8_t *at;
    size_t n;
} sample;

static sample samples[MOST_FILES];
static unsigned nsamples;

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Numbers at which decoders go wrong, as LEB128 and as they lie in fields of 8 bytes. */
static size_t interesting(uint8_t out[10], uint64_t *state) {
    static const uint64_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0xffff, INT32_MAX, UINT32_MAX, 1ull << 32, INT64_MAX,
                                        1ull << 63, UINT64_MAX, UINT64_MAX - 1 };
    uint64_t x = numbers[random_next(state) % (sizeof numbers / sizeof *numbers)];
    size_t n = 0;
    if (random_next(state) % 2) {
        for (; n < 8; n++)
            out[n] = (uint8_t)(x >> (8 * n));
        return n;
    }
    do {
        out[n++] = (uint8_t)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
        x >>= 7;
    } while (x);
    return n;
}

/* Writes a byte, flips a bit, drops a range, doubles one, writes a number, or brings a range of another sample. */
static size_t change(uint8_t *at, size_t n, size_t room, uint64_t *state) {
    const size_t k = n ? random_next(state) % n : 0;
    size_t length = random_next(state) % 16;
    uint8_t number[10];
    const sample *other;
    switch (n ? random_next(state) % 7 : 4) {
    case 0:
        at[k] = (uint8_t)random_next(state);
        return n;
    case 1:
        at[k] ^= (uint8_t)(1u << random_next(state) % 8);
        return n;
    case 2:
        if (k + length > n)
            return n;
        memmove(at + k, at + k + length, n - k - length);
        return n - length;
    case 3:
        if (k + length > n || n + length > room)
            return n;
        memmove(at + k + length, at + k, n - k);
        return n + length;
    case 4:
        length = interesting(number, state);
        if (k + length <= n) {
            memcpy(at + k, number, length);
        } else if (n + length <= room) {
            memmove(at + k + length, at + k, n - k);
            memcpy(at + k, number, length);
            return n + length;
        }
        return n;
    case 5:
        at[k] = (uint8_t)(at[k] + (random_next(state) % 2 ? 1 : -1));
        return n;
    default:
        other = &samples[random_next(state) % nsamples];
        if (k + length <= n && length <= other->n)
            memcpy(at + k, other->at + random_next(state) % (other->n - length + 1), length);
        return n;
    }
}

static void read_sample(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || nsamples == MOST_FILES) {
        fprintf(stderr, "%s: cannot be opened, or is one too many\n", path);
        exit(EXIT_FAILURE);
    }
    sample *s = &samples[nsamples++];
    const char *slash = strrchr(path, '/');
    snprintf(s->name, sizeof s->name, "%s", slash ? slash + 1 : path);
    fseek(f, 0, SEEK_END);
    s->n = (size_t)ftell(f);
    rewind(f);
    s->at = malloc(s->n + 1);
    if (!s->at || fread(s->at, 1, s->n, f) != s->n)
        abort();
    fclose(f);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const sample *)a)->name, ((const sample *)b)->name);
}

static void read_samples(const char *path) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        read_sample(path);
        return;
    }
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char sub[4096];
        snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            read_sample(sub);
    }
    if (d)
        closedir(d);
    qsort(samples, nsamples, sizeof *samples, by_name); /* the order of a folder is nobody's */
}

/* The same changes every time: what fails here fails everywhere. */
static void replay_changed(const sample *s, unsigned changes, uint64_t seed) {
    uint64_t state = seed + s->n;
    uint8_t *copy = malloc(s->n + ROOM);
    for (unsigned i = 0; copy && i < changes; i++) {
        size_t n = s->n;
        memcpy(copy, s->at, n);
        for (uint64_t k = 1 + random_next(&state) % 4; k; k--)
            n = change(copy, n, s->n + ROOM, &state);
        uint8_t *exact = malloc(n + !n); /* of its own size, so that a sanitizer sees a read behind it */
        memcpy(exact, copy, n);
        fuzz_one(exact, n);
        free(exact);
    }
    free(copy);
}

int main(int argc, char **argv) {
    unsigned changes = 20000, refused = 0;
    uint64_t seed = 0;
    char corpus[1024];
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2)
        if (argv[first][1] == 'n')
            changes = (unsigned)strtoul(argv[first + 1], NULL, 10);
        else
            seed = strtoull(argv[first + 1], NULL, 10);
    snprintf(corpus, sizeof corpus, "%s/tests/data/fuzz/%s", TEST_SRCDIR, fuzz_name);
    if (first == argc)
        read_samples(corpus);
    for (int i = first; i < argc; i++)
        read_samples(argv[i]);
    for (unsigned i = 0; i < nsamples; i++) {
        bool taken = fuzz_one(samples[i].at, samples[i].n);
        if (strncmp(samples[i].name, "good", 4) == 0 && !taken) {
            fprintf(stderr, "%s: %s is refused: tests/bytes/make_corpus writes the corpus anew\n", fuzz_name, samples[i].name);
            refused++;
        }
        replay_changed(&samples[i], changes / nsamples, seed);
    }
    for (unsigned i = 0; i < nsamples; i++)
        free(samples[i].at);
    /* Check's line, which tests/summary.sh reads: a file is a test, and a crash leaves the line out. */
    unsigned failed = refused + !nsamples;
    printf("%d%%: Checks: %u, Failures: %u, Errors: 0\n", failed ? 0 : 100, nsamples ? nsamples : 1, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
