/*
 * tests/tiny_host.h - the example plugin, loaded as a host loads it, for tests without a context.
 */
#ifndef JC_TESTS_TINY_HOST_H
#define JC_TESTS_TINY_HOST_H

#include "ir/eval/eval.h"
#include "runtime/ops.h"

typedef struct tiny_host {
    jc_arena *arena;
    jc_registry *ops;
    jc_names *names;
    jc_plugin plugin;
} tiny_host;

/* Loads examples/jitc_tiny_ops.so of the build tree; the plugin goes with ARENA. */
jitc_status tiny_host_open(jc_arena *arena, tiny_host *out, jc_error *err);
/* For jc_eval_host: user is the tiny_host.  Strings become layer names. */
jitc_status tiny_host_call(void *user, const char *target, const jitc_value *args, const char *const *keys,
                           uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err);

#endif
