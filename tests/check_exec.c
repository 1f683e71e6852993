/*
 * tests/check_exec.c - the executor: hand-written plans on a device of C functions, and the host and sim devices themselves.
 *
 * The fake device is the host's memory with kernels from the table below; it counts copies and keeps the last launch, so that the
 * tests see what the executor passed.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "plan/kernel.h"
#include "runtime/device_mem.h"
#include "runtime/exec.h"

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))
#define NONE JC_PLAN_NONE

/* ---- an allocator that counts and fails ------------------------------------------------------------------------ */

static struct {
    long calls, live, fail_at; /* fail_at: this call and all later ones; 0: none */
} counts;

static void *count_alloc(void *user, size_t size) {
    (void)user;
    long call = __atomic_add_fetch(&counts.calls, 1, __ATOMIC_RELAXED);
    if (counts.fail_at && call >= counts.fail_at)
        return NULL;
    __atomic_add_fetch(&counts.live, 1, __ATOMIC_RELAXED);
    void *block = malloc(size ? size : 1);
    return memset(block, 0xa5, size);
}

static void count_free(void *user, void *block, size_t size) {
    (void)user;
    memset(block, 0x5a, size);
    free(block);
    __atomic_add_fetch(&counts.live, -1, __ATOMIC_RELAXED);
}

static const jc_alloc counted = { count_alloc, count_free, NULL };

/* ---- the fake device ------------------------------------------------------------------------------------------- */

typedef void (*fake_kernel)(void *const *args);

struct jc_module {
    uint8_t id;
};

static struct {
    int launches, copies, ids[16];
    int64_t blocks[16];
    void *at[16]; /* first pointer of each */
    jc_device_range ranges[8];
    uint32_t nranges;
} seen;

static float *f32_at(void *const *args, int i) { return *(float *const *)args[i]; }
static int64_t i64_at(void *const *args, int i) { return *(const int64_t *)args[i]; }

static void k_add(void *const *args) { /* out, a, b, n */
    for (int64_t i = 0; i < i64_at(args, 3); i++)
        f32_at(args, 0)[i] = f32_at(args, 1)[i] + f32_at(args, 2)[i];
}

static void k_scale(void *const *args) { /* out, a, n, factor, summand */
    for (int64_t i = 0; i < i64_at(args, 2); i++)
        f32_at(args, 0)[i] = f32_at(args, 1)[i] * (float)*(const double *)args[3] + (float)i64_at(args, 4);
}

static void k_inc(void *const *args) { /* x, rows, columns, row stride */
    for (int64_t i = 0; i < i64_at(args, 1); i++)
        for (int64_t j = 0; j < i64_at(args, 2); j++)
            f32_at(args, 0)[i * i64_at(args, 3) + j] += 1;
}

enum { ADD, SCALE, INC };
static const fake_kernel kernels[] = { k_add, k_scale, k_inc };

static jitc_status fake_load(jc_device *d, const jc_code *code, const jc_plan_kernel *kernel, jc_module **out, jc_error *err) {
    (void)kernel;
    if (code->bytes[0] >= ROWS(kernels))
        return jc_fail(err, JITC_E_DEVICE, "no such kernel");
    *out = jc_mem_object(d->alloc, sizeof **out);
    if (!*out)
        return jc_fail(err, JITC_E_NOMEM, "no memory");
    (*out)->id = code->bytes[0];
    return JITC_OK;
}

static void fake_free(jc_device *d, jc_module *m) {
    if (m)
        d->alloc->free(d->alloc->user, m, sizeof *m);
}

static jitc_status fake_launch(jc_device *d, jc_module *m, int64_t blocks, void *const *args, void *stream, jc_error *err) {
    (void)d, (void)stream, (void)err;
    int at = seen.launches++ % 16;
    seen.ids[at] = m->id;
    seen.blocks[at] = blocks;
    seen.at[at] = f32_at(args, 0);
    kernels[m->id](args);
    return JITC_OK;
}

static jitc_status fake_launch_checked(jc_device *d, jc_module *m, int64_t blocks, void *const *args,
                                       const jc_device_range *ranges, uint32_t n, void *stream, jc_error *err) {
    memcpy(seen.ranges, ranges, n * sizeof *ranges);
    seen.nranges = n;
    return fake_launch(d, m, blocks, args, stream, err);
}

static jitc_status fake_quiet_launch(jc_device *d, jc_module *m, int64_t blocks, void *const *args, void *stream,
                                     jc_error *err) {
    (void)d, (void)blocks, (void)stream, (void)err;
    kernels[m->id](args);
    return JITC_OK;
}

static jitc_status fake_copy(jc_device *d, void *dst, const void *src, size_t size, void *stream, jc_error *err) {
    seen.copies++;
    return jc_mem_copy(d, dst, src, size, stream, err);
}

static jitc_status fake_copy_rows(jc_device *d, void *dst, const void *src, size_t size, size_t pitch, size_t n, void *stream,
                                  jc_error *err) {
    seen.copies++;
    return jc_mem_copy_rows(d, dst, src, size, pitch, n, stream, err);
}

static jc_device_ops fake_ops = {
    .name = "fake",
    .alloc = jc_mem_alloc,
    .free = jc_mem_free,
    .copy_in = jc_mem_copy_in,
    .copy_out = jc_mem_copy_out,
    .copy = fake_copy,
    .copy_rows = fake_copy_rows,
    .fill = jc_mem_fill,
    .sync = jc_mem_sync,
    .module_load = fake_load,
    .module_free = fake_free,
    .launch = fake_launch,
};
static jc_device fake = { .ops = &fake_ops, .dl = { kDLCPU, 0 }, .alloc = &counted };

/* ---- plans ----------------------------------------------------------------------------------------------------- */

static jc_arena *arena;
static jc_exprs *ex;
static jc_registry *ops;
static jc_names *names;
static jc_frame *frame;

static struct {
    jc_plan plan;
    jc_plan_input inputs[8];
    jc_plan_buffer buffers[8];
    jc_plan_tensor tensors[16];
    jc_plan_kernel kernels[4];
    jc_plan_step steps[8];
    jc_plan_output outputs[8];
    uint8_t codes[4];
} b;

static const jc_expr *s0;

static void setup(void) {
    arena = jc_arena_new(NULL);
    ex = jc_exprs_new(arena);
    ops = jc_ops_new(arena);
    names = jc_names_new(arena);
    memset(&b, 0, sizeof b);
    b.plan = (jc_plan){ .ex = ex, .inputs = b.inputs, .buffers = b.buffers, .tensors = b.tensors, .kernels = b.kernels,
                        .steps = b.steps, .outputs = b.outputs };
    uint32_t sym = jc_sym_add(ex, "s0");
    jc_sym_at(ex, sym)->lo = 0;
    s0 = jc_ex_sym(ex, sym);
    b.plan.nsyms = 1;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_target_parse("host", &fake.target, &err), JITC_OK);
    fake_ops.launch_checked = NULL;
    ck_assert_int_eq(jc_frame_new(&fake, NULL, &frame, &err), JITC_OK);
}

static void teardown(void) {
    jc_frame_free(frame);
    jc_arena_free(arena);
    ck_assert_int_eq(counts.live, 0);
}

static const jc_expr *n_(int64_t n) { return jc_ex_int(ex, n); }

static jc_type type_(jc_dtype dtype, int rank, const jc_expr *d0, const jc_expr *d1) {
    const jc_expr **dims = JC_NEWN(arena, const jc_expr *, 2);
    dims[0] = d0;
    dims[1] = d1;
    return (jc_type){ .kind = JC_TENSOR, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .dims = dims };
}

static jc_type strided(jc_type t, const jc_expr *st0, const jc_expr *st1) {
    const jc_expr **strides = JC_NEWN(arena, const jc_expr *, 2);
    strides[0] = st0;
    strides[1] = st1;
    t.strides = strides;
    return t;
}

static uint32_t input(jc_type t, bool written) {
    b.inputs[b.plan.ninputs] = (jc_plan_input){ .type = t, .written = written };
    return b.plan.ninputs++;
}

static uint32_t scalar(jc_kind kind, const jc_expr *e) {
    return input((jc_type){ .kind = (uint8_t)kind, .expr = e }, false);
}

static uint32_t tensor(uint8_t home, uint32_t index, int64_t offset, jc_type t) {
    b.tensors[b.plan.ntensors] = (jc_plan_tensor){ home, index, n_(offset), t };
    return b.plan.ntensors++;
}

/* SLOT NONE: it escapes. */
static uint32_t buffer(const jc_expr *bytes, uint32_t slot) {
    b.buffers[b.plan.nbuffers] = (jc_plan_buffer){ bytes, slot, slot == NONE ? b.plan.nescapes++ : NONE, false };
    if (slot != NONE && slot >= b.plan.nslots)
        b.plan.nslots = slot + 1;
    return b.plan.nbuffers++;
}

/* A contiguous tensor filling a buffer. */
static uint32_t in_buffer(jc_type t, uint32_t slot) {
    const jc_expr *bytes = jc_ex_mul(ex, jc_type_numel(ex, &t), n_(jc_dtypes[t.dtype].size));
    return tensor(JC_HOME_BUFFER, buffer(bytes, slot), 0, t);
}

static uint32_t in_input(uint32_t i) {
    return tensor(JC_HOME_INPUT, i, 0, b.inputs[i].type);
}

static uint32_t kernel(uint8_t id) {
    jc_plan_kernel *k = &b.kernels[b.plan.nkernels];
    k->key = (jc_hash){ { id, (uint8_t)b.plan.nkernels } };
    jc_plan_kernel_name(JC_K_POINT, &k->key, k->name);
    k->threads = 64;
    b.codes[b.plan.nkernels] = id;
    return b.plan.nkernels++;
}

static jc_plan_karg ptr(uint32_t t) {
    return (jc_plan_karg){ .kind = JC_KARG_PTR, .access = JC_KARG_READS, .tensor = t, .input = NONE };
}
static jc_plan_karg out_ptr(uint32_t t) {
    return (jc_plan_karg){ .kind = JC_KARG_PTR, .access = JC_KARG_WRITES, .tensor = t, .input = NONE, .nparts = 1,
                           .parts = jc_arena_memdup(arena, &t, sizeof t) };
}
static jc_plan_karg num(const jc_expr *e) { return (jc_plan_karg){ .kind = JC_KARG_I64, .expr = e, .input = NONE }; }
static jc_plan_karg real(double f) { return (jc_plan_karg){ .kind = JC_KARG_F64, .f = f, .input = NONE }; }
static jc_plan_karg num_in(uint32_t i) { return (jc_plan_karg){ .kind = JC_KARG_I64, .input = i }; }
static jc_plan_karg real_in(uint32_t i) { return (jc_plan_karg){ .kind = JC_KARG_F64, .input = i }; }

#define LAUNCH(k, blocks, ...)                                                                     \
    launch_((k), (blocks), (jc_plan_karg[]){ __VA_ARGS__ },                                        \
            sizeof((jc_plan_karg[]){ __VA_ARGS__ }) / sizeof(jc_plan_karg))
/* The first pointer is what the kernel writes, unless another says that it is. */
static jc_plan_step *launch_(uint32_t k, const jc_expr *blocks, const jc_plan_karg *given, size_t n) {
    jc_plan_step *step = &b.steps[b.plan.nsteps++];
    jc_plan_karg *args = jc_arena_memdup(arena, given, n * sizeof *given);
    bool said = false;
    for (size_t i = 0; i < n; i++)
        said |= args[i].nparts > 0;
    for (size_t i = 0; i < n && !said; i++)
        if (args[i].kind == JC_KARG_PTR) {
            args[i] = out_ptr(args[i].tensor);
            said = true;
        }
    *step = (jc_plan_step){ .kind = JC_STEP_LAUNCH, .kernel = k, .blocks = blocks, .nkargs = (uint32_t)n,
                            .kargs = args };
    return step;
}

static jc_plan_step *call_step(const char *op, const jc_plan_arg *args, uint32_t n, uint32_t result) {
    jc_plan_step *step = &b.steps[b.plan.nsteps++];
    *step = (jc_plan_step){ .kind = JC_STEP_CALL, .op = op, .line = 17, .nargs = n,
                            .args = jc_arena_memdup(arena, args, n * sizeof *args) };
    if (result != NONE) {
        step->nresults = 1;
        step->results = jc_arena_memdup(arena, &result, sizeof result);
    }
    return step;
}

static void output(jc_plan_out_kind kind, uint32_t index, const jc_expr *e) {
    b.outputs[b.plan.noutputs++] = (jc_plan_output){ .kind = (uint8_t)kind, .index = index, .expr = e };
}

static jc_bytes artifact_bytes(const jc_target *target) {
    jc_bytes plan = JC_BYTES(arena), out = JC_BYTES(arena);
    jc_code codes[4] = { 0 };
    jc_plan_encode(&b.plan, &plan);
    for (uint32_t i = 0; i < b.plan.nkernels; i++)
        codes[i] = (jc_code){ .key = b.kernels[i].key, .bytes = &b.codes[i], .nbytes = 1,
                              .kind = target->dialect == JC_DIALECT_NVPTX ? JC_CODE_CUBIN : JC_CODE_OBJECT };
    jc_artifact a = { .target = *target, .plan = plan.at, .nplan = plan.n, .ncodes = b.plan.nkernels, .codes = codes };
    jc_artifact_encode(&a, &out);
    return out;
}

static jc_exec *load(void) {
    jc_bytes bytes = artifact_bytes(&fake.target);
    jc_exec *e = NULL;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = jc_exec_load(&fake, bytes.at, bytes.n, &e, &err);
    ck_assert_msg(status == JITC_OK, "load: %s", err.message);
    memset(bytes.at, 0xee, bytes.n); /* copied as needed */
    return e;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static _Alignas(256) uint8_t escape_memory[4][8192];

typedef struct run_result {
    jitc_status status;
    jc_error err;
    jitc_value out[8];
    DLTensor tensors[8];
    int64_t dims[8][2 * JC_MAX_RANK];
} run_result;

static run_result result;
static const jc_call_trace *trace;

static jitc_status shape_of(const jc_exec *e, const int64_t *syms, const jc_shape **out, jc_error *err) {
    static _Thread_local _Alignas(16) uint8_t block[65536];
    ck_assert_uint_le(jc_exec_shape_bytes(e), sizeof block);
    memset(block, 0xa5, sizeof block); /* it need not be clean */
    return jc_exec_shape(e, syms, block, out, err);
}

static jitc_status run_in(jc_exec *e, jc_frame *f, const int64_t *syms, const jitc_value *in, run_result *r) {
    const jc_shape *shape = NULL;
    void *escapes[4] = { escape_memory[0], escape_memory[1], escape_memory[2], escape_memory[3] };
    memset(r, 0, sizeof *r);
    r->status = shape_of(e, syms, &shape, &r->err);
    if (r->status != JITC_OK)
        return r->status;
    jc_exec_call call = { .shape = shape, .in = in, .escapes = escapes, .out = r->out, .out_tensors = r->tensors,
                          .out_dims = r->dims, .ops = ops, .trace = trace };
    r->status = jc_exec_run(e, f, &call, &r->err);
    return r->status;
}

static void run_ok(jc_exec *e, int64_t n, const jitc_value *in) {
    run_in(e, frame, &n, in, &result);
    ck_assert_msg(result.status == JITC_OK, "s0=%lld: %s", (long long)n, result.err.message);
}

typedef struct host_tensor {
    DLTensor t;
    int64_t dims[2], strides[2];
} host_tensor;

static jitc_value t_(host_tensor *h, void *data, int rank, int64_t d0, int64_t d1) {
    h->dims[0] = d0;
    h->dims[1] = d1;
    h->t = (DLTensor){ .data = data, .device = { kDLCPU, 0 }, .ndim = rank, .dtype = { kDLFloat, 32, 1 }, .shape = h->dims };
    return (jitc_value){ .tag = JITC_TENSOR, .tensor = &h->t };
}

static jitc_value int_(int64_t i) { return (jitc_value){ .tag = JITC_INT, .i = i }; }

/* out = x + y, over s0 elements. */
static jc_exec *add_exec(void) {
    jc_type t = type_(JC_F32, 1, s0, NULL);
    uint32_t x = in_input(input(t, false)), y = in_input(input(t, false)), out = in_buffer(t, NONE);
    LAUNCH(kernel(ADD), jc_ex_cdiv(ex, s0, n_(64)), ptr(out), ptr(x), ptr(y), num(s0));
    output(JC_OUT_TENSOR, out, NULL);
    return load();
}

static _Alignas(256) float xs[1024], ys[1024];

static void fill_inputs(void) {
    for (int i = 0; i < 1024; i++) {
        xs[i] = (float)i;
        ys[i] = 1000.0f * (float)i;
    }
}

START_TEST(adds_at_several_sizes) {
    static const int64_t sizes[] = { 1, 63, 64, 65, 500, 1, 0 };
    jc_exec *e = add_exec();
    host_tensor x, y;
    fill_inputs();
    for (int k = 0; k < ROWS(sizes); k++) {
        int64_t n = sizes[k];
        jitc_value in[] = { t_(&x, xs, 1, n, 0), t_(&y, ys, 1, n, 0) };
        seen.launches = 0;
        run_ok(e, n, in);
        ck_assert_int_eq(seen.launches, n > 0); /* no blocks, no launch */
        ck_assert_int_eq(seen.blocks[0], n ? (n + 63) / 64 : seen.blocks[0]);
        ck_assert_uint_eq(result.out[0].tag, JITC_TENSOR);
        const DLTensor *out = result.out[0].tensor;
        ck_assert(out == &result.tensors[0] && out->ndim == 1 && out->shape[0] == n && out->strides[0] == 1);
        ck_assert(out->dtype.code == kDLFloat && out->dtype.bits == 32 && out->dtype.lanes == 1 && out->byte_offset == 0);
        ck_assert_ptr_eq(out->data, escape_memory[0]);
        for (int64_t i = 0; i < n; i++)
            ck_assert(((float *)out->data)[i] == 1001.0f * (float)i);
    }
    jc_exec_free(e);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------------------------- */

/* a = x*2 (slot 0), b = a*3 (slot 1), c = [b, b] (slot 0 again, twice the size), out = c*1 */
START_TEST(slots_and_lifetimes) {
    jc_type t = type_(JC_F32, 1, s0, NULL), twice = type_(JC_F32, 1, jc_ex_mul(ex, n_(2), s0), NULL);
    uint32_t x = in_input(input(t, false)), a = in_buffer(t, 0), bb = in_buffer(t, 1), c = in_buffer(twice, 0);
    uint32_t out = in_buffer(twice, NONE), k = kernel(SCALE);
    const jc_expr *n2 = jc_ex_mul(ex, n_(2), s0);
    jc_plan_tensor upper = b.tensors[c]; /* c's upper half, s0 elements in */
    upper.offset = s0;
    upper.type = t;
    b.tensors[b.plan.ntensors] = upper;
    uint32_t c_upper = b.plan.ntensors++;
    LAUNCH(k, n_(1), ptr(a), ptr(x), num(s0), real(2), num(n_(0)));
    LAUNCH(k, n_(1), ptr(bb), ptr(a), num(s0), real(3), num(n_(0)));
    LAUNCH(k, n_(1), ptr(c), ptr(bb), num(s0), real(1), num(n_(0)));
    LAUNCH(k, n_(1), ptr(c_upper), ptr(bb), num(s0), real(-1), num(s0));
    LAUNCH(k, n_(1), ptr(out), ptr(c), num(n2), real(1), num(n_(0)));
    output(JC_OUT_TENSOR, out, NULL);
    jc_exec *e = load();
    const jc_shape *shape;
    jc_error err = JC_ERROR_INIT;
    int64_t n = 100;
    ck_assert_int_eq(shape_of(e, &n, &shape, &err), JITC_OK);
    ck_assert_uint_eq(jc_shape_arena_bytes(shape), 1024 + 512); /* 2*400 and 400, each to 256 */
    ck_assert_uint_eq(jc_shape_escape_bytes(shape, 0), 800);
    host_tensor h;
    fill_inputs();
    jitc_value in[] = { t_(&h, xs, 1, n, 0) };
    run_ok(e, n, in);
    ck_assert_int_eq(seen.launches, 5);
    ck_assert_ptr_eq(seen.at[0], seen.at[2]);                         /* a and c share slot 0 */
    ck_assert_int_eq((char *)seen.at[1] - (char *)seen.at[0], 1024);  /* b lies behind it */
    ck_assert_int_eq((char *)seen.at[3] - (char *)seen.at[2], 400);   /* c's upper half */
    ck_assert_uint_eq((uintptr_t)seen.at[0] % 256, 0);
    const float *got = result.out[0].tensor->data;
    for (int i = 0; i < 100; i++)
        ck_assert(got[i] == 6.0f * (float)i && got[100 + i] == -6.0f * (float)i + 100.0f);
    /* A larger shape in the same frame, then the small one again. */
    n = 200;
    in[0] = t_(&h, xs, 1, n, 0);
    run_ok(e, n, in);
    ck_assert(((float *)result.out[0].tensor->data)[399] == -6.0f * 199.0f + 200.0f);
    n = 100;
    in[0] = t_(&h, xs, 1, n, 0);
    run_ok(e, n, in);
    ck_assert(((float *)result.out[0].tensor->data)[199] == -6.0f * 99.0f + 100.0f);
    jc_exec_free(e);
}
END_TEST

START_TEST(steady_state_allocates_nothing) {
    jc_exec *e = add_exec();
    host_tensor x, y;
    jitc_value in[] = { t_(&x, xs, 1, 10, 0), t_(&y, ys + 1, 1, 10, 0) }; /* y is copied */
    run_ok(e, 10, in);
    long calls = counts.calls;
    for (int i = 0; i < 10; i++)
        run_ok(e, 10, in);
    ck_assert_int_eq(counts.calls, calls);
    jc_exec_free(e);
}
END_TEST

START_TEST(outputs_of_every_kind) {
    jc_type t = type_(JC_F32, 2, s0, n_(4)), row = type_(JC_F32, 1, n_(4), NULL);
    uint32_t x = input(t, false), name = scalar(JC_NAME, NULL), n = scalar(JC_INT, NULL);
    uint32_t base = in_buffer(t, NONE);
    b.outputs[0].undefined = true;
    b.buffers[b.tensors[base].index].undefined = true; /* nothing writes it here */
    uint32_t view = tensor(JC_HOME_BUFFER, b.tensors[base].index, 2, row);
    uint32_t of_input = tensor(JC_HOME_INPUT, x, 4, strided(type_(JC_F32, 2, n_(2), n_(2)), n_(1), n_(2)));
    output(JC_OUT_INPUT, x, NULL);
    output(JC_OUT_TENSOR, view, NULL);
    output(JC_OUT_EXPR, 0, jc_ex_add(ex, jc_ex_mul(ex, s0, n_(48)), n_(1)));
    output(JC_OUT_NONE, 0, NULL);
    output(JC_OUT_INPUT, name, NULL);
    output(JC_OUT_INPUT, n, NULL);
    output(JC_OUT_TENSOR, of_input, NULL);
    b.outputs[0].undefined = false;
    jc_exec *e = load();
    const jitc_layer_name *layer = jc_name_intern(names, "model.layers.3", NULL);
    for (int unaligned = 0; unaligned < 2; unaligned++) { /* what comes out is never the aligned copy */
        host_tensor h;
        jitc_value in[] = { t_(&h, xs + unaligned, 2, 5, 4), { .tag = JITC_NAME, .name = layer }, int_(-9) };
        h.t.data = xs;
        h.t.byte_offset = 4u * (unsigned)unaligned;
        run_ok(e, 5, in);
        const DLTensor *o = result.out[0].tensor;
        ck_assert(o == &result.tensors[0] && o->data == xs && o->byte_offset == 4u * (unsigned)unaligned);
        ck_assert(o->shape[0] == 5 && o->shape[1] == 4 && o->strides[0] == 4 && o->strides[1] == 1);
        o = result.out[1].tensor;
        ck_assert(o->data == escape_memory[0] + 8 && o->ndim == 1 && o->shape[0] == 4 && o->strides[0] == 1);
        ck_assert(result.out[2].tag == JITC_INT && result.out[2].i == 241);
        ck_assert(result.out[3].tag == JITC_NONE);
        ck_assert(result.out[4].tag == JITC_NAME && result.out[4].name == layer);
        ck_assert(result.out[5].tag == JITC_INT && result.out[5].i == -9);
        o = result.out[6].tensor;
        ck_assert_ptr_eq(o->data, xs + unaligned + 4);
        ck_assert(o->shape[0] == 2 && o->shape[1] == 2 && o->strides[0] == 1 && o->strides[1] == 2);
        ck_assert_int_eq(seen.copies, unaligned);
    }
    jc_exec_free(e);
}
END_TEST

/* ---- guards and scalars ----------------------------------------------------------------------------------------- */

static const struct {
    int64_t n;
    int launches, id;
} guard_rows[] = { { 1, 1, SCALE }, { 8, 1, SCALE }, { 9, 1, ADD }, { 100, 1, ADD }, { 0, 0, 0 } };

START_TEST(guards_choose) {
    jc_type t = type_(JC_F32, 1, s0, NULL);
    uint32_t x = in_input(input(t, false)), out = in_buffer(t, NONE);
    jc_plan_step *small = LAUNCH(kernel(SCALE), s0, ptr(out), ptr(x), num(s0), real(2), num(n_(0)));
    jc_plan_step *large = LAUNCH(kernel(ADD), s0, ptr(out), ptr(x), ptr(x), num(s0));
    small->guard = large->guard = s0;
    small->lo = 1;
    small->hi = 8;
    large->lo = 9;
    large->hi = INT64_MAX;
    output(JC_OUT_TENSOR, out, NULL);
    jc_exec *e = load();
    host_tensor h;
    fill_inputs();
    int64_t n = guard_rows[_i].n;
    jitc_value in[] = { t_(&h, xs, 1, n, 0) };
    run_ok(e, n, in);
    ck_assert_int_eq(seen.launches, guard_rows[_i].launches);
    ck_assert_int_eq(seen.ids[0], guard_rows[_i].id);
    for (int64_t i = 0; i < n; i++)
        ck_assert(((float *)result.out[0].tensor->data)[i] == 2.0f * (float)i);
    jc_exec_free(e);
}
END_TEST

static const struct {
    jitc_value factor, summand;
    float want; /* of element 3 */
} scalar_rows[] = {
    { { .tag = JITC_FLOAT, .f = 0.5 }, { .tag = JITC_INT, .i = 7 }, 8.5f },
    { { .tag = JITC_INT, .i = 2 }, { .tag = JITC_INT, .i = -1 }, 5.0f }, /* an int where a float is wanted */
};

START_TEST(lifted_scalars_reach_kernels) {
    jc_type t = type_(JC_F32, 1, s0, NULL);
    uint32_t x = in_input(input(t, false)), factor = scalar(JC_FLOAT, NULL), summand = scalar(JC_INT, NULL);
    uint32_t size = scalar(JC_SYMINT, jc_ex_mul(ex, n_(48), s0)), out = in_buffer(t, NONE);
    LAUNCH(kernel(SCALE), n_(1), ptr(out), ptr(x), num(s0), real_in(factor), num_in(summand));
    output(JC_OUT_TENSOR, out, NULL);
    output(JC_OUT_INPUT, size, NULL);
    jc_exec *e = load();
    host_tensor h;
    fill_inputs();
    jitc_value in[] = { t_(&h, xs, 1, 5, 0), scalar_rows[_i].factor, scalar_rows[_i].summand, int_(240) };
    run_ok(e, 5, in);
    ck_assert(((float *)result.out[0].tensor->data)[3] == scalar_rows[_i].want);
    ck_assert(result.out[1].tag == JITC_INT && result.out[1].i == 240);
    jc_exec_free(e);
}
END_TEST

/* ---- inputs that are not aligned -------------------------------------------------------------------------------- */

/* x[s0, 3] with row stride 5 is incremented in place; the two columns between rows are not ours. */
START_TEST(unaligned_written_input) {
    jc_type t = strided(type_(JC_F32, 2, s0, n_(3)), n_(5), n_(1));
    uint32_t x = in_input(input(t, true));
    LAUNCH(kernel(INC), n_(1), ptr(x), num(s0), num(n_(3)), num(n_(5)));
    output(JC_OUT_TENSOR, x, NULL);
    jc_exec *e = load();
    for (int shift = 0; shift < 5; shift++) {
        host_tensor h;
        fill_inputs();
        seen.copies = 0;
        jitc_value in[] = { t_(&h, xs + shift, 2, 4, 3) };
        h.strides[0] = 5;
        h.strides[1] = 1;
        h.t.strides = h.strides;
        run_ok(e, 4, in);
        ck_assert_int_eq(seen.copies, shift % 4 ? 1 + 1 : 0); /* in one piece; back all rows, but not what is between them */
        ck_assert(shift % 4 ? seen.at[shift] != xs + shift : seen.at[shift] == xs + shift);
        ck_assert_uint_eq((uintptr_t)seen.at[shift] % 16, 0);
        ck_assert_ptr_eq(result.out[0].tensor->data, xs + shift);
        for (int i = 0; i < 40; i++) {
            int at = i - shift;
            bool ours = at >= 0 && at < 20 && at % 5 < 3;
            ck_assert_msg(xs[i] == (float)(i + ours), "shift %d, element %d: %g", shift, i, (double)xs[i]);
        }
    }
    jc_exec_free(e);
}
END_TEST

START_TEST(unaligned_read_inputs) {
    jc_exec *e = add_exec();
    host_tensor x, y;
    fill_inputs();
    jitc_value in[] = { t_(&x, xs + 1, 1, 70, 0), t_(&y, ys + 3, 1, 70, 0) };
    run_ok(e, 70, in);
    ck_assert_int_eq(seen.copies, 2);
    for (int i = 0; i < 70; i++)
        ck_assert(((float *)result.out[0].tensor->data)[i] == (float)(i + 1) + 1000.0f * (float)(i + 3));
    jc_exec_free(e);
}
END_TEST

/* ---- what inputs must be ---------------------------------------------------------------------------------------- */

typedef enum { OK_AS_IS, DTYPE, LANES, RANK, DIM, STRIDE, NO_STRIDES, UNIT_STRIDE, DEVICE, PINNED, DATA, TAG, NULL_TENSOR,
               SYMINT_OFF, SYMINT_TAG, NAME_TAG, NAME_NULL, BOOL_TAG, EMPTY_NULL } spoil;
static const struct {
    spoil what;
    const char *words[2]; /* of the error; NULL: none */
} input_rows[] = {
    { OK_AS_IS, { NULL } },
    { UNIT_STRIDE, { NULL } },
    { PINNED, { NULL } },
    { EMPTY_NULL, { NULL } },
    { DTYPE, { "Input 0 is bf16[6, 4]", "f32[6, 4] is expected" } },
    { LANES, { "Input 0 is dtype(2,32,2)[6, 4]", "f32[6, 4] is expected" } },
    { RANK, { "Input 0 is f32[6]", "f32[6, 4] is expected" } },
    { DIM, { "Input 0 is f32[7, 4]", "f32[6, 4] is expected" } },
    { STRIDE, { "Input 0 is f32[6, 4] with strides [9, 1]", "f32[6, 4] with strides [8, 1] is expected" } },
    { NO_STRIDES, { "Input 0 is f32[6, 4] (row-major)", "strides [8, 1]" } },
    { DEVICE, { "Input 0 is a tensor on device 2:0", "runs on fake" } },
    { DATA, { "Input 0 has no data", "elements" } },
    { TAG, { "Input 0 must be a tensor", "tag 2" } },
    { NULL_TENSOR, { "Input 0 must be a tensor", "tag 1" } },
    { SYMINT_OFF, { "Input 1 is 8", "make it 7" } },
    { SYMINT_TAG, { "Input 1 must be an integer", "tag 3" } },
    { NAME_TAG, { "Input 2 must be a layer name", "tag 6" } },
    { NAME_NULL, { "Input 2 must be a layer name", "tag 5" } },
    { BOOL_TAG, { "Input 3 must be a bool", "tag 2" } },
};

START_TEST(inputs_checked) {
    input(strided(type_(JC_F32, 2, s0, n_(4)), n_(8), n_(1)), false);
    scalar(JC_SYMINT, jc_ex_add(ex, s0, n_(1)));
    scalar(JC_NAME, NULL);
    scalar(JC_BOOL, NULL);
    jc_exec *e = load();
    host_tensor h;
    int64_t n = input_rows[_i].what == UNIT_STRIDE ? 1 : input_rows[_i].what == EMPTY_NULL ? 0 : 6;
    jitc_value in[] = { t_(&h, xs, 2, n, 4), int_(n + 1), { .tag = JITC_NAME, .name = jc_name_intern(names, "l", NULL) },
                        { .tag = JITC_BOOL, .i = 1 } };
    h.strides[0] = 8;
    h.strides[1] = 1;
    h.t.strides = h.strides;
    switch (input_rows[_i].what) {
    case OK_AS_IS: break;
    case DTYPE: h.t.dtype = (DLDataType){ kDLBfloat, 16, 1 }; break;
    case LANES: h.t.dtype.lanes = 2; break;
    case RANK: h.t.ndim = 1; break;
    case DIM: h.dims[0] = 7; break;
    case STRIDE: h.strides[0] = 9; break;
    case NO_STRIDES: h.t.strides = NULL; break;
    case UNIT_STRIDE: h.strides[0] = 12345; break; /* of a dim of one: does not matter */
    case DEVICE: h.t.device.device_type = kDLCUDA; break;
    case PINNED: h.t.device.device_type = kDLCUDAHost; break;
    case DATA: h.t.data = NULL; break;
    case TAG: in[0] = int_(3); break;
    case NULL_TENSOR: in[0].tensor = NULL; break;
    case SYMINT_OFF: in[1].i = 8; break;
    case SYMINT_TAG: in[1].tag = JITC_FLOAT; break;
    case NAME_TAG: in[2] = (jitc_value){ .tag = JITC_STR, .str = "l" }; break;
    case NAME_NULL: in[2].name = NULL; break;
    case BOOL_TAG: in[3] = int_(1); break;
    case EMPTY_NULL: h.t.data = NULL; break;
    }
    run_in(e, frame, &n, in, &result);
    if (!input_rows[_i].words[0]) {
        ck_assert_msg(result.status == JITC_OK, "row %d: %s", _i, result.err.message);
    } else {
        ck_assert_msg(result.status == JITC_E_INPUT, "row %d", _i);
        for (int w = 0; w < 2; w++)
            ck_assert_msg(strstr(result.err.message, input_rows[_i].words[w]) != NULL, "row %d: %s", _i,
                          result.err.message);
    }
    jc_exec_free(e);
}
END_TEST

START_TEST(escape_missing) {
    jc_exec *e = add_exec();
    host_tensor x, y;
    jitc_value in[] = { t_(&x, xs, 1, 4, 0), t_(&y, ys, 1, 4, 0) };
    const jc_shape *shape;
    int64_t n = 4;
    jc_error err = JC_ERROR_INIT;
    void *bad[] = { NULL, escape_memory[0] + 4 };
    ck_assert_int_eq(shape_of(e, &n, &shape, &err), JITC_OK);
    for (int i = 0; i < 2; i++) {
        jc_exec_call call = { .shape = shape, .in = in, .escapes = &bad[i], .out = result.out,
                              .out_tensors = result.tensors, .out_dims = result.dims };
        err = (jc_error)JC_ERROR_INIT;
        ck_assert_int_eq(jc_exec_run(e, frame, &call, &err), JITC_E_USAGE);
        ck_assert_msg(strstr(err.message, "block 0 (16 bytes)") != NULL, "%s", err.message);
    }
    ck_assert_int_eq(seen.launches, 0);
    jc_exec_free(e);
}
END_TEST

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

typedef enum { TOO_BIG, BELOW, NEGATIVE, ZERO, DIVISOR, OVERFLOW, HUGE_BYTES, BEYOND, BEYOND_OK, DIV_ZERO, ONE_SIZE, MEET, MET, ONTO, WENT, SPREAD, SPREAD_2, ORDER } shape_case;
static const struct {
    shape_case what;
    int64_t n;
    jitc_status status;
    const char *word;
} shape_rows[] = {
    { TOO_BIG, 101, JITC_E_INPUT, "Symbol s0 is 101, which is outside the range 0 to 100" },
    { TOO_BIG, 100, JITC_OK, NULL },
    { BELOW, 4, JITC_E_INPUT, "outside the range 5" },
    { BELOW, 0, JITC_E_INPUT, "outside the range 5" },
    { NEGATIVE, -1, JITC_E_INPUT, "Symbol s0 is -1" },
    { ZERO, 0, JITC_OK, NULL },
    { DIVISOR, 12, JITC_E_INPUT, "multiples of 8" },
    { DIVISOR, 16, JITC_OK, NULL },
    { OVERFLOW, INT64_MAX / 2, JITC_E_INPUT, "s0=4611686018427387903" },
    { HUGE_BYTES, INT64_MAX / 8, JITC_E_INPUT, "too large" },
    { BEYOND, 33, JITC_E_INPUT, "beyond the 128 bytes" },
    { BEYOND_OK, 32, JITC_OK, NULL },
    { DIV_ZERO, 4, JITC_E_INPUT, "divides by zero" },
    { ONE_SIZE, 7, JITC_OK, NULL },
    { ONE_SIZE, 8, JITC_E_INPUT, "s0 == 7 is needed, but the two sides are 8 and 7 with s0=8" },
    { MEET, 7, JITC_OK, NULL },
    { MEET, 8, JITC_E_INPUT, "s0 == 7 is needed, but the two sides are 8 and 7 with s0=8." },
    { MEET, 1, JITC_E_UNSUPPORTED, "s0 == 7 is needed, but the two sides are 1 and 7 with s0=1; PyTorch would broadcast the 1, but" },
    { MET, 1, JITC_E_UNSUPPORTED, "7 == s0 is needed, but the two sides are 7 and 1 with s0=1; PyTorch would broadcast the 1, but" },
    { ONTO, 7, JITC_OK, NULL },
    { ONTO, 1, JITC_E_UNSUPPORTED, "s0 == 7 is needed, but the two sides are 1 and 7 with s0=1; PyTorch would broadcast the 1, but" },
    { ONTO, 8, JITC_E_INPUT, "s0 == 7 is needed, but the two sides are 8 and 7 with s0=8." },
    { WENT, 1, JITC_E_INPUT, "7 == s0 is needed, but the two sides are 7 and 1 with s0=1." },
    { SPREAD, 8, JITC_OK, NULL }, /* s0 % 2 is 0 or 1, beside s0 - 8 */
    { SPREAD, 21, JITC_OK, NULL },
    { SPREAD, 10, JITC_E_INPUT, "s0 % 2 == 1 or s0 % 2 == s0 - 8 is needed, but the two sides are 0 and 2 with s0=10." },
    { SPREAD_2, 8, JITC_E_UNSUPPORTED, "s0 % 2 == 1 or s0 % 2 == s0 - 7 is needed, but the two sides are 0 and 1 with s0=8; PyTorch would" },
    { ORDER, 7, JITC_OK, NULL },
    { ORDER, 6, JITC_E_INPUT, "7 <= s0 is needed, but the two sides are 7 and 6 with s0=6" },
};

START_TEST(shapes_checked) {
    jc_condition one = { .rel = JC_REL_EQ };
    b.plan.checks = &one;
    jc_sym *sym = jc_sym_at(ex, 0);
    sym->hi = INT64_MAX;
    jc_type t = type_(JC_F32, 1, s0, NULL);
    switch (shape_rows[_i].what) {
    case TOO_BIG: sym->hi = 100; break;
    case BELOW: sym->lo = 5; break;
    case DIVISOR: sym->divisor = 8; break;
    case OVERFLOW:
        output(JC_OUT_EXPR, 0, jc_ex_mul(ex, s0, n_(3)));
        break;
    case HUGE_BYTES: in_buffer(type_(JC_I8, 1, jc_ex_mul(ex, s0, n_(4)), NULL), 0); break;
    case BEYOND:
    case BEYOND_OK: tensor(JC_HOME_BUFFER, buffer(n_(128), 0), 0, t); break;
    case DIV_ZERO: output(JC_OUT_EXPR, 0, jc_ex_fdiv(ex, n_(1), jc_ex_sub(ex, s0, n_(4)))); break;
    case ONE_SIZE: one.a = s0, one.b = n_(7), b.plan.nchecks = 1; break;
    case MEET: one = (jc_condition){ JC_REL_MEET, 0, s0, n_(7) }, b.plan.nchecks = 1; break;
    case MET: one = (jc_condition){ JC_REL_MEET, 0, n_(7), s0 }, b.plan.nchecks = 1; break;
    case ONTO: one = (jc_condition){ JC_REL_ONTO, 0, s0, n_(7) }, b.plan.nchecks = 1; break;
    case WENT: one = (jc_condition){ JC_REL_ONTO, 0, n_(7), s0 }, b.plan.nchecks = 1; break;
    case SPREAD: one = (jc_condition){ JC_REL_SPREAD, 0, jc_ex_mod(ex, s0, n_(2)), jc_ex_sub(ex, s0, n_(8)) }, b.plan.nchecks = 1; break;
    case SPREAD_2: one = (jc_condition){ JC_REL_SPREAD, 0, jc_ex_mod(ex, s0, n_(2)), jc_ex_sub(ex, s0, n_(7)) }, b.plan.nchecks = 1; break;
    case ORDER: one.rel = JC_REL_LE, one.a = n_(7), one.b = s0, b.plan.nchecks = 1; break;
    default: in_buffer(t, 0); break;
    }
    jc_exec *e = load();
    const jc_shape *shape = NULL;
    jc_error err = JC_ERROR_INIT;
    jitc_status status = shape_of(e, &shape_rows[_i].n, &shape, &err);
    ck_assert_msg(status == shape_rows[_i].status, "row %d: %s", _i, err.message);
    if (shape_rows[_i].word)
        ck_assert_msg(strstr(err.message, shape_rows[_i].word) != NULL, "row %d: %s", _i, err.message);
    jc_exec_free(e);
}
END_TEST

/* ---- custom operators -------------------------------------------------------------------------------------------- */

static struct {
    int calls;
    bool fail, bigger;
    char trace[128];
} op_state;

static int bias_op(jitc_call *call) {
    const jitc_value *a = call->args;
    op_state.calls++;
    if (op_state.fail) {
        snprintf(call->error, call->error_size, "no state for %s", jc_name_text(a[1].name));
        return 5;
    }
    bool ok = call->nargs == 6 && a[0].tensor->ndim == 1 && a[2].i == 96 && a[3].f == 0.25 && a[4].tag == JITC_LIST &&
              a[4].n == 3 && a[4].list[0].i == 4 && a[4].list[1].tag == JITC_NONE && a[4].list[2].tag == JITC_BOOL &&
              a[5].tag == JITC_DICT && a[5].n == 2 && !strcmp(a[5].dict[0].key, "mode") &&
              !strcmp(a[5].dict[0].value.str, "fast") && a[5].dict[1].value.tensor->data == a[0].tensor->data &&
              !strcmp(call->keys[5], "kwargs") && !call->keys[0];
    if (!ok) {
        snprintf(call->error, call->error_size, "an argument was wrong");
        return 1;
    }
    const float *x = a[0].tensor->data;
    float *out = call->results[0]->data;
    for (int64_t i = 0; i < call->results[0]->shape[0]; i++)
        out[i] = x[i] + *(const float *)jc_name_user(a[1].name);
    return 0;
}

static int bias_shape(jitc_call *call) {
    if (op_state.bigger)
        call->results[0]->shape[0] += 1;
    return 0;
}

/* y = bias(x, layer, 48*s0 (lifted: 96), 0.25, [s0+2, None, True], kwargs={mode: "fast", t: x}); out = y + y */
static void op_plan(void) {
    jc_type t = type_(JC_F32, 1, s0, NULL);
    uint32_t x = in_input(input(t, false)), layer = scalar(JC_NAME, NULL), n = scalar(JC_INT, NULL);
    uint32_t y = in_buffer(t, 0), out = in_buffer(t, NONE);
    jc_plan_arg list[] = { { .kind = JITC_INT, .expr = jc_ex_add(ex, s0, n_(2)) }, { .kind = JITC_NONE },
                           { .kind = JITC_BOOL, .b = true } };
    jc_plan_arg dict[] = { { .kind = JITC_STR, .key = "mode", .str = "fast" },
                           { .kind = JITC_TENSOR, .key = "t", .tensor = x } };
    jc_plan_arg args[] = {
        { .kind = JITC_TENSOR, .tensor = x },
        { .kind = JITC_NAME, .input = layer, .from_input = true },
        { .kind = JITC_INT, .input = n, .from_input = true },
        { .kind = JITC_FLOAT, .f = 0.25 },
        { .kind = JITC_LIST, .list = { jc_arena_memdup(arena, list, sizeof list), 3 } },
        { .kind = JITC_DICT, .key = "kwargs", .list = { jc_arena_memdup(arena, dict, sizeof dict), 2 } },
    };
    call_step("ns::bias", args, 6, y);
    LAUNCH(kernel(ADD), n_(1), ptr(out), ptr(y), ptr(y), num(s0));
    output(JC_OUT_TENSOR, out, NULL);
}

static void record(void *user, const char *op, const jitc_layer_name *name) {
    char *text = user;
    snprintf(text + strlen(text), 128 - strlen(text), "%s(%s);", op, name ? jc_name_text(name) : "-");
}

START_TEST(operator_called) {
    static float bias10 = 10, bias13 = 13;
    jitc_op_options o = { .struct_size = sizeof o, .shape = bias_shape };
    jc_call_trace t = { record, op_state.trace };
    jc_error err = JC_ERROR_INIT;
    op_plan();
    jc_exec *e = load();
    ck_assert_int_eq(jc_ops_register(ops, "ns::bias(...) -> ...", NULL, bias_op, &o, &err), JITC_OK);
    ck_assert_int_eq(jc_exec_bind_ops(e, ops, &err), JITC_OK);
    trace = &t;
    fill_inputs();
    /* Names travel by value: any order, twice in a row. */
    static const char *const layers[] = { "layers.13", "layers.10", "layers.10", "layers.13" };
    jc_name_intern(names, "layers.10", &bias10);
    jc_name_intern(names, "layers.13", &bias13);
    for (int k = 0; k < 4; k++) {
        host_tensor h;
        jitc_value in[] = { t_(&h, xs, 1, 2, 0), { .tag = JITC_NAME, .name = jc_name_intern(names, layers[k], NULL) },
                            int_(96) };
        run_ok(e, 2, in);
        float bias = k == 0 || k == 3 ? 13.0f : 10.0f;
        ck_assert(((float *)result.out[0].tensor->data)[1] == 2.0f * (1.0f + bias));
    }
    ck_assert_str_eq(op_state.trace, "ns::bias(layers.13);ns::bias(layers.10);ns::bias(layers.10);ns::bias(layers.13);");
    jc_exec_free(e);
}
END_TEST

START_TEST(operator_errors) {
    jitc_op_options o = { .struct_size = sizeof o, .shape = bias_shape };
    jc_error err = JC_ERROR_INIT;
    static float bias = 1;
    op_plan();
    jc_exec *e = load();
    host_tensor h;
    jitc_value in[] = { t_(&h, xs, 1, 2, 0), { .tag = JITC_NAME, .name = jc_name_intern(names, "l.0", &bias) }, int_(96) };
    int64_t n = 2;
    /* Not registered: name, line and the schema wanted. */
    ck_assert_int_eq(run_in(e, frame, &n, in, &result), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(result.err.message, "Operator ns::bias, which is called here, is not registered for fake") &&
                      strstr(result.err.message,
                             "ns::bias(Tensor a0, str a1, int a2, float a3, Any a4, Any kwargs) -> Tensor"),
                  "%s", result.err.message);
    ck_assert_int_eq(result.err.line, 17);
    ck_assert_int_eq(seen.launches, 0);
    ck_assert_int_eq(jc_ops_register(ops, "ns::bias(...) -> ...", NULL, bias_op, &o, &err), JITC_OK);
    op_state.fail = true;
    ck_assert_int_eq(run_in(e, frame, &n, in, &result), JITC_E_OP);
    ck_assert_msg(strstr(result.err.message, "Operator ns::bias failed: no state for l.0") != NULL, "%s",
                  result.err.message);
    ck_assert_int_eq(result.err.line, 17);
    op_state.fail = false;
    op_state.bigger = true;
    ck_assert_int_eq(run_in(e, frame, &n, in, &result), JITC_E_OP);
    ck_assert_msg(strstr(result.err.message, "makes result 0 f32[3], but the graph says f32[2]") != NULL, "%s",
                  result.err.message);
    op_state.bigger = false;
    ck_assert_int_eq(run_in(e, frame, &n, in, &result), JITC_OK);
    jc_exec_free(e);
}
END_TEST

static int write_op(jitc_call *call, DLTensor *x, int64_t n) {
    (void)call;
    ((float *)x->data)[n] = -1;
    return 0;
}

static const struct {
    const char *schema;
    uint64_t writes;
    jitc_status status;
    const char *word;
} bind_rows[] = {
    { "ns::write(Tensor(a!) x, int n) -> ()", 1, JITC_OK, NULL },
    { "ns::write(Tensor(a!) x, int n) -> ()", 0, JITC_E_UNSUPPORTED, "writes argument 'x'" },
    { "ns::write(Tensor(a!) x, str n) -> ()", 1, JITC_E_UNSUPPORTED, "'n' is a layer name, but the call passes an integer" },
    { "ns::write(Tensor(a!) x) -> ()", 1, JITC_E_UNSUPPORTED, "fewer positional arguments" },
    { "ns::write(Tensor(a!) x, int n) -> Tensor", 1, JITC_OK, NULL }, /* which the graph does not use */
};

START_TEST(operator_bound) {
    uint32_t x = in_input(input(type_(JC_F32, 1, s0, NULL), true));
    jc_plan_arg args[] = { { .kind = JITC_TENSOR, .tensor = x }, { .kind = JITC_INT, .expr = jc_ex_sub(ex, s0, n_(1)) } };
    call_step("ns::write.default", args, 2, NONE)->writes = bind_rows[_i].writes;
    jc_exec *e = load();
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_ops_register(ops, bind_rows[_i].schema, (jitc_plain_function)write_op, NULL, NULL, &err), JITC_OK);
    jitc_status status = jc_exec_bind_ops(e, ops, &err);
    ck_assert_msg(status == bind_rows[_i].status, "row %d: %s", _i, err.message);
    if (bind_rows[_i].word)
        ck_assert_msg(strstr(err.message, bind_rows[_i].word) != NULL, "row %d: %s", _i, err.message);
    if (status == JITC_OK) {
        host_tensor h;
        fill_inputs();
        jitc_value in[] = { t_(&h, xs + 1, 1, 7, 0) }; /* through a copy and back */
        run_ok(e, 7, in);
        ck_assert(xs[7] == -1 && xs[6] == 6 && xs[8] == 8);
    }
    jc_exec_free(e);
}
END_TEST

/* ---- launches of a device that checks ---------------------------------------------------------------------------- */

START_TEST(ranges_of_homes) {
    jc_type t = strided(type_(JC_F32, 2, s0, n_(3)), n_(5), n_(1));
    uint32_t x = input(t, true), y = input(type_(JC_F32, 1, s0, NULL), false);
    uint32_t xt = in_input(x), yt = in_input(y), out = in_buffer(type_(JC_F32, 1, n_(100), NULL), 0);
    jc_plan_karg args[] = { ptr(out), ptr(xt), ptr(yt), num(n_(3)) };
    launch_(kernel(ADD), n_(1), args, 4);
    fake_ops.launch_checked = fake_launch_checked;
    jc_exec *e = load();
    host_tensor hx, hy;
    jitc_value in[] = { t_(&hx, xs, 2, 4, 3), t_(&hy, ys, 1, 4, 0) };
    hx.strides[0] = 5;
    hx.strides[1] = 1;
    hx.t.strides = hx.strides;
    run_ok(e, 4, in);
    ck_assert_uint_eq(seen.nranges, 3);
    ck_assert(seen.ranges[0].at == seen.at[0] && seen.ranges[0].size == 400 && seen.ranges[0].written);
    ck_assert(seen.ranges[1].at == xs && seen.ranges[1].size == 4 * (3 * 5 + 3) && seen.ranges[1].written);
    ck_assert(seen.ranges[2].at == ys && seen.ranges[2].size == 16 && !seen.ranges[2].written);
    jc_exec_free(e);
}
END_TEST

/* ---- artifacts --------------------------------------------------------------------------------------------------- */

START_TEST(artifact_refused) {
    jc_exec_free(add_exec());
    jc_exec *e = NULL;
    jc_error err = JC_ERROR_INIT;
    jc_target other;
    /* another architecture */
    ck_assert_int_eq(jc_target_parse("sm_90a", &other, &err), JITC_OK);
    jc_bytes bytes = artifact_bytes(&other);
    ck_assert_int_eq(jc_exec_load(&fake, bytes.at, bytes.n, &e, &err), JITC_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, "compiled for sm_90a; it cannot run on fake, which is host") != NULL, "%s",
                  err.message);
    /* a kernel that the device cannot load */
    b.codes[0] = 99;
    bytes = artifact_bytes(&fake.target);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_exec_load(&fake, bytes.at, bytes.n, &e, &err), JITC_E_DEVICE);
    b.codes[0] = ADD;
    /* code for a kernel that the plan does not have */
    bytes = artifact_bytes(&fake.target);
    jc_artifact a;
    ck_assert_int_eq(jc_artifact_decode(bytes.at, bytes.n, arena, &a, &err), JITC_OK);
    a.codes[0].key.b[5] ^= 1;
    jc_bytes wrong = JC_BYTES(arena);
    jc_artifact_encode(&a, &wrong);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_exec_load(&fake, wrong.at, wrong.n, &e, &err), JITC_E_INPUT);
    a.ncodes = 0;
    wrong = JC_BYTES(arena);
    jc_artifact_encode(&a, &wrong);
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(jc_exec_load(&fake, wrong.at, wrong.n, &e, &err), JITC_E_INPUT);
    /* cut short anywhere */
    for (size_t n = 0; n < bytes.n; n++) {
        err = (jc_error)JC_ERROR_INIT;
        ck_assert_msg(jc_exec_load(&fake, bytes.at, n, &e, &err) != JITC_OK, "%zu of %zu bytes", n, bytes.n);
        ck_assert_ptr_null(e);
    }
}
END_TEST

static const struct {
    const char *made, *here;
    bool ok;
} target_rows[] = {
    { "sm_80", "sm_80", true },   { "sm_80", "sm_86", true },   { "sm_86", "sm_80", false }, { "sm_80", "sm_90", false },
    { "sm_90a", "sm_90a", true }, { "sm_90a", "sm_100a", false }, { "sm_90", "sm_90a", true }, { "host", "sm_80", false },
    { "sm_80", "host", false },   { "sim", "sim", true },       { "sim:sm_90a", "sim", false }, { "sim", "host", false },
    { "sim:sm_90a", "sim:sm_90a", true },
};

/* Which code may run where. */
START_TEST(targets_fit) {
    jc_exec_free(add_exec());
    jc_target made;
    jc_error err = JC_ERROR_INIT;
    jc_exec *e = NULL;
    ck_assert_int_eq(jc_target_parse(target_rows[_i].made, &made, &err), JITC_OK);
    ck_assert_int_eq(jc_target_parse(target_rows[_i].here, &fake.target, &err), JITC_OK);
    jc_bytes bytes = artifact_bytes(&made);
    jitc_status status = jc_exec_load(&fake, bytes.at, bytes.n, &e, &err);
    ck_assert_msg(status == (target_rows[_i].ok ? JITC_OK : JITC_E_UNSUPPORTED), "%s on %s: %s", target_rows[_i].made,
                  target_rows[_i].here, err.message);
    jc_exec_free(e);
}
END_TEST

/* Memory runs out at each allocation in turn; the next try works. */
START_TEST(out_of_memory) {
    jitc_op_options o = { .struct_size = sizeof o };
    jc_error err = JC_ERROR_INIT;
    op_plan();
    ck_assert_int_eq(jc_ops_register(ops, "ns::bias(...) -> ...", NULL, bias_op, &o, &err), JITC_OK);
    static float bias = 1;
    host_tensor h;
    jitc_value in[] = { t_(&h, xs + 1, 1, 2, 0), { .tag = JITC_NAME, .name = jc_name_intern(names, "l", &bias) }, int_(96) };
    jc_bytes bytes = artifact_bytes(&fake.target);
    bool done = false;
    for (long at = 1; !done; at++) {
        ck_assert_int_lt(at, 500);
        jc_exec *e = NULL;
        jc_frame *f = NULL;
        int64_t n = 2;
        err = (jc_error)JC_ERROR_INIT;
        counts.calls = 0;
        counts.fail_at = at;
        jitc_status status = jc_exec_load(&fake, bytes.at, bytes.n, &e, &err);
        if (status == JITC_OK)
            status = jc_frame_new(&fake, NULL, &f, &err);
        if (status == JITC_OK)
            status = run_in(e, f, &n, in, &result);
        ck_assert_msg(status == JITC_OK || status == JITC_E_NOMEM, "allocation %ld: status %d", at, status);
        counts.fail_at = 0;
        if (e && f)
            ck_assert_int_eq(run_in(e, f, &n, in, &result), JITC_OK);
        done = status == JITC_OK;
        jc_frame_free(f);
        jc_exec_free(e);
    }
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static jc_exec *shared_exec;

static void run_many(void *user, size_t index) {
    int *bad = user;
    jc_frame *f = NULL;
    jc_error err = JC_ERROR_INIT;
    *bad += jc_frame_new(&fake, NULL, &f, &err) != JITC_OK;
    static _Thread_local _Alignas(256) uint8_t memory[4096];
    for (int64_t n = 1; n < 300; n++) {
        const jc_shape *shape = NULL;
        host_tensor x, y;
        run_result r = { 0 };
        jitc_value in[] = { t_(&x, xs, 1, n, 0), t_(&y, ys + index % 2, 1, n, 0) };
        void *escapes[] = { memory };
        if (shape_of(shared_exec, &n, &shape, &err) != JITC_OK) {
            __atomic_add_fetch(bad, 1, __ATOMIC_RELAXED);
            continue;
        }
        jc_exec_call call = { .shape = shape, .in = in, .escapes = escapes, .out = r.out, .out_tensors = r.tensors,
                              .out_dims = r.dims, .ops = ops };
        int wrong = jc_exec_run(shared_exec, f, &call, &err) != JITC_OK;
        float want = (float)(n - 1) + 1000.0f * (float)(n - 1 + (int64_t)(index % 2));
        wrong |= ((float *)memory)[n - 1] != want;
        __atomic_add_fetch(bad, wrong, __ATOMIC_RELAXED);
        }
    jc_frame_free(f);
}

START_TEST(many_threads_one_executable) {
    int bad = 0;
    fake_ops.launch = fake_quiet_launch;
    fill_inputs();
    shared_exec = add_exec();
    jc_pool_run(4, 8, run_many, &bad);
    ck_assert_int_eq(bad, 0);
    jc_exec_free(shared_exec);
}
END_TEST

/* ---- the devices themselves -------------------------------------------------------------------------------------- */

static uint8_t *read_whole(const char *path, size_t *n) {
    static uint8_t bytes[65536];
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    *n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    ck_assert_uint_gt(*n, 0);
    return bytes;
}

/* out = x * 2 by the object OBJECT on device D, N elements, the input and output from D's memory unless CALLERS. */
static jitc_status run_object(jc_device *d, const char *object, int64_t n, bool callers, float **got, jc_error *err) {
    static _Alignas(256) float in_memory[200000], out_memory[200000];
    jc_type t = type_(JC_F32, 1, s0, NULL);
    uint32_t x = in_input(input(t, false)), out = in_buffer(t, NONE);
    LAUNCH(kernel(0), jc_ex_cdiv(ex, s0, n_(64)), ptr(x), out_ptr(out), num(s0));
    output(JC_OUT_TENSOR, out, NULL);
    jc_bytes plan = JC_BYTES(arena), bytes = JC_BYTES(arena);
    jc_code code = { .key = b.kernels[0].key, .kind = JC_CODE_OBJECT };
    code.bytes = read_whole(object, &code.nbytes);
    ck_assert_str_eq(b.kernels[0].name, "point_000000000000");
    jc_plan_encode(&b.plan, &plan);
    jc_artifact_encode(&(jc_artifact){ d->target, plan.at, plan.n, 1, &code }, &bytes);
    jc_exec *e = NULL;
    jc_frame *f = NULL;
    const jc_shape *shape = NULL;
    void *x_block = in_memory, *out_block = out_memory;
    host_tensor h;
    jitc_status status = jc_exec_load(d, bytes.at, bytes.n, &e, err);
    ck_assert_msg(status == JITC_OK, "%s", err->message);
    ck_assert_int_eq(jc_frame_new(d, NULL, &f, err), JITC_OK);
    ck_assert_int_eq(shape_of(e, &n, &shape, err), JITC_OK);
    if (!callers) {
        ck_assert_int_eq(d->ops->alloc(d, 4 * (size_t)n, &x_block, err), JITC_OK);
        ck_assert_int_eq(d->ops->alloc(d, 4 * (size_t)n, &out_block, err), JITC_OK);
    }
    for (int64_t i = 0; i < n; i++)
        in_memory[i] = (float)i;
    d->ops->copy_in(d, x_block, in_memory, 4 * (size_t)n, NULL, err);
    jitc_value in[] = { t_(&h, x_block, 1, n, 0) };
    jc_exec_call call = { .shape = shape, .in = in, .escapes = &out_block, .out = result.out,
                          .out_tensors = result.tensors, .out_dims = result.dims };
    status = jc_exec_run(e, f, &call, err);
    d->ops->copy_out(d, out_memory, out_block, 4 * (size_t)n, NULL, err);
    *got = out_memory;
    if (!callers) {
        d->ops->free(d, x_block);
        d->ops->free(d, out_block);
    }
    jc_frame_free(f);
    jc_exec_free(e);
    return status;
}

static const struct {
    unsigned threads;
    bool options;
    int64_t n;
} host_rows[] = { { 0, false, 1 }, { 0, false, 1000 }, { 1, true, 1000 }, { 4, true, 63 }, { 4, true, 200000 },
                  { 0, true, 100000 } };

START_TEST(host_device_runs) {
    jc_device_options o = { .threads = host_rows[_i].threads };
    jc_device *d = NULL;
    jc_error err = JC_ERROR_INIT;
    float *got;
    jitc_status status = jc_device_open("host", host_rows[_i].options ? &o : NULL, &counted, NULL, &d, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert_int_eq(d->dl.device_type, kDLCPU);
    status = run_object(d, TEST_BUILDDIR "/tests/exec_host.o", host_rows[_i].n, _i % 2, &got, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    for (int64_t i = 0; i < host_rows[_i].n; i++)
        ck_assert(got[i] == 2.0f * (float)i);
    jc_device_close(d);
}
END_TEST

START_TEST(host_device_memory) {
    jc_device *d = NULL;
    jc_error err = JC_ERROR_INIT;
    void *blocks[4];
    ck_assert_int_eq(jc_device_open("host", NULL, &counted, NULL, &d, &err), JITC_OK);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(d->ops->alloc(d, i * 100, &blocks[i], &err), JITC_OK);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 256, 0);
        d->ops->fill(d, blocks[i], (int)i + 1, i * 100, NULL, &err);
    }
    for (size_t i = 1; i < 4; i++)
        ck_assert(((uint8_t *)blocks[i])[0] == i + 1 && ((uint8_t *)blocks[i])[i * 100 - 1] == i + 1);
    for (size_t i = 0; i < 4; i++)
        d->ops->free(d, blocks[i]);
    d->ops->free(d, NULL);
    ck_assert_int_eq(d->ops->alloc(d, SIZE_MAX - 8, &blocks[0], &err), JITC_E_NOMEM);
    ck_assert_ptr_null(blocks[0]);
    jc_device_close(d);
    jc_device_close(NULL);
}
END_TEST

START_TEST(host_module_errors) {
    jc_device *d = NULL;
    jc_module *m = NULL;
    jc_error err = JC_ERROR_INIT;
    jc_code code = { .kind = JC_CODE_OBJECT };
    jc_plan_kernel k = { .name = "no_such_kernel", .threads = 1 };
    ck_assert_int_eq(jc_device_open("host", NULL, &counted, NULL, &d, &err), JITC_OK);
    code.bytes = read_whole(TEST_BUILDDIR "/tests/exec_host.o", &code.nbytes);
    ck_assert_int_eq(d->ops->module_load(d, &code, &k, &m, &err), JITC_E_INPUT);
    ck_assert_msg(strstr(err.message, "no_such_kernel") != NULL, "%s", err.message);
    code.kind = JC_CODE_CUBIN;
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(d->ops->module_load(d, &code, &k, &m, &err), JITC_E_UNSUPPORTED);
    code.kind = JC_CODE_OBJECT;
    code.nbytes = 40;
    err = (jc_error)JC_ERROR_INIT;
    ck_assert_int_eq(d->ops->module_load(d, &code, &k, &m, &err), JITC_E_INPUT);
    ck_assert_ptr_null(m);
    jc_device_close(d);
}
END_TEST

static const struct {
    const char *object;
    int64_t n;
    bool callers, fault;
} sim_rows[] = {
    { TEST_BUILDDIR "/tests/exec_sim.o", 1, false, false },   { TEST_BUILDDIR "/tests/exec_sim.o", 130, false, false },
    { TEST_BUILDDIR "/tests/exec_sim.o", 130, true, false },  { TEST_BUILDDIR "/tests/exec_fault.o", 130, false, true },
    { TEST_BUILDDIR "/tests/exec_fault.o", 130, true, true },
};

START_TEST(sim_device_runs) {
    jc_device_options o = { .sim_seed = 5, .sim_arch = "sm_90a" };
    jc_device *d = NULL;
    jc_error err = JC_ERROR_INIT;
    float *got;
    jitc_status status = jc_device_open("sim", &o, &counted, NULL, &d, &err);
    ck_assert_msg(status == JITC_OK, "%s", err.message);
    ck_assert(d->target.dialect == JC_DIALECT_SIM && d->target.sm == 90 && d->target.suffix == 'a');
    status = run_object(d, sim_rows[_i].object, sim_rows[_i].n, sim_rows[_i].callers, &got, &err);
    ck_assert_msg(status == (sim_rows[_i].fault ? JITC_E_DEVICE : JITC_OK), "row %d: %s", _i, err.message);
    if (sim_rows[_i].fault)
        ck_assert_msg(strstr(err.message, "point_000000000000") != NULL, "%s", err.message);
    for (int64_t i = 0; i < sim_rows[_i].n && !sim_rows[_i].fault; i++)
        ck_assert(got[i] == 2.0f * (float)i);
    jc_device_close(d);
}
END_TEST

START_TEST(sim_arch_unknown) {
    jc_device_options o = { .sim_arch = "sm_1" };
    jc_device *d = NULL;
    jc_error err = JC_ERROR_INIT;
    ck_assert_int_eq(jc_device_open("sim", &o, &counted, NULL, &d, &err), JITC_E_USAGE);
    ck_assert_ptr_null(d);
}
END_TEST

/* ---- the suite --------------------------------------------------------------------------------------------------- */

/* One process may run all tests (CK_FORK=no). */
static void forget(void) {
    memset(&seen, 0, sizeof seen);
    memset(&op_state, 0, sizeof op_state);
    memset(&result, 0, sizeof result);
    trace = NULL;
    fake_ops.launch = fake_launch;
}

static TCase *case_new(Suite *suite, const char *name) {
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_checked_fixture(c, forget, NULL);
    tcase_set_timeout(c, 60);
    suite_add_tcase(suite, c);
    return c;
}

static void plan_tests(Suite *suite) {
    TCase *c = case_new(suite, "plans");
    tcase_add_test(c, adds_at_several_sizes);
    tcase_add_test(c, slots_and_lifetimes);
    tcase_add_test(c, steady_state_allocates_nothing);
    tcase_add_test(c, outputs_of_every_kind);
    tcase_add_loop_test(c, guards_choose, 0, ROWS(guard_rows));
    tcase_add_loop_test(c, lifted_scalars_reach_kernels, 0, ROWS(scalar_rows));
    tcase_add_test(c, ranges_of_homes);
    tcase_add_test(c, out_of_memory);
    tcase_add_test(c, many_threads_one_executable);
    c = case_new(suite, "inputs");
    tcase_add_test(c, unaligned_written_input);
    tcase_add_test(c, unaligned_read_inputs);
    tcase_add_loop_test(c, inputs_checked, 0, ROWS(input_rows));
    tcase_add_test(c, escape_missing);
    c = case_new(suite, "shapes");
    tcase_add_loop_test(c, shapes_checked, 0, ROWS(shape_rows));
}

static void other_tests(Suite *suite) {
    TCase *c = case_new(suite, "operators");
    tcase_add_test(c, operator_called);
    tcase_add_test(c, operator_errors);
    tcase_add_loop_test(c, operator_bound, 0, ROWS(bind_rows));
    c = case_new(suite, "artifacts");
    tcase_add_test(c, artifact_refused);
    tcase_add_loop_test(c, targets_fit, 0, ROWS(target_rows));
    c = case_new(suite, "devices");
    tcase_add_loop_test(c, host_device_runs, 0, ROWS(host_rows));
    tcase_add_test(c, host_device_memory);
    tcase_add_test(c, host_module_errors);
    tcase_add_loop_test(c, sim_device_runs, 0, ROWS(sim_rows));
    tcase_add_test(c, sim_arch_unknown);
}

int main(void) {
    Suite *suite = suite_create("exec");
    plan_tests(suite);
    other_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
