/*
 * jitc/status.h - what a call can answer.
 *
 * Every fallible call returns a jitc_status.  The sentence that goes with it (what, where, what was expected,
 * what to do) waits in the context: see jitc_context_error() in jitc/context.h.
 *
 * NULL where a handle, a text, a place for a result or an array with elements belongs is JITC_E_USAGE from every function that
 * returns a status, unless its declaration says that NULL may stand there.  The others answer NULL, 0 or "", and
 * those that free do nothing.
 */
#ifndef JITC_STATUS_H
#define JITC_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define JITC_API __attribute__((visibility("default")))
#else
#define JITC_API
#endif

/* id, number, exit code of the tool, meaning */
#define JITC_STATUS_LIST(X)                                                                        \
    X(OK, 0, 0, "ok")                                                                              \
    X(E_MISMATCH, 1, 1, "results differ or a gate failed")                                         \
    X(E_USAGE, 2, 2, "a call or an option makes no sense")                                         \
    X(E_INPUT, 3, 3, "bad input: text, tensor or file")                                            \
    X(E_UNSUPPORTED, 4, 4, "operator, dtype or argument that is not supported")                    \
    X(E_COMPILE, 5, 5, "compilation failed")                                                       \
    X(E_DEVICE, 6, 6, "device error, or no device")                                                \
    X(E_DEVICE_LOST, 7, 6, "the device's context is dead: restart the process")                    \
    X(E_NOMEM, 8, 5, "out of memory")                                                              \
    X(E_IO, 9, 3, "a file could not be read or written")                                           \
    X(E_ABI, 10, 2, "built for another version of libjitc")                                        \
    X(E_OP, 11, 6, "a custom operator reported an error")                                          \
    X(E_FORKED, 12, 6, "used in a forked child after a device was opened")                         \
    X(E_CANCELLED, 13, 5, "the caller cancelled it")                                               \
    X(E_TRUST, 14, 3, "code of somebody who is not trusted: another's file, or no trusted signature")

typedef enum jitc_status {
#define JITC_STATUS_ENUM(id, number, exit_code, text) JITC_##id = number,
    JITC_STATUS_LIST(JITC_STATUS_ENUM)
#undef JITC_STATUS_ENUM
} jitc_status;

/* The meaning of STATUS in a few words; a static string, never NULL.  Safe from any thread. */
JITC_API const char *jitc_status_text(jitc_status status);

#ifdef __cplusplus
}
#endif
#endif
