/*
 * cache/lock.h - one build per machine: an advisory lock per key, that saves work and is needed for nothing.
 *
 * Who builds an entry holds a byte of the file DIR/lock, at an offset that follows from the key, and the byte behind it who is about to, which
 * may take a while and further entries (a claim).  Each is a lock of its own open file description
 * (F_OFD_SETLK): it goes when the holder dies, another thread of the same process is somebody else, and closing another
 * descriptor of the file does not drop it.  The file is never removed: a lock on a file that has another name, or none, keeps nobody away.
 * Nothing here waits; who waits asks again (cache/turn.c).
 *
 * Where there are no such locks (an old kernel, a network file system without them, a directory that cannot be written to) the answer is
 * JC_LOCK_NONE, and building without one is as right as with it.
 */
#ifndef JC_LOCK_H
#define JC_LOCK_H

#include "cache/disk.h"

typedef enum jc_lock_state {
    JC_LOCK_FREE,   /* nobody has it; after taking: it is ours */
    JC_LOCK_OTHERS, /* somebody else has it */
    JC_LOCK_NONE,   /* it cannot be had nor asked for */
} jc_lock_state;

typedef struct jc_lock {
    struct jc_lock *next; /* those that are open in this process: a forked child closes them, or it would hold them too */
    int fd;               /* -1: closed */
    int64_t offset;
    bool claim;           /* the second byte */
    jc_hash key;
} jc_lock;
#define JC_LOCK_INIT { .fd = -1 }

/* To ask for and to take the lock of KEY, or the claim to it, until it is closed. L may not move meanwhile. False where there are none. */
bool jc_lock_open(const jc_disk *d, const jc_hash *key, bool claim, jc_lock *l);
/* A claim is with others as well when they have the lock. */
jc_lock_state jc_lock_ask(const jc_lock *l);
jc_lock_state jc_lock_take(jc_lock *l);
/* Gives it back, if it was ours.  Nothing for one that is closed. */
void jc_lock_close(jc_lock *l);

enum { JC_LOCK_WHO_SIZE = 128 };
/* "process 4711 (python3) on node7", who has most likely the lock that others have; "another process" where that is not known. */
void jc_lock_who(const jc_lock *l, char who[JC_LOCK_WHO_SIZE]);

#endif
