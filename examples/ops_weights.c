/*
 * examples/ops_weights.c - weights made from a layer's name: a 64-bit FNV-1a hash of "LAYER/TAG" seeds splitmix64, whose
 * upper 24 bits give a value in [-1, 1), times a power of two for the fan-in.  All exact in float.
 *
 * An operator's weights depend on nothing else, so they are made once and kept in a table that all threads share.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "ops_tiny.h"

typedef struct entry {
    struct entry *next;
    uint64_t hash;
    int64_t count, fan_in;
    char *key; /* LAYER "/" TAG */
    float values[];
} entry;

static struct {
    pthread_mutex_t lock;
    entry *buckets[256];
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

__attribute__((destructor)) static void drop_table(void) {
    for (size_t b = 0; b < sizeof table.buckets / sizeof *table.buckets; b++) {
        while (table.buckets[b]) {
            entry *next = table.buckets[b]->next;
            free(table.buckets[b]->key);
            free(table.buckets[b]);
            table.buckets[b] = next;
        }
    }
}

static uint64_t fnv1a(uint64_t h, const char *text) {
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return h;
}

uint64_t tiny_fnv1a(const char *layer, const char *tag) {
    return fnv1a(fnv1a(fnv1a(UINT64_C(0xcbf29ce484222325), layer), "/"), tag);
}

/* 2^-floor(log2(fan_in) / 2) */
static float scale_of(int64_t fan_in) {
    float scale = 1;
    for (; fan_in >= 4; fan_in /= 4)
        scale /= 2;
    return scale;
}

static void fill(float *out, int64_t count, uint64_t seed, float scale) {
    for (int64_t n = 0; n < count; n++) {
        uint64_t z = seed + (uint64_t)(n + 1) * UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        z = z ^ (z >> 31);
        out[n] = (float)((int64_t)(z >> 40) - (1 << 23)) / (1 << 23) * scale;
    }
}

static entry *make(const char *layer, const char *tag, uint64_t hash, int64_t count, int64_t fan_in) {
    if (count < 0 || count > INT64_MAX / 16)
        return NULL;
    entry *e = malloc(sizeof *e + (size_t)count * sizeof(float));
    char *key = malloc(strlen(layer) + strlen(tag) + 2);
    if (!e || !key) {
        free(e);
        free(key);
        return NULL;
    }
    stpcpy(stpcpy(stpcpy(key, layer), "/"), tag);
    *e = (entry){ .hash = hash, .count = count, .fan_in = fan_in, .key = key };
    fill(e->values, count, hash, scale_of(fan_in));
    return e;
}

static bool is(const entry *e, const char *layer, const char *tag, int64_t count, int64_t fan_in) {
    size_t length = strlen(layer);
    return e->count == count && e->fan_in == fan_in && !strncmp(e->key, layer, length) && e->key[length] == '/' &&
           !strcmp(e->key + length + 1, tag);
}

const float *tiny_weight(tiny_scratch *s, const jitc_layer_name *layer, const char *tag, int64_t count, int64_t fan_in) {
    const char *text = layer ? tiny_layer_text(layer) : NULL;
    if (!tiny_expect(s, text != NULL, "The operator has weights of its layer's own and was given no layer name."))
        return NULL;
    uint64_t hash = tiny_fnv1a(text, tag);
    pthread_mutex_lock(&table.lock);
    entry **bucket = &table.buckets[hash % (sizeof table.buckets / sizeof *table.buckets)], *e = *bucket;
    while (e && !(e->hash == hash && is(e, text, tag, count, fan_in)))
        e = e->next;
    if (!e && (e = make(text, tag, hash, count, fan_in))) {
        e->next = *bucket;
        *bucket = e;
    }
    pthread_mutex_unlock(&table.lock);
    return tiny_expect(s, e != NULL, "There is not enough memory for the layer's weights.") ? e->values : NULL;
}
