/*
 * tests/check_numbers.c - values that eager PyTorch gives, on host and sim, fused and strict, and by the reference.
 *
 * The texts of tests/data/numbers have them, each made by the script of its name where torch is.  A case is
 *
 *   === name
 *   #in f32[2] 1.0 nan             one line for each parameter, in order; integers of the text have `#int 5`
 *   #out f32[2] -0.0 inf           one line for each result; equal to the bit, but for the bits of NaNs
 *   #gpu f32[2] 0.0 inf            what sim has instead of the #out before, where PyTorch on CUDA differs
 *   #strides 1,3                   the strides that the #out before has, but those of dims of one element
 *   #near 1e-6 1e-7                so far apart, relative to the larger, elements may be; or so far, where it says so
 *   #strict                        in strict mode alone
 *   #refused text|text             instead of #out: reading, building or running fails, and the sentence says all this; beside #out: the
 *                                  reference gives these values, and building fails
 *   and the graph.
 */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/eval/eval.h"
#include "ir/solve.h"
#include "jit/api/model.h"
#include "tests/many.h"

enum { MAX_CASES = 1200, MAX_VALUES = 32 };

typedef struct numbers {
    DLTensor dl;
    int64_t dims[JC_MAX_RANK], n;
    jc_dtype dtype;
    double *f;   /* either */
    int64_t *i;
    uint8_t *raw; /* inputs: the elements */
} numbers;

typedef struct row {
    const char *name, *text, *refused;
    numbers in[MAX_VALUES], out[MAX_VALUES], gpu[MAX_VALUES];
    const char *strides[MAX_VALUES];
    int64_t integers[MAX_VALUES];
    unsigned nin, nout;
    bool is_integer[MAX_VALUES], has_gpu[MAX_VALUES], strict, large; /* large: hundreds of nodes */
    double near, absolute;
} row;

static const char *const texts[] = { "backward", "by_device", "cases", "complex", "counts", "factors", "forms", "layers", "layouts", "linalg", "losses", "masked", "moves", "order", "pointwise", "products", "reductions", "reports", "special", "steps" };
static row rows[MAX_CASES];
static int nrows;

/* --- reading --- */

/* Before there are tests. */
JC_PRINTF(2, 3) static void need(bool good, const char *format, ...) {
    va_list args;
    if (good)
        return;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static void parse_numbers(const char *name, char *line, numbers *t) {
    char *at = strchr(line, '[');
    need(at != NULL, "%s: %s", name, line);
    *at++ = 0;
    t->dtype = JC_DTYPE_COUNT;
    for (int d = 0; d < JC_DTYPE_COUNT; d++)
        if (strcmp(jc_dtypes[d].name, line) == 0)
            t->dtype = (jc_dtype)d;
    need(t->dtype < JC_DTYPE_COUNT, "%s: no dtype %s", name, line);
    t->n = 1;
    while (*at != ']') {
        t->dims[t->dl.ndim] = strtoll(at, &at, 10);
        t->n *= t->dims[t->dl.ndim++];
        at += *at == ',';
    }
    at++;
    const size_t size = jc_dtypes[t->dtype].size;
    t->f = calloc((size_t)t->n + 1, sizeof *t->f);
    t->i = calloc((size_t)t->n + 1, sizeof *t->i);
    t->raw = calloc((size_t)t->n + 1, size);
    for (int64_t k = 0; k < t->n; k++) {
        char *end = at;
        if (jc_dtypes[t->dtype].cls == 'f') {
            t->f[k] = strtod(at, &end);
            jc_store_float(t->dtype, t->raw + (size_t)k * size, t->f[k]);
        } else {
            t->i[k] = strtoll(at, &end, 10);
            jc_store_int(t->dtype, t->raw + (size_t)k * size, t->i[k]);
        }
        need(end != at, "%s: element %d is missing", name, (int)k);
        at = end;
    }
    t->dl.dtype = (DLDataType){ jc_dtypes[t->dtype].dl_code, jc_dtypes[t->dtype].dl_bits, 1 };
    t->dl.shape = t->dims;
    t->dl.device.device_type = kDLCPU;
    t->dl.data = t->raw;
}

static void parse_line(row *r, char *line) {
    if (strncmp(line, "#in ", 4) == 0) {
        parse_numbers(r->name, line + 4, &r->in[r->nin++]);
    } else if (strncmp(line, "#int ", 5) == 0) {
        r->is_integer[r->nin] = true;
        r->integers[r->nin++] = strtoll(line + 5, NULL, 10);
    } else if (strncmp(line, "#out ", 5) == 0) {
        parse_numbers(r->name, line + 5, &r->out[r->nout++]);
    } else if (strncmp(line, "#gpu ", 5) == 0) {
        r->has_gpu[r->nout - 1] = true;
        parse_numbers(r->name, line + 5, &r->gpu[r->nout - 1]);
    } else if (strncmp(line, "#strides ", 9) == 0) {
        r->strides[r->nout - 1] = line + 9;
    } else if (strncmp(line, "#near ", 6) == 0) {
        r->near = strtod(line + 6, &line);
        r->absolute = strtod(line, NULL);
    } else if (strcmp(line, "#strict") == 0) {
        r->strict = true;
    } else if (strncmp(line, "#refused ", 9) == 0) {
        r->refused = line + 9;
    } else {
        need(false, "%s: %s", r->name, line);
    }
    need(r->nin < MAX_VALUES && r->nout < MAX_VALUES, "%s: too many values", r->name);
}

static void read_cases(const char *path) {
    FILE *f = fopen(path, "rb");
    char *last = NULL; /* the byte before the next case: ends the graph of the one before */
    need(f != NULL, "there is no %s", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = calloc((size_t)size + 1, 1), *line = text;
    need(fread(text, 1, (size_t)size, f) == (size_t)size, "%s cannot be read", path);
    fclose(f);
    while (*line) {
        char *end = line + strcspn(line, "\n"), *next = end + (*end == '\n');
        if (strncmp(line, "=== ", 4) == 0) {
            if (last)
                *last = 0;
            *end = 0;
            rows[nrows++].name = line + 4;
            need(nrows < MAX_CASES, "more than %d cases", MAX_CASES);
        } else if (*line == '#') {
            *end = 0;
            parse_line(&rows[nrows - 1], line);
        } else if (!rows[nrows - 1].text) {
            rows[nrows - 1].text = line;
        }
        line = next;
        last = line - 1;
    }
}

/* --- comparing --- */

static bool equal(double x, double y, double near, double absolute) {
    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y);
    return (x == y && signbit(x) == signbit(y)) || (near > 0 && fabs(x - y) <= fmax(near * fmax(fabs(x), fabs(y)), absolute));
}

static void same_result(const row *r, const char *where, unsigned k, const numbers *want, jc_dtype dtype, int rank, const int64_t *dims,
                        const uint8_t *raw, const double *f, const int64_t *i) {
    ck_assert_msg(dtype == want->dtype && rank == want->dl.ndim, "%s on %s: result %u is of another type", r->name, where, k);
    for (int d = 0; d < rank; d++)
        ck_assert_msg(dims[d] == want->dims[d], "%s on %s: result %u has other dims", r->name, where, k);
    for (int64_t e = 0; e < want->n; e++) {
        const uint8_t *at = raw + (size_t)e * jc_dtypes[dtype].size;
        if (jc_dtypes[dtype].cls == 'f') {
            double x = raw ? jc_load_float(dtype, at) : f[e];
            ck_assert_msg(equal(x, want->f[e], r->near, r->absolute), "%s on %s: result %u, element %d is %.9g, PyTorch has %.9g", r->name, where, k,
                          (int)e, x, want->f[e]);
        } else {
            int64_t x = raw ? jc_load_int(dtype, at) : i[e];
            ck_assert_msg(x == want->i[e], "%s on %s: result %u, element %d is %lld, PyTorch has %lld", r->name, where, k, (int)e,
                          (long long)x, (long long)want->i[e]);
        }
    }
}

static void says(const row *r, const char *where, const char *sentence) {
    for (const char *p = r->refused; *p;) {
        char want[120];
        size_t n = strcspn(p, "|");
        snprintf(want, sizeof want, "%.*s", (int)n, p);
        ck_assert_msg(strstr(sentence, want) != NULL, "%s on %s: \"%s\" does not say \"%s\"", r->name, where, sentence, want);
        p += n + (p[n] == '|');
    }
}

/* --- operators that write, as tests/data/numbers/forms.py has them --- */

/* Where the I-th element in row-major order lies, in elements. */
static int64_t place_of(const DLTensor *t, int64_t i) {
    int64_t at = 0;
    for (int d = t->ndim, step = 1; d-- > 0; i /= t->shape[d]) {
        at += i % t->shape[d] * (t->strides ? t->strides[d] : step);
        step *= (int)t->shape[d];
    }
    return at;
}

static float *element(const DLTensor *t, int64_t i) {
    return (float *)(void *)((char *)t->data + t->byte_offset) + place_of(t, i);
}

static int64_t count(const DLTensor *t) {
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++)
        n *= t->shape[d];
    return n;
}

static int scale(jitc_call *call) {
    for (int64_t i = 0; i < count(call->args[0].tensor); i++)
        *element(call->args[0].tensor, i) *= (float)call->args[1].f;
    return 0;
}

static int scale_all(jitc_call *call) {
    for (uint32_t k = 0; k < call->args[0].n; k++)
        for (int64_t i = 0; i < count(call->args[0].list[k].tensor); i++)
            *element(call->args[0].list[k].tensor, i) *= (float)call->args[1].f + (float)k;
    return 0;
}

static int both(jitc_call *call) {
    const DLTensor *out = call->args[0].tensor, *x = call->args[1].tensor;
    for (int64_t i = 0; i < count(x); i++) {
        const float at = *element(x, i);
        *element(out, i) = at + 1;
        if (call->args[2].tag == JITC_TENSOR)
            *element(call->args[2].tensor, i) += at;
        *element(call->results[0], i) = at * 2;
    }
    return 0;
}

static int two(jitc_call *call) {
    const DLTensor *x = call->args[0].tensor;
    for (int64_t i = 0; i < count(x); i++)
        for (int k = 0; k < 2; k++)
            if (count(call->results[k])) /* else the graph does not use it */
                *element(call->results[k], i) = k ? *element(x, i) + 1 : *element(x, i) * 2;
    return 0;
}

static void with_operators(jitc_context *ctx) {
    ck_assert_int_eq(jitc_op_register_frame(ctx, "test::scale_(Tensor(a!) x, float f) -> ()", scale, NULL), JITC_OK);
    ck_assert_int_eq(jitc_op_register_frame(ctx, "test::scale_all_(Tensor(a!)[] xs, float f) -> ()", scale_all, NULL), JITC_OK);
    ck_assert_int_eq(jitc_op_register_frame(ctx, "test::two(Tensor x) -> (Tensor, Tensor)", two, NULL), JITC_OK);
    ck_assert_int_eq(jitc_op_register_frame(ctx, "test::both(Tensor(a!) out, Tensor x, Tensor(b!)? total) -> Tensor", both, NULL), JITC_OK);
}

static jitc_status call_operator(void *user, const char *target, const jitc_value *args, const char *const *keys, uint32_t nargs,
                                 DLTensor *const *results, uint32_t nresults, int line, jc_error *err) {
    const jitc_context *ctx = user;
    const jc_op_entry *op = jc_ops_find(ctx->ops, target, kDLCPU);
    (void)line;
    ck_assert_ptr_nonnull(op);
    return jc_op_call(op, (DLDevice){ kDLCPU, 0 }, NULL, args, keys, nargs, results, nresults, err);
}

/* --- running --- */

static const numbers *wanted(const row *r, unsigned k, bool gpu) {
    return gpu && r->has_gpu[k] ? &r->gpu[k] : &r->out[k];
}

static void by_reference(const row *r, jitc_context *ctx, bool gpu) {
    jitc_graph *g;
    jc_error err = JC_ERROR_INIT;
    jc_arena *arena = jc_arena_new(NULL);
    jitc_value in[MAX_VALUES];
    jc_eval_out out[MAX_VALUES];
    const char *where = gpu ? "the eager reference, as on a GPU" : "the eager reference";
    jitc_status status = jitc_graph_read(ctx, r->name, r->text, strlen(r->text), &g);
    const bool passed_over = status == JITC_OK && g->g->refused.n > 0;
    if (r->refused && (status != JITC_OK || passed_over)) {
        says(r, where, passed_over ? g->g->refused.at[0].reason : jitc_context_error(ctx));
        jitc_graph_free(g);
        jc_arena_free(arena);
        return;
    }
    ck_assert_msg(status == JITC_OK, "%s: %s", r->name, jitc_context_error(ctx));
    ck_assert_msg(!passed_over, "%s: %s", r->name, passed_over ? g->g->refused.at[0].reason : "");
    const jc_func *f = g->g->root;
    int64_t syms[MAX_VALUES];
    ck_assert_uint_eq(f->nparams, r->nin);
    for (unsigned k = 0; k < r->nin; k++)
        in[k] = r->is_integer[k] ? (jitc_value){ .tag = JITC_INT, .i = r->integers[k] }
                                 : (jitc_value){ .tag = JITC_TENSOR, .tensor = (DLTensor *)&r->in[k].dl };
    ck_assert_msg(jc_solve(f, in, 1, syms, &err) == JITC_OK, "%s: %s", r->name, err.message);
    const jc_eval_host host = { .call = call_operator, .user = ctx };
    status = jc_eval(f, JC_EVAL_EAGER | (gpu ? JC_EVAL_GPU : 0), syms, jc_sym_count(f->graph->exprs), in, &host, arena, out, &err);
    if (r->refused && !r->nout) {
        ck_assert_msg(status != JITC_OK, "%s on %s is not refused", r->name, where);
        says(r, where, err.message);
    } else {
        ck_assert_msg(status == JITC_OK, "%s on %s: %s", r->name, where, err.message);
        ck_assert_uint_eq(f->noutputs, r->nout);
        for (unsigned k = 0; k < r->nout; k++)
            same_result(r, where, k, wanted(r, k, gpu), (jc_dtype)out[k].dtype, out[k].rank, out[k].dims, NULL, out[k].f, out[k].i);
    }
    jc_arena_free(arena);
}

static jitc_status build_and_run(const row *r, jitc_context *ctx, bool strict, bool quick, jc_device **device, DLTensor *on_device, jitc_value *out) {
    jitc_graph *g;
    jitc_model *m;
    jc_error err = JC_ERROR_INIT;
    jitc_value in[MAX_VALUES];
    jitc_model_options o = { .struct_size = sizeof o, .strict = strict };
    ck_assert_int_eq(jc_context_device(ctx, device, &err), JITC_OK);
    (*device)->target.quick = quick;
    JC_TRY(jitc_graph_read(ctx, r->name, r->text, strlen(r->text), &g));
    JC_TRY(jitc_model_build(ctx, &g, 1, &o, &m));
    for (unsigned k = 0; k < r->nin; k++) {
        size_t bytes = (size_t)r->in[k].n * jc_dtypes[r->in[k].dtype].size;
        in[k] = (jitc_value){ .tag = JITC_INT, .i = r->integers[k] };
        if (r->is_integer[k])
            continue;
        on_device[k] = r->in[k].dl;
        on_device[k].device = (*device)->dl;
        ck_assert_int_eq((*device)->ops->alloc(*device, bytes + 16, &on_device[k].data, &err), JITC_OK);
        ck_assert_int_eq((*device)->ops->copy_in(*device, on_device[k].data, r->in[k].raw, bytes, NULL, &err), JITC_OK);
        in[k] = (jitc_value){ .tag = JITC_TENSOR, .tensor = &on_device[k] };
    }
    ck_assert_uint_eq(g->g->root->noutputs, r->nout ? r->nout : g->g->root->noutputs);
    JC_TRY(jitc_model_run(m, 0, NULL, in, r->nin, out, g->g->root->noutputs));
    return (*device)->ops->sync(*device, NULL, &err);
}

static void same_strides(const row *r, const char *where, unsigned k, const DLTensor *t) {
    const char *at = r->strides[k];
    const bool empty = count(t) == 0;
    for (int d = 0; at && d < t->ndim; d++) {
        int64_t plain = 1;
        for (int i = d + 1; i < t->ndim; i++)
            plain *= t->shape[i];
        const int64_t is = t->strides ? t->strides[d] : plain, want = strtoll(at, (char **)&at, 10);
        at += *at == ',';
        ck_assert_msg(is == want || t->shape[d] == 1 || empty, "%s on %s: result %u has stride %lld in dim %d, PyTorch's has %lld", r->name, where, k,
                      (long long)is, d, (long long)want);
    }
}

/* The elements of T, a result on DEVICE, row by row; malloc'd. */
static uint8_t *row_by_row(jc_device *device, const DLTensor *t, size_t size) {
    int64_t n = 1, reach = 1;
    jc_error err = JC_ERROR_INIT;
    for (int d = t->ndim; d-- > 0;) {
        reach += (t->shape[d] - 1) * (t->strides ? t->strides[d] : n);
        n *= t->shape[d];
    }
    uint8_t *there = malloc((size_t)(n ? reach : 0) * size + 1), *out = malloc((size_t)n * size + 1);
    if (n)
        ck_assert_int_eq(device->ops->copy_out(device, there, (uint8_t *)t->data + t->byte_offset, (size_t)reach * size, NULL, &err), JITC_OK);
    for (int64_t i = 0; i < n; i++)
        memcpy(out + (size_t)i * size, there + (size_t)place_of(t, i) * size, size);
    free(there);
    return out;
}

static void by_device(const row *r, const char *name, bool strict, bool quick) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = name, .threads = 1, .debug = "poison" };
    jitc_context *ctx;
    jc_device *device;
    DLTensor on_device[MAX_VALUES] = { 0 };
    jitc_value out[MAX_VALUES];
    char where[40];
    snprintf(where, sizeof where, "%s, %s", name, strict ? "strict" : "fused");
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    with_operators(ctx);
    jitc_status status = build_and_run(r, ctx, strict, quick, &device, on_device, out);
    if (r->refused) {
        ck_assert_msg(status != JITC_OK, "%s on %s is not refused", r->name, where);
        says(r, where, jitc_context_error(ctx));
    } else {
        ck_assert_msg(status == JITC_OK, "%s on %s: %s", r->name, where, jitc_context_error(ctx));
    }
    for (unsigned k = 0; k < r->nout && !r->refused; k++) {
        const DLTensor *t = out[k].tensor;
        const numbers *want = wanted(r, k, strcmp(name, "sim") == 0);
        ck_assert_msg(t->dtype.bits == want->dl.dtype.bits && t->dtype.code == want->dl.dtype.code, "%s on %s: result %u has another dtype",
                      r->name, where, k);
        same_strides(r, where, k, t);
        uint8_t *raw = row_by_row(device, t, jc_dtypes[want->dtype].size);
        same_result(r, where, k, want, want->dtype, t->ndim, t->shape, raw, NULL, NULL);
        free(raw);
    }
    for (unsigned k = 0; k < r->nin; k++)
        if (on_device[k].data)
            device->ops->free(device, on_device[k].data);
    jitc_context_free(ctx);
}

/* Half of the modes have LLVM take the least time for its part, and sanitizers, which see nothing of generated code, are content with the other half. */
#ifdef __SANITIZE_ADDRESS__
#define RUNS_QUICK false
#else
#define RUNS_QUICK true
#endif

START_TEST(as_pytorch) {
    const row *r = &rows[_i];
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host" };
    jitc_context *ctx;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    with_operators(ctx);
    by_reference(r, ctx, false);
    by_reference(r, ctx, true);
    jitc_context_free(ctx);
    for (int k = 0; k < 4; k++) {
        const bool quick = k == 1 || k == 2;
        if ((k & 1 || !r->strict) && (!quick || RUNS_QUICK))
            by_device(r, k & 2 ? "sim" : "host", k & 1, quick || r->large);
    }
}
END_TEST

/* Arguments: texts to take instead, for a look at one. */
int main(int argc, char **argv) {
    Suite *s = suite_create("numbers");
    TCase *t = tcase_create("numbers");
    for (int i = 1; i < argc; i++)
        read_cases(argv[i]);
    for (size_t i = 0; argc < 2 && i < sizeof texts / sizeof *texts; i++) {
        char path[400];
        snprintf(path, sizeof path, TEST_SRCDIR "/tests/data/numbers/%s.txt", texts[i]);
        const int first = nrows;
        read_cases(path);
        for (int k = first; k < nrows; k++)
            rows[k].large = strcmp(texts[i], "factors") == 0;
    }
    many_add(t, as_pytorch, 0, nrows);
    suite_add_tcase(s, t);
    many_prepare();
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
