/*
 * tests/tiny_host.c - see tiny_host.h.
 */
#include "tests/tiny_host.h"

/* The registry stands in for the context that plugins register with. */
static jitc_status register_plain(jitc_context *ctx, const char *schema, jitc_plain_function function,
                                  const jitc_op_options *options) {
    return jc_ops_register((jc_registry *)ctx, schema, function, NULL, options, NULL);
}

static jitc_status register_frame(jitc_context *ctx, const char *schema, jitc_frame_function function,
                                  const jitc_op_options *options) {
    return jc_ops_register((jc_registry *)ctx, schema, NULL, function, options, NULL);
}

static void close_plugin(void *plugin) {
    jc_plugin_close(plugin);
}

jitc_status tiny_host_open(jc_arena *arena, tiny_host *out, jc_error *err) {
    static const jitc_plugin_api api = {
        sizeof api, JITC_PLUGIN_ABI, register_plain, register_frame, jc_name_text, jc_name_user,
    };
    *out = (tiny_host){ .arena = arena, .ops = jc_ops_new(arena), .names = jc_names_new(arena) };
    jc_ops_set_names(out->ops, out->names);
    jitc_status status =
        jc_plugin_open(TEST_BUILDDIR "/examples/jitc_tiny_ops.so", false, (jitc_context *)out->ops, &api, &out->plugin, err);
    if (out->plugin.handle)
        jc_arena_defer(arena, close_plugin, &out->plugin);
    return status;
}

jitc_status tiny_host_call(void *user, const char *target, const jitc_value *args, const char *const *keys,
                           uint32_t nargs, DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    tiny_host *host = user;
    const jc_op_entry *op = jc_ops_find(host->ops, target, kDLCPU);
    if (!op)
        return jc_fail_at(err, JITC_E_UNSUPPORTED, NULL, line, 0, NULL, "Operator %s is not registered.", target);
    jitc_value *own = JC_NEWN(host->arena, jitc_value, nargs);
    for (uint32_t k = 0; k < nargs; k++) {
        own[k] = args[k];
        if (args[k].tag == JITC_STR)
            own[k] = (jitc_value){ .tag = JITC_NAME, .name = jc_name_intern(host->names, args[k].str, NULL) };
    }
    return jc_op_call(op, (DLDevice){ .device_type = kDLCPU }, NULL, own, keys, nargs, results, nresults, err);
}
