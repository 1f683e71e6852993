/*
 * tests/check_tool.c - the program `jitc`, from outside: exit codes, standard output, standard error.
 *
 * Every test spawns build/jitc in a directory of its own, with its own cache.  Numbers are worked out by hand.
 */
#define _GNU_SOURCE /* nftw */
#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ir/eval/eval.h"
#include "jitc/jitc.h"
#include "tests/tool_run.h"
#include "tools/safetensors.h"

#define PLUGIN TEST_BUILDDIR "/examples/jitc_tiny_ops.so"
#define SEED10 TEST_SRCDIR "/examples/seed/qwen3_5_layer10.py"
#define SEED13 TEST_SRCDIR "/examples/seed/qwen3_5_layer13.py"
#define NAME10 "language_model.model.layers.10.linear_attn"
#define NAME13 "language_model.model.layers.13.linear_attn"

/* x*w + 1, the symbol, and a buffer that nothing writes. */
static const char graph_mul[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\", w: \"f32[4]\"):\n"
    "        mul: \"f32[s0, 4]\" = x * w;  x = w = None\n"
    "        add: \"f32[s0, 4]\" = mul + 1;  mul = None\n"
    "        empty: \"f32[s0, 4]\" = torch.empty_like(add)\n"
    "        return (add, s0, empty)\n";

/* Indices into a table of 5 rows; they are results too, so that they can be looked at. */
static const char graph_take[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", ids: \"i64[s0]\", table: \"f32[5, 4]\"):\n"
    "        rows: \"f32[s0, 4]\" = torch.nn.functional.embedding(ids, table);  table = None\n"
    "        same: \"i64[s0]\" = ids + 0;  ids = None\n"
    "        return (rows, same)\n";

static const char graph_unknown[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\"):\n"
    "        y: \"f32[4]\" = torch.frobnicate(x);  x = None\n"
    "        return (y,)\n";

/* Dims that no parameter gives alone, and that are below 0 for small symbols. */
static const char graph_dims[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[s0 - 20, 4]\", y: \"f32[100 - s0 - s1, 4]\", z: \"f32[s2//8, 2]\", n: \"Sym(s2//3)\"):\n"
    "        a: \"f32[s0 - 20, 4]\" = x + 1;  x = None\n"
    "        b: \"f32[100 - s0 - s1, 4]\" = y * n;  y = None\n"
    "        c: \"f32[s2//8, 2]\" = z * 2;  z = None\n"
    "        return (a, b, c)\n";

/* Only the run tells which branch is taken. */
static const char graph_branches[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\", p: \"b8[]\"):\n"
    "        yes = self.yes;  no = self.no\n"
    "        cond = torch.ops.higher_order.cond(p, yes, no, [x])\n"
    "        y: \"f32[4]\" = cond[0]\n"
    "        return (y,)\n\n"
    "    class yes(torch.nn.Module):\n"
    "        def forward(self, x: \"f32[4]\"):\n"
    "            a: \"f32[4]\" = torch.frobnicate(x)\n"
    "            return (a,)\n\n"
    "    class no(torch.nn.Module):\n"
    "        def forward(self, x: \"f32[4]\"):\n"
    "            b: \"f32[4]\" = x.defrobnicate()\n"
    "            return (b,)\n";

/* As many results as values say. */
static const char graph_masks[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4, 6]\", m: \"b8[4, 6]\", c: \"b8[6]\"):\n"
    "        a: \"f32[u0]\" = x[m]\n"
    "        b: \"f32[4, u1]\" = x[(slice(None, None, None), c)]\n"
    "        d: \"i64[u2, 2]\" = torch.nonzero(m)\n"
    "        e: \"i64[u3, 2]\" = torch.ops.aten.nonzero.default(m)\n"
    "        f: \"f32[u4]\" = x.masked_select(m)\n"
    "        g = torch.where(m);  m = None\n"
    "        h: \"i64[u5]\" = g[0];  g = None\n"
    "        i: \"f32[u6]\" = torch.unique(x)\n"
    "        return (a, b, d, e, f, h, i)\n";

static const char graph_bad[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\"):\n"
    "        y: \"f32[8]\" = x + 1;  x = None\n"
    "        return (y,)\n";

/* A graph of inputs x and w, with one statement for y. */
#define GRAPH(params, statement)                                                                   \
    "class GraphModule(torch.nn.Module):\n    def forward(self, " params "):\n        " statement "\n        return (y,)\n"

/* Each value twice in the next: as many ways from the last one back to the first as there are indices. */
static void write_doubled(void) {
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    fprintf(f, "class GraphModule(torch.nn.Module):\n    def forward(self, i: \"i64[8]\", w: \"f32[100, 4]\"):\n        a0 = i + i\n");
    for (int k = 1; k < 60; k++)
        fprintf(f, "        a%d = a%d + a%d\n", k, k - 1, k - 1);
    fprintf(f, "        j = a59 - 1\n        y = w.index_select(0, j)\n        return (y,)\n");
    fclose(f);
    write_text("doubled.py", text);
    free(text);
}

static void set_up(void) {
    tool_enter("tool");
    write_text("mul.py", graph_mul);
    write_text("take.py", graph_take);
    write_doubled();
    write_text("far.json", "{\"w\": [4611686018427387904, 1]}");
    write_text("unknown.py", graph_unknown);
    write_text("bad.py", graph_bad);
    write_text("masks.py", graph_masks);
    write_text("branches.py", graph_branches);
    write_text("dims.py", graph_dims);
}

/* --- caches that are only read --- */

static void compiled_and_hits(const char *options, long long compiled, long long hits) {
    result r = jitc("compile --json --arch host -q %s mul.py", options);
    json_t *j = expect_json(&r, 0);
    ck_assert_msg(number(j, "compiled") == compiled && number(j, "hits") == hits, "%s: %lld compiled, %lld hits; %s", options,
                  number(j, "compiled"), number(j, "hits"), r.err);
    json_decref(j);
}

START_TEST(read_caches) {
    result r = jitc("compile --arch host --cache filled -o m.jitc mul.py");
    expect(&r, 0);
    compiled_and_hits("--no-cache", 1, 0);
    compiled_and_hits("--no-cache --read-cache filled", 0, 1);
    compiled_and_hits("--no-cache --read-cache m.jitc", 0, 1);
    compiled_and_hits("--no-cache --read-cache nowhere --read-cache m.jitc", 0, 1);
    compiled_and_hits("--no-cache --read-cache m.jitc --range 1:64", 1, 0); /* another range, another key */
    compiled_and_hits("--no-cache --read-cache m.jitc --mode strict", 1, 0);
    compiled_and_hits("--cache own --read-cache m.jitc", 0, 1);
    ck_assert_int_ne(access("own", F_OK), 0); /* a hit is not copied */
    r = jitc("run --verify --device host --no-cache --read-cache m.jitc mul.py");
    expect(&r, 0);
    r = jitc("compile --arch host --no-cache --read-cache nowhere mul.py");
    expect(&r, 0);
    ck_assert_msg(strstr(r.err, "warning") && strstr(r.err, "nowhere"), "%s", r.err);
    r = jitc("check --arch host --no-cache --read-cache m.jitc --max-misses 0 mul.py");
    expect(&r, 0);
    r = jitc("check --arch host --no-cache --max-misses 0 mul.py");
    expect(&r, 1);
}
END_TEST

/* A damaged bundle, or one that is none, is passed over. */
START_TEST(read_cache_damaged) {
    size_t n;
    result r = jitc("compile --arch host --no-cache -o m.jitc mul.py");
    expect(&r, 0);
    char *bytes = whole("m.jitc", &n);
    bytes[n / 2] ^= 1;
    FILE *f = fopen("bad.jitc", "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
    compiled_and_hits("--no-cache --read-cache bad.jitc", 1, 0);
    r = jitc("compile --arch host --no-cache --read-cache bad.jitc --read-cache mul.py mul.py");
    expect(&r, 0);
    ck_assert_msg(strstr(r.err, "bad.jitc") && strstr(r.err, "damaged") && strstr(r.err, "mul.py is not"), "%s", r.err);
}
END_TEST

/* --- usage and errors --- */

static const struct {
    const char *args;
    int code;
    const char *says; /* on standard error, or on standard output where code is 0 */
} usage[] = {
    { "", 2, "usage: jitc" },
    { "--help", 0, "explain" },
    { "split --help", 0, "--no-lift-names" },
    { "run --help", 0, "--verify" },
    { "version", 0, "jitc 0.1.0" },
    { "--version", 0, "jitc 0.1.0" },
    { "doctor", 0, "host" },
    { "splt x.py", 2, "did you mean 'split'" },
    { "frobnicate", 2, "no subcommand 'frobnicate'" },
    { "split", 2, "needs a file" },
    { "version mul.py", 2, "takes no file" },
    { "split --jsn mul.py", 2, "did you mean --json" },
    { "split --verify mul.py", 2, "jitc split takes no --verify" },
    { "compile --arch", 2, "--arch needs a value" },
    { "split --json=1 mul.py", 2, "takes no value" },
    { "compile --jobs x mul.py", 2, "takes a number" },
    { "compile --arch sm_9000 mul.py", 2, "sm_" },
    { "compile --mode fast mul.py", 2, "fused or strict" },
    { "compile --arch host --provider mul=cublas mul.py", 2, "native" },
    { "compile --arch host --provider frob=native mul.py", 2, "no operator 'frob'" },
    { "compile --arch host --range s9=1:2 mul.py", 2, "s9" },
    { "compile --arch host --range 1:x mul.py", 2, "LO:HI" },
    { "run --device host --sym s9=4 mul.py", 2, "s9" },
    { "run --device host --sym s0 mul.py", 2, "SYMBOL=NUMBER" },
    { "run --device host --sym s0=-5 mul.py", 4, "symbols start at 0, as sizes do" },
    { "run --device host --name q=x mul.py", 2, "no graph has a parameter 'q'" },
    { "run --device host --piece submod_7 mul.py", 2, "no piece 'submod_7'" },
    { "run --device toaster mul.py", 6, "toaster" },
    { "run --device host --arch sm_80 mul.py", 2, "does not run on" },
    { "dump mul.py", 2, "--stage" },
    { "dump --stage=magic mul.py", 2, "no stage 'magic'" },
    { "dump --stage=ptx --arch host mul.py", 2, "needs a GPU" },
    { "check mul.py", 2, "needs a limit" },
    { "run --device host --verify dims.py", 0, "all results agree" },
    { "run --device host --verify --sym s0=30 --sym s1=20 --sym s2=50 dims.py", 0, "all results agree" },
    { "run --device host --sym s0=3 dims.py", 3, "the size of 'x'" },
    { "split nowhere.py", 3, "nowhere.py" },
    { "split bad.py", 3, "bad.py:3" },
    { "run --device host --inputs nowhere.safetensors mul.py", 3, "nowhere.safetensors" },
    { "run --device host --inputs mul.py mul.py", 3, "mul.py" },
    { "run --device host --names mul.py mul.py", 3, "mul.py:1" },
    { "split --strides mul.py mul.py", 3, "no valid JSON" },
    { "split /dev/zero", 3, "NUL" },
    { "run --device host --strides far.json doubled.py", 3, "further apart than 2^63 bytes" },
    { "run --device host doubled.py", 3, "out of range" }, /* 2^60 times the index: found at once, not by 2^60 ways back */
    { "run --device host --plugin nowhere.so mul.py", 3, "nowhere.so" },
    { "split unknown.py", 0, "1 piece" },
    { "split --split-op torch.frobnicate unknown.py", 0, "1 piece" },
    { "split --split-op operator.mul mul.py", 0, "2 pieces" },
    { "run --device host --split-op aten::mul --verify mul.py", 0, "all results agree" },
    { "split --split-op mull mul.py", 2, "near it are: operator.mul" },
    { "compile --arch host --split-op embedding --split-op vllm::mul mul.py take.py", 2, "call nothing of that name" },
    { "compile --arch host unknown.py", 4, "unknown.py:3" },
    { "compile --arch host masks.py", 4, "masks.py:3: operator.getitem gives as many elements as values say" },
    { "compile --arch host masks.py", 4, "masks.py:4: operator.getitem gives as many elements as values say" },
    { "compile --arch host masks.py", 4, "masks.py:5:27: `nonzero` is not supported: it gives as many elements as values say" },
    { "compile --arch host masks.py", 4, "masks.py:6:27: `nonzero` is not supported: it gives as many elements as values say" },
    { "compile --arch host masks.py", 4, "masks.py:7:24: `masked_select` is not supported: it gives as many elements as values say" },
    { "compile --arch host masks.py", 4, "masks.py:8: torch.where gives as many elements as values say" },
    { "compile --arch host masks.py", 4, "masks.py:10:24: `unique` is not supported: it gives as many elements as values say" },
    { "dump --stage=plan --arch host unknown.py", 4, "unknown.py:3" },
    { "dump --stage=canonical unknown.py", 0, "?torch.frobnicate" },
    { "bench --device host unknown.py", 4, "unknown.py:3" },
    { "run --device host branches.py", 4, "branches.py:10: torch.frobnicate" },
    { "run --device host branches.py", 4, "branches.py:15: Tensor.defrobnicate" },
    { "dump --stage=fused branches.py", 4, "branches.py:15: Tensor.defrobnicate" },
};

START_TEST(test_usage) {
    result r = jitc("%s", usage[_i].args);
    const char *said = usage[_i].code ? r.err : r.out;
    ck_assert_msg(r.code == usage[_i].code, "jitc %s: exit code %d instead of %d: %s", usage[_i].args, r.code,
                  usage[_i].code, r.err);
    ck_assert_msg(strstr(said, usage[_i].says) != NULL, "jitc %s does not say '%s' but: %s", usage[_i].args,
                  usage[_i].says, said);
}
END_TEST

START_TEST(test_error_json) {
    result r = jitc("split --json bad.py");
    json_t *j = expect_json(&r, 3), *e = json_object_get(j, "error");
    ck_assert_str_eq(text(e, "status"), "E_INPUT");
    ck_assert_str_eq(text(e, "file"), "bad.py");
    ck_assert_int_eq(number(e, "line"), 3);
    ck_assert_ptr_nonnull(strstr(text(e, "message"), "f32[8]"));
    ck_assert_ptr_nonnull(strstr(r.err, "jitc: bad.py:3"));
    json_decref(j);
    r = jitc("split --jsn --json bad.py");
    j = expect_json(&r, 2);
    ck_assert_str_eq(text(json_object_get(j, "error"), "status"), "E_USAGE");
    json_decref(j);
}
END_TEST

START_TEST(test_full_disk) {
    /* Standard output that cannot be written is not a success. */
    if (access("/dev/full", W_OK) != 0) {
        fprintf(stderr, "SKIP: there is no /dev/full\n");
        return;
    }
    int status = system(JITC " split mul.py > /dev/full 2> stderr.txt");
    ck_assert_int_eq(WEXITSTATUS(status), 3);
}
END_TEST

/* --- split and explain --- */

START_TEST(test_split_seed) {
    result r = jitc("split --json " SEED10 " " SEED13);
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "pieces"), 2);
    ck_assert_int_eq(number(j, "classes"), 1);
    const json_t *a = item(j, "piece", 0), *b = item(j, "piece", 1);
    ck_assert_str_eq(text(a, "file"), SEED10);
    ck_assert_int_eq(number(a, "class"), 0);
    ck_assert_int_eq(number(b, "class"), 0);
    ck_assert_uint_eq(strlen(text(a, "key")), 64);
    ck_assert_str_eq(text(a, "key"), text(b, "key"));
    ck_assert(json_is_false(json_object_get(a, "splitting")));
    ck_assert_str_eq(json_string_value(item(a, "layer_names", 0)), NAME10);
    ck_assert_str_eq(json_string_value(item(b, "layer_names", 0)), NAME13);
    json_decref(j);

    r = jitc("split --json --no-lift-names " SEED10 " " SEED13);
    j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "classes"), 2);
    json_decref(j);
}
END_TEST

START_TEST(test_split_text) {
    result r = jitc("split " SEED10 " " SEED13);
    expect(&r, 0);
    ck_assert_ptr_nonnull(strstr(r.out, "2 pieces, 1 class\n"));
    ck_assert_ptr_nonnull(strstr(r.out, NAME10));
    ck_assert_ptr_nonnull(strstr(r.out, NAME13));
}
END_TEST

/* README shows what this prints: a key that changes changes there as well. */
START_TEST(test_split_readme) {
    result r = jitc("split " SEED10 " " SEED13);
    expect(&r, 0);
    const char *line = strstr(r.out, "class 0 ");
    ck_assert_ptr_nonnull(line);
    const char *shown = jc_arena_printf(arena, "%.*s\n", (int)strcspn(line, "\n"), line);
    ck_assert_msg(strstr(whole(TEST_SRCDIR "/README.md", NULL), shown) != NULL, "README.md does not show %s", shown);
}
END_TEST

START_TEST(test_split_stdin) {
    write_text("stdin.txt", graph_mul);
    result r = jitc("split --json -");
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "pieces"), 1);
    json_decref(j);
}
END_TEST

START_TEST(test_explain) {
    result r = jitc("explain --json " SEED10 " " SEED13);
    json_t *j = expect_json(&r, 0);
    ck_assert(json_is_true(json_object_get(j, "same")));
    ck_assert(json_is_null(json_object_get(j, "first_difference")));
    json_decref(j);

    r = jitc("explain --json --no-lift-names " SEED10 " " SEED13);
    j = expect_json(&r, 1);
    const json_t *d = json_object_get(j, "first_difference");
    ck_assert(json_is_false(json_object_get(j, "same")));
    ck_assert_ptr_nonnull(strstr(text(d, "a"), NAME10));
    ck_assert_ptr_nonnull(strstr(text(d, "b"), NAME13));
    ck_assert_int_eq(number(d, "a_line"), 8);
    ck_assert_int_eq(number(d, "b_line"), 8);
    ck_assert(json_is_integer(json_object_get(d, "node")));
    /* Of the key, the canonical form differs and nothing else. */
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(j, "key_fields"), i, f)
        ck_assert_int_eq(json_is_true(json_object_get(f, "same")), strcmp(text(f, "field"), "canonical form") != 0);
    ck_assert_uint_ge(i, 5);
    json_decref(j);

    r = jitc("explain mul.py take.py");
    expect(&r, 1);
    r = jitc("explain mul.py#submod_0 mul.py");
    expect(&r, 0);
    r = jitc("explain mul.py#submod_4 mul.py");
    expect(&r, 2);
}
END_TEST

START_TEST(test_explain_set) {
    result r = jitc("explain --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "classes"), 1);
    ck_assert(json_is_null(json_object_get(item(j, "class", 0), "nearest")));
    json_decref(j);
}
END_TEST

/* --- compile, check, dump --- */

START_TEST(test_compile) {
    result r = jitc("compile --arch host --json " SEED10 " " SEED13);
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "pieces"), 2);
    ck_assert_int_eq(number(j, "classes"), 1);
    ck_assert_int_eq(number(j, "compiled"), 1);
    ck_assert_int_eq(number(j, "hits"), 0);
    long long total = number(json_object_get(j, "kernels"), "total");
    ck_assert_int_ge(total, 1);
    ck_assert_int_eq(number(json_object_get(j, "kernels"), "compiled"), number(json_object_get(j, "kernels"), "unique"));
    static const char *const phases[] = { "read", "split", "canonicalise", "hash", "lookup", "llvm", "assemble", "total" };
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        ck_assert_msg(json_is_real(json_object_get(json_object_get(j, "ms"), phases[i])), "ms.%s", phases[i]);
    ck_assert_str_eq(text(item(j, "operators", 0), "op"), "vllm::gdn_in_proj");
    json_decref(j);

    r = jitc("compile --arch host --json " SEED13);
    j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "compiled"), 0);
    ck_assert_int_eq(number(j, "hits"), 1);
    ck_assert_int_eq(number(json_object_get(j, "kernels"), "total"), total);
    ck_assert_int_eq(number(json_object_get(j, "kernels"), "compiled"), 0);
    json_decref(j);
}
END_TEST

START_TEST(test_compile_archs) {
    result r = jitc("compile --arch sm_80,sm_90a,host --range 1:16 --range 17:4096 --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "classes"), 1);
    ck_assert_int_eq(number(j, "compiled"), 6); /* three archs, two ranges */
    json_decref(j);
}
END_TEST

START_TEST(test_check) {
    result r = jitc("check --max-classes 1 mul.py");
    expect(&r, 0);
    r = jitc("check --max-classes 1 mul.py take.py");
    expect(&r, 1);
    r = jitc("check --max-misses 0 --arch host --json mul.py");
    json_t *j = expect_json(&r, 1);
    ck_assert_int_eq(number(j, "misses"), 1);
    json_decref(j);
    r = jitc("compile --arch host mul.py");
    expect(&r, 0);
    r = jitc("check --max-misses 0 --arch host mul.py");
    expect(&r, 0);
}
END_TEST

static const struct {
    const char *args, *has;
} dumps[] = {
    { "--stage=text", "torch.empty_like(add)" },
    { "--stage=graph", "mul(" },
    { "--stage=split", "call submod_0" },
    { "--stage=split --piece submod_0", "func submod_0" },
    { "--stage=canonical", "s0" },
    { "--stage=decomposed", "add(" },
    { "--stage=fused --arch host", "store" },
    { "--stage=plan --arch host", "launch k0" },
    { "--stage=llvm --arch host", "define" },
    { "--stage=ptx --arch sm_90a", ".target sm_90a" },
    { "--stage=canonical --json", "\"stage\": \"canonical\"" },
};

START_TEST(test_dump) {
    result r = jitc("dump %s mul.py", dumps[_i].args);
    expect(&r, 0);
    ck_assert_msg(strstr(r.out, dumps[_i].has) != NULL, "dump %s lacks '%s':\n%s", dumps[_i].args, dumps[_i].has, r.out);
}
END_TEST

/* Written inputs are results too, and what is right near either way of the reference is right. */
START_TEST(test_written) {
    static const char *const ways[] = { "host --mode fused", "host --mode strict", "sim --mode fused", "sim --mode strict" };
    write_text("write.py", GRAPH("x: \"f32[4]\", y: \"f32[4]\"", "z = x.add_(y)\n        y = x * 2"));
    write_text("overflow.py", GRAPH("x: \"f32[4]\"", "a = x * x\n        b = a * 3e38\n        c = b * 3e38\n        y = c * 3e38"));
    result r = jitc("run write.py --verify --outputs out.safetensors --device %s", ways[_i]);
    expect(&r, 0);
    ck_assert_msg(strstr(r.out, "mut:x") != NULL && strstr(r.out, "BAD") == NULL, "%s", r.out);
    ck_assert_ptr_nonnull(strstr(whole("out.safetensors", NULL) + 8, "\"mut:x\""));
    ck_assert_ptr_null(strstr(r.out, "mut:y"));
    r = jitc("run overflow.py --verify --device %s", ways[_i]);
    expect(&r, 0);
}
END_TEST

/* What a dump of LLVM's IR is to be read by: instructions of the tape by number and name, loops, rows, sums, arguments. */
static const struct {
    const char *file, *arch, *has[9];
} named[] = {
    { "norm.py", "sm_90a", { "%thread = ", "%row = ", "ptr addrspace(1) align 16 %p1", "%v0.load = ", "%v2.row.sum = ", "%v7.rsqrt = ",
                             "br i1 %row.valid, label %store.then", "%p3.at = " } },
    { "norm.py", "host", { "ptr %args, i64 %first, i64 %last", "%p1 = load ptr", "row.body:", "%row.next = ", "%v2.row.sum = " } },
    { "point.py", "sm_90a", { "%point = ", "%v1.sin = ", "%v1.sin.fmul", "%v2.load = ", "%p3.at = " } },
    { "point.py", "host", { "column.body:", "%column.more = ", "%v1.sin = ", "tail.body:", "%points = " } },
    { "product.py", "sm_90a", { "k.body:", "%k.next = ", "%sum.warp = ", "%a.row = ", "%b.row = ", "round.body:", "%copy.to = ", "%warp.m = " } },
    { "product.py", "host", { "ptr %tile, i64 %k.size", "k.body:", "%a.row0", "%b.row1", "row.body:" } },
    { "product.py", "sim", { "%args, ptr %self", "%block = ", "%shared_memory = ", "%shuffled" } },
};

START_TEST(test_dump_names) {
    write_text("norm.py", GRAPH("x: \"bf16[s0, 256]\", w: \"bf16[256]\"",
                                "y: \"bf16[s0, 256]\" = torch.ops.vllm_ir.rms_norm.default(x, w, 1e-06, None)"));
    write_text("point.py", GRAPH("x: \"bf16[s0, 301]\", w: \"f32[s0, 301]\"", "y: \"f32[s0, 301]\" = torch.sin(x) + w"));
    write_text("product.py", GRAPH("x: \"bf16[s0, 256]\", w: \"bf16[512, 256]\"",
                                   "y: \"bf16[s0, 512]\" = torch._C._nn.linear(x, w, None)"));
    result r = jitc("dump --stage=llvm --arch %s %s", named[_i].arch, named[_i].file);
    expect(&r, 0);
    for (const char *const *has = named[_i].has; *has; has++)
        ck_assert_msg(strstr(r.out, *has) != NULL, "%s for %s lacks '%s':\n%.3000s", named[_i].file, named[_i].arch, *has, r.out);
    for (const char *at = r.out; *at; at++)
        if ((at[0] == '%' || at[0] == '\n') && isdigit((unsigned char)at[1]))
            ck_abort_msg("%s for %s has something without a name: %.60s", named[_i].file, named[_i].arch, at);
}
END_TEST

START_TEST(test_dump_file) {
    result r = jitc("dump --stage=canonical -o out.txt mul.py");
    expect(&r, 0);
    ck_assert_str_eq(r.out, "");
    result plain = jitc("dump --stage=canonical mul.py");
    ck_assert_str_eq(whole("out.txt", NULL), plain.out);
    r = jitc("dump --stage=canonical -o nowhere/out.txt mul.py");
    expect(&r, 3);
}
END_TEST

/* A hit in this process, which has no LLVM of its own: neither code generator nor assembler may be mapped. */
START_TEST(test_hit_maps_no_llvm) {
    static const char *const never[] = { "LLVM", "jitc-llvm", "nvJitLink", "ptxjitcompiler", "nvptxcompiler" };
    static const char *const archs[] = { "host", "sm_90a" };
    for (size_t a = 0; a < 2; a++) {
        result r = jitc("compile --arch %s " SEED10, archs[a]);
        expect(&r, 0);
        jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "cache", .device = "host" };
        jitc_model_options mo = { .struct_size = sizeof mo, .arch = archs[a] };
        jitc_model_stats stats = { .struct_size = sizeof stats };
        jitc_context *ctx;
        jitc_graph *graph;
        jitc_model *model;
        ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
        ck_assert_int_eq(jitc_graph_read_file(ctx, SEED13, &graph), JITC_OK);
        ck_assert_msg(jitc_model_build(ctx, &graph, 1, &mo, &model) == JITC_OK, "%s", jitc_context_error(ctx));
        jitc_model_get_stats(model, &stats);
        ck_assert_uint_eq(stats.compiled, 0);
        ck_assert_uint_eq(stats.hits, 1);
        FILE *f = fopen("/proc/self/maps", "r");
        char line[4200];
        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof line, f))
            for (size_t i = 0; i < sizeof never / sizeof *never; i++)
                ck_assert_msg(strstr(line, never[i]) == NULL, "a hit for %s mapped %s", archs[a], line);
        fclose(f);
        jitc_context_free(ctx);
    }
}
END_TEST

/* --- run --- */

static void write_inputs(const char *path, float *x, int64_t rows, float *w) {
    jc_error err = JC_ERROR_INIT;
    jc_st_tensor at[] = { { "x", JC_F32, 2, { rows, 4 }, x, (size_t)rows * 16 }, { "w", JC_F32, 1, { 4 }, w, 16 } };
    ck_assert_msg(jc_st_write(arena, path, at, w ? 2 : 1, &err) == JITC_OK, "%s", err.message);
}

static const jc_st_tensor *read_output(const char *path, const char *name, uint32_t *count) {
    jc_error err = JC_ERROR_INIT;
    jc_st_file file;
    ck_assert_msg(jc_st_read(arena, path, &file, &err) == JITC_OK, "%s", err.message);
    if (count)
        *count = file.n;
    return jc_st_find(&file, name);
}

static const char *const devices[] = { "host", "sim" };

START_TEST(test_run_numbers) {
    float x[8] = { 0, 1, 2, 3, -4, 5, -6, 7 }, w[4] = { 1, 2, 0.5f, -1 };
    float want[8] = { 1, 3, 2, -2, -3, 11, -2, -6 }; /* x*w + 1 */
    uint32_t count;
    write_inputs("in.safetensors", x, 2, w);
    result r = jitc("run --device %s --inputs in.safetensors --outputs out.safetensors --verify --json mul.py", devices[_i]);
    json_t *j = expect_json(&r, 0);
    const jc_st_tensor *out = read_output("out.safetensors", "out0", &count);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(out->rank, 2);
    ck_assert_int_eq(out->dims[0], 2);
    ck_assert_mem_eq(out->data, want, sizeof want);
    ck_assert_uint_eq(count, 2); /* out2 is undefined and left out */
    const jc_st_tensor *s0 = read_output("out.safetensors", "out1", NULL);
    ck_assert_ptr_nonnull(s0);
    ck_assert_int_eq(s0->rank, 0);
    ck_assert_int_eq(s0->dtype, JC_I64);
    ck_assert_int_eq(*(const int64_t *)s0->data, 2);
    ck_assert_str_eq(text(item(j, "outputs", 0), "name"), "out0");
    ck_assert_str_eq(text(item(j, "outputs", 0), "dtype"), "f32");
    ck_assert(json_number_value(json_object_get(item(j, "outputs", 0), "rel_l2")) == 0);
    ck_assert(json_number_value(json_object_get(item(j, "outputs", 1), "max_abs")) == 0);
    ck_assert(json_is_true(json_object_get(item(j, "outputs", 2), "undefined")));
    ck_assert(json_number_value(json_object_get(item(j, "outputs", 2), "rel_l2")) == 0);
    json_decref(j);
}
END_TEST

START_TEST(test_run_made_up) {
    uint32_t count;
    result r = jitc("run --device host --sym s0=64 --outputs a.safetensors --verify take.py");
    expect(&r, 0);
    const jc_st_tensor *ids = read_output("a.safetensors", "out1", &count);
    ck_assert_ptr_nonnull(ids);
    ck_assert_int_eq(ids->dims[0], 64);
    bool last = false;
    for (int i = 0; i < 64; i++) {
        int64_t id = ((const int64_t *)ids->data)[i];
        ck_assert_msg(id >= 0 && id < 5, "index %lld into a table of 5 rows", (long long)id);
        last |= id == 4;
    }
    ck_assert_msg(last, "none of 64 made-up indices is the last row");
    r = jitc("run --device host --sym s0=64 --outputs b.safetensors take.py");
    expect(&r, 0);
    r = jitc("run --device host --sym s0=64 --seed 1 --outputs c.safetensors take.py");
    expect(&r, 0);
    size_t na, nb, nc;
    char *a = whole("a.safetensors", &na), *b = whole("b.safetensors", &nb), *c = whole("c.safetensors", &nc);
    ck_assert_uint_eq(na, nb);
    ck_assert_mem_eq(a, b, na);
    ck_assert(na == nc && memcmp(a, c, na) != 0);
    r = jitc("run --device host mul.py");
    expect(&r, 0);
    ck_assert_ptr_nonnull(strstr(r.err, "s0=8"));
}
END_TEST

START_TEST(test_run_empty) {
    result r = jitc("run --device host --sym s0=0 --verify --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(item(j, "outputs", 0), "shape"), 0)), 0);
    json_decref(j);
}
END_TEST

START_TEST(test_run_bad_inputs) {
    float x[8] = { 0 };
    int64_t wide[8] = { 0 };
    jc_error err = JC_ERROR_INIT;
    write_inputs("in.safetensors", x, 2, NULL);
    result r = jitc("run --device host --inputs in.safetensors --sym s0=3 mul.py");
    expect(&r, 3);
    ck_assert_ptr_nonnull(strstr(r.err, "s0"));
    jc_st_tensor at[] = { { "x", JC_I64, 2, { 2, 4 }, wide, sizeof wide } };
    ck_assert_int_eq(jc_st_write(arena, "wide.safetensors", at, 1, &err), JITC_OK);
    r = jitc("run --device host --inputs wide.safetensors mul.py");
    expect(&r, 3);
    ck_assert_ptr_nonnull(strstr(r.err, "'x' is i64, but the graph wants f32"));
    at[0] = (jc_st_tensor){ "x", JC_F32, 2, { 4, 2 }, x, sizeof x };
    ck_assert_int_eq(jc_st_write(arena, "flat.safetensors", at, 1, &err), JITC_OK);
    r = jitc("run --device host --inputs flat.safetensors mul.py");
    expect(&r, 3);
    r = jitc("run --device host --outputs nowhere/out.safetensors mul.py");
    expect(&r, 3);
}
END_TEST

START_TEST(test_run_seed) {
    result r = jitc("run --device host --plugin " PLUGIN " --verify --sym s18=4 --outputs out.safetensors --json " SEED10
                    " " SEED13);
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "pieces"), 2);
    ck_assert_int_eq(number(j, "classes"), 1);
    ck_assert_int_eq(number(j, "compiled"), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "outputs")), 16);
    ck_assert_str_eq(text(item(j, "calls", 0), "op"), "vllm::gdn_in_proj");
    ck_assert_str_eq(text(item(j, "calls", 0), "layer_name"), NAME10);
    ck_assert_str_eq(text(item(j, "calls", 1), "layer_name"), NAME13);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "calls")), 2);
    json_decref(j);
    /* The same inputs, another layer: other numbers from the projection, the same from what does not depend on it. */
    const jc_st_tensor *a = read_output("out.safetensors", "out0", NULL), *b = read_output("out.safetensors", "out8", NULL);
    ck_assert(a && b && a->nbytes == b->nbytes && memcmp(a->data, b->data, a->nbytes) != 0);
    a = read_output("out.safetensors", "out7", NULL);
    b = read_output("out.safetensors", "out15", NULL);
    ck_assert(a && b && a->nbytes == b->nbytes && memcmp(a->data, b->data, a->nbytes) == 0);
    /* Layer 13 alone, without layer 10 before it, gives layer 13's numbers: names travel by value. */
    r = jitc("run --device host --plugin " PLUGIN " --sym s18=4 --outputs alone.safetensors " SEED13 " " SEED13);
    expect(&r, 0);
    a = read_output("out.safetensors", "out8", NULL);
    b = read_output("alone.safetensors", "out0", NULL);
    ck_assert_mem_eq(a->data, b->data, a->nbytes);
    b = read_output("alone.safetensors", "out8", NULL);
    ck_assert_mem_eq(a->data, b->data, a->nbytes);
}
END_TEST

START_TEST(test_run_without_plugin) {
    result r = jitc("run --device host " SEED10);
    expect(&r, 4);
    ck_assert_msg(strstr(r.err, "vllm::gdn_in_proj") && strstr(r.err, "qwen3_5_layer10.py:8") && strstr(r.err, "(Tensor"),
                  "%s", r.err);
}
END_TEST

/* --- what is not supported --- */

static const char graph_refused[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\", q: \"f8e4m3fn[4]\"):\n"
    "        y: \"f32[4]\" = torch.frobnicate(x)\n"
    "        z = q + 1\n"
    "        w: \"f32[4]\" = torch.lobpcg(y, dim = 0)\n"
    "        return (w, z)\n";

/* All of it, each on a line, each once; the first failure first. What does not compile can be looked at all the same. */
START_TEST(all_unsupported) {
    static const int lines[] = { 3, 4, 5 };
    static const char *const commands[] = { "compile --arch host", "run --device host", "bench --device host" };
    write_text("refused.py", graph_refused);
    for (size_t c = 0; c < 3; c++) {
        result r = jitc("%s refused.py", commands[c]);
        expect(&r, 4);
        ck_assert_msg(strncmp(r.err, "jitc: refused.py:4:", 19) == 0, "%s", r.err); /* what the reader has no code for */
        for (size_t i = 0; i < 3; i++) {
            char place[32], *at;
            snprintf(place, sizeof place, "\njitc: refused.py:%d:", lines[i]);
            at = strstr(r.err, place);
            ck_assert_msg(lines[i] == 4 ? at == NULL : at != NULL && strstr(at + 1, place) == NULL, "%s", r.err);
        }
        r = jitc("%s --json refused.py", commands[c]);
        json_t *j = expect_json(&r, 4);
        ck_assert_uint_eq(json_array_size(json_object_get(j, "unsupported")), 3);
        for (size_t i = 0; i < 3; i++)
            ck_assert_int_eq(number(item(j, "unsupported", i), "line"), lines[i]);
        ck_assert_str_eq(text(item(j, "unsupported", 0), "op"), "torch.frobnicate");
        ck_assert_str_eq(text(item(j, "unsupported", 2), "node"), "w");
        json_decref(j);
    }
    result r = jitc("explain --json --arch host refused.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "unsupported")), 3);
    json_decref(j);
    r = jitc("split --json refused.py");
    j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "classes"), 1);
    json_decref(j);
}
END_TEST

/* What can be read is compared all the same, and the rest is said. */
START_TEST(explain_unsupported) {
    result r = jitc("explain --arch host unknown.py");
    expect(&r, 0);
    ck_assert_msg(strstr(r.out, "not supported by host") && strstr(r.out, "unknown.py:3: torch.frobnicate"), "%s", r.out);
    r = jitc("explain --json --arch host mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "unsupported")), 0);
    json_decref(j);
}
END_TEST

START_TEST(test_run_piece) {
    result r = jitc("run --device host --piece submod_0 --verify --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "outputs")), 3);
    json_decref(j);
}
END_TEST

START_TEST(test_run_time) {
    result r = jitc("run --device host --repeat 5 --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert(json_is_real(json_object_get(item(j, "run", 0), "median_us")));
    json_decref(j);
}
END_TEST

START_TEST(test_cache_trouble) {
    /* A cache that cannot be used is no reason to fail. */
    write_text("nodir", "x");
    result r = jitc("compile --arch host --cache nodir --json mul.py");
    json_t *j = expect_json(&r, 0);
    ck_assert_int_eq(number(j, "compiled"), 1);
    ck_assert_ptr_nonnull(strstr(r.err, "warning"));
    json_decref(j);
    r = jitc("compile --arch host --no-cache mul.py");
    expect(&r, 0);
    ck_assert_int_ne(access("cache", F_OK), 0);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("tool");
    TCase *t = tcase_create("tool");
    tcase_add_checked_fixture(t, set_up, tool_leave);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, read_caches);
    tcase_add_test(t, read_cache_damaged);
    tcase_add_loop_test(t, test_usage, 0, sizeof usage / sizeof *usage);
    tcase_add_test(t, test_error_json);
    tcase_add_test(t, test_full_disk);
    tcase_add_test(t, test_split_seed);
    tcase_add_test(t, test_split_readme);
    tcase_add_test(t, test_split_text);
    tcase_add_test(t, test_split_stdin);
    tcase_add_test(t, test_explain);
    tcase_add_test(t, test_explain_set);
    tcase_add_test(t, test_compile);
    tcase_add_test(t, test_compile_archs);
    tcase_add_test(t, test_check);
    tcase_add_loop_test(t, test_dump, 0, sizeof dumps / sizeof *dumps);
    tcase_add_loop_test(t, test_dump_names, 0, sizeof named / sizeof *named);
    tcase_add_loop_test(t, test_written, 0, 4);
    tcase_add_test(t, test_dump_file);
    tcase_add_test(t, test_hit_maps_no_llvm);
    tcase_add_loop_test(t, test_run_numbers, 0, sizeof devices / sizeof *devices);
    tcase_add_test(t, test_run_made_up);
    tcase_add_test(t, test_run_empty);
    tcase_add_test(t, test_run_bad_inputs);
    tcase_add_test(t, test_run_seed);
    tcase_add_test(t, test_run_without_plugin);
    tcase_add_test(t, test_run_piece);
    tcase_add_test(t, test_run_time);
    tcase_add_test(t, test_cache_trouble);
    tcase_add_test(t, all_unsupported);
    tcase_add_test(t, explain_unsupported);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
