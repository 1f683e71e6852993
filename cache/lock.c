/*
 * cache/lock.c - see cache/lock.h.
 *
 * The kernel does not say who has a lock of this kind, so a holder writes it into the lock file: a line of RECORD bytes, "KEY PID HOST PROGRAM",
 * at the place that the key's first byte names.  Two keys may share a place; a line for another key is none.
 */
#define _GNU_SOURCE /* F_OFD_SETLK, program_invocation_short_name */
#include "cache/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"

#define RECORD 128
#define KEY_DIGITS 16

/* --- forks --- */

static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static jc_lock *open_locks; /* under `forking` */

static void before_fork(void) {
    pthread_mutex_lock(&forking);
}

static void in_parent(void) {
    pthread_mutex_unlock(&forking);
}

/* The threads that build are not in the child. */
static void in_child(void) {
    for (jc_lock *l = open_locks; l; l = l->next) {
        close(l->fd);
        l->fd = -1;
    }
    open_locks = NULL;
    pthread_mutex_unlock(&forking);
}

static void watch_forks(void) {
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

/* Between here and unguard() there are no forks. */
static void guard(void) {
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&forking);
}

static void unguard(void) {
    pthread_mutex_unlock(&forking);
}

/* --- the lock --- */

/* Of the two bytes: two keys that share them cost a wait at most. */
static int64_t offset_of(const jc_hash *key) {
    uint64_t at = 0;
    for (int i = 0; i < 8; i++)
        at = at << 8 | key->b[i];
    return (int64_t)(at >> 3 << 1);
}

bool jc_lock_open(const jc_disk *d, const jc_hash *key, bool claim, jc_lock *l) {
    *l = (jc_lock){ .fd = -1, .offset = offset_of(key), .claim = claim, .key = *key };
    int root = jc_disk_open_root(d, true);
    if (root < 0)
        return false;
    guard();
    l->fd = jc_disk_open_file(d, root, "lock", O_RDWR | O_CREAT);
    if (l->fd >= 0) {
        l->next = open_locks;
        open_locks = l;
    }
    unguard();
    close(root);
    return l->fd >= 0;
}

static bool call(const jc_lock *l, int command, int64_t offset, int64_t n, struct flock *f) {
    *f = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = n };
    int r;
    do
        r = fcntl(l->fd, command, f);
    while (r != 0 && errno == EINTR);
    return r == 0;
}

jc_lock_state jc_lock_ask(const jc_lock *l) {
    struct flock f;
    return l->fd < 0 || !call(l, F_OFD_GETLK, l->offset, l->claim ? 2 : 1, &f) ? JC_LOCK_NONE : f.l_type == F_UNLCK ? JC_LOCK_FREE : JC_LOCK_OTHERS;
}

/* --- who has it --- */

static off_t record_of(const jc_lock *l) {
    return (off_t)l->key.b[0] * RECORD;
}

static void sign(const jc_lock *l) {
    char line[RECORD], hex[2 * JC_HASH_SIZE + 1];
    struct utsname host;
    jc_hash_hex(&l->key, hex);
    memset(line, 0, sizeof line);
    snprintf(line, sizeof line, "%.*s %ld %.40s %.40s", KEY_DIGITS, hex, (long)getpid(), uname(&host) == 0 ? host.nodename : "?",
             program_invocation_short_name);
    line[RECORD - 1] = '\n';
    (void)!pwrite(l->fd, line, sizeof line, record_of(l)); /* a word for others, who do without */
}

/* What others wrote there goes into logs: letters, digits and such alone. */
static void plain(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            *text = '?';
}

void jc_lock_who(const jc_lock *l, char who[JC_LOCK_WHO_SIZE]) {
    char line[RECORD], hex[2 * JC_HASH_SIZE + 1], host[41] = "", program[41] = "";
    long pid = 0;
    jc_hash_hex(&l->key, hex);
    snprintf(who, JC_LOCK_WHO_SIZE, "another process");
    if (l->fd < 0 || !jc_read_at(l->fd, line, sizeof line, record_of(l)) || memcmp(line, hex, KEY_DIGITS) != 0)
        return;
    line[RECORD - 1] = 0;
    if (sscanf(line + KEY_DIGITS, " %ld %40s %40[^\n]", &pid, host, program) != 3)
        return;
    plain(host);
    plain(program);
    snprintf(who, JC_LOCK_WHO_SIZE, "process %ld (%s) on %s", pid, program, host);
}

jc_lock_state jc_lock_take(jc_lock *l) {
    struct flock f;
    if (l->fd < 0)
        return JC_LOCK_NONE;
    if (call(l, F_OFD_SETLK, l->offset + l->claim, 1, &f)) {
        sign(l);
        return JC_LOCK_FREE;
    }
    return errno == EAGAIN || errno == EACCES ? JC_LOCK_OTHERS : JC_LOCK_NONE;
}

void jc_lock_close(jc_lock *l) {
    if (l->fd < 0)
        return;
    guard();
    jc_lock **p = &open_locks;
    while (*p && *p != l)
        p = &(*p)->next;
    if (*p)
        *p = l->next;
    close(l->fd); /* and with it the lock: no other descriptor shares it */
    l->fd = -1;
    unguard();
}
