/*
 * tests/check_bundle_open.c - bundles that are open: what they say they hold, from a file and from memory, and models of them.
 *
 * The small model calls custom operators alone, so it needs no code generator and its bundle may be changed byte by byte.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jit/api/bundle.h"
#include "jit/asm/code_needs.h"
#include "tests/faulty_alloc.h"

static const char small_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
    "        a: \"f32[s0, 8]\" = torch.ops.test.scale(x, 3, 'layers.1')\n"
    "        b: \"f32[s0, 8]\" = torch.ops.test.cut(a, 'layers.2')\n"
    "        c: \"f32[s0, 8]\" = torch.ops.test.scale(b, 5, 'layers.3')\n"
    "        return (c,)\n";

/* For what has kernels. */
static const char kernel_text[] =
    "class GraphModule(torch.nn.Module):\n"
    "    def forward(self, s0: \"Sym(s0)\", x: \"f32[s0, 8]\"):\n"
    "        y: \"f32[s0, 8]\" = torch.softmax(x, dim = -1)\n"
    "        z: \"f32[8]\" = y.sum(dim = 0)\n"
    "        return (y, z)\n";

static int scale(jitc_call *call, const DLTensor *x, int64_t by, const jitc_layer_name *name, DLTensor *y) {
    (void)call;
    (void)name;
    for (int64_t i = 0; i < x->shape[0] * 8 && i < y->shape[0] * 8; i++)
        ((float *)y->data)[i] = ((const float *)x->data)[i] * (float)by;
    return 0;
}

static int cut(jitc_call *call, const DLTensor *x, const jitc_layer_name *name, DLTensor *y) {
    return scale(call, x, 1, name, y);
}

static jitc_context *context(const jitc_context_options *o) {
    const jitc_context_options plain = { .struct_size = sizeof plain, .cache_dir = "", .device = "host", .threads = 1 };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(o ? o : &plain, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::scale(Tensor x, int by, LayerName n) -> Tensor", (jitc_plain_function)scale, NULL),
                     JITC_OK);
    ck_assert_int_eq(jitc_op_register(ctx, "test::cut(Tensor x, LayerName n) -> Tensor", (jitc_plain_function)cut, NULL), JITC_OK);
    return ctx;
}

static jitc_model *build(jitc_context *ctx, const char *text, const char *arch) {
    static const char *const split[] = { "cut" };
    static const jitc_range ranges[] = { { "s0", 1, 16 }, { "s0", 17, 4096 } };
    jitc_model_options o = { .struct_size = sizeof o, .arch = arch, .split_ops = split, .nsplit_ops = 1, .ranges = ranges, .nranges = 2 };
    jitc_graph *g;
    jitc_model *m;
    ck_assert_msg(jitc_graph_read(ctx, "open.py", text, strlen(text), &g) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_msg(jitc_model_build(ctx, &g, 1, &o, &m) == JITC_OK, "%s", jitc_context_error(ctx));
    return m;
}

typedef struct bytes {
    uint8_t *at;
    size_t n;
    int calls;
    bool refuse;
} bytes;

static bool keep(void *user, const void *at, size_t n) {
    bytes *b = user;
    b->calls++;
    if (b->refuse)
        return false;
    b->at = malloc(n);
    memcpy(b->at, at, n);
    b->n = n;
    return true;
}

static bytes bytes_of(jitc_context *ctx, jitc_model *const *models, uint32_t n) {
    bytes b = { 0 };
    ck_assert_msg(jitc_bundle_write_bytes(ctx, models, n, keep, &b) == JITC_OK, "%s", jitc_context_error(ctx));
    ck_assert_int_eq(b.calls, 1);
    return b;
}

static jitc_bundle *open_bytes(jitc_context *ctx, const bytes *b) {
    jitc_bundle *out;
    ck_assert_msg(jitc_bundle_open_bytes(ctx, NULL, b->at, b->n, &out) == JITC_OK, "%s", jitc_context_error(ctx));
    return out;
}

/* x * 3 * 5, for three rows. */
static bool runs(jitc_model *m) {
    float x[24];
    int64_t shape[2] = { 3, 8 };
    DLTensor t = { .data = x, .device = { kDLCPU, 0 }, .ndim = 2, .dtype = { kDLFloat, 32, 1 }, .shape = shape };
    jitc_value in[2] = { { .tag = JITC_INT, .i = 3 }, { .tag = JITC_TENSOR, .tensor = &t } }, out = { .tag = JITC_NONE };
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    return jitc_model_run(m, 0, NULL, in, 2, &out, 1) == JITC_OK && ((float *)out.tensor->data)[23] == 345;
}

/* ---- what it says ----------------------------------------------------------------------------------------------- */

START_TEST(says_small) {
    jitc_context *ctx = context(NULL);
    jitc_model *m = build(ctx, small_text, "host");
    bytes b = bytes_of(ctx, &m, 1);
    jitc_bundle *bundle = open_bytes(ctx, &b);
    jitc_bundle_info info = { .struct_size = sizeof info };
    jitc_bundle_target t = { .struct_size = sizeof t };
    jitc_bundle_operator op = { .struct_size = sizeof op };
    const jitc_executable *exe;
    jitc_executable_info about = { .struct_size = sizeof about };
    jitc_executable_variant v = { .struct_size = sizeof v };
    ck_assert_int_eq(jitc_bundle_get_info(bundle, &info), JITC_OK);
    ck_assert_str_eq(info.name, "bundle");
    ck_assert_uint_eq(info.bytes, b.n);
    ck_assert_uint_eq(info.format, info.reads);
    ck_assert(info.codegen_id[0] && info.llvm_version[0]);
    ck_assert_uint_eq(info.ntargets, 1);
    ck_assert_uint_eq(info.ngraphs, 1);
    ck_assert_uint_eq(info.npieces, 3);
    ck_assert_uint_eq(info.nclasses, 2);
    ck_assert_uint_eq(info.noperators, 2);
    ck_assert_int_eq(jitc_bundle_get_target(bundle, 0, &t), JITC_OK);
    ck_assert_str_eq(t.arch, "host");
    ck_assert_str_eq(t.device, "host");
    ck_assert_msg(strncmp(t.cpu, "x86-64", 6) == 0, "%s", t.cpu);
    ck_assert_uint_eq(t.variants, 4); /* two classes, two ranges */
    ck_assert_uint_eq(t.kernels + t.objects + t.cubins + t.ptx + t.cuda_driver + t.cuda_toolkit, 0);
    ck_assert_int_eq(jitc_bundle_get_target(bundle, 1, &t), JITC_E_USAGE);
    ck_assert_int_eq(jitc_bundle_get_operator(bundle, 0, &op), JITC_OK);
    ck_assert_str_eq(op.name, "test::scale");
    ck_assert_str_eq(op.schema, "test::scale(Tensor(a0!) a0, int a1, str a2) -> Tensor");
    ck_assert_uint_eq(op.calls, 2);
    ck_assert_int_eq(op.line, 3);
    ck_assert_str_eq(op.piece, "submod_0");
    ck_assert_int_eq(jitc_bundle_get_operator(bundle, 1, &op), JITC_OK);
    ck_assert_str_eq(op.name, "test::cut");
    ck_assert_int_eq(op.line, 4);
    ck_assert_int_eq(jitc_bundle_executable(bundle, 0, 0, &exe), JITC_OK);
    ck_assert_int_eq(jitc_executable_get_info(exe, &about), JITC_OK);
    ck_assert_uint_eq(about.members, 2);
    ck_assert_uint_eq(about.nparams, 3); /* x, a number and a name */
    ck_assert_int_eq(jitc_executable_get_variant(exe, 1, &v), JITC_OK);
    ck_assert_int_eq(v.lo[0], 17);
    ck_assert_int_eq(v.hi[0], 4096);
    jitc_bundle_close(bundle);
    free(b.at);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(says_two_targets) {
    jitc_context *ctx = context(NULL);
    jitc_model *models[] = { build(ctx, kernel_text, "host"), build(ctx, kernel_text, "sm_80") };
    bytes b = bytes_of(ctx, models, 2);
    jitc_bundle *bundle = open_bytes(ctx, &b);
    jitc_bundle_target host = { .struct_size = sizeof host }, gpu = host;
    ck_assert_int_eq(jitc_bundle_get_target(bundle, 0, &host), JITC_OK);
    ck_assert_int_eq(jitc_bundle_get_target(bundle, 1, &gpu), JITC_OK);
    ck_assert_uint_ge(host.kernels, 1);
    ck_assert_uint_eq(host.objects, host.kernels);
    ck_assert_str_eq(gpu.arch, "sm_80");
    ck_assert_str_eq(gpu.device, "cuda");
    ck_assert_str_eq(gpu.cpu, "");
    ck_assert_uint_ge(gpu.kernels, 1);
    ck_assert_uint_eq(gpu.objects, 0);
    ck_assert_uint_eq(gpu.cubins + gpu.ptx, gpu.kernels); /* with an assembler or without */
    ck_assert_uint_ge(gpu.cuda_driver, 11000);
    ck_assert(gpu.cubins ? gpu.cuda_toolkit >= gpu.cuda_driver : gpu.cuda_toolkit == 0);
    jitc_model *m;
    ck_assert_int_eq(jitc_bundle_model(bundle, "sm_80", &m), JITC_OK);
    ck_assert_int_eq(jitc_bundle_model(bundle, "sim", &m), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(jitc_context_error(ctx), "sm_80") != NULL, "%s", jitc_context_error(ctx));
    ck_assert_ptr_null(m);
    free(b.at);
    jitc_context_free(ctx); /* closes it */
}
END_TEST

START_TEST(needs) {
    static const struct {
        const char *text;
        uint32_t cuda;
    } ptx[] = { { "//\n.version 6.4\n.target sm_75", 10010 }, { "\n.version 7.8\n", 11080 }, { ".version 8.1\n", 12010 },
                { ".version 8.7\n", 12080 }, { ".version 8.8", 12090 }, { ".version 9.0\n", 13000 }, { ".version 9.1\n", 13010 },
                { ".version 5.0\n", 0 }, { ".version x", 0 }, { ".version 8", 0 }, { ".version 8.", 12000 }, { "", 0 },
                { ".versio", 0 }, { ".version 99999999999.1", 0 } };
    static const char banner[] = "\0nvJIT API\0Cuda compilation tools, release 12.9, V12.9.41\0";
    for (size_t i = 0; i < sizeof ptx / sizeof *ptx; i++)
        ck_assert_msg(jc_ptx_cuda((const uint8_t *)ptx[i].text, strlen(ptx[i].text)) == ptx[i].cuda, "%s: %u", ptx[i].text,
                      jc_ptx_cuda((const uint8_t *)ptx[i].text, strlen(ptx[i].text)));
    ck_assert_uint_eq(jc_cubin_toolkit((const uint8_t *)banner, sizeof banner), 12090);
    ck_assert_uint_eq(jc_cubin_toolkit((const uint8_t *)banner, 30), 0);
    ck_assert_uint_eq(jc_toolkit_driver(12090), 12000);
    ck_assert_uint_eq(jc_toolkit_driver(10020), 10020);
    ck_assert_uint_eq(jc_toolkit_driver(0), 0);
}
END_TEST

/* ---- lives ------------------------------------------------------------------------------------------------------ */

/* Models share the bytes and outlive the bundle; a file and memory are the same. */
START_TEST(models) {
    char path[] = "/tmp/jitc-bundle-open-XXXXXX";
    jitc_context *ctx = context(NULL);
    jitc_model *m = build(ctx, small_text, "host"), *a, *b;
    bytes saved = bytes_of(ctx, &m, 1), again;
    jitc_bundle *bundle = open_bytes(ctx, &saved), *of_file;
    memset(saved.at, 0xee, saved.n); /* they were copied */
    ck_assert_int_eq(jitc_bundle_model(bundle, NULL, &a), JITC_OK);
    ck_assert_int_eq(jitc_bundle_model(bundle, "host", &b), JITC_OK);
    jitc_bundle_close(bundle);
    ck_assert(runs(a) && runs(b));
    jitc_model_free(a);
    ck_assert(runs(b));
    close(mkstemp(path));
    ck_assert_int_eq(jitc_model_save(b, path), JITC_OK);
    again = bytes_of(ctx, &b, 1);
    ck_assert_int_eq(jitc_bundle_open(ctx, path, &of_file), JITC_OK);
    jitc_bundle_info info = { .struct_size = sizeof info };
    jitc_bundle_get_info(of_file, &info);
    ck_assert_str_eq(info.name, path);
    ck_assert_uint_eq(info.bytes, again.n);
    jitc_model_free(b);
    ck_assert_int_eq(jitc_bundle_model(of_file, NULL, &b), JITC_OK);
    ck_assert(runs(b));
    unlink(path);
    ck_assert_int_eq(jitc_bundle_open(ctx, path, &of_file), JITC_E_IO);
    ck_assert_ptr_null(of_file);
    ck_assert(strstr(jitc_context_error(ctx), path) != NULL);
    free(saved.at);
    free(again.at);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(sink_that_refuses) {
    jitc_context *ctx = context(NULL);
    jitc_model *m = build(ctx, small_text, "host");
    bytes b = { .refuse = true };
    ck_assert_int_eq(jitc_bundle_write_bytes(ctx, &m, 1, keep, &b), JITC_E_IO);
    ck_assert_int_eq(b.calls, 1);
    ck_assert_int_eq(jitc_bundle_write_bytes(ctx, &m, 0, keep, &b), JITC_E_USAGE);
    jitc_context_free(ctx);
}
END_TEST

typedef struct opener {
    jitc_bundle *bundle;
    bool good;
} opener;

static void *open_thread(void *arg) {
    opener *o = arg;
    o->good = true;
    for (int i = 0; i < 20 && o->good; i++) {
        jitc_model *m;
        const jitc_executable *exe;
        jitc_bundle_info info = { .struct_size = sizeof info };
        o->good = jitc_bundle_model(o->bundle, NULL, &m) == JITC_OK && runs(m) &&
                  jitc_bundle_executable(o->bundle, 0, (uint32_t)i % 2, &exe) == JITC_OK &&
                  jitc_bundle_get_info(o->bundle, &info) == JITC_OK && info.nclasses == 2;
        jitc_model_free(m);
    }
    return NULL;
}

START_TEST(from_threads) {
    jitc_context *ctx = context(NULL);
    jitc_model *m = build(ctx, small_text, "host");
    bytes b = bytes_of(ctx, &m, 1);
    jitc_bundle *bundle = open_bytes(ctx, &b);
    pthread_t threads[4];
    opener o[4];
    for (int i = 0; i < 4; i++) {
        o[i] = (opener){ bundle, false };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_thread, &o[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(o[i].good);
    }
    jitc_bundle_close(bundle);
    free(b.at);
    jitc_context_free(ctx);
}
END_TEST

/* ---- bytes from strangers --------------------------------------------------------------------------------------- */

/* Opens, asks everything, runs: no harm, and no answer but these. */
static bool survives(jitc_context *ctx, const uint8_t *at, size_t n) {
    jitc_bundle *bundle;
    jitc_model *m;
    jitc_bundle_info info = { .struct_size = sizeof info };
    jitc_status status = jitc_bundle_open_bytes(ctx, "hostile", at, n, &bundle);
    ck_assert_msg(status == JITC_OK || status == JITC_E_INPUT, "%d", status);
    if (status != JITC_OK)
        return false;
    jitc_bundle_get_info(bundle, &info);
    for (uint32_t i = 0; i < info.noperators; i++) {
        jitc_bundle_operator op = { .struct_size = sizeof op };
        ck_assert_int_eq(jitc_bundle_get_operator(bundle, i, &op), JITC_OK);
    }
    for (uint32_t c = 0; c < info.nclasses; c++) {
        const jitc_executable *exe;
        const jitc_symbol symbols = { NULL, 3 };
        jitc_memory memory = { .struct_size = sizeof memory };
        status = jitc_bundle_executable(bundle, 0, c, &exe);
        ck_assert(status == JITC_OK || status == JITC_E_INPUT);
        if (status == JITC_OK)
            (void)jitc_executable_memory(exe, &symbols, 1, &memory, NULL, 0);
    }
    bool ran = jitc_bundle_model(bundle, "host", &m) == JITC_OK && jitc_model_params(m, 0) == 2 && jitc_model_outputs(m, 0) == 1 &&
               runs(m);
    jitc_bundle_close(bundle);
    jitc_model_free(m);
    return ran;
}

START_TEST(hostile) {
    static const uint8_t masks[] = { 0x01, 0x80, 0xff };
    jitc_context *ctx = context(NULL);
    jitc_model *m = build(ctx, small_text, "host");
    bytes b = bytes_of(ctx, &m, 1);
    ck_assert(survives(ctx, b.at, b.n));
    for (size_t i = (size_t)_i; i < b.n - JC_HASH_SIZE; i += 4)
        for (size_t k = 0; k < sizeof masks; k++) {
            uint8_t *own = malloc(b.n); /* so that reading beyond is seen */
            memcpy(own, b.at, b.n);
            own[i] ^= masks[k];
            jc_hash hash = jc_hash_of(own, b.n - JC_HASH_SIZE);
            memcpy(own + b.n - JC_HASH_SIZE, hash.b, JC_HASH_SIZE);
            survives(ctx, own, b.n);
            free(own);
        }
    for (size_t n = 0; n < b.n; n += 7)
        ck_assert(!survives(ctx, b.at, n));
    free(b.at);
    jitc_context_free(ctx);
}
END_TEST

START_TEST(out_of_memory) {
    faults f = { .left = -1 };
    jitc_context_options o = { .struct_size = sizeof o, .alloc = faulty_alloc, .free = faulty_free, .alloc_user = &f,
                               .cache_dir = "", .device = "host", .threads = 1 };
    jitc_context *ctx = context(NULL);
    jitc_model *m = build(ctx, small_text, "host");
    bytes b = bytes_of(ctx, &m, 1);
    jitc_context_free(ctx);
    for (long k = 0;; k++) {
        jitc_bundle *bundle;
        const jitc_executable *exe;
        ck_assert_int_lt(k, 2000);
        f.left = -1;
        ctx = context(&o);
        f.left = k;
        jitc_status status = jitc_bundle_open_bytes(ctx, NULL, b.at, b.n, &bundle);
        if (status == JITC_OK)
            status = jitc_bundle_executable(bundle, 0, 0, &exe);
        if (status == JITC_OK)
            status = jitc_bundle_model(bundle, "host", &m);
        f.left = -1;
        jitc_context_free(ctx);
        ck_assert_int_eq(f.alive, 0);
        if (status == JITC_OK)
            break;
        ck_assert_int_eq(status, JITC_E_NOMEM);
    }
    free(b.at);
}
END_TEST

int main(void) {
    Suite *s = suite_create("bundle_open");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, says_small);
    tcase_add_test(c, says_two_targets);
    tcase_add_test(c, needs);
    tcase_add_test(c, models);
    tcase_add_test(c, sink_that_refuses);
    tcase_add_test(c, from_threads);
    tcase_add_loop_test(c, hostile, 0, 4);
    tcase_add_test(c, out_of_memory);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
