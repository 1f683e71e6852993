/*
 * examples/embed.c - libjitc inside a program: one graph, one operator of our own, two layers' names.
 *
 * The graph calls demo::scale twice, each time with the name of a layer.  Compiled code never looks at the name: it
 * hands it on to our function, which finds the layer's data behind it.  Runs on the host; prints
 *     [2 tokens] 7 13 19 25
 */
#include <stdio.h>
#include <string.h>
#include "jitc/jitc.h"

static const char text[] =
    "from __future__ import annotations\n"
    "import torch\n"
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 2]\", w: \"f32[2, 2]\"):\n"
    "        linear: \"f32[s0, 2]\" = torch._C._nn.linear(x, w, None)\n"
    "        first: \"f32[s0, 2]\" = torch.ops.demo.scale(linear, 'model.layers.0')\n"
    "        add: \"f32[s0, 2]\" = first + x\n"
    "        second: \"f32[s0, 2]\" = torch.ops.demo.scale(add, 'model.layers.1')\n"
    "        add_1: \"f32[s0, 2]\" = second + 1.0\n"
    "        return (add_1,)\n";

/* What an engine keeps per layer. */
typedef struct layer {
    float factor;
} layer;

/* demo::scale(Tensor x, LayerName layer) -> Tensor */
static int scale(jitc_call *call, const DLTensor *x, const jitc_layer_name *name, DLTensor *out) {
    const layer *l = jitc_layer_name_user(name);
    if (!l) {
        snprintf(call->error, call->error_size, "Nothing is known of layer %s.", jitc_layer_name_text(name));
        return 1;
    }
    for (int64_t i = 0; i < x->shape[0]; i++) {
        for (int64_t j = 0; j < x->shape[1]; j++) {
            const float *from = (const float *)((const char *)x->data + x->byte_offset) + i * x->strides[0] + j * x->strides[1];
            float *to = (float *)((char *)out->data + out->byte_offset) + i * out->strides[0] + j * out->strides[1];
            *to = *from * l->factor;
        }
    }
    return 0;
}

static DLTensor tensor(float *data, int64_t *shape) {
    return (DLTensor){ .data = data, .device = { .device_type = kDLCPU }, .ndim = 2,
                       .dtype = { .code = kDLFloat, .bits = 32, .lanes = 1 }, .shape = shape };
}

static jitc_status run(jitc_model *model) {
    float x_data[] = { 1, 2, 3, 4 }, w_data[] = { 1, 0, 0, 1 };
    int64_t x_shape[] = { 2, 2 }, w_shape[] = { 2, 2 };
    DLTensor x = tensor(x_data, x_shape), w = tensor(w_data, w_shape);
    jitc_value result, values[] = {
        { .tag = JITC_INT, .i = 2 },
        { .tag = JITC_TENSOR, .tensor = &x },
        { .tag = JITC_TENSOR, .tensor = &w },
    };
    jitc_status status = jitc_model_run(model, 0, NULL, values, 3, &result, 1);
    if (status != JITC_OK)
        return status;
    const float *at = (const float *)((const char *)result.tensor->data + result.tensor->byte_offset);
    printf("[%lld tokens] %g %g %g %g\n", (long long)result.tensor->shape[0], at[0], at[1], at[2], at[3]);
    return JITC_OK;
}

int main(void) {
    static layer layers[] = { { 3 }, { 1.5f } };
    jitc_context_options options = { .struct_size = sizeof options, .device = "host", .cache_dir = "" };
    jitc_op_options op = { .struct_size = sizeof op, .devices = 1u << kDLCPU };
    jitc_model_options build = { .struct_size = sizeof build, .arch = "host" };
    jitc_context *ctx = NULL;
    jitc_graph *graph = NULL;
    jitc_model *model = NULL;
    jitc_status status = jitc_context_new(&options, &ctx);
    if (status == JITC_OK)
        status = jitc_op_register(ctx, "demo::scale(Tensor x, LayerName layer) -> Tensor", (jitc_plain_function)scale, &op);
    if (status == JITC_OK && (!jitc_layer_name_intern(ctx, "model.layers.0", &layers[0]) ||
                              !jitc_layer_name_intern(ctx, "model.layers.1", &layers[1])))
        status = JITC_E_NOMEM;
    if (status == JITC_OK)
        status = jitc_graph_read(ctx, "embed", text, strlen(text), &graph);
    if (status == JITC_OK)
        status = jitc_model_build(ctx, &graph, 1, &build, &model);
    if (status == JITC_OK)
        status = run(model);
    if (status != JITC_OK)
        fprintf(stderr, "%s: %s\n", jitc_status_text(status), ctx ? jitc_context_error(ctx) : "");
    jitc_context_free(ctx);
    return status != JITC_OK;
}
