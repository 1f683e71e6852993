/*
 * base/error.h - the error record and how a failure travels.
 *
 * A function that can fail returns jitc_status and takes a jc_error.  The first failure fills the record
 * (later ones leave it alone), every caller forwards the status with JC_TRY.  The record owns no memory.
 */
#ifndef JC_ERROR_H
#define JC_ERROR_H

#include <stdarg.h>
#include "jitc/status.h"

typedef struct jc_error {
    jitc_status status;  /* JITC_OK while nothing failed */
    int line, column;    /* 1-based place in FILE, 0 when there is none */
    char file[256];      /* "" when the failure has no file */
    char node[128];      /* the graph's name for the node, "" when there is none */
    char message[1024];  /* one sentence or two, no newline at the end */
} jc_error;

#define JC_ERROR_INIT { .status = JITC_OK }

#define JC_TRY(call)                                                                               \
    do {                                                                                           \
        jitc_status jc_try_status = (call);                                                        \
        if (jc_try_status != JITC_OK)                                                              \
            return jc_try_status;                                                                  \
    } while (0)

#define JC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Records the failure unless one is recorded already, and returns STATUS.  ERR may be NULL. */
jitc_status jc_fail(jc_error *err, jitc_status status, const char *format, ...) JC_PRINTF(3, 4);

/* The same with a place.  FILE and NODE may be NULL; LINE and COLUMN may be 0. */
jitc_status jc_fail_at(jc_error *err, jitc_status status, const char *file, int line, int column,
                       const char *node, const char *format, ...) JC_PRINTF(7, 8);

/* Adds the place to a recorded failure that has none yet. */
void jc_error_place(jc_error *err, const char *file, int line, int column, const char *node);

/* "FILE:LINE:COL: MESSAGE (node NODE)" into OUT, always terminated; returns OUT. */
const char *jc_error_text(const jc_error *err, char *out, unsigned long size);

#endif
