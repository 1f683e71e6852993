/*
 * tests/check_null.c - NULL where a handle, a text, a place for a result or an array belongs: every public function, every pointer.
 *
 * Each row calls a function with one pointer missing that it needs.  What answers a status must answer JITC_E_USAGE,
 * and file a sentence that names what was NULL where there is a context to file it in.  Functions that were called are compared with
 * libjitc.map, so that none is forgotten.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jitc/jitc.h"

#define MAX_NAMES 256

static const char *called[MAX_NAMES];
static int ncalled;

static void note(const char *name) {
    for (int i = 0; i < ncalled; i++)
        if (strcmp(called[i], name) == 0)
            return;
    ck_assert_int_lt(ncalled, MAX_NAMES);
    called[ncalled++] = name;
}

static void same(bool good, const char *call) {
    ck_assert_msg(good, "%s did not answer as it should", call);
}

/* Answers a status, and there is no context to file anything in. */
#define USAGE(f, ...) (note(#f), same(f(__VA_ARGS__) == JITC_E_USAGE, #f "(" #__VA_ARGS__ ")"))
/* Answers a status and files WORD, in CTX. */
#define FILES(word, f, ...)                                                                        \
    (note(#f), same(f(__VA_ARGS__) == JITC_E_USAGE, #f "(" #__VA_ARGS__ ")"),                      \
     ck_assert_msg(strstr(jitc_context_error(ctx), word) != NULL, #f "(" #__VA_ARGS__ "): %s", jitc_context_error(ctx)))
/* Has a value that says nothing. */
#define GIVES(value, f, ...) (note(#f), same(f(__VA_ARGS__) == (value), #f "(" #__VA_ARGS__ ")"))
#define TEXT(value, f, ...) (note(#f), same(strcmp(f(__VA_ARGS__), (value)) == 0, #f "(" #__VA_ARGS__ ")"))
/* Does nothing. */
#define QUIET(f, ...) (note(#f), f(__VA_ARGS__))

static const char text[] =
    "class M(torch.nn.Module):\n"
    "    def forward(self, x: \"f32[4]\"):\n"
    "        y: \"f32[4]\" = x * 2.0\n"
    "        return (y,)\n";

static jitc_context *ctx;
static jitc_graph *graph;
static jitc_model *model;

static void open_all(void) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host", .threads = 1 };
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_graph_read(ctx, NULL, text, sizeof text - 1, &graph), JITC_OK); /* no name is a name */
    ck_assert_int_eq(jitc_model_build(ctx, &graph, 1, NULL, &model), JITC_OK);
}

static int op(jitc_call *call) {
    (void)call;
    return 0;
}

static void contexts(void) {
    jitc_error_info info = { .struct_size = sizeof info };
    USAGE(jitc_context_new, NULL, NULL);
    QUIET(jitc_context_free, NULL);
    TEXT("", jitc_context_error, NULL);
    QUIET(jitc_context_error_info, NULL, &info);
    ck_assert_int_eq(info.status, JITC_OK);
    ck_assert_str_eq(info.message, "");
    QUIET(jitc_context_error_info, ctx, NULL);
    GIVES(NULL, jitc_layer_name_intern, NULL, "x", NULL);
    GIVES(NULL, jitc_layer_name_intern, ctx, NULL, NULL);
    TEXT("", jitc_layer_name_text, NULL);
    GIVES(NULL, jitc_layer_name_user, NULL);
    USAGE(jitc_op_register, NULL, "n::f(Tensor x) -> Tensor", (jitc_plain_function)op, NULL);
    FILES("schema", jitc_op_register, ctx, NULL, (jitc_plain_function)op, NULL);
    FILES("n::f", jitc_op_register, ctx, "n::f(Tensor x) -> Tensor", NULL, NULL);
    USAGE(jitc_op_register_frame, NULL, "n::f(...) -> ...", op, NULL);
    FILES("schema", jitc_op_register_frame, ctx, NULL, op, NULL);
    FILES("n::f", jitc_op_register_frame, ctx, "n::f(...) -> ...", NULL, NULL);
    USAGE(jitc_plugin_load, NULL, "./x.so");
    FILES("path", jitc_plugin_load, ctx, NULL);
    TEXT(JITC_VERSION, jitc_version);
    note("jitc_build_id");
    same(jitc_build_id() != NULL, "jitc_build_id()");
    TEXT("ok", jitc_status_text, JITC_OK);
}

static void told(void *user, const jitc_refusal *what) {
    (void)user;
    (void)what;
}

static void graphs_and_models(void) {
    jitc_graph *g = NULL, *none = NULL;
    jitc_weight w = { .struct_size = sizeof w };
    jitc_model *m = NULL;
    USAGE(jitc_graph_read, NULL, "x", text, sizeof text - 1, &g);
    FILES("text", jitc_graph_read, ctx, "x", NULL, 4, &g);
    FILES("out", jitc_graph_read, ctx, "x", text, sizeof text - 1, NULL);
    USAGE(jitc_graph_read_file, NULL, "x.py", &g);
    FILES("path", jitc_graph_read_file, ctx, NULL, &g);
    FILES("out", jitc_graph_read_file, ctx, "x.py", NULL);
    QUIET(jitc_graph_free, NULL);
    GIVES(0, jitc_graph_weights, NULL);
    USAGE(jitc_graph_weight, NULL, 0, &w);
    USAGE(jitc_graph_weight, graph, 0, NULL);
    FILES("no weight 0", jitc_graph_weight, graph, 0, &w);
    USAGE(jitc_graph_read_tolerant, NULL, "x", text, sizeof text - 1, &g);
    FILES("text", jitc_graph_read_tolerant, ctx, "x", NULL, 4, &g);
    FILES("out", jitc_graph_read_tolerant, ctx, "x", text, sizeof text - 1, NULL);
    USAGE(jitc_graph_read_file_tolerant, NULL, "x.py", &g);
    FILES("path", jitc_graph_read_file_tolerant, ctx, NULL, &g);
    FILES("out", jitc_graph_read_file_tolerant, ctx, "x.py", NULL);
    USAGE(jitc_model_explain, NULL, &graph, 1, NULL, told, NULL);
    FILES("graphs", jitc_model_explain, ctx, NULL, 1, NULL, told, NULL);
    FILES("graph 0 is NULL", jitc_model_explain, ctx, &none, 1, NULL, told, NULL);
    FILES("told", jitc_model_explain, ctx, &graph, 1, NULL, NULL, NULL);
    USAGE(jitc_model_build, NULL, &graph, 1, NULL, &m);
    FILES("graphs", jitc_model_build, ctx, NULL, 1, NULL, &m);
    FILES("graph 0 is NULL", jitc_model_build, ctx, &none, 1, NULL, &m);
    FILES("out", jitc_model_build, ctx, &graph, 1, NULL, NULL);
    QUIET(jitc_model_free, NULL);
}

static void questions(void) {
    jitc_model_stats stats = { .struct_size = sizeof stats, .pieces = 7 };
    jitc_piece_info piece = { .struct_size = sizeof piece };
    jitc_param_info param = { .struct_size = sizeof param };
    QUIET(jitc_model_get_stats, NULL, &stats);
    ck_assert_uint_eq(stats.pieces, 0);
    ck_assert_uint_eq(stats.struct_size, sizeof stats);
    QUIET(jitc_model_get_stats, model, NULL);
    USAGE(jitc_model_piece_info, NULL, 0, &piece);
    FILES("out", jitc_model_piece_info, model, 0, NULL);
    GIVES(0, jitc_model_params, NULL, 0);
    GIVES(0, jitc_model_outputs, NULL, 0);
    USAGE(jitc_model_param_info, NULL, 0, 0, &param);
    FILES("out", jitc_model_param_info, model, 0, 0, NULL);
}

static void classes(void) {
    const jitc_executable *exe = NULL;
    jitc_executable_info info = { .struct_size = sizeof info };
    jitc_executable_param param = { .struct_size = sizeof param };
    jitc_executable_result result = { .struct_size = sizeof result };
    jitc_executable_symbol symbol = { .struct_size = sizeof symbol };
    jitc_executable_variant variant = { .struct_size = sizeof variant };
    jitc_piece_input input;
    GIVES(0, jitc_model_classes, NULL);
    USAGE(jitc_model_executable, NULL, 0, &exe);
    FILES("out", jitc_model_executable, model, 0, NULL);
    ck_assert_int_eq(jitc_model_executable(model, 0, &exe), JITC_OK);
    USAGE(jitc_executable_get_info, NULL, &info);
    FILES("out", jitc_executable_get_info, exe, NULL);
    USAGE(jitc_executable_get_param, NULL, 0, &param);
    FILES("out", jitc_executable_get_param, exe, 0, NULL);
    USAGE(jitc_executable_get_result, NULL, 0, &result);
    FILES("out", jitc_executable_get_result, exe, 0, NULL);
    USAGE(jitc_executable_get_symbol, NULL, 0, &symbol);
    FILES("out", jitc_executable_get_symbol, exe, 0, NULL);
    USAGE(jitc_executable_get_variant, NULL, 0, &variant);
    FILES("out", jitc_executable_get_variant, exe, 0, NULL);
    jitc_memory memory = { .struct_size = sizeof memory };
    jitc_frame *frame;
    uint64_t bytes;
    jitc_value value = { .tag = JITC_NONE };
    ck_assert_int_eq(jitc_frame_new(model, NULL, &frame), JITC_OK);
    USAGE(jitc_executable_run, NULL, frame, NULL, &value, 1, &value, 1);
    FILES("frame", jitc_executable_run, exe, NULL, NULL, &value, 1, &value, 1);
    FILES("values", jitc_executable_run, exe, frame, NULL, NULL, 1, &value, 1);
    FILES("results", jitc_executable_run, exe, frame, NULL, &value, 1, NULL, 1);
    USAGE(jitc_executable_memory, NULL, NULL, 0, &memory, NULL, 0);
    FILES("symbols", jitc_executable_memory, exe, NULL, 1, &memory, NULL, 0);
    FILES("out", jitc_executable_memory, exe, NULL, 0, NULL, NULL, 0);
    USAGE(jitc_model_memory, NULL, NULL, 0, 0, &bytes);
    FILES("symbols", jitc_model_memory, model, NULL, 1, 0, &bytes);
    FILES("bytes", jitc_model_memory, model, NULL, 0, 0, NULL);
    jitc_frame_free(frame);
    USAGE(jitc_piece_inputs, NULL, 0, &input, 1);
    FILES("out", jitc_piece_inputs, model, 0, NULL, 1);
}

static void runs(void) {
    float x[4] = { 1, 2, 3, 4 };
    int64_t shape[1] = { 4 };
    DLTensor t = { .data = x, .device = { kDLCPU, 0 }, .ndim = 1, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value in = { .tag = JITC_TENSOR, .tensor = &t }, out;
    USAGE(jitc_model_run, NULL, 0, NULL, &in, 1, &out, 1);
    FILES("values", jitc_model_run, model, 0, NULL, NULL, 1, &out, 1);
    FILES("results", jitc_model_run, model, 0, NULL, &in, 1, NULL, 1);
    USAGE(jitc_piece_run, NULL, 0, NULL, &in, 1, &out, 1);
    FILES("values", jitc_piece_run, model, 0, NULL, NULL, 1, &out, 1);
    FILES("results", jitc_piece_run, model, 0, NULL, &in, 1, NULL, 1);
}

static void frames(void) {
    jitc_frame *f = NULL;
    jitc_frame_stats stats = { .struct_size = sizeof stats };
    jitc_value none = { .tag = JITC_NONE }, out = none;
    USAGE(jitc_frame_new, NULL, NULL, &f);
    FILES("out", jitc_frame_new, model, NULL, NULL);
    ck_assert_int_eq(jitc_frame_new(model, NULL, &f), JITC_OK);
    USAGE(jitc_frame_bind, NULL, 0, 0, none);
    USAGE(jitc_frame_bind_piece, NULL, 0, 0, none);
    USAGE(jitc_frame_reserve, NULL, NULL, 0, JITC_RESERVE_GRAPHS, NULL);
    FILES("symbols", jitc_frame_reserve, f, NULL, 1, JITC_RESERVE_GRAPHS, NULL);
    USAGE(jitc_frame_run, NULL, 0, NULL, &none, 1, &out, 1);
    FILES("values", jitc_frame_run, f, 0, NULL, NULL, 1, &out, 1);
    FILES("results", jitc_frame_run, f, 0, NULL, &none, 1, NULL, 1);
    USAGE(jitc_frame_run_piece, NULL, 0, NULL, &none, 1, &out, 1);
    FILES("values", jitc_frame_run_piece, f, 0, NULL, NULL, 1, &out, 1);
    FILES("results", jitc_frame_run_piece, f, 0, NULL, &none, 1, NULL, 1);
    uint64_t capture = 1;
    USAGE(jitc_frame_capture, NULL, NULL, free, NULL, &capture);
    FILES("release", jitc_frame_capture, f, NULL, NULL, NULL, &capture);
    FILES("capture", jitc_frame_capture, f, NULL, free, NULL, NULL);
    ck_assert_int_eq(jitc_frame_capture(f, NULL, free, NULL, &capture), JITC_OK);
    ck_assert_uint_eq(capture, 0); /* a host captures nothing */
    QUIET(jitc_frame_get_stats, NULL, &stats);
    QUIET(jitc_frame_get_stats, f, NULL);
    jitc_frame_free(f);
    QUIET(jitc_frame_free, NULL);
}

static bool take_bytes(void *user, const void *bytes, size_t n) {
    jitc_bundle **out = user;
    return jitc_bundle_open_bytes(ctx, NULL, bytes, n, out) == JITC_OK;
}

static void bundles(void) {
    jitc_model *m = NULL;
    USAGE(jitc_model_save, NULL, "x.jitc");
    FILES("path", jitc_model_save, model, NULL);
    USAGE(jitc_bundle_write, NULL, &model, 1, "x.jitc");
    FILES("models", jitc_bundle_write, ctx, NULL, 1, "x.jitc");
    FILES("model 0 is NULL", jitc_bundle_write, ctx, &m, 1, "x.jitc");
    FILES("path", jitc_bundle_write, ctx, &model, 1, NULL);
    USAGE(jitc_bundle_load, NULL, "x.jitc", NULL, &m);
    FILES("path", jitc_bundle_load, ctx, NULL, NULL, &m);
    FILES("out", jitc_bundle_load, ctx, "x.jitc", NULL, NULL);
    GIVES(0, jitc_bundle_probe, NULL);
    USAGE(jitc_bundle_write_bytes, NULL, &model, 1, take_bytes, NULL);
    FILES("models", jitc_bundle_write_bytes, ctx, NULL, 1, take_bytes, NULL);
    FILES("model 0 is NULL", jitc_bundle_write_bytes, ctx, &m, 1, take_bytes, NULL);
    FILES("sink", jitc_bundle_write_bytes, ctx, &model, 1, NULL, NULL);
}

static void open_bundles(void) {
    jitc_bundle *bundle = NULL;
    jitc_model *m = NULL;
    const jitc_executable *exe;
    jitc_bundle_info info = { .struct_size = sizeof info };
    jitc_bundle_target target = { .struct_size = sizeof target };
    jitc_bundle_operator operator = { .struct_size = sizeof operator };
    USAGE(jitc_bundle_open, NULL, "x.jitc", &bundle);
    FILES("path", jitc_bundle_open, ctx, NULL, &bundle);
    FILES("out", jitc_bundle_open, ctx, "x.jitc", NULL);
    USAGE(jitc_bundle_open_bytes, NULL, "x", "bytes", 5, &bundle);
    FILES("bytes", jitc_bundle_open_bytes, ctx, "x", NULL, 5, &bundle);
    FILES("out", jitc_bundle_open_bytes, ctx, "x", "bytes", 5, NULL);
    ck_assert_int_eq(jitc_bundle_write_bytes(ctx, &model, 1, take_bytes, &bundle), JITC_OK); /* opens it */
    QUIET(jitc_bundle_close, NULL);
    USAGE(jitc_bundle_model, NULL, NULL, &m);
    FILES("out", jitc_bundle_model, bundle, NULL, NULL);
    USAGE(jitc_bundle_get_info, NULL, &info);
    FILES("out", jitc_bundle_get_info, bundle, NULL);
    USAGE(jitc_bundle_get_target, NULL, 0, &target);
    FILES("out", jitc_bundle_get_target, bundle, 0, NULL);
    USAGE(jitc_bundle_get_operator, NULL, 0, &operator);
    FILES("out", jitc_bundle_get_operator, bundle, 0, NULL);
    USAGE(jitc_bundle_executable, NULL, 0, 0, &exe);
    FILES("out", jitc_bundle_executable, bundle, 0, 0, NULL);
    jitc_bundle_close(bundle);
}

/* Every name of the version script was called above. */
static void none_forgotten(void) {
    char line[256];
    FILE *f = fopen(TEST_SRCDIR "/libjitc.map", "r");
    ck_assert_ptr_nonnull(f);
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        char name[200];
        bool found = false;
        if (sscanf(line, " jitc_%199[a-z0-9_];", name) != 1)
            continue;
        n++;
        for (int i = 0; i < ncalled && !found; i++)
            found = strcmp(called[i] + 5, name) == 0;
        ck_assert_msg(found, "jitc_%s is in libjitc.map, but was not called with NULL here", name);
    }
    fclose(f);
    ck_assert_int_eq(n, ncalled);
}

START_TEST(all) {
    ncalled = 0;
    open_all();
    contexts();
    graphs_and_models();
    questions();
    classes();
    runs();
    frames();
    bundles();
    open_bundles();
    none_forgotten();
    jitc_context_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("null");
    TCase *c = tcase_create("all");
    tcase_add_test(c, all);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
