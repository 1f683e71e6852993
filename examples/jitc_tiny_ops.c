/*
 * examples/jitc_tiny_ops.c - a plugin: vLLM's custom operators with small fixed meanings, on the host and on CUDA.
 *
 *     jitc run model.py --plugin examples/jitc_tiny_ops.so
 *
 * Host operators are plain C functions whose parameters follow the schema; for CUDA the same ones run on copies.
 */
#include "ops_tiny.h"

static const char *(*layer_name_text)(const jitc_layer_name *name);

const char *tiny_layer_text(const jitc_layer_name *layer) {
    return layer_name_text(layer);
}

static const tiny_op *const families[] = {
    tiny_attention_ops, tiny_rotary_ops, tiny_moe_ops, tiny_gdn_ops, tiny_mamba_ops, tiny_norm_ops, tiny_triton_ops,
};

static jitc_status register_op(jitc_context *ctx, const jitc_plugin_api *api, const tiny_op *op) {
    jitc_op_options host = { .struct_size = sizeof host, .user = (void *)op, .devices = 1u << kDLCPU };
    jitc_op_options cuda = { .struct_size = sizeof cuda, .user = (void *)op, .devices = 1u << kDLCUDA };
    jitc_status status = op->plain ? api->op_register(ctx, op->schema, op->plain, &host)
                                   : api->op_register_frame(ctx, op->schema, op->frame, &host);
    return status != JITC_OK ? status : api->op_register_frame(ctx, op->schema, tiny_on_device, &cuda);
}

JITC_API jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api);

jitc_status jitc_plugin_register(jitc_context *ctx, const jitc_plugin_api *api) {
    if (api->abi != JITC_PLUGIN_ABI || api->struct_size < sizeof *api)
        return JITC_E_ABI;
    layer_name_text = api->layer_name_text; /* the same function whoever loads us */
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (const tiny_op *op = families[f]; op->schema; op++) {
            jitc_status status = register_op(ctx, api, op);
            if (status != JITC_OK)
                return status;
        }
    }
    return JITC_OK;
}
