/*
 * tests/plugin_ok.c - a plugin with one operator, for check_ops.
 */
#include "jitc/op.h"

static int add_one(jitc_call *call, int64_t n, const jitc_layer_name *layer, DLTensor *out) {
    (void)layer;
    *(int64_t *)out->data = n + 1 + *(const int64_t *)call->user;
    return 0;
}

static const int64_t extra = 40;

__attribute__((visibility("default"))) jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api);

jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api) {
    const jitc_op_options options = { .struct_size = sizeof options, .user = (void *)&extra };
    if (api->abi != JITC_PLUGIN_ABI)
        return JITC_E_ABI;
    return api->op_register(ctx, "test::add_one(int n, LayerName layer) -> Tensor", (jitc_plain_function)add_one,
                            &options);
}
