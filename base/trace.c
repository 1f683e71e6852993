/*
 * base/trace.c - ending a span.
 */
#define _GNU_SOURCE /* syscall */
#include "base/trace.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/debug.h"

void jc_trace_span(const jc_trace *trace, const char *name, const char *arg, double start_ms) {
    if (!trace || !trace->span)
        return;
    double end_ms = jc_now_ms();
    trace->span(trace->user, name, arg, start_ms, end_ms, (unsigned)syscall(SYS_gettid));
}
