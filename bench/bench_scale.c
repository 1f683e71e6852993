/*
 * bench/bench_scale.c - a synthetic model of many layers: text to keys, time and memory against the number of pieces.
 *
 * Each layer has a norm, a projection, an attention call (a splitting operator) and a gated MLP with names as long as vLLM's, so
 * LAYERS layers give 2*LAYERS+1 pieces of some 5.5 KB of text each.  Prints a table; with --assert it exits 1 when 10,001 pieces
 * take more than a second, or when memory or time per piece grow by more than half from the smallest to the largest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/debug.h"
#include "ir/canon/canon.h"
#include "ir/fx/fx.h"
#include "ir/passes.h"

#define W "L_self_modules_model_modules_layers_modules_%d_modules_"

static void params(FILE *f, int layers) {
    fprintf(f, "s72: \"Sym(s72)\", L_hidden_: \"bf16[s72, 1024]\"");
    for (int i = 0; i < layers; i++) {
        fprintf(f, ", " W "input_layernorm_parameters_weight_: \"bf16[1024]\"", i);
        fprintf(f, ", " W "self_attn_modules_qkv_proj_parameters_weight_: \"bf16[3072, 1024]\"", i);
        fprintf(f, ", " W "self_attn_modules_o_proj_parameters_weight_: \"bf16[1024, 1024]\"", i);
        fprintf(f, ", " W "mlp_modules_gate_up_proj_parameters_weight_: \"bf16[4096, 1024]\"", i);
        fprintf(f, ", " W "mlp_modules_down_proj_parameters_weight_: \"bf16[1024, 2048]\"", i);
    }
}

static void comment(FILE *f, int line, const char *code) {
    fprintf(f, "\n        # File: /usr/lib/python3/dist-packages/vllm/model_executor/models/llama.py:%d in forward, code: %s\n", line, code);
}

static void norm(FILE *f, int i, const char *x, const char *out) {
    comment(f, 71, "x = x.to(torch.float32)");
    fprintf(f, "        to_%s_%d: \"f32[s72, 1024]\" = %s.to(torch.float32)\n", out, i, x);
    fprintf(f, "        pow_%s_%d: \"f32[s72, 1024]\" = to_%s_%d.pow(2)\n", out, i, out, i);
    comment(f, 73, "variance = x.pow(2).mean(dim=-1, keepdim=True)");
    fprintf(f, "        mean_%s_%d: \"f32[s72, 1]\" = pow_%s_%d.mean(dim = -1, keepdim = True);  pow_%s_%d = None\n", out, i, out, i, out, i);
    fprintf(f, "        eps_%s_%d: \"f32[s72, 1]\" = mean_%s_%d + 1e-05;  mean_%s_%d = None\n", out, i, out, i, out, i);
    fprintf(f, "        rsqrt_%s_%d: \"f32[s72, 1]\" = torch.rsqrt(eps_%s_%d);  eps_%s_%d = None\n", out, i, out, i, out, i);
    comment(f, 75, "x = x * torch.rsqrt(variance + self.variance_epsilon)");
    fprintf(f, "        mul_%s_%d: \"f32[s72, 1024]\" = to_%s_%d * rsqrt_%s_%d;  to_%s_%d = rsqrt_%s_%d = None\n", out, i, out, i, out, i, out, i, out, i);
    fprintf(f, "        cast_%s_%d: \"bf16[s72, 1024]\" = mul_%s_%d.to(torch.bfloat16);  mul_%s_%d = None\n", out, i, out, i, out, i);
    fprintf(f, "        %s_%d: \"bf16[s72, 1024]\" = cast_%s_%d * " W "input_layernorm_parameters_weight_;  cast_%s_%d = None\n", out, i, out, i, i, out, i);
}

/* What stands between the statements of a real capture: the root's aliases, and a comment for nearly every statement. */
static void padding(FILE *f, int i) {
    static const char *const names[] = { "input_layernorm_parameters_weight_", "self_attn_modules_qkv_proj_parameters_weight_",
                                         "self_attn_modules_o_proj_parameters_weight_", "mlp_modules_gate_up_proj_parameters_weight_",
                                         "mlp_modules_down_proj_parameters_weight_" };
    for (int k = 0; k < 5; k++)
        fprintf(f, "        l_%d_%s = " W "%s\n", i, names[k], i, names[k]);
    for (int k = 0; k < 30; k++)
        comment(f, 300 + k, "hidden_states, residual = self.post_attention_layernorm(hidden_states, residual)");
}

static void layer(FILE *f, int i) {
    char x[32];
    padding(f, i);
    snprintf(x, sizeof x, i ? "hidden_%d" : "L_hidden_", i);
    norm(f, i, x, "normed");
    comment(f, 173, "qkv, _ = self.qkv_proj(hidden_states)");
    fprintf(f, "        qkv_%d: \"bf16[s72, 3072]\" = torch._C._nn.linear(normed_%d, " W "self_attn_modules_qkv_proj_parameters_weight_, None);  normed_%d = None\n", i, i, i, i);
    fprintf(f, "        split_%d = qkv_%d.split([1024, 1024, 1024], dim = -1);  qkv_%d = None\n", i, i, i);
    for (int k = 0; k < 3; k++)
        fprintf(f, "        part%d_%d: \"bf16[s72, 1024]\" = split_%d[%d]\n        head%d_%d: \"bf16[s72, 8, 128]\" = part%d_%d.view(-1, 8, 128);  part%d_%d = None\n", k, i, i, k, k, i, k, i, k, i);
    fprintf(f, "        out_%d: \"bf16[s72, 8, 128]\" = torch.empty((s72, 8, 128), dtype = torch.bfloat16, device = device(type='cuda', index=0))\n", i);
    comment(f, 180, "attn_output = self.attn(q, k, v)");
    fprintf(f, "        attn_%d = torch.ops.vllm.unified_attention_with_output(head0_%d, head1_%d, head2_%d, out_%d, 'model.layers.%d.self_attn.attn');  head0_%d = head1_%d = head2_%d = attn_%d = None\n",
            i, i, i, i, i, i, i, i, i, i);
    fprintf(f, "        flat_%d: \"bf16[s72, 1024]\" = out_%d.view(-1, 1024);  out_%d = None\n", i, i, i);
    fprintf(f, "        o_%d: \"bf16[s72, 1024]\" = torch._C._nn.linear(flat_%d, " W "self_attn_modules_o_proj_parameters_weight_, None);  flat_%d = None\n", i, i, i, i);
    fprintf(f, "        res_%d: \"bf16[s72, 1024]\" = o_%d + %s;  o_%d = None\n", i, i, x, i);
    snprintf(x, sizeof x, "res_%d", i);
    norm(f, i, x, "post");
    comment(f, 195, "gate_up, _ = self.gate_up_proj(x)");
    fprintf(f, "        gate_up_%d: \"bf16[s72, 4096]\" = torch._C._nn.linear(post_%d, " W "mlp_modules_gate_up_proj_parameters_weight_, None);  post_%d = None\n", i, i, i, i);
    fprintf(f, "        chunk_%d = gate_up_%d.chunk(2, dim = -1);  gate_up_%d = None\n", i, i, i);
    fprintf(f, "        gate_%d: \"bf16[s72, 2048]\" = chunk_%d[0]\n        up_%d: \"bf16[s72, 2048]\" = chunk_%d[1];  chunk_%d = None\n", i, i, i, i, i);
    fprintf(f, "        silu_%d: \"bf16[s72, 2048]\" = torch.nn.functional.silu(gate_%d);  gate_%d = None\n", i, i, i);
    fprintf(f, "        act_%d: \"bf16[s72, 2048]\" = silu_%d * up_%d;  silu_%d = up_%d = None\n", i, i, i, i, i);
    fprintf(f, "        down_%d: \"bf16[s72, 1024]\" = torch._C._nn.linear(act_%d, " W "mlp_modules_down_proj_parameters_weight_, None);  act_%d = None\n", i, i, i, i);
    fprintf(f, "        hidden_%d: \"bf16[s72, 1024]\" = down_%d + res_%d;  down_%d = res_%d = None\n", i + 1, i, i, i, i);
}

static char *synthetic(int layers, size_t *n) {
    char *out;
    FILE *f = open_memstream(&out, n);
    fprintf(f, "from __future__ import annotations\nimport torch\nclass GraphModule(torch.nn.Module):\n    def forward(self, ");
    params(f, layers);
    fprintf(f, "):\n");
    for (int i = 0; i < layers; i++)
        layer(f, i);
    fprintf(f, "        return (hidden_%d,)\n", layers);
    fclose(f);
    return out;
}

typedef struct figures {
    size_t pieces, classes, text, memory;
    double read, cut, keys;
} figures;

/* Keys of all pieces; scratch memory of one is given back before the next. */
static size_t keys(jc_graph *g, jc_arena *arena, jc_error *err) {
    jc_map *classes = jc_map_new(arena);
    for (size_t i = 0; i < g->pieces.n; i++) {
        jc_canon c;
        jc_arena *scratch = jc_arena_new(NULL);
        if (jc_canonicalise(g->pieces.at[i], 0, scratch, &c, err) != JITC_OK)
            return 0;
        if (!jc_map_get(classes, c.bytes, c.nbytes))
            jc_map_set(classes, jc_arena_memdup(arena, c.bytes, c.nbytes), c.nbytes, arena);
        jc_arena_free(scratch);
    }
    return jc_map_count(classes);
}

static bool measure(int layers, figures *out) {
    size_t n;
    char *text = synthetic(layers, &n);
    bool ok = true;
    for (int r = 0; r < 3 && ok; r++) {
        jc_arena *arena = jc_arena_new(NULL);
        jc_error err = JC_ERROR_INIT;
        jc_graph *g;
        double t0 = jc_now_ms();
        ok = jc_fx_read(arena, "synthetic", text, n, &g, &err) == JITC_OK;
        double t1 = jc_now_ms();
        ok = ok && jc_split(g, NULL, &err) == JITC_OK && jc_layout(g, NULL, 0, &err) == JITC_OK;
        double t2 = jc_now_ms();
        size_t classes = ok ? keys(g, arena, &err) : 0;
        double t3 = jc_now_ms();
        if (!ok || !classes) {
            fprintf(stderr, "bench_scale: %s\n", err.message);
            ok = false;
        } else if (r == 0 || t3 - t0 < out->read + out->cut + out->keys) {
            *out = (figures){ g->pieces.n, classes, n, jc_arena_used(arena), t1 - t0, t2 - t1, t3 - t2 };
        }
        jc_arena_free(arena);
    }
    free(text);
    return ok;
}

int main(int argc, char **argv) {
    static const int layers[] = { 500, 1000, 2500, 5000 };
    figures f[4];
    bool check = argc > 1 && strcmp(argv[1], "--assert") == 0;
    printf("| pieces | classes | text MB | memory MB | read ms | cut ms | keys ms | total ms | us a piece | memory/text |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < 4; i++) {
        if (!measure(layers[i], &f[i]))
            return 1;
        double total = f[i].read + f[i].cut + f[i].keys;
        printf("| %zu | %zu | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.2f |\n", f[i].pieces, f[i].classes,
               (double)f[i].text / 1e6, (double)f[i].memory / 1e6, f[i].read, f[i].cut, f[i].keys, total,
               1000 * total / (double)f[i].pieces, (double)f[i].memory / (double)f[i].text);
    }
    double first = (f[0].read + f[0].cut + f[0].keys) / (double)f[0].pieces, last = f[3].read + f[3].cut + f[3].keys;
    bool good = last <= 1000 && last / (double)f[3].pieces <= 1.5 * first &&
                (double)f[3].memory / (double)f[3].text <= 1.5 * (double)f[0].memory / (double)f[0].text;
    printf("%s\n", good ? "within the limits" : "over the limits");
    return check && !good;
}
