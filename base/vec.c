/*
 * base/vec.c - growing arrays, and a map from byte strings to pointers.
 *
 * The map keeps its entries in an array in order of insertion; a table of entry numbers, open addressing with linear
 * steps and at most two thirds full, finds them.  Nothing is ever removed.
 */
#include "base/vec.h"

#include <string.h>

void *jc_vec_room(jc_arena *arena, void *at, size_t n, size_t *cap, size_t size) {
    if (n < *cap)
        return at;
    size_t more = *cap ? *cap * 2 : 8; /* doubling a count of existing things: no overflow */
    void *moved = jc_arena_array(arena, more, size);
    if (n)
        memcpy(moved, at, n * size);
    *cap = more;
    return moved;
}

/* Eight bytes at a time through a multiply and a fold; good enough to spread names and structures over a table. */
uint64_t jc_hash64(const void *data, size_t length) {
    const uint64_t odd = 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
    const uint8_t *at = data;
    uint64_t h = (length + 1) * odd;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = (h ^ word) * odd;
        h ^= h >> 29;
    }
    uint64_t word = 0;
    if (length)
        memcpy(&word, at, length);
    h = (h ^ word) * odd;
    h ^= h >> 32;
    h *= odd;
    return h ^ h >> 29;
}

typedef struct entry {
    const void *key;
    size_t length;
    uint64_t hash;
    void *value;
} entry;

struct jc_map {
    jc_arena *arena;
    JC_VEC(entry) entries;
    uint32_t *slots; /* 1 + the entry's number, 0: empty */
    size_t mask;     /* slots - 1; the number of slots is a power of two */
};

#define FIRST_SLOTS 16u

jc_map *jc_map_new(jc_arena *arena) {
    jc_map *map = JC_NEW(arena, jc_map);
    map->arena = arena;
    map->slots = JC_NEWN(arena, uint32_t, FIRST_SLOTS);
    map->mask = FIRST_SLOTS - 1;
    return map;
}

/* The slot that holds the key, or the empty one where it belongs. */
static size_t find(const jc_map *map, const void *key, size_t length, uint64_t hash) {
    size_t slot = hash & map->mask;
    for (; map->slots[slot]; slot = (slot + 1) & map->mask) {
        const entry *e = &map->entries.at[map->slots[slot] - 1];
        if (e->hash == hash && e->length == length && (length == 0 || memcmp(e->key, key, length) == 0))
            break;
    }
    return slot;
}

static void grow(jc_map *map) {
    size_t count = (map->mask + 1) * 2;
    uint32_t *slots = JC_NEWN(map->arena, uint32_t, count);
    for (size_t i = 0; i < map->entries.n; i++) {
        size_t slot = map->entries.at[i].hash & (count - 1);
        while (slots[slot])
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)(i + 1);
    }
    map->slots = slots;
    map->mask = count - 1;
}

void *jc_map_get(const jc_map *map, const void *key, size_t length) {
    size_t slot = find(map, key, length, jc_hash64(key, length));
    return map->slots[slot] ? map->entries.at[map->slots[slot] - 1].value : NULL;
}

void jc_map_set(jc_map *map, const void *key, size_t length, void *value) {
    uint64_t hash = jc_hash64(key, length);
    size_t slot = find(map, key, length, hash);
    if (map->slots[slot]) {
        map->entries.at[map->slots[slot] - 1].value = value;
        return;
    }
    if ((map->entries.n + 1) * 3 > (map->mask + 1) * 2) {
        grow(map);
        slot = find(map, key, length, hash);
    }
    entry e = { key, length, hash, value };
    jc_push(map->arena, &map->entries, e);
    map->slots[slot] = (uint32_t)map->entries.n;
}

size_t jc_map_count(const jc_map *map) {
    return map->entries.n;
}

bool jc_map_at(const jc_map *map, size_t index, const void **key, size_t *length, void **value) {
    if (index >= map->entries.n)
        return false;
    const entry *e = &map->entries.at[index];
    if (key)
        *key = e->key;
    if (length)
        *length = e->length;
    if (value)
        *value = e->value;
    return true;
}
