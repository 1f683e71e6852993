/*
 * runtime/names.c - layer names: a string becomes an object with the host's pointer, once.
 *
 * The table has an arena of its own, because interning may happen on any thread while the owner's arena is in
 * use; the mutex guards both.  Handles never move and never go before the table does, so reading one takes no lock.
 */
#include "runtime/ops_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct jitc_layer_name {
    const char *text;
    _Atomic(void *) user;
};

struct jc_names {
    pthread_mutex_t lock;
    jc_arena *arena;
    jc_map *map;
};

static void names_free(void *handle) {
    jc_names *names = handle;
    pthread_mutex_destroy(&names->lock);
    jc_arena_free(names->arena);
}

jc_names *jc_names_new(jc_arena *arena) {
    jc_names *names = JC_NEW(arena, jc_names);
    jc_arena *own = jc_arena_new(jc_arena_allocator(arena));
    if (!own)
        return NULL;
    jc_guard guard;
    if (JC_GUARD(own, &guard)) {
        jc_guard_end(own, &guard);
        jc_arena_free(own);
        return NULL;
    }
    names->map = jc_map_new(own);
    jc_guard_end(own, &guard);
    names->arena = own;
    pthread_mutex_init(&names->lock, NULL);
    jc_arena_defer(arena, names_free, names);
    return names;
}

static jitc_layer_name *find_or_add(jc_names *names, const char *text, size_t length) {
    jitc_layer_name *name = jc_map_get(names->map, text, length);
    if (name)
        return name;
    name = JC_NEW(names->arena, jitc_layer_name);
    name->text = jc_arena_strndup(names->arena, text, length);
    jc_map_set(names->map, name->text, length, name);
    return name;
}

const jitc_layer_name *jc_name_intern(jc_names *names, const char *text, void *user) {
    jitc_layer_name *volatile name = NULL;
    pthread_mutex_lock(&names->lock);
    jc_guard guard;
    if (!JC_GUARD(names->arena, &guard)) {
        name = find_or_add(names, text, strlen(text));
        if (user)
            atomic_store_explicit(&name->user, user, memory_order_release);
    }
    jc_guard_end(names->arena, &guard);
    pthread_mutex_unlock(&names->lock);
    return name;
}

const char *jc_name_text(const jitc_layer_name *name) {
    return name->text;
}

void *jc_name_user(const jitc_layer_name *name) {
    return atomic_load_explicit(&((jitc_layer_name *)name)->user, memory_order_acquire);
}

const jitc_layer_name *jc_name_private(jc_arena *arena, const char *text) {
    jitc_layer_name *name = JC_NEW(arena, jitc_layer_name);
    name->text = jc_arena_strdup(arena, text);
    return name;
}
