/*
 * tests/scratch.h - the folders that tests and benches make for themselves, and take away again.
 *
 * Who includes it defines _GNU_SOURCE first, for nftw().
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <ftw.h>
#include <stdio.h>

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* PATH with all that is in it; nothing where there is none.  Links are not followed. */
static inline void scratch_remove(const char *path) {
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
