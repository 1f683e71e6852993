/*
 * base/library.h - finding and opening libraries: the only place that calls dlopen().
 *
 * What is opened runs in this process, so a library comes from where it was installed, or from where somebody with a say in this
 * process names it.  Nothing is looked for in the current directory, beside a program, or in folders around it; lists of
 * folders count only as far as they are absolute.  A process with more rights than its caller (set-uid, capabilities) takes no
 * names from the environment.
 */
#ifndef JC_LIBRARY_H
#define JC_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* The environment variable NAME; NULL where it is unset, empty, or not to be trusted (see above). */
const char *jc_library_env(const char *name);

/* The regular file that PATH leads to, all links followed, when it can be read; else NULL. */
char *jc_library_file(jc_arena *arena, const char *path);
/* FILE in each folder of a list separated by colons; folders that are not absolute are passed over. LIST may be NULL. */
char *jc_library_in_list(jc_arena *arena, const char *list, const char *file);

/*
 * A module that was installed with us, by where this code itself lies, a program or a shared library: in the build tree
 * JC_BUILD_DIR/.libs/FILE; else jitc/FILE below a library's folder, ../lib/jitc/FILE from a program's, where that belongs to root, to this
 * user or to the owner of what holds this code, as does its folder; else INSTALLED/FILE.  INTO gets the path of the one that is there,
 * or, and the answer is false, of the last that is not.
 */
bool jc_library_module(const char *file, const char *installed, char *into, size_t size);

/* NULL, and WHY says it; what is opened stays open until it is closed. */
void *jc_library_open(const char *path, char *why, size_t size);
void jc_library_close(void *handle); /* NULL is allowed */
/* NULL where there is no such symbol. */
void *jc_library_symbol(void *handle, const char *name);
/* Fills the table at API, one pointer for each of N NAMES, in their order; the first that is missing, or NULL. */
const char *jc_library_symbols(void *handle, const char *const *names, size_t n, void *api);

#endif
