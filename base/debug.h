/*
 * base/debug.h - debug flags (JITC_DEBUG=cache,pass,...) and phase times.
 *
 * The library prints nothing by itself: lines go to the context's log function.  The flags are a table (flags.def
 * style list below) with help text, which `jitc doctor` prints.
 */
#ifndef JC_DEBUG_H
#define JC_DEBUG_H

#include <stdbool.h>
#include "base/error.h"

#define JC_DEBUG_LIST(X)                                                                           \
    X(CACHE, "cache", "lookups, hits, misses and what was stored where")                           \
    X(PASS, "pass", "each pass with its time and what it changed")                                 \
    X(LOWER, "lower", "how each operator was lowered: rms_norm=native*3")                          \
    X(KERNEL, "kernel", "the kernels of each class")                                               \
    X(LLVM, "llvm", "LLVM IR of each kernel")                                                      \
    X(PTX, "ptx", "PTX of each kernel")                                                            \
    X(RUN, "run", "each step of a run")                                                            \
    X(TIME, "time", "phase times")                                                                 \
    X(POISON, "poison", "no lines, but memory of a run starts as 0xff bytes: what nothing wrote shows as NaN")

enum {
#define JC_DEBUG_BIT(id, name, help) JC_DEBUG_##id##_INDEX,
    JC_DEBUG_LIST(JC_DEBUG_BIT)
#undef JC_DEBUG_BIT
#define JC_DEBUG_MASK(id, name, help) JC_DEBUG_##id = 1u << JC_DEBUG_##id##_INDEX,
    JC_DEBUG_LIST(JC_DEBUG_MASK)
#undef JC_DEBUG_MASK
};

/* "cache,pass" to bits; an unknown word is JITC_E_USAGE and the message lists the known ones. TEXT may be NULL. */
jitc_status jc_debug_parse(const char *text, unsigned *bits, jc_error *err);

/* Where log lines go. */
typedef struct jc_log {
    void (*line)(void *user, const char *text); /* NULL: nowhere */
    void *user;
    unsigned debug; /* JC_DEBUG_* bits */
} jc_log;
void jc_log_line(const jc_log *log, const char *format, ...) JC_PRINTF(2, 3);
#define JC_LOG(log, bit, ...)                                                                      \
    do {                                                                                           \
        const jc_log *jc_log_to = (log);                                                           \
        if (jc_log_to && (jc_log_to->debug & (bit)))                                               \
            jc_log_line(jc_log_to, __VA_ARGS__);                                                   \
    } while (0)

double jc_now_ms(void); /* monotonic */

#endif
