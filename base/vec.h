/*
 * base/vec.h - growable arrays and maps, all living in an arena.
 */
#ifndef JC_VEC_H
#define JC_VEC_H

#include <stdbool.h>
#include "base/arena.h"

/* JC_VEC(int) v = {0};  jc_push(arena, &v, 7);  v.at[0], v.n */
#define JC_VEC(type)                                                                               \
    struct {                                                                                       \
        type *at;                                                                                  \
        size_t n, cap;                                                                             \
    }
#define jc_push(arena, v, x)                                                                       \
    do {                                                                                           \
        (v)->at = jc_vec_room((arena), (v)->at, (v)->n, &(v)->cap, sizeof *(v)->at);               \
        (v)->at[(v)->n++] = (x);                                                                   \
    } while (0)
/* Makes room for one more element; returns the (moved) array. */
void *jc_vec_room(jc_arena *arena, void *at, size_t n, size_t *cap, size_t size);

/* Byte strings to pointers.  Keys are not copied: they must outlive the map. */
typedef struct jc_map jc_map;
jc_map *jc_map_new(jc_arena *arena);
void *jc_map_get(const jc_map *map, const void *key, size_t length); /* NULL when absent */
void jc_map_set(jc_map *map, const void *key, size_t length, void *value);
size_t jc_map_count(const jc_map *map);
/* In order of insertion: false when INDEX is past the end. */
bool jc_map_at(const jc_map *map, size_t index, const void **key, size_t *length, void **value);

uint64_t jc_hash64(const void *data, size_t length); /* for tables; not for keys that leave the process */

#endif
