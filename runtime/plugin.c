/*
 * runtime/plugin.c - shared objects that register operators.
 */
#include "runtime/ops.h"

#include <stdio.h>
#include <string.h>

#include "base/library.h"

static jitc_status run_entry(const char *path, jitc_plugin_entry entry, jitc_context *ctx, const jitc_plugin_api *api,
                             jc_error *err) {
    jitc_status status = entry(ctx, api);
    if (status == JITC_E_ABI)
        return jc_fail(err, status, "Plugin %s was built for another version of libjitc's plugin interface (this one is %u): "
                       "rebuild it.", path, api->abi);
    if (status != JITC_OK)
        return jc_fail(err, status, "Plugin %s failed to register its operators: %s.", path, jitc_status_text(status));
    return JITC_OK;
}

jitc_status jc_plugin_open(const char *path, jitc_context *ctx, const jitc_plugin_api *api, void **handle,
                           jc_error *err) {
    char local[4096], why[512];
    *handle = NULL;
    /* dlopen searches the library path for a name without a slash; a plugin is a file. */
    if (!strchr(path, '/')) {
        if (snprintf(local, sizeof local, "./%s", path) >= (int)sizeof local)
            return jc_fail(err, JITC_E_IO, "The plugin's file name is too long.");
        path = local;
    }
    void *object = jc_library_open(path, why, sizeof why);
    if (!object)
        return jc_fail(err, JITC_E_IO, "The plugin %s could not be opened: %s.", path, why);
    union {
        void *object;
        jitc_plugin_entry function;
    } entry = { jc_library_symbol(object, JITC_PLUGIN_ENTRY) };
    if (!entry.object) {
        jc_library_close(object);
        return jc_fail(err, JITC_E_INPUT, "%s is no plugin of libjitc: it has no function " JITC_PLUGIN_ENTRY "().",
                       path);
    }
    *handle = object;
    return run_entry(path, entry.function, ctx, api, err);
}
