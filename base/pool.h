/*
 * base/pool.h - a few threads that work through a list.
 */
#ifndef JC_POOL_H
#define JC_POOL_H

#include <stddef.h>

/* Runs WORK(user, i) for i in 0..count-1 on at most THREADS threads (0: one per core), the caller's included, and
   returns when all have run.  Order is unspecified.  If threads cannot be made, the caller does the work alone. */
void jc_pool_run(unsigned threads, size_t count, void (*work)(void *user, size_t index), void *user);
unsigned jc_pool_cores(void);

#endif
