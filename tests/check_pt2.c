/*
 * tests/check_pt2.c - archives of torch.export: they compute what eager computed, on every device, with the weights that they hold; and
 * what is wrong with one is said in a sentence.
 *
 * tests/data/pt2/make_pt2.py makes the archives and the calls.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "jitc/jitc.h"
#include "tests/pt2_seal.h"
#include "tests/tool_run.h"
#include "tools/safetensors.h"

#define ROWS(a) (int)(sizeof(a) / sizeof *(a))
#define DATA TEST_SRCDIR "/tests/data/pt2/"

/* ---- a call ----------------------------------------------------------------------------------------------------- */

typedef struct call {
    jitc_context *ctx;
    jitc_model *model;
    uint8_t *file;    /* the archive's bytes, which weights lie in; their own copy for each call, since some are written */
    size_t size;
    jc_st_file known; /* inputs and results */
    uint32_t nparams, nresults;
    jitc_value *values, *results;
} call;

/* N bytes in memory of their own, also where there are none. */
static void *copy_of(const void *from, size_t n) {
    char *at = jc_arena_alloc(arena, n + 1);
    if (n)
        memcpy(at, from, n);
    return at;
}

static DLTensor *tensor_of(jc_dtype dtype, int rank, const int64_t *dims, const int64_t *strides, void *data) {
    DLTensor *t = JC_NEW(arena, DLTensor);
    int64_t step = 1;
    *t = (DLTensor){ .data = data, .device = { kDLCPU, 0 }, .ndim = rank,
                     .dtype = { jc_dtypes[dtype].dl_code, jc_dtypes[dtype].dl_bits, 1 },
                     .shape = copy_of(dims, sizeof *dims * (size_t)rank),
                     .strides = JC_NEWN(arena, int64_t, rank + 1) };
    for (int d = rank - 1; d >= 0; d--) {
        t->strides[d] = strides ? strides[d] : step;
        step *= dims[d];
    }
    return t;
}

static const jc_st_tensor *known(const call *c, const char *kind, const char *name) {
    return jc_st_find(&c->known, jc_arena_printf(arena, "%s.%s", kind, name));
}

static void give_weights(call *c, const jitc_graph *graph) {
    for (uint32_t i = 0; i < jitc_graph_weights(graph); i++) {
        jitc_weight w = { .struct_size = sizeof w };
        ck_assert_int_eq(jitc_graph_weight(graph, i, &w), JITC_OK);
        ck_assert_uint_le(w.offset + w.bytes, c->size);
        DLTensor *t = tensor_of(JC_F32, (int)w.rank, w.dims, w.strides, c->file + w.offset);
        t->dtype = w.dtype;
        c->values[w.param] = (jitc_value){ .tag = JITC_TENSOR, .tensor = t };
    }
}

static void give_inputs(call *c) {
    for (uint32_t i = 0; i < c->nparams; i++) {
        jitc_param_info p = { .struct_size = sizeof p };
        ck_assert_int_eq(jitc_model_param_info(c->model, 0, i, &p), JITC_OK);
        const jc_st_tensor *in = known(c, "in", p.name);
        if (!in)
            ck_assert_msg(c->values[i].tag == JITC_TENSOR, "nothing gives %s", p.name);
        else if (p.tag == JITC_INT)
            c->values[i] = (jitc_value){ .tag = JITC_INT, .i = *(const int64_t *)in->data };
        else
            c->values[i] = (jitc_value){ .tag = JITC_TENSOR,
                                         .tensor = tensor_of(in->dtype, in->rank, in->dims, NULL, copy_of(in->data, in->nbytes)) };
    }
}

static void run(call *c, const char *name, const char *device) {
    jc_error err = JC_ERROR_INIT;
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = device, .threads = 2 };
    const char *path = jc_arena_printf(arena, DATA "%s.pt2", name);
    jitc_graph *graph;
    ck_assert_int_eq(jitc_context_new(&o, &c->ctx), JITC_OK);
    c->file = (uint8_t *)whole(path, &c->size);
    ck_assert_msg(jc_st_read(arena, jc_arena_printf(arena, DATA "%s.safetensors", name), &c->known, &err) == JITC_OK, "%s", err.message);
    ck_assert_msg(jitc_graph_read_file(c->ctx, path, &graph) == JITC_OK, "%s", jitc_context_error(c->ctx));
    ck_assert_msg(jitc_model_build(c->ctx, &graph, 1, NULL, &c->model) == JITC_OK, "%s", jitc_context_error(c->ctx));
    c->nparams = jitc_model_params(c->model, 0);
    c->nresults = jitc_model_outputs(c->model, 0);
    c->values = JC_NEWN(arena, jitc_value, c->nparams);
    c->results = JC_NEWN(arena, jitc_value, c->nresults);
    give_weights(c, graph);
    give_inputs(c);
    ck_assert_msg(jitc_model_run(c->model, 0, NULL, c->values, c->nparams, c->results, c->nresults) == JITC_OK, "%s on %s: %s", name,
                  device, jitc_context_error(c->ctx));
}

/* ---- what eager says -------------------------------------------------------------------------------------------- */

static double element(jc_dtype dtype, const void *data, size_t i) {
    const uint8_t *p = (const uint8_t *)data + i * jc_dtypes[dtype].size;
    uint32_t wide;
    float f;
    switch (dtype) {
    case JC_F32: memcpy(&f, p, 4); return (double)f;
    case JC_F64: { double d; memcpy(&d, p, 8); return d; }
    case JC_I32: { int32_t x; memcpy(&x, p, 4); return x; }
    case JC_I64: { int64_t x; memcpy(&x, p, 8); return (double)x; }
    case JC_BF16: wide = (uint32_t)(p[0] | p[1] << 8) << 16; memcpy(&f, &wide, 4); return (double)f;
    default: ck_abort_msg("no test has results of this dtype");
    }
    return 0;
}

/* Within two units of BF16's last place, or 1e-5. */
static void same(const char *what, const jc_st_tensor *want, const DLTensor *got) {
    const double rtol = want->dtype == JC_BF16 ? 0x1p-7 : 1e-5;
    ck_assert_msg(got->ndim == want->rank && got->dtype.code == jc_dtypes[want->dtype].dl_code &&
                      got->dtype.bits == jc_dtypes[want->dtype].dl_bits, "%s: another dtype or rank", what);
    int64_t n = 1, index[JC_MAX_RANK] = { 0 };
    for (int d = 0; d < want->rank; d++) {
        ck_assert_msg(got->shape[d] == want->dims[d], "%s: dim %d is %lld, not %lld", what, d, (long long)got->shape[d],
                      (long long)want->dims[d]);
        n *= want->dims[d];
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;
        for (int d = 0; d < want->rank; d++)
            at += index[d] * got->strides[d];
        const double x = element(want->dtype, want->data, (size_t)i);
        const double y = element(want->dtype, (const char *)got->data + got->byte_offset, (size_t)at);
        if (!(x == y || fabs(x - y) <= rtol * (fabs(x) + 1)))
            ck_abort_msg("%s: element %lld is %g, not %g", what, (long long)i, y, x);
        for (int d = want->rank - 1; d >= 0 && ++index[d] == want->dims[d]; d--)
            index[d] = 0;
    }
}

static void compare(const call *c, const char *name) {
    unsigned compared = 0;
    for (uint32_t i = 0; i < c->nresults; i++) {
        const jc_st_tensor *want = jc_st_find(&c->known, jc_arena_printf(arena, "out%u", i));
        const char *what = jc_arena_printf(arena, "%s: out%u", name, i);
        const jitc_value *v = &c->results[i];
        if (v->tag == JITC_TENSOR) {
            ck_assert_msg(want, "%s is a tensor", what);
            same(what, want, v->tensor);
        } else if (v->tag == JITC_INT) {
            ck_assert_msg(want && want->rank == 0 && *(const int64_t *)want->data == v->i, "%s is %lld", what, (long long)v->i);
        }
        compared += v->tag != JITC_NONE;
    }
    for (uint32_t i = 0; i < c->nparams; i++) {
        jitc_param_info p = { .struct_size = sizeof p };
        jitc_model_param_info(c->model, 0, i, &p);
        const jc_st_tensor *after = known(c, "after", p.name);
        if (after)
            same(jc_arena_printf(arena, "%s: %s afterwards", name, p.name), after, c->values[i].tensor);
    }
    ck_assert_uint_gt(compared, 0);
}

static const char *const names[] = { "plain", "v213", "sizes", "inplace", "functional", "dtypes", "layouts", "forms", "forms_core" };

START_TEST(as_eager) {
    static const char *const devices[] = { "host", "sim" };
    for (int d = 0; d < 2; d++) {
        call c = { 0 };
        run(&c, names[_i], devices[d]);
        compare(&c, names[_i]);
        jitc_context_free(c.ctx);
    }
}
END_TEST

/* What the module wrote: both ways of saying so are in the archives. */
START_TEST(writes) {
    for (int i = 3; i < 5; i++) {
        call c = { 0 };
        run(&c, names[i], "host");
        ck_assert(known(&c, "after", "y") && known(&c, "after", "b_count") && known(&c, "after", "b_cache"));
        jitc_context_free(c.ctx);
    }
}
END_TEST

/* The reference agrees, and the tool finds the weights; from standard input too. */
START_TEST(tool) {
    const char *args = strcmp(names[_i], "sizes") ? "" : "--sym s17=16 --sym s86=3";
    result r = jitc("run %s%s.pt2 --device host --verify --no-cache %s", DATA, names[_i], args);
    ck_assert_msg(r.code == 0, "%s: %s%s", names[_i], r.out, r.err);
    ck_assert_msg(strstr(r.out, "all results agree with the reference"), "%s", r.out);
    size_t n;
    char *bytes = whole(jc_arena_printf(arena, DATA "%s.pt2", names[_i]), &n);
    FILE *f = fopen("stdin.txt", "wb");
    ck_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    result piped = jitc("run - --device host --verify --no-cache %s", args);
    ck_assert_msg(piped.code == 0 && strstr(piped.out, "all results agree"), "%s: %s%s", names[_i], piped.out, piped.err);
}
END_TEST

/* Every subcommand that takes text takes an archive, but where there would have to be text. */
START_TEST(subcommands) {
    static const struct {
        const char *args;
        int code;
        const char *says;
    } rows[] = {
        { "split %s", 0, "1 piece" },       { "compile %s --arch host", 0, "1 classes" },
        { "explain %s", 0, "no other compiled class" }, { "check %s --max-classes 1", 0, "" },
        { "dump --stage=graph %s", 0, "softmax" }, { "dump --stage=text %s", 2, "holds no text" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        result r = jitc(rows[i].args, DATA "plain.pt2 --cache cache");
        ck_assert_msg(r.code == rows[i].code && (strstr(r.out, rows[i].says) || strstr(r.err, rows[i].says)), "%s: %d %s%s", rows[i].args,
                      r.code, r.out, r.err);
    }
}
END_TEST

/* ---- archives of jitc.export ------------------------------------------------------------------------------------- */

static void le(uint8_t *at, uint64_t value, int n) {
    for (int i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* FROM with one more entry, stored, where jitc.export puts the bundle; as TO. */
static void add_entry(const char *from, const char *name, const uint8_t *data, size_t ndata, const char *to) {
    size_t n;
    uint8_t *zip = (uint8_t *)whole(from, &n);
    const uint8_t *end = zip + n - 22; /* what is written here has no comment */
    const size_t directory = seal_le(end + 16, 4), size = seal_le(end + 12, 4), length = strlen(name);
    uint8_t local[30] = "PK\3\4", entry[46] = "PK\1\2", tail[22];
    ck_assert_uint_eq(seal_le(end, 4), 0x06054b50);
    le(local + 4, 20, 2);
    le(local + 14, seal_crc(data, ndata), 4);
    le(local + 18, ndata, 4);
    le(local + 22, ndata, 4);
    le(local + 26, length, 2);
    memcpy(entry + 6, local + 4, 26);
    le(entry + 4, 20, 2);
    le(entry + 42, directory, 4);
    memcpy(tail, end, sizeof tail);
    le(tail + 8, seal_le(end + 8, 2) + 1, 2);
    le(tail + 10, seal_le(end + 10, 2) + 1, 2);
    le(tail + 12, size + sizeof entry + length, 4);
    le(tail + 16, directory + sizeof local + length + ndata, 4);
    FILE *f = fopen(to, "wb");
    ck_assert_ptr_nonnull(f);
    const struct {
        const void *at;
        size_t n;
    } parts[] = { { zip, directory }, { local, sizeof local }, { name, length }, { data, ndata }, { zip + directory, size },
                  { entry, sizeof entry }, { name, length }, { tail, sizeof tail } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_uint_eq(fwrite(parts[i].at, 1, parts[i].n, f), parts[i].n);
    ck_assert_int_eq(fclose(f), 0);
}

/* What is compiled in the archive is used: for its target, and as long as it is whole; otherwise it is compiled again. */
START_TEST(own_bundle) {
    static const struct {
        const char *args, *says;
        bool warns;
    } rows[] = {
        { "run --device host --cache c0 own.jitc", "0 compiled, 1 hits", false },
        { "run --device host --cache c1 --mode strict own.jitc", "1 compiled, 0 hits", false },
        { "run --device sim --cache c2 own.jitc", "1 compiled, 0 hits", false },
        { "run --device host --no-cache own.jitc", "1 compiled, 0 hits", false },
        { "run --device host --cache c3 --read-cache own.jitc " DATA "plain.pt2", "0 compiled, 1 hits", false },
        { "run --device host --cache c4 bad.jitc", "1 compiled, 0 hits", true },
        { "run --device host --cache c6 own.pt2", "1 compiled, 0 hits", false }, /* no name for code */
        { "run --device host --cache c7 loose.jitc", "1 compiled, 0 hits", false },
        { "run --device host --cache c8 --trust-files loose.jitc", "0 compiled, 1 hits", false },
        { "run --device host --cache c5 " DATA "plain.pt2", "1 compiled, 0 hits", false },
    };
    size_t n;
    result r = jitc("compile --arch host --no-cache -o plain.bundle %s", DATA "plain.pt2");
    ck_assert_msg(r.code == 0, "%s", r.err);
    uint8_t *bundle = (uint8_t *)whole("plain.bundle", &n);
    add_entry(DATA "plain.pt2", "plain/jitc/bundle", bundle, n, "own.jitc");
    add_entry(DATA "plain.pt2", "plain/jitc/bundle", bundle, n, "own.pt2");
    add_entry(DATA "plain.pt2", "plain/jitc/bundle", bundle, n, "loose.jitc");
    chmod("loose.jitc", 0666);
    bundle[n / 2] ^= 1;
    add_entry(DATA "plain.pt2", "plain/jitc/bundle", bundle, n, "bad.jitc");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        r = jitc("%s", rows[i].args);
        ck_assert_msg(r.code == 0 && strstr(r.out, rows[i].says), "%s: %d %s%s", rows[i].args, r.code, r.out, r.err);
        ck_assert_msg((strstr(r.err, "bad.jitc is not read") != NULL) == rows[i].warns, "%s: %s", rows[i].args, r.err);
    }
}
END_TEST

/* ---- weights ---------------------------------------------------------------------------------------------------- */

START_TEST(weights_say_where) {
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host" };
    jitc_context *ctx;
    jitc_graph *graph;
    jitc_weight w = { .struct_size = sizeof w };
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_int_eq(jitc_graph_read_file(ctx, DATA "layouts.pt2", &graph), JITC_OK);
    ck_assert_uint_eq(jitc_graph_weights(graph), 4);
    ck_assert_int_eq(jitc_graph_weight(graph, 0, &w), JITC_OK);
    ck_assert_str_eq(w.name, "turned");
    ck_assert(w.rank == 2 && w.dims[0] == 4 && w.dims[1] == 8 && w.strides[0] == 1 && w.strides[1] == 4 && w.bytes == 32 * 4);
    ck_assert_int_eq(jitc_graph_weight(graph, 1, &w), JITC_OK);
    ck_assert_str_eq(w.name, "part");
    const uint64_t part = w.offset;
    ck_assert_int_eq(jitc_graph_weight(graph, 2, &w), JITC_OK); /* a column of what `part` is rows 3 to 7 of */
    ck_assert(w.rank == 1 && w.dims[0] == 10 && w.strides[0] == 4 && w.bytes == 37 * 4 && part - w.offset == (3 * 4 - 1) * 4);
    ck_assert_int_eq(jitc_graph_weight(graph, 4, &w), JITC_E_USAGE);
    ck_assert_uint_eq(jitc_graph_weights(NULL), 0);
    jitc_context_free(ctx);
}
END_TEST

/* ---- calls that the program was not exported for ---------------------------------------------------------------- */

typedef struct kept {
    void *at;
    size_t n;
} kept;

static bool keep(void *user, const void *bytes, size_t n) {
    *(kept *)user = (kept){ jc_arena_memdup(arena, bytes, n), n };
    return true;
}

/* The same model, through a bundle's bytes. */
static jitc_model *bundled(const call *c) {
    kept k = { 0 };
    jitc_bundle *bundle;
    jitc_model *out;
    jitc_model *models[] = { c->model };
    ck_assert_int_eq(jitc_bundle_write_bytes(c->ctx, models, 1, keep, &k), JITC_OK);
    ck_assert_msg(jitc_bundle_open_bytes(c->ctx, NULL, k.at, k.n, &bundle) == JITC_OK, "%s", jitc_context_error(c->ctx));
    ck_assert_int_eq(jitc_bundle_model(bundle, "host", &out), JITC_OK);
    return out;
}

START_TEST(guards) {
    static const struct {
        int64_t rows, others, n;
        const char *says; /* NULL: fine */
    } calls[] = {
        { 20, 40, 5, NULL },  { 8, 16, 2, NULL },
        { 8, 14, 2, "says that s77 is (s17 + 1)//2" }, /* they are added */
        { 10, 20, 3, "s77 % 4 is 0" },                 /* the branch that was traced */
        { 68, 136, 3, "s77 <= 64" },                   /* Dim.DYNAMIC(max=64) */
        { 8, 16, 9, "s86 <= s77" },
        { 8, 16, 1, "s86 != 1" },
    };
    call c = { 0 };
    run(&c, "sizes", "host");
    jitc_model *models[] = { c.model, bundled(&c) };
    for (size_t i = 0; i < (size_t)2 * ROWS(calls); i++) {
        const size_t k = i / 2;
        const int64_t dims[2][2] = { { calls[k].rows, 2 }, { calls[k].others, 2 } };
        for (int t = 0; t < 2; t++)
            c.values[t].tensor = tensor_of(JC_F32, 2, dims[t], NULL, jc_arena_alloc(arena, (size_t)dims[t][0] * 8));
        c.values[2] = (jitc_value){ .tag = JITC_INT, .i = calls[k].n };
        jitc_status status = jitc_model_run(models[i % 2], 0, NULL, c.values, c.nparams, c.results, c.nresults);
        ck_assert_msg(status == (calls[k].says ? JITC_E_INPUT : JITC_OK), "call %zu: %s", k, jitc_context_error(c.ctx));
        if (calls[k].says)
            ck_assert_msg(strstr(jitc_context_error(c.ctx), calls[k].says), "call %zu: %s", k, jitc_context_error(c.ctx));
    }
    jitc_context_free(c.ctx);
}
END_TEST

/* ---- what is wrong with an archive ------------------------------------------------------------------------------ */

static uint8_t *find(uint8_t *bytes, size_t n, const char *what, size_t length) {
    for (size_t i = 0; i + length <= n; i++)
        if (memcmp(bytes + i, what, length) == 0)
            return bytes + i;
    return NULL;
}

static const struct patch {
    const char *from, *to; /* of one length */
    jitc_status status;    /* JITC_OK: it is read all the same */
    const char *says;
} patches[] = {
    { "\"use_pickle\": false", "\"use_pickle\": true ", JITC_E_UNSUPPORTED, "the value of \"w\" as a pickle" },
    { "\"major\": 8", "\"major\": 9", JITC_E_UNSUPPORTED, "version 9.17 of torch.export's schema, by torch 2.11" },
    { "\"minor\": 17", "\"minor\": 99", JITC_OK, "" },
    { "torch.ops.aten.mul.Tensor", "torch.ops.aten.sin.Tensor", JITC_E_INPUT, "`sin` takes at most 1 positional" },
    { "torch.ops.aten.mul.Tensor", "torch.mul                ", JITC_E_UNSUPPORTED, "The function torch.mul" },
    { "_operator.floordiv", "_operator.nothing_", JITC_E_UNSUPPORTED, "The function _operator.nothing_" },
    { "\"as_int\": 2}, \"kind\"", "\"as_xyz\": 2}, \"kind\"", JITC_E_UNSUPPORTED, "of the kind \"as_xyz\"" },
    { "\"as_int\": 2}, \"kind\"", "\"as_int\":{}}, \"kind\"", JITC_E_INPUT, "should be an integer" },
    { "{\"name\": \"p_w\"}, \"parameter_name\"", "{\"name\": \"p_v\"}, \"parameter_name\"", JITC_OK, "" }, /* no value for it */
    { "\"as_tensor\": {\"name\": \"p_w\"}}, \"kind\"", "\"as_tensor\": {\"name\": \"p_v\"}}, \"kind\"", JITC_E_INPUT, "'p_v' is not defined" },
    { "FloorDiv(", "FloorDix(", JITC_E_UNSUPPORTED, "the function FloorDix is not known" },
    { "FloorDiv(Symbol", "FloorDiv Symbol", JITC_E_INPUT, "a function such as Integer(1)" },
    { "Integer(2)", "Integer(x)", JITC_E_INPUT, "an integer of 64 bits" },
    { "Symbol('s77'", "Symbol('7s7'", JITC_E_INPUT, "no symbol's name" },
    { "\"sizes\": [{\"as_int\": 2}]", "\"sizes\": [{\"as_int\":-2}]", JITC_E_INPUT, "" },
    { "\"dtype\": 7", "\"dtype\": 0", JITC_E_INPUT, "its description cannot be read" },
    { "\"dtype\": 7, \"sizes\": [{\"as_ex", "\"dtype\": 9, \"sizes\": [{\"as_ex", JITC_E_UNSUPPORTED, "The dtype c32 is not supported" },
    { "\"layout\": 7", "\"layout\": 2", JITC_E_INPUT, "its description cannot be read" },
    { "\"layout\": 7}, \"c_c\": {", "\"layout\": 2}, \"c_c\": {", JITC_E_UNSUPPORTED, "Sparse tensors" },
    { "\"storage_offset\": {\"as_int\": 0}, \"layout\": 7}}}", "\"storage_offset\": {\"as_int\": 9}, \"layout\": 7}}}", JITC_E_INPUT,
      "reaches beyond its bytes" },
    { "\"path_name\": \"weight_0\"", "\"path_name\": \"weight_1\"", JITC_E_INPUT, "its bytes are missing" },
    { "user_output", "loss_output", JITC_E_UNSUPPORTED, "it is for training" },
    { ".size()[0] // 2) == 2", ".size{}[0] // 2) == 2", JITC_E_UNSUPPORTED, "which is not understood" },
    { "L['x'].size()[0] // 2) == 2", "L['q'].size()[0] // 2) == 2", JITC_E_UNSUPPORTED, "which is not understood" },
    { "L['x'].size()[0] // 2) == 2", "L['x'].size()[7] // 2) == 2", JITC_E_UNSUPPORTED, "which is not understood" },
    { "\"graph_module\":", "\"graph_modula\":", JITC_E_INPUT, "lacks the object \"graph_module\"" },
    { "{\"graph_module\":", "{ graph_module :", JITC_E_INPUT, "no valid JSON" },
    { "pt2PK", "pt3PK", JITC_E_UNSUPPORTED, "archive_format is \"pt3\"" },
};

/* Reading, and where that is all right whether there is code for it. */
static jitc_status read_bytes(jitc_context *ctx, const uint8_t *bytes, size_t n) {
    jitc_graph *graph;
    jitc_model *model = NULL;
    jitc_status status = jitc_graph_read(ctx, "patched", (const char *)bytes, n, &graph);
    if (status == JITC_OK)
        status = jitc_model_build(ctx, &graph, 1, NULL, &model);
    jitc_model_free(model);
    jitc_graph_free(graph);
    return status;
}

START_TEST(damage) {
    const struct patch *p = &patches[_i];
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host" };
    jitc_context *ctx;
    size_t n;
    uint8_t *bytes = (uint8_t *)whole(DATA "tiny.pt2", &n), *at = find(bytes, n, p->from, strlen(p->from));
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    ck_assert_uint_eq(strlen(p->from), strlen(p->to));
    ck_assert_msg(at, "tiny.pt2 holds no %s", p->from);
    memcpy(at, p->to, strlen(p->to));
    jitc_status before = read_bytes(ctx, bytes, n);
    ck_assert_msg(before == JITC_E_INPUT && strstr(jitc_context_error(ctx), "its checksum is another"), "%s: %s", p->to,
                  jitc_context_error(ctx));
    pt2_seal(bytes, n);
    jitc_status status = read_bytes(ctx, bytes, n);
    ck_assert_msg(status == p->status, "%s: %d, %s", p->to, status, jitc_context_error(ctx));
    if (p->status)
        ck_assert_msg(strstr(jitc_context_error(ctx), p->says), "%s: %s", p->to, jitc_context_error(ctx));
    jitc_context_free(ctx);
}
END_TEST

START_TEST(other_archives) {
    static const struct {
        const char *file;
        jitc_status status;
        const char *says;
    } rows[] = {
        { DATA "old.pt2", JITC_E_UNSUPPORTED, "holds \"serialized_state_dict.pt\"" },
        { DATA "two.pt2", JITC_E_UNSUPPORTED, "holds 2 programs" },
        { DATA "packed.pt2", JITC_E_UNSUPPORTED, "\"archive_format\" is compressed" },
    };
    jitc_context_options o = { .struct_size = sizeof o, .cache_dir = "", .device = "host" };
    jitc_context *ctx;
    jitc_graph *graph;
    ck_assert_int_eq(jitc_context_new(&o, &ctx), JITC_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(jitc_graph_read_file(ctx, rows[i].file, &graph), rows[i].status);
        ck_assert_msg(strstr(jitc_context_error(ctx), rows[i].says), "%s", jitc_context_error(ctx));
    }
    size_t n;
    uint8_t *bytes = (uint8_t *)whole(DATA "tiny.pt2", &n);
    for (size_t cut = 4; cut < n; cut += 1 + cut / 7)
        ck_assert_int_eq(read_bytes(ctx, bytes, cut), JITC_E_INPUT);
    jitc_context_free(ctx);
}
END_TEST

/* All that is not supported is listed, by node. */
START_TEST(refusals) {
    size_t n;
    uint8_t *bytes = (uint8_t *)whole(DATA "tiny.pt2", &n);
    static const char *const swaps[][2] = { { "torch.ops.aten.mul.Tensor", "torch.ops.aten.unknow.abc" },
                                            { "torch.ops.aten.add.Tensor", "torch.ops.aten.unknown.xy" } };
    for (int i = 0; i < 2; i++)
        memcpy(find(bytes, n, swaps[i][0], strlen(swaps[i][0])), swaps[i][1], strlen(swaps[i][1]));
    pt2_seal(bytes, n);
    FILE *f = fopen("two_unknown.pt2", "wb");
    ck_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    result r = jitc("compile two_unknown.pt2 --arch host");
    ck_assert_msg(r.code == 4 && strstr(r.err, "two_unknown.pt2:4: torch.ops.aten.unknow.abc") &&
                      strstr(r.err, "two_unknown.pt2:5: torch.ops.aten.unknown.xy"), "%d: %s", r.code, r.err);
}
END_TEST

static void enter(void) {
    tool_enter("pt2");
}

int main(void) {
    Suite *s = suite_create("pt2");
    TCase *t = tcase_create("pt2");
    tcase_add_checked_fixture(t, enter, tool_leave);
    tcase_add_loop_test(t, as_eager, 0, ROWS(names));
    tcase_add_test(t, writes);
    tcase_add_loop_test(t, tool, 0, ROWS(names));
    tcase_add_test(t, subcommands);
    tcase_add_test(t, own_bundle);
    tcase_add_test(t, weights_say_where);
    tcase_add_test(t, guards);
    tcase_add_loop_test(t, damage, 0, ROWS(patches));
    tcase_add_test(t, other_archives);
    tcase_add_test(t, refusals);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
