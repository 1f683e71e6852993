/*
 * base/arena.c - bump allocation from a chain of blocks, with a guard for the moment when memory runs out.
 *
 * Blocks grow from 8 KiB by doubling up to 1 MiB, so what is taken stays within twice what is used; a request that
 * is large beside the block size gets a block of its own and leaves the current block in use.  Under
 * AddressSanitizer the unused rest of a block is poisoned and 16 bytes are left between allocations, so that an
 * overrun is seen although malloc never was asked.
 */
#include "base/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define REDZONE 16
#define POISON(at, size) __asan_poison_memory_region((at), (size))
#define UNPOISON(at, size) __asan_unpoison_memory_region((at), (size))
#else
#define REDZONE 0
#define POISON(at, size) ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#endif

#define ALIGN 16u
#ifndef JC_ARENA_FIRST_BLOCK
#define JC_ARENA_FIRST_BLOCK (8 << 10) /* 1: each allocation asks the allocator, so that each can be made to fail (check_faults) */
#endif
#define FIRST_BLOCK ((size_t)JC_ARENA_FIRST_BLOCK)
#define LAST_BLOCK ((size_t)1 << 20)
/* Nothing larger is ever asked for in earnest, and below it no sum here overflows. */
#define TOO_MUCH (SIZE_MAX / 4)

typedef struct block {
    _Alignas(ALIGN) struct block *next;
    size_t size; /* with this head */
} block;

typedef struct deferred {
    struct deferred *next;
    void (*free)(void *handle);
    void *handle;
} deferred;

struct jc_arena {
    jc_alloc alloc;
    block *blocks;
    uint8_t *at;      /* the next free byte of the current block, ... */
    size_t left;      /* ... and how many there are */
    size_t next_size; /* of the next block */
    size_t used;
    deferred *deferred;
    jc_guard *guard;
};

static void *libc_alloc(void *user, size_t size) {
    (void)user;
    return malloc(size);
}

static void libc_free(void *user, void *at, size_t size) {
    (void)user;
    (void)size;
    free(at);
}

const jc_alloc jc_alloc_libc = { libc_alloc, libc_free, NULL };

jc_arena *jc_arena_new(const jc_alloc *alloc) {
    if (!alloc)
        alloc = &jc_alloc_libc;
    jc_arena *arena = alloc->alloc(alloc->user, sizeof *arena);
    if (!arena)
        return NULL;
    *arena = (jc_arena){ .alloc = *alloc, .next_size = FIRST_BLOCK, .used = sizeof *arena };
    return arena;
}

void jc_arena_free(jc_arena *arena) {
    if (!arena)
        return;
    /* A deferred function may still look at what lies in the arena, so all of them run before any block goes. */
    for (deferred *d = arena->deferred; d; d = d->next)
        d->free(d->handle);
    const jc_alloc alloc = arena->alloc;
    for (block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        UNPOISON(b, b->size);
        alloc.free(alloc.user, b, b->size);
    }
    alloc.free(alloc.user, arena, sizeof *arena);
}

static uint8_t *block_new(jc_arena *arena, size_t size) {
    block *b = arena->alloc.alloc(arena->alloc.user, size);
    if (!b)
        return NULL;
    b->next = arena->blocks;
    b->size = size;
    arena->blocks = b;
    arena->used += size;
    POISON(b + 1, size - sizeof *b);
    return (uint8_t *)(b + 1);
}

/* NULL when there is none. */
static void *take(jc_arena *arena, size_t size) {
    if (size > TOO_MUCH)
        return NULL;
    size_t room = (size + ALIGN - 1) / ALIGN * ALIGN;
    room = (room ? room : ALIGN) + REDZONE;
    uint8_t *at;
    if (room <= arena->left) {
        at = arena->at;
        arena->at += room;
        arena->left -= room;
    } else if (room > arena->next_size / 4) {
        at = block_new(arena, sizeof(block) + room);
        if (!at)
            return NULL;
    } else {
        at = block_new(arena, arena->next_size);
        if (!at)
            return NULL;
        arena->at = at + room;
        arena->left = arena->next_size - sizeof(block) - room;
        if (arena->next_size < LAST_BLOCK)
            arena->next_size *= 2;
    }
    UNPOISON(at, size);
    memset(at, 0, size);
    return at;
}

_Noreturn static void out_of_memory(jc_arena *arena) {
    jc_guard *guard = arena->guard;
    if (!guard)
        abort(); /* an entry point without a guard: our own mistake, not the user's */
    arena->guard = guard->outer;
    longjmp(guard->place, 1);
}

void jc_guard_push(jc_arena *arena, jc_guard *guard) {
    guard->outer = arena->guard;
    arena->guard = guard;
}

void jc_guard_end(jc_arena *arena, jc_guard *guard) {
    if (arena->guard == guard)
        arena->guard = guard->outer;
}

void *jc_arena_alloc(jc_arena *arena, size_t size) {
    void *at = take(arena, size);
    if (!at)
        out_of_memory(arena);
    return at;
}

void *jc_arena_array(jc_arena *arena, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        out_of_memory(arena);
    return jc_arena_alloc(arena, total);
}

void *jc_arena_memdup(jc_arena *arena, const void *data, size_t size) {
    void *at = jc_arena_alloc(arena, size);
    if (size)
        memcpy(at, data, size);
    return at;
}

char *jc_arena_strndup(jc_arena *arena, const char *text, size_t length) {
    size_t end = length ? strnlen(text, length) : 0;
    char *at = jc_arena_alloc(arena, end + 1);
    if (end)
        memcpy(at, text, end);
    return at;
}

char *jc_arena_strdup(jc_arena *arena, const char *text) {
    return jc_arena_memdup(arena, text, strlen(text) + 1);
}

char *jc_arena_vprintf(jc_arena *arena, const char *format, va_list args) {
    char small[256];
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    char *at = length < 0 ? NULL : take(arena, (size_t)length + 1);
    if (at && (size_t)length < sizeof small)
        memcpy(at, small, (size_t)length + 1);
    else if (at)
        vsnprintf(at, (size_t)length + 1, format, again);
    va_end(again);
    if (!at) /* vsnprintf, too, only fails for want of memory or past INT_MAX */
        out_of_memory(arena);
    return at;
}

char *jc_arena_printf(jc_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *at = jc_arena_vprintf(arena, format, args);
    va_end(args);
    return at;
}

void jc_arena_defer(jc_arena *arena, void (*free_handle)(void *handle), void *handle) {
    deferred *d = take(arena, sizeof *d);
    if (!d) {
        free_handle(handle); /* nobody else will */
        out_of_memory(arena);
    }
    *d = (deferred){ arena->deferred, free_handle, handle };
    arena->deferred = d;
}

const jc_alloc *jc_arena_allocator(const jc_arena *arena) {
    return &arena->alloc;
}

size_t jc_arena_used(const jc_arena *arena) {
    return arena->used;
}
