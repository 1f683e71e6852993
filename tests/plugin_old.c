/*
 * tests/plugin_old.c - a plugin of another version of the interface, for check_bad.
 */
#include "jitc/op.h"

__attribute__((visibility("default"))) jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api);

jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api) {
    (void)ctx;
    return api->abi == JITC_PLUGIN_ABI + 1 ? JITC_OK : JITC_E_ABI;
}
