/*
 * tests/many.h - programs of hundreds of cases: which of them run, and what all of them need.
 */
#ifndef MANY_H
#define MANY_H

#include <check.h>

/* As tcase_add_loop_test(); with JITC_TEST_PART=K/N in the environment every Nth case, from the Kth (0 to N-1) on, so that variants of a
   build need not run all of them.  What is no such pair ends the program. */
void many_add(TCase *t, const TTest *test, int from, int to);
/* Compiles something on the host, so that the children that Check forks find LLVM loaded: it takes as long as a small case. */
void many_prepare(void);

#endif
