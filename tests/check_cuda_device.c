/*
 * tests/check_cuda_device.c - the cuda device on a real GPU: memory, modules, launches, contexts, and how it fails.
 *
 * Kernels are PTX written here.  Each test runs in a process of its own, which is the first in it to touch CUDA, so
 * that one can kill its context.  Without a driver or a GPU the program exits with 77.
 */
#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan/kernel.h"
#include "runtime/cuda_api.h"
#include "runtime/exec.h"
#include "tests/gpu_help.h"

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

/* out[i] = a[i] * 2 for i < n, 64 threads a block. */
static const char twice[] =
    ".version 7.0\n.target sm_80\n.address_size 64\n"
    ".visible .entry point_000000000000(.param .u64 pa, .param .u64 pout, .param .u64 pn)\n{\n"
    ".reg .pred %p;\n.reg .f32 %f;\n.reg .u32 %t, %b;\n.reg .u64 %a, %o, %n, %i, %k;\n"
    "ld.param.u64 %a, [pa];\nld.param.u64 %o, [pout];\nld.param.u64 %n, [pn];\n"
    "mov.u32 %t, %tid.x;\nmov.u32 %b, %ctaid.x;\n"
    "mul.wide.u32 %i, %b, 64;\ncvt.u64.u32 %k, %t;\nadd.u64 %i, %i, %k;\n"
    "setp.ge.u64 %p, %i, %n;\n@%p ret;\n"
    "shl.b64 %i, %i, 2;\nadd.u64 %a, %a, %i;\nadd.u64 %o, %o, %i;\n"
    "ld.global.f32 %f, [%a];\nadd.f32 %f, %f, %f;\nst.global.f32 [%o], %f;\nret;\n}\n";

/* out[0] = the number of dynamic and static bytes of shared memory it could write and read back: its own 16, and the rest. */
static const char shared[] =
    ".version 7.0\n.target sm_80\n.address_size 64\n.extern .shared .align 16 .b8 room[];\n"
    ".visible .entry point_000000000000(.param .u64 pout, .param .u64 plast)\n{\n"
    ".reg .u32 %v;\n.reg .u64 %o, %l, %r;\n"
    "ld.param.u64 %o, [pout];\nld.param.u64 %l, [plast];\n"
    "mov.u64 %r, room;\nadd.u64 %r, %r, %l;\nmov.u32 %v, 77;\nst.shared.u32 [%r], %v;\nld.shared.u32 %v, [%r];\n"
    "st.global.u32 [%o], %v;\nret;\n}\n";

static jc_device *d;
static jc_error err;

static void setup(void) {
    err = (jc_error)JC_ERROR_INIT;
    jitc_status status = jc_device_open("cuda", NULL, NULL, NULL, &d, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
}

static void teardown(void) {
    jc_device_close(d);
}

static jc_code ptx(const char *text) {
    return (jc_code){ .kind = JC_CODE_PTX, .bytes = (const uint8_t *)text, .nbytes = strlen(text) + 1 };
}

static jc_plan_kernel kernel(unsigned shared_bytes) {
    jc_plan_kernel k = { .threads = 64, .shared = shared_bytes };
    jc_plan_kernel_name(JC_K_POINT, &k.key, k.name);
    return k;
}

static jc_module *load(const char *text, unsigned shared_bytes) {
    jc_code code = ptx(text);
    jc_plan_kernel k = kernel(shared_bytes);
    jc_module *m = NULL;
    jitc_status status = d->ops->module_load(d, &code, &k, &m, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    return m;
}

static void *alloc(size_t size) {
    void *at = NULL;
    jitc_status status = d->ops->alloc(d, size, &at, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_uint_eq((uintptr_t)at % 256, 0);
    return at;
}

START_TEST(target_is_the_gpu) {
    char text[64];
    jc_target parsed;
    jc_target_text(&d->target, text);
    ck_assert_msg(jc_target_parse(text, &parsed, &err) == JITC_OK, "%s", err.message);
    ck_assert(parsed.sm == d->target.sm && parsed.suffix == d->target.suffix);
    ck_assert_int_eq(d->target.suffix, d->target.sm == 90 || d->target.sm / 10 == 10 ? 'a' : 0);
    ck_assert_int_eq(d->dl.device_type, kDLCUDA);
    ck_assert_str_eq(d->ops->name, "cuda");
}
END_TEST

START_TEST(memory_and_launch) {
    static float data[1000], got[1000];
    for (int i = 0; i < 1000; i++)
        data[i] = (float)i;
    void *a = alloc(sizeof data), *out = alloc(sizeof data), *b = alloc(sizeof data);
    ck_assert_int_eq(d->ops->copy_in(d, a, data, sizeof data, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->fill(d, out, 0, sizeof data, NULL, &err), JITC_OK);
    jc_module *m = load(twice, 0);
    int64_t n = 999;
    void *args[] = { &a, &out, &n };
    ck_assert_int_eq(d->ops->launch(d, m, 16, args, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->copy(d, b, out, sizeof data, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->copy_out(d, got, b, sizeof data, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->sync(d, NULL, &err), JITC_OK);
    for (int i = 0; i < 999; i++)
        ck_assert(got[i] == 2.0f * (float)i);
    ck_assert(got[999] == 0.0f);
    d->ops->free(d, a);
    d->ops->free(d, out);
    d->ops->free(d, b);
    d->ops->free(d, NULL);
    d->ops->module_free(d, m);
}
END_TEST

START_TEST(rows_are_copied) {
    static uint8_t data[1000], got[1000];
    for (int i = 0; i < 1000; i++)
        data[i] = (uint8_t)(i * 7);
    void *a = alloc(sizeof data), *b = alloc(sizeof data);
    ck_assert_int_eq(d->ops->copy_in(d, a, data, sizeof data, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->fill(d, b, 0xcc, sizeof data, NULL, &err), JITC_OK);
    ck_assert_msg(d->ops->copy_rows(d, (uint8_t *)b + 5, (uint8_t *)a + 5, 7, 31, 20, NULL, &err) == JITC_OK, "%s", err.message);
    ck_assert_int_eq(d->ops->copy_out(d, got, b, sizeof data, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->sync(d, NULL, &err), JITC_OK);
    for (int i = 0; i < 1000; i++) {
        bool copied = i >= 5 && (i - 5) / 31 < 20 && (i - 5) % 31 < 7;
        ck_assert_msg(got[i] == (copied ? data[i] : 0xcc), "byte %d", i);
    }
    d->ops->free(d, a);
    d->ops->free(d, b);
}
END_TEST

static const unsigned shared_sizes[] = { 64, 48 * 1024, 96 * 1024 };

START_TEST(dynamic_shared_memory) {
    unsigned got = 0;
    void *out = alloc(4);
    jc_module *m = load(shared, shared_sizes[_i]);
    int64_t last = shared_sizes[_i] - 4;
    void *args[] = { &out, &last };
    ck_assert_int_eq(d->ops->launch(d, m, 1, args, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->copy_out(d, &got, out, 4, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->sync(d, NULL, &err), JITC_OK);
    ck_assert_uint_eq(got, 77);
    d->ops->module_free(d, m);
}
END_TEST

typedef enum { SYNTAX, NO_END, NO_FUNCTION, OBJECT, CUBIN_GARBAGE, SHARED_TOO_LARGE, TOO_NEW } bad_module;
static const struct {
    bad_module what;
    jitc_status status;
    const char *word;
} module_rows[] = {
    { SYNTAX, JITC_E_DEVICE, "The driver says" },
    { NO_END, JITC_E_INPUT, "not terminated" },
    { NO_FUNCTION, JITC_E_DEVICE, "looking up a kernel" },
    { OBJECT, JITC_E_UNSUPPORTED, "no GPU code" },
    { CUBIN_GARBAGE, JITC_E_DEVICE, "could not be loaded on cuda:0" },
    { SHARED_TOO_LARGE, JITC_E_DEVICE, "bytes of shared memory" },
    { TOO_NEW, JITC_E_DEVICE, "could not be loaded" },
};

START_TEST(modules_refused) {
    jc_code code = ptx(twice);
    jc_plan_kernel k = kernel(0);
    jc_module *m = NULL;
    static uint8_t garbage[4096];
    char other[sizeof twice + 16];
    switch (module_rows[_i].what) {
    case SYNTAX: code = ptx(".version 7.0\n.target sm_80\n.address_size 64\nnonsense;\n"); break;
    case NO_END: code.nbytes--; break;
    case NO_FUNCTION: strcpy(k.name, "point_123456789abc"); break;
    case OBJECT: code.kind = JC_CODE_OBJECT; break;
    case CUBIN_GARBAGE:
        memcpy(garbage, "\177ELF", 4);
        code = (jc_code){ .kind = JC_CODE_CUBIN, .bytes = garbage, .nbytes = sizeof garbage };
        break;
    case SHARED_TOO_LARGE: k.shared = 1 << 20; break;
    case TOO_NEW:
        strcpy(other, twice);
        memcpy(other + strlen(".version "), "9.9", 3);
        code = ptx(other);
        break;
    }
    jitc_status status = d->ops->module_load(d, &code, &k, &m, &err);
    ck_assert_msg(status == module_rows[_i].status, "row %d: %d %s", _i, status, err.message);
    ck_assert_msg(strstr(err.message, module_rows[_i].word) != NULL, "row %d: %s", _i, err.message);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(d->lost, JITC_OK);
    d->ops->module_free(d, load(twice, 0)); /* the device still works */
}
END_TEST

START_TEST(too_many_blocks) {
    jc_module *m = load(twice, 0);
    void *a = alloc(4);
    int64_t n = 0;
    void *args[] = { &a, &a, &n };
    ck_assert_int_eq(d->ops->launch(d, m, INT64_C(1) << 31, args, NULL, &err), JITC_E_INPUT);
    ck_assert_msg(strstr(err.message, "2147483648 blocks") != NULL, "%s", err.message);
    d->ops->module_free(d, m);
}
END_TEST

START_TEST(out_of_gpu_memory) {
    void *at = d;
    ck_assert_int_eq(d->ops->alloc(d, (size_t)1 << 45, &at, &err), JITC_E_NOMEM);
    ck_assert_ptr_null(at);
    ck_assert_msg(strstr(err.message, "Out of GPU memory: 35184372088832 bytes were wanted on cuda:0") != NULL, "%s",
                  err.message);
    ck_assert_int_eq(d->lost, JITC_OK);
    alloc(1 << 20);
}
END_TEST

/* A kernel writes where nothing is: the error is kept, names the kernel, and nothing crashes afterwards. */
START_TEST(sticky_error) {
    jc_module *m = load(twice, 0);
    void *a = alloc(256), *wild = (void *)(uintptr_t)0x10;
    int64_t n = 64;
    void *args[] = { &a, &wild, &n };
    ck_assert_int_eq(d->ops->launch(d, m, 1, args, NULL, &err), JITC_OK);
    ck_assert_int_eq(d->ops->sync(d, NULL, &err), JITC_E_DEVICE_LOST);
    ck_assert_msg(strstr(err.message, "CUDA_ERROR_ILLEGAL_ADDRESS (700)") && strstr(err.message, "point_000000000000") &&
                      strstr(err.message, "Restart the process"), "%s", err.message);
    ck_assert_int_eq(d->lost, JITC_E_DEVICE_LOST);
    void *more = NULL;
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(d->ops->alloc(d, 16, &more, &err), JITC_E_DEVICE_LOST);
    ck_assert_msg(strstr(err.message, "died in an earlier call") != NULL, "%s", err.message);
    ck_assert_int_eq(d->ops->launch(d, m, 1, args, NULL, &err), JITC_E_DEVICE_LOST);
    d->ops->free(d, a);
    d->ops->module_free(d, m);
}
END_TEST

START_TEST(forked_child) {
    jc_module *m = load(twice, 0);
    void *a = alloc(256);
    pid_t child = fork();
    if (child == 0) {
        void *more = NULL;
        int bad = d->ops->alloc(d, 16, &more, &err) != JITC_E_FORKED || !strstr(err.message, "before fork()");
        d->ops->free(d, a);
        d->ops->module_free(d, m);
        jc_device_close(d);
        _exit(bad);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    d->ops->free(d, a);
    d->ops->module_free(d, m);
}
END_TEST

START_TEST(no_such_gpu) {
    jc_device *other = NULL;
    ck_assert_int_eq(jc_device_open("cuda:77", NULL, NULL, NULL, &other, &err), JITC_E_DEVICE);
    ck_assert_msg(strstr(err.message, "no device cuda:77") != NULL, "%s", err.message);
    ck_assert_ptr_null(other);
}
END_TEST

/* ---- contexts and streams: the driver beside us ------------------------------------------------------------------ */

static jc_cuda cu;
static jc_cu_result (*ctx_create)(jc_cu_context *, unsigned, jc_cu_device);
static jc_cu_result (*stream_create)(jc_cu_stream *, unsigned);
static jc_cu_result (*capture_begin)(jc_cu_stream, int);
static jc_cu_result (*capture_end)(jc_cu_stream, void **);
static jc_cu_result (*graph_instantiate)(void **, void *, unsigned long long);
static jc_cu_result (*graph_launch)(void *, jc_cu_stream);
static jc_cu_result (*graph_destroy)(void *);
static jc_cu_result (*graph_exec_destroy)(void *);

static void open_driver(void) {
    ck_assert_int_eq(jc_cuda_load(&cu, &err), JITC_OK);
    *(void **)&ctx_create = dlsym(cu.library, "cuCtxCreate_v2");
    *(void **)&stream_create = dlsym(cu.library, "cuStreamCreate");
    *(void **)&capture_begin = dlsym(cu.library, "cuStreamBeginCapture_v2");
    *(void **)&capture_end = dlsym(cu.library, "cuStreamEndCapture");
    *(void **)&graph_instantiate = dlsym(cu.library, "cuGraphInstantiateWithFlags");
    *(void **)&graph_launch = dlsym(cu.library, "cuGraphLaunch");
    *(void **)&graph_destroy = dlsym(cu.library, "cuGraphDestroy");
    *(void **)&graph_exec_destroy = dlsym(cu.library, "cuGraphExecDestroy");
    ck_assert(ctx_create && stream_create && capture_begin && capture_end && graph_instantiate && graph_launch && graph_destroy &&
              graph_exec_destroy);
}

/* No context of the caller's: none is left behind.  One of the caller's: it is used, and still current. */
START_TEST(contexts_left_alone) {
    jc_cu_context current = NULL, own = NULL, popped;
    jc_cu_device gpu = 0;
    open_driver();
    setup();
    ck_assert_int_eq((int)cu.ctx_current(&current), 0);
    ck_assert_ptr_null(current);
    void *a = alloc(16);
    jc_module *m = load(twice, 0);
    ck_assert_int_eq((int)cu.ctx_current(&current), 0);
    ck_assert_ptr_null(current);
    ck_assert_int_eq((int)cu.device_get(&gpu, 0), 0);
    ck_assert_int_eq((int)ctx_create(&own, 0, gpu), 0);
    d->ops->fill(d, a, 1, 16, NULL, &err); /* in the primary context, while another one is current */
    ck_assert_int_eq(d->ops->sync(d, NULL, &err), JITC_OK);
    ck_assert_int_eq((int)cu.ctx_current(&current), 0);
    ck_assert_ptr_eq(current, own);
    jc_device *inside = NULL;
    ck_assert_int_eq(jc_device_open("cuda:0", NULL, NULL, NULL, &inside, &err), JITC_OK);
    void *b = NULL;
    ck_assert_int_eq(inside->ops->alloc(inside, 16, &b, &err), JITC_OK);
    jc_cu_context home = NULL;
    jc_cu_result (*pointer_attribute)(void *, int, jc_cu_ptr);
    *(void **)&pointer_attribute = dlsym(cu.library, "cuPointerGetAttribute");
    ck_assert_int_eq((int)pointer_attribute(&home, 1 /* CU_POINTER_ATTRIBUTE_CONTEXT */, (jc_cu_ptr)(uintptr_t)b), 0);
    ck_assert_ptr_eq(home, own);
    ck_assert_int_eq((int)pointer_attribute(&home, 1, (jc_cu_ptr)(uintptr_t)a), 0);
    ck_assert_ptr_ne(home, own);
    inside->ops->free(inside, b);
    jc_device_close(inside);
    ck_assert_int_eq((int)cu.ctx_current(&current), 0);
    ck_assert_ptr_eq(current, own);
    cu.ctx_pop(&popped);
    d->ops->free(d, a);
    d->ops->module_free(d, m);
    teardown();
}
END_TEST

/* A whole executable: input and output on the GPU, an input that is not aligned, and a run under stream capture. */
START_TEST(executable_captured) {
    open_driver();
    jc_arena *arena = jc_arena_new(NULL);
    jc_exprs *ex = jc_exprs_new(arena);
    const jc_expr *s0 = jc_ex_sym(ex, jc_sym_add(ex, "s0")), *dims[] = { s0 }, *zero = jc_ex_int(ex, 0);
    jc_type t = { .kind = JC_TENSOR, .dtype = JC_F32, .rank = 1, .dims = dims };
    jc_plan_input input = { .type = t };
    jc_plan_buffer buffer = { jc_ex_mul(ex, s0, jc_ex_int(ex, 4)), JC_PLAN_NONE, 0, false };
    jc_plan_tensor tensors[] = { { JC_HOME_INPUT, 0, zero, t }, { JC_HOME_BUFFER, 0, zero, t } };
    jc_plan_kernel k = kernel(0);
    uint32_t second = 1;
    jc_plan_karg kargs[] = { { .kind = JC_KARG_PTR, .access = JC_KARG_READS, .tensor = 0, .input = JC_PLAN_NONE },
                             { .kind = JC_KARG_PTR, .access = JC_KARG_WRITES, .tensor = 1, .input = JC_PLAN_NONE, .nparts = 1,
                               .parts = &second },
                             { .kind = JC_KARG_I64, .expr = s0, .input = JC_PLAN_NONE } };
    jc_plan_step step = { .kind = JC_STEP_LAUNCH, .blocks = jc_ex_cdiv(ex, s0, jc_ex_int(ex, 64)), .nkargs = 3,
                          .kargs = kargs };
    jc_plan_output output = { .kind = JC_OUT_TENSOR, .index = 1 };
    jc_plan plan = { .ex = ex, .nsyms = 1, .ninputs = 1, .nbuffers = 1, .ntensors = 2, .nkernels = 1, .nsteps = 1,
                     .noutputs = 1, .nescapes = 1, .inputs = &input, .buffers = &buffer, .tensors = tensors,
                     .kernels = &k, .steps = &step, .outputs = &output };
    jc_bytes plan_bytes = JC_BYTES(arena), bytes = JC_BYTES(arena);
    jc_plan_encode(&plan, &plan_bytes);
    jc_code code = ptx(twice);
    code.key = k.key;
    jc_artifact artifact = { .target = d->target, .plan = plan_bytes.at, .nplan = plan_bytes.n, .ncodes = 1, .codes = &code };
    jc_artifact_encode(&artifact, &bytes);
    jc_exec *e = NULL;
    jc_frame *f = NULL;
    const jc_shape *shape = NULL;
    int64_t n = 300;
    jitc_status status = jc_exec_load(d, bytes.at, bytes.n, &e, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_int_eq(jc_frame_new(d, NULL, &f, &err), JITC_OK);
    ck_assert_int_eq(jc_exec_shape(e, &n, jc_arena_alloc(arena, jc_exec_shape_bytes(e)), &shape, &err), JITC_OK);

    static float data[301], got[301];
    for (int i = 0; i < 301; i++)
        data[i] = (float)i;
    void *x = alloc(sizeof data), *out = alloc(sizeof data);
    d->ops->copy_in(d, x, data, sizeof data, NULL, &err);
    d->ops->sync(d, NULL, &err);
    DLTensor in_tensor = { .data = (char *)x + 4, .device = d->dl, .ndim = 1, .dtype = { kDLFloat, 32, 1 }, .shape = &n };
    jitc_value in = { .tag = JITC_TENSOR, .tensor = &in_tensor }, result;
    DLTensor out_tensor;
    int64_t out_dims[1][2 * JC_MAX_RANK];
    jc_exec_call call = { .shape = shape, .in = &in, .escapes = &out, .out = &result, .out_tensors = &out_tensor,
                          .out_dims = out_dims };
    jc_cu_context popped, primary = NULL;
    jc_cu_stream stream = NULL;
    void *graph = NULL, *ready = NULL;
    ck_assert_int_eq((int)cu.primary_retain(&primary, 0), 0);
    ck_assert_int_eq((int)cu.ctx_push(primary), 0);
    ck_assert_int_eq((int)stream_create(&stream, 1 /* CU_STREAM_NON_BLOCKING */), 0);
    call.stream = stream;
    ck_assert_msg(jc_exec_run(e, f, &call, &err) == JITC_OK, "%s", err.message); /* grows the frame */
    d->ops->sync(d, stream, &err);
    ck_assert_int_eq((int)capture_begin(stream, 0 /* global: the strictest mode */), 0);
    status = jc_exec_run(e, f, &call, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_int_eq((int)capture_end(stream, &graph), 0);
    ck_assert_int_eq((int)graph_instantiate(&ready, graph, 0), 0);
    d->ops->fill(d, out, 0xff, sizeof data, stream, &err);
    ck_assert_int_eq((int)graph_launch(ready, stream), 0);
    d->ops->copy_out(d, got, out, sizeof got, stream, &err);
    ck_assert_int_eq(d->ops->sync(d, stream, &err), JITC_OK);
    for (int i = 0; i < 300; i++)
        ck_assert(got[i] == 2.0f * (float)(i + 1));
    cu.ctx_pop(&popped);
    jc_frame_free(f);
    jc_exec_free(e);
    jc_arena_free(arena);
}
END_TEST

static void count(void *user) {
    atomic_fetch_add((atomic_int *)user, 1);
}

static bool becomes(atomic_int *value, int wanted) {
    for (int i = 0; i < 5000 && atomic_load(value) != wanted; i++)
        usleep(1000);
    return atomic_load(value) == wanted;
}

/* What a graph holds is released when the graph and what was instantiated of it are gone, once per capture. */
START_TEST(held_by_a_capture) {
    open_driver();
    static atomic_int released;
    jc_cu_context popped, primary = NULL;
    jc_cu_stream stream = NULL;
    void *graph = NULL, *ready = NULL;
    uint64_t capture = 1, again;
    ck_assert_int_eq((int)cu.primary_retain(&primary, 0), 0);
    ck_assert_int_eq((int)cu.ctx_push(primary), 0);
    ck_assert_int_eq((int)stream_create(&stream, 1 /* CU_STREAM_NON_BLOCKING */), 0);
    ck_assert_int_eq(d->ops->hold(d, stream, count, &released, &capture, &err), JITC_OK);
    ck_assert_uint_eq(capture, 0); /* nothing is captured yet */
    ck_assert_int_eq((int)capture_begin(stream, 0), 0);
    ck_assert_int_eq(d->ops->hold(d, stream, count, &released, &capture, &err), JITC_OK);
    ck_assert_uint_ne(capture, 0);
    again = capture;
    ck_assert_int_eq(d->ops->hold(d, stream, count, &released, &again, &err), JITC_OK);
    ck_assert_uint_eq(again, capture);
    ck_assert_int_eq((int)capture_end(stream, &graph), 0);
    ck_assert_int_eq((int)graph_instantiate(&ready, graph, 0), 0);
    ck_assert_int_eq((int)graph_destroy(graph), 0);
    usleep(100000);
    ck_assert_int_eq(atomic_load(&released), 0); /* what was instantiated needs it */
    ck_assert_int_eq((int)graph_exec_destroy(ready), 0);
    ck_assert(becomes(&released, 1));
    cu.ctx_pop(&popped);
}
END_TEST

/* Another frame grows, another model is loaded, while a stream is captured in the strictest mode: neither is refused, and the
   capture holds. */
static void *grow_and_load(void *unused) {
    jc_module *m = NULL;
    void *block = NULL;
    jc_error own = JC_ERROR_INIT;
    (void)unused;
    jc_code code = ptx(twice);
    jc_plan_kernel k = kernel(0);
    bool ok = d->ops->alloc(d, 1 << 20, &block, &own) == JITC_OK && d->ops->module_load(d, &code, &k, &m, &own) == JITC_OK;
    d->ops->module_free(d, m);
    d->ops->free(d, block);
    return ok ? d : NULL;
}

START_TEST(memory_beside_captures) {
    jc_cu_context primary = NULL, popped;
    jc_cu_stream stream = NULL;
    void *graph = NULL, *ready = NULL, *did = NULL;
    unsigned char got[64] = { 0 };
    pthread_t other;
    open_driver();
    ck_assert_int_eq((int)cu.primary_retain(&primary, 0), 0);
    ck_assert_int_eq((int)cu.ctx_push(primary), 0);
    ck_assert_int_eq((int)stream_create(&stream, 1), 0);
    void *block = alloc(sizeof got);
    ck_assert_int_eq((int)capture_begin(stream, 0), 0);
    ck_assert_int_eq(d->ops->fill(d, block, 7, sizeof got, stream, &err), JITC_OK);
    ck_assert_int_eq(pthread_create(&other, NULL, grow_and_load, NULL), 0);
    pthread_join(other, &did);
    ck_assert_msg(did != NULL, "refused beside another thread's capture");
    ck_assert_msg(grow_and_load(NULL) != NULL, "refused in the thread that captures");
    ck_assert_int_eq((int)capture_end(stream, &graph), 0);
    ck_assert_int_eq((int)graph_instantiate(&ready, graph, 0), 0);
    ck_assert_int_eq((int)graph_launch(ready, stream), 0);
    d->ops->copy_out(d, got, block, sizeof got, stream, &err);
    ck_assert_int_eq(d->ops->sync(d, stream, &err), JITC_OK);
    for (size_t i = 0; i < sizeof got; i++)
        ck_assert_uint_eq(got[i], 7);
    d->ops->free(d, block);
    cu.ctx_pop(&popped);
}
END_TEST

int main(void) {
    if (no_gpu())
        return 77;
    Suite *suite = suite_create("cuda_device");
    TCase *c = tcase_create("device"), *own = tcase_create("contexts");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_set_timeout(own, 60);
    tcase_add_test(c, target_is_the_gpu);
    tcase_add_test(c, memory_and_launch);
    tcase_add_test(c, rows_are_copied);
    tcase_add_loop_test(c, dynamic_shared_memory, 0, ROWS(shared_sizes));
    tcase_add_loop_test(c, modules_refused, 0, ROWS(module_rows));
    tcase_add_test(c, too_many_blocks);
    tcase_add_test(c, out_of_gpu_memory);
    tcase_add_test(c, sticky_error);
    tcase_add_test(c, forked_child);
    tcase_add_test(c, no_such_gpu);
    tcase_add_test(c, executable_captured);
    tcase_add_test(c, memory_beside_captures);
    tcase_add_test(c, held_by_a_capture);
    tcase_add_test(own, contexts_left_alone);
    suite_add_tcase(suite, c);
    suite_add_tcase(suite, own);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
