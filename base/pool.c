/*
 * base/pool.c - threads that draw numbers from one counter.
 *
 * Threads live for one call: starting one costs some ten microseconds, a kernel compiles for milliseconds, and a
 * library that keeps no threads has none to lose in a fork.  They block all signals: those are the program's.
 */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define MAX_THREADS 256u

typedef struct list {
    atomic_size_t next;
    size_t count;
    void (*work)(void *user, size_t index);
    void *user;
} list;

static void *draw(void *arg) {
    list *l = arg;
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
        if (index >= l->count)
            return NULL;
        l->work(l->user, index);
    }
}

unsigned jc_pool_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t has */
    return n > 0 ? (unsigned)n : 1;
}

void jc_pool_run(unsigned threads, size_t count, void (*work)(void *user, size_t index), void *user) {
    list l = { .count = count, .work = work, .user = user };
    if (threads == 0)
        threads = jc_pool_cores();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    if (threads > count)
        threads = (unsigned)count;

    pthread_t ids[MAX_THREADS];
    unsigned made = 0;
    if (threads > 1) {
        sigset_t all, before;
        sigfillset(&all);
        bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
        while (made < threads - 1 && pthread_create(&ids[made], NULL, draw, &l) == 0)
            made++;
        if (masked)
            pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    draw(&l);
    while (made > 0)
        pthread_join(ids[--made], NULL);
}
