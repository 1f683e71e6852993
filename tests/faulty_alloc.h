/*
 * tests/faulty_alloc.h - an allocator that fails after so many allocations, and counts what is alive.
 */
#ifndef JC_FAULTY_ALLOC_H
#define JC_FAULTY_ALLOC_H

#include <stdlib.h>

typedef struct faults {
    long left;  /* allocations until one fails; negative: none does */
    long alive; /* blocks */
} faults;

static void *faulty_alloc(void *user, size_t size) {
    faults *f = user;
    if (f->left == 0)
        return NULL;
    f->left -= f->left > 0;
    void *block = malloc(size);
    f->alive += block != NULL;
    return block;
}

static void faulty_free(void *user, void *block, size_t size) {
    (void)size;
    ((faults *)user)->alive -= block != NULL;
    free(block);
}

#endif
