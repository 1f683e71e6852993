/*
 * base/trace.h - spans of time for whoever wants to draw them: what ran, on what, from when to when, on which thread.
 *
 * Phase sums are in the statistics; this is for a picture of one run.  Nobody listening costs one comparison.
 */
#ifndef JC_TRACE_H
#define JC_TRACE_H

typedef struct jc_trace {
    /* Called when a span has ended, from any thread, several at once. NAME is a constant, ARG what it was about (a file,
       a piece, a class's key, a kernel; NULL: nothing) and valid during the call alone. Times are those of jc_now_ms(); THREAD is
       the system's number. */
    void (*span)(void *user, const char *name, const char *arg, double start_ms, double end_ms, unsigned thread);
    void *user;
} jc_trace;

/* A span that started at START_MS and ends now, on this thread. TRACE may be NULL. */
void jc_trace_span(const jc_trace *trace, const char *name, const char *arg, double start_ms);

#endif
