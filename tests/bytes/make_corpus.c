/*
 * tests/bytes/make_corpus.c - writes the corpora of the byte targets: what our own code makes of a few small graphs.
 *
 *   make_corpus FOLDER      FOLDER/plan/good_norm_host, ...
 *
 * Run it when a format has changed.  The same sources give the same bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/disk.h"
#include "ir/canon/canon.h"
#include "ir/fx/fx.h"
#include "ir/passes.h"
#include "jit/sched/schedule.h"
#include "jitc/jitc.h"
#include "tools/safetensors.h"

#define GRAPH(params, body, result)                                                                \
    "class GraphModule(torch.nn.Module):\n    def forward(self, " params "):\n" body "        return " result "\n"
#define LINE(text) "        " text "\n"

static const struct {
    const char *name, *text;
} graphs[] = {
    { "norm", GRAPH("x: \"bf16[s0, 256]\", w: \"bf16[256]\"",
                    LINE("y: \"bf16[s0, 256]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06, None)"), "(y,)") },
    { "product", GRAPH("x: \"bf16[s0, 64]\", w: \"bf16[80, 64]\", b: \"bf16[80]\"",
                       LINE("y: \"bf16[s0, 80]\" = torch._C._nn.linear(x, w, b)") LINE("z: \"bf16[s0, 80]\" = torch.nn.functional.silu(y)"), "(z,)") },
    { "views", GRAPH("x: \"f32[s0, 8]\", i: \"i64[s1]\"",
                     LINE("t: \"f32[8, s0]\" = x.t()") LINE("a: \"f32[s1, 8]\" = x.index_select(0, i)")
                         LINE("c: \"f32[s0 + s1, 8]\" = torch.cat((x, a), dim = 0)") LINE("p: \"f32[s0, 10]\" = torch.nn.functional.pad(x, (1, 1))")
                             LINE("s: \"f32[8]\" = x.sum(dim = 0)"), "(t, c, p, s)") },
    { "written", GRAPH("x: \"f32[s0, 4]\", y: \"f32[s0, 4]\"",
                       LINE("a: \"f32[s0, 4]\" = x * 2.5") LINE("b: \"f32[s0, 4]\" = y.copy_(a)") LINE("n: \"i64[s0]\" = torch.arange(s0)"), "(b, n, s0)") },
    { "attention", GRAPH("q: \"bf16[2, 4, s0, 32]\", k: \"bf16[2, 2, s1, 32]\", m: \"b8[s0, s1]\"",
                         LINE("o: \"bf16[2, 4, s0, 32]\" = torch.nn.functional.scaled_dot_product_attention(q, k, k, m, enable_gqa = True)"), "(o,)") },
    { "custom", GRAPH("x: \"bf16[s0, 64]\", s0: \"Sym(s0)\", name: \"LayerName\"",
                      LINE("y: \"bf16[s0, 64]\" = torch.ops.my.op(x, 3, 0.5, True, 'layers.1', [1, 2], None, key = name)")
                          LINE("z: \"bf16[s0, 64]\" = torch.relu(y)"), "(z, s0)") },
};

static const char *const schemas[] = {
    "vllm::gdn_in_proj(Tensor x, int qkvz, int ba, LayerName layer) -> (Tensor, Tensor)",
    "ns::op.overload(Tensor(a!) out, Tensor? x=None, *, float[] scales=[1.0, 2.5], str mode=\"a b\", bool b=True) -> ()",
    "test::many(Tensor[] xs, SymInt n=-3, float eps=1e-06, Scalar? s=None, ScalarType? d=None) -> Tensor",
    "test::any(...) -> ...",
};

static const char *folder;
static jc_arena *arena;
static jc_error err = JC_ERROR_INIT;

static void must(bool ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "make_corpus: %s: %s\n", what, err.message);
    exit(EXIT_FAILURE);
}

static void spill(const char *target, const char *name, const void *at, size_t n) {
    const char *dir = jc_arena_printf(arena, "%s/%s", folder, target);
    mkdir(folder, 0777);
    mkdir(dir, 0777);
    FILE *f = fopen(jc_arena_printf(arena, "%s/good_%s", dir, name), "wb");
    must(f && fwrite(at, 1, n, f) == n && fclose(f) == 0, name);
}

/* Code of a kernel: what lies in an artifact is not looked into here. */
static void artifact(const char *name, const jc_schedule *s, const jc_target *target, const jc_bytes *plan) {
    jc_bytes out = JC_BYTES(arena);
    jc_artifact a = { .target = *target, .plan = plan->at, .nplan = plan->n, .ncodes = s->nkernels };
    a.codes = JC_NEWN(arena, jc_code, s->nkernels);
    uint8_t kind = target->dialect == JC_DIALECT_NVPTX ? JC_CODE_CUBIN : JC_CODE_OBJECT;
    for (uint32_t i = 0; i < s->nkernels; i++)
        a.codes[i] = (jc_code){ s->plan->kernels[i].key, kind, (const uint8_t *)"\177ELF code", 9 };
    jc_artifact_encode(&a, &out);
    spill("artifact", name, out.at, out.n);
}

static void scheduled(const char *name, const jc_graph *g, const char *arch) {
    jc_schedule_options o = { 0 };
    jc_schedule s;
    jc_bytes plan = JC_BYTES(arena);
    must(jc_target_parse(arch, &o.target, &err) == JITC_OK, arch);
    o.clamp = jc_target_is_gpu(&o.target);
    must(jc_schedule_class(g->root, &o, arena, &s, &err) == JITC_OK, name);
    jc_plan_encode(s.plan, &plan);
    name = jc_arena_printf(arena, "%s_%s", name, arch);
    spill("plan", name, plan.at, plan.n);
    artifact(name, &s, &o.target, &plan);
    for (uint32_t i = 0; i < s.nkernels; i++) {
        jc_bytes kernel = JC_BYTES(arena);
        jc_kernel_encode(s.kernels[i], &kernel);
        spill("kernel", jc_arena_printf(arena, "%s_%u", name, i), kernel.at, kernel.n);
    }
}

static void classes(void) {
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        jc_graph *g, *class_;
        jc_canon canon;
        must(jc_fx_read(arena, graphs[i].name, graphs[i].text, strlen(graphs[i].text), &g, &err) == JITC_OK, graphs[i].name);
        must(jc_split(g, NULL, &err) == JITC_OK && jc_layout(g, NULL, 0, &err) == JITC_OK, graphs[i].name);
        must(jc_canonicalise(g->pieces.at[0], 0, arena, &canon, &err) == JITC_OK, graphs[i].name);
        spill("canon", graphs[i].name, canon.bytes, canon.nbytes);
        must(jc_canon_decode(canon.bytes, canon.nbytes, arena, &class_, &err) == JITC_OK, graphs[i].name);
        scheduled(graphs[i].name, class_, "host");
        scheduled(graphs[i].name, class_, "sm_90a");
    }
}

/* Of custom operators alone, so that nothing is compiled. */
static void bundle(void) {
    static const char text[] =
        GRAPH("s0: \"Sym(s0)\", x: \"f32[s0, 8]\", name: \"LayerName\"",
              LINE("a: \"f32[s0, 8]\" = torch.ops.test.scale(x, 3, 0.5, True, 'layers.1')") LINE("b: \"f32[s0, 8]\" = torch.ops.test.cut(a, name)")
                  LINE("c: \"f32[s0, 8]\" = torch.ops.test.scale(b, 5, 0.25, False, 'layers.2')")
                      LINE("d: \"f32[s0, 8]\" = torch.ops.test.cut(c, 'layers.4')"), "(d, b, s0)");
    static const char *const split[] = { "cut" }, *const archs[] = { "host", "sm_90a" };
    jitc_context_options co = { .struct_size = sizeof co, .cache_dir = "", .threads = 1 };
    jitc_context *ctx;
    jitc_model *models[2];
    must(jitc_context_new(&co, &ctx) == JITC_OK, "context");
    for (int i = 0; i < 2; i++) {
        jitc_model_options o = { .struct_size = sizeof o, .arch = archs[i], .split_ops = split, .nsplit_ops = 1 };
        jitc_graph *g;
        must(jitc_graph_read(ctx, "bundle.py", text, sizeof text - 1, &g) == JITC_OK, "bundle");
        must(jitc_model_build(ctx, &g, 1, &o, &models[i]) == JITC_OK, jitc_context_error(ctx));
    }
    mkdir(jc_arena_printf(arena, "%s/bundle", folder), 0777);
    must(jitc_model_save(models[0], jc_arena_printf(arena, "%s/bundle/good_host", folder)) == JITC_OK, "save");
    must(jitc_bundle_write(ctx, models, 2, jc_arena_printf(arena, "%s/bundle/good_two", folder)) == JITC_OK, "save");
    jitc_model_free(models[0]);
    jitc_model_free(models[1]);
    jitc_context_free(ctx);
}

/* The key is that of fuzz_entry.c. */
static void entry(void) {
    char dir[] = "/tmp/jitc-corpus-XXXXXX", hex[2 * JC_HASH_SIZE + 1], bytes[4096];
    jc_bytes preimage = JC_BYTES(arena);
    must(mkdtemp(dir) != NULL, "a folder for the entry");
    jc_key_add(&preimage, JC_KEY_FORMAT, "1", 1);
    jc_key_add(&preimage, JC_KEY_KERNEL, "a kernel", 8);
    jc_key key = jc_key_end(&preimage);
    jc_disk *d = jc_disk_open(arena, dir, false, NULL);
    must(d && jc_disk_put(d, &key, (const uint8_t *)"the payload", 11), "an entry");
    jc_hash_hex(&key.hash, hex);
    const char *shard = jc_arena_printf(arena, "%s/v1/%.2s", dir, hex), *path = jc_arena_printf(arena, "%s/%s", shard, hex);
    FILE *f = fopen(path, "rb");
    must(f != NULL, path);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    spill("entry", "entry", bytes, n);
    remove(path);
    rmdir(shard);
    rmdir(jc_arena_printf(arena, "%s/v1", dir));
    rmdir(dir);
}

static void header(void) {
    static const uint8_t data[64] = { 1, 2, 3 };
    const jc_st_tensor at[] = { { "x", JC_F32, 2, { 2, 3 }, data, 24 }, { "n", JC_I64, 0, { 0 }, data, 8 },
                                { "empty", JC_BF16, 1, { 0 }, data, 0 } };
    const char *dir = jc_arena_printf(arena, "%s/header", folder);
    mkdir(dir, 0777);
    must(jc_st_write(arena, jc_arena_printf(arena, "%s/good_three", dir), at, 3, &err) == JITC_OK, "safetensors");
    must(jc_st_write(arena, jc_arena_printf(arena, "%s/good_none", dir), at, 0, &err) == JITC_OK, "safetensors");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    folder = argv[1];
    arena = jc_arena_new(NULL);
    classes();
    bundle();
    entry();
    header();
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        spill("schema", jc_arena_printf(arena, "%zu", i), schemas[i], strlen(schemas[i]));
    jc_arena_free(arena);
    return 0;
}
