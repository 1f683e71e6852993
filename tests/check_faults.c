/*
 * tests/check_faults.c - memory runs out at every allocation, one after the other.
 *
 * The user's allocator counts: allocation number N fails, alone or with all that follow.  N goes from 0 until a whole
 * scenario passes without reaching it.  Each call must answer ok or JITC_E_NOMEM; with one failure alone the call is made again
 * and must be ok, and the numbers right.  At the end every byte has been given back, with its size, and no file
 * or mapping is left open.
 *
 * This program has an arena of its own kind, in which every allocation asks the allocator (JC_ARENA_FIRST_BLOCK), so
 * that the points are some hundred and not the few at which a block is full.  Scenarios that write files or compile take each
 * K-th N; what they add to the others is the way to the disk and to the code generator.
 */
#include <check.h>
#include <dirent.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jitc/jitc.h"

#define ROWS 3
#define COLS 4
#define HEAD 16 /* before a block: its size, to be compared when it comes back */

typedef struct meter {
    atomic_long count, live;
    long fail_at;
    bool forever;
    atomic_bool reached, wrong_size;
} meter;

static void *take(void *user, size_t size) {
    meter *m = user;
    long n = atomic_fetch_add(&m->count, 1);
    if (n == m->fail_at || (m->forever && n > m->fail_at)) {
        atomic_store(&m->reached, true);
        return NULL;
    }
    char *block = malloc(size + HEAD);
    ck_assert_ptr_nonnull(block);
    memcpy(block, &size, sizeof size);
    atomic_fetch_add(&m->live, (long)size);
    memset(block + HEAD, 0xa5, size); /* nobody may count on zeros */
    return block + HEAD;
}

static void give(void *user, void *block, size_t size) {
    meter *m = user;
    size_t was;
    if (!block)
        return;
    memcpy(&was, (char *)block - HEAD, sizeof was);
    if (was != size)
        atomic_store(&m->wrong_size, true);
    atomic_fetch_sub(&m->live, (long)size);
    free((char *)block - HEAD);
}

/* ---- the scenarios ---------------------------------------------------------------------------------------------- */

static const char text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 4]\", w: \"f32[s0, 4]\"):\n"
    "        submod_0 = self.submod_0(x, s0, w);  x = w = None\n"
    "        a: \"f32[s0, 4]\" = submod_0[0]\n"
    "        b: \"f32[s0, 4]\" = submod_0[1];  submod_0 = None\n"
    "        submod_1 = self.submod_1(a, s0, b)\n"
    "        y: \"f32[s0, 4]\" = submod_1[0];  submod_1 = None\n"
    "        return (y, b)\n"
    "\n"
    "    class submod_0(torch.nn.Module):\n"
    "        def forward(self, x: \"f32[s0, 4]\", s0: \"Sym(s0)\", w: \"f32[s0, 4]\"):\n"
    "            m: \"f32[s0, 4]\" = x * 2.0\n"
    "            n: \"f32[s0, 4]\" = m + w\n"
    "            r: \"f32[s0, 1]\" = x.sum(dim = -1, keepdim = True)\n"
    "            o: \"f32[s0, 4]\" = w + r\n"
    "            return (n, o)\n"
    "\n"
    "    class submod_1(torch.nn.Module):\n"
    "        def forward(self, p: \"f32[s0, 4]\", s0: \"Sym(s0)\", q: \"f32[s0, 4]\"):\n"
    "            t: \"f32[s0, 4]\" = torch.ops.test.twice(p, 3, 'model.layers.0.attn')\n"
    "            u: \"f32[s0, 4]\" = t - q\n"
    "            return (u,)\n";

typedef struct scenario {
    const char *name;
    const char *device, *arch; /* ARCH NULL: the device's */
    bool split_only, warm;     /* WARM: the disk cache has it all */
    bool bundle;               /* saved and loaded on the way */
    bool rest;                 /* and all other calls */
    unsigned threads;
    int step;                  /* each STEP-th N */
} scenario;

/* An input that is read from a file. */
static char dir[64], graph_path[96], cache_path[96], bundle_path[96];

/* y = 2 x + n */
static int twice(jitc_call *call, const DLTensor *x, int64_t n, const jitc_layer_name *name, DLTensor *y) {
    if (strcmp(jitc_layer_name_text(name), "model.layers.0.attn") != 0)
        return snprintf(call->error, call->error_size, "wrong name"), 1;
    for (int64_t i = 0; i < x->shape[0] * COLS; i++)
        ((float *)((char *)y->data + y->byte_offset))[i] = 2 * ((const float *)((const char *)x->data + x->byte_offset))[i] + (float)n;
    return 0;
}

/* What ran out of memory says so. */
static bool has_record(jitc_context *ctx) {
    jitc_error_info info = { .struct_size = sizeof info };
    jitc_context_error_info(ctx, &info);
    return info.status == JITC_E_NOMEM && strstr(info.message, "memory") && strstr(jitc_context_error(ctx), "memory");
}

/* Makes the call again after it ran out of memory; gives up where memory does not come back. */
#define CALL(m, expression)                                                                        \
    do {                                                                                           \
        jitc_status call_status = (expression);                                                    \
        ck_assert_msg(call_status == JITC_OK || call_status == JITC_E_NOMEM, "%s: %s: %d: %s", s->name, #expression, \
                      call_status, ctx ? jitc_context_error(ctx) : "");                            \
        ck_assert_msg(call_status == JITC_OK || atomic_load(&(m)->reached), "%s: %s: out of memory without cause", s->name, \
                      #expression);                                                                \
        ck_assert_msg(call_status == JITC_OK || !ctx || has_record(ctx), "%s: %s: %s", s->name, #expression, jitc_context_error(ctx)); \
        if (call_status == JITC_E_NOMEM && (m)->forever)                                           \
            return call_status;                                                                    \
        if (call_status == JITC_E_NOMEM)                                                           \
            ck_assert_msg((call_status = (expression)) == JITC_OK, "%s: %s: again: %d: %s", s->name, #expression, \
                          call_status, ctx ? jitc_context_error(ctx) : "");                        \
    } while (0)

/* With x = 0, 1, 2, ... and w = 100: y = 2 (2 x + 100) + 3 - (100 + the row's sum of x). */
static void right(const scenario *s, const jitc_value *out, int64_t rows) {
    ck_assert_uint_eq(out[0].tag, JITC_TENSOR);
    const DLTensor *y = out[0].tensor, *b = out[1].tensor;
    ck_assert_int_eq(y->shape[0], rows);
    for (int64_t i = 0; i < rows; i++) {
        float sum = (float)(16 * i + 6);
        for (int64_t k = 0; k < COLS; k++) {
            float got = ((float *)((char *)y->data + y->byte_offset))[i * COLS + k], want = 4 * (float)(i * COLS + k) + 203 - 100 - sum;
            ck_assert_msg(got == want, "%s: %g instead of %g", s->name, (double)got, (double)want);
            ck_assert(((float *)((char *)b->data + b->byte_offset))[i * COLS + k] == 100 + sum);
        }
    }
}

static jitc_status run(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model, int64_t rows) {
    float x[ROWS * COLS + 1], w[ROWS * COLS];
    int64_t shape[2] = { rows, COLS };
    for (int i = 0; i < ROWS * COLS; i++) {
        x[i + 1] = (float)i; /* at an address that vectors do not like */
        w[i] = 100;
    }
    DLTensor xt = { .data = x + 1, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape }, wt = xt;
    wt.data = w;
    jitc_value in[3] = { { .tag = JITC_INT, .i = rows }, { .tag = JITC_TENSOR, .tensor = &xt }, { .tag = JITC_TENSOR, .tensor = &wt } };
    jitc_value piece_in[3] = { in[1], in[0], in[2] }, out[2];
    CALL(m, jitc_model_run(model, 0, NULL, in, 3, out, 2));
    right(s, out, rows);
    CALL(m, jitc_piece_run(model, 0, NULL, piece_in, 3, out, 2));
    return JITC_OK;
}

static jitc_status describe(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model) {
    jitc_piece_info piece = { .struct_size = sizeof piece };
    jitc_param_info param = { .struct_size = sizeof param };
    for (uint32_t i = 0; i < jitc_model_params(model, 0); i++)
        CALL(m, jitc_model_param_info(model, 0, i, &param));
    ck_assert_str_eq(param.type, "f32[s0, 4]");
    CALL(m, jitc_model_piece_info(model, 1, &piece));
    ck_assert_uint_eq(piece.nlayer_names, 1);
    ck_assert_str_eq(piece.layer_names[0], "model.layers.0.attn");
    return JITC_OK;
}

/* A failed build may have changed the graph: it is read again. */
static jitc_status read_and_build(const scenario *s, meter *m, jitc_context *ctx, bool from_file, jitc_model **out) {
    jitc_model_options o = { .struct_size = sizeof o, .arch = s->arch, .split_only = s->split_only };
    jitc_graph *graph;
    CALL(m, from_file ? jitc_graph_read_file(ctx, graph_path, &graph) : jitc_graph_read(ctx, "small.py", text, sizeof text - 1, &graph));
    jitc_status status = jitc_model_build(ctx, &graph, 1, &o, out);
    if (status != JITC_OK)
        jitc_graph_free(graph);
    return status;
}

static jitc_status all_the_rest(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model);

static jitc_status all_of_it(const scenario *s, meter *m, jitc_context *ctx) {
    jitc_op_options oo = { .struct_size = sizeof oo };
    jitc_model *model, *loaded;
    const jitc_layer_name *name = jitc_layer_name_intern(ctx, "model.layers.0.attn", ctx);
    ck_assert(name || atomic_load(&m->reached));
    CALL(m, jitc_op_register(ctx, "test::twice(Tensor x, int n, LayerName l = 'none') -> Tensor", (jitc_plain_function)twice, &oo));
    CALL(m, read_and_build(s, m, ctx, false, &model));
    jitc_status status = describe(s, m, ctx, model);
    if (status != JITC_OK || s->split_only || s->arch)
        return status;
    CALL(m, run(s, m, ctx, model, ROWS));
    CALL(m, run(s, m, ctx, model, 2)); /* a smaller one: nothing to make but the plan */
    if (s->bundle) {
        CALL(m, jitc_model_save(model, bundle_path));
        CALL(m, jitc_bundle_load(ctx, bundle_path, NULL, &loaded));
        CALL(m, run(s, m, ctx, loaded, ROWS));
    }
    if (s->rest)
        CALL(m, all_the_rest(s, m, ctx, model));
    jitc_model_free(model);
    CALL(m, read_and_build(s, m, ctx, true, &model)); /* from the memory cache; freed by the context */
    return run(s, m, ctx, model, ROWS);
}

/* ---- the other calls -------------------------------------------------------------------------------------------- */

static void hear(void *user, const jitc_refusal *what) {
    (void)what;
    ++*(int *)user;
}

/* Like a build, one that fails may have changed the graph. */
static jitc_status read_and_explain(const scenario *s, meter *m, jitc_context *ctx) {
    jitc_model_options o = { .struct_size = sizeof o };
    jitc_graph *graph;
    int heard = 0;
    CALL(m, jitc_graph_read_tolerant(ctx, "small.py", text, sizeof text - 1, &graph));
    jitc_status status = jitc_model_explain(ctx, &graph, 1, &o, hear, &heard);
    ck_assert_int_eq(heard, 0);
    jitc_graph_free(graph);
    return status;
}

static jitc_status explain(const scenario *s, meter *m, jitc_context *ctx) {
    jitc_model_options o = { .struct_size = sizeof o, .split_only = true };
    jitc_graph *graph;
    jitc_model *model;
    CALL(m, read_and_explain(s, m, ctx));
    CALL(m, jitc_graph_read_file_tolerant(ctx, graph_path, &graph));
    jitc_status status = jitc_model_build(ctx, &graph, 1, &o, &model);
    if (status != JITC_OK)
        return status;
    jitc_model_free(model);
    CALL(m, jitc_graph_read_file(ctx, TEST_SRCDIR "/tests/data/pt2/plain.pt2", &graph));
    jitc_weight w = { .struct_size = sizeof w };
    for (uint32_t i = 0; i < jitc_graph_weights(graph); i++)
        CALL(m, jitc_graph_weight(graph, i, &w));
    jitc_graph_free(graph);
    return JITC_OK;
}

static jitc_status ask_class(const scenario *s, meter *m, jitc_context *ctx, const jitc_executable *exe) {
    jitc_executable_info info = { .struct_size = sizeof info };
    jitc_executable_param param = { .struct_size = sizeof param };
    jitc_executable_result result = { .struct_size = sizeof result };
    jitc_executable_symbol symbol = { .struct_size = sizeof symbol };
    jitc_executable_variant variant = { .struct_size = sizeof variant };
    jitc_memory memory = { .struct_size = sizeof memory };
    CALL(m, jitc_executable_get_info(exe, &info));
    for (uint32_t i = 0; i < info.nparams; i++)
        CALL(m, jitc_executable_get_param(exe, i, &param));
    for (uint32_t i = 0; i < info.nresults; i++)
        CALL(m, jitc_executable_get_result(exe, i, &result));
    for (uint32_t i = 0; i < info.nsymbols; i++)
        CALL(m, jitc_executable_get_symbol(exe, i, &symbol));
    for (uint32_t i = 0; i < info.nvariants; i++)
        CALL(m, jitc_executable_get_variant(exe, i, &variant));
    CALL(m, jitc_executable_memory(exe, &(jitc_symbol){ NULL, ROWS }, 1, &memory, NULL, 0));
    return JITC_OK;
}

static jitc_status ask_classes(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model) {
    const jitc_executable *exe;
    jitc_piece_input inputs[16];
    uint64_t bytes;
    for (uint32_t i = 0; i < jitc_model_classes(model); i++) {
        jitc_executable_info info = { .struct_size = sizeof info };
        CALL(m, jitc_model_executable(model, i, &exe));
        CALL(m, ask_class(s, m, ctx, exe));
        CALL(m, jitc_executable_get_info(exe, &info));
        CALL(m, jitc_piece_inputs(model, info.piece, inputs, info.nparams));
    }
    CALL(m, jitc_model_memory(model, &(jitc_symbol){ NULL, ROWS }, 1, JITC_RESERVE_GRAPHS, &bytes));
    return JITC_OK;
}

typedef struct kept {
    char at[65536];
    size_t n;
} kept;

static bool keep(void *user, const void *bytes, size_t n) {
    kept *k = user;
    ck_assert_uint_le(n, sizeof k->at);
    memcpy(k->at, bytes, n);
    k->n = n;
    return true;
}

static jitc_status open_bundle(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model) {
    static kept bytes;
    jitc_bundle *bundle;
    jitc_model *of_it;
    const jitc_executable *exe;
    jitc_bundle_info info = { .struct_size = sizeof info };
    jitc_bundle_target target = { .struct_size = sizeof target };
    jitc_bundle_operator operator = { .struct_size = sizeof operator };
    CALL(m, jitc_bundle_write_bytes(ctx, &model, 1, keep, &bytes));
    CALL(m, jitc_bundle_open_bytes(ctx, NULL, bytes.at, bytes.n, &bundle));
    CALL(m, jitc_bundle_get_info(bundle, &info));
    CALL(m, jitc_bundle_get_target(bundle, 0, &target));
    CALL(m, jitc_bundle_get_operator(bundle, 0, &operator));
    for (uint32_t i = 0; i < info.nclasses; i++) {
        CALL(m, jitc_bundle_executable(bundle, 0, i, &exe));
        CALL(m, ask_class(s, m, ctx, exe));
    }
    CALL(m, jitc_bundle_model(bundle, "host", &of_it));
    jitc_bundle_close(bundle);
    CALL(m, run(s, m, ctx, of_it, ROWS));
    return JITC_OK;
}

static jitc_status run_in_frame(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model) {
    float x[ROWS * COLS], w[ROWS * COLS];
    int64_t shape[2] = { ROWS, COLS };
    for (int i = 0; i < ROWS * COLS; i++) {
        x[i] = (float)i;
        w[i] = 100;
    }
    DLTensor xt = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape }, wt = xt;
    wt.data = w;
    jitc_value in[3] = { { .tag = JITC_INT, .i = ROWS }, { .tag = JITC_TENSOR, .tensor = &xt }, { .tag = JITC_NONE } };
    jitc_value weight = { .tag = JITC_TENSOR, .tensor = &wt }, out[2] = { { .tag = JITC_NONE }, { .tag = JITC_NONE } };
    jitc_value piece_in[3] = { in[1], in[0], weight };
    jitc_frame *frame;
    CALL(m, jitc_frame_new(model, NULL, &frame));
    CALL(m, jitc_frame_bind(frame, 0, 2, weight));
    CALL(m, jitc_frame_reserve(frame, &(jitc_symbol){ NULL, ROWS }, 1, JITC_RESERVE_GRAPHS | JITC_RESERVE_PIECES | JITC_RESERVE_RESULTS, NULL));
    CALL(m, jitc_frame_run(frame, 0, NULL, in, 3, out, 2));
    right(s, out, ROWS);
    out[0] = out[1] = (jitc_value){ .tag = JITC_NONE };
    CALL(m, jitc_frame_run_piece(frame, 0, NULL, piece_in, 3, out, 2));
    jitc_frame_free(frame);
    return JITC_OK;
}

static jitc_status all_the_rest(const scenario *s, meter *m, jitc_context *ctx, jitc_model *model) {
    CALL(m, explain(s, m, ctx));
    CALL(m, ask_classes(s, m, ctx, model));
    CALL(m, open_bundle(s, m, ctx, model));
    CALL(m, run_in_frame(s, m, ctx, model));
    CALL(m, jitc_plugin_load(ctx, TEST_BUILDDIR "/tests/plugin_ok.so"));
    return JITC_OK;
}

static jitc_status play(const scenario *s, meter *m) {
    jitc_context_options o = { .struct_size = sizeof o, .alloc = take, .free = give, .alloc_user = m,
                               .cache_dir = s->warm ? cache_path : "", .device = s->device, .threads = s->threads };
    jitc_context *ctx;
    jitc_status status = jitc_context_new(&o, &ctx);
    ck_assert(status == JITC_OK || status == JITC_E_NOMEM);
    if (status == JITC_E_NOMEM && !m->forever) {
        jitc_context_free(ctx);
        status = jitc_context_new(&o, &ctx);
        ck_assert_int_eq(status, JITC_OK);
    }
    if (status == JITC_OK)
        status = all_of_it(s, m, ctx);
    jitc_context_free(ctx);
    return status;
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static int open_files(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Mappings that hold code: what a loaded kernel would leave behind. */
static int code_mappings(void) {
    char line[512];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        n += strstr(line, " r-xp ") && !strchr(line, '/') && !strchr(line, '[');
    fclose(f);
    return n;
}

static void prepare(void) {
    strcpy(dir, "/tmp/jitc-faults-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(graph_path, sizeof graph_path, "%s/small.py", dir);
    snprintf(cache_path, sizeof cache_path, "%s/cache", dir);
    snprintf(bundle_path, sizeof bundle_path, "%s/small.jitc", dir);
    FILE *f = fopen(graph_path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, sizeof text - 1, f), sizeof text - 1);
    fclose(f);
}

static void clean_up(void) {
    char command[128];
    ck_assert(strncmp(dir, "/tmp/jitc-faults-", 17) == 0);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static void given_back(const scenario *s, meter *m, long n) {
    ck_assert_msg(atomic_load(&m->live) == 0, "%s, allocation %ld%s: %ld bytes were not given back", s->name, n,
                  m->forever ? " and all later ones" : "", atomic_load(&m->live));
    ck_assert_msg(!atomic_load(&m->wrong_size), "%s, allocation %ld: a block came back with another size", s->name, n);
}

static const scenario scenarios[] = {
    { "split", "host", NULL, true, false, false, false, 1, 1 },
    { "warm host", "host", NULL, false, true, false, false, 1, 3 },
    { "warm sim", "sim", NULL, false, true, false, false, 1, 11 },
    { "bundle", "host", NULL, false, true, true, false, 1, 7 },
    { "all other calls", "host", NULL, false, true, false, true, 1, 13 },
    { "cold host", "host", NULL, false, false, false, false, 1, 23 },
    { "cold host, two threads", "host", NULL, false, false, false, false, 2, 61 },
    { "cold PTX", "host", "sm_80", false, false, false, false, 1, 29 },
};

START_TEST(out_of_memory) {
    const scenario *s = &scenarios[_i];
    meter whole = { .fail_at = -1 };
    setenv("JITC_ASSEMBLER", "/nonexistent/ptxas", 1);
    prepare();
    ck_assert_int_eq(play(s, &whole), JITC_OK); /* fills the cache, opens the code generator */
    given_back(s, &whole, -1);
    ck_assert_int_gt(atomic_load(&whole.count), 5);
    int files = open_files(), mappings = code_mappings();
    for (int forever = 0; forever < 2; forever++) {
        bool reached = true;
        for (long n = 0; reached; n += s->step) {
            meter m = { .fail_at = n, .forever = forever };
            jitc_status status = play(s, &m);
            reached = atomic_load(&m.reached);
            ck_assert_msg(status == JITC_OK || (forever && reached), "%s, allocation %ld: %d", s->name, n, status);
            ck_assert_msg(n < 100000, "%s: no end", s->name);
            given_back(s, &m, n);
        }
    }
    ck_assert_msg(open_files() == files, "%s: %d files open, %d before", s->name, open_files(), files);
    ck_assert_msg(code_mappings() <= mappings, "%s: %d mappings of code, %d before", s->name, code_mappings(), mappings);
    clean_up();
}
END_TEST

int main(void) {
    Suite *s = suite_create("faults");
    TCase *c = tcase_create("out of memory");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, out_of_memory, 0, sizeof scenarios / sizeof *scenarios);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
