/*
 * base/arena.h - memory with one lifetime.
 *
 * Everything that belongs to a context, a graph or one compilation is allocated from its arena and goes when the
 * arena goes.  Allocation never returns NULL: when memory runs out the arena jumps to the guard that the nearest
 * public entry point has set, and that entry point returns JITC_E_NOMEM.  Whatever else must be given back (file
 * descriptors, LLVM or CUDA handles) is registered with jc_arena_defer() and is given back when the arena is freed.
 * One thread at a time.
 */
#ifndef JC_ARENA_H
#define JC_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* Where arenas get their memory: the user's allocator, or the C library's. Also the hook for fault tests. */
typedef struct jc_alloc {
    void *(*alloc)(void *user, size_t size);            /* NULL when there is none */
    void (*free)(void *user, void *block, size_t size);
    void *user;
} jc_alloc;

extern const jc_alloc jc_alloc_libc;

typedef struct jc_arena jc_arena;

/* ALLOC NULL means the C library's.  NULL when memory is out. */
jc_arena *jc_arena_new(const jc_alloc *alloc);
void jc_arena_free(jc_arena *arena); /* runs the deferred functions in reverse order; NULL is allowed */

/* Zeroed, aligned to 16.  SIZE 0 gives a distinct valid pointer.  Never NULL: see above. */
void *jc_arena_alloc(jc_arena *arena, size_t size);
/* COUNT elements of SIZE; an overflowing product counts as out of memory. */
void *jc_arena_array(jc_arena *arena, size_t count, size_t size);
void *jc_arena_memdup(jc_arena *arena, const void *data, size_t size);
char *jc_arena_strndup(jc_arena *arena, const char *text, size_t length);
char *jc_arena_strdup(jc_arena *arena, const char *text);
char *jc_arena_printf(jc_arena *arena, const char *format, ...) JC_PRINTF(2, 3);
char *jc_arena_vprintf(jc_arena *arena, const char *format, va_list args);
/* FREE(HANDLE) when the arena is freed. */
void jc_arena_defer(jc_arena *arena, void (*free)(void *handle), void *handle);
const jc_alloc *jc_arena_allocator(const jc_arena *arena); /* what it was made with */
size_t jc_arena_used(const jc_arena *arena); /* bytes taken from the allocator */

#define JC_NEW(arena, type) ((type *)jc_arena_alloc((arena), sizeof(type)))
#define JC_NEWN(arena, type, n) ((type *)jc_arena_array((arena), (n), sizeof(type)))

/*
 * The guard of a public entry point.  Use:
 *     jc_guard guard;
 *     if (JC_GUARD(arena, &guard)) { status = JITC_E_NOMEM; goto out; }
 *     ...
 *   out:
 *     jc_guard_end(arena, &guard);
 * Guards nest; variables changed after JC_GUARD and read at `out` must be volatile.
 */
typedef struct jc_guard {
    jmp_buf place;
    struct jc_guard *outer;
} jc_guard;
void jc_guard_push(jc_arena *arena, jc_guard *guard);
void jc_guard_end(jc_arena *arena, jc_guard *guard); /* harmless after a jump */
#define JC_GUARD(arena, guard) (jc_guard_push((arena), (guard)), setjmp((guard)->place))

#endif
