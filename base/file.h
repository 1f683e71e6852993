/*
 * base/file.h - what POSIX leaves to do by hand: reading a file whole, and putting one in place.
 */
#ifndef JC_FILE_H
#define JC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

typedef struct jc_span {
    const uint8_t *at;
    size_t n;
} jc_span;

/* Writes all of it, whatever short writes and signals come between; false with errno set when that fails. */
bool jc_write_all(int fd, const void *data, size_t n);

/* N bytes from AT on, likewise; false with errno set, to ENODATA where the file ends before. */
bool jc_read_at(int fd, void *to, size_t n, off_t at);

/* How a file is published. */
typedef struct jc_publish {
    unsigned mode; /* permissions, before the umask */
    bool durable;  /* survives a power cut once this has returned: the file and its folder are synchronised (about 1 ms) */
} jc_publish;

/*
 * Puts PARTS, one after the other, in place as the file PATH: written to a new file "tmp.*" in the same folder, which is then
 * renamed.  So PATH is the old file or all of the new one at any time, for every reader and after every crash; a
 * killed writer leaves a "tmp.*" at most.  Only a regular file is replaced (of a symbolic link, the link).  False with errno
 * set, and nothing left behind, when that fails. Safe from any thread and process for the same PATH: the last one wins.
 */
bool jc_file_publish(const char *path, const jc_span *parts, size_t nparts, jc_publish how);
/* The same for the file NAME in the folder that descriptor FOLDER is open for, whatever lies at its path by now. */
bool jc_file_publish_at(int folder, const char *name, const jc_span *parts, size_t nparts, jc_publish how);

/*
 * The bytes of a regular file of at most MAX, in ARENA: one read, so that what is checked afterwards is what is used.  False
 * with errno set: ENOMEM when ARENA has no room (it does not jump, so that the file is closed), EFBIG for a larger file, EINVAL for
 * what is no regular file.  One that shrinks meanwhile gives what there was. FD stays open.
 */
bool jc_file_read(int fd, size_t max, jc_arena *arena, jc_span *out);

#endif
