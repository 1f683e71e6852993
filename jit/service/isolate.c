/*
 * jit/service/isolate.c - the caller's side of a worker (jit/service/isolate.h).
 *
 * Between start and end of a worker nothing is taken from an arena, for that might jump: what it says is kept in memory of malloc().
 */
#define _GNU_SOURCE /* pipe2, F_DUPFD_CLOEXEC */
#include "jit/service/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/debug.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/library.h"

#define PROGRAM "jitc-worker"
#define MAX_ANSWER (1u << 31)
enum { TICK_MS = 100, SAID = 2048 };

extern char **environ;

typedef enum end { REQUEST, ANSWER, WORDS, NENDS } end; /* the worker's standard input, output, error */

typedef struct worker {
    pid_t pid;
    int handle;      /* of the process, whatever becomes of its number; -1: the kernel has none */
    int ends[NENDS], theirs[NENDS]; /* -1: closed */
    const uint8_t *request;
    size_t nrequest;
    uint8_t *answer; /* malloc() */
    size_t nanswer, room;
    char words[SAID]; /* the last that it said */
    size_t nwords;
    bool no_memory, late, no_status;
    jitc_status told; /* what the caller answered to going on */
    int status;      /* of waitpid() */
} worker;

/* --- starting --- */

static void shut(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void shut_all(worker *w) {
    for (int e = 0; e < NENDS; e++) {
        shut(&w->ends[e]);
        shut(&w->theirs[e]);
    }
}

/* A process without standard files would get theirs. */
static bool keep_above(int *fd) {
    if (*fd > STDERR_FILENO)
        return true;
    int other = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(*fd);
    *fd = other;
    return other >= 0;
}

/* A socket for the request: writing to it raises no signal when the worker is gone. */
static bool connect_ends(worker *w) {
    int pair[2];
    for (int e = 0; e < NENDS; e++) {
        if ((e == REQUEST ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) : pipe2(pair, O_CLOEXEC)) != 0)
            return false;
        w->ends[e] = pair[e == REQUEST ? 1 : 0];
        w->theirs[e] = pair[e == REQUEST ? 0 : 1];
        if (!keep_above(&w->ends[e]) || !keep_above(&w->theirs[e]) || fcntl(w->ends[e], F_SETFL, O_NONBLOCK) != 0)
            return false;
    }
    return true;
}

/* With the signals of a fresh process: threads of a pool block them all. */
static bool set_signals(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    return posix_spawnattr_setsigmask(attributes, &none) == 0 && posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0;
}

static int start(worker *w, const jc_isolate *how, const char *path) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char seconds[24], bytes[24], name[] = PROGRAM;
    char *argv[] = { name, seconds, bytes, NULL };
    snprintf(seconds, sizeof seconds, "%u", how->seconds);
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)how->bytes);
    int why = posix_spawn_file_actions_init(&actions);
    if (why)
        return why;
    if ((why = posix_spawnattr_init(&attributes)) == 0) {
        for (int e = 0; e < NENDS && !why; e++)
            why = posix_spawn_file_actions_adddup2(&actions, w->theirs[e], e);
        if (!why && !set_signals(&attributes))
            why = EINVAL;
        if (!why)
            why = posix_spawn(&w->pid, path, &actions, &attributes, argv, environ);
        if (!why)
            w->handle = (int)syscall(SYS_pidfd_open, w->pid, 0);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    for (int e = 0; e < NENDS; e++)
        shut(&w->theirs[e]);
    return why;
}

/* --- talking --- */

static void send_some(worker *w) {
    ssize_t n = send(w->ends[REQUEST], w->request, w->nrequest, MSG_NOSIGNAL);
    if (n > 0) {
        w->request += n;
        w->nrequest -= (size_t)n;
    }
    if (w->nrequest == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        shut(&w->ends[REQUEST]); /* all said, or nobody listens: how it ended will tell */
}

static void hear_answer(worker *w) {
    if (w->nanswer == w->room) {
        size_t room = w->room ? 2 * w->room : 65536;
        uint8_t *more = room <= MAX_ANSWER ? realloc(w->answer, room) : NULL;
        if (!more) {
            w->no_memory = true;
            return;
        }
        w->answer = more;
        w->room = room;
    }
    ssize_t n = read(w->ends[ANSWER], w->answer + w->nanswer, w->room - w->nanswer);
    if (n > 0)
        w->nanswer += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        shut(&w->ends[ANSWER]);
}

/* The end of what it says says most. */
static void hear_words(worker *w) {
    char block[SAID];
    ssize_t n = read(w->ends[WORDS], block, sizeof block - 1);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        shut(&w->ends[WORDS]);
    if (n <= 0)
        return;
    size_t keep = sizeof w->words - 1 - (size_t)n;
    if (w->nwords > keep) {
        memmove(w->words, w->words + w->nwords - keep, keep);
        w->nwords = keep;
    }
    memcpy(w->words + w->nwords, block, (size_t)n);
    w->nwords += (size_t)n;
    w->words[w->nwords] = 0;
}

static bool talks(const worker *w) {
    return w->ends[ANSWER] >= 0 || w->ends[WORDS] >= 0;
}

/* Until it closes its ends; or it is to be killed. */
static void talk(worker *w, const jc_isolate *how, jitc_status (*go_on)(void *user, jc_error *err), void *user) {
    static void (*const ready[NENDS])(worker *) = { send_some, hear_answer, hear_words };
    double until = jc_now_ms() + 1000.0 * how->seconds;
    while (talks(w) && !w->no_memory && w->told == JITC_OK && !w->late) {
        struct pollfd ends[NENDS];
        for (int e = 0; e < NENDS; e++)
            ends[e] = (struct pollfd){ .fd = w->ends[e], .events = e == REQUEST ? POLLOUT : POLLIN };
        if (poll(ends, NENDS, TICK_MS) > 0)
            for (int e = 0; e < NENDS; e++)
                if (ends[e].revents)
                    ready[e](w);
        w->told = go_on(user, NULL);
        w->late = jc_now_ms() > until;
    }
}

/* Killed in any case: one that ended by itself keeps its status, one that closed its ends and went on would be waited for for ever.  A host that
   ignores or reaps children takes the status away: then the answer alone counts. */
static void finish(worker *w) {
    if (w->handle >= 0)
        syscall(SYS_pidfd_send_signal, w->handle, SIGKILL, NULL, 0);
    else if (talks(w)) /* its number may be another's by now */
        kill(w->pid, SIGKILL);
    shut(&w->handle);
    shut_all(w);
    pid_t done;
    do
        done = waitpid(w->pid, &w->status, 0);
    while (done < 0 && errno == EINTR);
    w->no_status = done != w->pid;
}

/* --- what came of it --- */

/* Its request as a file; the path into OUT, "" where it cannot be kept. */
static void keep(const jc_isolate *how, jc_span request, char *out, size_t size) {
    char hex[2 * JC_HASH_SIZE + 1];
    jc_hash hash = jc_hash_of(request.at, request.n);
    *out = 0;
    if (!how->reports || (mkdir(how->reports, 0700) != 0 && errno != EEXIST))
        return;
    jc_hash_hex(&hash, hex);
    if (snprintf(out, size, "%s/jitc-%.16s.kernel", how->reports, hex) >= (int)size ||
        !jc_file_publish(out, &request, 1, (jc_publish){ .mode = 0600 }))
        *out = 0;
}

static void how_it_ended(const worker *w, const jc_isolate *how, char *out, size_t size) {
    if (w->late)
        snprintf(out, size, "did not end within %u s", how->seconds);
    else if (!w->no_status && WIFSIGNALED(w->status))
        snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(w->status), strsignal(WTERMSIG(w->status)));
    else
        snprintf(out, size, "ended with exit code %d and no answer", w->no_status ? -1 : WEXITSTATUS(w->status));
}

static jitc_status not_survived(const worker *w, const jc_isolate *how, const jc_isolate_request *r, jc_span request, jc_error *err) {
    char path[PATH_MAX], ended[160];
    size_t n = w->nwords;
    how_it_ended(w, how, ended, sizeof ended);
    keep(how, request, path, sizeof path);
    while (n && (w->words[n - 1] == '\n' || w->words[n - 1] == ' '))
        n--;
    return jc_fail(err, JITC_E_COMPILE, "The process that compiled kernel %s %s%s%.*s%s%s%s", r->name, ended, n ? ": " : "", (int)(n > 300 ? 300 : n),
                   w->words + (n > 300 ? n - 300 : 0), *path ? ". For a report of this fault: " : "", path,
                   *path ? ", which " PROGRAM " compiles again" : "");
}

static void drop(void *answer) {
    free(answer);
}

jitc_status jc_isolate_compile(const jc_isolate *how, const jc_isolate_request *r, jitc_status (*go_on)(void *user, jc_error *err),
                               void *user, jc_arena *arena, jc_isolate_answer *out, jc_error *err) {
    jc_bytes request = JC_BYTES(arena);
    char path[PATH_MAX];
    jc_isolate_put_request(r, &request);
    worker w = { .pid = -1, .handle = -1, .ends = { -1, -1, -1 }, .theirs = { -1, -1, -1 }, .request = request.at, .nrequest = request.n };
    if (!jc_library_module(PROGRAM, JC_LLVM_MODULE_DIR, path, sizeof path))
        return jc_fail(err, JITC_E_COMPILE, "There is no %s, which compiles in a process of its own. Install it with libjitc", path);
    int why = connect_ends(&w) ? start(&w, how, path) : errno;
    if (why) {
        shut_all(&w);
        return jc_fail(err, JITC_E_COMPILE, "%s could not be started: %s", path, strerror(why));
    }
    talk(&w, how, go_on, user);
    finish(&w);
    if (w.answer)
        jc_arena_defer(arena, drop, w.answer);
    if (w.told != JITC_OK)
        return go_on(user, err);
    if (w.no_memory)
        return jc_fail(err, JITC_E_NOMEM, "out of memory for what was compiled");
    jitc_status status;
    if (!w.late && jc_isolate_get_answer(w.answer, w.nanswer, arena, out, &status, err))
        return status;
    return not_survived(&w, how, r, (jc_span){ request.at, request.n }, err);
}
